//! Looking into the record, and what a person decides about a message.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Outcome, RunLock, Store, StoreError,
    log::{self, Deed},
    recur::recurs,
};
use crate::{
    message::Digest,
    outbox::{
        Counts,
        database::{Database, Done, Fault, Location, Row, values},
    },
    recipients::Rows,
};

/// A campaign of the record.
#[derive(Debug, Clone)]
pub struct Overview {
    pub(super) number: i64,
    /// What people call it.
    pub id: String,
    /// As it was called on the command line.
    pub name: String,
    /// When it was prepared.
    pub prepared: Timestamp,
    /// Over all that was kept of it; none where an earlier version kept nothing.
    pub digest: Option<Digest>,
    /// Over the digests of all messages of the first edition.
    pub content: Digest,
    /// 1, or more where the same is sent again.
    pub edition: u32,
    /// Octets of the largest message.
    pub largest: usize,
    /// The version of apiece that prepared it.
    pub made_by: Option<String>,
    /// When people's data was removed.
    pub purged: Option<Timestamp>,
    /// On which machine it was prepared, if that was another one: it is here to be looked at, and is never sent from here.
    pub origin: Option<String>,
    /// What became of its messages.
    pub counts: Counts,
}

impl Overview {
    /// An error if it is here only to be looked at.
    pub fn check_own(&self) -> Result<(), StoreError> {
        match &self.origin {
            Some(origin) => Err(StoreError::Elsewhere { id: self.id.clone(), origin: origin.clone() }),
            None => Ok(()),
        }
    }
}

/// A message of the record, and what was tried last, if anything was.
#[derive(Debug, Clone)]
pub struct Tried {
    /// As the spreadsheet numbers it.
    pub row: u64,
    /// Whom it is for; nobody knows any more once the campaign is purged.
    pub address: String,
    /// What became of it.
    pub outcome: Outcome,
    /// To look it up by.
    pub message_id: String,
    /// Address and port.
    pub server: String,
    /// When it was begun.
    pub began: Option<Timestamp>,
    /// When there was an answer, or none any more.
    pub ended: Option<Timestamp>,
    /// The code of the reply.
    pub code: Option<u16>,
    /// The enhanced one (RFC 3463).
    pub enhanced: Option<String>,
    /// The reply, or what happened in place of one.
    pub said: String,
}

/// What stands for an address that was removed.
const REMOVED: &str = "[removed]";

/// Each message of a campaign with its recipient and with what was tried last.
pub(super) const WITH_LAST: &str = "FROM message JOIN recipient USING (campaign, position)
     LEFT JOIN attempt ON attempt.number = (SELECT max(last.number) FROM attempt AS last
         WHERE last.campaign = message.campaign AND last.position = message.position)
     WHERE message.campaign = ?";

/// What is told of each.
const TRIED: &str = "SELECT row, address, state, message_id, server, began, ended, code, enhanced, said";

impl Store {
    /// All campaigns, the newest first.
    pub fn campaigns(&self) -> Result<Vec<Overview>, StoreError> {
        self.uncounted()?.into_iter().map(|one| self.counted(one)).collect()
    }

    fn uncounted(&self) -> Result<Vec<Overview>, StoreError> {
        let all = self.database.all("SELECT * FROM campaign ORDER BY number DESC", &[], overview);
        all.map_err(|why| self.error(&why))
    }

    fn counted(&self, one: Overview) -> Result<Overview, StoreError> {
        let counts = self.counts(one.number).map_err(|why| self.error(&why))?;
        Ok(Overview { counts, ..one })
    }

    /// The last other campaign of the same name of which some was sent and some is left.
    pub fn unfinished_like(&self, campaign: &Overview) -> Result<Option<Overview>, StoreError> {
        let like = |one: &Overview| one.name == campaign.name && one.number != campaign.number;
        let Some(last) = self.uncounted()?.into_iter().find(like) else { return Ok(None) };
        let last = self.counted(last)?;
        let some = |outcomes: &[Outcome]| outcomes.iter().any(|outcome| last.counts.of(*outcome) > 0);
        let is_left = some(&[Outcome::Queued, Outcome::Deferred]) && some(&[Outcome::Sent, Outcome::InDoubt]);
        Ok(is_left.then_some(last))
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
        let sql = format!("{TRIED} {WITH_LAST} AND state = ? ORDER BY message.position LIMIT ?");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let all = self.database.all(&sql, values![campaign.number, outcome.name(), most], tried);
        all.map_err(|why| self.error(&why))
    }

