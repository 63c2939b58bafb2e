//! `[send]`: what a job without anybody to look expects of its list.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::keys::Keys;

/// What is expected of a list, as far as it is said; a list that is otherwise is not sent to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expect {
    /// No more recipients.
    pub max_recipients: Option<u32>,
    /// No more of a change in their number since the last run.
    pub max_change: Option<Percent>,
    /// What is done with a list that is the very same as at the last run.
    pub if_unchanged: Option<Unchanged>,
    /// What is done with a list of nobody.
    pub if_empty: Option<Empty>,
}

/// What is done with a list that is the very same as at the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// It is sent to.
    Send,
    /// It is refused: whoever makes the list has failed to.
    Refuse,
    /// Nothing is to be done, and that is well.
    Finish,
}

/// What is done with a list of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// It is refused.
    Refuse,
    /// Nothing is to be done, and that is well.
    Finish,
}

/// The text is no answer.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0} is none of {1}")]
pub struct NoAnswer(String, &'static str);

/// A part of a hundred.
///
/// ```
/// use apiece::campaign::Percent;
/// let most: Percent = "20%".parse()?;
/// assert!(most.allows(100, 120) && most.allows(100, 80) && !most.allows(100, 121));
/// # Ok::<(), apiece::campaign::PercentError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u32);

/// The text is none.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0} is no percentage: write a whole number and %, for example \"20%\"")]
pub struct PercentError(String);

/// How many recipients are expected, for example `10..20`: both are meant, too.
///
/// ```
/// use apiece::campaign::Between;
/// let expected: Between = "10..20".parse()?;
/// assert!(expected.contains(10) && expected.contains(20) && !expected.contains(21));
/// # Ok::<(), apiece::campaign::BetweenError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    least: usize,
    most: usize,
}

/// The text is no such range.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0} is not from one number to another one: write for example 10..20")]
pub struct BetweenError(String);

impl Expect {
    /// What is said here, and otherwise there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_recipients: self.max_recipients.or(other.max_recipients),
            max_change: self.max_change.or(other.max_change),
            if_unchanged: self.if_unchanged.or(other.if_unchanged),
            if_empty: self.if_empty.or(other.if_empty),
        }
    }
}

impl Percent {
    /// Whether a number may become another one.
    #[must_use]
    pub fn allows(self, before: usize, now: usize) -> bool {
        before.abs_diff(now).saturating_mul(100) <= before.saturating_mul(self.0 as usize)
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let number = text.trim().strip_suffix('%').map(str::trim_end);
        let is_number = |digits: &&str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            number.filter(is_number).and_then(|digits| digits.parse().ok()).filter(|number| *number <= 100_000);
        number.map(Self).ok_or_else(|| PercentError(crate::diagnostic::quoted(text)))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl Between {
    /// Whether so many are expected.
    #[must_use]
    pub fn contains(self, count: usize) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

impl FromStr for Between {
    type Err = BetweenError;

    fn from_str(text: &str) -> Result<Self, BetweenError> {
        let read = || {
            let (least, most) = text.trim().split_once("..")?;
            let (least, most) = (least.parse().ok()?, most.trim_start_matches('=').parse().ok()?);
            (least <= most && most > 0).then_some(Self { least, most })
        };
        read().ok_or_else(|| BetweenError(crate::diagnostic::quoted(text)))
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.least, self.most)
    }
}

impl FromStr for Unchanged {
    type Err = NoAnswer;

    fn from_str(text: &str) -> Result<Self, NoAnswer> {
        match text {
            "send" => Ok(Self::Send),
            "refuse" => Ok(Self::Refuse),
            "finish" => Ok(Self::Finish),
            _ => Err(NoAnswer(crate::diagnostic::quoted(text), "send, refuse and finish")),
        }
    }
}

impl fmt::Display for Unchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::Refuse => "refuse",
            Self::Finish => "finish",
        })
    }
}

impl FromStr for Empty {
    type Err = NoAnswer;

    fn from_str(text: &str) -> Result<Self, NoAnswer> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "finish" => Ok(Self::Finish),
            _ => Err(NoAnswer(crate::diagnostic::quoted(text), "refuse and finish")),
        }
    }
}

impl fmt::Display for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Finish { "finish" } else { "refuse" })
    }
}

pub(super) fn read(keys: &mut Keys<'_>) -> Expect {
    Expect {
        max_recipients: keys.integer("max_recipients", 1, u32::MAX).map(|number| number.value),
        max_change: keys.parsed("max_change").map(|percent| percent.value),
        if_unchanged: keys.parsed("if_unchanged").map(|what| what.value),
        if_empty: keys.parsed("if_empty").map(|what| what.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_ranges_are_read_and_written_alike() {
        for text in ["0%", "20%", "150%"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        for text in ["", "20", "%", "-5%", "1.5%", "+3%", "9999999%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        for text in ["10..20", "0..5", "7..7"] {
            assert_eq!(text.parse::<Between>().unwrap().to_string(), text);
        }
        for text in ["", "10", "..", "10..", "20..10", "0..0", "-1..5", "a..b"] {
            assert!(text.parse::<Between>().is_err(), "{text}");
        }
        let none: Percent = "0%".parse().unwrap();
        assert!(none.allows(5, 5) && !none.allows(5, 6) && none.allows(0, 0) && !none.allows(0, 1));
    }
}
