//! Who must have looked, by which rule, for how long, and how often one person counts; and what ends it.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::at_a_terminal::Terminal;
use crate::support::{
    Home, Run, account, people,
    scripted::Scripted,
    skip,
    ssh::{self, ed25519},
};

/// A campaign for five, which asks for nothing itself, prepared by Cleo.
fn home(server: &Scripted) -> Home {
    let home = Home::at_relay(server);
    home.campaign(&people(5));
    home.write(".ssh/id_ed25519.pub", ed25519(&home, "cleo"));
    for name in ["ada", "bo"] {
        ed25519(&home, name);
    }
    home
}

fn public(home: &Home, name: &str) -> String {
    fs::read_to_string(home.path().join(format!("{name}.pub"))).unwrap()
}

fn send(home: &Home, what: &str) -> Run {
    home.run(&["send", what, "--account", "work", "--confirm", "5"])
}

fn approve(home: &Home, id: &str, key: &str) -> Run {
    home.run(&["approve", id, "--key", key, "--confirm", "5"])
}

/// With a further policy.
fn under(home: &Home, arguments: &[&str]) -> Run {
    Run::of(home.command(arguments).env("APIECE_POLICY", "policy.toml").output().unwrap())
}

#[test]
fn a_policy_asks_by_size_by_label_and_by_account() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write("many", format!("ada {}", public(&home, "ada")));
    home.write("special", format!("bo {}", public(&home, "bo")));
    let rule = |name: &str, condition: &str, signers: &str| {
        format!("[[rule]]\nname = \"{name}\"\n{condition}\nrequired = 1\nallowed_signers = \"{signers}\"\n")
    };
    let (many, special) = (
        rule("large lists", "more_than = 4", "many"),
        rule("special", "sensitivity = [\"Special Category\"]", "special"),
    );
    let go = |condition: &str| under(&home, &["send", "c", "--account", "work", "--confirm", "5", "--rows", condition]);
    for (policy, said) in [
        (rule("x", "more_than = 5", "many"), None),
        (rule("x", "account = \"other\"", "many"), None),
        (special.clone(), None),
        (many.clone(), Some("large lists of policy.toml")),
        (rule("through work", "account = \"work\"", "many"), Some("through work of policy.toml")),
        (rule("all", "", "many"), Some("all of policy.toml")),
    ] {
        let home = self::home(&server);
        home.write("many", format!("ada {}", public(&home, "ada")));
        home.write("policy.toml", &policy);
        let run = under(&home, &["send", "c", "--account", "work", "--confirm", "1", "--rows", "2"]);
        match said {
            Some(said) => {
                assert!(run.ended(77).stderr.contains(&format!("1 person has to approve it, and 0 did ({said})")))
            }
            None => assert!(run.ended(0).stdout.contains("1 of 1 messages sent")),
        }
    }
    // Each rule that applies is kept by itself, each with people of its own.
    home.write("policy.toml", format!("label_required = true\n{many}{special}"));
    let said = under(&home, &["prepare", "c"]).ended(77).stderr;
    assert!(said.contains("does not say what kind of data it is about, which the policy policy.toml wants"), "{said}");
    assert!(go("2").ended(77).stderr.contains("sensitivity = \"special category\""));
    home.write(
        "c/campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\nsensitivity = \"special category\"\n",
    );
    let said = under(&home, &["prepare", "c"]).ended(0).stdout;
    assert!(said.contains("Somebody else has to look at it and sign: apiece approve "), "{said}");
    let id = home.last_campaign();
    under(&home, &["approve", &id, "--key", "ada", "--confirm", "5"]).ended(0);
    let said = go("2").ended(77).stderr;
    assert!(said.contains("0 did (special of policy.toml)") && !said.contains("(large lists of"), "{said}");
    let status = under(&home, &["status", &id]).ended(0).stdout;
    assert!(status.contains("Approval    1 of 1 for large lists of policy.toml\n            0 of 1 for special of policy.toml, 1 person missing\n"), "{status}");
    under(&home, &["approve", &id, "--key", "bo", "--confirm", "5"]).ended(0);
    // A policy that cannot be understood refuses all.
    let good = fs::read_to_string(home.path().join("policy.toml")).unwrap();
    for bad in [
        "required = 1\n",
        "[[rule]]\nrequired = 1\n",
        "[[rule]\n",
        "[[rule]]\nrequired = 0\nallowed_signers = \"many\"\n",
        "rule = \"x\"\n",
        "\u{0}",
    ] {
        home.write("policy.toml", bad);
        for command in [&["prepare", "c"][..], &["send", &id, "--account", "work", "--confirm", "5"]] {
            under(&home, command).ended(78);
        }
    }
    home.write("policy.toml", good.replace("\"special\"\n", "\"gone\"\n"));
    under(&home, &["send", &id, "--account", "work", "--confirm", "5"]).ended(78);
    fs::remove_file(home.path().join("policy.toml")).unwrap();
    under(&home, &["send", &id, "--account", "work", "--confirm", "5"]).ended(78);
    // Who is allowed counts as it is now.
    home.write("policy.toml", &good);
    home.write("many", format!("eve {}", public(&home, "cleo")));
    under(&home, &["send", &id, "--account", "work", "--confirm", "5"]).ended(77);
    home.write("many", format!("ada {}", public(&home, "ada")));
    assert_eq!(server.accepted().len(), 3);
    under(&home, &["send", &id, "--account", "work", "--confirm", "5"]).ended(0);
    assert_eq!(server.accepted().len(), 8);
}

