//! Compiling Handlebars so that nothing is left to find out while rendering.
//!
//! Handlebars' strict mode is silent about `{{#if missing}}` and the like, and a cycle of partials overflows the
//! stack. So the compiled template is walked, and every name in it has to be a column or a helper.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use handlebars::{
    Handlebars, Path,
    template::{HelperTemplate, Parameter, Template as Compiled, TemplateElement},
};

use super::{Format, TemplateProblem, tags, veil::VEILED};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Place, Source, nearest, quoted},
    recipients::Columns,
};

/// The helpers that give a value; those of Handlebars that make sense for a flat row.
pub(super) const HELPERS: &[&str] = &["eq", "ne", "and", "or", "not"];

/// The helpers that hold a block.
const BLOCKS: &[&str] = &["if", "unless"];

/// One mistake everywhere in a large template is said so often.
const MOST_COMPLAINTS: usize = 50;

/// A stretch of the source that is a template of its own: the body, or a value of the front matter.
pub(super) struct Piece<'s> {
    source: &'s Arc<Source>,
    text: String,
    /// Where the text stands in the source.
    span: Range<usize>,
    /// Whether the text stands there letter by letter (a TOML string with escapes does not).
    literal: bool,
}

impl<'s> Piece<'s> {
    /// The stretch as it stands there.
    pub(super) fn of(source: &'s Arc<Source>, span: Range<usize>) -> Self {
        Self { source, text: source.text()[span.clone()].to_owned(), span, literal: true }
    }

    /// A value that a TOML string at `span` stands for.
    pub(super) fn of_value(source: &'s Arc<Source>, value: &str, span: Range<usize>) -> Self {
        let written = &source.text()[span.clone()];
        match written.find(value).filter(|_| !value.is_empty()) {
            Some(at) => {
                let start = span.start + at;
                Self { source, text: value.to_owned(), span: start..start + value.len(), literal: true }
            }
            None => Self { source, text: value.to_owned(), span, literal: false },
        }
    }

    /// The place of a stretch of this piece's text.
    fn place(&self, within: Range<usize>) -> Place {
        let span =
            if self.literal { self.span.start + within.start..self.span.start + within.end } else { self.span.clone() };
        Place::Text(Arc::clone(self.source), span)
    }
}

/// Characters that no template may hold.
pub(super) fn check_characters(source: &Arc<Source>, format: Format) -> Result<(), Diagnostics> {
    let odd =
        |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || (format != Format::Text && VEILED.contains(&c));
    let mut problems = Diagnostics::default();
    for (at, c) in source.text().char_indices().filter(|(_, c)| odd(*c)).take(10) {
        let place = Place::Text(Arc::clone(source), at..at + c.len_utf8());
        problems.push(Diagnostic::error(place, &TemplateProblem::Character(c)));
    }
    problems.checked(Some(()))
}

/// Which columns a template uses.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// All of them.
    pub(super) any: BTreeSet<usize>,
    /// Those that it shows without asking first whether they are filled in.
    pub(super) required: BTreeSet<usize>,
}

/// Compiles a piece under `name`, after checking every name in it. The columns that it uses are added to `uses`.
pub(super) fn compile(
    registry: &mut Handlebars<'static>,
    name: &str,
    piece: &Piece<'_>,
    columns: &Columns,
    uses: &mut Uses,
    problems: &mut Diagnostics,
) {
    if let Err((span, problem)) = tags::check(&piece.text) {
        problems.push(Diagnostic::error(piece.place(span), &problem));
        return;
    }
    match Compiled::compile(&piece.text) {
        Ok(compiled) => {
            let lines = Lines::of(&piece.text);
            let mut walk = Walk { piece, lines, columns, uses, asked: Vec::new(), problems, complaints: 0 };
            walk.template(&compiled, 0);
            registry.register_template(name, compiled);
        }
        Err(error) => {
            let (line, column) = error.pos().unwrap_or((1, 1));
            let at = Lines::of(&piece.text).offset(&piece.text, line, column);
            let reason = error.reason().to_string();
            let why = reason.strip_prefix("invalid handlebars syntax: ").unwrap_or(&reason).replace('\n', " ");
            problems.push(Diagnostic::error(piece.place(at..at + 1), &TemplateProblem::Syntax(why)));
        }
    }
}

