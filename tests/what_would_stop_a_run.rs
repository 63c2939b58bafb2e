//! `doctor` says what would stop a run, line by line: how far one comes with the server. Nothing is sent, and no password is shown.

use std::net::TcpListener;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::support::{
    Home, OUTBOX, Run, account,
    certificates::{Authority, self_signed},
    dns::Dns,
    doctor::{about, skipped, steady},
    people,
    postfix::Postfix,
    scripted::{Act, Scripted, Stage, Tls},
};

#[track_caller]
fn says_nothing(run: &Run, password: &str) {
    let encoded = BASE64_STANDARD.encode(password);
    for output in [&run.stdout, &run.stderr] {
        assert!(!output.contains(password) && !output.contains(&encoded), "{output}");
    }
}

fn home_for(postfix: &Postfix, tls: &str, more: &str) -> Home {
    let home = Home::new();
    let port = if tls == "implicit" { postfix.smtps_port() } else { postfix.submission_port() };
    let login = format!("username = \"{}\"\npassword_env = \"SMTP_PASSWORD\"\n{more}", postfix.user());
    home.config(&account(port, postfix.ca_file(), tls, &login).replace("localhost", "127.0.0.1"));
    home
}

/// What the DNS says of the tests' senders: all is well.
fn dns() -> Option<Dns> {
    let records = [
        "police.example MX 10 mail.police.example.",
        "mail.police.example A 192.0.2.25",
        "police.example TXT v=spf1 ip4:127.0.0.1 -all",
        "_dmarc.police.example TXT v=DMARC1; p=reject; rua=mailto:postmaster@police.example",
    ];
    Dns::start(&records.map(str::to_owned))
}

fn doctor(home: &Home, password: &str, dns: &Dns, arguments: &[&str]) -> Run {
    let mut command = home.command(&["doctor", "--account", "work", "--resolver", &dns.address()]);
    let run = Run::of(command.args(arguments).env("SMTP_PASSWORD", password).output().unwrap());
    says_nothing(&run, password);
    run
}

#[track_caller]
fn nothing_was_sent(postfix: &Postfix) {
    assert!(postfix.delivered().is_empty() && postfix.queued().is_empty() && postfix.envelopes().is_empty());
}

