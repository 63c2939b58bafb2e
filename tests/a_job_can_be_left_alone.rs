//! A job that nobody looks at: it asks nothing, what is surprising is refused, and it may be started as often as one likes.

use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
};

use crate::support::{
    Home, Run, people,
    postfix::Postfix,
    scripted::{Act, Scripted, Stage},
};

const TEMPLATE: &str = "+++\nfrom = \"u@police.example\"\nsubject = \"For {{name}}\"\n+++\nDear {{name}},\nhello.\n";

fn got(server: &Scripted) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for one in server.deliveries() {
        *times.entry(one.rcpt_to[0].clone()).or_default() += 1;
    }
    times
}

/// Starts so many at once, and gives the exit codes, each with how often.
fn all_at_once(count: usize, start: impl Fn() -> Child) -> BTreeMap<i32, usize> {
    let children: Vec<Child> = (0..count).map(|_| start()).collect();
    let mut codes = BTreeMap::new();
    for child in children {
        let run = Run::of(child.wait_with_output().unwrap());
        let documented = [0, 75, 77].contains(&run.code);
        assert!(documented, "{}\n{}\n{}", run.code, run.stdout, run.stderr);
        *codes.entry(run.code).or_default() += 1;
    }
    codes
}

fn start(home: &Home, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let mut command = home.command(arguments);
    command.envs(environment.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn two_hundred_starts_at_once_send_once() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(std::time::Duration::from_millis(20))).start();
    let home = Home::of_a_job(&server, 30, "recurring = true\noccurrence = \"{{date}}\"");
    let codes = all_at_once(200, || start(&home, &["send", "c", "--confirm", "30", "--quiet"], &[]));
    assert!(codes[&0] >= 1, "{codes:?}");
    assert!(!codes.contains_key(&77), "{codes:?}");
    let got = got(&server);
    assert_eq!((got.len(), got.values().max()), (30, Some(&1)), "{codes:?}");
    // And once more, when all is over.
    let run = home.run(&["send", "c", "--confirm", "30", "--quiet"]).ended(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    assert_eq!(server.deliveries().len(), 30);
}

#[test]
fn nor_do_they_through_a_real_server() {
    let Some(postfix) = Postfix::start() else { return };
    let home = Home::new();
    let login = format!("username = \"{}\"\npassword_env = \"P\"", postfix.user());
    home.config(&crate::support::account(postfix.smtps_port(), postfix.ca_file(), "implicit", &login));
    home.campaign(&people(20));
    let count = if std::env::var_os("APIECE_LONG").is_some() { 200 } else { 40 };
    let codes = all_at_once(count, || start(&home, &["send", "c", "--confirm", "20"], &[("P", postfix.password())]));
    assert!(codes[&0] >= 1, "{codes:?}");
    let delivered = postfix.wait_for(20);
    let mut to: Vec<&str> = delivered.iter().map(|one| one.mailbox.as_str()).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!((to.len(), delivered.len()), (20, 20), "{codes:?}");
}

#[test]
fn too_many_or_not_as_many_as_expected_is_refused() {
    let server = Scripted::builder().start();
    let home = Home::of_a_job(&server, 12, "[send]\nmax_recipients = 11");
    let run = home.run(&["send", "c", "--confirm", "12"]).ended(77);
    assert!(run.stderr.contains("there are 12 recipients, and at most 11 are allowed"), "{}", run.stderr);
    home.run(&["prepare", "c"]).ended(77);
    let run = home.run(&["send", "c", "--max-recipients", "12", "--expect-between", "13..20"]).ended(77);
    assert!(run.stderr.contains("there are 12 recipients, and 13..20 are expected"), "{}", run.stderr);
    assert!(!run.stderr.contains("@"), "{}", run.stderr);
    // Without a terminal nobody is asked.
    let run = home.run(&["send", "c", "--max-recipients", "12"]).ended(77);
    assert!(run.stderr.contains("there is no terminal"), "{}", run.stderr);
    assert!(server.connections() == 0);
    // Whom it is sent to counts, not who else is on the list.
    home.run(&["send", "c", "--rows", "2-4", "--max-recipients", "2", "--confirm", "3"]).ended(77);
    home.run(&["send", "c", "--rows", "2-4", "--max-recipients", "3", "--expect-between", "4..20"]).ended(77);
    home.run(&["send", "c", "--rows", "2-4", "--max-recipients", "3", "--expect-between", "3..3"]).ended(0);
    home.run(&["send", "c", "--max-recipients", "12", "--expect-between", "10..20"]).ended(0);
    assert_eq!(server.accepted().len(), 12);
    let log = home.run(&["status", &home.last_campaign()]).ended(0).stdout;
    assert!(log.contains("--expect-between"), "{log}");
}

#[test]
fn a_surprising_change_of_size_is_refused() {
    let server = Scripted::builder().start();
    let home = Home::of_a_job(&server, 10, "[send]\nmax_change = \"20%\"");
    // There is nothing to compare the first with.
    home.run(&["send", "c", "--confirm", "10"]).ended(0);
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"Second\"\n+++\nDear {{name}}, again.\n");
    for count in [7, 13, 100] {
        home.write("c/people.csv", people(count));
        let run = home.run(&["send", "c", "--confirm", &count.to_string()]).ended(77);
        let said = format!("there are {count} recipients, and there were 10 at the last run");
        assert!(run.stderr.contains(&said) && run.stderr.contains("a change of more than 20%"), "{}", run.stderr);
        assert!(!run.stderr.contains("@"), "{}", run.stderr);
    }
    // What was refused is not what the next one is compared with.
    home.write("c/people.csv", people(12));
    home.run(&["send", "c", "--confirm", "12"]).ended(0);
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"Third\"\n+++\nDear {{name}}, again.\n");
    home.write("c/people.csv", people(14));
    home.run(&["prepare", "c"]).ended(0);
    home.write("c/people.csv", people(30));
    home.run(&["prepare", "c", "--max-change", "200%"]).ended(0);
    assert_eq!(server.accepted().len(), 22);
}

