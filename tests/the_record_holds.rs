//! Whatever other programs and people do to the record: nobody gets anything twice for it, and what was changed is found.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{
    Home, OUTBOX, people,
    scripted::{Act, Scripted, Stage},
    skip,
};

fn prepare(home: &Home, campaign: &str) -> String {
    home.run(&["prepare", campaign]).ended(0);
    home.last_campaign()
}

fn states(home: &Home, id: &str) -> Vec<String> {
    let exported = home.run(&["export", id]).ended(0).stdout;
    exported.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().to_owned()).collect()
}

/// The last program that closes a database puts its write-ahead log away; nobody may become that while a run has it.
#[test]
fn other_programs_look_into_it_during_a_run() {
    const PEOPLE: usize = 40;
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(40))).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(PEOPLE));
    let id = prepare(&home, "c");
    let mut command = home.command(&["send", &id, "--account", "work", "--confirm", "40"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut looks = 0;
    while child.try_wait().unwrap().is_none() {
        // Not by this process, in which other tests may have databases open.
        let look = "PRAGMA busy_timeout = 5000; SELECT count(*) FROM outcome";
        let mut sqlite3 = Command::new("sqlite3");
        let Ok(seen) = sqlite3.arg(home.path().join(OUTBOX)).arg(look).output() else {
            child.kill().unwrap();
            child.wait().unwrap();
            return skip("sqlite3 is not installed");
        };
        assert_eq!(String::from_utf8_lossy(&seen.stdout), format!("5000\n{PEOPLE}\n"));
        looks += usize::from(!server.accepted().is_empty());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(looks > 3 && child.wait().unwrap().success(), "{looks}");
    assert_eq!(states(&home, &id), vec!["sent"; PEOPLE]);
    assert_eq!(server.accepted().len(), PEOPLE);
    home.run(&["verify", &id]).ended(0);
}

#[cfg(unix)]
#[test]
fn what_is_written_where_nobody_finds_it_does_not_count() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(40))).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(40));
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "40"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    assert!(server.wait_until(Duration::from_secs(20), |server| server.accepted().len() > 3));
    std::fs::rename(home.path().join(OUTBOX), home.path().join("moved.sqlite")).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("was moved, removed or replaced"), "{said}");
    assert!(server.accepted().len() < 20, "{}", server.accepted().len());
}

#[cfg(unix)]
#[test]
fn under_a_second_name_it_is_refused() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(2));
    let id = prepare(&home, "c");
    std::fs::hard_link(home.path().join(OUTBOX), home.path().join("other.sqlite")).unwrap();
    for arguments in [&["send", "c", "--account", "work", "--confirm", "2"][..], &["status", &id]] {
        for outbox in [OUTBOX, "other.sqlite"] {
            let said = home.run(&[arguments, &["--outbox", outbox]].concat()).ended(73).stderr;
            assert!(said.contains("has a second name (a hard link)"), "{said}");
        }
    }
    std::fs::remove_file(home.path().join("other.sqlite")).unwrap();
    // Nor is anybody's file written to that lies where the lock is to be.
    home.write("precious", "precious");
    let lock = home.path().join(format!("{OUTBOX}-{id}.lock"));
    std::os::unix::fs::symlink(home.path().join("precious"), &lock).unwrap();
    home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(73);
    assert_eq!(std::fs::read_to_string(home.path().join("precious")).unwrap(), "precious");
    std::fs::remove_file(lock).unwrap();
    home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(0);
    assert_eq!(server.accepted().len(), 2);
}

/// Once more is once more, although the program did not come to say so.
#[cfg(unix)]
#[test]
fn once_more_that_was_not_told_goes_on() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(4));
    home.run(&["send", "c", "--account", "work", "--confirm", "4"]).ended(0);
    let again = ["send", "c", "--account", "work", "--again", "--confirm", "4"];
    let mut command = home.command(&again);
    let killed = command.env("APIECE_FAULT", "told:4").output().unwrap();
    assert_eq!(killed.status.code(), None);
    assert_eq!(server.accepted().len(), 8);
    let said = home.run(&again).ended(0).stderr;
    assert!(said.contains("has nobody left to send to: 4 of 4 sent before"), "{said}");
    assert_eq!(server.accepted().len(), 8, "the same command goes on");
    home.run(&again).ended(0);
    assert_eq!(server.accepted().len(), 12, "and now it was told");
    // Nor did a run that nobody could hear.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let unheard = home.command(&again).stdout(full).output().unwrap();
    assert_eq!(unheard.status.code(), Some(74));
    home.run(&again).ended(0);
    assert_eq!(server.accepted().len(), 16);
}

