//! `apiece check`

use clap::Args;

use super::{Exit, Failure, Screen, load::CampaignArgs};

/// Arguments of `apiece check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the list and the template, makes every message and searches each for other people's
addresses. Opens no socket. Exits with 0 only if all is well.

Examples:
  apiece check samples/notice
  apiece check update.md.hbs people.csv")]
pub(super) struct Check {
    #[command(flatten)]
    campaign: CampaignArgs,
}

impl Check {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let loaded = self.campaign.load(|_| {})?;
        let outbox = loaded.prepare(loaded.select(None)?, screen)?;
        let columns = loaded.list().columns().len();
        screen.print(&format!("{} recipients, {columns} columns, all well\n", outbox.len()));
        Ok(Exit::Ok)
    }
}
