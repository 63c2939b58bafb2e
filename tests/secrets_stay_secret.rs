//! A password is never in an argument, an output, an error or the config's own text.

use crate::support::{
    Home, OUTBOX, Run, account, people,
    scripted::{Act, Scripted, Stage, Tls},
};

const PASSWORD: &str = "Zw%hunter2-Ünsafe";
/// `base64` of it alone, as AUTH LOGIN sends it.
const ENCODED: &str = "WnclaHVudGVyMi3DnG5zYWZl";

#[track_caller]
fn says_nothing(run: &Run) {
    for output in [&run.stdout, &run.stderr] {
        for secret in [PASSWORD, "hunter2", ENCODED, "aHVudGVyM", "h1bnRlcj", "odW50ZXIy"] {
            assert!(!output.contains(secret), "{secret} in\n{output}");
        }
    }
}

fn server() -> Scripted {
    Scripted::builder().tls(Tls::Implicit).auth("case.team", PASSWORD).start()
}

#[test]
fn each_place_for_a_password_works_and_none_shows_it() {
    let server = server();
    let home = Home::new();
    home.campaign(&people(2));
    let file = home.write("password", format!("{PASSWORD}\n"));
    home.write("credentials/smtp", PASSWORD);
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for (nth, place) in [
        format!("password_file = \"{}\"", file.display()),
        "password_file = \"~/password\"".into(),
        "password_file = \"../../password\"".into(),
        "password_env = \"SMTP_PASSWORD\"".into(),
        "credential = \"smtp\"".into(),
        format!("password_command = \"cat '{}'\"", file.display()),
        format!("password_command = [\"cat\", \"{}\"]", file.display()),
    ]
    .iter()
    .enumerate()
    {
        home.config(&account(
            server.port(),
            server.ca_file(),
            "implicit",
            &format!("username = \"case.team\"\n{place}"),
        ));
        for format in ["text", "json"] {
            let arguments = ["send", "c", "--account", "work", "--confirm", "2", "--again", "--format", format];
            let mut command = home.command(&arguments);
            command.env("SMTP_PASSWORD", PASSWORD).env("CREDENTIALS_DIRECTORY", home.path().join("credentials"));
            let run = Run::of(command.output().unwrap()).ended(0);
            says_nothing(&run);
        }
        assert_eq!(server.accepted().len(), (nth + 1) * 4, "{place}");
    }
    assert!(server.accepted().iter().all(|delivery| delivery.user.as_deref() == Some("case.team")));
}

#[test]
fn a_refused_login_shows_the_servers_words_and_not_the_password() {
    for answer in ["535 5.7.8 no\r\n", "454 4.7.0 later\r\n", "garbage\r\n", "250 strange\r\n"] {
        let server = Scripted::builder()
            .tls(Tls::StartTls)
            .auth("case.team", PASSWORD)
            .auth_offer("LOGIN")
            .on(Stage::AuthResponse, Act::reply(answer))
            .start();
        let home = Home::new();
        home.campaign(&people(2));
        let login = "username = \"case.team\"\npassword_env = \"SMTP_PASSWORD\"";
        home.config(&account(server.port(), server.ca_file(), "starttls", login));
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "2"]);
        let run = Run::of(command.env("SMTP_PASSWORD", PASSWORD).output().unwrap());
        assert!(run.code != 0 && server.deliveries().is_empty());
        says_nothing(&run);
    }
}

/// Servers repeat what they did not understand.
#[test]
fn a_server_that_repeats_the_password_is_not_quoted_with_it() {
    for (offer, stage, codes) in [
        ("PLAIN", Stage::Auth, &["535 5.7.8", "454 4.7.0", "421 4.7.0", "garbage"][..]),
        ("LOGIN", Stage::AuthResponse, &["501 5.5.2", "garbage"]),
        ("XOAUTH2", Stage::Auth, &["535 5.7.8"]),
        ("PLAIN", Stage::Mail, &["553 5.7.1"]),
        ("PLAIN", Stage::Rcpt, &["450 4.2.0"]),
    ] {
        for code in codes {
            let server = Scripted::builder()
                .tls(Tls::Implicit)
                .auth("case.team", PASSWORD)
                .auth_offer(offer)
                .on_when(move |moment| match moment.stage {
                    now if now == stage => Act::reply(format!("{code} {} {PASSWORD} {ENCODED}\r\n", moment.line)),
                    _ => Act::Ok,
                })
                .start();
            let home = Home::new();
            home.campaign(&people(2));
            let login = "username = \"case.team\"\npassword_env = \"SMTP_PASSWORD\"";
            home.config(&account(server.port(), server.ca_file(), "implicit", login));
            for format in ["text", "json"] {
                let arguments = ["send", "c", "--account", "work", "--no-wait", "--confirm", "2", "--format", format];
                let run = Run::of(home.command(&arguments).env("SMTP_PASSWORD", PASSWORD).output().unwrap());
                assert_ne!(run.code, 0);
                says_nothing(&run);
                for secret in [PASSWORD, "hunter2", ENCODED, "aHVudGVyM", "h1bnRlcj", "odW50ZXIy"] {
                    let kept = std::fs::read(home.path().join(OUTBOX)).unwrap();
                    let is_there = kept.windows(secret.len()).any(|octets| octets == secret.as_bytes());
                    assert!(!is_there, "{secret} is kept: {offer} {stage:?} {code}");
                }
            }
        }
    }
}

