//! Signed statements as a file, for the machine on which the campaign was prepared.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ApprovalError, Decision, Invalid, Subject, key::read_file};
use crate::outbox::Entry;

/// What the file calls itself.
const KIND: &str = "apiece approval 1";

/// A file is no larger.
const MOST_BYTES: u64 = 1 << 20;

/// What was said about one campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchanged {
    kind: String,
    /// The campaign's id.
    pub campaign: String,
    /// Its digest.
    pub digest: String,
    /// The oldest first.
    pub statements: Vec<Letter>,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// What was signed.
    pub statement: String,
    /// As OpenSSH writes it.
    pub signature: String,
}

impl Exchanged {
    /// All that was signed about a campaign, as its entries in the log have it.
    #[must_use]
    pub fn of(subject: &Subject, entries: &[Entry]) -> Self {
        let signed = entries.iter().filter_map(|entry| Decision::of(subject, entry)?.ok());
        let letters = signed.map(|decision| Letter { statement: decision.statement, signature: decision.signature });
        Self {
            kind: KIND.to_owned(),
            campaign: subject.id.clone(),
            digest: subject.digest.to_string(),
            statements: letters.collect(),
        }
    }

    /// As the text of a file.
    #[must_use]
    pub fn text(&self) -> String {
        // Strings can always be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads such a file.
    pub fn read(path: &Path) -> Result<Self, ApprovalError> {
        let read: Self = serde_json::from_slice(&read_file(path, MOST_BYTES)?).map_err(|_| ApprovalError::NoBundle)?;
        if read.kind == KIND { Ok(read) } else { Err(ApprovalError::NoBundle) }
    }

    /// What the file says of a campaign, verified.
    pub fn decisions(&self, subject: &Subject) -> Result<Vec<Decision>, Invalid> {
        let read = |letter: &Letter| Decision::new(subject, &letter.statement, &letter.signature);
        self.statements.iter().map(read).collect()
    }
}
