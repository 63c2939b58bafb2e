//! `apiece work`: a worker, which sends what is handed over to it until it is told to stop.

mod desk;
mod serve;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use jiff::Timestamp;
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use self::desk::Desk;
use super::{
    Exit, Failure, Format, Screen, account,
    approval::clear,
    follow,
    load::Frozen,
    record::{RecordArgs, failed, state_directory, who},
    send::{Kind, LogArgs},
    signals,
    when::in_a_line,
};
use crate::{
    delivery::Stop,
    diagnostic::{Diagnostic, Place::Nowhere},
    message::Digest,
    outbox::{Deed, Location, Outcome, Reports, Store, StoreError, Worker},
    report::{Board, Endpoint, Place, Supervisor, log},
    secret::create_directory,
};

/// So often it is looked after what all accounts have in common.
const TEND_EVERY: Duration = Duration::from_secs(2);

/// So often it is looked for what was approved.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// So often what counts for no window any more is removed.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// So often it is counted what is left, where somebody may ask: each message is looked at for that.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// How long nothing is asked of a database that was away: at first, and at most.
const AWAY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// So many workers on one machine may use one database.
const MOST_WORKERS: usize = 100;

/// Arguments of `apiece work`.
#[derive(Debug, Args)]
#[command(after_help = "\
Sends the campaigns of an outbox in PostgreSQL that were handed over to workers (apiece send --queue),
or that somebody approved, and that are due. As many workers on as many machines as you like send
together: each person gets one message, and the limits of an account hold for all of them.

SIGTERM or Ctrl-C finishes what is under way and gives the rest back. A database that goes away is
waited for.

Examples:
  apiece work --account work --outbox postgres://apiece@db.clinic.example/apiece
  apiece work --account work --account news --connections 4 --metrics-listen 127.0.0.1:9465

Exit codes: 0 told to stop, or nothing left with --until-done; 64 usage; 69 with --ask: it cannot send;
75 the outbox cannot be reached at the start; 76 no safe connection; 77 the login was refused; 78 configuration.")]
pub(super) struct Work {
    /// An account of your config file to send through; say it again for each
    #[arg(long, value_name = "NAME", required_unless_present = "ask")]
    account: Vec<String>,
    /// Open at most so many connections for each account; all workers together open no more than the account has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// End once nothing is left to send
    #[arg(long)]
    until_done: bool,
    /// Answer a monitor and a supervisor at this address, for example 127.0.0.1:9465: /metrics, /healthz, /readyz
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<Place>,
    /// Ask the worker that answers at this address whether it can send, and do nothing else: for a container's health check
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["account", "connections", "until_done", "metrics_listen"])]
    ask: Option<Place>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    record: RecordArgs,
}

/// What all accounts of a worker have in common.
struct Office {
    place: Location,
    /// That somebody wants it to stop
    stop: Stop,
    board: Arc<Board>,
    reports: Arc<Reports>,
    until_done: bool,
    /// Whether somebody may ask how it stands
    is_watched: bool,
    runtime: Arc<Runtime>,
    screen: Screen,
}

/// Ends a stay, unless it is forgotten.
struct EndsStay<'s>(&'s Stay<'s>);

impl Drop for EndsStay<'_> {
    fn drop(&mut self) {
        let _ = self.0.over.set(StoreError::Lost(self.0.office.place.clone()));
    }
}

/// One stay at the database, as long as it is there and takes this for one of its workers.
struct Stay<'o> {
    office: &'o Office,
    worker: &'o Worker,
    /// Why it is over
    over: OnceLock<StoreError>,
    /// That nothing is left to do
    done: AtomicBool,
}

impl Stay<'_> {
    /// Whether nothing further is to be begun.
    fn is_over(&self) -> bool {
        self.over.get().is_some() || self.done.load(Ordering::SeqCst) || self.office.stop.reason().is_some()
    }

    /// What a database said in place of an answer ends the stay.
    fn ask<T>(&self, asked: Result<T, StoreError>) -> Option<T> {
        asked.map_err(|why| self.over.set(why)).ok()
    }

    /// Waits, unless it is over before.
    fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.is_over() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50).min(end.saturating_duration_since(Instant::now())));
        }
    }
}

