//! Header values as they travel: folded, and in encoded words (RFC 2047) where they are not plain.
//!
//! lettre does this, but for one thing: text that looks like an encoded word and is none (`=?utf-8?q?x?=` in a
//! cell) it sends as it is, and every mail program would then decode it.

use base64::{Engine, prelude::BASE64_STANDARD};
use lettre::message::header::{self, Header, HeaderName, HeaderValue};

use super::MessageProblem;
use crate::template::Mailbox;

/// An encoded word has at most 75 characters (RFC 2047 §2), twelve of them around the base64 of this many bytes.
const WORD_BYTES: usize = 45;

/// What an encoded word begins with.
const LOOK_ALIKE: &str = "=?";

/// A header of one line of text.
pub(super) fn text(name: &str, value: &str) -> Result<HeaderValue, MessageProblem> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| MessageProblem::Header)?;
    Ok(if value.contains(LOOK_ALIKE) {
        HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), encoded_words(value))
    } else {
        HeaderValue::new(name, value.to_owned())
    })
}

/// A header of one mailbox.
pub(super) fn mailbox(name: &'static str, mailbox: &Mailbox) -> Result<HeaderValue, MessageProblem> {
    if let Some(shown) = mailbox.name.as_deref().filter(|shown| shown.contains(LOOK_ALIKE)) {
        let header = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| MessageProblem::Header)?;
        let value = format!("{}\r\n <{}>", encoded_words(shown), mailbox.address.as_str());
        return Ok(HeaderValue::dangerous_new_pre_encoded(header, shown.to_owned(), value));
    }
    let mailbox = lettre::message::Mailbox::new(mailbox.name.clone(), mailbox.address.to_lettre());
    let mailboxes = lettre::message::Mailboxes::from(mailbox);
    Ok(match name {
        "From" => header::From::from(mailboxes).display(),
        "Reply-To" => header::ReplyTo::from(mailboxes).display(),
        _ => header::To::from(mailboxes).display(),
    })
}

/// The text in encoded words, each on a line of its own.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= WORD_BYTES).last();
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(format!("=?utf-8?b?{}?=", BASE64_STANDARD.encode(word)));
        rest = behind;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_becomes_several_words_of_whole_characters() {
        let text = "=?".to_owned() + &"ü".repeat(60);
        let words = encoded_words(&text);
        assert!(words.split("\r\n ").count() == 3 && words.split("\r\n ").all(|word| word.len() <= 75), "{words}");
        let decoded: Vec<u8> =
            words.split("\r\n ").flat_map(|word| BASE64_STANDARD.decode(&word[10..word.len() - 2]).unwrap()).collect();
        assert_eq!(decoded, text.as_bytes());
    }
}
