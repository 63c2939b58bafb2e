//! The same address in several rows: refused, or the first row counts, or all rows are one person's.

use std::collections::BTreeMap;

use hashbrown::hash_table::Entry;

use super::{Groups, ListProblem, RecipientList, same, short};
use crate::{
    campaign::{Duplicates, ListOptions},
    diagnostic::Diagnostics,
};

/// So many rows of one address are named.
const NAMED: usize = 10;

impl RecipientList {
    /// Makes people of rows.
    pub(super) fn by_person(mut self, options: &ListOptions, problems: &mut Diagnostics) -> Self {
        let again = self.fill_index();
        if options.group_by.is_some() {
            self.groups = Some(self.grouped(&again));
        } else if !again.is_empty() {
            match options.duplicates.unwrap_or(Duplicates::Refuse) {
                Duplicates::Refuse => self.refuse_twice(&again, problems),
                Duplicates::First => return self.leave_out(&again, problems),
            }
        }
        self
    }

    /// Fills the index; gives the rows whose address stands in an earlier one, and that one.
    pub(super) fn fill_index(&mut self) -> Vec<(u32, u32)> {
        let mut index = std::mem::take(&mut self.index);
        let hash = |index: &super::Index, place: &u32| index.hash(self.written(*place as usize));
        let mut places = std::mem::take(&mut index.places);
        // All at once: growing step by step would hash everybody again each time.
        places.reserve(self.rows.len(), |place| hash(&index, place));
        let mut again = Vec::new();
        for place in 0..short(self.rows.len()) {
            let address = self.written(place as usize);
            let is_same = |other: &u32| same(self.written(*other as usize), address);
            match places.entry(index.hash(address), is_same, |other| hash(&index, other)) {
                Entry::Occupied(first) => again.push((place, *first.get())),
                Entry::Vacant(free) => {
                    free.insert(place);
                }
            }
        }
        index.places = places;
        self.index = index;
        again
    }

    fn refuse_twice(&self, again: &[(u32, u32)], problems: &mut Diagnostics) {
        let mut pairs: Vec<(u32, u32)> = again.iter().map(|(place, first)| (*first, *place)).collect();
        pairs.sort_unstable();
        for person in pairs.chunk_by(|one, other| one.0 == other.0) {
            let places: Vec<u32> = std::iter::once(person[0].0).chain(person.iter().map(|pair| pair.1)).collect();
            let mut numbers: Vec<String> =
                places.iter().take(NAMED).map(|place| self.rows[*place as usize].number.to_string()).collect();
            let last =
                if places.len() > NAMED { Some(format!("{} more", places.len() - NAMED)) } else { numbers.pop() };
            let rows = format!("{} and {}", numbers.join(", "), last.unwrap_or_default());
            for place in places {
                let address = self.cell(place as usize, self.address_column).to_owned();
                let problem = ListProblem::Twice { address, rows: rows.clone() };
                self.complain(place as usize, self.address_column, &problem, problems);
            }
        }
    }

    /// Takes all rows but the first of each address off the list.
    fn leave_out(mut self, again: &[(u32, u32)], problems: &mut Diagnostics) -> Self {
        let mut kept = vec![true; self.rows.len()];
        for (place, first) in again {
            kept[*place as usize] = false;
            let address = self.cell(*place as usize, self.address_column).to_owned();
            let first = u64::from(self.rows[*first as usize].number);
            self.warn(*place as usize, self.address_column, &ListProblem::LeftOut { address, first }, problems);
        }
        let columns = self.columns.len();
        let mut rewritten = BTreeMap::new();
        let left: Vec<usize> = (0..self.rows.len()).filter(|place| kept[*place]).collect();
        for (place, before) in left.iter().copied().enumerate() {
            self.rows[place] = self.rows[before];
            self.ends.copy_within(before * columns..(before + 1) * columns, place * columns);
            rewritten.extend(self.rewritten.remove(&before).map(|address| (place, address)));
        }
        self.left_out = again.len();
        self.rows.truncate(left.len());
        self.ends.truncate(left.len() * columns);
        self.rewritten = rewritten;
        self.index.places.clear();
        self.fill_index();
        self
    }

    pub(super) fn grouped(&self, again: &[(u32, u32)]) -> Groups {
        let count = self.rows.len();
        // The first place of each person, at every place.
        let mut first: Vec<u32> = (0..short(count)).collect();
        for (place, of) in again {
            first[*place as usize] = *of;
        }
        let mut groups = Groups { person: vec![0; count], ..Groups::default() };
        let mut sizes: Vec<u32> = Vec::new();
        for (place, of) in first.iter().enumerate() {
            let of = *of as usize;
            if of == place {
                groups.person[place] = short(sizes.len());
                sizes.push(1);
            } else {
                groups.person[place] = groups.person[of];
                sizes[groups.person[of] as usize] += 1;
            }
        }
        let mut start = 0;
        for size in &sizes {
            groups.starts.push(start);
            start += size;
        }
        let mut next = groups.starts.clone();
        groups.members = vec![0; count];
        for place in 0..count {
            let person = groups.person[place] as usize;
            groups.members[next[person] as usize] = short(place);
            next[person] += 1;
        }
        groups
    }
}
