//! A point in time: `2026-12-01 09:00 Europe/London`.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp, ZonedDateTime,
    civil::DateTime,
    fmt::temporal::DateTimeParser,
    tz::{AmbiguousOffset, Disambiguation, TimeZone},
};
use thiserror::Error;

/// Understands RFC 9557, and refuses what a clock never shows, or shows twice.
static PARSER: DateTimeParser = DateTimeParser::new().disambiguation(Disambiguation::Reject);

/// A point in time, as people write it: local with a zone, RFC 3339 or RFC 9557. Without a zone it is one once it is known where.
///
/// ```
/// use apiece::campaign::Moment;
/// let moment: Moment = "2026-12-01 09:00 Europe/London".parse()?;
/// assert_eq!(moment.to_string(), "2026-12-01T09:00:00+00:00[Europe/London]");
/// # Ok::<(), apiece::campaign::MomentError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment(Said);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Exact(ZonedDateTime),
    Local(DateTime),
}

/// The text is no point in time.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MomentError {
    #[error(
        "{0} is not a time: write a date, a time and a zone, for example \"2026-12-01 09:00 Europe/London\", or \
         \"2026-12-01T09:00:00Z\""
    )]
    NotOne(String),
    #[error("{0} is no time zone: write one such as Europe/London, or UTC")]
    NoZone(String),
    #[error("{at} contradicts itself: the clocks in {zone} are at {offset} then; write the zone without an offset")]
    Offset { at: String, zone: String, offset: String },
    #[error("{at} does not exist in {zone}, where clocks are put forward then: write another time")]
    Skipped { at: String, zone: String },
    #[error(
        "{at} comes twice in {zone}, where clocks are put back then: write it with its offset, for example {first}"
    )]
    Twice { at: String, zone: String, first: String },
}

/// The zone of a name.
pub(super) fn zone(name: &str) -> Result<TimeZone, MomentError> {
    TimeZone::get(name).map_err(|_| MomentError::NoZone(crate::diagnostic::quoted(name)))
}

/// What a zone is called.
pub(super) fn zone_name(zone: &TimeZone) -> &str {
    match zone.iana_name() {
        // As many machines call it.
        Some("Etc/UTC" | "Etc/UCT" | "Etc/Universal" | "Etc/Zulu" | "UCT" | "Universal" | "Zulu") => "UTC",
        name => name.unwrap_or("this machine's zone"),
    }
}

impl Moment {
    /// With a zone for what was said without one.
    pub fn within(self, zone: &TimeZone) -> Result<Self, MomentError> {
        match self.0 {
            Said::Local(local) => exact(local, zone),
            Said::Exact(_) => Ok(self),
        }
    }

    /// When that is; for what is said without a zone, in that of this machine.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        match &self.0 {
            Said::Exact(at) => at.timestamp(),
            Said::Local(local) => TimeZone::system().to_timestamp(*local).unwrap_or(Timestamp::MAX),
        }
    }
}

fn exact(local: DateTime, zone: &TimeZone) -> Result<Moment, MomentError> {
    let at = zone.to_ambiguous_zoned_datetime(local);
    let (shown, name) = (local.strftime("%Y-%m-%d %H:%M").to_string(), zone_name(zone).to_owned());
    match at.offset() {
        AmbiguousOffset::Unambiguous { .. } => {}
        AmbiguousOffset::Gap { .. } => return Err(MomentError::Skipped { at: shown, zone: name }),
        AmbiguousOffset::Fold { before, .. } => {
            let first = format!("{}{before}", local.strftime("%Y-%m-%dT%H:%M"));
            return Err(MomentError::Twice { at: shown, zone: name, first });
        }
    }
    let not_one = |_| MomentError::NotOne(crate::diagnostic::quoted(&shown));
    at.unambiguous().map(|at| Moment(Said::Exact(at))).map_err(not_one)
}

/// What is wrong with a time that has its zone in brackets.
fn contradiction(text: &str) -> Option<MomentError> {
    let (said, name) = text.strip_suffix(']')?.rsplit_once('[')?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let zone = match zone(name) {
        Ok(zone) => zone,
        Err(why) => return Some(why),
    };
    if let Some(local) = local_time(said) {
        return exact(local, &zone).err();
    }
    said.parse::<Timestamp>().ok()?;
    let local: DateTime = said.parse().ok()?;
    let there = zone.to_ambiguous_zoned_datetime(local).compatible().ok()?;
    let (offset, zone) = (there.strftime("%:z").to_string(), zone_name(&zone).to_owned());
    Some(MomentError::Offset { at: crate::diagnostic::quoted(text), zone, offset })
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let not_one = || MomentError::NotOne(crate::diagnostic::quoted(text));
        let text = text.trim();
        // A day alone begins and ends: which is meant, nobody knows.
        if !text.contains(':') || !text.is_ascii() {
            return Err(not_one());
        }
        if text.ends_with(']') {
            let at = PARSER.parse_zoned_datetime(text);
            return at.map(|at| Self(Said::Exact(at))).map_err(|_| contradiction(text).unwrap_or_else(not_one));
        }
        if let Some((local, name)) = text.rsplit_once(' ')
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            let zone = zone(name)?;
            return exact(local_time(local).ok_or_else(not_one)?, &zone);
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            let offset = text.get(10..).and_then(|time| time.find(['+', '-'])).map(|at| &text[at + 10..]);
            let zone = offset.and_then(|offset| format!("{text}[{offset}]").parse::<ZonedDateTime>().ok());
            return Ok(Self(Said::Exact(zone.unwrap_or_else(|| at.to_zoned_datetime(TimeZone::UTC)))));
        }
        local_time(text).map(|local| Self(Said::Local(local))).ok_or_else(not_one)
    }
}

