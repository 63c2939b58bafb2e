//! Nothing is begun outside of its window, before its time or after it: whole runs with a clock that the test sets.

use std::{
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, Run,
        clock::Clock,
        json,
        processes::patiently,
        scripted::{Act, Scripted, Stage},
    },
};

/// So long something is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn home(server: &Scripted, count: usize, send: &str) -> Home {
    Home::of_a_job(server, count, &format!("[send]\n{send}"))
}

fn command(home: &Home, clock: &Clock, arguments: &[&str]) -> Command {
    let mut command = home.command(arguments);
    clock.over(&mut command);
    let errors = std::fs::File::create(home.path().join("said")).unwrap();
    command.stdout(Stdio::piped()).stderr(errors);
    command
}

fn run(home: &Home, clock: &Clock, arguments: &[&str]) -> Run {
    let output = command(home, clock, arguments).output().unwrap();
    Run { stderr: said(home), ..Run::of(output) }
}

/// What a run that is under way has said.
fn said(home: &Home) -> String {
    std::fs::read_to_string(home.path().join("said")).unwrap_or_default()
}

#[track_caller]
fn wait_for(home: &Home, words: &str) {
    assert!(patiently(PATIENCE, || said(home).contains(words)), "{words:?} does not come: {}", said(home));
}

fn ended(home: &Home, child: Child, code: i32) -> Run {
    let run = Run::of(child.wait_with_output().unwrap());
    Run { stderr: said(home), ..run }.ended(code)
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// A server at which the clock is set when it has so many messages.
fn server_that_sets(
    clock: &Arc<Mutex<Option<Clock>>>,
    extensions: &[&str],
    after: usize,
    time: &'static str,
) -> Scripted {
    let (clock, count) = (Arc::clone(clock), Mutex::new(0));
    let server = Scripted::builder().extensions(extensions).on_when(move |moment| {
        if moment.stage == Stage::Dot {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count == after {
                clock.lock().unwrap().as_ref().unwrap().set(time);
            }
        }
        Act::Ok
    });
    server.start()
}

fn everybody_once(server: &Scripted, count: usize) {
    let mut got: Vec<String> = server.accepted().into_iter().flat_map(|one| one.rcpt_to).collect();
    assert_eq!(got.len(), count);
    got.sort();
    got.dedup();
    assert_eq!((got.len(), server.deliveries().len()), (count, count));
}

const WEEKDAYS: &str = "window = \"Mon-Fri 09:00-17:00 Europe/London\"";

#[test]
fn a_run_pauses_on_friday_and_goes_on_on_monday() {
    // Where a server takes several commands at once, the next message is under way with the end of the one before, and ends.
    for (extensions, before) in [(&["8BITMIME"][..], 3), (&["8BITMIME", "PIPELINING"], 4)] {
        let shared = Arc::new(Mutex::new(None));
        let server = server_that_sets(&shared, extensions, 3, "2026-11-27 17:00 Europe/London");
        let home = home(&server, 10, WEEKDAYS);
        let Some(clock) = Clock::at(&home, "2026-11-27 16:58 Europe/London") else { return };
        *shared.lock().unwrap() = Some(clock.clone());
        let arguments = ["send", "c", "--confirm", "10", "--connections", "1", "--format", "json"];
        let child = command(&home, &clock, &arguments).spawn().unwrap();
        assert!(server.wait_until(PATIENCE, |server| server.lines().iter().any(|line| line.text == "QUIT")));
        // A clock that is set somewhere into the weekend opens nothing.
        for time in ["2026-11-28 12:00", "2026-11-29 23:59", "2026-11-30 08:59"] {
            clock.set(&format!("{time} Europe/London"));
            std::thread::sleep(Duration::from_millis(1500));
            assert_eq!(server.deliveries().len(), before, "{time}");
        }
        assert_eq!(server.connections(), 1);
        clock.set("2026-11-30 09:00 Europe/London");
        let run = ended(&home, child, 0);
        everybody_once(&server, 10);
        let events = json(&run);
        let of = |name: &str| events.iter().filter(|event| event["event"] == name).cloned().collect::<Vec<_>>();
        assert_eq!(of("paused").len(), 1);
        assert_eq!(of("paused")[0]["until"], "2026-11-30T09:00:00Z");
        assert_eq!((of("resumed").len(), of("summary")[0]["pauses"].as_u64()), (1, Some(1)));
        // When it left is on the record, and none of it lies in the weekend.
        let export = home.run(&["export", &home.last_campaign()]).ended(0).stdout;
        let times = export.lines().skip(1).map(|line| line.split(',').nth(3).unwrap());
        let days: std::collections::BTreeSet<&str> = times.map(|time| &time[..10]).collect();
        assert_eq!(days, ["2026-11-27", "2026-11-30"].into(), "{export}");
    }
}

#[test]
fn too_early_waits_too_late_is_refused_and_without_waiting_it_is_said_when() {
    let server = Scripted::builder().start();
    let home =
        home(&server, 3, &format!("{WEEKDAYS}\nnot_before = \"2026-12-01 09:00\"\nnot_after = \"2026-12-04 12:00\""));
    let Some(clock) = Clock::at(&home, "2026-11-30 12:00 Europe/London") else { return };
    let refused = run(&home, &clock, &["send", "c", "--confirm", "3", "--no-wait"]).ended(75).stderr;
    assert!(refused.contains("it can be Tue 2026-12-01 09:00 Europe/London; nothing was sent"), "{refused}");
    let quiet = run(&home, &clock, &["send", "c", "--confirm", "3", "--no-wait", "--quiet"]).ended(75);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let shown = run(&home, &clock, &["send", "c", "--dry-run", "--rate", "1/hour"]).ended(0).stdout;
    assert!(
        shown.contains(
            "begins Tue 2026-12-01 09:00 Europe/London, and ends Tue 2026-12-01 11:00 Europe/London at the earliest"
        ),
        "{shown}"
    );
    // Waiting can be broken off, and nobody got anything.
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let child = command(&home, &clock, &["send", "c", "--confirm", "3"]).spawn().unwrap();
        wait_for(&home, "Tue 2026-12-01 09:00 Europe/London");
        assert!(home.run(&["status", &home.last_campaign()]).stdout.contains("Running"));
        signal(&child, name);
        ended(&home, child, code);
    }
    let child = command(&home, &clock, &["send", "c", "--confirm", "3"]).spawn().unwrap();
    wait_for(&home, "Tue 2026-12-01 09:00");
    assert_eq!(server.connections(), 0);
    // The machine slept for too long.
    clock.set("2026-12-04 12:00:01 Europe/London");
    let over = ended(&home, child, 77).stdout;
    assert!(over.contains("it is too late: nothing is begun after Fri 2026-12-04 12:00 Europe/London"), "{over}");
    let refused = run(&home, &clock, &["send", "c", "--confirm", "3"]).ended(77).stderr;
    assert!(refused.contains("it is too late"), "{refused}");
    let id = home.last_campaign();
    run(&home, &clock, &["send", &id, "--account", "work", "--confirm", "3"]).ended(77);
    assert_eq!(server.connections(), 0);
    clock.set("2026-12-01 09:00 Europe/London");
    run(&home, &clock, &["send", "c", "--confirm", "3"]).ended(0);
    everybody_once(&server, 3);
}

