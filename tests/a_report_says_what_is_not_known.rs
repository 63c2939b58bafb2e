//! What only the server knows, or only a person said, a report tells apart from what the record knows.

use std::{
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::{
    a_report_answers::{as_json, report},
    support::{
        Home, people,
        scripted::{Act, Moment, Scripted, Stage},
    },
};

/// Loses the connection before it answers to rows 2 to 4, once each; puts row 5 off after the content, and refuses row 7.
fn server() -> Scripted {
    let lost = AtomicUsize::new(0);
    let rule = move |moment: &Moment<'_>| {
        let is = |row: usize| moment.rcpt_to.iter().any(|to| *to == format!("p{row}@list.example"));
        match moment.stage {
            Stage::Rcpt if moment.line.contains("p7@") => Act::reply("550 5.1.1 no such user\r\n"),
            Stage::Dot if is(5) => Act::reply("451 4.3.0 later\r\n"),
            Stage::Dot if (2..=4).any(is) && lost.fetch_add(1, Ordering::SeqCst) < 3 => Act::Drop,
            _ => Act::Ok,
        }
    };
    Scripted::builder().on_when(rule).start()
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn who_may_have_it_is_told_with_whose_word_that_is() {
    let server = server();
    let home = Home::new();
    home.config(&crate::support::account(server.port(), server.ca_file(), "none", "connections = 1"));
    home.campaign(&people(6));
    let send = ["send", "c", "--account", "work", "--confirm", "6"];
    let mut child = home.command(&send).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_refused = |server: &Scripted| server.lines().iter().any(|line| line.text.contains("p7@list.example"));
    assert!(server.wait_until(Duration::from_secs(60), is_refused));
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
    let id = home.last_campaign();
    // Nobody knows when a run ended that was killed.
    let text = flat(&report(&home, &id, &["--incident"]).ended(0).stdout);
    assert!(
        text.contains("Stopped not known: the log has no end of this run; the last that is known is of "),
        "{text}"
    );
    for more in [
        &["resolve", &id, "--row", "2", "--sent"][..],
        &["resolve", &id, "--row", "3-4", "--send-again"],
        &["cancel", &id, "--row", "3,5"],
    ] {
        home.run(more).ended(0);
    }
    home.run(&send).ended(1);
    let run = report(&home, &id, &["--incident"]).ended(0).stdout;
    let text = flat(&run);
    for said in [
        "At least 2 people: the server said that it took the message over",
        "Said to have 1 person: the answer was lost, and a person looked up that the server has it",
        "Said not to 1 person: the answer was lost, and a person said that the server does not have it; only the server knows",
        "At most 4 people: all of these together",
        "Refused 1 person: the server does not take it",
        "Not taken 1 person: it was tried, and the server did not take it over",
        "Not tried 0 people: nothing was begun",
    ] {
        assert!(text.contains(said), "{said}\n{run}");
    }
    assert!(!text.contains("has nothing of it") && !text.contains("no end of this run"), "{run}");
    let incident = &as_json(&report(&home, &id, &["--incident", "--format", "json"]).ended(0))["incident"];
    assert_eq!((&incident["people_at_least"], &incident["people_at_most"]), (&2.into(), &4.into()));
    assert_eq!((&incident["people"]["said_sent"], &incident["people"]["said_not_sent"]), (&1.into(), &1.into()));
    // The server may have what was sent again twice.
    let run = report(&home, &id, &[]).ended(0).stdout;
    let text = flat(&run);
    let doubt = "not known for 1 message, which was in doubt and was sent again on somebody's word";
    for claim in
        ["the server took over no message twice", "no message was begun again after the server had taken it over"]
    {
        assert!(text.contains(&format!("not known {claim}: {doubt}")), "{claim}\n{run}");
    }
    assert!(!run.contains("has nothing of it"), "{run}");
}
