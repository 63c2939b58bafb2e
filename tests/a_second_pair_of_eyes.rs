//! Where somebody else has to look first, nothing is sent before they signed, and nothing else than what they signed.

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, OUTBOX, Run, people,
        scripted::Scripted,
        ssh::{self, Agent, ed25519, key},
    },
};

/// A campaign for five that Ada or Bo must approve; Cleo prepares it.
fn home(server: &Scripted) -> Home {
    let home = Home::at_relay(server);
    home.campaign(&people(5));
    let (ada, bo) = (ed25519(&home, "ada"), ed25519(&home, "bo"));
    home.write("c/allowed_signers", format!("ada@police.example {ada}\nbo@police.example {bo}\n"));
    asks(&home, "required = 1\nallowed_signers = \"allowed_signers\"\n");
    home.write(".ssh/id_ed25519.pub", ed25519(&home, "cleo"));
    home
}

/// What the campaign says about approvals.
fn asks(home: &Home, approval: &str) {
    home.write(
        "c/campaign.toml",
        format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[approval]\n{approval}"),
    );
}

#[track_caller]
fn prepare(home: &Home) -> String {
    home.run(&["prepare", "c"]).ended(0);
    home.last_campaign()
}

fn send(home: &Home, what: &str) -> Run {
    home.run(&["send", what, "--account", "work", "--confirm", "5"])
}

fn approve(home: &Home, id: &str, key: &str) -> Run {
    home.run(&["approve", id, "--key", key, "--confirm", "5"])
}

/// An entry of the log.
fn entry(home: &Home, what: &str) -> serde_json::Value {
    let record = rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap();
    let sql = "SELECT details FROM log WHERE what = ? ORDER BY number DESC LIMIT 1";
    let details: String = record.query_row(sql, [what], |row| row.get(0)).unwrap();
    serde_json::from_str(&details).unwrap()
}

#[test]
fn nothing_is_sent_before_somebody_else_has_signed() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let refused = send(&home, "c").ended(77).stderr;
    let id = home.last_campaign();
    let missing = format!(
        "error: campaign {id} may not be sent: 1 person has to approve it, and 0 did (the campaign's own settings); nothing was sent\n"
    );
    assert!(refused.contains(&missing) && refused.contains(&format!("apiece approve {id} --key")), "{refused}");
    for way in [&["--rows", "2"][..], &["--again"], &[]] {
        let all = [&["send", "c", "--account", "work", "--confirm", "1"][..], way].concat();
        home.run(&all).ended(77);
        let all = [&["send", &id, "--account", "work", "--confirm", "5"][..], &way[..way.len().min(2)]].concat();
        assert_ne!(home.run(&all).code, 0);
    }
    let mut terminal = Terminal::run(&home, &["send", &id, "--account", "work", "--first", "1"], &[]);
    terminal.ended(77);
    terminal.wait_for("may not be sent");
    assert!(!terminal.seen().contains("Type the number"), "{}", terminal.seen());
    assert!(server.accepted().is_empty());
    // What goes to nobody on the list need not wait.
    home.run(&["send", "c", "--sandbox", "--confirm", "5"]).ended(0);
    home.run(&["send", &id, "--sandbox", "--confirm", "5"]).ended(0);
    home.run(&["send", "c", "--dry-run"]).ended(0);
    home.run(&["send", &id, "--account", "work", "--test", "me@police.example", "--confirm", "1"]).ended(0);
    assert_eq!(server.accepted().len(), 1);
    let said = approve(&home, &id, "ada").ended(0).stdout;
    assert!(said.contains("Approval    1 of 1 for the campaign's own settings\nApproved    "), "{said}");
    assert!(said.ends_with(&format!("Send it with: apiece send {id}\n")), "{said}");
    send(&home, &id).ended(0);
    assert_eq!(server.accepted().len(), 6);
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(status.contains("ada@police.example (SHA256:") && status.contains("): counts until "), "{status}");
    // What is over needs nobody's word.
    send(&home, &id).ended(0);
    home.run(&["verify", &id]).ended(0);
}

