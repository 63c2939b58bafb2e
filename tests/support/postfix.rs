//! A real Postfix with Dovecot's SASL behind it, for one test: on loopback ports of its own, with all its files in one
//! temporary directory. Mail for any address in the world ends in a Maildir there and never leaves the machine.
//!
//! Needs root and the Debian packages `postfix` (3.4 or newer) and `dovecot-core` (2.3). The machine's own configuration
//! of both is neither used nor changed.
//!
//! ```ignore
//! let Some(postfix) = Postfix::start() else { return };
//! send_to(postfix.submission_port(), postfix.ca_file(), postfix.user(), postfix.password());
//! assert_eq!(postfix.wait_for(1)[0].mailbox, "ann@example.org");
//! assert_eq!(postfix.recipients_per_message(), [1]);
//! ```
//!
//! What it answers, whatever the domain, by the local part (a sub-address such as `nobody-here+2` counts as well):
//!
//! | address                         | reply                                |
//! |---------------------------------|--------------------------------------|
//! | `MAIL FROM:<not-allowed@…>`     | 553 5.7.1                            |
//! | `RCPT TO:<nobody-here@…>`       | 550 5.1.1                            |
//! | `RCPT TO:<try-later@…>`         | 450 4.2.0                            |
//! | `RCPT TO:<quota-full@…>`        | 452 4.2.2                            |
//! | any other                       | 250; delivered to the mailbox        |
//! | `MAIL FROM` without AUTH        | 554 5.7.1 (submission and smtps)     |

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test's harness fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

const MASTER: &str = "/usr/lib/postfix/sbin/master";
const DOVECOT: &str = "/usr/sbin/dovecot";
const USER: &str = "case.team@police.example";
/// Owns the delivered mail: `nobody`, since virtual(8) refuses to deliver as root.
const MAIL_OWNER: u32 = 65534;

/// A server; it ends, and its files go, when this is dropped.
pub(crate) struct Postfix {
    directory: TempDir,
    ca_file: PathBuf,
    ports: Ports,
    user: &'static str,
    password: String,
    dovecot: Child,
    /// None while stopped.
    master: Option<Child>,
}

struct Ports {
    submission: u16,
    smtps: u16,
    relay: u16,
}

/// A message in somebody's mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// The recipient of the envelope, lower case: `ann+news@example.org`.
    pub(crate) mailbox: String,
    /// The file in the Maildir.
    pub(crate) path: PathBuf,
    /// The whole file, lines ending in LF: what Postfix put on top (Return-Path, X-Original-To, Delivered-To, Received),
    /// then what the client sent.
    pub(crate) bytes: Vec<u8>,
}

/// A queued message as Postfix's log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Postfix's name for the message, as in its reply `250 2.0.0 Ok: queued as …`.
    pub(crate) queue_id: String,
    /// The address of MAIL FROM; empty for a bounce.
    pub(crate) from: String,
    /// How many recipients it was queued for.
    pub(crate) recipients: usize,
    /// The addresses that it was delivered to, each once.
    pub(crate) to: Vec<String>,
}

impl Postfix {
    /// Starts a server; None, after saying why, where that is impossible. Where `CI` is set it panics instead.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with further parameters of `main.cf`, which win over the harness's own:
    /// `[("message_size_limit", "20000")]`.
    pub(crate) fn start_with(main_cf_extra: &[(&str, &str)]) -> Option<Self> {
        if let Err(reason) = prerequisites() {
            assert!(env::var_os("CI").is_none(), "no Postfix for this test: {reason}");
            eprintln!("skipped: {reason}");
            return None;
        }
        // Not in TMPDIR: that may be closed to the user postfix, or too long for a socket's path (107 bytes).
        let directory =
            tempfile::Builder::new().prefix("apiece-postfix-").tempdir_in("/tmp").expect("temporary directory");
        let ports = Ports { submission: free_port(), smtps: free_port(), relay: free_port() };
        let password = format!("pw-{:016x}", getrandom::u64().expect("randomness"));
        let files = Files { root: directory.path() };
        files.directory("", 0o755, 0, 0);
        files.write_certificates();
        files.write_postfix(&ports, main_cf_extra);
        files.write_dovecot(&password);
        let dovecot = start_dovecot(directory.path());
        let mut postfix = Self {
            ca_file: directory.path().join("ca.pem"),
            directory,
            ports,
            user: USER,
            password,
            dovecot,
            master: None,
        };
        postfix.restart();
        Some(postfix)
    }

