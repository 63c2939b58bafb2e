//! Whatever a value is, and wherever it stands: it is refused, or it adds no header, no part and no recipient, and comes
//! back as it was when the message is read.

use std::sync::Arc;

use apiece::{
    campaign::ListOptions,
    message::{Composer, Message},
    recipients::RecipientList,
    template::{Format, Template},
};
use mail_parser::{Address, HeaderValue, MessageParser};
use proptest::prelude::*;

/// Where the value stands; everything else is plain.
const PLACES: [&str; 6] = ["from", "to", "subject", "reply", "header", "body"];

const FRONT: &str = "+++\nfrom = \"{{from}} <updates@police.example>\"\nto = \"{{to}}\"\nsubject = \"{{subject}}\"\n\
                     reply_to = \"{{reply}} <casework@police.example>\"\n[headers]\nX-Case = \"{{header}}\"\n+++\n";

const HEADERS: [&str; 8] =
    ["from", "reply-to", "to", "subject", "message-id", "x-case", "mime-version", "content-type"];

fn body(format: Format) -> &'static str {
    match format {
        Format::Text => "<<{{body}}>>\nend {{body}}\n",
        Format::Markdown => {
            "a **{{body}}** b\n\n[link](https://one.example/{{body}}?q={{body}}&z=1)\n\n> - `{{body}}`\n"
        }
        Format::Html => {
            "<p>a <strong>{{body}}</strong> b</p><a title=\"{{body}}\" \
             href=\"https://one.example/{{body}}?q={{body}}&amp;z=1\">link</a>\n"
        }
    }
}

fn compose(format: Format, place: &str, value: &str) -> Result<Message, String> {
    let mut list = csv::Writer::from_writer(Vec::new());
    list.write_record(PLACES.iter().chain(&["email"])).unwrap();
    let cells = PLACES.iter().map(|column| if *column == place { value } else { "plain" });
    list.write_record(cells.chain(["ada@one.example"])).unwrap();
    let list = String::from_utf8(list.into_inner().unwrap()).unwrap();
    let list = RecipientList::parse("p.csv", &list, &ListOptions::default()).map_err(|why| why.to_string())?;
    let text = format!("{FRONT}{}", body(format));
    let template = Template::compile("t", &text, format, list.columns()).map_err(|why| why.to_string()).unwrap();
    Composer::new(Arc::new(template), Arc::new(list)).compose(0).map_err(|why| why.to_string())
}