#[test]
fn everything_is_looked_at_and_nothing_is_sent() {
    let (Some(postfix), Some(dns)) = (Postfix::start(), dns()) else { return };
    for (tls, starttls) in [
        ("starttls", "ok       STARTTLS: it is offered, and begun"),
        ("implicit", "skipped  STARTTLS: tls = \"implicit\": TLS begins with the first octet"),
    ] {
        let home = home_for(&postfix, tls, "");
        let run = doctor(&home, postfix.password(), &dns, &[]).ended(0);
        let expected = format!(
            "ok       config file ~/.config/apiece/config.toml: account work, to 127.0.0.1:PORT\n\
             note     permissions of the config file: others can read it (its mode is 644); no password is in it\n         \
             to do: chmod 600 ~/.config/apiece/config.toml\n\
             ok       password: there is one from password_env, not shown\n\
             ok       outbox ~/.local/state/apiece/outbox.sqlite: not there yet; the first campaign makes it\n\
             ok       permissions of the outbox: it can be made in ~, for you alone\n\
             ok       room for the outbox: N MiB are free\n\
             ok       clock: …\n\
             ok       DNS of 127.0.0.1: 127.0.0.1, in N ms\n\
             ok       IPv4: 127.0.0.1:PORT answers, in N ms\n\
             skipped  IPv6: there is no such address\n\
             ok       connection: there is one to 127.0.0.1:PORT, after N ms\n\
             ok       TLS: TLSv1.3 with TLS13_AES_256_GCM_SHA384\n\
             ok       certificate: trusted; for localhost, 127.0.0.1, issued by CN=apiece test authority, valid until DAY (N days left), 1 certificate shown\n\
             ok       greeting: 220 mail.police.example ESMTP Postfix\n\
             skipped  the server's clock: the greeting does not say what time it is there\n\
             ok       EHLO: it calls itself mail.police.example, with {} keywords\n\
             {starttls}\n\
             ok       AUTH: it offers PLAIN, LOGIN, SCRAM-SHA-256; SCRAM-SHA-256 is used\n\
             ok       login: case.team@police.example is let in, with SCRAM-SHA-256\n\
             ok       features: there are PIPELINING, CHUNKING, SIZE, SMTPUTF8, 8BITMIME, DSN, ENHANCEDSTATUSCODES; missing: LIMITS\n\
             ok       limits: the server takes messages of up to 10240000 bytes; the account opens 1 connection and sends as fast as it can\n\
             ok       sender: the server would take mail from case.team@police.example; nothing was sent\n\
             ok       mail to the sender: the server would take mail to case.team@police.example; taken back with RSET, nothing was sent\n\
             ok       MX of police.example: it takes mail, at mail.police.example\n\
             ok       SPF of police.example: \"v=spf1 ip4:127.0.0.1 -all\", 0 of 10 look-ups\n\
             ok       SPF and the server: the addresses of 127.0.0.1 may send for the domain; only the provider knows from which addresses mail leaves\n\
             note     DKIM: the account does not sign; whether the server does cannot be known from here\n         \
             to do: send yourself one with apiece send … --test, and look for dkim=pass in its Authentication-Results\n\
             ok       DMARC: p=reject, reports to mailto:postmaster@police.example\n\
             ok       alignment: MAIL FROM is the address in From, so that SPF counts where the server leaves it as it is; of the server's own signature, \
             d= must be police.example or of the same organisation\n\
             skipped  bulk rules: no campaign is named\n\
             skipped  one-click unsubscribe: no campaign is named\n\
             {}; nothing was sent\n",
            run.stdout.split("with ").find_map(|rest| rest.split_once(" keywords")).map_or("no", |(count, _)| count),
            if tls == "starttls" {
                "31 checks: 25 ok, 2 notes, 0 warnings, 0 failures, 4 skipped"
            } else {
                "31 checks: 24 ok, 2 notes, 0 warnings, 0 failures, 5 skipped"
            },
        );
        assert_eq!(steady(&home, &run.stdout), expected);
        assert_eq!(run.stderr, "");
        assert!(!home.path().join(OUTBOX).exists(), "looking makes no outbox");
        // One document of the same.
        let run = doctor(&home, postfix.password(), &dns, &["--format", "json"]).ended(0);
        let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((document["doctor"]["version"].as_u64(), document["exit"].as_u64()), (Some(1), Some(0)));
        assert_eq!(
            (document["account"].as_str(), document["from"].as_str()),
            (Some("work"), Some("case.team@police.example"))
        );
        assert_eq!((document["checks"].as_array().unwrap().len(), document["counts"]["fail"].as_u64()), (31, Some(0)));
        let login = document["checks"].as_array().unwrap().iter().find(|check| check["check"] == "login").unwrap();
        assert_eq!((login["result"].as_str(), login["to_do"].as_array().unwrap().len()), (Some("ok"), 0));
        // Only what is wrong, where quiet is wanted.
        assert_eq!(doctor(&home, postfix.password(), &dns, &["--quiet"]).ended(0).stdout, "");
    }
    nothing_was_sent(&postfix);
    let log = postfix.log();
    assert!(log.contains(" mail=1 rcpt=1 rset=1 quit=1 ") && !log.contains(" data="), "{log}");
}

