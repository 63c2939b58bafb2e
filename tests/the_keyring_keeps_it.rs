//! A password, or the tokens of a login, are in the keyring of the desktop: put there once, read for each run, and taken away again.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, OUTBOX, Run, account,
        keyring::Keyring,
        people,
        postgres::{ADMIN, Cluster},
        provider::Provider,
        scripted::{Act, Scripted, Stage, Tls},
    },
};

const USER: &str = "case.team@police.example";
const PASSWORD: &str = "Zw%hunter2-Ünsafe $(id)";

fn server() -> Scripted {
    Scripted::builder().tls(Tls::Implicit).auth(USER, PASSWORD).start()
}

fn home(server: &Scripted) -> Home {
    let home = Home::new();
    home.config(&account(
        server.port(),
        server.ca_file(),
        "implicit",
        &format!("username = \"{USER}\"\nkeyring = true"),
    ));
    home.campaign(&people(2));
    home
}

fn piped(mut command: Command, input: &str) -> Run {
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Run::of(process.wait_with_output().unwrap())
}

#[track_caller]
fn says_nothing(run: &Run) {
    assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"), "{run:?}");
}

const SEND: [&str; 6] = ["send", "c", "--account", "work", "--confirm", "2"];
const LOOK: [&str; 5] = ["lookup", "application", "apiece", "username", USER];

#[test]
fn a_password_is_stored_once_read_by_each_run_and_forgotten() {
    let server = server();
    let home = home(&server);
    let Some(mut keyring) = Keyring::start(&home) else { return };
    let run = Run::of(keyring.command(&SEND).output().unwrap()).ended(77);
    let expected = format!(
        "error: there is no password of {USER} at localhost in the keyring\n  help: store it: apiece login work\n"
    );
    assert!(run.said().ends_with(&expected), "{}", run.stderr);
    assert_eq!(server.connections(), 0);

    let run = piped(keyring.command(&["login", "work"]), &format!("{PASSWORD}\n")).ended(0);
    let expected = format!("The password of {USER} at localhost is in the keyring. The server took it (PLAIN).\n");
    assert_eq!(run.stdout, expected);
    says_nothing(&run);
    assert_eq!(keyring.tool(&LOOK), (0, PASSWORD.to_owned()), "libsecret reads the same");

    for format in ["text", "json"] {
        let arguments = [&SEND[..], &["--again", "--format", format]].concat();
        says_nothing(&Run::of(keyring.command(&arguments).output().unwrap()).ended(0));
    }
    assert_eq!(server.accepted().len(), 4);
    assert!(server.accepted().iter().all(|delivery| delivery.user.as_deref() == Some(USER)));
    let kept = std::fs::read(home.path().join(OUTBOX)).unwrap();
    assert!(!kept.windows(7).any(|octets| octets == b"hunter2"));

    // One in place of the other
    piped(keyring.command(&["login", "work", "--no-try"]), "another\r\n").ended(0);
    assert_eq!(keyring.tool(&LOOK), (0, "another".to_owned()));
    let (_, found) = keyring.tool(&["search", "--all", "application", "apiece"]);
    assert_eq!(found.matches("label = ").count(), 1, "{found}");

    let run = Run::of(keyring.command(&["logout", "work"]).output().unwrap()).ended(0);
    assert_eq!(run.stdout, format!("The password of {USER} at localhost is forgotten.\n"));
    assert_eq!(keyring.tool(&LOOK).0, 1);
    let run = Run::of(keyring.command(&["logout", "work"]).output().unwrap()).ended(0);
    assert_eq!(run.stdout, format!("There was no password of {USER} at localhost.\n"));

    // Nobody is there, on a bus and without one.
    keyring.stop();
    let again = [&SEND[..], &["--again"]].concat();
    let run = Run::of(keyring.command(&again).output().unwrap()).ended(78);
    assert!(run.stderr.contains("error: there is no keyring here: "), "{}", run.stderr);
    let run = home.run(&again).ended(78);
    assert!(run.stderr.contains("error: there is no keyring here: "), "{}", run.stderr);
    let run = piped(home.command(&["login", "work"]), PASSWORD).ended(78);
    assert!(run.stderr.contains("error: there is no keyring here: "), "{}", run.stderr);
}

