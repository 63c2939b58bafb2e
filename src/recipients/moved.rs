//! Addresses that stand beside somebody else's name: a column that moved by a row or a few, which is how everybody gets
//! what is meant for the next person; or a single row.
//!
//! Only addresses that show a name can tell. How well an address shows a row's name is counted in letters: those of
//! the words of the name that stand in the part before the @.

use std::{fmt::Write as _, hash::BuildHasher};

use super::{ListProblem, RecipientList, same, short};
use crate::diagnostic::Diagnostics;

/// Words in the headings of columns with names of people, in the languages that we know.
const NAME_WORDS: &str = "\
    achternaam apellido apellidos attendee child client cognome contact customer efternamn etternavn \
    family familienname first firstname forename fornavn fullname förnamn given imię imie last lastname \
    member naam nachname name namn navn nazwisko nom nombre nome parent patient person prenom prénom \
    pupil recipient student surname victim voornaam vorname";

/// So many columns make a name at most.
const MOST_COLUMNS: usize = 6;

/// By so many rows columns with names are found.
const SAMPLE: usize = 500;

/// A column may have moved by so many rows.
const FURTHEST: usize = 3;

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
    let all = Names { list, columns, fixed: Vec::new() };
    // First names can move without the last ones.
    let each = all.columns.iter().map(|column| {
        let fixed = all.columns.iter().copied().filter(|other| other != column).collect();
        Names { list, columns: vec![*column], fixed }
    });
    let several = all.columns.len() > 1;
    let moved = all.moved().map(|run| (all.evidence(&run), run));
    let moved = moved
        .or_else(|| each.filter(|_| several).find_map(|names| names.moved().map(|run| (names.evidence(&run), run))));
    match moved {
        Some((evidence, run)) => {
            let rows =
                if run.by.unsigned_abs() == 1 { "row".to_owned() } else { format!("{} rows", run.by.unsigned_abs()) };
            let direction = match (run.by > 0, run.by.unsigned_abs()) {
                (true, 1) => "in the row below".to_owned(),
                (false, 1) => "in the row above".to_owned(),
                (true, _) => format!("{rows} below"),
                (false, _) => format!("{rows} above"),
            };
            list.complain(run.first[0], list.address_column, &ListProblem::Moved { direction, evidence }, problems);
        }
        None => all.strangers(problems),
    }
}

/// The columns with names: those that are called so, and those whose words addresses show, in their own row or near it.
fn name_columns(list: &RecipientList) -> Vec<usize> {
    let rows = list.rows.len().min(SAMPLE);
    let locals: Vec<Words> = (0..rows).map(|place| Words::of(local(list, place))).collect();
    let is_name = |word: &str| NAME_WORDS.split(' ').any(|name| name == word);
    let is_called_so = |column: usize| list.columns.name(column).split('_').any(is_name);
    let is_shown = |column: usize| {
        let shown = (0..rows).filter(|place| {
            let near = place.saturating_sub(FURTHEST)..(place + FURTHEST + 1).min(rows);
            let cell = list.cell(*place, column);
            let words = if cell.contains('@') { Words::default() } else { Words::of(cell) };
            near.into_iter().any(|other| words.shown_in(&locals[other]) >= CLEARLY)
        });
        let shown = shown.count();
        shown >= LEAST_RUN && shown >= rows / 3
    };
    let named = (0..list.columns.len()).filter(|column| *column != list.address_column);
    let named: Vec<usize> = named.filter(|column| is_called_so(*column)).take(MOST_COLUMNS).collect();
    if !named.is_empty() {
        return named;
    }
    let others = (0..list.columns.len()).filter(|column| *column != list.address_column).take(50);
    others.filter(|column| is_shown(*column)).take(MOST_COLUMNS).collect()
}

