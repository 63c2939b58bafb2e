//! A file becomes a [`RecipientList`]: one address and some fields for each person.
//!
//! Everything that is wrong with a list is said at once, by the row numbers that the spreadsheet shows (the
//! headings are row 1), and a list with anything wrong is no list.

mod columns;
mod delimited;
mod text;

use std::{collections::HashMap, fmt, path::Path};

pub use columns::Columns;

use crate::{
    address::{Address, AddressError},
    campaign::{Duplicates, ListOptions, read_bytes},
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, quoted},
};

/// A list larger than this is refused before it is read.
pub const MOST_BYTES: u64 = 1 << 30;

/// More columns than this are not a recipient list.
pub const MOST_COLUMNS: usize = 1000;

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
/// assert!(wrong.unwrap_err().to_string().contains("row 3"));
/// # Ok::<(), apiece::diagnostic::Diagnostics>(())
/// ```
#[derive(Debug)]
pub struct RecipientList {
    name: String,
    columns: Columns,
    address_column: usize,
    /// All cells of all rows, one after the other.
    cells: String,
    /// Where each cell ends, counted from the beginning of its row.
    ends: Vec<u32>,
    rows: Vec<Row>,
    warnings: Diagnostics,
}

#[derive(Debug)]
struct Row {
    number: u64,
    start: usize,
    address: Address,
}

/// One person of a list.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'l> {
    list: &'l RecipientList,
    index: usize,
}

/// What can be wrong with a list.
#[derive(Debug)]
pub(crate) enum ListProblem {
    Empty,
    NoRows,
    NotUtf8 { sample: String, likely: &'static str },
    NotEncoded { sample: String, encoding: &'static str, sure: bool },
    Workbook(&'static str),
    PersonInHeadings,
    NoHeading { nth: usize },
    TooManyColumns(usize),
    SameHeading { first: String, second: String },
    NoAddressColumn { headings: String },
    OptionalUnknown { wanted: String, nearest: Option<String> },
    AddressColumnUnknown { wanted: String, nearest: Option<String>, headings: String },
    SeveralAddressColumns(String),
    Cells { wanted: usize, found: usize },
    Control { character: char },
    CellTooLong,
    Quote,
    Address(AddressError),
    Twice { address: String, first: u64 },
}

impl fmt::Display for ListProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the list is empty"),
            Self::NoRows => f.write_str("the list has headings and nobody under them"),
            Self::NotUtf8 { sample, likely } => {
                write!(f, "this is not UTF-8 text; as {likely} it would be {sample}")
            }
            Self::NotEncoded { sample, encoding, .. } => write!(f, "this is not {encoding} text: {sample}"),
            Self::Workbook(kind) => write!(f, "this is {kind}, whatever its name says"),
            Self::PersonInHeadings => f.write_str("the first row holds a person, and must hold the headings"),
            Self::NoHeading { nth } => write!(f, "column {nth} has no heading"),
            Self::TooManyColumns(found) => write!(f, "the list has {found} columns, and the most is {MOST_COLUMNS}"),
            Self::SameHeading { first, second } => {
                write!(f, "the headings {} and {} are the same for a template", quoted(first), quoted(second))
            }
            Self::NoAddressColumn { headings } => {
                write!(f, "no column looks like the one with the addresses; the headings are {headings}")
            }
            Self::AddressColumnUnknown { wanted, headings, .. } => {
                write!(f, "there is no column {}; the headings are {headings}", quoted(wanted))
            }
            Self::OptionalUnknown { wanted, .. } => {
                write!(f, "there is no column {}, which is to be optional", quoted(wanted))
            }
            Self::SeveralAddressColumns(headings) => {
                write!(f, "more than one column could hold the addresses: {headings}")
            }
            Self::Cells { wanted, found } => write!(f, "the row has {found} cells, and there are {wanted} headings"),
            Self::Control { character } => {
                write!(f, "the cell holds the control character U+{:04X}", u32::from(*character))
            }
            Self::CellTooLong => f.write_str("the cell is longer than a megabyte"),
            Self::Quote => {
                f.write_str("a quotation mark is opened and never closed, so that the rest of the file is one cell")
            }
            Self::Address(error) => error.fmt(f),
            Self::Twice { address, first } => write!(f, "{} stands in row {first} already", quoted(address)),
        }
    }
}

