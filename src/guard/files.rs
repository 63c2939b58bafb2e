//! Files that were looked into. Most go to everybody, and are looked into once.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Leak,
    contents::{self, Sort},
    known::{Known, What},
};

/// What is known of so many files is kept.
const KEPT: usize = 64;

/// So much of what is somebody's is noted of a file: one of the things that may be in it is the recipient's own.
const MOST_HITS: usize = 1000;

/// Shorter values than this are found by chance among the bytes of a picture.
const SHORTEST: usize = 6;

/// What is known of the last files.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// By a hash of name and content, the last used first
    last: Mutex<Vec<(u64, Arc<Looked>)>>,
    hasher: RandomState,
}

/// What is in a file, whoever it goes to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) hits: Vec<InFile>,
    /// Why there may be more in it
    pub(super) opaque: Option<String>,
}

/// Something of somebody's in a file.
#[derive(Debug)]
pub(super) struct InFile {
    pub(super) person: usize,
    pub(super) what: What,
    /// Its part is the place in the file.
    pub(super) leak: Leak,
}

impl Files {
    /// What is in a file.
    pub(super) fn get(&self, known: &Known, name: &str, bytes: &[u8]) -> Arc<Looked> {
        let hash = self.hasher.hash_one((name, bytes));
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let used = |mut last: MutexGuard<'_, Vec<(u64, Arc<Looked>)>>| {
            let at = last.iter().position(|(other, _)| *other == hash)?;
            last[..=at].rotate_right(1);
            last.first().map(|(_, looked)| Arc::clone(looked))
        };
        if let Some(looked) = used(last()) {
            return looked;
        }
        let looked = Arc::new(Looked::into(known, name, bytes));
        let mut last = last();
        last.truncate(KEPT - 1);
        last.insert(0, (hash, Arc::clone(&looked)));
        looked
    }
}

impl Looked {
    fn into(known: &Known, name: &str, bytes: &[u8]) -> Self {
        let mut looked = Self::default();
        let mut noted = HashSet::new();
        let mut note = |place: &str, text: &str, sort: Sort| {
            known.search(text, true, &mut |hit| {
                let by_chance = sort == Sort::Bytes && hit.range.len() < SHORTEST && matches!(hit.what, What::Value(_));
                if !by_chance
                    && looked.hits.len() < MOST_HITS
                    && noted.insert((hit.person, hit.what, hit.value().to_lowercase()))
                {
                    let leak = Leak::new(&hit, known.row(hit.person), place.to_owned(), false);
                    looked.hits.push(InFile { person: hit.person, what: hit.what, leak });
                }
            });
        };
        let found = contents::texts(name, bytes, &mut note);
        // As it stands, too.
        note("", &contents::printable(name, bytes), Sort::Bytes);
        looked.opaque = found.err().map(|why| why.to_string());
        looked
    }
}
