//! What an account may do holds for everything that sends through it with one database, workers and runs alike: connections, and what may
//! go to the people of a domain.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    support::{
        Home, Run, people,
        scripted::{Act, Delivery, Scripted, Stage},
    },
    the_pace_is_kept::fullest,
    workers_send_together::{ended, hand_over, home, server, work},
};

const SECOND: Duration = Duration::from_secs(1);

/// So many people at a slow domain, and as many elsewhere, in turn.
fn slow_and_other(count: usize) -> String {
    let rows = (0..count).map(|nth| format!("Person {nth},p{nth}@slow.example\nOther {nth},p{nth}@list.example\n"));
    std::iter::once("name,email\n".to_owned()).chain(rows).collect()
}

/// What went to the slow domain, in the order in which it began.
fn slow(server: &Scripted) -> Vec<Delivery> {
    let mut slow = server.deliveries();
    slow.retain(|delivery| delivery.rcpt_to.iter().any(|to| to.contains("@slow.example")));
    slow.sort_by_key(|delivery| delivery.at_mail);
    slow
}

/// The most of them that were under way at once over different connections.
fn at_once(all: &[Delivery]) -> usize {
    let under_way = |one: &Delivery| {
        let at_that_moment = all.iter().filter(|other| other.at_mail <= one.at_mail && one.at_mail < other.at_dot);
        at_that_moment.map(|other| other.connection).collect::<std::collections::HashSet<_>>().len()
    };
    all.iter().map(under_way).max().unwrap_or_default()
}

#[test]
fn the_rate_of_a_domain_holds_for_all_workers() {
    let server = server().on(Stage::Mail, Act::Delay(Duration::from_millis(5))).start();
    let home =
        home(&server, 0, "connections = 8\n[account.work.domains.\"slow.example\"]\nrate = [\"20/s\", \"90/min\"]\n");
    home.write("c/people.csv", slow_and_other(200));
    hand_over(&home, 400);
    let mut workers: Vec<_> = (0..4).map(|_| work(&home, &[])).collect();
    assert!(server.wait_until(Duration::from_secs(40), |server| slow(server).len() > 30));
    // What one had of it when it was killed is given to the others once its window is over, and not before.
    workers[0].kill().unwrap();
    workers[0].wait().unwrap();
    let start = Instant::now();
    assert!(server.wait_until(Duration::from_secs(100), |server| slow(server).len() > 110), "{}", slow(&server).len());
    assert!(start.elapsed() < Duration::from_secs(100), "{:?}", start.elapsed());
    for worker in &workers[1..] {
        crate::workers_send_together::signal(worker, "TERM");
    }
    for worker in workers.drain(1..) {
        ended(worker).ended(0);
    }
    let slow = slow(&server);
    let times: Vec<_> = slow.iter().map(|delivery| delivery.at_mail).collect();
    assert!(fullest(&times, SECOND) <= 20, "{}", fullest(&times, SECOND));
    assert!(fullest(&times, Duration::from_secs(60)) <= 90, "{}", fullest(&times, Duration::from_secs(60)));
    let others: Vec<_> = server.accepted().into_iter().filter(|one| one.rcpt_to[0].contains("@list.example")).collect();
    assert!(others.len() >= 190, "{}: the others do not wait", others.len());
    assert!(others.iter().filter(|one| one.at_mail < times[70]).count() > 150, "nor did they");
}

#[test]
fn the_connections_to_a_domain_are_those_of_all_workers() {
    let server = server().on(Stage::Rcpt, Act::Delay(Duration::from_millis(15))).start();
    let lines = "connections = 9\n[account.work.domains.\"slow.example\"]\nconnections = 2\n";
    let home = home(&server, 0, lines);
    home.write("c/people.csv", slow_and_other(200));
    hand_over(&home, 400);
    let workers: Vec<_> = (0..3).map(|_| work(&home, &["--until-done"])).collect();
    for worker in workers {
        ended(worker).ended(0);
    }
    assert_eq!(server.accepted().len(), 400);
    assert_eq!(at_once(&slow(&server)), 2);
    assert!(server.max_parallel() > 2, "{}", server.max_parallel());
}

