//! `apiece verify`

use std::fmt::Write as _;

use clap::Args;

use super::{
    Exit, Failure, Screen,
    load::bar,
    record::{RecordArgs, failed},
};
use crate::{diagnostic::quoted, outbox::day, recipients::Rows};

/// Arguments of `apiece verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Makes every message again from what is kept and compares all digests; checks that each entry of the log
follows from the one before, and that states, attempts and log do not contradict each other. Exits
with 0 only if it finds nothing. Whoever can write to the file can change what was tried and what
became of it in step: note the last hash of the log elsewhere if that matters.

Example:
  apiece verify 3f9a12bc")]
pub(super) struct Verify {
    /// The campaign, as `apiece status` names it
    id: String,
    #[command(flatten)]
    record: RecordArgs,
}

impl Verify {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (store, campaign) = self.record.find(&self.id)?;
        let mut text = String::new();
        let mut holds = true;
        if let (Some(purged), Some(digest)) = (campaign.purged, campaign.digest) {
            let _ = writeln!(text, "Digest      {digest}\nMessages    cannot be made again: purged on {}", day(purged));
        } else {
            let changed = store.verify_files(&campaign).map_err(failed)?;
            for path in &changed {
                let _ = writeln!(text, "File        {} is not what was prepared", quoted(path));
            }
            let bar = bar(campaign.counts.total(), "made again", screen);
            let verdict = store.verify(&campaign, &|done| bar.set_position(done as u64));
            bar.finish_and_clear();
            let verdict = verdict.map_err(failed)?;
            let same = if Some(verdict.digest) == verdict.prepared { "as prepared" } else { "NOT what was prepared" };
            let _ = writeln!(text, "Digest      {}, {same}", verdict.digest);
            let same = match verdict.changed_count {
                0 => "each comes out as prepared".into(),
                count => {
                    let rest = if count > verdict.changed.len() { ", among others" } else { "" };
                    format!("{count} come out OTHERWISE: rows {}{rest}", Rows::of(verdict.changed.iter().copied()))
                }
            };
            let _ = writeln!(text, "Messages    {}: {same}", verdict.messages);
            holds = verdict.holds() && changed.is_empty();
        }
        for wrong in store.contradictions(&campaign).map_err(failed)? {
            let _ = writeln!(text, "Record      {wrong}");
            holds = false;
        }
        let chain = store.verify_log().map_err(failed);
        if let Ok(chain) = &chain {
            let entries = if chain.entries == 1 { "1 entry".into() } else { format!("{} entries", chain.entries) };
            let _ = writeln!(text, "Log         {entries} in order, the last is {}", chain.last);
        }
        screen.print(&text);
        chain?;
        Ok(if holds { Exit::Ok } else { Exit::Data })
    }
}
