//! Values by which a person can be told, besides the address: names, telephone numbers, references.
//!
//! A value is the words in it: runs of letters or of digits, without case and accents. `OE-2041`, `oe 2041` and `OE2041`
//! are the same; a name is found as whole words, in its order or with the last name first. Seven digits and more are a
//! telephone number, of which the digits count and not how they are grouped, with a country's code or without. Everything
//! is looked up in one table, so that the time for a message does not grow with the list.

mod own;
mod words;

use std::{collections::HashSet, hash::BuildHasher, ops::Range};

use hashbrown::{DefaultHashBuilder, HashTable};

pub(crate) use self::own::Own;
use self::words::{Hasher, Kind, Word, continued, finished};
use crate::recipients::{Recipient, RecipientList};

/// A telephone number has so many digits at least, and is looked up by its last ones.
const NUMBER: usize = 7;

/// It has so many at most, with all that can stand in front of it (E.164 has 15).
const MOST_DIGITS: usize = 18;

/// So many digits may stand in front of a telephone number: a country's code, and zeros to dial it.
const PREFIX: usize = 5;

/// Of a longer value so many words are looked at.
const MOST_WORDS: usize = 12;

/// What stands in front of a name, in lower case.
const TITLES: &[&str] = &[
    "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "herr", "frau", "fr", "monsieur", "madame", "mme", "mlle",
    "m", "sr", "sra", "signor", "signora", "sig", "dhr", "mevr", "pan", "pani", "rev",
];

/// Between two words of one value there are so many characters at most.
const MOST_BETWEEN: usize = 3;

/// The values of some columns of a list.
#[derive(Debug)]
pub(super) struct Identifying {
    columns: Vec<usize>,
    values: HashTable<Value>,
    hasher: Hasher,
    /// The hashes of words with which a value begins.
    beginnings: Filter,
    has_numbers: bool,
    /// A value that more people have tells nobody.
    common: u16,
    /// Values that everybody may see.
    allowed: HashSet<u64>,
}

/// A value in the table.
#[derive(Debug, Clone, Copy)]
struct Value {
    hash: u64,
    /// Who has it, and who had it first, in the list
    person: u32,
    column: u16,
    people: u16,
}

/// A value of somebody's in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where in the text it stands
    pub(super) range: Range<usize>,
    /// Who has it, and who had it first, in the list
    pub(super) person: usize,
    pub(super) column: usize,
}

/// What a value is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    hash: u64,
    /// Of the first word; none of a telephone number, which may begin with any
    first: Option<u64>,
}

impl Identifying {
    /// The values of `columns`; one that more than `common` people have tells nobody.
    pub(super) fn new(list: &RecipientList, columns: &[usize], common: u16, allowed: &[String]) -> Self {
        let mut this = Self {
            columns: columns.to_vec(),
            values: HashTable::with_capacity(list.len() * columns.len()),
            hasher: Hasher { seed: DefaultHashBuilder::default().hash_one(0) },
            beginnings: Filter::for_values(list.len() * columns.len() * 2),
            has_numbers: false,
            common,
            allowed: HashSet::new(),
        };
        let mut forms = Vec::new();
        for value in allowed {
            this.forms(value, &mut forms);
            this.allowed.extend(forms.iter().map(|form| form.hash));
        }
        for recipient in list.iter() {
            let person = u32::try_from(recipient.index()).unwrap_or(u32::MAX);
            for row in recipient.rows() {
                for column in columns {
                    this.forms(row.field(*column), &mut forms);
                    for form in &forms {
                        this.insert(*form, person, u16::try_from(*column).unwrap_or(u16::MAX));
                    }
                }
            }
        }
        this
    }

    /// A value that more people have tells nobody.
    pub(super) fn common(&self) -> usize {
        usize::from(self.common)
    }

