//! An apology or a correction goes to exactly those who were reached: a list from the record of another campaign.

use std::collections::BTreeSet;

use crate::support::{
    Home, OUTBOX,
    scripted::{Act, Scripted, Stage, Tls},
};

const LIST: &str = "Name,Contact,Due,Phone\n\
                    Ada,ada@one.example,24.11.2026,0700 1\n\n\
                    Bo,bo@two.example,25.11.2026,0700 2\n\
                    Cy,cy@three.example,26.11.2026,0700 3\n\
                    Di,di@four.example,27.11.2026,0700 4\n\
                    Ed,ed@five.example,28.11.2026,0700 5\n";

const SETTINGS: &str = "template = \"t.txt.hbs\"\nrecipients = \"p.csv\"\naccount = \"work\"\n\
                        [recipients_options]\naddress = \"Contact\"\n\
                        [columns]\nDue = \"date %d.%m.%Y\"\n[guard]\nidentifying = [\"Phone\"]\n";

fn server() -> Scripted {
    Scripted::builder()
        .tls(Tls::Implicit)
        .auth("ann", "pw")
        .on_when(|moment| match (moment.stage, moment.line) {
            (Stage::Rcpt, line) if line.contains("<bo@") => Act::reply("550 5.1.1 no such person\r\n"),
            (Stage::Dot, _) if moment.rcpt_to.concat().contains("ed@") => Act::Drop,
            _ => Act::Ok,
        })
        .start()
}

/// A campaign of which three people got theirs, one did not, and one may have.
fn sent(server: &Scripted) -> (Home, String) {
    let home = Home::new();
    let account = crate::support::account(
        server.port(),
        server.ca_file(),
        "implicit",
        "username = \"ann\"\npassword_env = \"PW\"\nconnections = 1\n",
    );
    home.config(&account);
    home.write("c/campaign.toml", SETTINGS);
    home.write("c/p.csv", LIST);
    home.write(
        "c/t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"News\"\n+++\nDear {{name}}, by {{due}}.\n",
    );
    send(&home, &["c", "--confirm", "5"], 1);
    let id = home.last_campaign();
    (home, id)
}

#[track_caller]
fn send(home: &Home, arguments: &[&str], code: i32) -> crate::support::Run {
    let mut command = home.command(&[&["send"], arguments].concat());
    crate::support::Run::of(command.env("PW", "pw").output().unwrap()).ended(code)
}

/// A campaign to some people of another one.
fn follow(home: &Home, id: &str, states: &str) {
    let list = format!("outbox:{id}?state={states}");
    home.write(
        "sorry/campaign.toml",
        format!("template = \"t.txt.hbs\"\nrecipients = \"{list}\"\naccount = \"work\"\n"),
    );
    let template =
        "+++\nfrom = \"u@police.example\"\nsubject = \"A correction\"\n+++\nDear {{name}}, it is not by {{due}}.\n";
    home.write("sorry/t.txt.hbs", template);
}

#[test]
fn a_correction_goes_to_those_who_were_reached_and_to_nobody_else() {
    let first = server();
    let (home, id) = sent(&first);
    let reached: BTreeSet<String> = first.accepted().into_iter().flat_map(|delivery| delivery.rcpt_to).collect();
    assert_eq!(reached.len(), 3);
    follow(&home, &id, "sent");
    let checked = home.run(&["check", "sorry"]).ended(0);
    assert!(checked.stderr.contains("1 message of campaign"), "that one is in doubt is said: {}", checked.stderr);
    // The rows are those of the first list, and dates are dates still.
    let shown = home.run(&["preview", "sorry", "--row", "5"]).ended(0).stdout;
    assert!(shown.contains("to cy@three.example alone") && shown.contains("not by 26.11.2026."), "{shown}");
    assert!(home.run(&["preview", "sorry", "--row", "4"]).ended(64).stderr.contains("nobody in row 4"));
    let second = Scripted::builder().tls(Tls::Implicit).auth("ann", "pw").start();
    let account = crate::support::account(
        second.port(),
        second.ca_file(),
        "implicit",
        "username = \"ann\"\npassword_env = \"PW\"\n",
    );
    home.config(&account);
    send(&home, &["sorry", "--confirm", "3"], 0);
    let told: BTreeSet<String> = second.accepted().into_iter().flat_map(|delivery| delivery.rcpt_to).collect();
    assert_eq!(told, reached);
    // Who may have got theirs is told, too, if somebody says so; nobody gets it twice.
    follow(&home, &id[..6], "sent,in_doubt");
    assert!(!home.run(&["check", "sorry"]).ended(0).stderr.contains("in doubt"));
    let refused = send(&home, &["sorry", "--confirm", "4"], 77).stderr;
    assert!(refused.contains("exactly this message"), "{refused}");
    send(&home, &["sorry", "--rows", "7", "--confirm", "1"], 0);
    assert!(second.accepted().last().unwrap().rcpt_to.concat().contains("ed@five.example"));
    assert_eq!(second.accepted().len(), 4);
}

