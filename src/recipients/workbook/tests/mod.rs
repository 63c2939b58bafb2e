mod foreign;
mod limits;
mod mutated;
mod ods;
mod shown;
mod xls;
mod xlsx;

use std::{
    fs,
    io::{Cursor, Write},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;
use crate::{diagnostic::Complaint, recipients::read::Rows};

const WANTED: Wanted<'_> = Wanted { sheet: None, most_rows: 1000, most_columns: 50, most_bytes: 1 << 24 };

/// A sheet as text: its rows with their numbers, then what else is known of it.
fn shown(sheet: &Sheet) -> String {
    let mut text = format!("{} hidden={} others={}\n", sheet.name(), sheet.was_hidden(), sheet.others());
    let mut rows = sheet.rows();
    while let Some(row) = rows.next() {
        let cells: Vec<&str> = rows.cells().collect();
        let mut backwards: Vec<&str> = rows.cells().rev().collect();
        backwards.reverse();
        assert_eq!((cells.len(), &backwards), (rows.len(), &cells));
        text.push_str(&format!("{row} {}\n", cells.join("|").replace('\n', "⏎").replace('\t', "⇥")));
    }
    text.push_str(&format!("rows {:?} columns {:?}\n", sheet.hidden_rows(), sheet.hidden_columns()));
    for fault in sheet.faults() {
        text.push_str(&format!("fault {} {} {:?}\n", fault.row, fault.column, fault.what));
    }
    text
}

/// What comes of a workbook: the sheet as text, or the complaint with its code and help.
fn outcome(bytes: &[u8], wanted: &Wanted<'_>) -> String {
    match read(bytes, wanted) {
        Ok(sheet) => shown(&sheet),
        Err(problem) => format!("{}: {problem} ({})", problem.code(), problem.help().unwrap_or_default()),
    }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/data/workbooks/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A zip archive of the given parts.
fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in parts {
        let method = if *name == "mimetype" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn one_sheet_saved_in_three_formats_gives_the_same_rows() {
    let people = "\
People hidden=false others=2
1 Name|E-Mail|Phone|Amount|Secret|When
2 Jörg Müller|joerg@one.example|+44 20 7946 0000|1,234,567.89|s1|2026-11-24
3 Ann 😀⏎second line|ann@one.example|00123|12.5%||2026-11-24 14:30
6 Both|  bob@one.example|0042|-€ 1,234.50||2026-11-24 00:00
7 Both|cy@one.example|wide|wide||14:30
8 Hidden|hidden@one.example|12-345|0.3||26:05
9 Filtered|filtered@one.example|441234567890|29%||2026-11-25
10 DORA|dora@one.example|0.13|42||TRUE
11 #N/A|eve@one.example|#DIV/0!|1.23E+04||FALSE
12 Fay|fay@one.example|1.01|-0.00012||1987-02-03 04:05:06
rows [8, 9] columns [4]
fault 11 0 Error(\"#N/A\")
fault 11 2 Error(\"#DIV/0!\")
";
    let formats = "\
Formats hidden=false others=2
1 (1,234.50)|1.2 M|05:07
2 -0.13|2 3/4|a   b
3 1.00E+01|0.5|1900-03-01
rows [] columns []
";
    let notes = "Notes hidden=true others=3\n1 Not for the list\nrows [] columns []\n";
    let empty = "Empty hidden=false others=3\nrows [] columns []\n";
    let wanted = [(None, people), (Some(" formats"), formats), (Some("Notes"), notes), (Some("Empty"), empty)];
    for name in ["people.xlsx", "people.xls", "people.ods"] {
        for (sheet, expected) in wanted {
            assert_eq!(outcome(&fixture(name), &Wanted { sheet, ..WANTED }), expected, "{name}");
        }
    }
}

#[test]
fn a_workbook_is_known_by_how_it_begins() {
    let kinds = ["people.xlsx", "people.xls", "people.ods", "people.fods"].map(|name| kind(&fixture(name)));
    assert_eq!(kinds, [Some(Kind::Xlsx), Some(Kind::Xls), Some(Kind::Ods), None]);
    assert_eq!(
        [kind(b""), kind(b"PK"), kind(b"PK,email\n"), kind(b"PK\x05\x06")],
        [None, None, None, Some(Kind::Xlsx)]
    );
}

#[test]
fn a_sheet_that_is_not_there_is_answered_with_those_that_are() {
    let asked = |name, sheet| outcome(&fixture(name), &Wanted { sheet: Some(sheet), ..WANTED });
    let near = "list.no-such-sheet: this workbook has no sheet \"Peple\" (did you mean \"People\"? The sheets are \
                \"Notes\", \"People\", \"Formats\", \"Sent last year\", \"Empty\")";
    let far = "list.no-such-sheet: this workbook has no sheet \"Customers\" (the sheets are \
               \"Notes\", \"People\", \"Formats\", \"Sent last year\", \"Empty\")";
    for name in ["people.xlsx", "people.xls", "people.ods"] {
        assert_eq!(asked(name, "Peple"), near, "{name}");
        assert_eq!(asked(name, "Customers"), far, "{name}");
    }
}
