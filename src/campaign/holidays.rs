//! Days on which nothing is sent: one date a line, or a calendar (iCalendar, RFC 5545) of all-day events.

use std::{fmt, path::Path, sync::Arc};

use jiff::{ToSpan, civil::Date};

use super::{keys::Keys, read_text};
use crate::diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, Source, quoted};

/// Files larger than this are none.
const MOST_BYTES: u64 = 1 << 20;

/// So many days are no holidays.
const MOST_DAYS: usize = 5000;

/// Names are cut after so many characters.
const MOST_NAME: usize = 60;

/// Days on which nothing is sent, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holidays(Vec<Holiday>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Holiday {
    date: Date,
    name: String,
}

/// What can be wrong with such a file.
#[derive(Debug)]
enum HolidayProblem {
    NotADate(String),
    Repeats,
    Lasts,
    Timed,
    Long,
    TooMany,
    None,
}

impl fmt::Display for HolidayProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADate(text) => write!(f, "{} is not a date", quoted(text)),
            Self::Repeats => f.write_str("this event repeats, and on which days is not worked out"),
            Self::Lasts => f.write_str("this event says how long it is, and not when it ends, which is not worked out"),
            Self::Timed => f.write_str("this event is not for a whole day"),
            Self::Long => f.write_str("this event ends before it begins, or is longer than a year"),
            Self::TooMany => write!(f, "these are more than {MOST_DAYS} days"),
            Self::None => f.write_str("there is no date in this file"),
        }
    }
}

impl Complaint for HolidayProblem {
    fn code(&self) -> &'static str {
        "settings.holidays"
    }

    fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::NotADate(_) => {
                    "begin each line with a date such as 2026-12-25; a name may follow, and # begins a comment"
                }
                Self::Repeats | Self::Lasts | Self::Timed => {
                    "write each day into a file of its own line: 2026-12-25 Christmas Day"
                }
                Self::Long | Self::TooMany => "is this a list of holidays?",
                Self::None => "write a date such as 2026-12-25 on each line",
            }
            .into(),
        )
    }

    /// Somebody may have named a list by mistake.
    fn bare(&self) -> Bare {
        match self {
            Self::NotADate(_) => Bare::said("this is not a date", self.help()),
            _ => Bare::Whole,
        }
    }
}

impl Holidays {
    /// From a file.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let text = read_text(path, MOST_BYTES)?;
        Self::parse(&Source::new(path.display().to_string(), &text))
    }

    fn parse(source: &Arc<Source>) -> Result<Self, Diagnostics> {
        let text = source.text();
        let is_calendar = text.trim_start_matches('\u{feff}').trim_start().starts_with("BEGIN:VCALENDAR");
        let mut problems = Diagnostics::default();
        let mut complain = |at: usize, problem: &HolidayProblem| {
            let length = text[at..].lines().next().map_or(0, str::len);
            problems.push(Diagnostic::error(Place::Text(Arc::clone(source), at..at + length), problem));
        };
        let mut days = if is_calendar { of_calendar(text, &mut complain) } else { of_lines(text, &mut complain) };
        days.sort();
        days.dedup_by_key(|day| day.date);
        if days.len() > MOST_DAYS {
            complain(0, &HolidayProblem::TooMany);
        } else if days.is_empty() && !problems.has_errors() {
            let nowhere = Place::File(Path::new(source.name()).into());
            problems.push(Diagnostic::error(nowhere, &HolidayProblem::None));
        }
        problems.checked(Some(Self(days)))
    }

    /// From the key of a `campaign.toml`: the name of a file, or the days themselves.
    pub(super) fn of_key(keys: &mut Keys<'_>, base: &Path) -> Option<Self> {
        const KEY: &str = "holidays";
        if !keys.is_array(KEY) {
            let file = keys.string(KEY)?;
            return match Self::read(&super::account::resolve(base, &file.value)) {
                Ok(days) => Some(days),
                Err(wrong) => {
                    keys.adopt(wrong);
                    None
                }
            };
        }
        let mut days = Vec::new();
        for line in keys.strings(KEY)?.value {
            match of_line(&line.value) {
                Some(day) => days.push(day),
                None => keys.report(line.span, &HolidayProblem::NotADate(line.value)),
            }
        }
        days.sort();
        Some(Self(days))
    }

    /// Whether it is one.
    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        self.0.binary_search_by_key(&date, |day| day.date).is_ok()
    }

    /// Each as a line that is read again.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|day| if day.name.is_empty() { day.date.to_string() } else { format!("{} {}", day.date, day.name) })
    }
}

fn of_line(line: &str) -> Option<Holiday> {
    let (date, name) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    // A time behind it would be left out without a word.
    let date = date.parse().ok().filter(|_| date.len() == 10)?;
    Some(Holiday { date, name: short(name) })
}

