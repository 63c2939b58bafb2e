//! Real servers that are not Postfix, each for one test: on loopback ports of its own, with all its files in one temporary
//! directory, with TLS from the first byte on one port and STARTTLS on another, and AUTH under TLS alone. Mail for any
//! address in the world is kept there and never leaves the machine.
//!
//! Needs root. Exim and Sendmail cannot be installed beside Postfix: `tests/run` unpacks Debian's into `target/servers`.

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    net::TcpStream,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    account,
    certificates::Authority,
    postfix::Postfix,
    processes::{end_group, files_below, free_port, patiently},
    skip,
};

pub(crate) const USER: &str = "case.team@police.example";

/// Seconds after which the servers end by themselves, should the test be killed before it can end them.
const LONGEST_LIFE: &str = "3600";

const PYTHON: &str = "/usr/bin/python3";
const DOVECOT: &str = "/usr/sbin/dovecot";
const M4: &str = "/usr/bin/m4";
const SASL_PASSWORDS: &str = "/usr/sbin/saslpasswd2";
const SUBMISSION: &str = "/usr/lib/dovecot/submission";

/// The user `nobody` of Debian, and its group.
const NOBODY: u32 = 65534;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    Exim,
    /// The submission service; a Postfix behind it delivers.
    Dovecot,
    /// With Cyrus' SASL
    Sendmail,
    /// Python's
    Aiosmtpd,
}

/// A server; it ends, and its files go, when this is dropped.
pub(crate) struct Server {
    pub(crate) make: Make,
    directory: TempDir,
    ports: Ports,
    password: String,
    process: Child,
    behind: Option<Postfix>,
}

struct Ports {
    implicit: u16,
    starttls: u16,
}

/// What was kept of one transaction.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The recipients of the envelope, lower case.
    pub(crate) recipients: Vec<String>,
    /// What the client sent, lines ending in LF, from its first header (`Date`) on.
    pub(crate) sent: Vec<u8>,
}

impl Make {
    pub(crate) const ALL: [Self; 4] = [Self::Exim, Self::Dovecot, Self::Sendmail, Self::Aiosmtpd];

    /// Starts one; None, after saying why, where that is impossible. Where `CI` is set it panics instead.
    pub(crate) fn start(self) -> Option<Server> {
        // Exim's own limit
        self.start_with(1000)
    }

    fn start_with(self, messages_per_connection: u32) -> Option<Server> {
        if let Err(why) = self.prerequisites() {
            skip(&why);
            return None;
        }
        if !self.may_have_files() {
            eprintln!("skipped: this machine does not let {self:?} have mounts of its own");
            return None;
        }
        // Dovecot has no place for mail of its own.
        let behind = if self == Self::Dovecot { Some(Postfix::start()?) } else { None };
        // Not in TMPDIR: that may be closed to other users, or too long for a socket's path (107 bytes).
        let directory = tempfile::Builder::new().prefix("apiece-server-").tempdir_in("/tmp").expect("a directory");
        let ports = Ports { implicit: free_port(), starttls: free_port() };
        let password = format!("pw-{:016x}", getrandom::u64().expect("randomness"));
        let files = Files { root: directory.path(), ports: &ports, password: &password };
        files.write_common();
        let mut command = match self {
            Self::Exim => files.exim(messages_per_connection),
            Self::Dovecot => files.dovecot(behind.as_ref().expect("a Postfix").relay_port()),
            Self::Sendmail => files.sendmail(),
            Self::Aiosmtpd => files.aiosmtpd(),
        };
        let output = File::create(directory.path().join("output")).expect("output");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("output")).stderr(output).process_group(0);
        let process = command.spawn().expect("timeout runs");
        let server = Server { make: self, directory, ports, password, process, behind };
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let all_listen = || listens(server.ports.implicit) && listens(server.ports.starttls);
        patiently(Duration::from_secs(20), all_listen);
        assert!(all_listen(), "{self:?} does not start:\n{}", server.log());
        Some(server)
    }

    fn prerequisites(self) -> Result<(), String> {
        let exim = unpacked("exim").join("usr/sbin/exim4");
        let sendmail = unpacked("sendmail").join("usr/libexec/sendmail/sendmail");
        let there = |file: &str, package: &str| match Path::new(file).exists() {
            true => Ok(()),
            false => Err(format!("{file} is missing; tests/run gets the Debian package {package}")),
        };
        match self {
            Self::Exim => there(exim.to_str().expect("UTF-8"), "exim4-daemon-light")?,
            Self::Sendmail => {
                there(sendmail.to_str().expect("UTF-8"), "sendmail-bin")?;
                there(M4, "m4")?;
                there(SASL_PASSWORDS, "sasl2-bin")?;
            }
            Self::Dovecot => {
                there(DOVECOT, "dovecot-core")?;
                there(SUBMISSION, "dovecot-submissiond")?;
            }
            Self::Aiosmtpd => there("/usr/lib/python3/dist-packages/aiosmtpd", "python3-aiosmtpd")?,
        }
        if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            return Err(format!("{self:?} is there, but only root can start it"));
        }
        Ok(())
    }

    /// Exim and Sendmail want users and files of their own, which for them alone are made to be there. No package helps where
    /// that is forbidden.
    fn may_have_files(self) -> bool {
        let may_mount =
            || Command::new("unshare").args(["--mount", "--uts", "true"]).status().is_ok_and(|s| s.success());
        !matches!(self, Self::Exim | Self::Sendmail) || may_mount()
    }
}

