//! Confirming: who, how many, from, through which server; then the number of recipients has to be typed, or to
//! be on the command line.

use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal},
};

use super::{Exit, Failure, Screen};
use crate::{
    campaign::{Account, Rate, Tls},
    diagnostic::visible,
    message::Message,
    report::spoken,
};

/// What somebody is asked to confirm.
pub(super) struct Question {
    pub(super) campaign: String,
    /// The first and the last message.
    pub(super) first: Message,
    pub(super) last: Message,
    pub(super) count: usize,
    /// How many the campaign has, with those who got it already
    pub(super) all: usize,
    /// In words.
    pub(super) server: String,
    /// How the messages are signed, in words.
    pub(super) signed: Option<String>,
    pub(super) rates: Vec<Rate>,
}

/// Asks, or compares with the number on the command line.
pub(super) fn confirm(question: &Question, given: Option<usize>, screen: Screen) -> Result<(), Failure> {
    let refused = |message: String, help| Failure::because(Exit::Refused, "send.not-confirmed", message, help);
    let count = question.count;
    if let Some(given) = given {
        // The same command goes on with what is left.
        if given != count && given != question.all {
            let message = format!("--confirm says {given}, and the number of recipients is {count}; nothing was sent");
            return Err(refused(message, Some("look at the list; then say the number that is right")));
        }
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let help = format!("add --confirm {count} if that is the number of people who are to get it");
        return Err(refused("there is no terminal at which to confirm; nothing was sent".into(), Some(&help)));
    }
    forget_typed();
    Screen { quiet: false, ..screen }.note(&format!("{}\nType the number of recipients to send: ", question.text()));
    let mut typed = String::new();
    let read = io::stdin().lock().read_line(&mut typed);
    if read.is_ok() && typed.trim().parse() == Ok(count) {
        return Ok(());
    }
    Err(refused("that is not the number of recipients; nothing was sent".into(), None))
}

/// What was typed before a question is no answer to what nobody had read.
pub(super) fn forget_typed() {
    #[cfg(unix)]
    let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
}

impl Question {
    /// The table that is shown before the question.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<12}{}", visible(value));
        };
        line("Campaign", &self.campaign);
        line("Subject", self.first.subject());
        line("From", &self.first.envelope().from().to_string());
        line("Server", &self.server);
        if let Some(signed) = &self.signed {
            line("Signed", signed);
        }
        let person = |message: &Message| format!("row {} {}", message.row(), message.envelope().to());
        let ends = match self.count {
            1 => person(&self.first),
            _ => format!("from {} to {}", person(&self.first), person(&self.last)),
        };
        line("Recipients", &format!("{}, each a message of their own, {ends}", self.count));
        if !self.rates.is_empty() {
            let rates: Vec<String> = self.rates.iter().map(ToString::to_string).collect();
            let least = Rate::least_time(self.count, &self.rates);
            let takes = if least.is_zero() { String::new() } else { format!(": at least {}", spoken(least)) };
            line("Pace", &format!("{}{takes}", rates.join(", ")));
        }
        text
    }
}

/// An account, in words.
pub(super) fn server(account: &Account) -> String {
    let tls = match account.tls {
        Tls::Implicit => "TLS",
        Tls::StartTls => "STARTTLS",
        Tls::None => "no TLS, on this machine",
    };
    let login = account.login.as_ref().map_or("nobody logs in".into(), |login| format!("as {}", login.username));
    format!("{}:{} (account {}, {tls}, {login})", account.host, account.port, account.name)
}
