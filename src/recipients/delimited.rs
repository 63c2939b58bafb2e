//! Text with a delimiter between cells becomes rows, numbered as a spreadsheet numbers them.

use csv::{ByteRecord, ReaderBuilder};

use super::{Columns, ListOptions, ListProblem, MOST_COLUMNS, RecipientList, Row};
use crate::{
    address::Address,
    campaign::Delimiter,
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, nearest, quoted},
};

/// By so many rows delimiters are told apart.
const SAMPLE: usize = 50;

/// The delimiter that a text has: with it the rows have as many cells as there are headings, and most of them.
pub(super) fn delimiter_of(text: &str) -> Delimiter {
    let mut best = (Delimiter::Comma, (false, 0, 0));
    for delimiter in Delimiter::ALL {
        let mut rows = Rows::new(text, delimiter);
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

/// A cell longer than this is a mistake.
const MOST_CELL_BYTES: usize = 1 << 20;

/// Reads a list. `None` where it is too wrong to go on; whatever else is wrong is added to `problems`.
pub(super) fn read(name: &str, text: &str, options: &ListOptions, problems: &mut Diagnostics) -> Option<RecipientList> {
    let (text, named) = without_sep_line(text);
    let delimiter = options.delimiter.or(named).unwrap_or_else(|| delimiter_of(text));
    let mut rows = Rows::new(text, delimiter);
    let place = |row, column: Option<&str>| Place::Row { list: name.into(), row, column: column.map(str::to_owned) };
    let mut complain = |place, problem: &dyn Complaint| problems.push(Diagnostic::error(place, problem));

    if let Some(at) = open_quote(text, delimiter) {
        let mut before = Rows::new(&text[..at], delimiter);
        let mut row = 1;
        while let Some(number) = before.next() {
            row = number + u64::from(text[..at].ends_with(['\n', '\r']));
        }
        complain(place(row, None), &ListProblem::Quote);
        return None;
    }
    let Some(heading_row) = rows.next() else {
        complain(Place::File(name.into()), &ListProblem::Empty);
        return None;
    };
    let headings = rows.headings();
    if headings.len() > MOST_COLUMNS {
        complain(place(heading_row, None), &ListProblem::TooManyColumns(headings.len()));
        return None;
    }
    if headings.iter().any(|heading| heading.parse::<Address>().is_ok()) {
        complain(place(heading_row, None), &ListProblem::PersonInHeadings);
        return None;
    }
    let mut columns = Columns::new(headings);
    check_headings(&columns, |problem| complain(place(heading_row, None), &problem));
    make_optional(&mut columns, options, |problem| complain(place(heading_row, None), &problem));
    let address_column = match find_address_column(&columns, options) {
        Ok(column) => column,
        Err(problem) => {
            complain(place(heading_row, None), &problem);
            return None;
        }
    };

    let mut list = RecipientList {
        name: name.into(),
        address_column,
        cells: String::with_capacity(text.len()),
        ends: Vec::new(),
        rows: Vec::new(),
        warnings: Diagnostics::default(),
        columns,
    };
    let mut anybody = false;
    while let Some(number) = rows.next() {
        if rows.cells().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        anybody = true;
        let found = rows
            .cells()
            .rev()
            .skip_while(|cell| cell.trim().is_empty())
            .count()
            .max(rows.len().min(list.columns.len()));
        if found != list.columns.len() {
            complain(place(number, None), &ListProblem::Cells { wanted: list.columns.len(), found });
            continue;
        }
        let mut wrong = false;
        let start = list.cells.len();
        for (nth, cell) in rows.cells().take(found).enumerate() {
            let heading = list.columns.heading(nth);
            if cell.len() > MOST_CELL_BYTES {
                complain(place(number, Some(heading)), &ListProblem::CellTooLong);
                wrong = true;
            } else if nth != address_column
                && let Some(character) = cell.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            {
                complain(place(number, Some(heading)), &ListProblem::Control { character });
                wrong = true;
            }
            list.cells.push_str(cell);
            list.ends.push(u32::try_from(list.cells.len() - start).unwrap_or(u32::MAX));
        }
        let cell = rows.cells().nth(address_column).unwrap_or("");
        let address = cell.parse::<Address>().map_err(|error| {
            complain(place(number, Some(list.columns.heading(address_column))), &ListProblem::Address(error));
        });
        match address {
            Ok(address) if !wrong => list.rows.push(Row { number, start, address }),
            _ => {
                list.cells.truncate(start);
                list.ends.truncate(list.rows.len() * list.columns.len());
            }
        }
    }
    if !anybody {
        complain(Place::File(name.into()), &ListProblem::NoRows);
    }
    Some(list)
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

/// The columns of a list, if it has a first row.
pub(super) fn headings(text: &str, options: &ListOptions) -> Option<Columns> {
    let (text, named) = without_sep_line(text);
    let mut rows = Rows::new(text, options.delimiter.or(named).unwrap_or_else(|| delimiter_of(text)));
    rows.next()?;
    Some(Columns::new(rows.headings()))
}

fn check_headings(columns: &Columns, mut complain: impl FnMut(ListProblem)) {
    for nth in 0..columns.len() {
        if columns.name(nth).is_empty() {
            complain(ListProblem::NoHeading { nth: nth + 1 });
        } else if let Some(first) = (0..nth).find(|first| columns.name(*first) == columns.name(nth)) {
            let (first, second) = (columns.heading(first).into(), columns.heading(nth).into());
            complain(ListProblem::SameHeading { first, second });
        }
    }
}

/// Marks the columns whose cells may be empty.
fn make_optional(columns: &mut Columns, options: &ListOptions, mut complain: impl FnMut(ListProblem)) {
    for wanted in &options.optional {
        match columns.find(wanted) {
            Some(column) => columns.make_optional(column),
            None => complain(ListProblem::OptionalUnknown {
                wanted: wanted.clone(),
                nearest: nearest(&Columns::name_for(wanted), columns.names()).map(str::to_owned),
            }),
        }
    }
}

fn find_address_column(columns: &Columns, options: &ListOptions) -> Result<usize, ListProblem> {
    if let Some(wanted) = &options.address {
        return columns.find(wanted).ok_or_else(|| ListProblem::AddressColumnUnknown {
            wanted: wanted.clone(),
            nearest: nearest(&Columns::name_for(wanted), columns.names()).map(str::to_owned),
            headings: columns.listed(),
        });
    }
    match columns.usual_for_addresses().as_slice() {
        [only] => Ok(*only),
        [] => Err(ListProblem::NoAddressColumn { headings: columns.listed() }),
        several => {
            let headings: Vec<String> = several.iter().map(|nth| quoted(columns.heading(*nth))).collect();
            Err(ListProblem::SeveralAddressColumns(headings.join(", ")))
        }
    }
}

/// The records of a text with the numbers of their rows. The csv crate leaves out blank lines and its line
/// numbers are wrong after them and with CRLF (csv#395), so the rows are counted here.
pub(super) struct Rows<'t> {
    text: &'t str,
    reader: csv::Reader<&'t [u8]>,
    record: ByteRecord,
    /// Where the reader stood before the last record.
    before: usize,
    number: u64,
}

impl<'t> Rows<'t> {
    pub(super) fn new(text: &'t str, delimiter: Delimiter) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter.byte());
        let reader = builder.from_reader(text.as_bytes());
        Self { text, reader, record: ByteRecord::new(), before: 0, number: 0 }
    }

    /// Goes to the next record that is not a blank line; gives its row.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.before = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        if !self.reader.read_byte_record(&mut self.record).unwrap_or(false) {
            return None;
        }
        self.number += 1 + blank_lines(self.text.as_bytes(), self.before);
        Some(self.number)
    }

    fn len(&self) -> usize {
        self.record.len()
    }

    /// The cells of the record as headings. Spreadsheets write empty columns to the right of the last one.
    fn headings(&self) -> Vec<String> {
        let mut headings: Vec<String> = self.cells().map(|cell| cell.trim().to_owned()).collect();
        while headings.last().is_some_and(String::is_empty) {
            headings.pop();
        }
        headings
    }

    /// Where the record ends.
    pub(super) fn end(&self) -> usize {
        usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX)
    }

    /// The cells of the record. The text is UTF-8 and is cut at ASCII characters, so that they are, too.
    pub(super) fn cells(&self) -> impl DoubleEndedIterator<Item = &str> {
        (0..self.record.len()).map(|nth| std::str::from_utf8(&self.record[nth]).unwrap_or("\0"))
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

/// Where a cell begins with a quotation mark that is never closed. The csv crate takes the rest of the file for that
/// cell without a word.
fn open_quote(text: &str, delimiter: Delimiter) -> Option<usize> {
    #[derive(PartialEq)]
    enum In {
        CellStart,
        Bare,
        Quoted,
        /// Behind a quotation mark in a quoted cell: the end, or the first of two
        Mark,
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