#[test]
fn a_password_that_the_server_refuses_is_not_stored_and_one_that_could_not_be_tried_is() {
    let server = server();
    let home = home(&server);
    let Some(keyring) = Keyring::start(&home) else { return };
    let run = piped(keyring.command(&["login", "work"]), "hunter2-wrong\n").ended(77);
    assert!(run.stderr.starts_with("error: the server refused the login: 535"), "{}", run.stderr);
    assert!(run.stderr.contains("Nothing was kept; --no-try keeps it all the same"), "{}", run.stderr);
    says_nothing(&run);
    assert_eq!(keyring.tool(&LOOK).0, 1);
    for nothing in ["", "\n"] {
        let run = piped(keyring.command(&["login", "work"]), nothing).ended(77);
        assert_eq!(run.stderr, "error: the password from standard input is empty\n");
    }
    let busy =
        Scripted::builder().tls(Tls::Implicit).on(Stage::Connect, Act::reply_then_drop("421 4.3.2 later\r\n")).start();
    let more = format!("username = \"{USER}\"\nkeyring = true");
    home.config(&account(busy.port(), busy.ca_file(), "implicit", &more));
    let run = piped(keyring.command(&["login", "work"]), PASSWORD).ended(0);
    assert!(
        run.stdout.contains("It could not be tried: the server takes no mail now: 421 4.3.2 later."),
        "{}",
        run.stdout
    );
    assert_eq!(keyring.tool(&LOOK), (0, PASSWORD.to_owned()));
    // At another server there is no such password.
    let more = account(server.port(), server.ca_file(), "implicit", &more).replace("\"localhost\"", "\"127.0.0.1\"");
    home.config(&more);
    let run = Run::of(keyring.command(&SEND).output().unwrap()).ended(77);
    assert!(run.stderr.contains("there is no password of"), "{}", run.stderr);
    assert_eq!(server.accepted().len(), 0);
}

#[test]
fn a_locked_keyring_is_said_to_be_and_nobody_is_asked_without_a_terminal() {
    let server = server();
    let home = home(&server);
    let Some(keyring) = Keyring::start(&home) else { return };
    piped(keyring.command(&["login", "work"]), PASSWORD).ended(0);
    keyring.lock();
    let locked = "error: the keyring is locked\n  help: unlock it, as logging in to the desktop does, and run the same command again\n";
    for arguments in [&SEND[..], &["logout", "work"], &["login", "work"]] {
        let start = std::time::Instant::now();
        let run = piped(keyring.command(arguments), "x\n").ended(77);
        assert!(run.said().ends_with(locked), "{}", run.stderr);
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
    }
    assert!(server.accepted().is_empty());
}

#[test]
fn at_a_terminal_a_password_is_asked_for_without_being_shown() {
    let server = server();
    let home = home(&server);
    let Some(keyring) = Keyring::start(&home) else { return };
    let bus = Keyring::address(&home);
    let environment = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str())];
    let mut terminal = Terminal::run(&home, &["login", "work"], &environment);
    terminal.wait_for(&format!("Password of {USER} at localhost: "));
    terminal.type_in(&format!("{PASSWORD}\n"));
    terminal.ended(0);
    assert!(!terminal.seen().contains("hunter2"), "{}", terminal.seen());
    assert_eq!(keyring.tool(&LOOK), (0, PASSWORD.to_owned()));
    let mut terminal = Terminal::run(&home, &["login", "work"], &environment);
    terminal.wait_for("Password of");
    terminal.type_in("half of it\x03");
    terminal.ended(130);
    assert_eq!(keyring.tool(&LOOK), (0, PASSWORD.to_owned()));
}

#[test]
fn tokens_are_in_the_keyring_unless_they_are_to_be_in_a_file() {
    const KEY: &str = "x";
    let Some(provider) = Provider::start(USER, KEY, "{\"lifetime\": 2, \"padding\": 3000}") else { return };
    // It takes whatever token it gets.
    let server = Scripted::builder()
        .tls(Tls::Implicit)
        .auth(USER, "x")
        .auth_offer("XOAUTH2")
        .on_when(|moment| match moment.stage {
            Stage::AuthResponse => Act::reply("235 2.7.0 welcome\r\n"),
            _ => Act::Ok,
        })
        .start();
    let home = Home::new();
    let more = format!("username = \"{USER}\"\n{}", provider.settings(""));
    home.config(&account(server.port(), server.ca_file(), "implicit", &more));
    home.campaign(&people(2));
    let Some(keyring) = Keyring::start(&home) else { return };
    let mut login = keyring.command(&["login", "work", "--device"]);
    let process = login.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut process = process;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
    let code = lines.by_ref().map(Result::unwrap).filter(|line| line.starts_with("  ")).nth(1).unwrap();
    provider.order(&format!("approve {}", code.trim()));
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(process.wait().unwrap().success(), "{said:?}");
    let last = said.last().unwrap();
    assert_eq!(
        last,
        &format!(
            "The login of {USER} at localhost is in the keyring. The server took it (XOAUTH2). It is renewed when need be."
        )
    );
    let look = ["lookup", "application", "apiece", "kind", "tokens", "server", "localhost"];
    let (_, before) = keyring.tool(&look);
    assert!(before.contains("\"refresh_token\":\"") && before.len() > 4000, "{before}");
    std::thread::sleep(std::time::Duration::from_secs(2));
    Run::of(keyring.command(&SEND).output().unwrap()).ended(0);
    let (_, after) = keyring.tool(&look);
    assert_ne!(before, after, "the renewed tokens are kept");
    assert_eq!(provider.grants("refresh_token"), 1);
    let kept = home.path().join(".local/state/apiece/tokens");
    assert!(kept.read_dir().unwrap().all(|file| file.unwrap().metadata().unwrap().len() == 0), "only what is locked");
    Run::of(keyring.command(&["logout", "work"]).output().unwrap()).ended(0);
    assert_eq!(keyring.tool(&look).0, 1);
}

