//! Several messages on the way at once, to a server with CHUNKING (RFC 3030) that an account says `window` for.
//!
//! Each message is one group of commands, written without waiting for the answers to the one before: RSET, MAIL, RCPT, and BDAT with
//! the content. RSET, so that whatever became of the message before, no recipient of it is left. When the line breaks, all that were
//! written are in doubt.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use super::{
    connect::{Ahead, Answer, Connection},
    outcome::{Fate, Happening, Stage},
    pace::Slot,
    run::Outgoing,
    seat::{Seat, written_down},
    transaction::{End, Parcel, Trouble},
};
use crate::{fault, outbox::Moment};

/// A message that is on the way.
struct Flight {
    outgoing: Outgoing,
    slot: Slot,
    /// Where its first octet is in what was written since the server last had nothing to answer, and where the one behind its last.
    start: usize,
    end: usize,
}

/// The commands for a message: RSET, MAIL, RCPT, BDAT.
const COMMANDS: usize = 4;

impl Seat {
    /// Sends a message, and others behind it as long as there are any, so many at once as the window has.
    pub(super) async fn deliver_window(&mut self, connection: &mut Connection, first: Outgoing, slot: Slot) {
        let run = Arc::clone(&self.run);
        if !connection.takes_chunks().await {
            slot.unused();
            return run.release(first);
        }
        let mut next = Some((first, slot));
        let mut flights = VecDeque::new();
        let mut end = 0;
        loop {
            let mut begun = Vec::new();
            while flights.len() + begun.len() < run.window.load(Ordering::Relaxed) {
                let under_way = flights.len() + begun.len();
                let following = match next.take() {
                    Some(first) => Some(first),
                    None if run.is_done(connection, under_way) => None,
                    None => run.following(connection, self.number).await,
                };
                let Some((outgoing, slot)) = following else { break };
                let since = Moment::now();
                let written = run.begin(&outgoing, connection, &slot);
                if let Some(why) = connection.refuses(&outgoing.parcel) {
                    slot.unused();
                    self.conclude(connection, outgoing, End::Impossible(why)).await;
                    continue;
                }
                begun.push((since, written, outgoing, slot));
            }
            let (mut group, under_way) = (String::new(), flights.len());
            if flights.is_empty() {
                end = 0;
            }
            for (since, begun, outgoing, slot) in begun {
                let written = written_down(begun).await;
                // A program that was paused has lost what it had.
                let late = run.outbox.is_late(since).then_some(End::TooLate);
                if let Some(end) = written.err().map(End::NotWritten).or(late) {
                    slot.unused();
                    self.conclude(connection, outgoing, end).await;
                    continue;
                }
                if slot.is_late() || outgoing.is_late() {
                    slot.unused();
                    run.release(outgoing);
                    continue;
                }
                let start = end + group.len();
                connection.add_group(&outgoing.parcel, &mut group);
                flights.push_back(Flight { outgoing, slot, start, end: end + group.len() });
            }
            self.settle().await;
            end += group.len();
            fault::point("begun");
            let replies = COMMANDS * (flights.len() - under_way);
            let Some(Flight { outgoing, slot, start, end }) = flights.pop_front() else { return };
            let first = match (group.is_empty(), under_way) {
                (true, _) => connection.hear(connection.deadlines.body()).await,
                (false, 0) => connection.ask(&group, replies, connection.deadlines.body()).await,
                (false, _) => connection.ask_further(&group, replies, connection.deadlines.body()).await,
            };
            let ended = connection.landed(first, start..end).await;
            count(slot, &ended);
            let is_counted = matches!(&ended, End::Trouble(trouble) if trouble.fate() == Fate::Lost);
            self.conclude(connection, outgoing, ended).await;
            if connection.is_lost {
                return self.give_up_flights(connection, flights, is_counted).await;
            }
        }
    }

    /// The line broke, which counts once. What was answered before that is known; the others may have been received.
    async fn give_up_flights(&mut self, connection: &mut Connection, flights: VecDeque<Flight>, mut is_counted: bool) {
        // It may be the server that cannot do it.
        let _ = self.run.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| Some((window / 2).max(1)));
        let mut is_readable = connection.is_half_closed;
        for Flight { outgoing, slot, start, end } in flights {
            let mut ended = if is_readable {
                let first = connection.hear(connection.deadlines.quit()).await;
                connection.landed(first, start..end).await
            } else {
                connection.broken(start..end, Happening::Closed, "the connection was lost".into())
            };
            if let End::Trouble(trouble) = &mut ended {
                is_readable &= trouble.fate() == Fate::Good;
                trouble.is_echo = is_counted;
                is_counted |= trouble.fate() == Fate::Lost;
            }
            is_readable &= !matches!(ended, End::NotBegun(_));
            count(slot, &ended);
            match ended {
                End::NotBegun(_) => self.run.release(outgoing),
                ended => self.conclude(connection, outgoing, ended).await,
            }
        }
    }
}