#[test]
fn each_thing_that_can_be_wrong_with_a_certificate_is_named_and_nobody_logs_in() {
    let (Some(mut postfix), Some(dns)) = (Postfix::start(), dns()) else { return };
    let (others, namesakes) = (Authority::named("another authority"), Authority::new());
    let renew = "whoever runs the server has to renew it; look at this machine's clock, too";
    let never = "nothing is sent over such a connection, and there is no switch to go on without";
    let own =
        "if it is a server of your own, name its certification authority with ca_file; else somebody may be in between";
    let shown = |name: &str| {
        format!("the one shown is CN={name}, for {name}, issued by CN=apiece test authority, valid until DAY")
    };
    let cases = [
        (
            postfix.authority().vouch_for(&["127.0.0.1"], (-100, -10)),
            format!("refused: it expired N days ago; {}", shown("127.0.0.1")),
            vec![renew, never],
        ),
        (
            postfix.authority().vouch_for(&["127.0.0.1"], (10, 100)),
            format!("refused: it is not valid before DAY 00:00; {}", shown("127.0.0.1")),
            vec!["look at this machine's clock", never],
        ),
        (
            postfix.authority().vouch_for(&["mail.police.example"], (-10, 100)),
            format!("refused: it is not for 127.0.0.1; {}", shown("mail.police.example")),
            vec!["if that is the same server, write host = \"mail.police.example\"; else look at host", never],
        ),
        (
            others.vouch_for(&["127.0.0.1"], (-10, 100)),
            format!("refused: nobody whom this machine trusts has issued it; {}", shown("127.0.0.1"))
                .replace("apiece test authority", "another authority"),
            vec![own, never],
        ),
        (
            namesakes.vouch_for(&["127.0.0.1"], (-10, 100)),
            format!("refused: the authority that it names is trusted and has not signed it; {}", shown("127.0.0.1")),
            vec![own, never],
        ),
        (
            self_signed(),
            "refused: it is not for 127.0.0.1, and it is self-signed, so that nobody else vouches for it; the one shown is CN=localhost, \
             for localhost, issued by CN=localhost, valid until DAY"
                .into(),
            vec!["if that is the same server, write host = \"localhost\"; else look at host", own, never],
        ),
    ];
    for (certificate, why, help) in &cases {
        postfix.show(certificate);
        for tls in ["implicit", "starttls"] {
            let home = home_for(&postfix, tls, "");
            let run = doctor(&home, postfix.password(), &dns, &[]).ended(76);
            let steadied = Run { stdout: steady(&home, &run.stdout), stderr: run.stderr, code: run.code };
            let said =
                help.iter().fold(format!("fail     certificate: {why}"), |all, help| all + "\n         to do: " + help);
            assert_eq!(about(&steadied, "certificate"), said, "{tls}");
            let since = "the certificate is refused";
            for what in ["TLS", "AUTH", "login", "features", "limits", "sender", "mail to the sender"] {
                assert_eq!(about(&steadied, what), skipped(what, since));
            }
            let greeting = match tls {
                "implicit" => skipped("greeting", since),
                _ => "ok       greeting: 220 mail.police.example ESMTP Postfix".into(),
            };
            assert_eq!(about(&steadied, "greeting"), greeting);
        }
    }
    assert!(!postfix.log().contains("sasl_"), "nobody showed a password");
    // One that soon ends is taken, and said.
    postfix.show(&postfix.authority().vouch_for(&["127.0.0.1"], (-80, 10)));
    let home = home_for(&postfix, "implicit", "");
    let run = doctor(&home, postfix.password(), &dns, &[]).ended(0);
    let steadied = Run { stdout: steady(&home, &run.stdout), stderr: run.stderr, code: run.code };
    assert_eq!(
        about(&steadied, "certificate"),
        "warn     certificate: trusted; for 127.0.0.1, issued by CN=apiece test authority, valid until DAY (N days left), 1 certificate shown\n         \
         to do: whoever runs the server has to renew it before then; afterwards nothing is sent"
    );
    nothing_was_sent(&postfix);
}

#[test]
fn a_server_without_starttls_and_a_wrong_password_are_told_apart() {
    let (Some(postfix), Some(dns)) = (Postfix::start_with(&[("smtpd_discard_ehlo_keywords", "starttls")]), dns())
    else {
        return;
    };
    let home = home_for(&postfix, "starttls", "");
    let run = doctor(&home, postfix.password(), &dns, &[]).ended(76);
    assert_eq!(
        about(&run, "STARTTLS"),
        "fail     STARTTLS: the connection is not safe: the server offers no STARTTLS\n         \
         to do: use tls = \"implicit\" (port 465) if it has that; mail is not sent in clear"
    );
    for what in ["TLS", "certificate", "AUTH", "login", "features", "limits", "sender", "mail to the sender"] {
        assert_eq!(about(&run, what), skipped(what, "there is no STARTTLS"));
    }
    let home = home_for(&postfix, "implicit", "");
    let run = doctor(&home, "wrong-password", &dns, &[]).ended(77);
    let login = about(&run, "login");
    let start = "fail     login: the server refused the login: 535 5.7.8 Error: authentication failed";
    let end = "\n         to do: look at username and password of the account; some providers want an app password";
    assert!(login.starts_with(start) && login.ends_with(end), "{login}");
    for what in ["sender", "mail to the sender"] {
        assert_eq!(about(&run, what), skipped(what, "nobody is logged in"));
    }
    // What does not depend on it is looked at all the same.
    assert!(about(&run, "features").starts_with("ok       features: there are PIPELINING"));
    // TLS where there is none, and the other way round.
    let home = home_for(&postfix, "implicit", "");
    let config = std::fs::read_to_string(home.path().join(".config/apiece/config.toml")).unwrap();
    home.config(&config.replace(&postfix.smtps_port().to_string(), &postfix.submission_port().to_string()));
    let run = doctor(&home, postfix.password(), &dns, &[]).ended(76);
    assert_eq!(
        about(&run, "TLS"),
        "fail     TLS: the connection is not safe: the server does not speak TLS here\n         \
         to do: use tls = \"starttls\" for port 587, tls = \"implicit\" for port 465"
    );
    nothing_was_sent(&postfix);
    assert_eq!(postfix.log().matches("sasl_method=").count(), 0, "only refused logins: {}", postfix.log());
}

