//! The record outlives the run: whatever ends it, the same command goes on, nobody gets a message twice, nobody is
//! forgotten, and who may have got it is said.

use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::{
    support::{
        Home, OUTBOX, Record, Run, account, people,
        scripted::{Act, Builder, Scripted, Stage, Tls},
        skip,
    },
    what_a_server_may_do::each,
};

fn server() -> Builder {
    Scripted::builder().tls(Tls::Implicit).auth("u", "secret")
}

fn home(server: &Scripted, count: usize, connections: usize) -> Home {
    home_with(Record::File, server, count, connections)
}

fn home_with(record: Record, server: &Scripted, count: usize, connections: usize) -> Home {
    let home = Home::new().with(record);
    home.campaign(&people(count));
    let more = format!("username = \"u\"\npassword_env = \"P\"\nconnections = {connections}");
    home.config(&account(server.port(), server.ca_file(), "implicit", &more));
    home
}

fn start(home: &Home, arguments: &[&str]) -> Child {
    let all = [&["send", "c", "--account", "work"], arguments].concat();
    let mut command = home.command(&all);
    command.env("P", "secret").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(home: &Home, arguments: &[&str]) -> Run {
    Run::of(start(home, arguments).wait_with_output().unwrap())
}

/// How often the server had all of a message for each row, whether or not it could still say so.
fn accepted(server: &Scripted) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    for one in server.deliveries() {
        let row = one.rcpt_to[0].trim_start_matches('p').split('@').next().unwrap().parse().unwrap();
        *times.entry(row).or_default() += 1;
    }
    times
}

/// The rows with a state, as the record itself says to whoever opens it.
fn rows(home: &Home, state: &str) -> Vec<u64> {
    let record = rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap();
    let mut query = record.prepare("SELECT row FROM outcome WHERE state = ? ORDER BY row").unwrap();
    let rows = query.query_map([state], |row| row.get::<_, i64>(0)).unwrap();
    rows.map(|row| u64::try_from(row.unwrap()).unwrap()).collect()
}

/// Killed again and again without a warning, and run again until it is done.
#[allow(clippy::print_stdout, reason = "with --nocapture it is seen how often it was killed")]
fn killed_at_random(record: Record, count: usize, connections: usize, kills: usize, seed: u64) -> usize {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(4 * connections as u64))).start();
    let home = home_with(record, &server, count, connections);
    let confirm = count.to_string();
    let mut random = seed;
    let mut killed = 0;
    loop {
        let mut child = start(&home, &["--confirm", &confirm]);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // In the middle of sending, and now and then before it begins.
        let before = server.accepted().len();
        let is_early = killed % 5 == 4;
        let patience = Duration::from_millis(if killed < kills { 5 + (random >> 33) % 150 } else { 120_000 });
        let mut begun = is_early.then(Instant::now);
        while child.try_wait().unwrap().is_none() && begun.is_none_or(|begun| begun.elapsed() < patience) {
            std::thread::sleep(Duration::from_millis(1));
            if begun.is_none() && server.accepted().len() > before {
                begun = Some(Instant::now());
            }
        }
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            continue;
        }
        let run = Run::of(child.wait_with_output().unwrap());
        assert!([0, 1, 77].contains(&run.code), "{}\n{}{}", run.code, run.stdout, run.stderr);
        break;
    }
    let in_doubt = agree(&home, &server, count);
    assert!(in_doubt <= killed * connections, "{in_doubt}");
    println!("{count} messages over {connections} connections, {record:?}: killed {killed} times, {in_doubt} in doubt");
    killed
}

