//! What is told of a run to those who did not look: the last record of the log, numbers for a monitor, a notification. However the
//! run ended, and also where it never began.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;

use super::{Send, notify};
use crate::{
    address::Address,
    campaign::{Account, NotifyOn, NotifyOptions},
    cli::{Exit, Failure, Screen},
    delivery::StopReason,
    diagnostic::{Diagnostic, visible},
    outbox::Counts,
    report::{
        self, Metrics,
        log::{self, Ended},
    },
};

/// The code of a file of metrics that cannot be written.
const METRICS: &str = "metrics.file";

/// Of a program that cannot be run.
const COMMAND: &str = "notify.command";

/// Of the complaint that everybody got it already.
const DONE: &str = "outbox.done";

/// Who is told afterwards.
#[derive(Debug, Args)]
pub(super) struct AftermathArgs {
    /// Write the numbers of the run to this file, as Prometheus' textfile collector reads them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "sandbox", "test"])]
    metrics: Option<PathBuf>,
    /// Run this program when the run is over, with counts in its environment and as JSON on its standard input
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["dry_run", "sandbox", "test"])]
    notify_command: Option<String>,
    /// Send counts to this address when the run is over, through the same account
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["dry_run", "sandbox", "test"])]
    notify_email: Option<Address>,
    /// Notify at every end, or only when something is to be done: end, trouble [default: end]
    #[arg(long, value_name = "WHEN")]
    notify_on: Option<NotifyOn>,
}

/// What is known of a run so far.
#[derive(Debug, Default)]
pub(super) struct SoFar(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    name: Option<String>,
    campaign: Option<String>,
    account: Option<Account>,
    /// The sender of every message, if it is the same
    sender: Option<Address>,
    notify: Option<NotifyOptions>,
    metrics: Option<Metrics>,
    left: Option<usize>,
    /// When it began to send
    began: Option<Instant>,
    /// How many were sent before
    sent_before: usize,
    counts: Option<Counts>,
    stopped: Option<StopReason>,
}

impl SoFar {
    fn with<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was loaded.
    pub(super) fn loaded(&self, name: &str, notify: &NotifyOptions, sender: Option<&Address>) {
        self.with(|known| {
            known.name = Some(name.to_owned());
            known.notify = Some(notify.clone());
            known.sender = sender.cloned();
        });
    }

    /// Through which account it goes.
    pub(super) fn chosen(&self, account: Option<&Account>) {
        self.with(|known| known.account = account.cloned());
    }

    /// As which campaign it is in the record.
    pub(super) fn kept(&self, id: &str) {
        log::is_about(id);
        self.with(|known| known.campaign = Some(id.to_owned()));
    }

    /// That it begins to send, when so many are sent and so many left.
    pub(super) fn begins(&self, sent: usize, left: usize) {
        self.with(|known| (known.began, known.sent_before, known.left) = (Some(Instant::now()), sent, Some(left)));
    }

    /// What became of it.
    pub(super) fn over(&self, counts: Counts, stopped: Option<StopReason>, metrics: Option<Metrics>) {
        self.with(|known| (known.counts, known.stopped, known.metrics) = (Some(counts), stopped, metrics));
    }

    /// The last record of the log.
    pub(super) fn log_end(&self, exit: Exit, failure: Option<&Failure>, fallback: &str) -> Ended {
        let ended = self.with(|known| {
            let sent = known.counts.map_or(0, |counts| counts.of(crate::outbox::Outcome::Sent));
            Ended {
                name: known.name.clone().unwrap_or_else(|| fallback.to_owned()),
                account: known.account.as_ref().map(|account| account.name.clone()),
                counts: known.counts,
                left: known.left,
                stopped: known.stopped.clone(),
                code: failure.and_then(|failure| failure.why.iter().find(|why| why.is_error()).map(Diagnostic::code)),
                time: known.began.map_or(Duration::ZERO, |began| began.elapsed()),
                sent_now: sent.saturating_sub(known.sent_before),
                exit: exit.code(),
            }
        });
        log::ended(&ended);
        ended
    }
}

impl Send {
    /// Whether this is the real thing, and not a rehearsal of it.
    pub(super) fn is_real(&self) -> bool {
        !self.dry_run && !self.sandbox && self.test.is_none()
    }

