//! `apiece outbox`

use clap::{Args, Subcommand};

use super::{
    Exit, Failure, Screen,
    record::{RecordArgs, failed},
};
use crate::outbox::Store;

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
