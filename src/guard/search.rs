//! The way through a message: headers, texts, HTML, attachments, each as it is read and as it is written.

use std::{borrow::Cow, fmt};

use encoding_rs::{Encoding, UTF_8};
use mail_parser::{
    HeaderName, HeaderValue, Message as Parsed, MessageParser, MessagePart, MimeHeaders, PartType,
    decoders::base64::base64_decode,
};
use memchr::memmem;

use super::{
    Fault, Finding, Guard, Leak,
    coded::{lossy, quoted_printable},
    contents, html,
    known::{Own, What},
};
use crate::{address::Address, diagnostic::quoted};

/// So many things are said of one message.
const MOST_FINDINGS: usize = 20;

/// Goes through a message for somebody.
pub(super) struct Search<'g> {
    guard: &'g Guard,
    own: Own<'g>,
    to: &'g Address,
    findings: Vec<Finding>,
}

/// A part of a message.
#[derive(Clone, Copy)]
pub(super) enum Part<'p> {
    Header(&'p str),
    Text,
    Html,
    /// Tags, comments and the like
    HtmlUnseen,
    /// Before, between or behind the parts, where no mail program looks
    Between,
    File(&'p str),
    /// A place in a file
    InFile(&'p str, &'p str),
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header {name}"),
            Self::Text => f.write_str("the text"),
            Self::Html => f.write_str("the HTML"),
            Self::HtmlUnseen => f.write_str("the HTML where it is not shown"),
            Self::Between => f.write_str("what stands between the parts"),
            Self::File(file) => write!(f, "the attachment {}", quoted(file)),
            Self::InFile(file, place) => write!(f, "the attachment {}, {place}", quoted(file)),
        }
    }
}

/// What parses a message. It leaves what parts hold as it travels, which takes it most of its time otherwise, and decodes
/// headers of every name.
pub(super) fn parser() -> MessageParser {
    MessageParser::new()
        .with_mime_headers()
        .with_address_headers()
        .ignore_header(HeaderName::ContentTransferEncoding)
        .default_header_text()
}

impl<'g> Search<'g> {
    pub(super) fn new(guard: &'g Guard, to: &'g Address) -> Self {
        Self { guard, own: guard.known.own(to), to, findings: Vec::new() }
    }

    /// Everything that must not be in a message.
    pub(super) fn through(mut self, parsed: &Parsed<'_>) -> Vec<Finding> {
        self.message(parsed);
        self.findings
    }

    fn message(&mut self, parsed: &Parsed<'_>) {
        let raw = parsed.raw_message();
        let slice = |from: u32, to: u32| raw.get(from as usize..to as usize).unwrap_or_default();
        let mut read = 0;
        for part in &parsed.parts {
            self.text(&lossy(slice(read, part.offset_header)), Part::Between);
            let mut coding = "";
            for header in &part.headers {
                let place = Part::Header(header.name());
                // Both as it is written and as it is decoded.
                let written = lossy(slice(header.offset_start(), header.offset_end()));
                self.text(&written, place);
                self.header(&header.value, &written, place);
                if header.name == HeaderName::ContentTransferEncoding {
                    coding = std::str::from_utf8(slice(header.offset_start(), header.offset_end())).unwrap_or_default();
                }
            }
            // Those in a multipart follow one by one.
            read = if matches!(part.body, PartType::Multipart(_)) { part.offset_body } else { part.offset_end };
            if read == part.offset_end {
                let end = if part.offset_end < part.offset_body { raw.len() } else { part.offset_end as usize };
                self.body(part, &transferred(coding, raw.get(part.offset_body as usize..end).unwrap_or_default()));
            }
        }
        self.text(&lossy(raw.get(read as usize..).unwrap_or_default()), Part::Between);
    }

