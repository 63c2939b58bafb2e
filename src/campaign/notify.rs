//! `[notify]`: who is told when a run is over.

use std::{fmt, str::FromStr};

use super::keys::Keys;
use crate::address::Address;

/// Who is told when a run is over, as far as it is said. A program is no setting of a campaign: whoever hands one on must not
/// choose what runs on another machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifyOptions {
    /// One person who gets an e-mail, and nobody else.
    pub email: Option<Address>,
    /// When; at every end if left out.
    pub on: Option<NotifyOn>,
}

/// When somebody is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NotifyOn {
    /// Whenever a run is over.
    #[default]
    End,
    /// Only when something is to be done.
    Trouble,
}

impl NotifyOptions {
    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { email: self.email.or(other.email), on: self.on.or(other.on) }
    }
}

impl FromStr for NotifyOn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "end" => Ok(Self::End),
            "trouble" => Ok(Self::Trouble),
            _ => Err("this is \"end\" or \"trouble\""),
        }
    }
}

impl fmt::Display for NotifyOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "end",
            Self::Trouble => "trouble",
        })
    }
}

/// The table `[notify]`.
pub(super) fn read(keys: &mut Keys<'_>) -> NotifyOptions {
    let Some(mut table) = keys.table("notify") else { return NotifyOptions::default() };
    let email = table.parsed("email").map(|email| email.value);
    let on = table.parsed("on").map(|on| on.value);
    if let Some(span) = table.span_of("command") {
        let _ = table.string("command");
        let help = "say it where the run is started: --notify-command PROGRAM";
        table.complain(span, "command", "a campaign does not choose what runs on a machine", Some(help.into()));
    }
    keys.adopt(table.finish());
    NotifyOptions { email, on }
}
