//! What was prepared, and what became of each message.
//!
//! A run knows all of it in memory, and writes each step down ([`Journal`]) before it counts: a [`Store`] outlives the run.

mod database;
mod feed;
mod files;
mod moment;
mod prepare;
mod same;
mod sorted;
mod store;
mod unread;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

pub use self::{
    database::{Attempt, Location},
    feed::{Portion, Portioned},
    prepare::Prepared,
    store::{
        Aside, Attached, Campaign, Carried, Chain, Check, Copied, Deed, Entry, Examined, Journal, Kept, Last, Ledger,
        Limited, Luggage, Matter, Messages, Names, News, OpenPlace, Over, Overview, Places, Pseudonym, Purged, Reach,
        Reported, Reports, SeenLedger, Snapshot, Store, StoreError, TakenBack, Thawed, Totals, Traced, Transaction,
        Tried, Verdict,
    },
};
#[cfg(feature = "postgres")]
pub use self::{
    database::{Knocked, Server, ServerError},
    store::{Backlog, Given, Grants, Waiting, Worker},
};
pub(crate) use self::{
    moment::Moment,
    prepare::inspect,
    store::{without_addresses, without_people},
};
use crate::{message::Digest, recipients::Selection};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Not begun.
    Queued,
    /// Its last line is about to be written, or was, and there is no answer yet.
    Sending,
    /// The server took it over.
    Sent,
    /// The server cannot take it now; it may later.
    Deferred,
    /// The server will not take it.
    Failed,
    /// The connection ended after the last line and before the answer: only the server knows.
    InDoubt,
    /// The recipient is on a list of people who must not get any.
    Suppressed,
    /// Somebody took it back before it was begun.
    Cancelled,
}

impl Outcome {
    /// All of them, in the order of a message's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Deferred,
        Self::Failed,
        Self::InDoubt,
        Self::Suppressed,
        Self::Cancelled,
    ];

    /// The one table of what may follow what.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use Outcome::{Cancelled, Deferred, Failed, InDoubt, Queued, Sending, Sent, Suppressed};
        match self {
            Queued => matches!(next, Sending | Deferred | Failed | Suppressed | Cancelled),
            Sending => matches!(next, Sent | Deferred | Failed | InDoubt | Queued),
            // Put off until it is due.
            Deferred => matches!(next, Queued | Sending | Cancelled),
            // Until a person wants to try again.
            Failed | Cancelled => next == Queued,
            // A person has looked it up.
            InDoubt => matches!(next, Sent | Queued),
            Sent | Suppressed => false,
        }
    }

    /// The one that the record names so.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// As the record names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InDoubt => "in_doubt",
            other => other.word(),
        }
    }

    /// In words, for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::InDoubt => "in doubt",
            Self::Suppressed => "suppressed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How many messages have which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([usize; Outcome::ALL.len()]);

impl Counts {
    /// How often each is there.
    #[must_use]
    pub fn of_all(outcomes: impl Iterator<Item = Outcome>) -> Self {
        let mut counts = Self::default();
        outcomes.for_each(|outcome| counts.0[outcome as usize] += 1);
        counts
    }

    fn set(&mut self, outcome: Outcome, count: usize) {
        self.0[outcome as usize] = count;
    }

    /// How many have that outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> usize {
        self.0[outcome as usize]
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// How many have each outcome that there is, by its name: as records and logs have it.
    pub(crate) fn known(&self) -> serde_json::Map<String, serde_json::Value> {
        let known = Outcome::ALL.into_iter().filter(|outcome| self.of(*outcome) > 0);
        known.map(|outcome| (outcome.name().to_owned(), self.of(outcome).into())).collect()
    }

    /// Whether some are still to be sent, or are being sent.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        [Outcome::Queued, Outcome::Sending, Outcome::Deferred].iter().any(|left| self.of(*left) > 0)
    }

    /// Whether all that are to be sent are.
    #[must_use]
    pub fn all_sent(&self) -> bool {
        let sent = [Outcome::Sent, Outcome::Suppressed, Outcome::Cancelled].map(|outcome| self.of(outcome));
        sent.iter().sum::<usize>() == self.total()
    }
}