/// ... nor is it where it says it otherwise: nothing of its words is left but the codes.
#[test]
fn a_server_that_repeats_the_password_altered_is_not_quoted_at_all() {
    let octets = |form: fn(u8) -> String| PASSWORD.bytes().map(form).collect::<String>();
    let (front, back) = PASSWORD.split_at(7);
    let spaced: Vec<String> = PASSWORD.chars().map(String::from).collect();
    for (nth, (form, part)) in [
        (PASSWORD.to_uppercase(), "HUNTER2"),
        (PASSWORD.chars().rev().collect(), "2retnuh"),
        (octets(|octet| format!("{octet:02x}")), "68756e746572"),
        (spaced.join(" "), "h u n t e r"),
        (format!("{front}\r\nCODE {back}"), "er2-Ü"),
        (octets(|octet| format!("%{octet:02X}")), "%68%75%6E"),
        ("eFp3JWh1bnRlcjItw5xuc2FmZQ==".into(), "h1bnRlcj"),
        ("eHhadyVodW50ZXIyLcOcbnNhZmU=".into(), "odW50ZXIy"),
    ]
    .into_iter()
    .enumerate()
    {
        for (stage, code, exit) in [(Stage::AuthResponse, "535 5.7.8", 77), (Stage::Rcpt, "450 4.2.0", 75)] {
            let said = form.replace("CODE", code);
            let server = Scripted::builder()
                .tls(Tls::Implicit)
                .auth("case.team", PASSWORD)
                .auth_offer("LOGIN")
                .on_when(move |moment| match moment.stage {
                    now if now == stage && said.contains('\n') => {
                        Act::reply(format!("{} {said}\r\n", code.replacen(' ', "-", 1)))
                    }
                    now if now == stage => Act::reply(format!("{code} not {said} here\r\n")),
                    // It was told over an earlier connection.
                    Stage::Connect if moment.connection > 0 && !said.contains('\n') => {
                        Act::reply(format!("220 {said}\r\n"))
                    }
                    _ => Act::Ok,
                })
                .start();
            let home = Home::new();
            home.campaign(&people(2));
            let login = "username = \"case.team\"\npassword_env = \"SMTP_PASSWORD\"";
            home.config(&account(server.port(), server.ca_file(), "implicit", login));
            let format = if nth % 2 == 0 { "text" } else { "json" };
            let arguments = ["send", "c", "--account", "work", "--no-wait", "--confirm", "2", "--format", format];
            let mut command = home.command(&arguments);
            command.args(["--notify-email", "case.team@police.example"]).env("SMTP_PASSWORD", PASSWORD);
            let run = Run::of(command.output().unwrap()).ended(exit);
            says_nothing(&run);
            let kept = std::fs::read(home.path().join(OUTBOX)).unwrap();
            for output in [run.stdout.as_bytes(), run.stderr.as_bytes(), &kept] {
                let is_there = output.windows(part.len()).any(|octets| octets == part.as_bytes());
                assert!(!is_there, "{part} after {stage:?}:\n{run:?}");
            }
            let left = format!("{code} (its words are not shown: they repeat a password, a token or a code)");
            assert!(format!("{}{}", run.stdout, run.stderr).contains(&left), "{form}: {run:?}");
            assert!(run.stderr.contains("warning: "), "nobody could be told: {}", run.stderr);
        }
    }
}

