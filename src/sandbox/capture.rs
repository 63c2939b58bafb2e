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
        let envelope = serde_json::to_vec_pretty(envelope)?;
        let files = [(path(MESSAGE_ENDING), message), (path(ENVELOPE_ENDING), &envelope)];
        for (path, content) in &files {
            if let Err(error) = secret::create_file(path).and_then(|mut file| file.write_all(content)) {
                // Half a message would be a lie; that one cannot be removed is of no more importance then.
                for (path, _) in &files {
                    let _ = std::fs::remove_file(path);
                }
                return Err(error);
            }
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_message_that_cannot_be_kept_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let capture = Capture::new(directory.path().to_owned());
        // The envelope's name is taken.
        std::fs::write(directory.path().join("0000001.envelope.json"), "x").unwrap();
        let envelope = CapturedEnvelope { mail_from: "a".into(), rcpt_to: vec![], tls: None, authenticated_as: None };
        assert!(capture.write(&envelope, b"x").is_err());
        assert!(!directory.path().join("0000001.eml").exists());
        assert_eq!(capture.write(&envelope, b"x").unwrap(), 2);
    }
}
