//! Files that go with messages: each is looked at before anything is sent, and a personal one reaches one person.

use std::collections::BTreeSet;

use mail_parser::{MessageParser, MimeHeaders};

use crate::support::{
    Home, account, json, pdf,
    scripted::{Scripted, Tls},
};

const LIST: &str = "email,name,ref\nada@one.example,Ada,A-1\nbo@two.example,Bo,B-2\n";

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";

/// A campaign with these front matter lines, this body, and letters to both people.
fn home(front: &str, body: &str) -> Home {
    let home = Home::new();
    home.write("c/campaign.toml", "template = \"t.md.hbs\"\nrecipients = \"people.csv\"\n");
    home.write(
        "c/t.md.hbs",
        format!(
            "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"For {{{{name}}}}\"\n{front}\n+++\n{body}\n"
        ),
    );
    home.write("c/people.csv", LIST);
    home.write("c/leaflet.pdf", pdf("leaflet"));
    home.write("c/letters/A-1.pdf", pdf("letter to Ada"));
    home.write("c/letters/B-2.pdf", pdf("letter to Bo"));
    home.write("c/logo.png", PNG);
    home
}

#[track_caller]
fn refused(home: &Home) -> String {
    home.run(&["check", "c"]).ended(65).stderr
}

/// Media type, name, Content-ID and content of each part that is no text of the message.
fn files(home: &Home, row: u64) -> Vec<(String, String, Option<String>, Vec<u8>)> {
    let out = format!("out{row}");
    home.run(&["preview", "c", "--row", &row.to_string(), "--eml", &out]).ended(0);
    let bytes = std::fs::read(home.path().join(format!("{out}/row-{row:06}.eml"))).unwrap();
    let message = MessageParser::default().parse(&bytes).unwrap();
    let parts = message.parts.iter().filter(|part| part.attachment_name().is_some());
    parts
        .map(|part| {
            let kind = part.content_type().unwrap();
            let kind = format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or(""));
            let name = part.attachment_name().unwrap().to_owned();
            (kind, name, part.content_id().map(str::to_owned), part.contents().to_vec())
        })
        .collect()
}

