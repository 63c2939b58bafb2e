//! People's data is removed, and what proves what was done stays.

use jiff::Timestamp;
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
use crate::outbox::database::{Database, Done, Fault, random, values};

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
    pub fn purge(&self, campaign: &Overview, who: &str, now: Timestamp) -> Result<Purged, StoreError> {
        if campaign.purged.is_some() {
            // It may have been in use then.
            return self.database.shrink(&self.location).map(|()| Purged { recipients: 0, files: 0 });
        }
        // What is here only to be looked at waits for nothing.
        if campaign.counts.is_unfinished() && campaign.origin.is_none() {
            return Err(StoreError::Unfinished(campaign.id.clone()));
        }
        let _lock = RunLock::take(&self.location, &campaign.id, now)?;
        let (pseudonyms, matter) = (self.pseudonyms(campaign)?, self.matter(campaign)?);
        let failed = |why: Fault| self.error(&why);
        self.database.overwrite().map_err(failed)?;
        let change = self.database.change().map_err(failed)?;
        let purged = remove(&change, campaign, (&pseudonyms, matter), who, now).map_err(failed)?;
        change.commit().map_err(failed)?;
        self.database.shrink(&self.location)?;
        Ok(purged)
    }
}

fn remove(
    change: &Database,
    campaign: &Overview,
    (pseudonyms, matter): (&Pseudonyms, Option<Matter>),
    who: &str,
    now: Timestamp,
) -> Done<Purged> {
    let number = campaign.number;
    let salt: [u8; 16] = random()?;
    let mut batch = change.batch();
    let people = "SELECT position, address, fields FROM recipient WHERE campaign = ?";
    let replies = "SELECT number, said FROM attempt WHERE campaign = ? AND position = ? AND said IS NOT NULL";
    let mut recipients = 0;
    change.each(people, values![number], |person| {
        let position: i64 = person.get(0)?;
        let Some(address) = person.text_if_any(1)? else { return Ok(()) };
        let own = own(Some(address), person.text_if_any(2)?.unwrap_or_default());
        let forget =
            "UPDATE recipient SET address = NULL, fields = NULL, person = ? WHERE campaign = ? AND position = ?";
        batch.add(forget, values![pseudonyms.of(address), number, position])?;
        let said =
            change.all(replies, values![number, position], |row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?)))?;
        for (attempt, said) in said {
            let left = without_people(&said, &own);
            if left != said {
                batch.add("UPDATE attempt SET said = ? WHERE number = ?", values![left, attempt])?;
            }
        }
        recipients += 1;
        Ok(())
    })?;
    change.run("DELETE FROM file WHERE campaign = ?", values![number])?;
    #[cfg(feature = "postgres")]
    super::work::forget(change, number)?;
    let unused = "DELETE FROM content WHERE NOT EXISTS (SELECT 1 FROM file WHERE file.digest = content.digest)";
    let files = change.run(unused, &[])?;
    let said = "SELECT position, says FROM message WHERE campaign = ? AND says IS NOT NULL";
    let said: Vec<(i64, i64)> = change.all(said, values![number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (position, says) in said {
        let forget = "UPDATE message SET says = ? WHERE campaign = ? AND position = ?";
        batch.add(forget, values![salted(&salt, says), number, position])?;
    }
    let all = "SELECT position, once FROM message WHERE campaign = ? AND once IS NOT NULL";
    let all: Vec<(i64, Vec<u8>)> = change.all(all, values![number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (position, once) in all {
        let forget = "UPDATE message SET occurrence = NULL, once = ? WHERE campaign = ? AND position = ?";
        batch.add(forget, values![recur::salted(&salt, &once), number, position])?;
    }
    batch.end()?;
    change.run(
        "UPDATE campaign SET people = NULL, settings = NULL, list = NULL, salt = ?, purged = ? WHERE number = ?",
        values![salt, now.as_millisecond(), number],
    )?;
    // What a regulator asks about a campaign, and what says nothing about anybody.
    let details = json!({ "recipients": recipients, "files": files, "about": matter });
    log::add(change, &campaign.id, Deed { who, what: "purged", details: &details }, now)?;
    Ok(Purged { recipients, files })
}
