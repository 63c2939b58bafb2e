//! Text, calendars, cards, RTF, messages, and what is no text.

use super::*;

#[test]
fn an_address_in_text_of_any_kind_is_found() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let marked = [&b"\xff\xfe"[..], &utf16("name\tada@one.example")].concat();
    for (name, bytes, wanted) in [
        ("a.txt", &b"see ada@one.example"[..], "ada@one.example"),
        ("a.csv", "name;email\nJörg;ada@one.example".as_bytes(), "Jörg;ada@one.example"),
        ("a.csv", b"name;email\nJ\xf6rg;ada@one.example", "Jörg;ada@one.example"),
        ("a.csv", &marked, "ada@one.example"),
        ("a.csv", &utf16("name\tada@one.example"), "ada@one.example"),
        ("a.html", b"<p>ada&#64;<b>one</b>.example", "ada@one.example"),
        ("a.html", b"<!-- ada@one.example -->", "ada@one.example"),
        ("a.svg", b"<svg><text><tspan>ada@</tspan><tspan>one.example</tspan></text></svg>", "ada@one.example"),
        ("a.xml", b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><n>J\xf6rg</n>", "Jörg"),
        ("a.xml", b"<e>ada@one.example</e><n>x</n>", "ada@one.example\n"),
        ("a.json", br#"{"e":"ada\u0040one.example"}"#, "ada@one.example"),
        ("a.json", br#"["Hello\nada@one.example"]"#, "\nada@one.example"),
        ("a.ics", b"BEGIN:VCALENDAR\r\nATTENDEE:mailto:ada@one\r\n .example\r\n", "ada@one.example"),
        ("a.ics", b"BEGIN:VCALENDAR\r\nDESCRIPTION:Hello\\nada@one.example\\, x\r\n", "\nada@one.example, x"),
        ("invite", b"BEGIN:VCALENDAR\nX:ada@one\n\t.example\n", "ada@one.example"),
        ("a.vcf", b"BEGIN:VCARD\nEMAIL;ENCODING=QUOTED-PRINTABLE:ada=40one.=\nexample\n", "ada@one.example"),
        ("a.vcf", b"BEGIN:VCARD\nN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:J=F6rg\n", "Jörg"),
        ("a.rtf", br"{\rtf1\ansi Hello ada\b @\b0 one.example\par}", "ada@one.example"),
        ("a.rtf", br"{\rtf1\ansi J\'f6rg \u8364?x\u-10179 ?\u-8704 ?}", "Jörg €x😀"),
        ("a.doc", br#"{\rtf1{\field{\*\fldinst HYPERLINK "mailto:ada@one.example"}{\fldrslt x}}}"#, "ada@one.example"),
        ("a.rtf", br"{\rtf1{\info{\author ada@one.example}}{\*\company x}y}", "ada@one.example\n"),
        ("a.gz", &gzip(b"ada@one.example"), "[a] ada@one.example"),
    ] {
        holds(name, bytes, wanted);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_message_is_looked_into_with_all_its_parts() {
    let inner = "From: bo@two.example\r\nSubject: =?utf-8?q?ada=40one.example?=\r\n\r\nHello\r\n";
    let message = format!(
        "From: x@y.example\r\nTo: y@y.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nY3lAdGhyZWUuZXhhbXBsZQ==\r\n\
         --b\r\nContent-Type: application/octet-stream; name=a.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         ZGlAZm91ci5leGFtcGxl\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n\
         --b\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nX:ed@fi\r\n ve.example\r\n--b--\r\n"
    );
    for wanted in ["cy@three.example", "[a.csv] di@four.example", "ada@one.example", "ed@five.example"] {
        holds("a.eml", message.as_bytes(), wanted);
        holds("no name", message.as_bytes(), wanted);
    }
    let box_ = format!("From x Mon Jan 1\n{inner}\nFrom y Mon Jan 1\n{message}");
    holds("a.mbox", box_.as_bytes(), "cy@three.example");
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(20_000);
    is_opaque("a.eml", deep.as_bytes(), "it is packed too deep into other files");
}

#[test]
fn what_is_no_text_is_opaque_and_its_strings_are_found() {
    for (name, bytes, why) in [
        ("a.png", &b"\x89PNG\r\n\x1a\n\0\0\0\x10tEXtada@one.example\0"[..], "it is a picture"),
        ("a.jpg", b"\xff\xd8\xff\xe1\0ada@one.example\0", "it is a picture"),
        ("a.bin", b"\0\x01\x02ada@one.example\0", "it is of no kind that can be looked into"),
        (
            "a.bin",
            b"\0\x01a\0d\0a\0@\0o\0n\0e\0.\0e\0x\0a\0m\0p\0l\0e\0\x01\x01",
            "it is of no kind that can be looked into",
        ),
        ("a.rar", b"Rar!\x1a\x07\0ada@one.example\0", "it is a RAR archive"),
        ("a.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0ada@one.exam", "it is a video or sound"),
    ] {
        let out = is_opaque(name, bytes, why);
        assert!(out.contains("ada@one.exam"), "{name}: {out}");
    }
    is_opaque("a.txt", b"-----BEGIN PGP MESSAGE-----\nxx", "it asks for a password");
}

fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (name, bytes) in streams {
        file.create_stream(name).unwrap().write_all(bytes).unwrap();
    }
    file.into_inner().into_inner()
}

#[test]
fn old_documents_are_searched() {
    let wide: Vec<u8> = "\u{1}see ada@one.example\r".encode_utf16().flat_map(u16::to_le_bytes).collect();
    holds("a.doc", &compound(&[("/WordDocument", &[&[0; 32][..], &wide].concat())]), "ada@one.example");
    holds("a.doc", &compound(&[("/WordDocument", &[&[0; 32][..], b"ada@one.example\r"].concat())]), "ada@one.example");
    holds("a.msg", &compound(&[("/__substg1.0_0C1F001F", &wide)]), "ada@one.example");
    holds("a.msg", &compound(&[("/__substg1.0_37010102", &zip(&[("a.txt", b"ada@one.example")]))]), "ada@one.example");
    // A string goes on in another record.
    let book = [&b"\xfc\0\x09\0\0\0\0\0ada@o"[..], b"\x3c\0\x0b\0\0ne.example", b"\x0a\0\0\0"].concat();
    holds("a.xls", &compound(&[("/Workbook", &book)]), "ada@one.example");
    let asks = "it asks for a password";
    is_opaque("a.docx", &compound(&[("/EncryptionInfo", b"x"), ("/EncryptedPackage", b"x")]), asks);
    is_opaque("a.doc", &compound(&[("/WordDocument", &[1; 32])]), asks);
    is_opaque("a.xls", &compound(&[("/Workbook", b"\x09\x08\x02\0\0\0\x2f\0\x02\0\0\0")]), asks);
}

#[test]
fn the_guard_looks_into_attachments() {
    use crate::{campaign::ListOptions, guard::Guard, message::Envelope, recipients::RecipientList};
    let list =
        RecipientList::parse("p.csv", "email\nada@one.example\nbo@two.example\n", &ListOptions::default()).unwrap();
    let guard = Guard::new(list.into(), &[]);
    let (from, to) = ("x@police.example".parse().unwrap(), "ada@one.example".parse().unwrap());
    // "bo@two.example" in UTF-16
    let message = "To: ada@one.example\r\nContent-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\
        Content-Type: application/octet-stream; name=a.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        //5iAG8AQAB0AHcAbwAuAGUAeABhAG0AcABsAGUA\r\n";
    let found = guard.inspect_bytes(&Envelope::new(from, to), message.as_bytes());
    assert!(found.iter().any(|finding| finding.to_string().contains("the address of row 3")), "{found:?}");
}

#[test]
fn no_bytes_make_it_stumble() {
    let (rtf, card) =
        (&br"{\rtf1\u8364?\'f6{\*\objdata 00}\bin3 xyz}"[..], &b"BEGIN:VCARD\nN;ENCODING=QUOTED-PRINTABLE:J=F6=\n"[..]);
    let xml = b"<?xml version='1.0'?><!DOCTYPE a [<!ELEMENT a>]><a b='c'><![CDATA[d]]><p>\xc3\xa9</p></a>";
    let message = b"From: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n";
    let samples = [
        ("a.rtf", rtf),
        ("a.vcf", card),
        ("a.xml", &xml[..]),
        ("a.eml", &message[..]),
        ("a.json", br#"{"a":"\ud83d\ude00"}"#),
    ];
    let old = compound(&[
        ("/Workbook", &[7; 5000]),
        ("/WordDocument", b"x"),
        ("/__substg1.0_10090102", b"12345678LZFu1234\xff"),
    ]);
    for seed in 0..tries() {
        all("a.doc", &mutated(&old, seed)).0.clear();
        for (name, bytes) in samples {
            all(name, &mutated(bytes, seed)).0.clear();
        }
    }
}
