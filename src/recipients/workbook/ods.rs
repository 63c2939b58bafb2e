//! OpenDocument spreadsheets (ODF 1.3): what a cell shows stands in the file, as paragraphs.

use jiff::{Unit, civil};
use quick_xml::events::BytesStart;

use super::{
    Listed, Wanted, WorkbookProblem, choose, is_like,
    number::push_general,
    ods_styles::{Moment, Styles},
    package::{Node, Package, Xml, attribute, attributes},
    sheet::{Builder, Fault, Merge, Sheet, Text},
    shown::push_clock,
};

/// How a file of this kind says so.
pub(super) const MIME_TYPE: &str = "application/vnd.oasis.opendocument.spreadsheet";

/// What a formula shows that went wrong. Only LibreOffice marks such a cell in another way, too.
const ERRORS: [&str; 7] = ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"];

/// Reads the sheet that is wanted.
pub(super) fn read(package: &mut Package<'_>, wanted: &Wanted<'_>) -> Result<Sheet, WorkbookProblem> {
    if let Some(mut xml) = package.xml("META-INF/manifest.xml")? {
        loop {
            match xml.next()? {
                Node::Start(element) if element.local_name().as_ref() == "encryption-data" => {
                    return Err(WorkbookProblem::Protected);
                }
                Node::Done => break,
                _ => {}
            }
        }
    }
    let mut styles = Styles::default();
    if let Some(mut xml) = package.xml("styles.xml")? {
        loop {
            match xml.next()? {
                Node::Start(element) => styles.element(&element)?,
                Node::Done => break,
                _ => {}
            }
        }
    }
    let mut xml = package.needed_xml("content.xml")?;
    let mut tables: Vec<Listed<bool>> = Vec::new();
    let mut found: Option<(usize, Builder<'_>)> = None;
    let mut best = 0;
    loop {
        match xml.next()? {
            Node::Start(element) => match element.local_name().as_ref() {
                "table" => {
                    let name = attribute(&element, "table:name")?.unwrap_or_default().into_owned();
                    let style = attribute(&element, "table:style-name")?.unwrap_or_default();
                    let hidden = styles.hides_table(&style);
                    // Copies of sheets from other files, for formulas that ask for them.
                    if name.starts_with("'file:") {
                        xml.skip()?;
                        continue;
                    }
                    // The name that is meant may come later, when a similar one was found.
                    let rank = match wanted.sheet {
                        None => u8::from(!hidden),
                        Some(wanted) if wanted == name => 2,
                        Some(wanted) => u8::from(is_like(wanted, &name)),
                    };
                    let holds = if rank > best {
                        best = rank;
                        let mut table = Table::new(&styles, Builder::new(wanted));
                        table.whole(&mut xml)?;
                        found = Some((tables.len(), table.sheet));
                        true
                    } else {
                        holds_something(&mut xml)?
                    };
                    tables.push(Listed { name, hidden, at: holds });
                }
                "tracked-changes" | "dde-links" | "content-validations" => xml.skip()?,
                _ => styles.element(&element)?,
            },
            Node::Done => break,
            _ => {}
        }
    }
    let Some((chosen, sheet)) = found else {
        return Err(choose(&tables, wanted.sheet).err().unwrap_or(WorkbookProblem::NoSheet));
    };
    let others = tables.iter().enumerate().filter(|(nth, table)| *nth != chosen && !table.hidden && table.at).count();
    sheet.finish(&tables[chosen].name, tables[chosen].hidden, others)
}

/// Whether a table that is not read has any value; goes to its end.
fn holds_something(xml: &mut Xml<'_>) -> Result<bool, WorkbookProblem> {
    let (mut depth, mut holds) = (1_u64, false);
    while depth > 0 {
        match xml.next()? {
            Node::Start(element) if element.local_name().as_ref() == "shapes" => xml.skip()?,
            Node::Start(element) => {
                depth += 1;
                holds |= element.local_name().as_ref() == "table-cell"
                    && attribute(&element, "office:value-type")?.or(attribute(&element, "table:formula")?).is_some();
            }
            Node::End(_) => depth -= 1,
            _ => {}
        }
    }
    Ok(holds)
}

/// One table while it is read.
struct Table<'s, 'w> {
    styles: &'s Styles,
    sheet: Builder<'w>,
    /// The first of each stretch of columns, and their default style.
    columns: Vec<(u32, String)>,
    next_column: u32,
    next_row: u32,
    /// Of the groups around a row or column, those that are folded away.
    folded: Vec<bool>,
}

/// A stretch of equal cells in a row.
struct Cells {
    first: u32,
    repeated: u32,
    value: Value,
    spanned: (u32, u32),
}

enum Value {
    Text(Text),
    Fault(Fault),
}

impl<'s, 'w> Table<'s, 'w> {
    fn new(styles: &'s Styles, sheet: Builder<'w>) -> Self {
        let (columns, folded) = (Vec::new(), Vec::new());
        Self { styles, sheet, columns, next_column: 0, next_row: 0, folded }
    }

    /// Reads up to the end of the table.
    fn whole(&mut self, xml: &mut Xml<'_>) -> Result<(), WorkbookProblem> {
        loop {
            match xml.next()? {
                Node::Start(element) => match element.local_name().as_ref() {
                    "table-row-group" | "table-column-group" => {
                        self.folded.push(attribute(&element, "table:display")?.as_deref() == Some("false"));
                    }
                    "table-header-rows" | "table-rows" | "table-header-columns" | "table-columns" => {}
                    "table-column" => {
                        self.column(&element)?;
                        xml.skip()?;
                    }
                    "table-row" => {
                        let row = RowHead::of(&element, self)?;
                        self.row(xml, &row)?;
                    }
                    _ => xml.skip()?,
                },
                Node::End(name) => match &*name {
                    "table-row-group" | "table-column-group" => drop(self.folded.pop()),
                    "table" => return Ok(()),
                    _ => {}
                },
                _ => {}
            }
        }
    }

    fn is_folded(&self) -> bool {
        self.folded.contains(&true)
    }

    fn column(&mut self, element: &BytesStart<'_>) -> Result<(), WorkbookProblem> {
        let (mut repeated, mut hidden, mut default) = (1, self.is_folded(), String::new());
        for attribute in attributes(element) {
            match attribute? {
                ("table:number-columns-repeated", value) => repeated = count(&value)?,
                ("table:visibility", value) => hidden |= value != "visible",
                ("table:style-name", value) => hidden |= self.styles.narrows_column(&value),
                ("table:default-cell-style-name", value) => default = value.into_owned(),
                _ => {}
            }
        }
        let first = self.next_column;
        self.next_column = first.saturating_add(repeated);
        if hidden {
            self.sheet.hide_columns(first, self.next_column.saturating_sub(1));
        }
        self.columns.push((first, default));
        Ok(())
    }

    fn row(&mut self, xml: &mut Xml<'_>, row: &RowHead) -> Result<(), WorkbookProblem> {
        let number = self.next_row;
        self.next_row = number.saturating_add(row.repeated);
        if row.hidden && row.repeated > 0 {
            self.sheet.hide_rows(number, self.next_row - 1);
        }
        let mut cells: Vec<Cells> = Vec::new();
        let mut column = 0_u32;
        loop {
            match xml.next()? {
                Node::Start(element) => {
                    let name = element.local_name();
                    let is_covered = name.as_ref() == "covered-table-cell";
                    if !is_covered && name.as_ref() != "table-cell" {
                        xml.skip()?;
                        continue;
                    }
                    let mut head = CellHead::of(&element)?;
                    if head.style.is_empty() {
                        head.style =
                            if row.default.is_empty() { self.default(column) } else { &row.default }.to_owned();
                    }
                    let value = self.value(xml, &head)?;
                    let (first, repeated, spanned) = (column, head.repeated, head.spanned);
                    column = column.saturating_add(repeated);
                    let nothing = matches!(value, Value::Text(text) if text.is_empty()) && spanned == (1, 1);
                    // A covered cell shows what the merged cell shows.
                    if !is_covered && !nothing {
                        cells.push(Cells { first, repeated, value, spanned });
                    }
                }
                Node::End(_) => break,
                _ => {}
            }
        }
        if !cells.is_empty() {
            self.put(number, row, &cells)?;
        }
        Ok(())
    }

    /// Puts the cells of a row into the sheet, as often as the row is there.
    fn put(&mut self, number: u32, row: &RowHead, cells: &[Cells]) -> Result<(), WorkbookProblem> {
        for number in number..number.saturating_add(row.repeated) {
            for cells in cells {
                for column in cells.first..cells.first.saturating_add(cells.repeated) {
                    match &cells.value {
                        Value::Text(text) => self.sheet.put(number, column, *text)?,
                        Value::Fault(fault) => self.sheet.fault(number, column, fault.clone())?,
                    }
                    if cells.spanned != (1, 1) {
                        let last = |first: u32, count: u32| first.saturating_add(count.saturating_sub(1));
                        let rows = (number, last(number, cells.spanned.0));
                        self.sheet.merge(Merge { rows, columns: (column, last(column, cells.spanned.1)) })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn default(&self, column: u32) -> &str {
        let after = self.columns.partition_point(|(first, _)| *first <= column);
        after.checked_sub(1).map_or("", |before| &self.columns[before].1)
    }

    /// Reads up to the end of the cell.
    fn value(&mut self, xml: &mut Xml<'_>, head: &CellHead) -> Result<Value, WorkbookProblem> {
        let (mut shown, mut has_shown) = (String::new(), false);
        loop {
            match xml.next()? {
                Node::Start(element) if element.local_name().as_ref() == "p" => {
                    if has_shown {
                        shown.push('\n');
                    }
                    has_shown = true;
                    paragraph(xml, &mut shown)?;
                }
                // Comments, pictures, tables within the cell.
                Node::Start(_) => xml.skip()?,
                Node::End(_) => break,
                _ => {}
            }
        }
        if head.is_error || (head.formula && ERRORS.contains(&shown.as_str())) {
            return Ok(Value::Fault(Fault::Error(shown)));
        }
        if head.formula && !has_shown && head.value.is_empty() {
            return Ok(Value::Fault(Fault::NoValue));
        }
        let moment = self.styles.moment(&head.style);
        let text = match head.kind.as_str() {
            "date" => date(&head.value, moment),
            "time" => time(&head.value, moment),
            _ => None,
        };
        let text = match (text, head.kind.as_str()) {
            (Some(text), _) => text,
            // Spaces at the ends only line numbers up below each other.
            (None, "float" | "currency" | "percentage") if has_shown => shown.trim_matches(' ').to_owned(),
            (None, _) if has_shown => shown,
            (None, "float" | "currency" | "percentage") => match head.value.parse() {
                Ok(number) => general(number),
                Err(_) => String::new(),
            },
            (None, "boolean") => head.value.to_uppercase(),
            (None, _) => head.value.clone(),
        };
        self.sheet.keep(&text).map(Value::Text)
    }
}

/// What a row's element says.
struct RowHead {
    repeated: u32,
    hidden: bool,
    default: String,
}

impl RowHead {
    fn of(element: &BytesStart<'_>, table: &Table<'_, '_>) -> Result<Self, WorkbookProblem> {
        let mut row = Self { repeated: 1, hidden: table.is_folded(), default: String::new() };
        for attribute in attributes(element) {
            match attribute? {
                ("table:number-rows-repeated", value) => row.repeated = count(&value)?,
                // By hand it is `collapse`, by a filter `filter`.
                ("table:visibility", value) => row.hidden |= value != "visible",
                ("table:style-name", value) => row.hidden |= table.styles.flattens_row(&value),
                ("table:default-cell-style-name", value) => row.default = value.into_owned(),
                _ => {}
            }
        }
        Ok(row)
    }
}

/// What a cell's element says.
struct CellHead {
    repeated: u32,
    /// Rows and columns.
    spanned: (u32, u32),
    style: String,
    formula: bool,
    is_error: bool,
    kind: String,
    value: String,
}

impl CellHead {
    fn of(element: &BytesStart<'_>) -> Result<Self, WorkbookProblem> {
        let (style, kind, value) = (String::new(), String::new(), String::new());
        let mut cell = Self { repeated: 1, spanned: (1, 1), style, formula: false, is_error: false, kind, value };
        for attribute in attributes(element) {
            match attribute? {
                ("table:number-columns-repeated", value) => cell.repeated = count(&value)?,
                ("table:number-columns-spanned", value) => cell.spanned.1 = count(&value)?,
                ("table:number-rows-spanned", value) => cell.spanned.0 = count(&value)?,
                ("table:style-name", value) => cell.style = value.into_owned(),
                ("table:formula", _) => cell.formula = true,
                ("calcext:value-type", value) => cell.is_error = value == "error",
                ("office:value-type", value) => cell.kind = value.into_owned(),
                (
                    "office:value"
                    | "office:date-value"
                    | "office:time-value"
                    | "office:boolean-value"
                    | "office:string-value",
                    value,
                ) => cell.value = value.into_owned(),
                _ => {}
            }
        }
        Ok(cell)
    }
}

fn count(value: &str) -> Result<u32, WorkbookProblem> {
    value.trim().parse().map_err(|_| WorkbookProblem::damaged("a number of rows or columns is no number"))
}

/// Appends the text of a paragraph, up to its end (ODF 1.3 part 3 §6.1).
fn paragraph(xml: &mut Xml<'_>, out: &mut String) -> Result<(), WorkbookProblem> {
    let mut depth = 1_u64;
    // Spaces and line ends in the file are one space each time, and none at the beginning.
    let mut after_space = true;
    while depth > 0 {
        match xml.next()? {
            Node::Start(element) => match element.local_name().as_ref() {
                "s" => {
                    let spaces = attribute(&element, "text:c")?.map_or(Ok(1), |spaces| count(&spaces))?;
                    // More do not fit into a cell.
                    out.extend(std::iter::repeat_n(' ', spaces.min(MOST_SPACES) as usize));
                    after_space = false;
                    xml.skip()?;
                }
                "tab" | "line-break" => {
                    out.push(if element.local_name().as_ref() == "tab" { '\t' } else { '\n' });
                    after_space = false;
                    xml.skip()?;
                }
                "annotation" | "note" | "ruby-text" => xml.skip()?,
                _ if element.name().as_ref().starts_with("draw:") => xml.skip()?,
                _ => depth += 1,
            },
            Node::Text(text) => {
                for c in text.chars() {
                    let space = matches!(c, ' ' | '\t' | '\n' | '\r');
                    if !(space && after_space) {
                        out.push(if space { ' ' } else { c });
                    }
                    after_space = space;
                }
            }
            Node::End(_) => depth -= 1,
            Node::Nothing | Node::Done => {}
        }
    }
    Ok(())
}

const MOST_SPACES: u32 = 1000;

/// `2026-11-24T14:30:00` as its format has it: with its time, or without.
fn date(value: &str, moment: Option<Moment>) -> Option<String> {
    let with_time = moment.map_or(value.contains('T'), |moment| moment.time);
    let value: civil::DateTime = value.trim_end_matches('Z').parse().ok()?;
    // LibreOffice writes 14:29:59.999999998.
    let value = value.round(Unit::Second).ok()?;
    let mut text = value.date().to_string();
    if with_time {
        text.push(' ');
        push_clock(
            i64::from(value.hour()) * 3600 + i64::from(value.minute()) * 60 + i64::from(value.second()),
            &mut text,
        );
    }
    Some(text)
}

/// `PT14H30M00S` as a time of day; a length of time is shown as the sheet does.
fn time(value: &str, moment: Option<Moment>) -> Option<String> {
    let value: jiff::SignedDuration = value.parse().ok()?;
    let seconds = value.round(Unit::Second).ok()?.as_secs();
    let is_span = moment.map_or(seconds >= 86_400, |moment| moment.span);
    if is_span || seconds < 0 {
        return None;
    }
    let mut text = String::new();
    push_clock(seconds % 86_400, &mut text);
    Some(text)
}

fn general(number: f64) -> String {
    let mut text = String::new();
    push_general(number, &mut text);
    text
}