/// What is exported and what the server has are the same, row by row; gives how many are in doubt.
pub(crate) fn agree(home: &Home, server: &Scripted, count: usize) -> usize {
    let accepted = accepted(server);
    let exported = home.run(&["export", &home.last_campaign()]).ended(0).stdout;
    let mut reader = csv::Reader::from_reader(exported.as_bytes());
    let (mut in_doubt, mut people) = (0, 0);
    for line in reader.records() {
        let line = line.unwrap();
        let row: u64 = line[0].parse().unwrap();
        assert_eq!(&line[1], format!("p{row}@list.example"));
        let times = accepted.get(&row).copied().unwrap_or_default();
        match &line[2] {
            "sent" => assert_eq!(times, 1, "row {row} is said to be sent"),
            "in_doubt" => assert!(times <= 1, "row {row} is in doubt, and was sent {times} times"),
            other => panic!("row {row} is {other}"),
        }
        in_doubt += usize::from(&line[2] == "in_doubt");
        people += 1;
    }
    assert_eq!(people, count, "nobody is forgotten");
    in_doubt
}

/// Steps of a run at which it can be made to die, as if the power had gone (`src/fault.rs`).
pub(crate) const STEPS: &[&str] = &[
    "freezing",
    "frozen",
    "taking",
    "confirmed",
    "mail",
    "rcpt",
    "data",
    "mark-unwritten",
    "mark-written",
    "begun",
    "answered",
    "outcome-unwritten",
    "outcome-written",
    "told",
];

#[test]
fn killed_at_any_step_it_goes_on_where_it_was() {
    const PEOPLE: usize = 24;
    let cases: Vec<(Record, &str, usize, usize)> = STEPS
        .iter()
        .flat_map(|step| [(*step, 1, 1), (*step, 5, 1), (*step, 1, 8), (*step, 3, 8)])
        .filter(|(step, time, _)| *time == 1 || !["freezing", "frozen", "taking", "confirmed"].contains(step))
        .flat_map(|(step, time, connections)| Record::ALL.iter().map(move |record| (*record, step, time, connections)))
        .collect();
    let name = |(record, step, time, connections): &(Record, &str, usize, usize)| {
        format!("{record:?}, {step}:{time} over {connections}")
    };
    each(&cases, name, |(record, step, time, connections)| {
        let server = server().start();
        let home = home_with(*record, &server, PEOPLE, *connections);
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "24"]);
        command.env("P", "secret").env("APIECE_FAULT", format!("{step}:{time}"));
        let run = command.output().unwrap();
        assert_eq!(run.status.code(), None, "it was to be killed at {step}: {}", String::from_utf8_lossy(&run.stderr));
        let run = send(&home, &["--confirm", "24"]);
        assert!([0, 1, 77].contains(&run.code), "{}\n{}{}", run.code, run.stdout, run.stderr);
        let in_doubt = agree(&home, &server, PEOPLE);
        assert!(in_doubt <= *connections, "{in_doubt}");
        // On one connection it is known which steps leave a doubt; up to the body the mark may be on its way, and it goes together
        // with the end of the message before.
        let doubts = match *step {
            "freezing" | "frozen" | "taking" | "confirmed" => 0..=0,
            "mark-written" | "begun" | "answered" | "outcome-unwritten" => 1..=1,
            _ => 0..=1,
        };
        assert!(*connections > 1 || doubts.contains(&in_doubt), "{in_doubt}");
    });
}

#[test]
fn killed_while_the_server_thinks_about_it_one_message_is_in_doubt() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(400))).start();
    let home = home(&server, 3, 1);
    let mut child = start(&home, &["--confirm", "3"]);
    assert!(server.wait_until(Duration::from_secs(20), |server| server.deliveries().len() == 2));
    child.kill().unwrap();
    child.wait().unwrap();
    let run = send(&home, &["--confirm", "3"]).ended(1);
    let named = run.stderr.lines().find_map(|line| line.strip_prefix("  in doubt: row 3: <")).unwrap_or_default();
    assert!(named.contains("@police.example>, to 127.0.0.1:") && named.ends_with(" UTC"), "{}", run.stderr);
    assert_eq!((agree(&home, &server, 3), accepted(&server).len()), (1, 3));
    let status = home.run(&["status", &home.last_campaign()]).ended(0).stdout;
    assert!(
        status.contains("in doubt\n  the run ended here\n  <") && status.contains("@police.example>, to "),
        "{status}"
    );
}

