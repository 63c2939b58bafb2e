//! `apiece login` and `apiece logout`: what an account logs in with is kept, and forgotten.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use clap::Args;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::runtime::Runtime;

use super::{
    Exit, Failure, Screen,
    account::{choose_for, no_secret, no_tokens, password_prompt, tokens_of, typed_password},
    signals::{self, Signals},
};
use crate::{
    campaign::{self, Account, LoginSecret, OAuth},
    delivery::{self, StopReason},
    diagnostic::{quoted, visible},
    login::{Client, LoginError, Loopback, Store, Token},
    report::spoken,
    secret::{Given, Giving, Password, SecretSource, Secrets, keyring},
};

/// Arguments of `apiece login`.
#[derive(Debug, Args)]
#[command(after_help = "\
The account says in your config file what it logs in with:
  keyring = true             a password: it is asked for, and kept in the keyring of your desktop
  [account.NAME.oauth]       OAuth 2.0: you log in at your provider, with a browser here or a code on any device

Examples:
  apiece login work
  apiece login work --device           a code to type on any device, for a machine without a browser
  pass show mail/work | apiece login work")]
pub(super) struct Login {
    /// The account in your config file [default: the only one]
    account: Option<String>,
    /// Log in with a code that is typed on any device
    #[arg(long)]
    device: bool,
    /// Print the page for the browser, and do not open it
    #[arg(long, conflicts_with = "device")]
    no_browser: bool,
    /// Keep it without trying it at the mail server
    #[arg(long)]
    no_try: bool,
    /// The config file with your accounts [default: in your config directory]
    #[arg(long, value_name = "FILE", env = "APIECE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

/// Arguments of `apiece logout`.
#[derive(Debug, Args)]
pub(super) struct Logout {
    /// The account in your config file [default: the only one]
    account: Option<String>,
    /// The config file with your accounts [default: in your config directory]
    #[arg(long, value_name = "FILE", env = "APIECE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl Login {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let account = choose_for("apiece login", self.config.as_deref(), self.account.as_deref())?;
        let login = account.login.as_ref().ok_or_else(|| nothing_to_keep(&account))?;
        let runtime = runtime()?;
        let ended = match &login.secret {
            LoginSecret::Password(SecretSource::Keyring(item)) if !self.device && !self.no_browser => {
                self.keep_password(&account, login, item, &runtime, screen)
            }
            LoginSecret::OAuth(oauth) => {
                let all = async {
                    tokio::select! {
                        ended = self.get_tokens(&account, login, oauth, screen) => ended,
                        signal = async { Signals::new().next().await } => signals::leave(signal),
                    }
                };
                runtime.block_on(all)
            }
            LoginSecret::Password(SecretSource::Keyring(_)) => {
                let message = "a password needs no browser and no device";
                Err(Failure::because(Exit::Usage, "login.kind", message, Some("leave --device and --no-browser out")))
            }
            _ => Err(nothing_to_keep(&account)),
        };
        runtime.shutdown_background();
        ended
    }

    /// Asks for a password, tries it, and keeps it.
    fn keep_password(
        &self,
        account: &Account,
        login: &campaign::Login,
        item: &keyring::Item,
        runtime: &Runtime,
        screen: Screen,
    ) -> Result<Exit, Failure> {
        // Nobody types a password for a keyring that is not there.
        keyring::read(item).map_err(|why| no_secret(&why))?;
        let password = typed_password(password_prompt(account, login))?;
        let tried = runtime.block_on(self.tried(account, Arc::new(Password(password.clone()))))?;
        keyring::write(item, &password).map_err(|why| no_secret(&why))?;
        screen.print(&format!("The {} is in the keyring. {tried}\n", visible(&item.to_string())));
        Ok(Exit::Ok)
    }

