//! Every message is made and looked through before the first one leaves.

use std::{
    fmt,
    io::{self, Read, Seek, Write},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
};

use tempfile::SpooledTempFile;

use super::{
    files::Seen,
    same::{Compared, Traits},
    unread::{Unread, is_everybodys_picture},
};
use crate::{
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, Severity},
    guard::{Fault, Finding, Guard},
    message::{Composer, Digest, Message},
    recipients::Selection,
};

/// After so many complaints the rest of the list is likely to say the same.
const ENOUGH_COMPLAINTS: usize = 1000;

/// So many messages are made between two calls of the progress function, and handed on together.
const STEP: usize = 100;

/// So many steps of each thread wait to be taken up.
const AHEAD: usize = 8;

/// Octets of what is kept of a message.
const KEPT: usize = 40;

/// So many octets are kept in memory before they lie in a file.
const IN_MEMORY: usize = 1 << 20;

/// Messages that were made, inspected and found good.
#[derive(Debug)]
pub struct Prepared {
    /// The list's index of each
    indices: Selection,
    /// Of each message in this order, the digest and what it says: hashes, in a file without a name where they are many
    kept: SpooledTempFile,
    /// Octets of the largest
    largest: usize,
    remarks: Diagnostics,
    files: Seen,
}

/// What was found out about some messages.
#[derive(Default)]
struct Step {
    made: Vec<(Digest, u64, Traits)>,
    files: Seen,
    unread: Unread,
    largest: usize,
    problems: Diagnostics,
}

/// What was found out about all messages so far.
#[derive(Default)]
struct Made {
    files: Seen,
    compared: Compared,
    unread: Unread,
    largest: usize,
    problems: Diagnostics,
}

impl Made {
    fn add(&mut self, step: Step, kept: &mut SpooledTempFile) -> io::Result<()> {
        for (digest, says, traits) in &step.made {
            kept.write_all(digest.as_bytes())?;
            kept.write_all(&says.to_le_bytes())?;
            self.compared.add(traits);
        }
        self.files.extend(step.files);
        self.unread.extend(step.unread);
        self.largest = self.largest.max(step.largest);
        self.problems.extend(step.problems);
        Ok(())
    }
}

impl Prepared {
    /// Makes the message of everyone at `indices` of the list, inspects it, and keeps its digest. All complaints
    /// about all of them come back at once. `progress` is told how many are done.
    ///
    /// What is kept in memory does not grow with the list, but for what is kept of files that go to one person.
    pub fn make(
        composer: &Composer,
        guard: &Guard,
        indices: Selection,
        progress: &dyn Fn(usize),
    ) -> Result<Self, Diagnostics> {
        let mut made = Made::default();
        made.problems.extend(composer.template().check(composer.list()).err().unwrap_or_default());
        let mut kept = SpooledTempFile::new(IN_MEMORY);
        let steps = indices.len().div_ceil(STEP);
        let end_of = |nth: usize| ((nth + 1) * STEP).min(indices.len());
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(steps).max(1);
        let complaints = AtomicUsize::new(0);
        let step = |nth: usize| {
            let mut step = Step::default();
            for index in (nth * STEP..end_of(nth)).map(|nth| indices.at(nth)) {
                if complaints.load(Ordering::Relaxed) >= ENOUGH_COMPLAINTS {
                    break;
                }
                match check(composer, guard, index, &mut step.unread) {
                    Ok(message) => step.add(index, &message),
                    Err(wrong) => {
                        complaints.fetch_add(1, Ordering::Relaxed);
                        step.problems.extend(wrong);
                    }
                }
            }
            step
        };
        std::thread::scope(|scope| -> io::Result<()> {
            // Each thread makes every nth step, so that they are taken up in their order and none runs far ahead.
            let workers: Vec<Receiver<Step>> = (0..threads)
                .map(|nth| {
                    let (sender, receiver) = mpsc::sync_channel(AHEAD);
                    let step = &step;
                    scope.spawn(move || {
                        // Whoever takes them up may have given up.
                        let _ = (nth..steps).step_by(threads).all(|nth| sender.send(step(nth)).is_ok());
                    });
                    receiver
                })
                .collect();
            for nth in 0..steps {
                // A thread that is gone has panicked, and so does the scope.
                let Ok(step) = workers[nth % threads].recv() else { break };
                made.add(step, &mut kept)?;
                progress(end_of(nth));
            }
            Ok(())
        })
        .map_err(|why| Unkept::complaint(&why))?;
        Self::checked(composer, guard, indices, made, kept)
    }

