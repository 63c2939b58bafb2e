//! `[outbox]` in the user's config file: where the record is, and what lets one in there.

use std::path::{Path, PathBuf};

use super::{
    account::resolve,
    keys::Keys,
    login::{read_places, the_only},
};
use crate::{
    diagnostic::Diagnostics,
    secret::{Kind, SecretSource},
};

/// So the address of a database begins.
const DATABASES: [&str; 2] = ["postgres://", "postgresql://"];

/// Where the record is, unless a flag or the environment says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordOptions {
    /// A file's path, or the address of a database: `postgres://USER@HOST/DATABASE`.
    pub address: Option<String>,
    /// A file of the certificate authorities that the database's server is verified by, in place of the platform's.
    pub ca_file: Option<PathBuf>,
    /// Where the database's password is, if that is said.
    pub password: Option<RecordPassword>,
}

/// Where the password of a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordPassword {
    /// There.
    At(SecretSource),
    /// In the platform's keyring, where it is found by the user and the server.
    Keyring,
}

/// Whether a place of the record is the address of a database, and no file.
#[must_use]
pub fn is_database(place: &str) -> bool {
    DATABASES.iter().any(|scheme| place.starts_with(scheme))
}

/// Reads the table; paths are taken from `base` on.
pub(super) fn read(mut keys: Keys<'_>, base: &Path) -> (RecordOptions, Diagnostics) {
    let address = keys.string("address");
    if let Some(empty) = address.as_ref().filter(|address| address.value.trim().is_empty()) {
        keys.complain(empty.span.clone(), "address", "this is neither a file nor a database", None);
    }
    let address = address.map(|address| {
        if is_database(&address.value) {
            address.value
        } else {
            resolve(base, &address.value).to_string_lossy().into_owned()
        }
    });
    let ca_file = keys.string("ca_file").map(|path| resolve(base, &path.value));
    let mut found: Vec<_> = read_places(&mut keys, Kind::Password, base)
        .into_iter()
        .map(|(place, span)| (place.map(RecordPassword::At), span))
        .collect();
    if let Some(answer) = keys.boolean("keyring").filter(|answer| answer.value) {
        found.push((Some(RecordPassword::Keyring), answer.span));
    }
    let password = the_only(found, Kind::Password, &mut keys).flatten();
    (RecordOptions { address, ca_file, password }, keys.finish())
}
