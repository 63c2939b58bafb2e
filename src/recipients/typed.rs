//! Cells that are more than text: yes or no, numbers, dates.

use std::{borrow::Cow, fmt::Write};

use jiff::civil::{Date, DateTime};

use super::ListProblem;
use crate::campaign::ColumnType;

/// What people write for yes, in lower case.
const YES: &[&str] =
    &["yes", "y", "true", "t", "1", "on", "ja", "j", "oui", "o", "si", "sí", "sì", "s", "sim", "tak", "wahr", "vrai"];

/// What people write for no, in lower case.
const NO: &[&str] =
    &["no", "n", "false", "f", "0", "off", "nein", "non", "nee", "nej", "nei", "não", "nie", "falsch", "faux"];

/// Whether a cell says yes or no; `None` where it says something else, or nothing.
#[must_use]
pub fn yes_or_no(cell: &str) -> Option<bool> {
    // None of the words has more octets.
    if cell.len() > 8 {
        return None;
    }
    let cell = cell.trim().to_lowercase();
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

/// A date in the format, or as ISO 8601 has it, written in the format.
fn date<'c>(cell: &'c str, format: Option<&str>) -> Option<Cow<'c, str>> {
    let plain = cell.len() >= 8 && cell.bytes().all(|byte| byte.is_ascii_digit() || b"-T: .".contains(&byte));
    let iso = || {
        if cell.bytes().filter(|byte| *byte == b'-').count() != 2 || !plain {
            return None;
        }
        cell.parse::<DateTime>()
            .ok()
            .or_else(|| Some(cell.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())))
    };
    let Some(format) = format else { return iso().map(|_| cell.into()) };
    let when = match Date::strptime(format, cell) {
        Ok(date) => date.to_datetime(jiff::civil::Time::midnight()),
        Err(_) => iso()?,
    };
    let mut written = String::new();
    write!(written, "{}", when.strftime(format)).ok()?;
    Some(written.into())
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
        ] {
            assert_eq!(read(cell, format).as_deref(), shown, "{cell} {format:?}");
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
        ] {
            assert_eq!(yes_or_no(cell), said, "{cell}");
        }
    }
}
