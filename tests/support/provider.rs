//! An OpenID provider: Authlib's protocol over TLS, and a person with a browser.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    certificates::Authority,
    processes::{end_group, free_port},
    skip,
};

const PYTHON: &str = "/usr/bin/python3";

/// It ends by itself after so many seconds.
const LONGEST_LIFE: &str = "600";

/// What the program is called there.
pub(crate) const CLIENT: &str = "apiece-test";

/// A running provider.
pub(crate) struct Provider {
    directory: TempDir,
    port: u16,
    process: Child,
    /// Orders and answers
    person: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Provider {
    /// Starts one whose tokens are for this user and signed with this key; `settings` are those of `provider.py`, as JSON. None where
    /// Authlib is not installed.
    pub(crate) fn start(user: &str, key: &str, settings: &str) -> Option<Self> {
        let has_authlib = Command::new(PYTHON).args(["-c", "import authlib, flask"]).stderr(Stdio::null()).status();
        if !has_authlib.is_ok_and(|status| status.success()) {
            skip("python3-authlib and python3-flask are not installed");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let server = authority.vouch();
        for (name, content) in
            [("ca.pem", authority.pem()), ("certificate.pem", server.certificate), ("key.pem", server.key)]
        {
            fs::write(directory.path().join(name), content).expect(name);
        }
        let port = free_port();
        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let mut command = Command::new("timeout");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.args([LONGEST_LIFE, PYTHON, "-c", include_str!("provider/provider.py")]).arg(directory.path());
        command.args([&port.to_string(), user, settings]).env("KEY", key);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().expect("python3 starts");
        let orders = process.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        answers.read_line(&mut ready).expect("a line");
        let provider = Self { directory, port, process, person: Mutex::new((orders, answers)) };
        assert_eq!(ready, "ready\n", "{}", provider.log());
        Some(provider)
    }

    /// What it calls itself.
    pub(crate) fn issuer(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The table `oauth` of an account; `more` are further lines.
    pub(crate) fn settings(&self, more: &str) -> String {
        format!(
            "[account.work.oauth]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nca_file = \"{}\"\n{more}\n",
            self.issuer(),
            self.ca_file().display()
        )
    }

    /// Gives an order; gives the answer.
    pub(crate) fn order(&self, order: &str) -> String {
        let mut person = self.person.lock().expect("nobody failed before");
        writeln!(person.0, "{order}").expect("it takes orders");
        let mut answer = String::new();
        person.1.read_line(&mut answer).expect("an answer");
        drop(person);
        assert!(!answer.is_empty() && !answer.starts_with("failed"), "{order}: {answer}\n{}", self.log());
        answer.trim_end().to_owned()
    }

    /// What happened so far.
    pub(crate) fn told(&self) -> Value {
        serde_json::from_str(&self.order("told")).expect("JSON")
    }

    /// How often tokens were got in a way.
    pub(crate) fn grants(&self, way: &str) -> usize {
        let told = self.told();
        told["grants"].as_array().expect("grants").iter().filter(|grant| grant.as_str() == Some(way)).count()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The provider's log:\n{}", self.log());
        }
        end_group(&mut self.process);
    }
}
