//! `apiece resolve`, `apiece retry` and `apiece cancel`: what a person decides about messages that a run left.

use clap::{ArgGroup, Args};
use serde_json::json;

use super::{
    Exit, Failure, Screen,
    record::{RecordArgs, failed, who},
};
use crate::{
    diagnostic::{counted, visible},
    outbox::{Outcome, Overview, Store},
    recipients::Rows,
};

/// So many reasons are shown.
const MOST_SHOWN: usize = 50;

/// Arguments of `apiece resolve`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("which").required(true), group = ArgGroup::new("what").required(true))]
#[command(after_help = "\
Examples:
  apiece resolve 3f9a12bc --row 7 --sent            # the server has it: it stays sent
  apiece resolve 3f9a12bc --row 8-9 --send-again    # it has not; the next `apiece send` sends it
  apiece resolve 3f9a12bc --all --sent")]
pub(super) struct Resolve {
    /// The campaign, as `apiece status` names it
    id: String,
    /// These rows, for example 7 or 2-5,9
    #[arg(long, value_name = "ROWS", group = "which")]
    row: Option<Rows>,
    /// All that are in doubt
    #[arg(long, group = "which")]
    all: bool,
    /// They got it
    #[arg(long, group = "what")]
    sent: bool,
    /// They did not: send it again
    #[arg(long, group = "what")]
    send_again: bool,
    #[command(flatten)]
    record: RecordArgs,
}

impl Resolve {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (mut store, campaign) = self.record.find(&self.id)?;
        let to = if self.sent { Outcome::Sent } else { Outcome::Queued };
        let rows = decide(&mut store, &campaign, (&[Outcome::InDoubt], to), self.row.as_ref(), "resolved")?;
        let rows = some(rows, "resolve.none", "none of these is in doubt")?;
        let becomes = if self.sent { "sent".into() } else { queued(&store, &campaign) };
        screen.print(&format!("rows {}: {becomes}\n", Rows::of(rows)));
        Ok(Exit::Ok)
    }
}

/// What is to be done about messages that are queued now.
fn queued(store: &Store, campaign: &Overview) -> String {
    #[cfg(feature = "postgres")]
    if let Ok(Some(_)) = store.handed_over(campaign) {
        return format!("queued; apiece send {} --queue hands them over to the workers again", campaign.id);
    }
    let _ = store;
    format!("queued; apiece send {} sends them", campaign.id)
}

/// Writes down what somebody decided about rows, if any are named, or all.
fn decide(
    store: &mut Store,
    campaign: &Overview,
    (from, to): (&[Outcome], Outcome),
    named: Option<&Rows>,
    what: &str,
) -> Result<Vec<u64>, Failure> {
    let details = |rows: &[u64]| json!({ "rows": Rows::of(rows.iter().copied()).to_string(), "now": to.name() });
    store.decide(campaign, (from, to), named, (&who(), what), details).map_err(failed)
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
#[group(skip)]
#[command(group = ArgGroup::new("whom").required(true))]
#[command(after_help = "\
Examples:
  apiece retry 3f9a12bc --failed       # shows why; the next `apiece send` sends to them again
  apiece retry 3f9a12bc --cancelled    # takes up again what was cancelled")]
pub(super) struct Retry {
    /// The campaign, as `apiece status` names it
    id: String,
    /// Those that the server refused; shows why, and the next `apiece send` tries them again
    #[arg(long, group = "whom")]
    failed: bool,
    /// Those that somebody took back
    #[arg(long, group = "whom")]
    cancelled: bool,
    /// Only these rows, for example 7 or 2-5,9
    #[arg(long, value_name = "ROWS")]
    row: Option<Rows>,
    #[command(flatten)]
    record: RecordArgs,
}

impl Retry {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (mut store, campaign) = self.record.find(&self.id)?;
        let from = if self.failed { Outcome::Failed } else { Outcome::Cancelled };
        let reasons = if self.failed { store.tried(&campaign, from, usize::MAX).map_err(failed)? } else { Vec::new() };
        let reasons: Vec<_> = reasons.into_iter().filter(|tried| is_meant(self.row.as_ref(), tried.row)).collect();
        let rows = decide(&mut store, &campaign, (&[from], Outcome::Queued), self.row.as_ref(), "retried")?;
        let rows = some(rows, "retry.none", &format!("none of these is {from}"))?;
        for tried in reasons.iter().take(MOST_SHOWN) {
            let said = visible(&tried.said).replace('\n', " ");
            screen.print(&format!("row {}, {}: {said}\n", tried.row, tried.address));
        }
        if reasons.len() > MOST_SHOWN {
            screen.print(&format!("… and {} more\n", reasons.len() - MOST_SHOWN));
        }
        screen.print(&format!("{} {}\n", counted(rows.len(), "message"), queued(&store, &campaign)));
        Ok(Exit::Ok)
    }
}

/// Arguments of `apiece cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
What is sent stays sent; nothing that was not begun is sent any more.

Example:
  apiece cancel 3f9a12bc")]
pub(super) struct Cancel {
    /// The campaign, as `apiece status` names it
    id: String,
    /// Only these rows, for example 7 or 2-5,9
    #[arg(long, value_name = "ROWS")]
    row: Option<Rows>,
    #[command(flatten)]
    record: RecordArgs,
}

impl Cancel {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (mut store, campaign) = self.record.find(&self.id)?;
        let from = [Outcome::Queued, Outcome::Deferred];
        let rows = decide(&mut store, &campaign, (&from, Outcome::Cancelled), self.row.as_ref(), "cancelled")?;
        let rows = some(rows, "cancel.none", "none of these is still to be sent")?;
        let sent = campaign.counts.of(Outcome::Sent);
        screen.print(&format!(
            "campaign {}: {} cancelled; {sent} of {} sent\n",
            campaign.id,
            counted(rows.len(), "message"),
            campaign.counts.total()
        ));
        let in_doubt = campaign.counts.of(Outcome::InDoubt) + campaign.counts.of(Outcome::Sending);
        if in_doubt > 0 {
            screen.print(&format!("{in_doubt} more may have been sent: apiece status {}\n", campaign.id));
        }
        if store.occurrences(&campaign).map_err(failed)?.0 > 0 {
            screen.print(&format!(
                "It recurs, and this occurrence is not sent to them later either; to send it after all: apiece retry {} \
                 --cancelled\n",
                campaign.id
            ));
        }
        Ok(Exit::Ok)
    }
}
