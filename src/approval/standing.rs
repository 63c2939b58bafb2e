//! Whether a campaign may be sent: what its approvals are worth at this moment.

use std::{collections::HashSet, fmt};

use jiff::Timestamp;
use ssh_key::public::KeyData;

use super::{Allowed, Decision, Invalid, Preparer, Rule, Subject};
use crate::{
    diagnostic::{counted, visible},
    outbox::{Entry, day},
};

/// What a campaign's approvals are worth.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Of each rule that applies, how many people it wants and how many have approved.
    pub rules: Vec<Counted>,
    /// All that was said for it, the oldest first.
    pub approvals: Vec<Weighed>,
    /// When somebody said that it must not be sent, last, and why.
    pub rejected: Option<(Timestamp, String)>,
}

/// How many people have approved for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Where the rule is from.
    pub name: String,
    /// So many are wanted.
    pub required: usize,
    /// So many different people have approved.
    pub people: usize,
}

/// An approval, and what it is worth.
#[derive(Debug, Clone)]
pub struct Weighed {
    /// When it was said.
    pub at: Timestamp,
    /// What the key is known by; none if the signature is none.
    pub key: Option<String>,
    /// Whose key that is, as the rules have it.
    pub names: Vec<String>,
    /// For each rule, or once if there is none: until when it counts, or why it does not.
    pub verdicts: Vec<Result<Allowed, Invalid>>,
}

/// That something may be sent. It is made of a [`Standing`] that says so, and of nothing else: what sends has to show one.
#[derive(Debug)]
pub struct Cleared {
    by: Vec<String>,
}

impl Cleared {
    /// Whose approvals count, in words.
    #[must_use]
    pub fn by(&self) -> &[String] {
        &self.by
    }

    /// For what goes to no recipient: a test to oneself, and the sandbox in this program.
    #[must_use]
    pub fn for_nobody() -> Self {
        Self { by: Vec::new() }
    }
}

/// What is missing before a campaign may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    id: String,
    rules: Vec<Counted>,
    rejected: Option<(Timestamp, String)>,
    /// Why what is there does not count
    invalid: Vec<String>,
}

impl Standing {
    /// Weighs what a campaign's entries in the log say by the rules that apply to it, at a moment.
    #[must_use]
    pub fn weigh(subject: &Subject, rules: &[Rule], entries: &[Entry], now: Timestamp) -> Self {
        let preparer = Preparer::of(entries);
        let mut rejected: Option<(i64, Timestamp, String)> = None;
        let mut approvals: Vec<(i64, Weighed, Option<Decision>)> = Vec::new();
        for entry in entries {
            match (entry.what.as_str(), Decision::of(subject, entry)) {
                // Whoever says no need not prove who they are.
                ("rejected", decision) => {
                    let at = decision.and_then(Result::ok).map_or(entry.at, |decision| decision.said.at);
                    let reason = entry.details["reason"].as_str().unwrap_or_default();
                    rejected = Some((entry.number, at, visible(reason)));
                }
                ("approved", Some(decision)) => {
                    let weighed = weigh(decision.as_ref(), rules, &preparer, (entry.at, now));
                    approvals.push((entry.number, weighed, decision.ok()));
                }
                ("approved", None) => {
                    let weighed = weigh(Err(&Invalid::Signature), rules, &preparer, (entry.at, now));
                    approvals.push((entry.number, weighed, None));
                }
                _ => {}
            }
        }
        if let Some((number, at, _)) = &rejected {
            // An old approval that is brought once more behind a rejection is still an old one.
            let is_before = |entry: i64, said: Timestamp| entry < *number || said.as_second() < at.as_second();
            for (entry, weighed, _) in &mut approvals {
                if is_before(*entry, weighed.at) {
                    weighed.verdicts.iter_mut().for_each(|verdict| {
                        if verdict.is_ok() {
                            *verdict = Err(Invalid::Rejected(*at));
                        }
                    });
                }
            }
        }
        let counted = |(nth, rule): (usize, &Rule)| {
            let good = approvals.iter().filter(|(_, weighed, _)| weighed.verdicts[nth].is_ok());
            let keys = good.filter_map(|(_, _, decision)| decision.as_ref());
            let people = people(keys.map(|decision| {
                let names = rule.all_names(&decision.key).into_iter();
                names.chain([decision.fingerprint()]).collect()
            }));
            Counted { name: rule.name.clone(), required: rule.required, people }
        };
        let rules = rules.iter().enumerate().map(counted).collect();
        let approvals: Vec<Weighed> = approvals.into_iter().map(|(_, weighed, _)| weighed).collect();
        // Where no rule applies, one person takes back what one person said.
        let is_over = |weighed: &Weighed| weighed.verdicts.iter().any(Result::is_ok);
        let is_taken_back = approvals.iter().any(is_over);
        let rejected = rejected.filter(|_| !is_taken_back).map(|(_, at, reason)| (at, reason));
        Self { rules, approvals, rejected }
    }