#[test]
fn whether_mail_is_taken_from_the_sender_and_for_the_sender_is_asked() {
    let (Some(postfix), Some(dns)) = (Postfix::start(), dns()) else { return };
    let home = home_for(&postfix, "starttls", "");
    let asked = |from: &str| doctor(&home, postfix.password(), &dns, &["--from", from]);
    let run = asked("not-allowed@police.example").ended(77);
    assert_eq!(
        about(&run, "sender"),
        "fail     sender: the server takes no mail from not-allowed@police.example: 553 5.7.1 <not-allowed@police.example>: Sender address \
         rejected: You may not send as this address\n         \
         to do: the address in From must be one that this account may send as"
    );
    assert_eq!(about(&run, "mail to the sender"), skipped("mail to the sender", "the sender is not taken"));
    let run = asked("nobody-here@police.example").ended(0);
    assert_eq!(
        about(&run, "sender"),
        "ok       sender: the server would take mail from nobody-here@police.example; nothing was sent"
    );
    assert_eq!(
        about(&run, "mail to the sender"),
        "warn     mail to the sender: the server takes no mail to nobody-here@police.example: 550 5.1.1 <nobody-here@police.example>: \
         Recipient address rejected: No such person here\n         \
         to do: answers and bounces would find nobody; send from an address that somebody reads"
    );
    let run = asked("try-later@police.example").ended(0);
    assert_eq!(
        about(&run, "mail to the sender"),
        "warn     mail to the sender: the server takes no mail to try-later@police.example: 450 4.2.0 <try-later@police.example>: \
         Recipient address rejected: Mailbox busy, try again later\n         \
         to do: look again later: it may just be busy"
    );
    nothing_was_sent(&postfix);
    // A campaign brings its sender, and its size.
    home.campaign(&people(3));
    let template = std::fs::read_to_string(home.path().join("c/t.txt.hbs")).unwrap();
    home.write("c/t.txt.hbs", template.replace("updates@", "not-allowed@"));
    let run = doctor(&home, postfix.password(), &dns, &["c"]).ended(77);
    assert!(about(&run, "campaign c").starts_with("ok       campaign c: 3 recipients, the largest message has "));
    assert!(about(&run, "sender").contains("from not-allowed@police.example: 553"), "{}", run.stdout);
    home.write("c/people.csv", "name,email\nAda,ada@one.example\nBo,bo@@two.example\n");
    let run = doctor(&home, postfix.password(), &dns, &["c"]).ended(65);
    assert_eq!(about(&run, "campaign c"), "fail     campaign c: 1 mistake in it\n         to do: apiece check c");
    assert!(!run.stdout.contains("bo@") && !run.stderr.contains("bo@"), "{}", run.stderr);
    postfix.reload_with(&[("message_size_limit", "250")]);
    home.campaign(&people(3));
    let run = doctor(&home, postfix.password(), &dns, &["c"]).ended(65);
    let limits = about(&run, "limits");
    assert!(
        limits.starts_with(
            "fail     limits: the server takes messages of up to 250 bytes; the largest of the campaign has "
        ),
        "{limits}"
    );
    assert!(limits.ends_with("\n         to do: attach less: nothing would be sent"), "{limits}");
    assert!(about(&run, "sender").contains("552 5.3.4"), "{}", run.stdout);
    nothing_was_sent(&postfix);
}

