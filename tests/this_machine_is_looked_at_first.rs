//! `doctor` looks at what is on this machine, line by line: settings, password, outbox, clock. It changes nothing of that.

use std::path::Path;

use crate::support::{
    Home, OUTBOX, Run,
    doctor::{about, skipped, steady},
    people,
    scripted::{Act, Scripted, Stage},
};

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn what_is_on_this_machine_is_looked_at_first() {
    let home = Home::new();
    let file = home.path().join(".config/apiece/config.toml");
    let offline = |home: &Home| Run::of(home.command(&["doctor", "--offline"]).output().unwrap());
    // No config, and one with a mistake, in which everything else is looked at all the same.
    let run = offline(&home).ended(78);
    assert!(about(&run, "config file").contains(": no account is configured in "), "{}", run.stdout);
    assert!(
        about(&run, "config file").contains("\n                [account.work]\n                host = "),
        "{}",
        run.stdout
    );
    home.config("[account.work]\nhost = \"localhost\"\nhots = 1\nusername = \"u\"\npassword = \"hunter2\"\n");
    let run = offline(&home).ended(78);
    assert!(about(&run, "config file").contains("config.toml:3:1: "), "{}", run.stdout);
    assert!(about(&run, "config file").contains("(and 1 more)") && !run.stdout.contains("hunter2"), "{}", run.stdout);
    assert!(about(&run, "clock").starts_with("ok       clock: "));
    // Who may write into it decides where the password goes.
    home.config("[account.work]\nhost = \"localhost\"\nusername = \"u\"\npassword_file = \"~/password\"\n");
    chmod(&file, 0o666);
    let run = offline(&home).ended(78);
    assert_eq!(
        steady(&home, &about(&run, "permissions of the config file")),
        "fail     permissions of the config file: others can change it (its mode is 666), and with it where your password goes\n         \
         to do: chmod 600 ~/.config/apiece/config.toml\n"
    );
    chmod(&file, 0o600);
    let password = home.write("password", "hunter2");
    chmod(&password, 0o640);
    let run = offline(&home).ended(78);
    assert_eq!(
        about(&run, "permissions of the config file"),
        "ok       permissions of the config file: nobody else can read or change it (its mode is 600)"
    );
    assert_eq!(
        steady(&home, &about(&run, "password")),
        "fail     password: the password file ~/password can be read by others (its mode is 640)\n         to do: chmod 600 ~/password\n"
    );
    chmod(&password, 0o600);
    let run = offline(&home).ended(0);
    assert_eq!(about(&run, "password"), "ok       password: there is one from password_file, not shown");
    assert!(!run.stdout.contains("hunter2"));
    for (source, said) in [
        ("", "it comes from the terminal; there is no terminal to ask at"),
        ("password_command = \"touch asked\"", "it comes from password_command; --offline: the network is not used"),
    ] {
        home.config(&format!("[account.work]\nhost = \"nowhere.invalid\"\nusername = \"u\"\n{source}\n"));
        let run = if source.is_empty() { home.run(&["doctor"]).ended(69) } else { offline(&home).ended(0) };
        assert_eq!(about(&run, "password"), skipped("password", said));
    }
    assert!(!home.path().join("asked").exists());
}

#[test]
fn the_outbox_is_looked_at_and_left_as_it_is() {
    let home = Home::new();
    home.config("[account.work]\nhost = \"localhost\"\nusername = \"u\"\npassword_env = \"HOME\"\n");
    chmod(&home.path().join(".config/apiece/config.toml"), 0o600);
    home.campaign(&people(3));
    home.run(&["prepare", "c"]).ended(0);
    let file = home.path().join(OUTBOX);
    let offline = || home.run(&["doctor", "--offline"]);
    let run = offline().ended(0);
    let outbox = steady(&home, &about(&run, "outbox"));
    assert!(
        outbox.starts_with("ok       outbox ~/.local/state/apiece/outbox.sqlite: it opens and is whole; version "),
        "{outbox}"
    );
    assert!(outbox.ends_with(", 1 campaign\n"), "{outbox}");
    assert_eq!(about(&run, "runs"), "ok       runs: nobody is sending from it");
    assert_eq!(
        about(&run, "permissions of the outbox"),
        "ok       permissions of the outbox: nobody else can read it (its mode is 600)"
    );
    // Others can read it, or put another one there; nothing of that is changed by looking.
    chmod(&file, 0o644);
    let run = offline().ended(0);
    assert_eq!(
        steady(&home, &about(&run, "permissions of the outbox")),
        "warn     permissions of the outbox: others can read who is on your lists (its mode is 644)\n         \
         to do: chmod 600 ~/.local/state/apiece/outbox.sqlite\n"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o644);
    chmod(&file, 0o600);
    chmod(file.parent().unwrap(), 0o777);
    let run = offline().ended(0);
    assert_eq!(
        steady(&home, &about(&run, "permissions of the outbox")),
        "warn     permissions of the outbox: others can put another one in its place: the mode of ~/.local/state/apiece is 777\n         \
         to do: chmod go-w ~/.local/state/apiece\n"
    );
    chmod(file.parent().unwrap(), 0o700);
    // An entry from the future: this clock, or the one that wrote it, is wrong.
    let record = rusqlite::Connection::open(&file).unwrap();
    let later = jiff::Timestamp::now().as_millisecond() + 86_400_000;
    record
        .execute(
            "INSERT INTO log SELECT number + 1, ?, campaign, who, what, details, hash FROM log ORDER BY number DESC LIMIT 1",
            [later],
        )
        .unwrap();
    let run = offline().ended(78);
    assert!(about(&run, "clock").starts_with("fail     clock: it says "), "{}", run.stdout);
    assert!(about(&run, "clock").contains(", and the outbox has an entry of "), "{}", run.stdout);
    // A version of later, and one of before.
    let known: i64 = record.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    record.pragma_update(None, "user_version", known + 1).unwrap();
    let run = offline().ended(73);
    assert!(about(&run, "outbox").contains(" was written by a later apiece"), "{}", run.stdout);
    assert_eq!(about(&run, "runs"), skipped("runs", "the outbox cannot be read"));
    record.pragma_update(None, "user_version", known - 1).unwrap();
    let run = offline();
    assert!(about(&run, "outbox").starts_with("note     outbox "), "{}", run.stdout);
    let version: i64 = record.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, known - 1, "looking does not change it");
    drop(record);
    // Damaged, or no outbox at all.
    let mut bytes = std::fs::read(&file).unwrap();
    let half = bytes.len() / 2;
    bytes[4096..half].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    let run = offline().ended(65);
    assert!(about(&run, "outbox").contains(" is damaged; it was left as it is"), "{}", run.stdout);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::write(&file, "my diary").unwrap();
    let run = offline().ended(73);
    assert!(about(&run, "outbox").contains(" is no outbox of apiece; it was left as it is"), "{}", run.stdout);
}

#[test]
fn whoever_is_sending_is_named() {
    let server = Scripted::builder().on(Stage::Dot, Act::Stall).start();
    let home = Home::at_relay(&server);
    home.campaign(&people(3));
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "3"]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let is_on = crate::support::processes::patiently(std::time::Duration::from_secs(20), || {
        server.lines().iter().any(|line| line.text == "DATA")
    });
    let run = home.run(&["doctor", "--offline"]).ended(0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_on);
    let runs = about(&run, "runs");
    assert!(runs.starts_with("note     runs: being sent now: campaign "), "{runs}");
    assert!(runs.contains(&format!(" by process {} since ", child.id())), "{runs}");
}
