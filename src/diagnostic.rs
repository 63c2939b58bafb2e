//! One type for every complaint: what is wrong, where, and what to do.
//!
//! Each room has an enum of the things that can be wrong in it and words them ([`Complaint`]); here they get a
//! place and are shown. Nothing in this file prints.

mod rows;

use std::{collections::HashSet, fmt, ops::Range, path::PathBuf, sync::Arc};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Row complaints are shown one by one up to this many; the rest are counted.
pub const SHOWN_ROWS: usize = 50;

/// The code of a message with nothing in it, which may be so because something else is wrong.
pub(crate) const EMPTY_BODY: &str = "template.empty-body";

/// Something that can be wrong: its sentence is its `Display`.
pub trait Complaint: fmt::Display {
    /// A short, stable name for programs, such as `list.two-addresses`.
    fn code(&self) -> &'static str;

    /// What the person can do about it.
    fn help(&self) -> Option<String> {
        None
    }

    /// The sentence with other people's data shortened; the same if it holds none.
    fn brief(&self) -> Option<String> {
        None
    }

    /// What is said of it where nobody looks. There is no default: whoever adds something that can be wrong decides it.
    fn bare(&self) -> Bare;
}

/// What is said of something that is wrong where it ends up in a log, in cron's mail or in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bare {
    /// All of it: it holds nothing of what stands in a list's cells, and nobody's address.
    Whole,
    /// This in its place, which holds nothing of the kind.
    Said {
        /// The sentence.
        message: String,
        /// What to do.
        help: Option<String>,
    },
}

impl Bare {
    /// A sentence and an advice with nothing of a list in them.
    pub(crate) fn said(message: impl Into<String>, help: Option<String>) -> Self {
        Self::Said { message: message.into(), help }
    }
}

/// A text that a person wrote, for showing the line that is meant.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    secret: bool,
}

impl Source {
    /// A text whose lines may be shown.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), secret: false })
    }

    /// A text whose lines are never shown, because a password may stand in one.
    #[must_use]
    pub fn secret(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), secret: true })
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the text is called in a complaint: its path as the user gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Where a complaint points.
#[derive(Debug, Clone)]
pub enum Place {
    /// Nowhere in a file: the command line, the environment, the whole campaign.
    Nowhere,
    /// A file as a whole.
    File(PathBuf),
    /// A stretch of a text, as a byte range.
    Text(Arc<Source>, Range<usize>),
    /// A row of a list as the spreadsheet numbers it (the headings are row 1), and the heading of a column.
    Row {
        /// The list's file name.
        list: Arc<str>,
        /// From 1.
        row: u64,
        /// The heading as it stands in the list.
        column: Option<Arc<str>>,
    },
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is sent.
    Error,
    /// Said, and sent all the same.
    Warning,
    /// Only said.
    Note,
}

impl Severity {
    /// In lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One complaint with its place.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    severity: Severity,
    code: &'static str,
    message: String,
    /// With other people's data shortened
    brief: Option<String>,
    bare: Bare,
    /// Whether no line of the text is shown
    is_bare: bool,
    place: Place,
    help: Option<String>,
}

impl Diagnostic {
    /// A complaint that stops the campaign.
    pub fn error(place: Place, complaint: &(impl Complaint + ?Sized)) -> Self {
        Self::new(Severity::Error, place, complaint)
    }

    /// A complaint that is only said.
    pub fn warning(place: Place, complaint: &(impl Complaint + ?Sized)) -> Self {
        Self::new(Severity::Warning, place, complaint)
    }

    /// What was noticed, and is no reason to worry.
    pub fn note(place: Place, complaint: &(impl Complaint + ?Sized)) -> Self {
        Self::new(Severity::Note, place, complaint)
    }

    fn new(severity: Severity, place: Place, complaint: &(impl Complaint + ?Sized)) -> Self {
        Self {
            severity,
            code: complaint.code(),
            message: complaint.to_string(),
            brief: complaint.brief(),
            bare: complaint.bare(),
            is_bare: false,
            place,
            help: complaint.help(),
        }
    }

