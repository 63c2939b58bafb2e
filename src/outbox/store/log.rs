//! What people did, each entry hashed with the one before: whoever changes or removes an entry changes all that follow.

use jiff::Timestamp;
use serde_json::Value;

use super::{Store, StoreError};
use crate::{
    message::Digest,
    outbox::database::{Database, Done, Row, values},
};

/// An entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// From 1.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// The id of the campaign.
    pub campaign: String,
    /// As the system names the user.
    pub who: String,
    /// In one word.
    pub what: String,
    /// Further facts; nothing about a recipient.
    pub details: Value,
    hash: [u8; 32],
}

/// Something that a person did.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'d> {
    /// As the system names the user.
    pub who: &'d str,
    /// In one word.
    pub what: &'d str,
    /// Further facts; nothing about a recipient.
    pub details: &'d Value,
}

/// What the log comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// How many entries it has.
    pub entries: usize,
    /// The hash of the last one: with it somebody who noted it can tell later that nothing before it was changed.
    pub last: Digest,
}

/// SHA-256 over the hash before and each part of an entry, its length in eight octets in front of it.
fn hash(before: &[u8], number: i64, at: i64, parts: [&str; 4]) -> Digest {
    let mut hash = Digest::builder();
    hash.add_part(before);
    hash.add_part(&number.to_be_bytes());
    hash.add_part(&at.to_be_bytes());
    for part in parts {
        hash.add_part(part.as_bytes());
    }
    hash.finish()
}

/// Adds an entry, as a part of a change.
pub(super) fn add(change: &Database, campaign: &str, deed: Deed<'_>, now: Timestamp) -> Done<()> {
    let last = change.perhaps("SELECT number, hash FROM log ORDER BY number DESC LIMIT 1", &[], |row| {
        Ok((row.get::<i64>(0)?, row.get::<Vec<u8>>(1)?))
    });
    let (number, before) = last?.unwrap_or_default();
    let (number, at, details) = (number + 1, now.as_millisecond(), deed.details.to_string());
    let hash = hash(&before, number, at, [campaign, deed.who, deed.what, &details]);
    change.run(
        "INSERT INTO log (number, at, campaign, who, what, details, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        values![number, at, campaign, deed.who, deed.what, details, hash.as_bytes()],
    )?;
    Ok(())
}

fn entry(row: &Row<'_>) -> Done<(Entry, String)> {
    let details: String = row.get("details")?;
    let entry = Entry {
        number: row.get("number")?,
        at: Timestamp::from_millisecond(row.get("at")?).unwrap_or_default(),
        campaign: row.get("campaign")?,
        who: row.get("who")?,
        what: row.get("what")?,
        details: serde_json::from_str(&details).unwrap_or_default(),
        hash: row.get("hash")?,
    };
    Ok((entry, details))
}

impl Store {
    /// Adds an entry to the log.
    pub fn log(&self, campaign: &str, deed: Deed<'_>, now: Timestamp) -> Result<(), StoreError> {
        let write = || {
            let change = self.database.change()?;
            add(&change, campaign, deed, now)?;
            change.commit()
        };
        write().map_err(|why| self.error(&why))
    }

    /// What was done about a campaign, the oldest first.
    pub fn entries(&self, campaign: &str) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT * FROM log WHERE campaign = ? ORDER BY number";
        self.database.all(sql, values![campaign], |row| Ok(entry(row)?.0)).map_err(|why| self.error(&why))
    }

    /// Whether each entry of the log follows from the one before.
    pub fn verify_log(&self) -> Result<Chain, StoreError> {
        let mut chain = Chain { entries: 0, last: [0; 32].into() };
        let mut broken = None;
        let (mut before, mut number) = (Vec::new(), 0_i64);
        let checked = self.database.each_while("SELECT * FROM log ORDER BY number", &[], |row| {
            number += 1;
            let (entry, details) = entry(row)?;
            let at = row.get("at")?;
            let parts = [entry.campaign.as_str(), &entry.who, &entry.what, &details];
            if entry.number != number || hash(&before, number, at, parts) != entry.hash.into() {
                broken = Some(number);
                return Ok(false);
            }
            before = entry.hash.to_vec();
            chain = Chain { entries: chain.entries + 1, last: entry.hash.into() };
            Ok(true)
        });
        checked.map_err(|why| self.error(&why))?;
        match broken {
            Some(number) => Err(StoreError::LogBroken(number)),
            None => Ok(chain),
        }
    }
}
