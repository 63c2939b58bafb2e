//! The limits of an account hold for all machines that share a database: it gives out the right to begin transactions, a few at a
//! time, and the right to open connections.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Campaign, StoreError};
use crate::outbox::{
    Moment,
    database::{Database, Done, Location, values},
};

/// A slot that was not used for so long is not used any more. Its holder was heard of when it was given, and is not taken for gone sooner
/// than after ten seconds: until then nobody says that the slot is over.
const KEPT: Duration = Duration::from_secs(8);

/// Whoever was not heard of for longer may have lost its places.
const OLD: Duration = Duration::from_secs(25);

/// So many slots are asked for at once, at most.
const MOST: u64 = 64;

/// Of the smallest window, one in so many is asked for at once.
const PART: u64 = 20;

/// What the database gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The right to begin, by its number.
    Slot(i64),
    /// There may be one after so long; where nobody knows, once something that is under way is over.
    Later(Option<Duration>),
}

/// A connection to the database for whoever asks it the next question.
#[derive(Debug, Clone)]
pub(super) struct Line {
    database: Arc<Mutex<Database>>,
    location: Location,
}

impl Line {
    pub(super) fn open(location: &Location) -> Result<Self, StoreError> {
        let database = Database::connect(location).map_err(|why| StoreError::of(location, &why))?;
        Ok(Self { database: Arc::new(Mutex::new(database)), location: location.clone() })
    }

    fn with<T>(&self, with: impl FnOnce(&Database) -> Done<T>) -> Result<T, StoreError> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        with(&database).map_err(|why| StoreError::of(&self.location, &why))
    }
}

/// The slots that one run, or one worker, was given of an account, or of what an account may send to a domain.
#[derive(Debug)]
pub struct Grants {
    line: Line,
    account: String,
    /// Of which campaign they are
    campaign: i64,
    holder: [u8; 16],
    stash: Mutex<Stash>,
    /// Whether some are being given back
    is_tidied: AtomicBool,
}

/// Slots that were not used yet.
#[derive(Debug, Default)]
struct Stash {
    slots: VecDeque<Kept>,
    /// Those that were kept for too long, and are to be given back.
    stale: Vec<i64>,
    /// Those whose transactions were begun and left no trace in the record.
    over: Vec<i64>,
}

#[derive(Debug)]
struct Kept {
    slot: i64,
    /// When it was asked for
    since: Moment,
}

impl Grants {
    /// Those of an account, for whoever has a campaign.
    pub(super) fn open(location: &Location, account: &str, campaign: &Campaign) -> Result<Option<Self>, StoreError> {
        let Some(holder) = campaign.lock.token() else { return Ok(None) };
        let line = Line::open(location)?;
        // What a power cut of the database takes back of this was not begun, or its attempt is written down.
        line.with(Database::hurry)?;
        Ok(Some(Self::over(line, account, campaign.number, holder)))
    }

    /// Those of an account, or whatever else stands in its place.
    pub(super) fn over(line: Line, account: &str, campaign: i64, holder: [u8; 16]) -> Self {
        let (account, stash, is_tidied) = (account.to_owned(), Mutex::default(), AtomicBool::new(false));
        Self { line, account, campaign, holder, stash, is_tidied }
    }

    fn stash(&self) -> MutexGuard<'_, Stash> {
        self.stash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot that is there, which asks nobody.
    #[must_use]
    pub fn at_once(&self) -> Option<i64> {
        let mut stash = self.stash();
        while let Some(kept) = stash.slots.pop_front() {
            if kept.since.ago() < KEPT {
                return Some(kept.slot);
            }
            stash.stale.push(kept.slot);
        }
        None
    }