    /// The stable name of what is wrong.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The sentence with other people's data shortened.
    #[must_use]
    pub fn brief(&self) -> &str {
        self.brief.as_deref().unwrap_or(&self.message)
    }

    /// Where.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Whether it stops the campaign.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Complaints together, in the order in which they were found. As an error value it holds at least one error.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all of another's.
    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// With nothing of what stands in a list's cells, nor of the texts that are meant; and whether that leaves anything out.
    #[must_use]
    pub fn barely(mut self) -> (Self, bool) {
        let mut left_out = false;
        for diagnostic in &mut self.0 {
            let shows_text = matches!(&diagnostic.place, Place::Text(source, _) if !source.secret);
            left_out |= shows_text && !std::mem::replace(&mut diagnostic.is_bare, true);
            if let Bare::Said { message, help } = std::mem::replace(&mut diagnostic.bare, Bare::Whole) {
                left_out |= diagnostic.message != message || diagnostic.help != help;
                diagnostic.brief = None;
                (diagnostic.message, diagnostic.help) = (message, help);
            }
        }
        (self, left_out)
    }

    /// With other people's data shortened.
    #[must_use]
    pub fn briefly(mut self) -> Self {
        for diagnostic in &mut self.0 {
            diagnostic.message = diagnostic.brief.take().unwrap_or_else(|| std::mem::take(&mut diagnostic.message));
        }
        self
    }

    /// Puts them in the order of their places: files, then row by row, then line by line.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by_key(|diagnostic| match &diagnostic.place {
            Place::Nowhere | Place::File(_) => (0, 0),
            Place::Row { row, .. } => (1, *row),
            Place::Text(_, span) => (2, span.start as u64),
        });
        self
    }

    /// Without those of one code.
    #[must_use]
    pub fn without(mut self, code: &str) -> Self {
        self.0.retain(|diagnostic| diagnostic.code != code);
        self
    }

    /// Without what stops the campaign.
    #[must_use]
    pub fn without_errors(mut self) -> Self {
        self.0.retain(|diagnostic| !diagnostic.is_error());
        self
    }

    /// Without what only follows from something else: of several errors about one cell the first is kept, and a row
    /// with errors is not blamed for an empty message.
    #[must_use]
    pub fn without_consequences(mut self) -> Self {
        let mut cells = HashSet::new();
        let mut rows = HashSet::new();
        for diagnostic in self.0.iter().filter(|diagnostic| diagnostic.is_error()) {
            if let Place::Row { row, column: Some(_), .. } = &diagnostic.place {
                rows.insert(*row);
            }
        }
        self.0.retain(|diagnostic| match &diagnostic.place {
            Place::Row { row, column: Some(column), .. } if diagnostic.is_error() => {
                cells.insert((*row, Arc::clone(column)))
            }
            Place::Row { row, column: None, .. } => diagnostic.code != EMPTY_BODY || !rows.contains(row),
            _ => true,
        });
        self
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// Whether nothing at all was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something stops the campaign.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }

    /// `value` if nothing stops the campaign, else the complaints.
    pub fn checked<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if !self.has_errors() => Ok(value),
            _ => Err(self),
        }
    }

    /// All of it as text for a person.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let mut text = String::new();
        let mut tables = Vec::new();
        for diagnostic in &self.0 {
            if !diagnostic.fits_a_table() {
                text.push_str(&diagnostic.render(colour));
                continue;
            }
            if tables.contains(&diagnostic.severity) {
                continue;
            }
            tables.push(diagnostic.severity);
            let alike = |other: &&Diagnostic| other.fits_a_table() && other.severity == diagnostic.severity;
            match self.0.iter().filter(alike).collect::<Vec<_>>().as_slice() {
                [only] => text.push_str(&only.render(colour)),
                several => {
                    let title = diagnostic.level().primary_title(rows::title(several));
                    text.push_str(&colour.renderer().render(&[annotate_snippets::Group::with_title(title)]));
                    text.push('\n');
                    text.push_str(&rows::table(several));
                }
            }
        }
        text
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

