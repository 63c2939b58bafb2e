//! The run itself, and what is said about it.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::ZonedDateTime;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{LEFT, Ready, Recheck, Send, log::Seen};
use crate::{
    address::Address,
    campaign::{Account, Hours},
    cli::{Exit, Failure, Format, Screen, signals, when::in_a_line},
    delivery::{self, Job, Schedule, Signal, Stop, StopReason},
    diagnostic::visible,
    message::{Composer, Signer},
    outbox::{Outbox, Outcome},
    report::{self, Heard, Reader, Style, Summary, spoken},
    sandbox::{Proof, Sandbox},
    secret::{Password, Secrets},
};

/// So many events wait to be shown before the engine waits for the screen.
const EVENTS: usize = 1024;

impl Send {
    /// Sends it; gives what the log is to know of it.
    pub(super) async fn deliver(
        &self,
        ready: Ready,
        account: Option<Account>,
        (secret, signer): (Option<Arc<dyn Secrets>>, Option<Signer>),
        hours: Option<Hours>,
        (seen, screen): (Seen, Screen),
    ) -> Result<(Exit, Value), Failure> {
        let Ready { campaign, composer, allowed, outbox, cleared: _, recheck, shared, .. } = ready;
        let sandbox = if account.is_none() { Some(self.sandbox().await?) } else { None };
        let (account, secret) = match (account, &sandbox) {
            (Some(account), _) => (account, secret),
            (None, Some(sandbox)) => (sandbox.account(), Some(Arc::new(Password(sandbox.secret())) as _)),
            (None, None) => return Ok((Exit::Software, Value::Null)),
        };
        let rates = self.all_rates(&campaign, Some(&account));
        let connections = campaign.connections.unwrap_or(usize::MAX).min(account.connections.get());
        let (first, ask) = self.first(outbox.with(&LEFT).len(), Arc::clone(&recheck), screen).unzip();
        let name = account.name.clone();
        let secrets = secret.clone();
        let job = Job {
            account,
            secret,
            rates: self.rates(&campaign),
            spread: campaign.spread.unwrap_or(false),
            connections,
            first,
            composer: composer.clone(),
            signer: signer.map(Arc::new),
            outbox: Arc::clone(&outbox),
            retry: campaign.retry,
            waits: !self.retry.no_wait && self.test.is_none(),
            shared,
            clock: ZonedDateTime::now,
            schedule: hours.filter(|_| !self.sandbox).map(|hours| schedule(hours, Arc::clone(&recheck))),
        };
        let stop = Stop::default();
        let over = Arc::new(AtomicBool::new(false));
        let last_words = self.last_words(&composer, &outbox);
        tokio::spawn(signals::listen(stop.clone(), Arc::clone(&over), last_words, screen));
        if let Some(hold) = campaign.hold.filter(|_| !self.sandbox) {
            let _ = stop.unless(held(hold.duration(), screen)).await;
            // Somebody may have said no meanwhile.
            recheck()?;
        }
        let (sent_before, left) = (outbox.counts().of(Outcome::Sent), outbox.with(&LEFT).len());
        self.so_far.begins(sent_before, left);
        report::log::started(&campaign.name, &name, left, &rates);
        let mut metrics = self.begin_metrics();
        let (sender, receiver) = mpsc::channel(EVENTS);
        let engine = tokio::spawn(delivery::run(job, sender, stop.clone()));
        let heard = report::listen(
            receiver,
            (&outbox, composer.list()),
            rates,
            self.style(seen, screen),
            metrics.as_mut(),
            ask,
        )
        .await;
        if let Err(error) = engine.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
        if let Some(secrets) = secrets {
            secrets.settled().await;
        }
        over.store(true, Ordering::SeqCst);
        let stopped = stop.reason();
        let (list, command, tester) = (composer.list(), self.typed(), self.test.clone());
        self.so_far.over(outbox.counts(), stopped.clone(), metrics);
        let summary = Summary { outbox: &outbox, list, heard: &heard, stopped, command, tester, reader: reader() };
        let exit = self.conclude(&summary, screen);
        let details = summary.details();
        if let Some(sandbox) = sandbox {
            self.prove(&sandbox, &composer, &allowed, (exit, outbox.len()), screen)?;
        }
        Ok((exit, details))
    }

    /// What is known of everybody at the moment, for somebody who leaves at once.
    fn last_words(&self, composer: &Composer, outbox: &Arc<Outbox>) -> impl Fn(Signal) -> String + use<> {
        let (outbox, composer, command, start) = (Arc::clone(outbox), composer.clone(), self.typed(), Instant::now());
        let (tester, so_far, name) = (self.test.clone(), Arc::clone(&self.so_far), self.campaign.name());
        move |signal| {
            let heard = Heard { time: start.elapsed(), ..Heard::default() };
            let stopped = Some(StopReason::Interrupted(signal));
            so_far.over(outbox.counts(), stopped.clone(), None);
            so_far.log_end(signals::exit_of(signal), None, &name);
            let (list, command, tester) = (composer.list(), command.clone(), tester.clone());
            Summary { outbox: &outbox, list, heard: &heard, stopped, command, tester, reader: reader() }.text()
        }
    }

