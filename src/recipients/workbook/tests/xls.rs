use super::{WANTED, Wanted, foreign::container, outcome};

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = kind.to_le_bytes().to_vec();
    record.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
    record.extend(data);
    record
}

fn bof() -> Vec<u8> {
    record(0x809, &[0, 6, 5, 0])
}

/// Where a cell is, and its style.
fn at(row: u16, column: u16, style: u16, rest: &[u8]) -> Vec<u8> {
    let mut data = [row, column, style].map(u16::to_le_bytes).concat();
    data.extend(rest);
    data
}

/// A text of one byte a character.
fn text(text: &str) -> Vec<u8> {
    let mut data = u16::try_from(text.len()).unwrap().to_le_bytes().to_vec();
    data.push(0);
    data.extend(text.as_bytes());
    data
}

/// A workbook whose sheets have the given names, states and records.
fn book(globals: &[Vec<u8>], sheets: &[(&str, u8, Vec<Vec<u8>>)]) -> Vec<u8> {
    let globals = [vec![bof()], globals.to_vec()].concat().concat();
    let listed: usize = sheets.iter().map(|(name, ..)| 4 + 8 + name.len()).sum();
    let mut start = globals.len() + listed + 4;
    let (mut list, mut rest) = (Vec::new(), Vec::new());
    for (name, state, records) in sheets {
        let mut data = u32::try_from(start).unwrap().to_le_bytes().to_vec();
        data.extend([*state, 0, u8::try_from(name.len()).unwrap(), 0]);
        data.extend(name.as_bytes());
        list.extend(record(0x85, &data));
        let sheet = [vec![bof()], records.clone(), vec![record(0x0a, &[])]].concat().concat();
        start += sheet.len();
        rest.extend(sheet);
    }
    container("/Workbook", &[globals, list, record(0x0a, &[]), rest].concat())
}

fn one(globals: &[Vec<u8>], records: Vec<Vec<u8>>) -> String {
    outcome(&book(globals, &[("People", 0, records)]), &WANTED)
}

#[test]
fn cells_of_every_record_are_read() {
    let styles: Vec<Vec<u8>> = [0_u16, 14, 164]
        .iter()
        .map(|format| record(0xe0, &[0_u16.to_le_bytes(), format.to_le_bytes()].concat()))
        .collect();
    let format = record(0x41e, &[164_u16.to_le_bytes().to_vec(), text("0000;;;\"Dr \"@")].concat());
    // Shared: "ab" with looks, "äöü€" that goes on in the next record with two bytes a character, and "c".
    let strings =
        [&[3, 0, 0, 0, 3, 0, 0, 0][..], &[2, 0, 8, 1, 0, b'a', b'b', 0, 0, 1, 0], &[4, 0, 0, 0xe4, 0xf6]].concat();
    let more = [&[1, 0xfc, 0, 0xac, 0x20][..], &[1, 0, 4, 2, 0, 0, 0, b'c', 9, 9]].concat();
    let globals = [styles, vec![format, record(0xfc, &strings), record(0x3c, &more)]].concat();
    let mul = [
        &[1, 0, 0, 0][..],
        &[0, 0],
        &((-7_i32 << 2).cast_unsigned() | 2).to_le_bytes(),
        &[2, 0],
        &(42_u32 << 2 | 2).to_le_bytes(),
        &[1, 0],
    ]
    .concat();
    let records = vec![
        record(0xfd, &at(0, 0, 0, &[0, 0, 0, 0])),
        record(0xfd, &at(0, 1, 0, &[1, 0, 0, 0])),
        record(0xfd, &at(0, 2, 2, &[2, 0, 0, 0])),
        record(0x204, &at(0, 3, 0, &text("label"))),
        record(0xd6, &at(0, 4, 0, &text("rich"))),
        record(0xbd, &mul),
        record(0x27e, &at(1, 2, 0, &(12345_u32 << 2 | 3).to_le_bytes())),
        record(0x27e, &at(1, 3, 0, &(0x3ff8_0000_u32).to_le_bytes())),
        record(0x203, &at(1, 4, 1, &46350.0_f64.to_le_bytes())),
        record(0x205, &at(2, 0, 0, &[1, 0])),
        record(0x205, &at(2, 1, 0, &[0x17, 1])),
        record(0x06, &at(2, 2, 1, &46350.0_f64.to_le_bytes())),
        record(0x06, &at(2, 3, 0, &[1, 0, 0, 0, 0, 0, 0xff, 0xff])),
        record(0x06, &at(2, 4, 0, &[2, 0, 42, 0, 0, 0, 0xff, 0xff])),
        record(0x06, &at(3, 0, 2, &[0, 0, 0, 0, 0, 0, 0xff, 0xff])),
        record(0x4bc, &[]),
        record(0x207, &[6, 0, 0, b't', b'e']),
        record(0x3c, &[0, b'x', b't', b'!']),
        record(0x3c, &[1, b'?', 0]),
        record(0x06, &at(3, 1, 0, &[3, 0, 0, 0, 0, 0, 0xff, 0xff])),
        record(0x06, &at(3, 2, 0, &[0, 0, 0, 0, 0, 0, 0xff, 0xff])),
        record(0x809, &[0, 6, 0x20, 0]),
        record(0x203, &at(0, 0, 0, &9.0_f64.to_le_bytes())),
        record(0x0a, &[]),
        record(0x203, &at(4, 0, 99, &0.5_f64.to_le_bytes())),
        record(0xe5, &[1, 0, 4, 0, 4, 0, 0, 0, 1, 0]),
    ];
    assert_eq!(
        one(&globals, records),
        "People hidden=false others=0\n1 ab|äöü€|Dr c|label|rich\n2 -7|0042|123.45|1.5|2026-11-24\n3 TRUE|#REF!|2026-11-24|FALSE|#N/A\n\
         4 Dr text!?\n5 0.5|0.5\nrows [] columns []\nfault 3 1 Error(\"#REF!\")\nfault 3 4 Error(\"#N/A\")\nfault 4 2 NoValue\n"
    );
}