#[test]
fn openssh_verifies_our_signatures_and_we_verify_its() {
    if !ssh::is_there() {
        return;
    }
    let kinds: [(&str, &[&str]); 7] = [
        ("ed", &["ed25519"]),
        ("ed2", &["ed25519"]),
        ("rsa", &["rsa", "-b", "2048"]),
        ("rsa4", &["rsa", "-b", "4096"]),
        ("p256", &["ecdsa", "-b", "256"]),
        ("p384", &["ecdsa", "-b", "384"]),
        ("p521", &["ecdsa", "-b", "521"]),
    ];
    let server = Scripted::builder().start();
    let home = home(&server);
    let lines = kinds.map(|(name, kind)| format!("{name}@police.example {}\n", key(&home, name, kind, "")));
    home.write("c/allowed_signers", lines.concat());
    asks(&home, "required = 7\nallowed_signers = \"allowed_signers\"\n");
    let id = prepare(&home);
    let agent = Agent::start(&home);
    for (nth, (name, kind)) in kinds.into_iter().enumerate() {
        send(&home, &id).ended(77);
        if nth % 2 == 0 && kind[0] != "ecdsa" {
            // Ours, by the real one
            approve(&home, &id, name).ended(0);
        } else if nth % 2 == 0 {
            // The agent's
            agent.add(&home, name);
            let public = format!("{name}.pub");
            let mut command = home.command(&["approve", &id, "--key", &public, "--confirm", "5"]);
            Run::of(command.env("SSH_AUTH_SOCK", &agent.socket).output().unwrap()).ended(0);
        } else {
            // The real one's, by ours
            let file = format!("{name}.txt");
            let said = home.run(&["approve", &id, "--statement", &file]).ended(0).stdout;
            assert!(said.contains(&format!("ssh-keygen -Y sign -n apiece -f YOUR_KEY {file}\n")), "{said}");
            let signed = ssh::run(&home, "ssh-keygen", &["-Y", "sign", "-n", "apiece", "-f", name, &file], "");
            assert!(signed.status.success());
            home.run(&["approve", &id, "--signature", &format!("{file}.sig")]).ended(0);
            home.run(&["approve", &id, "--signature", &format!("{file}.sig")]).ended(64);
        }
        let details = entry(&home, "approved");
        let text = |key: &str| details[key].as_str().unwrap().to_owned();
        let who = format!("{name}@police.example");
        assert_eq!(text("principal"), who);
        let verified = ssh::verify(&home, &who, "c/allowed_signers", &text("statement"), &text("signature"));
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(verified.status.success() && said.contains("Good \"apiece\" signature"), "{name}: {verified:?}");
        assert!(said.contains(&text("key")), "{said}");
        let other = text("statement").replace("recipients: 5", "recipients: 6");
        assert!(!ssh::verify(&home, &who, "c/allowed_signers", &other, &text("signature")).status.success());
    }
    send(&home, &id).ended(0);
    assert_eq!(server.accepted().len(), 5);
}

#[test]
fn a_key_file_signs_or_it_is_said_that_an_agent_must() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let names: Vec<String> = (0..24).map(|nth| format!("k{nth}")).collect();
    let kind = |nth: usize| [["ecdsa", "-b", "521"], ["ecdsa", "-b", "256"], ["ecdsa", "-b", "384"]][nth % 3];
    let lines = names.iter().enumerate().map(|(nth, name)| format!("{name} {}\n", key(&home, name, &kind(nth), "")));
    home.write("c/allowed_signers", lines.collect::<String>());
    let id = prepare(&home);
    let mut signed = 0;
    for name in &names {
        let run = approve(&home, &id, name);
        signed += usize::from(run.code == 0);
        assert!(
            run.code == 0 || run.code == 78 && run.stderr.contains("give it to the ssh-agent with ssh-add"),
            "{run:?}"
        );
    }
    assert!(signed >= 10, "{signed}");
}

