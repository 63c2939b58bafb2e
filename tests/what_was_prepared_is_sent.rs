//! A campaign is frozen: it is sent from the record alone, every change of it is found, people can look into it with another
//! program, and when people's data has to go nothing is left of it.

use std::{path::PathBuf, process::Command};

use crate::support::{
    Home, OUTBOX, Run, pdf, people,
    scripted::{Act, Scripted, Stage},
    skip,
};

/// A campaign with everything that a template can take from elsewhere.
fn whole_campaign(home: &Home) {
    home.write("c/campaign.toml", "template = \"t.html.hbs\"\nrecipients = \"people.csv\"\n[send]\nrate = \"100/s\"\n");
    home.write(
        "c/t.html.hbs",
        "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"For {{name}}\"\nlayout = \"frame.html\"\n\
         text_template = \"t.txt.hbs\"\nattachments = [\"leaflet.pdf\", \"letters/{{case}}.txt\"]\n+++\n\
         <p>Dear {{name}},</p>\n{{> parts/footer}}\n",
    );
    home.write("c/t.txt.hbs", "Dear {{name}},\n{{> parts/footer}}\n");
    home.write("c/parts/footer.html.hbs", "<p>Your case: {{case}}</p>\n");
    home.write("c/parts/footer.txt.hbs", "Your case: {{case}}\n");
    home.write(
        "c/frame.html",
        "<!doctype html><html><head><title>{{subject}}</title></head><body>{{body}}</body></html>",
    );
    home.write("c/leaflet.pdf", pdf("Help for victims"));
    let mut list = String::from("name,case,email\n");
    for nth in 1..=5 {
        list += &format!("Person {nth},K{nth},p{nth}@list.example\n");
        home.write(&format!("c/letters/K{nth}.txt"), format!("A letter about case {nth}.\n"));
    }
    home.write("c/people.csv", list);
}

fn prepare(home: &Home, campaign: &str) -> String {
    let said = home.run(&["prepare", campaign]).ended(0).stdout;
    let id = said.split_whitespace().nth(1).unwrap().trim_end_matches(',').to_owned();
    assert!(said.ends_with(&format!("Send it with: apiece send {id}\n")), "{said}");
    id
}

/// What the files of a directory hold, by their names.
fn files(directory: PathBuf) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn it_is_sent_from_the_record_when_its_files_are_gone() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    whole_campaign(&home);
    home.run(&["preview", "c", "--eml", "before"]).ended(0);
    let id = prepare(&home, "c");
    std::fs::remove_dir_all(home.path().join("c")).unwrap();
    home.run(&["preview", &id, "--eml", "after"]).ended(0);
    let undated = |name: &str| -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().split_once("\r\n").unwrap().1.to_owned();
        files(home.path().join(name)).into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
    };
    assert_eq!(undated("before"), undated("after"));
    assert!(home.run(&["verify", &id]).ended(0).stdout.contains("5: each comes out as prepared"));
    home.run(&["check", &id]).ended(0);
    home.run(&["send", &id, "--sandbox", "--confirm", "5"]).ended(0);
    // A part of the id is enough, and only how it is sent can still be said.
    let refused = home.run(&["send", &id, "--recipients", "other.csv", "--confirm", "5"]).ended(64).stderr;
    assert!(refused.contains("neither its template nor its list can be changed"), "{refused}");
    home.run(&["send", &id[..5], "--confirm", "4", "--account", "work"]).ended(77);
    home.run(&["send", &id[..5], "--confirm", "5", "--account", "work"]).ended(0);
    let mut sent: Vec<String> = server
        .accepted()
        .iter()
        .map(|one| String::from_utf8(one.data.clone()).unwrap().split_once("\r\n").unwrap().1.to_owned())
        .collect();
    sent.sort();
    let mut meant: Vec<String> = undated("before").into_iter().map(|(_, text)| text).collect();
    meant.sort();
    assert_eq!(sent, meant);
    assert_eq!(home.run(&["send", &id, "--confirm", "5"]).ended(0).stdout, "");
    let status = home.run(&["status", &id]).ended(0).stdout;
    for said in [
        "5 sent\n",
        "prepared by ",
        "confirmed by ",
        "number: 5",
        "started by ",
        "rates: 100/s",
        "stopped by ",
        "sent: 5",
    ] {
        assert!(status.contains(said), "{said}: {status}");
    }
}

