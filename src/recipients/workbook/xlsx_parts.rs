//! The parts of an .xlsx beside its sheets: the list of sheets, shared strings and number formats.

use std::{collections::HashMap, rc::Rc};

use super::{
    Listed, WorkbookProblem,
    package::{Node, Package, Xml, attribute, attributes, is_true, number},
    sheet::{Builder, Text},
    shown::{DateSystem, Format, built_in},
};

/// What the workbook part and its relations say.
#[derive(Debug)]
pub(super) struct Book {
    /// Sheets of cells, each with its part.
    pub(super) sheets: Vec<Listed<String>>,
    pub(super) dates: DateSystem,
    /// Whether formulas were left to be worked out by whoever opens the file.
    pub(super) uncalculated: bool,
    pub(super) strings: Option<String>,
    pub(super) styles: Option<String>,
}

impl Book {
    pub(super) fn read(package: &mut Package<'_>) -> Result<Self, WorkbookProblem> {
        let relations = relations(package, "_rels/.rels", "")?;
        let main = relations.into_iter().find(|relation| relation.kind == "officeDocument");
        let main =
            main.map(|relation| relation.part).ok_or(WorkbookProblem::Foreign("a zip archive without a workbook"))?;
        let (folder, file) = main.rsplit_once('/').unwrap_or(("", &main));
        let mut parts: HashMap<String, Relation> = HashMap::new();
        let mut book =
            Self { sheets: Vec::new(), dates: DateSystem::From1900, uncalculated: false, strings: None, styles: None };
        for relation in self::relations(package, &join(folder, &format!("_rels/{file}.rels")), folder)? {
            match relation.kind.as_str() {
                "sharedStrings" => book.strings = Some(relation.part),
                "styles" => book.styles = Some(relation.part),
                _ => {
                    parts.insert(relation.id.clone(), relation);
                }
            }
        }
        let mut xml = package.needed_xml(&main)?;
        loop {
            match xml.next()? {
                Node::Start(element) => match element.local_name().as_ref() {
                    "workbookPr" if attribute(&element, "date1904")?.is_some_and(|value| is_true(&value)) => {
                        book.dates = DateSystem::From1904;
                    }
                    "calcPr" => {
                        book.uncalculated = attribute(&element, "fullCalcOnLoad")?.is_some_and(|value| is_true(&value));
                    }
                    "sheet" => {
                        let (mut name, mut hidden, mut id) = (String::new(), false, String::new());
                        for attribute in attributes(&element) {
                            let (key, value) = attribute?;
                            match key {
                                "name" => name = value.into_owned(),
                                "state" => hidden = value != "visible",
                                _ if key.ends_with(":id") => id = value.into_owned(),
                                _ => {}
                            }
                        }
                        // Charts and old macro sheets have no cells.
                        if let Some(relation) = parts.get(&id)
                            && relation.kind == "worksheet"
                        {
                            book.sheets.push(Listed { name, hidden, at: relation.part.clone() });
                        }
                    }
                    _ => {}
                },
                Node::Done => return Ok(book),
                _ => {}
            }
        }
    }
}

/// Where one part leads.
struct Relation {
    id: String,
    /// The last word of its type.
    kind: String,
    part: String,
}

fn relations(package: &mut Package<'_>, name: &str, folder: &str) -> Result<Vec<Relation>, WorkbookProblem> {
    let mut xml = package.needed_xml(name)?;
    let mut relations = Vec::new();
    loop {
        match xml.next()? {
            Node::Start(element) if element.local_name().as_ref() == "Relationship" => {
                let (mut id, mut kind, mut part) = (String::new(), String::new(), String::new());
                for attribute in attributes(&element) {
                    match attribute? {
                        ("Id", value) => id = value.into_owned(),
                        ("Type", value) => kind = value.rsplit('/').next().unwrap_or("").into(),
                        ("Target", value) => part = join(folder, &value),
                        _ => {}
                    }
                }
                relations.push(Relation { id, kind, part });
            }
            Node::Done => return Ok(relations),
            _ => {}
        }
    }
}

/// A target as seen from a folder.
fn join(folder: &str, target: &str) -> String {
    let from_root = target.strip_prefix('/');
    let mut steps: Vec<&str> = match from_root {
        Some(_) => Vec::new(),
        None => folder.split('/').filter(|step| !step.is_empty()).collect(),
    };
    for step in from_root.unwrap_or(target).split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// The texts that cells refer to by number.
pub(super) fn strings(
    package: &mut Package<'_>,
    part: Option<&str>,
    sheet: &mut Builder<'_>,
) -> Result<Vec<Text>, WorkbookProblem> {
    let mut strings = Vec::new();
    let Some(part) = part else { return Ok(strings) };
    let Some(mut xml) = package.xml(part)? else { return Ok(strings) };
    let mut text = String::new();
    loop {
        match xml.next()? {
            Node::Start(element) if element.local_name().as_ref() == "si" => {
                text.clear();
                rich_text(&mut xml, &mut text)?;
                strings.push(sheet.keep(&text)?);
            }
            Node::Done => return Ok(strings),
            _ => {}
        }
    }
}

/// The text of an element that may be cut into pieces of different looks, up to the element's end.
pub(super) fn rich_text(xml: &mut Xml<'_>, text: &mut String) -> Result<(), WorkbookProblem> {
    let mut depth = 1_u64;
    let mut piece = String::new();
    while depth > 0 {
        match xml.next()? {
            Node::Start(element) => match element.local_name().as_ref() {
                "t" => {
                    piece.clear();
                    xml.text(Some(&mut piece))?;
                    push_unescaped(text, &piece);
                }
                // How Japanese text is read aloud; the sheet shows it only if asked to.
                "rPh" => xml.skip()?,
                _ => depth += 1,
            },
            Node::End(_) => depth -= 1,
            _ => {}
        }
    }
    Ok(())
}

/// ECMA-376 part 1 §22.9.2.19: `_x000D_` stands for the character of that number.
pub(super) fn push_unescaped(text: &mut String, escaped: &str) {
    let mut rest = escaped;
    while let Some(at) = rest.find("_x") {
        let digits = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let character = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match character {
            Some(character) => {
                text.push_str(&rest[..at]);
                text.push(character);
                rest = &rest[at + 7..];
            }
            None => {
                text.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    text.push_str(rest);
}

/// The number format of each style.
pub(super) fn formats(package: &mut Package<'_>, part: Option<&str>) -> Result<Vec<Rc<Format>>, WorkbookProblem> {
    let mut styles = Vec::new();
    let Some(part) = part else { return Ok(styles) };
    let Some(mut xml) = package.xml(part)? else { return Ok(styles) };
    let mut known: HashMap<u32, Rc<Format>> = HashMap::new();
    let mut in_cells = false;
    loop {
        match xml.next()? {
            Node::Start(element) => match element.local_name().as_ref() {
                // Those of differences, for conditional formats, come after the styles.
                "numFmt" if styles.is_empty() => {
                    if let (Some(id), Some(code)) = (number(&element, "numFmtId")?, attribute(&element, "formatCode")?)
                    {
                        known.insert(id, Rc::new(Format::new(&code)));
                    }
                }
                "cellXfs" => in_cells = true,
                "xf" if in_cells => {
                    let id = number(&element, "numFmtId")?.unwrap_or(0);
                    let format = known.entry(id).or_insert_with(|| Rc::new(Format::new(built_in(id))));
                    styles.push(Rc::clone(format));
                }
                _ => {}
            },
            Node::End(name) if name == "cellXfs" => in_cells = false,
            Node::Done => return Ok(styles),
            _ => {}
        }
    }
}
