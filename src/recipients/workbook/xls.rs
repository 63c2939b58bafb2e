//! Excel's workbooks of 1997 to 2003 (BIFF8, [MS-XLS]): one sheet, read record by record.

use std::{
    collections::HashMap,
    io::{Cursor, Read},
    rc::Rc,
};

use super::{
    Listed, Wanted, WorkbookProblem, choose,
    sheet::{Builder, Fault, Merge, Sheet, Text},
    shown::{DateSystem, Format, built_in},
    xls_records::{Record, kind, records},
};

/// Reads the sheet that is wanted.
pub(super) fn read(bytes: &[u8], wanted: &Wanted<'_>) -> Result<Sheet, WorkbookProblem> {
    let stream = workbook_stream(bytes, wanted.most_bytes)?;
    let mut sheet = Builder::new(wanted);
    let book = Book::read(&stream, &mut sheet)?;
    let chosen = choose(&book.sheets, wanted.sheet)?;
    let listed = &book.sheets[chosen];
    let mut reading = Reading { sheet, book: &book, awaited: None };
    for record in sheet_records(&stream, listed.at)? {
        reading.record(&record?)?;
    }
    reading.no_string()?;
    let mut others = 0;
    // Sheets follow each other; a file where they overlap is made to take long.
    let mut left = stream.len();
    for (nth, other) in book.sheets.iter().enumerate() {
        if nth != chosen && !other.hidden && left > 0 {
            for record in sheet_records(&stream, other.at)? {
                let record = record?;
                left = left.saturating_sub(record.data.len() + 4);
                if holds_value(record.kind) || left == 0 {
                    others += 1;
                    break;
                }
            }
        }
    }
    reading.sheet.finish(&listed.name, listed.hidden, others)
}

/// The stream of an OLE container that is the workbook.
fn workbook_stream(bytes: &[u8], most: u64) -> Result<Vec<u8>, WorkbookProblem> {
    let mut container = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(WorkbookProblem::damaged)?;
    let has = |name: &str| container.is_stream(name);
    if has("/EncryptedPackage") {
        return Err(WorkbookProblem::Protected);
    }
    if !has("/Workbook") {
        return Err(WorkbookProblem::Foreign(match () {
            () if has("/Book") => "an Excel workbook from before 1997",
            () if has("/WordDocument") => "an old Word document (.doc)",
            () if has("/PowerPoint Document") => "an old PowerPoint presentation (.ppt)",
            () => "an old Office file without a workbook",
        }));
    }
    let mut stream = Vec::new();
    let part = container.open_stream("/Workbook").map_err(WorkbookProblem::damaged)?;
    part.take(most.saturating_add(1)).read_to_end(&mut stream).map_err(WorkbookProblem::damaged)?;
    if stream.len() as u64 > most {
        return Err(WorkbookProblem::TooLarge { most });
    }
    Ok(stream)
}

/// What stands before the sheets.
struct Book {
    /// Each with the place where its records begin.
    sheets: Vec<Listed<usize>>,
    strings: Vec<Text>,
    styles: Vec<Rc<Format>>,
    dates: DateSystem,
}

impl Book {
    fn read(stream: &[u8], sheet: &mut Builder<'_>) -> Result<Self, WorkbookProblem> {
        let mut book =
            Self { sheets: Vec::new(), strings: Vec::new(), styles: Vec::new(), dates: DateSystem::From1900 };
        let mut codes: HashMap<u16, String> = HashMap::new();
        let (mut styles, mut ended) = (Vec::new(), false);
        for (nth, record) in records(stream).enumerate() {
            match record.kind {
                kind::BOF if nth == 0 && record.u16(0)? == 0x0600 => {}
                _ if nth == 0 => return Err(WorkbookProblem::Foreign("an Excel workbook from before 1997")),
                kind::FILE_PASS => return Err(WorkbookProblem::Protected),
                kind::DATE_1904 if record.u16(0)? == 1 => book.dates = DateSystem::From1904,
                kind::FORMAT => {
                    codes.insert(record.u16(0)?, record.pieces(2)?.text()?);
                }
                kind::XF => styles.push(record.u16(2)?),
                kind::BOUND_SHEET => {
                    let [state, what] = record.bytes(4)?;
                    // Charts and macros have no cells.
                    if what == 0 {
                        let name = record.pieces(6)?.short_text()?;
                        let at = record.u32(0)? as usize;
                        book.sheets.push(Listed { name, hidden: state & 3 != 0, at });
                    }
                }
                kind::SST => {
                    let count = record.u32(4)?;
                    let mut pieces = record.pieces(8)?;
                    for _ in 0..count {
                        let text = pieces.text()?;
                        book.strings.push(sheet.keep(&text)?);
                    }
                }
                kind::EOF => {
                    ended = true;
                    break;
                }
                _ => {}
            }
        }
        if !ended {
            return Err(cut_short());
        }
        let mut formats: HashMap<u16, Rc<Format>> = HashMap::new();
        let format = |id: &u16| {
            let code = || codes.get(id).map_or(built_in(u32::from(*id)), String::as_str);
            Rc::clone(formats.entry(*id).or_insert_with(|| Rc::new(Format::new(code()))))
        };
        book.styles = styles.iter().map(format).collect();
        Ok(book)
    }
}

