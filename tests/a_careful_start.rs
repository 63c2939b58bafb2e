//! A careful start: somebody's message to oneself, and the first few before the others.

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, Run, account, people,
        scripted::{Act, Scripted, Stage, Tls},
    },
};

fn server() -> Scripted {
    Scripted::builder().tls(Tls::Implicit).auth("ann", "pw").extensions(&["PIPELINING"]).start()
}

fn home(server: &Scripted, count: usize, more: &str) -> Home {
    let home = Home::new();
    let login = format!("username = \"ann\"\npassword_env = \"PW\"\n{more}");
    home.config(&account(server.port(), server.ca_file(), "implicit", &login));
    home.campaign(&people(count));
    home
}

fn send(home: &Home, arguments: &[&str]) -> Run {
    Run::of(home.command(&[&["send", "c"], arguments].concat()).env("PW", "pw").output().unwrap())
}

fn text(data: &[u8]) -> String {
    String::from_utf8(data.to_vec()).unwrap()
}

/// The message without the headers that a test has of its own.
fn rest(message: &str) -> String {
    let own = ["Date:", "To:", "Subject:", "Message-ID:"];
    message.lines().filter(|line| !own.iter().any(|name| line.starts_with(name))).collect()
}

#[test]
fn a_test_is_one_persons_message_to_oneself_and_nobody_elses() {
    let server = server();
    let home = home(&server, 9, "");
    for _ in 0..2 {
        send(&home, &["--test", "me@office.example", "--row", "7", "--confirm", "1"]).ended(0);
    }
    let sent = server.accepted();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|delivery| delivery.rcpt_to == ["me@office.example"]));
    let test = text(&sent[0].data);
    assert!(test.contains("\r\nTo: me@office.example\r\n"), "{test}");
    assert!(test.contains("\r\nSubject: [test, row 7] For Person 7\r\n"), "{test}");
    assert!(!test.contains("p7@list.example"), "{test}");
    let id = |data: &[u8]| text(data).lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned();
    assert_ne!(id(&sent[0].data), id(&sent[1].data), "no program takes the second for the first");
    // Nothing of it is in the record, and the real one is the same but for its own headers.
    let record = home.run(&["status"]).ended(0).stdout;
    assert!(!record.contains("sent"), "{record}");
    send(&home, &["--confirm", "9"]).ended(0);
    let sent = server.accepted();
    assert_eq!(sent.len(), 11);
    let real = sent.iter().find(|delivery| delivery.rcpt_to == ["p7@list.example"]).unwrap();
    assert_eq!(rest(&text(&real.data)), rest(&test));
    assert_ne!(id(&real.data), id(&sent[0].data));
}

#[test]
fn a_test_is_of_the_first_person_unless_said_otherwise_and_of_a_prepared_campaign_too() {
    let server = server();
    let home = home(&server, 3, "");
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    std::fs::remove_dir_all(home.path().join("c")).unwrap();
    let arguments = ["send", &id, "--account", "work", "--test", "me@office.example", "--confirm", "1"];
    Run::of(home.command(&arguments).env("PW", "pw").output().unwrap()).ended(0);
    assert!(text(&server.accepted()[0].data).contains("Subject: [test, row 2] For Person 2"));
    assert!(home.run(&["status", &id]).ended(0).stdout.contains("queued"));
}

