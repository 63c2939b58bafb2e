//! What is on this machine: settings, secrets, the record, the clock.

use std::{fs::Metadata, path::Path};

use jiff::Timestamp;

use super::{Cause, Check, Checkup};
use crate::{
    campaign::{Account, Dkim},
    diagnostic::{Diagnostics, counted},
    message::Signer,
    outbox::{Location, Store, StoreError, day},
};

/// A clock that says less is wrong: this is when the program was written.
const WRITTEN: i64 = 1_767_225_600;

/// Less room than this, in MiB, and a campaign of some size may not find any.
const LITTLE: u64 = 200;

/// With less than this not even what becomes of messages can be written down.
const TOO_LITTLE: u64 = 20;

/// Something that is wrong, in a sentence, and what to do.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub help: Option<String>,
}

impl From<&Diagnostics> for Trouble {
    fn from(all: &Diagnostics) -> Self {
        let mut errors = all.iter().filter(|one| one.is_error());
        let Some(first) = errors.next() else { return Self::default() };
        let further = errors.count();
        let why = match further {
            0 => first.sentence(),
            _ => format!("{} (and {} more)", first.sentence(), further),
        };
        Self { why, help: first.help().map(str::to_owned) }
    }
}

/// The config file, and the account in it.
pub fn config(checkup: &mut Checkup<'_>, file: &Path, account: Result<&Account, &Trouble>) {
    let what = format!("config file {}", file.display());
    match account {
        Ok(account) => {
            let found = format!("account {}, to {}:{}", account.name, account.host, account.port);
            checkup.add(Check::ok("config", what, found));
        }
        Err(Trouble { why, help }) => {
            checkup.add(Check::failure("config", what, Cause::Configuration, why).perhaps(help.as_ref()));
        }
    }
    match file.metadata() {
        Ok(data) => checkup.add(permissions(file, &data)),
        Err(why) => checkup.add(Check::skipped(
            "config-permissions",
            "permissions of the config file",
            format!("it is not there ({why})"),
        )),
    }
}

/// Who changes the config file decides where the password goes.
#[cfg(unix)]
fn permissions(file: &Path, data: &Metadata) -> Check {
    use std::os::unix::fs::MetadataExt;
    let (id, what) = ("config-permissions", "permissions of the config file");
    let (mode, owner) = (data.mode() & 0o7777, data.uid());
    let own = rustix::process::getuid().as_raw();
    let chmod = format!("chmod 600 {}", file.display());
    if mode & 0o022 != 0 {
        let finding = format!("others can change it (its mode is {mode:o}), and with it where your password goes");
        return Check::failure(id, what, Cause::Configuration, finding).to_do(chmod);
    }
    if owner != own && owner != 0 {
        let finding = format!("it belongs to another user (uid {owner}), who can change where your password goes");
        return Check::failure(id, what, Cause::Configuration, finding).to_do("make one of your own");
    }
    if mode & 0o044 != 0 {
        let finding = format!("others can read it (its mode is {mode:o}); no password is in it");
        return Check::note(id, what, finding).to_do(chmod);
    }
    Check::ok(id, what, format!("nobody else can read or change it (its mode is {mode:o})"))
}

#[cfg(not(unix))]
fn permissions(_: &Path, _: &Metadata) -> Check {
    Check::skipped("config-permissions", "permissions of the config file", "they are not looked at on this system")
}

/// Where the password comes from, and whether it does; why it was not read is in `Ok(Err(…))`.
pub fn password(
    checkup: &mut Checkup<'_>,
    account: Option<&Account>,
    read: Result<Result<(), &'static str>, &Trouble>,
) {
    let (id, what) = ("password", "password");
    let Some(account) = account else {
        return checkup.add(Check::skipped(id, what, "there is no account"));
    };
    let Some(login) = &account.login else {
        return checkup.add(Check::skipped(id, what, "the account has no username, so that nobody logs in"));
    };
    let kind = login.secret.kind();
    checkup.add(match read {
        Ok(Ok(())) => Check::ok(id, what, format!("there is one from {kind}, not shown")),
        Ok(Err(why)) => Check::skipped(id, what, format!("it comes from {kind}; {why}")),
        Err(Trouble { why, help }) => Check::failure(id, what, Cause::Configuration, why).perhaps(help.as_ref()),
    });
}

