//! Whatever a server does, everybody gets one message or is said not to have got it, and nothing is claimed that
//! is not known.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    Home, Run, account, people,
    scripted::{Act, Scripted, Stage, Tls},
};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// The lines of an account that logs in.
pub(crate) const LOGIN: &str = "username = \"ann\"\npassword_env = \"PW\"\n";

/// A network step that takes longer has failed.
pub(crate) const IMPATIENT: &str = "timeout = \"700ms\"\n";

/// What `send --format json` said.
pub(crate) struct Told {
    pub(crate) run: Run,
    pub(crate) events: Vec<Value>,
}

/// Sends to so many people, and checks what must be true whatever happened.
pub(crate) fn send(server: &Scripted, count: usize, account: &str, flags: &[&str]) -> Told {
    let run = start(count, account, &[&["--format", "json"], flags].concat());
    let events = run.stdout.lines().map(|line| serde_json::from_str(line).expect("an object on each line")).collect();
    let told = Told { run, events };
    told.is_true(server, count);
    told
}

/// Sends to so many people.
fn start(count: usize, account: &str, flags: &[&str]) -> Run {
    let home = Home::new();
    home.config(account);
    home.campaign(&people(count));
    let confirm = count.to_string();
    let mut arguments = vec!["send", "c", "--no-wait", "--retry-after", "120ms", "--confirm", confirm.as_str()];
    arguments.extend(flags);
    Run::of(home.command(&arguments).env("PW", PASSWORD).output().expect("the program runs"))
}

/// An account without TLS and login.
fn relay(server: &Scripted, more: &str) -> String {
    account(server.port(), server.ca_file(), "none", &format!("{IMPATIENT}{more}"))
}

fn to(row: u64) -> String {
    format!("p{row}@list.example")
}

impl Told {
    pub(crate) fn all(&self, event: &str) -> Vec<&Value> {
        self.events.iter().filter(|object| object["event"] == event).collect()
    }

    /// What became of each row that was begun: outcome and the server's words.
    pub(crate) fn rows(&self) -> BTreeMap<u64, (&str, &str)> {
        let row = |object: &'_ Value| object["row"].as_u64().expect("a row");
        let finished = self.all("finished");
        let text = |value| Value::as_str(value).unwrap_or_default();
        finished.iter().map(|object| (row(object), (text(&object["outcome"]), text(&object["reply"])))).collect()
    }

    pub(crate) fn count(&self, outcome: &str) -> u64 {
        self.summary()[outcome].as_u64().expect("a number")
    }

    fn summary(&self) -> &Value {
        let summary = self.events.last().unwrap_or_else(|| panic!("nothing was said: {:?}", self.run));
        assert_eq!(summary["event"], "summary");
        summary
    }

    /// Why the run ended early.
    pub(crate) fn stopped(&self) -> &str {
        self.summary()["stopped"].as_str().unwrap_or("not at all")
    }

    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.run.code, code, "\n{}\n{}", self.run.stdout, self.run.stderr);
        self
    }

    /// What was said is what the server knows, and each transaction had one recipient.
    fn is_true(&self, server: &Scripted, count: usize) {
        let rows = self.rows();
        assert_eq!(self.all("finished").len(), rows.len(), "a row ends once:\n{}", self.run.stdout);
        assert_eq!(self.summary()["messages"], count);
        assert_eq!(self.count("queued") + rows.len() as u64, count as u64, "{}", self.run.stdout);
        assert_eq!(self.count("sending"), 0);
        for outcome in ["sent", "deferred", "failed", "in_doubt"] {
            let finished = rows.values().filter(|(became, _)| *became == outcome).count();
            assert_eq!(self.count(outcome), finished as u64, "{outcome}\n{}", self.run.stdout);
        }
        let all_sent = self.count("sent") == count as u64;
        assert_eq!(self.run.code == 0, all_sent, "exit {}\n{}", self.run.code, self.run.stdout);
        let accepted = server.accepted();
        for row in 2..count as u64 + 2 {
            let copies = accepted.iter().filter(|delivery| delivery.rcpt_to == [to(row)]).count();
            match rows.get(&row).map(|(outcome, _)| *outcome) {
                Some("sent") => assert_eq!(copies, 1, "row {row} is said to be sent\n{}", self.run.stdout),
                Some("in_doubt") => assert!(copies <= 1, "row {row} got {copies}"),
                other => assert_eq!(copies, 0, "row {row} is said to be {other:?}\n{}", self.run.stdout),
            }
        }
        for delivery in server.deliveries() {
            let [recipient] = delivery.rcpt_to.as_slice() else { panic!("recipients: {:?}", delivery.rcpt_to) };
            let row = recipient.trim_start_matches('p').trim_end_matches("@list.example");
            let text = String::from_utf8_lossy(&delivery.data).into_owned();
            assert!(text.contains(&format!("Dear Person {row},")) && text.contains(recipient.as_str()), "{text}");
            assert_eq!(text.matches("@list.example").count(), 1, "{text}");
        }
        let mut recipients: BTreeMap<usize, usize> = BTreeMap::new();
        for line in server.lines() {
            let in_transaction = recipients.entry(line.connection).or_default();
            match line.text.get(..4) {
                Some("MAIL") => *in_transaction = 0,
                Some("RCPT") => *in_transaction += 1,
                _ => {}
            }
            assert!(*in_transaction <= 1, "two recipients in one transaction: {}", line.text);
        }
    }
}

