//! stub
use super::read::Rows;
pub(super) enum Kind {
    Xlsx,
}
pub(super) fn kind(_: &[u8]) -> Option<Kind> {
    None
}
pub(super) struct Wanted<'o> {
    pub(super) sheet: Option<&'o str>,
    pub(super) most_rows: u64,
    pub(super) most_columns: usize,
    pub(super) most_bytes: u64,
}
pub(super) fn read(_: &[u8], _: &Wanted<'_>) -> Result<Sheet, super::ListProblem> {
    Err(super::ListProblem::Empty)
}
pub(super) struct Sheet;
impl Sheet {
    pub(super) fn name(&self) -> &str {
        ""
    }
    pub(super) fn was_hidden(&self) -> bool {
        false
    }
    pub(super) fn others(&self) -> usize {
        0
    }
    pub(super) fn hidden_rows(&self) -> &[u64] {
        &[]
    }
    pub(super) fn hidden_columns(&self) -> &[usize] {
        &[]
    }
    pub(super) fn faults(&self) -> &[CellFault] {
        &[]
    }
    pub(super) fn rows(&self) -> SheetRows {
        SheetRows
    }
}
pub(super) struct CellFault {
    pub(super) row: u64,
    pub(super) column: usize,
}
impl std::fmt::Display for CellFault {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl crate::diagnostic::Complaint for CellFault {
    fn code(&self) -> &'static str {
        ""
    }
}
pub(super) struct SheetRows;
impl SheetRows {
    pub(super) fn skip_hidden(&mut self) {}
    pub(super) fn first_headings(&self) -> Vec<String> {
        vec![]
    }
}
impl Rows for SheetRows {
    fn next(&mut self) -> Option<u64> {
        None
    }
    fn len(&self) -> usize {
        0
    }
    fn text(&self) -> &str {
        ""
    }
    fn range(&self, _: usize) -> std::ops::Range<usize> {
        0..0
    }
    fn delimiter(&self) -> Option<u8> {
        None
    }
}
