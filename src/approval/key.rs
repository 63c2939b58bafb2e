//! Keys in files, and signing.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use rsa::{pkcs1::EncodeRsaPrivateKey, signature::Signer};
use secrecy::{ExposeSecret, SecretString};
use ssh_key::{
    Algorithm, HashAlg, LineEnding, Mpint, PrivateKey, PublicKey, Signature, SshSig,
    private::{KeypairData, RsaKeypair},
    public::KeyData,
};

use super::{Agent, ApprovalError, Decision, NAMESPACE, rule::MOST_FILE};
use crate::{diagnostic::visible, secret::read_owner_only};

/// Keys, signatures and statements are no larger.
const MOST_BYTES: u64 = 64 * 1024;

/// A key that somebody signs with.
#[derive(Debug)]
pub struct Key {
    public: PublicKey,
    holder: Holder,
}

/// Who has the private key.
#[derive(Debug)]
enum Holder {
    /// A file, which may want a passphrase.
    File(PathBuf, Box<PrivateKey>),
    Agent,
}

impl Key {
    /// A private key in a file; or a public one, whose private key the ssh-agent has.
    pub fn read(path: &Path) -> Result<Self, ApprovalError> {
        let shown = || visible(&path.display().to_string());
        if !is_private(path)? {
            let public = read_public(path)?.into_iter().next();
            return public.map(Self::of_agent).ok_or_else(|| ApprovalError::NoKey(shown()));
        }
        let text = read_owner_only(path, "--key", "key").map_err(ApprovalError::Secret)?;
        if !text.starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Err(ApprovalError::OldKey(shown()));
        }
        // ssh-key 0.6 reads no ECDSA key whose number begins with a zero octet: one in 256, and every other one on P-521. An
        // agent has no such trouble.
        let private = PrivateKey::from_openssh(&*text).map_err(|_| ApprovalError::UnreadKey(shown()))?;
        let public = private.public_key().clone();
        Ok(Self { public, holder: Holder::File(path.to_owned(), Box::new(private)) })
    }

    /// A key that the ssh-agent has.
    #[must_use]
    pub fn of_agent(public: PublicKey) -> Self {
        Self { public, holder: Holder::Agent }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &KeyData {
        self.public.key_data()
    }

    /// What it is known by: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.public())
    }

    /// The file of a private key that wants its passphrase: see [`Self::unlock`].
    #[must_use]
    pub fn locked(&self) -> Option<&Path> {
        match &self.holder {
            Holder::File(path, private) if private.is_encrypted() => Some(path),
            _ => None,
        }
    }

    /// Opens a private key with its passphrase, so that it can sign and read bundles.
    pub fn unlock(&mut self, passphrase: &SecretString) -> Result<(), ApprovalError> {
        let Holder::File(path, private) = &mut self.holder else { return Ok(()) };
        if private.is_encrypted() {
            let shown = || visible(&path.display().to_string());
            **private = private.decrypt(passphrase.expose_secret()).map_err(|why| match why {
                ssh_key::Error::Crypto => ApprovalError::Passphrase(shown()),
                _ => ApprovalError::UnreadKey(shown()),
            })?;
        }
        Ok(())
    }

    /// The private key, if it is here and open.
    fn private(&self) -> Result<&PrivateKey, ApprovalError> {
        match &self.holder {
            Holder::File(path, private) if private.is_encrypted() => {
                Err(ApprovalError::Locked(visible(&path.display().to_string())))
            }
            Holder::File(_, private) => Ok(private),
            Holder::Agent => {
                Err(ApprovalError::NotSigned(self.fingerprint(), "the ssh-agent does not give it away".into()))
            }
        }
    }

    /// Its private key as OpenSSH writes it, without a passphrase.
    pub(super) fn opened(&self) -> Result<impl AsRef<[u8]> + use<>, ApprovalError> {
        let text = self.private()?.to_openssh(LineEnding::LF);
        let wrong = |why: ssh_key::Error| ApprovalError::NotOpened(why.to_string());
        Ok(secrecy::zeroize::Zeroizing::new(text.map_err(wrong)?.as_bytes().to_vec()))
    }

    /// Signs a statement with an open key, as `ssh-keygen -Y sign -n apiece` does; gives the signature as text.
    pub fn sign(&self, statement: &str) -> Result<String, ApprovalError> {
        let failed = |why: &dyn std::fmt::Display| ApprovalError::NotSigned(self.fingerprint(), why.to_string());
        let signature = match &self.holder {
            Holder::File(..) => {
                let private = self.private()?;
                let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, statement.as_bytes());
                let data = data.map_err(|why| failed(&why))?;
                let signed = match private.key_data() {
                    KeypairData::Rsa(pair) => sign_rsa(pair, &data).map_err(|why| failed(&why))?,
                    _ => private.try_sign(&data).map_err(|why| failed(&why))?,
                };
                SshSig::new(self.public().clone(), NAMESPACE, HashAlg::Sha512, signed).map_err(|why| failed(&why))?
            }
            Holder::Agent => {
                let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, statement.as_bytes());
                let signed = Agent::connect()?.sign(&self.public, &data.map_err(|why| failed(&why))?)?;
                SshSig::new(self.public().clone(), NAMESPACE, HashAlg::Sha512, signed).map_err(|why| failed(&why))?
            }
        };
        let text = signature.to_pem(LineEnding::LF).map_err(|why| failed(&why))?;
        // What is handed on is what others will read, not what was meant.
        match Decision::verify(statement, &text) {
            Ok(key) if key == *self.public() => Ok(text),
            _ => Err(failed(&"what it signs cannot be verified")),
        }
    }
}

