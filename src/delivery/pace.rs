//! How fast: exact rolling windows.
//!
//! A window counts a transaction from the moment it begins, and forgets it a window's length after the server
//! has answered its first command. So the server, too, never sees more than `N` in any window, however long a
//! command travels.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

#[cfg(feature = "postgres")]
use crate::outbox::{Given, Grants, Moment};
use crate::{
    campaign::Rate,
    outbox::{Ledger, News, SeenLedger, StoreError},
};

/// Timers are not finer than this.
const TICK: Duration = Duration::from_millis(2);

/// So often it is looked whether transactions of other programs are over, where these are in the way.
const POLL: Duration = Duration::from_millis(200);

/// A database that says when there will be room is asked again after so long at the latest.
#[cfg(feature = "postgres")]
const MOST_PATIENCE: Duration = Duration::from_secs(5);

/// A slot of a database's is begun within so long of when it was had here.
pub(super) const MOST_AGE: Duration = Duration::from_secs(1);

/// Whoever was not heard of for longer is taken for gone, and slots with it.
#[cfg(feature = "postgres")]
const LATE: Duration = Duration::from_secs(20);

/// A server that wants to be asked for less is never left alone for longer.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// The windows of one account, for all its connections.
#[derive(Debug)]
pub(super) struct Pace {
    windows: Mutex<Vec<Window>>,
    changed: Notify,
    /// The server wants to be asked for less.
    held: Mutex<Held>,
    /// Between two beginnings, where they are to be spread evenly.
    gap: Duration,
    next: Mutex<Option<Instant>>,
    /// Where other programs share the account; what it says is taken into account before it is asked again
    ledger: Option<tokio::sync::Mutex<SeenLedger>>,
    /// Where a database says when there is room, and there are no windows here
    #[cfg(feature = "postgres")]
    grants: Option<(Arc<Grants>, AsyncWindows)>,
}

/// The windows that a database is asked about, by number and length, one question at a time.
#[cfg(feature = "postgres")]
type AsyncWindows = tokio::sync::Mutex<Vec<(usize, Duration)>>;

/// How a server that was asked too much is left alone.
#[derive(Debug, Default)]
struct Held {
    /// Nothing is begun before.
    until: Option<Instant>,
    /// How long it was the last time.
    last: Duration,
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

/// A slot on its way to whoever wants it. Where nobody does any more it goes back.
#[cfg(feature = "postgres")]
struct Loose(Arc<Grants>, Option<i64>);

#[cfg(feature = "postgres")]
impl Drop for Loose {
    fn drop(&mut self) {
        if let Some(number) = self.1 {
            self.0.put_back(number);
            tidy(&self.0);
        }
    }
}

/// The right to begin one transaction. Dropping it counts the transaction as answered now.
#[derive(Debug)]
pub(super) struct Slot {
    pace: Arc<Pace>,
    number: Option<i64>,
    /// Whether it was written down that a transaction begins with it
    is_told: AtomicBool,
    is_closed: bool,
    /// When it was had
    #[cfg(feature = "postgres")]
    since: Moment,
}

/// When there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Now,
    At(Instant),
    /// When an open one is answered.
    OnceAnswered,
}