    async fn sandbox(&self) -> Result<Sandbox, Failure> {
        let base = self.sandbox_dir.clone().unwrap_or_else(std::env::temp_dir);
        Sandbox::start(&base)
            .await
            .map_err(|why| Failure::because(Exit::CannotCreate, "sandbox.start", why.to_string(), None))
    }

    fn style(&self, seen: Seen, screen: Screen) -> Style {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.format {
            Format::Json => Style::Json,
            Format::Text if screen.quiet || seen == Seen::Here => Style::Quiet,
            Format::Text if io::stderr().is_terminal() && !dumb => Style::Bar,
            Format::Text => Style::Quiet,
        }
    }

    /// Says what became of everybody.
    fn conclude(&self, summary: &Summary<'_>, screen: Screen) -> Exit {
        let exit = exit_of(summary);
        match self.format {
            Format::Json => summary.put_json(),
            // What was not sent is said even if quiet is wanted.
            Format::Text if exit != Exit::Ok => Screen::print_always(&summary.text()),
            Format::Text => screen.print(&summary.text()),
        }
        exit
    }

    /// Reads back what a sandbox kept, and says what it comes to.
    fn prove(
        &self,
        sandbox: &Sandbox,
        composer: &Composer,
        allowed: &[Address],
        (exit, count): (Exit, usize),
        screen: Screen,
    ) -> Result<(), Failure> {
        let proof = Proof::read(sandbox.directory(), composer.list(), allowed).map_err(|why| {
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
        if exit == Exit::Ok && !proof.holds(count) {
            let message = "what the sandbox kept is not one message for each recipient";
            return Err(Failure::because(Exit::Software, "sandbox.proof", message, Some("this is a fault in apiece")));
        }
        Ok(())
    }
}

/// When a run may begin something, and what is looked at again before it goes on.
pub(in crate::cli) fn schedule(hours: Hours, recheck: Recheck) -> Schedule {
    let recheck = move || recheck().map(|_| ()).map_err(|failure| in_a_line(&failure));
    Schedule { hours, recheck: Arc::new(recheck) }
}

/// Counts down before the first message leaves.
async fn held(time: Duration, screen: Screen) {
    let end = tokio::time::Instant::now() + time;
    let is_seen = io::stderr().is_terminal() && !screen.quiet;
    if !is_seen {
        screen.note(&format!("the first message leaves in {}\n", spoken(time)));
    }
    while let Some(left) = end.checked_duration_since(tokio::time::Instant::now()).filter(|left| !left.is_zero()) {
        if is_seen {
            let _ =
                write!(io::stderr(), "\rthe first message leaves in {} s; Ctrl-C, and none does ", left.as_secs() + 1);
        }
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
    if is_seen {
        let _ = writeln!(io::stderr());
    }
}

/// Who reads the results: what goes to no terminal ends up in logs and in mail.
fn reader() -> Reader {
    if io::stdout().is_terminal() { Reader::Person } else { Reader::Log }
}

fn exit_of(summary: &Summary<'_>) -> Exit {
    let counts = summary.counts();
    if counts.all_sent() {
        return Exit::Ok;
    }
    match &summary.stopped {
        Some(StopReason::Unreachable { .. }) => Exit::Unavailable,
        Some(StopReason::Unavailable(reply)) if reply.is_permanent() => Exit::Unavailable,
        Some(StopReason::Insecure { .. }) => Exit::Protocol,
        Some(StopReason::NoSecret(why)) if why.is_passing => Exit::TryAgain,
        Some(
            StopReason::LoginRefused(_)
            | StopReason::NoSecret(_)
            | StopReason::SenderRefused { .. }
            | StopReason::NotGoneOn
            | StopReason::TooLate { .. }
            | StopReason::NoLongerAllowed { .. },
        ) => Exit::Refused,
        Some(StopReason::NoLogin(_) | StopReason::NotSigned { .. }) => Exit::Configuration,
        Some(StopReason::TooLarge { .. }) => Exit::Data,
        Some(StopReason::Changed { .. } | StopReason::Unsound { .. }) => Exit::Software,
        Some(StopReason::NoRecord { .. }) => Exit::Io,
        Some(StopReason::Interrupted(Signal::Interrupt)) => Exit::Interrupted,
        Some(StopReason::Interrupted(Signal::Terminate)) => Exit::Terminated,
        None if counts.of(Outcome::Failed) + counts.of(Outcome::InDoubt) > 0 => Exit::SomeNotSent,
        None
        | Some(
            StopReason::Outside { .. }
            | StopReason::Unavailable(_)
            | StopReason::LoginUnavailable(_)
            | StopReason::SameReply { .. }
            | StopReason::LetGo,
        ) => Exit::TryAgain,
    }
}
