//! One connection's life: a place, a connection, the right to begin, a message; and the next one behind it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, ZonedDateTime};
use tokio::sync::{mpsc, watch};

use super::{
    Event, Finished, Reply, Stop, StopReason,
    backoff::next_try,
    connect::{Connection, Connector},
    crew::Crew,
    end_run,
    outcome::{Becomes, Course, Fate, Happening, Stage},
    pace::{Pace, Slot},
    transaction::{End, Parcel, Trouble},
};
use crate::{
    address::Address,
    campaign::Retry,
    fault,
    guard::check_structure,
    message::{Composer, Signer},
    outbox::{Claim, Connected, Outbox, Outcome, PutOff, Work, Written},
    recipients::Recipient,
};

/// A message comes back to the queue so often when its connection is lost before its end; then it is put off.
const MOST_RETURNS: u32 = 2;

/// A connection that is lost is opened again so often, each time after a longer pause.
const RECONNECT_PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// So many messages one after the other that no connection survives, and it is not the messages.
const MOST_BREAKERS: usize = 3;

/// A connection is not kept open for a pace that lets it rest longer; servers close idle ones.
const MOST_IDLE: Duration = Duration::from_secs(20);

/// What the workers of a run share.
pub(super) struct Run {
    pub(super) connector: Connector,
    pub(super) pace: Arc<Pace>,
    pub(super) crew: Crew,
    pub(super) composer: Composer,
    pub(super) signer: Option<Signer>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) clock: fn() -> ZonedDateTime,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: Stop,
    pub(super) retry: Retry,
    /// Whether it waits for what is put off.
    pub(super) waits: bool,
    /// So many messages go over one connection at most.
    pub(super) most_messages: usize,
    pub(super) most_losses: usize,
    /// Connections lost since a message last had an answer.
    pub(super) losses: AtomicUsize,
    /// Messages put off since then because no connection survived them.
    pub(super) breakers: AtomicUsize,
    /// Messages without an outcome.
    pub(super) left: watch::Sender<usize>,
    /// What the server said last when it refused something, and how often in a row.
    pub(super) streak: Mutex<(String, usize)>,
}

/// A message that is about to be sent.
struct Outgoing {
    claim: Claim,
    row: u64,
    from: Address,
    to: Address,
    message_id: String,
    parcel: Parcel,
}

/// A message of which it is being written down what became of it. That is on its way to the disk while the next message is on its
/// way to the server; what is written in between is written in this order, so that no more than one message is ever unknown.
struct Settling {
    written: Written,
    claim: Claim,
    put_off: Option<PutOff>,
    finished: Finished,
}

/// Waits until something is written down.
async fn written_down(written: Written) -> Result<(), String> {
    match written.await {
        Ok(written) => written.map_err(|why| why.to_string()),
        Err(_) => Err("the record has ended".into()),
    }
}

/// A place in the crew, and the connection that is in it.
struct Seat {
    run: Arc<Run>,
    number: usize,
    has_place: bool,
    connection: Option<Connection>,
    settling: Option<Settling>,
}

/// Sends messages as long as there are any, over one connection after the other. The first has a place already, and `connection`.
pub(super) async fn work(run: Arc<Run>, number: usize, connection: Option<Connection>) {
    let mut seat = Seat { run, number, has_place: connection.is_some(), connection, settling: None };
    seat.work().await;
    seat.settle().await;
    seat.hang_up().await;
    if seat.has_place {
        seat.run.crew.leave();
    }
}

impl Seat {
    async fn work(&mut self) {
        let run = Arc::clone(&self.run);
        while !run.stop.requested() {
            match run.outbox.work(Timestamp::now()) {
                Work::Now => {}
                // It may be the one that is put off, or comes back.
                _ if self.settling.is_some() => {
                    self.settle().await;
                    continue;
                }
                Work::At(due) if run.waits => {
                    self.rest_until(due).await;
                    continue;
                }
                Work::At(_) | Work::None => break,
            }
            if run.crew.is_too_large() && self.connection.is_some() {
                self.settle().await;
                self.give_up_place().await;
            }
            if !self.has_place {
                match run.unless_over(run.crew.enter()).await {
                    Some(()) => self.has_place = true,
                    None => break,
                }
                // The others may have sent the last one meanwhile.
                continue;
            }
            if !self.deliver_some().await {
                break;
            }
        }
    }

