//! OAuth 2.0: a person logs in once, and tokens are renewed before they expire, however long a run is; a token goes to nobody but
//! the server that it is for.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::{
    at_a_terminal::Terminal,
    support::{
        Home, Run, account, json,
        other_servers::{Make, Server, USER},
        people,
        processes::patiently,
        provider::Provider,
        scripted::{Scripted, Tls},
    },
};

/// An account at Dovecot's submission service, which takes the provider's tokens as long as they are good.
fn home(server: &Server, provider: &Provider, more: &str) -> Home {
    let home = Home::new();
    configure(&home, server, provider, more, "tokens = \"file\"");
    home.campaign(&people(2));
    home
}

fn configure(home: &Home, server: &Server, provider: &Provider, more: &str, oauth: &str) {
    let (tls, port) = server.ways()[0];
    let more = format!("username = \"{USER}\"\ntimeout = \"10s\"\n{more}\n{}", provider.settings(oauth));
    home.config(&account(port, &server.ca_file(), tls, &more));
}

/// A login that waits for a person.
struct Waiting {
    process: Child,
    stdout: BufReader<ChildStdout>,
    said: String,
}

impl Waiting {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command: Command = home.command(&[&["login", "work"], arguments].concat());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self { process, stdout, said: String::new() }
    }

    /// The next line that is indented, without that.
    fn shown(&mut self) -> String {
        loop {
            let mut line = String::new();
            let count = self.stdout.read_line(&mut line).unwrap();
            self.said += &line;
            if count == 0 {
                panic!("it ended: {}{}", self.complaints(), self.said);
            }
            if let Some(shown) = line.strip_prefix("  ") {
                return shown.trim_end().to_owned();
            }
        }
    }

    fn complaints(&mut self) -> String {
        let mut complaints = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        complaints
    }

    fn end(mut self) -> Run {
        self.stdout.read_to_string(&mut self.said).unwrap();
        let stderr = self.complaints();
        let code = self.process.wait().unwrap().code().unwrap_or(-1);
        Run { code, stdout: self.said, stderr }
    }
}

/// Logs in with a code that a person types.
fn log_in(home: &Home, provider: &Provider) -> Run {
    let mut waiting = Waiting::start(home, &["--device"]);
    let (page, code) = (waiting.shown(), waiting.shown());
    assert_eq!(page, format!("{}/device", provider.issuer()));
    provider.order(&format!("approve {code}"));
    waiting.end()
}

fn send(home: &Home, count: usize, more: &[&str]) -> Run {
    let number = count.to_string();
    let arguments = ["send", "c", "--account", "work", "--confirm", &number, "--format", "json"];
    home.run(&[&arguments, more].concat())
}

/// Whether none of the provider's tokens is anywhere that others may look at.
#[track_caller]
fn says_no_token(provider: &Provider, home: &Home, runs: &[&Run]) {
    let told = provider.told();
    let issued: Vec<&str> = told["issued"].as_array().unwrap().iter().filter_map(|token| token.as_str()).collect();
    assert!(issued.iter().any(|token| !token.is_empty()));
    let outbox = std::fs::read(home.path().join(crate::support::OUTBOX)).unwrap_or_default();
    for token in issued.into_iter().filter(|token| !token.is_empty()) {
        // The end of a token is its signature; the whole may be cut somewhere.
        let part = &token[token.len().saturating_sub(12)..];
        for run in runs {
            assert!(!run.stdout.contains(part) && !run.stderr.contains(part), "{part} in {run:?}");
        }
        assert!(!outbox.windows(part.len()).any(|octets| octets == part.as_bytes()), "{part} is in the outbox");
    }
}

fn start(settings: &str) -> Option<(Server, Provider)> {
    let server = Make::Dovecot.start()?;
    let provider = Provider::start(USER, server.password(), settings)?;
    Some((server, provider))
}

