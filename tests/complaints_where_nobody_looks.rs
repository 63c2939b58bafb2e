//! Whatever is wrong with a list: what a job says of it ends up in cron's mail or in the journal, and holds no cell of it.

use crate::{
    at_a_terminal::Terminal,
    support::{Home, Run, pdf},
};

/// The last thing that is said where something was left out.
const WHERE: &str = "run `apiece check CAMPAIGN` at a terminal to see what stands there\n";

/// A campaign with something wrong in its list.
struct Broken {
    what: &'static str,
    /// With what is to stand nowhere: words with `zz` in them
    list: Vec<u8>,
    front: &'static str,
    body: &'static str,
    ending: &'static str,
    settings: &'static str,
    /// What is said in place of it
    said: &'static str,
    /// Only a warning
    is_sent: bool,
}

fn broken(what: &'static str, list: impl Into<Vec<u8>>, said: &'static str) -> Broken {
    Broken {
        what,
        list: list.into(),
        front: "subject = \"Hello\"",
        body: "Dear {{name}},",
        ending: "txt",
        settings: "",
        said,
        is_sent: false,
    }
}

/// A wrong address in row 3.
fn address(what: &'static str, cell: &str, said: &'static str) -> Broken {
    let cell = cell.replace('"', "\"\"");
    broken(what, format!("name,email\nAda Zzada,zzada@zzone.example\nBo Zzbo,\"{cell}\"\n"), said)
}

/// A third column in row 3.
fn cell(what: &'static str, cell: &str, said: &'static str) -> Broken {
    let list = format!("name,email,note\nAda Zzada,zzada@zzone.example,fine\nBo Zzbo,zzbo@zztwo.example,\"{cell}\"\n");
    broken(what, list, said)
}