/// The messages of a campaign and what became of each.
#[derive(Debug)]
pub struct Outbox {
    digests: Vec<Digest>,
    /// The list's index of each message.
    indices: Selection,
    /// Octets of the largest message
    largest: usize,
    state: Mutex<State>,
    journal: Option<Journal>,
    /// How many messages have no outcome yet
    left: watch::Sender<usize>,
    news: watch::Sender<()>,
}

/// Whether something is written down: an answer that comes, unless nothing is, since no step of the table leads there.
pub type Written = oneshot::Receiver<Result<(), StoreError>>;

#[derive(Debug, Default)]
struct State {
    outcomes: Vec<Outcome>,
    next: usize,
    /// How many may be taken for the first time, if not all.
    most: Option<usize>,
    /// Taken once and given back.
    returned: VecDeque<(usize, u32)>,
    /// When which is due that was put off.
    later: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// How often, and since when.
    put_off: HashMap<usize, PutOff>,
    /// Where batches come while others are sent.
    feed: Option<feed::Feed>,
}

/// How often a message was put off by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutOff {
    /// So often.
    pub tries: u32,
    /// When it was for the first time.
    pub since: Timestamp,
    /// When it is due again.
    pub due: Timestamp,
}

/// Whether there is something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// There is.
    Now,
    /// There will be.
    At(Timestamp),
    /// There will be, once something else is over.
    Unknown,
    /// Nothing waits; others may be sending the last ones.
    None,
}

impl Work {
    /// What is true of two places where there may be something.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::At(one), Self::At(two)) => Self::At(one.min(two)),
            (Self::At(when), _) | (_, Self::At(when)) => Self::At(when),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::None, Self::None) => Self::None,
        }
    }
}

/// The code of a reply (RFC 5321 §4.2), and the enhanced one (RFC 3463).
pub type Codes = (u16, Option<String>);

/// Over which connection a message goes.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Address and port of the server.
    pub server: String,
    /// Such as `TLSv1.3`.
    pub tls: Option<&'static str>,
}

/// A message that somebody has taken in order to send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    position: usize,
    /// The position of its recipient in the list.
    pub index: usize,
    /// What its bytes must be.
    pub digest: Digest,
    /// How often it was taken before and given back.
    pub returns: u32,
}

impl Outbox {
    /// The messages of the people at some places of the list, in its order, with the digest and the outcome of each.
    /// `largest` is the octets of the largest. Without a journal nothing outlives the run.
    #[must_use]
    pub fn new(
        indices: Selection,
        digests: Vec<Digest>,
        outcomes: Vec<Outcome>,
        largest: usize,
        journal: Option<Journal>,
    ) -> Self {
        let is_left = |outcome: &&Outcome| matches!(outcome, Outcome::Queued | Outcome::Deferred);
        let left = watch::Sender::new(outcomes.iter().filter(is_left).count());
        let state = State { outcomes, ..State::default() };
        Self { digests, indices, largest, state: Mutex::new(state), journal, left, news: watch::Sender::new(()) }
    }