#[test]
fn the_platforms_policy_holds_whatever_is_in_the_environment() {
    if !ssh::is_there() {
        return;
    }
    if !Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success()) {
        return skip("this machine lets no test have mounts of its own");
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write("etc/apiece/policy.toml", "[[rule]]\nrequired = 1\nallowed_signers = \"signers\"\n");
    home.write("etc/apiece/signers", format!("ada {}", public(&home, "ada")));
    for file in ["hosts", "nsswitch.conf", "passwd"] {
        let _ = fs::copy(Path::new("/etc").join(file), home.path().join("etc").join(file));
    }
    home.write("lax.toml", "label_required = false\n");
    let inside = |arguments: &[&str], policy: Option<&str>| {
        let program = home.command(arguments);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind \"$0/etc\" /etc && exec \"$@\""]).arg(home.path());
        command.arg(program.get_program()).args(program.get_args()).current_dir(home.path()).env_clear();
        command.env("HOME", home.path()).env("TMPDIR", home.path()).env("PATH", std::env::var_os("PATH").unwrap());
        policy.map(|policy| command.env("APIECE_POLICY", policy));
        Run::of(command.output().unwrap())
    };
    let go = ["send", "c", "--account", "work", "--confirm", "5"];
    for policy in [None, Some(""), Some("lax.toml")] {
        let said = inside(&go, policy).ended(77).stderr;
        assert!(said.contains("0 did (rule 1 of /etc/apiece/policy.toml)"), "{said}");
    }
    let id = home.last_campaign();
    inside(&["approve", &id, "--key", "ada", "--confirm", "5"], None).ended(0);
    let signers = home.path().join("etc/apiece/signers");
    fs::write(home.path().join("etc/apiece/policy.toml"), "not toml").unwrap();
    inside(&go, None).ended(78);
    fs::remove_file(home.path().join("etc/apiece/policy.toml")).unwrap();
    std::os::unix::fs::symlink("nowhere", home.path().join("etc/apiece/policy.toml")).unwrap();
    inside(&go, None).ended(78);
    fs::remove_file(home.path().join("etc/apiece/policy.toml")).unwrap();
    home.write("etc/apiece/policy.toml", "[[rule]]\nrequired = 1\nallowed_signers = \"signers\"\n");
    fs::write(&signers, "").unwrap();
    inside(&go, None).ended(77);
    fs::write(&signers, format!("ada {}", public(&home, "ada"))).unwrap();
    assert!(server.accepted().is_empty());
    inside(&go, None).ended(0);
}

#[test]
fn an_account_may_ask_too() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write(".config/apiece/signers", format!("ada {}", public(&home, "ada")));
    let more = "[account.work.approval]\nrequired = 1\nallowed_signers = \"signers\"\n";
    home.config(&account(server.port(), server.ca_file(), "none", more));
    let said = send(&home, "c").ended(77).stderr;
    assert!(said.contains("0 did (account work)"), "{said}");
    let id = home.last_campaign();
    assert!(approve(&home, &id, "bo").ended(77).stderr.contains("the key is not one of those that may approve"));
    approve(&home, &id, "ada").ended(0);
    let other = account(server.port(), server.ca_file(), "none", "").replace("work", "other");
    home.config(&format!("{}\n{other}", account(server.port(), server.ca_file(), "none", more)));
    send(&home, &id).ended(0);
    home.config(&account(server.port(), server.ca_file(), "none", "[account.work.approval]\nrequired = 1\n"));
    home.run(&["send", "c", "--account", "work", "--confirm", "5"]).ended(78);
}

