//! Whether a job could do what it is to do: better said now than at three in the morning.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    campaign::{LoginSecret, Moment, Phase, TokenPlace, When, is_database},
    cli::{Exit, Failure, send::Send},
    diagnostic::visible,
    schedule::{Calendar, CalendarError, Job, Manager},
    secret::SecretSource,
};

/// What a job needs to be given.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) environment: Vec<(String, String)>,
    pub(super) credentials: Vec<String>,
    pub(super) writes: Vec<PathBuf>,
    /// When it may send
    pub(super) when: When,
}

/// Variables that are as good as flags, or say where things are, and that a job would not have: with another record everybody would be
/// written to once more.
const VARIABLES: [&str; 7] = [
    "APIECE_ACCOUNT",
    "APIECE_CONFIG",
    "APIECE_OUTBOX",
    "APIECE_POLICY",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// Those that name no file or directory.
const NAMES: [&str; 1] = ["APIECE_ACCOUNT"];

fn refused(message: impl Into<String>, help: &str) -> Failure {
    Failure::because(Exit::Usage, "schedule.send", message, Some(help))
}

/// How often a job comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    Once,
    Again,
}

/// Looks at the arguments of `apiece send`, its campaign and its account.
pub(super) fn job(words: &[String], comes: Comes, manager: &Manager) -> Result<Needs, Failure> {
    let send = Send::of_words(words).map_err(|why| {
        let why = why.to_string();
        let first = why.lines().next().unwrap_or_default();
        let why = first.trim_start_matches("error: ");
        refused(format!("apiece send would not start: {}", visible(why)), "apiece send --help")
    })?;
    if let Some(why) = send.wants_a_person() {
        return Err(refused(why, "what stands after -- is for apiece send, for example: -- --confirm 12"));
    }
    if comes == Comes::Again
        && let Some(why) = send.is_for_once()
    {
        return Err(refused(why, "leave it out; or start it once, with --at TIME in place of --on-calendar"));
    }
    let mut needs = Needs::default();
    let directory = std::env::current_dir().unwrap_or_default();
    for name in VARIABLES {
        if let Ok(value) = std::env::var(name)
            && !value.is_empty()
        {
            let is_file = !NAMES.contains(&name) && !is_database(&value);
            let value = if is_file { directory.join(&value).to_string_lossy().into_owned() } else { value };
            needs.environment.push((name.into(), value));
        }
    }
    if let Some(outbox) = send.other_outbox() {
        let outbox = directory.join(outbox);
        needs.writes.extend(outbox.parent().map(Path::to_owned));
    }
    let prospect = send.prospect()?;
    needs.when = prospect.when;
    if let Some(account) = prospect.account {
        let whose = format!("account {}", visible(&account.name));
        needs.of_secret(&whose, account.login.as_ref().map(|login| &login.secret), manager)?;
    }
    let outbox = prospect.outbox.map(LoginSecret::Password);
    needs.of_secret("the outbox", outbox.as_ref(), manager)?;
    Ok(needs)
}

