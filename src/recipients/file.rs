//! The bytes of a list, and what they are: delimited text or a workbook, whatever the name says.

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use super::{Columns, ListProblem, RecipientList, delimited, people::SomePeople, read, text, workbook};
use crate::{
    campaign::{Hidden, ListOptions, read_bytes},
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, counted, quoted},
};

/// The name for standard input in place of a file.
const STANDARD_INPUT: &str = "-";

/// A list as it was read, not understood yet.
#[derive(Debug)]
pub struct ListFile {
    name: Arc<str>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Delimited text, or a workbook
    Bytes(Vec<u8>),
    /// Some people of another list
    People(SomePeople),
}

/// What can be done with the rows of a list, delimited or in a sheet.
pub(super) trait WithRows {
    type Output;

    fn with(self, rows: &mut impl read::Rows) -> Self::Output;
}

impl ListFile {
    /// Reads a file, or standard input for `-`; not more of it than the limits allow.
    pub fn read(path: &Path, options: &ListOptions) -> Result<Self, Diagnostics> {
        let most = options.limits.bytes();
        if path == Path::new(STANDARD_INPUT) {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().take(most + 1).read_to_end(&mut bytes);
            let too_large = bytes.len() as u64 > most;
            let file = Self::from_bytes("standard input", bytes);
            let wrong = match read {
                Err(why) => Some(ListProblem::StandardInput(why.to_string())),
                Ok(_) if too_large => Some(ListProblem::TooLarge(most >> 20)),
                Ok(_) => None,
            };
            return match wrong {
                Some(problem) => Err(file.complaint(&problem).into()),
                None => Ok(file),
            };
        }
        let too_large = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > most);
        let file = Self::from_bytes(&path.display().to_string(), Vec::new());
        if too_large {
            return Err(file.complaint(&ListProblem::TooLarge(most >> 20)).into());
        }
        Ok(Self { content: Content::Bytes(read_bytes(path, most)?), ..file })
    }

    /// The same from bytes; `name` stands in complaints.
    #[must_use]
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), content: Content::Bytes(bytes) }
    }

    /// Those people of a list, in its order, for whom `is_meant` is true of their place in it. Their rows keep their numbers.
    #[must_use]
    pub fn of_people(name: &str, list: Arc<RecipientList>, is_meant: impl Fn(usize) -> bool) -> Self {
        Self { name: name.into(), content: Content::People(SomePeople::new(list, is_meant)) }
    }

    /// The columns, if they can be told, whatever else is wrong.
    #[must_use]
    pub fn headings(&self, options: &ListOptions) -> Option<Columns> {
        struct HeadingsOf<'o>(&'o ListOptions);
        impl WithRows for HeadingsOf<'_> {
            type Output = Option<Columns>;

            fn with(self, rows: &mut impl read::Rows) -> Option<Columns> {
                read::headings(rows, self.0)
            }
        }
        self.rows(options, &mut Diagnostics::default(), HeadingsOf(options)).ok()?
    }

    /// Everything in it that can be a list; what is wrong is added to `problems`, or is so wrong that there are no rows.
    pub(super) fn list(
        &self,
        options: &ListOptions,
        problems: &mut Diagnostics,
    ) -> Result<Option<RecipientList>, Diagnostics> {
        struct ListOf<'o>(&'o Arc<str>, &'o ListOptions);
        impl WithRows for ListOf<'_> {
            type Output = (Option<RecipientList>, Diagnostics);

            fn with(self, rows: &mut impl read::Rows) -> Self::Output {
                let mut problems = Diagnostics::default();
                (read::read(self.0, rows, self.1, &mut problems), problems)
            }
        }
        let (list, more) = self.rows(options, problems, ListOf(&self.name, options))?;
        // Nobody may be left before what cannot be read, and somebody behind it.
        problems.extend(if problems.has_errors() { more.without(ListProblem::NoRows.code()) } else { more });
        Ok(list)
    }

    /// Does something with the rows.
    pub(super) fn rows<W: WithRows>(
        &self,
        options: &ListOptions,
        problems: &mut Diagnostics,
        with: W,
    ) -> Result<W::Output, Diagnostics> {
        let bytes = match &self.content {
            Content::Bytes(bytes) => bytes,
            Content::People(people) => return Ok(with.with(&mut people.rows())),
        };
        if workbook::kind(bytes).is_some() {
            return self.sheet_rows(bytes, options, problems, with);
        }
        if let Some(what) = foreign(bytes) {
            return Err(self.complaint(&ListProblem::Foreign(what)).into());
        }
        if options.sheet.is_some() {
            problems.push(self.complaint(&ListProblem::NoSheets));
        }
        let decoded = text::decode(&self.name, bytes, options)?;
        if decoded.marked {
            problems.push(Diagnostic::note(self.place(), &ListProblem::ByteOrderMark));
        }
        let (mut rows, wrong) = delimited::rows(&decoded.text, options).with_right_quotes();
        let mut cut = Diagnostics::default();
        // A text that ends early ends in the middle of a cell, perhaps.
        let early = |problem: &ListProblem| decoded.wrong.is_some() && matches!(problem, ListProblem::Quote);
        for (row, problem) in wrong.into_iter().filter(|(_, problem)| !early(problem)) {
            let place = Place::Row { list: Arc::clone(&self.name), row, column: None };
            cut.push(Diagnostic::error(place, &problem));
        }
        decoded.wrong.into_iter().for_each(|wrong| cut.push(wrong));
        if cut.has_errors() && rows.is_empty() {
            return Err(cut);
        }
        problems.extend(cut);
        Ok(with.with(&mut rows))
    }

    fn sheet_rows<W: WithRows>(
        &self,
        bytes: &[u8],
        options: &ListOptions,
        problems: &mut Diagnostics,
        with: W,
    ) -> Result<W::Output, Diagnostics> {
        let wanted = workbook::Wanted {
            sheet: options.sheet.as_deref(),
            most_rows: options.limits.rows() as u64,
            most_columns: options.limits.columns(),
            most_bytes: options.limits.unpacked_bytes(),
        };
        let sheet = workbook::read(bytes, &wanted)
            .map_err(|problem| Diagnostics::from(Diagnostic::error(self.place(), &problem)))?;
        let mut note = |problem: ListProblem| problems.push(Diagnostic::note(self.place(), &problem));
        if sheet.was_hidden() {
            note(ListProblem::HiddenSheet(sheet.name().to_owned()));
        }
        if sheet.others() > 0 && options.sheet.is_none() {
            note(ListProblem::OtherSheets { sheet: sheet.name().to_owned(), others: sheet.others() });
        }
        let mut rows = sheet.rows();
        let headings = first_headings(&mut sheet.rows());
        if !sheet.hidden_columns().is_empty() {
            let names: Vec<String> = sheet
                .hidden_columns()
                .iter()
                .map(|nth| headings.get(*nth).map_or_else(|| format!("column {}", nth + 1), |heading| quoted(heading)))
                .collect();
            let word = if names.len() == 1 { "column" } else { "columns" };
            note(ListProblem::HiddenColumns(format!("the {word} {}", names.join(", "))));
        }
        // The headings are what they are, hidden or not.
        let heading_row = read::Rows::next(&mut sheet.rows());
        let hidden: Vec<u64> = sheet.hidden_rows().iter().copied().filter(|row| Some(*row) != heading_row).collect();
        if !hidden.is_empty() {
            match options.hidden {
                Some(Hidden::Use) => note(ListProblem::HiddenRowsUsed(listed(&hidden))),
                Some(Hidden::Skip) => {
                    note(ListProblem::HiddenRowsSkipped(listed(&hidden)));
                    rows = rows.without_hidden();
                }
                None => {
                    for row in hidden {
                        let place = Place::Row { list: Arc::clone(&self.name), row, column: None };
                        problems.push(Diagnostic::error(place, &ListProblem::HiddenRow));
                    }
                }
            }
        }
        let skipped = options.hidden == Some(Hidden::Skip);
        for fault in sheet.faults() {
            if skipped && sheet.hidden_rows().binary_search(&fault.row).is_ok() {
                continue;
            }
            let column = headings.get(fault.column).map(|heading| heading.as_str().into());
            let place = Place::Row { list: Arc::clone(&self.name), row: fault.row, column };
            problems.push(Diagnostic::error(place, fault));
        }
        Ok(with.with(&mut rows))
    }

    fn place(&self) -> Place {
        Place::File(self.name.as_ref().into())
    }

    fn complaint(&self, problem: &ListProblem) -> Diagnostic {
        Diagnostic::error(self.place(), problem)
    }
}

