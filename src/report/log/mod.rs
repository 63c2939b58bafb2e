//! The log: a record for each thing that an operator may want to know of afterwards, as lines, as JSON or in the journal.
//!
//! Records are `tracing` events of this program; those of the libraries under it are not let through. Each goes through one
//! `sieve`, which lets known fields pass alone, and nothing in them that could be somebody's.

mod output;
mod sieve;
mod told;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use secrecy::SecretString;
use tracing::{Event, Level, Metadata, Subscriber, level_filters::LevelFilter, span};

pub use self::output::{Lines, Output, is_under_journald};
pub use self::told::{
    Ended, account_given_up, campaign_halted, ended, not_taken_in, outbox_is_away, outcomes_came_late, sent_no_word,
    started, step, turn_begins, turn_ends,
};
pub(super) use self::{
    sieve::{Sieve, holds_address, without_codes},
    told::{progress, tell},
};

/// The one that this process writes, if it writes any.
static LOG: OnceLock<Arc<Shared>> = OnceLock::new();

/// What a log is told besides its records.
#[derive(Debug, Default)]
struct Shared {
    sieve: Mutex<Sieve>,
    /// The id of the campaign that is sent, once it is known
    campaign: Mutex<Option<String>>,
}

/// Takes records and writes them.
struct Log {
    shared: Arc<Shared>,
    most: Level,
    output: Output,
}

/// Starts the log of this process; the first one counts.
pub fn start(most: Level, output: Output) {
    let shared = Arc::clone(LOG.get_or_init(Arc::default));
    let _ = tracing::subscriber::set_global_default(Log { shared, most, output });
}

/// From now on each record names this campaign.
pub fn is_about(campaign: &str) {
    if let Some(log) = LOG.get() {
        *log.campaign.lock().unwrap_or_else(PoisonError::into_inner) = Some(Sieve::word(campaign));
    }
}

/// From now on no text that has this password or token in it is written.
pub fn hide(secret: &SecretString) {
    if let Some(log) = LOG.get() {
        log.sieve.lock().unwrap_or_else(PoisonError::into_inner).hide(secret);
    }
}

/// The name of a campaign or an account, as it may be handed on.
#[must_use]
pub fn passed(name: &str) -> String {
    Sieve::default().name(name)
}

/// Whether nothing of a name may be handed on.
#[must_use]
pub fn is_removed(name: &str) -> bool {
    holds_address(name)
}

/// Whether a record is of this program.
fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some("apiece")
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most && is_own(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most.into())
    }

    fn event(&self, event: &Event<'_>) {
        let mut record = self.shared.sieve.lock().unwrap_or_else(PoisonError::into_inner).sift(event);
        record.campaign.clone_from(&self.shared.campaign.lock().unwrap_or_else(PoisonError::into_inner));
        self.output.write(&record);
    }

    // There are no spans.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
