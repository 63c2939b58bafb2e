//! OpenSSH's file of those who may sign (`allowed_signers`, ssh-keygen(1)).

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use ssh_key::{PublicKey, public::KeyData};

use super::{ApprovalError, Invalid, NAMESPACE, key::fingerprint};

/// Who may sign, by their keys.
#[derive(Debug, Clone, Default)]
pub struct Signers(Vec<Line>);

/// A key, and what it may be used for.
#[derive(Debug, Clone)]
struct Line {
    /// Patterns of names, in lower case
    principals: Vec<String>,
    key: KeyData,
    is_authority: bool,
    namespaces: Option<Vec<String>>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Signers {
    /// Reads a file; `name` is what it is called in complaints. A line that cannot be read may be a slip of one that takes a right
    /// away, so the file is refused as a whole.
    pub fn parse(name: &str, text: &str) -> Result<Self, ApprovalError> {
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let read = |(number, line): (usize, &str)| {
            let signers = |why: String| ApprovalError::Signers { file: name.to_owned(), line: number + 1, why };
            Line::parse(line.trim()).map_err(signers)
        };
        lines.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The names of whoever has a key, if they may sign here at each of some moments; or why not.
    pub fn names(&self, key: &KeyData, moments: &[Timestamp]) -> Result<Vec<String>, Invalid> {
        let (mut names, mut why) = (Vec::new(), Invalid::UnknownKey);
        for line in self.0.iter().filter(|line| line.key == *key) {
            match line.check(moments) {
                Ok(()) => names.extend(line.principals.iter().cloned()),
                Err(worse) => why = worse,
            }
        }
        if names.is_empty() { Err(why) } else { Ok(names) }
    }

    /// All names of whoever has a key, whether or not they may sign.
    #[must_use]
    pub fn all_names(&self, key: &KeyData) -> Vec<String> {
        self.0.iter().filter(|line| line.key == *key).flat_map(|line| line.principals.clone()).collect()
    }
}

impl Signers {
    /// All names of whoever has one of some keys, which are known by their fingerprints.
    #[must_use]
    pub fn names_of(&self, keys: &BTreeSet<String>) -> Vec<String> {
        let theirs = self.0.iter().filter(|line| keys.contains(&fingerprint(&line.key)));
        theirs.flat_map(|line| line.principals.clone()).collect()
    }
}

impl Line {
    fn parse(line: &str) -> Result<Self, String> {
        let (principals, rest) = word(line)?;
        let mut first = rest;
        let mut parsed = PublicKey::from_openssh(rest);
        let mut options = "";
        // What is no key is options with a key behind.
        if parsed.is_err() {
            (options, first) = word(rest)?;
            parsed = PublicKey::from_openssh(first);
        }
        let key = parsed.map_err(|why| format!("{} is no public key: {why}", crate::diagnostic::quoted(first)))?;
        let principals = principals.trim_matches('"').to_lowercase();
        let mut line = Self {
            principals: principals.split(',').map(str::to_owned).collect(),
            key: key.key_data().clone(),
            is_authority: false,
            namespaces: None,
            after: None,
            before: None,
        };
        if line.principals.iter().any(|name| name.trim().is_empty() || name.chars().any(char::is_control)) {
            return Err("a name is empty".into());
        }
        for option in split_options(options)? {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let value = value.map(|value| value.trim_matches('"'));
            match (name.to_ascii_lowercase().as_str(), value) {
                ("cert-authority", None) => line.is_authority = true,
                ("namespaces", Some(value)) => line.namespaces = Some(value.split(',').map(str::to_owned).collect()),
                ("valid-after", Some(value)) => line.after = Some(time(value)?),
                ("valid-before", Some(value)) => line.before = Some(time(value)?),
                _ => return Err(format!("{} is no option", crate::diagnostic::quoted(option))),
            }
        }
        Ok(line)
    }

    fn check(&self, moments: &[Timestamp]) -> Result<(), Invalid> {
        if self.is_authority {
            return Err(Invalid::Authority);
        }
        // Who is meant by a pattern could be one person or two.
        if let Some(pattern) = self.principals.iter().find(|name| name.contains(['*', '?', '!'])) {
            return Err(Invalid::Pattern(pattern.clone()));
        }
        if self.namespaces.as_ref().is_some_and(|patterns| !matches_list(patterns, NAMESPACE)) {
            return Err(Invalid::OtherNamespace);
        }
        if let Some(after) = self.after.filter(|after| moments.iter().any(|moment| moment < after)) {
            return Err(Invalid::KeyNotYet(after));
        }
        if let Some(before) = self.before.filter(|before| moments.iter().any(|moment| moment > before)) {
            return Err(Invalid::KeyNoLonger(before));
        }
        Ok(())
    }
}

/// The first word, in which there can be spaces between quotation marks, and what follows.
fn word(line: &str) -> Result<(&str, &str), String> {
    let mut is_quoted = false;
    let end = line.find(|c: char| {
        is_quoted ^= c == '"';
        c.is_whitespace() && !is_quoted
    });
    match end {
        Some(end) => Ok((&line[..end], line[end..].trim_start())),
        None => Err("there is no key".into()),
    }
}

/// Options, which commas separate that are not between quotation marks.
fn split_options(options: &str) -> Result<Vec<&str>, String> {
    let mut is_quoted = false;
    let all = options.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    let all: Vec<&str> = all.filter(|option| !options.is_empty() || !option.is_empty()).collect();
    if is_quoted || options.matches('"').count() % 2 == 1 {
        return Err("a quotation mark is missing".into());
    }
    Ok(all)
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`; with a Z behind it in UTC, without where this machine is.
fn time(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{} is no time such as 20261231 or 20261231235959Z", crate::diagnostic::quoted(text));
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, TimeZone::UTC),
        None => (text, here()),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return Err(wrong());
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", format!("{digits:0<14}")).map_err(|_| wrong())?;
    zone.to_timestamp(time).map_err(|_| wrong())
}

/// The zone that this machine is in, whatever the environment of whoever runs the program says.
fn here() -> TimeZone {
    let rules = std::fs::read("/etc/localtime").ok();
    let zone = rules.and_then(|rules| TimeZone::tzif("here", &rules).ok());
    zone.unwrap_or(if cfg!(unix) { TimeZone::UTC } else { TimeZone::system() })
}

/// Whether a word is in a list of patterns (`PATTERNS` in `ssh_config(5)`): one of them fits, and none with an exclamation mark does.
fn matches_list(patterns: &[String], word: &str) -> bool {
    let refused = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!'));
    let mut wanted = patterns.iter().filter(|pattern| !pattern.starts_with('!'));
    !refused.into_iter().any(|pattern| matches(pattern.as_bytes(), word.as_bytes()))
        && wanted.any(|pattern| matches(pattern.as_bytes(), word.as_bytes()))
}

/// `*` is any characters, `?` any one. The words are short.
fn matches(pattern: &[u8], word: &[u8]) -> bool {
    let (mut star, mut at, mut nth) = (None, 0, 0);
    while nth < word.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, nth));
                at += 1;
            }
            Some(c) if *c == b'?' || *c == word[nth] => {
                at += 1;
                nth += 1;
            }
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    at = place + 1;
                    nth = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn names(line: &str) -> Result<Vec<String>, String> {
        let signers = Signers::parse("s", &format!("# people\n\n{line}\n")).map_err(|why| why.to_string())?;
        let key = PublicKey::from_openssh(KEY).unwrap();
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        signers.names(key.key_data(), &[now]).map_err(|why| why.to_string())
    }

    #[test]
    fn a_line_says_who_may() {
        for (line, who) in [
            (format!("ada@x.example {KEY} a comment"), &["ada@x.example"][..]),
            (format!("  Ada,bo@x.example\t{KEY}"), &["ada", "bo@x.example"]),
            (format!("\"ada l,bo\" namespaces=\"file,apiece\" {KEY}"), &["ada l", "bo"]),
            (format!("a NAMESPACES=\"ap*\",valid-after=\"20200101\",valid-before=\"20300101120000Z\" {KEY}"), &["a"]),
            (format!("a {KEY}\na,b {KEY}"), &["a", "a", "b"]),
        ] {
            assert_eq!(
                names(&line).as_deref(),
                Ok(&who.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{line}"
            );
        }
    }

    #[test]
    fn and_what_is_no_such_line_is_said() {
        for (line, why) in [
            (format!("a namespaces=\"file\" {KEY}"), "for other purposes"),
            (format!("a namespaces=\"*,!apiece\" {KEY}"), "for other purposes"),
            (format!("a cert-authority {KEY}"), "authority for certificates"),
            (format!("*@x.example {KEY}"), "pattern"),
            (format!("a valid-before=\"20261123\" {KEY}"), "no longer"),
            (format!("a valid-after=\"202612010000Z\" {KEY}"), "not yet"),
            (format!("a valid-after=\"tomorrow\" {KEY}"), "s, line 3: \"tomorrow\" is no time"),
            (format!("a no-touch {KEY}"), "s, line 3: \"no-touch\" is no option"),
            (format!("a namespaces=\"x {KEY}"), "s, line 3: "),
            (format!("a,, {KEY}"), "a name is empty"),
            ("a".into(), "there is no key"),
            ("a ssh-ed25519 AAAA".into(), "is no public key"),
            (
                "b ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHqDtEYCLwQgBZvUbqJVY1ZcsDp5AOJcTPuXR6Nzv0JY".into(),
                "not one of those",
            ),
        ] {
            let said = names(&line).unwrap_err();
            assert!(said.contains(why), "{line}: {said}");
        }
    }

    #[test]
    fn patterns_fit_as_they_do_for_openssh() {
        for (pattern, word, fits) in [
            ("*", "apiece", true),
            ("a?iece", "apiece", true),
            ("a*c?", "apiece", true),
            ("a*x", "apiece", false),
            ("", "a", false),
            ("api", "apiece", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), word.as_bytes()), fits, "{pattern}");
        }
    }
}
