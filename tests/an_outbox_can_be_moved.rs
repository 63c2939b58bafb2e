//! All of an outbox can be moved from a file into PostgreSQL and back, in the middle of a campaign: whatever breaks it off, nobody can
//! send from both, nobody gets it twice, and nobody is forgotten.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    support::{
        Home, OUTBOX, Record, Run, account, people,
        postgres::{ADMIN, Cluster},
        scripted::{Act, Builder, Scripted, Stage, Tls},
    },
    what_a_server_may_do::each,
};

fn server() -> Builder {
    Scripted::builder().tls(Tls::Implicit).auth("u", "secret")
}

fn home(server: &Scripted, count: usize) -> Home {
    let home = Home::new();
    home.campaign(&people(count));
    home.config(&account(server.port(), server.ca_file(), "implicit", "username = \"u\"\npassword_env = \"P\""));
    home
}

/// A new database with the tables in it; gives its address.
fn database(home: &Home) -> String {
    let address = Cluster::shared().database();
    home.run(&["outbox", "migrate", "--outbox", &address]).ended(0);
    address
}

fn at<'a>(outbox: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--outbox", outbox]].concat()
}

fn start(home: &Home, outbox: &str, arguments: &[&str]) -> Child {
    let mut command = home.command(&at(outbox, arguments));
    command.env("P", "secret").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn run(home: &Home, outbox: &str, arguments: &[&str]) -> Run {
    Run::of(start(home, outbox, arguments).wait_with_output().unwrap())
}

fn send(home: &Home, outbox: &str, count: usize) -> Run {
    run(home, outbox, &["send", "c", "--account", "work", "--confirm", &count.to_string()])
}

fn copy(home: &Home, from: &str, to: &str) -> Command {
    home.command(&["outbox", "copy", "--from", from, "--to", to])
}

fn copied(home: &Home, from: &str, to: &str) -> Run {
    Run::of(copy(home, from, to).output().unwrap())
}

fn last_campaign(home: &Home, outbox: &str) -> String {
    let all = run(home, outbox, &["status"]).ended(0).stdout;
    all.split_whitespace().next().unwrap_or_else(|| panic!("{all}")).to_owned()
}

/// What both say, which must be the same.
fn agree(home: &Home, one: &str, other: &str) -> String {
    let id = last_campaign(home, one);
    let mut exported = String::new();
    for command in [
        &["status"][..],
        &["status", &id],
        &["verify", &id],
        &["export", &id],
        &["report", &id],
        &["report", &id, "--find", "p3@list.example"],
    ] {
        let [first, second] = [one, other].map(|outbox| run(home, outbox, command));
        // A report says when it was made.
        let said = |run: &Run| run.stdout.lines().filter(|line| !line.contains(". Made ")).collect::<String>();
        assert!(first.code == second.code && said(&first) == said(&second), "{command:?}");
        assert!([0, 1].contains(&first.code), "{command:?}: {}", first.stderr);
        if command[0] == "export" {
            exported = first.stdout;
        }
    }
    exported
}

/// Nothing can be done any more with what was moved, and it is said where it went.
fn is_sealed(home: &Home, outbox: &str, to: &str) {
    let id = last_campaign(home, outbox);
    home.write("other/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nnew\n");
    home.write("other/people.csv", "email\nnew@list.example\n");
    let commands = [
        &["send", &id, "--account", "work", "--confirm", "9"][..],
        &["send", "c", "--account", "work", "--confirm", "9", "--again"],
        &["prepare", "other/t.txt.hbs", "other/people.csv"],
        &["retry", &id, "--failed"],
        &["resolve", &id, "--sent", "--all"],
        &["cancel", &id],
    ];
    for command in commands {
        let refused = run(home, outbox, command).ended(77);
        assert!(refused.stderr.contains(to), "{command:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("moved to"), "{command:?}: {}", refused.stderr);
    }
}

/// How often each of so many people got it: once.
fn each_has_one(server: &Scripted, count: usize) {
    let mut times = BTreeMap::new();
    for one in server.deliveries() {
        *times.entry(one.rcpt_to[0].clone()).or_insert(0) += 1;
    }
    assert_eq!(times.len(), count);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[test]
fn a_campaign_begun_in_a_file_is_finished_from_postgresql_and_comes_back() {
    const PEOPLE: usize = 60;
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(20))).start();
    let home = home(&server, PEOPLE);
    let (file, database) = (home.path().join(OUTBOX).display().to_string(), database(&home));
    let sending = start(&home, &file, &["send", "c", "--account", "work", "--confirm", "60"]);
    assert!(server.wait_until(Duration::from_secs(60), |server| server.accepted().len() >= 15));
    let refused = copied(&home, &file, &database).ended(75);
    assert!(refused.stderr.contains("is being sent already: process "), "{}", refused.stderr);
    Command::new("kill").args(["-TERM", &sending.id().to_string()]).status().unwrap();
    let stopped = Run::of(sending.wait_with_output().unwrap());
    assert_eq!(stopped.code, 143, "{}", stopped.stderr);
    let said = copied(&home, &file, &database).ended(0).stdout;
    assert!(said.contains(&format!("moved to {database}, 1 campaign with 60 messages")), "{said}");
    let exported = agree(&home, &file, &database);
    let sent = exported.lines().filter(|line| line.contains(",sent,")).count();
    assert!((15..PEOPLE).contains(&sent), "{exported}");
    is_sealed(&home, &file, &database);
    assert_eq!(server.deliveries().len(), sent);
    // Whoever says it once more does no harm.
    copied(&home, &file, &database).ended(77);
    let status = run(&home, &file, &["status"]).ended(0);
    assert!(status.stderr.contains("was moved to") && status.stderr.contains(&database), "{}", status.stderr);
    send(&home, &database, PEOPLE).ended(0);
    each_has_one(&server, PEOPLE);
    let doctor = run(&home, &file, &["doctor"]);
    assert!(doctor.code != 0 && doctor.stdout.contains("was moved to"), "{}{}", doctor.stdout, doctor.stderr);
    // Back, into a new file: the old one is behind.
    let refused = copied(&home, &database, &file).ended(77);
    assert!(
        refused.stderr.contains("is not empty") && refused.stderr.contains("name a new file"),
        "{}",
        refused.stderr
    );
    let back = home.path().join("back.sqlite").display().to_string();
    copied(&home, &database, &back).ended(0);
    let exported = agree(&home, &database, &back);
    assert_eq!(exported.lines().filter(|line| line.contains(",sent,")).count(), PEOPLE);
    is_sealed(&home, &database, &back);
    is_sealed(&home, &file, &database);
    // What was sent there is known here.
    send(&home, &back, PEOPLE).ended(77);
    run(&home, &back, &["prepare", "other/t.txt.hbs", "other/people.csv"]).ended(0);
    each_has_one(&server, PEOPLE);
}

#[test]
fn killed_at_any_step_it_is_sent_from_one_place() {
    const PEOPLE: usize = 6;
    let cases: Vec<(&str, Record, bool)> = ["copy-sealed", "copy-unwritten", "copy-written"]
        .into_iter()
        .flat_map(|step| Record::ALL.iter().map(move |from| (step, *from)))
        .flat_map(|(step, from)| [false, true].map(|undone| (step, from, undone)))
        .collect();
    each(
        &cases,
        |(step, from, undone)| format!("{step}, from {from:?}, undone: {undone}"),
        |(step, from, undone)| {
            let server = server().start();
            let home = home(&server, PEOPLE);
            let file = home.path().join("a.sqlite").display().to_string();
            let database = database(&home);
            let (from, to) = if *from == Record::File { (file, database) } else { (database, file) };
            run(&home, &from, &["prepare", "c"]).ended(0);
            let killed = copy(&home, &from, &to).env("APIECE_FAULT", step).output().unwrap();
            assert_eq!(killed.status.code(), None, "it was to be killed: {}", String::from_utf8_lossy(&killed.stderr));
            is_sealed(&home, &from, &to);
            let is_there = *step == "copy-written";
            let there = run(&home, &to, &["status"]).ended(0).stdout;
            assert_eq!(there.contains("6 queued"), is_there, "{there}");
            if *undone {
                let undo = ["outbox", "copy", "--from", &from, "--to", &to, "--undo"];
                home.run(&undo).ended(if is_there { 77 } else { 0 });
                let (has, other) = if is_there { (&to, &from) } else { (&from, &to) };
                send(&home, has, PEOPLE).ended(0);
                assert!(!is_there || send(&home, other, PEOPLE).ended(77).stderr.contains("moved to"));
                // It can be moved after that.
                if !is_there {
                    copied(&home, &from, &to).ended(0);
                    agree(&home, &from, &to);
                }
            } else {
                copied(&home, &from, &to).ended(0);
                agree(&home, &from, &to);
                is_sealed(&home, &from, &to);
                send(&home, &to, PEOPLE).ended(0);
            }
            each_has_one(&server, PEOPLE);
        },
    );
}

#[test]
fn killed_at_any_moment_all_of_it_is_there_or_nothing() {
    const PEOPLE: usize = 1500;
    let server = server().start();
    let home = home(&server, PEOPLE);
    let file = home.path().join("a.sqlite").display().to_string();
    let database = database(&home);
    run(&home, &file, &["prepare", "c"]).ended(0);
    let mut kills = 0;
    for (from, to) in [(&file, &database), (&database, &home.path().join("b.sqlite").display().to_string())] {
        let mut pause = 4;
        loop {
            let mut child = copy(&home, from, to).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(pause));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
            let ended = Run::of(child.wait_with_output().unwrap());
            let there = run(&home, to, &["status"]).ended(0).stdout;
            assert!(there.contains("1500 queued") || there.starts_with("there are no campaigns"), "{there}");
            match ended.code {
                // Whether it was over is not known where it was killed.
                0 | 77 => break,
                -1 => pause = pause * 3 / 2,
                _ => panic!("{}\n{}", ended.code, ended.stderr),
            }
        }
        agree(&home, from, to);
        is_sealed(&home, from, to);
    }
    assert!(kills > 4, "{kills}");
}

#[test]
fn it_is_the_part_of_the_owner() {
    let server = server().start();
    let home = home(&server, 3);
    let address = database(&home);
    let database = Cluster::name_of(&address).to_owned();
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/postgresql.md")).unwrap();
    let rights = docs.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let role = format!("mover_{database}");
    Cluster::shared().say(&database, &rights.replace("apiece_sender", &role));
    let sender = address.replace(&format!("//{ADMIN}@"), &format!("//{role}@"));
    run(&home, &sender, &["prepare", "c"]).ended(0);
    let back = home.path().join("back.sqlite").display().to_string();
    let refused = copied(&home, &sender, &back);
    assert!(refused.code == 73 && refused.stderr.contains("permission denied"), "{}\n{}", refused.code, refused.stderr);
    send(&home, &sender, 3).ended(0);
    copied(&home, &address, &back).ended(0);
    // Whoever sends finds it gone, and cannot make it otherwise.
    is_sealed(&home, &sender, &back);
    for sql in ["DELETE FROM apiece.moved", "UPDATE apiece.moved SET way = 'from'"] {
        let refused = Cluster::shared().refused(&database, &role, sql);
        assert!(refused.contains("permission denied"), "{refused}");
    }
    each_has_one(&server, 3);
}
