//! What goes over the wire: the message that was looked at, byte for byte, in transactions of one MAIL and one RCPT.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use crate::support::{
    Home, Run, account,
    scripted::{Scripted, Tls},
};

#[test]
fn what_is_previewed_is_what_is_sent() {
    for extensions in [&[][..], &["PIPELINING", "SIZE 100000", "CHUNKING", "8BITMIME", "SMTPUTF8", "X-ODD =a b"]] {
        let server = Scripted::builder().tls(Tls::Implicit).auth("u", "secret").extensions(extensions).start();
        let home = Home::new();
        home.campaign("name,email\nAda,ada@one.example\nBo,bo@two.example\n");
        let template =
            "+++\nfrom = \"updates@police.example\"\nsubject = \"x\"\n+++\n.\n..\n.{{name}}.\nFrom me\n\n.\n";
        home.write("c/t.txt.hbs", template);
        home.config(&account(server.port(), server.ca_file(), "implicit", "username = \"u\"\npassword_env = \"P\""));
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "2"]);
        Run::of(command.env("P", "secret").output().unwrap()).ended(0);
        home.run(&["preview", "c", "--eml", "out"]).ended(0);

        let deliveries = server.deliveries();
        assert_eq!(deliveries.iter().map(|one| one.message).collect::<Vec<_>>(), [0, 1]);
        for (delivery, (row, name, address)) in
            deliveries.iter().zip([(2, "Ada", "ada@one.example"), (3, "Bo", "bo@two.example")])
        {
            assert_eq!(
                (delivery.mail_from.as_str(), &delivery.rcpt_to[..]),
                ("updates@police.example", &[address.to_owned()][..])
            );
            let without_date = |bytes: &[u8]| {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                let (date, rest) = text.split_once("\r\n").unwrap();
                assert!(date.starts_with("Date: "), "{date}");
                rest.to_owned()
            };
            let previewed = std::fs::read(home.path().join(format!("out/row-{row:06}.eml"))).unwrap();
            let sent = without_date(&delivery.data);
            assert_eq!(sent, without_date(&previewed));
            assert!(sent.ends_with(&format!("\r\n\r\n.\r\n..\r\n.{name}.\r\nFrom me\r\n\r\n.\r\n")), "{sent}");
            let raw = String::from_utf8(delivery.raw.clone()).unwrap();
            assert!(raw.ends_with(&format!("\r\n\r\n..\r\n...\r\n..{name}.\r\nFrom me\r\n\r\n..\r\n.\r\n")), "{raw}");
        }
        let commands: Vec<String> =
            server.lines().into_iter().map(|line| line.text).filter(|text| !text.starts_with("AUTH")).collect();
        let sizes = server.deliveries().into_iter().map(|delivery| delivery.data.len());
        let sizes: Vec<String> =
            sizes.map(|size| if extensions.is_empty() { String::new() } else { format!(" SIZE={size}") }).collect();
        assert_eq!(
            commands,
            [
                "EHLO [127.0.0.1]",
                &format!("MAIL FROM:<updates@police.example>{}", sizes[0]),
                "RCPT TO:<ada@one.example>",
                "DATA",
                &format!("MAIL FROM:<updates@police.example>{}", sizes[1]),
                "RCPT TO:<bo@two.example>",
                "DATA",
                "QUIT"
            ]
        );
    }
}

/// A server that answers all that is in one read, and keeps each read; `extensions` are the lines of its answer to EHLO.
fn reads(extensions: &'static str, refuse: Option<&'static str>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reads = Vec::new();
        let mut is_content = false;
        let mut answer = String::from("220 x\r\n");
        loop {
            stream.write_all(answer.as_bytes()).unwrap();
            let mut buffer = vec![0; 1 << 20];
            let length = stream.read(&mut buffer).unwrap();
            if length == 0 {
                return reads;
            }
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            answer.clear();
            for line in text.split_inclusive("\r\n") {
                let reply = match line.trim_end() {
                    "." if is_content => {
                        is_content = false;
                        "250 ok"
                    }
                    _ if is_content => continue,
                    "DATA" => {
                        is_content = true;
                        "354 go on"
                    }
                    line if refuse.is_some_and(|refuse| line.contains(refuse)) => "550 5.1.1 nobody",
                    line if line.starts_with("EHLO") => extensions,
                    "QUIT" => "221 bye",
                    _ => "250 ok",
                };
                answer += &format!("{reply}\r\n");
            }
            reads.push(text);
        }
    });
    (port, server)
}

/// The verbs of each write, with `content` for a message.
fn verbs(reads: &[String]) -> Vec<String> {
    let of = |text: &String| {
        let mut verbs = Vec::new();
        let mut is_content =
            !["EHLO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", "."].iter().any(|verb| text.starts_with(verb));
        for line in text.lines() {
            match line.get(..4).unwrap_or(line) {
                "." if is_content => {
                    verbs.push("content");
                    is_content = false;
                }
                _ if is_content => {}
                verb => verbs.push(match verb {
                    "EHLO" => "EHLO",
                    "MAIL" => "MAIL",
                    "RCPT" => "RCPT",
                    "DATA" => "DATA",
                    "RSET" => "RSET",
                    "QUIT" => "QUIT",
                    "." => ".",
                    _ => "?",
                }),
            }
        }
        verbs.join(" ")
    };
    reads.iter().map(of).collect()
}

fn grouped(extensions: &'static str, refuse: Option<&'static str>, more: &str, code: i32) -> Vec<String> {
    let (port, server) = reads(extensions, refuse);
    let home = Home::new();
    home.campaign("name,email\nAda,ada@one.example\nBo,bo@two.example\nCy,cy@three.example\n");
    home.config(&format!("[account.work]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n{more}"));
    home.run(&["send", "c", "--account", "work", "--confirm", "3"]).ended(code);
    verbs(&server.join().unwrap())
}

#[test]
fn commands_go_together_where_the_server_takes_them_together() {
    let offers = "250-x\r\n250-PIPELINING\r\n250 SIZE";
    // Once it is known that the server can do it, all of the next envelope goes with the content.
    let together = ["EHLO", "MAIL RCPT DATA", "content MAIL", "RCPT DATA", "content MAIL RCPT DATA", "content", "QUIT"];
    assert_eq!(grouped(offers, None, "", 0), together);
    let one_by_one = [&["EHLO"][..], &["MAIL", "RCPT", "DATA", "content"].repeat(3), &["QUIT"]].concat();
    assert_eq!(grouped("250-x\r\n250 SIZE", None, "", 0), one_by_one);
    assert_eq!(grouped(offers, None, "pipelining = false", 0), one_by_one);
    // This one would take the content although nobody is to have it: then it is empty.
    let refused =
        ["EHLO", "MAIL RCPT DATA", "content MAIL", "RCPT DATA", ".", "RSET", "MAIL RCPT DATA", "content", "QUIT"];
    assert_eq!(grouped(offers, Some("bo@two.example"), "", 1), refused);
}
