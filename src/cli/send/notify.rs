//! A notification: counts, to a program or in an e-mail of its own.

use std::{
    fmt::Write as _,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{Timestamp, ZonedDateTime};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    address::Address,
    campaign::{Account, ListOptions, Retry},
    cli::{
        Failure,
        account::{read_secret, read_signer},
    },
    delivery::{self, Event, Job, Shared, Stop, StopReason},
    diagnostic::{Diagnostic, quoted},
    message::Composer,
    outbox::{Outbox, Outcome},
    recipients::{RecipientList, Selection},
    report::log::{Ended, passed},
    template::{Format, Template},
};

/// What is sent.
const TEMPLATE: &str = include_str!("../../../templates/notification.txt.hbs");

/// A program that takes longer is stopped.
const MOST_TIME: Duration = Duration::from_secs(60);

/// So long an e-mail may take.
const MOST_MAIL_TIME: Duration = Duration::from_secs(180);

/// What a program gets of the environment besides: another variable may be a password.
const INHERITED: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SystemRoot",
    "USERPROFILE",
    "TEMP",
];

/// What is to be told: nothing of anybody.
pub(super) struct News<'n> {
    pub(super) ended: &'n Ended,
    pub(super) id: Option<&'n str>,
}

/// The account that an e-mail goes through: that of the run, or the one that it would have been.
pub(super) fn account(
    known: Option<Account>,
    choose: impl FnOnce() -> Result<Account, Failure>,
) -> Result<Account, String> {
    known.map_or_else(|| choose().map_err(|failure| words(&failure)), Ok)
}

fn words(failure: &Failure) -> String {
    failure.why.iter().map(Diagnostic::message).collect::<Vec<_>>().join("; ")
}

/// The words of a command, the first of which is a program.
fn split(command: &str) -> Result<Vec<String>, String> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    words.ok_or_else(|| "the command is empty, or a quotation mark is not closed".to_owned())
}

/// Whether the program of a command is there and may be run. Nothing is run.
pub(super) fn check_command(command: &str) -> Result<(), String> {
    let words = split(command)?;
    let shown = quoted(&words[0]);
    // Elsewhere the system looks in further places, and under further names.
    #[cfg(unix)]
    {
        let program = Path::new(&words[0]);
        let directories = std::env::var_os("PATH").unwrap_or_default();
        let places: Vec<PathBuf> = if words[0].contains('/') {
            vec![program.to_owned()]
        } else {
            std::env::split_paths(&directories).map(|directory| directory.join(program)).collect()
        };
        let is_there = |place: &&PathBuf| place.is_file();
        let may_be_run = |place: &PathBuf| rustix::fs::access(place, rustix::fs::Access::EXEC_OK).is_ok();
        let mut there = places.iter().filter(is_there).peekable();
        if there.peek().is_none() {
            return Err(format!("there is no program {shown}"));
        }
        if !there.any(may_be_run) {
            return Err(format!("{shown} may not be run as a program"));
        }
    }
    Ok(())
}

