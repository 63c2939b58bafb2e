//! A mail address that can be sent to.
//!
//! Stricter than RFC 5321 on purpose, like the checks of GOV.UK Notify: what the standard allows and nobody uses
//! (quoted local parts, comments, address literals) is far more often a slip of the keyboard.

pub(crate) mod domains;

use std::{borrow::Cow, fmt};

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use thiserror::Error;

use crate::diagnostic::{Bare, Complaint, quoted};

/// One address, in the form in which it travels: the domain as A-labels (RFC 5890), everything ASCII but, rarely, what
/// stands before the @ ([`Address::needs_smtputf8`]).
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
pub struct Address(Box<str>);

/// Why a text is not an address.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AddressError {
    #[error("there is no address")]
    Empty,
    #[error("{text} has no @")]
    NoAt { text: String, meant: Option<String> },
    #[error("{0} holds more than one address")]
    Several(String),
    #[error("{0} has more than one @")]
    TwoAts(String),
    #[error("{text} has a name around the address")]
    DisplayName { text: String, bare: String },
    #[error("{text} begins with mailto:")]
    Mailto { text: String, bare: String },
    #[error("{text} has the character {} inside, which no address may hold", described(*.character))]
    Character { text: String, character: char, meant: Option<String> },
    #[error("{text} has the curly quotation mark {character} (U+{:04X})", u32::from(*.character))]
    CurlyQuote { text: String, character: char, meant: Option<String> },
    #[error("{0} has nothing before the @")]
    NoLocal(String),
    #[error("{0} has nothing behind the @")]
    NoDomain(String),
    #[error("{text} has a dot at the beginning or end of the part before the @, or two dots in a row")]
    Dots { text: String, meant: Option<String> },
    #[error("{0} is too long: at most 64 octets before the @ and 254 in all")]
    TooLong(String),
    #[error("{text} has a dot at the beginning or end of its domain, or two dots in a row")]
    DomainDots { text: String, meant: Option<String> },
    #[error("{text} has the character {} in its domain, which no domain may hold", described(*.character))]
    DomainCharacter { text: String, character: char, meant: Option<String> },
    #[error("{0} has a domain that cannot exist")]
    Domain(String),
    #[error("{text} has a domain that ends with {top}, which no domain does")]
    TopLevel { text: String, top: String },
    #[error("{0} has no dot in its domain")]
    NoDot(String),
    #[error("{0} has an IP address in place of a domain")]
    Literal(String),
}

fn described(character: char) -> String {
    match character {
        ' ' => "space".into(),
        '\t' => "tab".into(),
        '"' => "quotation mark".into(),
        '＠' => "full-width @ (U+FF20)".into(),
        '\u{a0}' => "no-break space (U+00A0)".into(),
        c if c.is_ascii_graphic() => format!("\"{c}\""),
        c => format!("U+{:04X}", u32::from(c)),
    }
}

