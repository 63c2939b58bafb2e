//! A sheet of a workbook becomes rows of text: in each cell what the spreadsheet program shows there.
//!
//! Read here and not by a workbook library, because a list needs what those leave out: number formats, hidden rows
//! and columns, formulas that have no value yet, and limits that hold before anything is laid out in memory.

mod number;
mod ods;
mod ods_styles;
mod package;
mod problem;
mod sheet;
mod shown;
mod xls;
mod xls_records;
mod xlsx;
mod xlsx_parts;

#[cfg(test)]
mod tests;

use package::{Holds, Package};
pub(crate) use problem::WorkbookProblem;
pub(super) use sheet::Sheet;

/// What a file of workbook bytes is, by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A zip archive: .xlsx and .xlsm, but [`read`] is the one to find out that it is a Word document.
    Xlsx,
    /// An OLE container: .xls, or another old Office document, or one with a password.
    Xls,
    /// An OpenDocument spreadsheet.
    Ods,
}

/// Tells a workbook from text, whatever the file's name says.
pub(super) fn kind(bytes: &[u8]) -> Option<Kind> {
    match bytes {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => {
            // OpenDocument 1.3 part 2 §3.3: the first member is `mimetype`, stored as it is.
            let first = bytes.get(30..38) == Some(b"mimetype");
            let rest = bytes.get(38..).unwrap_or_default();
            Some(if first && rest.starts_with(ods::MIME_TYPE.as_bytes()) { Kind::Ods } else { Kind::Xlsx })
        }
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Some(Kind::Xls),
        _ => None,
    }
}

/// Which sheet, and how much of it at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'o> {
    /// The sheet's name; without one the first that is not hidden.
    pub(super) sheet: Option<&'o str>,
    /// Rows that hold something.
    pub(super) most_rows: u64,
    /// Columns, counted from A to the last that holds something.
    pub(super) most_columns: usize,
    /// What is unpacked from the file, all parts together; and what the cells take in memory.
    pub(super) most_bytes: u64,
}

/// Reads one sheet.
pub(super) fn read(bytes: &[u8], wanted: &Wanted<'_>) -> Result<Sheet, WorkbookProblem> {
    match kind(bytes) {
        None => Err(WorkbookProblem::Foreign("not a workbook")),
        Some(Kind::Xls) => xls::read(bytes, wanted),
        Some(Kind::Xlsx | Kind::Ods) => {
            let mut package = Package::open(bytes, wanted.most_bytes)?;
            match package.holds()? {
                Holds::Xlsx => xlsx::read(&mut package, wanted),
                Holds::Ods => ods::read(&mut package, wanted),
                Holds::Foreign(what) => Err(WorkbookProblem::Foreign(what)),
            }
        }
    }
}

/// One sheet as the workbook lists it.
#[derive(Debug)]
struct Listed<T> {
    name: String,
    hidden: bool,
    /// Where its cells are.
    at: T,
}

/// The sheet that is meant: the named one, else the first that is not hidden.
fn choose<T>(sheets: &[Listed<T>], wanted: Option<&str>) -> Result<usize, WorkbookProblem> {
    let Some(wanted) = wanted else {
        return sheets.iter().position(|sheet| !sheet.hidden).ok_or(WorkbookProblem::NoSheet);
    };
    sheets
        .iter()
        .position(|sheet| sheet.name == wanted)
        .or_else(|| sheets.iter().position(|sheet| is_like(wanted, &sheet.name)))
        .ok_or_else(|| WorkbookProblem::no_such_sheet(wanted, sheets.iter().map(|sheet| sheet.name.as_str())))
}

/// Whether two names of sheets differ only in case and in spaces around them.
fn is_like(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
