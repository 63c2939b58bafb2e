//! Excel's workbooks since 2007 (ECMA-376): one sheet, read as a stream.

use std::rc::Rc;

use quick_xml::events::BytesStart;

use super::{
    Wanted, WorkbookProblem, choose,
    package::{Node, Package, Xml, attribute, attributes, is_true, number},
    sheet::{Builder, Fault, Merge, Sheet, Text},
    shown::{DateSystem, Format, serial_of_iso},
    xlsx_parts::{Book, formats, push_unescaped, rich_text, strings},
};

/// The last row and column that a sheet can have, from 0.
const LAST_ROW: u32 = 1_048_575;
const LAST_COLUMN: u32 = 16_383;

/// Reads the sheet that is wanted.
pub(super) fn read(package: &mut Package<'_>, wanted: &Wanted<'_>) -> Result<Sheet, WorkbookProblem> {
    let book = Book::read(package)?;
    let chosen = choose(&book.sheets, wanted.sheet)?;
    let mut sheet = Builder::new(wanted);
    let strings = strings(package, book.strings.as_deref(), &mut sheet)?;
    let formats = formats(package, book.styles.as_deref())?;
    let mut reading = Reading {
        sheet,
        strings,
        formats,
        general: Rc::new(Format::new("General")),
        dates: book.dates,
        uncalculated: book.uncalculated,
        next_row: 0,
        next_column: 0,
        value: String::new(),
    };
    let listed = &book.sheets[chosen];
    reading.whole(&mut package.needed_xml(&listed.at)?)?;
    let mut others = 0;
    for (nth, other) in book.sheets.iter().enumerate() {
        if nth != chosen && !other.hidden && holds_something(package, &other.at)? {
            others += 1;
        }
    }
    reading.sheet.finish(&listed.name, listed.hidden, others)
}

/// Whether a sheet has any value. One that is too large to tell has.
fn holds_something(package: &mut Package<'_>, part: &str) -> Result<bool, WorkbookProblem> {
    let Some(mut xml) = package.xml(part)? else { return Ok(false) };
    loop {
        match xml.next() {
            Ok(Node::Start(element)) if matches!(element.local_name().as_ref(), "v" | "is") => return Ok(true),
            Ok(Node::End(name)) if name == "sheetData" => return Ok(false),
            Ok(Node::Done) => return Ok(false),
            Ok(_) => {}
            Err(_) => return Ok(true),
        }
    }
}

struct Reading<'w> {
    sheet: Builder<'w>,
    strings: Vec<Text>,
    formats: Vec<Rc<Format>>,
    general: Rc<Format>,
    dates: DateSystem,
    uncalculated: bool,
    /// Where a row or cell is that does not say.
    next_row: u32,
    next_column: u32,
    value: String,
}

/// What a cell is before its value is read.
#[derive(Default)]
struct Head {
    row: u32,
    column: u32,
    style: usize,
    kind: Type,
}

/// ECMA-376 part 1 §18.18.11, the type of a cell.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Type {
    #[default]
    Number,
    Shared,
    Text,
    Inline,
    Bool,
    Error,
    Date,
}