impl Complaint for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "address.empty",
            Self::NoAt { .. } => "address.no-at",
            Self::Several(_) => "address.several",
            Self::TwoAts(_) => "address.two-ats",
            Self::DisplayName { .. } => "address.display-name",
            Self::Mailto { .. } => "address.mailto",
            Self::Character { .. } => "address.character",
            Self::CurlyQuote { .. } => "address.curly-quote",
            Self::NoLocal(_) => "address.no-local-part",
            Self::NoDomain(_) => "address.no-domain",
            Self::Dots { .. } | Self::DomainDots { .. } => "address.dots",
            Self::TooLong(_) => "address.too-long",
            Self::DomainCharacter { .. } | Self::Domain(_) => "address.domain",
            Self::TopLevel { .. } => "address.top-level",
            Self::NoDot(_) => "address.no-dot",
            Self::Literal(_) => "address.literal",
        }
    }

    fn bare(&self) -> Bare {
        let message = match self {
            Self::Empty => "there is no address",
            Self::NoAt { .. } => "the address has no @",
            Self::Several(_) => "the cell holds more than one address",
            Self::TwoAts(_) => "the address has more than one @",
            Self::DisplayName { .. } => "there is a name around the address",
            Self::Mailto { .. } => "the address begins with mailto:",
            Self::Character { .. } => "the address has a character inside which no address may hold",
            Self::CurlyQuote { .. } => "the address has a curly quotation mark",
            Self::NoLocal(_) => "the address has nothing before the @",
            Self::NoDomain(_) => "the address has nothing behind the @",
            Self::Dots { .. } => {
                "the address has a dot at the beginning or end of the part before the @, or two dots in a row"
            }
            Self::TooLong(_) => "the address is too long: at most 64 octets before the @ and 254 in all",
            Self::DomainDots { .. } => {
                "the address has a dot at the beginning or end of its domain, or two dots in a row"
            }
            Self::DomainCharacter { .. } => "the address has a character in its domain which no domain may hold",
            Self::Domain(_) => "the address has a domain that cannot exist",
            Self::TopLevel { .. } => "the address has a domain with an ending that no domain has",
            Self::NoDot(_) => "the address has no dot in its domain",
            Self::Literal(_) => "the address has an IP address in place of a domain",
        };
        let help = match self {
            Self::DisplayName { .. } | Self::Mailto { .. } => Some("write the address alone".into()),
            Self::Character { .. }
            | Self::NoAt { .. }
            | Self::CurlyQuote { .. }
            | Self::DomainDots { .. }
            | Self::DomainCharacter { .. }
            | Self::Dots { .. } => Some("correct it, or ask the person".into()),
            _ => self.help(),
        };
        Bare::said(message, help)
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Empty => "fill in the address, or take the row out of the list".into(),
            Self::TwoAts(_) => "correct it; one cell holds one address".into(),
            Self::Several(_) => "one cell, one address: give each person a row of their own".into(),
            Self::DisplayName { bare, .. } | Self::Mailto { bare, .. } => format!("write the address alone: {bare}"),
            Self::Character { meant: Some(meant), .. }
            | Self::NoAt { meant: Some(meant), .. }
            | Self::CurlyQuote { meant: Some(meant), .. }
            | Self::DomainDots { meant: Some(meant), .. }
            | Self::DomainCharacter { meant: Some(meant), .. }
            | Self::Dots { meant: Some(meant), .. } => format!("did you mean {}?", quoted(meant)),
            Self::NoDot(_) => "it needs something like .org behind it".into(),
            Self::NoAt { .. } | Self::NoLocal(_) | Self::NoDomain(_) => "an address is like name@example.org".into(),
            _ => "correct it, or ask the person".into(),
        })
    }
}

/// White space and invisible characters that cling to cells copied from elsewhere.
#[must_use]
pub fn clings(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        )
}

fn is_curly(c: char) -> bool {
    matches!(c, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2039}' | '\u{203a}')
}

/// `atext` of RFC 5322 §3.2.3 and the dot.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// Whether a text is an address that travels as it is written: the usual case, told in one pass.
pub(crate) fn travels_as_written(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(at) = bytes.iter().position(|byte| *byte == b'@') else { return false };
    let (local, domain) = (&bytes[..at], &bytes[at + 1..]);
    if !(1..=64).contains(&local.len()) || bytes.len() > 254 || !local.iter().all(|byte| LOCAL[usize::from(*byte)]) {
        return false;
    }
    let mut before = b'.';
    for byte in local {
        if *byte == b'.' && before == b'.' {
            return false;
        }
        before = *byte;
    }
    before != b'.' && is_plain_domain(domain)
}

/// Which octets a local part may have.
const LOCAL: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b".!#$%&'*+-/=?^_`{|}~";
    let mut letter = b'0';
    while letter <= b'z' {
        table[letter as usize] = letter.is_ascii_alphanumeric();
        letter += 1;
    }
    let mut nth = 0;
    while nth < marks.len() {
        table[marks[nth] as usize] = true;
        nth += 1;
    }
    table
};

