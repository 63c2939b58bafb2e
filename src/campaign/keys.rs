//! TOML tables in which every key is known: what is misspelt, missing or of the wrong kind is said with its
//! line and column, all of it at once.

use std::{fmt, ops::Range, sync::Arc};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, Source, nearest};

/// What can be wrong with a TOML file.
#[derive(Debug)]
pub(crate) enum KeyProblem {
    Syntax(String),
    Unknown { key: String, within: String, nearest: Option<String>, known: Vec<&'static str> },
    Kind { key: String, wanted: &'static str, found: &'static str },
    Missing { key: &'static str, within: String },
    Value { key: String, why: String, help: Option<String> },
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(why) => write!(f, "this is not TOML: {why}"),
            Self::Unknown { key, within, .. } => write!(f, "there is no key \"{key}\"{within}"),
            Self::Kind { key, wanted, found } => {
                let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
                write!(f, "\"{key}\" must be {wanted}, and this is {article} {found}")
            }
            Self::Missing { key, within } => write!(f, "the key \"{key}\" is missing{within}"),
            Self::Value { key, why, .. } => write!(f, "\"{key}\": {why}"),
        }
    }
}

impl Complaint for KeyProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "settings.syntax",
            Self::Unknown { .. } => "settings.unknown-key",
            Self::Kind { .. } => "settings.kind",
            Self::Missing { .. } => "settings.missing-key",
            Self::Value { .. } => "settings.value",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean \"{nearest}\"?")),
            Self::Unknown { known, .. } => Some(format!("the keys here are {}", known.join(", "))),
            Self::Value { help, .. } => help.clone(),
            _ => None,
        }
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

/// A password in a file of settings, which is refused; the value is never repeated.
struct PasswordHere;

impl fmt::Display for PasswordHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password does not belong into this file, which is copied, shared and backed up")
    }
}

impl Complaint for PasswordHere {
    fn code(&self) -> &'static str {
        "settings.password"
    }

    fn help(&self) -> Option<String> {
        Some(
            "take it out; in your config file an account says where it is: password_command = \"pass show mail/work\", password_file = \"…\", \
             password_env = \"…\", credential = \"…\" or keyring = true, or nothing to be asked at the terminal"
                .into(),
        )
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

/// Whether a key is called like a password.
fn looks_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["passw", "pwd", "secret", "token"].iter().any(|word| key.contains(word)) || key == "pass"
}

/// Whether something that looks like a password is set anywhere in a text, even in one that is no TOML. Its lines
/// are not shown then.
fn mentions_secret(text: &str) -> bool {
    text.match_indices('=').any(|(at, _)| {
        let before = text[..at].trim_end_matches([' ', '\t', '"', '\'']);
        let word = before.rsplit(|c: char| c.is_whitespace() || "{}[],.\"'".contains(c)).next();
        word.is_some_and(looks_secret)
    })
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// An entry of an array of strings and tables.
pub(crate) enum Entry<'i> {
    /// A string
    Text(At<String>),
    /// A table, whose keys are still to be taken
    Table(Keys<'i>),
}

/// A table being read: take the keys that are known, then [`Keys::finish`].
pub(crate) struct Keys<'i> {
    source: Arc<Source>,
    table: DeTable<'i>,
    within: String,
    span: Range<usize>,
    known: Vec<&'static str>,
    problems: Diagnostics,
}

