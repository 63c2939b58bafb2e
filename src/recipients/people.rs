//! Some people of a list that was read before, as the rows of a new one.

use std::sync::Arc;

use super::{ListFile, RecipientList, read::Rows, short};
use crate::campaign::ListOptions;

/// The headings of a list that was kept are row 1, wherever they stood.
const HEADINGS: u64 = 1;

/// Some people of a list.
#[derive(Debug)]
pub(super) struct SomePeople {
    list: Arc<RecipientList>,
    /// The places of their rows
    places: Vec<u32>,
}

impl SomePeople {
    pub(super) fn new(list: Arc<RecipientList>, is_meant: impl Fn(usize) -> bool) -> Self {
        let places = (0..list.rows.len()).filter(|place| is_meant(list.person_at(*place))).map(short).collect();
        Self { list, places }
    }

    pub(super) fn rows(&self) -> PeopleRows<'_> {
        PeopleRows { people: self, next: 0 }
    }
}

/// The headings, and then their rows.
pub(super) struct PeopleRows<'p> {
    people: &'p SomePeople,
    /// How many rows were given, with the headings
    next: usize,
}

impl PeopleRows<'_> {
    /// The place of the row; none of the headings.
    fn place(&self) -> Option<usize> {
        self.people.places.get(self.next.checked_sub(2)?).map(|place| *place as usize)
    }
}

impl Rows for PeopleRows<'_> {
    fn next(&mut self) -> Option<u64> {
        self.next += 1;
        if self.next == 1 {
            return Some(HEADINGS);
        }
        self.place().map(|place| u64::from(self.people.list.rows[place].number))
    }

    fn len(&self) -> usize {
        self.people.list.columns.len()
    }

    fn cell(&self, nth: usize) -> &str {
        match self.place() {
            Some(place) => self.people.list.cell(place, nth),
            None => self.people.list.columns.heading(nth),
        }
    }

    fn delimiter(&self) -> Option<u8> {
        None
    }
}

impl RecipientList {
    /// Says once more what is worth a look about a list that was kept. What only its file could tell, such as rows that were left out,
    /// is not known any more.
    pub fn look_again(self: &Arc<Self>) {
        let all = ListFile::of_people(&self.name, Arc::clone(self), |_| true);
        let (_, found) = Self::examined(&all, &self.options());
        // It was good when it was prepared, perhaps because somebody said so.
        let _ = self.remarks.set(found.without_errors());
    }

    /// How it was read, for a list of some of its people.
    #[must_use]
    pub fn options(&self) -> ListOptions {
        let columns = &self.columns;
        let headings = |wanted: &dyn Fn(usize) -> bool| {
            let wanted = (0..columns.len()).filter(|nth| wanted(*nth));
            wanted.map(|nth| columns.heading(nth).to_owned()).collect::<Vec<_>>()
        };
        let typed = (0..columns.len()).filter(|nth| columns.is_typed(*nth));
        let address = Some(columns.heading(self.address_column).to_owned());
        ListOptions {
            optional: headings(&|nth| columns.is_optional(nth)),
            identifying: headings(&|nth| columns.identifying().any(|column| column == nth)),
            columns: vec![typed.map(|nth| (columns.heading(nth).to_owned(), columns.kind(nth).clone())).collect()],
            group_by: address.clone().filter(|_| columns.is_grouped()),
            address,
            ..ListOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipients::PersonRow;

    #[test]
    fn some_of_the_people_are_a_list_like_the_one_that_they_are_from() {
        let text = "Name,Contact,Due\nAda,a@one.example,1.2.2026\n\nBo,b@two.example,\nAda,A@one.example,2.2.2026\nCy,c@x.example,\n";
        let options = ListOptions {
            address: Some("contact".into()),
            group_by: Some("Contact".into()),
            optional: vec!["due".into()],
            identifying: vec!["Name".into()],
            columns: vec![vec![("Due".into(), "date %d.%m.%Y".parse().unwrap())]],
            ..ListOptions::default()
        };
        let list = Arc::new(RecipientList::parse("p.csv", text, &options).unwrap());
        let again = ListOptions { identifying: vec!["Due".into()], ..ListOptions::default() }.again(list.options());
        let file = ListFile::of_people("outbox:x", Arc::clone(&list), |index| index != 1);
        let some = RecipientList::of(&file, &again).unwrap();
        let rows: Vec<Vec<u64>> = some.iter().map(|one| one.rows().map(PersonRow::number).collect()).collect();
        assert_eq!(rows, [vec![2, 5], vec![6]]);
        assert_eq!(some.get(0).unwrap().kept(), list.get(0).unwrap().kept());
        assert_eq!(some.columns().identifying().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(some.name(), "outbox:x");
        let nobody = ListFile::of_people("outbox:x", list, |_| false);
        assert!(RecipientList::of(&nobody, &again).is_err());
    }
}
