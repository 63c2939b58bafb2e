//! What the engine says while it works. These types are the interface between it and everything that listens:
//! progress bar, JSON lines, summary.

use std::{fmt, net::SocketAddr, time::Duration};

use jiff::Timestamp;

use crate::{
    address::Address,
    campaign::Mechanism,
    diagnostic::visible,
    outbox::{Codes, Outcome},
    secret::{NOT_SHOWN, NoSecret, Unsaid},
};

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A connection is ready for mail.
    Connected {
        /// Which of the run's connections, from 0.
        connection: usize,
        /// The server's address.
        peer: SocketAddr,
        /// Such as `TLSv1.3`; none at a loopback relay.
        tls: Option<&'static str>,
        /// How the login was done.
        login: Option<Mechanism>,
    },
    /// A connection ended before its time.
    ConnectionLost {
        /// Which one.
        connection: usize,
        /// Why.
        why: String,
    },
    /// The pace does not let the next transaction begin yet.
    Waiting {
        /// Which connection waits.
        connection: usize,
        /// How long.
        time: Duration,
    },
    /// The server is asked for less, since it wants that.
    SlowedDown {
        /// Nothing is begun for so long.
        time: Duration,
        /// So many connections are left, if they are fewer.
        connections: Option<usize>,
        /// What it said.
        reply: Reply,
    },
    /// The server does not take a message now; it is tried again.
    PutOff {
        /// The message.
        finished: Finished,
        /// After so long.
        time: Duration,
    },
    /// A message has its outcome.
    Finished(Finished),
    /// Nothing may be begun before, and there is no connection meanwhile.
    Paused {
        /// When the run goes on.
        until: Timestamp,
        /// The same where the campaign is, in words.
        said: String,
    },
    /// It goes on.
    Resumed,
    /// The first messages are sent, and the run waits for the word to go on.
    FirstDone,
    /// Nothing further is begun; what is under way is finished.
    Stopping(StopReason),
}

/// A message with its outcome.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The connection that it went over.
    pub connection: usize,
    /// Its row in the list.
    pub row: u64,
    /// Whom it was for.
    pub to: Address,
    /// Its Message-ID.
    pub message_id: String,
    /// What became of it: sent, deferred, failed or in doubt.
    pub outcome: Outcome,
    /// What the server said last about it.
    pub reply: Option<Reply>,
    /// What happened in place of a reply.
    pub why: Option<String>,
    /// How long it took from when it was made.
    pub took: Duration,
}

/// What a server said, word for word (RFC 5321 §4.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    text: String,
}

impl Reply {
    /// From the bytes of a whole reply with its codes and line ends; `None` where they are no reply: each line has
    /// the same code from 200 to 599, and a hyphen behind it on all but the last.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let code: u16 = text.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        let lines = text.split('\n').count();
        let well_formed = text.split('\n').enumerate().all(|(nth, line)| {
            let separator = line.as_bytes().get(3);
            let last = nth + 1 == lines;
            line.get(..3) == text.get(..3)
                && if last { matches!(separator, None | Some(b' ')) } else { separator == Some(&b'-') }
        });
        ((200..600).contains(&code) && well_formed).then(|| Self { code, text: text.to_owned() })
    }

    /// 250, for example.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// All lines as they came, each with its code.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The enhanced status code, such as 5.1.1 (RFC 2034 §4, RFC 3463 §2).
    #[must_use]
    pub fn enhanced(&self) -> Option<&str> {
        let word = self.text.get(4..)?.split([' ', '\n']).next()?;
        let mut parts = word.split('.');
        let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = matches!(class, "2" | "4" | "5") && is_number(subject) && is_number(detail);
        (fits && parts.next().is_none()).then_some(word)
    }

    /// What may be shown and kept of it: its codes at least.
    pub(super) fn without(&self, unsaid: &Unsaid) -> Self {
        let text = match unsaid.left_of(&self.text) {
            Some(left) => left.into_owned(),
            None => {
                let codes = self.enhanced().map(|enhanced| format!("{enhanced} ")).unwrap_or_default();
                format!("{} {codes}{NOT_SHOWN}", self.code)
            }
        };
        Self { code: self.code, text }
    }

    /// Both codes, for the record.
    pub(super) fn codes(&self) -> Codes {
        (self.code, self.enhanced().map(str::to_owned))
    }

    /// The words of all lines without their codes.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n').map(|line| line.get(4..).unwrap_or(""))
    }

    /// The server will say the same next time (RFC 5321 §4.2.1).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The server is closing the connection.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.code == 421
    }
}

