//! A file becomes a [`RecipientList`]: one address and some fields for each person.
//!
//! Everything that is wrong with a list is said at once, by the row numbers that the spreadsheet shows (the
//! headings are row 1), and a list with anything wrong is no list.
//!
//! The way through: [`ListFile`] (bytes) → text or a sheet → rows → `read` (one row after the other) → `twice` (the
//! same address again) → `moved` (addresses that stand beside somebody else's name).

mod columns;
mod delimited;
mod file;
mod frozen;
mod moved;
mod people;
mod problem;
mod read;
mod rejected;
mod rows;
mod text;
mod twice;
mod typed;
mod workbook;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, OnceLock},
};

use hashbrown::HashTable;

use self::problem::ListProblem;
pub(crate) use self::typed::in_one_form;
pub use self::{
    columns::{Columns, ROWS},
    file::ListFile,
    frozen::{ColumnShape, Restored, Shape},
    rows::{Rows, RowsError, Selection},
    typed::{as_number, is_zero, iso_date, yes_or_no},
};
use crate::{
    address::Address,
    campaign::ListOptions,
    diagnostic::{Diagnostic, Diagnostics, Place},
};

/// The people of a campaign, in the order of the file; at least one, and no address twice.
///
/// ```
/// use apiece::{campaign::ListOptions, recipients::RecipientList};
/// let list = RecipientList::parse("people.csv", "First name,E-Mail\nAda,ada@one.example\n", &ListOptions::default())?;
/// let ada = list.get(0).unwrap();
/// assert_eq!((ada.row(), ada.field(0), ada.address().as_str()), (2, "Ada", "ada@one.example"));
/// assert_eq!(list.columns().name(0), "first_name");
///
/// let wrong = RecipientList::parse("people.csv", "email\nada@one.example\nADA@one.example\n", &ListOptions::default());
/// assert!(wrong.unwrap_err().to_string().contains("rows 2 and 3"));
/// # Ok::<(), apiece::diagnostic::Diagnostics>(())
/// ```
#[derive(Debug)]
pub struct RecipientList {
    name: Arc<str>,
    columns: Columns,
    address_column: usize,
    /// All cells of all rows, one after the other.
    cells: String,
    /// Where each cell ends, counted from the beginning of its row.
    ends: Vec<u32>,
    rows: Vec<Row>,
    /// Addresses that do not travel as they are written, by their places in `rows`.
    rewritten: BTreeMap<usize, Address>,
    /// Where several rows are one person; else each row is one.
    groups: Option<Groups>,
    index: Index,
    /// Rows of the file that count for nobody, since their address stands in an earlier one.
    left_out: usize,
    /// What was said about the list and does not stop it.
    remarks: OnceLock<Diagnostics>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    start: usize,
    number: u32,
}

/// Rows by person.
#[derive(Debug, Default)]
struct Groups {
    /// Places in `rows`, those of one person side by side.
    members: Vec<u32>,
    /// Where in `members` each person begins.
    starts: Vec<u32>,
    /// The person of each place in `rows`.
    person: Vec<u32>,
}

/// Finds the first row of an address.
#[derive(Debug, Default)]
struct Index {
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Index {
    /// Of an address in any case.
    fn hash(&self, address: &str) -> u64 {
        let mut lower = [0; 254];
        match lower.get_mut(..address.len()) {
            Some(lower) if address.is_ascii() => {
                lower.copy_from_slice(address.as_bytes());
                lower.make_ascii_lowercase();
                self.hasher.hash_one(&*lower)
            }
            _ => self.hasher.hash_one(address.to_lowercase().as_bytes()),
        }
    }
}

/// A number that is known to fit: of rows there are at most 2^30, and a row is no longer than that.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether two addresses are the same mailbox; see [`Address::key`].
fn same(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        one.eq_ignore_ascii_case(other)
    } else {
        one.to_lowercase() == other.to_lowercase()
    }
}

/// One person of a list.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'l> {
    list: &'l RecipientList,
    index: usize,
}

/// One row of a person.
#[derive(Debug, Clone, Copy)]
pub struct PersonRow<'l> {
    list: &'l RecipientList,
    place: usize,
}

