//! A list of those to whom another campaign went, or did not: `outbox:3f9a12bc?state=sent`.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use super::{
    Exit, Failure, Screen,
    record::{RecordArgs, failed},
};
use crate::{
    campaign::{Campaign, FromOutbox, ListSource},
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, counted, quoted},
    outbox::{Counts, Outcome, Store, StoreError},
    recipients::{ListFile, Recipient, RecipientList, Rows},
};

/// What is worth a look about such a list.
#[derive(Debug)]
enum Remark {
    /// Some are still to be sent.
    Unfinished { campaign: String, left: usize },
    /// Some may have been sent.
    InDoubt { campaign: String, count: usize },
    /// Since the list was taken from it, more people belong to it.
    Missing { list: String, count: usize },
    /// Nobody can say whether it is still right.
    Unknown { list: String, why: &'static str },
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
            Self::Missing { list, count: 1 } => {
                write!(f, "1 person is in {list} now who was not when this was prepared, and gets nothing")
            }
            Self::Missing { list, count } => {
                write!(f, "{count} people are in {list} now who were not when this was prepared, and get nothing")
            }
            Self::Unknown { list, why } => {
                write!(f, "whether {list} is still what it was when this was prepared cannot be told: {why}")
            }
        }
    }
}

impl Complaint for Remark {
    fn code(&self) -> &'static str {
        match self {
            Self::Unfinished { .. } => "follow.unfinished",
            Self::InDoubt { .. } => "follow.in-doubt",
            Self::Missing { .. } => "follow.missing",
            Self::Unknown { .. } => "follow.unknown",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unfinished { campaign, .. } => format!("let it end, or take back the rest: apiece cancel {campaign}"),
            Self::InDoubt { campaign, .. } => {
                format!("look them up: apiece status {campaign}; or take them, too: ?state=sent,in_doubt")
            }
            Self::Missing { .. } => "to write to them as well, prepare it anew: apiece prepare CAMPAIGN".into(),
            Self::Unknown { .. } => return None,
        })
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

/// Reads such a list from the record: the rows as they were. What was said about the list when it was read goes on to hold for
/// `follower`, which names the campaign by its whole id from here on: other ids may begin in the same way later.
pub(super) fn read(
    from: &FromOutbox,
    record: &RecordArgs,
    follower: &mut Campaign,
) -> Result<(ListFile, Diagnostics), Failure> {
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
    let from = FromOutbox { campaign: campaign.id.clone(), states: from.states.clone() };
    follower.list = follower.list.clone().again(list.options());
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
    let file = ListFile::of_people(&from.to_string(), list, is_meant);
    follower.recipients = ListSource::Outbox(from);
    Ok((file, remarks))
}

/// That a list which was taken from the record when a campaign was prepared still holds for those who are `left` to be written
/// to: the other campaign may have gone on since, or somebody looked up what was in doubt.
pub(super) fn check_still(
    store: &Store,
    source: &ListSource,
    people: &RecipientList,
    left: impl Iterator<Item = usize>,
    screen: Screen,
) -> Result<(), Failure> {
    let ListSource::Outbox(from) = source else { return Ok(()) };
    let wanted = outcomes(from)?;
    let remark = |remark: Remark| screen.remark(&Diagnostic::warning(Place::Nowhere, &remark).into());
    let unknown =
        |why| screen.remark(&Diagnostic::note(Place::Nowhere, &Remark::Unknown { list: from.to_string(), why }).into());
    let campaign = match store.campaign(&from.campaign) {
        Err(StoreError::Unknown(_)) => {
            unknown("there is no such campaign in this outbox, or more than one");
            return Ok(());
        }
        other => other.map_err(failed)?,
    };
    if campaign.purged.is_some() {
        unknown("people's data was removed from that campaign");
        return Ok(());
    }
    let (list, outcomes) = store.people(&campaign).map_err(failed)?;
    let is_meant = |index: usize| outcomes.get(index).is_some_and(|outcome| wanted.contains(outcome));
    let meant = list.iter().filter(|person| is_meant(person.index()));
    let meant: HashSet<String> = meant.map(|person| person.address().as_str().to_owned()).collect();
    let gone = left.filter_map(|index| people.get(index)).filter(|person| !meant.contains(person.address().as_str()));
    let gone: Vec<u64> = gone.map(Recipient::row).collect();
    if !gone.is_empty() {
        let message = format!(
            "{} of this list {} no longer in {from}, from which it was taken when it was prepared: rows {}",
            if gone.len() == 1 { "1 person".into() } else { format!("{} people", gone.len()) },
            if gone.len() == 1 { "is" } else { "are" },
            Rows::of(gone)
        );
        let help = format!(
            "see what became of their messages: apiece status {}; then prepare this anew, so that its list is as it is now: \
             apiece prepare CAMPAIGN",
            campaign.id
        );
        return Err(Failure::because(Exit::Refused, "follow.stale", message, Some(&help)));
    }
    let missing = meant.iter().filter(|address| people.find(address).is_none()).count();
    if missing > 0 {
        remark(Remark::Missing { list: from.to_string(), count: missing });
    }
    Ok(())
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