impl Work {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        if let Some(place) = &self.ask {
            return ask(place, screen);
        }
        self.log.start(Format::Text, Kind::Worker, screen)?;
        let place = self.record.location()?;
        if place.is_file() {
            return Err(failed(StoreError::NoWorkers(place)));
        }
        let config = self.record.config.file();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|why| Failure::because(Exit::Software, "work.runtime", why.to_string(), None))?;
        let mut desks: Vec<Desk> = Vec::new();
        for name in &self.account {
            let account = account::choose(config, Some(name))?;
            if desks.iter().any(|desk| desk.account.name == account.name) {
                continue;
            }
            let secret = account::read_secret(&account)?;
            let signer = account.dkim.as_ref().map(account::read_signer).transpose()?;
            let connections = self.connections.map_or(usize::MAX, usize::from).min(account.connections.get());
            desks.push(Desk::new(account, secret, signer, connections));
        }
        let names: Vec<String> = desks.iter().map(|desk| desk.account.name.clone()).collect();
        // What is wrong with it from the beginning is no reason to wait.
        Store::open(&place).map_err(failed)?;
        let reports = own_reports(&place)?;
        let office = Office {
            place,
            stop: Stop::default(),
            board: Board::new(&names),
            reports: Arc::new(reports.own),
            until_done: self.until_done,
            is_watched: self.metrics_listen.is_some(),
            runtime: Arc::new(runtime),
            screen,
        };
        let answering = self.open_counters(&office)?;
        let over = Arc::new(AtomicBool::new(false));
        office.runtime.spawn(signals::listen(office.stop.clone(), Arc::clone(&over), |_| String::new(), screen));
        office.stay_on(&desks, &names, reports.others);
        over.store(true, Ordering::SeqCst);
        for desk in &desks {
            desk.settle(&office.runtime);
        }
        if let Some(answering) = answering {
            answering.end(&office.runtime);
        }
        // What a person would have to do cannot be done by starting it again.
        let given_up = desks.iter().filter_map(Desk::given_up).collect::<Vec<_>>();
        match given_up.into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(Exit::Ok),
        }
    }

    /// Starts to answer monitors and the supervisor; what answers ends with what is given, which closes its socket.
    fn open_counters(&self, office: &Office) -> Result<Option<Answering>, Failure> {
        let supervisor = Arc::new(Supervisor::of_environment(|name| std::env::var_os(name)));
        let (board, stop) = (Arc::clone(&office.board), office.stop.clone());
        let answering = self.metrics_listen.as_ref().map(|place| {
            let opened = office.runtime.block_on(Endpoint::open(place));
            let endpoint = opened.map_err(|why| Failure::new(Exit::Configuration, Diagnostic::error(Nowhere, &why)))?;
            let (end, ended) = oneshot::channel::<()>();
            let ended = async move { drop(ended.await) };
            Ok(Answering { end, task: office.runtime.spawn(endpoint.run(Arc::clone(&board), ended)) })
        });
        let answering = answering.transpose()?;
        let stopping = Arc::clone(&supervisor);
        office.runtime.spawn(async move {
            let _ = stop.unless(std::future::pending::<()>()).await;
            stopping.stopping();
        });
        office.runtime.spawn(async move {
            while board.ready().is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            supervisor.ready();
            supervisor.watch(&board).await;
        });
        Ok(answering)
    }
}

/// What answers monitors.
struct Answering {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Answering {
    fn end(self, runtime: &Runtime) {
        let _ = self.end.send(());
        let _ = runtime.block_on(self.task);
    }
}

impl Office {
    /// Works as long as nobody stops it. A database that goes away, or that takes this worker for lost, is come back to.
    fn stay_on(&self, desks: &[Desk], names: &[String], others: Vec<Reports>) {
        let (mut pause, mut before, mut others) = (AWAY.0, None, others);
        while self.stop.reason().is_none() && !desks.iter().all(Desk::is_given_up) {
            self.board.beat();
            let start = |store: Store| Ok((Worker::start(&store, names, Timestamp::now())?, store));
            let (worker, store) = match Store::open(&self.place).and_then(start) {
                Ok(started) => started,
                Err(why) => {
                    self.away(&why);
                    self.rest(pause);
                    pause = (pause * 2).min(AWAY.1);
                    continue;
                }
            };
            let stay = Stay { office: self, worker: &worker, over: OnceLock::new(), done: AtomicBool::new(false) };
            if stay.ask(self.settle(&store, before.take(), &mut others)).is_some() {
                pause = AWAY.0;
                self.board.database(true);
                self.board.lease_held();
                self.work(&stay, &store, desks);
            }
            before = Some(worker.token());
            if stay.done.load(Ordering::SeqCst) {
                break;
            }
            if let Some(why) = stay.over.get() {
                if matches!(why, StoreError::Lost(_)) {
                    self.board.lease_lost();
                }
                self.away(why);
                self.rest(pause);
                pause = (pause * 2).min(AWAY.1);
            }
        }
        self.board.stopping();
        // What the last transactions came to.
        if !self.reports.is_empty() {
            let _ = Store::open(&self.place).and_then(|store| self.settle(&store, before, &mut Vec::new()));
        }
    }