    /// What can be said of all of them together.
    fn checked(
        composer: &Composer,
        guard: &Guard,
        indices: Selection,
        made: Made,
        kept: SpooledTempFile,
    ) -> Result<Self, Diagnostics> {
        let Made { mut files, compared, unread, largest, mut problems } = made;
        let is_all = indices.len() == composer.list().len();
        if !is_all && composer.template().has_personal_files() {
            files.add_others(composer, &indices);
        }
        files.check(composer, &mut problems);
        let mut remarks = Diagnostics::default();
        let compared = compared.check(composer, guard.common(), &mut problems, &mut remarks);
        compared.map_err(|why| Unkept::complaint(&why))?;
        unread.tell(&mut remarks);
        if is_all {
            files.left_over(composer, &mut remarks);
        }
        problems.sorted().checked(Some(Self { indices, kept, largest, remarks, files }))
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The list's index of each message.
    #[must_use]
    pub fn indices(&self) -> &Selection {
        &self.indices
    }

    /// Octets of the largest message, without `Date` and signature.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// What is worth a look about all of them together.
    #[must_use]
    pub fn remarks(&self) -> &Diagnostics {
        &self.remarks
    }

    /// The personal files that went into the messages.
    pub(super) fn files(&self) -> &Seen {
        &self.files
    }

    /// Goes through the digest of each message, and the hash of what it says and to whom.
    pub(super) fn each<E: From<io::Error>>(
        &mut self,
        mut with: impl FnMut(usize, Digest, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.kept.rewind()?;
        let mut reader = io::BufReader::new(&mut self.kept);
        for index in self.indices.iter() {
            let mut octets = [0; KEPT];
            reader.read_exact(&mut octets)?;
            let digest: [u8; 32] = octets.first_chunk().copied().unwrap_or_default();
            let says = octets.last_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
            with(index, digest.into(), says)?;
        }
        Ok(())
    }

    /// Over the digests of all messages, in their order.
    pub fn content(&mut self) -> io::Result<Digest> {
        let mut hash = Digest::builder();
        self.each(|_, digest, _| {
            hash.add(digest.as_bytes());
            Ok::<_, io::Error>(())
        })?;
        Ok(hash.finish())
    }
}

impl Step {
    fn add(&mut self, index: usize, message: &Message) {
        self.made.push((message.digest(), message.says(), Traits::of(index, message)));
        self.files.add(index, message.personal_files());
        self.largest = self.largest.max(message.bytes().len());
    }
}

fn check(composer: &Composer, guard: &Guard, index: usize, unread: &mut Unread) -> Result<Message, Diagnostics> {
    let message = composer.compose(index)?;
    let mut problems = Diagnostics::default();
    for (severity, finding) in inspect(guard, &message) {
        match (severity, &finding.fault) {
            (Severity::Warning, Fault::Unread { name, why, .. }) => unread.add(message.row(), name, why),
            _ => problems.push(Diagnostic::error(composer.list().place(message.row(), None), &finding)),
        }
    }
    problems.checked(Some(message))
}

/// What the guard finds in one message, and how bad each is.
pub(crate) fn inspect(guard: &Guard, message: &Message) -> Vec<(Severity, Finding)> {
    let severity = |finding: &Finding| match finding.fault {
        Fault::Unread { .. } if !guard.refuses_opaque() => Severity::Warning,
        _ => Severity::Error,
    };
    let found = guard.inspect(message).into_iter();
    let found = found.filter(|finding| !is_everybodys_picture(&finding.fault, message));
    found.map(|finding| (severity(&finding), finding)).collect()
}

/// The file without a name cannot be written.
struct Unkept(String);

impl Unkept {
    fn complaint(why: &io::Error) -> Diagnostics {
        Diagnostic::error(Place::Nowhere, &Self(why.to_string())).into()
    }
}

impl fmt::Display for Unkept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what was found out about the messages cannot be kept in a file for now: {}", self.0)
    }
}

impl Complaint for Unkept {
    fn code(&self) -> &'static str {
        "prepare.no-room"
    }

    fn help(&self) -> Option<String> {
        Some("make room in the directory for temporary files, or name another one in TMPDIR".into())
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}
