//! A campaign is kept: all that its messages are made of, in one transaction.

use std::{io, path::Path, sync::mpsc};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Store, StoreError,
    log::{self, Deed},
    look::already,
    people::Pseudonyms,
    recur::{Once, check_home, once},
};
use crate::{
    address::Address,
    campaign::{CAMPAIGN_FILE, Campaign, Overrides},
    fault,
    message::{Composer, Digest, DigestBuilder},
    outbox::{
        Outcome, Prepared,
        database::{AsValue, Database, Done, Fault, random, values},
    },
    recipients::Selection,
};

/// So many recipients are handed on together, and written between two calls of the progress function.
const STEP: usize = 1000;

/// So many steps wait to be written.
const AHEAD: usize = 4;

/// Where the file of those who may approve a campaign is among its files. No template and no attachment has a path that
/// begins so.
pub(super) const SIGNERS: &str = "/allowed_signers";

/// What is to be kept of a campaign.
#[derive(Debug)]
pub struct Snapshot<'s> {
    /// What people call it.
    pub name: &'s str,
    /// Whether its settings call it so; otherwise it is called as its directory is.
    pub is_named: bool,
    /// The file of its settings, or else its template, where it is on this machine.
    pub home: Option<&'s str>,
    /// As a `campaign.toml`.
    pub settings: &'s str,
    /// The file of those who may approve it, if its settings name one.
    pub signers: Option<&'s [u8]>,
    /// Whether somebody must have approved it: then its settings must be those that it was prepared with.
    pub is_bound: bool,
    /// Makes its messages.
    pub composer: &'s Composer,
    /// All of which were found good.
    pub prepared: &'s mut Prepared,
    /// Over the digests of all messages of the first edition.
    pub content: Digest,
    /// 1, or more where the same is sent again.
    pub edition: u32,
    /// The places in the list to which it is to be sent first; nobody there may have got exactly the same before.
    pub selected: &'s Selection,
    /// Whether somebody wants these to get it although they did.
    pub again: bool,
    /// Who does this, as the system names the user.
    pub who: &'s str,
    /// What else the log is to say of this, as an object.
    pub further: &'s Value,
}

/// What is done about a campaign that is over when it is prepared once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It is refused: somebody may not know that it was sent.
    Refused,
    /// It is found, and has nobody left to send to: a job is started again and again.
    Found,
}

/// A campaign that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What people call it.
    pub id: String,
    /// Over all that is kept of it.
    pub digest: Digest,
    /// Whether it was there before.
    pub is_old: bool,
}

/// What can go wrong meanwhile.
enum Failed {
    Database(Fault),
    Io(io::Error),
    /// A file is no longer what it was when the messages were made.
    File(String),
}

impl From<Fault> for Failed {
    fn from(why: Fault) -> Self {
        Self::Database(why)
    }
}

impl From<io::Error> for Failed {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

impl Store {
    /// The edition of a content that is to be sent: one that was begun, the first, or, `again`, one more than all that were
    /// made of the same template. `composer` made the content: what else was made of its template and list before is no reason
    /// to send everybody something twice.
    pub fn edition(&self, content: &Digest, composer: &Composer, again: bool, over: Over) -> Result<u32, StoreError> {
        let last = self.database.perhaps(
            "SELECT number, id, edition, prepared FROM campaign WHERE content = ? ORDER BY edition DESC LIMIT 1",
            values![content.as_bytes()],
            |row| {
                let (number, id, edition, prepared) = (row.get(0)?, row.get::<String>(1)?, row.get(2)?, row.get(3)?);
                Ok((self.counts(number)?, id, edition, Timestamp::from_millisecond(prepared).unwrap_or_default()))
            },
        );
        let last = last.map_err(|why| self.error(&why))?;
        if let Some((counts, id, edition, _)) = &last {
            // Somebody who does not know that it was sent says the same command again.
            let is_over = !counts.is_unfinished() && counts.of(Outcome::InDoubt) == 0 && self.is_told(id)?;
            if counts.is_unfinished() || again && !is_over {
                return Ok(*edition);
            }
        }
        if again {
            return self.next_edition(composer);
        }
        match last {
            // Who has it is known for each by itself.
            None if composer.recurs() => Ok(1),
            Some((_, _, edition, _)) if over == Over::Found => Ok(edition),
            None => self.is_new(&composer.source()).map(|()| 1),
            Some((counts, id, _, prepared)) => Err(StoreError::Done { id, prepared, counts }),
        }
    }

