//! The harness: the program as a person runs it, and servers for it to talk to.

pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod clock;
pub(crate) mod dkim;
pub(crate) mod dns;
pub(crate) mod doctor;
pub(crate) mod gallery;
#[cfg(unix)]
pub(crate) mod keyring;
pub(crate) mod lists;
pub(crate) mod monitor;
pub(crate) mod other_servers;
pub(crate) mod parsers;
pub(crate) mod postfix;
#[cfg(all(unix, feature = "postgres"))]
#[allow(dead_code, unreachable_pub, reason = "the library's own tests have it, too")]
pub(crate) mod postgres;
pub(crate) mod processes;
#[cfg(unix)]
pub(crate) mod provider;
pub(crate) mod samples;
pub(crate) mod scripted;
#[cfg(unix)]
pub(crate) mod ssh;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use proptest::test_runner::Config as ProptestConfig;
use tempfile::TempDir;

/// Where the record is below the home directory.
pub(crate) const OUTBOX: &str = ".local/state/apiece/outbox.sqlite";

/// A home directory with nothing in it but what a test puts there, in which the program is run.
pub(crate) struct Home {
    directory: TempDir,
    /// Where the record is, if not in its usual place
    outbox: Option<String>,
}

/// Where a record can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// In a file, in its usual place.
    File,
    /// In a database of the tests' own server.
    #[cfg(all(unix, feature = "postgres"))]
    Postgres,
}

impl Record {
    /// Each kind of place.
    pub(crate) const ALL: &[Self] = &[
        Self::File,
        #[cfg(all(unix, feature = "postgres"))]
        Self::Postgres,
    ];
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory"), outbox: None }
    }

    /// With a record there.
    pub(crate) fn with(mut self, record: Record) -> Self {
        match record {
            Record::File => {}
            #[cfg(all(unix, feature = "postgres"))]
            Record::Postgres => {
                self.outbox = Some(postgres::Cluster::shared().database());
                self.run(&["outbox", "migrate"]).ended(0);
            }
        }
        self
    }

    /// With a record at an address.
    pub(crate) fn outbox(&self) -> &str {
        self.outbox.as_deref().unwrap_or_default()
    }

    /// The same at an address.
    pub(crate) fn with_outbox(mut self, address: &str) -> Self {
        self.outbox = Some(address.to_owned());
        self
    }

    /// One with an account that is a relay on this machine, to which two connections go.
    pub(crate) fn at_relay(server: &scripted::Scripted) -> Self {
        let home = Self::new();
        home.config(&account(server.port(), server.ca_file(), "none", "connections = 2"));
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file below the home directory; gives its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(&path, content).expect("the file is written");
        path
    }

    /// The user's config file, in the usual place.
    pub(crate) fn config(&self, toml: &str) {
        self.write(".config/apiece/config.toml", toml);
    }

    /// A campaign in the directory `c`: a plain text template with these front matter lines besides `from` and
    /// `subject`, and a list.
    pub(crate) fn campaign(&self, list: &str) {
        self.write("c/campaign.toml", "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\n");
        let template = "+++\nfrom = \"Updates <updates@police.example>\"\nsubject = \"For {{name}}\"\n+++\nDear {{name}},\nhello.\n";
        self.write("c/t.txt.hbs", template);
        self.write("c/people.csv", list);
    }

    /// A campaign to so many people through a relay on this machine, with further lines in its settings.
    pub(crate) fn of_a_job(server: &scripted::Scripted, count: usize, more: &str) -> Self {
        let home = Self::at_relay(server);
        home.campaign(&people(count));
        home.settings(more);
        home
    }

    /// The settings of that campaign, with other further lines.
    pub(crate) fn settings(&self, more: &str) {
        let all = format!("template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\naccount = \"work\"\n{more}\n");
        self.write("c/campaign.toml", all);
    }

    /// The program with nothing of the tests' own environment but the path.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apiece"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", self.path())
            .current_dir(self.path())
            .stdin(Stdio::null());
        if let Some(outbox) = &self.outbox {
            command.env("APIECE_OUTBOX", outbox);
        }
        command
    }

    /// The id of the campaign that was prepared last.
    pub(crate) fn last_campaign(&self) -> String {
        let all = self.run(&["status"]).ended(0).stdout;
        all.split_whitespace().next().unwrap_or_else(|| panic!("{all}")).to_owned()
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().expect("the program runs"))
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }

    /// What is on standard error without the last line of the log, which says how a run ended.
    pub(crate) fn said(&self) -> &str {
        let last = self.stderr.trim_end().rfind('\n').map_or(0, |at| at + 1);
        let is_end = [" error end ", " info  end "].iter().any(|end| self.stderr[last..].contains(end));
        if is_end { &self.stderr[..last] } else { &self.stderr }
    }

    /// The run, if it ended with this exit code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// So many cases of random input, or 20,000 in the longer mode.
pub(crate) fn cases(short: u32) -> ProptestConfig {
    let long = std::env::var_os("APIECE_LONG").is_some();
    ProptestConfig { cases: if long { 20_000 } else { short }, failure_persistence: None, ..ProptestConfig::default() }
}

/// A PDF of one page with some words on it.
pub(crate) fn pdf(words: &str) -> Vec<u8> {
    let page = format!("BT /F1 12 Tf 72 720 Td ({words}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut places = String::new();
    for (nth, object) in objects.iter().enumerate() {
        places += &format!("{:010} 00000 n \n", pdf.len());
        pdf += &format!("{} 0 obj\n{object}\nendobj\n", nth + 1);
    }
    let (start, count) = (pdf.len(), objects.len() + 1);
    pdf += &format!(
        "xref\n0 {count}\n0000000000 65535 f \n{places}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    );
    pdf.into_bytes()
}

/// A list of so many people: `name,email`, rows 2 to `count` + 1, addresses `p2@list.example` and so on.
pub(crate) fn people(count: usize) -> String {
    let rows = (2..count + 2).map(|row| format!("Person {row},p{row}@list.example\n"));
    std::iter::once("name,email\n".to_owned()).chain(rows).collect()
}

/// An account for a server on this machine; `more` are further lines.
pub(crate) fn account(port: u16, ca_file: &Path, tls: &str, more: &str) -> String {
    format!(
        "[account.work]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\nca_file = \"{}\"\n{more}\n",
        ca_file.display()
    )
}

/// The objects that `--format json` printed.
pub(crate) fn json(run: &Run) -> Vec<serde_json::Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON object on each line")).collect()
}

/// The outcome of each row that has one, from `--format json`.
pub(crate) fn outcomes(run: &Run) -> std::collections::BTreeMap<u64, String> {
    let events = json(run);
    let finished = events.iter().filter(|event| event["event"] == "finished");
    finished
        .map(|event| (event["row"].as_u64().expect("a row"), event["outcome"].as_str().expect("an outcome").to_owned()))
        .collect()
}

/// Says that a test cannot run here; where CI is set that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}
