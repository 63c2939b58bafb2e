//! A real Postfix that puts off, limits, is full, restarts or shows another certificate: everybody gets theirs once, or it
//! is said that they did not.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    Home, Run, account, certificates::Authority, json, outcomes, people, postfix::Postfix, processes::patiently,
};

const LONG: Duration = Duration::from_secs(30);

fn home_for(postfix: &Postfix, list: &str, more: &str) -> Home {
    let home = Home::new();
    let login = format!("username = \"{}\"\npassword_env = \"SMTP_PASSWORD\"\n{more}", postfix.user());
    home.config(&account(postfix.smtps_port(), postfix.ca_file(), "implicit", &login));
    home.campaign(list);
    home
}

fn begin(home: &Home, postfix: &Postfix, count: usize, more: &[&str]) -> Child {
    let count = count.to_string();
    let arguments = ["send", "c", "--account", "work", "--format", "json", "--confirm", &count];
    let mut command = home.command(&[&arguments[..], more].concat());
    command.env("SMTP_PASSWORD", postfix.password()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn end(child: Child) -> Run {
    Run::of(child.wait_with_output().unwrap())
}

fn send(home: &Home, postfix: &Postfix, count: usize, more: &[&str]) -> Run {
    end(begin(home, postfix, count, more))
}

fn events(run: &Run, name: &str) -> Vec<Value> {
    json(run).into_iter().filter(|event| event["event"] == name).collect()
}

/// What was said last of the whole run.
fn summary(run: &Run) -> Value {
    json(run).pop().unwrap()
}

/// Who was called sent got one message, who is in doubt one at most, and nobody else any; each transaction had one
/// recipient. Gives what became of each row.
#[track_caller]
fn accounted_for(run: &Run, postfix: &Postfix, count: usize) -> BTreeMap<u64, String> {
    let outcomes = outcomes(run);
    let sent = outcomes.values().filter(|outcome| *outcome == "sent").count();
    let mut copies = HashMap::<String, usize>::new();
    for one in postfix.wait_for(sent) {
        *copies.entry(one.mailbox).or_default() += 1;
    }
    for row in 2..count as u64 + 2 {
        let got = copies.remove(&format!("p{row}@list.example")).unwrap_or(0);
        match outcomes.get(&row).map(String::as_str) {
            Some("sent") => assert_eq!(got, 1, "row {row} is called sent"),
            Some("in_doubt") => assert!(got <= 1, "row {row} is in doubt and got {got}"),
            other => assert_eq!(got, 0, "row {row} is {other:?}"),
        }
    }
    assert!(copies.is_empty(), "nobody knows {copies:?}");
    assert!(postfix.recipients_per_message().iter().all(|recipients| *recipients == 1));
    outcomes
}

/// The run went to its end, and everybody got theirs.
#[track_caller]
fn all_sent_once(run: &Run, postfix: &Postfix, count: usize) {
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let outcomes = accounted_for(run, postfix, count);
    assert!(outcomes.len() == count && outcomes.values().all(|outcome| outcome == "sent"), "{outcomes:?}");
    for finished in events(run, "finished") {
        let reply = finished["reply"].as_str().unwrap();
        assert!(finished["code"] == 250 && reply.contains("queued as"), "{finished}");
    }
}

/// A policy service as Postfix asks them (SMTPD_POLICY_README), on a port of this machine: what it does by sender and
/// recipient. Without an action it never answers.
fn policy(action: impl Fn(&str, &str) -> Option<&'static str> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, action) = (listener.local_addr().unwrap().port(), Arc::new(action));
    std::thread::spawn(move || {
        for asker in listener.incoming().map_while(Result::ok) {
            let action = Arc::clone(&action);
            std::thread::spawn(move || answer(asker, &*action));
        }
    });
    port
}

/// A request is lines of `name=value` and an empty one.
fn answer(mut asker: TcpStream, action: &dyn Fn(&str, &str) -> Option<&'static str>) {
    let mut request = HashMap::new();
    for line in BufReader::new(asker.try_clone().unwrap()).lines().map_while(Result::ok) {
        if let Some((name, value)) = line.split_once('=') {
            request.insert(name.to_owned(), value.to_owned());
        } else {
            let action = action(&request["sender"], &request["recipient"]);
            if action.is_some_and(|action| write!(asker, "action={action}\n\n").is_err()) {
                return;
            }
            request.clear();
        }
    }
}

#[test]
fn whom_a_greylisting_server_puts_off_gets_theirs_in_the_same_run() {
    let pairs = Arc::new(Mutex::new(BTreeMap::<(String, String), usize>::new()));
    let seen = Arc::clone(&pairs);
    // Puts off each pair when it sees it first.
    let port = policy(move |sender, recipient| {
        let mut seen = seen.lock().unwrap();
        let times = seen.entry((sender.to_owned(), recipient.to_owned())).or_default();
        *times += 1;
        Some(if *times == 1 { "450 4.2.0 Greylisted" } else { "DUNNO" })
    });
    let restrictions = format!("check_policy_service inet:127.0.0.1:{port}, permit_sasl_authenticated, reject");
    let Some(postfix) = Postfix::start_with(&[("smtpd_recipient_restrictions", &restrictions)]) else { return };
    let home = home_for(&postfix, &people(12), "connections = 2\n");
    let run = send(&home, &postfix, 12, &["--retry-after", "500ms"]);
    all_sent_once(&run, &postfix, 12);
    let put_off = events(&run, "put_off");
    assert_eq!(put_off.len(), 12);
    for one in put_off {
        assert_eq!((&one["code"], &one["outcome"]), (&450.into(), &"deferred".into()));
        assert!(one["reply"].as_str().unwrap().ends_with("Recipient address rejected: Greylisted"), "{one}");
    }
    let pairs = pairs.lock().unwrap();
    assert!(pairs.len() == 12 && pairs.values().all(|times| *times == 2), "{pairs:?}");
    // The record has the last word of the server.
    let record = home.run(&["export", &home.last_campaign()]).ended(0).stdout;
    assert_eq!((record.matches(",sent,").count(), record.matches("queued as").count()), (12, 12), "{record}");
}

#[test]
fn a_server_that_lets_in_fewer_connections_gets_everything_over_those() {
    let Some(postfix) = Postfix::start_with(&[("smtpd_client_connection_count_limit", "2")]) else { return };
    let home = home_for(&postfix, &people(150), "connections = 6\n");
    let run = send(&home, &postfix, 150, &[]);
    all_sent_once(&run, &postfix, 150);
    let refused = events(&run, "connection_lost");
    assert!((1..=6).contains(&refused.len()), "{}", run.stdout);
    for one in refused {
        let why = one["why"].as_str().unwrap();
        assert!(why.contains("421 4.7.0") && why.contains("too many connections"), "{why}");
    }
    // Two at most have been let in, and one that is too many is closed and may be opened again.
    assert!(events(&run, "connected").len() <= 4, "{}", run.stdout);
}

/// A template whose message is longer than 20,000 octets for whoever has a long text.
const LETTER: &str = "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"For {{name}}\"\n+++\n{{text}}\n";

fn letters(home: &Home, long: u64) {
    let text = |row| if row == long { "word ".repeat(6000) } else { "hello".to_owned() };
    let rows = (2..8).map(|row| format!("Person {row},p{row}@list.example,{}\n", text(row)));
    home.write("c/people.csv", std::iter::once("name,email,text\n".to_owned()).chain(rows).collect::<String>());
    home.write("c/t.txt.hbs", LETTER);
}

#[test]
fn a_message_larger_than_the_server_takes_is_found_before_any_is_sent() {
    let Some(postfix) = Postfix::start_with(&[("message_size_limit", "20000")]) else { return };
    let home = home_for(&postfix, "", "");
    letters(&home, 5);
    let run = send(&home, &postfix, 6, &[]).ended(65);
    let (summary, stopped) = (summary(&run), "the server takes 20000");
    assert!(summary["stopped"].as_str().unwrap().contains(stopped) && summary["queued"] == 6, "{summary}");
    assert!(events(&run, "finished").is_empty() && !postfix.log().contains("client=localhost"), "{}", postfix.log());
}

#[test]
fn a_message_that_is_not_to_be_sent_is_not_too_large() {
    let Some(postfix) = Postfix::start_with(&[("message_size_limit", "20000")]) else { return };
    let home = home_for(&postfix, "", "");
    letters(&home, 5);
    let run = send(&home, &postfix, 5, &["--rows", "2-4,6-7"]).ended(0);
    assert_eq!(accounted_for(&run, &postfix, 6).len(), 5);
}

#[test]
fn a_server_that_does_not_say_how_much_it_takes_refuses_one_message_alone() {
    let limits = [("message_size_limit", "20000"), ("smtpd_discard_ehlo_keywords", "size")];
    let Some(postfix) = Postfix::start_with(&limits) else { return };
    let home = home_for(&postfix, "", "");
    letters(&home, 5);
    let run = send(&home, &postfix, 6, &[]).ended(1);
    let outcomes = accounted_for(&run, &postfix, 6);
    for (row, outcome) in &outcomes {
        assert_eq!(outcome, if *row == 5 { "failed" } else { "sent" }, "row {row}");
    }
    assert_eq!(outcomes.len(), 6);
    let finished = events(&run, "finished");
    let failed = finished.iter().find(|one| one["row"] == 5).unwrap();
    assert_eq!((&failed["code"], &failed["reply"]), (&552.into(), &"552 5.3.4 Error: message file too big".into()));
}

#[test]
fn a_server_that_takes_one_recipient_at_a_time_takes_everything() {
    let Some(postfix) = Postfix::start_with(&[("smtpd_recipient_limit", "1")]) else { return };
    let home = home_for(&postfix, &people(20), "connections = 2\n");
    all_sent_once(&send(&home, &postfix, 20, &[]), &postfix, 20);
    assert_eq!(postfix.recipients_per_message(), [1; 20]);
    assert!(!postfix.log().contains("too many recipients"));
}

fn delivers(postfix: &Postfix, count: usize) {
    assert!(patiently(LONG, || postfix.delivered().len() >= count), "{} delivered", postfix.delivered().len());
}

#[test]
fn a_server_that_is_restarted_again_and_again_gets_nobodys_message_twice() {
    let Some(mut postfix) = Postfix::start() else { return };
    let home = home_for(&postfix, &people(200), "connections = 3\n");
    let child = begin(&home, &postfix, 200, &["--rate", "60/s"]);
    delivers(&postfix, 20);
    postfix.reload_with(&[]);
    delivers(&postfix, 50);
    postfix.restart();
    delivers(&postfix, 90);
    postfix.stop();
    std::thread::sleep(Duration::from_millis(1200)); // It is away for as long as a machine takes to restart a service.
    postfix.restart();
    delivers(&postfix, 130);
    postfix.restart();
    let run = end(child);
    let outcomes = accounted_for(&run, &postfix, 200);
    let doubtful: Vec<u64> =
        outcomes.iter().filter(|(_, outcome)| *outcome == "in_doubt").map(|(row, _)| *row).collect();
    assert!(outcomes.len() == 200 && doubtful.len() <= 9, "{outcomes:?}");
    assert!(outcomes.values().all(|outcome| outcome == "sent" || outcome == "in_doubt"), "{outcomes:?}");
    assert_eq!(run.code, i32::from(!doubtful.is_empty()), "{}", run.stdout);

    // The same once more sends nothing, and those of whom only the server knows are named.
    let before = postfix.delivered();
    let again = send(&home, &postfix, 200, &[]);
    assert!(again.code != 0 && again.stderr.contains("exactly this was sent before"), "{}", again.stderr);
    let status = home.run(&["status", &home.last_campaign()]).ended(0).stdout;
    assert!(doubtful.is_empty() || status.contains(&format!("{} in doubt", doubtful.len())), "{status}");
    for row in doubtful {
        assert!(status.contains(&format!("row {row}, p{row}@list.example")), "row {row}\n{status}");
    }
    assert_eq!(postfix.delivered(), before);
}

#[test]
fn a_server_that_dies_with_a_message_in_its_hands_leaves_that_one_in_doubt() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    // It has the whole message, and thinks about it for ever.
    let port = policy(move |_, recipient| {
        let is_stuck = recipient == "p9@list.example" && seen.fetch_add(1, Ordering::SeqCst) == 0;
        (!is_stuck).then_some("DUNNO")
    });
    let restrictions = format!("check_policy_service inet:127.0.0.1:{port}");
    let Some(mut postfix) = Postfix::start_with(&[("smtpd_end_of_data_restrictions", &restrictions)]) else { return };
    let home = home_for(&postfix, &people(20), "");
    let child = begin(&home, &postfix, 20, &[]);
    assert!(patiently(LONG, || asked.load(Ordering::SeqCst) == 1), "{}", postfix.log());
    postfix.restart();
    let run = end(child).ended(1);
    let outcomes = accounted_for(&run, &postfix, 20);
    for (row, outcome) in &outcomes {
        assert_eq!(outcome, if *row == 9 { "in_doubt" } else { "sent" }, "row {row}");
    }
    assert_eq!((outcomes.len(), asked.load(Ordering::SeqCst)), (20, 1), "it did not go again by itself");
    assert_eq!(summary(&run)["rows"]["in_doubt"], "9");
}

#[test]
fn a_certificate_may_be_renewed_during_a_run_but_not_by_somebody_else() {
    let Some(mut postfix) = Postfix::start() else { return };
    let home = home_for(&postfix, &people(200), "connections = 2\n");
    let child = begin(&home, &postfix, 200, &["--rate", "50/s"]);
    delivers(&postfix, 20);
    postfix.renew_certificate(None);
    postfix.restart();
    delivers(&postfix, 60);

    postfix.stop();
    postfix.renew_certificate(Some(&Authority::new()));
    let logins = postfix.log().matches("sasl_method=").count();
    let calls = postfix.log().matches("]: connect from ").count();
    postfix.restart();
    let run = end(child).ended(76);
    let outcomes = accounted_for(&run, &postfix, 200);
    let summary = summary(&run);
    let stopped = summary["stopped"].as_str().unwrap();
    assert!(stopped.contains("the certificate of localhost is not trusted"), "{stopped}");
    assert!(outcomes.len() >= 60 && summary["queued"].as_u64().unwrap() > 60, "{summary}");
    assert_eq!(postfix.log().matches("sasl_method=").count(), logins, "nobody showed a password");
    // Each connection is opened once at most: trying again is what somebody in between waits for.
    let calls = postfix.log().matches("]: connect from ").count() - calls;
    assert!((1..=2).contains(&calls), "{calls} calls");

    // With the right one again, the same command goes on where it was.
    postfix.renew_certificate(None);
    postfix.restart();
    let sent = outcomes.values().filter(|outcome| *outcome == "sent").count();
    let left = 200 - outcomes.len();
    let run = send(&home, &postfix, left, &[]);
    let delivered = postfix.wait_for(sent + left);
    let addresses: std::collections::HashSet<_> = delivered.iter().map(|one| &one.mailbox).collect();
    assert_eq!(addresses.len(), delivered.len(), "somebody got it twice");
    assert_eq!(summary_count(&run, "queued"), 0);
}

fn summary_count(run: &Run, outcome: &str) -> u64 {
    summary(run)[outcome].as_u64().unwrap()
}

#[test]
fn a_server_without_space_gets_the_rest_when_there_is_some_again() {
    let Some(postfix) = Postfix::start() else { return };
    // A connection keeps to the configuration of its beginning.
    let home = home_for(&postfix, &people(60), "messages_per_connection = 3\n");
    let child = begin(&home, &postfix, 60, &["--rate", "20/s", "--retry-after", "1s"]);
    delivers(&postfix, 6);
    postfix.reload_with(&[("queue_minfree", "1000000000000000")]);
    let refused = || postfix.log().matches(": 452 4.3.1 Insufficient system storage;").count();
    assert!(patiently(LONG, || refused() >= 3), "{}", postfix.log());
    postfix.reload_with(&[("queue_minfree", "0")]);
    let run = end(child);
    all_sent_once(&run, &postfix, 60);
    let put_off = events(&run, "put_off");
    assert!(put_off.len() >= 3 && put_off.len() == refused(), "{}", run.stdout);
    for one in put_off {
        assert_eq!((&one["code"], &one["outcome"]), (&452.into(), &"deferred".into()));
        assert_eq!(one["reply"], "452 4.3.1 Insufficient system storage");
    }
    assert!(!events(&run, "slowed_down").is_empty(), "what the server cannot take is not thrown at it");
}
