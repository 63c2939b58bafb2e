//! `apiece check`

use clap::Args;

use super::{Exit, Failure, Screen, load::CampaignArgs};
use crate::diagnostic::quoted;

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
        let loaded = self.campaign.load(screen, |_| {})?;
        let outbox = loaded.prepare(loaded.select(None)?, screen)?;
        let (columns, template) = (loaded.list().columns(), loaded.composer.template());
        let idle = |column: &usize| *column != loaded.list().address_column() && !template.uses(*column);
        let idle: Vec<String> = (0..columns.len()).filter(idle).map(|column| quoted(columns.heading(column))).collect();
        if !idle.is_empty() {
            screen.print(&format!("the template does not use {}\n", idle.join(", ")));
        }
        screen.print(&format!("{} recipients, {} columns, all well\n", outbox.len(), columns.len()));
        Ok(Exit::Ok)
    }
}
