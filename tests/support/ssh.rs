//! SSH keys as people have them, OpenSSH's own programs, and an agent.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::{Home, skip};

/// Whether OpenSSH's programs are there; says so if not.
pub(crate) fn is_there() -> bool {
    let all = ["ssh-keygen", "ssh-agent", "ssh-add"];
    let is_there = all.iter().all(|name| Path::new("/usr/bin").join(name).exists());
    if !is_there {
        skip("openssh-client is not there");
    }
    is_there
}

/// Runs a program of OpenSSH's in a home directory.
#[track_caller]
pub(crate) fn run(home: &Home, program: &str, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(home.path())
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("the program ends")
}

/// Makes a key of a type in a home directory, `name` and `name.pub`; gives the public key's line.
#[track_caller]
pub(crate) fn key(home: &Home, name: &str, kind: &[&str], passphrase: &str) -> String {
    let arguments = [&["-q", "-N", passphrase, "-C", name, "-f", name, "-t"][..], kind].concat();
    let made = run(home, "ssh-keygen", &arguments, "");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read_to_string(home.path().join(format!("{name}.pub"))).expect("the public key").trim_end().to_owned()
}

/// An ed25519 key.
#[track_caller]
pub(crate) fn ed25519(home: &Home, name: &str) -> String {
    key(home, name, &["ed25519"], "")
}

/// What OpenSSH says of a signature.
#[track_caller]
pub(crate) fn verify(home: &Home, who: &str, signers: &str, statement: &str, signature: &str) -> Output {
    let signature = home.write("to-verify.sig", signature);
    let signature = signature.to_str().expect("a path");
    run(home, "ssh-keygen", &["-Y", "verify", "-n", "apiece", "-f", signers, "-I", who, "-s", signature], statement)
}

/// An ssh-agent, which ends with this.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    process: std::process::Child,
}

impl Agent {
    pub(crate) fn start(home: &Home) -> Self {
        let socket = home.path().join("agent.sock");
        let process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-agent runs");
        let there = || socket.exists();
        assert!(super::processes::patiently(std::time::Duration::from_secs(10), there), "no agent");
        Self { socket, process }
    }

    #[track_caller]
    pub(crate) fn add(&self, home: &Home, key: &str) {
        let path = home.path().join(key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
        let added = Command::new("ssh-add").arg(&path).env("SSH_AUTH_SOCK", &self.socket).output().expect("ssh-add");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
