//! Time travel: windows across changes of clocks, month and year ends, leap days and holidays.

use super::*;
use crate::campaign::When;

fn hours(windows: &[&str], holidays: &[&str]) -> Hours {
    let toml = format!("window = {windows:?}\nholidays = {holidays:?}\n");
    of(&toml)
}

fn of(send: &str) -> Hours {
    let text = format!("template = \"t.md.hbs\"\nrecipients = \"p.csv\"\n[send]\n{send}");
    let path = std::path::Path::new("c/campaign.toml");
    let campaign = crate::campaign::Campaign::parse(path, &text, crate::campaign::Overrides::default()).unwrap();
    campaign.when.hours()
}

fn at(text: &str) -> Timestamp {
    text.parse::<crate::campaign::Moment>().unwrap().timestamp()
}

/// All times at which a window opens or closes between two times, in UTC.
fn changes(hours: &Hours, from: &str, to: &str) -> Vec<String> {
    let (mut now, end) = (at(from), at(to));
    let mut all = Vec::new();
    while let Some(change) = hours.change(now).filter(|change| *change < end) {
        let word = if hours.is_open(change) { "open" } else { "shut" };
        all.push(format!("{word} {}", change.strftime("%m-%d %H:%M")));
        now = change;
    }
    all
}

#[test]
fn a_window_follows_the_clock_on_the_wall_when_clocks_are_put_forward_and_back() {
    let london = hours(&["Mon-Fri 09:00-17:00 Europe/London"], &[]);
    let spring = changes(&london, "2026-03-27 12:00 UTC", "2026-03-30 20:00 UTC");
    assert_eq!(spring, ["shut 03-27 17:00", "open 03-30 08:00", "shut 03-30 16:00"]);
    let autumn = changes(&london, "2026-10-23 12:00 UTC", "2026-10-26 20:00 UTC");
    assert_eq!(autumn, ["shut 10-23 16:00", "open 10-26 09:00", "shut 10-26 17:00"]);
    // What begins within the hour that is left out begins behind it; what ends within it ends before it.
    let night = hours(&["Sun 01:30-03:00 Europe/London"], &[]);
    assert_eq!(
        changes(&night, "2026-03-29 00:00 UTC", "2026-03-30 00:00 UTC"),
        ["open 03-29 01:00", "shut 03-29 02:00"]
    );
    let ends = hours(&["Sun 00:30-01:30 Europe/London"], &[]);
    assert_eq!(
        changes(&ends, "2026-03-29 00:00 UTC", "2026-03-30 00:00 UTC"),
        ["open 03-29 00:30", "shut 03-29 01:00"]
    );
    let none = hours(&["Sun 01:10-01:50 Europe/London"], &[]);
    assert_eq!(changes(&none, "2026-03-29 00:00 UTC", "2026-03-30 00:00 UTC"), Vec::<String>::new());
    // The hour that comes twice is one within the window twice.
    let twice = hours(&["Sun 01:10-01:50 Europe/London"], &[]);
    assert_eq!(
        changes(&twice, "2026-10-24 23:00 UTC", "2026-10-25 12:00 UTC"),
        ["open 10-25 00:10", "shut 10-25 00:50", "open 10-25 01:10", "shut 10-25 01:50"]
    );
    let through = hours(&["Sat 22:00-06:00 Europe/London"], &[]);
    assert_eq!(
        changes(&through, "2026-10-24 12:00 UTC", "2026-10-25 12:00 UTC"),
        ["open 10-24 21:00", "shut 10-25 06:00"]
    );
    assert_eq!(
        changes(&through, "2026-03-28 12:00 UTC", "2026-03-29 12:00 UTC"),
        ["open 03-28 22:00", "shut 03-29 05:00"]
    );
}

#[test]
fn a_window_within_the_hour_that_is_left_out_does_not_open_that_day() {
    let night = hours(&["01:15-01:45 Europe/London"], &[]);
    assert_eq!(
        changes(&night, "2026-03-28 00:00 UTC", "2026-03-31 00:00 UTC"),
        ["open 03-28 01:15", "shut 03-28 01:45", "open 03-30 00:15", "shut 03-30 00:45"]
    );
    assert_eq!(night.day(at("2026-03-28 12:00 Europe/London")).to_string(), "2026-03-30");
    assert_eq!(night.spoken(at("2026-03-30 00:15 UTC")), "Mon 2026-03-30 01:15 Europe/London");
}

#[test]
fn utc_is_called_utc() {
    assert_eq!(hours(&["09:00-10:00 Etc/UTC"], &[]).spoken(at("2026-03-30 00:15 UTC")), "Mon 2026-03-30 00:15 UTC");
}

