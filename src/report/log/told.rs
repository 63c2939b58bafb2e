//! What happens in a run, as records. A message is named by its row, and a server's reply by its codes.

use std::time::Duration;

use tracing::{debug, error, info, trace, warn};

use crate::{
    campaign::Rate,
    delivery::{Event, Finished, Reply, StopReason},
    outbox::{Counts, Outcome},
};

/// The exit code of a run that may go better later (sysexits.h).
const TRY_AGAIN: u8 = 75;

/// A wait that is as long is worth a word.
const LONG: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// What the campaign is called.
    pub name: String,
    /// The account's name, once it is known.
    pub account: Option<String>,
    /// How many messages have which outcome, unless it ended before it began.
    pub counts: Option<Counts>,
    /// How many of them this run had to send, once that is known.
    pub left: Option<usize>,
    /// Why it ended early, if it did.
    pub stopped: Option<StopReason>,
    /// The code of what was wrong, if it was refused.
    pub code: Option<&'static str>,
    /// How long it took.
    pub time: Duration,
    /// How many messages were sent in that time.
    pub sent_now: usize,
    /// The exit code.
    pub exit: u8,
}

impl Ended {
    /// In a word.
    #[must_use]
    pub fn how(&self) -> &'static str {
        match (&self.stopped, self.counts) {
            (Some(reason), _) => reason.name(),
            (None, _) if self.code.is_some() => "refused",
            (None, None) => "nothing_to_do",
            (None, Some(counts)) if counts.all_sent() => "all_sent",
            (None, Some(_)) => "some_not_sent",
        }
    }

    /// Messages a minute.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let sent = self.sent_now as f64;
        if self.time.is_zero() { 0.0 } else { sent * 60.0 / self.time.as_secs_f64() }
    }

    /// How many messages have an outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> Option<usize> {
        self.counts.map(|counts| counts.of(outcome))
    }
}

/// That a run begins, with so many messages to send at these rates.
pub fn started(name: &str, account: &str, messages: usize, rates: &[Rate]) {
    let rates: Vec<String> = rates.iter().map(ToString::to_string).collect();
    let (rates, version) = (Some(rates.join(",")).filter(|rates| !rates.is_empty()), env!("CARGO_PKG_VERSION"));
    info!(event = "start", name, account, messages, rates, version);
}

/// That a run is over: in any case the last record of it.
pub fn ended(end: &Ended) {
    macro_rules! end {
        ($level:ident) => {
            $level!(
                event = "end",
                name = end.name,
                account = end.account,
                how = end.how(),
                exit = end.exit,
                code = end.code.or(end.stopped.as_ref().and_then(StopReason::code)),
                sent = end.of(Outcome::Sent),
                failed = end.of(Outcome::Failed),
                deferred = end.of(Outcome::Deferred),
                in_doubt = end.of(Outcome::InDoubt),
                queued = end.of(Outcome::Queued),
                sending = end.of(Outcome::Sending),
                suppressed = end.of(Outcome::Suppressed),
                cancelled = end.of(Outcome::Cancelled),
                seconds = end.counts.map(|_| end.time.as_secs_f64()),
                per_minute = end.counts.map(|_| end.per_minute()),
            )
        };
    }
    match (end.exit, &end.stopped) {
        (0, _) => end!(info),
        // It could not begin yet: a job that is started each minute tries again.
        (TRY_AGAIN, _) if end.counts.is_none() => end!(info),
        (_, None | Some(StopReason::Interrupted(_) | StopReason::NotGoneOn)) if end.code.is_none() => end!(warn),
        _ => end!(error),
    }
}

/// A step on the way.
pub fn step(step: &'static str) {
    trace!(event = "step", step);
}

/// That somebody was to be told, or a file to be written, and that could not be.
pub fn sent_no_word(how: &'static str, why: &str) {
    warn!(event = "not_told", how, why);
}

/// That a worker begins with a campaign of which so many messages are left.
pub fn turn_begins(id: &str, account: &str, messages: usize, rates: &[Rate]) {
    let rates: Vec<String> = rates.iter().map(ToString::to_string).collect();
    let rates = Some(rates.join(",")).filter(|rates| !rates.is_empty());
    info!(event = "turn", id, account, messages, rates);
}

