//! Whatever stands in a cell, it never adds a header, a part or a recipient, and arrives as it was.

use std::sync::Arc;

use apiece::{
    campaign::ListOptions,
    guard::Guard,
    message::{Composer, Message},
    recipients::RecipientList,
    template::{Format, Template},
};
use proptest::prelude::*;

use crate::support::samples::parse;

const FRONT: &str = "+++\nfrom = \"{{name}} <updates@police.example>\"\nto = \"{{name}}\"\nsubject = \"About {{name}}.\"\n\
                     [headers]\nX-Case = \"{{value}}\"\n+++\n";

fn compose(format: Format, body: &str, name: &str, value: &str) -> Result<Message, String> {
    let mut list = csv::Writer::from_writer(Vec::new());
    list.write_record(["name", "value", "email"]).unwrap();
    list.write_record([name, value, "ada@one.example"]).unwrap();
    list.write_record(["Bo", "other", "bo@two.example"]).unwrap();
    let list = String::from_utf8(list.into_inner().unwrap()).unwrap();
    let list = RecipientList::parse("p.csv", &list, &ListOptions::default()).map_err(|why| why.to_string())?;
    let template = Template::compile("t", &format!("{FRONT}{body}"), format, list.columns()).unwrap();
    let composer = Composer::new(Arc::new(template), Arc::new(list));
    composer.compose(0).map_err(|why| why.to_string())
}

/// Text that is hard on parsers: header and MIME syntax, Markdown, HTML, every plane of Unicode.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ -~]{0,20}",
        prop::sample::select(vec![
            "\r\nBcc: x@evil.example\r\n",
            "\n",
            "\r",
            "\t",
            "<",
            ">",
            "\"",
            ",",
            ";",
            ":",
            "@",
            "(",
            ")",
            "=?utf-8?q?",
            "?=",
            "=20",
            "--=_",
            "*",
            "_",
            "`",
            "[",
            "](",
            "&amp;",
            "<b>",
            "<!--",
            "-->",
            "{{name}}",
            "{{{x}}}",
            "\u{200b}",
            "\u{202e}",
            "ß",
            "日本語",
            "😀",
            "\u{f000}",
            "{{#if name}}",
            "{{else if name}}",
            "{{else}}",
            "{{/if}}",
            "{{^}}",
            "{{> x}}",
            "{{#*inline \"x\"}}",
            "{{{{raw}}}}",
            "{{!--",
            "\\",
            ".",
            "\n.\n",
            "From ",
            " ",
            "  ",
            "0",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The headers and the parts are those that the template has, and nobody else is in any of them.
fn check_shape(message: &Message, parts: usize) {
    let parsed = parse(message.bytes());
    let names: Vec<String> = parsed.headers().iter().map(|header| header.name().to_ascii_lowercase()).collect();
    let mut expected = vec!["from", "to", "subject", "message-id", "x-case", "mime-version", "content-type"];
    if parts == 1 {
        expected.push("content-transfer-encoding");
    }
    assert_eq!(names, expected, "{}", String::from_utf8_lossy(message.bytes()));
    assert_eq!(parsed.parts.len(), if parts == 1 { 1 } else { parts + 1 });
    let to = parsed.to().unwrap().as_list().unwrap();
    assert_eq!((to.len(), to[0].address.as_deref()), (1, Some("ada@one.example")));
    assert_eq!(message.envelope().to().as_str(), "ada@one.example");
    let from = parsed.from().unwrap().as_list().unwrap();
    assert_eq!((from.len(), from[0].address.as_deref()), (1, Some("updates@police.example")));
    assert!(message.bytes().is_ascii());
    for line in message.bytes().split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.len() <= 998 && !line.contains(&b'\r'));
    }
}

/// What a list keeps of a cell: everything but white space around it.
fn kept(cell: &str) -> &str {
    cell.trim_matches(apiece::address::clings)
}

fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