    /// The numbers of a run that begins, if they are wanted.
    pub(super) fn begin_metrics(&self) -> Option<Metrics> {
        let file = self.aftermath.metrics.as_deref()?;
        Some(self.so_far.with(|known| {
            let name = known.name.clone().unwrap_or_else(|| self.campaign.name());
            Metrics::new(file, &name, known.account.as_ref().map(|account| account.name.as_str()))
        }))
    }

    /// Whether those who are to be told can be, said before anything is done.
    pub(super) fn check_aftermath(&self, name: &str) -> Result<(), Failure> {
        self.check_metrics(name)?;
        let Some(command) = &self.aftermath.notify_command else { return Ok(()) };
        notify::check_command(command).map_err(|why| {
            let message = format!("--notify-command cannot be run: {why}; nothing was sent");
            let help = Some("name a program that is there and may be run, by its path or as it is found in PATH");
            Failure::because(Exit::Configuration, COMMAND, message, help)
        })
    }

    /// Anybody may read the numbers, and what two campaigns are called must not be the same there.
    fn check_metrics(&self, name: &str) -> Result<(), Failure> {
        let Some(file) = &self.aftermath.metrics else { return Ok(()) };
        if log::is_removed(name) {
            let message = "the metrics would show an address, since the campaign's name holds one";
            let help = Some("give its directory or its template another name");
            return Err(Failure::because(Exit::Configuration, METRICS, message, help));
        }
        report::check_metrics(file).map_err(|why| {
            let message = format!("the metrics {} cannot be written: {why}", visible(&file.display().to_string()));
            Failure::because(Exit::CannotCreate, METRICS, message, Some("choose another name, which ends in .prom"))
        })
    }

    /// Tells whoever is to be told how it ended. None of it changes that.
    pub(super) fn tell(&self, result: &Result<Exit, Failure>) {
        let exit = match result {
            Ok(Exit::Ok) if report::output_was_lost() => Exit::Io,
            Ok(exit) => *exit,
            Err(failure) => failure.exit,
        };
        let ended = self.so_far.log_end(exit, result.as_ref().err(), &self.campaign.name());
        if ended.code != Some(METRICS)
            && let Some(mut metrics) = self.so_far.with(|known| known.metrics.take()).or_else(|| self.begin_metrics())
        {
            metrics.end(&ended);
        }
        if self.is_real() && is_news(&ended) {
            self.notify(&ended);
        }
    }

    fn notify(&self, ended: &Ended) {
        let own = NotifyOptions { email: self.aftermath.notify_email.clone(), on: self.aftermath.notify_on };
        let known = self
            .so_far
            .with(|known| (known.campaign.clone(), known.account.clone(), known.sender.clone(), known.notify.take()));
        let (id, account, sender, notify) = known;
        // Where the list was refused, its settings may still be all right.
        let settings = || self.campaign.settings().map(|settings| (settings.notify, settings.account));
        let (notify, named) = match notify {
            Some(notify) => (notify, None),
            None => settings().unwrap_or_default(),
        };
        let NotifyOptions { email, on } = own.or(notify);
        if on.unwrap_or_default() == NotifyOn::Trouble && ended.exit == 0 {
            return;
        }
        let news = notify::News { ended, id: id.as_deref() };
        let failed = |how: &'static str, why: String| {
            log::sent_no_word(how, &why);
            let exit = ended.exit;
            Screen::warn(&format!("nobody was notified by {how}: {why}; the run itself ended with exit code {exit}"));
        };
        if let Some(command) = self.aftermath.notify_command.as_ref().filter(|_| ended.code != Some(COMMAND))
            && let Err(why) = news.to_command(command)
        {
            failed("command", why);
        }
        if let Some(to) = &email {
            let name = self.account.as_deref().or(named.as_deref());
            let sent =
                notify::account(account, || crate::cli::account::choose(self.config(), name)).and_then(|account| {
                    // Whoever is told is told, whether or not it can be counted.
                    let _counted = self.aside(&account).ok();
                    news.to_address(to, account, sender.as_ref())
                });
            if let Err(why) = sent {
                failed("email", why);
            }
        }
    }
}

/// Whether there is something to tell: a job that is started each minute has mostly nothing to do, or is being done already.
fn is_news(ended: &Ended) -> bool {
    let is_idle = [Exit::Ok, Exit::TryAgain].iter().any(|exit| exit.code() == ended.exit) || ended.code == Some(DONE);
    ended.counts.is_some() || !is_idle
}
