//! When something did go wrong, the report has what a regulator asks, in the order of the form, and says what only a person can
//! answer; that it was made, and a decision not to report it, are in the log.

use sha2::{Digest as _, Sha256};

use crate::{
    a_report_answers::{as_json, eventful, report, server},
    support::{Home, people},
};

#[test]
fn an_incident_is_told_in_the_order_of_the_form() {
    let server = server();
    let home = Home::new();
    let id = eventful(&home, &server);
    let now = jiff::Timestamp::now();
    let discovered = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let first = report(&home, &id, &["--incident", "--discovered", &discovered, "-o", "first.txt"]).ended(0);
    let text = std::fs::read_to_string(home.path().join("first.txt")).unwrap();
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(first.stderr.contains(&hash) && first.stdout.is_empty(), "{}", first.stderr);
    let mut rest = text.as_str();
    for heading in [
        "1. This report",
        "2. What happened",
        "3. When",
        "4. Categories of personal data",
        "5. How many people",
        "6. Whose data it is",
        "7. Consequences",
        "8. Measures that were in place before",
        "9. Staff",
        "10. Containment",
        "11. Telling the people concerned",
        "12. Others who were told",
        "13. Decision",
    ] {
        let (_, after) = rest.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}\n{text}"));
        let part = after.split("\n─").next().unwrap();
        assert!(part.contains("  [ ] "), "{heading} asks nothing of a person:\n{part}");
        rest = after;
    }
    let end = (now + jiff::SignedDuration::from_hours(72)).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    for said in [
        "the first about this campaign",
        "At least      8 people: the server said that it took the message over",
        "In doubt      2 people: there is no answer",
        "At most       10 people: all of these together",
        "Refused       2 people",
        "Not tried     0 people",
        "2 messages of which only the server knows",
        &format!("72 hours end  {end}"),
        "At this time  71 h 5",
        "Whose data    victims",
        "nothing is left to be sent",
        "no campaign was made from what became of this one",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    // A follow-up names the one before, and a campaign to those who were reached.
    home.write(
        "d/t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"Sorry\"\n+++\nDear {{name}}, we are sorry.\n",
    );
    home.write(&format!("d/outbox:{id}?state=sent"), "name,email\nAda,ada@list.example\n");
    home.write("d/campaign.toml", format!("template = \"t.txt.hbs\"\nrecipients = \"outbox:{id}?state=sent\"\n"));
    home.run(&["prepare", "d"]).ended(0);
    let sorry = home.last_campaign();
    let second = as_json(&report(&home, &id, &["--incident", "--format", "json"]).ended(0));
    let incident = &second["incident"];
    assert!(incident["follow_up"] == true && incident["previous"][0]["sha256"] == hash.as_str(), "{incident}");
    assert_eq!((&incident["people_at_least"], &incident["people_at_most"]), (&8.into(), &10.into()));
    assert_eq!(incident["followed_by"][0]["id"], sorry.as_str());
    // What was said once is known.
    assert_eq!(incident["discovered"], discovered);
    assert!(
        incident["minutes_left"].as_u64().unwrap() / 60 == 71
            && incident["for_a_person"].as_array().unwrap().len() == 13,
        "{incident}"
    );
    // The decision that it is not reported is in the log for good.
    let reason = "a date was wrong";
    let decided = report(&home, &id, &["--incident", "--not-reported", "--reason", reason]).ended(0).stdout;
    assert!(decided.contains(reason) && decided.contains("In the log    not reported, "), "{decided}");
    let log = as_json(&report(&home, &id, &["--format", "json"]).ended(0))["log"].clone();
    let what: Vec<&str> = log.as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(what[what.len() - 4..], ["reported", "reported", "not-reported", "reported"]);
    home.run(&["verify", &id]).ended(0);
}

#[test]
fn a_time_of_discovery_that_cannot_be_is_refused() {
    let home = Home::new();
    home.campaign(&people(2));
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    for (time, said) in [
        ("soon", "a time is wanted"),
        ("2999-01-01 10:00", "is still to come"),
        ("2001-01-01T10:00:00Z", "is before it was prepared"),
    ] {
        let run = report(&home, &id, &["--incident", "--discovered", time, "-o", "r.txt"]).ended(64);
        assert!(run.stderr.contains(said) && !home.path().join("r.txt").exists(), "{}", run.stderr);
    }
    for more in [
        &["--discovered", "2026-01-01 10:00"][..],
        &["--incident", "--not-reported"],
        &["--incident", "--reason", "x"],
        &["--incident", "--not-reported", "--reason", " "],
        &["--incident", "--format", "csv"],
        &["--incident", "--find", "a@b.example"],
        &["--find", "a@b.example", "--format", "html"],
    ] {
        report(&home, &id, more).ended(64);
    }
    assert!(!home.run(&["status", &id]).ended(0).stdout.contains("report"), "nothing was written down");
}

#[test]
fn a_time_of_discovery_that_changes_is_told() {
    let server = server();
    let home = Home::new();
    let id = eventful(&home, &server);
    let now = jiff::Timestamp::now();
    let at = |seconds: i64| (now - jiff::SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let refused = report(&home, &id, &["--incident", "--discovered", &at(120)]).ended(64).stderr;
    assert!(refused.contains("is before the first message was begun, "), "{refused}");
    let (first, then) = (at(10), at(0));
    report(&home, &id, &["--incident", "--discovered", &first]).ended(0);
    let same = report(&home, &id, &["--incident", "--discovered", &first]).ended(0).stdout;
    assert!(!same.contains("ANOTHER TIME"), "{same}");
    let other = report(&home, &id, &["--incident", "--discovered", &then]).ended(0).stdout;
    let said = first.replace('T', " ").replace('Z', " UTC");
    assert!(other.contains(&format!("Said before   ANOTHER TIME, {said}: reported, ")), "{other}");
    let incident = &as_json(&report(&home, &id, &["--incident", "--format", "json"]).ended(0))["incident"];
    assert_eq!(
        (&incident["discovered"], &incident["discovered_otherwise"][0]["discovered"]),
        (&then.into(), &first.into())
    );
}

#[test]
fn a_reason_names_nobody() {
    let server = server();
    let home = Home::new();
    let id = eventful(&home, &server);
    let because = |reason: &str| report(&home, &id, &["--incident", "--not-reported", "--reason", reason]);
    for (reason, said) in [
        ("sent to somebody@else.example alone", "names nobody; this has an address in it"),
        ("cattermolex did not open it", "names nobody; this names the recipient in row 3"),
        ("Zephyrina Vexley did not open it", "names nobody; this names the recipient in row 2"),
        ("it was for VEXLEY, WILFREDA", "names nobody; this names the recipient in row 4"),
        ("a\u{1b}[2Jb", "U+001B is a control character"),
    ] {
        let refused = because(reason).ended(64).stderr;
        assert!(refused.contains(said), "{reason}: {refused}");
        assert!(!refused.contains("Vexley") && !refused.contains("cattermolex"), "{refused}");
    }
    let log = as_json(&report(&home, &id, &["--format", "json"]).ended(0))["log"].to_string();
    assert!(!log.contains("not-reported"), "{log}");
    because("a date was wrong @ the top\nof all letters, at one of 12").ended(0);
}
