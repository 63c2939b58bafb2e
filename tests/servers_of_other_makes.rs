//! What Postfix gets, servers of other makes get as well: Exim, Sendmail, Dovecot's submission service, Python's aiosmtpd.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    Home, Run, json,
    other_servers::{Kept, Make, Server, USER, exim_that_takes, from_date},
    outcomes, people,
    samples::{SAMPLES, Sample},
};

/// Sends with the account of the home's config file.
fn send(home: &Home, campaign: &[&str], count: usize, secret: &str) -> Run {
    let count = count.to_string();
    let more = ["--account", "work", "--format", "json", "--confirm", &count];
    let mut command = home.command(&[&["send"], campaign, &more].concat());
    Run::of(command.env("SMTP_PASSWORD", secret).output().unwrap())
}

/// How each connection logged in.
fn logins(run: &Run) -> BTreeSet<String> {
    let connected = json(run).into_iter().filter(|event| event["event"] == "connected");
    connected.map(|event| event["auth"].as_str().unwrap_or("not at all").to_owned()).collect()
}

/// The message to each address as `preview` shows it, without its first header: the time is not that of the sending.
fn previewed(home: &Home, sample: &Sample) -> BTreeMap<String, String> {
    home.run(&["preview", &sample.path(), "--eml", "shown"]).ended(0);
    let files = std::fs::read_dir(home.path().join("shown")).unwrap().map(|file| file.unwrap().path());
    let mut rows: Vec<_> = files.collect();
    rows.sort();
    let messages = rows.iter().map(|file| without_date(&std::fs::read(file).unwrap()));
    sample.people().into_iter().map(|person| person.address).zip(messages).collect()
}

