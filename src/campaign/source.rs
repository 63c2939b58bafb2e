//! Where a recipient list is: in a file, or in the record of another campaign.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::diagnostic::{Bare, Complaint};

/// What a list from the record begins with.
const FROM_RECORD: &str = "outbox:";

/// Where a recipient list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// A file, or `-` for standard input.
    File(PathBuf),
    /// The people of a campaign of the record.
    Outbox(FromOutbox),
}

/// The people of whose messages something became: `outbox:3f9a12bc?state=sent,in_doubt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromOutbox {
    /// The id of the campaign, or its beginning.
    pub campaign: String,
    /// What became of their messages, as the record names it.
    pub states: Vec<String>,
}

/// What is wrong with a list that is to be taken from the record.
#[derive(Debug, Clone, Copy, Error)]
#[error("a list from the record names a campaign, and what became of its messages")]
pub struct ListSourceError;

impl Complaint for ListSourceError {
    fn code(&self) -> &'static str {
        "list.source"
    }

    fn help(&self) -> Option<String> {
        Some("for example outbox:3f9a12bc?state=sent, or ?state=sent,in_doubt; ./outbox:x is a file".into())
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl ListSource {
    /// What somebody wrote; a path of a file begins in `directory`.
    pub fn within(directory: &Path, written: &Path) -> Result<Self, ListSourceError> {
        let Some(text) = written.to_str().and_then(|written| written.strip_prefix(FROM_RECORD)) else {
            return Ok(Self::File(directory.join(written)));
        };
        let (campaign, states) = text.split_once("?state=").ok_or(ListSourceError)?;
        let states: Vec<String> = states.split(',').map(|state| state.trim().to_owned()).collect();
        if campaign.is_empty() || states.iter().any(String::is_empty) {
            return Err(ListSourceError);
        }
        Ok(Self::Outbox(FromOutbox { campaign: campaign.to_owned(), states }))
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            Self::Outbox(_) => None,
        }
    }
}

impl fmt::Display for FromOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FROM_RECORD}{}?state={}", self.campaign, self.states.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_outbox_is_no_file() {
        let source = |text: &str| ListSource::within(Path::new("c"), Path::new(text));
        assert_eq!(source("p.csv").unwrap().file(), Some(Path::new("c/p.csv")));
        assert_eq!(source("./outbox:1").unwrap().file(), Some(Path::new("c/./outbox:1")));
        let ListSource::Outbox(from) = source("outbox:3f9a?state=sent, in_doubt").unwrap() else { panic!() };
        assert_eq!((from.campaign.as_str(), from.states.len()), ("3f9a", 2));
        assert_eq!(from.to_string(), "outbox:3f9a?state=sent,in_doubt");
        for wrong in ["outbox:", "outbox:3f9a", "outbox:3f9a?state=", "outbox:?state=sent", "outbox:3f9a?state=sent,"] {
            assert!(source(wrong).is_err(), "{wrong}");
        }
    }
}
