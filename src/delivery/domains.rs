//! What may go to some domains: rates and connections of their own, and the messages that wait for these.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

use super::{
    common::Common,
    pace::{Pace, Room, Slot},
};
use crate::outbox::{Claim, Limited, Work};

/// A database that is asked for the right to begin has so long, for the sake of a message that is to be next.
const ASKED: Duration = Duration::from_millis(300);

/// The limits of a run, and who keeps them busy.
pub(super) struct Domains {
    limits: Vec<Limit>,
    state: Mutex<Vec<State>>,
    /// Something may go now that could not before.
    changed: watch::Sender<()>,
}

struct Limit {
    domain: String,
    pace: Arc<Pace>,
    connections: usize,
    /// What others share of it. What this run does itself is known here, too, and what was sent before anybody shared anything.
    common: Option<Arc<Common>>,
}

/// What is under way to a domain, and what waits.
#[derive(Default)]
struct State {
    /// How many messages which seat has for it.
    seats: HashMap<usize, usize>,
    waiting: VecDeque<Claim>,
}

/// The right to send one message to a domain that has limits. Dropping it counts the message.
pub(super) struct Pass {
    domains: Arc<Domains>,
    limit: usize,
    seat: usize,
    slot: Option<Slot>,
    /// The same of what others share
    granted: Option<Slot>,
}

impl Domains {
    /// Limits, each with what counts already. With `spread` messages go evenly over the time that each rate gives.
    pub(super) fn new(limits: Vec<Limited>, spread: bool) -> Arc<Self> {
        let changed = watch::Sender::new(());
        let limits: Vec<Limit> = limits
            .into_iter()
            .map(|Limited { limit, past, slots, places }| Limit {
                pace: Pace::starting_with(&limit.rates, spread, &past),
                connections: limit.connections.map_or(usize::MAX, std::num::NonZeroUsize::get),
                common: Common::new(&limit.rates, spread, slots, places, changed.clone()),
                domain: limit.domain,
            })
            .collect();
        let state = limits.iter().map(|_| State::default()).collect();
        Arc::new(Self { limits, state: Mutex::new(state), changed })
    }

    /// Why nobody knows any more what may go, if so.
    pub(super) fn why(&self) -> Option<String> {
        self.limits.iter().find_map(|limit| limit.common.as_ref()?.why())
    }

    fn state(&self) -> MutexGuard<'_, Vec<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when something may go that could not before.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether a message that waits can go over the connection of a seat.
    pub(super) fn work(&self, seat: usize) -> Work {
        let (state, now) = (self.state(), Instant::now());
        let waiting = self.limits.iter().zip(state.iter()).filter(|(_, state)| !state.waiting.is_empty());
        let work = |(limit, state): (&Limit, &State)| match limit.pace.room(now) {
            _ if !limit.lets(state, seat) => Work::Unknown,
            Room::Now => limit.common.as_ref().map_or(Work::Now, |common| common.work(state.is_further(seat))),
            Room::At(when) => Work::At(Timestamp::now() + when.saturating_duration_since(now)),
            Room::OnceAnswered => Work::Unknown,
        };
        waiting.map(work).fold(Work::None, Work::or)
    }

    /// Waits a moment, if the right to send a message that waits, over the connection of a seat, is being asked for.
    pub(super) async fn about_to(self: &Arc<Self>, seat: usize) {
        let mut changes = self.changes();
        let asked = async { while self.is_about_to(seat) && changes.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(ASKED, asked).await;
    }

    fn is_about_to(&self, seat: usize) -> bool {
        let (state, now) = (self.state(), Instant::now());
        self.limits.iter().zip(state.iter()).any(|(limit, state)| {
            let may = !state.waiting.is_empty() && limit.lets(state, seat) && limit.pace.room(now) == Room::Now;
            may && limit.common.as_ref().is_some_and(|common| common.is_about_to(state.is_further(seat)))
        })
    }

    /// The next message that may go over the connection of a seat: one that waited, or else one of those that `claim` gives.
    pub(super) fn next(
        self: &Arc<Self>,
        seat: usize,
        mut claim: impl FnMut() -> Option<Claim>,
        domain_of: impl Fn(Claim) -> String,
    ) -> Option<(Claim, Option<Pass>)> {
        if self.limits.is_empty() {
            return Some((claim()?, None));
        }
        let mut state = self.state();
        for (number, limit) in self.limits.iter().enumerate() {
            if !state[number].waiting.is_empty()
                && let Some(pass) = self.pass(number, limit, &mut state[number], seat)
                && let Some(claim) = state[number].waiting.pop_front()
            {
                return Some((claim, Some(pass)));
            }
        }
        while let Some(claim) = claim() {
            let domain = domain_of(claim);
            let Some(number) = self.limits.iter().position(|limit| limit.domain.eq_ignore_ascii_case(&domain)) else {
                return Some((claim, None));
            };
            let (limit, state) = (&self.limits[number], &mut state[number]);
            // Those who wait already go first, and they cannot.
            match state.waiting.is_empty().then(|| self.pass(number, limit, state, seat)).flatten() {
                Some(pass) => return Some((claim, Some(pass))),
                None => state.waiting.push_back(claim),
            }
        }
        None
    }

    fn pass(self: &Arc<Self>, number: usize, limit: &Limit, state: &mut State, seat: usize) -> Option<Pass> {
        if !limit.lets(state, seat) || limit.pace.room(Instant::now()) != Room::Now {
            return None;
        }
        let granted = match &limit.common {
            Some(common) => common.take(state.is_further(seat))?.0,
            None => None,
        };
        let slot = limit.pace.slot_now();
        *state.seats.entry(seat).or_default() += 1;
        Some(Pass { domains: Arc::clone(self), limit: number, seat, slot, granted })
    }
}

impl Drop for Domains {
    fn drop(&mut self) {
        self.limits.iter().filter_map(|limit| limit.common.as_ref()).for_each(|common| common.end());
    }
}

impl State {
    /// Whether a seat has nothing for it yet.
    fn is_further(&self, seat: usize) -> bool {
        !self.seats.contains_key(&seat)
    }
}

impl Limit {
    /// Whether one more message can be under way over the connection of a seat.
    fn lets(&self, state: &State, seat: usize) -> bool {
        state.seats.len() < self.connections || state.seats.contains_key(&seat)
    }
}

impl Pass {
    /// The message was never begun and does not count.
    pub(super) fn unused(mut self) {
        for slot in [self.slot.take(), self.granted.take()].into_iter().flatten() {
            slot.unused();
        }
    }

