//! The text in XML, as a reader of the document sees it.
//!
//! Office programs cut a paragraph into runs wherever they like, so that `ada@one.example` may be spread over three
//! elements. Text is therefore joined within a paragraph, a cell and the like. Nothing is refused as malformed, and no
//! entity is expanded but the predefined ones, so that there is nothing to be bombed with.

use std::{collections::HashSet, ops::ControlFlow};

use super::{super::coded::resolved, Opaque, Walk};

/// What an element's text is kept together in: paragraphs, cells, rows, comments, notes, and readings beside text.
const TOGETHER: &[&str] = &[
    "p",
    "h",
    "si",
    "is",
    "c",
    "row",
    "tr",
    "tc",
    "td",
    "th",
    "li",
    "table-cell",
    "table-row",
    "comment",
    "annotation",
    "note",
    "rph",
    "rt",
    "div",
    "title",
    "caption",
    "v",
    "f",
    "sdtpr",
    "author",
];

/// Elements that are a space or the end of a line.
const BREAKS: &[&str] = &["br", "tab", "cr", "ptab", "line-break", "nobreakhyphen", "text:s"];

/// Attributes that only number things: revisions, identities, styles.
const NUMBERING: &[&str] = &["rsid", "paraid", "textid", "uid", "durableid"];

/// Attributes that name fonts, some of which are called like people.
const FONTS: &[&str] = &["ascii", "hansi", "eastasia", "cs", "typeface", "panose"];

/// More open paragraphs in one another are not told apart.
const DEEPEST: usize = 200;

/// Gives out the text, joined and element by element, and everything that stands in attributes and comments.
pub(super) fn say(walk: &mut Walk<'_>, place: &str, source: &str) -> Result<(), Opaque> {
    let found = read(source, Changes::Made);
    walk.say(place, &found.joined);
    // In most documents runs are whole paragraphs.
    if !filled_lines(&found.separate).eq(filled_lines(&found.joined)) {
        walk.say(place, &found.separate);
    }
    if found.has_changes {
        walk.say(place, &read(source, Changes::Undone).joined);
    }
    walk.say(place, &found.beside);
    if found.defines { Err(Opaque::Entities) } else { Ok(()) }
}

fn filled_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// Whether a document has text with at least one letter in it.
pub(super) fn has_letters(source: &str) -> bool {
    read(source, Changes::Made).joined.contains(char::is_alphanumeric)
}

/// How tracked changes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changes {
    Made,
    Undone,
}

#[derive(Default)]
struct Found {
    /// Text with a line end only where a reader sees one.
    joined: String,
    /// Text with a line end wherever a tag is.
    separate: String,
    /// What is in attributes, comments, instructions and declarations.
    beside: String,
    has_changes: bool,
    defines: bool,
}

fn read(source: &str, changes: Changes) -> Found {
    let (found, open, text, known) = Default::default();
    let mut reading = Reading { found, open, text, changes, omit: 0, known };
    let mut rest = source;
    while let Some(at) = rest.find('<') {
        reading.text(&rest[..at]);
        rest = reading.tag(&rest[at..]);
    }
    reading.text(rest);
    while reading.close().is_continue() {}
    reading.found
}

struct Reading<'s> {
    found: Found,
    /// The paragraphs around this place, with what they held before it.
    open: Vec<(&'s str, String)>,
    /// What the innermost one holds so far.
    text: String,
    changes: Changes,
    /// How many elements are open whose text is not wanted.
    omit: usize,
    /// Attributes that were given out: styles and the like are the same a thousand times.
    known: HashSet<&'s str>,
}

impl<'s> Reading<'s> {
    fn text(&mut self, raw: &str) {
        if raw.is_empty() {
            return;
        }
        self.plain(&resolved(raw));
    }

    fn plain(&mut self, text: &str) {
        if self.omit == 0 {
            self.text.push_str(text);
        }
        self.found.separate.push_str(text);
        self.found.separate.push('\n');
    }