/// Labels of ASCII letters, digits and hyphens, none of them an A-label, and letters alone in the last.
fn is_plain_domain(domain: &[u8]) -> bool {
    let mut labels = 0;
    let mut start = 0;
    let mut letters = true;
    for (nth, byte) in domain.iter().enumerate() {
        if *byte == b'.' {
            if !is_plain_label(&domain[start..nth]) {
                return false;
            }
            labels += 1;
            start = nth + 1;
            letters = true;
        } else if !byte.is_ascii_alphabetic() {
            if !byte.is_ascii_digit() && *byte != b'-' {
                return false;
            }
            letters = false;
        }
    }
    labels > 0 && letters && domain.len() - start >= 2 && is_plain_label(&domain[start..])
}

fn is_plain_label(label: &[u8]) -> bool {
    let a_label = label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"));
    (1..=63).contains(&label.len()) && label[0] != b'-' && label[label.len() - 1] != b'-' && !a_label
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_matches(clings);
        if travels_as_written(text) { Ok(Self(text.into())) } else { parse(text) }
    }
}

/// What is no address, or one with a domain or a local part in another script.
fn parse(text: &str) -> Result<Address, AddressError> {
    let text = &*composed(text);
    let shown = || quoted(text);
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:")) {
        return Err(AddressError::Mailto {
            text: shown(),
            bare: quoted(text[7..].split('?').next().unwrap_or("").trim_matches(clings)),
        });
    }
    if text.matches('@').count() > 1 {
        let words = text.split(|c: char| clings(c) || matches!(c, ',' | ';' | '/' | '|'));
        let several = words.filter(|word| word.trim_matches('.').contains('@')).count() > 1;
        return Err(if several { AddressError::Several(shown()) } else { AddressError::TwoAts(shown()) });
    }
    if let Some((_, rest)) = text.split_once('<')
        && let Some((bare, _)) = rest.split_once('>')
    {
        return Err(AddressError::DisplayName { text: shown(), bare: quoted(bare.trim_matches(clings)) });
    }
    let curly = text.chars().find(|c| is_curly(*c));
    let Some((local, domain)) = text.split_once('@') else {
        if text.contains('＠') {
            return Err(AddressError::Character { text: shown(), character: '＠', meant: meant(text) });
        }
        return Err(AddressError::NoAt { text: shown(), meant: meant(text) });
    };
    if let Some(bare) = named(text) {
        return Err(AddressError::DisplayName { text: shown(), bare: quoted(bare) });
    }
    if let Some(character) = curly {
        return Err(AddressError::CurlyQuote { text: shown(), character, meant: meant(text) });
    }
    let bad = |c: &char| {
        clings(*c)
            || c.is_control()
            || if c.is_ascii() { *c != '@' && !is_local(*c as u8) } else { !c.is_alphanumeric() && *c != '\u{3002}' }
    };
    if let Some(character) = text.chars().find(bad)
        && !domain.starts_with('[')
    {
        return Err(AddressError::Character { text: shown(), character, meant: meant(text) });
    }
    if local.is_empty() {
        return Err(AddressError::NoLocal(shown()));
    }
    if domain.is_empty() {
        return Err(AddressError::NoDomain(shown()));
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressError::Dots { text: shown(), meant: meant(text) });
    }
    if domain.starts_with('.') || domain.ends_with('.') || domain.contains("..") {
        return Err(AddressError::DomainDots { text: shown(), meant: meant(text) });
    }
    let allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if let Some(character) = domain.chars().find(|c| !allowed(*c)).filter(|_| !domain.starts_with('[')) {
        return Err(AddressError::DomainCharacter { text: shown(), character, meant: meant(text) });
    }
    let domain = check_domain(domain, &shown)?;
    // RFC 5321 §4.5.3.1.3: a path is at most 256 octets with its angle brackets.
    if local.len() > 64 || local.len() + 1 + domain.len() > 254 {
        return Err(AddressError::TooLong(shown()));
    }
    Ok(Address(format!("{local}@{domain}").into()))
}

