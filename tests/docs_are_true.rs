//! What README and docs tell people to type is something that the program takes, and links lead somewhere.

use std::path::{Path, PathBuf};

use apiece::delivery::{Becomes, Consequence, Course, Fate, Happening, Stage};

use crate::help_in_every_shell::commands_in;
use crate::support::Home;

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let all = docs.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    all.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// The lines of the fenced blocks of a language.
fn fenced<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            inside = fence == language;
        } else if inside {
            lines.push(line);
        }
    }
    lines
}

#[test]
fn every_command_is_one_that_the_program_takes() {
    let home = Home::new();
    let mut seen = 0;
    for (path, document) in documents() {
        for line in fenced(&document, "sh") {
            let Some(arguments) = line.strip_prefix("apiece ") else { continue };
            let words = shlex::split(arguments.split(" #").next().unwrap()).unwrap();
            let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
            // What comes behind -- is another command's.
            let own = arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len());
            arguments.insert(own, "--help");
            let run = home.run(&arguments);
            assert_eq!(run.code, 0, "{}: {line}\n{}", path.display(), run.stderr);
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen}");
}

/// Each flag that the page about workers and its examples name is one.
#[test]
fn the_workers_flags_are_ones() {
    let home = Home::new();
    let help = home.run(&["work", "--help"]).ended(0);
    let files =
        ["workers.md", "examples/apiece-work.service", "examples/apiece-work@.service", "examples/compose.yaml"];
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for file in files {
        let text = std::fs::read_to_string(docs.join(file)).unwrap();
        // Of tables, of the lines that start one, and of sentences; other programs have others.
        let flags = ["| `--", "apiece work ", "work, --", "(`--"];
        for line in text.lines().filter(|line| flags.iter().any(|flag| line.contains(flag))) {
            let rest = line.split("--").skip(1);
            for flag in rest.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap()) {
                let is_there = [' ', '\n'].iter().any(|end| help.stdout.contains(&format!("--{flag}{end}")));
                assert!(is_there, "{file}: --{flag}\n{}", help.stdout);
            }
        }
    }
}

#[test]
fn the_book_has_every_page() {
    let summary = std::fs::read_to_string("docs/SUMMARY.md").unwrap();
    for (path, _) in documents() {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(["README.md", "SUMMARY.md"].contains(&name) || summary.contains(&format!("({name})")), "{name}");
    }
}

/// What a command says of itself, and what its own commands do.
fn sections_of(home: &Home, words: &[&str]) -> String {
    let help = home.run(&[words, &["--help"]].concat()).ended(0).stdout;
    let own = format!("\n## apiece {}\n\n```text\n{help}```\n", words.join(" "));
    let further = commands_in(&help);
    further.iter().fold(own, |all, name| all + &sections_of(home, &[words, &[name.as_str()]].concat()))
}

