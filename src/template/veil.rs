//! Values made invisible to a parser.
//!
//! Each byte of a value becomes a character of the private use area that means nothing in Markdown: not
//! punctuation, not white space, not a line end. The parser sees a strange word; afterwards, when it is known
//! whether the word stands in a sentence, in code, in a link or in a tag, the value takes its place, escaped for
//! just that. So no value can ever become structure.

use std::{borrow::Cow, ops::RangeInclusive};

use memchr::memchr;

const FIRST: u32 = 0xf000;

/// Stands for an empty value: `**{{x}}**` is emphasis around nothing, not four asterisks.
const EMPTY: char = '\u{f100}';

/// Stand for the bytes of HTML that goes in as it is.
const FIRST_RAW: u32 = 0xf200;

/// What a value can be.
const VALUES: RangeInclusive<char> = '\u{f000}'..='\u{f1ff}';

/// What HTML that goes in as it is can be.
const RAW: RangeInclusive<char> = '\u{f200}'..='\u{f2ff}';

/// The characters that stand for bytes, or for none; a template must not hold them itself.
pub(super) const VEILED: RangeInclusive<char> = '\u{f000}'..='\u{f2ff}';

/// A value as characters without meaning.
pub(super) fn veil(value: &str) -> String {
    if value.is_empty() {
        return EMPTY.into();
    }
    let mut veiled = String::with_capacity(value.len() * 3);
    veiled.extend(value.bytes().filter_map(|byte| char::from_u32(FIRST + u32::from(byte))));
    veiled
}

/// Where the first value begins.
fn first_value(text: &str) -> Option<usize> {
    // In UTF-8 they all begin with this octet, which hardly any text has.
    const LEAD: u8 = 0xef;
    let mut read = 0;
    while let Some(found) = memchr(LEAD, &text.as_bytes()[read..]) {
        let at = read + found;
        if text[at..].starts_with(|c| VEILED.contains(&c)) {
            return Some(at);
        }
        read = at + 1;
    }
    None
}

/// Whether there is a value in a text.
pub(super) fn has_values(text: &str) -> bool {
    first_value(text).is_some()
}

/// The same of HTML that goes in as it is, where it can.
pub(super) fn veil_raw(html: &str) -> String {
    html.bytes().filter_map(|byte| char::from_u32(FIRST_RAW + u32::from(byte))).collect()
}

/// A stretch of text: the author's, or a value, or HTML from the list.
pub(super) enum Stretch<'t> {
    Author(&'t str),
    Value(String),
    Raw(String),
}

impl Stretch<'_> {
    /// A value that cannot stand in a style, where it could end what it stands in or load something (CSS Syntax 3).
    pub(super) fn odd_in_style(self) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || " #%.,+-".contains(c);
        match self {
            Self::Value(value) if !value.chars().all(plain) => Some(value),
            Self::Raw(html) => Some(html),
            _ => None,
        }
    }
}

/// The stretches of a text, in order.
pub(super) fn stretches(text: &str) -> impl Iterator<Item = Stretch<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let author = match first_value(rest) {
            _ if rest.is_empty() => return None,
            Some(0) => {
                let is_raw = rest.starts_with(|c| RAW.contains(&c));
                let (same, from) = if is_raw { (RAW, FIRST_RAW) } else { (VALUES, FIRST) };
                let end = rest.find(|c| !same.contains(&c)).unwrap_or(rest.len());
                let (value, behind) = rest.split_at(end);
                rest = behind;
                let mut bytes = Vec::with_capacity(value.len() / 3);
                bytes.extend(value.chars().filter_map(|c| u8::try_from(u32::from(c) - from).ok()));
                let value = String::from_utf8(bytes);
                let value = value.unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into());
                return Some(if is_raw { Stretch::Raw(value) } else { Stretch::Value(value) });
            }
            first => first.unwrap_or(rest.len()),
        };
        let (author, behind) = rest.split_at(author);
        rest = behind;
        Some(Stretch::Author(author))
    })
}

/// The text with every value put in as `escape` makes it.
pub(super) fn unveil_with(text: &str, escape: impl Fn(&str) -> String) -> Cow<'_, str> {
    if !has_values(text) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for stretch in stretches(text) {
        match stretch {
            Stretch::Author(author) => plain.push_str(author),
            Stretch::Value(value) | Stretch::Raw(value) => plain.push_str(&escape(&value)),
        }
    }
    Cow::Owned(plain)
}

/// The text with every value put in as it is.
pub(super) fn unveil(text: &str) -> Cow<'_, str> {
    unveil_with(text, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_veiled_comes_back() {
        for value in ["", "Ada", "Zoë\r\n\0 <b>*x*", "\u{f001}\u{10ffff}"] {
            assert_eq!(unveil(&veil(value)), value);
            assert!(veil(value).chars().all(|c| VEILED.contains(&c)));
        }
        assert_eq!(unveil_with(&format!("a{}b", veil("<")), html_escape), "a&lt;b");
    }

    fn html_escape(value: &str) -> String {
        value.replace('<', "&lt;")
    }
}
