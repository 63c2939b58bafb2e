//! One message, one envelope, one recipient: every sample through a real Postfix, and what it delivered parsed
//! with another library than the one that built it.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use crate::support::{
    Home,
    postfix::{Delivered, Postfix},
    samples::{SAMPLES, Sample, everything, parse},
};

/// Values of a row that must stand in the person's own message.
fn own_values(sample: &Sample, cells: &HashMap<String, String>) -> Vec<String> {
    let headings: &[&str] = match sample.name {
        "investigation-update" => &["Name", "Case ref", "Officer"],
        "appointments" => &["First name", "Last name", "Patient no", "Date", "Time", "Room", "Note"],
        _ => &["Name", "Nummer", "Beitrag"],
    };
    headings.iter().map(|heading| cells[*heading].clone()).collect()
}

/// Values that are one person's alone.
fn personal(sample: &Sample) -> &'static str {
    match sample.name {
        "investigation-update" => "Case ref",
        "appointments" => "Patient no",
        _ => "Nummer",
    }
}

fn check(sample: &Sample, delivered: &[Delivered]) {
    let people = sample.people();
    assert_eq!(delivered.len(), people.len(), "{}", sample.name);
    for person in &people {
        let theirs: Vec<&Delivered> = delivered.iter().filter(|one| one.mailbox == person.address).collect();
        let [message] = theirs.as_slice() else { panic!("{} got {} messages", person.address, theirs.len()) };
        let bytes = message.sent();
        let parsed = parse(bytes);
        for name in ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"] {
            let times = parsed.headers().iter().filter(|header| header.name().eq_ignore_ascii_case(name)).count();
            assert_eq!(times, 1, "{name} to {}", person.address);
        }
        for name in ["Cc", "Bcc", "Resent-To"] {
            assert!(parsed.header(name).is_none(), "{name} to {}", person.address);
        }
        let to = parsed.to().and_then(|to| to.as_list()).expect("a To");
        assert_eq!(to.len(), 1);
        assert_eq!(to[0].address.as_deref().map(str::to_lowercase), Some(person.address.clone()));
        assert!(bytes.is_ascii() && bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));

        let text = parsed.body_text(0).expect("a text part").replace("\r\n", "\n");
        let subject = parsed.subject().expect("a subject");
        for value in own_values(sample, &person.cells) {
            assert!(
                text.contains(&value) || subject.contains(&value),
                "{value:?} is missing for {}: {text}",
                person.address
            );
        }
        if sample.name != "notice" {
            assert!(parsed.html_body_count() == 1 && parsed.text_body_count() == 1);
        }
        let all = everything(bytes).to_lowercase();
        for other in people.iter().filter(|other| other.address != person.address) {
            assert!(!all.contains(&other.address), "{} stands in the message to {}", other.address, person.address);
            let value = &other.cells[personal(sample)];
            assert!(!text.contains(value.as_str()), "{value} stands in the message to {}", person.address);
        }
    }
}

#[test]
fn everyone_in_every_sample_gets_their_own_message_alone() {
    let Some(postfix) = Postfix::start() else { return };
    for sample in &SAMPLES {
        for (tls, port) in [("implicit", postfix.smtps_port()), ("starttls", postfix.submission_port())] {
            check(sample, &sample.send(&postfix, tls, port));
        }
    }
    let recipients = postfix.recipients_per_message();
    assert!(recipients.len() >= 40 && recipients.iter().all(|count| *count == 1), "{recipients:?}");
}

#[test]
fn names_and_subjects_in_any_script_arrive_as_they_were_written() {
    let Some(postfix) = Postfix::start() else { return };
    let delivered = SAMPLES[2].send(&postfix, "implicit", postfix.smtps_port());
    let names = ["Jürgen Groß", "Renate Müller", "ليلى حداد", "محمد الأمين", "Änne Weiß-Köhler"];
    for name in names {
        let of_name = |one: &&Delivered| {
            let parsed = parse(one.sent());
            parsed.to().and_then(|to| to.first()).and_then(|to| to.name.as_deref()) == Some(name)
        };
        let message = delivered.iter().find(of_name).unwrap_or_else(|| panic!("a message to {name}"));
        let parsed = parse(message.sent());
        assert_eq!(parsed.subject(), Some(format!("Änderung Ihres Beitrags, {name}").as_str()));
        let text = parsed.body_text(0).unwrap();
        assert!(text.starts_with(&format!("Guten Tag {name},")) && text.contains("€ im Jahr.\n"), "{text}");
        assert_eq!(parsed.from().unwrap().first().unwrap().name.as_deref(), Some("Verein für Nachbarschaftshilfe"));
    }
    assert!(delivered.iter().any(|one| one.mailbox == "renate@xn--mller-kva.example"));
}

#[test]
fn the_same_campaign_makes_the_same_bytes() {
    let home = Home::new();
    let read = |directory: &str| {
        home.run(&["preview", &SAMPLES[0].path(), "--eml", directory]).ended(0);
        let mut files: Vec<_> =
            std::fs::read_dir(home.path().join(directory)).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        let without_date = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).unwrap();
            let (date, rest) = text.split_once("\r\n").unwrap();
            assert!(date.starts_with("Date: "), "{date}");
            rest.to_owned()
        };
        files.iter().map(without_date).collect::<Vec<_>>()
    };
    let (first, second) = (read("one"), read("two"));
    assert_eq!(first.len(), 12);
    assert_eq!(first, second);
    let ids: HashSet<_> =
        first.iter().map(|text| text.lines().find(|line| line.starts_with("Message-ID:")).unwrap()).collect();
    assert_eq!(ids.len(), 12, "each its own Message-ID");
}