/// The key that messages are signed with, if the account signs them.
pub fn dkim_key(checkup: &mut Checkup<'_>, dkim: Option<&Dkim>) -> Option<Signer> {
    let dkim = dkim?;
    let what = format!("DKIM key {}", dkim.key_file.display());
    match Signer::read(dkim) {
        Ok(signer) => {
            checkup.add(Check::ok("dkim-key", what, format!("{signer}, not shown")));
            Some(signer)
        }
        Err(why) => {
            let help = crate::diagnostic::Complaint::help(&why);
            checkup.add(Check::failure("dkim-key", what, Cause::Configuration, why.to_string()).perhaps(help));
            None
        }
    }
}

/// The record; gives when something was last written down in it.
pub fn outbox(checkup: &mut Checkup<'_>, place: Result<Location, Trouble>) -> Option<Timestamp> {
    let file = match place {
        Ok(Location::File(file)) => file,
        #[cfg(feature = "postgres")]
        Ok(place @ Location::Server(_)) => {
            for (id, what) in
                [("outbox-permissions", "permissions of the outbox"), ("outbox-space", "room for the outbox")]
            {
                checkup.add(Check::skipped(id, what, "the database's own administrator looks after it"));
            }
            return contents(checkup, format!("outbox {place}"), &place);
        }
        Err(Trouble { why, help }) => {
            checkup.add(Check::failure("outbox", "outbox", Cause::Configuration, why).perhaps(help));
            for (id, what) in
                [("outbox-permissions", "permissions of the outbox"), ("outbox-space", "room for the outbox")]
            {
                checkup.add(Check::skipped(id, what, "there is no place for it"));
            }
            return None;
        }
    };
    let what = format!("outbox {}", file.display());
    let (last, is_there) = match file.try_exists() {
        Ok(true) => (contents(checkup, what, &file.as_path().into()), true),
        Ok(false) => {
            checkup.add(Check::ok("outbox", what, "not there yet; the first campaign makes it"));
            (None, false)
        }
        Err(why) => {
            checkup.add(Check::failure("outbox", what, Cause::NoRecord, format!("it cannot be looked at: {why}")));
            (None, false)
        }
    };
    checkup.add(outbox_permissions(&file, is_there));
    checkup.add(space(&file));
    last
}

fn contents(checkup: &mut Checkup<'_>, what: String, place: &Location) -> Option<Timestamp> {
    let found = match Store::examine(place) {
        Ok(found) => found,
        Err(why) => {
            let cause = match why {
                StoreError::Corrupt(_) => Cause::Data,
                _ => Cause::NoRecord,
            };
            let help = crate::diagnostic::Complaint::help(&why);
            checkup.add(Check::failure("outbox", what, cause, why.to_string()).perhaps(help));
            checkup.add(Check::skipped("outbox-runs", "runs", "the outbox cannot be read"));
            return None;
        }
    };
    let (version, known) = found.versions;
    let campaigns = counted(found.campaigns, "campaign");
    let check = if version == known {
        Check::ok("outbox", what, format!("it opens and is whole; version {version}, {campaigns}"))
    } else {
        let finding = format!(
            "it opens and is whole, {campaigns}; its version is {version}, and the next command that writes into it makes it {known}"
        );
        Check::note("outbox", what, finding).to_do("keep a copy, if an older apiece is to use it once more")
    };
    checkup.add(check);
    let runs: Vec<String> = found.running.iter().map(|(id, holder)| format!("campaign {id} by {holder}")).collect();
    checkup.add(if runs.is_empty() {
        Check::ok("outbox-runs", "runs", "nobody is sending from it")
    } else {
        Check::note("outbox-runs", "runs", format!("being sent now: {}", runs.join(", ")))
            .to_do("the limits of the account hold for all runs together")
    });
    found.last
}

