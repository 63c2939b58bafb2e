//! A sheet in memory: only the cells that hold something, whose texts stand in one string.

use std::{fmt, ops::Range};

use super::{Wanted, WorkbookProblem};
use crate::{
    diagnostic::{Bare, Complaint, quoted},
    recipients::read::Rows,
};

/// One sheet as text. Rows that hold nothing are left out.
#[derive(Debug, Default)]
pub(in crate::recipients) struct Sheet {
    name: String,
    was_hidden: bool,
    others: usize,
    texts: String,
    /// By row, then by column; each holds something.
    cells: Vec<Cell>,
    rows: Vec<Range<usize>>,
    hidden_rows: Vec<u64>,
    hidden_columns: Vec<usize>,
    faults: Vec<CellFault>,
}

/// A cell whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::recipients) struct CellFault {
    /// From 1, as the spreadsheet shows it.
    pub(in crate::recipients) row: u64,
    /// From 0.
    pub(in crate::recipients) column: usize,
    pub(in crate::recipients) what: Fault,
}

/// What is wrong with a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::recipients) enum Fault {
    /// It shows an error, such as `#N/A`.
    Error(String),
    /// A formula whose result the program that wrote the file did not work out.
    NoValue,
}

impl fmt::Display for CellFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Fault::Error(error) => write!(f, "the sheet shows the error {} here", quoted(error)),
            Fault::NoValue => f.write_str("the cell holds a formula whose result was not saved"),
        }
    }
}

impl Complaint for CellFault {
    fn code(&self) -> &'static str {
        match self.what {
            Fault::Error(_) => "list.sheet-error",
            Fault::NoValue => "list.formula-without-value",
        }
    }

    fn bare(&self) -> Bare {
        match self.what {
            Fault::Error(_) => Bare::said("the sheet shows an error here", self.help()),
            Fault::NoValue => Bare::Whole,
        }
    }

    fn help(&self) -> Option<String> {
        Some(
            match self.what {
                Fault::Error(_) => "put it right in the spreadsheet, or write the value in place of the formula",
                Fault::NoValue => "open the workbook in the spreadsheet program, let it calculate, and save it",
            }
            .into(),
        )
    }
}

/// From 0, both.
#[derive(Debug, Clone, Copy)]
struct Cell {
    row: u32,
    column: u32,
    text: Text,
}

/// Where a text stands in the sheet's string. Cells may share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Text {
    start: u32,
    end: u32,
}

impl Text {
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    fn of(self, texts: &str) -> &str {
        texts.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl Sheet {
    /// Its name.
    pub(in crate::recipients) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the sheet itself is hidden; it was asked for by name, then.
    pub(in crate::recipients) fn was_hidden(&self) -> bool {
        self.was_hidden
    }

    /// How many other sheets that are not hidden hold something.
    pub(in crate::recipients) fn others(&self) -> usize {
        self.others
    }

    /// Rows that hold something and are hidden, by hand or by a filter; from 1.
    pub(in crate::recipients) fn hidden_rows(&self) -> &[u64] {
        &self.hidden_rows
    }

    /// Columns that hold something and are hidden; from 0.
    pub(in crate::recipients) fn hidden_columns(&self) -> &[usize] {
        &self.hidden_columns
    }

    /// Cells whose value cannot be used, by row and column.
    pub(in crate::recipients) fn faults(&self) -> &[CellFault] {
        &self.faults
    }

    /// The rows from the first on.
    pub(in crate::recipients) fn rows(&self) -> SheetRows<'_> {
        SheetRows { sheet: self, next: 0, cells: &[], without_hidden: false }
    }
}

/// The rows of a sheet, one after another.
#[derive(Debug)]
pub(in crate::recipients) struct SheetRows<'s> {
    sheet: &'s Sheet,
    next: usize,
    cells: &'s [Cell],
    without_hidden: bool,
}

impl SheetRows<'_> {
    /// The same without the rows that the sheet hides.
    pub(in crate::recipients) fn without_hidden(self) -> Self {
        Self { without_hidden: true, ..self }
    }
}