    /// Like port 587: AUTH (PLAIN, LOGIN) is needed, and offered only after STARTTLS.
    pub(crate) fn submission_port(&self) -> u16 {
        self.ports.submission
    }

    /// Like port 465: TLS from the first byte, AUTH is needed.
    pub(crate) fn smtps_port(&self) -> u16 {
        self.ports.smtps
    }

    /// A relay for programs on this machine: no TLS, no AUTH.
    pub(crate) fn relay_port(&self) -> u16 {
        self.ports.relay
    }

    /// The certificate (PEM) of the throw-away authority that vouches for the server as `localhost` and `127.0.0.1`.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The only user who can log in.
    pub(crate) fn user(&self) -> &str {
        self.user
    }

    /// The user's password, a new one for each server.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Stops Postfix now, as a crash would: connections break, queued mail waits on disk for `restart`.
    pub(crate) fn stop(&mut self) {
        if let Some(mut master) = self.master.take() {
            assert!(end_group(&mut master), "Postfix does not end:\n{}", self.log_tail());
        }
    }

    /// Starts it again on the same ports, with the same queue; first stops it where it runs.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let starts = |log: &str| log.matches("daemon started").count();
        let before = starts(&self.log());
        let mut master = Command::new(MASTER)
            .arg("-c")
            .arg(self.directory.path().join("etc"))
            .args(["-e", "7200"]) // ends by itself, should the test be killed before it can
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("Postfix's master");
        // It says so once it listens. A connection as a probe would count in Postfix's limits for clients.
        let _ = patiently(Duration::from_secs(20), || starts(&self.log()) > before || ended(&mut master));
        let listens = starts(&self.log()) > before && !ended(&mut master);
        self.master = Some(master);
        assert!(listens, "Postfix does not start:\n{}", self.log_tail());
    }

    /// All messages delivered until now, ordered by mailbox.
    ///
    /// A message that Postfix, stopped in between, has delivered once more itself is here once.
    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        let mut seen = BTreeSet::new();
        let mut delivered: Vec<Delivered> = files_below(&self.directory.path().join("mail/new"))
            .into_iter()
            .map(Delivered::read)
            .filter(|message| seen.insert((message.queue_id().to_owned(), message.mailbox.clone())))
            .collect();
        delivered.sort_by(|a, b| (&a.mailbox, &a.path).cmp(&(&b.mailbox, &b.path)));
        delivered
    }

    /// Waits up to 30 s for at least `count` delivered messages and an empty queue, and returns `delivered`.
    /// `log` then tells about all of them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        let done = patiently(Duration::from_secs(30), || {
            if !self.queued().is_empty() {
                return false;
            }
            delivered = self.delivered();
            delivered.len() >= count
        });
        assert!(
            done,
            "{} of {count} messages delivered after 30 s; in the queue: {:?}; the log ends:\n{}",
            self.delivered().len(),
            self.queued(),
            self.log_tail()
        );
        // The log is written by another process, a little later; its last lines can be lost where Postfix was stopped.
        patiently(Duration::from_secs(2), || {
            let log = self.log();
            delivered.iter().all(|message| log.contains(&format!(": {}: removed", message.queue_id())))
        });
        delivered
    }

    /// Postfix's log from the first start on.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.directory.path().join("postfix.log")).unwrap_or_default()).into_owned()
    }

    /// For each queued message, in order, how many recipients it had: all 1 if everyone got their own.
    pub(crate) fn recipients_per_message(&self) -> Vec<usize> {
        self.envelopes().iter().map(|envelope| envelope.recipients).collect()
    }

    /// The envelope of each queued message, in order.
    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        let log = self.log();
        let mut order = Vec::new();
        let mut envelopes = BTreeMap::new();
        // `Jan 02 03:04:05 host postfix/qmgr[67]: 4c1Xyz…: from=<a@b.example>, size=890, nrcpt=1 (queue active)`
        for line in log.lines() {
            let Some((queue_id, event)) = line.split_once("]: ").and_then(|(_, message)| message.split_once(": "))
            else {
                continue;
            };
            if let Some((from, rest)) = event.strip_prefix("from=<").and_then(|event| event.split_once(">, size=")) {
                let digits = rest.split_once("nrcpt=").expect("nrcpt=").1.split(' ').next().unwrap_or_default();
                // Said again whenever the message comes back into the active queue.
                envelopes.entry(queue_id).or_insert_with(|| {
                    order.push(queue_id);
                    let recipients = digits.parse().expect("number of recipients");
                    Envelope { queue_id: queue_id.into(), from: from.into(), recipients, to: Vec::new() }
                });
            } else if let Some((to, _)) = event.strip_prefix("to=<").and_then(|event| event.split_once(">, "))
                && event.contains(" status=sent ")
                && let Some(envelope) = envelopes.get_mut(queue_id)
                && !envelope.to.iter().any(|known| known == to)
            {
                envelope.to.push(to.into());
            }
        }
        order.into_iter().filter_map(|queue_id| envelopes.remove(queue_id)).collect()
    }

    fn queued(&self) -> Vec<PathBuf> {
        let queue = self.directory.path().join("queue");
        ["maildrop", "incoming", "active", "deferred", "hold", "corrupt"]
            .iter()
            .flat_map(|name| files_below(&queue.join(name)))
            .collect()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("Postfix's log ends:\n{}", self.log_tail());
        }
        for process in self.master.iter_mut().chain([&mut self.dovecot]) {
            end_group(process);
        }
    }
}