    /// Sends a message, and those that can follow at once. Whether to go on.
    async fn deliver_some(&mut self) -> bool {
        let run = Arc::clone(&self.run);
        if self.connection.is_none() && !run.pace.is_slow() && !self.connect().await {
            return self.has_place || !run.stop.requested();
        }
        let Some(slot) = self.wait_for_slot().await else { return false };
        // Where the pace lets connections rest for long, they are closed meanwhile, and opened with the slot in hand.
        if self.connection.is_none() && !self.connect().await {
            slot.unused();
            return self.has_place || !run.stop.requested();
        }
        let Some(claim) = run.outbox.claim(Timestamp::now()) else {
            slot.unused();
            return true;
        };
        let Some(outgoing) = run.compose(claim).await else {
            slot.unused();
            return false;
        };
        let Some(mut connection) = self.connection.take() else { return false };
        self.deliver(&mut connection, outgoing, slot).await;
        if connection.is_lost {
            run.crew.disconnected();
        } else {
            self.connection = Some(connection);
            if self.connection.as_ref().is_some_and(|connection| connection.transactions >= run.most_messages) {
                self.hang_up().await;
            }
        }
        true
    }

    /// Sends a message, and as long as the server takes several commands at once, the next ones with it.
    async fn deliver(&mut self, connection: &mut Connection, outgoing: Outgoing, slot: Slot) {
        let run = Arc::clone(&self.run);
        let mut outgoing = outgoing;
        // On its way to the disk while the envelope is on its way to the server.
        let mut begun = run.begin(&outgoing, connection, &slot);
        if let Some(why) = connection.refuses(&outgoing.parcel) {
            slot.unused();
            return self.conclude(connection, outgoing, End::Impossible(why)).await;
        }
        let mut opened = connection.open(&outgoing.parcel, slot).await;
        loop {
            if let Err(end) = opened {
                return self.conclude(connection, outgoing, end).await;
            }
            // Made while the mark is on its way to the disk.
            let next = run.following(connection).await;
            if let Err(why) = written_down(begun).await {
                // A message without its end is none.
                connection.is_lost = true;
                if let Some((next, slot)) = next {
                    slot.unused();
                    drop(run.outbox.release(next.claim, ""));
                }
                return self.conclude(connection, outgoing, End::NotWritten(why)).await;
            }
            self.settle().await;
            fault::point("begun");
            let end = connection.finish(&outgoing.parcel, next.as_ref().map(|(next, _)| &next.parcel)).await;
            self.conclude(connection, outgoing, end).await;
            let Some((next, slot)) = next else { return };
            if connection.is_lost {
                // The server has seen nothing of it, or its envelope at most.
                drop(slot);
                drop(run.outbox.release(next.claim, ""));
                return;
            }
            begun = run.begin(&next, connection, &slot);
            opened = connection.opened(slot).await;
            outgoing = next;
        }
    }

    /// What became of a message is known.
    async fn conclude(&mut self, connection: &Connection, outgoing: Outgoing, end: End) {
        let run = Arc::clone(&self.run);
        let claim = outgoing.claim;
        let (outcome, reply, mut why) = match end {
            End::Accepted(reply) => {
                run.answered();
                run.crew.accepted();
                run.pace.goes_well();
                (Outcome::Sent, Some(reply), None)
            }
            End::Impossible(why) => (Outcome::Failed, None, Some(why)),
            End::NotWritten(why) => {
                // Nothing more is written about it, either: perhaps somebody else did.
                run.outbox.settle(claim, Outcome::Queued);
                return end_run(&run.stop, &run.events, StopReason::NoRecord { why }).await;
            }
            // Servers close connections that have done their share or rest too long.
            End::NotBegun(why) => {
                let _ = run.outbox.release(claim, &why).await;
                if connection.transactions == 0 {
                    run.lost(self.number, &why).await;
                }
                return;
            }
            End::Trouble(trouble) => match self.consequence(&outgoing, &trouble).await {
                Some(outcome) => (outcome, trouble.reply.clone(), trouble.reply.is_none().then_some(trouble.why)),
                None => return,
            },
        };
        run.count_streak(outcome, reply.as_ref(), &outgoing.to).await;
        let mut outcome = outcome;
        let mut put_off = None;
        if outcome == Outcome::Deferred {
            put_off = next_try(&run.retry, run.outbox.was_put_off(claim), Timestamp::now());
            if put_off.is_none() {
                outcome = Outcome::Failed;
                let given_up = "it was tried often enough, or long enough";
                why = Some(why.map_or(given_up.into(), |why| format!("{why}; {given_up}")));
            }
        }
        let Outgoing { row, to, message_id, .. } = outgoing;
        let finished = Finished { connection: self.number, row, to, message_id, outcome, reply, why };
        let said = finished.reply.as_ref().map_or(finished.why.as_deref().unwrap_or_default(), Reply::text);
        let code = finished.reply.as_ref().map(Reply::codes);
        let written = match put_off {
            Some(put_off) => run.outbox.put_off(claim, put_off, code, said),
            None => run.outbox.end(claim, outcome, code, said),
        };
        self.settle().await;
        self.settling = Some(Settling { written, claim, put_off, finished });
    }

