//! Rows become a list: headings first, then one row after the other, each with all that is wrong with it.

use std::sync::Arc;

use super::{Columns, ListProblem, ROWS, RecipientList, Row, short, typed};
use crate::{
    address::{self, Address, clings},
    campaign::{ColumnType, ListOptions},
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, nearest, quoted},
};

/// What has rows of cells: delimited text, or the sheet of a workbook.
pub(super) trait Rows {
    /// Goes to the next row that is not blank; gives its number in the spreadsheet.
    fn next(&mut self) -> Option<u64>;

    /// How many cells it has.
    fn len(&self) -> usize;

    /// A cell of the row.
    fn cell(&self, nth: usize) -> &str;

    /// What stands between cells; in a sheet nothing does, and cells that are not there are empty.
    fn delimiter(&self) -> Option<u8>;

    /// All cells one after the other, where the row has them so, and where a cell ends in that text.
    fn joined(&self) -> Option<(&str, impl Fn(usize) -> usize)> {
        None::<(&str, fn(usize) -> usize)>
    }

    /// All of them.
    fn cells(&self) -> impl DoubleEndedIterator<Item = &str> {
        (0..self.len()).map(|nth| self.cell(nth))
    }

    /// How many there are up to the last one that holds something.
    fn filled(&self) -> usize {
        (0..self.len()).rev().find(|nth| !self.cell(*nth).trim_matches(clings).is_empty()).map_or(0, |nth| nth + 1)
    }

    /// Goes to the first row that holds something, which has the headings.
    fn next_filled(&mut self) -> Option<u64> {
        loop {
            let number = self.next()?;
            if self.filled() > 0 {
                return Some(number);
            }
        }
    }

    /// The cells as headings.
    fn headings(&self) -> Vec<String> {
        let in_a_line = |cell: &str| cell.trim_matches(clings).replace("\r\n", " ").replace(['\n', '\r', '\t'], " ");
        self.cells().take(self.filled()).map(in_a_line).collect()
    }
}

/// What spreadsheet programs show where a formula went wrong.
const ERRORS: [&str; 8] = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!"];

/// Whether a cell has several lines, and one of them looks like the row of a person.
fn has_address_cell(cell: &str) -> bool {
    let separator = |c: char| matches!(c, ',' | ';' | '\t' | '|');
    let is_address = |word: &str| address::travels_as_written(word.trim_matches(|c| clings(c) || c == '"'));
    cell.contains(['\n', '\r'])
        && cell.contains('@')
        && cell.split(['\n', '\r']).any(|line| line.contains(separator) && line.split(separator).any(is_address))
}

/// So many rows may be titles above the headings.
const TITLE_ROWS: usize = 20;

/// So many rows with something wrong are kept, for what else is wrong with them.
const KEPT_FLAWED: usize = 1000;

/// Cells were trimmed in so many rows that are named.
const NAMED_ROWS: usize = 10;

/// Reads a list. `None` where it is too wrong to go on; whatever else is wrong is added to `problems`.
pub(super) fn read(
    name: &Arc<str>,
    rows: &mut impl Rows,
    options: &ListOptions,
    problems: &mut Diagnostics,
) -> Option<RecipientList> {
    let file = || Place::File(name.as_ref().into());
    let Some(heading_row) = rows.next_filled() else {
        problems.push(Diagnostic::error(file(), &ListProblem::Empty));
        return None;
    };
    let headings = Headings::read(name, heading_row, rows, options, problems)?;
    let mut reader = Reader {
        list: RecipientList::without_rows(name, headings.columns, headings.address),
        sources: headings.sources,
        unnamed: headings.unnamed,
        width: headings.width,
        typed: false,
        most_cell: options.limits.cell(),
        trimmed: headings.trimmed,
        flawed: 0,
        problems,
    };
    reader.typed = (0..reader.list.columns.len()).any(|nth| *reader.list.columns.kind(nth) != ColumnType::Text);
    let mut found = 0;
    while let Some(number) = rows.next_filled() {
        found += 1;
        if found > options.limits.rows() || number > u64::from(u32::MAX) {
            reader.problems.push(Diagnostic::error(file(), &ListProblem::TooManyRows(options.limits.rows())));
            return None;
        }
        reader.row(number, rows);
    }
    if found == 0 {
        reader.problems.push(Diagnostic::error(file(), &ListProblem::NoRows));
    }
    let Reader { list, trimmed, .. } = reader;
    if trimmed.cells > 0 {
        let problem = ListProblem::Trimmed { cells: trimmed.cells, rows: trimmed.rows() };
        problems.push(Diagnostic::note(file(), &problem));
    }
    Some(list)
}

