//! Nobody's data in anybody else's message: what the guard finds, whatever it is and wherever it stands, and what it lets
//! through.

use std::{io::Write, sync::Arc};

use apiece::{
    campaign::ListOptions,
    guard::Guard,
    message::Composer,
    recipients::{Columns, Recipient, RecipientList},
    template::Template,
};

use crate::support::{Home, json, pdf};

const LIST: &str = "email,name,phone,ref,note\n\
    ada@one.example,Ada Byron,+44 7700 900001,OE-2041,\n\
    bo@two.example,Bo Caine,07700 900002,OE-2042,\n\
    cy@three.example,Cy Dore,07700 900003,OE-2043,\n";

const GUARD: &str = "[guard]\nidentifying = [\"name\", \"phone\", \"ref\"]\n";

fn home(guard: &str, body: &str, list: &str) -> Home {
    let home = Home::new();
    home.write("c/campaign.toml", format!("template = \"t.md.hbs\"\nrecipients = \"p.csv\"\n{guard}"));
    home.write(
        "c/t.md.hbs",
        format!("+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"Case {{{{ref}}}}\"\n+++\n{body}\n"),
    );
    home.write("c/p.csv", list);
    home
}

#[test]
fn values_of_others_are_refused_with_all_that_is_known() {
    for (note, said) in [
        (
            "as for Bo Caine",
            "the message to ada@one.example holds \"Bo Caine\", \"name\" of row 3, in the text: \"Dear Ada Byron: as for Bo Caine\"",
        ),
        (
            "call 0044 7700-900002",
            "the message to ada@one.example holds \"0044 7700-900002\", \"phone\" of row 3, in the text: \"Dear Ada Byron: call 0044 7700-900002\"",
        ),
        (
            "see oe2042",
            "the message to ada@one.example holds \"oe2042\", \"ref\" of row 3, in the text: \"Dear Ada Byron: see oe2042\"",
        ),
        (
            "ask BO@two.example",
            "the message to ada@one.example holds \"bo@two.example\", the address of row 3, in the text: \"Dear Ada Byron: ask BO@two.example\"",
        ),
    ] {
        let list = LIST.replacen("OE-2041,", &format!("OE-2041,{note}"), 1);
        let home = home(
            GUARD,
            "Dear {{name}}: {{note}}",
            &list.replace("OE-2042,", "OE-2042,-").replace("OE-2043,", "OE-2043,-"),
        );
        let run = home.run(&["check", "c"]).ended(65);
        assert!(
            run.stderr.starts_with(&format!("error: c/p.csv, row 2: {said}\n  help: take it out of")),
            "{}",
            run.stderr
        );
        assert_eq!(run.stderr.matches("the message to ada@one.example holds").count(), 1, "{}", run.stderr);
        // What others may read is short.
        let found = json(&home.run(&["check", "c", "--format", "json"]).ended(65));
        let brief = found[0]["message"].as_str().unwrap();
        assert!(brief.contains('…') && !brief.contains("Caine") && !brief.contains("900002"), "{brief}");
        let sent = home.run(&["send", "c", "--sandbox", "--confirm", "3"]).ended(65);
        assert!(!sent.stderr.contains("Caine") && !sent.stderr.contains("900002"), "{}", sent.stderr);
        assert!(sent.stderr.contains("row 3"), "{}", sent.stderr);
    }
}

#[test]
fn what_is_ones_own_or_tells_nobody_passes() {
    for (guard, body, list) in [
        (GUARD, "Dear {{name}}, {{phone}}, {{ref}}, you may call 07700 900009 about OE-2044", LIST.to_owned()),
        ("[guard]\nidentifying = \"name\"\nallow = [\"bo caine\"]\n", "Bo Caine helps", LIST.to_owned()),
        (
            "[guard]\nidentifying = \"name\"\ncommon = 1\n",
            "Sam and Kim {{name}}",
            "email,name,ref\na@one.example,Sam,1\nb@one.example,Sam,2\nc@one.example,Kim,3\nd@one.example,Kim,4\n"
                .into(),
        ),
        ("", "Bo Caine, 07700 900002, OE-2042", LIST.to_owned()),
    ] {
        home(guard, body, &list).run(&["check", "c"]).ended(0);
    }
    let unknown = home("[guard]\nidentifying = \"fone\"\n", "x", LIST);
    let said = unknown.run(&["check", "c"]).ended(65).stderr;
    assert!(said.contains("there is no column \"fone\", which is to be identifying"), "{said}");
    let by_flag = home("", "Bo Caine", LIST);
    by_flag.run(&["check", "c", "--identifying", "name"]).ended(65);
    by_flag.run(&["check", "c", "--identifying", "name", "--common", "1"]).ended(65);
}

