//! What recurs: who has which occurrence already, and the last run that a job is compared with.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::json;

use super::{
    Messages, Overview, RunLock, Store, StoreError,
    log::{self, Deed},
    look::time,
};
use crate::{
    message::Digest,
    outbox::database::{Database, Done, Fault, values},
    recipients::Rows,
};

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
pub(super) fn recurs(database: &Database, campaign: i64) -> Done<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE campaign = ? AND once IS NOT NULL)";
    database.one(sql, values![campaign], |row| row.get(0))
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
        let last = self.database.perhaps(
            "SELECT id, prepared, total, people FROM campaign WHERE name = ? AND content <> ? AND origin IS NULL AND EXISTS
             (SELECT 1 FROM message WHERE message.campaign = campaign.number AND state IN ('sent', 'in_doubt', 'sending'))
             ORDER BY number DESC LIMIT 1",
            values![name, content.as_bytes()],
            |row| {
                Ok(Last {
                    id: row.get("id")?,
                    prepared: time(row, "prepared")?.unwrap_or_default(),
                    total: usize::try_from(row.get::<i64>("total")?).unwrap_or_default(),
                    people: row.get::<Option<[u8; 32]>>("people")?.map(Digest::from),
                })
            },
        );
        last.map_err(|why| self.error(&why))
    }

    /// Whether something with that content was prepared before.
    pub fn knows(&self, content: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM campaign WHERE content = ?)";
        self.database.one(sql, values![content.as_bytes()], |row| row.get(0)).map_err(|why| self.error(&why))
    }

    /// The occurrences of a campaign's messages, if it recurs: how many different ones, and that of all if it is one.
    pub fn occurrences(&self, campaign: &Overview) -> Result<(usize, Option<String>), StoreError> {
        let sql = "SELECT count(DISTINCT occurrence), min(occurrence) FROM message WHERE campaign = ?";
        let all = self.database.one(sql, values![campaign.number], |row| Ok((row.get::<i64>(0)?, row.get(1)?)));
        let (count, first) = all.map_err(|why| self.error(&why))?;
        Ok((usize::try_from(count).unwrap_or_default(), if count == 1 { first } else { None }))
    }

    /// Leaves out of a campaign that recurs, and that is taken up to be sent, whoever has the occurrence from another campaign
    /// already: their messages are cancelled, and that is written down. What another program is sending at this moment waits for
    /// that one.
    pub fn leave_out(
        &self,
        campaign: &Overview,
        messages: Messages,
        who: &str,
        now: Timestamp,
    ) -> Result<Messages, StoreError> {
        let failed = |why: Fault| self.error(&why);
        if !recurs(&self.database, campaign.number).map_err(failed)? {
            return Ok(messages);
        }
        let change = self.database.change().map_err(failed)?;
        let left = left(&change, campaign.number).map_err(failed)?;
        let had = had(&change, campaign, &left).map_err(failed)?;
        for id in had.left.into_values() {
            if let Some(holder) = RunLock::holder(&self.database, &self.location, &id) {
                return Err(StoreError::Running { id, holder });
            }
        }
        let over: Vec<Left> = left.into_iter().filter(|left| had.over.contains(&left.once)).collect();
        if over.is_empty() {
            return Ok(messages);
        }
        let write = || {
            let sql = "UPDATE message SET state = 'cancelled', tries = 0, since = NULL, due = NULL WHERE campaign = ? AND position = ?";
            let mut update = change.batch();
            for left in &over {
                update.add(sql, values![campaign.number, left.position])?;
            }
            update.end()?;
            let rows = Rows::of(over.iter().map(|left| left.row)).to_string();
            let details = &json!({ "rows": rows, "now": "cancelled", "why": "they have this occurrence already" });
            log::add(&change, &campaign.id, Deed { who, what: "left out", details }, now)
        };
        write().map_err(failed)?;
        change.commit().map_err(failed)?;
        let unsound = || StoreError::Unsound { id: campaign.id.clone(), why: "some messages are missing".to_owned() };
        self.messages(campaign.number).map_err(failed)?.ok_or_else(unsound)
    }
}

/// The messages of a campaign that are still to be sent, but for what somebody wants to be sent again.
fn left(change: &Database, campaign: i64) -> Done<Vec<Left>> {
    let sql = "SELECT position, row, once FROM message JOIN recipient USING (campaign, position)
         WHERE campaign = ? AND state IN ('queued', 'deferred') AND again = 0 AND once IS NOT NULL ORDER BY position";
    change.all(sql, values![campaign], |row| {
        let number = u64::try_from(row.get::<i64>(1)?).unwrap_or_default();
        Ok(Left { position: row.get(0)?, row: number, once: row.get(2)? })
    })
}

fn had(change: &Database, campaign: &Overview, left: &[Left]) -> Done<Had> {
    let mut had = Had::default();
    let others = "SELECT state, campaign, id FROM message JOIN campaign ON campaign.number = message.campaign
         WHERE once = ? AND campaign <> ?";
    for one in left {
        change.each(others, values![one.once, campaign.number], |other| {
            match other.text(0)? {
                "sent" | "in_doubt" | "sending" => {
                    had.over.insert(one.once.clone());
                }
                "queued" | "deferred" => {
                    had.left.insert(other.get(1)?, other.get(2)?);
                }
                _ => {}
            }
            Ok(())
        })?;
    }
    // Those who were removed stand under other names.
    let purged =
        "SELECT number, salt FROM campaign WHERE purged IS NOT NULL AND salt IS NOT NULL AND name = ? AND number <> ?";
    let purged: Vec<(i64, Vec<u8>)> =
        change.all(purged, values![campaign.name, campaign.number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let known = "SELECT once FROM message WHERE campaign = ? AND once IS NOT NULL AND state IN ('sent', 'in_doubt')";
    for (number, salt) in purged {
        let known: HashSet<Vec<u8>> = change.all(known, values![number], |row| row.get(0))?.into_iter().collect();
        if known.is_empty() {
            continue;
        }
        let is_known = |one: &&Left| known.contains(&salted(&salt, &one.once)[..]);
        had.over.extend(left.iter().filter(is_known).map(|one| one.once.clone()));
    }
    Ok(had)
}
