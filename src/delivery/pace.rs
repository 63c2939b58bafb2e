//! How fast: exact rolling windows.
//!
//! A window counts a transaction from the moment it begins, and forgets it a window's length after the server
//! has answered its first command. So the server, too, never sees more than `N` in any window, however long a
//! command travels.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::campaign::Rate;

/// Timers are not finer than this.
const TICK: Duration = Duration::from_millis(2);

/// The windows of one account, for all its connections.
#[derive(Debug)]
pub(super) struct Pace {
    windows: Mutex<Vec<Window>>,
    changed: Notify,
}

#[derive(Debug)]
struct Window {
    count: usize,
    length: Duration,
    /// When those that count were answered, oldest first.
    answered: VecDeque<Instant>,
    /// Begun, and not answered yet.
    open: usize,
}

/// The right to begin one transaction. Dropping it counts the transaction as answered now.
#[derive(Debug)]
pub(super) struct Slot {
    pace: Arc<Pace>,
}

/// When there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Now,
    At(Instant),
    /// When an open one is answered.
    OnceAnswered,
}

impl Pace {
    /// `past` says how long ago earlier transactions of the account were over, the oldest first.
    pub(super) fn new(rates: &[Rate], past: &[Duration]) -> Arc<Self> {
        let now = Instant::now();
        let answered = past.iter().map(|age| now.checked_sub(*age).unwrap_or(now));
        let window = |rate: &Rate| Window {
            count: rate.count().get() as usize,
            length: rate.window() + TICK,
            answered: answered.clone().collect(),
            open: 0,
        };
        Arc::new(Self { windows: Mutex::new(rates.iter().map(window).collect()), changed: Notify::new() })
    }

    fn windows(&self) -> MutexGuard<'_, Vec<Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a transaction may begin. `waiting` is told how long, if it is known to take a while.
    pub(super) async fn slot(self: &Arc<Self>, mut waiting: impl FnMut(Duration)) -> Slot {
        loop {
            // Listening begins before looking, so that no answer is missed in between.
            let changed = self.changed.notified();
            let now = Instant::now();
            match self.take(now) {
                Room::Now => return Slot { pace: Arc::clone(self) },
                Room::At(when) => {
                    waiting(when - now);
                    tokio::select! {
                        () = tokio::time::sleep_until(when) => {}
                        () = changed => {}
                    }
                }
                Room::OnceAnswered => changed.await,
            }
        }
    }

    /// Opens one in every window if every window has room.
    fn take(&self, now: Instant) -> Room {
        let mut windows = self.windows();
        let mut room = Room::Now;
        for window in windows.iter_mut() {
            room = room.later(window.room(now));
        }
        if room == Room::Now {
            windows.iter_mut().for_each(|window| window.open += 1);
        }
        room
    }
}

impl Room {
    fn later(self, other: Self) -> Self {
        match (self, other) {
            (Self::OnceAnswered, _) | (_, Self::OnceAnswered) => Self::OnceAnswered,
            (Self::At(one), Self::At(two)) => Self::At(one.max(two)),
            (Self::At(when), Self::Now) | (Self::Now, Self::At(when)) => Self::At(when),
            (Self::Now, Self::Now) => Self::Now,
        }
    }
}

impl Window {
    fn room(&mut self, now: Instant) -> Room {
        while self.answered.front().is_some_and(|answered| now.duration_since(*answered) >= self.length) {
            self.answered.pop_front();
        }
        if self.answered.len() + self.open < self.count {
            return Room::Now;
        }
        self.answered.front().map_or(Room::OnceAnswered, |oldest| Room::At(*oldest + self.length))
    }
}

impl Slot {
    /// The transaction was never begun and does not count.
    pub(super) fn unused(self) {
        self.close(None);
        std::mem::forget(self);
    }

    fn close(&self, answered: Option<Instant>) {
        for window in self.pace.windows().iter_mut() {
            window.open -= 1;
            window.answered.extend(answered);
        }
        self.pace.changed.notify_waiters();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.close(Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn earlier_transactions_count() {
        let seconds = |ages: &[u64]| ages.iter().map(|age| Duration::from_secs(*age)).collect::<Vec<_>>();
        let pace = Pace::new(&rates(&["3/min"]), &seconds(&[90, 50, 20]));
        let start = Instant::now();
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    fn rates(texts: &[&str]) -> Vec<Rate> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_ever_holds_more_however_slow_the_answers() {
        let pace = Pace::new(&rates(&["3/s", "5/min"]), &[]);
        let (sender, mut begun) = tokio::sync::mpsc::unbounded_channel();
        for worker in 0..4_u64 {
            let (pace, sender) = (Arc::clone(&pace), sender.clone());
            tokio::spawn(async move {
                for turn in 0..5_u64 {
                    let slot = pace.slot(|_| {}).await;
                    sender.send(Instant::now()).unwrap();
                    tokio::time::sleep(Duration::from_millis(worker * 130 + turn * 70)).await;
                    drop(slot);
                }
            });
        }
        drop(sender);
        let mut times = Vec::new();
        while let Some(time) = begun.recv().await {
            times.push(time);
        }
        assert_eq!(times.len(), 20);
        for (length, most) in [(Duration::from_secs(1), 3), (Duration::from_secs(60), 5)] {
            for (nth, first) in times.iter().enumerate() {
                let within = times[nth..].iter().filter(|time| time.duration_since(*first) < length).count();
                assert!(within <= most, "{within} within {length:?}");
            }
        }
        // and no slower than it must be: 20 at 5 a minute take three more windows
        assert!(times[19] - times[0] < Duration::from_secs(3 * 62), "{:?}", times[19] - times[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_slot_does_not_count() {
        let pace = Pace::new(&rates(&["1/hour"]), &[]);
        let start = Instant::now();
        pace.slot(|_| {}).await.unused();
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        let mut told = Duration::ZERO;
        drop(pace.slot(|wait| told = wait).await);
        assert!(start.elapsed() >= Duration::from_secs(3600) && told >= Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn without_rates_nothing_waits() {
        let pace = Pace::new(&[], &[]);
        for _ in 0..1000 {
            drop(pace.slot(|_| unreachable!()).await);
        }
    }
}
