//! What everybody will get can be looked at first: as text, one beside another, by sample, and in files that other programs
//! read.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, process::Command};

use crate::support::{Home, OUTBOX, pdf, people, samples::SAMPLES, skip};

#[track_caller]
fn shown(home: &Home, arguments: &[&str]) -> String {
    home.run(&[&["preview"], arguments].concat()).ended(0).stdout
}

/// The rows whose messages are shown.
fn rows(text: &str) -> Vec<u64> {
    let heads = text.lines().filter_map(|line| line.strip_prefix("── row ")?.split(' ').next()?.parse().ok());
    heads.collect()
}

#[test]
fn a_message_is_shown_as_it_comes() {
    let home = Home::new();
    home.campaign(&people(5));
    home.write("c/leaflet.txt", "x".repeat(12_345));
    let template = "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"Für {{name}}\"\nattachments = [\"leaflet.txt\"]\n+++\n# Dear {{name}}\n\nhello.\n";
    home.write("c/t.md.hbs", template);
    let text = shown(&home, &["c", "--template", "c/t.md.hbs", "--row", "3"]);
    let wanted = [
        "── row 3 ── to p3@list.example alone ──\n",
        "From:     Updates <updates@police.example>\n",
        "To:       p3@list.example\n",
        "Subject:  Für Person 3\n",
        "Attached: leaflet.txt (12.35 kB)\n",
        "\nhello.\n",
    ];
    for part in wanted {
        assert!(text.contains(part), "{part:?}: {text}");
    }
}

#[test]
fn a_sample_is_taken_at_random_and_can_be_taken_again() {
    let home = Home::new();
    home.campaign(&people(200));
    let run = home.run(&["preview", "c", "--sample", "5"]).ended(0);
    let first = rows(&run.stdout);
    assert!(first.len() == 5 && first.is_sorted_by(|one, other| one < other), "{first:?}");
    let again = run.stderr.lines().find(|line| line.starts_with("--sample 5 --seed ")).unwrap();
    let seed = again.split(' ').nth(3).unwrap();
    assert_eq!(rows(&shown(&home, &["c", "--sample", "5", "--seed", seed])), first);
    let others: BTreeSet<Vec<u64>> =
        (0..8).map(|seed| rows(&shown(&home, &["c", "--sample", "5", "--seed", &seed.to_string()]))).collect();
    assert!(others.len() > 4, "{others:?}");
    assert_eq!(rows(&shown(&home, &["c", "--sample", "9999"])).len(), 200);
    assert_eq!(rows(&shown(&home, &["c", "--row", "3,7-9"])), [3, 7, 8, 9]);
    assert_eq!(rows(&shown(&home, &["c"])), [2, 3, 4]);
}

#[test]
fn what_differs_between_two_people_stands_out() {
    let home = Home::new();
    home.write("p.csv", "email,name,late\nada@one.example,Ada King,yes\nbo@two.example,Bo Li,no\n");
    home.write(
        "t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"News\"\n+++\nDear {{name}},\n{{#if late}}\nYou owe us a fee.\n{{/if}}\nGoodbye.\n",
    );
    let compare = ["t.txt.hbs", "p.csv", "--column", "late=yes_no", "--compare", "3,2"];
    let text = shown(&home, &compare);
    assert!(text.contains("\n- Dear [-Bo Li,-]\n+ Dear {+Ada King,+}\n"), "{text}");
    assert!(text.contains("\n+ You owe us a fee.\n") || text.contains("\n+ {+You owe us a fee.+}\n"), "{text}");
    assert!(text.contains("\n  Goodbye.\n") && text.contains("\n  Subject:  News\n"), "{text}");
    let coloured = shown(&home, &[&compare[..], &["--color", "always"]].concat());
    assert!(coloured.contains("\x1b[31m- Dear \x1b[7mBo Li,\x1b[27m\x1b[0m"), "{coloured}");
    for (rows, code) in [("2,2", 64), ("2", 64), ("2,9", 64), ("x,y", 64)] {
        home.run(&["preview", "t.txt.hbs", "p.csv", "--column", "late=yes_no", "--compare", rows]).ended(code);
    }
}

#[test]
fn what_differs_out_of_sight_is_said_too() {
    let home = Home::new();
    home.write("one.pdf", pdf("for one"));
    home.write("f/a/letter.pdf", pdf("for Ada"));
    home.write("f/b/letter.pdf", pdf("for Bo"));
    home.write("p.csv", "email,name,code,dir\nada@one.example,Ada,k1,a\nbo@two.example,Bo,k2,b\n");
    // The text says the same to both.
    home.write(
        "t.html.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"News\"\nattachments = [\"one.pdf\", \"f/{{dir}}/letter.pdf\"]\n\
         text_template = \"t.txt.hbs\"\n+++\n\
         <!DOCTYPE html><html lang=\"en\"><head><title>News</title></head><body>\n<p>All is well.</p>\n\
         <p><a href=\"https://police.example/{{code}}\">More</a></p>\n</body></html>\n",
    );
    home.write("t.txt.hbs", "All is well.\n");
    let text = shown(&home, &["t.html.hbs", "p.csv", "--row", "2"]);
    assert!(text.contains("\nHTML:     ") && text.contains("; below is the text, --gallery shows both\n"), "{text}");
    let text = shown(&home, &["t.html.hbs", "p.csv", "--compare", "2,3"]);
    let (_, html) = text.split_once("── the lines of the HTML that differ ──\n").unwrap_or_else(|| panic!("{text}"));
    let (html, files) =
        html.split_once("\n── attachments of the same name that differ ──\n").unwrap_or_else(|| panic!("{text}"));
    assert!(
        html.lines().count() == 2 && html.contains("police.example/k1") && html.contains("police.example/k2"),
        "{html}"
    );
    assert!(files.starts_with("letter.pdf\n- ") && files.matches("SHA-256 ").count() == 2, "{files}");
    assert!(!files.contains("one.pdf"), "{files}");
}

