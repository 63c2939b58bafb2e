//! What a message of a campaign that recurs is of: a text with placeholders for columns and for the day.

use std::fmt;

use jiff::civil::Date;

use crate::{
    campaign::Recurring,
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, nearest, quoted},
    recipients::{Columns, Recipient, in_one_form},
};

/// Longer ones are none.
const MOST: usize = 200;

/// The day, as it may be said.
const DAYS: [(&str, Day); 4] = [("date", Day::Date), ("week", Day::Week), ("month", Day::Month), ("year", Day::Year)];

/// Tells what a message is of.
#[derive(Debug, Clone)]
pub struct Occurrence {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Column(usize),
}

#[derive(Debug, Clone, Copy)]
enum Day {
    Date,
    Week,
    Month,
    Year,
}

impl Day {
    fn of(self, date: Date) -> String {
        let week = date.iso_week_date();
        match self {
            Self::Date => date.to_string(),
            Self::Week => format!("{:04}-W{:02}", week.year(), week.week()),
            Self::Month => format!("{:04}-{:02}", date.year(), date.month()),
            Self::Year => format!("{:04}", date.year()),
        }
    }
}

#[derive(Debug)]
enum OccurrenceProblem {
    Syntax,
    Empty,
    Adjacent,
    NoColumn { name: String, nearest: Option<String> },
    Ambiguous(&'static str),
    EmptyCell(String),
    Disagree(String),
    Long,
}

impl fmt::Display for OccurrenceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str(
                "occurrence may hold names of columns and of the day, {{invoice}} or {{date}}, and nothing else",
            ),
            Self::Empty => f.write_str("occurrence is empty"),
            Self::Adjacent => f.write_str("occurrence: something must stand between two columns, to tell them apart"),
            Self::NoColumn { name, .. } => write!(f, "occurrence: there is no column for {{{{{name}}}}}"),
            Self::Ambiguous(name) => {
                write!(f, "occurrence: {{{{{name}}}}} is the day, and the list has a column of that name, too")
            }
            Self::EmptyCell(name) => write!(f, "{} is empty, by which is told what was sent already", quoted(name)),
            Self::Disagree(name) => {
                write!(f, "the rows of this person differ in {}, by which is told what was sent already", quoted(name))
            }
            Self::Long => write!(f, "the occurrence is longer than {MOST} characters"),
        }
    }
}

impl Complaint for OccurrenceProblem {
    fn code(&self) -> &'static str {
        "campaign.occurrence"
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NoColumn { nearest: Some(nearest), .. } => Some(format!("did you mean {{{{{nearest}}}}}?")),
            Self::NoColumn { .. } => {
                Some("besides columns there are {{date}}, {{week}}, {{month}} and {{year}}".into())
            }
            Self::Ambiguous(_) => Some("give the column another heading".into()),
            Self::Adjacent => Some("for example occurrence = \"{{invoice}} {{reminder}}\"".into()),
            Self::Empty | Self::Syntax => Some("for example occurrence = \"{{date}}\"".into()),
            _ => None,
        }
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl Occurrence {
    /// For the columns of a list; the day is that of `recurring`.
    pub fn compile(recurring: &Recurring, columns: &Columns) -> Result<Self, Diagnostics> {
        let wrong = |problem: OccurrenceProblem| Diagnostics::from(Diagnostic::error(Place::Nowhere, &problem));
        let mut parts = Vec::new();
        let mut rest = recurring.occurrence.as_str();
        if rest.trim().is_empty() {
            return Err(wrong(OccurrenceProblem::Empty));
        }
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, behind) = behind.split_once("}}").ok_or_else(|| wrong(OccurrenceProblem::Syntax))?;
            let name = name.trim();
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(wrong(OccurrenceProblem::Syntax));
            }
            if before.is_empty() && matches!(parts.last(), Some(Part::Column(_))) {
                return Err(wrong(OccurrenceProblem::Adjacent));
            }
            parts.push(Part::Text(before.to_owned()));
            let column = (0..columns.len()).find(|nth| columns.name(*nth) == name);
            match (DAYS.iter().find(|(day, _)| *day == name), column) {
                (Some((day, _)), Some(_)) => return Err(wrong(OccurrenceProblem::Ambiguous(day))),
                (Some((_, day)), None) => parts.push(Part::Text(day.of(recurring.date.unwrap_or_default()))),
                (None, Some(column)) => parts.push(Part::Column(column)),
                (None, None) => {
                    let known = columns.names().chain(DAYS.iter().map(|(day, _)| *day));
                    let nearest = nearest(name, known).map(str::to_owned);
                    return Err(wrong(OccurrenceProblem::NoColumn { name: name.to_owned(), nearest }));
                }
            }
            rest = behind;
        }
        if rest.contains("}}") || recurring.occurrence.chars().any(char::is_control) {
            return Err(wrong(OccurrenceProblem::Syntax));
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { parts })
    }

    /// That of everybody, where no column has a part in it.
    #[must_use]
    pub fn of_all(&self) -> Option<String> {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Column(_) => None,
        };
        self.parts.iter().map(text).collect()
    }

    /// That of one person. An empty cell tells nothing apart, and is an error.
    pub fn of(&self, recipient: Recipient<'_>) -> Result<String, Diagnostics> {
        let mut occurrence = String::new();
        let columns = recipient.columns();
        for part in &self.parts {
            let column = match part {
                Part::Text(text) => {
                    occurrence.push_str(text);
                    continue;
                }
                Part::Column(column) => *column,
            };
            let kind = columns.kind(column);
            let value = in_one_form(recipient.field(column), kind);
            let heading = || columns.heading(column).to_owned();
            let other = recipient.rows().find(|row| in_one_form(row.field(column), kind) != value);
            if let Some(other) = other {
                let problem = OccurrenceProblem::Disagree(heading());
                return Err(Diagnostic::error(other.place_in(column), &problem).into());
            }
            let value = alike(&value);
            if value.is_empty() {
                let problem = OccurrenceProblem::EmptyCell(heading());
                return Err(Diagnostic::error(recipient.place(), &problem).into());
            }
            self.push(&mut occurrence, &value);
        }
        if occurrence.chars().count() > MOST {
            return Err(Diagnostic::error(recipient.place(), &OccurrenceProblem::Long).into());
        }
        Ok(occurrence)
    }

    /// Adds a value. Where several columns have a part, one that could be read together with the text between them is put into quotation marks: `1 "2 3"` is not `"1 2" 3`.
    fn push(&self, occurrence: &mut String, value: &str) {
        let columns = self.parts.iter().filter(|part| matches!(part, Part::Column(_))).count();
        let is_text = |c: char| self.parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(c)));
        if columns > 1 && value.contains(|c| c == '"' || is_text(c)) {
            *occurrence += &format!("\"{}\"", value.replace('"', "\"\""));
        } else {
            *occurrence += value;
        }
    }
}

