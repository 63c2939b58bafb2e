//! After a run with failures, retries, a lost answer, a kill and a resume the report says what the server recorded,
//! says so if the record was changed, and tells whether somebody was among the recipients.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use apiece::outbox::{Deed, Store};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    Home, OUTBOX, Run,
    postfix::Postfix,
    scripted::{Act, Delivery, Scripted, Stage},
};

/// Made-up words that stand nowhere else: what is before the @, and a part of the name.
pub(crate) const PEOPLE: [(&str, &str); 12] = [
    ("brimblewick", "Zephyrina"),
    ("cattermolex", "Quentrell"),
    ("dunnabyx", "Wilfreda"),
    ("eldrithkin", "Morwennis"),
    ("fotherlyx", "Thaddeusk"),
    ("grimbaldwy", "Ottolinex"),
    ("hockadayx", "Peregrinn"),
    ("ingoldsbyx", "Xanthippa"),
    ("jessamynth", "Bartholmy"),
    ("kettlewyx", "Clementyn"),
    ("lumblewik", "Dorotheax"),
    ("mawdesleyx", "Eglantyne"),
];

fn list() -> String {
    let rows = PEOPLE
        .iter()
        .enumerate()
        .map(|(nth, (local, name))| format!("{name} Vexley,KX-{}-Q,{local}@list.example\n", 4711 + nth));
    std::iter::once("Name,Case ref,Email\n".to_owned()).chain(rows).collect()
}

/// The address of the person in a row of the list.
pub(crate) fn address(row: usize) -> String {
    format!("{}@list.example", PEOPLE[row - 2].0)
}

/// One that refuses row 4 at RCPT and row 7 after the content, puts row 5 off once, loses the connection before it answers to row
/// 6, and takes its time with row 10. It repeats addresses and names, as servers do.
pub(crate) fn server() -> Scripted {
    let put_off = std::sync::atomic::AtomicBool::new(false);
    let rule = move |moment: &crate::support::scripted::Moment<'_>| {
        let is =
            |row: usize| moment.line.contains(&address(row)) || moment.rcpt_to.iter().any(|to| *to == address(row));
        match moment.stage {
            Stage::Rcpt if is(4) => Act::reply(format!("550 5.1.1 <{}>: nobody called Wilfreda here\r\n", address(4))),
            Stage::Rcpt if is(5) && !put_off.swap(true, std::sync::atomic::Ordering::SeqCst) => {
                Act::reply(format!("450 4.2.0 {} is greylisted\r\n", address(5)))
            }
            Stage::Dot if is(6) => Act::Drop,
            Stage::Dot if is(7) => Act::reply("554 5.7.1 grimbaldwy does not want KX-4716-Q\r\n"),
            Stage::Dot if is(10) => Act::Delay(Duration::from_millis(900)),
            Stage::Dot => Act::reply(format!(
                "250 2.0.0 Ok: queued as Q{:04} for {}\r\n",
                moment.message.unwrap_or(0),
                moment.rcpt_to[0]
            )),
            _ => Act::Ok,
        }
    };
    Scripted::builder().on_when(rule).start()
}

pub(crate) fn campaign(home: &Home) {
    home.write(
        "c/campaign.toml",
        "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\nsensitivity = \"criminal offence data\"\npeople = \"victims\"\n\
         [guard]\nidentifying = [\"Name\", \"Case ref\"]\n[send]\nretry_after = \"50ms\"\n",
    );
    home.write(
        "c/t.txt.hbs",
        "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"Your case {{case_ref}}\"\n\
         attachments = [\"letters/{{case_ref}}.txt\", { file = \"leaflet.txt\" }]\n+++\nDear {{name}},\nhello.\n",
    );
    home.write("c/leaflet.txt", "Help is there.\n");
    for nth in 0..PEOPLE.len() {
        home.write(&format!("c/letters/KX-{}-Q.txt", 4711 + nth), format!("A letter, number {nth}.\n"));
    }
    home.write("c/people.csv", list());
}