#[test]
fn a_message_that_comes_out_otherwise_is_not_sent() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    let id = prepare(&home, "c");
    let record = rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap();
    let change =
        "DROP TRIGGER recipient_stays; UPDATE recipient SET fields = replace(fields, 'Person', 'Parson') WHERE row = 3";
    record.execute_batch(change).unwrap();
    drop(record);
    let found = home.run(&["verify", &id]).ended(65).stdout;
    assert!(found.contains("NOT what was prepared") && found.contains("come out OTHERWISE"), "{found}");
    home.run(&["send", &id, "--account", "work", "--confirm", "3"]).ended(65);
    assert!(server.accepted().iter().all(|one| !String::from_utf8_lossy(&one.data).contains("Parson")));
}

#[test]
fn somebody_who_is_added_to_the_list_gets_it_and_nobody_twice() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    home.run(&["send", "c", "--account", "work", "--confirm", "3"]).ended(0);
    home.write("c/people.csv", people(5));
    let refused = home.run(&["send", "c", "--account", "work", "--confirm", "5"]).ended(77).stderr;
    assert!(
        refused.contains("3 of 5 recipients got exactly this message before, or may get it at this moment: campaign "),
        "{refused}"
    );
    assert!(refused.contains("--rows 5-6 sends it to the others"), "{refused}");
    assert_eq!(home.run(&["status"]).ended(0).stdout.lines().count(), 1);
    home.run(&["send", "c", "--account", "work", "--confirm", "2", "--rows", "5-6"]).ended(0);
    assert_eq!(server.accepted().len(), 5);
    home.run(&["send", "c", "--account", "work", "--confirm", "5"]).ended(77);
    home.run(&["send", "c", "--account", "work", "--confirm", "5", "--again"]).ended(0);
    assert_eq!(server.accepted().len(), 10);
}

/// How often the server has a message for each row of the list.
fn times(server: &Scripted) -> Vec<(String, usize)> {
    let mut times = std::collections::BTreeMap::new();
    for one in server.deliveries() {
        *times.entry(one.rcpt_to[0].split('@').next().unwrap().to_owned()).or_default() += 1;
    }
    times.into_iter().collect()
}

#[test]
fn once_more_is_for_those_who_are_named() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    let send = |more: &[&str], code: i32| home.run(&[&["send", "c", "--account", "work"], more].concat()).ended(code);
    send(&["--confirm", "3"], 0);
    send(&["--rows", "3", "--again", "--confirm", "1"], 0);
    for confirm in ["2", "3"] {
        assert!(send(&["--confirm", confirm], 77).stderr.contains("2 of 2 recipients got exactly this message before"));
    }
    assert_eq!(times(&server), [("p2".into(), 1), ("p3".into(), 2), ("p4".into(), 1)]);
    send(&["--again", "--confirm", "2"], 0);
    assert_eq!(times(&server), [("p2".into(), 2), ("p3".into(), 2), ("p4".into(), 2)]);
}

#[test]
fn a_message_that_was_put_off_is_not_sent_from_two_campaigns() {
    let server = Scripted::builder().once(Stage::Rcpt, Act::reply("451 4.3.0 later\r\n")).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(2));
    home.run(&["send", "c", "--account", "work", "--no-wait", "--retry-after", "1ms", "--confirm", "2"]).ended(75);
    let first = home.last_campaign();
    home.write("c/people.csv", people(3));
    let refused = home.run(&["send", "c", "--account", "work", "--confirm", "3"]).ended(77).stderr;
    let rows = refused.split("--rows ").nth(1).unwrap().split(' ').next().unwrap();
    home.run(&["send", "c", "--account", "work", "--confirm", "2", "--rows", rows]).ended(0);
    home.run(&["send", &first, "--account", "work", "--confirm", "1"]).ended(77);
    assert!(times(&server).iter().all(|(_, times)| *times == 1), "{:?}", times(&server));
}