#[test]
fn a_signature_for_something_else_is_refused() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let id = prepare(&home);
    home.run(&["approve", &id, "--statement", "ok.txt"]).ended(0);
    home.run(&["approve", &id, "--statement", "ok.txt"]).ended(73);
    let sign = |namespace: &str, file: &str| {
        let _ = std::fs::remove_file(home.path().join(format!("{file}.sig")));
        let signed = ssh::run(&home, "ssh-keygen", &["-Y", "sign", "-n", namespace, "-f", "ada", file], "");
        assert!(signed.status.success());
    };
    sign("file", "ok.txt");
    let said = home.run(&["approve", &id, "--signature", "ok.txt.sig"]).ended(77).stderr;
    assert!(said.contains("the signature does not belong to the statement"), "{said}");
    sign("apiece", "ok.txt");
    let statement = std::fs::read_to_string(home.path().join("ok.txt")).unwrap();
    for (from, to) in
        [("recipients: 5", "recipients: 4"), ("digest: ", "digest: 0"), ("name: c", "name: d"), ("may be", "may  be")]
    {
        home.write("ok.txt", statement.replacen(from, to, 1));
        let said = home.run(&["approve", &id, "--signature", "ok.txt.sig"]);
        assert!([65, 77].contains(&said.code), "{from}: {said:?}");
        // Signed as it is, it is still about something else.
        sign("apiece", "ok.txt");
        let said = home.run(&["approve", &id, "--signature", "ok.txt.sig"]);
        assert!([65, 77].contains(&said.code), "{from}: {said:?}");
    }
    home.write("ok.txt", &statement);
    home.write("ok.txt.sig", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n");
    home.run(&["approve", &id, "--signature", "ok.txt.sig"]).ended(77);
    send(&home, &id).ended(77);
    sign("apiece", "ok.txt");
    home.run(&["approve", &id, "--signature", "ok.txt.sig"]).ended(0);
    send(&home, &id).ended(0);
}

#[test]
fn a_key_that_may_not_is_refused_with_its_reason() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let ada = std::fs::read_to_string(home.path().join("ada.pub")).unwrap();
    ed25519(&home, "mallory");
    let id = prepare(&home);
    let refused = |id: &str, key: &str, why: &str| {
        let said = approve(&home, id, key).ended(77).stderr;
        assert!(said.contains(why), "{said}");
    };
    refused(&id, "mallory", "the key is not one of those that may approve");
    assert!(
        home.run(&["approve", &id, "--key", "ada", "--confirm", "4"]).ended(77).stderr.contains("nothing was signed")
    );
    for (options, why) in [
        ("namespaces=\"file\"", "the key is for other purposes"),
        ("valid-before=\"20200101\"", "the key is valid no longer since 2020-01-01"),
        ("valid-after=\"29990101Z\"", "the key is not yet valid"),
        ("cert-authority", "an authority for certificates"),
    ] {
        home.run(&["cancel", &home.last_campaign()]).ended(0);
        home.write("c/allowed_signers", format!("ada {options} {ada}"));
        home.run(&["prepare", "c", "--again"]).ended(0);
        refused(&home.last_campaign(), "ada", why);
    }
    // Revoked after it signed: it counts for nothing any more.
    home.run(&["cancel", &home.last_campaign()]).ended(0);
    home.write("c/allowed_signers", format!("ada {ada}"));
    home.write("revoked", "# nobody yet\n");
    asks(
        &home,
        "required = 1\nallowed_signers = \"allowed_signers\"\nrevoked_keys = \"../revoked\"\napproval_expires = \"1d\"\n",
    );
    home.run(&["prepare", "c", "--again"]).ended(0);
    let id = home.last_campaign();
    approve(&home, &id, "ada").ended(0);
    home.write("revoked", &ada);
    assert!(send(&home, &id).ended(77).stderr.contains("the key was revoked"));
    assert!(home.run(&["status", &id]).ended(0).stdout.contains("does not count: the key was revoked"));
    refused(&id, "ada", "the key was revoked");
    let krl = ssh::run(&home, "ssh-keygen", &["-k", "-f", "krl", "ada.pub"], "");
    assert!(krl.status.success());
    std::fs::copy(home.path().join("krl"), home.path().join("revoked")).unwrap();
    let said = send(&home, &id).ended(78).stderr;
    assert!(said.contains("binary list of revoked keys (KRL)"), "{said}");
    home.write("revoked", "ssh-ed25519 nonsense\n");
    send(&home, &id).ended(78);
    std::fs::remove_file(home.path().join("revoked")).unwrap();
    send(&home, &id).ended(78);
    home.write("revoked", "");
    send(&home, &id).ended(0);
}