    /// What the table says of trouble; none where the message is queued again.
    async fn consequence(&self, outgoing: &Outgoing, trouble: &Trouble) -> Option<Outcome> {
        let run = &self.run;
        let Trouble { stage, happening, reply, why } = trouble;
        let claim = outgoing.claim;
        if reply.is_some() && *happening != Happening::Closing {
            run.answered();
        }
        // It is this message that is too large, and not the sender who may not.
        if *stage == Stage::Mail && reply.as_ref().is_some_and(Reply::is_about_size) {
            return Some(Outcome::Failed);
        }
        let consequence = stage.consequence(*happening);
        let slower = consequence.run == Course::Slower || reply.as_ref().is_some_and(Reply::asks_to_slow_down);
        if let Some(reply) = reply.as_ref().filter(|_| slower) {
            run.slow_down(reply, *happening == Happening::Closing).await;
        }
        match (consequence.run, reply) {
            // It is not this message's fault, and nobody's is sent.
            (Course::Ends, Some(reply)) => {
                let _ = run.outbox.give_back(claim, Some(reply.codes()), reply.text()).await;
                let (from, reply) = (outgoing.from.clone(), reply.clone());
                end_run(&run.stop, &run.events, StopReason::SenderRefused { from, reply }).await;
                return None;
            }
            _ if consequence.connection == Fate::Lost => run.lost(self.number, why).await,
            _ => {}
        }
        match consequence.message {
            Becomes::Queued if claim.returns < MOST_RETURNS || run.stop.requested() => {
                let _ = run.outbox.give_back(claim, reply.as_ref().map(Reply::codes), why).await;
                None
            }
            Becomes::Queued => {
                run.broke(why).await;
                Some(Outcome::Deferred)
            }
            Becomes::Failed => Some(Outcome::Failed),
            Becomes::InDoubt => Some(Outcome::InDoubt),
            Becomes::Deferred | Becomes::Untouched => Some(Outcome::Deferred),
        }
    }

    /// Once what became of a message is written down it counts, and is told.
    async fn settle(&mut self) {
        let Some(Settling { written, claim, put_off, mut finished }) = self.settling.take() else { return };
        let run = &self.run;
        let written = written_down(written).await;
        if let Err(unwritten) = &written {
            finished.why =
                Some(format!("it is {}, and that could not be written down: {unwritten}", finished.outcome.word()));
            finished.outcome = Outcome::InDoubt;
        }
        match put_off {
            Some(put_off) if written.is_ok() && run.waits => {
                run.outbox.settle_until_due(claim, put_off);
                let time = Duration::try_from(put_off.due.duration_since(Timestamp::now())).unwrap_or_default();
                run.tell(Event::PutOff { finished, time }).await;
                fault::point("told");
            }
            _ => {
                run.outbox.settle(claim, finished.outcome);
                run.tell(Event::Finished(finished)).await;
                fault::point("told");
                run.left.send_modify(|left| *left = left.saturating_sub(1));
            }
        }
        if let Err(why) = written {
            end_run(&run.stop, &run.events, StopReason::NoRecord { why }).await;
        }
    }