/// Tries all cases, several at once, and names those that failed.
pub(crate) fn each<C: Sync>(cases: &[C], name: impl Fn(&C) -> String + Sync, check: impl Fn(&C) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
                failed.push(name(case));
            }
        }
        failed
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..6).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic outside of a case")).collect()
    });
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

fn called(stage: Stage, act: &Act) -> String {
    match act {
        Act::Reply(bytes) => format!("{stage:?}: Reply {:?}", String::from_utf8_lossy(bytes)),
        Act::ReplyThenDrop(bytes) => format!("{stage:?}: ReplyThenDrop {:?}", String::from_utf8_lossy(bytes)),
        other => format!("{stage:?}: {other:?}"),
    }
}

/// How a server takes commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Together,
    OneByOne,
}

/// Each case both ways.
fn both<C: Clone>(cases: &[C]) -> Vec<(Way, C)> {
    [Way::Together, Way::OneByOne]
        .into_iter()
        .flat_map(|way| cases.iter().map(move |case| (way, case.clone())))
        .collect()
}

/// Acts at this stage of row 3's transaction: once, or each time it comes.
fn at_row_3(way: Way, stage: Stage, act: &Act, once: bool) -> Scripted {
    let (act, done) = (act.clone(), AtomicUsize::new(0));
    let server = match way {
        Way::Together => Scripted::builder(),
        Way::OneByOne => Scripted::builder().extensions(&["SIZE 1000000", "ENHANCEDSTATUSCODES"]),
    };
    let server = server.on_when(move |moment| {
        let its = match stage {
            Stage::Mail => moment.message == Some(1),
            Stage::Rcpt => moment.line.contains(&to(3)),
            _ => moment.rcpt_to == [to(3)],
        };
        if moment.stage == stage && its && (!once || done.fetch_add(1, Ordering::Relaxed) == 0) {
            act.clone()
        } else {
            Act::Ok
        }
    });
    server.start()
}

/// Acts of a server that break a connection.
fn breakages() -> Vec<Act> {
    vec![
        Act::Drop,
        Act::Reset,
        Act::Stall,
        Act::Flood,
        Act::reply("I am no SMTP server\r\n"),
        Act::reply("\r\n"),
        Act::reply("999 What is this?\r\n"),
        Act::reply("250-One thing\r\n550 And another\r\n"),
        Act::reply("250 no line end"),
        Act::reply_then_drop("25"),
        Act::reply_then_drop("250-2.0.0 there is more\r\n"),
    ]
}

