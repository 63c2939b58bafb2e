//! A document as plain text.

use std::io;

use unicode_width::UnicodeWidthStr;

use super::{
    Evidence, Unwritten, Wanted,
    clock::Clock,
    document::{Block, Document, Table},
};
use crate::{
    diagnostic::visible,
    outbox::{Store, Traced},
    recipients::Rows,
    template::wrapped,
};

/// Lines have so many columns, unless a word is longer.
const COLUMNS: usize = 100;

/// Names of facts stand in so many.
const NAME: usize = 14;

pub(super) fn write(
    document: &Document,
    evidence: &Evidence,
    store: &Store,
    wanted: Wanted,
    out: &mut dyn io::Write,
) -> Result<(), Unwritten> {
    writeln!(out, "{}", visible(&document.title))?;
    paragraph(out, "", &document.subtitle)?;
    for alarm in &document.alarms {
        paragraph(out, "!! ", alarm)?;
    }
    for section in &document.sections {
        let heading = visible(&section.heading);
        writeln!(out, "\n{heading}\n{}", "─".repeat(heading.width()))?;
        for (nth, block) in section.blocks.iter().enumerate() {
            // Questions stand together.
            let is_next = nth > 0 && matches!((&section.blocks[nth - 1], block), (Block::Asked(_), Block::Asked(_)));
            if nth > 0 && !is_next && !matches!(block, Block::Messages) {
                writeln!(out)?;
            }
            match block {
                Block::Text(text) => paragraph(out, "", text)?,
                Block::Facts(facts) => {
                    for (name, lines) in facts {
                        for (nth, line) in lines.iter().enumerate() {
                            named(out, if nth == 0 { name } else { "" }, line)?;
                        }
                    }
                }
                Block::Table(of) => table(out, of)?,
                Block::Asked(question) => paragraph(out, "  [ ] ", question)?,
                Block::Messages => evidence.listed(store, wanted, |traced| message(out, traced))?,
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// Lines, the first behind `mark` and the others below it.
fn paragraph(out: &mut dyn io::Write, mark: &str, text: &str) -> io::Result<()> {
    let below = " ".repeat(mark.width());
    let mut before = mark;
    for line in visible(text).lines().flat_map(|line| wrapped(line, COLUMNS - below.len())) {
        writeln!(out, "{before}{line}")?;
        before = &below;
    }
    Ok(())
}

fn named(out: &mut dyn io::Write, name: &str, text: &str) -> io::Result<()> {
    paragraph(out, &format!("{name:<NAME$}"), text)
}

/// The columns side by side, the last one wrapped.
fn table(out: &mut dyn io::Write, table: &Table) -> io::Result<()> {
    let head: Vec<String> = table.head.iter().map(|&cell| cell.to_owned()).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|nth| table.rows.iter().chain([&head]).map(|row| visible(&row[nth]).width()).max().unwrap_or_default())
        .collect();
    for row in std::iter::once(&head).chain(&table.rows) {
        let mut before = String::new();
        let (last, cells) = row.split_last().map_or(("", &[][..]), |(last, cells)| (last.as_str(), cells));
        for (cell, width) in cells.iter().zip(&widths) {
            let cell = visible(cell).replace('\n', " ");
            before += &cell;
            before += &" ".repeat(width.saturating_sub(cell.width()) + 2);
        }
        // What has no room beside the others stands below them.
        if before.width() + 30 > COLUMNS && !last.is_empty() {
            writeln!(out, "{}", before.trim_end())?;
            before = " ".repeat(4);
        }
        if last.is_empty() { writeln!(out, "{}", before.trim_end())? } else { paragraph(out, &before, last)? }
    }
    Ok(())
}

/// A message, and below it each of its transactions.
fn message(out: &mut dyn io::Write, traced: &Traced) -> io::Result<()> {
    let rows = Rows::of(traced.rows.iter().copied());
    let address = traced.address.as_ref().map_or(String::new(), |address| format!("  {address}"));
    writeln!(out, "\nrow {rows}  {}{}  {}", traced.pseudonym, visible(&address), traced.outcome)?;
    for tried in &traced.transactions {
        let time = tried.began.map_or_else(String::new, Clock::utc);
        let tls = tried.tls.as_deref().unwrap_or("no TLS");
        let head = format!("  {time}  {}, {tls}: {}", tried.server, tried.outcome);
        paragraph(out, "", &head)?;
        if !tried.said.is_empty() {
            paragraph(out, "    ", &tried.said)?;
        }
        paragraph(out, "    ", &tried.message_id)?;
    }
    Ok(())
}
