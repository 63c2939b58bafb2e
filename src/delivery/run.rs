//! What the connections of a run share: what is next, and what is done when a connection or many messages fail.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, ZonedDateTime};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Event, Reply, Stop, StopReason,
    connect::{Connection, Connector},
    crew::Crew,
    domains::{Domains, Pass},
    end_run,
    gate::Gate,
    outcome::Course,
    pace::{Pace, Slot},
    transaction::Parcel,
};
use crate::{
    address::Address,
    campaign::Retry,
    guard::check_structure,
    message::{Composer, Signer},
    outbox::{Claim, Connected, OpenPlace, Outbox, Work, Written},
    recipients::Recipient,
};

/// A connection that is lost is opened again so often, each time after a longer pause.
const RECONNECT_PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// So many messages one after the other that no connection survives, and it is not the messages.
const MOST_BREAKERS: usize = 3;

/// A pause is a wait from this on, for a run that waits for nothing.
const WAIT: Duration = Duration::from_secs(1);

/// What the workers of a run share.
pub(super) struct Run {
    pub(super) connector: Connector,
    pub(super) pace: Arc<Pace>,
    pub(super) crew: Arc<Crew>,
    pub(super) composer: Composer,
    pub(super) signer: Option<Arc<Signer>>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) clock: fn() -> ZonedDateTime,
    pub(super) gate: Gate,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: Stop,
    pub(super) retry: Retry,
    /// Whether it waits for what is put off.
    pub(super) waits: bool,
    /// Whether only the first messages are sent, which somebody wants to look at before the others go.
    pub(super) is_first: AtomicBool,
    pub(super) domains: Arc<Domains>,
    /// So many messages are on the way over one connection at once, where the server can do that; half as many
    /// once a connection was lost with some on the way.
    pub(super) window: AtomicUsize,
    /// So many messages go over one connection at most.
    pub(super) most_messages: usize,
    pub(super) most_losses: usize,
    /// Connections lost since a message last had an answer.
    pub(super) losses: AtomicUsize,
    /// Messages put off since then because no connection survived them.
    pub(super) breakers: AtomicUsize,
    /// What the server said last when it refused something, and how often in a row.
    pub(super) streak: Mutex<(String, usize)>,
}

/// A message that is about to be sent.
pub(super) struct Outgoing {
    pub(super) claim: Claim,
    pub(super) row: u64,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) message_id: String,
    pub(super) parcel: Parcel,
    /// When
    pub(super) made: Instant,
    /// The right to send it, where its domain has limits
    pass: Option<Pass>,
}

impl Outgoing {
    /// Whether it may still be begun, as far as the limits of its domain are concerned.
    pub(super) fn is_good(&self) -> bool {
        self.pass.as_ref().is_none_or(Pass::is_good)
    }

    /// Whether somebody else may have the right to that by now.
    pub(super) fn is_late(&self) -> bool {
        self.pass.as_ref().is_some_and(Pass::is_late)
    }

    /// Nothing of it was sent, which counts for no limit.
    pub(super) fn unused(self) {
        if let Some(pass) = self.pass {
            pass.unused();
        }
    }
}

impl Run {
    pub(super) async fn tell(&self, event: Event) {
        // Nobody listening is no reason to stop.
        let _ = self.events.send(event).await;
    }

    /// The future's result, or `None` if somebody wants to stop, or everything has its outcome.
    pub(super) async fn unless_over<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut left = self.outbox.left().subscribe();
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

    /// Opens a connection, once it may be open where others share the account: `place` is the right to that, if it was had before.
    pub(super) async fn open_one(&self, place: &mut Option<OpenPlace>) -> Result<Connection, StopReason> {
        if place.is_none() {
            *place = self.crew.place().await.map_err(|why| StopReason::NoRecord { why })?;
        }
        let mut connection = self.connector.connect().await?;
        connection.place = place.take();
        Ok(connection)
    }

    /// Without a reason the run is ending already.
    pub(super) async fn try_to_connect(
        &self,
        number: usize,
        place: &mut Option<OpenPlace>,
    ) -> Result<Connection, Option<StopReason>> {
        let mut reason = None;
        for pause in std::iter::once(Duration::ZERO).chain(RECONNECT_PAUSES) {
            tokio::time::sleep(pause).await;
            match self.open_one(place).await {
                Ok(connection) => {
                    self.connected(number, &connection).await;
                    return Ok(connection);
                }
                // Trying again could lock the account, or is what an attacker waits for.
                Err(why) if why.course() == Course::Ends => {
                    end_run(&self.stop, &self.events, why).await;
                    return Err(None);
                }
                Err(why) => {
                    self.tell(Event::ConnectionLost { connection: number, why: why.to_string() }).await;
                    let has_enough = why.course() == Course::Slower && self.crew.ready() > 0;
                    reason = Some(why);
                    if has_enough {
                        break;
                    }
                }
            }
        }
        Err(reason)
    }

    /// A slot, if it could be agreed on with other programs.
    pub(super) async fn checked(&self, slot: Result<Slot, String>) -> Option<Slot> {
        match slot {
            Ok(slot) => Some(slot),
            Err(why) => {
                end_run(&self.stop, &self.events, StopReason::NoRecord { why }).await;
                None
            }
        }
    }