/// What Python's mailbox reads: of each message the recipient, the subject and how often a line begins with "From ".
fn read_by_python(home: &Home, class: &str, path: &str) -> Vec<String> {
    let script = format!(
        "import email, email.policy, mailbox\n\
         box = mailbox.{class}('{path}', create=False, factory=lambda f: email.message_from_binary_file(f, policy=email.policy.default))\n\
         for m in sorted(box, key=lambda m: m['To']):\n\
         \x20   print(m['To'], '|', m['Subject'], '|', sum(l.lstrip('>').startswith('From ') for l in m.get_content().splitlines()), m['Date'] is not None)\n"
    );
    let run = Command::new("/usr/bin/python3").arg("-c").arg(script).current_dir(home.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn other_programs_read_the_files() {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return skip("python3 is missing");
    }
    let home = Home::new();
    home.campaign(&people(4));
    let template = "+++\nfrom = \"updates@police.example\"\nsubject = \"Für {{name}}\"\n+++\nHello,\nFrom now on\n>From then\nbye\n";
    home.write("c/t.txt.hbs", template);
    let wanted: Vec<String> = (2..6).map(|row| format!("p{row}@list.example | Für Person {row} | 2 True")).collect();
    home.run(&["preview", "c", "--mbox", "all.mbox"]).ended(0);
    home.run(&["preview", "c", "--maildir", "Mail"]).ended(0);
    assert_eq!(read_by_python(&home, "mbox", "all.mbox"), wanted);
    assert_eq!(read_by_python(&home, "Maildir", "Mail"), wanted);
    let mode = |name: &str| home.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("all.mbox"), mode("Mail"), mode("Mail/new")], [0o600, 0o700, 0o700]);
    assert_eq!(std::fs::read_dir(home.path().join("Mail/tmp")).unwrap().count(), 0);
    // Once more, in the same second perhaps: they go beside the others.
    for _ in 0..3 {
        home.run(&["preview", "c", "--maildir", "Mail"]).ended(0);
    }
    assert_eq!(read_by_python(&home, "Maildir", "Mail").len(), 16);
    assert_eq!(std::fs::read_dir(home.path().join("Mail/tmp")).unwrap().count(), 0);
    // Nothing is overwritten, and one kind is enough.
    let before = std::fs::read(home.path().join("all.mbox")).unwrap();
    assert!(home.run(&["preview", "c", "--mbox", "all.mbox"]).ended(73).stderr.contains("nothing is overwritten"));
    assert_eq!(std::fs::read(home.path().join("all.mbox")).unwrap(), before);
    home.run(&["preview", "c", "--mbox", "other.mbox", "--eml", "out"]).ended(64);
    assert!(!home.path().join("out").exists());
}

#[test]
fn that_somebody_looked_at_what_was_prepared_is_in_the_log() {
    let home = Home::new();
    home.run(&["prepare", &SAMPLES[0].path()]).ended(0);
    let id = home.last_campaign();
    shown(&home, &[&id, "--sample", "2", "--seed", "1"]);
    shown(&home, &[&id, "--mbox", "m.mbox"]);
    let log = rusqlite::Connection::open(home.path().join(OUTBOX)).unwrap();
    let mut query = log.prepare("SELECT details FROM log WHERE what = 'previewed' ORDER BY number").unwrap();
    let looked: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(looked, [r#"{"how":"terminal","messages":2}"#, r#"{"how":"files","messages":12}"#]);
    home.run(&["verify", &id]).ended(0);
}

#[test]
fn who_looks_at_what_was_prepared_sees_what_its_author_saw() {
    let home = Home::new();
    home.campaign("email,name\nada@gmial.com,Ada\nbo@two.example,Bo\n");
    let warned = |run: &str| run.contains("row 2") && run.contains("gmial.com");
    let first = home.run(&["check", "c"]).ended(0).stderr;
    assert!(warned(&first), "{first}");
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    for command in [&["check", &id][..], &["preview", &id, "--row", "3"]] {
        let said = home.run(command).ended(0).stderr;
        assert!(warned(&said), "{command:?}: {said}");
    }
    home.run(&["preview", &id, "--gallery-file", "page.html"]).ended(0);
    let page = std::fs::read_to_string(home.path().join("page.html")).unwrap();
    assert!(page.contains("gmail.com"), "{page}");
}
