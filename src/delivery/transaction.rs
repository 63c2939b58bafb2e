//! One mail transaction (RFC 5321 §3.3): one MAIL, one RCPT, one message.

use std::fmt;

use lettre::transport::smtp::commands::{Data, Rset};

use super::written_down;
use super::{
    Reply,
    connect::{Answer, Connection},
    pace::Slot,
};
use crate::{fault, message::Envelope, outbox::Written};

/// What a transaction ended with, and whether the connection is good for another.
pub(super) struct Verdict {
    pub(super) end: End,
    pub(super) connection: Fate,
}

/// What a transaction ended with.
pub(super) enum End {
    /// The server has taken the message over.
    Accepted(Reply),
    /// The server will not take it: for good, or for now.
    Refused(Reply),
    /// The server will not take anything from this sender.
    SenderRefused(Reply),
    /// The server cannot be asked to take it.
    Impossible(String),
    /// The connection turned out to be closed before anything of the transaction was written.
    NotBegun(String),
    /// The connection ended, and the server cannot have the whole message.
    NotSent(String),
    /// What is about to be sent could not be written down; nothing of it was.
    NotWritten(String),
    /// The connection ended between the final dot and its answer.
    Unknown(String),
}

/// Whether a connection is good for another transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Good,
    Lost,
}

/// The body and the final dot, dot-stuffed (RFC 5321 §4.5.2), as one command.
struct Content {
    written: String,
    /// Octets of the message itself (RFC 1870 §5)
    size: u64,
}

impl Content {
    /// The bytes are UTF-8, nearly always ASCII, and end with CRLF: [`Message`](crate::message::Message) sees to it.
    fn of(bytes: &[u8]) -> Self {
        let mut content = String::with_capacity(bytes.len() + bytes.len() / 50 + 8);
        for line in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            if line.starts_with('.') {
                content.push('.');
            }
            content.push_str(line);
        }
        content.push_str(".\r\n");
        Self { written: content, size: bytes.len() as u64 }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Connection {
    /// Sends one message to the one recipient of its envelope. `slot` is the right to begin; it counts from the
    /// answer to MAIL. The content is written once it is written down that the message was `begun`: only from then on
    /// can the server come to have it.
    pub(super) async fn transact(
        &mut self,
        envelope: &Envelope,
        content: &[u8],
        slot: Slot,
        begun: Written,
    ) -> Verdict {
        let command = self.deadlines.command();
        let ascii = content.is_ascii() && !envelope.needs_smtputf8();
        if !ascii && !self.smtputf8 {
            slot.unused();
            let why = "the address has letters that only a server with SMTPUTF8 takes, and this one does not offer it";
            return Verdict::good(End::Impossible(why.into()));
        }
        let content = Content::of(content);
        if let Some(most) = self.size.filter(|most| content.size > *most) {
            slot.unused();
            let size = content.size;
            return Verdict::good(End::Impossible(format!(
                "the message has {size} bytes, and the server takes {most}"
            )));
        }
        // RFC 6531 §3.4, RFC 1870 §5
        let mut parameters = if ascii { String::new() } else { " BODY=8BITMIME SMTPUTF8".to_owned() };
        if self.size.is_some() {
            parameters.push_str(&format!(" SIZE={}", content.size));
        }
        let opened = self.command(format!("MAIL FROM:<{}>{parameters}\r\n", envelope.from().as_str()), command).await;
        if let Answer::Lost(why) = &opened
            && self.record.written() == 0
        {
            slot.unused();
            return Verdict { end: End::NotBegun(why.clone()), connection: Fate::Lost };
        }
        fault::point("mail");
        drop(slot);
        self.transactions += 1;
        match opened {
            Answer::Yes(reply) if reply.code() < 300 => {}
            Answer::Yes(reply) => return lost(format!("the server answered MAIL with {reply}")),
            Answer::No(reply) if reply.is_closing() => return lost(reply.to_string()),
            Answer::No(reply) if reply.is_permanent() => return Verdict::good(End::SenderRefused(reply)),
            Answer::No(reply) => return Verdict::good(End::Refused(reply)),
            Answer::Lost(why) => return lost(why),
        }
        match self.command(format!("RCPT TO:<{}>\r\n", envelope.to().as_str()), command).await {
            Answer::Yes(reply) if reply.code() < 300 => {}
            Answer::Yes(reply) => return lost(format!("the server answered RCPT with {reply}")),
            Answer::No(reply) => return self.refused(reply).await,
            Answer::Lost(why) => return lost(why),
        }
        fault::point("rcpt");
        match self.command(Data, self.deadlines.data()).await {
            Answer::Yes(reply) if reply.code() == 354 => {}
            Answer::Yes(reply) => return lost(format!("the server answered DATA with {reply}")),
            Answer::No(reply) => return self.refused(reply).await,
            Answer::Lost(why) => return lost(why),
        }
        fault::point("data");
        if let Err(why) = written_down(begun).await {
            // A message without its end is none.
            return Verdict { end: End::NotWritten(why), connection: Fate::Lost };
        }
        fault::point("begun");
        let length = content.written.len();
        let answer = self.command(content, self.deadlines.body()).await;
        fault::point("answered");
        match answer {
            Answer::Yes(reply) if reply.code() < 300 => Verdict::good(End::Accepted(reply)),
            Answer::Yes(reply) => unknown(format!("the server answered the message with {reply}")),
            Answer::No(reply) => {
                let connection = if reply.is_closing() { Fate::Lost } else { Fate::Good };
                Verdict { end: End::Refused(reply), connection }
            }
            // The server has the end of the message only if all of it was handed to the network.
            Answer::Lost(why) if self.record.written() < length => lost(why),
            Answer::Lost(why) => unknown(why),
        }
    }

    /// A refusal within a transaction; the next one begins from nothing.
    async fn refused(&mut self, reply: Reply) -> Verdict {
        if reply.is_closing() {
            return lost(reply.to_string());
        }
        let reset = self.command(Rset, self.deadlines.command()).await;
        let connection = if matches!(reset, Answer::Yes(_)) { Fate::Good } else { Fate::Lost };
        Verdict { end: End::Refused(reply), connection }
    }
}

impl Verdict {
    fn good(end: End) -> Self {
        Self { end, connection: Fate::Good }
    }
}

fn lost(why: String) -> Verdict {
    Verdict { end: End::NotSent(why), connection: Fate::Lost }
}

fn unknown(why: String) -> Verdict {
    Verdict { end: End::Unknown(why), connection: Fate::Lost }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_a_dot_get_another() {
        assert_eq!(Content::of(b"a\r\n.\r\n..b\r\n.c.\r\n").written, "a\r\n..\r\n...b\r\n..c.\r\n.\r\n");
        assert_eq!(Content::of(b".\r\n").written, "..\r\n.\r\n");
        assert_eq!(Content::of("To: <jörg@one.example>\r\n".as_bytes()).written, "To: <jörg@one.example>\r\n.\r\n");
    }
}
