//! What the guard is told about a campaign.

use super::keys::{At, Keys};
use crate::address::Address;

/// More people than this have a common value, if nobody says otherwise.
const COMMON: u16 = 3;

/// What the guard is told.
#[derive(Debug, Clone, Default)]
pub struct GuardOptions {
    /// Addresses that may stand in anybody's message.
    pub allow: Vec<Address>,
    /// Other values that may.
    pub allowed_values: Vec<String>,
    /// A value that more people have tells nobody; 3 if left out.
    pub common: Option<u16>,
}

impl GuardOptions {
    /// What is said here, and for the rest what `other` says; what is allowed stands in `other` alone.
    pub(super) fn or(self, other: Self) -> Self {
        Self { allow: other.allow, allowed_values: other.allowed_values, common: self.common.or(other.common) }
    }

    /// A value that more people have tells nobody.
    #[must_use]
    pub fn common(&self) -> u16 {
        self.common.unwrap_or(COMMON)
    }
}

/// Reads `[guard]`; gives the headings of identifying columns besides.
pub(super) fn read(keys: &mut Keys<'_>) -> (GuardOptions, Vec<String>) {
    let Some(mut guard) = keys.table("guard") else { return (GuardOptions::default(), Vec::new()) };
    let mut options = GuardOptions::default();
    for At { value, span } in guard.strings("allow").map(|allow| allow.value).unwrap_or_default() {
        if !value.contains('@') {
            options.allowed_values.push(value);
            continue;
        }
        match value.parse::<Address>() {
            Ok(address) => options.allow.push(address),
            Err(why) => guard.complain(span, "allow", why.to_string(), None),
        }
    }
    let columns = guard.strings("identifying").map(|columns| columns.value).unwrap_or_default();
    let common = guard.integer("common", 1, 10_000);
    options.common = common.and_then(|number| u16::try_from(number.value).ok());
    keys.adopt(guard.finish());
    (options, columns.into_iter().map(|column| column.value).collect())
}