/// That its turn with that is over, and what it came to.
pub fn turn_ends(id: &str, account: &str, counts: Counts, time: Duration) {
    let of = |outcome| counts.of(outcome);
    info!(
        event = "turn",
        id,
        account,
        sent = of(Outcome::Sent),
        failed = of(Outcome::Failed),
        deferred = of(Outcome::Deferred),
        in_doubt = of(Outcome::InDoubt),
        seconds = time.as_secs_f64(),
    );
}

/// That the outbox of a worker does not answer, or takes it for lost.
pub fn outbox_is_away(why: &str) {
    warn!(event = "outbox_away", why);
}

/// That somebody had decided about some messages before it could be written down what became of them, or their beginning had not been
/// written down.
pub fn outcomes_came_late(messages: usize) {
    if messages > 0 {
        warn!(event = "outcomes_late", messages);
    }
}

/// That a campaign was approved, and cannot be sent.
pub fn not_taken_in(id: &str, why: &str) {
    warn!(event = "not_taken_in", id, why);
}

/// That no worker goes on with a campaign until somebody hands it over again.
pub fn campaign_halted(id: &str, why: &str) {
    error!(event = "halted", id, why);
}

/// That nothing can be sent through an account until a person does something.
pub fn account_given_up(account: &str, stopped: &'static str) {
    error!(event = "account_given_up", account, stopped);
}

/// How far a run is.
pub(in crate::report) fn progress(done: usize, of: usize, per_minute: f64, left: Option<Duration>) {
    info!(event = "progress", done, messages = of, per_minute, seconds_left = left.map(|left| left.as_secs()));
}

/// What the engine says.
pub(in crate::report) fn tell(event: &Event) {
    match event {
        Event::Connected { connection, peer, tls, login } => {
            let (peer, auth) = (peer.to_string(), login.map(|login| login.to_string()));
            info!(event = "connected", connection, peer, tls = tls.unwrap_or("none"), auth);
        }
        Event::ConnectionLost { connection, why } => warn!(event = "connection_lost", connection, why),
        Event::Waiting { connection, time } if *time >= LONG => {
            info!(event = "waiting", connection, seconds = time.as_secs_f64());
        }
        Event::Waiting { connection, time } => {
            debug!(event = "waiting", connection, seconds = time.as_secs_f64());
        }
        Event::SlowedDown { time, connections, reply } => {
            let (reply_code, enhanced, connections) =
                (reply.code(), reply.enhanced(), connections.map(|left| left as u64));
            warn!(event = "slowed_down", seconds = time.as_secs_f64(), connections, reply_code, enhanced);
        }
        Event::PutOff { finished, time } => {
            let (reply_code, enhanced) = codes(finished.reply.as_ref());
            let (row, why, seconds) = (finished.row, finished.why.as_deref(), time.as_secs_f64());
            warn!(event = "put_off", row, reply_code, enhanced, why, seconds);
        }
        Event::Finished(finished) => finish(finished),
        Event::Paused { said, .. } => info!(event = "paused", until = said),
        Event::Resumed => info!(event = "resumed"),
        Event::FirstDone => info!(event = "first_done"),
        Event::Stopping(reason) => stop(reason),
    }
}

fn codes(reply: Option<&Reply>) -> (Option<u16>, Option<&str>) {
    (reply.map(Reply::code), reply.and_then(Reply::enhanced))
}

fn finish(finished: &Finished) {
    let Finished { connection, row, outcome, reply, why, .. } = finished;
    let ((reply_code, enhanced), outcome, why) = (codes(reply.as_ref()), outcome.name(), why.as_deref());
    if finished.outcome == Outcome::Sent {
        debug!(event = "finished", row, outcome, connection, reply_code, enhanced);
    } else {
        warn!(event = "finished", row, outcome, connection, reply_code, enhanced, why);
    }
}

/// Nothing further is begun.
fn stop(reason: &StopReason) {
    let (stopped, (reply_code, enhanced)) = (reason.name(), codes(reason.reply()));
    let (why, row, code) = (reason.cause(), reason.row(), reason.code());
    match reason {
        StopReason::LetGo => debug!(event = "stopping", stopped),
        StopReason::Interrupted(_) | StopReason::NotGoneOn | StopReason::Outside { .. } => {
            warn!(event = "stopping", stopped);
        }
        StopReason::SameReply { count, .. } => {
            error!(event = "stopping", stopped, messages = count, reply_code, enhanced);
        }
        _ => error!(event = "stopping", stopped, row, code, reply_code, enhanced, why),
    }
}