fn short(name: &str) -> String {
    name.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_NAME).collect()
}

fn of_lines(text: &str, complain: &mut impl FnMut(usize, &HolidayProblem)) -> Vec<Holiday> {
    let mut days = Vec::new();
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.split('#').next().unwrap_or_default().trim_start_matches('\u{feff}').trim();
        match of_line(line) {
            Some(day) => days.push(day),
            None if line.is_empty() => {}
            None => complain(at, &HolidayProblem::NotADate(line.to_owned())),
        }
        at += whole.len();
    }
    days
}

/// The all-day events of a calendar.
fn of_calendar(text: &str, complain: &mut impl FnMut(usize, &HolidayProblem)) -> Vec<Holiday> {
    let mut days = Vec::new();
    let (mut event, mut start, mut end, mut name) = (None, None, None, String::new());
    for (at, line) in unfolded(text) {
        let (property, value) = line.split_once(':').unwrap_or((&line, ""));
        let property = property.to_ascii_uppercase();
        let date = || {
            let value = value.trim();
            let is_day = value.len() == 8 && property.split(';').any(|part| part == "VALUE=DATE");
            Date::strptime("%Y%m%d", value).ok().filter(|_| is_day)
        };
        match (property.split(';').next().unwrap_or_default(), value.trim()) {
            ("BEGIN", "VEVENT") => (event, start, end, name) = (Some(at), None, None, String::new()),
            _ if event.is_none() => {}
            ("DURATION", _) => complain(at, &HolidayProblem::Lasts),
            ("RRULE" | "RDATE", _) => complain(at, &HolidayProblem::Repeats),
            ("DTSTART", _) => match date() {
                None => complain(at, &HolidayProblem::Timed),
                day => start = day,
            },
            ("DTEND", _) => end = date(),
            ("SUMMARY", text) => name = short(&text.replace('\\', "")),
            ("END", "VEVENT") => {
                let begun = event.take().unwrap_or_default();
                let Some(first) = start else { continue };
                // The end is the day behind the last one.
                let behind = end.or_else(|| first.checked_add(1.day()).ok()).unwrap_or(first);
                let length = (behind - first).get_days();
                if !(1..=366).contains(&length) {
                    complain(begun, &HolidayProblem::Long);
                    continue;
                }
                let all = (0..length).filter_map(|nth| first.checked_add(nth.days()).ok());
                days.extend(all.map(|date| Holiday { date, name: name.clone() }));
            }
            _ => {}
        }
    }
    days
}

/// The lines of a calendar, each with where it begins: one that begins with a space goes on with the one before (RFC 5545 §3.1).
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\r', '\n']);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some((_, last))) => last.push_str(more),
            _ => lines.push((at, line.to_owned())),
        }
        at += whole.len();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<String>, String> {
        let read = Holidays::parse(&Source::new("h", text));
        read.map(|days| days.lines().collect()).map_err(|why| why.to_string())
    }

    #[test]
    fn a_date_a_line_with_a_name_or_none() {
        let text = "\u{feff}# England\n2026-12-25 Christmas Day\r\n\n2026-12-28  Boxing Day (substitute) # moved\n2027-01-01\n2027-01-01 twice\n";
        let days = ["2026-12-25 Christmas Day", "2026-12-28 Boxing Day (substitute)", "2027-01-01"];
        assert_eq!(parse(text).unwrap(), days);
        for (text, said) in [
            ("2026-12-25\n25.12.2026 Christmas\n", "h:2:1"),
            ("2026-02-29\n", "is not a date"),
            ("2026-12-25T09:00\n", "is not a date"),
            ("20261225\n", "is not a date"),
            ("# none\n", "there is no date in this file"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn a_calendar_of_whole_days() {
        let event = |lines: &str| {
            format!("BEGIN:VCALENDAR\r\nDTSTART:x\r\nBEGIN:VEVENT\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
        };
        let text = event(
            "DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:Christmas\r\n  and\\, well\r\nUID:x",
        );
        assert_eq!(parse(&text).unwrap(), ["2026-12-25 Christmas and, well", "2026-12-26 Christmas and, well"]);
        assert_eq!(parse(&event("DTSTART;VALUE=DATE:20261225")).unwrap(), ["2026-12-25"]);
        for (lines, said) in [
            ("DTSTART:20261225T090000Z", "not for a whole day"),
            ("DTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY", "repeats"),
            ("DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261225", "ends before it begins"),
            ("DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20301225", "longer than a year"),
            ("DTSTART;VALUE=DATE:20261225\r\nDURATION:P3D", "says how long it is"),
            ("SUMMARY:x", "there is no date"),
        ] {
            let why = parse(&event(lines)).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
}
