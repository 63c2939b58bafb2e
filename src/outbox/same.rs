//! Messages across a whole campaign: no two are one.

use std::fmt;

use crate::{
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, quoted},
    message::{Composer, Message},
    recipients::{Recipient, RecipientList},
};

/// What is kept of messages to compare them with all others.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// What each says, as a hash, and whose it is
    contents: Vec<(u64, u32)>,
    /// Its Message-ID, and whose it is
    ids: Vec<(u128, u32)>,
    /// Where each can unsubscribe with one click, as a hash, and whose it is
    unsubscribe: Vec<(u64, u32)>,
}

impl Compared {
    pub(super) fn add(&mut self, index: usize, message: &Message) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.contents.push((message.content(), index));
        self.unsubscribe.extend(message.unsubscribe().map(|address| (address, index)));
        self.ids.push((message.id(), index));
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.contents.extend(other.contents);
        self.ids.extend(other.ids);
        self.unsubscribe.extend(other.unsubscribe);
    }

    /// Complains where two people would get the same although the template shows something that differs, and where two
    /// messages have one Message-ID, which neither can be but by a fault in the program; and where one click would
    /// unsubscribe somebody else.
    pub(super) fn check(mut self, composer: &Composer, problems: &mut Diagnostics) {
        // One person twice is one person.
        if pairs(&mut self.ids, composer.list()).any(|(one, other)| one.address().key() != other.address().key()) {
            problems.push(Diagnostic::error(Place::Nowhere, &SameProblem::MessageId));
        }
        for (one, other) in pairs(&mut self.unsubscribe, composer.list()) {
            problems.push(Diagnostic::error(other.place(), &SameProblem::Unsubscribe(one.row())));
        }
        let columns: Vec<usize> = composer.template().plainly_shown().collect();
        for (one, other) in pairs(&mut self.contents, composer.list()) {
            if let Some(column) = columns.iter().find(|column| !agree(one, other, **column)) {
                let heading = composer.list().columns().heading(*column).to_owned();
                let problem = SameProblem::Content { row: one.row(), heading };
                problems.push(Diagnostic::error(other.place(), &problem));
            }
        }
    }
}

/// The people who have the same, two by two.
fn pairs<'p, K: Ord>(
    all: &'p mut [(K, u32)],
    list: &'p RecipientList,
) -> impl Iterator<Item = (Recipient<'p>, Recipient<'p>)> {
    all.sort_unstable();
    let same = all.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    same.filter_map(|pair| list.get(pair[0].1 as usize).zip(list.get(pair[1].1 as usize)))
}

/// Whether two people have the same in a column, but for white space.
fn agree(one: Recipient<'_>, other: Recipient<'_>, column: usize) -> bool {
    one.field(column).split_whitespace().eq(other.field(column).split_whitespace())
}

#[derive(Debug)]
enum SameProblem {
    MessageId,
    Content { row: u64, heading: String },
    Unsubscribe(u64),
}

impl fmt::Display for SameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageId => f.write_str("two messages have the same Message-ID"),
            Self::Unsubscribe(row) => write!(f, "the address for unsubscribing is the same as that of row {row}"),
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
            Self::Content { .. } => "guard.same-message",
            Self::Unsubscribe(_) => "template.unsubscribe",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unsubscribe(_) => "each needs another one: nobody may unsubscribe somebody else".into(),
            Self::MessageId | Self::Content { .. } => "this is a fault in apiece, or in this machine's memory".into(),
        })
    }
}
