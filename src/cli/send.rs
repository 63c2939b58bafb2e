//! `apiece send`

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use etcetera::AppStrategy;
use jiff::ZonedDateTime;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::mpsc};

use super::{
    Exit, Failure, Format, Screen,
    confirm::{Question, confirm, server},
    load::{CampaignArgs, Loaded, quoted},
    record::{OUTBOX_FILE, RecordArgs, failed, own_directories},
    signals::{self, Signals},
};
use crate::{
    campaign::{Account, Accounts, Dkim, Named, Rate},
    delivery::{self, Job, Signal, Stop, StopReason},
    diagnostic::{Diagnostic, Diagnostics, Place, visible},
    message::{Digest, Signer},
    outbox::{Campaign, Counts, Journal, Made, Outbox, Outcome, Store},
    report::{self, Heard, Rows, Style, Summary},
    sandbox::{Proof, Sandbox},
    secret::{SecretError, SecretSource},
};

/// So many events wait to be shown before the engine waits for the screen.
const EVENTS: usize = 1024;

/// Arguments of `apiece send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads, makes and inspects every message before the first one leaves; if anything is wrong, nothing
is sent. Ctrl-C finishes what is under way; a second Ctrl-C leaves at once.

Examples:
  apiece send samples/investigation-update --sandbox --confirm 12
  apiece send update --account work                   # asks for the number of recipients
  apiece send update.md.hbs people.csv --account work --confirm 12
  apiece send update --dry-run                        # opens no socket

Exit codes: 0 all sent; 1 some failed or are in doubt; 64 usage; 65 list or template; 69 server
unavailable; 70 fault in apiece; 73, 74 a file or the result cannot be written; 75 try again;
76 no safe connection; 77 refused; 78 configuration; 130 Ctrl-C; 143 SIGTERM.")]
pub(super) struct Send {
    /// The account of your config file to send through
    #[arg(long, value_name = "NAME", env = "APIECE_ACCOUNT", hide_env_values = true)]
    account: Option<String>,
    /// Your config file
    #[arg(long, value_name = "FILE", env = "APIECE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Send without asking, if this is the number of recipients
    #[arg(long, value_name = "N")]
    confirm: Option<usize>,
    /// Send to these rows only, for example 2-5,9 (the headings are row 1)
    #[arg(long, value_name = "ROWS")]
    rows: Option<Rows>,
    /// Never more than so many in any window, for example 30/min; may be given several times
    #[arg(long, value_name = "RATE", value_delimiter = ',')]
    rate: Vec<Rate>,
    /// At most so many connections at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: Option<u16>,
    /// Do everything but send
    #[arg(long, conflicts_with = "sandbox")]
    dry_run: bool,
    /// Send to a server inside the program, and prove what it got
    #[arg(long)]
    sandbox: bool,
    /// Where the sandbox keeps what it is sent [default: the directory for temporary files]
    #[arg(long, value_name = "DIR", requires = "sandbox")]
    sandbox_dir: Option<PathBuf>,
    /// Send once more what everybody got already
    #[arg(long)]
    again: bool,
    /// text, or a JSON object for each event
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    campaign: CampaignArgs,
}

/// A campaign that is in the record.
struct Kept {
    loaded: Loaded,
    outbox: Arc<Outbox>,
    /// How long ago earlier transactions of the account were over that count for its rates
    past: Vec<Duration>,
}