impl Complaint for ListProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::NoRows => "list.empty",
            Self::NotUtf8 { .. } | Self::NotEncoded { .. } => "list.encoding",
            Self::Workbook(_) => "list.workbook",
            Self::NoHeading { .. } | Self::PersonInHeadings => "list.no-heading",
            Self::TooManyColumns(_) => "list.too-many-columns",
            Self::SameHeading { .. } => "list.same-heading",
            Self::NoAddressColumn { .. } | Self::AddressColumnUnknown { .. } => "list.no-address-column",
            Self::OptionalUnknown { .. } => "list.no-such-column",
            Self::SeveralAddressColumns(_) => "list.several-address-columns",
            Self::Cells { .. } => "list.cells",
            Self::Control { .. } => "list.control-character",
            Self::CellTooLong => "list.cell-too-long",
            Self::Quote => "list.quote",
            Self::Address(error) => error.code(),
            Self::Twice { .. } => "list.twice",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotUtf8 { likely, .. } => format!(
                "if that reads right, say --encoding {likely} (or encoding = \"{likely}\" under [recipients_options] in \
                 campaign.toml); or save the list as \"CSV UTF-8\" in the spreadsheet program"
            ),
            Self::NotEncoded { sure: false, .. } => "try another --encoding, or save the list as \"CSV UTF-8\"".into(),
            Self::Workbook(_) => "save it as \"CSV UTF-8\" in the spreadsheet program".into(),
            Self::PersonInHeadings => {
                "put a row with a heading for each column above it, for example name,email".into()
            }
            Self::NoHeading { .. } => "give the column a heading in row 1, or delete it".into(),
            Self::SameHeading { .. } => {
                "rename one of them: upper case, spaces and punctuation make no difference".into()
            }
            Self::NoAddressColumn { .. } | Self::SeveralAddressColumns(_) => {
                "name it with --address HEADING, or address = \"HEADING\" under [recipients_options] in campaign.toml"
                    .into()
            }
            Self::AddressColumnUnknown { nearest: Some(nearest), .. }
            | Self::OptionalUnknown { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::Cells { wanted, found } if found > wanted => {
                "a cell with a comma in it must stand in quotation marks; or a heading is missing".into()
            }
            Self::Cells { .. } => "leave a cell empty rather than out".into(),
            Self::Quote => "close it, or write it twice where it belongs to the text".into(),
            Self::Twice { .. } => {
                "each person gets one message: take one of the rows out of the list, or say --duplicates first".into()
            }
            Self::Address(error) => return error.help(),
            _ => return None,
        })
    }
}

impl RecipientList {
    /// Reads a file of delimited text with a row of headings.
    pub fn read(path: &Path, options: &ListOptions) -> Result<Self, Diagnostics> {
        let bytes = read_bytes(path, MOST_BYTES)?;
        let name = path.display().to_string();
        Self::parse(&name, &text::decode(&name, bytes, options)?, options)
    }

    /// The columns of a file, if they can be told, whatever else is wrong with it.
    #[must_use]
    pub fn headings(path: &Path, options: &ListOptions) -> Option<Columns> {
        let text = text::decode("", read_bytes(path, MOST_BYTES).ok()?, options).ok()?;
        let columns = delimited::headings(text.strip_prefix('\u{feff}').unwrap_or(&text), options)?;
        // Without a column for the addresses the first row may be anything.
        (!columns.usual_for_addresses().is_empty()).then_some(columns)
    }

    /// The same from text; `name` stands in complaints.
    pub fn parse(name: &str, text: &str, options: &ListOptions) -> Result<Self, Diagnostics> {
        let mut problems = Diagnostics::default();
        let list = delimited::read(name, text.strip_prefix('\u{feff}').unwrap_or(text), options, &mut problems);
        let list = list.map(|list| list.without_twice(options.duplicates.unwrap_or(Duplicates::Refuse), &mut problems));
        problems.sorted().checked(list)
    }