/// What looks alike is alike: white space and accents may be written in several ways.
fn alike(value: &str) -> String {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    icu_normalizer::ComposingNormalizer::new_nfc().normalize(&value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{campaign::ListOptions, recipients::RecipientList};

    fn of(occurrence: &str, list: &str, date: &str) -> Result<String, String> {
        let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
        let recurring = Recurring { occurrence: occurrence.into(), date: date.parse().ok() };
        let occurrence = Occurrence::compile(&recurring, list.columns()).map_err(|why| why.to_string())?;
        occurrence.of(list.get(0).unwrap()).map_err(|why| why.to_string())
    }

    #[test]
    fn different_ones_are_told_apart_and_the_same_one_is_the_same() {
        let of = |text: &str, a: &str, b: &str| of(text, &format!("email,a,b\nx@one.example,{a},{b}\n"), "2026-12-31");
        for text in ["{{a}} {{b}}", "{{a}}-{{b}}", "{{a}}x{{b}}"] {
            for (one, other) in
                [(("1", "2 3"), ("1 2", "3")), (("1", "2-3"), ("1-2", "3")), (("1", "2x3"), ("1x2", "3"))]
            {
                assert_ne!(of(text, one.0, one.1).unwrap(), of(text, other.0, other.1).unwrap(), "{text}");
            }
        }
        assert!(of("{{a}}{{b}}", "1", "2").unwrap_err().contains("between"));
        assert_eq!(of("{{a}}", "R\u{e9} 1", "x"), of("{{a}}", "Re\u{301}\u{a0} 1", "x"));
    }

    #[test]
    fn it_is_of_columns_and_of_the_day() {
        let list = "email,Invoice no,x\na@one.example,7/26,\n";
        for (text, date, said) in [
            ("{{date}}", "2028-02-29", "2028-02-29"),
            ("{{week}}", "2027-01-01", "2026-W53"),
            ("{{month}}: {{ invoice_no }}", "2026-12-31", "2026-12: 7/26"),
            ("{{year}}", "2026-12-31", "2026"),
            ("welcome", "2026-12-31", "welcome"),
        ] {
            assert_eq!(of(text, list, date).as_deref(), Ok(said));
        }
        for (text, said) in [
            ("", "occurrence is empty"),
            ("{{invoce_no}}", "did you mean {{invoice_no}}?"),
            ("{{#if x}}a{{/if}}", "and nothing else"),
            ("{{date", "and nothing else"),
            ("a}}", "and nothing else"),
            ("{{x}}", "is empty, by which is told"),
        ] {
            let why = of(text, list, "2026-12-31").unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        let why = of("{{date}}", "email,Date\na@one.example,x\n", "2026-12-31").unwrap_err();
        assert!(why.contains("is the day, and the list has a column of that name"), "{why}");
    }
}