#[test]
fn who_prepared_it_cannot_approve_it() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let (cleo, ada) = (
        std::fs::read_to_string(home.path().join("cleo.pub")).unwrap(),
        std::fs::read_to_string(home.path().join("ada.pub")).unwrap(),
    );
    let signers = format!("cleo@police.example {cleo}ada@police.example,boss {ada}");
    home.write("c/allowed_signers", &signers);
    let id = prepare(&home);
    let said = approve(&home, &id, "cleo").ended(77).stderr;
    assert!(said.contains("who prepared a campaign cannot approve it, and the key is one of theirs"), "{said}");
    // By the name that they say, and by what the system calls them.
    std::fs::remove_dir_all(home.path().join(".ssh")).unwrap();
    home.run(&["cancel", &id]).ended(0);
    let said = home.run(&["prepare", "c", "--again"]).ended(77).stderr;
    assert!(said.contains("who prepares it cannot be told; nothing was kept") && said.contains("--by NAME"), "{said}");
    home.run(&["send", "c", "--again", "--account", "work", "--confirm", "5"]).ended(77);
    for by in ["Ada@police.example", "ada", "BOSS"] {
        home.run(&["prepare", "c", "--again", "--by", by]).ended(0);
        let id = home.last_campaign();
        let said = approve(&home, &id, "ada").ended(77).stderr;
        assert!(said.contains("who prepared a campaign cannot approve it, and \""), "{said}");
        approve(&home, &id, "cleo").ended(0);
        home.run(&["cancel", &id]).ended(0);
    }
    let mut sudo = home.command(&["prepare", "c", "--again", "--by", "somebody"]);
    assert!(sudo.env("SUDO_USER", "ada").output().unwrap().status.success());
    let id = home.last_campaign();
    assert!(approve(&home, &id, "ada").ended(77).stderr.contains("\"ada@police.example\" is their name"));
    // So it is with a key in the agent.
    home.run(&["cancel", &id]).ended(0);
    let agent = Agent::start(&home);
    agent.add(&home, "cleo");
    let mut prepare = home.command(&["prepare", "c", "--again"]);
    assert!(prepare.env("SSH_AUTH_SOCK", &agent.socket).output().unwrap().status.success());
    let id = home.last_campaign();
    assert!(approve(&home, &id, "cleo").ended(77).stderr.contains("the key is one of theirs"));
    // Who finds the same there is not who prepared it.
    home.write(".ssh/ada.pub", &ada);
    home.run(&["prepare", "c", "--again"]).ended(0);
    assert_eq!(home.last_campaign(), id);
    approve(&home, &id, "ada").ended(0);
    send(&home, &id).ended(0);
}