    /// Whether the last run of a campaign came to the point where it says what it did.
    pub fn is_told(&self, id: &str) -> Result<bool, StoreError> {
        let entries = self.entries(id)?;
        let last = entries.iter().rfind(|entry| matches!(entry.what.as_str(), "started" | "stopped"));
        Ok(last.is_none_or(|entry| entry.what == "stopped" && entry.details["told"] != Value::Bool(false)))
    }

    fn is_new(&self, source: &[u8; 32]) -> Result<(), StoreError> {
        let other = self.database.perhaps(
            "SELECT id, sent FROM (SELECT number, id, (SELECT count(*) FROM message WHERE message.campaign = campaign.number
             AND state IN ('sent', 'in_doubt', 'sending')) AS sent FROM campaign WHERE source = ?) AS made
             WHERE sent > 0 ORDER BY number DESC LIMIT 1",
            values![source],
            |row| Ok(StoreError::Changed { id: row.get(0)?, sent: row.get::<i64>(1)?.try_into().unwrap_or_default() }),
        );
        other.map_err(|why| self.error(&why))?.map_or(Ok(()), Err)
    }

    /// Writes a campaign down, or finds it again. `progress` is told how many messages are written.
    pub fn freeze(
        &mut self,
        snapshot: Snapshot<'_>,
        now: Timestamp,
        progress: &dyn Fn(usize),
    ) -> Result<Kept, StoreError> {
        let failed = |why: Failed| match why {
            Failed::Database(why) => self.error(&why),
            Failed::Io(why) => StoreError::io(&self.location, &why),
            Failed::File(name) => StoreError::FileChanged(name),
        };
        let refused = |why: Fault| self.error(&why);
        let change = self.database.change().map_err(refused)?;
        if let Some(home) = snapshot.home.filter(|_| snapshot.composer.recurs()) {
            let template = (!snapshot.is_named).then(|| template_of(snapshot.composer));
            check_home(&change, snapshot.name, home, template.as_ref()).map_err(refused)?.map_or(Ok(()), Err)?;
        }
        let known = change.perhaps(
            "SELECT number, id, digest FROM campaign WHERE content = ? AND edition = ?",
            values![snapshot.content.as_bytes(), snapshot.edition],
            |row| Ok((row.get(0)?, row.get::<String>(1)?, row.get::<Option<[u8; 32]>>(2)?)),
        );
        let (selected, again) = (snapshot.selected, snapshot.again && snapshot.edition > 1);
        let (number, kept) = match known.map_err(refused)? {
            Some((number, id, Some(digest))) => {
                check_old(&change, number, &id, &snapshot).map_err(refused)?.map_or(Ok(()), Err)?;
                (number, Kept { id, digest: digest.into(), is_old: true })
            }
            Some((_, id, None)) => return Err(StoreError::NoSnapshot(id)),
            None => insert(&change, snapshot, now, progress).map_err(failed)?,
        };
        if again {
            let sql = "UPDATE message SET again = 1 WHERE campaign = ? AND position = ? AND state = 'queued'";
            let mut want = change.batch();
            let mut want_all =
                || selected.iter().try_for_each(|position| want.add(sql, values![number, as_number(position)]));
            want_all().and_then(|()| want.end()).map_err(refused)?;
        }
        let is_selected = |position| selected.contains(position);
        if let Some(had) = already(&change, &self.location, number, &is_selected).map_err(refused)? {
            return Err(had);
        }
        fault::point("freezing");
        change.commit().map_err(refused)?;
        fault::point("frozen");
        Ok(kept)
    }

    /// An edition that nobody has of what a composer makes.
    pub fn next_edition(&self, composer: &Composer) -> Result<u32, StoreError> {
        let sql = "SELECT coalesce(max(edition), 0) + 1 FROM campaign WHERE template = ?";
        let next = self.database.one(sql, values![template_of(composer).as_bytes()], |row| row.get(0));
        next.map_err(|why| self.error(&why))
    }
}

/// What is wrong with going on with a campaign that was prepared before. What nobody need approve is the same if its messages are,
/// whatever else was said then.
fn check_old(change: &Database, number: i64, id: &str, snapshot: &Snapshot<'_>) -> Done<Option<StoreError>> {
    let old = change.one("SELECT origin, settings FROM campaign WHERE number = ?", values![number], |row| {
        Ok((row.get::<Option<String>>(0)?, row.get::<Option<String>>(1)?.unwrap_or_default()))
    });
    let (origin, settings) = old?;
    if let Some(origin) = origin {
        return Ok(Some(StoreError::Elsewhere { id: id.to_owned(), origin }));
    }
    let signers = "SELECT digest FROM file WHERE campaign = ? AND path = ?";
    let signers = change.perhaps(signers, values![number, SIGNERS], |row| row.get::<[u8; 32]>(0))?;
    let is_bound = snapshot.is_bound || signers.is_some();
    let same_signers = signers == snapshot.signers.map(|signers| Sha256::digest(signers).into());
    let is_same = same_signers && same_settings(&settings, snapshot.settings);
    Ok((is_bound && !is_same).then(|| StoreError::OtherSettings(id.to_owned())))
}

