//! Number formats (ECMA-376 part 1 §18.8.31): a number as the sheet shows it, but dates as ISO 8601 has them.
//!
//! Done here because the crates for it round the binary number (0.285 as `0%` is 29% in a spreadsheet and 28% there)
//! and lose digits of large ones. A spreadsheet rounds the 15 decimal digits that it keeps.

use std::fmt::Write;

use jiff::{ToSpan, civil};

use super::number::{push_fraction, push_general, push_placed};

/// What day 0 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateSystem {
    /// Windows; with the day 1900-02-29 that never was.
    From1900,
    /// Early Macs.
    From1904,
}

/// A format code that is longer shows numbers as they are. Excel allows 255 characters.
const MOST_CODE: usize = 1024;

/// A number format.
#[derive(Debug)]
pub(super) struct Format {
    sections: Vec<Section>,
    /// What is done to text; `None` leaves it as it is.
    text: Option<Vec<Token>>,
}

#[derive(Debug)]
struct Section {
    condition: Option<(Comparison, f64)>,
    tokens: Vec<Token>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Fraction,
    /// A point in time, shown in ISO form.
    Moment {
        date: bool,
        time: bool,
    },
    /// A length of time, shown as the format says.
    Span,
}

/// A piece of a format code.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Literal(String),
    /// `0`, `#` or `?`.
    Digit(char),
    Point,
    Comma,
    Percent,
    /// `E+` or `E-`.
    Exponent {
        plus: bool,
    },
    Slash,
    /// `@` and `General`: the value as it is.
    Whole,
    /// A letter of date or time, lower case, and how often it stands there.
    Time(char, usize),
    /// `[h]`, `[mm]`, `[s]`: the whole span in that unit.
    Elapsed(char, usize),
}

impl Format {
    pub(super) fn new(code: &str) -> Self {
        let code = if code.trim().is_empty() || code.len() > MOST_CODE { "General" } else { code };
        let mut sections = sections(code);
        let has_text = |section: &Section| section.tokens.contains(&Token::Whole) && code.contains('@');
        let text = match sections.len() {
            4.. => {
                sections.truncate(4);
                sections.pop().map(|section| section.tokens)
            }
            1 => sections.first().filter(|only| has_text(only)).map(|only| only.tokens.clone()),
            _ if sections.last().is_some_and(has_text) => sections.pop().map(|section| section.tokens),
            _ => None,
        };
        Self { sections, text: text.filter(|tokens| *tokens != [Token::Whole]) }
    }

    /// Whether text is shown other than it is.
    pub(super) fn dresses_text(&self) -> bool {
        self.text.is_some()
    }

    /// Appends a text as it is shown.
    pub(super) fn push_text(&self, text: &str, out: &mut String) {
        let Some(tokens) = &self.text else { return out.push_str(text) };
        for token in tokens {
            match token {
                Token::Literal(literal) => out.push_str(literal),
                Token::Whole => out.push_str(text),
                _ => {}
            }
        }
    }

    /// Appends a number as it is shown.
    pub(super) fn push_number(&self, value: f64, dates: DateSystem, out: &mut String) {
        let Some((section, minus)) = self.section(value) else { return push_general(value, out) };
        let mut shown = String::new();
        let done = match section.kind {
            Kind::Moment { date, time } => push_moment(value, date, time, dates, &mut shown),
            Kind::Span => push_span(&section.tokens, value, &mut shown),
            Kind::Fraction => push_fraction(&section.tokens, value.abs(), minus, &mut shown),
            Kind::Number => {
                push_placed(&section.tokens, value.abs(), minus, &mut shown);
                true
            }
        };
        // Spaces at the ends only line numbers up below each other.
        if done { out.push_str(shown.trim_matches(' ')) } else { push_general(value, out) }
    }

    /// The section for a value, and whether a minus has to be put before it.
    fn section(&self, value: f64) -> Option<(&Section, bool)> {
        let last = self.sections.len().checked_sub(1)?;
        let conditions = self.sections.iter().any(|section| section.condition.is_some());
        let fits = |nth: usize, section: &Section| match section.condition {
            Some((comparison, bound)) => comparison.holds(value, bound),
            None if nth == last => true,
            None if nth == 0 && last == 2 && !conditions => value > 0.0,
            None if nth == 0 => value >= 0.0,
            None => value < 0.0,
        };
        let nth = (0..=last).find(|nth| fits(*nth, &self.sections[*nth]))?;
        let section = &self.sections[nth];
        let only_negative = match section.condition {
            Some((Comparison::Less | Comparison::LessOrEqual, bound)) => bound <= 0.0,
            Some((Comparison::Equal, bound)) => bound < 0.0,
            Some(_) => false,
            None => nth == 1 && !conditions,
        };
        Some((section, value < 0.0 && !only_negative))
    }
}

impl Comparison {
    #[allow(clippy::float_cmp, reason = "the format asks for exactly this value")]
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
            Self::GreaterOrEqual => value >= bound,
            Self::Greater => value > bound,
        }
    }
}

