//! How long a run is patient with a server that does not take a message now.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

use super::keys::Keys;

/// A length of time, as people write it: `30s`.
///
/// ```
/// use apiece::campaign::Time;
/// let time: Time = "90min".parse()?;
/// assert_eq!((time.duration().as_secs(), time.to_string().as_str()), (5400, "90min"));
/// # Ok::<(), apiece::campaign::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

/// The text is no length of time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0} is not a time: write a whole number and ms, s, min, h or d, for example \"30s\" or \"5min\"")]
pub struct TimeError(String);

/// Units and their milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

impl Time {
    /// That long.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError(crate::diagnostic::quoted(text));
        let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(unit);
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        // No longer than a year
        let all = number.checked_mul(*length).filter(|all| *all <= 366 * 86_400_000).ok_or_else(wrong)?;
        Ok(Self(Duration::from_millis(all)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, length) =
            UNITS.into_iter().find(|(_, length)| all.is_multiple_of(*length) && all > 0).unwrap_or(("s", 1000));
        write!(f, "{}{unit}", all / length)
    }
}

/// What is done about a message that the server puts off, as far as it is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// How long after the first time it is tried again; each pause is about twice as long as the one before.
    pub retry_after: Option<Time>,
    /// How often it is tried at most.
    pub tries: Option<u32>,
    /// How long it is tried at most.
    pub give_up_after: Option<Time>,
    /// After how many failures in a row with the same reply a run ends.
    pub pause_after: Option<u32>,
}

impl Retry {
    /// All of it said.
    #[must_use]
    pub fn new(after: Duration, tries: u32, give_up_after: Duration) -> Self {
        let (retry_after, give_up_after) = (Some(Time(after)), Some(Time(give_up_after)));
        Self { retry_after, tries: Some(tries), give_up_after, pause_after: None }
    }

    /// What is said here, and otherwise there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            retry_after: self.retry_after.or(other.retry_after),
            tries: self.tries.or(other.tries),
            give_up_after: self.give_up_after.or(other.give_up_after),
            pause_after: self.pause_after.or(other.pause_after),
        }
    }

    /// How long after the first time it is tried again.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.retry_after.map_or(Duration::from_secs(60), Time::duration)
    }

    /// How often it is tried at most.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries.unwrap_or(12)
    }

    /// How long it is tried at most.
    #[must_use]
    pub fn give_up_after(&self) -> Duration {
        self.give_up_after.map_or(Duration::from_secs(86_400), Time::duration)
    }

    /// After how many failures in a row with the same reply a run ends.
    #[must_use]
    pub fn pause_after(&self) -> usize {
        self.pause_after.unwrap_or(20) as usize
    }
}

pub(super) fn read(keys: &mut Keys<'_>) -> Retry {
    Retry {
        retry_after: keys.parsed("retry_after").map(|time| time.value),
        tries: keys.integer("tries", 1, 1000).map(|number| number.value),
        give_up_after: keys.parsed("give_up_after").map(|time| time.value),
        pause_after: keys.integer("pause_after", 1, 1_000_000).map(|number| number.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_alike() {
        for text in ["1ms", "30s", "90min", "1h", "25h", "2d", "0s", "366d"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
        assert_eq!("120 s".parse::<Time>().unwrap().to_string(), "2min");
        for text in ["", "s", "5", "-5s", "5 weeks", "1.5h", "99999999999999999999d", "367d"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