#[test]
fn the_same_list_again_is_what_one_says_it_is() {
    let server = Scripted::builder().start();
    let home = Home::of_a_job(&server, 4, "[send]\nif_unchanged = \"refuse\"");
    home.run(&["send", "c", "--confirm", "4"]).ended(0);
    let new = |nth: usize| {
        let front = format!("+++\nfrom = \"u@police.example\"\nsubject = \"{nth}\"\n+++\n");
        home.write("c/t.txt.hbs", front + "Dear {{name}}, news.\n");
    };
    new(2);
    let run = home.run(&["send", "c", "--confirm", "4"]).ended(77);
    assert!(run.stderr.contains("the list of 4 recipients is the very same as at the last run"), "{}", run.stderr);
    let run = home.run(&["send", "c", "--confirm", "4", "--if-unchanged", "finish"]).ended(0);
    assert!(run.stderr.contains("nothing to do: the list of 4 recipients is the very same"), "{}", run.stderr);
    let run = home.run(&["send", "c", "--confirm", "4", "--if-unchanged", "finish", "--quiet"]).ended(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    assert_eq!(server.accepted().len(), 4);
    home.run(&["send", "c", "--confirm", "4", "--if-unchanged", "send"]).ended(0);
    assert_eq!(server.accepted().len(), 8);
    // A run that did not come to its end is not taken for one that did.
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"3\"\n+++\nDear {{name}}, more.\n");
    home.run(&["send", "c", "--rows", "2-3", "--confirm", "2", "--if-unchanged", "send"]).ended(0);
    new(4);
    let run = home.run(&["send", "c", "--confirm", "4", "--if-unchanged", "finish"]).ended(77);
    assert!(run.stderr.contains("and that one did not come to its end; nothing was sent"), "{}", run.stderr);
    assert_eq!(server.accepted().len(), 10);
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"3\"\n+++\nDear {{name}}, more.\n");
    home.run(&["send", "c", "--confirm", "2", "--if-unchanged", "send"]).ended(0);
    new(2);
    // Exactly the same once more is refused, or there is nothing to do.
    home.run(&["send", "c", "--confirm", "4"]).ended(77);
    home.run(&["send", "c", "--confirm", "4", "--if-unchanged", "send"]).ended(77);
    let run = home.run(&["send", "c", "--confirm", "4", "--if-unchanged", "finish"]).ended(0);
    assert!(run.stderr.contains("has nobody left to send to: 4 of 4 sent before"), "{}", run.stderr);
    assert_eq!(server.accepted().len(), 12);
    home.write("c/people.csv", people(5));
    home.run(&["send", "c", "--confirm", "5", "--rows", "6"]).ended(77);
    home.run(&["send", "c", "--confirm", "1", "--rows", "6"]).ended(0);
}

#[test]
fn a_list_of_nobody_is_refused_or_nothing_to_do() {
    let server = Scripted::builder().start();
    let home = Home::of_a_job(&server, 0, "");
    home.run(&["send", "c", "--confirm", "0"]).ended(65);
    home.run(&["send", "c", "--confirm", "0", "--if-empty", "refuse"]).ended(65);
    for arguments in [&["send", "c", "--expect-between", "0..9"][..], &["prepare", "c"]] {
        let run = home.run(&[arguments, &["--if-empty", "finish"]].concat()).ended(0);
        assert_eq!((run.stdout.as_str(), run.said()), ("", "nothing to do: nobody is on the list\n"));
        let run = home.run(&[arguments, &["--if-empty", "finish", "--quiet"]].concat()).ended(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    }
    // A file with nothing in it is none: whatever writes it broke off.
    home.write("c/people.csv", "");
    home.run(&["send", "c", "--expect-between", "0..9", "--if-empty", "finish"]).ended(65);
    // Nor is there nothing to do where something else is wrong.
    home.write("c/people.csv", "name,email\n");
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{nme}}\n");
    home.write("c/people.csv", "name,email\n,\n\n");
    assert_ne!(home.run(&["send", "c", "--expect-between", "0..1", "--if-empty", "finish"]).code, 77);
}

