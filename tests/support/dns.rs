//! A real DNS server for one test: unbound, on a loopback port of its own, with records that it is given. There is nothing else in
//! its world, and it asks nobody.
//!
//! Needs the Debian package `unbound`. The machine's own configuration of it is neither used nor changed.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::processes::{ended, free_port, patiently};

const UNBOUND: &str = "/usr/sbin/unbound";

/// It answers all questions below this name with REFUSED.
pub(crate) const REFUSED: &str = "refused.example";

/// Of names here it answers what it has been given, and SERVFAIL to all other questions.
pub(crate) const HALF: &str = "half.example";

/// Of names here it answers what it has been given, and to all other questions nothing for longer than anybody waits.
pub(crate) const SLOW: &str = "slow.example";

/// It asks nobody there.
const NOBODY: &str = "127.0.0.9";

/// A server; it ends when this is dropped.
pub(crate) struct Dns {
    /// Who is asked about what is slow, and never answers
    _silent: UdpSocket,
    _directory: TempDir,
    port: u16,
    server: Child,
}

impl Dns {
    /// Answers with these records, as `name TYPE value`; texts are split where they are too long for one string. None, after saying
    /// why, where that is impossible.
    pub(crate) fn start(records: &[String]) -> Option<Self> {
        if !Path::new(UNBOUND).exists() {
            super::skip("unbound is not installed (Debian package unbound)");
            return None;
        }
        let directory = tempfile::Builder::new().prefix("apiece-dns-").tempdir_in("/tmp").expect("a directory");
        let (root, port) = (directory.path().display(), free_port());
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let nobody = silent.local_addr().expect("an address").port();
        let mut conf = format!(
            "server:\n  interface: 127.0.0.1\n  port: {port}\n  do-daemonize: no\n  use-syslog: no\n  logfile: \"{root}/log\"\n  \
             username: \"\"\n  chroot: \"\"\n  directory: \"{root}\"\n  pidfile: \"{root}/pid\"\n  \
             access-control: 127.0.0.0/8 allow\n  module-config: \"iterator\"\n  local-zone: \".\" static\n  \
             local-zone: \"{REFUSED}.\" always_refuse\n  do-not-query-localhost: no\n  do-not-query-address: {NOBODY}\n  \
             local-zone: \"{HALF}.\" typetransparent\n  local-zone: \"{SLOW}.\" typetransparent\n  local-data: '. SOA ns.example. nobody.example. 1 3600 900 86400 60'\n"
        );
        for record in records {
            conf += &format!("  local-data: '{}'\n", in_strings(record));
        }
        conf += "remote-control:\n  control-enable: no\n";
        for (zone, server) in [(HALF, NOBODY.to_owned()), (SLOW, format!("127.0.0.1@{nobody}"))] {
            conf += &format!("forward-zone:\n  name: \"{zone}.\"\n  forward-addr: {server}\n");
        }
        let path = directory.path().join("unbound.conf");
        std::fs::write(&path, conf).expect("written");
        let output = std::fs::File::create(directory.path().join("out")).expect("a file");
        let mut command = Command::new(UNBOUND);
        command.arg("-d").arg("-c").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let mut server = command.spawn().expect("unbound runs");
        let there = patiently(Duration::from_secs(20), || answers(port) || ended(&mut server));
        if !there || ended(&mut server) {
            let said =
                ["out", "log"].map(|name| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default());
            panic!("unbound does not start: {}", said.concat());
        }
        Some(Self { _silent: silent, _directory: directory, port, server })
    }

    /// As `--resolver` takes it.
    pub(crate) fn address(&self) -> String {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).to_string()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A string of a TXT record has 255 octets at most.
fn in_strings(record: &str) -> String {
    let Some((name, text)) = record.split_once(" TXT ") else { return record.to_owned() };
    let octets: Vec<char> = text.chars().collect();
    let strings: Vec<String> =
        octets.chunks(200).map(|some| format!("\"{}\"", some.iter().collect::<String>())).collect();
    format!("{name} TXT {}", strings.join(" "))
}

/// Whether somebody answers to a question for the root's SOA (RFC 1035 §4.1).
fn answers(port: u16) -> bool {
    let question = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return false };
    let asked = socket.set_read_timeout(Some(Duration::from_millis(200))).is_ok()
        && socket.connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        && socket.send(&question).is_ok();
    asked && socket.recv(&mut [0; 512]).is_ok()
}
