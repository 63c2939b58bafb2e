//! How fast messages leave.
//!
//! `cargo bench --bench delivery` sends the same messages of 5 KB to a server on this machine that takes everything and keeps nothing,
//! as far away as 0, 20 and 80 ms, over some connections at once, in several ways in the same run:
//!
//! * apiece's engine: messages are made while they are sent, without a record (`ENGINE=20000` messages at 0 ms);
//! * Postfix's `smtp-source -d`, which has one message and makes nothing, with as many sessions;
//! * apiece as a whole, with TLS, a login, and the record on disk: `apiece send` of a campaign that was prepared; the same with the
//!   record in memory, where flushing costs nothing;
//! * at 0 ms with one connection, as anybody would write it: Python's `smtplib` in a loop, lettre's pool as it comes, and mailmerge,
//!   where it is installed (`pip install mailmerge`).
//!
//! It prints messages a second, what each is in relation to `smtp-source`, and what apiece takes of processor, memory and flushes
//! (where there is `strace`). `MILLION=1000000` sends so many more at the end, which takes some minutes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "the numbers are far from so large")]

#[path = "delivery/engine.rs"]
mod engine;
mod memory;
#[path = "delivery/peers.rs"]
mod peers;
#[path = "messages/people.rs"]
mod people;
#[path = "delivery/sink.rs"]
mod sink;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use apiece::{
    message::Composer,
    outbox::{Outbox, Outcome},
    recipients::Selection,
};
use tokio::runtime::Runtime;

use self::sink::Sink;

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<usize>().ok());
    let most = number("ENGINE").unwrap_or(20_000);
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("messages a second, and how many times smtp-source's:\n");
    for (delay, connections) in [(0, 1), (0, 8), (20, 20), (80, 20)] {
        let sink = Sink::start(Duration::from_millis(delay), directory.path());
        // So that each takes some seconds at most.
        let count = if delay == 0 { most } else { most.min(connections * 5000 / usize::try_from(delay).unwrap()) };
        let home = Home::new(directory.path(), count, &sink, connections);
        println!("{count} messages over {connections} connections, {delay} ms:");
        let source = median(|| peers::smtp_source(sink.port, connections, count));
        let say = |name: &str, rate: f64| println!("  {name:<38} {rate:>8.0}  {:>6.2}", rate / source);
        say("smtp-source -d", source);
        let engine = median(|| home.engine(&runtime, &sink, connections));
        say("apiece's engine", engine);
        if delay > 0 {
            let least = connections as f64 * 1000.0 / delay as f64;
            println!("  {:<38} {:>8.2} of connections / round trip", "", engine / least);
        }
        let sent = home.send(None);
        say("apiece send, TLS, login, record", sent.rate);
        println!("  {:<38} {:>8.1} µs of the processor for each message", "", sent.processor);
        println!("  {:<38} {:>8.1} MiB of memory at most", "", sent.memory);
        let flushes = home.flushes(count.min(2000));
        println!("  {:<38} {flushes:>8} flushes for each message", "");
        let unflushed = home.send(Some(Path::new("/dev/shm"))).rate;
        say("the same, record in memory", unflushed);
        println!("  {:<38} {:>8.2} of that with the record on disk", "", sent.rate / unflushed);
        if delay == 0 && connections == 1 {
            for (name, rate) in peers::simple(&runtime, sink.port, &home.directory) {
                match rate {
                    Some(rate) => say(name, rate),
                    None => println!("  {name:<38} is not installed"),
                }
            }
        }
        println!();
    }
    if let Some(count) = number("MILLION") {
        let sink = Sink::start(Duration::ZERO, directory.path());
        let sent = Home::new(directory.path(), count, &sink, 8).send(None);
        println!("{count} messages over 8 connections, 0 ms, apiece send, TLS, login, record:");
        println!(
            "  {:.0} a second, {:.1} µs of the processor for each, {:.1} MiB of memory at most",
            sent.rate, sent.processor, sent.memory
        );
    }
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..3).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    all[1]
}

/// A campaign, and a home for the program.
struct Home {
    directory: PathBuf,
    composer: Composer,
    count: usize,
}

/// What a run of the whole program took.
struct Sent {
    /// Messages a second, as it says itself.
    rate: f64,
    /// Microseconds of the processor for each message.
    processor: f64,
    /// MiB at most.
    memory: f64,
}

