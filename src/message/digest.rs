//! SHA-256 over what people get.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// SHA-256 over the bytes of a message without its `Date`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl From<[u8; 32]> for Digest {
    fn from(octets: [u8; 32]) -> Self {
        Self(octets)
    }
}

impl Digest {
    /// Its 32 octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, not borrowed.
    pub(crate) fn octets(self) -> [u8; 32] {
        self.0
    }

    /// As a number for comparing.
    pub(crate) fn first_octets(&self) -> u64 {
        self.0.first_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    /// Makes one over octets that come bit by bit.
    pub(crate) fn builder() -> DigestBuilder {
        DigestBuilder(Sha256::new())
    }
}

/// Makes a digest over octets that come bit by bit.
pub(crate) struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// These octets come next.
    pub(crate) fn add(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// The same with their number in front, so that where they end is part of the digest.
    pub(crate) fn add_part(&mut self, octets: &[u8]) {
        self.0.update((octets.len() as u64).to_be_bytes());
        self.0.update(octets);
    }

    /// Of all that came.
    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
