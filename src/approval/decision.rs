//! What somebody decided about a campaign, as the log has it, and what can be wrong with it.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};
use ssh_key::{PublicKey, SshSig, public::KeyData};

use super::{NAMESPACE, Said, Subject, Word, key::fingerprint};
use crate::{
    diagnostic::{quoted, visible},
    outbox::{Entry, day},
};

/// Clocks differ by so many seconds.
const CLOCKS: i64 = 300;

/// A signature is no longer.
const MOST_SIGNATURE: usize = 64 * 1024;

/// A signed statement about a campaign.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What it says.
    pub said: Said,
    /// Whose key signed it.
    pub key: KeyData,
    /// The text that was signed.
    pub statement: String,
    /// The signature, as OpenSSH writes it.
    pub signature: String,
}

/// Why an approval does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// The signature is not one of that text.
    Signature,
    /// It is about something else: the campaign, or what the record says of it, is not what was signed.
    Other,
    /// Whoever has the key is not among those who may.
    UnknownKey,
    /// The key is there to sign certificates.
    Authority,
    /// The key is allowed under a pattern, and whose it is cannot be told.
    Pattern(String),
    /// The key is for other namespaces.
    OtherNamespace,
    /// The key may not be used before a time.
    KeyNotYet(Timestamp),
    /// The key may not be used after a time.
    KeyNoLonger(Timestamp),
    /// The key was revoked.
    Revoked,
    /// It was said too long ago.
    Expired(Timestamp),
    /// It will be said only later.
    Future(Timestamp),
    /// Who prepared the campaign is not known well enough to tell somebody else.
    UnknownPreparer,
    /// The key is one of those of who prepared the campaign.
    OwnKey,
    /// So is the name.
    OwnName(String),
    /// Somebody rejected the campaign afterwards.
    Rejected(Timestamp),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("the signature does not belong to the statement"),
            Self::Other => f.write_str("it is about something else than this campaign as it is now"),
            Self::UnknownKey => f.write_str("the key is not one of those that may approve"),
            Self::Authority => f.write_str(
                "the key is an authority for certificates, which count for nothing here: name the person's own key",
            ),
            Self::Pattern(pattern) => {
                write!(f, "the key is allowed under the pattern {}: write the person's name there", quoted(pattern))
            }
            Self::OtherNamespace => {
                write!(f, "the key is for other purposes (namespaces; {NAMESPACE} is not one of them)")
            }
            Self::KeyNotYet(time) => write!(f, "the key is not yet valid, but from {} on", day(*time)),
            Self::KeyNoLonger(time) => write!(f, "the key is valid no longer since {}", day(*time)),
            Self::Revoked => f.write_str("the key was revoked"),
            Self::Expired(time) => write!(f, "it expired on {}", day(*time)),
            Self::Future(time) => write!(f, "it was signed in the future, on {}: is a clock wrong?", day(*time)),
            Self::UnknownPreparer => f.write_str(
                "who prepared the campaign is not known (neither a key of theirs nor --by), and could be the same person: prepare it \
                 anew",
            ),
            Self::OwnKey => f.write_str("who prepared a campaign cannot approve it, and the key is one of theirs"),
            Self::OwnName(name) => {
                write!(f, "who prepared a campaign cannot approve it, and {} is their name", quoted(name))
            }
            Self::Rejected(time) => write!(f, "the campaign was rejected afterwards, on {}", day(*time)),
        }
    }
}

impl Decision {
    /// A statement with a signature, if it is one about a campaign.
    pub fn new(subject: &Subject, statement: &str, signature: &str) -> Result<Self, Invalid> {
        let key = Self::verify(statement, signature)?;
        let said = subject.read(statement).map_err(|_| Invalid::Other)?;
        Ok(Self { said, key, statement: statement.to_owned(), signature: signature.to_owned() })
    }

    /// Whose key signed a text for us, if the signature is one of it.
    pub(super) fn verify(statement: &str, signature: &str) -> Result<KeyData, Invalid> {
        if signature.len() > MOST_SIGNATURE {
            return Err(Invalid::Signature);
        }
        let signature = SshSig::from_pem(signature.trim()).map_err(|_| Invalid::Signature)?;
        let key = PublicKey::from(signature.public_key().clone());
        key.verify(NAMESPACE, statement.as_bytes(), &signature).map_err(|_| Invalid::Signature)?;
        Ok(signature.public_key().clone())
    }

    /// The same from an entry of the log, if it is one that says yes, or a signed no.
    pub(super) fn of(subject: &Subject, entry: &Entry) -> Option<Result<Self, Invalid>> {
        let text = |key: &str| entry.details[key].as_str();
        if !matches!(entry.what.as_str(), "approved" | "rejected") {
            return None;
        }
        let (statement, signature) = (text("statement")?, text("signature")?);
        let decision = Self::new(subject, statement, signature).and_then(|decision| {
            // The entry says what the statement says.
            let is_yes = decision.said.word == Word::Approved;
            if is_yes == (entry.what == "approved") { Ok(decision) } else { Err(Invalid::Other) }
        });
        Some(decision)
    }

    /// Nothing is signed later than now, but for clocks that differ.
    pub fn check_time(&self, now: Timestamp) -> Result<(), Invalid> {
        let at = self.said.at;
        if at.as_second() > now.as_second() + CLOCKS { Err(Invalid::Future(at)) } else { Ok(()) }
    }

    /// What the key is known by.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.key)
    }

    /// What is done, in the log's word.
    #[must_use]
    pub fn what(&self) -> &'static str {
        if self.said.word == Word::Approved { "approved" } else { "rejected" }
    }

    /// What the log is to know of it; `names` are those of whoever has the key, if anybody says so.
    #[must_use]
    pub fn details(&self, subject: &Subject, names: &[String]) -> Value {
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        let mut details = json!({
            "digest": subject.digest.to_string(), "principal": names.join(","), "key": self.fingerprint(),
            "statement": self.statement, "signature": self.signature,
        });
        if let Word::Rejected(reason) = &self.said.word {
            details["reason"] = reason.as_str().into();
        }
        details
    }
}
