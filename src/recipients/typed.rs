//! Cells that are more than text: yes or no, numbers, dates.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time};

use super::ListProblem;
use crate::{
    address::composed,
    campaign::{ColumnType, column_type},
};

/// What people write for yes, in lower case.
const YES: &[&str] =
    &["yes", "y", "true", "t", "1", "on", "ja", "j", "oui", "o", "si", "sí", "sì", "s", "sim", "tak", "wahr", "vrai"];

/// What people write for no, in lower case.
const NO: &[&str] =
    &["no", "n", "false", "f", "0", "off", "nein", "non", "nee", "nej", "nei", "não", "nie", "falsch", "faux"];

/// Whether a cell says yes or no; `None` where it says something else, or nothing.
#[must_use]
pub fn yes_or_no(cell: &str) -> Option<bool> {
    // None of the words has more octets, in whatever way its accents are written.
    if cell.len() > 12 {
        return None;
    }
    let cell = composed(cell.trim()).to_lowercase();
    if YES.contains(&cell.as_str()) {
        Some(true)
    } else if NO.contains(&cell.as_str()) {
        Some(false)
    } else {
        None
    }
}

/// The cell as it is kept, if it is what its column says.
pub(super) fn checked<'c>(cell: &'c str, kind: &ColumnType, optional: bool) -> Result<Cow<'c, str>, ListProblem> {
    match kind {
        ColumnType::YesNo if cell.is_empty() && !optional => Err(ListProblem::NeitherYesNorNo),
        _ if cell.is_empty() => Ok(cell.into()),
        ColumnType::Text => Ok(cell.into()),
        ColumnType::YesNo if yes_or_no(cell).is_some() => Ok(cell.into()),
        ColumnType::YesNo => Err(ListProblem::NotYesNo(cell.into())),
        ColumnType::Number if is_number(cell) => Ok(cell.into()),
        ColumnType::Number => Err(ListProblem::NotNumber(cell.into())),
        ColumnType::Date(format) => {
            let problem = || ListProblem::NotDate { cell: cell.into(), format: format.clone() };
            date(cell, format.as_deref()).ok_or_else(problem)
        }
    }
}

/// Digits, in groups or not, with a decimal point or comma or none.
fn is_number(cell: &str) -> bool {
    let unsigned = cell.strip_prefix(['-', '+', '\u{2212}']).unwrap_or(cell);
    let grouping = |c: char| matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '\u{2019}' | ',' | '.');
    let Some(at) = unsigned.rfind(['.', ',']) else { return is_grouped(unsigned, grouping) };
    let (whole, decimals) = (&unsigned[..at], &unsigned[at + 1..]);
    let mark = unsigned[at..].chars().next().unwrap_or('.');
    // 1,234,567 has no decimals, and 1,234 may or may not; both are numbers.
    is_grouped(unsigned, |c| grouping(c) && c == mark)
        || (is_grouped(whole, |c| grouping(c) && c != mark)
            && !decimals.is_empty()
            && decimals.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Digits, and between groups of three of them always the same mark.
fn is_grouped(text: &str, mark: impl Fn(char) -> bool) -> bool {
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|digit| digit.is_ascii_digit());
    let Some(used) = text.chars().find(|c| !c.is_ascii_digit()) else { return digits(text) };
    let mut groups = text.split(used);
    mark(used)
        && groups.next().is_some_and(|first| digits(first) && first.len() <= 3)
        && groups.all(|group| digits(group) && group.len() == 3)
}