#[test]
fn a_time_that_is_named_is_waited_for_and_one_that_is_over_is_refused() {
    let server = Scripted::builder().start();
    let home = home(&server, 3, "");
    let Some(clock) = Clock::at(&home, "2026-12-01 08:00 Europe/London") else { return };
    let at = |time: &'static str| ["send", "c", "--confirm", "3", "--at", time];
    let refused = run(&home, &clock, &at("2026-12-01 07:58 Europe/London")).ended(77).stderr;
    assert!(refused.contains("--at is over: it was Tue 2026-12-01 07:58"), "{refused}");
    run(&home, &clock, &at("2026-12-01")).ended(64);
    run(&home, &clock, &at("2026-03-29 01:30 Europe/London")).ended(64);
    let child = command(&home, &clock, &at("2026-12-01T08:30:00Z")).spawn().unwrap();
    wait_for(&home, "Tue 2026-12-01 08:30");
    clock.set("2026-12-01 08:30:00 Europe/London");
    let waited = ended(&home, child, 0).stdout;
    assert!(waited.contains("It waited 1 time until it might be sent") && !waited.contains("window"), "{waited}");
    everybody_once(&server, 3);
}

#[test]
fn a_window_that_never_opens_is_said_to_be_none() {
    let server = Scripted::builder().start();
    let home =
        home(&server, 3, &format!("window = \"Tue 09:00-10:00 UTC\"\nholidays = [{}]", all_tuesdays().join(", ")));
    let Some(clock) = Clock::at(&home, "2026-12-01 08:00 Europe/London") else { return };
    let refused = run(&home, &clock, &["send", "c", "--confirm", "3"]).ended(77).stderr;
    assert!(refused.contains("no window ever opens") && refused.contains("holidays"), "{refused}");
    assert!(!refused.contains("after ;"), "{refused}");
    assert_eq!(server.connections(), 0);
}

/// So many that nobody looks further ahead.
fn all_tuesdays() -> Vec<String> {
    let mut day: jiff::civil::Date = "2026-12-01".parse().unwrap();
    let mut all = Vec::new();
    for _ in 0..130 {
        all.push(format!("\"{day}\""));
        day = day.checked_add(jiff::ToSpan::days(7)).unwrap();
    }
    all
}