impl RecipientList {
    /// One without rows yet.
    fn without_rows(name: &Arc<str>, columns: Columns, address_column: usize) -> Self {
        Self {
            name: Arc::clone(name),
            columns,
            address_column,
            cells: String::new(),
            ends: Vec::new(),
            rows: Vec::new(),
            rewritten: BTreeMap::new(),
            groups: None,
            index: Index::default(),
            left_out: 0,
            remarks: OnceLock::new(),
        }
    }

    /// Reads a file: delimited text or a workbook, with a row of headings.
    pub fn read(path: &Path, options: &ListOptions) -> Result<Self, Diagnostics> {
        Self::of(&ListFile::read(path, options)?, options)
    }

    /// The list in a file that has been read.
    pub fn of(file: &ListFile, options: &ListOptions) -> Result<Self, Diagnostics> {
        match Self::examined(file, options) {
            (Some(list), problems) if !problems.has_errors() => Ok(list.with_remarks(problems)),
            (_, problems) => Err(problems),
        }
    }

    /// The list as far as it can be understood, and all that is said about it. A list with errors is good for nothing
    /// but looking for more of them.
    pub(crate) fn examined(file: &ListFile, options: &ListOptions) -> (Option<Self>, Diagnostics) {
        let mut problems = Diagnostics::default();
        let list = file.list(options, &mut problems).unwrap_or_else(|why| {
            problems.extend(why);
            None
        });
        let list = list.map(|list| list.by_person(options, &mut problems));
        if let Some(list) = &list
            && !options.rows_are_right
        {
            moved::check(list, &mut problems);
        }
        (list, problems.sorted())
    }

    /// The same from text; `name` stands in complaints.
    pub fn parse(name: &str, text: &str, options: &ListOptions) -> Result<Self, Diagnostics> {
        let options = ListOptions { encoding: None, ..options.clone() };
        Self::of(&ListFile::from_bytes(name, text.as_bytes().to_vec()), &options)
    }

    /// What was said about the list and does not stop it.
    #[must_use]
    pub fn remarks(&self) -> &Diagnostics {
        self.remarks.get_or_init(Diagnostics::default)
    }

    /// What the list is called in complaints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its columns.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Which column holds the addresses.
    #[must_use]
    pub fn address_column(&self) -> usize {
        self.address_column
    }

    /// How many people.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.as_ref().map_or(self.rows.len(), |groups| groups.starts.len())
    }

    /// How many rows the file has for these people: as many as people, unless rows of one address count as one person's.
    #[must_use]
    pub fn rows_read(&self) -> usize {
        self.rows.len() + self.left_out
    }

    /// Never true: a list without people is an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The person at `index`, from 0, in the order of the file.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Recipient<'_>> {
        (index < self.len()).then_some(Recipient { list: self, index })
    }

    /// All of them.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Recipient<'_>> {
        (0..self.len()).map(|index| Recipient { list: self, index })
    }

    /// The index of the person in a row of the spreadsheet.
    #[must_use]
    pub fn index_of_row(&self, row: u64) -> Option<usize> {
        let row = u32::try_from(row).ok()?;
        let place = self.rows.binary_search_by_key(&row, |row| row.number).ok()?;
        Some(self.person_at(place))
    }

    /// The index of the person with an address in any case, in the form in which it travels.
    #[must_use]
    pub fn find(&self, address: &str) -> Option<usize> {
        let same = |place: &u32| same(self.written(*place as usize), address);
        let place = self.index.places.find(self.index.hash(address), same)?;
        Some(self.person_at(*place as usize))
    }

    /// A place in the list, for a complaint.
    #[must_use]
    pub fn place(&self, row: u64, column: Option<usize>) -> Place {
        let column = column.map(|nth| self.columns.shared_heading(nth));
        Place::Row { list: Arc::clone(&self.name), row, column }
    }

    /// With what was said about it.
    pub(crate) fn with_remarks(self, remarks: Diagnostics) -> Self {
        Self { remarks: remarks.into(), ..self }
    }

    fn person_at(&self, place: usize) -> usize {
        self.groups.as_ref().map_or(place, |groups| groups.person[place] as usize)
    }

    /// The address of a row as it travels.
    fn written(&self, place: usize) -> &str {
        match self.rewritten.get(&place) {
            Some(address) => address.as_str(),
            None => self.cell(place, self.address_column),
        }
    }

    fn cell(&self, place: usize, column: usize) -> &str {
        let columns = self.columns.len();
        let ends = &self.ends[place * columns..][..columns];
        let start = if column == 0 { 0 } else { ends[column - 1] };
        let row = self.rows[place].start;
        &self.cells[row + start as usize..row + ends[column] as usize]
    }

    /// Adds a complaint about a row that is on the list.
    fn complain(&self, place: usize, column: usize, problem: &ListProblem, problems: &mut Diagnostics) {
        let place = self.place(u64::from(self.rows[place].number), Some(column));
        problems.push(Diagnostic::error(place, problem));
    }

    /// The same for what is only worth a look.
    fn warn(&self, place: usize, column: usize, problem: &ListProblem, problems: &mut Diagnostics) {
        let place = self.place(u64::from(self.rows[place].number), Some(column));
        problems.push(Diagnostic::warning(place, problem));
    }
}

