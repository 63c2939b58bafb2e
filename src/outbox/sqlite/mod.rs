//! The record on disk: what was prepared and what became of each message, in a SQLite file that outlives a crash.

mod error;
mod journal;
mod lock;
mod look;

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use self::lock::RunLock;
pub use self::{
    error::StoreError,
    journal::{Attempt, Journal},
    look::{Overview, Tried},
};
use super::{Counts, Outcome};
use crate::{
    message::Digest,
    secret::{create_directory, create_file},
};

/// What SQLite keeps at offset 68 to tell whose file it is: "apie".
const APPLICATION_ID: i64 = 0x6170_6965;

/// Scripts that make a file of one version one of the next.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// So long one process waits for another's write.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file of campaigns.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

/// What a campaign is.
#[derive(Debug, Clone, Copy)]
pub struct Made<'m> {
    /// Over the digests of all messages of the first edition.
    pub content: &'m Digest,
    /// 1, or more where the same is sent again.
    pub edition: u32,
    /// SHA-256 over template and list.
    pub source: &'m [u8; 32],
    /// As it was called on the command line.
    pub name: &'m str,
}

/// A campaign in the file, which nobody else sends as long as this is there.
#[derive(Debug)]
pub struct Campaign {
    number: i64,
    /// What people call it.
    pub id: String,
    /// What is known of each message, in the order of the list.
    pub outcomes: Vec<Outcome>,
    /// How many were found in the middle of being sent: a run ended there.
    pub found_sending: usize,
    /// Whether an earlier run left it.
    pub is_old: bool,
    _lock: RunLock,
}

impl Campaign {
    /// How many of some messages, by their places in the list, have which outcome.
    #[must_use]
    pub fn counts(&self, selected: &[usize]) -> Counts {
        Counts::of_all(selected.iter().map(|index| self.outcomes[*index]))
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
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
                // SQLite would open what may only be read, and say so with the first write.
                OpenOptions::new().read(true).write(true).open(path).map_err(|why| match why.kind() {
                    std::io::ErrorKind::PermissionDenied => StoreError::ReadOnly(path.to_owned()),
                    _ => io(&why),
                })?;
            }
            Err(why) => return Err(io(&why)),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sqlite = |why: rusqlite::Error| StoreError::of(path, &why);
        let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        let mut store = Self { connection, path: path.to_owned() };
        store.set_up()?;
        Ok(store)
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
        let is_new = std::fs::metadata(&path).is_ok_and(|file| file.len() == 0);
        self.connection.busy_timeout(PATIENCE).map_err(sqlite)?;
        let number = |connection: &Connection, pragma: &str| {
            connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(sqlite)
        };
        if !is_new && number(&self.connection, "application_id")? != APPLICATION_ID {
            return Err(StoreError::Foreign(path));
        }
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        let version = number(&self.connection, "user_version")?;
        if version > known {
            return Err(StoreError::Newer(path, version));
        }
        let mode = self.connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        if mode.map_err(sqlite)? != "wal" {
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
            if version == 0 {
                fill_states(&change).map_err(sqlite)?;
            }
            change.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
            change.pragma_update(None, "user_version", known).map_err(sqlite)?;
            change.commit().map_err(sqlite)?;
        }
        Ok(())
    }

    /// The edition of a content that is to be sent: one that was begun, the first, or, `again`, one more than all that were
    /// sent. `source` is what the content was made from: what else was made of it before is no reason to send everybody
    /// something twice.
    pub fn edition(&self, content: &Digest, source: &[u8; 32], again: bool) -> Result<u32, StoreError> {
        let last = self.connection.query_row(
            "SELECT number, id, edition, prepared FROM campaign WHERE content = ? ORDER BY edition DESC LIMIT 1",
            params![content.as_bytes()],
            |row| {
                let (number, id, edition, prepared) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((self.counts(number)?, id, edition, Timestamp::from_millisecond(prepared).unwrap_or_default()))
            },
        );
        let Some((counts, id, edition, prepared)) = last.optional().map_err(|why| self.error(&why))? else {
            return if again { Ok(1) } else { self.is_new(source).map(|()| 1) };
        };
        let is_begun = [Outcome::Queued, Outcome::Sending, Outcome::Deferred].iter().any(|left| counts.of(*left) > 0);
        match () {
            () if is_begun => Ok(edition),
            () if again => Ok(edition + 1),
            () => {
                let (sent, in_doubt) = (counts.of(Outcome::Sent), counts.of(Outcome::InDoubt));
                Err(StoreError::Done { id, prepared, sent, total: counts.total(), in_doubt })
            }
        }
    }

    fn is_new(&self, source: &[u8; 32]) -> Result<(), StoreError> {
        let other = self.connection.query_row(
            "SELECT id, (SELECT count(*) FROM message WHERE campaign = number AND state IN ('sent', 'in_doubt', 'sending')) AS sent
             FROM campaign WHERE source = ? AND sent > 0 ORDER BY number DESC LIMIT 1",
            params![source],
            |row| Ok(StoreError::Changed { id: row.get(0)?, sent: row.get::<_, i64>(1)?.try_into().unwrap_or_default() }),
        );
        other.optional().map_err(|why| self.error(&why))?.map_or(Ok(()), Err)
    }

    /// Takes up a campaign that was begun, or writes a new one down; `messages` are the row, the address and the digest of
    /// each message, in the order of the list.
    ///
    /// What an earlier run was about to send when it ended is in doubt from now on, and what was put off is queued again.
    pub fn begin<'m>(
        &mut self,
        made: &Made<'_>,
        messages: impl ExactSizeIterator<Item = (u64, String, &'m Digest)>,
        now: Timestamp,
    ) -> Result<Campaign, StoreError> {
        let path = self.path.clone();
        let sqlite = |why: rusqlite::Error| StoreError::of(&path, &why);
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let known = change
            .query_row(
                "SELECT number, id FROM campaign WHERE content = ? AND edition = ?",
                params![made.content.as_bytes(), made.edition],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
            )
            .optional()
            .map_err(sqlite)?;
        let is_old = known.is_some();
        let (number, id) = match known {
            Some(known) => known,
            None => insert(&change, made, messages, now).map_err(sqlite)?,
        };
        // Only who holds the lock may say that nobody is sending.
        let lock = RunLock::take(&path, &id, now)?;
        let found_sending = found_sending(&change, number, now).map_err(sqlite)?;
        change.commit().map_err(sqlite)?;
        let outcomes = self.outcomes(number).map_err(sqlite)?;
        Ok(Campaign { number, id, outcomes, found_sending, is_old, _lock: lock })
    }

    fn outcomes(&self, number: i64) -> rusqlite::Result<Vec<Outcome>> {
        let mut query = self.connection.prepare("SELECT state FROM message WHERE campaign = ? ORDER BY position")?;
        let states = query.query_map(params![number], |row| {
            let state = row.get_ref(0)?.as_str()?;
            Ok(Outcome::ALL.into_iter().find(|outcome| outcome.name() == state).unwrap_or(Outcome::InDoubt))
        })?;
        states.collect()
    }
}

