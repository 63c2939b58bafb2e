//! Looking at a record without changing anything of it.

use jiff::Timestamp;

use super::{RunLock, Store, StoreError};
use crate::outbox::database::{Database, Done, Fault, Location, values};

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
    /// Looks at a record that is there: whether it can be used, and whether it is whole. It stays as it is, in its version and
    /// with its permissions.
    pub fn examine(location: impl Into<Location>) -> Result<Examined, StoreError> {
        let (database, location, versions) = Database::examine(&location.into())?;
        let store = Self { database, location };
        // It is whole, and nothing can be sent from it.
        if versions.0 == versions.1
            && let Some(gone) = store.moved_away()
        {
            return Err(gone);
        }
        let Self { database, location } = store;
        let failed = |why: Fault| StoreError::of(&location, &why);
        let is_made = versions.0 > 0;
        let ids = if is_made { ids(&database).map_err(failed)? } else { Vec::new() };
        let running =
            ids.iter().filter_map(|id| Some((id.clone(), RunLock::holder(&database, &location, id)?))).collect();
        let last = if is_made { last(&database, versions.0).map_err(failed)? } else { None };
        Ok(Examined { versions, campaigns: ids.len(), running, last })
    }
}

/// The newest first.
fn ids(database: &Database) -> Done<Vec<String>> {
    let sql = "SELECT id FROM campaign ORDER BY number DESC LIMIT ?";
    database.all(sql, values![MOST_CAMPAIGNS], |row| row.get(0))
}

fn last(database: &Database, version: i64) -> Done<Option<Timestamp>> {
    let mut tables =
        vec!["SELECT max(prepared) FROM campaign", "SELECT began FROM attempt ORDER BY number DESC LIMIT 1"];
    if version > 1 {
        tables.push("SELECT at FROM log ORDER BY number DESC LIMIT 1");
    }
    let mut last = None;
    for table in tables {
        let at: Option<Option<i64>> = database.perhaps(table, &[], |row| row.get(0))?;
        last = last.max(at.flatten());
    }
    Ok(last.and_then(|at| Timestamp::from_millisecond(at).ok()))
}
