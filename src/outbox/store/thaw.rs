//! A campaign as it was kept: its messages can be made again from the record alone.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use super::{
    Overview, Store, StoreError,
    freeze::{SIGNERS, digest_files, digest_of, digest_recipient},
};
use crate::{
    campaign::{self, Overrides},
    message::{Composer, Digest, DigestBuilder},
    outbox::{
        Outcome,
        database::{Database, Done, Fault, Location, values},
    },
    recipients::{RecipientList, Restored, Shape},
    template::{Frozen, Occurrence, Template},
};

/// A campaign that was read from the record.
#[derive(Debug)]
pub struct Thawed {
    /// Its settings; the files that they name are in the record.
    pub settings: campaign::Campaign,
    /// Makes its messages.
    pub composer: Composer,
    /// The file of those who may approve it, as it was.
    pub signers: Option<Vec<u8>>,
    /// Over the digests of all messages; what is sent must be these: [`super::Messages::digest`].
    pub messages: Digest,
}

impl Store {
    /// Reads what was kept of a campaign. Nothing is sent of one that is not what was prepared.
    pub fn thaw(&self, campaign: &Overview) -> Result<Thawed, StoreError> {
        let (thawed, digest) = self.read(campaign)?;
        self.verify_log()?;
        if Some(digest) != campaign.digest || !self.log_says_prepared(campaign)? {
            let why = "it is not what was prepared".to_owned();
            return Err(StoreError::Unsound { id: campaign.id.clone(), why });
        }
        Ok(thawed)
    }

    /// The list of a campaign as it was prepared, and what became of the message to each. What became of the messages of one from
    /// another machine, only that one knows.
    pub fn people(&self, campaign: &Overview) -> Result<(Arc<RecipientList>, Vec<Outcome>), StoreError> {
        campaign.check_own()?;
        let Thawed { composer, .. } = self.thaw(campaign)?;
        let messages = self.messages(campaign.number).map_err(|why| self.error(&why))?;
        Ok((Arc::clone(composer.list()), messages.unwrap_or_default().outcomes))
    }

    /// The settings of a campaign, and the file of those who may approve it, without a look at the rest and at whether it is what was
    /// prepared: to tell people about it, and for nothing else.
    pub fn settings(&self, campaign: &Overview) -> Result<(campaign::Campaign, Option<Vec<u8>>), StoreError> {
        let sql = "SELECT settings FROM campaign WHERE number = ?";
        let settings = self.database.one(sql, values![campaign.number], |row| row.get::<Option<String>>(0));
        let settings = settings.map_err(|why| self.error(&why))?;
        let settings = settings.ok_or_else(|| StoreError::NoSnapshot(campaign.id.clone()))?;
        let signers = self.signers(campaign.number).map_err(|why| self.error(&why))?;
        Ok((parse_settings(campaign, &settings)?, signers))
    }

    /// What was kept of a campaign, whether or not it is what was prepared, with what all that is kept of it comes to.
    pub(super) fn read(&self, campaign: &Overview) -> Result<(Thawed, Digest), StoreError> {
        if campaign.purged.is_some() {
            return Err(StoreError::Purged(campaign.id.clone()));
        }
        let failed = |why: Fault| self.error(&why);
        let unsound = |why: &str| StoreError::Unsound { id: campaign.id.clone(), why: why.to_owned() };
        let kept = self.database.one(
            "SELECT settings, list, edition, content FROM campaign WHERE number = ?",
            values![campaign.number],
            |row| {
                let content: Option<Vec<u8>> = row.get(3)?;
                Ok((row.get::<Option<String>>(0)?, row.get::<Option<String>>(1)?, row.get(2)?, content))
            },
        );
        let (Some(settings), Some(list), edition, Some(content)) = kept.map_err(failed)? else {
            return Err(StoreError::NoSnapshot(campaign.id.clone()));
        };
        let mut hash = digest_of(&settings, &list, &content, edition);
        let settings = parse_settings(campaign, &settings)?;
        let shape: Shape = serde_json::from_str(&list).map_err(|why| unsound(&why.to_string()))?;
        let mut messages = Digest::builder();
        let list = self.restored(campaign.number, &shape, (&mut hash, &mut messages)).map_err(failed)?;
        digest_files(&mut hash, &self.database, campaign.number).map_err(failed)?;
        let list = list.ok_or_else(|| unsound("its recipients do not fit its columns"))?;
        let files = Files::open(&self.location, campaign.number).map_err(failed)?;
        let template = settings.template.to_string_lossy();
        let template = Template::frozen(&template, Arc::new(files), list.columns());
        let template = template.map_err(|why| unsound(&why.to_string()))?;
        let composer = Composer::new(template.into(), list.into());
        let occurrence =
            settings.recurring.as_ref().map(|recurring| Occurrence::compile(recurring, composer.list().columns()));
        let occurrence = occurrence.transpose().map_err(|why| unsound(&why.to_string()))?;
        let composer = composer.with_limit(settings.max_message_size).with_edition(edition).with_occurrence(occurrence);
        let signers = self.signers(campaign.number).map_err(failed)?;
        if signers.is_some() != settings.approval.is_some() {
            return Err(unsound("the file of those who may approve it is not there"));
        }
        Ok((Thawed { settings, composer, signers, messages: messages.finish() }, hash.finish()))
    }