    /// Complains about every address that stands there already, or leaves the row out with a warning.
    fn without_twice(mut self, duplicates: Duplicates, problems: &mut Diagnostics) -> Self {
        let mut seen: HashMap<String, u64> = HashMap::with_capacity(self.rows.len());
        let mut kept = vec![true; self.rows.len()];
        let mut warnings = Diagnostics::default();
        for recipient in self.iter() {
            let (address, row) = (recipient.address(), recipient.row());
            let first = *seen.entry(address.key()).or_insert(row);
            if first == row {
                continue;
            }
            let place = recipient.place_in(self.address_column);
            let problem = ListProblem::Twice { address: address.to_string(), first };
            match duplicates {
                Duplicates::Refuse => problems.push(Diagnostic::error(place, &problem)),
                Duplicates::First => {
                    kept[recipient.index()] = false;
                    warnings.push(Diagnostic::warning(place, &problem));
                }
            }
        }
        if !warnings.is_empty() {
            let rows = self.ends.chunks(self.columns.len()).zip(&kept);
            self.ends = rows.filter(|(_, kept)| **kept).flat_map(|(ends, _)| ends.to_vec()).collect();
            let mut kept = kept.into_iter();
            self.rows.retain(|_| kept.next().unwrap_or(true));
            self.warnings = warnings;
        }
        self
    }

    /// What was said about the list and does not stop it.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
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
        self.rows.len()
    }

    /// Never true: a list without people is an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The person at `index`, from 0, in the order of the file.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Recipient<'_>> {
        (index < self.rows.len()).then_some(Recipient { list: self, index })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Recipient<'_>> {
        (0..self.rows.len()).map(|index| Recipient { list: self, index })
    }

    /// The index of the person in a row of the spreadsheet.
    #[must_use]
    pub fn index_of_row(&self, row: u64) -> Option<usize> {
        self.rows.binary_search_by_key(&row, |row| row.number).ok()
    }

    /// A place in the list, for a complaint.
    #[must_use]
    pub fn place(&self, row: u64, column: Option<usize>) -> Place {
        Place::Row { list: self.name.clone(), row, column: column.map(|nth| self.columns.heading(nth).to_owned()) }
    }
}

impl<'l> Recipient<'l> {
    /// Position in the list, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// The row as the spreadsheet numbers it; the headings are row 1.
    #[must_use]
    pub fn row(self) -> u64 {
        self.list.rows[self.index].number
    }

    /// The one address.
    #[must_use]
    pub fn address(self) -> &'l Address {
        &self.list.rows[self.index].address
    }

    /// The cell in a column, as it stands in the list.
    #[must_use]
    pub fn field(self, column: usize) -> &'l str {
        let columns = self.list.columns.len();
        let ends = &self.list.ends[self.index * columns..][..columns];
        let start = if column == 0 { 0 } else { ends[column - 1] };
        let row = self.list.rows[self.index].start;
        &self.list.cells[row + start as usize..row + ends[column] as usize]
    }

    /// Where the person stands, for a complaint.
    #[must_use]
    pub fn place(self) -> Place {
        self.list.place(self.row(), None)
    }

    /// The same, in a column.
    #[must_use]
    pub fn place_in(self, column: usize) -> Place {
        self.list.place(self.row(), Some(column))
    }

    /// The name of a column in templates.
    #[must_use]
    pub fn column_name(self, column: usize) -> &'l str {
        self.list.columns.name(column)
    }

    /// All cells, with the names that templates use.
    pub fn fields(self) -> impl Iterator<Item = (&'l str, &'l str)> {
        (0..self.list.columns.len()).map(move |column| (self.list.columns.name(column), self.field(column)))
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
            .map(|r| (r.row(), r.fields().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("|")))
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
            "error: p.csv, row 3, column \"E-Mail\": there is no address\n  help: fill in the address, or take the row out of the list\n\
             error: p.csv, row 4, column \"E-Mail\": \"c@one.example;d@one.example\" holds more than one address\n  help: one cell, one address: give each person a row of their own\n\
             error: p.csv, row 5: the row has 1 cells, and there are 2 headings\n  help: leave a cell empty rather than out\n\
             error: p.csv, row 6, column \"E-Mail\": \"e@one\" has no dot in its domain\n\
             error: p.csv, row 7, column \"E-Mail\": \"A@one.example\" stands in row 2 already\n  help: each person gets one message: take one of the rows out of the list, or say --duplicates first\n\
             error: p.csv, row 8: the row has 3 cells, and there are 2 headings\n"
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
