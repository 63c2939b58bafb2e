//! Proxies, certificates of one's own, the address that one comes from, and the way to log in.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use crate::support::{
    Home, Run, account, json, people,
    postfix::Postfix,
    scripted::{Scripted, Tls},
};

const LOGIN: &str = "username = \"u\"\npassword_env = \"P\"\n";

/// Sends to two people over TLS.
fn send(server: &Scripted, more: &str) -> Run {
    let home = Home::new();
    home.campaign(&people(2));
    home.config(&account(server.port(), server.ca_file(), "implicit", more));
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "2"]);
    Run::of(command.env("P", "secret").output().unwrap())
}

fn server() -> Scripted {
    Scripted::builder().tls(Tls::Implicit).auth("u", "secret").start()
}

/// What a proxy does with a connection: gives the host that is asked for and whether it lets it through.
type Greeting = fn(&mut TcpStream) -> (String, u16);

fn socks5(client: &mut TcpStream) -> (String, u16) {
    let mut hello = [0; 3];
    client.read_exact(&mut hello).unwrap();
    assert_eq!(hello, [5, 1, 0]);
    client.write_all(&[5, 0]).unwrap();
    let mut request = [0; 5];
    client.read_exact(&mut request).unwrap();
    assert_eq!(request[..4], [5, 1, 0, 3]);
    let mut host = vec![0; usize::from(request[4])];
    client.read_exact(&mut host).unwrap();
    let mut port = [0; 2];
    client.read_exact(&mut port).unwrap();
    (String::from_utf8(host).unwrap(), u16::from_be_bytes(port))
}

fn http(client: &mut TcpStream) -> (String, u16) {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        client.read_exact(&mut octet).unwrap();
        header.push(octet[0]);
    }
    let header = String::from_utf8(header).unwrap();
    let place = header.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    let (host, port) = place.rsplit_once(':').unwrap();
    (host.to_owned(), port.parse().unwrap())
}

/// A proxy that says `answer` and, if `through`, lets the octets through; and what went over it to the server.
fn proxy(greeting: Greeting, answer: &'static [u8], through: bool) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&seen);
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || {
                let (host, port) = greeting(&mut client);
                let _ = client.write_all(answer);
                if !through {
                    return;
                }
                let server = TcpStream::connect((host.as_str(), port)).unwrap();
                let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut back, &mut forth);
                    let _ = forth.shutdown(Shutdown::Both);
                });
                let mut server = server;
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    heard.lock().unwrap().extend_from_slice(&buffer[..length]);
                    if server.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
                let _ = server.shutdown(Shutdown::Both);
            });
        }
    });
    (port, seen)
}

#[test]
fn a_proxy_lets_mail_through_and_sees_nothing_of_it() {
    let ways: [(&str, Greeting, &[u8]); 3] = [
        ("socks5", socks5, &[5, 0, 0, 1, 127, 0, 0, 1, 0, 9]),
        ("socks5", socks5, &[5, 0, 0, 3, 2, b'x', b'y', 0, 9]),
        ("http", http, b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"),
    ];
    for (scheme, greeting, answer) in ways {
        let server = server();
        let (port, seen) = proxy(greeting, answer, true);
        send(&server, &format!("{LOGIN}proxy = \"{scheme}://127.0.0.1:{port}\"\n")).ended(0);
        assert_eq!((server.accepted().len(), server.connections()), (2, 1));
        let seen = seen.lock().unwrap();
        let text = String::from_utf8_lossy(&seen);
        assert!(seen.len() > 1000 && !text.contains("list.example") && !text.contains("secret"));
    }
}

#[test]
fn a_proxy_that_lets_nothing_through_is_said() {
    let ways: [(&str, Greeting, &[u8], &str); 4] = [
        ("socks5", socks5, &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0], "the proxy does not reach the server (SOCKS reply 5)"),
        ("socks5", socks5, &[], "the proxy hung up"),
        (
            "http",
            http,
            b"HTTP/1.1 403 \x1bForbidden\r\n\r\n",
            "the proxy does not reach the server: HTTP/1.1 403 <U+001B>Forbidden",
        ),
        ("http", http, b"HTTP/1.1 200", "the proxy hung up"),
    ];
    for (scheme, greeting, answer, why) in ways {
        let server = server();
        let (port, _) = proxy(greeting, answer, false);
        let run = send(&server, &format!("{LOGIN}proxy = \"{scheme}://127.0.0.1:{port}\"\n")).ended(69);
        assert!(run.stdout.contains(why), "{}", run.stdout);
        assert_eq!(server.connections(), 0);
    }
    let server = server();
    let refused = account(server.port(), server.ca_file(), "none", "proxy = \"http://127.0.0.1:9\"\n");
    let home = Home::new();
    home.campaign(&people(1));
    home.config(&refused);
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "1"]).ended(78);
    assert!(run.stderr.contains("mail does not go through a proxy without TLS"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_server_that_wants_a_certificate_gets_it() {
    use std::os::unix::fs::PermissionsExt;
    let server = Scripted::builder().tls(Tls::Implicit).wants_client_certificate().start();
    let key = server.ca_file().with_file_name("client-key.pem");
    let own = format!("client_cert = {:?}\nclient_key = {key:?}\n", server.ca_file().with_file_name("client.pem"));
    send(&server, &own).ended(0);
    assert_eq!(server.accepted().len(), 2);
    // Without one nobody is let in, and the key must be its owner's alone.
    assert_ne!(send(&server, LOGIN).code, 0);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let run = send(&server, &own);
    assert!(run.code != 0 && format!("{}{}", run.stdout, run.stderr).contains("client_cert"), "{}", run.stdout);
    assert_eq!(server.accepted().len(), 2);
}

#[test]
fn the_address_that_one_comes_from_can_be_said() {
    let server = server();
    send(&server, &format!("{LOGIN}source = \"127.0.0.1\"\n")).ended(0);
    let run = send(&server, &format!("{LOGIN}source = \"::1\"\n")).ended(69);
    assert!(run.stdout.contains("from the address in source there is no way to 127.0.0.1"), "{}", run.stdout);
    let run = send(&server, &format!("{LOGIN}source = \"192.0.2.1\"\n")).ended(69);
    assert!(run.stdout.contains("there is no connection to"), "{}", run.stdout);
    assert_eq!(server.accepted().len(), 2);
}

#[test]
fn a_real_server_that_can_do_without_the_password_is_not_shown_it() {
    let Some(postfix) = Postfix::start() else { return };
    let ways = [("", "SCRAM-SHA-256"), ("auth = \"plain\"\n", "PLAIN"), ("auth = \"login\"\n", "LOGIN")];
    for (tls, port) in [("implicit", postfix.smtps_port()), ("starttls", postfix.submission_port())] {
        for (auth, expected) in ways {
            let home = Home::new();
            let login = format!("username = \"{}\"\npassword_env = \"P\"\n{auth}", postfix.user());
            home.config(&account(port, postfix.ca_file(), tls, &login));
            home.campaign(&people(1));
            let mut command = home.command(&["send", "c", "--account", "work", "--format", "json", "--confirm", "1"]);
            let run = Run::of(command.env("P", postfix.password()).output().unwrap()).ended(0);
            assert_eq!(json(&run)[0]["auth"], expected, "{}", run.stdout);
        }
    }
    postfix.wait_for(6);
    for (_, name) in ways {
        assert_eq!(postfix.log().matches(&format!("sasl_method={name}, ")).count(), 2, "{name}\n{}", postfix.log());
    }
}
