//! `apiece purge`

use clap::Args;
use jiff::Timestamp;

use super::{
    Exit, Failure, Screen,
    record::{RecordArgs, failed, who},
};
use crate::{diagnostic::counted, outbox::day};

/// Arguments of `apiece purge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Removes who the recipients are, the template, the list and the attachments from the outbox, and from
the bytes of its file. What stays: how many there were and what became of each row, the digests,
what servers said (without addresses), the log, what the campaign was about (its labels, headings of
columns, names of files as the template has them), and for each address a keyed hash: reports still
give each person the same pseudonym.

Example:
  apiece purge 3f9a12bc --confirm 12")]
pub(super) struct Purge {
    /// The campaign, as `apiece status` names it
    id: String,
    /// How many recipients it has: that it is really meant
    #[arg(long, value_name = "N")]
    confirm: usize,
    #[command(flatten)]
    record: RecordArgs,
}

impl Purge {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (store, campaign) = self.record.find(&self.id)?;
        let count = campaign.counts.total();
        if self.confirm != count {
            let message = format!(
                "--confirm says {}, and campaign {} has {count}; nothing was removed",
                self.confirm, campaign.id
            );
            return Err(Failure::because(Exit::Refused, "purge.not-confirmed", message, None));
        }
        let purged = store.purge(&campaign, &who(), Timestamp::now()).map_err(failed)?;
        screen.print(&match campaign.purged {
            Some(before) => {
                format!("campaign {} was purged on {}; the file is written anew\n", campaign.id, day(before))
            }
            None => format!(
                "campaign {}: the data of {} and {} removed\n",
                campaign.id,
                counted(purged.recipients, "recipient"),
                counted(purged.files, "file")
            ),
        });
        Ok(Exit::Ok)
    }
}