    /// A slot of the database's, where each window, by its number and length, has room for it. Waits for the database.
    pub fn ask(&self, windows: &[(usize, Duration)]) -> Result<Given, StoreError> {
        if let Some(slot) = self.at_once() {
            return Ok(Given::Slot(slot));
        }
        self.give_back_stale()?;
        let since = Moment::now();
        let smallest = windows.iter().map(|(count, _)| *count as u64).min().unwrap_or(MOST);
        let wanted = i64::try_from((smallest / PART).clamp(1, MOST)).unwrap_or(1);
        let windows: Vec<String> =
            windows.iter().map(|(count, length)| format!("{count}/{}", length.as_millis() + 1)).collect();
        let given: Vec<i64> = self.line.with(|database| {
            let sql = "SELECT take_slots(?, ?, ?, ?, ?)";
            let windows = windows.join(" ");
            let values = values![self.account, self.campaign, self.holder, windows, wanted];
            database.all(sql, values, |row| row.get(0))
        })?;
        if let [wait] = given[..]
            && wait < 0
        {
            return Ok(Given::Later(Some(Duration::from_millis(wait.unsigned_abs()))));
        }
        let mut stash = self.stash();
        stash.slots.extend(given.into_iter().map(|slot| Kept { slot, since }));
        drop(stash);
        Ok(self.at_once().map_or(Given::Later(None), Given::Slot))
    }

    /// Puts a slot back whose transaction was never begun.
    pub fn put_back(&self, slot: i64) {
        // Its age is not known any more; it goes back soon enough.
        self.stash().stale.push(slot);
    }

    /// Its transaction was begun, and is over now: nothing of it is in the record.
    pub fn is_over(&self, slot: i64) {
        self.stash().over.push(slot);
    }

    /// Gives all back that was not used. Waits for the database; where that is away, they count for longer.
    pub fn give_back(&self) {
        {
            let mut stash = self.stash();
            let unused: Vec<i64> = stash.slots.drain(..).map(|kept| kept.slot).collect();
            stash.stale.extend(unused);
        }
        let _ = self.give_back_stale();
    }

    /// Says of those whose transactions are over that they are, and gives those back that are not used. Waits for the database; what is
    /// added meanwhile goes with it, or is said by whoever says so already.
    pub fn tidy(&self) {
        while self.has_past() && !self.is_tidied.swap(true, Ordering::SeqCst) {
            let tidied = self.give_back_stale();
            self.is_tidied.store(false, Ordering::SeqCst);
            if tidied.is_err() {
                return;
            }
        }
    }

    fn has_past(&self) -> bool {
        let stash = self.stash();
        !(stash.stale.is_empty() && stash.over.is_empty())
    }

    fn give_back_stale(&self) -> Result<(), StoreError> {
        let (stale, over) = {
            let mut stash = self.stash();
            (std::mem::take(&mut stash.stale), std::mem::take(&mut stash.over))
        };
        let given = self.line.with(|database| {
            give_back(database, &stale)?;
            if over.is_empty() {
                return Ok(());
            }
            let sql = "UPDATE slot SET over = now_ms() WHERE number = ANY (string_to_array(?, ' ')::BIGINT[])";
            database.run(sql, values![joined(&over)]).map(drop)
        });
        if given.is_err() {
            let mut stash = self.stash();
            stash.stale.extend(stale);
            stash.over.extend(over);
        }
        given
    }

    /// Whether there is something to give back.
    #[must_use]
    pub fn has_unused(&self) -> bool {
        self.has_past() || !self.stash().slots.is_empty()
    }
}

impl Drop for Grants {
    fn drop(&mut self) {
        self.give_back();
        // Nothing is under way any more, and whatever was is over.
        let sql = "UPDATE slot SET over = now_ms() WHERE holder = ? AND account = ? AND campaign = ? AND over IS NULL";
        let _ = self.line.with(|database| database.run(sql, values![self.holder, self.account, self.campaign]));
    }
}

fn give_back(database: &Database, slots: &[i64]) -> Done<()> {
    if slots.is_empty() {
        return Ok(());
    }
    let slots = joined(slots);
    database.run("DELETE FROM slot WHERE number = ANY (string_to_array(?, ' ')::BIGINT[])", values![slots]).map(drop)
}

/// Numbers in one text, for a statement.
pub(super) fn joined(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
}

/// The connections that one run, or one worker, may have of an account's, or of those that an account may have to a domain; and of those
/// that its campaign may have.
#[derive(Debug)]
pub struct Places {
    line: Line,
    /// What each is one of, and how many of that there are
    of: Vec<(String, i64)>,
    holder: [u8; 16],
    /// Whether another wants one, and has none
    is_short: AtomicBool,
    /// Those that are closed, and could not be given back yet
    closed: Mutex<Vec<i64>>,
}