/// A program that takes the fields of the row below is found out in every sample.
#[test]
fn the_neighbours_row_is_found_out() {
    for (sample, list, options) in [
        ("investigation-update/update.md.hbs", "investigation-update/recipients.csv", ListOptions::default()),
        ("appointments/appointment.html.hbs", "appointments/patients.csv", ListOptions::default()),
        (
            "notice/notice.txt.hbs",
            "notice/members.csv",
            ListOptions { address: Some("Kontakt".into()), ..ListOptions::default() },
        ),
    ] {
        let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let identifying =
            |columns: &Columns| vec![columns.heading(if columns.heading(0).contains('@') { 1 } else { 0 }).to_owned()];
        let plain = RecipientList::read(&samples.join(list), &options).unwrap();
        let options = ListOptions { identifying: identifying(plain.columns()), ..options };
        let right = RecipientList::read(&samples.join(list), &options).unwrap();
        // Each address with the fields of the next person.
        let people: Vec<Recipient<'_>> = right.iter().collect();
        let mut moved = csv::Writer::from_writer(Vec::new());
        let columns = right.columns();
        moved.write_record((0..columns.len()).map(|column| columns.heading(column))).unwrap();
        for (nth, person) in people.iter().enumerate() {
            let other = people[(nth + 1) % people.len()];
            let cells = (0..columns.len()).map(|column| {
                if column == right.address_column() { person.field(column) } else { other.field(column) }
            });
            moved.write_record(cells).unwrap();
        }
        let moved = String::from_utf8(moved.into_inner().unwrap()).unwrap();
        let wrong =
            RecipientList::parse("moved.csv", &moved, &ListOptions { rows_are_right: true, ..options }).unwrap();
        let template = Arc::new(Template::read(&samples.join(sample), right.columns()).unwrap());
        let right = Arc::new(right);
        let guard = Guard::new(Arc::clone(&right), &template.fixed_addresses()).with_identifying(3, &[]);
        let good = Composer::new(Arc::clone(&template), Arc::clone(&right));
        let bad = Composer::new(template, Arc::new(wrong));
        for index in 0..right.len() {
            assert_eq!(guard.inspect(&good.compose(index).unwrap()), [], "{sample}");
            assert!(!guard.inspect(&bad.compose(index).unwrap()).is_empty(), "{sample}, person {index}");
        }
    }
}

/// A campaign to Ada and Bo with this front matter, body and files, which go to both, so that Ada gets what is Bo's.
fn leaking(front: &str, body: &str, files: &[(&str, Vec<u8>)]) -> Home {
    let home = Home::new();
    let settings = "template = \"t.html.hbs\"\nrecipients = \"p.csv\"\n[guard]\nallow = [\"help@police.example\"]\n";
    home.write("c/campaign.toml", settings);
    let front =
        format!("+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"For {{{{name}}}}\"\n{front}\n+++\n");
    home.write(
        "c/t.html.hbs",
        format!("{front}<!doctype html>\n<html lang=\"en\"><head><title>x</title></head><body>{body}</body></html>\n"),
    );
    home.write("c/t.txt.hbs", "Hello {{name}}\n");
    home.write(
        "c/p.csv",
        "name,email,note\nAda,ada@one.example,bo.b@two.example\nBo,bo.b@two.example,help@police.example\n",
    );
    for (name, bytes) in files {
        home.write(&format!("c/{name}"), bytes);
    }
    home
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A Word document in which an address is spread over three runs.
fn docx() -> Vec<u8> {
    let runs: String =
        ["write to bo.b", "@two.ex", "ample now"].map(|text| format!("<w:r><w:t>{text}</w:t></w:r>")).concat();
    let document = format!(
        "<?xml version=\"1.0\"?><w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\">\
         <w:body><w:p>{runs}</w:p></w:body></w:document>"
    );
    let types =
        "<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";
    zip(&[("[Content_Types].xml", types.as_bytes()), ("word/document.xml", document.as_bytes())])
}

fn xlsx() -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "Contact").unwrap();
    sheet.write(1, 0, "bo.b@two.example").unwrap();
    book.save_to_buffer().unwrap()
}

