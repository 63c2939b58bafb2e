//! Each mistake in a list has its own words, says where it is and what to do, and all of them come at once.

use crate::support::lists::{FRONT, check, home, names, refused, taken};

#[test]
fn every_kind_of_wrong_address_has_its_sentence() {
    let long = format!("{}@one.example", "a".repeat(65));
    let wrong = [
        "",
        "ada.one.example",
        "ada@one.example, bo@one.example",
        "ada@one.example;bo@one.example",
        "ada@one.example bo@one.example",
        "ada@one.example and bo@one.example",
        "Ada L <ada@one.example>",
        "mailto:ada@one.example",
        "ada l@one.example",
        "ada\u{a0}l@one.example",
        "ada\u{200b}@one.example",
        "ada\u{202e}l@one.example",
        "ada@one.example;",
        "“ada@one.example”",
        "o’neil@one.example",
        "ada..l@one.example",
        ".ada@one.example",
        "@one.example",
        "ada@",
        long.as_str(),
        "ada@one",
        "ada@[192.0.2.1]",
        "ada@192.0.2.1",
        "ada@one.example1",
        "ada@one_two.example",
        "ada@-one.example",
        "ada\"x@one.example",
        "ada\u{2665}@one.example",
    ];
    let mut list = csv::Writer::from_writer(Vec::new());
    list.write_record(["name", "email"]).unwrap();
    wrong.iter().for_each(|address| list.write_record(["x", address]).unwrap());
    refused(
        list.into_inner().unwrap(),
        &[],
        "error: p.csv: 28 mistakes in 28 rows\n  \
           row  column  what is wrong\n    \
             2  email   there is no address\n    \
             3  email   \"ada.one.example\" has no @\n    \
             4  email   \"ada@one.example, bo@one.example\" holds more than one address\n    \
             5  email   \"ada@one.example;bo@one.example\" holds more than one address\n    \
             6  email   \"ada@one.example bo@one.example\" holds more than one address\n    \
             7  email   \"ada@one.example and bo@one.example\" holds more than one address\n    \
             8  email   \"Ada L <ada@one.example>\" has a name around the address\n    \
             9  email   \"mailto:ada@one.example\" begins with mailto:\n   \
            10  email   \"ada l@one.example\" has the character space inside, which no address may hold\n   \
            11  email   \"ada\u{a0}l@one.example\" has the character no-break space (U+00A0) inside, which no address may hold\n   \
            12  email   \"ada<U+200B>@one.example\" has the character U+200B inside, which no address may hold\n   \
            13  email   \"ada<U+202E>l@one.example\" has the character U+202E inside, which no address may hold\n   \
            14  email   \"ada@one.example;\" has the character \";\" inside, which no address may hold\n   \
            15  email   \"“ada@one.example”\" has the curly quotation mark “ (U+201C)\n   \
            16  email   \"o’neil@one.example\" has the curly quotation mark ’ (U+2019)\n   \
            17  email   \"ada..l@one.example\" has a dot at the beginning or end of the part before the @, or two dots in a row\n   \
            18  email   \".ada@one.example\" has a dot at the beginning or end of the part before the @, or two dots in a row\n   \
            19  email   \"@one.example\" has nothing before the @\n   \
            20  email   \"ada@\" has nothing behind the @\n   \
            21  email   \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…\" is too long: at most 64 octets before the @ and 254 in all\n   \
            22  email   \"ada@one\" has no dot in its domain\n   \
            23  email   \"ada@[192.0.2.1]\" has an IP address in place of a domain\n   \
            24  email   \"ada@192.0.2.1\" has an IP address in place of a domain\n   \
            25  email   \"ada@one.example1\" has a domain that ends with \".example1\", which no domain does\n   \
            26  email   \"ada@one_two.example\" has the character \"_\" in its domain, which no domain may hold\n   \
            27  email   \"ada@-one.example\" has a domain that cannot exist\n   \
            28  email   \"ada\"x@one.example\" has the character quotation mark inside, which no address may hold\n   \
            29  email   \"ada\u{2665}@one.example\" has the character U+2665 inside, which no address may hold\n  \
           help: row 2: fill in the address, or take the row out of the list\n  \
           help: rows 3, 19, 20: an address is like name@example.org\n  \
           help: rows 4, 5, 6 …: one cell, one address: give each person a row of their own\n  \
           help: rows 8, 9: write the address alone: \"ada@one.example\"\n  \
           help: rows 10, 11, 21 …: correct it, or ask the person\n  \
           help: rows 12, 14, 15 …: did you mean \"ada@one.example\"?\n  \
           help: row 13: did you mean \"adal@one.example\"?\n  \
           help: row 16: did you mean \"o'neil@one.example\"?\n  \
           help: row 17: did you mean \"ada.l@one.example\"?\n  \
           help: row 22: it needs something like .org behind it\n",
    );
}

