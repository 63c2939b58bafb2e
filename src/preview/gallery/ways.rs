//! The combinations of branches that a campaign's messages really take.

use std::collections::HashMap;

use crate::{
    recipients::RecipientList,
    template::{Answers, Template},
};

/// All combinations, in the order in which the list takes them first.
#[derive(Debug)]
pub(super) struct Ways {
    all: Vec<Way>,
    /// The combination of each person.
    of: Vec<u32>,
}

/// A combination.
#[derive(Debug)]
pub(super) struct Way {
    /// `None` where a question cannot be answered.
    pub(super) answers: Option<Answers>,
    /// How many people take it.
    pub(super) count: usize,
    /// The place in the list of the first one.
    pub(super) first: usize,
}

impl Ways {
    /// Asks for everybody on the list.
    pub(super) fn of(template: &Template, list: &RecipientList) -> Self {
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

    pub(super) fn all(&self) -> &[Way] {
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

/// What the questions of a template are for one person, in words, those that are not asked left out.
pub(super) fn in_words(template: &Template, answers: &Answers) -> Vec<(String, bool)> {
    let asked = template.branches().iter().zip(answers).filter_map(|(branch, answer)| Some((branch, (*answer)?)));
    asked.map(|(branch, answer)| (branch.to_string(), answer)).collect()
}

/// The people whose messages show most of a campaign: one of each combination, and the first and last few; at most `most`.
pub(super) fn sample(ways: &Ways, people: usize, most: usize) -> Vec<usize> {
    const ENDS: usize = 3;
    let ends = (0..people.min(ENDS)).chain(people.saturating_sub(ENDS)..people);
    let mut sample: Vec<usize> = Vec::with_capacity(most);
    for person in ways.all.iter().map(|way| way.first).chain(ends) {
        if sample.len() < most && !sample.contains(&person) {
            sample.push(person);
        }
    }
    sample.sort_unstable();
    sample
}
