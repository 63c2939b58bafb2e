//! How a recipient list is to be read.

use std::str::FromStr;

use encoding_rs::Encoding;
use thiserror::Error;

use super::{
    column_type::ColumnType,
    keys::{At, Keys},
};

/// How a list is to be read; what is left out is found from the file.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// The heading of the column with the addresses; found by its usual names if left out.
    pub address: Option<String>,
    /// What the bytes are; UTF-8, or UTF-16 with a byte order mark, if left out.
    pub encoding: Option<&'static Encoding>,
    /// What stands between cells; found from the file if left out.
    pub delimiter: Option<Delimiter>,
    /// The sheet of a workbook; the first one that is not hidden if left out.
    pub sheet: Option<String>,
    /// What is done about rows that a sheet hides; the list is refused if left out.
    pub hidden: Option<Hidden>,
    /// Headings of columns whose cells may be empty although the template shows them.
    pub optional: Vec<String>,
    /// Headings of columns by whose values a person can be told.
    pub identifying: Vec<String>,
    /// What the cells of columns are, by heading; text if left out. Each place where that is said is a list of its own,
    /// and the first one goes before the others.
    pub columns: Vec<Vec<(String, ColumnType)>>,
    /// What is done about an address that stands in several rows; refused if left out.
    pub duplicates: Option<Duplicates>,
    /// The heading of the address column, where all rows of an address make one message.
    pub group_by: Option<String>,
    /// What is too much.
    pub limits: Limits,
    /// Whether somebody has looked, and the addresses stand in the right rows although they look moved.
    pub rows_are_right: bool,
}

impl ListOptions {
    /// The same for a list that was read before, with what was said about it then; by whose values a person could be told, they
    /// still can.
    #[must_use]
    pub fn again(self, before: Self) -> Self {
        let mut identifying = before.identifying.clone();
        identifying.extend(self.identifying.iter().cloned());
        Self { identifying, ..self.or(before) }
    }

    /// What is said here, and for the rest what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut columns = self.columns;
        columns.extend(other.columns);
        Self {
            address: self.address.or(other.address),
            encoding: self.encoding.or(other.encoding),
            delimiter: self.delimiter.or(other.delimiter),
            sheet: self.sheet.or(other.sheet),
            hidden: self.hidden.or(other.hidden),
            optional: if self.optional.is_empty() { other.optional } else { self.optional },
            identifying: if self.identifying.is_empty() { other.identifying } else { self.identifying },
            columns,
            // Either of the two is an answer to the same question.
            duplicates: if self.group_by.is_some() { self.duplicates } else { self.duplicates.or(other.duplicates) },
            group_by: if self.duplicates.is_some() { self.group_by } else { self.group_by.or(other.group_by) },
            limits: self.limits.or(other.limits),
            rows_are_right: self.rows_are_right || other.rows_are_right,
        }
    }
}

/// What a list may have at most; none of them has to be given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Mebibytes of the file, and of what is packed in a workbook.
    pub file_mib: Option<u32>,
    /// Rows.
    pub rows: Option<u32>,
    /// Columns.
    pub columns: Option<u32>,
    /// Octets of a cell in UTF-8.
    pub cell_bytes: Option<u32>,
}

impl Limits {
    fn or(self, other: Self) -> Self {
        Self {
            file_mib: self.file_mib.or(other.file_mib),
            rows: self.rows.or(other.rows),
            columns: self.columns.or(other.columns),
            cell_bytes: self.cell_bytes.or(other.cell_bytes),
        }
    }

    /// The most octets of a file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.file_mib.unwrap_or(1024)) << 20
    }

    /// The most octets of what is packed in a workbook, which takes more memory than text.
    #[must_use]
    pub fn unpacked_bytes(&self) -> u64 {
        u64::from(self.file_mib.unwrap_or(256)) << 20
    }

    /// The most rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.unwrap_or(5_000_000) as usize
    }

    /// The most columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns.unwrap_or(1000) as usize
    }

    /// The most octets of a cell.
    #[must_use]
    pub fn cell(&self) -> usize {
        self.cell_bytes.unwrap_or(1 << 20) as usize
    }
}

/// What is done about rows that a sheet hides, by hand or by a filter: are the people in them meant?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// They are on the list.
    Use,
    /// They are not.
    Skip,
}

