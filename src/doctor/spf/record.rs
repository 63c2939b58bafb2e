//! A record as it is written (RFC 7208 §4.6).

use std::net::IpAddr;

use crate::diagnostic::quoted;

/// A record has no more terms than these.
const MOST_TERMS: usize = 200;

/// What is said of a server that a term means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// `+`
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// A term that means some servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(String),
    /// The prefixes of both kinds of address behind it
    A(Option<String>, Prefixes),
    Mx(Option<String>, Prefixes),
    Ptr,
    Network(IpAddr, u8),
    Exists,
}

pub(super) type Prefixes = (u8, u8);

/// A record as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) terms: Vec<(Says, Mechanism)>,
    pub(super) redirect: Option<String>,
}

/// Whether a text is meant as an SPF record (RFC 7208 §4.5).
pub(super) fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

/// The terms and modifiers of a record, as they are written.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').skip(1).filter(|word| !word.is_empty())
}

/// The name and the value, if it is a modifier (RFC 7208 §4.6.1).
pub(super) fn modifier(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    (!name.contains([':', '/'])).then_some((name, value))
}

impl Record {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self { terms: Vec::new(), redirect: None };
        for (nth, word) in words(text).enumerate() {
            if nth == MOST_TERMS {
                return Err(format!("it has more than {MOST_TERMS} terms"));
            }
            match modifier(word) {
                Some((name, value)) => record.modifier(name, value)?,
                None => record.terms.push(term_of(word)?),
            }
        }
        Ok(record)
    }

    fn modifier(&mut self, name: &str, value: &str) -> Result<(), String> {
        if !name.eq_ignore_ascii_case("redirect") {
            // `exp`, and those that are not known, say nothing about servers.
            return Ok(());
        }
        if self.redirect.is_some() {
            return Err("redirect= stands there twice".into());
        }
        self.redirect = Some(domain(value)?);
        Ok(())
    }
}

pub(super) fn term_of(term: &str) -> Result<(Says, Mechanism), String> {
    let wrong = || format!("{} is no term of SPF", quoted(term));
    let (says, rest) = match term.as_bytes().first() {
        Some(b'+') => (Says::Pass, &term[1..]),
        Some(b'-') => (Says::Fail, &term[1..]),
        Some(b'~') => (Says::SoftFail, &term[1..]),
        Some(b'?') => (Says::Neutral, &term[1..]),
        _ => (Says::Pass, term),
    };
    let ends = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, value) = rest.split_at(ends);
    let named = value.strip_prefix(':');
    let mechanism = match (name.to_ascii_lowercase().as_str(), named) {
        ("all", None) if value.is_empty() => Mechanism::All,
        ("include", Some(value)) => Mechanism::Include(domain(value)?),
        ("exists", Some(value)) => domain(value).map(|_| Mechanism::Exists)?,
        ("ptr", None) if value.is_empty() => Mechanism::Ptr,
        ("ptr", Some(value)) => domain(value).map(|_| Mechanism::Ptr)?,
        ("a", _) => hosts(value).map(|(of, prefixes)| Mechanism::A(of, prefixes)).ok_or_else(wrong)?,
        ("mx", _) => hosts(value).map(|(of, prefixes)| Mechanism::Mx(of, prefixes)).ok_or_else(wrong)?,
        ("ip4", Some(value)) => network(value, false).ok_or_else(|| format!("{} is no network", quoted(term)))?,
        ("ip6", Some(value)) => network(value, true).ok_or_else(|| format!("{} is no network", quoted(term)))?,
        _ => return Err(wrong()),
    };
    Ok((says, mechanism))
}

/// A domain, or one with macros, which receivers put in.
fn domain(value: &str) -> Result<String, String> {
    let fits =
        !value.is_empty() && value.len() <= 253 && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    if fits && (value.contains('%') || value.trim_end_matches('.').contains('.')) {
        Ok(value.trim_end_matches('.').to_ascii_lowercase())
    } else {
        Err(format!("{} is no domain", quoted(value)))
    }
}

/// `[:domain][/24][//64]`
fn hosts(value: &str) -> Option<(Option<String>, Prefixes)> {
    let (name, prefixes) = value.find('/').map_or((value, ""), |at| value.split_at(at));
    let name = match name.strip_prefix(':') {
        Some(name) => Some(domain(name).ok()?),
        None if name.is_empty() => None,
        None => return None,
    };
    let (v4, v6) = match prefixes.split_once("//") {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (prefixes, None),
    };
    let v4 = match v4.strip_prefix('/') {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= 32)?,
        None if v4.is_empty() => 32,
        None => return None,
    };
    let v6 = v6.map_or(Some(128), |bits| bits.parse().ok().filter(|bits| *bits <= 128))?;
    Some((name, (v4, v6)))
}

fn network(value: &str, is_v6: bool) -> Option<Mechanism> {
    let (address, bits) = value.split_once('/').map_or((value, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if is_v6 { 128 } else { 32 };
    let bits: u8 = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
    (address.is_ipv6() == is_v6).then_some(Mechanism::Network(address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_the_standard_says() {
        let record = Record::parse("v=spf1 a mx/24 a:x.example/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?include:Y.example. exists:%{i}.z.example -all exp=e.example x=y").unwrap();
        let network = |address: &str, bits| Mechanism::Network(address.parse().unwrap(), bits);
        assert_eq!(
            record.terms,
            [
                (Says::Pass, Mechanism::A(None, (32, 128))),
                (Says::Pass, Mechanism::Mx(None, (24, 128))),
                (Says::Pass, Mechanism::A(Some("x.example".into()), (24, 64))),
                (Says::Pass, network("192.0.2.0", 24)),
                (Says::Pass, network("2001:db8::", 32)),
                (Says::Neutral, Mechanism::Include("y.example".into())),
                (Says::Pass, Mechanism::Exists),
                (Says::Fail, Mechanism::All),
            ]
        );
        for (wrong, why) in [
            ("v=spf1 ip4:192.0.2.0/33 -all", "\"ip4:192.0.2.0/33\" is no network"),
            ("v=spf1 ip4:2001:db8:: -all", "\"ip4:2001:db8::\" is no network"),
            ("v=spf1 incldue:x.example -all", "\"incldue:x.example\" is no term of SPF"),
            ("v=spf1 include: -all", "\"\" is no domain"),
            ("v=spf1 all:x.example", "\"all:x.example\" is no term of SPF"),
            ("v=spf1 redirect=a.example redirect=b.example", "redirect= stands there twice"),
            ("v=spf1 mx/x -all", "\"mx/x\" is no term of SPF"),
            ("v=spf1 -all;", "\"-all;\" is no term of SPF"),
            ("v=spf1 é", "\"é\" is no term of SPF"),
        ] {
            assert_eq!(Record::parse(wrong), Err(why.into()), "{wrong}");
        }
        assert!(
            is_record("V=SPF1") && is_record("v=spf1 -all") && !is_record("v=spf10 -all") && !is_record("spf2.0/pra")
        );
    }
}