    fn insert(&mut self, form: Form, person: u32, column: u16) {
        match form.first {
            Some(first) => self.beginnings.insert(first),
            None => self.has_numbers = true,
        }
        match self.values.find_mut(form.hash, |value| value.hash == form.hash) {
            Some(known) if known.person == person => {}
            Some(known) => known.people = known.people.saturating_add(1),
            None => {
                let value = Value { hash: form.hash, person, column, people: 1 };
                self.values.insert_unique(form.hash, value, |value| value.hash);
            }
        }
    }

    /// What the value of a cell is looked up by: all that is in it, and what of it may stand elsewhere alone.
    fn forms(&self, cell: &str, forms: &mut Vec<Form>) {
        forms.clear();
        let mut words = Vec::new();
        let mut add = |value: &str, words: &[Word]| {
            if let Some(form) = self.form(value, words).filter(|form| !forms.contains(form)) {
                forms.push(form);
            }
        };
        self.hasher.words(cell, &mut words);
        add(cell, &words);
        if words.iter().all(|word| word.kind != Kind::Digits) {
            // "Dr. Jane Smith (mother)", "Smith, Jane"
            let name = cell.split('(').next().unwrap_or_default();
            self.hasher.words(name, &mut words);
            let is_title = |word: &&Word| TITLES.contains(&name[word.start..word.end].to_lowercase().as_str());
            let titles = words.iter().take_while(is_title).count();
            let bare = &words[titles..];
            add(name, bare);
            if let [first @ .., last] = bare
                && (1..=2).contains(&first.len())
            {
                let mut turned = vec![*last];
                turned.extend_from_slice(first);
                add(name, &turned);
                // Behind a comma the first names stand last.
                if let [last, first @ ..] = bare
                    && first.len() == 2
                    && name[last.end..first[0].start].contains(',')
                {
                    add(name, &[first[0], first[1], *last]);
                }
            }
        } else {
            // Several numbers, or what they are of: "mobile: 0171 5550199 / 030 1234567"
            for part in
                parts(cell).filter(|part| part.len() < cell.len() && part.contains(|c: char| c.is_ascii_digit()))
            {
                self.hasher.words(part, &mut words);
                add(part, &words);
            }
        }
    }

    /// What words of a text are looked up by, if they tell anybody: a letter or two, or a small number, do not.
    fn form(&self, value: &str, words: &[Word]) -> Option<Form> {
        let digits = digits_of(value);
        if words.iter().all(|word| word.kind == Kind::Digits) && digits.len() >= NUMBER {
            return Some(Form { hash: self.number(&digits), first: None });
        }
        let words = &words[..words.len().min(MOST_WORDS)];
        let first = words.first()?;
        if let [only] = words {
            let least = if only.kind == Kind::Digits { 4 } else { 3 };
            if value[only.start..only.end].chars().count() < least {
                return None;
            }
        }
        Some(Form { hash: self.hasher.of(value, words), first: Some(first.hash) })
    }

    /// Of a telephone number, by its end.
    fn number(&self, digits: &[u8]) -> u64 {
        let end = &digits[digits.len() - NUMBER..];
        // Apart from a reference with these digits.
        finished(continued(!self.hasher.seed, std::str::from_utf8(end).unwrap_or_default()))
    }

    /// Every value of somebody's in a text.
    pub(super) fn search(&self, list: &RecipientList, text: &str, each: &mut dyn FnMut(Found)) {
        let mut words = Vec::with_capacity(text.len() / 6);
        self.hasher.words(text, &mut words);
        // A number is not looked for again within itself.
        let mut number_ends = 0;
        for nth in 0..words.len() {
            if self.beginnings.may_contain(words[nth].hash) {
                self.sequences(list, text, &words[nth..], each);
            }
            if words[nth].kind == Kind::Digits && self.has_numbers && nth >= number_ends {
                number_ends = self.number_at(list, text, &words, nth, each);
            }
        }
    }

