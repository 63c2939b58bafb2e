//! What arrives is what was meant, as two parsers read it: mail-parser, and Python's `email`.

use std::{collections::HashMap, path::Path};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Home,
    parsers::both,
    postfix::Postfix,
    samples::{Person, SAMPLES, Sample},
};

/// What a sample's message to a person must say, made without the program's own means.
struct Meant {
    subject: String,
    from: Value,
    to_name: String,
    reply_to: Option<Value>,
    other: Vec<(&'static str, &'static str)>,
    text: String,
    /// What the HTML says, among others
    html: Vec<String>,
}

fn meant(sample: &Sample, person: &Person) -> Meant {
    let cell = |heading: &str| person.cells[heading].clone();
    match sample.name {
        "investigation-update" => investigation(&cell),
        "appointments" => appointment(&cell),
        _ => notice(&cell),
    }
}

fn investigation(cell: &dyn Fn(&str) -> String) -> Meant {
    let (name, case, officer) = (cell("Name"), cell("Case ref"), cell("Officer"));
    let stage = match cell("Stage").as_str() {
        "charged" => "A person has been charged. The court will write to you about the dates.",
        "arrest" => "A person has been arrested and is being interviewed.",
        _ => "Our enquiries are continuing. We will write again when there is news.",
    };
    let html_name = name.replace('\'', "&#39;");
    Meant {
        subject: format!("Operation Example: an update on your case {case}"),
        from: json!([["Operation Example", "updates@police.example"]]),
        reply_to: Some(json!([["Casework", "casework@police.example"]])),
        other: vec![("auto-submitted", "auto-generated"), ("x-auto-response-suppress", "OOF, AutoReply")],
        text: format!(
            "Dear {name},\n\nthis is a routine update on the investigation that you helped by reporting\n\
             what happened to you. Your reference is {case}.\n\n{stage}\n\n\
             You do not need to do anything now. If you would like to speak to somebody:\n\n\
             - your contact is {officer}, quoting {case}\n\
             - support for victims <https://support.police.example/cases/{case}> is free\n  and confidential\n\n\
             Nobody else receives this message.\n\nOperation Example\n"
        ),
        html: vec![
            format!(">Dear {html_name},</p>").replace("&#39;", "'"),
            format!("<strong>{case}</strong>"),
            format!("href=\"https://support.police.example/cases/{case}\""),
        ],
        to_name: name,
    }
}

fn appointment(cell: &dyn Fn(&str) -> String) -> Meant {
    let name = format!("{} {}", cell("First name"), cell("Last name"));
    let headings = ["Date", "Time", "Room", "Patient number"];
    let cells = [cell("Date"), cell("Time"), cell("Room"), cell("Patient no")];
    let width: Vec<usize> = headings.iter().zip(&cells).map(|(one, other)| one.len().max(other.len())).collect();
    let row = |cells: [&str; 4]| {
        let cells = cells.iter().zip(&width).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = width.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
    let table = format!("{}\n{rule}\n{}", row(headings), row(cells.each_ref().map(String::as_str)));
    let note = cell("Note");
    let note_line = if note.is_empty() { String::new() } else { format!("Please note: {note}\n\n") };
    let escaped = |text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('"', "&quot;").replace('\'', "&#39;")
    };
    let cells = cells.iter().map(|cell| format!("<td>{cell}</td>"));
    Meant {
        subject: format!("Your appointment on {} at {}", cell("Date"), cell("Time")),
        from: json!([["Riverside Clinic", "appointments@clinic.example"]]),
        reply_to: None,
        other: Vec::new(),
        text: format!(
            "Dear {name},\n\nplease come to the clinic for this appointment:\n\n{table}\n\n{note_line}\
             To change it, write to appointments@clinic.example.\n"
        ),
        html: cells.chain([format!("<p>Dear {},</p>", escaped(&name)), escaped(&note)]).collect(),
        to_name: name,
    }
}

fn notice(cell: &dyn Fn(&str) -> String) -> Meant {
    let name = cell("Name");
    Meant {
        subject: format!("Änderung Ihres Beitrags, {name}"),
        from: json!([["Verein für Nachbarschaftshilfe", "verein@nachbarn.example"]]),
        reply_to: None,
        other: Vec::new(),
        text: format!(
            "Guten Tag {name},\n\nab dem 1. Januar beträgt Ihr Beitrag {} im Jahr.\nIhre Mitgliedsnummer ist {}.\n\n\
             Diese Nachricht geht an Sie allein. Bei Fragen genügt eine Antwort.\n\nMit freundlichen Grüßen\n\
             Ihr Vorstand\n",
            cell("Beitrag"),
            cell("Nummer")
        ),
        html: Vec::new(),
        to_name: name,
    }
}

