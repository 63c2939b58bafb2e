//! Bad input: every mistake at once, in words that tell what to do, and nothing is sent.

use crate::{
    at_a_terminal::Terminal,
    support::{Home, Run},
};

const TEMPLATE: &str =
    "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"For {{name}}\"\n+++\nDear {{name}},\nhello.\n";

/// A home with a template and a list as two files.
fn two_files(template: (&str, &str), list: &str) -> Home {
    let home = Home::new();
    home.write(template.0, template.1);
    home.write("people.csv", list);
    home
}

/// All commands refuse it alike; gives what they say.
#[track_caller]
fn refused(home: &Home, campaign: &[&str], code: i32) -> String {
    let run = |command: &[&str]| -> Run { home.run(&[command, campaign].concat()).ended(code) };
    let checked = run(&["check"]);
    assert_eq!(checked.stdout, "");
    let send = [&["send", "--color", "never", "--sandbox", "--confirm", "2"], campaign].concat();
    let sent = Terminal::all(home, &send, code as u32);
    // What `send` says of other people is short, since it ends up in logs.
    if checked.stderr.contains("the message to ada@one.example holds") {
        assert!(
            sent.contains("the message to a…@one.example holds b…@two.example, the address of row 3, in the "),
            "{sent}"
        );
    } else {
        assert_eq!(sent, checked.stderr);
    }
    assert!(
        !std::fs::read_dir(home.path())
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with("apiece-sandbox") })
    );
    checked.stderr
}

#[test]
fn every_bad_row_is_named_as_the_spreadsheet_numbers_it() {
    let list = "Name,E-Mail address\r\n\"Ada\r\nL.\",ada@one.example\r\n\r\nBo,\r\nCem,cem@one.example; cem@two.example\r\n\
                Dee,Dee <dee@one.example>\r\nEve,ADA@one.example\r\nFay,fay@one\r\nGil,gil @one.example\r\nHal\r\n";
    let home = two_files(("t.txt.hbs", TEMPLATE), list);
    assert_eq!(
        refused(&home, &["t.txt.hbs", "people.csv"], 65),
        "error: people.csv: 9 mistakes in 8 rows\n  \
           row  column          what is wrong\n    \
             2  E-Mail address  \"ada@one.example\" stands in rows 2 and 7\n    \
             2                  \"subject\" would hold a line break, which a header may not\n    \
             4  E-Mail address  there is no address\n    \
             5  E-Mail address  \"cem@one.example; cem@two.example\" holds more than one address\n    \
             6  E-Mail address  \"Dee <dee@one.example>\" has a name around the address\n    \
             7  E-Mail address  \"ADA@one.example\" stands in rows 2 and 7\n    \
             8  E-Mail address  \"fay@one\" has no dot in its domain\n    \
             9  E-Mail address  \"gil @one.example\" has the character space inside, which no address may hold\n   \
            10                  the row has 1 cell, and there are 2 headings\n  \
           help: rows 2, 7: each person gets one message: take the other rows out; or say --duplicates first to take the first row, or --group-by for one message about all of them\n  \
           help: row 2: take it out of the cell\n  \
           help: row 4: fill in the address, or take the row out of the list\n  \
           help: row 5: one cell, one address: give each person a row of their own\n  \
           help: row 6: write the address alone: \"dee@one.example\"\n  \
           help: row 8: it needs something like .org behind it\n  \
           help: row 9: did you mean \"gil@one.example\"?\n  \
           help: row 10: leave a cell empty rather than out\n"
    );
}