#[test]
fn a_test_that_is_refused_is_said_to_be() {
    let server = Scripted::builder()
        .tls(Tls::Implicit)
        .auth("ann", "pw")
        .on(Stage::Rcpt, Act::reply("550 5.1.1 no such person\r\n"))
        .start();
    let home = home(&server, 3, "");
    let run = send(&home, &["--test", "me@office.example", "--confirm", "1"]).ended(1);
    assert!(
        run.stdout.contains("550 5.1.1 no such person") && run.stdout.contains("me@office.example"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("--rows"), "there is nothing to go on with: {}", run.stdout);
    // Nor is there when it could not be sent at all: the same command with --rows would be the real one.
    let later =
        Scripted::builder().tls(Tls::Implicit).auth("ann", "pw").on(Stage::Mail, Act::reply("451 4.3.0 later\r\n"));
    for (server, code) in [(later.start(), 75), (Scripted::builder().on(Stage::Connect, Act::Drop).start(), 69)] {
        let home = self::home(&server, 3, "");
        let run = send(&home, &["--test", "me@office.example", "--row", "3", "--confirm", "1"]).ended(code);
        assert!(!run.stdout.contains("--rows") && !run.stdout.contains("get theirs"), "{}", run.stdout);
    }
}

#[test]
fn a_test_needs_a_person_an_address_and_a_yes() {
    let server = server();
    let home = home(&server, 3, "");
    let run = send(&home, &["--test", "me@office.example", "--row", "99", "--confirm", "1"]).ended(64);
    assert!(run.stderr.contains("there is nobody in row 99"), "{}", run.stderr);
    send(&home, &["--test", "nobody", "--confirm", "1"]).ended(64);
    send(&home, &["--row", "2", "--confirm", "3"]).ended(64);
    let run = send(&home, &["--test", "me@office.example"]).ended(77);
    assert!(run.stderr.contains("add --confirm 1"), "{}", run.stderr);
    let run = send(&home, &["--test", "P4@list.example", "--row", "2", "--confirm", "1"]).ended(64);
    assert!(run.stderr.contains("the address of row 4, who must not get row 2's message"), "{}", run.stderr);
    let run = send(&home, &["--test", "p4+x@list.example", "--row", "2", "--confirm", "1"]).ended(64);
    assert!(run.stderr.contains("names the address of row 4"), "{}", run.stderr);
    assert!(server.deliveries().is_empty());
    // One's own message is fine.
    send(&home, &["--test", "p2@list.example", "--row", "2", "--confirm", "1"]).ended(0);
}

#[test]
fn the_first_few_go_and_the_others_wait_for_a_yes() {
    let server = Scripted::builder()
        .tls(Tls::Implicit)
        .auth("ann", "pw")
        .on_when(|moment| match moment.stage {
            Stage::Rcpt if moment.line.contains("<p3@") => Act::reply("550 5.1.1 no such person\r\n"),
            _ => Act::Ok,
        })
        .start();
    let home = home(&server, 30, "connections = 4\n");
    let arguments = ["send", "c", "--first", "3", "--confirm", "30"];
    let mut terminal = Terminal::run(&home, &arguments, &[("PW", "pw")]);
    terminal.wait_for("Type yes to send the other 27: ");
    let seen = terminal.seen();
    assert!(seen.contains("row 2, p2@list.example: sent: 250 2.0.0 Ok"), "{seen}");
    assert!(seen.contains("row 3, p3@list.example: failed: 550 5.1.1 no such person"), "{seen}");
    assert_eq!(server.accepted().len(), 2);
    // Nobody waits with a connection for somebody who looks at a screen.
    assert!(server.lines().iter().any(|line| line.text == "QUIT"));
    terminal.type_in("yes\r");
    terminal.ended(1);
    assert!(terminal.seen().contains("29 of 30 messages sent"), "{}", terminal.seen());
    let mut got: Vec<String> = server.accepted().into_iter().flat_map(|delivery| delivery.rcpt_to).collect();
    got.sort();
    got.dedup();
    assert_eq!((got.len(), server.accepted().len()), (29, 29));
}

#[test]
fn without_a_yes_the_others_stay_queued() {
    for (keys, code) in [("no\r", 77), ("\r", 77), ("\u{3}", 130)] {
        let server = server();
        let home = home(&server, 10, "connections = 4\n");
        let arguments = ["send", "c", "--first", "3", "--confirm", "10"];
        let mut terminal = Terminal::run(&home, &arguments, &[("PW", "pw")]);
        terminal.wait_for("Type yes to send the other 7: ");
        terminal.type_in(keys);
        terminal.ended(code);
        assert_eq!(server.accepted().len(), 3, "{keys:?}");
        assert!(terminal.seen().contains("7 may still get theirs"), "{}", terminal.seen());
        send(&home, &["--confirm", "10"]).ended(0);
        assert_eq!(server.accepted().len(), 10, "{keys:?}");
    }
}

#[test]
fn what_is_put_off_among_the_first_does_not_hold_up_the_question() {
    let server = Scripted::builder()
        .tls(Tls::Implicit)
        .auth("ann", "pw")
        .once(Stage::Rcpt, Act::reply("450 4.2.0 later\r\n"))
        .start();
    let home = home(&server, 5, "");
    let arguments = ["send", "c", "--first", "2", "--retry-after", "2s", "--confirm", "5"];
    let mut terminal = Terminal::run(&home, &arguments, &[("PW", "pw")]);
    terminal.wait_for("row 2, p2@list.example: deferred: 450 4.2.0 later");
    terminal.wait_for("Type yes to send the other 3: ");
    terminal.type_in("YES\r");
    terminal.ended(0);
    assert_eq!(server.accepted().len(), 5);
}

#[test]
fn what_is_typed_before_the_question_is_no_answer() {
    let server = Scripted::builder()
        .tls(Tls::Implicit)
        .auth("ann", "pw")
        .on(Stage::Dot, Act::Delay(std::time::Duration::from_millis(700)))
        .start();
    let home = home(&server, 5, "");
    let arguments = ["send", "c", "--first", "2", "--confirm", "5"];
    let mut terminal = Terminal::run(&home, &arguments, &[("PW", "pw")]);
    assert!(server.wait_until(std::time::Duration::from_secs(20), |server| !server.deliveries().is_empty()));
    terminal.type_in("yes\r");
    terminal.wait_for("Type yes to send the other 3: ");
    terminal.type_in("no\r");
    terminal.ended(77);
    assert_eq!(server.accepted().len(), 2);
}

#[test]
fn the_first_few_need_somebody_who_looks() {
    let server = server();
    let home = home(&server, 5, "");
    let run = send(&home, &["--first", "2", "--confirm", "5"]).ended(77);
    assert!(run.stderr.contains("--first asks before the others get theirs"), "{}", run.stderr);
    assert!(server.deliveries().is_empty());
}

#[test]
fn fewer_than_the_first_few_are_just_sent() {
    let server = server();
    let home = home(&server, 3, "");
    let mut terminal = Terminal::run(&home, &["send", "c", "--first", "3", "--confirm", "3"], &[("PW", "pw")]);
    terminal.ended(0);
    assert!(!terminal.seen().contains("Type yes"), "{}", terminal.seen());
    assert_eq!(server.accepted().len(), 3);
}
