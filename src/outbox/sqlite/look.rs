//! Looking into the record, and what a person decides about a message.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Row, TransactionBehavior, params};

use super::{Outcome, RunLock, Store, StoreError};
use crate::outbox::Counts;

/// A campaign of the record.
#[derive(Debug, Clone)]
pub struct Overview {
    number: i64,
    /// What people call it.
    pub id: String,
    /// As it was called on the command line.
    pub name: String,
    /// When it was prepared.
    pub prepared: Timestamp,
    /// What became of its messages.
    pub counts: Counts,
}

/// A message of the record, and what was tried last.
#[derive(Debug, Clone)]
pub struct Tried {
    /// As the spreadsheet numbers it.
    pub row: u64,
    /// Whom it is for.
    pub address: String,
    /// To look it up by.
    pub message_id: String,
    /// Address and port.
    pub server: String,
    /// When.
    pub began: Timestamp,
    /// The reply, or what happened in place of one.
    pub said: String,
}

impl Store {
    /// All campaigns, the newest first.
    pub fn campaigns(&self) -> Result<Vec<Overview>, StoreError> {
        self.uncounted()?.into_iter().map(|one| self.counted(one)).collect()
    }

    fn uncounted(&self) -> Result<Vec<Overview>, StoreError> {
        let all = || {
            let mut query =
                self.connection.prepare("SELECT number, id, name, prepared FROM campaign ORDER BY number DESC")?;
            query.query_map([], overview)?.collect::<rusqlite::Result<Vec<Overview>>>()
        };
        all().map_err(|why| self.error(&why))
    }

    fn counted(&self, one: Overview) -> Result<Overview, StoreError> {
        let counts = self.counts(one.number).map_err(|why| self.error(&why))?;
        Ok(Overview { counts, ..one })
    }

    /// The campaign with an id, or with the only one that begins so.
    pub fn campaign(&self, id: &str) -> Result<Overview, StoreError> {
        let mut like: Vec<Overview> = self.uncounted()?.into_iter().filter(|one| one.id.starts_with(id)).collect();
        if let Some(exact) = like.iter().position(|one| one.id == id) {
            return self.counted(like.swap_remove(exact));
        }
        match (like.len(), like.pop()) {
            (1, Some(only)) if id.len() >= 4 => self.counted(only),
            _ => Err(StoreError::Unknown(id.to_owned())),
        }
    }

    /// The messages of a campaign with an outcome, `most` at most, in the order of the list.
    pub fn tried(&self, campaign: &Overview, outcome: Outcome, most: usize) -> Result<Vec<Tried>, StoreError> {
        let all = || {
            let mut query = self.connection.prepare(
                "SELECT row, address, message_id, server, began, said FROM message
                 JOIN attempt USING (campaign, position)
                 WHERE campaign = ? AND state = ? AND number = (SELECT max(number) FROM attempt AS last
                     WHERE last.campaign = message.campaign AND last.position = message.position)
                 ORDER BY position LIMIT ?",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let tried = query.query_map(params![campaign.number, outcome.name(), most], tried)?;
            tried.collect::<rusqlite::Result<Vec<Tried>>>()
        };
        all().map_err(|why| self.error(&why))
    }

    /// Writes down what a person decided about those messages with an outcome that `is_meant` by their rows; gives the rows.
    /// Nobody may be sending the campaign meanwhile.
    pub fn decide(
        &mut self,
        campaign: &Overview,
        from: Outcome,
        to: Outcome,
        is_meant: impl Fn(u64) -> bool,
    ) -> Result<Vec<u64>, StoreError> {
        let _lock = RunLock::take(&self.path, &campaign.id, Timestamp::now())?;
        let path = self.path.clone();
        let sqlite = |why: rusqlite::Error| StoreError::of(&path, &why);
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let all = || {
            let mut query = change
                .prepare("SELECT position, row FROM message WHERE campaign = ? AND state = ? ORDER BY position")?;
            let all = query.query_map(params![campaign.number, from.name()], |row| {
                Ok((row.get::<_, i64>(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default()))
            })?;
            all.collect::<rusqlite::Result<Vec<(i64, u64)>>>()
        };
        let meant: Vec<(i64, u64)> = all().map_err(sqlite)?.into_iter().filter(|(_, row)| is_meant(*row)).collect();
        for (position, _) in &meant {
            let sql = "UPDATE message SET state = ? WHERE campaign = ? AND position = ?";
            change.execute(sql, params![to.name(), campaign.number, position]).map_err(sqlite)?;
        }
        change.commit().map_err(sqlite)?;
        Ok(meant.into_iter().map(|(_, row)| row).collect())
    }

    /// How long ago each transaction of an account was over that began within so long, the oldest first. Where that is not
    /// known it is now.
    pub fn recent(&self, account: &str, within: Duration, now: Timestamp) -> Result<Vec<Duration>, StoreError> {
        let all = || {
            let mut query = self.connection.prepare(
                "SELECT ended FROM attempt WHERE account = ? AND (ended IS NULL OR ended > ?) ORDER BY ended IS NULL, ended",
            )?;
            let now = now.as_millisecond();
            let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
            let ages = query.query_map(params![account, now.saturating_sub(within)], |row| {
                let ended = row.get::<_, Option<i64>>(0)?.unwrap_or(now);
                Ok(Duration::from_millis(u64::try_from(now - ended).unwrap_or_default()))
            })?;
            ages.collect::<rusqlite::Result<Vec<Duration>>>()
        };
        all().map_err(|why| self.error(&why))
    }

    pub(super) fn counts(&self, number: i64) -> rusqlite::Result<Counts> {
        let mut query =
            self.connection.prepare("SELECT state, count(*) FROM message WHERE campaign = ? GROUP BY state")?;
        let mut counts = Counts::default();
        let mut rows = query.query(params![number])?;
        while let Some(row) = rows.next()? {
            let (state, count): (String, i64) = (row.get(0)?, row.get(1)?);
            if let Some(outcome) = Outcome::ALL.into_iter().find(|outcome| outcome.name() == state) {
                counts.set(outcome, usize::try_from(count).unwrap_or(usize::MAX));
            }
        }
        Ok(counts)
    }
}

fn overview(row: &Row<'_>) -> rusqlite::Result<Overview> {
    Ok(Overview {
        number: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        prepared: Timestamp::from_millisecond(row.get(3)?).unwrap_or_default(),
        counts: Counts::default(),
    })
}

fn tried(row: &Row<'_>) -> rusqlite::Result<Tried> {
    Ok(Tried {
        row: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
        address: row.get(1)?,
        message_id: row.get(2)?,
        server: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        began: Timestamp::from_millisecond(row.get(4)?).unwrap_or_default(),
        said: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
    })
}
