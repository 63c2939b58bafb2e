//! The Prometheus text format (0.0.4), for a file and for a page.

use std::fmt::Write as _;

use super::log;

/// As HTTP names the format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the numbers of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A number, and what it is of.
#[derive(Debug)]
pub(super) struct Sample {
    /// What comes behind the family's name: only of a histogram
    part: &'static str,
    /// `name="value"` with commas between
    labels: String,
    value: f64,
}

impl Sample {
    pub(super) fn new(labels: impl Into<String>, value: f64) -> Self {
        Self { part: "", labels: labels.into(), value }
    }

    pub(super) fn of_count(labels: impl Into<String>, value: u64) -> Self {
        Self::new(labels, float(value))
    }

    /// Of a part of a histogram: `_bucket`, `_sum` or `_count`.
    pub(super) fn of_part(part: &'static str, labels: impl Into<String>, value: f64) -> Self {
        Self { part, ..Self::new(labels, value) }
    }
}

/// A text in that format.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Adds a family, unless there is nothing of it.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str, samples: impl IntoIterator<Item = Sample>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
        for Sample { part, labels, value } in samples {
            let _ = if labels.is_empty() {
                writeln!(self.0, "{name}{part} {value}")
            } else {
                writeln!(self.0, "{name}{part}{{{labels}}} {value}")
            };
        }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A value of a label: nothing of anybody in it, and nothing that the format does not take. Nothing is cut off either, since two
/// campaigns must not have one name.
pub(super) fn label(value: &str) -> String {
    let value = log::passed(value);
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A count, as the format has it.
#[allow(clippy::cast_precision_loss)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