/// The first row, understood.
struct Headings {
    columns: Columns,
    /// Where the columns stand in the file.
    sources: Vec<usize>,
    /// Columns in the file that have no heading; nothing may stand in them.
    unnamed: Vec<usize>,
    /// How many columns the file has.
    width: usize,
    address: usize,
    trimmed: Trimmed,
}

/// The row, among the next few, that looks like headings.
fn headings_below(rows: &mut impl Rows) -> Option<u64> {
    (0..TITLE_ROWS).find_map(|_| {
        let number = rows.next()?;
        let person = rows.cells().any(|cell| cell.contains('@'));
        (!person && !Columns::new(rows.headings()).usual_for_addresses().is_empty()).then_some(number)
    })
}

impl Headings {
    #[allow(clippy::too_many_lines, reason = "one step after the other, each with its complaint")]
    fn read(
        name: &Arc<str>,
        row: u64,
        rows: &mut impl Rows,
        options: &ListOptions,
        problems: &mut Diagnostics,
    ) -> Option<Self> {
        let mut complain = |column: Option<&str>, problem: &dyn Complaint| {
            let place = Place::Row { list: Arc::clone(name), row, column: column.map(Into::into) };
            problems.push(Diagnostic::error(place, problem));
        };
        let headings = rows.headings();
        let (width, most) = (headings.len(), options.limits.columns());
        let mut trimmed = Trimmed::default();
        for _ in rows.cells().take(width).filter(|cell| cell.trim_matches(clings).len() < cell.len()) {
            trimmed.add(row);
        }
        let mut columns = Columns::new(headings.iter().cloned());
        let nowhere = options.address.is_none() && columns.usual_for_addresses().is_empty();
        // A title above the headings is no mistake of theirs.
        if nowhere && let Some(headings) = headings_below(rows) {
            complain(None, &ListProblem::Titles { headings });
            return None;
        }
        if width > most {
            complain(None, &ListProblem::TooManyColumns { found: width, most });
            return None;
        }
        if headings.iter().any(|heading| heading.parse::<Address>().is_ok()) {
            complain(None, &ListProblem::PersonInHeadings);
            return None;
        }
        if nowhere {
            let unsplit = b",;\t|"
                .iter()
                .copied()
                .find(|delimiter| columns.len() == 1 && columns.heading(0).bytes().any(|byte| byte == *delimiter));
            complain(None, &ListProblem::NoAddressColumn { headings: columns.listed(), unsplit });
            return None;
        }
        let (unnamed, sources): (Vec<usize>, Vec<usize>) = (0..width).partition(|nth| columns.name(*nth).is_empty());
        columns.only(&sources);
        for nth in 0..columns.len() {
            if let Some(character) = columns.heading(nth).chars().find(|c| c.is_control()) {
                complain(Some(columns.heading(nth)), &ListProblem::Control { character });
            }
            if let Some(first) = (0..nth).find(|first| columns.is_called(*first, columns.heading(nth))) {
                let (first, second) = (columns.heading(first).into(), columns.heading(nth).into());
                complain(None, &ListProblem::SameHeading { first, second });
            }
        }
        let mut twice = Vec::new();
        let mut find = |wanted: &str, role: &'static str, columns: &Columns| {
            let found = columns.find(wanted);
            if found.is_none() {
                let nearest = nearest(&Columns::name_for(wanted), columns.names());
                let nearest =
                    nearest.and_then(|name| columns.find(name)).map(|column| columns.heading(column).to_owned());
                let wanted = wanted.to_owned();
                complain(None, &ListProblem::NoSuchColumn { wanted, role, nearest, headings: columns.listed() });
            }
            found
        };
        for wanted in &options.identifying {
            if let Some(column) = find(wanted, "which is to be identifying", &columns) {
                columns.make_identifying(column);
            }
        }
        for wanted in &options.optional {
            if let Some(column) = find(wanted, "which is to be optional", &columns) {
                columns.make_optional(column);
            }
        }
        let mut settled = Vec::new();
        for layer in &options.columns {
            let mut said: Vec<usize> = Vec::new();
            for (wanted, kind) in layer {
                let Some(column) = find(wanted, "which has a type", &columns) else { continue };
                if said.contains(&column) && columns.kind(column) != kind {
                    twice.push(columns.heading(column).to_owned());
                }
                if !settled.contains(&column) {
                    columns.set_kind(column, kind.clone());
                }
                said.push(column);
            }
            settled.extend(said);
        }
        let address = match &options.address {
            Some(wanted) => find(wanted, "which is to hold the addresses", &columns)?,
            None => match columns.usual_for_addresses().as_slice() {
                [only] => *only,
                several => {
                    let headings: Vec<String> = several.iter().map(|nth| quoted(columns.heading(*nth))).collect();
                    complain(None, &ListProblem::SeveralAddressColumns(headings.join(", ")));
                    return None;
                }
            },
        };
        for heading in twice {
            complain(Some(heading.as_str()), &ListProblem::TwoTypes);
        }
        if let Some(wanted) = &options.group_by {
            if columns.find(wanted) != Some(address) {
                let address = columns.heading(address).to_owned();
                complain(None, &ListProblem::GroupByOther { wanted: wanted.clone(), address });
            }
            if columns.find(ROWS).is_some() {
                complain(columns.find(ROWS).map(|rows| columns.heading(rows)), &ListProblem::RowsIsTaken);
            }
            columns.group();
        }
        Some(Self { columns, sources, unnamed, width, address, trimmed })
    }
}