    /// Values that begin with the first of some words.
    fn sequences(&self, list: &RecipientList, text: &str, words: &[Word], each: &mut dyn FnMut(Found)) {
        let mut hash = self.hasher.seed;
        for (nth, word) in words.iter().take(MOST_WORDS).enumerate() {
            if nth > 0 && !are_one(text, &words[nth - 1], word) {
                return;
            }
            hash = continued(hash, &text[word.start..word.end]);
            let known = finished(hash);
            let Some(value) = self.values.find(known, |value| value.hash == known) else { continue };
            if !self.tells_nobody(value) && Self::is_whole(list, value, text, &words[..=nth]) {
                each(Found::new(value, words[0].start..word.end));
            }
        }
    }

    /// Looks for a telephone number that begins with the digits at `first`; gives the word behind it.
    fn number_at(
        &self,
        list: &RecipientList,
        text: &str,
        words: &[Word],
        first: usize,
        each: &mut dyn FnMut(Found),
    ) -> usize {
        let touches =
            |at: Option<&Word>, end: usize| at.is_some_and(|word| word.kind != Kind::Digits && word.end == end);
        let before = first.checked_sub(1).map(|before| &words[before]);
        if touches(before, words[first].start) {
            return 0;
        }
        // The end of a number with another area code is not that number.
        let is_end = before.is_some_and(|before| {
            let between = &text[before.end..words[first].start];
            before.kind == Kind::Digits && in_number(between) && !between.contains(['+', '('])
        });
        let starts_anew = text.as_bytes()[words[first].start] == b'0';
        if is_end && !starts_anew {
            return 0;
        }
        let mut digits = Vec::with_capacity(MOST_DIGITS);
        for (nth, word) in words[first..].iter().enumerate() {
            let is_next = nth == 0 || in_number(&text[words[first + nth - 1].end..word.start]);
            if word.kind != Kind::Digits || !is_next {
                break;
            }
            digits.extend_from_slice(&text.as_bytes()[word.start..word.end]);
            if digits.len() > MOST_DIGITS {
                break;
            }
            let behind = words.get(first + nth + 1);
            let ends = behind.is_none_or(|behind| behind.start != word.end);
            if digits.len() < NUMBER || !ends {
                continue;
            }
            let hash = self.number(&digits);
            let Some(value) = self.values.find(hash, |value| value.hash == hash) else { continue };
            let holder = list.get(value.person as usize);
            if !self.tells_nobody(value)
                && holder.is_some_and(|holder| has_number(holder, usize::from(value.column), &digits))
            {
                each(Found::new(value, words[first].start..word.end));
                return first + nth + 1;
            }
        }
        0
    }

    /// Whether everybody may see a value, or so many have it that it tells nobody.
    fn tells_nobody(&self, value: &Value) -> bool {
        value.people > self.common || self.allowed.contains(&value.hash)
    }

    /// Whether what was found is in a person's own fields, too: a name that two people have, or another person's first
    /// name in one's own.
    pub(super) fn is_own(&self, own: Recipient<'_>, found: &str) -> bool {
        let mut sequence = Vec::new();
        self.hasher.words(found, &mut sequence);
        let is_number = sequence.iter().all(|word| word.kind == Kind::Digits);
        let digits = digits_of(found);
        if is_number && digits.len() >= NUMBER && self.columns.iter().any(|column| has_number(own, *column, &digits)) {
            return true;
        }
        let whole = self.hasher.of(found, &sequence);
        let (mut words, mut forms) = (Vec::new(), Vec::new());
        // A note about somebody else does not make that person's name one's own.
        own.rows().any(|row| {
            self.columns.iter().any(|column| {
                let cell = row.field(*column);
                self.forms(cell, &mut forms);
                self.hasher.words(cell, &mut words);
                let is_same = |window: &[Word]| window.iter().zip(&sequence).all(|(one, other)| one.hash == other.hash);
                forms.iter().any(|form| form.hash == whole) || words.windows(sequence.len().max(1)).any(is_same)
            })
        })
    }