/// Whether two texts of settings say the same. A campaign that names no account may be sent through any.
fn same_settings(old: &str, new: &str) -> bool {
    let read = |text: &str| Campaign::parse(Path::new(CAMPAIGN_FILE), text, Overrides::default()).ok();
    match (read(old), read(new)) {
        (Some(old), Some(new)) => old.differences(&new).is_empty(),
        _ => false,
    }
}

fn template_of(composer: &Composer) -> Digest {
    let mut hash = Digest::builder();
    composer.template().sources().for_each(|(_, text)| hash.add_part(text.as_bytes()));
    hash.finish()
}

/// Begins the digest of a campaign with what it is besides its recipients and files.
pub(super) fn digest_of(settings: &str, list: &str, content: &[u8], edition: u32) -> DigestBuilder {
    let mut hash = Digest::builder();
    for part in ["apiece campaign 2".as_bytes(), settings.as_bytes(), list.as_bytes(), content, &edition.to_be_bytes()]
    {
        hash.add_part(part);
    }
    hash
}

/// Goes on with a recipient and the digest of the message.
pub(super) fn digest_recipient(hash: &mut DigestBuilder, address: &str, fields: &str, digest: &[u8]) {
    hash.add_part(address.as_bytes());
    hash.add_part(fields.as_bytes());
    hash.add_part(digest);
}

/// Goes on with the files, in the order of their paths.
pub(super) fn digest_files(hash: &mut DigestBuilder, change: &Database, campaign: i64) -> Done<()> {
    change.each("SELECT path, digest FROM file WHERE campaign = ? ORDER BY path", values![campaign], |file| {
        hash.add_part(file.text(0)?.as_bytes());
        hash.add_part(file.octets(1)?);
        Ok(())
    })
}

fn insert(
    change: &Database,
    snapshot: Snapshot<'_>,
    now: Timestamp,
    progress: &dyn Fn(usize),
) -> Result<(i64, Kept), Failed> {
    let Snapshot { name, home, settings, signers, composer, prepared, content, edition, who, further, .. } = snapshot;
    let list = serde_json::to_string(&composer.list().shape()).unwrap_or_default();
    let (id, total) = (new_id(change, &content, edition), prepared.len());
    let key: [u8; 32] = random()?;
    let campaign = change.one(
        "INSERT INTO campaign (id, content, edition, source, name, prepared, total, template, made_by, settings, list, largest,
                               pseudonyms, people, home)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
        values![
            id,
            content.as_bytes(),
            edition,
            composer.source(),
            name,
            now.as_millisecond(),
            as_number(total),
            template_of(composer).as_bytes(),
            env!("CARGO_PKG_VERSION"),
            settings,
            list,
            as_number(prepared.largest()),
            key,
            composer.people().as_bytes(),
            home,
        ],
        |row| row.get::<i64>(0),
    )?;
    let hash = digest_of(settings, &list, content.as_bytes(), edition);
    let mut hash = insert_recipients(change, (campaign, name), composer, prepared, hash, progress)?;
    insert_files(change, campaign, composer, prepared)?;
    if let Some(signers) = signers {
        let digest: [u8; 32] = Sha256::digest(signers).into();
        insert_file(change, campaign, SIGNERS, &digest, signers)?;
    }
    digest_files(&mut hash, change, campaign)?;
    let digest = hash.finish();
    change.run("UPDATE campaign SET digest = ? WHERE number = ?", values![digest.as_bytes(), campaign])?;
    let (digits, rows) = (digest.to_string(), composer.list().rows_read());
    let mut details = json!({ "recipients": total, "rows": rows, "digest": digits, "apiece": env!("CARGO_PKG_VERSION"),
                "pseudonyms": Pseudonyms::new(&key).fingerprint() });
    for (key, value) in further.as_object().into_iter().flatten() {
        details[key] = value.clone();
    }
    log::add(change, &id, Deed { who, what: "prepared", details: &details }, now)?;
    Ok((campaign, Kept { id, digest, is_old: false }))
}

/// What is written of a recipient.
struct Line {
    position: i64,
    row: i64,
    address: Address,
    fields: String,
    digest: Digest,
    says: i64,
    occurrence: Option<String>,
    once: Option<Once>,
}