#[test]
fn somebody_in_doubt_does_not_get_it_once_more_before_it_is_looked_up() {
    let server = Scripted::builder().once(Stage::Dot, Act::Drop).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    home.run(&["send", "c", "--account", "work", "--confirm", "3"]).ended(1);
    let said = home.run(&["send", "c", "--account", "work", "--again", "--confirm", "3"]).ended(1).stderr;
    assert!(said.contains("What is in doubt is to be looked up"), "{said}");
    assert_eq!(server.deliveries().len(), 3);
    home.run(&["resolve", &home.last_campaign(), "--all", "--sent"]).ended(0);
    home.run(&["send", "c", "--account", "work", "--again", "--confirm", "3"]).ended(0);
    assert_eq!(server.deliveries().len(), 6);
}

#[test]
fn each_row_of_a_person_means_the_person_and_nobody_is_meant_by_other_rows() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign("name,email\nAda,a@list.example\nBo,b@list.example\nAda,a@list.example\n");
    home.write(
        "c/t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n{{#each rows}}Dear {{name}},\n{{/each}}\n",
    );
    home.run(&["prepare", "c", "--group-by", "email"]).ended(0);
    let id = home.last_campaign();
    for (command, rows) in [("cancel", "3,77"), ("cancel", "77"), ("cancel", "4-5"), ("resolve", "2,9")] {
        let more: &[&str] = if command == "resolve" { &["--sent"] } else { &[] };
        let said = home.run(&[&[command, &id, "--row", rows], more].concat()).ended(64).stderr;
        assert!(said.contains("there is nobody in row "), "{said}");
    }
    assert!(home.run(&["cancel", &id, "--row", "4"]).ended(0).stdout.contains("1 message cancelled"));
    assert_eq!(states(&home, &id), ["cancelled", "queued"]);
    home.run(&["verify", &id]).ended(0);
}

#[test]
fn nothing_is_sent_of_what_was_changed() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    let id = prepare(&home, "c");
    let original = std::fs::read(home.path().join(OUTBOX)).unwrap();
    for sql in [
        "DROP TRIGGER recipient_stays; UPDATE recipient SET address = 'evil@x.example' WHERE position = 0",
        "UPDATE campaign SET settings = settings || '[send]' || char(10) || 'rate = \"1/day\"'",
        "UPDATE campaign SET list = replace(list, '\"address\":1', '\"address\":0')",
        "DELETE FROM message WHERE position = 2",
        "DELETE FROM message WHERE position = 1",
        "DELETE FROM recipient WHERE position = 1",
        "DROP TRIGGER log_is_not_changed; UPDATE log SET details = '{}'",
    ] {
        home.write("changed.sqlite", &original);
        let changed = rusqlite::Connection::open(home.path().join("changed.sqlite")).unwrap();
        changed.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        drop(changed);
        for command in [&["send", &id, "--account", "work", "--confirm", "3"][..], &["check", &id], &["preview", &id]] {
            let said = home.run(&[command, &["--outbox", "changed.sqlite"]].concat()).ended(65).stderr;
            assert!(said.contains("somebody changed the outbox"), "{sql}: {said}");
        }
        let run = home.run(&["verify", &id, "--outbox", "changed.sqlite"]);
        assert_eq!(run.code, 65, "{sql}: {}{}", run.stdout, run.stderr);
    }
    assert!(server.connections() == 0);
}

