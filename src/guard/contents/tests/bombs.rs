//! Files that hold far more than they seem to.

use std::time::{Duration, Instant};

use super::*;

/// A debug build on a busy machine takes some seconds for 64 MiB.
const SOON: Duration = Duration::from_secs(60);

#[track_caller]
fn ends_soon(name: &str, bytes: &[u8], why: &str) {
    let begun = Instant::now();
    let found = texts(name, bytes, &mut |_, _, _| {});
    assert_eq!(found.err().map(|why| why.to_string()).as_deref(), Some(why));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

const TOO_LARGE: &str = "it holds more than 64 MiB once it is unpacked";

/// `raw` of a stream of zeros, made of one packed block again and again, so that ten GiB are made at once.
fn zeros(megabytes: usize) -> Vec<u8> {
    let mut packer = flate2::Compress::new(flate2::Compression::best(), false);
    let mut block = Vec::with_capacity(1 << 16);
    let zeros = vec![0; 1 << 20];
    packer.compress_vec(&zeros, &mut block, flate2::FlushCompress::Full).unwrap();
    let mut raw = block.repeat(megabytes);
    raw.extend_from_slice(b"\x03\0");
    raw
}

#[test]
fn a_zip_of_ten_gib_of_zeros() {
    let raw = zeros(10_240);
    let (packed, plain) = (u32::try_from(raw.len()).unwrap(), u32::MAX - 1);
    let fields =
        [&8_u16.to_le_bytes()[..], &[0; 8], &packed.to_le_bytes(), &plain.to_le_bytes(), &[1, 0, 0, 0]].concat();
    let mut zip = [b"PK\x03\x04\x14\0\0\0", &fields[..], b"a"].concat();
    zip.extend_from_slice(&raw);
    let central = zip.len();
    zip.extend_from_slice(&[b"PK\x01\x02\x14\0\x14\0\0\0", &fields[..], &[0; 14], b"a"].concat());
    let length = u32::try_from(zip.len() - central).unwrap();
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend_from_slice(&[length.to_le_bytes(), u32::try_from(central).unwrap().to_le_bytes()].concat());
    zip.extend_from_slice(b"\0\0");
    ends_soon("a.zip", &zip, TOO_LARGE);
}

#[test]
fn zips_in_zips() {
    let mut nested = zip(&[("a.txt", b"x")]);
    for _ in 0..3 {
        nested = zip(&[("a.zip", &nested)]);
    }
    holds("a.zip", &nested, "[a.zip › a.zip › a.zip › a.txt] x");
    nested = zip(&[("a.zip", &nested)]);
    let deep =
        "\"a.zip › a.zip › a.zip › a.zip › a.txt\" in it cannot be looked into: it is packed too deep into other files";
    ends_soon("a.zip", &nested, deep);
    // One that holds itself would go on like this, and so would one with many copies in each.
    let mut wide = zip(&[("a.txt", &vec![b' '; 1 << 20])]);
    for _ in 0..3 {
        let names: Vec<String> = (0..16).map(|nth| format!("{nth}.zip")).collect();
        let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &wide[..])).collect();
        wide = zip(&members);
    }
    ends_soon("a.zip", &wide, TOO_LARGE);
}

#[test]
fn ten_thousand_files_and_one() {
    let names: Vec<String> = (0..10_001).map(|nth| format!("{nth}.txt")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    ends_soon("a.zip", &zip(&members), "it holds more than 10000 files");
}

#[test]
fn entities_in_entities() {
    let xml = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><x>&b;</x>";
    ends_soon("a.xml", xml.as_bytes(), "its XML defines entities of its own");
    let document = zip(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", xml.as_bytes())]);
    let inside = "\"word/document.xml\" in it cannot be looked into: its XML defines entities of its own";
    ends_soon("a.docx", &document, inside);
}

#[test]
fn streams_in_a_pdf() {
    let mut packed = b"\x78\xda".to_vec();
    packed.extend_from_slice(&zeros(1024));
    let head = format!(
        "%PDF-1.4\n1 0 obj<</Type/Page/Contents 2 0 R>>endobj 2 0 obj<</Filter/FlateDecode/Length {}>>stream\n",
        packed.len()
    );
    ends_soon("a.pdf", &[head.as_bytes(), &packed, b"\nendstream endobj"].concat(), TOO_LARGE);
    // Forms that draw themselves, and each other twice
    let mut pdf =
        String::from("%PDF-1.4\n1 0 obj<</Type/Page/Contents 3 0 R/Resources 2 0 R>>endobj 2 0 obj<</XObject<<");
    for nth in 3..60 {
        pdf.push_str(&format!("/F{nth} {nth} 0 R"));
    }
    pdf.push_str(">>>>endobj\n");
    for nth in 3..60 {
        pdf.push_str(&format!("{nth} 0 obj<</Subtype/Form/Resources 2 0 R/Length 0>>stream\n/F{} Do /F{0} Do /F{nth} Do\nendstream endobj\n", nth + 1));
    }
    let begun = Instant::now();
    holds("a.pdf", pdf.as_bytes(), "");
    assert!(begun.elapsed() < SOON);
}

#[test]
fn files_that_invite_to_look_again_and_again() {
    for piece in [
        "1 0 obj<<>>stream\n",
        "1 0 obj(",
        "1 0 obj[",
        "1 0 obj<<",
        "<<",
        "1 0 obj<</Kids[1 0 R]>>endobj ",
        "trailer<</Root 1 0 R>>",
        "%%EOF",
    ] {
        let pdf = format!("%PDF-1.4\n{}", piece.repeat(300_000 / piece.len()));
        let begun = Instant::now();
        all("a.pdf", pdf.as_bytes()).0.clear();
        assert!(begun.elapsed() < SOON, "{piece}: {:?}", begun.elapsed());
    }
    for piece in ["<", "<!", "<!--", "<a ", "<a b='", "<p>", "&", "&#", "<![CDATA["] {
        let xml = format!("<?xml version='1.0'?>{}", piece.repeat(300_000 / piece.len()));
        let begun = Instant::now();
        all("a.xml", xml.as_bytes()).0.clear();
        assert!(begun.elapsed() < SOON, "{piece}: {:?}", begun.elapsed());
    }
}
