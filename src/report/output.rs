//! Standard output. Whoever reads it may go away, and that is no reason to break off; but a result that was lost
//! otherwise is said.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a result.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(why) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && why.kind() != io::ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::SeqCst)
    {
        let _ = writeln!(io::stderr(), "error: the result cannot be printed: {why}");
    }
}

/// Whether a result could not be printed, other than because nobody reads it.
#[must_use]
pub fn output_was_lost() -> bool {
    LOST.load(Ordering::SeqCst)
}
