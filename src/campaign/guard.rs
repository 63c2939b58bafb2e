//! What the guard is told about a campaign.

use std::{fmt, str::FromStr};

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
    /// What is done about an attachment that cannot be looked into; it is said if left out.
    pub opaque: Option<OpaqueAttachments>,
}

/// What is done about an attachment that the guard cannot look into: one with a password, a picture, a page that was
/// scanned, a file of an unknown kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum OpaqueAttachments {
    /// It is said.
    #[default]
    Warn,
    /// The campaign is refused.
    Refuse,
}

impl FromStr for OpaqueAttachments {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "warn" => Ok(Self::Warn),
            "refuse" => Ok(Self::Refuse),
            _ => Err("this is \"warn\" or \"refuse\""),
        }
    }
}

impl fmt::Display for OpaqueAttachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        })
    }
}

impl GuardOptions {
    /// What is said here, and for the rest what `other` says; what is allowed stands in `other` alone, and what `other`
    /// is strict about stays so: nothing on a command line makes the guard look less.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            allow: other.allow,
            allowed_values: other.allowed_values,
            common: self.common.max(other.common),
            opaque: self.opaque.max(other.opaque),
        }
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
    options.opaque = guard.parsed("opaque_attachments").map(|opaque| opaque.value);
    keys.adopt(guard.finish());
    (options, columns.into_iter().map(|column| column.value).collect())
}