impl<'l> Recipient<'l> {
    /// Position in the list, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// The rows of the person: one, or, where rows are grouped, one or more.
    #[must_use]
    pub fn rows(self) -> impl ExactSizeIterator<Item = PersonRow<'l>> {
        let list = self.list;
        let range = match &list.groups {
            None => self.index..self.index + 1,
            Some(groups) => {
                let end = groups.starts.get(self.index + 1).map_or(groups.members.len(), |start| *start as usize);
                groups.starts[self.index] as usize..end
            }
        };
        range.map(move |nth| {
            let place = list.groups.as_ref().map_or(nth, |groups| groups.members[nth] as usize);
            PersonRow { list, place }
        })
    }

    fn first(self) -> PersonRow<'l> {
        let place = match &self.list.groups {
            None => self.index,
            Some(groups) => groups.members[groups.starts[self.index] as usize] as usize,
        };
        PersonRow { list: self.list, place }
    }

    /// The first row as the spreadsheet numbers it; the headings are row 1.
    #[must_use]
    pub fn row(self) -> u64 {
        self.first().number()
    }

    /// The one address.
    #[must_use]
    pub fn address(self) -> Address {
        let place = self.first().place;
        match self.list.rewritten.get(&place) {
            Some(address) => address.clone(),
            None => Address::as_written(self.list.cell(place, self.list.address_column)),
        }
    }

    /// The cell in a column of the first row.
    #[must_use]
    pub fn field(self, column: usize) -> &'l str {
        self.first().field(column)
    }

    /// Where the person stands, for a complaint.
    #[must_use]
    pub fn place(self) -> Place {
        self.list.place(self.row(), None)
    }

    /// The columns of the list.
    #[must_use]
    pub fn columns(self) -> &'l Columns {
        &self.list.columns
    }
}

