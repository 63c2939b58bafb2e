//! Nothing but the greeting goes over the wire in clear, and whoever stands in between cannot change that.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    support::{
        account,
        scripted::{Act, Scripted, Stage, Tls},
    },
    what_a_server_may_do::{IMPATIENT, LOGIN, PASSWORD, each, send},
};

/// What the server must never read in clear: the password as it is, and as PLAIN, LOGIN and XOAUTH2 write it.
const SECRETS: [&str; 4] =
    [PASSWORD, "AGFubgBjb3JyZWN0IGhvcnNlIGJhdHRlcnk=", "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5", "dXNlcj1hbm4BYXV0aD1CZWFyZXIg"];

fn login(port: u16, ca_file: &Path, tls: &str) -> String {
    account(port, ca_file, tls, &format!("{LOGIN}timeout = \"700ms\"\nconnections = 2\n"))
}

/// Tries to send to three people: the run must end with this code and words, with nobody having got anything and
/// nothing said in clear that isn't the greeting's.
#[track_caller]
fn refused(server: &Scripted, ca_file: &Path, tls: &str, code: i32, words: &str) {
    let start = Instant::now();
    let told = send(server, 3, &login(server.port(), ca_file, tls), &[]).ended(code);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(told.stopped().contains(words), "{}", told.stopped());
    assert_eq!((told.count("queued"), server.deliveries().len(), server.connections()), (3, 0, 1));
    nothing_in_clear(server);
    let lines = server.lines();
    assert!(!lines.iter().any(|line| line.text.to_ascii_uppercase().starts_with("AUTH")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.text.to_ascii_uppercase().starts_with("MAIL")), "{lines:?}");
}

#[track_caller]
fn nothing_in_clear(server: &Scripted) {
    for line in server.lines().iter().filter(|line| !line.tls) {
        let verb = line.text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        assert!(["EHLO", "STARTTLS", "QUIT"].contains(&verb.as_str()), "in clear: {}", line.text);
        assert!(!SECRETS.iter().any(|secret| line.text.contains(secret)), "in clear: {}", line.text);
    }
}

#[test]
fn without_starttls_nothing_is_sent() {
    let offers = [
        "250 localhost\r\n",
        "250-localhost\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1000\r\n",
        // Names that only look like it
        "250-localhost\r\n250-XSTARTTLS\r\n250-STARTTLSX\r\n250-START TLS\r\n250 AUTH STARTTLS PLAIN\r\n",
    ];
    each(
        &offers,
        |offer| format!("{offer:?}"),
        |offer| {
            let server =
                Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD).auth_offer_before_tls("PLAIN LOGIN");
            let server = server.on(Stage::Ehlo, Act::reply(*offer)).start();
            refused(&server, server.ca_file(), "starttls", 76, "the server offers no STARTTLS");
            assert!(!server.lines().iter().any(|line| line.text.contains("STARTTLS")));
        },
    );
}

#[test]
fn a_server_without_tls_gets_no_password() {
    let server = Scripted::builder().auth("ann", PASSWORD).auth_offer_before_tls("PLAIN LOGIN XOAUTH2").start();
    refused(&server, server.ca_file(), "starttls", 76, "the server offers no STARTTLS");
}

#[test]
fn starttls_that_is_refused_is_not_done_without() {
    let replies = [
        ("454 4.7.0 TLS not available\r\n", 76, "the server refused STARTTLS: 454 4.7.0 TLS not available"),
        ("502 5.5.1 Not implemented\r\n", 76, "the server refused STARTTLS: 502 5.5.1 Not implemented"),
        ("250 2.0.0 Ok\r\n", 76, "the server refused STARTTLS: 250 2.0.0 Ok"),
        ("354 Go ahead\r\n", 76, "the server refused STARTTLS: 354 Go ahead"),
        ("what?\r\n", 69, "the server's reply is not understood: \"what?\""),
    ];
    each(
        &replies,
        |(reply, ..)| format!("{reply:?}"),
        |(reply, code, words)| {
            let server = Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD).auth_offer_before_tls("PLAIN");
            let server = server.on(Stage::StartTls, Act::reply(*reply)).start();
            refused(&server, server.ca_file(), "starttls", *code, words);
        },
    );
}

