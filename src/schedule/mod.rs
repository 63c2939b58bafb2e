//! Jobs: a command that a scheduler starts, written down as that scheduler wants it.
//!
//! Nothing here is started or installed; a [`Job`] becomes text.

mod calendar;
mod cron;
mod launchd;
mod systemd;
mod windows;

use std::path::PathBuf;

use thiserror::Error;

pub(crate) use self::cron::quoted;
pub use self::{
    calendar::{Calendar, CalendarError},
    cron::crontab,
    launchd::property_list,
    systemd::{Manager, own_units, units},
    windows::task,
};

/// A command, and when it is started.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the job is called: letters, digits, `-`, `_` and `.`.
    pub name: JobName,
    /// What it is for, a line.
    pub description: String,
    /// The program, with its whole path, and its arguments.
    pub command: Vec<String>,
    /// Where it is started.
    pub directory: PathBuf,
    /// Environment variables that it needs.
    pub environment: Vec<(String, String)>,
    /// Passwords that the scheduler hands it, by the names that they are known by.
    pub credentials: Vec<String>,
    /// Directories besides its own that it writes to.
    pub writes: Vec<PathBuf>,
    /// When.
    pub when: Calendar,
}

/// The name of a job, which becomes that of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobName(String);

/// Why a job cannot be written down for a scheduler.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum JobError {
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    #[error("{0} holds a line break or another control character, which {1} cannot be told")]
    Control(&'static str, &'static str),
    #[error("{0} cannot be told an environment variable ({1})")]
    Environment(&'static str, String),
    #[error("{0} starts a job at most {1} times; this would be {2} different ones")]
    TooOften(&'static str, usize, usize),
}

/// A text that is no name of a job.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not a name for a job: letters, digits, '-', '_' and '.' are, at most 64 of them")]
pub struct JobNameError(String);

impl JobName {
    /// The nearest name to a text, such as that of a directory.
    #[must_use]
    pub fn near(text: &str) -> Self {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = text.chars().map(kept).take(64).collect();
        let name = name.trim_matches(['-', '.']);
        Self(if name.is_empty() { "job".into() } else { name.into() })
    }

    /// What files and units of it are called, without an ending.
    #[must_use]
    pub fn unit(&self) -> String {
        format!("apiece-{}", self.0)
    }
}

impl std::str::FromStr for JobName {
    type Err = JobNameError;

    fn from_str(text: &str) -> Result<Self, JobNameError> {
        let name = Self::near(text);
        if name.0 == text { Ok(name) } else { Err(JobNameError(text.to_owned())) }
    }
}

impl std::fmt::Display for JobName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Job {
    /// Everything in it that a person wrote, with what it is.
    fn texts(&self) -> impl Iterator<Item = (&'static str, std::borrow::Cow<'_, str>)> {
        let words = self.command.iter().map(|word| ("an argument", word.as_str().into()));
        let values = self.environment.iter().map(|(_, value)| ("an environment variable", value.as_str().into()));
        let paths = self.writes.iter().map(|path| ("a directory", path.to_string_lossy()));
        let rest = [
            ("the description", self.description.as_str().into()),
            ("the directory", self.directory.to_string_lossy()),
        ];
        words.chain(values).chain(paths).chain(rest)
    }

    /// Refuses what would end a line, and so begin another.
    fn check_lines(&self, whom: &'static str) -> Result<(), JobError> {
        match self.texts().find(|(_, text)| text.chars().any(char::is_control)) {
            Some((what, _)) => Err(JobError::Control(what, whom)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn job(when: &str, command: &[&str]) -> Job {
        Job {
            name: "update".parse().unwrap(),
            description: "update".into(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            directory: "/srv/case work".into(),
            environment: Vec::new(),
            credentials: Vec::new(),
            writes: Vec::new(),
            when: when.parse().unwrap(),
        }
    }

    #[test]
    fn a_name_is_one_of_a_file() {
        assert_eq!(JobName::near("Fälle 2026/Mai").to_string(), "F-lle-2026-Mai");
        assert_eq!(JobName::near("../..").to_string(), "job");
        for wrong in ["", "a b", "a/b", "..", "-x", "ä", "a\nb"] {
            assert!(wrong.parse::<JobName>().is_err(), "{wrong:?}");
        }
        assert_eq!("case-2.b_1".parse::<JobName>().unwrap().unit(), "apiece-case-2.b_1");
    }

    #[test]
    fn a_line_break_begins_no_line_anywhere() {
        let job = Job { description: "x\nUser=root".into(), ..job("daily", &["/usr/bin/apiece"]) };
        assert!(units(&job, &Manager::User { on_failure: None }).is_err());
        assert!(crontab(&job).is_err());
        assert!(property_list(&job, std::path::Path::new("/l")).is_err());
        assert!(task(&job).is_err());
    }
}
