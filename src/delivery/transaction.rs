//! Mail transactions (RFC 5321 §3.3): each of one MAIL, one RCPT, one message.
//!
//! Where the server offers PIPELINING (RFC 2920), an envelope is one write, and that of the next message goes with the content of
//! this one: one round trip a message. Elsewhere each command waits for the answer to the one before.

use std::fmt::Write as _;

use super::{
    Reply,
    connect::{Ahead, Answer, Connection},
    offer::Extension,
    outcome::{Course, Fate, Happening, Stage},
    pace::Slot,
};
use crate::{address::Address, fault, message::Envelope};

/// What a message ended with.
#[derive(Debug)]
pub(super) enum End {
    /// The server has taken it over.
    Accepted(Reply),
    /// Something happened in place of that.
    Trouble(Trouble),
    /// The server cannot be asked to take it.
    Impossible(String),
    /// The connection turned out to be closed before anything of the transaction was written, or the server cannot be spoken to
    /// as it offers.
    NotBegun(String),
    /// What is about to be sent could not be written down; nothing of it was.
    NotWritten(String),
    /// That was written down so late that it may not be gone by; nothing of it was sent.
    TooLate,
}

/// Something that happened to a message.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) stage: Stage,
    pub(super) happening: Happening,
    pub(super) reply: Option<Reply>,
    pub(super) why: String,
    /// Whether the connection was lost with another message, which counts.
    pub(super) is_echo: bool,
}

impl Trouble {
    /// The connection broke.
    pub(super) fn broken(stage: Stage, happening: Happening, why: String) -> Self {
        Self { stage, happening, reply: None, why, is_echo: false }
    }

    pub(super) fn of(stage: Stage, answer: Answer) -> Self {
        match answer {
            Answer::No(reply) => {
                let (happening, why) = (Happening::of(&reply), reply.to_string());
                Self { reply: Some(reply), ..Self::broken(stage, happening, why) }
            }
            Answer::Yes(reply) => {
                let why = format!("the server answered {} with {reply}", stage.command());
                Self::broken(stage, Happening::Garbage, why)
            }
            Answer::Lost(happening, why) => Self::broken(stage, happening, why),
        }
    }

    /// Whether the server is asked too much: by the table, or by what it says.
    pub(super) fn asks_for_less(&self) -> bool {
        let by_table = self.stage.consequence(self.happening).run == Course::Slower;
        self.reply.as_ref().is_some_and(|reply| by_table || reply.asks_to_slow_down())
    }

    /// Whether the server closes a connection that has taken some messages, and does not say that it is asked too much: Exim, for
    /// one, takes so many over each. This is the last of so many transactions.
    pub(super) fn is_used_up(&self, transactions: usize) -> bool {
        let is_plain = self.reply.as_ref().is_none_or(|reply| reply.enhanced().is_none());
        let closes = matches!(self.happening, Happening::Closing | Happening::Closed);
        self.stage == Stage::Mail && closes && is_plain && transactions > 1
    }

    /// Whether the connection is good for another message.
    pub(super) fn fate(&self) -> Fate {
        self.stage.consequence(self.happening).connection
    }
}

impl Stage {
    /// Whether a reply is what is hoped for.
    pub(super) fn hopes_for(self, reply: &Reply) -> bool {
        if self == Self::Data { reply.code() == 354 } else { reply.code() < 300 }
    }

    /// Whether something is said that is neither what is hoped for nor a refusal.
    fn is_odd(self, answer: &Answer) -> bool {
        matches!(answer, Answer::Yes(reply) if !self.hopes_for(reply))
    }

    fn command(self) -> &'static str {
        match self {
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::After => "RSET",
            _ => "the message",
        }
    }
}

/// What is asked before a message is sent, and the message.
#[derive(Debug)]
pub(super) struct Parcel {
    mail: String,
    rcpt: String,
    /// The message itself
    message: String,
    /// Whether anything of it is not ASCII
    needs_smtputf8: bool,
}

