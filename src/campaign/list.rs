//! How a recipient list is to be read.

use std::str::FromStr;

use encoding_rs::Encoding;
use thiserror::Error;

/// How a list is to be read; what is left out is found from the file.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// The heading of the column with the addresses; found by its usual names if left out.
    pub address: Option<String>,
    /// What the bytes are; UTF-8, or UTF-16 with a byte order mark, if left out.
    pub encoding: Option<&'static Encoding>,
    /// What stands between cells; found from the file if left out.
    pub delimiter: Option<Delimiter>,
    /// Headings of columns whose cells may be empty although the template shows them.
    pub optional: Vec<String>,
    /// What is done about an address that stands in several rows; refused if left out.
    pub duplicates: Option<Duplicates>,
}

impl ListOptions {
    /// What is said here, and for the rest what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            address: self.address.or(other.address),
            encoding: self.encoding.or(other.encoding),
            delimiter: self.delimiter.or(other.delimiter),
            duplicates: self.duplicates.or(other.duplicates),
            optional: if self.optional.is_empty() { other.optional } else { self.optional },
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
    Encoding::for_label(label.trim().as_bytes()).ok_or_else(|| {
        format!(
            "there is no encoding {}; usual ones are utf-8, windows-1252, utf-16le",
            crate::diagnostic::quoted(label)
        )
    })
}
