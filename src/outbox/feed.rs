//! An outbox of a worker: it has no campaign, but batches of one that come while others are sent.

use std::{ops::Range, time::Duration};

use tokio::sync::watch;

use super::{Journal, Moment, Outbox, Outcome, PutOff};
use crate::{message::Digest, recipients::Selection};

/// A mark that was not written down within so long is not gone by: a lease is over after thirty seconds.
const LATE: Duration = Duration::from_secs(20);

/// A batch of a campaign's messages that nobody else has.
#[derive(Debug)]
pub struct Portion {
    /// What it is known by: the position of the first message of it.
    pub first: i64,
    /// The messages of it that may be sent now.
    pub messages: Vec<Portioned>,
}

/// A message of it.
#[derive(Debug)]
pub struct Portioned {
    /// The position of its recipient in the list.
    pub index: usize,
    /// What its bytes must be.
    pub digest: Digest,
    /// How often it was put off, if it was.
    pub put_off: Option<PutOff>,
}

/// What a worker has at the moment.
#[derive(Debug)]
pub(super) struct Feed {
    /// Whether more may come
    pub(super) is_open: bool,
    /// What came, each message behind the one before
    pub(super) came: Vec<(usize, Digest)>,
    portions: Vec<(i64, Range<usize>)>,
}

impl Outbox {
    /// One into which portions come. `largest` is the octets of the campaign's largest message.
    #[must_use]
    pub fn of_worker(largest: usize, journal: Journal) -> Self {
        let outbox = Self::new(Selection::Some(Vec::new()), Vec::new(), Vec::new(), largest, Some(journal));
        outbox.state().feed = Some(Feed { is_open: true, came: Vec::new(), portions: Vec::new() });
        outbox.left.send_replace(1);
        outbox
    }

    /// Whether portions come into it.
    #[must_use]
    pub fn is_fed(&self) -> bool {
        self.state().feed.is_some()
    }

    /// One more portion.
    pub fn feed(&self, portion: &Portion) {
        let mut state = self.state();
        let start = state.outcomes.len();
        let count = portion.messages.len();
        let Some(feed) = &mut state.feed else { return };
        feed.portions.push((portion.first, start..start + count));
        feed.came.extend(portion.messages.iter().map(|message| (message.index, message.digest)));
        let put_off = portion.messages.iter().enumerate();
        let put_off = put_off.filter_map(|(nth, message)| Some((start + nth, message.put_off?)));
        state.put_off.extend(put_off);
        state.outcomes.resize(start + count, Outcome::Queued);
        drop(state);
        self.left.send_modify(|left| *left += count);
        self.news.send_replace(());
    }

    /// No more come: the run ends with the last of what is there.
    pub fn end_feed(&self) {
        let mut state = self.state();
        let was_open = state.feed.as_mut().is_some_and(|feed| std::mem::replace(&mut feed.is_open, false));
        drop(state);
        if was_open {
            self.left.send_modify(|left| *left = left.saturating_sub(1));
            self.news.send_replace(());
        }
    }

    /// How many messages wait for somebody to take them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let state = self.state();
        state.returned.len() + state.outcomes.len().saturating_sub(state.next)
    }

    /// The portions of which nothing is left to do; they are no longer here.
    #[must_use]
    pub fn take_done(&self) -> Vec<i64> {
        self.take_portions(|outcomes| {
            outcomes.iter().all(|outcome| !matches!(outcome, Outcome::Queued | Outcome::Sending))
        })
    }

    /// Once a run has ended: the portions of which nothing is under way.
    #[must_use]
    pub fn take_rest(&self) -> Vec<i64> {
        self.take_portions(|outcomes| !outcomes.contains(&Outcome::Sending))
    }

    fn take_portions(&self, is_meant: impl Fn(&[Outcome]) -> bool) -> Vec<i64> {
        let mut state = self.state();
        let Some(mut feed) = state.feed.take() else { return Vec::new() };
        let (taken, left) =
            feed.portions.drain(..).partition(|(_, range)| state.outcomes.get(range.clone()).is_some_and(&is_meant));
        feed.portions = left;
        state.feed = Some(feed);
        let taken: Vec<(i64, Range<usize>)> = taken;
        taken.into_iter().map(|(first, _)| first).collect()
    }

    /// Tells when there is something that was not there before.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// How many messages have no outcome yet; one more as long as others may come.
    pub(crate) fn left(&self) -> &watch::Sender<usize> {
        &self.left
    }

    /// How many portions are here.
    #[must_use]
    pub fn portions(&self) -> usize {
        self.state().feed.as_ref().map_or(0, |feed| feed.portions.len())
    }

    /// Whether a mark that was asked for then is too old to go by: a worker's lease may be over.
    pub(crate) fn is_late(&self, since: Moment) -> bool {
        self.is_fed() && since.ago() > LATE
    }
}