/// What stands before the @ of a row's address.
fn local(list: &RecipientList, place: usize) -> &str {
    list.written(place).split('@').next().unwrap_or("")
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

    /// Whether an address is just the initials of these words, as `jks` for John Kenneth Smith, in whatever order the
    /// columns have them. That says little, but nothing against the row's own name.
    fn has_initials(&self, local: &Self) -> bool {
        if self.len() < 2 || local.letters.len() != self.len() {
            return false;
        }
        let (mut initials, mut all) = (self.iter().map(|word| word[0]).collect::<Vec<_>>(), local.letters.clone());
        initials.sort_unstable();
        all.sort_unstable();
        initials == all
    }

    /// How many letters of these words stand in an address. Two letters count only where they are a word there, and an
    /// initial where it is all that stands beside a word, as in `jsmith`.
    fn shown_in(&self, local: &Self) -> usize {
        let mut letters = 0;
        for (nth, word) in self.iter().enumerate() {
            let shown = match word.len() {
                0 | 1 => false,
                2 => local.iter().any(|other| other == word),
                _ => contains(&local.letters, word),
            };
            if !shown || self.iter().take(nth).any(|before| before == word) {
                continue;
            }
            letters += word.len().max(CLEARLY);
            let initial = match local.letters.len() - word.len() {
                1 if local.letters.ends_with(word) => local.letters.first(),
                1 => local.letters.last(),
                _ => None,
            };
            let others = || self.iter().enumerate().filter(|(other, _)| *other != nth);
            if initial.is_some_and(|initial| others().any(|(_, other)| other[0] == *initial)) {
                letters += CLEARLY;
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

/// Rows one after the other whose addresses show the names of rows at the same distance.
struct Run {
    /// How many rows further down.
    by: isize,
    /// Their places, the first ones.
    first: Vec<usize>,
    count: usize,
}

/// What is known of such rows at one distance while the list is gone through.
#[derive(Default)]
struct Side {
    /// The first places of the run under way, and how many there are.
    first: Vec<usize>,
    count: usize,
    /// Rows in between that tell nothing: all of them, and the last ones in a row.
    silent: usize,
    silent_now: usize,
    /// The same of the longest run.
    best: Vec<usize>,
    best_count: usize,
    hits: usize,
}

impl Side {
    fn hit(&mut self, place: usize) {
        self.hits += 1;
        self.silent_now = 0;
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(place);
        }
        if self.count > self.best_count {
            self.best_count = self.count;
            if self.best.len() < SHOWN || self.best[0] != self.first[0] {
                self.best.clone_from(&self.first);
            }
        }
    }

    fn silent(&mut self) {
        if self.count == 0 {
            return;
        }
        self.silent += 1;
        self.silent_now += 1;
        // In a column that moved most addresses tell.
        if self.silent_now > 2 || 2 * self.silent > self.count + 1 {
            self.over();
        }
    }

    fn over(&mut self) {
        self.first.clear();
        self.count = 0;
        self.silent = 0;
        self.silent_now = 0;
    }
}

/// Names as some columns have them.
struct Names<'l> {
    list: &'l RecipientList,
    /// Those that may have moved.
    columns: Vec<usize>,
    /// Those that have not, where only a part of the name may have.
    fixed: Vec<usize>,
}

impl Names<'_> {
    fn words(&self, place: usize, words: &mut Words) {
        words.clear();
        for column in &self.columns {
            words.add(self.list.cell(place, *column));
        }
    }

    /// The name of a row, with these words where the columns may have moved.
    fn composed(&self, place: usize, moved: &Words, name: &mut Words) {
        name.clear();
        for column in &self.fixed {
            name.add(self.list.cell(place, *column));
        }
        let before = name.letters.len();
        name.letters.extend_from_slice(&moved.letters);
        name.ends.extend(moved.ends.iter().map(|end| before + end));
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
        let distances: Vec<isize> = (1..=FURTHEST.cast_signed()).flat_map(|by| [by, -by]).collect();
        let mut sides: Vec<Side> = distances.iter().map(|_| Side::default()).collect();
        // The words of the rows from so far above to so far below, in turn.
        let mut window: Vec<Words> = (0..=2 * FURTHEST).map(|_| Words::default()).collect();
        let turns = window.len();
        for place in 0..FURTHEST.min(count) {
            self.words(place, &mut window[place % turns]);
        }
        let (mut at, mut name) = (Words::default(), Words::default());
        for place in 0..count {
            if place + FURTHEST < count {
                self.words(place + FURTHEST, &mut window[(place + FURTHEST) % turns]);
            }
            at.clear();
            at.add(local(self.list, place));
            self.composed(place, &window[place % turns], &mut name);
            let score = if name.has_initials(&at) { CLEARLY } else { name.shown_in(&at) };
            // All of it is shown, and no other name can show clearly more.
            let settled = score >= at.letters.len();
            let mut any = false;
            for (by, side) in distances.iter().zip(&mut sides) {
                let other = place.checked_add_signed(*by).filter(|other| *other < count && !settled);
                let hit = other.is_some_and(|other| {
                    self.composed(place, &window[other % turns], &mut name);
                    name.shown_in(&at) >= score + CLEARLY && !same(self.list.written(other), self.list.written(place))
                });
                any |= hit;
                if hit {
                    side.hit(place);
                } else if score >= CLEARLY {
                    side.over();
                } else {
                    side.silent();
                }
            }
            own_shown += usize::from(score >= CLEARLY && !any);
        }
        // Accidents become likelier with the length of the list.
        let enough = LEAST_RUN + (count.ilog10() as usize).saturating_sub(1);
        let hits: Vec<usize> = sides.iter().map(|side| side.hits).collect();
        let likely = |nth: usize, side: &Side| {
            let others = hits.iter().enumerate().filter(|(other, _)| *other != nth).map(|(_, hits)| *hits).max();
            side.best_count >= enough || (side.hits >= 2 * enough && side.hits >= 3 * (own_shown + others.unwrap_or(0)))
        };
        let runs = sides.into_iter().enumerate().zip(distances).filter(|((nth, side), _)| likely(*nth, side));
        // Of equally long ones the nearest.
        runs.rev().max_by_key(|((_, side), _)| side.best_count).map(|((_, side), by)| Run {
            by,
            first: side.best,
            count: side.best_count,
        })
    }

    /// The first rows of a run, side by side with whose names their addresses show.
    fn evidence(&self, run: &Run) -> String {
        let pairs: Vec<(usize, usize)> =
            run.first.iter().map(|place| (*place, place.saturating_add_signed(run.by))).collect();
        self.table(&pairs, run.count)
    }

    /// Rows, and those whose names their addresses show: the first ones of so many.
    fn table(&self, pairs: &[(usize, usize)], count: usize) -> String {
        let rows = pairs.iter().map(|(place, other)| {
            let number = |place: usize| self.list.rows[place].number;
            [
                number(*place).to_string(),
                self.shown(*place),
                self.list.cell(*place, self.list.address_column).to_owned(),
                format!("{} (row {})", self.shown(*other), number(*other)),
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
        if count > pairs.len() {
            let _ = writeln!(text, "  … and {} more", count - pairs.len());
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Warns of every row whose address shows nothing of its own name, and is just the name of another row. Where that
    /// is so for most rows, it is an error.
    fn strangers(&self, problems: &mut Diagnostics) {
        let hasher = &self.list.index.hasher;
        let (mut words, mut at) = (Words::default(), Words::default());
        let mut wanted: Vec<(u64, u32)> = Vec::new();
        let mut own_shown = 0;
        for place in 0..self.list.rows.len() {
            at.clear();
            at.add(local(self.list, place));
            if at.letters.len() < LEAST_NAME {
                continue;
            }
            self.words(place, &mut words);
            let shown = words.shown_in(&at);
            own_shown += usize::from(shown > 0);
            if words.len() > 0 && shown == 0 {
                wanted.push((hasher.hash_one(&at.letters), short(place)));
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
                    let is_it = Words::of(local(self.list, stranger)).letters == joined;
                    if is_it && !same(self.list.written(stranger), self.list.written(place)) {
                        found.push((*other, short(place)));
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup_by_key(|(stranger, _)| *stranger);
        if found.len() > LEAST_RUN && found.len() >= 3 * own_shown {
            let pairs: Vec<(usize, usize)> =
                found.iter().take(SHOWN).map(|(one, other)| (*one as usize, *other as usize)).collect();
            let evidence = self.table(&pairs, found.len());
            let problem = ListProblem::Moved { direction: "in other rows".into(), evidence };
            self.list.complain(pairs[0].0, self.list.address_column, &problem, problems);
            return;
        }
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
mod tests;
