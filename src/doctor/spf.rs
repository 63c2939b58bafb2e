//! SPF: which servers may send for a domain (RFC 7208). Records are read, followed, and counted as receivers do.

use std::{net::IpAddr, pin::Pin};

use super::names::{Names, Nothing};
use crate::diagnostic::quoted;

/// So many questions to the DNS a record may lead to (RFC 7208 §4.6.4).
pub(super) const MOST_LOOKUPS: usize = 10;

/// So many of them may find nothing.
pub(super) const MOST_VOIDS: usize = 2;

/// After so many it is not counted on.
const ENOUGH: usize = 30;

/// An `mx` may name so many servers (RFC 7208 §4.6.4).
const MOST_EXCHANGERS: usize = 10;

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
enum Mechanism {
    All,
    Include(String),
    /// The prefixes of both kinds of address behind it
    A(Option<String>, Prefixes),
    Mx(Option<String>, Prefixes),
    Ptr,
    Network(IpAddr, u8),
    Exists,
}

type Prefixes = (u8, u8);

/// A record as it is written.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    terms: Vec<(Says, Mechanism)>,
    redirect: Option<String>,
}

/// Whether a text is meant as an SPF record (RFC 7208 §4.5).
pub(super) fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

impl Record {
    fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self { terms: Vec::new(), redirect: None };
        for (nth, term) in text.split(' ').skip(1).filter(|term| !term.is_empty()).enumerate() {
            if nth == MOST_TERMS {
                return Err(format!("it has more than {MOST_TERMS} terms"));
            }
            let name_ends = term.find([':', '/', '=']).unwrap_or(term.len());
            if term[name_ends..].starts_with('=') {
                record.modifier(&term[..name_ends], &term[name_ends + 1..])?;
            } else {
                record.terms.push(term_of(term)?);
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

fn term_of(term: &str) -> Result<(Says, Mechanism), String> {
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

/// What a record comes to, once all that it names was looked up.
#[derive(Debug, Default)]
struct Tree {
    terms: Vec<(Says, Matcher)>,
    redirect: Option<Box<Tree>>,
}

#[derive(Debug)]
enum Matcher {
    All,
    Networks(Vec<(IpAddr, u8)>),
    Include(Box<Tree>),
    /// It depends on the message, or could not be looked up
    Unknown,
}

impl Tree {
    /// What is said of a server; nothing where it cannot be told from here.
    fn about(&self, server: IpAddr) -> Option<Says> {
        for (says, matcher) in &self.terms {
            let is_meant = match matcher {
                Matcher::All => true,
                Matcher::Networks(networks) => networks.iter().any(|network| is_in(server, *network)),
                Matcher::Include(tree) => tree.about(server)? == Says::Pass,
                Matcher::Unknown => return None,
            };
            if is_meant {
                return Some(*says);
            }
        }
        self.redirect.as_ref().map_or(Some(Says::Neutral), |tree| tree.about(server))
    }

    /// What is said of everybody else, if anything is.
    fn end(&self) -> Option<Says> {
        let all = self.terms.iter().find(|(_, matcher)| matches!(matcher, Matcher::All));
        all.map(|(says, _)| *says).or_else(|| self.redirect.as_ref()?.end())
    }
}

fn is_in(server: IpAddr, (network, bits): (IpAddr, u8)) -> bool {
    match (server.to_canonical(), network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(bits),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(bits),
        _ => false,
    }
}

/// What was found out about the SPF of a domain.
#[derive(Debug)]
pub(super) struct Found {
    /// The record, word for word.
    pub(super) text: String,
    /// So many questions to the DNS, at most, does a receiver have.
    pub(super) lookups: usize,
    /// So many of them find nothing.
    pub(super) voids: usize,
    /// What is wrong with it, or with those that it names.
    pub(super) wrong: Vec<String>,
    tree: Tree,
}

impl Found {
    /// What is said of a server; nothing where it cannot be told from here.
    pub(super) fn about(&self, server: IpAddr) -> Option<Says> {
        self.tree.about(server)
    }

    /// What is said of everybody else, if anything is.
    pub(super) fn end(&self) -> Option<Says> {
        self.tree.end()
    }
}

/// Why there is no record to be followed.
#[derive(Debug)]
pub(super) enum No {
    /// There is none.
    Record,
    /// There are so many, and that is as bad as none.
    Single(usize),
    /// Nobody knows.
    Answer(String),
}

/// Looks up the record of a domain, and all that it names.
pub(super) async fn find(names: &Names, domain: &str) -> Result<Found, No> {
    let text = record(names, domain).await?;
    let mut walk = Walk { names, lookups: 0, voids: 0, wrong: Vec::new(), path: vec![domain.to_owned()] };
    let tree = walk.follow(domain, &text).await;
    let Walk { lookups, voids, wrong, .. } = walk;
    Ok(Found { text, lookups, voids, wrong, tree })
}

async fn record(names: &Names, domain: &str) -> Result<String, No> {
    let texts = Nothing::or_none(names.texts(domain).await).map_err(No::Answer)?;
    let mut records: Vec<String> = texts.into_iter().filter(|text| is_record(text)).collect();
    match (records.len(), records.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) => Err(No::Record),
        (count, _) => Err(No::Single(count)),
    }
}

struct Walk<'n> {
    names: &'n Names,
    lookups: usize,
    voids: usize,
    wrong: Vec<String>,
    /// The domains whose records led here
    path: Vec<String>,
}

impl Walk<'_> {
    /// Recursive, so it is boxed.
    fn follow<'w>(&'w mut self, domain: &'w str, text: &'w str) -> Pin<Box<dyn Future<Output = Tree> + Send + 'w>> {
        Box::pin(async move {
            let record = match Record::parse(text) {
                Ok(record) => record,
                Err(why) => {
                    self.wrong.push(if self.path.len() == 1 {
                        why
                    } else {
                        format!("in the record of {domain}, {why}")
                    });
                    return Tree::default();
                }
            };
            let mut tree = Tree::default();
            for (says, mechanism) in record.terms {
                let is_all = mechanism == Mechanism::All;
                tree.terms.push((says, self.look_up(domain, mechanism).await));
                // What stands behind `all` is not looked at (RFC 7208 §5.1).
                if is_all {
                    return tree;
                }
            }
            if let Some(to) = record.redirect {
                tree.redirect = self.other(&to, "redirect=").await.map(Box::new);
            }
            tree
        })
    }

    async fn look_up(&mut self, domain: &str, mechanism: Mechanism) -> Matcher {
        match mechanism {
            Mechanism::All => Matcher::All,
            Mechanism::Network(address, bits) => Matcher::Networks(vec![(address, bits)]),
            Mechanism::Include(of) => {
                self.other(&of, "include:").await.map_or(Matcher::Unknown, |tree| Matcher::Include(Box::new(tree)))
            }
            Mechanism::Ptr | Mechanism::Exists => {
                self.lookups += 1;
                Matcher::Unknown
            }
            Mechanism::A(of, prefixes) => {
                let of = of.unwrap_or_else(|| domain.to_owned());
                if !self.counts(&of) {
                    return Matcher::Unknown;
                }
                self.networks(&of, prefixes).await
            }
            Mechanism::Mx(of, prefixes) => {
                let of = of.unwrap_or_else(|| domain.to_owned());
                if !self.counts(&of) {
                    return Matcher::Unknown;
                }
                let exchangers = match Nothing::or_none(self.names.exchangers(&of).await) {
                    Ok(exchangers) => exchangers,
                    Err(why) => return self.unanswered(&of, &why),
                };
                self.voids += usize::from(exchangers.is_empty());
                if exchangers.len() > MOST_EXCHANGERS {
                    self.wrong.push(format!("mx:{of} means more than {MOST_EXCHANGERS} servers"));
                }
                let mut all = Vec::new();
                for exchanger in exchangers.iter().take(MOST_EXCHANGERS) {
                    match self.networks(exchanger, prefixes).await {
                        Matcher::Networks(some) => all.extend(some),
                        unknown => return unknown,
                    }
                }
                Matcher::Networks(all)
            }
        }
    }

    /// One more question; whether it can be asked from here, and shall be.
    fn counts(&mut self, name: &str) -> bool {
        self.lookups += 1;
        self.lookups <= ENOUGH && !name.contains('%')
    }

    fn unanswered(&mut self, name: &str, why: &str) -> Matcher {
        self.wrong.push(format!("{name} could not be looked up ({why})"));
        Matcher::Unknown
    }

    async fn networks(&mut self, name: &str, (v4, v6): Prefixes) -> Matcher {
        match Nothing::or_none(self.names.addresses(name).await) {
            Ok(addresses) => {
                self.voids += usize::from(addresses.is_empty());
                let network = |address: IpAddr| (address, if address.is_ipv4() { v4 } else { v6 });
                Matcher::Networks(addresses.into_iter().map(network).collect())
            }
            Err(why) => self.unanswered(name, &why),
        }
    }

    /// The record of another domain.
    async fn other(&mut self, domain: &str, by: &str) -> Option<Tree> {
        if !self.counts(domain) {
            return None;
        }
        if self.path.iter().any(|known| known == domain) {
            self.wrong.push(format!("{by}{domain} leads back to itself"));
            return None;
        }
        let text = match record(self.names, domain).await {
            Ok(text) => text,
            Err(why) => {
                self.wrong.push(match why {
                    No::Record => format!("{by}{domain} has no SPF record"),
                    No::Single(count) => format!("{by}{domain} has {count} SPF records"),
                    No::Answer(why) => format!("{by}{domain} could not be looked up ({why})"),
                });
                return None;
            }
        };
        self.path.push(domain.to_owned());
        let tree = self.follow(domain, &text).await;
        self.path.pop();
        Some(tree)
    }
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

    #[test]
    fn the_first_term_that_means_a_server_counts() {
        let term = |says, address: &str, bits| (says, Matcher::Networks(vec![(address.parse().unwrap(), bits)]));
        let inner = Tree {
            terms: vec![
                term(Says::Fail, "192.0.2.7", 32),
                term(Says::Pass, "192.0.2.0", 24),
                (Says::Fail, Matcher::All),
            ],
            redirect: None,
        };
        let tree = Tree {
            terms: vec![(Says::Pass, Matcher::Include(Box::new(inner))), (Says::SoftFail, Matcher::All)],
            redirect: None,
        };
        let about = |server: &str| tree.about(server.parse().unwrap());
        assert_eq!(about("192.0.2.1"), Some(Says::Pass));
        assert_eq!(about("::ffff:192.0.2.1"), Some(Says::Pass));
        assert_eq!(about("192.0.2.7"), Some(Says::SoftFail));
        assert_eq!(about("198.51.100.1"), Some(Says::SoftFail));
        assert_eq!(tree.end(), Some(Says::SoftFail));
        assert_eq!(
            Tree { terms: vec![(Says::Pass, Matcher::Unknown)], redirect: None }.about("::1".parse().unwrap()),
            None
        );
        assert!(is_in("2001:db8::1".parse().unwrap(), ("2001:db8::".parse().unwrap(), 32)));
        assert!(!is_in("2001:db9::1".parse().unwrap(), ("2001:db8::".parse().unwrap(), 32)));
        assert!(is_in("1.2.3.4".parse().unwrap(), ("9.9.9.9".parse().unwrap(), 0)));
    }
}