/// The records of a sheet up to its end, without those of charts in it.
fn sheet_records(
    stream: &[u8],
    at: usize,
) -> Result<impl Iterator<Item = Result<Record<'_>, WorkbookProblem>>, WorkbookProblem> {
    let stream = stream.get(at..).ok_or_else(cut_short)?;
    if records(stream).next().is_none_or(|first| first.kind != kind::BOF) {
        return Err(WorkbookProblem::damaged("a sheet does not begin where it should"));
    }
    let (mut all, mut depth) = (records(stream), 0_u32);
    let inside = std::iter::from_fn(move || {
        let Some(record) = all.next() else {
            // Half a list must not pass for a whole one.
            return (depth > 0).then(|| {
                depth = 0;
                Err(cut_short())
            });
        };
        match record.kind {
            kind::BOF => depth += 1,
            kind::EOF => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth > 0).then_some(Ok((depth, record)))
    });
    Ok(inside.filter_map(|inside| match inside {
        Ok((1, record)) => Some(Ok(record)),
        Ok(_) => None,
        Err(problem) => Some(Err(problem)),
    }))
}

fn cut_short() -> WorkbookProblem {
    WorkbookProblem::damaged("its records end too early")
}

fn holds_value(record: u16) -> bool {
    matches!(
        record,
        kind::FORMULA
            | kind::MUL_RK
            | kind::RICH_STRING
            | kind::LABEL_SST
            | kind::NUMBER
            | kind::LABEL
            | kind::BOOL_ERR
            | kind::RK
    )
}

struct Reading<'b, 'w> {
    sheet: Builder<'w>,
    book: &'b Book,
    /// The formula whose text follows: row, column and style.
    awaited: Option<(u32, u32, u16)>,
}

