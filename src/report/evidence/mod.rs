//! What can be shown about a campaign afterwards, to whoever may ask: what was sent when, by whom it was prepared, confirmed and
//! approved, what became of each message, and what the record proves.
//!
//! [`Evidence`] is gathered from the record, and written as text, HTML, JSON or CSV. Messages are never held all at once. Nobody
//! is named in it unless that is wanted: a person has a pseudonym, which is the same in each report about the campaign.

mod clock;
mod controls;
mod csv;
mod document;
mod found;
mod html;
mod incident;
mod json;
mod sections;
mod text;

use std::{fmt, io};

use serde_json::Value;

pub(crate) use self::csv::harmless;
pub use self::{
    clock::{Clock, DEADLINE},
    found::{found_json, found_text},
    incident::Incident,
};
use crate::{
    diagnostic::counted,
    outbox::{
        Chain, Check, Entry, Matter, Names, Outcome, Overview, Store, StoreError, Totals, Traced, Verdict,
        without_addresses,
    },
};

/// So many messages are listed for people to read, unless somebody wants all; programs get all.
const MOST_LISTED: usize = 200;

/// What is said if the digest is not what it was.
const OTHER_DIGEST: &str = "what is kept of the campaign is not what was prepared: its digest is another one";

/// What is known of a campaign, and whether the record holds.
#[derive(Debug)]
pub struct Evidence {
    /// When and where the report is made.
    pub clock: Clock,
    /// Who makes it, as the system names the user.
    pub by: String,
    /// Which campaign.
    pub campaign: Overview,
    /// Who is sending it at this moment.
    pub running: Option<String>,
    /// What it is about, if that is still known.
    pub matter: Option<Matter>,
    /// What was tried.
    pub totals: Totals,
    /// What is true if each transaction had one recipient.
    pub checks: Vec<Check>,
    /// What the log comes to, or what is wrong with it.
    pub chain: Result<Chain, String>,
    /// What does not fit together in the record.
    pub contradictions: Vec<String>,
    /// What came of making all messages again, if somebody wanted that.
    pub remade: Option<Verdict>,
    /// What people did about it, in order.
    pub entries: Vec<Entry>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For a terminal, or to be copied.
    Text,
    /// One file that needs no other, to be opened, printed, or saved as a PDF.
    Html,
    /// For programs.
    Json,
    /// A line for each message.
    Csv,
}

/// What is to be in a report.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// How it is written.
    pub form: Form,
    /// Whether people are named.
    pub names: Names,
    /// Whether all messages are listed, however many they are.
    pub all_messages: bool,
}

/// Why a report is not written to its end.
#[derive(Debug)]
pub enum Unwritten {
    /// The record.
    Store(StoreError),
    /// Where it is written.
    Io(io::Error),
}

impl From<StoreError> for Unwritten {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl From<io::Error> for Unwritten {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(why) => why.fmt(f),
            Self::Io(why) => why.fmt(f),
        }
    }
}

impl Evidence {
    /// Looks up everything but the messages themselves.
    pub fn gather(store: &Store, campaign: Overview, by: String, clock: Clock) -> Result<Self, StoreError> {
        let chain = match store.verify_log() {
            Ok(chain) => Ok(chain),
            Err(why @ StoreError::LogBroken(_)) => Err(why.to_string()),
            Err(why) => return Err(why),
        };
        let mut contradictions = store.contradictions(&campaign)?;
        let kept = store.digest_kept(&campaign)?;
        if kept.is_some() && kept != campaign.digest {
            contradictions.push(OTHER_DIGEST.to_owned());
        }
        Ok(Self {
            clock,
            by,
            running: store.running(&campaign),
            matter: store.matter(&campaign)?,
            totals: store.totals(&campaign)?,
            checks: store.checks(&campaign)?,
            chain,
            contradictions,
            remade: None,
            entries: store.entries(&campaign.id)?.into_iter().map(unnamed).collect(),
            campaign,
        })
    }

    /// What speaks against the record, in words; nothing if it holds.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.chain.as_ref().err().cloned().into_iter().collect();
        problems.extend(self.contradictions.iter().cloned());
        let against = self.checks.iter().filter(|check| check.against > 0);
        problems
            .extend(against.map(|check| format!("{}: it is not so {}", check.claim, counted(check.against, "time"))));
        // That what is kept has another digest is among the contradictions.
        match self.remade.as_ref().map_or(0, |remade| remade.changed_count) {
            0 => {}
            1 => problems.push("1 message comes out otherwise than it was prepared".into()),
            count => problems.push(format!("{count} messages come out otherwise than they were prepared")),
        }
        problems
    }

    /// Writes it.
    pub fn write(&self, store: &Store, wanted: Wanted, out: &mut dyn io::Write) -> Result<(), Unwritten> {
        match wanted.form {
            Form::Text => text::write(&self.document(wanted), self, store, wanted, out),
            Form::Html => html::write(&self.document(wanted), self, store, wanted, out),
            Form::Json => json::write(self, store, wanted, out),
            Form::Csv => csv::write(self, store, wanted, out),
        }
    }

    /// Whether all messages are listed in a document.
    fn lists_all(&self, wanted: Wanted) -> bool {
        wanted.all_messages || self.campaign.counts.total() <= MOST_LISTED
    }

    /// Goes through the messages that a document lists. What goes wrong with writing ends it.
    fn listed(
        &self,
        store: &Store,
        wanted: Wanted,
        mut with: impl FnMut(&Traced) -> io::Result<()>,
    ) -> Result<(), Unwritten> {
        let all = self.lists_all(wanted);
        let mut listed = 0;
        let mut written = Ok(());
        store.trace(&self.campaign, wanted.names, |traced| {
            if all || is_notable(&traced) {
                written = with(&traced);
                listed += 1;
            }
            written.is_ok() && (all || listed < MOST_LISTED)
        })?;
        written.map_err(Unwritten::Io)
    }

    fn did<'e>(&'e self, what: &'e str) -> impl DoubleEndedIterator<Item = &'e Entry> {
        self.entries.iter().filter(move |entry| entry.what == what)
    }
}

/// Whether there is more to say about a message than that it was sent at the first try.
fn is_notable(traced: &Traced) -> bool {
    traced.outcome != Outcome::Sent || traced.transactions.len() != 1
}

/// `1 entry`, `2 entries`
fn entries(count: usize) -> String {
    if count == 1 { "1 entry".into() } else { format!("{count} entries") }
}

/// An entry of the log without what a server may have said about anybody when a run ended.
fn unnamed(mut entry: Entry) -> Entry {
    if let Some(Value::String(why)) = entry.details.get_mut("why") {
        *why = without_addresses(why);
    }
    entry
}

/// The details of an entry of the log in words, without those that stand elsewhere.
#[must_use]
pub fn in_words(details: &Value) -> String {
    // Statements and signatures are long; who prepared is told by name.
    let elsewhere = ["digest", "about", "signature", "statement", "preparing", "keys", "logins", "pseudonyms"];
    let is_said = |value: &Value| !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty());
    let known = details.as_object().into_iter().flatten();
    let known = known.filter(|(key, value)| !elsewhere.contains(&key.as_str()) && is_said(value));
    let words = known.map(|(key, value)| match value {
        Value::String(text) => format!("{key}: {text}"),
        Value::Array(all) => {
            format!("{key}: {}", all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        }
        Value::Object(all) => {
            let all = all.iter().map(|(name, value)| format!("{name} {value}"));
            format!("{key}: {}", all.collect::<Vec<_>>().join(", "))
        }
        other => format!("{key}: {other}"),
    });
    words.collect::<Vec<_>>().join("; ")
}
