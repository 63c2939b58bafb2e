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

use crate::{
    campaign::Rate,
    outbox::{Ledger, News, StoreError},
};

/// Timers are not finer than this.
const TICK: Duration = Duration::from_millis(2);

/// So often it is looked whether transactions of other programs are over, where these are in the way.
const POLL: Duration = Duration::from_millis(200);

/// The windows of one account, for all its connections.
#[derive(Debug)]
pub(super) struct Pace {
    windows: Mutex<Vec<Window>>,
    changed: Notify,
    /// Where other programs share the account; what it says is taken into account before it is asked again
    ledger: Option<tokio::sync::Mutex<Ledger>>,
}

#[derive(Debug)]
struct Window {
    count: usize,
    length: Duration,
    /// When those that count were answered, oldest first.
    answered: VecDeque<Instant>,
    /// Begun, and not answered yet.
    open: usize,
    /// The same of other programs.
    elsewhere: usize,
}

/// The right to begin one transaction. Dropping it counts the transaction as answered now.
#[derive(Debug)]
pub(super) struct Slot {
    pace: Arc<Pace>,
    number: Option<i64>,
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
    /// `ledger` is where other programs share the account, with what counts already.
    pub(super) fn new(rates: &[Rate], ledger: Option<(Ledger, News)>) -> Arc<Self> {
        let window = |rate: &Rate| Window {
            count: rate.count().get() as usize,
            length: rate.window() + TICK,
            answered: VecDeque::new(),
            open: 0,
            elsewhere: 0,
        };
        let (ledger, past) = ledger.unzip();
        let windows = Mutex::new(rates.iter().map(window).collect());
        let pace = Self { windows, changed: Notify::new(), ledger: ledger.map(tokio::sync::Mutex::new) };
        if let Some(past) = past {
            pace.learn(&past);
        }
        Arc::new(pace)
    }

    fn windows(&self) -> MutexGuard<'_, Vec<Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes into account what other programs did.
    fn learn(&self, news: &News) {
        let now = Instant::now();
        for window in self.windows().iter_mut() {
            window.elsewhere = (window.elsewhere + news.opened).saturating_sub(news.closed);
            for age in &news.over {
                let over = now.checked_sub(*age).unwrap_or(now);
                let place = window.answered.partition_point(|answered| *answered <= over);
                window.answered.insert(place, over);
            }
        }
    }

    /// Waits until a transaction may begin. `waiting` is told how long, if it is known to take a while. An error says why that
    /// cannot be agreed on with other programs.
    pub(super) async fn slot(self: &Arc<Self>, mut waiting: impl FnMut(Duration)) -> Result<Slot, String> {
        loop {
            // Listening begins before looking, so that no answer is missed in between.
            let changed = self.changed.notified();
            let ledger = match &self.ledger {
                Some(ledger) => Some(ledger.lock().await),
                None => None,
            };
            let now = Instant::now();
            let until = match self.take(now) {
                Room::Now => {
                    let mut slot = Slot { pace: Arc::clone(self), number: None };
                    let Some(ledger) = ledger else { return Ok(slot) };
                    let asking = Ledger::clone(&ledger);
                    match asked(move || asking.take()).await? {
                        Ok(number) => {
                            slot.number = Some(number);
                            return Ok(slot);
                        }
                        Err(news) => {
                            slot.unused();
                            self.learn(&news);
                            continue;
                        }
                    }
                }
                Room::At(when) => {
                    waiting(when - now);
                    Some(when)
                }
                Room::OnceAnswered => None,
            };
            drop(ledger);
            let is_elsewhere = self.windows().iter().any(|window| window.elsewhere > 0);
            let until =
                if is_elsewhere { Some(until.map_or(now + POLL, |until| until.min(now + POLL))) } else { until };
            match until {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
            if is_elsewhere && let Some(ledger) = &self.ledger {
                let ledger = ledger.lock().await;
                let asking = Ledger::clone(&ledger);
                self.learn(&asked(move || asking.look()).await?);
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
        if self.answered.len() + self.open + self.elsewhere < self.count {
            return Room::Now;
        }
        self.answered.front().map_or(Room::OnceAnswered, |oldest| Room::At(*oldest + self.length))
    }
}

/// Asks the record, which takes its time.
async fn asked<T: Send + 'static>(ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, String> {
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.map_err(|why| why.to_string())?.map_err(|why| why.to_string())
}

impl Slot {
    /// Its number in the record.
    pub(super) fn number(&self) -> Option<i64> {
        self.number
    }

    /// The transaction was never begun and does not count.
    pub(super) fn unused(self) {
        self.close(None);
        if let Some(number) = self.number {
            let pace = Arc::clone(&self.pace);
            tokio::spawn(async move {
                if let Some(ledger) = &pace.ledger {
                    let ledger = Ledger::clone(&*ledger.lock().await);
                    let _ = tokio::task::spawn_blocking(move || ledger.give_back(number)).await;
                }
            });
        }
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
    async fn what_other_programs_do_counts() {
        let pace = Pace::new(&rates(&["3/min"]), None);
        let over = |ages: &[u64]| ages.iter().map(|age| Duration::from_secs(*age)).collect();
        pace.learn(&News { over: over(&[90, 50, 20]), ..News::default() });
        let start = Instant::now();
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed().as_secs(), 10);
        // One more is under way elsewhere: it counts until a minute after it is over.
        pace.learn(&News { opened: 1, ..News::default() });
        let learned = Arc::clone(&pace);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(35)).await;
            learned.learn(&News { closed: 1, over: over(&[5]), ..News::default() });
        });
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed().as_secs(), 60);
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed().as_secs(), 70);
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed().as_secs(), 100);
    }

    fn rates(texts: &[&str]) -> Vec<Rate> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_ever_holds_more_however_slow_the_answers() {
        let pace = Pace::new(&rates(&["3/s", "5/min"]), None);
        let (sender, mut begun) = tokio::sync::mpsc::unbounded_channel();
        for worker in 0..4_u64 {
            let (pace, sender) = (Arc::clone(&pace), sender.clone());
            tokio::spawn(async move {
                for turn in 0..5_u64 {
                    let slot = pace.slot(|_| {}).await.unwrap();
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
        let pace = Pace::new(&rates(&["1/hour"]), None);
        let start = Instant::now();
        pace.slot(|_| {}).await.unwrap().unused();
        drop(pace.slot(|_| {}).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        let mut told = Duration::ZERO;
        drop(pace.slot(|wait| told = wait).await);
        assert!(start.elapsed() >= Duration::from_secs(3600) && told >= Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn without_rates_nothing_waits() {
        let pace = Pace::new(&[], None);
        for _ in 0..1000 {
            drop(pace.slot(|_| unreachable!()).await);
        }
    }
}