    /// Reads what begins with `<` and gives back what comes after it.
    fn tag(&mut self, rest: &'s str) -> &'s str {
        let up_to = |from: usize, end: &str| match rest[from..].find(end) {
            Some(at) => (&rest[from..from + at], &rest[from + at + end.len()..]),
            None => (&rest[from..], ""),
        };
        if rest.starts_with("<!--") {
            let (comment, rest) = up_to(4, "-->");
            self.beside(comment);
            return rest;
        }
        if rest.starts_with("<![CDATA[") {
            let (text, rest) = up_to(9, "]]>");
            self.plain(text);
            return rest;
        }
        if rest.starts_with("<?") {
            let (instruction, rest) = up_to(2, "?>");
            self.beside(instruction);
            return rest;
        }
        if rest.starts_with("<!") {
            let subset = rest.find('>').is_some_and(|end| rest[..end].contains('['));
            let (declaration, rest) = up_to(2, if subset { "]>" } else { ">" });
            self.found.defines |= declaration.contains("<!ENTITY");
            self.beside(declaration);
            return rest;
        }
        let (closing, inner) = match rest[1..].strip_prefix('/') {
            Some(inner) => (true, inner),
            None => (false, &rest[1..]),
        };
        if !inner.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            self.plain("<");
            return &rest[1..];
        }
        let end = inner.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).unwrap_or(inner.len());
        let name = &inner[..end];
        let (empty, rest) = self.attributes(&inner[end..]);
        let whole = name;
        let name = name.rsplit(':').next().unwrap_or_default();
        let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known) || whole == *known);
        self.change(name, closing, empty);
        if is(BREAKS) {
            if !closing {
                let written = match name {
                    "noBreakHyphen" => '-',
                    "s" | "tab" | "ptab" => ' ',
                    _ => '\n',
                };
                self.text.push(written);
            }
        } else if is(TOGETHER) && !empty {
            if closing {
                while self.open.iter().any(|(open, _)| *open == whole) {
                    let same = self.open.last().is_some_and(|(open, _)| *open == whole);
                    if self.close().is_break() || same {
                        break;
                    }
                }
            } else if self.open.len() < DEEPEST {
                self.open.push((whole, std::mem::take(&mut self.text)));
            } else {
                self.text.push('\n');
            }
        }
        rest
    }

    /// ECMA-376 part 1 §17.13.5: what was deleted is in `delText`, what came instead is in `ins`.
    fn change(&mut self, name: &str, closing: bool, empty: bool) {
        let deleted = matches!(name, "delText" | "delInstrText");
        self.found.has_changes |= deleted;
        let unwanted = match self.changes {
            Changes::Made => deleted,
            Changes::Undone => name == "ins",
        };
        if unwanted && !empty {
            self.omit = if closing { self.omit.saturating_sub(1) } else { self.omit + 1 };
        }
    }

    /// Ends the innermost paragraph.
    fn close(&mut self) -> ControlFlow<()> {
        if !self.text.is_empty() {
            self.found.joined.push_str(&self.text);
            self.found.joined.push('\n');
        }
        match self.open.pop() {
            Some((_, before)) => self.text = before,
            None => {
                self.text.clear();
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Reads attributes up to the end of a tag. Says whether the element is empty, and what comes after.
    fn attributes(&mut self, mut rest: &'s str) -> (bool, &'s str) {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                return (true, after);
            }
            if let Some(after) = rest.strip_prefix('>') {
                return (false, after);
            }
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
            let name = &rest[..end];
            let after = rest[end..].trim_start();
            let Some(value) = after.strip_prefix('=') else {
                // Not an attribute; go on behind it, and in any case by one character.
                let step = rest.chars().next().map_or(0, char::len_utf8).max(end);
                if step == 0 {
                    return (false, "");
                }
                rest = &rest[step..];
                continue;
            };
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (text, after) = match quote {
                Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
                None => {
                    let end = value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len());
                    value.split_at(end)
                }
            };
            if !is_numbering(name, text) {
                self.beside(text);
            }
            rest = after;
        }
    }

    fn beside(&mut self, raw: &'s str) {
        if !raw.is_empty() && self.known.insert(raw) {
            self.found.beside.push_str(&resolved(raw));
            self.found.beside.push('\n');
        }
    }
}

/// Whether an attribute is of no interest: a namespace, a revision number, a width. What is found in it by chance would be a
/// false alarm. Cells keep their values in `v` and `value`.
fn is_numbering(name: &str, value: &str) -> bool {
    let local = name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
    let short =
        value.len() < 7 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b'-' | b'%'));
    name.starts_with("xmlns")
        || FONTS.contains(&local.as_str())
        || NUMBERING.iter().any(|known| local.starts_with(known))
        || (short && !matches!(local.as_str(), "v" | "value" | "string-value"))
}
