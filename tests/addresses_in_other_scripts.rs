//! Letters of other scripts before the @ go only to a server that takes them (SMTPUTF8, RFC 6531); nobody else is held
//! up.

use crate::support::{
    Home, Run, account,
    postfix::Postfix,
    samples::parse,
    scripted::{Scripted, Tls},
    skip,
};

fn home(port: u16, ca_file: &std::path::Path, user: &str) -> Home {
    let home = Home::new();
    home.campaign("name,email\nJörg,Jörg@list.example\nBo,bo@list.example\nЮлия,юлия@list.example\n");
    home.config(&account(
        port,
        ca_file,
        "starttls",
        &format!("username = \"{user}\"\npassword_env = \"SMTP_PASSWORD\"\n"),
    ));
    home
}

fn send(home: &Home, password: &str) -> Run {
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "3"]);
    Run::of(command.env("SMTP_PASSWORD", password).output().unwrap())
}

#[test]
fn a_real_server_that_takes_them_gets_them_in_utf_8() {
    let Some(postfix) = Postfix::start() else { return skip("Postfix is not installed") };
    let home = home(postfix.submission_port(), postfix.ca_file(), postfix.user());
    let run = send(&home, postfix.password()).ended(0);
    assert!(run.stdout.starts_with("3 of 3 messages sent"), "{}", run.stdout);
    let delivered = postfix.wait_for(3);
    for address in ["jörg@list.example", "bo@list.example", "юлия@list.example"] {
        let message = delivered.iter().find(|one| one.mailbox.to_lowercase() == address);
        let message = message.unwrap_or_else(|| panic!("{address}: {:?}", postfix.log()));
        let parsed = parse(message.sent());
        let to = parsed.to().unwrap().first().unwrap().address.as_deref().unwrap().to_lowercase();
        assert_eq!(to, address);
        // Only the address is not ASCII, and only where it has to be.
        let odd: Vec<&[u8]> = message.sent().split(|byte| *byte == b'\n').filter(|line| !line.is_ascii()).collect();
        assert_eq!(odd.len(), usize::from(!address.is_ascii()), "{}", String::from_utf8_lossy(message.sent()));
    }
    assert!(postfix.recipients_per_message().iter().all(|recipients| *recipients == 1));
}

#[test]
fn a_server_that_does_not_offer_it_is_not_asked() {
    let server =
        Scripted::builder().tls(Tls::StartTls).auth("ann", "secret").extensions(&["SIZE 1000000", "8BITMIME"]).start();
    let home = home(server.port(), server.ca_file(), "ann");
    let run = send(&home, "secret").ended(1);
    assert!(run.stdout.starts_with("1 of 3 messages sent"), "{}", run.stdout);
    assert_eq!(
        run.stdout.matches("letters that only a server with SMTPUTF8 takes, and this one does not offer it").count(),
        2,
        "{}",
        run.stdout
    );
    let told: Vec<String> = server.lines().iter().map(|line| line.text.clone()).collect();
    assert_eq!(told.iter().filter(|line| line.starts_with("MAIL")).count(), 1, "{told:?}");
    assert_eq!(server.accepted().len(), 1);
}

#[test]
fn the_sandbox_takes_them() {
    let home = Home::new();
    home.campaign("name,email\nJörg,Jörg@list.example\nBo,bo@list.example\n");
    let run = home.run(&["send", "c", "--sandbox", "--confirm", "2"]).ended(0);
    assert!(run.stdout.contains("people with exactly one message      2 of 2 on the list"), "{}", run.stdout);
    assert!(run.stdout.contains("messages with another's address      0"), "{}", run.stdout);
}

#[test]
fn such_an_address_of_another_person_is_found_in_a_message() {
    let home = Home::new();
    home.campaign("name,email\nfor юлия@list.example,bo@list.example\nЮлия,Юлия@list.example\n");
    let run = home.run(&["check", "c"]).ended(65);
    assert!(
        run.stderr.contains("the message to bo@list.example holds \"юлия@list.example\", the address of row 3"),
        "{}",
        run.stderr
    );
}
