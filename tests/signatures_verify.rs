//! What an account signs, an independent verifier holds for genuine, and nobody can change it unnoticed.

use apiece::{
    campaign::ListOptions,
    message::{Composer, Message, Signer},
    recipients::RecipientList,
    template::{Format, Template},
};
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::support::{
    Home, Run, account,
    dkim::{KINDS, Key, Kind, openssl, verify},
    json, people,
    postfix::Postfix,
    samples::SAMPLES,
    scripted::{Scripted, Tls},
    skip,
};

const DOMAIN: &str = "police.example";

fn now() -> Timestamp {
    Timestamp::now()
}

fn signed(signer: &Signer, message: &[u8]) -> Vec<u8> {
    let header = signer.sign(message, now()).unwrap();
    assert!(header.ends_with("\r\n") && header.lines().all(|line| line.len() < 78), "{header}");
    [header.as_bytes(), message].concat()
}

#[track_caller]
fn all_verify(records: &[(String, String)], messages: &[Vec<u8>]) {
    let Some(verdicts) = verify(records, messages) else { return };
    for (message, verdict) in messages.iter().zip(verdicts) {
        assert_eq!(verdict, "True", "\n{}", String::from_utf8_lossy(message));
    }
}

/// Messages as hard as they come on whoever has to find header fields, white space and ends.
fn nasty() -> Vec<Vec<u8>> {
    let head = "From: a@police.example\r\nTo: b@one.example\r\n";
    let mut messages: Vec<Vec<u8>> = [
        format!("{head}\r\n"),
        format!("{head}\r\n\r\n"),
        format!("{head}\r\n\r\n\r\n \t\r\n\t\r\n"),
        format!("{head}\r\nno line end"),
        format!("{head}\r\nspaces  \r\n at \t ends \t \r\n\r\n\r\n"),
        format!("{head}\r\n\r\n\r\nblank before\r\n\r\n \r\nand between\r\n"),
        format!("{head}\r\n.\r\n..\r\n.a\r\nFrom b\r\n\r\n"),
        format!("{head}\r\nCc: in the body\r\nFrom: x\r\n"),
        format!("{head}\r\nno-break\u{a0} \u{2003}spaces\u{a0}\r\n\u{a0}\r\n"),
        format!("{head}\r\n{}\r\n", "x".repeat(998)),
        format!("{head}Subject: folded\r\n  over\r\n\tthree lines \r\nX-Other: 1\r\n\r\nx\r\n"),
        format!("{head}Subject:\r\n first word on the next line\r\n\r\nx\r\n"),
        format!("{head}Subject:\r\n\r\nan empty one\r\n"),
        format!("{head}Subject:  \t two \t\t spaces \t\r\nSUBJECT-NOT: y\r\n\r\nx\r\n"),
        format!("{head}Subject: Änderung für Jörg 😀\r\nReply-To: <jörg@police.example>\r\n\r\nGrüße\r\n"),
        format!("{head}sUBJECT: a; b=c: d\r\nmessage-id: <b=@police.example>\r\n\r\nx\r\n"),
        format!("{head}List-Unsubscribe: <mailto:a@police.example>\r\nList-Unsubscribe: <https://police.example/u?a=b&c>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nx\r\n"),
        format!("{head}MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain\r\n\r\na \r\n--=_b\r\nContent-Type: text/html\r\n\r\n<p>a\r\n--=_b--\r\n"),
        format!("{head}Subject: {}\r\n\r\nx\r\n", "long ".repeat(190).trim_end()),
    ]
    .map(String::into_bytes)
    .to_vec();
    // Pieces in any order, the same each time.
    let pieces =
        ["a", " ", "\t", "\r\n", "\r\n\r\n", ".", "=20", "\u{a0}", "ü", "b=", ";", "  \r\n", "\t\r\n", "--=_b"];
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..300 {
        let body: String = (0..next(30)).map(|_| pieces[next(pieces.len())]).collect();
        let words: String =
            (0..next(20)).map(|_| ["a", " ", "\t", "\r\n b", "\r\n\tc ", ":", "ü", ";"][next(8)]).collect();
        // SMTP ends every line, the last one, too; dkimpy sees white space there only before a line end.
        messages.push(format!("{head}Subject:{words}.\r\n\r\n{body}\r\n").into_bytes());
    }
    messages
}