#[test]
fn a_connection_that_breaks_before_the_message_is_whole_is_opened_again_and_nobody_is_left_out() {
    let mut cases = Vec::new();
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data] {
        let mut acts = breakages();
        acts.push(Act::reply("421 4.3.2 Shutting down\r\n"));
        acts.push(Act::reply_then_drop("421 4.3.2 Shutting down\r\n"));
        acts.push(Act::extra("250 2.0.0 Nobody asked\r\n"));
        acts.push(Act::extra("550 5.0.0 Nobody asked\r\n"));
        // 3xx where 2xx is due, and the other way round
        acts.push(Act::reply(if stage == Stage::Data { "250 2.0.0 Ok\r\n" } else { "354 Go ahead\r\n" }));
        cases.extend(acts.into_iter().map(|act| (stage, act)));
    }
    let mut cases = both(&cases);
    // Between the answers to RCPT and DATA nobody can tell that it was not asked for.
    cases.retain(|(way, (stage, act))| {
        *way == Way::OneByOne || *stage != Stage::Rcpt || !matches!(act, Act::Extra(bytes) if bytes[0] == b'5')
    });
    each(
        &cases,
        |(way, (stage, act))| format!("{way:?}: {}", called(*stage, act)),
        |(way, (stage, act))| {
            let server = at_row_3(*way, *stage, act, true);
            let told = send(&server, 3, &relay(&server, ""), &[]).ended(0);
            assert_eq!(told.count("sent"), 3);
            // Before the next message a server may have had enough of a connection, and that is nothing to tell.
            let least = usize::from(*stage != Stage::Mail);
            assert!((least..=1).contains(&told.all("connection_lost").len()), "{}", told.run.stdout);
            assert_eq!(server.connections(), 2);
        },
    );
}

#[test]
fn a_message_that_breaks_every_connection_is_deferred_and_the_others_are_sent() {
    let cases = [
        (Stage::Rcpt, Act::Drop, "closed the connection"),
        (Stage::Rcpt, Act::reply_then_drop("421 4.7.0 Not this one\r\n"), "421 4.7.0 Not this one"),
        (Stage::Rcpt, Act::Stall, "no answer after 700 ms"),
        (Stage::Data, Act::reply("250 2.0.0 Ok\r\n"), "the server answered DATA with 250 2.0.0 Ok"),
        (Stage::Data, Act::extra("250 2.0.0 Ok\r\n"), "the server said, unasked: \"250 2.0.0 Ok\""),
        (Stage::Data, Act::Flood, "the server's reply is endless"),
    ];
    each(
        &both(&cases),
        |(way, (stage, act, _))| format!("{way:?}: {}", called(*stage, act)),
        |(way, (stage, act, why))| {
            let server = at_row_3(*way, *stage, act, false);
            let told = send(&server, 4, &relay(&server, ""), &[]).ended(75);
            assert_eq!((told.count("sent"), told.rows()[&3].0), (3, "deferred"));
            let finished = told.all("finished").into_iter().find(|object| object["row"] == 3).unwrap();
            let said = format!("{}{}", finished["reply"], finished["why"]);
            assert!(said.replace('\\', "").contains(why), "{said}");
            assert_eq!((told.all("connection_lost").len(), server.connections()), (3, 4));
        },
    );
}

#[test]
fn two_such_messages_in_a_row_do_not_stop_the_others() {
    let server = Scripted::builder().on_when(|moment| match moment.stage {
        Stage::Rcpt if moment.line.contains("<p3@") || moment.line.contains("<p4@") => Act::Drop,
        _ => Act::Ok,
    });
    let server = server.start();
    let told = send(&server, 6, &relay(&server, ""), &[]).ended(75);
    assert_eq!((told.count("sent"), told.count("deferred")), (4, 2), "{}", told.run.stdout);
}

#[test]
fn what_breaks_between_the_final_dot_and_its_answer_is_in_doubt_and_not_sent_again() {
    let mut cases: Vec<_> = breakages().into_iter().map(|act| (Stage::Dot, act)).collect();
    cases.push((Stage::Dot, Act::reply("354 Go ahead\r\n")));
    // These bodies are short: the server has read the dot with them.
    cases.extend([Act::Drop, Act::Reset, Act::Stall].map(|act| (Stage::Body, act)));
    let mut cases = both(&cases);
    // With the answers to the next envelope behind it, that is a line.
    cases.retain(|(way, (_, act))| {
        !(*way == Way::Together && matches!(act, Act::Reply(bytes) if !bytes.ends_with(b"\n")))
    });
    each(
        &cases,
        |(way, (stage, act))| format!("{way:?}: {}", called(*stage, act)),
        |(way, (stage, act))| {
            let server = at_row_3(*way, *stage, act, true);
            let told = send(&server, 4, &relay(&server, ""), &[]).ended(1);
            assert_eq!((told.count("sent"), told.rows()[&3].0), (3, "in_doubt"));
            let tries = server.lines().iter().filter(|line| line.text.contains(&to(3))).count();
            assert_eq!((tries, server.connections()), (1, 2));
        },
    );
}

