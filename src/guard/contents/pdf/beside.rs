//! What is in a PDF besides its pages: strings of all kinds, metadata, forms, scripts and embedded files.

use std::collections::HashSet;

use super::{
    super::{Obstacle, Opaque, Walk, markup, strings, text},
    File,
    content::{Drawing, Page},
    object::{self, Dict, Object, says},
};

/// Gives out every string in an object (targets of links, comments, values of form fields, outlines, who made the file), and
/// the text of every stream that is not one of a page.
pub(super) fn read<'f>(walk: &mut Walk<'_>, file: &'f File<'_>, drawing: &mut Drawing<'f>) -> Result<(), Opaque> {
    let mut obstacle = Obstacle::default();
    let mut numbers: Vec<u32> = file.objects.keys().copied().collect();
    numbers.sort_unstable();
    let mut found = Strings::default();
    for object in numbers.iter().filter_map(|number| file.objects.get(number)) {
        found.add(object);
    }
    walk.say("links, notes, fields and properties", &found.text);
    let mut embedded: HashSet<usize> = HashSet::new();
    for dict in found.files {
        let name = ["UF", "F"].iter().find_map(|key| match file.get(dict, key)? {
            Object::String(name) => Some(object::text(name)),
            _ => None,
        });
        let streams = file.get(dict, "EF").and_then(Object::dict).into_iter().flat_map(|streams| streams.values());
        for stream in streams.map(|stream| file.resolve(stream)) {
            // UF and F are mostly the same.
            if !embedded.insert(std::ptr::from_ref(stream).addr()) {
                continue;
            }
            if let Some(bytes) = file.decode(walk, stream)? {
                obstacle.note(walk.inside(name.as_deref().unwrap_or("an embedded file"), &bytes))?;
            }
        }
    }
    drawing.page = Page::default();
    for object in numbers.iter().filter_map(|number| file.objects.get(number)) {
        let Object::Stream(dict, range) = object else { continue };
        if embedded.contains(&std::ptr::from_ref(object).addr()) || drawing.has_drawn(object) {
            continue;
        }
        match kind(dict) {
            Stream::Picture => walk.guess("a picture", &strings::narrow(&file.bytes[range.clone()])),
            // How a field or a note looks, or a form that no page draws
            Stream::Form => {
                drawing.page.pen.line();
                drawing.form(walk, object)?;
            }
            Stream::Embedded => {
                if let Some(bytes) = file.decode(walk, object)? {
                    obstacle.note(walk.inside("an embedded file", &bytes))?;
                }
            }
            Stream::Any => {
                if let Some(bytes) = file.decode(walk, object)? {
                    obstacle.note(any(walk, &bytes))?;
                }
            }
            Stream::Machinery => {}
        }
    }
    walk.say("fields, notes and forms", &drawing.page.pen.text);
    walk.say("fields, notes and forms", &drawing.page.instead);
    obstacle.finish()
}

enum Stream {
    Picture,
    Form,
    Embedded,
    /// Fonts, colours, functions
    Machinery,
    Any,
}

fn kind(dict: &Dict) -> Stream {
    let has = |key: &str| dict.contains_key(key);
    let packed_as = |name: &str| match dict.get("Filter") {
        Some(Object::Array(names)) => names.last().and_then(Object::name) == Some(name),
        filter => filter.and_then(Object::name) == Some(name),
    };
    match () {
        // Only of these the bytes are those of a file with notes of its own.
        () if packed_as("DCTDecode") || packed_as("JPXDecode") => Stream::Picture,
        () if says(dict, "Subtype", "Form") || has("PatternType") => Stream::Form,
        () if says(dict, "Type", "EmbeddedFile") => Stream::Embedded,
        () if says(dict, "Type", "Metadata") => Stream::Any,
        () if says(dict, "Subtype", "Image") || has("FunctionType") || has("ShadingType") => Stream::Machinery,
        () if has("Length1") || has("Alternate") || has("N") || has("CMapName") || says(dict, "Type", "CMap") => {
            Stream::Machinery
        }
        () if ["Type1C", "CIDFontType0C", "OpenType"].iter().any(|kind| says(dict, "Subtype", kind)) => {
            Stream::Machinery
        }
        () => Stream::Any,
    }
}

/// Metadata, a form as XML, a script, or what draws a page.
fn any(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<(), Opaque> {
    if !text::is_text(bytes) {
        return Ok(());
    }
    let source = text::decode(bytes);
    if source.trim_start().starts_with('<') {
        return markup::say(walk, "metadata", &source);
    }
    // A table of a font, or a glyph of a Type 3 font (§9.6.5)
    let start: Vec<&str> = source.split_whitespace().take(8).collect();
    if !source.contains("begincmap") && !start.contains(&"d0") && !start.contains(&"d1") {
        walk.say("scripts and the like", &source);
    }
    Ok(())
}

/// The strings for people, each on a line, and the dictionaries of embedded files.
#[derive(Default)]
struct Strings<'f> {
    text: String,
    files: Vec<&'f Dict>,
}

impl<'f> Strings<'f> {
    fn add(&mut self, object: &'f Object) {
        match object {
            Object::String(string) => {
                let text = object::text(string);
                // Identities and sums are bytes.
                if text.len() > 1 && !text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
                    self.text.push_str(&text);
                    self.text.push('\n');
                }
            }
            Object::Array(items) => items.iter().for_each(|item| self.add(item)),
            Object::Dict(dict) | Object::Stream(dict, _) => {
                if dict.contains_key("EF") {
                    self.files.push(dict);
                }
                // Names of sets of characters, and dates, are for programs.
                let values = dict.iter().filter(|(key, _)| {
                    !matches!(key.as_str(), "Registry" | "Ordering" | "CreationDate" | "ModDate" | "M" | "ID")
                });
                for (_, value) in values {
                    self.add(value);
                }
            }
            _ => {}
        }
    }
}
