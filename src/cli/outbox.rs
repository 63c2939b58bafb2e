//! `apiece outbox`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{
    Exit, Failure, Screen,
    approval::ConfigArgs,
    record::{RecordArgs, failed, place, who},
};
use crate::{diagnostic::counted, outbox::Store};

/// Arguments of `apiece outbox`.
#[derive(Debug, Args)]
pub(super) struct OutboxArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make the tables of this version in a database, or change those of an earlier one
    #[command(after_help = "\
A file needs none of this: whoever opens it makes or changes its tables. In PostgreSQL that is the
part of a role that owns them; those who send need fewer rights. Commands wait while it is done,
which does nothing where the tables are those of this version already.

Example:
  apiece outbox migrate --outbox postgres://owner@db.clinic.example/apiece")]
    Migrate(Migrate),
    /// Move all of an outbox into another one, unfinished campaigns included
    #[command(after_help = "\
Nothing is changed or sent in the first outbox from then on, though it can still be looked at: its
campaigns go on in the other one. That one must be empty: a new file, or a database in which there
are only the tables. Nothing must be about to be sent meanwhile. If this is broken off, nothing is
sent from either until it is said again, which goes on with it, or said with --undo, which leaves
all of it where it was.

Examples:
  apiece outbox copy --from ~/.local/state/apiece/outbox.sqlite --to postgres://owner@db.clinic.example/mail
  apiece outbox copy --from postgres://owner@db.clinic.example/mail --to back.sqlite")]
    Copy(Copy),
}

#[derive(Debug, Args)]
struct Copy {
    #[command(flatten)]
    config: ConfigArgs,
    /// The outbox that is there: a file, or the address of a database
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The outbox that is to take it in: a new file, or the address of a database
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Leave it where it is: take back what was broken off before all of it had arrived
    #[arg(long)]
    undo: bool,
}

#[derive(Debug, Args)]
struct Migrate {
    #[command(flatten)]
    record: RecordArgs,
}

impl OutboxArgs {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        match self.what {
            What::Migrate(migrate) => migrate.run(screen),
            What::Copy(copy) => copy.run(screen),
        }
    }
}

impl Migrate {
    fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let location = self.record.location()?;
        let (before, after) = Store::migrate(&location).map_err(failed)?;
        screen.print(&match before {
            0 => format!("outbox {location}: made, in version {after}\n"),
            before if before == after => format!("outbox {location}: is of version {after} already\n"),
            before => format!("outbox {location}: was of version {before}, is of version {after} now\n"),
        });
        Ok(Exit::Ok)
    }
}

impl Copy {
    fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (from, to) = (place(&self.from, &self.config)?, place(&self.to, &self.config)?);
        if self.undo {
            Store::undo_copy(&from, &to, Timestamp::now()).map_err(failed)?;
            screen.print(&format!("outbox {from}: all of it is still here, and is sent from here\n"));
            return Ok(Exit::Ok);
        }
        let copied = Store::copy(&from, &to, &who(), Timestamp::now()).map_err(failed)?;
        screen.print(&format!(
            "outbox {from}: moved to {to}, {} with {}\nNothing is sent from the first any more. Name the other from now on: --outbox \
             {to}, or `address` in [outbox] of the config file\n",
            counted(copied.campaigns, "campaign"),
            counted(copied.messages, "message"),
        ));
        Ok(Exit::Ok)
    }
}
