//! One writer for all connections of a run: what they want written in one moment is one commit.

use std::{
    collections::{HashMap, HashSet},
    io,
    iter::Peekable,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Campaign, Store, StoreError,
    reported::{Reported, Reports},
};
use crate::{
    fault,
    outbox::database::{Attempt, Database, Done, Fence, Notes, Place},
};

/// So many things at most are one commit.
const MOST: usize = 1000;

/// The end of a message waits so long for the beginning of another.
const MOST_DELAY: Duration = Duration::from_millis(1);

/// Where several messages are under way, those that follow so soon are written down together: half as many commits, and more
/// messages a second.
const GATHERING: Duration = Duration::from_micros(150);

/// Writes down what happens to the messages of a campaign.
#[derive(Debug)]
pub struct Journal {
    sender: Option<Sender<Entry>>,
    writer: Option<JoinHandle<()>>,
    /// Nobody else sends it meanwhile.
    _campaign: Campaign,
}

/// The number of the campaign that is one's own, and what must be so for that.
type Own<'c> = (i64, Option<&'c Fence>);

struct Entry {
    position: usize,
    attempt: Attempt,
    written: oneshot::Sender<Result<(), StoreError>>,
}

impl Entry {
    fn can_wait(&self) -> bool {
        matches!(self.attempt, Attempt::Ends { .. })
    }
}

impl Journal {
    /// Starts the writer. What is sent counts for the limits of the account.
    pub fn start(store: Store, campaign: Campaign, account: Option<String>) -> io::Result<Self> {
        Self::start_with(store, campaign, account, None)
    }

    /// The same. What became of a message and cannot be written down is kept in `reports`, and counts as written.
    pub fn start_with(
        store: Store,
        campaign: Campaign,
        account: Option<String>,
        reports: Option<Arc<Reports>>,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let number = campaign.number;
        let fence = campaign.lock.fence();
        let aside = Kept { reports, campaign: number, begun: HashMap::new() };
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write(&store, (number, fence.as_ref()), account.as_deref(), &receiver, aside))?;
        Ok(Self { sender: Some(sender), writer: Some(writer), _campaign: campaign })
    }

    /// Writes down what happens to the message at a position of the list. It is safe once the receiver says so.
    #[must_use]
    pub fn write(&self, position: usize, attempt: Attempt) -> oneshot::Receiver<Result<(), StoreError>> {
        let (written, receiver) = oneshot::channel();
        if let Some(sender) = &self.sender {
            // A writer that is gone drops the other end, which is an answer, too.
            let _ = sender.send(Entry { position, attempt, written });
        }
        receiver
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// What a worker knows although it cannot be written down.
struct Kept {
    reports: Option<Arc<Reports>>,
    campaign: i64,
    /// When messages were begun that are under way.
    begun: HashMap<usize, i64>,
}

impl Kept {
    /// What came of writing something down, where it can be kept aside.
    fn keep(&mut self, entry: &Entry, done: Result<(), StoreError>) -> Result<(), StoreError> {
        let Some(reports) = &self.reports else { return done };
        let began = match &entry.attempt {
            Attempt::Begins { at, .. } => {
                self.begun.insert(entry.position, at.as_millisecond());
                Some(at.as_millisecond())
            }
            Attempt::Ends { .. } => self.begun.remove(&entry.position),
        };
        let (Err(why), Some(began)) = (&done, began) else { return done };
        if matches!(why, StoreError::Corrupt(_)) {
            return done;
        }
        let position = i64::try_from(entry.position).unwrap_or(i64::MAX);
        let kept = reports.hold(Reported::of(self.campaign, position, began, &entry.attempt));
        // What could not be marked is not sent.
        if kept.is_ok() && entry.can_wait() { Ok(()) } else { done }
    }
}

fn write(store: &Store, campaign: Own<'_>, account: Option<&str>, entries: &Receiver<Entry>, mut aside: Kept) {
    // Messages that were begun and are not over
    let mut open = 0_i64;
    let mut place = None;
    while let Ok(first) = entries.recv() {
        if open > 1 {
            std::thread::sleep(GATHERING);
        }
        let mut batch = vec![first];
        batch.extend(entries.try_iter().take(MOST - 1));
        // Nobody waits for the end of a message: it goes with the beginning of the next, which comes at once if there is one.
        let until = Instant::now() + MOST_DELAY;
        while batch.iter().all(Entry::can_wait)
            && batch.len() < MOST
            && let Ok(entry) = entries.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            batch.push(entry);
            batch.extend(entries.try_iter().take(MOST - batch.len()));
        }
        let mut write = |entries: &[Entry]| {
            // What is written to a file that nobody finds again is not written down.
            if place.is_some_and(|place| place != Place::of(&store.location)) {
                return Err(StoreError::Moved(store.location.clone()));
            }
            let done = commit(&store.database, campaign, account, entries);
            place.get_or_insert_with(|| Place::of(&store.location));
            done.map_err(|why| store.error(&why))
        };
        let mut batch = batch.into_iter().peekable();
        while batch.peek().is_some() {
            let together = of_different_messages(&mut batch);
            let all = write(&together);
            let is_alone = together.len() == 1;
            for entry in together {
                open = if entry.can_wait() { open - 1 } else { open + 1 };
                // What cannot be written down of one message is no fault of the others.
                let done = if is_alone || all.is_ok() { all.clone() } else { write(std::slice::from_ref(&entry)) };
                let done = aside.keep(&entry, done);
                let _ = entry.written.send(done);
            }
        }
    }
}

/// The next of them, up to the second that is about the same message: what happens to one is written down in its order.
fn of_different_messages(batch: &mut Peekable<impl Iterator<Item = Entry>>) -> Vec<Entry> {
    let (mut together, mut positions) = (Vec::new(), HashSet::new());
    while let Some(entry) = batch.next_if(|entry| positions.insert(entry.position)) {
        together.push(entry);
    }
    together
}

fn commit(database: &Database, (campaign, fence): Own<'_>, account: Option<&str>, entries: &[Entry]) -> Done<()> {
    let number = |position| i64::try_from(position).unwrap_or(i64::MAX);
    let attempts: Vec<_> = entries.iter().map(|entry| (number(entry.position), &entry.attempt)).collect();
    let (begins, ends) = (!entries.iter().all(Entry::can_wait), entries.iter().any(Entry::can_wait));
    let point = |mark, outcome| {
        if begins {
            fault::point(mark);
        }
        if ends {
            fault::point(outcome);
        }
    };
    let notes = Notes { campaign, account, attempts: &attempts };
    database.note(&notes, fence, || point("mark-unwritten", "outcome-unwritten"))?;
    point("mark-written", "outcome-written");
    Ok(())
}
