//! How many people a campaign reached, as far as the record knows it and as far as only people say it.

use super::{Overview, Store, StoreError};
use crate::outbox::database::values;

/// People of a campaign; each is counted in one of these, `denied` and `open` apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// The server said that it took the message over.
    pub taken_over: usize,
    /// The server's answer was lost, and a person found out that it took the message over.
    pub said_sent: usize,
    /// The server's answer was lost, or there is none yet.
    pub open: usize,
    /// The server's answer was lost, and a person said that the server does not have the message, whatever became of it then.
    pub denied: usize,
    /// The server refused the message, each time that it was tried.
    pub refused: usize,
    /// The server did not take the message over, each time that it was tried; nobody tries it any more, or it is tried again.
    pub put_off: usize,
    /// It was not tried.
    pub untried: usize,
}

impl Reach {
    /// So many have the message at least.
    #[must_use]
    pub fn least(&self) -> usize {
        self.taken_over
    }

    /// So many have it at most: whatever a person said, only the server knows.
    #[must_use]
    pub fn most(&self) -> usize {
        self.taken_over + self.said_sent + self.open + self.denied
    }
}

/// Of each message what it is, whether it was tried, and whether the server's answer to a try is known.
const REACH: &str = "SELECT count(*),
     CASE WHEN took > 0 THEN 'taken_over'
          WHEN state = 'sent' THEN 'said_sent'
          WHEN state IN ('in_doubt', 'sending') THEN 'open'
          WHEN doubt > 0 THEN 'denied'
          WHEN tried IS NULL THEN 'untried'
          WHEN state = 'failed' THEN 'refused'
          ELSE 'put_off' END AS what
     FROM message LEFT JOIN (SELECT position, count(*) AS tried, count(*) FILTER (WHERE outcome = 'sent') AS took,
         count(*) FILTER (WHERE outcome IN ('in_doubt', 'sending')) AS doubt FROM attempt WHERE campaign = ?1 GROUP BY position) AS attempts USING (position)
     WHERE campaign = ?1 GROUP BY what";

impl Store {
    /// How many people a campaign reached.
    pub fn reach(&self, campaign: &Overview) -> Result<Reach, StoreError> {
        let mut reach = Reach::default();
        let looked = self.database.each(REACH, values![campaign.number], |row| {
            let counted = match row.text(1)? {
                "taken_over" => &mut reach.taken_over,
                "said_sent" => &mut reach.said_sent,
                "open" => &mut reach.open,
                "denied" => &mut reach.denied,
                "refused" => &mut reach.refused,
                "put_off" => &mut reach.put_off,
                _ => &mut reach.untried,
            };
            *counted = usize::try_from(row.get::<i64>(0)?).unwrap_or_default();
            Ok(())
        });
        looked.map_err(|why| self.error(&why))?;
        Ok(reach)
    }
}
