//! A record in a file of SQLite's.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::{
    Done, Fault, Location, Seal, StoreError, fill_states,
    value::{At, Row, Value},
};
use crate::secret::{create_directory, create_file};

/// What SQLite keeps at offset 68 to tell whose file it is: "apie".
pub(in crate::outbox) const APPLICATION_ID: i64 = 0x6170_6965;

/// Scripts that make a file of one version one of the next.
pub(in crate::outbox) const MIGRATIONS: &[&str] = &[
    include_str!("sqlite/1.sql"),
    include_str!("sqlite/2.sql"),
    include_str!("sqlite/3.sql"),
    include_str!("sqlite/4.sql"),
    include_str!("sqlite/5.sql"),
    include_str!("sqlite/6.sql"),
    include_str!("sqlite/7.sql"),
];

/// So long one process waits for another's write.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many statements are kept to be used again.
const STATEMENTS: usize = 64;

/// One connection to a file.
#[derive(Debug)]
pub(in crate::outbox) struct Session {
    connection: Connection,
}

impl Session {
    /// Opens the file, or makes it. What is not an outbox is left as it is.
    pub(super) fn open(path: &Path) -> Result<(Self, PathBuf), StoreError> {
        let io = |why: &std::io::Error| StoreError::io(&path.into(), why);
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            create_directory(directory).map_err(|why| io(&why))?;
            if is_on_network(directory) {
                return Err(StoreError::Network(path.into()));
            }
        }
        match create_file(path) {
            Ok(_) => {}
            // A device, a pipe, a directory
            Err(why)
                if why.kind() == std::io::ErrorKind::AlreadyExists
                    && path.metadata().is_ok_and(|known| !known.is_file()) =>
            {
                return Err(StoreError::Foreign(path.into()));
            }
            // It is not opened here: whoever closes a file loses all locks of this process on it, SQLite's, too, and another
            // program would take the write-ahead log away from under a run (<https://sqlite.org/howtocorrupt.html>, 2.2).
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(io(&why)),
        }
        // Whatever it is called, there is one lock for it.
        let path = path.canonicalize().map_err(|why| io(&why))?;
        if has_other_names(&path) {
            return Err(StoreError::Linked(path.into()));
        }
        let failed = |why: Fault| StoreError::of(&path.as_path().into(), &why);
        let session = Self::connect(&path).map_err(failed)?;
        // SQLite opens what may only be read, too, and would say so with the first write.
        if session.connection.is_readonly("main").map_err(|why| failed(why.into()))? {
            return Err(StoreError::ReadOnly(path.as_path().into()));
        }
        session.set_up(&path)?;
        Ok((session, path))
    }

    /// One more connection to a file that is there.
    pub(super) fn connect(path: &Path) -> Done<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self { connection })
    }

    /// The connection itself.
    #[cfg(test)]
    pub(in crate::outbox) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Looks at a file that is there: whether it can be used, and whether it is whole, page by page.
    pub(super) fn examine(path: &Path) -> Result<(Self, PathBuf, (i64, i64)), StoreError> {
        let io = |why: std::io::Error| StoreError::io(&path.into(), &why);
        if !path.metadata().map_err(io)?.is_file() {
            return Err(StoreError::Foreign(path.into()));
        }
        let path = path.canonicalize().map_err(io)?;
        let place = || Location::from(path.as_path());
        if has_other_names(&path) {
            return Err(StoreError::Linked(place()));
        }
        if path.parent().is_some_and(is_on_network) {
            return Err(StoreError::Network(place()));
        }
        let failed = |why: Fault| StoreError::of(&place(), &why);
        let session = Self::connect(&path).map_err(failed)?;
        if !session.is_ours().map_err(failed)? {
            return Err(StoreError::Foreign(place()));
        }
        if session.connection.is_readonly("main").map_err(|why| failed(why.into()))? {
            return Err(StoreError::ReadOnly(place()));
        }
        let version = session.number("user_version").map_err(failed)?;
        if version > known_version() {
            return Err(StoreError::Newer(place(), version));
        }
        let found = session.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        if found.map_err(|why| failed(why.into()))? != "ok" {
            return Err(StoreError::Corrupt(place()));
        }
        Ok((session, path, (version, known_version())))
    }

    fn set_up(&self, path: &Path) -> Result<(), StoreError> {
        let failed = |why: Fault| StoreError::of(&path.into(), &why);
        // Another program may be making it at this moment, or may have died while it did: then nothing is in it.
        self.say("BEGIN").map_err(failed)?;
        let (is_ours, version) = (self.is_ours().map_err(failed)?, self.number("user_version").map_err(failed)?);
        self.say("COMMIT").map_err(failed)?;
        if !is_ours {
            return Err(StoreError::Foreign(path.into()));
        }
        make_own(path).map_err(|why| StoreError::io(&path.into(), &why))?;
        if version > known_version() {
            return Err(StoreError::Newer(path.into(), version));
        }
        if !self.write_ahead().map_err(|why| failed(why.into()))? {
            return Err(StoreError::Network(path.into()));
        }
        self.say("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;").map_err(failed)?;
        if version < known_version() {
            self.say("BEGIN IMMEDIATE").map_err(failed)?;
            let migrated = self.migrate();
            self.say(if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" }).and(migrated).map_err(failed)?;
        }
        Ok(())
    }

    fn migrate(&self) -> Done<()> {
        // Somebody else may have been faster.
        let version = usize::try_from(self.number("user_version")?).unwrap_or(0);
        for script in MIGRATIONS.iter().skip(version) {
            self.say(script)?;
        }
        fill_states(|sql, values| self.run(sql, values))?;
        self.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        self.connection.pragma_update(None, "user_version", known_version())?;
        Ok(())
    }

    /// Whether it is an outbox, or nothing yet.
    pub(super) fn is_ours(&self) -> Done<bool> {
        let tables = "SELECT count(*) FROM sqlite_master";
        let tables: i64 = self.connection.query_row(tables, [], |row| row.get(0))?;
        Ok(self.number("application_id")? == APPLICATION_ID || tables == 0)
    }

    /// What a pragma says.
    pub(super) fn number(&self, pragma: &str) -> Done<i64> {
        Ok(self.connection.pragma_query_value(None, pragma, |row| row.get(0))?)
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

    /// Begins a transaction, which nobody else can have meanwhile.
    pub(super) fn begin_alone(&self, seal: Seal) -> Done<()> {
        self.say("BEGIN IMMEDIATE")?;
        let checked = match seal {
            Seal::Holds => self.must_be_here(),
            Seal::Aside => Ok(()),
        };
        if checked.is_err() {
            let _ = self.say("ROLLBACK");
        }
        checked
    }

    fn must_be_here(&self) -> Done<()> {
        let mut gone = None;
        self.each("SELECT place, over IS NOT NULL FROM moved WHERE way = 'to'", &[], &mut |row| {
            gone = Some(Fault::Sealed { to: row.get(0)?, is_over: row.get(1)? });
            Ok(false)
        })?;
        gone.map_or(Ok(()), Err)
    }

    /// What gets a number from now on gets one behind all that are there: SQLite looks for the largest itself, but does not know of
    /// slots that are gone and stand with attempts.
    pub(super) fn number_on(&self) -> Done<()> {
        self.say(
            "INSERT INTO slot (number, account, campaign, taken) SELECT max(coalesce((SELECT max(number) FROM slot), 0),
                 coalesce((SELECT max(slot) FROM attempt), 0)) + 1, '', 0, 0;
             DELETE FROM slot WHERE number = (SELECT max(number) FROM slot)",
        )
    }

    /// Puts what is in the write-ahead log into the file itself; whether all of it could be put there, as nobody else uses it.
    pub(super) fn checkpoint(&self) -> Done<bool> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))?)
    }

    /// Writes the file anew, so that nothing is left of what was removed; whether nobody kept it from that.
    pub(super) fn shrink(&self) -> Done<bool> {
        self.say("VACUUM")?;
        self.checkpoint()
    }

    /// Carries out statements without values.
    pub(super) fn say(&self, sql: &str) -> Done<()> {
        Ok(self.connection.execute_batch(sql)?)
    }

    pub(super) fn run(&self, sql: &str, values: &[Value<'_>]) -> Done<usize> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.execute(rusqlite::params_from_iter(values))?)
    }

    /// Adds rows to a table.
    pub(super) fn fill<const N: usize>(&self, table: &str, columns: &str, rows: &[[Value<'_>; N]]) -> Done<()> {
        let places = ["?"; N].join(", ");
        let insert = format!("INSERT INTO {table} ({columns}) VALUES ({places})");
        rows.iter().try_for_each(|row| self.run(&insert, row).map(drop))
    }

    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        with: &mut dyn FnMut(&Row<'_>) -> Done<bool>,
    ) -> Done<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if !with(&Row::Sqlite(row))? {
                break;
            }
        }
        Ok(())
    }
}

