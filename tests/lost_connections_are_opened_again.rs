//! Connections are used side by side and each for many messages; one that is lost is opened again, and a server
//! that is gone ends the run.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    support::{
        account,
        scripted::{Act, Scripted, Stage, Tls},
    },
    what_a_server_may_do::{LOGIN, PASSWORD, each, send},
};

fn relay(server: &Scripted, connections: usize) -> String {
    account(server.port(), server.ca_file(), "none", &format!("timeout = \"2s\"\nconnections = {connections}\n"))
}

fn messages_by_connection(server: &Scripted) -> BTreeMap<usize, usize> {
    let mut messages = BTreeMap::new();
    for delivery in server.accepted() {
        *messages.entry(delivery.connection).or_default() += 1;
    }
    messages
}

#[test]
fn as_many_connections_as_the_account_says_work_side_by_side_and_each_is_used_again() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(50))).start();
    send(&server, 18, &relay(&server, 3), &[]).ended(0);
    assert_eq!((server.connections(), server.max_parallel()), (3, 3));
    let messages = messages_by_connection(&server);
    assert!(messages.len() == 3 && messages.values().all(|count| *count >= 4), "{messages:?}");
    let mut times: Vec<_> = server.accepted().iter().map(|delivery| (delivery.at_mail, delivery.at_dot)).collect();
    times.sort();
    assert!(times.windows(2).any(|pair| pair[1].0 < pair[0].1), "no two were under way at the same time");
}

#[test]
fn the_flag_for_connections_only_lowers_what_the_account_says() {
    for (flag, most) in [("1", 1), ("2", 2), ("8", 3)] {
        let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(20))).start();
        send(&server, 12, &relay(&server, 3), &["--connections", flag]).ended(0);
        assert_eq!((server.connections(), server.max_parallel()), (most, most));
    }
}

#[test]
fn there_are_never_more_connections_than_messages() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(20))).start();
    send(&server, 2, &relay(&server, 8), &[]).ended(0);
    assert!(server.connections() <= 2);
}

#[test]
fn all_connections_may_be_lost_at_once() {
    for connections in [3, 8] {
        // As when a server is restarted: what they all have begun is cut off at one moment.
        let under_way = AtomicUsize::new(0);
        let server = Scripted::builder().on_when(move |moment| match moment.stage {
            // The first message is taken, so that there are others.
            Stage::Rcpt if moment.connection < connections && moment.message > Some(0) => {
                under_way.fetch_add(1, Ordering::Relaxed);
                let start = Instant::now();
                while under_way.load(Ordering::Relaxed) < connections && start.elapsed() < Duration::from_secs(1) {
                    thread::sleep(Duration::from_millis(1));
                }
                Act::Drop
            }
            _ => Act::Ok,
        });
        let server = server.start();
        let told = send(&server, 24, &relay(&server, connections), &[]).ended(0);
        assert_eq!(told.all("connection_lost").len(), connections);
    }
}

#[test]
fn a_server_that_takes_one_message_per_connection_gets_them_all() {
    let server = Scripted::builder().on(Stage::Dot, Act::reply_then_drop("250 2.0.0 Ok\r\n")).start();
    send(&server, 9, &relay(&server, 1), &[]).ended(0);
    assert_eq!(server.connections(), 9);
}

#[test]
fn a_server_that_lets_only_one_connection_in_gets_them_all() {
    let server = Scripted::builder().on_when(|moment| match moment.stage {
        Stage::Connect if moment.connection > 0 => Act::reply_then_drop("421 4.7.0 Too many connections\r\n"),
        Stage::Dot => Act::Delay(Duration::from_millis(30)),
        _ => Act::Ok,
    });
    let server = server.start();
    let start = Instant::now();
    send(&server, 12, &relay(&server, 3), &[]).ended(0);
    // Everybody has theirs then; there is nothing that another connection would be good for.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let start = Mutex::new(None);
    let server = Scripted::builder().on_when(move |moment| {
        let mut start = start.lock().expect("nobody panicked");
        match (moment.stage, *start) {
            (Stage::Rcpt, None) => {
                *start = Some(Instant::now());
                Act::Drop
            }
            (Stage::Connect, Some(away)) if away.elapsed() < Duration::from_millis(1500) => Act::Drop,
            _ => Act::Ok,
        }
    });
    let server = server.start();
    send(&server, 3, &relay(&server, 1), &[]).ended(0);
}

