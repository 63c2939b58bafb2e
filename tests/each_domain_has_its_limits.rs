//! Rates and connections for the recipients of a domain, which nobody else waits for.

use std::time::{Duration, Instant};

use crate::support::{
    Home, Run, account,
    scripted::{Act, Scripted, Stage},
};

const SLOW: &str = "<slow";

/// A list of people at `slow.example` and at `other.example`, in turn as long as there are both.
fn list(slow: usize, other: usize) -> String {
    let mut rows = String::from("name,email\n");
    for nth in 0..slow.max(other) {
        if nth < slow {
            rows += &format!("S,slow{nth}@slow.example\n");
        }
        if nth < other {
            rows += &format!("O,other{nth}@other.example\n");
        }
    }
    rows
}

fn home(server: &Scripted, list: &str, account_lines: &str, campaign_lines: &str) -> Home {
    let home = Home::new();
    home.config(&account(server.port(), server.ca_file(), "none", account_lines));
    home.campaign(list);
    home.write("c/campaign.toml", format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n{campaign_lines}"));
    home
}

/// When recipients whose address begins so were asked about.
fn times(server: &Scripted, start: &str) -> Vec<Instant> {
    let mut times: Vec<Instant> =
        server.lines().iter().filter(|line| line.text.contains(&format!("TO:{start}"))).map(|line| line.at).collect();
    times.sort();
    times
}

/// The most within a second.
fn fullest(times: &[Instant]) -> usize {
    let within = |first: &Instant| {
        let is_within = |time: &&Instant| **time >= *first && **time < *first + Duration::from_secs(1);
        times.iter().filter(is_within).count()
    };
    times.iter().map(within).max().unwrap_or_default()
}

#[test]
fn a_slow_domain_is_sent_to_at_its_rate_and_the_others_do_not_wait() {
    for (account_lines, campaign_lines) in [
        ("connections = 3\n[account.work.domains.\"slow.example\"]\nrate = \"3/s\"", ""),
        ("connections = 3", "[domains.\"SLOW.example\"]\nrate = [\"3/s\", \"100/min\"]\n"),
    ] {
        let server = Scripted::builder().start();
        let home = home(&server, &list(8, 30), account_lines, campaign_lines);
        home.run(&["send", "c", "--account", "work", "--no-wait", "--confirm", "38"]).ended(0);
        let (slow, other) = (times(&server, SLOW), times(&server, "<other"));
        assert_eq!((slow.len(), other.len(), server.accepted().len()), (8, 30, 38));
        assert!(fullest(&slow) <= 3, "{}", fullest(&slow));
        assert!(slow[7] - slow[0] >= Duration::from_secs(2), "{:?}", slow[7] - slow[0]);
        assert!(slow[7] - slow[0] < Duration::from_millis(3500), "and no slower than that: {:?}", slow[7] - slow[0]);
        assert!(other[29] < slow[6], "nobody else waits");
    }
}

#[test]
fn so_many_connections_go_to_a_domain_and_no_more() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(40))).start();
    let home = home(&server, &list(9, 9), "connections = 4", "[domains.\"slow.example\"]\nconnections = 1\n");
    home.run(&["send", "c", "--account", "work", "--confirm", "18"]).ended(0);
    let mut slow: Vec<_> = server.accepted();
    assert_eq!(slow.len(), 18);
    slow.retain(|delivery| delivery.rcpt_to[0].starts_with("slow"));
    slow.sort_by_key(|delivery| delivery.at_mail);
    for pair in slow.windows(2) {
        let is_same = pair[0].connection == pair[1].connection;
        assert!(is_same || pair[1].at_mail >= pair[0].at_dot, "two at once over two connections");
    }
}

#[test]
fn runs_one_after_the_other_keep_the_rate_of_a_domain_together() {
    let server = Scripted::builder().start();
    let home = home(&server, &list(6, 0), "", "[domains.\"slow.example\"]\nrate = \"2/s\"\n");
    for rows in ["2-3", "4-5", "6-7"] {
        home.run(&["send", "c", "--account", "work", "--rows", rows, "--confirm", "2"]).ended(0);
    }
    let slow = times(&server, SLOW);
    assert_eq!(slow.len(), 6);
    assert!(fullest(&slow) <= 2, "{}", fullest(&slow));
}

#[test]
fn a_campaign_that_was_prepared_knows_its_domains() {
    let server = Scripted::builder().start();
    let home = home(&server, &list(5, 1), "", "[domains.\"slow.example\"]\nrate = \"2/s\"\n");
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    let run = home.run(&["send", &id, "--account", "work", "--format", "json", "--confirm", "6"]).ended(0);
    assert!(run.stdout.contains("\"sent\":6"), "{}", run.stdout);
    assert!(fullest(&times(&server, SLOW)) <= 2);
}

#[test]
fn somebody_who_waits_for_a_domain_is_told_and_evenly_means_evenly() {
    let server = Scripted::builder().start();
    let lines = "[send]\nspread = true\n[domains.\"slow.example\"]\nrate = \"40/min\"\n";
    let home = home(&server, &list(3, 0), "", lines);
    let run = home.run(&["send", "c", "--account", "work", "--format", "json", "--confirm", "3"]).ended(0);
    assert!(run.stdout.contains("\"event\":\"waiting\""), "{}", run.stdout);
    let slow = times(&server, SLOW);
    assert!(slow.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(1400)), "one every 1.5 s");
}

#[test]
fn what_is_put_off_at_a_slow_domain_comes_later_and_once() {
    let server = Scripted::builder()
        .on_when(|moment| match (moment.stage, moment.message) {
            (Stage::Rcpt, Some(0..3)) => Act::reply("450 4.2.0 later\r\n"),
            _ => Act::Ok,
        })
        .start();
    let home =
        home(&server, &list(4, 4), "connections = 2", "[domains.\"slow.example\"]\nrate = \"5/s\"\nconnections = 1\n");
    home.run(&["send", "c", "--account", "work", "--retry-after", "300ms", "--confirm", "8"]).ended(0);
    let mut got: Vec<String> = server.accepted().into_iter().flat_map(|delivery| delivery.rcpt_to).collect();
    got.sort();
    got.dedup();
    assert_eq!((got.len(), server.accepted().len()), (8, 8));
}

#[test]
fn what_is_no_domain_is_said_with_its_place() {
    let server = Scripted::builder().start();
    let home = home(&server, &list(1, 0), "", "[domains.\"@slow.example\"]\nrate = \"2/s\"\n[domains.ok]\nspeed = 1\n");
    let Run { stderr, .. } = home.run(&["send", "c", "--account", "work", "--confirm", "1"]).ended(65);
    assert!(
        stderr.contains("\"domains.@slow.example\": this is no domain") && stderr.contains("campaign.toml:3:"),
        "{stderr}"
    );
    assert!(stderr.contains("there is no key \"speed\" in [domains.ok]"), "{stderr}");
    let twice = "[domains.\"bücher.example\"]\nrate = \"2/s\"\n[domains.\"XN--bcher-kva.example\"]\nconnections = 1\n[domains.\"none.example\"]\n";
    home.write("c/campaign.toml", format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n{twice}"));
    let Run { stderr, .. } = home.run(&["check", "c"]).ended(65);
    assert!(stderr.contains("this domain stands here twice, once written otherwise"), "{stderr}");
    assert!(stderr.contains("this says neither rate nor connections"), "{stderr}");
}
