//! How often: `30/min`.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use thiserror::Error;

/// At most so many transactions begun in any window of that length.
///
/// ```
/// use apiece::campaign::Rate;
/// let rate: Rate = "30/min".parse()?;
/// assert_eq!(rate.count().get(), 30);
/// assert_eq!(rate.window(), std::time::Duration::from_secs(60));
/// # Ok::<(), apiece::campaign::RateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Second,
    Minute,
    Hour,
    Day,
}

/// The text is not a rate.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0} is not a rate: write a whole number, a slash and s, min, hour or day, for example \"30/min\"")]
pub struct RateError(String);

impl Rate {
    /// How many.
    #[must_use]
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// How long so many messages take at least at some rates.
    #[must_use]
    pub fn least_time(count: usize, rates: &[Self]) -> Duration {
        let least = |rate: &Self| {
            let windows = count.saturating_sub(1) / rate.count().get() as usize;
            rate.window().saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
        };
        rates.iter().map(least).max().unwrap_or_default()
    }

    /// In what time.
    #[must_use]
    pub fn window(self) -> Duration {
        Duration::from_secs(match self.window {
            Window::Second => 1,
            Window::Minute => 60,
            Window::Hour => 3600,
            Window::Day => 86400,
        })
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let wrong = || RateError(crate::diagnostic::quoted(text));
        let (count, window) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.trim().parse().map_err(|_| wrong())?;
        let window = match window.trim().to_ascii_lowercase().as_str() {
            "s" | "sec" | "second" => Window::Second,
            "min" | "minute" => Window::Minute,
            "h" | "hour" => Window::Hour,
            "d" | "day" => Window::Day,
            _ => return Err(wrong()),
        };
        Ok(Self { count, window })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = match self.window {
            Window::Second => "s",
            Window::Minute => "min",
            Window::Hour => "hour",
            Window::Day => "day",
        };
        write!(f, "{}/{window}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_rate_says_how_long_it_takes() {
        let rates: Vec<Rate> = ["30/min", "100/hour"].iter().map(|rate| rate.parse().unwrap()).collect();
        let least = [30, 31, 100, 101].map(|count| Rate::least_time(count, &rates).as_secs());
        assert_eq!(least, [0, 60, 180, 3600]);
    }

    #[test]
    fn rates_are_read_and_written_alike() {
        for (text, shown, seconds) in [
            ("30/min", "30/min", 60),
            ("1/s", "1/s", 1),
            (" 8 / hour", "8/hour", 3600),
            ("2000/day", "2000/day", 86400),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.to_string().as_str(), rate.window().as_secs()), (shown, seconds));
        }
        for text in ["", "30", "0/min", "-1/min", "30/week", "1.5/s", "min/30", "99999999999/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
