//! The pages in their order, and after them what is beside them.

use std::collections::HashSet;

use super::{
    super::{Obstacle, Opaque, Walk},
    File, beside,
    content::{Drawing, MOST_CURVES, Page},
    object::{Dict, Object, says},
};

/// More pages are not looked for.
const MOST_PAGES: usize = 20_000;

/// Resources are those of a group of pages if a page has none (§7.7.3.4).
const MOST_PARENTS: usize = 30;

/// Gives out the text of all pages, and of what is beside them.
pub(super) fn read(walk: &mut Walk<'_>, file: &File<'_>) -> Result<(), Opaque> {
    let mut obstacle = Obstacle::default();
    let pages = in_order(file);
    let mut drawing = Drawing::new(file);
    let (mut pictures, mut unreadable) = (Vec::new(), Vec::new());
    for (number, page) in (1..).zip(&pages) {
        drawing.page = Page::default();
        let source = instructions(walk, file, page, &mut drawing)?;
        drawing.follow(walk, &source, resources(file, page))?;
        let drawn = std::mem::take(&mut drawing.page);
        let place = format!("page {number}");
        walk.say(&place, &drawn.pen.text);
        walk.say(&place, &spaced_out(&drawn.pen.text));
        walk.say(&place, &drawn.instead);
        if !drawn.has_text && (drawn.has_picture || drawn.curves > MOST_CURVES) {
            pictures.push(number);
        }
        if drawn.pen.is_unreadable {
            unreadable.push(number);
        }
    }
    obstacle.note(beside::read(walk, file, &mut drawing))?;
    if !unreadable.is_empty() {
        obstacle.note(Err(Opaque::Letters(unreadable)))?;
    }
    if !pictures.is_empty() {
        obstacle.note(Err(Opaque::PicturePages(pictures)))?;
    }
    if pages.is_empty() || file.damaged {
        obstacle.note(Err(Opaque::Damaged))?;
    }
    obstacle.finish()
}

/// Addresses that are set with space between all letters, without it.
fn spaced_out(text: &str) -> String {
    let mut found = String::new();
    for line in text.lines().filter(|line| line.contains(" @ ")) {
        let mut run = String::new();
        for word in line.split(' ').chain(["end"]) {
            if word.chars().count() == 1 {
                run.push_str(word);
                continue;
            }
            if run.contains('@') {
                found.push_str(&run);
                found.push('\n');
            }
            run.clear();
        }
    }
    found
}

/// The pages as the document orders them, and then those that are in no order.
fn in_order<'f>(file: &'f File<'_>) -> Vec<&'f Dict> {
    let mut pages = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting: Vec<&Object> = file.catalog().and_then(|catalog| catalog.get("Pages")).into_iter().collect();
    while let Some(object) = waiting.pop() {
        let Some(dict) = file.resolve(object).dict() else { continue };
        if !seen.insert(std::ptr::from_ref(dict).addr()) || pages.len() >= MOST_PAGES {
            continue;
        }
        match file.get(dict, "Kids").and_then(Object::array) {
            Some(kids) => waiting.extend(kids.iter().rev()),
            None => pages.push(dict),
        }
    }
    let mut others: Vec<(&u32, &Dict)> = file
        .objects
        .iter()
        .filter_map(|(number, object)| Some((number, object.dict()?)))
        .filter(|(_, dict)| says(dict, "Type", "Page") && !seen.contains(&std::ptr::from_ref(*dict).addr()))
        .collect();
    others.sort_by_key(|(number, _)| **number);
    pages.extend(others.into_iter().map(|(_, dict)| dict).take(MOST_PAGES));
    pages
}

/// The instructions that draw a page. Its pieces may be cut anywhere between two words (§7.8.2).
fn instructions(
    walk: &mut Walk<'_>,
    file: &File<'_>,
    page: &Dict,
    drawing: &mut Drawing<'_>,
) -> Result<Vec<u8>, Opaque> {
    let pieces = match file.get(page, "Contents") {
        Some(Object::Array(pieces)) => pieces.iter().map(|piece| file.resolve(piece)).collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let mut source = Vec::new();
    for piece in pieces {
        drawing.is_drawn(piece);
        source.extend_from_slice(&file.decode(walk, piece)?.unwrap_or_default());
        source.push(b'\n');
    }
    Ok(source)
}

fn resources<'f>(file: &'f File<'_>, page: &'f Dict) -> Option<&'f Dict> {
    let mut dict = page;
    for _ in 0..MOST_PARENTS {
        if let Some(resources) = file.get(dict, "Resources") {
            return resources.dict();
        }
        dict = file.get(dict, "Parent")?.dict()?;
    }
    None
}
