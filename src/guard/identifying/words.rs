//! The words of a text, as they are compared: without case, accents and signs between them.

use crate::address::decomposed;

/// A word of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) hash: u64,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Digits,
    /// The first letter is a capital
    Capital,
    Letters,
}

/// Makes hashes of words: others each time, so that nobody can choose words with one hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hasher {
    pub(super) seed: u64,
}

impl Hasher {
    /// Finds the words of a text: runs of letters, or of digits. In scripts without spaces each letter is a word.
    pub(super) fn words(self, text: &str, words: &mut Vec<Word>) {
        words.clear();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            let mut hash = self.seed;
            let kind = match bytes[at] {
                b'0'..=b'9' => {
                    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
                        hash = mixed(hash, *digit);
                        at += 1;
                    }
                    Kind::Digits
                }
                b if b.is_ascii_alphabetic() || b >= 0x80 => {
                    while let Some(letter) = bytes.get(at).filter(|byte| byte.is_ascii_alphabetic()) {
                        hash = mixed(hash, letter | 0x20);
                        at += 1;
                    }
                    if bytes.get(at).is_some_and(|byte| *byte >= 0x80) {
                        let length = length(&text[start..]);
                        if length == 0 {
                            at += text[at..].chars().next().map_or(1, char::len_utf8);
                            continue;
                        }
                        // A letter of a script without spaces may follow.
                        if start + length > at {
                            at = start + length;
                            hash = continued(self.seed, &text[start..at]);
                        }
                    }
                    if text[start..].starts_with(char::is_uppercase) { Kind::Capital } else { Kind::Letters }
                }
                _ => {
                    at += 1;
                    continue;
                }
            };
            words.push(Word { hash: finished(hash), start, end: at, kind });
        }
    }

    /// The hash of some words of a text, wherever one of them ends and the next begins: `EW 12 34` is `EW1234`.
    pub(super) fn of(self, text: &str, words: &[Word]) -> u64 {
        finished(words.iter().fold(self.seed, |hash, word| continued(hash, &text[word.start..word.end])))
    }
}

/// Goes on with one word more.
pub(super) fn continued(hash: u64, word: &str) -> u64 {
    if word.is_ascii() {
        // Digits have that bit already.
        return word.bytes().fold(hash, |hash, letter| mixed(hash, letter | 0x20));
    }
    // There and back, since some letters have several lower-case forms, or two letters for a capital.
    let plain: String = word.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    let mut letters = [0; 4];
    let plain = decomposed(&plain);
    plain.chars().filter(|c| !is_mark(*c)).fold(hash, |hash, c| c.encode_utf8(&mut letters).bytes().fold(hash, mixed))
}

/// The lower bits of a product know nothing of the upper ones.
pub(super) fn finished(hash: u64) -> u64 {
    hash ^ hash >> 32
}

/// One letter more in the hash of a word: cheap, as a message has a thousand words.
fn mixed(hash: u64, letter: u8) -> u64 {
    (hash.rotate_left(5) ^ u64::from(letter)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Of the word that a text begins with, in octets.
fn length(text: &str) -> usize {
    let is_part = |c: char| (c.is_alphabetic() && !is_a_word(c)) || is_mark(c);
    match text.chars().next() {
        Some(first) if is_a_word(first) => {
            let marks = text[first.len_utf8()..].chars().take_while(|c| is_mark(*c));
            first.len_utf8() + marks.map(char::len_utf8).sum::<usize>()
        }
        _ => text.chars().take_while(|c| is_part(*c)).map(char::len_utf8).sum(),
    }
}

/// An accent or a vowel sign that is written behind its letter.
pub(super) fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}'
            | '\u{591}'..='\u{5bd}'
            | '\u{5bf}'..='\u{5c7}'
            | '\u{610}'..='\u{61a}'
            | '\u{64b}'..='\u{65f}'
            | '\u{670}'
    )
}

/// A letter of a script that is written without spaces: Chinese, Japanese, Korean, Thai and its neighbours.
pub(super) fn is_a_word(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1100}'..='\u{11ff}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{2e80}'..='\u{2fdf}'
            | '\u{3005}'..='\u{3007}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{31f0}'..='\u{31ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    ) && c.is_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut words = Vec::new();
        Hasher { seed: 7 }.words(text, &mut words);
        words.into_iter().map(|word| &text[word.start..word.end]).collect()
    }

    fn whole(text: &str) -> u64 {
        let mut words = Vec::new();
        let hasher = Hasher { seed: 7 };
        hasher.words(text, &mut words);
        hasher.of(text, &words)
    }

    #[test]
    fn words_are_runs_of_letters_or_of_digits() {
        assert_eq!(words("Ann-Marie O'Neill, EW12 (Zoë)"), ["Ann", "Marie", "O", "Neill", "EW", "12", "Zoë"]);
        assert_eq!(words("Herr李小龙先生"), ["Herr", "李", "小", "龙", "先", "生"]);
        assert_eq!(words("田中タ、김 민"), ["田", "中", "タ", "김", "민"]);
        assert_eq!(words("“” – é"), ["é"]);
    }

    #[test]
    fn case_accents_and_gaps_do_not_count() {
        for (one, other) in [
            ("Jane Groß", "JANE GROSS"),
            ("José", "jose"),
            ("Γιώργος Παπάς", "ΓΙΏΡΓΟΣ ΠΑΠΆΣ"),
            ("İbrahim", "ibrahim"),
            ("Zoe\u{308}", "ZOË"),
            ("EW 12 34-56", "ew123456"),
            ("مُحَمَّد", "محمد"),
        ] {
            assert_eq!(whole(one), whole(other), "{one}");
        }
        assert_ne!(whole("Jane"), whole("Joan"));
    }
}
