//! When: a calendar expression as systemd writes it (systemd.time(7), "Calendar Events").
//!
//! systemd reads its own expressions; what is read here is needed to say the same to cron, launchd and Windows, which know
//! less, and to refuse what they cannot be told rather than to tell them something else.

use std::{collections::BTreeSet, fmt, str::FromStr};

use thiserror::Error;

/// Longer ones are no mistake of a person's.
const MOST_CHARACTERS: usize = 200;

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Words for whole expressions.
const WORDS: [(&str, &str); 9] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("weekly", "Mon *-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
    ("annually", "*-01-01 00:00:00"),
];

/// Some numbers of a field; none means each.
type Field = Option<BTreeSet<u16>>;

/// Times that come again and again, or once.
///
/// ```
/// use apiece::schedule::Calendar;
/// let calendar: Calendar = "Mon..Fri 09:00".parse()?;
/// assert_eq!(calendar.cron().as_deref(), Ok("0 9 * * 1-5"));
/// assert!("Mon..Fri 25:00".parse::<Calendar>().is_err());
/// # Ok::<(), apiece::schedule::CalendarError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    text: String,
    /// 1 is Monday.
    pub(super) weekdays: Field,
    pub(super) years: Field,
    pub(super) months: Field,
    pub(super) days: Field,
    pub(super) hours: Field,
    pub(super) minutes: Field,
    pub(super) seconds: Field,
    zone: Option<String>,
}

/// Why a text is no calendar expression, or not one that a scheduler can be told.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CalendarError {
    #[error("{0:?} is not a calendar expression: {1}")]
    Syntax(String, String),
    #[error("{0} cannot be told {1}")]
    Beyond(&'static str, &'static str),
}

impl Calendar {
    /// The time zone, if it names one.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// The five fields of a crontab(5) line.
    pub fn cron(&self) -> Result<String, CalendarError> {
        self.check_plain("cron")?;
        let fields = [&self.minutes, &self.hours, &self.days, &self.months, &self.weekdays];
        Ok(fields.map(|field| in_ranges(field.as_ref())).join(" "))
    }

    /// What no other scheduler than systemd knows.
    pub(super) fn check_plain(&self, whom: &'static str) -> Result<(), CalendarError> {
        if self.seconds.as_ref().is_none_or(|seconds| seconds.iter().ne([&0])) {
            return Err(CalendarError::Beyond(whom, "a second"));
        }
        if self.years.is_some() {
            return Err(CalendarError::Beyond(whom, "a year"));
        }
        if self.weekdays.is_some() && (self.days.is_some() || self.months.is_some()) {
            return Err(CalendarError::Beyond(whom, "days of the week together with days or months: it takes either"));
        }
        Ok(())
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let wrong = |why: &str| CalendarError::Syntax(text.to_owned(), why.to_owned());
        if text.len() > MOST_CHARACTERS || text.chars().any(char::is_control) {
            return Err(wrong("it is too long, or holds control characters"));
        }
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let zone = words.pop_if(|word| is_zone(word)).map(str::to_owned);
        let known = words.first().and_then(|first| {
            let (_, meaning) = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(first))?;
            Some(*meaning)
        });
        if let (Some(meaning), 1) = (known, words.len()) {
            words = meaning.split(' ').collect();
        }
        let mut words = words.into_iter().peekable();
        let weekdays = words.next_if(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
        let date = words.next_if(|word| !word.contains(':'));
        let time = words.next();
        if words.next().is_some() || (weekdays, date, time) == (None, None, None) {
            return Err(wrong("days of the week, a date and a time are wanted, such as \"Mon..Fri 09:00\""));
        }
        let weekdays = weekdays.map(weekdays_of).transpose().map_err(|why| wrong(&why))?;
        let [years, months, days] = date.map_or(Ok([None, None, None]), date_of).map_err(|why| wrong(&why))?;
        let midnight = || Ok([0, 0, 0].map(|zero| Some(BTreeSet::from([zero]))));
        let [hours, minutes, seconds] = time.map_or_else(midnight, time_of).map_err(|why| wrong(&why))?;
        let text = words_of(text);
        Ok(Self { text, weekdays, years, months, days, hours, minutes, seconds, zone })
    }
}

/// Without white space that does not matter.
fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name of the time zone database.
fn is_zone(word: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    (word == "UTC" || word.contains('/'))
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(is_name)
}

fn weekdays_of(text: &str) -> Result<BTreeSet<u16>, String> {
    let number = |name: &str| {
        let name = name.to_ascii_lowercase();
        let found = (1..).zip(WEEKDAYS).find(|(_, day)| *day == name || (name.len() == 3 && day.starts_with(&name)));
        found.map(|(number, _)| number).ok_or_else(|| format!("there is no day of the week {name:?}"))
    };
    let mut days = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once("..").or_else(|| part.split_once('-')).unwrap_or((part, part));
        let (from, to) = (number(from)?, number(to)?);
        if from <= to {
            days.extend(from..=to);
        } else {
            days.extend((from..=7).chain(1..=to));
        }
    }
    Ok(days)
}

