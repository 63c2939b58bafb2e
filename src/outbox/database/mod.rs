//! The database that a record is in. The store above asks it in SQL that each kind understands, and does not know which it is.

mod note;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod value;

use std::{
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
};

#[cfg(feature = "postgres")]
use tokio_postgres::error::SqlState;

pub use self::note::Attempt;
#[cfg(feature = "postgres")]
pub(super) use self::postgres::{Fence, Lease, busy, end_lost_workers, holder};
#[cfg(feature = "postgres")]
pub use self::postgres::{Knocked, Server, ServerError};
#[cfg(test)]
pub(super) use self::sqlite::{APPLICATION_ID, MIGRATIONS};
pub(super) use self::{
    note::Notes,
    sqlite::Place,
    value::{AsValue, Row, Value, values},
};
use super::{Outcome, store::StoreError};

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite's.
    File(PathBuf),
    /// A database of PostgreSQL's.
    #[cfg(feature = "postgres")]
    Server(Server),
}

impl Location {
    /// Whether it is a file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Whether there is a file; only who asks a database knows it of one.
    #[must_use]
    pub fn may_be_there(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            #[cfg(feature = "postgres")]
            Self::Server(_) => true,
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for Location {
    fn from(location: &Self) -> Self {
        location.clone()
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            #[cfg(feature = "postgres")]
            Self::Server(server) => server.fmt(f),
        }
    }
}

/// What a database answers, or why it does not.
pub(super) type Done<T> = Result<T, Fault>;

/// Why a database does not do what it is asked.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    #[cfg(feature = "postgres")]
    Postgres(tokio_postgres::Error),
    /// The server is not there, or cannot be trusted.
    #[cfg(feature = "postgres")]
    Unreached(String),
    /// Somebody else has the campaign now.
    #[cfg(feature = "postgres")]
    Lost,
    /// A transaction was to begin within another.
    #[cfg(feature = "postgres")]
    Nested,
    /// A cell has another kind of value than it must have, or none.
    Odd,
    /// There is no such row.
    NoRow,
    /// A statement changed another number of rows than it must.
    Changed(usize),
    /// All of it went to another place, or is on its way there.
    Sealed {
        to: String,
        is_over: bool,
    },
    /// This machine has no randomness.
    Random(getrandom::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(why: rusqlite::Error) -> Self {
        Self::Sqlite(why)
    }
}

#[cfg(feature = "postgres")]
impl From<tokio_postgres::Error> for Fault {
    fn from(why: tokio_postgres::Error) -> Self {
        // The functions of the tables have codes of their own.
        match why.code().map(SqlState::code) {
            Some("AP001") => Self::Lost,
            Some("AP002") => Self::Changed(0),
            _ => Self::Postgres(why),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(why) => why.fmt(f),
            #[cfg(feature = "postgres")]
            Self::Postgres(why) => postgres::said(why).fmt(f),
            #[cfg(feature = "postgres")]
            Self::Unreached(why) => why.fmt(f),
            #[cfg(feature = "postgres")]
            Self::Lost => f.write_str("another program has the campaign now"),
            #[cfg(feature = "postgres")]
            Self::Nested => f.write_str("a transaction was to begin within another"),
            Self::Odd => f.write_str("a value is not what it must be"),
            Self::NoRow => f.write_str("there is no such row"),
            Self::Changed(rows) => write!(f, "{rows} rows were changed"),
            Self::Sealed { to, .. } => write!(f, "all of it was moved to {to}"),
            Self::Random(why) => write!(f, "this machine has no randomness: {why}"),
        }
    }
}

/// Writes down what can become of a message, and what may follow what, as far as it is not there.
fn fill_states(run: impl Fn(&str, &[Value<'_>]) -> Done<usize>) -> Done<()> {
    for state in Outcome::ALL {
        run("INSERT INTO state (name) VALUES (?) ON CONFLICT DO NOTHING", values![state.name()])?;
    }
    for (before, after) in Outcome::ALL.into_iter().flat_map(|one| Outcome::ALL.map(|other| (one, other))) {
        if before.may_become(after) {
            run("INSERT INTO transition VALUES (?, ?) ON CONFLICT DO NOTHING", values![before.name(), after.name()])?;
        }
    }
    Ok(())
}

/// Octets that nobody can guess.
pub(super) fn random<const N: usize>() -> Done<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(Fault::Random)?;
    Ok(octets)
}

/// A file is held by its lock alone.
#[cfg(not(feature = "postgres"))]
#[derive(Debug, Clone)]
pub(super) enum Fence {}

/// A connection to a database.
#[derive(Debug)]
pub(super) enum Database {
    Sqlite(sqlite::Session),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Session),
}

impl Database {
    /// Opens what is there, or makes it; gives where it is, in one way of several to say it.
    pub(super) fn open(location: &Location) -> Result<(Self, Location), StoreError> {
        match location {
            Location::File(path) => {
                let (session, path) = sqlite::Session::open(path)?;
                Ok((Self::Sqlite(session), Location::File(path)))
            }
            #[cfg(feature = "postgres")]
            Location::Server(server) => Ok((Self::Postgres(postgres::Session::open(server)?), location.clone())),
        }
    }

