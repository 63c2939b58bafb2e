//! The text in an attachment, whatever kind of file it is, for the guard to search.
//!
//! Everything that a reader of the file can come upon is given out: what is shown, what is hidden, and what only
//! stands beside it, such as names of authors, targets of links and comments. Nothing here is strict. A damaged file
//! is searched as far as it can be read, and what cannot be looked into is said in an [`Opaque`].

mod archive;
mod compound;
mod mail;
mod markup;
mod opaque;
mod pdf;
mod rtf;
mod strings;
mod text;

use std::{borrow::Cow, io::Read};

pub(super) use opaque::Opaque;

/// So much may come out of one attachment, everything in it taken together.
const MOST_UNPACKED: u64 = 64 << 20;

/// So many files may be in one attachment, those in archives within it included.
const MOST_MEMBERS: u32 = 10_000;

/// So deep may archives and messages be packed into one another.
const DEEPEST: usize = 3;

/// What is given out of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Text,
    /// What looks like text among bytes that are not; short words are chance.
    Bytes,
}

/// Calls `each` with every text in a file, and with the place that it stands at: "page 3", "inner.zip › a.txt".
///
/// What kind of file it is is told by its first bytes, and where those say nothing by its name. An error says that there
/// may be more in the file than was given out.
pub(super) fn texts(name: &str, bytes: &[u8], each: &mut dyn FnMut(&str, &str, Sort)) -> Result<(), Opaque> {
    Walk { each, left: MOST_UNPACKED, members: MOST_MEMBERS, path: Vec::new(), torn: false }.file(name, bytes)
}

/// A text's octets as characters, in whatever encoding they are likely to be.
pub(super) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    text::decode(bytes)
}

/// What looks like text in a file as it stands, where [`texts`] has not given that out.
pub(super) fn printable(name: &str, bytes: &[u8]) -> String {
    let is_given = text::is_text(bytes) || matches!(Kind::of(name, bytes), Kind::Other(_));
    if is_given { String::new() } else { strings::narrow(bytes) }
}

/// A walk through a file and the files in it.
struct Walk<'e> {
    each: &'e mut dyn FnMut(&str, &str, Sort),
    /// So many bytes may still come out.
    left: u64,
    /// So many files may still come.
    members: u32,
    /// The files around this one, from the outside.
    path: Vec<String>,
    /// Whether something packed broke off before its end.
    torn: bool,
}

impl Walk<'_> {
    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Opaque> {
        match Kind::of(name, bytes) {
            Kind::Zip => archive::read(self, bytes),
            Kind::Gzip => archive::gzip(self, name, bytes),
            Kind::Compound => compound::read(self, bytes),
            Kind::Pdf => pdf::read(self, bytes),
            Kind::Rtf => rtf::read(self, bytes),
            Kind::Mail => mail::read(self, bytes),
            Kind::Mailbox => mail::mailbox(self, bytes),
            Kind::Text(form) => text::read(self, bytes, form),
            Kind::Other(why) => {
                strings::say(self, bytes);
                Err(why)
            }
        }
    }

    /// Gives a text out.
    fn say(&mut self, place: &str, text: &str) {
        self.give(place, text, Sort::Text);
    }

    /// Gives out what may be text.
    fn guess(&mut self, place: &str, text: &str) {
        self.give(place, text, Sort::Bytes);
    }

    fn give(&mut self, place: &str, text: &str, sort: Sort) {
        if text.trim().is_empty() {
            return;
        }
        let mut whole = self.path.join(" › ");
        if !whole.is_empty() && !place.is_empty() {
            whole.push_str(" › ");
        }
        whole.push_str(place);
        (self.each)(&whole, text, sort);
    }

    /// Goes through a file within this one.
    fn inside(&mut self, name: &str, bytes: &[u8]) -> Result<(), Opaque> {
        self.count_member()?;
        let found = if self.path.len() > DEEPEST {
            Err(Opaque::TooDeep)
        } else {
            self.path.push(name.to_owned());
            let found = self.file(name, bytes);
            self.path.pop();
            found
        };
        found.map_err(|why| why.within(name))
    }

    fn count_member(&mut self) -> Result<(), Opaque> {
        self.members = self.members.checked_sub(1).ok_or(Opaque::TooMany { most: MOST_MEMBERS })?;
        Ok(())
    }

    /// Takes so many bytes off what may still come out.
    fn charge(&mut self, bytes: usize) -> Result<(), Opaque> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(Opaque::TooLarge { most: MOST_UNPACKED })
    }

    /// All that a reader gives. What came before an error of its own is kept, and is with the error.
    fn unpack(&mut self, reader: impl Read) -> Result<Unpacked, Opaque> {
        let mut bytes = Vec::new();
        let whole = reader.take(self.left.saturating_add(1)).read_to_end(&mut bytes).is_ok();
        self.charge(bytes.len())?;
        Ok(Unpacked { bytes, whole })
    }
}