#[test]
fn a_code_is_typed_once_and_everybody_is_mailed_though_tokens_expire_in_mid_run() {
    let Some((server, provider)) = start("{\"lifetime\": 3, \"slow_down\": 1}") else { return };
    let home = home(&server, &provider, "connections = 2\nmessages_per_connection = 4\nrate = \"5/s\"");
    home.campaign(&people(60));
    let mut waiting = Waiting::start(&home, &["--device"]);
    let (_, code) = (waiting.shown(), waiting.shown());
    // Nobody has typed it yet, and it asks too often.
    let is_told = || provider.told()["refused"].as_array().unwrap().contains(&"slow_down".into());
    assert!(patiently(Duration::from_secs(20), is_told), "{}", provider.told());
    provider.order(&format!("approve {code}"));
    let login = waiting.end().ended(0);
    assert!(login.stdout.contains("The server took it (OAUTHBEARER). It is renewed when need be."), "{}", login.stdout);
    let run = send(&home, 60, &[]).ended(0);
    assert_eq!(server.wait_for(60).len(), 60);
    let summary = json(&run).pop().unwrap();
    assert_eq!(summary["sent"], 60, "{summary}");
    // 12 s of messages with tokens for 3 s each
    let told = provider.told();
    assert!(provider.grants("refresh_token") >= 3, "{told}");
    assert_eq!(told["reused"], 0, "{told}");
    assert_eq!(provider.grants("urn:ietf:params:oauth:grant-type:device_code"), 1, "{told}");
    says_no_token(&provider, &home, &[&login, &run]);
}

#[test]
fn a_token_that_the_server_no_longer_takes_is_renewed_once_and_not_for_ever() {
    // It is said to be good for an hour, and is for two seconds.
    let Some((server, provider)) = start("{\"lifetime\": 2, \"said\": 3600}") else { return };
    let home = home(&server, &provider, "messages_per_connection = 2\nrate = \"2/s\"");
    home.campaign(&people(10));
    log_in(&home, &provider).ended(0);
    let run = send(&home, 10, &[]).ended(0);
    assert_eq!(server.wait_for(10).len(), 10);
    assert!(provider.grants("refresh_token") >= 1, "{}", provider.told());
    // Now no token is good for anything.
    provider.order("set lifetime -10");
    std::thread::sleep(Duration::from_secs(3));
    let before = provider.grants("refresh_token");
    let run2 = send(&home, 10, &["--again"]).ended(77);
    assert_eq!(provider.grants("refresh_token"), before + 1);
    let summary = json(&run2).pop().unwrap();
    let stopped = summary["stopped"].as_str().unwrap();
    assert!(stopped.starts_with("the server refused the login with a new token, too: 535"), "{stopped}");
    assert_eq!(summary["queued"], 10, "{summary}");
    says_no_token(&provider, &home, &[&run, &run2]);
}

#[test]
fn what_the_issuer_refuses_ends_the_run_and_what_it_cannot_do_now_is_tried_again() {
    let Some((server, provider)) = start("{\"lifetime\": 2}") else { return };
    let home = home(&server, &provider, "messages_per_connection = 1\nrate = \"2/s\"");
    home.campaign(&people(4));
    log_in(&home, &provider).ended(0);
    std::thread::sleep(Duration::from_secs(2));
    // Down
    provider.order("set down true");
    let run = send(&home, 4, &[]).ended(75);
    let stopped = json(&run).pop().unwrap()["stopped"].as_str().unwrap().to_owned();
    assert_eq!(stopped, format!("{} cannot be asked now: it answers 503 Service Unavailable", provider.issuer()));
    provider.order("set down false");
    // Elsewhere
    provider.order("set redirect \"https://localhost:1/token\"");
    let run = send(&home, 4, &[]).ended(77);
    let stopped = json(&run).pop().unwrap()["stopped"].as_str().unwrap().to_owned();
    assert!(stopped.contains("it sends apiece elsewhere (307 Temporary Redirect)"), "{stopped}");
    provider.order("set redirect null");
    // No more; and it repeats the refresh token.
    provider.order("set refuse \"AADSTS700082: expired\"");
    let run = send(&home, 4, &[]).ended(77);
    let summary = json(&run).pop().unwrap();
    let stopped = summary["stopped"].as_str().unwrap();
    let expected = "the tokens are no longer good: AADSTS700082: expired … (invalid_grant) (account \"work\")";
    assert_eq!(stopped, expected);
    assert_eq!(summary["queued"], 4, "{summary}");
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "4"]).ended(77);
    assert!((run.stdout.clone() + &run.stderr).contains("apiece login work"), "{run:?}");
    // It goes on from where it was.
    provider.order("set refuse null");
    let run = send(&home, 4, &[]).ended(0);
    assert_eq!(server.wait_for(4).len(), 4);
    says_no_token(&provider, &home, &[&run]);
}