#[test]
fn what_nobody_tried_and_nobody_decided_is_found() {
    let server = Scripted::builder().once(Stage::Dot, Act::Drop).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(4));
    home.run(&["send", "c", "--account", "work", "--rows", "2,3", "--confirm", "2"]).ended(1);
    let id = home.last_campaign();
    let original = std::fs::read(home.path().join(OUTBOX)).unwrap();
    for sql in [
        "UPDATE message SET state = 'queued' WHERE state = 'in_doubt'",
        "UPDATE message SET state = 'sent' WHERE state = 'in_doubt'",
        "UPDATE message SET state = 'cancelled' WHERE state = 'queued'",
        "UPDATE message SET says = 1 WHERE position = 1",
        "UPDATE campaign SET total = 3",
        "DROP TRIGGER recipient_stays; UPDATE recipient SET row = 7 WHERE position = 1",
    ] {
        home.write("changed.sqlite", &original);
        rusqlite::Connection::open(home.path().join("changed.sqlite")).unwrap().execute_batch(sql).unwrap();
        let run = home.run(&["verify", &id, "--outbox", "changed.sqlite"]);
        assert_eq!(run.code, 65, "{sql}: {}{}", run.stdout, run.stderr);
    }
    // What a person decides is in the log.
    home.run(&["resolve", &id, "--all", "--send-again"]).ended(0);
    home.run(&["cancel", &id, "--row", "5"]).ended(0);
    home.run(&["verify", &id]).ended(0);
    home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(0);
    home.run(&["verify", &id]).ended(0);
    let changed = "DROP TRIGGER message_keeps_to_the_table; UPDATE message SET state = 'queued' WHERE position = 1";
    rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap().execute_batch(changed).unwrap();
    let count = server.accepted().len();
    let said = home.run(&["send", &id, "--account", "work", "--confirm", "1"]).ended(65).stderr;
    assert!(said.contains("a message that was sent is to be sent again"), "{said}");
    assert_eq!(server.accepted().len(), count);
}

#[test]
fn a_directory_that_is_called_like_a_campaign_is_not_taken_for_it() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(2));
    let id = prepare(&home, "c");
    std::fs::rename(home.path().join("c"), home.path().join(&id)).unwrap();
    let said = home.run(&["send", &id, "--account", "work", "--confirm", "2"]).ended(64).stderr;
    assert!(said.contains(&format!("write ./{id} for the one here")), "{said}");
    home.run(&["check", &format!("./{id}")]).ended(0);
}

#[test]
fn a_name_makes_up_no_lines() {
    let home = Home::new();
    home.campaign(&people(2));
    let forged = "d\nffffffff  2026-01-01 00:00:00 UTC  another  9 sent";
    std::fs::rename(home.path().join("c"), home.path().join(forged)).unwrap();
    let template = home.path().join(forged).join("t.txt.hbs");
    let again = format!("{forged}.txt.hbs");
    std::fs::write(home.path().join(&again), std::fs::read_to_string(template).unwrap() + "Bye.\n").unwrap();
    for campaign in [&[forged][..], &[&again, &format!("{forged}/people.csv")]] {
        let said = home.run(&[&["prepare"], campaign].concat()).ended(0);
        for text in [said.stdout, said.stderr] {
            assert!(!text.lines().any(|line| line.starts_with("ffffffff")), "{text}");
        }
    }
    let all = home.run(&["status"]).ended(0).stdout;
    assert!(all.lines().count() == 2 && all.lines().all(|line| line.ends_with("  2 queued")), "{all}");
}

/// With two records, whoever is in one of them could be written to once more from the other.
#[test]
fn every_command_finds_the_record_of_the_config_file_that_it_is_given() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    home.campaign(&people(2));
    let usual = std::fs::read_to_string(home.path().join(".config/apiece/config.toml")).unwrap();
    home.write("other/config.toml", format!("{usual}[outbox]\naddress = \"kept.sqlite\"\n"));
    let by = ["--config", "other/config.toml"];
    let run = |arguments: &[&str]| home.run(&[arguments, &by[..]].concat()).ended(0).stdout;
    run(&["prepare", "c"]);
    let id = run(&["status"]).split_whitespace().next().unwrap().to_owned();
    assert!(home.path().join("other/kept.sqlite").exists() && !home.path().join(OUTBOX).exists());
    run(&["preview", &id]);
    run(&["send", &id, "--account", "work", "--confirm", "2"]);
    assert!(run(&["export", &id]).lines().skip(1).all(|line| line.contains(",sent,")));
    run(&["verify", &id]);
    run(&["purge", &id, "--confirm", "2"]);
    assert_eq!(server.accepted().len(), 2);
    assert!(!home.path().join(OUTBOX).exists(), "no other was made");
    // The environment says it as well.
    let mut status = home.command(&["status"]);
    let status = status.env("APIECE_CONFIG", "other/config.toml").output().unwrap();
    assert!(String::from_utf8(status.stdout).unwrap().starts_with(&id));
    assert_eq!(home.run(&["status"]).ended(0).stdout, "there are no campaigns yet\n");
}