#[test]
fn what_is_put_behind_the_220_before_the_handshake_ends_the_run() {
    let injected: [&[u8]; 5] = [
        b"250 localhost\r\n",
        b"250-localhost\r\n250 AUTH PLAIN\r\n235 2.7.0 Welcome\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n250 Ok\r\n",
        b"2",
        b"\r\n",
        b"\0",
    ];
    each(
        &injected,
        |bytes| format!("{:?}", String::from_utf8_lossy(bytes)),
        |bytes| {
            let server = Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD);
            let server = server.on(Stage::StartTls, Act::extra(*bytes)).start();
            let words = "something was put behind the server's answer to STARTTLS before the handshake";
            refused(&server, server.ca_file(), "starttls", 76, words);
        },
    );
}

#[test]
fn what_is_put_there_a_moment_later_or_earlier_ends_the_run_too() {
    let acts = [
        (Stage::TlsHandshake, Act::reply("250 localhost\r\n235 2.7.0 Welcome\r\n")),
        (Stage::TlsHandshake, Act::reply("4")),
        (Stage::Connect, Act::extra("250-localhost\r\n250 STARTTLS\r\n220 Go\r\n")),
        (Stage::Ehlo, Act::extra("220 Go\r\n")),
    ];
    each(
        &acts,
        |(stage, act)| format!("{stage:?} {act:?}"),
        |(stage, act)| {
            let server = Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD).on(*stage, act.clone()).start();
            refused(&server, server.ca_file(), "starttls", 76, "the connection is not safe");
        },
    );
}

#[test]
fn what_a_server_says_before_tls_is_told_as_it_is() {
    let acts = [
        (Stage::Connect, Act::reply("554 5.7.1 Go away\r\n"), 69, "554 5.7.1 Go away"),
        (
            Stage::Connect,
            Act::reply("421-4.3.2 Too busy,\r\n421 4.3.2 really\r\n"),
            75,
            "421-4.3.2 Too busy, 421 4.3.2 really",
        ),
        (Stage::Connect, Act::Drop, 69, "the server closed the connection"),
        (Stage::Connect, Act::Stall, 69, "no answer after 700 ms"),
        (Stage::Connect, Act::Flood, 69, "the server's reply is endless"),
        (Stage::Ehlo, Act::FloodLines, 69, "the server's reply is endless"),
        (Stage::Ehlo, Act::reply("421 4.3.2 Too busy\r\n"), 75, "421 4.3.2 Too busy"),
        (Stage::Ehlo, Act::reply("550 5.7.1 Not you\r\n"), 69, "550 5.7.1 Not you"),
        (Stage::StartTls, Act::Drop, 69, "the server closed the connection"),
        (Stage::StartTls, Act::Stall, 69, "no answer after 700 ms"),
        (Stage::StartTls, Act::reply("421 4.3.2 Too busy\r\n"), 75, "421 4.3.2 Too busy"),
        (Stage::TlsHandshake, Act::Stall, 69, "the TLS handshake is not done after 700 ms"),
        (Stage::TlsHandshake, Act::Drop, 69, "the connection was lost in the TLS handshake"),
    ];
    each(
        &acts,
        |(stage, act, ..)| format!("{stage:?} {act:?}"),
        |(stage, act, code, words)| {
            let server = Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD).on(*stage, act.clone()).start();
            refused(&server, server.ca_file(), "starttls", *code, words);
        },
    );
}

#[test]
fn a_certificate_that_is_not_trusted_ends_the_run() {
    for (tls, word) in [(Tls::StartTls, "starttls"), (Tls::Implicit, "implicit")] {
        let server = Scripted::builder().tls(tls).auth("ann", PASSWORD).start();
        refused(&server, server.other_ca_file(), word, 76, "the certificate of localhost is not trusted");

        let server = Scripted::builder().tls(tls).auth("ann", PASSWORD);
        let server = server.certificate_for(&["mail.example", "localhost.example", "127.0.0.1"]).start();
        refused(&server, server.ca_file(), word, 76, "the certificate of localhost is not trusted");
    }
}