    /// Waits until something that was put off is due, or nothing is left to wait for.
    async fn rest_until(&mut self, due: Timestamp) {
        let time = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        if time > MOST_IDLE {
            self.hang_up().await;
        }
        let run = Arc::clone(&self.run);
        // Another may have been put off until sooner; and a clock that is set does not hold anybody up.
        let _ = run.unless_over(tokio::time::sleep(time.min(Duration::from_secs(1)))).await;
    }

    /// The right to begin a transaction, or `None` if the run is to stop. A long wait closes the connection.
    async fn wait_for_slot(&mut self) -> Option<Slot> {
        let run = Arc::clone(&self.run);
        if let Some(slot) = run.pace.slot_at_once().await {
            return run.checked(slot).await;
        }
        // Nobody knows when the next one goes.
        self.settle().await;
        let mut wait = Duration::ZERO;
        let slot = async {
            let (sender, mut receiver) = mpsc::unbounded_channel();
            let slot = run.pace.slot(move |time| {
                let _ = sender.send(time);
            });
            tokio::pin!(slot);
            loop {
                tokio::select! {
                    biased;
                    slot = &mut slot => return slot,
                    Some(time) = receiver.recv() => {
                        if time >= Duration::from_secs(1) && wait.is_zero() {
                            run.tell(Event::Waiting { connection: self.number, time }).await;
                        }
                        wait = time;
                        if time > MOST_IDLE {
                            self.hang_up().await;
                        }
                    }
                }
            }
        };
        let slot = run.stop.unless(slot).await?;
        run.checked(slot).await
    }

    /// A connection, in place of a lost one if need be. Whether there is one; otherwise the place may be gone, too.
    async fn connect(&mut self) -> bool {
        self.settle().await;
        let run = Arc::clone(&self.run);
        let connected = run.unless_over(run.try_to_connect(self.number)).await;
        match connected {
            None => {
                self.give_up_place().await;
                false
            }
            Some(Ok(ready)) => {
                self.connection = Some(ready);
                true
            }
            Some(Err(None)) => false,
            // There is none at all any more.
            Some(Err(Some(reason))) if run.crew.ready() == 0 => {
                end_run(&run.stop, &run.events, reason).await;
                false
            }
            // The others go on.
            Some(Err(Some(_))) => {
                run.crew.refused();
                self.give_up_place().await;
                false
            }
        }
    }

    async fn give_up_place(&mut self) {
        self.hang_up().await;
        if std::mem::take(&mut self.has_place) {
            self.run.crew.leave();
        }
    }

    async fn hang_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.run.crew.disconnected();
            connection.quit().await;
        }
    }
}

impl Run {
    async fn tell(&self, event: Event) {
        // Nobody listening is no reason to stop.
        let _ = self.events.send(event).await;
    }

