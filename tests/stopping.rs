//! Ctrl-C: what is under way is finished, nothing further is begun, and everybody knows who got it.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    Home, Run, account, outcomes, people,
    scripted::{Act, Moment, Scripted, Stage, Tls},
};

fn start(server: &Scripted, home: &Home, count: usize, format: &str) -> Child {
    home.campaign(&people(count));
    let login = "username = \"u\"\npassword_env = \"P\"\nconnections = 2";
    home.config(&account(server.port(), server.ca_file(), "implicit", login));
    let confirm = count.to_string();
    let arguments = [
        "send",
        "c",
        "--account",
        "work",
        "--retry-after",
        "1ms",
        "--no-wait",
        "--confirm",
        &confirm,
        "--format",
        format,
    ];
    let mut command = home.command(&arguments);
    command.env("P", "secret").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn server() -> crate::support::scripted::Builder {
    Scripted::builder().tls(Tls::Implicit).auth("u", "secret")
}

#[test]
fn ctrl_c_finishes_what_is_under_way_and_begins_nothing_further() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(200))).start();
        let home = Home::new();
        let child = start(&server, &home, 100, "json");
        assert!(server.wait_until(Duration::from_secs(20), |server| server.accepted().len() >= 6));
        signal(&child, name);
        let run = Run::of(child.wait_with_output().unwrap()).ended(code);
        let sent: Vec<u64> = outcomes(&run).into_iter().filter(|(_, o)| o == "sent").map(|(row, _)| row).collect();
        let mut accepted: Vec<u64> = server
            .accepted()
            .iter()
            .map(|one| one.rcpt_to[0].trim_start_matches('p').split('@').next().unwrap().parse().unwrap())
            .collect();
        accepted.sort_unstable();
        assert_eq!(sent, accepted);
        assert_eq!(server.deliveries().len(), accepted.len(), "nothing was broken off");
        assert!(sent.len() < 20, "{}", sent.len());
    }
}

#[test]
fn the_summary_says_who_got_it_and_how_to_go_on() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(100))).start();
    let home = Home::new();
    let child = start(&server, &home, 40, "text");
    assert!(server.wait_until(Duration::from_secs(20), |server| server.accepted().len() >= 5));
    signal(&child, "-INT");
    let run = Run::of(child.wait_with_output().unwrap()).ended(130);
    let sent = server.accepted().len();
    let left = 40 - sent;
    assert!(run.stderr.contains("finishing what is under way; once more leaves at once"), "{}", run.stderr);
    assert!(run.stdout.starts_with(&format!("{sent} of 40 messages sent in ")), "{}", run.stdout);
    let rest = format!(
        "  not begun   {left}\n\nThe run ended early: interrupted\n\n{left} may still get theirs. Later, and without changing the list:\n  \
         apiece send c --account work --retry-after 1ms --no-wait --rows {}-41 --confirm {left}\n",
        sent + 2
    );
    assert!(run.stdout.ends_with(&rest), "{}\n{rest}", run.stdout);
    // and that command does it
    let rows = format!("{}-41", sent + 2);
    let arguments = ["send", "c", "--account", "work", "--rows", &rows, "--confirm", &left.to_string()];
    Run::of(home.command(&arguments).env("P", "secret").output().unwrap()).ended(0);
    let mut everyone: Vec<String> = server.accepted().into_iter().map(|one| one.rcpt_to[0].clone()).collect();
    everyone.sort();
    everyone.dedup();
    assert_eq!((server.accepted().len(), everyone.len()), (40, 40));
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    // The first is taken, so that there are two connections.
    let stall = |moment: &Moment<'_>| moment.stage == Stage::Dot && moment.message > Some(0);
    let server = server().on_when(move |moment| if stall(moment) { Act::Stall } else { Act::Ok }).start();
    let home = Home::new();
    let mut child = start(&server, &home, 10, "text");
    assert!(server.wait_until(Duration::from_secs(20), |server| server.deliveries().len() >= 3));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "the first one waits for what is under way");
    let before = Instant::now();
    signal(&child, "-INT");
    let run = Run::of(child.wait_with_output().unwrap()).ended(130);
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(run.stderr.contains("left at once: what was under way is in doubt"), "{}", run.stderr);
    assert!(run.stdout.starts_with("1 of 10 messages sent in "), "{}", run.stdout);
    assert!(run.stdout.contains("  under way   2\n  not begun   7\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("In doubt: rows 3") && run.stdout.contains(". They are not sent again on their own."),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("-11 --confirm 7"), "{}", run.stdout);
}

#[test]
fn ctrl_c_twice_leaves_a_run_too_that_is_ending_for_another_reason() {
    let server = server()
        .on_when(|moment| match (moment.stage, moment.message) {
            (Stage::Dot, Some(1)) => Act::Stall,
            (Stage::Mail, Some(2)) => Act::reply("550 5.7.1 no\r\n"),
            _ => Act::Ok,
        })
        .start();
    let home = Home::new();
    let child = start(&server, &home, 10, "text");
    assert!(server.wait_until(Duration::from_secs(20), |server| {
        server.lines().iter().filter(|line| line.text.starts_with("MAIL")).count() == 3
    }));
    std::thread::sleep(Duration::from_millis(300));
    let before = Instant::now();
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "-INT");
    Run::of(child.wait_with_output().unwrap()).ended(130);
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_scattered_rest_is_written_down_whole() {
    let refused = |line: &str| {
        line.split(['p', '@']).nth(1).and_then(|row| row.parse::<u64>().ok()).is_some_and(|row| row % 2 == 1)
    };
    let once = std::sync::atomic::AtomicUsize::new(0);
    let server = server()
        .on_when(move |moment| {
            let odd = moment.stage == Stage::Rcpt && refused(moment.line);
            if odd && once.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 60 {
                Act::reply("450 4.2.0 later\r\n")
            } else {
                Act::Ok
            }
        })
        .start();
    let home = Home::new();
    let child = start(&server, &home, 120, "text");
    let run = Run::of(child.wait_with_output().unwrap()).ended(75);
    let command = run.stdout.lines().last().unwrap().trim();
    assert!(
        command.starts_with("apiece send c --account work --retry-after 1ms --no-wait --rows @/")
            && command.ends_with(".txt --confirm 60"),
        "{command}"
    );
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    Run::of(home.command(&arguments).env("P", "secret").output().unwrap()).ended(0);
    let mut everyone: Vec<String> = server.accepted().into_iter().map(|one| one.rcpt_to[0].clone()).collect();
    everyone.sort();
    everyone.dedup();
    assert_eq!((server.accepted().len(), everyone.len()), (120, 120));
}

#[test]
fn ctrl_c_while_the_pace_lets_nobody_go_ends_the_wait() {
    let server = server().start();
    let home = Home::new();
    home.campaign(&people(5));
    let login = "username = \"u\"\npassword_env = \"P\"\nrate = \"2/hour\"";
    home.config(&account(server.port(), server.ca_file(), "implicit", login));
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "5"]);
    let child = command.env("P", "secret").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(server.wait_until(Duration::from_secs(20), |server| server.accepted().len() == 2));
    std::thread::sleep(Duration::from_millis(200));
    let before = Instant::now();
    signal(&child, "-INT");
    let run = Run::of(child.wait_with_output().unwrap()).ended(130);
    assert!(before.elapsed() < Duration::from_secs(7), "{:?}", before.elapsed());
    assert!(
        ["35", "36"].iter().any(|start| run
            .stderr
            .contains(&format!(" waiting campaign={} connection=0 seconds={start}", home.last_campaign()))),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("not begun   3"), "{}", run.stdout);
}