/// Every command's own help. `WRITE_REFERENCE=1` writes the page anew.
#[test]
fn the_reference_is_what_the_program_says() {
    let home = Home::new();
    let help = home.run(&["--help"]).ended(0).stdout;
    let mut page = format!("# Commands\n\nWhat each command says of itself.\n\n```text\n{help}```\n");
    for name in commands_in(&help) {
        page += &sections_of(&home, &[&name]);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    if std::env::var_os("WRITE_REFERENCE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page, "docs/reference.md is old: WRITE_REFERENCE=1 cargo test --test promises -- the_reference");
}

#[test]
fn the_guides_campaign_and_its_commands_work() {
    let home = Home::new();
    let said = home.run(&["init", "update"]).ended(0).stdout;
    assert!(said.contains("apiece check update\n"), "{said}");
    assert_eq!(home.run(&["check", "update"]).ended(0).stdout, "3 recipients, 4 columns, all well\n");
    home.run(&["send", "update", "--sandbox", "--confirm", "3"]).ended(0);
    home.run(&["send", "update", "--dry-run"]).ended(0);
    let said = home.run(&["init", "update"]).ended(73).stderr;
    assert_eq!(said, "error: update is not empty\n  help: nothing is overwritten; choose another name\n");
    let without_account = home.run(&["send", "update", "--confirm", "3"]).ended(78).stderr;
    assert!(without_account.starts_with("error: no account is configured in "), "{without_account}");
}

#[test]
fn the_examples_of_settings_are_ones() {
    let docs = documents();
    let formats = &docs.iter().find(|(path, _)| path.ends_with("formats.md")).unwrap().1;
    let blocks: Vec<&str> =
        formats.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [campaign, config] = blocks.as_slice() else { panic!("two blocks") };
    let home = Home::new();
    home.write("c/campaign.toml", campaign);
    home.write("c/update.md.hbs", "+++\nfrom = \"a@b.example\"\nsubject = \"x\"\n+++\nHello {{contact}}\n");
    home.write("c/recipients.csv", "Contact;Consent;Next visit;Sum\na@one.example;yes;24.11.2026;7\n");
    home.write("c/allowed_signers", "");
    home.write("c/revoked_keys", "");
    home.write("c/bank-holidays.txt", "2026-12-25 Christmas Day\n");
    home.run(&["check", "c"]).ended(0);
    home.config(config);
    let run = home.run(&["send", "c", "--account", "nope", "--confirm", "1"]).ended(78);
    assert!(
        run.stderr.contains("the accounts are work, local")
            || run.stderr.contains("the accounts are local, office, work"),
        "{}",
        run.stderr
    );
    let guide = &docs.iter().find(|(path, _)| path.ends_with("guide.md")).unwrap().1;
    let templates: Vec<&str> =
        guide.split("```handlebars\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [grouped, update, letters] = templates.as_slice() else { panic!("three templates") };
    home.write("loans.md.hbs", grouped);
    home.write("loans.csv", "name,title,due,email\nAda,Emma,1 May,a@one.example\nAda,Persuasion,2 May,a@one.example\n");
    let shown = home.run(&["preview", "loans.md.hbs", "loans.csv", "--group-by", "email"]).ended(0).stdout;
    assert!(
        shown.contains("• Emma, due on 1 May\n• Persuasion, due on 2 May\n")
            || shown.contains("- Emma, due on 1 May\n- Persuasion, due on 2 May\n"),
        "{shown}"
    );
    home.write("update.md.hbs", update);
    home.write("people.csv", "Name,Email,CASE-REF,Note\nAda,a@one.example,7,\n");
    let shown = home.run(&["preview", "update.md.hbs", "people.csv"]).ended(0).stdout;
    assert!(shown.contains("There is nothing that you need to do.") && shown.contains("case 7"), "{shown}");
    home.write("letters.md.hbs", letters);
    home.write("leaflet.pdf", "%PDF-1.4 leaflet");
    home.write("letters/7.pdf", "%PDF-1.4 letter");
    home.write("logo.png", "\u{89}PNG".bytes().skip(1).chain(*b"\r\n\x1a\n").collect::<Vec<u8>>());
    let shown = home.run(&["preview", "letters.md.hbs", "people.csv"]).ended(0).stdout;
    assert!(shown.contains("Attached: leaflet.pdf") && shown.contains("Attached: 7.pdf"), "{shown}");
}

#[test]
fn each_helper_does_what_its_example_says() {
    let docs = documents();
    let guide = &docs.iter().find(|(path, _)| path.ends_with("guide.md")).unwrap().1;
    let table = guide.split("### Helpers\n").nth(1).unwrap().trim_start().split("\n\n").next().unwrap();
    let code =
        |text: &str| text.trim().strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap_or("").to_owned();
    let mut seen = 0;
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [template, values, result] = cells.as_slice() else { panic!("{row}") };
        let values = values.split(';').map(|value| value.split_once(':').unwrap());
        let (headings, cells): (Vec<String>, Vec<String>) =
            values.map(|(name, value)| (name.trim().to_owned(), code(value))).unzip();
        let mut list = csv::Writer::from_writer(Vec::new());
        list.write_record(headings.iter().map(String::as_str).chain(["email"])).unwrap();
        list.write_record(cells.iter().map(String::as_str).chain(["ada@one.example"])).unwrap();
        let home = Home::new();
        home.write("p.csv", list.into_inner().unwrap());
        home.write(
            "t.txt.hbs",
            format!("+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n{}\n", code(template)),
        );
        let shown = home.run(&["preview", "t.txt.hbs", "p.csv"]).ended(0).stdout;
        assert_eq!(shown.split("\n\n").nth(1), Some(code(result).as_str()), "{row}");
        seen += 1;
    }
    assert!(seen >= 18, "{seen}");
}

#[test]
fn the_table_of_what_follows_from_what_is_the_one_in_the_code() {
    let names = ["connect", "TLS", "AUTH", "MAIL", "RCPT", "DATA", "content", "final dot", "RSET, QUIT"];
    let table: Vec<String> = Stage::ALL
        .into_iter()
        .zip(names)
        .map(|(stage, name)| {
            let cells = Happening::ALL.map(|happening| in_words(stage.consequence(happening)));
            format!("| {name} | {} |\n", cells.join(" | "))
        })
        .collect();
    let text = std::fs::read_to_string("docs/delivery.md").unwrap();
    assert!(text.contains(&table.concat()), "{}", table.concat());
}

fn in_words(follows: Consequence) -> String {
    let message = match follows.message {
        Becomes::Untouched => "",
        Becomes::Queued => "*queued*, ",
        Becomes::Deferred => "*deferred*, ",
        Becomes::Failed => "*failed*, ",
        Becomes::InDoubt => "*in doubt*, ",
    };
    let connection = if follows.connection == Fate::Good { "stays" } else { "ends" };
    let run = match follows.run {
        Course::GoesOn => "",
        Course::Slower => ", slower",
        Course::IfConnected => ", if connected",
        Course::Ends => ", run ends",
    };
    format!("{message}{connection}{run}")
}

#[test]
fn links_lead_somewhere() {
    for (path, document) in documents() {
        for link in document.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            assert!(
                file.starts_with("http") || file.starts_with("cid:") || path.parent().unwrap().join(file).exists(),
                "{}: {link}",
                path.display()
            );
        }
    }
}