    /// Has a person log in at the provider, tries the token, and keeps it.
    async fn get_tokens(
        &self,
        account: &Account,
        login: &campaign::Login,
        oauth: &OAuth,
        screen: Screen,
    ) -> Result<Exit, Failure> {
        let (client, store) = tokens_of(account, login, oauth)?;
        let checked = {
            let store = store.clone();
            in_background(move || store.check()).await
        };
        checked.map_err(|why| no_tokens(&why))?;
        let token = self.ask(&client, screen).await.map_err(|why| no_tokens(&why))?;
        let tried = self.tried(account, Arc::new(Fixed(token.access.clone()))).await?;
        let kept = {
            let (store, token) = (store.clone(), token.clone());
            in_background(move || store.write(&token)).await
        };
        kept.map_err(|why| no_tokens(&why))?;
        let lasting = match (&token.refresh, token.expires) {
            (Some(_), _) => "It is renewed when need be.".into(),
            (None, Some(expires)) => {
                let left = std::time::Duration::try_from(expires.duration_since(Timestamp::now())).unwrap_or_default();
                format!("It ends in {}: the provider gave nothing to renew it with (scopes).", spoken(left))
            }
            (None, None) => "The provider gave nothing to renew it with (scopes).".into(),
        };
        let who = format!("{} at {}", login.username, account.host);
        screen.print(&format!("The login of {} is in {}. {tried} {lasting}\n", visible(&who), store.place()));
        Ok(Exit::Ok)
    }

    /// In a browser here, or with a code.
    async fn ask(&self, client: &Client, screen: Screen) -> Result<Token, LoginError> {
        let with_code = self.device || (!self.no_browser && !has_display() && client.offers_codes().await?);
        if with_code {
            let code = client.ask_for_code().await?;
            Screen::print_always(&format!(
                "Open this page on any device and type the code there:\n  {}\n  {}\n",
                code.page, code.code
            ));
            if let Some(page) = &code.whole_page {
                Screen::print_always(&format!("or open this one, with the code in it:\n  {page}\n"));
            }
            screen.note("Type it nowhere else, and only if you started this yourself. Waiting for you …\n");
            return client.wait(&code).await;
        }
        let loopback = Loopback::open().await?;
        let question = client.ask_in_browser(&loopback).await?;
        Screen::print_always(&format!("Log in on this page, in a browser on this machine:\n  {}\n", question.page));
        if !self.no_browser && has_display() && io::stderr().is_terminal() {
            open_in_browser(&question.page);
        }
        screen.note("Waiting for you …\n");
        client.hear(question, loopback).await
    }

    /// Whether the mail server takes it, as a sentence. It is kept if the server could not be asked, and not if it refused.
    async fn tried(&self, account: &Account, secrets: Arc<dyn Secrets>) -> Result<String, Failure> {
        if self.no_try {
            return Ok("It was not tried at the server.".into());
        }
        match delivery::try_login(account, secrets).await {
            Ok(Some(mechanism)) => Ok(format!("The server took it ({mechanism}).")),
            Ok(None) => Ok("The server asked for none.".into()),
            Err(
                why @ (StopReason::Unreachable { .. } | StopReason::Unavailable(_) | StopReason::LoginUnavailable(_)),
            ) => Ok(format!("It could not be tried: {why}.")),
            Err(why) => {
                let exit = match why {
                    StopReason::LoginRefused(_) | StopReason::NoSecret(_) => Exit::Refused,
                    StopReason::Insecure { .. } => Exit::Protocol,
                    _ => Exit::Configuration,
                };
                let help = why.help().unwrap_or_default();
                let help = format!("{help}. Nothing was kept; --no-try keeps it all the same");
                Err(Failure::because(exit, "login.refused", why.to_string(), Some(help.trim_start_matches(". "))))
            }
        }
    }
}

