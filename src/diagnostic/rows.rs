//! Complaints about the rows of a list, as a table: one line each, and each advice once.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Diagnostic, Place, SHOWN_ROWS, Severity, visible};

/// A heading is shown this far.
const MOST_HEADING: usize = 28;

/// An advice names so many of the rows that it is for.
const NAMED: usize = 3;

/// The row and the heading that a complaint is about.
fn place(diagnostic: &Diagnostic) -> (u64, &str) {
    match &diagnostic.place {
        Place::Row { row, column, .. } => (*row, column.as_deref().unwrap_or("")),
        _ => (0, ""),
    }
}

/// What stands above a table of these.
pub(super) fn title(rows: &[&Diagnostic]) -> String {
    let list = rows.first().map_or("", |first| match &first.place {
        Place::Row { list, .. } => list,
        _ => "",
    });
    let severity = rows.first().map_or(Severity::Error, |first| first.severity);
    let numbers = rows.iter().map(|row| place(row).0).collect::<BTreeSet<_>>().len();
    let what = match severity {
        Severity::Error => "mistakes",
        Severity::Warning | Severity::Note => "things to look at",
    };
    let within = if numbers == 1 { "row" } else { "rows" };
    format!("{}: {} {what} in {numbers} {within}", visible(list), rows.len())
}

/// The table itself, and below it what to do.
pub(super) fn table(rows: &[&Diagnostic]) -> String {
    let shown = &rows[..rows.len().min(SHOWN_ROWS)];
    let headings: Vec<String> = shown.iter().map(|row| heading(place(row).1)).collect();
    let width = headings.iter().map(|heading| heading.chars().count()).max().unwrap_or(0).max("column".len());
    let digits = shown.iter().map(|row| place(row).0.to_string().len()).max().unwrap_or(0).max("row".len());
    let mut text = format!("  {:>digits$}  {:width$}  what is wrong\n", "row", "column");
    if shown.iter().all(|row| row.severity != Severity::Error) {
        text = format!("  {:>digits$}  {:width$}  what\n", "row", "column");
    }
    for (row, heading) in shown.iter().zip(&headings) {
        let message = visible(&row.message).replace('\n', " ");
        let _ = writeln!(text, "  {:>digits$}  {heading:width$}  {message}", place(row).0);
    }
    if rows.len() > shown.len() {
        let more = rows.len() - shown.len();
        let _ = writeln!(text, "  … and {more} more; --rejected FILE.csv writes all of these rows into a file");
    }
    let mut advice: Vec<(&str, Vec<u64>)> = Vec::new();
    for row in shown {
        let Some(help) = row.help.as_deref() else { continue };
        match advice.iter_mut().find(|(known, _)| *known == help) {
            Some((_, numbers)) => numbers.push(place(row).0),
            None => advice.push((help, vec![place(row).0])),
        }
    }
    for (help, mut numbers) in advice {
        numbers.dedup();
        let _ = writeln!(text, "  help: {}: {}", named(&numbers), visible(help));
    }
    text
}

fn heading(heading: &str) -> String {
    let safe = visible(heading).replace('\n', " ");
    if safe.chars().count() <= MOST_HEADING {
        return safe;
    }
    safe.chars().take(MOST_HEADING - 1).chain(['…']).collect()
}

fn named(rows: &[u64]) -> String {
    let numbers: Vec<String> = rows.iter().take(NAMED).map(u64::to_string).collect();
    let word = if rows.len() == 1 { "row" } else { "rows" };
    let more = if rows.len() > NAMED { " …" } else { "" };
    format!("{word} {}{more}", numbers.join(", "))
}