    /// Whether what was found is the value and not part of something longer; and a name that is a word, too, is only
    /// meant with its capital: "May".
    fn is_whole(list: &RecipientList, value: &Value, text: &str, words: &[Word]) -> bool {
        let (Some(first), Some(ending)) = (words.first(), words.last()) else { return false };
        if words.iter().any(|word| word.kind == Kind::Digits) {
            return !joins(text[..first.start].chars().rev()) && !joins(text[ending.end..].chars());
        }
        let touches_digit = |c: Option<char>| c.is_some_and(char::is_numeric);
        if touches_digit(text[..first.start].chars().next_back()) || touches_digit(text[ending.end..].chars().next()) {
            return false;
        }
        // "Jane Smith-Jones" is another one.
        let mut behind = text[ending.end..].chars();
        if behind.next() == Some('-') && behind.next().is_some_and(char::is_uppercase) {
            return false;
        }
        let column = usize::from(value.column);
        let has_capital = |row: &str| row.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_uppercase);
        let is_name = list.get(value.person as usize).is_some_and(|person| has_capital(person.field(column)));
        words.len() > 1 || !is_name || first.kind == Kind::Capital
    }
}

impl Found {
    fn new(value: &Value, range: Range<usize>) -> Self {
        Self { range, person: value.person as usize, column: usize::from(value.column) }
    }
}

/// Whether a person has a telephone number in a column, among others perhaps.
fn has_number(person: Recipient<'_>, column: usize, digits: &[u8]) -> bool {
    person.rows().any(|row| {
        let cell = row.field(column);
        std::iter::once(cell).chain(parts(cell)).any(|part| same_number(&digits_of(part), digits))
    })
}

/// What stands in a cell side by side.
fn parts(cell: &str) -> impl Iterator<Item = &str> {
    cell.split([';', ',', '\n', '|', ':']).flat_map(|part| part.split(" / "))
}

fn digits_of(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).collect()
}

/// Whether two words can belong to one value.
fn are_one(text: &str, one: &Word, next: &Word) -> bool {
    let between = &text[one.end..next.start];
    between.chars().count() <= MOST_BETWEEN && !between.contains(['<', '>', '@'])
}

/// Whether digits go on behind such characters: `(0)7700-900 123`.
fn in_number(between: &str) -> bool {
    between.chars().count() <= MOST_BETWEEN && between.chars().all(|c| " -./()+\u{a0}\u{2011}\u{2013}".contains(c))
}

/// Whether letters or digits follow behind a mark that holds the parts of a reference together, `OE-2041-7`, or the
/// places of a number, `12.2041`. What else stands in paths and names of files does not.
fn joins(mut rest: impl Iterator<Item = char>) -> bool {
    match rest.next() {
        Some('-' | '\u{2011}') => rest.next().is_some_and(char::is_alphanumeric),
        Some('.' | ',') => rest.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => c.is_alphanumeric(),
        None => false,
    }
}

/// Whether two telephone numbers are the same but for what is dialled in front.
fn same_number(one: &[u8], other: &[u8]) -> bool {
    let bare = |digits: &[u8]| digits.iter().copied().skip_while(|digit| *digit == b'0').collect::<Vec<u8>>();
    let (one, other) = (bare(one), bare(other));
    let (long, short) = if one.len() < other.len() { (other, one) } else { (one, other) };
    short.len() >= NUMBER - 1 && long.len() - short.len() <= PREFIX && long.ends_with(&short)
}

/// Tells of most words that no value begins with them, without a look into the table (a Bloom filter).
#[derive(Debug)]
struct Filter(Vec<u64>);

impl Filter {
    /// Sixteen bits for each value: one word in fifty is looked up in vain.
    fn for_values(count: usize) -> Self {
        Self(vec![0; (count / 4).next_power_of_two().max(16)])
    }

    /// Both bits are in one word of memory.
    fn place(&self, hash: u64) -> (usize, u64) {
        let word = usize::try_from(hash >> 16).unwrap_or(usize::MAX) & (self.0.len() - 1);
        (word, 1 << (hash & 63) | 1 << (hash >> 6 & 63))
    }

    fn insert(&mut self, hash: u64) {
        let (word, bits) = self.place(hash);
        self.0[word] |= bits;
    }

