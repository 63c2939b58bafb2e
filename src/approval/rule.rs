//! A rule: so many of some people must have approved.

use std::{collections::BTreeSet, path::Path, time::Duration};

use jiff::Timestamp;
use ssh_key::{PublicKey, public::KeyData};

use super::{
    ApprovalError, Invalid, Signers,
    key::{read_file, read_signers},
};
use crate::campaign::ApprovalOptions;

/// Files of signers and of revoked keys are no larger.
pub(super) const MOST_FILE: u64 = 1 << 20;

/// What OpenSSH's binary lists of revoked keys begin with.
const KRL: &[u8] = b"SSHKRL\n\0";

/// So many of some people must have approved. Each rule that applies is kept by itself.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where it is from, in words.
    pub name: String,
    /// So many people.
    pub required: usize,
    signers: Signers,
    revoked: Revoked,
    lasts: Duration,
}

/// Who has a key that a rule allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The names of whoever has it, in lower case.
    pub names: Vec<String>,
    /// Until when what was signed counts.
    pub until: Timestamp,
}

/// Keys that count no longer.
#[derive(Debug, Clone, Default)]
pub struct Revoked(Vec<KeyData>);

impl Rule {
    /// With its files as they are now; `name` says where it is from.
    pub fn read(name: &str, options: &ApprovalOptions) -> Result<Self, ApprovalError> {
        let signers = read_signers(&options.allowed_signers)?;
        let revoked = options.revoked_keys.as_deref().map(Revoked::read).transpose()?.unwrap_or_default();
        Self::new(name, options, &signers, revoked)
    }

    /// A campaign's own, with the file of signers as it was when it was prepared: who prepares a campaign adds nobody later.
    pub fn kept(
        name: &str,
        options: &ApprovalOptions,
        signers: &[u8],
        revoked: Revoked,
    ) -> Result<Self, ApprovalError> {
        Self::new(name, options, signers, revoked)
    }

    fn new(name: &str, options: &ApprovalOptions, signers: &[u8], revoked: Revoked) -> Result<Self, ApprovalError> {
        let file = options.allowed_signers.display().to_string();
        let signers = std::str::from_utf8(signers).map_err(|why| ApprovalError::Signers {
            file: file.clone(),
            line: 1,
            why: why.to_string(),
        })?;
        let signers = Signers::parse(&file, signers)?;
        let required = usize::try_from(options.required).unwrap_or(usize::MAX);
        Ok(Self { name: name.to_owned(), required, signers, revoked, lasts: options.lasts() })
    }

    /// Who has a key, if what was signed with it at a time counts now; or why not.
    pub fn allows(&self, key: &KeyData, signed: Timestamp, now: Timestamp) -> Result<Allowed, Invalid> {
        if self.revoked.has(key) {
            return Err(Invalid::Revoked);
        }
        let names = self.signers.names(key, &[signed, now])?;
        let until = signed.checked_add(self.lasts).unwrap_or(Timestamp::MAX);
        if now > until { Err(Invalid::Expired(until)) } else { Ok(Allowed { names, until }) }
    }

    /// All names of whoever has one of some keys, which are known by their fingerprints.
    pub(super) fn names_of(&self, keys: &BTreeSet<String>) -> Vec<String> {
        self.signers.names_of(keys)
    }

    /// All names of whoever has a key.
    pub(super) fn all_names(&self, key: &KeyData) -> Vec<String> {
        self.signers.all_names(key)
    }
}

impl Revoked {
    /// Reads a file with a public key on each line.
    pub fn read(path: &Path) -> Result<Self, ApprovalError> {
        Self::parse(&path.display().to_string(), &read_file(path, MOST_FILE)?)
    }

    /// The same from what is in it. What cannot be read could be a key that was revoked: it is an error.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ApprovalError> {
        if bytes.starts_with(KRL) {
            return Err(ApprovalError::BinaryKrl(name.to_owned()));
        }
        let wrong = |line: usize, why: String| ApprovalError::Signers { file: name.to_owned(), line, why };
        let text = std::str::from_utf8(bytes).map_err(|why| wrong(1, why.to_string()))?;
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let key = PublicKey::from_openssh(line);
                let key = key.map_err(|why| wrong(number + 1, format!("this is no public key: {why}")))?;
                keys.push(key.key_data().clone());
            }
        }
        Ok(Self(keys))
    }

    fn has(&self, key: &KeyData) -> bool {
        self.0.contains(key)
    }
}
