//! When a campaign may be sent, as flags say it; and whether it may be sent now.

use std::path::PathBuf;

use clap::Args;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{Exit, Failure, load::quoted};
use crate::{
    campaign::{Holidays, Hours, Moment, Phase, When, Window},
    diagnostic::Diagnostic,
};

/// A time that is past by no more than this is now: whoever starts a job at a time is never there at its very beginning.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// When a campaign may be sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "When it is sent")]
pub(super) struct WhenArgs {
    /// Begin nothing before, for example "2026-12-01 09:00 Europe/London"
    #[arg(long, value_name = "TIME")]
    not_before: Option<Moment>,
    /// Begin nothing after this; what is late is refused
    #[arg(long, value_name = "TIME")]
    not_after: Option<Moment>,
    /// Begin messages only then, for example "Mon-Fri 09:00-17:00 Europe/London"; may be given several times
    #[arg(long, value_name = "WINDOW")]
    window: Vec<Window>,
    /// Begin nothing on the days in this file: a date on each line, or an iCalendar of whole days
    #[arg(long, value_name = "FILE")]
    holidays: Option<PathBuf>,
}

impl WhenArgs {
    /// What is said, with the files read.
    pub(super) fn options(&self) -> Result<When, Failure> {
        let holidays = self.holidays.as_deref().map(Holidays::read).transpose();
        Ok(When {
            not_before: self.not_before.clone(),
            not_after: self.not_after.clone(),
            windows: self.window.clone(),
            holidays: holidays.map_err(|why| Failure::new(Exit::Configuration, why))?,
        })
    }

    /// The same again, for a command that a person can type.
    pub(super) fn typed(&self) -> String {
        let mut typed = String::new();
        let mut flag = |name: &str, value: Option<String>| {
            typed.extend(value.map(|value| format!("--{name} {} ", quoted(&value))));
        };
        flag("not-before", self.not_before.as_ref().map(ToString::to_string));
        flag("not-after", self.not_after.as_ref().map(ToString::to_string));
        for window in &self.window {
            flag("window", Some(window.to_string()));
        }
        flag("holidays", self.holidays.as_ref().map(|path| path.display().to_string()));
        typed
    }
}

/// When a campaign may be sent that is to begin `at` a time, if one is said. A time that was over when the program was
/// `started` is refused: whoever wrote it meant another one.
pub(super) fn hours(when: &When, at: Option<&Moment>, started: Timestamp) -> Result<Hours, Failure> {
    let hours = when.hours();
    let Some(at) = at else { return Ok(hours) };
    let at = at.clone().within(&when.zone(&TimeZone::system()));
    let at = at.map_err(|why| Failure::because(Exit::Usage, "send.at", format!("--at: {why}"), None))?.timestamp();
    if at + GRACE < started {
        let message =
            format!("--at is over: it was {}, and it is {}; nothing was sent", hours.spoken(at), hours.spoken(started));
        let help = Some("name a time that is to come; or leave it out, and it is sent now");
        return Err(Failure::because(Exit::Refused, "send.at", message, help));
    }
    Ok(hours.starting(Some(at)))
}

/// Whether a run may begin now, or can wait until it may.
pub(super) fn check_time(hours: &Hours, now: Timestamp, waits: bool) -> Result<(), Failure> {
    match hours.at(now) {
        Phase::Over => {
            let Some(end) = hours.not_after() else {
                let message = "no window ever opens: all days on which one would are holidays; nothing was sent";
                let help = Some("look at window and holidays: apiece looks ahead for two years");
                return Err(Failure::because(Exit::Refused, "send.never", message, help));
            };
            let message = format!("it is too late: nothing is begun after {}; nothing was sent", hours.spoken(end));
            let help = Some("if it is still to be sent, say until when: not_after, or --not-after TIME");
            Err(Failure::because(Exit::Refused, "send.too-late", message, help))
        }
        Phase::Closed(opens) if !waits => {
            let message = format!("nothing is begun now: it can be {}; nothing was sent", hours.spoken(opens));
            let help = Some("run it again then; or without --no-wait, and it waits");
            Err(Failure::because(Exit::TryAgain, "send.closed", message, help))
        }
        Phase::Open(_) | Phase::Closed(_) => Ok(()),
    }
}

/// Settings with flags in place of what they say.
pub(super) fn merged(flags: When, settings: When) -> Result<When, Failure> {
    flags.or(settings).settled(&TimeZone::system()).map_err(|why| Failure::new(Exit::Data, why))
}

/// What a failure says, on one line.
pub(super) fn in_a_line(failure: &Failure) -> String {
    let said: Vec<&str> = failure.why.iter().map(Diagnostic::message).collect();
    said.join("; ")
}
