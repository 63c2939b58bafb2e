//! Workers: several programs, on several machines, that send the campaigns of one database together.
//!
//! A campaign is handed over to them in batches of a hundred messages; each batch belongs to one worker at a time. A worker is heard
//! of as long as it renews its lease. Of one that is not, what it was sending is in doubt, and what it only had goes back.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;

use super::{
    Campaign, Overview, SLOTS_KEPT, Store, StoreError,
    grants::joined,
    lock::RunLock,
    log::{self, Deed},
    look::time,
    reported::Reported,
};
use crate::outbox::{
    Portion, Portioned, PutOff,
    database::{Database, Done, Fault, Lease, Location, end_lost_workers, values},
};

/// One of the workers, until this is dropped.
#[derive(Debug, Clone)]
pub struct Worker {
    location: Location,
    lease: Arc<Lease>,
}

/// A campaign that waits for workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// The account that it is to go through.
    pub account: String,
}

/// What the workers of an account have before them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that are queued or put off.
    pub waiting: u64,
    /// Those of them that may be sent now.
    pub due: u64,
    /// Connections that are open, by all workers together.
    pub connections: u64,
}

impl Worker {
    /// Becomes one, of those that share a record, for some accounts.
    pub fn start(store: &Store, accounts: &[String], now: Timestamp) -> Result<Self, StoreError> {
        let Location::Server(server) = &store.location else {
            return Err(StoreError::NoWorkers(store.location.clone()));
        };
        let lease = Arc::new(Lease::work(server, accounts, now)?);
        Ok(Self { location: store.location.clone(), lease })
    }

    /// Whether it is known to be one no longer: nobody heard of it for too long.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lease.is_lost()
    }

    /// A campaign, to send batches of it, together with other workers.
    #[must_use]
    pub fn campaign(&self, campaign: &Overview) -> Campaign {
        Campaign {
            number: campaign.number,
            location: self.location.clone(),
            lock: RunLock::Worker(Arc::clone(&self.lease)),
        }
    }

    /// What it is known by.
    #[must_use]
    pub fn token(&self) -> [u8; 16] {
        *self.lease.fence().token()
    }
}

impl Store {
    /// Hands a campaign over to the workers of an account. Its messages are due from now on.
    pub fn hand_over(
        &self,
        campaign: &Overview,
        account: &str,
        deed: Deed<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        campaign.check_own()?;
        let Location::Server(_) = self.location else { return Err(StoreError::NoWorkers(self.location.clone())) };
        let write = || {
            let change = self.database.change()?;
            let before: Option<Option<String>> = change.perhaps(
                "SELECT halted FROM queue WHERE campaign = ? AND account = ?",
                values![campaign.number, account],
                |row| row.get(0),
            )?;
            change.run(
                "INSERT INTO queue (campaign, account) VALUES (?, ?)
                 ON CONFLICT (campaign) DO UPDATE SET account = excluded.account, halted = NULL",
                values![campaign.number, account],
            )?;
            change.run(
                "INSERT INTO batch (campaign, first, due) SELECT DISTINCT campaign, position / 100 * 100, 0 FROM message WHERE campaign = ?
                 ON CONFLICT (campaign, first) DO UPDATE SET due = 0",
                values![campaign.number],
            )?;
            // Nobody had done so, or workers had stopped.
            if before != Some(None) {
                log::add(&change, &campaign.id, deed, now)?;
            }
            change.commit()
        };
        write().map_err(|why: Fault| self.error(&why))
    }

    /// Whether a campaign is handed over to workers; and why they do not go on with it, if they do not.
    pub fn handed_over(&self, campaign: &Overview) -> Result<Option<Option<String>>, StoreError> {
        let Location::Server(_) = self.location else { return Ok(None) };
        let sql = "SELECT halted FROM queue WHERE campaign = ?";
        self.database.perhaps(sql, values![campaign.number], |row| row.get(0)).map_err(|why| self.error(&why))
    }

    /// No worker goes on with a campaign until somebody hands it over again.
    pub fn halt(&self, campaign: &Overview, who: &str, why: &str, now: Timestamp) -> Result<(), StoreError> {
        let write = || {
            let change = self.database.change()?;
            let sql = "UPDATE queue SET halted = ? WHERE campaign = ? AND halted IS NULL";
            if change.run(sql, values![why, campaign.number])? == 1 {
                let details = json!({ "why": why });
                log::add(&change, &campaign.id, Deed { who, what: "halted", details: &details }, now)?;
            }
            change.commit()
        };
        write().map_err(|why: Fault| self.error(&why))
    }

