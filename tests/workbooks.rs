//! A workbook is a list, too: each cell is what the sheet shows, and what the sheet hides is said.

use apiece::{
    campaign::ListOptions,
    recipients::{ListFile, RecipientList},
};
use calamine::{Data, Reader, Xlsx};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};

use crate::support::{Home, Run};

const TEMPLATE: &str =
    "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{name}}: {{phone}}, {{amount}}, {{when}}\n";

/// The same people as saved in three formats, from `tests/data/workbooks`.
const FIXTURES: [&str; 3] = ["people.xlsx", "people.xls", "people.ods"];

fn home() -> Home {
    let home = Home::new();
    home.write("t.txt.hbs", TEMPLATE);
    for name in FIXTURES {
        let path = format!("{}/tests/data/workbooks/{name}", env!("CARGO_MANIFEST_DIR"));
        home.write(name, std::fs::read(path).unwrap());
    }
    home
}

fn check(home: &Home, list: &str, more: &[&str]) -> Run {
    home.run(&[&["check", "t.txt.hbs", list], more].concat())
}

/// A workbook with one sheet, filled by `fill`.
fn workbook(fill: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    fill(workbook.add_worksheet());
    workbook.save_to_buffer().unwrap()
}

#[test]
fn what_a_sheet_hides_or_cannot_show_is_refused_in_every_format() {
    let home = home();
    for name in FIXTURES {
        let run = check(&home, name, &["--rejected", &format!("{name}.csv")]).ended(65);
        let said = "note: NAME: the list is read from the sheet \"People\"; the workbook has 2 more\n  \
                      help: another one is chosen with --sheet NAME\n\
                    note: NAME: the sheet hides the column \"Secret\", which a template can show\n\
                    note: NAME: white space or invisible characters around 1 cell were taken off (row 6)\n\
                    error: NAME: 4 mistakes in 3 rows\n  \
                      row  column  what is wrong\n    \
                        8          the sheet hides this row, by hand or by a filter: is the person meant or not?\n    \
                        9          the sheet hides this row, by hand or by a filter: is the person meant or not?\n   \
                       11  Name    the sheet shows the error \"#N/A\" here\n   \
                       11  Phone   the sheet shows the error \"#DIV/0!\" here\n  \
                      help: rows 8, 9: show or delete such rows; or say --hidden use to write to them, or --hidden skip to leave them out\n  \
                      help: row 11: put it right in the spreadsheet, or write the value in place of the formula\n\
                    3 bad rows written to NAME.csv\n";
        assert_eq!(
            run.stderr,
            said.replace("--sheet NAME", "--sheet SHEET").replace("NAME", name).replace("SHEET", "NAME")
        );
        let bad = std::fs::read_to_string(home.path().join(format!("{name}.csv"))).unwrap();
        let hidden = "\"the sheet hides this row, by hand or by a filter: is the person meant or not?\",";
        let hidden = hidden.replace('"', "");
        let errors = "\"Name: the sheet shows the error \"\"#N/A\"\" here; Phone: the sheet shows the error \"\"#DIV/0!\"\" here\",";
        let headings = "\u{feff}why,Name,E-Mail,Phone,Amount,Secret,When\r\n";
        let plain = bad
            .replace(&format!("\"{}\",", hidden.trim_end_matches(',')), "HIDDEN,")
            .replace(errors, "ERRORS,")
            .replace(headings, "");
        assert_eq!(
            plain,
            "HIDDEN,Hidden,hidden@one.example,12-345,0.3,,26:05\r\n\
             HIDDEN,Filtered,filtered@one.example,441234567890,29%,,2026-11-25\r\n\
             ERRORS,#N/A,eve@one.example,#DIV/0!,1.23E+04,,FALSE\r\n"
        );
        let run = check(&home, name, &["--hidden", "skip"]).ended(65);
        assert!(!run.stderr.contains("the sheet hides this row"), "{}", run.stderr);
    }
}

