//! Messages as files that a mail program can open: `.eml`, Maildir, mbox. Only their owner can read them, and nothing that is
//! there already is overwritten.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::{ZonedDateTime, tz::TimeZone};
use thiserror::Error;

use crate::{
    diagnostic::{Bare, Complaint, quoted},
    message::Message,
    secret::{create_directory, create_file},
};

/// Where messages are written.
#[derive(Debug)]
pub enum Files {
    /// A directory with a file `row-000002.eml` for each message.
    Eml(PathBuf),
    /// A Maildir, which mail programs take up as a folder (<https://cr.yp.to/proto/maildir.html>).
    Maildir(PathBuf),
    /// One file with all messages, lines that begin with "From " marked with a `>` (mboxrd, RFC 4155).
    Mbox(PathBuf, BufWriter<File>),
}

/// Why messages cannot be written.
#[derive(Debug, Error)]
#[error("{} cannot be written: {why}", quoted(&.path.display().to_string()))]
pub struct FilesError {
    path: PathBuf,
    why: io::Error,
}

impl Complaint for FilesError {
    fn code(&self) -> &'static str {
        "preview.write"
    }

    fn help(&self) -> Option<String> {
        let exists = self.why.kind() == io::ErrorKind::AlreadyExists;
        Some(if exists { "nothing is overwritten; choose another name" } else { "choose another place" }.into())
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl Files {
    /// `.eml` files in a directory, which may be there.
    pub fn eml(directory: &Path) -> Result<Self, FilesError> {
        create_directory(directory).map_err(|why| error(directory, why))?;
        Ok(Self::Eml(directory.to_owned()))
    }

    /// A new Maildir, or one that is there.
    pub fn maildir(directory: &Path) -> Result<Self, FilesError> {
        for part in ["", "tmp", "new", "cur"] {
            let part = directory.join(part);
            create_directory(&part).map_err(|why| error(&part, why))?;
        }
        Ok(Self::Maildir(directory.to_owned()))
    }

    /// A new file.
    pub fn mbox(file: &Path) -> Result<Self, FilesError> {
        let out = create_file(file).map_err(|why| error(file, why))?;
        Ok(Self::Mbox(file.to_owned(), BufWriter::new(out)))
    }

    /// Where they are.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Eml(path) | Self::Maildir(path) | Self::Mbox(path, _) => path,
        }
    }

    /// Writes one more message, as if it were sent at that time.
    pub fn write(&mut self, message: &Message, now: &ZonedDateTime) -> Result<(), FilesError> {
        let bytes = message.dated(now);
        match self {
            Self::Eml(directory) => write_new(&directory.join(format!("row-{:06}.eml", message.row())), &bytes),
            Self::Maildir(directory) => {
                // Nobody sees it before it is whole. Lines end as they do in files here. Others write here, too: a name is
                // of a second, of a message and of chance.
                let (second, chance) = (now.timestamp().as_second(), fastrand::u64(..));
                let name = format!("{second}.row{:06}r{chance:016x}.apiece", message.row());
                let [tmp, new] = ["tmp", "new"].map(|part| directory.join(part).join(&name));
                if new.exists() {
                    return Err(error(&new, io::ErrorKind::AlreadyExists.into()));
                }
                let moved = write_new(&tmp, &without_cr(&bytes))
                    .and_then(|()| std::fs::rename(&tmp, &new).map_err(|why| error(&new, why)));
                // What is there in part is of no use to anybody.
                moved.inspect_err(|_| drop(std::fs::remove_file(&tmp)))
            }
            Self::Mbox(path, out) => {
                let from = message.envelope().from();
                let time = now.with_time_zone(TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string();
                let entry = mbox_entry(from.as_str(), &time, &without_cr(&bytes));
                out.write_all(&entry).map_err(|why| error(path, why))
            }
        }
    }

    /// All are written.
    pub fn finish(self) -> Result<(), FilesError> {
        match self {
            Self::Eml(_) | Self::Maildir(_) => Ok(()),
            Self::Mbox(path, mut out) => out.flush().map_err(|why| error(&path, why)),
        }
    }
}

fn error(path: &Path, why: io::Error) -> FilesError {
    FilesError { path: path.to_owned(), why }
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FilesError> {
    create_file(path).and_then(|mut file| file.write_all(bytes)).map_err(|why| error(path, why))
}

/// The same with lines that end in LF alone.
fn without_cr(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|octet| *octet == b'\n') {
        lines.extend_from_slice(line.strip_suffix(b"\r\n").unwrap_or(line));
        if line.ends_with(b"\r\n") {
            lines.push(b'\n');
        }
    }
    lines
}

/// A message in an mbox file, with the line before and the empty one after it.
fn mbox_entry(from: &str, time: &str, bytes: &[u8]) -> Vec<u8> {
    let mut entry = format!("From {from} {time}\n").into_bytes();
    for line in bytes.split_inclusive(|octet| *octet == b'\n') {
        let bare = &line[line.iter().take_while(|octet| **octet == b'>').count()..];
        if bare.starts_with(b"From ") {
            entry.push(b'>');
        }
        entry.extend_from_slice(line);
    }
    entry.extend_from_slice(if bytes.ends_with(b"\n") { b"\n" } else { b"\n\n" });
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_mbox_is_taken_for_the_beginning_of_a_message() {
        let message = without_cr(b"Subject: x\r\n\r\nFrom here\r\n>From there\r\n From\r\nFrom\tx\r\n");
        assert_eq!(
            String::from_utf8(mbox_entry("u@police.example", "Thu Jan  1 00:00:00 1970", &message)).unwrap(),
            "From u@police.example Thu Jan  1 00:00:00 1970\nSubject: x\n\n>From here\n>>From there\n From\nFrom\tx\n\n"
        );
        assert_eq!(without_cr(b"a\rb\nc\r\n\r\nd"), b"a\rb\nc\n\nd");
    }
}