/// Signs with RSA and SHA-512 (RFC 8332 §3), by ring.
fn sign_rsa(pair: &RsaKeypair, data: &[u8]) -> Result<Signature, String> {
    let text = |why: &dyn std::fmt::Display| why.to_string();
    let number = |part: &Mpint| rsa::BigUint::try_from(part).map_err(|why| text(&why));
    let (public, private) = (&pair.public, &pair.private);
    let primes = vec![number(&private.p)?, number(&private.q)?];
    let key = rsa::RsaPrivateKey::from_components(number(&public.n)?, number(&public.e)?, number(&private.d)?, primes);
    let der = key.map_err(|why| text(&why))?.to_pkcs1_der().map_err(|why| text(&why))?;
    let key = ring::signature::RsaKeyPair::from_der(der.as_bytes()).map_err(|why| text(&why))?;
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    let signed = key.sign(&ring::signature::RSA_PKCS1_SHA512, &random, data, &mut signature);
    signed.map_err(|_| "ring does not sign with it".to_owned())?;
    Signature::new(Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, signature).map_err(|why| text(&why))
}

/// Whether a file begins as one with a private key does. No more of it is read: that is for whoever wipes it.
fn is_private(path: &Path) -> Result<bool, ApprovalError> {
    let unreadable = |why: std::io::Error| ApprovalError::Unreadable { path: path.to_owned(), why: why.to_string() };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ApprovalError::Unreadable { path: path.to_owned(), why: "it is no file".into() });
    }
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(11).read_to_end(&mut start)).map_err(unreadable)?;
    Ok(start == b"-----BEGIN ")
}

/// The public key of a private one, if a file is one that can be read.
pub(super) fn public_of(path: &Path) -> Option<PublicKey> {
    if is_private(path).ok()? { Key::read(path).ok().map(|key| key.public) } else { None }
}

/// What a key is known by.
pub(super) fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The public keys of a file, one on each line.
pub fn read_public(path: &Path) -> Result<Vec<PublicKey>, ApprovalError> {
    let none = || ApprovalError::NoKey(visible(&path.display().to_string()));
    let text = String::from_utf8(read_file(path, MOST_BYTES)?).map_err(|_| none())?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Result<Vec<_>, _> = lines.map(PublicKey::from_openssh).collect();
    keys.ok().filter(|keys| !keys.is_empty()).ok_or_else(none)
}

/// A statement and the signature of it that `ssh-keygen -Y sign` wrote beside it: `FILE` and `FILE.sig`, or named both.
pub fn read_signature(signature: &Path, statement: Option<&Path>) -> Result<(String, String), ApprovalError> {
    let shown = || visible(&signature.display().to_string());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| ApprovalError::NoSignature(shown()));
    let beside = signature.with_extension("");
    let signed = text(read_file(signature, MOST_BYTES)?)?;
    let statement = read_file(statement.unwrap_or(&beside), MOST_BYTES)?;
    Ok((text(statement)?, signed))
}

/// A file of those who may sign.
pub fn read_signers(path: &Path) -> Result<Vec<u8>, ApprovalError> {
    read_file(path, MOST_FILE)
}

/// A file that is no larger than it can be.
pub(super) fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, ApprovalError> {
    let unreadable = |why: std::io::Error| ApprovalError::Unreadable { path: path.to_owned(), why: why.to_string() };
    // Opening a pipe would wait for somebody to write into it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ApprovalError::Unreadable { path: path.to_owned(), why: "it is no file".into() });
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(ApprovalError::TooLarge { path: path.to_owned(), most: most >> 10 });
    }
    Ok(bytes)
}