#[test]
fn a_password_in_the_config_is_refused_and_not_repeated() {
    let home = Home::new();
    home.campaign(&people(2));
    for wrong in [
        "password = \"hunter2\"",
        "token = \"hunter2\"",
        "password = 12345678901234567890hunter2",
        "password = [\"hunter2\"]",
        "hots = 1\npassword = \"hunter2\"",
        "password = \"\"\"\nhunter2",
        "password = hunter2",
        "passwort = \"hunter2\"",
        "password_file = { x = \"hunter2\" }",
        "Password = \"hunter2\"",
        "pass = \"hunter2\"",
        "smtp_pwd = \"hunter2\"",
        // under a key that wants something else
        "password_env = \"hunter2 \"",
        "password_env = \"hunter2\"",
        "credential = \"hunter2\"",
        "password_file = \"hunter2\"",
        "password_command = \"hunter2\"",
    ] {
        home.config(&format!("[account.work]\nhost = \"localhost\"\nusername = \"u\"\n{wrong}\n"));
        let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(78);
        says_nothing(&run);
    }
    home.config("[account.work]\nhost = \"localhost\"\nusername = \"u\"\npassword_env = \"P\"\n");
    for settings in [
        "password = \"hunter2\"",
        "account = { password = \"hunter2\", x = 1 }",
        "[send]\nsmtp_password = \"hunter2\" x",
    ] {
        home.write("w/campaign.toml", format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n{settings}\n"));
        says_nothing(&home.run(&["check", "w"]).ended(65));
    }
    home.write("w.txt.hbs", "+++\nfrom = \"a@b.example\"\nsubject = \"x\"\npassword = \"hunter2\"\n+++\nx\n");
    says_nothing(&home.run(&["check", "w.txt.hbs", "c/people.csv"]).ended(65));
    home.config("account.work = { host = \"localhost\", username = \"u\", password = \"hunter2\" }\n");
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(78);
    let config = home.path().join(".config/apiece/config.toml");
    assert_eq!(
        run.said(),
        format!(
            "error: {}:1:54: a password does not belong into this file, which is copied, shared and backed up\n  \
             help: take it out; in your config file an account says where it is: password_command = \"pass show mail/work\", password_file = \"…\", \
             password_env = \"…\", credential = \"…\" or keyring = true, or nothing to be asked at the terminal\n",
            config.display()
        )
    );
}

/// The account's OAuth 2.0 has places for secrets, and no room for one.
#[test]
fn a_secret_among_the_keys_for_tokens_is_refused_and_not_repeated() {
    let home = Home::new();
    home.campaign(&people(2));
    for wrong in [
        "client_secret = \"hunter2\"",
        "access_token = \"hunter2\"",
        "refresh_token = \"hunter2\"",
        "client_secret_env = \"hunter2 \"",
        "client_secret_credential = \"/hunter2\"",
        "client_secret_command = \"'hunter2\"",
        "tokens = \"hunter2\"",
        "client_secret_file = { x = \"hunter2\" }",
    ] {
        let login = "host = \"localhost\"\nusername = \"u\"\n[account.work.oauth]\nissuer = \"https://localhost\"\nclient_id = \"i\"";
        home.config(&format!("[account.work]\n{login}\n{wrong}\n"));
        says_nothing(&home.run(&["login", "work"]).ended(78));
        let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(78);
        says_nothing(&run);
    }
}

/// A program may complain about what it was given, or about what it gives.
#[cfg(unix)]
#[test]
fn a_program_that_fails_is_quoted_without_the_password() {
    let server = server();
    let home = Home::new();
    home.campaign(&people(2));
    for (place, code) in [("password_command", 78), ("token_command", 75)] {
        let script =
            format!("{place} = [\"sh\", \"-c\", \"echo '{PASSWORD}'; echo 'no key for {PASSWORD}' >&2; exit 1\"]");
        home.config(&account(server.port(), server.ca_file(), "implicit", &format!("username = \"u\"\n{script}")));
        let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(code);
        says_nothing(&run);
        assert!((run.stdout.clone() + &run.stderr).contains("it said: no key for …"), "{run:?}");
        // As another program writes it, or from the environment
        for script in [
            format!("echo '{PASSWORD}'; echo 'no key for {PASSWORD}' | tr a-z A-Z >&2; exit 1"),
            "env >&2; exit 1".to_owned(),
        ] {
            let login = format!("username = \"u\"\n{place} = [\"sh\", \"-c\", \"{script}\"]");
            home.config(&account(server.port(), server.ca_file(), "implicit", &login));
            let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "2"]);
            let run = Run::of(command.env("OTHER_PASSWORD", PASSWORD).output().unwrap()).ended(code);
            says_nothing(&run);
            assert!(!(run.stdout.clone() + &run.stderr).contains("HUNTER2"), "{run:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_password_file_that_others_can_read_is_refused() {
    let server = server();
    let home = Home::new();
    home.campaign(&people(2));
    let file = home.write("password", PASSWORD);
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let login = format!("username = \"case.team\"\npassword_file = \"{}\"", file.display());
    home.config(&account(server.port(), server.ca_file(), "implicit", &login));
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(78);
    let path = file.display();
    assert_eq!(
        run.said(),
        format!("error: the password file {path} can be read by others (its mode is 644)\n  help: chmod 600 {path}\n")
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let server = server();
    let home = Home::new();
    home.campaign(&people(2));
    home.config(&account(server.port(), server.ca_file(), "implicit", "username = \"case.team\""));
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(77);
    assert!(
        run.stderr.starts_with("error: no password is configured, and there is no terminal to ask at\n"),
        "{}",
        run.stderr
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn in_clear_there_is_no_password_and_no_other_machine() {
    let home = Home::new();
    home.campaign(&people(2));
    for (host, more) in
        [("smtp.example", ""), ("192.0.2.1", ""), ("127.0.0.1", "username = \"u\"\npassword_env = \"P\"")]
    {
        home.config(&format!("[account.work]\nhost = \"{host}\"\ntls = \"none\"\n{more}\n"));
        let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(78);
        let why = if more.is_empty() {
            "mail does not leave this machine without TLS"
        } else {
            "a password is not sent without TLS"
        };
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
}
