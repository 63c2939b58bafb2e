//! Never more than N in any window of that length, as the server sees it, and no slower than it must be.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    support::{
        Home, Run, account, people,
        scripted::{Act, Moment, Scripted, Stage},
    },
    what_a_server_may_do::{each, send},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A run at a pace.
#[derive(Clone, Debug)]
struct Case {
    flags: &'static [&'static str],
    /// The account's own rates, as TOML.
    account: &'static str,
    /// All that must be kept.
    rates: &'static [(usize, Duration)],
    connections: usize,
    messages: usize,
    /// Up to so many milliseconds more at each stage of this list, different each time.
    delays: &'static [(Stage, u64)],
    /// Every other person is unknown.
    refuse: bool,
}

const PLAIN: Case = Case {
    flags: &["--rate", "5/s"],
    account: "",
    rates: &[(5, SECOND)],
    connections: 1,
    messages: 18,
    delays: &[],
    refuse: false,
};

/// When transactions began, as the server saw it.
fn arrivals(server: &Scripted) -> Vec<Instant> {
    let lines = server.lines();
    let mut times: Vec<_> = lines.iter().filter(|line| line.text.starts_with("MAIL")).map(|line| line.at).collect();
    times.sort();
    times
}

#[test]
fn runs_one_after_the_other_keep_it_together() {
    let server = Scripted::builder().start();
    let home = Home::new();
    home.campaign(&people(16));
    home.config(&account(server.port(), server.ca_file(), "none", "rate = \"5/s\"\nconnections = 2"));
    for row in (2..18).step_by(2) {
        let rows = format!("{row}-{}", row + 1);
        home.run(&["send", "c", "--account", "work", "--rows", &rows, "--confirm", "2"]).ended(0);
    }
    let times = arrivals(&server);
    assert_eq!(times.len(), 16);
    assert!(fullest(&times, SECOND) <= 5, "{}", fullest(&times, SECOND));
    assert!(times[15] - times[0] < SECOND * 6, "and it is no slower than it must be: {:?}", times[15] - times[0]);
}

#[test]
fn a_test_and_a_notification_count() {
    let server = Scripted::builder().start();
    let home = Home::new();
    home.campaign(&people(2));
    home.config(&account(server.port(), server.ca_file(), "none", "rate = \"1/s\""));
    let send = |arguments: &[&str]| home.run(&[&["send", "c", "--account", "work"], arguments].concat()).ended(0);
    send(&["--test", "me@office.example", "--confirm", "1"]);
    send(&["--rows", "2", "--confirm", "1", "--notify-email", "me@office.example"]);
    send(&["--rows", "3", "--confirm", "1"]);
    let times = arrivals(&server);
    assert_eq!(times.len(), 4);
    assert!(times[1] - times[0] >= SECOND, "the run waits for the test: {:?}", times[1] - times[0]);
    assert!(times[3] - times[2] >= SECOND, "and for the notification: {:?}", times[3] - times[2]);
}

