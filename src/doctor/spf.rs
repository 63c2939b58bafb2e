//! SPF: which servers may send for a domain (RFC 7208). Records are read, followed, and counted as receivers do.

mod check;
mod mend;
mod record;

use std::{net::IpAddr, pin::Pin};

pub(super) use self::check::check;
use self::record::{Mechanism, Prefixes, Record, Says, is_record, modifier, words};
use super::names::{Names, Nothing};

/// So many questions to the DNS a record may lead to (RFC 7208 §4.6.4).
const MOST_LOOKUPS: usize = 10;

/// So many of them may find nothing.
const MOST_VOIDS: usize = 2;

/// After so many it is not counted on.
const ENOUGH: usize = 30;

/// An `mx` may name so many servers (RFC 7208 §4.6.4).
const MOST_EXCHANGERS: usize = 10;

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
#[derive(Debug, Default)]
struct Found {
    /// The record, word for word.
    text: String,
    /// So many questions to the DNS, at most, does a receiver have.
    lookups: usize,
    /// The names of those that find nothing.
    voids: Vec<String>,
    /// What is wrong with it, or with those that it names.
    wrong: Vec<Wrong>,
    /// What could not be looked up.
    unanswered: Vec<String>,
    /// Where `ptr` stands: the domain of the record, and which word of the domain's own record led there.
    ptr: Vec<(String, String)>,
    tree: Tree,
}

/// Something that is wrong.
#[derive(Debug)]
struct Wrong {
    why: String,
    /// The word of the domain's own record that is wrong, or led to what is; none where that is the record as a whole.
    word: Option<String>,
}

/// Why there is no record to be followed.
#[derive(Debug)]
enum No {
    /// There is none.
    Record,
    /// There are these, and that is as bad as none.
    Single(Vec<String>),
    /// Nobody knows.
    Answer(String),
}

/// Looks up the record of a domain, and all that it names.
async fn find(names: &Names, domain: &str) -> Result<Found, No> {
    let text = record(names, domain).await?;
    let found = Found { text: text.clone(), ..Found::default() };
    let mut walk = Walk { names, found, path: vec![domain.to_owned()], word: None };
    walk.found.tree = walk.follow(domain, &text).await;
    Ok(walk.found)
}

async fn record(names: &Names, domain: &str) -> Result<String, No> {
    let texts = Nothing::or_none(names.texts(domain).await).map_err(No::Answer)?;
    let mut records: Vec<String> = texts.into_iter().filter(|text| is_record(text)).collect();
    match records.len() {
        0 => Err(No::Record),
        1 => Ok(records.remove(0)),
        _ => {
            // The DNS gives them in any order.
            records.sort();
            Err(No::Single(records))
        }
    }
}

struct Walk<'n> {
    names: &'n Names,
    found: Found,
    /// The domains whose records led here
    path: Vec<String>,
    /// The word of the first record that did
    word: Option<String>,
}

impl Walk<'_> {
    /// Recursive, so it is boxed.
    fn follow<'w>(&'w mut self, domain: &'w str, text: &'w str) -> Pin<Box<dyn Future<Output = Tree> + Send + 'w>> {
        Box::pin(async move {
            let is_own = self.path.len() == 1;
            let record = match Record::parse(text) {
                Ok(record) => record,
                Err(why) if is_own => {
                    let word = words(text).find(|word| !mend::is_right(word)).map(str::to_owned);
                    self.found.wrong.push(Wrong { why, word });
                    return Tree::default();
                }
                Err(why) => {
                    self.wrong(format!("in the record of {domain}, {why}"));
                    return Tree::default();
                }
            };
            let mut tree = Tree::default();
            let written = words(text).filter(|word| modifier(word).is_none());
            for ((says, mechanism), word) in record.terms.into_iter().zip(written) {
                if is_own {
                    self.word = Some(word.to_owned());
                }
                let is_all = mechanism == Mechanism::All;
                tree.terms.push((says, self.look_up(domain, mechanism).await));
                // What stands behind `all` is not looked at (RFC 7208 §5.1).
                if is_all {
                    return tree;
                }
            }
            if let Some(to) = record.redirect {
                if is_own {
                    let is_it =
                        |word: &&str| modifier(word).is_some_and(|(name, _)| name.eq_ignore_ascii_case("redirect"));
                    self.word = words(text).find(is_it).map(str::to_owned);
                }
                tree.redirect = self.other(&to, "redirect=").await.map(Box::new);
            }
            tree
        })
    }

    fn wrong(&mut self, why: String) {
        self.found.wrong.push(Wrong { why, word: self.word.clone() });
    }

    async fn look_up(&mut self, domain: &str, mechanism: Mechanism) -> Matcher {
        match mechanism {
            Mechanism::All => Matcher::All,
            Mechanism::Network(address, bits) => Matcher::Networks(vec![(address, bits)]),
            Mechanism::Include(of) => {
                self.other(&of, "include:").await.map_or(Matcher::Unknown, |tree| Matcher::Include(Box::new(tree)))
            }
            Mechanism::Ptr => {
                self.found.lookups += 1;
                self.found.ptr.push((domain.to_owned(), self.word.clone().unwrap_or_default()));
                Matcher::Unknown
            }
            Mechanism::Exists => {
                self.found.lookups += 1;
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
                if exchangers.is_empty() {
                    self.found.voids.push(of.clone());
                }
                if exchangers.len() > MOST_EXCHANGERS {
                    self.wrong(format!("mx:{of} means more than {MOST_EXCHANGERS} servers"));
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
        self.found.lookups += 1;
        self.found.lookups <= ENOUGH && !name.contains('%')
    }

    fn unanswered(&mut self, name: &str, why: &str) -> Matcher {
        self.found.unanswered.push(format!("{name} could not be looked up ({why})"));
        Matcher::Unknown
    }

    async fn networks(&mut self, name: &str, (v4, v6): Prefixes) -> Matcher {
        match Nothing::or_none(self.names.addresses(name).await) {
            Ok(addresses) => {
                if addresses.is_empty() {
                    self.found.voids.push(name.to_owned());
                }
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
            self.wrong(format!("{by}{domain} leads back to itself"));
            return None;
        }
        let text = match record(self.names, domain).await {
            Ok(text) => text,
            Err(why) => {
                match why {
                    No::Record => self.wrong(format!("{by}{domain} has no SPF record")),
                    No::Single(all) => self.wrong(format!("{by}{domain} has {} SPF records", all.len())),
                    No::Answer(why) => {
                        self.unanswered(&format!("{by}{domain}"), &why);
                    }
                }
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
