//! What would stop a run, or keep its messages from arriving, found out before anybody waits for it: the settings, the record, the
//! server, and what the sender's domain says in the DNS. Nothing is sent.
//!
//! Each thing that is looked at becomes a [`Check`], also where it cannot be looked at: then it says why.

mod bulk;
mod certificate;
mod dkim;
mod dmarc;
mod domain;
mod machine;
mod names;
mod offered;
mod server;
mod spf;
mod tags;

use std::fmt::Write as _;

use serde_json::{Value, json};

pub use self::{
    bulk::{Audience, unsubscribe},
    domain::{Sender, look_at_domain, skip_domain},
    machine::{Trouble, clock, config, dkim_key, outbox, password},
    names::Names,
    server::{Rehearsed, look_at_server, skip_server},
};
use crate::{
    delivery::StopReason,
    diagnostic::{counted, visible},
};

/// The version of the document of `--format json`.
const VERSION: u32 = 1;

/// What is said about one thing is no longer than this.
const MOST_CHARACTERS: usize = 1500;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something can go wrong.
    Warning,
    /// Something is wrong.
    Failure(Cause),
    /// It could not be looked at, or need not.
    Skipped,
}

/// What kind of thing is wrong, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The config file, the account, the DNS.
    Configuration,
    /// The list, the template, or a message.
    Data,
    /// The server cannot be reached, or takes no mail.
    Unavailable,
    /// It may be better later.
    TryAgain,
    /// There is no safe connection.
    Insecure,
    /// The server refuses the login, or the sender.
    Refused,
    /// The record cannot be written.
    NoRecord,
}

impl Verdict {
    /// In a word, for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warn",
            Self::Failure(_) => "fail",
            Self::Skipped => "skipped",
        }
    }
}

