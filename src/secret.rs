//! Where passwords and tokens come from, and files that only their owner can read.
//!
//! A secret is read at the last moment, from a place that is not an argument and not the configuration, and is
//! held in a [`SecretString`], which is wiped when dropped and shows nothing in `Debug`.

mod command;
pub mod keyring;
mod unsaid;

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    pin::Pin,
};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use thiserror::Error;

use self::keyring::Item;
pub(crate) use self::{
    command::run,
    unsaid::{NOT_SHOWN, Unsaid},
};
use crate::diagnostic::{Bare, Complaint};

/// A secret longer than this is not one.
pub(crate) const MOST_BYTES: u64 = 64 * 1024;

/// Gives what somebody logs in with, each time that a connection is opened: a password is always the same, and a token
/// expires.
pub trait Secrets: Send + Sync {
    /// What to log in with now. Where a server did not take what was given before, that is `refused`; then there may be
    /// nothing better.
    fn give<'s>(&'s self, refused: Option<&'s SecretString>) -> Giving<'s>;

    /// Waits until nothing is under way that must be finished: a token that was got is kept, whoever still wants it.
    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}

/// A secret that is on its way.
pub type Giving<'s> = Pin<Box<dyn Future<Output = Result<Option<Given>, NoSecret>> + Send + 's>>;

/// What to log in with.
#[derive(Debug, Clone)]
pub struct Given {
    /// The password or token.
    pub secret: SecretString,
    /// Until when it is good, if it is known that it expires.
    pub until: Option<Timestamp>,
}

/// Why there is nothing to log in with.
#[derive(Debug, Clone, Error)]
#[error("{why}")]
pub struct NoSecret {
    /// What went wrong; holds no part of a secret.
    pub why: String,
    /// The same as a short, stable name, for logs.
    pub code: &'static str,
    /// What to do.
    pub help: Option<String>,
    /// Whether it can be otherwise in a minute.
    pub is_passing: bool,
}

impl NoSecret {
    /// What should not be.
    pub(crate) fn fault() -> Self {
        Self { why: "a fault in apiece".into(), code: "login.fault", help: None, is_passing: false }
    }
}

/// A password, which is always the same.
pub struct Password(pub SecretString);

impl Secrets for Password {
    fn give<'s>(&'s self, refused: Option<&'s SecretString>) -> Giving<'s> {
        let given = refused.is_none().then(|| Given { secret: self.0.clone(), until: None });
        Box::pin(async { Ok(given) })
    }
}

/// What a secret is, and so how the keys are called that say where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What a person logs in with.
    Password,
    /// What a program shows to those who give tokens.
    ClientSecret,
}

impl Kind {
    /// The key for a command, a file, a variable of the environment and a credential.
    #[must_use]
    pub const fn keys(self) -> [&'static str; 4] {
        match self {
            Self::Password => ["password_command", "password_file", "password_env", "credential"],
            Self::ClientSecret => {
                ["client_secret_command", "client_secret_file", "client_secret_env", "client_secret_credential"]
            }
        }
    }
}

/// Where an account's password is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The first line that a program prints; program and arguments, no shell.
    Command(Vec<String>),
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The platform's keyring.
    Keyring(Item),
    /// The person at the terminal.
    Ask,
}

