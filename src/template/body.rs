//! The body of a message, or the text part that stands for it, with its partials.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use handlebars::{Context, Handlebars, template::Template as Compiled};

use super::{
    Format, TemplateProblem,
    directory::Directory,
    files,
    front_problem::FrontProblem,
    helpers::{self, Knowledge},
    lint::{self, check_characters},
    look::Look,
    partials::Partials,
    registry,
    styles::Piece,
    veil,
};
use crate::{
    campaign::keys::At,
    diagnostic::{Diagnostic, Diagnostics, Place, Source},
    recipients::Columns,
};

/// The name of the body among the compiled templates; no partial has a space in its name.
const BODY: &str = "the body";

/// A compiled body.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) source: Arc<Source>,
    /// Where in the source it begins.
    pub(super) start: usize,
    /// The texts of the partials that it uses, by name.
    pub(super) partials: BTreeMap<String, Arc<Source>>,
    /// Escapes as the format wants it.
    registry: Handlebars<'static>,
}

/// What a body is checked against, and what is found out about it.
pub(super) struct Checked<'c> {
    pub(super) columns: &'c Columns,
    pub(super) uses: &'c mut lint::Uses,
    pub(super) raw: &'c [String],
    pub(super) problems: &'c mut Diagnostics,
}

impl Body {
    /// What stands in a source from `start` on.
    pub(super) fn compile(
        source: &Arc<Source>,
        start: usize,
        format: Format,
        mut partials: Partials,
        checked: Checked<'_>,
    ) -> Self {
        let escape = match format {
            Format::Text => handlebars::no_escape,
            Format::Markdown | Format::Html => veil::veil,
        };
        let Checked { columns, uses, raw, problems } = checked;
        let mut registry = registry(escape, columns);
        let piece = lint::Piece::of(source, start..source.text().len());
        let checking = lint::Checking { format, columns, uses, raw, partials: Some(&mut partials), problems };
        lint::compile(&mut registry, BODY, &piece, checking);
        let mut sources = BTreeMap::new();
        for (name, loaded) in partials.into_all() {
            registry.register_template(&name, Arc::unwrap_or_clone(loaded.compiled));
            sources.insert(name, loaded.source);
        }
        Self { source: Arc::clone(source), start, partials: sources, registry }
    }

    /// The file of a text part, as the front matter of `source` names it.
    pub(super) fn read_text_part(
        named: &At<String>,
        source: &Arc<Source>,
        directory: &Directory,
        checked: Checked<'_>,
    ) -> Result<Self, Diagnostics> {
        let wrong = |problem: TemplateProblem| {
            Diagnostics::from(Diagnostic::error(Place::Text(Arc::clone(source), named.span.clone()), &problem))
        };
        if Path::new(&named.value).extension().is_none() || Format::of(Path::new(&named.value)) != Some(Format::Text) {
            return Err(wrong(FrontProblem::TextTemplate(named.value.clone()).into()));
        }
        let file = files::find(directory, &named.value).map_err(|problem| wrong(problem.into()))?;
        let own = file.source()?;
        check_characters(&own, Format::Text)?;
        if own.text().starts_with("+++\n") {
            let place = Place::Text(Arc::clone(&own), 0..3);
            return Err(Diagnostic::error(place, &FrontProblem::TextFrontMatter).into());
        }
        Ok(Self::compile(&own, 0, Format::Text, Partials::within(directory, Format::Text), checked))
    }

    /// Gives it the helpers.
    pub(super) fn know(&mut self, knowledge: &Arc<Knowledge>) {
        helpers::register(&mut self.registry, knowledge);
    }

    /// Puts another compiled template in place of the body's or a partial's.
    pub(super) fn replace(&mut self, piece: &Piece, mut compiled: Compiled) {
        match piece {
            Piece::Partial(name) => {
                // Errors while rendering say so.
                compiled.name = Some(name.clone());
                self.registry.register_template(name, compiled);
            }
            _ => self.registry.register_template(BODY, compiled),
        }
    }

    /// Where what is used of one of its sources begins.
    pub(super) fn start_in(&self, source: &Arc<Source>) -> usize {
        if Arc::ptr_eq(source, &self.source) { self.start } else { 0 }
    }

    /// What it says to one person.
    pub(super) fn render(&self, context: &Context, look: Option<&Look>) -> Result<String, TemplateProblem> {
        self.registry.render_with_context(BODY, context).map_err(|error| {
            let partial = error.template_name.as_ref().and_then(|name| Some((name, self.partials.get(name)?)));
            let (piece, source, start) = match partial {
                Some((name, partial)) => (Piece::Partial(name.clone()), partial, 0),
                None => (Piece::Body, &self.source, self.start),
            };
            let (line, column) = (error.line_no.unwrap_or(0), error.column_no.unwrap_or(0));
            let column = look.map_or(column, |look| look.column(&piece, &source.text()[start..], line, column));
            let before = source.text()[..start].matches('\n').count();
            TemplateProblem::render(source.name(), line + before, column, &error)
        })
    }

    /// The texts that it was compiled from.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        std::iter::once(&self.source).chain(self.partials.values())
    }
}
