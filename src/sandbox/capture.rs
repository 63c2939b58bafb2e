//! What a sandbox keeps: each message as it came, and its envelope beside it.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use crate::secret;

/// The endings of the two files of a message.
pub(super) const MESSAGE_ENDING: &str = ".eml";
pub(super) const ENVELOPE_ENDING: &str = ".envelope.json";

/// How a message came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CapturedEnvelope {
    pub(super) mail_from: String,
    pub(super) rcpt_to: Vec<String>,
    /// Such as `TLSv1.3`
    pub(super) tls: Option<String>,
    pub(super) authenticated_as: Option<String>,
}

/// Writes messages into a directory.
#[derive(Debug)]
pub(super) struct Capture {
    directory: PathBuf,
    written: AtomicU64,
}

impl Capture {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, written: AtomicU64::new(0) }
    }

    /// Keeps one message; gives its number.
    pub(super) fn write(&self, envelope: &CapturedEnvelope, message: &[u8]) -> io::Result<u64> {
        let number = self.written.fetch_add(1, Ordering::SeqCst) + 1;
        let path = |ending| self.directory.join(format!("{number:07}{ending}"));
        secret::create_file(&path(MESSAGE_ENDING))?.write_all(message)?;
        let envelope = serde_json::to_vec_pretty(envelope)?;
        secret::create_file(&path(ENVELOPE_ENDING))?.write_all(&envelope)?;
        Ok(number)
    }
}