/// The address in `Ann ann@one.example` or `ann@one.example (Ann)`. What is no name for certain, as in
/// `ann lee@one.example`, may belong to the address.
fn named(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let address = words.iter().find(|word| word.contains('@'))?;
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_uppercase() || c == '(' || c == '"');
    let others = || words.iter().filter(|word| *word != address);
    let bare = address.trim_matches(['<', '>', '(', ')']);
    (words.len() > 1 && others().any(is_name) && travels_as_written(bare)).then_some(bare)
}

/// A text with each letter and its accents as one character, where there is one (NFC, UAX #15).
pub(crate) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) }
}

/// The same with each letter and its accents apart (NFD), as some systems write the names of files.
pub(crate) fn decomposed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { DecomposingNormalizerBorrowed::new_nfd().normalize(text) }
}

/// What somebody may have meant by a text that only just is no address.
fn meant(text: &str) -> Option<String> {
    let straight = |c: char| match c {
        '\u{2018}' | '\u{2019}' => '\'',
        '＠' => '@',
        '．' => '.',
        c => c,
    };
    let mut straight: String = text.chars().map(straight).collect();
    for at in ["(at)", "[at]", "(AT)", "[AT]"] {
        straight = straight.replace(at, "@");
    }
    // A comma for a dot: `ada@one,example`
    if let Some((local, domain)) = straight.split_once('@')
        && !domain.contains(' ')
    {
        straight = format!("{local}@{}", domain.trim_end_matches(',').replace(',', "."));
    }
    let around = |c: char| clings(c) || is_curly(c) || ".,;:<>()[]\"'!?".contains(c);
    let inner = straight.trim_matches(around);
    // A slip of the space bar beside the @ or a dot; elsewhere a space may stand for anything.
    let mut close = String::with_capacity(inner.len());
    for (at, c) in inner.char_indices() {
        let beside = |c: Option<char>| matches!(c, Some('@' | '.'));
        let slipped = clings(c)
            && (!c.is_whitespace()
                || beside(inner[..at].trim_end_matches(clings).chars().next_back())
                || beside(inner[at..].trim_start_matches(clings).chars().next()));
        if !slipped {
            close.push(c);
        }
    }
    while close.contains("..") {
        close = close.replace("..", ".");
    }
    let close = close.replace(".@", "@").replace("@.", "@");
    travels_as_written(&close).then_some(close)
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
        return Err(AddressError::TopLevel { text: shown(), top: quoted(&format!(".{top}")) });
    }
    // Upper case survives only where the user wrote ASCII.
    Ok(if domain.is_ascii() { domain.to_owned() } else { ascii })
}

impl Address {
    /// From a text that is known to be an address which [travels as written](travels_as_written).
    pub(crate) fn as_written(text: &str) -> Self {
        Self(text.into())
    }

    /// As it travels: at most 254 octets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the @.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What follows the @, as A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Whether it has characters before the @ that only a server with the extension SMTPUTF8 takes (RFC 6531).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// For comparing: two addresses with the same key are the same mailbox for us. Servers may tell upper from
    /// lower case before the @ (RFC 5321 §2.4), and none does.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// The address that was probably meant, if the domain looks like a slip in one that everybody knows
    /// (`gmial.com`).
    #[must_use]
    pub fn probably_meant(&self) -> Option<String> {
        domains::probably_meant(self.domain()).map(|domain| format!("{}@{domain}", self.local()))
    }

    /// Shortened for logs: `a…@police.example`.
    #[must_use]
    pub fn shortened(&self) -> String {
        format!("{}…@{}", self.0.chars().next().unwrap_or('?'), self.domain())
    }
}

