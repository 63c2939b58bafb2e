//! Whatever a log is made of, and however much is logged: no address, no name, no field, no subject, no body, no password.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::support::{
    Home, Run, account,
    scripted::{Act, Scripted, Stage, Tls},
    skip,
};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A common word, one that has quotes and spaces, and one that means something to shells and formats.
const PASSWORDS: [&str; 3] = ["banana", "it's \"two words\" long", "Zw%s{0}$HOME\\n-Ünsafe"];

/// Names that look like something else; line breaks that begin what looks like a record; what moves cursors.
const LIST: &str = "name,email,note\n\
    Zebediah O'Quux,zeb.quux@one.example,\"noteword\r\n2026-01-01T00:00:00Z error end exit=0 noteforged\"\n\
    wilhelmina@lookalike.example,wil+tag=40x@two.example,%s %n {0} notepercent\n\
    Xanthe %n Yewtree,x!y#zelkova%s@three.example,\u{2067}noteright\u{2069}\n\
    ; rm -rf Vortigern,Vor.Tigern@FOUR.example,\"'noteticks' `notebacktick`\"\n\
    Ünal Ümlautsson,ümlautsson@bücher.example,noteumlaut\n";

/// What must not stand anywhere, in lower case.
fn forbidden(password: &str) -> Vec<String> {
    let mut words: Vec<String> = [
        "zeb.quux",
        "zebediah",
        "quux",
        "wil+tag",
        "wilhelmina",
        "lookalike",
        "xanthe",
        "yewtree",
        "zelkova",
        "vortigern",
        "vor.tigern",
        "ünal",
        "ümlautsson",
        "noteword",
        "noteforged",
        "notepercent",
        "noteright",
        "noteticks",
        "notebacktick",
        "noteumlaut",
        "subjectword",
        "bodyword",
        "error end exit=0",
    ]
    .map(str::to_owned)
    .to_vec();
    words.push(password.to_owned());
    for said in ["zeb.quux@one.example", "wil+tag=40x@two.example", "Vor.Tigern@FOUR.example", password] {
        words.push(BASE64_STANDARD.encode(said).trim_end_matches('=').to_owned());
    }
    words.push(BASE64_STANDARD.encode(format!("\0case.team\0{password}")).trim_end_matches('=').to_owned());
    words.into_iter().map(|word| word.to_lowercase()).collect()
}

#[track_caller]
fn names_nobody(what: &str, text: &str, password: &str) {
    let lower = text.to_lowercase();
    for word in forbidden(password) {
        assert!(!lower.contains(&word), "{word} in {what}:\n{text}");
    }
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t' || "\u{202e}\u{2067}\u{2069}".contains(c);
    assert!(!text.contains(is_odd), "{what}: {text:?}");
}

/// A server that fails, puts off, hangs up and repeats all that it was told.
fn server(password: &'static str) -> Scripted {
    let encoded = BASE64_STANDARD.encode(password);
    Scripted::builder()
        .tls(Tls::Implicit)
        .auth("case.team", password)
        .auth_offer("PLAIN")
        .on_when(move |moment| {
            let line = moment.line;
            let who = if moment.stage == Stage::Dot { moment.rcpt_to.concat() } else { line.to_owned() };
            let names = [
                ("zeb.quux", "Zebediah O'Quux"),
                ("wil+tag", "wilhelmina@lookalike.example"),
                ("zelkova", "Xanthe %n Yewtree"),
            ];
            let name = names.iter().find(|(local, _)| who.contains(local)).map_or("", |(_, name)| *name);
            let echo = format!("{who} {name} {password} {encoded} {} \u{1b}[31m", BASE64_STANDARD.encode(&who));
            match moment.stage {
                Stage::Dot if who.contains("zeb.quux") => Act::reply(format!("250 2.0.0 {echo}\r\n")),
                Stage::Rcpt if line.contains("wil+tag") => {
                    Act::reply(format!("550-5.1.1 {echo}\r\n550 5.1.1 {echo}\r\n"))
                }
                Stage::Rcpt if line.contains("zelkova") => Act::reply(format!("450 4.2.0 {echo}\r\n")),
                Stage::Dot if who.contains("Vor.Tigern") => Act::Drop,
                Stage::Mail if line.contains("SMTPUTF8") => Act::reply_then_drop(format!("421 4.3.2 {echo}\r\n")),
                _ => Act::Ok,
            }
        })
        .start()
}

fn home(server: &Scripted) -> Home {
    let home = Home::new();
    home.config(&account(
        server.port(),
        server.ca_file(),
        "implicit",
        "username = \"case.team\"\npassword_env = \"PW\"",
    ));
    home.campaign(LIST);
    let template = "+++\nfrom = \"updates@police.example\"\nsubject = \"subjectword for you\"\n+++\nDear {{name}},\nbodyword {{note}}.\n";
    home.write("c/t.txt.hbs", template);
    let script = home.write("notified", "#!/bin/sh\n{ env; cat; } > \"$HOME/notification\"\necho \"$APIECE_EXIT\"\n");
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
    home
}

