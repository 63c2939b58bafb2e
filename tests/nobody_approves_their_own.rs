//! Whoever prepared a campaign is not the one who approves it, in whatever way they try; and a no is heard as long as somebody waits.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, Run, people,
        scripted::Scripted,
        ssh::{self, ed25519},
    },
};

/// A campaign for five, which one of those in `allowed_signers` must approve.
fn home(server: &Scripted) -> Home {
    let home = Home::at_relay(server);
    home.campaign(&people(5));
    for name in ["ada", "cleo", "cleo-too"] {
        ed25519(&home, name);
    }
    home.write(".ssh/id_ed25519.pub", public(&home, "cleo"));
    home
}

fn public(home: &Home, name: &str) -> String {
    fs::read_to_string(home.path().join(format!("{name}.pub"))).unwrap()
}

fn allows(home: &Home, lines: &[(&str, &str)], more: &str) {
    let lines: Vec<String> = lines.iter().map(|(who, key)| format!("{who} {}", public(home, key))).collect();
    home.write("c/signers", lines.concat());
    let approval = format!("[approval]\nrequired = 1\nallowed_signers = \"signers\"\n{more}");
    home.write("c/campaign.toml", format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n{approval}"));
}

#[track_caller]
fn prepared(home: &Home) -> String {
    home.run(&["prepare", "c"]).ended(0);
    home.last_campaign()
}

fn approve(home: &Home, id: &str, key: &str) -> Run {
    home.run(&["approve", id, "--key", key, "--confirm", "5"])
}

fn send(home: &Home, id: &str, more: &[&str]) -> Run {
    home.run(&[&["send", id, "--account", "work"], more].concat())
}

#[test]
fn another_key_of_ones_own_is_ones_own() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    // One that the signers' file calls as it calls the one in ~/.ssh.
    let home = home(&server);
    allows(&home, &[("cleo@police.example", "cleo"), ("cleo@police.example", "cleo-too"), ("ada", "ada")], "");
    let id = prepared(&home);
    let said = approve(&home, &id, "cleo-too").ended(77).stderr;
    assert!(said.contains("\"cleo@police.example\" is their name"), "{said}");
    send(&home, &id, &["--confirm", "5"]).ended(77);
    approve(&home, &id, "ada").ended(0);
    send(&home, &id, &["--confirm", "5"]).ended(0);
    // A private key in ~/.ssh whose public one is elsewhere.
    let home = self::home(&server);
    home.write(".ssh/work", fs::read(home.path().join("cleo-too")).unwrap());
    fs::set_permissions(home.path().join(".ssh/work"), fs::Permissions::from_mode(0o600)).unwrap();
    // Keys of others lie there, too, and are not one's own.
    home.write(".ssh/authorized_keys", public(&home, "ada"));
    allows(&home, &[("zoe", "cleo-too"), ("ada", "ada")], "");
    let id = prepared(&home);
    assert!(approve(&home, &id, "cleo-too").ended(77).stderr.contains("the key is one of theirs"));
    approve(&home, &id, "ada").ended(0);
}

#[test]
fn what_the_system_calls_somebody_is_known_without_the_environment() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let own = rustix::process::getuid().as_raw().to_string();
    let Some(own) = users.lines().find(|line| line.split(':').nth(2) == Some(&own)) else { return };
    let own = own.split(':').next().unwrap();
    allows(&home, &[(&format!("{own}@police.example"), "ada")], "");
    // The tests' environment names nobody.
    let id = prepared(&home);
    assert!(approve(&home, &id, "ada").ended(77).stderr.contains("is their name"));
}

#[test]
fn nobody_on_the_list_gets_a_test_before_it_is_approved() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    allows(&home, &[("ada", "ada")], "");
    let id = prepared(&home);
    let test = |what: &str, to: &str| send(&home, what, &["--test", to, "--row", "2", "--confirm", "1"]);
    for what in [id.as_str(), "c"] {
        for own in ["p2@list.example", "P2+x@list.example"] {
            let said = test(what, own).ended(77).stderr;
            assert!(said.contains("the address of row 2, and nothing may be sent to the list before"), "{said}");
        }
    }
    assert!(server.deliveries().is_empty());
    test(&id, "me@office.example").ended(0);
    approve(&home, &id, "ada").ended(0);
    test(&id, "p2@list.example").ended(0);
    // What was rejected is not sent to anybody either, whether or not a rule applies.
    home.run(&["reject", &id, "--reason", "wrong leaflet"]).ended(0);
    test(&id, "p2@list.example").ended(77);
}

