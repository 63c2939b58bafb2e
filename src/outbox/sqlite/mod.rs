//! The record on disk: what was prepared and what became of each message, in a SQLite file that outlives a crash.

mod carry;
mod error;
mod examine;
mod freeze;
mod journal;
mod ledger;
mod lock;
mod log;
mod look;
mod matter;
mod people;
mod purge;
mod reach;
mod recur;
mod thaw;
mod trace;
mod verify;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

pub(crate) use self::people::{without_addresses, without_people};
pub use self::{
    carry::{Carried, Luggage},
    error::StoreError,
    examine::Examined,
    freeze::{Kept, Over, Snapshot},
    journal::{Attempt, Journal},
    ledger::{Aside, Ledger, News},
    log::{Chain, Deed, Entry},
    look::{Overview, Tried},
    matter::{Attached, Matter},
    people::Pseudonym,
    purge::Purged,
    reach::Reach,
    recur::{Last, TakenBack},
    thaw::Thawed,
    trace::{Check, Names, Totals, Traced, Transaction},
    verify::Verdict,
};
use self::{lock::RunLock, look::time};
use super::{Counts, Outcome, PutOff};
use crate::{
    fault,
    message::Digest,
    recipients::Selection,
    secret::{create_directory, create_file},
};

/// What SQLite keeps at offset 68 to tell whose file it is: "apie".
const APPLICATION_ID: i64 = 0x6170_6965;

/// Scripts that make a file of one version one of the next.
const MIGRATIONS: &[&str] = &[
    include_str!("1.sql"),
    include_str!("2.sql"),
    include_str!("3.sql"),
    include_str!("4.sql"),
    include_str!("5.sql"),
    include_str!("6.sql"),
];

/// So long one process waits for another's write.
const PATIENCE: Duration = Duration::from_secs(30);

/// Slots of runs that have ended are kept for so many milliseconds, which is longer than any window.
const SLOTS_KEPT: i64 = 2 * 24 * 60 * 60 * 1000;

/// A file of campaigns.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

/// A campaign that is being sent, which nobody else does as long as this is there.
#[derive(Debug)]
pub struct Campaign {
    number: i64,
    /// Where the record is
    path: PathBuf,
    _lock: RunLock,
}

impl Campaign {
    /// The slots of an account, for windows no longer than `longest`, with what counts already.
    pub fn ledger(&self, account: &str, longest: Duration) -> Result<(Ledger, News), StoreError> {
        Ledger::open(&self.path, account, self, longest)
    }

    /// What went through an account to the people of a domain and counts for windows no longer than `longest`.
    pub fn sent_to(&self, domain: &str, account: &str, longest: Duration) -> Result<News, StoreError> {
        ledger::sent_to(&self.path, domain, account, longest)
    }
}

/// The messages of a campaign, in the order of its list.
#[derive(Debug, Default)]
pub struct Messages {
    /// What the bytes of each must be.
    pub digests: Vec<Digest>,
    /// What is known of each.
    pub outcomes: Vec<Outcome>,
    /// Those that were put off, by their place in the list.
    pub put_off: HashMap<usize, PutOff>,
}

impl Messages {
    /// Over the digests of all of them; [`Thawed::messages`] is the same of what was read then.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Digest::builder();
        self.digests.iter().for_each(|digest| hash.add(digest.as_bytes()));
        hash.finish()
    }

    /// How many of some have which outcome.
    #[must_use]
    pub fn counts(&self, selected: &Selection) -> Counts {
        Counts::of_all(selected.iter().map(|index| self.outcomes[index]))
    }
}