#[test]
fn another_account_than_the_one_that_was_approved_is_refused() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write("c/signers", format!("ada {}", public(&home, "ada")));
    home.write(
        "c/campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\naccount = \"work\"\n[approval]\nrequired = 1\nallowed_signers = \"signers\"\n",
    );
    let work = account(server.port(), server.ca_file(), "none", "");
    home.config(&format!("{work}{}", work.replace("work", "other")));
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    approve(&home, &id, "ada").ended(0);
    let run = |account: &str| home.run(&["send", &id, "--account", account, "--confirm", "5"]);
    assert!(run("other").ended(77).stderr.contains("these are others: account; nothing was sent"));
    let mut by_environment = home.command(&["send", &id, "--confirm", "5"]);
    assert_eq!(by_environment.env("APIECE_ACCOUNT", "other").output().unwrap().status.code(), Some(77));
    run("work").ended(0);
}

#[test]
fn an_approval_expires() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write("c/signers", format!("ada {}", public(&home, "ada")));
    let text = "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[approval]\nrequired = 1\nallowed_signers = \"signers\"\n";
    home.write("c/campaign.toml", format!("{text}approval_expires = \"2s\"\n"));
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    approve(&home, &id, "ada").ended(0);
    std::thread::sleep(Duration::from_millis(3100));
    let said = send(&home, &id).ended(77).stderr;
    assert!(said.contains("What does not count: ada (SHA256:") && said.contains("): it expired on "), "{said}");
    assert!(home.run(&["status", &id]).ended(0).stdout.contains("does not count: it expired on "));
    // Also while somebody sits before the question
    approve(&home, &id, "ada").ended(0);
    let mut terminal = Terminal::run(&home, &["send", &id, "--account", "work"], &[]);
    terminal.wait_for("Type the number of recipients to send: ");
    assert!(terminal.seen().contains("\nApproved    by ada (SHA256:"), "{}", terminal.seen());
    std::thread::sleep(Duration::from_millis(3100));
    terminal.type_in("5\n");
    terminal.ended(77);
    assert!(terminal.seen().contains("it expired on "), "{}", terminal.seen());
    // A statement of the future counts for nothing, and none that was signed long ago.
    home.run(&["approve", &id, "--statement", "ok"]).ended(0);
    let statement = fs::read_to_string(home.path().join("ok")).unwrap();
    let time = statement.lines().last().unwrap();
    for (other, said) in [
        ("time: 2999-01-01T00:00:00Z", "it was signed in the future"),
        ("time: 2026-01-01T00:00:00Z", "it expired on 2026-01-0"),
    ] {
        home.write("then", statement.replace(time, other));
        let _ = fs::remove_file(home.path().join("then.sig"));
        assert!(
            ssh::run(&home, "ssh-keygen", &["-Y", "sign", "-n", "apiece", "-f", "ada", "then"], "").status.success()
        );
        let refused = home.run(&["approve", &id, "--signature", "then.sig"]).ended(77).stderr;
        assert!(refused.contains(said), "{refused}");
    }
    assert!(server.accepted().is_empty());
}

#[test]
fn one_person_counts_once() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    for name in ["ada2", "ada3", "ada4"] {
        ed25519(&home, name);
    }
    let line = |names: &str, key: &str| format!("{names} {}", public(&home, key));
    let signers = [
        line("ada@police.example", "ada"),
        line("ADA@police.example", "ada2"),
        line("a.lovelace@police.example,ada@police.example", "ada3"),
        line("a.lovelace@police.example", "ada4"),
        line("ada@police.example", "ada"),
        line("bo", "bo"),
        line("*@police.example", "cleo"),
    ];
    home.write("c/signers", signers.concat());
    home.write("c/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[approval]\nrequired = 2\nallowed_signers = \"signers\"\n");
    home.run(&["prepare", "c", "--by", "dora"]).ended(0);
    let id = home.last_campaign();
    for key in ["ada", "ada", "ada2", "ada4", "ada3"] {
        approve(&home, &id, key).ended(0);
        std::thread::sleep(Duration::from_millis(1100 * u64::from(key == "ada")));
    }
    let said = send(&home, &id).ended(77).stderr;
    assert!(said.contains("2 people have to approve it, and 1 did"), "{said}");
    approve(&home, &id, "bo").ended(0);
    send(&home, &id).ended(0);
}

#[test]
fn who_is_allowed_by_a_pattern_is_nobody() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write("c/signers", format!("*@police.example {}", public(&home, "ada")));
    home.write("c/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[approval]\nrequired = 1\nallowed_signers = \"signers\"\n");
    home.run(&["prepare", "c"]).ended(0);
    let said = approve(&home, &home.last_campaign(), "ada").ended(77).stderr;
    assert!(said.contains("under the pattern \"*@police.example\": write the person's name there"), "{said}");
    home.write("c/signers", "ada ssh-ed25519\n");
    assert!(home.run(&["check", "c"]).ended(78).stderr.contains("signers, line 1: "));
    assert!(home.run(&["prepare", "c"]).ended(78).stderr.contains("signers, line 1: "));
}

