//! Nobody's data in anybody else's message: what the guard finds, whatever it is and wherever it stands, and what it lets
//! through.

use std::sync::Arc;

use apiece::{
    campaign::ListOptions,
    guard::Guard,
    message::Composer,
    recipients::{Columns, Recipient, RecipientList},
    template::Template,
};

use crate::support::{Home, json};

const LIST: &str = "email,name,phone,ref,note\n\
    ada@one.example,Ada Byron,+44 7700 900001,OE-2041,\n\
    bo@two.example,Bo Caine,07700 900002,OE-2042,\n\
    cy@three.example,Cy Dore,07700 900003,OE-2043,\n";

const GUARD: &str = "[guard]\nidentifying = [\"name\", \"phone\", \"ref\"]\n";

fn home(guard: &str, body: &str, list: &str) -> Home {
    let home = Home::new();
    home.write("c/campaign.toml", format!("template = \"t.md.hbs\"\nrecipients = \"p.csv\"\n{guard}"));
    home.write(
        "c/t.md.hbs",
        format!("+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"Case {{{{ref}}}}\"\n+++\n{body}\n"),
    );
    home.write("c/p.csv", list);
    home
}

#[test]
fn values_of_others_are_refused_with_all_that_is_known() {
    for (note, said) in [
        (
            "as for Bo Caine",
            "the message holds \"Bo Caine\", \"name\" of row 3, in the text: \"Dear Ada Byron: as for Bo Caine\"",
        ),
        (
            "call 0044 7700-900002",
            "the message holds \"0044 7700-900002\", \"phone\" of row 3, in the text: \"Dear Ada Byron: call 0044 7700-900002\"",
        ),
        ("see oe2042", "the message holds \"oe2042\", \"ref\" of row 3, in the text: \"Dear Ada Byron: see oe2042\""),
        (
            "ask BO@two.example",
            "the message holds \"bo@two.example\", the address of row 3, in the text: \"Dear Ada Byron: ask BO@two.example\"",
        ),
    ] {
        let list = LIST.replacen("OE-2041,", &format!("OE-2041,{note}"), 1);
        let home = home(
            GUARD,
            "Dear {{name}}: {{note}}",
            &list.replace("OE-2042,", "OE-2042,-").replace("OE-2043,", "OE-2043,-"),
        );
        let run = home.run(&["check", "c"]).ended(65);
        assert!(
            run.stderr.starts_with(&format!("error: c/p.csv, row 2: {said}\n  help: take it out of")),
            "{}",
            run.stderr
        );
        assert_eq!(run.stderr.matches("the message holds").count(), 1, "{}", run.stderr);
        // What others may read is short.
        let found = json(&home.run(&["check", "c", "--format", "json"]).ended(65));
        let brief = found[0]["message"].as_str().unwrap();
        assert!(brief.contains('…') && !brief.contains("Caine") && !brief.contains("900002"), "{brief}");
        let sent = home.run(&["send", "c", "--sandbox", "--confirm", "3"]).ended(65);
        assert!(!sent.stderr.contains("Caine") && !sent.stderr.contains("900002"), "{}", sent.stderr);
        assert!(sent.stderr.contains("row 3"), "{}", sent.stderr);
    }
}

#[test]
fn what_is_ones_own_or_tells_nobody_passes() {
    for (guard, body, list) in [
        (GUARD, "Dear {{name}}, {{phone}}, {{ref}}, you may call 07700 900009 about OE-2044", LIST.to_owned()),
        ("[guard]\nidentifying = \"name\"\nallow = [\"bo caine\"]\n", "Bo Caine helps", LIST.to_owned()),
        (
            "[guard]\nidentifying = \"name\"\ncommon = 1\n",
            "Sam and Kim {{name}}",
            "email,name,ref\na@one.example,Sam,1\nb@one.example,Sam,2\nc@one.example,Kim,3\nd@one.example,Kim,4\n"
                .into(),
        ),
        ("", "Bo Caine, 07700 900002, OE-2042", LIST.to_owned()),
    ] {
        home(guard, body, &list).run(&["check", "c"]).ended(0);
    }
    let unknown = home("[guard]\nidentifying = \"fone\"\n", "x", LIST);
    let said = unknown.run(&["check", "c"]).ended(65).stderr;
    assert!(said.contains("there is no column \"fone\", which is to be identifying"), "{said}");
    let by_flag = home("", "Bo Caine", LIST);
    by_flag.run(&["check", "c", "--identifying", "name"]).ended(65);
    by_flag.run(&["check", "c", "--identifying", "name", "--common", "1"]).ended(65);
}

/// A program that takes the fields of the row below is found out in every sample.
#[test]
fn the_neighbours_row_is_found_out() {
    for (sample, list, options) in [
        ("investigation-update/update.md.hbs", "investigation-update/recipients.csv", ListOptions::default()),
        ("appointments/appointment.html.hbs", "appointments/patients.csv", ListOptions::default()),
        (
            "notice/notice.txt.hbs",
            "notice/members.csv",
            ListOptions { address: Some("Kontakt".into()), ..ListOptions::default() },
        ),
    ] {
        let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let identifying =
            |columns: &Columns| vec![columns.heading(if columns.heading(0).contains('@') { 1 } else { 0 }).to_owned()];
        let plain = RecipientList::read(&samples.join(list), &options).unwrap();
        let options = ListOptions { identifying: identifying(plain.columns()), ..options };
        let right = RecipientList::read(&samples.join(list), &options).unwrap();
        // Each address with the fields of the next person.
        let people: Vec<Recipient<'_>> = right.iter().collect();
        let mut moved = csv::Writer::from_writer(Vec::new());
        let columns = right.columns();
        moved.write_record((0..columns.len()).map(|column| columns.heading(column))).unwrap();
        for (nth, person) in people.iter().enumerate() {
            let other = people[(nth + 1) % people.len()];
            let cells = (0..columns.len()).map(|column| {
                if column == right.address_column() { person.field(column) } else { other.field(column) }
            });
            moved.write_record(cells).unwrap();
        }
        let moved = String::from_utf8(moved.into_inner().unwrap()).unwrap();
        let wrong =
            RecipientList::parse("moved.csv", &moved, &ListOptions { rows_are_right: true, ..options }).unwrap();
        let template = Arc::new(Template::read(&samples.join(sample), right.columns()).unwrap());
        let right = Arc::new(right);
        let guard = Guard::new(Arc::clone(&right), &template.fixed_addresses()).with_identifying(3, &[]);
        let good = Composer::new(Arc::clone(&template), Arc::clone(&right));
        let bad = Composer::new(template, Arc::new(wrong));
        for index in 0..right.len() {
            assert_eq!(guard.inspect(&good.compose(index).unwrap()), [], "{sample}");
            assert!(!guard.inspect(&bad.compose(index).unwrap()).is_empty(), "{sample}, person {index}");
        }
    }
}
