//! Which of a template's branches a person's message takes.
//!
//! Each question of an `{{#if}}` or `{{#unless}}` is compiled once more, alone, and asked for each person. Questions
//! within `{{#each rows}}` are left out: a message can take both of their branches.

use std::{fmt, sync::Arc};

use handlebars::{Context, Handlebars};

use super::TemplateProblem;
use crate::diagnostic::Source;

/// A question on which a message depends.
#[derive(Debug, Clone)]
pub struct Branch {
    asks: &'static str,
    question: String,
    source: Arc<Source>,
    line: usize,
    /// The question around it, and what the answer must be for this one to be asked.
    within: Option<(usize, bool)>,
}

/// `{{#if note}} (t.md.hbs:7)`
impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{#{} {}}}}} ({}:{})", self.asks, self.question, self.source.name(), self.line)
    }
}

/// The answers to all questions of a template, in their order; `None` where one is not asked.
pub type Answers = Vec<Option<bool>>;

/// All questions of a template while it is walked.
#[derive(Debug, Default)]
pub(super) struct Questions {
    found: Vec<Branch>,
    around: Vec<(usize, bool)>,
}

impl Questions {
    /// Adds the question in the tag that begins at `at`; gives its place among them.
    pub(super) fn add(&mut self, asks: &'static str, source: &Arc<Source>, tag: &str, offset: usize) -> usize {
        let inner = tag.trim_start_matches(['{', '~', '#']).trim_end_matches('~').trim();
        let inner = inner.strip_prefix("else").map_or(inner, str::trim_start);
        let question = inner.strip_prefix(asks).unwrap_or(inner).trim().to_owned();
        let (line, _) = source.position(offset);
        let within = self.around.last().copied();
        self.found.push(Branch { asks, question, source: Arc::clone(source), line, within });
        self.found.len() - 1
    }

    /// What follows stands where the answer to a question is this one.
    pub(super) fn enter(&mut self, question: usize, answer: bool) {
        self.around.push((question, answer));
    }

    /// What follows stands outside of it again.
    pub(super) fn leave(&mut self) {
        self.around.pop();
    }

    /// Compiles all of them into a registry.
    pub(super) fn compile(self, registry: &mut Handlebars<'static>) -> Vec<Branch> {
        for (nth, branch) in self.found.iter().enumerate() {
            // It compiled within its block, and so it does alone.
            let text = format!("{{{{#{} {}}}}}1{{{{/{}}}}}", branch.asks, branch.question, branch.asks);
            let _ = registry.register_template_string(&name(nth), text);
        }
        self.found
    }
}

/// The name of a question among the compiled templates.
fn name(nth: usize) -> String {
    format!("question {nth}")
}

/// The answers for one person.
pub(super) fn answers(
    branches: &[Branch],
    registry: &Handlebars<'static>,
    context: &Context,
) -> Result<Answers, TemplateProblem> {
    let mut answers: Answers = Vec::with_capacity(branches.len());
    for (nth, branch) in branches.iter().enumerate() {
        let asked = branch.within.is_none_or(|(around, answer)| answers[around] == Some(answer));
        answers.push(if asked {
            let shown = registry
                .render_with_context(&name(nth), context)
                .map_err(|error| TemplateProblem::render(branch.source.name(), branch.line, 1, &error))?;
            Some(shown == "1")
        } else {
            None
        });
    }
    Ok(answers)
}
