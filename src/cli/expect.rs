//! What a job without anybody to look expects of its list, as flags say it; and whether the list is so.

use clap::Args;
use jiff::Timestamp;

use super::{
    Exit, Failure,
    load::{Loaded, quoted},
    record::{failed, who},
};
use crate::{
    campaign::{Between, Empty, Expect, Percent, Unchanged},
    diagnostic::{Diagnostics, Severity, counted},
    message::Digest,
    outbox::{Outcome, Store, day},
};

/// What is expected of a list.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is expected of the list")]
pub(super) struct ExpectArgs {
    /// Refuse to send to more recipients
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_recipients: Option<u32>,
    /// Refuse to send to fewer or more recipients, for example 10..20; send without asking to as many
    #[arg(long, value_name = "N..M")]
    expect_between: Option<Between>,
    /// Refuse a list whose number of recipients changed more since the last run, for example 20%
    #[arg(long, value_name = "PERCENT")]
    max_change: Option<Percent>,
    /// What is done with the very same list as at the last run: send, refuse, finish (nothing to do) [default: send]
    #[arg(long, value_name = "WHAT")]
    if_unchanged: Option<Unchanged>,
    /// What is done with a list of headings and nobody: refuse, finish (nothing to do) [default: refuse]
    #[arg(long, value_name = "WHAT")]
    if_empty: Option<Empty>,
    /// Once, after the campaign's directory was moved: what was sent from its old place was sent by this one
    #[arg(long)]
    moved: bool,
}

impl ExpectArgs {
    /// What is said.
    pub(super) fn options(&self) -> Expect {
        let Self { max_recipients, expect_between: _, max_change, if_unchanged, if_empty, moved: _ } = *self;
        Expect { max_recipients, max_change, if_unchanged, if_empty }
    }

    /// Whether it says how many are expected: then nobody needs to be asked.
    pub(super) fn counts(&self) -> bool {
        self.expect_between.is_some()
    }

    /// Whether it says that the campaign was moved, which is said once.
    pub(super) fn is_moved(&self) -> bool {
        self.moved
    }

    /// Writes down that the campaign was moved, if it says so.
    pub(super) fn note_move(&self, loaded: &Loaded, store: &mut Store) -> Result<(), Failure> {
        match &loaded.home {
            Some(home) if self.moved => {
                store.moved(&loaded.campaign.name, home, &who(), Timestamp::now()).map_err(failed)
            }
            _ => Ok(()),
        }
    }

    /// Whether so many recipients are what is expected.
    pub(super) fn check_count(&self, settings: &Expect, count: usize) -> Result<(), Failure> {
        let recipients = counted(count, "recipient");
        if let Some(most) = settings.max_recipients.filter(|most| count > *most as usize) {
            let message =
                format!("there are {recipients}, and at most {most} are allowed (max_recipients); nothing was sent");
            let help = Some("look at the list; if it is right, say --max-recipients N");
            return Err(Failure::because(Exit::Refused, "expect.too-many", message, help));
        }
        match self.expect_between.filter(|between| !between.contains(count)) {
            Some(between) => Err(other_count(between, count)),
            None => Ok(()),
        }
    }

    /// Why a list cannot be read. Where that is because nobody is on it, which is well, it may still not be what is expected.
    pub(super) fn unless_counted(&self, why: Failure) -> Failure {
        match self.expect_between.filter(|between| why.exit == Exit::Ok && !between.contains(0)) {
            Some(between) => other_count(between, 0),
            None => why,
        }
    }

    /// The same again, for a command that a person can type.
    pub(super) fn typed(&self) -> String {
        let mut typed = String::new();
        let mut flag = |name: &str, value: Option<String>| {
            typed.extend(value.map(|value| format!("--{name} {} ", quoted(&value))));
        };
        flag("max-recipients", self.max_recipients.map(|most| most.to_string()));
        flag("max-change", self.max_change.map(|most| most.to_string()));
        flag("if-unchanged", self.if_unchanged.map(|what| what.to_string()));
        typed
    }
}

/// That so many recipients are not what is expected.
fn other_count(between: Between, count: usize) -> Failure {
    let recipients = counted(count, "recipient");
    let message = format!("there are {recipients}, and {between} are expected (--expect-between); nothing was sent");
    let help = Some("look at the list; if it is right, say --expect-between N..M");
    Failure::because(Exit::Refused, "expect.count", message, help)
}

/// Whether a list is what is expected after the last run of the same job: that of the last campaign of the same name, from the same place, which
/// reached anybody. What was prepared before is that run, and goes on.
pub(super) fn check_list(loaded: &Loaded, content: &Digest, store: &Store) -> Result<(), Failure> {
    let expect = loaded.campaign.expect;
    if expect.max_change.is_none() && expect.if_unchanged.is_none() || store.knows(content).map_err(failed)? {
        return Ok(());
    }
    let last = store.last_like(&loaded.campaign.name, loaded.home.as_deref(), content).map_err(failed)?;
    let Some(last) = last else { return Ok(()) };
    let (count, before) = (loaded.list().len(), last.total);
    let run = format!("the last run (campaign {}, prepared {})", last.id, day(last.prepared));
    if let Some(most) = expect.max_change.filter(|most| !most.allows(before, count)) {
        let message = format!(
            "there are {}, and there were {before} at {run}: that is a change of more than {most} (max_change); nothing was sent",
            counted(count, "recipient"),
        );
        let help = Some("look at the list; if it is right, say --max-change PERCENT");
        return Err(Failure::because(Exit::Refused, "expect.change", message, help));
    }
    if last.people != Some(loaded.composer.people()) {
        return Ok(());
    }
    let message = format!("the list of {} is the very same as at {run}", counted(count, "recipient"));
    match expect.if_unchanged {
        None | Some(Unchanged::Send) => Ok(()),
        Some(Unchanged::Finish) => {
            let counts = store.campaign(&last.id).map_err(failed)?.counts;
            if counts.is_unfinished() || counts.of(Outcome::InDoubt) > 0 {
                let message = format!("{message}, and that one did not come to its end; nothing was sent");
                let help = format!("finish it: apiece send {}; or see what became of it: apiece status {0}", last.id);
                return Err(Failure::because(Exit::Refused, "expect.unfinished", message, Some(&help)));
            }
            Err(Failure::nothing(&message))
        }
        Some(Unchanged::Refuse) => {
            let message = format!("{message} (if_unchanged); nothing was sent");
            let help = Some("look whether whatever makes the list has worked; if it is right, say --if-unchanged send");
            Err(Failure::because(Exit::Refused, "expect.unchanged", message, help))
        }
    }
}

/// That there is nothing to do, where the only thing that is wrong with a list is that nobody is on it, and that is well.
pub(super) fn if_empty(expect: Expect, why: &Diagnostics) -> Result<(), Failure> {
    let mut errors = why.iter().filter(|finding| finding.severity() == Severity::Error).peekable();
    let is_empty =
        errors.peek().is_some() && errors.all(|error| matches!(error.code(), "list.empty" | "follow.nobody"));
    match expect.if_empty {
        Some(Empty::Finish) if is_empty => Err(Failure::nothing("nobody is on the list")),
        _ => Ok(()),
    }
}
