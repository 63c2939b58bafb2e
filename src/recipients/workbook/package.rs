//! The parts of a zipped workbook: unpacked piece by piece, counted, and read as XML.

use std::{
    borrow::Cow,
    cell::Cell,
    fmt,
    io::{self, BufReader, Cursor, Read},
    rc::Rc,
};

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};
use zip::{ZipArchive, result::ZipError};

use super::WorkbookProblem;

/// A zip archive of which only so much is unpacked, all parts together.
#[derive(Debug)]
pub(super) struct Package<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    budget: Rc<Budget>,
}

/// What an archive is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Xlsx,
    Ods,
    /// Something else, in words.
    Foreign(&'static str),
}

#[derive(Debug)]
struct Budget {
    most: u64,
    left: Cell<u64>,
    exceeded: Cell<bool>,
}

impl Budget {
    fn problem(&self, error: impl fmt::Display) -> WorkbookProblem {
        if self.exceeded.get() {
            WorkbookProblem::TooLarge { most: self.most }
        } else {
            WorkbookProblem::damaged(error)
        }
    }
}

impl<'b> Package<'b> {
    pub(super) fn open(bytes: &'b [u8], most: u64) -> Result<Self, WorkbookProblem> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(WorkbookProblem::damaged)?;
        Ok(Self { zip, budget: Rc::new(Budget { most, left: Cell::new(most), exceeded: Cell::new(false) }) })
    }

    /// What the archive is, by the names in it.
    pub(super) fn holds(&mut self) -> Result<Holds, WorkbookProblem> {
        let budget = Rc::clone(&self.budget);
        if let Some(part) = self.part("mimetype")? {
            let mut mime = String::new();
            part.take(200).read_to_string(&mut mime).map_err(|error| budget.problem(error))?;
            return Ok(match mime.trim().strip_prefix("application/vnd.oasis.opendocument.") {
                Some("spreadsheet" | "spreadsheet-template") => Holds::Ods,
                Some(kind) if kind.starts_with("text") => Holds::Foreign("an OpenDocument text (.odt)"),
                Some(kind) if kind.starts_with("presentation") => Holds::Foreign("an OpenDocument presentation (.odp)"),
                _ => Holds::Foreign("a zip archive without a workbook"),
            });
        }
        let starts = |prefix: &str| self.zip.file_names_raw().any(|name| name.starts_with(prefix.as_bytes()));
        Ok(if starts("xl/workbook.bin") {
            Holds::Foreign("a binary Excel workbook (.xlsb)")
        } else if starts("word/") {
            Holds::Foreign("a Word document (.docx)")
        } else if starts("ppt/") {
            Holds::Foreign("a PowerPoint presentation (.pptx)")
        } else if starts("Index/") || starts("Index.zip") {
            Holds::Foreign("an Apple Numbers document (.numbers)")
        } else if self.index("_rels/.rels").is_some() {
            Holds::Xlsx
        } else {
            Holds::Foreign("a zip archive without a workbook")
        })
    }

    /// A part as XML, if there is one of that name.
    pub(super) fn xml(&mut self, name: &str) -> Result<Option<Xml<'_>>, WorkbookProblem> {
        let budget = Rc::clone(&self.budget);
        let Some(part) = self.part(name)? else { return Ok(None) };
        let mut reader = Reader::from_reader(BufReader::with_capacity(1 << 16, part));
        // `<v/>` is read like `<v></v>`.
        reader.config_mut().expand_empty_elements = true;
        Ok(Some(Xml { budget, reader, buffer: Vec::new(), open: None }))
    }

    /// A part that has to be there.
    pub(super) fn needed_xml(&mut self, name: &str) -> Result<Xml<'_>, WorkbookProblem> {
        self.xml(name)?.ok_or_else(|| WorkbookProblem::damaged(format_args!("its part {name} is missing")))
    }

    fn part(&mut self, name: &str) -> Result<Option<Counted<'_>>, WorkbookProblem> {
        let budget = Rc::clone(&self.budget);
        let Some(at) = self.index(name) else { return Ok(None) };
        match self.zip.by_index(at) {
            Ok(part) => Ok(Some(Counted { part: Box::new(part), budget })),
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => Err(WorkbookProblem::Protected),
            Err(error) => Err(WorkbookProblem::damaged(error)),
        }
    }

    /// ECMA-376 part 2 §6.2.2.3: names that differ in case only are the same; and some programs write backslashes.
    fn index(&self, name: &str) -> Option<usize> {
        let same = |stored: &[u8]| {
            let stored = stored.iter().map(|byte| if *byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() });
            stored.eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
        };
        self.zip.index_for_name_raw(name.as_bytes()).or_else(|| self.zip.file_names_raw().position(same))
    }
}

