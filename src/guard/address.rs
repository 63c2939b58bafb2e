//! Addresses in running text: where one may begin and end, however it is written.

use std::{borrow::Cow, iter};

use icu_normalizer::ComposingNormalizerBorrowed;
use memchr::memchr;

/// Characters that a local part may hold and that stand between words all the same: `to=ann@x.example`.
const SEPARATORS: &str = "=/&?#|";

/// A local part has so many characters at most (RFC 5321 §4.5.3.1.1), and a domain.
const LONGEST: (usize, usize) = (64, 255);

/// How files end that are named after people: `ann@x.example.pdf`.
const FILES: &[&str] = &[
    "pdf", "doc", "docx", "xls", "xlsx", "csv", "odt", "ods", "rtf", "txt", "html", "zip", "png", "jpg", "jpeg", "eml",
];

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
    let local = &text[at - local_length(text, at)..at];
    let domain = &text[at + 1..at + 1 + domain_length(text, at + 1)];
    let whole = (!local.is_empty() && !domain.is_empty()).then(|| &text[at - local.len()..at + 1 + domain.len()]);
    // Most are known as a whole, and the others need not be made.
    let parts = move || {
        let starts = starts(local);
        let ends = ends(domain);
        let all = starts.into_iter().flat_map(move |start| ends.clone().into_iter().map(move |end| (start, end)));
        all.skip(1).map(move |(start, end)| &text[at - local.len() + start..at + 1 + end])
    };
    whole.into_iter().chain(whole.into_iter().flat_map(move |_| parts()))
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

/// Other things that may be meant by what is around the @ at `at`: `"ann"@one.example`, `ann @ one.example`, and the
/// address within the one that a bounce would go to, `list+ann=one.example@x.example`. Each with the place of its @.
pub(super) fn disguised(text: &str, at: usize) -> Vec<(String, usize)> {
    let local =
        |before: &str| before.chars().rev().take(LONGEST.0 + 2).collect::<Vec<char>>().into_iter().rev().collect();
    let before: String = local(&text[..at]);
    let behind: String = text[at + 1..].chars().take(LONGEST.1).collect();
    let mut all = Vec::new();
    let mut add = |local: &str, domain: &str| all.push((format!("{local}@{domain}"), local.len()));
    if let Some((_, quoted)) = before.strip_suffix('"').and_then(|inner| inner.rsplit_once('"')) {
        add(quoted, &behind);
    }
    if before.ends_with(' ') || behind.starts_with(' ') {
        add(before.trim_end(), behind.trim_start());
    }
    let length = local_length(text, at);
    if let Some((inner, domain)) = text[at - length..at].rsplit_once('=') {
        add(inner, domain);
        if let Some((_, inner)) = inner.rsplit_once('+') {
            add(inner, domain);
        }
    }
    all
}

/// How far the local part of an address reaches back from its @, in octets (RFC 5321 §4.1.2 and RFC 6531, without what
/// only stands in quotes).
fn local_length(text: &str, at: usize) -> usize {
    let is_local = |c: char| c.is_alphanumeric() || (c.is_ascii() && ".!#$%&'*+-/=?^_`{|}~".contains(c));
    text[..at].chars().rev().take(LONGEST.0).take_while(|c| is_local(*c)).map(char::len_utf8).sum()
}

/// How far a domain reaches, in octets.
fn domain_length(text: &str, start: usize) -> usize {
    let is_domain = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
    let length: usize = text[start..].chars().take(LONGEST.1).take_while(|c| is_domain(*c)).map(char::len_utf8).sum();
    text[start..start + length].trim_end_matches(['.', '-']).len()
}

/// Where the local part may begin in the longest that it may be: behind marks that stand around it (`'ann@x.example'`,
/// `_ann@x.example_`), behind separators, and behind letters of other scripts.
fn starts(local: &str) -> Vec<usize> {
    let mut starts = vec![0];
    for (at, c) in local.char_indices() {
        let start = at + c.len_utf8();
        let is_mark_in_front = !c.is_alphanumeric() && starts.last() == Some(&at);
        if start < local.len() && (is_mark_in_front || SEPARATORS.contains(c) || !c.is_ascii()) {
            starts.push(start);
        }
    }
    starts
}

/// Where the domain may end in the longest that it may be, the last first: before what is another word by its looks, with
/// a capital (`ann@x.example.Thanks`) or in another script, and before the ending of a file's name.
fn ends(domain: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut last = '.';
    for (at, c) in domain.char_indices() {
        let capitalised = c.is_uppercase() && domain[at + c.len_utf8()..].starts_with(char::is_lowercase);
        if matches!(last, '.' | '-') && capitalised && at > 0 {
            ends.push(at - 1);
        } else if last.is_ascii_alphanumeric() && !c.is_ascii() {
            ends.push(at);
        }
        last = c;
    }
    let stem =
        domain.rsplit_once('.').filter(|(_, ending)| FILES.iter().any(|known| ending.eq_ignore_ascii_case(known)));
    ends.extend(stem.map(|(stem, _)| stem.len()));
    ends.push(domain.len());
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
        assert!(all("title='ann@one.example'")[0].contains(&"ann@one.example"));
        assert_eq!(all("jörg@x"), [["jörg@x", "rg@x"]]);
        assert_eq!(all("ann@one.example.pdf"), [["ann@one.example.pdf", "ann@one.example"]]);
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
    fn other_forms_are_read() {
        for (text, meant) in [
            ("x \"ann\"@one.example y", "ann@one.example"),
            ("ann @ one.example", "ann@one.example"),
            ("x ann@ one.example", "ann@one.example"),
            ("list+ann=one.example@x.example", "ann@one.example"),
        ] {
            let all = disguised(text, text.find('@').unwrap());
            let found = all.iter().flat_map(|(text, at)| candidates(text, *at)).any(|candidate| candidate == meant);
            assert!(found, "{text}: {all:?}");
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