/// Writes the recipients while a thread beside makes what is written of the next ones, and goes on with the digest.
fn insert_recipients(
    change: &Database,
    (campaign, name): (i64, &str),
    composer: &Composer,
    prepared: &mut Prepared,
    mut hash: DigestBuilder,
    progress: &dyn Fn(usize),
) -> Result<DigestBuilder, Failed> {
    let list = composer.list();
    std::thread::scope(|scope| {
        let (sender, steps) = mpsc::sync_channel::<Vec<Line>>(AHEAD);
        let making = scope.spawn(move || {
            let mut step = Vec::with_capacity(STEP);
            prepared.each(|index, digest, says| {
                let Some(recipient) = list.get(index) else { return Ok(()) };
                let (address, fields) = (recipient.address(), recipient.kept());
                digest_recipient(&mut hash, address.as_str(), &fields, digest.as_bytes());
                let (position, row) = (as_number(index), i64::try_from(recipient.row()).unwrap_or_default());
                let occurrence = composer.occurrence(index);
                let once = occurrence.as_ref().map(|occurrence| once(name, &address.key(), occurrence));
                step.push(Line { position, row, address, fields, digest, says: says.cast_signed(), occurrence, once });
                if step.len() == STEP {
                    let step = std::mem::replace(&mut step, Vec::with_capacity(STEP));
                    // Whoever writes them has given up, and says why.
                    sender.send(step).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
                }
                Ok::<(), io::Error>(())
            })?;
            let _ = sender.send(step);
            Ok::<_, Failed>(hash)
        });
        let mut written = 0;
        for step in steps {
            let campaign = campaign.as_value();
            let people = step.iter().map(|line| {
                let [position, row] = [&line.position, &line.row].map(AsValue::as_value);
                [campaign, position, row, line.address.as_str().as_value(), line.fields.as_value()]
            });
            change.fill("recipient", "campaign, position, row, address, fields", &people.collect::<Vec<_>>())?;
            let messages = step.iter().map(|line| {
                let [position, says] = [&line.position, &line.says].map(AsValue::as_value);
                let (occurrence, once) = (line.occurrence.as_value(), line.once.as_value());
                [campaign, position, line.digest.as_bytes().as_value(), says, occurrence, once]
            });
            change.fill(
                "message",
                "campaign, position, digest, says, occurrence, once",
                &messages.collect::<Vec<_>>(),
            )?;
            written += step.len();
            progress(written);
        }
        making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Keeps the texts of the template and the files that went into the messages.
fn insert_files(change: &Database, campaign: i64, composer: &Composer, prepared: &Prepared) -> Result<(), Failed> {
    let keep = |path: &str, bytes: &[u8], is_right: &dyn Fn(&[u8; 32]) -> bool| {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if !is_right(&digest) {
            return Err(Failed::File(path.to_owned()));
        }
        insert_file(change, campaign, path, &digest, bytes)?;
        Ok(())
    };
    for (path, text) in composer.template().sources() {
        keep(path, text.as_bytes(), &|_| true)?;
    }
    let read = |path: &str| composer.file(path).map_err(|_| Failed::File(path.to_owned()));
    for (path, known) in composer.shared_files() {
        keep(&path, &read(&path)?, &|digest| *digest == known)?;
    }
    if composer.template().has_personal_files() {
        for index in prepared.indices().iter() {
            for (nth, path) in composer.personal_paths(index).enumerate() {
                let known = prepared.files().content(index, nth);
                keep(&path, &read(&path)?, &|digest| known.is_some_and(|known| digest.starts_with(&known)))?;
            }
        }
    }
    Ok(())
}

/// Keeps the content of a file.
pub(super) fn insert_file(change: &Database, campaign: i64, path: &str, digest: &[u8; 32], bytes: &[u8]) -> Done<()> {
    let content = "INSERT INTO content (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING";
    change.run(content, values![digest, bytes])?;
    let file = "INSERT INTO file (campaign, path, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    change.run(file, values![campaign, path, digest])?;
    Ok(())
}

/// Short, and as long as it must be to mean one.
fn new_id(change: &Database, content: &Digest, edition: u32) -> String {
    let digits = content.to_string();
    let suffix = if edition == 1 { String::new() } else { format!("-{edition}") };
    let id = (8..=digits.len()).map(|length| format!("{}{suffix}", &digits[..length])).find(|id| {
        let count = change.one("SELECT count(*) FROM campaign WHERE id = ?", values![id], |row| row.get::<i64>(0));
        count.is_ok_and(|count| count == 0)
    });
    id.unwrap_or(digits)
}

fn as_number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