impl Pace {
    /// `ledger` is where other programs share the account, with what counts already. With `spread` there is as much time between
    /// any two as the slowest rate gives to each.
    pub(super) fn new(rates: &[Rate], spread: bool, ledger: Option<(Ledger, News)>) -> Arc<Self> {
        let gap = |rate: &Rate| rate.window() / rate.count().get();
        let gap = rates.iter().filter(|_| spread).map(gap).max().unwrap_or_default();
        #[cfg(feature = "postgres")]
        let asked_for: Vec<_> = {
            let spread = (!gap.is_zero()).then_some((1, gap));
            rates.iter().map(|rate| (rate.count().get() as usize, rate.window() + TICK)).chain(spread).collect()
        };
        let window = |rate: &Rate| Window {
            count: rate.count().get() as usize,
            length: rate.window() + TICK,
            answered: VecDeque::new(),
            open: 0,
            elsewhere: 0,
        };
        let (ledger, past) = ledger.unzip();
        #[cfg(feature = "postgres")]
        let (ledger, grants) = match ledger {
            Some(Ledger::Granted(grants)) => (None, Some(grants)),
            Some(Ledger::Seen(seen)) => (Some(seen), None),
            None => (None, None),
        };
        #[cfg(not(feature = "postgres"))]
        let ledger = ledger.map(|Ledger::Seen(seen)| seen);
        #[cfg(feature = "postgres")]
        let rates = if grants.is_some() { &[] } else { rates };
        let windows = Mutex::new(rates.iter().map(window).collect());
        let pace = Self {
            windows,
            changed: Notify::new(),
            held: Mutex::default(),
            gap,
            next: Mutex::default(),
            ledger: ledger.map(tokio::sync::Mutex::new),
            #[cfg(feature = "postgres")]
            grants: grants.map(|grants| (grants, tokio::sync::Mutex::new(asked_for))),
        };
        if let Some(past) = past {
            pace.learn(&past);
        }
        Arc::new(pace)
    }

