//! Text among bytes that are not known: a camera's notes in a picture, the paragraphs of an old Word document.

use encoding_rs::WINDOWS_1252;

use super::{super::coded::resolved, Walk};

/// Shorter runs are taken for chance. No address is shorter than `a@b.cd`.
const SHORTEST: usize = 5;

/// Gives out all strings of single bytes and all in UTF-16.
pub(super) fn say(walk: &mut Walk<'_>, bytes: &[u8]) {
    walk.guess("", &narrow(bytes));
    walk.guess("", &wide(bytes));
}

/// Runs of printable bytes, each on a line: as UTF-8 where they are, otherwise as Windows-1252.
pub(super) fn narrow(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.split(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        let ascii = run.iter().filter(|byte| byte.is_ascii()).count();
        if run.len() < SHORTEST || ascii < SHORTEST {
            continue;
        }
        match std::str::from_utf8(run) {
            // XMP is XML.
            Ok(run) if run.contains('&') => text.push_str(&resolved(run)),
            Ok(run) => text.push_str(run),
            Err(_) => text.push_str(&WINDOWS_1252.decode_without_bom_handling(run).0),
        }
        text.push('\n');
    }
    text
}

/// Runs of UTF-16, each on a line, at even places and at odd ones: little-endian as Windows writes it, and big-endian
/// as far as it is ASCII.
pub(super) fn wide(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at + 1 < bytes.len() {
        if bytes[at] == 0 && bytes[at + 1] == 0 {
            at += 1;
            continue;
        }
        // The zero before a little-endian text makes it look big-endian; who reads further is right.
        let big = run(bytes, at, u16::from_be_bytes, |c| matches!(c, ' '..='~'));
        let start = if big > 0 { at + 1 } else { at };
        let little = run(bytes, start, u16::from_le_bytes, is_written);
        let (start, units, little) = if little >= big { (start, little, true) } else { (at, big, false) };
        if units < SHORTEST {
            at += 1;
            continue;
        }
        let end = start + 2 * units;
        let from = if little { u16::from_le_bytes } else { u16::from_be_bytes };
        let pairs = bytes[start..end].chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
        text.extend(char::decode_utf16(pairs).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        text.push('\n');
        at = end;
    }
    text
}

/// How many units of UTF-16 from a place on are characters that are wanted.
fn run(bytes: &[u8], start: usize, unit: impl Fn([u8; 2]) -> u16, wanted: impl Fn(char) -> bool) -> usize {
    let units = bytes[start..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    units.take_while(|unit| char::from_u32(u32::from(*unit)).is_some_and(&wanted)).count()
}

/// Latin, Greek and Cyrillic. In other scripts any two bytes would be a character.
fn is_written(c: char) -> bool {
    matches!(c, '\t' | ' '..='~' | '\u{2010}'..='\u{201f}') || (c < '\u{590}' && c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, from: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(from).collect()
    }

    #[test]
    fn strings_are_found_in_either_width() {
        assert_eq!(narrow(b"\0\x01ada@one.example\0\x02ab\0J\xf6rg B."), "ada@one.example\nJörg B.\n");
        for before in [&b""[..], b"\0", b"\0\0", b"\x0f\0\0\0", b"\x01\x02\x03"] {
            for after in [&b""[..], b"\0", b"\0\0", b"\x07\x0c"] {
                for from in [u16::to_le_bytes, u16::to_be_bytes] {
                    let whole = [before, &utf16("ada@one.example", from), after].concat();
                    assert_eq!(wide(&whole), "ada@one.example\n", "{whole:?}");
                }
            }
        }
        assert_eq!(wide(&utf16("\u{1}Zoë Жук ada@one.example", u16::to_le_bytes)), "Zoë Жук ada@one.example\n");
    }
}
