//! What the guard finds.

use std::fmt;

use super::known::{Hit, What};
use crate::{
    address::Address,
    diagnostic::{Bare, Complaint, quoted},
};

/// So many characters are shown on each side of what was found.
const AROUND: usize = 24;

/// Something in a message that must not be there, or cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whose message it is.
    pub to: Address,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
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
    /// A file cannot be looked into, or not into all of it.
    Unread {
        /// Its name.
        name: String,
        /// Why not.
        why: String,
        /// Of a picture that is shown in the HTML.
        content_id: Option<String>,
    },
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
    /// Whether the part is a file, the name of which may be somebody's, too.
    pub is_in_file: bool,
}

/// The same thing in several places is said once.
impl PartialEq for Leak {
    fn eq(&self, other: &Self) -> bool {
        (&self.value, self.row) == (&other.value, other.row)
    }
}

impl Eq for Leak {}

impl Leak {
    /// Something in a text; `by_line` says that its lines have nothing to do with each other.
    pub(super) fn new(hit: &Hit<'_>, row: u64, part: String, by_line: bool) -> Self {
        let value = match hit.what {
            What::Value(_) => hit.value().to_owned(),
            What::Address | What::Tagged => hit.value().to_lowercase(),
        };
        let (mut before, mut behind) = (&hit.text[..hit.range.start], &hit.text[hit.range.end..]);
        if by_line {
            before = before.rsplit('\n').next().unwrap_or_default();
            behind = behind.split('\n').next().unwrap_or_default();
        }
        let start = before.char_indices().rev().take(AROUND).last().map_or(before.len(), |(start, _)| start);
        let end = behind.char_indices().nth(AROUND).map_or(behind.len(), |(end, _)| end);
        let around = [&before[start..], hit.value(), &behind[..end]].concat();
        let words: Vec<&str> = around.split_whitespace().collect();
        let cut = |is_cut: bool| if is_cut { "…" } else { "" };
        let around = format!("{}{}{}", cut(start > 0), words.join(" "), cut(end < behind.len()));
        Self { value, row, part, around, is_in_file: false }
    }
}

/// The first letter of a value, and of an address the domain besides.
fn shortened(value: &str) -> String {
    match value.parse::<Address>() {
        Ok(address) => address.shortened(),
        Err(_) => value.chars().take(1).chain(['…']).collect(),
    }
}

impl Finding {
    /// What is said of it, with what people may see who may not see the list.
    fn said(&self, to: &str, value: impl Fn(&Leak) -> String, place: impl Fn(&Leak) -> String) -> String {
        match &self.fault {
            Fault::OtherAddress(leak) => format!(
                "the message to {to} holds {}, the address of row {}, in {}",
                value(leak),
                leak.row,
                place(leak)
            ),
            Fault::OtherValue { heading, leak } => format!(
                "the message to {to} holds {}, {} of row {}, in {}",
                value(leak),
                quoted(heading),
                leak.row,
                place(leak)
            ),
            Fault::Structure(what) => format!("the message to {to} is not for one recipient: {what}"),
            Fault::Unreadable => format!("the finished message to {to} cannot be parsed"),
            Fault::Unread { name, why, .. } => {
                format!("the attachment {} to {to} cannot be looked into: {why}", quoted(name))
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |leak: &Leak| format!("{}: {}", leak.part, quoted(&leak.around));
        f.write_str(&self.said(&self.to.to_string(), |leak| quoted(&leak.value), place))
    }
}

impl Complaint for Finding {
    fn code(&self) -> &'static str {
        match self.fault {
            Fault::OtherAddress(_) => "guard.other-address",
            Fault::OtherValue { .. } => "guard.other-value",
            Fault::Structure(_) => "guard.structure",
            Fault::Unreadable => "guard.unreadable",
            Fault::Unread { .. } => "guard.opaque",
        }
    }

    fn help(&self) -> Option<String> {
        match self.fault {
            Fault::OtherAddress(_) => Some(
                "take it out of the template or the cell; an address that everybody may see belongs under allow in \
                 [guard] of campaign.toml"
                    .into(),
            ),
            Fault::OtherValue { .. } => Some(
                "take it out of the template or the cell; a value that everybody may see belongs under allow in \
                 [guard] of campaign.toml"
                    .into(),
            ),
            Fault::Unread { .. } => Some(
                "attach it in a form that can be looked into, such as a PDF with text and without a password; \
                 opaque_attachments = \"warn\" under [guard] lets it through"
                    .into(),
            ),
            Fault::Structure(_) | Fault::Unreadable => None,
        }
    }

    /// Whose message it is, its row tells; the part may have the name of a file, which may be somebody's.
    fn bare(&self) -> Bare {
        let place = |leak: &Leak| if leak.is_in_file { "an attachment".to_owned() } else { leak.part.clone() };
        let message = match &self.fault {
            Fault::OtherAddress(leak) => {
                format!("the message holds the address of row {}, in {}", leak.row, place(leak))
            }
            Fault::OtherValue { heading, leak } => {
                format!("the message holds {} of row {}, in {}", quoted(heading), leak.row, place(leak))
            }
            Fault::Structure(what) => format!("the message is not for one recipient: {what}"),
            Fault::Unreadable => "the finished message cannot be parsed".into(),
            Fault::Unread { .. } => "an attachment cannot be looked into".into(),
        };
        Bare::said(message, self.help())
    }

    fn brief(&self) -> Option<String> {
        let to = self.to.shortened();
        if let Fault::Unread { .. } = self.fault {
            return Some(format!("an attachment to {to} cannot be looked into"));
        }
        let place = |leak: &Leak| if leak.is_in_file { "an attachment".to_owned() } else { leak.part.clone() };
        Some(self.said(&to, |leak| shortened(&leak.value), place))
    }
}
