//! One run at a time for a campaign.

#[cfg(feature = "postgres")]
use std::sync::Arc;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::StoreError;
use crate::outbox::database::{Database, Fence, Location};
#[cfg(feature = "postgres")]
use crate::outbox::database::{Lease, busy, holder};

/// What a process may write about itself is no longer than this.
const LONGEST: u64 = 200;

/// It is tried so often before somebody is said to have it, with pauses.
const PATIENCE: u32 = 5;

/// A pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// That nobody else sends a campaign.
#[derive(Debug)]
pub(super) enum RunLock {
    /// Nobody on this machine, which is the only one that has the file.
    File { _lock: FileLock },
    /// Nobody on any machine.
    #[cfg(feature = "postgres")]
    Lease(Lease),
    /// It is a worker's, with others of the same database.
    #[cfg(feature = "postgres")]
    Worker(Arc<Lease>),
}

impl RunLock {
    /// Takes it, or says who has it.
    pub(super) fn take(location: &Location, id: &str, now: Timestamp) -> Result<Self, StoreError> {
        match location {
            Location::File(path) => Ok(Self::File { _lock: FileLock::take(path, id, now)? }),
            #[cfg(feature = "postgres")]
            Location::Server(server) => Lease::take(server, id, now).map(Self::Lease),
        }
    }

    /// What the process that has it wrote about itself, if one has. A database that does not say is asked again soon enough.
    pub(super) fn holder(database: &Database, location: &Location, id: &str) -> Option<String> {
        match (database, location) {
            (Database::Sqlite(_), Location::File(path)) => FileLock::holder(path, id),
            #[cfg(feature = "postgres")]
            (Database::Postgres(session), _) => holder(session, id).ok().flatten(),
            #[cfg(feature = "postgres")]
            (Database::Sqlite(_), Location::Server(_)) => None,
        }
    }

    /// The same of whoever is sending at this moment, and not only has it before them.
    pub(super) fn busy(database: &Database, location: &Location, id: &str) -> Option<String> {
        match database {
            #[cfg(feature = "postgres")]
            Database::Postgres(session) => busy(session, id).ok().flatten(),
            Database::Sqlite(_) => Self::holder(database, location, id),
        }
    }

    /// What must still be so whenever something is written, where another can have it meanwhile.
    pub(super) fn fence(&self) -> Option<Fence> {
        match self {
            Self::File { .. } => None,
            #[cfg(feature = "postgres")]
            Self::Lease(lease) => Some(lease.fence()),
            #[cfg(feature = "postgres")]
            Self::Worker(lease) => Some(lease.fence()),
        }
    }

    /// What it is known by, where others share the account by a database.
    #[cfg(feature = "postgres")]
    pub(super) fn token(&self) -> Option<[u8; 16]> {
        self.fence().map(|fence| *fence.token())
    }
}

/// A lock of the operating system on a file beside the outbox, which ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct FileLock {
    path: PathBuf,
    /// Holds the lock
    _file: File,
}

impl FileLock {
    /// Takes it, or says who has it.
    fn take(outbox: &Path, id: &str, now: Timestamp) -> Result<Self, StoreError> {
        let path = Self::path_of(outbox, id);
        let io = |why: std::io::Error| StoreError::io(&path.as_path().into(), &why);
        let mut patience = PATIENCE;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt;
                // Not through a link to somebody's file
                let flags = rustix::fs::OFlags::NOFOLLOW.bits();
                options.mode(0o600).custom_flags(i32::try_from(flags).unwrap_or_default());
            }
            let mut file = options.open(&path).map_err(io)?;
            match file.try_lock() {
                Ok(()) => {}
                // Somebody may only be looking whether it is taken.
                Err(TryLockError::WouldBlock) if patience > 0 => {
                    patience -= 1;
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Running { id: id.to_owned(), holder: said_in(file) });
                }
                Err(TryLockError::Error(why)) => return Err(io(why)),
            }
            // Whoever had it before may have removed the file meanwhile.
            if !is_still_there(&file, &path) {
                continue;
            }
            let about = format!("process {} since {}\n", std::process::id(), now.strftime("%Y-%m-%dT%H:%M:%SZ"));
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(about.as_bytes())).map_err(io)?;
            return Ok(Self { path, _file: file });
        }
    }
}

impl FileLock {
    /// What the process that has it wrote about itself, if one has.
    fn holder(outbox: &Path, id: &str) -> Option<String> {
        let file = File::open(Self::path_of(outbox, id)).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| said_in(file))
    }

    fn path_of(outbox: &Path, id: &str) -> PathBuf {
        let mut path = outbox.as_os_str().to_owned();
        path.push(format!("-{id}.lock"));
        path.into()
    }
}

/// What the process that has a lock wrote about itself.
fn said_in(file: File) -> String {
    let mut holder = String::new();
    let _ = file.take(LONGEST).read_to_string(&mut holder);
    holder.trim().to_owned()
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |data: std::fs::Metadata| (data.dev(), data.ino());
    matches!((file.metadata().map(place), path.metadata().map(place)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_still_there(_: &File, _: &Path) -> bool {
    true
}
