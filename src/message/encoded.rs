//! Texts as they travel in a part: in 7 bits, or in quoted-printable or base64 where that is shorter.
//!
//! What comes out is what lettre would make of them, which takes most of its time for this.

use std::mem;

use lettre::message::{Body, header::ContentTransferEncoding as Encoding};
use memchr::{memchr, memchr_iter};

/// A text whose lines end with LF.
pub(super) fn body(text: &str) -> Body {
    let text = crlf(text);
    match encoding(text.as_bytes()) {
        Encoding::SevenBit => Body::dangerous_pre_encoded(text.into_bytes(), Encoding::SevenBit),
        Encoding::QuotedPrintable => Body::dangerous_pre_encoded(quoted_printable(&text), Encoding::QuotedPrintable),
        _ => Body::new(text),
    }
}

/// The encoding that lettre would choose. It counts a line with its line end.
fn encoding(text: &[u8]) -> Encoding {
    let mut before = 0;
    let is_long = memchr_iter(b'\n', text).any(|end| end - mem::replace(&mut before, end) >= MOST_LINE)
        || text.len() - before >= MOST_LINE;
    if text.is_ascii() && !is_long {
        return Encoding::SevenBit;
    }
    let is_odd = |octet: &u8| !matches!(octet, b'\t' | b' '..=b'~');
    // In stretches that a processor can count at once.
    let odd = text.chunks(128).map(|some| usize::from(some.iter().map(|octet| u8::from(is_odd(octet))).sum::<u8>()));
    if odd.sum::<usize>() <= text.len() / 3 { Encoding::QuotedPrintable } else { Encoding::Base64 }
}

/// With the line ends of mail; lettre would put them in one by one, moving all that follows each time.
fn crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut read = 0;
    for end in memchr_iter(b'\n', text.as_bytes()) {
        out.push_str(&text[read..end]);
        out.push_str("\r\n");
        read = end + 1;
    }
    out.push_str(&text[read..]);
    out
}

/// RFC 2045 §6.7: an encoded line has at most 76 characters, with the `=` of a soft line break.
const MOST_LINE: usize = 76;

/// Octets that stand for themselves, spaces and tabs at the end of a line excepted.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut octet = b' ';
    while octet <= b'~' {
        plain[octet as usize] = octet != b'=';
        octet += 1;
    }
    plain[b'\t' as usize] = true;
    plain
};

/// Of a text whose lines end with CRLF; encoded lines are filled as far as they can be.
fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    let text = text.as_bytes();
    let mut read = 0;
    for end in memchr_iter(b'\n', text) {
        // Behind its CR.
        quoted_printable_line(&text[read..end - 1], &mut out);
        out.extend_from_slice(b"\r\n");
        read = end + 1;
    }
    quoted_printable_line(&text[read..], &mut out);
    out
}

fn quoted_printable_line(line: &[u8], out: &mut Vec<u8>) {
    let blank = usize::from(line.ends_with(b" ") || line.ends_with(b"\t"));
    let plain_end = line.len() - blank;
    // Most lines have only the `=` of attributes to be escaped.
    let is_clean = line.iter().fold(true, |clean, octet| clean & (b' '..=b'~').contains(octet));
    // What ends the line needs no room for a `=` behind it.
    let most = |end: usize| if end == line.len() { MOST_LINE } else { MOST_LINE - 1 };
    let mut at = 0;
    let mut column = 0;
    while at < line.len() {
        // No more than a line is looked at, or a long one would be looked through again and again.
        let rest = &line[at..plain_end.min(at + MOST_LINE + 1).max(at)];
        let plain = if is_clean {
            memchr(b'=', rest).unwrap_or(rest.len())
        } else {
            rest.iter().take_while(|octet| PLAIN[usize::from(**octet)]).count()
        };
        let room = if column + plain <= most(at + plain) { plain } else { MOST_LINE - 1 - column };
        if plain == 0 && column + 3 <= most(at + 1) {
            out.extend_from_slice(&escaped(line[at]));
            column += 3;
            at += 1;
        } else if plain == 0 || room == 0 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        } else {
            out.extend_from_slice(&rest[..room]);
            column += room;
            at += room;
        }
    }
}

fn escaped(octet: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [b'=', DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z=]{1,40}",
            "[ -~]{70,80}",
            prop::sample::select(vec![" ", "\t", "\n", "\n\n", "=", "ü", "日本語", "\u{7f}", "\u{0}", "."])
                .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn it_is_what_lettre_makes_of_it(pieces in prop::collection::vec(piece(), 0..40)) {
            let text = pieces.concat();
            let (ours, lettres) = (body(&text), Body::new(text.replace('\n', "\r\n")));
            prop_assert_eq!(ours.encoding(), lettres.encoding());
            prop_assert_eq!(ours.into_vec().escape_ascii().to_string(), lettres.into_vec().escape_ascii().to_string());
        }
    }
}
