//! Confirming: who, how many, from, through which server; then the number of recipients has to be typed, or to
//! be on the command line.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufRead, IsTerminal},
};

use jiff::Timestamp;

use super::{Exit, Failure, Screen};
use crate::{
    campaign::{Account, Hours, Phase, Rate, Tls},
    diagnostic::{counted, visible},
    message::{Digest, Message},
    outbox::day,
    report::spoken,
};

/// So many people are named besides the first and the last one.
const OTHERS: usize = 3;

/// How often what was remarked, by its code.
pub(super) type Warnings = BTreeMap<String, usize>;

/// What somebody is asked to confirm.
pub(super) struct Question {
    pub(super) campaign: String,
    pub(super) id: Option<String>,
    /// Over all that was prepared, and is sent.
    pub(super) digest: Option<Digest>,
    /// The first message, the last one, and some between them; at least one.
    pub(super) messages: Vec<Message>,
    pub(super) count: usize,
    /// How many the campaign has, with those who got it already
    pub(super) all: usize,
    /// In words.
    pub(super) server: String,
    /// Who approved it.
    pub(super) approved: Vec<String>,
    /// How the messages are signed, in words.
    pub(super) signed: Option<String>,
    pub(super) warnings: Warnings,
    pub(super) rates: Vec<Rate>,
    /// How many messages some rates hold for: all, and those to each domain that has its own.
    pub(super) limits: Vec<(usize, Vec<Rate>)>,
    /// When something may be begun, where it may not at any time.
    pub(super) hours: Option<Hours>,
}

/// Which of so many messages are shown: the first, the last, and a few between them at random.
pub(super) fn shown(count: usize) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..count.min(1)).collect();
    shown.extend(fastrand::choose_multiple(1..count.saturating_sub(1).max(1), OTHERS));
    shown.extend((count > 1).then(|| count - 1));
    shown.sort_unstable();
    shown
}

/// What is done once the number of recipients is confirmed.
pub(super) struct Confirmed {
    /// Of the complaint if it is not
    pub(super) code: &'static str,
    pub(super) verb: &'static str,
    /// Then
    pub(super) nothing: &'static str,
    /// What to do about another number on the command line
    pub(super) help: Option<&'static str>,
}

/// For sending.
const SENDING: Confirmed = Confirmed {
    code: "send.not-confirmed",
    verb: "send",
    nothing: "nothing was sent",
    help: Some("look at the list; then say the number that is right"),
};

/// Asks, or compares with the number on the command line.
pub(super) fn confirm(question: &Question, given: Option<usize>, screen: Screen) -> Result<(), Failure> {
    // The same command goes on with what is left.
    let given = given.map(|given| if given == question.all { question.count } else { given });
    SENDING.ask(question.count, given, || format!("{}\n", question.text()), screen)
}

/// A number on the command line that is larger than that of all recipients is neither that nor of what is left of them.
pub(super) fn check_most(given: Option<usize>, all: usize) -> Result<(), Failure> {
    given.filter(|given| *given > all).map_or(Ok(()), |given| Err(SENDING.another(given, all)))
}

/// Why a run ends, where that is because there is nothing to do: whoever says how many recipients there are did not mean that.
pub(super) fn unless_counted(given: Option<usize>, count: usize, why: Failure) -> Failure {
    match given.filter(|given| why.exit == Exit::Ok && *given != count) {
        Some(given) => SENDING.another(given, count),
        None => why,
    }
}

impl Confirmed {
    /// That the number on the command line is another one.
    fn another(&self, given: usize, count: usize) -> Failure {
        let nothing = self.nothing;
        let message = format!("--confirm says {given}, and the number of recipients is {count}; {nothing}");
        Failure::because(Exit::Refused, self.code, message, self.help)
    }