impl Delivered {
    /// What the client sent, with line ends LF and without the header fields that Postfix put on top.
    pub(crate) fn sent(&self) -> &[u8] {
        let mut rest = self.bytes.as_slice();
        let mut in_received = false;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let folded = rest.starts_with(b" ") || rest.starts_with(b"\t");
            if in_received && !folded {
                break;
            }
            in_received |= rest.starts_with(b"Received: ");
            rest = &rest[end + 1..];
        }
        rest
    }

    fn read(path: PathBuf) -> Self {
        let bytes = fs::read(&path).expect("delivered message");
        let text = String::from_utf8_lossy(&bytes);
        let mailbox = text.lines().find_map(|line| line.strip_prefix("Delivered-To: ")).expect("Delivered-To");
        Self { mailbox: mailbox.to_lowercase(), path, bytes }
    }

    /// From `Received: … with ESMTPSA id 4c1Xyz…` (RFC 5321 §4.4); empty for mail that Postfix itself wrote.
    fn queue_id(&self) -> &str {
        let added = &self.bytes[..self.bytes.len() - self.sent().len()];
        let added = str::from_utf8(added).unwrap_or_default();
        added.split_once(" id ").and_then(|(_, rest)| rest.split([';', '\n', ' ']).next()).unwrap_or_default()
    }
}

/// The files of one server, all below one directory.
struct Files<'a> {
    root: &'a Path,
}

impl Files<'_> {
    fn write_certificates(&self) {
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate().expect("key");
        self.write("ca.pem", 0o644, &authority.self_signed(&authority_key).expect("certificate").pem());

        let mut server = CertificateParams::new(["localhost".into(), "127.0.0.1".into()]).expect("names");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate().expect("key");
        let certificate = server.signed_by(&server_key, &Issuer::new(authority, authority_key)).expect("certificate");
        self.write("server.pem", 0o600, &format!("{}{}", server_key.serialize_pem(), certificate.pem()));
    }

    fn write_postfix(&self, ports: &Ports, main_cf_extra: &[(&str, &str)]) {
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

        let mut main_cf = include_str!("postfix/main.cf").replace("@MAIL_OWNER@", &MAIL_OWNER.to_string());
        main_cf.extend(main_cf_extra.iter().map(|(name, value)| format!("{name} = {value}\n"))); // the last one wins
        let master_cf = include_str!("postfix/master.cf")
            .replace("@SUBMISSION@", &ports.submission.to_string())
            .replace("@SMTPS@", &ports.smtps.to_string())
            .replace("@RELAY@", &ports.relay.to_string());
        self.write("etc/main.cf", 0o644, &main_cf);
        self.write("etc/master.cf", 0o644, &master_cf);
        self.write("etc/any", 0o644, "/./ mail/\n");
        self.write("etc/senders", 0o644, SENDERS);
        self.write("etc/recipients", 0o644, RECIPIENTS);
    }

    fn write_dovecot(&self, password: &str) {
        self.write("dovecot.conf", 0o644, include_str!("postfix/dovecot.conf"));
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
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect(name);
    }

    fn directory(&self, name: &str, mode: u32, user: u32, group: u32) {
        let path = self.root.join(name);
        fs::create_dir_all(&path).expect(name);
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect(name);
        chown(&path, Some(user), Some(group)).expect(name);
    }
}