#[test]
fn everybody_gets_the_shared_file_and_their_own() {
    let home = home(
        "attachments = [\"leaflet.pdf\", { file = \"letters/{{ref}}.pdf\", name = \"Brief für {{name}}, 日本 \\\"1\\\".pdf\" }]\n\
         [inline]\nlogo = \"logo.png\"",
        "![Logo](cid:logo) Dear {{name}}",
    );
    for (row, name, letter) in [(2, "Ada", "letter to Ada"), (3, "Bo", "letter to Bo")] {
        assert_eq!(
            files(&home, row),
            [
                ("image/png".into(), "logo.png".into(), Some("logo".into()), PNG.to_vec()),
                ("application/pdf".into(), "leaflet.pdf".into(), None, pdf("leaflet")),
                ("application/pdf".into(), format!("Brief für {name}, 日本 \"1\".pdf"), None, pdf(letter)),
            ]
        );
    }
    let eml = std::fs::read_to_string(home.path().join("out2/row-000002.eml")).unwrap();
    assert!(
        eml.contains("\r\n name=\"=?utf-8?b?") && eml.contains("filename*0*=utf-8''Brief%20f%C3%BCr%20Ada"),
        "{eml}"
    );
    let order =
        ["multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"];
    let places: Vec<usize> = order.iter().map(|kind| eml.find(kind).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let again = home.run(&["preview", "c", "--row", "2", "--eml", "again"]).ended(0);
    assert_eq!(again.stderr, "");
    let again = std::fs::read_to_string(home.path().join("again/row-000002.eml")).unwrap();
    assert_eq!(again.split_once("\r\n").unwrap().1, eml.split_once("\r\n").unwrap().1, "the same but for the date");
}

#[test]
fn a_personal_file_goes_to_nobody_else() {
    let to_one = home("attachments = [\"letters/{{ref}}.pdf\"]", "Hello");
    to_one.write("c/people.csv", LIST.replace("B-2", "A-1"));
    assert!(
        refused(&to_one).contains("row 3: the personal file \"letters/A-1.pdf\" goes to row 2, too\n"),
        "{}",
        refused(&to_one)
    );
    let same = home("attachments = [\"letters/{{ref}}.pdf\"]", "Hello");
    same.write("c/letters/B-2.pdf", pdf("letter to Ada"));
    assert!(
        refused(&same)
            .contains("the personal file \"letters/B-2.pdf\" is the same as \"letters/A-1.pdf\", which goes to row 2"),
        "{}",
        refused(&same)
    );
    let picture = home("[inline]\ncode = \"letters/{{name}}.png\"", "![x](cid:code)");
    picture.write("c/letters/Ada.png", PNG);
    picture.write("c/letters/Bo.png", PNG);
    assert!(refused(&picture).contains("which goes to row 2"), "{}", refused(&picture));
    // Nor by sending to some rows alone, nor as a file for everybody.
    for rows in [["--row", "2"], ["--row", "3"]] {
        let some = same.run(&["preview", "c", rows[0], rows[1]]).ended(65).stderr;
        assert!(some.contains("is the same as"), "{some}");
    }
    let send = same.run(&["send", "c", "--sandbox", "--rows", "3", "--confirm", "1"]).ended(65).stderr;
    assert!(send.contains("row 3: the personal file is one that goes to row 2, too"), "{send}");
    let to_all =
        home("attachments = [\"letters/A-1.pdf\", { file = \"letters/{{ref}}.pdf\", name = \"own.pdf\" }]", "Hello");
    assert!(
        refused(&to_all).contains("the personal file \"letters/A-1.pdf\" goes to everybody, too"),
        "{}",
        refused(&to_all)
    );
    to_all.write("c/letters/A-1.pdf", pdf("other"));
    to_all.write("c/leaflet.pdf", pdf("letter to Bo"));
    to_all.write("c/t.md.hbs", "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\nattachments = [\"leaflet.pdf\", \"letters/{{ref}}.pdf\"]\n+++\nHello\n");
    assert!(
        refused(&to_all).contains("is the same as \"leaflet.pdf\", which goes to everybody"),
        "{}",
        refused(&to_all)
    );
    let shared = home("attachments = [{ file = \"letters/{{ref}}.pdf\", shared = true }]", "Hello");
    shared.write("c/people.csv", LIST.replace("B-2", "A-1"));
    shared.run(&["check", "c"]).ended(0);
}

#[test]
fn a_letter_that_goes_to_nobody_is_said() {
    let left = home("attachments = [\"letters/{{ref}}.pdf\"]", "Hello");
    left.write("c/letters/C-3.pdf", pdf(""));
    left.write("c/letters/notes.txt", "no letter");
    let run = left.run(&["check", "c"]).ended(0);
    assert_eq!(
        run.stderr,
        "warning: 1 file in \"letters\" goes to nobody: \"C-3.pdf\"\n  \
           help: is somebody missing from the list, or a file of another campaign here?\n"
    );
    assert!(run.stdout.contains("look at the warnings above"), "{}", run.stdout);
    let found = json(&left.run(&["check", "c", "--format", "json"]).ended(0));
    assert!(found[0]["code"] == "file.nobody" && found[1]["warnings"] == 1, "{found:?}");
    // For one person nothing is left over.
    assert_eq!(left.run(&["preview", "c", "--row", "2"]).ended(0).stderr, "");
    let beside = home("attachments = [\"leaflet.pdf\", \"{{ref}}.pdf\"]", "Hello");
    for name in ["A-1", "B-2", "C-3"] {
        beside.write(&format!("c/{name}.pdf"), pdf(name));
    }
    let said = beside.run(&["check", "c"]).ended(0).stderr;
    assert!(said.starts_with("warning: 1 file in the template's directory goes to nobody: \"C-3.pdf\"\n"), "{said}");
}

#[test]
fn what_is_missing_or_not_what_it_should_be_is_said_before_anything_is_sent() {
    for (front, said) in [
        (
            "attachments = [\"leaflet.pdf\", \"laeflet.pdf\"]",
            "error: there is no file \"laeflet.pdf\"\n --> c/t.md.hbs:4:31\n  |\n4 | attachments = [\"leaflet.pdf\", \"laeflet.pdf\"]\n  \
               |                               ^^^^^^^^^^^^^\n  |\n  = help: did you mean \"leaflet.pdf\"?\n",
        ),
        ("attachments = \"letters/{{rf}}.pdf\"", "error: there is no column for {{rf}}\n --> c/t.md.hbs:4:26\n"),
        ("attachments = \"../x.pdf\"", "\"../x.pdf\" is not the path of a file below the template's directory"),
        ("attachments = \"/etc/hostname\"", "\"/etc/hostname\" is not the path of a file below"),
        ("attachments = \"letters\"", "\"letters\" is no file"),
        ("attachments = [{ name = \"x\" }]", "the key \"file\" is missing in [attachments]"),
        ("attachments = [{ file = \"leaflet.pdf\", nme = \"x\" }]", "there is no key \"nme\" in [attachments]"),
        ("attachments = [1]", "\"attachments\" must be a string or a table, and this is an integer"),
        ("attachments = \"letters/{{name}}.pdf\"", "there is no file \"letters/Ada.pdf\""),
        ("attachments = \"bad.pdf\"", "the file \"bad.pdf\" is no PDF: it begins with \"<!DOCTYPE html>"),
        ("attachments = \"empty.txt\"", "the file \"empty.txt\" is empty"),
        ("attachments = \"tool.exe\"", "the file \"tool.exe\" will not arrive: mail programs refuse .exe files"),
        ("attachments = { file = \"leaflet.pdf\", name = \"a/b\" }", "\"a/b\" cannot be the name of a file"),
        (
            "attachments = { file = \"leaflet.pdf\", name = \"a.exe\" }",
            "the file \"leaflet.pdf\" would be called \"a.exe\", which ends otherwise",
        ),
        ("attachments = { file = \"leaflet.pdf\", name = \"a\\u202Efdp.pdf\" }", "cannot be the name of a file"),
        (
            "attachments = [\"leaflet.pdf\", \"letters/leaflet.pdf\"]",
            "two files of the message would be called \"leaflet.pdf\"",
        ),
        ("attachments = \"people.csv\"", "the file \"people.csv\" is of the campaign itself, and is never sent"),
        ("attachments = \"campaign.toml\"", "the file \"campaign.toml\" is of the campaign itself"),
        ("attachments = \"t.md.hbs\"", "the file \"t.md.hbs\" is of the campaign itself"),
        ("attachments = \"link.pdf\"", "the file \"link.pdf\" lies outside of the template's directory"),
        ("[inline]\n\"my logo\" = \"logo.png\"", "a picture cannot be called \"my logo\""),
        ("[inline]\nlogo = \"logo.png\"", "the HTML does not show cid:logo"),
    ] {
        let home = home(front, "Hello");
        home.write("c/bad.pdf", "<!DOCTYPE html>\n<p>404</p>");
        home.write("c/empty.txt", "");
        home.write("c/letters/leaflet.pdf", pdf("another"));
        home.write("c/tool.exe", "MZ");
        home.write("x.pdf", pdf(""));
        #[cfg(unix)]
        std::os::unix::fs::symlink(home.path().join("x.pdf"), home.path().join("c/link.pdf")).unwrap();
        let all = refused(&home);
        assert!(all.contains(said), "{front}\n{all}");
    }
    for (list, said) in [
        ("../leaflet", "\"../leaflet\" cannot be part of a file's name"),
        ("a\\b", "\"a\\\\b\" cannot be part of a file's name"),
        (".hidden", "\"letters/.hidden.pdf\" is not the path of a file"),
    ] {
        let home = home("attachments = \"letters/{{ref}}.pdf\"", "Hello");
        home.write("c/people.csv", LIST.replace("B-2", list));
        let all = refused(&home);
        assert!(all.contains(said) || all.contains(&said.replace("\\\\", "\\")), "{list}\n{all}");
        assert!(all.contains("row 3: "), "it is said which row: {all}");
    }
    let text = home("", "Hello");
    text.write(
        "c/t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n[inline]\na = \"logo.png\"\n+++\nx\n",
    );
    let said = text.run(&["check", "c", "--template", "c/t.txt.hbs"]).ended(65).stderr;
    assert!(said.contains("plain text shows no pictures"), "{said}");
}

#[test]
fn an_empty_path_attaches_nothing() {
    let home = home("attachments = \"{{#if ref}}letters/{{ref}}.pdf{{/if}}\"", "Hello");
    home.write("c/people.csv", LIST.replace("A-1", ""));
    std::fs::remove_file(home.path().join("c/letters/A-1.pdf")).unwrap();
    assert_eq!(files(&home, 2), []);
    assert_eq!(files(&home, 3).len(), 1);
}

#[test]
fn a_message_brings_the_pictures_that_it_shows() {
    let home = home(
        "[inline]\nlogo = \"logo.png\"\nlogo2 = { file = \"logo.png\" }",
        "{{#if (eq name \"Ada\")}}![x](cid:logo2){{else}}<img src='cid:logo' alt='y'>{{/if}}",
    );
    let ids = |row| files(&home, row).into_iter().filter_map(|file| file.2).collect::<Vec<_>>();
    assert_eq!((ids(2), ids(3)), (vec!["logo2".to_owned()], vec!["logo".to_owned()]));
    let unknown = self::home("[inline]\nlogo = \"logo.png\"", "![x](cid:logo) ![y](cid:lgo)");
    let said = refused(&unknown);
    assert!(
        said.contains("the message shows cid:lgo, and brings no such picture along\n --> c/t.md.hbs:7:16\n"),
        "{said}"
    );
    let by_value = self::home("[inline]\nlogo = \"logo.png\"", "<img src=\"cid:{{name}}\" alt=\"\"> ![x](cid:logo)");
    assert!(refused(&by_value).contains("the message shows cid:Ada"), "{}", refused(&by_value));
    let not_always = self::home("[inline]\nlogo = \"{{#if (eq name \\\"Ada\\\")}}logo.png{{/if}}\"", "![x](cid:logo)");
    let said = refused(&not_always);
    assert!(said.contains("row 3: the message shows cid:logo, and brings no such picture along"), "{said}");
    let upper = self::home("[inline]\nlogo = \"logo.png\"", "<img src=\"CID:logo\" alt=\"x\">");
    assert_eq!(files(&upper, 2).len(), 1);
    let no_picture = self::home("[inline]\nlogo = \"leaflet.pdf\"", "![x](cid:logo)");
    assert!(refused(&no_picture).contains("the file \"leaflet.pdf\" is no picture"), "{}", refused(&no_picture));
}

#[test]
fn a_message_is_no_larger_than_permitted() {
    let home = home("attachments = \"leaflet.pdf\"", "Hello");
    home.write("c/leaflet.pdf", [b"%PDF-1.4 ".as_slice(), &[b'x'; 40_000]].concat());
    home.run(&["check", "c"]).ended(0);
    let said = home.run(&["check", "c", "--max-message-size", "50kB"]).ended(65).stderr;
    assert!(said.contains("the finished message has 5") && said.contains("bytes, and 50000 are permitted"), "{said}");
    assert!(said.contains("help: rows 2, 3: attach less, or permit more with --max-message-size"), "{said}");
    let said = home.run(&["check", "c", "--max-message-size", "30kB"]).ended(65).stderr;
    assert!(said.contains("the file \"leaflet.pdf\" has 40009 bytes, and a message may have 30000"), "{said}");
    let settings = "template = \"t.md.hbs\"\nrecipients = \"people.csv\"\n[send]\nmax_message_size = \"50 kB\"\n";
    home.write("c/campaign.toml", settings);
    home.run(&["check", "c"]).ended(65);
    home.run(&["check", "c", "--max-message-size", "1MB"]).ended(0);
    home.write("c/campaign.toml", settings.replace("50 kB", "lots"));
    assert!(home.run(&["check", "c"]).ended(65).stderr.contains("for example 25MB"));
}

#[test]
fn what_the_server_takes_is_known_before_the_first_message() {
    let home = home("attachments = \"letters/{{ref}}.pdf\"", "Hello");
    home.write("c/letters/B-2.pdf", [b"%PDF-1.4 ".as_slice(), &[b'x'; 40_000]].concat());
    for (extension, code, count) in [("SIZE 30000", 65, 0), ("SIZE 0", 0, 2), ("SIZE", 0, 2), ("SIZE 100000", 0, 2)] {
        let server = Scripted::builder().tls(Tls::Implicit).auth("u", "secret").extensions(&[extension]).start();
        home.config(&account(server.port(), server.ca_file(), "implicit", "username = \"u\"\npassword_env = \"P\""));
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "2", "--again"]);
        let run = crate::support::Run::of(command.env("P", "secret").output().unwrap()).ended(code);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(server.accepted().len(), count, "{extension}\n{all}");
        assert_eq!(all.contains("and the server takes 30000"), code == 65, "{extension}\n{all}");
        let sizes: BTreeSet<String> = server
            .lines()
            .into_iter()
            .filter_map(|line| line.text.split_once(" SIZE=").map(|(_, size)| size.to_owned()))
            .collect();
        assert_eq!(sizes.len(), count, "each message says how large it is: {sizes:?}");
    }
}
