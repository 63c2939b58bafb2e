//! A colleague looks at a campaign on another machine: it goes there for their key alone, is never sent from there, and what they
//! say comes back.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, OUTBOX, Run, pdf, people,
        processes::files_below,
        scripted::Scripted,
        ssh::{self, ed25519, key},
    },
};

/// Cleo's machine with a campaign that Ada must approve, and Ada's.
fn homes(server: &Scripted, kind: &[&str], passphrase: &str) -> (Home, Home, String) {
    let (own, ada) = (Home::at_relay(server), Home::at_relay(server));
    own.campaign(&people(5));
    own.write(
        "c/t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\nattachments = [\"leaflet.pdf\"]\n+++\nDear {{name}}\n",
    );
    own.write("c/leaflet.pdf", pdf("Help for victims"));
    own.write("ada.pub", key(&ada, "ada", kind, passphrase));
    let line = fs::read_to_string(own.path().join("ada.pub")).unwrap();
    own.write("c/signers", format!("ada@police.example {line}"));
    own.write("c/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n[approval]\nrequired = 1\nallowed_signers = \"signers\"\n");
    own.write(".ssh/id_ed25519.pub", ed25519(&own, "cleo"));
    own.run(&["prepare", "c"]).ended(0);
    let id = own.last_campaign();
    (own, ada, id)
}

fn carry(from: &Home, to: &Home, name: &str) {
    fs::copy(from.path().join(name), to.path().join(name)).unwrap();
}

#[test]
fn a_campaign_goes_to_a_colleague_and_their_word_comes_back() {
    if !ssh::is_there() {
        return;
    }
    for kind in [&["ed25519"][..], &["rsa", "-b", "3072"]] {
        let server = Scripted::builder().start();
        let (own, ada, id) = homes(&server, kind, "");
        own.run(&["export-approval", &id, "-o", "b"]).ended(64);
        let said = own.run(&["export-approval", &id, "--to", "ada.pub", "-o", "b"]).ended(0).stdout;
        assert!(said.contains("is in b, for 1 key"), "{said}");
        own.run(&["export-approval", &id, "--to", "ada.pub", "-o", "b"]).ended(73);
        let bundle = own.path().join("b");
        assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!String::from_utf8_lossy(&fs::read(&bundle).unwrap()).contains("list.example"));
        carry(&own, &ada, "b");
        ada.run(&["import-approval", "b"]).ended(64);
        ed25519(&ada, "other");
        let said = ada.run(&["import-approval", "b", "--key", "other"]).ended(77).stderr;
        assert!(said.contains("it is for another one, or it was changed"), "{said}");
        let said = ada.run(&["import-approval", "b", "--key", "ada"]).ended(0).stdout;
        assert!(
            said.contains(&format!("Campaign    {id}, c\nPrepared on ")) && said.contains("Recipients  5\n"),
            "{said}"
        );
        ada.run(&["import-approval", "b", "--key", "ada"]).ended(77);
        // It can be looked at.
        let shown = ada.run(&["preview", &id, "--row", "3"]).ended(0).stdout;
        assert!(shown.contains("Dear Person 3") && shown.contains("Attached: leaflet.pdf"), "{shown}");
        ada.run(&["verify", &id]).ended(0);
        let status = ada.run(&["status", &id]).ended(0).stdout;
        assert!(
            status.contains("it is here only to be looked at")
                && status.contains("0 of 1 for the campaign's own settings"),
            "{status}"
        );
        assert!(status.contains("\nLeft        5\n") && !status.contains("apiece send"), "{status}");
        // Who got it, only the other machine knows.
        ada.write("follow.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{name}}.\n");
        for state in ["queued", "sent"] {
            let list = format!("outbox:{id}?state={state}");
            let said = ada.run(&["check", "follow.txt.hbs", &list]).ended(77).stderr;
            assert!(said.contains("it is sent from"), "{said}");
        }
        ada.run(&["export-approval", &id, "-o", "a"]).ended(64);
        // It is never sent from there.
        ada.run(&["approve", &id, "--key", "ada", "--confirm", "5"]).ended(0);
        never_sent(&ada, &id);
        assert!(server.accepted().is_empty());
        // Their word comes back, and counts once.
        own.run(&["send", &id, "--account", "work", "--confirm", "5"]).ended(77);
        ada.run(&["export-approval", &id, "-o", "a"]).ended(0);
        carry(&ada, &own, "a");
        let said = own.run(&["import-approval", "a"]).ended(0).stdout;
        assert!(said.contains(&format!("campaign {id}: approved by ada@police.example\n")), "{said}");
        own.run(&["import-approval", "a"]).ended(64);
        own.run(&["send", &id, "--account", "work", "--confirm", "5"]).ended(0);
        assert_eq!(server.accepted().len(), 5);
        // People's data goes from there.
        ada.run(&["purge", &id, "--confirm", "5"]).ended(0);
        fs::remove_file(ada.path().join("b")).unwrap();
        for file in files_below(ada.path()) {
            let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
            assert!(!text.contains("@list.example") && !text.contains("Person 3"), "{}", file.display());
        }
        assert!(ada.run(&["status", &id]).ended(0).stdout.contains("Purged"));
    }
}

