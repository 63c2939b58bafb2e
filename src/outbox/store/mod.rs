//! The record: what was prepared and what became of each message, in a database that outlives a crash.

#[cfg(not(feature = "postgres"))]
mod alone;
mod carry;
mod copy;
mod domains;
mod error;
mod examine;
mod freeze;
#[cfg(feature = "postgres")]
mod grants;
mod journal;
mod ledger;
mod lock;
mod log;
mod look;
mod matter;
mod people;
mod purge;
mod reach;
mod recur;
mod reported;
mod seal;
mod thaw;
mod trace;
mod verify;
#[cfg(feature = "postgres")]
mod work;

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;

#[cfg(not(feature = "postgres"))]
pub use self::alone::{OpenPlace, Places};
pub(crate) use self::people::{without_addresses, without_people};
pub use self::{
    carry::{Carried, Luggage},
    copy::Copied,
    domains::Limited,
    error::StoreError,
    examine::Examined,
    freeze::{Kept, Over, Snapshot},
    journal::Journal,
    ledger::{Aside, Ledger, News, SeenLedger},
    log::{Chain, Deed, Entry},
    look::{Overview, Tried},
    matter::{Attached, Matter},
    people::Pseudonym,
    purge::Purged,
    reach::Reach,
    recur::{Last, TakenBack},
    reported::{Reported, Reports},
    thaw::Thawed,
    trace::{Check, Names, Totals, Traced, Transaction},
    verify::Verdict,
};
#[cfg(feature = "postgres")]
pub use self::{
    grants::{Given, Grants, OpenPlace, Places},
    work::{Backlog, Waiting, Worker},
};
use self::{lock::RunLock, look::time};
use super::{
    Counts, Outcome, PutOff,
    database::{Database, Done, Fault, Location, values},
};
use crate::{campaign::DomainLimit, fault, message::Digest, recipients::Selection};

/// Slots of runs that have ended are kept for so many milliseconds, which is longer than any window.
const SLOTS_KEPT: i64 = 2 * 24 * 60 * 60 * 1000;

/// A record of campaigns.
#[derive(Debug)]
pub struct Store {
    database: Database,
    location: Location,
}

/// A campaign that is being sent, which nobody else does as long as this is there.
#[derive(Debug)]
pub struct Campaign {
    number: i64,
    /// Where the record is
    location: Location,
    lock: RunLock,
}

impl Campaign {
    /// The slots of an account, for windows no longer than `longest`, with what counts already.
    pub fn ledger(&self, account: &str, longest: Duration) -> Result<(Ledger, News), StoreError> {
        Ledger::open(&self.location, account, self, longest)
    }

    /// The connections that it may have of an account's, which has so many, where others share them by a database; `own` of them at most.
    pub fn places(&self, account: &str, most: usize, own: Option<usize>) -> Result<Option<Arc<Places>>, StoreError> {
        Places::open(&self.location, account, self, (most, own))
    }

    /// The limits of domains for what goes through an account: those that the account has, and the campaign's own.
    pub fn domains(
        &self,
        account: &str,
        limits: &[DomainLimit],
        own: &[DomainLimit],
    ) -> Result<Vec<Limited>, StoreError> {
        domains::limited(&self.location, account, self, (limits, own))
    }
}

/// The messages of a campaign, in the order of its list.
#[derive(Debug, Default)]
pub struct Messages {
    /// What the bytes of each must be.
    pub digests: Vec<Digest>,
    /// What is known of each.
    pub outcomes: Vec<Outcome>,
    /// Those that were put off, by their place in the list.
    pub put_off: HashMap<usize, PutOff>,
}

impl Messages {
    /// Over the digests of all of them; [`Thawed::messages`] is the same of what was read then.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Digest::builder();
        self.digests.iter().for_each(|digest| hash.add(digest.as_bytes()));
        hash.finish()
    }

    /// How many of some have which outcome.
    #[must_use]
    pub fn counts(&self, selected: &Selection) -> Counts {
        Counts::of_all(selected.iter().map(|index| self.outcomes[index]))
    }
}

