//! When a message that was put off is tried again.

use std::time::Duration;

use jiff::Timestamp;

use crate::{campaign::Retry, outbox::PutOff};

/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// When a message is due that is put off now, and was `before`; none if it was tried often enough, or long enough.
pub(super) fn next_try(retry: &Retry, before: Option<PutOff>, now: Timestamp) -> Option<PutOff> {
    let (tries, since) = before.map_or((1, now), |before| (before.tries.saturating_add(1), before.since));
    if tries >= retry.tries() {
        return None;
    }
    // Twice as long each time; and nobody comes back at the same moment as all the others.
    let pause = retry.after().saturating_mul(1 << (tries - 1).min(20)).min(LONGEST);
    let due = now.checked_add(pause.mul_f64(0.75 + 0.5 * chance())).ok()?;
    let last = since.checked_add(retry.give_up_after()).ok()?;
    (due <= last).then_some(PutOff { tries, since, due })
}

/// From 0 to 1.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_about_twice_as_long_until_it_is_given_up() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let retry = Retry::new(Duration::from_secs(60), 5, Duration::from_secs(86_400));
        let mut before = None;
        let mut pauses = Vec::new();
        while let Some(next) = next_try(&retry, before, now) {
            pauses.push(next.due.duration_since(now).as_secs());
            assert_eq!((next.tries, next.since), (u32::try_from(pauses.len()).unwrap(), now));
            before = Some(next);
        }
        assert_eq!(pauses.len(), 4, "the fifth time is the last");
        for (pause, about) in pauses.iter().zip([60, 120, 240, 480]) {
            assert!((about * 3 / 4..=about * 5 / 4).contains(pause), "{pauses:?}");
        }
        let long = next_try(&Retry::default(), Some(PutOff { tries: 40, since: now, due: now }), now);
        assert_eq!(long, None);
        let late = now.checked_add(Duration::from_secs(86_390)).unwrap();
        assert_eq!(next_try(&retry, Some(PutOff { tries: 1, since: now, due: late }), late), None, "it takes too long");
    }
}
