//! The public half of a key that signs, as it stands in the DNS.

use base64::{Engine, prelude::BASE64_STANDARD};
use rsa::{
    RsaPublicKey,
    pkcs1::DecodeRsaPublicKey,
    pkcs8::{DecodePublicKey, EncodePublicKey},
    traits::PublicKeyParts,
};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RFC 6376 §3.3.1
    Rsa(RsaPublicKey),
    /// RFC 8463
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// From PKCS#1.
    pub(super) fn rsa(der: &[u8]) -> Option<Self> {
        RsaPublicKey::from_pkcs1_der(der).ok().map(Self::Rsa)
    }

    #[cfg(test)]
    pub(crate) fn ed25519(base64: &str) -> Self {
        Self::Ed25519(BASE64_STANDARD.decode(base64).unwrap())
    }

    /// As it stands in `k=`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa",
            Self::Ed25519(_) => "ed25519",
        }
    }

    /// In words.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Rsa(key) => format!("RSA, {} bits", key.size() * 8),
            Self::Ed25519(_) => "Ed25519".into(),
        }
    }

    /// Whether what stands in `p=` is this key. RFC 6376 has the key itself there for RSA; what everybody publishes is that in a
    /// frame (`SubjectPublicKeyInfo`), and receivers take both.
    #[must_use]
    pub fn is(&self, published: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => RsaPublicKey::from_public_key_der(published)
                .or_else(|_| RsaPublicKey::from_pkcs1_der(published).map_err(|_| rsa::pkcs8::spki::Error::KeyMalformed))
                .is_ok_and(|published| published == *key),
            Self::Ed25519(key) => published == key,
        }
    }

    /// The record to publish (RFC 6376 §3.6.1).
    #[must_use]
    pub fn record(&self) -> String {
        let key = match self {
            Self::Rsa(key) => key.to_public_key_der().map(rsa::pkcs8::Document::into_vec).unwrap_or_default(),
            Self::Ed25519(key) => key.clone(),
        };
        format!("v=DKIM1; k={}; p={}", self.algorithm(), BASE64_STANDARD.encode(key))
    }
}