    /// The campaigns of some accounts of which something is due and nobody has it, those that were handed over first before the
    /// others.
    pub fn waiting(&self, accounts: &[String]) -> Result<Vec<Waiting>, StoreError> {
        let sql = "SELECT id, account FROM queue JOIN campaign ON number = queue.campaign
             WHERE halted IS NULL AND purged IS NULL AND account = ANY (string_to_array(?, chr(10)))
                 AND EXISTS (SELECT 1 FROM batch WHERE batch.campaign = number AND holder IS NULL AND batch.due <= (SELECT now_ms()))
                 AND NOT EXISTS (SELECT 1 FROM run WHERE run.campaign = id AND until > clock_timestamp())
             ORDER BY number";
        let waiting = self
            .database
            .all(sql, values![accounts.join("\n")], |row| Ok(Waiting { id: row.get(0)?, account: row.get(1)? }));
        waiting.map_err(|why| self.error(&why))
    }

    /// The campaigns, by their ids, that somebody approved and that nobody began or handed over yet.
    pub fn approved(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT id FROM campaign WHERE purged IS NULL AND origin IS NULL AND digest IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.campaign = number)
             AND EXISTS (SELECT 1 FROM log WHERE log.campaign = id AND what = 'approved')
             AND NOT EXISTS (SELECT 1 FROM log WHERE log.campaign = id AND what IN ('started', 'handed over', 'stopped', 'halted'))
             AND EXISTS (SELECT 1 FROM message WHERE message.campaign = number AND state IN ('queued', 'deferred'))";
        self.database.all(sql, &[], |row| row.get(0)).map_err(|why| self.error(&why))
    }

    /// Takes up to so many batches of a campaign for a worker. None, where others have them or want to have the campaign alone.
    pub fn take_batches(
        &self,
        worker: &Worker,
        campaign: &Overview,
        account: &str,
        most: usize,
    ) -> Result<Vec<Portion>, StoreError> {
        let take = || {
            let sql = "SELECT take_batches(?, ?, ?, ?)";
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let mut firsts: Vec<i64> =
                self.database.all(sql, values![worker.token(), campaign.number, account, most], |row| row.get(0))?;
            firsts.sort_unstable();
            let mut portions: Vec<Portion> =
                firsts.iter().map(|first| Portion { first: *first, messages: Vec::new() }).collect();
            let sql = "SELECT position, digest, state, tries, since, due FROM message
                 WHERE campaign = ?1 AND position / 100 * 100 = ANY (string_to_array(?2, ' ')::BIGINT[])
                     AND position BETWEEN ?3 AND ?4
                     AND (state = 'queued' OR state = 'deferred' AND coalesce(due, 0) <= now_ms()) ORDER BY position";
            let (Some(first), Some(last)) = (firsts.first(), firsts.last()) else { return Ok(portions) };
            self.database.each(sql, values![campaign.number, joined(&firsts), first, last + 99], |row| {
                let position: i64 = row.get(0)?;
                let put_off = if row.text(2)? == "deferred" {
                    let (since, due) = (time(row, "since")?.unwrap_or_default(), time(row, "due")?.unwrap_or_default());
                    Some(PutOff { tries: row.get(3)?, since, due })
                } else {
                    None
                };
                let index = usize::try_from(position).map_err(|_| Fault::Odd)?;
                let message = Portioned { index, digest: row.get::<[u8; 32]>(1)?.into(), put_off };
                if let Ok(nth) = portions.binary_search_by_key(&(position / 100 * 100), |portion| portion.first) {
                    portions[nth].messages.push(message);
                }
                Ok(())
            })?;
            Ok(portions)
        };
        take().map_err(|why: Fault| self.error(&why))
    }

    /// Gives batches back, of which nothing is under way.
    pub fn give_batches_back(&self, worker: &Worker, campaign: &Overview, firsts: &[i64]) -> Result<(), StoreError> {
        if firsts.is_empty() {
            return Ok(());
        }
        let sql = "SELECT give_batches_back(?, ?, ?)";
        let given = self.database.all(sql, values![worker.token(), campaign.number, joined(firsts)], |_| Ok(()));
        given.map(drop).map_err(|why| self.error(&why))
    }

    /// Whether somebody wants to have a campaign alone, or it is no longer with the workers of an account.
    pub fn is_wanted(&self, campaign: &Overview, account: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM run WHERE campaign = ? AND until > clock_timestamp())
             OR NOT EXISTS (SELECT 1 FROM queue WHERE campaign = ? AND account = ? AND halted IS NULL)";
        let wanted = self.database.one(sql, values![campaign.id, campaign.number, account], |row| row.get(0));
        wanted.map_err(|why| self.error(&why))
    }

    /// Ends a worker that this program was before.
    pub fn end_worker(&self, token: [u8; 16]) -> Result<(), StoreError> {
        let ended = self.database.all("SELECT end_worker(?, true)", values![token], |_| Ok(()));
        ended.map(drop).map_err(|why| self.error(&why))
    }

    /// Removes what counts for no window any more.
    pub fn tidy(&self) -> Result<(), StoreError> {
        let tidied = self.database.run("DELETE FROM slot WHERE over < now_ms() - ?", values![SLOTS_KEPT]);
        tidied.map(drop).map_err(|why| self.error(&why))
    }

    /// Ends the workers that are not heard of any more.
    pub fn end_lost_workers(&self) -> Result<(), StoreError> {
        let Database::Postgres(session) = &self.database else { return Ok(()) };
        end_lost_workers(session).map_err(|why| self.error(&why))
    }

    /// Once nothing of a campaign is left to do, and nobody has any of it: that is written down, if it is not yet. Should something be left
    /// that nobody would take, it is due again.
    pub fn note_end(&self, campaign: &Overview, who: &str, now: Timestamp) -> Result<(), StoreError> {
        let number = campaign.number;
        let write = || {
            let sql =
                "SELECT EXISTS (SELECT 1 FROM batch WHERE campaign = ? AND (holder IS NOT NULL OR due IS NOT NULL))";
            if self.database.one(sql, values![number], |row| row.get(0))? {
                return Ok(());
            }
            let change = self.database.change()?;
            let forgotten = change.run(
                "UPDATE batch SET due = 0 WHERE campaign = ?1 AND due IS NULL AND holder IS NULL AND EXISTS (SELECT 1 FROM message
                     WHERE message.campaign = ?1 AND position BETWEEN first AND first + 99 AND state IN ('queued', 'deferred', 'sending'))",
                values![number],
            )?;
            if forgotten > 0 {
                return change.commit();
            }
            // Whoever sent part of it after somebody else had said that it was over says so again.
            let sql = "SELECT what FROM log WHERE campaign = ? AND what IN ('handed over', 'started', 'stopped') ORDER BY number DESC LIMIT 1";
            let last: Option<String> = change.perhaps(sql, values![campaign.id], |row| row.get(0))?;
            if last.as_deref() == Some("started") {
                let details = serde_json::Value::Object(self.counts(number)?.known());
                log::add(&change, &campaign.id, Deed { who, what: "stopped", details: &details }, now)?;
            }
            change.commit()
        };
        write().map_err(|why: Fault| self.error(&why))
    }

    /// Writes down that workers have begun with a campaign, unless that is the last that is known of it.
    pub fn note_start(&self, campaign: &Overview, deed: Deed<'_>, now: Timestamp) -> Result<(), StoreError> {
        let sql = "SELECT what FROM log WHERE campaign = ? AND what IN ('handed over', 'started', 'stopped', 'halted') ORDER BY number DESC LIMIT 1";
        let last = |database: &Database| {
            database
                .perhaps(sql, values![campaign.id], |row| row.get::<String>(0))
                .map(|last| last.as_deref() == Some("started"))
        };
        let write = || {
            if last(&self.database)? {
                return Ok(());
            }
            let change = self.database.change()?;
            if !last(&change)? {
                log::add(&change, &campaign.id, deed, now)?;
            }
            change.commit()
        };
        write().map_err(|why: Fault| self.error(&why))
    }

    /// Whether something is left that workers send through an account.
    pub fn has_work(&self, account: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM queue JOIN batch USING (campaign)
             WHERE account = ? AND halted IS NULL AND (due IS NOT NULL OR holder IS NOT NULL))";
        self.database.one(sql, values![account], |row| row.get(0)).map_err(|why| self.error(&why))
    }

    /// What the workers of an account have before them. Each message of theirs is looked at.
    pub fn backlog(&self, account: &str) -> Result<Backlog, StoreError> {
        let sql = "SELECT count(*), count(*) FILTER (WHERE state = 'queued' OR coalesce(due, 0) <= now_ms()),
                 (SELECT count(*) FROM place WHERE account = ?1 AND (lost IS NULL OR lost > clock_timestamp() - interval '5 minutes'))
             FROM queue JOIN message USING (campaign) WHERE account = ?1 AND halted IS NULL AND state IN ('queued', 'deferred')";
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let backlog = self.database.one(sql, values![account], |row| {
            let (waiting, due, connections) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Backlog { waiting: number(waiting), due: number(due), connections: number(connections) })
        });
        backlog.map_err(|why| self.error(&why))
    }

    /// How many transactions of an account count now for a window of some length.
    pub fn window_use(&self, account: &str, length: Duration) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM slot WHERE account = ? AND (over IS NULL OR over > now_ms() - ?)";
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let used: Result<i64, Fault> = self.database.one(sql, values![account, length], |row| row.get(0));
        used.map(|used| u64::try_from(used).unwrap_or_default()).map_err(|why| self.error(&why))
    }

    /// Writes down what became of messages according to a worker that knew it when it could not be written down. What others have
    /// found out, or decided, meanwhile stays; but one that is to be sent again, or was taken back, and that the server has, is
    /// sent. Gives for each whether it was written down.
    pub fn settle_reported(&self, reported: &[Reported]) -> Result<Vec<bool>, StoreError> {
        let write = |one: &Reported| -> Done<bool> {
            let change = self.database.change()?;
            // In the order in which workers take them.
            let sql = "SELECT 1 FROM batch WHERE campaign = ? AND first = ? FOR UPDATE";
            change.all(sql, values![one.campaign, one.position / 100 * 100], |_| Ok(()))?;
            let sql = "SELECT number FROM attempt WHERE campaign = ?1 AND position = ?2 AND began = ?3 AND outcome IN ('sending', 'in_doubt')
                 AND number = (SELECT max(number) FROM attempt WHERE campaign = ?1 AND position = ?2)
                 AND EXISTS (SELECT 1 FROM message WHERE campaign = ?1 AND position = ?2 AND (state IN ('sending', 'in_doubt')
                     OR ?4 = 'sent' AND state IN ('queued', 'cancelled')))
                 AND EXISTS (SELECT 1 FROM campaign WHERE number = ?1 AND purged IS NULL)";
            let values = values![one.campaign, one.position, one.began, one.outcome];
            let Some(attempt) = change.perhaps(sql, values, |row| row.get::<i64>(0))? else { return Ok(false) };
            change.run(
                "UPDATE attempt SET outcome = ?, code = ?, enhanced = ?, said = ?, ended = ? WHERE number = ?",
                values![one.outcome, one.code, one.enhanced, one.said, one.ended, attempt],
            )?;
            let become_ = |outcome: &str, from: &str| {
                let sql = "UPDATE message SET state = ? WHERE campaign = ? AND position = ? AND state = ?";
                change.run(sql, values![outcome, one.campaign, one.position, from])
            };
            if one.outcome == "sent" {
                become_("queued", "cancelled")?;
                become_("sending", "queued")?;
            }
            // From what only its server knew it goes by way of the queue, unless it was sent.
            if one.outcome != "sent" && one.outcome != "in_doubt" {
                become_("queued", "in_doubt")?;
            }
            if one.outcome != "queued" && one.outcome != "in_doubt" {
                become_(&one.outcome, "queued")?;
                become_(&one.outcome, "in_doubt")?;
            }
            become_(&one.outcome, "sending")?;
            if let Some([tries, since, due]) = one.put_off {
                let sql = "UPDATE message SET tries = ?, since = ?, due = ? WHERE campaign = ? AND position = ?";
                change.run(sql, values![tries, since, due, one.campaign, one.position])?;
            }
            let sql = "UPDATE batch SET due = 0 WHERE campaign = ? AND first = ?";
            change.run(sql, values![one.campaign, one.position / 100 * 100])?;
            let sql = "UPDATE slot SET over = now_ms() WHERE over IS NULL AND number = (SELECT slot FROM attempt WHERE number = ?)";
            change.run(sql, values![attempt])?;
            change.commit()?;
            Ok(true)
        };
        reported.iter().map(|one| write(one).map_err(|why| self.error(&why))).collect()
    }
}

/// Some messages of a campaign were queued again by a person: whoever hands it over again has it looked at anew.
pub(super) fn was_queued_again(change: &Database, campaign: i64) -> Done<()> {
    match change {
        Database::Sqlite(_) => Ok(()),
        Database::Postgres(_) => {
            let sql = "UPDATE queue SET halted = 'messages were queued again' WHERE campaign = ? AND halted IS NULL";
            change.run(sql, values![campaign]).map(drop)
        }
    }
}

/// No worker has to do with a campaign any more.
pub(super) fn forget(change: &Database, campaign: i64) -> Done<()> {
    match change {
        Database::Sqlite(_) => Ok(()),
        Database::Postgres(_) => change.run("DELETE FROM queue WHERE campaign = ?", values![campaign]).map(drop),
    }
}
