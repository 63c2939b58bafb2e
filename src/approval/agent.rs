//! The ssh-agent: which keys it has, and signing with one (draft-ietf-sshm-ssh-agent). Two messages, and no crate that does no
//! more than them.

use ssh_key::{PublicKey, Signature};

use super::ApprovalError;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// An RSA key signs with SHA-512; SHA-1 counts for nothing.
const RSA_SHA2_512: u32 = 4;

/// OpenSSH's own limit.
const MOST_BYTES: u32 = 256 * 1024;

/// So many keys are looked at.
const MOST_KEYS: u32 = 1000;

/// A connection to the agent of whoever runs this.
#[derive(Debug)]
pub struct Agent {
    #[cfg(unix)]
    stream: std::os::unix::net::UnixStream,
}

#[cfg(unix)]
impl Agent {
    /// To the one that `SSH_AUTH_SOCK` names.
    pub fn connect() -> Result<Self, ApprovalError> {
        let none = |why: String| ApprovalError::NoAgent(why);
        let path = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| none("it is not set".into()))?;
        let stream = std::os::unix::net::UnixStream::connect(path).map_err(|why| none(why.to_string()))?;
        Ok(Self { stream })
    }

    /// Sends a message and reads the answer, whose type is given apart.
    fn ask(&mut self, kind: u8, body: &[u8], patience: std::time::Duration) -> std::io::Result<(u8, Vec<u8>)> {
        use std::io::{Error, ErrorKind, Read, Write};
        self.stream.set_read_timeout(Some(patience))?;
        self.stream.set_write_timeout(Some(patience))?;
        let length = u32::try_from(body.len() + 1).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
        self.stream.write_all(&[&length.to_be_bytes()[..], &[kind], body].concat())?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if !(1..=MOST_BYTES).contains(&length) {
            return Err(Error::new(ErrorKind::InvalidData, "an answer of that length is none"));
        }
        let mut answer = vec![0; length as usize];
        self.stream.read_exact(&mut answer)?;
        let body = answer.split_off(1);
        Ok((answer[0], body))
    }
}

#[cfg(not(unix))]
impl Agent {
    /// Elsewhere agents are not reached through a socket.
    pub fn connect() -> Result<Self, ApprovalError> {
        Err(ApprovalError::NoAgent("on this system it cannot be reached".into()))
    }

    fn ask(&mut self, _: u8, _: &[u8], _: std::time::Duration) -> std::io::Result<(u8, Vec<u8>)> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl Agent {
    /// The keys that it has, as far as they are of a kind that is known.
    pub fn keys(&mut self) -> Result<Vec<PublicKey>, ApprovalError> {
        let odd = || ApprovalError::Agent("its list of keys ends too soon".into());
        let seconds = std::time::Duration::from_secs(2);
        let (kind, body) =
            self.ask(REQUEST_IDENTITIES, &[], seconds).map_err(|why| ApprovalError::Agent(why.to_string()))?;
        if kind != IDENTITIES_ANSWER {
            return Err(ApprovalError::Agent("it does not say which keys it has".into()));
        }
        let mut rest = body.as_slice();
        let count = number(&mut rest).ok_or_else(odd)?.min(MOST_KEYS);
        let mut keys = Vec::new();
        for _ in 0..count {
            let key = string(&mut rest).ok_or_else(odd)?;
            string(&mut rest).ok_or_else(odd)?;
            // Certificates, and what later versions have
            keys.extend(PublicKey::from_bytes(key).ok());
        }
        Ok(keys)
    }

    /// Has it sign something with a key. It may ask somebody first, or wait until a key is touched.
    pub fn sign(&mut self, key: &PublicKey, data: &[u8]) -> Result<Signature, ApprovalError> {
        let odd = |why: String| ApprovalError::Agent(why);
        let mut body = Vec::new();
        for part in [key.to_bytes().map_err(|why| odd(why.to_string()))?.as_slice(), data] {
            let length = u32::try_from(part.len()).map_err(|why| odd(why.to_string()))?;
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(part);
        }
        let flags = if key.algorithm().is_rsa() { RSA_SHA2_512 } else { 0 };
        body.extend_from_slice(&flags.to_be_bytes());
        let minutes = std::time::Duration::from_secs(120);
        let (kind, body) = self.ask(SIGN_REQUEST, &body, minutes).map_err(|why| odd(why.to_string()))?;
        if kind != SIGN_RESPONSE {
            return Err(ApprovalError::AgentRefused(super::key::fingerprint(key.key_data())));
        }
        let signature = string(&mut body.as_slice()).and_then(|bytes| Signature::try_from(bytes).ok());
        signature.ok_or_else(|| odd("its signature is none".into()))
    }
}

/// Takes a number from the front (RFC 4251 §5).
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(u32::from_be_bytes(*first))
}

/// Takes a string from the front.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (string, others) = rest.split_at_checked(length)?;
    *rest = others;
    Some(string)
}
