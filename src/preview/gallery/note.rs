//! What was noticed about a message or the campaign, as it stands in a page.

use serde::Serialize;

use crate::diagnostic::{Complaint, Diagnostic, Place, Severity, visible};

/// One complaint.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Note {
    /// `error`, `warning` or `note`
    pub(super) severity: &'static str,
    message: String,
    place: Option<String>,
    help: Option<String>,
}

impl Note {
    /// A complaint about a message as a whole.
    pub(super) fn new(severity: Severity, complaint: &impl Complaint) -> Self {
        Self {
            severity: severity.as_str(),
            message: visible(&complaint.to_string()),
            place: None,
            help: complaint.help().map(|help| visible(&help)),
        }
    }
}

impl From<&Diagnostic> for Note {
    fn from(diagnostic: &Diagnostic) -> Self {
        let place = match diagnostic.place() {
            Place::Nowhere | Place::Row { column: None, .. } => None,
            Place::Row { column: Some(column), .. } => Some(format!("column {column}")),
            Place::File(path) => Some(path.display().to_string()),
            Place::Text(source, span) => {
                let (line, column) = source.position(span.start);
                Some(format!("{}:{line}:{column}", source.name()))
            }
        };
        Self {
            severity: diagnostic.severity().as_str(),
            message: visible(diagnostic.message()),
            place: place.as_deref().map(visible),
            help: diagnostic.help().map(visible),
        }
    }
}

/// How many of which kind, in words, and the worst of them; none if there is nothing.
pub(super) fn counted(notes: &[Note]) -> Option<(String, &'static str)> {
    let kinds = [Severity::Error, Severity::Warning, Severity::Note].map(Severity::as_str);
    let count = |kind: &str| notes.iter().filter(|note| note.severity == kind).count();
    let worst = kinds.into_iter().find(|kind| count(kind) > 0)?;
    let words = kinds.into_iter().map(|kind| (count(kind), kind)).filter(|(count, _)| *count > 0);
    let words: Vec<String> = words.map(|(count, kind)| crate::diagnostic::counted(count, kind)).collect();
    Some((words.join(", "), worst))
}
