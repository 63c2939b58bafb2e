use rust_xlsxwriter::{Format, Formula, Workbook};

use super::{WANTED, Wanted, outcome, zipped};

const RELATIONS: &str =
    r#"<Relationships><Relationship Id="r1" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;

/// A workbook of one sheet; each of the other parts can be replaced.
pub(super) fn book(sheet: &str, others: &[(&str, &str)]) -> Vec<u8> {
    let mut parts = vec![
        ("_rels/.rels", RELATIONS),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships><Relationship Id="s" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/><Relationship
            Id="t" Type="http://x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="u" Type="http://x/styles"
            Target="/xl/styles.xml"/></Relationships>"#,
        ),
        (
            "xl/workbook.xml",
            r#"<workbook xmlns:r="x"><sheets><sheet name="People" sheetId="1" r:id="s"/></sheets></workbook>"#,
        ),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    for other in others {
        parts.retain(|(name, _)| *name != other.0);
        parts.push(*other);
    }
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    zipped(&parts)
}

/// A sheet of the given rows.
pub(super) fn rows(rows: &str) -> String {
    format!("<worksheet><sheetData>{rows}</sheetData></worksheet>")
}

fn damaged(why: &str) -> String {
    format!(
        "list.workbook: this workbook is damaged: {why} (open it in the spreadsheet program and save it again as .xlsx, \
         or as \"CSV UTF-8\")"
    )
}

#[test]
fn values_of_every_type_are_read() {
    let sheet = rows(
        r#"<row r="2"><c r="A2" t="inlineStr"><is><r><t>Jo</t></r><r><t xml:space="preserve">rg </t></r></is></c><c r="B2"
        t="s"><v>0</v></c><c r="D2" t="b"><v>true</v></c><c t="n"><v>1e3</v></c><c t="str"><v>a &amp; b&#x20AC; _x0041_ _x00</v></c></row>
        <row><c t="s"><v>1</v></c><c><v>-1.50</v></c><c t="d"><v>2026-11-24T14:30:00</v></c><c t="s" s="1"><v>1</v></c><c s="1"><v>5</v></c></row>"#,
    );
    let strings = r#"<x:sst xmlns:x="y"><x:si><x:t>two&#10;lines_x000D_</x:t></x:si><x:si><x:r><x:t>東</x:t></x:r><x:r><x:t>京</x:t></x:r><x:rPh
        sb="0"><x:t>とうきょう</x:t></x:rPh></x:si></x:sst>"#;
    let styles = r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="0&quot; kg&quot;;;;&quot;City of &quot;@"/></numFmts><cellStyleXfs>
        <xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>"#;
    assert_eq!(
        outcome(&book(&sheet, &[("xl/sharedStrings.xml", strings), ("xl/styles.xml", styles)]), &WANTED),
        "People hidden=false others=0\n2 Jorg |two⏎lines\r||TRUE|1000|a & b€ A _x00\n3 東京|-1.5|46350.6041666667|City of 東京|5 kg\n\
         rows [] columns []\n"
    );
}

#[test]
fn formulas_without_a_value_are_faults_and_empty_text_is_none() {
    let cells = r#"<row r="1"><c r="A1"><f>B9</f></c><c r="B1"><f>B9</f><v/></c><c r="C1" t="str"><f>B9</f></c><c r="D1"
        t="str"><f>""</f><v></v></c><c r="E1" t="str"><f>"x"</f><v>x</v></c><c r="F1" t="e"><f>NA()</f><v>#N/A</v></c></row>"#;
    let faults = "fault 1 0 NoValue\nfault 1 1 NoValue\nfault 1 2 NoValue\nfault 1 5 Error(\"#N/A\")\n";
    assert_eq!(
        outcome(&book(&rows(cells), &[]), &WANTED),
        format!("People hidden=false others=0\n1 ||||x|#N/A\nrows [] columns []\n{faults}")
    );
}

