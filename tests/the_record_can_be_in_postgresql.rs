//! The same record in PostgreSQL, for several machines: it says the same, and keeps the same promises.

use std::{
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use crate::support::{
    Home, Record, Run, account,
    certificates::Authority,
    people,
    postgres::{ADMIN, Cluster},
    scripted::{Act, Builder, Moment, Scripted, Stage, Tls},
};

fn server() -> Builder {
    Scripted::builder().tls(Tls::Implicit).auth("u", "secret")
}

fn at(server: &Scripted, home: Home, count: usize) -> Home {
    home.campaign(&people(count));
    home.config(&account(server.port(), server.ca_file(), "implicit", "username = \"u\"\npassword_env = \"P\""));
    home
}

fn start(home: &Home, count: usize) -> Child {
    let confirm = count.to_string();
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", &confirm]);
    command.env("P", "secret").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(home: &Home, count: usize) -> Run {
    Run::of(start(home, count).wait_with_output().unwrap())
}

/// What is different each time: times, numbers of ports and processes, and what is made of them.
fn settled(text: &str) -> String {
    let is_hex = |word: &str| word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let is_time = |word: &str| {
        let is_measured = ["seconds=", "per_minute="].iter().any(|name| word.starts_with(name));
        let is_pseudonym = word.len() == 14 && word.split('-').all(|part| part.len() == 4);
        is_measured || is_pseudonym || word.contains(':') || word.starts_with("20") && word.contains('-')
    };
    let word =
        |word: &str| if is_hex(word) || is_time(word) || word.contains('@') { "*".to_owned() } else { word.to_owned() };
    let lines = text.lines().map(|line| line.split([' ', ',']).map(word).collect::<Vec<_>>().join(" "));
    // Whether a second ended meanwhile is chance.
    lines.collect::<Vec<_>>().join("\n").replace("* * UTC to * * UTC", "* * UTC")
}

#[test]
fn every_command_says_the_same_of_it() {
    let told = Record::ALL.iter().map(|record| {
        let refuse = |moment: &Moment<'_>| match moment.stage {
            Stage::Rcpt if moment.line.contains("<p4@") => Act::reply("550 5.1.1 no such person\r\n"),
            _ => Act::Ok,
        };
        let server = server().on_when(refuse).start();
        let home = at(&server, Home::new().with(*record), 5);
        let mut all = Vec::new();
        let mut say = |code: i32, arguments: &[&str]| {
            let run = home.run(arguments).ended(code);
            all.push(format!("{arguments:?}\n{}\n{}", settled(&run.stdout), settled(run.said())));
        };
        say(0, &["status"]);
        say(0, &["prepare", "c"]);
        let id = home.last_campaign();
        say(0, &["status", &id]);
        say(0, &["preview", &id, "--row", "3"]);
        let sent = send(&home, 5).ended(1);
        all.push(settled(sent.said()));
        let mut say = |code: i32, arguments: &[&str]| {
            let run = home.run(arguments).ended(code);
            all.push(format!("{arguments:?}\n{}\n{}", settled(&run.stdout), settled(run.said())));
        };
        say(0, &["status", &id]);
        say(0, &["export", &id]);
        say(0, &["verify", &id]);
        say(0, &["report", &id]);
        say(0, &["report", &id, "--find", "p3@list.example"]);
        say(0, &["retry", &id, "--failed"]);
        say(0, &["cancel", &id]);
        say(77, &["send", "c", "--account", "work", "--confirm", "5"]);
        say(0, &["purge", &id, "--confirm", "5"]);
        say(0, &["status", &id]);
        say(0, &["verify", &id]);
        assert_eq!(server.accepted().len(), 4);
        all
    });
    let told: Vec<Vec<String>> = told.collect();
    for (file, database) in told[0].iter().zip(&told[1]) {
        assert_eq!(file, database);
    }
}

#[test]
fn it_is_reached_over_verified_tls_with_a_password_or_not_at_all() {
    let authority = Authority::new();
    let certificate = authority.vouch();
    let directory = tempfile::tempdir().unwrap();
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    fs::write(&cert, &certificate.certificate).unwrap();
    fs::write(&key, &certificate.key).unwrap();
    for file in [&cert, &key] {
        Cluster::give(file);
    }
    Cluster::open_to_search(directory.path());
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", cert.display()),
        format!("ssl_key_file={}", key.display()),
        "listen_addresses=127.0.0.1".into(),
    ];
    let cluster = Cluster::start(&settings.each_ref().map(String::as_str));
    cluster.say(ADMIN, "CREATE ROLE mailer LOGIN PASSWORD 'correct-horse'");
    cluster.say(ADMIN, "CREATE DATABASE mail OWNER mailer");
    cluster.allow("hostssl all mailer 127.0.0.1/32 scram-sha-256\nhostnossl all mailer 127.0.0.1/32 trust");
    let home = Home::new();
    let ca = home.write("ca.pem", authority.pem());
    let other = home.write("other.pem", Authority::named("somebody else").pem());
    let password = home.write("pw", "correct-horse\n");
    fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = |ca: &std::path::Path, more: &str| {
        let address = format!("postgres://mailer@localhost:{}/mail", cluster.port);
        home.config(&format!("[outbox]\naddress = \"{address}\"\nca_file = \"{}\"\n{more}\n", ca.display()));
    };
    let with_password = "password_file = \"../../pw\"";
    config(&ca, with_password);
    let made = home.run(&["outbox", "migrate"]).ended(0);
    assert!(made.stdout.contains("made, in version 1"), "{}", made.stdout);
    assert_eq!(home.run(&["status"]).ended(0).stdout, "there are no campaigns yet\n");
    assert_eq!(cluster.say("mail", "SELECT count(*) FROM apiece.state"), "8");
    // Whoever else vouches for it, and whatever name it has, nothing is said to it.
    config(&other, with_password);
    let refused = home.run(&["status"]).ended(75).stderr;
    assert!(refused.contains("cannot be reached") && refused.contains("certificate"), "{refused}");
    let address = format!("postgres://mailer@127.0.0.1:{}/mail?sslmode=disable", cluster.port);
    home.config("");
    home.run(&["status", "--outbox", &address]).ended(0);
    for (address, why) in [
        (format!("postgres://mailer:correct-horse@localhost:{}/mail", cluster.port), "there is a password"),
        (format!("postgres://mailer@db.example:{}/mail?sslmode=disable", cluster.port), "would not verify"),
    ] {
        let refused = home.run(&["status", "--outbox", &address]).ended(78).stderr;
        assert!(refused.contains(why) && !refused.contains("correct-horse"), "{refused}");
    }
    home.write("pw", "wrong-horse\n");
    config(&ca, with_password);
    let refused = home.run(&["status"]).ended(75).stderr;
    assert!(refused.contains("password authentication failed") && !refused.contains("wrong-horse"), "{refused}");
}

