//! Text with a delimiter between cells becomes rows, numbered as a spreadsheet numbers them.

use csv::{ByteRecord, ReaderBuilder};

use super::{Columns, ListProblem, read::Rows};
use crate::campaign::{Delimiter, ListOptions};

/// After so many wrong quotation marks the file is understood to be full of them.
const MOST_QUOTES: usize = 1000;

/// By so many rows delimiters are told apart.
const SAMPLE: usize = 50;

/// The delimiter that a text has: with it the rows have as many cells as there are headings, and most of them.
pub(super) fn delimiter_of(text: &str) -> Delimiter {
    let mut best = (Delimiter::Comma, (false, 0, 0));
    for delimiter in Delimiter::ALL {
        let mut rows = DelimitedRows::new(text, delimiter);
        // A text without any has no headings either.
        let headings = rows.next_filled().map(|_| rows.headings()).unwrap_or_default();
        let width = headings.len();
        let has_address = width > 1 && !Columns::new(headings).usual_for_addresses().is_empty();
        let mut even = 0;
        for _ in 0..SAMPLE {
            if rows.next().is_none() {
                break;
            }
            even += usize::from(width > 1 && rows.len() >= width);
        }
        let score = (has_address, even, width);
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

/// The text without the line `sep=;` that Excel may write on top of it and never shows, and what that says. A program
/// that did not know the line may have quoted it, or filled it up with delimiters.
fn without_sep_line(text: &str) -> (&str, Option<Delimiter>) {
    let line = text.split(['\r', '\n']).next().unwrap_or("");
    let says = line.trim_start_matches('"');
    let delimiter = says.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).and_then(|_| {
        let delimiter: Delimiter = says[4..].chars().next()?.to_string().parse().ok()?;
        says[5..].bytes().all(|byte| b"\",;\t|".contains(&byte)).then_some(delimiter)
    });
    let Some(delimiter) = delimiter else { return (text, None) };
    let rest = &text[line.len()..];
    (rest.strip_prefix("\r\n").or(rest.strip_prefix(['\r', '\n'])).unwrap_or(rest), Some(delimiter))
}

/// The rows of a text, with the delimiter that it has or that somebody says.
pub(super) fn rows<'t>(text: &'t str, options: &ListOptions) -> DelimitedRows<'t> {
    let (text, named) = without_sep_line(text);
    DelimitedRows::new(text, options.delimiter.or(named).unwrap_or_else(|| delimiter_of(text)))
}

/// The records of a text with the numbers of their rows. The csv crate leaves out blank lines and its line
/// numbers are wrong after them and with CRLF (csv#395), so the rows are counted here.
pub(super) struct DelimitedRows<'t> {
    text: &'t str,
    delimiter: Delimiter,
    reader: csv::Reader<&'t [u8]>,
    record: ByteRecord,
    /// Where the reader stood before the last record.
    before: usize,
    number: u64,
}

impl<'t> DelimitedRows<'t> {
    fn new(text: &'t str, delimiter: Delimiter) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter.byte());
        let reader = builder.from_reader(text.as_bytes());
        Self { text, delimiter, reader, record: ByteRecord::new(), before: 0, number: 0 }
    }

    /// How much of `whole`, at its beginning, holds no rows.
    pub(super) fn skipped(&self, whole: &str) -> usize {
        whole.len() - self.text.len()
    }

    /// Where the record ends.
    pub(super) fn end(&self) -> usize {
        usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX)
    }

    /// Rows in which quotation marks are not as they must be, what is wrong, and the rows before them. The csv crate
    /// takes such cells as it can, without a word, and may take a person into the cell of another.
    pub(super) fn with_right_quotes(self) -> (Self, Vec<(u64, ListProblem)>) {
        let (wrong, right) = wrong_quotes(self.text, self.delimiter.byte());
        if wrong.is_empty() {
            return (self, wrong);
        }
        (Self::new(&self.text[..right], self.delimiter), wrong)
    }

    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl Rows for DelimitedRows<'_> {
    fn next(&mut self) -> Option<u64> {
        self.before = self.end();
        if !self.reader.read_byte_record(&mut self.record).unwrap_or(false) {
            return None;
        }
        self.number += 1 + blank_lines(self.text.as_bytes(), self.before);
        Some(self.number)
    }

    fn len(&self) -> usize {
        self.record.len()
    }

    fn cell(&self, nth: usize) -> &str {
        // The text is UTF-8 and is cut at ASCII characters, so that its cells are, too.
        self.record.get(nth).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or("")
    }

    fn joined(&self) -> Option<(&str, impl Fn(usize) -> usize)> {
        let text = std::str::from_utf8(self.record.as_slice()).ok()?;
        Some((text, |nth| self.record.range(nth).map_or(0, |range| range.end)))
    }

    fn delimiter(&self) -> Option<u8> {
        Some(self.delimiter.byte())
    }
}