#[test]
fn a_reply_that_never_ends_is_not_read_for_long() {
    let cases = [(Stage::Connect, 69), (Stage::Mail, 0), (Stage::Dot, 1), (Stage::Quit, 0)];
    each(
        &cases,
        |(stage, _)| called(*stage, &Act::FloodLines),
        |(stage, code)| {
            let server = Scripted::builder().once(*stage, Act::FloodLines).start();
            let start = Instant::now();
            send(&server, 2, &relay(&server, ""), &[]).ended(*code);
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        },
    );
}

#[test]
fn a_message_whose_end_was_never_written_is_not_in_doubt() {
    let home = Home::new();
    home.campaign("");
    let long = "All work and no play makes a dull day at the station. ".repeat(9_000);
    home.write("c/people.csv", format!("name,email,long\nAnn,p2@list.example,{long}\n"));
    let front = "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"Long\"\n+++\n";
    home.write("c/t.txt.hbs", format!("{front}{}", "{{long}}\n".repeat(22)));
    for act in [Act::Drop, Act::Stall] {
        let server = Scripted::builder().once(Stage::Body, act).start();
        home.config(&account(server.port(), server.ca_file(), "none", "timeout = \"4s\""));
        let run = home.run(&["send", "c", "--confirm", "1", "--again", "--format", "json"]).ended(0);
        assert_eq!((server.connections(), server.accepted().len()), (2, 1), "{}", run.stdout);
    }
}

#[test]
fn what_the_server_says_of_a_message_is_kept_word_for_word() {
    let cases: Vec<(Stage, &[u8], &str, i32)> = vec![
        (Stage::Mail, b"450 4.7.1 Try again in an hour\r\n", "deferred", 75),
        (Stage::Mail, b"452-4.3.1 No room\r\n452 4.3.1 at all\r\n", "deferred", 75),
        (Stage::Rcpt, b"550 5.1.1 No such user here\r\n", "failed", 1),
        (
            Stage::Rcpt,
            b"550-5.1.1 No such user here,\r\n550-5.1.1\r\n550 5.1.1 see https://mail.example\r\n",
            "failed",
            1,
        ),
        (Stage::Rcpt, b"450 4.2.1 Greylisted\t<wait>  \"a bit\" \r\n", "deferred", 75),
        (Stage::Rcpt, "551 5.7.1 Postfach gibt's nicht: M\u{fc}ller\r\n".as_bytes(), "failed", 1),
        (Stage::Data, b"451 4.3.0 Queue file write error\r\n", "deferred", 75),
        (Stage::Data, b"554 5.5.1 No valid recipients\r\n", "failed", 1),
        (Stage::Dot, b"452 4.3.1 Insufficient storage\r\n", "deferred", 75),
        (Stage::Dot, b"421 4.3.2 Shutting down\r\n", "deferred", 75),
        (Stage::Dot, b"550-5.7.1 Looks like spam.\r\n550 5.7.1 Score 17\r\n", "failed", 1),
        (Stage::Dot, b"250 2.0.0 Ok: queued as 4XyZ\r\n", "sent", 0),
        (Stage::Dot, b"250-2.6.0 <x> \r\n250 2.6.0 Queued\r\n", "sent", 0),
        (Stage::Dot, b"250 \r\n", "sent", 0),
        (Stage::Dot, "250 Angenommen, sch\u{f6}n\r\n".as_bytes(), "sent", 0),
        (Stage::Dot, b"250 Angenommen, sch\xf6n\r\n", "sent", 0),
    ];
    each(
        &both(&cases),
        |(way, (stage, reply, ..))| format!("{way:?}: {}", called(*stage, &Act::reply(*reply))),
        |(way, (stage, reply, outcome, code))| {
            let server = at_row_3(*way, *stage, &Act::reply(*reply), true);
            let told = send(&server, 4, &relay(&server, ""), &[]).ended(*code);
            let words = String::from_utf8_lossy(reply).replace("\r\n", "\n");
            assert_eq!(told.rows()[&3], (*outcome, words.strip_suffix('\n').unwrap()));
            assert!([2, 4, 5].iter().all(|row| told.rows()[row].0 == "sent"), "{}", told.run.stdout);
        },
    );
}

