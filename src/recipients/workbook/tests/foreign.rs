use std::io::{Cursor, Write};

use super::{WANTED, fixture, outcome, zipped};

/// An OLE container with one stream.
pub(super) fn container(stream: &str, data: &[u8]) -> Vec<u8> {
    let mut container = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    container.create_stream(stream).unwrap().write_all(data).unwrap();
    container.flush().unwrap();
    container.into_inner().into_inner()
}

#[test]
fn what_is_no_workbook_is_called_by_its_name() {
    let odf = |kind: &str| {
        zipped(&[("mimetype", format!("application/vnd.oasis.opendocument.{kind}").as_bytes()), ("content.xml", b"")])
    };
    let cases = [
        (b"name,email\n".to_vec(), "not a workbook"),
        (zipped(&[("_rels/.rels", b""), ("xl/workbook.bin", b"")]), "a binary Excel workbook (.xlsb)"),
        (zipped(&[("_rels/.rels", b""), ("word/document.xml", b"")]), "a Word document (.docx)"),
        (zipped(&[("_rels/.rels", b""), ("ppt/presentation.xml", b"")]), "a PowerPoint presentation (.pptx)"),
        (zipped(&[("Index/Document.iwa", b""), ("Metadata/x", b"")]), "an Apple Numbers document (.numbers)"),
        (zipped(&[("holiday.jpg", b"")]), "a zip archive without a workbook"),
        (zipped(&[("_rels/.rels", b"<Relationships/>")]), "a zip archive without a workbook"),
        (odf("text"), "an OpenDocument text (.odt)"),
        (odf("presentation"), "an OpenDocument presentation (.odp)"),
        (odf("graphics"), "a zip archive without a workbook"),
        (container("/WordDocument", b"x"), "an old Word document (.doc)"),
        (container("/PowerPoint Document", b"x"), "an old PowerPoint presentation (.ppt)"),
        (container("/Book", b"x"), "an Excel workbook from before 1997"),
        (container("/Workbook", &[9, 8, 4, 0, 0, 5, 5, 0]), "an Excel workbook from before 1997"),
        (container("/Other", b"x"), "an old Office file without a workbook"),
    ];
    for (bytes, what) in cases {
        assert_eq!(
            outcome(&bytes, &WANTED),
            format!(
                "list.workbook: this is {what}, and a recipient list is an .xlsx, .xls or .ods workbook (open it in the \
                 program that made it and save or export it as .xlsx, or as \"CSV UTF-8\")"
            )
        );
    }
}

#[test]
fn a_password_is_asked_to_be_taken_off() {
    let mut xls = vec![9, 8, 4, 0, 0, 6, 5, 0];
    xls.extend([0x2f, 0, 2, 0, 1, 0]);
    let manifest = b"<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let ods = zipped(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", b"\x00\x01"),
    ]);
    for bytes in [container("/EncryptedPackage", b"x"), container("/Workbook", &xls), ods] {
        assert_eq!(
            outcome(&bytes, &WANTED),
            "list.workbook-password: this workbook is protected with a password (save a copy without a password: File, \
             Info, Protect Workbook, Encrypt with Password, and empty the field (LibreOffice: File, Save As, without \
             \"Save with password\"))"
        );
    }
}

#[test]
fn half_a_workbook_is_damaged() {
    for (name, why) in [
        ("people.xlsx", "invalid Zip archive: Could not find EOCD"),
        ("people.ods", "invalid Zip archive: Could not find EOCD"),
        ("people.xls", "Malformed FAT (FAT has 22 entries, but file has only 11 sectors)"),
    ] {
        let bytes = fixture(name);
        assert_eq!(
            outcome(&bytes[..bytes.len() / 2], &WANTED),
            format!(
                "list.workbook: this workbook is damaged: {why} (open it in the spreadsheet program and save it again as \
                 .xlsx, or as \"CSV UTF-8\")"
            )
        );
    }
}