impl Store {
    /// Opens the file, or makes it. What is not an outbox is left as it is.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |why: &std::io::Error| StoreError::io(path, why);
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            create_directory(directory).map_err(|why| io(&why))?;
            if lock::is_on_network(directory) {
                return Err(StoreError::Network(path.to_owned()));
            }
        }
        match create_file(path) {
            Ok(_) => {}
            // A device, a pipe, a directory
            Err(why)
                if why.kind() == std::io::ErrorKind::AlreadyExists
                    && path.metadata().is_ok_and(|known| !known.is_file()) =>
            {
                return Err(StoreError::Foreign(path.to_owned()));
            }
            // It is not opened here: whoever closes a file loses all locks of this process on it, SQLite's, too, and another
            // program would take the write-ahead log away from under a run (<https://sqlite.org/howtocorrupt.html>, 2.2).
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(io(&why)),
        }
        // Whatever it is called, there is one lock for it.
        let path = &path.canonicalize().map_err(|why| io(&why))?;
        if has_other_names(path) {
            return Err(StoreError::Linked(path.clone()));
        }
        let sqlite = |why: rusqlite::Error| StoreError::of(path, &why);
        let connection = connect(path).map_err(sqlite)?;
        // SQLite opens what may only be read, too, and would say so with the first write.
        if connection.is_readonly("main").map_err(sqlite)? {
            return Err(StoreError::ReadOnly(path.clone()));
        }
        let mut store = Self { connection, path: path.to_owned() };
        store.set_up()?;
        Ok(store)
    }

    /// Puts what is in the write-ahead log into the file itself, as far as nobody uses it.
    pub fn settle(&self) {
        let _ = self.checkpoint();
    }

    /// The same; whether all of it could be put there.
    fn checkpoint(&self) -> rusqlite::Result<bool> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, why: &rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, why)
    }

    fn set_up(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let sqlite = |why: rusqlite::Error| StoreError::of(&path, &why);
        let number = |connection: &Connection, pragma: &str| {
            connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(sqlite)
        };
        // Another program may be making it at this moment, or may have died while it did: then nothing is in it.
        let look = self.connection.transaction().map_err(sqlite)?;
        let tables = look.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0));
        let is_ours = number(&look, "application_id")? == APPLICATION_ID || tables.map_err(sqlite)? == 0;
        let version = number(&look, "user_version")?;
        drop(look);
        if !is_ours {
            return Err(StoreError::Foreign(path));
        }
        make_own(&path).map_err(|why| StoreError::io(&path, &why))?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if version > known {
            return Err(StoreError::Newer(path, version));
        }
        if !self.write_ahead().map_err(sqlite)? {
            return Err(StoreError::Network(path));
        }
        self.connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;").map_err(sqlite)?;
        if version < known {
            let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
            // Somebody else may have been faster.
            let version = usize::try_from(number(&change, "user_version")?).unwrap_or(0);
            for script in MIGRATIONS.iter().skip(version) {
                change.execute_batch(script).map_err(sqlite)?;
            }
            fill_states(&change).map_err(sqlite)?;
            change.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
            change.pragma_update(None, "user_version", known).map_err(sqlite)?;
            change.commit().map_err(sqlite)?;
        }
        Ok(())
    }

    /// Turns the write-ahead log on; whether that can be done. SQLite does not wait here for others by itself.
    fn write_ahead(&self) -> rusqlite::Result<bool> {
        let mut tries = 0;
        loop {
            let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
            match self.connection.pragma_update_and_check(None, "journal_mode", "wal", mode) {
                Err(why) if why.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && tries < 100 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                mode => return Ok(mode? == "wal"),
            }
        }
    }

    /// Takes up a campaign in order to send it; nobody else can meanwhile.
    ///
    /// What an earlier run was about to send when it ended is in doubt from now on.
    pub fn take(&mut self, campaign: &Overview, now: Timestamp) -> Result<(Campaign, Messages), StoreError> {
        let path = self.path.clone();
        let sqlite = |why: rusqlite::Error| StoreError::of(&path, &why);
        campaign.check_own()?;
        // Only who holds the lock may say that nobody is sending.
        let lock = RunLock::take(&path, &campaign.id, now)?;
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        found_sending(&change, campaign.number, now).map_err(sqlite)?;
        fault::point("taking");
        change.commit().map_err(sqlite)?;
        let messages = self.messages(campaign.number).map_err(sqlite)?;
        let unsound = |why: &str| StoreError::Unsound { id: campaign.id.clone(), why: why.to_owned() };
        let messages = messages.ok_or_else(|| unsound("some messages are missing"))?;
        if self.was_sent_already(campaign.number).map_err(sqlite)? {
            return Err(unsound("a message that was sent is to be sent again"));
        }
        Ok((Campaign { number: campaign.number, path: self.path.clone(), _lock: lock }, messages))
    }

    /// Whether anything of a campaign was tried before.
    pub fn was_begun(&self, campaign: &Overview) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM attempt WHERE campaign = ?)";
        let begun = self.connection.query_row(sql, params![campaign.number], |row| row.get(0));
        begun.map_err(|why| self.error(&why))
    }

    /// Whether a message is not sent any more of which an attempt says that it was.
    fn was_sent_already(&self, number: i64) -> rusqlite::Result<bool> {
        self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM attempt JOIN message USING (campaign, position)
             WHERE campaign = ? AND outcome = 'sent' AND state <> 'sent')",
            params![number],
            |row| row.get(0),
        )
    }

    /// None if there is not one for each recipient.
    fn messages(&self, number: i64) -> rusqlite::Result<Option<Messages>> {
        let recipients: i64 =
            self.connection
                .query_row("SELECT count(*) FROM recipient WHERE campaign = ?", params![number], |row| row.get(0))?;
        let mut query = self.connection.prepare(
            "SELECT digest, state, tries, since, due, position FROM message WHERE campaign = ? ORDER BY position",
        )?;
        let mut messages = Messages::default();
        let mut rows = query.query(params![number])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(5)? != i64::try_from(messages.digests.len()).unwrap_or(i64::MAX) {
                return Ok(None);
            }
            let outcome = Outcome::of_name(row.get_ref(1)?.as_str()?).unwrap_or(Outcome::InDoubt);
            if outcome == Outcome::Deferred {
                // Earlier versions did not say when it is due.
                let time = |column| Ok::<_, rusqlite::Error>(time(row, column)?.unwrap_or_default());
                let (since, due) = (time("since")?, time("due")?);
                messages.put_off.insert(messages.outcomes.len(), PutOff { tries: row.get(2)?, since, due });
            }
            messages.digests.push(row.get::<_, [u8; 32]>(0)?.into());
            messages.outcomes.push(outcome);
        }
        Ok((i64::try_from(messages.digests.len()) == Ok(recipients)).then_some(messages))
    }
}