fn arguments(nth: usize, level: &str) -> Vec<String> {
    let all = format!(
        "send c --account work --confirm 5 --no-wait --retry-after 100ms --outbox {nth}.sqlite --log-level {level} \
         --metrics m.prom --notify-command ./notified --notify-email ops@ops.example"
    );
    all.split(' ').map(str::to_owned).collect()
}

/// Everything that a run leaves for others to read, but the journal.
fn look_through(home: &Home, server: &Scripted, run: &Run, password: &str, what: &str) {
    names_nobody(&format!("standard output, {what}"), &run.stdout, password);
    names_nobody(&format!("standard error, {what}"), &run.stderr, password);
    for file in ["m.prom", "notification", "run.log"] {
        if let Ok(text) = std::fs::read_to_string(home.path().join(file)) {
            names_nobody(&format!("{file}, {what}"), &text, password);
        }
    }
    let told: Vec<_> = server.accepted().into_iter().filter(|mail| mail.rcpt_to == ["ops@ops.example"]).collect();
    assert!(!told.is_empty(), "{}", run.stderr);
    for mail in &told {
        names_nobody("the notification", &String::from_utf8_lossy(&mail.data).replace("\r\n", "\n"), password);
    }
}

#[test]
fn at_no_level_and_in_no_format() {
    for password in PASSWORDS {
        let server = server(password);
        let home = home(&server);
        let mut nth = 0;
        for level in LEVELS {
            for format in ["human", "json", "off"] {
                for to_file in [false, true] {
                    nth += 1;
                    let mut arguments = arguments(nth, level);
                    arguments.extend(["--log".to_owned(), format.to_owned()]);
                    if to_file {
                        arguments.extend(["--log-file".to_owned(), "run.log".to_owned()]);
                    }
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    let _ = std::fs::remove_file(home.path().join("run.log"));
                    let run = Run::of(home.command(&arguments).env("PW", password).output().unwrap());
                    assert_ne!(run.code, 0);
                    look_through(&home, &server, &run, password, &format!("{level} {format}"));
                    let log = if to_file {
                        std::fs::read_to_string(home.path().join("run.log")).unwrap_or_default()
                    } else {
                        run.stderr
                    };
                    check_levels(&log, level, format);
                    if password != PASSWORDS[0] {
                        break;
                    }
                }
            }
        }
    }
}

/// What is to be there at a level is there, so that the test does not look through nothing.
#[track_caller]
fn check_levels(log: &str, level: &str, format: &str) {
    let at = LEVELS.iter().position(|one| *one == level).unwrap();
    let has = |event: &str| match format {
        "json" => log.contains(&format!("\"event\":\"{event}\"")),
        _ => log.lines().any(|line| line.starts_with("20") && line.split_whitespace().nth(2) == Some(event)),
    };
    for (event, from) in [("finished", 1), ("put_off", 9), ("end", 1), ("start", 2), ("connected", 2), ("step", 4)] {
        if from < 9 {
            assert_eq!(has(event), format != "off" && at >= from, "{event} at {level} as {format}:\n{log}");
        }
    }
    let sent = if format == "json" { "\"outcome\":\"sent\"" } else { "outcome=sent" };
    assert_eq!(log.contains(sent), format != "off" && at >= 3, "{log}");
    if format == "json" {
        let lines = log.lines().filter(|line| line.starts_with('{'));
        lines.for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap()));
    }
}

#[test]
fn json_for_programs_names_nobody_either() {
    let server = server(PASSWORDS[0]);
    let home = home(&server);
    let arguments = arguments(1, "trace");
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["--format", "json"]);
    let run = Run::of(home.command(&arguments).env("PW", PASSWORDS[0]).output().unwrap());
    look_through(&home, &server, &run, PASSWORDS[0], "JSON");
    assert!(run.stdout.contains("\"event\":\"summary\"") && !run.stderr.contains("connected"), "{}", run.stderr);
}

