//! Signing: the `DKIM-Signature` that goes in front of a message when it is sent (RFC 6376, RFC 8463).
//!
//! The signature is made over the final bytes, with their `Date`, and is not part of the [`Digest`](super::Digest).

mod canonical;
mod key;
mod public;

use std::{fmt, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use self::key::Key;
pub use self::public::PublicKey;
use crate::{
    address::Address,
    campaign::Dkim,
    diagnostic::{Bare, Complaint},
    secret::SecretError,
};

/// A line of the header has at most so many characters (RFC 5322 §2.1.1 advises 78), unless a domain is longer.
const MOST_LINE: usize = 77;

/// Whether anybody may add a header field of that name to a signed message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seal {
    /// It is listed once more than it is there, so that another one breaks the signature (RFC 6376 §5.4.2).
    Sealed,
    /// All that are there are signed.
    Open,
}

/// The header fields that are signed, all of a name that are there.
const SIGNED: [(&str, Seal); 13] = [
    ("From", Seal::Sealed),
    ("To", Seal::Sealed),
    ("Cc", Seal::Sealed),
    ("Bcc", Seal::Sealed),
    ("Subject", Seal::Sealed),
    ("Date", Seal::Sealed),
    ("Message-ID", Seal::Sealed),
    ("Reply-To", Seal::Sealed),
    ("MIME-Version", Seal::Sealed),
    ("Content-Type", Seal::Sealed),
    ("Content-Transfer-Encoding", Seal::Open),
    ("List-Unsubscribe", Seal::Open),
    ("List-Unsubscribe-Post", Seal::Open),
];

/// Why a message cannot be signed. Never holds any part of a key.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum DkimError {
    #[error(transparent)]
    File(#[from] SecretError),
    #[error("the key file {} is longer than 64 KiB", .0.display())]
    TooLong(PathBuf),
    #[error("there is no private key in {}", .0.display())]
    NotPem(PathBuf),
    #[error("{} is {what} and no private key that can sign messages", .path.display())]
    Other { path: PathBuf, what: &'static str },
    #[error("the key in {} has a pass phrase", .0.display())]
    Encrypted(PathBuf),
    #[error("the key in {} is neither an RSA nor an Ed25519 key", .0.display())]
    Algorithm(PathBuf),
    #[error("the RSA key in {} is too weak: 2048 bits and the exponent 65537 are the least", .0.display())]
    TooSmall(PathBuf),
    #[error("the RSA key in {} has a length that cannot be used; 2048, 3072 and 4096 bits can", .0.display())]
    Length(PathBuf),
    #[error("the key in {} is damaged, or of a kind that cannot be used", .0.display())]
    Broken(PathBuf),
    #[error("the sender {from} is not of {domain}, for which the account signs")]
    Sender { from: Address, domain: String },
    #[error("the message could not be signed with the account's key")]
    Failed,
}

impl Complaint for DkimError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(why) => why.code(),
            Self::Sender { .. } => "dkim.sender",
            Self::Failed => "dkim.failed",
            _ => "dkim.key",
        }
    }

    /// A sender may be made of a cell.
    fn bare(&self) -> Bare {
        match self {
            Self::File(why) => why.bare(),
            Self::Sender { domain, .. } => {
                Bare::said(format!("a sender is not of {domain}, for which the account signs"), self.help())
            }
            Self::TooLong(_)
            | Self::NotPem(_)
            | Self::Other { .. }
            | Self::Encrypted(_)
            | Self::Algorithm(_)
            | Self::TooSmall(_)
            | Self::Length(_)
            | Self::Broken(_)
            | Self::Failed => Bare::Whole,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::File(why) => return why.help(),
            Self::Encrypted(path) => {
                format!("write one without: openssl pkey -in {} -out new.pem; chmod 600 new.pem", path.display())
            }
            Self::Sender { domain, .. } => {
                format!("send from an address at {domain}, or change domain under dkim in the account")
            }
            Self::Failed => "make a new key, and publish it".into(),
            _ => "make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out dkim.pem".into(),
        })
    }
}

/// Signs messages for a domain with one of its keys.
pub struct Signer {
    dkim: Dkim,
    key: Key,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("domain", &self.dkim.domain)
            .field("selector", &self.dkim.selector)
            .field("algorithm", &self.key.algorithm())
            .finish_non_exhaustive()
    }
}

/// In words.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DKIM for {}, {}, key {}", self.dkim.domain, self.key.algorithm(), self.dkim.selector)
    }
}

