//! What can be wrong with a workbook as a whole.

use std::fmt;

use crate::diagnostic::{Bare, Complaint, nearest, quoted};

/// So many sheets are named in a complaint.
const LISTED: usize = 20;

/// Why a workbook gives no list.
#[derive(Debug)]
pub(crate) enum WorkbookProblem {
    /// Bytes that do not hang together; what of them, for a bug report.
    Damaged(String),
    /// Encrypted.
    Protected,
    /// Something else, in words: "a Word document".
    Foreign(&'static str),
    /// All sheets are hidden, or none is a sheet of cells.
    NoSheet,
    /// No sheet of that name.
    NoSuchSheet {
        /// As it was asked for.
        wanted: String,
        /// The one that was probably meant.
        nearest: Option<String>,
        /// All there are, in quotation marks.
        sheets: String,
    },
    /// More to unpack than is allowed.
    TooLarge {
        /// In bytes.
        most: u64,
    },
    /// More rows than are allowed.
    TooManyRows {
        /// How many are.
        most: u64,
    },
    /// Cells too far to the right.
    TooManyColumns {
        /// How many columns are allowed.
        most: usize,
        /// The row, from 1.
        row: u64,
    },
}

impl WorkbookProblem {
    pub(super) fn damaged(why: impl fmt::Display) -> Self {
        Self::Damaged(why.to_string())
    }

    pub(super) fn no_such_sheet<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.collect();
        // Comparing costs the product of both lengths, and a made-up file could hold a million long names.
        let near = names.iter().copied().take(1000).filter(|name| name.len() <= 200);
        let nearest = nearest(wanted, near).map(str::to_owned);
        let mut listed: Vec<String> = names.iter().take(LISTED).map(|name| quoted(name)).collect();
        if names.len() > LISTED {
            listed.push(format!("and {} more", names.len() - LISTED));
        }
        Self::NoSuchSheet { wanted: wanted.to_owned(), nearest, sheets: listed.join(", ") }
    }
}

impl fmt::Display for WorkbookProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => write!(f, "this workbook is damaged: {why}"),
            Self::Protected => f.write_str("this workbook is protected with a password"),
            Self::Foreign(what) => write!(f, "this is {what}, and a recipient list is an .xlsx, .xls or .ods workbook"),
            Self::NoSheet => f.write_str("this workbook has no sheet that is not hidden"),
            Self::NoSuchSheet { wanted, .. } => write!(f, "this workbook has no sheet {}", quoted(wanted)),
            Self::TooLarge { most } if *most < 1 << 20 => {
                write!(f, "this workbook holds more than {most} bytes once it is unpacked, and that is the most")
            }
            Self::TooLarge { most } => {
                write!(f, "this workbook holds more than {} MiB once it is unpacked, and that is the most", most >> 20)
            }
            Self::TooManyRows { most } => write!(f, "the sheet has more than {most} rows, and that is the most"),
            Self::TooManyColumns { most, row } => {
                write!(f, "row {row} of the sheet has more than {most} columns, and that is the most")
            }
        }
    }
}

impl std::error::Error for WorkbookProblem {}

impl Complaint for WorkbookProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) | Self::Foreign(_) => "list.workbook",
            Self::Protected => "list.workbook-password",
            Self::NoSheet | Self::NoSuchSheet { .. } => "list.no-such-sheet",
            Self::TooLarge { .. } | Self::TooManyRows { .. } => "list.too-large",
            Self::TooManyColumns { .. } => "list.too-many-columns",
        }
    }

    fn bare(&self) -> Bare {
        match self {
            Self::Damaged(_) => Bare::said("this workbook is damaged", self.help()),
            Self::Protected
            | Self::Foreign(_)
            | Self::NoSheet
            | Self::NoSuchSheet { .. }
            | Self::TooLarge { .. }
            | Self::TooManyRows { .. }
            | Self::TooManyColumns { .. } => Bare::Whole,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Damaged(_) => {
                "open it in the spreadsheet program and save it again as .xlsx, or as \"CSV UTF-8\"".into()
            }
            Self::Protected => {
                "save a copy without a password: File, Info, Protect Workbook, Encrypt with Password, and \
                                empty the field (LibreOffice: File, Save As, without \"Save with password\")"
                    .into()
            }
            Self::Foreign(_) => {
                "open it in the program that made it and save or export it as .xlsx, or as \"CSV UTF-8\"".into()
            }
            Self::NoSheet => "right-click the sheets' tabs and choose Unhide, or name the hidden sheet".into(),
            Self::NoSuchSheet { nearest: Some(nearest), sheets, .. } => {
                format!("did you mean {}? The sheets are {sheets}", quoted(nearest))
            }
            Self::NoSuchSheet { nearest: None, sheets, .. } if sheets.is_empty() => "it has no sheets of cells".into(),
            Self::NoSuchSheet { nearest: None, sheets, .. } => format!("the sheets are {sheets}"),
            Self::TooLarge { .. } => {
                "copy the list alone into a new workbook, as values, and save that; or raise the limit with --max-file-mib".into()
            }
            Self::TooManyRows { .. } => {
                "delete what stands below the list, split it into several lists, or raise the limit with --max-rows".into()
            }
            Self::TooManyColumns { .. } => "delete what stands to the right of the list, or raise the limit with --max-columns".into(),
        })
    }
}