#[test]
fn a_server_that_is_not_there_or_does_not_want_to_is_called_so() {
    let Some(dns) = dns() else { return };
    let home = Home::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let login = "username = \"u@police.example\"\npassword_env = \"SMTP_PASSWORD\"\n";
    let ca = Scripted::builder().tls(Tls::Implicit).start();
    home.config(&account(port, ca.ca_file(), "implicit", login).replace("localhost", "127.0.0.1"));
    let run = doctor(&home, "secret-password", &dns, &[]).ended(69);
    assert_eq!(
        about(&run, "IPv4"),
        format!(
            "fail     IPv4: 127.0.0.1:{port} does not answer: Connection refused (os error 111)\n         \
             to do: look at host and port, at the firewall, and whether this machine is online"
        )
    );
    for what in ["connection", "TLS", "login", "mail to the sender"] {
        assert_eq!(about(&run, what), skipped(what, "none of its addresses answers"));
    }
    home.config(&format!("[account.work]\nhost = \"nowhere.invalid\"\n{login}"));
    let run = doctor(&home, "secret-password", &dns, &[]).ended(69);
    assert!(
        about(&run, "DNS of nowhere.invalid")
            .starts_with("fail     DNS of nowhere.invalid: the name cannot be resolved")
    );
    assert_eq!(about(&run, "IPv4"), skipped("IPv4", "the server has no address"));
    for (stage, act, tls, code, what, said) in [
        (
            Stage::Connect,
            Act::reply_then_drop("554 5.7.1 not you\r\n"),
            Tls::StartTls,
            69,
            "greeting",
            "fail     greeting: the server takes no mail now: 554 5.7.1 not you\n         to do: try again later",
        ),
        (
            Stage::Connect,
            Act::reply_then_drop("421 4.3.2 later\r\n"),
            Tls::Implicit,
            75,
            "greeting",
            "fail     greeting: the server takes no mail now: 421 4.3.2 later\n         to do: try again later",
        ),
        (
            Stage::StartTls,
            Act::extra("250-injected\r\n250 AUTH PLAIN\r\n"),
            Tls::StartTls,
            76,
            "STARTTLS",
            "fail     STARTTLS: the connection is not safe: something was put behind the server's answer to STARTTLS before the handshake\n         \
             to do: somebody on the way may be tampering with the connection; do not send from this network",
        ),
        (
            Stage::EhloTls,
            Act::Stall,
            Tls::Implicit,
            69,
            "EHLO",
            "fail     EHLO: there is no connection to 127.0.0.1:PORT: no greeting after 1 s\n         \
             to do: look at host, port and tls of the account, and whether this machine is online",
        ),
    ] {
        let server = Scripted::builder().tls(tls).auth("u@police.example", "secret-password").on(stage, act).start();
        let tls = if tls == Tls::Implicit { "implicit" } else { "starttls" };
        let more = format!("{login}timeout = \"1s\"\n");
        home.config(&account(server.port(), server.ca_file(), tls, &more).replace("localhost", "127.0.0.1"));
        let run = doctor(&home, "secret-password", &dns, &[]).ended(code);
        let run = Run { stdout: steady(&home, &run.stdout), ..run };
        assert_eq!(about(&run, what), said);
        assert!(about(&run, "login").starts_with("skipped  login: "), "{}", run.stdout);
        assert!(server.lines().iter().all(|line| !line.text.starts_with("AUTH")));
    }
}

