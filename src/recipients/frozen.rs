//! A list as it is kept when a campaign is prepared, and read again.

use serde::{Deserialize, Serialize};

use super::{Columns, Recipient, RecipientList, Row, short};
use crate::address::Address;

/// What a list is besides its rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shape {
    /// What it is called in complaints.
    pub name: String,
    /// Whether a person may have several rows.
    pub grouped: bool,
    /// Which column holds the addresses, from 0.
    pub address: usize,
    /// In their order.
    pub columns: Vec<ColumnShape>,
}

/// A column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnShape {
    /// As it stands in the list.
    pub heading: String,
    /// As templates call it.
    pub name: String,
    /// What its cells are, if somebody said so.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether its cells may be empty.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub optional: bool,
    /// Whether a person can be told by it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub identifying: bool,
}

/// One person of a list: the address as it travels, and the rows, each with its number in front of its cells.
type Kept = Vec<(u32, Vec<String>)>;

impl RecipientList {
    /// What it is besides its rows.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            name: self.name.to_string(),
            grouped: self.columns.is_grouped(),
            address: self.address_column,
            columns: self.columns.shapes(),
        }
    }

    /// A list of people who were kept, each as an address and what [`Recipient::kept`] gave. `None` where it does not fit
    /// together.
    #[must_use]
    pub fn restored(shape: &Shape, people: impl Iterator<Item = (String, String)>) -> Option<Self> {
        let mut restored = Restored::new(shape)?;
        for (address, kept) in people {
            restored.push(&address, &kept)?;
        }
        restored.list()
    }

    fn push(&mut self, number: u32, cells: &[String], address: &str) -> Option<()> {
        if cells.len() != self.columns.len() || self.rows.last().is_some_and(|row| row.number >= number) {
            return None;
        }
        let start = self.cells.len();
        for cell in cells {
            self.cells.push_str(cell);
            self.ends.push(short(self.cells.len() - start));
        }
        if cells[self.address_column] != address {
            self.rewritten.insert(self.rows.len(), Address::as_written(address));
        }
        self.rows.push(Row { start, number });
        Some(())
    }
}

/// A list of people who were kept, which come one after the other.
#[derive(Debug)]
pub struct Restored {
    list: RecipientList,
    is_grouped: bool,
    /// The rows of one person lie between those of others.
    rows: Vec<(u32, Vec<String>, String)>,
}

impl Restored {
    /// One that nobody is on yet; none where its shape does not fit together.
    #[must_use]
    pub fn new(shape: &Shape) -> Option<Self> {
        let columns = Columns::of_shapes(&shape.columns, shape.grouped)?;
        let list = RecipientList::without_rows(&shape.name.as_str().into(), columns, shape.address);
        let fits = shape.address < list.columns.len();
        fits.then(|| Self { list, is_grouped: shape.grouped, rows: Vec::new() })
    }

    /// The next person; none where that cannot be one of this list.
    pub fn push(&mut self, address: &str, kept: &str) -> Option<()> {
        let kept: Kept = serde_json::from_str(kept).ok()?;
        if self.is_grouped {
            self.rows.extend(kept.into_iter().map(|(number, cells)| (number, cells, address.to_owned())));
            return Some(());
        }
        let [(number, cells)] = kept.as_slice() else { return None };
        self.list.push(*number, cells, address)
    }

    /// All of them; none where they do not fit together.
    #[must_use]
    pub fn list(mut self) -> Option<RecipientList> {
        let list = &mut self.list;
        self.rows.sort_unstable_by_key(|(number, ..)| *number);
        self.rows.iter().try_for_each(|(number, cells, address)| list.push(*number, cells, address))?;
        let again = list.fill_index();
        if self.is_grouped {
            list.groups = Some(list.grouped(&again));
        }
        (self.is_grouped || again.is_empty()).then_some(self.list)
    }
}

impl Recipient<'_> {
    /// The rows of the person as JSON: of each the number, and its cells in the order of the columns.
    #[must_use]
    pub fn kept(self) -> String {
        let mut text = String::from("[");
        for row in self.rows() {
            let comma = if text.len() > 1 { "," } else { "" };
            let cells: Vec<&str> = row.fields().collect();
            // Strings can always be written.
            let cells = serde_json::to_string(&cells).unwrap_or_default();
            text.push_str(&format!("{comma}[{},{cells}]", row.number()));
        }
        text.push(']');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{ColumnType, ListOptions};

    #[test]
    fn a_list_comes_back_as_it_was() {
        let text = "#,Name,E-Mail,Due,Ok\n1,\"A\"\"\nb\",a@münchen.example,24.11.2026,yes\n,B,b@one.example,,no\n\
                    3,C,A@münchen.example,1.2.2026,ja\n";
        let options = ListOptions {
            group_by: Some("E-Mail".into()),
            optional: vec!["Due".into()],
            identifying: vec!["Name".into()],
            columns: vec![vec![
                ("Due".into(), ColumnType::Date(Some("%d.%m.%Y".into()))),
                ("Ok".into(), ColumnType::YesNo),
            ]],
            rows_are_right: true,
            ..ListOptions::default()
        };
        let list = RecipientList::parse("p.csv", text, &options).unwrap();
        let people = || list.iter().map(|person| (person.address().to_string(), person.kept()));
        let shape = serde_json::from_str(&serde_json::to_string(&list.shape()).unwrap()).unwrap();
        let again = RecipientList::restored(&shape, people()).unwrap();
        let all = |list: &RecipientList| {
            let people: Vec<_> =
                list.iter().map(|p| (p.row(), p.address().to_string(), p.kept(), p.rows().len())).collect();
            let columns = list.columns();
            let of = |nth: usize| (columns.name(nth).to_owned(), columns.kind(nth).clone(), columns.is_optional(nth));
            (people, (0..columns.len()).map(of).collect::<Vec<_>>(), columns.identifying().collect::<Vec<_>>())
        };
        assert_eq!(all(&again), all(&list));
        let found = |list: &RecipientList| {
            let person = list.get(0).unwrap();
            (list.len(), list.index_of_row(4), list.find(&person.address().as_str().to_uppercase()))
        };
        assert_eq!((found(&again), found(&list)), ((2, Some(0), Some(0)), (2, Some(0), Some(0))));
        assert!(RecipientList::restored(&shape, people().take(1)).is_some());
        assert!(RecipientList::restored(&shape, std::iter::once(("a@b.example".into(), "[[2,[]]]".into()))).is_none());
    }
}
