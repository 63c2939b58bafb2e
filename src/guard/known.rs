//! Everything by which somebody on the list can be told, and finding it in a text.

use std::{
    borrow::Cow,
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::Arc,
};

use hashbrown::HashTable;
use memchr::{memchr_iter, memmem};

use super::{address, coded, identifying::Identifying};
use crate::{
    address::Address,
    recipients::{Recipient, RecipientList},
};

/// Codes within codes are resolved so often: a link in a link in a link.
const DEEPEST: usize = 4;

/// Everyone's addresses and other values, for looking one up in a time that does not grow with the list.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) list: Arc<RecipientList>,
    /// Keys of addresses that may stand in anybody's message.
    allowed: HashSet<String>,
    /// People whose addresses have a tag (`ann+case@one.example`), by the address without it: the first of each.
    tagged: HashTable<u32>,
    pub(super) identifying: Option<Identifying>,
    hasher: RandomState,
}

/// Something of somebody's in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit<'t> {
    pub(super) text: &'t str,
    /// Where in the text it is
    pub(super) range: Range<usize>,
    /// Whose it is, in the list
    pub(super) person: usize,
    pub(super) what: What,
}

/// What of somebody's is in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Address,
    /// An address that is the same but for its tag
    Tagged,
    /// What stands in a column
    Value(usize),
}

/// The person that a message is for.
pub(super) struct Own<'l> {
    /// The address without its tag
    bare: String,
    key: String,
    recipient: Option<Recipient<'l>>,
}

impl<'t> Hit<'t> {
    pub(super) fn value(&self) -> &'t str {
        &self.text[self.range.clone()]
    }
}

impl Known {
    pub(super) fn new(list: Arc<RecipientList>, allowed: &[Address]) -> Self {
        let mut known = Self {
            list,
            allowed: allowed.iter().map(Address::key).collect(),
            tagged: HashTable::new(),
            identifying: None,
            hasher: RandomState::new(),
        };
        for recipient in known.list.iter() {
            let key = recipient.address().key();
            if let Cow::Owned(bare) = untagged(&key) {
                let bare_of = |person: &u32| bare_key(&known.list, *person);
                let hash = known.hasher.hash_one(&bare);
                if known.tagged.find(hash, |person| bare_of(person) == bare).is_none() {
                    let person = u32::try_from(recipient.index()).unwrap_or(u32::MAX);
                    known.tagged.insert_unique(hash, person, |person| known.hasher.hash_one(bare_of(person)));
                }
            }
        }
        known
    }

    /// Somebody with an address, on the list or not.
    pub(super) fn own(&self, address: &Address) -> Own<'_> {
        let key = address.key();
        let recipient = self.list.find(&key).and_then(|index| self.list.get(index));
        Own { bare: untagged(&key).into_owned(), key, recipient }
    }

    /// The row of somebody on the list.
    pub(super) fn row(&self, person: usize) -> u64 {
        self.list.get(person).map_or(0, Recipient::row)
    }

    /// Everything of somebody's in a text, or the addresses alone, as it stands and as what is coded in it means.
    pub(super) fn search(&self, text: &str, values: bool, each: &mut dyn FnMut(Hit<'_>)) {
        self.search_plain(text, values, each);
        let mut coded = coded::decoded(text);
        for _ in 0..DEEPEST {
            let Some(text) = coded else { return };
            self.search_plain(&text, values, each);
            coded = coded::decoded(&text).filter(|next| *next != text);
        }
    }

    fn search_plain(&self, text: &str, values: bool, each: &mut dyn FnMut(Hit<'_>)) {
        let text = address::legible(text);
        let mut addresses = Vec::new();
        for at in memchr_iter(b'@', text.as_bytes()) {
            if let Some(range) = self.address(&text, at, each) {
                addresses.push(range);
                continue;
            }
            let others = address::joined(&text, at).into_iter().chain(address::disguised(&text, at));
            for (text, at) in others {
                if self.address(&text, at, each).is_some() {
                    break;
                }
            }
        }
        if let Some(identifying) = self.identifying.as_ref().filter(|_| values) {
            identifying.search(&self.list, &text, &mut |found| {
                // Ann's address is not Ann's name.
                let next = addresses.partition_point(|known| known.end <= found.range.start);
                if addresses.get(next).is_none_or(|known| found.range.end <= known.start) {
                    let what = What::Value(found.column);
                    each(Hit { text: &text, range: found.range, person: found.person, what });
                }
            });
        }
    }

    /// Where the address is that has its @ at `at`, if it is known. The longest that is says whose it is: `smith@x.example`
    /// is not meant in `john.smith@x.example`.
    fn address(&self, text: &str, at: usize, each: &mut dyn FnMut(Hit<'_>)) -> Option<Range<usize>> {
        for candidate in address::candidates(text, at) {
            let Some(key) = key(candidate) else { continue };
            let start = candidate.as_ptr() as usize - text.as_ptr() as usize;
            let range = start..start + candidate.len();
            if self.allowed.contains(&key) {
                return Some(range);
            }
            let found = match self.list.find(&key) {
                Some(person) => Some((person, What::Address)),
                None => self.without_tag(&key).map(|person| (person, What::Tagged)),
            };
            if let Some((person, what)) = found {
                each(Hit { text, range: range.clone(), person, what });
                return Some(range);
            }
        }
        None
    }

    /// Whose address it is but for the tag, on one side or on both.
    fn without_tag(&self, key: &str) -> Option<usize> {
        let bare = untagged(key);
        if let Cow::Owned(bare) = &bare
            && let Some(person) = self.list.find(bare)
        {
            return Some(person);
        }
        let is_same = |person: &u32| bare_key(&self.list, *person) == bare;
        self.tagged.find(self.hasher.hash_one(&*bare), is_same).map(|person| *person as usize)
    }

    /// Whether something that is in a text may be in a message to somebody.
    pub(super) fn is_own(&self, own: &Own<'_>, person: usize, what: What, value: &str) -> bool {
        if own.recipient.is_some_and(|recipient| recipient.index() == person) {
            return true;
        }
        match what {
            What::Address | What::Tagged => {
                key(value).is_some_and(|key| key == own.key || (what == What::Tagged && *untagged(&key) == own.bare))
            }
            What::Value(_) => match (&self.identifying, own.recipient) {
                (Some(identifying), Some(recipient)) => identifying.is_own(recipient, value),
                _ => false,
            },
        }
    }
}

/// What addresses are compared by: lower case, the domain as it travels.
fn key(address: &str) -> Option<String> {
    let (local, domain) = address.split_once('@')?;
    if address.is_ascii() && memmem::find(domain.as_bytes(), b"--").is_none() {
        return Some(address.to_ascii_lowercase());
    }
    Some(format!("{}@{}", local.to_lowercase(), idna::domain_to_ascii(domain).ok()?))
}

/// A key without what many servers let stand behind the local part: `ann+case@one.example` (RFC 5233).
pub(crate) fn untagged(key: &str) -> Cow<'_, str> {
    match key.split_once('@') {
        Some((local, domain)) => match local.split_once('+') {
            Some((bare, _)) if !bare.is_empty() => format!("{bare}@{domain}").into(),
            _ => key.into(),
        },
        None => key.into(),
    }
}

fn bare_key(list: &RecipientList, person: u32) -> String {
    list.get(person as usize).map(|person| untagged(&person.address().key()).into_owned()).unwrap_or_default()
}
