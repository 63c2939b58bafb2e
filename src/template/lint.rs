//! Compiling Handlebars so that nothing is left to find out while rendering.
//!
//! Handlebars' strict mode is silent about `{{#if missing}}` and the like, and a cycle of partials overflows the
//! stack. So the compiled template is walked, and every name in it has to be a column or a helper.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use handlebars::{
    Handlebars, Path,
    template::{DecoratorTemplate, HelperTemplate, Parameter, Template as Compiled, TemplateElement},
};

use super::{
    Format, TemplateProblem,
    branches::Questions,
    helpers,
    partials::{Partials, Unusable},
    raw::RAW_HTML,
    tags::{self, Part, Wrong},
    veil::VEILED,
    whitespace::{self, INDENTED},
    words,
};
use crate::{
    campaign::ColumnType,
    diagnostic::{Diagnostic, Diagnostics, Place, Source, nearest, quoted},
    recipients::{Columns, ROWS},
};

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
    /// The same within `{{#each rows}}`.
    pub(super) required_in_rows: BTreeSet<usize>,
    /// Those that it uses outside of `{{#each rows}}`, where all rows of a person must agree.
    pub(super) of_person: BTreeSet<usize>,
    /// Those that every message shows as they are.
    pub(super) plain: BTreeSet<usize>,
    /// Those that hold HTML.
    pub(super) raw: BTreeSet<usize>,
    /// Those whose cells it takes for true or false, with the helper that asks.
    pub(super) truth: BTreeMap<usize, &'static str>,
    /// What it asks.
    pub(super) questions: Questions,
}

/// What names mean: the person's columns, or those of one of the person's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Person,
    Row,
}

/// What a template is checked against, and what is found out about it.
pub(super) struct Checking<'c> {
    pub(super) format: Format,
    pub(super) columns: &'c Columns,
    pub(super) uses: &'c mut Uses,
    /// The columns that `{{{…}}}` may show.
    pub(super) raw: &'c [String],
    /// The partials that it can use; a header has none.
    pub(super) partials: Option<&'c mut Partials>,
    pub(super) problems: &'c mut Diagnostics,
}

/// A text as Handlebars reads it.
pub(super) struct Syntax;

impl Syntax {
    /// Compiles a text; else where in it something is wrong, and what.
    pub(super) fn of(text: &str) -> Result<Compiled, Wrong> {
        let parts = tags::read(text)?;
        tags::check_nesting(text, &parts)?;
        for part in &parts {
            if let Part::Tag(tag) = part {
                words::check(text, tag)?;
            }
        }
        whitespace::compile(text, &parts)
    }
}

/// Compiles a piece under `name`, after checking every name in it. The columns that it uses are added to `uses`.
pub(super) fn compile(registry: &mut Handlebars<'static>, name: &str, piece: &Piece<'_>, checking: Checking<'_>) {
    match Syntax::of(&piece.text) {
        Ok(compiled) => {
            let mut walk = Walk {
                piece,
                lines: Lines::of(&piece.text),
                columns: checking.columns,
                uses: checking.uses,
                raw: checking.raw,
                format: checking.format,
                partials: checking.partials,
                within: Vec::new(),
                scope: Scope::Person,
                reaches_out: false,
                asked: Vec::new(),
                depth: 0,
                problems: checking.problems,
                complaints: 0,
            };
            walk.template(&compiled);
            registry.register_template(name, compiled);
        }
        Err((span, problem)) => checking.problems.push(Diagnostic::error(piece.place(span), &problem)),
    }
}

/// What is said of a column that there is not.
pub(super) fn no_column(written: &str, wanted: &str, columns: &Columns) -> TemplateProblem {
    TemplateProblem::NoColumn {
        name: written.to_owned(),
        nearest: nearest(&Columns::name_for(wanted), columns.names()).map(str::to_owned),
        columns: columns.names().take(20).map(quoted).collect::<Vec<_>>().join(", "),
    }
}

/// Takes Handlebars' own helpers away that a flat row has no use for, so that a column may have their names.
pub(super) fn forget_helpers(registry: &mut Handlebars<'static>, columns: &Columns) {
    for helper in ["with", "lookup", "log", "raw", "len", "gt", "gte", "lt", "lte"] {
        registry.unregister_helper(helper);
    }
    if !columns.is_grouped() {
        registry.unregister_helper("each");
    }
}

