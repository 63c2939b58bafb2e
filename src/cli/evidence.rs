//! `apiece report`

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Exit, Failure, Screen,
    load::bar,
    record::{RecordArgs, failed, who},
};
use crate::{
    address::Address,
    message::Digest,
    outbox::{Deed, Names, Overview, Store, StoreError},
    report::evidence::{Clock, Evidence, Form, Incident, Unwritten, Wanted, found_json, found_text},
    secret::create_file,
};

/// An address on standard input is no longer.
const MOST_ADDRESS: u64 = 1024;

/// A reason has so many characters at most.
const MOST_REASON: usize = 2000;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Text,
    Html,
    Json,
    Csv,
}

/// Arguments of `apiece report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Says what was sent when and by whom it was prepared, confirmed and approved, what became of each
message and what the server said, which controls were on, and whether the record holds. Nobody is
named in it: people have pseudonyms, the same in each report about the campaign.

HTML is one file that loads nothing; printed, or saved as a PDF, it has A4 pages with numbers.
JSON and CSV have every message.

Examples:
  apiece report 3f9a12bc
  apiece report 3f9a12bc --format html -o report.html
  apiece report 3f9a12bc --find ada@one.example   # exit code 0 if she was among them, else 1
  apiece report 3f9a12bc --find -                 # the address is read from standard input
  apiece report 3f9a12bc --incident --discovered '2026-11-24 09:30'
  apiece report 3f9a12bc --incident --not-reported --reason 'a date was wrong'

Exits with 65 if the record does not hold; the report is written and says so.")]
pub(super) struct Report {
    /// The campaign, as `apiece status` names it
    id: String,
    /// text, html, json or csv
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    format: ReportFormat,
    /// Write it into this file, which only you can read; nothing is overwritten
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// List all messages in text and HTML, however many they are
    #[arg(long)]
    messages: bool,
    /// Name people by their addresses, too: for your own files
    #[arg(long)]
    addresses: bool,
    /// Make every message again from what is kept, and compare
    #[arg(long)]
    verify: bool,
    /// Say whether a person was among the recipients; - reads the address from standard input
    #[arg(
        long,
        value_name = "ADDRESS",
        conflicts_with_all = ["incident", "messages", "addresses", "verify", "output"]
    )]
    find: Option<String>,
    #[command(flatten)]
    incident: IncidentArgs,
    #[command(flatten)]
    record: RecordArgs,
}

/// When something did go wrong.
#[derive(Debug, Args)]
struct IncidentArgs {
    /// Report what is known for a personal data breach, in the order of the ICO's form, and log that
    #[arg(long, conflicts_with_all = ["messages", "addresses"])]
    incident: bool,
    /// When it was discovered, for the end of the 72 hours: '2026-11-24 09:30' here, or with an offset
    #[arg(long, value_name = "TIME", requires = "incident")]
    discovered: Option<String>,
    /// Write down the decision not to report it
    #[arg(long, requires = "incident", requires = "reason")]
    not_reported: bool,
    /// Why it is not reported; nothing about anybody
    #[arg(long, value_name = "TEXT", requires = "not_reported")]
    reason: Option<String>,
}

impl Report {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let form = match self.format {
            ReportFormat::Text => Form::Text,
            ReportFormat::Html => Form::Html,
            ReportFormat::Json => Form::Json,
            ReportFormat::Csv => Form::Csv,
        };
        let (store, campaign) = self.record.find(&self.id)?;
        let clock = Clock { now: Timestamp::now(), zone: TimeZone::system() };
        if let Some(who) = &self.find {
            return store.still(|| find(&store, campaign, who, form, clock)).map_err(failed)?;
        }
        if form == Form::Csv && self.incident.incident {
            return Err(usage("the report of an incident is text, HTML or JSON"));
        }
        if self.addresses && campaign.purged.is_some() {
            return Err(failed(StoreError::Purged(campaign.id)));
        }
        let discovered = self.incident.discovered(&store, &campaign, &clock)?;
        let reason = self.incident.reason(&store, &campaign)?;
        let mut output = Output::open(self.output.as_deref())?;
        if let Some(reason) = reason {
            let details = json!({ "reason": reason, "discovered": discovered.map(|time| time.to_string()) });
            let deed = Deed { who: &who(), what: "not-reported", details: &details };
            store.log(&campaign.id, deed, clock.now).map_err(failed)?;
        }
        let id = campaign.id;
        let made = store.still(|| self.make(&store, &id, (form, discovered), clock, &mut output, screen));
        let made = made.map_err(failed).and_then(|made| made);
        let Made { holds, entry } = made.inspect_err(|_| output.discard())?;
        if let Some(entry) = entry {
            store
                .log(&id, Deed { who: &who(), what: "reported", details: &entry }, Timestamp::now())
                .map_err(failed)?;
            screen.note(&format!(
                "The SHA-256 of this report is in the log now: {}\n",
                entry["sha256"].as_str().unwrap_or("")
            ));
        }
        if holds { Ok(Exit::Ok) } else { Err(unsound()) }
    }
}