#[test]
fn several_campaigns_at_once_keep_it_together() {
    let server = Scripted::builder().on(Stage::Mail, Act::Delay(Duration::from_millis(30))).start();
    let home = Home::new();
    home.config(&account(server.port(), server.ca_file(), "none", "rate = \"6/s\"\nconnections = 2"));
    let runs: Vec<_> = ["a", "b", "d"]
        .iter()
        .map(|name| {
            home.campaign(&people(10));
            std::fs::rename(home.path().join("c"), home.path().join(name)).unwrap();
            let front = "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n";
            home.write(&format!("{name}/t.txt.hbs"), format!("{front}Dear {{{{name}}}}, {name}\n"));
            let mut command = home.command(&["send", name, "--account", "work", "--confirm", "10"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for run in runs {
        Run::of(run.wait_with_output().unwrap()).ended(0);
    }
    let times = arrivals(&server);
    assert_eq!(times.len(), 30);
    assert!(fullest(&times, SECOND) <= 6, "{}", fullest(&times, SECOND));
    // Each sees that another's transaction is over a little later than it was.
    assert!(times[29] - times[0] < SECOND * 8, "and it is not much slower than it must be: {:?}", times[29] - times[0]);
}

/// Kills a run each so often until all is sent, and looks at the windows.
fn killed_again_and_again(rate: (usize, Duration), text: &str, count: usize, each: Duration) {
    let server = Scripted::builder().start();
    let home = Home::new();
    home.campaign(&people(count));
    home.config(&account(server.port(), server.ca_file(), "none", &format!("rate = \"{text}\"\nconnections = 3")));
    let confirm = count.to_string();
    let mut kills = 0;
    loop {
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", &confirm]);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while run.try_wait().unwrap().is_none() && start.elapsed() < each {
            std::thread::sleep(Duration::from_millis(5));
        }
        if run.try_wait().unwrap().is_some() {
            break;
        }
        run.kill().and_then(|()| run.wait()).unwrap();
        kills += 1;
    }
    let times = arrivals(&server);
    assert!(kills >= 3 && times.len() + 3 * kills >= count, "{kills} kills, {} transactions", times.len());
    let most = fullest(&times, rate.1);
    assert!(most <= rate.0, "{most} within {:?} after {kills} kills", rate.1);
}

#[test]
fn a_run_that_is_killed_and_begun_again_keeps_it() {
    killed_again_and_again((4, SECOND), "4/s", 24, Duration::from_millis(1300));
}

/// Some minutes: only where `APIECE_LONG` is set.
#[test]
fn thirty_a_minute_hold_however_often_the_run_is_killed() {
    if std::env::var_os("APIECE_LONG").is_none() {
        eprintln!("skipped: APIECE_LONG is not set");
        return;
    }
    killed_again_and_again((30, MINUTE), "30/min", 100, Duration::from_secs(4));
}

/// The fullest window of that length holds so many: a window may begin at any arrival.
pub(crate) fn fullest(times: &[Instant], length: Duration) -> usize {
    let from = |nth: usize| times[nth..].iter().take_while(|time| **time - times[nth] < length).count();
    (0..times.len()).map(from).max().unwrap_or(0)
}

/// The shortest time in which so many may begin.
fn least(messages: usize, rates: &[(usize, Duration)]) -> Duration {
    let windows = |count: usize| u32::try_from((messages - 1) / count).expect("not so many");
    rates.iter().map(|(count, length)| *length * windows(*count)).max().unwrap_or_default()
}

/// Anything up to `most`, the same for the same message and stage.
fn delay(moment: &Moment<'_>, most: u64) -> Duration {
    let number = moment.message.unwrap_or(moment.connection) as u64 + 1;
    let mixed = ((number * 0x9E37_79B9) ^ ((moment.stage as u64 + 1) * 0x85EB_CA6B)).wrapping_mul(0xC2B2_AE35) >> 8;
    Duration::from_millis(mixed % (most + 1))
}

impl Case {
    fn server(&self) -> Scripted {
        let case = self.clone();
        let server = Scripted::builder().on_when(move |moment| {
            let unknown = case.refuse && moment.message.is_some_and(|number| number % 2 == 0);
            match case.delays.iter().find(|(stage, _)| *stage == moment.stage) {
                _ if unknown && moment.stage == Stage::Rcpt => Act::reply("550 5.1.1 Unknown\r\n"),
                Some((_, most)) => Act::Delay(delay(moment, *most)),
                None => Act::Ok,
            }
        });
        server.start()
    }

    fn is_kept(&self) {
        let server = self.server();
        let more = format!("timeout = \"9s\"\nconnections = {}\n{}", self.connections, self.account);
        let account = account(server.port(), server.ca_file(), "none", &more);
        let told = send(&server, self.messages, &account, self.flags).ended(i32::from(self.refuse));
        let times = arrivals(&server);
        assert_eq!(times.len(), self.messages, "{}", told.run.stdout);
        for (count, length) in self.rates {
            let most = fullest(&times, *length);
            assert!(most <= *count, "{most} within {length:?}, {count} are allowed");
        }
        let (took, least) = (times[times.len() - 1] - times[0], least(self.messages, self.rates));
        assert!(took <= least.mul_f64(1.5), "it took {took:?}, and {least:?} would do");
    }
}

fn all_kept(cases: &[Case]) {
    each(cases, |case| format!("{case:?}"), Case::is_kept);
}

#[test]
fn no_window_holds_more_than_the_rate_and_no_time_is_wasted() {
    let everywhere = &[(Stage::Connect, 80), (Stage::Mail, 80), (Stage::Rcpt, 80), (Stage::Data, 80), (Stage::Dot, 80)];
    all_kept(&[
        PLAIN,
        Case { connections: 3, ..PLAIN },
        Case { connections: 8, ..PLAIN },
        Case { connections: 3, delays: everywhere, ..PLAIN },
        Case { connections: 8, delays: everywhere, ..PLAIN },
        // The beginnings alone travel long, some longer than others.
        Case { connections: 8, delays: &[(Stage::Mail, 350)], ..PLAIN },
        Case { connections: 3, refuse: true, ..PLAIN },
        Case { connections: 8, refuse: true, delays: &[(Stage::Rcpt, 60), (Stage::Rset, 60)], ..PLAIN },
    ]);
}

#[test]
fn every_one_of_several_rates_is_kept_wherever_it_is_written() {
    const MIXED: &[(usize, Duration)] = &[(7, SECOND), (4, SECOND), (60, MINUTE)];
    all_kept(&[
        Case { flags: &["--rate", "7/s", "--rate", "4/s,60/min"], rates: MIXED, connections: 3, messages: 14, ..PLAIN },
        Case {
            flags: &["--rate", "7/s"],
            account: "rate = [\"4/s\", \"60/min\"]",
            rates: MIXED,
            messages: 14,
            ..PLAIN
        },
        Case { flags: &[], account: "rate = \"3/s\"", rates: &[(3, SECOND)], connections: 8, messages: 11, ..PLAIN },
        Case { flags: &["--rate", "1/s"], rates: &[(1, SECOND)], connections: 3, messages: 4, ..PLAIN },
    ]);
}

#[test]
fn a_long_window_that_is_full_lets_nobody_through() {
    let server = Scripted::builder().start();
    let home = Home::new();
    home.config(&account(server.port(), server.ca_file(), "none", "connections = 3"));
    home.campaign(&people(12));
    let arguments = ["send", "c", "--confirm", "12", "--rate", "20/s", "--rate", "6/min"];
    let mut running = home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    assert!(server.wait_until(Duration::from_secs(20), |server| server.accepted().len() == 6));
    std::thread::sleep(Duration::from_secs(4));
    let waits = running.try_wait().expect("a child of this process").is_none();
    running.kill().and_then(|()| running.wait()).expect("its end");
    assert!(waits, "it ended early");
    assert_eq!(arrivals(&server).len(), 6);
}

#[test]
fn a_server_that_lets_one_connection_in_is_not_served_more_slowly_for_it() {
    let server = Scripted::builder().on_when(|moment| match moment.stage {
        Stage::Connect if moment.connection > 0 => Act::reply_then_drop("421 4.7.0 Too many connections\r\n"),
        _ => Act::Ok,
    });
    let server = server.start();
    let account = account(server.port(), server.ca_file(), "none", "timeout = \"9s\"\nconnections = 8");
    send(&server, 25, &account, &["--rate", "8/s"]);
    let times = arrivals(&server);
    assert!(fullest(&times, SECOND) <= 8);
    assert!(times.len() >= 17 && times[16] - times[0] < Duration::from_secs(3), "{:?}", times[16] - times[0]);
}

#[test]
fn a_server_that_takes_one_message_per_connection_is_not_served_more_slowly_for_it() {
    let server = Scripted::builder().on(Stage::Dot, Act::reply_then_drop("250 2.0.0 Ok\r\n")).start();
    let account = account(server.port(), server.ca_file(), "none", "timeout = \"9s\"");
    send(&server, 13, &account, &["--rate", "4/s"]).ended(0);
    let times = arrivals(&server);
    assert!((times.len(), fullest(&times, SECOND) <= 4) == (13, true));
    assert!(times[12] - times[0] < Duration::from_millis(4500), "{:?}", times[12] - times[0]);
}

/// Two minutes and more: only where `APIECE_LONG` is set.
#[test]
fn the_pace_is_kept_for_minutes() {
    if std::env::var_os("APIECE_LONG").is_none() {
        eprintln!("skipped: APIECE_LONG is not set");
        return;
    }
    const SLOW: Case = Case { flags: &["--rate", "30/min"], rates: &[(30, MINUTE)], messages: 75, ..PLAIN };
    const BOTH: &[(usize, Duration)] = &[(2, SECOND), (40, MINUTE)];
    let wild = &[(Stage::Mail, 900), (Stage::Rcpt, 200), (Stage::Dot, 1500), (Stage::Connect, 300)];
    all_kept(&[
        SLOW,
        Case { connections: 3, delays: wild, ..SLOW },
        Case { connections: 8, delays: wild, refuse: true, ..SLOW },
        Case {
            flags: &["--rate", "2/s"],
            account: "rate = \"40/min\"",
            rates: BOTH,
            connections: 3,
            messages: 100,
            ..SLOW
        },
    ]);
}
