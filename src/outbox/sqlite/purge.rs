//! People's data is removed, and what proves what was done stays.

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::json;

use super::{
    Overview, Store, StoreError,
    lock::RunLock,
    log::{self, Deed},
    look::salted,
    matter::Matter,
    people::{Pseudonyms, own, without_people},
    recur,
};

/// What is left of a campaign's people.
#[derive(Debug, Clone, Copy)]
pub struct Purged {
    /// How many people's data was removed.
    pub recipients: usize,
    /// How many files that nobody else needs.
    pub files: usize,
}

impl Store {
    /// Removes the data of a campaign's people, its texts and its files; keeps counts, digests, replies, what it was about, and for
    /// each address a keyed hash. Nothing of it is left in the bytes of the record afterwards.
    pub fn purge(&mut self, campaign: &Overview, who: &str, now: Timestamp) -> Result<Purged, StoreError> {
        if campaign.purged.is_some() {
            // It may have been in use then.
            return self.shrink().map(|()| Purged { recipients: 0, files: 0 });
        }
        // What is here only to be looked at waits for nothing.
        if campaign.counts.is_unfinished() && campaign.origin.is_none() {
            return Err(StoreError::Unfinished(campaign.id.clone()));
        }
        let _lock = RunLock::take(&self.path, &campaign.id, now)?;
        let (pseudonyms, matter) = (self.pseudonyms(campaign)?, self.matter(campaign)?);
        let path = self.path.clone();
        let sqlite = |why: rusqlite::Error| StoreError::of(&path, &why);
        self.connection.pragma_update(None, "secure_delete", true).map_err(sqlite)?;
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let purged = remove(&change, campaign, (&pseudonyms, matter), who, now).map_err(sqlite)?;
        change.commit().map_err(sqlite)?;
        self.shrink()?;
        Ok(purged)
    }

    /// Writes the file anew, so that nothing is left of what was removed.
    fn shrink(&self) -> Result<(), StoreError> {
        let shrink = || {
            self.connection.execute_batch("VACUUM")?;
            self.checkpoint()
        };
        match shrink() {
            Ok(true) => Ok(()),
            // Somebody reads or writes it.
            Ok(false) => Err(StoreError::NotShrunk(self.path.clone())),
            Err(why) if why.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                Err(StoreError::NotShrunk(self.path.clone()))
            }
            Err(why) => Err(self.error(&why)),
        }
    }
}

fn remove(
    change: &Connection,
    campaign: &Overview,
    (pseudonyms, matter): (&Pseudonyms, Option<Matter>),
    who: &str,
    now: Timestamp,
) -> rusqlite::Result<Purged> {
    let number = campaign.number;
    let salt: [u8; 16] = change.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    let mut query = change.prepare("SELECT position, address, fields FROM recipient WHERE campaign = ?")?;
    let mut people = query.query(params![number])?;
    let mut update = change.prepare(
        "UPDATE recipient SET address = NULL, fields = NULL, person = ? WHERE campaign = ? AND position = ?",
    )?;
    let mut replies =
        change.prepare("SELECT number, said FROM attempt WHERE campaign = ? AND position = ? AND said IS NOT NULL")?;
    let mut say = change.prepare("UPDATE attempt SET said = ? WHERE number = ?")?;
    let mut recipients = 0;
    while let Some(person) = people.next()? {
        let (position, address): (i64, Option<String>) = (person.get(0)?, person.get(1)?);
        let Some(address) = address else { continue };
        let own = own(Some(&address), person.get::<_, Option<String>>(2)?.as_deref().unwrap_or_default());
        update.execute(params![pseudonyms.of(&address), number, position])?;
        let said = replies
            .query_map(params![number, position], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        for (attempt, said) in said.collect::<rusqlite::Result<Vec<_>>>()? {
            let left = without_people(&said, &own);
            if left != said {
                say.execute(params![left, attempt])?;
            }
        }
        recipients += 1;
    }
    change.execute("DELETE FROM file WHERE campaign = ?", params![number])?;
    let files = change
        .execute("DELETE FROM content WHERE NOT EXISTS (SELECT 1 FROM file WHERE file.digest = content.digest)", [])?;
    let mut query = change.prepare("SELECT position, says FROM message WHERE campaign = ? AND says IS NOT NULL")?;
    let said = query.query_map(params![number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let said = said.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let mut update = change.prepare("UPDATE message SET says = ? WHERE campaign = ? AND position = ?")?;
    for (position, says) in said {
        update.execute(params![salted(&salt, says), number, position])?;
    }
    let mut query = change.prepare("SELECT position, once FROM message WHERE campaign = ? AND once IS NOT NULL")?;
    let all = query.query_map(params![number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let all = all.collect::<rusqlite::Result<Vec<(i64, Vec<u8>)>>>()?;
    let mut update =
        change.prepare("UPDATE message SET occurrence = NULL, once = ? WHERE campaign = ? AND position = ?")?;
    for (position, once) in all {
        update.execute(params![recur::salted(&salt, &once), number, position])?;
    }
    change.execute(
        "UPDATE campaign SET people = NULL, settings = NULL, list = NULL, salt = ?, purged = ? WHERE number = ?",
        params![salt, now.as_millisecond(), number],
    )?;
    // What a regulator asks about a campaign, and what says nothing about anybody.
    let details = json!({ "recipients": recipients, "files": files, "about": matter });
    log::add(change, &campaign.id, Deed { who, what: "purged", details: &details }, now)?;
    Ok(Purged { recipients, files })
}