#[test]
fn other_zones_have_other_changes() {
    let new_york = hours(&["09:00-10:00 America/New_York"], &[]);
    assert_eq!(
        changes(&new_york, "2026-03-07 00:00 UTC", "2026-03-09 00:00 UTC"),
        ["open 03-07 14:00", "shut 03-07 15:00", "open 03-08 13:00", "shut 03-08 14:00"]
    );
    assert_eq!(
        changes(&new_york, "2026-10-31 00:00 UTC", "2026-11-02 00:00 UTC"),
        ["open 10-31 13:00", "shut 10-31 14:00", "open 11-01 14:00", "shut 11-01 15:00"]
    );
    // Half an hour.
    let lord_howe = hours(&["02:00-03:00 Australia/Lord_Howe"], &[]);
    assert_eq!(
        changes(&lord_howe, "2026-10-03 00:00 UTC", "2026-10-04 12:00 UTC"),
        ["open 10-03 15:30", "shut 10-03 16:00", "open 10-04 15:00", "shut 10-04 16:00"][..2].to_vec()
    );
    // A day that was left out: there was no Friday, 30 December 2011.
    let apia = hours(&["Thu-Sat 09:00-10:00 Pacific/Apia"], &[]);
    assert_eq!(
        changes(&apia, "2011-12-29 00:00 UTC", "2011-12-31 23:00 UTC"),
        ["open 12-29 19:00", "shut 12-29 20:00", "open 12-30 19:00", "shut 12-30 20:00"]
    );
    // Two windows in two zones, one after the other and overlapping.
    let both = hours(&["Mon 09:00-17:00 Europe/London", "Mon 09:00-17:00 America/New_York"], &[]);
    assert_eq!(
        changes(&both, "2026-12-07 00:00 UTC", "2026-12-08 00:00 UTC"),
        ["open 12-07 09:00", "shut 12-07 22:00"]
    );
}

#[test]
fn midnight_month_ends_leap_days_and_years_end() {
    let night = hours(&["Fri 22:00-06:00 UTC"], &[]);
    assert_eq!(
        changes(&night, "2026-07-31 00:00 UTC", "2026-08-02 00:00 UTC"),
        ["open 07-31 22:00", "shut 08-01 06:00"]
    );
    assert_eq!(
        changes(&night, "2027-12-31 00:00 UTC", "2028-01-02 00:00 UTC"),
        ["open 12-31 22:00", "shut 01-01 06:00"]
    );
    let tuesday = hours(&["Tue 20:00-24:00 UTC"], &[]);
    assert_eq!(
        changes(&tuesday, "2028-02-29 00:00 UTC", "2028-03-02 00:00 UTC"),
        ["open 02-29 20:00", "shut 03-01 00:00"]
    );
    // Until midnight and from midnight on is through it.
    let joined = hours(&["Tue 20:00-24:00 UTC", "Wed 00:00-02:00 UTC"], &[]);
    assert_eq!(
        changes(&joined, "2028-02-29 00:00 UTC", "2028-03-02 00:00 UTC"),
        ["open 02-29 20:00", "shut 03-01 02:00"]
    );
    let always = hours(&["00:00-24:00 Europe/London"], &[]);
    assert_eq!(always.at(at("2026-10-25 00:30 UTC")), Phase::Open(None));
}

#[test]
fn a_holiday_closes_its_day_and_what_would_begin_on_it() {
    let london = hours(
        &["Mon-Fri 09:00-17:00 Europe/London"],
        &["2026-12-25 Christmas Day", "2026-12-28 Boxing Day (substitute)", "2027-01-01"],
    );
    let day = |hours: &Hours, text: &str| match hours.at(at(text)) {
        Phase::Closed(opens) => hours.spoken(opens),
        other => format!("{other:?}"),
    };
    assert_eq!(day(&london, "2026-12-24 17:00 Europe/London"), "Tue 2026-12-29 09:00 Europe/London");
    assert_eq!(day(&london, "2026-12-31 18:00 Europe/London"), "Mon 2027-01-04 09:00 Europe/London");
    let night = hours(&["22:00-06:00 UTC"], &["2026-12-25"]);
    assert_eq!(
        changes(&night, "2026-12-24 12:00 UTC", "2026-12-27 00:00 UTC"),
        ["open 12-24 22:00", "shut 12-25 00:00", "open 12-26 22:00"]
    );
    // Without a window there are only the holidays, where this machine is.
    let only = of("holidays = [\"2026-12-25\"]\n");
    assert!(matches!(only.at(at("2026-12-23T12:00:00Z")), Phase::Open(Some(_))));
}

