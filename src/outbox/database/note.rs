//! What happens to messages while they are sent.

use jiff::Timestamp;

use super::{Database, Done, Fault, Fence, sqlite, value::values};
use crate::outbox::{Codes, Outcome, PutOff};

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

/// What is written down together. No message is in it twice.
#[derive(Debug)]
pub(in crate::outbox) struct Notes<'n> {
    /// The number of the campaign.
    pub(in crate::outbox) campaign: i64,
    /// Whose limits it counts for.
    pub(in crate::outbox) account: Option<&'n str>,
    /// The position of each message, and what happens to it.
    pub(in crate::outbox) attempts: &'n [(i64, &'n Attempt)],
}

impl Database {
    /// Writes all of it down, or nothing; it outlives the machine's next power cut. Nothing is written if the fence does not hold any
    /// more, where there is one. `before` is called before it counts.
    pub(in crate::outbox) fn note(&self, notes: &Notes<'_>, fence: Option<&Fence>, before: impl FnOnce()) -> Done<()> {
        match self {
            Self::Sqlite(session) => {
                debug_assert!(fence.is_none(), "a file is held by its lock");
                let change = self.change()?;
                one_by_one(session, notes)?;
                before();
                change.commit()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => {
                before();
                // Without one nobody knows whose it is.
                session.note(notes, fence.ok_or(Fault::Lost)?)
            }
        }
    }
}

/// A file is near: each message is a few statements.
fn one_by_one(session: &sqlite::Session, &Notes { campaign, account, attempts }: &Notes<'_>) -> Done<()> {
    let becomes = |outcome: Outcome, position: i64| {
        let sql = "UPDATE message SET state = ? WHERE campaign = ? AND position = ?";
        match session.run(sql, values![outcome.name(), campaign, position])? {
            1 => Ok(()),
            changed => Err(Fault::Changed(changed)),
        }
    };
    for &(position, attempt) in attempts {
        match attempt {
            Attempt::Begins { message_id, server, tls, slot, at } => {
                becomes(Outcome::Sending, position)?;
                let at = at.as_millisecond();
                session.run(
                    "INSERT INTO attempt (campaign, position, message_id, account, server, tls, slot, began, outcome)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'sending')",
                    values![campaign, position, message_id, account, server, tls, slot, at],
                )?;
                if let Some(slot) = slot {
                    session.run("DELETE FROM slot WHERE number = ?", values![slot])?;
                }
            }
            Attempt::Ends { outcome, code, said, at, put_off } => {
                match outcome {
                    // Its beginning may not have been written down, and need not be taken back then.
                    Outcome::Queued => {
                        session.run(
                            "UPDATE message SET state = 'queued' WHERE campaign = ? AND position = ? AND state = 'sending'",
                            values![campaign, position],
                        )?;
                    }
                    outcome => becomes(*outcome, position)?,
                }
                if let Some(PutOff { tries, since, due }) = put_off {
                    session.run(
                        "UPDATE message SET tries = ?, since = ?, due = ? WHERE campaign = ? AND position = ?",
                        values![tries, since.as_millisecond(), due.as_millisecond(), campaign, position],
                    )?;
                }
                let (code, enhanced) =
                    code.as_ref().map_or((None, None), |(code, enhanced)| (Some(*code), enhanced.as_ref()));
                session.run(
                    "UPDATE attempt SET outcome = ?, code = ?, enhanced = ?, said = ?, ended = ?
                     WHERE campaign = ? AND position = ? AND outcome = 'sending'",
                    values![outcome.name(), code, enhanced, said, at.as_millisecond(), campaign, position],
                )?;
            }
        }
    }
    Ok(())
}
