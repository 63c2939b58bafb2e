//! Several messages on the way at once, to a server with CHUNKING (RFC 3030) that an account says `window` for.
//!
//! Each message is one group of commands, written without waiting for the answers to the one before: RSET, MAIL, RCPT, and BDAT with
//! the content. RSET, so that whatever became of the message before, no recipient of it is left. When the line breaks, all that were
//! written are in doubt.

use std::{collections::VecDeque, fmt::Write as _, sync::Arc};

use super::{
    connect::{Answer, Connection},
    outcome::{Happening, Stage},
    pace::Slot,
    run::Outgoing,
    seat::{Seat, written_down},
    transaction::{End, Parcel, Trouble},
};
use crate::fault;

/// A message that is on the way.
struct Flight {
    outgoing: Outgoing,
    slot: Slot,
    /// Where its first octet is in what was written since the server last had nothing to answer, and where the one behind its last.
    start: usize,
    end: usize,
    /// How many commands it was.
    commands: usize,
}

impl Seat {
    /// Sends a message, and others behind it as long as there are any, so many at once as the window has.
    pub(super) async fn deliver_window(&mut self, connection: &mut Connection, first: Outgoing, slot: Slot) {
        let run = Arc::clone(&self.run);
        let mut next = Some((first, slot));
        let mut flights = VecDeque::new();
        let mut end = 0;
        loop {
            let mut begun = Vec::new();
            while flights.len() + begun.len() < run.window {
                let under_way = flights.len() + begun.len();
                let following = match next.take() {
                    Some(first) => Some(first),
                    None if connection.transactions + under_way >= run.most_messages => None,
                    None => run.following(connection, self.number).await,
                };
                let Some((outgoing, slot)) = following else { break };
                if let Some(why) = connection.refuses(&outgoing.parcel) {
                    slot.unused();
                    self.conclude(connection, outgoing, End::Impossible(why)).await;
                    continue;
                }
                let is_first = connection.transactions + under_way == 0;
                begun.push((run.begin(&outgoing, connection, &slot), outgoing, slot, is_first));
            }
            let (mut group, mut replies) = (String::new(), 0);
            if flights.is_empty() {
                end = 0;
            }
            for (begun, outgoing, slot, is_first) in begun {
                if let Err(why) = written_down(begun).await {
                    slot.unused();
                    self.conclude(connection, outgoing, End::NotWritten(why)).await;
                    continue;
                }
                let start = end + group.len();
                let commands = connection.add_group(&outgoing.parcel, is_first, &mut group);
                replies += commands;
                flights.push_back(Flight { outgoing, slot, start, end: end + group.len(), commands });
            }
            self.settle().await;
            end += group.len();
            fault::point("begun");
            let is_alone = flights.iter().map(|flight| flight.commands).sum::<usize>() == replies;
            let Some(flight) = flights.pop_front() else { return };
            let first = match (group.is_empty(), is_alone) {
                (true, _) => connection.hear(connection.deadlines.body()).await,
                (false, true) => connection.ask(&group, replies, connection.deadlines.body()).await,
                (false, false) => connection.ask_further(&group, replies, connection.deadlines.body()).await,
            };
            let Flight { outgoing, slot, start, end, commands } = flight;
            let ended = connection.landed(first, commands, start..end, slot).await;
            self.conclude(connection, outgoing, ended).await;
            if connection.is_lost {
                for Flight { outgoing, slot, start, end, .. } in flights.drain(..) {
                    let lost = connection.broken(start..end, Happening::Closed, "the connection was lost".into());
                    match lost {
                        End::NotBegun(_) => slot.unused(),
                        _ => drop(slot),
                    }
                    self.conclude(connection, outgoing, lost).await;
                }
                return;
            }
        }
    }
}

impl Connection {
    /// Adds all commands for a message, with its content; gives how many these are.
    fn add_group(&self, parcel: &Parcel, is_first: bool, to: &mut String) -> usize {
        if !is_first {
            to.push_str("RSET\r\n");
        }
        self.add_mail(parcel, to);
        let _ = write!(to, "RCPT TO:<{}>\r\nBDAT {} LAST\r\n", parcel.recipient(), parcel.size());
        to.push_str(parcel.message());
        if is_first { 3 } else { 4 }
    }

    /// Reads the answers to a message on the way, behind the first one, which is there.
    async fn landed(&mut self, first: Answer, commands: usize, place: std::ops::Range<usize>, slot: Slot) -> End {
        let mut answers = vec![first];
        while answers.len() < commands && !matches!(answers.last(), Some(Answer::Lost(..))) {
            let answer = self.hear(self.deadlines.body()).await;
            answers.push(answer);
        }
        fault::point("answered");
        if let (1, Some(Answer::Lost(happening, why))) = (answers.len(), answers.last()) {
            let end = self.broken(place, *happening, why.clone());
            match end {
                End::NotBegun(_) => slot.unused(),
                _ => drop(slot),
            }
            return end;
        }
        drop(slot);
        self.transactions += 1;
        // What comes behind is the answer to something else than to RSET, which is always hoped for.
        let reset = (commands == 4).then(|| answers.remove(0));
        let is_refused = |answer: Option<&Answer>| matches!(answer, Some(Answer::No(_)));
        let is_good = |answer: &Answer| matches!(answer, Answer::Yes(reply) if reply.code() < 300);
        let content = if answers.len() == 3 { answers.pop() } else { None };
        let before = [Stage::Mail, Stage::Rcpt].into_iter().zip(answers);
        let (refused, passed): (Vec<_>, Vec<_>) = before.partition(|(_, answer)| is_refused(Some(answer)));
        self.is_open = passed.first().is_some_and(|(stage, _)| *stage == Stage::Mail);
        let trouble = match (refused.into_iter().next(), content) {
            // It took a message of which it had said that it would not, or something odd was said.
            (Some(_), Some(Answer::Yes(reply))) => Trouble::of(Stage::Dot, Answer::Yes(reply)),
            (None, Some(Answer::Yes(reply))) => {
                let is_fine = reply.code() < 300 && passed.iter().all(|(_, answer)| is_good(answer));
                if is_fine && reset.as_ref().is_none_or(is_good) {
                    self.is_open = false;
                    return End::Accepted(reply);
                }
                Trouble::of(Stage::Dot, Answer::Yes(reply))
            }
            (Some((stage, answer)), _) => Trouble::of(stage, answer),
            (None, Some(Answer::No(reply))) => Trouble::of(Stage::Dot, Answer::No(reply)),
            (None, Some(Answer::Lost(happening, why))) => return self.broken(place, happening, why),
            (None, None) => {
                let why = "the connection was lost before the answer to the message";
                return self.broken(place, Happening::Closed, why.into());
            }
        };
        self.is_lost |= trouble.fate() == super::outcome::Fate::Lost;
        End::Trouble(trouble)
    }

    /// What becomes of a message on the way when the line breaks, by how much of it was handed to the network.
    fn broken(&mut self, place: std::ops::Range<usize>, happening: Happening, why: String) -> End {
        self.is_lost = true;
        let written = self.record.written();
        if written <= place.start {
            return End::NotBegun(why);
        }
        let stage = if written >= place.end { Stage::Dot } else { Stage::Body };
        End::Trouble(Trouble { stage, happening, reply: None, why })
    }
}