#[allow(clippy::too_many_lines)]
fn all() -> Vec<Broken> {
    let long = format!("zz{}@zz.example", "a".repeat(80));
    let unfolded = "zz0123456789".repeat(100);
    let html = |broken: Broken| Broken { ending: "html", ..broken };
    let moved = |away: usize| {
        let names = ["anna", "bert", "carl", "dora", "emil", "fina", "gert", "hans", "ines", "jule", "karl", "lena"];
        let row = |nth: usize| {
            let address = if nth < 4 { nth } else { (nth + away) % names.len() };
            format!("Zz{0} Zz{0}son,zz{1}.zz{1}son@zzone.example\n", names[nth], names[address])
        };
        format!("name,email\n{}", (0..names.len()).map(row).collect::<String>())
    };
    vec![
        address("no @", "zzbo.zztwo.example", "row 3, column \"email\": the address has no @"),
        address("two addresses", "zzbo@zztwo.example, zzb@zz.example", "the cell holds more than one address"),
        address("two signs", "zzbo@zztwo@zz.example", "the address has more than one @"),
        address("a name around", "Zzbo Zzbert <zzbo@zztwo.example>", "there is a name around the address"),
        address("mailto:", "mailto:zzbo@zztwo.example", "the address begins with mailto:"),
        address("a space", "zz bo@zztwo.example", "the address has a character inside which no address may hold"),
        address("a curly mark", "zz’bo@zztwo.example", "the address has a curly quotation mark"),
        address("no local part", "@zztwo.example", "nothing before the @"),
        address("no domain", "zzbo@", "nothing behind the @"),
        address("dots", "zz..bo@zztwo.example", "two dots in a row"),
        address("dots in the domain", "zzbo@zztwo..example", "two dots in a row"),
        address("too long", &long, "the address is too long"),
        address("an odd domain", "zzbo@zz_two.example", "a character in its domain"),
        address("a domain that cannot be", "zzbo@-zz.example", "the address has"),
        address("an odd ending", "zzbo@zztwo.zz9", "the address has"),
        address("no dot", "zzbo@zztwo", "no dot in its domain"),
        address("a number", "zzbo@[192.0.2.77]", "an IP address in place of a domain"),
        address("a quotation mark", "\"zz bo\"@zztwo.example", "the address"),
        address("empty", "", "there is no address"),
        address("twice", "ZZADA@zzone.example", "the address stands in rows 2 and 3"),
        Broken { is_sent: true, ..address("a slip", "zzbo@gmial.com", "looks like a slip of the keyboard") },
        Broken {
            is_sent: true,
            ..address("SMTPUTF8", "zzjörg@zztwo.example", "only servers with the extension SMTPUTF8")
        },
        Broken {
            settings: "[columns]\nnote = \"date\"\n",
            ..cell("no date", "zz32.13.2026", "row 3, column \"note\": the cell holds no date like 2026-11-24")
        },
        Broken { settings: "[columns]\nnote = \"number\"\n", ..cell("no number", "zz12", "the cell holds no number") },
        Broken { settings: "[columns]\nnote = \"yes_no\"\n", ..cell("neither", "zzaye", "says neither yes nor no") },
        Broken { body: "{{name}}: {{note}}", ..cell("nothing", "", "row 3, column \"note\": the cell is empty") },
        Broken {
            body: "{{name}}: {{note}}",
            ..cell(
                "somebody else's address",
                "see ZZADA@zzone.example",
                "row 3: the message holds the address of row 2",
            )
        },
        Broken {
            body: "{{name}}: {{note}}",
            settings: "[guard]\nidentifying = [\"name\"]\n",
            ..cell("somebody else's name", "with Ada Zzada", "row 3: the message holds \"name\" of row 2")
        },
        Broken { body: "{{note}}", ..cell("a bell", "zz\u{7}bell", "the cell holds the control character U+0007") },
        Broken {
            body: "{{note}}",
            is_sent: true,
            ..cell("an error", "#REF!", "the cell holds an error of the spreadsheet's")
        },
        Broken {
            front: "subject = \"For {{note}}\"",
            ..cell("a line break in a header", "zzone\nBcc: zzbcc@zz.example", "\"subject\" would hold a line break")
        },
        Broken { front: "subject = \"x\"\nreply_to = \"{{note}}\"", ..cell("a reply-to", "zzreply", "\"reply_to\"") },
        Broken {
            front: "subject = \"x\"\n[headers]\nX-Note = \"{{note}}\"",
            ..cell("a line too long", &unfolded, "a line of the finished message is longer than 998 octets")
        },
        Broken {
            front: "subject = \"x\"\nattachments = [\"zz-{{note}}.pdf\"]",
            ..cell("a missing file", "zzletter", "a file is not there")
        },
        Broken {
            front: "subject = \"x\"\nattachments = [\"letters/{{note}}.pdf\"]",
            ..broken(
                "one file for two",
                "name,email,note\nAda Zzada,zzada@zzone.example,zzsame\nBo Zzbo,zzbo@zztwo.example,zzsame\n",
                "the personal file is one that goes to row 2, too",
            )
        },
        Broken {
            front: "subject = \"x\"\nattachments = [\"letters/{{note}}.pdf\"]",
            ..cell("a path", "../zzother", "a value cannot be part of a file's name")
        },
        Broken { front: "subject = \"x\"\nlanguage = \"{{note}}\"", ..cell("a language", "zzlang", "") },
        Broken {
            front: "subject = \"x\"\nunsubscribe = \"{{note}}\"",
            ..cell("unsubscribing", "ftp://zz.example/zzgo", "")
        },
        html(Broken {
            body: "<p><a href=\"{{note}}\">x</a></p>",
            ..cell("a link", "javascript:zzalert", "a link would go to what is no web, mail or telephone address")
        }),
        html(Broken {
            body: "<p style=\"color: {{note}}\">x</p>",
            ..cell("a style", "red; zz: url(x)", "a style would hold what none may")
        }),
        html(Broken {
            front: "subject = \"x\"\nraw_html = [\"note\"]",
            body: "<p>{{{note}}}</p>",
            ..cell("raw HTML", "<img src='https://zz.example/zzpixel'>", "")
        }),
        html(Broken {
            front: "subject = \"x\"\nraw_html = [\"note\"]",
            body: "<p>{{{note}}}</p>",
            ..cell("a tag that is open", "<b zz=1>zzbold", "")
        }),
        Broken {
            body: "{{#if note}}x{{/if}}{{name}}",
            ..broken(
                "an untyped yes or no",
                "name,email,note\nAda Zzada,zzada@zzone.example,no\nBo Zzbo,zzbo@zztwo.example,yes\n",
                "",
            )
        },
        Broken {
            settings: "[recipients_options]\ngroup_by = \"email\"\n",
            body: "{{name}} {{note}}",
            ..broken(
                "rows that differ",
                "name,email,note\nAda Zzada,zzada@zzone.example,zzfirst\nAda Zzada,zzada@zzone.example,zzsecond\n",
                "once, and it differs in rows 2 and 3",
            )
        },
        Broken {
            settings: "[recipients_options]\nduplicates = \"first\"\n",
            is_sent: true,
            ..address("left out", "zzada@zzone.example", "the address stands in row 2 already")
        },
        broken(
            "no headings",
            "Ada Zzada,zzada@zzone.example\nBo Zzbo,zzbo@zztwo.example\n",
            "the first row holds a person",
        ),
        broken(
            "no headings and no @",
            "Ada Zzada,zzada at zzone\nBo Zzbo,zzbo@zztwo.example\n",
            "no column looks like",
        ),
        broken("a heading too few", "name,email\nAda,zzada@zzone.example,zzmore\n", "the row has 3 cells"),
        broken("no heading", "name,email,\nAda,zzada@zzone.example,zzmore\n", "the row has 3 cells"),
        broken("two headings", "Zz A,email,zz_a\nAda,zzada@zzone.example,zzmore\n", "two headings are the same"),
        broken("latin-1", b"name,email\nZz\xe4da,zzada@zzone.example\n".to_vec(), "this is not UTF-8 text"),
        broken(
            "a mark too few",
            "name,email\n\"Zzada,zzada@zzone.example\nBo,zzbo@zztwo.example\n",
            "a quotation mark",
        ),
        broken(
            "a mark too many",
            "name,email\n\"Zza\"da,zzada@zzone.example\nBo,zzbo@zztwo.example\n",
            "quotation mark",
        ),
        broken(
            "a column that is not there",
            "who,email\nZzada,zzada@zzone.example\n",
            "there is no column for {{name}}",
        ),
        broken("moved by one", moved(1), ""),
        Broken {
            settings: "[recipients_options]\naddress = \"mail\"\n",
            ..broken("another column", "name,email\nZzada,zzada@zzone.example\n", "there is no column \"mail\"")
        },
    ]
}