/// Pieces of the syntax of everything that a value goes through, and every plane of Unicode.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<char>().prop_map(String::from),
        "[ -~]{0,20}",
        prop::char::range('\u{f000}', '\u{f100}').prop_map(String::from),
        prop::sample::select(vec![
            "\r\nBcc: x@evil.example\r\n",
            "\r\n\r\nbody",
            "\n",
            "\r",
            "\t",
            "\0",
            "\r\n.\r\n",
            "\n.\n",
            ".",
            "..",
            "\u{b}",
            "\u{85}",
            "\u{2028}",
            "=?utf-8?q?x?=",
            "=?utf-8?b?eA==?=",
            "=?",
            "?=",
            "=20",
            "=\r\n",
            "--=_",
            "\r\n--=_",
            "--",
            "-- ",
            "From ",
            "> ",
            ", ",
            ";",
            ":",
            "@",
            "(",
            ")",
            "\"",
            "\\",
            "[",
            "](",
            "<a@b.example>",
            " <",
            ">",
            "group: ;",
            "*",
            "**",
            "_",
            "`",
            "```\n",
            "# ",
            "- ",
            "1. ",
            "    ",
            "| a |\n|---|\n",
            "![x](https://evil.example/)",
            "https://one.example/",
            "&",
            "&amp;",
            "&#0;",
            "&lt",
            "<b>",
            "</strong>",
            "</p>",
            "<br>",
            "<!--",
            "-->",
            "<script>",
            "'",
            "]]>",
            "\" onclick=\"",
            "{{to}}",
            "{{{to}}}",
            "{{#if to}}",
            "{{/if}}",
            "{{else}}",
            "{{!--",
            "{{> x}}",
            "%",
            "%0d%0a",
            "%41",
            "+",
            "?",
            "#",
            "/",
            "/../",
            "\u{200b}",
            "\u{200d}",
            "\u{ad}",
            "\u{a0}",
            "\u{feff}",
            "\u{202e}",
            "\u{2066}",
            "\u{2069}",
            "\u{3000}",
            "é",
            "e\u{301}",
            "ß",
            "日本語",
            "😀",
            "ليلى",
            "שלום",
            " ",
            "  ",
            "word ",
            "Subject: x",
            "Content-Type: text/html",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let short = prop::collection::vec(piece(), 1..10).prop_map(|pieces| pieces.concat());
    let long = (prop::collection::vec(piece(), 1..10), 1000..10_000usize)
        .prop_map(|(pieces, length)| pieces.concat().chars().cycle().take(length).collect());
    prop_oneof![12 => short, 1 => long]
}

/// What a list keeps of a cell: everything but white space around it.
fn kept(cell: &str) -> &str {
    cell.trim_matches(apiece::address::clings)
}

fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The words, wherever lines are broken.
fn words(text: &str) -> Vec<String> {
    text.split([' ', '\n', '\t']).filter(|word| !word.trim().is_empty()).map(str::to_owned).collect()
}

/// What a reader of the HTML sees; line breaks are the tags alone.
fn shown(html: &str) -> String {
    let html = html.replace("<br />", "<br>").replace("<br>\n", "<br>").replace('\n', " ").replace("<br>", "\n");
    assert!(!html.contains('<'), "{html}");
    let mut text = String::new();
    let mut rest = html.as_str();
    while let Some((before, behind)) = rest.split_once('&') {
        let (name, behind) = behind.split_once(';').expect("a whole reference");
        text.push_str(before);
        text.push_str(match name {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "#39" => "'",
            "#x27" => "'",
            "#96" => "`",
            "#61" => "=",
            other => panic!("&{other};"),
        });
        rest = behind;
    }
    text + rest
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn between<'t>(text: &'t str, before: &str, behind: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} in {text}"));
    rest.split_once(behind).unwrap_or_else(|| panic!("{behind} in {text}")).0
}

