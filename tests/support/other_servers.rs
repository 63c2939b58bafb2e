//! Real servers that are not Postfix, each for one test: on loopback ports of its own, with all its files in one temporary
//! directory, with TLS from the first byte on one port and STARTTLS on another, and AUTH under TLS alone. Mail for any
//! address in the world is kept there and never leaves the machine.
//!
//! Needs root. Exim cannot be installed beside Postfix: `tests/run` unpacks Debian's into `target/servers`.

use std::{
    fs::{self, File, Permissions},
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
const SUBMISSION: &str = "/usr/lib/dovecot/submission";

/// The user `nobody` of Debian, and its group.
const NOBODY: u32 = 65534;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    Exim,
    /// The submission service; a Postfix behind it delivers.
    Dovecot,
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
    pub(crate) const ALL: [Self; 3] = [Self::Exim, Self::Dovecot, Self::Aiosmtpd];

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
        let exim = exim();
        let there = |file: &str, package: &str| match Path::new(file).exists() {
            true => Ok(()),
            false => Err(format!("{file} is missing; tests/run gets the Debian package {package}")),
        };
        match self {
            Self::Exim => there(exim.to_str().expect("UTF-8"), "exim4-daemon-light")?,
            Self::Dovecot => {
                there(DOVECOT, "dovecot-core")?;
                there(SUBMISSION, "dovecot-submissiond")?;
            }
            Self::Aiosmtpd => there("/usr/lib/python3/dist-packages/aiosmtpd", "python3-aiosmtpd")?,
        }
        match fs::metadata("/proc/self").map(|process| process.uid()) {
            Ok(0) => Ok(()),
            _ => Err(format!("{self:?} is there, but only root can start it")),
        }
    }
}

/// Starts an Exim that closes a connection behind so many messages.
pub(crate) fn exim_that_takes(messages_per_connection: u32) -> Option<Server> {
    Make::Exim.start_with(messages_per_connection)
}

fn exim() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/exim/usr/sbin/exim4")
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

    /// Waits up to 30 s for so many messages and gives all that are there.
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
        patiently(Duration::from_secs(30), || there().len() >= count);
        assert!(there().len() >= count, "{} of {count} messages kept\n{}", there().len(), self.log());
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
        let recipients = recipients.split(", ").map(|one| one.trim().to_lowercase()).collect();
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
        let exim = exim();
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
