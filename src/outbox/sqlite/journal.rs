//! One writer for all connections of a run: what they want written in one moment is one commit.

use std::{
    io,
    sync::mpsc::{self, Receiver, Sender},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{Campaign, Place, Store, StoreError};
use crate::{
    fault,
    outbox::{Codes, Outcome, PutOff},
};

/// So many things at most are one commit.
const MOST: usize = 1000;

/// The end of a message waits so long for the beginning of another.
const MOST_DELAY: Duration = Duration::from_millis(1);

/// Where several messages are under way, those that follow so soon are written down together: half as many commits, and more
/// messages a second.
const GATHERING: Duration = Duration::from_micros(150);

/// Writes down what happens to the messages of a campaign.
#[derive(Debug)]
pub struct Journal {
    sender: Option<Sender<Entry>>,
    writer: Option<JoinHandle<()>>,
    /// Nobody else sends it meanwhile.
    _campaign: Campaign,
}

/// Something that happens to a message.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// It is about to be sent.
    Begins {
        /// To look it up by.
        message_id: String,
        /// Address and port of the server.
        server: String,
        /// Such as `TLSv1.3`.
        tls: Option<&'static str>,
        /// The number of the slot that was taken for it.
        slot: Option<i64>,
        /// When.
        at: Timestamp,
    },
    /// It was begun, and this became of it.
    Ends {
        /// What.
        outcome: Outcome,
        /// The code of the reply, and the enhanced one (RFC 3463).
        code: Option<Codes>,
        /// The reply, or what happened in place of it.
        said: String,
        /// When.
        at: Timestamp,
        /// When it is due again, if it is put off.
        put_off: Option<PutOff>,
    },
}

struct Entry {
    position: usize,
    attempt: Attempt,
    written: oneshot::Sender<Result<(), StoreError>>,
}

impl Entry {
    fn can_wait(&self) -> bool {
        matches!(self.attempt, Attempt::Ends { .. })
    }
}

impl Journal {
    /// Starts the writer. What is sent counts for the limits of the account.
    pub fn start(store: Store, campaign: Campaign, account: Option<String>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let number = campaign.number;
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write(store, number, account.as_deref(), &receiver))?;
        Ok(Self { sender: Some(sender), writer: Some(writer), _campaign: campaign })
    }

    /// Writes down what happens to the message at a position of the list. It is safe once the receiver says so.
    #[must_use]
    pub fn write(&self, position: usize, attempt: Attempt) -> oneshot::Receiver<Result<(), StoreError>> {
        let (written, receiver) = oneshot::channel();
        if let Some(sender) = &self.sender {
            // A writer that is gone drops the other end, which is an answer, too.
            let _ = sender.send(Entry { position, attempt, written });
        }
        receiver
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write(mut store: Store, campaign: i64, account: Option<&str>, entries: &Receiver<Entry>) {
    // Messages that were begun and are not over
    let mut open = 0_i64;
    let mut place = None;
    while let Ok(first) = entries.recv() {
        if open > 1 {
            std::thread::sleep(GATHERING);
        }
        let mut batch = vec![first];
        batch.extend(entries.try_iter().take(MOST - 1));
        // Nobody waits for the end of a message: it goes with the beginning of the next, which comes at once if there is one.
        let until = Instant::now() + MOST_DELAY;
        while batch.iter().all(Entry::can_wait)
            && batch.len() < MOST
            && let Ok(entry) = entries.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            batch.push(entry);
            batch.extend(entries.try_iter().take(MOST - batch.len()));
        }
        let mut write = |entries: &[Entry]| {
            // What is written to a file that nobody finds again is not written down.
            if place.is_some_and(|place| place != Place::of(&store.path)) {
                return Err(StoreError::Moved(store.path.clone()));
            }
            let done = commit(&mut store.connection, campaign, account, entries);
            place.get_or_insert_with(|| Place::of(&store.path));
            done.map_err(|why| StoreError::of(&store.path, &why))
        };
        let all = write(&batch);
        let is_alone = batch.len() == 1;
        for entry in batch {
            open = if entry.can_wait() { open - 1 } else { open + 1 };
            // What cannot be written down of one message is no fault of the others.
            let done = if is_alone || all.is_ok() { all.clone() } else { write(std::slice::from_ref(&entry)) };
            let _ = entry.written.send(done);
        }
    }
}

/// Whether it is written down that a message was begun, and is not over.
fn has_begun(change: &Connection, campaign: i64, position: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT state = 'sending' FROM message WHERE campaign = ? AND position = ?";
    change.prepare_cached(sql)?.query_row(params![campaign, position], |row| row.get(0))
}

fn commit(connection: &mut Connection, campaign: i64, account: Option<&str>, batch: &[Entry]) -> rusqlite::Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for Entry { position, attempt, .. } in batch {
        let position = i64::try_from(*position).unwrap_or(i64::MAX);
        let becomes = |outcome: Outcome| -> rusqlite::Result<()> {
            let mut update =
                change.prepare_cached("UPDATE message SET state = ? WHERE campaign = ? AND position = ?")?;
            match update.execute(params![outcome.name(), campaign, position])? {
                1 => Ok(()),
                changed => Err(rusqlite::Error::StatementChangedRows(changed)),
            }
        };
        match attempt {
            // Its beginning could not be written down, and need not be taken back.
            Attempt::Ends { outcome: Outcome::Queued, .. } if !has_begun(&change, campaign, position)? => {}
            Attempt::Begins { message_id, server, tls, slot, at } => {
                becomes(Outcome::Sending)?;
                let mut insert = change.prepare_cached(
                    "INSERT INTO attempt (campaign, position, message_id, account, server, tls, slot, began, outcome)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'sending')",
                )?;
                let at = at.as_millisecond();
                insert.execute(params![campaign, position, message_id, account, server, tls, slot, at])?;
                if let Some(slot) = slot {
                    change.prepare_cached("DELETE FROM slot WHERE number = ?")?.execute(params![slot])?;
                }
            }
            Attempt::Ends { outcome, code, said, at, put_off } => {
                becomes(*outcome)?;
                if let Some(PutOff { tries, since, due }) = put_off {
                    let sql = "UPDATE message SET tries = ?, since = ?, due = ? WHERE campaign = ? AND position = ?";
                    let (since, due) = (since.as_millisecond(), due.as_millisecond());
                    change.prepare_cached(sql)?.execute(params![tries, since, due, campaign, position])?;
                }
                let (code, enhanced) =
                    code.as_ref().map_or((None, None), |(code, enhanced)| (Some(*code), enhanced.as_ref()));
                let mut update = change.prepare_cached(
                    "UPDATE attempt SET outcome = ?, code = ?, enhanced = ?, said = ?, ended = ?
                     WHERE campaign = ? AND position = ? AND outcome = 'sending'",
                )?;
                let at = at.as_millisecond();
                update.execute(params![outcome.name(), code, enhanced, said, at, campaign, position])?;
            }
        }
    }
    let (begins, ends) = (!batch.iter().all(Entry::can_wait), batch.iter().any(Entry::can_wait));
    let point = |mark, outcome| {
        if begins {
            fault::point(mark);
        }
        if ends {
            fault::point(outcome);
        }
    };
    point("mark-unwritten", "outcome-unwritten");
    change.commit()?;
    point("mark-written", "outcome-written");
    Ok(())
}
