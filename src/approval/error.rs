//! What can be wrong with keys, signatures, files of signers and bundles.

use std::path::PathBuf;

use thiserror::Error;

use crate::{
    diagnostic::{Bare, Complaint},
    secret::SecretError,
};

/// Why something about an approval cannot be done. What is wrong with an approval itself is an [`super::Invalid`].
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum ApprovalError {
    #[error("{} cannot be read: {why}", .path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{} is larger than {most} KiB", .path.display())]
    TooLarge { path: PathBuf, most: u64 },
    #[error("{file}, line {line}: {why}")]
    Signers { file: String, line: usize, why: String },
    #[error("{0} is OpenSSH's binary list of revoked keys (KRL)")]
    BinaryKrl(String),
    #[error("{0} has neither an SSH key nor a public one in it")]
    NoKey(String),
    #[error("the private key in {0} is of a kind that cannot be read here")]
    UnreadKey(String),
    #[error("{0} holds a key in an older format")]
    OldKey(String),
    #[error("the passphrase does not open the key in {0}")]
    Passphrase(String),
    #[error("the key in {0} has a passphrase, and there is no terminal to ask at")]
    NoTerminal(String),
    #[error("the key in {0} has a passphrase, and was not opened with it")]
    Locked(String),
    #[error(transparent)]
    Secret(SecretError),
    #[error("there is no ssh-agent to ask: SSH_AUTH_SOCK is not set, or nobody listens there ({0})")]
    NoAgent(String),
    #[error("the ssh-agent answers in a way that is none: {0}")]
    Agent(String),
    #[error("the ssh-agent does not sign with the key {0}")]
    AgentRefused(String),
    #[error("the key {0} cannot be signed with: {1}")]
    NotSigned(String, String),
    #[error("{0} is no signature of OpenSSH's")]
    NoSignature(String),
    #[error("this is no statement of apiece's")]
    NoStatement,
    #[error("the statement is not about campaign {0} as it is here")]
    OtherStatement(String),
    #[error("a reason is wanted, {0} characters at most")]
    Reason(usize),
    #[error("a reason is kept for good and is in every report: it may have no address in it")]
    ReasonNames,
    #[error("nothing can be encrypted for {0}: {1}")]
    NoRecipient(String, String),
    #[error("it cannot be opened with the key {0}: it is for another one, or it was changed")]
    NotForKey(String),
    #[error("it cannot be opened: {0}")]
    NotOpened(String),
    #[error("this is neither a bundle of apiece's nor an approval")]
    NoBundle,
}

impl Complaint for ApprovalError {
    fn code(&self) -> &'static str {
        match self {
            Self::Signers { .. } | Self::BinaryKrl(_) => "approval.signers",
            Self::NoKey(_)
            | Self::NoTerminal(_)
            | Self::Locked(_)
            | Self::UnreadKey(_)
            | Self::OldKey(_)
            | Self::Passphrase(_)
            | Self::NotSigned(..)
            | Self::NoRecipient(..) => "approval.key",
            Self::Secret(why) => why.code(),
            Self::NoAgent(_) | Self::Agent(_) | Self::AgentRefused(_) => "approval.agent",
            Self::NoSignature(_) | Self::NoStatement | Self::OtherStatement(_) => "approval.statement",
            Self::Reason(_) | Self::ReasonNames => "approval.reason",
            Self::NotForKey(_) | Self::NotOpened(_) | Self::NoBundle => "approval.bundle",
            Self::Unreadable { .. } | Self::TooLarge { .. } => "approval.unreadable",
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Secret(why) => return why.help(),
            Self::NoTerminal(_) | Self::Locked(_) | Self::UnreadKey(_) => {
                "give it to the ssh-agent with ssh-add, and name its .pub file"
            }
            Self::Signers { .. } => {
                "a line is: NAME[,NAME] [OPTIONS] KEYTYPE KEY, as ssh-keygen(1) says under ALLOWED SIGNERS"
            }
            Self::BinaryKrl(_) => "name a text file with one revoked public key on each line instead",
            Self::NoKey(_) => {
                "name a private key such as ~/.ssh/id_ed25519, or a .pub file whose private key is in the ssh-agent"
            }
            Self::OldKey(_) => "ssh-keygen -p -f FILE writes it in OpenSSH's own format",
            Self::NoAgent(_) => "name a key file with --key, or start an agent: eval $(ssh-agent); ssh-add",
            Self::AgentRefused(_) => "ssh-add -l lists what it has; it may want you to touch or to unlock something",
            Self::NotSigned(..) => {
                "write the statement with --statement FILE, and sign it: ssh-keygen -Y sign -n apiece -f KEY FILE"
            }
            Self::NoRecipient(..) => "a bundle is for SSH keys of the types ssh-ed25519 and ssh-rsa",
            Self::OtherStatement(_) => "write a new one with --statement FILE, and have that signed",
            _ => return None,
        };
        Some(help.to_owned())
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}
