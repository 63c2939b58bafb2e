//! Addresses that stand beside somebody else's name: a column that moved by a row, which is how everybody gets what is
//! meant for the next person; or a single row.
//!
//! Only addresses that show a name can tell. How well an address shows a row's name is counted in letters: those of
//! the words of the name that stand in the part before the @.

use std::{fmt::Write as _, hash::BuildHasher};

use super::{ListProblem, RecipientList, same, short};
use crate::diagnostic::Diagnostics;

/// Words in the headings of columns with names of people, in the languages that we know.
const NAME_WORDS: &[&str] = &[
    "achternaam",
    "apellido",
    "apellidos",
    "attendee",
    "child",
    "client",
    "cognome",
    "contact",
    "customer",
    "efternamn",
    "etternavn",
    "family",
    "familienname",
    "first",
    "firstname",
    "forename",
    "fornavn",
    "fullname",
    "förnamn",
    "given",
    "imię",
    "imie",
    "last",
    "lastname",
    "member",
    "naam",
    "nachname",
    "name",
    "namn",
    "navn",
    "nazwisko",
    "nom",
    "nombre",
    "nome",
    "parent",
    "patient",
    "person",
    "prenom",
    "prénom",
    "pupil",
    "recipient",
    "student",
    "surname",
    "victim",
    "voornaam",
    "vorname",
];

/// Words in the headings of columns with names of other things.
const OTHER_WORDS: &[&str] = &[
    "account",
    "company",
    "date",
    "event",
    "file",
    "firm",
    "firma",
    "id",
    "number",
    "organisation",
    "organization",
    "phone",
    "product",
    "ref",
    "school",
    "street",
    "user",
];

/// So many columns make a name at most.
const MOST_COLUMNS: usize = 6;

/// An address shows a name better than another if it has so many more letters of it.
const CLEARLY: usize = 3;

/// So many rows one after the other are no accident in a short list.
const LEAST_RUN: usize = 3;

/// So many rows are shown as evidence.
const SHOWN: usize = 5;

/// Names shorter than this are too common in addresses to belong to one person.
const LEAST_NAME: usize = 6;

/// Looks for both; a column that moved is an error.
pub(super) fn check(list: &RecipientList, problems: &mut Diagnostics) {
    let columns = name_columns(list);
    if columns.is_empty() || list.rows.is_empty() {
        return;
    }
    let mut names = Names { list, columns };
    match names.moved() {
        Some(run) => {
            let direction = if run.below { "in the row below" } else { "in the row above" };
            let problem = ListProblem::Moved { direction, evidence: names.evidence(&run) };
            list.complain(run.rows[0], list.address_column, &problem, problems);
        }
        None => names.strangers(problems),
    }
}

fn name_columns(list: &RecipientList) -> Vec<usize> {
    let is_name = |column: &usize| {
        let mut words = list.columns.name(*column).split('_');
        *column != list.address_column
            && words.clone().any(|word| NAME_WORDS.contains(&word))
            && !words.any(|word| OTHER_WORDS.contains(&word))
    };
    (0..list.columns.len()).filter(is_name).take(MOST_COLUMNS).collect()
}

/// Words in lower-case ASCII: those of a name, or those of an address before the @.
#[derive(Debug, Default)]
struct Words {
    letters: Vec<u8>,
    ends: Vec<usize>,
}

impl Words {
    fn of(text: &str) -> Self {
        let mut words = Self::default();
        words.add(text);
        words
    }

    fn clear(&mut self) {
        self.letters.clear();
        self.ends.clear();
    }

    /// Adds the words of a text. `Müller`, `Mueller` and `Muller` are the same.
    fn add(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                'e' | 'E' if matches!(self.word_so_far().last(), Some(b'a' | b'o' | b'u')) => {}
                c if c.is_ascii_alphabetic() => self.letters.push(c.to_ascii_lowercase() as u8),
                '\'' | '\u{2019}' => {}
                c if c.is_ascii() => self.end(),
                c => match folded(c) {
                    Some(letters) => self.letters.extend_from_slice(letters.as_bytes()),
                    None => self.end(),
                },
            }
        }
        self.end();
    }

    fn word_so_far(&self) -> &[u8] {
        &self.letters[self.ends.last().copied().unwrap_or(0)..]
    }

    fn end(&mut self) {
        if !self.word_so_far().is_empty() {
            self.ends.push(self.letters.len());
        }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn word(&self, nth: usize) -> &[u8] {
        let start = if nth == 0 { 0 } else { self.ends[nth - 1] };
        &self.letters[start..self.ends[nth]]
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        (0..self.len()).map(|nth| self.word(nth))
    }

    /// How many letters of these words stand in an address. Two letters count only where they are a word there.
    fn shown_in(&self, local: &Self) -> usize {
        let mut letters = 0;
        for (nth, word) in self.iter().enumerate() {
            let shown = match word.len() {
                0 | 1 => false,
                2 => local.iter().any(|other| other == word),
                _ => contains(&local.letters, word),
            };
            if shown && !self.iter().take(nth).any(|before| before == word) {
                letters += word.len().max(CLEARLY);
            }
        }
        letters
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part[0] == word[0] && part == word)
}