#[test]
fn whoever_says_how_many_there_are_did_not_mean_nobody() {
    let server = Scripted::builder().start();
    let home = Home::of_a_job(&server, 0, "[send]\nif_empty = \"finish\"\nif_unchanged = \"finish\"");
    for (arguments, said) in [
        (&["send", "c", "--expect-between", "10..20"][..], "there are 0 recipients, and 10..20 are expected"),
        (&["send", "c", "--confirm", "12"], "--confirm says 12, and the number of recipients is 0"),
        (&["prepare", "c", "--expect-between", "1..20"], "there are 0 recipients, and 1..20 are expected"),
    ] {
        let run = home.run(arguments).ended(77);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    home.run(&["send", "c", "--confirm", "0"]).ended(0);
    home.run(&["send", "c", "--expect-between", "0..20"]).ended(0);
    // Nor the list of the last run, if that was for others.
    home.write("c/people.csv", people(3));
    home.run(&["send", "c", "--confirm", "3"]).ended(0);
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{name}}\n");
    for number in ["2", "4"] {
        let run = home.run(&["send", "c", "--confirm", number]).ended(77);
        assert!(run.stderr.contains(&format!("--confirm says {number}, and the number")), "{}", run.stderr);
    }
    home.run(&["send", "c", "--confirm", "3"]).ended(0);
    assert_eq!(server.deliveries().len(), 3);
    // Nor where nobody is left, since all have it.
    home.settings("recurring = true\noccurrence = \"x\"");
    for (number, code) in [("3", 0), ("3", 0), ("4", 77)] {
        home.run(&["send", "c", "--confirm", number]).ended(code);
    }
    assert_eq!(server.deliveries().len(), 6);
}

#[test]
fn a_job_is_not_compared_with_another_one_of_its_name() {
    let server = Scripted::builder().start();
    let home = Home::at_relay(&server);
    for place in ["a", "b"] {
        home.write(&format!("{place}/job/t.txt.hbs"), TEMPLATE);
        home.write(&format!("{place}/job/people.csv"), people(3));
        let settings = "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\naccount = \"work\"\n";
        home.write(&format!("{place}/job/campaign.toml"), settings);
    }
    let send = |place: &str, more: &[&str]| {
        home.run(&[&["send", place, "--confirm", "3", "--if-unchanged", "finish"], more].concat())
    };
    send("a/job", &[]).ended(0);
    home.write("b/job/t.txt.hbs", TEMPLATE.replace("hello", "good bye"));
    let run = send("b/job", &[]).ended(77);
    for said in ["b/job/campaign.toml", "a/job/campaign.toml", "name = \"…\"", "--moved"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let named = "name = \"other job\"\ntemplate = \"t.txt.hbs\"\nrecipients = \"people.csv\"\naccount = \"work\"\n";
    home.write("b/job/campaign.toml", named);
    send("b/job", &[]).ended(0);
    assert_eq!(server.deliveries().len(), 6);
    let status = home.run(&["status"]).ended(0).stdout;
    assert!(status.contains("other job"), "{status}");
    // It was moved, and is the same.
    std::fs::rename(home.path().join("a"), home.path().join("z")).unwrap();
    home.write("z/job/t.txt.hbs", TEMPLATE.replace("hello", "welcome"));
    send("z/job", &[]).ended(77);
    let run = send("z/job", &["--moved"]).ended(0);
    assert!(run.stderr.contains("nothing to do: the list of 3 recipients is the very same"), "{}", run.stderr);
    send("z/job", &[]).ended(0);
    assert_eq!(server.deliveries().len(), 6);
}

#[test]
fn no_password_is_asked_for_without_a_terminal() {
    let server = Scripted::builder().tls(crate::support::scripted::Tls::Implicit).auth("ann", "pw").start();
    let home = Home::new();
    home.config(&crate::support::account(server.port(), server.ca_file(), "implicit", "username = \"ann\""));
    home.campaign(&people(2));
    let run = home.run(&["send", "c", "--confirm", "2"]).ended(77);
    assert!(run.stderr.contains("there is no terminal to ask at"), "{}", run.stderr);
    assert!(server.accepted().is_empty());
}
