//! Several messages on the way at once (`window`): each still a transaction of its own, and nothing claimed that is not known.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    support::{
        Home, account, outcomes, people,
        scripted::{Act, Builder, Scripted, Stage, Tls},
    },
    what_a_server_may_do::{IMPATIENT, send},
};

fn server() -> Builder {
    Scripted::builder().tls(Tls::None).extensions(&["PIPELINING", "SIZE 100000", "CHUNKING"])
}

fn window(server: &Scripted, window: usize) -> String {
    account(server.port(), server.ca_file(), "none", &format!("{IMPATIENT}window = {window}\n"))
}

/// The commands that the server read, without what stands behind the first word.
fn commands(server: &Scripted) -> Vec<String> {
    server.lines().iter().map(|line| line.text.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn each_is_a_transaction_of_its_own_and_nobody_waits_for_answers() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(60))).start();
    send(&server, 8, &window(&server, 4), &[]).ended(0);
    assert_eq!(server.accepted().len(), 8);
    assert!(server.deliveries().iter().all(|delivery| delivery.rcpt_to.len() == 1));
    let said = commands(&server);
    // With the first two it is found out what the server can do.
    let first = ["EHLO", "MAIL", "RCPT", "DATA", "MAIL", "RCPT", "DATA", "BDAT"];
    let then = ["RSET", "MAIL", "RCPT", "BDAT"].repeat(6);
    assert_eq!(said, [&first[..], &then, &["QUIT"]].concat());
    // The content is what would have been sent with DATA.
    let texts = server.deliveries().into_iter().map(|delivery| String::from_utf8(delivery.data).unwrap());
    let without_date = texts.map(|text| text.split_once("\r\n").unwrap().1.replace(char::is_numeric, ""));
    let mut alike: Vec<String> =
        without_date.map(|text| text.lines().filter(|line| !line.starts_with("Message-ID")).collect()).collect();
    alike.dedup();
    assert_eq!(alike.len(), 1, "{alike:?}");
}

#[test]
fn without_chunking_or_pipelining_it_is_one_after_the_other() {
    for extensions in [&["PIPELINING"][..], &["CHUNKING"]] {
        let server = Scripted::builder().tls(Tls::None).extensions(extensions).start();
        send(&server, 3, &window(&server, 4), &[]).ended(0);
        assert_eq!(commands(&server).iter().filter(|command| *command == "DATA").count(), 3);
    }
}

#[test]
fn a_refusal_is_one_persons_and_leaves_no_recipient_behind() {
    for (stage, reply, outcome) in [
        (Stage::Rcpt, "550 5.1.1 no\r\n", "failed"),
        (Stage::Rcpt, "450 4.2.0 later\r\n", "deferred"),
        (Stage::Dot, "554 5.6.0 no\r\n", "failed"),
        (Stage::Dot, "452 4.3.1 full\r\n", "deferred"),
        (Stage::Mail, "451 4.3.0 later\r\n", "deferred"),
        (Stage::Mail, "552 5.3.4 too large\r\n", "failed"),
    ] {
        let server = server()
            .on_when(move |moment| match moment.message {
                Some(2) if moment.stage == stage => Act::reply(reply),
                _ => Act::Ok,
            })
            .start();
        let told = send(&server, 6, &window(&server, 3), &[]);
        let rows = told.rows();
        assert_eq!(rows[&4].0, outcome, "{stage:?} {reply}");
        assert!(rows[&4].1.contains(reply.trim()), "{:?}", rows[&4]);
        assert_eq!(told.count("sent"), 5, "{stage:?} {reply}");
        assert!(server.deliveries().iter().all(|delivery| delivery.rcpt_to.len() == 1));
        assert_eq!(told.all("connected").len(), 1, "the connection goes on");
    }
}

