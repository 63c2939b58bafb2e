//! `[send]`: when a campaign may be sent.

use std::path::Path;

use jiff::tz::TimeZone;

use super::{Holidays, Hours, Moment, MomentError, Window, keys::Keys};
use crate::diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place};

/// When a campaign may be sent, as far as it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// Nothing is begun before.
    pub not_before: Option<Moment>,
    /// Nothing is begun after it.
    pub not_after: Option<Moment>,
    /// Something is begun only while one of these is open; at any time, if there are none.
    pub windows: Vec<Window>,
    /// Nothing is begun on these days.
    pub holidays: Option<Holidays>,
}

/// What does not fit together.
#[derive(Debug)]
enum WhenProblem {
    Moment(&'static str, MomentError),
    Reversed,
}

impl std::fmt::Display for WhenProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Moment(key, why) => write!(f, "\"{key}\": {why}"),
            Self::Reversed => f.write_str("\"not_after\" comes before \"not_before\": there is no time in between"),
        }
    }
}

impl Complaint for WhenProblem {
    fn code(&self) -> &'static str {
        "settings.when"
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl When {
    /// What is said here, and otherwise there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.or(other.not_before),
            not_after: self.not_after.or(other.not_after),
            windows: if self.windows.is_empty() { other.windows } else { self.windows },
            holidays: self.holidays.or(other.holidays),
        }
    }

    /// The zone of what is said without one: that of the first window which has one, or the machine's.
    #[must_use]
    pub fn zone(&self, machine: &TimeZone) -> TimeZone {
        self.windows.iter().find_map(Window::zone).unwrap_or(machine).clone()
    }

    /// The same with a zone everywhere, so that it says the same on every machine; what cannot be is an error.
    pub fn settled(self, machine: &TimeZone) -> Result<Self, Diagnostics> {
        let zone = self.zone(machine);
        let wrong = |problem: WhenProblem| Diagnostics::from(Diagnostic::error(Place::Nowhere, &problem));
        let within = |key, moment: Option<Moment>| {
            moment.map(|moment| moment.within(&zone)).transpose().map_err(|why| wrong(WhenProblem::Moment(key, why)))
        };
        let not_before = within("not_before", self.not_before)?;
        let not_after = within("not_after", self.not_after)?;
        if let (Some(start), Some(end)) = (&not_before, &not_after)
            && start.timestamp() > end.timestamp()
        {
            return Err(wrong(WhenProblem::Reversed));
        }
        let windows = self.windows.into_iter().map(|window| window.within(&zone)).collect();
        Ok(Self { not_before, not_after, windows, holidays: self.holidays })
    }

    /// To be asked with a time.
    #[must_use]
    pub fn hours(&self) -> Hours {
        let zone = self.zone(&TimeZone::system());
        let mut windows = self.windows.clone();
        if windows.is_empty() && self.holidays.is_some() {
            windows.push(Window::always());
        }
        let with_zone = |window: Window| {
            let zone = window.zone().unwrap_or(&zone).clone();
            (window, zone)
        };
        let bounds = [&self.not_before, &self.not_after].map(|moment| moment.as_ref().map(Moment::timestamp));
        Hours::new(
            windows.into_iter().map(with_zone).collect(),
            self.holidays.clone().unwrap_or_default(),
            (bounds[0], bounds[1]),
            zone,
        )
    }
}

/// The keys of `[send]`; paths begin at `base`.
pub(super) fn read(keys: &mut Keys<'_>, base: &Path) -> When {
    let mut windows = Vec::new();
    for window in keys.strings("window").into_iter().flat_map(|all| all.value) {
        match window.value.parse() {
            Ok(read) => windows.push(read),
            Err(why) => keys.complain(window.span, "window", format!("{why}"), None),
        }
    }
    When {
        not_before: keys.parsed("not_before").map(|moment| moment.value),
        not_after: keys.parsed("not_after").map(|moment| moment.value),
        windows,
        holidays: Holidays::of_key(keys, base),
    }
}
