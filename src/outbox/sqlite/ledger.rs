//! The limits of an account hold for all programs that use one record together: each takes a slot here before it begins a
//! transaction, and learns of those that others took.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Campaign, Store, StoreError, connect, lock::RunLock};

/// Attempts are written down in the order in which they begin, and are over within so long.
const LONGEST_ATTEMPT: Duration = Duration::from_hours(2);

/// Stands for a campaign where a transaction belongs to none.
const NONE: i64 = 0;

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
        let sql = "INSERT INTO slot (account, campaign, taken) VALUES (?, ?, ?)";
        self.connection.execute(sql, params![account, NONE, now]).map_err(|why| self.error(&why))?;
        let slot = self.connection.last_insert_rowid();
        Ok(Aside { store: self, slot })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let now = Timestamp::now().as_millisecond();
        // If that cannot be written down it counts for longer.
        let _ = self.store.connection.execute("UPDATE slot SET over = ? WHERE number = ?", params![now, self.slot]);
    }
}

/// Those of programs that have died without saying so were over long ago.
pub(super) fn end_asides(change: &Connection, now: i64) -> rusqlite::Result<usize> {
    let longest = i64::try_from(LONGEST_ATTEMPT.as_millis()).unwrap_or(i64::MAX);
    let sql = "UPDATE slot SET over = taken WHERE campaign = ? AND over IS NULL AND taken < ?";
    change.execute(sql, params![NONE, now - longest])
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
pub struct Ledger(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    path: PathBuf,
    account: String,
    /// The campaign that this run sends: what it begins itself it knows already
    campaign: i64,
    seen_slot: i64,
    /// Those up to this one that were over when it began are known
    past_slot: i64,
    seen_attempt: i64,
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
        path: &Path,
        account: &str,
        campaign: &Campaign,
        longest: Duration,
    ) -> Result<(Self, News), StoreError> {
        let failed = |why: rusqlite::Error| StoreError::of(path, &why);
        let connection = connect(path).map_err(failed)?;
        // Other programs see a slot at once; only after a power cut the last ones may be missing, and their attempts are not.
        connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(failed)?;
        let mut inner = Inner {
            connection,
            path: path.to_owned(),
            account: account.to_owned(),
            campaign: campaign.number,
            seen_slot: 0,
            past_slot: 0,
            seen_attempt: 0,
            open: HashMap::new(),
        };
        let past = inner.past(longest, Timestamp::now()).map_err(failed)?;
        Ok((Self(Arc::new(Mutex::new(inner))), past))
    }

    fn with<T>(&self, with: impl FnOnce(&mut Inner) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut inner).map_err(|why| StoreError::of(&inner.path, &why))
    }

    /// What other runs did since this was last asked. Waits for the disk.
    pub fn look(&self) -> Result<News, StoreError> {
        self.with(|inner| {
            let mut look = Look::new(Timestamp::now());
            inner.look(&mut look)?;
            Ok(look.news)
        })
    }

    /// Takes a slot and gives its number, unless other runs did something meanwhile: then nothing is taken. Waits for the disk.
    pub fn take(&self) -> Result<Result<i64, News>, StoreError> {
        self.with(|inner| {
            inner.connection.execute_batch("BEGIN IMMEDIATE")?;
            let taken = inner.take();
            let end = if matches!(taken, Ok(Ok(_))) { "COMMIT" } else { "ROLLBACK" };
            let ended = inner.connection.execute_batch(end);
            taken.and_then(|taken| ended.map(|()| taken))
        })
    }

    /// Gives a slot back whose transaction was never begun. That it is not forgotten cannot do harm.
    pub fn give_back(&self, slot: i64) {
        let _ = self.with(|inner| inner.connection.execute("DELETE FROM slot WHERE number = ?", params![slot]));
    }
}

/// What went through an account to the people of a domain and was over less than `longest` ago. What nobody knows the end of
/// counts from now on.
pub(super) fn sent_to(path: &Path, domain: &str, account: &str, longest: Duration) -> Result<News, StoreError> {
    if longest.is_zero() {
        return Ok(News::default());
    }
    let failed = |why: rusqlite::Error| StoreError::of(path, &why);
    let connection = connect(path).map_err(failed)?;
    let look = Look::new(Timestamp::now());
    let since = look.since(longest + LONGEST_ATTEMPT);
    let mut over = (|| {
        let mut query = connection.prepare(
            "SELECT began, ended, lower(substr(address, -length(?2))) = lower(?2) FROM attempt
             LEFT JOIN recipient USING (campaign, position) WHERE account = ?1 ORDER BY number DESC",
        )?;
        let mut attempts = query.query(params![account, format!("@{domain}")])?;
        let mut over = Vec::new();
        while let Some(attempt) = attempts.next()? {
            if attempt.get::<_, i64>(0)? < since {
                break;
            }
            let ended: Option<i64> = attempt.get(1)?;
            if attempt.get::<_, Option<bool>>(2)?.unwrap_or(false) {
                over.push(ended.map_or(Duration::ZERO, |ended| look.age(ended)));
            }
        }
        Ok(over)
    })()
    .map_err(failed)?;
    over.retain(|age| *age < longest);
    over.sort_unstable_by(|one, other| other.cmp(one));
    Ok(News { over, ..News::default() })
}

/// One look at what others did.
struct Look {
    now: Timestamp,
    news: News,
}

impl Look {
    fn new(now: Timestamp) -> Self {
        Self { now, news: News::default() }
    }

    /// The moment that was so long ago.
    fn since(&self, longest: Duration) -> i64 {
        self.now.as_millisecond().saturating_sub(i64::try_from(longest.as_millis()).unwrap_or(i64::MAX))
    }