impl Parcel {
    /// The bytes are UTF-8, nearly always ASCII, and end with CRLF: [`Message`](crate::message::Message) sees to it.
    pub(super) fn of(envelope: &Envelope, bytes: Vec<u8>) -> Self {
        let message = String::from_utf8(bytes);
        let message = message.unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned());
        Self {
            mail: envelope.from().as_str().to_owned(),
            rcpt: envelope.to().as_str().to_owned(),
            needs_smtputf8: envelope.needs_smtputf8() || !message.is_ascii(),
            message,
        }
    }

    /// Its octets (RFC 1870 §5).
    pub(super) fn size(&self) -> u64 {
        self.message.len() as u64
    }

    pub(super) fn recipient(&self) -> &str {
        &self.rcpt
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// RCPT and DATA
    fn add_recipient(&self, to: &mut String) {
        let _ = write!(to, "RCPT TO:<{}>\r\nDATA\r\n", self.rcpt);
    }

    /// Adds the message, with another dot in front of each at the beginning of a line, and the final dot (RFC 5321 §4.5.2).
    fn add_content(&self, to: &mut String) {
        let message = self.message.as_str();
        let mut copied = 0;
        let starts = memchr::memmem::find_iter(message.as_bytes(), b"\n.").map(|at| at + 1);
        for start in message.starts_with('.').then_some(0).into_iter().chain(starts) {
            to.push_str(&message[copied..start]);
            to.push('.');
            copied = start;
        }
        to.push_str(&message[copied..]);
        to.push_str(".\r\n");
    }
}

impl Connection {
    /// Why this server cannot be asked to take a message, if it cannot.
    pub(super) fn refuses(&self, parcel: &Parcel) -> Option<String> {
        if parcel.needs_smtputf8 && !self.offer.has(Extension::SmtpUtf8) {
            let why = "the address has letters that only a server with SMTPUTF8 takes, and this one does not offer it";
            return Some(why.into());
        }
        let most = self.offer.size.filter(|most| parcel.size() > *most)?;
        Some(format!("the message has {} bytes, and the server takes {most}", parcel.size()))
    }

    /// RFC 6531 §3.4, RFC 1870 §5
    pub(super) fn add_mail(&self, parcel: &Parcel, to: &mut String) {
        self.add_sender(&parcel.mail, parcel.needs_smtputf8, Some(parcel.size()), to);
    }

    /// MAIL, of a message whose size may not be known.
    fn add_sender(&self, from: &str, needs_smtputf8: bool, size: Option<u64>, to: &mut String) {
        let _ = write!(to, "MAIL FROM:<{from}>");
        if needs_smtputf8 {
            to.push_str(" BODY=8BITMIME SMTPUTF8");
        }
        if let Some(size) = size.filter(|_| self.offer.size.is_some()) {
            let _ = write!(to, " SIZE={size}");
        }
        to.push_str("\r\n");
    }

    /// Asks whether mail would be taken from an address, and for the same address; takes it back, and nothing is sent. Why it cannot
    /// be asked is in the error.
    pub(super) async fn rehearse(
        &mut self,
        from: &Address,
        size: Option<u64>,
    ) -> Result<(Answer, Option<Answer>), String> {
        if from.needs_smtputf8() && !self.offer.has(Extension::SmtpUtf8) {
            return Err("the address has letters that only a server with SMTPUTF8 takes".into());
        }
        let mut mail = String::new();
        self.add_sender(from.as_str(), from.needs_smtputf8(), size, &mut mail);
        let mail = self.say(&mail).await;
        let rcpt = match &mail {
            Answer::Yes(reply) if Stage::Mail.hopes_for(reply) => {
                Some(self.say(&format!("RCPT TO:<{}>\r\n", from.as_str())).await)
            }
            _ => None,
        };
        if !self.is_lost {
            let _ = self.say("RSET\r\n").await;
        }
        Ok((mail, rcpt))
    }

    /// MAIL, RCPT and DATA in one write.
    fn add_envelope(&self, parcel: &Parcel, to: &mut String) {
        self.add_mail(parcel, to);
        parcel.add_recipient(to);
    }