/// No command sends, or has sent later, what is here only to be looked at.
#[track_caller]
fn never_sent(ada: &Home, id: &str) {
    let account = ["--account", "work", "--confirm", "5"];
    for (command, codes) in [
        (&["send", id][..], &[77][..]),
        (&["send", id, "--rows", "2"], &[77]),
        (&["send", id, "--test", "me@police.example"], &[77]),
        (&["send", id, "--no-wait"], &[77]),
        (&["prepare", id], &[64]),
        (&["retry", id, "--failed"], &[77]),
        (&["retry", id, "--cancelled"], &[77]),
        (&["resolve", id, "--all", "--send-again"], &[77]),
        (&["resolve", id, "--all", "--sent"], &[64]),
        (&["export-approval", id, "--to", "ada.pub", "-o", "c2"], &[77]),
    ] {
        let flags: &[&str] = if command[0] == "send" { &account } else { &[] };
        let run: Run = ada.run(&[command, flags].concat());
        assert!(codes.contains(&run.code), "{command:?}: {run:?}");
        assert!(
            run.code != 77
                || run.stderr.contains("another machine's")
                || run.stderr.contains("here only to be looked at"),
            "{run:?}"
        );
    }
    ada.run(&["send", id, "--sandbox", "--sandbox-dir", "kept", "--confirm", "5"]).ended(0);
    fs::remove_dir_all(ada.path().join("kept")).unwrap();
    ada.run(&["cancel", id]).ended(0);
    ada.run(&["retry", id, "--cancelled"]).ended(77);
}

#[test]
fn a_rejection_comes_back_too_and_a_word_about_something_else_does_not() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let (own, ada, id) = homes(&server, &["ed25519"], "");
    own.run(&[
        "export-approval",
        &id,
        "--to",
        fs::read_to_string(own.path().join("ada.pub")).unwrap().trim(),
        "-o",
        "b",
    ])
    .ended(0);
    carry(&own, &ada, "b");
    ada.run(&["import-approval", "b", "--key", "ada"]).ended(0);
    ada.run(&["reject", &id, "--reason", "row 3 is wrong", "--key", "ada"]).ended(0);
    ada.run(&["export-approval", &id, "-o", "no"]).ended(0);
    std::thread::sleep(Duration::from_millis(1100));
    ada.run(&["approve", &id, "--key", "ada", "--confirm", "5"]).ended(0);
    ada.run(&["export-approval", &id, "-o", "yes"]).ended(0);
    let yes = fs::read_to_string(ada.path().join("yes")).unwrap();
    assert_eq!(yes.matches("BEGIN SSH SIGNATURE").count(), 2);
    for (from, to, codes) in [
        ("apiece approval 1", "apiece approval 2", &[65][..]),
        ("recipients: 5", "recipients: 6", &[77]),
        ("may be sent", "may be  sent", &[77]),
        ("must not", "may", &[77]),
        ("\"digest\": \"", "\"digest\": \"0", &[77]),
        ("\"campaign\": \"", "\"campaign\": \"00", &[64]),
        ("\"statements\"", "\"more\": 1, \"statements\"", &[65]),
    ] {
        own.write("a", yes.replacen(from, to, 1));
        let run = own.run(&["import-approval", "a"]);
        assert!(codes.contains(&run.code), "{from}: {run:?}");
    }
    own.write("a", "x".repeat(2 << 20));
    own.run(&["import-approval", "a"]).ended(78);
    carry(&ada, &own, "no");
    own.run(&["import-approval", "no"]).ended(0);
    let said = own.run(&["send", &id, "--account", "work", "--confirm", "5"]).ended(77).stderr;
    assert!(said.contains("(row 3 is wrong)"), "{said}");
    assert!(server.accepted().is_empty());
}

