//! The platform's keyring: the Secret Service of a Linux desktop, the keychain of macOS, the credential manager of Windows.
//!
//! Everything here blocks, and ends after a while: a keyring may ask its owner.

use std::{fmt, time::Duration};

use secrecy::SecretString;

use super::SecretError;
use crate::diagnostic::quoted;

/// So long a keyring may take to answer.
const TIME: Duration = Duration::from_secs(10);

/// So long it may take where its owner has to type a password into its window first.
const TIME_TO_UNLOCK: Duration = Duration::from_secs(120);

/// What something in the keyring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A password
    Password,
    /// OAuth 2.0 tokens, and what they are for
    Tokens,
    /// The password of a database
    Database,
}

impl What {
    /// As the keyring has it.
    const fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Tokens => "tokens",
            Self::Database => "database password",
        }
    }
}

/// Something in the keyring. It is found by what it is, whose it is and for which server, so that it is never sent to another one; and
/// tokens by the account, too, since another one may have them from another issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub what: What,
    /// The user's name at the server.
    pub username: String,
    /// The server's host name; of a database with its port.
    pub server: String,
    /// What the user calls the account; nothing for a database.
    pub account: String,
}

impl Item {
    /// The account that it is for alone.
    #[cfg_attr(not(any(unix, windows)), allow(dead_code, reason = "there is no keyring"))]
    fn only_for(&self) -> Option<&str> {
        match self.what {
            What::Password | What::Database => None,
            What::Tokens => Some(&self.account),
        }
    }
}

impl Item {
    /// What puts it there, to be typed.
    #[must_use]
    pub fn login_command(&self) -> String {
        match self.what {
            What::Database => "apiece outbox login".into(),
            What::Password | What::Tokens => login_command(&self.account),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Password | What::Database => write!(f, "password of {} at {}", self.username, self.server),
            What::Tokens => write!(f, "login of {} at {}", self.username, self.server),
        }
    }
}

/// What stores what an account logs in with, to be typed.
#[must_use]
pub fn login_command(account: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_word = !account.starts_with('-') && !account.is_empty() && account.chars().all(is_plain);
    format!("apiece login {}", if is_word { account.to_owned() } else { quoted(account) })
}

/// Gives what the keyring has, if it has it.
pub fn read(item: &Item) -> Result<Option<SecretString>, SecretError> {
    platform::read(item)
}

/// Puts something into it, in place of what was there.
pub fn write(item: &Item, secret: &SecretString) -> Result<(), SecretError> {
    platform::write(item, secret)
}

/// Takes something out of it. Whether it was there.
pub fn remove(item: &Item) -> Result<bool, SecretError> {
    platform::remove(item)
}

#[cfg(all(unix, not(target_os = "macos")))]
mod platform {
    use std::{collections::HashMap, io::IsTerminal, time::Duration};

    use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
    use secret_service::{Collection, EncryptionType, Error, SecretService};

    use super::{Item, TIME, TIME_TO_UNLOCK};
    use crate::secret::SecretError;

    pub(super) fn read(item: &Item) -> Result<Option<SecretString>, SecretError> {
        within_time(async || {
            let service = connect().await?;
            let found = service.search_items(attributes(item)).await.map_err(failed)?;
            let found = match (found.unlocked.into_iter().next(), found.locked.into_iter().next()) {
                (Some(unlocked), _) => unlocked,
                (None, Some(locked)) => {
                    may_ask()?;
                    locked.unlock().await.map_err(failed)?;
                    locked
                }
                (None, None) => return Ok(None),
            };
            let secret = Zeroizing::new(found.get_secret().await.map_err(failed)?);
            let text = std::str::from_utf8(&secret).map_err(|_| SecretError::NotText("the keyring"))?;
            Ok(Some(SecretString::from(text)))
        })
    }

    pub(super) fn write(item: &Item, secret: &SecretString) -> Result<(), SecretError> {
        within_time(async || {
            let service = connect().await?;
            let collection = collection(&service).await?;
            let (label, secret) = (format!("apiece: {item}"), secret.expose_secret().as_bytes());
            let put = collection.create_item(&label, attributes(item), secret, true, "text/plain");
            put.await.map(drop).map_err(failed)
        })
    }

    pub(super) fn remove(item: &Item) -> Result<bool, SecretError> {
        within_time(async || {
            let service = connect().await?;
            let found = service.search_items(attributes(item)).await.map_err(failed)?;
            if !found.locked.is_empty() {
                may_ask()?;
                service.unlock_all(&found.locked.iter().collect::<Vec<_>>()).await.map_err(failed)?;
            }
            let mut was_there = false;
            for found in found.unlocked.iter().chain(&found.locked) {
                found.delete().await.map_err(failed)?;
                was_there = true;
            }
            Ok(was_there)
        })
    }

    /// What is on its way over the bus is encrypted: its monitors must not see it.
    async fn connect<'s>() -> Result<SecretService<'s>, SecretError> {
        SecretService::connect(EncryptionType::Dh).await.map_err(|why| match why {
            Error::Unavailable => SecretError::NoKeyring("no Secret Service and no session bus was found".into()),
            // Nobody on the bus, or no bus where there should be one
            why => SecretError::NoKeyring(sentence(&why)),
        })
    }