#[test]
fn what_waits_for_a_connection_has_no_right_to_begin_that_others_wait_for() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(50))).start();
    let home = home(&server, 24, "connections = 3\nrate = \"3/s\"");
    let lines = "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[send]\nspread = true\n";
    home.write("c/campaign.toml", lines);
    hand_over(&home, 24);
    let start = Instant::now();
    let workers: Vec<_> = (0..3).map(|_| work(&home, &["--until-done"])).collect();
    for worker in workers {
        ended(worker).ended(0);
    }
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    let mut times: Vec<_> = server.accepted().iter().map(|delivery| delivery.at_mail).collect();
    times.sort();
    assert!((times.len(), fullest(&times, SECOND) <= 3) == (24, true), "{}", fullest(&times, SECOND));
}

/// A second campaign, which is sent by itself.
fn another(home: &Home, count: usize, lines: &str) -> std::process::Child {
    home.write("d/t.txt.hbs", "+++\nfrom = \"updates@police.example\"\nsubject = \"Another\"\n+++\nDear {{name}}\n");
    home.write("d/people.csv", people(count));
    home.write("d/campaign.toml", format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n{lines}"));
    let confirm = count.to_string();
    let mut command = home.command(&["send", "d", "--account", "work", "--confirm", &confirm, "--again"]);
    command.env("P", "secret").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_run_has_its_share_of_the_connections_beside_workers() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(30))).start();
    let home = home(&server, 500, "connections = 3");
    hand_over(&home, 500);
    let workers: Vec<_> = (0..2).map(|_| work(&home, &["--until-done"])).collect();
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 30));
    // They have all of them; it gets one, even if it wants no more.
    for lines in ["", "[send]\nconnections = 1\n"] {
        let before = server.accepted().len();
        Run::of(another(&home, 20, lines).wait_with_output().unwrap()).ended(0);
        let between = server.accepted().len() - before;
        assert!((30..200).contains(&between), "{between}: the workers went on meanwhile");
    }
    for worker in workers {
        ended(worker).ended(0);
    }
    assert!(server.max_parallel() <= 3, "{}", server.max_parallel());
}

#[test]
fn a_worker_leaves_the_only_connection_to_whoever_waits_for_it() {
    is_left_to_others("connections = 1");
}

#[test]
fn a_worker_leaves_the_only_connection_to_a_domain_to_whoever_waits_for_it() {
    is_left_to_others("connections = 4\n[account.work.domains.\"list.example\"]\nconnections = 1");
}

fn is_left_to_others(lines: &str) {
    let server = server().on(Stage::Rcpt, Act::Delay(Duration::from_millis(100))).start();
    let home = home(&server, 900, lines);
    hand_over(&home, 900);
    let worker = work(&home, &[]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 3));
    let run = Run::of(another(&home, 20, "").wait_with_output().unwrap()).ended(0);
    assert!(run.stdout.contains("20 of 20 messages sent"), "{}", run.stdout);
    let sent = server.accepted().len();
    assert!(sent < 900, "before the worker was done");
    // And has it again.
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > sent + 3));
    crate::workers_send_together::signal(&worker, "TERM");
    ended(worker).ended(0);
    assert_eq!(at_once(&server.deliveries()), 1);
}

/// Three minutes: only where `APIECE_LONG` is set.
#[test]
fn a_slot_goes_back_while_somebody_waits_for_the_connection() {
    if std::env::var_os("APIECE_LONG").is_none() {
        eprintln!("skipped: APIECE_LONG is not set");
        return;
    }
    let server = server().start();
    // Half a minute between two: each closes its connection meanwhile, which the other can have.
    let home = home(&server, 4, "connections = 1\nrate = \"2/min\"");
    let start = Instant::now();
    let first = another(&home, 3, "[send]\nspread = true\n");
    home.write("c/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[send]\nspread = true\n");
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "4"]);
    Run::of(command.env("P", "secret").output().unwrap()).ended(0);
    Run::of(first.wait_with_output().unwrap()).ended(0);
    assert_eq!(server.accepted().len(), 7);
    assert!(start.elapsed() < Duration::from_secs(240), "{:?}", start.elapsed());
}