#[test]
fn an_answer_followed_by_the_end_of_the_connection_counts() {
    for (reply, outcome, code) in [
        ("250 2.0.0 Taken\r\n", "sent", 0),
        ("450 4.0.0 Later\r\n", "deferred", 75),
        ("550 5.0.0 Never\r\n", "failed", 1),
    ] {
        let server = at_row_3(Way::Together, Stage::Dot, &Act::reply_then_drop(reply), true);
        let told = send(&server, 4, &relay(&server, ""), &[]).ended(code);
        assert_eq!((told.rows()[&3], told.count("sent")), ((outcome, reply.trim_end()), 3 + u64::from(code == 0)));
    }
}

#[test]
fn slow_talkative_and_odd_but_correct_servers_get_their_mail() {
    let stages = [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot, Stage::Quit];
    let mut cases = Vec::new();
    for stage in stages {
        cases.push((stage, Act::Delay(Duration::from_millis(150))));
        cases.push((stage, Act::Trickle(Duration::from_millis(2))));
        let code = match stage {
            Stage::Connect => "220",
            Stage::Data => "354",
            Stage::Quit => "221",
            _ => "250",
        };
        cases.push((stage, Act::reply(format!("{code}-One\r\n{code}-\r\n{code} three lines\r\n"))));
        cases.push((
            stage,
            Act::reply(format!("{code}-one\r\n").repeat(200) + &format!("{code} {}\r\n", "x".repeat(400))),
        ));
        cases.push((stage, Act::reply([code.as_bytes(), b" caf\xe9 \xff\xfe\0\x1b[31m\r\n"].concat())));
    }
    // 251: will forward; 252: cannot verify, but will try
    cases.extend(["251 2.1.5 Forwarded\r\n", "252 2.1.5 We'll see\r\n"].map(|reply| (Stage::Rcpt, Act::reply(reply))));
    each(
        &cases,
        |(stage, act)| called(*stage, act),
        |(stage, act)| {
            let server = Scripted::builder().on(*stage, act.clone()).start();
            let told = send(&server, 2, &relay(&server, ""), &[]).ended(0);
            assert_eq!((told.all("connection_lost").len(), server.connections()), (0, 1), "{}", told.run.stdout);
        },
    );
}

/// RFC 5321 §4.2: `Reply-code [ SP textstring ] CRLF`
#[test]
fn a_reply_may_be_a_code_alone() {
    let stages = [
        (Stage::Connect, "220\r\n"),
        (Stage::Ehlo, "250-\r\n250\r\n"),
        (Stage::Mail, "250\r\n"),
        (Stage::Rcpt, "250\r\n"),
        (Stage::Data, "354\r\n"),
        (Stage::Dot, "250\r\n"),
    ];
    each(
        &stages,
        |(stage, reply)| called(*stage, &Act::reply(*reply)),
        |(stage, reply)| {
            let server = Scripted::builder().on(*stage, Act::reply(*reply)).start();
            send(&server, 2, &relay(&server, ""), &[]).ended(0);
        },
    );
}

#[test]
fn a_refusal_is_told_as_such_whatever_the_server_does_to_the_reset_behind_it() {
    let mut acts = breakages();
    acts.push(Act::reply("500 5.5.2 What?\r\n"));
    acts.push(Act::reply("421 4.3.2 Bye\r\n"));
    acts.push(Act::extra("250 2.0.0 Nobody asked\r\n"));
    each(
        &acts,
        |act| called(Stage::Rset, act),
        |act| {
            let act = act.clone();
            let server = Scripted::builder().on_when(move |moment| match moment.stage {
                Stage::Rcpt if moment.line.contains("<p3@") => Act::reply("550 5.1.1 Unknown\r\n"),
                Stage::Rset => act.clone(),
                _ => Act::Ok,
            });
            let server = server.start();
            let told = send(&server, 4, &relay(&server, ""), &[]).ended(1);
            assert_eq!((told.rows()[&3], told.count("sent")), (("failed", "550 5.1.1 Unknown"), 3));
        },
    );
}