impl Store {
    /// Opens what is there, or makes it. What is not an outbox is left as it is.
    pub fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        let (database, location) = Database::open(&location.into())?;
        Ok(Self { database, location })
    }

    /// Makes the tables of this version; gives the versions before and after. Only a database of PostgreSQL's needs it.
    pub fn migrate(location: &Location) -> Result<(i64, i64), StoreError> {
        Database::migrate(location)
    }

    /// Puts all of it where it belongs, as far as nobody uses it.
    pub fn settle(&self) {
        self.database.settle();
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The database itself, if it is SQLite's.
    #[cfg(test)]
    fn sqlite(&self) -> &rusqlite::Connection {
        match &self.database {
            Database::Sqlite(session) => session.connection(),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => panic!("it is PostgreSQL's"),
        }
    }

    fn error(&self, why: &Fault) -> StoreError {
        StoreError::of(&self.location, why)
    }

    /// Takes up a campaign in order to send it; nobody else can meanwhile.
    ///
    /// What an earlier run was about to send when it ended is in doubt from now on.
    pub fn take(&mut self, campaign: &Overview, now: Timestamp) -> Result<(Campaign, Messages), StoreError> {
        let failed = |why: Fault| self.error(&why);
        campaign.check_own()?;
        // Only who holds the lock may say that nobody is sending.
        let lock = RunLock::take(&self.location, &campaign.id, now)?;
        let change = self.database.change().map_err(failed)?;
        found_sending(&change, campaign.number, now).map_err(failed)?;
        // Whoever takes it takes it from the workers, too, unless it is handed over to them again.
        #[cfg(feature = "postgres")]
        work::forget(&change, campaign.number).map_err(failed)?;
        fault::point("taking");
        change.commit().map_err(failed)?;
        let messages = self.messages(campaign.number).map_err(failed)?;
        let unsound = |why: &str| StoreError::Unsound { id: campaign.id.clone(), why: why.to_owned() };
        let messages = messages.ok_or_else(|| unsound("some messages are missing"))?;
        if self.was_sent_already(campaign.number).map_err(failed)? {
            return Err(unsound("a message that was sent is to be sent again"));
        }
        Ok((Campaign { number: campaign.number, location: self.location.clone(), lock }, messages))
    }

    /// Whether anything of a campaign was tried before.
    pub fn was_begun(&self, campaign: &Overview) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM attempt WHERE campaign = ?)";
        let begun = self.database.one(sql, values![campaign.number], |row| row.get(0));
        begun.map_err(|why| self.error(&why))
    }

    /// Whether a message is not sent any more of which an attempt says that it was.
    fn was_sent_already(&self, number: i64) -> Done<bool> {
        self.database.one(
            "SELECT EXISTS (SELECT 1 FROM attempt JOIN message USING (campaign, position)
             WHERE campaign = ? AND outcome = 'sent' AND state <> 'sent')",
            values![number],
            |row| row.get(0),
        )
    }

    /// None if there is not one for each recipient.
    fn messages(&self, number: i64) -> Done<Option<Messages>> {
        let sql = "SELECT count(*) FROM recipient WHERE campaign = ?";
        let recipients: i64 = self.database.one(sql, values![number], |row| row.get(0))?;
        let sql = "SELECT digest, state, tries, since, due, position FROM message WHERE campaign = ? ORDER BY position";
        let (mut messages, mut is_whole) = (Messages::default(), true);
        self.database.each_while(sql, values![number], |row| {
            is_whole = row.get::<i64>(5)? == i64::try_from(messages.digests.len()).unwrap_or(i64::MAX);
            if !is_whole {
                return Ok(false);
            }
            let outcome = Outcome::of_name(row.text(1)?).unwrap_or(Outcome::InDoubt);
            if outcome == Outcome::Deferred {
                // Earlier versions did not say when it is due.
                let time = |column| Ok::<_, Fault>(time(row, column)?.unwrap_or_default());
                let (since, due) = (time("since")?, time("due")?);
                messages.put_off.insert(messages.outcomes.len(), PutOff { tries: row.get(2)?, since, due });
            }
            messages.digests.push(row.get::<[u8; 32]>(0)?.into());
            messages.outcomes.push(outcome);
            Ok(true)
        })?;
        Ok((is_whole && i64::try_from(messages.digests.len()) == Ok(recipients)).then_some(messages))
    }
}

/// What was being sent when a run ended, only the server knows.
fn found_sending(change: &Database, number: i64, now: Timestamp) -> Done<()> {
    change.run(
        "UPDATE attempt SET outcome = 'in_doubt', ended = ?, said = 'the run ended here'
         WHERE campaign = ? AND outcome = 'sending'",
        values![now.as_millisecond(), number],
    )?;
    let now = now.as_millisecond();
    let sql = format!("UPDATE slot SET over = {} WHERE campaign = ?2 AND over IS NULL", change.now());
    change.run(&sql, values![now, number])?;
    ledger::end_asides(change, now)?;
    change.run("DELETE FROM slot WHERE over < ?", values![now - SLOTS_KEPT])?;
    change.run("UPDATE message SET state = 'in_doubt' WHERE campaign = ? AND state = 'sending'", values![number])?;
    Ok(())
}

#[cfg(test)]
mod both;
#[cfg(test)]
mod moves;
#[cfg(test)]
#[cfg(feature = "postgres")]
mod shared;
#[cfg(test)]
mod tests;
