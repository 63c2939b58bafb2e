//! What can be wrong with an outbox.

use std::{fmt, io};

use jiff::Timestamp;
#[cfg(feature = "postgres")]
use tokio_postgres::error::SqlState;

use crate::{
    diagnostic::{Bare, Complaint, counted, quoted, visible},
    outbox::{
        Counts, Outcome,
        database::{Fault, Location},
        day,
    },
    recipients::Rows,
};

/// Rows are named in an advice if they can be said so shortly.
const MOST_ROWS: usize = 200;

/// Why the record cannot be kept, or what it says against sending.
#[derive(Debug, Clone)]
pub enum StoreError {
    /// The file or its directory cannot be made or opened.
    Unopened(Location, String),
    /// It is another program's file, or no database at all.
    Foreign(Location),
    /// A later version of the program wrote it.
    Newer(Location, i64),
    /// It lies where the writes of one machine are not seen by another in their order.
    Network(Location),
    /// It has a second name, under which another run would not see the lock of this one.
    Linked(Location),
    /// The server is not there, or does not let one in, or cannot be trusted.
    Unreached(Location, String),
    /// Its tables are not there, or are those of an earlier version, by its number.
    NotMigrated(Location, i64),
    /// Only a database has workers.
    NoWorkers(Location),
    /// Another program has the campaign that was one's own: it was not heard of for too long.
    Lost(Location),
    /// It was moved, removed or replaced during a run.
    Moved(Location),
    /// The database says that it is damaged, or something in it is not what it can be.
    Corrupt(Location),
    /// The disk does not read or write it.
    Io(Location, String),
    /// The disk is full.
    Full(Location),
    /// Others have written into it for so long that there was no turn.
    Busy(Location),
    /// It may only be read.
    ReadOnly(Location),
    /// Something else that the database says.
    Unusable(Location, String),
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
        /// What became of its messages.
        counts: Counts,
    },
    /// Some people got exactly the same in another campaign.
    Already {
        /// That campaign's id.
        id: String,
        /// When it was prepared.
        prepared: Timestamp,
        /// How many of those who are to get it now.
        count: usize,
        /// How many are to get it now.
        of: usize,
        /// The rows of the others.
        rest: Rows,
    },
    /// The same template and the same list, of which something else is made now.
    Changed {
        /// The id of the campaign that was made of them before.
        id: String,
        /// How many have it.
        sent: usize,
    },
    /// Two campaigns that recur, or are compared with their last run, have the same name.
    Namesake {
        /// That name.
        name: String,
        /// The file of this one.
        here: String,
        /// The file of the other one.
        there: String,
    },
    /// A campaign that recurs seems to have had another name.
    Renamed {
        /// What it is called now.
        name: String,
        /// What it was called.
        before: String,
        /// Its file, which is no longer there.
        there: String,
    },
    /// Nobody of the campaign is in a row that is named.
    NobodyInRow(u64),
    /// There is no campaign with that id.
    Unknown(String),
    /// It was prepared before a campaign's data was kept.
    NoSnapshot(String),
    /// People's data was removed from it.
    Purged(String),
    /// Some of its messages are still to be sent.
    Unfinished(String),
    /// What was removed is out of the record, and still in the bytes of its file.
    NotShrunk(Location),
    /// What is kept of a campaign does not fit together.
    Unsound {
        /// The campaign's id.
        id: String,
        /// What is wrong.
        why: String,
    },
    /// It is here only to be looked at.
    Elsewhere {
        /// The campaign's id.
        id: String,
        /// The machine that it is from.
        origin: String,
    },
    /// The same messages were prepared with other settings, or for other people to approve.
    OtherSettings(String),
    /// What came from another machine is no campaign that can be taken in, in words.
    NotBrought(String),
    /// What is to go to another machine cannot be written.
    NotCarried(String),
    /// A campaign that comes from another machine is here already.
    Here(String),
    /// A file changed while a campaign was being prepared.
    FileChanged(String),
    /// An entry of the log, by its number, does not follow from the one before.
    LogBroken(i64),
    /// All of it was moved into another outbox, or is being moved.
    Sealed {
        /// Where it was.
        place: Location,
        /// Where it went: a file or an address, without a password.
        to: String,
        /// Whether all of it is there.
        is_over: bool,
    },
    /// There is no outbox to be moved, or none any more to which one was being moved.
    Missing(Location),
    /// What is to take in an outbox has campaigns of its own.
    NotEmpty(Location),
    /// A campaign, by its id, has messages that are being sent.
    Sending(String),
    /// A text cannot be held by the database that is to take it in: where it is.
    NoText(String),
    /// It is not being moved.
    NotMoving(Location),
}

