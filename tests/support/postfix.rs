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

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::{
    certificates::{Authority, Certificate},
    processes::{end_group, ended, files_below, free_port, patiently},
};
use files::Files;

const MASTER: &str = "/usr/lib/postfix/sbin/master";
const DOVECOT: &str = "/usr/sbin/dovecot";
const USER: &str = "case.team@police.example";
/// Seconds after which the servers end by themselves, should the test be killed before it can end them.
const LONGEST_LIFE: &str = "3600";

/// A server; it ends, and its files go, when this is dropped.
pub(crate) struct Postfix {
    directory: TempDir,
    authority: Authority,
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
    /// The addresses that it was delivered to, each once, as RCPT TO gave them.
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
        let (files, authority) = (Files { root: directory.path() }, Authority::new());
        files.write_all(&ports, &password, &authority);
        files.add_parameters(main_cf_extra);
        let dovecot = start_dovecot(directory.path());
        let mut postfix = Self {
            ca_file: directory.path().join("ca.pem"),
            directory,
            authority,
            ports,
            user: USER,
            password,
            dovecot,
            master: None,
        };
        postfix.restart();
        Some(postfix)
    }

    /// Like port 587: AUTH (SCRAM-SHA-256, PLAIN, LOGIN) is needed, and offered only after STARTTLS.
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

    /// Stops Postfix now, as a crash would: connections break, queued mail waits on disk for `restart`. A message may be
    /// queued although its client never got the 250 (RFC 1047).
    pub(crate) fn stop(&mut self) {
        if let Some(mut master) = self.master.take() {
            assert!(end_group(&mut master), "Postfix does not end");
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
            .args(["-e", LONGEST_LIFE])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Postfix's master");
        // It says so once it listens. A connection as a probe would count in Postfix's limits for clients.
        patiently(Duration::from_secs(20), || starts(&self.log()) > before || ended(&mut master));
        let listens = starts(&self.log()) > before && !ended(&mut master);
        self.master = Some(master);
        assert!(listens, "Postfix does not start: {}", self.configuration_error());
    }

    /// Changes parameters of `main.cf` in a server that runs. Connections that are there already keep to the old ones.
    pub(crate) fn reload_with(&self, main_cf_extra: &[(&str, &str)]) {
        Files { root: self.directory.path() }.add_parameters(main_cf_extra);
        let reloads = || self.log().matches(": reload -- version ").count();
        let (before, master) = (reloads(), self.master.as_ref().expect("Postfix runs").id());
        let told = Command::new("sh").args(["-c", &format!("kill -s HUP {master}")]).status();
        assert!(told.expect("a shell").success(), "Postfix is gone");
        assert!(patiently(Duration::from_secs(10), || reloads() > before), "{}", self.configuration_error());
    }

    /// Puts a new certificate in the place of the server's, for those who connect after `restart`. None stands for the
    /// authority of `ca_file`.
    pub(crate) fn renew_certificate(&self, authority: Option<&Authority>) {
        Files { root: self.directory.path() }.write_certificate(&authority.unwrap_or(&self.authority).vouch());
    }

    /// Restarts it with another certificate.
    pub(crate) fn show(&mut self, certificate: &Certificate) {
        Files { root: self.directory.path() }.write_certificate(certificate);
        self.restart();
    }

    /// Who vouches for the certificates.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
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
            "{} of {count} messages delivered after 30 s; in the queue: {:?}",
            delivered.len(),
            self.queued()
        );
        // The log is written by another process, a little later; its last lines can be lost where Postfix was stopped.
        patiently(Duration::from_secs(2), || {
            let log = self.log();
            let removed: BTreeSet<&str> =
                events(&log).filter(|event| event.1 == "removed").map(|event| event.0).collect();
            delivered.iter().all(|message| removed.contains(message.queue_id()))
        });
        delivered
    }

    /// Postfix's log from the first start on.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.directory.path().join("postfix.log")).unwrap_or_default()).into_owned()
    }

    /// For each queued message, in order, how many recipients it had: all 1 if everyone got their own.
    /// As the log tells: of the moment before a `stop` some lines can be missing.
    pub(crate) fn recipients_per_message(&self) -> Vec<usize> {
        self.envelopes().iter().map(|envelope| envelope.recipients).collect()
    }

    /// The envelope of each queued message, in order; as the log tells, like `recipients_per_message`.
    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        let log = self.log();
        let mut order = Vec::new();
        let mut envelopes = BTreeMap::new();
        for (queue_id, event) in events(&log) {
            // `from=<a@b.example>, size=890, nrcpt=1 (queue active)`, again whenever it comes back into the active queue
            if let Some((from, rest)) = event.strip_prefix("from=<").and_then(|event| event.split_once(">, size="))
                && let Some((_, rest)) = rest.split_once("nrcpt=")
                && let Ok(recipients) = rest.trim_end_matches(" (queue active)").parse()
            {
                envelopes.entry(queue_id).or_insert_with(|| {
                    order.push(queue_id);
                    Envelope { queue_id: queue_id.into(), from: from.into(), recipients, to: Vec::new() }
                });
            // `to=<c@d.example>, relay=virtual, delay=0.01, …, status=sent (delivered to maildir)`
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

    /// What Postfix has accepted and not yet delivered. A file becomes executable with the last byte of its message.
    pub(crate) fn queued(&self) -> Vec<PathBuf> {
        let queue = self.directory.path().join("queue");
        let accepted = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.mode() & 0o100 != 0);
        // In the order in which messages move, so that none is overlooked on its way.
        let folders = ["maildrop", "deferred", "incoming", "active", "hold", "corrupt"];
        folders.iter().flat_map(|name| files_below(&queue.join(name))).filter(accepted).collect()
    }

    /// What is wrong with `main.cf`. The master tells that only to syslog, any other program of Postfix to the terminal.
    fn configuration_error(&self) -> String {
        let etc = self.directory.path().join("etc");
        let postmap = Command::new("/usr/sbin/postmap").arg("-c").arg(etc).args(["-q", "a@b", "inline:{x=y}"]).output();
        let said = postmap.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
        said.lines().find(|line| line.contains("fatal:")).unwrap_or("its log may say why").to_owned()
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

    /// From `Received: … with ESMTPSA id 4c1Xyz…` (RFC 5321 §4.4).
    fn queue_id(&self) -> &str {
        let added = str::from_utf8(&self.bytes[..self.bytes.len() - self.sent().len()]).unwrap_or_default();
        added.split_whitespace().skip_while(|&word| word != "id").nth(1).unwrap_or_default().trim_end_matches(';')
    }
}

/// What the log says about queued messages: `Jan 02 03:04:05 host postfix/qmgr[67]: QUEUE-ID: EVENT`.
fn events(log: &str) -> impl Iterator<Item = (&str, &str)> {
    log.lines().filter_map(|line| line.split_once("]: ")?.1.split_once(": "))
}

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
    let mut dovecot = Command::new("timeout")
        .args([LONGEST_LIFE, DOVECOT, "-F", "-c"])
        .arg(root.join("dovecot.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .process_group(0) // Postfix's master makes its own
        .spawn()
        .expect("dovecot");
    let listens = || UnixStream::connect(root.join("queue/private/auth")).is_ok();
    patiently(Duration::from_secs(20), || listens() || ended(&mut dovecot));
    if !listens() {
        end_group(&mut dovecot);
        let said = ["dovecot.out", "dovecot.log"].map(|name| fs::read_to_string(root.join(name)).unwrap_or_default());
        panic!("Dovecot does not start:\n{}", said.concat());
    }
    dovecot
}
