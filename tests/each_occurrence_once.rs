//! A campaign that recurs sends each person each occurrence once, however often it is started.

use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
    time::Duration,
};

use crate::support::{
    Home, OUTBOX, Run,
    clock::Clock,
    people,
    scripted::{Act, Scripted, Stage},
};

fn home(server: &Scripted, occurrence: &str, list: &str) -> Home {
    let home = Home::at_relay(server);
    home.campaign(list);
    let settings = format!(
        "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\naccount = \"work\"\nrecurring = true\noccurrence = \"{occurrence}\"\n\
         [send]\nwindow = \"00:00-24:00 Europe/London\"\n"
    );
    home.write("c/campaign.toml", settings);
    home
}

fn start(home: &Home, clock: &Clock, environment: &[(&str, &str)]) -> Child {
    let mut command = home.command(&["send", "c", "--expect-between", "1..999"]);
    clock.over(&mut command);
    command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(home: &Home, clock: &Clock) -> Run {
    Run::of(start(home, clock, &[]).wait_with_output().unwrap())
}

/// Another command, at the same time.
fn at(home: &Home, clock: &Clock, arguments: &[&str]) -> Run {
    let mut command = home.command(arguments);
    clock.over(&mut command);
    Run::of(command.output().unwrap())
}

/// How often the server had something for each.
fn got(server: &Scripted) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for one in server.deliveries() {
        *times.entry(one.rcpt_to[0].split('@').next().unwrap().to_owned()).or_default() += 1;
    }
    times
}

fn ids(server: &Scripted) -> Vec<String> {
    let id = |data: &[u8]| {
        let text = String::from_utf8_lossy(data).into_owned();
        text.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned()
    };
    server.accepted().iter().map(|one| id(&one.data)).collect()
}

#[test]
fn a_daily_job_sends_each_day_once() {
    let server = Scripted::builder().start();
    let home = home(&server, "{{date}}", &people(3));
    let Some(clock) = Clock::at(&home, "2028-02-28 09:00 Europe/London") else { return };
    for (time, all) in [
        ("2028-02-28 09:00 Europe/London", 3),
        ("2028-02-28 09:01 Europe/London", 3),
        ("2028-02-28 23:59:40 Europe/London", 3),
        // A leap day, the end of a month, and a night in which it is another day elsewhere.
        ("2028-02-29 00:00:01 Europe/London", 6),
        ("2028-02-29 23:30 Europe/London", 6),
        ("2028-03-01 00:10 Europe/London", 9),
        ("2028-07-01 00:30 Europe/London", 12),
        ("2028-07-01 23:30 Europe/London", 12),
    ] {
        clock.set(time);
        send(&home, &clock).ended(0);
        assert_eq!(server.deliveries().len(), all, "{time}");
    }
    assert!(got(&server).values().all(|times| *times == 4));
    let mut ids = ids(&server);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12, "each occurrence has Message-IDs of its own");
    let id = home.last_campaign();
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(status.contains("Occurrence  2028-07-01\n"), "{status}");
    let report = at(&home, &clock, &["report", &id]).ended(0).stdout;
    assert!(report.contains("Occurrence") && report.contains("2028-07-01"), "{report}");
}

#[test]
fn who_comes_onto_the_list_gets_theirs_and_who_has_it_does_not() {
    let server = Scripted::builder().start();
    let home = home(&server, "{{date}}", &people(3));
    let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
    send(&home, &clock).ended(0);
    home.write("c/people.csv", people(5));
    let run = send(&home, &clock).ended(0);
    assert!(run.stdout.starts_with("2 of "), "{}", run.stdout);
    assert_eq!(got(&server), (2..7).map(|row| (format!("p{row}"), 1)).collect());
    // In another order, one fewer, one in capital letters, and a new template: the same day.
    home.write("c/people.csv", "name,email\nPerson 4,P4@list.example\nPerson 2,p2@list.example\nNew,p9@list.example\n");
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"New\"\n+++\nDear {{name}}, it is new.\n");
    send(&home, &clock).ended(0);
    assert_eq!(server.deliveries().len(), 6);
    assert_eq!(got(&server)["p9"], 1);
    let id = home.last_campaign();
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(status.contains("left out") && status.contains("1 sent, 2 cancelled"), "{status}");
    // What was left out was left out by the log: the record holds.
    at(&home, &clock, &["verify", &id]).ended(0);
    at(&home, &clock, &["report", &id]).ended(0);
    // And a person who takes it up again does not get round it.
    home.run(&["retry", &id, "--cancelled"]).ended(0);
    at(&home, &clock, &["send", &id, "--confirm", "2"]).ended(0);
    assert_eq!(server.deliveries().len(), 6);
    // The people's data goes, and what was sent is still not sent again.
    let record = rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap();
    let campaigns: Vec<(String, i64)> = {
        let mut query = record.prepare("SELECT id, total FROM campaign").unwrap();
        let all = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        all.collect::<Result<_, _>>().unwrap()
    };
    drop(record);
    for (id, total) in campaigns {
        home.run(&["purge", &id, "--confirm", &total.to_string()]).ended(0);
    }
    let bytes = std::fs::read(home.path().join(OUTBOX)).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("list.example"));
    home.write("c/people.csv", people(8));
    send(&home, &clock).ended(0);
    assert_eq!(server.deliveries().len(), 8, "{:?}", got(&server));
    assert!(got(&server).values().all(|times| *times == 1), "{:?}", got(&server));
}

