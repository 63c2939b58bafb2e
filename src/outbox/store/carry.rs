//! A campaign is carried to another machine, where somebody is to look at it, and taken in there. What comes in is somebody
//! else's: it is kept only if all of it makes the digest that it claims.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Overview, Store, StoreError,
    freeze::{digest_files, digest_of, digest_recipient, insert_file},
    log::{self, Deed},
};
use crate::{
    diagnostic::visible,
    message::Digest,
    outbox::database::{Database, Done, Fault, random, values},
};

/// An id longer than this is none.
const MOST_ID: usize = 80;

/// A name longer than this is cut nowhere, and taken in by nobody.
const MOST_NAME: usize = 500;

/// What the log says of preparing is no longer.
const MOST_PREPARING: usize = 64 * 1024;

/// What is carried of a campaign besides its people and its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Luggage {
    /// What people call it.
    pub id: String,
    /// As it was called on the command line.
    pub name: String,
    /// 1, or more where the same is sent again.
    pub edition: u32,
    /// In hexadecimal, as everything that is a digest.
    pub content: String,
    /// Over template and list.
    pub source: String,
    /// Over all of it.
    pub digest: String,
    /// When it was prepared, in milliseconds.
    pub prepared: i64,
    /// Octets of its largest message.
    pub largest: u32,
    /// The version of apiece.
    pub made_by: String,
    /// As a `campaign.toml`.
    pub settings: String,
    /// What the list is besides its rows.
    pub list: String,
    /// The machine that it is from.
    pub origin: String,
    /// What the log there says of its preparing.
    pub preparing: Value,
}

/// One thing that is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// A recipient, in the order of the list.
    Person {
        /// As the spreadsheet numbers it.
        row: u32,
        /// As it travels.
        address: String,
        /// The cells: JSON.
        fields: String,
        /// Of the message.
        digest: [u8; 32],
    },
    /// A file, once all people are there.
    File {
        /// Among the campaign's files.
        path: String,
        /// All of it.
        bytes: Vec<u8>,
    },
}

impl Store {
    /// Gives all that a campaign is made of to somebody who carries it away; the people first. It must be what was prepared: see
    /// [`Store::thaw`].
    pub fn carry(
        &self,
        campaign: &Overview,
        origin: &str,
        start: impl FnOnce(&Luggage) -> io::Result<()>,
        mut take: impl FnMut(&Carried) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let luggage = self.luggage(campaign, origin).map_err(|why| self.error(&why))?;
        let mut written = Ok(());
        let mut write = || -> Done<()> {
            let people = "SELECT row, address, fields, digest FROM recipient JOIN message USING (campaign, position)
                 WHERE campaign = ? ORDER BY position";
            self.database.each_while(people, values![campaign.number], |row| {
                let (address, fields) = (row.get(1)?, row.get(2)?);
                written = take(&Carried::Person { row: row.get(0)?, address, fields, digest: row.get(3)? });
                Ok(written.is_ok())
            })?;
            if written.is_err() {
                return Ok(());
            }
            let files = "SELECT path, bytes FROM file JOIN content USING (digest) WHERE campaign = ? ORDER BY path";
            self.database.each_while(files, values![campaign.number], |row| {
                written = take(&Carried::File { path: row.get(0)?, bytes: row.get(1)? });
                Ok(written.is_ok())
            })
        };
        let unwritten = |why: io::Error| StoreError::NotCarried(why.to_string());
        start(&luggage).map_err(unwritten)?;
        write().map_err(|why| self.error(&why))?;
        written.map_err(unwritten)
    }

    fn luggage(&self, campaign: &Overview, origin: &str) -> Done<Luggage> {
        let preparing = self.database.perhaps(
            "SELECT details FROM log WHERE campaign = ? AND what = 'prepared' ORDER BY number LIMIT 1",
            values![campaign.id],
            |row| row.get::<String>(0),
        );
        let preparing = preparing?.and_then(|details| serde_json::from_str(&details).ok());
        self.database.one(
            "SELECT content, source, prepared, largest, made_by, settings, list FROM campaign WHERE number = ?",
            values![campaign.number],
            |row| {
                Ok(Luggage {
                    id: campaign.id.clone(),
                    name: campaign.name.clone(),
                    edition: campaign.edition,
                    content: Digest::from(row.get::<[u8; 32]>(0)?).to_string(),
                    source: Digest::from(row.get::<[u8; 32]>(1)?).to_string(),
                    digest: campaign.digest.map(|digest| digest.to_string()).unwrap_or_default(),
                    prepared: row.get(2)?,
                    largest: row.get(3)?,
                    made_by: row.get(4)?,
                    settings: row.get(5)?,
                    list: row.get(6)?,
                    origin: origin.to_owned(),
                    preparing: preparing.clone().unwrap_or_default(),
                })
            },
        )
    }

