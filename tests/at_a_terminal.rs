//! What a person sees at a terminal: the question, the bar, colours, and the prompt for a password.

use std::{
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::support::{
    Home, account,
    dkim::{Key, Kind},
    people,
    scripted::{Act, Scripted, Stage, Tls},
};

/// A program at a pseudo-terminal.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<Mutex<String>>,
    _master: Box<dyn MasterPty + Send>,
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
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keyboard: pair.master.take_writer().unwrap(), seen, _master: pair.master }
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
    assert_eq!(
        terminal.seen(),
        format!(
            "Campaign    c\nSubject     For Person 2\nFrom        updates@police.example\n\
             Server      localhost:{} (account work, TLS, as case.team)\n\
             Recipients  12, each a message of their own, from row 2 p2@list.example to row 13 p13@list.example\n\
             Pace        30/min, 2000/day\n\nType the number of recipients to send: ",
            server.port()
        )
    );
    assert_eq!(server.connections(), 0, "nothing is opened before the answer");
    terminal.type_in("12\n");
    terminal.ended(0);
    terminal.wait_for("12 of 12 messages sent in ");
    assert_eq!(server.accepted().len(), 12);
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
}

#[test]
fn ctrl_c_at_the_password_leaves_the_terminal_as_it_was() {
    let server = server().start();
    let home = home_for(&server, "");
    let script = format!(
        "trap : INT; {} send c --account work --confirm 12; echo ended with $?; stty -a",
        env!("CARGO_BIN_EXE_apiece")
    );
    let mut terminal = Terminal::run_program(&home, "/bin/sh", &["-c", &script], &[]);
    terminal.wait_for("Password of case.team at localhost: ");
    std::thread::sleep(Duration::from_millis(200));
    terminal.type_in("\u{3}");
    terminal.wait_for("ended with 130");
    terminal.wait_for("iexten");
    let seen = terminal.seen();
    assert!(seen.contains(" echo ") && !seen.contains("-echo "), "{seen}");
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