#[test]
fn a_column_tells_what_a_message_is_of() {
    let server = Scripted::builder().start();
    let home = home(&server, "{{invoice}}", "name,email,invoice\nAda,ada@one.example,1\nBo,bo@one.example,2\n");
    let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
    send(&home, &clock).ended(0);
    clock.set("2026-11-28 09:00 Europe/London");
    send(&home, &clock).ended(0);
    assert_eq!(server.deliveries().len(), 2);
    home.write("c/people.csv", "name,email,invoice\nAda,ada@one.example,3\nBo,bo@one.example,2\nCy,cy@one.example,1\n");
    send(&home, &clock).ended(0);
    assert_eq!(got(&server), [("ada".into(), 2), ("bo".into(), 1), ("cy".into(), 1)].into());
    let status = home.run(&["status", &home.last_campaign()]).ended(0).stdout;
    assert!(status.contains("Occurrence  3 different ones"), "{status}");
    for (list, said) in [
        ("name,email,invoice\nAda,ada@one.example,\n", "by which is told what was sent already"),
        ("name,email,invoce\nAda,ada@one.example,1\n", "did you mean {{invoce}}?"),
    ] {
        home.write("c/people.csv", list);
        let run = send(&home, &clock).ended(65);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}

#[test]
fn it_dies_in_the_middle_and_the_list_changes_and_nobody_gets_it_twice() {
    for fault in ["begun:3", "answered:3", "told:3", "frozen", "taking"] {
        let server = Scripted::builder().start();
        let home = home(&server, "{{date}}", &people(8));
        let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
        let died = Run::of(start(&home, &clock, &[("APIECE_FAULT", fault)]).wait_with_output().unwrap());
        assert_ne!(died.code, 0, "{fault}");
        home.write("c/people.csv", people(10));
        let run = send(&home, &clock);
        assert!([0, 1].contains(&run.code), "{fault}: {}\n{}", run.stdout, run.stderr);
        home.write("c/people.csv", people(8));
        send(&home, &clock);
        let got = got(&server);
        assert!(got.values().all(|times| *times == 1), "{fault}: {got:?}");
        // Of whom only the server knows: two at most, one for each connection.
        assert!(got.len() >= 8, "{fault}: {got:?}");
        let record = rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap();
        let sql = "SELECT count(DISTINCT address) FROM outcome WHERE state IN ('sent', 'in_doubt', 'sending')";
        let known: i64 = record.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(known, 10, "{fault}: nobody is forgotten");
    }
}

#[test]
fn two_with_different_lists_at_once_send_nobody_the_same_twice() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(100))).start();
    let home = home(&server, "{{date}}", &people(20));
    let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
    let first = start(&home, &clock, &[]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() >= 3));
    home.write("c/people.csv", people(22));
    let run = send(&home, &clock).ended(75);
    assert!(run.stderr.contains("is being sent already"), "{}", run.stderr);
    Run::of(first.wait_with_output().unwrap()).ended(0);
    send(&home, &clock).ended(0);
    assert_eq!((got(&server).len(), server.deliveries().len()), (22, 22));
}

#[test]
fn what_a_person_took_back_does_not_come_back_by_itself() {
    let server = Scripted::builder().start();
    let home = home(&server, "{{date}}", &people(3));
    let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
    at(&home, &clock, &["prepare", "c"]).ended(0);
    let first = home.last_campaign();
    let cancelled = at(&home, &clock, &["cancel", &first, "--row", "2-3"]).ended(0).stdout;
    assert!(cancelled.contains("not sent to them later either"), "{cancelled}");
    // The next start has another list, and so would prepare them anew.
    home.write("c/people.csv", people(4));
    let run = send(&home, &clock).ended(0);
    let said = "2 messages were left out: somebody took this back from them";
    assert!(run.stderr.contains(said) && run.stderr.contains(&first), "{}", run.stderr);
    assert_eq!(got(&server), [("p4".into(), 1), ("p5".into(), 1)].into());
    let second = home.last_campaign();
    at(&home, &clock, &["verify", &second]).ended(0);
    send(&home, &clock).ended(0);
    assert_eq!(server.deliveries().len(), 2);
    // Until a person wants it: the one as it is now, the other as it was then, and nobody twice.
    at(&home, &clock, &["retry", &second, "--cancelled", "--row", "2"]).ended(0);
    at(&home, &clock, &["send", &second, "--expect-between", "1..4"]).ended(0);
    assert_eq!(got(&server)["p2"], 1);
    at(&home, &clock, &["retry", &first, "--cancelled"]).ended(0);
    at(&home, &clock, &["send", &first, "--expect-between", "1..4"]).ended(0);
    home.write("c/people.csv", people(5));
    send(&home, &clock).ended(0);
    assert_eq!(got(&server), (2..7).map(|row| (format!("p{row}"), 1)).collect());
    // Another day is another matter.
    clock.set("2026-11-28 09:00 Europe/London");
    send(&home, &clock).ended(0);
    assert_eq!(server.deliveries().len(), 10);
}

