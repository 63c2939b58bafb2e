//! What a real Postfix refuses, and what becomes of it: outcome, words, exit code.

use std::{collections::HashSet, time::Duration};

use crate::support::{Home, Run, account, json, outcomes, people, postfix::Postfix};

fn home_for(postfix: &Postfix, more: &str) -> Home {
    let home = Home::new();
    let login = format!("username = \"{}\"\npassword_env = \"SMTP_PASSWORD\"\n{more}", postfix.user());
    home.config(&account(postfix.smtps_port(), postfix.ca_file(), "implicit", &login));
    home
}

fn send(home: &Home, postfix: &Postfix, arguments: &[&str]) -> Run {
    let mut command = home.command(&[&["send", "c", "--no-wait", "--account", "work"], arguments].concat());
    Run::of(command.env("SMTP_PASSWORD", postfix.password()).output().unwrap())
}

fn mailboxes(postfix: &Postfix, count: usize) -> HashSet<String> {
    postfix.wait_for(count).into_iter().map(|one| one.mailbox).collect()
}

#[test]
fn a_wrong_password_ends_the_run_before_anything_is_sent() {
    let Some(postfix) = Postfix::start() else { return };
    // Without the first line it is SCRAM-SHA-256, which the server ends in the same words.
    for auth in ["", "auth = \"scram-sha-256\"\n", "auth = \"plain\"\n", "auth = \"login\"\n"] {
        let home = home_for(&postfix, auth);
        home.campaign(&people(3));
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "3"]);
        let run = Run::of(command.env("SMTP_PASSWORD", "wrong").output().unwrap()).ended(77);
        let why = "The run ended early: the server refused the login: 535 5.7.8 Error: authentication failed";
        assert!(run.stdout.contains(why), "{auth}{}", run.stdout);
        assert!(run.stdout.contains("0 of 3 messages sent") && run.stdout.contains("not begun   3"), "{}", run.stdout);
    }
    assert!(postfix.delivered().is_empty());
    // It was each of them, the first one by itself.
    let log = postfix.log();
    let failed = |name: &str| log.matches(&format!("SASL {name} authentication failed")).count();
    assert_eq!(["SCRAM-SHA-256", "PLAIN", "LOGIN"].map(failed), [2, 1, 1], "{log}");
}

#[test]
fn a_certificate_that_is_not_trusted_ends_the_run_before_the_password_is_sent() {
    let Some(postfix) = Postfix::start() else { return };
    for (tls, port) in [("implicit", postfix.smtps_port()), ("starttls", postfix.submission_port())] {
        let home = Home::new();
        home.config(&format!(
            "[account.work]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\nusername = \"u\"\npassword_env = \"SMTP_PASSWORD\"\n"
        ));
        home.campaign(&people(3));
        let run = send(&home, &postfix, &["--confirm", "3"]).ended(76);
        assert!(run.stdout.contains("the certificate of localhost is not trusted"), "{}", run.stdout);
        assert!(run.stdout.contains("name its certification authority with ca_file"), "{}", run.stdout);
    }
    assert!(!postfix.log().contains("sasl_method"));
}

#[test]
fn one_refused_recipient_stops_nobody_elses_message() {
    let Some(postfix) = Postfix::start() else { return };
    let home = home_for(&postfix, "");
    let list = "name,email\nAda,ada@one.example\nBo,nobody-here@two.example\nCem,cem@three.example\nDee,try-later@four.example\nEve,eve@five.example\n";
    home.campaign(list);
    let run = send(&home, &postfix, &["--confirm", "5"]).ended(1);
    let text = run.stdout.split_once('\n').unwrap().1;
    assert_eq!(
        text,
        "  failed      1\n  deferred    1\n\n\
         row 3, n…@two.example: failed\n  \
         server: 550 5.1.1 <[removed]>: Recipient address rejected: No such person [removed]\n  \
         to do: ask the person whether the address is right; the server will say the same again\n\n\
         row 5, t…@four.example: deferred\n  \
         server: 450 4.2.0 <[removed]>: Recipient address rejected: Mailbox busy, [removed] again [removed]\n  \
         to do: send it again later\n\n\
         1 may still get theirs. Later, and without changing the list:\n  \
         apiece send c --account work --no-wait --rows 5 --confirm 1\n"
    );
    let got: Vec<&str> = vec!["ada@one.example", "cem@three.example", "eve@five.example"];
    assert_eq!(mailboxes(&postfix, 3), got.into_iter().map(str::to_owned).collect());
    // the same with one deferral alone: it may be tried again
    let run = send(&home, &postfix, &["--rows", "2,5", "--confirm", "2"]).ended(75);
    assert!(run.stdout.contains("deferred    1"), "{}", run.stdout);
}