/// A date and a time without an offset.
fn local_time(text: &str) -> Option<DateTime> {
    let is_local = text.len() >= 16 && !text.get(10..)?.contains(['+', '-', 'Z', 'z']);
    text.parse().ok().filter(|_| is_local)
}

/// As it is read again: RFC 9557.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Said::Exact(at) => write!(f, "{at}"),
            Said::Local(local) => write!(f, "{local}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse::<Moment>().map(|moment| moment.to_string()).map_err(|why| why.to_string())
    }

    #[test]
    fn times_are_read_as_people_write_them_and_written_as_they_are_read() {
        for (text, written) in [
            ("2026-12-01 09:00 Europe/London", "2026-12-01T09:00:00+00:00[Europe/London]"),
            (" 2026-07-01T09:00:30 america/new_york ", "2026-07-01T09:00:30-04:00[America/New_York]"),
            ("2028-02-29 23:59 Asia/Kathmandu", "2028-02-29T23:59:00+05:45[Asia/Kathmandu]"),
            ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00+00:00[UTC]"),
            ("2026-12-01T09:00:00+05:30", "2026-12-01T09:00:00+05:30[+05:30]"),
            ("2026-12-01T09:00:00-03:00", "2026-12-01T09:00:00-03:00[-03:00]"),
            ("2026-12-01 09:00 UTC", "2026-12-01T09:00:00+00:00[UTC]"),
            ("2026-12-01T09:00+01:00[Europe/Berlin]", "2026-12-01T09:00:00+01:00[Europe/Berlin]"),
            ("2026-12-01T09:00[Europe/Berlin]", "2026-12-01T09:00:00+01:00[Europe/Berlin]"),
            ("2026-12-01 09:00", "2026-12-01T09:00:00"),
            ("2026-12-01T09:00", "2026-12-01T09:00:00"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(written), "{text}");
            assert_eq!(read(written).as_deref(), Ok(written));
        }
    }

    #[test]
    fn what_is_no_time_or_not_one_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-12-01",
            "09:00",
            "2026-02-29 09:00 UTC",
            "2026-13-01 09:00 UTC",
            "2026-12-01 24:01 UTC",
            "2026-12-01 9 UTC",
            "2026-12-01T09:00+02:00[Europe/London]",
            "2026-12-01 09:00 +",
            "2026-12-01 09:00Z UTC",
            "2026-12-01 09:00 Mars/Olympus",
            "2026-12-01 09:00 London",
            "99999-01-01 09:00 UTC",
            "2026-03-29T01:30[Europe/London]",
            "2026-10-25T01:30[Europe/London]",
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
        for (text, said) in [
            (
                "2026-07-01T09:00+00:00[Europe/London]",
                "\"2026-07-01T09:00+00:00[Europe/London]\" contradicts itself: the clocks in Europe/London are at +01:00 then; \
                 write the zone without an offset",
            ),
            ("2026-03-29T01:30[Europe/London]", "2026-03-29 01:30 does not exist in Europe/London"),
            ("2026-10-25T01:30[Europe/London]", "2026-10-25 01:30 comes twice in Europe/London"),
            ("2026-10-25T01:30[Europe/Londn]", "\"Europe/Londn\" is no time zone"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.starts_with(said), "{why}");
        }
        let local: Moment = "2026-03-08 02:30".parse().unwrap();
        assert_eq!(
            local.within(&TimeZone::get("Etc/UTC").unwrap()).unwrap().timestamp().to_string(),
            "2026-03-08T02:30:00Z"
        );
        assert_eq!(
            read("2026-03-29 01:30 Europe/London").unwrap_err(),
            "2026-03-29 01:30 does not exist in Europe/London, where clocks are put forward then: write another time"
        );
        assert_eq!(
            read("2026-10-25 01:30 Europe/London").unwrap_err(),
            "2026-10-25 01:30 comes twice in Europe/London, where clocks are put back then: write it with its offset, for \
             example 2026-10-25T01:30+01"
        );
        assert_eq!(read("2026-10-25T01:30+01").as_deref(), Ok("2026-10-25T01:30:00+01:00[+01:00]"));
        // Without a zone it is found out later.
        let local: Moment = "2026-03-08 02:30".parse().unwrap();
        let in_zone = |name: &str| local.clone().within(&TimeZone::get(name).unwrap());
        assert!(matches!(in_zone("America/New_York"), Err(MomentError::Skipped { .. })));
        assert_eq!(in_zone("Europe/London").unwrap().to_string(), "2026-03-08T02:30:00+00:00[Europe/London]");
    }
}