    /// One that nobody else shares, with what counts already.
    pub(super) fn starting_with(rates: &[Rate], spread: bool, past: &News) -> Arc<Self> {
        let pace = Self::new(rates, spread, None);
        pace.learn(past);
        pace
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

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server wants to be asked for less: nothing is begun for a while, at first for so long, and twice as long each time
    /// that it says so again. Gives how long.
    pub(super) fn slow_down(&self, first: Duration) -> Duration {
        let now = Instant::now();
        let mut held = self.held();
        if let Some(left) =
            held.until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
        {
            // What was under way over other connections hears the same.
            return left;
        }
        held.last = (held.last * 2).clamp(first, LONGEST_HOLD.max(first));
        held.until = Some(now + held.last);
        held.last
    }

    /// The server took a message.
    pub(super) fn goes_well(&self) {
        let mut held = self.held();
        held.last = held.last * 15 / 16;
    }

    /// Whether connections may have to rest.
    pub(super) fn is_slow(&self) -> bool {
        #[cfg(feature = "postgres")]
        if self.grants.is_some() {
            return true;
        }
        !self.windows().is_empty()
    }

    /// Nothing is begun for a while: what was given by others for that goes back.
    #[cfg_attr(not(feature = "postgres"), allow(clippy::unused_self, reason = "nobody gives any"))]
    pub(super) fn rests(&self) {
        #[cfg(feature = "postgres")]
        if let Some((grants, _)) = self.grants.as_ref().filter(|(grants, _)| grants.has_unused()) {
            let grants = Arc::clone(grants);
            tokio::task::spawn_blocking(move || grants.give_back());
        }
    }

    /// Lets a database know what of its is over, or goes back unused. Nobody waits for it.
    #[cfg_attr(not(feature = "postgres"), allow(clippy::unused_self, reason = "nobody gives any"))]
    pub(super) fn tidy(&self) {
        #[cfg(feature = "postgres")]
        if let Some((grants, _)) = &self.grants {
            tidy(grants);
        }
    }

    /// The right to begin that a database gave before.
    #[cfg_attr(
        not(feature = "postgres"),
        allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "nothing else gives any")
    )]
    pub(super) fn granted_before(self: &Arc<Self>) -> Option<Slot> {
        #[cfg(feature = "postgres")]
        if let Some((grants, _)) = &self.grants {
            return grants.at_once().map(|number| Slot::new(self, Some(number)));
        }
        None
    }

    /// The right to begin, if it can be had without waiting for it.
    pub(super) async fn slot_at_once(self: &Arc<Self>) -> Option<Result<Slot, String>> {
        self.try_slot().await.map(Result::ok).transpose()
    }

    /// The right to begin, or when there is room. An error says why that cannot be agreed on with other programs.
    async fn try_slot(self: &Arc<Self>) -> Result<Result<Slot, Room>, String> {
        let slot = || Slot::new(self, None);
        let now = Instant::now();
        if let Some(until) = self.held().until.filter(|until| *until > now) {
            return Ok(Err(Room::At(until)));
        }
        #[cfg(feature = "postgres")]
        if let Some((grants, windows)) = &self.grants {
            return self.granted(grants, windows).await;
        }
        if !self.is_slow() {
            return Ok(Ok(slot()));
        }
        let ledger = match &self.ledger {
            Some(ledger) => Some(ledger.lock().await),
            None => None,
        };
        let room = self.take(Instant::now());
        if room != Room::Now {
            return Ok(Err(room));
        }
        let mut slot = slot();
        let Some(ledger) = ledger else { return Ok(Ok(slot)) };
        let asking = SeenLedger::clone(&ledger);
        let (sender, taken) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            // Whoever waited for it may have given up meanwhile.
            if let Err(Ok(Ok(number))) = sender.send(asking.take()) {
                asking.give_back(number);
            }
        });
        let taken = taken.await.map_err(|why| why.to_string())?.map_err(|why| why.to_string())?;
        match taken {
            Ok(number) => {
                slot.number = Some(number);
                Ok(Ok(slot))
            }
            Err(news) => {
                slot.unused();
                self.learn(&news);
                Ok(Err(Room::Now))
            }
        }
    }

    /// The same where a database says when there is room. One question is asked at a time.
    #[cfg(feature = "postgres")]
    async fn granted(
        self: &Arc<Self>,
        grants: &Arc<Grants>,
        windows: &AsyncWindows,
    ) -> Result<Result<Slot, Room>, String> {
        if let Some(slot) = self.granted_before() {
            return Ok(Ok(slot));
        }
        let windows = windows.lock().await;
        let (asking, of) = (Arc::clone(grants), windows.clone());
        let (sender, given) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let given = asking.ask(&of);
            // Whoever waited for it may have given up meanwhile, before this or behind it.
            let loose = Loose(asking, if let Ok(Given::Slot(number)) = given { Some(number) } else { None });
            drop(sender.send((given, loose)));
        });
        let (given, mut loose) = given.await.map_err(|why| why.to_string())?;
        Ok(match given.map_err(|why| why.to_string())? {
            Given::Slot(number) => {
                loose.1 = None;
                Ok(Slot::new(self, Some(number)))
            }
            Given::Later(wait) => Err(Room::At(Instant::now() + wait.unwrap_or(POLL).max(Duration::from_millis(1)))),
        })
    }

    /// Waits until a transaction may begin. `waiting` is told how long, if it is known to take a while. An error says why that
    /// cannot be agreed on with other programs.
    pub(super) async fn slot(self: &Arc<Self>, mut waiting: impl FnMut(Duration)) -> Result<Slot, String> {
        loop {
            // Listening begins before looking, so that no answer is missed in between.
            let changed = self.changed.notified();
            let until = match self.try_slot().await? {
                Ok(slot) => return Ok(slot),
                // Another program was faster.
                Err(Room::Now) => continue,
                Err(Room::At(when)) => {
                    waiting(when.saturating_duration_since(Instant::now()));
                    Some(when)
                }
                Err(Room::OnceAnswered) => None,
            };
            let now = Instant::now();
            let is_elsewhere = self.windows().iter().any(|window| window.elsewhere > 0);
            let until =
                if is_elsewhere { Some(until.map_or(now + POLL, |until| until.min(now + POLL))) } else { until };
            // What others give back may be had sooner.
            #[cfg(feature = "postgres")]
            let until = if self.grants.is_some() { until.map(|until| until.min(now + MOST_PATIENCE)) } else { until };
            match until {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
            if is_elsewhere && let Some(ledger) = &self.ledger {
                let ledger = ledger.lock().await;
                let asking = SeenLedger::clone(&ledger);
                self.learn(&asked(move || asking.look()).await?);
            }
        }
    }

    /// The right to begin, where it is agreed on with nobody else and is to be had at once.
    pub(super) fn slot_now(self: &Arc<Self>) -> Option<Slot> {
        (self.take(Instant::now()) == Room::Now).then(|| Slot::new(self, None))
    }

    /// When there is room.
    pub(super) fn room(&self, now: Instant) -> Room {
        let mut windows = self.windows();
        room(&mut windows, *self.next.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Opens one in every window if every window has room.
    fn take(&self, now: Instant) -> Room {
        let mut windows = self.windows();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let room = room(&mut windows, *next, now);
        if room == Room::Now {
            *next = (!self.gap.is_zero()).then(|| now + self.gap);
            windows.iter_mut().for_each(|window| window.open += 1);
        }
        room
    }
}

/// When there is room in all windows, and the next one is due.
fn room(windows: &mut [Window], next: Option<Instant>, now: Instant) -> Room {
    let room = windows.iter_mut().fold(Room::Now, |room, window| room.later(window.room(now)));
    next.filter(|next| *next > now).map_or(room, |next| room.later(Room::At(next)))
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
pub(super) async fn asked<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, String> {
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.map_err(|why| why.to_string())?.map_err(|why| why.to_string())
}

/// Lets the database know what of its is over, or goes back; others may wait for that.
#[cfg(feature = "postgres")]
fn tidy(grants: &Arc<Grants>) {
    let grants = Arc::clone(grants);
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || grants.tidy())),
        Err(_) => grants.tidy(),
    }
}

