//! SMTP: sends what is in an outbox through an account, at its pace, and says what happens.
//!
//! [`run`] knows no terminal: it speaks in [`Event`]s. A transaction has one recipient, always.

mod backoff;
mod common;
mod connect;
mod crew;
mod dial;
mod domains;
mod event;
mod gate;
mod login;
mod offer;
mod outcome;
mod pace;
mod probe;
mod run;
mod seat;
mod stream;
mod tls;
mod transaction;
mod window;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use jiff::ZonedDateTime;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

pub(crate) use self::connect::secure;
use self::{
    connect::{Connection, Connector},
    crew::Crew,
    domains::Domains,
    gate::Gate,
    pace::Pace,
    run::Run,
};
pub use self::{
    connect::{check_account, try_login},
    event::{Event, Finished, Reply, Signal, StopReason},
    gate::Schedule,
    outcome::{Becomes, Consequence, Course, Fate, Happening, Stage},
    probe::{Asked, Entry, Hello, Probe, Trial, addresses, knock, probe},
};
use crate::{
    campaign::{Account, Rate, Retry},
    message::{Composer, Signer},
    outbox::{Ledger, Limited, News, Outbox, Outcome, Places, Work},
    secret::Secrets,
};

/// So many more connections than the run has, lost one after the other with no answer to any message in between,
/// and the server is gone.
const MOST_LOSSES: usize = 5;

/// Octets of a `Date` header.
const DATE: u64 = 40;

/// Octets of a signature at most.
const SIGNATURE: u64 = 1400;

/// What is to be sent, and how.
pub struct Job {
    /// Where to.
    pub account: Account,
    /// Gives its password or token.
    pub secret: Option<Arc<dyn Secrets>>,
    /// Rates besides the account's.
    pub rates: Vec<Rate>,
    /// Whether messages go evenly over the time that the rates give.
    pub spread: bool,
    /// At most so many connections.
    pub connections: usize,
    /// Whether the first messages are to be looked at before the others go.
    pub first: Option<First>,
    /// Makes the messages.
    pub composer: Composer,
    /// Signs them.
    pub signer: Option<Arc<Signer>>,
    /// Knows which.
    pub outbox: Arc<Outbox>,
    /// What is done about messages that the server puts off.
    pub retry: Retry,
    /// Whether the run waits until they are due.
    pub waits: bool,
    /// What the run has together with others.
    pub shared: Shared,
    /// What time it is, for `Date` and for the schedule.
    pub clock: fn() -> ZonedDateTime,
    /// When something may be begun, if not at any time.
    pub schedule: Option<Schedule>,
}

/// What the campaigns and programs that use an account have together, as far as anybody has.
#[derive(Default)]
pub struct Shared {
    /// Where other programs share the account, with what counts already for its rates.
    pub ledger: Option<(Ledger, News)>,
    /// What may go to some domains, with what counts already.
    pub domains: Vec<Limited>,
    /// Where others share the account's connections: where the right to each is had.
    pub places: Option<Arc<Places>>,
}

/// A careful start.
pub struct First {
    /// So many messages are sent.
    pub count: usize,
    /// Then the run waits for the word to go on with the others, or not to.
    pub go_on: oneshot::Receiver<bool>,
}

/// Asks a run to stop: nothing further is begun, and what is under way is finished.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<Option<StopReason>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// The first reason counts. Whether it was this one.
    #[allow(clippy::must_use_candidate)]
    pub fn request(&self, reason: StopReason) -> bool {
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        })
    }

    /// Why it was asked to stop, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        self.0.borrow().clone()
    }

    fn requested(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// The future's result, or `None` if somebody wants to stop first.
    pub(crate) async fn unless<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut changes = self.0.subscribe();
        tokio::select! {
            biased;
            _ = changes.wait_for(Option::is_some) => None,
            result = future => Some(result),
        }
    }
}

