//! What goes over the wire: the message that was looked at, byte for byte, in transactions of one MAIL and one RCPT.

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