#[test]
fn a_provider_that_is_away_for_a_moment_holds_nobody_up_for_good() {
    let Some((server, provider)) = start("{\"lifetime\": 2}") else { return };
    let home = home(&server, &provider, "messages_per_connection = 1\nrate = \"2/s\"");
    home.campaign(&people(12));
    log_in(&home, &provider).ended(0);
    let run = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&home, 12, &[]));
        std::thread::sleep(Duration::from_millis(1500));
        provider.order("set down true");
        std::thread::sleep(Duration::from_millis(2500));
        provider.order("set down false");
        sending.join().unwrap()
    });
    let run = run.ended(0);
    assert_eq!(server.wait_for(12).len(), 12);
    assert!(run.stdout.contains("cannot be asked now"), "{}", run.stdout);
}

#[test]
fn two_programs_never_use_the_same_refresh_token() {
    let Some((server, provider)) = start("{\"lifetime\": 2, \"delay\": 0.2}") else { return };
    let home = home(&server, &provider, "messages_per_connection = 1\nrate = \"4/s\"");
    for name in ["e", "d", "c"] {
        home.campaign(&people(12).replace("Person", name));
        if name != "c" {
            std::fs::rename(home.path().join("c"), home.path().join(name)).unwrap();
        }
    }
    log_in(&home, &provider).ended(0);
    std::thread::scope(|scope| {
        for name in ["c", "d", "e"] {
            let home = &home;
            scope.spawn(move || {
                home.run(&["send", name, "--account", "work", "--confirm", "12"]).ended(0);
            });
        }
    });
    assert_eq!(server.wait_for(36).len(), 36);
    let told = provider.told();
    assert_eq!(told["reused"], 0, "{told}");
    assert!(provider.grants("refresh_token") >= 2, "{told}");
}

#[test]
fn a_browser_brings_the_answer_and_nobody_else_can() {
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    let mut waiting = Waiting::start(&home, &["--no-browser"]);
    let page = waiting.shown();
    assert!(page.starts_with(&format!("{}/authorize?response_type=code&client_id=", provider.issuer())), "{page}");
    for (name, value) in [("code_challenge_method", "S256"), ("login_hint", "case.team%40police.example")] {
        assert!(page.contains(&format!("{name}={value}")), "{page}");
    }
    assert!(page.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A"), "{page}");
    let is_none = "400 <!doctype html><meta charset=\"utf-8\"><title>apiece</title><p>This is not the answer that apiece waits for.</p>";
    let port = page.split("127.0.0.1%3A").nth(1).unwrap().split('%').next().unwrap().to_owned();
    let foreign =
        ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.:PORT", "localhost:PORT", "evil.example:PORT"];
    let foreign = foreign.map(|host| format!("HOST={}", host.replace("PORT", &port)));
    for tampered in ["state=guessed", "state=", "code="].into_iter().chain(foreign.iter().map(String::as_str)) {
        assert_eq!(provider.order(&format!("tamper {page} {tampered}")), is_none, "{tampered}");
    }
    let answer = provider.order(&format!("browse {page}"));
    assert!(answer.starts_with("200 ") && answer.contains("apiece has the answer."), "{answer}");
    let run = waiting.end().ended(0);
    assert!(run.stdout.contains("The server took it (OAUTHBEARER)."), "{}", run.stdout);
    let told = provider.told();
    assert_eq!(told["authorizations"].as_array().unwrap().last().unwrap()["code_challenge_method"], "S256", "{told}");
    let run2 = send(&home, 2, &[]).ended(0);
    assert_eq!(server.wait_for(2).len(), 2);
    says_no_token(&provider, &home, &[&run, &run2]);
}

/// The page as one argument, and no shell.
#[test]
fn a_browser_is_opened_where_somebody_sits_in_front_of_one() {
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    let opener = home.write("bin/xdg-open", "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$1\" > \"$HOME/opened\"\n");
    std::fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path().join("bin").display(), std::env::var("PATH").unwrap());
    let opened = home.path().join("opened");
    for (flags, environment, opens) in [
        (&[][..], &[("PATH", path.as_str()), ("DISPLAY", ":99")][..], true),
        (&["--no-browser"], &[("PATH", &path), ("DISPLAY", ":99")], false),
        // Without a display it is a code.
        (&[], &[("PATH", &path)], false),
    ] {
        let _ = std::fs::remove_file(&opened);
        let mut terminal = Terminal::run(&home, &[&["login", "work"], flags].concat(), environment);
        terminal.wait_for("Waiting for you");
        let is_there = || std::fs::read_to_string(&opened).is_ok_and(|opened| opened.lines().count() == 2);
        assert_eq!(patiently(Duration::from_secs(if opens { 10 } else { 1 }), is_there), opens, "{flags:?}");
        if opens {
            let opened = std::fs::read_to_string(&opened).unwrap();
            let page = opened.strip_prefix("1\n").unwrap().trim_end();
            assert!(page.starts_with(&format!("{}/authorize?", provider.issuer())), "{page}");
            provider.order(&format!("browse {page}"));
            terminal.ended(0);
        } else {
            let is_code = terminal.seen().contains("type the code there");
            assert_eq!(is_code, flags.is_empty(), "{}", terminal.seen());
            terminal.type_in("\x03");
            terminal.ended(130);
        }
    }
}

