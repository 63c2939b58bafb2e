//! People's data is removed, and what proves what was done stays.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::json;

use super::{
    Overview, Store, StoreError,
    lock::RunLock,
    log::{self, Deed},
    look::salted,
};
use crate::message::Digest;

/// What stands in a reply for what is somebody's.
const REMOVED: &str = "[removed]";

/// Shorter words of a cell are left in replies.
const SHORTEST: usize = 3;

/// What is left of a campaign's people.
#[derive(Debug, Clone, Copy)]
pub struct Purged {
    /// How many people's data was removed.
    pub recipients: usize,
    /// How many files that nobody else needs.
    pub files: usize,
}

impl Store {
    /// Removes the data of a campaign's people, its texts and its files; keeps counts, digests, replies, and for each address a
    /// hash. Nothing of it is left in the bytes of the record afterwards.
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
        let path = self.path.clone();
        let sqlite = |why: rusqlite::Error| StoreError::of(&path, &why);
        self.connection.pragma_update(None, "secure_delete", true).map_err(sqlite)?;
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let purged = remove(&change, campaign, who, now).map_err(sqlite)?;
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

fn remove(change: &Connection, campaign: &Overview, who: &str, now: Timestamp) -> rusqlite::Result<Purged> {
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
        let words = words_of(person.get::<_, Option<String>>(2)?.as_deref().unwrap_or_default());
        let mut hash = Digest::builder();
        hash.add(&salt);
        hash.add(address.to_lowercase().as_bytes());
        update.execute(params![hash.finish().as_bytes(), number, position])?;
        let said = replies
            .query_map(params![number, position], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        for (attempt, said) in said.collect::<rusqlite::Result<Vec<_>>>()? {
            let left = without_people(&said, &address, &words);
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
    change.execute(
        "UPDATE campaign SET settings = NULL, list = NULL, salt = ?, purged = ? WHERE number = ?",
        params![salt, now.as_millisecond(), number],
    )?;
    let details = json!({ "recipients": recipients, "files": files });
    log::add(change, &campaign.id, Deed { who, what: "purged", details: &details }, now)?;
    Ok(Purged { recipients, files })
}

/// The words in the cells of a person, in lower case; not those that could be words of any reply.
fn words_of(fields: &str) -> HashSet<String> {
    let rows: Vec<(u64, Vec<String>)> = serde_json::from_str(fields).unwrap_or_default();
    let mut words = HashSet::new();
    for cell in rows.iter().flat_map(|(_, cells)| cells) {
        let parts = cell.split(|c| !is_part(c)).chain(cell.split_whitespace());
        words.extend(parts.map(bare).filter(|word| word.chars().count() >= SHORTEST));
    }
    words
}

/// Whether a character can be in an address or in a word.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || "@.!#$%&'’*+/=?^_`{|}~-".contains(c)
}

/// A word without what stands around it, in lower case.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('’', "'")
}

/// A reply without anything that could be somebody's: whatever has an @ in it, the part in front of the @ of the recipient's own,
/// and the words of the recipient's fields.
fn without_people(said: &str, address: &str, words: &HashSet<String>) -> String {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local).to_lowercase();
    let mut left = String::with_capacity(said.len());
    for line in said.split_inclusive('\n') {
        // The code is no part of an address, although a hyphen may stand behind it.
        let is_code =
            |start: &&str| start.ends_with(['-', ' ']) && start.bytes().take(3).all(|digit| digit.is_ascii_digit());
        let code = line.get(..4).filter(is_code).unwrap_or("");
        let mut rest = &line[code.len()..];
        left.push_str(code);
        while let Some(start) = rest.find(is_part) {
            let length = rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
            let word = &rest[start..start + length];
            left.push_str(&rest[..start]);
            let bare = bare(word);
            // An address within an address, as bounces and forwarders write it
            let is_address = bare.contains('@') || bare.contains("=40") || bare.contains("%40") || bare == local;
            let is_field = words.contains(&bare);
            left.push_str(if is_address || is_field { REMOVED } else { word });
            rest = &rest[start + length..];
        }
        left.push_str(rest);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_keeps_all_but_addresses() {
        let words = words_of(
            "[[2,[\"Ada Lovelace\",\"REF-77\",\"ok\",\"004711\",\"12.03.1985\",\"+44 7700 900123\",\"D’Arcy\",\"O'Brien, Pat\"]]]",
        );
        for (said, left) in [
            ("550 ada=40one.example: <LOVELACE> REF-77 not ok.", "550 [removed]: <[removed]> [removed] not ok."),
            ("550 5.1.1 <ada@one.example>: unknown", "550 5.1.1 <[removed]>: unknown"),
            ("550-ADA@One.Example,\n550 or b@c.example", "550-[removed],\n550 or [removed]"),
            ("550 no mailbox Ada here. adam is", "550 no mailbox [removed] here. adam is"),
            ("250 2.0.0 Ok: queued as 4XJ", "250 2.0.0 Ok: queued as 4XJ"),
            ("550ü", "550ü"),
            ("550 004711, born 12.03.1985.", "550 [removed], born [removed]"),
            ("550 call +44 7700 900123 or 2026", "550 call +44 [removed] [removed] or 2026"),
            ("550 (D'Arcy) D’Arcy O’Brien", "550 ([removed]) [removed] [removed]"),
            ("", ""),
        ] {
            assert_eq!(without_people(said, "ada@one.example", &words), left);
        }
    }
}