impl Places {
    /// Those of an account that may have so many connections, for whoever has a campaign, which itself may have `own`.
    pub(super) fn open(
        location: &Location,
        account: &str,
        campaign: &Campaign,
        (most, own): (usize, Option<usize>),
    ) -> Result<Option<Arc<Self>>, StoreError> {
        let Some(holder) = campaign.lock.token() else { return Ok(None) };
        Self::over(Line::open(location)?, account, campaign.number, (Some(most), own), holder).map(Some)
    }

    /// Those of an account, or whatever else stands in its place.
    pub(super) fn over(
        line: Line,
        account: &str,
        campaign: i64,
        (most, own): (Option<usize>, Option<usize>),
        holder: [u8; 16],
    ) -> Result<Arc<Self>, StoreError> {
        let own = own.map(|own| (format!("{account}\n\n{campaign}"), own));
        let of = own.into_iter().chain(most.map(|most| (account.to_owned(), most)));
        let of: Vec<(String, i64)> = of.map(|(name, most)| (name, i64::try_from(most).unwrap_or(i64::MAX))).collect();
        // No connection is open yet, whatever could not be written down of earlier ones.
        let sql = "DELETE FROM place WHERE holder = ? AND account = ?";
        line.with(|database| of.iter().try_for_each(|(name, _)| database.run(sql, values![holder, name]).map(drop)))?;
        Ok(Arc::new(Self { line, of, holder, is_short: AtomicBool::new(false), closed: Mutex::default() }))
    }

    fn closed(&self) -> MutexGuard<'_, Vec<i64>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back those that are closed. Waits for the database; where that is away, it is tried again with the next.
    fn give_back(&self) {
        let closed = std::mem::take(&mut *self.closed());
        if closed.is_empty() {
            return;
        }
        let sql = "DELETE FROM place WHERE number = ANY (string_to_array(?, ' ')::BIGINT[])";
        if self.line.with(|database| database.run(sql, values![joined(&closed)])).is_err() {
            self.closed().extend(closed);
        }
    }

    /// The right to open one more connection, if there is one now. Waits for the database.
    pub fn take(self: &Arc<Self>) -> Result<Option<OpenPlace>, StoreError> {
        self.give_back();
        let numbers = Vec::with_capacity(self.of.len());
        let mut place = OpenPlace { places: Arc::clone(self), numbers, since: Moment::now() };
        for (name, most) in &self.of {
            let values = values![name, self.holder, *most];
            let number: Option<i64> =
                self.line.with(|database| database.one("SELECT take_place(?, ?, ?)", values, |row| row.get(0)))?;
            let Some(number) = number else { return Ok(None) };
            place.numbers.push(number);
        }
        Ok(Some(place))
    }

    /// How many connections are this one's when all that want some have equally many; none, while those that it has may have been given
    /// to others. Waits for the database.
    pub fn share(&self) -> Result<usize, StoreError> {
        self.give_back();
        let (mut share, mut is_short) = (usize::MAX, false);
        for (name, most) in &self.of {
            let values = values![name, self.holder, *most];
            let of_this: (i64, bool) = self.line.with(|database| {
                let sql = "SELECT share, is_short FROM share_of(?, ?, ?)";
                database.one(sql, values, |row| Ok((row.get(0)?, row.get(1)?)))
            })?;
            share = share.min(usize::try_from(of_this.0).unwrap_or(usize::MAX));
            is_short |= of_this.1;
        }
        self.is_short.store(is_short, Ordering::Relaxed);
        Ok(share)
    }

    /// Whether another wanted one and had none when the share was looked at.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }
}

/// The right to one open connection, until this is dropped.
#[derive(Debug)]
pub struct OpenPlace {
    places: Arc<Places>,
    numbers: Vec<i64>,
    since: Moment,
}

impl OpenPlace {
    /// Whether somebody else may have it by now, unless its holder was heard of meanwhile.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.since.ago() > OLD
    }
}

impl Drop for OpenPlace {
    fn drop(&mut self) {
        if self.numbers.is_empty() {
            return;
        }
        self.places.closed().append(&mut self.numbers);
        // Nobody waits for it, least of all a thread that others share.
        let places = Arc::clone(&self.places);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || places.give_back())),
            Err(_) => places.give_back(),
        }
    }
}
