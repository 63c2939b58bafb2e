//! What the record costs in PostgreSQL, beside SQLite's.
//!
//! `cargo bench --bench workers` sends a campaign of messages of 4 KiB, HTML and text, to a server on this machine that takes
//! everything and keeps nothing: with the record in a file, and in a PostgreSQL cluster of its own (from Debian's package, each commit
//! on the disk), in turn. Program, cluster and mail server share the machine. It prints messages a second, what PostgreSQL has of
//! SQLite's, and what a message takes of statements, commits and octets of the write-ahead log there.
//!
//! `MESSAGES=10000` sends fewer, `TURNS=1` each way only once, `CONNECTIONS=8` over so many connections where the server is near.

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
mod sink;

use std::{sync::Arc, time::Duration};

use apiece::{
    message::Composer,
    outbox::{Journal, Location, Outbox, Outcome, Server, Store},
    recipients::Selection,
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use self::{cluster::Cluster, sink::Sink};

/// What PostgreSQL with one process is to have at least of SQLite's messages a second, where the mail server is near.
const GOAL: f64 = 0.6;

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<usize>().ok());
    let count = number("MESSAGES").unwrap_or(100_000);
    let turns = number("TURNS").unwrap_or(3);
    let near = number("CONNECTIONS").unwrap_or(32);
    let bench = Bench::new();
    for (delay, connections, goal) in [(0, near, Some(GOAL)), (20, 20, None)] {
        let sink = Sink::start(Duration::from_millis(delay), bench.directory.path());
        // So that each takes some seconds at most.
        let count = if delay == 0 { count } else { count.min(connections * 10_000 / usize::try_from(delay).unwrap()) };
        let campaign = Campaign::new(count);
        println!(
            "{count} messages over {connections} connections to a server on this machine, {delay} ms for each round trip:"
        );
        let (mut file, mut server) = (Vec::new(), Vec::new());
        let mut costs = None;
        for turn in 0..turns {
            file.push(bench.in_a_file(&campaign, &sink, connections));
            let (rate, cost) = bench.in_postgresql(&campaign, &sink, connections);
            server.push(rate);
            if turn == turns / 2 {
                costs = Some(cost);
            }
        }
        let (file, server) = (median(file), median(server));
        println!("  SQLite, one process      {file:>7.0} a second");
        print!("  PostgreSQL, one process  {server:>7.0} a second; the ratio is {:.2}", server / file);
        println!("{}", goal.map(|goal| format!(" (goal: {goal:.2} at least)")).unwrap_or_default());
        println!("{}\n", costs.unwrap_or_default());
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
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

    /// Messages a second with the record in a file.
    fn in_a_file(&self, campaign: &Campaign, sink: &Sink, connections: usize) -> f64 {
        let directory = tempfile::tempdir_in(self.directory.path()).unwrap();
        self.send(campaign, &directory.path().join("outbox.sqlite").into(), sink, connections, || {})
    }

    /// Messages a second with the record in a database, and what a message costs there, in words.
    fn in_postgresql(&self, campaign: &Campaign, sink: &Sink, connections: usize) -> (f64, String) {
        let address = self.cluster.database();
        let location = Location::Server(Server::parse(&address).unwrap());
        Store::migrate(&location).unwrap();
        let name = Cluster::name_of(&address);
        let ask = |sql: &str| self.cluster.say(cluster::ADMIN, sql);
        let mut start = String::new();
        let rate = self.send(campaign, &location, sink, connections, || {
            ask("CHECKPOINT");
            ask("SELECT pg_stat_statements_reset()");
            start = ask("SELECT pg_current_wal_lsn()");
        });
        let wal = ask(&format!("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{start}')"));
        // What the server did for this database, as it was told: BEGIN and COMMIT are statements, too.
        let of =
            format!("FROM pg_stat_statements JOIN pg_database ON oid = dbid WHERE datname = '{name}' AND toplevel");
        let statements = ask(&format!("SELECT coalesce(sum(calls), 0) {of}"));
        let time = ask(&format!("SELECT coalesce(sum(total_exec_time + total_plan_time), 0) {of}"));
        let each = |total: &str| total.parse::<f64>().unwrap() / campaign.count as f64;
        let mut words = format!(
            "    a message there: {:.2} statements, {:.1} µs in them, {:.0} octets of write-ahead log",
            each(&statements),
            each(&time) * 1000.0,
            each(&wal)
        );
        if std::env::var_os("DETAILS").is_some() {
            let most = format!(
                "SELECT calls, round(total_exec_time::numeric, 1), left(regexp_replace(query, '\\s+', ' ', 'g'), 120) {of}
                 ORDER BY total_exec_time DESC LIMIT 12"
            );
            words.push_str(&format!("\n{}", ask(&most)));
            let hot =
                "SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, pg_relation_size(relid) FROM pg_stat_user_tables
                 WHERE n_tup_ins > 0 OR n_tup_upd > 0";
            std::thread::sleep(Duration::from_secs(1));
            words.push_str(&format!("\n{}", self.cluster.say(name, hot)));
        }
        (rate, words)
    }

    /// Keeps the campaign, and sends it in this process; messages a second.
    fn send(
        &self,
        &Campaign { ref composer, count, .. }: &Campaign,
        location: &Location,
        sink: &Sink,
        connections: usize,
        begin: impl FnOnce(),
    ) -> f64 {
        let prepared = engine::prepare(composer);
        let largest = prepared.largest();
        let (mut store, id) = engine::freeze(composer, prepared, location);
        let overview = store.campaign(&id).unwrap();
        let (campaign, messages) = store.take(&overview, Timestamp::now()).unwrap();
        let journal = Journal::start(store, campaign, Some("bench".into())).unwrap();
        let outbox = Arc::new(Outbox::of(&messages, Selection::All(count), largest, journal));
        begin();
        let before = sink.taken();
        let time = engine::send(&self.runtime, composer, Arc::clone(&outbox), sink.port, connections);
        assert_eq!((outbox.counts().of(Outcome::Sent), sink.taken() - before), (count, count));
        count as f64 / time.as_secs_f64()
    }
}
