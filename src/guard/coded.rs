//! Characters that are written as something else: references in HTML, percent-encoding in links.

use std::borrow::Cow;

use html5ever::data::NAMED_ENTITIES;
use memchr::{memchr, memchr2_iter, memrchr};

/// The name of a character has so many letters at most.
const LONGEST_NAME: usize = 32;

/// A name that is understood without its semicolon has so many letters at most.
const LONGEST_OPEN_NAME: usize = 6;

/// A number of a character has so many digits at most, with zeros in front.
const LONGEST_NUMBER: usize = 12;

/// What the lines of a text mean in which characters are coded; nothing for a text without.
pub(super) fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut lines = String::new();
    let mut read = 0;
    for at in memchr2_iter(b'&', b'%', bytes) {
        if at >= read && (reference(&text[at..]).is_some() || percent(&bytes[at..]).is_some()) {
            let start = memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1).max(read);
            read = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
            lines.push_str(&lossy(&unescaped(&resolved(&text[start..read]))));
            lines.push('\n');
        }
    }
    (!lines.is_empty()).then_some(lines)
}

/// A text with its character references resolved (HTML §13.2.5.72 and after).
pub(super) fn resolved(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut read = 0;
    while let Some(at) = memchr(b'&', &text.as_bytes()[read..]).map(|length| read + length) {
        out.reserve(text.len() - read);
        out.push_str(&text[read..at]);
        match reference(&text[at..]) {
            Some((characters, length)) => {
                out.extend(characters.into_iter().flatten());
                read = at + length;
            }
            None => {
                out.push('&');
                read = at + 1;
            }
        }
    }
    if out.is_empty() {
        return text[read..].into();
    }
    out.push_str(&text[read..]);
    out.into()
}

/// The octets of a text in quoted-printable (RFC 2045 §6.7). What is none stands for itself.
pub(super) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = &rest[at + 1..];
        let blank = escape.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        rest = match (hex(escape), escape.get(blank)) {
            (Some(octet), _) => {
                out.push(octet);
                &escape[2..]
            }
            // A line that goes on
            (None, Some(b'\n')) => &escape[blank + 1..],
            _ => {
                out.push(b'=');
                escape
            }
        };
    }
    out.extend_from_slice(rest);
    out
}

/// The octet that two digits stand for.
fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match digits {
        [high, low, ..] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    }
}

/// The octets as text. What is UTF-8, as nearly everything is, is seen to be in a glance.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The characters, one or two, of the reference that a text begins with, and its length.
fn reference(text: &str) -> Option<([Option<char>; 2], usize)> {
    let bytes = text.as_bytes();
    let of = |length: usize, most: usize, is_part: fn(&u8) -> bool| {
        bytes[length..].iter().take(most).take_while(|byte| is_part(byte)).count()
    };
    let with_semicolon = |end: usize| end + usize::from(bytes.get(end) == Some(&b';'));
    let number = |start: usize, radix: u32, is_digit: fn(&u8) -> bool| {
        let end = start + of(start, LONGEST_NUMBER, is_digit);
        let character = char::from_u32(u32::from_str_radix(&text[start..end], radix).ok()?)?;
        Some(([Some(character), None], with_semicolon(end)))
    };
    match bytes {
        [b'&', b'#', b'x' | b'X', ..] => number(3, 16, u8::is_ascii_hexdigit),
        [b'&', b'#', ..] => number(2, 10, u8::is_ascii_digit),
        [b'&', ..] => {
            let length = of(1, LONGEST_NAME, u8::is_ascii_alphanumeric);
            let named = |end: usize| {
                let (first, second) = *NAMED_ENTITIES.get(text.get(1..end)?)?;
                // A beginning of a name stands for nothing.
                let first = char::from_u32(first).filter(|first| *first != '\0')?;
                Some(([Some(first), char::from_u32(second).filter(|second| *second != '\0')], end))
            };
            let closed = (bytes.get(1 + length) == Some(&b';')).then(|| named(2 + length)).flatten();
            closed.or_else(|| (2..=length.min(LONGEST_OPEN_NAME)).rev().find_map(|length| named(1 + length)))
        }
        _ => None,
    }
}

/// The octet that is percent-encoded (RFC 3986 §2.1) at the beginning of a text; none in `width="100%"`.
fn percent(bytes: &[u8]) -> Option<u8> {
    bytes.strip_prefix(b"%").and_then(hex)
}

/// The octets of a text with percent-encoding.
fn unescaped(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    let Some(mut at) = memchr(b'%', bytes) else { return bytes.into() };
    let mut out = bytes[..at].to_vec();
    while at < bytes.len() {
        let octet = percent(&bytes[at..]);
        out.push(octet.unwrap_or(bytes[at]));
        at += if octet.is_some() { 3 } else { 1 };
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_browsers_do() {
        for (text, meant) in [
            ("bo&#64;x &#x40; &#X0040; &commat;", "bo@x @ @ @"),
            ("bo&#64x &#x40.", "bo@x @."),
            ("Bj&ouml;rn Bj&oumlrn &amp;amp; a&b & c;", "Björn Björn &amp; a&b & c;"),
            ("&period;&lowbar;&shy;&nbsp;", "._\u{ad}\u{a0}"),
            ("&#0; &#xd800; &#; &# &x; &", "\0 &#xd800; &#; &# &x; &"),
            ("&NotEqualTilde;", "≂\u{338}"),
            ("none", "none"),
        ] {
            assert_eq!(resolved(text), meant);
        }
    }

    #[test]
    fn quoted_printable_is_decoded() {
        for (text, meant) in [
            ("a=40b =C3=A9=c3=a9", "a@b éé"),
            ("one=\r\ntwo = \nthree=", "onetwo three="),
            ("a = b == =4 =xy", "a = b == =4 =xy"),
        ] {
            assert_eq!(lossy(&quoted_printable(text.as_bytes())), meant);
        }
    }

    #[test]
    fn only_lines_with_codes_are_given() {
        assert_eq!(decoded("one\ntwo%40x &\nthree & four 100%\nfive&#64;x%41").unwrap(), "two@x &\nfive@xA\n");
        assert_eq!(decoded("a%2540b&amp;#64;").unwrap(), "a%40b&#64;\n");
        assert_eq!(decoded("%c3%a9 %ff %4").unwrap(), "é \u{fffd} %4\n");
        assert_eq!(decoded("R&D, 100%, 5 % & more"), None);
    }
}
