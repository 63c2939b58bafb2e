//! The database that a record is in. The store above asks it in SQL that each kind understands, and does not know which it is.

mod sqlite;
mod value;

use std::{
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
};

#[cfg(test)]
pub(super) use self::sqlite::{APPLICATION_ID, MIGRATIONS};
pub(super) use self::{
    sqlite::Place,
    value::{AsValue, Row, Value, values},
};
use super::store::StoreError;

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite's.
    File(PathBuf),
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
        }
    }
}

/// What a database answers, or why it does not.
pub(super) type Done<T> = Result<T, Fault>;

/// Why a database does not do what it is asked.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    /// A cell has another kind of value than it must have, or none.
    Odd,
    /// There is no such row.
    NoRow,
    /// A statement changed another number of rows than it must.
    Changed(usize),
    /// This machine has no randomness.
    Random(getrandom::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(why: rusqlite::Error) -> Self {
        Self::Sqlite(why)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(why) => why.fmt(f),
            Self::Odd => f.write_str("a value is not what it must be"),
            Self::NoRow => f.write_str("there is no such row"),
            Self::Changed(rows) => write!(f, "{rows} rows were changed"),
            Self::Random(why) => write!(f, "this machine has no randomness: {why}"),
        }
    }
}

/// Octets that nobody can guess.
pub(super) fn random<const N: usize>() -> Done<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(Fault::Random)?;
    Ok(octets)
}

/// A connection to a database.
#[derive(Debug)]
pub(super) enum Database {
    Sqlite(sqlite::Session),
}

impl Database {
    /// Opens what is there, or makes it; gives where it is, in one way of several to say it.
    pub(super) fn open(location: &Location) -> Result<(Self, Location), StoreError> {
        match location {
            Location::File(path) => {
                let (session, path) = sqlite::Session::open(path)?;
                Ok((Self::Sqlite(session), Location::File(path)))
            }
        }
    }

    /// One more connection to what is there.
    pub(super) fn connect(location: &Location) -> Done<Self> {
        match location {
            Location::File(path) => Ok(Self::Sqlite(sqlite::Session::connect(path)?)),
        }
    }

    /// Opens what is there and leaves it as it is; also gives the version of its tables and the one that this program uses.
    pub(super) fn examine(location: &Location) -> Result<(Self, Location, (i64, i64)), StoreError> {
        match location {
            Location::File(path) => {
                let (session, path, versions) = sqlite::Session::examine(path)?;
                Ok((Self::Sqlite(session), Location::File(path), versions))
            }
        }
    }

    /// Carries out a statement, and gives how many rows it changed.
    pub(super) fn run(&self, sql: &str, values: &[Value<'_>]) -> Done<usize> {
        match self {
            Self::Sqlite(session) => session.run(sql, values),
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
        }
    }

    /// The same of all rows.
    pub(super) fn each(&self, sql: &str, values: &[Value<'_>], mut with: impl FnMut(&Row<'_>) -> Done<()>) -> Done<()> {
        self.each_while(sql, values, |row| with(row).map(|()| true))
    }

    /// What is made of all rows together.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut with: impl FnMut(&Row<'_>) -> Done<T>,
    ) -> Done<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, values, |row| {
            all.push(with(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// What is made of the first row, if there is one.
    pub(super) fn perhaps<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut with: impl FnMut(&Row<'_>) -> Done<T>,
    ) -> Done<Option<T>> {
        let mut first = None;
        self.each_while(sql, values, |row| {
            first = Some(with(row)?);
            Ok(false)
        })?;
        Ok(first)
    }

    /// What is made of the first row, which there must be.
    pub(super) fn one<T>(&self, sql: &str, values: &[Value<'_>], with: impl FnMut(&Row<'_>) -> Done<T>) -> Done<T> {
        self.perhaps(sql, values, with)?.ok_or(Fault::NoRow)
    }

    /// Several statements in one transaction; nobody else has one like it meanwhile. What is not [committed](Change::commit) is
    /// taken back.
    pub(super) fn change(&self) -> Done<Change<'_>> {
        match self {
            Self::Sqlite(session) => session.say("BEGIN IMMEDIATE")?,
        }
        Ok(Change { database: self, is_open: true })
    }

    /// Several questions to one state of the record, whatever others write meanwhile.
    pub(super) fn still(&self) -> Done<Change<'_>> {
        match self {
            Self::Sqlite(session) => session.say("BEGIN")?,
        }
        Ok(Change { database: self, is_open: true })
    }

    /// Puts what was written where it belongs, as far as nobody uses it.
    pub(super) fn settle(&self) {
        let Self::Sqlite(session) = self;
        let _ = session.checkpoint();
    }

    /// What is written from now on is seen by others at once, and a power cut may take back the last of it.
    pub(super) fn hurry(&self) -> Done<()> {
        match self {
            Self::Sqlite(session) => session.say("PRAGMA synchronous = NORMAL"),
        }
    }

    /// What is removed from now on is overwritten.
    pub(super) fn overwrite(&self) -> Done<()> {
        match self {
            Self::Sqlite(session) => session.say("PRAGMA secure_delete = 1"),
        }
    }

    /// Nothing is left of what was removed, once this is done.
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
        }
    }

    /// Many small statements, whose answers nobody waits for one by one.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { database: self }
    }
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
        let Database::Sqlite(session) = self.database;
        let done = session.say("COMMIT");
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
            let Database::Sqlite(session) = self.database;
            let _ = session.say("ROLLBACK");
        }
    }
}

/// Small statements on their way.
#[derive(Debug)]
pub(super) struct Batch<'d> {
    database: &'d Database,
}

impl Batch<'_> {
    /// One more.
    pub(super) fn add(&mut self, sql: &str, values: &[Value<'_>]) -> Done<()> {
        self.database.run(sql, values).map(drop)
    }

    /// One more, which must change one row.
    pub(super) fn add_for_one(&mut self, sql: &str, values: &[Value<'_>]) -> Done<()> {
        match self.database.run(sql, values)? {
            1 => Ok(()),
            changed => Err(Fault::Changed(changed)),
        }
    }

    /// All of them were carried out.
    pub(super) fn end(self) -> Done<()> {
        Ok(())
    }
}
