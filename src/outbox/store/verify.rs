//! Whether what is kept is what was kept.

use jiff::Timestamp;

use super::{Entry, Overview, Store, StoreError, look::WITH_LAST};
use crate::{
    diagnostic::counted,
    message::Digest,
    outbox::{
        Outcome,
        database::{Done, values},
    },
    recipients::Rows,
};

/// So many rows are named.
const MOST_NAMED: usize = 20;

/// Clocks of machines are so many milliseconds apart, or are set by so much, at most.
const CLOCKS: i64 = 5 * 60 * 1000;

/// The last millisecond of the year 9999: the last that can be said.
const LATEST: i64 = 253_402_207_200_000;

/// What is decided for good, unless somebody decides otherwise.
const FINAL: [&str; 2] = ["sent", "cancelled"];

/// What no run writes down, and what it is in words.
const IMPOSSIBLE: [(&str, &str); 6] = [
    ("began NOT BETWEEN 0 AND latest OR ended NOT BETWEEN 0 AND latest", "its time cannot be"),
    ("ended < began", "over before it was begun"),
    ("began < prepared", "begun before the campaign was prepared"),
    ("began BETWEEN at_most AND latest", "begun at a time that is still to come"),
    ("began < confirmed", "begun before anybody, as the log has it, confirmed and started it"),
    (
        "outcome = 'sent' AND code NOT BETWEEN 200 AND 299
         OR outcome IN ('failed', 'deferred') AND code BETWEEN 200 AND 299",
        "its reply contradicts its outcome",
    ),
];

/// What was found out about a campaign.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Messages that were made again.
    pub messages: usize,
    /// Rows of messages that come out otherwise, some of them.
    pub changed: Vec<u64>,
    /// How many these are.
    pub changed_count: usize,
    /// What all that is kept comes to.
    pub digest: Digest,
    /// What it came to when it was prepared.
    pub prepared: Option<Digest>,
}

impl Verdict {
    /// Whether nothing has changed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.changed_count == 0 && Some(self.digest) == self.prepared
    }
}

impl Store {
    /// Makes each message of a campaign again from what is kept, and computes all digests anew. `progress` is told how many
    /// are done.
    pub fn verify(&self, campaign: &Overview, progress: &dyn Fn(usize)) -> Result<Verdict, StoreError> {
        let (thawed, digest) = self.read(campaign)?;
        let prepared = campaign.digest;
        let mut verdict = Verdict { messages: 0, changed: Vec::new(), changed_count: 0, digest, prepared };
        let sql = "SELECT position, row, digest, says FROM recipient JOIN message USING (campaign, position)
             WHERE campaign = ? ORDER BY position";
        let looked = self.database.each(sql, values![campaign.number], |row| {
            let (position, number): (i64, i64) = (row.get(0)?, row.get(1)?);
            let message = usize::try_from(position).ok().and_then(|index| thawed.composer.compose(index).ok());
            let says: Option<i64> = row.get(3)?;
            let is_same = message.is_some_and(|message| {
                row.octets(2).is_ok_and(|digest| digest == message.digest().as_bytes())
                    && i64::try_from(message.row()) == Ok(number)
                    && says.is_none_or(|says| says == message.says().cast_signed())
            });
            if !is_same {
                verdict.changed_count += 1;
                if verdict.changed.len() < MOST_NAMED {
                    verdict.changed.push(u64::try_from(number).unwrap_or_default());
                }
            }
            verdict.messages += 1;
            progress(verdict.messages);
            Ok(())
        });
        looked.map_err(|why| self.error(&why))?;
        Ok(verdict)
    }

    /// Whether the log says that a campaign was prepared as it is.
    pub(super) fn log_says_prepared(&self, campaign: &Overview) -> Result<bool, StoreError> {
        let entries = self.entries(&campaign.id)?;
        // What is from another machine was prepared there.
        let what = if campaign.origin.is_some() { "imported" } else { "prepared" };
        let prepared = entries.iter().find(|entry| entry.what == what);
        Ok(prepared.is_some_and(|entry| {
            let digest = campaign.digest.map(|digest| digest.to_string());
            (campaign.origin.is_some() || entry.at.as_millisecond() == campaign.prepared.as_millisecond())
                && entry.details["digest"].as_str() == digest.as_deref()
                && entry.details["recipients"].as_u64() == Some(campaign.counts.total() as u64)
        }))
    }