#[test]
fn two_campaigns_at_once_do_not_send_the_same_to_anybody() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(std::time::Duration::from_millis(50))).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(12));
    let first = prepare(&home, "c");
    home.write("c/people.csv", people(13));
    let second = prepare(&home, "c");
    assert_ne!(first, second);
    let run = |id: &str, confirm: &str| {
        let mut command = home.command(&["send", id, "--account", "work", "--confirm", confirm]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let runs = [run(&first, "12"), run(&second, "13")];
    let codes = runs.map(|run| run.wait_with_output().unwrap().status.code());
    assert!(codes.contains(&Some(77)), "{codes:?}");
    assert!(times(&server).iter().all(|(_, times)| *times == 1), "{:?}", times(&server));
}

#[cfg(unix)]
#[test]
fn one_file_has_one_lock_however_it_is_called_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(std::time::Duration::from_millis(100))).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(9));
    home.write("o.sqlite", "");
    std::fs::set_permissions(home.path().join("o.sqlite"), std::fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink("o.sqlite", home.path().join("l.sqlite")).unwrap();
    let arguments = |outbox| ["send", "c", "--account", "work", "--confirm", "9", "--outbox", outbox];
    let first = home.command(&arguments("o.sqlite")).stdout(std::process::Stdio::null()).spawn().unwrap();
    assert!(server.wait_until(std::time::Duration::from_secs(20), |server| !server.accepted().is_empty()));
    home.run(&arguments("l.sqlite")).ended(75);
    first.wait_with_output().unwrap();
    assert!(times(&server).len() == 9 && times(&server).iter().all(|(_, times)| *times == 1));
    for file in ["o.sqlite", "o.sqlite-wal"] {
        let data = std::fs::metadata(home.path().join(file));
        assert!(data.is_ok_and(|data| data.permissions().mode() & 0o777 == 0o600) || file != "o.sqlite", "{file}");
    }
}

#[test]
fn what_contradicts_itself_is_found() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    home.run(&["send", "c", "--account", "work", "--confirm", "3"]).ended(0);
    let id = home.last_campaign();
    home.run(&["verify", &id]).ended(0);
    let original = std::fs::read(home.path().join(OUTBOX)).unwrap();
    for sql in [
        "DROP TRIGGER log_is_not_cut; DELETE FROM log",
        "DROP TRIGGER message_keeps_to_the_table; UPDATE message SET state = 'queued' WHERE position = 0",
        "DELETE FROM attempt WHERE position = 1",
        "UPDATE campaign SET purged = 1",
        "UPDATE campaign SET prepared = 0",
    ] {
        home.write("changed.sqlite", &original);
        rusqlite::Connection::open(home.path().join("changed.sqlite")).unwrap().execute_batch(sql).unwrap();
        let found = home.run(&["verify", &id, "--outbox", "changed.sqlite"]).ended(65).stdout;
        assert!(found.contains("Record      "), "{sql}: {found}");
    }
}

#[test]
fn a_change_in_the_middle_is_said() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    home.run(&["send", "c", "--account", "work", "--confirm", "1", "--rows", "2"]).ended(0);
    let id = home.last_campaign();
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nMended: {{name}}\n");
    let said = home.run(&["send", "c", "--account", "work", "--confirm", "9"]).ended(77).stderr;
    assert!(said.contains(&format!("Campaign {id} of the same name is not finished: 1 of 3 sent.")), "{said}");
    assert!(said.contains(&format!("apiece send {id}; to take back the rest of it: apiece cancel {id}")), "{said}");
    home.run(&["send", &id, "--again", "--confirm", "2"]).ended(64);
    home.run(&["send", &id, "--account", "work", "--confirm", "2"]).ended(0);
    assert!(server.accepted().iter().all(|one| !String::from_utf8_lossy(&one.data).contains("Mended")));
}

#[test]
fn what_is_taken_back_is_not_sent_unless_somebody_takes_it_up_again() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(4));
    home.run(&["send", "c", "--account", "work", "--confirm", "1", "--rows", "2"]).ended(0);
    let id = prepare(&home, "c");
    let said = home.run(&["cancel", &id]).ended(0).stdout;
    assert!(said.contains("3 messages cancelled; 1 of 4 sent"), "{said}");
    home.run(&["cancel", &id]).ended(64);
    let nobody = home.run(&["send", &id, "--account", "work", "--confirm", "3"]).ended(0).stderr;
    assert!(
        nobody.contains(&format!("Campaign {id} has nobody left to send to: 1 of 4 sent before. cancelled: 3.")),
        "{nobody}"
    );
    let refused = home.run(&["send", "c", "--account", "work", "--confirm", "3"]).ended(77).stderr;
    assert!(refused.contains("1 of 4 recipients got it; 3 cancelled"), "{refused}");
    assert_eq!(server.accepted().len(), 1);
    home.run(&["retry", &id, "--cancelled", "--row", "4"]).ended(0);
    let run = home.run(&["send", &id, "--account", "work", "--confirm", "1"]).ended(0);
    assert!(run.stdout.contains("2 of 4 messages sent") && run.stdout.contains("  cancelled   2\n"), "{}", run.stdout);
    let exported = home.run(&["export", &id]).ended(0).stdout;
    let states: Vec<&str> = exported.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(states, ["sent", "cancelled", "sent", "cancelled"]);
    assert!(exported.starts_with("row,address,state,time,code,enhanced,reply,message_id\n2,p2@list.example,sent,20"));
}

