//! What the guard finds.

use std::fmt;

use crate::{
    address::Address,
    diagnostic::{Complaint, quoted},
};

/// So many characters are shown on each side of what was found.
const AROUND: usize = 24;

/// What was found in a message that must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Another recipient's address.
    OtherAddress(Leak),
    /// A value of another recipient by which that person can be told.
    OtherValue {
        /// The heading of its column.
        heading: String,
        /// The value.
        leak: Leak,
    },
    /// The headers do not say what the envelope says: one recipient in `To`, nobody else anywhere.
    Structure(&'static str),
    /// The bytes cannot be parsed as a message.
    Unreadable,
}

/// Something of another recipient's.
#[derive(Debug, Clone)]
pub struct Leak {
    /// As it stands in the message.
    pub value: String,
    /// The row whose it is.
    pub row: u64,
    /// The part of the message that it stands in.
    pub part: String,
    /// What stands around it.
    pub around: String,
}

/// The same thing in several places is said once.
impl PartialEq for Leak {
    fn eq(&self, other: &Self) -> bool {
        (&self.value, self.row) == (&other.value, other.row)
    }
}

impl Eq for Leak {}

impl Leak {
    pub(super) fn new(text: &str, at: usize, value: &str, row: u64, part: &str) -> Self {
        let before = text[..at].char_indices().rev().take(AROUND).last().map_or(at, |(start, _)| start);
        let end = at + value.len();
        let behind = text[end..].char_indices().nth(AROUND).map_or(text.len(), |(length, _)| end + length);
        let cut = |is_cut: bool| if is_cut { "…" } else { "" };
        let words: Vec<&str> = text[before..behind].split_whitespace().collect();
        let around = format!("{}{}{}", cut(before > 0), words.join(" "), cut(behind < text.len()));
        Self { value: value.to_owned(), row, part: part.to_owned(), around }
    }
}

/// The first letter of a value, and of an address the domain besides.
fn shortened(value: &str) -> String {
    match value.parse::<Address>() {
        Ok(address) => address.shortened(),
        Err(_) => value.chars().take(1).chain(['…']).collect(),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherAddress(Leak { value, row, part, around }) => {
                write!(
                    f,
                    "the message holds {}, the address of row {row}, in {part}: {}",
                    quoted(value),
                    quoted(around)
                )
            }
            Self::OtherValue { heading, leak: Leak { value, row, part, around } } => {
                let (value, heading) = (quoted(value), quoted(heading));
                write!(f, "the message holds {value}, {heading} of row {row}, in {part}: {}", quoted(around))
            }
            Self::Structure(what) => write!(f, "the message is not for one recipient: {what}"),
            Self::Unreadable => f.write_str("the finished message cannot be parsed"),
        }
    }
}

impl Complaint for Finding {
    fn code(&self) -> &'static str {
        match self {
            Self::OtherAddress { .. } => "guard.other-address",
            Self::OtherValue { .. } => "guard.other-value",
            Self::Structure(_) => "guard.structure",
            Self::Unreadable => "guard.unreadable",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::OtherAddress { .. } => Some(
                "take it out of the template or the cell; an address that everybody may see belongs under allow in \
                 [guard] of campaign.toml"
                    .into(),
            ),
            Self::OtherValue { .. } => Some(
                "take it out of the template or the cell; a value that everybody may see belongs under allow in \
                 [guard] of campaign.toml"
                    .into(),
            ),
            Self::Structure(_) | Self::Unreadable => None,
        }
    }

    fn brief(&self) -> Option<String> {
        match self {
            Self::OtherAddress(leak) => Some(format!(
                "the message holds {}, the address of row {}, in {}",
                shortened(&leak.value),
                leak.row,
                leak.part
            )),
            Self::OtherValue { heading, leak } => Some(format!(
                "the message holds {}, {} of row {}, in {}",
                shortened(&leak.value),
                quoted(heading),
                leak.row,
                leak.part
            )),
            Self::Structure(_) | Self::Unreadable => None,
        }
    }
}