impl Rows for SheetRows<'_> {
    fn next(&mut self) -> Option<u64> {
        loop {
            let row = self.sheet.rows.get(self.next)?;
            self.next += 1;
            self.cells = self.sheet.cells.get(row.clone()).unwrap_or_default();
            let number = self.cells.first().map(|cell| u64::from(cell.row) + 1)?;
            // The first row holds the headings, hidden or not.
            if !self.without_hidden || self.next == 1 || self.sheet.hidden_rows.binary_search(&number).is_err() {
                return Some(number);
            }
        }
    }

    /// From column A to the last that holds something.
    fn len(&self) -> usize {
        self.cells.last().map_or(0, |cell| cell.column as usize + 1)
    }

    fn cell(&self, nth: usize) -> &str {
        // In most rows no cell is missing, and the nth is that of the nth column.
        let found = match self.cells.get(nth) {
            Some(cell) if cell.column as usize == nth => Some(cell),
            _ => self.cells.binary_search_by_key(&nth, |cell| cell.column as usize).ok().map(|at| &self.cells[at]),
        };
        found.map_or("", |cell| cell.text.of(&self.sheet.texts))
    }

    fn delimiter(&self) -> Option<u8> {
        None
    }
}

/// A rectangle of cells that are one; from 0, ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merge {
    pub(super) rows: (u32, u32),
    pub(super) columns: (u32, u32),
}

/// What a sheet is made from, in any order.
#[derive(Debug)]
pub(super) struct Builder<'w> {
    wanted: &'w Wanted<'w>,
    texts: String,
    cells: Vec<Cell>,
    merges: Vec<Merge>,
    hidden_rows: Vec<(u32, u32)>,
    hidden_columns: Vec<(u32, u32)>,
    faults: Vec<CellFault>,
    /// What the cells may still take.
    left: u64,
    last_row: Option<u32>,
    row_count: u64,
}

impl<'w> Builder<'w> {
    pub(super) fn new(wanted: &'w Wanted<'w>) -> Self {
        Self {
            wanted,
            texts: String::new(),
            cells: Vec::new(),
            merges: Vec::new(),
            hidden_rows: Vec::new(),
            hidden_columns: Vec::new(),
            faults: Vec::new(),
            left: wanted.most_bytes,
            last_row: None,
            row_count: 0,
        }
    }

    /// Keeps a text for cells to use.
    pub(super) fn keep(&mut self, text: &str) -> Result<Text, WorkbookProblem> {
        self.keep_with(|texts| texts.push_str(text))
    }

    /// Keeps what `write` appends.
    pub(super) fn keep_with(&mut self, write: impl FnOnce(&mut String)) -> Result<Text, WorkbookProblem> {
        let start = self.texts.len();
        write(&mut self.texts);
        let place = |at: usize| u32::try_from(at).map_err(|_| self.too_large());
        Ok(Text { start: place(start)?, end: place(self.texts.len())? })
    }

    /// The text itself.
    pub(super) fn text(&self, text: Text) -> &str {
        text.of(&self.texts)
    }

    /// Puts a text into a cell.
    pub(super) fn put(&mut self, row: u32, column: u32, text: Text) -> Result<(), WorkbookProblem> {
        if text.is_empty() {
            return Ok(());
        }
        if column as usize >= self.wanted.most_columns {
            let most = self.wanted.most_columns;
            return Err(WorkbookProblem::TooManyColumns { most, row: u64::from(row) + 1 });
        }
        if self.last_row != Some(row) {
            self.last_row = Some(row);
            self.row_count += 1;
            // Rows that come in pieces are counted twice here, and rightly at the end.
            if self.row_count > self.wanted.most_rows.saturating_mul(2) {
                return Err(self.too_many_rows());
            }
        }
        // A text that many cells share is copied for each of them later on.
        self.take(size_of::<Cell>() as u64 + u64::from(text.end - text.start))?;
        self.cells.push(Cell { row, column, text });
        Ok(())
    }

    /// Notes that a cell's value cannot be used; an error is also what the cell shows.
    pub(super) fn fault(&mut self, row: u32, column: u32, what: Fault) -> Result<(), WorkbookProblem> {
        if let Fault::Error(shown) = &what {
            let text = self.keep(shown)?;
            self.put(row, column, text)?;
        }
        self.take(size_of::<CellFault>() as u64)?;
        self.faults.push(CellFault { row: u64::from(row) + 1, column: column as usize, what });
        Ok(())
    }

    pub(super) fn merge(&mut self, merge: Merge) -> Result<(), WorkbookProblem> {
        self.take(size_of::<Merge>() as u64)?;
        self.merges.push(merge);
        Ok(())
    }

    /// Rows from 0, ends included.
    pub(super) fn hide_rows(&mut self, first: u32, last: u32) {
        // One span for neighbours: a filter may hide all rows but one.
        match self.hidden_rows.last_mut() {
            Some(span) if span.1.checked_add(1) == Some(first) => span.1 = last,
            _ => self.hidden_rows.push((first, last)),
        }
    }

