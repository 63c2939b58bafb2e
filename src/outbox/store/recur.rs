//! What recurs: who has which occurrence already, and the last run that a job is compared with.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

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

/// How many messages were left out because a person took back what they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// So many.
    pub count: usize,
    /// A campaign of which they were taken back.
    pub from: String,
}

/// What is wrong with a campaign that recurs if it is not the only one of its name; or if it has another name than it had, as far as
/// can be told where one of the same `template` is gone from where it was.
pub(super) fn check_home(
    change: &Database,
    name: &str,
    home: &str,
    template: Option<&Digest>,
) -> Done<Option<StoreError>> {
    let recurs = "origin IS NULL AND EXISTS (SELECT 1 FROM message WHERE message.campaign = campaign.number AND once IS NOT NULL)";
    let sql =
        format!("SELECT home FROM campaign WHERE name = ? AND home <> ? AND {recurs} ORDER BY number DESC LIMIT 1");
    let other = change.perhaps(&sql, values![name, home], |row| row.get(0))?;
    if let Some(there) = other {
        return Ok(Some(StoreError::Namesake { name: name.to_owned(), here: home.to_owned(), there }));
    }
    let known = format!("SELECT EXISTS (SELECT 1 FROM campaign WHERE name = ? AND {recurs})");
    let Some(template) = template else { return Ok(None) };
    if change.one(&known, values![name], |row| row.get(0))? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT name, home FROM campaign WHERE template = ? AND home IS NOT NULL AND {recurs} ORDER BY number DESC"
    );
    let mut renamed = None;
    change.each_while(&sql, values![template.as_bytes()], |other| {
        let (before, there): (String, String) = (other.get(0)?, other.get(1)?);
        if !Path::new(&there).exists() {
            renamed = Some(StoreError::Renamed { name: name.to_owned(), before, there });
        }
        Ok(renamed.is_none())
    })?;
    Ok(renamed)
}

/// A message that is still to be sent.
struct Left {
    position: i64,
    row: u64,
    once: Vec<u8>,
    /// A person took it back, and then wanted it sent after all
    is_wanted: bool,
}

/// What other campaigns have of what is still to be sent.
#[derive(Default)]
struct Had {
    /// Sent, or perhaps sent
    over: HashSet<Vec<u8>>,
    /// Taken back by a person, in the campaign with that id
    taken_back: HashMap<Vec<u8>, String>,
    /// Wanted by a person after all
    wanted: HashSet<Vec<u8>>,
    /// About to be sent, by the number of the campaign
    left: HashMap<i64, String>,
}

impl Had {
    fn note(&mut self, once: &[u8], state: &str, taken_back: Option<bool>, id: &str) {
        if matches!(state, "sent" | "in_doubt" | "sending") {
            self.over.insert(once.to_owned());
        }
        match taken_back {
            Some(true) => {
                self.taken_back.insert(once.to_owned(), id.to_owned());
            }
            Some(false) => {
                self.wanted.insert(once.to_owned());
            }
            None => {}
        }
    }

    /// Where somebody took back what a message is of, if nobody wants it sent after all.
    fn took_back(&self, left: &Left) -> Option<&String> {
        let is_wanted = left.is_wanted || self.wanted.contains(&left.once);
        self.taken_back.get(&left.once).filter(|_| !is_wanted)
    }
}

impl Store {
    /// The last campaign of a name that reached anybody, and does not have that content: of those that were at `home`. If all that
    /// are known were elsewhere, nobody knows whether they are the same, and that is an error.
    pub fn last_like(&self, name: &str, home: Option<&str>, content: &Digest) -> Result<Option<Last>, StoreError> {
        let sql = "SELECT id, prepared, total, people, home FROM campaign WHERE name = ?1 AND content <> ?2 AND origin IS NULL
             AND EXISTS (SELECT 1 FROM message WHERE message.campaign = campaign.number AND state IN ('sent', 'in_doubt', 'sending'))
             ORDER BY CASE WHEN home <> ?3 THEN 1 ELSE 0 END, number DESC LIMIT 1";
        let last = self.database.perhaps(sql, values![name, content.as_bytes(), home], |row| {
            let last = Last {
                id: row.get("id")?,
                prepared: time(row, "prepared")?.unwrap_or_default(),
                total: usize::try_from(row.get::<i64>("total")?).unwrap_or_default(),
                people: row.get::<Option<[u8; 32]>>("people")?.map(Digest::from),
            };
            Ok((last, row.get::<Option<String>>("home")?))
        });
        match last.map_err(|why| self.error(&why))? {
            Some((_, Some(there))) if home.is_some_and(|home| home != there) => {
                let here = home.unwrap_or_default().to_owned();
                Err(StoreError::Namesake { name: name.to_owned(), here, there })
            }
            last => Ok(last.map(|(last, _)| last)),
        }
    }