#[test]
fn a_refused_sender_ends_the_run_and_everybody_stays_queued() {
    let server = server()
        .on_when(|moment| match (moment.stage, moment.message) {
            (Stage::Mail, Some(3..)) => Act::reply("553 5.7.1 not you\r\n"),
            _ => Act::Ok,
        })
        .start();
    let told = send(&server, 9, &window(&server, 3), &[]).ended(77);
    assert_eq!((told.count("sent"), told.count("queued"), server.deliveries().len()), (3, 6, 3));
}

#[test]
fn when_the_line_breaks_what_was_written_is_in_doubt_and_nothing_else() {
    for act in [Act::Drop, Act::Reset, Act::Stall, Act::reply("what?\r\n")] {
        let server = server()
            .on_when(move |moment| match (moment.stage, moment.message) {
                (Stage::Dot, Some(3)) => act.clone(),
                _ => Act::Ok,
            })
            .start();
        let told = send(&server, 10, &window(&server, 3), &[]).ended(1);
        let doubtful = told.count("in_doubt");
        assert!((1..=3).contains(&doubtful), "{doubtful}");
        assert_eq!(told.rows()[&5].0, "in_doubt");
        assert_eq!(told.count("sent") + doubtful, 10, "the others go over the next connection");
    }
}

/// A server that refuses every recipient but the first two, and takes the content all the same; or else one that takes
/// everybody, and takes content behind BDAT, which it does not know, for commands. Gives its port and what it read.
fn confused(knows_bdat: bool) -> (u16, Arc<Mutex<String>>) {
    let read = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&read);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut answer = "220 x\r\n";
            let (mut line, mut recipients) = (String::new(), 0);
            while stream.get_mut().write_all(answer.as_bytes()).is_ok() {
                line.clear();
                if stream.read_line(&mut line).unwrap_or_default() == 0 {
                    break;
                }
                seen.lock().unwrap().push_str(&line);
                answer = match line.get(..4) {
                    Some("EHLO") => "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
                    Some("RCPT") => {
                        recipients += 1;
                        if recipients > 2 && knows_bdat { "550 5.1.1 no\r\n" } else { "250 2.1.5 Ok\r\n" }
                    }
                    Some("DATA") => {
                        stream.get_mut().write_all(b"354 go on\r\n").unwrap();
                        while line != ".\r\n" {
                            line.clear();
                            stream.read_line(&mut line).unwrap();
                        }
                        "250 2.0.0 Ok\r\n"
                    }
                    Some("BDAT") if !knows_bdat => "500 5.5.2 unknown\r\n",
                    Some("BDAT") if line.trim_end() == "BDAT 0" => "503 5.5.1 not in this order\r\n",
                    Some("BDAT") => {
                        let size = line.split(' ').nth(1).unwrap().parse().unwrap();
                        stream.read_exact(&mut vec![0; size]).unwrap();
                        "250 2.0.0 Ok\r\n"
                    }
                    _ => "250 Ok\r\n",
                };
            }
        }
    });
    (port, read)
}

#[test]
fn a_server_that_takes_what_it_refused_is_not_believed() {
    let home = Home::new();
    let more = format!("tls = \"none\"\n{IMPATIENT}window = 3\n");
    home.config(&format!("[account.work]\nhost = \"127.0.0.1\"\nport = {}\n{more}", confused(true).0));
    home.campaign(&people(5));
    let run = home.run(&["send", "c", "--no-wait", "--format", "json", "--confirm", "5"]).ended(1);
    let outcomes: Vec<String> = outcomes(&run).into_values().collect();
    assert_eq!(outcomes, ["sent", "sent", "in_doubt", "in_doubt", "in_doubt"], "{}", run.stdout);
}

#[test]
fn a_connection_takes_as_many_as_it_may() {
    let server = server().start();
    let account = window(&server, 5) + "messages_per_connection = 4\n";
    let told = send(&server, 10, &account, &[]).ended(0);
    assert_eq!(told.all("connected").len(), 3);
    for connection in 0..3 {
        let count = server.deliveries().iter().filter(|delivery| delivery.connection == connection).count();
        assert!(count <= 4, "{count} over one");
    }
}