    /// How many approvals are missing in all.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.rules.iter().map(|rule| rule.required.saturating_sub(rule.people)).max().unwrap_or_default()
    }

    /// That it may be sent, or what is missing.
    pub fn clear(&self, subject: &Subject) -> Result<Cleared, Missing> {
        if self.missing() == 0 && self.rejected.is_none() {
            let counts = |weighed: &&Weighed| weighed.verdicts.iter().any(Result::is_ok);
            return Ok(Cleared { by: self.approvals.iter().filter(counts).map(Weighed::whose).collect() });
        }
        let mut invalid: Vec<String> = Vec::new();
        for weighed in &self.approvals {
            for why in weighed.verdicts.iter().filter_map(|verdict| verdict.as_ref().err()) {
                let said = format!("{}: {why}", weighed.whose());
                if !invalid.contains(&said) {
                    invalid.push(said);
                }
            }
        }
        let rules = self.rules.iter().filter(|rule| rule.people < rule.required).cloned().collect();
        Err(Missing { id: subject.id.clone(), rules, rejected: self.rejected.clone(), invalid })
    }
}

impl Weighed {
    /// Who said it, in words.
    #[must_use]
    pub fn whose(&self) -> String {
        let key = self.key.as_deref().unwrap_or("nobody's key");
        if self.names.is_empty() { key.to_owned() } else { format!("{} ({key})", visible(&self.names.join(","))) }
    }
}

fn weigh(
    decision: Result<&Decision, &Invalid>,
    rules: &[Rule],
    preparer: &Preparer,
    (entered, now): (Timestamp, Timestamp),
) -> Weighed {
    let count = rules.len().max(1);
    let decision = match decision {
        Ok(decision) => decision,
        Err(why) => {
            let verdicts = vec![Err(why.clone()); count];
            return Weighed { at: entered, key: None, names: Vec::new(), verdicts };
        }
    };
    let at = decision.said.at;
    let (names, mut verdicts) = judge(rules, preparer, &decision.key, at, now);
    if let Err(why) = decision.check_time(now) {
        verdicts = vec![Err(why); count];
    }
    Weighed { at, key: Some(decision.fingerprint()), names, verdicts }
}

/// What is said with a key counts for: for each rule, or once if there is none. With the names of whoever has the key. What a key cannot
/// be used for is said before whose it is.
#[must_use]
pub fn judge(
    rules: &[Rule],
    preparer: &Preparer,
    key: &KeyData,
    signed: Timestamp,
    now: Timestamp,
) -> (Vec<String>, Vec<Result<Allowed, Invalid>>) {
    let mut names: Vec<String> = rules.iter().flat_map(|rule| rule.all_names(key)).collect();
    names.sort();
    names.dedup();
    let known = if rules.is_empty() || preparer.is_known() { Ok(()) } else { Err(Invalid::UnknownPreparer) };
    let other = known.and_then(|()| preparer.check_other(key, &names, rules));
    let by = |rule: &Rule| rule.allows(key, signed, now).and_then(|allowed| other.clone().map(|()| allowed));
    let verdicts = if rules.is_empty() {
        vec![other.map(|()| Allowed { names: Vec::new(), until: Timestamp::MAX })]
    } else {
        rules.iter().map(by).collect()
    };
    (names, verdicts)
}

/// How many different people there are, each known by some names and a key: who has one of them in common with another is the same.
fn people(all: impl Iterator<Item = HashSet<String>>) -> usize {
    let mut people: Vec<HashSet<String>> = Vec::new();
    for mut person in all {
        let (same, others) = people.into_iter().partition(|other| !person.is_disjoint(other));
        let same: Vec<HashSet<String>> = same;
        person.extend(same.into_iter().flatten());
        people = others;
        people.push(person);
    }
    people.len()
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "campaign {} may not be sent", self.id)?;
        let mut sign = ": ";
        if let Some((at, reason)) = &self.rejected {
            write!(f, "{sign}it was rejected on {}", day(*at))?;
            if !reason.is_empty() {
                write!(f, " ({reason})")?;
            }
            sign = "; ";
        }
        for Counted { name, required, people } in &self.rules {
            let wanted = if *required == 1 { "1 person has".to_owned() } else { format!("{required} people have") };
            write!(f, "{sign}{wanted} to approve it, and {people} did ({name})")?;
            sign = "; ";
        }
        for (nth, why) in self.invalid.iter().enumerate() {
            let start = if nth == 0 { ". What does not count: " } else { "; " };
            write!(f, "{start}{why}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.required.saturating_sub(self.people);
        write!(f, "{} of {} for {}", self.people, self.required, self.name)?;
        if left > 0 { write!(f, ", {} missing", counted(left, "person").replace("persons", "people")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_with_a_name_or_a_key_in_common_are_one() {
        let count = |all: &[&[&str]]| people(all.iter().map(|one| one.iter().map(ToString::to_string).collect()));
        assert_eq!(count(&[&["ada", "k1"], &["bo", "k2"]]), 2);
        assert_eq!(count(&[&["ada", "k1"], &["ada", "k2"]]), 1);
        assert_eq!(count(&[&["ada", "k1"], &["bo", "k2"], &["ada", "bo", "k3"]]), 1);
        assert_eq!(count(&[]), 0);
    }
}