impl Cause {
    /// The kind that a reason is of for which a run ends.
    fn of(reason: &StopReason) -> Self {
        match reason {
            StopReason::Insecure { .. } => Self::Insecure,
            StopReason::Unavailable(reply) if !reply.is_permanent() => Self::TryAgain,
            StopReason::LoginUnavailable(_) => Self::TryAgain,
            StopReason::LoginRefused(_) | StopReason::SenderRefused { .. } => Self::Refused,
            StopReason::NoLogin(_) => Self::Configuration,
            StopReason::TooLarge { .. } => Self::Data,
            _ => Self::Unavailable,
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// A short, stable name for programs.
    pub id: &'static str,
    /// What was looked at, in words.
    pub what: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found, in a sentence.
    pub finding: String,
    /// What to do, if there is something to do.
    pub to_do: Vec<String>,
    /// Whether receivers heed it all the same, though something is to be said of it.
    counts: bool,
}

impl Check {
    fn new(id: &'static str, what: impl Into<String>, verdict: Verdict, finding: impl AsRef<str>) -> Self {
        let what = shown(&what.into());
        Self { id, what, verdict, finding: shown(finding.as_ref()), to_do: Vec::new(), counts: false }
    }

    /// As it should be.
    pub fn ok(id: &'static str, what: impl Into<String>, finding: impl AsRef<str>) -> Self {
        Self::new(id, what, Verdict::Ok, finding)
    }

    fn note(id: &'static str, what: impl Into<String>, finding: impl AsRef<str>) -> Self {
        Self::new(id, what, Verdict::Note, finding)
    }

    fn warning(id: &'static str, what: impl Into<String>, finding: impl AsRef<str>) -> Self {
        Self::new(id, what, Verdict::Warning, finding)
    }

    /// Something is wrong.
    pub fn failure(id: &'static str, what: impl Into<String>, cause: Cause, finding: impl AsRef<str>) -> Self {
        Self::new(id, what, Verdict::Failure(cause), finding)
    }

    /// Something could not be looked at, since …
    pub fn skipped(id: &'static str, what: impl Into<String>, since: impl AsRef<str>) -> Self {
        Self::new(id, what, Verdict::Skipped, since)
    }

    /// With something to do.
    #[must_use]
    pub fn to_do(mut self, help: impl AsRef<str>) -> Self {
        let lines = help.as_ref().lines().filter(|line| !line.trim().is_empty());
        self.to_do.push(lines.map(|line| shown(line.trim())).collect::<Vec<_>>().join("\n"));
        self
    }

    /// Of something that receivers heed as it is.
    fn counts(self) -> Self {
        Self { counts: true, ..self }
    }

    /// With something to do, perhaps.
    fn perhaps(self, help: Option<impl AsRef<str>>) -> Self {
        match help {
            Some(help) => self.to_do(help),
            None => self,
        }
    }

    /// With a record to publish.
    fn publish(self, name: &str, value: &str) -> Self {
        self.to_do(format!("publish: {name}. TXT \"{value}\""))
    }

    /// A line, and below it what to do.
    #[must_use]
    pub fn text(&self, word: &str) -> String {
        let space = " ".repeat(9_usize.saturating_sub(self.verdict.word().len()));
        let mut text = format!("{word}{space}{}: {}\n", self.what, self.finding);
        for help in &self.to_do {
            let _ = writeln!(text, "         to do: {}", help.replace('\n', "\n                "));
        }
        text
    }

    fn json(&self) -> Value {
        json!({
            "check": self.id,
            "what": self.what,
            "result": self.verdict.word(),
            "finding": self.finding,
            "to_do": self.to_do,
        })
    }
}

/// Text from outside on one line, and not without end.
fn shown(text: &str) -> String {
    let text = visible(&text.replace(['\n', '\t'], " "));
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The checks so far; each is told as soon as it is there.
pub struct Checkup<'l> {
    tell: &'l mut dyn FnMut(&Check),
    checks: Vec<Check>,
}

impl<'l> Checkup<'l> {
    /// None yet.
    pub fn new(tell: &'l mut dyn FnMut(&Check)) -> Self {
        Self { tell, checks: Vec::new() }
    }

    /// One more.
    pub fn add(&mut self, check: Check) {
        (self.tell)(&check);
        self.checks.push(check);
    }

    /// Whether something that receivers want is not there, or not as they want it.
    fn lacks(&self, id: &str) -> bool {
        let is_wrong = |check: &Check| matches!(check.verdict, Verdict::Warning | Verdict::Failure(_)) && !check.counts;
        self.checks.iter().any(|check| check.id == id && is_wrong(check))
    }

    /// What kind of thing went wrong first, if anything did.
    #[must_use]
    pub fn first_failure(&self) -> Option<Cause> {
        self.checks.iter().find_map(|check| match check.verdict {
            Verdict::Failure(cause) => Some(cause),
            _ => None,
        })
    }

    fn count(&self, word: &str) -> usize {
        self.checks.iter().filter(|check| check.verdict.word() == word).count()
    }

    /// The last line.
    #[must_use]
    pub fn counts(&self) -> String {
        format!(
            "{}: {} ok, {}, {}, {}, {} skipped; nothing was sent\n",
            counted(self.checks.len(), "check"),
            self.count("ok"),
            counted(self.count("note"), "note"),
            counted(self.count("warn"), "warning"),
            counted(self.count("fail"), "failure"),
            self.count("skipped"),
        )
    }

    /// All of it as one document.
    #[must_use]
    pub fn json(&self, account: Option<&str>, from: Option<&str>, exit: u8) -> Value {
        json!({
            "doctor": { "version": VERSION, "apiece": env!("CARGO_PKG_VERSION") },
            "account": account,
            "from": from,
            "checks": self.checks.iter().map(Check::json).collect::<Vec<_>>(),
            "counts": {
                "ok": self.count("ok"),
                "note": self.count("note"),
                "warn": self.count("warn"),
                "fail": self.count("fail"),
                "skipped": self.count("skipped"),
            },
            "exit": exit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_on_its_line_and_has_an_end() {
        let check = Check::ok("x", "a\nb", "c\u{1b}[2Jd\nok       forged: x").to_do("e\n\nf");
        let text = "ok       a b: c<U+001B>[2Jd ok       forged: x\n         to do: e\n                f\n";
        assert_eq!(check.text("ok"), text);
        assert_eq!(Check::ok("x", "a", "é".repeat(5000)).finding.chars().count(), MOST_CHARACTERS + 1);
    }

    #[test]
    fn the_first_failure_counts() {
        let mut told = Vec::new();
        let mut tell = |check: &Check| told.push(check.id);
        let mut checkup = Checkup::new(&mut tell);
        checkup.add(Check::ok("a", "a", ""));
        assert_eq!(checkup.first_failure(), None);
        checkup.add(Check::failure("b", "b", Cause::Refused, ""));
        checkup.add(Check::failure("c", "c", Cause::Insecure, ""));
        checkup.add(Check::warning("d", "d", ""));
        assert_eq!(checkup.first_failure(), Some(Cause::Refused));
        assert_eq!(checkup.counts(), "4 checks: 1 ok, 0 notes, 1 warning, 2 failures, 0 skipped; nothing was sent\n");
        assert_eq!(told, ["a", "b", "c", "d"]);
    }
}