#[test]
fn a_log_file_is_its_owners_alone_and_is_added_to() {
    let server = server(PASSWORDS[0]);
    let home = home(&server);
    let file = home.path().join("run.log");
    for nth in 1..3 {
        let mut arguments = arguments(nth, "info");
        arguments.extend(["--log-file".to_owned(), "run.log".to_owned()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = Run::of(home.command(&arguments).env("PW", PASSWORDS[0]).output().unwrap());
        assert!(!run.stderr.contains(" connected "), "{}", run.stderr);
        let log = std::fs::read_to_string(&file).unwrap();
        assert_eq!(log.matches(" end campaign=").count(), nth, "{log}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// Stands in for systemd's journal: takes what is sent to its socket.
struct Journal {
    stop: Arc<AtomicBool>,
    entries: std::thread::JoinHandle<Vec<String>>,
}

impl Journal {
    fn start(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let socket = UnixDatagram::bind(directory.join("socket")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let entries = std::thread::spawn(move || {
            let (mut entries, mut bytes) = (Vec::new(), vec![0; 1 << 16]);
            loop {
                match socket.recv(&mut bytes) {
                    Ok(length) => entries.push(String::from_utf8(bytes[..length].to_vec()).unwrap()),
                    Err(_) if is_over.load(Ordering::SeqCst) => return entries,
                    Err(_) => {}
                }
            }
        });
        Self { stop, entries }
    }

    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.entries.join().unwrap()
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_journal_gets_fields_by_itself_and_nobodys_name() {
    use std::os::unix::fs::MetadataExt;

    if !Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success()) {
        return skip("this machine lets no test have mounts of its own");
    }
    let server = server(PASSWORDS[1]);
    let home = home(&server);
    for (nth, level) in LEVELS.into_iter().enumerate() {
        let directory = home.path().join(format!("journal{nth}"));
        let journal = Journal::start(&directory);
        let error = std::fs::File::create(home.path().join("stderr")).unwrap();
        let stream = error.metadata().unwrap();
        let arguments = arguments(nth, level);
        let mounts = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", mounts])
            .arg(&directory)
            .arg(env!("CARGO_BIN_EXE_apiece"))
            .args(&arguments);
        command.current_dir(home.path()).env_clear().env("HOME", home.path()).env("TMPDIR", home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("PW", PASSWORDS[1]);
        // As systemd says it; of another stream it means nothing.
        command.env("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino()));
        let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(error).output().unwrap();
        let mut run = Run::of(output);
        run.stderr = std::fs::read_to_string(home.path().join("stderr")).unwrap();
        assert_ne!(run.code, 0);
        let entries = journal.stop();
        look_through(&home, &server, &run, PASSWORDS[1], "under the journal");
        entries.iter().for_each(|entry| names_nobody("the journal", entry, PASSWORDS[1]));
        assert!(!run.stderr.contains("finished"), "records are not lines as well: {}", run.stderr);
        let at = |event: &str| {
            entries.iter().filter(|entry| entry.contains(&format!("\nAPIECE_EVENT={event}\n"))).collect::<Vec<_>>()
        };
        if level == "error" {
            continue;
        }
        let end = at("end")[0];
        let id = home
            .run(&["status", "--outbox", &format!("{nth}.sqlite")])
            .stdout
            .split_whitespace()
            .next()
            .unwrap()
            .to_owned();
        for field in [
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=apiece",
            &format!("APIECE_CAMPAIGN={id}"),
            "MESSAGE_ID=f86914040dd74c8c16d0b23fcd891399",
            "APIECE_SENT=1",
            "APIECE_FAILED=1",
            "APIECE_IN_DOUBT=1",
            &format!("APIECE_EXIT={}", run.code),
        ] {
            assert!(end.lines().any(|line| line == field), "{field}\n{end}");
        }
        assert!(end.starts_with(&format!("MESSAGE=end campaign={id} name=c ")), "{end}");
        let failed = at("finished").into_iter().find(|entry| entry.contains("\nAPIECE_OUTCOME=failed\n")).unwrap();
        for field in [
            "PRIORITY=4",
            "APIECE_ROW=3",
            "APIECE_REPLY_CODE=550",
            "APIECE_ENHANCED=5.1.1",
            "MESSAGE_ID=d7d7487c45ac9ed93290661e53bac621",
        ] {
            assert!(failed.lines().any(|line| line == field), "{field}\n{failed}");
        }
        // Each line is a field of its own.
        let is_field = |line: &str| {
            line.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        };
        assert!(entries.iter().all(|entry| entry.lines().all(is_field)), "{entries:?}");
        assert_eq!(at("start").len(), usize::from(level != "warn"));
        assert_eq!(at("step").is_empty(), level != "trace");
    }
    // Another stream of the same process is no journal.
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "4"]);
    let run = Run::of(command.env("JOURNAL_STREAM", "1:1").output().unwrap());
    assert!(run.stderr.contains(" error end "), "{}", run.stderr);
}

#[test]
fn a_login_that_is_refused_in_the_words_of_the_password() {
    for password in PASSWORDS {
        let server = Scripted::builder()
            .tls(Tls::Implicit)
            .auth("case.team", "another one")
            .auth_offer("PLAIN")
            .on_when(move |moment| match moment.stage {
                Stage::Auth => {
                    Act::reply(format!("535 5.7.8 {} {password} {}\r\n", moment.line, BASE64_STANDARD.encode(password)))
                }
                _ => Act::Ok,
            })
            .start();
        let home = home(&server);
        let arguments = arguments(1, "trace");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = Run::of(home.command(&arguments).env("PW", password).output().unwrap()).ended(77);
        names_nobody("standard error", &run.stderr, password);
        names_nobody("standard output", &run.stdout, password);
        assert!(
            run.stderr.contains("stopped=login_refused") && run.stderr.contains("reply_code=535 enhanced=5.7.8"),
            "{}",
            run.stderr
        );
        let warning =
            "warning: nobody was notified by email: the login was refused; the run itself ended with exit code 77";
        assert!(run.stderr.contains(warning), "{}", run.stderr);
        assert_eq!(
            server.lines().iter().filter(|line| line.text.starts_with("AUTH")).count(),
            1,
            "one more could lock the account"
        );
    }
}
