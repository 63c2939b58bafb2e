//! The limits of an account hold for all programs that use one record together: each takes a slot here before it begins a
//! transaction, and learns of those that others took.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

#[cfg(feature = "postgres")]
use super::grants::Grants;
use super::{Campaign, Store, StoreError, lock::RunLock};
use crate::outbox::database::{Database, Done, Fault, Location, values};

/// Attempts are written down in the order in which they begin, and are over within so long.
pub(super) const LONGEST_ATTEMPT: Duration = Duration::from_hours(2);

/// Stands for a campaign where a transaction belongs to none.
const NONE: i64 = 0;

/// Takes a slot; its number.
const TAKE: &str = "INSERT INTO slot (account, campaign, taken) VALUES (?, ?, ?) RETURNING number";

/// A transaction that is none of a campaign's, a test or a notification: it counts for the limits of its account from now on, and is
/// over when this is dropped.
#[derive(Debug)]
pub struct Aside {
    store: Store,
    slot: i64,
}

impl Store {
    /// One that is about to go through an account, which waits for nothing.
    pub fn aside(self, account: &str) -> Result<Aside, StoreError> {
        let now = Timestamp::now().as_millisecond();
        let take = || {
            let change = self.database.change()?;
            let sql = format!(
                "INSERT INTO slot (taken, account, campaign) VALUES ({}, ?2, ?3) RETURNING number",
                change.now()
            );
            let slot = change.one(&sql, values![now, account, NONE], |row| row.get(0))?;
            change.commit()?;
            Ok(slot)
        };
        let slot = take().map_err(|why: Fault| self.error(&why))?;
        Ok(Aside { store: self, slot })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let now = Timestamp::now().as_millisecond();
        // If that cannot be written down it counts for longer.
        let _ = self.store.database.run(
            &format!("UPDATE slot SET over = {} WHERE number = ?2", self.store.database.now()),
            values![now, self.slot],
        );
    }
}

/// Those of programs that have died without saying so were over long ago.
pub(super) fn end_asides(change: &Database, now: i64) -> Done<usize> {
    let longest = i64::try_from(LONGEST_ATTEMPT.as_millis()).unwrap_or(i64::MAX);
    let sql = "UPDATE slot SET over = taken WHERE campaign = ? AND over IS NULL AND taken < ?";
    change.run(sql, values![NONE, now - longest])
}

/// What other programs did with an account.
#[derive(Debug, Default)]
pub struct News {
    /// How many transactions they began, or are about to.
    pub opened: usize,
    /// How many of those that were open are no longer.
    pub closed: usize,
    /// How long ago others were over, the oldest first.
    pub over: Vec<Duration>,
}

impl News {
    fn is_none(&self) -> bool {
        self.opened == 0 && self.closed == 0 && self.over.is_empty()
    }
}

/// The slots of one account, as one run sees them.
#[derive(Debug, Clone)]
pub enum Ledger {
    /// In a file, which programs on one machine share: each sees what the others did.
    Seen(SeenLedger),
    /// In a database, which gives them out.
    #[cfg(feature = "postgres")]
    Granted(Arc<Grants>),
}

/// What programs that share a file did with an account.
#[derive(Debug, Clone)]
pub struct SeenLedger(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    database: Database,
    seen: Seen,
}

/// What a run knows of the slots of others.
#[derive(Debug)]
struct Seen {
    location: Location,
    account: String,
    /// The campaign that this run sends: what it begins itself it knows already
    campaign: i64,
    slot: i64,
    /// Those up to this one that were over when it began are known
    past_slot: i64,
    attempt: i64,
    /// Of other runs
    open: HashMap<Key, Open>,
}

/// What a transaction is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// The number of its slot
    Slot(i64),
    /// The number of its attempt, where no slot was taken
    Attempt(i64),
}

/// A transaction of another run that is not over, as far as is known.
#[derive(Debug)]
struct Open {
    campaign: i64,
    attempt: Option<i64>,
}

