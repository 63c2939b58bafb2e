//! What a server does not take now is tried again, and a server that wants to be asked for less is asked for less.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    Home, Run, account, people,
    scripted::{Act, Scripted, Stage},
};

const GREYLISTED: &str = "450 4.2.0 Greylisted, see you later\r\n";

fn home(server: &Scripted, count: usize, more: &str) -> Home {
    let home = Home::new();
    home.campaign(&people(count));
    home.config(&account(server.port(), server.ca_file(), "none", more));
    home
}

fn send(home: &Home, count: usize, more: &[&str]) -> Run {
    let confirm = count.to_string();
    let arguments = ["send", "c", "--account", "work", "--format", "json", "--confirm", &confirm];
    home.run(&[&arguments[..], more].concat())
}

fn events(run: &Run, name: &str) -> Vec<Value> {
    let all = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

/// When each recipient was asked about.
fn asked(server: &Scripted) -> BTreeMap<String, Vec<Instant>> {
    let mut asked: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    for line in server.lines().into_iter().filter(|line| line.text.starts_with("RCPT")) {
        asked.entry(line.text).or_default().push(line.at);
    }
    asked
}

/// Puts off each recipient so often.
fn greylisting(times: usize) -> Scripted {
    let asked = std::sync::Mutex::new(BTreeMap::<String, usize>::new());
    let server = Scripted::builder().on_when(move |moment| {
        if moment.stage != Stage::Rcpt {
            return Act::Ok;
        }
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(moment.line.to_owned()).or_default();
        *count += 1;
        if *count <= times { Act::reply(GREYLISTED) } else { Act::Ok }
    });
    server.start()
}

#[test]
fn greylisting_is_waited_for_and_each_pause_is_longer() {
    let server = greylisting(3);
    let home = home(&server, 3, "connections = 2");
    let run = send(&home, 3, &["--retry-after", "300ms"]).ended(0);
    assert_eq!((events(&run, "put_off").len(), events(&run, "finished").len()), (9, 3), "{}", run.stdout);
    assert_eq!(server.accepted().len(), 3);
    for times in asked(&server).values() {
        let pauses: Vec<u128> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        // A quarter more or less, and some time to wake up
        for (pause, about) in pauses.iter().zip([300, 600, 1200]) {
            assert!((about * 3 / 4..about * 5 / 4 + 1200).contains(pause), "{pauses:?}");
        }
        assert_eq!(pauses.len(), 3);
    }
    let id = home.last_campaign();
    home.run(&["verify", &id]).ended(0);
    assert!(home.run(&["status", &id]).ended(0).stdout.contains("3 sent\n"));
}

#[test]
fn without_waiting_it_is_left_to_a_later_run_and_not_tried_before_it_is_due() {
    let server = greylisting(1);
    let home = home(&server, 2, "");
    let more = ["--retry-after", "2s", "--no-wait"];
    let run = send(&home, 2, &more).ended(75);
    assert_eq!(events(&run, "finished")[0]["outcome"], "deferred");
    send(&home, 2, &more).ended(75);
    assert!(asked(&server).values().all(|times| times.len() == 1), "it is not due yet");
    std::thread::sleep(Duration::from_millis(2600));
    send(&home, 2, &more).ended(0);
    assert_eq!(server.accepted().len(), 2);
}

#[test]
fn a_run_that_is_killed_while_it_waits_knows_when_it_is_due() {
    let server = greylisting(1);
    let home = home(&server, 2, "");
    let mut command = home.command(&["send", "c", "--account", "work", "--retry-after", "3s", "--confirm", "2"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(server.wait_until(Duration::from_secs(20), |server| {
        server.lines().iter().filter(|line| line.text.starts_with("RCPT")).count() == 2
    }));
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    let run = send(&home, 2, &[]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let id = home.last_campaign();
    assert!(home.run(&["export", &id]).ended(0).stdout.matches(",sent,").count() == 2);
    for times in asked(&server).values() {
        assert!(times.len() == 2 && times[1] - times[0] >= Duration::from_millis(2200), "{times:?}");
    }
}

#[test]
fn it_is_given_up_after_so_many_tries_or_so_long() {
    for (more, tries) in [
        (&["--retry-after", "20ms", "--tries", "3"][..], 3),
        (&["--retry-after", "400ms", "--give-up-after", "100ms"], 1),
    ] {
        let server = greylisting(usize::MAX);
        let home = home(&server, 1, "");
        let run = send(&home, 1, more).ended(1);
        let finished = &events(&run, "finished")[0];
        assert_eq!((&finished["outcome"], &finished["code"]), (&"failed".into(), &450.into()));
        assert!(finished["why"].as_str().unwrap().contains("tried often enough, or long enough"), "{finished}");
        assert_eq!(asked(&server).values().map(Vec::len).sum::<usize>(), tries);
        home.run(&["retry", &home.last_campaign(), "--failed"]).ended(0);
        send(&home, 1, more).ended(1);
        assert_eq!(asked(&server).values().map(Vec::len).sum::<usize>(), 2 * tries, "patience begins anew");
    }
}

#[test]
fn the_same_refusal_again_and_again_ends_the_run() {
    let refused = |moment: &crate::support::scripted::Moment<'_>| moment.stage == Stage::Rcpt;
    let server = Scripted::builder().on_when(move |moment| {
        let address = moment.line.trim_start_matches("RCPT TO:");
        if refused(moment) { Act::reply(format!("554 5.7.1 {address}: you are blocked\r\n")) } else { Act::Ok }
    });
    let server = server.start();
    let home = home(&server, 30, "");
    let run = send(&home, 30, &["--pause-after", "4"]).ended(75);
    let summary = &events(&run, "summary")[0];
    assert!(
        summary["stopped"].as_str().unwrap().contains("refused 4 messages in a row in the same words"),
        "{summary}"
    );
    assert!((4..=5).contains(&summary["failed"].as_u64().unwrap()), "{summary}");
    // Other words each time are other people's mistakes.
    let server = Scripted::builder().on_when(|moment| match (moment.stage, moment.message) {
        (Stage::Rcpt, Some(message)) => Act::reply(format!("550 5.1.1 no mailbox {message}\r\n")),
        _ => Act::Ok,
    });
    let server = server.start();
    let home = self::home(&server, 12, "");
    let run = send(&home, 12, &["--pause-after", "4"]).ended(1);
    assert_eq!(events(&run, "summary")[0]["failed"], 12);
}

#[test]
fn a_server_that_wants_less_is_left_alone_for_a_while() {
    let server = Scripted::builder()
        .on_when(|moment| match (moment.stage, moment.message) {
            (Stage::Dot, Some(2)) => Act::reply("454 Throttling failure: Maximum sending rate exceeded.\r\n"),
            _ => Act::Ok,
        })
        .start();
    let home = home(&server, 6, "");
    let run = send(&home, 6, &["--retry-after", "6s"]).ended(0);
    let slowed = events(&run, "slowed_down");
    assert_eq!((slowed.len(), &slowed[0]["seconds"]), (1, &0.5.into()), "{}", run.stdout);
    let dots: Vec<_> = server.deliveries().iter().map(|one| one.at_mail).collect();
    // What went with the message that was refused could not be held back.
    assert!((2..dots.len() - 1).any(|nth| dots[nth + 1] - dots[nth] >= Duration::from_millis(450)));
    assert_eq!((server.accepted().len(), server.deliveries().len()), (6, 7));
    assert_eq!(events(&run, "finished").len(), 6);
}

#[test]
fn no_second_connection_before_the_first_message_is_taken() {
    let server = Scripted::builder().once(Stage::Dot, Act::Delay(Duration::from_millis(2000))).start();
    let home = home(&server, 12, "connections = 4");
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "12"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(server.wait_until(Duration::from_secs(20), |server| server.deliveries().len() == 1));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.connections(), 1);
    assert!(child.wait().unwrap().success());
    assert!(server.connections() > 1);
}

#[test]
fn a_connection_takes_as_many_messages_as_the_account_says() {
    let server = Scripted::builder().start();
    let home = home(&server, 10, "messages_per_connection = 3");
    send(&home, 10, &[]).ended(0);
    let mut messages = BTreeMap::<usize, usize>::new();
    server.accepted().iter().for_each(|one| *messages.entry(one.connection).or_default() += 1);
    assert_eq!(messages.into_values().collect::<Vec<_>>(), [3, 3, 3, 1]);
}

#[test]
fn fewer_connections_where_the_server_closes_them() {
    let closed = AtomicUsize::new(0);
    let server = Scripted::builder().on_when(move |moment| match (moment.stage, moment.message) {
        (Stage::Dot, _) => Act::Delay(Duration::from_millis(30)),
        (Stage::Mail, Some(40..)) if closed.fetch_add(1, Ordering::SeqCst) < 1 => {
            Act::reply_then_drop("421 4.3.2 Too many connections\r\n")
        }
        _ => Act::Ok,
    });
    let server = server.start();
    let home = home(&server, 160, "connections = 8");
    let run = send(&home, 160, &["--retry-after", "600ms"]).ended(0);
    let slowed = events(&run, "slowed_down");
    assert_eq!((slowed.len(), &slowed[0]["connections"]), (1, &4.into()), "{}", run.stdout);
    let late: std::collections::BTreeSet<usize> = server.accepted().iter().skip(80).map(|one| one.connection).collect();
    assert!(late.len() <= 5, "{late:?}");
    assert_eq!(server.accepted().len(), 160);
}

#[cfg(unix)]
#[test]
fn before_the_first_message_leaves_there_is_a_moment_to_stop_it() {
    let server = Scripted::builder().start();
    let home = home(&server, 3, "");
    let mut command = home.command(&["send", "c", "--account", "work", "--hold", "30s", "--confirm", "3"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let run = Run::of(child.wait_with_output().unwrap()).ended(130);
    assert!(run.stderr.contains("the first message leaves in 30 s"), "{}", run.stderr);
    assert!(run.stdout.contains("0 of 3 messages sent"), "{}", run.stdout);
    assert_eq!(server.connections(), 0, "nobody was even called");
    let start = Instant::now();
    send(&home, 3, &["--hold", "1s"]).ended(0);
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.accepted().len(), 3);
}

#[test]
fn evenly_means_never_two_close_together() {
    let server = Scripted::builder().start();
    let home = home(&server, 8, "connections = 4");
    send(&home, 8, &["--rate", "5/s", "--spread"]).ended(0);
    let mut times: Vec<Instant> = server.deliveries().iter().map(|one| one.at_mail).collect();
    times.sort_unstable();
    // On its way a command may be a little later than the next one.
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_millis(100)), "{times:?}");
    assert!(times[7] - times[0] < Duration::from_millis(3000), "{:?}", times[7] - times[0]);
}

#[test]
fn without_waiting_a_server_that_wants_a_pause_ends_the_run() {
    for refusal in ["421 4.3.2 Too many connections\r\n", "450 4.7.1 Slow down\r\n"] {
        let seen = AtomicUsize::new(0);
        let server = Scripted::builder().on_when(move |moment| {
            if moment.stage == Stage::Mail && seen.fetch_add(1, Ordering::SeqCst) == 1 {
                if refusal.starts_with("421") { Act::reply_then_drop(refusal) } else { Act::reply(refusal) }
            } else {
                Act::Ok
            }
        });
        let server = server.start();
        let home = home(&server, 4, "connections = 1");
        let start = Instant::now();
        let run = home.run(&["send", "c", "--account", "work", "--confirm", "4", "--no-wait"]).ended(75);
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        assert_eq!(server.accepted().len(), 1);
        let said = refusal.trim_end();
        assert!(run.stdout.contains("1 of 4 messages sent") && run.stdout.contains(said), "{}", run.stdout);
        // What is left is sent by the next run.
        let id = home.last_campaign();
        home.run(&["send", &id, "--account", "work", "--confirm", "4", "--no-wait"]);
        assert!(server.accepted().len() >= 3, "{}", server.accepted().len());
    }
}
