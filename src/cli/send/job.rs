//! `apiece send` as the job of a scheduler, which nobody looks at.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches};

use super::Send;
use crate::{
    campaign::{Account, When},
    cli::{Cli, Command, Exit, Failure, account},
    diagnostic::counted,
    secret::SecretSource,
};

/// What a job will find.
pub(in crate::cli) struct Prospect {
    /// The account that it will send through, if it is no rehearsal.
    pub(in crate::cli) account: Option<Account>,
    /// When it may send.
    pub(in crate::cli) when: When,
    /// Where the password of the outbox is, if that is in a database and it is said.
    pub(in crate::cli) outbox: Option<SecretSource>,
}

impl Send {
    /// The command that some words are, the first of which is `send`.
    pub(in crate::cli) fn of_words(words: &[String]) -> Result<Self, clap::Error> {
        let words = std::iter::once("apiece").chain(words.iter().map(String::as_str));
        match Cli::command().try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches))?.command {
            Command::Send(send) => Ok(*send),
            _ => Err(Cli::command().error(clap::error::ErrorKind::InvalidSubcommand, "only send can be scheduled")),
        }
    }

    /// Why a job cannot do this.
    pub(in crate::cli) fn wants_a_person(&self) -> Option<&'static str> {
        match self {
            Self { confirm: None, expect, .. } if !expect.counts() => {
                Some("a job asks nobody, and it is not said how many people it may write to")
            }
            Self { first: Some(_), .. } => {
                Some("--first asks before the others get theirs, and nobody is there to answer")
            }
            Self { test: Some(_), .. } => Some("--test is for somebody who looks at what comes"),
            Self { dry_run: true, .. } => Some("--dry-run sends nothing, and nobody would look at it"),
            Self { expect, .. } if expect.is_moved() => Some("--moved is said once, by whoever moved the campaign"),
            _ if self.campaign.reads_input() => Some("the list is standard input, and a job has none"),
            _ => None,
        }
    }

    /// The file of the record, if it is not the usual one.
    pub(in crate::cli) fn other_outbox(&self) -> Option<PathBuf> {
        self.campaign.record.named()
    }

    /// Why a job cannot do this more than once.
    pub(in crate::cli) fn is_for_once(&self) -> Option<&'static str> {
        match self {
            Self { again: true, .. } => {
                Some("--again in a job that comes again would send everybody the same each time")
            }
            Self { at: Some(_), .. } => Some("--at for a job that comes again is over at its second time"),
            _ => None,
        }
    }

    /// What the job will find. Reads the campaign, which must be there and right.
    pub(in crate::cli) fn prospect(&self) -> Result<Prospect, Failure> {
        let loaded = self.load()?;
        let count = loaded.select(self.rows.as_ref())?.len();
        self.expect.check_count(&loaded.campaign.expect, count)?;
        if let Some(number) = self.confirm.filter(|number| *number != count) {
            let message = format!("--confirm {number} is said, and there are {}", counted(count, "recipient"));
            let help = "where the list varies, say --expect-between A..B";
            return Err(Failure::because(Exit::Refused, "schedule.count", message, Some(help)));
        }
        let choose = || account::choose(self.config(), loaded.campaign.account.as_deref());
        let account = if self.sandbox { None } else { Some(choose()?) };
        #[cfg(feature = "postgres")]
        let outbox = self.campaign.record.password()?.map(|(_, source)| source);
        #[cfg(not(feature = "postgres"))]
        let outbox = None;
        Ok(Prospect { account, when: loaded.campaign.when, outbox })
    }
}