    /// Those of a campaign of the record, which is kept up from now on, at `selected` places of its list.
    #[must_use]
    pub fn of(messages: &Messages, selected: Selection, largest: usize, journal: Journal) -> Self {
        let digests = selected.iter().map(|index| messages.digests[index]).collect();
        let outcomes = selected.iter().map(|index| messages.outcomes[index]).collect();
        let put_off: HashMap<usize, PutOff> = selected
            .iter()
            .enumerate()
            .filter_map(|(position, index)| Some((position, *messages.put_off.get(&index)?)))
            .collect();
        let outbox = Self::new(selected, digests, outcomes, largest, Some(journal));
        let mut state = outbox.state();
        state.later = put_off.iter().map(|(position, put_off)| Reverse((put_off.due, *position))).collect();
        state.put_off = put_off;
        drop(state);
        outbox
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Octets of the largest message, without `Date` and signature.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether a message waits to be claimed.
    #[must_use]
    pub fn work(&self, now: Timestamp) -> Work {
        let mut state = self.state();
        state.skip();
        match state.later.peek() {
            _ if !state.returned.is_empty() || state.has_next() => Work::Now,
            Some(Reverse((due, _))) if *due <= now => Work::Now,
            Some(Reverse((due, _))) => Work::At(*due),
            None if state.feed.as_ref().is_some_and(|feed| feed.is_open) => Work::Unknown,
            None => Work::None,
        }
    }

    /// Takes the next message that is queued or due; nobody else gets it.
    #[must_use]
    pub fn claim(&self, now: Timestamp) -> Option<Claim> {
        let mut state = self.state();
        state.skip();
        let is_due = state.later.peek().is_some_and(|Reverse((due, _))| *due <= now);
        let (position, returns) = match state.returned.pop_front() {
            Some(returned) => returned,
            None if is_due => (state.later.pop()?.0.1, 0),
            None if state.has_next() => {
                state.most = state.most.map(|most| most - 1);
                state.next += 1;
                (state.next - 1, 0)
            }
            None => return None,
        };
        let (index, digest) = match &state.feed {
            Some(feed) => *feed.came.get(position)?,
            None => (self.indices.at(position), self.digests[position]),
        };
        Some(Claim { position, index, digest, returns })
    }

    /// The message is about to be sent. Its last line must not be written before that is written down.
    pub fn begin(&self, claim: Claim, message_id: &str, over: Connected, slot: Option<i64>) -> Written {
        let current = &mut self.state().outcomes[claim.position];
        if !current.may_become(Outcome::Sending) {
            return oneshot::channel().1;
        }
        *current = Outcome::Sending;
        let (message_id, Connected { server, tls }, at) = (message_id.to_owned(), over, Timestamp::now());
        self.write(claim, || Attempt::Begins { message_id, server, tls, slot, at })
    }

    /// Gives back a message of which the server cannot have the end: it is queued again. With the reply's code, if there was
    /// one, and the enhanced one, and what was said or happened.
    pub fn give_back(&self, claim: Claim, code: Option<Codes>, said: &str) -> Written {
        self.requeue(Claim { returns: claim.returns + 1, ..claim }, code, said)
    }

    /// The same for a message of which the server has seen nothing at all.
    pub fn release(&self, claim: Claim, said: &str) -> Written {
        self.requeue(claim, None, said)
    }

    /// The same with the code of what the server said to that.
    pub fn requeue(&self, claim: Claim, code: Option<Codes>, said: &str) -> Written {
        let at = Timestamp::now();
        let mut state = self.state();
        let current = &mut state.outcomes[claim.position];
        let written = match *current {
            Outcome::Queued | Outcome::Deferred => {
                state.returned.push_back((claim.position, claim.returns));
                return written();
            }
            begun if begun.may_become(Outcome::Queued) => self.write(claim, || Attempt::Ends {
                outcome: Outcome::Queued,
                code,
                said: said.to_owned(),
                at,
                put_off: None,
            }),
            _ => return oneshot::channel().1,
        };
        *current = Outcome::Queued;
        state.returned.push_back((claim.position, claim.returns));
        written
    }

    /// What became of the message, with the reply's code and the enhanced one, and what was said. It counts once that is
    /// written down and [`settled`](Self::settle).
    pub fn end(&self, claim: Claim, outcome: Outcome, code: Option<Codes>, said: &str) -> Written {
        self.over(claim, outcome, code, said, None)
    }

    /// It is put off. The same, with when it is due again.
    pub fn put_off(&self, claim: Claim, put_off: PutOff, code: Option<Codes>, said: &str) -> Written {
        self.over(claim, Outcome::Deferred, code, said, Some(put_off))
    }

    fn over(
        &self,
        claim: Claim,
        outcome: Outcome,
        code: Option<Codes>,
        said: &str,
        put_off: Option<PutOff>,
    ) -> Written {
        if !self.state().outcomes[claim.position].may_become(outcome) {
            return oneshot::channel().1;
        }
        let at = Timestamp::now();
        self.write(claim, || Attempt::Ends { outcome, code, said: said.to_owned(), at, put_off })
    }

    /// What became of the message is written down; or nobody knows, and that it is in doubt cannot be written down.
    pub fn settle(&self, claim: Claim, outcome: Outcome) {
        self.state().outcomes[claim.position] = outcome;
    }

    /// The same of a message that is put off: it can be claimed again when it is due.
    pub fn settle_until_due(&self, claim: Claim, put_off: PutOff) {
        let mut state = self.state();
        state.outcomes[claim.position] = Outcome::Deferred;
        state.put_off.insert(claim.position, put_off);
        state.later.push(Reverse((put_off.due, claim.position)));
    }

    /// How often a message was put off before, if it was.
    #[must_use]
    pub fn was_put_off(&self, claim: Claim) -> Option<PutOff> {
        self.state().put_off.get(&claim.position).copied()
    }

    fn write(&self, claim: Claim, attempt: impl FnOnce() -> Attempt) -> Written {
        match &self.journal {
            Some(journal) => journal.write(claim.index, attempt()),
            None => written(),
        }
    }

    /// No more than so many are taken that were not before, or as many as there are.
    pub fn limit(&self, most: Option<usize>) {
        self.state().most = most;
    }

    /// How many messages have which outcome now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of_all(self.state().outcomes.iter().copied())
    }