impl Signer {
    /// Reads the key, which stays in memory as long as the signer.
    pub fn read(dkim: &Dkim) -> Result<Self, DkimError> {
        Ok(Self { key: Key::read(&dkim.key_file)?, dkim: dkim.clone() })
    }

    /// What receivers must find in the DNS, if it can be told.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        self.key.public()
    }

    /// Whether messages from this address can be signed: it must be of the domain or of one below it, or receivers
    /// hold the signature for somebody else's (RFC 7489 §3.1.1).
    pub fn check_sender(&self, from: &Address) -> Result<(), DkimError> {
        let of = from.domain().to_ascii_lowercase();
        match of.strip_suffix(&self.dkim.domain) {
            Some(below) if below.is_empty() || below.ends_with('.') => Ok(()),
            _ => Err(DkimError::Sender { from: from.clone(), domain: self.dkim.domain.clone() }),
        }
    }

    /// The `DKIM-Signature` of a message with its line end, to be put in front of it. `message` is what is sent, to the
    /// last byte: lines end with CRLF, and dots at their beginning are not yet doubled.
    pub fn sign(&self, message: &[u8], now: Timestamp) -> Result<String, DkimError> {
        let (fields, body) = split(message);
        let mut header = Folded::new("DKIM-Signature: v=1;");
        header.put(" ", &format!("a={};", self.key.algorithm()));
        header.put(" ", "c=relaxed/relaxed;");
        header.put(" ", &format!("d={};", self.dkim.domain));
        header.put(" ", &format!("s={};", self.dkim.selector));
        header.put(" ", &format!("t={};", now.as_second().max(0)));

        let mut data = Vec::with_capacity(2048);
        let mut names = Vec::new();
        for (name, seal) in SIGNED {
            // Where there are several, the last one is the first to be signed (RFC 6376 §5.4.2).
            let those = || fields.iter().rev().filter(|field| is_named(field, name));
            for field in those() {
                data.extend(canonical::header(field));
                data.extend_from_slice(b"\r\n");
            }
            names.extend(those().map(|_| name));
            names.extend((seal == Seal::Sealed).then_some(name));
        }
        for (nth, name) in names.iter().enumerate() {
            let (before, start) = if nth == 0 { (" ", "h=") } else { ("", "") };
            let end = if nth + 1 == names.len() { ';' } else { ':' };
            header.put(before, &format!("{start}{name}{end}"));
        }
        let hash = Sha256::digest(canonical::body(body));
        header.put(" ", &format!("bh={};", BASE64_STANDARD.encode(hash)));
        header.text.push_str("\r\n b=");

        // The signature signs its own header, too, as it is without the value of b= (RFC 6376 §3.7).
        data.extend(canonical::header(header.text.as_bytes()));
        let signature = BASE64_STANDARD.encode(self.key.sign(&data).map_err(|()| DkimError::Failed)?);
        let mut rest = signature.as_str();
        while let Some((line, more)) = rest.split_at_checked(MOST_LINE - 5) {
            header.text.push_str(line);
            header.text.push_str("\r\n ");
            rest = more;
        }
        header.text.push_str(rest);
        Ok(header.text.trim_end().to_owned() + "\r\n")
    }
}

/// Header text that is folded where a line would be too long.
struct Folded {
    text: String,
    line: usize,
}

impl Folded {
    fn new(start: &str) -> Self {
        Self { text: start.into(), line: start.len() }
    }

    /// Adds a word, with `before` in front of it where it stays on the line.
    fn put(&mut self, before: &str, word: &str) {
        if self.line + before.len() + word.len() > MOST_LINE {
            self.text.push_str("\r\n ");
            self.line = 1;
        } else {
            self.text.push_str(before);
            self.line += before.len();
        }
        self.text.push_str(word);
        self.line += word.len();
    }
}

/// The header fields of a message, each with all its lines, and its body.
fn split(message: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut fields = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        if let Some(body) = rest.strip_prefix(b"\r\n") {
            return (fields, body);
        }
        // A field ends where the next line does not begin with white space (RFC 5322 §2.2.3).
        let mut ends = rest.windows(2).enumerate().filter(|(_, two)| two == b"\r\n").map(|(at, _)| at + 2);
        let end = ends.find(|end| !matches!(rest.get(*end), Some(b' ' | b'\t'))).unwrap_or(rest.len());
        let (field, behind) = rest.split_at(end);
        fields.push(field);
        rest = behind;
    }
    (fields, b"")
}

fn is_named(field: &[u8], name: &str) -> bool {
    let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
    field[..colon].trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests;