    /// Goes through all messages of a campaign, in the order of the list, as long as somebody wants more.
    pub fn each(&self, campaign: &Overview, mut with: impl FnMut(Tried) -> bool) -> Result<(), StoreError> {
        let sql = format!("{TRIED} {WITH_LAST} ORDER BY message.position");
        let all = self.database.each_while(&sql, values![campaign.number], |row| Ok(with(tried(row)?)));
        all.map_err(|why| self.error(&why))
    }

    /// Whether some people of a campaign, those at places of the list that are `selected` and queued, got exactly the same
    /// message before, or another program is about to send it to them.
    pub fn check_new(&self, campaign: &Overview, is_selected: &dyn Fn(usize) -> bool) -> Result<(), StoreError> {
        let had =
            already(&self.database, &self.location, campaign.number, is_selected).map_err(|why| self.error(&why))?;
        had.map_or(Ok(()), Err)
    }

    /// Writes down what a person decided about those messages with some outcomes that are in some rows, or all, and that `who`
    /// did `what`; gives the rows, the first of each person. There must be somebody in the rows, and nobody may be sending the
    /// campaign meanwhile.
    pub fn decide(
        &self,
        campaign: &Overview,
        (from, to): (&[Outcome], Outcome),
        named: Option<&Rows>,
        (who, what): (&str, &str),
        details: impl FnOnce(&[u64]) -> Value,
    ) -> Result<Vec<u64>, StoreError> {
        if to == Outcome::Queued {
            campaign.check_own()?;
        }
        if to == Outcome::Queued && campaign.purged.is_some() {
            return Err(StoreError::Purged(campaign.id.clone()));
        }
        let now = Timestamp::now();
        let _lock = RunLock::take(&self.location, &campaign.id, now)?;
        if let Some(named) = named {
            self.check_rows(campaign, named)?;
        }
        let write = || {
            let change = self.database.change()?;
            let mut meant: Vec<(i64, u64)> = Vec::new();
            for from in from {
                let sql = "SELECT position, row, fields FROM message JOIN recipient USING (campaign, position)
                     WHERE campaign = ? AND state = ? ORDER BY position";
                change.each(sql, values![campaign.number, from.name()], |one| {
                    let rows = rows_of(one.get(1)?, one.text_if_any(2)?);
                    if named.is_none_or(|named| rows.iter().any(|row| named.contains(*row))) {
                        meant.push((one.get(0)?, rows[0]));
                    }
                    Ok(())
                })?;
            }
            meant.sort_unstable();
            // Whatever is decided, the server's patience begins anew.
            let sql = "UPDATE message SET state = ?, tries = 0, since = NULL, due = NULL, taken_back = ?
                 WHERE campaign = ? AND position = ?";
            let taken_back = match to {
                Outcome::Cancelled => Some(1_i64),
                Outcome::Queued => Some(0),
                _ => None,
            };
            let mut update = change.batch();
            for (position, _) in &meant {
                update.add(sql, values![to.name(), taken_back, campaign.number, position])?;
            }
            update.end()?;
            let rows: Vec<u64> = meant.into_iter().map(|(_, row)| row).collect();
            if !rows.is_empty() {
                #[cfg(feature = "postgres")]
                if to == Outcome::Queued {
                    super::work::was_queued_again(&change, campaign.number)?;
                }
                let details = &details(&rows);
                log::add(&change, &campaign.id, Deed { who, what, details }, now)?;
            }
            change.commit()?;
            Ok(rows)
        };
        write().map_err(|why: Fault| self.error(&why))
    }

