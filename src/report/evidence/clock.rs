//! Times as a report says them: in UTC, and where the report is made, with the zone.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// Whoever has to report a breach to the regulator has so long for it (UK GDPR and GDPR, Article 33(1)): hours as the clock goes,
/// with nights, weekends and holidays.
pub const DEADLINE: SignedDuration = SignedDuration::from_hours(72);

/// Says times.
#[derive(Debug, Clone)]
pub struct Clock {
    /// When the report is made.
    pub now: Timestamp,
    /// Where.
    pub zone: TimeZone,
}

impl Clock {
    /// The zone by its name, such as `Europe/London`.
    #[must_use]
    pub fn zone_name(&self) -> String {
        match self.zone.iana_name() {
            Some(name) => name.to_owned(),
            None if self.is_utc() => "UTC".into(),
            None => self.zone.to_offset(self.now).to_string(),
        }
    }

    fn is_utc(&self) -> bool {
        self.zone.is_unknown() || self.zone == TimeZone::UTC || matches!(self.zone.iana_name(), Some("UTC" | "Etc/UTC"))
    }

    /// What is to be said once about all times of a report.
    #[must_use]
    pub fn note(&self) -> String {
        if self.is_utc() {
            return "Times are in UTC.".into();
        }
        format!("Times are in UTC; in brackets as it was in {} then, with the difference from UTC.", self.zone_name())
    }

    /// A time: `2026-11-24 14:30:12 UTC (15:30:12 +01:00)`.
    #[must_use]
    pub fn say(&self, time: Timestamp) -> String {
        let utc = Self::utc(time);
        if self.is_utc() {
            return utc;
        }
        let local = time.to_zoned_datetime(self.zone.clone());
        let same_day = local.date() == time.to_zoned_datetime(TimeZone::UTC).date();
        format!("{utc} ({})", local.strftime(if same_day { "%H:%M:%S %:z" } else { "%Y-%m-%d %H:%M:%S %:z" }))
    }

    /// The same in UTC alone.
    #[must_use]
    pub fn utc(time: Timestamp) -> String {
        time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// When a time began and when it was over.
    pub(super) fn span(&self, span: Option<(Timestamp, Timestamp)>) -> Option<String> {
        let (first, last) = span?;
        let (first, last) = (self.say(first), self.say(last));
        Some(if first == last { first } else { format!("{first} to {last}") })
    }

    /// The time that somebody wrote: with an offset or a zone, or as the clock showed it where the report is made.
    pub fn read(&self, text: &str) -> Result<Timestamp, String> {
        let text = text.trim();
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(time);
        }
        if let Ok(time) = text.parse::<jiff::ZonedDateTime>() {
            return Ok(time.timestamp());
        }
        // Nobody discovers something at midnight without looking at the clock.
        let local = text.parse::<DateTime>().ok().filter(|_| text.contains(':'));
        let Some(local) = local else {
            return Err("a time is wanted, such as \"2026-11-24 09:30\", or 2026-11-24T09:30:00Z in UTC".into());
        };
        let zoned = self.zone.to_ambiguous_zoned_datetime(local);
        if zoned.is_ambiguous() {
            return Err(format!(
                "the clocks were changed in {} then: say which is meant, such as {}",
                self.zone_name(),
                local.strftime("%Y-%m-%dT%H:%M:%S+01:00")
            ));
        }
        zoned.unambiguous().map(|time| time.timestamp()).map_err(|why| why.to_string())
    }

    /// By when what was discovered at some time is to be reported, and how long that is from now; less than nothing if it is over.
    #[must_use]
    pub fn deadline(&self, discovered: Timestamp) -> (Timestamp, SignedDuration) {
        let end = discovered.checked_add(DEADLINE).unwrap_or(Timestamp::MAX);
        (end, end.duration_since(self.now))
    }
}

/// Hours and minutes: `71 h 12 min`.
pub(super) fn hours(time: SignedDuration) -> String {
    let minutes = time.as_mins().unsigned_abs();
    format!("{} h {} min", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(now: &str, zone: &str) -> Clock {
        Clock { now: now.parse().unwrap(), zone: TimeZone::get(zone).unwrap() }
    }

    #[test]
    fn a_deadline_is_72_hours_as_the_clock_goes_also_when_clocks_are_changed() {
        for (zone, discovered, end, said) in [
            ("UTC", "2026-11-24T09:30:00Z", "2026-11-27T09:30:00Z", "2026-11-27 09:30:00 UTC"),
            // Summer time ends on Sunday in between: an hour earlier by the clock on the wall.
            ("Europe/London", "2026-10-23 17:00", "2026-10-26T16:00:00Z", "2026-10-26 16:00:00 UTC (16:00:00 +00:00)"),
            // It begins: an hour later.
            ("Europe/London", "2026-03-27 17:00", "2026-03-30T17:00:00Z", "2026-03-30 17:00:00 UTC (18:00:00 +01:00)"),
            (
                "Pacific/Auckland",
                "2026-11-24 09:30",
                "2026-11-26T20:30:00Z",
                "2026-11-26 20:30:00 UTC (2026-11-27 09:30:00 +13:00)",
            ),
        ] {
            let clock = clock("2026-11-25T00:00:00Z", zone);
            let discovered = clock.read(discovered).unwrap();
            let (found, _) = clock.deadline(discovered);
            assert_eq!((found, clock.say(found)), (end.parse().unwrap(), said.to_owned()), "{zone}");
        }
    }

    #[test]
    fn what_is_left_and_how_late_it_is_are_said_to_the_minute() {
        let discovered = "2026-11-24T09:30:00Z".parse().unwrap();
        for (now, left) in [
            ("2026-11-24T09:30:00Z", "72 h 0 min"),
            ("2026-11-27T09:29:00Z", "0 h 1 min"),
            ("2026-11-27T09:30:00Z", "0 h 0 min"),
            ("2026-11-27T10:31:00Z", "1 h 1 min"),
        ] {
            let (_, time) = clock(now, "UTC").deadline(discovered);
            assert_eq!((hours(time).as_str(), time.is_negative()), (left, now.contains("T10")), "{now}");
        }
    }

    #[test]
    fn a_time_may_be_written_with_a_zone_or_without() {
        let clock = clock("2026-11-25T00:00:00Z", "Europe/Berlin");
        for text in [
            "2026-11-24T09:30:00Z",
            "2026-11-24T10:30+01:00",
            "2026-11-24 10:30",
            "2026-11-24T10:30:00",
            " 2026-11-24T04:30[America/New_York]",
        ] {
            assert_eq!(clock.read(text), Ok("2026-11-24T09:30:00Z".parse().unwrap()), "{text}");
        }
        for text in ["yesterday", "2026-11-24", "10:30", ""] {
            assert!(clock.read(text).unwrap_err().starts_with("a time is wanted"), "{text}");
        }
        for text in ["2026-10-25 02:30", "2026-03-29 02:30"] {
            assert!(
                clock.read(text).unwrap_err().starts_with("the clocks were changed in Europe/Berlin then"),
                "{text}"
            );
        }
    }
}
