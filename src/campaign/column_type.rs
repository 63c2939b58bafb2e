//! What the cells of a column are.

use std::{fmt, str::FromStr};

use jiff::civil::{Date, DateTime, Time};
use thiserror::Error;

/// What the cells of a column are, where they are more than text.
///
/// ```
/// use apiece::campaign::ColumnType;
/// assert_eq!("yes_no".parse(), Ok(ColumnType::YesNo));
/// assert_eq!("date %d.%m.%Y".parse(), Ok(ColumnType::Date(Some("%d.%m.%Y".into()))));
/// assert!("date %Q".parse::<ColumnType>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ColumnType {
    /// Text, whatever it looks like.
    #[default]
    Text,
    /// Yes or no, in one of several languages; `{{#if column}}` asks which.
    YesNo,
    /// A number, shown as it is written.
    Number,
    /// A date: in the list as `2026-11-24` or in this format of strftime, and shown in the format if there is one.
    Date(Option<String>),
}

/// The text names no type.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ColumnTypeError {
    /// None of the words.
    #[error(
        "a column is \"yes_no\", \"date\", \"number\" or \"text\"; a date may have a format, as in \"date %d.%m.%Y\""
    )]
    Unknown,
    /// Not a format.
    #[error("\"{0}\" is no format that a date can be read and written in; for example %d.%m.%Y is 24.11.2026")]
    Format(String),
}

impl FromStr for ColumnType {
    type Err = ColumnTypeError;

    fn from_str(text: &str) -> Result<Self, ColumnTypeError> {
        match text.trim() {
            "text" => Ok(Self::Text),
            "yes_no" => Ok(Self::YesNo),
            "number" => Ok(Self::Number),
            "date" => Ok(Self::Date(None)),
            text => {
                let format = text.strip_prefix("date").filter(|rest| rest.starts_with([' ', ':']));
                let format = format.ok_or(ColumnTypeError::Unknown)?[1..].trim();
                if reads_back(format) {
                    Ok(Self::Date(Some(format.to_owned())))
                } else {
                    Err(ColumnTypeError::Format(format.to_owned()))
                }
            }
        }
    }
}

/// A moment in a format; `None` where the format is none.
pub(crate) fn written(when: DateTime, format: &str) -> Option<String> {
    use std::fmt::Write;
    let mut text = String::new();
    // Unknown directives are errors of `write`, and would be panics of `to_string`.
    write!(text, "{}", when.strftime(format)).ok()?;
    Some(text)
}

/// Whether a format shows the time of day.
pub(crate) fn has_time(format: &str) -> bool {
    let at = |hour, minute, second| written(DateTime::constant(2021, 9, 28, hour, minute, second, 0), format);
    at(4, 5, 6) != at(17, 38, 49)
}

/// The moment that a text in a format says; midnight where the format has no time.
pub(crate) fn read(text: &str, format: &str) -> Option<DateTime> {
    let when = if has_time(format) {
        DateTime::strptime(format, text).ok()?
    } else {
        Date::strptime(format, text).ok()?.to_datetime(Time::midnight())
    };
    // `%Y` takes 26 for the year 26.
    (when.year() >= 1000).then_some(when)
}

/// Whether a moment written in a format can be told from it again.
fn reads_back(format: &str) -> bool {
    let when = DateTime::constant(2021, 9, 28, 17, 38, 0, 0);
    let expected = if has_time(format) { when } else { when.date().to_datetime(Time::midnight()) };
    written(when, format).and_then(|written| read(&written, format)) == Some(expected)
}

/// As it is written in settings.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::YesNo => f.write_str("yes_no"),
            Self::Number => f.write_str("number"),
            Self::Date(None) => f.write_str("date"),
            Self::Date(Some(format)) => write!(f, "date {format}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_they_are_read() {
        for text in [
            "text",
            "yes_no",
            "number",
            "date",
            "date %d.%m.%Y",
            "date %-d %B %Y",
            "date %A, %d %b %Y",
            "date %m/%d/%y",
        ] {
            assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "yesno",
            "dates",
            "date:",
            "date %",
            "date %Q",
            "date dd.mm.yyyy",
            "date %d.%m",
            "date %H:%M",
            "date %d.%m.%Y %I:%M",
        ] {
            assert!(text.parse::<ColumnType>().is_err(), "{text}");
        }
    }
}