#[test]
fn a_bundle_is_for_some_types_of_keys_and_a_passphrase_is_asked_for() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let (own, ada, id) = homes(&server, &["ed25519"], "open sesame");
    own.write("ecdsa.pub", key(&ada, "ecdsa", &["ecdsa"], ""));
    let said = own.run(&["export-approval", &id, "--to", "ecdsa.pub", "-o", "b"]).ended(78).stderr;
    assert!(said.contains("its type is ecdsa-sha2-nistp256") && said.contains("ssh-ed25519 and ssh-rsa"), "{said}");
    own.run(&["export-approval", &id, "--to", "nobody.pub", "-o", "b"]).ended(78);
    own.run(&["export-approval", &id, "--to", "ada.pub", "-o", "b"]).ended(0);
    carry(&own, &ada, "b");
    ada.run(&["import-approval", "b", "--key", "ecdsa"]).ended(78);
    assert!(ada.run(&["import-approval", "b", "--key", "ada"]).ended(77).stderr.contains("no terminal to ask at"));
    // Who thinks better of it has the terminal as it was.
    Terminal::broken_off(&ada, "import-approval b --key ada", "Passphrase of ada: ");
    let mut terminal = Terminal::run(&ada, &["import-approval", "b", "--key", "ada"], &[]);
    terminal.wait_for("Passphrase of ada: ");
    terminal.type_in("open\n");
    terminal.ended(77);
    assert!(terminal.seen().contains("the passphrase does not open the key in ada"), "{}", terminal.seen());
    let mut terminal = Terminal::run(&ada, &["import-approval", "b", "--key", "ada"], &[]);
    terminal.wait_for("Passphrase of ada: ");
    terminal.type_in("open sesame\n");
    terminal.ended(0);
}

/// What is in a bundle, for the one who has the key.
fn opened(ada: &Home, bundle: &[u8]) -> Vec<u8> {
    let key = fs::read(ada.path().join("ada")).unwrap();
    let identity = age::ssh::Identity::from_buffer(&key[..], None).unwrap();
    let mut inside = Vec::new();
    let decryptor = age::Decryptor::new(bundle).unwrap();
    decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap().read_to_end(&mut inside).unwrap();
    inside
}

/// A bundle for her, with anything in it.
fn closed(ada: &Home, inside: &[u8]) -> Vec<u8> {
    let key = fs::read_to_string(ada.path().join("ada.pub")).unwrap();
    let recipient: age::ssh::Recipient = key.trim().parse().unwrap();
    let mut bundle = Vec::new();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
    let mut out = encryptor.wrap_output(&mut bundle).unwrap();
    out.write_all(inside).unwrap();
    out.finish().unwrap();
    bundle
}

/// The same with a text exchanged in one of its parts, whose length is put right.
fn changed(inside: &[u8], from: &str, to: &str) -> Vec<u8> {
    let start = inside.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (mut rest, mut out, mut is_done) = (&inside[start..], inside[..start].to_vec(), false);
    while let [letter, a, b, c, d, more @ ..] = rest {
        let (part, others) = more.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        let at = part.windows(from.len()).position(|window| window == from.as_bytes()).filter(|_| !is_done);
        let part = match at {
            Some(at) => [&part[..at], to.as_bytes(), &part[at + from.len()..]].concat(),
            None => part.to_vec(),
        };
        is_done |= at.is_some();
        out.push(*letter);
        out.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        out.extend(part);
        rest = others;
    }
    assert!(is_done, "{from}");
    out
}