#[test]
fn a_refused_sender_ends_the_run_at_once() {
    let Some(postfix) = Postfix::start() else { return };
    let home = home_for(&postfix, "");
    home.campaign(&people(4));
    let template = std::fs::read_to_string(home.path().join("c/t.txt.hbs")).unwrap();
    home.write("c/t.txt.hbs", template.replace("updates@", "not-allowed@"));
    let run = send(&home, &postfix, &["--confirm", "4"]).ended(77);
    assert!(
        run.stdout.contains("the server takes no mail from not-allowed@police.example: 553 5.7.1"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("0 of 4 messages sent") && run.stdout.contains("not begun   4"), "{}", run.stdout);
    assert!(postfix.delivered().is_empty());
}

#[test]
fn a_relay_on_this_machine_needs_no_tls_and_the_summary_says_so() {
    let Some(postfix) = Postfix::start() else { return };
    let home = Home::new();
    home.config(&format!("[account.work]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n", postfix.relay_port()));
    home.campaign(&people(2));
    let run = send(&home, &postfix, &["--confirm", "2"]).ended(0);
    assert!(run.stdout.contains("The connection to the relay on this machine had no TLS.\n"), "{}", run.stdout);
    postfix.wait_for(2);
}

#[test]
fn a_server_that_goes_away_half_way_leaves_the_rest_unsent_and_nobody_in_the_dark() {
    let Some(mut postfix) = Postfix::start() else { return };
    let home = home_for(&postfix, "connections = 3\n");
    home.campaign(&people(300));
    let arguments = ["send", "c", "--account", "work", "--confirm", "300", "--rate", "60/s", "--format", "json"];
    let mut command = home.command(&arguments);
    command.env("SMTP_PASSWORD", postfix.password());
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while postfix.delivered().len() < 40 {
        std::thread::sleep(Duration::from_millis(20));
    }
    postfix.stop();
    let run = Run::of(child.wait_with_output().unwrap()).ended(69);
    let outcomes = outcomes(&run);
    let summary = json(&run).pop().unwrap();
    assert_eq!(summary["event"], "summary");
    let of = |outcome: &str| summary[outcome].as_u64().unwrap();
    assert_eq!(of("sent") + of("failed") + of("deferred") + of("in_doubt") + of("queued"), 300, "{summary}");
    assert!(of("sent") >= 40 && of("queued") > 100 && of("in_doubt") <= 3 && of("sending") == 0, "{summary}");

    postfix.restart();
    let delivered = postfix.wait_for(usize::try_from(of("sent")).unwrap());
    let got = |row: u64| delivered.iter().filter(|one| one.mailbox == format!("p{row}@list.example")).count();
    for row in 2..302 {
        match outcomes.get(&row).map(String::as_str) {
            Some("sent") => assert_eq!(got(row), 1, "row {row} was called sent"),
            Some("in_doubt") => assert!(got(row) <= 1, "row {row} is in doubt"),
            _ => assert_eq!(got(row), 0, "row {row} was not called sent"),
        }
    }
}

#[test]
fn a_server_that_comes_back_gets_the_rest_once_each() {
    let Some(mut postfix) = Postfix::start() else { return };
    let home = home_for(&postfix, "connections = 2\n");
    home.campaign(&people(120));
    let arguments = ["send", "c", "--account", "work", "--confirm", "120", "--rate", "60/s", "--format", "json"];
    let mut command = home.command(&arguments);
    command.env("SMTP_PASSWORD", postfix.password());
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while postfix.delivered().len() < 20 {
        std::thread::sleep(Duration::from_millis(20));
    }
    postfix.stop();
    postfix.restart();
    let run = Run::of(child.wait_with_output().unwrap());
    assert!(run.code == 0 || run.code == 1, "{} {}", run.stdout, run.stderr);
    let outcomes = outcomes(&run);
    assert_eq!(outcomes.len(), 120);
    let sent = outcomes.values().filter(|outcome| *outcome == "sent").count();
    let doubtful = outcomes.values().filter(|outcome| *outcome == "in_doubt").count();
    assert!(sent + doubtful == 120 && doubtful <= 2, "{outcomes:?}");
    let delivered = postfix.wait_for(sent);
    for row in 2..122 {
        let got = delivered.iter().filter(|one| one.mailbox == format!("p{row}@list.example")).count();
        assert!(got == 1 || (got == 0 && outcomes[&row] == "in_doubt"), "row {row}: {got}, {}", outcomes[&row]);
    }
}
