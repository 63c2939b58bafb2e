//! The account to send through: its settings, its password, its key.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use etcetera::AppStrategy;
use secrecy::SecretString;
use tokio::runtime::Runtime;

use super::{
    Exit, Failure,
    record::own_directories,
    signals::{self, Signals},
};
use crate::{
    campaign::{Account, Accounts, Dkim, Named},
    delivery::{self, Signal},
    diagnostic::{Diagnostic, Diagnostics, Place},
    message::{Composer, Signer},
    secret::{SecretError, SecretSource},
};

/// The account of a name in the user's config file, or the only one.
pub(super) fn choose(config: Option<&Path>, name: Option<&str>) -> Result<Account, Failure> {
    let (file, named) = config_file(config)?;
    let configuration = |why| Failure::new(Exit::Configuration, why);
    let accounts = Accounts::read(&file, named).map_err(configuration)?;
    let account = accounts.choose(name).map_err(configuration)?;
    delivery::check_account(account)
        .map_err(|why| Failure::because(Exit::Configuration, "account.tls", why.to_string(), why.help().as_deref()))?;
    Ok(account.clone())
}

/// The config file: the one that is named, or the one in its usual place.
pub(super) fn config_file(config: Option<&Path>) -> Result<(PathBuf, Named), Failure> {
    match config {
        Some(file) => Ok((file.to_owned(), Named::ByUser)),
        None => Ok((default_config()?, Named::ByDefault)),
    }
}

/// `config.toml` in the platform's place for settings.
fn default_config() -> Result<PathBuf, Failure> {
    let strategy = own_directories().ok_or_else(|| {
        let message = "there is no home directory to look for the config file in";
        Failure::because(Exit::Configuration, "config.no-home", message, Some("say where it is with --config FILE"))
    })?;
    Ok(strategy.in_config_dir("config.toml"))
}

/// Reads the key that messages are signed with.
pub(super) fn read_signer(dkim: &Dkim) -> Result<Signer, Failure> {
    Signer::read(dkim).map_err(|why| Failure::new(Exit::Configuration, Diagnostic::error(Place::Nowhere, &why)))
}

/// Whether the messages of some people come from the domain that the account signs for.
pub(super) fn check_senders(signer: &Signer, composer: &Composer, queued: &[usize]) -> Result<(), Failure> {
    let wrong = |place, why| Failure::new(Exit::Data, Diagnostic::error(place, &why));
    if let Some(from) = composer.template().fixed_sender() {
        return signer.check_sender(from).map_err(|why| wrong(Place::Nowhere, why));
    }
    let mut problems = Diagnostics::default();
    for index in queued.iter().copied() {
        let message = composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))?;
        if let Err(why) = signer.check_sender(message.envelope().from()) {
            problems.push(Diagnostic::error(composer.list().place(message.row(), None), &why));
        }
    }
    problems.checked(Some(())).map_err(|why| Failure::new(Exit::Data, why))
}

/// Reads the password or token of an account.
pub(super) fn read_secret(account: &Account, runtime: &Runtime) -> Result<Option<SecretString>, Failure> {
    let Some(login) = account.login.clone() else { return Ok(None) };
    let asked = login.secret == SecretSource::Ask;
    let prompt = format!("Password of {} at {}: ", login.username, account.host);
    let read = move || login.secret.read(&prompt);
    let read = if asked { runtime.block_on(unless_interrupted(read)) } else { read() };
    let secret = read.map_err(|why| {
        let exit = if asked { Exit::Refused } else { Exit::Configuration };
        Failure::new(exit, Diagnostic::error(Place::Nowhere, &why))
    })?;
    Ok(Some(secret))
}

/// Asks at the terminal; Ctrl-C ends the program, with the terminal as it was before.
async fn unless_interrupted(
    ask: impl FnOnce() -> Result<SecretString, SecretError> + Send + 'static,
) -> Result<SecretString, SecretError> {
    #[cfg(unix)]
    let before = rustix::termios::tcgetattr(io::stdin()).ok();
    let mut signals = Signals::new();
    let signal = tokio::select! {
        asked = tokio::task::spawn_blocking(ask) => match asked.unwrap_or(Err(SecretError::NoTerminal)) {
            // The reading thread may hear of the signal first.
            Err(SecretError::Terminal(why)) if why.kind() == io::ErrorKind::Interrupted => Signal::Interrupt,
            secret => return secret,
        },
        signal = signals.next() => signal,
    };
    #[cfg(unix)]
    if let Some(before) = before {
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &before);
    }
    let _ = io::stderr().write_all(b"\n");
    signals::leave(signal)
}