impl News<'_> {
    /// The name of the campaign, as it may be handed on.
    fn name(&self) -> String {
        passed(&self.ended.name)
    }

    /// How it ended, in a few words.
    fn what(&self) -> String {
        let Some(counts) = self.ended.counts else {
            let code = self.ended.code.unwrap_or("unknown");
            return format!("refused before anything was sent ({code})");
        };
        let stopped =
            self.ended.stopped.as_ref().map(|reason| format!(", stopped: {}", reason.name().replace('_', " ")));
        format!("{} of {} sent{}", counts.of(Outcome::Sent), counts.total(), stopped.unwrap_or_default())
    }

    fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let counts = self.ended.counts;
        Outcome::ALL.into_iter().filter_map(move |outcome| Some((outcome.name(), counts?.of(outcome))))
    }

    /// Runs a program; it gets counts in its environment, and the same as JSON.
    pub(super) fn to_command(&self, command: &str) -> Result<(), String> {
        let words = split(command)?;
        let Ended { account, code, stopped, time, exit, .. } = self.ended;
        let stopped = stopped.as_ref().map(StopReason::name);
        let mut object = json!({
            "event": "end", "campaign": self.id, "name": self.name(), "account": account.as_deref().map(passed), "how": self.ended.how(),
            "exit": exit, "code": code, "stopped": stopped, "seconds": time.as_secs_f64(),
        });
        let mut child = Command::new(&words[0]);
        child.args(&words[1..]).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
        for name in INHERITED {
            child.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        child.env("APIECE_NAME", self.name()).env("APIECE_EXIT", exit.to_string()).env("APIECE_HOW", self.ended.how());
        child.envs(self.id.map(|id| ("APIECE_CAMPAIGN", id)));
        for (outcome, count) in self.counts() {
            child.env(format!("APIECE_{}", outcome.to_uppercase()), count.to_string());
            object[outcome] = count.into();
        }
        let mut child = child.spawn().map_err(|why| format!("it could not be started: {why}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read it need not; a pipe has room for it.
            let _ = writeln!(stdin, "{object}");
        }
        let start = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the program ended with {status}")),
                Err(why) => return Err(why.to_string()),
                Ok(None) if start.elapsed() >= MOST_TIME => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("the program took longer than {} s, and was stopped", MOST_TIME.as_secs()));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Sends one message to one address.
    pub(super) fn to_address(&self, to: &Address, account: Account, sender: Option<&Address>) -> Result<(), String> {
        match &self.ended.stopped {
            // One more wrong login could lock the account.
            Some(StopReason::LoginRefused(_) | StopReason::NoLogin(_) | StopReason::NoSecret(_)) => {
                return Err("the login was refused".into());
            }
            _ if account.login.as_ref().is_some_and(|login| login.secret.is_asked_for()) => {
                return Err("the password is asked for at the terminal".into());
            }
            _ => {}
        }
        let login = account.login.as_ref().and_then(|login| login.username.parse().ok());
        let from = login.or(sender.cloned()).unwrap_or_else(|| to.clone());
        let composer = self.composer(to, &from).map_err(|why| why.to_string())?;
        let message = composer.compose(0).map_err(|why| why.to_string())?;
        let signer = account.dkim.as_ref().map(read_signer).transpose().map_err(|failure| words(&failure))?;
        let signer = signer.filter(|signer| signer.check_sender(&from).is_ok());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|why| why.to_string())?;
        let secret = read_secret(&account).map_err(|failure| words(&failure))?;
        let (only, outcomes) = (Selection::All(1), vec![Outcome::Queued]);
        let outbox = Arc::new(Outbox::new(only, vec![message.digest()], outcomes, message.bytes().len(), None));
        let job = Job {
            account,
            secret,
            rates: Vec::new(),
            spread: false,
            connections: 1,
            first: None,
            composer,
            signer: signer.map(Arc::new),
            outbox,
            retry: Retry::default(),
            waits: false,
            shared: Shared::default(),
            clock: ZonedDateTime::now,
            // Whoever is told is told now.
            schedule: None,
        };
        let sent = runtime.block_on(async { tokio::time::timeout(MOST_MAIL_TIME, deliver(job)).await });
        runtime.shutdown_background();
        sent.unwrap_or_else(|_| Err("it took too long".into()))
    }

    /// It is made as any message is: from a template, for the one person of a list.
    fn composer(&self, to: &Address, from: &Address) -> Result<Composer, crate::diagnostic::Diagnostics> {
        let mut counts = String::new();
        for (outcome, count) in self.counts().filter(|(_, count)| *count > 0) {
            let _ = writeln!(counts, "{:<10} {count}", outcome.replace('_', " "));
        }
        let advice = match self.id {
            Some(id) => format!("Who and why: apiece status {id}"),
            None => "Why: the log of the run, or the same command at a terminal".to_owned(),
        };
        let ended = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let id = self.id.map(|id| format!("({id})")).unwrap_or_default();
        let (name, what, exit) = (self.name(), self.what(), self.ended.exit.to_string());
        let columns = [
            ("email", to.as_str()),
            ("from", from.as_str()),
            ("name", &name),
            ("id", &id),
            ("what", &what),
            ("exit", &exit),
            ("ended", &ended),
            ("counts", counts.trim_end()),
            ("advice", &advice),
        ];
        let row = |cells: Vec<String>| {
            cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect::<Vec<_>>().join(",")
        };
        let (headings, cells) =
            columns.iter().map(|(heading, cell)| ((*heading).to_owned(), (*cell).to_owned())).unzip();
        let text = format!("{}\n{}\n", row(headings), row(cells));
        let optional = ["id", "counts", "name"].map(str::to_owned).to_vec();
        let options = ListOptions { address: Some("email".into()), optional, ..ListOptions::default() };
        let list = RecipientList::parse("notification", &text, &options)?;
        let template = Template::compile("notification.txt.hbs", TEMPLATE, Format::Text, list.columns())?;
        Ok(Composer::new(template.into(), list.into()))
    }
}

/// Sends it and says what became of it.
async fn deliver(job: Job) -> Result<(), String> {
    let stop = Stop::default();
    let outbox = Arc::clone(&job.outbox);
    let (sender, mut events) = mpsc::channel(16);
    let engine = tokio::spawn(delivery::run(job, sender, stop.clone()));
    let mut said = None;
    while let Some(event) = events.recv().await {
        if let Event::Finished(finished) | Event::PutOff { finished, .. } = event {
            said = finished.reply.map(|reply| reply.to_string()).or(finished.why);
        }
    }
    let _ = engine.await;
    if outbox.counts().all_sent() {
        return Ok(());
    }
    Err(stop.reason().map(|reason| reason.to_string()).or(said).unwrap_or_else(|| "it was not sent".into()))
}
