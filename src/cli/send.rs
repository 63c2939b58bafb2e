//! `apiece send`

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use etcetera::{AppStrategy, AppStrategyArgs};
use jiff::ZonedDateTime;
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::{
    Exit, Failure, Screen,
    confirm::{Question, confirm, server},
    load::{CampaignArgs, Loaded, quoted},
};
use crate::{
    campaign::{Account, Accounts, Named, Rate},
    delivery::{self, Job, Signal, Stop, StopReason},
    diagnostic::visible,
    outbox::{Outbox, Outcome},
    report::{self, Heard, Rows, Style, Summary},
    sandbox::{Proof, Sandbox},
    secret::SecretSource,
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
    #[command(flatten)]
    campaign: CampaignArgs,
    /// The account of your config file to send through
    #[arg(long, value_name = "NAME", env = "APIECE_ACCOUNT")]
    account: Option<String>,
    /// Your config file
    #[arg(long, value_name = "FILE", env = "APIECE_CONFIG")]
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
    /// text, or a JSON object for each event
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Send {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let loaded = self.campaign.load(|overrides| {
            overrides.account.clone_from(&self.account);
            overrides.rates.clone_from(&self.rate);
            overrides.connections = self.connections.map(usize::from);
        })?;
        let outbox = loaded.prepare(loaded.select(self.rows.as_ref())?, screen)?;
        if self.dry_run {
            let name = loaded.campaign.account.as_deref().unwrap_or("of the config file");
            let server = format!("account {name}, which was not looked at");
            let question = self.question(&loaded, &outbox, &server, &[])?;
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
        let rates = account.as_ref().map_or(&[][..], |account| &account.rates);
        confirm(&self.question(&loaded, &outbox, &server, rates)?, self.confirm, screen)?;
        let secret = account.as_ref().map(read_secret).transpose()?.flatten();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|why| Failure::because(Exit::Software, "send.runtime", why.to_string(), None))?;
        let exit = runtime.block_on(self.deliver(&loaded, Arc::new(outbox), account, secret, screen));
        // A name that is still being resolved holds nobody up.
        runtime.shutdown_background();
        exit
    }

    fn account(&self, loaded: &Loaded) -> Result<Account, Failure> {
        let (file, named) = match &self.config {
            Some(file) => (file.clone(), Named::ByUser),
            None => (default_config()?, Named::ByDefault),
        };
        let configuration = |why| Failure::new(Exit::Configuration, why);
        let accounts = Accounts::read(&file, named).map_err(configuration)?;
        accounts.choose(loaded.campaign.account.as_deref()).cloned().map_err(configuration)
    }

    /// Rates besides the account's. The sandbox is in no hurry, and nobody's limits are at stake.
    fn rates(&self, loaded: &Loaded) -> Vec<Rate> {
        if self.sandbox { self.rate.clone() } else { loaded.campaign.rates.clone() }
    }

    /// What is about to be sent, through `server`, at the account's rates.
    fn question(&self, loaded: &Loaded, outbox: &Outbox, server: &str, rates: &[Rate]) -> Result<Question, Failure> {
        let queued = outbox.with(Outcome::Queued);
        let compose = |index: Option<&usize>| {
            let index = index.copied().unwrap_or_default();
            loaded.composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))
        };
        Ok(Question {
            campaign: loaded.campaign.name.clone(),
            first: compose(queued.first())?,
            last: compose(queued.last())?,
            count: outbox.len(),
            server: server.to_owned(),
            rates: rates.iter().copied().chain(self.rates(loaded)).collect(),
        })
    }

    async fn deliver(
        &self,
        loaded: &Loaded,
        outbox: Arc<Outbox>,
        account: Option<Account>,
        secret: Option<SecretString>,
        screen: Screen,
    ) -> Result<Exit, Failure> {
        let sandbox = if account.is_none() { Some(self.sandbox().await?) } else { None };
        let (account, secret) = match (account, &sandbox) {
            (Some(account), _) => (account, secret),
            (None, Some(sandbox)) => (sandbox.account(), Some(sandbox.secret())),
            (None, None) => return Ok(Exit::Software),
        };
        let connections = loaded.campaign.connections.unwrap_or(usize::MAX).min(account.connections.get());
        let job = Job {
            account,
            secret,
            rates: self.rates(loaded),
            connections,
            composer: loaded.composer.clone(),
            outbox: Arc::clone(&outbox),
            clock: ZonedDateTime::now,
        };
        let stop = Stop::default();
        let listener = tokio::spawn(listen_for_signals(stop.clone(), screen));
        let (sender, receiver) = mpsc::channel(EVENTS);
        let engine = tokio::spawn(delivery::run(job, sender, stop.clone()));
        let heard = report::listen(receiver, outbox.len(), self.style(screen)).await;
        if let Err(error) = engine.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
        listener.abort();
        self.conclude(loaded, &outbox, &heard, stop.reason(), sandbox.as_ref(), screen)
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
        let proof = Proof::read(sandbox.directory(), loaded.list(), &loaded.campaign.allow).map_err(|why| {
            let message = format!("what the sandbox kept cannot be read back: {why}");
            Failure::because(Exit::Software, "sandbox.proof", message, None)
        })?;
        if self.format == Format::Json {
            Summary::put_proof(&proof);
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
        if self.sandbox {
            typed.push_str("--sandbox ");
        }
        typed
    }
}

