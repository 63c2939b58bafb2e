//! What the record costs in PostgreSQL, beside SQLite's.
//!
//! `cargo bench --bench workers` sends a campaign of messages of 4 KiB, HTML and text, to a server on this machine that takes
//! everything and keeps nothing: with the record in a file, and in a PostgreSQL cluster of its own (from Debian's package, each commit
//! on the disk), in turn. Program, cluster and mail server share the machine. It prints messages a second, what PostgreSQL has of
//! SQLite's, and what a message takes of statements, commits and octets of the write-ahead log there.
//!
//! Then by one, two and four workers (`apiece work`), processes of their own that share the cluster, each over as many connections as the
//! one process has. And what a worker's claim of a batch costs with 10,000 and with
//! 1,000,000 messages waiting, with PostgreSQL's plan of it.
//!
//! `MESSAGES=10000` sends fewer, `TURNS=1` each way only once (as it always is at 20 ms); `DELAY=20` measures only there,
//! `CONNECTIONS=8` over so many connections where the server is near.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "the numbers are far from so large")]

#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, clippy::expect_used, reason = "tests use the rest of it")]
mod cluster;
#[path = "delivery/engine.rs"]
mod engine;
#[path = "messages/people.rs"]
mod people;
#[path = "delivery/sink.rs"]
#[allow(dead_code, reason = "other benchmarks send over TLS")]
mod sink;

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use apiece::{
    message::Composer,
    outbox::{Deed, Journal, Location, Outbox, Outcome, Server, Store},
    recipients::Selection,
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use self::{cluster::Cluster, sink::Sink};

/// Where the record is, and who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In a file; this process.
    File,
    /// In PostgreSQL; this process.
    Server,
    /// In PostgreSQL; so many workers.
    Workers(usize),
}

impl Way {
    const ALL: [Self; 5] = [Self::File, Self::Server, Self::Workers(1), Self::Workers(2), Self::Workers(4)];

    fn name(self) -> &'static str {
        match self {
            Self::File => "SQLite, one process",
            Self::Server => "PostgreSQL, one process",
            Self::Workers(1) => "PostgreSQL, one worker",
            Self::Workers(2) => "PostgreSQL, two workers",
            Self::Workers(_) => "PostgreSQL, four workers",
        }
    }

    /// What it is to have at least of another's messages a second, where a round trip to the mail server takes so many milliseconds.
    fn goal(self, delay: u64) -> Option<(Self, Option<f64>)> {
        match (self, delay) {
            (Self::File, _) => None,
            (Self::Server | Self::Workers(1), 0) => Some((Self::File, Some(0.6))),
            (Self::Server | Self::Workers(1), _) => Some((Self::File, None)),
            (Self::Workers(4), 1..) => Some((Self::Workers(1), Some(3.5))),
            (Self::Workers(_), _) => Some((Self::Workers(1), None)),
        }
    }
}

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<usize>().ok());
    let count = number("MESSAGES").unwrap_or(100_000);
    let turns = number("TURNS").unwrap_or(3);
    let near = number("CONNECTIONS").unwrap_or(32);
    let bench = Bench::new();
    for (delay, connections) in [(0, near), (20, 8)]
        .into_iter()
        .filter(|(delay, _)| number("DELAY").is_none_or(|only| u64::try_from(only) == Ok(*delay)))
    {
        let sink = Sink::start(Duration::from_millis(delay), bench.directory.path());
        // What waits takes longer, and varies less. Few connections, so that the round trip is what limits it, and not two cores.
        let turns = if delay == 0 { turns } else { 1 };
        let campaign = Campaign::new(count);
        println!(
            "{count} messages over {connections} connections to a server on this machine, {delay} ms for each round trip:"
        );
        let mut all = Way::ALL.map(|way| (way, Vec::new()));
        for _ in 0..turns {
            for (way, sent) in &mut all {
                sent.push(bench.send(*way, &campaign, &sink, connections));
            }
        }
        let medians = all.map(|(way, sent)| (way, median(sent)));
        for (way, sent) in &medians {
            print!("  {:<26} {:>7.0} a second", way.name(), sent.rate);
            if let Some((other, goal)) = way.goal(delay) {
                let (_, base) = medians.iter().find(|(way, _)| *way == other).unwrap();
                print!("; {:.2} of {}", sent.rate / base.rate, other.name());
                print!("{}", goal.map(|goal| format!(" (goal: {goal:.2} at least)")).unwrap_or_default());
            }
            println!();
            println!("    kept in {:.1} s before", sent.kept.as_secs_f64());
            sent.costs.lines().for_each(|line| println!("    {line}"));
        }
        println!();
    }
    for waiting in [10_000, 1_000_000] {
        println!("{}\n", bench.claim(waiting));
    }
}