#[test]
fn slips_of_the_keyboard_and_addresses_that_need_smtputf8_are_warned_of() {
    taken(
        "name,email\nAda,ada@gmial.com\nBo,bo@hotmail.con\nJörg,jörg@bücher.example\nDee,dee@ymail.com\n",
        &[],
        "warning: p.csv: 3 things to look at in 3 rows\n  \
           row  column  what\n    \
             2  email   \"ada@gmial.com\" looks like a slip of the keyboard\n    \
             3  email   \"bo@hotmail.con\" looks like a slip of the keyboard\n    \
             4  email   \"jörg@bücher.example\" has letters before the @ that only servers with the extension SMTPUTF8 take\n  \
           help: row 2: did you mean \"ada@gmail.com\"?\n  \
           help: row 3: did you mean \"bo@hotmail.com\"?\n  \
           help: row 4: if the server does not offer it, the message fails; ask the person for another address\n",
    );
}

#[test]
fn domains_in_other_scripts_are_shown_as_written_and_travel_as_a_labels() {
    let home = taken("name,email\nAda,Ada@Bücher.example\n", &[], "");
    let shown = home.run(&["preview", "t.txt.hbs", "p.csv", "--to", "ada@xn--bcher-kva.example"]).ended(0).stdout;
    assert!(shown.starts_with("── row 2 ── to Ada@bücher.example alone ──\n"), "{shown}");
    assert!(shown.contains("To:       Ada@xn--bcher-kva.example\n"), "{shown}");
}

