//! Looks for other people's addresses in a finished message.
//!
//! It knows the message only as a mail program does: by parsing the final bytes with another library than the
//! one that built them. It looks at the structure (one recipient, no Cc, no Bcc) and at every header and every
//! text, HTML both as it stands and with its entities resolved, for any address of the list that is not the
//! recipient's own.

mod address;
mod contents;

use std::{fmt, sync::Arc};

use mail_parser::{Address as ParsedAddress, HeaderValue, Message as Parsed, MessageParser, MimeHeaders, PartType};

use crate::{
    address::Address,
    diagnostic::{Complaint, quoted},
    message::{Envelope, Message},
    recipients::RecipientList,
};

/// Everyone's addresses, for looking one up in a time that does not grow with the list.
#[derive(Debug)]
pub struct Guard {
    list: Arc<RecipientList>,
    allowed: Vec<String>,
}

/// What was found in a message that must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Another recipient's address.
    OtherAddress {
        /// The address.
        address: String,
        /// The row whose address it is.
        row: u64,
        /// The part of the message that it stands in.
        part: String,
    },
    /// The headers do not say what the envelope says: one recipient in `To`, nobody else anywhere.
    Structure(&'static str),
    /// The bytes cannot be parsed as a message.
    Unreadable,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherAddress { address, row, part } => {
                write!(f, "the message holds {}, the address of row {row}, in {part}", quoted(address))
            }
            Self::Structure(what) => write!(f, "the message is not for one recipient: {what}"),
            Self::Unreadable => f.write_str("the finished message cannot be parsed"),
        }
    }
}

impl Complaint for Finding {
    fn code(&self) -> &'static str {
        match self {
            Self::OtherAddress { .. } => "guard.other-address",
            Self::Structure(_) => "guard.structure",
            Self::Unreadable => "guard.unreadable",
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::OtherAddress { .. }).then(|| {
            "take it out of the template or the cell; an address that everybody may see belongs under \
             allow in [guard] of campaign.toml"
                .into()
        })
    }
}

impl Guard {
    /// Knows everyone on the list; `allow` may stand in anybody's message, such as the author's address.
    #[must_use]
    pub fn new(list: Arc<RecipientList>, allow: &[Address]) -> Self {
        Self { list, allowed: allow.iter().map(Address::key).collect() }
    }

    /// Everything in a message that must not be there.
    #[must_use]
    pub fn inspect(&self, message: &Message) -> Vec<Finding> {
        self.inspect_bytes(message.envelope(), message.bytes())
    }

    /// The same for bytes from elsewhere.
    #[must_use]
    pub fn inspect_bytes(&self, envelope: &Envelope, bytes: &[u8]) -> Vec<Finding> {
        let Some(parsed) = MessageParser::default().parse(bytes) else { return vec![Finding::Unreadable] };
        let mut findings = structure(&parsed, envelope);
        let mut search = Search { guard: self, own: envelope.to().key(), findings: &mut findings };
        search.message(&parsed, bytes);
        findings
    }
}

/// One `To` with the one recipient, and nothing else that carries recipients.
fn structure(parsed: &Parsed<'_>, envelope: &Envelope) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut to = 0;
    for header in parsed.headers() {
        let name = header.name().to_ascii_lowercase();
        match name.as_str() {
            "to" => to += 1,
            "cc" => findings.push(Finding::Structure("it has a Cc")),
            "bcc" => findings.push(Finding::Structure("it has a Bcc")),
            _ if name.starts_with("resent-") => findings.push(Finding::Structure("it has a Resent header")),
            _ => {}
        }
    }
    if to != 1 {
        findings.push(Finding::Structure("it does not have exactly one To"));
    }
    let only = match parsed.to() {
        Some(ParsedAddress::List(list)) if list.len() == 1 => list[0].address.as_deref(),
        _ => None,
    };
    if !only.is_some_and(|only| only.eq_ignore_ascii_case(envelope.to().as_str())) {
        findings.push(Finding::Structure("its To is not just the recipient of the envelope"));
    }
    findings
}

struct Search<'g> {
    guard: &'g Guard,
    own: String,
    findings: &'g mut Vec<Finding>,
}

