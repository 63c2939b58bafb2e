//! A report names nobody, whatever a server said; a person has one pseudonym in all of them, also when people's data is gone; as a
//! page it loads and runs nothing, and as a file it is its owner's.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    a_report_answers::{PEOPLE, address, as_json, campaign, eventful, report, server},
    support::{
        Home, account, people,
        scripted::{Act, Moment, Scripted, Stage},
    },
};

/// Every form of report.
fn every_report(home: &Home, id: &str) -> Vec<(String, String)> {
    let mut reports = Vec::new();
    for form in ["text", "html", "json", "csv"] {
        let run = report(home, id, &["--format", form, "--messages"]).ended(0);
        reports.push((form.to_owned(), run.stdout + &run.stderr));
    }
    for form in ["text", "html", "json"] {
        let run = report(home, id, &["--format", form, "--incident"]).ended(0);
        reports.push((format!("incident as {form}"), run.stdout + &run.stderr));
    }
    let found = report(home, id, &["--find", &address(4)]).ended(0);
    reports.push(("--find".into(), found.stdout + &found.stderr));
    reports
}

#[test]
fn nobody_is_named_and_a_person_has_one_pseudonym_for_ever() {
    let server = server();
    let home = Home::new();
    let id = eventful(&home, &server);
    home.run(&["resolve", &id, "--all", "--sent"]).ended(0);
    let pseudonyms = |home: &Home| -> BTreeMap<u64, String> {
        let all = as_json(&report(home, &id, &["--format", "json"]).ended(0));
        let messages = all["messages"].as_array().unwrap().iter();
        messages.map(|one| (one["rows"][0].as_u64().unwrap(), one["person"].as_str().unwrap().to_owned())).collect()
    };
    let before = pseudonyms(&home);
    assert_eq!(before.values().collect::<BTreeSet<_>>().len(), 12);
    let check = |what: &str| {
        for (form, text) in every_report(&home, &id) {
            let lower = text.to_lowercase();
            for (nth, (local, name)) in PEOPLE.iter().enumerate() {
                for gone in [(*local).to_owned(), name.to_lowercase(), format!("kx-{}", 4711 + nth)] {
                    assert!(!lower.contains(&gone), "{gone} in {form} {what}:\n{text}");
                }
            }
            assert!(!lower.contains("@list.example") && !lower.contains("vexley"), "{form} {what}");
            if !form.starts_with("incident") {
                assert!(text.contains(&before[&4]), "{form} {what}");
            }
        }
    };
    check("before the purge");
    home.run(&["purge", &id, "--confirm", "12"]).ended(0);
    assert_eq!(pseudonyms(&home), before);
    check("after the purge");
    // What a regulator asks about the data is still known, and who they were is not.
    let text = report(&home, &id, &["--incident"]).ended(0).stdout;
    assert!(
        text.contains("Kind of data  criminal offence data") && text.contains("Columns       Name, Case ref"),
        "{text}"
    );
    assert!(text.contains("letters/{{case_ref}}.txt (text/plain; each to one person)"), "{text}");
    let refused = report(&home, &id, &["--addresses"]).ended(77).stderr;
    assert!(refused.contains("people's data was removed"), "{refused}");
    // The same people in another campaign are called otherwise.
    home.write("c/leaflet.txt", "Other help is there.\n");
    home.run(&["prepare", "c", "--again"]).ended(0);
    let other = home.last_campaign();
    assert_ne!(other, id);
    let text = report(&home, &other, &["--format", "csv"]).ended(0).stdout;
    assert!(before.values().all(|name| !text.contains(name)), "{text}");
}

/// What ended a run is told, and not whom the server spoke of.
#[test]
fn why_a_run_ended_names_nobody() {
    let refuse = |moment: &Moment<'_>| match moment.stage {
        Stage::Mail => Act::reply("550 5.7.60 not allowed to write to dunnabyx@list.example\r\n"),
        _ => Act::Ok,
    };
    let server = Scripted::builder().on_when(refuse).start();
    let home = Home::new();
    home.config(&account(server.port(), server.ca_file(), "none", "connections = 1"));
    campaign(&home);
    home.run(&["send", "c", "--account", "work", "--confirm", "12"]).ended(77);
    for (form, text) in every_report(&home, &home.last_campaign()) {
        assert!(!text.contains("list.example") && !text.contains("dunnabyx"), "{form}: {text}");
        assert!(form == "csv" || form == "--find" || text.contains("not allowed to write to"), "{form}: {text}");
    }
}

#[test]
fn the_page_is_one_file_that_loads_and_runs_nothing() {
    let home = Home::new();
    home.campaign("<b>Name</b>,email\n<script>alert(1)</script>,p2@list.example\n");
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{b_name_b}},\n");
    std::fs::rename(home.path().join("c"), home.path().join("<script>\"x\" & 'y'<img>")).unwrap();
    home.run(&["prepare", "<script>\"x\" & 'y'<img>"]).ended(0);
    let id = home.last_campaign();
    for incident in [&[][..], &["--incident"]] {
        let more = [&["--format", "html"][..], incident].concat();
        let page = report(&home, &id, &more).ended(0).stdout;
        assert!(
            page.contains("&lt;script&gt;&quot;x&quot; &amp; ") && page.contains("&lt;b&gt;Name&lt;/b&gt;"),
            "{page}"
        );
        let lower = page.to_lowercase();
        for gone in [
            "<script",
            "<img",
            "http://",
            "https://",
            "url(",
            "@import",
            "<link",
            " src=",
            " href=",
            "javascript:",
            "<b>name",
        ] {
            assert!(!lower.contains(gone), "{gone}: {page}");
        }
        assert!(page.contains("default-src 'none'") && page.contains("size: A4"));
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en-GB\">") && page.ends_with("</html>\n"));
    }
}

#[cfg(unix)]
#[test]
fn a_file_is_its_owners_alone_and_nothing_is_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.campaign(&people(300));
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    let said = report(&home, &id, &["--format", "csv", "-o", "r.csv"]).ended(0);
    assert_eq!(said.stdout, "");
    let file: PathBuf = home.path().join("r.csv");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 301);
    let said = report(&home, &id, &["-o", "r.csv"]).ended(73).stderr;
    assert!(said.contains("r.csv is there already, and is not overwritten"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    // People read the first of many, and programs all.
    let rows = |more: &[&str]| {
        report(&home, &id, more).ended(0).stdout.lines().filter(|line| line.starts_with("row ")).count()
    };
    assert_eq!((rows(&[]), rows(&["--messages"])), (200, 300));
    assert_eq!(as_json(&report(&home, &id, &["--format", "json"]).ended(0))["messages"].as_array().unwrap().len(), 300);
    // A report that could not be written is not in the log.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = home.command(&["report", &id, "--incident"]).stdout(full).output().unwrap();
    assert_eq!(run.status.code(), Some(74));
    assert!(!home.run(&["status", &id]).ended(0).stdout.contains("reported"));
}
