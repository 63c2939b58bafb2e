//! What recurs: who has which occurrence already, and the last run that a job is compared with.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::json;

use super::{
    Messages, Overview, RunLock, Store, StoreError,
    log::{self, Deed},
    look::time,
};
use crate::{message::Digest, recipients::Rows};

/// What tells a message of a campaign that recurs from all others: 16 octets of a hash.
pub(super) type Once = [u8; 16];

/// The last campaign of a name that reached anybody.
#[derive(Debug, Clone)]
pub struct Last {
    /// What people call it.
    pub id: String,
    /// When it was prepared.
    pub prepared: Timestamp,
    /// How many recipients it has.
    pub total: usize,
    /// Over the headings and rows of its list; earlier versions did not say.
    pub people: Option<Digest>,
}

/// That of the campaigns of a name, of a recipient and of an occurrence.
pub(super) fn once(name: &str, address: &str, occurrence: &str) -> Once {
    let mut hash = Digest::builder();
    for part in ["apiece occurrence 1", name, address, occurrence] {
        hash.add_part(part.as_bytes());
    }
    short(&hash.finish())
}

/// What stands for it once its campaign is purged.
pub(super) fn salted(salt: &[u8], once: &[u8]) -> Once {
    let mut hash = Digest::builder();
    hash.add(salt);
    hash.add(once);
    short(&hash.finish())
}

fn short(digest: &Digest) -> Once {
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Whether a campaign recurs.
pub(super) fn recurs(connection: &Connection, campaign: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE campaign = ? AND once IS NOT NULL)";
    connection.query_row(sql, params![campaign], |row| row.get(0))
}

/// A message that is still to be sent.
struct Left {
    position: i64,
    row: u64,
    once: Vec<u8>,
}

/// What other campaigns have of what is still to be sent.
#[derive(Default)]
struct Had {
    /// Sent, or perhaps sent
    over: HashSet<Vec<u8>>,
    /// About to be sent, by the number of the campaign
    left: HashMap<i64, String>,
}

impl Store {
    /// The last campaign of a name that reached anybody, and does not have that content.
    pub fn last_like(&self, name: &str, content: &Digest) -> Result<Option<Last>, StoreError> {
        let last = self.connection.query_row(
            "SELECT id, prepared, total, people FROM campaign WHERE name = ? AND content <> ? AND origin IS NULL AND EXISTS
             (SELECT 1 FROM message WHERE campaign = number AND state IN ('sent', 'in_doubt', 'sending'))
             ORDER BY number DESC LIMIT 1",
            params![name, content.as_bytes()],
            |row| {
                Ok(Last {
                    id: row.get("id")?,
                    prepared: time(row, "prepared")?.unwrap_or_default(),
                    total: usize::try_from(row.get::<_, i64>("total")?).unwrap_or_default(),
                    people: row.get::<_, Option<[u8; 32]>>("people")?.map(Digest::from),
                })
            },
        );
        last.optional().map_err(|why| self.error(&why))
    }