impl Search<'_> {
    fn message(&mut self, parsed: &Parsed<'_>, raw: &[u8]) {
        for part in &parsed.parts {
            for header in &part.headers {
                let name = format!("the header {}", header.name());
                // Both as it is written and as it is decoded.
                let written = raw.get(header.offset_start() as usize..header.offset_end() as usize).unwrap_or_default();
                self.text(&String::from_utf8_lossy(written), &name);
                self.header(&header.value, &name);
            }
            match &part.body {
                PartType::Text(text) => self.text(text, "the text"),
                PartType::Html(html) => {
                    self.text(html, "the HTML");
                    self.text(&unescaped(html), "the HTML");
                }
                PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                    let name = format!("the attachment {}", quoted(part.attachment_name().unwrap_or("")));
                    self.text(&String::from_utf8_lossy(bytes), &name);
                    // Saying what cannot be looked into is for `check`.
                    let file = part.attachment_name().unwrap_or("");
                    let _ = contents::texts(file, bytes, &mut |place, text| {
                        self.text(text, &if place.is_empty() { name.clone() } else { format!("{name}, {place}") });
                    });
                }
                PartType::Message(inner) => self.message(inner, inner.raw_message()),
                PartType::Multipart(_) => {}
            }
        }
    }

    fn header(&mut self, value: &HeaderValue<'_>, name: &str) {
        match value {
            HeaderValue::Text(text) => self.text(text, name),
            HeaderValue::TextList(texts) => texts.iter().for_each(|text| self.text(text, name)),
            HeaderValue::Address(addresses) => {
                for address in addresses.iter() {
                    let texts = [&address.name, &address.address];
                    texts.into_iter().flatten().for_each(|text| self.text(text, name));
                }
            }
            HeaderValue::ContentType(content) => {
                for attribute in content.attributes().unwrap_or_default() {
                    self.text(&attribute.value, name);
                }
            }
            HeaderValue::DateTime(_) | HeaderValue::Received(_) | HeaderValue::Empty => {}
        }
    }

    /// Looks up every address in a text, as it stands and percent-decoded.
    fn text(&mut self, text: &str, part: &str) {
        self.plain_text(text, part);
        if text.contains('%') {
            let decoded = percent_decoded(text);
            self.plain_text(&String::from_utf8_lossy(&decoded), part);
        }
    }

    fn plain_text(&mut self, text: &str, part: &str) {
        if !text.contains(['@', '＠']) {
            return;
        }
        let text = address::legible(text);
        for candidates in address::candidates(&text) {
            // The longest one that we know says whose it is: `smith@x.example` is not meant in `john.smith@x.example`.
            let known = candidates.into_iter().find_map(|address| self.who(address).map(|who| (address, who)));
            if let Some((address, Who::Other(row))) = known {
                let finding = Finding::OtherAddress { address: address.to_lowercase(), row, part: part.to_owned() };
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
            }
        }
    }

    /// Whose address it is, as far as we know.
    fn who(&self, address: &str) -> Option<Who> {
        let (local, domain) = address.split_once('@')?;
        let key = format!("{}@{}", local.to_lowercase(), idna::domain_to_ascii(domain).ok()?);
        if key == self.own || self.guard.allowed.contains(&key) {
            return Some(Who::Allowed);
        }
        let list = &self.guard.list;
        list.get(list.find(&key)?).map(|other| Who::Other(other.row()))
    }
}

/// Whose an address is.
#[derive(Clone, Copy)]
enum Who {
    /// The recipient's own, or one that everybody may see.
    Allowed,
    /// Of another recipient, in that row.
    Other(u64),
}

/// HTML as text, and its source with character references resolved, so that an address written in them is found.
fn unescaped(html: &str) -> String {
    let mut text = mail_parser::decoders::html::html_to_text(html);
    text.push('\n');
    text.push_str(&resolve_references(html));
    text
}

