//! What a server of the tests finds on disk: directories, certificates, configuration. The texts are files beside this one,
//! in which `@ROOT@` stands for the server's directory.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Ports, USER};
use crate::support::certificates::{Authority, Certificate};

/// Owns the delivered mail: `nobody`, since virtual(8) refuses to deliver as root.
const MAIL_OWNER: u32 = 65534;

/// Writes below `root`.
pub(super) struct Files<'a> {
    pub(super) root: &'a Path,
}

impl Files<'_> {
    pub(super) fn write_all(&self, ports: &Ports, password: &str, authority: &Authority) {
        self.directory("", 0o755, 0, 0);
        self.write("ca.pem", 0o644, &authority.pem());
        self.write_certificate(&authority.vouch());
        self.write_postfix(ports);
        self.write_dovecot(password);
    }

    /// A new certificate for the server, in place of the one that is there.
    pub(super) fn write_certificate(&self, made: &Certificate) {
        self.replace("server.pem", 0o600, &format!("{}{}", made.key, made.certificate));
    }

    /// Further lines of `main.cf`; the last one of a name wins.
    pub(super) fn add_parameters(&self, parameters: &[(&str, &str)]) {
        let mut main_cf = fs::read_to_string(self.root.join("etc/main.cf")).expect("main.cf");
        main_cf.extend(parameters.iter().map(|(name, value)| format!("{name} = {value}\n")));
        self.replace("etc/main.cf", 0o644, &main_cf);
    }

    fn write_postfix(&self, ports: &Ports) {
        let (postfix, group) = (id_in("/etc/passwd", "postfix", 2), id_in("/etc/passwd", "postfix", 3));
        let postdrop = id_in("/etc/group", "postdrop", 2);
        self.directory("etc", 0o755, 0, 0);
        self.directory("data", 0o700, postfix, group);
        self.directory("mail", 0o700, MAIL_OWNER, MAIL_OWNER);
        self.directory("queue", 0o755, 0, 0);
        self.directory("queue/pid", 0o755, 0, 0);
        self.directory("queue/maildrop", 0o730, postfix, postdrop);
        self.directory("queue/public", 0o710, postfix, postdrop);
        for name in [
            "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
            "trace",
        ] {
            self.directory(&format!("queue/{name}"), 0o700, postfix, group);
        }

        let main_cf = include_str!("main.cf").replace("@MAIL_OWNER@", &MAIL_OWNER.to_string());
        let master_cf = include_str!("master.cf")
            .replace("@SUBMISSION@", &ports.submission.to_string())
            .replace("@SMTPS@", &ports.smtps.to_string())
            .replace("@RELAY@", &ports.relay.to_string());
        self.write("etc/main.cf", 0o644, &main_cf);
        self.write("etc/master.cf", 0o644, &master_cf);
        self.write("etc/any", 0o644, include_str!("any"));
        self.write("etc/senders", 0o644, include_str!("senders"));
        self.write("etc/recipients", 0o644, include_str!("recipients"));
    }

    fn write_dovecot(&self, password: &str) {
        self.write("dovecot.conf", 0o644, include_str!("dovecot.conf"));
        // Read by the auth process, which is root no longer.
        self.write("users", 0o640, &format!("{USER}:{{PLAIN}}{password}\n"));
        chown(self.root.join("users"), Some(0), Some(id_in("/etc/passwd", "dovecot", 3))).expect("users");
    }

    fn write(&self, name: &str, mode: u32, content: &str) {
        let path = self.root.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).expect(name);
        file.write_all(content.replace("@ROOT@", &self.root.to_string_lossy()).as_bytes()).expect(name);
        file.set_permissions(Permissions::from_mode(mode)).expect(name); // whatever the umask
        // Postfix waits a second or two before it trusts a file that has just changed.
        file.set_modified(SystemTime::now() - Duration::from_mins(1)).expect(name);
    }

    /// The new file is there at once and whole.
    fn replace(&self, name: &str, mode: u32, content: &str) {
        let new = format!("{name}.new");
        self.write(&new, mode, content);
        fs::rename(self.root.join(new), self.root.join(name)).expect(name);
    }

    fn directory(&self, name: &str, mode: u32, user: u32, group: u32) {
        let path = self.root.join(name);
        fs::create_dir_all(&path).expect(name);
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect(name);
        chown(&path, Some(user), Some(group)).expect(name);
    }
}

/// The number of a user (`/etc/passwd`, field 2), of their group (field 3) or of a group (`/etc/group`, field 2).
fn id_in(file: &str, name: &str, field: usize) -> u32 {
    let content = fs::read_to_string(file).expect(file);
    let line = content.lines().find(|line| line.split(':').next() == Some(name));
    let id = line.and_then(|line| line.split(':').nth(field)?.parse().ok());
    id.unwrap_or_else(|| panic!("{name} is not in {file}"))
}