#[test]
fn an_answer_that_is_not_from_who_was_asked_is_not_taken() {
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    let try_with = |change: &str| {
        let mut waiting = Waiting::start(&home, &["--no-browser"]);
        let page = waiting.shown();
        (provider.order(&format!("tamper {page} {change}")), waiting.end())
    };
    for change in ["iss=https://evil.example", "iss="] {
        let (page, run) = try_with(change);
        assert!(page.starts_with("400 ") && page.contains("apiece does not take it."), "{page}");
        let run = run.ended(76);
        assert!(run.stderr.contains("the browser's answer is from another issuer"), "{}", run.stderr);
    }
    // Somebody else's code does not fit to this question (PKCE), whatever is known of it.
    let other = {
        let mut waiting = Waiting::start(&home, &["--no-browser"]);
        let page = waiting.shown();
        waiting.process.kill().unwrap();
        waiting.process.wait().unwrap();
        page
    };
    let code = provider.order(&format!("code {other}"));
    let (_, run) = try_with(&format!("code={code}"));
    let run = run.ended(77);
    assert!(run.stderr.contains("refuses"), "{}", run.stderr);
    assert!(!run.stderr.contains(&code), "{}", run.stderr);
    // A person may say no.
    provider.order("set refuse \"no\"");
    let run = try_with("x=y").1.ended(77);
    assert!(run.stderr.contains("\nerror: the login was not allowed: "), "{}", run.stderr);
    assert_eq!(provider.grants("authorization_code"), 0);
    assert!(
        !home
            .path()
            .join(".local/state/apiece/tokens")
            .read_dir()
            .unwrap()
            .any(|file| { file.unwrap().path().extension().is_some_and(|ending| ending == "json") })
    );
}

#[test]
fn a_code_that_is_refused_or_too_old_gives_nothing() {
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    let mut waiting = Waiting::start(&home, &["--device"]);
    let (_, code) = (waiting.shown(), waiting.shown());
    provider.order(&format!("deny {code}"));
    let run = waiting.end().ended(77);
    assert!(run.stderr.contains("\nerror: the login was not allowed: "), "{}", run.stderr);
    provider.order("set code_lifetime 2");
    let run = Waiting::start(&home, &["--device"]).end().ended(77);
    assert_eq!(run.stderr.lines().last(), Some("  help: run the same command again"), "{}", run.stderr);
    assert!(run.stderr.contains("error: nobody logged in in time\n"), "{}", run.stderr);
    // An issuer without such codes
    provider.order("set metadata {\"device_authorization_endpoint\": null}");
    let run = home.run(&["login", "work", "--device"]).ended(76);
    assert!(run.stderr.contains("it offers no login with a code"), "{}", run.stderr);
}