/// The number that a cell says, as digits with a decimal point or none; `None` where it is none, or could be two:
/// `1,234` is a thousand and more in one country and one and some in another.
#[must_use]
pub fn as_number(cell: &str) -> Option<String> {
    if !is_number(cell) {
        return None;
    }
    let unsigned = cell.strip_prefix(['-', '+', '\u{2212}']).unwrap_or(cell);
    let sign = if cell.starts_with(['-', '\u{2212}']) { "-" } else { "" };
    let marks: Vec<char> = unsigned.chars().filter(|c| matches!(c, '.' | ',')).collect();
    let other_marks = unsigned.chars().any(|c| !c.is_ascii_digit() && !matches!(c, '.' | ','));
    let decimal = match marks.as_slice() {
        [mark] => {
            let at = unsigned.rfind(*mark)?;
            let thousands = unsigned.len() - at - 1 == 3 && (1..=3).contains(&at) && !unsigned.starts_with('0');
            if thousands && !other_marks {
                return None;
            }
            Some(at)
        }
        // Of several, the last is the decimal one only if it is another.
        [.., before, last] if before != last => unsigned.rfind(*last),
        _ => None,
    };
    let (whole, decimals) = decimal.map_or((unsigned, ""), |at| (&unsigned[..at], &unsigned[at + 1..]));
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    Some(if decimals.is_empty() { format!("{sign}{digits}") } else { format!("{sign}{digits}.{decimals}") })
}

/// The moment that a cell says as ISO 8601 has it; midnight where it is only a day.
#[must_use]
pub fn iso_date(cell: &str) -> Option<DateTime> {
    Some(match iso(cell)? {
        Iso::Date(date) => date.to_datetime(Time::midnight()),
        Iso::DateTime(when) => when,
    })
}

/// The cell in one form, however its column shows it: a date as ISO 8601 has it, with the time of day if the column shows one.
pub(crate) fn in_one_form<'c>(cell: &'c str, kind: &ColumnType) -> Cow<'c, str> {
    let read = match kind {
        ColumnType::Date(Some(format)) => column_type::read(cell, format)
            .map(|when| if column_type::has_time(format) { Iso::DateTime(when) } else { Iso::Date(when.date()) }),
        ColumnType::Date(None) => iso(cell),
        ColumnType::Text | ColumnType::YesNo | ColumnType::Number => None,
    };
    match read {
        Some(Iso::Date(date)) => date.to_string().into(),
        Some(Iso::DateTime(when)) => when.to_string().into(),
        None => cell.into(),
    }
}

/// A date in the format, or as ISO 8601 has it, written in the format.
fn date<'c>(cell: &'c str, format: Option<&str>) -> Option<Cow<'c, str>> {
    let Some(format) = format else { return iso(cell).map(|_| cell.into()) };
    let when = match column_type::read(cell, format) {
        Some(when) => when,
        None => match iso(cell)? {
            // Nobody said at what time.
            Iso::Date(_) if column_type::has_time(format) => return None,
            Iso::Date(date) => date.to_datetime(Time::midnight()),
            Iso::DateTime(when) => when,
        },
    };
    column_type::written(when, format).map(Cow::from)
}

enum Iso {
    Date(Date),
    DateTime(DateTime),
}

/// `2026-11-24`, `2026-11-24 14:30`, `2026-11-24T14:30:05`
fn iso(cell: &str) -> Option<Iso> {
    let plain = cell.bytes().all(|byte| byte.is_ascii_digit() || b"-T: .".contains(&byte));
    let date = cell.get(..10).filter(|_| plain && cell.bytes().filter(|byte| *byte == b'-').count() == 2)?;
    let date: Date = date.parse().ok().filter(|date: &Date| date.year() >= 1000)?;
    if cell.len() == 10 { Some(Iso::Date(date)) } else { cell.parse().ok().map(Iso::DateTime) }
}

