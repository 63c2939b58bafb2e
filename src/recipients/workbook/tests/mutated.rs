use std::io::{Cursor, Read};

use proptest::{collection::vec, prelude::*};
use zip::ZipArchive;

use super::{WANTED, Wanted, fixture, read, zipped};
use crate::recipients::read::Rows;

/// One thing that happens to bytes.
#[derive(Debug, Clone)]
enum Harm {
    Set(usize, u8),
    Cut(usize),
    Twice(usize, usize),
    Drop(usize, usize),
    Insert(usize, Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    let word = prop_oneof![
        Just(b"4294967295".to_vec()),
        Just(b"-1".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"<".to_vec()),
        Just(b"&#0;".to_vec()),
        Just(b"\xff\xff\xff\xff".to_vec()),
        Just(b"\0\0\0\0".to_vec()),
    ];
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Harm::Set(at, byte)),
        1 => any::<usize>().prop_map(Harm::Cut),
        1 => (any::<usize>(), 1..400_usize).prop_map(|(at, length)| Harm::Twice(at, length)),
        1 => (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Harm::Drop(at, length)),
        2 => (any::<usize>(), word).prop_map(|(at, word)| Harm::Insert(at, word)),
    ]
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        let at = |at: usize| at % (bytes.len() + 1);
        match harm {
            Harm::Set(place, byte) => {
                let place = at(*place);
                bytes.get_mut(place).into_iter().for_each(|old| *old = *byte);
            }
            Harm::Cut(place) => bytes.truncate(at(*place)),
            Harm::Twice(place, length) => {
                let place = at(*place);
                let again = bytes[place..bytes.len().min(place + length)].to_vec();
                bytes.splice(place..place, again);
            }
            Harm::Drop(place, length) => {
                let place = at(*place);
                bytes.drain(place..bytes.len().min(place + length));
            }
            Harm::Insert(place, word) => {
                let place = at(*place);
                bytes.splice(place..place, word.iter().copied());
            }
        }
    }
    bytes
}

/// Reads every cell, if there is a sheet; that it ends and does not panic is the test.
fn exhaust(bytes: &[u8]) {
    for sheet in [None, Some("Formats")] {
        if let Ok(sheet) = read(bytes, &Wanted { sheet, ..WANTED }) {
            let mut rows = sheet.rows();
            let mut last = 0;
            while let Some(row) = rows.next() {
                assert!(row > last);
                last = row;
                assert!(rows.cells().next_back().is_some_and(|cell| !cell.is_empty()));
            }
        }
    }
}

fn parts(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(fixture(name))).unwrap();
    let mut parts = Vec::new();
    for nth in 0..zip.len() {
        let mut part = zip.by_index(nth).unwrap();
        let mut data = Vec::new();
        part.read_to_end(&mut data).unwrap();
        parts.push((part.name().unwrap().into_owned(), data));
    }
    parts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn harmed_files_end_in_rows_or_a_complaint(harms in vec(harm(), 1..6), nth in 0..3_usize) {
        exhaust(&harmed(fixture(["people.xlsx", "people.xls", "people.ods"][nth]), &harms));
    }

    #[test]
    fn harmed_parts_end_in_rows_or_a_complaint(harms in vec(harm(), 1..6), nth in 0..2_usize, which in any::<prop::sample::Index>()) {
        let mut parts = parts(["people.xlsx", "people.ods"][nth]);
        // Pictures and the like are never read.
        let read: Vec<usize> = (0..parts.len()).filter(|nth| {
            let name = parts[*nth].0.as_str();
            name.contains(".rels") || name.starts_with("xl/") || matches!(name, "content.xml" | "styles.xml" | "META-INF/manifest.xml")
        }).collect();
        let chosen = *which.get(&read);
        parts[chosen].1 = harmed(parts[chosen].1.clone(), &harms);
        let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
        exhaust(&zipped(&parts));
    }

    #[test]
    fn any_bytes_end_in_a_complaint(bytes in vec(any::<u8>(), 0..2000), start in 0..3_usize) {
        let start: &[u8] = [&b"PK\x03\x04"[..], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b""][start];
        prop_assert!(read(&[start, &bytes].concat(), &WANTED).is_err());
    }
}
