//! Zip archives, and the documents that are zip archives inside: Office Open XML, OpenDocument, EPUB.

use std::io::Cursor;

use flate2::bufread::MultiGzDecoder;
use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::{Kind, MOST_MEMBERS, Obstacle, Opaque, Walk, markup, text};

/// What the parts of a document that a reader sees are called. The others may have no text although there is some.
const SHOWN: &[&str] = &["word/document", "word/header", "word/footer", "ppt/slides/", "xl/", "content.xml"];

/// Goes through all files in an archive.
pub(super) fn read(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<(), Opaque> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Opaque::Damaged)?;
    let names: Vec<String> = zip.file_names_raw().map(|name| text::decode(name).into_owned()).collect();
    walk.say("names of files", &names.join("\n"));
    walk.say("a note on the archive", &text::decode(zip.comment()));
    if names.len() > MOST_MEMBERS as usize {
        return Err(Opaque::TooMany { most: MOST_MEMBERS });
    }
    let mut document = names.iter().any(|name| is_mark_of_a_document(name)).then(Document::default);
    let mut obstacle = Obstacle::default();
    for (at, name) in names.iter().enumerate() {
        let found = member(walk, &mut zip, at, name, document.as_mut());
        obstacle.note(found)?;
    }
    if let Some(Document { picture: true, letters: false }) = document {
        obstacle.note(Err(Opaque::Picture))?;
    }
    obstacle.finish()
}

/// RFC 1952. In it is one file, of the same name without the ending.
pub(super) fn gzip(walk: &mut Walk<'_>, name: &str, bytes: &[u8]) -> Result<(), Opaque> {
    let unpacked = walk.unpack(MultiGzDecoder::new(bytes))?;
    let inner = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let inner = inner.strip_suffix(".gz").unwrap_or(inner);
    let found = walk.inside(inner, &unpacked.bytes);
    if unpacked.whole { found } else { found.and(Err(Opaque::Damaged)) }
}

/// What is known of a document so far.
#[derive(Default)]
struct Document {
    picture: bool,
    letters: bool,
}

fn is_mark_of_a_document(name: &str) -> bool {
    matches!(name, "[Content_Types].xml" | "mimetype" | "META-INF/manifest.xml" | "META-INF/container.xml")
}

fn member(
    walk: &mut Walk<'_>,
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    at: usize,
    name: &str,
    document: Option<&mut Document>,
) -> Result<(), Opaque> {
    let part = match zip.by_index(at) {
        Ok(part) => part,
        Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => return Err(Opaque::Password.within(name)),
        Err(ZipError::UnsupportedArchive(_)) => return Err(Opaque::Method.within(name)),
        Err(_) => return Err(Opaque::Damaged.within(name)),
    };
    if part.is_dir() {
        return walk.count_member();
    }
    if !matches!(part.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(Opaque::Method.within(name));
    }
    let comment = part.comment().to_owned();
    let unpacked = walk.unpack(part)?;
    walk.say(name, &comment);
    let found = match document {
        Some(document) => document.part(walk, name, &unpacked.bytes),
        None => walk.inside(name, &unpacked.bytes),
    };
    match found {
        Ok(()) if !unpacked.whole => Err(Opaque::Damaged.within(name)),
        found => found,
    }
}

impl Document {
    /// A part of a document. What is no text in it is its outfit, such as logos and fonts, as long as there is text too.
    fn part(&mut self, walk: &mut Walk<'_>, name: &str, bytes: &[u8]) -> Result<(), Opaque> {
        if let Kind::Text(text::Form::Xml) = Kind::of(name, bytes) {
            walk.count_member()?;
            let source = text::decode(bytes);
            self.letters |= SHOWN.iter().any(|shown| name.starts_with(shown)) && markup::has_letters(&source);
            // OpenDocument 1.3 part 2 §4.8
            if name == "META-INF/manifest.xml" && source.contains("encryption-data") {
                return Err(Opaque::Password);
            }
            return markup::say(walk, name, &source).map_err(|why| why.within(name));
        }
        let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        match walk.inside(name, bytes) {
            // Apple's documents are zip archives too, of parts that only Apple's programs read.
            Err(why) if why.is_no_text() && ending != "iwa" => {
                self.picture |= matches!(&why, Opaque::Within { why, .. } if **why == Opaque::Picture)
                    && !name.to_ascii_lowercase().contains("thumbnail");
                Ok(())
            }
            // An EPUB's chapters are files of their own.
            Ok(()) => {
                self.letters |= matches!(ending.as_str(), "html" | "xhtml" | "htm");
                Ok(())
            }
            found => found,
        }
    }
}
