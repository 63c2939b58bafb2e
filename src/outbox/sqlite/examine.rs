//! Looking at a record without changing anything of it.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;

use super::{APPLICATION_ID, MIGRATIONS, RunLock, Store, StoreError, connect, lock};

/// So many of the newest campaigns are looked at for whoever sends them.
const MOST_CAMPAIGNS: u32 = 10_000;

/// What a record is like.
#[derive(Debug, Clone)]
pub struct Examined {
    /// The version of its tables, and the one that this program uses.
    pub versions: (i64, i64),
    /// How many campaigns are in it.
    pub campaigns: usize,
    /// The campaigns that are being sent, each with what the process that does says about itself.
    pub running: Vec<(String, String)>,
    /// When something was last written down.
    pub last: Option<Timestamp>,
}

impl Store {
    /// Looks at a file that is there: whether it can be used, and whether it is whole, page by page. It stays as it is, in its
    /// version and with its permissions.
    pub fn examine(path: &Path) -> Result<Examined, StoreError> {
        let io = |why: std::io::Error| StoreError::io(path, &why);
        if !path.metadata().map_err(io)?.is_file() {
            return Err(StoreError::Foreign(path.to_owned()));
        }
        let path = &path.canonicalize().map_err(io)?;
        if super::has_other_names(path) {
            return Err(StoreError::Linked(path.clone()));
        }
        if path.parent().is_some_and(lock::is_on_network) {
            return Err(StoreError::Network(path.clone()));
        }
        let sqlite = |why: rusqlite::Error| StoreError::of(path, &why);
        let connection = connect(path).map_err(sqlite)?;
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let tables = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0));
        if number("application_id").map_err(sqlite)? != APPLICATION_ID && tables.map_err(sqlite)? != 0 {
            return Err(StoreError::Foreign(path.clone()));
        }
        if connection.is_readonly("main").map_err(sqlite)? {
            return Err(StoreError::ReadOnly(path.clone()));
        }
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        let version = number("user_version").map_err(sqlite)?;
        if version > known {
            return Err(StoreError::Newer(path.clone(), version));
        }
        let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).map_err(sqlite)?;
        if found != "ok" {
            return Err(StoreError::Corrupt(path.clone()));
        }
        let ids = if version > 0 { ids(&connection).map_err(sqlite)? } else { Vec::new() };
        let running = ids.iter().filter_map(|id| Some((id.clone(), RunLock::holder(path, id)?))).collect();
        let last = if version > 0 { last(&connection, version).map_err(sqlite)? } else { None };
        Ok(Examined { versions: (version, known), campaigns: ids.len(), running, last })
    }
}

/// The newest first.
fn ids(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare("SELECT id FROM campaign ORDER BY number DESC LIMIT ?")?;
    query.query_map([MOST_CAMPAIGNS], |row| row.get(0))?.collect()
}

fn last(connection: &Connection, version: i64) -> rusqlite::Result<Option<Timestamp>> {
    let mut tables =
        vec!["SELECT max(prepared) FROM campaign", "SELECT began FROM attempt ORDER BY number DESC LIMIT 1"];
    if version > 1 {
        tables.push("SELECT at FROM log ORDER BY number DESC LIMIT 1");
    }
    let mut last = None;
    for table in tables {
        let at: Option<Option<i64>> =
            rusqlite::OptionalExtension::optional(connection.query_row(table, [], |row| row.get(0)))?;
        last = last.max(at.flatten());
    }
    Ok(last.and_then(|at| Timestamp::from_millisecond(at).ok()))
}
