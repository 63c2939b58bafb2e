//! The way through a message: headers, texts, HTML, attachments, each as it is read and as it is written.

use std::{borrow::Cow, fmt};

use encoding_rs::{Encoding, UTF_8};
use mail_parser::{
    HeaderName, HeaderValue, Message as Parsed, MessageParser, MessagePart, MimeHeaders,
    decoders::base64::base64_decode,
};
use memchr::{memchr, memmem};

use super::{
    Fault, Finding, Guard, Leak,
    coded::{lossy, quoted_printable},
    contents, html,
    known::{Own, What},
};
use crate::{address::Address, diagnostic::quoted};

/// Parts in parts in parts are told apart so deep.
const DEEPEST: usize = 20;

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
    /// The name of a file in the headers of its part
    Name,
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
            Self::Name => f.write_str("the name of an attachment"),
            Self::Text => f.write_str("the text"),
            Self::Html => f.write_str("the HTML"),
            Self::HtmlUnseen => f.write_str("the HTML where it is not shown"),
            Self::Between => f.write_str("what stands between the parts"),
            Self::File(file) => write!(f, "the attachment {}", quoted(file)),
            Self::InFile(file, place) => write!(f, "the attachment {}, {place}", quoted(file)),
        }
    }
}

/// What parses the headers of a message, and of its parts: it decodes those of every name. Parts and what they hold are told
/// apart here, since it would take most of the time for that.
pub(super) fn parser() -> MessageParser {
    MessageParser::new().with_mime_headers().with_address_headers().default_header_text()
}

impl<'g> Search<'g> {
    pub(super) fn new(guard: &'g Guard, to: &'g Address) -> Self {
        Self { guard, own: guard.known.own(to), to, findings: Vec::new() }
    }

    /// Everything that must not be in a message, of which the headers are parsed.
    pub(super) fn through(mut self, parsed: &Parsed<'_>, raw: &[u8]) -> Vec<Finding> {
        self.part(parsed.parts.first(), split(raw), 0);
        self.findings
    }

    /// Goes through a part, and those in it. A part without headers is text (RFC 2045 §5.2).
    fn part(&mut self, part: Option<&MessagePart<'_>>, (headers, body): (&[u8], &[u8]), depth: usize) {
        let mut coding = Cow::Borrowed("");
        for header in part.iter().flat_map(|part| &part.headers) {
            let names = [HeaderName::ContentType, HeaderName::ContentDisposition].contains(&header.name);
            let place = if names { Part::Name } else { Part::Header(header.name()) };
            // Both as it is written and as it is decoded.
            let written = headers.get(header.offset_start() as usize..header.offset_end() as usize);
            let written = lossy(written.unwrap_or_default());
            self.text(&written, place);
            self.header(&header.value, &written, place);
            if header.name == HeaderName::ContentTransferEncoding {
                coding = written;
            }
        }
        let kind = part.and_then(|part| part.content_type());
        let is = |main: &str| kind.is_some_and(|kind| kind.ctype().eq_ignore_ascii_case(main));
        let boundary = kind.filter(|_| is("multipart")).and_then(|kind| kind.attribute("boundary"));
        if let Some(boundary) = boundary.filter(|_| depth < DEEPEST) {
            return self.multipart(body, boundary, depth);
        }
        let body = transferred(&coding, body);
        let attribute = |name: &str| kind.and_then(|kind| kind.attribute(name));
        match part {
            Some(part) if !is_shown(part) || (kind.is_some() && !is("text")) => self.file(part, &body),
            _ if kind.and_then(|kind| kind.subtype()).is_some_and(|subtype| subtype.eq_ignore_ascii_case("html")) => {
                let html = html::read(&characters(&body, attribute("charset")), self.guard.known.identifying.is_some());
                self.text(&html.shown, Part::Html);
                self.text(&html.hidden, Part::HtmlUnseen);
                self.addresses(&html.looks, Part::HtmlUnseen);
            }
            _ => self.text(&characters(&body, attribute("charset")), Part::Text),
        }
    }