/// The right to begin counts, unless nothing was begun.
fn count(slot: Slot, end: &End) {
    match end {
        End::NotBegun(_) => slot.unused(),
        _ => drop(slot),
    }
}

impl Connection {
    /// Whether the server knows BDAT. One that does not would take content for commands, so it is asked before there is any: without
    /// a sender, that is out of order.
    async fn takes_chunks(&mut self) -> bool {
        if self.ahead == Ahead::Chunks {
            return true;
        }
        let knows = match self.say("BDAT 0\r\n").await {
            Answer::Yes(_) => true,
            Answer::No(reply) => matches!(reply.code(), 503 | 554),
            Answer::Lost(..) => false,
        };
        if knows {
            self.ahead = Ahead::Chunks;
        } else {
            self.no_longer_takes_chunks();
        }
        knows
    }

    /// Adds all commands for a message, with its content.
    fn add_group(&self, parcel: &Parcel, to: &mut String) {
        to.push_str("RSET\r\n");
        self.add_mail(parcel, to);
        let _ = write!(to, "RCPT TO:<{}>\r\nBDAT {} LAST\r\n", parcel.recipient(), parcel.size());
        to.push_str(parcel.message());
    }

    /// Reads the answers to a message on the way, behind the first one, which is there.
    async fn landed(&mut self, first: Answer, place: Range<usize>) -> End {
        let (mut answer, mut refusal, mut odd) = (first, None, None);
        for stage in [Stage::After, Stage::Mail, Stage::Rcpt] {
            match (stage, answer) {
                (_, Answer::Lost(happening, why)) => match refusal {
                    Some(refusal) => return self.ended(refusal),
                    None => return self.broken(place, happening, why),
                },
                (Stage::After, Answer::No(reply)) => {
                    odd.get_or_insert(Trouble::of(Stage::After, Answer::Yes(reply)));
                }
                (_, refused @ Answer::No(_)) => {
                    refusal.get_or_insert(Trouble::of(stage, refused));
                }
                (_, Answer::Yes(reply)) => {
                    if !stage.hopes_for(&reply) {
                        odd.get_or_insert(Trouble::of(stage, Answer::Yes(reply)));
                    }
                    self.is_open = stage != Stage::After;
                }
            }
            self.transactions += usize::from(stage == Stage::Mail);
            answer = self.hear(self.deadlines.body()).await;
        }
        fault::point("answered");
        match (answer, refusal, odd) {
            (Answer::Yes(reply), None, None) if Stage::Dot.hopes_for(&reply) => {
                self.is_open = false;
                End::Accepted(reply)
            }
            (Answer::Lost(happening, why), None, _) => self.broken(place, happening, why),
            // Something was no answer to what was asked, or it took what it had said that it would not.
            (Answer::Yes(_), _, Some(odd)) => self.ended(Trouble { stage: Stage::Dot, ..odd }),
            (Answer::No(_), _, Some(odd)) => self.ended(odd),
            (Answer::Yes(_), Some(refusal), None) => {
                let why = format!("the server took the message although it had said {}", refusal.why);
                self.ended(Trouble::broken(Stage::Dot, Happening::Garbage, why))
            }
            // It does not know the command, and what it takes the content for nobody knows.
            (Answer::No(reply), ..) if matches!(reply.code(), 500 | 502 | 504) => {
                self.no_longer_takes_chunks();
                self.ended(Trouble::broken(Stage::Body, Happening::Garbage, reply.to_string()))
            }
            (Answer::No(_) | Answer::Lost(..), Some(refusal), _) => self.ended(refusal),
            (answer, None, None) => self.ended(Trouble::of(Stage::Dot, answer)),
        }
    }

    fn ended(&mut self, trouble: Trouble) -> End {
        self.is_lost |= trouble.fate() == Fate::Lost;
        End::Trouble(trouble)
    }

    /// What becomes of a message on the way when the line breaks, by how much of it was handed to the network.
    fn broken(&mut self, place: Range<usize>, happening: Happening, why: String) -> End {
        self.is_lost = true;
        let written = self.record.written();
        if written <= place.start {
            return End::NotBegun(why);
        }
        let stage = if written >= place.end { Stage::Dot } else { Stage::Body };
        End::Trouble(Trouble::broken(stage, happening, why))
    }
}
