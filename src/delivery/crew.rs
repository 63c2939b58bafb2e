//! How many connections are at work: one until the server has taken a first message, then as many as the account has; half as
//! many where the server has too many, and slowly more again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// So long without a refusal, and one more connection is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// The places for connections.
#[derive(Debug)]
pub(super) struct Crew {
    state: Mutex<State>,
    changed: Notify,
    most: usize,
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
    pub(super) fn new(most: usize) -> Self {
        let state = State { allowed: 1, taken: 0, ready: 0, is_trusted: false, changed: Instant::now() };
        Self { state: Mutex::new(state), changed: Notify::new(), most }
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
                if state.taken < state.allowed {
                    state.taken += 1;
                    return;
                }
            }
            changed.await;
        }
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

    /// Whether there are more connections than may be: one of them is to be closed.
    pub(super) fn is_too_large(&self) -> bool {
        let state = self.state();
        state.ready > state.allowed
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

    /// The server has too many connections; gives how many it may have from now on, if that is fewer.
    pub(super) fn refused(&self) -> Option<usize> {
        let mut state = self.state();
        state.changed = Instant::now();
        let fewer = (state.allowed / 2).max(1);
        (fewer < state.allowed).then(|| {
            state.allowed = fewer;
            fewer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_as_many_at_once_and_slowly_more_again() {
        let crew = Crew::new(8);
        crew.enter().await;
        assert!(tokio::time::timeout(Duration::from_secs(9), crew.enter()).await.is_err(), "one until it is trusted");
        crew.accepted();
        for _ in 1..8 {
            crew.enter().await;
        }
        (0..8).for_each(|_| crew.connected());
        assert_eq!((crew.refused(), crew.is_too_large()), (Some(4), true));
        for _ in 0..4 {
            assert!(crew.is_too_large());
            crew.disconnected();
            crew.leave();
        }
        assert!(!crew.is_too_large());
        crew.accepted();
        assert!(tokio::time::timeout(Duration::from_secs(9), crew.enter()).await.is_err());
        tokio::time::advance(PATIENCE).await;
        crew.accepted();
        crew.enter().await;
        assert_eq!([crew.refused(), crew.refused(), crew.refused()], [Some(2), Some(1), None]);
    }
}
