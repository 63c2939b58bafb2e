//! When a campaign may be sent: `Mon-Fri 09:00-17:00 Europe/London`.

use std::{fmt, str::FromStr};

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};
use thiserror::Error;

use super::moment;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Days by their first three letters.
const NAMES: [(&str, &str); 7] = [
    ("Mon", "monday"),
    ("Tue", "tuesday"),
    ("Wed", "wednesday"),
    ("Thu", "thursday"),
    ("Fri", "friday"),
    ("Sat", "saturday"),
    ("Sun", "sunday"),
];

/// Times of the day, on some days of the week. A window is open when a clock on a wall there shows a time within it.
///
/// ```
/// use apiece::campaign::Window;
/// let window: Window = "mon-fri 9:00-12:30, 13:30-24:00 Europe/London".parse()?;
/// assert_eq!(window.to_string(), "Mon-Fri 09:00-12:30,13:30-24:00 Europe/London");
/// # Ok::<(), apiece::campaign::WindowError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whether it begins on each day of the week, from Monday
    days: [bool; 7],
    spans: Vec<Span>,
    zone: Option<TimeZone>,
}

/// From a minute of a day to another one, which is the next day's if it is not later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: u16,
    to: u16,
}

/// The text is no window.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum WindowError {
    #[error(
        "{0} is not a window: write days, times and a zone, for example \"Mon-Fri 09:00-17:00 Europe/London\" or \"22:00-06:00\""
    )]
    NotOne(String),
    #[error("{0} is no time from 00:00 to 24:00")]
    NoTime(String),
    #[error("{0} begins and ends at the same time: the whole day is 00:00-24:00")]
    Empty(String),
    #[error("{0}")]
    Zone(String),
}

impl Window {
    /// All days from midnight to midnight.
    pub(super) fn always() -> Self {
        Self { days: [true; 7], spans: vec![Span { from: 0, to: DAY }], zone: None }
    }

    /// Where its clock is, if that is said.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// With a zone for what was said without one.
    #[must_use]
    pub fn within(self, zone: &TimeZone) -> Self {
        Self { zone: Some(self.zone.unwrap_or_else(|| zone.clone())), ..self }
    }

    /// Whether it is open when its clock shows that. A holiday closes the whole day, and what would begin on it.
    pub(super) fn is_open(&self, local: DateTime, is_holiday: &dyn Fn(Date) -> bool) -> bool {
        let today = local.date();
        if is_holiday(today) {
            return false;
        }
        let begins_on = |day: Date| self.days[nth(day.weekday())] && !is_holiday(day);
        let minute = minute_of(local.time());
        self.spans.iter().any(|span| {
            let begun = minute >= span.from && begins_on(today);
            if span.from < span.to {
                return begun && minute < span.to;
            }
            begun || minute < span.to && today.checked_sub(1.day()).is_ok_and(begins_on)
        })
    }

    /// The times of a day at which it may open or close.
    pub(super) fn edges(&self) -> impl Iterator<Item = Time> {
        let edges = self.spans.iter().flat_map(|span| [span.from, span.to % DAY]);
        edges.chain([0]).filter_map(time_of)
    }
}

/// Which day of the week, from Monday.
fn nth(day: Weekday) -> usize {
    usize::from(day.to_monday_zero_offset().unsigned_abs())
}

fn minute_of(time: Time) -> u16 {
    u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).unwrap_or_default()
}

