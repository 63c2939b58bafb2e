//! `apiece outbox`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{
    Exit, Failure, Screen,
    approval::ConfigArgs,
    record::{RecordArgs, failed, place, who},
};
#[cfg(feature = "postgres")]
use super::{
    account::{no_secret, typed_password},
    login::say_forgotten,
    record::password_prompt,
};
use crate::{diagnostic::counted, outbox::Store};
#[cfg(feature = "postgres")]
use crate::{
    diagnostic::visible,
    outbox::{Knocked, Server},
    secret::{SecretSource, keyring},
};

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
    /// Ask for a database's password, try it, and keep it in the keyring of your desktop
    #[cfg(feature = "postgres")]
    #[command(after_help = "\
The config file says that it is there:

  [outbox]
  address = \"postgres://apiece@db.clinic.example/mail\"
  keyring = true

Without a terminal the first line of standard input is read.

Examples:
  apiece outbox login
  pass show clinic/outbox | apiece outbox login")]
    Login(Login),
    /// Forget the password that `login` kept
    #[cfg(feature = "postgres")]
    Logout(Logout),
}

#[cfg(feature = "postgres")]
#[derive(Debug, Args)]
struct Login {
    /// Keep it without trying it at the database
    #[arg(long)]
    no_try: bool,
    #[command(flatten)]
    record: RecordArgs,
}

#[cfg(feature = "postgres")]
#[derive(Debug, Args)]
struct Logout {
    #[command(flatten)]
    record: RecordArgs,
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
            #[cfg(feature = "postgres")]
            What::Login(login) => login.run(screen),
            #[cfg(feature = "postgres")]
            What::Logout(logout) => logout.run(screen),
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

#[cfg(feature = "postgres")]
impl Login {
    fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (server, item) = in_keyring(&self.record)?;
        // Nobody types a password for a keyring that is not there.
        keyring::read(&item).map_err(|why| no_secret(&why))?;
        let password = typed_password(password_prompt(&server))?;
        let tried = if self.no_try {
            "It was not tried at the database.".into()
        } else {
            match server.with_password(Some(password.clone())).knock() {
                Knocked::LetIn => "The database let it in.".into(),
                Knocked::WantsPassword => "It could not be tried.".into(),
                Knocked::NotReached(why) => format!("It could not be tried: {}.", visible(&why)),
                Knocked::Refused(why) => {
                    let message = format!("the database refused the login: {}", visible(&why));
                    let help = "Nothing was kept; --no-try keeps it all the same";
                    return Err(Failure::because(Exit::Refused, "outbox.refused", message, Some(help)));
                }
            }
        };
        keyring::write(&item, &password).map_err(|why| no_secret(&why))?;
        screen.print(&format!("The {} is in the keyring. {tried}\n", visible(&item.to_string())));
        Ok(Exit::Ok)
    }
}

#[cfg(feature = "postgres")]
impl Logout {
    fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (_, item) = in_keyring(&self.record)?;
        let was_there = keyring::remove(&item).map_err(|why| no_secret(&why))?;
        say_forgotten(&item.to_string(), was_there, screen);
        Ok(Exit::Ok)
    }
}

/// A database whose password is in the keyring.
#[cfg(feature = "postgres")]
fn in_keyring(record: &RecordArgs) -> Result<(Server, keyring::Item), Failure> {
    match record.password()? {
        Some((server, SecretSource::Keyring(item))) => Ok((server, item)),
        _ => {
            let message = "the outbox has nothing that could be kept in a keyring";
            let help = "write the address of its database and keyring = true into [outbox] of your config file";
            Err(Failure::because(Exit::Usage, "outbox.no-keyring", message, Some(help)))
        }
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