impl StoreError {
    pub(in crate::outbox) fn of(place: &Location, why: &Fault) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, ReadOnly,
            SystemIoFailure, Unknown,
        };
        let place = place.clone();
        let why = match why {
            Fault::Sqlite(why) => why,
            #[cfg(feature = "postgres")]
            Fault::Postgres(said) => {
                return Self::sealed(&place, said)
                    .unwrap_or_else(|| Self::of_postgres(place, said.code(), why.to_string()));
            }
            #[cfg(feature = "postgres")]
            Fault::Unreached(why) => return Self::Unreached(place, why.clone()),
            #[cfg(feature = "postgres")]
            Fault::Lost => return Self::Lost(place),
            why @ Fault::Random(_) => return Self::Unopened(place, why.to_string()),
            #[cfg(feature = "postgres")]
            why @ Fault::Nested => return Self::Unusable(place, why.to_string()),
            Fault::Sealed { to, is_over } => return Self::Sealed { place, to: to.clone(), is_over: *is_over },
            Fault::Odd | Fault::NoRow | Fault::Changed(_) => return Self::Corrupt(place),
        };
        match why.sqlite_error_code() {
            Some(NotADatabase) => Self::Foreign(place),
            Some(DatabaseCorrupt | Unknown) | None => Self::Corrupt(place),
            Some(SystemIoFailure) => Self::Io(place, why.to_string()),
            Some(DiskFull) => Self::Full(place),
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy(place),
            Some(ReadOnly) => Self::ReadOnly(place),
            Some(CannotOpen) => Self::Unopened(place, why.to_string()),
            _ => Self::Unusable(place, why.to_string()),
        }
    }

    /// What the database's own function says of an outbox that was moved (`must_be_here`).
    #[cfg(feature = "postgres")]
    fn sealed(place: &Location, said: &tokio_postgres::Error) -> Option<Self> {
        let said = said.as_db_error().filter(|said| said.code().code() == "APM01")?;
        let (to, is_over) = (said.message().to_owned(), said.detail() == Some("gone"));
        Some(Self::Sealed { place: place.clone(), to, is_over })
    }

    /// By the codes of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    #[cfg(feature = "postgres")]
    fn of_postgres(place: Location, code: Option<&SqlState>, said: String) -> Self {
        let Some(code) = code else { return Self::Unreached(place, said) };
        match code.code() {
            "25006" => Self::ReadOnly(place),
            "53100" => Self::Full(place),
            "55P03" | "40001" | "40P01" => Self::Busy(place),
            "XX001" | "XX002" => Self::Corrupt(place),
            "42501" | "3D000" => Self::Unopened(place, said),
            code if ["08", "28", "53", "57"].iter().any(|class| code.starts_with(class)) => {
                Self::Unreached(place, said)
            }
            _ => Self::Unusable(place, said),
        }
    }

    pub(in crate::outbox) fn io(place: &Location, why: &io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(place.clone()),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(place.clone()),
            _ => Self::Unopened(place.clone(), why.to_string()),
        }
    }
}