#[test]
fn what_a_server_offers_is_compared_with_the_account() {
    let Some(dns) = dns() else { return };
    let offer = ["SIZE 52428800", "8BITMIME", "LIMITS MAILMAX=50 RCPTMAX=10"];
    let server = Scripted::builder()
        .tls(Tls::Implicit)
        .auth("u@police.example", "secret-password")
        .extensions(&offer)
        .on_when(|moment| match moment.stage {
            Stage::Connect => Act::reply("220 mx.police.example ESMTP Exim 4.96 Thu, 01 Jan 2026 00:00:00 +0000\r\n"),
            // It repeats what it is told, and refuses to pass mail on.
            Stage::Rcpt => Act::reply(format!("550 5.7.1 no relaying ({}) secret-password\r\n", moment.line)),
            _ => Act::Ok,
        })
        .start();
    let home = Home::new();
    let login = "username = \"u@police.example\"\npassword_env = \"SMTP_PASSWORD\"\nrate = \"30/min\"\nmessages_per_connection = 100\n";
    home.config(&account(server.port(), server.ca_file(), "implicit", login).replace("localhost", "127.0.0.1"));
    let run = doctor(&home, "secret-password", &dns, &[]).ended(77);
    assert_eq!(
        about(&run, "features"),
        "note     features: there are SIZE, 8BITMIME, LIMITS; missing: PIPELINING, CHUNKING, SMTPUTF8, DSN, ENHANCEDSTATUSCODES\n         \
         to do: without PIPELINING each message takes several round trips: more connections help, where the server permits them"
    );
    assert_eq!(
        about(&run, "limits"),
        "warn     limits: the server takes messages of up to 52428800 bytes; it takes 50 messages over a connection (MAILMAX); \
         the account opens 1 connection and sends no more than 30/min\n         \
         to do: set messages_per_connection = 50 in the account, so that the server need not break off"
    );
    assert_eq!(
        about(&run, "mail to the sender"),
        "fail     mail to the sender: the server takes no mail to u@police.example: 550 5.7.1 no relaying (RCPT TO:<u@police.example>) …\n         \
         to do: the server would probably not take mail to others either; ask whoever runs it"
    );
    let clock = about(&run, "the server's clock");
    assert!(
        clock.starts_with("warn     the server's clock: it and this machine's are ")
            && clock.contains(" seconds apart\n"),
        "{clock}"
    );
    let said: Vec<String> = server.lines().into_iter().map(|line| line.text).collect();
    assert!(said.ends_with(&["RSET".into(), "QUIT".into()]), "{said:?}");
    assert!(!said.iter().any(|line| line == "DATA" || line.starts_with("BDAT")));
    // No way to log in that is wanted; and a server that says what was wrong with the password.
    home.config(
        &account(server.port(), server.ca_file(), "implicit", &format!("{login}auth = \"scram-sha-256\"\n"))
            .replace("localhost", "127.0.0.1"),
    );
    let run = doctor(&home, "secret-password", &dns, &[]).ended(78);
    assert_eq!(
        about(&run, "AUTH"),
        "fail     AUTH: the server offers PLAIN, LOGIN, and SCRAM-SHA-256 is wanted\n         to do: look at auth and tls of the account"
    );
    assert_eq!(about(&run, "login"), skipped("login", "there is no way to log in"));
    let server = Scripted::builder()
        .tls(Tls::Implicit)
        .auth("u@police.example", "other")
        .on_when(|moment| match moment.stage {
            Stage::Auth => Act::reply(format!("535 5.7.8 not {} or secret-password\r\n", moment.line)),
            _ => Act::Ok,
        })
        .start();
    home.config(&account(server.port(), server.ca_file(), "implicit", login).replace("localhost", "127.0.0.1"));
    let run = doctor(&home, "secret-password", &dns, &[]).ended(77);
    let said = about(&run, "login");
    assert!(said.contains("535 5.7.8 not AUTH PLAIN ") && said.contains(" or …\n"), "{said}");
}

/// Nothing is left of what a server says that repeats the password in another form, not of its greeting either.
#[test]
fn a_server_that_repeats_the_password_altered_is_not_quoted() {
    let Some(dns) = dns() else { return };
    let (password, not_shown) =
        ("secret-Password", "(its words are not shown: they repeat a password, a token or a code)");
    for form in ["SECRET-PASSWORD", "drowssaP-terces", "7365637265742d50617373776f7264", "ZWNyZXQtUGFzc3dvcmQ"] {
        let server = Scripted::builder()
            .tls(Tls::Implicit)
            .auth("u@police.example", password)
            .on_when(move |moment| match moment.stage {
                Stage::Connect => Act::reply(format!("220 mx.police.example x{form}\r\n")),
                Stage::Rcpt => Act::reply(format!("550 5.7.1 no relaying for x{form}\r\n")),
                _ => Act::Ok,
            })
            .start();
        let home = Home::new();
        let login = "username = \"u@police.example\"\npassword_env = \"SMTP_PASSWORD\"\n";
        home.config(&account(server.port(), server.ca_file(), "implicit", login).replace("localhost", "127.0.0.1"));
        for format in ["text", "json"] {
            let run = doctor(&home, password, &dns, &["--format", format]).ended(77);
            assert!(!run.stdout.contains(form) && !run.stderr.contains(form), "{form}: {run:?}");
            assert_eq!(run.stdout.matches(not_shown).count(), 2, "{run:?}");
            assert!(run.stdout.contains(&format!("no mail to u@police.example: 550 5.7.1 {not_shown}")), "{run:?}");
        }
    }
}