fn compose(format: Format, body: &str) -> Message {
    let list = RecipientList::parse("p.csv", "name,email\nJörg Ö,ada@one.example\n", &ListOptions::default()).unwrap();
    let front = "+++\nfrom = \"Ünit <updates@police.example>\"\nsubject = \"For {{name}}\"\nreply_to = \"r@police.example\"\n\
                 [headers]\nList-Unsubscribe = \"<mailto:stop@police.example>\"\nX-Case = \"7\"\n+++\n";
    let template = Template::compile("t", &format!("{front}{body}"), format, list.columns()).unwrap();
    Composer::new(template.into(), list.into()).compose(0).unwrap()
}

#[test]
fn whatever_is_in_a_message_its_signature_verifies() {
    for kind in KINDS {
        let key = Key::new(kind);
        let signer = Signer::read(&key.dkim(DOMAIN)).unwrap();
        let mut messages: Vec<Vec<u8>> = nasty().iter().map(|message| signed(&signer, message)).collect();
        for (format, body) in [(Format::Text, "Dear {{name}},\n\n  two  \n\n\n"), (Format::Markdown, "**{{name}}**\n")]
        {
            messages.push(compose(format, body).signed(&ZonedDateTime::now(), &signer).unwrap());
        }
        all_verify(&[key.record(DOMAIN)], &messages);
    }
}

#[test]
fn a_signature_is_not_part_of_what_was_checked_and_names_may_be_long() {
    let key = Key::new(Kind::Ed25519);
    let domain = format!("{}.police.example", ["x"; 3].map(|x| x.repeat(55)).join("."));
    let signer = Signer::read(&key.dkim(&domain)).unwrap();
    let message = compose(Format::Text, "hello\n");
    assert!(message.signed(&ZonedDateTime::now(), &signer).is_err(), "its sender is of another domain");
    let header = signer.sign(message.bytes(), now()).unwrap();
    all_verify(&[key.record(&domain)], &[[header.as_bytes(), message.bytes()].concat()]);

    let signer = Signer::read(&key.dkim(DOMAIN)).unwrap();
    let now = ZonedDateTime::now();
    let signed = message.signed(&now, &signer).unwrap();
    assert!(signed.starts_with(b"DKIM-Signature: v=1; ") && signed.ends_with(&message.dated(&now)));
    assert!(!message.bytes().starts_with(b"DKIM") && message.digest() == compose(Format::Text, "hello\n").digest());
}

/// Where the field of a name stands, without its line end.
fn field(message: &str, name: &str) -> std::ops::Range<usize> {
    let start = message.find(&format!("\r\n{name}: ")).unwrap() + 2;
    let mut end = start;
    for line in message[start..].split_inclusive("\r\n") {
        if end > start && !line.starts_with([' ', '\t']) {
            break;
        }
        end += line.len();
    }
    start..end - 2
}

