//! Messages that are attached to messages.

use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

use super::{super::search::header_texts, Obstacle, Opaque, Walk, text};

/// Fields that a message begins with.
const FIRST_FIELDS: &[&str] = &[
    "return-path",
    "received",
    "delivered-to",
    "from",
    "to",
    "date",
    "subject",
    "message-id",
    "mime-version",
    "reply-to",
    "x-mozilla-status",
    "dkim-signature",
    "content-type",
    "sender",
    "envelope-to",
    "x-original-to",
    "bcc",
    "cc",
];

/// More messages in one are not parsed: each is parsed within the one around it.
const MOST_NESTED: usize = 50;

/// Whether a text begins as a message does, with two fields.
pub(super) fn begins_like_one(bytes: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]);
    let field = |line: &str| {
        line.split_once(':').is_some_and(|(name, _)| FIRST_FIELDS.contains(&name.to_ascii_lowercase().as_str()))
    };
    let mut lines = start.lines().filter(|line| !line.starts_with([' ', '\t']));
    lines.next().is_some_and(field) && lines.next().is_some_and(|line| field(line) || line.starts_with("X-"))
}

/// Goes through the headers and all parts.
pub(super) fn read(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<(), Opaque> {
    let nested = bytes.windows(14).filter(|window| window.eq_ignore_ascii_case(b"message/rfc822")).count();
    if nested > MOST_NESTED {
        walk.say("", &text::decode(bytes));
        return Err(Opaque::TooDeep);
    }
    let Some(parsed) = MessageParser::default().parse(bytes) else {
        walk.say("", &text::decode(bytes));
        return Err(Opaque::Damaged);
    };
    message(walk, &parsed, bytes)
}

/// RFC 4155: messages one after the other, each after a line that begins with `From `.
pub(super) fn mailbox(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<(), Opaque> {
    let mut obstacle = Obstacle::default();
    let mut rest = bytes;
    let mut nth = 1;
    while !rest.is_empty() {
        let end = rest.windows(6).position(|window| window == b"\nFrom ").map_or(rest.len(), |at| at + 1);
        let (message, after) = rest.split_at(end);
        let line = if message.starts_with(b"From ") { message.iter().position(|byte| *byte == b'\n') } else { None };
        let (envelope, message) = message.split_at(line.map_or(0, |at| at + 1));
        walk.say("", &text::decode(envelope));
        obstacle.note(walk.inside(&format!("message {nth}.eml"), message))?;
        rest = after;
        nth += 1;
    }
    obstacle.finish()
}

fn message(walk: &mut Walk<'_>, parsed: &Message<'_>, raw: &[u8]) -> Result<(), Opaque> {
    let mut obstacle = Obstacle::default();
    // What stands before and after the parts is seen by nobody, and is there.
    walk.say("", &text::decode(raw));
    for (nth, part) in parsed.parts.iter().enumerate() {
        let mut values = String::new();
        for header in &part.headers {
            header_texts(&header.value, &mut |text| {
                values.push_str(text);
                values.push('\n');
            });
        }
        walk.say("headers", &values);
        let name = part.attachment_name().map_or_else(|| format!("part {nth}"), str::to_owned);
        let kind = part.content_type();
        let is = |subtypes: &[&str]| {
            kind.and_then(|kind| kind.subtype()).is_some_and(|own| subtypes.iter().any(|s| own.eq_ignore_ascii_case(s)))
        };
        let found = match &part.body {
            PartType::Html(html) => walk.inside(&with_ending(&name, ".html"), html.as_bytes()),
            PartType::Text(text) if is(&["calendar"]) => walk.inside(&with_ending(&name, ".ics"), text.as_bytes()),
            PartType::Text(text) if is(&["vcard", "x-vcard", "directory"]) => {
                walk.inside(&with_ending(&name, ".vcf"), text.as_bytes())
            }
            PartType::Text(text) if part.attachment_name().is_none() => {
                // It may look like a message, in which case it is still only text.
                walk.say(&name, text);
                if text.contains("-----BEGIN PGP MESSAGE-----") { Err(Opaque::Password) } else { Ok(()) }
            }
            PartType::Text(text) => walk.inside(&name, text.as_bytes()),
            PartType::Binary(_) if is(&["pkcs7-mime", "x-pkcs7-mime"]) => Err(Opaque::Password.within(&name)),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => walk.inside(&name, bytes),
            PartType::Message(inner) => walk.inside(&with_ending(&name, ".eml"), inner.raw_message()),
            PartType::Multipart(_) => Ok(()),
        };
        obstacle.note(found)?;
    }
    obstacle.finish()
}

/// A name by which the kind is known.
fn with_ending(name: &str, ending: &str) -> String {
    if name.to_ascii_lowercase().ends_with(ending) { name.to_owned() } else { format!("{name}{ending}") }
}
