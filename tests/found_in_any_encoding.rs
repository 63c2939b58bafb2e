//! Another recipient's address is found wherever it stands and however it is written, and nothing is found where none is.

use std::fmt::Write;

use apiece::{
    campaign::ListOptions,
    guard::{Fault, Guard},
    message::Envelope,
    recipients::RecipientList,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};

use crate::support::cases;

const LIST: &str = "email,name,phone\nada@one.example,Ada Byron,+44 7700 900001\nbo.b@two.example,Bo Caine,07700 900002\n\
    zoë.n+case@bücher.example,Zoë Nuñez,01632 960003\nx_y-z'q@sub.three.example,Çağla D'Arcy,0161 496 0004\n";

/// How characters are written.
#[derive(Debug, Clone, Copy)]
enum Written {
    Plain,
    Upper,
    References,
    Percent,
    Unseen,
    FullWidth,
}

/// Where in a message the text is.
#[derive(Debug, Clone, Copy)]
enum Carrier {
    Text,
    Html,
    Comment,
    Attribute,
    Header,
    File,
    Wide,
}

/// How a part travels (RFC 2045).
#[derive(Debug, Clone, Copy)]
enum Transfer {
    EightBit,
    QuotedPrintable,
    Base64,
}

fn written(how: Written, text: &str, seeds: &[u8]) -> String {
    let seed = |nth: usize| seeds[nth % seeds.len()];
    let mut out = String::new();
    for (nth, c) in text.chars().enumerate() {
        match how {
            Written::Plain => out.push(c),
            Written::Upper if seed(nth) % 2 == 0 => out.extend(c.to_uppercase()),
            Written::Upper => out.push(c),
            Written::References => match (seed(nth) % 4, c) {
                (0, _) => write!(out, "&#{};", u32::from(c)).unwrap(),
                (1, _) => write!(out, "&#x{:x};", u32::from(c)).unwrap(),
                (2, '@') => out.push_str("&commat;"),
                (2, '.') => out.push_str("&period;"),
                (2, 'ë') => out.push_str("&euml;"),
                _ => out.push(c),
            },
            Written::Percent if seed(nth) % 3 > 0 || !c.is_ascii() => {
                let mut octets = [0; 4];
                c.encode_utf8(&mut octets).bytes().for_each(|octet| write!(out, "%{octet:02X}").unwrap());
            }
            Written::Percent => out.push(c),
            Written::Unseen => {
                out.extend([Some('\u{200b}'), Some('\u{ad}'), Some('\u{feff}'), None][usize::from(seed(nth) % 4)]);
                out.push(c);
            }
            Written::FullWidth if c.is_ascii_graphic() => out.push(char::from_u32(u32::from(c) + 0xfee0).unwrap()),
            Written::FullWidth => out.push(c),
        }
    }
    out
}

/// The message to Ada that carries a text.
fn message(carrier: Carrier, transfer: Transfer, text: &str) -> Vec<u8> {
    let mut headers = String::from("From: <u@police.example>\r\nTo: Ada Byron <ada@one.example>\r\nSubject: x\r\n");
    let text = text.replace('\n', "\r\n");
    let (kind, body) = match carrier {
        Carrier::Text => ("text/plain; charset=utf-8", text.into_bytes()),
        Carrier::Html => ("text/html; charset=utf-8", format!("<p>one {text} two</p>").into_bytes()),
        Carrier::Comment => ("text/html; charset=utf-8", format!("<p>x</p><!-- {text} --><p>y</p>").into_bytes()),
        Carrier::Attribute => {
            ("text/html; charset=utf-8", format!("<a href=\"https://x.example/?a={text}&amp;b=1\">y</a>").into_bytes())
        }
        Carrier::Header => {
            let words: Vec<String> = text
                .chars()
                .collect::<Vec<char>>()
                .chunks(8)
                .map(|some| format!("=?utf-8?b?{}?=", STANDARD.encode(some.iter().collect::<String>())))
                .collect();
            write!(headers, "X-Note: {}\r\n", words.join("\r\n ")).unwrap();
            ("text/plain", b"x".to_vec())
        }
        Carrier::File => ("text/csv; name=\"a.csv\"", text.into_bytes()),
        Carrier::Wide => {
            let wide = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            ("application/octet-stream; name=\"a.txt\"", wide)
        }
    };
    let (coding, body) = match transfer {
        Transfer::EightBit => ("8bit", body),
        Transfer::QuotedPrintable => {
            let lines: Vec<String> = body
                .chunks(20)
                .map(|some| some.iter().map(|octet| format!("={octet:02X}")).collect::<String>())
                .collect();
            ("quoted-printable", lines.join("=\r\n").into_bytes())
        }
        Transfer::Base64 => {
            let lines: Vec<String> = body.chunks(57).map(|some| STANDARD.encode(some)).collect();
            ("base64", lines.join("\r\n").into_bytes())
        }
    };
    let start = format!(
        "{headers}MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"==b=\"\r\n\r\n--==b=\r\n\
         Content-Type: {kind}\r\nContent-Transfer-Encoding: {coding}\r\n\r\n"
    );
    [start.as_bytes(), &body, b"\r\n--==b=--\r\n"].concat()
}