#[test]
fn a_formula_whose_text_does_not_follow_is_a_fault() {
    let formula = record(0x06, &at(0, 0, 0, &[0, 0, 0, 0, 0, 0, 0xff, 0xff]));
    let nothing = "People hidden=false others=0\nrows [] columns []\n";
    assert_eq!(one(&[], vec![formula]), format!("{nothing}fault 1 0 NoValue\n"));
    // A text without a formula before it is nobody's.
    assert_eq!(one(&[], vec![record(0x207, &text("lost"))]), nothing);
}

#[test]
fn hidden_rows_columns_and_sheets_are_told() {
    let row =
        |row: u8, height: u8, flags: u8| record(0x208, &[row, 0, 0, 0, 1, 0, height, 0, 0, 0, 0, 0, flags, 1, 15, 0]);
    let cell = |row, column| record(0x203, &at(row, column, 0, &1.0_f64.to_le_bytes()));
    let records = vec![
        record(0x7d, &[1, 0, 2, 0, 0, 9, 0, 0, 1, 0, 0, 0]),
        record(0x7d, &[3, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        row(0, 255, 0),
        row(1, 255, 0x20),
        row(2, 0, 0),
        row(3, 255, 0x20),
        cell(0, 0),
        cell(0, 1),
        cell(1, 3),
        cell(2, 4),
    ];
    let bytes = book(
        &[record(0x22, &[1, 0])],
        &[
            ("Old", 2, vec![cell(0, 0)]),
            ("Now", 0, records),
            ("Later", 0, vec![cell(0, 0)]),
            ("Empty", 0, vec![]),
            ("Hid", 1, vec![cell(0, 0)]),
        ],
    );
    let read = |sheet| outcome(&bytes, &Wanted { sheet, ..WANTED });
    assert_eq!(read(None), "Now hidden=false others=1\n1 1|1\n2 |||1\n3 ||||1\nrows [2, 3] columns [1, 3]\n");
    assert_eq!(read(Some("OLD")), "Old hidden=true others=2\n1 1\nrows [] columns []\n");
}

#[test]
fn dates_follow_the_date_system_of_the_workbook() {
    let style = record(0xe0, &[0, 0, 14, 0]);
    let cell = vec![record(0x203, &at(0, 0, 0, &44888.0_f64.to_le_bytes()))];
    let with = |date: &str| format!("People hidden=false others=0\n1 {date}\nrows [] columns []\n");
    assert_eq!(one(std::slice::from_ref(&style), cell.clone()), with("2022-11-23"));
    assert_eq!(one(&[style, record(0x22, &[1, 0])], cell), with("2026-11-24"));
}

#[test]
fn records_that_are_cut_short_are_damage() {
    let damaged = |why: &str| {
        format!(
            "list.workbook: this workbook is damaged: {why} (open it in the spreadsheet program and save it again as .xlsx, \
             or as \"CSV UTF-8\")"
        )
    };
    let short = damaged("one of its records is cut short");
    assert_eq!(one(&[], vec![record(0x203, &[0, 0, 0, 0])]), short);
    assert_eq!(one(&[], vec![record(0x204, &at(0, 0, 0, &[9, 0, 0, b'x']))]), short);
    assert_eq!(one(&[], vec![record(0xe5, &[255, 255])]), short);
    assert_eq!(one(&[record(0xfc, &[0, 0, 0, 0, 255, 255, 255, 255])], vec![]), short);
    assert_eq!(one(&[], vec![record(0xfd, &at(0, 0, 0, &[7, 0, 0, 0]))]), damaged("a cell's text is missing"));
    assert_eq!(one(&[], vec![record(0x203, &at(0, 0, 0, &[255; 8]))]), damaged("a cell's value cannot be read"));
    let sheet = [bof(), record(0x85, &[0, 0, 0, 1, 0, 0, 1, 0, b'x']), record(0x0a, &[])].concat();
    assert_eq!(outcome(&container("/Workbook", &sheet), &WANTED), damaged("its records end too early"));
    let sheet = [bof(), record(0x85, &[0, 0, 0, 0, 0, 0, 1, 0, b'x'])].concat();
    assert_eq!(outcome(&container("/Workbook", &sheet), &WANTED), damaged("its records end too early"));
}