#[test]
fn zeros_that_wait_to_be_worked_out_are_not_trusted() {
    // Programs that write workbooks and cannot calculate put 0 for every formula and ask for calculation.
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "email").unwrap();
    sheet.write(0, 1, 7).unwrap();
    sheet.write_formula(1, 0, Formula::new("=\"ann\"&\"@one.example\"")).unwrap();
    sheet.write_formula(1, 1, Formula::new("=6*7").set_result("42")).unwrap();
    sheet.write(2, 1, 0).unwrap();
    assert_eq!(
        outcome(&workbook.save_to_buffer().unwrap(), &WANTED),
        "Sheet1 hidden=false others=0\n1 email|7\n2 |42\n3 |0\nrows [] columns []\nfault 2 0 NoValue\n"
    );
}

#[test]
fn hidden_rows_and_columns_are_told_however_they_are_hidden() {
    let sheet = r#"<worksheet><cols><col min="2" max="3" hidden="1"/><col min="4" max="4" width="0" customWidth="1"/><col min="6" max="16384"
        hidden="true"/></cols><sheetData><row r="1" hidden="1"><c r="A1"><v>1</v></c></row><row r="2" ht="0" customHeight="1"><c r="B2"><v>2</v></c></row>
        <row r="3" hidden="1"/><row r="4" hidden="0"><c r="D4"><v>3</v></c><c r="E4"><v>4</v></c></row></sheetData></worksheet>"#;
    assert_eq!(
        outcome(&book(sheet, &[]), &WANTED),
        "People hidden=false others=0\n1 1\n2 |2\n4 |||3|4\nrows [1, 2] columns [1, 3]\n"
    );
}

#[test]
fn merged_cells_have_the_value_of_the_first_as_far_as_the_sheet_is_used() {
    let sheet = r#"<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="A2"><v>2</v></c><c r="B2"><v>9</v></c></row>
        <row r="4"><c r="C4"><v>4</v></c></row></sheetData><mergeCells><mergeCell ref="A1:XFD1"/><mergeCell ref="A2:B1048576"/></mergeCells></worksheet>"#;
    assert_eq!(
        outcome(&book(sheet, &[]), &WANTED),
        "People hidden=false others=0\n1 1|1|1\n2 2|2\n3 2|2\n4 2|2|4\nrows [] columns []\n"
    );
}

#[test]
fn dates_follow_the_date_system_of_the_workbook() {
    let sheet = rows(
        r#"<row><c s="1"><v>1</v></c><c s="1"><v>60</v></c><c s="1"><v>44888</v></c><c s="1" t="d"><v>2026-11-24</v></c></row>"#,
    );
    let styles = r#"<styleSheet><cellXfs><xf/><xf numFmtId="14"/></cellXfs></styleSheet>"#;
    let read = |old: &str| {
        let book_xml = format!(
            r#"<workbook xmlns:q="x"><workbookPr date1904="{old}"/><sheets><sheet name="People" sheetId="1" q:id="s"/></sheets></workbook>"#
        );
        outcome(&book(&sheet, &[("xl/styles.xml", styles), ("xl/workbook.xml", &book_xml)]), &WANTED)
    };
    let with = |cells: &str| format!("People hidden=false others=0\n1 {cells}\nrows [] columns []\n");
    assert_eq!(read("0"), with("1900-01-01|1900-02-29|2022-11-23|2026-11-24"));
    assert_eq!(read("1"), with("1904-01-02|1904-03-01|2026-11-24|2026-11-24"));
}

#[test]
fn charts_and_hidden_sheets_are_passed_over() {
    let workbook = r#"<workbook xmlns:r="x"><sheets><sheet name="Chart" r:id="c"/><sheet name="Old" state="veryHidden" r:id="s"/><sheet
        name="Now" state="visible" r:id="n"/></sheets></workbook>"#;
    let relations = r#"<Relationships><Relationship Id="c" Type="http://x/chartsheet" Target="chartsheets/sheet1.xml"/><Relationship Id="s"
        Type="http://x/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="n" Type="http://x/worksheet" Target="../xl/./Sheets/Now.xml"/></Relationships>"#;
    let now = rows("<row><c><v>2</v></c></row>");
    let bytes = book(
        &rows("<row><c><v>1</v></c></row>"),
        &[("xl/workbook.xml", workbook), ("xl/_rels/workbook.xml.rels", relations), ("xl\\sheets\\now.xml", &now)],
    );
    let read = |sheet| outcome(&bytes, &Wanted { sheet, ..WANTED });
    assert_eq!(read(None), "Now hidden=false others=0\n1 2\nrows [] columns []\n");
    assert_eq!(read(Some("old")), "Old hidden=true others=1\n1 1\nrows [] columns []\n");
    assert_eq!(
        read(Some("Chart")),
        "list.no-such-sheet: this workbook has no sheet \"Chart\" (the sheets are \"Old\", \"Now\")"
    );
    let hidden = workbook.replace("visible", "hidden");
    assert_eq!(
        outcome(&book("", &[("xl/workbook.xml", &hidden), ("xl/_rels/workbook.xml.rels", relations)]), &WANTED),
        "list.no-such-sheet: this workbook has no sheet that is not hidden (right-click the sheets' tabs and choose Unhide, \
         or name the hidden sheet)"
    );
}

