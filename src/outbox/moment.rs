//! When something was, for what must not be too old: by two clocks, one of which knows whether the machine slept.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    running: Instant,
    time: Timestamp,
}

impl Moment {
    /// The one that is now.
    pub(crate) fn now() -> Self {
        Self { running: Instant::now(), time: Timestamp::now() }
    }

    /// How long ago it was. Where the time was set back, the other clock counts alone.
    pub(crate) fn ago(&self) -> Duration {
        let by_time = Duration::try_from(Timestamp::now().duration_since(self.time)).unwrap_or_default();
        self.running.elapsed().max(by_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_says_more_counts() {
        let now = Moment::now();
        assert!(now.ago() < Duration::from_secs(1));
        let hour = Duration::from_secs(3600);
        let slept = Moment { time: now.time - hour, ..now };
        assert!(slept.ago() >= hour, "a machine that slept");
        let set_back = Moment { time: now.time + hour, ..now };
        assert!(set_back.ago() < Duration::from_secs(1), "a time that was set back");
    }
}