impl Logout {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let account = choose_for("apiece logout", self.config.as_deref(), self.account.as_deref())?;
        let login = account.login.as_ref().ok_or_else(|| nothing_to_keep(&account))?;
        let (what, was_there) = match &login.secret {
            LoginSecret::Password(SecretSource::Keyring(item)) => {
                (item.to_string(), keyring::remove(item).map_err(|why| no_secret(&why))?)
            }
            LoginSecret::OAuth(oauth) => {
                let (client, store) = tokens_of(&account, login, oauth)?;
                let was_there = Self::forget(&client, &store, screen)?;
                (format!("login of {} at {}", login.username, account.host), was_there)
            }
            _ => return Err(nothing_to_keep(&account)),
        };
        say_forgotten(&what, was_there, screen);
        Ok(Exit::Ok)
    }

    /// Whether there were tokens. They are forgotten whatever the issuer says.
    fn forget(client: &Client, store: &Store, screen: Screen) -> Result<bool, Failure> {
        let kept = store.read();
        let was_there = store.remove().map_err(|why| no_tokens(&why))?;
        // For another issuer than the one that is known now, this one cannot be told.
        if let Some(token) = kept.ok().filter(|token| client.is_of(token)) {
            let runtime = runtime()?;
            let told = match runtime.block_on(client.revoke(&token)) {
                Ok(true) => None,
                Ok(false) => {
                    Some(format!("{} has no way to take a login back; its pages for your account may", client.issuer()))
                }
                Err(why) => Some(format!("it could not be taken back at the provider: {why}")),
            };
            runtime.shutdown_background();
            if let Some(told) = told {
                screen.note(&format!("note: {}\n", visible(&told)));
            }
        }
        Ok(was_there)
    }
}

/// A token that was just got.
struct Fixed(SecretString);

impl Secrets for Fixed {
    fn give<'s>(&'s self, refused: Option<&'s SecretString>) -> Giving<'s> {
        let given = refused.is_none().then(|| Given { secret: self.0.clone(), until: None });
        Box::pin(async { Ok(given) })
    }
}

/// What was kept is no longer, if it was there.
pub(super) fn say_forgotten(what: &str, was_there: bool, screen: Screen) {
    let what = visible(what);
    screen.print(&if was_there { format!("The {what} is forgotten.\n") } else { format!("There was no {what}.\n") });
}

fn nothing_to_keep(account: &Account) -> Failure {
    let message =
        format!("the account {} has nothing that could be kept: it says where its password is", quoted(&account.name));
    let message = match &account.login {
        None => format!("with the account {} nobody logs in", quoted(&account.name)),
        Some(login) => match &login.secret {
            LoginSecret::Password(SecretSource::Ask) => {
                format!("the account {} does not say where a password is to be kept", quoted(&account.name))
            }
            LoginSecret::TokenCommand { .. } => {
                format!("the tokens of the account {} are got by another program", quoted(&account.name))
            }
            _ => message,
        },
    };
    let help = "write keyring = true into the account in your config file, or a table oauth; docs/login.md says how";
    Failure::because(Exit::Usage, "login.nothing", message, Some(help))
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|why| Failure::because(Exit::Software, "login.runtime", why.to_string(), None))
}

/// A keyring may wait for its owner.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoginError> + Send + 'static,
) -> Result<T, LoginError> {
    let lost = |why: tokio::task::JoinError| LoginError::NotKept { place: "their place".into(), why: why.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

/// Whether a browser could be opened here.
fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(target_os = "macos", windows)) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Opens a page, if the platform can; it was printed anyway. Other users of the machine can see what it is opened with. There is no
/// code and no token in it, and somebody else's login in its place would not be taken for this mailbox by the server.
fn open_in_browser(page: &str) {
    let program: &OsStr = OsStr::new(if cfg!(target_os = "macos") { "open" } else { "xdg-open" });
    // Windows has no program that takes it as an argument and nothing else.
    if cfg!(windows) {
        return;
    }
    let opened =
        Command::new(program).arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Ok(mut child) = opened {
        std::thread::spawn(move || child.wait());
    }
}
