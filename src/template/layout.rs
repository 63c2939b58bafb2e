//! What stands around the body of a message of HTML: a document with `{{body}}`, and `{{subject}}` and `{{language}}`
//! if it likes.

use std::{ops::Range, path::Path, sync::Arc};

use super::{
    Format, TemplateProblem,
    directory::{Directory, Found, Located},
    html::{escape, to_text},
    in_html::{self, Behind, behind, percent_encoded},
    lint::check_characters,
    partials::is_plain,
    resources::{self, Permitted},
    styles::{Document, Insertions, Piece, put_in, thinned},
};
use crate::{
    campaign::keys::At,
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, Source},
};

/// The layout of the name `plain`.
const PLAIN: &str = include_str!("../../templates/plain.html");

/// A document without any style: what is around a body of Markdown if there is no layout.
const DOCUMENT: &str = include_str!("../../templates/document.html");

/// A layout.
#[derive(Debug)]
pub(super) struct Layout {
    /// The text, if it is a file's
    file: Option<Arc<Source>>,
    parts: Vec<Part>,
    /// What its own text says, for the text part
    own: Own,
}

/// What the text of a layout says before the body and behind it.
#[derive(Debug)]
enum Own {
    Fixed(String, String),
    /// The HTML of it: subjects count when lines are wrapped
    WithSubject(Vec<Part>),
}

#[derive(Debug)]
enum Part {
    Text(String),
    Body,
    Language,
    /// With what makes it fit for its place
    Subject(fn(&str) -> String),
}

/// Stands for the body while the text around it is found. A layout cannot hold it.
const BODY: &str = "\u{f000}";

/// The text of a layout that is not yet taken apart.
#[derive(Debug)]
pub(super) struct Raw {
    source: Arc<Source>,
    is_file: bool,
    marks: Vec<(Range<usize>, Mark)>,
}

/// Which rules stay in a layout's style sheets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    All,
    /// Those that were not written into elements
    Needed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Body,
    Language,
    Subject,
}

/// The layout that a template names, or the one that its format has if it names none.
pub(super) fn find(
    named: Option<&At<String>>,
    of: &Arc<Source>,
    format: Format,
    directory: &Directory,
    permitted: &Permitted,
) -> Result<Option<Raw>, Diagnostics> {
    let wrong = |problem: &TemplateProblem| {
        let span = named.map_or(0..0, |named| named.span.clone());
        Err(Diagnostic::error(Place::Text(Arc::clone(of), span), problem).into())
    };
    match (format, named.map(|named| named.value.as_str())) {
        (Format::Text, None) | (Format::Html, None | Some("none")) => Ok(None),
        (Format::Text, Some(_)) => wrong(&TemplateProblem::LayoutForText),
        (Format::Markdown, None) | (_, Some("plain")) => Raw::built_in("plain.html", PLAIN).map(Some),
        (Format::Markdown, Some("none")) => Raw::built_in("document.html", DOCUMENT).map(Some),
        (_, Some(name)) => match file(name, directory) {
            Ok(file) => Raw::of(file.source()?, true, permitted).map(Some),
            Err(problem) => wrong(&problem),
        },
    }
}

/// The file of a layout: as a partial, it lies in the template's directory, and so does what a link leads to.
fn file(name: &str, directory: &Directory) -> Result<Found, TemplateProblem> {
    let is_html = Path::new(name).extension().is_some_and(|ending| ending == "html");
    if !is_plain(name) || !is_html {
        return Err(TemplateProblem::LayoutName(name.to_owned()));
    }
    if directory.is_nowhere() {
        return Err(TemplateProblem::LayoutNowhere);
    }
    match directory.locate(name) {
        Located::File(found) => Ok(found),
        Located::Outside | Located::NoFile => Err(TemplateProblem::LayoutOutside(name.to_owned())),
        Located::Missing => {
            Err(TemplateProblem::LayoutMissing { name: name.to_owned(), tried: directory.place_of(name) })
        }
    }
}

impl Raw {
    fn built_in(name: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::of(Source::new(name, text), false, &Permitted::default())
    }

    fn of(source: Arc<Source>, is_file: bool, permitted: &Permitted) -> Result<Self, Diagnostics> {
        check_characters(&source, Format::Html)?;
        let text = source.text();
        let mut problems = Diagnostics::default();
        let mut complain = |span: Range<usize>, complaint: &dyn Complaint| {
            problems.push(Diagnostic::error(Place::Text(Arc::clone(&source), span), complaint));
        };
        let mut marks = Vec::new();
        let mut read = 0;
        while let Some(at) = text[read..].find("{{").map(|at| read + at) {
            let Some(length) = text[at..].find("}}").filter(|length| !text[at..at + length].contains('\n')) else {
                complain(at..at + 2, &TemplateProblem::LayoutTagOpen);
                break;
            };
            read = at + length + 2;
            read += text[read..].len() - text[read..].trim_start_matches('}').len();
            let mark = match text[at..read].trim_start_matches('{').trim_end_matches('}').trim() {
                _ if text[at..].starts_with("{{{") => None,
                "body" => Some(Mark::Body),
                "subject" => Some(Mark::Subject),
                "language" => Some(Mark::Language),
                _ => None,
            };
            match mark {
                Some(mark) => marks.push((at..read, mark)),
                None => complain(at..read, &TemplateProblem::LayoutTag(text[at..read].to_owned())),
            }
        }
        let bodies: Vec<_> =
            marks.iter().filter(|(_, mark)| *mark == Mark::Body).map(|(span, _)| span.clone()).collect();
        match bodies.as_slice() {
            [] => complain(0..0, &TemplateProblem::LayoutBody(0)),
            [body] if !stands_in_text(text, body) => complain(body.clone(), &TemplateProblem::LayoutBodyPlace),
            [_, second, ..] => complain(second.clone(), &TemplateProblem::LayoutBody(bodies.len())),
            [_] => {}
        }
        if let Some((span, problem)) = in_html::check(text) {
            complain(span, &problem);
        }
        for (span, problem) in resources::check(text, permitted) {
            complain(span, &problem);
        }
        let found = problems.sorted().checked(Some(marks))?;
        Ok(Self { source, is_file, marks: found })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        self.source.text()
    }