    /// The future's result, or `None` if somebody wants to stop, or everything has its outcome.
    async fn unless_over<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut left = self.left.subscribe();
        tokio::select! {
            biased;
            _ = left.wait_for(|left| *left == 0) => None,
            result = self.stop.unless(future) => result,
        }
    }

    pub(super) async fn connected(&self, number: usize, connection: &Connection) {
        self.crew.connected();
        let Connection { peer, tls, login, .. } = *connection;
        self.tell(Event::Connected { connection: number, peer, tls, login }).await;
    }

    /// Without a reason the run is ending already.
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
                    let others = self.crew.ready() > 0;
                    let is_refused = matches!(&why, StopReason::Unavailable(_));
                    reason = Some(why);
                    // The server has enough of them.
                    if others && is_refused {
                        break;
                    }
                }
            }
        }
        Err(reason)
    }

    /// A slot, if it could be agreed on with other programs.
    async fn checked(&self, slot: Result<Slot, String>) -> Option<Slot> {
        match slot {
            Ok(slot) => Some(slot),
            Err(why) => {
                end_run(&self.stop, &self.events, StopReason::NoRecord { why }).await;
                None
            }
        }
    }

    /// Writes down that a message is about to be sent.
    fn begin(&self, outgoing: &Outgoing, connection: &Connection, slot: &Slot) -> Written {
        let over = Connected { server: connection.peer.to_string(), tls: connection.tls };
        self.outbox.begin(outgoing.claim, &outgoing.message_id, over, slot.number())
    }

    /// The message that goes behind the one that is under way, if one can go at once over this connection.
    async fn following(&self, connection: &Connection) -> Option<(Outgoing, Slot)> {
        let is_next = connection.goes_ahead()
            && connection.transactions < self.most_messages
            && !self.stop.requested()
            && !self.crew.is_too_large()
            && self.outbox.work(Timestamp::now()) == Work::Now;
        if !is_next {
            return None;
        }
        let slot = self.pace.slot_at_once().await?;
        let slot = self.checked(slot).await?;
        let Some(claim) = self.outbox.claim(Timestamp::now()) else {
            slot.unused();
            return None;
        };
        match self.compose(claim).await {
            Some(next) if connection.refuses(&next.parcel).is_none() => Some((next, slot)),
            // It is dealt with by itself.
            Some(next) => {
                slot.unused();
                drop(self.outbox.release(next.claim, ""));
                None
            }
            None => {
                slot.unused();
                None
            }
        }
    }

    /// Makes the message that was claimed. If that cannot be done the run ends.
    async fn compose(&self, claim: Claim) -> Option<Outgoing> {
        match self.made(claim) {
            Ok(outgoing) => Some(outgoing),
            Err(reason) => {
                drop(self.outbox.release(claim, ""));
                end_run(&self.stop, &self.events, reason).await;
                None
            }
        }
    }

    fn made(&self, claim: Claim) -> Result<Outgoing, StopReason> {
        let message = match self.composer.compose(claim.index) {
            Ok(message) if message.digest() == claim.digest => message,
            _ => {
                let row = self.composer.list().get(claim.index).map_or(0, Recipient::row);
                return Err(StopReason::Changed { row });
            }
        };
        let row = message.row();
        let now = (self.clock)();
        let bytes = match &self.signer {
            None => message.dated(&now),
            Some(signer) => {
                message.signed(&now, signer).map_err(|why| StopReason::NotSigned { row, why: why.to_string() })?
            }
        };
        let own = |name: &str| self.composer.template().header_names().any(|own| own.eq_ignore_ascii_case(name));
        check_structure(message.envelope(), &bytes, own).map_err(|why| StopReason::Unsound { row, why })?;
        Ok(Outgoing {
            claim,
            row,
            from: message.envelope().from().clone(),
            to: message.envelope().to().clone(),
            message_id: message.message_id().to_owned(),
            parcel: Parcel::of(message.envelope(), &bytes),
        })
    }

    /// A message had an answer: whatever was lost before, the server is there.
    fn answered(&self) {
        self.losses.store(0, Ordering::SeqCst);
        self.breakers.store(0, Ordering::SeqCst);
    }

    /// Goes on more slowly, and with fewer connections where the server closes them or says that there are too many.
    async fn slow_down(&self, reply: &Reply, is_closing: bool) {
        let fewer = is_closing || matches!(reply.enhanced(), Some("4.3.2"));
        let connections = if fewer { self.crew.refused() } else { None };
        let time = self.pace.slow_down(self.retry.after() / 12);
        self.tell(Event::SlowedDown { time, connections, reply: reply.clone() }).await;
    }

    /// Ends the run where one message after the other is refused in the same words.
    async fn count_streak(&self, outcome: Outcome, reply: Option<&Reply>, to: &Address) {
        let Some(reply) = reply.filter(|_| matches!(outcome, Outcome::Failed | Outcome::Deferred)) else {
            if outcome == Outcome::Sent {
                *self.streak.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
            }
            return;
        };
        // Greylisting puts everybody off once, and says the same to each.
        if outcome == Outcome::Deferred && !reply.asks_to_slow_down() && reply.code() != 421 {
            return;
        }
        let words = reply.text().replace(to.as_str(), "");
        let count = {
            let mut streak = self.streak.lock().unwrap_or_else(PoisonError::into_inner);
            let count = if streak.0 == words { streak.1 + 1 } else { 1 };
            *streak = (words, count);
            count
        };
        if count >= self.retry.pause_after() {
            let reply = reply.clone();
            end_run(&self.stop, &self.events, StopReason::SameReply { count, reply }).await;
        }
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
