//! Hashes of all messages in their order, however many there are: what does not fit in little memory lies in a file that
//! has no name and ends with the program. It holds hashes and nothing that anybody could read.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

/// So many pairs are sorted in memory at once.
const IN_MEMORY: usize = 1 << 15;

/// So many pairs of each stretch of the file are in memory while it is read.
const READ_AT_ONCE: usize = 256;

/// Octets of a pair in the file.
const PAIR: usize = 12;

/// A hash, and whose it is in the list.
pub(super) type Pair = (u64, u32);

/// Pairs that are being collected.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pairs: Vec<Pair>,
    file: Option<File>,
    /// How many pairs each sorted stretch of the file has
    stretches: Vec<usize>,
    count: usize,
    /// Why the file cannot be written, said when all of it is wanted
    failed: Option<io::Error>,
}

impl Sorted {
    pub(super) fn push(&mut self, pair: Pair) {
        self.pairs.push(pair);
        self.count += 1;
        if self.pairs.len() >= IN_MEMORY
            && let Err(why) = self.put_by()
        {
            self.failed = Some(why);
            self.pairs.clear();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn put_by(&mut self) -> io::Result<()> {
        self.pairs.sort_unstable();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let octets = self.pairs.iter().flat_map(|(hash, whose)| {
            let (hash, whose) = (hash.to_le_bytes(), whose.to_le_bytes());
            hash.into_iter().chain(whose)
        });
        file.write_all(&octets.collect::<Vec<u8>>())?;
        self.stretches.push(self.pairs.len());
        self.pairs.clear();
        Ok(())
    }

    /// All of them, the least hash first.
    pub(super) fn in_order(mut self) -> io::Result<InOrder> {
        if let Some(why) = self.failed {
            return Err(why);
        }
        self.pairs.sort_unstable();
        let mut start = 0;
        let mut stretches: Vec<Stretch> = Vec::with_capacity(self.stretches.len() + 1);
        for left in self.stretches {
            stretches.push(Stretch { start, left, read: VecDeque::new() });
            start += (left * PAIR) as u64;
        }
        stretches.push(Stretch { start, left: 0, read: self.pairs.into() });
        let mut all = InOrder { file: self.file, stretches, next: BinaryHeap::new() };
        for nth in 0..all.stretches.len() {
            all.refill(nth)?;
        }
        Ok(all)
    }
}

/// Reads pairs in the order of their hashes.
#[derive(Debug)]
pub(super) struct InOrder {
    file: Option<File>,
    stretches: Vec<Stretch>,
    /// The next pair of each stretch
    next: BinaryHeap<Reverse<(Pair, usize)>>,
}

/// A part of the file that is sorted.
#[derive(Debug)]
struct Stretch {
    start: u64,
    left: usize,
    read: VecDeque<Pair>,
}

impl InOrder {
    /// Puts the next pair of a stretch among the others.
    fn refill(&mut self, nth: usize) -> io::Result<()> {
        let stretch = &mut self.stretches[nth];
        if stretch.read.is_empty()
            && stretch.left > 0
            && let Some(file) = &mut self.file
        {
            let count = stretch.left.min(READ_AT_ONCE);
            let mut octets = vec![0; count * PAIR];
            file.seek(SeekFrom::Start(stretch.start))?;
            file.read_exact(&mut octets)?;
            stretch.start += octets.len() as u64;
            stretch.left -= count;
            let (pairs, _) = octets.as_chunks::<PAIR>();
            stretch.read.extend(pairs.iter().filter_map(|pair| {
                let hash = pair.first_chunk().copied().map(u64::from_le_bytes)?;
                Some((hash, pair.last_chunk().copied().map(u32::from_le_bytes)?))
            }));
        }
        self.next.extend(stretch.read.pop_front().map(|pair| Reverse((pair, nth))));
        Ok(())
    }
}

impl Iterator for InOrder {
    type Item = io::Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((pair, nth)) = self.next.pop()?;
        Some(self.refill(nth).map(|()| pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_order_however_many_there_are() {
        for count in [0, 1, 1000, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 17] {
            let mut sorted = Sorted::default();
            let mut all: Vec<Pair> = Vec::new();
            for nth in 0..u32::try_from(count).unwrap() {
                let pair = (u64::from(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20, nth);
                sorted.push(pair);
                all.push(pair);
            }
            all.sort_unstable();
            assert_eq!(sorted.len(), count);
            assert_eq!(sorted.in_order().unwrap().collect::<io::Result<Vec<Pair>>>().unwrap(), all);
        }
    }
}