#[test]
fn an_issuer_is_who_it_says_or_nobody() {
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    for (metadata, why) in [
        ("{\"issuer\": \"https://evil.example\"}", "the page about itself is about another issuer"),
        ("{\"token_endpoint\": \"http://localhost:1/token\"}", "one of its URLs is no https URL"),
        ("{\"issuer\": 7}", "the page about itself is not understood"),
    ] {
        provider.order(&format!("set metadata {metadata}"));
        let run = home.run(&["login", "work", "--device"]).ended(76);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    provider.order("set metadata {}");
    // Nobody vouches for its certificate.
    let settings =
        format!("[account.work.oauth]\nissuer = \"{}\"\nclient_id = \"x\"\ntokens = \"file\"", provider.issuer());
    let (tls, port) = server.ways()[0];
    home.config(&account(port, &server.ca_file(), tls, &format!("username = \"u\"\n{settings}")));
    let run = home.run(&["login", "work", "--device"]).ended(76);
    assert!(run.stderr.contains("is not safe: the certificate of localhost is not trusted"), "{}", run.stderr);
    // It is not known to the issuer.
    let settings = provider.settings("tokens = \"file\"").replace("apiece-test", "somebody-else");
    home.config(&account(port, &server.ca_file(), tls, &format!("username = \"u\"\n{settings}")));
    let run = home.run(&["login", "work", "--device"]).ended(77);
    assert!(run.stderr.contains("invalid_client"), "{}", run.stderr);
}

#[test]
fn tokens_are_kept_for_their_owner_and_sent_to_no_other_server() {
    use std::os::unix::fs::PermissionsExt;
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    // Nobody has logged in, and nobody is asked.
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(77);
    let not_yet = "error: nobody has logged in with the account \"work\" yet\n  help: log in: apiece login work\n";
    assert!(run.said().ends_with(not_yet), "{}", run.stderr);
    log_in(&home, &provider).ended(0);
    let directory = home.path().join(".local/state/apiece/tokens");
    let files = || -> Vec<_> { directory.read_dir().unwrap().map(|file| file.unwrap().path()).collect() };
    let kept = files().into_iter().find(|file| file.extension().is_some_and(|ending| ending == "json")).unwrap();
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!kept.display().to_string().contains("case"), "{}", kept.display());
    // Another server gets none: not even where only the name differs.
    let thief = Scripted::builder().tls(Tls::Implicit).auth_offer("OAUTHBEARER XOAUTH2").auth(USER, "x").start();
    let more = format!("username = \"{USER}\"\n{}", provider.settings("tokens = \"file\""));
    let elsewhere = account(thief.port(), thief.ca_file(), "implicit", &more).replace("\"localhost\"", "\"127.0.0.1\"");
    home.config(&elsewhere);
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(77);
    assert!(run.stderr.contains("nobody has logged in"), "{}", run.stderr);
    assert_eq!(thief.connections(), 0);
    // Another client, or another issuer
    configure(&home, &server, &provider, "", "tokens = \"file\"");
    let file = home.path().join(".config/apiece/config.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings.replace("apiece-test", "another")).unwrap();
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(77);
    assert!(run.stderr.contains("are for another issuer or client than it has now"), "{}", run.stderr);
    std::fs::write(&file, settings).unwrap();
    // Somebody else could have read them.
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o640)).unwrap();
    let run = home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(78);
    assert!(run.stderr.contains("can be read by others (its mode is 640)"), "{}", run.stderr);
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o600)).unwrap();
    send(&home, 2, &[]).ended(0);
    // What is forgotten is forgotten there, too.
    let run = home.run(&["logout", "work"]).ended(0);
    assert_eq!(run.stdout, format!("The login of {USER} at localhost is forgotten.\n"));
    assert_eq!(provider.told()["revoked"].as_array().unwrap().len(), 1, "{}", provider.told());
    assert!(!kept.exists());
    assert_eq!(home.run(&["logout", "work"]).ended(0).stdout, format!("There was no login of {USER} at localhost.\n"));
    send(&home, 2, &["--again"]).ended(77);
    assert_eq!(server.wait_for(2).len(), 2);
}

#[test]
fn nothing_is_kept_that_the_server_refuses_unless_it_is_wanted() {
    let Some((server, provider)) = start("{\"subject\": \"somebody.else@police.example\"}") else { return };
    let home = home(&server, &provider, "");
    let run = log_in(&home, &provider).ended(77);
    assert!(run.stderr.contains("the server refused the login: 535"), "{}", run.stderr);
    assert!(run.stderr.contains("Nothing was kept"), "{}", run.stderr);
    home.run(&["send", "c", "--account", "work", "--confirm", "2"]).ended(77);
    let mut waiting = Waiting::start(&home, &["--device", "--no-try"]);
    let (_, code) = (waiting.shown(), waiting.shown());
    provider.order(&format!("approve {code}"));
    assert!(waiting.end().ended(0).stdout.contains("It was not tried at the server."));
}