/// Starts an Exim that closes a connection behind so many messages.
pub(crate) fn exim_that_takes(messages_per_connection: u32) -> Option<Server> {
    Make::Exim.start_with(messages_per_connection)
}

fn unpacked(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(name)
}

impl Server {
    /// `tls` in the account, and the port for it.
    pub(crate) fn ways(&self) -> [(&'static str, u16); 2] {
        [("implicit", self.ports.implicit), ("starttls", self.ports.starttls)]
    }

    /// An account there, its password in `SMTP_PASSWORD`; `more` are further lines.
    pub(crate) fn account(&self, (tls, port): (&str, u16), more: &str) -> String {
        // A server that does not answer is not waited for.
        let more = format!("timeout = \"10s\"\n{more}");
        let login = format!("username = \"{USER}\"\npassword_env = \"SMTP_PASSWORD\"\n{more}");
        account(port, &self.directory.path().join("ca.pem"), tls, &login)
    }

    /// The authority that vouches for it.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// A token (RFC 7519) with which Dovecot lets its owner in as `user`.
    pub(crate) fn token(&self, user: &str) -> String {
        use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
        let claims = format!("{{\"sub\":\"{user}\",\"iat\":1700000000,\"exp\":4000000000}}");
        let signed = format!("{}.{}", BASE64.encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), BASE64.encode(claims));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.password.as_bytes());
        format!("{signed}.{}", BASE64.encode(ring::hmac::sign(&key, signed.as_bytes())))
    }

    /// Waits up to 30 s for so many messages and an empty queue, and gives all that are there.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Kept> {
        if let Some(postfix) = &self.behind {
            let delivered = postfix.wait_for(count);
            let kept = |one: &super::postfix::Delivered| Kept {
                recipients: vec![one.mailbox.clone()],
                sent: from_date(&one.bytes),
            };
            assert!(postfix.recipients_per_message().iter().all(|recipients| *recipients == 1));
            return delivered.iter().map(kept).collect();
        }
        let mail = self.directory.path().join("mail/new");
        let there = || files_below(&mail);
        let queue = self.directory.path().join(if self.make == Make::Exim { "spool/input" } else { "spool" });
        let done = patiently(Duration::from_secs(30), || there().len() >= count && files_below(&queue).is_empty());
        assert!(done, "{} of {count} messages kept\n{}", there().len(), self.log());
        there().iter().map(|file| Kept::read(file)).collect()
    }

    /// All that it said.
    pub(crate) fn log(&self) -> String {
        let names = ["output", "log", "log-main", "log-panic"].map(|name| self.directory.path().join(name));
        names.iter().map(|name| String::from_utf8_lossy(&fs::read(name).unwrap_or_default()).into_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("The log of {:?} ends:\n{}", self.make, lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        end_group(&mut self.process);
    }
}

impl Kept {
    fn read(file: &Path) -> Self {
        let bytes = fs::read(file).expect("a message");
        let text = String::from_utf8_lossy(&bytes);
        let recipients = text.lines().find_map(|line| line.strip_prefix("X-Envelope-To: ")).expect("X-Envelope-To");
        let recipients = recipients.split([',', ' ']).filter(|one| !one.is_empty()).map(str::to_lowercase).collect();
        Self { recipients, sent: from_date(&bytes) }
    }
}

/// From `Date` on, which is the first header that the program writes; line ends become LF.
pub(crate) fn from_date(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').skip_while(|line| !line.starts_with(b"Date: "));
    let without_end = |line: &[u8]| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line).to_vec()
    };
    lines.flat_map(|line| [&without_end(line)[..], b"\n"].concat()).collect()
}

/// What a server finds on disk.
struct Files<'a> {
    root: &'a Path,
    ports: &'a Ports,
    password: &'a str,
}