#[test]
fn an_agent_and_a_passphrase_are_asked() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let locked = key(&home, "locked", &["ed25519"], "open sesame");
    let lines = ["ada", "rsa", "p256"].map(|name| {
        let kind: &[&str] = if name == "rsa" { &["rsa", "-b", "3072"] } else { &["ecdsa"] };
        let line = if name == "ada" {
            std::fs::read_to_string(home.path().join("ada.pub")).unwrap()
        } else {
            key(&home, name, kind, "")
        };
        format!("{name} {}\n", line.trim_end())
    });
    home.write("c/allowed_signers", format!("dora {locked}\n{}", lines.concat()));
    asks(&home, "required = 4\nallowed_signers = \"allowed_signers\"\n");
    let id = prepare(&home);
    let without = home.run(&["approve", &id, "--confirm", "5"]).ended(78).stderr;
    assert!(without.contains("there is no ssh-agent to ask"), "{without}");
    let agent = Agent::start(&home);
    let run =
        |arguments: &[&str]| Run::of(home.command(arguments).env("SSH_AUTH_SOCK", &agent.socket).output().unwrap());
    let none = run(&["approve", &id, "--confirm", "5"]).ended(77).stderr;
    assert!(none.contains("none of the 0 keys that the ssh-agent has may approve this"), "{none}");
    agent.add(&home, "rsa");
    run(&["approve", &id, "--confirm", "5"]).ended(0);
    agent.add(&home, "p256");
    agent.add(&home, "ada");
    let several = run(&["approve", &id, "--confirm", "5"]).ended(64).stderr;
    assert!(several.contains("the ssh-agent has 3 keys that may approve this"), "{several}");
    run(&["approve", &id, "--key", "p256.pub", "--confirm", "5"]).ended(0);
    run(&["approve", &id, "--key", "ada.pub", "--confirm", "5"]).ended(0);
    let refused = run(&["approve", &id, "--key", "locked.pub", "--confirm", "5"]).ended(78).stderr;
    assert!(refused.contains("the ssh-agent does not sign with the key SHA256:"), "{refused}");
    drop(agent);
    let blind = home.run(&["approve", &id, "--key", "locked", "--confirm", "5"]).ended(77).stderr;
    assert!(blind.contains("no terminal to ask at"), "{blind}");
    for (passphrase, code) in [("wrong", 77), ("open sesame", 0)] {
        let mut terminal = Terminal::run(&home, &["approve", &id, "--key", "locked"], &[]);
        terminal.wait_for("Type the number of recipients to approve: ");
        let seen = terminal.seen();
        for shown in [
            &format!("Campaign    {id}, c\n")[..],
            "Subject     For Person 2\n",
            "From        ",
            "Recipients  5, each",
            "Digest      ",
            "Key         SHA256:",
        ] {
            assert!(seen.contains(shown), "{shown}: {seen}");
        }
        terminal.type_in("5\n");
        terminal.wait_for("Passphrase of locked: ");
        terminal.type_in(&format!("{passphrase}\n"));
        terminal.ended(code);
        assert!(!terminal.seen().contains(passphrase));
    }
    let mut terminal = Terminal::run(&home, &["approve", &id, "--key", "ada"], &[]);
    terminal.wait_for("approve: ");
    terminal.type_in("4\n");
    terminal.ended(77);
    send(&home, &id).ended(0);
    let open = std::fs::read(home.path().join("ada")).unwrap();
    home.write("open", open);
    let said = approve(&home, &id, "open").ended(77).stderr;
    assert!(said.contains("can be read by others") && said.contains("chmod 600 open"), "{said}");
}