#[test]
fn without_a_ca_file_the_roots_of_the_platform_count() {
    let server = Scripted::builder().tls(Tls::Implicit).auth("ann", PASSWORD).start();
    let account = login(server.port(), server.ca_file(), "implicit");
    let account: String =
        account.lines().filter(|line| !line.starts_with("ca_file")).map(|line| format!("{line}\n")).collect();
    let told = send(&server, 3, &account, &[]).ended(76);
    assert!(told.stopped().starts_with("the connection is not safe"), "{}", told.stopped());
    assert!(server.lines().is_empty());
}

#[test]
fn tls_on_a_plain_port_and_the_reverse_come_to_nothing() {
    let plain = Scripted::builder().auth("ann", PASSWORD).auth_offer_before_tls("PLAIN").start();
    refused(&plain, plain.ca_file(), "implicit", 76, "the server does not speak TLS here");
    let starttls = Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD).start();
    refused(&starttls, starttls.ca_file(), "implicit", 76, "the server does not speak TLS here");
    let implicit = Scripted::builder().tls(Tls::Implicit).auth("ann", PASSWORD).start();
    refused(&implicit, implicit.ca_file(), "starttls", 69, "there is no connection to localhost");
}

#[test]
fn an_attack_on_a_later_connection_is_no_more_use() {
    // STARTTLS is taken out of the offer as soon as the first connection is lost.
    let server = Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD).auth_offer_before_tls("PLAIN");
    let server = server.on_when(|moment| match (moment.stage, moment.connection) {
        (Stage::Dot, 0) => Act::reply_then_drop("250 2.0.0 Ok\r\n"),
        (Stage::Ehlo, 1..) => Act::reply("250-localhost\r\n250 AUTH PLAIN\r\n"),
        _ => Act::Ok,
    });
    let server = server.start();
    let more = format!("{LOGIN}timeout = \"700ms\"\n");
    let start = Instant::now();
    let told = send(&server, 3, &account(server.port(), server.ca_file(), "starttls", &more), &[]).ended(76);
    assert!(start.elapsed() < Duration::from_secs(4), "it was tried again and again: {:?}", start.elapsed());
    assert_eq!((told.count("sent"), told.count("queued")), (1, 2));
    nothing_in_clear(&server);
}

#[test]
fn plain_login_and_xoauth2_log_in() {
    for (offer, wanted, used, tls, word) in [
        ("PLAIN LOGIN", "", "PLAIN", Tls::Implicit, "implicit"),
        ("LOGIN", "", "LOGIN", Tls::StartTls, "starttls"),
        ("login plain", "auth = \"login\"\n", "LOGIN", Tls::Implicit, "implicit"),
        ("CRAM-MD5 XOAUTH2", "", "XOAUTH2", Tls::StartTls, "starttls"),
        ("PLAIN XOAUTH2", "auth = \"xoauth2\"\n", "XOAUTH2", Tls::Implicit, "implicit"),
    ] {
        let server = Scripted::builder().tls(tls).auth("ann", PASSWORD).auth_offer(offer).start();
        let account = account(server.port(), server.ca_file(), word, &format!("{LOGIN}{wanted}"));
        let told = send(&server, 2, &account, &[]).ended(0);
        let connected = told.all("connected");
        assert_eq!(
            (connected.len(), &connected[0]["auth"], &connected[0]["tls"]),
            (1, &used.into(), &"TLSv1.3".into())
        );
        assert!(server.accepted().iter().all(|delivery| delivery.user.as_deref() == Some("ann")), "{offer}");
    }
}