/// Numeric character references, and the named ones that matter for addresses.
fn resolve_references(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        let resolved = end.and_then(|end| Some((reference(&rest[1..end])?, end + 1)));
        match resolved {
            Some((character, length)) => {
                text.push(character);
                rest = &rest[length..];
            }
            None => {
                text.push('&');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "commat" => '@',
        "period" => '.',
        "lowbar" => '_',
        "plus" => '+',
        "amp" => '&',
        "shy" => '\u{ad}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        _ => return None,
    })
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = (bytes[at] == b'%').then(|| Some((hex(*bytes.get(at + 1)?)?, hex(*bytes.get(at + 2)?)?))).flatten();
        match pair {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ListOptions;

    fn found(headers: &str, body: &str) -> Vec<String> {
        let list = "email\nada@one.example\nBo.B@two.example\nann@bücher.example\n";
        let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
        let allow = ["help@police.example".parse().unwrap(), "updates@police.example".parse().unwrap()];
        let guard = Guard::new(list.into(), &allow);
        let envelope = Envelope::new("updates@police.example".parse().unwrap(), "ada@one.example".parse().unwrap());
        let message = format!("From: updates@police.example\r\nTo: Ada <ada@one.example>\r\n{headers}\r\n{body}\r\n");
        guard.inspect_bytes(&envelope, message.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn another_recipients_address_is_found_however_it_is_written() {
        let text = "Content-Type: text/plain; charset=utf-8\r\n";
        let html = "Content-Type: text/html; charset=utf-8\r\n";
        for (headers, body) in [
            (text, "see bo.b@two.example"),
            (text, "see <BO.B@TWO.EXAMPLE>, or"),
            (text, "'bo.b@two.example'"),
            (text, "to=bo.b@two.example."),
            (text, "ann@xn--bcher-kva.example"),
            (text, "Ann@Bücher.example"),
            (text, "ask bo.b@two.example.Thanks"),
            (text, "_bo.b@two.example_ or -bo.b@two.example-Ada"),
            (text, "邮箱bo.b@two.example です, é bo.b@two.exampleです"),
            (text, "https://x.example/?e=bo.b%40two.example&x"),
            (text, "bo.b@two\u{200b}.exam\u{ad}ple"),
            (text, "bo.b＠two．example"),
            (html, "<p>bo.b@two&shy;.exam&zwnj;ple</p>"),
            ("List-Unsubscribe: <https://x.example/u?e=bo.b%40two.example>\r\n", "x"),
            (html, "<p>bo.b&#64;two.example</p>"),
            (html, "<p>bo&#x2e;b&commat;two&period;example</p>"),
            (html, "<!-- bo.b@two.example -->"),
            (html, "<a href=\"mailto:bo.b%40two.example\">x</a>"),
            (html, "<p>bo.b<b>@</b>two.example</p>"),
            ("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n", "c2VlIGJvLmJAdHdvLmV4YW1wbGUK"),
            (
                "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n",
                "see bo.b=40two.exam=\r\nple",
            ),
            ("Subject: for bo.b@two.example\r\n", "x"),
            ("Subject: =?utf-8?q?bo.b=40two.example?=\r\n", "x"),
            ("Reply-To: Bo <bo.b@two.example>\r\n", "x"),
            ("X-For: bo.b@two.example\r\n", "x"),
            ("Sender: bo.b@two.example\r\n", "BO.B@TWO.EXAMPLE.Thanks"),
        ] {
            let found = found(headers, body);
            assert!(found.iter().any(|finding| finding.contains("the address of row")), "{headers}{body}: {found:?}");
        }
    }

    #[test]
    fn what_only_looks_like_it_passes() {
        for body in [
            "Dear ada@one.example, ADA@ONE.EXAMPLE",
            "write to updates@police.example or help@police.example",
            "mybo.b@two.example and bo.b@two.example.org and bo.b@sub.two.example",
            "bo.b at two.example @ bo.b@ @two.example",
            "o'bo.b@two.example, jo.bo.b@two.example, x+bo.b@two.example, bo.b@two.example-shop.example",
        ] {
            assert_eq!(found("", body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn an_address_that_ends_like_another_is_its_own() {
        let list = "email\njohn.smith@one.example\nsmith@one.example\no'ann@one.example\nann@one.example\n";
        let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
        let list = Arc::new(list);
        let guard = Guard::new(Arc::clone(&list), &[]);
        for recipient in list.iter() {
            let to = recipient.address();
            let envelope = Envelope::new("updates@police.example".parse().unwrap(), to.clone());
            let message = format!("From: updates@police.example\r\nTo: {to}\r\n\r\nTo '{to}' at <{to}>\r\n");
            assert_eq!(guard.inspect_bytes(&envelope, message.as_bytes()), [], "{to}");
        }
    }

    #[test]
    fn a_message_is_for_one() {
        assert!(found("Cc: help@police.example\r\n", "x")[0].contains("it has a Cc"));
        assert!(found("Bcc: help@police.example\r\n", "x")[0].contains("it has a Bcc"));
        assert!(found("Resent-To: help@police.example\r\n", "x")[0].contains("Resent"));
        assert!(found("To: help@police.example\r\n", "x")[0].contains("exactly one To"));
    }
}