#[test]
fn a_no_is_heard_as_long_as_somebody_waits() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    allows(&home, &[("ada", "ada")], "[send]\nhold = \"3s\"\n");
    let id = prepared(&home);
    approve(&home, &id, "ada").ended(0);
    let mut terminal = Terminal::run(&home, &["send", &id, "--account", "work", "--confirm", "5"], &[]);
    terminal.wait_for("the first message leaves in ");
    home.run(&["reject", &id, "--reason", "row 7 is no victim"]).ended(0);
    terminal.ended(77);
    assert!(terminal.seen().contains("it was rejected on ") && server.deliveries().is_empty(), "{}", terminal.seen());
    assert!(send(&home, &id, &["--confirm", "5"]).ended(77).stderr.contains("row 7 is no victim"));
    // The same while somebody looks at the first ones.
    std::thread::sleep(Duration::from_millis(1100));
    approve(&home, &id, "ada").ended(0);
    let arguments = ["send", &id, "--account", "work", "--confirm", "5", "--first", "2"];
    let mut terminal = Terminal::run(&home, &arguments, &[]);
    terminal.wait_for("Type yes to send the other 3: ");
    home.run(&["reject", &id, "--reason", "wrong leaflet"]).ended(0);
    terminal.type_in("yes\r");
    terminal.ended(77);
    assert_eq!(server.accepted().len(), 2, "{}", terminal.seen());
}

#[test]
fn the_zone_of_whoever_asks_moves_no_key() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    // Over here, for hours, and not elsewhere.
    let now = jiff::ZonedDateTime::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let over = (&now - jiff::Span::new().hours(1)).strftime("%Y%m%d%H%M").to_string();
    allows(&home, &[(&format!("ada valid-before=\"{over}Z\""), "ada")], "");
    let id = prepared(&home);
    assert!(approve(&home, &id, "ada").ended(77).stderr.contains("valid no longer"));
    let local = (&jiff::ZonedDateTime::now() - jiff::Span::new().hours(1)).strftime("%Y%m%d%H%M").to_string();
    home.run(&["cancel", &id]).ended(0);
    allows(&home, &[(&format!("ada valid-before=\"{local}\""), "ada")], "");
    home.run(&["prepare", "c", "--again"]).ended(0);
    let id = home.last_campaign();
    for zone in ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"] {
        let run = home.command(&["approve", &id, "--key", "ada", "--confirm", "5"]).env("TZ", zone).output().unwrap();
        assert!(Run::of(run).ended(77).stderr.contains("valid no longer"), "{zone}");
    }
}

#[test]
fn a_reason_names_nobody_and_a_policy_knows_its_labels() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    allows(&home, &[("ada", "ada")], "");
    let id = prepared(&home);
    let said = home.run(&["reject", &id, "--reason", "p2@list.example must not get it"]).ended(64).stderr;
    assert!(said.contains("it may have no address in it"), "{said}");
    home.write("policy.toml", "labels = [\"special category\", \"ordinary\"]\n[[rule]]\nsensitivity = \"special category\"\nrequired = 1\nallowed_signers = \"c/signers\"\n");
    for (label, code, words) in [
        ("special-category", 77, "1 person has to approve it"),
        ("Special  Category", 77, "1 person has to approve it"),
        ("spezial category", 77, "the labels are special category, ordinary"),
        ("ordinary", 0, ""),
    ] {
        let settings = format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\nsensitivity = \"{label}\"\n");
        home.write("c/campaign.toml", settings);
        home.write(
            "c/t.txt.hbs",
            format!("+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{{{name}}}}, {label}\n"),
        );
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "5"]);
        let said = Run::of(command.env("APIECE_POLICY", "policy.toml").output().unwrap()).ended(code).stderr;
        assert!(said.contains(words), "{label}: {said}");
    }
}
