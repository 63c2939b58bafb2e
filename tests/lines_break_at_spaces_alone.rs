//! Lines of text parts are short, and no word, link or address is broken for that, however long it is.

use crate::support::{Home, samples::parse};

const FRONT: &str = "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\nlayout = \"plain\"\n+++\n";

/// The text and the HTML of a message of this body; the list has a name, a long link and its end.
fn message(name: &str, body: &str) -> (String, String) {
    let home = Home::new();
    let front = if name.contains("txt") { FRONT.replace("layout = \"plain\"\n", "") } else { FRONT.into() };
    home.write(name, front + body);
    home.write("p.csv", format!("name,link,key,email\nAda Lovelace,{},{},ada@one.example\n", link(), key()));
    home.run(&["preview", name, "p.csv", "--eml", "out"]).ended(0);
    let eml = std::fs::read(home.path().join("out/row-000002.eml")).unwrap();
    let message = parse(&eml);
    let text = message.body_text(0).unwrap().replace("\r\n", "\n");
    (text, message.body_html(0).unwrap().replace("\r\n", "\n"))
}

fn key() -> String {
    "a-Z0.9_".repeat(39)
}

/// Of 300 characters.
fn link() -> String {
    let link = format!("https://one.example/?token={}", key());
    assert_eq!(link.len(), 300);
    link
}

fn lines_with(text: &str, word: &str) -> usize {
    text.lines().filter(|line| line.split([' ', '<', '>', '"']).any(|part| part == word)).count()
}

#[test]
fn a_link_of_300_characters_arrives_whole() {
    let prose = "a few words more than there is room for on a single line of text, so that it is wrapped";
    for (name, body) in [
        ("t.md.hbs", format!("Dear {{{{name}}}}, {prose}:\n{{{{link}}}} and {prose}\n")),
        ("t.md.hbs", format!("- {prose} [here](https://one.example/?token={{{{key}}}}) {{{{name}}}}\n")),
        ("t.md.hbs", format!("> {prose} <{}> {{{{name}}}}\n", link())),
        ("t.html.hbs", format!("<p>Dear {{{{name}}}}, {prose}: {{{{link}}}} and {prose}</p>\n")),
        ("t.html.hbs", format!("<ul><li>{prose} <a href=\"{{{{link}}}}\">here</a> {{{{name}}}}</ul>\n")),
        (
            "t.html.hbs",
            format!(
                "<table><tr><td>{prose}</td><td>{{{{name}}}} <a href=\"https://one.example/?token={{{{key}}}}\">\
                 {{{{link}}}}</a></td></tr></table>\n"
            ),
        ),
    ] {
        let (text, html) = message(name, &body);
        assert_eq!(lines_with(&text, &link()), 1, "{text}");
        assert!(html.replace("&#61;", "=").contains(&link()), "{html}");
        assert!(text.lines().all(|line| line.len() <= 78 || line.contains(&link())), "{text}");
        assert!(text.contains("Lovelace"), "{text}");
    }
}

#[test]
fn plain_text_is_sent_as_it_was_written() {
    let body = format!(
        "Dear {{{{name}}}},  \n\n\tone   two\t\n{}\nFrom here\n>{{{{link}}}}\n\n\n-- \nBo \n",
        "a long line ".repeat(100)
    );
    let (text, _) = message("t.txt.hbs", &body);
    assert_eq!(text, body.replace("{{name}}", "Ada Lovelace").replace("{{link}}", &link()));
    // All of it ASCII and short: not encoded at all.
    assert_eq!(message("t.txt.hbs", "{{name}} \n-- \nBo\n").0, "Ada Lovelace \n-- \nBo\n");
}

#[test]
fn a_signature_keeps_its_space() {
    assert_eq!(message("t.md.hbs", "Dear {{name}}\n\n-- \nBo\n").0, "Dear Ada Lovelace\n\n-- \nBo\n");
    assert_eq!(message("t.html.hbs", "<p>{{name}}</p><p>-- <br>Bo</p>\n").0, "Ada Lovelace\n\n-- \nBo\n");
}

#[test]
fn a_name_of_the_list_makes_no_line_too_long() {
    let line = "this line is as long as one may be, if there is nobody in it whose name is x.\n";
    let (text, _) = message("t.md.hbs", &format!("{}and it goes on\nto its end.\n", line.replace('x', "{{name}}")));
    assert_eq!(
        text,
        "this line is as long as one may be, if there is nobody in it whose name is Ada\nLovelace. and it goes on\nto its end.\n"
    );
}
