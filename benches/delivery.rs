//! How fast messages leave, beside other programs that send to the same server in the same run.
//!
//! `cargo bench --bench delivery` starts a server on this machine that takes everything and keeps nothing, and that answers after 0,
//! 20 and 80 ms, as if it were so far away. To it go
//!
//! * apiece's engine, of messages that are made while they are sent, without a record (`ENGINE=20000` messages at 0 ms);
//! * Postfix's `smtp-source -d`, which has one message and makes nothing, with as many sessions;
//! * Python's `smtplib`, one connection and a loop, as anybody would write it;
//! * apiece as a whole, with TLS, a login, and the record on disk: `apiece send` of a campaign that was prepared.
//!
//! It prints messages a second, what each is in relation to `smtp-source`, and what apiece takes of the processor for a message.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "the numbers are far from so large")]

#[path = "messages/people.rs"]
mod people;
#[path = "delivery/sink.rs"]
mod sink;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use apiece::{
    campaign::{Accounts, ListOptions, Named, Retry},
    delivery::{self, Job, Stop},
    guard::Guard,
    message::Composer,
    outbox::{Outbox, Outcome, Prepared},
    recipients::{RecipientList, Selection},
    template::Template,
};
use jiff::ZonedDateTime;
use tokio::{runtime::Runtime, sync::mpsc};

use self::sink::Sink;

fn main() {
    let most = std::env::var("ENGINE").ok().and_then(|most| most.parse().ok()).unwrap_or(20_000_usize);
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("messages a second, and how many times smtp-source's:\n");
    for (delay, connections) in [(0, 1), (0, 8), (20, 20), (80, 20)] {
        let sink = Sink::start(Duration::from_millis(delay), directory.path());
        // So that each takes some seconds at most.
        let count = if delay == 0 { most } else { most.min(connections * 5000 / usize::try_from(delay).unwrap()) };
        let home = Home::new(directory.path(), count, &sink, connections);
        println!("{count} messages over {connections} connections, {delay} ms:");
        let source = median(|| smtp_source(sink.port, connections, count));
        let say = |name: &str, rate: f64| println!("  {name:<34} {rate:>8.0}  {:>6.2}", rate / source);
        say("smtp-source -d", source);
        say("apiece's engine", median(|| home.engine(&runtime, &sink, connections)));
        let (rate, cpu) = home.send();
        say("apiece send, TLS, login, record", rate);
        println!("  {:<34} {cpu:>8.1} µs of the processor for each message", "");
        if delay == 0 && connections == 1 {
            say("smtplib, one connection", smtplib(sink.port, 1000, &home.directory));
        }
        println!();
    }
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..3).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    all[1]
}

/// A campaign, and a home for the program.
struct Home {
    directory: std::path::PathBuf,
    composer: Composer,
    count: usize,
}

impl Home {
    fn new(base: &Path, count: usize, sink: &Sink, connections: usize) -> Self {
        let directory = base.join(format!("{}-{connections}", sink.port));
        std::fs::create_dir(&directory).unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        write("update.html.hbs", include_str!("messages/update.html.hbs"));
        write("update.txt.hbs", include_str!("messages/update.txt.hbs"));
        write("people.csv", &people::csv(&(0..count).map(people::person).collect::<Vec<_>>()));
        let account = format!("connections = {connections}\ntimeout = \"60s\"\n");
        write(
            "config.toml",
            &format!(
                "[account.plain]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n{account}\n[account.tls]\nhost = \"127.0.0.1\"\nport = {}\n\
                 ca_file = \"{}\"\nusername = \"u\"\npassword_env = \"PW\"\n{account}",
                sink.port,
                sink.tls_port,
                sink.ca_file.display()
            ),
        );
        let list = RecipientList::read(&directory.join("people.csv"), &ListOptions::default()).unwrap();
        let template = Template::read(&directory.join("update.html.hbs"), list.columns()).unwrap();
        Self { directory, composer: Composer::new(template.into(), list.into()), count }
    }