    /// There must be somebody in the first and in the last row of each range.
    fn check_rows(&self, campaign: &Overview, named: &Rows) -> Result<(), StoreError> {
        let mut wanted: HashSet<u64> = named.ranges().iter().flat_map(|range| [*range.start(), *range.end()]).collect();
        let sql = "SELECT row, fields FROM recipient WHERE campaign = ?";
        let looked = self.database.each(sql, values![campaign.number], |one| {
            for row in rows_of(one.get(0)?, one.text_if_any(1)?) {
                wanted.remove(&row);
            }
            Ok(())
        });
        looked.map_err(|why| self.error(&why))?;
        wanted.into_iter().min().map_or(Ok(()), |row| Err(StoreError::NobodyInRow(row)))
    }

    /// How long ago the last transactions of the account that a campaign went through were over, those within so long, the
    /// newest first; and whether each was this campaign's.
    pub fn recent(
        &self,
        campaign: &Overview,
        within: Duration,
        now: Timestamp,
    ) -> Result<Vec<(Duration, bool)>, StoreError> {
        let since = now.as_millisecond().saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX));
        let all = || {
            let sql = "SELECT account FROM attempt WHERE campaign = ? ORDER BY number DESC LIMIT 1";
            let account: Option<Option<String>> =
                self.database.perhaps(sql, values![campaign.number], |row| row.get(0))?;
            let Some(account) = account.flatten() else { return Ok(Vec::new()) };
            let sql = "SELECT campaign, coalesce(ended, began) FROM attempt WHERE account = ? ORDER BY number DESC";
            let mut recent = Vec::new();
            self.database.each_while(sql, values![account], |row| {
                let over: i64 = row.get(1)?;
                if over < since {
                    return Ok(false);
                }
                let age = Duration::from_millis(u64::try_from(now.as_millisecond() - over).unwrap_or_default());
                recent.push((age, row.get::<i64>(0)? == campaign.number));
                Ok(true)
            })?;
            recent.sort_unstable();
            Ok(recent)
        };
        all().map_err(|why: Fault| self.error(&why))
    }

    /// Who is sending a campaign, and since when, if somebody is.
    #[must_use]
    pub fn running(&self, campaign: &Overview) -> Option<String> {
        RunLock::holder(&self.database, &self.location, &campaign.id)
    }

    pub(super) fn counts(&self, number: i64) -> Done<Counts> {
        let mut counts = Counts::default();
        let sql = "SELECT state, count(*) FROM message WHERE campaign = ? GROUP BY state";
        self.database.each(sql, values![number], |row| {
            if let Some(outcome) = Outcome::of_name(row.text(0)?) {
                counts.set(outcome, usize::try_from(row.get::<i64>(1)?).unwrap_or(usize::MAX));
            }
            Ok(())
        })?;
        Ok(counts)
    }
}

/// What another campaign of the same template sent, as hashes of what was said and to whom; salted where it is purged.
struct Had {
    campaign: i64,
    salt: Option<Vec<u8>>,
    says: HashSet<i64>,
}

/// What stands for a hash of what was said and to whom once a campaign is purged.
pub(super) fn salted(salt: &[u8], says: i64) -> i64 {
    let mut hash = Digest::builder();
    hash.add(salt);
    hash.add(&says.to_be_bytes());
    hash.finish().first_octets().cast_signed()
}