#[test]
fn what_was_taken_back_stays_so_when_its_people_are_removed() {
    let server = Scripted::builder().start();
    let home = home(&server, "{{date}}", &people(3));
    let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
    at(&home, &clock, &["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    at(&home, &clock, &["cancel", &id]).ended(0);
    at(&home, &clock, &["purge", &id, "--confirm", "3"]).ended(0);
    home.write("c/people.csv", people(4));
    send(&home, &clock).ended(0);
    assert_eq!(got(&server), [("p5".into(), 1)].into());
}

#[test]
fn two_campaigns_of_one_name_do_not_take_each_others_people_for_their_own() {
    let server = Scripted::builder().start();
    let home = home(&server, "welcome", &people(2));
    let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
    let place = |place: &str| home.path().join(place);
    let moved = |from: &str, to: &str| {
        std::fs::create_dir_all(place(to).parent().unwrap()).unwrap();
        std::fs::rename(place(from), place(to)).unwrap();
    };
    moved("c", "a/job");
    home.write("b/job/campaign.toml", std::fs::read(place("a/job/campaign.toml")).unwrap());
    home.write("b/job/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"Other\"\n+++\nDear {{name}}.\n");
    home.write("b/job/people.csv", people(3));
    let send =
        |place: &str, more: &[&str]| at(&home, &clock, &[&["send", place, "--expect-between", "1..9"], more].concat());
    send("a/job", &[]).ended(0);
    let run = send("b/job", &[]).ended(77);
    for said in ["b/job/campaign.toml", "a/job/campaign.toml", "name = \"…\"", "--moved"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    at(&home, &clock, &["prepare", "b/job"]).ended(77);
    assert_eq!(server.deliveries().len(), 2);
    let settings = std::fs::read_to_string(place("b/job/campaign.toml")).unwrap();
    home.write("b/job/campaign.toml", format!("name = \"another\"\n{settings}"));
    send("b/job", &[]).ended(0);
    assert_eq!(server.deliveries().len(), 5);
    assert!(home.run(&["status"]).ended(0).stdout.contains("another"));
    // One that was only moved goes on where it was, once somebody says that it is the same.
    moved("a/job", "d/job");
    let run = send("d/job", &[]).ended(77);
    assert!(run.stderr.contains("a/job/campaign.toml"), "{}", run.stderr);
    send("d/job", &["--moved"]).ended(0);
    send("d/job", &[]).ended(0);
    // And one that has another name now does not begin anew without a word.
    moved("d/job", "d/task");
    let run = send("d/task", &[]).ended(77);
    assert!(run.stderr.contains("seems to be \"job\"") && run.stderr.contains("name = \"job\""), "{}", run.stderr);
    let settings = std::fs::read_to_string(place("d/task/campaign.toml")).unwrap();
    home.write("d/task/campaign.toml", format!("name = \"job\"\n{settings}"));
    send("d/task", &["--moved"]).ended(0);
    assert_eq!(server.deliveries().len(), 5);
    home.write("d/task/people.csv", people(4));
    send("d/task", &[]).ended(0);
    assert_eq!(server.deliveries().len(), 7);
    // A link is another way to the same place.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place("d/task"), place("job")).unwrap();
        send("job", &[]).ended(0);
        assert_eq!(server.deliveries().len(), 7);
    }
}

#[test]
fn a_date_is_the_same_however_it_is_shown() {
    let server = Scripted::builder().start();
    let home =
        home(&server, "{{due}}", "name,email,Due\nAda,ada@one.example,2026-12-24\nBo,bo@one.example,2026-12-25\n");
    let Some(clock) = Clock::at(&home, "2026-11-27 09:00 Europe/London") else { return };
    let settings = std::fs::read_to_string(home.path().join("c/campaign.toml")).unwrap();
    for form in ["date", "date %d.%m.%Y", "date %-d %B %Y"] {
        home.write("c/campaign.toml", format!("{settings}[columns]\nDue = \"{form}\"\n"));
        send(&home, &clock).ended(0);
        assert_eq!(server.deliveries().len(), 2, "{form}");
    }
}