impl std::error::Error for Diagnostics {}

/// Whether text may carry terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI escape sequences.
    Ansi,
}

impl Colour {
    fn renderer(self) -> Renderer {
        match self {
            Self::Never => Renderer::plain(),
            Self::Ansi => Renderer::styled(),
        }
    }
}

impl Diagnostic {
    fn level(&self) -> Level<'static> {
        match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        }
    }

    /// Such as `config.toml:3:8`.
    fn place_in_words(&self) -> Option<String> {
        match &self.place {
            Place::Nowhere => None,
            Place::File(path) => Some(path.display().to_string()),
            Place::Text(source, span) => {
                let (line, column) = source.position(span.start);
                Some(format!("{}:{line}:{column}", source.name))
            }
            Place::Row { list, row, column: Some(column) } => {
                Some(format!("{list}, row {row}, column {}", quoted(column)))
            }
            Place::Row { list, row, column: None } => Some(format!("{list}, row {row}")),
        }
    }

    /// The sentence behind its place, on one line.
    pub(crate) fn sentence(&self) -> String {
        let message = self.message.replace('\n', " ");
        self.place_in_words().map_or(message.clone(), |place| format!("{place}: {message}"))
    }

    /// Whether it is one line about a row of a list.
    fn fits_a_table(&self) -> bool {
        matches!(self.place, Place::Row { .. }) && !self.message.contains('\n')
    }

    fn render(&self, colour: Colour) -> String {
        let (level, renderer, help) = (self.level(), colour.renderer(), self.help.as_deref());
        // Evidence stands below the sentence.
        let (message, evidence) = self.message.split_once('\n').unwrap_or((&self.message, ""));
        let message = visible(message);
        if let Place::Text(source, span) = &self.place
            && !source.secret
            && !self.is_bare
        {
            let annotation = AnnotationKind::Primary.span(source.clip(span));
            let snippet = Snippet::source(&source.text).path(visible(&source.name)).annotation(annotation);
            let mut report = level.primary_title(message).element(snippet);
            if let Some(help) = help {
                report = report.element(Level::HELP.message(visible(help)));
            }
            return renderer.render(&[report]) + "\n";
        }
        let place = self.place_in_words();
        let message = place.map_or(message.clone(), |place| format!("{}: {message}", visible(&place)));
        let mut text = renderer.render(&[annotate_snippets::Group::with_title(level.primary_title(message))]) + "\n";
        if !evidence.is_empty() {
            text.push_str(&visible(evidence));
            text.push('\n');
        }
        if let Some(help) = help {
            text.push_str("  help: ");
            text.push_str(&visible(help));
            text.push('\n');
        }
        text
    }
}

impl Source {
    /// The span, made to lie within the text and on character boundaries.
    fn clip(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        start..self.text.floor_char_boundary(span.end).max(start)
    }
}

/// A value from outside in quotation marks, fit to be shown: control, bidi and zero-width characters as their
/// code points, cut to 60 characters.
#[must_use]
pub fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for (nth, c) in value.chars().enumerate() {
        if nth == 60 {
            text.push('…');
            break;
        }
        push_visible(&mut text, c);
    }
    text.push('"');
    text
}

/// `1 cell`, `2 cells`
pub(crate) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Text from outside with control, bidi and zero-width characters as their code points, so that it cannot move
/// the cursor, change colours or read backwards. Line feeds and tabs stay.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Joiners shape letters and emoji; a tab is as good as a space.
        if matches!(c, '\n' | '\t' | '\u{200c}' | '\u{200d}') {
            safe.push(c);
        } else {
            push_visible(&mut safe, c);
        }
    }
    safe
}

fn push_visible(text: &mut String, c: char) {
    let hidden = c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        );
    if hidden {
        text.push_str(&format!("<U+{:04X}>", u32::from(c)));
    } else {
        text.push(c);
    }
}

