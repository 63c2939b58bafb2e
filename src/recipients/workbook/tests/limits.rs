use std::time::{Duration, Instant};

use super::{
    WANTED, Wanted,
    ods::content,
    outcome,
    xlsx::{book, rows},
    zipped,
};

/// The outcome, and that it was there at once: a limit that holds late holds too late.
fn at_once(bytes: &[u8], wanted: &Wanted<'_>) -> String {
    let before = Instant::now();
    let outcome = outcome(bytes, wanted);
    assert!(before.elapsed() < Duration::from_secs(10), "took {:?}", before.elapsed());
    outcome
}

const TOO_LARGE: &str = "list.too-large: this workbook holds more than 1 MiB once it is unpacked, and that is the most (copy \
                         the list alone into a new workbook, as values, and save that; or raise the limit with --max-file-mib)";
const TOO_MANY_ROWS: &str = "list.too-large: the sheet has more than 1000 rows, and that is the most (delete what stands below \
                             the list, split it into several lists, or raise the limit with --max-rows)";

fn too_many_columns(row: u64) -> String {
    format!(
        "list.too-many-columns: row {row} of the sheet has more than 50 columns, and that is the most (delete what stands to \
         the right of the list, or raise the limit with --max-columns)"
    )
}

const MIB: Wanted<'_> = Wanted { most_bytes: 1 << 20, ..WANTED };

#[test]
fn no_more_is_unpacked_than_allowed() {
    let spaces = " ".repeat(1 << 26);
    assert_eq!(at_once(&book(&rows(&spaces), &[]), &MIB), TOO_LARGE);
    assert_eq!(
        at_once(&book(&rows(""), &[("xl/sharedStrings.xml", &format!("<sst>{spaces}</sst>"))]), &MIB),
        TOO_LARGE
    );
    assert_eq!(at_once(&content(&spaces, ""), &MIB), TOO_LARGE);
    let mime = zipped(&[("mimetype", spaces.as_bytes())]);
    assert!(at_once(&mime, &MIB).contains("a zip archive without a workbook"));
}

#[test]
fn a_size_that_an_archive_claims_is_not_believed() {
    let mut bytes = book(&rows(&" ".repeat(1 << 26)), &[]);
    // The size before packing stands 24 bytes into each entry of the archive's directory (APPNOTE 4.3.12).
    let entries: Vec<usize> = (0..bytes.len() - 4).filter(|at| &bytes[*at..at + 4] == b"PK\x01\x02").collect();
    for at in entries {
        bytes[at + 24..at + 28].copy_from_slice(&[1, 0, 0, 0]);
    }
    assert_eq!(
        at_once(&bytes, &MIB),
        "list.workbook: this workbook is damaged: I/O error: File is larger than its declared uncompressed size (open it in the \
         spreadsheet program and save it again as .xlsx, or as \"CSV UTF-8\")"
    );
}

#[test]
fn a_text_that_a_thousand_cells_share_counts_a_thousand_times() {
    let strings = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(4000));
    let cells = r#"<row><c t="s"><v>0</v></c></row>"#.repeat(900);
    assert_eq!(at_once(&book(&rows(&cells), &[("xl/sharedStrings.xml", &strings)]), &MIB), TOO_LARGE);
}