impl Send {
    /// Runs often without anybody to look, so what it says of other people is short; `check` says all of it.
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        self.send(screen).map_err(Failure::briefly)
    }

    fn send(self, screen: Screen) -> Result<Exit, Failure> {
        let loaded = self.campaign.load(|overrides| {
            overrides.account.clone_from(&self.account);
            overrides.rates.clone_from(&self.rate);
            overrides.connections = self.connections.map(usize::from);
        })?;
        loaded.say_remarks(screen);
        let selected = loaded.select(self.rows.as_ref())?;
        // What somebody got does not depend on whom else one means to write to now.
        let prepared = if self.dry_run { selected.clone() } else { (0..loaded.list().len()).collect() };
        let outbox = loaded.prepare(prepared, screen)?;
        screen.remark(&outbox.remarks().clone().briefly());
        if self.dry_run {
            let name = loaded.campaign.account.as_deref().unwrap_or("of the config file");
            let server = format!("account {name}, which was not looked at");
            let question = self.question(&loaded, &outbox, &server, None)?;
            if let Some(number) = self.confirm {
                confirm(&question, Some(number), screen)?;
            }
            match self.format {
                Format::Json => report::put_dry_run(outbox.len()),
                Format::Text => screen.print(&format!(
                    "{}\n{} messages are ready. This was a dry run: nothing was sent.\n",
                    question.text(),
                    outbox.len()
                )),
            }
            return Ok(Exit::Ok);
        }
        let account = if self.sandbox { None } else { Some(self.account(&loaded)?) };
        let server = account.as_ref().map_or("the sandbox in this program; nothing is delivered".into(), server);
        let signer = account.as_ref().and_then(|account| account.dkim.as_ref()).map(read_signer).transpose()?;
        if let Some(signer) = &signer {
            check_senders(signer, &loaded, &outbox)?;
        }
        let (file, _gone_at_the_end) = self.record()?;
        let kept = match self.keep(&file, loaded, outbox, &selected, account.as_ref(), screen)? {
            Ok(kept) => kept,
            Err(exit) => return Ok(exit),
        };
        let mut question = self.question(&kept.loaded, &kept.outbox, &server, account.as_ref())?;
        question.signed = signer.as_ref().map(ToString::to_string);
        confirm(&question, self.confirm, screen)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|why| Failure::because(Exit::Software, "send.runtime", why.to_string(), None))?;
        let secret = account.as_ref().map(|account| read_secret(account, &runtime)).transpose()?.flatten();
        let exit = runtime.block_on(self.deliver(kept, account, secret, signer, screen));
        // A name that is still being resolved holds nobody up.
        runtime.shutdown_background();
        exit
    }

    /// Opens the record and finds the campaign in it, or writes it down there; only an exit code where nobody is left to
    /// send to.
    fn keep(
        &self,
        file: &Path,
        mut loaded: Loaded,
        mut outbox: Outbox,
        selected: &[usize],
        account: Option<&Account>,
        screen: Screen,
    ) -> Result<Result<Kept, Exit>, Failure> {
        let mut store = Store::open(file).map_err(failed)?;
        let content = Digest::of_all(outbox.digests());
        let source = loaded.composer.source();
        let edition = store.edition(&content, &source, self.again).map_err(failed)?;
        if edition > 1 {
            loaded.composer = loaded.composer.with_edition(edition);
            outbox = loaded.prepare((0..loaded.list().len()).collect(), screen)?;
        }
        let people = loaded.list().iter().zip(outbox.digests());
        let messages = people.map(|(person, digest)| (person.row(), person.address().as_str().to_owned(), digest));
        let made = Made { content: &content, edition, source: &source, name: &loaded.campaign.name };
        let mut campaign = store.begin(&made, messages, jiff::Timestamp::now()).map_err(failed)?;
        let counts = campaign.counts(selected);
        if campaign.is_old {
            screen.note(&again(&campaign, &counts));
        }
        let outcomes = std::mem::take(&mut campaign.outcomes);
        let past = match account {
            Some(account) => {
                let rates = account.rates.iter().chain(&loaded.campaign.rates);
                let longest = rates.map(|rate| rate.window()).max().unwrap_or_default();
                store.recent(&account.name, longest, jiff::Timestamp::now()).map_err(failed)?
            }
            None => Vec::new(),
        };
        let journal = Journal::start(store, campaign, account.map(|account| account.name.clone()));
        let journal = journal.map_err(|why| Failure::because(Exit::Software, "send.journal", why.to_string(), None))?;
        Ok(match counts.of(Outcome::Queued) {
            0 if counts.of(Outcome::Sent) == counts.total() => Err(Exit::Ok),
            0 => Err(Exit::SomeNotSent),
            _ => Ok(Kept { loaded, outbox: Arc::new(outbox.kept(journal, &outcomes, selected)), past }),
        })
    }

    /// Where the record is. A sandbox has one of its own, whatever is named, since nobody gets anything.
    fn record(&self) -> Result<(PathBuf, Option<TempDir>), Failure> {
        if !self.sandbox {
            return Ok((self.record.file()?, None));
        }
        let directory = tempfile::Builder::new().prefix("apiece-outbox-").tempdir();
        let directory =
            directory.map_err(|why| Failure::because(Exit::CannotCreate, "outbox.sandbox", why.to_string(), None))?;
        Ok((directory.path().join(OUTBOX_FILE), Some(directory)))
    }

    fn account(&self, loaded: &Loaded) -> Result<Account, Failure> {
        let (file, named) = match &self.config {
            Some(file) => (file.clone(), Named::ByUser),
            None => (default_config()?, Named::ByDefault),
        };
        let configuration = |why| Failure::new(Exit::Configuration, why);
        let accounts = Accounts::read(&file, named).map_err(configuration)?;
        let account = accounts.choose(loaded.campaign.account.as_deref()).map_err(configuration)?;
        delivery::check_account(account).map_err(|why| {
            Failure::because(Exit::Configuration, "account.tls", why.to_string(), why.help().as_deref())
        })?;
        Ok(account.clone())
    }

    /// Rates besides the account's. The sandbox is in no hurry, and nobody's limits are at stake.
    fn rates(&self, loaded: &Loaded) -> Vec<Rate> {
        if self.sandbox { self.rate.clone() } else { loaded.campaign.rates.clone() }
    }

    /// What is about to be sent, through `server`, at the account's rates.
    fn question(
        &self,
        loaded: &Loaded,
        outbox: &Outbox,
        server: &str,
        account: Option<&Account>,
    ) -> Result<Question, Failure> {
        let rates = account.map_or(&[][..], |account| &account.rates);
        let queued = outbox.with(Outcome::Queued);
        let compose = |index: Option<&usize>| {
            let index = index.copied().unwrap_or_default();
            loaded.composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))
        };
        Ok(Question {
            campaign: loaded.campaign.name.clone(),
            first: compose(queued.first())?,
            last: compose(queued.last())?,
            count: queued.len(),
            all: outbox.len(),
            server: server.to_owned(),
            signed: None,
            rates: rates.iter().copied().chain(self.rates(loaded)).collect(),
        })
    }

    async fn deliver(
        &self,
        kept: Kept,
        account: Option<Account>,
        secret: Option<SecretString>,
        signer: Option<Signer>,
        screen: Screen,
    ) -> Result<Exit, Failure> {
        let (loaded, outbox) = (&kept.loaded, Arc::clone(&kept.outbox));
        let sandbox = if account.is_none() { Some(self.sandbox().await?) } else { None };
        let (account, secret) = match (account, &sandbox) {
            (Some(account), _) => (account, secret),
            (None, Some(sandbox)) => (sandbox.account(), Some(sandbox.secret())),
            (None, None) => return Ok(Exit::Software),
        };
        let rates: Vec<Rate> = account.rates.iter().copied().chain(self.rates(loaded)).collect();
        let connections = loaded.campaign.connections.unwrap_or(usize::MAX).min(account.connections.get());
        let job = Job {
            account,
            secret,
            rates: self.rates(loaded),
            connections,
            composer: loaded.composer.clone(),
            signer,
            outbox: Arc::clone(&outbox),
            past: kept.past,
            clock: ZonedDateTime::now,
        };
        let stop = Stop::default();
        let over = Arc::new(AtomicBool::new(false));
        let last_words = self.last_words(loaded, &outbox);
        tokio::spawn(signals::listen(stop.clone(), Arc::clone(&over), last_words, screen));
        let (sender, receiver) = mpsc::channel(EVENTS);
        let engine = tokio::spawn(delivery::run(job, sender, stop.clone()));
        let heard = report::listen(receiver, outbox.len(), rates, self.style(screen)).await;
        if let Err(error) = engine.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
        over.store(true, Ordering::SeqCst);
        self.conclude(loaded, &outbox, &heard, stop.reason(), sandbox.as_ref(), screen)
    }

    /// What is known of everybody at the moment, for somebody who leaves at once.
    fn last_words(&self, loaded: &Loaded, outbox: &Arc<Outbox>) -> impl Fn() -> String + use<> {
        let (outbox, composer, command, start) =
            (Arc::clone(outbox), loaded.composer.clone(), self.typed(), Instant::now());
        move || {
            let heard = Heard { time: start.elapsed(), ..Heard::default() };
            let stopped = Some(StopReason::Interrupted(Signal::Interrupt));
            Summary { outbox: &outbox, list: composer.list(), heard: &heard, stopped, command: command.clone() }.text()
        }
    }

    async fn sandbox(&self) -> Result<Sandbox, Failure> {
        let base = self.sandbox_dir.clone().unwrap_or_else(std::env::temp_dir);
        Sandbox::start(&base)
            .await
            .map_err(|why| Failure::because(Exit::CannotCreate, "sandbox.start", why.to_string(), None))
    }

    fn style(&self, screen: Screen) -> Style {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.format {
            Format::Json => Style::Json,
            Format::Text if screen.quiet => Style::Quiet,
            Format::Text if io::stderr().is_terminal() && !dumb => Style::Bar,
            Format::Text => Style::Lines,
        }
    }

    /// Says what became of everybody.
    fn conclude(
        &self,
        loaded: &Loaded,
        outbox: &Outbox,
        heard: &Heard,
        stopped: Option<StopReason>,
        sandbox: Option<&Sandbox>,
        screen: Screen,
    ) -> Result<Exit, Failure> {
        let summary = Summary { outbox, list: loaded.list(), heard, stopped, command: self.typed() };
        let exit = exit_of(&summary);
        match self.format {
            Format::Json => summary.put_json(),
            // What was not sent is said even if quiet is wanted.
            Format::Text if exit != Exit::Ok => Screen::print_always(&summary.text()),
            Format::Text => screen.print(&summary.text()),
        }
        let Some(sandbox) = sandbox else { return Ok(exit) };
        let proof = Proof::read(sandbox.directory(), loaded.list(), &loaded.allowed).map_err(|why| {
            let message = format!("what the sandbox kept cannot be read back: {why}");
            Failure::because(Exit::Software, "sandbox.proof", message, None)
        })?;
        if self.format == Format::Json {
            Summary::put_proof(&proof, sandbox.directory());
        } else {
            screen.print(&format!(
                "\nProof, read back from what the sandbox kept (nothing was delivered):\n{proof}\n\n\
                 The messages are in {}\n",
                visible(&sandbox.directory().display().to_string())
            ));
        }
        if exit == Exit::Ok && !proof.holds(outbox.len()) {
            let message = "what the sandbox kept is not one message for each recipient";
            return Err(Failure::because(Exit::Software, "sandbox.proof", message, Some("this is a fault in apiece")));
        }
        Ok(exit)
    }

    /// What was typed, as far as it matters for going on.
    fn typed(&self) -> String {
        let mut typed = format!("apiece send {} ", self.campaign.typed());
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(typed, "--{name} {} ", quoted(&value));
            }
        };
        flag("account", self.account.clone());
        flag("config", self.config.as_ref().map(|path| path.display().to_string()));
        for rate in &self.rate {
            flag("rate", Some(rate.to_string()));
        }
        flag("connections", self.connections.map(|number| number.to_string()));
        flag("sandbox-dir", self.sandbox_dir.as_ref().map(|path| path.display().to_string()));
        if self.sandbox {
            typed.push_str("--sandbox ");
        }
        typed
    }
}