impl Needs {
    /// What a job needs to have a secret. It types nothing.
    fn of_secret(&mut self, whose: &str, secret: Option<&LoginSecret>, manager: &Manager) -> Result<(), Failure> {
        let why = match (secret, manager) {
            (Some(LoginSecret::Password(SecretSource::Ask)), _) => {
                format!("the password of {whose} is asked for at the terminal")
            }
            (Some(LoginSecret::Password(SecretSource::Env(_))), _) => {
                format!("the password of {whose} is in an environment variable, which a job does not have")
            }
            (Some(LoginSecret::Password(SecretSource::Keyring(_))), Manager::System { .. }) => {
                format!(
                    "the password of {whose} is in your keyring, which a job of the machine's systemd does not have"
                )
            }
            (Some(LoginSecret::OAuth(oauth)), Manager::System { .. }) if oauth.tokens == TokenPlace::Keyring => {
                format!("the tokens of {whose} are in your keyring, which a job of the machine's systemd does not have")
            }
            (Some(LoginSecret::Password(SecretSource::Credential(name))), _) => {
                if !self.credentials.contains(name) {
                    self.credentials.push(name.clone());
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        let help = "say where a job finds it: password_command, password_file, or credential = \"smtp-password\", which systemd hands over";
        Err(Failure::because(Exit::Configuration, "schedule.password", why, Some(help)))
    }
}

/// Only systemd hands passwords over.
pub(super) fn no_credentials(job: &Job) -> Result<(), Failure> {
    match job.credentials.first() {
        Some(name) => {
            let message = format!("credential = \"{name}\" is handed over by systemd, and by no other scheduler");
            let help = "use password_command or password_file in the account, or the units for systemd";
            Err(Failure::because(Exit::Configuration, "schedule.credential", message, Some(help)))
        }
        None => Ok(()),
    }
}

/// A time that comes once, and has not come yet, as systemd takes it whatever clocks do until then; and what a person is told of it. It is
/// read as `apiece send --at` reads it.
pub(super) fn once(at: &Moment, when: &When) -> Result<(Calendar, String), Failure> {
    let wrong = |message: String| {
        let help = "for example --at '2026-12-01 09:00'; --on-calendar is for what comes again";
        Failure::because(Exit::Usage, "schedule.at", message, Some(help))
    };
    let exact = at.clone().within(&when.zone(&TimeZone::system())).map_err(|why| wrong(format!("--at: {why}")))?;
    let (exact, now, hours) = (exact.timestamp(), Timestamp::now(), when.hours());
    let spoken = hours.spoken(exact);
    if exact <= now {
        return Err(wrong(format!("--at is over: it was {spoken}, and it is {}", hours.spoken(now))));
    }
    let begins = match hours.at(exact) {
        Phase::Over => return Err(late(&format!("--at is {spoken}"), when)),
        Phase::Closed(opens) => {
            format!("It starts {spoken}, when nothing may be begun ({hours}): it begins {}.\n", hours.spoken(opens))
        }
        Phase::Open(_) => format!("It begins {spoken}.\n"),
    };
    let written = exact.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    written.parse().map(|calendar| (calendar, begins)).map_err(|why: CalendarError| wrong(why.to_string()))
}

/// Refuses what is over before it comes for the first time.
pub(super) fn not_over(when: &When) -> Result<(), Failure> {
    let (now, hours) = (Timestamp::now(), when.hours());
    if hours.at(now) == Phase::Over { Err(late(&format!("it is {}", hours.spoken(now)), when)) } else { Ok(()) }
}

/// That a job could only ever be refused.
fn late(time: &str, when: &When) -> Failure {
    let hours = when.hours();
    let end = match hours.not_after() {
        Some(end) => format!("nothing is begun after {} (not_after)", hours.spoken(end)),
        None => "no window ever opens".to_owned(),
    };
    let open = if when.windows.is_empty() && when.holidays.is_none() { "" } else { ", nor outside of its windows" };
    let message = format!("{time}, and {end}{open}: such a job would always be refused");
    let help = "name an earlier time; or say until when it may be sent: not_after, or --not-after TIME behind --";
    Failure::because(Exit::Refused, "schedule.too-late", message, Some(help))
}

/// The next times of a calendar, as systemd works them out, or nothing where it is not there.
pub(super) fn times(when: &Calendar) -> Result<String, Failure> {
    let analyze = Command::new("systemd-analyze")
        .args(["calendar", "--iterations=3", "--", &when.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let Ok(output) = analyze else { return Ok(String::new()) };
    let said = String::from_utf8_lossy(&output.stdout);
    let next = |line: &&str| ["Next elapse:", "Iter. #"].iter().any(|head| line.trim_start().starts_with(head));
    let lines: Vec<&str> = said.lines().filter(next).filter_map(|line| Some(line.split_once(": ")?.1.trim())).collect();
    if !output.status.success() || lines.is_empty() || lines.contains(&"never") {
        let message = format!("{when} never comes, as systemd reads it");
        return Err(Failure::because(Exit::Usage, "schedule.when", message, Some("man systemd.time")));
    }
    Ok(lines.iter().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat())
}

/// Whether a text can be the name of a unit, with what systemd puts in for `%n` and the like.
pub(super) fn is_unit(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@%".contains(c);
    let endings = [".service", ".target"];
    text.len() < 256 && text.chars().all(is_part) && endings.iter().any(|ending| text.ends_with(ending))
}

/// Whether a text can be the login name of somebody who may have such a job. systemd itself warns of `nobody`, whom others share.
pub(super) fn is_login(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !["root", "nobody"].contains(&text)
        && (1..=32).contains(&text.len())
        && !text.starts_with(['-', '.'])
        && text.chars().all(is_part)
}
