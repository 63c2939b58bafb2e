//! Where passwords and tokens come from, and files that only their owner can read.
//!
//! A secret is read at the last moment, from a place that is not an argument and not the configuration, and is
//! held in a [`SecretString`], which is wiped when dropped and shows nothing in `Debug`.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use secrecy::{SecretString, zeroize::Zeroizing};
use thiserror::Error;

use crate::diagnostic::Complaint;

/// A secret longer than this is not one.
const MOST_BYTES: u64 = 64 * 1024;

/// Where an account's password or token is to be read.
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
    /// The person at the terminal.
    Ask,
}

/// Why there is no secret. Never holds any part of one, nor what a key is set to, which may be a password by mistake.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum SecretError {
    #[error("the program of password_command could not be started: {0}")]
    CommandNotStarted(io::Error),
    #[error("the program of password_command ended with {0}")]
    CommandFailed(std::process::ExitStatus),
    #[error("the file named by {0} cannot be read: {1}")]
    FileUnreadable(&'static str, io::Error),
    #[error("what {0} names is not a regular file")]
    NotAFile(&'static str),
    #[error("the {what} {path} can be read by others (its mode is {mode:o})")]
    FileOpenToOthers { what: &'static str, path: PathBuf, mode: u32 },
    #[error("the environment variable named by password_env is not set")]
    EnvMissing,
    #[error("there are no credentials: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    #[error("no password is configured, and there is no terminal to ask at")]
    NoTerminal,
    #[error("the password could not be read from the terminal: {0}")]
    Terminal(io::Error),
    #[error("the password from {0} is empty")]
    Empty(&'static str),
    #[error("the password from {0} is longer than 64 KiB")]
    TooLong(&'static str),
    #[error("the password from {0} is not UTF-8 or holds a NUL")]
    NotText(&'static str),
}

impl Complaint for SecretError {
    fn code(&self) -> &'static str {
        match self {
            Self::FileOpenToOthers { .. } => "secret.file-open-to-others",
            Self::NoTerminal => "secret.none",
            _ => "secret.unreadable",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::FileOpenToOthers { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::NoTerminal => Some(
                "add password_command, password_file, password_env or credential to the account in your config file"
                    .into(),
            ),
            Self::NoCredentials => {
                Some("systemd sets it for a service with LoadCredential=NAME:/path/of/the/file".into())
            }
            _ => None,
        }
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
            Self::Ask => "the terminal",
        }
    }

    /// Reads the secret. `prompt` is shown where a person is asked. Blocks.
    pub fn read(&self, prompt: &str) -> Result<SecretString, SecretError> {
        match self {
            Self::Command(command) => from_command(command),
            Self::File(path) => first_line(&read_owner_only(path, "password_file", "password file")?, "password_file"),
            Self::Env(name) => match std::env::var(name) {
                Ok(value) => first_line(&Zeroizing::new(value.into_bytes()), "password_env"),
                Err(std::env::VarError::NotPresent) => Err(SecretError::EnvMissing),
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText("password_env")),
            },
            Self::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(directory) => {
                    let path = Path::new(&directory).join(name);
                    first_line(&read(&path, "credential", Access::AsGiven)?, "credential")
                }
                None => Err(SecretError::NoCredentials),
            },
            Self::Ask => ask(prompt),
        }
    }
}

fn from_command(command: &[String]) -> Result<SecretString, SecretError> {
    let (program, arguments) = command.split_first().ok_or(SecretError::Empty("password_command"))?;
    let not_started = SecretError::CommandNotStarted;
    let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().map_err(not_started)?;
    let mut output = Zeroizing::new(Vec::new());
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(MOST_BYTES + 1).read_to_end(&mut output),
        None => Ok(0),
    };
    let status = child.wait().map_err(not_started)?;
    read.map_err(not_started)?;
    if !status.success() {
        return Err(SecretError::CommandFailed(status));
    }
    first_line(&output, "password_command")
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
    let typed = rpassword::prompt_password(prompt).map_err(SecretError::Terminal)?;
    first_line(&Zeroizing::new(typed.into_bytes()), "the terminal")
}

fn first_line(content: &Zeroizing<Vec<u8>>, from: &'static str) -> Result<SecretString, SecretError> {
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
        source.read("Password: ").map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
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
        let error = SecretSource::File(path.clone()).read("").unwrap_err();
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
