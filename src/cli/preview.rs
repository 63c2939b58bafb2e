//! `apiece preview`

use std::path::PathBuf;

use clap::Args;
use jiff::ZonedDateTime;

use super::{Exit, Failure, Screen, load::CampaignArgs};
use crate::{address::Address, diagnostic::visible, preview, secret};

/// So many messages are shown if nobody says which.
const SHOWN: usize = 3;

/// Arguments of `apiece preview`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --row or --to, the first three messages are shown, or all are written with --eml.

Examples:
  apiece preview samples/notice
  apiece preview samples/notice --row 3
  apiece preview samples/notice --to renate@xn--mller-kva.example
  apiece preview samples/notice --eml out     # files for a mail program")]
pub(super) struct Preview {
    /// The message to the person in this row (the headings are row 1)
    #[arg(long, value_name = "N", conflicts_with = "to")]
    row: Option<u64>,
    /// The message to this person
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// Write .eml files into this directory instead of showing messages
    #[arg(long, value_name = "DIR")]
    eml: Option<PathBuf>,
    #[command(flatten)]
    campaign: CampaignArgs,
}

impl Preview {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let loaded = self.campaign.load(|_| {})?;
        loaded.say_remarks(screen);
        let list = loaded.list();
        let one = |index: Option<usize>, who: String| {
            let message = format!("there is nobody {who} in {}", list.name());
            index.map(|index| vec![index]).ok_or_else(|| Failure::because(Exit::Usage, "rows.nobody", message, None))
        };
        let indices = if let Some(row) = self.row {
            one(list.index_of_row(row), format!("in row {row}"))?
        } else if let Some(to) = &self.to {
            one(list.find(to.as_str()), format!("with the address {to}"))?
        } else if self.eml.is_some() {
            (0..list.len()).collect()
        } else {
            (0..list.len().min(SHOWN)).collect()
        };
        let count = indices.len();
        loaded.prepare(indices.clone(), screen)?;
        let cannot_write = |path: &std::path::Path, why: std::io::Error| {
            let message = format!("{} cannot be written: {why}", path.display());
            Failure::because(Exit::CannotCreate, "preview.write", message, Some("choose an empty directory"))
        };
        if let Some(directory) = &self.eml {
            secret::create_directory(directory).map_err(|why| cannot_write(directory, why))?;
        }
        for index in indices {
            let message = loaded.composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))?;
            match &self.eml {
                Some(directory) => {
                    preview::write_eml(directory, &message, &ZonedDateTime::now())
                        .map_err(|why| cannot_write(&directory.join(format!("row-{:06}.eml", message.row())), why))?;
                }
                None => Screen::print_always(&format!("{}\n", preview::as_received(&message))),
            }
        }
        match &self.eml {
            Some(directory) => {
                screen.print(&format!("{count} messages written to {}\n", visible(&directory.display().to_string())));
            }
            None if count < list.len() && self.row.is_none() && self.to.is_none() => {
                screen.note(&format!("{count} of {} messages; --row N or --to ADDRESS shows another\n", list.len()));
            }
            None => {}
        }
        Ok(Exit::Ok)
    }
}
