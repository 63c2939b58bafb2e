//! Addresses in running text: where one may begin and end, however it is written.

use std::{borrow::Cow, iter};

use icu_normalizer::ComposingNormalizerBorrowed;
use memchr::memchr;

/// Characters that a local part may hold and that stand between words all the same: `to=ann@x.example`.
const SEPARATORS: &str = "=/&?#|";

/// A local part has so many characters at most (RFC 5321 §4.5.3.1.1), and a domain.
const LONGEST: (usize, usize) = (64, 255);

/// Text is looked through for special characters by so many octets, most of which are plain ones.
const CHUNK: usize = 64;

/// Text in which an address can be read: without characters that nobody sees, and with plain letters for full-width and
/// other letters of a special form.
pub(super) fn legible(text: &str) -> Cow<'_, str> {
    let is_plain = |start: usize| {
        let end = text.len().min(start + CHUNK);
        text.as_bytes()[start..end].is_ascii()
            || !text[text.floor_char_boundary(start)..text.ceil_char_boundary(end)]
                .chars()
                .any(|c| is_unseen(c) || is_formed(c))
    };
    if (0..text.len()).step_by(CHUNK).all(is_plain) {
        return text.into();
    }
    let forms = ComposingNormalizerBorrowed::new_nfkc();
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_unseen(*c)) {
        match c {
            '\u{3002}' | '\u{ff61}' => out.push('.'),
            c if is_formed(c) => out.extend(forms.normalize_iter(iter::once(c))),
            c => out.push(c),
        }
    }
    out.into()
}

/// Characters without a width of their own: hyphens that may be, directions, joiners (Unicode's
/// `Default_Ignorable_Code_Point`).
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Letters, digits and marks in another form: full-width, small, superior, circled, mathematical; and what is a dot in a
/// domain (UTS #46).
fn is_formed(c: char) -> bool {
    matches!(
        c,
        '\u{aa}'
            | '\u{b2}'
            | '\u{b3}'
            | '\u{b9}'
            | '\u{ba}'
            | '\u{2b0}'..='\u{2b8}'
            | '\u{2024}'
            | '\u{2070}'..='\u{209c}'
            | '\u{2100}'..='\u{214f}'
            | '\u{2460}'..='\u{24ff}'
            | '\u{3002}'
            | '\u{fb00}'..='\u{fb06}'
            | '\u{fe52}'..='\u{fe6b}'
            | '\u{ff01}'..='\u{ff61}'
            | '\u{1d400}'..='\u{1d7ff}'
            | '\u{1f100}'..='\u{1f190}'
    )
}

/// What could be the address around the @ at `at`, the longest first.
pub(super) fn candidates(text: &str, at: usize) -> impl Iterator<Item = &str> {
    let ends = ends(text, at + 1);
    starts(text, at).into_iter().flat_map(move |start| ends.clone().into_iter().map(move |end| &text[start..end]))
}

/// The lines around the @ at `at` as one, without indents and marks of a quotation (`>`), and where in that the @ is;
/// nothing where there is no other line near.
pub(super) fn joined(text: &str, at: usize) -> Option<(String, usize)> {
    let start = text.floor_char_boundary(at.saturating_sub(2 * LONGEST.0));
    let end = text.ceil_char_boundary(text.len().min(at + LONGEST.1));
    memchr(b'\n', &text.as_bytes()[start..end])?;
    let join = |text: &str| {
        let mut lines = text.split('\n');
        let first = lines.next().unwrap_or_default().to_owned();
        lines.fold(first, |all, line| all.trim_end().to_owned() + line.trim_start_matches([' ', '\t', '>']))
    };
    let before = join(&text[start..at]);
    let place = before.len();
    Some((before + &join(&text[at..end]), place))
}