#[test]
fn a_provider_may_want_a_secret_of_the_program_and_gets_it() {
    let Some((server, provider)) = start("{\"client_secret\": \"s3cret-of-the-client\", \"padding\": 3000}") else {
        return;
    };
    for methods in ["[\"client_secret_basic\"]", "[\"client_secret_post\"]"] {
        provider.order(&format!("set metadata {{\"token_endpoint_auth_methods_supported\": {methods}}}"));
        let home = home(&server, &provider, "");
        let secret = home.write("client", "s3cret-of-the-client\n");
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        configure(&home, &server, &provider, "", "tokens = \"file\"\nclient_secret_file = \"~/client\"");
        let run = log_in(&home, &provider).ended(0);
        let run2 = send(&home, 2, &[]).ended(0);
        says_no_token(&provider, &home, &[&run, &run2]);
        assert!(!(run.stdout + &run2.stdout + &run2.stderr).contains("s3cret-of"));
    }
    assert_eq!(server.wait_for(4).len(), 4);
    // Without it
    let home = home(&server, &provider, "");
    let run = home.run(&["login", "work", "--device"]).ended(77);
    assert!(run.stderr.contains("invalid_client"), "{}", run.stderr);
}

#[test]
fn another_program_may_get_the_tokens_and_is_asked_again_when_one_is_old_or_refused() {
    let Some(server) = Make::Dovecot.start() else { return };
    let home = Home::new();
    home.campaign(&people(8));
    home.write("good", server.token(USER));
    home.write("bad", server.token("somebody.else@police.example"));
    let script = "#!/bin/sh\necho x >> runs\necho asked for a token >&2\nif [ $(wc -l < runs) -le $(cat bad-runs) ]; then cat bad; else cat good; fi\n";
    let script = home.write("get-token", script);
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let (tls, port) = server.ways()[0];
    let configure = |more: &str| {
        let more = format!("username = \"{USER}\"\ntoken_command = [\"{}\"]\n{more}", script.display());
        home.config(&account(port, &server.ca_file(), tls, &more));
    };
    let runs = || std::fs::read_to_string(home.path().join("runs")).unwrap_or_default().lines().count();
    let mut before = 0;
    let mut asked = |bad: usize, exit: i32| {
        home.write("bad-runs", (before + bad).to_string());
        let run = send(&home, 8, &["--again"]).ended(exit);
        let count = runs() - before;
        before += count;
        (run, count)
    };
    // One for all connections
    configure("messages_per_connection = 2");
    let (run, count) = asked(0, 0);
    assert_eq!(count, 1);
    assert!(!run.stderr.contains("asked for a token"), "{}", run.stderr);
    // A new one for each that is opened later than a second after
    configure("messages_per_connection = 2\ntoken_lifetime = \"1s\"\nrate = \"2/s\"");
    let (_, count) = asked(0, 0);
    assert!(count >= 3, "{count}");
    // The first is refused, and the second is taken
    configure("");
    assert_eq!(asked(1, 0).1, 2);
    // The same once more is none.
    let (run, count) = asked(9, 77);
    assert_eq!(count, 2);
    let stopped = json(&run).pop().unwrap()["stopped"].as_str().unwrap().to_owned();
    assert!(stopped.starts_with("the server refused the login: 535"), "{stopped}");
    assert_eq!(server.wait_for(24).len(), 24);
    // One that fails
    home.write("get-token", "#!/bin/sh\necho 'no \u{1b}[31mnetwork' >&2\nexit 3\n");
    let (run, _) = asked(0, 75);
    let stopped = json(&run).pop().unwrap()["stopped"].as_str().unwrap().to_owned();
    assert_eq!(stopped, "the program of token_command ended with exit status: 3; it said: no <U+001B>[31mnetwork");
}