#[test]
fn what_is_too_early_waits_and_what_is_too_late_is_over() {
    let hours = of(
        "window = \"Mon-Fri 09:00-17:00 Europe/London\"\nnot_before = \"2026-12-05 12:00\"\nnot_after = \"2026-12-08 10:00\"\n",
    );
    let phase = |text: &str| hours.at(at(text));
    // In the window's zone, a Saturday.
    assert_eq!(phase("2026-12-04T12:00:00Z"), Phase::Closed(at("2026-12-07T09:00:00Z")));
    assert_eq!(phase("2026-12-07T09:00:00Z"), Phase::Open(Some(at("2026-12-07T17:00:00Z"))));
    assert_eq!(phase("2026-12-07T17:00:00Z"), Phase::Closed(at("2026-12-08T09:00:00Z")));
    assert_eq!(phase("2026-12-08T09:30:00Z"), Phase::Open(Some(at("2026-12-08T10:00:00Z"))));
    assert!(matches!(phase("2026-12-08T10:00:00Z"), Phase::Open(_)));
    assert_eq!(phase("2026-12-08T10:00:01Z"), Phase::Over);
    // It is over when no window opens any more in time.
    let evening = of("window = \"Mon 09:00-17:00 UTC\"\nnot_after = \"2026-12-09 10:00\"\n");
    assert_eq!(evening.at(at("2026-12-07T17:00:00Z")), Phase::Over);
    let reversed = When {
        not_before: Some("2026-12-02 09:00 UTC".parse().unwrap()),
        not_after: Some("2026-12-01 09:00 UTC".parse().unwrap()),
        ..When::default()
    };
    assert!(reversed.settled(&TimeZone::UTC).is_err());
    let later = of("not_before = \"2026-12-05T12:00:00Z\"\n").starting(Some(at("2026-12-06T12:00:00Z")));
    assert_eq!(later.at(at("2026-12-05T13:00:00Z")), Phase::Closed(at("2026-12-06T12:00:00Z")));
}

#[test]
fn the_end_that_is_expected_knows_windows_holidays_and_rates() {
    let rates = |texts: &[&str]| -> Vec<Rate> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    let london = hours(&["Mon-Fri 09:00-17:00 Europe/London"], &["2026-11-30"]);
    let end = |hours: &Hours, now: &str, count: usize, all: &[&str]| {
        hours.spoken(hours.least_end(at(now), count, &rates(all)).unwrap())
    };
    let friday = "2026-11-27 16:00 Europe/London";
    assert_eq!(end(&london, friday, 10, &[]), "Fri 2026-11-27 16:00 Europe/London");
    assert_eq!(end(&london, friday, 60, &["1/min"]), "Fri 2026-11-27 16:59 Europe/London");
    assert_eq!(end(&london, friday, 61, &["1/min"]), "Tue 2026-12-01 09:00 Europe/London");
    assert_eq!(end(&london, friday, 661, &["1/min"]), "Wed 2026-12-02 11:00 Europe/London");
    // A day's worth counts for a whole day, closed or not.
    assert_eq!(end(&london, friday, 101, &["50/day"]), "Wed 2026-12-02 09:00 Europe/London");
    let anytime = of("not_before = \"2026-12-05T12:00:00Z\"\n");
    assert_eq!(anytime.least_end(at(friday), 101, &rates(&["50/day"])), Some(at("2026-12-07T12:00:00Z")));
    // The one that clocks are put forward by is missing.
    let night = hours(&["00:00-06:00 Europe/London"], &[]);
    assert_eq!(end(&night, "2026-03-29 00:00 Europe/London", 301, &["1/min"]), "Mon 2026-03-30 00:00 Europe/London");
    assert_eq!(end(&night, "2026-10-25 00:00 Europe/London", 301, &["1/min"]), "Sun 2026-10-25 04:00 Europe/London");
}

#[test]
fn the_day_is_that_on_which_it_leaves() {
    let london = hours(&["Mon-Fri 09:00-17:00 Europe/London"], &[]);
    let day = |hours: &Hours, text: &str| hours.day(at(text)).to_string();
    assert_eq!(day(&london, "2026-11-27 23:30 Europe/London"), "2026-11-30");
    assert_eq!(day(&london, "2026-11-27 10:00 Europe/London"), "2026-11-27");
    let far = hours(&["00:00-24:00 Pacific/Kiritimati"], &[]);
    assert_eq!(day(&far, "2026-12-31 23:00 UTC"), "2027-01-01");
}

/// Each minute of two years is asked, and what was said of when it changes holds.
#[test]
fn what_is_said_of_the_next_change_is_what_each_minute_says() {
    let all = [
        hours(&["Mon-Fri 09:00-17:00 Europe/London"], &["2026-12-25", "2027-01-01"]),
        hours(&["Fri-Sun 22:30-03:15 America/New_York", "Wed 00:00-24:00 Australia/Lord_Howe"], &["2026-11-01"]),
        hours(&["01:10-01:50 Europe/London"], &[]),
    ];
    for hours in all {
        let mut now = at("2026-03-01 00:00 UTC");
        let end = at("2027-04-01 00:00 UTC");
        let mut change = hours.change(now).unwrap();
        let mut was_open = hours.is_open(now);
        while now < end {
            now += SignedDuration::from_mins(5);
            if hours.is_open(now) != was_open {
                assert_eq!(now, change);
                was_open = !was_open;
                change = hours.change(now).unwrap();
            }
        }
    }
}