fn date_of(text: &str) -> Result<[Field; 3], String> {
    let parts: Vec<&str> = text.split('-').collect();
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] => (*year, *month, *day),
        [month, day] => ("*", *month, *day),
        _ => return Err(format!("{text:?} is not a date such as \"2026-12-01\", \"*-*-01\" or \"12-24\"")),
    };
    Ok([field(year, 1970, 2199)?, field(month, 1, 12)?, field(day, 1, 31)?])
}

fn time_of(text: &str) -> Result<[Field; 3], String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute, second] => (*hour, *minute, *second),
        [hour, minute] => (*hour, *minute, "0"),
        _ => return Err(format!("{text:?} is not a time such as \"09:00\"")),
    };
    Ok([field(hour, 0, 23)?, field(minute, 0, 59)?, field(second, 0, 59)?])
}

/// `*`, or numbers, ranges (`1..5`) and steps (`0/15`), separated by commas.
fn field(text: &str, least: u16, most: u16) -> Result<Field, String> {
    if text == "*" {
        return Ok(None);
    }
    let number = |text: &str| {
        let digits = text.chars().all(|c| c.is_ascii_digit());
        let number = text.parse::<u16>().ok().filter(|number| digits && (least..=most).contains(number));
        number.ok_or_else(|| format!("{text:?} is not a number from {least} to {most}"))
    };
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step =
            step.map(|step| step.parse::<u16>().ok().filter(|step| *step > 0).ok_or("a step is a number above 0"));
        let step = step.transpose()?;
        let (from, to) = match (range, range.split_once("..")) {
            ("*", _) => (least, most),
            (_, Some((from, to))) => (number(from)?, number(to)?),
            (one, None) => (number(one)?, if step.is_some() { most } else { number(one)? }),
        };
        if from > to {
            return Err(format!("{range:?} ends before it begins"));
        }
        numbers.extend((from..=to).step_by(usize::from(step.unwrap_or(1))));
    }
    Ok(Some(numbers))
}

/// As crontab(5) writes it.
fn in_ranges(field: Option<&BTreeSet<u16>>) -> String {
    let Some(field) = field else { return "*".into() };
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for number in field {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *number => *to = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let written = ranges.iter().map(|(from, to)| match to - from {
        0 => from.to_string(),
        1 => format!("{from},{to}"),
        _ => format!("{from}-{to}"),
    });
    written.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str) -> Result<String, CalendarError> {
        text.parse::<Calendar>()?.cron()
    }

    #[test]
    fn cron_is_told_the_same() {
        for (calendar, line) in [
            ("Mon..Fri 09:00", "0 9 * * 1-5"),
            ("mon-fri 9:5", "5 9 * * 1-5"),
            ("Sat..Mon 09:00", "0 9 * * 1,6,7"),
            ("Monday,Wed *-*-* 17:30:00", "30 17 * * 1,3"),
            ("*:0/15", "0,15,30,45 * * * *"),
            ("08..17/3:00", "0 8,11,14,17 * * *"),
            ("*-*-01,15 06:00", "0 6 1,15 * *"),
            ("12-24 10:00", "0 10 24 12 *"),
            ("Mon", "0 0 * * 1"),
            ("*-*-01", "0 0 1 * *"),
            ("minutely", "* * * * *"),
            ("hourly", "0 * * * *"),
            ("Weekly", "0 0 * * 1"),
            ("quarterly", "0 0 1 1,4,7,10 *"),
        ] {
            assert_eq!(cron(calendar).as_deref(), Ok(line), "{calendar}");
        }
        let zoned: Calendar = "  Mon..Fri   09:00 Europe/London ".parse().unwrap();
        assert_eq!((zoned.zone(), zoned.to_string().as_str()), (Some("Europe/London"), "Mon..Fri 09:00 Europe/London"));
        assert_eq!("09:00 UTC".parse::<Calendar>().unwrap().zone(), Some("UTC"));
    }

    #[test]
    fn what_cron_does_not_know_it_is_not_told() {
        for (calendar, what) in [
            ("2026-12-01 09:00", "a year"),
            ("09:00:30", "a second"),
            ("*:*:*", "a second"),
            ("Fri *-*-13 09:00", "days of the week together with days or months: it takes either"),
        ] {
            assert_eq!(cron(calendar), Err(CalendarError::Beyond("cron", what)), "{calendar}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            " ",
            "often",
            "Mon..Nonday 09:00",
            "24:00",
            "09:60",
            "*-13-01",
            "*-*-32",
            "9",
            "09:00 tomorrow",
            "1..2..3:00",
            "*:0/0",
            "*:5..1",
            "+9:00",
            "Mon 09:00\nExecStart=x",
            "09:00 Europe/London extra",
            "*-*~1 09:00",
            "1-2-3-4",
        ] {
            assert!(text.parse::<Calendar>().is_err(), "{text:?}");
        }
        assert!("9,".repeat(200).parse::<Calendar>().is_err());
    }
}