/// `config.toml` in the platform's place for settings.
fn default_config() -> Result<PathBuf, Failure> {
    let arguments =
        AppStrategyArgs { top_level_domain: "org".into(), author: "apiece".into(), app_name: "apiece".into() };
    let strategy = etcetera::choose_app_strategy(arguments).map_err(|_| {
        let message = "there is no home directory to look for the config file in";
        Failure::because(Exit::Configuration, "config.no-home", message, Some("say where it is with --config FILE"))
    })?;
    Ok(strategy.in_config_dir("config.toml"))
}

fn read_secret(account: &Account) -> Result<Option<SecretString>, Failure> {
    let Some(login) = &account.login else { return Ok(None) };
    let prompt = format!("Password of {} at {}: ", login.username, account.host);
    let secret = login.secret.read(&prompt).map_err(|why| {
        let exit = if login.secret == SecretSource::Ask { Exit::Refused } else { Exit::Configuration };
        Failure::new(exit, crate::diagnostic::Diagnostic::error(crate::diagnostic::Place::Nowhere, &why))
    })?;
    Ok(Some(secret))
}

/// The first Ctrl-C or SIGTERM asks the run to stop, the second leaves at once.
async fn listen_for_signals(stop: Stop, screen: Screen) {
    let mut signals = Signals::new();
    loop {
        let signal = signals.next().await;
        if stop.request(StopReason::Interrupted(signal)) || !matches!(stop.reason(), Some(StopReason::Interrupted(_))) {
            screen.note("\nfinishing what is under way; once more leaves at once\n");
        } else {
            let exit = if signal == Signal::Interrupt { Exit::Interrupted } else { Exit::Terminated };
            let _ = io::stderr().write_all(b"\nleft at once: what was under way is in doubt\n");
            std::process::exit(exit.code().into());
        }
    }
}

/// Ctrl-C and, where there is one, SIGTERM.
struct Signals {
    #[cfg(unix)]
    streams: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { streams: signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok()) }
    }

    async fn next(&mut self) -> Signal {
        let Some((interrupt, terminate)) = &mut self.streams else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self {}
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
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
        Some(StopReason::NoLogin(_)) => Exit::Configuration,
        Some(StopReason::Changed { .. }) => Exit::Software,
        Some(StopReason::Interrupted(Signal::Interrupt)) => Exit::Interrupted,
        Some(StopReason::Interrupted(Signal::Terminate)) => Exit::Terminated,
        None if counts.of(Outcome::Failed) + counts.of(Outcome::InDoubt) > 0 => Exit::SomeNotSent,
        None | Some(StopReason::Unavailable(_) | StopReason::LoginUnavailable(_)) => Exit::TryAgain,
    }
}
