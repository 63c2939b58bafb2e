//! SMTP: sends what is in an outbox through an account, at its pace, and says what happens.
//!
//! [`run`] knows no terminal: it speaks in [`Event`]s. A transaction has one recipient, always.

mod connect;
mod event;
mod pace;
mod stream;
mod transaction;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::ZonedDateTime;
use secrecy::SecretString;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

pub use self::{
    connect::check_account,
    event::{Event, Finished, Reply, Signal, StopReason},
};
use self::{
    connect::{Connection, Connector},
    pace::{Pace, Slot},
    transaction::{End, Fate},
};
use crate::{
    campaign::{Account, Rate},
    fault,
    guard::check_structure,
    message::{Composer, Signer},
    outbox::{Claim, Connected, Ledger, News, Outbox, Outcome, Written},
    recipients::Recipient,
};

/// A message comes back to the queue so often when its connection is lost before its end; then it is deferred.
const MOST_RETURNS: u32 = 2;

/// A connection that is lost is opened again so often, each time after a longer pause.
const RECONNECT_PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// So many more connections than the run has, lost one after the other with no answer to any message in between,
/// and the server is gone.
const MOST_LOSSES: usize = 5;

/// So many messages one after the other that no connection survives, and it is not the messages.
const MOST_BREAKERS: usize = 3;

/// Octets of a `Date` header.
const DATE: u64 = 40;

/// Octets of a signature at most.
const SIGNATURE: u64 = 1400;

/// A connection is not kept open for a pace that lets it rest longer; servers close idle ones.
const MOST_IDLE: Duration = Duration::from_secs(20);