/// Takes Handlebars' own helpers away that a flat row has no use for, so that a column may have their names.
pub(super) fn forget_helpers(registry: &mut Handlebars<'static>) {
    for helper in ["each", "with", "lookup", "log", "raw", "len", "gt", "gte", "lt", "lte"] {
        registry.unregister_helper(helper);
    }
}

struct Walk<'a> {
    piece: &'a Piece<'a>,
    lines: Lines,
    columns: &'a Columns,
    uses: &'a mut Uses,
    /// The columns about which the blocks around ask.
    asked: Vec<usize>,
    problems: &'a mut Diagnostics,
    complaints: usize,
}

impl Walk<'_> {
    /// Walks a template that begins at `start` or behind it.
    fn template(&mut self, template: &Compiled, start: usize) {
        for (nth, element) in template.elements.iter().enumerate() {
            let at = match template.mapping.get(nth) {
                Some(at) => self.lines.offset(&self.piece.text, at.0, at.1),
                // Handlebars keeps no place for what follows an `else` in the same tag.
                None => tags::chained(&self.piece.text, start),
            };
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(expression) => self.expression(expression, at),
                TemplateElement::HtmlExpression(expression) => {
                    let name = shown(&expression.name);
                    self.complain(at, &name, &TemplateProblem::Raw(name.clone()));
                }
                TemplateElement::HelperBlock(block) => self.block(block, at),
                // Partials and decorators, and whatever a later Handlebars may add.
                _ => self.complain(at, "{{", &TemplateProblem::Partial),
            }
        }
    }

    /// `{{name}}` or `{{helper …}}`
    fn expression(&mut self, expression: &HelperTemplate, at: usize) {
        if expression.params.is_empty() && expression.hash.is_empty() {
            let name = shown(&expression.name);
            if HELPERS.contains(&name.as_str()) || BLOCKS.contains(&name.as_str()) {
                self.complain(at, &name, &TemplateProblem::HelperAlone(name.clone()));
                return;
            }
            self.parameter(&expression.name, at);
            let shown = column_of(&expression.name, self.columns);
            self.uses.required.extend(shown.filter(|column| !self.asked.contains(column)));
        } else {
            self.call(expression, at);
        }
    }

    fn call(&mut self, call: &HelperTemplate, at: usize) {
        let name = shown(&call.name);
        if !HELPERS.contains(&name.as_str()) {
            let problem = TemplateProblem::NoHelper {
                nearest: nearest(&name, HELPERS.iter().copied()).map(str::to_owned),
                name: name.clone(),
            };
            self.complain(at, &name, &problem);
        }
        // `eq` compares text with text, and 10 is a number.
        if let Some(Parameter::Literal(number)) =
            call.params.iter().find(|p| matches!(p, Parameter::Literal(v) if !v.is_string()))
        {
            self.complain(at, &number.to_string(), &TemplateProblem::NotText(number.to_string()));
        }
        self.arguments(call, at);
    }

    fn arguments(&mut self, call: &HelperTemplate, at: usize) {
        for parameter in call.params.iter().chain(call.hash.values()) {
            self.parameter(parameter, at);
        }
    }

    fn block(&mut self, block: &HelperTemplate, at: usize) {
        let name = shown(&block.name);
        if BLOCKS.contains(&name.as_str()) {
            self.arguments(block, at);
            if block.params.len() != 1 {
                let why = format!("{{{{#{name}}}}} asks about one thing");
                self.complain(at, &name, &TemplateProblem::Syntax(why));
            }
        } else if matches!(name.as_str(), "each" | "with") {
            self.complain(at, &name, &TemplateProblem::NothingToLoop(name.clone()));
        } else if self.columns.names().any(|column| column == name) {
            self.complain(at, &name, &TemplateProblem::BlockOverColumn(name.clone()));
        } else {
            let problem = TemplateProblem::NoHelper {
                nearest: nearest(&name, BLOCKS.iter().copied()).map(|block| format!("#{block}")),
                name: format!("#{name}"),
            };
            self.complain(at, &name, &problem);
        }
        // What `if` asks about is filled in before its `else`, and with `unless` behind it.
        let before = self.asked.len();
        for (template, answered) in [(&block.template, name == "if"), (&block.inverse, name == "unless")] {
            if answered {
                block.params.iter().for_each(|parameter| mentioned(parameter, self.columns, &mut self.asked));
            }
            if let Some(template) = template {
                self.template(template, at);
            }
            self.asked.truncate(before);
        }
    }

    /// A column, a literal or a call in brackets.
    fn parameter(&mut self, parameter: &Parameter, at: usize) {
        match parameter {
            Parameter::Literal(_) => {}
            Parameter::Name(name) => self.name(name, at),
            Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => self.name(raw, at),
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(call) => self.call(call, at),
                _ => self.complain(at, "(", &TemplateProblem::Partial),
            },
            _ => self.complain(at, "{{", &TemplateProblem::Partial),
        }
    }

    fn name(&mut self, raw: &str, at: usize) {
        let name = raw.strip_prefix("this.").or(raw.strip_prefix("./")).unwrap_or(raw);
        if raw != "this"
            && let Some(column) = self.columns.names().position(|column| column == name)
        {
            self.uses.any.insert(column);
            return;
        }
        let wanted = name.trim_matches(['[', ']']);
        let problem = if name == "this" || name.starts_with(['@', '.']) || name.contains('/') {
            TemplateProblem::NotAName(raw.to_owned())
        } else {
            TemplateProblem::NoColumn {
                name: raw.to_owned(),
                nearest: nearest(&Columns::name_for(wanted), self.columns.names()).map(str::to_owned),
                columns: self.columns.names().take(20).map(quoted).collect::<Vec<_>>().join(", "),
            }
        };
        self.complain(at, raw, &problem);
    }

    /// Complains about a word in the tag that begins at `at`.
    fn complain(&mut self, at: usize, word: &str, problem: &TemplateProblem) {
        self.complaints += 1;
        if self.complaints > MOST_COMPLAINTS {
            return;
        }
        let tag = &self.piece.text[at..];
        let tag = &tag[..tag.find("}}").unwrap_or(tag.len())];
        let span = match tag.find(word) {
            Some(within) => at + within..at + within + word.len(),
            None => at..at + tag.len(),
        };
        self.problems.push(Diagnostic::error(self.piece.place(span), problem));
    }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The byte offset of a line and a column, both from 1, the column in characters.
    fn offset(&self, text: &str, line: usize, column: usize) -> usize {
        let start = self.0.get(line.saturating_sub(1)).copied().unwrap_or(text.len());
        text[start..].char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at)
    }
}

/// The column that a parameter names.
fn column_of(parameter: &Parameter, columns: &Columns) -> Option<usize> {
    let raw = match parameter {
        Parameter::Name(name) => name,
        Parameter::Path(Path::Relative((_, raw))) => raw,
        _ => return None,
    };
    let name = raw.strip_prefix("this.").or(raw.strip_prefix("./")).unwrap_or(raw);
    columns.names().position(|column| column == name)
}

/// All columns that a parameter mentions, in brackets, too.
fn mentioned(parameter: &Parameter, columns: &Columns, found: &mut Vec<usize>) {
    if let Parameter::Subexpression(inner) = parameter {
        inner.params().into_iter().flatten().for_each(|parameter| mentioned(parameter, columns, found));
    }
    found.extend(column_of(parameter, columns));
}

fn shown(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Name(name) => name.clone(),
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => raw.clone(),
        Parameter::Literal(value) => value.to_string(),
        _ => "(…)".into(),
    }
}
