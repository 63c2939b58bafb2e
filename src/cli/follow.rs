//! A list of those to whom another campaign went, or did not: `outbox:3f9a12bc?state=sent`.

use std::{collections::BTreeSet, fmt};

use super::{
    Exit, Failure,
    record::{RecordArgs, failed},
};
use crate::{
    campaign::{FromOutbox, ListOptions},
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, counted, quoted},
    outbox::{Counts, Outcome},
    recipients::ListFile,
};

/// What is worth a look about such a list.
#[derive(Debug)]
enum Remark {
    /// Some are still to be sent.
    Unfinished { campaign: String, left: usize },
    /// Some may have been sent.
    InDoubt { campaign: String, count: usize },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { campaign, left } => {
                write!(
                    f,
                    "campaign {campaign} is not finished: whoever gets one of its {left} messages later is not on this list"
                )
            }
            Self::InDoubt { campaign, count } => write!(
                f,
                "{} of campaign {campaign} in doubt: whoever these are for may have got theirs, and is not on this list",
                counted(*count, "message")
            ),
        }
    }
}

impl Complaint for Remark {
    fn code(&self) -> &'static str {
        match self {
            Self::Unfinished { .. } => "follow.unfinished",
            Self::InDoubt { .. } => "follow.in-doubt",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unfinished { campaign, .. } => format!("let it end, or take back the rest: apiece cancel {campaign}"),
            Self::InDoubt { campaign, .. } => {
                format!("look them up: apiece status {campaign}; or take them, too: ?state=sent,in_doubt")
            }
        })
    }
}

/// Reads such a list from the record: the rows as they were, and what was said about the list when it was read.
pub(super) fn read(
    from: &FromOutbox,
    record: &RecordArgs,
    options: ListOptions,
) -> Result<(ListFile, ListOptions, Diagnostics), Failure> {
    let wanted = outcomes(from)?;
    let (store, campaign) = record.find(&from.campaign)?;
    let (list, outcomes) = store.people(&campaign).map_err(failed)?;
    let is_meant = |index: usize| outcomes.get(index).is_some_and(|outcome| wanted.contains(outcome));
    if !(0..list.len()).any(is_meant) {
        let words: Vec<&str> = wanted.iter().map(|outcome| outcome.word()).collect();
        let message = format!("there is nobody in campaign {} whose message is {}", campaign.id, words.join(" or "));
        let help = format!("see what became of it: apiece status {}", campaign.id);
        return Err(Failure::because(Exit::Data, "follow.nobody", message, Some(&help)));
    }
    let options = options.again(list.options());
    let counts = Counts::of_all(outcomes.iter().copied());
    let left: usize =
        [Outcome::Queued, Outcome::Sending, Outcome::Deferred].iter().map(|outcome| counts.of(*outcome)).sum();
    let mut remarks = Diagnostics::default();
    let mut remark = |remark: Remark| remarks.push(Diagnostic::warning(Place::Nowhere, &remark));
    if left > 0 {
        remark(Remark::Unfinished { campaign: campaign.id.clone(), left });
    }
    if counts.of(Outcome::InDoubt) > 0 && wanted.contains(&Outcome::Sent) && !wanted.contains(&Outcome::InDoubt) {
        remark(Remark::InDoubt { campaign: campaign.id, count: counts.of(Outcome::InDoubt) });
    }
    Ok((ListFile::of_people(&from.to_string(), list, is_meant), options, remarks))
}

fn outcomes(from: &FromOutbox) -> Result<Vec<Outcome>, Failure> {
    let named: BTreeSet<&str> = from.states.iter().map(String::as_str).collect();
    if let Some(unknown) = named.iter().find(|name| Outcome::of_name(name).is_none()) {
        let all: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        let message = format!("{}: there is no state {}", quoted(&from.to_string()), quoted(unknown));
        let help = format!("the states are {}", all.join(", "));
        return Err(Failure::because(Exit::Usage, "follow.state", message, Some(&help)));
    }
    Ok(named.into_iter().filter_map(Outcome::of_name).collect())
}
