//! A frozen campaign as a file that only some people can open: age, by their SSH keys.
//!
//! Inside, a first line says what it is and the second is the [`Luggage`]. Then comes one thing after the other, each with a
//! letter and its length in front: `P` a person as a line of JSON, `F` a file's path and `B` its bytes, and at the end `E`.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use age::{Decryptor, Encryptor, ssh};
use jiff::Timestamp;
use ssh_key::PublicKey;

use super::{ApprovalError, Key, key::fingerprint};
use crate::{
    diagnostic::visible,
    outbox::{Carried, Luggage, Overview, Store, StoreError},
};

/// What is inside begins so.
const KIND: &[u8] = b"apiece bundle 1\n";

/// How a file of age's begins.
const AGE: &[u8] = b"age-encryption.org/v1\n";

/// A bundle is no larger, and so what comes out of it: nothing in it is packed.
const MOST_BUNDLE: u64 = 1 << 30;

/// No one thing in it is larger, settings and people with many rows among them.
const MOST_PART: u32 = 1 << 26;

/// Whom something can be encrypted for.
pub fn recipient(key: &PublicKey) -> Result<ssh::Recipient, ApprovalError> {
    let wrong = |why: String| ApprovalError::NoRecipient(fingerprint(key.key_data()), why);
    let text = key.to_openssh().map_err(|why| wrong(why.to_string()))?;
    text.parse().map_err(|_| wrong(format!("its type is {}", key.algorithm())))
}

/// Whether a file is encrypted by age.
pub fn is_bundle(path: &Path) -> Result<bool, ApprovalError> {
    let unreadable = |why: io::Error| ApprovalError::Unreadable { path: path.to_owned(), why: why.to_string() };
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(ApprovalError::Unreadable { path: path.to_owned(), why: "it is no file".into() });
    }
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(AGE.len() as u64).read_to_end(&mut start)).map_err(unreadable)?;
    Ok(start == AGE)
}

/// Writes a campaign into a file for some people. It must be what was prepared: see [`Store::thaw`].
pub fn export(
    store: &Store,
    campaign: &Overview,
    origin: &str,
    recipients: &[ssh::Recipient],
    into: File,
) -> Result<(), StoreError> {
    let failed = |why: String| StoreError::NotCarried(why);
    let all = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(all).map_err(|why| failed(why.to_string()))?;
    let out = encryptor.wrap_output(io::BufWriter::new(into)).map_err(|why| failed(why.to_string()))?;
    let out = std::cell::RefCell::new(out);
    let start = |luggage: &Luggage| {
        let mut out = out.borrow_mut();
        out.write_all(KIND)?;
        put(&mut *out, b'L', &serde_json::to_vec(luggage)?)
    };
    let take = |one: &Carried| {
        let mut out = out.borrow_mut();
        match one {
            Carried::Person { row, address, fields, digest } => {
                put(&mut *out, b'P', &serde_json::to_vec(&(row, address, fields, digest))?)
            }
            Carried::File { path, bytes } => {
                put(&mut *out, b'F', path.as_bytes())?;
                put(&mut *out, b'B', bytes)
            }
        }
    };
    store.carry(campaign, origin, start, take)?;
    let mut out = out.into_inner();
    let end = put(&mut out, b'E', &[]).and_then(|()| out.finish()).and_then(|file| {
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    });
    end.map_err(|why| failed(why.to_string()))
}

/// Takes the campaign of a file into a record, for somebody to look at.
pub fn import(
    store: &mut Store,
    path: &Path,
    key: &Key,
    who: &str,
    now: Timestamp,
) -> Result<Result<Overview, StoreError>, ApprovalError> {
    let unreadable = |why: io::Error| ApprovalError::Unreadable { path: path.to_owned(), why: why.to_string() };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > MOST_BUNDLE {
        return Err(ApprovalError::TooLarge { path: path.to_owned(), most: MOST_BUNDLE >> 10 });
    }
    let not_opened = |why: &dyn std::fmt::Display| ApprovalError::NotOpened(why.to_string());
    let opened = key.opened()?;
    let identity = ssh::Identity::from_buffer(opened.as_ref(), None).map_err(|why| not_opened(&why))?;
    if matches!(identity, ssh::Identity::Unsupported(_)) {
        return Err(ApprovalError::NoRecipient(
            key.fingerprint(),
            "its type is neither ssh-ed25519 nor ssh-rsa".into(),
        ));
    }
    let decryptor = Decryptor::new_buffered(BufReader::new(file.take(MOST_BUNDLE))).map_err(|why| not_opened(&why))?;
    if decryptor.is_scrypt() {
        return Err(not_opened(&"it is encrypted with a passphrase, not for a key"));
    }
    let identity: &dyn age::Identity = &identity;
    let inside = decryptor.decrypt(std::iter::once(identity)).map_err(|why| match why {
        age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed => {
            ApprovalError::NotForKey(key.fingerprint())
        }
        other => not_opened(&other),
    })?;
    let mut inside = BufReader::new(inside);
    let mut kind = [0; KIND.len()];
    let luggage = inside.read_exact(&mut kind).and_then(|()| get(&mut inside)).map_err(|why| not_opened(&why))?;
    let luggage = match luggage {
        (b'L', luggage) if kind == KIND => serde_json::from_slice::<Luggage>(&luggage).ok(),
        _ => None,
    };
    let luggage = luggage.ok_or(ApprovalError::NoBundle)?;
    Ok(store.bring(&luggage, || next(&mut inside), who, now))
}

/// Writes a part.
fn put(out: &mut impl Write, letter: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= MOST_PART);
    let length = length.ok_or_else(|| odd("a part of it is too large"))?;
    out.write_all(&[letter])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(bytes)
}

/// Reads a part. No room is made for more than really comes.
fn get(inside: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    inside.read_exact(&mut head)?;
    let [letter, length @ ..] = head;
    let length = u32::from_be_bytes(length);
    if length > MOST_PART {
        return Err(odd("a part of it is too large"));
    }
    let mut bytes = Vec::new();
    inside.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(odd("it ends too soon"));
    }
    Ok((letter, bytes))
}

/// The next thing.
fn next(inside: &mut impl Read) -> io::Result<Option<Carried>> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| odd("a path is no text"));
    match get(inside)? {
        (b'P', line) => {
            let (row, address, fields, digest) = serde_json::from_slice(&line)?;
            Ok(Some(Carried::Person { row, address, fields, digest }))
        }
        (b'F', path) => match get(inside)? {
            (b'B', bytes) => Ok(Some(Carried::File { path: text(path)?, bytes })),
            _ => Err(odd("a file is missing")),
        },
        // Only with its end is it known that none of it was cut off.
        (b'E', _) => match inside.read(&mut [0])? {
            0 => Ok(None),
            _ => Err(odd("something comes behind its end")),
        },
        (other, _) => Err(odd(&format!("a part is called {}", visible(&char::from(other).to_string())))),
    }
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}