const SENDERS: &str = r"/^not-allowed(\+.*)?@/ 553 5.7.1 You may not send as this address
";

const RECIPIENTS: &str = r"/^nobody-here(\+.*)?@/ 550 5.1.1 No such person here
/^try-later(\+.*)?@/ 450 4.2.0 Mailbox busy, try again later
/^quota-full(\+.*)?@/ 452 4.2.2 Mailbox full
";

fn prerequisites() -> Result<(), String> {
    for (file, package) in [(MASTER, "postfix"), (DOVECOT, "dovecot-core")] {
        if !Path::new(file).exists() {
            return Err(format!("{file} is missing; install the Debian package {package}"));
        }
    }
    // The directory belongs to the effective user.
    match fs::metadata("/proc/self").map(|process| process.uid()) {
        Ok(0) => Ok(()),
        _ => Err("the packages postfix and dovecot-core are there, but only root can start them".into()),
    }
}

fn start_dovecot(root: &Path) -> Child {
    let output = File::create(root.join("dovecot.out")).expect("dovecot.out");
    let mut dovecot = Command::new(DOVECOT)
        .arg("-F")
        .arg("-c")
        .arg(root.join("dovecot.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .process_group(0)
        .spawn()
        .expect("dovecot");
    let listens = || UnixStream::connect(root.join("queue/private/auth")).is_ok();
    let _ = patiently(Duration::from_secs(20), || listens() || ended(&mut dovecot));
    if !listens() {
        let _ = dovecot.kill();
        let said = ["dovecot.out", "dovecot.log"].map(|name| fs::read_to_string(root.join(name)).unwrap_or_default());
        panic!("Dovecot does not start:\n{}", said.concat());
    }
    dovecot
}

/// A port that nobody listens on, and that no other server of this process gets. Below 32768: those above are given to
/// outgoing connections, and one of them could have it by the time of a restart.
fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT
        .get_or_init(|| AtomicU16::new(u16::try_from(getrandom::u32().expect("randomness") >> 16).expect("16 bits")));
    loop {
        let port = 20_000 + next.fetch_add(1, Ordering::Relaxed) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The number of a user (`/etc/passwd`, field 2), of their group (field 3) or of a group (`/etc/group`, field 2).
fn id_in(file: &str, name: &str, field: usize) -> u32 {
    let content = fs::read_to_string(file).expect(file);
    let line = content.lines().find(|line| line.split(':').next() == Some(name));
    let id = line.and_then(|line| line.split(':').nth(field)?.parse().ok());
    id.unwrap_or_else(|| panic!("{name} is not in {file}"))
}

/// All files below a directory, at any depth; none if it is missing.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Asks until the answer is yes (true) or the time is over (false).
fn patiently(time: Duration, mut question: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if question() {
            return true;
        }
        if start.elapsed() > time {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn ended(process: &mut Child) -> bool {
    process.try_wait().is_ok_and(|status| status.is_some())
}

/// Kills a process with all its children; false if one is still there 10 s later. They hold the ports until they are gone.
fn end_group(leader: &mut Child) -> bool {
    let group = leader.id();
    // The shell's own `kill`, since std kills one process only and /bin/kill is not installed everywhere.
    let _ = Command::new("sh").args(["-c", &format!("kill -s KILL -- -{group}")]).stderr(Stdio::null()).status();
    patiently(Duration::from_secs(10), || ended(leader) && !group_runs(group))
}

/// Whether a process of the group runs; a dead one that nobody has waited for does not.
fn group_runs(group: u32) -> bool {
    let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
    // `123 (name) S parent group …`, proc(5)
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(stat).any(|stat| {
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        fields.next() != Some("Z") && fields.nth(1) == Some(&group.to_string())
    })
}