#[test]
fn each_cell_is_what_the_sheet_shows() {
    let home = home();
    let whole = Format::new().set_num_format("0000");
    let money = Format::new().set_num_format("\"€\" #,##0.00");
    let day = Format::new().set_num_format("dd.mm.yy");
    let people = |sheet: &mut rust_xlsxwriter::Worksheet| -> Result<(), rust_xlsxwriter::XlsxError> {
        for (column, heading) in ["Name", "E-Mail", "Phone", "Amount", "When"].iter().enumerate() {
            sheet.write(0, column as u16, *heading)?;
        }
        sheet.write(1, 0, "Ada")?.write(1, 1, "ada@one.example")?.write(1, 2, "0044 1")?;
        sheet.write_with_format(1, 3, 1234.5, &money)?;
        sheet.write_with_format(1, 4, ExcelDateTime::from_ymd(2026, 11, 24)?, &day)?;
        sheet.write(3, 0, "Bo")?.write(3, 1, "bo@two.example")?;
        sheet.write_with_format(3, 2, 42, &whole)?;
        sheet.write_formula(3, 3, Formula::new("=1/3").set_result("0.333333333333333"))?;
        sheet.write(3, 4, "by phone")?;
        Ok(())
    };
    home.write("p.csv", workbook(|sheet| people(sheet).unwrap()));
    // It is a workbook, whatever its name says, and text is text in an .xlsx.
    let shown = home.run(&["preview", "t.txt.hbs", "p.csv"]).ended(0).stdout;
    let texts: Vec<&str> = shown.lines().filter(|line| line.starts_with("Dear")).collect();
    assert_eq!(texts, ["Dear Ada: 0044 1, € 1,234.50, 2026-11-24", "Dear Bo: 0042, 0.333333333333333, by phone"]);
    assert!(shown.contains("── row 4 ── to bo@two.example alone ──"), "{shown}");
    home.write("text.xlsx", "name;email;phone;amount;when\nAda;ada@one.example;1;2;3\n");
    assert_eq!(check(&home, "text.xlsx", &[]).ended(0).stdout, "1 recipient, 5 columns, all well\n");
    // A date is shown in another way if the column says so; the text beside it is none then.
    let shown = check(&home, "p.csv", &["--column", "When=date %-d %B %Y"]).ended(65);
    assert_eq!(
        shown.stderr,
        "error: p.csv, row 4, column \"When\": \"by phone\" is not a date of the format %-d %B %Y, nor one like 2026-11-24\n  \
           help: write it like that; or say how dates are written there, for example --column \"Visit=date %d.%m.%Y\", or visit = \"date %d.%m.%Y\" under [columns] in campaign.toml\n"
    );
    let shown = home.run(&["send", "t.txt.hbs", "p.csv", "--sandbox", "--confirm", "2"]).ended(0).stdout;
    assert!(shown.contains("people with exactly one message      2 of 2 on the list"), "{shown}");
}

#[test]
fn bad_rows_of_a_sheet_can_be_mended_and_given_back() {
    let home = home();
    let list = workbook(|sheet| {
        let rows = [
            ["E-Mail\nAddress", "name", "phone", "amount", "when", "note"],
            ["ada", "Ada", "1", "2", "3", ""],
            ["bo@two.example", "Bo", "1", "2", "3", ""],
        ];
        for (row, cells) in rows.iter().enumerate() {
            cells.iter().enumerate().for_each(|(column, cell)| {
                sheet.write(row as u32, column as u16, *cell).unwrap();
            });
        }
        sheet.set_row_hidden(0).unwrap();
    });
    home.write("p.xlsx", list);
    let run = check(&home, "p.xlsx", &["--hidden", "skip", "--rejected", "bad.csv"]).ended(65);
    assert_eq!(
        run.stderr,
        "error: p.xlsx, row 2, column \"E-Mail Address\": \"ada\" has no @\n  help: an address is like name@example.org\n1 bad row written to bad.csv\n"
    );
    let bad = std::fs::read_to_string(home.path().join("bad.csv")).unwrap();
    assert!(bad.ends_with(",ada,Ada,1,2,3,\r\n"), "{bad}");
    home.write("again.csv", bad.replace(",ada,", ",ada@one.example,"));
    check(&home, "again.csv", &[]).ended(0);
}

#[test]
fn the_sheet_can_be_named_and_what_is_odd_is_said() {
    let home = home();
    let mut book = Workbook::new();
    let fill = |sheet: &mut rust_xlsxwriter::Worksheet, who: &str| {
        for (column, text) in ["Name", "email", "Phone", "Amount", "When"].iter().enumerate() {
            sheet.write(0, column as u16, *text).unwrap();
        }
        for (column, text) in [who, &format!("{who}@one.example"), "1", "2", "3"].iter().enumerate() {
            sheet.write(1, column as u16, *text).unwrap();
            sheet
                .write(2, column as u16, if column == 1 { format!("x{who}@one.example") } else { (*text).into() })
                .unwrap();
        }
    };
    fill(book.add_worksheet().set_name("Old").unwrap().set_hidden(true), "old");
    fill(book.add_worksheet().set_name("Team").unwrap().set_active(true), "team");
    let board = book.add_worksheet().set_name("Board").unwrap();
    fill(board, "board");
    board.set_row_hidden(2).unwrap();
    board.set_column_hidden(2).unwrap();
    home.write("p.xlsx", book.save_to_buffer().unwrap());
    let names = |more: &[&str]| {
        let run = home.run(&[&["preview", "t.txt.hbs", "p.xlsx"], more].concat()).ended(0);
        let names =
            run.stdout.lines().filter_map(|line| Some(line.strip_prefix("Dear ")?.split(':').next()?.to_owned()));
        (names.collect::<Vec<_>>().join(" "), run.stderr)
    };
    assert_eq!(names(&[]), ("team team".into(),
        "note: p.xlsx: the list is read from the sheet \"Team\"; the workbook has 1 more\n  help: another one is chosen with --sheet NAME\n".into()));
    assert_eq!(
        names(&["--sheet", "old"]),
        ("old old".into(), "note: p.xlsx: the sheet \"Old\" is hidden in the workbook\n".into())
    );
    let columns = "note: p.xlsx: the sheet hides the column \"Phone\", which a template can show\n";
    assert_eq!(
        names(&["--sheet", "Board", "--hidden", "use"]),
        ("board board".into(), format!("{columns}note: p.xlsx: row 3, which the sheet hides, is on the list\n"))
    );
    assert_eq!(
        names(&["--sheet", "Board", "--hidden", "skip"]),
        ("board".into(), format!("{columns}note: p.xlsx: row 3, which the sheet hides, is left out\n"))
    );
    assert_eq!(
        check(&home, "p.xlsx", &["--sheet", "Bord"]).ended(65).stderr,
        "error: p.xlsx: this workbook has no sheet \"Bord\"\n  help: did you mean \"Board\"? The sheets are \"Old\", \"Team\", \"Board\"\n"
    );
}