#[test]
fn whoever_sends_needs_few_rights_and_cannot_change_what_was_done() {
    let server = server().start();
    let cluster = Cluster::shared();
    let address = cluster.database();
    let database = Cluster::name_of(&address).to_owned();
    let owner = Home::new().with_outbox(&address);
    owner.run(&["outbox", "migrate"]).ended(0);
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/postgresql.md")).unwrap();
    let rights = docs.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let role = format!("sender_{database}");
    cluster.say(&database, &rights.replace("apiece_sender", &role));
    let home = at(&server, Home::new().with_outbox(&address.replace(&format!("//{ADMIN}@"), &format!("//{role}@"))), 3);
    send(&home, 3).ended(0);
    assert_eq!(server.accepted().len(), 3);
    home.run(&["verify", &home.last_campaign()]).ended(0);
    home.run(&["purge", &home.last_campaign(), "--confirm", "3"]).ended(0);
    for sql in [
        "UPDATE apiece.log SET who = 'nobody'",
        "DELETE FROM apiece.log",
        "DROP TABLE apiece.message",
        "TRUNCATE apiece.log",
    ] {
        let refused = cluster.refused(&database, &role, sql);
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{refused}");
    }
    let refused = home.run(&["outbox", "migrate"]);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
}

#[test]
fn a_database_that_dies_stops_the_run_and_nobody_is_forgotten_or_sent_to_twice() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(20))).start();
    let mut cluster = Cluster::start(&[]);
    let home = at(&server, Home::new().with_outbox(&cluster.database()), 60);
    home.run(&["outbox", "migrate"]).ended(0);
    for round in 1..=3 {
        let child = start(&home, 60);
        assert!(server.wait_until(Duration::from_secs(60), |server| server.accepted().len() >= round * 12));
        cluster.kill();
        let run = Run::of(child.wait_with_output().unwrap());
        assert!(run.code != 0 && run.stderr.contains("outbox"), "{}\n{}", run.code, run.stderr);
        cluster.run();
    }
    let run = send(&home, 60);
    assert!([0, 1].contains(&run.code), "{}", run.stderr);
    let exported = home.run(&["export", &home.last_campaign()]).ended(0).stdout;
    let mut reader = csv::Reader::from_reader(exported.as_bytes());
    let mut people = 0;
    for line in reader.records().map(Result::unwrap) {
        let times = server.deliveries().iter().filter(|one| one.rcpt_to[0] == line[1]).count();
        match &line[2] {
            "sent" => assert_eq!(times, 1, "{}", &line[1]),
            "in_doubt" => assert!(times <= 1, "{}", &line[1]),
            other => panic!("{} is {other}", &line[1]),
        }
        people += 1;
    }
    assert_eq!(people, 60);
}

#[test]
fn whoever_was_not_heard_of_for_too_long_has_lost_the_campaign() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(30))).start();
    let home = at(&server, Home::new().with(Record::Postgres), 400);
    let stopped = start(&home, 400);
    assert!(server.wait_until(Duration::from_secs(60), |server| server.accepted().len() >= 10));
    let signal = |name: &str| {
        let pid = stopped.id().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    let refused = send(&home, 400).ended(75);
    assert!(refused.stderr.contains("is being sent already: process "), "{}", refused.stderr);
    std::thread::sleep(Duration::from_secs(31));
    let other = start(&home, 400);
    let before = server.accepted().len();
    assert!(server.wait_until(Duration::from_secs(60), |server| server.accepted().len() > before + 10));
    signal("-CONT");
    let lost = Run::of(stopped.wait_with_output().unwrap());
    assert!(lost.code != 0 && lost.stderr.contains("another program has taken over"), "{}\n{}", lost.code, lost.stderr);
    let run = Run::of(other.wait_with_output().unwrap());
    assert!([0, 1].contains(&run.code), "{}", run.stderr);
    let mut times = std::collections::BTreeMap::new();
    for one in server.deliveries() {
        *times.entry(one.rcpt_to[0].clone()).or_insert(0) += 1;
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    let status = home.run(&["export", &home.last_campaign()]).ended(0).stdout;
    assert!(status.lines().skip(1).all(|line| line.contains(",sent,") || line.contains(",in_doubt,")), "{status}");
}
