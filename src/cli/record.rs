//! Where the record is.

#[cfg(feature = "postgres")]
use std::io::IsTerminal;
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use clap::Args;
use etcetera::{AppStrategy, AppStrategyArgs};

use super::{Exit, Failure, account, approval::ConfigArgs};
use crate::{
    approval::own_login,
    campaign::{Accounts, RecordOptions, is_database},
    diagnostic::{Diagnostic, Place},
    outbox::{Location, Overview, Store, StoreError},
};
#[cfg(feature = "postgres")]
use crate::{
    campaign::RecordPassword,
    diagnostic::{Complaint, visible},
    outbox::{Knocked, Server},
    report,
    secret::{
        SecretSource,
        keyring::{Item, What},
    },
};

/// The name of the record, in its usual place.
pub(super) const OUTBOX_FILE: &str = "outbox.sqlite";

/// Which record.
#[derive(Debug, Clone, Args)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The file that keeps what became of each message, or the address of a database [default: in your state directory]
    #[arg(long, value_name = "FILE", env = "APIECE_OUTBOX", hide_env_values = true)]
    outbox: Option<PathBuf>,
    /// Where that is, once it was asked for: a password is read once
    #[arg(skip)]
    found: OnceLock<Location>,
}

impl RecordArgs {
    /// Where it is: as it is said here, in the config file, or in the place of a service or of a user.
    pub(super) fn location(&self) -> Result<Location, Failure> {
        if let Some(found) = self.found.get() {
            return Ok(found.clone());
        }
        let found = self.find_location()?;
        Ok(self.found.get_or_init(|| found).clone())
    }

    fn find_location(&self) -> Result<Location, Failure> {
        match self.said()? {
            (None, _) => Ok(state_directory()?.join(OUTBOX_FILE).into()),
            (Some(place), options) => place_of(place, &options),
        }
    }

    /// The place that is said, if one is, and what the config file says of how to get in; that is not read for a file.
    fn said(&self) -> Result<(Option<PathBuf>, RecordOptions), Failure> {
        if let Some(file) = self.named() {
            return Ok((Some(file), RecordOptions::default()));
        }
        let options = options(self.config.file())?;
        Ok((self.outbox.clone().or(options.address.as_ref().map(PathBuf::from)), options))
    }

    /// The database and where its password is, if the record is in one and that is said.
    #[cfg(feature = "postgres")]
    pub(super) fn password(&self) -> Result<Option<(Server, SecretSource)>, Failure> {
        let (Some(place), options) = self.said()? else { return Ok(None) };
        let Some(address) = place.to_str().filter(|text| is_database(text)) else { return Ok(None) };
        let server = server(address, &options)?;
        Ok(source(&server, &options).map(|source| (server, source)))
    }

    /// The file, if it is one that is named here.
    pub(super) fn named(&self) -> Option<PathBuf> {
        self.outbox.clone().filter(|place| !is_database(&place.to_string_lossy()))
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        Store::open(self.location()?).map_err(failed)
    }

    /// Whether there is one, and a campaign with that id in it.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.location().is_ok_and(|place| place.may_be_there()) && self.find(id).is_ok()
    }

    /// Opens it and finds a campaign in it.
    pub(super) fn find(&self, id: &str) -> Result<(Store, Overview), Failure> {
        let store = self.open()?;
        let campaign = store.campaign(id).map_err(failed)?;
        Ok((store, campaign))
    }
}

/// A place that is said by itself, with what the config file says of how to get in.
pub(super) fn place(said: &Path, config: &ConfigArgs) -> Result<Location, Failure> {
    // A file needs nothing of the config file, which may not be there.
    let is_file = !is_database(&said.to_string_lossy());
    let options = if is_file { RecordOptions::default() } else { options(config.file())? };
    place_of(said.to_owned(), &options)
}

fn place_of(said: PathBuf, options: &RecordOptions) -> Result<Location, Failure> {
    match said.to_str().filter(|text| is_database(text)) {
        Some(address) => database(address, options),
        None => Ok(said.into()),
    }
}

/// What the config file says of it.
fn options(config: Option<&Path>) -> Result<RecordOptions, Failure> {
    // Whoever has no home has no config file, either.
    let Ok((file, named)) = account::config_file(config) else { return Ok(RecordOptions::default()) };
    let accounts = Accounts::read(&file, named).map_err(|why| Failure::new(Exit::Configuration, why))?;
    Ok(accounts.record().clone())
}

/// A database at an address, with what else is needed to get in.
#[cfg(feature = "postgres")]
fn database(address: &str, options: &RecordOptions) -> Result<Location, Failure> {
    let server = server(address, options)?;
    // Only the database knows whether it wants a password, and only a person can be asked for one.
    let is_asked = || std::io::stdin().is_terminal() && matches!(server.knock(), Knocked::WantsPassword);
    let source = source(&server, options).or_else(|| is_asked().then_some(SecretSource::Ask));
    let password = source.map(|source| account::read_password(source, password_prompt(&server))).transpose()?;
    if let Some(password) = &password {
        report::log::hide(password);
    }
    Ok(Location::Server(server.with_password(password)))
}

