//! Finds people by what stands in their rows, without making a message.

use crate::{
    address::composed,
    recipients::{Recipient, RecipientList},
};

/// What is typed behind so many different words is not looked for: each one is looked for in everybody's rows.
const MOST_WORDS: usize = 16;

/// What is looked for: each word must stand somewhere in a person's rows, in any case, or be the number of one.
#[derive(Debug)]
pub(super) struct Search {
    words: Vec<String>,
    row: Option<u64>,
}

impl Search {
    /// For what somebody typed.
    pub(super) fn new(typed: &str) -> Self {
        let mut words: Vec<String> = Vec::new();
        for word in folded(typed).split_whitespace() {
            if words.len() < MOST_WORDS && !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        let row = match words.as_slice() {
            [word] => word.parse().ok(),
            _ => None,
        };
        Self { words, row }
    }

    /// The places in the list of those whom it finds, the person in a row of that number in front.
    pub(super) fn through(&self, list: &RecipientList) -> Vec<usize> {
        let first = self.row.and_then(|row| list.index_of_row(row));
        let others = list.iter().filter(|person| self.finds(*person)).map(Recipient::index);
        first.into_iter().chain(others.filter(|index| Some(*index) != first)).collect()
    }

    fn finds(&self, person: Recipient<'_>) -> bool {
        let address = person.address();
        self.words.iter().all(|word| {
            let in_row = |field: &str| holds(field, word);
            person.rows().any(|row| row.fields().any(in_row)) || in_row(address.as_str())
        })
    }
}

/// Composed (NFC), and in lower case.
fn folded(text: &str) -> String {
    composed(text).to_lowercase()
}

/// Whether a field holds a word that is folded.
fn holds(field: &str, word: &str) -> bool {
    if !field.is_ascii() {
        return folded(field).contains(word);
    }
    let (field, word) = (field.as_bytes(), word.as_bytes());
    word.len() <= field.len() && field.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ListOptions;

    #[test]
    fn each_word_is_looked_for_once_and_not_too_many_are() {
        assert_eq!(Search::new(&"A a b ".repeat(40)).words, ["a", "b"]);
        let many: Vec<String> = (0..100).map(|nth| format!("w{nth}")).collect();
        assert_eq!(Search::new(&many.join(" ")).words, many[..MOST_WORDS]);
    }

    #[test]
    fn people_are_found_by_anything_in_their_rows() {
        let list = "name,case,email\nZoe\u{308} Ärger,K-12,zoe@one.example\nMÜLLER,3,m@bücher.example\nAda,x 2 y,ada@one.example\n";
        let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
        let found = |typed: &str| Search::new(typed).through(&list);
        assert_eq!(found("ZOË"), [0]);
        assert_eq!(found("zoe\u{308} ärger"), [0]);
        assert_eq!(found("müller"), [1]);
        assert_eq!(found("xn--bcher"), [1], "as it travels");
        assert_eq!(found("bücher"), [1]);
        assert_eq!(found("EXAMPLE ada"), [2]);
        assert_eq!(found("ada zoë"), [0; 0]);
        // Row 3 first, then whoever has a 3; and row 2 is not only who has a 2.
        assert_eq!(found("3"), [1]);
        assert_eq!(found("4"), [2]);
        assert_eq!(found("2"), [0, 2]);
        assert_eq!(found(""), [0, 1, 2]);
        assert_eq!(found("<script>"), [0; 0]);
    }
}
