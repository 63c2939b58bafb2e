//! `apiece status`

use std::fmt::Write as _;

use clap::Args;

use super::{
    Exit, Failure, Screen,
    record::{RecordArgs, failed},
};
use crate::{
    diagnostic::visible,
    outbox::{Outcome, Overview, Store, Tried, day},
};

/// So many messages are told one by one for each outcome.
const MOST_SHOWN: usize = 50;

/// Arguments of `apiece status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apiece status                # all campaigns, the newest first
  apiece status 3f9a12bc       # one, with who did not get it and what the server said")]
pub(super) struct Status {
    /// The campaign; its first letters are enough
    id: Option<String>,
    #[command(flatten)]
    record: RecordArgs,
}

impl Status {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let store = self.record.open()?;
        let Some(id) = &self.id else {
            let all = store.campaigns().map_err(failed)?;
            if all.is_empty() {
                screen.print("there are no campaigns yet\n");
            }
            screen.print(&all.iter().map(line).collect::<String>());
            return Ok(Exit::Ok);
        };
        let campaign = store.campaign(id).map_err(failed)?;
        let mut text = line(&campaign);
        for outcome in [Outcome::Failed, Outcome::Deferred, Outcome::InDoubt, Outcome::Sending] {
            details(&store, &campaign, outcome, &mut text)?;
        }
        screen.print(&text);
        Ok(Exit::Ok)
    }
}

fn line(campaign: &Overview) -> String {
    let counts = Outcome::ALL.into_iter().filter(|outcome| campaign.counts.of(*outcome) > 0);
    let counts: Vec<String> = counts.map(|outcome| format!("{} {outcome}", campaign.counts.of(outcome))).collect();
    format!("{}  {}  {}  {}\n", campaign.id, day(campaign.prepared), visible(&campaign.name), counts.join(", "))
}

fn details(store: &Store, campaign: &Overview, outcome: Outcome, text: &mut String) -> Result<(), Failure> {
    let count = campaign.counts.of(outcome);
    for tried in store.tried(campaign, outcome, MOST_SHOWN).map_err(failed)? {
        let Tried { row, address, message_id, server, began, said } = tried;
        let _ = writeln!(text, "\nrow {row}, {address}: {outcome}");
        for line in said.lines() {
            let _ = writeln!(text, "  {}", visible(line));
        }
        let _ = writeln!(text, "  {message_id}, to {server} at {}", began.strftime("%Y-%m-%d %H:%M:%S UTC"));
    }
    if count > MOST_SHOWN {
        let _ = writeln!(text, "\n… and {} more {outcome}", count - MOST_SHOWN);
    }
    if outcome == Outcome::InDoubt && count > 0 {
        let _ = writeln!(
            text,
            "\nAsk the server's administrator for these, or look into the Sent folder. Then:\n  \
             apiece resolve {id} --row N --sent\n  apiece resolve {id} --row N --send-again",
            id = campaign.id
        );
    }
    Ok(())
}