/// A letter or digit of the text, and another one in its place.
fn changed(text: &str, at: usize) -> String {
    let at = at + text[at..].find(|c: char| c.is_ascii_alphanumeric()).unwrap();
    let other = if &text[at..=at] == "x" { "y" } else { "x" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[test]
fn any_change_is_noticed_and_what_servers_do_on_the_way_is_not() {
    const PRESENT: [&str; 9] =
        ["From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type", "List-Unsubscribe"];
    for kind in [Kind::RsaPkcs8, Kind::Ed25519] {
        let key = Key::new(kind);
        let signer = Signer::read(&key.dkim(DOMAIN)).unwrap();
        let later = ZonedDateTime::now().checked_sub(1.minute()).unwrap();
        let (mut wrong, mut right) = (Vec::new(), Vec::new());
        for (format, body) in [(Format::Text, "Dear {{name}},\n\nhello.\n"), (Format::Markdown, "**{{name}}**\n")] {
            let message = String::from_utf8(compose(format, body).signed(&later, &signer).unwrap()).unwrap();
            let (header, body) = message.split_once("\r\n\r\n").unwrap();
            right.push(message.clone());
            let present = PRESENT.into_iter().chain((format == Format::Text).then_some("Content-Transfer-Encoding"));
            for name in present {
                let field = field(&message, name);
                wrong.push(changed(&message, field.start + name.len() + 1));
                wrong.push(changed(&message, field.end - 4));
                wrong.push(format!("{}{}", &message[..field.start], &message[field.end + 2..]));
                // White space and case of names may change, and lines may be folded elsewhere.
                let value = message[field.clone()].split_once(": ").unwrap().1;
                let name = name.to_uppercase();
                right.push(format!("{}{name}:\r\n\t{value}  {}", &message[..field.start], &message[field.end..]));
            }
            for name in
                ["From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type"]
            {
                let added = format!("{name}: Eve <eve@evil.example>\r\n");
                wrong.push(format!("{added}{message}"));
                wrong.push(format!("{header}\r\n{}\r\n{body}", added));
                wrong.push(message.replacen("\r\nTo:", &format!("\r\n{}To:", added), 1));
            }
            for at in 0..body.len() {
                if body.as_bytes()[at].is_ascii_alphanumeric() {
                    wrong.push(format!("{header}\r\n\r\n{}", changed(body, at)));
                }
            }
            wrong.push(format!("{header}\r\n\r\n{body}more\r\n"));
            wrong.push(format!("{header}\r\n\r\n\r\n{body}"));
            wrong.push(format!("{header}\r\n\r\n"));
            // The signature's own header is signed as well.
            for (tag, other) in [("d=police", "d=xolice"), ("t=1", "t=2"), ("v=1", "v=2"), ("Cc:Bcc:", "Cc:")] {
                assert!(message.contains(tag), "{message}");
                wrong.push(message.replacen(tag, other, 1));
            }
            right.push(format!("Received: from a by b;\r\n today\r\nX-Spam: no\r\n{message}"));
            right.push(format!("{message}\r\n \t\r\n\r\n"));
            right.push(message.replacen("\r\n\r\n", "\r\nX-Added: 1\r\n\r\n", 1));
        }
        let bytes = |messages: &[String]| messages.iter().map(|one| one.clone().into_bytes()).collect::<Vec<_>>();
        all_verify(&[key.record(DOMAIN)], &bytes(&right));
        let Some(verdicts) = verify(&[key.record(DOMAIN)], &bytes(&wrong)) else { return };
        assert!(wrong.len() > 200, "{}", wrong.len());
        for (message, verdict) in wrong.iter().zip(verdicts) {
            assert_ne!(verdict, "True", "{kind:?}\n{message}");
        }
    }
}

#[test]
fn signed_messages_verify_behind_a_real_server() {
    let Some(postfix) = Postfix::start() else { return skip("Postfix is not installed") };
    let mut delivered = 0;
    for (sample, kind) in SAMPLES.iter().zip(KINDS) {
        let from = std::fs::read_dir(sample.path()).unwrap().map(|entry| entry.unwrap().path());
        let template = from.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "hbs")).unwrap();
        let template = std::fs::read_to_string(template).unwrap();
        let line = template.lines().find(|line| line.starts_with("from")).unwrap();
        let domain = line.split_once('@').unwrap().1.trim_matches(['>', '"', ' ']);
        let key = Key::new(kind);
        let home = Home::new();
        let login = format!("username = \"{}\"\npassword_env = \"P\"\n{}", postfix.user(), key.settings(domain));
        home.config(&account(postfix.smtps_port(), postfix.ca_file(), "implicit", &login));
        let count = sample.people().len();
        let mut command = home.command(&["send", &sample.path(), "--account", "work", "--confirm", &count.to_string()]);
        let run = Run::of(command.env("P", postfix.password()).output().unwrap()).ended(0);
        assert!(run.stdout.starts_with(&format!("{count} of {count} messages sent")), "{}", run.stdout);
        let messages: Vec<Vec<u8>> = postfix
            .wait_for(delivered + count)
            .iter()
            .map(|one| String::from_utf8_lossy(&one.bytes).replace('\n', "\r\n").into_bytes())
            .filter(|message| String::from_utf8_lossy(message).contains(&format!("s={};", key.dkim(domain).selector)))
            .collect();
        assert_eq!(messages.len(), count, "{}", sample.name);
        all_verify(&[key.record(domain)], &messages);
        delivered += count;
    }
    assert!(postfix.recipients_per_message().iter().all(|recipients| *recipients == 1));
}

/// A home with a campaign for two, and an account that signs with the key.
fn home(server: &Scripted, settings: &str) -> Home {
    let home = Home::new();
    home.campaign(&people(2));
    let login = format!("username = \"u\"\npassword_env = \"P\"\n{settings}");
    home.config(&account(server.port(), server.ca_file(), "implicit", &login));
    home
}

fn send(home: &Home, more: &[&str]) -> Run {
    let mut command = home.command(&[&["send", "c", "--account", "work", "--confirm", "2"], more].concat());
    Run::of(command.env("P", "pw").output().unwrap())
}

fn server() -> Scripted {
    Scripted::builder().tls(Tls::Implicit).auth("u", "pw").start()
}