/// What is to be sent, and how.
pub struct Job {
    /// Where to.
    pub account: Account,
    /// Its password or token.
    pub secret: Option<SecretString>,
    /// Rates besides the account's.
    pub rates: Vec<Rate>,
    /// At most so many connections.
    pub connections: usize,
    /// Makes the messages.
    pub composer: Composer,
    /// Signs them.
    pub signer: Option<Signer>,
    /// Knows which.
    pub outbox: Arc<Outbox>,
    /// Where other programs share the account, with what counts already for its rates.
    pub ledger: Option<(Ledger, News)>,
    /// What time it is, for `Date`.
    pub clock: fn() -> ZonedDateTime,
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
    async fn unless<T>(&self, future: impl Future<Output = T>) -> Option<T> {
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
/// One connection is opened first; the others follow once it is ready for mail.
pub async fn run(job: Job, events: mpsc::Sender<Event>, stop: Stop) {
    let left = job.outbox.counts().of(Outcome::Queued);
    let most = job.connections.min(left).max(1);
    let rates: Vec<Rate> = job.account.rates.iter().chain(&job.rates).copied().collect();
    let connector = match Connector::new(&job.account, job.secret) {
        Ok(connector) => connector,
        Err(reason) => return end_run(&stop, &events, reason).await,
    };
    let run = Arc::new(Run {
        connector,
        pace: Pace::new(&rates, job.ledger),
        composer: job.composer,
        signer: job.signer,
        outbox: job.outbox,
        clock: job.clock,
        events,
        stop,
        workers: AtomicUsize::new(most),
        most_losses: most + MOST_LOSSES,
        losses: AtomicUsize::new(0),
        breakers: AtomicUsize::new(0),
        left: watch::Sender::new(left),
    });
    let first = match run.stop.unless(run.connector.connect()).await {
        Some(Ok(connection)) => connection,
        Some(Err(reason)) => return end_run(&run.stop, &run.events, reason).await,
        None => return,
    };
    run.connected(0, &first).await;
    // Nothing is sent if not all of it can be.
    let (largest, signature) = (run.outbox.largest() as u64, if run.signer.is_some() { SIGNATURE } else { 0 });
    if let Some(most) = first.size.filter(|most| largest + DATE + signature > *most) {
        end_run(&run.stop, &run.events, StopReason::TooLarge { size: largest + DATE + signature, most }).await;
        return first.quit().await;
    }
    let mut workers = JoinSet::new();
    workers.spawn(work(Arc::clone(&run), 0, Some(first)));
    for number in 1..most {
        workers.spawn(work(Arc::clone(&run), number, None));
    }
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// Waits until something is written down.
async fn written_down(written: Written) -> Result<(), String> {
    match written.await {
        Ok(written) => written.map_err(|why| why.to_string()),
        Err(_) => Err("the record has ended".into()),
    }
}

async fn end_run(stop: &Stop, events: &mpsc::Sender<Event>, reason: StopReason) {
    if stop.request(reason.clone()) {
        let _ = events.send(Event::Stopping(reason)).await;
    }
}

/// What the workers of a run share.
struct Run {
    connector: Connector,
    pace: Arc<Pace>,
    composer: Composer,
    signer: Option<Signer>,
    outbox: Arc<Outbox>,
    clock: fn() -> ZonedDateTime,
    events: mpsc::Sender<Event>,
    stop: Stop,
    /// How many are at work.
    workers: AtomicUsize,
    most_losses: usize,
    /// Connections lost since a message last had an answer.
    losses: AtomicUsize,
    /// Messages deferred since then because no connection survived them.
    breakers: AtomicUsize,
    /// Messages without an outcome.
    left: watch::Sender<usize>,
}

/// One connection's life: connect, wait for the pace, claim, transact, until nothing is left. A message is claimed
/// last, so that none waits for a connection that does not come.
async fn work(run: Arc<Run>, number: usize, mut connection: Option<Connection>) {
    // Where the pace lets connections rest for long, they are closed meanwhile, and opened with the slot in hand.
    let mut resting = false;
    // What is not settled yet of the message before
    let mut settling = None;
    let gave_up = loop {
        if run.stop.requested() || !run.outbox.has_queued() {
            break None;
        }
        if connection.is_none() && !resting {
            match run.reconnect(number).await {
                Ok(ready) => connection = Some(ready),
                Err(reason) => break reason,
            }
        }
        let had = connection.is_some();
        let Some(slot) = run.wait_for_slot(number, &mut connection).await else { break None };
        resting = connection.is_none() && (had || resting);
        let mut ready = match connection.take() {
            Some(ready) => ready,
            None => match run.reconnect(number).await {
                Ok(ready) => ready,
                Err(reason) => {
                    slot.unused();
                    break reason;
                }
            },
        };
        let Some(claim) = run.outbox.claim() else {
            slot.unused();
            connection = Some(ready);
            break None;
        };
        if run.deliver(number, &mut ready, claim, slot, &mut settling).await == Fate::Good {
            connection = Some(ready);
        } else {
            resting = false;
        }
    };
    settled(&mut settling).await;
    if let Some(connection) = connection {
        connection.quit().await;
    }
    if run.workers.fetch_sub(1, Ordering::SeqCst) == 1
        && let Some(reason) = gave_up
    {
        end_run(&run.stop, &run.events, reason).await;
    }
}

/// A message of which it is being written down what became of it.
type Settling = Option<JoinHandle<()>>;

/// Waits until a message is settled.
async fn settled(settling: &mut Settling) {
    if let Some(settling) = settling.take()
        && let Err(error) = settling.await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

impl Run {
    async fn tell(&self, event: Event) {
        // Nobody listening is no reason to stop.
        let _ = self.events.send(event).await;
    }

    async fn connected(&self, number: usize, connection: &Connection) {
        let Connection { peer, tls, login, .. } = *connection;
        self.tell(Event::Connected { connection: number, peer, tls, login }).await;
    }

    /// The right to begin a transaction, or `None` if the run is to stop. A long wait closes the connection.
    async fn wait_for_slot(&self, number: usize, connection: &mut Option<Connection>) -> Option<Slot> {
        let mut wait = Duration::ZERO;
        let slot = async {
            let (sender, mut receiver) = mpsc::unbounded_channel();
            let slot = self.pace.slot(move |time| {
                let _ = sender.send(time);
            });
            tokio::pin!(slot);
            loop {
                tokio::select! {
                    biased;
                    slot = &mut slot => return slot,
                    Some(time) = receiver.recv() => {
                        if time >= Duration::from_secs(1) && wait.is_zero() {
                            self.tell(Event::Waiting { connection: number, time }).await;
                        }
                        wait = time;
                        if time > MOST_IDLE && let Some(idle) = connection.take() {
                            idle.quit().await;
                        }
                    }
                }
            }
        };
        match self.stop.unless(slot).await? {
            Ok(slot) => Some(slot),
            Err(why) => {
                end_run(&self.stop, &self.events, StopReason::NoRecord { why }).await;
                None
            }
        }
    }

    /// A new connection in place of a lost one. If there is none to be had this worker ends, and with the last
    /// one the run, for the reason given; without a reason the run is ending already.
    async fn reconnect(&self, number: usize) -> Result<Connection, Option<StopReason>> {
        let mut left = self.left.subscribe();
        let all_done = left.wait_for(|left| *left == 0);
        tokio::select! {
            biased;
            _ = all_done => Err(None),
            result = self.stop.unless(self.try_to_connect(number)) => result.ok_or(None)?,
        }
    }

    async fn try_to_connect(&self, number: usize) -> Result<Connection, Option<StopReason>> {
        let mut reason = None;
        for pause in std::iter::once(Duration::ZERO).chain(RECONNECT_PAUSES) {
            tokio::time::sleep(pause).await;
            match self.connector.connect().await {
                Ok(connection) => {
                    self.connected(number, &connection).await;
                    return Ok(connection);
                }
                // Trying again could lock the account, or is what an attacker waits for.
                Err(why) if why.is_final() => {
                    end_run(&self.stop, &self.events, why).await;
                    return Err(None);
                }
                Err(why) => {
                    self.tell(Event::ConnectionLost { connection: number, why: why.to_string() }).await;
                    reason = Some(why);
                }
            }
        }
        Err(reason)
    }

    /// Sends one message; it has its outcome afterwards, or is queued again.
    async fn deliver(
        self: &Arc<Self>,
        number: usize,
        connection: &mut Connection,
        claim: Claim,
        slot: Slot,
        settling: &mut Settling,
    ) -> Fate {
        let message = match self.composer.compose(claim.index) {
            Ok(message) if message.digest() == claim.digest => message,
            _ => {
                slot.unused();
                drop(self.outbox.give_back(claim, None, ""));
                let row = self.composer.list().get(claim.index).map_or(0, Recipient::row);
                end_run(&self.stop, &self.events, StopReason::Changed { row }).await;
                return Fate::Good;
            }
        };
        let now = (self.clock)();
        let bytes = match &self.signer {
            None => message.dated(&now),
            Some(signer) => match message.signed(&now, signer) {
                Ok(bytes) => bytes,
                Err(why) => {
                    slot.unused();
                    drop(self.outbox.give_back(claim, None, ""));
                    let why = why.to_string();
                    end_run(&self.stop, &self.events, StopReason::NotSigned { row: message.row(), why }).await;
                    return Fate::Good;
                }
            },
        };
        let own = |name: &str| self.composer.template().header_names().any(|own| own.eq_ignore_ascii_case(name));
        if let Err(why) = check_structure(message.envelope(), &bytes, own) {
            slot.unused();
            drop(self.outbox.give_back(claim, None, ""));
            end_run(&self.stop, &self.events, StopReason::Unsound { row: message.row(), why }).await;
            return Fate::Good;
        }
        // On its way to the disk while the envelope is on its way to the server.
        let over = Connected { server: connection.peer.to_string(), tls: connection.tls };
        let begun = self.outbox.begin(claim, message.message_id(), over, slot.number());
        let verdict = connection.transact(message.envelope(), &bytes, slot, begun).await;
        let (outcome, reply, why) = match verdict.end {
            End::Accepted(reply) => {
                self.answered();
                (Outcome::Sent, Some(reply), None)
            }
            End::Refused(reply) => {
                self.answered();
                (if reply.is_permanent() { Outcome::Failed } else { Outcome::Deferred }, Some(reply), None)
            }
            End::Impossible(why) => (Outcome::Failed, None, Some(why)),
            // It is not this message's fault, and nobody's is sent.
            End::SenderRefused(reply) => {
                let _ = self.outbox.give_back(claim, Some(reply.codes()), reply.text()).await;
                let from = message.envelope().from().clone();
                end_run(&self.stop, &self.events, StopReason::SenderRefused { from, reply }).await;
                return verdict.connection;
            }
            End::NotWritten(why) => {
                // Nothing more is written about it, either: perhaps somebody else did.
                self.outbox.settle(claim, Outcome::Queued);
                end_run(&self.stop, &self.events, StopReason::NoRecord { why }).await;
                return verdict.connection;
            }
            End::Unknown(why) => {
                self.lost(number, &why).await;
                (Outcome::InDoubt, None, Some(why))
            }
            // Servers close connections that have done their share or rest too long.
            End::NotBegun(why) => {
                let _ = self.outbox.release(claim, &why).await;
                if connection.transactions == 0 {
                    self.lost(number, &why).await;
                }
                return verdict.connection;
            }
            End::NotSent(why) => {
                self.lost(number, &why).await;
                if claim.returns < MOST_RETURNS || self.stop.requested() {
                    let _ = self.outbox.give_back(claim, None, &why).await;
                    return verdict.connection;
                }
                self.broke(&why).await;
                (Outcome::Deferred, None, Some(why))
            }
        };
        let finished = Finished {
            connection: number,
            row: message.row(),
            to: message.envelope().to().clone(),
            message_id: message.message_id().to_owned(),
            outcome,
            reply,
            why,
        };
        self.finish(claim, finished, settling).await;
        verdict.connection
    }

    /// Has it written down what became of a message. That is on its way to the disk while the next message is on its way to the
    /// server; what is written in between is written in this order, so that no more than one message is ever unknown.
    async fn finish(self: &Arc<Self>, claim: Claim, finished: Finished, settling: &mut Settling) {
        let Finished { outcome, reply, why, .. } = &finished;
        let said = reply.as_ref().map_or(why.as_deref().unwrap_or_default(), Reply::text);
        let code = reply.as_ref().map(Reply::codes);
        let written = self.outbox.end(claim, *outcome, code, said);
        settled(settling).await;
        *settling = Some(tokio::spawn(Arc::clone(self).settle(written, claim, finished)));
    }

    /// Once it is written down it counts, and is told.
    async fn settle(self: Arc<Self>, written: Written, claim: Claim, mut finished: Finished) {
        let written = written_down(written).await;
        if let Err(unwritten) = &written {
            finished.why =
                Some(format!("it is {}, and that could not be written down: {unwritten}", finished.outcome.word()));
            finished.outcome = Outcome::InDoubt;
        }
        self.outbox.settle(claim, finished.outcome);
        self.tell(Event::Finished(finished)).await;
        fault::point("told");
        self.left.send_modify(|left| *left -= 1);
        if let Err(why) = written {
            end_run(&self.stop, &self.events, StopReason::NoRecord { why }).await;
        }
    }

    /// A message had an answer: whatever was lost before, the server is there.
    fn answered(&self) {
        self.losses.store(0, Ordering::SeqCst);
        self.breakers.store(0, Ordering::SeqCst);
    }

    async fn lost(&self, number: usize, why: &str) {
        self.tell(Event::ConnectionLost { connection: number, why: why.to_owned() }).await;
        let losses = self.losses.fetch_add(1, Ordering::SeqCst) + 1;
        if losses >= self.most_losses {
            self.gone(&format!("{losses} connections were lost one after the other, the last one because: {why}"))
                .await;
        }
    }

    /// A message is given up because no connection survived it. It may be the message; but not three in a row.
    async fn broke(&self, why: &str) {
        self.losses.store(0, Ordering::SeqCst);
        if self.breakers.fetch_add(1, Ordering::SeqCst) + 1 >= MOST_BREAKERS {
            self.gone(&format!(
                "no connection survived {MOST_BREAKERS} messages in a row, the last one because: {why}"
            ))
            .await;
        }
    }

    async fn gone(&self, why: &str) {
        let server = self.connector.server_name();
        end_run(&self.stop, &self.events, StopReason::Unreachable { server, why: why.to_owned() }).await;
    }
}
