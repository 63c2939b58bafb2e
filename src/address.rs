//! A mail address that can be sent to.
//!
//! Stricter than RFC 5321 on purpose, like the checks of GOV.UK Notify: what the standard allows and nobody uses
//! (quoted local parts, comments, address literals) is far more often a slip of the keyboard.

use std::fmt;

use thiserror::Error;

use crate::diagnostic::{Complaint, quoted};

/// One address, in the form in which it travels: ASCII, the domain as A-labels (RFC 5890).
///
/// ```
/// use apiece::address::Address;
/// let address: Address = " Info@Bücher.example ".parse()?;
/// assert_eq!(address.as_str(), "Info@xn--bcher-kva.example");
/// assert_eq!(address.to_string(), "Info@bücher.example");
/// assert!("a@one.example, b@two.example".parse::<Address>().is_err());
/// # Ok::<(), apiece::address::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(lettre::Address);

/// Why a text is not an address.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AddressError {
    #[error("there is no address")]
    Empty,
    #[error("{0} has no @")]
    NoAt(String),
    #[error("{0} holds more than one address")]
    Several(String),
    #[error("{text} has a name around the address")]
    DisplayName { text: String, bare: String },
    #[error("{0} begins with mailto:")]
    Mailto(String),
    #[error("{text} has the character {} inside, which no address may hold", described(*.character))]
    Character { text: String, character: char },
    #[error("{0} has non-ASCII letters before the @")]
    NonAsciiLocal(String),
    #[error("{0} has a dot at the beginning or end of the part before the @, or two dots in a row")]
    Dots(String),
    #[error("{0} is too long: at most 64 characters before the @ and 254 in all")]
    TooLong(String),
    #[error("{0} has a domain that cannot exist")]
    Domain(String),
    #[error("{0} has no dot in its domain")]
    NoDot(String),
    #[error("{0} has an IP address in place of a domain")]
    Literal(String),
}

fn described(character: char) -> String {
    match character {
        ' ' => "space".into(),
        '\u{a0}' => "no-break space (U+00A0)".into(),
        c if c.is_ascii_graphic() => format!("\"{c}\""),
        c => format!("U+{:04X}", u32::from(c)),
    }
}

impl Complaint for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "address.empty",
            Self::NoAt(_) => "address.no-at",
            Self::Several(_) => "address.several",
            Self::DisplayName { .. } => "address.display-name",
            Self::Mailto(_) => "address.mailto",
            Self::Character { .. } => "address.character",
            Self::NonAsciiLocal(_) => "address.non-ascii-local",
            Self::Dots(_) => "address.dots",
            Self::TooLong(_) => "address.too-long",
            Self::Domain(_) => "address.domain",
            Self::NoDot(_) => "address.no-dot",
            Self::Literal(_) => "address.literal",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Empty => "fill in the address, or take the row out of the list".into(),
            Self::Several(_) => "one cell, one address: give each person a row of their own".into(),
            Self::DisplayName { bare, .. } => format!("write the address alone: {bare}"),
            Self::Mailto(_) => "write the address alone".into(),
            Self::NonAsciiLocal(_) => "most servers cannot deliver to it; ask the person for another address".into(),
            _ => return None,
        })
    }
}

/// White space and invisible characters that cling to cells copied from elsewhere.
fn clings(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_matches(clings);
        let shown = || quoted(text);
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:")) {
            return Err(AddressError::Mailto(shown()));
        }
        if text.matches('@').count() > 1 {
            return Err(AddressError::Several(shown()));
        }
        if let Some((_, rest)) = text.split_once('<')
            && let Some((bare, _)) = rest.split_once('>')
        {
            return Err(AddressError::DisplayName { text: shown(), bare: quoted(bare.trim_matches(clings)) });
        }
        let Some((local, domain)) = text.split_once('@') else {
            return Err(AddressError::NoAt(shown()));
        };
        if let Some(character) = text.chars().find(|c| clings(*c) || c.is_control() || ",;:\"()<>\\[]".contains(*c))
            && !domain.starts_with('[')
        {
            return Err(AddressError::Character { text: shown(), character });
        }
        check_local(local, &shown)?;
        let domain = check_domain(domain, &shown)?;
        // RFC 5321 §4.5.3.1.3: a path is at most 256 octets with its angle brackets.
        if local.len() > 64 || local.len() + 1 + domain.len() > 254 {
            return Err(AddressError::TooLong(shown()));
        }
        match lettre::Address::new(local, &domain) {
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(AddressError::Domain(shown())),
        }
    }
}

fn check_local(local: &str, shown: &dyn Fn() -> String) -> Result<(), AddressError> {
    if !local.is_ascii() {
        return Err(AddressError::NonAsciiLocal(shown()));
    }
    // `atext` of RFC 5322 §3.2.3 and the dot
    let allowed = |c: &char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(*c);
    if let Some(character) = local.chars().find(|c| !allowed(c)) {
        return Err(AddressError::Character { text: shown(), character });
    }
    if local.is_empty() || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressError::Dots(shown()));
    }
    Ok(())
}