impl Reading<'_, '_> {
    fn record(&mut self, record: &Record<'_>) -> Result<(), WorkbookProblem> {
        if holds_value(record.kind) {
            self.no_string()?;
            if record.kind == kind::MUL_RK {
                return self.numbers(record);
            }
            let (row, column) = (u32::from(record.u16(0)?), u32::from(record.u16(2)?));
            return self.cell(record, row, column, record.u16(4)?);
        }
        match record.kind {
            kind::STRING => {
                if let Some((row, column, style)) = self.awaited.take() {
                    let text = record.pieces(0)?.text()?;
                    self.text(row, column, style, &text)?;
                }
            }
            kind::ROW => {
                let row = u32::from(record.u16(0)?);
                let height = record.u16(6)? & 0x7fff;
                if record.u16(12)? & 0x20 != 0 || height == 0 {
                    self.sheet.hide_rows(row, row);
                }
            }
            kind::COL_INFO => {
                let (first, last) = (record.u16(0)?, record.u16(2)?);
                if record.u16(8)? & 1 != 0 || record.u16(4)? == 0 {
                    self.sheet.hide_columns(u32::from(first), u32::from(last));
                }
            }
            kind::MERGE_CELLS => {
                for nth in 0..usize::from(record.u16(0)?) {
                    let at = |part: usize| record.u16(2 + nth * 8 + part * 2).map(u32::from);
                    self.sheet.merge(Merge { rows: (at(0)?, at(1)?), columns: (at(2)?, at(3)?) })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn cell(&mut self, record: &Record<'_>, row: u32, column: u32, style: u16) -> Result<(), WorkbookProblem> {
        match record.kind {
            kind::NUMBER => self.number(row, column, style, f64::from_le_bytes(record.bytes(6)?)),
            kind::RK => self.number(row, column, style, rk(record.u32(6)?)),
            kind::BOOL_ERR => {
                let [value, is_error] = record.bytes(6)?;
                self.bool_or_error(row, column, value, is_error != 0)
            }
            kind::LABEL_SST => {
                let nth = record.u32(6)? as usize;
                let text = self.book.strings.get(nth).copied();
                let text = text.ok_or_else(|| WorkbookProblem::damaged("a cell's text is missing"))?;
                if self.format(style).is_some_and(|format| format.dresses_text()) {
                    let plain = self.sheet.text(text).to_owned();
                    return self.text(row, column, style, &plain);
                }
                self.sheet.put(row, column, text)
            }
            kind::LABEL | kind::RICH_STRING => {
                let text = record.pieces(6)?.text()?;
                self.text(row, column, style, &text)
            }
            // [MS-XLS] §2.5.133: a number, or a mark and what else it is.
            _ => match record.bytes::<8>(6)? {
                [0, .., 0xff, 0xff] => {
                    self.awaited = Some((row, column, style));
                    Ok(())
                }
                [kind @ (1 | 2), _, value, .., 0xff, 0xff] => self.bool_or_error(row, column, value, kind == 2),
                // The empty text.
                [.., 0xff, 0xff] => Ok(()),
                number => self.number(row, column, style, f64::from_le_bytes(number)),
            },
        }
    }

    /// Complains about a formula whose text does not follow.
    fn no_string(&mut self) -> Result<(), WorkbookProblem> {
        match self.awaited.take() {
            Some((row, column, _)) => self.sheet.fault(row, column, Fault::NoValue),
            None => Ok(()),
        }
    }

    fn numbers(&mut self, record: &Record<'_>) -> Result<(), WorkbookProblem> {
        let (row, first) = (u32::from(record.u16(0)?), u32::from(record.u16(2)?));
        // Style and number for each, and the last column at the end.
        for (column, cell) in (first..).zip(record.data.get(4..).unwrap_or_default().chunks_exact(6)) {
            let style = u16::from_le_bytes([cell[0], cell[1]]);
            self.number(row, column, style, rk(u32::from_le_bytes([cell[2], cell[3], cell[4], cell[5]])))?;
        }
        Ok(())
    }

    fn number(&mut self, row: u32, column: u32, style: u16, value: f64) -> Result<(), WorkbookProblem> {
        let dates = self.book.dates;
        if !value.is_finite() {
            return Err(WorkbookProblem::damaged("a cell's value cannot be read"));
        }
        let format = self.format(style).map_or_else(|| Rc::new(Format::new("General")), Rc::clone);
        let text = self.sheet.keep_with(|texts| format.push_number(value, dates, texts))?;
        self.sheet.put(row, column, text)
    }

    fn text(&mut self, row: u32, column: u32, style: u16, text: &str) -> Result<(), WorkbookProblem> {
        let format = self.format(style).map_or_else(|| Rc::new(Format::new("General")), Rc::clone);
        let text = self.sheet.keep_with(|texts| format.push_text(text, texts))?;
        self.sheet.put(row, column, text)
    }

    fn bool_or_error(&mut self, row: u32, column: u32, value: u8, is_error: bool) -> Result<(), WorkbookProblem> {
        if !is_error {
            let text = self.sheet.keep(if value == 0 { "FALSE" } else { "TRUE" })?;
            return self.sheet.put(row, column, text);
        }
        // [MS-XLS] §2.5.10
        let error = match value {
            0x00 => "#NULL!",
            0x07 => "#DIV/0!",
            0x0f => "#VALUE!",
            0x17 => "#REF!",
            0x1d => "#NAME?",
            0x24 => "#NUM!",
            0x2a => "#N/A",
            _ => "#ERROR",
        };
        self.sheet.fault(row, column, Fault::Error(error.to_owned()))
    }

    fn format(&self, style: u16) -> Option<&Rc<Format>> {
        self.book.styles.get(usize::from(style))
    }
}

/// [MS-XLS] §2.5.122: 30 bits of a whole number or of a float, perhaps in hundredths.
fn rk(value: u32) -> f64 {
    let number = if value & 2 == 0 {
        f64::from_bits(u64::from(value & 0xffff_fffc) << 32)
    } else {
        f64::from(value.cast_signed() >> 2)
    };
    if value & 1 == 0 { number } else { number / 100.0 }
}