impl Reading<'_> {
    fn whole(&mut self, xml: &mut Xml<'_>) -> Result<(), WorkbookProblem> {
        loop {
            match xml.next()? {
                Node::Start(element) => match element.local_name().as_ref() {
                    "col" => self.column(&element)?,
                    "row" => self.row(&element)?,
                    "c" => {
                        let head = self.head(&element)?;
                        self.cell(xml, &head)?;
                    }
                    "mergeCell" => {
                        if let Some(region) = attribute(&element, "ref")? {
                            let (from, to) = region.split_once(':').unwrap_or((&region, &region));
                            let ((top, left), (bottom, right)) = (place(from)?, place(to)?);
                            self.sheet.merge(Merge { rows: (top, bottom), columns: (left, right) })?;
                        }
                    }
                    // A filter's or a view's elements are not the sheet's.
                    "customSheetViews" | "extLst" => xml.skip()?,
                    _ => {}
                },
                Node::Done => return Ok(()),
                _ => {}
            }
        }
    }

    fn column(&mut self, element: &BytesStart<'_>) -> Result<(), WorkbookProblem> {
        let hidden = attribute(element, "hidden")?.is_some_and(|value| is_true(&value));
        if (hidden || is_zero(element, "width")?)
            && let (Some(first), Some(last)) = (number(element, "min")?, number(element, "max")?)
        {
            self.sheet.hide_columns(first.saturating_sub(1), last.saturating_sub(1));
        }
        Ok(())
    }

    fn row(&mut self, element: &BytesStart<'_>) -> Result<(), WorkbookProblem> {
        let row = match number(element, "r")? {
            Some(number) => number.checked_sub(1).filter(|row| *row <= LAST_ROW).ok_or_else(bad_place)?,
            None => self.next_row,
        };
        (self.next_row, self.next_column) = (row + 1, 0);
        if attribute(element, "hidden")?.is_some_and(|value| is_true(&value)) || is_zero(element, "ht")? {
            self.sheet.hide_rows(row, row);
        }
        Ok(())
    }

    fn head(&mut self, element: &BytesStart<'_>) -> Result<Head, WorkbookProblem> {
        let mut head = Head { row: self.next_row.saturating_sub(1), column: self.next_column, ..Head::default() };
        for attribute in attributes(element) {
            let (name, value) = attribute?;
            match name {
                "r" => (head.row, head.column) = place(&value)?,
                "s" => head.style = value.parse().unwrap_or(0),
                "t" => {
                    head.kind = match &*value {
                        "n" => Type::Number,
                        "s" => Type::Shared,
                        "str" => Type::Text,
                        "inlineStr" => Type::Inline,
                        "b" => Type::Bool,
                        "e" => Type::Error,
                        "d" => Type::Date,
                        _ => return Err(WorkbookProblem::damaged("a cell has an unknown type")),
                    }
                }
                _ => {}
            }
        }
        self.next_column = head.column + 1;
        Ok(head)
    }

    /// Reads up to the end of the cell.
    fn cell(&mut self, xml: &mut Xml<'_>, head: &Head) -> Result<(), WorkbookProblem> {
        let (mut formula, mut has_value) = (false, false);
        self.value.clear();
        loop {
            match xml.next()? {
                Node::Start(element) => match element.local_name().as_ref() {
                    "v" if head.kind != Type::Inline => {
                        has_value = true;
                        xml.text(Some(&mut self.value))?;
                    }
                    "is" => {
                        has_value = true;
                        rich_text(xml, &mut self.value)?;
                    }
                    "f" => {
                        formula = true;
                        xml.skip()?;
                    }
                    _ => xml.skip()?,
                },
                Node::End(_) => break,
                _ => {}
            }
        }
        // An empty text is the only value that is empty.
        let empty = !has_value || (self.value.is_empty() && head.kind != Type::Text);
        // Programs that cannot calculate leave the value out; or write 0 and ask for all to be worked out on opening.
        let pending = self.uncalculated && head.kind == Type::Number && self.value.trim().parse() == Ok(0.0);
        if formula && (empty || pending) {
            return self.sheet.fault(head.row, head.column, Fault::NoValue);
        }
        if empty {
            return Ok(());
        }
        self.value(head)
    }

    fn value(&mut self, head: &Head) -> Result<(), WorkbookProblem> {
        let format = Rc::clone(self.formats.get(head.style).unwrap_or(&self.general));
        let value = self.value.as_str();
        let text = match head.kind {
            Type::Shared => {
                let nth: usize = value.trim().parse().map_err(|_| bad_value())?;
                let text = *self.strings.get(nth).ok_or_else(bad_value)?;
                if format.dresses_text() {
                    let plain = self.sheet.text(text).to_owned();
                    self.sheet.keep_with(|texts| format.push_text(&plain, texts))?
                } else {
                    text
                }
            }
            Type::Text => {
                let mut plain = String::new();
                push_unescaped(&mut plain, value);
                self.sheet.keep_with(|texts| format.push_text(&plain, texts))?
            }
            Type::Inline => self.sheet.keep_with(|texts| format.push_text(value, texts))?,
            Type::Bool => self.sheet.keep(if is_true(value.trim()) { "TRUE" } else { "FALSE" })?,
            Type::Error => return self.sheet.fault(head.row, head.column, Fault::Error(value.to_owned())),
            Type::Number | Type::Date => {
                let number = match head.kind {
                    Type::Date => serial_of_iso(value.trim(), self.dates),
                    _ => value.trim().parse().ok().filter(|number: &f64| number.is_finite()),
                };
                let number = number.ok_or_else(bad_value)?;
                self.sheet.keep_with(|texts| format.push_number(number, self.dates, texts))?
            }
        };
        self.sheet.put(head.row, head.column, text)
    }
}

fn is_zero(element: &BytesStart<'_>, name: &str) -> Result<bool, WorkbookProblem> {
    Ok(attribute(element, name)?.is_some_and(|value| value.trim().parse() == Ok(0.0)))
}

/// The row and column of `C12`, from 0; `$` before either is allowed.
fn place(reference: &str) -> Result<(u32, u32), WorkbookProblem> {
    let reference = reference.trim().trim_start_matches('$');
    let digits = reference.find(|c: char| !c.is_ascii_alphabetic()).ok_or_else(bad_place)?;
    let (letters, digits) = reference.split_at(digits);
    if letters.is_empty() || letters.len() > 3 {
        return Err(bad_place());
    }
    let column = letters.bytes().fold(0, |column, letter| column * 26 + u32::from(letter.to_ascii_uppercase() - b'@'));
    let row: u32 = digits.trim_start_matches('$').parse().map_err(|_| bad_place())?;
    match (row.checked_sub(1), column.checked_sub(1)) {
        (Some(row), Some(column)) if row <= LAST_ROW && column <= LAST_COLUMN => Ok((row, column)),
        _ => Err(bad_place()),
    }
}

fn bad_place() -> WorkbookProblem {
    WorkbookProblem::damaged("a row or cell stands outside of any sheet")
}

fn bad_value() -> WorkbookProblem {
    WorkbookProblem::damaged("a cell's value cannot be read")
}