#[test]
fn a_rate_is_kept_with_a_window_too() {
    let server = server().start();
    let account = window(&server, 5) + "rate = \"4/s\"\n";
    send(&server, 9, &account, &[]).ended(0);
    let begun: Vec<_> = server.deliveries().iter().map(|delivery| delivery.at_mail).collect();
    for (nth, first) in begun.iter().enumerate() {
        let within =
            begun[nth..].iter().filter(|time| time.duration_since(*first) < Duration::from_millis(990)).count();
        assert!(within <= 4, "{within} within a second");
    }
}

#[test]
fn a_line_that_breaks_with_many_on_the_way_is_one_line() {
    for act in [Act::Drop, Act::Reset] {
        let server = server()
            .on_when(move |moment| match (moment.stage, moment.message) {
                (Stage::Dot, Some(14)) => act.clone(),
                _ => Act::Ok,
            })
            .start();
        let told = send(&server, 60, &window(&server, 16), &[]).ended(1);
        let doubtful = told.count("in_doubt");
        assert!((1..=16).contains(&doubtful), "{doubtful}");
        assert_eq!(told.count("sent") + doubtful, 60, "the run goes on");
        assert_eq!(told.all("connection_lost").len(), 1);
    }
}

#[test]
fn what_is_answered_before_nothing_more_can_be_written_counts() {
    // Answers to all that came, late, and then no more.
    let server = server()
        .on_when(|moment| match (moment.stage, moment.message) {
            (Stage::Dot, Some(5)) => Act::Delay(Duration::from_millis(150)),
            (Stage::Rset, Some(7)) => Act::reply_then_drop("421 4.3.2 enough\r\n"),
            _ => Act::Ok,
        })
        .start();
    let told = send(&server, 30, &window(&server, 8), &[]);
    let answered = server.accepted().len() as u64;
    assert_eq!(told.count("sent"), answered, "{}", told.run.stdout);
    assert!(told.count("in_doubt") <= 8);
}

#[test]
fn nothing_of_a_message_is_sent_behind_a_command_that_the_server_may_not_know() {
    let (port, read) = confused(false);
    let home = Home::new();
    let more = format!("tls = \"none\"\n{IMPATIENT}window = 4\nconnections = 2\n");
    home.config(&format!("[account.work]\nhost = \"127.0.0.1\"\nport = {port}\n{more}"));
    home.campaign(&people(12));
    home.write("c/people.csv", people(12).replace("Person 5,", "\"RCPT TO:<evil@evil.example>\",").as_str());
    home.run(&["send", "c", "--no-wait", "--confirm", "12"]).ended(0);
    let read = read.lock().unwrap();
    assert!(!read.contains("evil") && read.matches("BDAT").count() <= 2, "{read}");
}

#[test]
fn a_window_gets_smaller_where_lines_break() {
    let server = server()
        .on_when(|moment| match (moment.stage, moment.message) {
            (Stage::Dot, Some(message)) if message % 6 == 5 => Act::Drop,
            _ => Act::Ok,
        })
        .start();
    let told = send(&server, 120, &window(&server, 8), &[]).ended(1);
    // 8, 4, 2 with the first three; then only those whose answer was lost.
    let lost = server.deliveries().iter().filter(|delivery| delivery.answered.is_none()).count() as u64;
    assert!(told.count("in_doubt") <= lost + 7 + 3 + 1, "{} of {lost}", told.count("in_doubt"));
}

#[test]
fn what_the_server_cannot_be_asked_to_take_has_failed_and_the_others_go_on() {
    let server = server().start();
    let home = Home::new();
    home.config(&window(&server, 4));
    home.campaign(&people(9).replace("p6@list", "jörg@list"));
    let run = home.run(&["send", "c", "--no-wait", "--format", "json", "--confirm", "9"]).ended(1);
    let outcomes = outcomes(&run);
    assert_eq!(outcomes[&6], "failed", "{}", run.stdout);
    assert!(run.stdout.contains("SMTPUTF8"), "{}", run.stdout);
    assert_eq!(outcomes.values().filter(|outcome| *outcome == "sent").count(), 8);
}