#[test]
fn a_wrong_password_or_token_is_tried_once_and_ends_the_run() {
    for (offer, words) in [("PLAIN", "535"), ("LOGIN", "535"), ("XOAUTH2", "535")] {
        let server = Scripted::builder().tls(Tls::Implicit).auth("ann", "another").auth_offer(offer).start();
        let account =
            account(server.port(), server.ca_file(), "implicit", &format!("{LOGIN}{IMPATIENT}connections = 3\n"));
        let told = send(&server, 5, &account, &[]).ended(77);
        let expected = format!("the server refused the login: {words} 5.7.8 Error: authentication failed");
        assert_eq!((told.stopped(), told.count("queued")), (expected.as_str(), 5));
        assert_eq!(server.lines().iter().filter(|line| line.text.starts_with("AUTH")).count(), 1, "{offer}");
        assert!(!told.run.stdout.contains(PASSWORD) && !told.run.stderr.contains(PASSWORD));
    }
}

#[test]
fn a_server_that_offers_no_usable_login_under_tls_gets_no_password() {
    for (clear, offer, wanted, why) in [
        ("", "", "", "the server offers no AUTH under TLS"),
        ("PLAIN LOGIN", "", "", "the server offers no AUTH under TLS"),
        (
            "PLAIN",
            "CRAM-MD5",
            "",
            "the server offers CRAM-MD5, and SCRAM-SHA-256 or PLAIN or LOGIN or OAUTHBEARER or XOAUTH2 is wanted",
        ),
        ("PLAIN", "PLAIN LOGIN", "auth = \"xoauth2\"\n", "the server offers PLAIN, LOGIN, and XOAUTH2 is wanted"),
    ] {
        let server = Scripted::builder().tls(Tls::StartTls).auth("ann", PASSWORD).auth_offer(offer);
        let server = server.auth_offer_before_tls(clear).start();
        let account = account(server.port(), server.ca_file(), "starttls", &format!("{LOGIN}{IMPATIENT}{wanted}"));
        let told = send(&server, 2, &account, &[]).ended(78);
        assert_eq!(told.stopped(), format!("there is no way to log in: {why}"));
        assert!(!server.lines().iter().any(|line| line.text.starts_with("AUTH")));
    }
}

/// Hands everything on between a client and a server, and keeps what the client wrote.
fn overheard(server: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    // Ends with the test program.
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a client");
            let server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
            let (mut from, mut into) = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
            thread::spawn(move || std::io::copy(&mut from, &mut into).and(into.shutdown(Shutdown::Write)));
            let (mut client, mut server, kept) = (client, server, Arc::clone(&kept));
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    kept.lock().expect("nobody panicked").extend_from_slice(&buffer[..length]);
                    if server.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
                let _ = server.shutdown(Shutdown::Write);
            });
        }
    });
    (port, heard)
}

#[test]
fn who_listens_on_the_wire_learns_neither_password_nor_anybodys_data() {
    for (tls, word, mechanism, clear) in [
        (Tls::StartTls, "starttls", "PLAIN", "EHLO [127.0.0.1]\r\nSTARTTLS\r\n"),
        (Tls::StartTls, "starttls", "XOAUTH2", "EHLO [127.0.0.1]\r\nSTARTTLS\r\n"),
        (Tls::Implicit, "implicit", "LOGIN", ""),
    ] {
        let server = Scripted::builder().tls(tls).auth("ann", PASSWORD).auth_offer(mechanism);
        let server = server.auth_offer_before_tls("PLAIN LOGIN XOAUTH2").start();
        let (port, heard) = overheard(server.port());
        let more = format!("{LOGIN}timeout = \"5s\"\n");
        send(&server, 3, &account(port, server.ca_file(), word, &more), &[]).ended(0);
        nothing_in_clear(&server);
        let heard = String::from_utf8_lossy(&heard.lock().expect("nobody panicked")).into_owned();
        // A handshake record of TLS is all that follows.
        assert!(heard.starts_with(&format!("{clear}\x16\x03")), "{:?}", heard.get(..60));
        let known = ["list.example", "police.example", "Person", "Dear", "MAIL", "RCPT", "AUTH", "ann\0"];
        for text in SECRETS.iter().chain(&known) {
            assert!(!heard.contains(text), "{text} can be read");
        }
        assert!(server.accepted().iter().all(|delivery| delivery.tls.as_deref() == Some("TLSv1_3")));
    }
}