impl<'i> Keys<'i> {
    /// Parses `text`, which is `source` from byte `start` on.
    pub(crate) fn parse(source: &Arc<Source>, text: &'i str, start: usize) -> Result<Self, Diagnostics> {
        let hidden = mentions_secret(text).then(|| Source::secret(source.name(), source.text()));
        let source = hidden.as_ref().unwrap_or(source);
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems = Diagnostics::default();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let place = Place::Text(Arc::clone(source), span.start + start..span.end + start);
            problems.push(Diagnostic::error(place, &KeyProblem::Syntax(error.message().replace('\n', "; "))));
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let keys = Self {
            source: Arc::clone(source),
            table: shifted_table(table.into_inner(), start),
            within: String::new(),
            span: start..start,
            known: Vec::new(),
            problems,
        };
        Ok(keys)
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Where a key stands, if it does; does not take it.
    pub(crate) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Complains about a value.
    pub(crate) fn complain(&mut self, span: Range<usize>, key: &str, why: impl Into<String>, help: Option<String>) {
        let problem = KeyProblem::Value { key: self.path(key), why: why.into(), help };
        self.report(span, &problem);
    }

    /// Complains with a complaint of another room.
    pub(crate) fn report(&mut self, span: Range<usize>, complaint: &impl Complaint) {
        self.problems.push(Diagnostic::error(Place::Text(Arc::clone(&self.source), span), complaint));
    }

    /// Complains that a key is missing.
    pub(crate) fn missing(&mut self, key: &'static str) {
        let problem = KeyProblem::Missing { key, within: self.place_name() };
        self.report(self.span.clone(), &problem);
    }

    fn path(&self, key: &str) -> String {
        if self.within.is_empty() { key.to_owned() } else { format!("{}.{key}", self.within) }
    }

    fn place_name(&self) -> String {
        if self.within.is_empty() { String::new() } else { format!(" in [{}]", self.within) }
    }

    fn wrong_kind(&mut self, key: &str, wanted: &'static str, value: &Spanned<DeValue<'_>>) {
        let problem = KeyProblem::Kind { key: self.path(key), wanted, found: value.get_ref().type_str() };
        self.report(value.span(), &problem);
    }

    /// A string.
    pub(crate) fn string(&mut self, key: &'static str) -> Option<At<String>> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text.to_string(), span: value.span() }),
            _ => {
                self.wrong_kind(key, "a string (in quotation marks)", &value);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<At<bool>> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(answer) => Some(At { value: *answer, span: value.span() }),
            _ => {
                self.wrong_kind(key, "true or false", &value);
                None
            }
        }
    }

    /// A string that parses as `T`.
    pub(crate) fn parsed<T>(&mut self, key: &'static str) -> Option<At<T>>
    where
        T: std::str::FromStr,
        T::Err: fmt::Display,
    {
        let At { value, span } = self.string(key)?;
        match value.parse() {
            Ok(value) => Some(At { value, span }),
            Err(why) => {
                self.complain(span, key, why.to_string(), None);
                None
            }
        }
    }

    /// A string, or an array of strings.
    pub(crate) fn strings(&mut self, key: &'static str) -> Option<At<Vec<At<String>>>> {
        let value = self.take(key)?;
        let wanted = "a string or an array of strings";
        match value.get_ref() {
            DeValue::String(text) => {
                let span = value.span();
                Some(At { value: vec![At { value: text.to_string(), span: span.clone() }], span })
            }
            DeValue::Array(items) => {
                let mut strings = Vec::with_capacity(items.len());
                for item in items {
                    match item.get_ref() {
                        DeValue::String(text) => strings.push(At { value: text.to_string(), span: item.span() }),
                        _ => self.wrong_kind(key, wanted, item),
                    }
                }
                Some(At { value: strings, span: value.span() })
            }
            _ => {
                self.wrong_kind(key, wanted, &value);
                None
            }
        }
    }

    /// A string, or an array of strings and tables; a table must have the keys `required`.
    pub(crate) fn entries(&mut self, key: &'static str, required: &[&'static str]) -> Vec<Entry<'i>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let span = value.span();
        let items = match value.into_inner() {
            DeValue::Array(items) => items.into_iter().collect(),
            other => vec![Spanned::new(span, other)],
        };
        items.into_iter().filter_map(|item| self.as_entry(key, item, required)).collect()
    }

    /// Whether the key holds an array rather than a single value; does not take it.
    pub(crate) fn is_array(&self, key: &str) -> bool {
        matches!(self.table.get(key).map(Spanned::get_ref), Some(DeValue::Array(_)))
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn integer(&mut self, key: &'static str, least: u32, most: u32) -> Option<At<u32>> {
        let value = self.take(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_kind(key, "a whole number", &value);
            return None;
        };
        match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some(At { value: number, span: value.span() }),
            _ => {
                self.complain(value.span(), key, format!("a whole number from {least} to {most} is wanted"), None);
                None
            }
        }
    }