#[test]
fn many_sheets_are_not_all_listed() {
    let mut workbook = Workbook::new();
    for nth in 1..=30 {
        workbook.add_worksheet().set_name(format!("Group {nth}")).unwrap();
    }
    let shown: Vec<String> = (1..=20).map(|nth| format!("\"Group {nth}\"")).collect();
    assert_eq!(
        outcome(&workbook.save_to_buffer().unwrap(), &Wanted { sheet: Some("Everybody"), ..WANTED }),
        format!(
            "list.no-such-sheet: this workbook has no sheet \"Everybody\" (the sheets are {}, and 10 more)",
            shown.join(", ")
        )
    );
}

#[test]
fn what_another_program_writes_is_read() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Über uns").unwrap();
    sheet.write(0, 0, "Größe").unwrap();
    sheet.write_with_format(1, 0, 1234.5, &Format::new().set_num_format("#,##0.00 \"€\"")).unwrap();
    sheet.write_with_format(2, 0, 42, &Format::new().set_num_format("000000")).unwrap();
    sheet.merge_range(3, 0, 4, 1, "both", &Format::new()).unwrap();
    sheet.write_url(5, 1, "mailto:ann@one.example").unwrap();
    sheet.set_row_hidden(5).unwrap();
    sheet.set_column_hidden(1).unwrap();
    workbook.add_worksheet().write(7, 7, true).unwrap();
    assert_eq!(
        outcome(&workbook.save_to_buffer().unwrap(), &WANTED),
        "Über uns hidden=false others=1\n1 Größe\n2 1,234.50 €\n3 000042\n4 both|both\n5 both|both\n6 |ann@one.example\n\
         rows [6] columns [1]\n"
    );
}

#[test]
fn what_does_not_hang_together_is_damaged() {
    let cell = |cell: &str| outcome(&book(&rows(&format!("<row>{cell}</row>")), &[]), &WANTED);
    let place = damaged("a row or cell stands outside of any sheet");
    let value = damaged("a cell's value cannot be read");
    for reference in ["A0", "XFE1", "A1048577", "1", "AAAA1", "Ä1", "", "A-1", "A99999999999"] {
        assert_eq!(cell(&format!(r#"<c r="{reference}"><v>1</v></c>"#)), place, "{reference}");
    }
    for wrong in [r#"<c t="s"><v>0</v></c>"#, r#"<c t="s"><v>-1</v></c>"#, "<c><v>x</v></c>", "<c><v>1e999</v></c>"] {
        assert_eq!(cell(wrong), value, "{wrong}");
    }
    assert_eq!(cell(r#"<c t="zz"><v>1</v></c>"#), damaged("a cell has an unknown type"));
    assert_eq!(cell("<c><v>&nbsp;</v></c>"), damaged("it uses an unknown entity"));
    assert_eq!(outcome(&book("<worksheet><sheetData>", &[]), &WANTED), damaged("a part of it is cut short"));
    assert_eq!(outcome(&book("", &[]), &WANTED), damaged("a part of it is cut short"));
    let missing = r#"<workbook xmlns:r="x"><sheets><sheet name="a" r:id="s"/></sheets></workbook>"#;
    let relations =
        r#"<Relationships><Relationship Id="s" Type="http://x/worksheet" Target="nowhere.xml"/></Relationships>"#;
    assert_eq!(
        outcome(&book("", &[("xl/workbook.xml", missing), ("xl/_rels/workbook.xml.rels", relations)]), &WANTED),
        damaged("its part xl/nowhere.xml is missing")
    );
}