    /// Goes through the parts between the lines that part them (RFC 2046 §5.1.1), and what stands before and behind.
    fn multipart(&mut self, body: &[u8], boundary: &str, depth: usize) {
        let delimiter = format!("--{boundary}");
        let mut ends = memmem::find_iter(body, &delimiter).filter(|at| *at == 0 || body[at - 1] == b'\n').peekable();
        self.text(&lossy(&body[..ends.peek().copied().unwrap_or(body.len())]), Part::Between);
        while let Some(at) = ends.next() {
            let inside = &body[at + delimiter.len()..ends.peek().copied().unwrap_or(body.len())];
            let line = memchr(b'\n', inside).map_or(inside.len(), |end| end + 1);
            self.text(&lossy(&inside[..line]), Part::Between);
            if inside.starts_with(b"--") {
                self.text(&lossy(&inside[line..]), Part::Between);
                continue;
            }
            let (headers, body) = split(&inside[line..]);
            let parsed = self.guard.parser.parse_headers(headers);
            self.part(parsed.as_ref().and_then(|parsed| parsed.parts.first()), (headers, body), depth + 1);
        }
    }

    /// Looks into a file, whatever kind of file it is.
    fn file(&mut self, part: &MessagePart<'_>, bytes: &[u8]) {
        let is_message = part.content_type().is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("message"));
        let nameless = if is_message { "message.eml" } else { "" };
        let name = part.attachment_name().unwrap_or(nameless);
        let known = &self.guard.known;
        let file = self.guard.files.get(known, name, bytes);
        for hit in &file.hits {
            if !known.is_own(&self.own, hit.person, hit.what, &hit.leak.value) {
                let place = &hit.leak.part;
                let part = if place.is_empty() { Part::File(name) } else { Part::InFile(name, place) };
                let leak = Leak { part: part.to_string(), is_in_file: true, ..hit.leak.clone() };
                self.add(hit.what, leak);
            }
        }
        if let Some(why) = &file.opaque {
            let content_id = part.content_id().map(str::to_owned);
            self.note(Fault::Unread { name: name.to_owned(), why: why.clone(), content_id });
        }
    }

    fn header(&mut self, value: &HeaderValue<'_>, written: &str, place: Part<'_>) {
        header_texts(value, &mut |text| {
            if memmem::find(written.as_bytes(), text.as_bytes()).is_none() {
                self.text(text, place);
            }
        });
    }

    fn text(&mut self, text: &str, place: Part<'_>) {
        self.search(text, place, true);
    }

    /// Looks for addresses alone.
    fn addresses(&mut self, text: &str, place: Part<'_>) {
        self.search(text, place, false);
    }

    fn search(&mut self, text: &str, place: Part<'_>, values: bool) {
        let known = &self.guard.known;
        known.search(text, values, &mut |hit| {
            if !known.is_own(&self.own, hit.person, hit.what, hit.value()) {
                let leak = Leak::new(&hit, known.row(hit.person), place.to_string(), matches!(place, Part::HtmlUnseen));
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

/// What a header means, piece by piece.
pub(super) fn header_texts(value: &HeaderValue<'_>, each: &mut dyn FnMut(&str)) {
    match value {
        HeaderValue::Text(text) => each(text),
        HeaderValue::TextList(texts) => texts.iter().for_each(|text| each(text)),
        HeaderValue::Address(addresses) => {
            for address in addresses.iter() {
                [&address.name, &address.address].into_iter().flatten().for_each(|text| each(text));
            }
        }
        HeaderValue::ContentType(content) => {
            content.attributes().unwrap_or_default().iter().for_each(|attribute| each(&attribute.value));
        }
        HeaderValue::DateTime(_) | HeaderValue::Received(_) | HeaderValue::Empty => {}
    }
}

/// The headers of a message or a part, and what comes behind the line that ends them.
fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = raw.strip_prefix(b"\r\n").or_else(|| raw.strip_prefix(b"\n")) {
        return (&[], body);
    }
    let end = [&b"\n\r\n"[..], b"\n\n"].iter().filter_map(|end| Some(memmem::find(raw, end)? + end.len())).min();
    raw.split_at(end.unwrap_or(raw.len()))
}

/// Whether a part is a text of the message and not a file with it (RFC 2183).
fn is_shown(part: &MessagePart<'_>) -> bool {
    part.attachment_name().is_none()
        && part.content_disposition().is_none_or(|disposition| !disposition.is_attachment())
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