fn check(format: Format, place: &str, value: &str, message: &Message) {
    let parser = MessageParser::new().with_mime_headers().with_address_headers().with_message_ids();
    let parsed = parser.default_header_text().parse(message.bytes()).unwrap();

    // The same headers and parts as always, and one recipient
    let names: Vec<String> = parsed.headers().iter().map(|header| header.name().to_ascii_lowercase()).collect();
    let encoding = (format == Format::Text).then_some("content-transfer-encoding");
    assert_eq!(names, HEADERS.into_iter().chain(encoding).collect::<Vec<_>>());
    assert_eq!(parsed.parts.len(), if format == Format::Text { 1 } else { 3 });
    assert_eq!((parsed.text_body_count(), parsed.html_body_count()), (1, 1));
    assert_eq!(message.envelope().to().as_str(), "ada@one.example");
    assert!(message.bytes().is_ascii() && !message.bytes().contains(&0));
    let is_short = |line: &[u8]| line.len() <= 999 && line.iter().rev().skip(1).all(|byte| *byte != b'\r');
    assert!(message.bytes().split(|byte| *byte == b'\n').all(is_short));

    // And what they say
    let said = |column: &str| if column == place { kept(value) } else { "plain" };
    let mailbox = |name: &str| match parsed.header(name) {
        Some(HeaderValue::Address(Address::List(list))) if list.len() == 1 => {
            (list[0].name.clone().unwrap_or_default().into_owned(), list[0].address.clone().unwrap().into_owned())
        }
        other => panic!("{other:?}"),
    };
    for (name, column, address) in [
        ("From", "from", "updates@police.example"),
        ("To", "to", "ada@one.example"),
        ("Reply-To", "reply", "casework@police.example"),
    ] {
        assert_eq!(mailbox(name), (said(column).to_owned(), address.to_owned()));
    }
    assert_eq!(parsed.subject().unwrap(), said("subject"));
    assert_eq!(parsed.header("X-Case").unwrap().as_text().unwrap(), said("header"));

    let value = lines(said("body"));
    let text = lines(&parsed.body_text(0).unwrap());
    if format == Format::Text {
        assert_eq!(text, format!("<<{value}>>\nend {value}\n"));
        return;
    }
    let html = lines(&parsed.body_html(0).unwrap());
    let address = shown(between(&html, "href=\"", "\""));
    let (path, query) = address.strip_prefix("https://one.example/").unwrap().split_once('?').unwrap();
    let query = query.strip_prefix("q=").unwrap().strip_suffix("&z=1").unwrap();
    assert_eq!((lines(&percent_decoded(path)), lines(&percent_decoded(query))), (value.clone(), value.clone()));
    let strong = between(&html, "<strong", "</strong>").split_once('>').unwrap().1;
    assert_eq!(shown(strong), value);
    if format == Format::Html {
        assert_eq!(words(&text), words(&format!("a {value} b link <{address}>")));
        assert_eq!(shown(&between(&html, "title=\"", "\"").replace('\n', "<br>")), value);
    } else {
        let in_code = value.replace('\n', " ");
        let text = text.replace("\n>   ", "\n");
        assert_eq!(words(&text), words(&format!("a {value} b link <{address}> > - {in_code}")));
        assert_eq!(shown(between(&html, "<code", "</code>").split_once('>').unwrap().1), in_code);
    }
    // No tag and no attribute is there that is not with a plain value.
    let plain = compose(format, "none", "").unwrap();
    let plain = lines(&MessageParser::default().parse(plain.bytes()).unwrap().body_html(0).unwrap());
    let tags = |html: &str| -> Vec<String> {
        let tags = html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap());
        // Values stand in the attributes of the link alone; its names are what counts.
        let names = |tag: &str| tag.split('"').step_by(2).collect::<Vec<_>>().join("\"");
        tags.map(names).filter(|tag| !tag.starts_with("br")).collect()
    };
    assert_eq!(tags(&html), tags(&plain));
}

proptest! {
    #![proptest_config(crate::support::cases(400))]

    #[test]
    fn whatever_it_is_and_wherever_it_stands(value in value(), place in 0..PLACES.len() + 4, format in 0..3usize) {
        let place = PLACES[place.min(PLACES.len() - 1)];
        let format = [Format::Text, Format::Markdown, Format::Html][format];
        if let Ok(message) = compose(format, place, &value) {
            check(format, place, &value, &message);
        }
    }
}

/// Most values that people could have are not refused.
#[test]
fn only_what_cannot_be_said_is_refused() {
    // Some readers make one space of those at a fold.
    let far_apart = "word    ".repeat(60) + "end";
    for value in [
        &far_apart,
        "日本 太郎",
        "=?utf-8?q?x?=",
        "--=_x",
        "<b>&amp;",
        "\u{202e}x",
        "a \u{f000}\u{f100}",
        "two  spaces",
        "{{to}}",
    ] {
        for format in [Format::Text, Format::Markdown, Format::Html] {
            for place in PLACES {
                check(format, place, value, &compose(format, place, value).unwrap());
            }
        }
    }
    for value in ["a\r\nBcc: x@evil.example", "a\rb", "a\nb", "a\tb"] {
        for place in &PLACES[..5] {
            assert!(compose(Format::Text, place, value).is_err(), "{value:?} in {place}");
        }
        assert!(compose(Format::Text, "body", value).is_ok());
    }
    assert!(PLACES.iter().all(|place| compose(Format::Text, place, "a\0b").is_err()));
}
