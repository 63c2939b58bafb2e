//! What is one person's own, wherever it stands in what others say: the parts of the address, and what is in the cells.

use std::{collections::HashSet, ops::Range};

use super::{
    MOST_DIGITS, MOST_WORDS, NUMBER, are_one, digits_of, in_number, parts, same_number,
    words::{Hasher, Kind, Word, continued, finished, is_a_word},
};

/// Shorter parts of an address or a cell could be parts of anything.
const SHORTEST: usize = 3;

/// In scripts without spaces.
const SHORTEST_WITHOUT_SPACES: usize = 2;

/// Nobody chooses what stands in a list so that more is removed from their own replies.
const HASHER: Hasher = Hasher { seed: 0 };

/// Where a person's own can be told in a text: without case and accents, whatever marks stand around it and in it.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Of words one after the other
    values: HashSet<u64>,
    /// The digits of each telephone number, or what could be one
    numbers: Vec<Vec<u8>>,
}

impl Own {
    /// That of whoever has an address, if it is known, and cells.
    pub(crate) fn of<'c>(address: Option<&str>, cells: impl IntoIterator<Item = &'c str>) -> Self {
        let mut own = Self::default();
        if let Some(address) = address {
            let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
            // The whole of it is somebody's, however short it is.
            own.add(local, 1);
            own.add_parts(local);
            own.add(domain, SHORTEST);
        }
        for cell in cells {
            own.add(cell, SHORTEST);
            own.add_turned(cell);
            cell.split_whitespace().for_each(|part| own.add(part, SHORTEST));
            own.add_parts(cell);
            own.add_numbers(cell);
        }
        own
    }

    /// Only what is nobody else's in a text about anything: the part in front of the @, whole names of two words and more, and
    /// telephone numbers.
    pub(crate) fn whole<'c>(address: &str, cells: impl IntoIterator<Item = &'c str>) -> Self {
        let mut own = Self::default();
        own.add(address.rsplit_once('@').map_or(address, |(local, _)| local), SHORTEST);
        for cell in cells {
            if cell.split_whitespace().nth(1).is_some() {
                own.add(cell, SHORTEST);
                own.add_turned(cell);
            }
            own.add_numbers(cell);
        }
        own
    }

    fn add_numbers(&mut self, cell: &str) {
        self.numbers.extend(parts(cell).map(digits_of).filter(|digits| digits.len() >= NUMBER));
    }

    /// Letters and digits without anything between.
    fn add_parts(&mut self, text: &str) {
        text.split(|c: char| !is_letter(c)).for_each(|part| self.add(part, SHORTEST));
    }

    fn add(&mut self, text: &str, least: usize) {
        let least = if text.contains(is_a_word) { least.min(SHORTEST_WITHOUT_SPACES) } else { least };
        if text.chars().filter(|c| c.is_alphanumeric()).count() < least {
            return;
        }
        let mut words = Vec::new();
        HASHER.words(text, &mut words);
        words.truncate(MOST_WORDS);
        if !words.is_empty() {
            self.values.insert(HASHER.of(text, &words));
        }
    }

    /// A name with the last one first.
    fn add_turned(&mut self, cell: &str) {
        let mut names: Vec<&str> = cell.split_whitespace().collect();
        if (2..=3).contains(&names.len()) {
            names.rotate_right(1);
            self.add(&names.concat(), SHORTEST);
        }
    }

    /// Every place of a text where something of it stands; some may overlap.
    pub(crate) fn search(&self, text: &str, each: &mut dyn FnMut(Range<usize>)) {
        let mut words = Vec::new();
        HASHER.words(text, &mut words);
        for nth in 0..words.len() {
            if !touches(text[..words[nth].start].chars().next_back()) {
                self.values_at(text, &words[nth..], each);
                self.number_at(text, &words[nth..], each);
            }
        }
    }

    fn values_at(&self, text: &str, words: &[Word], each: &mut dyn FnMut(Range<usize>)) {
        let mut hash = HASHER.seed;
        for (nth, word) in words.iter().take(MOST_WORDS).enumerate() {
            if nth > 0 && !are_one(text, &words[nth - 1], word) {
                return;
            }
            hash = continued(hash, &text[word.start..word.end]);
            if self.values.contains(&finished(hash)) && !touches(text[word.end..].chars().next()) {
                each(words[0].start..word.end);
            }
        }
    }

    fn number_at(&self, text: &str, words: &[Word], each: &mut dyn FnMut(Range<usize>)) {
        let mut digits = Vec::new();
        for (nth, word) in words.iter().enumerate() {
            let goes_on = nth == 0 || in_number(&text[words[nth - 1].end..word.start]);
            if self.numbers.is_empty() || word.kind != Kind::Digits || !goes_on {
                return;
            }
            digits.extend_from_slice(&text.as_bytes()[word.start..word.end]);
            if digits.len() > MOST_DIGITS {
                return;
            }
            let is_whole = digits.len() >= NUMBER && !touches(text[word.end..].chars().next());
            if is_whole && self.numbers.iter().any(|own| same_number(own, &digits)) {
                each(words[0].start..word.end);
            }
        }
    }
}

/// Whether a character is a part of a word, and not the sign of an accent.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || super::words::is_mark(c)
}

/// Whether a word goes on with a character beside it. In scripts without spaces each is one.
fn touches(c: Option<char>) -> bool {
    c.is_some_and(|c| is_letter(c) && !is_a_word(c))
}
