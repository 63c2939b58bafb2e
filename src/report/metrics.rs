//! A run in numbers, as a file that `node_exporter`'s textfile collector reads.
//!
//! Anybody may read it: it has counts, times, and the names of campaign and account, and nothing about anybody.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    log::{self, Ended},
    prometheus::{Kind, Page, Sample, float, label},
};
use crate::{
    delivery::{Event, Reply},
    outbox::{Counts, Outbox, Outcome, Work},
};

/// Between two files of a run.
const EVERY: Duration = Duration::from_secs(15);

/// An older file that is larger is none of ours.
const MOST_BYTES: u64 = 64 * 1024;

/// When a run was last all right is known from the file of the one before.
const LAST_SUCCESS: &str = "apiece_last_success_timestamp_seconds";

/// Of a run, and of a worker.
pub(super) const STARTED: &str = "apiece_run_started_timestamp_seconds";

/// The numbers of a run, and the file that they are written to.
#[derive(Debug)]
pub struct Metrics {
    file: PathBuf,
    labels: String,
    began: Timestamp,
    start: Instant,
    last_success: Option<f64>,
    connections: u64,
    /// Replies that begin with 2, 4 and 5
    replies: [u64; 3],
    next_due: Option<Timestamp>,
    due: Instant,
    failed: bool,
}

impl Metrics {
    /// Those of a run that begins now.
    #[must_use]
    pub fn new(file: &Path, campaign: &str, account: Option<&str>) -> Self {
        let mut labels = format!("campaign=\"{}\"", label(campaign));
        if let Some(account) = account {
            let _ = write!(labels, ",account=\"{}\"", label(account));
        }
        let last_success = last_success(file);
        let (began, start) = (Timestamp::now(), Instant::now());
        let (file, due) = (file.to_owned(), start);
        Self {
            file,
            labels,
            began,
            start,
            last_success,
            connections: 0,
            replies: [0; 3],
            next_due: None,
            due,
            failed: false,
        }
    }

    /// When the file is to be written again.
    pub(super) async fn due(&self) {
        tokio::time::sleep_until(self.due).await;
    }

    /// Counts what the engine says.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Connected { .. } => self.connections += 1,
            Event::Finished(finished) | Event::PutOff { finished, .. } => self.count(finished.reply.as_ref()),
            Event::SlowedDown { reply, .. } => self.count(Some(reply)),
            Event::Stopping(reason) => self.count(reason.reply()),
            _ => {}
        }
    }

    fn count(&mut self, reply: Option<&Reply>) {
        match reply.map(|reply| reply.code() / 100) {
            Some(2) => self.replies[0] += 1,
            Some(4) => self.replies[1] += 1,
            Some(5) => self.replies[2] += 1,
            _ => {}
        }
    }

    /// Writes how it stands.
    pub(super) fn show(&mut self, outbox: &Outbox) {
        self.due = Instant::now() + EVERY;
        self.next_due = match outbox.work(Timestamp::now()) {
            Work::At(due) => Some(due),
            _ => None,
        };
        self.write(Some(outbox.counts()), None);
    }

    /// Writes how it ended.
    pub fn end(&mut self, ended: &Ended) {
        if ended.exit == 0 {
            self.last_success = Some(seconds(Timestamp::now()));
        }
        self.write(ended.counts, Some(ended));
    }

    fn write(&mut self, counts: Option<Counts>, ended: Option<&Ended>) {
        let text = self.text(counts, ended, Timestamp::now());
        if let Err(why) = replace(&self.file, &text)
            && !std::mem::replace(&mut self.failed, true)
        {
            log::sent_no_word("metrics", &why.to_string());
            let file = crate::diagnostic::visible(&self.file.display().to_string());
            let _ = writeln!(io::stderr(), "warning: {file} cannot be written: {why}");
        }
    }

    fn text(&self, counts: Option<Counts>, ended: Option<&Ended>, now: Timestamp) -> String {
        let mut page = Page::default();
        let sample = |more: &str, value: f64| Sample::new(format!("{}{more}", self.labels), value);
        let one = |value: Option<f64>| value.map(|value| sample("", value));
        let of = |counts: Counts, outcome: Outcome| {
            sample(&format!(",outcome=\"{}\"", outcome.name()), float(counts.of(outcome) as u64))
        };
        let outcomes = counts.map(|counts| Outcome::ALL.map(|outcome| of(counts, outcome)));
        page.family(
            "apiece_messages",
            Kind::Gauge,
            "Messages of the campaign by outcome.",
            outcomes.into_iter().flatten(),
        );
        let replies = ["2xx", "4xx", "5xx"].into_iter().zip(self.replies);
        page.family(
            "apiece_server_replies_total",
            Kind::Counter,
            "Last replies of the server to messages, and to what stopped the run, by class.",
            replies.map(|(class, count)| sample(&format!(",class=\"{class}\""), float(count))),
        );
        page.family(
            "apiece_connections_opened_total",
            Kind::Counter,
            "Connections that were ready for mail in this run.",
            one(Some(float(self.connections))),
        );
        page.family(
            "apiece_next_due_timestamp_seconds",
            Kind::Gauge,
            "When the next message that was put off is tried again.",
            one(self.next_due.filter(|_| ended.is_none()).map(seconds)),
        );
        page.family(STARTED, Kind::Gauge, "When the run began.", one(Some(seconds(self.began))));
        page.family(
            "apiece_run_finished_timestamp_seconds",
            Kind::Gauge,
            "When the run ended; absent as long as it goes on.",
            one(ended.map(|_| seconds(now))),
        );
        page.family(
            "apiece_run_duration_seconds",
            Kind::Gauge,
            "How long the run took, or takes by now.",
            one(Some(self.start.elapsed().as_secs_f64())),
        );
        page.family(
            "apiece_run_exit_code",
            Kind::Gauge,
            "The exit code of the run; absent as long as it goes on.",
            one(ended.map(|ended| f64::from(ended.exit))),
        );
        page.family(
            LAST_SUCCESS,
            Kind::Gauge,
            "When a run last ended with exit code 0; absent if none did.",
            one(self.last_success),
        );
        page.into_text()
    }
}

/// A time, as the format has it.
pub(super) fn seconds(time: Timestamp) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let milliseconds = time.as_millisecond() as f64;
    milliseconds / 1000.0
}

/// When a run last was all right, as the file of the one before says.
fn last_success(file: &Path) -> Option<f64> {
    if !std::fs::metadata(file).is_ok_and(|data| data.is_file()) {
        return None;
    }
    let mut text = String::new();
    File::open(file).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    let line = text.lines().find(|line| line.starts_with(LAST_SUCCESS))?;
    line.rsplit_once(' ')?.1.parse().ok().filter(|time: &f64| time.is_finite())
}

/// How a file of ours begins.
const FIRST: &[u8; 14] = b"# HELP apiece_";

/// Whether numbers may be written there: nothing but older numbers is replaced, whatever somebody typed.
pub fn check(path: &Path) -> io::Result<()> {
    let foreign = || io::Error::other("what is there is no file of metrics, and is not replaced");
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(why),
    };
    if !found.is_file() {
        return Err(foreign());
    }
    let mut first = [0; FIRST.len()];
    File::open(path)?.read_exact(&mut first).map_err(|_| foreign())?;
    if first == *FIRST { Ok(()) } else { Err(foreign()) }
}

/// Puts a text in place of a file, which is never there by halves.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    check(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its name must not end as those that the collector reads.
    let mut file = tempfile::Builder::new().prefix(".apiece-").suffix(".tmp").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    #[cfg(unix)]
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map_err(|why| why.error)?;
    Ok(())
}