fn home(broken: &Broken) -> Home {
    let home = Home::new();
    let template = format!("t.{}.hbs", broken.ending);
    let settings = format!("template = \"{template}\"\nrecipients = \"people.csv\"\n{}", broken.settings);
    home.write("c/campaign.toml", settings);
    let front = format!("from = \"updates@police.example\"\n{}", broken.front);
    home.write(&format!("c/{template}"), format!("+++\n{front}\n+++\n{}\n", broken.body));
    home.write("c/people.csv", &broken.list);
    home.write("c/letters/zzsame.pdf", pdf("for one"));
    home
}

/// What of a list stands in a text: each of its words has `zz` in it.
fn named(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    ["zz", "192.0.2.77", "#ref", "gmial", "bell", "\u{7}"].into_iter().find(|cell| lower.contains(cell))
}

#[test]
fn no_cell_stands_in_what_a_job_says() {
    let mut wrong = Vec::new();
    for broken in all() {
        let home = home(&broken);
        let checked = home.run(&["check", "c"]);
        let mut complain = |what: &str, command: &str, text: &str| {
            wrong.push(format!("{}: {what}, {command}:\n{text}\n", broken.what));
        };
        if checked.code != if broken.is_sent { 0 } else { 65 } {
            complain("code", "check", &checked.stderr);
        }
        let jobs: [&[&str]; 4] = [
            &["send", "c", "--confirm", "2", "--log-level", "trace", "--log-file", "log", "--metrics", "m.prom"],
            &["send", "c", "--confirm", "2", "--log", "human", "--log-level", "trace"],
            &["send", "c", "--confirm", "2", "--sandbox"],
            &["prepare", "c"],
        ];
        for job in jobs {
            let mut run = home.run(job);
            // Its name is made up of any letters.
            run.stderr = run.stderr.replace(&home.path().display().to_string(), "");
            let command = job.join(" ");
            if !broken.is_sent && (run.code != 65 || named(&run.stdout).is_some()) {
                complain("code or output", &command, &format!("{}\n{}", run.code, run.stdout));
            }
            if let Some(cell) = named(&run.stderr) {
                complain(cell, &command, &run.stderr);
            }
            let words = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            if !words.contains(broken.said) && !says(&words, broken.said) {
                complain(broken.said, &command, &run.stderr);
            }
            let shorter = checked.stderr != run.stderr.replace(WHERE, "");
            if job[0] == "prepare" && !broken.is_sent && run.stderr.ends_with(WHERE) != shorter {
                complain("where to look", &command, &run.stderr);
            }
            for file in ["log", "m.prom"] {
                let text = std::fs::read_to_string(home.path().join(file)).unwrap_or_default();
                if let Some(cell) = named(&text) {
                    complain(cell, file, &text);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A sentence in a table has its row and its column elsewhere.
fn says(words: &str, said: &str) -> bool {
    said.rsplit(": ").next().is_some_and(|sentence| words.contains(sentence))
}

#[test]
fn a_line_of_a_template_is_not_shown_and_its_place_is() {
    let home = Home::new();
    home.campaign("name,email\nAda,ada@one.example\n");
    home.write("c/t.txt.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nbodyword {{nam}}\n");
    let Run { stderr, .. } = home.run(&["prepare", "c"]).ended(65);
    let said = "error: c/t.txt.hbs:5:12: there is no column for {{nam}}\n  help: did you mean {{name}}?\n";
    assert_eq!(stderr, format!("{said}{WHERE}"));
    assert!(home.run(&["check", "c"]).ended(65).stderr.contains("bodyword"));
}

#[test]
fn at_a_terminal_it_is_said_what_stands_there() {
    let home = Home::new();
    home.campaign("name,email\nAda,ada.one.example\n");
    let seen = Terminal::all(&home, &["send", "c", "--color", "never", "--confirm", "1"], 65);
    assert!(seen.contains("\"ada.one.example\" has no @") && !seen.contains("apiece check"), "{seen}");
    // What is said of a list that is right has nothing left out.
    home.campaign("name,email\nAda,ada@one.example\n");
    assert_eq!(home.run(&["send", "c", "--sandbox", "--confirm", "1"]).ended(0).stderr, "");
}
