//! The combinations of branches that a campaign's messages really take.

use std::collections::HashMap;

use crate::{
    recipients::RecipientList,
    template::{Answers, Template},
};

/// All combinations, in the order in which the list takes them first.
#[derive(Debug)]
pub struct Ways {
    all: Vec<Way>,
    /// The combination of each person.
    of: Vec<u32>,
}

/// A combination.
#[derive(Debug)]
pub struct Way {
    /// What is shown; `None` where a question cannot be answered.
    pub answers: Option<Answers>,
    /// How many people take it.
    pub count: usize,
    /// The place in the list of the first one.
    pub first: usize,
}

impl Ways {
    /// Asks for everybody on the list.
    #[must_use]
    pub fn of(template: &Template, list: &RecipientList) -> Self {
        let mut ways = Self { all: Vec::new(), of: Vec::with_capacity(list.len()) };
        let mut known: HashMap<Option<Answers>, u32> = HashMap::new();
        for person in list.iter() {
            let answers = template.answers(person).ok();
            let next = u32::try_from(ways.all.len()).unwrap_or(u32::MAX);
            let nth = *known.entry(answers.clone()).or_insert(next);
            ways.of.push(nth);
            match ways.all.get_mut(nth as usize) {
                Some(way) => way.count += 1,
                None => ways.all.push(Way { answers, count: 1, first: person.index() }),
            }
        }
        ways
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Way] {
        &self.all
    }

    /// Whether a person takes one.
    pub(super) fn takes(&self, person: usize, way: usize) -> bool {
        self.of.get(person).is_some_and(|nth| *nth as usize == way)
    }

    /// The places in the list of those who take one.
    pub(super) fn people(&self, way: usize) -> impl Iterator<Item = usize> {
        (0..self.of.len()).filter(move |person| self.takes(*person, way))
    }
}

impl Way {
    /// What is shown in this way, in words.
    #[must_use]
    pub fn in_words(&self, template: &Template) -> Vec<(String, bool)> {
        self.answers.as_ref().map(|answers| in_words(template, answers)).unwrap_or_default()
    }
}

/// What the questions of a template are for one person, in words, those that are not asked left out.
pub(super) fn in_words(template: &Template, answers: &Answers) -> Vec<(String, bool)> {
    let asked = template.branches().iter().zip(answers).filter_map(|(branch, answer)| Some((branch, (*answer)?)));
    asked.map(|(branch, answer)| (branch.to_string(), answer)).collect()
}
