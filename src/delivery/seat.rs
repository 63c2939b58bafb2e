//! One connection's life: a place, a connection, the right to begin, a message; and the next one behind it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Event, Finished, Reply, StopReason,
    backoff::next_try,
    connect::Connection,
    end_run,
    outcome::{Becomes, Course, Fate, Happening, Stage},
    pace::Slot,
    run::{Outgoing, Run},
    transaction::{End, Trouble},
};
use crate::{
    fault,
    outbox::{Claim, Moment, OpenPlace, Outcome, PutOff, Work, Written},
};

/// A message comes back to the queue so often when its connection is lost before its end; then it is put off.
const MOST_RETURNS: u32 = 2;

/// A connection is not kept open for a pace that lets it rest longer; servers close idle ones.
const MOST_IDLE: Duration = Duration::from_secs(20);

/// A message of which it is being written down what became of it. That is on its way to the disk while the next message is on its
/// way to the server; what is written in between is written in this order, so that no more than one message is ever unknown.
struct Settling {
    written: Written,
    claim: Claim,
    put_off: Option<PutOff>,
    finished: Finished,
}

/// Waits until something is written down.
pub(super) async fn written_down(written: Written) -> Result<(), String> {
    match written.await {
        Ok(written) => written.map_err(|why| why.to_string()),
        Err(_) => Err("the record has ended".into()),
    }
}

/// How long it is until then; no time, if that is over.
fn until(due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default()
}

/// A place in the crew, and the connection that is in it.
pub(super) struct Seat {
    pub(super) run: Arc<Run>,
    pub(super) number: usize,
    has_place: bool,
    connection: Option<Connection>,
    /// The right to one, where others share them and there is none yet
    right: Option<OpenPlace>,
    settling: Option<Settling>,
    /// Since when there was nothing to do
    rests: Option<Instant>,
    /// Until when it was said that it waits for a domain.
    told: Option<Timestamp>,
}

