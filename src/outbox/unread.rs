//! Attachments that nobody but their reader can look into, across a whole campaign.

use std::{collections::BTreeMap, fmt};

use crate::{
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, counted, quoted},
    guard::Fault,
    message::Message,
};

/// So many files are named for each reason.
const SHOWN: usize = 3;

/// So many reasons are told apart.
const MOST_REASONS: usize = 20;

/// Attachments by what is in the way.
#[derive(Debug, Default)]
pub(super) struct Unread {
    reasons: BTreeMap<String, Files>,
    /// How many have a reason that is not among these
    others: usize,
}

#[derive(Debug, Default)]
struct Files {
    /// The first names, and the row of the first message with each
    names: Vec<(String, u64)>,
    has_more: bool,
    count: usize,
}

impl Unread {
    /// Notes what a message holds that cannot be looked into.
    pub(super) fn add(&mut self, row: u64, name: &str, why: &str) {
        let is_full = self.reasons.len() >= MOST_REASONS;
        match self.reasons.get_mut(why) {
            Some(files) => files.add(name, row),
            None if is_full => self.others += 1,
            None => self.reasons.entry(why.to_owned()).or_default().add(name, row),
        }
    }

    /// Takes over what was noted of later messages.
    pub(super) fn extend(&mut self, other: Self) {
        for (why, files) in other.reasons {
            if self.reasons.len() >= MOST_REASONS && !self.reasons.contains_key(&why) {
                self.others += files.count;
                continue;
            }
            let known = self.reasons.entry(why).or_default();
            let count = known.count + files.count;
            files.names.iter().for_each(|(name, row)| known.add(name, *row));
            known.count = count;
            known.has_more |= files.has_more;
        }
        self.others += other.others;
    }

    /// Says it, for all messages at once.
    pub(super) fn tell(self, remarks: &mut Diagnostics) {
        for (why, files) in self.reasons {
            remarks.push(Diagnostic::warning(Place::Nowhere, &UnreadProblem::Files { why, files }));
        }
        if self.others > 0 {
            remarks.push(Diagnostic::warning(Place::Nowhere, &UnreadProblem::Others(self.others)));
        }
    }
}

impl Files {
    fn add(&mut self, name: &str, row: u64) {
        self.count += 1;
        if self.names.iter().any(|(known, _)| known == name) {
            return;
        }
        if self.names.len() < SHOWN {
            self.names.push((name.to_owned(), row));
        } else {
            self.has_more = true;
        }
    }
}

/// Whether a fault is a picture that every message shows: whoever wrote the template has seen it.
pub(super) fn is_everybodys_picture(fault: &Fault, message: &Message) -> bool {
    match fault {
        Fault::Unread { content_id: Some(id), .. } => {
            !message.personal_files().iter().any(|file| file.content_id.as_ref() == Some(id))
        }
        _ => false,
    }
}

/// What cannot be looked into.
#[derive(Debug)]
enum UnreadProblem {
    Files { why: String, files: Files },
    Others(usize),
}

impl fmt::Display for UnreadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { why, files: Files { names, count, has_more } } => match names.as_slice() {
                [(name, row)] if *count == 1 => {
                    write!(f, "the attachment {} of row {row} cannot be looked into: {why}", quoted(name))
                }
                [(name, _)] if !has_more => {
                    write!(
                        f,
                        "the attachment {} of {} cannot be looked into: {why}",
                        quoted(name),
                        counted(*count, "message")
                    )
                }
                names => {
                    let names: Vec<String> =
                        names.iter().map(|(name, row)| format!("{} (row {row})", quoted(name))).collect();
                    let such = if *has_more { "such as " } else { "" };
                    write!(
                        f,
                        "{} cannot be looked into, {such}{}: {why}",
                        counted(*count, "attachment"),
                        names.join(", ")
                    )
                }
            },
            Self::Others(count) => {
                write!(f, "{} cannot be looked into for other reasons", counted(*count, "more attachment"))
            }
        }
    }
}

impl Complaint for UnreadProblem {
    fn code(&self) -> &'static str {
        "guard.opaque"
    }

    fn bare(&self) -> Bare {
        match self {
            Self::Files { .. } => Bare::said(self.brief().unwrap_or_default(), self.help()),
            Self::Others(_) => Bare::Whole,
        }
    }

    /// Files are often named after people.
    fn brief(&self) -> Option<String> {
        match self {
            Self::Files { files, .. } => Some(format!(
                "{} cannot be looked into; apiece check says which and why",
                counted(files.count, "attachment")
            )),
            Self::Others(_) => None,
        }
    }

    fn help(&self) -> Option<String> {
        Some(
            "see for yourself that nobody else's data is in it; opaque_attachments = \"refuse\" under [guard] of \
             campaign.toml refuses such a campaign"
                .into(),
        )
    }
}