fn fill_states(change: &Connection) -> rusqlite::Result<()> {
    for state in Outcome::ALL {
        change.execute("INSERT INTO state (name) VALUES (?)", params![state.name()])?;
    }
    for (before, after) in Outcome::ALL.into_iter().flat_map(|one| Outcome::ALL.map(|other| (one, other))) {
        if before.may_become(after) {
            change.execute("INSERT INTO transition VALUES (?, ?)", params![before.name(), after.name()])?;
        }
    }
    Ok(())
}

fn insert<'m>(
    change: &Connection,
    made: &Made<'_>,
    messages: impl ExactSizeIterator<Item = (u64, String, &'m Digest)>,
    now: Timestamp,
) -> rusqlite::Result<(i64, String)> {
    let Made { content, edition, source, name } = *made;
    let total = i64::try_from(messages.len()).unwrap_or(i64::MAX);
    let digits = content.to_string();
    let suffix = if edition == 1 { String::new() } else { format!("-{edition}") };
    // Short, and as long as it must be to mean one.
    let id = (8..=digits.len()).map(|length| format!("{}{suffix}", &digits[..length])).find(|id| {
        let count =
            change.query_row("SELECT count(*) FROM campaign WHERE id = ?", params![id], |row| row.get::<_, i64>(0));
        count.is_ok_and(|count| count == 0)
    });
    let id = id.unwrap_or(digits);
    change.execute(
        "INSERT INTO campaign (id, content, edition, source, name, prepared, total) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![id, content.as_bytes(), edition, source, name, now.as_millisecond(), total],
    )?;
    let number = change.last_insert_rowid();
    let mut insert =
        change.prepare("INSERT INTO message (campaign, position, row, address, digest) VALUES (?, ?, ?, ?, ?)")?;
    for (position, (row, address, digest)) in (0_i64..).zip(messages) {
        insert.execute(params![
            number,
            position,
            i64::try_from(row).unwrap_or_default(),
            address,
            digest.as_bytes()
        ])?;
    }
    Ok((number, id))
}

/// What was being sent when a run ended, only the server knows; what was put off is due.
fn found_sending(change: &Connection, number: i64, now: Timestamp) -> rusqlite::Result<usize> {
    change.execute(
        "UPDATE attempt SET outcome = 'in_doubt', ended = ?, said = 'the run ended here'
         WHERE campaign = ? AND outcome = 'sending'",
        params![now.as_millisecond(), number],
    )?;
    change.execute("UPDATE message SET state = 'queued' WHERE campaign = ? AND state = 'deferred'", params![number])?;
    change.execute("UPDATE message SET state = 'in_doubt' WHERE campaign = ? AND state = 'sending'", params![number])
}

#[cfg(test)]
mod tests;