/// How many blank lines begin at `at`, where the reader stopped after a record.
fn blank_lines(text: &[u8], mut at: usize) -> u64 {
    // It stops between the two bytes of a CRLF.
    if at > 0 && text.get(at - 1..=at) == Some(b"\r\n") {
        at += 1;
    }
    let mut blank = 0;
    loop {
        at += match text.get(at..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([b'\r' | b'\n', ..]) => 1,
            _ => return blank,
        };
        blank += 1;
    }
}

/// See [`DelimitedRows::with_right_quotes`]; where something is wrong, also how far all is right.
fn wrong_quotes(text: &str, delimiter: u8) -> (Vec<(u64, ListProblem)>, usize) {
    #[derive(PartialEq)]
    enum In {
        CellStart,
        /// Spaces at the beginning of a cell
        Space,
        Bare,
        Quoted,
        /// Behind a quotation mark in a quoted cell: the end, or the first of two
        Mark,
    }
    let mut wrong = Vec::new();
    if !text.contains('"') {
        return (wrong, text.len());
    }
    let mut state = In::CellStart;
    let mut row = 1;
    let mut before = 0;
    let (mut row_start, mut right) = (0, None);
    for (at, byte) in text.bytes().enumerate() {
        state = match (state, byte) {
            (In::Quoted, b'"') => In::Mark,
            (In::Mark | In::CellStart, b'"') | (In::Quoted, _) => In::Quoted,
            (_, b'\n' | b'\r') => {
                row += u64::from(byte == b'\r' || before != b'\r');
                row_start = at + 1;
                In::CellStart
            }
            (_, byte) if byte == delimiter => In::CellStart,
            (In::CellStart | In::Space, b' ') => In::Space,
            (In::Mark, _) => {
                wrong.push((row, ListProblem::BehindQuote));
                In::Bare
            }
            (In::Space, b'"') => {
                wrong.push((row, ListProblem::SpaceBeforeQuote));
                In::Bare
            }
            _ => In::Bare,
        };
        before = byte;
        if !wrong.is_empty() {
            right.get_or_insert(row_start);
        }
        if wrong.len() >= MOST_QUOTES {
            break;
        }
    }
    if state == In::Quoted {
        wrong.push((row, ListProblem::Quote));
    }
    (wrong, right.unwrap_or(row_start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_marks_stand_around_cells_or_are_written_twice() {
        let wrong = |text: &str| {
            let rows = wrong_quotes(text, b',').0.into_iter().map(|(row, problem)| {
                let kind = match problem {
                    ListProblem::Quote => "open",
                    ListProblem::BehindQuote => "behind",
                    _ => "space",
                };
                format!("{row} {kind}")
            });
            rows.collect::<Vec<_>>().join(", ")
        };
        for (text, found) in [
            ("a,b\r\n\"x\r\ny\",\"\"\r\n5\" pipe,\"say \"\"hi\"\"\"\r\n", ""),
            ("a\n\n\"x\ny\"\n\"z", "4 open"),
            ("a,b\rAnn,\"1\rBob,\"2\"\rCid,3\r", "2 behind"),
            ("a\n\"Big\" Joe\n\"say \"hi\" now\"\n", "2 behind, 3 behind"),
            ("a,b\nx, \"y\"\n", "2 space"),
        ] {
            assert_eq!(wrong(text), found, "{text:?}");
        }
    }

    #[test]
    fn the_line_for_excel_is_understood_however_it_was_saved() {
        for line in ["sep=;", "SEP=;", "\"sep=;\"", "sep=;;;;", "\"sep=;\",,,"] {
            let text = format!("{line}\r\nname;email\r\n");
            assert_eq!(without_sep_line(&text), ("name;email\r\n", Some(Delimiter::Semicolon)), "{line}");
        }
        for text in ["separator;email\n", "sep=x\n", "sep=\n", "sep"] {
            assert_eq!(without_sep_line(text), (text, None));
        }
    }

    #[test]
    fn the_delimiter_is_found_from_the_file() {
        for (text, delimiter) in [
            ("name,email\nA,a@one.example\n", Delimiter::Comma),
            ("name;email\nA, B;a@one.example\n", Delimiter::Semicolon),
            ("name\temail\nA, B; C\ta@one.example\n", Delimiter::Tab),
            ("name|email\nA, B; C|a@one.example\n", Delimiter::Pipe),
            ("\"Name; first, last\",email\nA,a@one.example\n", Delimiter::Comma),
            ("\"a,b,c,d\";email\nx;a@one.example\n", Delimiter::Semicolon),
            ("email\na@one.example\n", Delimiter::Comma),
            ("", Delimiter::Comma),
            (";;\n\n;;\nname;email\nA;b@one.example\n", Delimiter::Semicolon),
            ("Anrede, Name;Kontakt, privat;Ort\nA;b@one.example;C\n", Delimiter::Semicolon),
        ] {
            assert_eq!(delimiter_of(text), delimiter, "{text}");
        }
    }
}