/// The record does not hold.
fn unsound() -> Failure {
    let help = Some("somebody changed the outbox, or the disk did; keep a copy of it as it is");
    Failure::because(Exit::Data, "report.unsound", "the record does not hold; the report says what is wrong", help)
}

/// A report that was made.
struct Made {
    /// Whether the record holds.
    holds: bool,
    /// What the log is to know of it.
    entry: Option<Value>,
}

impl Report {
    fn make(
        &self,
        store: &Store,
        id: &str,
        (form, discovered): (Form, Option<Timestamp>),
        clock: Clock,
        output: &mut Output,
        screen: Screen,
    ) -> Result<Made, Failure> {
        let campaign = store.campaign(id).map_err(failed)?;
        let mut evidence = Evidence::gather(store, campaign, who(), clock).map_err(failed)?;
        if self.verify {
            verify(store, &mut evidence, screen)?;
        }
        let holds = evidence.problems().is_empty();
        let names = if self.addresses { Names::Shown } else { Names::Hidden };
        let wanted = Wanted { form, names, all_messages: self.messages };
        if !self.incident.incident {
            output.finish(|out| evidence.write(store, wanted, out))?;
            return Ok(Made { holds, entry: None });
        }
        let incident = Incident::gather(store, evidence, discovered).map_err(failed)?;
        let hash = output.finish(|out| incident.write(store, wanted, out))?;
        let entry = hash.map(|hash| {
            json!({
                "incident": true,
                "format": self.format.name(),
                "sha256": hash.to_string(),
                "discovered": incident.discovered.map(|time| time.to_string()),
            })
        });
        Ok(Made { holds, entry })
    }
}

impl ReportFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Html => "html",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::because(Exit::Usage, "report.usage", message, None)
}

impl IncidentArgs {
    fn discovered(&self, store: &Store, campaign: &Overview, clock: &Clock) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = &self.discovered else { return Ok(None) };
        let time = clock.read(text).map_err(|why| usage(format!("--discovered: {why}")))?;
        if time > clock.now {
            return Err(usage(format!("--discovered: {} is still to come", clock.say(time))));
        }
        let (first, what) = match store.totals(campaign).map_err(failed)?.span {
            Some((first, _)) => (first, "the first message was begun"),
            None => (campaign.prepared, "it was prepared"),
        };
        // People say minutes.
        if time < first - SignedDuration::from_mins(1) {
            return Err(usage(format!("--discovered: {} is before {what}, {}", clock.say(time), clock.say(first))));
        }
        Ok(Some(time))
    }

    /// Why it is not reported, if it is not.
    fn reason(&self, store: &Store, campaign: &Overview) -> Result<Option<&str>, Failure> {
        let Some(reason) = self.reason.as_deref().map(str::trim).filter(|_| self.not_reported) else { return Ok(None) };
        if reason.is_empty() || reason.chars().count() > MOST_REASON {
            return Err(usage(format!("--reason: a few sentences are wanted, {MOST_REASON} characters at most")));
        }
        if let Some(c) = reason.chars().find(|c| c.is_control() && *c != '\n') {
            return Err(usage(format!("--reason: U+{:04X} is a control character, and no text", u32::from(c))));
        }
        let named = |what: &str| usage(format!("--reason: a reason is kept for good, and names nobody; {what}"));
        if has_address(reason) {
            return Err(named("this has an address in it"));
        }
        if let Some(row) = store.names(campaign, reason).map_err(failed)? {
            return Err(named(&format!("this names the recipient in row {row}")));
        }
        Ok(Some(reason))
    }
}

/// Whether there is an address in a text: an @ between letters, or what may stand for it.
fn has_address(text: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "\"'“”<>[]_-+.".contains(c));
    let mut signs = text.match_indices(['@', '＠', '﹫']);
    signs.any(|(at, sign)| is_part(text[..at].chars().next_back()) && is_part(text[at + sign.len()..].chars().next()))
}