/// The domain as A-labels.
fn check_domain(domain: &str, shown: &dyn Fn() -> String) -> Result<String, AddressError> {
    if domain.starts_with('[') || domain.parse::<std::net::IpAddr>().is_ok() {
        return Err(AddressError::Literal(shown()));
    }
    let Ok(ascii) = idna::domain_to_ascii_strict(domain) else {
        return Err(AddressError::Domain(shown()));
    };
    let labels: Vec<&str> = ascii.split('.').collect();
    let label_ok = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if ascii.is_empty() || !labels.iter().all(label_ok) {
        return Err(AddressError::Domain(shown()));
    }
    let [_, .., top] = labels.as_slice() else {
        return Err(AddressError::NoDot(shown()));
    };
    if !(top.starts_with("xn--") || (top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()))) {
        return Err(AddressError::Domain(shown()));
    }
    // Upper case survives only where the user wrote ASCII.
    Ok(if domain.is_ascii() { domain.to_owned() } else { ascii })
}

impl Address {
    /// As it travels: ASCII, at most 254 octets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// What follows the @, as A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// For comparing: two addresses with the same key are the same mailbox for us. Servers may tell upper from
    /// lower case before the @ (RFC 5321 §2.4), and none does.
    #[must_use]
    pub fn key(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }

    /// Shortened for logs: `a…@police.example`.
    #[must_use]
    pub fn shortened(&self) -> String {
        format!("{}…@{}", &self.as_str()[..1], self.domain())
    }

    /// The same for lettre.
    #[must_use]
    pub fn to_lettre(&self) -> lettre::Address {
        self.0.clone()
    }
}

/// For people: the domain in Unicode.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (domain, readable) = idna::domain_to_unicode(self.domain());
        match readable {
            Ok(()) if self.domain().to_ascii_lowercase().contains("xn--") => write!(f, "{}@{domain}", self.0.user()),
            _ => f.write_str(self.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn ordinary_and_unusual_addresses_pass() {
        for text in [
            "a@b.example",
            "o'brien+case@sub.police.example",
            "double--hyphen@a--b.example",
            "UPPER.Case@Police.Example",
            "x@xn--bcher-kva.example",
            "\u{feff}ann@one.example\u{a0}",
        ] {
            assert!(text.parse::<Address>().is_ok(), "{text}: {:?}", text.parse::<Address>());
        }
    }

    #[test]
    fn each_slip_has_its_own_sentence() {
        assert_eq!(error("  "), "there is no address");
        assert_eq!(error("ann.one.example"), "\"ann.one.example\" has no @");
        assert_eq!(
            error("a@one.example; b@two.example"),
            "\"a@one.example; b@two.example\" holds more than one address"
        );
        assert_eq!(error("Ann <a@one.example>"), "\"Ann <a@one.example>\" has a name around the address");
        assert_eq!(error("mailto:a@one.example"), "\"mailto:a@one.example\" begins with mailto:");
        assert_eq!(
            error("a b@one.example"),
            "\"a b@one.example\" has the character space inside, which no address may hold"
        );
        assert_eq!(
            error("a\u{200b}b@one.example"),
            "\"a<U+200B>b@one.example\" has the character U+200B inside, which no address may hold"
        );
        assert!(error("a@one.example,").contains("\",\""));
        assert!(error("“a”@one.example").contains("non-ASCII letters before the @"));
        assert!(error("a..b@one.example").contains("two dots in a row"));
        assert!(error(".a@one.example").contains("dot at the beginning"));
        assert!(error("@one.example").contains("dot at the beginning"));
        assert!(error("a@localhost").contains("no dot in its domain"));
        assert!(error("a@[127.0.0.1]").contains("IP address"));
        assert!(error("a@127.0.0.1").contains("IP address"));
        assert!(error("a@one..example").contains("domain that cannot exist"));
        assert!(error("a@-one.example").contains("domain that cannot exist"));
        assert!(error("a@one.example1").contains("domain that cannot exist"));
        assert!(error("a@one.e").contains("domain that cannot exist"));
        assert!(error("a@under_score.example").contains("domain that cannot exist"));
        assert!(error(&format!("{}@one.example", "a".repeat(65))).contains("too long"));
        assert!(error("a\r\nBcc: b@one.example").contains("U+000D"));
    }

    #[test]
    fn the_key_ignores_case() {
        let key = |text: &str| text.parse::<Address>().unwrap().key();
        assert_eq!(key("Ann@One.EXAMPLE"), key("ann@one.example"));
        assert_eq!(key("ann@BÜCHER.example"), key("ann@xn--bcher-kva.example"));
        assert_ne!(key("ann+1@one.example"), key("ann@one.example"));
    }
}