/// Takes a format code apart.
fn sections(code: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let (mut tokens, mut condition, mut bracketed) = (Vec::new(), None, false);
    let mut rest = code.chars();
    while let Some(c) = rest.next() {
        let literal = |c: char| Token::Literal(c.into());
        let run = |rest: &mut std::str::Chars<'_>| {
            let mut count = 1;
            while rest.as_str().chars().next().is_some_and(|next| next.eq_ignore_ascii_case(&c)) {
                rest.next();
                count += 1;
            }
            count
        };
        match c {
            ';' => {
                sections.push(section(std::mem::take(&mut tokens), condition.take(), bracketed));
                bracketed = false;
            }
            '"' => tokens.push(Token::Literal(rest.by_ref().take_while(|c| *c != '"').collect())),
            '\\' => tokens.extend(rest.next().map(literal)),
            // The width of a character, and a character that fills the cell.
            '_' | '*' => drop(rest.next()),
            '0' | '#' | '?' => tokens.push(Token::Digit(c)),
            '.' => tokens.push(Token::Point),
            ',' => tokens.push(Token::Comma),
            '%' => tokens.push(Token::Percent),
            '/' => tokens.push(Token::Slash),
            '@' => tokens.push(Token::Whole),
            '[' => {
                bracketed = true;
                let inside: String = rest.by_ref().take_while(|c| *c != ']').collect();
                match bracket(&inside) {
                    Bracket::Token(token) => tokens.push(token),
                    Bracket::Condition(comparison, bound) => condition = Some((comparison, bound)),
                    Bracket::Other => {}
                }
            }
            'G' | 'g' if follows(&mut rest, "eneral") => tokens.push(Token::Whole),
            'A' | 'a' if follows(&mut rest, "M/PM") || follows(&mut rest, "/P") => tokens.push(Token::Time('a', 1)),
            'E' | 'e' if follows(&mut rest, "+") => tokens.push(Token::Exponent { plus: true }),
            'E' | 'e' if follows(&mut rest, "-") => tokens.push(Token::Exponent { plus: false }),
            'y' | 'm' | 'd' | 'h' | 's' | 'Y' | 'M' | 'D' | 'H' | 'S' | 'e' | 'E' | 'g' | 'G' | 'b' | 'B' => {
                let count = run(&mut rest);
                tokens.push(Token::Time(c.to_ascii_lowercase(), count));
            }
            c => tokens.push(literal(c)),
        }
    }
    sections.push(section(tokens, condition, bracketed));
    sections
}

/// Takes a word off the front of the rest, if it stands there in upper or lower case.
fn follows(rest: &mut std::str::Chars<'_>, word: &str) -> bool {
    let found = rest.as_str().get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word));
    if found {
        *rest = rest.as_str()[word.len()..].chars();
    }
    found
}

enum Bracket {
    Token(Token),
    Condition(Comparison, f64),
    /// A colour, a language.
    Other,
}

fn bracket(inside: &str) -> Bracket {
    if let Some(currency) = inside.strip_prefix('$') {
        return Bracket::Token(Token::Literal(currency.split('-').next().unwrap_or("").to_owned()));
    }
    let first = inside.chars().next().unwrap_or(' ').to_ascii_lowercase();
    if matches!(first, 'h' | 'm' | 's') && inside.chars().all(|c| c.eq_ignore_ascii_case(&first)) {
        return Bracket::Token(Token::Elapsed(first, inside.len()));
    }
    let comparisons = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<>", Comparison::NotEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ];
    for (sign, comparison) in comparisons {
        if let Some(bound) = inside.strip_prefix(sign).and_then(|bound| bound.trim().parse().ok()) {
            return Bracket::Condition(comparison, bound);
        }
    }
    Bracket::Other
}

fn section(mut tokens: Vec<Token>, condition: Option<(Comparison, f64)>, bracketed: bool) -> Section {
    // `[Red]` alone colours the number; nothing at all hides it.
    if tokens.is_empty() && bracketed {
        tokens.push(Token::Whole);
    }
    let times: Vec<(char, usize, bool)> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Time(letter, count) => Some((*letter, *count, false)),
            Token::Elapsed(letter, count) => Some((*letter, *count, true)),
            _ => None,
        })
        .collect();
    let (mut date, mut time, mut hours, mut elapsed) = (false, false, false, false);
    for (nth, (letter, count, whole)) in times.iter().enumerate() {
        let before = nth.checked_sub(1).map(|before| times[before].0);
        let after = times.get(nth + 1).map(|next| next.0);
        elapsed |= whole;
        hours |= *letter == 'h';
        match letter {
            'h' | 's' | 'a' => time = true,
            // `m` is a minute after an hour or before a second, and else a month.
            'm' if *whole || (*count < 3 && (before == Some('h') || after == Some('s'))) => time = true,
            _ => date = true,
        }
    }
    let kind = if time && !date && (elapsed || !hours) {
        // `mm:ss` is how long something took.
        Kind::Span
    } else if date || time {
        Kind::Moment { date, time }
    } else if tokens.contains(&Token::Slash) {
        Kind::Fraction
    } else {
        Kind::Number
    };
    Section { condition, tokens, kind }
}