/// Sends every queued message of the outbox and returns when each has its outcome, or when something that
/// concerns all of them (`stop` knows what) has ended the run. Messages that were not begun then stay queued.
///
/// One connection is opened first; the others follow once the server has taken a message over it. Outside of the job's schedule
/// the run waits, without a connection.
pub async fn run(job: Job, events: mpsc::Sender<Event>, stop: Stop) {
    let left = left(&job.outbox);
    let most = if job.outbox.is_fed() { job.connections } else { job.connections.min(left) }.max(1);
    let rates: Vec<Rate> = job.account.rates.iter().chain(&job.rates).copied().collect();
    let connector = match Connector::new(&job.account, job.secret) {
        Ok(connector) => connector,
        Err(reason) => return end_run(&stop, &events, reason).await,
    };
    let crew = Arc::new(Crew::new(most, job.shared.places));
    let run = Arc::new(Run {
        connector,
        pace: Pace::new(&rates, job.spread, job.shared.ledger),
        crew: Arc::clone(&crew),
        composer: job.composer,
        signer: job.signer,
        outbox: job.outbox,
        gate: Gate::new(job.schedule, job.clock),
        clock: job.clock,
        events,
        stop,
        retry: job.retry,
        waits: job.waits,
        is_first: AtomicBool::new(false),
        domains: Domains::new(job.shared.domains, job.spread),
        window: AtomicUsize::new(job.account.window.get()),
        most_messages: job.account.messages_per_connection.map_or(usize::MAX, NonZeroUsize::get),
        most_losses: most + MOST_LOSSES,
        losses: AtomicUsize::new(0),
        breakers: AtomicUsize::new(0),
        streak: Mutex::default(),
    });
    // Ends with this.
    let mut sharing = JoinSet::new();
    sharing.spawn(async move { crew.share().await });
    if !run.opened().await {
        return;
    }
    let first = match run.stop.unless(run.open_one(&mut None)).await {
        Some(Ok(connection)) => connection,
        Some(Err(reason)) => return end_run(&run.stop, &run.events, reason).await,
        None => return,
    };
    run.connected(0, &first).await;
    if let Some(reason) = first.offer.size.and_then(|most| too_large(&run, most)) {
        end_run(&run.stop, &run.events, reason).await;
        return first.quit().await;
    }
    let first = match job.first {
        Some(few) if few.count < left => {
            if !look_first(&run, first, most, few).await {
                return;
            }
            None
        }
        _ => Some(first),
    };
    work_in_hours(&run, first, most).await;
}

/// Nothing is sent if not all of it can be, since a message is larger than the server takes.
fn too_large(run: &Run, most: u64) -> Option<StopReason> {
    let further = DATE + if run.signer.is_some() { SIGNATURE } else { 0 };
    let size = run.outbox.largest() as u64 + further;
    if size <= most {
        return None;
    }
    // Nobody knows yet which messages come.
    if run.outbox.is_fed() {
        return Some(StopReason::TooLarge { size, most });
    }
    // The largest of the campaign may be none of those that are to be sent.
    let left = run.outbox.with(&[Outcome::Queued, Outcome::Deferred]).into_iter();
    let sizes = left.filter_map(|index| Some(run.composer.compose(index).ok()?.bytes().len() as u64 + further));
    let size = sizes.max().filter(|size| *size > most)?;
    Some(StopReason::TooLarge { size, most })
}

/// How many messages are still to be sent.
fn left(outbox: &Outbox) -> usize {
    let counts = outbox.counts();
    counts.of(Outcome::Queued) + counts.of(Outcome::Deferred)
}

/// Sends a few messages and asks. Whether the others may go.
async fn look_first(run: &Arc<Run>, first: Connection, most: usize, few: First) -> bool {
    run.outbox.limit(Some(few.count));
    run.is_first.store(true, Ordering::SeqCst);
    work_in_hours(run, Some(first), most).await;
    run.outbox.limit(None);
    run.is_first.store(false, Ordering::SeqCst);
    if run.stop.requested() || left(&run.outbox) == 0 {
        return false;
    }
    run.tell(Event::FirstDone).await;
    match run.stop.unless(few.go_on).await {
        None => false,
        Some(Ok(true)) => true,
        Some(Ok(false) | Err(_)) => {
            end_run(&run.stop, &run.events, StopReason::NotGoneOn).await;
            false
        }
    }
}

/// Works whenever something may be begun, until nothing is left to do.
async fn work_in_hours(run: &Arc<Run>, mut first: Option<Connection>, most: usize) {
    loop {
        work(run, first.take(), most).await;
        if run.stop.requested() || !run.gate.took_effect() || run.waiting(most) == Work::None || !run.opened().await {
            return;
        }
    }
}

/// Works with so many connections at most, until nothing is left to do for any.
async fn work(run: &Arc<Run>, first: Option<Connection>, most: usize) {
    if first.is_some() {
        run.crew.enter_with_connection();
    }
    let mut seats = JoinSet::new();
    seats.spawn(seat::work(Arc::clone(run), 0, first));
    for number in 1..most {
        seats.spawn(seat::work(Arc::clone(run), number, None));
    }
    while let Some(ended) = seats.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    run.pace.rests();
}

async fn end_run(stop: &Stop, events: &mpsc::Sender<Event>, reason: StopReason) {
    if stop.request(reason.clone()) {
        let _ = events.send(Event::Stopping(reason)).await;
    }
}