/// Lets nobody but its owner read a file; what SQLite puts beside it is as it is itself.
#[cfg(unix)]
fn make_own(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match path.metadata()?.permissions().mode() & 0o777 {
        0o600 => Ok(()),
        _ => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)),
    }
}

#[cfg(not(unix))]
fn make_own(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Whether a file has more than one name (a hard link): the lock and the write-ahead log go by the name.
#[cfg(unix)]
fn has_other_names(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.metadata().is_ok_and(|data| data.nlink() > 1)
}

#[cfg(not(unix))]
fn has_other_names(_: &Path) -> bool {
    false
}

/// Which files a record is in: the file itself and its write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place([Option<(u64, u64)>; 2]);

impl Place {
    /// Where a record is at this moment.
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let place = |path: &Path| path.metadata().ok().map(|data| (data.dev(), data.ino()));
        Self([place(path), place(Path::new(&log))])
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> Self {
        Self([None; 2])
    }
}

/// One more connection to a file that is there.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

fn fill_states(change: &Connection) -> rusqlite::Result<()> {
    for state in Outcome::ALL {
        change.execute("INSERT OR IGNORE INTO state (name) VALUES (?)", params![state.name()])?;
    }
    for (before, after) in Outcome::ALL.into_iter().flat_map(|one| Outcome::ALL.map(|other| (one, other))) {
        if before.may_become(after) {
            change.execute("INSERT OR IGNORE INTO transition VALUES (?, ?)", params![before.name(), after.name()])?;
        }
    }
    Ok(())
}

/// What was being sent when a run ended, only the server knows.
fn found_sending(change: &Connection, number: i64, now: Timestamp) -> rusqlite::Result<()> {
    change.execute(
        "UPDATE attempt SET outcome = 'in_doubt', ended = ?, said = 'the run ended here'
         WHERE campaign = ? AND outcome = 'sending'",
        params![now.as_millisecond(), number],
    )?;
    let now = now.as_millisecond();
    change.execute("UPDATE slot SET over = ? WHERE campaign = ? AND over IS NULL", params![now, number])?;
    ledger::end_asides(change, now)?;
    change.execute("DELETE FROM slot WHERE over < ?", params![now - SLOTS_KEPT])?;
    change
        .execute("UPDATE message SET state = 'in_doubt' WHERE campaign = ? AND state = 'sending'", params![number])?;
    Ok(())
}

#[cfg(test)]
mod tests;
