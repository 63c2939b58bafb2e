//! What can be wrong with an outbox.

use std::{fmt, io, path::PathBuf};

use jiff::Timestamp;

use crate::diagnostic::{Complaint, counted, quoted};

/// Why the record cannot be kept, or what it says against sending.
#[derive(Debug, Clone)]
pub enum StoreError {
    /// The file or its directory cannot be made or opened.
    Unopened(PathBuf, String),
    /// It is another program's file, or no database at all.
    Foreign(PathBuf),
    /// A later version of the program wrote it.
    Newer(PathBuf, i64),
    /// It lies where the writes of one machine are not seen by another in their order.
    Network(PathBuf),
    /// SQLite says that it is damaged.
    Corrupt(PathBuf),
    /// The disk is full.
    Full(PathBuf),
    /// It may only be read.
    ReadOnly(PathBuf),
    /// Something else that SQLite says.
    Sqlite(PathBuf, String),
    /// Another process is sending the campaign.
    Running {
        /// The campaign's id.
        id: String,
        /// What that process wrote about itself.
        holder: String,
    },
    /// All of it was sent.
    Done {
        /// The campaign's id.
        id: String,
        /// When it was prepared.
        prepared: Timestamp,
        /// How many have it.
        sent: usize,
        /// How many there are.
        total: usize,
        /// Of how many only the server knows.
        in_doubt: usize,
    },
    /// The same template and the same list, of which something else is made now.
    Changed {
        /// The id of the campaign that was made of them before.
        id: String,
        /// How many have it.
        sent: usize,
    },
    /// There is no campaign with that id.
    Unknown(String),
}

impl StoreError {
    pub(super) fn of(path: &std::path::Path, why: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, ReadOnly};
        let path = path.to_owned();
        match why.sqlite_error_code() {
            Some(NotADatabase) => Self::Foreign(path),
            Some(DatabaseCorrupt) => Self::Corrupt(path),
            Some(DiskFull) => Self::Full(path),
            Some(ReadOnly) => Self::ReadOnly(path),
            Some(CannotOpen) => Self::Unopened(path, why.to_string()),
            _ => Self::Sqlite(path, why.to_string()),
        }
    }

    pub(super) fn io(path: &std::path::Path, why: &io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path.to_owned()),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.to_owned()),
            _ => Self::Unopened(path.to_owned(), why.to_string()),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &PathBuf| quoted(&path.display().to_string());
        match self {
            Self::Unopened(path, why) => write!(f, "the outbox {} cannot be opened: {why}", shown(path)),
            Self::Foreign(path) => write!(f, "{} is no outbox of apiece; it was left as it is", shown(path)),
            Self::Newer(path, version) => {
                write!(f, "the outbox {} was written by a later apiece (its version is {version})", shown(path))
            }
            Self::Network(path) => write!(f, "the outbox {} would lie on a network file system", shown(path)),
            Self::Corrupt(path) => write!(f, "the outbox {} is damaged; it was left as it is", shown(path)),
            Self::Full(path) => write!(f, "there is no room for the outbox {}: the disk is full", shown(path)),
            Self::ReadOnly(path) => write!(f, "the outbox {} may only be read", shown(path)),
            Self::Sqlite(path, why) => write!(f, "the outbox {} cannot be used: {why}", shown(path)),
            Self::Running { id, holder } => write!(f, "campaign {id} is being sent already: {holder}"),
            Self::Done { id, prepared, sent, total, in_doubt } => {
                let day = crate::outbox::day(*prepared);
                write!(
                    f,
                    "exactly this was sent before: campaign {id}, prepared {day}; {sent} of {} got it",
                    counted(*total, "recipient")
                )?;
                match in_doubt {
                    0 => Ok(()),
                    in_doubt => write!(f, ", and {in_doubt} may have got it"),
                }
            }
            Self::Changed { id, sent } => write!(
                f,
                "campaign {id} had the same template and list, and {} got it; but the messages are others now",
                counted(*sent, "recipient")
            ),
            Self::Unknown(id) => write!(f, "there is no campaign {} in the outbox", quoted(id)),
        }
    }
}

impl std::error::Error for StoreError {}

impl Complaint for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unopened(..) => "outbox.unopened",
            Self::Foreign(_) => "outbox.foreign",
            Self::Newer(..) => "outbox.newer",
            Self::Network(_) => "outbox.network",
            Self::Corrupt(_) => "outbox.corrupt",
            Self::Full(_) => "outbox.full",
            Self::ReadOnly(_) => "outbox.read-only",
            Self::Sqlite(..) => "outbox.sqlite",
            Self::Running { .. } => "outbox.running",
            Self::Done { .. } => "outbox.done",
            Self::Changed { .. } => "outbox.changed",
            Self::Unknown(_) => "outbox.unknown",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unopened(..) | Self::ReadOnly(_) => "name another file with --outbox".into(),
            Self::Foreign(_) => "name another file with --outbox; apiece makes it".into(),
            Self::Newer(..) => "use that version, or name another file with --outbox".into(),
            Self::Network(_) => {
                "a crash could lose the record there: name a file on a disk of this machine with --outbox".into()
            }
            Self::Corrupt(_) => {
                "move it away with its -wal and -shm files, keep them, and try `sqlite3 FILE .recover` on a copy".into()
            }
            Self::Full(_) => "make room and run the same command again: it goes on where it is".into(),
            Self::Running { .. } => "wait for it to end".into(),
            Self::Changed { .. } => {
                "an attached file has changed, or apiece is another version: put it back to go on with \
                                     that campaign; or say --again to send this to everybody"
                    .into()
            }
            Self::Unknown(_) => "apiece status lists them".into(),
            Self::Done { id, in_doubt: 1.., .. } => {
                format!("look up who may have got it: apiece status {id}; then say what you found: apiece resolve {id}")
            }
            Self::Done { .. } => "say --again to send it to everybody once more".into(),
            Self::Sqlite(..) => return None,
        })
    }
}