proptest! {
    #![proptest_config(crate::support::cases(600))]

    #[test]
    fn plain_text_arrives_as_it_was(name in nasty(), value in nasty()) {
        if let Ok(message) = compose(Format::Text, "<<{{value}}>>\nend\n", &name, &value) {
            check_shape(&message, 1);
            let parsed = parse(message.bytes());
            prop_assert_eq!(lines(&parsed.body_text(0).unwrap()), format!("<<{}>>\nend\n", lines(kept(&value))));
        }
    }

    #[test]
    fn markdown_arrives_as_it_was_typed(name in nasty(), value in nasty()) {
        if let Ok(message) = compose(Format::Markdown, "a **{{value}}** b\n", &name, &value) {
            check_shape(&message, 2);
            let parsed = parse(message.bytes());
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&parsed.body_text(0).unwrap()), words(&format!("a {} b", kept(&value))));
            // Whatever is in a value, the elements are those of template and layout.
            let tags = |message: &Message| {
                let html = parse(message.bytes()).body_html(0).unwrap().into_owned();
                let tags = html.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap().to_owned());
                tags.filter(|tag| tag != "br").collect::<Vec<_>>()
            };
            let plain = compose(Format::Markdown, "a **{{value}}** b\n", "x", "x").unwrap();
            prop_assert_eq!(tags(&message), tags(&plain));
        }
    }

    #[test]
    fn html_keeps_its_elements(name in nasty(), value in nasty()) {
        let body = "<p title=\"{{value}}\">{{value}}</p><a href=\"https://one.example/?q={{value}}\">x</a>\n";
        if let Ok(message) = compose(Format::Html, body, &name, &value) {
            check_shape(&message, 2);
            let html = parse(message.bytes()).body_html(0).unwrap().into_owned();
            let tags = html.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap());
            // A line break in a value is one.
            prop_assert_eq!(tags.filter(|tag| *tag != "br").collect::<Vec<_>>(), ["p", "/p", "a", "/a"]);
        }
    }

    #[test]
    fn names_and_subjects_arrive_as_they_were(name in nasty()) {
        if let Ok(message) = compose(Format::Text, "x\n", &name, "v") {
            let parsed = parse(message.bytes());
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(parsed.subject().unwrap()), words(&format!("About {}.", kept(&name))));
            let shown = parsed.to().unwrap().first().unwrap().name.as_deref().unwrap_or("");
            prop_assert_eq!(words(shown), words(kept(&name)));
        }
    }

    #[test]
    fn another_recipients_address_is_found_wherever_it_lands(before in nasty(), after in nasty(), format in 0..3usize) {
        let format = [Format::Text, Format::Markdown, Format::Html][format];
        let value = format!("{before} Bo@Two.example {after}");
        if let Ok(message) = compose(format, "<p>a {{value}} b</p>\n", "Ada", &value) {
            let list = "email\nada@one.example\nbo@two.example\n";
            let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
            prop_assert!(!Guard::new(Arc::new(list), &[]).inspect(&message).is_empty(), "{value:?}");
        }
    }

    #[test]
    fn no_bytes_are_too_odd_for_a_list_or_a_template(bytes in prop::collection::vec(any::<u8>(), 0..200), text in nasty()) {
        let text = format!("{text}{}", String::from_utf8_lossy(&bytes));
        let list = RecipientList::parse("p", "name,value,email\na,b,c@d.example\n", &ListOptions::default()).unwrap();
        let _ = RecipientList::parse("p", &text, &ListOptions::default());
        let _ = RecipientList::parse("p", &format!("name,email\n{text}"), &ListOptions::default()).map_err(|why| why.to_string());
        for format in [Format::Text, Format::Markdown, Format::Html] {
            let _ = Template::compile("t", &text, format, list.columns()).map_err(|why| why.to_string());
            let whole = format!("{FRONT}{text}");
            match Template::compile("t", &whole, format, list.columns()) {
                Ok(template) => drop(template.render(list.get(0).unwrap()).map_err(|why| why.to_string())),
                Err(why) => drop(why.to_string()),
            }
            let front = format!("+++\n{text}\n+++\nx");
            let _ = Template::compile("t", &front, format, list.columns()).map_err(|why| why.to_string());
        }
    }
}