#[test]
fn a_rejection_ends_what_was_approved_before() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write("c/signers", format!("ada {}bo {}", public(&home, "ada"), public(&home, "bo")));
    home.write("c/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[approval]\nrequired = 1\nallowed_signers = \"signers\"\n");
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    home.run(&["approve", &id, "--statement", "old"]).ended(0);
    assert!(ssh::run(&home, "ssh-keygen", &["-Y", "sign", "-n", "apiece", "-f", "bo", "old"], "").status.success());
    approve(&home, &id, "ada").ended(0);
    std::thread::sleep(Duration::from_millis(1100));
    home.run(&["reject", &id]).ended(64);
    home.run(&["reject", &id, "--reason", " "]).ended(64);
    home.run(&["reject", &id, "--reason", "wrong leaflet\nreally"]).ended(0);
    let said = send(&home, &id).ended(77).stderr;
    assert!(said.contains("it was rejected on ") && said.contains("(wrong leaflet<U+000A>really)"), "{said}");
    assert!(said.contains("the campaign was rejected afterwards"), "{said}");
    // What was signed before does not come back.
    let said = home.run(&["approve", &id, "--signature", "old.sig"]).ended(77).stderr;
    assert!(said.contains("the campaign was rejected afterwards"), "{said}");
    approve(&home, &id, "bo").ended(0);
    home.run(&["reject", &id, "--reason", "row 3 moved", "--key", "ada"]).ended(0);
    send(&home, &id).ended(77);
    std::thread::sleep(Duration::from_millis(1100));
    approve(&home, &id, "bo").ended(0);
    home.run(&["send", &id, "--account", "work", "--confirm", "1", "--rows", "2"]).ended(0);
    // What was begun goes on only if it may.
    std::thread::sleep(Duration::from_millis(1100));
    home.run(&["reject", &id, "--reason", "stop"]).ended(0);
    home.run(&["send", &id, "--account", "work", "--confirm", "4"]).ended(77);
    home.run(&["cancel", &id]).ended(0);
    home.run(&["retry", &id, "--cancelled"]).ended(0);
    home.run(&["send", &id, "--account", "work", "--confirm", "4"]).ended(77);
    approve(&home, &id, "ada").ended(0);
    home.run(&["send", &id, "--account", "work", "--confirm", "4"]).ended(0);
    assert_eq!(server.accepted().len(), 5);
}

#[test]
fn an_old_approval_does_not_count_behind_a_rejection_whatever_came_since() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.write("c/signers", format!("ada {}bo {}", public(&home, "ada"), public(&home, "bo")));
    home.write(
        "c/campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[approval]\nrequired = 2\nallowed_signers = \"signers\"\n",
    );
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    home.run(&["approve", &id, "--statement", "old"]).ended(0);
    assert!(ssh::run(&home, "ssh-keygen", &["-Y", "sign", "-n", "apiece", "-f", "ada", "old"], "").status.success());
    std::thread::sleep(Duration::from_millis(1100));
    home.run(&["reject", &id, "--reason", "not so"]).ended(0);
    approve(&home, &id, "bo").ended(0);
    home.run(&["approve", &id, "--signature", "old.sig"]).ended(0);
    let said = send(&home, &id).ended(77).stderr;
    assert!(said.contains("2 people have to approve it, and 1 did") && said.contains("rejected afterwards"), "{said}");
    approve(&home, &id, "ada").ended(0);
    send(&home, &id).ended(0);
}

#[test]
fn where_it_is_not_known_who_prepared_it_nobody_can_approve() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    fs::remove_dir_all(home.path().join(".ssh")).unwrap();
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    home.write("signers", format!("ada {}", public(&home, "ada")));
    home.write("policy.toml", "[[rule]]\nrequired = 1\nallowed_signers = \"signers\"\n");
    let said = under(&home, &["approve", &id, "--key", "ada", "--confirm", "5"]).ended(77).stderr;
    assert!(said.contains("who prepared the campaign is not known"), "{said}");
    under(&home, &["send", &id, "--account", "work", "--confirm", "5"]).ended(77);
    // Nor does what was signed when no rule applied.
    approve(&home, &id, "ada").ended(0);
    under(&home, &["send", &id, "--account", "work", "--confirm", "5"]).ended(77);
    send(&home, &id).ended(0);
}

#[test]
fn what_was_rejected_is_not_sent_where_nobody_need_approve_either() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    home.run(&["reject", &id, "--reason", "not yet"]).ended(0);
    for what in [id.as_str(), "c"] {
        assert!(send(&home, what).ended(77).stderr.contains("(not yet)"));
    }
    approve(&home, &id, "cleo").ended(77);
    approve(&home, &id, "bo").ended(0);
    send(&home, &id).ended(0);
}