    /// What all that is kept of a campaign comes to now, if anything is kept of it. Nothing is made of it.
    pub fn digest_kept(&self, campaign: &Overview) -> Result<Option<Digest>, StoreError> {
        let all = || {
            let sql = "SELECT coalesce(settings, ''), coalesce(list, ''), content, edition FROM campaign
                       WHERE number = ? AND purged IS NULL AND digest IS NOT NULL";
            let begun = self.database.perhaps(sql, values![campaign.number], |row| {
                let (settings, list, content): (String, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(digest_of(&settings, &list, &content, row.get(3)?))
            });
            let Some(mut hash) = begun? else { return Ok(None) };
            let sql = "SELECT coalesce(address, ''), coalesce(fields, ''), digest FROM recipient JOIN message USING (campaign, position)
                 WHERE campaign = ? ORDER BY position";
            self.database.each(sql, values![campaign.number], |row| {
                digest_recipient(&mut hash, row.text(0)?, row.text(1)?, row.octets(2)?);
                Ok(())
            })?;
            digest_files(&mut hash, &self.database, campaign.number)?;
            Ok(Some(hash.finish()))
        };
        all().map_err(|why: Fault| self.error(&why))
    }

    /// The file of those who may approve a campaign, if its bytes are what was kept.
    fn signers(&self, campaign: i64) -> Done<Option<Vec<u8>>> {
        let kept = self.database.perhaps(
            "SELECT digest, bytes FROM file JOIN content USING (digest) WHERE campaign = ? AND path = ?",
            values![campaign, SIGNERS],
            |row| Ok((row.get::<[u8; 32]>(0)?, row.get::<Vec<u8>>(1)?)),
        );
        let is_kept = |(digest, bytes): &([u8; 32], Vec<u8>)| Sha256::digest(bytes)[..] == digest[..];
        Ok(kept?.filter(is_kept).map(|(_, bytes)| bytes))
    }

    fn restored(
        &self,
        campaign: i64,
        shape: &Shape,
        (hash, messages): (&mut DigestBuilder, &mut DigestBuilder),
    ) -> Done<Option<RecipientList>> {
        let Some(mut list) = Restored::new(shape) else { return Ok(None) };
        let mut fits = true;
        let sql = "SELECT address, fields, digest FROM recipient JOIN message USING (campaign, position)
             WHERE campaign = ? ORDER BY position";
        self.database.each_while(sql, values![campaign], |row| {
            let (address, fields, digest) = (row.text(0)?, row.text(1)?, row.octets(2)?);
            digest_recipient(hash, address, fields, digest);
            messages.add(digest);
            fits = list.push(address, fields).is_some();
            Ok(fits)
        })?;
        Ok(if fits { list.list() } else { None })
    }
}

fn parse_settings(campaign: &Overview, text: &str) -> Result<campaign::Campaign, StoreError> {
    let settings = campaign::Campaign::parse(Path::new(campaign::CAMPAIGN_FILE), text, Overrides::default())
        .map_err(|why| StoreError::Unsound { id: campaign.id.clone(), why: why.to_string() })?;
    Ok(campaign::Campaign { name: campaign.name.clone(), ..settings })
}

/// The files of a campaign in the record.
#[derive(Debug)]
pub(super) struct Files {
    database: Mutex<Database>,
    campaign: i64,
}

impl Files {
    pub(super) fn open(location: &Location, campaign: i64) -> Done<Self> {
        Ok(Self { database: Mutex::new(Database::connect(location)?), campaign })
    }
}

impl Frozen for Files {
    fn read(&self, path: &str) -> Option<io::Result<Vec<u8>>> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT bytes FROM file JOIN content USING (digest) WHERE campaign = ? AND path = ?";
        let read = database.perhaps(sql, values![self.campaign, path], |row| row.get(0));
        read.map_err(|why| io::Error::other(why.to_string())).transpose()
    }
}
