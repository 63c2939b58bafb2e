//! When something may be begun: the clock on the wall is asked before each transaction, and each second while a run waits. A machine
//! that slept, or whose clock is set, begins nothing outside of its window.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, ZonedDateTime};

use super::{Event, StopReason, end_run, run::Run};
use crate::campaign::{Hours, Phase, until};

/// So often the clock is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a run may begin something.
#[derive(Clone)]
pub struct Schedule {
    /// Windows and bounds.
    pub hours: Hours,
    /// Looks again, whenever a window opens, whether it may still be sent; else why not.
    pub recheck: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// What lets transactions begin, or not.
pub(super) struct Gate {
    schedule: Option<Schedule>,
    clock: fn() -> ZonedDateTime,
    /// Between which times it is known to be open
    open: Mutex<Option<(Timestamp, Timestamp)>>,
    /// Whether somebody found it shut
    was_shut: AtomicBool,
}

impl Gate {
    pub(super) fn new(schedule: Option<Schedule>, clock: fn() -> ZonedDateTime) -> Self {
        let schedule = schedule.filter(|schedule| schedule.hours.is_bound());
        Self { schedule, clock, open: Mutex::default(), was_shut: AtomicBool::new(false) }
    }

    /// Whether something may be begun now.
    pub(super) fn is_open(&self) -> bool {
        let is_open = matches!(self.phase(), Phase::Open(_));
        if !is_open {
            self.was_shut.store(true, Ordering::SeqCst);
        }
        is_open
    }

    fn phase(&self) -> Phase {
        let Some(schedule) = &self.schedule else { return Phase::Open(None) };
        let now = (self.clock)().timestamp();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, until)) = open.filter(|(since, until)| *since <= now && now < *until) {
            return Phase::Open(Some(until));
        }
        let phase = schedule.hours.at(now);
        *open = match phase {
            Phase::Open(until) => Some((now, until.unwrap_or(Timestamp::MAX))),
            _ => None,
        };
        phase
    }

    /// Waits until nothing may be begun any more.
    pub(super) async fn shut(&self) {
        if self.schedule.is_none() {
            std::future::pending::<()>().await;
        }
        while self.is_open() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether somebody found it shut since this was last asked.
    pub(super) fn took_effect(&self) -> bool {
        self.was_shut.swap(false, Ordering::SeqCst)
    }
}

impl Run {
    /// Waits until something may be begun; whether it may. Somebody may have said no meanwhile, or it may be too late.
    pub(super) async fn opened(&self) -> bool {
        let Some(schedule) = &self.gate.schedule else { return true };
        let opens = match self.gate.phase() {
            Phase::Open(_) => return true,
            Phase::Over => return self.is_too_late(&schedule.hours).await,
            Phase::Closed(opens) => opens,
        };
        let said = schedule.hours.spoken(opens);
        // A worker has other things to do meanwhile.
        if !self.waits || self.outbox.is_fed() {
            end_run(&self.stop, &self.events, StopReason::Outside { opens: said }).await;
            return false;
        }
        self.tell(Event::Paused { until: opens, said }).await;
        let opened = async {
            while let Phase::Closed(opens) = self.gate.phase() {
                let left = until((self.gate.clock)().timestamp(), opens);
                tokio::time::sleep(left.clamp(Duration::from_millis(10), LOOK_EVERY)).await;
            }
        };
        if self.stop.unless(opened).await.is_none() {
            return false;
        }
        if self.gate.phase() == Phase::Over {
            return self.is_too_late(&schedule.hours).await;
        }
        let recheck = Arc::clone(&schedule.recheck);
        let may = tokio::task::spawn_blocking(move || recheck()).await;
        if let Err(why) = may.unwrap_or_else(|why| Err(why.to_string())) {
            end_run(&self.stop, &self.events, StopReason::NoLongerAllowed { why }).await;
            return false;
        }
        self.tell(Event::Resumed).await;
        true
    }

    /// It is; nothing more is begun.
    async fn is_too_late(&self, hours: &Hours) -> bool {
        let end = hours.not_after().map(|end| hours.spoken(end));
        end_run(&self.stop, &self.events, StopReason::TooLate { end }).await;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;
    use crate::campaign::{Campaign, Overrides};

    static SECONDS: AtomicI64 = AtomicI64::new(0);

    fn clock() -> ZonedDateTime {
        Timestamp::from_second(SECONDS.load(Ordering::SeqCst)).unwrap().to_zoned_datetime(jiff::tz::TimeZone::UTC)
    }

    #[test]
    fn a_clock_that_is_set_or_a_machine_that_slept_opens_nothing() {
        let text = "template = \"t\"\nrecipients = \"p\"\n[send]\nwindow = \"Mon-Fri 09:00-17:00 UTC\"\n";
        let campaign = Campaign::parse(std::path::Path::new("c/campaign.toml"), text, Overrides::default()).unwrap();
        let schedule = Schedule { hours: campaign.when.hours(), recheck: Arc::new(|| Ok(())) };
        let gate = Gate::new(Some(schedule), clock);
        let at = |time: &str| {
            SECONDS.store(time.parse::<Timestamp>().unwrap().as_second(), Ordering::SeqCst);
            gate.is_open()
        };
        for (time, is_open) in [
            ("2026-11-27T10:00:00Z", true),
            ("2026-11-27T16:59:59Z", true),
            ("2026-11-27T17:00:00Z", false),
            // Set back, and further than it was known to be open.
            ("2026-11-27T16:00:00Z", true),
            ("2026-11-27T08:59:59Z", false),
            ("2026-11-27T12:00:00Z", true),
            // Slept over a weekend
            ("2026-11-28T12:00:00Z", false),
            ("2026-11-30T12:00:00Z", true),
        ] {
            assert_eq!(at(time), is_open, "{time}");
        }
        assert!(gate.took_effect() && !gate.took_effect());
    }
}