    /// Columns from 0, ends included.
    pub(super) fn hide_columns(&mut self, first: u32, last: u32) {
        self.hidden_columns.push((first, last));
    }

    pub(super) fn too_many_rows(&self) -> WorkbookProblem {
        WorkbookProblem::TooManyRows { most: self.wanted.most_rows }
    }

    pub(super) fn too_large(&self) -> WorkbookProblem {
        WorkbookProblem::TooLarge { most: self.wanted.most_bytes }
    }

    fn take(&mut self, bytes: u64) -> Result<(), WorkbookProblem> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    /// The sheet, with merged cells filled and everything in order.
    pub(super) fn finish(mut self, name: &str, was_hidden: bool, others: usize) -> Result<Sheet, WorkbookProblem> {
        self.sort();
        self.fill_merges()?;
        let mut rows: Vec<Range<usize>> = Vec::new();
        for (at, cell) in self.cells.iter().enumerate() {
            match rows.last_mut() {
                Some(row) if self.cells[row.start].row == cell.row => row.end = at + 1,
                _ => rows.push(at..at + 1),
            }
        }
        if rows.len() as u64 > self.wanted.most_rows {
            return Err(self.too_many_rows());
        }
        let hidden = union(self.hidden_rows);
        let rows_of = |row: &Range<usize>| self.cells[row.start].row;
        let hidden_rows = rows.iter().map(rows_of).filter(|row| covers(&hidden, *row));
        let hidden_rows = hidden_rows.map(|row| u64::from(row) + 1).collect();
        let mut used = Vec::new();
        for cell in &self.cells {
            let column = cell.column as usize;
            if used.len() <= column {
                used.resize(column + 1, false);
            }
            used[column] = true;
        }
        let hidden = union(self.hidden_columns);
        let is_hidden = |column: &usize| u32::try_from(*column).is_ok_and(|column| covers(&hidden, column));
        let hidden_columns = (0..used.len()).filter(|column| used[*column]).filter(is_hidden).collect();
        self.faults.sort_by_key(|fault| (fault.row, fault.column));
        Ok(Sheet {
            name: name.to_owned(),
            was_hidden,
            others,
            texts: self.texts,
            cells: self.cells,
            rows,
            hidden_rows,
            hidden_columns,
            faults: self.faults,
        })
    }

    /// By row and column; of several texts for one cell the last counts.
    fn sort(&mut self) {
        let place = |cell: &Cell| (cell.row, cell.column);
        if !self.cells.is_sorted_by(|one, next| place(one) < place(next)) {
            self.cells.sort_by_key(place);
            self.cells.dedup_by(|next, kept| {
                let same = place(next) == place(kept);
                if same {
                    kept.text = next.text;
                }
                same
            });
        }
    }

    /// Gives every cell of a merged region the text of its top left one, as far as the sheet is in use.
    fn fill_merges(&mut self) -> Result<(), WorkbookProblem> {
        let merges = std::mem::take(&mut self.merges);
        let Some(last_row) = self.cells.last().map(|cell| cell.row) else { return Ok(()) };
        if merges.is_empty() {
            return Ok(());
        }
        let last_column = self.cells.iter().map(|cell| cell.column).max().unwrap_or(0);
        let sorted = self.cells.len();
        for merge in merges {
            let ((top, bottom), (left, right)) = (merge.rows, merge.columns);
            let first = self.cells[..sorted].binary_search_by_key(&(top, left), |cell| (cell.row, cell.column));
            let text = first.map_or(Text::default(), |at| self.cells[at].text);
            for row in top..=bottom.min(last_row) {
                for column in left..=right.min(last_column) {
                    if (row, column) != (top, left) {
                        self.take(size_of::<Cell>() as u64 + u64::from(text.end - text.start))?;
                        self.cells.push(Cell { row, column, text });
                    }
                }
            }
        }
        self.sort();
        self.cells.retain(|cell| !cell.text.is_empty());
        Ok(())
    }
}

/// Spans in order, none touching another.
fn union(mut spans: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    spans.sort_unstable();
    spans.dedup_by(|next, kept| {
        let touches = next.0 <= kept.1.saturating_add(1);
        if touches {
            kept.1 = kept.1.max(next.1);
        }
        touches
    });
    spans
}

fn covers(spans: &[(u32, u32)], at: u32) -> bool {
    let after = spans.partition_point(|span| span.0 <= at);
    after.checked_sub(1).is_some_and(|before| at <= spans[before].1)
}
