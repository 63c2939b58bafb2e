//! Files that are text: plain, comma-separated, HTML, XML, JSON, calendars and address cards.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::{
    super::{
        coded::{quoted_printable, resolved},
        html,
    },
    Opaque, Walk, markup,
};

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Html,
    Xml,
    /// With JSON's escapes
    Json,
    /// A calendar (RFC 5545) or an address card (RFC 6350, and its older versions)
    Card,
}

impl Form {
    pub(super) fn of(ending: &str, bytes: &[u8]) -> Self {
        let start = decode(&bytes[..bytes.len().min(1000)]);
        let start = start.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
        match ending {
            _ if start.starts_with("begin:v") => Self::Card,
            "ics" | "ical" | "ifb" | "vcs" | "vcf" | "vcard" => Self::Card,
            "html" | "htm" | "xhtml" | "xht" => Self::Html,
            _ if start.starts_with("<!doctype html") || start.starts_with("<html") => Self::Html,
            _ if start.starts_with("<?xml") && start.contains("<html") => Self::Html,
            "xml" | "svg" | "rels" | "vml" | "kml" | "gpx" | "opf" | "ncx" | "fodt" | "fods" => Self::Xml,
            _ if start.starts_with("<?xml") => Self::Xml,
            "json" | "geojson" | "js" | "ipynb" => Self::Json,
            _ if start.starts_with(['{', '[']) => Self::Json,
            _ => Self::Plain,
        }
    }
}

/// Gives out a text as it stands, and as what it is written in means.
pub(super) fn read(walk: &mut Walk<'_>, bytes: &[u8], form: Form) -> Result<(), Opaque> {
    let text = decode(bytes);
    walk.say("", &text);
    match form {
        Form::Plain => {}
        Form::Html => {
            let html = html::read(&text, true);
            walk.say("", &html.shown);
            walk.say("", &html.hidden);
            walk.say("", &html.looks);
        }
        Form::Xml => {
            walk.say("", &resolved(&text));
            return markup::say(walk, "", &text);
        }
        Form::Json => {
            if text.contains('\\') {
                walk.say("", &json_unescaped(&text));
            }
        }
        Form::Card => walk.say("", &card(&text)),
    }
    // RFC 9580 §6.2
    if text.contains("-----BEGIN PGP MESSAGE-----") { Err(Opaque::Password) } else { Ok(()) }
}

/// Whether bytes are text and not something else by its looks.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    if Encoding::for_bom(bytes).is_some() || likely_utf16(bytes).is_some() {
        return true;
    }
    let control = |byte: &&u8| **byte < b' ' && !matches!(**byte, b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c' | b'\x1b');
    !bytes.contains(&0) && bytes.iter().filter(control).count() <= bytes.len() / 100
}

/// UTF-8, UTF-16, what an XML declaration says, or else what is likely.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[length..]).0;
    }
    if let Some(encoding) = likely_utf16(bytes) {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let encoding = declared(bytes).filter(|encoding| *encoding != UTF_8).unwrap_or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
        detector.feed(bytes, true);
        detector.guess(None, Utf8Detection::Allow)
    });
    encoding.decode_without_bom_handling(bytes).0
}

/// `<?xml version="1.0" encoding="ISO-8859-1"?>`, `<meta charset="…">`, `;charset=…`
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(1000)]).to_ascii_lowercase();
    let (_, value) = start.split_once("encoding=").or_else(|| start.split_once("charset="))?;
    let value = value.trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))?;
    Encoding::for_label(&value.as_bytes()[..end])
}

/// As the reader of lists tells it: ASCII in UTF-16 is full of zeros, on one side.
fn likely_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(400) / 2 * 2];
    let nuls = |first: usize| start.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    match (nuls(0), nuls(1), start.len()) {
        (_, _, ..4) => None,
        (0, odd, length) if odd > length / 4 => Some(UTF_16LE),
        (even, 0, length) if even > length / 4 => Some(UTF_16BE),
        _ => None,
    }
}

/// RFC 8259 §7
fn json_unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (character, length) = match escape.chars().next() {
            Some('u') => utf16_escape(escape).unwrap_or(('u', 1)),
            Some('n' | 'r') => ('\n', 1),
            Some('t' | 'b' | 'f') => (' ', 1),
            Some(c) => (c, c.len_utf8()),
            None => ('\\', 0),
        };
        out.push(character);
        rest = &escape[length..];
    }
    out.push_str(rest);
    out
}

/// `u0040`, or `ud83d\ude00`
fn utf16_escape(escape: &str) -> Option<(char, usize)> {
    let unit = |from: usize| u16::from_str_radix(escape.get(from..from + 4)?, 16).ok();
    let first = unit(1)?;
    let second = escape.get(5..7).filter(|next| *next == "\\u").and_then(|_| unit(7));
    match char::decode_utf16([first]).next()? {
        Ok(c) => Some((c, 5)),
        Err(_) => char::decode_utf16([first, second?]).next()?.ok().map(|c| (c, 11)),
    }
}

/// A calendar or an address card, with its lines joined again (RFC 5545 §3.1, RFC 6350 §3.2), its escapes resolved
/// (§3.3.11, §3.4) and the quoted-printable values of vCard 2.1 decoded.
fn card(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let mut whole = line.to_owned();
        let head = line.split(':').next().unwrap_or_default().to_ascii_uppercase();
        let quoted = head.contains("QUOTED-PRINTABLE");
        // Some programs fold with an empty line end between, and some write none of the white space.
        while let Some(more) = lines.peek() {
            if quoted && whole.ends_with('=') {
                whole.pop();
                whole.push_str(more.trim_start_matches([' ', '\t']));
            } else if let Some(more) = more.strip_prefix([' ', '\t']) {
                whole.push_str(more);
            } else {
                break;
            }
            lines.next();
        }
        if quoted {
            let (head_length, charset) = (head.len().min(whole.len()), head.split_once("CHARSET="));
            let bytes = quoted_printable(&whole.as_bytes()[head_length..]);
            let label = charset.map(|(_, value)| value.split(';').next().unwrap_or_default());
            let named = label.and_then(|label| Encoding::for_label(label.as_bytes()));
            let decoded = match named {
                Some(encoding) => encoding.decode_without_bom_handling(&bytes).0,
                None => decode(&bytes),
            };
            whole.truncate(head_length);
            whole.push_str(&decoded);
        }
        let mut escaped = false;
        for c in whole.chars() {
            match c {
                'n' | 'N' if escaped => out.push('\n'),
                '\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                c => out.push(c),
            }
            escaped = false;
        }
        out.push('\n');
    }
    out
}