    /// Asks the server to take a message. `slot` is the right to begin; it counts from the answer to MAIL.
    pub(super) async fn open(&mut self, parcel: &Parcel, slot: Slot) -> Result<(), End> {
        if std::mem::take(&mut self.is_open)
            && let trouble @ (Answer::Lost(..) | Answer::No(_)) = self.say("RSET\r\n").await
        {
            slot.unused();
            self.is_lost = true;
            return Err(End::NotBegun(Trouble::of(Stage::After, trouble).why));
        }
        let mut group = String::new();
        if self.pipelines() {
            self.add_envelope(parcel, &mut group);
            return match self.begin(&group, 3, slot).await {
                Ok(mail) => self.opened_after(mail, None).await,
                Err(end) => Err(end),
            };
        }
        self.add_mail(parcel, &mut group);
        let mail = self.begin(&group, 1, slot).await?;
        self.passed(Stage::Mail, mail)?;
        self.is_open = true;
        let rcpt = self.say(&format!("RCPT TO:<{}>\r\n", parcel.rcpt)).await;
        self.passed(Stage::Rcpt, rcpt)?;
        fault::point("rcpt");
        let data = self.ask("DATA\r\n", 1, self.deadlines.data()).await;
        self.passed(Stage::Data, data)?;
        fault::point("data");
        Ok(())
    }

    /// Writes what begins with MAIL, and gives its answer.
    async fn begin(&mut self, commands: &str, replies: usize, slot: Slot) -> Result<Answer, End> {
        let opened = self.ask(commands, replies, self.deadlines.command()).await;
        if let Answer::Lost(_, why) = &opened
            && self.record.written() == 0
        {
            slot.unused();
            return Err(End::NotBegun(why.clone()));
        }
        fault::point("mail");
        drop(slot);
        self.transactions += 1;
        Ok(opened)
    }

    /// Reads the answers to an envelope that went with the content before, and sends what is left of it.
    pub(super) async fn opened(&mut self, parcel: &Parcel, slot: Slot) -> Result<(), End> {
        let is_trial = self.ahead == Ahead::Tried;
        let mail = self.hear(self.deadlines.command()).await;
        fault::point("mail");
        drop(slot);
        if let Answer::Lost(Happening::Closed, why) = mail {
            // It takes one message over a connection, and the next one is not asked about with it any more.
            self.no_longer_goes_ahead();
            return Err(End::NotBegun(why));
        }
        if matches!(&mail, Answer::No(reply) if reply.code() == 503) {
            self.no_longer_goes_ahead();
            // Whatever it says to what came behind MAIL is about something else.
            self.is_lost |= !is_trial;
            return Err(End::NotBegun("the server takes each message by itself".into()));
        }
        self.transactions += 1;
        if !is_trial {
            return self.opened_after(mail, None).await;
        }
        self.ahead = Ahead::Unknown;
        self.passed(Stage::Mail, mail.clone())?;
        self.ahead = Ahead::Taken;
        let mut rest = String::new();
        parcel.add_recipient(&mut rest);
        self.opened_after(mail, Some(&rest)).await
    }

