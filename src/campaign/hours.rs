//! When a campaign may be sent, asked with the time that a clock shows.

use std::{collections::VecDeque, fmt, time::Duration};

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{Holidays, Rate, Window, moment::zone_name, window::short_day};

/// A window that does not open for so many days never does.
const MOST_DAYS: i64 = 800;

/// A day, and so that no date between two is missed where clocks are put forward or back.
const STEP: SignedDuration = SignedDuration::from_hours(24);

/// Windows, holidays and bounds of one campaign.
#[derive(Debug, Clone)]
pub struct Hours {
    windows: Vec<(Window, TimeZone)>,
    holidays: Holidays,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    zone: TimeZone,
}

/// Whether something may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It may, until then if that is known.
    Open(Option<Timestamp>),
    /// It may not before.
    Closed(Timestamp),
    /// It may no more.
    Over,
}

impl Hours {
    /// Those of windows, each with where its clock is, of holidays, and of bounds; `zone` is the campaign's.
    pub(super) fn new(
        windows: Vec<(Window, TimeZone)>,
        holidays: Holidays,
        (not_before, not_after): (Option<Timestamp>, Option<Timestamp>),
        zone: TimeZone,
    ) -> Self {
        Self { windows, holidays, not_before, not_after, zone }
    }

    /// Nothing may be begun before, either.
    #[must_use]
    pub fn starting(self, at: Option<Timestamp>) -> Self {
        Self { not_before: self.not_before.max(at), ..self }
    }

    /// Whether anything is said.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        !self.windows.is_empty() || self.not_before.is_some() || self.not_after.is_some()
    }

    /// When it is over.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Whether something may be begun at a time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Phase {
        let Some(opens) = self.opening(now) else { return Phase::Over };
        match self.not_after {
            Some(end) if opens > end => Phase::Over,
            _ if opens > now => Phase::Closed(opens),
            end => Phase::Open(self.change(now).into_iter().chain(end).min()),
        }
    }

    /// When something may be begun next, whatever is over then; never, where no window ever opens.
    fn opening(&self, now: Timestamp) -> Option<Timestamp> {
        let start = self.not_before.map_or(now, |not_before| now.max(not_before));
        if self.is_open(start) { Some(start) } else { self.change(start) }
    }

    /// The day on which something that is begun at a time leaves, where the campaign is.
    #[must_use]
    pub fn day(&self, now: Timestamp) -> Date {
        self.opening(now).unwrap_or(now).to_zoned_datetime(self.zone.clone()).date()
    }

    fn is_open(&self, at: Timestamp) -> bool {
        let is_holiday = |date: Date| self.holidays.contains(date);
        let is_open = |(window, zone): &(Window, TimeZone)| window.is_open(zone.to_datetime(at), &is_holiday);
        self.windows.is_empty() || self.windows.iter().any(is_open)
    }

    /// When windows open next if they are closed, or close if they are open.
    fn change(&self, from: Timestamp) -> Option<Timestamp> {
        if self.windows.is_empty() {
            return None;
        }
        let is_open = self.is_open(from);
        let mut start = from;
        for _ in 0..MOST_DAYS {
            let end = start.checked_add(STEP).ok()?;
            let mut edges: Vec<Timestamp> =
                self.windows.iter().flat_map(|(window, zone)| edges(window, zone, start, end)).collect();
            edges.sort_unstable();
            if let Some(change) = edges.into_iter().find(|edge| self.is_open(*edge) != is_open) {
                return Some(change);
            }
            start = end;
        }
        None
    }

    /// When the last of so many messages can be begun at the earliest, at some rates, if the first is not begun before `now`; none
    /// if that is never.
    #[must_use]
    pub fn least_end(&self, now: Timestamp, count: usize, rates: &[Rate]) -> Option<Timestamp> {
        let most = rates.iter().map(|rate| rate.count().get() as usize).max().unwrap_or(0);
        let mut begun: VecDeque<Timestamp> = VecDeque::with_capacity(most.min(count));
        let (mut last, mut open_until) = (self.opening(now)?, None);
        for _ in 0..if most == 0 { 1 } else { count } {
            let allowed = rates.iter().filter_map(|rate| {
                let before = begun.len().checked_sub(rate.count().get() as usize)?;
                begun.get(before)?.checked_add(rate.window()).ok()
            });
            last = allowed.max().map_or(last, |allowed| last.max(allowed));
            if open_until.is_none_or(|until| last >= until) {
                last = self.opening(last)?;
                open_until = Some(self.change(last).unwrap_or(Timestamp::MAX));
            }
            if begun.len() == most {
                begun.pop_front();
            }
            begun.push_back(last);
        }
        Some(last)
    }

    /// A time where the campaign is, with the day of the week and the zone: people plan by it.
    #[must_use]
    pub fn spoken(&self, at: Timestamp) -> String {
        let at = at.to_zoned_datetime(self.zone.clone());
        let day = short_day(at.weekday());
        match self.zone.iana_name() {
            Some(_) => format!("{day} {} {}", at.strftime("%Y-%m-%d %H:%M"), zone_name(&self.zone)),
            None => format!("{day} {}", at.strftime("%Y-%m-%d %H:%M %Z")),
        }
    }
}

/// When a window may open or close behind `from`, up to `end`.
fn edges(window: &Window, zone: &TimeZone, from: Timestamp, end: Timestamp) -> Vec<Timestamp> {
    let first = zone.to_datetime(from).date();
    let days = (-1..=2).filter_map(|nth: i64| first.checked_add(nth.days()).ok());
    let mut edges: Vec<Timestamp> = Vec::new();
    for day in days {
        for time in window.edges() {
            let local = day.to_datetime(time);
            // Where a clock is put back, it shows the time twice.
            let both = [zone.to_ambiguous_timestamp(local).earlier(), zone.to_ambiguous_timestamp(local).later()];
            edges.extend(both.into_iter().flatten());
        }
    }
    edges.extend(zone.following(from).map(|change| change.timestamp()).take_while(|change| *change <= end));
    edges.retain(|edge| *edge > from && *edge <= end);
    edges
}

/// As somebody who may have to wait says it.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.windows.iter().map(|(window, _)| window.to_string()).collect();
        let holidays = self.holidays.lines().count();
        if holidays > 0 {
            parts.push(format!("not on {holidays} holidays"));
        }
        parts.extend(self.not_before.map(|at| format!("not before {}", self.spoken(at))));
        parts.extend(self.not_after.map(|at| format!("not after {}", self.spoken(at))));
        f.write_str(&parts.join("; "))
    }
}

/// How long it is from one time to a later one; no time, if it is over.
#[must_use]
pub fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