impl Ledger {
    /// That of an account, for a run that sends a campaign. Also gives what counts already for windows that are no longer than
    /// `longest`.
    pub fn open(
        location: &Location,
        account: &str,
        campaign: &Campaign,
        longest: Duration,
    ) -> Result<(Self, News), StoreError> {
        #[cfg(feature = "postgres")]
        if let Some(grants) = Grants::open(location, account, campaign)? {
            return Ok((Self::Granted(Arc::new(grants)), News::default()));
        }
        let (seen, past) = SeenLedger::open(location, account, campaign, longest)?;
        Ok((Self::Seen(seen), past))
    }
}

impl SeenLedger {
    fn open(
        location: &Location,
        account: &str,
        campaign: &Campaign,
        longest: Duration,
    ) -> Result<(Self, News), StoreError> {
        let failed = |why: Fault| StoreError::of(location, &why);
        let database = Database::connect(location).map_err(failed)?;
        // Other programs see a slot at once; only after a power cut the last ones may be missing, and their attempts are not.
        database.hurry().map_err(failed)?;
        let mut seen = Seen {
            location: location.clone(),
            account: account.to_owned(),
            campaign: campaign.number,
            slot: 0,
            past_slot: 0,
            attempt: 0,
            open: HashMap::new(),
        };
        let past = seen.past(&database, longest, Timestamp::now()).map_err(failed)?;
        Ok((Self(Arc::new(Mutex::new(Inner { database, seen }))), past))
    }

    fn with<T>(&self, with: impl FnOnce(&mut Inner) -> Done<T>) -> Result<T, StoreError> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut inner).map_err(|why| StoreError::of(&inner.seen.location, &why))
    }

    /// What other runs did since this was last asked. Waits for the disk.
    pub fn look(&self) -> Result<News, StoreError> {
        self.with(|inner| {
            let mut look = Look::new(Timestamp::now());
            inner.seen.look(&inner.database, &mut look)?;
            Ok(look.news)
        })
    }

    /// Takes a slot and gives its number, unless other runs did something meanwhile: then nothing is taken. Waits for the disk.
    pub fn take(&self) -> Result<Result<i64, News>, StoreError> {
        self.with(|inner| {
            let Inner { database, seen } = inner;
            let change = database.change()?;
            let taken = seen.take(&change)?;
            if taken.is_ok() {
                change.commit()?;
            }
            Ok(taken)
        })
    }

    /// Gives a slot back whose transaction was never begun. That it is not forgotten cannot do harm.
    pub fn give_back(&self, slot: i64) {
        let _ = self.with(|inner| inner.database.run("DELETE FROM slot WHERE number = ?", values![slot]));
    }
}

/// One look at what others did.
pub(super) struct Look {
    now: Timestamp,
    news: News,
}

impl Look {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, news: News::default() }
    }

    /// The moment that was so long ago.
    pub(super) fn since(&self, longest: Duration) -> i64 {
        self.now.as_millisecond().saturating_sub(i64::try_from(longest.as_millis()).unwrap_or(i64::MAX))
    }

    /// How long ago something was.
    pub(super) fn age(&self, at: i64) -> Duration {
        Duration::from_millis(u64::try_from(self.now.as_millisecond() - at).unwrap_or_default())
    }
}

impl Seen {
    /// What counts already.
    fn past(&mut self, database: &Database, longest: Duration, now: Timestamp) -> Done<News> {
        let mut look = Look::new(now);
        let (over_since, begun_since) = (look.since(longest), look.since(longest + LONGEST_ATTEMPT));
        let mut open = Vec::new();
        let sql = "SELECT number, campaign, slot, began, ended FROM attempt WHERE account = ? ORDER BY number DESC";
        database.each_while(sql, values![self.account], |attempt| {
            let number: i64 = attempt.get(0)?;
            self.attempt = self.attempt.max(number);
            if attempt.get::<i64>(3)? < begun_since {
                return Ok(false);
            }
            match attempt.get::<Option<i64>>(4)? {
                Some(ended) if ended > over_since => look.news.over.push(look.age(ended)),
                Some(_) => {}
                None => open.push((attempt.get(2)?, number, attempt.get(1)?)),
            }
            Ok(true)
        })?;
        look.news.opened += open.len();
        for (slot, number, campaign) in open {
            self.note_open(slot, number, campaign);
        }
        let newest = "SELECT coalesce(max(number), 0) FROM slot";
        self.past_slot = database.one(newest, &[], |row| row.get(0))?;
        // Slots of runs that have ended count from when that was found out.
        let sql = "SELECT over FROM slot WHERE account = ? AND over > ?";
        let over = database.all(sql, values![self.account, over_since], |row| Ok(look.age(row.get(0)?)))?;
        look.news.over.extend(over);
        self.look(database, &mut look)?;
        look.news.over.sort_unstable_by(|one, other| other.cmp(one));
        Ok(look.news)
    }