#[test]
fn what_a_server_does_at_the_goodbye_does_not_matter() {
    let mut acts = breakages();
    acts.push(Act::reply("554 5.0.0 Stay\r\n"));
    each(
        &acts,
        |act| called(Stage::Quit, act),
        |act| {
            let server = Scripted::builder().on(Stage::Quit, act.clone()).start();
            let start = Instant::now();
            send(&server, 2, &relay(&server, ""), &[]).ended(0);
            assert!(start.elapsed() < Duration::from_secs(5));
        },
    );
}

#[test]
fn a_server_that_does_not_let_anybody_in_gets_nothing_and_is_quoted() {
    let cases = [
        (Stage::Connect, Act::Drop, 69, "closed the connection"),
        (Stage::Connect, Act::Stall, 69, "no greeting after 700 ms"),
        (Stage::Connect, Act::reply("554 5.7.1 Go away\r\n"), 69, "554 5.7.1 Go away"),
        (Stage::Connect, Act::reply("421 4.3.2 Too busy\r\n"), 75, "421 4.3.2 Too busy"),
        (Stage::Connect, Act::reply_then_drop("421 4.3.2 Too busy\r\n"), 75, "421 4.3.2 Too busy"),
        (Stage::Connect, Act::reply("HTTP/1.1 400 Bad Request\r\n"), 69, "is not understood"),
        (Stage::Connect, Act::reply("354 Go ahead\r\n"), 69, "354 Go ahead"),
        (Stage::Connect, Act::Flood, 69, "endless"),
        (Stage::Connect, Act::extra("250 2.0.0 Ok\r\n"), 69, "unasked"),
        (Stage::TlsHandshake, Act::Drop, 69, "the connection was lost in the TLS handshake"),
        (Stage::TlsHandshake, Act::Stall, 69, "the TLS handshake is not done after 700 ms"),
        (Stage::EhloTls, Act::Drop, 69, "closed the connection"),
        (Stage::EhloTls, Act::reply("450 4.3.2 Not now\r\n"), 75, "450 4.3.2 Not now"),
        (Stage::EhloTls, Act::reply("550 5.7.1 Not you\r\n"), 69, "550 5.7.1 Not you"),
        (Stage::EhloTls, Act::extra("235 2.7.0 Welcome\r\n"), 69, "unasked"),
        (Stage::Auth, Act::Drop, 69, "it was lost during the login"),
        (Stage::Auth, Act::Stall, 69, "no answer after 700 ms"),
        (Stage::Auth, Act::reply("535-5.7.8 No.\r\n535 5.7.8 See help\r\n"), 77, "535-5.7.8 No. 535 5.7.8 See help"),
        (Stage::Auth, Act::reply("534 5.7.9 Use an app password\r\n"), 77, "534 5.7.9 Use an app password"),
        (Stage::Auth, Act::reply("454 4.7.0 Later\r\n"), 75, "454 4.7.0 Later"),
        (Stage::Auth, Act::reply("421 4.7.0 Bye\r\n"), 75, "421 4.7.0 Bye"),
        (Stage::Auth, Act::reply("334 Tm8=\r\n"), 78, "asks on"),
        (Stage::Auth, Act::reply("yes\r\n"), 69, "it was lost during the login"),
        (Stage::Mail, Act::reply("550 5.7.1 Not your address\r\n"), 77, "550 5.7.1 Not your address"),
    ];
    each(
        &cases,
        |(stage, act, ..)| called(*stage, act),
        |(stage, act, code, words)| {
            let server = Scripted::builder().tls(Tls::Implicit).auth("ann", PASSWORD).on(*stage, act.clone()).start();
            let account = account(server.port(), server.ca_file(), "implicit", &format!("{LOGIN}{IMPATIENT}"));
            let start = Instant::now();
            let told = send(&server, 3, &account, &[]).ended(*code);
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
            assert!(told.stopped().contains(words), "{}", told.stopped());
            assert_eq!((told.count("queued"), told.rows().len()), (3, 0), "nobody's message is to blame");
            assert_eq!((server.deliveries().len(), server.connections()), (0, 1));
        },
    );
}