#[test]
fn one_changed_byte_ends_an_approval() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let home = home(&server);
    let front =
        "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\nattachments = [\"leaflet.txt\"]\n+++\nDear {{name}}\n";
    home.write("c/t.txt.hbs", front);
    home.write("c/leaflet.txt", "Call us\n");
    let id = prepare(&home);
    approve(&home, &id, "ada").ended(0);
    let kept: Vec<(&str, Vec<u8>)> =
        ["c/t.txt.hbs", "c/leaflet.txt", "c/people.csv", "c/campaign.toml", "c/allowed_signers"]
            .map(|name| (name, std::fs::read(home.path().join(name)).unwrap()))
            .into();
    let change = |name: &str, from: &str, to: &str| {
        for (name, bytes) in &kept {
            home.write(name, bytes);
        }
        let text = std::fs::read_to_string(home.path().join(name)).unwrap();
        assert!(text.contains(from), "{text}");
        home.write(name, text.replacen(from, to, 1));
    };
    // What the messages are made of: another campaign, which nobody approved.
    for (name, from, to) in
        [("c/t.txt.hbs", "Dear", "Deer"), ("c/leaflet.txt", "us", "me"), ("c/people.csv", "p3@", "p9@")]
    {
        change(name, from, to);
        let said = send(&home, "c").ended(77).stderr;
        assert!(said.contains("1 person has to approve it, and 0 did"), "{name}: {said}");
        assert_ne!(home.last_campaign(), id);
    }
    // What is said of it: the same messages, and not what was approved.
    for (name, from, to) in [
        ("c/campaign.toml", "required = 1\n", "required = 1\napproval_expires = \"8d\"\n"),
        ("c/campaign.toml", "[approval]", "[send]\nrate = \"1/s\"\n[approval]"),
        ("c/campaign.toml", "[approval]\nrequired = 1\nallowed_signers = \"allowed_signers\"\n", ""),
        ("c/campaign.toml", "template", "sensitivity = \"none\"\ntemplate"),
        ("c/allowed_signers", "ada@", "eve@"),
        ("c/allowed_signers", "ada@", "\nada@"),
    ] {
        change(name, from, to);
        let said = send(&home, "c").ended(77).stderr;
        assert!(
            said.contains(&format!("campaign {id} has the same messages and was prepared with other settings")),
            "{said}"
        );
        home.run(&["prepare", "c"]).ended(77);
    }
    change("c/people.csv", "p", "p");
    for way in [&["--rate", "9/s"][..], &["--hold", "1s"], &["--tries", "2"], &["--connections", "1"], &["--spread"]] {
        let all = [&["send", &id, "--account", "work", "--confirm", "5"][..], way].concat();
        let said = home.run(&all).ended(77).stderr;
        assert!(
            said.contains("must be sent with the settings that are approved, and these are others: "),
            "{way:?}: {said}"
        );
    }
    assert!(server.accepted().is_empty());
    // The record itself
    let original = std::fs::read(home.path().join(OUTBOX)).unwrap();
    for sql in [
        "UPDATE content SET bytes = x'657665' WHERE digest = (SELECT digest FROM file WHERE path = '/allowed_signers' AND campaign = 1)",
        "UPDATE campaign SET settings = replace(settings, 'required = 1', 'required = 0')",
        "UPDATE campaign SET settings = replace(settings, '[approval]', '[send]')",
        "DELETE FROM file WHERE path = '/allowed_signers'",
        "UPDATE campaign SET name = 'd'",
        "DROP TRIGGER recipient_stays; UPDATE recipient SET address = 'eve@list.example' WHERE position = 1",
        "DROP TRIGGER log_is_not_changed; UPDATE log SET details = replace(details, 'recipients: 5', 'recipients: 6')",
        "DROP TRIGGER log_is_not_cut; DELETE FROM log WHERE what = 'approved'",
    ] {
        home.write("changed.sqlite", &original);
        rusqlite::Connection::open(home.path().join("changed.sqlite")).unwrap().execute_batch(sql).unwrap();
        let run = home.run(&["send", &id, "--account", "work", "--confirm", "5", "--outbox", "changed.sqlite"]);
        assert!([65, 77].contains(&run.code), "{sql}: {run:?}");
    }
    assert!(server.accepted().is_empty());
    send(&home, &id).ended(0);
    assert_eq!(server.accepted().len(), 5);
}