impl<'l> PersonRow<'l> {
    /// As the spreadsheet numbers it.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.list.rows[self.place].number)
    }

    /// The cell in a column, without white space around it.
    #[must_use]
    pub fn field(self, column: usize) -> &'l str {
        self.list.cell(self.place, column)
    }

    /// All cells.
    pub fn fields(self) -> impl Iterator<Item = &'l str> {
        (0..self.list.columns.len()).map(move |column| self.field(column))
    }

    /// Where it stands, for a complaint.
    #[must_use]
    pub fn place_in(self, column: usize) -> Place {
        self.list.place(self.number(), Some(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, String)>, String> {
        let list =
            RecipientList::parse("p.csv", text, &ListOptions::default()).map_err(|problems| problems.to_string())?;
        Ok(list
            .iter()
            .map(|r| {
                let columns = (0..list.columns().len()).map(|n| format!("{}={}", list.columns().name(n), r.field(n)));
                (r.row(), columns.collect::<Vec<_>>().join("|"))
            })
            .collect())
    }

    #[test]
    fn rows_are_numbered_as_the_spreadsheet_does_with_every_kind_of_line_end() {
        for end in ["\n", "\r\n", "\r"] {
            let text =
                ["name,email", "\"A\nb\",a@one.example", "", "", "B,b@one.example", ",", "C,c@one.example", "", ""]
                    .join(end);
            let rows: Vec<u64> = read(&text).unwrap().iter().map(|(row, _)| *row).collect();
            assert_eq!(rows, [2, 5, 7], "{end:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_heading() {
        assert_eq!(read("\u{feff}email\na@one.example\n").unwrap(), [(2, "email=a@one.example".into())]);
    }

    #[test]
    fn all_mistakes_are_shown_at_once() {
        let text = "Name,E-Mail\nA,a@one.example\nB,\nC,c@one.example;d@one.example\nD\nE,e@one\nF,A@one.example\nG,g@one.example,x\n";
        assert_eq!(
            read(text).unwrap_err(),
            "error: p.csv: 7 mistakes in 7 rows\n  \
               row  column  what is wrong\n    \
                 2  E-Mail  \"a@one.example\" stands in rows 2 and 7\n    \
                 3  E-Mail  there is no address\n    \
                 4  E-Mail  \"c@one.example;d@one.example\" holds more than one address\n    \
                 5          the row has 1 cell, and there are 2 headings\n    \
                 6  E-Mail  \"e@one\" has no dot in its domain\n    \
                 7  E-Mail  \"A@one.example\" stands in rows 2 and 7\n    \
                 8          the row has 3 cells, and there are 2 headings\n  \
               help: rows 2, 7: each person gets one message: take the other rows out; or say --duplicates first to take the first row, or --group-by for one message about all of them\n  \
               help: row 3: fill in the address, or take the row out of the list\n  \
               help: row 4: one cell, one address: give each person a row of their own\n  \
               help: row 5: leave a cell empty rather than out\n  \
               help: row 6: it needs something like .org behind it\n  \
               help: row 8: a cell with a comma in it must stand in quotation marks; or a heading is missing\n"
        );
    }

    #[test]
    fn headings_must_be_clear() {
        assert!(read("").unwrap_err().contains("the list is empty"));
        assert!(read("email\n").unwrap_err().contains("nobody under them"));
        assert!(
            read("First Name,first_name,email\nA,B,a@one.example\n")
                .unwrap_err()
                .contains("are the same for a template")
        );
        assert!(read("name,,email\nA,b,a@one.example\n").unwrap_err().contains("column 2 has no heading"));
        assert_eq!(read("name;email\nA, B;a@one.example\n").unwrap(), [(2, "name=A, B|email=a@one.example".into())]);
        assert_eq!(
            read("sep=|\r\nname|email\r\nA, B|a@one.example\r\n").unwrap(),
            [(2, "name=A, B|email=a@one.example".into())]
        );
        assert!(
            read("email,E-Mail-Adresse\na@one.example,b@one.example\n").unwrap_err().contains("more than one column")
        );
        assert!(read("name,mobile\nA,1\n").unwrap_err().contains("no column looks like"));
    }

    #[test]
    fn a_named_address_column_is_used_and_a_wrong_name_said() {
        let named = |name: &str| {
            let options = ListOptions { address: Some(name.into()), ..ListOptions::default() };
            RecipientList::parse("p.csv", "contact,email\na@one.example,x\n", &options)
                .map_err(|problems| problems.to_string())
        };
        assert_eq!(named("Contact").unwrap().get(0).unwrap().address().as_str(), "a@one.example");
        assert!(named("contacts").unwrap_err().contains("did you mean \"contact\"?"));
    }

    #[test]
    fn what_a_cell_may_not_hold() {
        assert!(
            read("n,email\na\0b,a@one.example\n")
                .unwrap_err()
                .contains("row 2, column \"n\": the cell holds the control character U+0000")
        );
        assert!(read("n,email\na\x1bb,a@one.example\n").unwrap_err().contains("U+001B"));
        assert!(read("n,email\n\"open,a@one.example\nb,b@one.example\n").unwrap_err().contains("never closed"));
        assert_eq!(read("n,email\n\"x\ty\nz\",a@one.example\n").unwrap().len(), 1);
    }
}