#[test]
fn cells_far_away_take_no_memory() {
    let cell =
        |place: &str| rows(&format!(r#"<row><c r="A1"><v>1</v></c></row><row><c r="{place}"><v>2</v></c></row>"#));
    assert_eq!(at_once(&book(&cell("XFD1048576"), &[]), &WANTED), too_many_columns(1_048_576));
    assert_eq!(
        at_once(&book(&cell("AX1048576"), &[]), &WANTED),
        format!("People hidden=false others=0\n1 1\n1048576 {}2\nrows [] columns []\n", "|".repeat(49))
    );
}

#[test]
fn more_rows_or_columns_than_allowed_are_refused() {
    let row = "<row><c><v>1</v></c></row>";
    assert!(at_once(&book(&rows(&row.repeat(1000)), &[]), &WANTED).contains("\n1000 1\n"));
    assert_eq!(at_once(&book(&rows(&row.repeat(1001)), &[]), &WANTED), TOO_MANY_ROWS);
    assert_eq!(at_once(&book(&rows(&row.repeat(100_000)), &[]), &WANTED), TOO_MANY_ROWS);
    let cells = |count| rows(&format!("<row>{}</row>", "<c><v>1</v></c>".repeat(count)));
    assert!(at_once(&book(&cells(50), &[]), &WANTED).contains("\n1 1|1|"));
    assert_eq!(at_once(&book(&cells(51), &[]), &WANTED), too_many_columns(1));
}

#[test]
fn repeated_rows_and_cells_of_opendocument_cost_nothing_while_they_are_empty() {
    let cell = "<table:table-cell><text:p>a</text:p></table:table-cell>";
    let empty = r#"<table:table-cell table:number-columns-repeated="4294967295"/>"#;
    let rows = |count: &str, cells: &str| {
        format!(r#"<table:table-row table:number-rows-repeated="{count}">{cells}</table:table-row>"#)
    };
    let table = rows("1", &format!("{cell}{empty}{empty}")) + &rows("1048576", empty) + &rows("2", cell);
    assert_eq!(
        at_once(&content("", &table), &WANTED),
        "People hidden=false others=0\n1 a\n1048578 a\n1048579 a\nrows [] columns []\n"
    );
    assert_eq!(at_once(&content("", &rows("2147483648", cell)), &WANTED), TOO_MANY_ROWS);
    let wide = cell.replacen('>', r#" table:number-columns-repeated="4294967295">"#, 1);
    assert_eq!(at_once(&content("", &rows("1", &wide)), &WANTED), too_many_columns(1));
    let rectangle = cell.replacen('>', r#" table:number-columns-repeated="50">"#, 1);
    let many = Wanted { most_rows: 1 << 40, ..MIB };
    assert_eq!(at_once(&content("", &rows("4294967295", &rectangle)), &many), TOO_LARGE);
    let merged =
        cell.replacen('>', r#" table:number-columns-spanned="4294967295" table:number-rows-spanned="4294967295">"#, 1);
    assert_eq!(
        at_once(&content("", &(rows("1", &format!("{merged}{cell}")) + &rows("1", cell))), &WANTED),
        "People hidden=false others=0\n1 a|a\n2 a|a\nrows [] columns []\n"
    );
}

#[test]
fn merged_regions_over_each_other_end_at_the_limit() {
    let sheet = format!(
        r#"<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="900"><c r="AX900"><v>1</v></c></row></sheetData>{}</worksheet>"#,
        r#"<mergeCell ref="A1:XFD1048576"/>"#.repeat(10_000)
    );
    assert_eq!(at_once(&book(&sheet, &[]), &MIB), TOO_LARGE);
}

#[test]
fn entities_and_deep_nesting_lead_nowhere() {
    let entities = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"#;
    let doctype = "list.workbook: this workbook is damaged: it has a document type declaration (open it in the spreadsheet \
                   program and save it again as .xlsx, or as \"CSV UTF-8\")";
    assert_eq!(at_once(&book(&format!("{entities}{}", rows("<row><c><v>&b;</v></c></row>")), &[]), &WANTED), doctype);
    let nested = format!("{}{}", "<a>".repeat(500_000), "</a>".repeat(500_000));
    let in_cell = rows(&format!("<row><c t=\"inlineStr\"><is>{nested}<t>x</t></is></c></row>"));
    assert_eq!(at_once(&book(&in_cell, &[]), &WANTED), "People hidden=false others=0\n1 x\nrows [] columns []\n");
    let paragraph = format!(
        "<table:table-row><table:table-cell><text:p>{}x{}</text:p></table:table-cell></table:table-row>",
        "<text:span>".repeat(100_000),
        "</text:span>".repeat(100_000)
    );
    assert_eq!(at_once(&content("", &paragraph), &WANTED), "People hidden=false others=0\n1 x\nrows [] columns []\n");
}

#[test]
fn sheets_that_are_only_counted_may_be_too_large_to_count() {
    let workbook = r#"<workbook xmlns:r="x"><sheets><sheet name="People" r:id="s"/><sheet name="Huge" r:id="h"/></sheets></workbook>"#;
    let relations = r#"<Relationships><Relationship Id="s" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="h"
        Type="http://x/worksheet" Target="worksheets/huge.xml"/></Relationships>"#;
    let huge = rows(&" ".repeat(1 << 24));
    let bytes = book(
        &rows("<row><c><v>1</v></c></row>"),
        &[("xl/workbook.xml", workbook), ("xl/_rels/workbook.xml.rels", relations), ("xl/worksheets/huge.xml", &huge)],
    );
    assert_eq!(at_once(&bytes, &MIB), "People hidden=false others=1\n1 1\nrows [] columns []\n");
}
