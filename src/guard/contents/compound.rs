//! Compound files (MS-CFB): what Office wrote before 2007, Outlook's messages, and encrypted documents.
//!
//! Their formats are not read. The strings in their streams are enough to find an address.

use std::io::Cursor;

use cfb::CompoundFile;

use super::{Obstacle, Opaque, Walk, strings};

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
    let starts = |beginning: &[u8]| bytes.starts_with(beginning);
    // MS-OXMSG §2.1.3: the property 0x3701 holds the bytes of an attachment. Packages of Office are files too.
    let file = last.starts_with("__substg1.0_3701") || last == "Package" || last == "CONTENTS";
    if file && !bytes.is_empty() {
        return walk.inside(name, bytes);
    }
    if last == "Workbook" || last == "Book" {
        walk.say(name, &without_records(bytes));
    }
    walk.say(name, &strings::narrow(bytes));
    walk.say(name, &strings::wide(bytes));
    let encrypted = match last {
        "EncryptedPackage" | "EncryptedSummary" => true,
        // MS-DOC §2.5.1: the bit fEncrypted
        "WordDocument" => bytes.get(11).is_some_and(|flags| flags & 1 == 1),
        // MS-PPT §2.3.2: the headerToken of an encrypted document
        "Current User" => bytes.get(12..16) == Some(&[0xdf, 0xc4, 0xd1, 0xf3]),
        "Workbook" | "Book" => records(bytes).take(50).any(|(kind, _)| kind == FILE_PASS),
        _ => false,
    };
    match () {
        () if encrypted => Err(Opaque::Password),
        // MS-OXRTFCP: text that Outlook has packed. There mostly is the same text in the clear.
        () if last.starts_with("__substg1.0_1009") && starts_compressed_rtf(bytes) => Ok(()),
        () if starts(b"-----BEGIN PGP MESSAGE-----") => Err(Opaque::Password),
        () => Ok(()),
    }
}

fn starts_compressed_rtf(bytes: &[u8]) -> bool {
    bytes.get(8..12) == Some(b"LZFu")
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