fn check(read: &Value, sample: &Sample, person: &Person) {
    let meant = meant(sample, person);
    let mut names = vec!["date", "from"];
    names.extend(meant.reply_to.is_some().then_some("reply-to"));
    names.extend(["to", "subject", "message-id"]);
    names.extend(meant.other.iter().map(|(name, _)| *name));
    names.extend(["mime-version", "content-type"]);
    names.extend(meant.html.is_empty().then_some("content-transfer-encoding"));
    assert_eq!(read["names"], json!(names));

    let mut addresses = json!({ "from": meant.from, "to": [[meant.to_name, person.address]] });
    if let Some(reply_to) = meant.reply_to {
        addresses["reply-to"] = reply_to;
    }
    let lower = |read: &Value| {
        let mut read = read.clone();
        read["to"][0][1] = read["to"][0][1].as_str().unwrap().to_lowercase().into();
        read
    };
    assert_eq!(lower(&read["addresses"]), addresses);
    assert_eq!(read["texts"]["subject"], meant.subject);
    assert!(read["texts"]["message-id"].as_str().unwrap().len() > 32 && read["texts"]["date"].is_string());
    assert_eq!(read["texts"].as_object().unwrap().len(), 3 + meant.other.len());
    for (name, value) in meant.other {
        assert_eq!(read["texts"][name], value);
    }

    let leaf = |kind: &str, content: &Value| {
        json!({
            "type": kind, "charset": "utf-8", "disposition": null, "file": null, "id": null, "content": content
        })
    };
    let parts = read["parts"].as_array().unwrap();
    let text = leaf("text/plain", &meant.text.into());
    if meant.html.is_empty() {
        assert_eq!(parts, &[text]);
        return;
    }
    let [multipart, first, second] = parts.as_slice() else { panic!("three parts: {parts:?}") };
    assert_eq!((multipart, first), (&json!({ "type": "multipart/alternative" }), &text));
    assert_eq!(second, &leaf("text/html", &second["content"]));
    let html = second["content"].as_str().unwrap();
    for said in meant.html {
        assert!(html.contains(&said), "{said}\n{html}");
    }
}

#[test]
fn every_delivered_sample_says_what_was_meant() {
    let Some(postfix) = Postfix::start() else { return };
    for sample in &SAMPLES {
        let people: HashMap<String, Person> =
            sample.people().into_iter().map(|person| (person.address.clone(), person)).collect();
        let ways = [("implicit", postfix.smtps_port()), ("starttls", postfix.submission_port())];
        let delivered: Vec<_> = ways.iter().flat_map(|(tls, port)| sample.send(&postfix, tls, *port)).collect();
        assert_eq!(delivered.len(), 2 * people.len());
        let bytes: Vec<Vec<u8>> = delivered.iter().map(|one| one.sent().to_vec()).collect();
        let Some(read) = both(&bytes) else { return };
        for (message, read) in delivered.iter().zip(&read) {
            check(read, sample, &people[&message.mailbox]);
        }
    }
}

fn eml_files(directory: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "eml")).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A list with a row for each value.
fn write_list(home: &Home, values: &[String]) {
    let mut list = csv::Writer::from_writer(Vec::new());
    list.write_record(["value", "email"]).unwrap();
    for (row, value) in values.iter().enumerate() {
        list.write_record([value, &format!("p{row}@one.example")]).unwrap();
    }
    home.write("p.csv", list.into_inner().unwrap());
}

/// Runs the sandbox with a row for each value, which stands wherever one can; gives what both parsers read.
fn sandboxed(format: &str, body: &str, values: &[String]) -> Option<Vec<Value>> {
    let home = Home::new();
    write_list(&home, values);
    let front = "+++\nfrom = \"{{value}} <updates@police.example>\"\nto = \"{{value}}\"\nsubject = \"{{value}}\"\n\
                 reply_to = \"{{value}} <casework@police.example>\"\n[headers]\nX-Case = \"{{value}}\"\n+++\n";
    let name = format!("t.{format}.hbs");
    home.write(&name, format!("{front}{body}"));
    let count = values.len().to_string();
    home.run(&["send", &name, "p.csv", "--sandbox", "--sandbox-dir", "kept", "--confirm", &count]).ended(0);
    let kept = std::fs::read_dir(home.path().join("kept")).unwrap().next().unwrap().unwrap().path();
    let read = both(&eml_files(if kept.is_dir() { &kept } else { kept.parent().unwrap() }))?;
    assert_eq!(read.len(), values.len());
    Some(read)
}

