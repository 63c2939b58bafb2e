//! Who prepared a campaign: somebody else has to approve it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use ssh_key::public::KeyData;

use super::{
    Agent, Invalid, Rule,
    key::{fingerprint, public_of, read_public},
};
use crate::outbox::Entry;

/// So many of somebody's public keys are looked at.
const MOST_KEYS: usize = 100;

/// What is known of who prepared a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preparer {
    /// As they said themselves.
    by: Option<String>,
    /// What the system calls them.
    logins: BTreeSet<String>,
    /// The fingerprints of their keys.
    keys: BTreeSet<String>,
}

impl Preparer {
    /// Whoever runs this: `by` is what they say that they are called where it is written down who may approve. Their keys are
    /// those in `~/.ssh`, public and private, and those that the ssh-agent has at this moment.
    #[must_use]
    pub fn now(by: Option<&str>) -> Self {
        // sudo and doas say who it really is.
        let names = ["SUDO_USER", "DOAS_USER", "LOGNAME", "USER", "USERNAME"];
        let logins = names.into_iter().filter_map(|name| std::env::var(name).ok()).chain(own_login());
        let logins = logins.filter(|name| !name.is_empty());
        let directory = etcetera::home_dir().map(|home| home.join(".ssh"));
        let files = directory.ok().and_then(|directory| std::fs::read_dir(directory).ok());
        let files = files.into_iter().flatten().flatten().map(|file| file.path());
        let is_public = |path: &Path| path.extension().is_some_and(|ending| ending == "pub");
        let keys_of = |path: PathBuf| {
            if is_public(&path) {
                read_public(&path).unwrap_or_default()
            } else {
                public_of(&path).into_iter().collect()
            }
        };
        let in_files = files.take(MOST_KEYS).flat_map(keys_of);
        let in_agent = Agent::connect().and_then(|mut agent| agent.keys()).unwrap_or_default();
        let keys = in_files.chain(in_agent).map(|key| fingerprint(key.key_data()));
        Self { by: by.map(str::to_owned), logins: logins.collect(), keys: keys.collect() }
    }

    /// Of a campaign, as its entries in the log say: whoever prepared it first. Who prepares the same once more finds it there
    /// and changes no byte of it; if that made them one who prepared it, nobody could look at it that way any more.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let prepared = entries.iter().find_map(|entry| match entry.what.as_str() {
            "prepared" => Some(&entry.details),
            "imported" => Some(&entry.details["preparing"]),
            _ => None,
        });
        let Some(details) = prepared else { return Self::default() };
        let all = |key: &str| {
            let all = details[key].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self { by: details["by"].as_str().map(str::to_owned), logins: all("logins"), keys: all("keys") }
    }

    /// What the log is to know.
    #[must_use]
    pub fn details(&self) -> Value {
        let mut details = json!({ "logins": self.logins, "keys": self.keys });
        if let Some(by) = &self.by {
            details["by"] = by.as_str().into();
        }
        details
    }

    /// Whether enough is known to tell somebody else: a key, or a name that they said themselves. What a system calls somebody need not
    /// be what they are called elsewhere.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.by.is_some() || !self.keys.is_empty()
    }

    /// That somebody else has a key, who has some names. What some rules call the preparer's keys are names of theirs, too.
    pub(super) fn check_other(&self, key: &KeyData, names: &[String], rules: &[Rule]) -> Result<(), Invalid> {
        if self.keys.contains(&fingerprint(key)) {
            return Err(Invalid::OwnKey);
        }
        let written: Vec<String> = rules.iter().flat_map(|rule| rule.names_of(&self.keys)).collect();
        let own = || self.by.iter().chain(&self.logins).chain(&written);
        match names.iter().find(|name| own().any(|own| is_same(own, name))) {
            Some(name) => Err(Invalid::OwnName(name.clone())),
            None => Ok(()),
        }
    }
}

/// What the system's own list of users calls whoever runs this.
#[cfg(unix)]
#[must_use]
pub fn own_login() -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let own = rustix::process::getuid().as_raw().to_string();
    let own = users.lines().find(|line| line.split(':').nth(2) == Some(&own))?;
    own.split(':').next().map(str::to_owned)
}

/// What the system's own list of users calls whoever runs this.
#[cfg(not(unix))]
#[must_use]
pub fn own_login() -> Option<String> {
    None
}

/// Whether two names can be one person's: the same, or one of them is the other without its domain.
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let local = |name: &str| name.split_once('@').map(|(local, _)| local.to_owned());
    one == other || local(&one).is_some_and(|local| local == other) || local(&other).is_some_and(|local| local == one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_domain_and_without_is_one_persons() {
        for (one, other, same) in [
            ("ada", "Ada", true),
            ("ada@one.example", "ada", true),
            ("ADA", "ada@one.example", true),
            ("ada@one.example", "ada@two.example", false),
            ("ada", "adam", false),
            ("ada", "bo@ada", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }
}