    /// Whether something with that content was prepared before.
    pub fn knows(&self, content: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM campaign WHERE content = ?)";
        self.connection.query_row(sql, params![content.as_bytes()], |row| row.get(0)).map_err(|why| self.error(&why))
    }

    /// The occurrences of a campaign's messages, if it recurs: how many different ones, and that of all if it is one.
    pub fn occurrences(&self, campaign: &Overview) -> Result<(usize, Option<String>), StoreError> {
        let sql = "SELECT count(DISTINCT occurrence), min(occurrence) FROM message WHERE campaign = ?";
        let all =
            self.connection.query_row(sql, params![campaign.number], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)));
        let (count, first) = all.map_err(|why| self.error(&why))?;
        Ok((usize::try_from(count).unwrap_or_default(), if count == 1 { first } else { None }))
    }

    /// Leaves out of a campaign that recurs, and that is taken up to be sent, whoever has the occurrence from another campaign
    /// already: their messages are cancelled, and that is written down. What another program is sending at this moment waits for
    /// that one.
    pub fn leave_out(
        &mut self,
        campaign: &Overview,
        messages: Messages,
        who: &str,
        now: Timestamp,
    ) -> Result<Messages, StoreError> {
        let path = self.path.clone();
        let sqlite = |why: rusqlite::Error| StoreError::of(&path, &why);
        if !recurs(&self.connection, campaign.number).map_err(sqlite)? {
            return Ok(messages);
        }
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let left = left(&change, campaign.number).map_err(sqlite)?;
        let had = had(&change, campaign, &left).map_err(sqlite)?;
        for id in had.left.into_values() {
            if let Some(holder) = RunLock::holder(&path, &id) {
                return Err(StoreError::Running { id, holder });
            }
        }
        let over: Vec<Left> = left.into_iter().filter(|left| had.over.contains(&left.once)).collect();
        if over.is_empty() {
            return Ok(messages);
        }
        let write = || {
            let mut update = change.prepare(
                "UPDATE message SET state = 'cancelled', tries = 0, since = NULL, due = NULL WHERE campaign = ? AND position = ?",
            )?;
            for left in &over {
                update.execute(params![campaign.number, left.position])?;
            }
            let rows = Rows::of(over.iter().map(|left| left.row)).to_string();
            let details = &json!({ "rows": rows, "now": "cancelled", "why": "they have this occurrence already" });
            log::add(&change, &campaign.id, Deed { who, what: "left out", details }, now)
        };
        write().map_err(sqlite)?;
        change.commit().map_err(sqlite)?;
        let unsound = || StoreError::Unsound { id: campaign.id.clone(), why: "some messages are missing".to_owned() };
        self.messages(campaign.number).map_err(sqlite)?.ok_or_else(unsound)
    }
}

/// The messages of a campaign that are still to be sent, but for what somebody wants to be sent again.
fn left(change: &Connection, campaign: i64) -> rusqlite::Result<Vec<Left>> {
    let mut query = change.prepare(
        "SELECT position, row, once FROM message JOIN recipient USING (campaign, position)
         WHERE campaign = ? AND state IN ('queued', 'deferred') AND NOT again AND once IS NOT NULL ORDER BY position",
    )?;
    let all = query.query_map(params![campaign], |row| {
        let number = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
        Ok(Left { position: row.get(0)?, row: number, once: row.get(2)? })
    })?;
    all.collect()
}

fn had(change: &Connection, campaign: &Overview, left: &[Left]) -> rusqlite::Result<Had> {
    let mut had = Had::default();
    let mut query = change.prepare(
        "SELECT state, campaign, (SELECT id FROM campaign WHERE number = campaign) FROM message WHERE once = ? AND campaign <> ?",
    )?;
    for one in left {
        let mut others = query.query(params![one.once, campaign.number])?;
        while let Some(other) = others.next()? {
            match other.get_ref(0)?.as_str()? {
                "sent" | "in_doubt" | "sending" => {
                    had.over.insert(one.once.clone());
                }
                "queued" | "deferred" => {
                    had.left.insert(other.get(1)?, other.get(2)?);
                }
                _ => {}
            }
        }
    }
    // Those who were removed stand under other names.
    let mut purged = change.prepare(
        "SELECT number, salt FROM campaign WHERE purged IS NOT NULL AND salt IS NOT NULL AND name = ? AND number <> ?",
    )?;
    let purged = purged.query_map(params![campaign.name, campaign.number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut query = change.prepare(
        "SELECT once FROM message WHERE campaign = ? AND once IS NOT NULL AND state IN ('sent', 'in_doubt')",
    )?;
    for campaign in purged {
        let (number, salt): (i64, Vec<u8>) = campaign?;
        let known = query.query_map(params![number], |row| row.get::<_, Vec<u8>>(0))?;
        let known = known.collect::<rusqlite::Result<HashSet<_>>>()?;
        if known.is_empty() {
            continue;
        }
        let is_known = |one: &&Left| known.contains(&salted(&salt, &one.once)[..]);
        had.over.extend(left.iter().filter(is_known).map(|one| one.once.clone()));
    }
    Ok(had)
}