    /// The messages that are neither what was tried last nor what the log says that somebody decided. Nobody can decide anything
    /// about a message that was sent.
    fn unexplained(&self, campaign: &Overview, entries: &[Entry]) -> Done<Vec<u64>> {
        let decided: Vec<(Rows, &str)> = entries
            .iter()
            .rev()
            .filter_map(|entry| Some((entry.details["rows"].as_str()?.parse().ok()?, entry.details["now"].as_str()?)))
            .collect();
        let sql = format!("SELECT row, state, coalesce(outcome, 'queued') {WITH_LAST} ORDER BY message.position");
        let mut unexplained = Vec::new();
        self.database.each_while(&sql, values![campaign.number], |row| {
            let number = u64::try_from(row.get::<i64>(0)?).unwrap_or_default();
            let (state, tried) = (row.text(1)?, row.text(2)?);
            let (is_as_tried, was_sent) = (state == tried, tried == Outcome::Sent.name());
            if is_as_tried && was_sent {
                return Ok(true);
            }
            let last = decided.iter().find(|(rows, _)| rows.contains(number)).map(|(_, now)| *now);
            let is_explained = match last {
                // Nothing is tried any more after that.
                Some(now) if FINAL.contains(&now) => !was_sent && state == now,
                last => is_as_tried || !was_sent && last.is_some_and(|now| state == now),
            };
            if !is_explained {
                unexplained.push(number);
            }
            Ok(unexplained.len() < MOST_NAMED)
        })?;
        Ok(unexplained)
    }

    /// What does not fit together of what became of a campaign's messages, of the log and of the campaign, in words.
    pub fn contradictions(&self, campaign: &Overview) -> Result<Vec<String>, StoreError> {
        let entries = self.entries(&campaign.id)?;
        let mut found = Vec::new();
        let fits = self.log_says_prepared(campaign)? && self.says_total(campaign)?;
        if !fits {
            found.push("the log does not say that this was prepared, with this digest, for so many".to_owned());
        }
        if campaign.purged.is_some() != entries.iter().any(|entry| entry.what == "purged") {
            found.push("the campaign and the log do not agree whether it was purged".to_owned());
        }
        let rows = self.unexplained(campaign, &entries).map_err(|why| self.error(&why))?;
        if !rows.is_empty() {
            let rows = Rows::of(rows);
            found.push(format!(
                "what became of rows {rows} was neither tried nor, as the log has it, decided by anybody"
            ));
        }
        found.extend(self.impossible(campaign, &entries).map_err(|why| self.error(&why))?);
        let key = entries.iter().find(|entry| entry.what == "prepared");
        let key = key.and_then(|entry| entry.details["pseudonyms"].as_str());
        if let Some(key) = key
            && self.pseudonyms(campaign)?.fingerprint() != key
        {
            found.push("the key of people's pseudonyms is not the one that the log knows".to_owned());
        }
        Ok(found)
    }

    /// What cannot be so of transactions, in words.
    fn impossible(&self, campaign: &Overview, entries: &[Entry]) -> Done<Vec<String>> {
        let first = |what: &str| entries.iter().find(|entry| entry.what == what).map(|entry| entry.at);
        let begun = first("confirmed").zip(first("started")).map(|(one, other)| one.max(other));
        let prepared = campaign.prepared.as_millisecond() - CLOCKS;
        let begun = begun.map_or(i64::MAX, |begun| begun.as_millisecond() - CLOCKS);
        let now = Timestamp::now().as_millisecond() + CLOCKS;
        let mut found = Vec::new();
        for (condition, what) in IMPOSSIBLE {
            let sql = format!(
                "SELECT count(*) FROM attempt, (SELECT CAST(?2 AS BIGINT) AS prepared, CAST(?3 AS BIGINT) AS confirmed,
                     CAST(?4 AS BIGINT) AS at_most, CAST(?5 AS BIGINT) AS latest) AS times
                 WHERE campaign = ?1 AND ({condition})"
            );
            let values = values![campaign.number, prepared, begun, now, LATEST];
            let count = self.database.one(&sql, values, |row| row.get::<i64>(0))?;
            if count > 0 {
                found.push(format!("{}: {what}", counted(usize::try_from(count).unwrap_or_default(), "transaction")));
            }
        }
        Ok(found)
    }

    fn says_total(&self, campaign: &Overview) -> Result<bool, StoreError> {
        let sql = "SELECT total FROM campaign WHERE number = ?";
        let total = self.database.one(sql, values![campaign.number], |row| row.get::<i64>(0));
        Ok(usize::try_from(total.map_err(|why| self.error(&why))?) == Ok(campaign.counts.total()))
    }

    /// Whether the contents of the files are what they were; gives the paths of those that are not.
    pub fn verify_files(&self, campaign: &Overview) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT path, digest, bytes FROM file JOIN content USING (digest) WHERE campaign = ?";
        let mut changed = Vec::new();
        let looked = self.database.each(sql, values![campaign.number], |row| {
            let mut hash = Digest::builder();
            hash.add(row.octets(2)?);
            if hash.finish().as_bytes() != row.octets(1)? {
                changed.push(row.get(0)?);
            }
            Ok(())
        });
        looked.map_err(|why| self.error(&why))?;
        Ok(changed)
    }
}
