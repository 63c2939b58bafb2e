//! A job for cron: lines of a crontab(5).

use super::{Job, JobError};

/// The lines that a person adds to their crontab. cron gives each line to a shell.
pub fn crontab(job: &Job) -> Result<String, JobError> {
    job.check_lines("cron")?;
    let when = job.when.cron()?;
    let mut words = vec!["cd".to_owned(), quoted(&job.directory.to_string_lossy()), "&&".into()];
    words.extend(job.environment.iter().map(|(name, value)| format!("{name}={}", quoted(value))));
    words.extend(job.command.iter().map(|word| quoted(word)));
    // A percent sign is a line break there, quoted or not.
    let command = words.join(" ").replace('%', "\\%");
    Ok(format!("# apiece: {}\n{when} {command}\n", job.description))
}

/// A word as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::job;

    #[test]
    fn words_stay_words() {
        let mut job = job("Mon..Fri 09:00", &["/usr/bin/apiece", "send", "it's 100% $HOME", "--confirm", "12"]);
        job.environment.push(("APIECE_CONFIG".into(), "/etc/a b".into()));
        let line = "0 9 * * 1-5 cd '/srv/case work' && APIECE_CONFIG='/etc/a b' /usr/bin/apiece send \"it's 100\\% \"'$HOME' --confirm 12";
        assert_eq!(crontab(&job).unwrap(), format!("# apiece: update\n{line}\n"));
    }
}
