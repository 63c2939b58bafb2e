//! Every message is made and looked through before the first one leaves.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    Outbox,
    files::Seen,
    same::Compared,
    unread::{Unread, is_everybodys_picture},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    guard::{Fault, Guard},
    message::{Composer, Digest, Message},
};

/// After so many complaints the rest of the list is likely to say the same.
const ENOUGH_COMPLAINTS: usize = 1000;

/// How many messages are made between two calls of the progress function.
const STEP: usize = 100;

/// What is kept of messages that were made.
#[derive(Default)]
struct Made {
    digests: Vec<Digest>,
    files: Seen,
    compared: Compared,
    unread: Unread,
    /// Octets of the largest
    largest: usize,
    problems: Diagnostics,
}

impl Made {
    fn add(&mut self, index: usize, message: &Message) {
        self.digests.push(message.digest());
        self.files.add(index, message.personal_files());
        self.compared.add(index, message);
        self.largest = self.largest.max(message.bytes().len());
    }

    fn extend(&mut self, other: Self) {
        self.digests.extend(other.digests);
        self.files.extend(other.files);
        self.compared.extend(other.compared);
        self.unread.extend(other.unread);
        self.largest = self.largest.max(other.largest);
        self.problems.extend(other.problems);
    }
}

impl Outbox {
    /// Makes the message of everyone at `indices` of the list, inspects it, and keeps its digest. All complaints
    /// about all of them come back at once. `progress` is told how many are done.
    pub fn prepare(
        composer: &Composer,
        guard: &Guard,
        indices: Vec<usize>,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self, Diagnostics> {
        let problems = composer.template().check(composer.list()).err().unwrap_or_default();
        let threads =
            std::thread::available_parallelism().map_or(1, usize::from).min(indices.len().div_ceil(STEP)).max(1);
        let share = indices.len().div_ceil(threads).max(1);
        let (done, complaints) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let part = |range: Range<usize>| {
            let mut made = Made { digests: Vec::with_capacity(range.len()), ..Made::default() };
            for (nth, index) in indices[range].iter().enumerate() {
                if complaints.load(Ordering::Relaxed) >= ENOUGH_COMPLAINTS {
                    break;
                }
                match check(composer, guard, *index, &mut made.unread) {
                    Ok(message) => made.add(*index, &message),
                    Err(wrong) => {
                        complaints.fetch_add(1, Ordering::Relaxed);
                        made.problems.extend(wrong);
                    }
                }
                if (nth + 1) % STEP == 0 {
                    progress(done.fetch_add(STEP, Ordering::Relaxed) + STEP);
                }
            }
            made
        };
        let parts: Vec<_> = std::thread::scope(|scope| {
            let ranges =
                (0..threads).map(|nth| (nth * share).min(indices.len())..((nth + 1) * share).min(indices.len()));
            let workers: Vec<_> = ranges.map(|range| scope.spawn(|| part(range))).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut all = Made { digests: Vec::with_capacity(indices.len()), problems, ..Made::default() };
        for part in parts {
            all.extend(part);
        }
        let Made { digests, mut files, compared, unread, largest, mut problems } = all;
        progress(indices.len());
        if indices.len() < composer.list().len() && composer.template().has_personal_files() {
            files.add_others(composer, &indices);
        }
        files.check(composer, &mut problems);
        let mut remarks = Diagnostics::default();
        compared.check(composer, guard.common(), &mut problems, &mut remarks);
        unread.tell(&mut remarks);
        if indices.len() == composer.list().len() {
            files.left_over(composer, &mut remarks);
        }
        problems.sorted().checked(Some(Self { largest, remarks, ..Self::new(indices, digests) }))
    }
}

fn check(composer: &Composer, guard: &Guard, index: usize, unread: &mut Unread) -> Result<Message, Diagnostics> {
    let message = composer.compose(index)?;
    let mut problems = Diagnostics::default();
    for finding in guard.inspect(&message) {
        if is_everybodys_picture(&finding.fault, &message) {
            continue;
        }
        if let Fault::Unread { name, why, .. } = &finding.fault
            && !guard.refuses_opaque()
        {
            unread.add(message.row(), name, why);
            continue;
        }
        problems.push(Diagnostic::error(composer.list().place(message.row(), None), &finding));
    }
    problems.checked(Some(message))
}