/// Whether a cell of numbers says zero, which `{{#if}}` would take for true.
#[must_use]
pub fn is_zero(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|c| matches!(c, '0' | '.' | ',' | '-' | '+')) && cell.contains('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_several_countries() {
        for number in [
            "0",
            "12",
            "-3",
            "+3",
            "1234.5",
            "1,234,567",
            "1,234,567.89",
            "1.234.567,89",
            "1 234,5",
            "1'234.50",
            "0.5",
            "1234",
            "12345678",
            "1,234",
            "1234,5",
        ] {
            assert!(is_number(number), "{number}");
        }
        for text in
            ["", "-", "1,23,4", "1.2.3", "12a", "£5", "1,234,56", "1..2", ".", "1.", "12 34", "1,234.567,8", "1e5", "٣"]
        {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn a_number_is_read_in_one_way_or_not_at_all() {
        for (cell, number) in [
            ("1234.50", Some("1234.50")),
            ("1234,5", Some("1234.5")),
            ("-1.234,50", Some("-1234.50")),
            ("1,234,567", Some("1234567")),
            ("1 234,567", Some("1234.567")),
            ("1'234.5", Some("1234.5")),
            ("0.125", Some("0.125")),
            ("+7", Some("7")),
            ("1,234", None),
            ("12.345", None),
            ("£5", None),
            ("", None),
        ] {
            assert_eq!(as_number(cell).as_deref(), number, "{cell}");
        }
    }

    #[test]
    fn dates_are_read_in_their_format_or_iso_and_written_in_the_format() {
        let read = |cell, format| date(cell, format).map(Cow::into_owned);
        for (cell, format, shown) in [
            ("2026-11-24", None, Some("2026-11-24")),
            ("2026-11-24 14:30", None, Some("2026-11-24 14:30")),
            ("24.11.2026", Some("%d.%m.%Y"), Some("24.11.2026")),
            ("1.2.2026", Some("%d.%m.%Y"), Some("01.02.2026")),
            ("2026-11-24", Some("%-d %B %Y"), Some("24 November 2026")),
            ("2026-11-24 14:30", Some("%d.%m.%Y"), Some("24.11.2026")),
            ("24.11.2026", None, None),
            ("31.02.2026", Some("%d.%m.%Y"), None),
            ("2026-02-31", None, None),
            ("20261124", None, None),
            ("soon", None, None),
            ("2026-11-24T14:30:00Z", None, None),
            ("24.11.26", Some("%d.%m.%Y"), None),
            ("1.1.202", Some("%d.%m.%Y"), None),
            ("1/2/26", Some("%m/%d/%y"), Some("01/02/26")),
            ("24.11.2026 14:30", Some("%d.%m.%Y %H:%M"), Some("24.11.2026 14:30")),
            ("2026-11-24 14:30", Some("%d.%m.%Y %I:%M %p"), Some("24.11.2026 02:30 PM")),
            ("2026-11-24", Some("%d.%m.%Y %H:%M"), None),
            ("24.11.2026", Some("%d.%m.%Y %H:%M"), None),
        ] {
            assert_eq!(read(cell, format).as_deref(), shown, "{cell} {format:?}");
        }
    }

    #[test]
    fn a_date_is_the_same_however_it_is_shown() {
        let form = |cell, kind: &str| in_one_form(cell, &kind.parse().unwrap()).into_owned();
        for (cell, kind) in [
            ("2026-11-24", "date"),
            ("24.11.2026", "date %d.%m.%Y"),
            ("24 November 2026", "date %-d %B %Y"),
            ("11/24/26", "date %m/%d/%y"),
        ] {
            assert_eq!(form(cell, kind), "2026-11-24");
        }
        for (cell, kind) in [("2026-11-24 14:30", "date"), ("24.11.2026 02:30 PM", "date %d.%m.%Y %I:%M %p")] {
            assert_eq!(form(cell, kind), "2026-11-24T14:30:00");
        }
        for (cell, kind) in [("24.11.2026", "text"), ("1,50", "number"), ("", "date %d.%m.%Y")] {
            assert_eq!(form(cell, kind), cell);
        }
    }

    #[test]
    fn yes_and_no() {
        for (cell, said) in [
            ("Yes", Some(true)),
            ("NEIN", Some(false)),
            (" 0 ", Some(false)),
            ("yess", None),
            ("", None),
            ("Não", Some(false)),
            ("na\u{303}o", Some(false)),
        ] {
            assert_eq!(yes_or_no(cell), said, "{cell}");
        }
    }
}
