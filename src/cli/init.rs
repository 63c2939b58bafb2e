//! `apiece init`

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Screen, load::quoted};
use crate::diagnostic::visible;

/// The files of a campaign to start from.
const FILES: [(&str, &str); 3] = [
    ("campaign.toml", include_str!("../../templates/init/campaign.toml")),
    ("message.md.hbs", include_str!("../../templates/init/message.md.hbs")),
    ("recipients.csv", include_str!("../../templates/init/recipients.csv")),
];

/// Arguments of `apiece init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  apiece init update && apiece send update --sandbox --confirm 3")]
pub(super) struct Init {
    /// The directory to make; it must be new or empty
    directory: PathBuf,
}

impl Init {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let shown = visible(&self.directory.display().to_string());
        let cannot = |why: String, help| Failure::because(Exit::CannotCreate, "init.directory", why, help);
        crate::secret::create_directory(&self.directory)
            .map_err(|why| cannot(format!("{shown} cannot be made: {why}"), None))?;
        let mut entries = std::fs::read_dir(&self.directory).map_err(|why| cannot(format!("{shown}: {why}"), None))?;
        if entries.next().is_some() {
            let help = Some("nothing is overwritten; choose another name");
            return Err(cannot(format!("{shown} is not empty"), help));
        }
        for (name, content) in FILES {
            let path = self.directory.join(name);
            std::fs::write(&path, content)
                .map_err(|why| cannot(format!("{} cannot be written: {why}", path.display()), None))?;
        }
        let directory = quoted(&shown);
        screen.print(&format!(
            "{shown} is a campaign that works:\n  \
             message.md.hbs   what is said, with {{{{placeholders}}}} for the list's columns\n  \
             recipients.csv   to whom\n  \
             campaign.toml    the rest\n\n\
             Change them, then:\n  \
             apiece check {directory}\n  \
             apiece preview {directory}\n  \
             apiece send {directory} --sandbox\n"
        ));
        Ok(Exit::Ok)
    }
}