#[test]
fn a_sender_of_another_domain_is_refused_before_anything_is_sent() {
    let server = server();
    let key = Key::new(Kind::Ed25519);
    let fixed = home(&server, &key.settings("other.example"));
    assert_eq!(
        send(&fixed, &[]).ended(65).said(),
        "error: the sender updates@police.example is not of other.example, for which the account signs\n  \
         help: send from an address at other.example, or change domain under dkim in the account\n"
    );
    // From a column: everybody whose message it is, is named.
    let column = home(&server, &key.settings(DOMAIN));
    column.write("c/t.txt.hbs", "+++\nfrom = \"{{unit}}\"\nsubject = \"x\"\n+++\nhello\n");
    let list = "unit,email\na@north.police.example,ann@list.example\nb@evil.example,bo@list.example\n";
    column.write("c/people.csv", list);
    let refused = send(&column, &[]).ended(65).stderr;
    assert!(refused.contains("a sender is not of police.example"), "{refused}");
    assert!(refused.contains("row 3") && !refused.contains("north.police") && !refused.contains("evil"), "{refused}");
    assert!(server.accepted().is_empty());
    column.write("c/people.csv", list.replace("evil.example", "POLICE.example"));
    send(&column, &[]).ended(0);
    assert_eq!(server.accepted().len(), 2);
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let server = server();
    let home =
        home(&server, "[account.work.dkim]\ndomain = \"police.example\"\nselector = \"s\"\nkey_file = \"~/k.pem\"\n");
    let path = home.path().join("k.pem");
    let path = path.display().to_string();
    let says = |why: &str, help: &str| {
        let run = send(&home, &[]).ended(78);
        assert_eq!(run.said(), format!("error: {why}\n{help}"));
        assert!(server.accepted().is_empty());
    };
    let make = "  help: make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out dkim.pem\n";
    says("the file named by key_file cannot be read: No such file or directory (os error 2)", "");
    let ssl = |arguments: &[&str]| {
        let _ = std::fs::remove_file(home.path().join("k.pem"));
        openssl(arguments, home.path());
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(home.path().join("k.pem"), mode).unwrap();
    };
    ssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "k.pem"]);
    says(&format!("the RSA key in {path} is too weak: 2048 bits and the exponent 65537 are the least"), make);
    for bits in ["3000", "4608"] {
        ssl(&["genrsa", "-traditional", "-out", "k.pem", bits]);
        says(&format!("the RSA key in {path} has a length that cannot be used; 2048, 3072 and 4096 bits can"), make);
    }
    // ring's documentation says that it takes this one.
    ssl(&["genrsa", "-traditional", "-out", "k.pem", "2047"]);
    says(&format!("the key in {path} is damaged, or of a kind that cannot be used"), make);
    ssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_pubexp:3", "-out", "k.pem"]);
    says(&format!("the RSA key in {path} is too weak: 2048 bits and the exponent 65537 are the least"), make);
    ssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "k.pem"]);
    says(&format!("the key in {path} is neither an RSA nor an Ed25519 key"), make);
    ssl(&["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", "k.pem"]);
    let without = format!("  help: write one without: openssl pkey -in {path} -out new.pem; chmod 600 new.pem\n");
    says(&format!("the key in {path} has a pass phrase"), &without);
    ssl(&["genrsa", "-traditional", "-aes256", "-passout", "pass:x", "-out", "k.pem", "2048"]);
    says(&format!("the key in {path} has a pass phrase"), &without);
    ssl(&["genpkey", "-algorithm", "ed25519", "-out", "k.pem"]);
    let good = std::fs::read_to_string(&path).unwrap();
    for (content, why) in [
        (String::new(), format!("there is no private key in {path}")),
        ("hello\n".into(), format!("there is no private key in {path}")),
        (
            good.replace(" PRIVATE", " PUBLIC"),
            format!("{path} is a public key and no private key that can sign messages"),
        ),
        (good.replace("-----END", ""), format!("the key in {path} is damaged, or of a kind that cannot be used")),
        (good.replace("MC4", "MC*"), format!("the key in {path} is damaged, or of a kind that cannot be used")),
        (good.replace("MC4", "MC5"), format!("the key in {path} is damaged, or of a kind that cannot be used")),
        (
            good.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
            format!("the key in {path} is damaged, or of a kind that cannot be used"),
        ),
        (good.clone() + &" ".repeat(70_000), format!("the key file {path} is longer than 64 KiB")),
    ] {
        std::fs::write(&path, content).unwrap();
        says(&why, make);
    }
    std::fs::write(&path, format!("\u{feff}some words before\r\n{}", good.replace('\n', "\r\n"))).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    says(
        &format!("the key file {path} can be read by others (its mode is 640)"),
        &format!("  help: chmod 600 {path}\n"),
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    send(&home, &[]).ended(0);
}

