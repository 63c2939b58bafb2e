//! Progress: a bar at a terminal, a line every few seconds elsewhere, JSON for programs, or nothing.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::json;
use crate::{
    campaign::Rate,
    delivery::{Event, StopReason},
    outbox::Outcome,
};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A bar on standard error, which must be a terminal.
    Bar,
    /// A line on standard error every few seconds.
    Lines,
    /// An object for each event on standard output.
    Json,
    /// Nothing.
    Quiet,
}

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

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
    line_due: tokio::time::Instant,
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
            line_due: tokio::time::Instant::now() + LINE_EVERY,
            paused: None,
            lines: String::new(),
        }
    }

    /// When the next line is to be written.
    pub(super) async fn due(&self) {
        match self.style {
            Style::Lines if self.paused.is_none() => tokio::time::sleep_until(self.line_due).await,
            _ => std::future::pending().await,
        }
    }

    /// Writes a line, since it is time for one.
    pub(super) fn repeat(&mut self) {
        self.line_due = tokio::time::Instant::now() + LINE_EVERY;
        self.say(&format!("{}/{} {}", self.done, self.total, self.words()));
    }

    pub(super) fn show(&mut self, event: &Event) {
        if self.style == Style::Json {
            self.lines.push_str(&json::line(event));
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
                self.line_due = tokio::time::Instant::now() + LINE_EVERY;
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

    /// Rate, time left and how many were not sent.
    fn words(&self) -> String {
        let mut words = Vec::new();
        let elapsed = self.start.elapsed();
        if elapsed >= RATE_AFTER && self.done > 0 {
            #[allow(clippy::cast_precision_loss)]
            let rate = self.done as f64 / elapsed.as_secs_f64();
            words.push(if rate >= 10.0 { format!("{rate:.0}/s") } else { format!("{:.0}/min", rate * 60.0) });
            #[allow(clippy::cast_precision_loss)]
            let left = (self.total - self.done) as f64 / rate;
            let at_this_rate = Duration::from_secs_f64(left.min(1e9));
            let at_least = Rate::least_time(self.total - self.done + 1, &self.rates);
            words.push(format!("{} left", spoken(at_this_rate.max(at_least))));
        }
        if self.not_sent > 0 {
            words.push(format!("{} not sent", self.not_sent));
        }
        words.join(", ")
    }

    /// One line for a person, above the bar if there is one.
    fn say(&self, words: &str) {
        let words = crate::diagnostic::visible(words);
        let write = || {
            let _ = writeln!(std::io::stderr(), "{words}");
        };
        match self.style {
            Style::Bar => self.bar.suspend(write),
            Style::Lines => write(),
            Style::Json | Style::Quiet => {}
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