/// What a file is that holds no list, though its name may say so, by how it begins.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    const BINARY: [(&[u8], &str); 10] = [
        (b"%PDF-", "a PDF document"),
        (b"\x89PNG", "a picture"),
        (b"\xff\xd8\xff", "a picture"),
        (b"GIF8", "a picture"),
        (b"\x1f\x8b", "a compressed file (gzip)"),
        (b"BZh", "a compressed file (bzip2)"),
        (b"\xfd7zXZ", "a compressed file (xz)"),
        (b"7z\xbc\xaf", "an archive (7z)"),
        (b"Rar!", "an archive (rar)"),
        (b"{\\rtf", "a text document (RTF)"),
    ];
    if let Some((_, what)) = BINARY.iter().find(|(beginning, _)| bytes.starts_with(beginning)) {
        return Some(what);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let start = bytes.get(..bytes.len().min(1000)).unwrap_or_default().to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| start.starts_with(word.as_bytes()));
    if begins(&["<html", "<!doctype html", "<table", "<meta"]) {
        return Some("a web page (HTML), which some systems call .xls");
    }
    if begins(&["<?xml"]) {
        let spreadsheet = start.windows(11).any(|part| part == b"spreadsheet");
        return Some(if spreadsheet { "a workbook in XML" } else { "XML" });
    }
    begins(&["mime-version:"]).then_some("a web page in one file (MHTML)")
}

/// The cells of the first row.
fn first_headings(rows: &mut impl read::Rows) -> Vec<String> {
    rows.next().map(|_| rows.headings()).unwrap_or_default()
}

/// `rows 3-5, 9`
fn listed(rows: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for row in rows {
        match ranges.last_mut() {
            Some(last) if last.1 + 1 == *row => last.1 = *row,
            _ => ranges.push((*row, *row)),
        }
    }
    let shown = ranges.iter().take(20).map(
        |(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        },
    );
    let mut shown: Vec<String> = shown.collect();
    if ranges.len() > 20 {
        shown.push(format!("… ({} in all)", counted(rows.len(), "row")));
    }
    let word = if rows.len() == 1 { "row" } else { "rows" };
    format!("{word} {}", shown.join(", "))
}