/// What is in the message to Ada, and where it is said to be.
type Leaking<'t> = (&'t str, &'t str, &'t [(&'t str, Vec<u8>)], &'t str);

#[test]
fn every_leaking_campaign_is_refused() {
    let attach = |name: &str| format!("attachments = [\"{name}\"]\ntext_template = \"t.txt.hbs\"");
    let own_text = "text_template = \"t.txt.hbs\"";
    let utf16 = "\u{feff}to bo.b@two.example".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let in_greek = "Γειά σου, αυτό είναι ένα μήνυμα. Γράψε στο bo.b@two.example σήμερα το βράδυ.";
    let eml = b"From: a@x.example\r\nTo: b@x.example\r\nContent-Transfer-Encoding: base64\r\n\r\nd3JpdGUgdG8gYm8uYkB0d28uZXhhbXBsZSBub3c=\r\n";
    let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nATTENDEE:mailto:bo.b@\r\n two.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let cases: &[Leaking<'_>] = &[
        ("", "<p>write to bo.b@two.example today</p>", &[], "the text: \"write to bo.b@two.example today\""),
        (
            own_text,
            "<p>write to <b>bo.b</b>@two.example today</p>",
            &[],
            "the HTML: \"write to bo.b@two.example today\"",
        ),
        (
            own_text,
            "<p>x</p><!-- from bo.b@two.example -->",
            &[],
            "the HTML where it is not shown: \"from bo.b@two.example\"",
        ),
        (own_text, "<p>bo&period;b&#64;two&#x2e;example</p>", &[], "the HTML: \"bo.b@two.example\""),
        (
            own_text,
            "<p><a href=\"https://x.example/?to=bo.b%40two.example\">x</a></p>",
            &[],
            "the HTML where it is not shown: \"…=\"https://x.example/?to=bo.b@two.example\"\"",
        ),
        (
            own_text,
            "<p><a href=\"https://x.example/?u=https%3A%2F%2Fy.example%2F%3Fe%3Dbo.b%2540two.example\">x</a></p>",
            &[],
            "the HTML where it is not shown: \"…?u=https://y.example/?e=bo.b@two.example\"\"",
        ),
        (own_text, "<p>BO.B@Two.EXAMPLE</p>", &[], "the HTML: \"BO.B@Two.EXAMPLE\""),
        (own_text, "<p>bo.b@\u{200b}two.exam\u{ad}ple</p>", &[], "the HTML: \"bo.b@two.example\""),
        (own_text, "<p>ｂｏ．ｂ＠ｔｗｏ．ｅｘａｍｐｌｅ</p>", &[], "the HTML: \"bo.b@two.example\""),
        (own_text, "<p>bo.b+case7@two.example</p>", &[], "the HTML: \"bo.b+case7@two.example\""),
        ("", in_greek, &[], "the text: \"…ι ένα μήνυμα. Γράψε στο bo.b@two.example σήμερα το βράδυ.\""),
        (
            "reply_to = \"{{note}}\"\ntext_template = \"t.txt.hbs\"",
            "<p>x</p>",
            &[],
            "the header Reply-To: \"bo.b@two.example\"",
        ),
        (
            "text_template = \"t.txt.hbs\"\n[headers]\nX-Case = \"for bo.b@two.example\"",
            "<p>x</p>",
            &[],
            "the header X-Case: \"for bo.b@two.example\"",
        ),
        (
            "text_template = \"t.txt.hbs\"\n[headers]\nX-Case = \"für bo.b@two.example\"",
            "<p>x</p>",
            &[],
            "the header X-Case: \"für bo.b@two.example\"",
        ),
        (
            "text_template = \"t.txt.hbs\"\nunsubscribe = \"https://x.example/?e={{note}}\"",
            "<p>x</p>",
            &[],
            "the header List-Unsubscribe: \"<https://x.example/?e=bo.b@two.example>\"",
        ),
        (
            &attach("a.docx"),
            "<p>x</p>",
            &[("a.docx", docx())],
            "the attachment \"a.docx\", word/document.xml: \"write to bo.b@two.example now\"",
        ),
        (
            &attach("a.xlsx"),
            "<p>x</p>",
            &[("a.xlsx", xlsx())],
            "the attachment \"a.xlsx\", xl/sharedStrings.xml: \"Contact bo.b@two.example\"",
        ),
        (
            &attach("a.pdf"),
            "<p>x</p>",
            &[("a.pdf", pdf("write to bo.b@two.example now"))],
            "the attachment \"a.pdf\", page 1: \"write to bo.b@two.example now\"",
        ),
        (
            &attach("a.zip"),
            "<p>x</p>",
            &[("a.zip", zip(&[("in/list.csv", b"email\nbo.b@two.example\n")]))],
            "the attachment \"a.zip\", in/list.csv: \"email bo.b@two.example\"",
        ),
        (
            &attach("a.zip"),
            "<p>x</p>",
            &[("a.zip", zip(&[("for bo.b@two.example", b"x")]))],
            "the attachment \"a.zip\", names of files: \"for bo.b@two.example\"",
        ),
        (
            &attach("a.zip"),
            "<p>x</p>",
            &[("a.zip", zip(&[("in.zip", &zip(&[("a.pdf", &pdf("bo.b@two.example"))]))]))],
            "the attachment \"a.zip\", in.zip › a.pdf › page 1: \"bo.b@two.example\"",
        ),
        (
            &attach("a.eml"),
            "<p>x</p>",
            &[("a.eml", eml.to_vec())],
            "the attachment \"a.eml\", part 0: \"write to bo.b@two.example now\"",
        ),
        (
            &attach("a.ics"),
            "<p>x</p>",
            &[("a.ics", ics.into())],
            "the attachment \"a.ics\": \"…:VEVENT ATTENDEE:mailto:bo.b@two.example END:VEVENT END:VCA…\"",
        ),
        (&attach("a.csv"), "<p>x</p>", &[("a.csv", utf16)], "the attachment \"a.csv\": \"to bo.b@two.example\""),
        (
            "text_template = \"t.txt.hbs\"\nattachments = [{ file = \"a.pdf\", name = \"bo.b@two.example.pdf\" }]",
            "<p>x</p>",
            &[("a.pdf", pdf("x"))],
            "the name of an attachment: \"…pplication/pdf; name=\"bo.b@two.example.pdf\"\"",
        ),
    ];
    for (front, body, files, place) in cases {
        let home = leaking(front, body, files);
        let value = if body.contains("+case7") { "bo.b+case7@two.example" } else { "bo.b@two.example" };
        let run = home.run(&["check", "c"]).ended(65);
        let said = format!(
            "error: c/p.csv, row 2: the message to ada@one.example holds \"{value}\", the address of row 3, in {place}\n  \
               help: take it out of the template or the cell; an address that everybody may see belongs under allow in [guard] of campaign.toml\n"
        );
        assert_eq!(run.stderr, said, "{front}\n{body}");
    }
}

#[test]
fn what_only_looks_like_a_leak_passes() {
    let front =
        "text_template = \"t.txt.hbs\"\nreply_to = \"casework@police.example\"\nattachments = [\"a.csv\", \"a.pdf\"]";
    for body in [
        "<p>Your address is {{email}}.</p>",
        "<p><a href=\"https://x.example/?e={{email}}\">{{name}}</a> casework@police.example, UPDATES@police.example</p>",
        "<p>joann.bo.b@two.example, xbo.b@two.example, bo.b@two.example.org, bo.b@two.example-shop.example</p>",
        "<p>bo.b@sub.two.example o'bo.b@two.example bo.b at two.example @ bo.b@</p>",
        "<!-- help@police.example --><p>help+{{name}}@police.example</p>",
    ] {
        let home = leaking(
            front,
            body,
            &[("a.csv", b"mybo.b@two.example,help@police.example".to_vec()), ("a.pdf", pdf("casework@police.example"))],
        );
        let run = home.run(&["check", "c"]).ended(0);
        assert_eq!(run.stderr, "", "{body}");
    }
}

const SCAN: &[u8] = b"\x89PNG\r\n\x1a\n....";

#[test]
fn an_attachment_that_cannot_be_looked_into_is_said_or_refused() {
    let front = "text_template = \"t.txt.hbs\"\nattachments = [\"scan.png\", { file = \"{{name}}.zip\", name = \"letter.zip\" }]\n[inline]\nlogo = \"logo.png\"";
    let locked = |name: &str| {
        let mut archive = zip(&[(name, b"secret")]);
        // The bit that says that it is encrypted (APPNOTE 4.4.4), in both headers of the file.
        archive[6] |= 1;
        let central = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        archive[central + 8] |= 1;
        archive
    };
    let files = [
        ("scan.png", SCAN.to_vec()),
        ("logo.png", [SCAN, b"logo"].concat()),
        ("Ada.zip", locked("a.txt")),
        ("Bo.zip", locked("b.txt")),
    ];
    let home = leaking(front, "<p><img src=\"cid:logo\" alt=\"\">{{name}}</p>", &files);
    home.write("c/p.csv", "name,email\nAda,ada@one.example\nBo,bo.b@two.example\n");
    let help = "\n  help: see for yourself that nobody else's data is in it; opaque_attachments = \"refuse\" under [guard] of \
                campaign.toml refuses such a campaign\n";
    let run = home.run(&["check", "c"]).ended(0);
    assert_eq!(
        run.stderr,
        format!(
            "warning: the attachment \"letter.zip\" of row 2 cannot be looked into: \"a.txt\" in it cannot be looked into: it asks for a password{help}\
             warning: the attachment \"letter.zip\" of row 3 cannot be looked into: \"b.txt\" in it cannot be looked into: it asks for a password{help}\
             warning: the attachment \"scan.png\" of 2 messages cannot be looked into: it is a picture{help}"
        )
    );
    assert!(run.stdout.contains("look at the warnings above"), "{}", run.stdout);
    let found = json(&home.run(&["check", "c", "--format", "json"]).ended(0));
    assert_eq!(found[0]["code"], "guard.opaque");
    home.run(&["send", "c", "--sandbox", "--confirm", "2"]).ended(0);
    // A picture that everybody is shown is no attachment, and one's own is.
    let refuse = ["--opaque-attachments", "refuse"];
    let run = home.run(&[&["check", "c"], &refuse[..]].concat()).ended(65);
    assert!(
        run.stderr.contains("the attachment \"scan.png\" to ada@one.example cannot be looked into: it is a picture\n"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("logo"), "{}", run.stderr);
    let front = "text_template = \"t.txt.hbs\"\n[inline]\ncode = \"{{name}}.png\"\nlogo = \"logo.png\"";
    let body = "<p><img src=\"cid:code\" alt=\"\"><img src=\"cid:logo\" alt=\"\"></p>";
    let own = leaking(front, body, &files);
    own.write("c/Ada.png", [SCAN, b"a"].concat());
    own.write("c/Bo.png", [SCAN, b"b"].concat());
    let said = own.run(&["check", "c"]).ended(0).stderr;
    let first =
        "warning: 2 attachments cannot be looked into, \"Ada.png\" (row 2), \"Bo.png\" (row 3): it is a picture\n";
    assert!(said.starts_with(first) && !said.contains("logo"), "{said}");
    own.write(
        "c/campaign.toml",
        "template = \"t.html.hbs\"\nrecipients = \"p.csv\"\n[guard]\nopaque_attachments = \"refuse\"\n",
    );
    own.run(&["send", "c", "--sandbox", "--confirm", "2"]).ended(65);
    own.write(
        "c/campaign.toml",
        "template = \"t.html.hbs\"\nrecipients = \"p.csv\"\n[guard]\nopaque_attachments = \"no\"\n",
    );
    assert!(own.run(&["check", "c"]).ended(65).stderr.contains("this is \"warn\" or \"refuse\""));
}

#[test]
fn a_name_is_found_over_tags_and_lines() {
    for body in [
        "<p>Dear Bo <b>Caine</b>,</p>",
        "<p>Dear <i>Bo\n      Caine</i>,</p>",
        "<table><tr><td>Bo</td><td>Caine</td></tr></table>",
        "<p>Dear Bo&nbsp;Caine</p>",
        "<p title=\"Bo Caine\">x</p>",
    ] {
        let home = leaking("text_template = \"t.txt.hbs\"", body, &[]);
        home.write("c/p.csv", "name,email\nAda Byron,ada@one.example\nBo Caine,bo.b@two.example\n");
        let run = home.run(&["check", "c", "--identifying", "name"]).ended(65);
        assert!(
            run.stderr.contains("row 2: the message to ada@one.example holds \"Bo")
                && run.stderr.matches("error").count() == 1,
            "{body}\n{}",
            run.stderr
        );
    }
}

/// A campaign of a template for both kinds of text, a list and what is identifying.
fn of_values(front: &str, body: &str, list: &str, identifying: &str) -> Home {
    let home = leaking(front, body, &[]);
    home.write("c/p.csv", list);
    home.write(
        "c/campaign.toml",
        format!("template = \"t.html.hbs\"\nrecipients = \"p.csv\"\n[guard]\nidentifying = {identifying}\n"),
    );
    home
}

#[test]
fn values_are_found_as_they_stand_in_links_names_of_files_and_cells() {
    let found = |cell: &str, text: &str| {
        let list = format!("name,email,key\nAda,ada@one.example,-\nBo,bo.b@two.example,\"{cell}\"\n");
        let home = of_values("text_template = \"t.txt.hbs\"", text, &list, "[\"key\"]");
        home.run(&["check", "c"]).stderr.contains("the message to ada@one.example holds ")
    };
    for (cell, text) in [
        ("CASE-10017", "<p><a href=\"https://x.example/case/CASE-10017/\">x</a></p>"),
        ("CASE-10017", "<p>letter_CASE-10017.pdf</p>"),
        ("CASE-10017", "<p>case/CASE-10017/CASE-10018</p>"),
        ("EW 12 34 56", "<p>EW123456</p>"),
        ("EW123456", "<p>EW 12-34 56</p>"),
        ("Smith, Jane", "<p>Dear Jane Smith</p>"),
        ("Dr. Jane Smith (mother)", "<p>Jane Smith</p>"),
        ("Jane Smith", "<p>SMITH, JANE</p>"),
        ("Jane Groß", "<p>JANE GROSS</p>"),
        ("mobile: 0171 5550199 / 030 1234567", "<p>0171-5550199</p>"),
        ("C-100, C-200", "<p>C-200</p>"),
        ("李小龙", "<p>李小龙先生您好</p>"),
        ("王伟", "<p>王伟,</p>"),
    ] {
        assert!(found(cell, text), "{cell} in {text}");
    }
    for (cell, text) in [
        ("Georgia", "<p style=\"font-family: Georgia\">x</p>"),
        ("222222", "<p style=\"color: #222222\">x</p>"),
        ("030 1234567", "<p>call us on 040 1234567</p>"),
        ("Jane Smith", "<p>Jane Smith-Jones</p>"),
        ("OE-204", "<p>OE-204-5</p>"),
    ] {
        assert!(!found(cell, text), "{cell} in {text}");
    }
}

#[test]
fn the_wrong_persons_letter_is_told_by_its_name() {
    let front = "text_template = \"t.txt.hbs\"\nattachments = [\"letters/{{letter}}.txt\"]";
    let list =
        "name,email,ref,letter\nAda,ada@one.example,CASE-10017,CASE-10018\nBo,bo.b@two.example,CASE-10018,CASE-10017\n";
    let home = of_values(front, "<p>x {{name}}</p>", list, "[\"ref\"]");
    home.write("c/letters/CASE-10017.txt", "one");
    home.write("c/letters/CASE-10018.txt", "two");
    let said = home.run(&["check", "c"]).ended(65).stderr;
    let first = "the message to ada@one.example holds \"CASE-10018\", \"ref\" of row 3, in the name of an attachment";
    assert!(said.contains(first), "{said}");
    // A file is often named after a person: what is said of it in a log is short.
    let sent = home.run(&["send", "c", "--sandbox", "--confirm", "2"]).ended(65).stderr;
    assert!(sent.contains("the name of an attachment") && !sent.contains("CASE-1"), "{sent}");
}

#[test]
fn an_address_in_any_form_is_found() {
    for body in [
        "<p title='bo.b@two.example'>x</p>",
        "<p>\"bo.b\"@two.example</p>",
        "<p>bo.b @ two.example</p>",
        "<p>bo.b@two.example.pdf</p>",
        "<p>bo.b%25252540two.example</p>",
        "<p>list+bo.b=two.example@lists.police.example</p>",
        "<style>p { a: 'bo.b@two.example' }</style><p>x</p>",
    ] {
        let home = leaking("text_template = \"t.txt.hbs\"", body, &[]);
        let said = home.run(&["check", "c"]).ended(65).stderr;
        assert!(
            said.contains("the message to ada@one.example holds \"bo.b@two.example\"") || said.contains("bo.b%"),
            "{body}\n{said}"
        );
    }
}

#[test]
fn ones_own_address_and_the_sender_are_no_leak() {
    let own = "name,email\nAda Berg,karl.berg@one.example\nKarl Berg,ada.berg@two.example\n";
    of_values("text_template = \"t.txt.hbs\"", "<p>{{name}}, {{email}}</p>", own, "[\"name\"]")
        .run(&["check", "c"])
        .ended(0);
    let sender = "name,email\nAda,ada@one.example\nUpdates,bo.b@two.example\n";
    of_values("text_template = \"t.txt.hbs\"", "<p>{{name}}: Updates</p>", sender, "[\"name\"]")
        .run(&["check", "c"])
        .ended(0);
}

#[test]
fn a_column_that_was_filled_down_is_noticed() {
    let list = |name: &str| {
        format!(
            "name,email\n{name},a@one.example\n{name},b@one.example\n{name},c@one.example\n{name},d@one.example\nBo,e@one.example\n"
        )
    };
    let front = "text_template = \"t.txt.hbs\"";
    let said =
        of_values(front, "<p>{{name}}</p>", &list("Ada Berg"), "[\"name\"]").run(&["check", "c"]).ended(65).stderr;
    assert!(said.contains("row 2: 4 people get the same message, in which \"name\" is \"Ada Berg\""), "{said}");
    // A family has one name; and a place of work is no name.
    let family = "name,email\nAda,a@one.example\nAda,b@one.example\nBo,e@one.example\n";
    of_values(front, "<p>{{name}}</p>", family, "[\"name\"]").run(&["check", "c"]).ended(0);
    let run = of_values(front, "<p>{{name}}</p>", &list("North"), "[]").run(&["check", "c"]).ended(0);
    assert_eq!(run.stderr, "");
    let all = list("North").replace("Bo,", "North,");
    let said = of_values(front, "<p>{{name}}</p>", &all, "[]").run(&["check", "c"]).ended(0).stderr;
    assert!(
        said.starts_with("warning: c/p.csv, row 2: 5 people get the same message, in which \"name\" is \"North\""),
        "{said}"
    );
}

#[test]
fn replies_to_somebody_on_the_list_are_said() {
    let home =
        leaking("reply_to = \"bo.b@two.example\"\ntext_template = \"t.txt.hbs\"", "<p>{{name}} {{note}}</p>", &[]);
    home.write("c/p.csv", "name,email,note\nAda,ada@one.example,x\nBo,bo.b@two.example,y\n");
    let said = home.run(&["check", "c"]).ended(0).stderr;
    assert!(said.starts_with("warning: c/p.csv, row 3: everybody's replies go to this person"), "{said}");
}

#[test]
fn no_flag_makes_the_guard_look_less() {
    let list = "name,email\nAda Byron,ada@one.example\nBo Caine,bo.b@two.example\nBo Caine,cy@three.example\n";
    let home = of_values(
        "text_template = \"t.txt.hbs\"",
        "<p>Bo Caine {{name}}</p>",
        list,
        "[\"name\"]\ncommon = 2\nopaque_attachments = \"refuse\"",
    );
    home.run(&["check", "c", "--common", "1"]).ended(65);
    let scan = leaking(
        "text_template = \"t.txt.hbs\"\nattachments = \"scan.png\"",
        "<p>{{name}}</p>",
        &[("scan.png", SCAN.to_vec())],
    );
    scan.write(
        "c/campaign.toml",
        "template = \"t.html.hbs\"\nrecipients = \"p.csv\"\n[guard]\nopaque_attachments = \"refuse\"\n",
    );
    scan.run(&["check", "c", "--opaque-attachments", "warn"]).ended(65);
}
