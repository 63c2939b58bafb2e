//! What a template looks like as HTML: its layout, and the styles of its elements.

use std::{ops::Range, sync::Arc};

use super::{
    Format, TemplateProblem,
    body::Body,
    elements::start_tags,
    front_problem::FrontProblem,
    layout::{Layout, Raw, Rules},
    lint::Syntax,
    markdown::{self, Sample, Styles},
    resources::{self, Permitted},
    styles::{Document, Insertions, Piece, column_before, put_in},
    tags,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source};

/// What stands around a body, and what is put into it.
#[derive(Debug, Default)]
pub(super) struct Look {
    layout: Option<Layout>,
    /// What Markdown becomes has these styles.
    styles: Styles,
    /// HTML got these when it was compiled.
    insertions: Insertions,
}

/// Complains about what a body and its partials load and may not.
pub(super) fn check(body: &Body, format: Format, permitted: &Permitted, problems: &mut Diagnostics) {
    for source in body.sources() {
        let start = body.start_in(source);
        let text = &source.text()[start..];
        let wrong = match format {
            Format::Text => Vec::new(),
            Format::Markdown => markdown::check(text, permitted),
            Format::Html => resources::check(&tags::covered(text, ' '), permitted),
        };
        for (span, problem) in wrong {
            // Which picture it is turns out when the values are known.
            let depends = matches!(problem, TemplateProblem::Front(FrontProblem::NoPicture { .. }))
                && text[span.clone()].contains("{{");
            if !depends {
                problems.push(complaint(source, start, span, &problem));
            }
        }
    }
}

fn complaint(source: &Arc<Source>, start: usize, span: Range<usize>, problem: &TemplateProblem) -> Diagnostic {
    Diagnostic::error(Place::Text(Arc::clone(source), start + span.start..start + span.end), problem)
}

impl Look {
    /// That of a template that is right otherwise. The body's elements in `registry` get their styles.
    pub(super) fn compile(layout: Option<Raw>, format: Format, compiled: &mut Body) -> Result<Self, Diagnostics> {
        let (source, start, partials) = (Arc::clone(&compiled.source), compiled.start, compiled.partials.clone());
        let source = &source;
        let body = &source.text()[start..];
        let wrong = |problem: &TemplateProblem| Diagnostics::from(complaint(source, start, 0..0, problem));
        if format == Format::Html && layout.is_some() {
            let covered = tags::covered(body, ' ');
            if let Some(tag) = start_tags(&covered).find(|tag| matches!(&*tag.name, "html" | "head" | "body")) {
                let problem = TemplateProblem::TwoDocuments(format!("<{}>", tag.name));
                return Err(complaint(source, start, tag.head, &problem).into());
            }
        }
        let mut document = Document::default();
        let sample = (format == Format::Markdown).then(Sample::new);
        let push_body = |document: &mut Document| match (&sample, format) {
            (Some(sample), _) => document.push(Piece::Sample, 0, &sample.html),
            (None, Format::Html) => {
                document.push_template(&Piece::Body, body, &|name| partials.get(name).map(|partial| partial.text()));
            }
            _ => {}
        };
        match &layout {
            Some(layout) => layout.around(&mut document, push_body),
            None => push_body(&mut document),
        }
        let mut texts = std::iter::once(body).chain(partials.values().map(|partial| partial.text()));
        let has_other_elements = sample.is_some() && texts.any(markdown::has_html);
        let rules = if has_other_elements { Rules::All } else { Rules::Needed };
        let insertions = document.insertions().map_err(|problem| wrong(&problem))?;
        if format == Format::Html {
            let mut put = |piece: &Piece, text: &str| {
                let written = put_in(&insertions, piece, 0, text);
                let again = Syntax::of(&written).map_err(|(_, problem)| wrong(&problem))?;
                compiled.replace(piece, again);
                Ok::<_, Diagnostics>(())
            };
            if insertions.keys().any(|(piece, _)| *piece != Piece::Layout) {
                put(&Piece::Body, body)?;
                for (name, partial) in &partials {
                    put(&Piece::Partial(name.clone()), partial.text())?;
                }
            }
        }
        let layout = layout.map(|layout| layout.with_styles(&insertions, rules));
        let styles = sample.map(|sample| sample.styles(&insertions)).unwrap_or_default();
        Ok(Self { layout, styles, insertions })
    }

    /// The styles of what Markdown becomes.
    pub(super) fn styles(&self) -> &Styles {
        &self.styles
    }

    /// The layout's text, if it is a file's.
    pub(super) fn layout_file(&self) -> Option<&Arc<Source>> {
        self.layout.as_ref().and_then(Layout::file)
    }

    /// Text and HTML of a message with the layout around them.
    pub(super) fn around(
        &self,
        text: String,
        html: Option<String>,
        subject: &str,
        language: Option<&str>,
    ) -> (String, Option<String>) {
        match (&self.layout, html) {
            (Some(layout), Some(html)) => (layout.text(text, subject), Some(layout.document(&html, subject, language))),
            (_, html) => (text, html),
        }
    }

    /// The column of the author's text that a column of the compiled one is; both count from 1.
    pub(super) fn column(&self, piece: &Piece, text: &str, line: usize, column: usize) -> usize {
        if self.insertions.is_empty() { column } else { column_before(&self.insertions, piece, text, line, column) }
    }
}