#[test]
fn a_server_that_is_gone_ends_the_run_with_the_rest_unsent() {
    each(
        &[1_usize, 3],
        |connections| format!("{connections} connections"),
        |connections| {
            let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(50))).start();
            let (account, start) = (relay(&server, *connections), Instant::now());
            let told = thread::scope(|scope| {
                scope.spawn(|| {
                    assert!(server.wait_until(Duration::from_secs(20), |server| server.accepted().len() >= 4));
                    server.stop();
                });
                send(&server, 500, &account, &[]).ended(69)
            });
            assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
            assert!(told.count("sent") >= 4 && told.count("queued") > 450, "{}", told.run.stdout);
            assert!(told.count("in_doubt") <= *connections as u64, "{}", told.run.stdout);
            let expected = format!("there is no connection to localhost:{}: ", server.port());
            assert!(told.stopped().starts_with(&expected), "{}", told.stopped());
        },
    );
}

#[test]
fn a_server_that_drops_everything_gets_no_more_than_a_few() {
    for stage in [Stage::Rcpt, Stage::Dot] {
        let server = Scripted::builder().on(stage, Act::Drop).start();
        let told = send(&server, 50, &relay(&server, 1), &[]).ended(69);
        assert!(told.count("queued") >= 40 && told.count("sent") == 0, "{}", told.run.stdout);
        let why = if stage == Stage::Dot {
            "6 connections were lost one after the other"
        } else {
            "no connection survived 3 messages in a row"
        };
        assert!(told.stopped().contains(why), "{}", told.stopped());
    }
}