/// What came of sending a campaign.
struct Sent {
    /// Messages a second.
    rate: f64,
    /// How long it took to keep the campaign in the record, once its messages were made.
    kept: Duration,
    /// What a message took of the database, in words.
    costs: String,
}

fn median(mut all: Vec<Sent>) -> Sent {
    all.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let middle = all.len() / 2;
    all.swap_remove(middle)
}

/// What is sent.
struct Campaign {
    _directory: tempfile::TempDir,
    composer: Composer,
    count: usize,
}

impl Campaign {
    fn new(count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        engine::write_campaign(directory.path(), count);
        Self { composer: engine::composer(directory.path()), _directory: directory, count }
    }

    /// Keeps it in a record, and takes it up to be sent by this process; how long keeping it takes.
    fn outbox(&self, location: &Location) -> (Arc<Outbox>, Duration) {
        let prepared = engine::prepare(&self.composer);
        let largest = prepared.largest();
        let start = Instant::now();
        let (mut store, id) = engine::freeze(&self.composer, prepared, location);
        let kept = start.elapsed();
        let overview = store.campaign(&id).unwrap();
        let (campaign, messages) = store.take(&overview, Timestamp::now()).unwrap();
        let journal = Journal::start(store, campaign, Some("bench".into())).unwrap();
        (Arc::new(Outbox::of(&messages, Selection::All(self.count), largest, journal)), kept)
    }
}

