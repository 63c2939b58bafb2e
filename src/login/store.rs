//! Where tokens are kept: the platform's keyring, or a file that its owner alone can read.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{LoginError, Token};
use crate::{
    campaign::{Account, Login, OAuth, TokenPlace},
    diagnostic::visible,
    secret::{
        MOST_BYTES, create_directory, create_file,
        keyring::{self, Item, What},
        read_owner_only,
    },
};

/// So long another program may take to renew the same tokens.
const PATIENCE: Duration = Duration::from_secs(60);

/// It is looked so often whether it is done.
const LOOK: Duration = Duration::from_millis(50);

/// More does not fit into an entry of Windows' credential manager (`CRED_MAX_CREDENTIAL_BLOB_SIZE`).
const ROOM: u64 = if cfg!(windows) { 2560 } else { MOST_BYTES };

/// The place of one account's tokens: for one user at one server, so that they are sent to no other. Another account has another
/// place, even where the user and the server are the same: its issuer or client may be others.
#[derive(Debug, Clone)]
pub struct Store {
    place: TokenPlace,
    item: Item,
    directory: PathBuf,
}

/// While this is there, no other program renews the same tokens.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "it is held")] File);

impl Store {
    /// The tokens of an account; `directory` is where files are, and what is locked.
    #[must_use]
    pub fn new(account: &Account, login: &Login, oauth: &OAuth, directory: PathBuf) -> Self {
        let (username, server, account) = (login.username.clone(), account.host.clone(), account.name.clone());
        Self { place: oauth.tokens, item: Item { what: What::Tokens, username, server, account }, directory }
    }

    /// Where they are, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        match self.place {
            TokenPlace::Keyring => "the keyring".into(),
            TokenPlace::File => visible(&self.file("json").display().to_string()),
        }
    }

    /// What the account is called.
    pub(super) fn account(&self) -> &str {
        &self.item.account
    }

    /// A file whose name tells nobody whose tokens are in it.
    fn file(&self, ending: &str) -> PathBuf {
        let Item { account, username, server, .. } = &self.item;
        let name = Sha256::digest(format!("{account}\0{username}\0{server}"));
        let name = u64::from_be_bytes(std::array::from_fn(|nth| name[nth]));
        self.directory.join(format!("{name:016x}.{ending}"))
    }

    fn not_kept(&self, why: &io::Error) -> LoginError {
        LoginError::NotKept { place: self.place(), why: why.to_string() }
    }

    /// Whether it can be used at all; nothing is changed.
    pub fn check(&self) -> Result<(), LoginError> {
        create_directory(&self.directory).map_err(|why| self.not_kept(&why))?;
        if self.place == TokenPlace::Keyring {
            keyring::read(&self.item)?;
        }
        Ok(())
    }

    /// Gives what is kept.
    pub fn read(&self) -> Result<Token, LoginError> {
        let nothing = || LoginError::NotLoggedIn(self.item.account.clone());
        let text = match self.place {
            TokenPlace::Keyring => keyring::read(&self.item)?.ok_or_else(nothing)?,
            TokenPlace::File => {
                let file = self.file("json");
                if !file.exists() {
                    return Err(nothing());
                }
                let content = read_owner_only(&file, "tokens", "token file")?;
                SecretString::from(String::from_utf8_lossy(&content).into_owned())
            }
        };
        Token::from_json(&text)
            .ok_or_else(|| LoginError::NotKept { place: self.place(), why: "what is there is not understood".into() })
    }

    /// Keeps something in place of what was there: all of it or nothing.
    pub fn write(&self, token: &Token) -> Result<(), LoginError> {
        let mut text = token.to_json();
        let is_too_long = |text: &SecretString| text.expose_secret().len() as u64 > ROOM;
        if is_too_long(&text) {
            text = token.without_access().to_json();
        }
        if is_too_long(&text) {
            let why = format!("they have more than {ROOM} octets");
            return Err(LoginError::NotKept { place: self.place(), why });
        }
        match self.place {
            TokenPlace::Keyring => keyring::write(&self.item, &text).map_err(LoginError::Secret),
            TokenPlace::File => self.write_file(&text).map_err(|why| self.not_kept(&why)),
        }
    }

    fn write_file(&self, text: &SecretString) -> io::Result<()> {
        create_directory(&self.directory)?;
        let new = self.file("new");
        // Left behind by a program that was killed; who has the lock may take it away.
        match fs::remove_file(&new) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let mut file = create_file(&new)?;
        file.write_all(text.expose_secret().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.file("json"))?;
        // The name, too, is to be there after a power cut: the tokens before these are of no use any more.
        if cfg!(unix) { File::open(&self.directory)?.sync_all() } else { Ok(()) }
    }

    /// Forgets it. Whether there was something.
    pub fn remove(&self) -> Result<bool, LoginError> {
        match self.place {
            TokenPlace::Keyring => Ok(keyring::remove(&self.item)?),
            TokenPlace::File => match fs::remove_file(self.file("json")) {
                Ok(()) => Ok(true),
                Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(why) => Err(self.not_kept(&why)),
            },
        }
    }

    /// Waits until no other program renews these tokens, and keeps them from that.
    pub(super) async fn lock(&self) -> Result<Lock, LoginError> {
        create_directory(&self.directory).map_err(|why| self.not_kept(&why))?;
        let file = self.file("lock");
        let file = match create_file(&file) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => File::options().write(true).open(&file),
            made => made,
        };
        let file = file.map_err(|why| self.not_kept(&why))?;
        let start = tokio::time::Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(fs::TryLockError::WouldBlock) if start.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
                Err(fs::TryLockError::WouldBlock) => return Err(LoginError::Busy(self.item.account.clone())),
                Err(fs::TryLockError::Error(why)) => return Err(self.not_kept(&why)),
            }
        }
    }
}
