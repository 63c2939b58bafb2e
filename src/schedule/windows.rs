//! A job for the Task Scheduler of Windows: its XML, as `schtasks /Create /XML` takes it.

use std::{collections::BTreeSet, fmt::Write as _};

use quick_xml::escape::escape;

use super::{Calendar, Job, JobError};

/// The Task Scheduler takes no more triggers.
const MOST_TRIGGERS: usize = 48;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Any day that is past; only the time of day of it counts.
const SOME_DAY: &str = "2026-01-01";

/// The file for `schtasks /Create /TN NAME /XML FILE`.
pub fn task(job: &Job) -> Result<String, JobError> {
    job.check_lines("Windows")?;
    if let Some((name, _)) = job.environment.first() {
        return Err(JobError::Environment("the Task Scheduler", name.clone()));
    }
    let (program, arguments) =
        job.command.split_first().map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    let arguments = arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let triggers = triggers(&job.when)?;
    let (description, name) = (escape(job.description.as_str()), &job.name);
    let (program, arguments, directory) = (escape(program), escape(arguments), job.directory.to_string_lossy());
    Ok(format!(
        "<?xml version=\"1.0\"?>\n<Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\n  \
         <RegistrationInfo>\n    <Description>apiece: {description}</Description>\n    <URI>\\apiece\\{name}</URI>\n  \
         </RegistrationInfo>\n  <Triggers>\n{triggers}  </Triggers>\n  <Settings>\n    \
         <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>\n    \
         <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\n    \
         <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>\n    <StartWhenAvailable>true</StartWhenAvailable>\n    \
         <RunOnlyIfNetworkAvailable>true</RunOnlyIfNetworkAvailable>\n    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\n  \
         </Settings>\n  <Actions>\n    <Exec>\n      <Command>{program}</Command>\n      \
         <Arguments>{arguments}</Arguments>\n      <WorkingDirectory>{}</WorkingDirectory>\n    </Exec>\n  </Actions>\n</Task>\n",
        escape(directory)
    ))
}

/// A trigger for each time of the day.
fn triggers(when: &Calendar) -> Result<String, JobError> {
    when.check_plain("the Task Scheduler")?;
    let hours = when.hours.clone().unwrap_or_else(|| (0..24).collect());
    let minutes = when.minutes.clone().unwrap_or_else(|| (0..60).collect());
    let count = hours.len() * minutes.len();
    if count > MOST_TRIGGERS {
        return Err(JobError::TooOften("the Task Scheduler", MOST_TRIGGERS, count));
    }
    let days = days(when);
    let mut triggers = String::new();
    for (hour, minute) in hours.iter().flat_map(|hour| minutes.iter().map(move |minute| (hour, minute))) {
        let _ = write!(
            triggers,
            "    <CalendarTrigger>\n      <StartBoundary>{SOME_DAY}T{hour:02}:{minute:02}:00</StartBoundary>\n{days}    \
             </CalendarTrigger>\n"
        );
    }
    Ok(triggers)
}

/// On which days.
fn days(when: &Calendar) -> String {
    let named = |names: &[&str], chosen: &Option<BTreeSet<u16>>| {
        let is_meant = |number: u16| chosen.as_ref().is_none_or(|chosen| chosen.contains(&number));
        (1..)
            .zip(names)
            .filter(|(number, _)| is_meant(*number))
            .map(|(_, name)| format!("<{name} />"))
            .collect::<Vec<_>>()
            .concat()
    };
    if when.months.is_none() && when.days.is_none() {
        let weekdays = named(&WEEKDAYS, &when.weekdays);
        return format!(
            "      <ScheduleByWeek>\n        <WeeksInterval>1</WeeksInterval>\n        <DaysOfWeek>{weekdays}</DaysOfWeek>\n      \
             </ScheduleByWeek>\n"
        );
    }
    let months = named(&MONTHS, &when.months);
    let all = || (1..=31).collect();
    let days = when
        .days
        .clone()
        .unwrap_or_else(all)
        .iter()
        .map(|day| format!("<Day>{day}</Day>"))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "      <ScheduleByMonth>\n        <DaysOfMonth>{days}</DaysOfMonth>\n        <Months>{months}</Months>\n      \
         </ScheduleByMonth>\n"
    )
}

/// As a program of Windows takes its command line apart: backslashes count only before quotation marks.
fn quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains([' ', '\t', '"']) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    let mut backslashes = 0;
    for c in word.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                quoted.push_str(&"\\".repeat(backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(c);
    }
    quoted.push_str(&"\\".repeat(backslashes));
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::job;

    #[test]
    fn words_are_taken_apart_as_they_were() {
        for (word, written) in [
            ("a", "a"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("C:\\x y\\", "\"C:\\x y\\\\\""),
            ("say \"no\"", "\"say \\\"no\\\"\""),
            ("a\\\"b c", "\"a\\\\\\\"b c\""),
            ("C:\\x", "C:\\x"),
        ] {
            assert_eq!(quoted(word), written, "{word}");
        }
    }

    #[test]
    fn days_are_named() {
        let weekly = task(&job("Mon..Fri 09:00", &["C:\\apiece.exe", "send", "a & b"])).unwrap();
        assert!(
            weekly.contains("<DaysOfWeek><Monday /><Tuesday /><Wednesday /><Thursday /><Friday /></DaysOfWeek>"),
            "{weekly}"
        );
        assert!(
            weekly.contains("T09:00:00</StartBoundary>") && weekly.contains("&quot;a &amp; b&quot;</Arguments>"),
            "{weekly}"
        );
        let monthly = task(&job("*-01,07-01 06:30", &["C:\\apiece.exe"])).unwrap();
        assert!(monthly.contains("<DaysOfMonth><Day>1</Day></DaysOfMonth>"), "{monthly}");
        assert!(monthly.contains("<Months><January /><July /></Months>"), "{monthly}");
        assert!(task(&job("minutely", &["C:\\apiece.exe"])).is_err());
        let with = Job { environment: vec![("A".into(), "b".into())], ..job("daily", &["C:\\apiece.exe"]) };
        assert!(task(&with).is_err());
    }
}