    fn may_contain(&self, hash: u64) -> bool {
        let (word, bits) = self.place(hash);
        self.0[word] & bits == bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ListOptions;

    const LIST: &str = "email,name,phone,ref\n\
        ada@one.example,Ada Byron,+44 7700 900001,OE-2041\n\
        bo@one.example,Bo May,07700 900002,OE-204\n\
        ann@one.example,Ann-Marie O'Neill,(01632) 960003,AB/7/2026\n\
        may@one.example,May,07700-900004,5512\n\
        zoe@one.example,Zoë Nuñez,,X1\n";

    fn found(text: &str) -> Vec<(String, usize)> {
        let list = RecipientList::parse("p.csv", LIST, &ListOptions::default()).unwrap();
        let values = Identifying::new(&list, &[1, 2, 3], 3, &["OE-2041".to_owned()].map(|_| "Zed".to_owned()));
        let ada = list.get(0).unwrap();
        let mut found = Vec::new();
        values.search(&list, text, &mut |one| found.push((text[one.range].to_owned(), one.person)));
        found.retain(|(value, person)| *person != ada.index() && !values.is_own(ada, value));
        found
    }

    #[test]
    fn values_of_others_are_found_as_whole_words() {
        for (text, value, person) in [
            ("Dear Bo May,", "Bo May", 1),
            ("Dear BO  may,", "BO  may", 1),
            ("dear Ann-Marie O'Neill", "Ann-Marie O'Neill", 2),
            ("Ann Marie\nO’Neill", "Ann Marie\nO’Neill", 2),
            ("call (07700) 900 002 now", "07700) 900 002", 1),
            ("call +44 7700 900002.", "44 7700 900002", 1),
            ("call 0044-7700-900002", "0044-7700-900002", 1),
            ("tel:+441632960003", "441632960003", 2),
            ("on 24 01632 960003 12", "24 01632 960003", 2),
            ("case OE-204.", "OE-204", 1),
            ("case oe204", "oe204", 1),
            ("AB 7/2026", "AB 7/2026", 2),
            ("no. 5512,", "5512", 3),
            ("Dear May", "May", 3),
            ("Zoe\u{308} Nun\u{303}ez", "Zoe\u{308} Nun\u{303}ez", 4),
            ("ZOË NUÑEZ", "ZOË NUÑEZ", 4),
            ("ref X1!", "X1", 4),
            ("May, Bo", "May, Bo", 1),
            ("https://x.example/case/OE-204/", "OE-204", 1),
            ("letter_OE-204.pdf", "OE-204", 1),
            ("Nr.5512/2026", "5512", 3),
            ("zoe nunez", "zoe nunez", 4),
        ] {
            let all = found(text);
            assert!(all.contains(&(value.to_owned(), person)), "{text}: {all:?}");
        }
    }

    #[test]
    fn what_only_looks_like_them_passes() {
        for text in [
            "Dear Ada Byron, your case OE-2041, call 07700 900001 or +447700900001",
            "you may call; they may not",
            "Bob Mayer, Bo Mayer, Bobo",
            "OE-2041, OE-2040, OE-204-5, ROE-204, OE-204x, 12.5512, 5,5512",
            "Bo May-Smith, call 040 2960003 or 0800 2960003",
            "07700 900005 and 1234567 and 900002",
            "17700900002345678901234",
            "55120, 15512, 5512-3, A5512",
            "X12, X1a, AX1",
            "Ann-Marie",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn what_many_have_tells_nobody_and_what_is_allowed_passes() {
        let list = "email,name\na@one.example,Sam\nb@one.example,Sam\nc@one.example,Sam\nd@one.example,Kim\ne@one.example,Jo Lee\n";
        let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
        let search = |common, allowed: &[String], text: &str| {
            let mut found = 0;
            let values = Identifying::new(&list, &[1], common, allowed);
            values.search(&list, text, &mut |_| found += 1);
            found
        };
        assert_eq!(search(3, &[], "Sam and Kim"), 2);
        assert_eq!(search(2, &[], "Sam and Kim"), 1);
        assert_eq!(search(2, &["kim".into()], "Sam and Kim"), 0);
    }
}
