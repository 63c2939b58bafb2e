//! Where records go: lines on standard error or in a file, or the journal.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::Level;

use super::sieve::Record;

/// Where systemd's journal takes records (systemd.journal-fields(7), "Journal Native Protocol").
#[cfg(unix)]
const JOURNAL: &str = "/run/systemd/journal/socket";

/// What a run's first record, its last one, and one about trouble are found by in the journal (`journalctl MESSAGE_ID=…`).
const STARTED: &str = "90acec2de6a97346102918f53c932c7a";
const ENDED: &str = "f86914040dd74c8c16d0b23fcd891399";
const TROUBLE: &str = "d7d7487c45ac9ed93290661e53bac621";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// For people: time, level, event, and the fields as `name=value`.
    Human,
    /// An object for each.
    Json,
}

/// Where records go.
#[derive(Debug)]
pub enum Output {
    /// Standard error.
    Screen(Lines),
    /// A file, at its end.
    File(Lines, File),
    /// The journal.
    #[cfg(unix)]
    Journal(std::os::unix::net::UnixDatagram),
}

/// Whether standard error is the journal, as systemd says it (systemd.exec(5), `$JOURNAL_STREAM`).
#[must_use]
pub fn is_under_journald() -> bool {
    #[cfg(unix)]
    {
        let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
        let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
        stream == format!("{}:{}", stat.st_dev, stat.st_ino)
    }
    #[cfg(not(unix))]
    false
}

impl Output {
    /// A file that records are added to; a new one is its owner's alone.
    pub fn file(path: &Path, lines: Lines) -> io::Result<Self> {
        let foreign = || io::Error::other("what is there is no log, and nothing is added to it");
        match path.symlink_metadata() {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Ok(found) if found.is_file() && found.len() == 0 => {}
            Ok(found) if found.is_file() => {
                let mut first = [0; 5];
                File::open(path)?.read_exact(&mut first).map_err(|_| foreign())?;
                // A time, or a JSON object
                let is_time = first[..4].iter().all(u8::is_ascii_digit) && first[4] == b'-';
                if !is_time && first[..2] != *b"{\"" {
                    return Err(foreign());
                }
            }
            Ok(_) => return Err(foreign()),
            Err(why) => return Err(why),
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self::File(lines, options.open(path)?))
    }

    /// The journal of this machine.
    #[cfg(unix)]
    pub fn journal() -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        socket.connect(JOURNAL)?;
        Ok(Self::Journal(socket))
    }

    /// There is none here.
    #[cfg(not(unix))]
    pub fn journal() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn write(&self, record: &Record) {
        let written = match self {
            Self::Screen(lines) => io::stderr().write_all(line(record, *lines).as_bytes()),
            Self::File(lines, file) => {
                let mut file = file;
                file.write_all(line(record, *lines).as_bytes())
            }
            #[cfg(unix)]
            Self::Journal(socket) => socket.send(entry(record).as_bytes()).map(drop),
        };
        if let Err(why) = written {
            lost(&why);
        }
    }
}

/// That a record was lost is said once, and is no reason to stop.
fn lost(why: &io::Error) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::SeqCst) {
        let _ = writeln!(io::stderr(), "warning: the log cannot be written: {why}");
    }
}

fn line(record: &Record, lines: Lines) -> String {
    // To the second, as the log of a mail server.
    let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    match lines {
        Lines::Human => format!("{time} {:<5} {}\n", word(record.level), words(record)),
        Lines::Json => {
            let mut object = Map::new();
            object.insert("time".into(), time.into());
            object.insert("level".into(), word(record.level).into());
            object.insert("event".into(), record.event.clone().into());
            object.extend(record.campaign.clone().map(|campaign| ("campaign".to_owned(), Value::from(campaign))));
            object.extend(record.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            format!("{}\n", Value::Object(object))
        }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The event and its fields, in one line.
fn words(record: &Record) -> String {
    let mut words = record.event.clone();
    if let Some(campaign) = &record.campaign {
        let _ = write!(words, " campaign={campaign}");
    }
    for (name, value) in &record.fields {
        let _ = match value {
            Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => {
                write!(words, " {name}={text}")
            }
            value => write!(words, " {name}={value}"),
        };
    }
    words
}

/// The fields of a record for the journal. None has a line break, so that each is a line.
#[cfg(unix)]
fn entry(record: &Record) -> String {
    let priority = match record.level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    };
    let message_id = match record.event.as_str() {
        "start" => Some(STARTED),
        "end" => Some(ENDED),
        _ if record.level <= Level::WARN => Some(TROUBLE),
        _ => None,
    };
    let mut entry = format!("MESSAGE={}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER=apiece\n", words(record));
    let _ = writeln!(entry, "APIECE_EVENT={}", record.event);
    if let Some(id) = message_id {
        let _ = writeln!(entry, "MESSAGE_ID={id}");
    }
    if let Some(campaign) = &record.campaign {
        let _ = writeln!(entry, "APIECE_CAMPAIGN={campaign}");
    }
    for (name, value) in &record.fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = writeln!(entry, "APIECE_{}={value}", name.to_uppercase());
    }
    entry
}