impl Files<'_> {
    fn write_common(&self) {
        fs::set_permissions(self.root, Permissions::from_mode(0o755)).expect("permissions");
        let authority = Authority::new();
        let made = authority.vouch();
        self.write("ca.pem", &authority.pem());
        self.write("certificate.pem", &made.certificate);
        self.write("key.pem", &made.key);
        for name in ["mail", "mail/new", "mail/cur", "mail/tmp"] {
            self.directory(name);
        }
    }

    fn exim(&self, messages_per_connection: u32) -> Command {
        self.directory("spool");
        self.nobodys("key.pem");
        chown(self.root, Some(NOBODY), Some(NOBODY)).expect("the logs' directory");
        let exim = unpacked("exim").join("usr/sbin/exim4");
        let configuration = self.filled(include_str!("other_servers/exim.conf"));
        let configuration = configuration.replace("@MESSAGES@", &messages_per_connection.to_string());
        self.write("exim.conf", &configuration.replace("@EXIM@", exim.to_str().expect("UTF-8")));
        // It wants a user of this name to exist, which for it alone is made so.
        for name in ["passwd", "group"] {
            let mut users = fs::read_to_string(format!("/etc/{name}")).expect(name);
            users += "Debian-exim:x:65534:";
            users += if name == "passwd" { "65534::/nonexistent:/usr/sbin/nologin\n" } else { "\n" };
            self.write(name, &users);
        }
        let start = "mount --bind \"$1/passwd\" /etc/passwd && mount --bind \"$1/group\" /etc/group && \
                     exec \"$2\" -C \"$1/exim.conf\" -bdf";
        let mut command = limited("unshare");
        command.args(["--mount", "sh", "-c", start, "sh"]).arg(self.root).arg(exim);
        command
    }

    fn dovecot(&self, relay: u16) -> Command {
        for name in ["home", "keys", "keys/default", "keys/default/HS256"] {
            self.directory(name);
        }
        let key = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, self.password);
        self.write("keys/default/HS256/default", &key);
        self.write("users", &format!("{USER}:{{PLAIN}}{}\n", self.password));
        self.write("tokens.conf", &self.filled(include_str!("other_servers/tokens.conf")));
        let configuration = self.filled(include_str!("other_servers/submission.conf"));
        self.write("dovecot.conf", &configuration.replace("@RELAY@", &relay.to_string()));
        let mut command = limited(DOVECOT);
        command.arg("-F").arg("-c").arg(self.root.join("dovecot.conf"));
        command
    }

    fn sendmail(&self) -> Command {
        let place = unpacked("sendmail");
        fs::create_dir(self.root.join("spool")).expect("spool");
        fs::set_permissions(self.root.join("spool"), Permissions::from_mode(0o700)).expect("spool");
        fs::create_dir(self.root.join("sasl")).expect("sasl");
        fs::copy(self.root.join("certificate.pem"), self.root.join("sasl/certificate.pem")).expect("certificate");
        fs::copy(self.root.join("key.pem"), self.root.join("sasl/key.pem")).expect("key");
        fs::set_permissions(self.root.join("sasl/key.pem"), Permissions::from_mode(0o600)).expect("key");
        let database = self.root.join("sasldb");
        let sasl = format!("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\n", database.display());
        self.write("sasl/Sendmail.conf", &sasl);
        let (local, domain) = USER.split_once('@').expect("an address");
        let mut passwords = Command::new(SASL_PASSWORDS);
        passwords.args(["-p", "-c", "-u", domain, "-f"]).arg(database).arg(local).stdin(Stdio::piped());
        let mut passwords = passwords.spawn().expect("saslpasswd2");
        passwords.stdin.take().expect("a pipe").write_all(self.password.as_bytes()).expect("the password");
        assert!(passwords.wait().expect("saslpasswd2").success());

        self.write("hosts", "127.0.0.1 mail.police.example localhost\n");
        self.write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
        self.write("keep.sh", &self.filled(include_str!("other_servers/keep.sh")));
        let macros = place.join("usr/share/sendmail/cf");
        let configuration = self.filled(include_str!("other_servers/sendmail.mc"));
        self.write("sendmail.mc", &configuration.replace("@CF@", &macros.to_string_lossy()));
        let mut m4 = Command::new(M4);
        m4.arg(format!("-D_CF_DIR_={}/", macros.display())).arg(self.root.join("sendmail.mc"));
        let made = m4.output().expect("m4");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.write("sendmail.cf", &String::from_utf8(made.stdout).expect("UTF-8"));
        let mut command = limited("unshare");
        command.args(["--mount", "--uts", "sh", "-c", include_str!("other_servers/sendmail.sh"), "sh"]);
        command.arg(self.root).arg(place);
        command
    }

    fn aiosmtpd(&self) -> Command {
        let mut command = limited(PYTHON);
        command.args(["-c", include_str!("other_servers/aiosmtpd.py")]).arg(self.root);
        command.args([self.ports.implicit.to_string(), self.ports.starttls.to_string(), USER.to_owned()]);
        command.env("PASSWORD", self.password);
        command
    }

    fn filled(&self, text: &str) -> String {
        text.replace("@ROOT@", &self.root.to_string_lossy())
            .replace("@IMPLICIT@", &self.ports.implicit.to_string())
            .replace("@STARTTLS@", &self.ports.starttls.to_string())
            .replace("@USER@", USER)
            .replace("@PASSWORD@", self.password)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.root.join(name), content).expect(name);
        // Nothing here is worth a secret, and some read it as somebody else.
        fs::set_permissions(self.root.join(name), Permissions::from_mode(0o644)).expect(name);
    }

    fn directory(&self, name: &str) {
        fs::create_dir_all(self.root.join(name)).expect(name);
        self.nobodys(name);
    }

    fn nobodys(&self, name: &str) {
        chown(self.root.join(name), Some(NOBODY), Some(NOBODY)).expect(name);
    }
}

fn limited(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args([LONGEST_LIFE, program]);
    command
}