    /// Messages a second of the engine alone.
    fn engine(&self, runtime: &Runtime, sink: &Sink, connections: usize) -> f64 {
        let composer = &self.composer;
        let guard = Guard::new(Arc::clone(composer.list()), &[]);
        let prepared = Prepared::make(composer, &guard, Selection::All(self.count), &|_| {}).unwrap();
        let digests: Vec<_> = (0..self.count).map(|index| composer.compose(index).unwrap().digest()).collect();
        let outcomes = vec![Outcome::Queued; self.count];
        let outbox = Arc::new(Outbox::new(Selection::All(self.count), digests, outcomes, prepared.largest(), None));
        let accounts = Accounts::read(&self.directory.join("config.toml"), Named::ByUser).unwrap();
        let job = Job {
            account: accounts.choose(Some("plain")).unwrap().clone(),
            secret: None,
            rates: Vec::new(),
            spread: false,
            connections,
            composer: composer.clone(),
            signer: None,
            outbox: Arc::clone(&outbox),
            retry: Retry::default(),
            waits: true,
            ledger: None,
            clock: ZonedDateTime::now,
        };
        let before = sink.taken();
        let start = Instant::now();
        runtime.block_on(async {
            let (sender, mut events) = mpsc::channel(1024);
            let run = tokio::spawn(delivery::run(job, sender, Stop::default()));
            while events.recv().await.is_some() {}
            run.await.unwrap();
        });
        let rate = self.count as f64 / start.elapsed().as_secs_f64();
        assert_eq!((outbox.counts().of(Outcome::Sent), sink.taken() - before), (self.count, self.count));
        rate
    }

    /// Messages a second of the whole program, as it says itself, and microseconds of the processor for each.
    fn send(&self) -> (f64, f64) {
        let command = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_apiece"));
            command.args(arguments).current_dir(&self.directory).env("HOME", &self.directory).env("PW", "secret");
            command.env("APIECE_CONFIG", "config.toml").stdin(Stdio::null()).stderr(Stdio::null());
            command
        };
        assert!(command(&["prepare", "update.html.hbs", "people.csv"]).output().unwrap().status.success());
        let confirm = self.count.to_string();
        let status = command(&["status"]).output().unwrap();
        let id = String::from_utf8(status.stdout).unwrap().split_whitespace().next().unwrap().to_owned();
        let mut send = command(&["send", &id, "--account", "tls", "--format", "json", "--confirm", &confirm]);
        let before = children_time();
        let output = send.output().unwrap();
        assert!(output.status.success());
        let cpu = children_time() - before;
        let said = String::from_utf8(output.stdout).unwrap();
        let summary: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        let rate = self.count as f64 / summary["seconds"].as_f64().unwrap();
        (rate, cpu * 1e6 / self.count as f64)
    }
}

/// Seconds of the processor that finished children took (proc(5): cutime and cstime, in hundredths).
fn children_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[13..15].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn smtp_source(port: u16, sessions: usize, count: usize) -> f64 {
    let start = Instant::now();
    let status = Command::new("/usr/sbin/smtp-source")
        .args(["-d", "-l", "4096", "-f", "updates@police.example", "-t", "p1@list.example"])
        .args(["-s", &sessions.to_string(), "-m", &count.to_string(), &format!("inet:127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    count as f64 / start.elapsed().as_secs_f64()
}

fn smtplib(port: u16, count: usize, directory: &Path) -> f64 {
    let script = format!(
        "import smtplib, time\nfrom email.message import EmailMessage\nstart = time.time()\nwith smtplib.SMTP('127.0.0.1', {port}) as s:\n \
         for n in range({count}):\n  m = EmailMessage(); m['From'] = 'updates@police.example'; m['To'] = f'p{{n}}@list.example'\n  \
         m['Subject'] = 'An update'; m.set_content('Dear Person,\\n' + 'x' * 70 * 55); s.send_message(m)\nprint({count} / (time.time() - start))\n"
    );
    let output = Command::new("python3").args(["-c", &script]).current_dir(directory).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