#[test]
fn killed_at_any_moment_it_goes_on_where_it_was() {
    let long = std::env::var_os("APIECE_LONG").is_some();
    let (count, kills) = if long { (3000, 60) } else { (400, 10) };
    for (nth, connections) in [1, 8].into_iter().enumerate() {
        for record in Record::ALL {
            assert!(killed_at_random(*record, count, connections, kills, 7 + nth as u64) >= 3);
        }
    }
}

#[test]
fn a_message_whose_answer_was_lost_waits_for_a_person() {
    let server = server().once(Stage::Dot, Act::Drop).start();
    let home = home(&server, 3, 1);
    let run = send(&home, &["--confirm", "3"]).ended(1);
    assert!(run.stdout.contains("In doubt: rows "), "{}", run.stdout);
    let in_doubt = rows(&home, "in_doubt");
    assert_eq!(in_doubt.len(), 1);
    let id = home.last_campaign();
    let status = home.run(&["status", &id[..6]]).ended(0).stdout;
    let about = format!("row {row}, p{row}@list.example: in doubt\n", row = in_doubt[0]);
    assert!(
        status.contains(&about) && status.contains("@police.example>, to ") && status.contains(" UTC\n"),
        "{status}"
    );
    // Nothing is sent on its own.
    let again = send(&home, &["--confirm", "3"]).ended(77).stderr;
    assert!(
        again.contains(
            "2 of 3 recipients got it, and 1 may have got it\n  help: look up who may have got it: apiece status"
        ),
        "{again}"
    );
    assert_eq!(server.accepted().len(), 2);
    let row = in_doubt[0].to_string();
    home.run(&["resolve", &id, "--row", "9", "--sent"]).ended(64);
    home.run(&["resolve", &id, "--row", &row, "--send-again"]).ended(0);
    send(&home, &["--confirm", "3"]).ended(0);
    assert_eq!((server.accepted().len(), accepted(&server).len()), (3, 3));
    let all = home.run(&["status"]).ended(0).stdout;
    assert!(all.starts_with(&id) && all.ends_with("  c  3 sent\n"), "{all}");
}