/// What is wrong if some people of a campaign got exactly the same message in another one, or are about to. What somebody wants
/// to be sent again is left out.
pub(super) fn already(
    database: &Database,
    location: &Location,
    campaign: i64,
    is_selected: &dyn Fn(usize) -> bool,
) -> Done<Option<StoreError>> {
    if recurs(database, campaign)? {
        // It says the same each time, and who has it is known otherwise.
        return Ok(None);
    }
    let mut had: Vec<Had> = Vec::new();
    let others =
        "SELECT other.number, other.id, other.salt FROM campaign AS this JOIN campaign AS other USING (template)
         WHERE this.number = ?1 AND other.number <> ?1 ORDER BY other.number DESC";
    let said = "SELECT says FROM message WHERE campaign = ?1 AND says IS NOT NULL
         AND (state IN ('sent', 'in_doubt', 'sending') OR ?2 = 1 AND state IN ('queued', 'deferred'))";
    database.each(others, values![campaign], |other| {
        let number: i64 = other.get(0)?;
        let is_running = RunLock::holder(database, location, other.text(1)?).is_some();
        let mut says = HashSet::new();
        database.each(said, values![number, is_running], |row| {
            says.insert(row.get(0)?);
            Ok(())
        })?;
        had.push(Had { campaign: number, salt: other.get(2)?, says });
        Ok(())
    })?;
    if had.iter().all(|had| had.says.is_empty()) {
        return Ok(None);
    }
    let (mut last, mut count, mut rest) = (None, 0, Vec::new());
    let left = "SELECT position, row, says FROM message JOIN recipient USING (campaign, position)
         WHERE campaign = ? AND state IN ('queued', 'deferred') AND again = 0 ORDER BY position";
    database.each(left, values![campaign], |row| {
        if !is_selected(usize::try_from(row.get::<i64>(0)?).unwrap_or(usize::MAX)) {
            return Ok(());
        }
        let says: Option<i64> = row.get(2)?;
        let is_had = |had: &&Had| {
            says.is_some_and(|says| had.says.contains(&had.salt.as_ref().map_or(says, |salt| salted(salt, says))))
        };
        match had.iter().find(is_had) {
            Some(other) => {
                last = last.max(Some(other.campaign));
                count += 1;
            }
            None => rest.push(u64::try_from(row.get::<i64>(1)?).unwrap_or_default()),
        }
        Ok(())
    })?;
    let Some(last) = last else { return Ok(None) };
    database.one("SELECT id, prepared FROM campaign WHERE number = ?", values![last], |row| {
        let prepared = time(row, "prepared")?.unwrap_or_default();
        Ok(Some(StoreError::Already {
            id: row.get("id")?,
            prepared,
            count,
            of: count + rest.len(),
            rest: Rows::of(rest.iter().copied()),
        }))
    })
}

/// The rows of a person, the first of them first.
pub(super) fn rows_of(first: i64, fields: Option<&str>) -> Vec<u64> {
    let kept: Option<Vec<(u64, serde::de::IgnoredAny)>> = fields.and_then(|fields| serde_json::from_str(fields).ok());
    let rows: Vec<u64> = kept.unwrap_or_default().into_iter().map(|(row, _)| row).collect();
    if rows.is_empty() { vec![u64::try_from(first).unwrap_or_default()] } else { rows }
}

/// A time that may not be known.
pub(super) fn time(row: &Row<'_>, name: &str) -> Done<Option<Timestamp>> {
    Ok(row.get::<Option<i64>>(name)?.and_then(|time| Timestamp::from_millisecond(time).ok()))
}

fn overview(row: &Row<'_>) -> Done<Overview> {
    Ok(Overview {
        number: row.get("number")?,
        id: row.get("id")?,
        name: row.get("name")?,
        prepared: time(row, "prepared")?.unwrap_or_default(),
        digest: row.get::<Option<[u8; 32]>>("digest")?.map(Digest::from),
        content: row.get::<[u8; 32]>("content")?.into(),
        edition: row.get("edition")?,
        made_by: row.get("made_by")?,
        largest: row.get::<Option<i64>>("largest")?.and_then(|octets| usize::try_from(octets).ok()).unwrap_or_default(),
        purged: time(row, "purged")?,
        origin: row.get("origin")?,
        counts: Counts::default(),
    })
}

fn tried(row: &Row<'_>) -> Done<Tried> {
    Ok(Tried {
        row: u64::try_from(row.get::<i64>("row")?).unwrap_or_default(),
        address: row.get::<Option<String>>("address")?.unwrap_or_else(|| REMOVED.to_owned()),
        outcome: Outcome::of_name(row.text("state")?).unwrap_or(Outcome::InDoubt),
        message_id: row.get::<Option<String>>("message_id")?.unwrap_or_default(),
        server: row.get::<Option<String>>("server")?.unwrap_or_default(),
        began: time(row, "began")?,
        ended: time(row, "ended")?,
        code: row.get("code")?,
        enhanced: row.get("enhanced")?,
        said: row.get::<Option<String>>("said")?.unwrap_or_default(),
    })
}
