//! What can be wrong with a list, and what is said about it.

use std::fmt;

use crate::{
    address::AddressError,
    diagnostic::{Bare, Complaint, counted, quoted},
};

/// What can be wrong with a list, or worth a word.
#[derive(Debug)]
pub(crate) enum ListProblem {
    StandardInput(String),
    TooLarge(u64),
    NoSheets,
    Foreign(&'static str),
    Titles { headings: u64 },
    Empty,
    NoRows,
    NotUtf8 { sample: String, likely: &'static str },
    IsUtf8 { named: &'static str, sample: String, misread: String },
    NotEncoded { sample: String, encoding: &'static str, sure: bool },
    PersonInHeadings,
    NoHeading { nth: usize, sample: String, row: u64 },
    SameHeading { first: String, second: String },
    NoAddressColumn { headings: String, unsplit: Option<u8> },
    NoSuchColumn { wanted: String, role: &'static str, nearest: Option<String>, headings: String },
    SeveralAddressColumns(String),
    GroupByOther { wanted: String, address: String },
    RowsIsTaken,
    TwoTypes,
    TooManyColumns { found: usize, most: usize },
    TooManyRows(usize),
    Cells { wanted: usize, found: usize, delimiter: Option<u8> },
    Control { character: char },
    CellTooLong(usize),
    Quote,
    BehindQuote,
    SpaceBeforeQuote,
    Swallowed,
    Damaged(String),
    Address(AddressError),
    Twice { address: String, rows: String },
    LeftOut { address: String, first: u64 },
    NotYesNo(String),
    NeitherYesNorNo,
    NotNumber(String),
    NotDate { cell: String, format: Option<String> },
    HiddenRow,
    HiddenRowsUsed(String),
    HiddenRowsSkipped(String),
    HiddenColumns(String),
    HiddenSheet(String),
    OtherSheets { sheet: String, others: usize },
    ByteOrderMark,
    Trimmed { cells: usize, rows: String },
    SmtpUtf8(String),
    Slip { address: String, meant: String },
    Moved { direction: String, evidence: String },
    OtherPerson { address: String, name: String, row: u64 },
}

impl fmt::Display for ListProblem {
    #[allow(clippy::too_many_lines, reason = "a sentence for each")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandardInput(why) => write!(f, "it cannot be read: {why}"),
            Self::TooLarge(most) => write!(f, "this is larger than {most} MiB"),
            Self::NoSheets => f.write_str("this is no workbook, and has no sheets"),
            Self::Foreign(what) => write!(f, "this is {what}, and no list"),
            Self::Titles { headings } => {
                write!(f, "the headings must stand in the first row, and seem to stand in row {headings}")
            }
            Self::Empty => f.write_str("the list is empty"),
            Self::NoRows => f.write_str("the list has headings and nobody under them"),
            Self::NotUtf8 { sample, likely } => {
                write!(f, "this is not UTF-8 text; as {likely} it would be {sample}")
            }
            Self::IsUtf8 { named, sample, misread } => {
                write!(f, "this is UTF-8 text with {sample}, which as {named} would be {misread}")
            }
            Self::NotEncoded { sample, encoding, .. } => write!(f, "this is not {encoding} text: {sample}"),
            Self::PersonInHeadings => f.write_str("the first row holds a person, and must hold the headings"),
            Self::NoHeading { nth, sample, row } => {
                write!(f, "column {nth} has no heading, and row {row} has {sample} in it")
            }
            Self::SameHeading { first, second } => {
                write!(f, "the headings {} and {} are the same for a template", quoted(first), quoted(second))
            }
            Self::NoAddressColumn { headings, .. } => {
                write!(f, "no column looks like the one with the addresses; the headings are {headings}")
            }
            Self::NoSuchColumn { wanted, role, headings, .. } => {
                write!(f, "there is no column {}, {role}; the headings are {headings}", quoted(wanted))
            }
            Self::SeveralAddressColumns(headings) => {
                write!(f, "more than one column could hold the addresses: {headings}")
            }
            Self::GroupByOther { wanted, address } => write!(
                f,
                "rows are grouped by the address, {}, and not by {}: a message has one recipient",
                quoted(address),
                quoted(wanted)
            ),
            Self::RowsIsTaken => f.write_str("a column is called \"rows\", and so are all rows of a person"),
            Self::TwoTypes => f.write_str("the column is given two types"),
            Self::TooManyColumns { found, most } => {
                write!(f, "the list has {found} columns, and the most is {most}")
            }
            Self::TooManyRows(most) => write!(f, "the list has more than {}", counted(*most, "row")),
            Self::Cells { wanted, found, .. } => {
                let are = if *wanted == 1 { "is" } else { "are" };
                write!(f, "the row has {}, and there {are} {}", counted(*found, "cell"), counted(*wanted, "heading"))
            }
            Self::Control { character } => {
                write!(f, "the cell holds the control character U+{:04X}", u32::from(*character))
            }
            Self::CellTooLong(most) => write!(f, "the cell is longer than {most} bytes"),
            Self::Quote => {
                f.write_str("a quotation mark is opened and never closed, so that the rest of the file is one cell")
            }
            Self::BehindQuote => f.write_str("there is text behind the quotation mark that closes a cell"),
            Self::SpaceBeforeQuote => {
                f.write_str("a space stands before a quotation mark, which then is one of the cell's own letters")
            }
            Self::Swallowed => f.write_str("the cell has several lines, and in one of them a cell with an address"),
            Self::Damaged(cell) => write!(f, "the cell says {}", quoted(cell)),
            Self::Address(error) => error.fmt(f),
            Self::Twice { address, rows } => write!(f, "{} stands in rows {rows}", quoted(address)),
            Self::LeftOut { address, first } => {
                write!(f, "{} stands in row {first} already, and this row is left out", quoted(address))
            }
            Self::NotYesNo(cell) => write!(f, "{} is neither yes nor no", quoted(cell)),
            Self::NeitherYesNorNo => f.write_str("the cell is empty, and must say yes or no"),
            Self::NotNumber(cell) => write!(f, "{} is not a number", quoted(cell)),
            Self::NotDate { cell, format: None } => {
                write!(f, "{} is not a date like 2026-11-24", quoted(cell))
            }
            Self::NotDate { cell, format: Some(format) } => {
                write!(f, "{} is not a date of the format {format}, nor one like 2026-11-24", quoted(cell))
            }
            Self::HiddenRow => {
                f.write_str("the sheet hides this row, by hand or by a filter: is the person meant or not?")
            }
            Self::HiddenRowsUsed(rows) => write!(f, "{rows}, which the sheet hides, {} on the list", is_or_are(rows)),
            Self::HiddenRowsSkipped(rows) => write!(f, "{rows}, which the sheet hides, {} left out", is_or_are(rows)),
            Self::HiddenColumns(columns) => write!(f, "the sheet hides {columns}, which a template can show"),
            Self::HiddenSheet(sheet) => write!(f, "the sheet {} is hidden in the workbook", quoted(sheet)),
            Self::OtherSheets { sheet, others } => {
                write!(f, "the list is read from the sheet {}; the workbook has {others} more", quoted(sheet))
            }
            Self::ByteOrderMark => {
                f.write_str("the file begins with a byte order mark, which is no part of the first heading")
            }
            Self::Trimmed { cells, rows } => {
                let cells = counted(*cells, "cell");
                write!(f, "white space or invisible characters around {cells} were taken off ({rows})")
            }
            Self::SmtpUtf8(address) => write!(
                f,
                "{} has letters before the @ that only servers with the extension SMTPUTF8 take",
                quoted(address)
            ),
            Self::Slip { address, .. } => write!(f, "{} looks like a slip of the keyboard", quoted(address)),
            Self::Moved { direction, evidence } => {
                write!(f, "from this row on the addresses look like those of the people {direction}:\n{evidence}")
            }
            Self::OtherPerson { address, name, row } => {
                write!(f, "{} looks like the address of {} in row {row}", quoted(address), quoted(name))
            }
        }
    }
}

/// A delimiter in words.
fn named(delimiter: u8) -> &'static str {
    match delimiter {
        b',' => "comma",
        b';' => "semicolon",
        b'\t' => "tab",
        _ => "vertical bar",
    }
}

/// The verb for `row 3` or `rows 3, 4`.
fn is_or_are(rows: &str) -> &'static str {
    if rows.starts_with("rows") { "are" } else { "is" }
}

impl Complaint for ListProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::StandardInput(_) => "file.unreadable",
            Self::TooLarge(_) => "list.too-large",
            Self::NoSheets => "list.no-such-sheet",
            Self::Foreign(_) => "list.foreign",
            Self::Titles { .. } => "list.titles",
            Self::Empty | Self::NoRows => "list.empty",
            Self::NotUtf8 { .. } | Self::NotEncoded { .. } | Self::IsUtf8 { .. } => "list.encoding",
            Self::NoHeading { .. } | Self::PersonInHeadings => "list.no-heading",
            Self::SameHeading { .. } => "list.same-heading",
            Self::NoAddressColumn { .. } => "list.no-address-column",
            Self::NoSuchColumn { .. } => "list.no-such-column",
            Self::SeveralAddressColumns(_) => "list.several-address-columns",
            Self::GroupByOther { .. } | Self::RowsIsTaken => "list.group-by",
            Self::TwoTypes => "list.two-types",
            Self::TooManyColumns { .. } => "list.too-many-columns",
            Self::TooManyRows(_) => "list.too-many-rows",
            Self::Cells { .. } => "list.cells",
            Self::Control { .. } => "list.control-character",
            Self::CellTooLong(_) => "list.cell-too-long",
            Self::Quote | Self::BehindQuote | Self::SpaceBeforeQuote => "list.quote",
            Self::Swallowed => "list.swallowed-row",
            Self::Damaged(_) => "list.damaged-cell",
            Self::Address(error) => error.code(),
            Self::Twice { .. } | Self::LeftOut { .. } => "list.twice",
            Self::NotYesNo(_) | Self::NeitherYesNorNo => "list.not-yes-or-no",
            Self::NotNumber(_) => "list.not-a-number",
            Self::NotDate { .. } => "list.not-a-date",
            Self::HiddenRow | Self::HiddenRowsUsed(_) | Self::HiddenRowsSkipped(_) => "list.hidden-rows",
            Self::HiddenColumns(_) => "list.hidden-columns",
            Self::HiddenSheet(_) => "list.hidden-sheet",
            Self::OtherSheets { .. } => "list.other-sheets",
            Self::ByteOrderMark => "list.byte-order-mark",
            Self::Trimmed { .. } => "list.trimmed",
            Self::SmtpUtf8(_) => "address.smtputf8",
            Self::Slip { .. } => "address.slip",
            Self::Moved { .. } => "list.moved",
            Self::OtherPerson { .. } => "list.other-person",
        }
    }

    /// Where nobody looks, the row tells whose it is.
    fn brief(&self) -> Option<String> {
        Some(match self {
            Self::SmtpUtf8(_) => {
                "the address has letters before the @ that only servers with the extension SMTPUTF8 take".into()
            }
            Self::LeftOut { first, .. } => {
                format!("the address stands in row {first} already, and this row is left out")
            }
            Self::Slip { .. } => "the address looks like a slip of the keyboard".into(),
            Self::OtherPerson { row, .. } => format!("the address looks like that of the person in row {row}"),
            _ => return None,
        })
    }

    fn bare(&self) -> Bare {
        let message = match self {
            Self::StandardInput(_)
            | Self::TooLarge(_)
            | Self::NoSheets
            | Self::Foreign(_)
            | Self::Titles { .. }
            | Self::Empty
            | Self::NoRows
            | Self::PersonInHeadings
            | Self::GroupByOther { .. }
            | Self::RowsIsTaken
            | Self::TwoTypes
            | Self::TooManyColumns { .. }
            | Self::TooManyRows(_)
            | Self::Cells { .. }
            | Self::Control { .. }
            | Self::CellTooLong(_)
            | Self::Quote
            | Self::BehindQuote
            | Self::SpaceBeforeQuote
            | Self::Swallowed
            | Self::NeitherYesNorNo
            | Self::HiddenRow
            | Self::HiddenRowsUsed(_)
            | Self::HiddenRowsSkipped(_)
            | Self::HiddenSheet(_)
            | Self::OtherSheets { .. }
            | Self::ByteOrderMark
            | Self::Trimmed { .. } => return Bare::Whole,
            Self::Address(error) => return error.bare(),
            Self::Slip { .. } => {
                let message = "the address looks like a slip of the keyboard";
                return Bare::said(message, Some("look at it, or ask the person".into()));
            }
            Self::NotUtf8 { likely, .. } => format!("this is not UTF-8 text; it seems to be {likely}"),
            Self::IsUtf8 { named, .. } => format!("this is UTF-8 text, and not {named}"),
            Self::NotEncoded { encoding, .. } => format!("this is not {encoding} text"),
            Self::NoHeading { nth, row, .. } => {
                format!("column {nth} has no heading, and row {row} has something in it")
            }
            // Where headings are missing, a person is in their place.
            Self::SameHeading { .. } => "two headings are the same for a template".into(),
            Self::NoAddressColumn { .. } => "no column looks like the one with the addresses".into(),
            Self::NoSuchColumn { wanted, role, .. } => format!("there is no column {}, {role}", quoted(wanted)),
            Self::SeveralAddressColumns(_) => "more than one column could hold the addresses".into(),
            Self::HiddenColumns(_) => "the sheet hides columns, which a template can show".into(),
            Self::Damaged(_) => "the cell holds an error of the spreadsheet's, or a letter was lost in it".into(),
            Self::Twice { rows, .. } => format!("the address stands in rows {rows}"),
            Self::NotYesNo(_) => "the cell says neither yes nor no".into(),
            Self::NotNumber(_) => "the cell holds no number".into(),
            Self::NotDate { format: None, .. } => "the cell holds no date like 2026-11-24".into(),
            Self::NotDate { format: Some(format), .. } => {
                format!("the cell holds no date of the format {format}, nor one like 2026-11-24")
            }
            Self::Moved { direction, .. } => {
                format!("from this row on the addresses look like those of the people {direction}")
            }
            Self::LeftOut { .. } | Self::SmtpUtf8(_) | Self::OtherPerson { .. } => self.brief().unwrap_or_default(),
        };
        Bare::said(message, self.help())
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotUtf8 { likely, .. } => format!(
                "if that reads right, say --encoding {likely} (or encoding = \"{likely}\" under [recipients_options] in \
                 campaign.toml); or save the list as \"CSV UTF-8\" in the spreadsheet program"
            ),
            Self::IsUtf8 { .. } => "leave --encoding (or encoding = …) out".into(),
            Self::NotNumber(_) => "write it in digits, with a decimal point or comma".into(),
            Self::Control { character } if u32::from(*character) < 0x80 => "take it out of the cell".into(),
            Self::Control { .. } => "is the encoding right? Such characters are none in text".into(),
            Self::NotEncoded { sure: false, .. } => "try another --encoding, or save the list as \"CSV UTF-8\"".into(),
            Self::NotEncoded { .. } => "save the list as \"CSV UTF-8\" in the spreadsheet program".into(),
            Self::TooLarge(_) => "send in several parts, or raise the limit with --max-file-mib".into(),
            Self::Foreign(_) => {
                "open it in the program that made it, and save the list as .xlsx or as \"CSV UTF-8\"".into()
            }
            Self::Titles { .. } => "delete the rows above them".into(),
            Self::NoSheets => "leave --sheet (or sheet = …) out".into(),
            Self::PersonInHeadings => {
                "put a row with a heading for each column above it, for example name,email".into()
            }
            Self::NoHeading { .. } => "give the column a heading, or empty it".into(),
            Self::SameHeading { .. } => {
                "rename one of them: upper case, spaces and punctuation make no difference".into()
            }
            Self::NoAddressColumn { unsplit: Some(delimiter), .. } => format!(
                "all of it stands in one cell: is the delimiter {}? Then say so with --delimiter",
                named(*delimiter)
            ),
            Self::NoAddressColumn { .. } | Self::SeveralAddressColumns(_) => {
                "name it with --address HEADING, or address = \"HEADING\" under [recipients_options] in campaign.toml"
                    .into()
            }
            Self::NoSuchColumn { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::GroupByOther { address, .. } => format!("group by {}", quoted(address)),
            Self::RowsIsTaken => "give the column another heading".into(),
            Self::TooManyColumns { .. } => {
                "delete columns that are not needed, or raise the limit with --max-columns".into()
            }
            Self::TooManyRows(_) => "send in several parts, or raise the limit with --max-rows".into(),
            Self::CellTooLong(_) => "is a quotation mark missing? Else raise the limit with --max-cell-bytes".into(),
            Self::Cells { wanted, found, delimiter } if found > wanted => match delimiter {
                Some(delimiter) => format!(
                    "a cell with a {} in it must stand in quotation marks; or a heading is missing",
                    named(*delimiter)
                ),
                None => "give every column that holds something a heading".into(),
            },
            Self::Cells { .. } => "leave a cell empty rather than out".into(),
            Self::BehindQuote => {
                "a quotation mark that belongs to the text is written twice, with one more around the \
                                  cell; if one is missing in another row, put it there"
                    .into()
            }
            Self::SpaceBeforeQuote => "take the space out".into(),
            Self::Swallowed => "is a quotation mark missing, so that a person is in the cell of another?".into(),
            Self::Damaged(cell) if cell.contains('\u{fffd}') => {
                "a letter was lost when the list was saved: write it again".into()
            }
            Self::Damaged(_) => "this is an error of the spreadsheet's: is it meant to be shown?".into(),
            Self::Quote => "close it, or write it twice where it belongs to the text".into(),
            Self::Twice { .. } => {
                "each person gets one message: take the other rows out; or say --duplicates first to \
                                   take the first row, or --group-by for one message about all of them"
                    .into()
            }
            Self::Address(error) => return error.help(),
            Self::NotYesNo(_) => "write yes or no (ja, oui, sí, y, true, 1 … will do, too)".into(),
            Self::NeitherYesNorNo => "fill it in; or name the column with --optional, and empty is no".into(),
            Self::NotDate { .. } => "write it like that; or say how dates are written there, for example \
                                     --column \"Visit=date %d.%m.%Y\", or visit = \"date %d.%m.%Y\" under [columns] in \
                                     campaign.toml"
                .into(),
            Self::HiddenRow => "show or delete such rows; or say --hidden use to write to them, or --hidden skip to \
                                    leave them out"
                .into(),
            Self::OtherSheets { .. } => "another one is chosen with --sheet NAME".into(),
            Self::SmtpUtf8(_) => "if the server does not offer it, the message fails; ask the person for another \
                                  address"
                .into(),
            Self::Slip { meant, .. } => format!("did you mean {}?", quoted(meant)),
            Self::Moved { .. } => "a cell seems to have been deleted or added, and those below it to have moved: put \
                                   the columns right in the spreadsheet; if they are right, say --rows-are-right"
                .into(),
            Self::OtherPerson { .. } => "look at both rows".into(),
            _ => return None,
        })
    }
}
