//! What a person sees at a terminal: the question, the bar, colours, and the prompt for a password.

use std::{
    collections::HashSet,
    io::{Read, Write},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::support::{
    Home, OUTBOX, account,
    dkim::{Key, Kind},
    people,
    scripted::{Act, Scripted, Stage, Tls},
};

/// A program at a pseudo-terminal.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    pub(crate) fn run(home: &Home, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::run_program(home, env!("CARGO_BIN_EXE_apiece"), arguments, environment)
    }

    fn run_program(home: &Home, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(PtySize { rows: 40, cols: 160, ..PtySize::default() }).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home.path());
        command.env("TMPDIR", home.path());
        command.env("TERM", "xterm");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(home.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut screen, into) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&seen));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keyboard: pair.master.take_writer().unwrap(), seen, reader, master: pair.master }
    }

    /// All that is said by a command that asks nothing and ends with this exit code.
    #[track_caller]
    pub(crate) fn all(home: &Home, arguments: &[&str], code: u32) -> String {
        let mut terminal = Self::run(home, arguments, &[]);
        terminal.ended(code);
        let Self { reader, seen, .. } = terminal;
        // Where everybody has closed it, reading ends.
        reader.join().unwrap();
        seen.lock().unwrap().replace("\r\n", "\n")
    }

    /// Ctrl-C at a prompt: the command ends, and the terminal is as it was.
    #[track_caller]
    pub(crate) fn broken_off(home: &Home, command: &str, prompt: &str) {
        let script = format!("trap : INT; {} {command}; echo ended with $?; stty -a", env!("CARGO_BIN_EXE_apiece"));
        let mut terminal = Self::run_program(home, "/bin/sh", &["-c", &script], &[]);
        terminal.wait_for(prompt);
        // It is read soon after it is asked for.
        std::thread::sleep(Duration::from_millis(200));
        terminal.type_in("\u{3}");
        terminal.wait_for("ended with 130");
        terminal.wait_for("iexten");
        let seen = terminal.seen();
        assert!(seen.contains("isig icanon iexten echo ") && !seen.contains("-isig"), "{seen}");
    }

    pub(crate) fn seen(&self) -> String {
        self.seen.lock().unwrap().replace("\r\n", "\n")
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, words: &str) {
        let start = Instant::now();
        while !self.seen().contains(words) {
            assert!(start.elapsed() < Duration::from_secs(20), "{words:?} does not come:\n{}", self.seen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether it shows what is typed.
    fn shows_what_is_typed(&self) -> bool {
        /// `ECHO` of termios(3), the same in Linux and macOS.
        const ECHO: u32 = 8;
        u64::from(self.master.get_termios().unwrap().local_flags.bits()) & u64::from(ECHO) != 0
    }

    #[track_caller]
    pub(crate) fn ended(&mut self, code: u32) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.exit_code(), code, "{}", self.seen());
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "it does not end:\n{}", self.seen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn home_for(server: &Scripted, more: &str) -> Home {
    let home = Home::new();
    home.campaign(&people(12));
    home.config(&account(server.port(), server.ca_file(), "implicit", &format!("username = \"case.team\"\n{more}")));
    home
}

fn server() -> crate::support::scripted::Builder {
    Scripted::builder().tls(Tls::Implicit).auth("case.team", "secret")
}

const SEND: [&str; 4] = ["send", "c", "--account", "work"];

#[test]
fn who_signs_is_shown_before_anything_is_sent() {
    let server = server().start();
    let key = Key::new(Kind::Ed25519);
    let home = home_for(&server, &format!("password_env = \"P\"\n{}", key.settings("police.example")));
    let mut terminal = Terminal::run(&home, &SEND, &[("P", "secret")]);
    terminal.wait_for("Type the number of recipients to send: ");
    let signed = "as case.team)\nSigned      DKIM for police.example, ed25519-sha256, key ed.s2026\nRecipients  12,";
    assert!(terminal.seen().contains(signed), "{}", terminal.seen());
    terminal.type_in("11\n");
    terminal.ended(77);
    assert!(server.accepted().is_empty());
}

#[test]
fn the_number_of_recipients_has_to_be_typed() {
    let server = server().start();
    let home = home_for(&server, "password_env = \"P\"\nrate = [\"30/min\", \"2000/day\"]");
    let mut terminal = Terminal::run(&home, &SEND, &[("P", "secret")]);
    terminal.wait_for("Type the number of recipients to send: ");
    let seen = terminal.seen();
    let lines: Vec<&str> = seen.lines().collect();
    let digest = lines[1].strip_prefix("Digest      ").unwrap();
    let server_line = format!("Server      localhost:{} (account work, TLS, as case.team)", server.port());
    assert!(lines[0].starts_with("Campaign    c (") && lines[0].ends_with(')'), "{seen}");
    assert_eq!(
        lines[2..6],
        [
            "Subject     For Person 2",
            "From        updates@police.example",
            &server_line,
            "Recipients  12, each a message of their own; some of them:",
        ]
    );
    // The first, the last, and three others in the order of the list, with what differs.
    let rows: Vec<u64> = lines[6..11].iter().map(|line| shown_row(line)).collect();
    assert!(rows.is_sorted() && rows[0] == 2 && rows[4] == 13 && HashSet::<_>::from_iter(&rows).len() == 5, "{seen}");
    assert_eq!(lines[11..], ["Pace        30/min, 2000/day", "", "Type the number of recipients to send: "]);
    assert_eq!(server.connections(), 0, "nothing is opened before the answer");
    terminal.type_in("12\n");
    terminal.ended(0);
    terminal.wait_for("12 of 12 messages sent in ");
    assert_eq!(server.accepted().len(), 12);
    // What was shown is what was prepared, and what was confirmed.
    let status = home.run(&["status", &home.last_campaign()]).ended(0).stdout;
    assert!(status.contains(&format!("Digest      {digest}\n")), "{status}");
    let log = rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap();
    let sql = "SELECT details FROM log WHERE what = 'confirmed'";
    let confirmed: String = log.query_row(sql, [], |row| row.get(0)).unwrap();
    let confirmed: serde_json::Value = serde_json::from_str(&confirmed).unwrap();
    assert_eq!((&confirmed["digest"], &confirmed["number"]), (&digest.into(), &12.into()));
}

/// The row of somebody who is named in a question.
fn shown_row(line: &str) -> u64 {
    let row: u64 = line.trim_start().strip_prefix("row ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(line, format!("            row {row}  p{row}@list.example  For Person {row}"));
    row
}

#[test]
fn warnings_and_the_time_it_takes_are_shown_before_the_question() {
    let server = server().start();
    let home = home_for(&server, "password_env = \"P\"\nrate = \"60/min\"");
    home.write(
        "c/campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[domains.\"list.example\"]\nrate = \"1/hour\"\n",
    );
    home.write("c/people.csv", "email,name\nada@list.example,Ada\nbo@list.example,Bo\nada@list.example,Ada\n");
    let arguments = [&SEND[..], &["--duplicates", "first"]].concat();
    let mut terminal = Terminal::run(&home, &arguments, &[("P", "secret")]);
    terminal.wait_for("Type the number of recipients to send: ");
    let seen = terminal.seen();
    assert!(seen.contains("\nWarnings    1 warning when it was prepared: list.twice 1\n"), "{seen}");
    assert!(seen.contains("\nPace        60/min: at least 60 min, until 20"), "{seen}");
    assert!(
        seen.contains(
            "own:\n            row 2  ada@list.example  For Ada\n            row 3  bo@list.example  For Bo\n"
        ),
        "{seen}"
    );
    terminal.type_in("\u{3}");
    terminal.ended(1);
    // The same of what was prepared before.
    let mut terminal = Terminal::run(&home, &["send", &home.last_campaign(), "--account", "work"], &[("P", "secret")]);
    terminal.wait_for("Type the number of recipients to send: ");
    assert!(terminal.seen().contains("\nWarnings    1 warning when it was prepared: list.twice 1\n"));
    terminal.type_in("3\n");
    terminal.ended(77);
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_is_long_is_shown_page_by_page() {
    let home = Home::new();
    home.campaign(&people(60));
    let mut terminal = Terminal::run(&home, &["preview", "c", "--row", "2-61"], &[]);
    terminal.wait_for("row 2 ──");
    std::thread::sleep(Duration::from_millis(300));
    assert!(!terminal.seen().contains("to p40@"), "{}", terminal.seen());
    // Ctrl-C is the pager's; it goes on, and finds what is looked for.
    terminal.type_in("\u{3}");
    // What is typed at the same moment goes with it.
    std::thread::sleep(Duration::from_millis(300));
    terminal.type_in("/row 40 \r");
    terminal.wait_for("to p40@list.example");
    terminal.type_in("q");
    terminal.ended(0);
    // One that fits is shown as it is; and so is all of it if somebody wants that, without a shell between.
    for (more, environment) in [
        (vec!["--row", "2"], vec![]),
        (vec!["--row", "2-61", "--no-pager"], vec![]),
        (vec!["--row", "2-61"], vec![("PAGER", "cat")]),
        (vec!["--row", "2-61"], vec![("PAGER", "/bin/cat -; touch shell")]),
    ] {
        let mut terminal = Terminal::run(&home, &[&["preview", "c"], &more[..]].concat(), &environment);
        terminal.ended(0);
        assert!(terminal.seen().contains("row 2 ──") || environment.len() == 1, "{}", terminal.seen());
    }
    assert!(!home.path().join("shell").exists());
}

#[test]
fn anything_else_sends_nothing() {
    let server = server().start();
    let home = home_for(&server, "password_env = \"P\"");
    for typed in ["11\n", "\n", "yes\n", "12 x\n", "\u{4}"] {
        let mut terminal = Terminal::run(&home, &SEND, &[("P", "secret")]);
        terminal.wait_for("Type the number of recipients to send: ");
        terminal.type_in(typed);
        terminal.ended(77);
        terminal.wait_for("that is not the number of recipients; nothing was sent");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_password_is_asked_for_without_being_shown() {
    let server = server().start();
    let home = home_for(&server, "");
    let mut terminal = Terminal::run(&home, &[&SEND[..], &["--confirm", "12"]].concat(), &[]);
    terminal.wait_for("Password of case.team at localhost: ");
    terminal.type_in("secret\n");
    terminal.ended(0);
    assert!(!terminal.seen().contains("secret"), "{}", terminal.seen());
    assert_eq!(server.accepted().len(), 12);
    assert!(terminal.shows_what_is_typed(), "as it was before");
}

#[test]
fn before_a_password_is_asked_for_the_terminal_shows_nothing_any_more() {
    let server = server().start();
    let home = home_for(&server, "");
    let mut terminal = Terminal::run(&home, &[&SEND[..], &["--confirm", "12"]].concat(), &[]);
    // Ctrl-S: what the program writes waits.
    terminal.type_in("\u{13}");
    let start = Instant::now();
    while terminal.shows_what_is_typed() {
        assert!(start.elapsed() < Duration::from_secs(20), "it is about to ask, and would show what is typed");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(terminal.seen(), "");
    // Ctrl-Q: on with it.
    terminal.type_in("\u{11}");
    terminal.wait_for("Password of case.team at localhost: ");
    terminal.type_in("secret\n");
    terminal.ended(0);
    assert!(!terminal.seen().contains("secret"), "{}", terminal.seen());
}

#[test]
fn ctrl_c_at_the_password_leaves_the_terminal_as_it_was() {
    let server = server().start();
    let home = home_for(&server, "");
    Terminal::broken_off(&home, "send c --account work --confirm 12", "Password of case.team at localhost: ");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_bar_shows_how_far_it_is_and_notices_do_not_break_it() {
    let server = server()
        .on_when(|moment| match (moment.stage, moment.message) {
            (Stage::Rcpt, Some(4)) => Act::Drop,
            (Stage::Rcpt, Some(2)) => Act::reply("550 5.1.1 no \x1b[31msuch\x1b[0m person\r\n"),
            (Stage::Dot, _) => Act::Delay(Duration::from_millis(120)),
            _ => Act::Ok,
        })
        .start();
    let home = home_for(&server, "password_env = \"P\"");
    let mut terminal = Terminal::run(&home, &[&SEND[..], &["--confirm", "12"]].concat(), &[("P", "secret")]);
    terminal.ended(1);
    terminal.wait_for("11 of 12 messages sent in ");
    let seen = terminal.seen();
    assert!(seen.contains("/12") && seen.contains("left") && seen.contains("1 not sent"), "{seen}");
    assert!(seen.contains("█") && seen.contains("a connection was lost: "), "{seen}");
    assert!(!seen.contains("\x1b[31m"), "the server's words must not reach the terminal raw: {seen}");
    assert!(seen.contains("550 5.1.1 no <U+001B>[31msuch<U+001B>[0m person"), "{seen}");
}

#[test]
fn colours_are_for_terminals_and_can_be_turned_off() {
    let home = Home::new();
    let coloured = |environment: &[(&str, &str)], more: &[&str]| {
        let mut terminal = Terminal::run(&home, &[&["check", "nowhere"], more].concat(), environment);
        terminal.ended(65);
        terminal.wait_for("there is no such file");
        terminal.seen().contains("\x1b[")
    };
    assert!(coloured(&[], &[]));
    assert!(!coloured(&[("NO_COLOR", "1")], &[]));
    assert!(!coloured(&[("TERM", "dumb")], &[]));
    assert!(!coloured(&[], &["--color", "never"]));
    assert!(!home.run(&["check", "nowhere"]).ended(65).stderr.contains('\x1b'));
    assert!(home.run(&["check", "nowhere", "--color", "always"]).ended(65).stderr.contains('\x1b'));
}

#[test]
fn somebody_who_stops_reading_is_no_reason_to_complain() {
    let home = Home::new();
    home.campaign(&people(50));
    let mut child = home
        .command(&["preview", "c", "--row", "2"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = crate::support::Run::of(child.wait_with_output().unwrap()).ended(0);
    assert_eq!(run.stderr, "");
}
