//! The way through a message: headers, texts, HTML, attachments, each as it is read and as it is written.

use std::borrow::Cow;

use mail_parser::{HeaderValue, Message as Parsed, MimeHeaders, PartType, decoders::html::html_to_text};
use memchr::{memchr, memchr_iter};

use super::{Finding, Guard, Leak, address};
use crate::{address::Address, diagnostic::quoted, recipients::Recipient};

/// Goes through a message for somebody.
pub(super) struct Search<'g> {
    guard: &'g Guard,
    /// The key of the recipient's address
    own: String,
    /// The recipient, if that is somebody on the list
    recipient: Option<Recipient<'g>>,
    findings: &'g mut Vec<Finding>,
}

impl<'g> Search<'g> {
    pub(super) fn new(guard: &'g Guard, to: &Address, findings: &'g mut Vec<Finding>) -> Self {
        let own = to.key();
        let recipient = guard.list.find(&own).and_then(|index| guard.list.get(index));
        Self { guard, own, recipient, findings }
    }

    pub(super) fn message(&mut self, parsed: &Parsed<'_>, raw: &[u8]) {
        for part in &parsed.parts {
            for header in &part.headers {
                let name = format!("the header {}", header.name());
                // Both as it is written and as it is decoded.
                let written = raw.get(header.offset_start() as usize..header.offset_end() as usize).unwrap_or_default();
                self.text(&lossy(written), &name);
                self.header(&header.value, &name);
            }
            match &part.body {
                PartType::Text(text) => self.text(text, "the text"),
                PartType::Html(html) => {
                    self.text(html, "the HTML");
                    self.text(&unescaped(html), "the HTML");
                }
                PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                    let file = part.attachment_name().unwrap_or("");
                    let name = format!("the attachment {}", quoted(file));
                    self.text(&lossy(bytes), &name);
                    for (place, text) in self.guard.looked_into(file, bytes).iter() {
                        self.text(text, &if place.is_empty() { name.clone() } else { format!("{name}, {place}") });
                    }
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

    /// Looks up everything in a text, as it stands and percent-decoded.
    fn text(&mut self, text: &str, part: &str) {
        self.plain_text(text, part);
        if let Some(decoded) = percent_decoded(text) {
            self.plain_text(&lossy(&decoded), part);
        }
    }

    fn plain_text(&mut self, text: &str, part: &str) {
        let has_address = memchr(b'@', text.as_bytes()).is_some() || (!text.is_ascii() && text.contains('＠'));
        if !has_address && self.guard.identifying.is_none() {
            return;
        }
        let text = address::legible(text);
        if has_address {
            self.addresses(&text, part);
        }
        if let (Some(identifying), Some(recipient)) = (&self.guard.identifying, self.recipient) {
            let list = &self.guard.list;
            let mut found = Vec::new();
            identifying.search(list, recipient, &text, &mut found);
            for one in found {
                let row = list.get(one.person).map_or(0, Recipient::row);
                let leak = Leak::new(&text, one.at, &one.text, row, part);
                let heading = list.columns().heading(one.column).to_owned();
                self.add(Finding::OtherValue { heading, leak });
            }
        }
    }

    fn addresses(&mut self, text: &str, part: &str) {
        for candidates in address::candidates(text) {
            // The longest one that we know says whose it is: `smith@x.example` is not meant in `john.smith@x.example`.
            let known = candidates.into_iter().find_map(|address| self.who(address).map(|who| (address, who)));
            if let Some((address, Who::Other(row))) = known {
                let at = address.as_ptr() as usize - text.as_ptr() as usize;
                let leak = Leak::new(text, at, address, row, part);
                self.add(Finding::OtherAddress(Leak { value: address.to_lowercase(), ..leak }));
            }
        }
    }

    fn add(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
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

/// HTML as it is shown, and as it is written with its references resolved.
pub(super) fn unescaped(html: &str) -> String {
    let mut text = html_to_text(html);
    text.push('\n');
    text.push_str(&resolve_references(html));
    text
}

/// Numeric character references, and the named ones that matter for addresses.
pub(super) fn resolve_references(html: &str) -> String {
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

/// The octets as text. What is UTF-8, as nearly everything is, is seen to be in a glance.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The octets of a text with percent-encoding (RFC 3986 §2.1); nothing for one without, which `width="100%"` is, too.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let is_encoded = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
    if !memchr_iter(b'%', bytes).any(is_encoded) {
        return None;
    }
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
    Some(decoded)
}
