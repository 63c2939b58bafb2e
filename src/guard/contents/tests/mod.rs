mod bombs;
mod office;
mod pdf;
mod plain;

use std::io::{Cursor, Write};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

/// Everything that comes out of a file, each text with its place before it, and what was in the way.
fn all(name: &str, bytes: &[u8]) -> (String, Result<(), Opaque>) {
    let mut out = String::new();
    let found = texts(name, bytes, &mut |place, text, _| {
        out.push_str(&format!("[{place}] {text}\n"));
    });
    (out, found)
}

/// Asserts that a text is found in a file that can be looked into.
#[track_caller]
fn holds(name: &str, bytes: &[u8], wanted: &str) {
    let (out, found) = all(name, bytes);
    assert!(out.contains(wanted), "{name}: {wanted} is not in {out}");
    assert_eq!(found, Ok(()), "{name}: {out}");
}

/// Asserts that a file cannot be looked into, and says so in these words.
#[track_caller]
fn is_opaque(name: &str, bytes: &[u8], why: &str) -> String {
    let (out, found) = all(name, bytes);
    assert_eq!(found.err().map(|why| why.to_string()).as_deref(), Some(why), "{name}: {out}");
    out
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(members, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
}

fn zip_with(members: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Bytes changed in a few places, the same ones for the same number.
fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (below.max(1) as u64)).unwrap()
    };
    let mut bytes = bytes.to_vec();
    for _ in 0..=next(8) {
        let at = next(bytes.len());
        match next(5) {
            0 => bytes[at] ^= 1 << next(8),
            1 => bytes[at] = b"0123456789<>[]()/ RQz\xff"[next(22)],
            2 => bytes.truncate(at.max(1)),
            3 => {
                let end = (at + next(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = next(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let end = (at + next(20)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

/// How many changed files are tried.
fn tries() -> u64 {
    if std::env::var_os("APIECE_LONG").is_some() { 20_000 } else { 300 }
}
