//! What the record costs.
//!
//! `cargo bench --bench outbox` does four things with messages of 4 KiB, HTML and text:
//!
//! * sending: a campaign of 20,000 goes to a server on this machine over 32 connections, with the outbox and without any record,
//!   in turn, several times; what the record leaves of the rate;
//! * preparing: 1,000,000 messages are rendered, built, guarded and hashed, and the same is done and kept in the outbox, on all
//!   cores; the ratio of the two times. `PEOPLE=100000` makes that shorter;
//! * memory: what preparing takes at most above the list, for a tenth of these people and for all of them, each in a process of
//!   its own;
//! * disk: what the outbox has for each recipient above the fields, once the campaign of 20,000 is sent.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "the numbers are far from so large")]

#[path = "delivery/engine.rs"]
mod engine;
mod memory;
#[path = "messages/people.rs"]
mod people;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use apiece::{
    guard::Guard,
    message::Composer,
    outbox::{Journal, Outbox, Outcome, Prepared, Store},
    recipients::{PersonRow, Recipient, Selection},
};
use jiff::Timestamp;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use self::engine::prepare;

/// So many messages are sent.
const SENT: usize = 20_000;

/// Over so many connections.
const CONNECTIONS: usize = 32;

/// So often with the outbox and without.
const TURNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, way, directory] = arguments.as_slice()
        && way == "memory"
    {
        return count_memory(Path::new(directory));
    }
    let people = std::env::var("PEOPLE").ok().and_then(|people| people.parse().ok()).unwrap_or(1_000_000_usize);
    sending();
    preparing(people);
    for count in [people / 10, people] {
        let directory = Directory::new(count);
        // In a process of its own, where no memory is free that was used before.
        let program = std::env::current_exe().unwrap();
        let memory = Command::new(program).arg("memory").arg(directory.0.path()).output().unwrap();
        print!("{count:>9} people: {}", String::from_utf8(memory.stdout).unwrap());
    }
}

/// A campaign on the disk.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new(count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        engine::write_campaign(directory.path(), count);
        Self(directory)
    }

    fn composer(&self) -> Composer {
        engine::composer(self.0.path())
    }

    fn record(&self, nth: usize) -> PathBuf {
        self.0.path().join(format!("outbox{nth}.sqlite"))
    }
}

/// Sends with the outbox and without, in turn.
fn sending() {
    let directory = Directory::new(SENT);
    let composer = directory.composer();
    let prepared = prepare(&composer);
    let digests: Vec<_> = (0..SENT).map(|index| composer.compose(index).unwrap().digest()).collect();
    let size = (0..100).map(|index| composer.compose(index).unwrap().bytes().len()).sum::<usize>() / 100;
    let largest = prepared.largest();
    drop(prepared);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let port = runtime.block_on(sink());
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let send = |outbox: Outbox| {
        let outbox = Arc::new(outbox);
        let time = engine::send(&runtime, &composer, Arc::clone(&outbox), port, CONNECTIONS);
        assert_eq!(outbox.counts().of(Outcome::Sent), SENT);
        SENT as f64 / time.as_secs_f64()
    };
    for turn in 0..TURNS {
        let outbox = Outbox::new(Selection::All(SENT), digests.clone(), vec![Outcome::Queued; SENT], largest, None);
        without.push(send(outbox));
        let (mut store, id) = engine::freeze(&composer, prepare(&composer), &directory.record(turn).into());
        let overview = store.campaign(&id).unwrap();
        let (campaign, messages) = store.take(&overview, Timestamp::now()).unwrap();
        let journal = Journal::start(store, campaign, Some("bench".into())).unwrap();
        let outbox = Outbox::of(&messages, Selection::All(SENT), largest, journal);
        with.push(send(outbox));
    }
    let (with, without) = (median(with), median(without));
    println!("{SENT} messages of {size} bytes over {CONNECTIONS} connections to a server on this machine:");
    println!("  with the outbox     {with:>7.0} a second");
    println!("  without any record  {without:>7.0} a second; the ratio is {:.2}", with / without);
    let file = directory.record(0);
    let store = Store::open(&file).unwrap();
    drop(store);
    let octets = std::fs::metadata(&file).unwrap().len();
    let fields: usize =
        composer.list().iter().flat_map(Recipient::rows).flat_map(PersonRow::fields).map(str::len).sum();
    println!(
        "  on disk {:.0} bytes for each recipient, {:.0} above the fields\n",
        octets as f64 / SENT as f64,
        (octets as f64 - fields as f64) / SENT as f64
    );
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// A server that takes everything and keeps nothing.
async fn sink() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

async fn serve(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let _ = stream.write_all(b"220 sink ESMTP\r\n").await;
    let mut line = Vec::new();
    let mut is_body = false;
    loop {
        line.clear();
        if !matches!(stream.read_until(b'\n', &mut line).await, Ok(1..)) {
            return;
        }
        let reply: &[u8] = match line.get(..4) {
            _ if is_body && line != b".\r\n" => continue,
            _ if is_body => {
                is_body = false;
                b"250 2.0.0 Ok\r\n"
            }
            Some(b"EHLO") => b"250-sink\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
            Some(b"DATA") => {
                is_body = true;
                b"354 go on\r\n"
            }
            _ => b"250 2.0.0 Ok\r\n",
        };
        if stream.write_all(reply).await.is_err() {
            return;
        }
    }
}

/// Makes all messages, and makes and keeps them.
fn preparing(people: usize) {
    let directory = Directory::new(people);
    let composer = directory.composer();
    let threads = std::thread::available_parallelism().unwrap().get();
    let start = Instant::now();
    let guard = Guard::new(Arc::clone(composer.list()), &[]);
    std::thread::scope(|scope| {
        for nth in 0..threads {
            let (composer, guard) = (&composer, &guard);
            scope.spawn(move || {
                for index in (nth..people).step_by(threads) {
                    let message = composer.compose(index).unwrap();
                    assert!(guard.inspect(&message).is_empty());
                    std::hint::black_box(message.digest());
                }
            });
        }
    });
    drop(guard);
    let least = start.elapsed();
    let start = Instant::now();
    let prepared = prepare(&composer);
    let made = start.elapsed();
    drop(engine::freeze(&composer, prepared, &directory.record(0).into()));
    let kept = start.elapsed();
    let ratio = |time: Duration| time.as_secs_f64() / least.as_secs_f64();
    println!("{people} people on {threads} cores:");
    println!("  rendered, built, guarded, hashed  {:>6.1} s", least.as_secs_f64());
    println!("  prepared                          {:>6.1} s, {:.2}", made.as_secs_f64(), ratio(made));
    println!("  prepared and kept                 {:>6.1} s, {:.2}\n", kept.as_secs_f64(), ratio(kept));
}

/// Counts what preparing takes above the list.
fn count_memory(directory: &Path) {
    let composer = engine::composer(directory);
    let guard = Guard::new(Arc::clone(composer.list()), &[]);
    let list = memory::kib("VmRSS");
    // From here on the most is counted anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let all = Selection::All(composer.list().len());
    let prepared = Prepared::make(&composer, &guard, all, &|_| {}).unwrap();
    let made = memory::kib("VmHWM");
    drop(engine::freeze(&composer, prepared, &directory.join("outbox.sqlite").into()));
    let kept = memory::kib("VmHWM");
    println!(
        "the list and what the guard knows of it are {list} KiB; making the messages takes {} KiB more at most, keeping them {} KiB",
        made - list,
        kept - list
    );
}