    /// How long ago something was.
    fn age(&self, at: i64) -> Duration {
        Duration::from_millis(u64::try_from(self.now.as_millisecond() - at).unwrap_or_default())
    }
}

impl Inner {
    /// What counts already.
    fn past(&mut self, longest: Duration, now: Timestamp) -> rusqlite::Result<News> {
        let mut look = Look::new(now);
        let (over_since, begun_since) = (look.since(longest), look.since(longest + LONGEST_ATTEMPT));
        let mut open = Vec::new();
        let mut query = self.connection.prepare(
            "SELECT number, campaign, slot, began, ended FROM attempt WHERE account = ? ORDER BY number DESC",
        )?;
        let mut attempts = query.query(params![self.account])?;
        while let Some(attempt) = attempts.next()? {
            let number: i64 = attempt.get(0)?;
            self.seen_attempt = self.seen_attempt.max(number);
            if attempt.get::<_, i64>(3)? < begun_since {
                break;
            }
            match attempt.get::<_, Option<i64>>(4)? {
                Some(ended) if ended > over_since => look.news.over.push(look.age(ended)),
                Some(_) => {}
                None => open.push((attempt.get(2)?, number, attempt.get(1)?)),
            }
        }
        drop(attempts);
        drop(query);
        look.news.opened += open.len();
        for (slot, number, campaign) in open {
            self.note_open(slot, number, campaign);
        }
        let newest = "SELECT coalesce(max(number), 0) FROM slot";
        self.past_slot = self.connection.query_row(newest, [], |row| row.get(0))?;
        // Slots of runs that have ended count from when that was found out.
        let mut query = self.connection.prepare("SELECT over FROM slot WHERE account = ? AND over > ?")?;
        for over in query.query_map(params![self.account, over_since], |row| row.get(0))? {
            look.news.over.push(look.age(over?));
        }
        drop(query);
        self.look(&mut look)?;
        look.news.over.sort_unstable_by(|one, other| other.cmp(one));
        Ok(look.news)
    }

    /// Notes a transaction that is open; whether it was known as a slot.
    fn note_open(&mut self, slot: Option<i64>, attempt: i64, campaign: i64) -> bool {
        let key = slot.map_or(Key::Attempt(attempt), Key::Slot);
        self.open.insert(key, Open { campaign, attempt: Some(attempt) }).is_some()
    }

    fn take(&mut self) -> rusqlite::Result<Result<i64, News>> {
        let mut look = Look::new(Timestamp::now());
        self.look(&mut look)?;
        if !look.news.is_none() {
            return Ok(Err(look.news));
        }
        self.connection
            .prepare_cached("INSERT INTO slot (account, campaign, taken) VALUES (?, ?, ?)")?
            .execute(params![self.account, self.campaign, look.now.as_millisecond()])?;
        Ok(Ok(self.connection.last_insert_rowid()))
    }

    fn look(&mut self, look: &mut Look) -> rusqlite::Result<()> {
        {
            let mut query = self.connection.prepare_cached(
                "SELECT number, campaign FROM slot
                 WHERE number > ? AND account = ? AND campaign <> ? AND (over IS NULL OR number > ?) ORDER BY number",
            )?;
            let mut slots = query.query(params![self.seen_slot, self.account, self.campaign, self.past_slot])?;
            while let Some(slot) = slots.next()? {
                self.seen_slot = slot.get(0)?;
                let open = Open { campaign: slot.get(1)?, attempt: None };
                if self.open.insert(Key::Slot(self.seen_slot), open).is_none() {
                    look.news.opened += 1;
                }
            }
        }
        let attempts = {
            let mut query = self.connection.prepare_cached(
                "SELECT number, campaign, slot FROM attempt WHERE number > ? AND account = ? AND campaign <> ?",
            )?;
            let attempts = query.query_map(params![self.seen_attempt, self.account, self.campaign], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
            })?;
            attempts.collect::<rusqlite::Result<Vec<_>>>()?
        };
        for (number, campaign, slot) in attempts {
            self.seen_attempt = self.seen_attempt.max(number);
            let is_known = self.note_open(slot, number, campaign);
            look.news.opened += usize::from(!is_known);
        }
        self.close(look)
    }

    /// Finds out which of those that were open no longer are.
    fn close(&mut self, look: &mut Look) -> rusqlite::Result<()> {
        let mut closed = Vec::new();
        for (key, open) in &self.open {
            // No row, or a time at which it was over, or none.
            let (sql, number) = match (open.attempt, key) {
                (Some(attempt), _) => ("SELECT ended FROM attempt WHERE number = ?", attempt),
                (None, Key::Slot(number) | Key::Attempt(number)) => ("SELECT over FROM slot WHERE number = ?", *number),
            };
            let mut query = self.connection.prepare_cached(sql)?;
            let row: Option<Option<i64>> = query.query_row(params![number], |row| row.get(0)).optional()?;
            let over = match row {
                None => None,
                Some(Some(over)) => Some(look.age(over)),
                // A run that has ended cannot begin anything any more, and nobody knows when it did.
                Some(None) if !self.is_running(open.campaign)? => Some(Duration::ZERO),
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

    fn is_running(&self, campaign: i64) -> rusqlite::Result<bool> {
        if campaign == NONE {
            // It says itself when it is over.
            return Ok(true);
        }
        let mut query = self.connection.prepare_cached("SELECT id FROM campaign WHERE number = ?")?;
        let id: Option<String> = query.query_row(params![campaign], |row| row.get(0)).optional()?;
        Ok(id.is_some_and(|id| RunLock::holder(&self.path, &id).is_some()))
    }
}