    /// Notes a transaction that is open; whether it was known as a slot.
    fn note_open(&mut self, slot: Option<i64>, attempt: i64, campaign: i64) -> bool {
        let key = slot.map_or(Key::Attempt(attempt), Key::Slot);
        self.open.insert(key, Open { campaign, attempt: Some(attempt) }).is_some()
    }

    fn take(&mut self, database: &Database) -> Done<Result<i64, News>> {
        let mut look = Look::new(Timestamp::now());
        self.look(database, &mut look)?;
        if !look.news.is_none() {
            return Ok(Err(look.news));
        }
        let taken = look.now.as_millisecond();
        database.one(TAKE, values![self.account, self.campaign, taken], |row| row.get(0)).map(Ok)
    }

    fn look(&mut self, database: &Database, look: &mut Look) -> Done<()> {
        let sql = "SELECT number, campaign FROM slot
             WHERE number > ? AND account = ? AND campaign <> ? AND (over IS NULL OR number > ?) ORDER BY number";
        let slots = database.all(sql, values![self.slot, self.account, self.campaign, self.past_slot], |row| {
            Ok((row.get::<i64>(0)?, row.get::<i64>(1)?))
        })?;
        for (number, campaign) in slots {
            self.slot = number;
            if self.open.insert(Key::Slot(number), Open { campaign, attempt: None }).is_none() {
                look.news.opened += 1;
            }
        }
        let sql = "SELECT number, campaign, slot FROM attempt WHERE number > ? AND account = ? AND campaign <> ?";
        let attempts = database.all(sql, values![self.attempt, self.account, self.campaign], |row| {
            Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<Option<i64>>(2)?))
        })?;
        for (number, campaign, slot) in attempts {
            self.attempt = self.attempt.max(number);
            let is_known = self.note_open(slot, number, campaign);
            look.news.opened += usize::from(!is_known);
        }
        self.close(database, look)
    }

    /// Finds out which of those that were open no longer are.
    fn close(&mut self, database: &Database, look: &mut Look) -> Done<()> {
        let mut closed = Vec::new();
        for (key, open) in &self.open {
            // No row, or a time at which it was over, or none.
            let (sql, number) = match (open.attempt, key) {
                (Some(attempt), _) => ("SELECT ended FROM attempt WHERE number = ?", attempt),
                (None, Key::Slot(number) | Key::Attempt(number)) => ("SELECT over FROM slot WHERE number = ?", *number),
            };
            let row: Option<Option<i64>> = database.perhaps(sql, values![number], |row| row.get(0))?;
            let over = match row {
                None => None,
                Some(Some(over)) => Some(look.age(over)),
                // A run that has ended cannot begin anything any more, and nobody knows when it did.
                Some(None) if !self.is_running(database, open.campaign)? => Some(Duration::ZERO),
                Some(None) => continue,
            };
            closed.push(*key);
            look.news.closed += 1;
            look.news.over.extend(over);
        }
        for key in closed {
            self.open.remove(&key);
        }
        Ok(())
    }

    fn is_running(&self, database: &Database, campaign: i64) -> Done<bool> {
        if campaign == NONE {
            // It says itself when it is over.
            return Ok(true);
        }
        let sql = "SELECT id FROM campaign WHERE number = ?";
        let id: Option<String> = database.perhaps(sql, values![campaign], |row| row.get(0))?;
        Ok(id.is_some_and(|id| RunLock::holder(database, &self.location, &id).is_some()))
    }
}
