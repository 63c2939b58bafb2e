//! A keyring: GNOME's, on a message bus that nobody else is on.

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    Home,
    processes::{end_group, patiently},
    skip,
};

/// Each ends by itself after so many seconds.
const LONGEST_LIFE: &str = "300";

/// A bus that starts nobody by itself, as a desktop's would.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>@ADDRESS@</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"#;

/// A running keyring of somebody with this home directory.
pub(crate) struct Keyring<'h> {
    home: &'h Home,
    bus: Child,
    daemon: Option<Child>,
}

impl<'h> Keyring<'h> {
    /// An unlocked one. None where it is not installed.
    pub(crate) fn start(home: &'h Home) -> Option<Self> {
        let programs = ["dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool"];
        let is_there = |program: &str| {
            let found =
                Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
            found.is_ok_and(|status| status.success())
        };
        if !programs.into_iter().all(is_there) {
            skip("gnome-keyring, dbus or libsecret-tools is not installed");
            return None;
        }
        let runtime = home.path().join("run");
        fs::create_dir(&runtime).expect("a directory");
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("its mode");
        let settings = home.write("run/bus.conf", BUS.replace("@ADDRESS@", &Self::address(home)));
        let settings = format!("--config-file={}", settings.display());
        let bus = Self::limited(home, &["dbus-daemon", "--nofork", "--nopidfile", &settings]);
        let mut keyring = Self { home, bus, daemon: None };
        assert!(patiently(Duration::from_secs(10), || runtime.join("bus").exists()), "no bus");
        let unlock = ["gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock"];
        let mut daemon = Self::limited(home, &unlock);
        daemon.stdin.take().expect("a pipe").write_all(b"the password of the keyring").expect("a password");
        keyring.daemon = Some(daemon);
        let is_there = || keyring.tool(&["search", "application", "nobody"]).0 == 0;
        assert!(patiently(Duration::from_secs(20), is_there), "the keyring does not answer");
        Some(keyring)
    }

    /// Where its bus is.
    pub(crate) fn address(home: &Home) -> String {
        format!("unix:path={}", home.path().join("run/bus").display())
    }

    fn limited(home: &Home, words: &[&str]) -> Child {
        let mut command = Self::environment(home, Command::new("timeout"));
        command.arg(LONGEST_LIFE).args(words).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    fn environment(home: &Home, mut command: Command) -> Command {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home.path());
        command.env("XDG_RUNTIME_DIR", home.path().join("run")).env("DBUS_SESSION_BUS_ADDRESS", Self::address(home));
        command
    }

    /// The program with this keyring in reach.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("DBUS_SESSION_BUS_ADDRESS", Self::address(self.home));
        command
    }

    /// What another program, libsecret's own, says to this: its exit code, and what it prints.
    pub(crate) fn tool(&self, words: &[&str]) -> (i32, String) {
        let mut command = Self::environment(self.home, Command::new("secret-tool"));
        let output = command.args(words).stdin(Stdio::null()).output().expect("secret-tool");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    /// Locks it, as its owner's screen does.
    pub(crate) fn lock(&self) {
        let mut command = Self::environment(self.home, Command::new("dbus-send"));
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"]);
        command.arg("org.freedesktop.Secret.Service.Lock");
        command.arg("array:objpath:/org/freedesktop/secrets/collection/login");
        let output = command.output().expect("dbus-send");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Stops the keyring; the bus stays.
    pub(crate) fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            end_group(&mut daemon);
        }
    }
}

impl Drop for Keyring<'_> {
    fn drop(&mut self) {
        self.stop();
        end_group(&mut self.bus);
    }
}