    fn body(&mut self, part: &MessagePart<'_>, bytes: &[u8]) {
        let is_attached = part.attachment_name().is_some()
            || part.content_disposition().is_some_and(|disposition| disposition.is_attachment());
        let kind = part.content_type();
        let charset = || kind.and_then(|kind| kind.attribute("charset"));
        match &part.body {
            PartType::Text(_) if !is_attached => self.text(&characters(bytes, charset()), Part::Text),
            PartType::Html(_) if !is_attached => {
                let html = html::read(&characters(bytes, charset()));
                self.text(&html.shown, Part::Html);
                self.text(&html.hidden, Part::HtmlUnseen);
            }
            _ => self.file(part, bytes),
        }
    }

    /// Looks into a file, whatever kind of file it is.
    fn file(&mut self, part: &MessagePart<'_>, bytes: &[u8]) {
        let nameless = if matches!(part.body, PartType::Message(_)) { "message.eml" } else { "" };
        let name = part.attachment_name().unwrap_or(nameless);
        let known = &self.guard.known;
        let file = self.guard.files.get(known, name, bytes);
        for hit in &file.hits {
            if !known.is_own(&self.own, hit.person, hit.what, &hit.leak.value) {
                let place = &hit.leak.part;
                let part = if place.is_empty() { Part::File(name) } else { Part::InFile(name, place) };
                let leak = Leak { part: part.to_string(), ..hit.leak.clone() };
                self.add(hit.what, leak);
            }
        }
        if let Some(why) = &file.opaque {
            let content_id = part.content_id().map(str::to_owned);
            self.note(Fault::Unread { name: name.to_owned(), why: why.clone(), content_id });
        }
    }

    fn header(&mut self, value: &HeaderValue<'_>, written: &str, place: Part<'_>) {
        let mut text = |text: &str| {
            if memmem::find(written.as_bytes(), text.as_bytes()).is_none() {
                self.text(text, place);
            }
        };
        match value {
            HeaderValue::Text(value) => text(value),
            HeaderValue::TextList(values) => values.iter().for_each(|value| text(value)),
            HeaderValue::Address(addresses) => {
                for address in addresses.iter() {
                    [&address.name, &address.address].into_iter().flatten().for_each(|value| text(value));
                }
            }
            HeaderValue::ContentType(content) => {
                for attribute in content.attributes().unwrap_or_default() {
                    text(&attribute.value);
                }
            }
            HeaderValue::DateTime(_) | HeaderValue::Received(_) | HeaderValue::Empty => {}
        }
    }

    fn text(&mut self, text: &str, place: Part<'_>) {
        let known = &self.guard.known;
        known.search(text, &mut |hit| {
            if !known.is_own(&self.own, hit.person, hit.what, hit.value()) {
                let leak = Leak::new(&hit, known.row(hit.person), place.to_string());
                self.add(hit.what, leak);
            }
        });
    }

    fn add(&mut self, what: What, leak: Leak) {
        self.note(match what {
            What::Address | What::Tagged => Fault::OtherAddress(leak),
            What::Value(column) => {
                Fault::OtherValue { heading: self.guard.known.list.columns().heading(column).to_owned(), leak }
            }
        });
    }

    fn note(&mut self, fault: Fault) {
        if self.findings.len() < MOST_FINDINGS && !self.findings.iter().any(|known| known.fault == fault) {
            self.findings.push(Finding { to: self.to.clone(), fault });
        }
    }
}

/// What a part holds (RFC 2045 §6). What cannot be decoded is taken as it stands.
fn transferred<'b>(coding: &str, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    let coding = coding.trim();
    if coding.eq_ignore_ascii_case("quoted-printable") {
        quoted_printable(bytes).into()
    } else if coding.eq_ignore_ascii_case("base64") {
        base64_decode(bytes).map_or(bytes.into(), Cow::Owned)
    } else {
        bytes.into()
    }
}

/// Octets of a text as characters.
fn characters<'b>(bytes: &'b [u8], charset: Option<&str>) -> Cow<'b, str> {
    match charset.and_then(|label| Encoding::for_label(label.as_bytes())) {
        Some(encoding) if encoding != UTF_8 => encoding.decode(bytes).0,
        _ => contents::decoded(bytes),
    }
}