    /// The same once MAIL is answered; `rest` is what is still to be sent. All answers are read before it is known what they come to.
    async fn opened_after(&mut self, mail: Answer, rest: Option<&str>) -> Result<(), End> {
        if let Answer::Lost(..) = mail {
            return self.passed(Stage::Mail, mail);
        }
        let rcpt = match rest {
            Some(rest) => self.ask(rest, 2, self.deadlines.command()).await,
            None => self.hear(self.deadlines.command()).await,
        };
        let data = match rcpt {
            // It may have been closed since MAIL was refused.
            Answer::Lost(..) => {
                self.is_lost = true;
                return self.passed(Stage::Mail, mail).and_then(|()| self.passed(Stage::Rcpt, rcpt));
            }
            _ => self.hear(self.deadlines.data()).await,
        };
        fault::point("rcpt");
        self.is_open = matches!(&mail, Answer::Yes(_));
        let may_come = matches!(&data, Answer::Yes(reply) if Stage::Data.hopes_for(reply));
        let has_recipient = matches!(&rcpt, Answer::Yes(_));
        // An answer that is none to this command, and the others are not what they seem.
        let answers = [(Stage::Mail, mail), (Stage::Rcpt, rcpt), (Stage::Data, data)];
        if answers.iter().any(|(stage, answer)| stage.is_odd(answer)) {
            let odd = answers.into_iter().find(|(stage, answer)| stage.is_odd(answer));
            return odd.map_or(Ok(()), |(stage, answer)| self.passed(stage, answer));
        }
        let [(_, mail), (_, rcpt), (_, data)] = answers;
        // Out of order though it is not: it cannot take commands together.
        let is_confused = |answer: &Answer| matches!(answer, Answer::No(reply) if reply.code() == 503);
        let confused = self.is_open && (is_confused(&rcpt) || matches!(&rcpt, Answer::Yes(_)) && is_confused(&data));
        if confused {
            self.no_longer_pipelines();
            return Err(End::NotBegun("the server offers PIPELINING and cannot do it".into()));
        }
        let passed = match (self.passed(Stage::Mail, mail), self.passed(Stage::Rcpt, rcpt)) {
            (Err(end), _) | (Ok(()), Err(end)) => Err(end),
            (Ok(()), Ok(())) => return self.passed(Stage::Data, data).inspect(|()| fault::point("data")),
        };
        if may_come && has_recipient {
            // Whatever came now would go to somebody.
            self.is_lost = true;
        } else if may_come {
            // RFC 2920 §3.1: without a recipient, the content is empty.
            self.say(".\r\n").await;
        }
        passed
    }

    /// Whether the answer at a stage is the one that is hoped for.
    fn passed(&mut self, stage: Stage, answer: Answer) -> Result<(), End> {
        if matches!(&answer, Answer::Yes(_)) && !stage.is_odd(&answer) {
            return Ok(());
        }
        let trouble = Trouble::of(stage, answer);
        self.is_lost |= trouble.fate() == Fate::Lost;
        Err(End::Trouble(trouble))
    }

    /// Sends a message that the server has agreed to take, and behind it the envelope of the next one, if there is one, as far as
    /// it is known that the server can take it. What was begun must be written down: from now on the server can come to have it.
    pub(super) async fn finish(&mut self, parcel: &Parcel, next: Option<&Parcel>) -> End {
        let mut group = String::with_capacity(parcel.message.len() + parcel.message.len() / 64 + 512);
        parcel.add_content(&mut group);
        let length = group.len();
        let replies = match next {
            None => 1,
            Some(next) if self.is_known_to_go_ahead() => {
                self.add_envelope(next, &mut group);
                4
            }
            // Just MAIL, until it is known that the server can do that.
            Some(next) => {
                self.ahead = Ahead::Tried;
                self.add_mail(next, &mut group);
                2
            }
        };
        let answer = self.ask(&group, replies, self.deadlines.body()).await;
        fault::point("answered");
        self.is_open = false;
        match answer {
            Answer::Yes(reply) if Stage::Dot.hopes_for(&reply) => End::Accepted(reply),
            answer => {
                // The server has the end of the message only if all of it was handed to the network.
                let is_whole = self.record.written() >= length;
                let stage = if is_whole || matches!(answer, Answer::No(_)) { Stage::Dot } else { Stage::Body };
                let trouble = Trouble::of(stage, answer);
                self.is_lost |= trouble.fate() == Fate::Lost;
                End::Trouble(trouble)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_a_dot_get_another() {
        let address: Address = "ada@one.example".parse().unwrap();
        let envelope = Envelope::new(address.clone(), address);
        let content = |text: &str| {
            let mut content = String::new();
            Parcel::of(&envelope, text.into()).add_content(&mut content);
            content
        };
        assert_eq!(content("a\r\n.\r\n..b\r\n.c.\r\n"), "a\r\n..\r\n...b\r\n..c.\r\n.\r\n");
        assert_eq!(content(".\r\n"), "..\r\n.\r\n");
        assert_eq!(content("To: <jörg@one.example>\r\n"), "To: <jörg@one.example>\r\n.\r\n");
    }
}