fn without_date(message: &[u8]) -> String {
    let text = String::from_utf8(from_date(message)).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

/// What each address got; one recipient in each transaction, and one message for each.
#[track_caller]
fn one_each(kept: &[Kept]) -> BTreeMap<String, String> {
    let mut got = BTreeMap::new();
    for one in kept {
        let [recipient] = one.recipients.as_slice() else { panic!("several recipients: {:?}", one.recipients) };
        assert!(got.insert(recipient.clone(), without_date(&one.sent)).is_none(), "{recipient} got it twice");
    }
    got
}

/// Over both ways to TLS. `more` are further lines of the account.
fn everybody_gets_what_was_shown(make: Make, more: &str) {
    for way in [0, 1] {
        let Some(server) = make.start() else { return };
        gets_every_sample(&server, server.ways()[way], more);
        assert!(!server.log().contains("protocol error") && !server.log().contains("Panic"), "{}", server.log());
    }
}

fn gets_every_sample(server: &Server, way: (&'static str, u16), more: &str) {
    let mut before = BTreeSet::new();
    for sample in &SAMPLES {
        let home = Home::new();
        home.config(&server.account(way, &format!("connections = 3\n{more}")));
        let shown = previewed(&home, sample);
        let run = send(&home, &[&sample.path()], shown.len(), server.password()).ended(0);
        assert!(!logins(&run).contains("not at all"), "{}", run.stdout);
        let mut kept = server.wait_for(before.len() + shown.len());
        kept.retain(|one| !before.contains(&one.sent));
        assert_eq!(one_each(&kept), shown, "{:?}, {}", server.make, sample.name);
        before.extend(kept.into_iter().map(|one| one.sent));
    }
}

#[test]
fn exim_gets_every_sample_as_it_was_shown() {
    everybody_gets_what_was_shown(Make::Exim, "");
}

#[test]
fn sendmail_gets_every_sample_as_it_was_shown() {
    everybody_gets_what_was_shown(Make::Sendmail, "");
}

#[test]
fn aiosmtpd_gets_every_sample_as_it_was_shown() {
    everybody_gets_what_was_shown(Make::Aiosmtpd, "");
}

/// Dovecot 2.3 cannot take the envelope of the next message before it has answered the content of this one: MAIL alone is
/// refused with 503, and behind RCPT its process ends, so that each message is in doubt.
#[test]
fn dovecot_gets_every_sample_as_it_was_shown() {
    everybody_gets_what_was_shown(Make::Dovecot, "");
}

#[test]
fn dovecot_gets_every_sample_step_by_step() {
    everybody_gets_what_was_shown(Make::Dovecot, "pipelining = false\n");
}

/// Every way to log in that the server has, and what the program calls the one that it takes by itself.
fn every_login_works(make: Make, mechanisms: &[&str], own_choice: &str) {
    let Some(server) = make.start() else { return };
    let mut sent = 0;
    for mechanism in mechanisms.iter().map(Some).chain([None]) {
        for way in server.ways() {
            let home = Home::new();
            let auth =
                mechanism.map_or(String::new(), |mechanism| format!("auth = \"{}\"\n", mechanism.to_lowercase()));
            home.config(&server.account(way, &auth));
            home.campaign(&people(1));
            let takes_token = mechanism.is_some_and(|mechanism| mechanism.contains("OAUTH"));
            let secret = if takes_token { server.token(USER) } else { server.password().to_owned() };
            let run = send(&home, &["c"], 1, &secret).ended(0);
            let expected = *mechanism.unwrap_or(&own_choice);
            assert_eq!(logins(&run), BTreeSet::from([expected.to_owned()]), "{make:?} {way:?}");
            sent += 1;
        }
    }
    assert_eq!(server.wait_for(sent).len(), sent);
}

#[test]
fn exim_lets_in_who_has_the_password() {
    every_login_works(Make::Exim, &["PLAIN", "LOGIN"], "PLAIN");
}

#[test]
fn dovecot_lets_in_who_has_the_password_or_a_token() {
    every_login_works(Make::Dovecot, &["SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"], "SCRAM-SHA-256");
}

#[test]
fn sendmail_lets_in_who_has_the_password() {
    every_login_works(Make::Sendmail, &["SCRAM-SHA-256", "PLAIN", "LOGIN"], "SCRAM-SHA-256");
}

#[test]
fn aiosmtpd_lets_in_who_has_the_password() {
    every_login_works(Make::Aiosmtpd, &["PLAIN", "LOGIN"], "PLAIN");
}

#[test]
fn no_server_lets_in_who_has_not() {
    for make in Make::ALL {
        let Some(server) = make.start() else { continue };
        let more: &[&str] = match make {
            Make::Dovecot => &["scram-sha-256", "oauthbearer", "xoauth2"],
            Make::Sendmail => &["scram-sha-256"],
            Make::Exim | Make::Aiosmtpd => &[],
        };
        for auth in [&["plain", "login"], more].concat() {
            let home = Home::new();
            home.config(&server.account(server.ways()[0], &format!("auth = \"{auth}\"\n")));
            home.campaign(&people(2));
            let wrong = if auth.contains("oauth") {
                server.token("somebody.else@police.example") + "x"
            } else {
                "wrong".into()
            };
            let run = send(&home, &["c"], 2, &wrong).ended(77);
            let summary = json(&run).pop().unwrap();
            let stopped = summary["stopped"].as_str().unwrap();
            assert!(stopped.starts_with("the server refused the login: 535"), "{make:?} {auth}: {stopped}");
            assert!(summary["queued"] == 2 && !run.stdout.contains(&wrong), "{}", run.stdout);
        }
        assert!(server.wait_for(0).is_empty());
    }
}

#[test]
fn addresses_in_other_scripts_reach_whoever_takes_them() {
    for make in Make::ALL {
        let Some(server) = make.start() else { continue };
        let home = Home::new();
        home.config(&server.account(server.ways()[0], ""));
        home.campaign("name,email\nJörg,jörg@one.example\nAda,ada@two.example\n用户,用户@例子.example\n");
        // Dovecot 2.3 does not offer SMTPUTF8, nor does Debian's Sendmail.
        let is_offered = matches!(make, Make::Exim | Make::Aiosmtpd);
        let run = send(&home, &["c"], 3, server.password()).ended(i32::from(!is_offered));
        let outcomes = outcomes(&run);
        let expected = [(2, is_offered), (3, true), (4, is_offered)]
            .map(|(row, is_sent)| (row, if is_sent { "sent" } else { "failed" }.to_owned()));
        assert_eq!(outcomes, BTreeMap::from(expected), "{make:?}");
        let got = one_each(&server.wait_for(if is_offered { 3 } else { 1 }));
        let addresses: BTreeSet<&str> = got.keys().map(String::as_str).collect();
        let all = ["jörg@one.example", "ada@two.example", "用户@xn--fsqu00a.example"];
        assert_eq!(addresses, all.into_iter().filter(|address| is_offered || address.is_ascii()).collect(), "{make:?}");
        for (address, text) in &got {
            assert!(text.contains(address.as_str()), "{text}");
        }
    }
}

/// What became of a run to so many people through an Exim that takes 4 messages over a connection; everybody got theirs.
fn sent_four_at_a_time(count: usize, more: &str, flags: &[&str]) -> Option<Run> {
    let server = exim_that_takes(4)?;
    let home = Home::new();
    home.config(&server.account(server.ways()[0], &format!("connections = 2\n{more}")));
    home.campaign(&people(count));
    let run = send(&home, &[&["c"], flags].concat(), count, server.password()).ended(0);
    assert_eq!(one_each(&server.wait_for(count)).len(), count);
    assert!(json(&run).iter().filter(|event| event["event"] == "connected").count() >= count / 4, "{}", run.stdout);
    Some(run)
}

#[test]
fn exim_gets_everything_though_it_takes_a_few_messages_over_each_connection() {
    let Some(run) = sent_four_at_a_time(40, "messages_per_connection = 4\n", &[]) else { return };
    assert!(!run.stdout.contains("connection_lost") && !run.stdout.contains("slowed_down"), "{}", run.stdout);
}

/// A new connection is all that Exim asks for (`smtp_accept_max_per_connection`, 1000 by default), not fewer of them, nor
/// a pause that is longer each time.
#[test]
fn exim_is_not_slowed_down_for_when_it_has_had_enough_of_a_connection() {
    let Some(run) = sent_four_at_a_time(20, "", &["--retry-after", "1s"]) else { return };
    assert!(!run.stdout.contains("\"slowed_down\""), "{}", run.stdout);
}