    /// A table with known keys. Hand its problems back with [`Keys::adopt`].
    pub(crate) fn table(&mut self, key: &'static str) -> Option<Keys<'i>> {
        let value = self.take(key)?;
        self.as_table(key, value)
    }

    fn as_table(&mut self, key: &str, value: Spanned<DeValue<'i>>) -> Option<Keys<'i>> {
        let span = value.span();
        if !value.get_ref().is_table() {
            self.wrong_kind(key, "a table", &value);
            return None;
        }
        let DeValue::Table(table) = value.into_inner() else { return None };
        Some(Keys {
            source: Arc::clone(&self.source),
            table,
            within: self.path(key),
            span,
            known: Vec::new(),
            problems: Diagnostics::default(),
        })
    }

    /// All entries of a table whose keys are names that the user chose, as tables.
    pub(crate) fn named_tables(&mut self) -> Vec<(At<String>, Keys<'i>)> {
        let mut tables = Vec::new();
        for (name, value) in std::mem::take(&mut self.table) {
            let name = At { value: name.get_ref().to_string(), span: name.span() };
            if let Some(keys) = self.as_table(&name.value, value) {
                tables.push((name, keys));
            }
        }
        tables
    }

    /// All entries of a table whose keys are names that the user chose, as strings.
    pub(crate) fn named_strings(&mut self) -> Vec<(At<String>, At<String>)> {
        let mut strings = Vec::new();
        for (name, value) in std::mem::take(&mut self.table) {
            let name = At { value: name.get_ref().to_string(), span: name.span() };
            match value.get_ref() {
                DeValue::String(text) => strings.push((name, At { value: text.to_string(), span: value.span() })),
                _ => self.wrong_kind(&name.value, "a string (in quotation marks)", &value),
            }
        }
        strings
    }

    /// All entries of a table whose keys are names that the user chose, as strings and tables; a table must have the
    /// keys `required`.
    pub(crate) fn named_entries(&mut self, required: &[&'static str]) -> Vec<(At<String>, Entry<'i>)> {
        let mut entries = Vec::new();
        for (name, value) in std::mem::take(&mut self.table) {
            let name = At { value: name.get_ref().to_string(), span: name.span() };
            entries.extend(self.as_entry(&name.value.clone(), value, required).map(|entry| (name, entry)));
        }
        entries
    }

    fn as_entry(&mut self, key: &str, value: Spanned<DeValue<'i>>, required: &[&'static str]) -> Option<Entry<'i>> {
        match value.get_ref() {
            DeValue::String(text) => Some(Entry::Text(At { value: text.to_string(), span: value.span() })),
            DeValue::Table(_) => {
                let mut keys = self.as_table(key, value)?;
                for missing in required {
                    if keys.span_of(missing).is_none() {
                        keys.missing(missing);
                    }
                }
                Some(Entry::Table(keys))
            }
            _ => {
                self.wrong_kind(key, "a string or a table", &value);
                None
            }
        }
    }

    /// Takes over what was found wrong in a table below this one.
    pub(crate) fn adopt(&mut self, below: Diagnostics) {
        self.problems.extend(below);
    }

    /// Complains about every key that nobody asked for, and gives all complaints.
    pub(crate) fn finish(mut self) -> Diagnostics {
        let unknown: Vec<_> = self.table.keys().map(|key| (key.get_ref().to_string(), key.span())).collect();
        for (key, span) in unknown {
            if looks_secret(&key) {
                self.report(span, &PasswordHere);
                continue;
            }
            let problem = KeyProblem::Unknown {
                nearest: nearest(&key, self.known.iter().copied()).map(str::to_owned),
                key,
                within: self.place_name(),
                known: self.known.clone(),
            };
            self.report(span, &problem);
        }
        self.problems
    }
}

/// The same table with every span moved, for TOML that begins somewhere in a file.
fn shifted_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    if by == 0 {
        return table;
    }
    let moved = |span: Range<usize>| span.start + by..span.end + by;
    table
        .into_iter()
        .map(|(key, value)| {
            let key_span = moved(key.span());
            (Spanned::new(key_span, key.into_inner()), shifted_value(value, by))
        })
        .collect()
}

fn shifted_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span().start + by..value.span().end + by;
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted_table(table, by)),
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| shifted_value(item, by)).collect()),
        other => other,
    };
    Spanned::new(span, value)
}