/// A database that believes nobody without a password, and what the config file says of it.
fn database() -> (Cluster, String) {
    let cluster = Cluster::start(&["listen_addresses=127.0.0.1"]);
    cluster.say(ADMIN, &format!("CREATE ROLE mailer LOGIN PASSWORD '{PASSWORD}'"));
    cluster.say(ADMIN, "CREATE DATABASE mail OWNER mailer");
    cluster.allow("host all mailer 127.0.0.1/32 scram-sha-256");
    let address = format!("postgres://mailer@127.0.0.1:{}/mail?sslmode=disable", cluster.port);
    (cluster, format!("[outbox]\naddress = \"{address}\"\n"))
}

#[test]
fn so_it_does_with_the_password_of_a_database() {
    let (cluster, config) = database();
    let home = Home::new();
    home.config(&format!("{config}keyring = true\n"));
    let Some(keyring) = Keyring::start(&home) else { return };
    let item = format!("password of mailer at 127.0.0.1:{}", cluster.port);
    let migrate = ["outbox", "migrate"];
    let run = Run::of(keyring.command(&migrate).output().unwrap()).ended(77);
    let expected = format!("error: there is no {item} in the keyring\n  help: store it: apiece outbox login\n");
    assert_eq!(run.stderr, expected);

    let login = ["outbox", "login"];
    let run = piped(keyring.command(&login), "hunter2-wrong\n").ended(77);
    assert!(
        run.stderr.starts_with("error: the database refused the login: password authentication failed"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("Nothing was kept; --no-try keeps it all the same"), "{}", run.stderr);
    says_nothing(&run);
    let look = ["lookup", "application", "apiece", "username", "mailer"];
    assert_eq!(keyring.tool(&look).0, 1);

    let run = piped(keyring.command(&login), &format!("{PASSWORD}\n")).ended(0);
    assert_eq!(run.stdout, format!("The {item} is in the keyring. The database let it in.\n"));
    says_nothing(&run);
    assert_eq!(keyring.tool(&look), (0, PASSWORD.to_owned()));
    Run::of(keyring.command(&migrate).output().unwrap()).ended(0);
    assert_eq!(Run::of(keyring.command(&["status"]).output().unwrap()).ended(0).stdout, "there are no campaigns yet\n");
    // A mail server of that name does not get it.
    let kind = ["lookup", "application", "apiece", "kind", "password"];
    assert_eq!(keyring.tool(&kind).0, 1);

    let logout = ["outbox", "logout"];
    let run = Run::of(keyring.command(&logout).output().unwrap()).ended(0);
    assert_eq!(run.stdout, format!("The {item} is forgotten.\n"));
    let run = Run::of(keyring.command(&logout).output().unwrap()).ended(0);
    assert_eq!(run.stdout, format!("There was no {item}.\n"));
    // One that nobody can try is kept, and that is said.
    drop(cluster);
    let run = piped(keyring.command(&login), PASSWORD).ended(0);
    assert!(run.stdout.contains("It could not be tried: the outbox \"postgres://mailer@"), "{}", run.stdout);
    for nothing in ["", "[outbox]\nkeyring = true\n", &config] {
        home.config(nothing);
        let run = piped(keyring.command(&login), PASSWORD).ended(64);
        assert!(run.stderr.contains("the outbox has nothing that could be kept in a keyring"), "{}", run.stderr);
    }
    home.config(&format!("{config}keyring = true\npassword_env = \"P\"\n"));
    let run = piped(keyring.command(&login), PASSWORD).ended(78);
    assert!(run.stderr.contains("there are two places for one password"), "{}", run.stderr);
}

#[test]
fn a_database_that_wants_a_password_has_it_from_whoever_sits_there() {
    let (cluster, config) = database();
    let home = Home::new();
    home.config(&config);
    let mut terminal = Terminal::run(&home, &["outbox", "migrate"], &[]);
    terminal.wait_for(&format!("Password of mailer at 127.0.0.1:{}: ", cluster.port));
    terminal.type_in(&format!("{PASSWORD}\n"));
    terminal.wait_for("made, in version 1");
    terminal.ended(0);
    assert!(!terminal.seen().contains("hunter2"), "{}", terminal.seen());
    // Nobody does, in a job.
    let run = home.run(&["status"]).ended(75);
    assert!(run.stderr.contains("it wants a password, and none is configured"), "{}", run.stderr);
    // Who is let in without is not asked.
    home.config(&format!("[outbox]\naddress = \"{}\"\n", cluster.address("mail")));
    assert_eq!(Terminal::all(&home, &["status"], 0).trim(), "there are no campaigns yet");
}
