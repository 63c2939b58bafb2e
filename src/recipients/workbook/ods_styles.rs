//! What the styles of an OpenDocument spreadsheet say that matters to a list: what is hidden, and which cells show a
//! date, a time or both.

use std::collections::{HashMap, HashSet};

use quick_xml::events::BytesStart;

use super::{WorkbookProblem, package::attribute};

/// How a cell of the types date and time is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) date: bool,
    pub(super) time: bool,
    /// A length of time: `26:05`.
    pub(super) span: bool,
}

/// Styles by their names.
#[derive(Debug, Default)]
pub(super) struct Styles {
    hidden_tables: HashSet<String>,
    flat_rows: HashSet<String>,
    narrow_columns: HashSet<String>,
    cells: HashMap<String, CellStyle>,
    moments: HashMap<String, Moment>,
    /// The style whose children are being read.
    current: String,
}

#[derive(Debug, Default)]
struct CellStyle {
    parent: Option<String>,
    data: Option<String>,
}

/// Styles inherit from each other, and a made-up file could have them do so in a circle.
const MOST_PARENTS: usize = 16;

impl Styles {
    /// Takes in an element from the styles.
    pub(super) fn element(&mut self, element: &BytesStart<'_>) -> Result<(), WorkbookProblem> {
        let name = |element| attribute(element, "style:name").map(|name| name.unwrap_or_default().into_owned());
        match element.local_name().as_ref() {
            "style" => {
                self.current = name(element)?;
                if attribute(element, "style:family")?.as_deref() == Some("table-cell") {
                    let parent = attribute(element, "style:parent-style-name")?.map(String::from);
                    let data = attribute(element, "style:data-style-name")?.map(String::from);
                    self.cells.insert(self.current.clone(), CellStyle { parent, data });
                }
            }
            "table-properties" if attribute(element, "table:display")?.as_deref() == Some("false") => {
                self.hidden_tables.insert(self.current.clone());
            }
            "table-row-properties" if is_zero_length(element, "style:row-height")? => {
                self.flat_rows.insert(self.current.clone());
            }
            "table-column-properties" if is_zero_length(element, "style:column-width")? => {
                self.narrow_columns.insert(self.current.clone());
            }
            "date-style" => {
                self.current = name(element)?;
                self.moments.insert(self.current.clone(), Moment { date: true, ..Moment::default() });
            }
            "time-style" => {
                self.current = name(element)?;
                // Without an hour it is how long something took; with one this says so.
                let overflows = attribute(element, "number:truncate-on-overflow")?.as_deref() == Some("false");
                let moment = Moment { date: false, time: true, span: true };
                self.moments.insert(self.current.clone(), moment);
                if overflows {
                    self.current.clear();
                }
            }
            "hours" => {
                if let Some(moment) = self.moments.get_mut(&self.current) {
                    (moment.time, moment.span) = (true, false);
                }
            }
            "minutes" | "seconds" => {
                if let Some(moment) = self.moments.get_mut(&self.current) {
                    moment.time = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn hides_table(&self, style: &str) -> bool {
        self.hidden_tables.contains(style)
    }

    /// Whether rows of the style have no height.
    pub(super) fn flattens_row(&self, style: &str) -> bool {
        self.flat_rows.contains(style)
    }

    /// Whether columns of the style have no width.
    pub(super) fn narrows_column(&self, style: &str) -> bool {
        self.narrow_columns.contains(style)
    }

    /// How a cell of the style shows dates and times, if the style says.
    pub(super) fn moment(&self, style: &str) -> Option<Moment> {
        let mut style = self.cells.get(style)?;
        for _ in 0..MOST_PARENTS {
            if let Some(data) = &style.data {
                return self.moments.get(data).copied();
            }
            style = self.cells.get(style.parent.as_ref()?)?;
        }
        None
    }
}

fn is_zero_length(element: &BytesStart<'_>, name: &str) -> Result<bool, WorkbookProblem> {
    let number = |length: &str| length.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse() == Ok(0.0);
    Ok(attribute(element, name)?.is_some_and(|length| number(&length)))
}