    /// Shows something and asks for the number of recipients, or compares it with the one on the command line.
    pub(super) fn ask(
        &self,
        count: usize,
        given: Option<usize>,
        shown: impl FnOnce() -> String,
        screen: Screen,
    ) -> Result<(), Failure> {
        let refused = |message: String, help| Failure::because(Exit::Refused, self.code, message, help);
        let Self { verb, nothing, .. } = self;
        if let Some(given) = given {
            if given == count {
                return Ok(());
            }
            return Err(self.another(given, count));
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let help = format!("add --confirm {count} if that is the number of people who are to get it");
            return Err(refused(format!("there is no terminal at which to confirm; {nothing}"), Some(&help)));
        }
        forget_typed();
        let question = format!("{}Type the number of recipients to {verb}: ", shown());
        Screen { quiet: false, ..screen }.note(&question);
        let mut typed = String::new();
        let read = io::stdin().lock().read_line(&mut typed);
        if read.is_ok() && typed.trim().parse() == Ok(count) {
            return Ok(());
        }
        Err(refused(format!("that is not the number of recipients; {nothing}"), None))
    }
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
        match &self.id {
            Some(id) => line("Campaign", &format!("{} ({id})", self.campaign)),
            None => line("Campaign", &self.campaign),
        }
        if let Some(digest) = &self.digest {
            line("Digest", &digest.to_string());
        }
        if let Some(first) = self.messages.first() {
            line("Subject", first.subject());
            line("From", &first.envelope().from().to_string());
        }
        for whose in &self.approved {
            line("Approved", &format!("by {whose}"));
        }
        line("Server", &self.server);
        if let Some(signed) = &self.signed {
            line("Signed", signed);
        }
        let some = if self.messages.len() < self.count { "; some of them" } else { "" };
        line("Recipients", &format!("{}, each a message of their own{some}:", self.count));
        let is_same = self.messages.windows(2).all(|two| two[0].subject() == two[1].subject());
        for message in &self.messages {
            let subject = if is_same { String::new() } else { format!("  {}", message.subject()) };
            line("", &format!("row {}  {}{subject}", message.row(), message.envelope().to()));
        }
        if !self.warnings.is_empty() {
            let all: Vec<String> = self.warnings.iter().map(|(code, count)| format!("{code} {count}")).collect();
            let count = counted(self.warnings.values().sum(), "warning");
            line("Warnings", &format!("{count} when it was prepared: {}", all.join(", ")));
        }
        line("Pace", &self.pace());
        if let Some(hours) = &self.hours {
            line("When", &hours.to_string());
            for said in self.times(hours, Timestamp::now()) {
                line("", &said);
            }
        }
        text
    }

    fn pace(&self) -> String {
        let rates: Vec<String> = self.rates.iter().map(ToString::to_string).collect();
        let rates = if rates.is_empty() { "as fast as the server takes them".to_owned() } else { rates.join(", ") };
        let least = self.limits.iter().map(|(count, rates)| Rate::least_time(*count, rates)).max().unwrap_or_default();
        match Timestamp::now().checked_add(least) {
            Ok(end) if !least.is_zero() && self.hours.is_none() => {
                format!("{rates}: at least {}, until {}", spoken(least), day(end))
            }
            _ => rates,
        }
    }

    /// Where nothing may be begun at some times, these are shown.
    pub(super) fn expect(&mut self, hours: &Hours) {
        self.hours = Some(hours.clone()).filter(Hours::is_bound);
    }

    /// When it begins and when it can be over, at the earliest.
    fn times(&self, hours: &Hours, now: Timestamp) -> Vec<String> {
        let begins = match hours.at(now) {
            Phase::Open(_) => "begins now".to_owned(),
            Phase::Closed(opens) => format!("begins {}", hours.spoken(opens)),
            Phase::Over => "is over".to_owned(),
        };
        let ends: Option<Vec<Timestamp>> =
            self.limits.iter().map(|(count, rates)| hours.least_end(now, *count, rates)).collect();
        let Some(end) = ends.and_then(|ends| ends.into_iter().max()) else { return vec![begins] };
        let mut said = vec![format!("{begins}, and ends {} at the earliest", hours.spoken(end))];
        if let Some(last) = hours.not_after().filter(|last| *last < end) {
            said.push(format!("so not all of it can be sent: nothing is begun after {}", hours.spoken(last)));
        }
        said
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