#[cfg(feature = "postgres")]
fn wrong(why: &dyn Complaint) -> Failure {
    Failure::new(Exit::Configuration, Diagnostic::error(Place::Nowhere, why))
}

#[cfg(feature = "postgres")]
fn server(address: &str, options: &RecordOptions) -> Result<Server, Failure> {
    let server = Server::parse(address).map_err(|why| wrong(&why))?;
    Ok(server.with_ca_file(options.ca_file.as_deref()))
}

/// Where its password is, as the config file says.
#[cfg(feature = "postgres")]
fn source(server: &Server, options: &RecordOptions) -> Option<SecretSource> {
    Some(match options.password.clone()? {
        RecordPassword::At(source) => source,
        RecordPassword::Keyring => {
            let (username, server) = (server.user().to_owned(), server.hosts());
            SecretSource::Keyring(Item { what: What::Database, username, server, account: String::new() })
        }
    })
}

#[cfg(feature = "postgres")]
pub(super) fn password_prompt(server: &Server) -> String {
    format!("Password of {} at {}: ", visible(server.user()), visible(&server.hosts()))
}

#[cfg(not(feature = "postgres"))]
fn database(_: &str, _: &RecordOptions) -> Result<Location, Failure> {
    let message = "this apiece was built without PostgreSQL";
    let help = "build it with the feature `postgres`, or name a file with --outbox";
    Err(Failure::because(Exit::Configuration, "outbox.no-postgres", message, Some(help)))
}

/// What is kept from one run to the next: in the place of a service, or of a user.
pub(super) fn state_directory() -> Result<PathBuf, Failure> {
    if let Some(directory) = std::env::var_os("STATE_DIRECTORY").filter(|directory| !directory.is_empty()) {
        return Ok(PathBuf::from(directory));
    }
    let strategy = own_directories().ok_or_else(|| {
        let message = "there is no home directory to keep the outbox in";
        Failure::because(Exit::Configuration, "outbox.no-home", message, Some("say where it is with --outbox FILE"))
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()))
}

/// Who runs this, for the log.
pub(super) fn who() -> String {
    let name = ["LOGNAME", "USER", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let name = name.filter(|name| !name.is_empty()).or_else(own_login);
    #[cfg(unix)]
    let id = Some(format!("uid {}", rustix::process::getuid().as_raw()));
    #[cfg(not(unix))]
    let id: Option<String> = None;
    match (name, id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (name, id) => name.or(id).unwrap_or_else(|| "unknown".into()),
    }
}

/// What the record has against it.
#[allow(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
pub(super) fn failed(why: StoreError) -> Failure {
    let exit = match why {
        StoreError::Done { .. }
        | StoreError::Changed { .. }
        | StoreError::Already { .. }
        | StoreError::Namesake { .. }
        | StoreError::Renamed { .. }
        | StoreError::Purged(_)
        | StoreError::NoSnapshot(_)
        | StoreError::Elsewhere { .. }
        | StoreError::OtherSettings(_)
        | StoreError::Here(_)
        | StoreError::Sealed { .. }
        | StoreError::NotEmpty(_)
        | StoreError::Sending(_)
        | StoreError::Unfinished(_) => Exit::Refused,
        StoreError::Running { .. } | StoreError::NotShrunk(_) | StoreError::Busy(_) | StoreError::Unreached(..) => {
            Exit::TryAgain
        }
        StoreError::Corrupt(_)
        | StoreError::FileChanged(_)
        | StoreError::NotBrought(_)
        | StoreError::Unsound { .. }
        | StoreError::NoText(_)
        | StoreError::LogBroken(_) => Exit::Data,
        StoreError::Unknown(_) | StoreError::NobodyInRow(_) | StoreError::Missing(_) | StoreError::NotMoving(_) => {
            Exit::Usage
        }
        StoreError::Io(..) | StoreError::Moved(_) | StoreError::Lost(_) => Exit::Io,
        StoreError::NotMigrated(..) | StoreError::NoWorkers(_) => Exit::Configuration,
        _ => Exit::CannotCreate,
    };
    Failure::new(exit, Diagnostic::error(Place::Nowhere, &why))
}

/// The platform's places for this program.
pub(super) fn own_directories() -> Option<impl AppStrategy> {
    let arguments =
        AppStrategyArgs { top_level_domain: "org".into(), author: "apiece".into(), app_name: "apiece".into() };
    etcetera::app_strategy::choose_native_strategy(arguments).ok()
}
