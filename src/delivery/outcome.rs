//! One table: what becomes of a message, of its connection and of the run, whatever happens at whatever stage.
//!
//! `docs/delivery.md` shows it to people; a test compares the two.

use super::{Reply, StopReason};

/// How far a connection, and the message on it, has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// TCP, the greeting, EHLO.
    Connect,
    /// STARTTLS and the handshake.
    Tls,
    /// AUTH.
    Login,
    /// The sender.
    Mail,
    /// The recipient.
    Rcpt,
    /// Whether the content may come.
    Data,
    /// The content, up to its last octet.
    Body,
    /// From the last octet of the final dot to its answer.
    Dot,
    /// RSET and QUIT: no message is under way.
    After,
}

/// What can happen in place of the answer that is hoped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A reply from 400 to 499, but 421.
    Temporary,
    /// A reply from 500 to 599.
    Permanent,
    /// 421: the server closes the connection.
    Closing,
    /// The connection ends.
    Closed,
    /// There is no answer in time.
    Late,
    /// Something that is no answer to this.
    Garbage,
}

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// None is under way, or it is over already.
    Untouched,
    /// It goes again over the next connection; the third time it is put off.
    Queued,
    /// It is put off: it goes again later.
    Deferred,
    /// It does not go again unless somebody says so.
    Failed,
    /// Only the server knows.
    InDoubt,
}

/// Whether a connection is good for another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is.
    Good,
    /// It is closed, and another one is opened.
    Lost,
}

/// What becomes of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It goes on.
    GoesOn,
    /// It goes on with fewer connections where the server wants fewer, and more slowly where it wants less.
    Slower,
    /// It goes on if a connection is to be had, and ends if there is none any more.
    IfConnected,
    /// It ends, with the reason.
    Ends,
}

/// What follows from something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consequence {
    /// For the message.
    pub message: Becomes,
    /// For the connection.
    pub connection: Fate,
    /// For the run.
    pub run: Course,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 9] =
        [Self::Connect, Self::Tls, Self::Login, Self::Mail, Self::Rcpt, Self::Data, Self::Body, Self::Dot, Self::After];

    /// What follows when something happens at this stage.
    #[must_use]
    pub fn consequence(self, happening: Happening) -> Consequence {
        use Becomes::{Deferred, Failed, InDoubt, Queued, Untouched};
        use Course::{Ends, GoesOn, IfConnected, Slower};
        use Fate::{Good, Lost};
        use Happening::{Closed, Closing, Garbage, Late, Permanent, Temporary};
        let (message, connection, run) = match (self, happening) {
            (Self::Connect, Temporary | Permanent | Closing) | (Self::Tls | Self::Login, Closing) => {
                (Untouched, Lost, Slower)
            }
            (Self::Connect | Self::Tls | Self::Login, Closed | Late)
            | (Self::Connect | Self::Login, Garbage)
            | (Self::Login, Temporary) => (Untouched, Lost, IfConnected),
            (Self::Tls, Temporary | Permanent | Garbage) | (Self::Login, Permanent) => (Untouched, Lost, Ends),
            (Self::Mail, Temporary) => (Deferred, Good, Slower),
            (Self::Mail, Permanent) => (Queued, Good, Ends),
            (Self::Rcpt | Self::Data | Self::Dot, Temporary) => (Deferred, Good, GoesOn),
            (Self::Rcpt | Self::Data | Self::Dot, Permanent) => (Failed, Good, GoesOn),
            (Self::Mail | Self::Rcpt | Self::Data, Closing) => (Queued, Lost, Slower),
            (Self::Mail | Self::Rcpt | Self::Data, Closed | Late | Garbage) | (Self::Body, _) => {
                (Queued, Lost, IfConnected)
            }
            (Self::Dot, Closing) => (Deferred, Lost, Slower),
            (Self::Dot, Closed | Late | Garbage) => (InDoubt, Lost, IfConnected),
            (Self::After, _) => (Untouched, Lost, GoesOn),
        };
        Consequence { message, connection, run }
    }
}