    /// Whether there is something to send over the connection of a seat, and it may be begun.
    pub(super) fn work(&self, seat: usize) -> Work {
        if self.gate.is_open() { self.queued().or(self.domains.work(seat)) } else { Work::None }
    }

    /// Whether there is something to send over any of so many connections, whether or not it may be begun.
    pub(super) fn waiting(&self, seats: usize) -> Work {
        (0..seats).map(|seat| self.domains.work(seat)).fold(self.queued(), Work::or)
    }

    fn queued(&self) -> Work {
        match self.outbox.work(Timestamp::now()) {
            Work::At(_) if !self.waits || self.is_first.load(Ordering::SeqCst) => Work::None,
            queued => queued,
        }
    }

    /// Takes a message for the connection of a seat, with the right to send it where its domain has limits; none outside of the
    /// schedule.
    pub(super) fn claim(&self, seat: usize) -> Option<(Claim, Option<Pass>)> {
        if !self.gate.is_open() {
            return None;
        }
        let domain_of = |claim: Claim| {
            let recipient = self.composer.list().get(claim.index);
            recipient.map(|recipient| recipient.address().domain().to_owned()).unwrap_or_default()
        };
        self.domains.next(seat, || self.outbox.claim(Timestamp::now()), domain_of)
    }

    /// Gives back a message of which the server has seen nothing that counts.
    pub(super) fn release(&self, outgoing: Outgoing) {
        drop(self.outbox.release(outgoing.claim, ""));
        outgoing.unused();
    }

    /// Writes down that a message is about to be sent.
    pub(super) fn begin(&self, outgoing: &Outgoing, connection: &Connection, slot: &Slot) -> Written {
        let over = Connected { server: connection.peer.to_string(), tls: connection.tls };
        self.outbox.begin(outgoing.claim, &outgoing.message_id, over, slot.tell())
    }

    /// Whether several messages are on the way over a connection at once.
    pub(super) fn has_window(&self, connection: &Connection) -> bool {
        self.window.load(Ordering::Relaxed) > 1 && connection.may_take_chunks()
    }

    /// Whether no further message goes over a connection, with so many under way that it has not begun.
    pub(super) fn is_done(&self, connection: &Connection, under_way: usize) -> bool {
        connection.transactions + under_way >= self.most_messages || connection.has_expired()
    }

    /// The message that goes behind the one that is under way, if one can go at once over this connection.
    pub(super) async fn following(&self, connection: &Connection, seat: usize) -> Option<(Outgoing, Slot)> {
        let is_next = connection.goes_ahead()
            && !self.is_done(connection, 0)
            && !self.stop.requested()
            && !self.crew.is_too_large()
            && self.work(seat) == Work::Now;
        if !is_next {
            return None;
        }
        let slot = self.pace.slot_at_once().await?;
        let slot = self.checked(slot).await?;
        let Some((claim, pass)) = self.claim(seat) else {
            slot.unused();
            return None;
        };
        match self.compose(claim, pass).await {
            Some(next) if connection.refuses(&next.parcel).is_none() => Some((next, slot)),
            // It is dealt with by itself.
            Some(next) => {
                slot.unused();
                self.release(next);
                None
            }
            None => {
                slot.unused();
                None
            }
        }
    }

    /// Makes the message that was claimed. If that cannot be done the run ends.
    pub(super) async fn compose(&self, claim: Claim, pass: Option<Pass>) -> Option<Outgoing> {
        match self.made(claim) {
            Ok(outgoing) => Some(Outgoing { pass, ..outgoing }),
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
            parcel: Parcel::of(message.envelope(), bytes),
            made: Instant::now(),
            pass: None,
        })
    }

    /// A message had an answer: whatever was lost before, the server is there.
    pub(super) fn answered(&self) {
        self.losses.store(0, Ordering::SeqCst);
        self.breakers.store(0, Ordering::SeqCst);
    }

    /// Goes on more slowly, and with fewer connections where the server closes them or says that there are too many.
    pub(super) async fn slow_down(&self, reply: &Reply, is_closing: bool) {
        let fewer = is_closing || matches!(reply.enhanced(), Some("4.3.2"));
        let connections = if fewer { self.crew.refused() } else { None };
        let time = self.pace.slow_down(self.retry.after() / 12);
        if !self.waits && time >= WAIT {
            end_run(&self.stop, &self.events, StopReason::Unavailable(reply.clone())).await;
        }
        self.tell(Event::SlowedDown { time, connections, reply: reply.clone() }).await;
    }

    /// A message was taken.
    pub(super) fn streak_is_over(&self) {
        *self.streak.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// Ends the run where one message after the other is refused in the same words.
    pub(super) async fn count_streak(&self, reply: &Reply, to: &Address) {
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

    pub(super) async fn lost(&self, number: usize, why: &str) {
        self.tell(Event::ConnectionLost { connection: number, why: why.to_owned() }).await;
        let losses = self.losses.fetch_add(1, Ordering::SeqCst) + 1;
        if losses >= self.most_losses {
            self.gone(&format!("{losses} connections were lost one after the other, the last one because: {why}"))
                .await;
        }
    }

    /// A message is given up because no connection survived it. It may be the message; but not three in a row.
    pub(super) async fn broke(&self, why: &str) {
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
