//! The start tags of HTML as they stand in its text, so that something can be said about a place, or put in there,
//! and nothing else is touched.

use std::{borrow::Cow, ops::Range};

use memchr::{memchr, memchr_iter};

/// Elements whose text is not HTML.
pub(super) const RAW: [&str; 4] = ["script", "style", "title", "textarea"];

/// A start tag.
#[derive(Debug)]
pub(super) struct StartTag<'h> {
    /// In lower case
    pub(super) name: Cow<'h, str>,
    /// From `<` to the end of the name
    pub(super) head: Range<usize>,
    pub(super) attributes: Vec<Attribute<'h>>,
    /// The text of a style, a script and the like
    pub(super) raw: Option<Range<usize>>,
}

/// An attribute of a start tag.
#[derive(Debug)]
pub(super) struct Attribute<'h> {
    /// In lower case
    pub(super) name: Cow<'h, str>,
    /// Where the name begins
    pub(super) at: usize,
    /// The value, without its quotation marks
    pub(super) value: Range<usize>,
    /// `"`, `'`, or a space for none
    pub(super) quote: char,
}

impl<'h> StartTag<'h> {
    /// An attribute; of two of a name the first counts.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'h>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// All start tags. Those in comments are left out, but not those in Outlook's conditional comments
/// (`<!--[if mso]>` … `<![endif]-->`), which Outlook reads as HTML.
pub(super) fn start_tags(html: &str) -> impl Iterator<Item = StartTag<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memchr(b'<', &html.as_bytes()[at..])?;
            let rest = &html[at + 1..];
            if rest.starts_with("!--") && !rest.starts_with("!--[if") {
                // `<!-->` is a whole comment.
                let within = &html[at + 3..];
                let ends = ["->", "-!>"].into_iter().filter_map(|end| Some(within.find(end)? + end.len()));
                at += 3 + ends.min().unwrap_or(rest.len()).min(within.len());
            } else if rest.starts_with(['!', '?', '/']) {
                at += 1 + rest.find('>').unwrap_or(rest.len());
            } else if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let (tag, end) = start_tag(html, at);
                at = end;
                return Some(tag);
            } else {
                at += 1;
            }
        }
    })
}

/// The tag that begins at `start`, and where what follows begins.
fn start_tag(html: &str, start: usize) -> (StartTag<'_>, usize) {
    let name_end = until(html, start + 1, |c| c.is_whitespace() || matches!(c, '>' | '/'));
    let name = lower(&html[start + 1..name_end]);
    let mut tag = StartTag { name, head: start..name_end, attributes: Vec::new(), raw: None };
    let mut at = name_end;
    loop {
        at = until(html, at, |c| !c.is_whitespace() && c != '/');
        if at == html.len() {
            return (tag, at);
        }
        if html[at..].starts_with('>') {
            at += 1;
            break;
        }
        // A `=` where a name should be is part of the name.
        let first = html[at..].chars().next().map_or(0, char::len_utf8);
        let end = until(html, at + first, |c| c.is_whitespace() || matches!(c, '>' | '/' | '='));
        let mut attribute = Attribute { name: lower(&html[at..end]), at, value: end..end, quote: ' ' };
        at = end;
        let equals = until(html, at, |c| !c.is_whitespace());
        if html[equals..].starts_with('=') {
            let begin = until(html, equals + 1, |c| !c.is_whitespace());
            (attribute.quote, attribute.value, at) = match html[begin..].chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let end = html[begin + 1..].find(quote).map_or(html.len(), |length| begin + 1 + length);
                    (quote, begin + 1..end, (end + 1).min(html.len()))
                }
                _ => {
                    let end = until(html, begin, |c| c.is_whitespace() || c == '>');
                    (' ', begin..end, end)
                }
            };
        }
        tag.attributes.push(attribute);
    }
    if RAW.contains(&&*tag.name) {
        let mut tags = memchr_iter(b'<', &html.as_bytes()[at..]).map(|length| at + length);
        let end = tags.find(|end| closes(&html[*end..], &tag.name)).unwrap_or(html.len());
        tag.raw = Some(at..end);
        at = end;
    }
    (tag, at)
}

