//! Lists come from spreadsheets, case systems and colleagues: each thing that can be wrong with one has its own words,
//! and what is only odd is taken as it is meant, and said.

use std::{io::Write, process::Stdio};

use apiece::{
    campaign::{Delimiter, ListOptions},
    recipients::{ListFile, RecipientList},
};
use encoding_rs::Encoding;
use proptest::prelude::*;

use crate::support::{
    Run, json,
    lists::{FRONT, check, home, names, refused, taken},
};

#[test]
fn delimiters_line_ends_and_quotes_are_as_the_program_wrote_them() {
    for (list, more) in [
        ("name,email\r\n\"Ada\r\nL.\",ada@one.example\r\nBo,bo@two.example\r\n", &[][..]),
        ("name;email\n\"Ada\nL.\";ada@one.example\nBo;bo@two.example", &[]),
        ("name\temail\r\"Ada\rL.\"\tada@one.example\rBo\tbo@two.example\r", &[]),
        ("name|email\n\"Ada\nL.\"|ada@one.example\n\n\nBo|bo@two.example\n|\n", &[]),
        ("sep=;\r\nname;email\r\n\"Ada\r\nL.\";ada@one.example\r\nBo;bo@two.example\r\n", &[]),
        (
            "name;email,x\n\"Ada\nL.\";ada@one.example\nBo;bo@two.example\n",
            &["--delimiter", ";", "--address", "email,x"],
        ),
    ] {
        let home = home(list, "");
        assert_eq!(names(&home, more), ["Ada", "Bo"], "{list:?}");
        check(&home, more).ended(0);
    }
    refused(
        "name;email\nAda;ada@one.example\n",
        &["--delimiter", ","],
        "error: p.csv, row 1: no column looks like the one with the addresses; the headings are \"name;email\"\n  \
           help: all of it stands in one cell: is the delimiter semicolon? Then say so with --delimiter\n",
    );
}