#[test]
fn what_is_put_off_and_due_outside_waits_for_the_next_opening() {
    let clock = Arc::new(Mutex::new(None));
    let server = {
        let clock = Arc::clone(&clock);
        let is_first = Mutex::new(true);
        let server = Scripted::builder().on_when(move |moment| {
            if moment.stage == Stage::Rcpt
                && moment.line.contains("<p3@")
                && std::mem::take(&mut *is_first.lock().unwrap())
            {
                let clock: &Mutex<Option<Clock>> = &clock;
                clock.lock().unwrap().as_ref().unwrap().set("2026-12-24 16:59:58 Europe/London");
                return Act::reply("450 4.2.0 later\r\n");
            }
            Act::Ok
        });
        server.start()
    };
    let home = home(&server, 4, &format!("{WEEKDAYS}\nholidays = \"days.txt\"\nretry_after = \"4s\""));
    home.write("c/days.txt", "2026-12-25 Christmas Day\n2026-12-28 Boxing Day (substitute)\n");
    let Some(set) = Clock::at(&home, "2026-12-24 16:00 Europe/London") else { return };
    *clock.lock().unwrap() = Some(set.clone());
    let child = command(&home, &set, &["send", "c", "--confirm", "4", "--connections", "1"]).spawn().unwrap();
    wait_for(&home, "Tue 2026-12-29 09:00 Europe/London");
    let before = server.accepted().len();
    set.set("2026-12-28 12:00 Europe/London");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((server.accepted().len(), before), (before, 3));
    set.set("2026-12-29 09:00 Europe/London");
    ended(&home, child, 0);
    everybody_once_at_last(&server, 4);
    // What the file said is kept with the campaign.
    let record = rusqlite::Connection::open(home.path().join(crate::support::OUTBOX)).unwrap();
    let settings: String = record.query_row("SELECT settings FROM campaign", [], |row| row.get(0)).unwrap();
    assert!(
        settings.contains("holidays = [\"2026-12-25 Christmas Day\", \"2026-12-28 Boxing Day (substitute)\"]"),
        "{settings}"
    );
}

fn everybody_once_at_last(server: &Scripted, count: usize) {
    let mut got: Vec<String> = server.accepted().into_iter().flat_map(|one| one.rcpt_to).collect();
    got.sort();
    got.dedup();
    assert_eq!((got.len(), server.accepted().len()), (count, count));
}

#[test]
fn what_may_not_be_sent_any_more_when_the_window_opens_is_not() {
    let server = Scripted::builder().start();
    let home = home(&server, 3, WEEKDAYS);
    let Some(clock) = Clock::at(&home, "2026-11-28 12:00 Europe/London") else { return };
    let child = command(&home, &clock, &["send", "c", "--confirm", "3"]).spawn().unwrap();
    wait_for(&home, "Mon 2026-11-30 09:00");
    // Somebody changes the log behind the program's back: what is looked at again before it goes on.
    let record = rusqlite::Connection::open(home.path().join(crate::support::OUTBOX)).unwrap();
    record.execute_batch("DROP TRIGGER log_is_not_changed; UPDATE log SET who = 'mallory' WHERE number = 1").unwrap();
    clock.set("2026-11-30 09:00 Europe/London");
    let over = ended(&home, child, 77).stdout;
    assert!(over.contains("it may not be sent any more"), "{over}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn the_question_says_when_it_begins_and_when_it_ends() {
    let server = Scripted::builder().start();
    let home = home(&server, 5, "window = \"Sun 00:00-00:01 UTC\"\nrate = \"1/day\"");
    let mut terminal = Terminal::run(&home, &["send", "c"], &[]);
    terminal.wait_for("Type the number of recipients to send: ");
    let seen = terminal.seen();
    assert!(seen.contains("When        Sun 00:00-00:01 UTC\n"), "{seen}");
    assert!(seen.contains("and ends Sun ") && seen.contains("00:00 UTC at the earliest"), "{seen}");
    terminal.type_in("\u{3}");
}

#[test]
fn wrong_times_are_said_with_their_place() {
    let server = Scripted::builder().start();
    for (send, said) in [
        ("window = \"Mon-Fri 9-17\"", "c/campaign.toml:5:10"),
        ("window = [\"Mo-Fr 09:00-17:00\"]", "is not a window"),
        ("window = \"09:00-17:00 Europe/Lundon\"", "is no time zone"),
        ("not_before = \"2026-03-29 01:30 Europe/London\"", "does not exist in Europe/London"),
        ("not_before = \"2026-10-25 01:30\"\nwindow = \"09:00-10:00 Europe/London\"", "comes twice in Europe/London"),
        ("not_before = \"2026-12-02 01:30 UTC\"\nnot_after = \"2026-12-01 01:30 UTC\"", "there is no time in between"),
        ("holidays = \"none.txt\"", "there is no such file"),
        ("holidays = [\"25.12.2026\"]", "is not a date"),
        ("max_change = \"20\"", "is no percentage"),
        ("if_unchanged = \"skip\"", "none of send, refuse and finish"),
    ] {
        let run = home(&server, 1, send).run(&["check", "c"]).ended(65);
        assert!(run.stderr.contains(said), "{send}: {}", run.stderr);
    }
    // What a campaign says is data; what is said on the command line is how this run is set up.
    let home = home(&server, 1, "holidays = \"none.txt\"");
    home.run(&["send", "c", "--confirm", "1"]).ended(65);
    home.write("days.txt", "2026-12-25\n25.12.2027\n");
    for file in ["none.txt", "days.txt"] {
        home.run(&["send", "c", "--confirm", "1", "--holidays", file]).ended(78);
    }
    assert!(server.deliveries().is_empty());
}
