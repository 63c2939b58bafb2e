//! What is said about a campaign before it is sent.

use std::fmt::Write as _;

use super::LEFT;
use crate::{
    cli::{confirm::Warnings, status::traces},
    diagnostic::counted,
    outbox::{Counts, Entry, Outcome, Overview, TakenBack, Tried},
};

/// What was remarked when a campaign was prepared, as the log has it.
pub(super) fn warned(entries: &[Entry]) -> Warnings {
    let prepared = entries.iter().find(|entry| entry.what == "prepared");
    let warnings = prepared.and_then(|entry| serde_json::from_value(entry.details["warnings"].clone()).ok());
    warnings.unwrap_or_default()
}

/// What is known of another campaign of the same name that is not finished: perhaps that one was to go on.
pub(super) fn instead_of(other: &Overview) -> String {
    format!(
        "Campaign {id} of the same name is not finished: {} of {} sent. This is another one: its template, its list or an \
         attachment was changed.\nTo go on with that one instead: apiece send {id}; to take back the rest of it: apiece cancel {id}\n",
        other.counts.of(Outcome::Sent),
        other.counts.total(),
        id = other.id,
    )
}

/// That some messages are not sent because somebody took back what they are of.
pub(super) fn left_out(id: &str, TakenBack { count, from }: &TakenBack) -> String {
    let (messages, were) = (counted(*count, "message"), if *count == 1 { "was" } else { "were" });
    format!(
        "{messages} {were} left out: somebody took this back from them (campaign {from}).\nTo send it to them after all: \
         apiece retry {id} --cancelled; then: apiece send {id}\n"
    )
}

/// What is known of a campaign that was begun, with some of the messages that are in doubt.
pub(super) fn again(id: &str, counts: &Counts, in_doubt: &[Tried]) -> String {
    let goes_on =
        if LEFT.iter().any(|outcome| counts.of(*outcome) > 0) { "goes on" } else { "has nobody left to send to" };
    let mut text = format!("Campaign {id} {goes_on}: {} of {} sent before.", counts.of(Outcome::Sent), counts.total());
    for outcome in [Outcome::Deferred, Outcome::Failed, Outcome::InDoubt, Outcome::Cancelled] {
        if counts.of(outcome) > 0 {
            let _ = write!(text, " {}: {}.", outcome.word(), counts.of(outcome));
        }
    }
    for tried in in_doubt {
        let traces = traces(tried).unwrap_or_default();
        let _ = write!(text, "\n  in doubt: row {}: {traces}", tried.row);
    }
    if counts.of(Outcome::InDoubt) > in_doubt.len() {
        text.push_str("\n  and more");
    }
    if counts.of(Outcome::InDoubt) > 0 {
        let _ = write!(text, "\nWhat is in doubt is to be looked up: apiece status {id}; then: apiece resolve {id}");
    }
    if counts.of(Outcome::Failed) > 0 {
        let _ = write!(text, "\nTo try once more with those that failed: apiece retry {id} --failed");
    }
    text + "\n"
}