/// Answers whether somebody was among the recipients.
fn find(store: &Store, campaign: Overview, who: &str, form: Form, clock: Clock) -> Result<Exit, Failure> {
    let mut lines = String::new();
    let typed = match who {
        "-" => {
            let read = io::stdin().lock().take(MOST_ADDRESS).read_to_string(&mut lines);
            read.map_err(|why| usage(format!("the address cannot be read from standard input: {why}")))?;
            lines.trim()
        }
        typed => typed,
    };
    if typed.lines().count() > 1 {
        return Err(usage("standard input has more than one line: one address is wanted"));
    }
    let address: Address = typed.parse().map_err(|why| {
        let why = crate::diagnostic::Diagnostic::error(crate::diagnostic::Place::Nowhere, &why);
        Failure::new(Exit::Usage, why)
    })?;
    let found = store.find(&campaign, &address).map_err(failed)?;
    // Of a record that does not hold the answer is worth nothing.
    let evidence = Evidence::gather(store, campaign, self::who(), clock).map_err(failed)?;
    match form {
        Form::Text => Screen::print_always(&found_text(&evidence, found.as_ref())),
        Form::Json => Screen::print_always(&format!("{}\n", found_json(&evidence, found.as_ref()))),
        Form::Html | Form::Csv => return Err(usage("with --find the answer is text or JSON")),
    }
    if !evidence.problems().is_empty() {
        return Err(unsound());
    }
    Ok(if found.is_some() { Exit::Ok } else { Exit::NotFound })
}

/// Makes all messages again.
fn verify(store: &Store, evidence: &mut Evidence, screen: Screen) -> Result<(), Failure> {
    let campaign = &evidence.campaign;
    if campaign.purged.is_some() {
        return Ok(());
    }
    let bar = bar(campaign.counts.total(), "made again", screen);
    let verdict = store.verify(campaign, &|done| bar.set_position(done as u64));
    bar.finish_and_clear();
    // That it cannot even be read is what the report is to say.
    match verdict {
        Ok(verdict) => evidence.remade = Some(verdict),
        Err(why @ (StoreError::Unsound { .. } | StoreError::NoSnapshot(_))) => {
            evidence.contradictions.push(why.to_string());
        }
        Err(why) => return Err(failed(why)),
    }
    // Their names may hold people's data.
    let changed = store.verify_files(&evidence.campaign).map_err(failed)?.len();
    if changed > 0 {
        evidence.contradictions.push(format!("{changed} of the files that are kept are not what was prepared"));
    }
    Ok(())
}

/// Where a report is written.
enum Output {
    Screen,
    File(PathBuf, File),
}

impl Output {
    fn open(path: Option<&std::path::Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Screen) };
        let file = create_file(path).map_err(|why| Failure::unwritten("report.file", path, &why))?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Removes a file that is not whole.
    fn discard(&self) {
        if let Self::File(path, _) = self {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Writes it; gives the hash of what was written, unless nobody reads on.
    fn finish(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Unwritten>,
    ) -> Result<Option<Digest>, Failure> {
        let mut hashed = Hashed { hash: Sha256::new(), out: self };
        let written = write(&mut BufWriter::new(&mut hashed));
        let hash: [u8; 32] = hashed.hash.finalize().into();
        let written = match (written, &*self) {
            (Ok(()), Self::File(_, file)) => file.sync_all().map_err(Unwritten::Io),
            (written, _) => written,
        };
        let why = match (written, &*self) {
            (Ok(()), _) => return Ok(Some(hash.into())),
            (Err(Unwritten::Io(why)), Self::Screen) if why.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
            (Err(why), _) => why,
        };
        Err(match why {
            Unwritten::Store(why) => failed(why),
            Unwritten::Io(why) => {
                Failure::because(Exit::Io, "report.write", format!("the report cannot be written: {why}"), None)
            }
        })
    }
}

/// Writes, and hashes what is written.
struct Hashed<'o> {
    hash: Sha256,
    out: &'o mut Output,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self.out {
            Output::Screen => io::stdout().lock().write(bytes)?,
            Output::File(_, file) => file.write(bytes)?,
        };
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.out {
            Output::Screen => io::stdout().lock().flush(),
            Output::File(_, file) => file.flush(),
        }
    }
}