#[test]
fn those_who_got_nothing_are_a_list_of_their_own() {
    let server = server();
    let (home, id) = sent(&server);
    for (states, row) in [("failed", "row 4 ── to bo@two.example"), ("in_doubt", "row 7 ── to ed@five.example")]
    {
        let list = format!("outbox:{id}?state={states}");
        let shown = home.run(&["preview", "c/t.txt.hbs", &list]).ended(0).stdout;
        assert!(shown.contains(row) && shown.matches("──").count() == 3, "{states}: {shown}");
    }
    // What was said of the first list goes on to hold: another's telephone number is found.
    home.write("t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{name}}, call 0700 1.\n");
    let list = format!("outbox:{id}?state=sent");
    let found = home.run(&["check", "t.txt.hbs", &list]).ended(65).stderr;
    assert!(found.contains("Phone"), "{found}");
}

#[test]
fn what_cannot_be_a_list_is_said() {
    let server = server();
    let (home, id) = sent(&server);
    let refused = |list: &str, code: i32, words: &str| {
        let said = home.run(&["check", "c/t.txt.hbs", list]).ended(code).stderr;
        assert!(said.contains(words), "{list}: {said}");
    };
    refused(&format!("outbox:{id}?state=sent,snet"), 64, "there is no state \"snet\"");
    refused(&format!("outbox:{id}"), 65, "names a campaign, and what became of its messages");
    refused(&format!("outbox:{id}?state=queued"), 65, "there is nobody in campaign");
    refused("outbox:00000000?state=sent", 64, "no campaign");
    home.write("c/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"outbox:x\"\n");
    let said = home.run(&["check", "c"]).ended(65).stderr;
    assert!(said.contains("campaign.toml:2:14"), "{said}");
    // What is still to be sent is said; and nobody is made up for people whose data are gone.
    home.write("c/campaign.toml", SETTINGS);
    home.write("c/p.csv", LIST.replace("Ada", "Ava"));
    home.run(&["prepare", "c"]).ended(77);
    home.run(&["prepare", "c", "--again"]).ended(0);
    let queued = home.last_campaign();
    let said = home.run(&["check", "c/t.txt.hbs", &format!("outbox:{queued}?state=queued")]).ended(0).stderr;
    assert!(said.contains("is not finished: whoever gets one of its 5 messages later is not on this list"), "{said}");
    home.run(&["resolve", &id, "--row", "7", "--sent"]).ended(0);
    home.run(&["purge", &id, "--confirm", "5"]).ended(0);
    refused(&format!("outbox:{id}?state=sent"), 77, "data was removed");
}

#[test]
fn what_was_prepared_from_a_list_that_changed_is_not_sent_unseen() {
    let server = server();
    let (home, id) = sent(&server);
    let prepared = |states: &str| {
        follow(&home, &id[..6], states);
        home.run(&["prepare", "sorry"]).ended(0);
        home.last_campaign()
    };
    let (reached, doubtful) = (prepared("sent"), prepared("in_doubt"));
    // Who was in doubt got theirs after all: one more belongs on the one list, and one no longer on the other.
    home.run(&["resolve", &id, "--all", "--sent"]).ended(0);
    let before = server.accepted().len();
    let said = send(&home, &[&doubtful, "--confirm", "1"], 77).stderr;
    let wanted = format!("1 person of this list is no longer in outbox:{id}?state=in_doubt, from which it was taken");
    assert!(said.contains(&wanted) && said.contains(": rows 7\n") && said.contains("prepare this anew"), "{said}");
    assert_eq!(server.accepted().len(), before);
    let said = send(&home, &[&reached, "--rows", "2", "--confirm", "1"], 0).stderr;
    let wanted = format!("warning: 1 person is in outbox:{id}?state=sent now who was not when this was prepared");
    assert!(said.contains(&wanted), "{said}");
    // What cannot be told is said.
    home.run(&["purge", &id, "--confirm", "5"]).ended(0);
    let said = send(&home, &[&reached, "--rows", "5", "--confirm", "1"], 0).stderr;
    assert!(said.contains("cannot be told: people's data was removed from that campaign"), "{said}");
    assert_eq!(server.accepted().len(), before + 2);
    // Its own record may be another one.
    let other = Home::new();
    std::fs::create_dir_all(other.path().join(".local/state/apiece")).unwrap();
    std::fs::copy(home.path().join(OUTBOX), other.path().join(OUTBOX)).unwrap();
    let record = rusqlite::Connection::open(other.path().join(OUTBOX)).unwrap();
    record.execute("UPDATE campaign SET id = 'ffffffffffff' WHERE id = ?", [&id]).unwrap();
    std::fs::copy(home.path().join(".config/apiece/config.toml"), other.path().join("config.toml")).unwrap();
    let said = send(&other, &[&reached, "--rows", "6", "--confirm", "1", "--config", "config.toml"], 0).stderr;
    assert!(said.contains("cannot be told: there is no such campaign in this outbox"), "{said}");
}