impl fmt::Display for StoreError {
    #[allow(clippy::too_many_lines, reason = "a sentence for each")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |place: &Location| quoted(&place.to_string());
        match self {
            Self::Unopened(path, why) => write!(f, "the outbox {} cannot be opened: {why}", shown(path)),
            Self::Foreign(path) => write!(f, "{} is no outbox of apiece; it was left as it is", shown(path)),
            Self::Newer(path, version) => {
                write!(f, "the outbox {} was written by a later apiece (its version is {version})", shown(path))
            }
            Self::Network(path) => write!(f, "the outbox {} would lie on a network file system", shown(path)),
            Self::Linked(path) => write!(f, "the outbox {} has a second name (a hard link)", shown(path)),
            Self::Unreached(place, why) => write!(f, "the outbox {} cannot be reached: {why}", shown(place)),
            Self::NotMigrated(place, version) => {
                let what = if *version == 0 { "no outbox yet" } else { "only the outbox of an earlier apiece" };
                write!(f, "there is {what} in {}", shown(place))
            }
            Self::Lost(place) => {
                write!(f, "another program has taken over the campaign in the outbox {}", shown(place))
            }
            Self::NoWorkers(place) => write!(f, "the outbox {} is a file, which workers cannot share", shown(place)),
            Self::Moved(path) => write!(f, "the outbox {} was moved, removed or replaced", shown(path)),
            Self::Io(path, why) => write!(f, "the disk does not read or write the outbox {}: {why}", shown(path)),
            Self::Corrupt(path) => write!(f, "the outbox {} is damaged; it was left as it is", shown(path)),
            Self::Full(path) => write!(f, "there is no room for the outbox {}: the disk is full", shown(path)),
            Self::Busy(path) => write!(f, "the outbox {} is in use by others all the time", shown(path)),
            Self::ReadOnly(path) => write!(f, "the outbox {} may only be read", shown(path)),
            Self::Unusable(path, why) => write!(f, "the outbox {} cannot be used: {why}", shown(path)),
            Self::Running { id, holder } => write!(f, "campaign {id} is being sent already: {holder}"),
            Self::Done { id, prepared, counts } => {
                let (sent, of) = (counts.of(Outcome::Sent), counted(counts.total(), "recipient"));
                let what = if sent + counts.of(Outcome::InDoubt) > 0 { "sent" } else { "prepared" };
                write!(
                    f,
                    "exactly this was {what} before: campaign {id}, prepared {}; {sent} of {of} got it",
                    day(*prepared)
                )?;
                match counts.of(Outcome::InDoubt) {
                    0 => {}
                    in_doubt => write!(f, ", and {in_doubt} may have got it")?,
                }
                match counts.of(Outcome::Cancelled) {
                    0 => Ok(()),
                    cancelled => write!(f, "; {cancelled} cancelled"),
                }
            }
            Self::Already { id, prepared, count, of, .. } => write!(
                f,
                "{count} of {} got exactly this message before, or may get it at this moment: campaign {id}, prepared {}",
                counted(*of, "recipient"),
                day(*prepared)
            ),
            Self::Changed { id, sent } => write!(
                f,
                "campaign {id} had the same template and list, and {} got it; but the messages are others now",
                counted(*sent, "recipient")
            ),
            Self::Namesake { name, here, there } => write!(
                f,
                "there are two campaigns {} in this outbox, {} and {}: this one would take for its own what the other one sent; \
                 nothing was sent",
                quoted(name),
                visible(here),
                visible(there)
            ),
            Self::Renamed { name, before, there } => write!(
                f,
                "campaign {} seems to be {}, which recurs, and whose {} is gone: under another name everybody would get again what \
                 they have; nothing was sent",
                quoted(name),
                quoted(before),
                visible(there)
            ),
            Self::NobodyInRow(row) => write!(f, "there is nobody in row {row} of the campaign"),
            Self::Unknown(id) => write!(f, "there is no campaign {} in the outbox", quoted(id)),
            Self::NoSnapshot(id) => {
                write!(f, "an earlier apiece prepared campaign {id} and kept nothing to send it from")
            }
            Self::Purged(id) => write!(f, "people's data was removed from campaign {id}"),
            Self::Unfinished(id) => {
                write!(f, "campaign {id} is not finished: some of its messages are still to be sent")
            }
            Self::NotShrunk(path) => {
                write!(f, "the data is removed, but the outbox {} is in use and still has its bytes", shown(path))
            }
            Self::Unsound { id, why } => write!(f, "what is kept of campaign {id} does not fit together: {why}"),
            Self::Elsewhere { id, origin } => {
                write!(f, "campaign {id} is here only to be looked at; it is sent from {}", quoted(origin))
            }
            Self::OtherSettings(id) => {
                write!(f, "campaign {id} has the same messages and was prepared with other settings")
            }
            Self::NotBrought(why) => write!(f, "this is no campaign that can be taken in: {why}"),
            Self::NotCarried(why) => write!(f, "the campaign cannot be written down for another machine: {why}"),
            Self::Here(id) => write!(f, "that campaign is here already: {id}"),
            Self::FileChanged(path) => {
                write!(f, "the file {} changed while the campaign was being prepared", quoted(path))
            }
            Self::LogBroken(number) => {
                write!(f, "entry {number} of the log does not follow from the one before: the log was changed")
            }
            Self::Sealed { place, to, is_over: true } => {
                write!(
                    f,
                    "the outbox {} was moved to {}: nothing is changed or sent here any more",
                    shown(place),
                    quoted(to)
                )
            }
            Self::Sealed { place, to, is_over: false } => {
                write!(
                    f,
                    "the outbox {} is being moved to {}, and not all of it is known to be there",
                    shown(place),
                    quoted(to)
                )
            }
            Self::Missing(place) => write!(f, "there is no outbox {}", shown(place)),
            Self::NotEmpty(place) => write!(f, "the outbox {} is not empty", shown(place)),
            Self::Sending(id) => write!(f, "messages of campaign {id} are being sent, or were when its run ended"),
            Self::NoText(place) => {
                write!(f, "{place} has a NUL in it, which PostgreSQL cannot hold; nothing was changed")
            }
            Self::NotMoving(place) => write!(f, "the outbox {} is not being moved", shown(place)),
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
            Self::Linked(_) => "outbox.linked",
            Self::Unreached(..) => "outbox.unreached",
            Self::NotMigrated(..) => "outbox.not-migrated",
            Self::Lost(_) => "outbox.lost",
            Self::Moved(_) => "outbox.moved",
            Self::Io(..) => "outbox.io",
            Self::NobodyInRow(_) => "rows.nobody",
            Self::Corrupt(_) => "outbox.corrupt",
            Self::Full(_) => "outbox.full",
            Self::Busy(_) => "outbox.busy",
            Self::ReadOnly(_) => "outbox.read-only",
            Self::Unusable(..) => "outbox.unusable",
            Self::Running { .. } => "outbox.running",
            Self::NoWorkers(_) => "outbox.no-workers",
            Self::Done { .. } => "outbox.done",
            Self::Changed { .. } => "outbox.changed",
            Self::Namesake { .. } => "outbox.namesake",
            Self::Renamed { .. } => "outbox.renamed",
            Self::Unknown(_) => "outbox.unknown",
            Self::Already { .. } => "outbox.already",
            Self::NoSnapshot(_) => "outbox.no-snapshot",
            Self::Purged(_) => "outbox.purged",
            Self::Unfinished(_) => "outbox.unfinished",
            Self::NotShrunk(_) => "outbox.not-shrunk",
            Self::Unsound { .. } => "outbox.unsound",
            Self::Elsewhere { .. } => "outbox.elsewhere",
            Self::OtherSettings(_) => "outbox.other-settings",
            Self::NotBrought(_) => "outbox.not-brought",
            Self::NotCarried(_) => "outbox.not-carried",
            Self::Here(_) => "outbox.here",
            Self::FileChanged(_) => "outbox.file-changed",
            Self::LogBroken(_) => "outbox.log-broken",
            Self::Sealed { .. } => "outbox.moved-away",
            Self::Missing(_) => "outbox.missing",
            Self::NotEmpty(_) => "outbox.not-empty",
            Self::Sending(_) => "outbox.sending",
            Self::NoText(_) => "outbox.nul",
            Self::NotMoving(_) => "outbox.not-moving",
        }
    }

    fn bare(&self) -> Bare {
        let message = match self {
            // Why may be what was said of its list, and a file may be named after somebody.
            Self::NotBrought(_) => "this is no campaign that can be taken in",
            Self::FileChanged(_) => "a file changed while the campaign was being prepared",
            _ => return Bare::Whole,
        };
        Bare::said(message, self.help())
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unopened(place, _) | Self::ReadOnly(place) if !place.is_file() => {
                "look at the address, and whether the role has the rights that docs/postgresql.md names".into()
            }
            Self::Corrupt(place) if !place.is_file() => "look at the database's own log, and at its backups".into(),
            Self::Unopened(..) | Self::ReadOnly(_) => "name another file with --outbox".into(),
            Self::Foreign(_) => "name another file with --outbox; apiece makes it".into(),
            Self::Newer(..) => "use that version, or name another file with --outbox".into(),
            Self::Network(_) => {
                "a crash could lose the record there: name a file on a disk of this machine with --outbox".into()
            }
            Self::Linked(_) => "under it, another run would not see that this one is there: remove the second name".into(),
            Self::Unreached(..) => "look whether the database runs, who may use it, and the address; then run the same command again".into(),
            Self::NotMigrated(..) => "somebody who may make tables there runs: apiece outbox migrate".into(),
            Self::Lost(_) => "this one was not heard of for too long; look at what the other does: apiece status".into(),
            Self::Moved(_) => "put it back with its -wal file, if it is still there, and run the same command again".into(),
            Self::Io(..) => {
                "look at the disk, at limits on the size of files, and at the system's log; then run the same command again"
                    .into()
            }
            Self::NobodyInRow(_) => "apiece export ID lists everybody's row; nothing was changed".into(),
            Self::Corrupt(_) => {
                "move it away with its -wal and -shm files, keep them, and try `sqlite3 FILE .recover` on a copy".into()
            }
            Self::Full(_) => "make room and run the same command again: it goes on where it is".into(),
            Self::Running { .. } => "wait for it to end, or stop it".into(),
            Self::NoWorkers(_) => "one program sends from a file: apiece send; workers need a database: --outbox postgres://…".into(),
            Self::Changed { .. } => {
                "an attached file has changed, or apiece is another version: put it back to go on with \
                                     that campaign; or say --again to send this to everybody"
                    .into()
            }
            Self::Unknown(_) => "apiece status lists them; the first letters are enough, four at least".into(),
            Self::Namesake { .. } => {
                "give this one a name of its own, in campaign.toml: name = \"…\"; or, if it is the same that was only moved, say \
                 --moved once"
                    .into()
            }
            Self::Renamed { name, before, .. } => format!(
                "say what it is called, in campaign.toml: if it is the same, name = \"{}\", and --moved once; if it is another \
                 one, name = \"{}\"",
                visible(before),
                visible(name)
            ),
            Self::Done { id, counts, .. } if counts.of(Outcome::InDoubt) > 0 => {
                format!("look up who may have got it: apiece status {id}; then say what you found: apiece resolve {id}")
            }
            Self::Done { id, counts, .. } if counts.of(Outcome::Cancelled) > 0 => format!(
                "apiece retry {id} --cancelled takes it up again for those who did not get it; --again sends it to everybody \
                 once more"
            ),
            Self::Done { .. } => {
                "say --again to send it to everybody once more, with its template and list, not with its id".into()
            }
            Self::Already { count, of, rest, .. } => {
                let others = format!("--rows {rest} sends it to the others; ");
                let others = if count < of && others.len() <= MOST_ROWS { &others } else { "" };
                format!(
                    "{others}--again sends it to everybody once more; apiece cancel ID takes back what was prepared"
                )
            }
            Self::NoSnapshot(_) => "prepare it anew from its template and list".into(),
            Self::Purged(_) => "its counts, digests and replies are still there: apiece status ID".into(),
            Self::Unfinished(id) => format!("send the rest, or take it back: apiece cancel {id}"),
            Self::NotShrunk(_) => "run the same command again when nothing else uses the outbox".into(),
            Self::Unsound { .. } => {
                "somebody changed the outbox, or the disk did; apiece verify ID says what it finds. Nothing is sent of it".into()
            }
            Self::Elsewhere { id, .. } => format!(
                "look at it and say yes or no: apiece preview {id}, apiece approve {id}, apiece reject {id}; when you are done: \
                 apiece purge {id}"
            ),
            Self::OtherSettings(id) => format!(
                "what is approved includes the settings. To send what was prepared: apiece send {id}; to have it approved with \
                 these settings: apiece cancel {id}, and prepare it with --again"
            ),
            Self::NotBrought(_) => "ask for it once more; nothing was kept of this".into(),
            Self::Here(id) => format!("apiece status {id} says what is known of it"),
            Self::FileChanged(_) | Self::Busy(_) => "run the same command again".into(),
            Self::LogBroken(_) => "somebody changed the outbox: what it says about the past cannot be relied on".into(),
            Self::Sealed { to, is_over: true, .. } => format!(
                "say --outbox {to}, or write it into the config file; what is here can still be looked at"
            ),
            Self::Sealed { place, to, is_over: false } => format!(
                "to go on: apiece outbox copy --from {place} --to {to}; to leave it where it is: the same with --undo"
            ),
            Self::Missing(_) => {
                "look at the name; what was being moved there may have arrived: put the file back if it is somewhere else".into()
            }
            Self::NotEmpty(place) if place.is_file() => "name a new file: apiece makes it".into(),
            Self::NotEmpty(_) => "name a database in which there is nothing but the tables: apiece outbox migrate makes them".into(),
            Self::Sending(id) => format!(
                "wait for its run to end; if it ended in the middle, apiece send {id} finds out which are in doubt, and goes on"
            ),
            Self::NoText(_) => "it can be moved into a file".into(),
            Self::NotMoving(_) => "it was never begun, or somebody took it back".into(),
            Self::NotCarried(_) | Self::Unusable(..) => return None,
        })
    }
}
