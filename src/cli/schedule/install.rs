//! Units where systemd looks for them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use etcetera::BaseStrategy;

use crate::{
    cli::{Exit, Failure, Screen, when::in_a_line},
    diagnostic::visible,
    schedule::{JobName, own_units},
};

/// How a file begins that is ours to write over, or to remove.
const OURS: &str = "# Written by apiece schedule.";

/// Where units are, and who looks there.
pub(super) struct Place {
    directory: PathBuf,
    /// The switch of `systemctl`
    switch: &'static str,
}

impl Place {
    /// The machine's, or this person's.
    pub(super) fn of(system: bool) -> Result<Self, Failure> {
        if system {
            return Ok(Self { directory: "/etc/systemd/system".into(), switch: "--system" });
        }
        let base = etcetera::base_strategy::choose_base_strategy().map_err(|_| {
            let message = "there is no home directory to look for units in";
            Failure::because(Exit::Configuration, "schedule.no-home", message, Some("set HOME, or use --system"))
        })?;
        Ok(Self { directory: base.config_dir().join("systemd/user"), switch: "--user" })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes the units and switches the timer on.
    pub(super) fn install(&self, name: &JobName, units: &[(String, String)]) -> Result<(), Failure> {
        write(&self.directory, units)?;
        let [_, timer] = own_units(name);
        self.systemctl(&["daemon-reload"])?;
        self.systemctl(&["enable", "--now", &timer])
    }

    /// Switches a timer off and removes its units. What runs goes on to its end.
    pub(super) fn remove(&self, name: &JobName, screen: Screen) -> Result<Exit, Failure> {
        let own = own_units(name).map(|unit| self.directory.join(unit));
        let [_, timer] = own_units(name);
        if !own.iter().any(|path| is_ours(path)) {
            let message = format!("there is no job {name} in {}", visible(&self.directory.display().to_string()));
            return Err(Failure::because(Exit::Usage, "schedule.remove", message, None));
        }
        self.systemctl(&["disable", "--now", &timer])?;
        if is_ours(&self.directory.join(&timer)) {
            self.forget(&timer, screen);
        }
        for path in own.iter().filter(|path| is_ours(path)) {
            fs::remove_file(path).map_err(|why| Failure::unwritten("schedule.remove", path, &why))?;
        }
        self.systemctl(&["daemon-reload"])?;
        screen.print(&format!("{timer} is off, and its units are gone\n"));
        Ok(Exit::Ok)
    }

    /// Removes what systemd keeps of a timer itself, when it came last; it has to be there and off. Of the timer alone: the state of the
    /// service is the outbox. Some systemd is too old for it.
    fn forget(&self, timer: &str, screen: Screen) {
        if let Err(why) = self.systemctl(&["clean", "--what=state", timer]) {
            let stamps = match etcetera::base_strategy::choose_base_strategy() {
                Ok(base) if self.switch == "--user" => base.data_dir().join("systemd/timers"),
                _ => "/var/lib/systemd/timers".into(),
            };
            let stamp = visible(&stamps.join(format!("stamp-{timer}")).display().to_string());
            let why = in_a_line(&why);
            screen.note(&format!(
                "{why}\nWhen the job came last stays written down, if it did: {stamp} can be deleted.\n"
            ));
        }
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<(), Failure> {
        let output = Command::new("systemctl").arg(self.switch).args(arguments).stdin(Stdio::null()).output();
        let why = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => visible(String::from_utf8_lossy(&output.stderr).trim()),
            Err(why) => why.to_string(),
        };
        let message = format!("systemctl {} {} failed: {why}", self.switch, arguments.join(" "));
        let help = format!("what is written is in {}", visible(&self.directory.display().to_string()));
        Err(Failure::because(Exit::Unavailable, "schedule.systemctl", message, Some(&help)))
    }
}

/// Writes units into a directory; a file that is not ours is left, and said.
pub(super) fn write(directory: &Path, units: &[(String, String)]) -> Result<(), Failure> {
    let unwritten = |path: &Path, why: &io::Error| Failure::unwritten("schedule.write", path, why);
    fs::create_dir_all(directory).map_err(|why| unwritten(directory, &why))?;
    for (name, unit) in units {
        let path = directory.join(name);
        if is_ours(&path) && fs::read_to_string(&path).is_ok_and(|other| campaign(&other) != campaign(unit)) {
            let message = format!("{} starts another campaign", visible(&path.display().to_string()));
            let help = "say another --name, or take that one away: apiece schedule --remove";
            return Err(Failure::because(Exit::CannotCreate, "schedule.other", message, Some(help)));
        }
        if path.symlink_metadata().is_ok() && !is_ours(&path) {
            let message = format!("{} is there already, and is not ours", visible(&path.display().to_string()));
            return Err(Failure::because(Exit::CannotCreate, "schedule.write", message, Some("choose another --name")));
        }
    }
    for (name, unit) in units {
        let path = directory.join(name);
        // A person may have changed what all jobs share.
        if name.contains('@') && path.exists() {
            continue;
        }
        fs::write(&path, unit).map_err(|why| unwritten(&path, &why))?;
    }
    Ok(())
}

/// The campaign that a service starts, as it is written there.
fn campaign(unit: &str) -> Option<String> {
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let words = shlex::split(command)?;
    (words.get(1).map(String::as_str) == Some("send")).then(|| words.get(2).cloned()).flatten()
}

fn is_ours(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.starts_with(OURS))
}

/// Whether this person's jobs run while they are not logged in.
pub(super) fn lingers() -> bool {
    crate::approval::own_login().is_some_and(|name| Path::new("/var/lib/systemd/linger").join(name).exists())
}