impl Home {
    fn new(base: &Path, count: usize, sink: &Sink, connections: usize) -> Self {
        let directory = base.join(format!("{}-{connections}", sink.port));
        std::fs::create_dir(&directory).unwrap();
        engine::write_campaign(&directory, count);
        let config = format!(
            "[account.tls]\nhost = \"127.0.0.1\"\nport = {}\nca_file = \"{}\"\nusername = \"u\"\npassword_env = \"PW\"\n\
             connections = {connections}\ntimeout = \"60s\"\n",
            sink.tls_port,
            sink.ca_file.display()
        );
        std::fs::write(directory.join("config.toml"), config).unwrap();
        Self { composer: engine::composer(&directory), directory, count }
    }

    /// Messages a second of the engine alone.
    fn engine(&self, runtime: &Runtime, sink: &Sink, connections: usize) -> f64 {
        let composer = &self.composer;
        let largest = engine::prepare(composer).largest();
        let digests: Vec<_> = (0..self.count).map(|index| composer.compose(index).unwrap().digest()).collect();
        let outcomes = vec![Outcome::Queued; self.count];
        let outbox = Arc::new(Outbox::new(Selection::All(self.count), digests, outcomes, largest, None));
        let before = sink.taken();
        let time = engine::send(runtime, composer, Arc::clone(&outbox), sink.port, connections);
        assert_eq!((outbox.counts().of(Outcome::Sent), sink.taken() - before), (self.count, self.count));
        self.count as f64 / time.as_secs_f64()
    }

    fn command(&self, program: &str, record: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.directory).env("HOME", &self.directory).env("PW", "secret");
        command.env("APIECE_CONFIG", "config.toml").env("XDG_STATE_HOME", record).stdin(Stdio::null());
        command.stderr(Stdio::null());
        command
    }

    /// Prepares the campaign and gives its id.
    fn prepare(&self, record: &Path) -> String {
        let apiece = env!("CARGO_BIN_EXE_apiece");
        let prepared = self.command(apiece, record, &["prepare", "update.html.hbs", "people.csv"]).output().unwrap();
        assert!(prepared.status.success());
        let status = self.command(apiece, record, &["status"]).output().unwrap();
        String::from_utf8(status.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
    }

    /// Sends it with the whole program, whose record is on disk, or in a place of its own within another directory.
    fn send(&self, elsewhere: Option<&Path>) -> Sent {
        let record = match elsewhere {
            Some(directory) => tempfile::tempdir_in(directory),
            None => tempfile::tempdir_in(&self.directory),
        };
        let record = record.unwrap();
        let (id, confirm) = (self.prepare(record.path()), self.count.to_string());
        let apiece = env!("CARGO_BIN_EXE_apiece");
        let mut send = self.command(
            apiece,
            record.path(),
            &["send", &id, "--account", "tls", "--format", "json", "--confirm", &confirm],
        );
        let out = self.directory.join("out.json");
        let before = children_time();
        let mut running = send.stdout(std::fs::File::create(&out).unwrap()).spawn().unwrap();
        let (process, mut most) = (running.id().to_string(), 0);
        let status = loop {
            most = most.max(memory::kib_of(&process, "VmHWM"));
            match running.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        assert!(status.success());
        let processor = (children_time() - before) * 1e6 / self.count as f64;
        let said = std::fs::read_to_string(out).unwrap();
        let summary: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        Sent { rate: self.count as f64 / summary["seconds"].as_f64().unwrap(), processor, memory: most as f64 / 1024.0 }
    }

    /// How often the record is flushed for each of some messages, as `strace` counts.
    fn flushes(&self, count: usize) -> String {
        let record = tempfile::tempdir_in(&self.directory).unwrap();
        let (id, counts, confirm) = (self.prepare(record.path()), record.path().join("counts"), count.to_string());
        let rows = format!("2-{}", count + 1);
        let apiece = env!("CARGO_BIN_EXE_apiece");
        let arguments =
            ["-f", "-c", "-o", counts.to_str().unwrap(), "-e", "trace=fdatasync,fsync", apiece, "send", &id];
        let further = ["--account", "tls", "--quiet", "--rows", &rows, "--confirm", &confirm];
        let mut strace = self.command("strace", record.path(), &[&arguments[..], &further].concat());
        if !strace.stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return "?".into();
        }
        let counts = std::fs::read_to_string(counts).unwrap();
        let total = counts.lines().find(|line| line.ends_with("total")).unwrap();
        // % time, seconds, usecs/call, calls
        let calls: f64 = total.split_whitespace().nth(3).unwrap().parse().unwrap();
        format!("{:.2}", calls / count as f64)
    }
}

/// Seconds of the processor that finished children took (proc(5): cutime and cstime, in hundredths).
fn children_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[13..15].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}