/// Sends over one connection, is killed while the server thinks about row 10, and goes on. Gives the id.
pub(crate) fn eventful(home: &Home, server: &Scripted) -> String {
    home.config(&crate::support::account(server.port(), server.ca_file(), "none", "connections = 1"));
    campaign(home);
    let send = ["send", "c", "--account", "work", "--confirm", "12"];
    let mut child = home.command(&send).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let has_row_10 = |server: &Scripted| server.deliveries().iter().any(|one| one.rcpt_to[0] == address(10));
    assert!(server.wait_until(Duration::from_secs(30), has_row_10));
    child.kill().unwrap();
    child.wait().unwrap();
    home.run(&send).ended(1);
    home.last_campaign()
}

fn message_id(one: &Delivery) -> String {
    let text = String::from_utf8_lossy(&one.data).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
    line.trim().to_owned()
}

pub(crate) fn report(home: &Home, id: &str, more: &[&str]) -> Run {
    home.run(&[&["report", id], more].concat())
}

pub(crate) fn as_json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|why| panic!("{why}: {}", run.stdout))
}

fn record(home: &Home, sql: &str) {
    rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn its_counts_and_replies_are_what_the_server_recorded() {
    let server = server();
    let home = Home::new();
    let id = eventful(&home, &server);
    let all = as_json(&report(&home, &id, &["--format", "json", "--addresses"]).ended(0));
    let accepted: BTreeMap<String, Delivery> =
        server.accepted().into_iter().map(|one| (message_id(&one), one)).collect();
    let had: BTreeMap<String, usize> = server.deliveries().iter().fold(BTreeMap::new(), |mut had, one| {
        *had.entry(message_id(one)).or_default() += 1;
        had
    });
    let messages = all["messages"].as_array().unwrap();
    let rows = |outcome: &str| -> Vec<u64> {
        let of = messages.iter().filter(|message| message["outcome"] == outcome);
        of.map(|message| message["rows"][0].as_u64().unwrap()).collect()
    };
    assert_eq!((rows("failed"), rows("in_doubt"), rows("sent").len()), (vec![4, 7], vec![6, 10], 8));
    for message in messages {
        let row = usize::try_from(message["rows"][0].as_u64().unwrap()).unwrap();
        let transactions = message["transactions"].as_array().unwrap();
        let (last, ids) =
            (transactions.last().unwrap(), transactions.iter().map(|one| one["message_id"].as_str().unwrap()));
        let ids: std::collections::BTreeSet<&str> = ids.collect();
        assert_eq!((ids.len(), message["address"].as_str().unwrap()), (1, address(row).as_str()));
        let id = *ids.first().unwrap();
        match message["outcome"].as_str().unwrap() {
            "sent" => {
                let one = &accepted[id];
                assert_eq!((one.rcpt_to.as_slice(), had[id]), (&[address(row)][..], 1));
                assert_eq!(one.answered.as_deref().unwrap().trim_end(), last["reply"].as_str().unwrap());
                assert_eq!((&last["code"], &last["enhanced"]), (&Value::from(250), &Value::from("2.0.0")));
            }
            // Row 10's answer was written to a program that was dead.
            "in_doubt" => assert!(had[id] == 1 && last["code"].is_null(), "{last}"),
            _ => assert!(!accepted.contains_key(id) && last["code"].as_u64().unwrap() >= 500, "{last}"),
        }
        assert_eq!(transactions.len(), if row == 5 { 2 } else { 1 }, "row {row}");
    }
    // Sent is what the server answered 250 to and the program lived to hear.
    assert_eq!(accepted.len() - usize::from(accepted.values().any(|one| one.rcpt_to[0] == address(10))), 8);
    let said = server.lines();
    let lines = |start: &str| said.iter().filter(|line| line.text.starts_with(start)).count();
    let counts = &all["transactions"];
    assert_eq!((counts["count"].as_u64(), counts["messages"].as_u64()), (Some(13), Some(12)));
    assert_eq!(
        (lines("MAIL FROM"), lines("RCPT TO")),
        (13, 13),
        "one recipient for each transaction that the server saw"
    );
    assert_eq!(counts["servers"][format!("127.0.0.1:{}", server.port())], 13);
    let people = &all["recipients"];
    let sum: u64 = ["queued", "sending", "sent", "deferred", "failed", "in_doubt", "suppressed", "cancelled"]
        .map(|outcome| people[outcome].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!((sum, people["recipients"].as_u64(), people["list_rows"].as_u64()), (12, Some(12), Some(12)));
    assert!(all["record"]["holds"] == true && all["record"]["checks"].as_array().unwrap().len() == 6);
    assert_eq!(all["about"]["unused_columns"], 0, "that of the addresses is always used");
    // The text says the same in words.
    let text = report(&home, &id, &["--verify"]).ended(0).stdout;
    for said in [
        "Sent to       8 of 12 recipients",
        "Others        2 failed, 2 in doubt",
        "Transactions  13 for 12 messages",
        "Tried again   1 message",
        "The list had 12 rows, one for each recipient.",
        "Columns       Name, Case ref",
        "Attachments   letters/{{case_ref}}.txt (text/plain; each to one person)\n              leaflet.txt (text/plain; to everybody)",
        "Whose data    victims",
        "Others' data        searched for as well: Name, Case ref (not what over 3 people have)",
        "12 recipients, --confirm, by ",
        "12 made again from what is kept: each comes out as prepared",
        "550 5.1.1 <[removed]>: nobody called [removed] here",
        "554 5.7.1 [removed] does not want [removed]",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    // What a person looked up is told apart from what the server said.
    home.run(&["resolve", &id, "--row", "10", "--sent"]).ended(0);
    let all = as_json(&report(&home, &id, &["--format", "json"]).ended(0));
    assert_eq!((&all["recipients"]["sent"], &all["transactions"]["found_sent"]), (&9.into(), &1.into()));
}

#[test]
fn it_says_whether_somebody_was_among_them() {
    let server = server();
    let home = Home::new();
    let id = eventful(&home, &server);
    let find = |who: &str, code: i32| report(&home, &id, &["--find", who]).ended(code);
    let said = find(&address(4).to_uppercase(), 0).stdout;
    assert!(said.contains("was among its recipients") && said.contains("\nRow         4\n"), "{said}");
    assert!(said.contains("\nOutcome     failed\n") && said.contains("550 5.1.1 <[removed]>: nobody"), "{said}");
    assert!(find("somebody@else.example", 1).stdout.contains("was not among its recipients"));
    assert!(find("nobody", 64).stderr.contains("has no @"));
    // Not in the history of a shell.
    let ask = |line: &str, more: &[&str]| {
        let mut command = home.command(&[&["report", &id, "--find", "-"], more].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
        Run::of(child.wait_with_output().unwrap())
    };
    let said = as_json(&ask(&format!(" {} \n", address(5)), &["--format", "json"]).ended(0));
    assert!(said["found"] == true && said["message"]["transactions"].as_array().unwrap().len() == 2, "{said}");
    ask("x@y.example\n", &["--format", "json"]).ended(1);
    let two = ask(&format!("x@y.example\n{}\n", address(4)), &[]).ended(64).stderr;
    assert!(two.contains("standard input has more than one line"), "{two}");
    home.run(&["resolve", &id, "--all", "--sent"]).ended(0);
    home.run(&["purge", &id, "--confirm", "12"]).ended(0);
    let said = find(&address(4), 0).stdout;
    assert!(said.contains("\nRow         4\n") && said.contains("\nOutcome     failed\n"), "{said}");
    find("somebody@else.example", 1);
    find("list.example@list.example", 1);
}

#[test]
fn an_address_is_found_however_it_is_written() {
    let home = Home::new();
    home.campaign("name,email\nAda,ada@bücher.example\nBo,BO@two.example\n");
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    home.run(&["cancel", &id]).ended(0);
    let check = || {
        for who in ["ADA@BÜCHER.example", "ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example", "bo@two.example"] {
            report(&home, &id, &["--find", who]).ended(0);
        }
        report(&home, &id, &["--find", "ada@bucher.example"]).ended(1);
    };
    check();
    home.run(&["purge", &id, "--confirm", "2"]).ended(0);
    check();
    // What earlier versions left of somebody is a salted hash.
    let salted: [u8; 32] = Sha256::digest(b"saltada@xn--bcher-kva.example").into();
    let hex: String = salted.iter().map(|byte| format!("{byte:02x}")).collect();
    record(
        &home,
        &format!(
            "UPDATE recipient SET person = x'{hex}' WHERE row = 2; UPDATE campaign SET salt = CAST('salt' AS BLOB)"
        ),
    );
    report(&home, &id, &["--find", "ADA@bücher.example"]).ended(0);
}

#[test]
fn people_and_rows_add_up() {
    let home = Home::new();
    let rows = "name,email\nAda,a@list.example\nBo,b@list.example\nAda,A@list.example\nAda,a@list.example\n";
    for (more, said) in [
        (
            &["--duplicates", "first"][..],
            "4 rows: 2 recipients and 2 more, which were left out, since their addresses stand in",
        ),
        (
            &["--group-by", "email"],
            "4 rows: 2 recipients and 2 more, which are further rows of the same people, in the same",
        ),
    ] {
        home.campaign(rows);
        let grouped = more[0] == "--group-by";
        let body = if grouped { "{{#each rows}}Dear {{name}},\n{{/each}}" } else { "Dear {{name}},\n" };
        home.write("c/t.txt.hbs", format!("+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n{body}"));
        home.run(&[&["prepare", "c"], more].concat()).ended(0);
        let id = home.last_campaign();
        let text = report(&home, &id, &[]).ended(0).stdout;
        assert!(text.contains(said), "{text}");
        assert!(text.contains(if grouped { "\nrow 2,4-5  " } else { "\nrow 2  " }), "{text}");
        home.run(&["cancel", &id]).ended(0);
        home.run(&["purge", &id, "--confirm", "2"]).ended(0);
        let text = report(&home, &id, &[]).ended(0).stdout;
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_record_that_was_changed_is_said_at_the_top() {
    let server = server();
    let home = Home::new();
    let id = eventful(&home, &server);
    home.run(&["resolve", &id, "--row", "10", "--sent"]).ended(0);
    let original = std::fs::read(home.path().join(OUTBOX)).unwrap();
    for (sql, said) in [
        (
            "DROP TRIGGER log_is_not_changed; UPDATE log SET who = 'Mallory' WHERE number = 2",
            "entry 2 of the log does not follow from the one before",
        ),
        ("DROP TRIGGER message_keeps_to_the_table; UPDATE message SET state = 'sent' WHERE position = 2", "rows 4 was neither"),
        (
            "UPDATE attempt SET message_id = (SELECT message_id FROM attempt WHERE position = 0) WHERE position = 1",
            "each Message-ID is one recipient's",
        ),
        (
            "INSERT INTO attempt (campaign, position, message_id, began, ended, outcome)
             SELECT campaign, position, message_id, began, ended, 'sent' FROM attempt WHERE position = 0",
            "the server took over no message twice: it is not so 1 time",
        ),
        (
            "INSERT INTO attempt (campaign, position, message_id, began, ended, outcome)
             SELECT campaign, position, message_id, began, ended, 'failed' FROM attempt WHERE position = 0",
            "no message was begun again after the server had taken it over: it is not so 1 time",
        ),
        (
            "DROP TRIGGER recipient_stays; UPDATE recipient SET address = (SELECT upper(address) FROM recipient WHERE position = 0)
             WHERE position = 1",
            "no two messages are for the same address: it is not so 1 time",
        ),
        ("UPDATE attempt SET ended = began - 1 WHERE position = 1", "1 transaction: over before it was begun"),
        ("UPDATE attempt SET began = 9223372036854775807 WHERE position = 1", "1 transaction: its time cannot be"),
        (
            "UPDATE attempt SET began = began - 600000 WHERE position = 1",
            "1 transaction: begun before the campaign was prepared",
        ),
        (
            "DROP TRIGGER log_is_not_changed; UPDATE log SET what = 'previewed' WHERE what = 'confirmed'",
            "13 transactions: begun before anybody, as the log has it, confirmed and started it",
        ),
        ("UPDATE attempt SET began = began + 600000, ended = NULL WHERE position = 1", "1 transaction: begun at a time that is still to come"),
        ("UPDATE attempt SET code = 550 WHERE position = 1", "1 transaction: its reply contradicts its outcome"),
        ("UPDATE attempt SET code = 250 WHERE position = 2", "1 transaction: its reply contradicts its outcome"),
        (
            "UPDATE campaign SET settings = replace(settings, 'victims', 'nobody')",
            "what is kept of the campaign is not what was prepared: its digest is another one",
        ),
        (
            "UPDATE campaign SET pseudonyms = randomblob(32)",
            "the key of people's pseudonyms is not the one that the log knows",
        ),
        (
            "DROP TRIGGER message_keeps_to_the_table; UPDATE message SET state = 'in_doubt' WHERE position = 8",
            "what became of rows 10 was neither tried nor",
        ),
        ("DELETE FROM recipient WHERE position = 1", "each message of the campaign is for one recipient, and each"),
    ] {
        home.write("changed.sqlite", &original);
        let changed = rusqlite::Connection::open(home.path().join("changed.sqlite")).unwrap();
        changed.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        drop(changed);
        for form in ["text", "html", "json", "csv"] {
            let run = report(&home, &id, &["--format", form, "--outbox", "changed.sqlite"]).ended(65);
            assert!(run.stderr.contains("the record does not hold"), "{}", run.stderr);
            let flat = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ").replace("!! ", "").replace("&#39;", "'");
            let said = match form {
                "csv" => "row,person,state",
                _ => said,
            };
            assert!(flat.contains(said), "{sql}, {form}:\n{}", run.stdout);
            if form == "text" {
                let place = run.stdout.find("!! The record does not hold").unwrap();
                assert!(place < run.stdout.find("In short").unwrap());
            }
        }
        let run = report(&home, &id, &["--find", &address(12), "--outbox", "changed.sqlite"]).ended(65);
        assert!(run.stdout.starts_with("!! The record does not hold"), "{}", run.stdout);
        let found = ["--find", &address(12), "--format", "json", "--outbox", "changed.sqlite"];
        assert_eq!(as_json(&report(&home, &id, &found).ended(65))["record"]["holds"], false);
        let run = report(&home, &id, &["--incident", "--outbox", "changed.sqlite"]).ended(65);
        assert!(run.stdout.contains("!! The record does not hold"), "{}", run.stdout);
    }
    // That a message comes out otherwise is found where somebody looks for it.
    let sql =
        "DROP TRIGGER recipient_stays; UPDATE recipient SET fields = replace(fields, 'Vexley', 'Waxley') WHERE row = 3";
    record(&home, sql);
    let text = report(&home, &id, &[]).ended(65).stdout;
    assert!(
        text.contains("!! what is kept of the campaign is not what was prepared: its digest is another one"),
        "{text}"
    );
    let text = report(&home, &id, &["--verify"]).ended(65).stdout;
    assert!(text.contains("12 messages come out otherwise than they were prepared"), "{text}");
}

/// Where a time is from is told with it.
#[test]
fn times_are_in_utc_and_where_the_report_is_made() {
    let home = Home::new();
    home.campaign(&crate::support::people(2));
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    let run = home.command(&["report", &id]).env("TZ", "Asia/Kathmandu").output().unwrap();
    let text = Run::of(run).ended(0).stdout;
    assert!(text.contains("as it was in Asia/Kathmandu then") && text.contains(" +05:45)"), "{text}");
    let run = home.command(&["report", &id, "--format", "json"]).env("TZ", "Asia/Kathmandu").output().unwrap();
    assert_eq!(as_json(&Run::of(run).ended(0))["report"]["time_zone"], "Asia/Kathmandu");
}

#[test]
fn a_report_during_a_run_is_of_one_moment() {
    let server = Scripted::builder().on(Stage::Dot, Act::Delay(Duration::from_millis(25))).start();
    let home = Home::at_relay(&server);
    home.campaign(&crate::support::people(60));
    let send = ["send", "c", "--account", "work", "--confirm", "60"];
    let mut child = home.command(&send).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 2));
    let id = home.last_campaign();
    let mut during = 0;
    while child.try_wait().unwrap().is_none() {
        let all = as_json(&report(&home, &id, &["--format", "json"]).ended(0));
        let mut listed: BTreeMap<String, u64> = BTreeMap::new();
        for message in all["messages"].as_array().unwrap() {
            *listed.entry(message["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(listed.values().sum::<u64>(), 60);
        assert!(
            listed.iter().all(|(outcome, count)| all["recipients"][outcome] == *count),
            "{listed:?} {}",
            all["recipients"]
        );
        during += u64::from(all["campaign"]["running"].is_string());
    }
    assert!(during > 2, "{during}");
}

/// What the docs say can be compared with a server's own log is so with a real one.
#[test]
fn a_real_servers_log_has_one_recipient_for_each_transaction() {
    let Some(postfix) = Postfix::start() else { return };
    let home = Home::new();
    let login = format!("username = \"{}\"\npassword_env = \"SMTP_PASSWORD\"\nconnections = 3", postfix.user());
    home.config(&crate::support::account(postfix.smtps_port(), postfix.ca_file(), "implicit", &login));
    home.campaign(&(crate::support::people(20) + "No,nobody-here@list.example\n"));
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "21"]);
    Run::of(command.env("SMTP_PASSWORD", postfix.password()).output().unwrap()).ended(1);
    postfix.wait_for(20);
    let queued: BTreeMap<String, Vec<String>> =
        postfix.envelopes().into_iter().map(|envelope| (envelope.queue_id, envelope.to)).collect();
    let id = home.last_campaign();
    let all = as_json(&report(&home, &id, &["--format", "json", "--addresses"]).ended(0));
    let mut names = Vec::new();
    for message in all["messages"].as_array().unwrap() {
        let tried = &message["transactions"][0];
        assert!(tried["tls"].as_str().unwrap().starts_with("TLSv1."), "{tried}");
        if message["outcome"] == "sent" {
            let name = tried["reply"].as_str().unwrap().split("queued as ").nth(1).unwrap();
            assert_eq!(queued[name], [message["address"].as_str().unwrap()], "{tried}");
            names.push(name);
        }
    }
    names.sort_unstable();
    assert_eq!(names, queued.keys().collect::<Vec<_>>());
    // Those are in the report that names nobody, too.
    let text = report(&home, &id, &["--format", "html"]).ended(0).stdout;
    assert!(names.iter().all(|name| text.contains(*name)) && !text.contains("list.example"), "{text}");
    assert!(text.contains("every transaction, with a certificate that was verified"), "{text}");
}

#[test]
fn who_looked_and_who_approved_is_told_with_what_they_approved() {
    let home = Home::new();
    home.campaign(&crate::support::people(2));
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    let store = Store::open(home.path().join(OUTBOX)).unwrap();
    let digest = store.campaign(&id).unwrap().digest.unwrap().to_string();
    let log = |what, details| {
        store.log(&id, Deed { who: "bo (uid 7)", what, details: &details }, jiff::Timestamp::now()).unwrap();
    };
    log("previewed", json!({ "how": "gallery", "messages": 2 }));
    let (right, wrong) = (digest.as_str(), "0".repeat(64));
    for digest in [right, &wrong] {
        let details = json!({ "digest": digest, "principal": "cy@police.example", "key": "SHA256:abc", "signature": "SECRETLY LONG" });
        log("approved", details);
    }
    log("rejected", json!({ "digest": digest, "principal": "di@police.example", "reason": "a wrong date" }));
    drop(store);
    let text = report(&home, &id, &[]).ended(0).stdout;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "Looked at 2 messages (gallery) by bo (uid 7), ",
        "approved by cy@police.example with key SHA256:abc, ",
        "rejected by di@police.example, ",
        ": a wrong date",
    ] {
        assert!(flat.contains(said), "{said}\n{text}");
    }
    assert_eq!(flat.matches("FOR ANOTHER DIGEST").count(), 1, "{text}");
    assert!(!text.contains("SECRETLY"), "{text}");
}