#[test]
fn any_other_address_or_value_is_found_and_nothing_else() {
    let options = ListOptions { identifying: vec!["name".into(), "phone".into()], ..ListOptions::default() };
    let list = RecipientList::parse("p.csv", LIST, &options).unwrap();
    let guard = Guard::new(list.into(), &["u@police.example".parse().unwrap()]).with_identifying(3, &[]);
    let envelope = Envelope::new("u@police.example".parse().unwrap(), "ada@one.example".parse().unwrap());
    let other = select(vec![
        "bo.b@two.example",
        "zoë.n+case@bücher.example",
        "zoë.n@xn--bcher-kva.example",
        "x_y-z'q@sub.three.example",
        "Bo Caine",
        "07700 900002",
        "Zoë Nuñez",
        "Çağla D'Arcy",
        "+44 161 496 0004",
    ]);
    let around =
        "([a-z A-Z0-9.,;:!()é日\"'/<>=%&@-]|\n|&amp;|<b>|</p>|ada@one\\.example|Ada Byron|\\+447700900001){0,40}";
    let how = select(vec![
        Written::Plain,
        Written::Upper,
        Written::References,
        Written::Percent,
        Written::Unseen,
        Written::FullWidth,
    ]);
    let carrier = select(vec![
        Carrier::Text,
        Carrier::Html,
        Carrier::Comment,
        Carrier::Attribute,
        Carrier::Header,
        Carrier::File,
        Carrier::Wide,
    ]);
    let transfer = select(vec![Transfer::EightBit, Transfer::QuotedPrintable, Transfer::Base64]);
    let apart = select(vec![" ", "\n", ",", "(", ": ", "> "]);
    let all = (other, around, around, how, carrier, transfer, apart, proptest::collection::vec(any::<u8>(), 1..20));
    TestRunner::new(cases(2000))
        .run(&all, |(other, before, behind, how, carrier, transfer, apart, seeds)| {
            // Full-width and percent-encoded letters of a name are letters; only the digits of a number are compared.
            let without = message(carrier, transfer, &format!("{before}{apart}{apart}{behind}"));
            prop_assert_eq!(guard.inspect_bytes(&envelope, &without), []);
            let coded = written(how, other, &seeds);
            let with = message(carrier, transfer, &format!("{before}{apart}{coded}{apart}{behind}"));
            let found = guard.inspect_bytes(&envelope, &with);
            let is_it = |fault: &Fault| match fault {
                Fault::OtherAddress(leak) => other.contains('@') && leak.row > 2,
                Fault::OtherValue { leak, .. } => !other.contains('@') && leak.row > 2,
                _ => false,
            };
            prop_assert!(!found.is_empty() && found.iter().all(|finding| is_it(&finding.fault)), "{:?}", found);
            Ok(())
        })
        .unwrap();
}
