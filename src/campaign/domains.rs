//! What may go to the recipients of one domain.

use std::num::NonZeroUsize;

use super::{Rate, account::read_rates, keys::Keys};
use crate::address::Address;

/// Limits for the recipients of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainLimit {
    /// Such as `gmail.com`, in lower case; those below it do not belong to it.
    pub domain: String,
    /// Every one of these is kept.
    pub rates: Vec<Rate>,
    /// At most so many messages to it are under way at once, each over a connection of its own.
    pub connections: Option<NonZeroUsize>,
}

impl DomainLimit {
    /// One limit for each domain, where several may be said for the same: all of them hold.
    #[must_use]
    pub fn merged(all: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for limit in all {
            match merged.iter_mut().find(|other| other.domain == limit.domain) {
                Some(other) => {
                    other.rates.extend(limit.rates);
                    other.connections = other.connections.into_iter().chain(limit.connections).min();
                }
                None => merged.push(limit),
            }
        }
        merged
    }

    /// The longest time over which one of its rates counts.
    #[must_use]
    pub fn longest(&self) -> std::time::Duration {
        self.rates.iter().map(|rate| rate.window()).max().unwrap_or_default()
    }
}

/// Takes the table of all domains.
pub(super) fn read(keys: &mut Keys<'_>) -> Vec<DomainLimit> {
    let mut limits: Vec<DomainLimit> = Vec::new();
    let Some(mut all) = keys.table("domains") else { return limits };
    for (name, mut keys) in all.named_tables() {
        let rates = read_rates(&mut keys);
        let connections = keys.integer("connections", 1, 1000);
        let connections = connections.and_then(|number| NonZeroUsize::new(number.value as usize));
        // An address is what knows how a domain is written.
        let domain = format!("x@{}", name.value).parse::<Address>();
        match domain.map(|address| address.domain().to_ascii_lowercase()) {
            Ok(_) if rates.is_empty() && connections.is_none() => {
                all.complain(name.span, &name.value, "this says neither rate nor connections", None);
            }
            Ok(domain) if limits.iter().any(|limit| limit.domain == domain) => {
                all.complain(name.span, &name.value, "this domain stands here twice, once written otherwise", None);
            }
            Ok(domain) => limits.push(DomainLimit { domain, rates, connections }),
            Err(_) => {
                let help = "write it as it stands behind the @, in quotation marks: [domains.\"gmail.com\"]";
                all.complain(name.span, &name.value, "this is no domain", Some(help.into()));
            }
        }
        all.adopt(keys.finish());
    }
    keys.adopt(all.finish());
    limits
}