impl Happening {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Temporary, Self::Permanent, Self::Closing, Self::Closed, Self::Late, Self::Garbage];

    /// What a refusal is.
    #[must_use]
    pub fn of(refusal: &Reply) -> Self {
        match refusal {
            closing if closing.is_closing() => Self::Closing,
            permanent if permanent.is_permanent() => Self::Permanent,
            _ => Self::Temporary,
        }
    }
}

impl StopReason {
    /// What the table says of a connection that is not to be had.
    pub(super) fn course(&self) -> Course {
        let (stage, happening) = match self {
            Self::Unavailable(_) => (Stage::Connect, Happening::Temporary),
            Self::Insecure { .. } => (Stage::Tls, Happening::Garbage),
            Self::LoginUnavailable(_) => (Stage::Login, Happening::Temporary),
            Self::NoSecret(why) if why.is_passing => (Stage::Login, Happening::Temporary),
            // The account could be locked, or this is what an attacker waits for.
            Self::LoginRefused(_) | Self::NoLogin(_) | Self::NoSecret(_) | Self::NoRecord { .. } => {
                (Stage::Login, Happening::Permanent)
            }
            _ => (Stage::Connect, Happening::Closed),
        };
        stage.consequence(happening).run
    }
}

impl Reply {
    /// Whether the server says that it is asked too much: by its enhanced code (RFC 3463 §3.4 and §3.8, and as the large
    /// providers use 4.7.x), or in words where there is none.
    #[must_use]
    pub fn asks_to_slow_down(&self) -> bool {
        if self.is_permanent() || self.code() < 400 {
            return false;
        }
        let words = self.text().to_ascii_lowercase();
        matches!(self.enhanced(), Some("4.3.2" | "4.4.5" | "4.7.28" | "4.2.1"))
            || ["too many", "rate limit", "rate exceeded", "sending rate", "throttl", "slow down", "concurrent"]
                .iter()
                .any(|hint| words.contains(hint))
    }

    /// Whether what is refused is this message and not its sender: it is too large (RFC 1870 §6.1, RFC 3463 §3.4), which
    /// servers can say with their answer to MAIL.
    #[must_use]
    pub fn is_about_size(&self) -> bool {
        self.code() == 552 || matches!(self.enhanced(), Some("5.3.4" | "5.2.3"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_cannot_have_goes_again_by_itself() {
        for (stage, happening) in Stage::ALL.into_iter().flat_map(|stage| Happening::ALL.map(|what| (stage, what))) {
            let Consequence { message, connection, .. } = stage.consequence(happening);
            let is_refusal = matches!(happening, Happening::Temporary | Happening::Permanent | Happening::Closing);
            match message {
                Becomes::InDoubt => assert!(stage == Stage::Dot && !is_refusal),
                Becomes::Queued => assert!(stage != Stage::Dot),
                Becomes::Deferred | Becomes::Failed => assert!(is_refusal),
                Becomes::Untouched => {
                    assert!(!matches!(stage, Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Body | Stage::Dot));
                }
            }
            assert!(is_refusal || connection == Fate::Lost, "what is not understood is not gone on with");
        }
    }

    #[test]
    fn a_server_that_is_asked_too_much_says_so_in_many_words() {
        let slow = |text: &str| Reply::parse(format!("{text}\r\n").as_bytes()).unwrap().asks_to_slow_down();
        for text in [
            "432 4.3.2 Concurrent connections limit exceeded",
            "421 4.3.2 Service not available",
            "454 Throttling failure: Maximum sending rate exceeded.",
            "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents delivery",
            "421 4.7.28 Our system has detected an unusual rate",
            "451 too many messages, slow down",
        ] {
            assert!(slow(text), "{text}");
        }
        for text in
            ["450 4.2.0 Greylisted, see you later", "250 2.0.0 too many", "550 5.7.1 rate limit", "452 4.2.2 full"]
        {
            assert!(!slow(text), "{text}");
        }
    }
}
