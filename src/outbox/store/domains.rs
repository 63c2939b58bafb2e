//! What may go to the people of some domains, by whatever campaign.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

#[cfg(feature = "postgres")]
use super::grants::{Grants, Line};
use super::{
    Campaign, Ledger, News, Places, StoreError,
    ledger::{LONGEST_ATTEMPT, Look},
};
use crate::{
    campaign::DomainLimit,
    outbox::database::{Database, Done, Fault, Location, values},
};

/// What may go to a domain, and what counts already.
#[derive(Debug)]
pub struct Limited {
    /// The limit.
    pub limit: DomainLimit,
    /// What was sent to it before.
    pub past: News,
    /// Where others share the rates by a database: what gives the right to begin, and knows of all.
    pub slots: Option<Ledger>,
    /// The same for connections.
    pub places: Option<Arc<Places>>,
}

impl Limited {
    /// A limit that nobody else shares.
    #[must_use]
    pub fn alone(limit: DomainLimit, past: News) -> Self {
        Self { limit, past, slots: None, places: None }
    }
}

/// The limits of domains for what goes through an account.
pub(super) fn limited(
    location: &Location,
    account: &str,
    campaign: &Campaign,
    (of_account, own): (&[DomainLimit], &[DomainLimit]),
) -> Result<Vec<Limited>, StoreError> {
    let limits = DomainLimit::merged(of_account.iter().chain(own).cloned());
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |why: Fault| StoreError::of(location, &why);
    let database = Database::connect(location).map_err(failed)?;
    let with_past = |limit: DomainLimit| {
        let past = sent_to(&database, &limit.domain, account, limit.longest()).map_err(failed)?;
        Ok(Limited::alone(limit, past))
    };
    let limited: Vec<Limited> = limits.into_iter().map(with_past).collect::<Result<_, StoreError>>()?;
    #[cfg(feature = "postgres")]
    if let Some(holder) = campaign.lock.token() {
        // One for all. Of what it gives nothing may be lost: no attempt knows of it.
        let line = Line::open(location)?;
        let share = |one: Limited| {
            // No domain has such a sign in it.
            let name = format!("{account}\n{}", one.limit.domain);
            let slots = || Ledger::Granted(Arc::new(Grants::over(line.clone(), &name, campaign.number, holder)));
            let [all, own] = [of_account, own].map(|limits| {
                let of = limits.iter().filter(|limit| limit.domain == one.limit.domain);
                of.filter_map(|limit| limit.connections).min().map(std::num::NonZeroUsize::get)
            });
            let places = || Places::over(line.clone(), &name, campaign.number, (all, own), holder);
            Ok(Limited {
                slots: (!one.limit.rates.is_empty()).then(slots),
                places: one.limit.connections.map(|_| places()).transpose()?,
                ..one
            })
        };
        return limited.into_iter().map(share).collect();
    }
    #[cfg(not(feature = "postgres"))]
    let _ = campaign;
    Ok(limited)
}

/// What went through an account to the people of a domain and was over less than `longest` ago. What nobody knows the end of
/// counts from now on.
fn sent_to(database: &Database, domain: &str, account: &str, longest: Duration) -> Done<News> {
    if longest.is_zero() {
        return Ok(News::default());
    }
    let look = Look::new(Timestamp::now());
    let since = look.since(longest + LONGEST_ATTEMPT);
    let mut over = Vec::new();
    let sql = "SELECT began, ended, lower(substr(address, length(address) - length(?2) + 1)) = lower(?2) FROM attempt
         LEFT JOIN recipient USING (campaign, position) WHERE account = ?1 ORDER BY number DESC";
    database.each_while(sql, values![account, format!("@{domain}")], |attempt| {
        if attempt.get::<i64>(0)? < since {
            return Ok(false);
        }
        let ended: Option<i64> = attempt.get(1)?;
        if attempt.get::<Option<bool>>(2)?.unwrap_or(false) {
            over.push(ended.map_or(Duration::ZERO, |ended| look.age(ended)));
        }
        Ok(true)
    })?;
    over.retain(|age| *age < longest);
    over.sort_unstable_by(|one, other| other.cmp(one));
    Ok(News { over, ..News::default() })
}
