//! PDF (ISO 32000-1): the text of its pages, and everything else in it that is text.
//!
//! The tables that say where each object lies are not used. All objects are found by looking for them, which works with
//! damaged files too, and which finds what a table no longer mentions: a PDF that was changed often still holds all that it
//! ever said. Everything that comes out of a stream counts towards the limits of the walk.

mod beside;
mod cmap;
mod content;
mod encoding;
mod file;
mod filters;
mod font;
mod object;
mod pages;
mod pen;

use file::File;

use super::{Opaque, Walk, strings};

/// Former versions of a file that are looked at.
const MOST_VERSIONS: usize = 8;

/// Gives out the text of a PDF.
pub(super) fn read(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<(), Opaque> {
    let torn = std::mem::take(&mut walk.torn);
    let file = File::read(walk, bytes)?;
    if file.is_encrypted() {
        strings::say(walk, bytes);
        return Err(Opaque::Password);
    }
    let found = pages::read(walk, &file);
    let found = if walk.torn { found.and(Err(Opaque::Damaged)) } else { found };
    walk.torn = torn;
    if file.was_changed {
        // ISO 32000-1 §7.5.6: each version ends with its own mark, and what comes later is added after it.
        let ends = bytes.windows(5).enumerate().filter(|(_, window)| window == b"%%EOF").map(|(at, _)| at + 5);
        let ends: Vec<usize> = ends.filter(|end| end + 20 < bytes.len()).collect();
        for end in ends.into_iter().rev().take(MOST_VERSIONS) {
            let version = File::read(walk, &bytes[..end])?;
            match pages::read(walk, &version) {
                Err(why) if why.is_final() => return Err(why),
                // What could not be looked into is known of the version that people see.
                _ => {}
            }
        }
    }
    found
}