/// On one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.text).replace('\n', " "))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// Why a run ended before everything had its outcome.
#[derive(Debug, Clone)]
pub enum StopReason {
    /// There is no connection to the server, or none any more.
    Unreachable {
        /// `host:port`
        server: String,
        /// What went wrong.
        why: String,
    },
    /// The server does not want to talk now.
    Unavailable(Reply),
    /// TLS cannot be had, or not safely.
    Insecure {
        /// What went wrong.
        why: String,
        /// What to do.
        help: Option<String>,
    },
    /// The login failed.
    LoginRefused(Reply),
    /// The login cannot be done now.
    LoginUnavailable(Reply),
    /// The server offers no way to log in that is configured.
    NoLogin(String),
    /// There is nothing to log in with: no token, or none that the server takes.
    NoSecret(NoSecret),
    /// The server takes no mail from this sender.
    SenderRefused {
        /// The sender.
        from: Address,
        /// What it said.
        reply: Reply,
    },
    /// The server refuses one message after the other in the same words.
    SameReply {
        /// How many.
        count: usize,
        /// What it says.
        reply: Reply,
    },
    /// A message is not what was checked.
    Changed {
        /// Its row.
        row: u64,
    },
    /// The server takes no messages as large as the largest one; none was begun.
    TooLarge {
        /// Octets of the largest message.
        size: u64,
        /// What the server takes (RFC 1870).
        most: u64,
    },
    /// A message is not for one person alone.
    Unsound {
        /// Its row.
        row: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A message cannot be signed.
    NotSigned {
        /// Its row.
        row: u64,
        /// What went wrong.
        why: String,
    },
    /// What happens cannot be written down.
    NoRecord {
        /// Why.
        why: String,
    },
    /// The first messages were looked at, and the others are not to go.
    NotGoneOn,
    /// Nothing may be begun now, and the run is not to wait.
    Outside {
        /// When it may.
        opens: String,
    },
    /// Nothing may be begun any more.
    TooLate {
        /// When it might have been at the latest; none where no window opens any more.
        end: Option<String>,
    },
    /// What might be sent when the run began may not be sent any more.
    NoLongerAllowed {
        /// Why.
        why: String,
    },
    /// A worker lets the campaign go: somebody wants to have it alone, or others of the same account wait.
    LetGo,
    /// Somebody wants it to stop.
    Interrupted(Signal),
}

/// How somebody asked a run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C
    Interrupt,
    /// SIGTERM
    Terminate,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { server, why } => write!(f, "there is no connection to {server}: {why}"),
            Self::Unavailable(reply) => write!(f, "the server takes no mail now: {reply}"),
            Self::Insecure { why, .. } => write!(f, "the connection is not safe: {why}"),
            Self::LoginRefused(reply) => write!(f, "the server refused the login: {reply}"),
            Self::LoginUnavailable(reply) => write!(f, "the server cannot check the login now: {reply}"),
            Self::NoLogin(why) => write!(f, "there is no way to log in: {why}"),
            Self::NoSecret(why) => why.fmt(f),
            Self::SenderRefused { from, reply } => write!(f, "the server takes no mail from {from}: {reply}"),
            Self::SameReply { count, reply } => {
                write!(f, "the server refused {count} messages in a row in the same words: {reply}")
            }
            Self::Changed { row } => write!(f, "the message of row {row} is not the one that was checked"),
            Self::Unsound { row, why } => write!(f, "the message of row {row} is not for one recipient: {why}"),
            Self::TooLarge { size, most } => {
                write!(f, "the largest message has {size} bytes, and the server takes {most}")
            }
            Self::NotSigned { row, why } => write!(f, "row {row}: {why}"),
            Self::NoRecord { why } => write!(f, "nothing is sent that cannot be written down: {why}"),
            Self::NotGoneOn => f.write_str("the others were not to go yet"),
            Self::Outside { opens } => write!(f, "nothing is begun outside of its window, which opens {opens}"),
            Self::TooLate { end: Some(end) } => write!(f, "it is too late: nothing is begun after {end}"),
            Self::TooLate { end: None } => f.write_str("no window opens any more, as far as its holidays are known"),
            Self::NoLongerAllowed { why } => write!(f, "it may not be sent any more: {why}"),
            Self::LetGo => f.write_str("another's turn"),
            Self::Interrupted(Signal::Interrupt) => f.write_str("interrupted"),
            Self::Interrupted(Signal::Terminate) => f.write_str("told to stop"),
        }
    }
}