/// The nearest directory above a file that is there.
fn directory(file: &Path) -> &Path {
    let above = file.ancestors().skip(1).map(|one| if one.as_os_str().is_empty() { Path::new(".") } else { one });
    above.into_iter().find(|one| one.is_dir()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn outbox_permissions(file: &Path, is_there: bool) -> Check {
    use std::os::unix::fs::MetadataExt;
    let (id, what) = ("outbox-permissions", "permissions of the outbox");
    let mode = |path: &Path| path.metadata().map(|data| data.mode() & 0o7777);
    let within = directory(file);
    if rustix::fs::access(within, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
        let finding = format!("you may not write into {}", within.display());
        return Check::failure(id, what, Cause::NoRecord, finding).to_do("choose another place with --outbox FILE");
    }
    // Where the bit is set, a file can be replaced by its owner alone.
    if let Ok(open) = mode(within).map(|mode| if mode & 0o1000 == 0 { mode } else { mode & !0o022 })
        && open & 0o022 != 0
    {
        let finding = format!("others can put another one in its place: the mode of {} is {open:o}", within.display());
        return Check::warning(id, what, finding).to_do(format!("chmod go-w {}", within.display()));
    }
    if !is_there {
        return Check::ok(id, what, format!("it can be made in {}, for you alone", within.display()));
    }
    match mode(file) {
        Ok(open) if open & 0o077 != 0 => {
            Check::warning(id, what, format!("others can read who is on your lists (its mode is {open:o})"))
                .to_do(format!("chmod 600 {}", file.display()))
        }
        Ok(open) => Check::ok(id, what, format!("nobody else can read it (its mode is {open:o})")),
        Err(why) => Check::failure(id, what, Cause::NoRecord, why.to_string()),
    }
}

#[cfg(not(unix))]
fn outbox_permissions(_: &Path, _: bool) -> Check {
    Check::skipped("outbox-permissions", "permissions of the outbox", "they are not looked at on this system")
}

#[cfg(unix)]
fn space(file: &Path) -> Check {
    let (id, what) = ("outbox-space", "room for the outbox");
    match rustix::fs::statvfs(directory(file)) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize) / (1 << 20);
            let finding = format!("{free} MiB are free");
            let help = "make room: what becomes of a message is written down before it is sent, or it is not sent";
            match free {
                0..TOO_LITTLE => Check::failure(id, what, Cause::NoRecord, finding).to_do(help),
                TOO_LITTLE..LITTLE => Check::warning(id, what, finding).to_do(help),
                _ => Check::ok(id, what, finding),
            }
        }
        Err(why) => Check::skipped(id, what, format!("it is not known ({why})")),
    }
}

#[cfg(not(unix))]
fn space(_: &Path) -> Check {
    Check::skipped("outbox-space", "room for the outbox", "it is not looked at on this system")
}

/// Whether the clock can be right: it is not behind what is known to have been.
pub fn clock(checkup: &mut Checkup<'_>, now: Timestamp, last: Option<Timestamp>) {
    let help = "set the clock (timedatectl set-ntp true); whether certificates are valid, the Date of messages and the limits \
                of the account depend on it";
    let wrong = |finding: String| Check::failure("clock", "clock", Cause::Configuration, finding).to_do(help);
    let said = day(now);
    checkup.add(match last {
        _ if now.as_second() < WRITTEN => wrong(format!("it says {said}, which is before this program was made")),
        Some(last) if now < last => {
            wrong(format!("it says {said}, and the outbox has an entry of {}: one of the two is wrong", day(last)))
        }
        _ => Check::ok("clock", "clock", format!("{said}; TLS and the Date of messages depend on it")),
    });
}