impl FromStr for Hidden {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "use" => Ok(Self::Use),
            "skip" => Ok(Self::Skip),
            _ => Err("this is \"use\" or \"skip\""),
        }
    }
}

/// What is done about an address that stands in several rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// The list is refused.
    Refuse,
    /// The first row counts, and the others are said and left out.
    First,
}

impl FromStr for Duplicates {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "first" => Ok(Self::First),
            _ => Err("this is \"refuse\" or \"first\""),
        }
    }
}

/// What stands between the cells of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`, where a comma is for decimals
    Semicolon,
    /// A tab
    Tab,
    /// `|`
    Pipe,
}

impl Delimiter {
    /// All of them, the most usual first.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Pipe];

    /// The character.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Pipe => b'|',
        }
    }
}

/// The text names no delimiter.
#[derive(Debug, Error)]
#[error("cells are separated by \",\", \";\", \"tab\" or \"|\"")]
pub struct DelimiterError;

impl FromStr for Delimiter {
    type Err = DelimiterError;

    fn from_str(text: &str) -> Result<Self, DelimiterError> {
        match text {
            "," | "comma" => Ok(Self::Comma),
            ";" | "semicolon" => Ok(Self::Semicolon),
            "\t" | "\\t" | "tab" => Ok(Self::Tab),
            "|" | "pipe" => Ok(Self::Pipe),
            _ => Err(DelimiterError),
        }
    }
}

/// The encoding of a label, as the WHATWG's standard lists them: `windows-1252`, `latin1`, `utf-16le`, `shift_jis` …
pub fn encoding(label: &str) -> Result<&'static Encoding, String> {
    // The standard lists "replacement" for encodings that are not to be decoded.
    Encoding::for_label_no_replacement(label.trim().as_bytes()).ok_or_else(|| {
        format!(
            "there is no encoding {}; usual ones are utf-8, windows-1252, utf-16le",
            crate::diagnostic::quoted(label)
        )
    })
}

/// What `[recipients_options]` and `[columns]` of a `campaign.toml` say.
pub(super) fn read(keys: &mut Keys<'_>) -> ListOptions {
    let mut list = ListOptions::default();
    if let Some(mut options) = keys.table("recipients_options") {
        list.address = options.string("address").map(|address| address.value);
        let optional = options.strings("optional").map(|optional| optional.value).unwrap_or_default();
        list.optional = optional.into_iter().map(|heading| heading.value).collect();
        list.duplicates = options.parsed("duplicates").map(|duplicates| duplicates.value);
        let group_by = options.string("group_by");
        if let Some(At { span, .. }) = group_by.as_ref().filter(|_| list.duplicates.is_some()) {
            let why = "rows of one address become one message, so that there is nothing for duplicates to say";
            options.complain(span.clone(), "group_by", why, Some("take one of the two keys out".into()));
        }
        list.group_by = group_by.map(|heading| heading.value);
        list.delimiter = options.parsed("delimiter").map(|delimiter| delimiter.value);
        list.sheet = options.string("sheet").map(|sheet| sheet.value);
        list.hidden = options.parsed("hidden").map(|hidden| hidden.value);
        if let Some(At { value, span }) = options.string("encoding") {
            match encoding(&value) {
                Ok(encoding) => list.encoding = Some(encoding),
                Err(why) => options.complain(span, "encoding", why, None),
            }
        }
        let mut limit = |key, most| options.integer(key, 1, most).map(|limit| limit.value);
        list.limits = Limits {
            file_mib: limit("max_file_mib", 1 << 20),
            rows: limit("max_rows", 1 << 30),
            columns: limit("max_columns", 1 << 14),
            cell_bytes: limit("max_cell_bytes", 1 << 30),
        };
        keys.adopt(options.finish());
    }
    if let Some(mut columns) = keys.table("columns") {
        let mut types = Vec::new();
        for (heading, kind) in columns.named_strings() {
            match kind.value.parse::<ColumnType>() {
                Ok(kind) => types.push((heading.value, kind)),
                Err(why) => columns.complain(kind.span, &heading.value, why.to_string(), None),
            }
        }
        list.columns.push(types);
        keys.adopt(columns.finish());
    }
    list
}