/// `config.toml` in the platform's place for settings.
fn default_config() -> Result<PathBuf, Failure> {
    let strategy = own_directories().ok_or_else(|| {
        let message = "there is no home directory to look for the config file in";
        Failure::because(Exit::Configuration, "config.no-home", message, Some("say where it is with --config FILE"))
    })?;
    Ok(strategy.in_config_dir("config.toml"))
}

/// What is known of a campaign that was begun.
fn again(campaign: &Campaign, counts: &Counts) -> String {
    let mut text =
        format!("Campaign {} goes on: {} of {} sent before.", campaign.id, counts.of(Outcome::Sent), counts.total());
    for outcome in [Outcome::Failed, Outcome::InDoubt] {
        if counts.of(outcome) > 0 {
            let _ = write!(text, " {}: {}.", outcome.word(), counts.of(outcome));
        }
    }
    text + "\n"
}

fn read_signer(dkim: &Dkim) -> Result<Signer, Failure> {
    Signer::read(dkim).map_err(|why| Failure::new(Exit::Configuration, Diagnostic::error(Place::Nowhere, &why)))
}

/// Whether all messages come from the domain that the account signs for.
fn check_senders(signer: &Signer, loaded: &Loaded, outbox: &Outbox) -> Result<(), Failure> {
    let composer = &loaded.composer;
    let wrong = |place, why| Failure::new(Exit::Data, Diagnostic::error(place, &why));
    if let Some(from) = composer.template().fixed_sender() {
        return signer.check_sender(from).map_err(|why| wrong(Place::Nowhere, why));
    }
    let mut problems = Diagnostics::default();
    for index in outbox.with(Outcome::Queued) {
        let message = composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))?;
        if let Err(why) = signer.check_sender(message.envelope().from()) {
            problems.push(Diagnostic::error(composer.list().place(message.row(), None), &why));
        }
    }
    problems.checked(Some(())).map_err(|why| Failure::new(Exit::Data, why))
}

