//! How the messages of an account are signed (DKIM).

use std::path::{Path, PathBuf};

use crate::{
    address::Address,
    campaign::{
        account::resolve,
        keys::{At, Keys},
    },
};

/// So long may a name in the DNS be (RFC 1035 §2.3.4), without the dot at its end.
const MOST_NAME: usize = 253;

/// Under which name messages are signed, and where the key is. Holds no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// The domain that answers for the messages, as A-labels in lower case (`d=`).
    pub domain: String,
    /// Which of the domain's keys it is (`s=`).
    pub selector: String,
    /// PEM file with the private key.
    pub key_file: PathBuf,
}

impl Dkim {
    /// Where the public key is published (RFC 6376 §3.6.2.1).
    #[must_use]
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }
}

/// The table `dkim` of an account, if all of it is right.
pub(super) fn read(account: &mut Keys<'_>, base: &Path) -> Option<Dkim> {
    let mut keys = account.table("dkim")?;
    let [domain, selector, key_file] = ["domain", "selector", "key_file"].map(|key| {
        if keys.span_of(key).is_none() {
            keys.missing(key);
        }
        keys.string(key)
    });
    let domain = domain.and_then(|domain| read_domain(&mut keys, &domain));
    let selector = selector.and_then(|selector| read_selector(&mut keys, selector));
    let key_file = key_file.and_then(|file| read_key_file(&mut keys, "key_file", &file, base));
    let dkim = match (domain, selector, key_file) {
        (Some(domain), Some(selector), Some(key_file)) => Some(Dkim { domain: domain.value, selector, key_file }),
        _ => None,
    };
    account.adopt(keys.finish());
    dkim
}

fn read_domain(keys: &mut Keys<'_>, At { value, span }: &At<String>) -> Option<At<String>> {
    match format!("postmaster@{value}").parse::<Address>() {
        Ok(address) if !value.contains('@') => {
            Some(At { value: address.domain().to_ascii_lowercase(), span: span.clone() })
        }
        _ => {
            let help = "write the part behind the @ of the address in from, such as police.example";
            keys.complain(span.clone(), "domain", "this is not a domain", Some(help.into()));
            None
        }
    }
}

fn read_selector(keys: &mut Keys<'_>, At { value, span }: At<String>) -> Option<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if value.len() <= MOST_NAME / 2 && value.split('.').all(label) {
        return Some(value);
    }
    let help = "letters, digits and hyphens, such as s2026; it stands before ._domainkey in the DNS";
    keys.complain(span, "selector", "this cannot be a selector", Some(help.into()));
    None
}

/// The path of a file with a key.
pub(super) fn read_key_file(
    keys: &mut Keys<'_>,
    name: &'static str,
    At { value, span }: &At<String>,
    base: &Path,
) -> Option<PathBuf> {
    // Whoever puts the key itself here must not see it again in an error about a file that is not there.
    if value.is_empty() || value.chars().any(char::is_control) || value.contains("-----") {
        let help = "save the key as a file that only you can read, and write its name here";
        keys.complain(span.clone(), name, "this is the name of a file, not the key", Some(help.into()));
        return None;
    }
    Some(resolve(base, value))
}