impl StopReason {
    /// In a word, for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Unavailable(_) => "unavailable",
            Self::Insecure { .. } => "insecure",
            Self::LoginRefused(_) => "login_refused",
            Self::LoginUnavailable(_) => "login_unavailable",
            Self::NoLogin(_) => "no_login",
            Self::NoSecret(_) => "no_secret",
            Self::SenderRefused { .. } => "sender_refused",
            Self::SameReply { .. } => "same_reply",
            Self::Changed { .. } => "changed",
            Self::TooLarge { .. } => "too_large",
            Self::Unsound { .. } => "unsound",
            Self::NotSigned { .. } => "not_signed",
            Self::NoRecord { .. } => "no_record",
            Self::NotGoneOn => "not_gone_on",
            Self::Outside { .. } => "outside_window",
            Self::TooLate { .. } => "too_late",
            Self::NoLongerAllowed { .. } => "no_longer_allowed",
            Self::LetGo => "let_go",
            Self::Interrupted(Signal::Interrupt) => "interrupted",
            Self::Interrupted(Signal::Terminate) => "terminated",
        }
    }

    /// What the server said, if it is because of that.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Unavailable(reply)
            | Self::LoginRefused(reply)
            | Self::LoginUnavailable(reply)
            | Self::SenderRefused { reply, .. }
            | Self::SameReply { reply, .. } => Some(reply),
            _ => None,
        }
    }

    /// What happened, where the name alone does not say it. It may repeat what a server said.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Unreachable { why, .. }
            | Self::Insecure { why, .. }
            | Self::NotSigned { why, .. }
            | Self::NoRecord { why }
            | Self::NoLongerAllowed { why }
            | Self::NoLogin(why) => Some(why),
            Self::NoSecret(why) => Some(&why.why),
            Self::Unsound { why, .. } => Some(why),
            _ => None,
        }
    }

    /// The code of what is wrong, where that is no reply's.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::NoSecret(why) => Some(why.code),
            _ => None,
        }
    }

    /// The row of the message that it is because of.
    #[must_use]
    pub fn row(&self) -> Option<u64> {
        match self {
            Self::Changed { row } | Self::Unsound { row, .. } | Self::NotSigned { row, .. } => Some(*row),
            _ => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { .. } => {
                "look at host, port and tls of the account, and whether this machine is online".into()
            }
            Self::Insecure { help, .. } => return help.clone(),
            Self::LoginRefused(_) => {
                "look at username and password of the account; some providers want an app password".into()
            }
            Self::NoLogin(_) => "look at auth and tls of the account".into(),
            Self::NoSecret(why) => return why.help.clone(),
            Self::SenderRefused { .. } => "the address in from must be one that this account may send as".into(),
            Self::SameReply { .. } => {
                "find out why; then apiece retry ID --failed tries those once more, and the same command goes on".into()
            }
            Self::Changed { .. } | Self::Unsound { .. } => {
                "apiece verify ID says whether somebody changed the outbox; otherwise this is a fault in apiece or in this \
                 machine's memory. Nothing was sent to that person"
                    .into()
            }
            Self::TooLarge { .. } => "attach less; nothing was sent".into(),
            Self::NotSigned { .. } => "look at dkim in the account; nothing was sent to that person".into(),
            Self::Unavailable(_) | Self::LoginUnavailable(_) => "try again later".into(),
            Self::NoRecord { .. } => "run the same command again when that is mended: it goes on where it is".into(),
            Self::Outside { .. } => "run the same command again then; or without --no-wait, and it waits".into(),
            Self::TooLate { .. } => "what is left stays queued: to take it back, apiece cancel ID; to send it all the same, say until \
                                     when it may be, with --not-after"
                .into(),
            Self::NoLongerAllowed { .. } => "what is left stays queued: apiece status ID says what is known of it".into(),
            Self::NotGoneOn => "to go on with them, run the same command again; to take them back, apiece cancel ID".into(),
            Self::LetGo | Self::Interrupted(_) => return None,
        })
    }
}