    /// The list's indices of the messages with one of some outcomes, in the order of the list.
    #[must_use]
    pub fn with(&self, outcomes: &[Outcome]) -> Vec<usize> {
        let state = self.state();
        let all = self.indices.iter().zip(&state.outcomes);
        all.filter(|(_, outcome)| outcomes.contains(outcome)).map(|(index, _)| index).collect()
    }
}

impl State {
    /// Whether one can be taken for the first time.
    fn has_next(&self) -> bool {
        self.next < self.outcomes.len() && self.most.is_none_or(|most| most > 0)
    }

    /// Passes over what has its outcome from an earlier run.
    fn skip(&mut self) {
        while self.outcomes.get(self.next).is_some_and(|outcome| *outcome != Outcome::Queued) {
            self.next += 1;
        }
    }
}

/// A time as people read it, where they are.
pub(crate) fn day(time: Timestamp) -> String {
    time.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Something that need not be written down.
fn written() -> Written {
    let (sender, receiver) = oneshot::channel();
    let _ = sender.send(Ok(()));
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        let digests = vec![Digest::from([1; 32]), Digest::from([2; 32])];
        Outbox::new(Selection::All(2), digests, vec![Outcome::Queued; 2], 0, None)
    }

    #[test]
    fn a_message_is_given_to_one_and_comes_back_only_before_its_end() {
        let outbox = outbox();
        let (a, b) = (outbox.claim(Timestamp::now()).unwrap(), outbox.claim(Timestamp::now()).unwrap());
        assert_eq!((a.index, b.index, outbox.claim(Timestamp::now())), (0, 1, None));
        drop(outbox.give_back(a, None, "x"));
        let again = outbox.claim(Timestamp::now()).unwrap();
        assert_eq!((again.index, again.returns), (0, 1));
        let sent = |claim: Claim| {
            let (begun, ended) = (
                outbox.begin(claim, "<1@x.example>", Connected { server: String::new(), tls: None }, None),
                outbox.end(claim, Outcome::Sent, None, "250 ok"),
            );
            let written = [begun, ended].map(|mut written| written.try_recv().is_ok());
            if written[1] {
                outbox.settle(claim, Outcome::Sent);
            }
            written
        };
        assert_eq!(sent(again), [true, true]);
        assert_eq!(sent(again), [false, false]);
        drop(outbox.give_back(again, None, "x"));
        assert_eq!(outbox.claim(Timestamp::now()), None, "what was sent never comes back");
        assert_eq!((outbox.counts().of(Outcome::Sent), outbox.with(&[Outcome::Queued])), (1, vec![1]));
    }

    #[test]
    fn nothing_follows_what_was_sent_and_nothing_is_sent_without_its_mark() {
        assert!(Outcome::ALL.iter().all(|next| !Outcome::Sent.may_become(*next)));
        assert!(!Outcome::InDoubt.may_become(Outcome::Sending) && !Outcome::Failed.may_become(Outcome::Sending));
        assert!(!Outcome::Queued.may_become(Outcome::Sent));
        assert!(!Outcome::Queued.may_become(Outcome::InDoubt));
        let outbox = outbox();
        let claim = outbox.claim(Timestamp::now()).unwrap();
        assert!(outbox.end(claim, Outcome::Sent, None, "250 ok").try_recv().is_err());
        assert_eq!(outbox.counts().of(Outcome::Queued), 2);
    }
}