/// Unpacks a part, whatever size it claims to have, until the budget is used up.
struct Counted<'p> {
    part: Box<dyn Read + 'p>,
    budget: Rc<Budget>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.part.read(buffer)?;
        match self.budget.left.get().checked_sub(read as u64) {
            Some(left) => self.budget.left.set(left),
            None => {
                self.budget.exceeded.set(true);
                return Err(io::Error::other("too large"));
            }
        }
        Ok(read)
    }
}

/// A part as XML.
pub(super) struct Xml<'p> {
    budget: Rc<Budget>,
    reader: Reader<BufReader<Counted<'p>>>,
    buffer: Vec<u8>,
    /// How many elements are open; `None` before the first.
    open: Option<u64>,
}

/// What comes next.
pub(super) enum Node<'x> {
    Start(BytesStart<'x>),
    /// The name without its prefix.
    End(Cow<'x, str>),
    Text(Cow<'x, str>),
    /// A comment and the like.
    Nothing,
    /// The end of the part, all of its elements being closed.
    Done,
}

impl Xml<'_> {
    pub(super) fn next(&mut self) -> Result<Node<'_>, WorkbookProblem> {
        self.buffer.clear();
        let event = self.reader.read_event_into(&mut self.buffer).map_err(|error| self.budget.problem(error))?;
        Ok(match event {
            Event::Start(element) => {
                self.open = Some(self.open.unwrap_or(0) + 1);
                Node::Start(element)
            }
            Event::End(element) => {
                self.open = self.open.map(|open| open.saturating_sub(1));
                Node::End(element.local_name().as_ref().to_owned().into())
            }
            Event::Text(text) => Node::Text(text.xml10_content()),
            Event::CData(text) => Node::Text(text.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().map_err(WorkbookProblem::damaged)? {
                Some(character) => Node::Text(character.to_string().into()),
                None => {
                    let text = resolve_predefined_entity(&name);
                    Node::Text(text.ok_or_else(|| WorkbookProblem::damaged("it uses an unknown entity"))?.into())
                }
            },
            // Nobody writes one into a workbook but to have entities expanded without end.
            Event::DocType(_) => return Err(WorkbookProblem::damaged("it has a document type declaration")),
            Event::Eof if self.open == Some(0) => Node::Done,
            Event::Eof => return Err(cut_short()),
            _ => Node::Nothing,
        })
    }

    /// Goes behind the end of the element whose start was read last.
    pub(super) fn skip(&mut self) -> Result<(), WorkbookProblem> {
        self.text(None)
    }

    /// Does the same and collects the text that the element holds.
    pub(super) fn text(&mut self, mut into: Option<&mut String>) -> Result<(), WorkbookProblem> {
        let mut depth = 1_u64;
        while depth > 0 {
            match self.next()? {
                Node::Start(_) => depth += 1,
                Node::End(_) => depth -= 1,
                Node::Text(text) => {
                    if let Some(into) = into.as_deref_mut() {
                        into.push_str(&text);
                    }
                }
                Node::Nothing | Node::Done => {}
            }
        }
        Ok(())
    }
}

fn cut_short() -> WorkbookProblem {
    WorkbookProblem::damaged("a part of it is cut short")
}

/// All attributes of an element, as their names are written, with prefix.
pub(super) fn attributes<'e>(
    element: &'e BytesStart<'_>,
) -> impl Iterator<Item = Result<(&'e str, Cow<'e, str>), WorkbookProblem>> {
    element.attributes().map(|attribute| {
        let attribute = attribute.map_err(WorkbookProblem::damaged)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(WorkbookProblem::damaged)?;
        Ok((attribute.key.0, value))
    })
}

/// One attribute of an element.
pub(super) fn attribute<'e>(element: &'e BytesStart<'_>, name: &str) -> Result<Option<Cow<'e, str>>, WorkbookProblem> {
    for attribute in attributes(element) {
        let (found, value) = attribute?;
        if found == name {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A number in an attribute, if there is one.
pub(super) fn number(element: &BytesStart<'_>, name: &str) -> Result<Option<u32>, WorkbookProblem> {
    let Some(value) = attribute(element, name)? else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| WorkbookProblem::damaged(format_args!("{name} is no number")))
}

/// What XML Schema, and with it a workbook, takes for true.
pub(super) fn is_true(value: &str) -> bool {
    matches!(value, "1" | "true")
}
