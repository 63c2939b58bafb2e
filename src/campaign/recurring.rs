//! Campaigns that are sent again and again, each time to whoever has not got it this time.

use jiff::civil::Date;

use super::keys::Keys;

/// What a message is of, each time that a campaign recurs: nobody gets two of the same occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurring {
    /// With placeholders for columns and for the day: `{{date}}`, `{{invoice}}`.
    pub occurrence: String,
    /// The day that is meant; none before it is known.
    pub date: Option<Date>,
}

/// The keys at the top: `recurring`, `occurrence`, and `occurrence_date` of a campaign that is kept.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<Recurring> {
    let is_recurring = keys.boolean("recurring").is_some_and(|said| said.value);
    let occurrence = keys.string("occurrence");
    let date = keys.string("occurrence_date");
    let read_date = date.and_then(|date| match date.value.parse() {
        Ok(day) => Some(day),
        Err(_) => {
            keys.complain(date.span, "occurrence_date", "a date such as 2026-11-27 is wanted", None);
            None
        }
    });
    match (is_recurring, occurrence) {
        (false, None) => None,
        (true, None) => {
            keys.missing("occurrence");
            None
        }
        (false, Some(said)) => {
            let help = Some("add recurring = true; or take occurrence out".to_owned());
            keys.complain(said.span, "occurrence", "this is for a campaign that recurs", help);
            None
        }
        (true, Some(said)) => Some(Recurring { occurrence: said.value, date: read_date }),
    }
}