fn read_secret(account: &Account, runtime: &Runtime) -> Result<Option<SecretString>, Failure> {
    let Some(login) = account.login.clone() else { return Ok(None) };
    let asked = login.secret == SecretSource::Ask;
    let prompt = format!("Password of {} at {}: ", login.username, account.host);
    let read = move || login.secret.read(&prompt);
    let read = if asked { runtime.block_on(unless_interrupted(read)) } else { read() };
    let secret = read.map_err(|why| {
        let exit = if asked { Exit::Refused } else { Exit::Configuration };
        Failure::new(exit, Diagnostic::error(Place::Nowhere, &why))
    })?;
    Ok(Some(secret))
}

/// Asks at the terminal; Ctrl-C ends the program, with the terminal as it was before.
async fn unless_interrupted(
    ask: impl FnOnce() -> Result<SecretString, SecretError> + std::marker::Send + 'static,
) -> Result<SecretString, SecretError> {
    #[cfg(unix)]
    let before = rustix::termios::tcgetattr(io::stdin()).ok();
    let mut signals = Signals::new();
    let signal = tokio::select! {
        asked = tokio::task::spawn_blocking(ask) => match asked.unwrap_or(Err(SecretError::NoTerminal)) {
            // The reading thread may hear of the signal first.
            Err(SecretError::Terminal(why)) if why.kind() == io::ErrorKind::Interrupted => Signal::Interrupt,
            secret => return secret,
        },
        signal = signals.next() => signal,
    };
    #[cfg(unix)]
    if let Some(before) = before {
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &before);
    }
    let _ = io::stderr().write_all(b"\n");
    signals::leave(signal)
}