#[test]
fn every_mistake_in_a_template_has_its_line_and_column() {
    let template = "+++\nfrom = \"Ü <updates@police.example>\"\nsubject = \"Für {{nme}}\"\nsubjct = \"x\"\n+++\n\
                    Grüße {{Name}},\n{{#if caseref}}a{{else}}{{{name}}}{{/if}} {{uper name}} {{> footer}}\n";
    let home = two_files(("t.md.hbs", template), "name,case_ref,email\nAda,1,ada@one.example\n");
    assert_eq!(
        refused(&home, &["t.md.hbs", "people.csv"], 65),
        "error: there is no column for {{nme}}\n \
           --> t.md.hbs:3:18\n  |\n3 | subject = \"Für {{nme}}\"\n  |                  ^^^\n  |\n  = help: did you mean {{name}}?\n\
         error: there is no key \"subjct\"\n \
           --> t.md.hbs:4:1\n  |\n4 | subjct = \"x\"\n  | ^^^^^^\n  |\n  = help: did you mean \"subject\"?\n\
         error: there is no column for {{Name}}\n \
           --> t.md.hbs:6:9\n  |\n6 | Grüße {{Name}},\n  |         ^^^^\n  |\n  = help: did you mean {{name}}?\n\
         error: there is no column for {{caseref}}\n \
           --> t.md.hbs:7:7\n  |\n7 | {{#if caseref}}a{{else}}{{{name}}}{{/if}} {{uper name}} {{> footer}}\n  |       ^^^^^^^\n  |\n  = help: did you mean {{case_ref}}?\n\
         error: {{{name}}} would put a value from the list in unescaped\n \
           --> t.md.hbs:7:28\n  |\n7 | {{#if caseref}}a{{else}}{{{name}}}{{/if}} {{uper name}} {{> footer}}\n  |                            ^^^^\n  |\n  = help: write {{name}}; or, where the cells hold HTML that you trust, raw_html = [\"name\"] in the front matter\n\
         error: there is no helper \"uper\"\n \
           --> t.md.hbs:7:45\n  |\n7 | {{#if caseref}}a{{else}}{{{name}}}{{/if}} {{uper name}} {{> footer}}\n  |                                             ^^^^\n  |\n  = help: did you mean {{upper}}?\n\
         error: there is no partial \"footer\"\n \
           --> t.md.hbs:7:61\n  |\n7 | {{#if caseref}}a{{else}}{{{name}}}{{/if}} {{uper name}} {{> footer}}\n  |                                                             ^^^^^^\n  |\n  = help: it would be the file footer.md.hbs or footer.hbs\n"
    );
}

#[test]
fn what_follows_an_else_in_the_same_tag_is_looked_at_too() {
    for (chain, said, at) in [
        ("{{else if x}}{{{name}}}", "{{{name}}} would put a value from the list in unescaped", "7:30"),
        ("{{else if nosuch}}b", "there is no column for {{nosuch}}", "7:24"),
        (
            "{{else if name}}{{#if name}}{{/if}}{{else if x}}{{x}}{{else if nosuch}}b",
            "there is no column for {{nosuch}}",
            "7:77",
        ),
        ("{{else if name}}{{nosuch}}", "there is no column for {{nosuch}}", "7:32"),
        ("{{else each this}}{{@key}}", "{{#each}} has nothing to go through: a column holds one value", "7:21"),
        ("{{else if name}}{{lookup this \"x\"}}", "there is no helper \"lookup\"", "7:32"),
        (
            "{{else if name}}{{#*inline \"p\"}}{{> p}}{{/inline}}{{> p}}",
            "decorators, blocks of partials, and partials in headers are not available",
            "7:30",
        ),
        ("{{else if (eq x 1)}}", "cells hold text, and 1 is none", "7:30"),
    ] {
        let template = format!(
            "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n\n\n{{{{#if name}}}}a{chain}{{{{/if}}}}\n"
        );
        let home = two_files(("t.txt.hbs", &template), "name,x,email\nAda,1,ada@one.example\n");
        let all = refused(&home, &["t.txt.hbs", "people.csv"], 65);
        assert!(all.starts_with(&format!("error: {said}\n --> t.txt.hbs:{at}\n")), "{chain}\n{all}");
    }
}

#[test]
fn a_value_stands_in_html_only_where_it_can_be_escaped() {
    let template = "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n<p>{{name}}</p>\n<p title={{name}}>x</p>\n";
    let home = two_files(("t.html.hbs", template), "name,email\nAda,ada@one.example\n");
    assert_eq!(
        refused(&home, &["t.html.hbs", "people.csv"], 65),
        "error: a value from the list cannot stand in an attribute without quotation marks\n --> t.html.hbs:6:10\n  |\n6 | <p title={{name}}>x</p>\n  |          ^^^^^^^^\n  |\n  \
         = help: put the attribute in quotation marks, or the value into the text\n"
    );
    let template = "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n<a href=\"{{name}}\">x</a>\n";
    let home = two_files(("t.html.hbs", template), "name,email\njavascript:x,ada@one.example\n");
    assert_eq!(
        refused(&home, &["t.html.hbs", "people.csv"], 65),
        "error: people.csv, row 2: a link would go to \"javascript:x\", which is no web, mail or telephone address\n"
    );
}

