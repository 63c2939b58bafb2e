//! Private keys for signing: a PEM file becomes a [`Key`].

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    error::KeyRejected,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use secrecy::zeroize::Zeroizing;

use super::{DkimError, PublicKey};
use crate::secret;

/// A key file longer than this is not one.
const MOST_BYTES: usize = 64 * 1024;

/// A private key. What it is made from is wiped. It has no `Debug`, so that nothing that holds it can show it.
pub(super) enum Key {
    /// `rsa-sha256` (RFC 6376 §3.3.1)
    Rsa(RsaKeyPair),
    /// `ed25519-sha256` (RFC 8463)
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// Reads a file that only its owner can read, and tries the key.
    pub(super) fn read(path: &Path) -> Result<Self, DkimError> {
        let content = secret::read_owner_only(path, "key_file", "key file")?;
        if content.len() > MOST_BYTES {
            return Err(DkimError::TooLong(path.into()));
        }
        let key = Self::parse(&content, path)?;
        // ring finds out that some parts of an RSA key do not go together only when it signs.
        key.sign(b"").map_err(|()| DkimError::Broken(path.into()))?;
        Ok(key)
    }

    fn parse(content: &[u8], path: &Path) -> Result<Self, DkimError> {
        let (form, der) = private_key(content, path)?;
        // RFC 8301 §3.2 advises 2048 bits; ring takes no less.
        let rsa = match form {
            Form::Pkcs1 => RsaKeyPair::from_der(&der),
            Form::Pkcs8 => RsaKeyPair::from_pkcs8(&der),
        };
        match rsa {
            Ok(key) => Ok(Self::Rsa(key)),
            Err(why) if form == Form::Pkcs8 && is(&why, "WrongAlgorithm") => {
                // openssl writes the private key alone; there is no public one in the file to compare with.
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self::Ed25519).map_err(|why| {
                    if is(&why, "WrongAlgorithm") {
                        DkimError::Algorithm(path.into())
                    } else {
                        DkimError::Broken(path.into())
                    }
                })
            }
            Err(why) if is(&why, "TooSmall") => Err(DkimError::TooSmall(path.into())),
            Err(why) if is(&why, "TooLarge") || is(&why, "PrivateModulusLenNotMultipleOf512Bits") => {
                Err(DkimError::Length(path.into()))
            }
            Err(_) => Err(DkimError::Broken(path.into())),
        }
    }

    /// The public half.
    pub(super) fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Rsa(key) => PublicKey::rsa(KeyPair::public_key(key).as_ref()),
            Self::Ed25519(key) => Some(PublicKey::Ed25519(key.public_key().as_ref().to_vec())),
        }
    }

    /// As it stands in `a=`.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// Signs what is hashed to `digest`: RSA takes the data itself and hashes it, Ed25519 signs the hash as its message
    /// (RFC 8463 §3).
    pub(super) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, ()> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature).map_err(|_| ())?;
                Ok(signature)
            }
            Self::Ed25519(key) => {
                let digest = ring::digest::digest(&ring::digest::SHA256, data);
                Ok(key.sign(digest.as_ref()).as_ref().to_vec())
            }
        }
    }
}

/// ring tells its reasons apart by their names alone.
fn is(why: &KeyRejected, name: &str) -> bool {
    why.to_string() == name
}

/// How the key is written inside of the PEM.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 8017 A.1.2
    Pkcs1,
    /// RFC 5958
    Pkcs8,
}

/// The first private key of a PEM file (RFC 7468).
fn private_key(content: &[u8], path: &Path) -> Result<(Form, Zeroizing<Vec<u8>>), DkimError> {
    let text = std::str::from_utf8(content).map_err(|_| DkimError::NotPem(path.into()))?;
    let mut other = None;
    for block in text.split("-----BEGIN ").skip(1) {
        let Some((label, rest)) = block.split_once("-----") else { continue };
        let Some((inside, _)) = rest.split_once("-----END ") else { return Err(DkimError::Broken(path.into())) };
        let form = match label {
            "PRIVATE KEY" => Form::Pkcs8,
            // The older way to encrypt a key has it in a line of its own (RFC 1421 §4.6.1.1).
            "RSA PRIVATE KEY" if inside.contains("ENCRYPTED") => return Err(DkimError::Encrypted(path.into())),
            "RSA PRIVATE KEY" => Form::Pkcs1,
            "ENCRYPTED PRIVATE KEY" => return Err(DkimError::Encrypted(path.into())),
            "EC PRIVATE KEY" => return Err(DkimError::Algorithm(path.into())),
            _ => {
                other = other.or(Some(match label {
                    "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key",
                    "CERTIFICATE" => "a certificate",
                    "OPENSSH PRIVATE KEY" => "a key for SSH",
                    _ => "something else",
                }));
                continue;
            }
        };
        // Room for all from the start: a vector that grows leaves copies behind.
        let mut base64 = Zeroizing::new(Vec::with_capacity(inside.len()));
        base64.extend(inside.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        let mut der = Zeroizing::new(Vec::with_capacity(inside.len()));
        BASE64_STANDARD.decode_vec(&*base64, &mut der).map_err(|_| DkimError::Broken(path.into()))?;
        return Ok((form, der));
    }
    Err(other.map_or(DkimError::NotPem(path.into()), |what| DkimError::Other { path: path.into(), what }))
}
