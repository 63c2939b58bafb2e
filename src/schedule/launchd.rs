//! A job for launchd: a property list, as launchd.plist(5) describes it.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use quick_xml::escape::escape;

use super::{Calendar, Job, JobError};

/// launchd has no ranges: each time is an entry of its own.
const MOST_ENTRIES: usize = 500;

/// The file for `~/Library/LaunchAgents`; what the job says goes to the file `log`.
pub fn property_list(job: &Job, log: &Path) -> Result<String, JobError> {
    job.check_lines("launchd")?;
    let string = |text: &str| format!("<string>{}</string>", escape(text));
    let array = |words: &[String]| {
        let words = words.iter().map(|word| format!("\t\t{}\n", string(word))).collect::<Vec<_>>().concat();
        format!("<array>\n{words}\t</array>")
    };
    let mut keys = vec![
        ("Label", string(&format!("org.apiece.{}", job.name))),
        ("ProgramArguments", array(&job.command)),
        ("WorkingDirectory", string(&job.directory.to_string_lossy())),
    ];
    if !job.environment.is_empty() {
        let entry =
            |(name, value): &(String, String)| format!("\t\t<key>{}</key>\n\t\t{}\n", escape(name), string(value));
        let entries = job.environment.iter().map(entry).collect::<Vec<_>>().concat();
        keys.push(("EnvironmentVariables", format!("<dict>\n{entries}\t</dict>")));
    }
    keys.push(("StartCalendarInterval", format!("<array>\n{}\t</array>", intervals(&job.when)?)));
    keys.push(("StandardOutPath", string(&log.to_string_lossy())));
    keys.push(("StandardErrorPath", string(&log.to_string_lossy())));
    // What is said must be readable by its owner alone.
    keys.push(("Umask", "<integer>63</integer>".into()));
    let keys = keys.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = write!(text, "\t<key>{key}</key>\n\t{value}\n");
        text
    });
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n{keys}</dict>\n</plist>\n"
    ))
}

/// One dictionary for each time; a key that is left out means each.
fn intervals(when: &Calendar) -> Result<String, JobError> {
    when.check_plain("launchd")?;
    let fields = [
        ("Month", &when.months),
        ("Day", &when.days),
        ("Weekday", &when.weekdays),
        ("Hour", &when.hours),
        ("Minute", &when.minutes),
    ];
    let count: usize = fields.iter().map(|(_, field)| field.as_ref().map_or(1, BTreeSet::len)).product();
    if count > MOST_ENTRIES {
        return Err(JobError::TooOften("launchd", MOST_ENTRIES, count));
    }
    let mut entries = vec![String::new()];
    for (key, field) in fields {
        let Some(numbers) = field else { continue };
        let each = |entry: &String| {
            let with = |number| format!("{entry}\t\t\t<key>{key}</key>\n\t\t\t<integer>{number}</integer>\n");
            numbers.iter().map(with).collect::<Vec<_>>()
        };
        entries = entries.iter().flat_map(each).collect();
    }
    Ok(entries.iter().map(|entry| format!("\t\t<dict>\n{entry}\t\t</dict>\n")).collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::job;

    #[test]
    fn each_time_is_an_entry() {
        let list =
            property_list(&job("Mon,Fri 09,17:00", &["/usr/bin/apiece", "send", "a<b>&c"]), Path::new("/l")).unwrap();
        assert_eq!(list.matches("<key>Weekday</key>").count(), 4, "{list}");
        assert!(list.contains("<string>a&lt;b&gt;&amp;c</string>"), "{list}");
        assert!(property_list(&job("*-01..12-01..31 00..23:0/5", &["/a"]), Path::new("/l")).is_err());
        assert!(property_list(&job("2026-12-01 09:00", &["/a"]), Path::new("/l")).is_err());
    }
}