#[test]
fn a_login_that_is_refused_later_is_not_tried_again() {
    for (connections, most) in [(1, 1), (4, 3)] {
        let server =
            Scripted::builder().tls(Tls::Implicit).auth("ann", PASSWORD).on_when(|moment| match moment.stage {
                Stage::Auth if moment.connection > 0 => Act::reply("535 5.7.8 Password expired\r\n"),
                Stage::Dot if moment.message == Some(1) => Act::reply_then_drop("250 2.0.0 Ok\r\n"),
                Stage::Dot => Act::Delay(Duration::from_millis(20)),
                _ => Act::Ok,
            });
        let server = server.start();
        let more = format!("{LOGIN}timeout = \"2s\"\nconnections = {connections}\n");
        let start = Instant::now();
        let told = send(&server, 40, &account(server.port(), server.ca_file(), "implicit", &more), &[]).ended(77);
        assert_eq!(told.stopped(), "the server refused the login: 535 5.7.8 Password expired");
        let refused = server.lines().iter().filter(|line| line.text.starts_with("AUTH")).count() - 1;
        assert!((1..=most).contains(&refused), "{refused} more logins were tried: that locks an account");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
}

#[test]
fn a_sender_that_is_refused_later_ends_the_run_and_what_is_under_way_is_finished() {
    let server = Scripted::builder().on_when(|moment| match (moment.stage, moment.message) {
        (Stage::Mail, Some(number)) if number >= 6 => Act::reply("550 5.7.1 Your daily quota is used up\r\n"),
        (Stage::Dot, _) => Act::Delay(Duration::from_millis(100)),
        _ => Act::Ok,
    });
    let server = server.start();
    let told = send(&server, 40, &relay(&server, 3), &[]).ended(77);
    assert_eq!(told.count("sent"), 6, "{}", told.run.stdout);
    assert_eq!(told.count("queued"), 34, "nobody's message is to blame\n{}", told.run.stdout);
    assert_eq!(
        told.stopped(),
        "the server takes no mail from u…@police.example: 550 5.7.1 Your daily quota is used up"
    );
}

#[test]
fn a_message_that_fails_on_one_connection_stops_no_other() {
    let server = Scripted::builder().on_when(|moment| {
        let number =
            |text: &str| text.split_once('p').and_then(|(_, rest)| rest.split_once('@')?.0.parse::<u64>().ok());
        let row = moment.rcpt_to.first().and_then(|to| number(to)).unwrap_or_default();
        match (moment.stage, row % 6) {
            (Stage::Dot, 0) => Act::reply("550 5.7.1 Spam\r\n"),
            (Stage::Data, 1) => Act::reply("451 4.3.0 Later\r\n"),
            (Stage::Dot, 2) => Act::Drop,
            (Stage::Dot, 3) => Act::Delay(Duration::from_millis(60)),
            _ => Act::Ok,
        }
    });
    let server = server.start();
    let told = send(&server, 36, &relay(&server, 4), &[]).ended(1);
    for (row, (outcome, _)) in told.rows() {
        let expected = ["failed", "deferred", "in_doubt"].get(usize::try_from(row % 6).unwrap()).unwrap_or(&"sent");
        assert_eq!(outcome, *expected, "row {row}");
    }
    assert_eq!(told.rows().len(), 36);
    let used: HashSet<_> = server.accepted().iter().map(|delivery| delivery.connection).collect();
    assert!(used.len() >= 4, "{used:?}");
}

#[test]
fn no_whole_address_stands_in_json_whatever_the_server_repeats() {
    for (reply, code) in [
        ("421 4.7.0 <p3@list.example>: not now\r\n", 75),
        ("550 5.1.1 <P3@List.Example>: unknown\r\n", 1),
        ("450-4.2.0 p3@list.example\r\n450 4.2.0 Busy\r\n", 75),
    ] {
        let server = Scripted::builder().on_when(move |moment| match moment.stage {
            Stage::Rcpt if moment.line.contains("<p3@") => Act::reply(reply),
            _ => Act::Ok,
        });
        let server = server.start();
        let told = send(&server, 3, &relay(&server, 1), &[]).ended(code);
        let said = told.run.stdout.to_ascii_lowercase();
        let leaks: Vec<_> = said.lines().filter(|line| line.contains("p3@list.example")).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
}

/// What the server got of a message begins as one does, and no command stands in it.
fn all_whole(server: &Scripted) {
    for delivery in server.deliveries() {
        let text = String::from_utf8_lossy(&delivery.data);
        assert!(text.starts_with("Date: ") && !text.contains("RCPT TO"), "{text}");
    }
}

#[test]
fn what_one_connection_finds_out_does_not_change_what_another_one_has_sent() {
    for act in [Act::Drop, Act::reply("503 5.5.1 not yet\r\n"), Act::reply_then_drop("421 4.4.2 enough\r\n")] {
        let is_done = AtomicUsize::new(0);
        let server = Scripted::builder()
            .extensions(&["PIPELINING"])
            .on_when(move |moment| match (moment.stage, moment.connection) {
                (Stage::Dot, connection) => Act::Delay(Duration::from_millis([50, 400, 200, 20][connection.min(3)])),
                // The second message over the third connection.
                (Stage::Mail, 2) if moment.message > Some(3) && is_done.fetch_add(1, Ordering::Relaxed) == 0 => {
                    act.clone()
                }
                _ => Act::Ok,
            })
            .start();
        send(&server, 14, &relay(&server, 3), &[]).ended(0);
        all_whole(&server);
        assert_eq!(server.accepted().len(), 14);
    }
}

#[test]
fn a_server_that_closes_after_some_messages_and_answers_unevenly_gets_each_message_whole() {
    let dots = AtomicUsize::new(0);
    let taken = Mutex::new(BTreeMap::<usize, usize>::new());
    let server = Scripted::builder()
        .extensions(&["PIPELINING"])
        .on_when(move |moment| match moment.stage {
            Stage::Dot => {
                *taken.lock().unwrap().entry(moment.connection).or_default() += 1;
                Act::Delay(Duration::from_millis((dots.fetch_add(1, Ordering::Relaxed) * 7 % 12) as u64))
            }
            Stage::Mail if taken.lock().unwrap().get(&moment.connection).is_some_and(|taken| *taken >= 5) => Act::Drop,
            _ => Act::Ok,
        })
        .start();
    let told = send(&server, 200, &relay(&server, 8), &[]).ended(0);
    all_whole(&server);
    assert_eq!((server.accepted().len(), told.all("put_off").len()), (200, 0));
}