fn time_of(minute: u16) -> Option<Time> {
    Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let not_one = || WindowError::NotOne(crate::diagnostic::quoted(text));
        let plain = text.replace('–', "-").replace(", ", ",");
        let mut words: Vec<&str> = plain.split_whitespace().collect();
        let is_time = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let days = match words.first() {
            Some(first) if !is_time(first) => days(words.remove(0)).ok_or_else(not_one)?,
            _ => [true; 7],
        };
        let (times, zone) = match words.as_slice() {
            [times] => (times, None),
            [times, zone] => (times, Some(*zone)),
            _ => return Err(not_one()),
        };
        let spans = times.split(',').map(|span| {
            let (from, to) = span.split_once('-').ok_or_else(not_one)?;
            let (from, to) = (minute(from)?, minute(to)?);
            match from {
                DAY => Err(WindowError::NoTime(crate::diagnostic::quoted(span))),
                _ if from == to => Err(WindowError::Empty(crate::diagnostic::quoted(span))),
                _ => Ok(Span { from, to }),
            }
        });
        let spans = spans.collect::<Result<_, _>>()?;
        let zone = zone.map(moment::zone).transpose().map_err(|why| WindowError::Zone(why.to_string()))?;
        Ok(Self { days, spans, zone })
    }
}

/// `9:00` or `09:00`
fn minute(text: &str) -> Result<u16, WindowError> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let number = |digits: &str, most: usize| {
            let is_number = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|number| is_number && usize::from(*number) <= most)
        };
        let all = number(hour, 24)? * 60 + number(minute, 59).filter(|_| minute.len() == 2)?;
        (all <= DAY).then_some(all)
    };
    read().ok_or_else(|| WindowError::NoTime(crate::diagnostic::quoted(text)))
}

/// `Mon-Fri`, `Mon,Wed,Sat-Sun`
fn days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        NAMES.iter().position(|(short, long)| name.eq_ignore_ascii_case(short) || name == *long)
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let count = (last + 7 - first) % 7;
        (0..=count).for_each(|nth| days[(first + nth) % 7] = true);
    }
    Some(days)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        let mut nth = 0;
        while nth < 7 {
            let length = self.days[nth..].iter().take_while(|is_one| **is_one).count();
            match length {
                0 => {}
                1 => parts.push(NAMES[nth].0.to_owned()),
                _ => parts.push(format!("{}-{}", NAMES[nth].0, NAMES[nth + length - 1].0)),
            }
            nth += length.max(1);
        }
        if self.days != [true; 7] {
            write!(f, "{} ", parts.join(","))?;
        }
        let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let spans: Vec<String> =
            self.spans.iter().map(|span| format!("{}-{}", time(span.from), time(span.to))).collect();
        f.write_str(&spans.join(","))?;
        self.zone.as_ref().and_then(TimeZone::iana_name).map_or(Ok(()), |zone| write!(f, " {zone}"))
    }
}

/// What a day of the week is called for short.
pub(crate) fn short_day(day: Weekday) -> &'static str {
    NAMES[nth(day)].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_people_write_them() {
        for (text, written) in [
            ("Mon-Fri 09:00-17:00 Europe/London", "Mon-Fri 09:00-17:00 Europe/London"),
            ("monday-FRIDAY 9:00-17:00", "Mon-Fri 09:00-17:00"),
            ("22:00-06:00", "22:00-06:00"),
            ("Sat 00:00-24:00 UTC", "Sat 00:00-24:00 UTC"),
            ("Fri-Mon 08:00-12:00, 13:00-18:00 europe/berlin", "Mon,Fri-Sun 08:00-12:00,13:00-18:00 Europe/Berlin"),
            ("mon,wed, fri 10:00–11:00", "Mon,Wed,Fri 10:00-11:00"),
            ("Mon-Sun 10:00-11:00", "10:00-11:00"),
        ] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string(), written, "{text}");
            assert_eq!(written.parse::<Window>().unwrap(), window);
        }
        for text in [
            "",
            "Mon-Fri",
            "09:00",
            "9-17",
            "09:00-09:00",
            "24:00-06:00",
            "09:00-24:01",
            "09:00-25:00",
            "9:0-10:00",
            "Mo-Fr 09:00-17:00",
            "Mon-Fri 09:00-17:00 Europe/Londn",
            "09:00-17:00 x y",
            "+9:00-10:00",
            "Mon- 09:00-10:00",
            "09:60-10:00",
            "Mon-Fri 09:00-17:00 Mon",
            "-1:00-02:00",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