/// The known name that a mistyped one probably means.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&word, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            let length = name.chars().count().max(word.chars().count());
            // Of two short words each is nearly the other.
            *distance <= if length < 3 { 0 } else { (length / 3).max(1) }
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Typo;
    impl fmt::Display for Typo {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("unknown key \"subjct\"")
        }
    }
    impl Complaint for Typo {
        fn code(&self) -> &'static str {
            "test.typo"
        }
        fn help(&self) -> Option<String> {
            Some("did you mean \"subject\"?".into())
        }
        fn bare(&self) -> Bare {
            Bare::said("unknown key", None)
        }
    }

    #[test]
    fn a_complaint_shows_the_line_with_a_caret_under_the_word() {
        let source = Source::new("update.md.hbs", "+++\nsubjct = \"x\"\n");
        let shown = Diagnostics::from(Diagnostic::error(Place::Text(source, 4..10), &Typo)).to_string();
        assert_eq!(
            shown,
            "error: unknown key \"subjct\"\n --> update.md.hbs:2:1\n  |\n2 | subjct = \"x\"\n  | ^^^^^^\n  |\n  = help: did you mean \"subject\"?\n"
        );
    }

    #[test]
    fn a_line_that_may_hold_a_password_is_named_and_not_shown() {
        let source = Source::secret("config.toml", "a = 1\npassword = \"hunter2\"\n");
        let shown = Diagnostics::from(Diagnostic::error(Place::Text(source, 6..14), &Typo)).to_string();
        assert_eq!(shown, "error: config.toml:2:1: unknown key \"subjct\"\n  help: did you mean \"subject\"?\n");
    }

    #[test]
    fn where_nobody_looks_the_place_is_said_and_nothing_that_stands_there() {
        let source = Source::new("update.md.hbs", "+++\nsubjct = \"x\"\n");
        let (bare, left_out) = Diagnostics::from(Diagnostic::error(Place::Text(source, 4..10), &Typo)).barely();
        assert_eq!(bare.to_string(), "error: update.md.hbs:2:1: unknown key\n");
        assert!(left_out && !bare.barely().1);
    }

    #[test]
    fn rows_are_a_table_and_advice_is_given_once() {
        let in_row = |row, column: Option<&str>| {
            let place = Place::Row { list: "p.csv".into(), row, column: column.map(Into::into) };
            Diagnostic::error(place, &Typo)
        };
        let mut all = Diagnostics::default();
        all.push(in_row(9, Some("Name")));
        assert_eq!(
            all.to_string(),
            "error: p.csv, row 9, column \"Name\": unknown key \"subjct\"\n  help: did you mean \"subject\"?\n"
        );
        all.push(in_row(10, None));
        assert_eq!(
            all.to_string(),
            "error: p.csv: 2 mistakes in 2 rows\n  \
               row  column  what is wrong\n    \
                 9  Name    unknown key \"subjct\"\n   \
                10          unknown key \"subjct\"\n  \
               help: rows 9, 10: did you mean \"subject\"?\n"
        );
        (11..67).for_each(|row| all.push(in_row(row, None)));
        let shown = all.to_string();
        assert_eq!(shown.matches("subjct").count(), SHOWN_ROWS);
        assert!(
            shown.ends_with(
                "  … and 8 more; --rejected FILE.csv writes all of these rows into a file\n  \
                 help: rows 9, 10, 11 …: did you mean \"subject\"?\n"
            ),
            "{shown}"
        );
    }

    #[test]
    fn what_could_move_the_cursor_is_spelt_out() {
        assert_eq!(quoted("a\x1b[2J\u{202e}b"), "\"a<U+001B>[2J<U+202E>b\"");
    }

    #[test]
    fn positions_count_lines_and_characters_from_1() {
        let source = Source::new("t", "äb\ncd\n\nx");
        assert_eq!([0, 2, 4, 7, 8, 99].map(|at| source.position(at)), [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1), (4, 2)]);
    }
}