impl Slot {
    fn new(pace: &Arc<Pace>, number: Option<i64>) -> Self {
        Self {
            pace: Arc::clone(pace),
            number,
            is_told: AtomicBool::new(false),
            is_closed: false,
            #[cfg(feature = "postgres")]
            since: Moment::now(),
        }
    }

    /// Whether it may still be used. One that a database gave is good for a short time: then it may be taken for that of a program that
    /// has ended.
    #[cfg_attr(not(feature = "postgres"), allow(clippy::unused_self, reason = "nothing else gives any"))]
    pub(super) fn is_good(&self) -> bool {
        #[cfg(feature = "postgres")]
        if self.pace.grants.is_some() {
            return self.since.ago() < MOST_AGE;
        }
        true
    }

    /// Whether whoever gave it may say of it by now that it is over.
    #[cfg_attr(not(feature = "postgres"), allow(clippy::unused_self, reason = "nobody gives any"))]
    pub(super) fn is_late(&self) -> bool {
        #[cfg(feature = "postgres")]
        if self.pace.grants.is_some() {
            return self.since.ago() > LATE;
        }
        false
    }

    /// Its number, for the record.
    pub(super) fn tell(&self) -> Option<i64> {
        self.is_told.store(true, Ordering::Relaxed);
        self.number
    }

    /// The transaction was never begun and does not count.
    pub(super) fn unused(mut self) {
        self.close(None);
        self.is_closed = true;
        #[cfg(feature = "postgres")]
        if let Some((grants, _)) = &self.pace.grants {
            // What the record knows of counts, and is over when that is written down.
            if let Some(number) = self.number.filter(|_| !self.is_told.load(Ordering::Relaxed)) {
                grants.put_back(number);
                tidy(grants);
            }
            return;
        }
        if let Some(number) = self.number {
            let pace = Arc::clone(&self.pace);
            tokio::spawn(async move {
                if let Some(ledger) = &pace.ledger {
                    let ledger = SeenLedger::clone(&*ledger.lock().await);
                    let _ = tokio::task::spawn_blocking(move || ledger.give_back(number)).await;
                }
            });
        }
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
        if !self.is_closed {
            self.close(Some(Instant::now()));
            // What the record knows of is over when that is written down.
            #[cfg(feature = "postgres")]
            if let (Some((grants, _)), Some(number)) = (&self.pace.grants, self.number)
                && !self.is_told.load(Ordering::Relaxed)
            {
                grants.is_over(number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