    fn away(&self, why: &StoreError) {
        self.board.database(!matches!(why, StoreError::Unreached(..)));
        self.board.held(self.reports.len() as u64);
        log::outbox_is_away(&why.to_string());
    }

    fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        while self.stop.reason().is_none() && Instant::now() < end {
            self.board.beat();
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Writes down what is known and could not be written down before; then what this worker was before is over.
    fn settle(&self, store: &Store, before: Option<[u8; 16]>, others: &mut Vec<Reports>) -> Result<(), StoreError> {
        for reports in others.iter().chain([&*self.reports]) {
            let emptied = reports.settle(|held| {
                let late = store.settle_reported(held)?.iter().filter(|written| !**written).count();
                log::outcomes_came_late(late);
                Ok(())
            })?;
            if let Err(why) = emptied {
                // It is written down twice then, which changes nothing.
                log::sent_no_word("outcomes", &why.to_string());
            }
        }
        others.clear();
        self.board.held(0);
        before.map_or(Ok(()), |token| store.end_worker(token))
    }

    /// Sends through all accounts, each with a thread of its own, until the stay is over.
    fn work(&self, stay: &Stay<'_>, store: &Store, desks: &[Desk]) {
        std::thread::scope(|scope| {
            for desk in desks.iter().filter(|desk| !desk.is_given_up()) {
                scope.spawn(move || {
                    // Should it panic, nothing of this stay is kept up.
                    let over = EndsStay(stay);
                    desk.work(stay);
                    std::mem::forget(over);
                });
            }
            self.tend(stay, store, desks);
        });
    }

    /// Looks after what all accounts have in common.
    fn tend(&self, stay: &Stay<'_>, store: &Store, desks: &[Desk]) {
        let (mut looked, mut counted): (Option<Instant>, Option<Instant>) = (None, None);
        let mut tidied = Instant::now();
        let mut refused = Vec::new();
        while !stay.is_over() && !desks.iter().all(Desk::is_given_up) {
            if stay.worker.is_lost() {
                let _ = stay.over.set(StoreError::Lost(self.place.clone()));
                return;
            }
            self.board.beat();
            self.board.lease_held();
            if stay.ask(store.end_lost_workers()).is_none() {
                return;
            }
            // One session may have failed where the others did not.
            if !self.reports.is_empty() && stay.ask(self.settle(store, None, &mut Vec::new())).is_none() {
                return;
            }
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                if stay.ask(store.tidy()).is_none() {
                    return;
                }
            }
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
                looked = Some(Instant::now());
                if self.take_in_approved(stay, store, desks, &mut refused).is_none() {
                    return;
                }
            }
            if self.is_watched && counted.is_none_or(|counted| counted.elapsed() >= COUNT_EVERY) {
                counted = Some(Instant::now());
                if self.count(stay, store, desks).is_none() {
                    return;
                }
            }
            if self.until_done && desks.iter().all(Desk::is_idle) {
                // Something may have come behind what was looked at before.
                if self.take_in_approved(stay, store, desks, &mut refused).is_none() {
                    return;
                }
                let mut open = desks.iter().filter(|desk| !desk.is_given_up());
                let Some(has_work) = stay.ask(open.try_fold(false, |has, desk| Ok(has || desk.has_work(store)?)))
                else {
                    return;
                };
                stay.done.store(!has_work, Ordering::SeqCst);
            }
            stay.rest(if self.until_done { Duration::from_millis(100) } else { TEND_EVERY });
        }
    }

    /// Tells the board what is left to do.
    fn count(&self, stay: &Stay<'_>, store: &Store, desks: &[Desk]) -> Option<()> {
        for Desk { account, .. } in desks {
            let backlog = stay.ask(store.backlog(&account.name))?;
            self.board.waiting(&account.name, backlog.waiting, backlog.due);
            self.board.connections(&account.name, backlog.connections, account.connections.get() as u64);
            for rate in &account.rates {
                self.board.window(&account.name, rate, stay.ask(store.window_use(&account.name, rate.window()))?);
            }
        }
        Some(())
    }