#[test]
fn what_the_server_refused_is_tried_again_only_when_somebody_says_so() {
    let refuse = Act::reply("550 5.1.1 no such user\r\n");
    let server = server().once(Stage::Rcpt, refuse).start();
    let home = home(&server, 3, 1);
    send(&home, &["--confirm", "3"]).ended(1);
    let failed = rows(&home, "failed");
    assert_eq!(failed.len(), 1);
    send(&home, &["--confirm", "3"]).ended(77);
    let id = home.last_campaign();
    let retried = home.run(&["retry", &id, "--failed"]).ended(0).stdout;
    assert!(retried.contains("550 5.1.1 no such user\n1 message queued"), "{retried}");
    let run = send(&home, &["--confirm", "1"]).ended(0);
    assert!(run.stderr.contains(&format!("Campaign {id} goes on: 2 of 3 sent before.")), "{}", run.stderr);
    assert_eq!(accepted(&server).values().copied().collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn the_same_is_not_sent_again_unless_somebody_says_so() {
    let server = server().start();
    let home = home(&server, 2, 1);
    send(&home, &["--confirm", "2"]).ended(0);
    let again = send(&home, &["--confirm", "2"]).ended(77).stderr;
    assert!(
        again.contains("error: exactly this was sent before: campaign ")
            && again.contains("2 of 2 recipients got it\n"),
        "{again}"
    );
    assert!(again.contains("help: say --again to send it to everybody once more"), "{again}");
    send(&home, &["--confirm", "2", "--again"]).ended(0);
    assert_eq!(accepted(&server).values().copied().collect::<Vec<_>>(), [2, 2]);
    // Another message to a mail program, which may keep one of each Message-ID only.
    let ids: std::collections::BTreeSet<String> = server
        .accepted()
        .iter()
        .map(|one| {
            let text = String::from_utf8_lossy(&one.data).into_owned();
            text.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(home.run(&["status"]).ended(0).stdout.lines().count(), 2);
    // Other words are another campaign; some of its rows now and the others later are one.
    home.write(
        "c/t.txt.hbs",
        "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"x\"\n+++\nDear {{name}},\n",
    );
    send(&home, &["--rows", "3", "--confirm", "1"]).ended(0);
    send(&home, &["--rows", "3", "--confirm", "1"]).ended(0);
    let rest = send(&home, &["--confirm", "2"]).ended(0);
    assert!(rest.stderr.contains("goes on: 1 of 2 sent before."), "{}", rest.stderr);
    assert_eq!(accepted(&server).values().copied().collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn two_runs_at_once_are_one() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(20))).start();
    let home = home(&server, 50, 2);
    let first = start(&home, &["--confirm", "50"]);
    assert!(server.wait_until(Duration::from_secs(20), |server| !server.accepted().is_empty()));
    let second = send(&home, &["--confirm", "50"]).ended(75).stderr;
    assert!(second.contains("is being sent already: process ") && second.contains(" since 20"), "{second}");
    Run::of(first.wait_with_output().unwrap()).ended(0);
    assert!(accepted(&server).len() == 50 && accepted(&server).values().all(|times| *times == 1));
}

#[test]
fn without_a_record_nothing_is_sent() {
    let server = server().start();
    let home = home(&server, 2, 1);
    home.write("list.csv", "name,email\n".repeat(500));
    for (outbox, said) in [
        ("list.csv", "/list.csv\" is no outbox of apiece; it was left as it is"),
        ("c", "\"c\" is no outbox of apiece; it was left as it is"),
        ("/proc/outbox.sqlite", "the outbox \"/proc/outbox.sqlite\" cannot be opened"),
    ] {
        let run = send(&home, &["--confirm", "2", "--outbox", outbox]).ended(73);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    assert_eq!(server.deliveries().len(), 0);
    assert_eq!(std::fs::read_to_string(home.path().join("list.csv")).unwrap(), "name,email\n".repeat(500));
}

#[test]
fn a_file_that_changed_does_not_make_everybody_get_it_twice() {
    let server = server().start();
    let home = home(&server, 3, 1);
    let front = "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"x\"\nattachments = \"a.txt\"\n+++\nDear {{name}},\n";
    home.write("c/t.txt.hbs", front);
    home.write("c/a.txt", "one");
    send(&home, &["--rows", "2", "--confirm", "1"]).ended(0);
    home.write("c/a.txt", "two");
    let said = send(&home, &["--confirm", "3"]).ended(77).stderr;
    assert!(
        said.contains("had the same template and list, and 1 recipient got it; but the messages are others now"),
        "{said}"
    );
    assert!(said.contains("help: an attached file has changed"), "{said}");
    assert_eq!(server.accepted().len(), 1);
    home.write("c/a.txt", "one");
    send(&home, &["--confirm", "3"]).ended(0);
    assert_eq!(accepted(&server).values().copied().collect::<Vec<_>>(), [1, 1, 1]);
    home.write("c/a.txt", "two");
    send(&home, &["--confirm", "3", "--again"]).ended(0);
}

#[test]
fn what_the_server_said_to_the_sender_is_in_the_record() {
    let refused = Act::reply("550 5.7.60 Not allowed to send as this sender\r\n");
    let server = server().on(Stage::Mail, refused).start();
    let home = home(&server, 2, 1);
    send(&home, &["--confirm", "2"]).ended(77);
    let exported = home.run(&["export", &home.last_campaign()]).ended(0).stdout;
    let tried: Vec<&str> = exported.lines().filter(|line| line.contains(",queued,")).collect();
    assert_eq!(tried.len(), 2, "{exported}");
    assert!(tried[0].contains(",550,5.7.60,") && !tried[1].contains("550"), "{exported}");
}

#[test]
fn a_rehearsal_in_the_sandbox_is_not_in_the_record() {
    let server = server().start();
    let home = home(&server, 2, 1);
    home.run(&["send", "c", "--sandbox", "--confirm", "2", "--outbox", "o.sqlite"]).ended(0);
    send(&home, &["--confirm", "2", "--outbox", "o.sqlite"]).ended(0);
    assert_eq!(server.accepted().len(), 2);
}

/// No file may become longer than so much, as if the disk were full there.
#[cfg(unix)]
#[test]
fn where_it_cannot_be_written_down_nothing_is_sent() {
    let server = server().start();
    let home = home(&server, 400, 4);
    let mut limited = std::process::Command::new("sh");
    let program = home.command(&["send", "c", "--account", "work", "--confirm", "400"]);
    limited.args(["-c", "trap '' XFSZ; ulimit -f 500; exec \"$0\" \"$@\""]).arg(program.get_program());
    limited.args(program.get_args()).current_dir(home.path()).env("P", "secret").stdin(Stdio::null());
    limited.env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME").env("HOME", home.path());
    let run = Run::of(limited.output().unwrap()).ended(74);
    assert!(
        run.stdout.contains("The run ended early: nothing is sent that cannot be written down: "),
        "{}",
        run.stdout
    );
    let before = server.accepted().len();
    assert!((1..400).contains(&before), "{before}");
    let run = send(&home, &["--confirm", "400"]);
    let in_doubt = rows(&home, "in_doubt");
    assert!([0, 1].contains(&run.code) && in_doubt.len() <= 4, "{}\n{}", run.code, run.stdout);
    let accepted = accepted(&server);
    assert!(accepted.values().all(|times| *times == 1));
    assert!((2..402).all(|row| accepted.contains_key(&row) || in_doubt.contains(&row)));
}

/// What the power could take away is asked of the operating system: before the body of a message is written, its mark, with its
/// Message-ID, was written to the record and flushed to the disk.
#[cfg(unix)]
#[test]
fn the_mark_is_on_the_disk_before_the_body_is_on_the_wire() {
    const PEOPLE: usize = 5;
    let server = Scripted::builder().start();
    let home = Home::new();
    home.campaign(&people(PEOPLE));
    home.config(&account(server.port(), server.ca_file(), "none", "connections = 1"));
    let log = home.path().join("strace");
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-s", "5000", "-e", "trace=fdatasync,fsync,pwrite64,write,sendto,writev", "-o"]).arg(&log);
    command.arg(env!("CARGO_BIN_EXE_apiece")).args(["send", "c", "--account", "work", "--confirm", "5"]);
    let output = command.env("HOME", home.path()).current_dir(home.path()).stdin(Stdio::null()).output();
    let calls = std::fs::read_to_string(&log).unwrap_or_default();
    if output.is_err() || !calls.contains("+++ exited with") {
        return skip("strace is not there, or cannot trace here");
    }
    assert_eq!(server.accepted().len(), PEOPLE);
    let (mut bodies, mut written, mut flushed) = (0, String::new(), String::new());
    for call in calls.lines() {
        if call.contains("pwrite64(") {
            written.push_str(call);
        } else if call.contains("sync") && call.ends_with("= 0") {
            flushed.push_str(&std::mem::take(&mut written));
        } else if let Some((_, rest)) = call.split_once("\\r\\nMessage-ID: ") {
            let id = rest.split("\\r\\n").next().unwrap();
            assert!(id.ends_with("@police.example>") && flushed.contains(id), "{id}");
            bodies += 1;
        }
    }
    assert_eq!(bodies, PEOPLE, "{calls}");
}
