//! Pieces that several templates share: `{{> footer}}` is the file `footer.md.hbs` (or `footer.hbs`) beside the template.

use std::{collections::BTreeMap, sync::Arc};

use handlebars::template::Template as Compiled;

use super::{
    Format, TemplateProblem,
    directory::{Directory, Found, Located},
    lint::{Syntax, check_characters},
};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source};

/// A template uses partials so often at most, those within partials included; each time it is checked anew.
const MOST_USES: usize = 1000;

/// The partials of a template.
#[derive(Debug, Default)]
pub(super) struct Partials {
    directory: Directory,
    format: Option<Format>,
    loaded: BTreeMap<String, Loaded>,
    uses: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) source: Arc<Source>,
    pub(super) compiled: Arc<Compiled>,
}

/// Why a partial cannot be used.
pub(super) enum Unusable {
    /// What is wrong at the place where it is used.
    Here(TemplateProblem),
    /// What is wrong in it.
    There(Diagnostics),
}

impl Partials {
    /// Those in the directory of a template.
    pub(super) fn within(directory: &Directory, format: Format) -> Self {
        Self { directory: directory.clone(), format: Some(format), ..Self::default() }
    }

    /// The partial of a name, read and compiled once.
    pub(super) fn get(&mut self, name: &str) -> Result<Loaded, Unusable> {
        self.uses += 1;
        if self.uses > MOST_USES {
            return Err(Unusable::Here(TemplateProblem::TooDeep));
        }
        if let Some(loaded) = self.loaded.get(name) {
            return Ok(loaded.clone());
        }
        let file = self.find(name).map_err(Unusable::Here)?;
        let source = file.source().map_err(Unusable::There)?;
        if source.text().starts_with("+++\n") {
            let place = Place::Text(Arc::clone(&source), 0..3);
            return Err(Unusable::There(Diagnostic::error(place, &TemplateProblem::PartialFrontMatter).into()));
        }
        let format = self.format.unwrap_or(Format::Text);
        check_characters(&source, format).map_err(Unusable::There)?;
        let mut compiled = Syntax::of(source.text()).map_err(|(span, problem)| {
            let place = Place::Text(Arc::clone(&source), span);
            Unusable::There(Diagnostic::error(place, &problem).into())
        })?;
        // Errors while rendering say so.
        compiled.name = Some(name.to_owned());
        let loaded = Loaded { source, compiled: Arc::new(compiled) };
        self.loaded.insert(name.to_owned(), loaded.clone());
        Ok(loaded)
    }

    /// All that are used, by name.
    pub(super) fn into_all(self) -> BTreeMap<String, Loaded> {
        self.loaded
    }

    /// The file of a partial. It lies in the template's directory, and so does what a link leads to.
    fn find(&self, name: &str) -> Result<Found, TemplateProblem> {
        if self.directory.is_nowhere() {
            return Err(TemplateProblem::PartialNowhere(name.to_owned()));
        }
        if !is_plain(name) {
            return Err(TemplateProblem::PartialName(name.to_owned()));
        }
        let endings: [&str; 2] = match self.format {
            Some(Format::Markdown) => [".md.hbs", ".hbs"],
            Some(Format::Html) => [".html.hbs", ".hbs"],
            _ => [".txt.hbs", ".hbs"],
        };
        let candidates = endings.map(|ending| format!("{name}{ending}"));
        for candidate in &candidates {
            match self.directory.locate(candidate) {
                Located::Missing => {}
                Located::File(found) => return Ok(found),
                Located::Outside | Located::NoFile => return Err(TemplateProblem::PartialOutside(name.to_owned())),
            }
        }
        let tried = candidates.map(|candidate| self.directory.place_of(&candidate)).join(" or ");
        Err(TemplateProblem::PartialMissing { name: name.to_owned(), tried })
    }
}

/// Whether a name is one of a file in a directory or below, by its letters alone.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    name.split('/').all(plain)
}