#[test]
fn mistakes_of_list_and_template_come_together() {
    let home = two_files(("t.txt.hbs", &TEMPLATE.replace("{{name}},", "{{nme}},")), "name,email\nAda,ada\n");
    let said = refused(&home, &["t.txt.hbs", "people.csv"], 65);
    assert!(said.starts_with("error: people.csv, row 2, column \"email\": \"ada\" has no @\n"), "{said}");
    assert!(said.contains("error: there is no column for {{nme}}\n --> t.txt.hbs:5:8\n"), "{said}");
}

#[test]
fn names_of_files_cannot_move_the_cursor() {
    let home = two_files(("e\x1b[31mv.txt.hbs", "+++\nx\n+++\n"), "name,email\nAda,ada@one.example\n");
    let said = refused(&home, &["e\x1b[31mv.txt.hbs", "people.csv"], 65);
    assert!(!said.contains('\x1b') && said.contains("e<U+001B>[31mv.txt.hbs:2"), "{said:?}");
    let said = home.run(&["init", "d\x1b[31m"]).ended(0).stdout;
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn nobody_but_the_recipient_can_be_written_into_a_template() {
    for name in [
        "Cc",
        "bcc",
        "To",
        "Resent-To",
        "RESENT-BCC",
        "From",
        "Reply-To",
        "Date",
        "Message-ID",
        "Content-Type",
        "Sender",
    ] {
        let template =
            TEMPLATE.replacen("+++\nDear", &format!("\n[headers]\n{name} = \"x@one.example\"\n+++\nDear"), 1);
        let home = two_files(("t.txt.hbs", &template), "name,email\nAda,ada@one.example\n");
        let said = refused(&home, &["t.txt.hbs", "people.csv"], 65);
        assert!(said.starts_with(&format!("error: the header \"{name}\" cannot be set here: ")), "{said}");
    }
    for key in ["cc", "bcc", "to"] {
        let template = TEMPLATE.replacen("subject", &format!("{key} = \"Bo <bo@one.example>\"\nsubject"), 1);
        let home = two_files(("t.txt.hbs", &template), "name,email\nAda,ada@one.example\n");
        let said = refused(&home, &["t.txt.hbs", "people.csv"], 65);
        let expected = if key == "to" { "\"to\" is only the name to show" } else { "there is no key" };
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_line_break_in_a_header_is_refused_for_every_row_that_has_one() {
    let list =
        "name,email\n\"Ada\nBcc: bo@two.example\",ada@one.example\nBo,bo@two.example\n\"Cem\rx\",cem@three.example\n";
    let home = two_files(("t.txt.hbs", TEMPLATE), list);
    assert_eq!(
        refused(&home, &["t.txt.hbs", "people.csv"], 65),
        "error: people.csv: 2 mistakes in 2 rows\n  \
           row  column  what is wrong\n    \
             2          \"subject\" would hold a line break, which a header may not\n    \
             4          \"subject\" would hold a line break, which a header may not\n  \
           help: rows 2, 4: take it out of the cell\n"
    );
}

#[test]
fn another_persons_address_in_a_message_is_found_before_anything_is_sent() {
    let list = "name,contact,email\nAda,BO@two.example,ada@one.example\nBo,help@police.example,bo@two.example\n";
    let template = TEMPLATE.replace("hello.", "write to {{contact}}.");
    let home = two_files(("t.txt.hbs", &template), list);
    assert_eq!(
        refused(&home, &["t.txt.hbs", "people.csv"], 65),
        "error: people.csv, row 2: the message to ada@one.example holds \"bo@two.example\", the address of row 3, in the text: \"Dear Ada, write to BO@two.example.\"\n  \
           help: take it out of the template or the cell; an address that everybody may see belongs under allow in [guard] of campaign.toml\n"
    );
    home.write(
        "c/campaign.toml",
        "template = \"../t.txt.hbs\"\nrecipients = \"../people.csv\"\n[guard]\nallow = [\"Bo@two.example\"]\n",
    );
    assert_eq!(home.run(&["check", "c"]).ended(0).stdout, "2 recipients, 3 columns, all well\n");
}

#[test]
fn an_empty_cell_that_the_message_shows_is_an_error() {
    let template = "+++\nfrom = \"u@police.example\"\nsubject = \"{{ref}}\"\n+++\n{{#if name}}Dear {{name}}{{else}}{{ref}}{{/if}}\n\
                    {{#unless note}}x{{else}}{{note}}{{/unless}}{{#if (and a b)}}{{a}}{{b}}{{/if}}{{#if (or (not a) b)}}{{else}}{{a}}{{/if}}{{#if (eq ref \"1\")}}{{ref}}{{else}}{{a}}{{/if}}\n";
    let list = "Ref,Name,Note,a,b,email\n1,Ada,,x,,ada@one.example\n,,so,,,bo@two.example\n3,,,x,,cem@three.example\n";
    let home = two_files(("t.txt.hbs", template), list);
    let said = refused(&home, &["t.txt.hbs", "people.csv"], 65);
    assert_eq!(
        said,
        "error: people.csv: 2 mistakes in 1 row\n  \
           row  column  what is wrong\n    \
             3  Ref     the cell is empty, and the message shows {{ref}}\n    \
             3  a       the cell is empty, and the message shows {{a}}\n  \
           help: row 3: fill it in; or ask for it first, {{#if ref}}…{{/if}}; or name the column with --optional (optional under [recipients_options] in campaign.toml)\n  \
           help: row 3: fill it in; or ask for it first, {{#if a}}…{{/if}}; or name the column with --optional (optional under [recipients_options] in campaign.toml)\n"
    );
    home.write("c/campaign.toml", "template = \"../t.txt.hbs\"\nrecipients = \"../people.csv\"\n[recipients_options]\noptional = [\"A\", \"reff\"]\n");
    let said = refused(&home, &["c"], 65);
    assert!(said.contains("\n    1          there is no column \"reff\", which is to be optional; the headings are \"Ref\", \"Name\", \"Note\", \"a\", \"b\", \"email\"\n"), "{said}");
    assert!(said.contains("\n  help: row 1: did you mean \"Ref\"?\n"), "{said}");
    let run = home.run(&["check", "c", "--optional", "A"]).ended(65);
    assert_eq!(run.stderr.matches("error:").count(), 1, "{}", run.stderr);
    // An optional column may be empty; the subject may not, whatever is optional.
    let run = home.run(&["check", "c", "--optional", "A", "--optional", "ref"]).ended(65);
    assert!(run.stderr.contains("row 3: \"subject\" is empty"), "{}", run.stderr);
}

#[test]
fn of_a_person_who_stands_there_twice_the_first_row_can_be_taken() {
    let list = "name,email,note\nAda,ada@one.example,x\nAdah,ADA@one.example,y\nBo,bo@two.example,z\nA.,ada@one.example,\nCem,cem@three.example,\n";
    let home = two_files(("t.txt.hbs", TEMPLATE), list);
    assert_eq!(refused(&home, &["t.txt.hbs", "people.csv"], 65).matches("stands in rows 2, 3 and 5").count(), 3);
    let run = home.run(&["check", "t.txt.hbs", "people.csv", "--duplicates", "first"]).ended(0);
    assert_eq!(
        run.stdout,
        "the template does not use \"note\"\n3 recipients, 3 columns, nothing wrong; look at the warnings above\n"
    );
    assert_eq!(
        run.stderr,
        "warning: people.csv: 2 things to look at in 2 rows\n  \
           row  column  what\n    \
             3  email   \"ADA@one.example\" stands in row 2 already, and this row is left out\n    \
             5  email   \"ada@one.example\" stands in row 2 already, and this row is left out\n"
    );
    let shown =
        home.run(&["preview", "t.txt.hbs", "people.csv", "--duplicates", "first", "--row", "6"]).ended(0).stdout;
    assert!(shown.contains("Dear Cem,"), "{shown}");
    home.run(&["send", "t.txt.hbs", "people.csv", "--duplicates", "first", "--sandbox", "--confirm", "3"]).ended(0);
    assert!(
        home.run(&["preview", "t.txt.hbs", "people.csv", "--duplicates", "first", "--row", "3"])
            .ended(64)
            .stderr
            .contains("nobody in row 3")
    );
}

#[test]
fn another_recipient_as_author_is_found_too() {
    let template = TEMPLATE.replace("Updates <updates@police.example>", "{{manager}}");
    let home = two_files(
        ("t.txt.hbs", &template),
        "name,email,manager\nAda,ada@one.example,bo@two.example\nBo,bo@two.example,updates@police.example\n",
    );
    let said = refused(&home, &["t.txt.hbs", "people.csv"], 65);
    assert!(
        said.starts_with(
            "error: people.csv, row 2: the message to ada@one.example holds \"bo@two.example\", the address of row 3, in the header From: \""
        ),
        "{said}"
    );
}

#[test]
fn a_misspelt_key_is_named_with_the_one_that_was_meant() {
    let home = two_files(("t.txt.hbs", TEMPLATE), "name,email\nAda,ada@one.example\n");
    let settings = "template = \"t.txt.hbs\"\nrecipient = \"people.csv\"\n[send]\nrates = \"30/min\"\nrate = \"30 per minute\"\n[gaurd]\n";
    home.write("campaign.toml", settings);
    assert_eq!(
        refused(&home, &["."], 65),
        "error: the key \"recipients\" is missing\n \
           --> ./campaign.toml:1:1\n  |\n1 | template = \"t.txt.hbs\"\n  | ^\n\
         error: there is no key \"recipient\"\n \
           --> ./campaign.toml:2:1\n  |\n2 | recipient = \"people.csv\"\n  | ^^^^^^^^^\n  |\n  = help: did you mean \"recipients\"?\n\
         error: there is no key \"rates\" in [send]\n \
           --> ./campaign.toml:4:1\n  |\n4 | rates = \"30/min\"\n  | ^^^^^\n  |\n  = help: did you mean \"rate\"?\n\
         error: \"send.rate\": \"30 per minute\" is not a rate: write a whole number, a slash and s, min, hour or day, for example \"30/min\"\n \
           --> ./campaign.toml:5:8\n  |\n5 | rate = \"30 per minute\"\n  |        ^^^^^^^^^^^^^^^\n\
         error: there is no key \"gaurd\"\n \
           --> ./campaign.toml:6:2\n  |\n6 | [gaurd]\n  |  ^^^^^\n  |\n  = help: did you mean \"guard\"?\n"
    );
}

#[test]
fn files_that_are_missing_or_not_what_they_should_be_are_named() {
    let home = two_files(("t.txt.hbs", TEMPLATE), "name,email\nAda,ada@one.example\n");
    home.write("latin.csv", b"name,email\nAda,ada@one.example\nZo\xeb,zoe@one.example\n");
    home.write("open.csv", "name,email\nAda,ada@one.example\n\"Bo,bo@one.example\nCem,cem@one.example\n");
    home.write("nohead.csv", "Ada,ada@one.example\nBo,bo@one.example\n");
    home.write("late.csv", b"name,email\nA,a@one.example\n\"x\ny\nM\xfcller\",b@one.example\n");
    home.write("two.txt.hbs", "+++\nfrom = \"A <a@b.example>, B <c@d.example>\"\nsubject = \"x\"\n+++\nx\n");
    home.write("t.pdf", "x");
    home.write("no-front.txt.hbs", "Dear {{name}}\n");
    home.write("empty/x", "");
    for (campaign, said) in [
        (&["nowhere"][..], "error: nowhere: there is no such file\n"),
        (&["t.txt.hbs", "nowhere.csv"], "error: nowhere.csv: there is no such file\n"),
        (
            &["t.txt.hbs"],
            "error: t.txt.hbs: a template needs a recipient list\n  help: give both: apiece send update.md.hbs people.csv\n",
        ),
        (
            &["empty"],
            "error: empty: there is no campaign.toml in this directory\n  help: apiece init DIR makes a campaign to start from\n",
        ),
        (
            &["people.csv", "t.txt.hbs"],
            "error: people.csv: the template comes first, and then the list\n  help: give both: apiece send update.md.hbs people.csv\n",
        ),
        (
            &["t.txt.hbs", "open.csv"],
            "error: open.csv, row 3: a quotation mark is opened and never closed, so that the rest of the file is one cell\n  help: close it, or write it twice where it belongs to the text\n",
        ),
        (
            &["t.txt.hbs", "nohead.csv"],
            "error: nohead.csv, row 1: the first row holds a person, and must hold the headings\n  help: put a row with a heading for each column above it, for example name,email\n",
        ),
        (
            &["t.txt.hbs", "late.csv"],
            "error: late.csv, row 3: this is not UTF-8 text; as windows-1252 it would be \"Müller\"\n  help: if that reads right, say --encoding windows-1252 (or encoding = \"windows-1252\" under [recipients_options] in campaign.toml); or save the list as \"CSV UTF-8\" in the spreadsheet program\n",
        ),
        (
            &["two.txt.hbs", "people.csv"],
            "error: \"from\" holds more than one address\n --> two.txt.hbs:2:8\n  |\n2 | from = \"A <a@b.example>, B <c@d.example>\"\n  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
        ),
        (
            &["t.txt.hbs", "latin.csv"],
            "error: latin.csv, row 3: this is not UTF-8 text; as windows-1252 it would be \"Zoë\"\n  help: if that reads right, say --encoding windows-1252 (or encoding = \"windows-1252\" under [recipients_options] in campaign.toml); or save the list as \"CSV UTF-8\" in the spreadsheet program\n",
        ),
        (
            &["t.pdf", "people.csv"],
            "error: t.pdf: the ending of the template's name does not tell what it is written in\n  help: name it .txt.hbs (plain text), .md.hbs (Markdown) or .html.hbs (HTML)\n",
        ),
    ] {
        assert_eq!(refused(&home, campaign, 65), said);
    }
    let said = refused(&home, &["no-front.txt.hbs", "people.csv"], 65);
    assert!(said.starts_with("error: a template begins with its front matter between two lines of +++\n"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_is_not_taken_for_one() {
    let home = two_files(("t.txt.hbs", TEMPLATE), "name,email\nAda,ada@one.example\n");
    for arguments in [
        &["check", "t.txt.hbs", "people.csv"][..],
        &["preview", "t.txt.hbs", "people.csv"],
        &["send", "t.txt.hbs", "people.csv", "--sandbox", "--confirm", "1", "--format", "json"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = home.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(74), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "error: the result cannot be printed: No space left on device (os error 28)\n");
    }
}

#[test]
fn an_authority_that_cannot_be_read_is_said_before_anything_is_asked() {
    let home = two_files(("t.txt.hbs", TEMPLATE), "name,email\nAda,ada@one.example\n");
    home.write("empty.pem", "nothing\n");
    for file in ["missing.pem", "empty.pem"] {
        let account = format!(
            "[account.work]\nhost = \"localhost\"\nusername = \"u\"\npassword_env = \"P\"\nca_file = \"../../{file}\"\n"
        );
        home.config(&account);
        let said = home.run(&["send", "t.txt.hbs", "people.csv", "--account", "work"]).ended(78).stderr;
        assert!(said.contains("the ca_file ") && said.contains(file), "{said}");
    }
}

#[test]
fn wrong_arguments_exit_with_64() {
    let home = Home::new();
    for arguments in [
        &["sned"][..],
        &["send"],
        &["send", "c", "--confirm", "x"],
        &["send", "c", "--rate", "1/week"],
        &["send", "c", "--rows", "1"],
        &[],
    ] {
        home.run(arguments).ended(64);
    }
    assert!(home.run(&["--help"]).ended(0).stdout.contains("Examples:"));
    assert!(home.run(&["--version"]).ended(0).stdout.starts_with("apiece "));
}