#[test]
fn what_is_no_workbook_or_too_much_of_one_is_said() {
    let home = home();
    let full = workbook(|sheet| {
        sheet.write(0, 0, "name").unwrap();
        sheet.write(0, 1, "email").unwrap();
        (1..200).for_each(|row| {
            sheet.write(row, 0, format!("P{row}")).unwrap();
            sheet.write(row, 1, format!("p{row}@one.example")).unwrap();
        });
        sheet.write(0, 60, "far").unwrap();
    });
    home.write("full.xlsx", &full);
    home.write("cut.xlsx", &full[..full.len() / 2]);
    home.write("pk.csv", b"PK\x03\x04rest");
    let formula = workbook(|sheet| {
        for (column, heading) in ["Name", "E-Mail", "Phone", "Amount", "When"].iter().enumerate() {
            sheet.write(0, column as u16, *heading).unwrap();
        }
        sheet.write(1, 1, "ada@one.example").unwrap();
        sheet.write_formula(1, 0, Formula::new("=A5").set_result("")).unwrap();
    });
    home.write("formula.xlsx", formula);
    for (list, more, said) in [
        (
            "full.xlsx",
            &["--max-rows", "100"][..],
            "error: full.xlsx: the sheet has more than 100 rows, and that is the most\n",
        ),
        (
            "full.xlsx",
            &["--max-columns", "50"],
            "error: full.xlsx: row 1 of the sheet has more than 50 columns, and that is the most\n",
        ),
        ("cut.xlsx", &[], "error: cut.xlsx: this workbook is damaged: "),
        ("pk.csv", &[], "error: pk.csv: this workbook is damaged: "),
    ] {
        let run = check(&home, list, more).ended(65);
        assert!(run.stderr.starts_with(said) && run.stderr.contains("\n  help: "), "{}", run.stderr);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Another library writes a sheet, and a third one reads the same texts and numbers in it.
    #[test]
    fn another_reader_sees_the_same(
        rows in prop::collection::vec(("\\PC{0,20}", -1_000_000_000..1_000_000_000i64, any::<bool>()), 1..30),
    ) {
        let bytes = workbook(|sheet| {
            for (column, heading) in ["text", "email", "number", "bool"].iter().enumerate() {
                sheet.write(0, column as u16, *heading).unwrap();
            }
            for (nth, (text, number, truth)) in rows.iter().enumerate() {
                let row = nth as u32 + 1;
                sheet.write_string(row, 0, text).unwrap();
                sheet.write_string(row, 1, format!("p{nth}@one.example")).unwrap();
                sheet.write_number(row, 2, *number as f64).unwrap();
                sheet.write_boolean(row, 3, *truth).unwrap();
            }
        });
        let mut other: Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(bytes.clone())).unwrap();
        let range = other.worksheet_range_at(0).unwrap().unwrap();
        let options = ListOptions { rows_are_right: true, ..ListOptions::default() };
        let list = RecipientList::of(&ListFile::from_bytes("p.xlsx", bytes), &options);
        let list = list.map_err(|why| TestCaseError::fail(why.to_string()))?;
        prop_assert_eq!(list.len(), rows.len());
        for recipient in list.iter() {
            for column in 0..4 {
                let seen = match range.get_value((recipient.row() as u32 - 1, column as u32)).unwrap() {
                    Data::String(text) => text.trim_matches(apiece::address::clings).to_owned(),
                    Data::Float(number) => number.to_string(),
                    Data::Bool(truth) => truth.to_string().to_uppercase(),
                    Data::Empty => String::new(),
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!(recipient.field(column), seen);
            }
        }
    }
}
