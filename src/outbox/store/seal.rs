//! Where an outbox went: what was moved into another one is sealed, so that nobody can send from both.
//!
//! A move has a token that stands in both outboxes. It is sealed in the source before anything is written at its destination, and it
//! stands at the destination as soon as all of it does, or never. Whoever takes a move back writes its token down there first, so that
//! it cannot arrive any more, whoever is still about to write it.

use jiff::Timestamp;

use super::{RunLock, Store, StoreError};
use crate::outbox::database::{Database, Done, Fault, Seal, random, values};

/// What stands for a move.
pub(super) type Token = [u8; 16];

/// A move out of an outbox.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) token: Token,
    /// Where it goes, without a password.
    to: String,
    is_over: bool,
}

/// What a destination knows of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing.
    Unknown,
    /// All of it is here.
    Here,
    /// It must not come any more.
    Refused,
}

/// What a destination knows of a move.
pub(super) fn arrival(database: &Database, token: &Token) -> Done<Arrival> {
    let way = database.perhaps("SELECT way FROM moved WHERE token = ?", values![token], |row| row.get::<String>(0))?;
    Ok(match way.as_deref() {
        None => Arrival::Unknown,
        Some("refused") => Arrival::Refused,
        Some(_) => Arrival::Here,
    })
}

/// As a part of the change in which all of it arrives: it is here, from a place.
pub(super) fn arrive(change: &Database, token: &Token, from: &str, who: &str, now: Timestamp) -> Done<()> {
    let now = now.as_millisecond();
    let sql = "INSERT INTO moved (token, way, place, who, at, over) VALUES (?, 'from', ?, ?, ?, ?)";
    change.run(sql, values![token, from, who, now, now]).map(drop)
}

impl Store {
    /// The move out of it, if it was moved or is being moved.
    pub(super) fn move_out(&self) -> Result<Option<Move>, StoreError> {
        let sql = "SELECT token, place, over IS NOT NULL FROM moved WHERE way = 'to'";
        let found = self
            .database
            .perhaps(sql, &[], |row| Ok(Move { token: row.get(0)?, to: row.get(1)?, is_over: row.get(2)? }));
        found.map_err(|why| self.error(&why))
    }

    /// Where it was moved, or is being moved, as a complaint; nothing can be changed in it then.
    #[must_use]
    pub fn moved_away(&self) -> Option<StoreError> {
        self.move_out().map_or_else(Some, |out| out.map(|out| self.sealed(&out)))
    }

    fn sealed(&self, out: &Move) -> StoreError {
        StoreError::Sealed { place: self.location.clone(), to: out.to.clone(), is_over: out.is_over }
    }

    /// The move that was begun to a place and is not over.
    pub(super) fn move_to(&self, to: &str) -> Result<Option<Move>, StoreError> {
        match self.move_out()? {
            Some(out) if out.is_over || out.to != to => Err(self.sealed(&out)),
            out => Ok(out),
        }
    }

    /// Nothing of it is being sent, and nobody is about to.
    pub(super) fn check_idle(&self) -> Result<(), StoreError> {
        let failed = |why: Fault| self.error(&why);
        // Where a database knows who has what, it need not be asked for each.
        let sql = if self.location.is_file() {
            "SELECT id FROM campaign"
        } else {
            "SELECT campaign FROM run UNION SELECT id FROM batch JOIN campaign ON number = batch.campaign WHERE holder IS NOT NULL"
        };
        let ids: Vec<String> = self.database.all(sql, &[], |row| row.get(0)).map_err(failed)?;
        for id in ids {
            if let Some(holder) = RunLock::busy(&self.database, &self.location, &id) {
                return Err(StoreError::Running { id, holder });
            }
        }
        let sql = "SELECT id FROM campaign WHERE EXISTS
                (SELECT 1 FROM message WHERE message.campaign = campaign.number AND state = 'sending')
             OR EXISTS (SELECT 1 FROM attempt WHERE attempt.campaign = campaign.number AND outcome = 'sending') LIMIT 1";
        let sending = self.database.perhaps(sql, &[], |row| row.get(0)).map_err(failed)?;
        sending.map_or(Ok(()), |id| Err(StoreError::Sending(id)))
    }

    /// From now on nothing is changed or sent here: it is being moved to a place. Gives what stands for that.
    pub(super) fn seal(&self, to: &str, who: &str, now: Timestamp) -> Result<Token, StoreError> {
        let failed = |why: Fault| self.error(&why);
        let token: Token = random().map_err(failed)?;
        let change = self.database.change().map_err(failed)?;
        // Whoever takes a campaign after this asks for a change next, and finds that there is none to be had.
        self.check_idle()?;
        change.end_runs().map_err(failed)?;
        self.check_idle()?;
        let sql = "INSERT INTO moved (token, way, place, who, at) VALUES (?, 'to', ?, ?, ?)";
        change.run(sql, values![token, to, who, now.as_millisecond()]).map_err(failed)?;
        change.commit().map_err(failed)?;
        Ok(token)
    }

    /// All of it is at its destination.
    pub(super) fn is_over(&self, token: &Token, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE moved SET over = ? WHERE token = ? AND way = 'to'";
        self.about_seal(sql, values![now.as_millisecond(), token])
    }

    /// It was not moved after all.
    fn unseal(&self, token: &Token) -> Result<(), StoreError> {
        self.about_seal("DELETE FROM moved WHERE token = ? AND way = 'to' AND over IS NULL", values![token])
    }

    pub(super) fn about_seal(
        &self,
        sql: &str,
        values: &[crate::outbox::database::Value<'_>],
    ) -> Result<(), StoreError> {
        let write = || {
            let change = self.database.change_at(Seal::Aside)?;
            change.run(sql, values)?;
            change.commit()
        };
        write().map_err(|why| self.error(&why))
    }

    /// Takes a move back whose token is given, unless all of it is at its destination already; whether it is.
    pub(super) fn take_back(&self, destination: &Self, token: &Token, now: Timestamp) -> Result<bool, StoreError> {
        let refuse = || {
            let known = arrival(&destination.database, token)?;
            if known != Arrival::Unknown {
                return Ok(known);
            }
            let change = destination.database.change()?;
            let sql = "INSERT INTO moved (token, way, place, who, at) VALUES (?, 'refused', ?, '', ?)
                 ON CONFLICT DO NOTHING";
            change.run(sql, values![token, self.location.to_string(), now.as_millisecond()])?;
            let known = arrival(&change, token)?;
            change.commit()?;
            Ok(known)
        };
        let known = refuse().map_err(|why: Fault| destination.error(&why))?;
        let is_there = known == Arrival::Here;
        let written = if is_there { self.is_over(token, now) } else { self.unseal(token) };
        written.map(|()| is_there)
    }
}
