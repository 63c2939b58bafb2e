//! The account to send through: its settings, its password, its key.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use etcetera::AppStrategy;
use secrecy::SecretString;

use super::{
    Exit, Failure,
    record::{own_directories, state_directory},
    signals::{self, Signals},
};
use crate::{
    campaign::{Account, Accounts, Dkim, Login, LoginSecret, Named, OAuth},
    delivery::{self, Signal},
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place},
    login::{Client, LoginError, Store, TokenCommand, Tokens},
    message::{Composer, Signer},
    report,
    secret::{Giving, Kind, Password, SecretError, SecretSource, Secrets, from_standard_input},
};

/// The account of a name in the user's config file, or the only one.
pub(super) fn choose(config: Option<&Path>, name: Option<&str>) -> Result<Account, Failure> {
    chosen(config, |accounts| accounts.choose(name))
}

/// The same for a command that takes the name as its argument.
pub(super) fn choose_for(command: &'static str, config: Option<&Path>, name: Option<&str>) -> Result<Account, Failure> {
    chosen(config, |accounts| accounts.choose_for(command, name))
}

fn chosen(
    config: Option<&Path>,
    choose: impl FnOnce(&Accounts) -> Result<&Account, Diagnostics>,
) -> Result<Account, Failure> {
    let (file, named) = config_file(config)?;
    let configuration = |why| Failure::new(Exit::Configuration, why);
    let accounts = Accounts::read(&file, named).map_err(configuration)?;
    let account = choose(&accounts).map_err(configuration)?;
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
    if let Some(from) = composer.template().fixed_sender() {
        // This one is the template's, and nobody's on the list.
        return signer
            .check_sender(from)
            .map_err(|why| Failure::because(Exit::Data, why.code(), why.to_string(), why.help().as_deref()));
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

/// Gets ready to log in with an account: reads its password, or looks for its tokens.
pub(super) fn read_secret(account: &Account) -> Result<Option<Arc<dyn Secrets>>, Failure> {
    let Some(login) = &account.login else { return Ok(None) };
    let secrets: Arc<dyn Secrets> = match &login.secret {
        LoginSecret::Password(source) => {
            Arc::new(Password(read_password(source.clone(), password_prompt(account, login))?))
        }
        LoginSecret::TokenCommand { command, fresh } => Arc::new(TokenCommand::new(command.clone(), *fresh)),
        LoginSecret::OAuth(oauth) => {
            let (client, store) = tokens_of(account, login, oauth)?;
            Arc::new(Tokens::open(client, store).map_err(|why| no_tokens(&why))?)
        }
    };
    Ok(Some(Arc::new(Unlogged(secrets))))
}

/// What is given is kept out of the log from then on.
struct Unlogged(Arc<dyn Secrets>);

impl Secrets for Unlogged {
    fn give<'s>(&'s self, refused: Option<&'s SecretString>) -> Giving<'s> {
        Box::pin(async move {
            let given = self.0.give(refused).await;
            if let Ok(Some(given)) = &given {
                report::log::hide(&given.secret);
            }
            given
        })
    }

    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.settled()
    }
}

pub(super) fn password_prompt(account: &Account, login: &Login) -> String {
    format!("Password of {} at {}: ", login.username, account.host)
}

/// Who gets an account's tokens, and where they are kept.
pub(super) fn tokens_of(account: &Account, login: &Login, oauth: &OAuth) -> Result<(Client, Store), Failure> {
    let directory = state_directory()?.join("tokens");
    Ok((Client::new(account, login, oauth), Store::new(account, login, oauth, directory)))
}

/// There is no password.
pub(super) fn no_secret(why: &SecretError) -> Failure {
    Failure::new(exit_of(why), Diagnostic::error(Place::Nowhere, why))
}

fn exit_of(why: &SecretError) -> Exit {
    match why {
        // A person must do something first.
        SecretError::NoTerminal
        | SecretError::Terminal(_)
        | SecretError::NotInKeyring(_)
        | SecretError::KeyringLocked
        | SecretError::Empty("the terminal" | "standard input") => Exit::Refused,
        SecretError::KeyringLate(_) => Exit::TryAgain,
        _ => Exit::Configuration,
    }
}

/// There are no tokens.
pub(super) fn no_tokens(why: &LoginError) -> Failure {
    let exit = match why {
        LoginError::NotLoggedIn(_)
        | LoginError::ForSomethingElse(_)
        | LoginError::NotRenewed { .. }
        | LoginError::Refused { .. }
        | LoginError::Denied(_)
        | LoginError::Late => Exit::Refused,
        LoginError::Unreachable { .. } | LoginError::NoListener(_) => Exit::Unavailable,
        LoginError::Insecure { .. } | LoginError::Wrong { .. } => Exit::Protocol,
        LoginError::Secret(why) => exit_of(why),
        LoginError::NotKept { .. } => Exit::CannotCreate,
        LoginError::Busy(_) => Exit::TryAgain,
    };
    Failure::new(exit, Diagnostic::error(Place::Nowhere, why))
}

/// Reads a password from its place; `prompt` is shown to a person who is asked for it.
pub(super) fn read_password(source: SecretSource, prompt: String) -> Result<SecretString, Failure> {
    let is_asked = source == SecretSource::Ask;
    let read = move || source.read(Kind::Password, &prompt);
    let read = if is_asked {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(SecretError::Terminal).and_then(|runtime| runtime.block_on(unless_interrupted(read)))
    } else {
        read()
    };
    read.map_err(|why| no_secret(&why))
}

/// A password that is to be kept: as it is typed, or else the first line of standard input.
pub(super) fn typed_password(prompt: String) -> Result<SecretString, Failure> {
    if io::stdin().is_terminal() {
        read_password(SecretSource::Ask, prompt)
    } else {
        from_standard_input().map_err(|why| no_secret(&why))
    }
}

/// Asks at the terminal; Ctrl-C ends the program, with the terminal as it was before.
async fn unless_interrupted(
    ask: impl FnOnce() -> Result<SecretString, SecretError> + Send + 'static,
) -> Result<SecretString, SecretError> {
    #[cfg(unix)]
    let before = rustix::termios::tcgetattr(io::stdin()).ok();
    let mut signals = Signals::new();
    let mut asking = tokio::task::spawn_blocking(ask);
    let signal = tokio::select! {
        asked = &mut asking => match asked.unwrap_or(Err(SecretError::NoTerminal)) {
            // The reading thread may hear of the signal first.
            Err(SecretError::Terminal(why)) if why.kind() == io::ErrorKind::Interrupted => Signal::Interrupt,
            secret => return secret,
        },
        signal = signals.next() => signal,
    };
    // Where Ctrl-C was typed, that thread sets the terminal, too, and must not have the last word.
    if !asking.is_finished() {
        let _ = tokio::time::timeout(Duration::from_millis(100), asking).await;
    }
    #[cfg(unix)]
    if let Some(before) = before {
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &before);
    }
    let _ = io::stderr().write_all(b"\n");
    signals::leave(signal)
}