    /// Writes down that the campaigns of a name are now at `home`.
    pub fn moved(&self, name: &str, home: &str, who: &str, now: Timestamp) -> Result<(), StoreError> {
        let write = || {
            let change = self.database.change()?;
            let sql = "SELECT id, home FROM campaign WHERE name = ? AND home <> ? AND origin IS NULL ORDER BY number DESC LIMIT 1";
            let last = change.perhaps(sql, values![name, home], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some((id, before)): Option<(String, String)> = last? else { return Ok(()) };
            change.run("UPDATE campaign SET home = ? WHERE name = ? AND home <> ?", values![home, name, home])?;
            let details = &json!({ "from": before, "to": home });
            log::add(&change, &id, Deed { who, what: "moved", details }, now)?;
            change.commit()
        };
        write().map_err(|why: Fault| self.error(&why))
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
    /// already, or of whom a person took it back there: their messages are cancelled, and that is written down. What another
    /// program is sending at this moment waits for that one.
    pub fn leave_out(
        &self,
        campaign: &Overview,
        messages: Messages,
        who: &str,
        now: Timestamp,
    ) -> Result<(Messages, Option<TakenBack>), StoreError> {
        let failed = |why: Fault| self.error(&why);
        if !recurs(&self.database, campaign.number).map_err(failed)? {
            return Ok((messages, None));
        }
        let change = self.database.change().map_err(failed)?;
        let left = left(&change, campaign.number).map_err(failed)?;
        let had = had(&change, campaign, &left).map_err(failed)?;
        for id in had.left.values() {
            if let Some(holder) = RunLock::holder(&self.database, &self.location, id) {
                return Err(StoreError::Running { id: id.clone(), holder });
            }
        }
        let (over, rest): (Vec<Left>, Vec<Left>) = left.into_iter().partition(|left| had.over.contains(&left.once));
        let back: Vec<Left> = rest.into_iter().filter(|left| had.took_back(left).is_some()).collect();
        if over.is_empty() && back.is_empty() {
            return Ok((messages, None));
        }
        let write = |some: &[Left], why: &str| {
            if some.is_empty() {
                return Ok(());
            }
            let sql = "UPDATE message SET state = 'cancelled', tries = 0, since = NULL, due = NULL WHERE campaign = ? AND position = ?";
            let mut update = change.batch();
            for left in some {
                update.add(sql, values![campaign.number, left.position])?;
            }
            update.end()?;
            let rows = Rows::of(some.iter().map(|left| left.row)).to_string();
            let details = &json!({ "rows": rows, "now": "cancelled", "why": why });
            log::add(&change, &campaign.id, Deed { who, what: "left out", details }, now)
        };
        write(&over, "they have this occurrence already").map_err(failed)?;
        write(&back, "this occurrence was taken back").map_err(failed)?;
        change.commit().map_err(failed)?;
        let unsound = || StoreError::Unsound { id: campaign.id.clone(), why: "some messages are missing".to_owned() };
        let messages = self.messages(campaign.number).map_err(failed)?.ok_or_else(unsound)?;
        let from = back.first().and_then(|left| had.took_back(left)).cloned();
        Ok((messages, from.map(|from| TakenBack { count: back.len(), from })))
    }
}

/// The messages of a campaign that are still to be sent, but for what somebody wants to be sent again.
fn left(change: &Database, campaign: i64) -> Done<Vec<Left>> {
    let sql = "SELECT position, row, once, taken_back FROM message JOIN recipient USING (campaign, position)
         WHERE campaign = ? AND state IN ('queued', 'deferred') AND again = 0 AND once IS NOT NULL ORDER BY position";
    change.all(sql, values![campaign], |row| {
        let number = u64::try_from(row.get::<i64>(1)?).unwrap_or_default();
        let is_wanted = row.get::<Option<bool>>(3)? == Some(false);
        Ok(Left { position: row.get(0)?, row: number, once: row.get(2)?, is_wanted })
    })
}

fn had(change: &Database, campaign: &Overview, left: &[Left]) -> Done<Had> {
    let mut had = Had::default();
    let others =
        "SELECT state, taken_back, campaign, id FROM message JOIN campaign ON campaign.number = message.campaign
         WHERE once = ? AND campaign <> ?";
    for one in left {
        let others = change.all(others, values![one.once, campaign.number], |other| {
            Ok((other.get::<String>(0)?, other.get(1)?, other.get(2)?, other.get::<String>(3)?))
        })?;
        for (state, taken_back, number, id) in others {
            had.note(&one.once, &state, taken_back, &id);
            if matches!(state.as_str(), "queued" | "deferred") {
                had.left.insert(number, id);
            }
        }
    }
    // Those who were removed stand under other names.
    let purged = "SELECT number, salt, id FROM campaign WHERE purged IS NOT NULL AND salt IS NOT NULL AND name = ? AND number <> ?";
    let purged: Vec<(i64, Vec<u8>, String)> = change
        .all(purged, values![campaign.name, campaign.number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let known = "SELECT once, state, taken_back FROM message WHERE campaign = ? AND once IS NOT NULL
         AND (state IN ('sent', 'in_doubt') OR taken_back IS NOT NULL)";
    for (number, salt, id) in purged {
        let known = change.all(known, values![number], |row| {
            Ok((row.get::<Vec<u8>>(0)?, (row.get::<String>(1)?, row.get::<Option<bool>>(2)?)))
        })?;
        let known: HashMap<_, _> = known.into_iter().collect();
        if known.is_empty() {
            continue;
        }
        for one in left {
            if let Some((state, taken_back)) = known.get(&salted(&salt, &one.once)[..]) {
                had.note(&one.once, state, *taken_back, &id);
            }
        }
    }
    Ok(had)
}