#[test]
fn the_same_person_twice_is_refused_with_all_rows_or_left_out_or_one_person() {
    let list = "name,email,ref\nAda,ada@one.example,1\nBo,bo@two.example,2\nAda,ADA@One.Example,3\nA,ada+x@one.example,4\nAda,ada@one.example,5\n";
    refused(
        list,
        &[],
        "error: p.csv: 3 mistakes in 3 rows\n  \
           row  column  what is wrong\n    \
             2  email   \"ada@one.example\" stands in rows 2, 4 and 6\n    \
             4  email   \"ADA@One.Example\" stands in rows 2, 4 and 6\n    \
             6  email   \"ada@one.example\" stands in rows 2, 4 and 6\n  \
           help: rows 2, 4, 6: each person gets one message: take the other rows out; or say --duplicates first to take the first row, \
         or --group-by for one message about all of them\n",
    );
    let home = taken(
        list,
        &["--duplicates", "first"],
        "warning: p.csv: 2 things to look at in 2 rows\n  \
           row  column  what\n    \
             4  email   \"ADA@One.Example\" stands in row 2 already, and this row is left out\n    \
             6  email   \"ada@one.example\" stands in row 2 already, and this row is left out\n",
    );
    home.write("t.txt.hbs", format!("{FRONT}Dear {{{{name}}}},\n{{{{#each rows}}}}{{{{#unless @first}}}}, {{{{/unless}}}}{{{{ref}}}}{{{{/each}}}} for {{{{email}}}}\n"));
    let run = check(&home, &[]).ended(65);
    assert!(
        run.stderr.ends_with(
            "= help: rows of one address become one message with --group-by (group_by under [recipients_options] in campaign.toml)\n"
        ),
        "{}",
        run.stderr
    );
    // Grouped: what the message shows once must agree, and here the address is written in two ways.
    assert_eq!(
        check(&home, &["--group-by", "email"]).ended(65).stderr,
        "error: p.csv: 2 mistakes in 2 rows\n  \
           row  column  what is wrong\n    \
             2  email   the message uses {{email}} once, and it is \"ada@one.example\" in row 2 and \"ADA@One.Example\" in row 4\n    \
             4  email   the message uses {{email}} once, and it is \"ada@one.example\" in row 2 and \"ADA@One.Example\" in row 4\n  \
           help: rows 2, 4: make them the same, or use it within {{#each rows}}\n"
    );
    home.write("p.csv", list.replace("ADA@One.Example", "ada@one.example"));
    let shown = home.run(&["preview", "t.txt.hbs", "p.csv", "--group-by", "E-MAIL", "--row", "6"]).ended(0).stdout;
    assert!(shown.ends_with("\nDear Ada,\n1, 3, 5 for ada@one.example\n\n"), "{shown}");
    assert_eq!(names(&home, &["--group-by", "email"]), ["Ada", "Bo", "A"]);
    let run = home.run(&["send", "t.txt.hbs", "p.csv", "--group-by", "email", "--sandbox", "--confirm", "3"]).ended(0);
    assert!(run.stdout.contains("people with exactly one message      3 of 3 on the list"), "{}", run.stdout);
    refused(
        list,
        &["--group-by", "ref"],
        "error: p.csv, row 1: rows are grouped by the address, \"email\", and not by \"ref\": a message has one recipient\n  \
           help: group by \"email\"\n",
    );
}

#[test]
fn a_cell_is_text_and_nothing_else() {
    refused(
        b"name,email\nA\0da,ada@one.example\nB\x1bo,bo@two.example\nC\xc2\x9bem,cem@three.example\n",
        &[],
        "error: p.csv: 3 mistakes in 3 rows\n  \
           row  column  what is wrong\n    \
             2  name    the cell holds the control character U+0000\n    \
             3  name    the cell holds the control character U+001B\n    \
             4  name    the cell holds the control character U+009B\n  \
           help: rows 2, 3: take it out of the cell\n  \
           help: row 4: is the encoding right? Such characters are none in text\n",
    );
    let home = taken("name,email\n=cmd|'/C calc'!A0,ada@one.example\n@SUM(1),bo@two.example\n", &[], "");
    assert_eq!(names(&home, &[]), ["=cmd|'/C calc'!A0", "@SUM(1)"]);
}

