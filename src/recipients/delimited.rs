//! Text with a delimiter between cells becomes rows, numbered as a spreadsheet numbers them.

use csv::{ByteRecord, ReaderBuilder};

use super::{Columns, read::Rows};
use crate::campaign::{Delimiter, ListOptions};

/// By so many rows delimiters are told apart.
const SAMPLE: usize = 50;

/// The delimiter that a text has: with it the rows have as many cells as there are headings, and most of them.
pub(super) fn delimiter_of(text: &str) -> Delimiter {
    let mut best = (Delimiter::Comma, (false, 0, 0));
    for delimiter in Delimiter::ALL {
        let mut rows = DelimitedRows::new(text, delimiter);
        if rows.next().is_none() {
            continue;
        }
        let headings = rows.headings();
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

/// The text without the line `sep=;` that Excel may write on top of it and never shows, and what that says.
fn without_sep_line(text: &str) -> (&str, Option<Delimiter>) {
    let line = text.split(['\r', '\n']).next().unwrap_or("");
    match line.strip_prefix("sep=").map(str::parse) {
        Some(Ok(delimiter)) => {
            let rest = &text[line.len()..];
            let rest = rest.strip_prefix("\r\n").or(rest.strip_prefix(['\r', '\n'])).unwrap_or(rest);
            (rest, Some(delimiter))
        }
        _ => (text, None),
    }
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

    /// The row in which a cell begins with a quotation mark that is never closed. The csv crate takes the rest of the
    /// file for that cell without a word.
    pub(super) fn open_quote(&self) -> Option<u64> {
        let at = open_quote(self.text, self.delimiter)?;
        let mut before = Self::new(&self.text[..at], self.delimiter);
        let mut row = 1;
        while let Some(number) = before.next() {
            row = number + u64::from(self.text[..at].ends_with(['\n', '\r']));
        }
        Some(row)
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

/// Where a cell begins with a quotation mark that is never closed.
fn open_quote(text: &str, delimiter: Delimiter) -> Option<usize> {
    #[derive(PartialEq)]
    enum In {
        CellStart,
        Bare,
        Quoted,
        /// Behind a quotation mark in a quoted cell: the end, or the first of two
        Mark,
    }
    if !text.contains('"') {
        return None;
    }
    let mut state = In::CellStart;
    let mut opened = 0;
    for (at, byte) in text.bytes().enumerate() {
        state = match (state, byte) {
            (In::Quoted, b'"') => In::Mark,
            (In::CellStart, b'"') => {
                opened = at;
                In::Quoted
            }
            (In::Mark, b'"') | (In::Quoted, _) => In::Quoted,
            (_, b'\n' | b'\r') => In::CellStart,
            (_, byte) if byte == delimiter.byte() => In::CellStart,
            _ => In::Bare,
        };
    }
    (state == In::Quoted).then_some(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("Anrede, Name;Kontakt, privat;Ort\nA;b@one.example;C\n", Delimiter::Semicolon),
        ] {
            assert_eq!(delimiter_of(text), delimiter, "{text}");
        }
    }
}
