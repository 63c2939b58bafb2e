//! `apiece resolve` and `apiece retry`: what a person decides about messages that a run left.

use clap::Args;

use super::{
    Exit, Failure, Screen,
    record::{RecordArgs, failed},
};
use crate::{
    diagnostic::{counted, visible},
    outbox::Outcome,
    report::Rows,
};

/// So many reasons are shown.
const MOST_SHOWN: usize = 50;

/// Arguments of `apiece resolve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apiece resolve 3f9a12bc --row 7 --sent            # the server has it: it stays sent
  apiece resolve 3f9a12bc --row 8-9 --send-again    # it has not; the next `apiece send` sends it
  apiece resolve 3f9a12bc --all --sent")]
pub(super) struct Resolve {
    /// The campaign, as `apiece status` names it
    id: String,
    /// These rows, for example 7 or 2-5,9
    #[arg(long, value_name = "ROWS", required_unless_present = "all", conflicts_with = "all")]
    row: Option<Rows>,
    /// All that are in doubt
    #[arg(long)]
    all: bool,
    /// They got it
    #[arg(long, required_unless_present = "send_again", conflicts_with = "send_again")]
    sent: bool,
    /// They did not: send it again
    #[arg(long)]
    send_again: bool,
    #[command(flatten)]
    record: RecordArgs,
}

impl Resolve {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let mut store = self.record.open()?;
        let campaign = store.campaign(&self.id).map_err(failed)?;
        let to = if self.sent { Outcome::Sent } else { Outcome::Queued };
        let is_meant = |row| self.row.as_ref().is_none_or(|rows| rows.contains(row));
        let rows = store.decide(&campaign, Outcome::InDoubt, to, is_meant).map_err(failed)?;
        if rows.is_empty() {
            let message = "none of these is in doubt";
            return Err(Failure::because(Exit::Usage, "resolve.none", message, Some("apiece status ID lists them")));
        }
        let becomes = if self.sent { "sent" } else { "queued: send the campaign once more" };
        screen.print(&format!("rows {}: {becomes}\n", Rows::of(rows)));
        Ok(Exit::Ok)
    }
}

/// Arguments of `apiece retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  apiece retry 3f9a12bc --failed    # shows why; the next `apiece send` sends to them again")]
pub(super) struct Retry {
    /// The campaign, as `apiece status` names it
    id: String,
    /// Those that the server refused
    #[arg(long, required = true)]
    failed: bool,
    /// Only these rows, for example 7 or 2-5,9
    #[arg(long, value_name = "ROWS")]
    row: Option<Rows>,
    #[command(flatten)]
    record: RecordArgs,
}

impl Retry {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let mut store = self.record.open()?;
        let campaign = store.campaign(&self.id).map_err(failed)?;
        let is_meant = |row| self.row.as_ref().is_none_or(|rows| rows.contains(row));
        let reasons = store.tried(&campaign, Outcome::Failed, usize::MAX).map_err(failed)?;
        let reasons: Vec<_> = reasons.into_iter().filter(|tried| is_meant(tried.row)).collect();
        let rows = store.decide(&campaign, Outcome::Failed, Outcome::Queued, is_meant).map_err(failed)?;
        if rows.is_empty() {
            let message = "none of these failed";
            return Err(Failure::because(Exit::Usage, "retry.none", message, Some("apiece status ID lists them")));
        }
        for tried in reasons.iter().take(MOST_SHOWN) {
            screen.print(&format!(
                "row {}, {}: {}\n",
                tried.row,
                tried.address,
                visible(&tried.said).replace('\n', " ")
            ));
        }
        screen.print(&format!("{} queued: send the campaign once more\n", counted(rows.len(), "message")));
        Ok(Exit::Ok)
    }
}
