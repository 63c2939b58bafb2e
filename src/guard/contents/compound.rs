//! Compound files (MS-CFB): what Office wrote before 2007, Outlook's messages, and encrypted documents.
//!
//! Their formats are not read. The strings in their streams are enough to find an address.

use std::io::Cursor;

use cfb::CompoundFile;

use super::{Obstacle, Opaque, Walk, rtf, strings};

/// Goes through all streams.
pub(super) fn read(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<(), Opaque> {
    let Ok(mut file) = CompoundFile::open(Cursor::new(bytes)) else {
        // Its sectors can still be searched as they lie.
        strings::say(walk, bytes);
        return Err(Opaque::Damaged);
    };
    let mut obstacle = Obstacle::default();
    let streams: Vec<_> = file.walk().filter(cfb::Entry::is_stream).map(|entry| entry.path().to_owned()).collect();
    for path in streams {
        let Ok(stream) = file.open_stream(&path) else {
            obstacle.note(Err(Opaque::Damaged))?;
            continue;
        };
        let unpacked = walk.unpack(stream)?;
        if !unpacked.whole {
            obstacle.note(Err(Opaque::Damaged))?;
        }
        let name: String = path.to_string_lossy().trim_start_matches('/').chars().filter(|c| !c.is_control()).collect();
        obstacle.note(part(walk, &name, &unpacked.bytes))?;
    }
    obstacle.finish()
}

fn part(walk: &mut Walk<'_>, name: &str, bytes: &[u8]) -> Result<(), Opaque> {
    walk.count_member()?;
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    // MS-OXMSG §2.1.3: the property 0x3701 holds the bytes of an attachment. Packages of Office are files too.
    let file = last.starts_with("__substg1.0_3701") || last == "Package" || last == "CONTENTS";
    if file && !bytes.is_empty() {
        return walk.inside(name, bytes);
    }
    if last == "Workbook" || last == "Book" {
        walk.say(name, &without_records(bytes));
    }
    for text in [strings::narrow(bytes), strings::wide(bytes)] {
        match last {
            "Data" | "Pictures" => walk.guess(name, &text),
            _ => walk.say(name, &text),
        }
    }
    let encrypted = match last {
        "EncryptedPackage" | "EncryptedSummary" => true,
        // MS-DOC §2.5.1: the bit fEncrypted
        "WordDocument" => bytes.get(11).is_some_and(|flags| flags & 1 == 1),
        // MS-PPT §2.3.2: the headerToken of an encrypted document
        "Current User" => bytes.get(12..16) == Some(&[0xdf, 0xc4, 0xd1, 0xf3]),
        "Workbook" | "Book" => records(bytes).take(50).any(|(kind, _)| kind == FILE_PASS),
        _ => false,
    };
    if encrypted {
        return Err(Opaque::Password);
    }
    // MS-OXMSG §2.1.3: the property 0x1009 holds the text of a message as packed RTF.
    match last.starts_with("__substg1.0_1009").then(|| rtf_unpacked(bytes)).flatten() {
        Some(text) => {
            walk.charge(text.len())?;
            rtf::read(walk, &text)
        }
        None => Ok(()),
    }
}

/// What is known at the beginning of packed RTF (MS-OXRTFCP §2.1.2.1).
const RTF_KNOWN: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
    \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\
    \\i\\u\\tab\\tx";

/// MS-OXRTFCP §2.2: after a head of 16 bytes eight items for each byte of flags, single bytes and pieces of what came before.
fn rtf_unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.get(8..12)? != b"LZFu" {
        return None;
    }
    let mut out = RTF_KNOWN.to_vec();
    let mut rest = bytes.get(16..)?;
    'all: while let [flags, after @ ..] = rest {
        rest = after;
        for bit in 0..8 {
            match rest {
                [high, low, after @ ..] if flags >> bit & 1 == 1 => {
                    let place = usize::from(*high) << 4 | usize::from(*low >> 4);
                    // Places are counted around a ring of 4096 bytes; the one that comes next is the end.
                    let back = (out.len() + 4096 - place) % 4096;
                    if back == 0 {
                        break 'all;
                    }
                    for _ in 0..usize::from(low & 15) + 2 {
                        out.push(*out.get(out.len().checked_sub(back)?)?);
                    }
                    rest = after;
                }
                [byte, after @ ..] => {
                    out.push(*byte);
                    rest = after;
                }
                [] => break 'all,
            }
        }
    }
    Some(out.split_off(RTF_KNOWN.len()))
}

const FILE_PASS: u16 = 0x2f;
const CONTINUE: u16 = 0x3c;

/// The records of a workbook (MS-XLS §2.1.4).
fn records(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let [k1, k2, l1, l2, after @ ..] = rest else { return None };
        let (kind, length) = (u16::from_le_bytes([*k1, *k2]), usize::from(u16::from_le_bytes([*l1, *l2])));
        let (data, after) = after.split_at(length.min(after.len()));
        rest = after;
        Some((kind, data))
    })
}

/// The strings that go on in another record. There they begin with a byte that says how wide they are (§2.5.293).
fn without_records(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut whole: Vec<u8> = Vec::new();
    let mut continued = false;
    for (kind, data) in records(bytes) {
        if kind == CONTINUE {
            whole.extend_from_slice(data.get(1..).unwrap_or_default());
            continued = true;
            continue;
        }
        if continued {
            text.push_str(&strings::narrow(&whole));
            text.push_str(&strings::wide(&whole));
        }
        (whole, continued) = (data.to_vec(), false);
    }
    if continued {
        text.push_str(&strings::narrow(&whole));
        text.push_str(&strings::wide(&whole));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_rtf_is_unpacked() {
        assert_eq!(RTF_KNOWN.len(), 207);
        // The example of MS-OXRTFCP §3.1.1
        let packed = b"\x2d\0\0\0\x2b\0\0\0LZFu\xf1\xc5\xc7\xa7\x03\0\x0a\0rcpg125B2\x0a\xf3 hel\x09\0 bw\x05\xb0ld}\x0a\x80\x0f\xa0";
        let text = rtf_unpacked(packed).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
    }
}
