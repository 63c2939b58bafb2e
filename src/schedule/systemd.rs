//! A job for systemd: a service and the timer that starts it (systemd.service(5), systemd.timer(5), systemd.exec(5)).

use std::fmt::Write as _;

use super::{Job, JobError, JobName};

/// What is started where a job fails and nobody says what: a unit that puts the job's state into the journal, as an error.
const FAILED: &str = "apiece-failed@";

/// Who is in charge of the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    /// The person's own, for what they may do themselves.
    User {
        /// What is started where the job fails, if not the usual.
        on_failure: Option<String>,
    },
    /// The machine's.
    System {
        /// The same.
        on_failure: Option<String>,
        /// Whom the job runs as.
        run_as: String,
        /// Whether it reads from home directories.
        reads_homes: bool,
    },
}

/// Exit codes after which another try changes nothing.
const FINAL: &str = "1 64 65 70 73 74 76 77 78";

/// What a service may not do that works for everybody's own manager, too: no namespaces are needed for it.
const HARDENED: &str = "\
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
";

/// What only the machine's manager can keep from it.
const SHUT_IN: &str = "\
AmbientCapabilities=
CapabilityBoundingSet=
DevicePolicy=closed
KeyringMode=private
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
";

impl Manager {
    fn on_failure(&self) -> Option<&str> {
        let (Self::User { on_failure } | Self::System { on_failure, .. }) = self;
        on_failure.as_deref()
    }

    /// The switch of systemd's programs that means it.
    #[must_use]
    pub fn switch(&self) -> &'static str {
        match self {
            Self::User { .. } => "--user",
            Self::System { .. } => "--system",
        }
    }
}

/// The units of a job: the name of each file, and what is in it.
pub fn units(job: &Job, manager: &Manager) -> Result<Vec<(String, String)>, JobError> {
    job.check_lines("systemd")?;
    let unit = job.name.unit();
    let mut units = vec![(format!("{unit}.service"), service(job, manager)), (format!("{unit}.timer"), timer(job))];
    if manager.on_failure().is_none() {
        units.push((format!("{FAILED}.service"), failed(manager)));
    }
    Ok(units)
}

/// The names of the units of a job that are its own.
#[must_use]
pub fn own_units(name: &JobName) -> [String; 2] {
    [format!("{}.service", name.unit()), format!("{}.timer", name.unit())]
}

fn service(job: &Job, manager: &Manager) -> String {
    let mut text = format!(
        "# Written by apiece schedule.\n[Unit]\nDescription=apiece: {}\nDocumentation=man:apiece-send(1)\n",
        specifiers(&job.description)
    );
    if let Manager::System { .. } = manager {
        text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
    }
    let failed = format!("{FAILED}%n.service");
    let _ = writeln!(text, "OnFailure={}", manager.on_failure().unwrap_or(&failed));
    let command: Vec<String> = job.command.iter().map(|word| quoted(word).replace('$', "$$")).collect();
    let _ = writeln!(text, "\n[Service]\nType=exec\nExecStart={}", command.join(" "));
    let _ = writeln!(text, "WorkingDirectory={}", specifiers(&job.directory.to_string_lossy()));
    for (name, value) in &job.environment {
        let _ = writeln!(text, "Environment={}", quoted(&format!("{name}={value}")));
    }
    for name in &job.credentials {
        let name = specifiers(name);
        let _ = writeln!(text, "LoadCredential={name}:%E/credstore/{name}");
    }
    // An answer to the end of a message may take ten minutes (RFC 5321, 4.5.3.2.6), and is waited for.
    text.push_str("KillMode=mixed\nTimeoutStopSec=11min\n");
    // The server is away, or wants the rest later.
    let _ = writeln!(text, "Restart=on-failure\nRestartSec=15min\nRestartPreventExitStatus={FINAL}");
    text.push_str(HARDENED);
    if let Manager::System { run_as, reads_homes, .. } = manager {
        let _ = writeln!(text, "User={}\nStateDirectory=apiece\nStateDirectoryMode=0700", specifiers(run_as));
        text.push_str(SHUT_IN);
        let _ = writeln!(text, "ProtectHome={}", if *reads_homes { "read-only" } else { "yes" });
        for path in &job.writes {
            let _ = writeln!(text, "ReadWritePaths={}", quoted(&path.to_string_lossy()));
        }
    }
    text
}

/// A time that passed while the machine was off is made up for.
fn timer(job: &Job) -> String {
    format!(
        "# Written by apiece schedule.\n[Unit]\nDescription=apiece: {}\n\n[Timer]\nOnCalendar={}\nPersistent=yes\nAccuracySec=1s\n\n\
         [Install]\nWantedBy=timers.target\n",
        specifiers(&job.description),
        specifiers(&job.when.to_string())
    )
}

/// What the journal gets holds counts and no addresses, as all that a job says.
fn failed(manager: &Manager) -> String {
    format!(
        "# Written by apiece schedule. Change it to be told otherwise, for example by mail.\n[Unit]\nDescription=Tell that %i failed\n\n\
         [Service]\nType=oneshot\nExecStart=systemctl {} --no-pager --full --lines=20 status %i\nSuccessExitStatus=3\n\
         SyslogIdentifier=apiece-failed\nSyslogLevel=err\n",
        manager.switch()
    )
}

/// A word of a list of words (systemd.syntax(7)).
fn quoted(word: &str) -> String {
    let word = specifiers(word);
    let is_plain = |c: char| c.is_alphanumeric() || "/_-.,:=@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A percent sign that means itself.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::job;

    #[test]
    fn words_stay_words() {
        for (word, written) in [
            ("plain-1.csv", "plain-1.csv"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("100%", "100%%"),
            ("a\\b\"c", "\"a\\\\b\\\"c\""),
            ("it's", "\"it's\""),
            ("#x;y", "\"#x;y\""),
        ] {
            assert_eq!(quoted(word), written, "{word}");
        }
        let units =
            units(&job("daily", &["/usr/bin/apiece", "$HOME ${X}"]), &Manager::User { on_failure: None }).unwrap();
        assert!(units[0].1.contains("ExecStart=/usr/bin/apiece \"$$HOME $${X}\"\n"), "{}", units[0].1);
    }
}
