//! Header values as they travel: folded, and in encoded words (RFC 2047) where they are not plain ASCII.
//!
//! lettre folds; encoded words are ours. lettre's lose spaces between words in other scripts, and text that looks
//! like an encoded word and is none (`=?utf-8?q?x?=` in a cell) it sends as it is, to be decoded by every mail
//! program.

use base64::{Engine, prelude::BASE64_STANDARD};
use lettre::message::header::{self, Header, HeaderName, HeaderValue};

use super::MessageProblem;
use crate::template::{Mailbox, percent_encoded};

/// A line with an encoded word has at most 76 characters (RFC 2047 §2).
const MOST_LINE: usize = 76;

/// `=?utf-8?b?` and `?=`
const AROUND: usize = 12;

/// A header of one line of text.
pub(super) fn text(name: &str, value: &str) -> Result<HeaderValue, MessageProblem> {
    // Encoded words can be folded where the text cannot. Other headers may have a syntax, in which they have no place.
    let is_fit = match name {
        "Subject" => is_foldable(value) && !loses_spaces(name, value),
        _ if name.starts_with("X-") => !loses_spaces(name, value),
        _ => true,
    };
    if is_plain(value) && is_fit {
        Ok(HeaderValue::new(header_name(name)?, value.to_owned()))
    } else {
        finished(name, encoded_words(name, value))
    }
}

fn header_name(name: &str) -> Result<HeaderName, MessageProblem> {
    HeaderName::new_from_ascii(name.to_owned()).map_err(|_| MessageProblem::Header)
}

/// A header whose value is encoded and folded.
fn finished(name: &str, value: String) -> Result<HeaderValue, MessageProblem> {
    Ok(HeaderValue::dangerous_new_pre_encoded(header_name(name)?, value.clone(), value))
}

/// A header of one mailbox.
pub(super) fn mailbox(name: &'static str, mailbox: &Mailbox) -> Result<HeaderValue, MessageProblem> {
    let shown = mailbox.name.as_deref();
    if mailbox.address.needs_smtputf8() || shown.is_some_and(|shown| !is_plain(shown) || !is_short(name, shown)) {
        // An address in UTF-8 stands as it is (RFC 6532 §3.2); the name could, too, and encoded words suit everybody.
        let address = mailbox.address.as_str();
        return finished(
            name,
            match shown {
                Some(shown) => format!("{}\r\n <{address}>", encoded_words(name, shown)),
                None => format!("<{address}>"),
            },
        );
    }
    if let Some(shown) = shown.filter(|shown| shown.contains('.')) {
        // lettre writes `.a` as it is, and RFC 5322 §3.2.5 wants it in quotation marks.
        let fold = if name.len() + shown.len() + mailbox.address.as_str().len() < 64 { " " } else { "\r\n " };
        return finished(name, format!("{}{fold}<{}>", in_quotes(shown), mailbox.address));
    }
    let (local, domain) = (mailbox.address.local(), mailbox.address.domain());
    let address = lettre::Address::new(local, domain).map_err(|_| MessageProblem::Address)?;
    let mailbox = lettre::message::Mailbox::new(mailbox.name.clone(), address);
    let mailboxes = lettre::message::Mailboxes::from(mailbox);
    Ok(match name {
        "From" => header::From::from(mailboxes).display(),
        "Reply-To" => header::ReplyTo::from(mailboxes).display(),
        _ => header::To::from(mailboxes).display(),
    })
}

/// A `Content-Type` with the name of a file. RFC 2231 has a form for names in other scripts, which stands in
/// `Content-Disposition`; for programs that do not know it, Outlook among them, here is an encoded word (RFC 2047 does
/// not provide for that, and everybody reads it).
pub(super) fn content_type(kind: &str, name: &str) -> String {
    let name = if fits(name) { in_quotes(name) } else { format!("\"{}\"", encoded_words(" name=\"", name)) };
    format!("{kind};\r\n name={name}")
}

/// A `Content-Disposition` with the name of a file (RFC 2183), in the form of RFC 2231 §4 where it needs one.
pub(super) fn disposition(kind: &str, name: &str) -> String {
    if fits(name) {
        return format!("{kind};\r\n filename={}", in_quotes(name));
    }
    let mut disposition = format!("{kind};");
    let mut rest = name;
    for nth in 0.. {
        let start = if nth == 0 { "utf-8''" } else { "" };
        let mut line = format!("\r\n filename*{nth}*={start}");
        while let Some(c) = rest.chars().next() {
            let written = percent_encoded(&rest[..c.len_utf8()]);
            if line.len() + written.len() > MOST_LINE {
                break;
            }
            line.push_str(&written);
            rest = &rest[c.len_utf8()..];
        }
        disposition.push_str(&line);
        if rest.is_empty() {
            break;
        }
        disposition.push(';');
    }
    disposition
}

/// Whether a name can stand in a line as it is.
fn fits(name: &str) -> bool {
    is_plain(name) && name.len() < 60
}

fn in_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn is_plain(value: &str) -> bool {
    value.is_ascii() && !value.contains("=?")
}

/// Whether lines of it can be short (RFC 5322 §2.1.1): it is folded at spaces.
fn is_foldable(value: &str) -> bool {
    value.split(' ').all(|word| word.len() <= MOST_LINE)
}

/// Whether it has to be folded and has spaces side by side, of which some readers make one where it is folded.
fn loses_spaces(name: &str, value: &str) -> bool {
    value.contains("  ") && name.len() + ": ".len() + value.len() > MOST_LINE
}

/// Whether a name to show fits into the first line in quotation marks; lettre would break a longer one within words.
fn is_short(name: &str, shown: &str) -> bool {
    let escaped = shown.len() + shown.matches(['"', '\\']).count();
    name.len() + ": \"\"".len() + escaped <= 70
}

/// The text in encoded words of whole characters, each on a line of its own behind the header's name. They end with
/// spaces where they can: between words, a reader that shows the fold as a space (Python's `email` does in names, see
/// github.com/python/cpython/issues/128110) does the least harm.
fn encoded_words(name: &str, text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    let mut before = name.len() + 2;
    while !rest.is_empty() {
        let room = MOST_LINE.saturating_sub(before + AROUND) / 4 * 3;
        let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.clone().take_while(|end| *end <= room).last().or(ends.clone().next()).unwrap_or(rest.len());
        let after_space = if end < rest.len() { rest[..end].rfind(' ').map_or(end, |at| at + 1) } else { end };
        let end = if after_space * 2 > end { after_space } else { end };
        let (word, behind) = rest.split_at(end);
        words.push(format!("=?utf-8?b?{}?=", BASE64_STANDARD.encode(word)));
        rest = behind;
        before = 1;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_becomes_several_words_of_whole_characters() {
        let text = "=?".to_owned() + &"ü".repeat(60);
        let words = encoded_words("Subject", &text);
        assert!(words.split("\r\n ").count() == 3 && words.split("\r\n ").all(|word| word.len() <= 75), "{words}");
        let decoded: Vec<u8> =
            words.split("\r\n ").flat_map(|word| BASE64_STANDARD.decode(&word[10..word.len() - 2]).unwrap()).collect();
        assert_eq!(decoded, text.as_bytes());
        let words = encoded_words("To", "ليلى بنت محمد الحداد من مدينة حلب");
        let (first, _) = words.split_once("\r\n ").unwrap();
        assert!(BASE64_STANDARD.decode(&first[10..first.len() - 2]).unwrap().ends_with(b" "), "{words}");
    }
}
