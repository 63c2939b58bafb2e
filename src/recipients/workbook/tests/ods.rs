use super::{WANTED, Wanted, outcome, zipped};

const SPACES: &str = r#"xmlns:office="o" xmlns:table="t" xmlns:text="x" xmlns:style="s" xmlns:number="n" xmlns:calcext="c" xmlns:draw="d""#;

/// A spreadsheet of one table.
pub(super) fn content(styles: &str, table: &str) -> Vec<u8> {
    tables(styles, &format!(r#"<table:table table:name="People">{table}</table:table>"#))
}

fn tables(styles: &str, tables: &str) -> Vec<u8> {
    let content = format!(
        "<office:document-content {SPACES}><office:automatic-styles>{styles}</office:automatic-styles><office:body>\
         <office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    );
    zipped(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", content.as_bytes())])
}

fn row(cells: &str) -> String {
    format!("<table:table-row>{cells}</table:table-row>")
}

#[test]
fn a_cell_is_the_text_of_its_paragraphs() {
    let cells = r#"<table:table-cell><text:p> a
        <text:s text:c="2"/>b<text:tab/>c<text:line-break/>d</text:p><text:p/><text:p><text:span>e<text:a>f</text:a></text:span></text:p></table:table-cell>
        <table:table-cell><draw:frame><draw:text-box><text:p>picture</text:p></draw:text-box></draw:frame><office:annotation><text:p>comment</text:p></office:annotation>
        <text:p>g<draw:frame><text:p>inside</text:p></draw:frame><text:note><text:p>note</text:p></text:note>&amp;&#228;<![CDATA[<h>]]></text:p></table:table-cell>"#;
    assert_eq!(
        outcome(&content("", &row(cells)), &WANTED),
        "People hidden=false others=0\n1 a   b⇥c⏎d⏎⏎ef|g&ä<h>\nrows [] columns []\n"
    );
}

#[test]
fn values_without_paragraphs_are_shown_plainly() {
    let cells = r#"<table:table-cell office:value-type="float" office:value="0.1"/><table:table-cell office:value-type="boolean"
        office:boolean-value="true"/><table:table-cell office:value-type="string" office:string-value="x"/><table:table-cell office:value-type="date"
        office:date-value="2026-11-24T14:29:59.999999998"/><table:table-cell office:value-type="time" office:time-value="PT14H30M05S"/><table:table-cell
        office:value-type="date" office:date-value="2026-11-24"/>"#;
    assert_eq!(
        outcome(&content("", &row(cells)), &WANTED),
        "People hidden=false others=0\n1 0.1|TRUE|x|2026-11-24 14:30|14:30:05|2026-11-24\nrows [] columns []\n"
    );
}

#[test]
fn formulas_that_went_wrong_or_were_not_worked_out_are_faults() {
    let cells = r#"<table:table-cell table:formula="of:=1"/><table:table-cell table:formula="of:=&quot;&quot;"><text:p/></table:table-cell><table:table-cell
        table:formula="of:=1/0" office:value-type="string" calcext:value-type="error"><text:p>Err:502</text:p></table:table-cell><table:table-cell
        table:formula="of:=X" office:value-type="string"><text:p>#NAME?</text:p></table:table-cell><table:table-cell office:value-type="string">
        <text:p>#N/A</text:p></table:table-cell><table:table-cell table:formula="of:=2" office:value-type="float" office:value="2"/>"#;
    assert_eq!(
        outcome(&content("", &row(cells)), &WANTED),
        "People hidden=false others=0\n1 ||Err:502|#NAME?|#N/A|2\nrows [] columns []\nfault 1 0 NoValue\nfault 1 2 Error(\"Err:502\")\n\
         fault 1 3 Error(\"#NAME?\")\n"
    );
}

#[test]
fn dates_are_told_from_times_by_their_styles() {
    let styles = r#"<number:date-style style:name="d"><number:year/></number:date-style><number:date-style style:name="dt"><number:year/><number:hours/></number:date-style>
        <number:time-style style:name="t"><number:hours/><number:minutes/></number:time-style><number:time-style style:name="span"
        number:truncate-on-overflow="false"><number:hours/><number:minutes/></number:time-style><number:time-style style:name="lap"><number:minutes/><number:seconds/></number:time-style>
        <style:style style:name="d1" style:family="table-cell" style:data-style-name="d"/><style:style style:name="d2" style:family="table-cell" style:data-style-name="dt"/>
        <style:style style:name="t1" style:family="table-cell" style:data-style-name="t"/><style:style style:name="t2" style:family="table-cell" style:data-style-name="span"/>
        <style:style style:name="t3" style:family="table-cell" style:data-style-name="lap"/><style:style style:name="child" style:family="table-cell" style:parent-style-name="d2"/>
        <style:style style:name="a" style:family="table-cell" style:parent-style-name="b"/><style:style style:name="b" style:family="table-cell" style:parent-style-name="a"/>"#;
    let date = |style: &str, value: &str| {
        format!(
            r#"<table:table-cell {style} office:value-type="date" office:date-value="{value}"><text:p>shown</text:p></table:table-cell>"#
        )
    };
    let time = |style: &str, value: &str| {
        format!(
            r#"<table:table-cell table:style-name="{style}" office:value-type="time" office:time-value="{value}"><text:p>shown</text:p></table:table-cell>"#
        )
    };
    let of = |name: &str| format!(r#"table:style-name="{name}""#);
    let rows = [
        date(&of("d1"), "2026-11-24T14:30:00") + &date(&of("d2"), "2026-11-24") + &date(&of("child"), "2026-11-24"),
        date("", "2026-11-24")
            + &date(&of("a"), "2026-11-24")
            + &date(&of("d1"), "no date")
            + &date(&of("d1"), "-0044-03-15"),
        time("t1", "PT14H30M00S") + &time("t1", "PT38H30M00S") + &time("t2", "PT14H30M00S") + &time("t3", "PT0H1M2S"),
        time("", "PT14H30M00S") + &time("", "PT26H00M00S") + &time("t1", "-PT1H") + &time("t1", "x"),
    ];
    let columns = r#"<table:table-column table:default-cell-style-name="d2"/><table:table-column/>"#;
    let table = format!("{columns}{}", rows.map(|cells| row(&cells)).concat());
    assert_eq!(
        outcome(&content(styles, &table), &WANTED),
        "People hidden=false others=0\n1 2026-11-24|2026-11-24 00:00|2026-11-24 00:00\n2 2026-11-24 00:00|2026-11-24|shown|shown\n\
         3 14:30|14:30|shown|shown\n4 14:30|shown|shown|shown\nrows [] columns []\n"
    );
}

#[test]
fn hidden_rows_and_columns_are_told_however_they_are_hidden() {
    let styles = r#"<style:style style:name="flat" style:family="table-row"><style:table-row-properties style:row-height="0cm"/></style:style>
        <style:style style:name="thin" style:family="table-column"><style:table-column-properties style:column-width="0.00in"/></style:style>"#;
    let cell = |times: u32| {
        format!(r#"<table:table-cell table:number-columns-repeated="{times}"><text:p>x</text:p></table:table-cell>"#)
    };
    let hidden = |how: &str| format!("<table:table-row {how}>{}</table:table-row>", cell(1));
    let table = format!(
        r#"<table:table-column/><table:table-column table:number-columns-repeated="2" table:visibility="collapse"/><table:table-column
        table:style-name="thin"/><table:table-column-group table:display="false"><table:table-column/></table:table-column-group><table:table-column/>
        <table:table-header-rows>{}</table:table-header-rows>{}{}{}<table:table-row-group table:display="false"><table:table-row-group>{}</table:table-row-group></table:table-row-group>{}"#,
        row(&cell(6)),
        hidden(r#"table:visibility="filter" table:number-rows-repeated="2""#),
        hidden(r#"table:visibility="collapse""#),
        hidden(r#"table:style-name="flat""#),
        row(&cell(1)),
        row(&cell(1)),
    );
    assert_eq!(
        outcome(&content(styles, &table), &WANTED),
        "People hidden=false others=0\n1 x|x|x|x|x|x\n2 x\n3 x\n4 x\n5 x\n6 x\n7 x\nrows [2, 3, 4, 5, 6] columns [1, 2, 3, 4]\n"
    );
}

#[test]
fn the_sheet_with_just_that_name_comes_before_one_like_it() {
    let table = |name: &str, more: &str| {
        let cells =
            format!(r#"<table:table-cell office:value-type="string"><text:p>{name}</text:p></table:table-cell>"#);
        format!(r#"<table:table table:name="{name}" {more}>{}</table:table>"#, row(&cells))
    };
    let styles = r#"<style:style style:name="h" style:family="table"><style:table-properties table:display="false"/></style:style>"#;
    let all = table("people", r#"table:style-name="h""#)
        + &table("PEOPLE ", "")
        + &table("People", "")
        + &table("'file:///x'#People", "");
    let bytes = tables(styles, &all);
    let read = |sheet| outcome(&bytes, &Wanted { sheet, ..WANTED });
    let with = |name: &str, hidden: bool, others: usize| {
        format!("{name} hidden={hidden} others={others}\n1 {name}\nrows [] columns []\n")
    };
    assert_eq!(read(None), with("PEOPLE ", false, 1));
    assert_eq!(read(Some("People")), with("People", false, 1));
    assert_eq!(read(Some("peoplE")), with("people", true, 2));
}