/// What it is sent with.
struct Bench {
    directory: tempfile::TempDir,
    runtime: Runtime,
    cluster: Cluster,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let cluster = Cluster::start(&["fsync=on", "shared_preload_libraries=pg_stat_statements"]);
        cluster.say(cluster::ADMIN, "CREATE EXTENSION pg_stat_statements");
        Self { directory, runtime, cluster }
    }

    /// Sends a campaign that was kept in a new record before.
    fn send(&self, way: Way, campaign: &Campaign, sink: &Sink, connections: usize) -> Sent {
        match way {
            Way::File => {
                let directory = tempfile::tempdir_in(self.directory.path()).unwrap();
                let location = directory.path().join("outbox.sqlite").into();
                let (outbox, kept) = campaign.outbox(&location);
                Sent { rate: self.in_this_process(campaign, &outbox, sink, connections), kept, costs: String::new() }
            }
            Way::Server => {
                let address = self.cluster.database();
                let location = Location::Server(Server::parse(&address).unwrap());
                Store::migrate(&location).unwrap();
                let (outbox, kept) = campaign.outbox(&location);
                let send = || self.in_this_process(campaign, &outbox, sink, connections);
                let (rate, costs) = self.counted(Cluster::name_of(&address), campaign.count, send);
                Sent { rate, kept, costs }
            }
            Way::Workers(workers) => {
                let address = self.cluster.database();
                let location = Location::Server(Server::parse(&address).unwrap());
                Store::migrate(&location).unwrap();
                let prepared = engine::prepare(&campaign.composer);
                let start = Instant::now();
                let (store, id) = engine::freeze(&campaign.composer, prepared, &location);
                let kept = start.elapsed();
                let deed = Deed { who: "bench", what: "handed over", details: &serde_json::Value::Null };
                store.hand_over(&store.campaign(&id).unwrap(), "bench", deed, Timestamp::now()).unwrap();
                let send = || self.by_workers(workers, &address, campaign.count, sink, connections);
                let (rate, costs) = self.counted(Cluster::name_of(&address), campaign.count, send);
                Sent { rate, kept, costs }
            }
        }
    }

    /// Has it sent by workers, each over so many connections; messages a second from the first to the last.
    fn by_workers(&self, workers: usize, address: &str, count: usize, sink: &Sink, connections: usize) -> f64 {
        let config = self.directory.path().join("config.toml");
        let all = workers * connections;
        let port = sink.port;
        let account = format!(
            "[account.bench]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nconnections = {all}\ntimeout = \"60s\"\n"
        );
        std::fs::write(&config, account).unwrap();
        let before = sink.taken();
        let work = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_apiece"));
            command.args([
                "work",
                "--account",
                "bench",
                "--until-done",
                "--outbox",
                address,
                "--log",
                "off",
                "--connections",
            ]);
            command.arg(connections.to_string()).arg("--config").arg(&config).env("HOME", self.directory.path());
            command.spawn().unwrap()
        };
        let all: Vec<_> = (0..workers).map(|_| work()).collect();
        let reached = |count: usize| {
            while sink.taken() - before < count {
                std::thread::sleep(Duration::from_millis(1));
            }
            Instant::now()
        };
        let first = reached(1);
        let time = reached(count) - first;
        for mut worker in all {
            assert!(worker.wait().unwrap().success());
        }
        assert_eq!(sink.taken() - before, count);
        count as f64 / time.as_secs_f64()
    }

    /// What a claim costs with so many messages waiting, half of those that there were.
    fn claim(&self, waiting: usize) -> String {
        let address = self.cluster.database();
        Store::migrate(&Location::Server(Server::parse(&address).unwrap())).unwrap();
        let name = Cluster::name_of(&address);
        let say = |sql: &str| self.cluster.say(name, &format!("SET search_path = apiece; {sql}"));
        let all = waiting * 2;
        say("INSERT INTO campaign (id, content, edition, source, name, prepared, total) VALUES ('a', '', 1, '', 'c', 0, 0);
             INSERT INTO queue (campaign, account) VALUES (1, 'bench'); INSERT INTO worker VALUES ('one', 'w', '{bench}', heard_until())");
        say(&format!(
            "INSERT INTO recipient (campaign, position, row) SELECT 1, nth, nth FROM generate_series(0, {all} - 1) AS nth"
        ));
        say(&format!(
            "INSERT INTO message (campaign, position, digest) SELECT 1, nth, '' FROM generate_series(0, {all} - 1) AS nth"
        ));
        say(&format!(
            "INSERT INTO batch (campaign, first, due) SELECT 1, nth * 100, 0 FROM generate_series(0, {all} / 100 - 1) AS nth"
        ));
        say(&format!("UPDATE batch SET due = NULL WHERE first < {waiting}"));
        self.cluster.say(name, "VACUUM ANALYZE apiece.batch");
        self.cluster.say(name, "VACUUM ANALYZE apiece.message");
        say("UPDATE worker SET until = heard_until()");
        let start = Instant::now();
        // One way there and back for all of them.
        say("SELECT count(*) FROM generate_series(1, 50), LATERAL take_batches('one', 1, 'bench', 1)");
        let time = start.elapsed() / 50;
        let plan =
            say("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) SELECT first FROM batch WHERE campaign = 1 AND holder IS NULL
             AND due <= (SELECT now_ms()) ORDER BY due, first LIMIT 1 FOR UPDATE SKIP LOCKED");
        format!("{waiting} messages waiting: {:.2} ms for a claim of a hundred\n{plan}", time.as_secs_f64() * 1000.0)
    }

    /// Sends all of it; messages a second.
    fn in_this_process(&self, campaign: &Campaign, outbox: &Arc<Outbox>, sink: &Sink, connections: usize) -> f64 {
        let before = sink.taken();
        let time = engine::send(&self.runtime, &campaign.composer, Arc::clone(outbox), sink.port, connections);
        assert_eq!((outbox.counts().of(Outcome::Sent), sink.taken() - before), (campaign.count, campaign.count));
        campaign.count as f64 / time.as_secs_f64()
    }

    /// What sending a campaign gives, and what a message takes of its database meanwhile, in words.
    fn counted<T>(&self, database: &str, count: usize, send: impl FnOnce() -> T) -> (T, String) {
        let ask = |sql: &str| self.cluster.say(cluster::ADMIN, sql);
        // What was written before is not written down anew for what is measured.
        ask("CHECKPOINT");
        ask("SELECT pg_stat_statements_reset()");
        let start = ask("SELECT pg_current_wal_insert_lsn()");
        let given = send();
        let log = ask(&format!("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{start}')"));
        // Those that clients sent: BEGIN and COMMIT are statements, too.
        let of = format!("FROM pg_stat_statements JOIN pg_database ON oid = dbid WHERE datname = '{database}'");
        let sum = |what: &str| ask(&format!("SELECT coalesce(sum({what}), 0) {of}"));
        let each = |total: &str| total.parse::<f64>().unwrap() / count as f64;
        let costs = format!(
            "a message: {:.3} statements, {:.0} µs in them, {:.0} octets of write-ahead log, {:.0} in tables and indexes",
            each(&sum("calls")),
            each(&sum("total_exec_time * 1000")),
            each(&log),
            each(&ask(&format!("SELECT pg_database_size('{database}') - pg_database_size('template1')"))),
        );
        (given, costs)
    }
}