    /// The one that the user's things belong into, unlocked.
    async fn collection<'s>(service: &'s SecretService<'_>) -> Result<Collection<'s>, SecretError> {
        let collection = service.get_default_collection().await.map_err(|why| match why {
            Error::NoResult => SecretError::NoKeyring("the Secret Service has no default collection".into()),
            why => failed(why),
        })?;
        if collection.is_locked().await.map_err(failed)? {
            may_ask()?;
            collection.unlock().await.map_err(failed)?;
        }
        Ok(collection)
    }

    fn attributes(item: &Item) -> HashMap<&str, &str> {
        let mut attributes = HashMap::from([
            ("xdg:schema", "org.freedesktop.Secret.Generic"),
            ("application", "apiece"),
            ("kind", item.what.word()),
            ("username", item.username.as_str()),
            ("server", &item.server),
        ]);
        attributes.extend(item.only_for().map(|account| ("account", account)));
        attributes
    }

    /// Whether somebody sits there who can type into the keyring's window.
    fn is_asked() -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        std::io::stdin().is_terminal() && (set("DISPLAY") || set("WAYLAND_DISPLAY"))
    }

    fn may_ask() -> Result<(), SecretError> {
        if is_asked() { Ok(()) } else { Err(SecretError::KeyringLocked) }
    }

    #[allow(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
    fn failed(why: Error) -> SecretError {
        match why {
            Error::Locked | Error::Prompt | Error::PromptDisconnected => SecretError::KeyringLocked,
            Error::Unavailable => SecretError::NoKeyring("the Secret Service has ended".into()),
            why => SecretError::KeyringFailed(sentence(&why)),
        }
    }

    /// What the bus says, without the names that its library gives its errors.
    fn sentence(why: &Error) -> String {
        let mut cause: &dyn std::error::Error = why;
        while let Some(source) = cause.source() {
            cause = source;
        }
        crate::diagnostic::visible(&cause.to_string())
    }

    /// In a thread of its own, since the caller may be one that must not wait inside of another's work.
    fn within_time<T: Send>(work: impl AsyncFnOnce() -> Result<T, SecretError> + Send) -> Result<T, SecretError> {
        let time: Duration = if is_asked() { TIME_TO_UNLOCK } else { TIME };
        let worked = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|why| SecretError::KeyringFailed(why.to_string()))?;
                let late = |_| SecretError::KeyringLate(time.as_secs());
                let worked = runtime.block_on(async { tokio::time::timeout(time, work()).await }).map_err(late);
                runtime.shutdown_background();
                worked?
            });
            thread.join()
        });
        worked.unwrap_or_else(|_| Err(SecretError::KeyringFailed("a fault in apiece".into())))
    }
}

#[cfg(any(target_os = "macos", windows))]
mod platform {
    use std::sync::Arc;

    use keyring_core::{Entry, Error, api::CredentialStore};
    use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

    use super::Item;
    use crate::{diagnostic::visible, secret::SecretError};

    fn entry(item: &Item) -> Result<Entry, SecretError> {
        #[cfg(target_os = "macos")]
        let store: Arc<CredentialStore> = apple_native_keyring_store::keychain::Store::new().map_err(failed)?;
        #[cfg(windows)]
        let store: Arc<CredentialStore> = windows_native_keyring_store::Store::new().map_err(failed)?;
        let account = item.only_for().map(|account| format!(" of {account}")).unwrap_or_default();
        let service = format!("apiece: {}{account} at {}", item.what.word(), item.server);
        store.build(&service, &item.username, None).map_err(failed)
    }

    pub(super) fn read(item: &Item) -> Result<Option<SecretString>, SecretError> {
        let secret = match entry(item)?.get_secret() {
            Ok(secret) => Zeroizing::new(secret),
            Err(Error::NoEntry) => return Ok(None),
            Err(why) => return Err(failed(why)),
        };
        let text = std::str::from_utf8(&secret).map_err(|_| SecretError::NotText("the keyring"))?;
        Ok(Some(SecretString::from(text)))
    }

    pub(super) fn write(item: &Item, secret: &SecretString) -> Result<(), SecretError> {
        entry(item)?.set_secret(secret.expose_secret().as_bytes()).map_err(failed)
    }

    pub(super) fn remove(item: &Item) -> Result<bool, SecretError> {
        match entry(item)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(why) => Err(failed(why)),
        }
    }

    /// Some of its errors hold what was stored: these are not shown.
    fn failed(why: Error) -> SecretError {
        match why {
            Error::NoStorageAccess(_) => SecretError::KeyringLocked,
            Error::PlatformFailure(why) => SecretError::KeyringFailed(visible(&why.to_string())),
            Error::TooLong(what, most) => SecretError::KeyringFailed(format!("{what} is longer than {most}")),
            _ => SecretError::KeyringFailed("it gives no reason".into()),
        }
    }
}

#[cfg(not(any(unix, windows)))]
mod platform {
    use secrecy::SecretString;

    use super::Item;
    use crate::secret::SecretError;

    fn none<T>() -> Result<T, SecretError> {
        Err(SecretError::NoKeyring("apiece knows none on this platform".into()))
    }

    pub(super) fn read(_: &Item) -> Result<Option<SecretString>, SecretError> {
        none()
    }

    pub(super) fn write(_: &Item, _: &SecretString) -> Result<(), SecretError> {
        none()
    }

    pub(super) fn remove(_: &Item) -> Result<bool, SecretError> {
        none()
    }
}
