//! Messages across a whole campaign: no two are one.

use std::{fmt, io};

use super::sorted::Sorted;
use crate::{
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, quoted},
    message::{Composer, Message},
    recipients::{Recipient, RecipientList},
};

/// So many people with one address for unsubscribing are named.
const ENOUGH: usize = 1000;

/// What is kept of messages to compare them with all others.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// What each says
    contents: Sorted,
    /// Its Message-ID
    ids: Sorted,
    /// Where each can unsubscribe with one click
    unsubscribe: Sorted,
}

/// What is kept of one message.
#[derive(Debug)]
pub(super) struct Traits {
    index: u32,
    content: u64,
    id: u64,
    unsubscribe: Option<u64>,
}

impl Traits {
    pub(super) fn of(index: usize, message: &Message) -> Self {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Self { index, content: message.content(), id: message.id(), unsubscribe: message.unsubscribe() }
    }
}

impl Compared {
    pub(super) fn add(&mut self, message: &Traits) {
        let Traits { index, content, id, unsubscribe } = *message;
        self.contents.push((content, index));
        self.ids.push((id, index));
        if let Some(address) = unsubscribe {
            self.unsubscribe.push((address, index));
        }
    }

    /// Complains where two people would get the same although the template shows something that differs, and where two
    /// messages have one Message-ID, which neither can be but by a fault in the program; and where one click would
    /// unsubscribe somebody else.
    ///
    /// More than `common` people with one message that shows an identifying column are a column that was filled down; where
    /// no column is identifying, and nobody's message differs, it is only said.
    pub(super) fn check(
        self,
        composer: &Composer,
        common: usize,
        problems: &mut Diagnostics,
        remarks: &mut Diagnostics,
    ) -> io::Result<()> {
        let (template, list) = (composer.template(), composer.list());
        same(self.ids, list, |group, other| {
            // One person twice is one person.
            if group.first.address().key() != other.address().key() {
                problems.push(Diagnostic::error(Place::Nowhere, &SameProblem::MessageId));
            }
        })?;
        same(self.unsubscribe, list, |group, other| {
            if group.size <= ENOUGH {
                problems.push(Diagnostic::error(other.place(), &SameProblem::Unsubscribe(group.before.row())));
            }
        })?;
        if let Some(address) = template.fixed_reply_to().filter(|address| template.fixed_sender() != Some(*address))
            && let Some(person) = list.find(&address.key()).and_then(|index| list.get(index))
        {
            remarks.push(Diagnostic::warning(person.place(), &SameProblem::RepliesTo));
        }
        let columns: Vec<usize> = template.plainly_shown().collect();
        let is_identifying = |column: &&usize| list.columns().identifying().any(|known| known == **column);
        let identifying = columns.iter().find(is_identifying);
        let total = self.contents.len();
        let mut largest: Vec<(usize, usize)> = Vec::new();
        same(self.contents, list, |group, other| {
            if let Some(column) = columns.iter().find(|column| !agree(group.before, other, **column)) {
                let heading = list.columns().heading(*column).to_owned();
                problems
                    .push(Diagnostic::error(other.place(), &SameProblem::Content { row: group.before.row(), heading }));
            }
            if group.size == common + 1 {
                largest.push((group.first.index(), group.size));
            } else if let Some(last) = largest.last_mut().filter(|last| last.0 == group.first.index()) {
                last.1 = group.size;
            }
        })?;
        for (first, count) in largest {
            let Some((first, column)) = list.get(first).zip(identifying.or(columns.first())) else { continue };
            let (heading, value) = (list.columns().heading(*column).to_owned(), first.field(*column).to_owned());
            let problem = SameProblem::FilledDown { count, heading, value };
            if identifying.is_some() {
                problems.push(Diagnostic::error(first.place(), &problem));
            } else if count == total {
                remarks.push(Diagnostic::warning(first.place(), &problem));
            }
        }
        Ok(())
    }
}

/// People who have the same, as far as they have come.
struct Group<'l> {
    first: Recipient<'l>,
    /// The last but one
    before: Recipient<'l>,
    /// With the last
    size: usize,
}

/// Goes through all who have the same as somebody before them.
fn same<'l>(all: Sorted, list: &'l RecipientList, mut found: impl FnMut(&Group<'l>, Recipient<'l>)) -> io::Result<()> {
    let mut current: Option<(u64, Group<'l>)> = None;
    for pair in all.in_order()? {
        let (hash, index) = pair?;
        let Some(person) = list.get(index as usize) else { continue };
        match &mut current {
            Some((known, group)) if *known == hash => {
                group.size += 1;
                found(group, person);
                group.before = person;
            }
            _ => current = Some((hash, Group { first: person, before: person, size: 1 })),
        }
    }
    Ok(())
}

/// Whether two people have the same in a column, but for white space.
fn agree(one: Recipient<'_>, other: Recipient<'_>, column: usize) -> bool {
    one.field(column).split_whitespace().eq(other.field(column).split_whitespace())
}

#[derive(Debug)]
enum SameProblem {
    MessageId,
    Content {
        row: u64,
        heading: String,
    },
    Unsubscribe(u64),
    FilledDown {
        count: usize,
        heading: String,
        value: String,
    },
    /// The template's `reply_to` is somebody on the list.
    RepliesTo,
}

impl fmt::Display for SameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageId => f.write_str("two messages have the same Message-ID"),
            Self::Unsubscribe(row) => write!(f, "the address for unsubscribing is the same as that of row {row}"),
            Self::RepliesTo => f.write_str("everybody's replies go to this person, whose address all of them see"),
            Self::FilledDown { count, heading, value } => {
                write!(f, "{count} people get the same message, in which {} is {}", quoted(heading), quoted(value))
            }
            Self::Content { row, heading } => {
                write!(f, "the message says the same as that of row {row}, although {} differs", quoted(heading))
            }
        }
    }
}

impl Complaint for SameProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::MessageId => "guard.message-id",
            Self::Content { .. } | Self::FilledDown { .. } => "guard.same-message",
            Self::Unsubscribe(_) => "template.unsubscribe",
            Self::RepliesTo => "guard.reply-to",
        }
    }

    fn bare(&self) -> Bare {
        match self {
            Self::MessageId | Self::Content { .. } | Self::Unsubscribe(_) | Self::RepliesTo => Bare::Whole,
            Self::FilledDown { .. } => Bare::said(self.brief().unwrap_or_default(), self.help()),
        }
    }

    fn brief(&self) -> Option<String> {
        match self {
            Self::FilledDown { count, heading, .. } => {
                Some(format!("{count} people get the same message, although it shows {}", quoted(heading)))
            }
            _ => None,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unsubscribe(_) => "each needs another one: nobody may unsubscribe somebody else".into(),
            Self::RepliesTo => "look at reply_to in the template".into(),
            Self::FilledDown { .. } => {
                "has the column been filled down? What that many people share does not tell who somebody is".into()
            }
            Self::MessageId | Self::Content { .. } => "this is a fault in apiece, or in this machine's memory".into(),
        })
    }
}