/// For people: the domain in Unicode.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.domain().to_ascii_lowercase().contains("xn--") {
            return f.write_str(self.as_str());
        }
        match idna::domain_to_unicode(self.domain()) {
            (domain, Ok(())) => write!(f, "{}@{domain}", self.local()),
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
        assert_eq!(error("“a”@one.example"), "\"“a”@one.example\" has the curly quotation mark “ (U+201C)");
        assert!(error("a..b@one.example").contains("two dots in a row"));
        assert!(error(".a@one.example").contains("dot at the beginning"));
        assert!(error("@one.example").contains("nothing before the @"));
        assert!(error("ada@").contains("nothing behind the @"));
        assert!(error("a@localhost").contains("no dot in its domain"));
        assert!(error("a@[127.0.0.1]").contains("IP address"));
        assert!(error("a@127.0.0.1").contains("IP address"));
        assert!(error("a@one..example").contains("end of its domain, or two dots"));
        assert_eq!(error("a@@one.example"), "\"a@@one.example\" has more than one @");
        assert_eq!(error("Ann ann@one.example"), "\"Ann ann@one.example\" has a name around the address");
        assert_eq!(error("ann@one.example (Ann)"), "\"ann@one.example (Ann)\" has a name around the address");
        assert!(error("a@-one.example").contains("domain that cannot exist"));
        assert!(error("a@one.example1").contains("ends with \".example1\""));
        assert!(error("a@one.e").contains("ends with \".e\""));
        assert!(error("a@under_score.example").contains("character \"_\" in its domain"));
        assert!(error(&format!("{}@one.example", "a".repeat(65))).contains("too long"));
        assert!(error("a\r\nBcc: b@one.example").contains("U+000D"));
    }

    #[test]
    fn what_was_meant_is_said_where_it_is_plain() {
        let help = |text: &str| text.parse::<Address>().unwrap_err().help();
        for (text, meant) in [
            ("ada @one.example", "ada@one.example"),
            ("ada@one. example", "ada@one.example"),
            ("a\u{200b}da@one.example", "ada@one.example"),
            ("ada@one.example;", "ada@one.example"),
            ("(ada@one.example)", "ada@one.example"),
            ("“ada@one.example”", "ada@one.example"),
            ("o’brien@one.example", "o'brien@one.example"),
            ("ada..l@one.example", "ada.l@one.example"),
            (".ada@one.example", "ada@one.example"),
            ("ada@one..example", "ada@one.example"),
            ("ada@one.example.", "ada@one.example"),
            ("'ada@one.example'", "ada@one.example"),
            ("ada@one.example!", "ada@one.example"),
            ("ada＠one.example", "ada@one.example"),
            ("a\u{ad}da@one.example", "ada@one.example"),
            ("ada\t@one.example", "ada@one.example"),
        ] {
            assert_eq!(help(text), Some(format!("did you mean \"{meant}\"?")), "{text}");
        }
        for text in ["ada l@one.example", "ada@one example", "a;b@one.example", "ada!\u{2014}@one.example"] {
            assert_eq!(help(text).as_deref(), Some("correct it, or ask the person"), "{text}");
        }
    }

    #[test]
    fn letters_of_other_scripts_before_the_at_need_smtputf8() {
        let address: Address = "jörg.Ünal@Bücher.example".parse().unwrap();
        assert_eq!(address.as_str(), "jörg.Ünal@xn--bcher-kva.example");
        assert!(address.needs_smtputf8());
        assert_eq!(address.key(), "jörg.ünal@xn--bcher-kva.example");
        assert_eq!(address.shortened(), "j…@xn--bcher-kva.example");
        assert!(!"jorg@bücher.example".parse::<Address>().unwrap().needs_smtputf8());
        assert!(error("ann＠one.example").contains("full-width @"));
        assert_eq!("x@mu\u{308}ller.example".parse::<Address>().unwrap().as_str(), "x@xn--mller-kva.example");
        assert!(error("ann♥@one.example").contains("U+2665"));
    }

    #[test]
    fn the_key_ignores_case() {
        let key = |text: &str| text.parse::<Address>().unwrap().key();
        assert_eq!(key("Ann@One.EXAMPLE"), key("ann@one.example"));
        assert_eq!(key("ann@BÜCHER.example"), key("ann@xn--bcher-kva.example"));
        assert_ne!(key("ann+1@one.example"), key("ann@one.example"));
    }
}