/// The summary as a person reads it; how long it took is left out.
fn summary(server: &Scripted, count: usize, more: &str, code: i32) -> String {
    let text = start(count, &relay(server, more), &[]).ended(code).stdout;
    let (before, after) = text.split_once(" messages sent in ").expect("how many were sent");
    format!("{before} messages sent{}", &after[after.find(" s.\n").expect("in how many seconds") + 2..])
}

const IN_CLEAR: &str = "The connection to the relay on this machine had no TLS.\n";

#[test]
fn the_summary_says_of_each_who_got_nothing_why_and_what_to_do() {
    let server = Scripted::builder().on_when(|moment| match (moment.stage, moment.line, moment.rcpt_to) {
        (Stage::Rcpt, line, _) if line.contains("<p3@") => {
            Act::reply("550-5.1.1 Unknown,\r\n550 5.1.1 see h\u{fc}lfe\x07\r\n")
        }
        (Stage::Rcpt, line, _) if line.contains("<p4@") => Act::reply("450 4.2.2 Mailbox full\r\n"),
        (Stage::Dot, _, [to]) if to.contains("p6@") => Act::reply("no idea\r\n"),
        _ => Act::Ok,
    });
    let server = server.start();
    let said = summary(&server, 6, "", 1);
    let in_doubt = server.deliveries().into_iter().find(|delivery| delivery.rcpt_to == [to(6)]).expect("row 6");
    let data = String::from_utf8(in_doubt.data).unwrap();
    let (_, id) = data.split_once("Message-ID: ").expect("an id");
    let (id, _) = id.split_once("\r\n").expect("a line");
    let expected = format!(
        "3 of 6 messages sent.
{IN_CLEAR}  failed      1
  deferred    1
  in doubt    1

row 3, p…@list.example: failed
  server: 550-5.1.1 Unknown,
  server: 550 5.1.1 see hülfe<U+0007>
  to do: ask the person whether the address is right; the server will say the same again

row 4, p…@list.example: deferred
  server: 450 4.2.2 Mailbox full
  to do: send it again later

row 6, p…@list.example: in doubt
  what happened: WHY
  to do: ask the server's administrator for {id}, or look into the Sent folder, before sending it again

In doubt: rows 6. They are not sent again on their own.

1 may still get theirs. Later, and without changing the list:
  apiece send c --retry-after 120ms --no-wait --rows 4 --confirm 1
"
    );
    let why = said.lines().find_map(|line| line.strip_prefix("  what happened: ")).unwrap_or_default();
    assert!(why.contains("no idea") && !why.contains("Tag"), "the server's words, not a parser's: {said}");
    assert_eq!(said, expected.replace("WHY", why));
}

#[test]
fn the_summary_says_why_a_run_ended_early() {
    let refused = Scripted::builder().on_when(|moment| match (moment.stage, moment.message) {
        (Stage::Mail, Some(1)) => Act::reply("550 5.7.60 Not allowed to send as this sender\r\n"),
        _ => Act::Ok,
    });
    let expected = format!(
        "1 of 4 messages sent.
{IN_CLEAR}  not begun   3

The run ended early: the server takes no mail from updates@police.example: 550 5.7.60 Not allowed to send as this sender
  to do: the address in from must be one that this account may send as

3 may still get theirs. Later, and without changing the list:
  apiece send c --retry-after 120ms --no-wait --rows 3-5 --confirm 3
"
    );
    assert_eq!(summary(&refused.start(), 4, "", 77), expected, "the person in row 3 has nothing to do with it");

    let closed = Scripted::builder().on(Stage::Connect, Act::reply("421 4.3.2 Too many connections\r\n")).start();
    assert_eq!(
        summary(&closed, 2, "", 75),
        "0 of 2 messages sent.
  not begun   2

The run ended early: the server takes no mail now: 421 4.3.2 Too many connections
  to do: try again later

2 may still get theirs. Later, and without changing the list:
  apiece send c --retry-after 120ms --no-wait --rows 2-3 --confirm 2
"
    );
}
