//! Addresses in running text: where one may begin and end.

use std::borrow::Cow;

/// Characters that a local part may hold and that stand between words all the same: `to=ann@x.example`.
const SEPARATORS: &str = "=/&?#|";

/// Text in which an address can be read: without characters that nobody sees, full-width ones as their ASCII.
pub(super) fn legible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let plain = |c: char| match c {
        '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => None,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{3002}' | '\u{ff61}' => Some('.'),
        c => Some(c),
    };
    text.chars().filter_map(plain).collect::<String>().into()
}

/// For each @ what could be the address around it, the longest first.
pub(super) fn candidates(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.match_indices('@').map(move |(at, _)| {
        let ends = ends(text, at + 1);
        let all = starts(text, at).into_iter().flat_map(|start| ends.iter().map(move |end| &text[start..*end]));
        all.collect()
    })
}

/// Where an address may begin whose @ is at `at`: as far in front of it as a local part reaches, behind marks that
/// stand around it (`'ann@x.example'`, `_ann@x.example_`), behind separators, and behind letters of other scripts.
fn starts(text: &str, at: usize) -> Vec<usize> {
    let local = |c: char| c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
    let before = text[..at].char_indices().rev().take(64).take_while(|(_, c)| local(*c)).last();
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
    let length: usize = text[start..].chars().take(255).take_while(|c| domain(*c)).map(char::len_utf8).sum();
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
        candidates(text).collect()
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
}
