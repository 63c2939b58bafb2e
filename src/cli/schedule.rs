//! `apiece schedule`

mod check;
mod install;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;

use self::{check::Comes, install::Place};
use super::{Exit, Failure, Screen, load::quoted};
use crate::{
    campaign::Moment,
    diagnostic::visible,
    schedule::{Calendar, Job, JobError, JobName, Manager, crontab, property_list, task, units},
};

/// Where else than with systemd it is to be started.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Elsewhere {
    /// Print the line for a crontab instead
    #[arg(long)]
    cron: bool,
    /// Print a property list for launchd (macOS) instead
    #[arg(long)]
    launchd: bool,
    /// Print the XML of a task for the Task Scheduler (Windows) instead
    #[arg(long)]
    windows_task: bool,
}

/// What is done with the units.
#[derive(Debug, Args)]
struct Units {
    /// Write the units where systemd looks for them, and switch the timer on
    #[arg(long, conflicts_with_all = ["to", "cron", "launchd", "windows_task"])]
    install: bool,
    /// Write the units into this directory
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Take the job of that name away again
    #[arg(long, value_name = "NAME", conflicts_with_all = ["campaign", "at", "on_calendar", "install", "to"])]
    remove: Option<JobName>,
    /// For the machine's systemd, not your own
    #[arg(long)]
    system: bool,
    /// Whom the job of the machine's systemd runs as
    #[arg(long, value_name = "USER", requires = "system")]
    run_as: Option<String>,
    /// The unit that is started where the job fails [default: one that puts its state into the journal]
    #[arg(long, value_name = "UNIT")]
    on_failure: Option<String>,
}

/// Arguments of `apiece schedule`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints a service and a timer for systemd that start `apiece send CAMPAIGN`, with what stands after
-- as its arguments. A job asks nobody: say how many people it may write to, with --confirm N or
--expect-between A..B. --at is read as send reads it: without a zone it is in that of the campaign's
window, or else the machine's. --on-calendar is systemd's (man systemd.time), without a zone the machine's.

Examples:
  apiece schedule update --at '2026-12-01 09:00' --install -- --confirm 12
  apiece schedule reminders --on-calendar 'Mon..Fri 08:30 Europe/London' --install -- --expect-between 1..200
  apiece schedule reminders --on-calendar 'Mon..Fri 08:30' --cron -- --expect-between 1..200
  apiece schedule --remove reminders")]
pub(super) struct Schedule {
    /// The campaign: a directory, a template (its list comes after --), or the id of one that was prepared
    #[arg(required_unless_present = "remove")]
    campaign: Option<String>,
    /// Start it once, then
    #[arg(long, value_name = "TIME", conflicts_with = "on_calendar", required_unless_present_any = ["on_calendar", "remove"])]
    at: Option<Moment>,
    /// Start it again and again, for example 'Mon..Fri 09:00' or '*-*-01 06:00'
    #[arg(long, value_name = "WHEN")]
    on_calendar: Option<Calendar>,
    /// What the job is called [default: as the campaign]
    #[arg(long, value_name = "NAME")]
    name: Option<JobName>,
    #[command(flatten)]
    elsewhere: Elsewhere,
    #[command(flatten)]
    units: Units,
    /// Arguments for `apiece send`, after --
    #[arg(last = true, value_name = "SEND ARGUMENTS")]
    send: Vec<String>,
}