    /// Takes in campaigns that need approvals and have them: whoever approved one wanted it to be sent. `refused` are those, with the
    /// number of entries about them, that may not be sent as they are.
    fn take_in_approved(
        &self,
        stay: &Stay<'_>,
        store: &Store,
        desks: &[Desk],
        refused: &mut Vec<(String, usize)>,
    ) -> Option<()> {
        for id in stay.ask(store.approved())? {
            let entries = stay.ask(store.entries(&id))?.len();
            if refused.contains(&(id.clone(), entries)) {
                continue;
            }
            match self.take_in(&id, desks) {
                Ok(()) => {}
                // Somebody else has it, or the like.
                Err(failure) if matches!(failure.exit, Exit::TryAgain | Exit::Io | Exit::CannotCreate) => {}
                Err(failure) => {
                    log::not_taken_in(&id, &in_a_line(&failure));
                    refused.retain(|(other, _)| *other != id);
                    refused.push((id, entries));
                }
            }
        }
        Some(())
    }

    fn take_in(&self, id: &str, desks: &[Desk]) -> Result<(), Failure> {
        let mut store = Store::open(&self.place).map_err(failed)?;
        let overview = store.campaign(id).map_err(failed)?;
        let (settings, _) = store.settings(&overview).map_err(failed)?;
        let own = |desk: &&Desk| settings.account.as_ref() == Some(&desk.account.name);
        let Some(desk) = desks.iter().find(own) else { return Ok(()) };
        let (frozen, composer) = Frozen::thaw(&store, &overview)?;
        let cleared = clear(&store, id, &frozen, &frozen.settings, Some(&desk.account))?;
        if cleared.by().is_empty() {
            // Nobody had to be asked; then somebody has to hand it over.
            return Ok(());
        }
        let now = Timestamp::now();
        let (taken, messages) = store.take(&overview, now).map_err(failed)?;
        let (messages, _) = store.leave_out(&overview, messages, &who(), now).map_err(failed)?;
        if messages.digest() != frozen.messages {
            let why = "it changed meanwhile".to_owned();
            return Err(failed(StoreError::Unsound { id: id.to_owned(), why }));
        }
        store.check_new(&overview, &|_| true).map_err(failed)?;
        let is_left =
            |position: &usize| matches!(messages.outcomes.get(*position), Some(Outcome::Queued | Outcome::Deferred));
        let left = (0..messages.outcomes.len()).filter(is_left);
        follow::check_still(&store, &frozen.settings.recipients, composer.list(), left, self.screen)?;
        drop(taken);
        let details = serde_json::json!({ "account": desk.account.name, "how": "it was approved" });
        let deed = Deed { who: &who(), what: "handed over", details: &details };
        store.hand_over(&overview, &desk.account.name, deed, now).map_err(failed)
    }
}

/// Whether the worker that answers somewhere can send.
fn ask(place: &Place, screen: Screen) -> Result<Exit, Failure> {
    let failed = |why: String| Failure::because(Exit::Unavailable, "work.ask", why, None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let said = runtime.map_err(|why| failed(why.to_string()))?.block_on(place.ask()).map_err(failed)?;
    screen.print(&format!("{said}\n"));
    Ok(Exit::Ok)
}

/// The file in which this worker keeps what it cannot write down, and those of workers that have ended.
struct OwnReports {
    own: Reports,
    others: Vec<Reports>,
}

fn own_reports(place: &Location) -> Result<OwnReports, Failure> {
    let directory = state_directory()?.join("outcomes");
    let unopened = |why: std::io::Error| {
        let message = format!("{} cannot be used: {why}", directory.display());
        let help = "a worker keeps there what it cannot write down while the database is away";
        Failure::because(Exit::CannotCreate, "work.outcomes", message, Some(help))
    };
    create_directory(&directory).map_err(unopened)?;
    let mut hash = Digest::builder();
    hash.add_part(place.to_string().as_bytes());
    let database = hash.finish().to_string();
    let name = |nth: usize| directory.join(format!("{}-{nth}.jsonl", &database[..16]));
    let (mut own, mut others) = (None, Vec::new());
    for nth in 1..=MOST_WORKERS {
        let is_there = name(nth).exists();
        if !is_there && own.is_some() {
            continue;
        }
        match (Reports::open(&name(nth)).map_err(unopened)?, &own) {
            (None, _) => {}
            (Some(reports), None) => own = Some(reports),
            (Some(reports), Some(_)) if reports.is_empty() => {}
            (Some(reports), Some(_)) => others.push(reports),
        }
    }
    let too_many = || {
        let message = format!("{MOST_WORKERS} workers use this database on this machine already");
        Failure::because(Exit::TryAgain, "work.too-many", message, None)
    };
    Ok(OwnReports { own: own.ok_or_else(too_many)?, others })
}