#[test]
fn another_program_reads_the_record_as_it_is_documented() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        return skip("sqlite3 is not there");
    }
    let server = Scripted::builder().once(Stage::Rcpt, Act::reply("550 5.1.1 no such user\r\n")).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(2));
    home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(1);
    let id = home.last_campaign();
    let documents = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formats.md")).unwrap();
    let queries = documents.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let queries: Vec<&str> = queries.split_inclusive(";\n").collect();
    assert_eq!(queries.len(), 4);
    let ask = |query: &str| {
        let query = query.replace("3f9a12bc", &id).replace("ada@one.example", "p2@list.example");
        let asked = Command::new("sqlite3").arg(home.path().join(OUTBOX)).arg(&query).output().unwrap();
        assert!(asked.status.success(), "{query}\n{}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap()
    };
    let said = ask(queries[0]);
    assert!(said.contains("|failed|550 5.1.1 no such user") && said.lines().count() == 1, "{said}");
    assert_eq!(ask(queries[1]).lines().count(), 1);
    assert_eq!(ask(queries[2]), "2|Person 2\n3|Person 3\n");
    let log = ask(queries[3]);
    assert!(log.lines().count() >= 4 && log.contains("|confirmed|"), "{log}");
    assert_eq!(ask("PRAGMA integrity_check; PRAGMA foreign_key_check;"), "ok\n");
    assert_eq!(ask("PRAGMA application_id"), format!("{}\n", 0x6170_6965));
}

#[test]
fn after_a_purge_no_file_has_anybodys_address() {
    let server = Scripted::builder().on_when(|moment| match moment.stage {
        Stage::Rcpt if moment.message.is_some_and(|number| number % 3 == 0) => {
            let address = moment.line.trim_start_matches("RCPT TO:").to_owned();
            Act::reply(format!("550 5.1.1 {address} is not here, ask boss@list.example\r\n"))
        }
        _ => Act::Ok,
    });
    let server = server.start();
    let home = Home::at_relay(&server);
    whole_campaign(&home);
    home.write(
        "other/t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\nattachments = \"leaflet.pdf\"\n+++\nHi\n",
    );
    home.write("other/leaflet.pdf", pdf("Help for victims"));
    home.write("other/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n");
    home.write("other/people.csv", "email\nother@elsewhere.example\n");
    let other = prepare(&home, "other");
    home.run(&["send", "c", "--account", "work", "--confirm", "5"]).ended(1);
    let all = home.run(&["status"]).ended(0).stdout;
    let id = all.lines().find(|line| line.contains("  c  ")).unwrap()[..8].to_owned();
    home.run(&["purge", &other, "--confirm", "1"]).ended(77);
    home.run(&["purge", &id, "--confirm", "4"]).ended(77);
    home.run(&["purge", &id, "--confirm", "5"]).ended(0);
    let state = home.path().join(".local/state/apiece");
    for (name, bytes) in files(state) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for gone in ["@list.example", "person 1", "a letter about case", "your case", "dear "] {
            assert!(!text.contains(gone), "{gone} in {name}");
        }
    }
    // The counts, the replies and the other campaign are as they were, and so is the file that both had.
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(status.contains("[removed]: failed") && status.contains("550 5.1.1 <[removed]> is not here"), "{status}");
    assert!(home.run(&["verify", &id]).ended(0).stdout.contains("purged on "));
    assert!(home.run(&["verify", &other]).ended(0).stdout.contains("1: each comes out as prepared"));
    for command in [&["send", &id, "--confirm", "1"][..], &["retry", &id, "--failed"], &["preview", &id]] {
        let refused: Run = home.run(command).ended(77);
        assert!(refused.stderr.contains("people's data was removed"), "{}", refused.stderr);
    }
    home.run(&["purge", &id, "--confirm", "5"]).ended(0);
    // Nobody gets it twice because of that.
    let mut list = std::fs::read_to_string(home.path().join("c/people.csv")).unwrap();
    list += "Person 6,K6,p6@list.example\n";
    home.write("c/people.csv", list);
    home.write("c/letters/K6.txt", "A letter about case 6.\n");
    let again = home.run(&["send", "c", "--account", "work", "--confirm", "6"]).ended(77).stderr;
    assert!(again.contains(" of 6 recipients got exactly this message before"), "{again}");
}