impl Schedule {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let place = Place::of(self.units.system)?;
        if let Some(name) = &self.units.remove {
            return place.remove(name, screen);
        }
        let manager = self.manager()?;
        let (job, begins) = self.job(&manager)?;
        let written = |why: JobError| Failure::because(Exit::Usage, "schedule.job", why.to_string(), None);
        if self.elsewhere.cron || self.elsewhere.launchd || self.elsewhere.windows_task {
            let text = self.elsewhere(&job).map_err(written)?;
            self.check_zone(&job)?;
            check::no_credentials(&job)?;
            screen.print(&text);
            return Ok(Exit::Ok);
        }
        let times = check::times(&job.when)?;
        let units = units(&job, &manager).map_err(written)?;
        if let Some(directory) = &self.units.to {
            install::write(directory, &units)?;
            let directory = visible(&directory.display().to_string());
            screen.print(&format!("{} units written to {directory}\n{begins}", units.len()));
            return Ok(Exit::Ok);
        }
        if self.units.install {
            place.install(&job.name, &units)?;
            screen.print(&told(&job, &manager, &(times + &begins)));
            return Ok(Exit::Ok);
        }
        let mut text = String::new();
        for (name, unit) in &units {
            let _ = writeln!(text, "# {}\n{unit}", place.directory().join(name).display());
        }
        screen.print(&text);
        screen.note(&begins);
        screen
            .note("Nothing was written: --install does, and switches the timer on; --to DIR writes to a directory.\n");
        Ok(Exit::Ok)
    }

    /// Who is in charge.
    fn manager(&self) -> Result<Manager, Failure> {
        let Units { system, run_as, on_failure, .. } = &self.units;
        let on_failure = on_failure.clone();
        if let Some(unit) = on_failure.as_ref().filter(|unit| !check::is_unit(unit)) {
            let message = format!("\"{}\" is not the name of a unit", visible(unit));
            return Err(Failure::because(Exit::Usage, "schedule.unit", message, Some("such as tell-me@%n.service")));
        }
        if !system {
            return Ok(Manager::User { on_failure });
        }
        let Some(run_as) = run_as.clone().filter(|name| check::is_login(name)) else {
            let message = "a job of the machine's systemd needs a user to run as";
            let help = "say --run-as USER: one who can read the campaign and nobody else's files, \
                        for example after adduser --system --group --home /var/lib/apiece apiece";
            return Err(Failure::because(Exit::Usage, "schedule.run-as", message, Some(help)));
        };
        Ok(Manager::System { on_failure, run_as, reads_homes: self.reads_homes() })
    }

    fn reads_homes(&self) -> bool {
        let is_home = |path: &Path| ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home));
        let campaign = self.campaign.as_deref().and_then(|path| Path::new(path).canonicalize().ok());
        let directory = std::env::current_dir().ok();
        [campaign, directory].into_iter().flatten().any(|path| is_home(&path))
    }

    /// What is to be started, after a look at whether it could; and what a person is told of when it begins.
    fn job(&self, manager: &Manager) -> Result<(Job, String), Failure> {
        let campaign = self.campaign.clone().unwrap_or_default();
        let path = Path::new(&campaign).canonicalize().ok();
        let named = path.as_ref().map_or(campaign.as_str(), |path| path.to_str().unwrap_or(&campaign));
        let mut arguments = vec!["send".to_owned(), named.to_owned()];
        arguments.extend(self.send.iter().cloned());
        let comes = if self.at.is_some() { Comes::Once } else { Comes::Again };
        let found = check::job(&arguments, comes, manager)?;
        let (when, begins) = match (&self.at, &self.on_calendar) {
            (Some(at), _) => check::once(at, &found.when)?,
            (None, Some(when)) => check::not_over(&found.when).map(|()| (when.clone(), String::new()))?,
            (None, None) => return Err(Failure::because(Exit::Usage, "schedule.when", "it is not said when", None)),
        };
        let stem = Path::new(named).file_name().and_then(|name| name.to_str()).unwrap_or(named);
        let stem = stem.split('.').next().unwrap_or(stem);
        let program = std::env::current_exe()
            .map_err(|why| Failure::because(Exit::Software, "schedule.program", why.to_string(), None))?;
        let directory = std::env::current_dir()
            .map_err(|why| Failure::because(Exit::CannotCreate, "schedule.directory", why.to_string(), None))?;
        let job = Job {
            name: self.name.clone().unwrap_or_else(|| JobName::near(stem)),
            description: visible(stem),
            command: std::iter::once(program.to_string_lossy().into_owned()).chain(arguments).collect(),
            directory,
            environment: found.environment,
            credentials: found.credentials,
            writes: found.writes,
            when,
        };
        Ok((job, begins))
    }

    /// Others than systemd know only the machine's own time zone.
    fn check_zone(&self, job: &Job) -> Result<(), Failure> {
        let own = jiff::tz::TimeZone::system();
        match job.when.zone().filter(|zone| own.iana_name() != Some(*zone)) {
            Some(zone) => {
                let whom = if self.elsewhere.cron { "cron" } else { "this scheduler" };
                let message = format!("{whom} goes by this machine's time zone, and cannot be told {zone}");
                let help = "say the time in this machine's zone; a window in campaign.toml keeps to its own zone";
                Err(Failure::because(Exit::Usage, "schedule.zone", message, Some(help)))
            }
            None => Ok(()),
        }
    }

    fn elsewhere(&self, job: &Job) -> Result<String, JobError> {
        if self.elsewhere.cron {
            return crontab(job);
        }
        if self.elsewhere.windows_task {
            return task(job);
        }
        let home = etcetera::home_dir().unwrap_or_default();
        property_list(job, &home.join(format!("Library/Logs/org.apiece.{}.log", job.name)))
    }
}

/// What a person wants to know once a job is there.
fn told(job: &Job, manager: &Manager, times: &str) -> String {
    let (unit, switch) = (job.name.unit(), if matches!(manager, Manager::User { .. }) { " --user" } else { "" });
    let command: Vec<String> = job.command.iter().map(|word| quoted(word)).collect();
    let mut text = format!("{unit}.timer is on. It starts\n  {}\n{times}", command.join(" "));
    for name in &job.credentials {
        let place = if switch.is_empty() { "/etc/credstore" } else { "~/.config/credstore" };
        let _ = writeln!(
            text,
            "The password is read from {place}/{name}: it is yours to put there, readable by its owner only."
        );
    }
    let _ = writeln!(
        text,
        "\n  systemctl{switch} list-timers {unit}.timer\n  systemctl{switch} start {unit}.service      # now"
    );
    let _ = writeln!(
        text,
        "  journalctl{switch} --unit {unit}.service\n  apiece schedule --remove {}{}",
        job.name,
        if switch.is_empty() { " --system" } else { "" }
    );
    match manager {
        Manager::System { run_as, .. } => {
            let _ = writeln!(text, "  sudo -u {run_as} apiece status --outbox /var/lib/apiece/outbox.sqlite");
        }
        Manager::User { .. } if !install::lingers() => {
            text.push_str("\nIt runs only while you are logged in, unless: loginctl enable-linger\n");
        }
        Manager::User { .. } => {}
    }
    text
}