/// The format codes that a workbook does not write down (ECMA-376 part 1 §18.8.30).
pub(super) fn built_in(id: u32) -> &'static str {
    match id {
        1 => "0",
        2 => "0.00",
        3 => "#,##0",
        4 => "#,##0.00",
        5 | 6 => "$#,##0;-$#,##0",
        7 | 8 => "$#,##0.00;-$#,##0.00",
        9 => "0%",
        10 => "0.00%",
        11 => "0.00E+00",
        12 => "# ?/?",
        13 => "# ??/??",
        14..=17 | 27..=31 | 34..=36 | 50..=54 | 57 | 58 => "yyyy-mm-dd",
        18..=21 | 32 | 33 | 55 | 56 => "h:mm:ss",
        22 => "yyyy-mm-dd h:mm",
        37 | 38 => "#,##0;(#,##0)",
        39 | 40 => "#,##0.00;(#,##0.00)",
        41 => "#,##0;(#,##0);\"-\";@",
        42 => "$#,##0;$(#,##0);$\"-\";@",
        43 => "#,##0.00;(#,##0.00);\"-\";@",
        44 => "$#,##0.00;$(#,##0.00);$\"-\";@",
        45 => "mm:ss",
        46 => "[h]:mm:ss",
        47 => "mm:ss.0",
        48 => "##0.0E+0",
        49 => "@",
        _ => "General",
    }
}

/// In seconds.
const DAY: f64 = 86_400.0;

/// Appends a serial date in ISO form, to the second; `false` if there is no such date.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn push_moment(value: f64, date: bool, time: bool, dates: DateSystem, out: &mut String) -> bool {
    // From day 0 to 9999-12-31.
    if !(0.0..2_958_466.0).contains(&value) {
        return false;
    }
    // Serial numbers are not exact: 14:30 is 0.604166666666667.
    let seconds = (value * DAY).round() as i64;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    if date {
        match (dates, days) {
            // What Excel shows for a day that it only believes in.
            (DateSystem::From1900, 0) => out.push_str("1900-01-00"),
            (DateSystem::From1900, 60) => out.push_str("1900-02-29"),
            _ => {
                let first = match dates {
                    DateSystem::From1900 if days < 60 => civil::date(1899, 12, 31),
                    DateSystem::From1900 => civil::date(1899, 12, 30),
                    DateSystem::From1904 => civil::date(1904, 1, 1),
                };
                let Ok(date) = first.checked_add(days.days()) else { return false };
                let _ = write!(out, "{date}");
            }
        }
    }
    if time {
        if date {
            out.push(' ');
        }
        push_clock(second, out);
    }
    true
}

/// Appends hours and minutes, and seconds if there are some.
pub(super) fn push_clock(second: i64, out: &mut String) {
    let _ = write!(out, "{:02}:{:02}", second / 3600, second / 60 % 60);
    if second % 60 != 0 {
        let _ = write!(out, ":{:02}", second % 60);
    }
}

/// Appends a length of time as the format says; `false` if it is no sensible one.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn push_span(tokens: &[Token], value: f64, out: &mut String) -> bool {
    if value.abs() > 1.0e7 {
        return false;
    }
    let decimals = tokens.iter().skip_while(|token| **token != Token::Point);
    let decimals = decimals.filter(|token| matches!(token, Token::Digit(_))).count().min(6);
    let parts = 10_i32.pow(decimals as u32);
    let ticks = (value.abs() * DAY * f64::from(parts)).round() as i64;
    let (seconds, part) = (ticks / i64::from(parts), ticks % i64::from(parts));
    if value < 0.0 && ticks > 0 {
        out.push('-');
    }
    for token in tokens {
        let (number, width) = match token {
            Token::Elapsed('h', width) => (seconds / 3600, *width),
            Token::Elapsed('m', width) => (seconds / 60, *width),
            Token::Elapsed(_, width) => (seconds, *width),
            Token::Time('h', width) => (seconds / 3600 % 24, *width),
            Token::Time('m', width) => (seconds / 60 % 60, *width),
            Token::Time('s', width) => (seconds % 60, *width),
            Token::Literal(literal) => {
                out.push_str(literal);
                continue;
            }
            Token::Point if decimals > 0 => {
                let _ = write!(out, ".{part:0decimals$}");
                continue;
            }
            _ => continue,
        };
        let _ = write!(out, "{number:0width$}", width = width.min(20));
    }
    true
}

/// The serial number of an ISO date, or date and time, or time.
pub(super) fn serial_of_iso(text: &str, dates: DateSystem) -> Option<f64> {
    let text = text.trim_end_matches('Z');
    let first = match dates {
        DateSystem::From1900 => civil::date(1899, 12, 30),
        DateSystem::From1904 => civil::date(1904, 1, 1),
    };
    let seconds = match text.parse::<civil::DateTime>() {
        Ok(moment) => moment.duration_since(first.at(0, 0, 0, 0)),
        Err(_) => text.parse::<civil::Time>().ok()?.duration_since(civil::time(0, 0, 0, 0)),
    };
    Some(seconds.as_secs_f64() / DAY)
}