/// Anybody on the machine can connect.
#[test]
fn strangers_do_not_keep_the_browser_out() {
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    let mut waiting = Waiting::start(&home, &["--no-browser"]);
    let page = waiting.shown();
    let port: u16 = page.split("127.0.0.1%3A").nth(1).unwrap().split('%').next().unwrap().parse().unwrap();
    let mut idle: Vec<_> = (0..300).map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    for stranger in idle.iter_mut().skip(1).step_by(2) {
        let _ = std::io::Write::write_all(stranger, b"GET / HTTP/1.1\r\nHost: ");
    }
    let start = std::time::Instant::now();
    let answer = provider.order(&format!("browse {page}"));
    assert!(answer.starts_with("200 ") && answer.contains("apiece has the answer."), "{answer}");
    let run = waiting.end().ended(0);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}: {}", start.elapsed(), run.stdout);
    drop(idle);
}

/// Of what an issuer says nothing is shown that is a secret: not a code, not what proves that it is ours, not the client's secret.
#[test]
fn an_issuer_that_repeats_what_it_was_told_is_not_quoted_with_it() {
    let Some((server, provider)) = start("{\"client_secret\": \"s3cret-of-the-client\"}") else { return };
    provider.order("set metadata {\"token_endpoint_auth_methods_supported\": [\"client_secret_post\"]}");
    let home = home(&server, &provider, "");
    let secret = home.write("client", "s3cret-of-the-client\n");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    configure(&home, &server, &provider, "", "tokens = \"file\"\nclient_secret_file = \"~/client\"");
    let says_nothing = |run: &Run, form: &str| {
        let told = provider.told();
        let repeated: Vec<&str> =
            told["repeated"].as_array().unwrap().iter().filter_map(|said| said.as_str()).collect();
        assert!(repeated.len() >= 4, "{told}");
        for said in repeated {
            assert!(!run.stdout.contains(said) && !run.stderr.contains(said), "{form}: {said} in {run:?}");
        }
        let left = if form == "plain" { "not … or …" } else { "(its words are not shown: they repeat" };
        assert!(run.stderr.contains(left) && run.stderr.contains("(invalid_grant)"), "{form}: {}", run.stderr);
    };
    for form in ["plain", "upper", "reversed", "hex", "spaced", "percent", "base64"] {
        provider.order(&format!("set repeat \"{form}\""));
        let mut waiting = Waiting::start(&home, &["--device"]);
        waiting.shown();
        says_nothing(&waiting.end().ended(77), form);
        let mut waiting = Waiting::start(&home, &["--no-browser"]);
        let page = waiting.shown();
        provider.order(&format!("browse {page}"));
        says_nothing(&waiting.end().ended(77), form);
    }
    // In the browser's answer
    let mut waiting = Waiting::start(&home, &["--no-browser"]);
    let page = waiting.shown();
    let state = page.split("state=").nth(1).unwrap().split('&').next().unwrap().to_uppercase();
    provider.order(&format!("tamper {page} code= error=access_denied error_description=not-{state}"));
    let run = waiting.end().ended(77);
    let complaint = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(!complaint.contains(&state) && complaint.contains("(its words are not shown:"), "{complaint}");
}

/// Two accounts may be one user's at one server, with a client each: what one has is neither the other's nor forgotten with it.
#[test]
fn each_account_has_its_own_login() {
    let Some((server, provider)) = start("{}") else { return };
    let home = home(&server, &provider, "");
    let file = home.path().join(".config/apiece/config.toml");
    let work = std::fs::read_to_string(&file).unwrap();
    let other = work.replace("[account.work", "[account.other").replace("apiece-test", "another-client");
    std::fs::write(&file, format!("{work}\n{other}")).unwrap();
    log_in(&home, &provider).ended(0);
    // Nobody has logged in with the other one, and nothing is there to be forgotten.
    let run = home.run(&["send", "c", "--account", "other", "--confirm", "2"]).ended(77);
    assert!(run.stderr.contains("nobody has logged in with the account \"other\" yet"), "{}", run.stderr);
    let run = home.run(&["logout", "other"]).ended(0);
    assert_eq!(run.stdout, format!("There was no login of {USER} at localhost.\n"));
    send(&home, 2, &[]).ended(0);
    // Which one is meant is the argument of these commands.
    for command in ["login", "logout"] {
        let run = home.run(&[command]).ended(78);
        let said = "error: several accounts are configured (other, work) and none is named\n";
        assert_eq!(run.stderr, format!("{said}  help: say which: apiece {command} NAME\n"));
    }
}