/// A letter of European languages without what is above or below it.
fn folded(c: char) -> Option<&'static str> {
    Some(match c {
        'À'..='Æ' | 'à'..='æ' | 'Ā'..='ą' => "a",
        'Ç' | 'ç' | 'Ć'..='č' => "c",
        'Ð' | 'ð' | 'Ď'..='đ' => "d",
        'È'..='Ë' | 'è'..='ë' | 'Ē'..='ě' => "e",
        'Ĝ'..='ģ' => "g",
        'Ì'..='Ï' | 'ì'..='ï' | 'Ĩ'..='ı' => "i",
        'Ł' | 'ł' | 'Ĺ'..='ľ' => "l",
        'Ñ' | 'ñ' | 'Ń'..='ň' => "n",
        'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'Ō'..='œ' => "o",
        'Ŕ'..='ř' => "r",
        'Ś'..='š' | 'Ș' | 'ș' => "s",
        'ß' | 'ẞ' => "ss",
        'Ţ'..='ŧ' | 'Ț' | 'ț' => "t",
        'Þ' | 'þ' => "th",
        'Ù'..='Ü' | 'ù'..='ü' | 'Ũ'..='ų' => "u",
        'Ý' | 'ý' | 'ÿ' | 'Ŷ'..='Ÿ' => "y",
        'Ź'..='ž' => "z",
        _ => return None,
    })
}

/// Rows one after the other whose addresses show the names of their neighbours on one side, by their places.
struct Run {
    below: bool,
    rows: Vec<usize>,
}

/// What is known of such rows on one side while the list is gone through.
#[derive(Default)]
struct Side {
    run: Vec<usize>,
    /// Rows in between that tell nothing: all of them, and the last ones in a row.
    silent: usize,
    silent_now: usize,
    /// The longest run, and all rows that were in any.
    best: Vec<usize>,
    hits: usize,
}

impl Side {
    fn hit(&mut self, place: usize) {
        self.hits += 1;
        self.silent_now = 0;
        self.run.push(place);
        if self.run.len() > self.best.len() {
            // Only as far as it is shown, and counted.
            self.best.clone_from(&self.run);
        }
    }

    fn silent(&mut self) {
        if self.run.is_empty() {
            return;
        }
        self.silent += 1;
        self.silent_now += 1;
        if self.silent_now > 3 || self.silent > self.run.len() {
            self.over();
        }
    }

    fn over(&mut self) {
        self.run.clear();
        self.silent = 0;
        self.silent_now = 0;
    }
}

struct Names<'l> {
    list: &'l RecipientList,
    columns: Vec<usize>,
}

