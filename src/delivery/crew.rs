//! How many connections are at work: one until the server has taken a first message, then as many as the account has; half as
//! many where the server has too many, and slowly more again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::pace::asked;
use crate::outbox::{OpenPlace, Places};

/// So long without a refusal, and one more connection is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// So often it is looked whether a connection may be opened that others share, or whether one's own share has changed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The places for connections.
pub(super) struct Crew {
    state: Mutex<State>,
    changed: Notify,
    most: usize,
    /// Where others share them, too: where the right to each is had
    places: Option<Arc<Places>>,
    /// How many are one's own at the moment
    share: AtomicUsize,
    /// So many seats wait for the right to one
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State {
    allowed: usize,
    taken: usize,
    /// Connections that are ready for mail.
    ready: usize,
    /// Whether the server has taken a message.
    is_trusted: bool,
    /// When it was last found that there are too many, or one more was let in.
    changed: Instant,
}

impl Crew {
    pub(super) fn new(most: usize, places: Option<Arc<Places>>) -> Self {
        let state = State { allowed: 1, taken: 0, ready: 0, is_trusted: false, changed: Instant::now() };
        let share = AtomicUsize::new(if places.is_some() { 1 } else { usize::MAX });
        let waiting = AtomicUsize::new(0);
        Self { state: Mutex::new(state), changed: Notify::new(), most, places, share, waiting }
    }

    /// Looks again and again how many connections are one's own, where others share them. Ends where nobody does.
    pub(super) async fn share(&self) {
        let Some(places) = &self.places else { return };
        loop {
            // Who asks is one more among whom they are shared.
            let has_none = self.share.load(Ordering::Relaxed) == 0;
            if has_none || self.waiting.load(Ordering::Relaxed) > 0 || self.ready() > 0 {
                let asking = Arc::clone(places);
                // A database that does not answer is no reason to have fewer.
                if let Ok(share) = asked(move || asking.share()).await
                    && self.share.swap(share, Ordering::Relaxed) < share
                {
                    self.changed.notify_waiters();
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether others share them.
    pub(super) fn is_shared(&self) -> bool {
        self.places.is_some()
    }

    /// Waits for the right to open a connection, where others share them; none where nobody does.
    pub(super) async fn place(&self) -> Result<Option<OpenPlace>, String> {
        let Some(places) = &self.places else { return Ok(None) };
        let _waits = Waits::with(&self.waiting);
        ask_for_place(places).await.map(Some)
    }

    /// The same, if it is to be had at once.
    pub(super) async fn place_at_once(&self) -> Result<Option<OpenPlace>, String> {
        match &self.places {
            Some(places) => place_at_once(places).await,
            None => Ok(None),
        }
    }

    /// So many connections may be open, out of those that the server lets in.
    fn own(&self, allowed: usize) -> usize {
        allowed.min(self.share.load(Ordering::Relaxed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.taken < self.own(state.allowed) {
                    state.taken += 1;
                    return;
                }
            }
            changed.await;
        }
    }

    /// Takes a place for a connection that is there.
    pub(super) fn enter_with_connection(&self) {
        self.state().taken += 1;
    }

    /// Gives a place back.
    pub(super) fn leave(&self) {
        self.state().taken -= 1;
        self.changed.notify_waiters();
    }

    /// A connection is ready for mail.
    pub(super) fn connected(&self) {
        self.state().ready += 1;
    }

    /// It is no more.
    pub(super) fn disconnected(&self) {
        self.state().ready -= 1;
    }

    /// How many connections are ready for mail.
    pub(super) fn ready(&self) -> usize {
        self.state().ready
    }

    /// Whether there are more connections than may be. Then one of them counts no longer, and is to be closed.
    pub(super) fn gives_one_up(&self) -> bool {
        let mut state = self.state();
        let is_too_large = state.ready > self.own(state.allowed);
        state.ready -= usize::from(is_too_large);
        is_too_large
    }

    /// Whether there are more connections than may be.
    pub(super) fn is_too_large(&self) -> bool {
        let state = self.state();
        state.ready > self.own(state.allowed)
    }

    /// The server has taken a message.
    pub(super) fn accepted(&self) {
        let mut state = self.state();
        if !state.is_trusted {
            state.is_trusted = true;
            state.allowed = self.most;
        } else if state.allowed < self.most && state.changed.elapsed() >= PATIENCE {
            state.allowed += 1;
        } else {
            return;
        }
        state.changed = Instant::now();
        drop(state);
        self.changed.notify_waiters();
    }

    /// The server has too many connections: half as many from now on. Gives how many, if that is fewer.
    pub(super) fn refused(&self) -> Option<usize> {
        let mut state = self.state();
        let half = state.allowed / 2;
        state.shrink(half)
    }

    /// The server lets no more connections in than are ready. The same.
    pub(super) fn refused_another(&self) -> Option<usize> {
        let mut state = self.state();
        let ready = state.ready;
        state.shrink(ready)
    }
}

/// Somebody who waits, until this is dropped.
struct Waits<'w>(&'w AtomicUsize);

impl<'w> Waits<'w> {
    fn with(waiting: &'w AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for the right to open a connection that others share.
pub(super) async fn ask_for_place(places: &Arc<Places>) -> Result<OpenPlace, String> {
    loop {
        if let Some(place) = place_at_once(places).await? {
            return Ok(place);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn place_at_once(places: &Arc<Places>) -> Result<Option<OpenPlace>, String> {
    let asking = Arc::clone(places);
    asked(move || asking.take()).await
}

impl State {
    fn shrink(&mut self, most: usize) -> Option<usize> {
        self.changed = Instant::now();
        let fewer = most.max(1);
        (fewer < self.allowed).then(|| {
            self.allowed = fewer;
            fewer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_as_many_at_once_and_slowly_more_again() {
        let crew = Crew::new(8, None);
        crew.enter().await;
        assert!(tokio::time::timeout(Duration::from_secs(9), crew.enter()).await.is_err(), "one until it is trusted");
        crew.accepted();
        for _ in 1..8 {
            crew.enter().await;
        }
        (0..8).for_each(|_| crew.connected());
        assert_eq!((crew.refused(), crew.is_too_large()), (Some(4), true));
        for _ in 0..4 {
            assert!(crew.is_too_large() && crew.gives_one_up());
            crew.leave();
        }
        assert!(!crew.is_too_large() && !crew.gives_one_up());
        crew.accepted();
        assert!(tokio::time::timeout(Duration::from_secs(9), crew.enter()).await.is_err());
        tokio::time::advance(PATIENCE).await;
        crew.accepted();
        crew.enter().await;
        assert_eq!([crew.refused(), crew.refused(), crew.refused()], [Some(2), Some(1), None]);
        let crew = Crew::new(6, None);
        crew.accepted();
        (0..3).for_each(|_| crew.connected());
        assert_eq!([crew.refused_another(), crew.refused_another()], [Some(3), None], "those that were let in stay");
    }
}
