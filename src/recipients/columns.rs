//! The headings of a list, and the names that templates use for them.

use std::sync::Arc;

use super::frozen::ColumnShape;
use crate::{address::composed, campaign::ColumnType, diagnostic::quoted};

/// One column.
#[derive(Debug, Clone)]
struct Column {
    heading: Arc<str>,
    name: String,
    kind: Option<ColumnType>,
    optional: bool,
    identifying: bool,
}

/// The columns of a list, in its order.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    columns: Vec<Column>,
    grouped: bool,
}

/// What templates call all rows of a person.
pub const ROWS: &str = "rows";

/// Headings of address columns once case, spaces and punctuation are gone, in the languages that we know.
const ADDRESS_HEADINGS: &[&str] = &[
    "email",
    "mail",
    "emailaddress",
    "mailaddress",
    "emailadresse",
    "mailadresse",
    "courriel",
    "adressemail",
    "adresseemail",
    "adresseelectronique",
    "correo",
    "correoelectronico",
    "indirizzoemail",
    "emailadres",
    "epost",
    "epostadress",
];

impl Columns {
    /// Columns of the given headings.
    pub fn new(headings: impl IntoIterator<Item = String>) -> Self {
        let named = |(nth, heading): (usize, String)| {
            let name = Self::name_for(&heading);
            // `#` is a heading, and a template may want to use the column.
            let name = if name.is_empty() && !heading.is_empty() { format!("column_{}", nth + 1) } else { name };
            Column { heading: heading.into(), name, kind: None, optional: false, identifying: false }
        };
        Self { columns: headings.into_iter().enumerate().map(named).collect(), grouped: false }
    }

    /// As they are kept.
    pub(super) fn shapes(&self) -> Vec<ColumnShape> {
        let shape = |column: &Column| ColumnShape {
            heading: column.heading.to_string(),
            name: column.name.clone(),
            kind: column.kind.as_ref().map(ToString::to_string),
            optional: column.optional,
            identifying: column.identifying,
        };
        self.columns.iter().map(shape).collect()
    }

    /// Those that were kept; `None` where a type is none.
    pub(super) fn of_shapes(shapes: &[ColumnShape], grouped: bool) -> Option<Self> {
        let column = |shape: &ColumnShape| {
            Some(Column {
                heading: shape.heading.as_str().into(),
                name: shape.name.clone(),
                kind: shape.kind.as_ref().map(|kind| kind.parse()).transpose().ok()?,
                optional: shape.optional,
                identifying: shape.identifying,
            })
        };
        Some(Self { columns: shapes.iter().map(column).collect::<Option<_>>()?, grouped })
    }

    /// The name of a heading in templates: lower case, with `_` for spaces and punctuation.
    ///
    /// ```
    /// assert_eq!(apiece::recipients::Columns::name_for(" First  name "), "first_name");
    /// assert_eq!(apiece::recipients::Columns::name_for("E-Mail"), "e_mail");
    /// assert_eq!(apiece::recipients::Columns::name_for("Date/Time (local)"), "date_time_local");
    /// ```
    #[must_use]
    pub fn name_for(heading: &str) -> String {
        let heading = composed(heading);
        let mut name = String::with_capacity(heading.len());
        let apart = |c: char| c.is_whitespace() || (c.is_ascii() && !c.is_ascii_alphanumeric());
        for word in heading.split(apart).filter(|word| !word.is_empty()) {
            if !name.is_empty() {
                name.push('_');
            }
            name.extend(word.chars().flat_map(char::to_lowercase));
        }
        name
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The name in templates.
    #[must_use]
    pub fn name(&self, column: usize) -> &str {
        &self.columns[column].name
    }

    /// The heading as it stands in the list.
    #[must_use]
    pub fn heading(&self, column: usize) -> &str {
        &self.columns[column].heading
    }

    /// The same, to be kept.
    pub(super) fn shared_heading(&self, column: usize) -> Arc<str> {
        Arc::clone(&self.columns[column].heading)
    }

    /// What its cells are.
    #[must_use]
    pub fn kind(&self, column: usize) -> &ColumnType {
        self.columns[column].kind.as_ref().unwrap_or(&ColumnType::Text)
    }

    /// Whether somebody said what its cells are, if only text.
    #[must_use]
    pub fn is_typed(&self, column: usize) -> bool {
        self.columns[column].kind.is_some()
    }

    /// Whether a person may have several rows, which templates go through with `{{#each rows}}`.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        self.grouped
    }

    /// Whether its cells may be empty although a template shows them.
    #[must_use]
    pub fn is_optional(&self, column: usize) -> bool {
        self.columns[column].optional
    }

    pub(super) fn set_kind(&mut self, column: usize, kind: ColumnType) {
        self.columns[column].kind = Some(kind);
    }

    pub(super) fn group(&mut self) {
        self.grouped = true;
    }

    /// Only the columns at these places.
    pub(super) fn only(&mut self, places: &[usize]) {
        self.columns = places.iter().map(|nth| self.columns[*nth].clone()).collect();
    }

    /// Lets the cells of a column be empty.
    pub(super) fn make_optional(&mut self, column: usize) {
        self.columns[column].optional = true;
    }

    pub(super) fn make_identifying(&mut self, column: usize) {
        self.columns[column].identifying = true;
    }

    /// The columns by whose values a person can be told.
    pub fn identifying(&self) -> impl Iterator<Item = usize> {
        (0..self.columns.len()).filter(|column| self.columns[*column].identifying)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The column of a name or a heading; case, spaces and punctuation make no difference.
    #[must_use]
    pub fn find(&self, heading: &str) -> Option<usize> {
        (0..self.columns.len()).find(|column| self.is_called(*column, heading))
    }

    /// Whether a column has this name or heading.
    #[must_use]
    pub fn is_called(&self, column: usize, heading: &str) -> bool {
        let letters = |name: &str| name.replace('_', "");
        letters(&self.columns[column].name) == letters(&Self::name_for(heading))
    }

    /// All headings in quotation marks, for a complaint; the first twenty.
    pub(super) fn listed(&self) -> String {
        let named: Vec<&Column> = self.columns.iter().filter(|column| !column.name.is_empty()).collect();
        let mut shown: Vec<String> = named.iter().take(20).map(|column| quoted(&column.heading)).collect();
        if named.len() > 20 {
            shown.push(format!("and {} more", named.len() - 20));
        }
        shown.join(", ")
    }

    /// The columns whose headings are usual for addresses.
    pub(super) fn usual_for_addresses(&self) -> Vec<usize> {
        let usual = |column: &Column| {
            let letters: String = column.name.chars().filter(|c| c.is_alphanumeric()).collect();
            ADDRESS_HEADINGS.contains(&letters.replace('é', "e").replace('ó', "o").as_str())
        };
        (0..self.columns.len()).filter(|nth| usual(&self.columns[*nth])).collect()
    }
}