impl Names<'_> {
    fn words(&self, place: usize, words: &mut Words) {
        words.clear();
        for column in &self.columns {
            words.add(self.list.cell(place, *column));
        }
    }

    fn local(&self, place: usize) -> &str {
        self.list.written(place).split('@').next().unwrap_or("")
    }

    /// The name as it stands in the list.
    fn shown(&self, place: usize) -> String {
        let cells: Vec<&str> = self.columns.iter().map(|column| self.list.cell(place, *column)).collect();
        cells.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The run that is no accident, if there is one.
    fn moved(&self) -> Option<Run> {
        let count = self.list.rows.len();
        let mut own_shown = 0;
        let (mut above, mut below) = (Side::default(), Side::default());
        let (mut before, mut own, mut behind) = (Words::default(), Words::default(), Words::default());
        let mut local = Words::default();
        self.words(0, &mut behind);
        for place in 0..count {
            std::mem::swap(&mut before, &mut own);
            std::mem::swap(&mut own, &mut behind);
            behind.clear();
            if place + 1 < count {
                self.words(place + 1, &mut behind);
            }
            local.clear();
            local.add(self.local(place));
            let score = own.shown_in(&local);
            // No name can show so much more of what is left of the address.
            let settled = score + CLEARLY > local.letters.len().max(CLEARLY);
            let neighbour = |other: Option<usize>, words: &Words| {
                !settled
                    && words.shown_in(&local) >= score + CLEARLY
                    && other.is_some_and(|other| !same(self.list.written(other), self.list.written(place)))
            };
            let hits = [
                neighbour(place.checked_sub(1), &before),
                neighbour(Some(place + 1).filter(|next| *next < count), &behind),
            ];
            own_shown += usize::from(score >= CLEARLY && hits == [false; 2]);
            for (side, hit) in [&mut above, &mut below].into_iter().zip(hits) {
                if hit {
                    side.hit(place);
                } else if score >= CLEARLY {
                    side.over();
                } else {
                    side.silent();
                }
            }
        }
        // Accidents become likelier with the length of the list.
        let enough = LEAST_RUN + (count.ilog10() as usize).saturating_sub(1);
        let both = [above.hits, below.hits];
        [(above, both[1], false), (below, both[0], true)]
            .into_iter()
            .filter(|(side, other, _)| {
                side.best.len() >= enough
                    || (!side.best.is_empty() && side.hits >= 2 * enough && side.hits >= 3 * (own_shown + other))
            })
            .max_by_key(|(side, ..)| side.best.len())
            .map(|(side, _, below)| Run { below, rows: side.best })
    }

    /// The first rows of a run, side by side with whose names their addresses show.
    fn evidence(&self, run: &Run) -> String {
        let rows = run.rows.iter().take(SHOWN).map(|place| {
            let other = if run.below { place + 1 } else { place - 1 };
            let number = |place: usize| self.list.rows[place].number;
            [
                number(*place).to_string(),
                self.shown(*place),
                self.list.cell(*place, self.list.address_column).to_owned(),
                format!("{} (row {})", self.shown(other), number(other)),
            ]
        });
        let title = ["row", "name", "address", "looks like"].map(str::to_owned);
        let table: Vec<[String; 4]> = std::iter::once(title).chain(rows).collect();
        let width = |nth: usize| table.iter().map(|row| row[nth].chars().count()).max().unwrap_or(0);
        let (row_width, name_width, address_width) = (width(0), width(1), width(2));
        let mut text = String::new();
        for [row, name, address, like] in &table {
            let _ = writeln!(text, "  {row:>row_width$}  {name:name_width$}  {address:address_width$}  {like}");
        }
        if run.rows.len() > SHOWN {
            let _ = writeln!(text, "  … and {} more", run.rows.len() - SHOWN);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Warns of every row whose address shows nothing of its own name, and is just the name of another row.
    fn strangers(&mut self, problems: &mut Diagnostics) {
        let hasher = &self.list.index.hasher;
        let (mut words, mut local) = (Words::default(), Words::default());
        let mut wanted: Vec<(u64, u32)> = Vec::new();
        for place in 0..self.list.rows.len() {
            local.clear();
            local.add(self.local(place));
            if local.letters.len() < LEAST_NAME {
                continue;
            }
            self.words(place, &mut words);
            if words.len() > 0 && words.shown_in(&local) == 0 {
                wanted.push((hasher.hash_one(&local.letters), short(place)));
            }
        }
        if wanted.is_empty() {
            return;
        }
        wanted.sort_unstable();
        let mut joined: Vec<u8> = Vec::new();
        let mut found: Vec<(u32, u32)> = Vec::new();
        for place in 0..self.list.rows.len() {
            self.words(place, &mut words);
            let (Some(first), Some(last), true) = (words.iter().next(), words.iter().next_back(), words.len() > 1)
            else {
                continue;
            };
            for pair in [[first, last], [last, first]] {
                joined.clear();
                joined.extend(pair.into_iter().flatten());
                let hash = hasher.hash_one(&joined);
                let start = wanted.partition_point(|one| one.0 < hash);
                for (_, other) in wanted[start..].iter().take_while(|one| one.0 == hash) {
                    let stranger = *other as usize;
                    let is_it = Words::of(self.local(stranger)).letters == joined;
                    if is_it && !same(self.list.written(stranger), self.list.written(place)) {
                        found.push((*other, short(place)));
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup_by_key(|(stranger, _)| *stranger);
        for (stranger, place) in found {
            let problem = ListProblem::OtherPerson {
                address: self.list.cell(stranger as usize, self.list.address_column).to_owned(),
                name: self.shown(place as usize),
                row: u64::from(self.list.rows[place as usize].number),
            };
            self.list.warn(stranger as usize, self.list.address_column, &problem, problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ListOptions;

    const PEOPLE: [(&str, &str); 8] = [
        ("Ada Lovelace", "ada.lovelace"),
        ("Björn Müller", "bjoern.mueller"),
        ("Cem Kaya", "ckaya"),
        ("Dee Díaz", "diaz1970"),
        ("Eve O'Neil", "oneil.eve"),
        ("Fay Wu", "fay.wu"),
        ("Gil Ng", "ng"),
        ("Hal Ober", "halober"),
    ];

    /// What is said about a list of names and addresses.
    fn said(people: impl IntoIterator<Item = (String, String)>) -> String {
        let mut text = "Name,E-Mail\n".to_owned();
        for (name, local) in people {
            let _ = writeln!(text, "{name},{local}@x{}.example", text.len());
        }
        match RecipientList::parse("p.csv", &text, &ListOptions::default()) {
            Ok(list) => list.remarks().to_string(),
            Err(why) => why.to_string(),
        }
    }

    fn shifted(by: usize, from: usize, people: &[(&str, &str)]) -> Vec<(String, String)> {
        let local = |nth: usize| people[if nth >= from { (nth + by) % people.len() } else { nth }].1;
        people.iter().enumerate().map(|(nth, (name, _))| ((*name).to_owned(), local(nth).to_owned())).collect()
    }

    #[test]
    fn a_list_in_order_is_left_alone() {
        assert_eq!(said(shifted(0, 0, &PEOPLE)), "");
    }

    #[test]
    fn a_column_that_moved_up_or_down_is_seen() {
        let up = said(shifted(1, 0, &PEOPLE));
        assert!(up.contains("p.csv, row 2, column \"E-Mail\": from this row on the addresses look like those of the people in the row below:"), "{up}");
        assert!(up.contains("  2  Ada Lovelace  bjoern.mueller@x12.example  Björn Müller (row 3)\n"), "{up}");
        assert!(up.contains("say --rows-are-right"), "{up}");
        let down = said(shifted(PEOPLE.len() - 1, 0, &PEOPLE));
        assert!(down.contains("row 3, column \"E-Mail\": from this row on the addresses look like those of the people in the row above:"), "{down}");
        let late = said(shifted(1, 4, &PEOPLE));
        assert!(late.contains("row 6, column"), "{late}");
    }

    #[test]
    fn families_couples_and_nicknames_are_no_moved_column() {
        let couples = [
            ("Ann Berg", "bob.berg"),
            ("Bob Berg", "bob.berg2"),
            ("Cem Cole", "dee.cole"),
            ("Dee Cole", "dee.cole2"),
            ("Eve East", "fred.east"),
            ("Fred East", "fred.east2"),
            ("Gil Goss", "hal.goss"),
            ("Hal Goss", "hal.goss2"),
        ];
        assert_eq!(said(shifted(0, 0, &couples)), "");
        let nicknames = [
            ("Ann Berg", "sunshine"),
            ("Bob Cole", "tiger77"),
            ("Cem Kaya", "info"),
            ("Dee Diaz", "office"),
            ("Eve East", "mail"),
            ("Fay Finn", "kaya-fan"),
        ];
        assert_eq!(said(shifted(0, 0, &nicknames)), "");
    }

    #[test]
    fn a_single_row_with_another_persons_address_is_worth_a_look() {
        let mut people = shifted(0, 0, &PEOPLE);
        people[6].1 = "lovelace_ada".into();
        assert_eq!(
            said(people),
            "warning: p.csv, row 8, column \"E-Mail\": \"lovelace_ada@x212.example\" looks like the address of \"Ada Lovelace\" in row 2\n  \
             help: look at both rows\n"
        );
    }

    #[test]
    fn long_lists_are_not_refused_by_accident() {
        // Addresses that have nothing to do with names, but hold the names of neighbours now and then.
        let first = [
            "ann", "bob", "cem", "dee", "eve", "fay", "gil", "hal", "ida", "jon", "kay", "leo", "mia", "ned", "ola",
            "pia",
        ];
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let people: Vec<(String, String)> =
            (0..20_000).map(|nth| (first[next(16)].to_owned(), format!("{}{nth}", first[next(16)]))).collect();
        assert_eq!(said(people), "");
    }
}
