//! Where the record is.

use std::path::PathBuf;

use clap::Args;
use etcetera::{AppStrategy, AppStrategyArgs};

use super::{Exit, Failure};
use crate::{
    approval::own_login,
    diagnostic::{Diagnostic, Place},
    outbox::{Overview, Store, StoreError},
};

/// The name of the record, in its usual place.
pub(super) const OUTBOX_FILE: &str = "outbox.sqlite";

/// Which record.
#[derive(Debug, Clone, Args)]
pub(super) struct RecordArgs {
    /// The file that keeps what became of each message [default: in your state directory]
    #[arg(long, value_name = "FILE", env = "APIECE_OUTBOX", hide_env_values = true)]
    outbox: Option<PathBuf>,
}

impl RecordArgs {
    /// The file: the one that is named, or the one in the place of a service or of a user.
    pub(super) fn file(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.outbox {
            return Ok(file.clone());
        }
        Ok(state_directory()?.join(OUTBOX_FILE))
    }

    /// The file, if it is not in its usual place.
    pub(super) fn named(&self) -> Option<PathBuf> {
        self.outbox.clone()
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        Store::open(&self.file()?).map_err(failed)
    }

    /// Whether there is one, and a campaign with that id in it.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.file().is_ok_and(|file| file.exists()) && self.find(id).is_ok()
    }

    /// Opens it and finds a campaign in it.
    pub(super) fn find(&self, id: &str) -> Result<(Store, Overview), Failure> {
        let store = self.open()?;
        let campaign = store.campaign(id).map_err(failed)?;
        Ok((store, campaign))
    }
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
        | StoreError::Unfinished(_) => Exit::Refused,
        StoreError::Running { .. } | StoreError::NotShrunk(_) | StoreError::Busy(_) => Exit::TryAgain,
        StoreError::Corrupt(_)
        | StoreError::FileChanged(_)
        | StoreError::NotBrought(_)
        | StoreError::Unsound { .. }
        | StoreError::LogBroken(_) => Exit::Data,
        StoreError::Unknown(_) | StoreError::NobodyInRow(_) => Exit::Usage,
        StoreError::Io(..) | StoreError::Moved(_) => Exit::Io,
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