/// The version of the tables that this program uses.
pub(in crate::outbox) fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Octets(octets) => ValueRef::Blob(octets),
        }))
    }
}

/// What stands in a cell.
pub(super) fn cell<'r>(row: &'r rusqlite::Row<'_>, at: At<'_>) -> Done<Value<'r>> {
    let cell = match at {
        At::Nth(nth) => row.get_ref(nth)?,
        At::Named(name) => row.get_ref(name)?,
    };
    match cell {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Number(number)),
        ValueRef::Text(text) => std::str::from_utf8(text).map(Value::Text).map_err(|_| Fault::Odd),
        ValueRef::Blob(octets) => Ok(Value::Octets(octets)),
        ValueRef::Real(_) => Err(Fault::Odd),
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
pub(in crate::outbox) struct Place([Option<(u64, u64)>; 2]);

impl Place {
    /// Where a record is at this moment.
    #[cfg(unix)]
    pub(in crate::outbox) fn of(location: &Location) -> Self {
        use std::os::unix::fs::MetadataExt;
        #[cfg_attr(not(feature = "postgres"), allow(irrefutable_let_patterns, reason = "there are no others"))]
        let Location::File(path) = location else { return Self([None; 2]) };
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let place = |path: &Path| path.metadata().ok().map(|data| (data.dev(), data.ino()));
        Self([place(path), place(Path::new(&log))])
    }

    #[cfg(not(unix))]
    pub(in crate::outbox) fn of(_: &Location) -> Self {
        Self([None; 2])
    }
}

/// Whether a directory lies on another machine, where SQLite's write-ahead log does not work
/// (<https://sqlite.org/wal.html>).
#[cfg(target_os = "linux")]
fn is_on_network(directory: &Path) -> bool {
    // NFS, SMB, CIFS, SMB2, AFS, Coda, 9P, Ceph (statfs(2))
    const KINDS: [u32; 8] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x5346_414f, 0x7375_7245, 0x0102_1997, 0x00c3_6400];
    let kind = rustix::fs::statfs(directory).map(|system| system.f_type);
    kind.is_ok_and(|kind| KINDS.iter().any(|known| i128::from(*known) == i128::from(kind) & 0xffff_ffff))
}

#[cfg(not(target_os = "linux"))]
fn is_on_network(_: &Path) -> bool {
    false
}