#[test]
fn whatever_a_name_is_it_arrives_as_it_was() {
    let values: Vec<String> = [
        "日本 太郎",
        "😀 Ada 👩\u{200d}👩\u{200d}👧",
        "\"Ada\" Lovelace",
        "\"Ada\"",
        "back\\slash \\\" and (comment)",
        "=?utf-8?q?x?=",
        "a =?utf-8?b?eA==?= b",
        "Lovelace, Ada <evil@evil.example>",
        "a@b.example, <c@d.example>; group: e@f.example;",
        "ليلى حداد",
        "an \u{202e}evil\u{202c} name",
        "שלום, \"עולם\" <x@y.example>",
        "O'Leary & Sons; Dr. A. B. Smith-Jones [Ltd.] !#$%&'*+/=?^_`{|}~",
        "two  spaces   here",
        "Zoe\u{308}",
        ".a",
        "..",
        "www.e.example",
        "J. Smith",
        "ليلى بنت محمد بن عبد الرحمن الحداد من مدينة حلب القديمة",
        &"longname".repeat(40),
        &"日本語太郎".repeat(40),
        "ÄÖÜ äöü two  spaces, ü",
    ]
    .map(str::to_owned)
    .into();
    let Some(read) = sandboxed("md", "Dear **{{value}}**\n", &values) else { return };
    for read in read {
        let to = read["addresses"]["to"][0][1].as_str().unwrap();
        let row: usize = to[1..].split('@').next().unwrap().parse().unwrap();
        let value = &values[row];
        assert_eq!(read["texts"]["subject"], *value);
        assert_eq!(read["texts"]["x-case"], *value);
        assert_eq!(
            read["addresses"],
            json!({
                "from": [[value, "updates@police.example"]],
                "to": [[value, to]],
                "reply-to": [[value, "casework@police.example"]],
            })
        );
        // Long ones are wrapped.
        let text = read["parts"][1]["content"].as_str().unwrap();
        assert_eq!(text.replace('\n', " "), format!("Dear {value} "));
    }
}

#[test]
fn subjects_of_2000_characters_arrive_whole() {
    let home = Home::new();
    let values = [
        "x".repeat(2000),
        "word ".repeat(400).trim_end().to_owned(),
        "ü".repeat(2000),
        "日本語😀".repeat(500),
        "a ü".repeat(666),
        format!("{} =?utf-8?q?x?=", "y".repeat(1900)),
    ];
    write_list(&home, &values);
    home.write("t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"{{value}}\"\n+++\n{{value}}\n");
    home.run(&["preview", "t.txt.hbs", "p.csv", "--eml", "out"]).ended(0);
    let files = eml_files(&home.path().join("out"));
    assert_eq!(files.len(), values.len());
    let Some(read) = both(&files) else { return };
    for (read, value) in read.iter().zip(&values) {
        assert_eq!(read["texts"]["subject"], *value);
        assert_eq!(read["parts"][0]["content"], format!("{value}\n"));
    }
}

#[test]
fn names_of_files_arrive_as_they_were() {
    let home = Home::new();
    let values: Vec<String> = [
        "plain",
        "two words",
        "\"quoted\"",
        "semi; colon=1, 100% 'x'",
        "*star*",
        "日本",
        "Zoë – Brief 😀",
        "=?utf-8?q?x?=",
        "a'b''c%41",
        "ليلى حداد",
        &"long ".repeat(30),
        &"länger".repeat(20),
        ".hidden",
    ]
    .map(|value| value.trim().to_owned())
    .into();
    let mut list = csv::Writer::from_writer(Vec::new());
    list.write_record(["value", "ref", "email"]).unwrap();
    for (row, value) in values.iter().enumerate() {
        list.write_record([value, &format!("r{row}"), &format!("p{row}@one.example")]).unwrap();
        home.write(&format!("letters/r{row}.pdf"), format!("%PDF-1.4 {row}"));
    }
    home.write("p.csv", list.into_inner().unwrap());
    home.write("logo.png", b"\x89PNG\r\n\x1a\n");
    home.write("notes.csv", "a,b\nü,2\n");
    home.write(
        "t.md.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\nattachments = [{ file = \"letters/{{ref}}.pdf\", name = \"{{value}}.pdf\" }, \"notes.csv\"]\n\
         unsubscribe = [\"https://lists.example/{{ref}}\", \"mailto:stop@police.example\"]\n[inline]\nlogo = \"logo.png\"\n+++\n![x](cid:logo)\n",
    );
    home.run(&["preview", "t.md.hbs", "p.csv", "--eml", "out"]).ended(0);
    let Some(read) = both(&eml_files(&home.path().join("out"))) else { return };
    for (row, (read, value)) in read.iter().zip(&values).enumerate() {
        let sha = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let parts = read["parts"].as_array().unwrap();
        let kinds: Vec<&str> = parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "multipart/mixed",
                "multipart/alternative",
                "text/plain",
                "multipart/related",
                "text/html",
                "image/png",
                "application/pdf",
                "text/csv"
            ]
        );
        let leaf = |kind: &str,
                    disposition: &str,
                    file: &str,
                    id: Option<&str>,
                    charset: Option<&str>,
                    content: String| {
            json!({ "type": kind, "charset": charset, "disposition": disposition, "file": file, "id": id, "content": content })
        };
        assert_eq!(
            parts[5..],
            [
                leaf("image/png", "inline", "logo.png", Some("logo"), None, sha(b"\x89PNG\r\n\x1a\n")),
                leaf(
                    "application/pdf",
                    "attachment",
                    &format!("{value}.pdf"),
                    None,
                    None,
                    sha(format!("%PDF-1.4 {row}").as_bytes())
                ),
                leaf("text/csv", "attachment", "notes.csv", None, Some("utf-8"), "a,b\nü,2\n".into()),
            ]
        );
        let unsubscribe = format!("<https://lists.example/r{row}>, <mailto:stop@police.example>");
        assert_eq!(read["texts"]["list-unsubscribe"], unsubscribe);
        assert_eq!(read["texts"]["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    }
}