#[test]
fn a_bundle_that_is_meant_ill_is_refused_and_leaves_nothing() {
    if !ssh::is_there() {
        return;
    }
    let server = Scripted::builder().start();
    let (own, ada, id) = homes(&server, &["ed25519"], "");
    own.run(&["export-approval", &id, "--to", "ada.pub", "-o", "b"]).ended(0);
    let bundle = fs::read(own.path().join("b")).unwrap();
    let inside = opened(&ada, &bundle);
    let mut ill: Vec<(String, Vec<u8>)> = Vec::new();
    for at in [0, 30, bundle.len() / 2, bundle.len() - 1] {
        let mut other = bundle.clone();
        other[at] ^= 1;
        ill.push((format!("octet {at}"), other));
        ill.push((format!("cut at {at}"), bundle[..at].to_vec()));
    }
    for (from, to) in [
        ("p2@list", "p9@list"),
        ("Person 3", "Person 4"),
        ("Dear", "Deer"),
        ("%PDF", "%PDG"),
        ("ada@police", "eve@police"),
        ("required = 1", "required = 9"),
        ("leaflet.pdf", "../../../../leaflet.pdf"),
        ("\"edition\":1", "\"edition\":2"),
        (&format!("\"id\":\"{id}\""), "\"id\":\"../../etc/x\""),
        (&format!("\"id\":\"{id}\""), "\"id\":\"-rf\""),
        ("\"name\":\"c\"", "\"name\":\"\""),
        ("\"digest\":\"", "\"digest\":\"zz"),
        ("\"largest\":", "\"largest\":-"),
        ("\"list\":", "\"list\":1,\"list2\":"),
        ("\"preparing\":", &format!("\"preparing\":[\"{}\"],\"x\":", "y".repeat(100_000))),
    ] {
        ill.push((format!("{from} as {to:.40}"), closed(&ada, &changed(&inside, from, to))));
    }
    let end = inside.len() - 5;
    ill.push(("no end".into(), closed(&ada, &inside[..end])));
    ill.push(("more behind".into(), closed(&ada, &[&inside[..], b"more"].concat())));
    ill.push(("another kind".into(), closed(&ada, b"apiece bundle 2\nL\0\0\0\0")));
    ill.push(("nothing".into(), closed(&ada, b"")));
    ill.push(("a length".into(), closed(&ada, &[&inside[..end], &b"F\xff\xff\xff\xffx"[..]].concat())));
    ill.push((
        "a length that does not come".into(),
        closed(&ada, &[&inside[..end], &b"F\x03\xff\xff\xffx"[..]].concat()),
    ));
    ill.push(("a file without bytes".into(), closed(&ada, &[&inside[..end], &b"F\0\0\0\x01xE\0\0\0\0"[..]].concat())));
    ill.push(("a file twice".into(), {
        let path = b"F\0\0\0\x0bleaflet.pdfB\0\0\0\x01x";
        closed(&ada, &[&inside[..end], path, b"E\0\0\0\0"].concat())
    }));
    let before = files_below(ada.path()).len();
    for (what, bytes) in &ill {
        ada.write("b", bytes);
        let run = ada.run(&["import-approval", "b", "--key", "ada"]);
        assert!([65, 77].contains(&run.code), "{what}: {run:?}");
        assert!(ada.run(&["status"]).ended(0).stdout.contains("there are no campaigns yet"), "{what}");
    }
    let record = rusqlite::Connection::open(ada.path().join(OUTBOX)).unwrap();
    let count = |table: &str| {
        record.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(["campaign", "recipient", "message", "file", "content", "log"].map(count), [0; 6]);
    drop(record);
    // Nothing but the bundle and the record was written.
    assert!(files_below(ada.path()).len() <= before + 4);
    ada.write("b", &bundle);
    ada.run(&["import-approval", "b", "--key", "ada"]).ended(0);
    // A campaign of one's own is no guest.
    own.run(&["import-approval", "b", "--key", "cleo"]).ended(77);
}