fn exit_of(summary: &Summary<'_>) -> Exit {
    let counts = summary.counts();
    if counts.of(Outcome::Sent) == counts.total() {
        return Exit::Ok;
    }
    match &summary.stopped {
        Some(StopReason::Unreachable { .. }) => Exit::Unavailable,
        Some(StopReason::Unavailable(reply)) if reply.is_permanent() => Exit::Unavailable,
        Some(StopReason::Insecure { .. }) => Exit::Protocol,
        Some(StopReason::LoginRefused(_) | StopReason::SenderRefused { .. }) => Exit::Refused,
        Some(StopReason::NoLogin(_) | StopReason::NotSigned { .. }) => Exit::Configuration,
        Some(StopReason::TooLarge { .. }) => Exit::Data,
        Some(StopReason::Changed { .. } | StopReason::Unsound { .. }) => Exit::Software,
        Some(StopReason::NoRecord { .. }) => Exit::Io,
        Some(StopReason::Interrupted(Signal::Interrupt)) => Exit::Interrupted,
        Some(StopReason::Interrupted(Signal::Terminate)) => Exit::Terminated,
        None if counts.of(Outcome::Failed) + counts.of(Outcome::InDoubt) > 0 => Exit::SomeNotSent,
        None | Some(StopReason::Unavailable(_) | StopReason::LoginUnavailable(_)) => Exit::TryAgain,
    }
}