    /// One more connection to what is there.
    pub(super) fn connect(location: &Location) -> Done<Self> {
        match location {
            Location::File(path) => Ok(Self::Sqlite(sqlite::Session::connect(path)?)),
            #[cfg(feature = "postgres")]
            Location::Server(server) => Ok(Self::Postgres(postgres::Session::connect(server)?)),
        }
    }

    /// Makes the tables of this version, where that is not done by whoever opens it; gives the versions before and after.
    pub(super) fn migrate(location: &Location) -> Result<(i64, i64), StoreError> {
        match location {
            Location::File(path) => {
                let before = if path.exists() { sqlite::Session::examine(path)?.2.0 } else { 0 };
                sqlite::Session::open(path)?;
                Ok((before, sqlite::known_version()))
            }
            #[cfg(feature = "postgres")]
            Location::Server(server) => postgres::Session::migrate(server),
        }
    }

    /// Opens what is there and leaves it as it is; also gives the version of its tables and the one that this program uses.
    pub(super) fn examine(location: &Location) -> Result<(Self, Location, (i64, i64)), StoreError> {
        match location {
            Location::File(path) => {
                let (session, path, versions) = sqlite::Session::examine(path)?;
                Ok((Self::Sqlite(session), Location::File(path), versions))
            }
            #[cfg(feature = "postgres")]
            Location::Server(server) => {
                let failed = |why: Fault| StoreError::of(location, &why);
                let session = postgres::Session::connect(server).map_err(failed)?;
                let version = session.version().map_err(failed)?;
                Ok((Self::Postgres(session), location.clone(), (version, postgres::known_version())))
            }
        }
    }

