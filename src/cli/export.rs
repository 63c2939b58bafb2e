//! `apiece export`

use std::io::{self, Write};

use clap::Args;

use super::{
    Exit, Failure, Screen,
    record::{RecordArgs, failed},
};
use crate::report::evidence::harmless;

/// Arguments of `apiece export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes a CSV file in UTF-8 with the columns row, address, state, time (UTC), code, enhanced, reply
and message_id, a line for each recipient.

Example:
  apiece export 3f9a12bc > who-got-it.csv")]
pub(super) struct Export {
    /// The campaign, as `apiece status` names it
    id: String,
    #[command(flatten)]
    record: RecordArgs,
}

impl Export {
    pub(super) fn run(self, _: Screen) -> Result<Exit, Failure> {
        let (store, campaign) = self.record.find(&self.id)?;
        let mut writer = csv::Writer::from_writer(io::BufWriter::new(io::stdout().lock()));
        let head = ["row", "address", "state", "time", "code", "enhanced", "reply", "message_id"];
        let mut written = writer.write_record(head);
        let each = store.each(&campaign, |tried| {
            let time = tried.ended.or(tried.began).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            written = writer.write_record([
                tried.row.to_string().as_str(),
                &harmless(&tried.address),
                tried.outcome.name(),
                &time.unwrap_or_default(),
                &tried.code.map_or_else(String::new, |code| code.to_string()),
                tried.enhanced.as_deref().unwrap_or_default(),
                &harmless(&tried.said),
                &tried.message_id,
            ]);
            written.is_ok()
        });
        each.map_err(failed)?;
        let lost = |why: String| {
            let message = format!("the table cannot be written to standard output: {why}");
            Failure::because(Exit::Io, "export.write", message, Some("what is there is not all of it"))
        };
        written.map_err(|why| lost(why.to_string()))?;
        writer.into_inner().map_err(|why| lost(why.to_string()))?.flush().map_err(|why| lost(why.to_string()))?;
        Ok(Exit::Ok)
    }
}
