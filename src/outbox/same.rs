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
    ///
    /// More than `common` people with one message that shows an identifying column are a column that was filled down; where
    /// no column is identifying, and nobody's message differs, it is only said.
    pub(super) fn check(
        mut self,
        composer: &Composer,
        common: usize,
        problems: &mut Diagnostics,
        remarks: &mut Diagnostics,
    ) {
        // One person twice is one person.
        if pairs(&mut self.ids, composer.list()).any(|(one, other)| one.address().key() != other.address().key()) {
            problems.push(Diagnostic::error(Place::Nowhere, &SameProblem::MessageId));
        }
        for (one, other) in pairs(&mut self.unsubscribe, composer.list()) {
            problems.push(Diagnostic::error(other.place(), &SameProblem::Unsubscribe(one.row())));
        }
        let columns: Vec<usize> = composer.template().plainly_shown().collect();
        self.filled_down(composer, &columns, common, problems, remarks);
        let template = composer.template();
        if let Some(address) = template.fixed_reply_to().filter(|address| template.fixed_sender() != Some(*address))
            && let Some(person) = composer.list().find(&address.key()).and_then(|index| composer.list().get(index))
        {
            remarks.push(Diagnostic::warning(person.place(), &SameProblem::RepliesTo));
        }
        for (one, other) in pairs(&mut self.contents, composer.list()) {
            if let Some(column) = columns.iter().find(|column| !agree(one, other, **column)) {
                let heading = composer.list().columns().heading(*column).to_owned();
                let problem = SameProblem::Content { row: one.row(), heading };
                problems.push(Diagnostic::error(other.place(), &problem));
            }
        }
    }
}

impl Compared {
    fn filled_down(
        &mut self,
        composer: &Composer,
        columns: &[usize],
        common: usize,
        problems: &mut Diagnostics,
        remarks: &mut Diagnostics,
    ) {
        let list = composer.list();
        self.contents.sort_unstable();
        let identifying = columns.iter().find(|shown| list.columns().identifying().any(|column| column == **shown));
        for group in self.contents.chunk_by(|one, other| one.0 == other.0).filter(|group| group.len() > common) {
            let Some(first) = list.get(group[0].1 as usize) else { continue };
            let is_all = group.len() == self.contents.len();
            let Some(column) = identifying.or(columns.first()) else { continue };
            let problem = SameProblem::FilledDown {
                count: group.len(),
                heading: list.columns().heading(*column).to_owned(),
                value: first.field(*column).to_owned(),
            };
            if identifying.is_some() {
                problems.push(Diagnostic::error(first.place(), &problem));
            } else if is_all {
                remarks.push(Diagnostic::warning(first.place(), &problem));
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