    /// Whether it may still be used.
    pub(super) fn is_good(&self) -> bool {
        self.granted.as_ref().is_none_or(Slot::is_good)
    }

    /// Whether somebody else may use it by now.
    pub(super) fn is_late(&self) -> bool {
        self.granted.as_ref().is_some_and(Slot::is_late)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        drop((self.slot.take(), self.granted.take()));
        {
            let mut state = self.domains.state();
            let State { seats, waiting } = &mut state[self.limit];
            if let Some(count) = seats.get_mut(&self.seat) {
                *count -= 1;
                if *count == 0 {
                    seats.remove(&self.seat);
                }
            }
            if let Some(common) = &self.domains.limits[self.limit].common {
                common.is_over(!seats.contains_key(&self.seat), !waiting.is_empty());
            }
        }
        self.domains.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        campaign::DomainLimit,
        message::Digest,
        outbox::{News, Outbox, Outcome},
        recipients::Selection,
    };

    /// Ten people; those at even places are at `slow.example`.
    fn outbox() -> Outbox {
        Outbox::new(Selection::All(10), vec![Digest::from([0; 32]); 10], vec![Outcome::Queued; 10], 0, None)
    }

    fn domain_of(claim: Claim) -> String {
        if claim.index.is_multiple_of(2) { "Slow.example" } else { "other.example" }.to_owned()
    }

    fn domains(rates: &[&str], connections: usize) -> Arc<Domains> {
        let rates = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        let limit =
            DomainLimit { domain: "slow.example".into(), rates, connections: std::num::NonZeroUsize::new(connections) };
        Domains::new(vec![Limited::alone(limit, News::default())], false)
    }

    #[tokio::test(start_paused = true)]
    async fn the_others_do_not_wait_for_a_domain_that_is_slow() {
        let (domains, outbox) = (domains(&["2/min"], 0), outbox());
        let next = |seat| domains.next(seat, || outbox.claim(Timestamp::now()), domain_of);
        let mut order = Vec::new();
        while let Some((claim, _pass)) = next(0) {
            order.push(claim.index);
        }
        assert_eq!(order, [0, 1, 2, 3, 5, 7, 9]);
        assert!(matches!(domains.work(0), Work::At(_)) && outbox.work(Timestamp::now()) == Work::None);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(domains.work(0), Work::Now);
        let later: Vec<_> = std::iter::from_fn(|| next(0).map(|(claim, _)| claim.index)).collect();
        assert_eq!(later, [4, 6]);
    }

    #[tokio::test]
    async fn one_connection_at_a_time_goes_to_a_domain_that_takes_one() {
        let (domains, outbox) = (domains(&[], 1), outbox());
        let next = |seat| domains.next(seat, || outbox.claim(Timestamp::now()), domain_of);
        let (first, pass) = next(0).unwrap();
        assert_eq!(next(1).unwrap().0.index, 1);
        assert_eq!(next(1).unwrap().0.index, 3, "2 waits, since seat 0 writes there");
        assert_eq!((domains.work(1), domains.work(0)), (Work::Unknown, Work::Now));
        let (behind, again) = next(0).unwrap();
        assert_eq!((first.index, behind.index), (0, 2));
        drop((pass, again));
        assert_eq!(next(1).unwrap().0.index, 4);
    }

    #[tokio::test]
    async fn what_was_not_begun_does_not_count() {
        let (domains, outbox) = (domains(&["1/hour"], 0), outbox());
        let next = || domains.next(0, || outbox.claim(Timestamp::now()), domain_of);
        let (claim, pass) = next().unwrap();
        pass.unwrap().unused();
        drop(outbox.release(claim, ""));
        assert_eq!(next().unwrap().0.index, 0);
    }
}