#[test]
fn settings_for_signing_are_checked_with_their_place() {
    let server = server();
    for (settings, wanted) in [
        (
            "",
            vec!["the key \"domain\" is missing", "the key \"selector\" is missing", "the key \"key_file\" is missing"],
        ),
        (
            "domain = \"police\"\nselector = \"s\"\nkey_file = \"k\"",
            vec!["\"account.work.dkim.domain\": this is not a domain"],
        ),
        ("domain = \"a@police.example\"\nselector = \"s\"\nkey_file = \"k\"", vec!["this is not a domain"]),
        ("domain = \"police.example; l=0\"\nselector = \"s\"\nkey_file = \"k\"", vec!["this is not a domain"]),
        ("domain = \"police.example\"\nselector = \"s;l=0\"\nkey_file = \"k\"", vec!["this cannot be a selector"]),
        ("domain = \"police.example\"\nselector = \"a..b\"\nkey_file = \"k\"", vec!["this cannot be a selector"]),
        ("domain = \"police.example\"\nselector = 2026\nkey_file = \"\"", vec!["must be a string", "not the key"]),
        ("domian = \"police.example\"\nselector = \"s\"\nkey_file = \"k\"", vec!["did you mean \"domain\"?"]),
    ] {
        let run = send(&home(&server, &format!("[account.work.dkim]\n{settings}\n")), &[]).ended(78);
        for wanted in wanted {
            assert!(run.stderr.contains(wanted) && run.stderr.contains("config.toml:"), "{settings}\n{}", run.stderr);
        }
    }
    let run = send(&home(&server, "dkim = \"yes\"\n"), &[]).ended(78);
    assert!(run.stderr.contains("\"account.work.dkim\" must be a table"), "{}", run.stderr);
    // A domain in any script is signed for as it travels.
    let key = Key::new(Kind::Ed25519);
    let home = home(&server, &key.settings("Müller.example"));
    home.write("c/t.txt.hbs", "+++\nfrom = \"a@müller.example\"\nsubject = \"x\"\n+++\nhello\n");
    send(&home, &[]).ended(0);
    let messages: Vec<Vec<u8>> = server.accepted().iter().map(|one| one.data.clone()).collect();
    assert_eq!(messages.len(), 2);
    all_verify(&[key.record("xn--mller-kva.example")], &messages);
}

#[test]
fn the_key_is_in_no_output() {
    let server = server();
    for kind in KINDS {
        let key = Key::new(kind);
        let secrets = key.secrets();
        let silent = |run: &Run| {
            for secret in &secrets {
                assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
            }
        };
        let sends = home(&server, &key.settings(DOMAIN));
        silent(&send(&sends, &[]).ended(0));
        let run = send(&sends, &["--again", "--format", "json"]).ended(0);
        assert_eq!(json(&run).last().unwrap()["sent"], 2);
        silent(&run);
        for delivery in server.accepted() {
            let message = String::from_utf8_lossy(&delivery.data).into_owned();
            assert!(secrets.iter().all(|secret| !message.contains(secret)));
        }
        let signer = Signer::read(&key.dkim(DOMAIN)).unwrap();
        assert!(secrets.iter().all(|secret| !format!("{signer:?} {signer:#?} {signer}").contains(secret)));

        // The key itself where its file's name, or anything else, is wanted; and a file that is damaged.
        let pem = std::fs::read_to_string(key.path()).unwrap();
        let one_line: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        for wrong in [
            key.settings(DOMAIN).replace(&key.path().display().to_string(), &one_line),
            format!("{}key = \"\"\"\n{pem}\"\"\"\n", key.settings(DOMAIN)),
            format!("{}key = \"\"\"\n{pem}\n", key.settings(DOMAIN)),
            format!(
                "[account.work.dkim]\ndomain = \"{one_line}\"\nselector = \"{one_line}\"\nkey_file = \"\"\"\n{pem}\"\"\"\n"
            ),
        ] {
            silent(&send(&home(&server, &wrong), &[]).ended(78));
        }
        std::fs::write(key.path(), pem.replacen('M', "N", 1)).unwrap();
        silent(&send(&sends, &[]).ended(78));
    }
}

#[test]
fn the_sandbox_needs_no_key_and_signs_nothing() {
    let server = server();
    let home =
        home(&server, "[account.work.dkim]\ndomain = \"police.example\"\nselector = \"s\"\nkey_file = \"not-there\"\n");
    send(&home, &["--sandbox", "--sandbox-dir", "kept"]).ended(0);
    let kept = std::fs::read_dir(home.path().join("kept")).unwrap().next().unwrap().unwrap().path();
    assert!(!std::fs::read_to_string(kept.join("0000001.eml")).unwrap().contains("DKIM-Signature"));
}
