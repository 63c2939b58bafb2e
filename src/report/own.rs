//! What a server said, as it may end up in a log: without what is its recipient's own.

use super::log::without_codes;
use crate::{
    delivery::Finished,
    guard::Own,
    outbox::without_people,
    recipients::{PersonRow, RecipientList},
};

/// Where the recipient of a message can be told in a text.
pub(super) fn own(finished: &Finished, list: &RecipientList) -> Own {
    let person = list.index_of_row(finished.row).and_then(|index| list.get(index));
    let cells = person.iter().flat_map(|person| person.rows()).flat_map(PersonRow::fields);
    // The address is looked for as one: the words of its domain are nobody's.
    Own::of(Some(finished.to.as_str()), cells.filter(|cell| !cell.contains('@')))
}

/// A text without that, and without what could be a code for it.
pub(super) fn without(text: &str, own: &Own) -> String {
    without_codes(&without_people(text, own))
}