#[test]
fn standard_input_is_a_list_too() {
    let home = home("", "");
    let mut child = home
        .command(&["check", "t.txt.hbs", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"name,email\nAda,ada@one.example\nBo,bo\n").unwrap();
    let run = Run::of(child.wait_with_output().unwrap()).ended(65);
    assert_eq!(
        run.stderr,
        "error: standard input, row 3, column \"email\": \"bo\" has no @\n  help: an address is like name@example.org\n"
    );
}

#[test]
fn encodings_are_marked_or_named_and_never_guessed() {
    let list = "name,email\nZoë,zoe@one.example\n";
    let utf16 = |unit: fn(u16) -> [u8; 2]| format!("\u{feff}{list}").encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let marked = "note: p.csv: the file begins with a byte order mark, which is no part of the first heading\n";
    for (bytes, more, said) in [
        (list.as_bytes().to_vec(), &[][..], ""),
        (format!("\u{feff}{list}").into_bytes(), &[], marked),
        (utf16(u16::to_le_bytes), &[], marked),
        (utf16(u16::to_be_bytes), &[], marked),
        (b"name,email\nZo\xeb,zoe@one.example\n".to_vec(), &["--encoding", "windows-1252"], ""),
        (b"name,email\nZo\xeb,zoe@one.example\n".to_vec(), &["--encoding", "latin1"], ""),
    ] {
        assert_eq!(names(&taken(bytes, more, said), more), ["Zoë"]);
    }
    let latin = b"name,email\nAda,ada@one.example\nZo\xeb,zoe@one.example\n";
    let home = refused(
        latin,
        &[],
        "error: p.csv, row 3: this is not UTF-8 text; as windows-1252 it would be \"Zoë\"\n  \
           help: if that reads right, say --encoding windows-1252 (or encoding = \"windows-1252\" under [recipients_options] in campaign.toml); \
         or save the list as \"CSV UTF-8\" in the spreadsheet program\n",
    );
    home.write(
        "campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"p.csv\"\n[recipients_options]\nencoding = \"windows-1252\"\n",
    );
    home.run(&["check", "."]).ended(0);
    let run = check(&home, &["--encoding", "klingon"]).ended(64);
    assert!(
        run.stderr.contains("there is no encoding \"klingon\"; usual ones are utf-8, windows-1252, utf-16le"),
        "{}",
        run.stderr
    );
}

#[test]
fn headings_are_matched_and_must_be_clear() {
    let home = home("N-A_M e,E-Mail Address\nAda,ada@one.example\n", "{{n_a_m_e}}");
    home.write("t.txt.hbs", format!("{FRONT}Dear {{{{n_a_m_e}}}},\n"));
    check(&home, &[]).ended(0);
    refused(
        "First name,first_name,email,FIRST-NAME\nA,B,a@one.example,C\n",
        &[],
        "error: p.csv: 2 mistakes in 1 row\n  \
           row  column  what is wrong\n    \
             1          the headings \"First name\" and \"first_name\" are the same for a template\n    \
             1          the headings \"First name\" and \"FIRST-NAME\" are the same for a template\n  \
           help: row 1: rename one of them: upper case, spaces and punctuation make no difference\n\
         error: there is no column for {{name}}\n --> t.txt.hbs:5:8\n  |\n5 | Dear {{name}},\n  |        ^^^^\n  |\n  \
         = help: the list has the columns \"first_name\", \"first_name\", \"email\", \"first_name\"\n",
    );
    refused(
        "name,,email\nAda,,ada@one.example\nBo,x,bo@one.example\n",
        &[],
        "error: p.csv, row 3: column 2 has no heading, and row 3 has \"x\" in it\n  help: give the column a heading, or empty it\n",
    );
    // Columns and rows without anything in them are what spreadsheets write.
    assert_eq!(
        names(&taken("name,,email,,\nAda,,ada@one.example,,\n,,,,\nBo,,bo@one.example,,\n,,,,\n", &[], ""), &[]),
        ["Ada", "Bo"]
    );
    refused(
        "name,mobile\nAda,1\n",
        &[],
        "error: p.csv, row 1: no column looks like the one with the addresses; the headings are \"name\", \"mobile\"\n  \
           help: name it with --address HEADING, or address = \"HEADING\" under [recipients_options] in campaign.toml\n",
    );
    refused(
        "name,email,E-Mail-Adresse\nAda,ada@one.example,x\n",
        &[],
        "error: p.csv, row 1: more than one column could hold the addresses: \"email\", \"E-Mail-Adresse\"\n  \
           help: name it with --address HEADING, or address = \"HEADING\" under [recipients_options] in campaign.toml\n",
    );
    refused(
        "name,email\nAda,ada@one.example\n",
        &["--address", "e-mial", "--optional", "nam", "--column", "Visit=date"],
        "error: p.csv: 3 mistakes in 1 row\n  \
           row  column  what is wrong\n    \
             1          there is no column \"nam\", which is to be optional; the headings are \"name\", \"email\"\n    \
             1          there is no column \"Visit\", which has a type; the headings are \"name\", \"email\"\n    \
             1          there is no column \"e-mial\", which is to hold the addresses; the headings are \"name\", \"email\"\n  \
           help: row 1: did you mean \"name\"?\n  \
           help: row 1: did you mean \"email\"?\n",
    );
    refused(
        "Ada,ada@one.example\n",
        &[],
        "error: p.csv, row 1: the first row holds a person, and must hold the headings\n  \
           help: put a row with a heading for each column above it, for example name,email\n",
    );
    refused("", &[], "error: p.csv: the list is empty\n");
    refused("name,email\n,\n\n", &[], "error: p.csv: the list has headings and nobody under them\n");
}

#[test]
fn columns_that_the_template_does_not_use_are_said() {
    let home = home("name,Note,Naem,email\nAda,1,2,ada@one.example\n", "");
    assert_eq!(
        check(&home, &[]).ended(0).stdout,
        "the template does not use \"Note\", \"Naem\" (is it meant to be {{name}}?)\n1 recipient, 4 columns, all well\n"
    );
}

#[test]
fn white_space_that_clings_to_cells_is_taken_off_and_said() {
    let list = "name,email\n Ada ,\u{a0}ada@one.example\u{200b}\nBo,\u{feff}bo@two.example\nCem,cem@three.example\n";
    let home = taken(
        list,
        &[],
        "note: p.csv: white space or invisible characters around 3 cells were taken off (rows 2, 3)\n",
    );
    assert_eq!(names(&home, &[]), ["Ada", "Bo", "Cem"]);
    let shown = home.run(&["preview", "t.txt.hbs", "p.csv", "--row", "2"]).ended(0).stdout;
    assert!(shown.starts_with("── row 2 ── to ada@one.example alone ──\n"), "{shown}");
}

#[test]
fn rows_have_as_many_cells_as_there_are_headings() {
    refused(
        "name;email;ref\nAda;ada@one.example;1;;\nBo;bo@two.example\nCem;cem@three.example;1;2\nDee\n",
        &[],
        "error: p.csv: 3 mistakes in 3 rows\n  \
           row  column  what is wrong\n    \
             3          the row has 2 cells, and there are 3 headings\n    \
             4          the row has 4 cells, and there are 3 headings\n    \
             5          the row has 1 cell, and there are 3 headings\n  \
           help: rows 3, 5: leave a cell empty rather than out\n  \
           help: row 4: a cell with a semicolon in it must stand in quotation marks; or a heading is missing\n",
    );
    refused(
        "name,email\nAda,ada@one.example\n\"Bo,bo@two.example\nCem,cem@three.example\n",
        &[],
        "error: p.csv, row 3: a quotation mark is opened and never closed, so that the rest of the file is one cell\n  \
           help: close it, or write it twice where it belongs to the text\n",
    );
}

#[test]
fn limits_are_said_and_can_be_set() {
    let list = "name,email\nAda,ada@one.example\nBo,bo@two.example\n";
    refused(
        list,
        &["--max-rows", "1"],
        "error: p.csv: the list has more than 1 row\n  help: send in several parts, or raise the limit with --max-rows\n",
    );
    refused(
        list,
        &["--max-columns", "1"],
        "error: p.csv, row 1: the list has 2 columns, and the most is 1\n  help: delete columns that are not needed, or raise the limit with --max-columns\n",
    );
    refused(
        list,
        &["--max-cell-bytes", "14"],
        "error: p.csv, row 2, column \"email\": the cell is longer than 14 bytes\n  \
           help: is a quotation mark missing? Else raise the limit with --max-cell-bytes\n",
    );
    let large = format!("name,email\n{}", "Ada,ada@one.example\n".repeat(60_000));
    refused(
        &large,
        &["--max-file-mib", "1"],
        "error: p.csv: this is larger than 1 MiB\n  help: send in several parts, or raise the limit with --max-file-mib\n",
    );
    let home =
        taken(list, &["--max-rows", "2", "--max-columns", "2", "--max-cell-bytes", "16", "--max-file-mib", "1"], "");
    home.write(
        "campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"p.csv\"\n[recipients_options]\nmax_rows = 1\nmax_file_mib = 0\n",
    );
    let said = home.run(&["check", "."]).ended(65).stderr;
    assert!(
        said.starts_with("error: \"recipients_options.max_file_mib\": a whole number from 1 to 1048576 is wanted\n"),
        "{said}"
    );
}

#[test]
fn bad_rows_are_written_as_they_were_and_can_be_given_back() {
    let list = "\u{feff}Name;E-Mail;Ref\r\nAda;ada@one.example;1\r\n Bo ;bo(at)two.example;\"2;\"\"x\"\"\"\r\nCem;cem@three.example;3;4\r\nDee;dee@four.example;5\r\nEve;;\"6\r\n7\"\r\n";
    let home = home(list, "");
    let run = check(&home, &["--rejected", "bad.csv"]).ended(65);
    assert!(run.stderr.ends_with("3 bad rows written to bad.csv\n"), "{}", run.stderr);
    let bad = std::fs::read_to_string(home.path().join("bad.csv")).unwrap();
    assert_eq!(
        bad,
        "\u{feff}why;Name;E-Mail;Ref\r\n\
         \"E-Mail: \"\"bo(at)two.example\"\" has no @\"; Bo ;bo(at)two.example;\"2;\"\"x\"\"\"\r\n\
         the row has 4 cells, and there are 3 headings;Cem;cem@three.example;3;4\r\n\
         E-Mail: there is no address;Eve;;\"6\r\n7\"\r\n"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(home.path().join("bad.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(
        check(&home, &["--rejected", "bad.csv"]).ended(73).stderr,
        "error: bad.csv is there already, and is not overwritten\n  help: choose another name\n"
    );
    // Half mended and given back: one row is still wrong, and its old reason is not kept.
    home.write("p.csv", bad.replace("bo(at)two", "bo@two").replace(";3;4\r", ";3\r"));
    let run = check(&home, &["--rejected", "bad2.csv"]).ended(65);
    assert!(run.stderr.ends_with("1 bad row written to bad2.csv\n"), "{}", run.stderr);
    assert_eq!(
        std::fs::read_to_string(home.path().join("bad2.csv")).unwrap(),
        "\u{feff}why;Name;E-Mail;Ref\r\nE-Mail: there is no address;Eve;;\"6\r\n7\"\r\n"
    );
    home.write(
        "p.csv",
        std::fs::read_to_string(home.path().join("bad2.csv")).unwrap().replace("Eve;;", "Eve;eve@five.example;"),
    );
    check(&home, &["--rejected", "bad3.csv"]).ended(0);
    assert!(!home.path().join("bad3.csv").exists());
}

#[test]
fn rows_that_are_wrong_for_the_template_are_bad_rows_too() {
    let home = home("name,email\nAda,ada@one.example\n,bo@two.example\n", "");
    let run =
        home.run(&["send", "t.txt.hbs", "p.csv", "--sandbox", "--confirm", "2", "--rejected", "bad.csv"]).ended(65);
    assert!(run.stderr.ends_with("1 bad row written to bad.csv\n"), "{}", run.stderr);
    assert_eq!(
        std::fs::read_to_string(home.path().join("bad.csv")).unwrap(),
        "\u{feff}why,name,email\r\n\"name: the cell is empty, and the message shows {{name}}\",,bo@two.example\r\n"
    );
}

#[test]
fn findings_come_as_json_with_code_row_and_column() {
    let home = home("\u{feff}name,email,x\nAda,ada@gmial.com,\nBo,bo,1\n", "{{nme}}");
    let run = check(&home, &["--format", "json"]).ended(65);
    let found: Vec<String> = json(&run)
        .iter()
        .map(|o| {
            format!("{} {} {} {} {} {}", o["event"], o["severity"], o["code"], o["row"], o["column"], o["line"])
                .replace('"', "")
        })
        .collect();
    assert_eq!(
        found,
        [
            "finding note list.byte-order-mark null null null",
            "finding warning address.slip 2 email null",
            "finding error address.no-at 3 email null",
            "finding error template.no-column null null 6",
            "checked null null null null null",
        ]
    );
    assert_eq!(json(&run)[4], serde_json::json!({"event": "checked", "well": false, "errors": 2, "warnings": 1}));
    home.write("t.txt.hbs", format!("{FRONT}{{{{name}}}}\n"));
    home.write("p.csv", "\u{feff}name,email,x\nAda,ada@gmail.com,\n");
    let run = check(&home, &["--format", "json"]).ended(0);
    assert_eq!(run.stderr, "");
    assert_eq!(
        json(&run),
        [
            serde_json::json!({"event": "finding", "severity": "note", "code": "list.byte-order-mark", "file": "p.csv", "help": null,
            "message": "the file begins with a byte order mark, which is no part of the first heading"}),
            serde_json::json!({"event": "checked", "well": true, "errors": 0, "warnings": 0, "recipients": 1, "columns": 3, "unused_columns": ["x"]}),
        ]
    );
    home.write("p.csv", "name,email\n,ada@gmial.com\n");
    let run = check(&home, &["--format", "json"]).ended(65);
    assert_eq!(
        json(&run).iter().map(|o| o["code"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>(),
        ["address.slip", "list.empty-cell", ""]
    );
}

#[test]
fn the_first_fifty_bad_rows_are_shown_and_the_rest_counted() {
    let list = (2..80).fold("name,email\n".to_owned(), |list, row| list + &format!("P{row},p{row}\n"));
    let home = home(&list, "");
    let run = check(&home, &["--rejected", "bad.csv"]).ended(65);
    assert!(
        run.stderr.starts_with(
            "error: p.csv: 78 mistakes in 78 rows\n  row  column  what is wrong\n    2  email   \"p2\" has no @\n"
        ),
        "{}",
        run.stderr
    );
    assert!(run.stderr.ends_with(
        "   51  email   \"p51\" has no @\n  … and 28 more; --rejected FILE.csv writes all of these rows into a file\n  \
             help: rows 2, 3, 4 …: an address is like name@example.org\n78 bad rows written to bad.csv\n"
    ), "{}", run.stderr);
    assert_eq!(json(&check(&home, &["--format", "json"]).ended(65)).len(), 79);
}

#[test]
fn a_stray_quotation_mark_takes_nobody_into_the_cell_of_another() {
    refused(
        "name,email,ref\nAnn,ann@a.example,\"1\nBob,bob@b.example,\"2\"\nCid,cid@c.example,3\n",
        &[],
        "error: p.csv, row 2: there is text behind the quotation mark that closes a cell\n  \
           help: a quotation mark that belongs to the text is written twice, with one more around the cell; if one is missing in another row, put it there\n",
    );
    refused(
        "name,email\nAnn, \"ann@a.example\"\n",
        &[],
        "error: p.csv, row 2: a space stands before a quotation mark, which then is one of the cell's own letters\n  help: take the space out\n",
    );
    // As a list it is right, and hardly what is meant.
    taken(
        "name,email,ref\nAnn,ann@a.example,\"5 pipes\nBob,bob@b.example,6 pipes\"\n",
        &[],
        "warning: p.csv, row 2, column \"ref\": the cell has several lines, and in one of them a cell with an address\n  \
           help: is a quotation mark missing, so that a person is in the cell of another?\n",
    );
    taken("name,email\n5\" Joe,joe@a.example\n", &[], "");
}

#[test]
fn accents_are_the_same_however_they_are_written() {
    let home = home(
        "Gro\u{308}ße,name,email,ok\nXL,Ada,ada@mu\u{308}ller.example,si\u{301}\n",
        "{{größe}} {{#if ok}}x{{/if}}",
    );
    check(&home, &["--column", "ok=yes_no"]).ended(0);
    home.write("t.txt.hbs", format!("{FRONT}{{{{gro\u{308}ße}}}} {{{{name}}}}\n"));
    check(&home, &[]).ended(0);
    home.write("p.csv", "Gro\u{308}ße,größe,name,email\nXL,L,Ada,ada@one.example\n");
    assert!(check(&home, &[]).ended(65).stderr.contains("are the same for a template"));
    home.write("p.csv", "na\u{7}me,größe,email\nAda,1,ada@one.example\n");
    home.write("t.txt.hbs", format!("{FRONT}{{{{größe}}}}\n"));
    assert_eq!(
        check(&home, &[]).ended(65).stderr,
        "error: p.csv, row 1, column \"na<U+0007>me\": the cell holds the control character U+0007\n  help: take it out of the cell\n"
    );
}

#[test]
fn what_is_no_list_is_called_what_it_is() {
    for (bytes, what) in [
        (&b"%PDF-1.7\n"[..], "a PDF document"),
        (b"\x89PNG\r\n", "a picture"),
        (b"\x1f\x8b\x08", "a compressed file (gzip)"),
        (b"  <html><table><tr><td>email", "a web page (HTML), which some systems call .xls"),
        (
            b"<?xml version=\"1.0\"?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">",
            "a workbook in XML",
        ),
        (b"{\\rtf1", "a text document (RTF)"),
    ] {
        refused(
            bytes,
            &[],
            &format!(
                "error: p.csv: this is {what}, and no list\n  \
               help: open it in the program that made it, and save the list as .xlsx or as \"CSV UTF-8\"\n"
            ),
        );
    }
}

#[test]
fn titles_above_the_headings_are_said() {
    refused(
        "Victims of 2026,,\n,,\nas of May,,\nname,email,ref\nAda,ada@one.example,1\n",
        &[],
        "error: p.csv, row 1: the headings must stand in the first row, and seem to stand in row 4\n  help: delete the rows above them\n",
    );
}

#[test]
fn what_stands_before_the_unreadable_is_looked_at_too() {
    let home = home("name,email\nAda,ada\nBo,bo@two.example\n\"Ce\"m,cem@three.example\nDee,dee\n", "");
    let run = check(&home, &["--rejected", "bad.csv"]).ended(65);
    assert_eq!(
        run.stderr,
        "error: p.csv: 2 mistakes in 2 rows\n  \
           row  column  what is wrong\n    \
             2  email   \"ada\" has no @\n    \
             4          there is text behind the quotation mark that closes a cell\n  \
           help: row 2: an address is like name@example.org\n  \
           help: row 4: a quotation mark that belongs to the text is written twice, with one more around the cell; if one is missing in another row, put it there\n\
         bad.csv cannot be written: the list cannot be read to its end\n"
    );
    home.write("p.csv", b"name,email\nAda,ada\nB\xfcb,bo@two.example\n");
    let run = check(&home, &[]).ended(65);
    assert!(
        run.stderr.contains("    2  email   \"ada\" has no @\n    3          this is not UTF-8 text"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("say --encoding windows-1252"), "{}", run.stderr);
}

#[test]
fn a_column_of_the_lists_own_called_why_stays() {
    let home = home("Why,name,email\nbecause,Ann,ann\nso,Bob,bob@b.example\n", "{{why}}");
    check(&home, &["--rejected", "bad.csv"]).ended(65);
    let bad = std::fs::read_to_string(home.path().join("bad.csv")).unwrap();
    assert_eq!(bad, "\u{feff}why_rejected,Why,name,email\r\n\"email: \"\"ann\"\" has no @\",because,Ann,ann\r\n");
    home.write("p.csv", bad.replace("Ann,ann", "Ann,ann@a.example"));
    let shown = home.run(&["preview", "t.txt.hbs", "p.csv"]).ended(0).stdout;
    assert!(shown.contains("Dear Ann,\nbecause"), "{shown}");
}

#[test]
fn all_rows_of_a_person_are_rejected_together() {
    let home = home(
        "name,email,ref\nAda,ada@one.example,1\nBo,bo@two.example,2\nAda,ada@one.example,\n",
        "{{#each rows}}{{ref}}{{/each}}",
    );
    check(&home, &["--group-by", "email", "--rejected", "bad.csv"]).ended(65);
    assert_eq!(
        std::fs::read_to_string(home.path().join("bad.csv")).unwrap(),
        "\u{feff}why,name,email,ref\r\nrow 4 of the same person is wrong,Ada,ada@one.example,1\r\n\
         \"ref: the cell is empty, and the message shows {{ref}}\",Ada,ada@one.example,\r\n"
    );
}

#[test]
fn text_that_was_lost_before_is_said() {
    taken(
        "name,email\n#N/A,ada@one.example\nJ\u{fffd}rg,bo@two.example\n",
        &[],
        "warning: p.csv: 2 things to look at in 2 rows\n  \
           row  column  what\n    \
             2  name    the cell says \"#N/A\"\n    \
             3  name    the cell says \"J\u{fffd}rg\"\n  \
           help: row 2: this is an error of the spreadsheet's: is it meant to be shown?\n  \
           help: row 3: a letter was lost when the list was saved: write it again\n",
    );
    refused(
        "name,email\nJürgen Groß,a@one.example\n",
        &["--encoding", "windows-1252"],
        "error: p.csv, row 2: this is UTF-8 text with \"Jürgen Groß\", which as windows-1252 would be \"JÃ¼rgen GroÃŸ\"\n  \
           help: leave --encoding (or encoding = …) out\n",
    );
    let utf16: Vec<u8> = "name,email\nAda,a@one.example\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let home = home(utf16, "");
    assert!(check(&home, &[]).ended(65).stderr.contains("say --encoding UTF-16LE"));
    check(&home, &["--encoding", "utf-16le"]).ended(0);
}

proptest! {
    #![proptest_config(crate::support::cases(500))]

    /// Whatever the csv crate writes comes back as it was, in every encoding that has its letters.
    #[test]
    fn lists_come_back_as_they_were_written(
        rows in prop::collection::vec(prop::collection::vec("[ -~äöüßé€\n\"',;|\t=@-]{0,12}", 3), 1..20),
        delimiter in 0..4usize,
        end in 0..3usize,
        encoding in 0..6usize,
    ) {
        let delimiter = Delimiter::ALL[delimiter];
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter.byte())
            .terminator([csv::Terminator::CRLF, csv::Terminator::Any(b'\n'), csv::Terminator::Any(b'\r')][end])
            .from_writer(Vec::new());
        writer.write_record(["one", "email", "two", "three"]).unwrap();
        for (nth, row) in rows.iter().enumerate() {
            writer.write_record([row[0].as_str(), &format!("p{nth}@one.example"), &row[1], &row[2]]).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let utf16 = |unit: fn(u16) -> [u8; 2]| format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let named = |label: &str| (Encoding::for_label(label.as_bytes()).unwrap().encode(&text).0.into_owned(), Encoding::for_label(label.as_bytes()));
        let (bytes, encoding) = match encoding {
            0 => (text.clone().into_bytes(), None),
            1 => (format!("\u{feff}{text}").into_bytes(), None),
            2 => (utf16(u16::to_le_bytes), None),
            3 => (utf16(u16::to_be_bytes), None),
            4 => named("windows-1252"),
            _ => named("gb18030"),
        };
        let options = ListOptions { encoding, delimiter: Some(delimiter), ..ListOptions::default() };
        let list = RecipientList::of(&ListFile::from_bytes("p.csv", bytes), &options).map_err(|why| TestCaseError::fail(why.to_string()))?;
        prop_assert_eq!(list.len(), rows.len());
        for (recipient, row) in list.iter().zip(&rows) {
            // White space around a cell is all that is not kept.
            let cells = [0, 2, 3].map(|column| recipient.field(column));
            let written: Vec<&str> = row.iter().map(|cell| cell.trim_matches(apiece::address::clings)).collect();
            prop_assert_eq!(&cells[..], &written[..]);
        }
    }

    #[test]
    fn no_bytes_are_too_odd(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "(name|email|[,;|\t\n\r\"@. ]|[a-z]{1,3}|\\PC){0,60}",
        delimiter in 0..5usize,
        label in 0..5usize,
    ) {
        let encoding = ["utf-8", "windows-1252", "utf-16le", "shift_jis", "iso-2022-jp"][label];
        let options = ListOptions {
            delimiter: Delimiter::ALL.get(delimiter).copied(),
            encoding: Encoding::for_label(encoding.as_bytes()),
            group_by: (delimiter % 2 == 0).then(|| "email".into()),
            columns: vec![vec![("name".into(), "date %d.%m.%Y".parse().unwrap())]],
            ..ListOptions::default()
        };
        for bytes in [bytes.clone(), text.clone().into_bytes(), format!("name,email\n{text}").into_bytes(), [b"\xff\xfe".to_vec(), bytes].concat()] {
            let file = ListFile::from_bytes("p.csv", bytes);
            for options in [&options, &ListOptions::default()] {
                match RecipientList::of(&file, options) {
                    Ok(list) => assert!(list.iter().all(|person| list.find(person.address().as_str()) == Some(person.index()))),
                    Err(why) => {
                        let _ = why.to_string();
                        let _ = file.write_rejected(options, &why, None, &mut Vec::new());
                    }
                }
                let _ = file.headings(options);
            }
        }
    }
}
