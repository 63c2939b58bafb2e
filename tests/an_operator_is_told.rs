//! Whoever runs it without looking is told how it ended: one last line, numbers for a monitor, a notification.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, Run, account, json, monitor, people,
        postfix::Postfix,
        scripted::{Act, Scripted, Stage, Tls},
    },
};

fn relay() -> Scripted {
    Scripted::builder().start()
}

/// Of five people the third is refused.
fn refusing() -> Scripted {
    Scripted::builder()
        .on_when(|moment| match moment.stage {
            Stage::Rcpt if moment.line.contains("<p4@") => Act::reply("550 5.1.1 no such person\r\n"),
            _ => Act::Ok,
        })
        .start()
}

fn home(server: &Scripted) -> Home {
    let home = Home::at_relay(server);
    home.campaign(&people(5));
    home
}

const SEND: [&str; 6] = ["send", "c", "--account", "work", "--confirm", "5"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SEND[..], more].concat()
}

#[track_caller]
fn last_line(run: &Run) -> &str {
    run.stderr.lines().last().unwrap_or_else(|| panic!("nothing on standard error:\n{}", run.stdout))
}

#[test]
fn the_last_line_says_how_it_ended() {
    let server = relay();
    let home = home(&server);
    let id = |home: &Home| home.last_campaign();
    let run = home.run(&SEND).ended(0);
    let wanted = format!(
        "info  end campaign={} name=c account=work how=all_sent exit=0 sent=5 failed=0 deferred=0 in_doubt=0",
        id(&home)
    );
    assert!(last_line(&run).contains(&wanted), "{}", run.stderr);
    assert!(last_line(&run).contains(" per_minute="), "{}", run.stderr);
    let first = run.stderr.lines().find(|line| line.contains(" start ")).unwrap();
    assert!(first.contains("account=work messages=5"), "{first}");
    // Nothing is left to do.
    let run = home.run(&["send", &id(&home), "--account", "work", "--confirm", "5"]).ended(0);
    assert!(last_line(&run).contains("how=nothing_to_do exit=0"), "{}", run.stderr);
    assert!(last_line(&home.run(&SEND).ended(77)).contains("how=refused exit=77 code=outbox.done"));
    // It never began.
    let run = home.run(&["send", "c", "--account", "work", "--again"]).ended(77);
    assert!(
        last_line(&run).contains("error end")
            && last_line(&run).contains("how=refused exit=77 code=send.not-confirmed"),
        "{}",
        run.stderr
    );
    home.write("c/people.csv", "name,email\nAda,\n");
    let run = home.run(&SEND).ended(65);
    assert!(last_line(&run).contains("error end name=c how=refused exit=65 code="), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: "), "what is wrong comes first: {}", run.stderr);
    let run = home.run(&["send", "nowhere", "--confirm", "5"]).ended(65);
    assert!(last_line(&run).contains("error end name=nowhere how=refused exit=65"), "{}", run.stderr);
    home.campaign(&people(5));
    server.stop();
    let run = home.run(&with(&["--again"])).ended(69);
    assert!(
        last_line(&run).contains("error end") && last_line(&run).contains("how=unreachable exit=69 sent=0"),
        "{}",
        run.stderr
    );
    // With nothing wrong, quiet is quiet; else it says how it ended.
    assert!(last_line(&home.run(&with(&["--again", "--quiet"])).ended(69)).contains("how=unreachable"));
    let server = relay();
    let home = self::home(&server);
    assert_eq!(home.run(&with(&["--quiet"])).ended(0).stderr, "");
    assert_eq!(home.run(&with(&["--again", "--log", "off"])).ended(0).stderr, "");
    assert_eq!(home.run(&with(&["--again", "--format", "json"])).ended(0).stderr, "");
    let run = Run::of(home.command(&with(&["--again"])).env("APIECE_LOG", "json").output().unwrap()).ended(0);
    let end: serde_json::Value = serde_json::from_str(last_line(&run)).unwrap();
    assert_eq!(
        (&end["event"], &end["level"], &end["sent"], &end["exit"]),
        (&"end".into(), &"info".into(), &5.into(), &0.into())
    );
}

#[test]
fn one_who_leaves_at_once_has_a_last_line_too() {
    for signals in 1..3 {
        let server = Scripted::builder()
            .on(Stage::Dot, Act::Delay(Duration::from_secs(if signals == 1 { 1 } else { 5 })))
            .start();
        let home = home(&server);
        let child = home.command(&SEND).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert!(server.wait_until(Duration::from_secs(20), |server| !server.deliveries().is_empty()));
        for _ in 0..signals {
            assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
            std::thread::sleep(Duration::from_millis(200));
        }
        let run = Run::of(child.wait_with_output().unwrap()).ended(143);
        let end = run.stderr.lines().find(|line| line.contains(" end ")).unwrap_or_else(|| panic!("{}", run.stderr));
        assert!(end.contains(" how=terminated exit=143 sent=") && end.contains(" warn  end "), "{end}");
    }
}

#[test]
fn at_a_terminal_there_is_a_bar_and_no_log() {
    let server = relay();
    let home = home(&server);
    let mut terminal = Terminal::run(&home, &SEND, &[]);
    terminal.ended(0);
    assert!(!terminal.seen().contains(" end campaign="), "{}", terminal.seen());
    let mut terminal = Terminal::run(&home, &with(&["--again", "--log", "human"]), &[]);
    terminal.ended(0);
    assert!(terminal.seen().contains(" end campaign=") && !terminal.seen().contains('█'), "{}", terminal.seen());
    let mut terminal = Terminal::run(&home, &with(&["--again", "--log-file", "run.log"]), &[]);
    terminal.ended(0);
    assert!(!terminal.seen().contains(" end campaign="), "{}", terminal.seen());
    assert!(std::fs::read_to_string(home.path().join("run.log")).unwrap().contains(" end campaign="));
}

#[test]
fn a_log_that_cannot_be_written_is_said_before_anything_is_sent() {
    let server = relay();
    let home = home(&server);
    let run = home.run(&with(&["--log-file", "no/such/run.log"])).ended(73);
    assert!(run.stderr.starts_with("error: the log no/such/run.log cannot be written: "), "{}", run.stderr);
    home.run(&with(&["--log", "journald", "--log-file", "x"])).ended(64);
    assert!(server.deliveries().is_empty());
}

/// The samples of a file.
fn samples(file: &Path) -> Option<BTreeMap<String, f64>> {
    monitor::samples(&std::fs::read_to_string(file).unwrap())
}

#[test]
fn a_monitor_reads_the_numbers_of_each_run() {
    let server = refusing();
    let home = home(&server);
    let file = home.path().join("apiece.prom");
    home.run(&with(&["--metrics", "apiece.prom"])).ended(1);
    let Some(metrics) = samples(&file) else { return };
    let of = |metrics: &BTreeMap<String, f64>, name: &str, more: &str| {
        metrics.get(&format!("{name} account=work,campaign=c{more}")).copied()
    };
    for (outcome, count) in [("sent", 4.0), ("failed", 1.0), ("queued", 0.0), ("in_doubt", 0.0)] {
        assert_eq!(of(&metrics, "apiece_messages", &format!(",outcome={outcome}")), Some(count), "{metrics:?}");
    }
    assert_eq!(of(&metrics, "apiece_run_exit_code", ""), Some(1.0));
    assert_eq!(metrics.get("apiece_server_replies_total account=work,campaign=c,class=2xx"), Some(&4.0));
    assert_eq!(metrics.get("apiece_server_replies_total account=work,campaign=c,class=5xx"), Some(&1.0));
    assert!(of(&metrics, "apiece_connections_opened_total", "").unwrap() >= 1.0);
    assert_eq!(of(&metrics, "apiece_last_success_timestamp_seconds", ""), None);
    let (began, ended) = (
        of(&metrics, "apiece_run_started_timestamp_seconds", ""),
        of(&metrics, "apiece_run_finished_timestamp_seconds", ""),
    );
    assert!(began.unwrap() > 1.7e9 && ended >= began, "{metrics:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    // One that is all right, and then one that is not: when it last was is still known.
    home.write("c/people.csv", people(2));
    home.run(&["send", "c", "--account", "work", "--confirm", "2", "--again", "--metrics", "apiece.prom"]).ended(0);
    let right = samples(&file).unwrap();
    let success = of(&right, "apiece_last_success_timestamp_seconds", "").unwrap();
    home.write("c/people.csv", "name,email\nAda,\n");
    home.run(&with(&["--metrics", "apiece.prom"])).ended(65);
    let refused = samples(&file).unwrap();
    assert_eq!(refused.get("apiece_run_exit_code campaign=c"), Some(&65.0), "{refused:?}");
    assert_eq!(refused.get("apiece_last_success_timestamp_seconds campaign=c"), Some(&success));
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn numbers_are_there_while_it_runs_and_never_by_halves() {
    let server = relay();
    let home = Home::new();
    home.campaign(&people(5));
    home.config(&account(server.port(), server.ca_file(), "none", "rate = \"1/s\""));
    let file = home.path().join("apiece.prom");
    let mut child =
        home.command(&with(&["--metrics", "apiece.prom"])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    let mut seen = 0;
    while child.try_wait().unwrap().is_none() {
        if let Ok(text) = std::fs::read_to_string(&file) {
            assert!(
                text.starts_with("# HELP apiece_messages ")
                    && text.ends_with('\n')
                    && text.contains("apiece_run_duration_seconds{"),
                "{text}"
            );
            seen += usize::from(!text.contains("apiece_run_finished_timestamp_seconds{"));
        }
        assert!(start.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(seen > 10, "{seen}");
    assert!(
        std::fs::read_to_string(&file).unwrap().contains("apiece_run_exit_code{campaign=\"c\",account=\"work\"} 0\n")
    );
}

#[test]
fn numbers_that_cannot_be_written_change_nothing() {
    let server = relay();
    let home = home(&server);
    let run = home.run(&with(&["--metrics", "no/such/apiece.prom"])).ended(0);
    assert_eq!(run.stderr.matches("warning: no/such/apiece.prom cannot be written").count(), 1, "{}", run.stderr);
    assert_eq!(server.accepted().len(), 5);
    for rehearsal in ["--dry-run", "--sandbox"] {
        home.run(&["send", "c", rehearsal, "--metrics", "x"]).ended(64);
        home.run(&["send", "c", rehearsal, "--notify-email", "x@y.example"]).ended(64);
    }
}

fn program(home: &Home, script: &str) {
    let file = home.write("notified", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_is_told_in_counts_and_knows_no_password() {
    let server = refusing();
    let home = home(&server);
    program(&home, "{ echo \"$1\"; env; echo --; cat; } > told; echo mixed into; exit 3");
    let mut command = home.command(&with(&["--notify-command", "./notified 'one argument $HOME'", "--format", "json"]));
    let run =
        Run::of(command.env("SMTP_PASSWORD", "hunter2").env("CREDENTIALS_DIRECTORY", "/x").output().unwrap()).ended(1);
    let told = std::fs::read_to_string(home.path().join("told")).unwrap();
    let (environment, object) = told.split_once("--\n").unwrap();
    assert!(environment.starts_with("one argument $HOME\n"), "no shell: {environment}");
    for line in [
        "APIECE_EXIT=1",
        "APIECE_SENT=4",
        "APIECE_FAILED=1",
        "APIECE_QUEUED=0",
        "APIECE_NAME=c",
        "APIECE_HOW=some_not_sent",
    ] {
        assert!(environment.lines().any(|one| one == line), "{line}: {environment}");
    }
    assert!(
        !told.contains("hunter2") && !environment.contains("CREDENTIALS_DIRECTORY") && !told.contains("list.example"),
        "{told}"
    );
    let object: serde_json::Value = serde_json::from_str(object).unwrap();
    assert_eq!((&object["event"], &object["sent"], &object["exit"]), (&"end".into(), &4.into(), &1.into()));
    assert_eq!(object["campaign"], home.last_campaign());
    // It says nothing among the results, and that it failed is no more than a warning.
    assert!(!run.stdout.contains("mixed") && json(&run).last().unwrap()["event"] == "summary", "{}", run.stdout);
    let warning = "warning: nobody was notified by command: the program ended with exit status: 3; the run itself ended with exit code 1\n";
    assert_eq!(run.stderr, warning);
    // What is there may still turn out not to run.
    home.write("notified", "#!/nonesuch\n");
    let run = home.run(&with(&["--again", "--notify-command", "./notified there"])).ended(1);
    assert!(run.stderr.contains("nobody was notified by command: it could not be started"), "{}", run.stderr);
}

#[test]
fn a_program_that_cannot_be_run_is_said_before_anything_is_sent() {
    let server = relay();
    let home = home(&server);
    home.write("script", "#!/bin/sh\n");
    for (command, said) in [
        ("nonesuch --quick", "there is no program \"nonesuch\""),
        ("./nonesuch", "there is no program \"./nonesuch\""),
        ("./c", "there is no program \"./c\""),
        ("./script", "\"./script\" may not be run as a program"),
        ("\"script", "a quotation mark is not closed"),
    ] {
        let run = home.run(&with(&["--notify-command", command])).ended(78);
        assert!(run.stderr.contains(said), "{command}: {}", run.stderr);
        assert!(last_line(&run).contains("how=refused exit=78 code=notify.command"), "{}", run.stderr);
        assert!(!run.stderr.contains("nobody was notified"), "{}", run.stderr);
    }
    assert!(server.accepted().is_empty());
}

#[test]
fn two_campaigns_have_two_names_for_a_monitor() {
    let server = relay();
    let home = home(&server);
    let numbers = |name: &str, code: i32| {
        let from = home.path().join("c");
        std::fs::create_dir(home.path().join(name)).unwrap();
        for file in ["campaign.toml", "people.csv", "t.txt.hbs"] {
            std::fs::copy(from.join(file), home.path().join(name).join(file)).unwrap();
        }
        let run = home.run(&["send", name, "--account", "work", "--confirm", "5", "--again", "--metrics", "m.prom"]);
        (run.ended(code), std::fs::read_to_string(home.path().join("m.prom")).unwrap_or_default())
    };
    let (run, _) = numbers("about ada@one.example", 78);
    assert!(run.stderr.contains("the campaign's name holds one") && !run.stderr.contains("ada@"), "{}", run.stderr);
    assert!(!home.path().join("m.prom").exists());
    for name in ["500 club", "500 klub", "UmVwb3J0MTIzNDU2Nzg5MA", "UmVwb3J0MTIzNDU2Nzg5MQ"] {
        let (run, text) = numbers(name, 0);
        assert!(text.contains(&format!("{{campaign=\"{name}\",account=\"work\"")), "{text}");
        assert!(
            last_line(&run)
                .contains(&format!("name={}", if name.contains(' ') { format!("{name:?}") } else { name.into() })),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn why_there_was_no_token_is_in_the_log() {
    let server = Scripted::builder().tls(Tls::Implicit).start();
    let home = home(&server);
    for (program, code, why) in [
        ("false", 75, "why=\"the program of token_command ended with exit status: 1\""),
        ("true", 77, "why=\"the token from token_command is empty\""),
    ] {
        let login = format!("username = \"case.team\"\ntoken_command = [\"{program}\"]");
        home.config(&account(server.port(), server.ca_file(), "implicit", &login));
        let run = home.run(&with(&["--no-wait"])).ended(code);
        let stopping = run.stderr.lines().find(|line| line.contains(" stopping ")).unwrap();
        assert!(stopping.contains("stopped=no_secret code=secret.unreadable") && stopping.contains(why), "{stopping}");
        assert!(last_line(&run).contains("how=no_secret"), "{}", run.stderr);
        assert!(last_line(&run).contains("code=secret.unreadable"), "{}", run.stderr);
    }
}

#[test]
fn nobody_is_told_what_is_no_news() {
    let server = relay();
    let home = home(&server);
    program(&home, "echo \"$APIECE_EXIT\" >> told");
    let told = || std::fs::read_to_string(home.path().join("told")).unwrap_or_default();
    let notify = ["--notify-command", "./notified"];
    home.run(&with(&[&notify[..], &["--notify-on", "trouble"]].concat())).ended(0);
    assert_eq!(told(), "");
    // A job that starts each minute and has nothing to do.
    home.run(&with(&notify)).ended(77);
    let id = home.last_campaign();
    home.run(&[&["send", &id, "--account", "work", "--confirm", "5"], &notify[..]].concat()).ended(0);
    assert_eq!(told(), "");
    home.run(&with(&[&notify[..], &["--again"]].concat())).ended(0);
    assert_eq!(told(), "0\n");
    home.write("c/people.csv", "name,email\nAda,\n");
    home.run(&with(&[&notify[..], &["--notify-on", "trouble"]].concat())).ended(65);
    assert_eq!(told(), "0\n65\n");
    home.write(
        "c/campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[notify]\ncommand = \"rm -r x\"\n",
    );
    let run = home.run(&with(&[])).ended(65);
    assert!(run.stderr.contains("a campaign does not choose what runs on a machine"), "{}", run.stderr);
}

#[test]
fn one_person_gets_an_email_of_their_own_through_a_real_server() {
    let Some(postfix) = Postfix::start() else { return };
    let home = Home::new();
    let login = format!("username = \"{}\"\npassword_env = \"SMTP_PASSWORD\"", postfix.user());
    home.config(&account(postfix.smtps_port(), postfix.ca_file(), "implicit", &login));
    home.campaign(&people(3));
    let settings = "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\naccount = \"work\"\n[notify]\nemail = \"ops@list.example\"\non = \"end\"\n";
    home.write("c/campaign.toml", settings);
    let send = |arguments: &[&str]| {
        let mut command = home.command(&[&["send", "c"], arguments].concat());
        Run::of(command.env("SMTP_PASSWORD", postfix.password()).output().unwrap())
    };
    let run = send(&["--confirm", "3"]).ended(0);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let delivered = postfix.wait_for(4);
    let told: Vec<_> = delivered.iter().filter(|one| one.mailbox.contains("ops")).collect();
    assert_eq!(told.len(), 1, "{delivered:?}");
    assert!(postfix.recipients_per_message().iter().all(|count| *count == 1));
    let text = String::from_utf8_lossy(told[0].sent()).into_owned();
    for words in [
        "Subject: apiece: 3 of 3 sent: c",
        "To: ops@list.example",
        "Auto-Submitted: auto-generated",
        "sent       3",
        "Exit code  0",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    for person in ["p2@", "p3@", "p4@", "Person"] {
        assert!(!text.contains(person), "{person}\n{text}");
    }
    // It is none of the campaign's.
    let status = home.run(&["status"]).ended(0).stdout;
    assert!(status.contains("3 sent") && !status.contains("4 sent"), "{status}");
    // Where the list is refused the settings still say who is to be told, and a rehearsal tells nobody.
    send(&["--dry-run"]).ended(0);
    home.write("c/people.csv", "name,email\nAda,\n");
    send(&["--confirm", "3"]).ended(65);
    let delivered = postfix.wait_for(5);
    let text = delivered
        .iter()
        .map(|one| String::from_utf8_lossy(one.sent()).into_owned())
        .find(|text| text.contains("refused before anything was sent"))
        .unwrap();
    assert!(text.contains("Exit code  65"), "{text}");
}

#[test]
fn a_server_that_is_gone_is_said_to_be_and_hides_nothing() {
    let server = relay();
    let home = home(&server);
    server.stop();
    let run = home.run(&with(&["--notify-email", "ops@ops.example"])).ended(69);
    let warning = run
        .stderr
        .lines()
        .find(|line| line.starts_with("warning: nobody was notified by email: there is no connection to localhost:"));
    assert!(warning.is_some_and(|line| line.ends_with("the run itself ended with exit code 69")), "{}", run.stderr);
    let server = Scripted::builder()
        .on_when(|moment| match moment.stage {
            Stage::Rcpt if moment.line.contains("<ops@") => Act::reply("550 5.1.1 no such person\r\n"),
            _ => Act::Ok,
        })
        .start();
    let home = self::home(&server);
    let run = home.run(&with(&["--notify-email", "ops@ops.example"])).ended(0);
    assert!(run.stderr.contains("nobody was notified by email: 550 5.1.1 no such person"), "{}", run.stderr);
    assert_eq!(server.accepted().len(), 5);
}

#[test]
fn nothing_but_older_numbers_and_logs_is_written_over() {
    let server = relay();
    let home = home(&server);
    let list = std::fs::read(home.path().join("c/people.csv")).unwrap();
    std::os::unix::fs::symlink(home.path().join("c/people.csv"), home.path().join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(home.path().join("fifo")).status().unwrap().success());
    for file in ["c/people.csv", "link", "fifo", "c"] {
        for flag in ["--metrics", "--log-file"] {
            let run = home.run(&with(&[flag, file])).ended(73);
            assert!(run.stderr.contains("cannot be written: what is there is no "), "{file}: {}", run.stderr);
        }
    }
    assert_eq!(std::fs::read(home.path().join("c/people.csv")).unwrap(), list);
    assert_eq!(server.accepted().len(), 0);
    // Those of the last run are.
    for code in [0, 77] {
        home.run(&with(&["--metrics", "run.prom", "--log-file", "run.log"])).ended(code);
    }
    assert_eq!(server.accepted().len(), 5);
    let log = std::fs::read_to_string(home.path().join("run.log")).unwrap();
    assert_eq!(log.matches(" end ").count(), 2, "{log}");
}