    /// Puts a body into it, as `document` goes on with it.
    pub(super) fn around(&self, document: &mut Document, body: impl FnOnce(&mut Document)) {
        let text = self.source.text();
        let place = self.body();
        document.push(Piece::Layout, 0, &text[..place.start]);
        body(document);
        document.push(Piece::Layout, place.end, &text[place.end..]);
    }

    fn body(&self) -> Range<usize> {
        let body = self.marks.iter().find(|(_, mark)| *mark == Mark::Body);
        body.map_or(0..0, |(span, _)| span.clone())
    }

    /// Takes it apart, with its styles put in. If the body may hold elements that got none, all rules stay.
    pub(super) fn with_styles(self, insertions: &Insertions, rules: Rules) -> Layout {
        let text = self.source.text();
        let piece = |range: Range<usize>| {
            let text = put_in(insertions, &Piece::Layout, range.start, &text[range]);
            if rules == Rules::All { text.into_owned() } else { thinned(&text) }
        };
        let mut parts = Vec::new();
        let mut own = Vec::new();
        let mut read = 0;
        for (span, mark) in &self.marks {
            parts.push(Part::Text(piece(read..span.start)));
            own.push(Part::Text(text[read..span.start].to_owned()));
            read = span.end;
            parts.push(match mark {
                Mark::Body => {
                    own.push(Part::Body);
                    Part::Body
                }
                Mark::Language => Part::Language,
                Mark::Subject => {
                    // A subject in a link is a component of it.
                    let is_in_link = behind(&text[..span.start]) == Behind::Link;
                    let fit = if is_in_link { percent_encoded } else { escape };
                    own.push(Part::Subject(fit));
                    Part::Subject(fit)
                }
            });
        }
        parts.push(Part::Text(piece(read..text.len())));
        own.push(Part::Text(text[read..].to_owned()));
        let own = if self.marks.iter().any(|(_, mark)| *mark == Mark::Subject) {
            Own::WithSubject(own)
        } else {
            let (before, behind) = around(&own, "");
            Own::Fixed(before, behind)
        };
        Layout { file: self.is_file.then_some(self.source), parts, own }
    }
}

/// The text before the body and behind it.
fn around(own: &[Part], subject: &str) -> (String, String) {
    // Longer than anything that subjects could be taken for.
    let mark = BODY.repeat(1 + own.len() * subject.matches(BODY).count());
    let text = to_text(&document(own, &format!("<p>{mark}</p>"), subject, None));
    let (before, behind) = text.split_once(&mark).unwrap_or(("", ""));
    (before.trim_matches('\n').to_owned(), behind.trim_matches('\n').to_owned())
}

fn document(parts: &[Part], body: &str, subject: &str, language: Option<&str>) -> String {
    let mut document = String::with_capacity(body.len() + 4096);
    for part in parts {
        match part {
            Part::Text(text) => document.push_str(text),
            Part::Body => document.push_str(body),
            Part::Language => document.push_str(&escape(language.unwrap_or(""))),
            Part::Subject(fit) => document.push_str(&fit(subject)),
        }
    }
    document
}

fn stands_in_text(text: &str, place: &Range<usize>) -> bool {
    behind(&text[..place.start]) == Behind::Text
}

impl Layout {
    /// The text, if it is a file's.
    pub(super) fn file(&self) -> Option<&Arc<Source>> {
        self.file.as_ref()
    }

    /// The document with a body.
    pub(super) fn document(&self, body: &str, subject: &str, language: Option<&str>) -> String {
        document(&self.parts, body, subject, language)
    }

    /// The text part of a body, with what the layout says around it.
    pub(super) fn text(&self, body: String, subject: &str) -> String {
        let with_subject;
        let (before, behind) = match &self.own {
            Own::Fixed(before, behind) => (before, behind),
            Own::WithSubject(parts) => {
                with_subject = around(parts, subject);
                (&with_subject.0, &with_subject.1)
            }
        };
        if before.is_empty() && behind.is_empty() || body.trim().is_empty() {
            return body;
        }
        let stretches = [before.as_str(), body.trim_matches('\n'), behind.as_str()];
        let stretches: Vec<_> = stretches.into_iter().filter(|stretch| !stretch.is_empty()).collect();
        stretches.join("\n\n") + "\n"
    }
}