fn until(html: &str, from: usize, end: impl Fn(char) -> bool) -> usize {
    html[from..].find(end).map_or(html.len(), |length| from + length)
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// Whether a text begins with the end tag of an element, whose name is in lower case.
pub(super) fn closes(text: &str, element: &str) -> bool {
    let name = text.strip_prefix("</").and_then(|text| text.as_bytes().get(..element.len()));
    name.is_some_and(|name| name.eq_ignore_ascii_case(element.as_bytes()))
}

/// A text with its character references resolved, as far as an address can be hidden behind them.
pub(super) fn resolved(text: &str) -> Cow<'_, str> {
    const NAMED: [(&str, char); 11] = [
        ("amp", '&'),
        ("colon", ':'),
        ("sol", '/'),
        ("period", '.'),
        ("lpar", '('),
        ("rpar", ')'),
        ("quot", '"'),
        ("apos", '\''),
        ("bsol", '\\'),
        ("Tab", '\t'),
        ("NewLine", '\n'),
    ];
    if !text.contains('&') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(rest.len());
        let number = |text: &str| match text.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let character = match rest[..end].strip_prefix('#') {
            Some(digits) => {
                // Without a semicolon the reference ends where its digits do.
                let hex = digits.starts_with(['x', 'X']);
                let digit = |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
                let prefix = usize::from(hex);
                let length = digits[prefix..].find(|c| !digit(c)).unwrap_or(digits.len() - prefix) + prefix;
                number(&digits[..length]).and_then(char::from_u32).map(|c| (c, length + 1))
            }
            None => NAMED.iter().find(|(name, _)| *name == &rest[..end]).map(|(_, c)| (*c, end)),
        };
        match character {
            Some((character, length)) => {
                plain.push(character);
                rest = rest[length..].strip_prefix(';').unwrap_or(&rest[length..]);
            }
            None => plain.push('&'),
        }
    }
    (plain + rest).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> Vec<String> {
        let shown = |tag: StartTag| {
            let attributes = tag.attributes.iter().map(|a| format!(" {}{}{}", a.name, a.quote, &html[a.value.clone()]));
            let raw = tag.raw.map(|raw| format!("[{}]", &html[raw])).unwrap_or_default();
            tag.name.into_owned() + &attributes.collect::<String>() + &raw
        };
        start_tags(html).map(shown).collect()
    }

    #[test]
    fn tags_are_found_with_their_attributes() {
        assert_eq!(
            shown("<!DOCTYPE html><P Class=\"a>b\" id = 'x' hidden data=y/z>1 < 2</p><br/><img src=a.png alt=''>"),
            ["p class\"a>b id'x hidden  data y/z", "br", "img src a.png alt'"]
        );
        assert_eq!(shown("<style>a > b { }</STYLE><title><b></title><i>"), ["style[a > b { }]", "title[<b>]", "i"]);
        assert_eq!(shown("<!-- <b> --><i><!--><u>"), ["i", "u"]);
        assert_eq!(
            shown("<!--[if mso]><table width=\"600\"><![endif]--><!--[if !mso]><!--><i><!--<![endif]-->").len(),
            2
        );
        for open in ["<", "<p", "<p a", "<p a=", "<p a=\"", "<p a='b", "<!--", "<!-", "<style>x", "<p ü=ü", "<!"] {
            shown(open);
        }
    }

    #[test]
    fn references_are_resolved() {
        assert_eq!(resolved("h&#116;tp&colon;&#x2f;/x?a=1&amp;b=2&copy"), "http://x?a=1&b=2&copy");
        assert_eq!(resolved("&#104ttp&#58//& &#; &#x; &#99999999999;"), "http://& &#; &#x; &#99999999999;");
    }
}