/// Why there is no secret. Never holds any part of one, nor what a key is set to, which may be a password by mistake.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum SecretError {
    #[error("the program of {0} could not be started: {1}")]
    CommandNotStarted(&'static str, io::Error),
    #[error("the program of {key} ended with {status}{}", said_by(.said))]
    CommandFailed { key: &'static str, status: std::process::ExitStatus, said: String },
    #[error("the program of {key} is not done after {seconds} s{}", said_by(.said))]
    CommandLate { key: &'static str, seconds: u64, said: String },
    #[error("the file named by {0} cannot be read: {1}")]
    FileUnreadable(&'static str, io::Error),
    #[error("what {0} names is not a regular file")]
    NotAFile(&'static str),
    #[error("the {what} {path} can be read by others (its mode is {mode:o})")]
    FileOpenToOthers { what: &'static str, path: PathBuf, mode: u32 },
    #[error("the environment variable named by {0} is not set")]
    EnvMissing(&'static str),
    #[error("there are no credentials: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    #[error("no password is configured, and there is no terminal to ask at")]
    NoTerminal,
    #[error("the password could not be read from the terminal: {0}")]
    Terminal(io::Error),
    #[error("the {} from {} is empty", what_comes_from(.0), .0)]
    Empty(&'static str),
    #[error("the {} from {} is longer than 64 KiB", what_comes_from(.0), .0)]
    TooLong(&'static str),
    #[error("the {} from {} is not UTF-8 or holds a NUL", what_comes_from(.0), .0)]
    NotText(&'static str),
    #[error("there is no keyring here: {0}")]
    NoKeyring(String),
    #[error("the keyring is locked")]
    KeyringLocked,
    #[error("the keyring does not answer for {0} s")]
    KeyringLate(u64),
    #[error("the keyring refuses: {0}")]
    KeyringFailed(String),
    #[error("there is no {0} in the keyring")]
    NotInKeyring(Item),
}

/// What the key of this name leads to.
fn what_comes_from(key: &str) -> &'static str {
    if key.starts_with("client_secret") {
        "client secret"
    } else if key.starts_with("token") {
        "token"
    } else {
        "password"
    }
}

fn said_by(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}

impl Complaint for SecretError {
    fn code(&self) -> &'static str {
        match self {
            Self::FileOpenToOthers { .. } => "secret.file-open-to-others",
            Self::NoTerminal | Self::NotInKeyring(_) => "secret.none",
            Self::NoKeyring(_) | Self::KeyringLocked | Self::KeyringLate(_) | Self::KeyringFailed(_) => {
                "secret.keyring"
            }
            _ => "secret.unreadable",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::FileOpenToOthers { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::NoTerminal => Some(
                "add password_command, password_file, password_env, credential or keyring to the account in your config file"
                    .into(),
            ),
            Self::NotInKeyring(item) => Some(format!("store it: {}", item.login_command())),
            Self::NoKeyring(_) => Some(
                "a keyring belongs to a desktop session; where there is none, a password has its place in password_command, \
                 password_file or credential, and tokens in a file (tokens = \"file\" in the account's oauth)"
                    .into(),
            ),
            Self::KeyringLocked | Self::KeyringLate(_) => {
                Some("unlock it, as logging in to the desktop does, and run the same command again".into())
            }
            Self::CommandLate { .. } => Some("whatever it waits for, it must be able to do without you".into()),
            Self::NoCredentials => {
                Some("systemd sets it for a service with LoadCredential=NAME:/path/of/the/file".into())
            }
            _ => None,
        }
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl SecretSource {
    /// What kind of place it is, as the key is called; never what the key is set to, which may be a password by mistake.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "password_command",
            Self::File(_) => "password_file",
            Self::Env(_) => "password_env",
            Self::Credential(_) => "credential",
            Self::Keyring(_) => "keyring",
            Self::Ask => "the terminal",
        }
    }

    /// Reads the secret. `prompt` is shown where a person is asked. Blocks.
    pub fn read(&self, kind: Kind, prompt: &str) -> Result<SecretString, SecretError> {
        let [command_key, file_key, env_key, credential_key] = kind.keys();
        match self {
            Self::Command(command) => run(command, command_key),
            Self::File(path) => first_line(&read_owner_only(path, file_key, "password file")?, file_key),
            Self::Env(name) => match std::env::var(name) {
                Ok(value) => first_line(&Zeroizing::new(value.into_bytes()), env_key),
                Err(std::env::VarError::NotPresent) => Err(SecretError::EnvMissing(env_key)),
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText(env_key)),
            },
            Self::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(directory) => {
                    let path = Path::new(&directory).join(name);
                    first_line(&read(&path, credential_key, Access::AsGiven)?, credential_key)
                }
                None => Err(SecretError::NoCredentials),
            },
            Self::Keyring(item) => match keyring::read(item)? {
                Some(secret) => first_line(&Zeroizing::new(secret.expose_secret().as_bytes().to_vec()), "the keyring"),
                None => Err(SecretError::NotInKeyring(item.clone())),
            },
            Self::Ask => ask(prompt),
        }
    }
}

/// The first line of standard input, which is no terminal.
pub fn from_standard_input() -> Result<SecretString, SecretError> {
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut content).map_err(SecretError::Terminal)?;
    first_line(&content, "standard input")
}

/// Reads a file that only its owner can read: all of it, or somewhat more than 64 KiB. `key` names it in the config
/// file, and `what` says what it is.
pub(crate) fn read_owner_only(
    path: &Path,
    key: &'static str,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    read(path, key, Access::OwnerOnly(what))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// And what the file is.
    OwnerOnly(&'static str),
    /// systemd answers for the permissions of its credentials.
    AsGiven,
}

fn read(path: &Path, key: &'static str, access: Access) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let unreadable = |why| SecretError::FileUnreadable(key, why);
    // Opening a pipe would wait for somebody to write into it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SecretError::NotAFile(key));
    }
    // The open file is asked, not the path again, so that it cannot be exchanged in between.
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SecretError::NotAFile(key));
    }
    #[cfg(unix)]
    if let Access::OwnerOnly(what) = access {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretError::FileOpenToOthers { what, path: path.to_owned(), mode });
        }
    }
    // Room for all from the start: a vector that grows leaves copies behind.
    let room = usize::try_from(metadata.len().min(MOST_BYTES)).unwrap_or_default() + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.take(MOST_BYTES + 1).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}

fn ask(prompt: &str) -> Result<SecretString, SecretError> {
    use std::io::IsTerminal;
    if !io::stdin().is_terminal() {
        return Err(SecretError::NoTerminal);
    }
    // The prompt is an invitation to type: what is typed behind it must not be shown, however soon it comes.
    #[cfg(unix)]
    let _silent = Silent::new().map_err(SecretError::Terminal)?;
    let typed = rpassword::prompt_password(prompt).map_err(SecretError::Terminal)?;
    first_line(&Zeroizing::new(typed.into_bytes()), "the terminal")
}

/// A terminal that shows nothing of what is typed, until this is dropped.
#[cfg(unix)]
struct Silent {
    terminal: File,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Silent {
    fn new() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        // The one that `rpassword` reads from.
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

#[cfg(unix)]
impl Drop for Silent {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(&self.terminal, rustix::termios::OptionalActions::Now, &self.before);
    }
}

pub(crate) fn first_line(content: &Zeroizing<Vec<u8>>, from: &'static str) -> Result<SecretString, SecretError> {
    if content.len() as u64 > MOST_BYTES {
        return Err(SecretError::TooLong(from));
    }
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| SecretError::NotText(from))?;
    if text.contains('\0') {
        return Err(SecretError::NotText(from));
    }
    if text.is_empty() {
        return Err(SecretError::Empty(from));
    }
    Ok(SecretString::from(text))
}

/// Creates a file that only its owner can read; an older one of that name is an error.
pub fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates a directory that only its owner can enter, unless it is there already.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(source: &SecretSource) -> Result<String, String> {
        source
            .read(Kind::Password, "Password: ")
            .map(|secret| secret.expose_secret().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_gives_its_first_line_and_its_arguments_reach_no_shell() {
        let command = |line: &[&str]| SecretSource::Command(line.iter().map(ToString::to_string).collect());
        assert_eq!(read(&command(&["printf", "s3cret\nurl: x\n"])), Ok("s3cret".into()));
        assert_eq!(read(&command(&["echo", "$HOME; id"])), Ok("$HOME; id".into()));
        assert_eq!(read(&command(&["false"])), Err("the program of password_command ended with exit status: 1".into()));
        assert_eq!(read(&command(&["true"])), Err("the password from password_command is empty".into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "pass word \r\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = SecretSource::File(path.clone()).read(Kind::Password, "").unwrap_err();
        assert!(matches!(error, SecretError::FileOpenToOthers { mode: 0o640, .. }), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&SecretSource::File(path)), Ok("pass word ".into()));
        assert!(read(&SecretSource::File(directory.path().into())).unwrap_err().contains("not a regular file"));
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = first_line(&Zeroizing::new(b"hunter2".to_vec()), "x").unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