/// Whether a local part may hold a character (RFC 5321 §4.1.2 and RFC 6531, without what only stands in quotes).
fn is_local(c: char) -> bool {
    c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Where an address may begin whose @ is at `at`: as far in front of it as a local part reaches, behind marks that
/// stand around it (`'ann@x.example'`, `_ann@x.example_`), behind separators, and behind letters of other scripts.
fn starts(text: &str, at: usize) -> Vec<usize> {
    let before = text[..at].char_indices().rev().take(LONGEST.0).take_while(|(_, c)| is_local(*c)).last();
    let Some((first, _)) = before else { return Vec::new() };
    let mut starts = vec![first];
    let mut only_marks = true;
    for (nth, c) in text[first..at].char_indices() {
        only_marks &= !c.is_alphanumeric();
        let start = first + nth + c.len_utf8();
        if start < at && (only_marks || SEPARATORS.contains(c) || !c.is_ascii()) {
            starts.push(start);
        }
    }
    starts
}

/// Where an address may end whose domain begins at `start`: as far as a domain reaches, and before what is another
/// word by its looks, with a capital (`ann@x.example.Thanks`) or in another script.
fn ends(text: &str, start: usize) -> Vec<usize> {
    let domain = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
    let length: usize = text[start..].chars().take(LONGEST.1).take_while(|c| domain(*c)).map(char::len_utf8).sum();
    let whole = text[start..start + length].trim_end_matches(['.', '-']);
    if whole.is_empty() {
        return Vec::new();
    }
    let mut ends = Vec::new();
    let mut last = '.';
    for (nth, c) in whole.char_indices() {
        let capitalised = c.is_uppercase() && whole[nth + c.len_utf8()..].starts_with(char::is_lowercase);
        if matches!(last, '.' | '-') && capitalised && nth > 0 {
            ends.push(start + nth - 1);
        } else if last.is_ascii_alphanumeric() && !c.is_ascii() {
            ends.push(start + nth);
        }
        last = c;
    }
    ends.push(start + whole.len());
    ends.reverse();
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Vec<&str>> {
        text.match_indices('@').map(|(at, _)| candidates(text, at).collect()).collect()
    }

    #[test]
    fn the_longest_comes_first() {
        assert_eq!(all("x'ann@one.example."), [["x'ann@one.example"]]);
        assert_eq!(all("'ann@one.example'"), [["'ann@one.example", "ann@one.example"]]);
        assert_eq!(all("to=ann@one.example"), [["to=ann@one.example", "ann@one.example"]]);
        assert_eq!(all("ann@one.example.Bye"), [["ann@one.example.Bye", "ann@one.example"]]);
        assert_eq!(all("ann@one.exampleです"), [["ann@one.exampleです", "ann@one.example"]]);
        assert_eq!(all("邮ann@one.example"), [["邮ann@one.example", "ann@one.example"]]);
        assert_eq!(all("jörg@x"), [["jörg@x", "rg@x"]]);
        assert_eq!(all("-@x @ a@"), [vec!["-@x"], vec![], vec![]] as [Vec<&str>; 3]);
    }

    #[test]
    fn letters_of_a_special_form_are_read_and_what_is_unseen_is_not() {
        for (text, read) in [
            ("ａnn＠one．example", "ann@one.example"),
            ("a\u{200b}n\u{ad}n@\u{2060}one\u{e0041}.example", "ann@one.example"),
            ("𝐚𝓷n﹫ⓞne。example", "ann@one.example"),
            ("Zoë, 邮箱 – “ann”", "Zoë, 邮箱 – “ann”"),
        ] {
            assert_eq!(legible(text), read);
            let far = "é.".repeat(50);
            assert_eq!(legible(&format!("{far}{text}{far}")), format!("{far}{read}{far}"));
        }
    }

    #[test]
    fn lines_are_joined_around_an_at() {
        for (text, whole) in [
            ("x\n> ann@\r\n> one.example", "xann@one.example"),
            ("a nn\n@one.\n  example y", "a nn@one.example y"),
            ("a b@c d\ne", "a b@c de"),
        ] {
            let (joined, at) = joined(text, text.find('@').unwrap()).unwrap();
            assert_eq!((joined.as_str(), joined.find('@')), (whole, Some(at)));
        }
        assert_eq!(joined("a@b", 1), None);
    }
}