/// What came out of something packed.
struct Unpacked {
    bytes: Vec<u8>,
    /// Whether there was no error before the end.
    whole: bool,
}

/// The first thing that was in the way, while everything else is looked at all the same.
#[derive(Default)]
struct Obstacle(Option<Opaque>);

impl Obstacle {
    /// Remembers what was in the way, unless it is an end to everything.
    fn note(&mut self, found: Result<(), Opaque>) -> Result<(), Opaque> {
        match found {
            Err(why) if why.is_final() => Err(why),
            Err(why) => {
                self.0.get_or_insert(why);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn finish(self) -> Result<(), Opaque> {
        self.0.map_or(Ok(()), Err)
    }
}

/// What a file is.
enum Kind {
    Zip,
    Gzip,
    Compound,
    Pdf,
    Rtf,
    Mail,
    Mailbox,
    Text(text::Form),
    /// Something that has no text, or none that can be read.
    Other(Opaque),
}

/// A PDF may begin behind some other bytes (ISO 32000-1 Annex H.3.4.1).
const PDF_WITHIN: usize = 1024;

/// What files of other kinds begin with.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x78\x9f\x3e\x22", "an Outlook winmail.dat"),
    (b"ID3", "sound"),
    (b"OggS", "sound"),
    (b"fLaC", "sound"),
    (b"\x1a\x45\xdf\xa3", "a video"),
    (b"SQLite format 3\0", "a database"),
];

const PICTURES: &[&[u8]] = &[
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"\0\0\x01\0",
    b"8BPS",
    b"\xd7\xcd\xc6\x9a",
    b"\0\0\0\x0cjP  ",
    b"\xff\x0a",
];

impl Kind {
    fn of(name: &str, bytes: &[u8]) -> Self {
        let starts = |beginning: &[u8]| bytes.starts_with(beginning);
        let ending = name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_lowercase());
        let within = |from: usize, what: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(what));
        if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") || starts(b"PK\x07\x08") {
            return Self::Zip;
        }
        if starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            return Self::Compound;
        }
        if starts(b"\x1f\x8b\x08") {
            return Self::Gzip;
        }
        if starts(b"{\\rtf") {
            return Self::Rtf;
        }
        if bytes[..bytes.len().min(PDF_WITHIN)].windows(5).any(|window| window == b"%PDF-") {
            return Self::Pdf;
        }
        if PICTURES.iter().any(|beginning| starts(beginning)) || (starts(b"RIFF") && within(8, b"WEBP")) {
            return Self::Other(Opaque::Picture);
        }
        if within(4, b"ftyp") {
            let picture = [&b"heic"[..], b"heix", b"mif1", b"avif"].iter().any(|brand| within(8, brand));
            return Self::Other(if picture { Opaque::Picture } else { Opaque::Foreign("a video or sound") });
        }
        if starts(b"RIFF") {
            return Self::Other(Opaque::Foreign("a video or sound"));
        }
        if let Some((_, what)) = BEGINNINGS.iter().find(|(beginning, _)| starts(beginning)) {
            return Self::Other(Opaque::Foreign(what));
        }
        if !text::is_text(bytes) {
            let picture = matches!(ending.as_str(), "bmp" | "emf" | "wmf" | "jpg" | "jpeg" | "png" | "gif" | "tif");
            // Where an archive's end is, it can be opened, whatever stands before it.
            let archive = ending == "zip" || ending == "exe";
            return match () {
                () if archive && bytes.windows(4).any(|window| window == b"PK\x05\x06") => Self::Zip,
                () if picture => Self::Other(Opaque::Picture),
                () => Self::Other(Opaque::Unknown),
            };
        }
        match ending.as_str() {
            "eml" | "mht" | "mhtml" | "mim" => Self::Mail,
            "mbox" | "mbx" => Self::Mailbox,
            _ if mail::begins_like_one(bytes) => Self::Mail,
            _ => Self::Text(text::Form::of(&ending, bytes)),
        }
    }
}

#[cfg(test)]
mod tests;
