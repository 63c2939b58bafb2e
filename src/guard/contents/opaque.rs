//! Why a file cannot be looked into.

use std::fmt;

use crate::diagnostic::quoted;

/// Why there may be more in a file than could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::guard) enum Opaque {
    /// It is encrypted.
    Password,
    /// It, or all of it, is a picture.
    Picture,
    /// These pages of it, from 1, show pictures or drawings and no text.
    PicturePages(Vec<usize>),
    /// These pages of it, from 1, have text in a font that does not say which letters it draws.
    Letters(Vec<usize>),
    /// Something known that is not looked into, in words: "a RAR archive".
    Foreign(&'static str),
    /// Bytes that are nothing known.
    Unknown,
    /// A file in it is packed in a way that cannot be unpacked here.
    Method,
    /// Its XML defines words of its own.
    Entities,
    /// The bytes do not hang together.
    Damaged,
    /// More comes out than is looked at.
    TooLarge {
        /// In bytes.
        most: u64,
    },
    /// More files are in it than are looked at.
    TooMany {
        /// How many are.
        most: u32,
    },
    /// Archives in archives in archives.
    TooDeep,
    /// A file in it cannot be looked into.
    Within {
        /// Its name, with those of the files around it.
        name: String,
        /// Why not.
        why: Box<Opaque>,
    },
}

impl Opaque {
    /// The same, said of the file around it.
    pub(super) fn within(self, outer: &str) -> Self {
        match self {
            // These are about the attachment as a whole.
            Self::TooLarge { .. } | Self::TooMany { .. } => self,
            Self::Within { name, why } => Self::Within { name: format!("{outer} › {name}"), why },
            why => Self::Within { name: outer.to_owned(), why: Box::new(why) },
        }
    }

    /// Whether nothing more can be looked at.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TooMany { .. })
    }

    /// Whether it says no more than that a file is not made of text, as a logo in a letter is not.
    pub(super) fn is_no_text(&self) -> bool {
        match self {
            Self::Picture | Self::Foreign(_) | Self::Unknown => true,
            Self::Within { why, .. } => why.is_no_text(),
            _ => false,
        }
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("it asks for a password"),
            Self::Picture => f.write_str("it is a picture"),
            Self::PicturePages(pages) if pages.len() == 1 => write!(f, "{} is a picture", Pages(pages)),
            Self::PicturePages(pages) => write!(f, "{} are pictures", Pages(pages)),
            Self::Letters(pages) => write!(f, "{}: a font does not say which letters it draws", Pages(pages)),
            Self::Foreign(what) => write!(f, "it is {what}"),
            Self::Unknown => f.write_str("it is of no kind that can be looked into"),
            Self::Method => f.write_str("it is packed in a way that cannot be unpacked here"),
            Self::Entities => f.write_str("its XML defines entities of its own"),
            Self::Damaged => f.write_str("it is damaged"),
            Self::TooLarge { most } => write!(f, "it holds more than {} MiB once it is unpacked", most >> 20),
            Self::TooMany { most } => write!(f, "it holds more than {most} files"),
            Self::TooDeep => f.write_str("it is packed too deep into other files"),
            Self::Within { name, why } => write!(f, "{} in it cannot be looked into: {why}", quoted(name)),
        }
    }
}

/// `page 1`, `pages 1, 2 and 7 more`
struct Pages<'p>(&'p [usize]);

/// So many pages are listed.
const LISTED: usize = 10;

impl fmt::Display for Pages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed: Vec<String> = self.0.iter().take(LISTED).map(ToString::to_string).collect();
        write!(f, "page{} {}", if self.0.len() == 1 { "" } else { "s" }, listed.join(", "))?;
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
