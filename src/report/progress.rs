//! Progress: a bar at a terminal, JSON for programs, or nothing; and now and then a record of the log.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{json, log};
use crate::{
    campaign::Rate,
    delivery::{Event, StopReason},
    outbox::Outcome,
    recipients::RecipientList,
};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A bar on standard error, which must be a terminal.
    Bar,
    /// An object for each event on standard output.
    Json,
    /// Nothing.
    Quiet,
}

/// Between two records of the log.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A pause that is shorter is not told apart from none.
const SHORTEST: Duration = Duration::from_millis(100);

/// Before this a rate says nothing.
const RATE_AFTER: Duration = Duration::from_millis(500);

pub(super) struct Progress {
    style: Style,
    bar: ProgressBar,
    total: usize,
    rates: Vec<Rate>,
    done: usize,
    not_sent: usize,
    start: Instant,
    log_due: tokio::time::Instant,
    /// Since when nothing may be begun
    paused: Option<Instant>,
    /// Objects that are still to be written.
    lines: String,
}

impl Progress {
    pub(super) fn new(total: usize, rates: Vec<Rate>, style: Style) -> Self {
        let target = if style == Style::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        if let Ok(template) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
            bar.set_style(template.progress_chars("█▌░"));
        }
        bar.set_message("connecting");
        bar.tick();
        let start = Instant::now();
        Self {
            style,
            bar,
            total,
            rates,
            done: 0,
            not_sent: 0,
            start,
            log_due: tokio::time::Instant::now() + LOG_EVERY,
            paused: None,
            lines: String::new(),
        }
    }

    /// When the log is to be told how far it is.
    pub(super) async fn due(&self) {
        match self.paused {
            None => tokio::time::sleep_until(self.log_due).await,
            Some(_) => std::future::pending().await,
        }
    }

    /// Tells the log how far it is.
    pub(super) fn log(&mut self) {
        self.log_due = tokio::time::Instant::now() + LOG_EVERY;
        let pace = self.pace();
        log::progress(self.done, self.total, pace.map_or(0.0, |(rate, _)| rate * 60.0), pace.map(|(_, left)| left));
    }

    pub(super) fn show(&mut self, event: &Event, list: &RecipientList) {
        if self.style == Style::Json {
            self.lines.push_str(&json::line(event, list));
        }
        match event {
            Event::Finished(finished) => {
                self.done += 1;
                self.not_sent += usize::from(finished.outcome != Outcome::Sent);
                if self.bar.is_finished() {
                    self.bar.reset();
                }
                if self.style == Style::Bar {
                    self.bar.set_message(self.words());
                    self.bar.set_position(self.done as u64);
                }
            }
            Event::ConnectionLost { why, .. } => self.say(&format!("a connection was lost: {why}")),
            Event::Waiting { time, .. } => self.say(&format!("the pace lets the next one go in {}", spoken(*time))),
            Event::SlowedDown { time, connections, reply } => {
                let pause = (!time.is_zero()).then(|| format!("a pause of {}", spoken((*time).max(SHORTEST))));
                let fewer = connections.map(|left| format!("connections left: {left}"));
                let what: Vec<String> = pause.into_iter().chain(fewer).collect();
                self.say(&format!("the server wants less: {} ({reply})", what.join(", ")));
            }
            Event::PutOff { finished, time } => {
                let what = finished.reply.as_ref().map(ToString::to_string);
                let what = what.or_else(|| finished.why.clone()).unwrap_or_default();
                self.say(&format!("row {} is put off, and tried again in {}: {what}", finished.row, spoken(*time)));
            }
            Event::Paused { said, .. } => {
                self.paused = Some(Instant::now());
                self.bar.set_message(format!("until {said}"));
                self.say(&format!("nothing is begun now; it goes on {said}"));
            }
            Event::Resumed => {
                // It is not slower for that.
                self.start += self.paused.take().map(|since| since.elapsed()).unwrap_or_default();
                self.log_due = tokio::time::Instant::now() + LOG_EVERY;
                self.bar.set_message(self.words());
                self.say("it goes on");
            }
            // Somebody is asked.
            Event::FirstDone => self.bar.finish_and_clear(),
            Event::Stopping(StopReason::Interrupted(_)) | Event::Connected { .. } => {}
            Event::Stopping(reason) => self.say(&format!("stopping: {reason}")),
        }
    }

    /// Writes what was to be said of the last events.
    pub(super) fn flush(&mut self) {
        if !self.lines.is_empty() {
            super::print(&self.lines);
            self.lines.clear();
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Messages a second, and the time left, once that says something.
    fn pace(&self) -> Option<(f64, Duration)> {
        let elapsed = self.start.elapsed();
        if elapsed < RATE_AFTER || self.done == 0 {
            return None;
        }
        #[allow(clippy::cast_precision_loss)]
        let rate = self.done as f64 / elapsed.as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let left = (self.total - self.done) as f64 / rate;
        let at_this_rate = Duration::from_secs_f64(left.min(1e9));
        Some((rate, at_this_rate.max(Rate::least_time(self.total - self.done + 1, &self.rates))))
    }

    /// Rate, time left and how many were not sent.
    fn words(&self) -> String {
        let mut words = Vec::new();
        if let Some((rate, left)) = self.pace() {
            words.push(if rate >= 10.0 { format!("{rate:.0}/s") } else { format!("{:.0}/min", rate * 60.0) });
            words.push(format!("{} left", spoken(left)));
        }
        if self.not_sent > 0 {
            words.push(format!("{} not sent", self.not_sent));
        }
        words.join(", ")
    }

    /// One line for a person, above the bar.
    fn say(&self, words: &str) {
        if self.style == Style::Bar {
            let words = crate::diagnostic::visible(words);
            self.bar.suspend(|| {
                let _ = writeln!(std::io::stderr(), "{words}");
            });
        }
    }
}

/// A time for people: `3 min`.
#[must_use]
pub fn spoken(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 1..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 if seconds % 3600 / 60 == 0 => format!("{} h", seconds / 3600),
        seconds @ 7200..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{} days", seconds / 86400),
    }
}
