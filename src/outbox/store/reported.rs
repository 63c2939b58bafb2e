//! What a worker knows to have become of messages while the database is away: a file beside, which outlives a crash, until it can be
//! written down.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::outbox::{Attempt, Outcome};

/// No line is longer: what a server says is not.
const LONGEST: u64 = 1 << 20;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The campaign's number in its database.
    pub campaign: i64,
    /// The position of the recipient in its list.
    pub position: i64,
    /// When it was begun, in milliseconds: there is one attempt of it at a time.
    pub began: i64,
    /// What became of it, as the record names it.
    pub outcome: String,
    /// The code of the reply (RFC 5321 §4.2).
    pub code: Option<u16>,
    /// The enhanced one (RFC 3463).
    pub enhanced: Option<String>,
    /// The reply, or what happened in place of it.
    pub said: String,
    /// When, in milliseconds.
    pub ended: i64,
    /// If it is put off: how often it was, since when, and until when.
    pub put_off: Option<[i64; 3]>,
}

/// The file. Only its owner may read it, and only one worker has it at a time.
#[derive(Debug)]
pub struct Reports(Mutex<State>);

#[derive(Debug)]
struct State {
    file: File,
    held: Vec<Reported>,
    /// Whether its last line is no whole one
    is_torn: bool,
}

impl Reports {
    /// Opens a file, with what a worker wrote into it that has ended; or makes it. Nothing if another worker has it.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = rustix::fs::OFlags::NOFOLLOW.bits();
            options.mode(0o600).custom_flags(i32::try_from(flags).unwrap_or_default());
        }
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(why)) => return Err(why),
        }
        let mut held = Vec::new();
        let mut reader = BufReader::new(&file);
        let (mut line, mut is_torn) = (String::new(), false);
        // The last line may be half of one, where a machine lost its power: it was not counted on.
        while reader.by_ref().take(LONGEST).read_line(&mut line)? > 0 {
            is_torn = !line.ends_with('\n');
            held.extend(serde_json::from_str(&line));
            line.clear();
        }
        Ok(Some(Self(Mutex::new(State { file, held, is_torn }))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much that is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().held.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Holds one more. It is on the disk once this returns.
    pub(super) fn hold(&self, reported: Reported) -> io::Result<()> {
        let mut state = self.state();
        let mut line = serde_json::to_vec(&reported)?;
        line.push(b'\n');
        if state.is_torn {
            line.insert(0, b'\n');
        }
        // What is not written to its end is half a line.
        state.is_torn = true;
        state.file.write_all(&line)?;
        state.file.sync_data()?;
        state.is_torn = false;
        state.held.push(reported);
        Ok(())
    }

    /// Lets somebody write all that is held down elsewhere; then it is held no longer. Nothing is added meanwhile. Gives how much it was.
    pub fn settle<E>(&self, write: impl FnOnce(&[Reported]) -> Result<(), E>) -> Result<io::Result<usize>, E> {
        let mut state = self.state();
        if state.held.is_empty() {
            return Ok(Ok(0));
        }
        write(&state.held)?;
        let emptied = state.file.set_len(0).and_then(|()| state.file.sync_data());
        let count = state.held.len();
        state.held.clear();
        Ok(emptied.map(|()| count))
    }
}

impl Reported {
    /// What became of the message at a position, which was begun then.
    pub(super) fn of(campaign: i64, position: i64, began: i64, attempt: &Attempt) -> Self {
        let end = match attempt {
            Attempt::Ends { outcome, code, said, at, put_off } => {
                let (code, enhanced) = code.clone().map_or((None, None), |(code, enhanced)| (Some(code), enhanced));
                let put_off = put_off.map(|put_off| {
                    [i64::from(put_off.tries), put_off.since.as_millisecond(), put_off.due.as_millisecond()]
                });
                (outcome.name(), code, enhanced, said.clone(), at.as_millisecond(), put_off)
            }
            // Whatever the record has of its beginning, its end was not written.
            Attempt::Begins { at, .. } => {
                let said = "it could not be written down that it begins".to_owned();
                (Outcome::Queued.name(), None, None, said, at.as_millisecond(), None)
            }
        };
        let (outcome, code, enhanced, said, ended, put_off) = end;
        Self { campaign, position, began, outcome: outcome.to_owned(), code, enhanced, said, ended, put_off }
    }
}