    /// Takes in what somebody carried here, for somebody to look at; `next` gives one thing after the other. All of it, or
    /// nothing.
    pub fn bring(
        &mut self,
        luggage: &Luggage,
        next: impl FnMut() -> io::Result<Option<Carried>>,
        who: &str,
        now: Timestamp,
    ) -> Result<Overview, StoreError> {
        let odd = |why: &str| StoreError::NotBrought(why.to_owned());
        let digests = [&luggage.content, &luggage.source, &luggage.digest].map(|text| octets(text));
        let [Some(content), Some(source), Some(digest)] = digests else { return Err(odd("a digest is none")) };
        // The id is said in commands: it must be one that this program makes.
        let (digits, suffix) = luggage.id.split_at(luggage.id.find('-').unwrap_or(luggage.id.len()));
        let expected = if luggage.edition == 1 { String::new() } else { format!("-{}", luggage.edition) };
        if digits.len() < 8 || luggage.id.len() > MOST_ID || !luggage.content.starts_with(digits) || suffix != expected
        {
            return Err(odd("its id does not belong to it"));
        }
        if luggage.name.is_empty() || luggage.name.len() > MOST_NAME || luggage.origin.len() > MOST_NAME {
            return Err(odd("its name is too long, or none"));
        }
        // They stand in lines about it, and are not to make up others.
        let is_odd = |text: &String| text.chars().any(char::is_control);
        if [&luggage.name, &luggage.origin, &luggage.made_by].into_iter().any(is_odd) {
            return Err(odd("its name, its origin or what made it is no line of text"));
        }
        // It goes into the log, which is never cut.
        if luggage.preparing.to_string().len() > MOST_PREPARING {
            return Err(odd("the log's entry about its preparing is too long"));
        }
        let failed = |why: Fault| self.error(&why);
        let change = self.database.change().map_err(failed)?;
        let known = change.perhaps(
            "SELECT id FROM campaign WHERE id = ? OR content = ? AND edition = ?",
            values![luggage.id, content, luggage.edition],
            |row| row.get(0),
        );
        if let Some(id) = known.map_err(failed)? {
            return Err(StoreError::Here(id));
        }
        let key: [u8; 32] = random().map_err(failed)?;
        let campaign = change
            .one(
                "INSERT INTO campaign (id, content, edition, source, name, prepared, total, made_by, settings, list, largest,
                                       digest, pseudonyms, origin)
                 VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
                values![
                    luggage.id,
                    content,
                    luggage.edition,
                    source,
                    luggage.name,
                    luggage.prepared,
                    visible(&luggage.made_by),
                    luggage.settings,
                    luggage.list,
                    luggage.largest,
                    digest,
                    key,
                    visible(&luggage.origin)
                ],
                |row| row.get::<i64>(0),
            )
            .map_err(failed)?;
        let mut hash = digest_of(&luggage.settings, &luggage.list, &content, luggage.edition);
        let people = insert(&change, campaign, next, &mut |address, fields, digest| {
            digest_recipient(&mut hash, address, fields, digest);
        });
        let people = people.map_err(failed)?.map_err(|why| StoreError::NotBrought(why.to_string()))?;
        if people == 0 {
            return Err(odd("it is for nobody"));
        }
        digest_files(&mut hash, &change, campaign).map_err(failed)?;
        if hash.finish() != digest.into() {
            return Err(odd("it is not what its digest says"));
        }
        let details = json!({
            "recipients": people, "digest": luggage.digest, "apiece": env!("CARGO_PKG_VERSION"),
            "origin": visible(&luggage.origin), "preparing": luggage.preparing,
        });
        let log = || {
            change.run("UPDATE campaign SET total = ? WHERE number = ?", values![people, campaign])?;
            log::add(&change, &luggage.id, Deed { who, what: "imported", details: &details }, now)
        };
        log().map_err(failed)?;
        change.commit().map_err(failed)?;
        self.campaign(&luggage.id)
    }
}

/// Writes people and files; gives how many people.
fn insert(
    change: &Database,
    campaign: i64,
    mut next: impl FnMut() -> io::Result<Option<Carried>>,
    hash: &mut dyn FnMut(&str, &str, &[u8]),
) -> Done<io::Result<u32>> {
    let odd = |why: &str| Ok(Err(io::Error::new(io::ErrorKind::InvalidData, why.to_owned())));
    let person = "INSERT INTO recipient (campaign, position, row, address, fields) VALUES (?, ?, ?, ?, ?)";
    let message = "INSERT INTO message (campaign, position, digest) VALUES (?, ?, ?)";
    let mut batch = change.batch();
    let (mut people, mut files) = (0_u32, 0_u32);
    loop {
        match next() {
            Err(why) => return Ok(Err(why)),
            Ok(None) => return batch.end().map(|()| Ok(people)),
            Ok(Some(Carried::Person { .. })) if files > 0 => return odd("somebody comes behind the files"),
            Ok(Some(Carried::Person { row, fields, .. })) if first_row(&fields) != Some(row) => {
                return odd("somebody is in another row than their cells");
            }
            Ok(Some(Carried::Person { row, address, fields, digest })) => {
                batch.add(person, values![campaign, people, row, address, fields])?;
                batch.add(message, values![campaign, people, digest])?;
                hash(&address, &fields, &digest);
                people += 1;
            }
            Ok(Some(Carried::File { path, bytes })) => {
                let path_is_known = "SELECT EXISTS (SELECT 1 FROM file WHERE campaign = ? AND path = ?)";
                if change.one(path_is_known, values![campaign, path], |row| row.get(0))? {
                    return odd("a file comes twice");
                }
                insert_file(change, campaign, &path, &Sha256::digest(&bytes).into(), &bytes)?;
                files += 1;
            }
        }
    }
}

/// The row that somebody's cells begin with.
fn first_row(fields: &str) -> Option<u32> {
    let rows: Vec<(u32, IgnoredAny)> = serde_json::from_str(fields).ok()?;
    rows.first().map(|(row, _)| *row)
}

/// The octets that 64 hexadecimal digits stand for.
fn octets(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut octets = [0; 32];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = value(pair[0])? << 4 | value(pair[1])?;
    }
    (digits.len() == 64).then_some(octets)
}