struct Walk<'a> {
    piece: &'a Piece<'a>,
    lines: Lines,
    columns: &'a Columns,
    uses: &'a mut Uses,
    raw: &'a [String],
    format: Format,
    partials: Option<&'a mut Partials>,
    /// The partials in which this is, the outermost first.
    within: Vec<String>,
    scope: Scope,
    /// Whether `../` would leave the partial that this is.
    reaches_out: bool,
    /// The columns about which the blocks around ask.
    asked: Vec<(Scope, usize)>,
    /// In how many blocks this is.
    depth: usize,
    problems: &'a mut Diagnostics,
    complaints: usize,
}

impl Walk<'_> {
    fn template(&mut self, template: &Compiled) {
        for (nth, element) in template.elements.iter().enumerate() {
            let at = template.mapping.get(nth).map_or(0, |at| self.lines.offset(&self.piece.text, at.0, at.1));
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(expression) if shown(&expression.name) == RAW_HTML => {
                    self.raw_html(expression, at);
                }
                TemplateElement::Expression(expression) => self.expression(expression, at),
                TemplateElement::HtmlExpression(expression) => self.refuse_raw(&shown(&expression.name), at),
                TemplateElement::HelperBlock(block) => self.block(block, at),
                TemplateElement::PartialExpression(partial) => self.partial(partial, at),
                // Decorators and blocks of partials, and whatever a later Handlebars may add.
                _ => self.complain(at, "{{", &TemplateProblem::Partial),
            }
        }
    }

    /// `{{{column}}}`
    fn raw_html(&mut self, call: &HelperTemplate, at: usize) {
        let Some(parameter) = call.params.first() else { return };
        let name = shown(parameter);
        let Some((scope, column)) = self.column_of(parameter).filter(|_| self.raw.contains(&name)) else {
            return self.refuse_raw(&name, at);
        };
        self.parameter(parameter, at);
        self.require(scope, column);
        self.uses.raw.insert(column);
    }

    fn refuse_raw(&mut self, name: &str, at: usize) {
        let in_html = self.format != Format::Text;
        self.complain(at, name, &TemplateProblem::Raw { name: name.to_owned(), in_html });
    }

    /// `{{> footer}}`: what is in it is checked as if it stood here.
    fn partial(&mut self, partial: &DecoratorTemplate, at: usize) {
        let name = shown(&partial.name);
        let named = matches!(&partial.name, Parameter::Name(_) | Parameter::Path(_));
        if !named || !partial.params.is_empty() || !partial.hash.is_empty() {
            self.complain(at, &name, &TemplateProblem::PartialArguments);
            return;
        }
        if self.within.contains(&name) {
            self.complain(at, &name, &TemplateProblem::PartialCycle(self.within.join(", ")));
            return;
        }
        let Some(partials) = &mut self.partials else {
            self.complain(at, &name, &TemplateProblem::Partial);
            return;
        };
        let loaded = match partials.get(&name) {
            Ok(loaded) => loaded,
            Err(Unusable::Here(problem)) => return self.complain(at, &name, &problem),
            Err(Unusable::There(wrong)) => return self.problems.extend(wrong),
        };
        let piece = Piece::of(&loaded.source, 0..loaded.source.text().len());
        let mut walk = Walk {
            piece: &piece,
            lines: Lines::of(&piece.text),
            columns: self.columns,
            uses: self.uses,
            raw: self.raw,
            format: self.format,
            partials: self.partials.as_deref_mut(),
            within: self.within.iter().cloned().chain([name]).collect(),
            scope: self.scope,
            reaches_out: self.scope == Scope::Row,
            asked: self.asked.clone(),
            depth: self.depth,
            problems: self.problems,
            complaints: self.complaints,
        };
        walk.template(&loaded.compiled);
        self.complaints = walk.complaints;
    }

    /// `{{name}}` or `{{helper …}}`
    fn expression(&mut self, expression: &HelperTemplate, at: usize) {
        if expression.params.is_empty() && expression.hash.is_empty() {
            let name = shown(&expression.name);
            let is_column = helpers::gives_way(&name) && self.columns.names().any(|column| column == name);
            if !is_column && (helpers::find(&name).is_some() || BLOCKS.contains(&name.as_str())) {
                self.complain(at, &name, &TemplateProblem::HelperAlone(name.clone()));
                return;
            }
            self.parameter(&expression.name, at);
            let Some((scope, column)) = self.column_of(&expression.name) else { return };
            if *self.columns.kind(column) == ColumnType::YesNo {
                self.complain(at, &name, &TemplateProblem::YesNoShown(name.clone()));
            }
            self.require(scope, column);
            if self.depth == 0 && scope == Scope::Person {
                self.uses.plain.insert(column);
            }
        } else {
            self.call(expression, at);
            self.shown_by(expression);
        }
    }

    /// The columns that a helper shows must be filled in.
    fn shown_by(&mut self, call: &HelperTemplate) {
        if !helpers::find(&shown(&call.name)).is_some_and(|helper| helper.shows) {
            return;
        }
        let Some(first) = call.params.first() else { return };
        if let Some((scope, column)) = self.column_of(first) {
            self.require(scope, column);
        }
        if let Parameter::Subexpression(inner) = first
            && let TemplateElement::Expression(inner) = inner.as_element()
        {
            self.shown_by(inner);
        }
    }

    fn require(&mut self, scope: Scope, column: usize) {
        if !self.asked.contains(&(scope, column)) {
            match scope {
                Scope::Person => self.uses.required.insert(column),
                Scope::Row => self.uses.required_in_rows.insert(column),
            };
        }
    }

    fn call(&mut self, call: &HelperTemplate, at: usize) {
        let name = shown(&call.name);
        let Some(helper) = helpers::find(&name) else {
            let problem = TemplateProblem::NoHelper {
                nearest: nearest(&name, helpers::names()).map(str::to_owned),
                name: name.clone(),
            };
            self.complain(at, &name, &problem);
            self.arguments(call, at);
            return;
        };
        if self.format != Format::Text && name == "url_encode" {
            self.complain(at, &name, &TemplateProblem::UrlEncode);
        }
        let (least, most) = helper.parameters;
        if !(least..=most).contains(&call.params.len()) {
            self.complain(at, &name, &TemplateProblem::Arguments { name: name.clone(), least, most });
        }
        for unknown in call.hash.keys().filter(|key| !helper.named.contains(&key.as_str())) {
            let problem = TemplateProblem::NoSuchArgument {
                helper: name.clone(),
                name: unknown.clone(),
                known: helper.named.join(", "),
            };
            self.complain(at, unknown, &problem);
        }
        // `eq` compares text with text, and 10 is a number; `number` may be told how many decimals.
        let takes_numbers = matches!(name.as_str(), "number" | "default");
        if let Some(Parameter::Literal(number)) = call
            .params
            .iter()
            .chain(call.hash.values())
            .find(|p| matches!(p, Parameter::Literal(v) if !(v.is_string() || takes_numbers && v.is_number())))
        {
            self.complain(at, &number.to_string(), &TemplateProblem::NotText(number.to_string()));
        }
        if name == "join" && call.params.first().is_some_and(|first| shown(first) == ROWS) && self.joins_rows(call, at)
        {
            return;
        }
        if matches!(name.as_str(), "eq" | "ne") {
            for parameter in &call.params {
                if let Some((_, column)) = self.column_of(parameter)
                    && *self.columns.kind(column) == ColumnType::YesNo
                {
                    let name = shown(parameter);
                    self.complain(at, &name, &TemplateProblem::YesNoShown(name.clone()));
                }
            }
        }
        self.arguments(call, at);
    }

    /// `{{join rows "title"}}`
    fn joins_rows(&mut self, call: &HelperTemplate, at: usize) -> bool {
        if !self.columns.is_grouped() || self.scope == Scope::Row {
            return false;
        }
        let column = match call.params.get(1) {
            Some(Parameter::Literal(name)) => name.as_str().unwrap_or(""),
            _ => "",
        };
        match self.columns.names().position(|name| name == column) {
            Some(nth) => {
                self.uses.any.insert(nth);
            }
            None => self.complain(at, column, &TemplateProblem::JoinWhat),
        }
        true
    }

    fn arguments(&mut self, call: &HelperTemplate, at: usize) {
        for parameter in call.params.iter().chain(call.hash.values()) {
            self.parameter(parameter, at);
        }
    }

    fn block(&mut self, block: &HelperTemplate, at: usize) {
        let name = shown(&block.name);
        if name == INDENTED {
            block.template.iter().for_each(|partial| self.template(partial));
            return;
        }
        self.depth += 1;
        self.asking_block(&name, block, at);
        self.depth -= 1;
    }

    fn asking_block(&mut self, name: &str, block: &HelperTemplate, at: usize) {
        if block.block_param.is_some() {
            let why = format!("{{{{#{name}}}}} gives no names with \"as\"");
            self.complain(at, " as ", &TemplateProblem::Syntax(why));
        }
        if name == "each" && self.columns.is_grouped() {
            self.each(block, at);
            return;
        }
        if let Some(asks) = BLOCKS.iter().find(|known| **known == name) {
            self.arguments(block, at);
            block.params.iter().for_each(|parameter| self.taken_for_true(parameter, asks));
            if block.params.len() != 1 {
                let why = format!("{{{{#{name}}}}} asks about one thing");
                self.complain(at, name, &TemplateProblem::Syntax(why));
            }
            // handlebars.js reads a name in brackets where the crate reads a list.
            for parameter in &block.params {
                if let Parameter::Literal(value) = parameter
                    && (value.is_array() || value.is_object())
                {
                    self.complain(at, "[", &TemplateProblem::NotText(value.to_string()));
                }
            }
        } else if matches!(name, "each" | "with") {
            let rows = block.params.first().is_some_and(|parameter| shown(parameter) == ROWS);
            self.complain(at, name, &TemplateProblem::NothingToLoop { name: name.to_owned(), rows });
            if rows && self.scope == Scope::Person {
                // One complaint is enough for all that would be right if there were rows.
                self.within_rows(block);
                return;
            }
        } else if self.columns.names().any(|column| column == name) {
            self.complain(at, name, &TemplateProblem::BlockOverColumn(name.to_owned()));
        } else {
            let problem = TemplateProblem::NoHelper {
                nearest: nearest(name, BLOCKS.iter().copied()).map(|block| format!("#{block}")),
                name: format!("#{name}"),
            };
            self.complain(at, name, &problem);
        }
        let before = self.asked.len();
        let asks = BLOCKS.iter().find(|known| **known == name && self.scope == Scope::Person);
        let question = asks.map(|asks| {
            let tag = self.tag(at).to_owned();
            let offset = if self.piece.literal { self.piece.span.start + at } else { self.piece.span.start };
            self.uses.questions.add(asks, self.piece.source, &tag, offset)
        });
        for (template, answer, taken) in
            [(&block.template, name == "if", true), (&block.inverse, name == "unless", false)]
        {
            for parameter in &block.params {
                self.remember(parameter, answer);
            }
            if let Some(template) = template {
                if let Some(question) = question {
                    self.uses.questions.enter(question, taken);
                }
                self.template(template);
                if question.is_some() {
                    self.uses.questions.leave();
                }
            }
            self.asked.truncate(before);
        }
    }

    /// `{{#each rows}}`: the names in it are those of one row.
    fn each(&mut self, block: &HelperTemplate, at: usize) {
        let wanted = block.params.as_slice();
        let [parameter] = wanted else {
            self.complain(at, "each", &TemplateProblem::EachWhat(String::new()));
            return;
        };
        if shown(parameter) != ROWS || self.scope == Scope::Row {
            let what = shown(parameter);
            self.complain(at, &what, &TemplateProblem::EachWhat(what.clone()));
            return;
        }
        self.within_rows(block);
    }

    fn within_rows(&mut self, block: &HelperTemplate) {
        self.scope = Scope::Row;
        if let Some(template) = &block.template {
            self.template(template);
        }
        self.scope = Scope::Person;
        // Everybody has a row, and what is said for nobody must be right all the same.
        if let Some(template) = &block.inverse {
            self.template(template);
        }
    }

    /// The columns whose text is taken for true or false.
    fn taken_for_true(&mut self, parameter: &Parameter, asks: &'static str) {
        if let Some((_, column)) = self.column_of(parameter) {
            self.uses.truth.insert(column, asks);
        }
        if let Parameter::Subexpression(inner) = parameter
            && matches!(inner.name(), "and" | "or" | "not")
        {
            inner.params().into_iter().flatten().for_each(|parameter| self.taken_for_true(parameter, asks));
        }
    }

    /// Remembers the columns that are filled in where the answer to a question is this one.
    fn remember(&mut self, parameter: &Parameter, answer: bool) {
        if answer {
            self.asked.extend(self.column_of(parameter));
        }
        let Parameter::Subexpression(inner) = parameter else { return };
        let parameters = inner.params().map_or(&[][..], Vec::as_slice);
        match (inner.name(), answer) {
            ("not", _) => parameters.iter().for_each(|parameter| self.remember(parameter, !answer)),
            // Of all that `and` joins each is true, and of what `or` joins each is false, where they are.
            ("and", true) | ("or", false) => {
                for parameter in parameters {
                    self.remember(parameter, answer);
                }
            }
            ("eq" | "ne", _) => {
                // What equals a text is filled in, and so is what does not equal nothing.
                let text = parameters.iter().find_map(|parameter| match parameter {
                    Parameter::Literal(literal) => literal.as_str(),
                    _ => None,
                });
                let equal = answer == (inner.name() == "eq");
                if text.is_some_and(|text| equal != text.is_empty()) {
                    let columns: Vec<_> = parameters.iter().filter_map(|parameter| self.column_of(parameter)).collect();
                    self.asked.extend(columns);
                }
            }
            _ => {}
        }
    }

    /// The column that a parameter names, and whose.
    fn column_of(&self, parameter: &Parameter) -> Option<(Scope, usize)> {
        let raw = match parameter {
            Parameter::Name(name) => name,
            Parameter::Path(Path::Relative((_, raw))) => raw,
            _ => return None,
        };
        let (scope, name) = self.resolved(raw);
        Some((scope, self.columns.names().position(|column| column == name)?))
    }

    /// Whose a name is, and the name without what says so.
    fn resolved<'n>(&self, raw: &'n str) -> (Scope, &'n str) {
        match raw.strip_prefix("../") {
            Some(name) if self.scope == Scope::Row => (Scope::Person, name),
            _ => (self.scope, raw.strip_prefix("this.").or(raw.strip_prefix("./")).unwrap_or(raw)),
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
        let (scope, name) = self.resolved(raw);
        if raw.starts_with("../") && self.reaches_out {
            let why = format!("{raw} reaches out of a partial, where Handlebars finds nothing");
            let problem = TemplateProblem::unlike(why, "write it where the partial stands");
            self.complain(at, raw, &problem);
            return;
        }
        if raw != "this"
            && let Some(column) = self.columns.names().position(|column| column == name)
        {
            self.uses.any.insert(column);
            if scope == Scope::Person {
                self.uses.of_person.insert(column);
            }
            return;
        }
        if self.scope == Scope::Row && matches!(raw, "@index" | "@first" | "@last") {
            return;
        }
        if self.columns.is_grouped() && name == ROWS {
            self.complain(at, raw, &TemplateProblem::EachWhat(raw.to_owned()));
            return;
        }
        let wanted = name.trim_matches(['[', ']']);
        let problem = if name == "this" || name.starts_with(['@', '.']) || name.contains('/') {
            TemplateProblem::NotAName(raw.to_owned())
        } else {
            no_column(raw, wanted, self.columns)
        };
        self.complain(at, raw, &problem);
    }

    /// The tag that begins at `at`, up to its closing braces.
    fn tag(&self, at: usize) -> &str {
        let tag = &self.piece.text[at..];
        &tag[..tag.find("}}").unwrap_or(tag.len())]
    }

    /// Complains about a word in the tag that begins at `at`.
    fn complain(&mut self, at: usize, word: &str, problem: &TemplateProblem) {
        self.complaints += 1;
        if self.complaints > MOST_COMPLAINTS {
            return;
        }
        let tag = self.tag(at);
        let span = match tag.find(word) {
            Some(within) => at + within..at + within + word.len(),
            None => at..at + tag.len(),
        };
        self.problems.push(Diagnostic::error(self.piece.place(span), problem));
    }
}

/// Where the lines of a text begin.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The byte offset of a line and a column, both from 1, the column in characters.
    pub(super) fn offset(&self, text: &str, line: usize, column: usize) -> usize {
        let start = self.0.get(line.saturating_sub(1)).copied().unwrap_or(text.len());
        text[start..].char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at)
    }
}

fn shown(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Name(name) => name.clone(),
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => raw.clone(),
        Parameter::Literal(value) => value.to_string(),
        _ => "(…)".into(),
    }
}