    /// Carries out a statement, and gives how many rows it changed.
    pub(super) fn run(&self, sql: &str, values: &[Value<'_>]) -> Done<usize> {
        match self {
            Self::Sqlite(session) => session.run(sql, values),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.run(sql, values),
        }
    }

    /// Gives each row to somebody, as long as more are wanted. However many there are, few of them are in memory; other statements
    /// may be carried out meanwhile.
    pub(super) fn each_while(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut with: impl FnMut(&Row<'_>) -> Done<bool>,
    ) -> Done<()> {
        match self {
            Self::Sqlite(session) => session.each(sql, values, &mut with),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.each(sql, values, &mut with),
        }
    }

    /// The same of all rows.
    pub(super) fn each(&self, sql: &str, values: &[Value<'_>], mut with: impl FnMut(&Row<'_>) -> Done<()>) -> Done<()> {
        self.each_while(sql, values, |row| with(row).map(|()| true))
    }

    /// What is made of all rows of a short answer together.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut with: impl FnMut(&Row<'_>) -> Done<T>,
    ) -> Done<Vec<T>> {
        match self {
            Self::Sqlite(session) => {
                let mut all = Vec::new();
                session.each(sql, values, &mut |row| {
                    all.push(with(row)?);
                    Ok(true)
                })?;
                Ok(all)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.rows(sql, values)?.iter().map(|row| with(&Row::Postgres(row))).collect(),
        }
    }

    /// What is made of the first row of a short answer, if there is one.
    pub(super) fn perhaps<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut with: impl FnMut(&Row<'_>) -> Done<T>,
    ) -> Done<Option<T>> {
        match self {
            Self::Sqlite(session) => {
                let mut first = None;
                session.each(sql, values, &mut |row| {
                    first = Some(with(row)?);
                    Ok(false)
                })?;
                Ok(first)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => {
                session.rows(sql, values)?.first().map(|row| with(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// What is made of the first row, which there must be.
    pub(super) fn one<T>(&self, sql: &str, values: &[Value<'_>], with: impl FnMut(&Row<'_>) -> Done<T>) -> Done<T> {
        self.perhaps(sql, values, with)?.ok_or(Fault::NoRow)
    }

    /// Several statements in one transaction; nobody else has one like it meanwhile. What is not [committed](Change::commit) is
    /// taken back. There is none in an outbox that was moved.
    pub(super) fn change(&self) -> Done<Change<'_>> {
        self.change_at(Seal::Holds)
    }

    /// The same, also in an outbox that was moved if its seal is put aside.
    pub(super) fn change_at(&self, seal: Seal) -> Done<Change<'_>> {
        match self {
            Self::Sqlite(session) => session.begin_alone(seal)?,
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.begin_alone(seal)?,
        }
        Ok(Change { database: self, is_open: true })
    }

    /// As a part of a change: whoever was not heard of for too long cannot go on, and what others write about their own messages at
    /// this moment is waited for.
    #[cfg_attr(not(feature = "postgres"), allow(clippy::unnecessary_wraps, reason = "a file is held by its locks"))]
    pub(super) fn end_runs(&self) -> Done<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.end_runs(),
        }
    }

    /// What gets a number from now on gets one behind all that are there.
    pub(super) fn number_on(&self) -> Done<()> {
        match self {
            Self::Sqlite(session) => session.number_on(),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.number_on(),
        }
    }

    /// Whether a text with a NUL in it comes back as it is.
    pub(super) fn holds_nul(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Several questions to one state of the record, whatever others write meanwhile.
    pub(super) fn still(&self) -> Done<Change<'_>> {
        match self {
            Self::Sqlite(session) => session.say("BEGIN")?,
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.begin("BEGIN ISOLATION LEVEL REPEATABLE READ")?,
        }
        Ok(Change { database: self, is_open: true })
    }

    /// Puts what was written where it belongs, as far as nobody uses it.
    pub(super) fn settle(&self) {
        match self {
            Self::Sqlite(session) => drop(session.checkpoint()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {}
        }
    }

    /// The time, in milliseconds, as a part of a statement whose first value is this machine's: where machines share a database, its
    /// clock is everybody's.
    pub(super) fn now(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "?1",
            // The value must be there in any case.
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "now_ms() + 0 * ?1::BIGINT",
        }
    }

    /// What is written from now on is seen by others at once, and a power cut may take back the last of it.
    pub(super) fn hurry(&self) -> Done<()> {
        match self {
            Self::Sqlite(session) => session.say("PRAGMA synchronous = NORMAL"),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.say("SET synchronous_commit = off"),
        }
    }

    /// What is removed from now on is overwritten, where the database can do that.
    pub(super) fn overwrite(&self) -> Done<()> {
        match self {
            Self::Sqlite(session) => session.say("PRAGMA secure_delete = 1"),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Nothing is left of what was removed, once this is done, where the database can do that: PostgreSQL overwrites what is free
    /// when it likes, and has its own log besides.
    pub(super) fn shrink(&self, location: &Location) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(session) => match session.shrink() {
                Ok(true) => Ok(()),
                // Somebody reads or writes it.
                Ok(false) => Err(StoreError::NotShrunk(location.clone())),
                Err(Fault::Sqlite(why)) if why.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                    Err(StoreError::NotShrunk(location.clone()))
                }
                Err(why) => Err(StoreError::of(location, &why)),
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Adds rows to a table: the values of each in the order of the columns, which are named as in a statement.
    pub(super) fn fill<const N: usize>(&self, table: &str, columns: &str, rows: &[[Value<'_>; N]]) -> Done<()> {
        match self {
            Self::Sqlite(session) => session.fill(table, columns, rows),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.fill(table, columns, rows),
        }
    }

    /// Many small statements, whose answers nobody waits for one by one.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            database: self,
            #[cfg(feature = "postgres")]
            queue: postgres::Queue::default(),
        }
    }
}

/// Whether a change must find that all of it is still here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// It must.
    Holds,
    /// It is about the seal itself.
    Aside,
}

/// A transaction.
#[derive(Debug)]
pub(super) struct Change<'d> {
    database: &'d Database,
    is_open: bool,
}

impl Change<'_> {
    /// All of it is done, and outlives the machine's next power cut.
    pub(super) fn commit(mut self) -> Done<()> {
        let done = match self.database {
            Database::Sqlite(session) => session.say("COMMIT"),
            #[cfg(feature = "postgres")]
            Database::Postgres(session) => session.commit(),
        };
        self.is_open = done.is_err();
        done
    }
}

impl Deref for Change<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.database
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if self.is_open {
            let _ = match self.database {
                Database::Sqlite(session) => session.say("ROLLBACK"),
                #[cfg(feature = "postgres")]
                Database::Postgres(session) => session.end("ROLLBACK"),
            };
        }
    }
}

/// Small statements on their way.
#[derive(Debug)]
pub(super) struct Batch<'d> {
    database: &'d Database,
    #[cfg(feature = "postgres")]
    queue: postgres::Queue,
}

impl Batch<'_> {
    /// One more.
    pub(super) fn add(&mut self, sql: &str, values: &[Value<'_>]) -> Done<()> {
        match self.database {
            Database::Sqlite(session) => session.run(sql, values).map(drop),
            #[cfg(feature = "postgres")]
            Database::Postgres(session) => self.queue.add(session, sql, values),
        }
    }

    /// All of them were carried out.
    #[cfg_attr(not(feature = "postgres"), allow(clippy::unnecessary_wraps, reason = "SQLite has done it already"))]
    pub(super) fn end(self) -> Done<()> {
        match self.database {
            Database::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Database::Postgres(session) => {
                let mut queue = self.queue;
                queue.send(session)
            }
        }
    }
}
