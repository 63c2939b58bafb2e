//! A few messages as one page in a file that needs nothing else, to be handed round.

use std::{
    io::{self, Write},
    path::Path,
};

use jiff::ZonedDateTime;
use serde_json::{Value, json};
use thiserror::Error;

use super::{
    Gallery, frame, grouped, links_of,
    shown::{self, About},
};
use crate::{
    diagnostic::{Bare, Complaint},
    preview::Ways,
    recipients::{Recipient, Selection},
    secret,
};

/// So many messages are in a file if nobody says which.
const SAMPLE: usize = 20;

/// Octets of a file; mail and browsers have trouble with larger ones.
const MOST_BYTES: usize = 50_000_000;

/// Why there is no file.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum FileError {
    #[error("it is there already, and is not overwritten")]
    Exists,
    #[error("it cannot be written: {0}")]
    Io(io::Error),
    #[error("the messages are too large for one file: it would have more than {MOST_BYTES} bytes")]
    TooLarge,
    #[error("it could not be made: a fault in apiece")]
    Fault,
}

impl Complaint for FileError {
    fn code(&self) -> &'static str {
        "gallery.file"
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Exists => Some("choose another name".into()),
            Self::TooLarge => Some("choose fewer messages".into()),
            Self::Io(_) | Self::Fault => None,
        }
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl Gallery {
    /// Writes some messages into a file that only its owner can read; gives how many. If nobody says which: one of each
    /// combination of branches, and the first and last few; 20 at most.
    pub fn write(&self, who: Option<&Selection>, path: &Path, now: &ZonedDateTime) -> Result<usize, FileError> {
        if path.symlink_metadata().is_ok() {
            return Err(FileError::Exists);
        }
        let count = self.list().len();
        let sample = || Selection::Some(sample(self.ways(), count, SAMPLE));
        let who = who.cloned().unwrap_or_else(sample);
        let mut messages = Vec::with_capacity(who.len());
        let mut bytes = 0;
        for person in who.iter().filter_map(|index| self.list().get(index)) {
            let (message, size) = self.in_file(person);
            bytes += size;
            if bytes > MOST_BYTES {
                return Err(FileError::TooLarge);
            }
            messages.push(message);
        }
        let count = messages.len();
        let body = json!({
            "facts": self.facts,
            "template": self.template_name(),
            "messages": messages,
            "shown": grouped(count),
            "people": grouped(self.list().len()),
            "when": now.strftime("%Y-%m-%d %H:%M %:z").to_string(),
            "notes": self.general,
        });
        let page = self.pages.file(&body).ok_or(FileError::Fault)?;
        let mut file = secret::create_file(path).map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists,
            _ => FileError::Io(why),
        })?;
        file.write_all(page.as_bytes()).and_then(|()| file.sync_all()).map_err(FileError::Io)?;
        Ok(count)
    }

    /// One message, and how many octets it takes.
    fn in_file(&self, person: Recipient<'_>) -> (Value, usize) {
        let (message, notes, _) = shown::make(&self.composer, &self.guard, person, &self.remarks(person), None);
        let about = About::of(&self.composer, person, message.as_ref(), notes);
        let parsed = message.as_ref().and_then(shown::parse);
        let html = parsed.as_ref().and_then(|parsed| Some(frame::document_in_file(frame::html(parsed)?, parsed)));
        let size = html.as_ref().map_or(0, String::len) + message.as_ref().map_or(0, |message| message.bytes().len());
        let shown = json!({
            "about": about,
            "html": html,
            "links": parsed.as_ref().and_then(frame::html).map(links_of),
            "text": parsed.as_ref().map(shown::text),
            "headers": parsed.as_ref().map(shown::headers),
        });
        (shown, size)
    }
}

/// The people whose messages show most of a campaign: one of each combination, and the first and last few; at most `most`.
fn sample(ways: &Ways, people: usize, most: usize) -> Vec<usize> {
    const ENDS: usize = 3;
    let ends = (0..people.min(ENDS)).chain(people.saturating_sub(ENDS)..people);
    let mut sample: Vec<usize> = Vec::with_capacity(most);
    for person in ways.all().iter().map(|way| way.first).chain(ends) {
        if sample.len() < most && !sample.contains(&person) {
            sample.push(person);
        }
    }
    sample.sort_unstable();
    sample
}
