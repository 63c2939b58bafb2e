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
        let rows = store.decide(&campaign, Outcome::InDoubt, to, |row| is_meant(self.row.as_ref(), row));
        let rows = some(rows.map_err(failed)?, "resolve.none", "none of these is in doubt")?;
        let becomes = if self.sent { "sent" } else { "queued: send the campaign once more" };
        screen.print(&format!("rows {}: {becomes}\n", Rows::of(rows)));
        Ok(Exit::Ok)
    }
}

/// Whether a row is one of those that were named, if any were.
fn is_meant(named: Option<&Rows>, row: u64) -> bool {
    named.is_none_or(|rows| rows.contains(row))
}

/// The rows about which something was decided; that there are none is a mistake.
fn some(rows: Vec<u64>, code: &'static str, none: &str) -> Result<Vec<u64>, Failure> {
    let help = Some("apiece status ID lists them");
    if rows.is_empty() { Err(Failure::because(Exit::Usage, code, none, help)) } else { Ok(rows) }
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
        let reasons = store.tried(&campaign, Outcome::Failed, usize::MAX).map_err(failed)?;
        let reasons: Vec<_> = reasons.into_iter().filter(|tried| is_meant(self.row.as_ref(), tried.row)).collect();
        let rows = store.decide(&campaign, Outcome::Failed, Outcome::Queued, |row| is_meant(self.row.as_ref(), row));
        let rows = some(rows.map_err(failed)?, "retry.none", "none of these failed")?;
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