/// Sends messages as long as there are any, over one connection after the other. The first has a place already, and `connection`.
pub(super) async fn work(run: Arc<Run>, number: usize, connection: Option<Connection>) {
    let has_place = connection.is_some();
    let mut seat = Seat { run, number, has_place, connection, right: None, settling: None, rests: None, told: None };
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
        let (mut changes, mut news) = (run.domains.changes(), run.outbox.news());
        while !run.stop.requested() {
            if let Some(why) = run.domains.why() {
                end_run(&run.stop, &run.events, StopReason::NoRecord { why }).await;
                break;
            }
            changes.mark_unchanged();
            news.mark_unchanged();
            let work = run.work(self.number);
            match work {
                Work::Now => {}
                // It may be the one that is put off, or comes back.
                _ if self.settling.is_some() => {
                    self.settle().await;
                    continue;
                }
                Work::At(_) | Work::Unknown => {
                    self.rest(work, &mut changes, &mut news).await;
                    continue;
                }
                Work::None => break,
            }
            if self.connection.is_some() && run.crew.gives_one_up() {
                self.settle().await;
                if let Some(connection) = self.connection.take() {
                    connection.quit().await;
                }
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
        self.rests = None;
        if self.connection.as_ref().is_some_and(Connection::has_expired) {
            self.hang_up().await;
        }
        // Before the right to begin, which others could use meanwhile.
        if self.connection.is_none() && self.right.is_none() {
            self.settle().await;
            match run.unless_over(run.crew.place()).await {
                Some(Ok(right)) => self.right = right,
                Some(Err(why)) => {
                    end_run(&run.stop, &run.events, StopReason::NoRecord { why }).await;
                    return false;
                }
                None => return !run.stop.requested(),
            }
        }
        if self.connection.is_none() && !run.pace.is_slow() && !self.connect().await {
            return self.has_place || !run.stop.requested();
        }
        let Some(slot) = self.wait_for_slot().await else { return false };
        if self.right.as_ref().is_some_and(OpenPlace::is_old) {
            self.right = None;
        }
        // It waited long, and whoever has the connections now goes first.
        if self.connection.is_none() && self.right.is_none() && run.crew.is_shared() {
            match run.crew.place_at_once().await {
                Ok(Some(right)) => self.right = Some(right),
                Ok(None) => {
                    slot.unused();
                    return true;
                }
                Err(why) => {
                    slot.unused();
                    end_run(&run.stop, &run.events, StopReason::NoRecord { why }).await;
                    return false;
                }
            }
        }
        // Where the pace lets connections rest for long, they are closed meanwhile, and opened with the slot in hand.
        if self.connection.is_none() && !self.connect().await {
            slot.unused();
            return self.has_place || !run.stop.requested();
        }
        run.domains.about_to(self.number).await;
        // A connection may have taken its time.
        if !slot.is_good() {
            slot.unused();
            return true;
        }
        let Some((claim, pass)) = run.claim(self.number) else {
            slot.unused();
            return true;
        };
        let Some(outgoing) = run.compose(claim, pass).await else {
            slot.unused();
            return false;
        };
        let Some(mut connection) = self.connection.take() else { return false };
        if run.has_window(&connection) {
            self.deliver_window(&mut connection, outgoing, slot).await;
        } else {
            self.deliver(&mut connection, outgoing, slot).await;
        }
        let is_done = run.is_done(&connection, 0);
        if connection.is_lost {
            run.crew.disconnected();
        } else {
            self.connection = Some(connection);
        }
        if is_done {
            self.hang_up().await;
        }
        true
    }

    /// Sends a message, and as long as the server takes several commands at once, the next ones with it.
    async fn deliver(&mut self, connection: &mut Connection, outgoing: Outgoing, slot: Slot) {
        let run = Arc::clone(&self.run);
        let mut outgoing = outgoing;
        if slot.is_late() || outgoing.is_late() {
            slot.unused();
            return run.release(outgoing);
        }
        // On its way to the disk while the envelope is on its way to the server.
        let mut written = Moment::now();
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
            let next = if run.has_window(connection) { None } else { run.following(connection, self.number).await };
            if let Err(why) = written_down(begun).await {
                // A message without its end is none.
                connection.is_lost = true;
                if let Some((next, slot)) = next {
                    slot.unused();
                    run.release(next);
                }
                return self.conclude(connection, outgoing, End::NotWritten(why)).await;
            }
            self.settle().await;
            // A program that was paused has lost what it had, and its mark may be somebody else's by now.
            if run.outbox.is_late(written) {
                connection.is_lost = true;
                if let Some((next, slot)) = next {
                    slot.unused();
                    run.release(next);
                }
                return self.conclude(connection, outgoing, End::TooLate).await;
            }
            let next = match next {
                Some((next, slot)) if !(slot.is_good() && next.is_good()) => {
                    slot.unused();
                    run.release(next);
                    None
                }
                next => next,
            };
            fault::point("begun");
            let end = connection.finish(&outgoing.parcel, next.as_ref().map(|(next, _)| &next.parcel)).await;
            self.conclude(connection, outgoing, end).await;
            let Some((next, slot)) = next else { return };
            if connection.is_lost {
                // The server has seen nothing of it, or its envelope at most.
                drop(slot);
                run.release(next);
                return;
            }
            written = Moment::now();
            begun = run.begin(&next, connection, &slot);
            opened = connection.opened(&next.parcel, slot).await;
            outgoing = next;
        }
    }

    /// What became of a message is known.
    pub(super) async fn conclude(&mut self, connection: &Connection, outgoing: Outgoing, end: End) {
        let run = Arc::clone(&self.run);
        let claim = outgoing.claim;
        let mut is_slower = false;
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
                outgoing.unused();
                return end_run(&run.stop, &run.events, StopReason::NoRecord { why }).await;
            }
            // It is known not to be sent: whoever keeps the record hears so, unless it is somebody else's by now.
            End::TooLate => {
                let why = "it took too long";
                end_run(&run.stop, &run.events, StopReason::NoRecord { why: why.into() }).await;
                let _ = run.outbox.release(claim, why).await;
                return outgoing.unused();
            }
            // Servers close connections that have done their share or rest too long.
            End::NotBegun(why) => {
                let _ = run.outbox.release(claim, &why).await;
                outgoing.unused();
                if connection.transactions == 0 {
                    run.lost(self.number, &why).await;
                }
                return;
            }
            // It has done its share over this connection, which is no wish for less.
            End::Trouble(trouble) if trouble.is_used_up(connection.transactions) => {
                let codes = trouble.reply.as_ref().map(Reply::codes);
                let _ = run.outbox.requeue(claim, codes, &trouble.why).await;
                return outgoing.unused();
            }
            End::Trouble(trouble) => match self.consequence(&outgoing, &trouble).await {
                Some(outcome) => {
                    is_slower = trouble.asks_for_less();
                    (outcome, trouble.reply.clone(), trouble.reply.is_none().then_some(trouble.why))
                }
                None => return,
            },
        };
        match &reply {
            _ if outcome == Outcome::Sent => run.streak_is_over(),
            // Greylisting puts everybody off once, and says the same to each.
            Some(reply) if outcome == Outcome::Failed || is_slower => run.count_streak(reply, &outgoing.to).await,
            _ => {}
        }
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
        let Outgoing { row, to, message_id, made, .. } = outgoing;
        let took = made.elapsed();
        let finished = Finished { connection: self.number, row, to, message_id, outcome, reply, why, took };
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
        let Trouble { stage, happening, reply, why, is_echo } = trouble;
        let claim = outgoing.claim;
        if reply.is_some() && *happening != Happening::Closing {
            run.answered();
        }
        // It is this message that is too large, and not the sender who may not.
        if *stage == Stage::Mail && reply.as_ref().is_some_and(Reply::is_about_size) {
            return Some(Outcome::Failed);
        }
        let consequence = stage.consequence(*happening);
        if let Some(reply) = reply.as_ref().filter(|_| trouble.asks_for_less()) {
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
            _ if consequence.connection == Fate::Lost && !is_echo => run.lost(self.number, why).await,
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
    pub(super) async fn settle(&mut self) {
        let Some(Settling { written, claim, put_off, mut finished }) = self.settling.take() else { return };
        let run = &self.run;
        let written = written_down(written).await;
        if let Err(unwritten) = &written {
            finished.why =
                Some(format!("it is {}, and that could not be written down: {unwritten}", finished.outcome.word()));
            finished.outcome = Outcome::InDoubt;
        }
        match put_off {
            // What a worker's batches have to wait for, whoever has them next waits for.
            Some(put_off) if written.is_ok() && run.waits && !run.outbox.is_fed() => {
                run.outbox.settle_until_due(claim, put_off);
                run.tell(Event::PutOff { finished, time: until(put_off.due) }).await;
                fault::point("told");
            }
            _ => {
                run.outbox.settle(claim, finished.outcome);
                run.tell(Event::Finished(finished)).await;
                fault::point("told");
                run.outbox.left().send_modify(|left| *left = left.saturating_sub(1));
            }
        }
        if let Err(why) = written {
            end_run(&run.stop, &run.events, StopReason::NoRecord { why }).await;
        }
    }

    /// Waits until something that cannot be sent yet may be, or nothing is left to wait for.
    async fn rest(&mut self, work: Work, changes: &mut watch::Receiver<()>, news: &mut watch::Receiver<()>) {
        let time = match work {
            Work::At(due) => until(due),
            _ => Duration::from_secs(1),
        };
        self.run.pace.rests();
        self.right = None;
        let since = *self.rests.get_or_insert_with(Instant::now);
        if time.max(since.elapsed()) > MOST_IDLE {
            self.hang_up().await;
        }
        let run = Arc::clone(&self.run);
        if let Work::At(due) = run.domains.work(self.number)
            && until(due) >= Duration::from_secs(1)
            && self.told.is_none_or(|told| told < Timestamp::now())
        {
            self.told = Some(due);
            run.tell(Event::Waiting { connection: self.number, time: until(due) }).await;
        }
        // Another may have been put off until sooner; and a clock that is set does not hold anybody up.
        let either = async {
            tokio::select! {
                _ = changes.changed() => {}
                _ = news.changed() => {}
            }
        };
        let _ = run.unless_over(tokio::time::timeout(time.min(Duration::from_secs(1)), either)).await;
    }

    /// The right to begin a transaction, or `None` if the run is to stop or nothing may be begun any more. A long wait closes the connection.
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
        let slot = run.stop.unless(async {
            tokio::select! {
                biased;
                slot = slot => Some(slot),
                () = run.gate.shut() => None,
            }
        });
        run.checked(slot.await??).await
    }

    /// A connection, in place of a lost one if need be. Whether there is one; otherwise the place may be gone, too.
    async fn connect(&mut self) -> bool {
        self.settle().await;
        let run = Arc::clone(&self.run);
        let connected = run.unless_over(run.try_to_connect(self.number, &mut self.right)).await;
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
            Some(Err(Some(reason))) => {
                let connections = run.crew.refused_another();
                if let (StopReason::Unavailable(reply), Some(_)) = (reason, connections) {
                    run.tell(Event::SlowedDown { time: Duration::ZERO, connections, reply }).await;
                }
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
        self.right = None;
        if let Some(connection) = self.connection.take() {
            self.run.crew.disconnected();
            connection.quit().await;
        }
    }
}