#[test]
fn columns_with_a_type_hold_nothing_else() {
    let list = "name,Consent,Visit,Sum,email\nAda,Yes,24.11.2026,\"1.234,50\",ada@one.example\nBo,nein,2026-12-01,7,bo@two.example\nCem,yess,32.11.2026,7 €,cem@three.example\nDee,,,,dee@four.example\n";
    let body = "{{#if consent}}You agreed{{else}}You did not agree{{/if}} on {{visit}}.\n";
    let home = home(list, body);
    assert_eq!(
        check(&home, &[]).ended(65).stderr,
        "error: p.csv: 2 mistakes in 2 rows\n  \
           row  column   what is wrong\n    \
             2  Consent  the cell says \"Yes\", and {{#if consent}} only asks whether it is filled in\n    \
             5  Visit    the cell is empty, and the message shows {{visit}}\n  \
           help: row 2: say what the column is, under [columns] in campaign.toml or with --column: \"Consent\" = \"yes_no\"; or \"text\", if that is the question\n  \
           help: row 5: fill it in; or ask for it first, {{#if visit}}…{{/if}}; or name the column with --optional (optional under [recipients_options] in campaign.toml)\n"
    );
    let types = ["--column", "consent=yes_no", "--column", "Visit=date %d.%m.%Y", "--column", "Sum=number"];
    assert_eq!(
        check(&home, &types).ended(65).stderr,
        "error: p.csv: 5 mistakes in 2 rows\n  \
           row  column   what is wrong\n    \
             4  Consent  \"yess\" is neither yes nor no\n    \
             4  Visit    \"32.11.2026\" is not a date of the format %d.%m.%Y, nor one like 2026-11-24\n    \
             4  Sum      \"7 €\" is not a number\n    \
             5  Consent  the cell is empty, and must say yes or no\n    \
             5  Visit    the cell is empty, and the message shows {{visit}}\n  \
           help: row 4: write yes or no (ja, oui, sí, y, true, 1 … will do, too)\n  \
           help: row 4: write it like that; or say how dates are written there, for example --column \"Visit=date %d.%m.%Y\", or visit = \"date %d.%m.%Y\" under [columns] in campaign.toml\n  \
           help: row 4: write it in digits, with a decimal point or comma\n  \
           help: row 5: fill it in; or name the column with --optional, and empty is no\n  \
           help: row 5: fill it in; or ask for it first, {{#if visit}}…{{/if}}; or name the column with --optional (optional under [recipients_options] in campaign.toml)\n"
    );
    home.write("p.csv", list.replace("yess,32.11.2026,7 €", "0,30.11.2026,\"7,5\""));
    home.write(
        "campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"p.csv\"\n[recipients_options]\noptional = [\"Consent\", \"Visit\"]\n\
         [columns]\nConsent = \"yes_no\"\nvisit = \"date %d.%m.%Y\"\nSum = \"number\"\n",
    );
    let shown = home.run(&["preview", ".", "--eml", "out"]).ended(0);
    assert_eq!(shown.stdout, "4 messages written to out\n");
    let texts: Vec<String> = (2..6)
        .map(|row| {
            let eml = std::fs::read_to_string(home.path().join(format!("out/row-{row:06}.eml"))).unwrap();
            eml.lines().find(|line| line.starts_with("You")).unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        texts,
        [
            "You agreed on 24.11.2026.",
            "You did not agree on 01.12.2026.",
            "You did not agree on 30.11.2026.",
            "You did not agree on ."
        ]
    );
    home.write(
        "t.txt.hbs",
        format!("{FRONT}{{{{consent}}}} {{{{#if (eq consent \"yes\")}}}}x{{{{/if}}}} {{{{name}}}}\n"),
    );
    assert_eq!(
        home.run(&["check", "."]).ended(65).stderr,
        "error: {{consent}} is yes or no, and can only be asked\n \
           --> ./t.txt.hbs:5:3\n  |\n5 | {{consent}} {{#if (eq consent \"yes\")}}x{{/if}} {{name}}\n  |   ^^^^^^^\n  |\n  \
             = help: write {{#if consent}}yes{{else}}no{{/if}}\n\
         error: {{consent}} is yes or no, and can only be asked\n \
           --> ./t.txt.hbs:5:23\n  |\n5 | {{consent}} {{#if (eq consent \"yes\")}}x{{/if}} {{name}}\n  |                       ^^^^^^^\n  |\n  \
             = help: write {{#if consent}}yes{{else}}no{{/if}}\n"
    );
    home.write(
        "campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"p.csv\"\n[columns]\nvisit = \"date dd.mm.yyyy\"\nname = \"txt\"\n",
    );
    assert_eq!(
        home.run(&["check", "."]).ended(65).stderr,
        "error: \"columns.visit\": \"dd.mm.yyyy\" is no format that a date can be read and written in; for example %d.%m.%Y is 24.11.2026\n \
           --> ./campaign.toml:4:9\n  |\n4 | visit = \"date dd.mm.yyyy\"\n  |         ^^^^^^^^^^^^^^^^^\n\
         error: \"columns.name\": a column is \"yes_no\", \"date\", \"number\" or \"text\"; a date may have a format, as in \"date %d.%m.%Y\"\n \
           --> ./campaign.toml:5:8\n  |\n5 | name = \"txt\"\n  |        ^^^^^\n"
    );
}

#[test]
fn what_is_said_of_a_column_must_be_one_thing() {
    refused(
        "name,Consent,email\nAda,yes,ada@one.example\n",
        &["--column", "consent=yes_no", "--column", "CONSENT=text"],
        "error: p.csv, row 1, column \"Consent\": the column is given two types\n",
    );
    let home = home("name,n,email\nAda,0,ada@one.example\n", "{{#if n}}some{{/if}}");
    assert_eq!(
        check(&home, &["--column", "n=number"]).ended(65).stderr,
        "error: p.csv, row 2, column \"n\": the cell says \"0\", and {{#if n}} only asks whether it is filled in\n  help: compare it: {{#if (eq n \"0\")}}\n"
    );
    // A flag goes before the file.
    home.write("campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"p.csv\"\n[columns]\nn = \"yes_no\"\n");
    home.run(&["check", "."]).ended(0);
    home.run(&["check", ".", "--column", "N=text"]).ended(0);
    home.run(&["check", ".", "--column", "n=date"]).ended(65);
}

#[test]
fn a_column_of_text_may_say_no_and_be_asked_whether_it_is_filled_in() {
    let home =
        home("name,note,email\nAda,no,ada@one.example\nBo,,bo@two.example\n", "{{#if note}}Note: {{note}}{{/if}}\n");
    assert!(
        check(&home, &[])
            .ended(65)
            .stderr
            .starts_with("error: p.csv, row 2, column \"note\": the cell says \"no\", and {{#if note}}")
    );
    check(&home, &["--column", "note=text"]).ended(0);
    // A number or a letter is no answer among others, but a 0 would be taken for true.
    for (notes, right) in
        [(["1", "3"], true), (["N", "J. R."], true), (["0", "3"], false), (["1", ""], false), (["n", "y"], false)]
    {
        let list = format!("name,note,email\nAda,{},ada@one.example\nBo,{},bo@two.example\n", notes[0], notes[1]);
        home.write("p.csv", list);
        assert_eq!(check(&home, &[]).code == 0, right, "{notes:?}");
    }
    home.write("p.csv", "name,note,email\nAda,no,ada@one.example\nBo,,bo@two.example\n");
    // Where its words are compared nothing is taken for true.
    home.write("t.txt.hbs", format!("{FRONT}{{{{name}}}}{{{{#if (eq note \"no\")}}}}x{{{{/if}}}}\n"));
    check(&home, &[]).ended(0);
    home.write("t.txt.hbs", format!("{FRONT}{{{{name}}}}{{{{#if (and name (not note))}}}}x{{{{/if}}}}\n"));
    check(&home, &[]).ended(65);
}

#[test]
fn only_what_was_asked_for_may_be_empty() {
    for (body, right) in [
        ("{{#if ref}}{{ref}}{{/if}}", true),
        ("{{#unless ref}}-{{else}}{{ref}}{{/unless}}", true),
        ("{{#if (not ref)}}-{{else}}{{ref}}{{/if}}", true),
        ("{{#if (and ref name)}}{{ref}}{{/if}}", true),
        ("{{#if (eq ref \"x\")}}{{ref}}{{/if}}", true),
        ("{{#if (ne ref \"\")}}{{ref}}{{/if}}", true),
        ("{{#if (not (or ref name))}}-{{else}}-{{/if}}", true),
        ("{{#unless (or (not ref) (eq name \"Bo\"))}}{{ref}}{{/unless}}", true),
        ("{{#if (not ref)}}[{{ref}}]{{/if}}", false),
        ("{{#if (or ref name)}}{{ref}}{{/if}}", false),
        ("{{#if (ne ref \"x\")}}{{ref}}{{/if}}", false),
        ("{{#if (eq ref \"\")}}{{ref}}{{/if}}", false),
        ("{{#if ref}}-{{else}}{{ref}}{{/if}}", false),
    ] {
        let home = home("name,email,ref\nAda,ada@one.example,\n", body);
        let run = check(&home, &[]);
        assert_eq!(run.code == 0, right, "{body}: {}", run.stderr);
        assert!(right || run.stderr.contains("the cell is empty, and the message shows {{ref}}"), "{}", run.stderr);
    }
    let home = home("name,email\n\u{ad}\u{3164},ada@one.example\n", "");
    assert!(check(&home, &[]).ended(65).stderr.contains("the cell is empty, and the message shows {{name}}"));
}

#[test]
fn a_column_that_moved_is_refused_with_the_evidence() {
    let list = "Name,E-Mail\nAda Berg,ada.berg@one.example\nBo Cole,cem.dunn@one.example\nCem Dunn,eve.frey@two.example\n\
                Eve Frey,gil.hall@three.example\nGil Hall,ida.jong@four.example\nIda Jong,\n";
    let list = list.replace("Ida Jong,\n", "Ida Jong,bo.cole@five.example\n");
    let home = refused(
        &list,
        &[],
        "error: p.csv, row 3, column \"E-Mail\": from this row on the addresses look like those of the people in the row below:\n  \
           row  name      address                 looks like\n    \
             3  Bo Cole   cem.dunn@one.example    Cem Dunn (row 4)\n    \
             4  Cem Dunn  eve.frey@two.example    Eve Frey (row 5)\n    \
             5  Eve Frey  gil.hall@three.example  Gil Hall (row 6)\n    \
             6  Gil Hall  ida.jong@four.example   Ida Jong (row 7)\n  \
           help: a cell seems to have been deleted or added, and those below it to have moved: put the columns right in the spreadsheet; \
         if they are right, say --rows-are-right\n",
    );
    check(&home, &["--rows-are-right"]).ended(0);
    home.run(&["send", "t.txt.hbs", "p.csv", "--sandbox", "--confirm", "6", "--rows-are-right"]).ended(0);
    // A single row is only worth a look.
    taken(
        "Name,E-Mail\nAda Berg,ada@one.example\nBo Cole,ada.berg@one.example\n",
        &[],
        "warning: p.csv, row 3, column \"E-Mail\": \"ada.berg@one.example\" looks like the address of \"Ada Berg\" in row 2\n  help: look at both rows\n",
    );
}

#[test]
fn everything_wrong_is_said_in_one_go_whatever_it_is() {
    let home = home(
        "name,email,ref\nAnn,ann,1\nBob,bob@b.example,\n,cid@c.example,\nDee,dee@d.example,bob@b.example\n,eve,\n",
        "{{ref}}",
    );
    let run = check(&home, &["--rejected", "bad.csv"]).ended(65);
    assert_eq!(
        run.stderr,
        "error: p.csv: 8 mistakes in 5 rows\n  \
           row  column  what is wrong\n    \
             2  email   \"ann\" has no @\n    \
             3  ref     the cell is empty, and the message shows {{ref}}\n    \
             4  name    the cell is empty, and the message shows {{name}}\n    \
             4  ref     the cell is empty, and the message shows {{ref}}\n    \
             5          the message to dee@d.example holds \"bob@b.example\", the address of row 3, in the text: \"Dear Dee, bob@b.example\"\n    \
             6  email   \"eve\" has no @\n    \
             6  name    the cell is empty, and the message shows {{name}}\n    \
             6  ref     the cell is empty, and the message shows {{ref}}\n  \
           help: rows 2, 6: an address is like name@example.org\n  \
           help: rows 3, 4, 6: fill it in; or ask for it first, {{#if ref}}…{{/if}}; or name the column with --optional (optional under [recipients_options] in campaign.toml)\n  \
           help: rows 4, 6: fill it in; or ask for it first, {{#if name}}…{{/if}}; or name the column with --optional (optional under [recipients_options] in campaign.toml)\n  \
           help: row 5: take it out of the template or the cell; an address that everybody may see belongs under allow in [guard] of campaign.toml\n\
         5 bad rows written to bad.csv\n"
    );
    let run = home.run(&["send", "t.txt.hbs", "p.csv", "--sandbox", "--confirm", "5"]).ended(65);
    assert!(run.stderr.contains("8 mistakes in 5 rows"), "{}", run.stderr);
}