/// White space that was taken off.
#[derive(Default)]
struct Trimmed {
    cells: usize,
    rows: Vec<u64>,
    more: bool,
}

impl Trimmed {
    fn add(&mut self, row: u64) {
        self.cells += 1;
        if self.rows.last() == Some(&row) {
            return;
        }
        self.more |= self.rows.len() == NAMED_ROWS;
        if !self.more {
            self.rows.push(row);
        }
    }

    fn rows(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(u64::to_string).collect();
        let word = if rows.len() == 1 { "row" } else { "rows" };
        format!("{word} {}{}", rows.join(", "), if self.more { " …" } else { "" })
    }
}

struct Reader<'p> {
    list: RecipientList,
    sources: Vec<usize>,
    unnamed: Vec<usize>,
    width: usize,
    /// Whether any column is more than text.
    typed: bool,
    most_cell: usize,
    trimmed: Trimmed,
    /// How many rows had something wrong in a cell.
    flawed: usize,
    problems: &'p mut Diagnostics,
}

impl Reader<'_> {
    /// Adds a row to the list, if all is right with it.
    fn row(&mut self, number: u64, rows: &impl Rows) {
        let Some(width) = self.width_of(number, rows) else { return };
        let start = self.list.cells.len();
        let right = self.clean_cells(rows, width) || self.cells(number, rows, width);
        let place = self.list.rows.len();
        // So long as the row is not on the list, its cells are behind all others.
        self.list.rows.push(Row { start, number: u32::try_from(number).unwrap_or(u32::MAX) });
        let source = self.sources[self.list.address_column];
        let too_long = source < width && rows.cell(source).len() > self.most_cell;
        let right = !too_long && self.address(place, number) && right;
        if right {
            return;
        }
        self.flawed += 1;
        if self.flawed <= KEPT_FLAWED {
            // The rest of the row is looked at in the same go. Nobody is mailed: the list is refused.
            let nobody = Address::as_written(&format!("row-{number}@flawed.invalid"));
            self.list.rewritten.insert(place, nobody);
        } else {
            self.list.rows.pop();
            self.list.cells.truncate(start);
            self.list.ends.truncate(place * self.list.columns.len());
        }
    }

    /// How many cells of a row count, if the number is right.
    fn width_of(&mut self, number: u64, rows: &impl Rows) -> Option<usize> {
        let (found, wanted) = (rows.len(), self.width);
        if found == wanted {
            return Some(wanted);
        }
        let filled = rows.filled();
        let delimiter = rows.delimiter();
        if filled <= wanted && (found >= wanted || delimiter.is_none()) {
            return Some(found.min(wanted));
        }
        let found = filled.max(found.min(wanted));
        self.complain(number, None, &ListProblem::Cells { wanted, found, delimiter });
        None
    }

    /// Keeps all cells at once, if the row is ASCII text without control characters and `#`, and none of its cells has a
    /// space around it or a type: nothing in it needs a closer look. Whether it was so.
    fn clean_cells(&mut self, rows: &impl Rows, width: usize) -> bool {
        if !self.unnamed.is_empty() || self.typed || width != self.width {
            return false;
        }
        let Some((text, end)) = rows.joined() else { return false };
        let text = &text[..end(width - 1)];
        let spaced = |nth: usize| {
            let cell = &text.as_bytes()[if nth == 0 { 0 } else { end(nth - 1) }..end(nth)];
            cell.first() == Some(&b' ') || cell.last() == Some(&b' ')
        };
        let clean = text.len() <= self.most_cell
            && text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'#')
            && !(0..width).any(spaced);
        if clean {
            self.list.cells.push_str(text);
            self.list.ends.extend((0..width).map(|nth| short(end(nth))));
        }
        clean
    }

    /// One cell after the other; whether all of them are right.
    fn cells(&mut self, number: u64, rows: &impl Rows, width: usize) -> bool {
        let mut right = true;
        let start = self.list.cells.len();
        let mut unnamed = std::mem::take(&mut self.unnamed);
        // The first row with something in a column without a heading is enough.
        unnamed.retain(|nth| {
            let sample = if *nth < width { rows.cell(*nth).trim_matches(clings) } else { "" };
            if !sample.is_empty() {
                let problem = ListProblem::NoHeading { nth: nth + 1, sample: quoted(sample), row: number };
                self.complain(number, None, &problem);
            }
            sample.is_empty()
        });
        self.unnamed = unnamed;
        for column in 0..self.list.columns.len() {
            let source = self.sources[column];
            let cell = if source < width { rows.cell(source) } else { "" };
            let trimmed = cell.trim_matches(clings);
            if trimmed.len() < cell.len() {
                self.trimmed.add(number);
            }
            let problem =
                if cell.len() > self.most_cell || self.list.cells.len() - start + cell.len() > u32::MAX as usize {
                    Some(ListProblem::CellTooLong(self.most_cell))
                } else if column == self.list.address_column {
                    // An address has its own words for it.
                    None
                } else {
                    let control = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
                    trimmed.chars().find(control).map(|character| ListProblem::Control { character })
                };
            if rows.delimiter().is_some() && has_address_cell(trimmed) {
                self.warn(number, column, &ListProblem::Swallowed);
            }
            // What is wrong in a sheet was found there.
            if trimmed.contains('\u{fffd}') || (rows.delimiter().is_some() && ERRORS.contains(&trimmed)) {
                self.warn(number, column, &ListProblem::Damaged(trimmed.to_owned()));
            }
            let optional = self.list.columns.is_optional(column);
            let kept = match problem {
                Some(problem) => Err(problem),
                None => typed::checked(trimmed, self.list.columns.kind(column), optional),
            };
            match kept {
                Ok(kept) => self.list.cells.push_str(&kept),
                Err(problem) => {
                    self.complain(number, Some(column), &problem);
                    // What is wrong is not empty, too.
                    let shown = if trimmed.len() > self.most_cell { "…" } else { trimmed };
                    self.list.cells.extend(shown.chars().filter(|c| !c.is_control()));
                    right = false;
                }
            }
            self.list.ends.push(short(self.list.cells.len() - start));
        }
        right
    }

    /// Whether the address of the last row is one.
    fn address(&mut self, place: usize, number: u64) -> bool {
        let column = self.list.address_column;
        let cell = self.list.cell(place, column);
        if address::travels_as_written(cell) {
            if let Some(meant) = address::domains::probably_meant(&cell[cell.find('@').map_or(0, |at| at + 1)..]) {
                let local = cell.split('@').next().unwrap_or("");
                let problem = ListProblem::Slip { address: cell.to_owned(), meant: format!("{local}@{meant}") };
                self.list.warn(place, column, &problem, self.problems);
            }
            return true;
        }
        match cell.parse::<Address>() {
            Ok(address) => {
                if address.needs_smtputf8() {
                    self.list.warn(place, column, &ListProblem::SmtpUtf8(address.to_string()), self.problems);
                }
                self.list.rewritten.insert(place, address);
                true
            }
            Err(error) => {
                self.complain(number, Some(column), &ListProblem::Address(error));
                false
            }
        }
    }

    fn complain(&mut self, number: u64, column: Option<usize>, problem: &ListProblem) {
        self.problems.push(Diagnostic::error(self.list.place(number, column), problem));
    }

    fn warn(&mut self, number: u64, column: usize, problem: &ListProblem) {
        self.problems.push(Diagnostic::warning(self.list.place(number, Some(column)), problem));
    }
}

/// The columns that the first row names, whatever else is wrong; none if it names no column for the addresses, and may
/// be anything.
pub(super) fn headings(rows: &mut impl Rows, options: &ListOptions) -> Option<Columns> {
    rows.next_filled()?;
    let mut columns = Columns::new(rows.headings().into_iter().filter(|heading| !heading.is_empty()));
    let address = options.address.as_ref().and_then(|wanted| columns.find(wanted));
    if address.is_none() && columns.usual_for_addresses().is_empty() {
        return None;
    }
    // The first place that says so goes before the others.
    for (wanted, kind) in options.columns.iter().rev().flatten() {
        if let Some(column) = columns.find(wanted) {
            columns.set_kind(column, kind.clone());
        }
    }
    if options.group_by.is_some() {
        columns.group();
    }
    Some(columns)
}
