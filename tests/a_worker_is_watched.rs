//! A monitor reads how a worker stands, and whoever comes to disturb it holds up nobody.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use apiece::{
    diagnostic::Complaint,
    outbox::Outcome,
    report::{Board, Endpoint, Place},
};
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::support::{browser::http, monitor, processes::patiently};

/// A worker's endpoint that runs.
struct Open {
    runtime: Runtime,
    board: Arc<Board>,
    place: Place,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Open {
    fn at(place: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let endpoint = runtime.block_on(Endpoint::open(&place.parse().unwrap())).unwrap();
        let (board, place) = (Board::new(&["work".into(), "home".into()]), endpoint.place().clone());
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(endpoint.run(Arc::clone(&board), async { _ = stopped.await }));
        Self { runtime, board, place, stop, task }
    }

    fn address(&self) -> SocketAddr {
        let Place::Tcp(address) = self.place else { panic!("{}", self.place) };
        address
    }

    fn ask(&self, request: &str) -> crate::support::browser::Answer {
        http(self.address().port(), format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap()
    }

    /// Stops it; gives how long that took.
    fn stop(self) -> Duration {
        let start = Instant::now();
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.task).unwrap();
        start.elapsed()
    }
}

const ANY: &str = "127.0.0.1:0";

fn refused(place: &str) -> String {
    let runtime = Runtime::new().unwrap();
    let error = runtime.block_on(Endpoint::open(&place.parse().unwrap())).unwrap_err();
    format!("{error}\n{}", error.help().unwrap_or_default())
}

#[test]
fn a_monitor_reads_what_a_worker_counts() {
    let open = Open::at(ANY);
    open.board.outcome("work", Outcome::InDoubt);
    open.board.transaction("work", Duration::from_millis(20));
    open.board.waiting("work", 7, 3);
    open.board.connections("work", 1, 3);
    open.board.window("work", &"30/min".parse().unwrap(), 12);
    open.board.database(true);
    let answer = open.ask("GET /metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let Some(samples) = monitor::samples(&answer.text()) else { return };
    for (name, value) in [
        ("apiece_outcomes_total account=work,outcome=in_doubt", 1.0),
        ("apiece_outcomes_total account=home,outcome=sent", 0.0),
        ("apiece_transaction_duration_seconds_bucket account=work,le=0.01", 0.0),
        ("apiece_transaction_duration_seconds_bucket account=work,le=0.025", 1.0),
        ("apiece_transaction_duration_seconds_bucket account=work,le=+Inf", 1.0),
        ("apiece_transaction_duration_seconds_sum account=work", 0.02),
        ("apiece_transaction_duration_seconds_count account=work", 1.0),
        ("apiece_messages_waiting account=work", 7.0),
        ("apiece_messages_due account=work", 3.0),
        ("apiece_window_used account=work,rate=30/min", 12.0),
        ("apiece_window_limit account=work,rate=30/min", 30.0),
        ("apiece_connections_open account=work", 1.0),
        ("apiece_connections_limit account=work", 3.0),
        ("apiece_database_reached ", 1.0),
        ("apiece_lease_held ", 0.0),
        ("apiece_lease_losses_total ", 0.0),
        ("apiece_outcomes_held ", 0.0),
        (concat!("apiece_build_info version=", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}: {samples:#?}");
    }
    // Each of them is in the documentation, and nothing else is.
    let page = fs::read_to_string("docs/workers.md").unwrap();
    let table = page.lines().filter_map(|line| line.strip_prefix("| `apiece_")).flat_map(|line| line.split('`').next());
    let mut documented: Vec<String> = table.map(|name| format!("apiece_{}", name.split('{').next().unwrap())).collect();
    let text = answer.text();
    let mut offered: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    documented.sort_unstable();
    offered.sort_unstable();
    assert_eq!(documented, offered);
}

#[test]
fn only_what_is_offered_is_answered() {
    let open = Open::at(ANY);
    let status = |request| open.ask(request).status;
    assert_eq!(["GET /healthz", "GET /readyz"].map(status), [200, 503]);
    assert_eq!(open.ask("GET /readyz").text(), "the database is not reached\n");
    let asked = || open.runtime.block_on(open.place.ask());
    assert_eq!(asked(), Err("the database is not reached".into()));
    open.board.database(true);
    open.board.lease_held();
    assert_eq!(status("GET /readyz"), 200);
    assert_eq!(asked(), Ok("ok".into()));
    for (request, answer) in [
        ("GET /", 404),
        ("GET /metrics/", 404),
        ("GET /../metrics", 404),
        ("POST /nowhere", 404),
        ("POST /metrics", 405),
        ("DELETE /readyz", 405),
        ("OPTIONS /healthz", 405),
        ("HEAD /metrics", 200),
        ("GET /metrics?name=x", 200),
    ] {
        assert_eq!(status(request), answer, "{request}");
    }
    assert_eq!(open.ask("PUT /metrics").header("allow"), Some("GET, HEAD"));
    assert!(open.ask("HEAD /metrics").body.is_empty());
    let head = open.ask("GET /metrics").head;
    assert!(!head.to_ascii_lowercase().contains("server:"), "{head}");
}

#[test]
fn strangers_hold_up_nobody_and_take_no_memory() {
    const MANY: usize = 1000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    let open = Open::at(ANY);
    let address = open.address();
    // They connect, begin to ask, and let wait; each keeps its end open.
    let strangers = thread::spawn(move || {
        (0..MANY)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
                stream
            })
            .collect::<Vec<_>>()
    });
    let mut asked = 0;
    let mut slowest = Duration::ZERO;
    while !strangers.is_finished() || asked == 0 {
        let start = Instant::now();
        assert_eq!(open.ask("GET /metrics").status, 200);
        slowest = slowest.max(start.elapsed());
        asked += 1;
    }
    assert!(slowest < Duration::from_secs(3), "{slowest:?} among {asked}");
    let strangers = strangers.join().unwrap();
    let has_ended = |mut stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        !matches!(stream.read(&mut [0; 1]), Err(why) if why.kind() == std::io::ErrorKind::WouldBlock)
    };
    let there = || strangers.iter().filter(|stream| !has_ended(stream)).count();
    assert!(patiently(Duration::from_secs(3), || there() <= 128), "{} strangers stay", there());
    // Whoever asks slowly for ever is sent away, too, one octet a moment or not.
    let mut slow = TcpStream::connect(address).unwrap();
    let start = Instant::now();
    while slow.write_all(b"x").is_ok() && !has_ended(&slow) {
        assert!(start.elapsed() < Duration::from_secs(8));
        slow.set_nonblocking(false).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    assert!(patiently(Duration::from_secs(6), || there() == 0), "all are gone after five seconds");
}

#[test]
fn nonsense_is_told_so_or_ended() {
    let open = Open::at(ANY);
    let port = open.address().port();
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(500));
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let far = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    for request in [
        many.as_bytes(),
        long.as_bytes(),
        far.as_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\r\n\r\n",
        b"\0\r\n\r\n",
    ] {
        // Where it is ended before all is read, the answer may be lost on the way.
        if let Ok(answer) = http(port, request) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    // A second request in the same breath is not answered.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n\0garbage")
        .unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let all = String::from_utf8_lossy(&all);
    assert!(all.matches("HTTP/1.1 ").count() <= 1 && !all.contains("apiece_"), "{all}");
    assert_eq!(open.ask("GET /healthz").status, 200);
}

#[test]
fn who_is_there_when_it_stops_gets_an_answer() {
    let open = Open::at(ANY);
    let address = open.address();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").unwrap();
    thread::sleep(Duration::from_millis(300));
    let rest = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        stream.write_all(b"\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let time = open.stop();
    assert!(rest.join().unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(time < Duration::from_secs(2), "{time:?}");
    assert!(TcpStream::connect(address).is_err());
    // Who only stands there is not waited for longer than that.
    let open = Open::at(ANY);
    let _idle = TcpStream::connect(open.address()).unwrap();
    thread::sleep(Duration::from_millis(100));
    let time = open.stop();
    assert!(time < Duration::from_secs(3), "{time:?}");
}

#[test]
fn a_socket_of_the_file_system_is_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.sock");
    let place = format!("unix:{}", path.display());
    let open = Open::at(&place);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let curl = || {
        let output = Command::new("curl")
            .args(["--silent", "--fail", "--max-time", "5", "--unix-socket"])
            .arg(&path)
            .arg("http://localhost/healthz")
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(curl(), "ok\n");
    assert_eq!(open.runtime.block_on(open.place.ask()), Err("the database is not reached".into()));
    assert_eq!(
        refused(&place),
        format!(
            "the metrics cannot be offered at {place}: address in use\nsomebody listens there: name another place for this worker"
        )
    );
    assert_eq!(curl(), "ok\n");
    open.stop();
    assert!(!path.exists());
    // What a worker that was killed left behind is replaced; what is no socket is not.
    drop(UnixListener::bind(&path).unwrap());
    let open = Open::at(&place);
    assert_eq!(curl(), "ok\n");
    open.stop();
    fs::write(&path, "a letter").unwrap();
    assert!(refused(&place).starts_with(&format!(
        "the metrics cannot be offered at {place}: what is there is no socket, and is not replaced\n"
    )));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a letter");
    let nowhere = format!("unix:{}/nowhere/metrics.sock", directory.path().display());
    assert!(refused(&nowhere).ends_with("RuntimeDirectory= in a unit)"), "{}", refused(&nowhere));
}

#[test]
fn where_it_cannot_listen_it_says_what_to_do() {
    let open = Open::at(ANY);
    let said = refused(&open.place.to_string());
    assert!(said.starts_with(&format!("the metrics cannot be offered at {}: ", open.place)), "{said}");
    assert!(said.ends_with("\nsomebody listens there: name another place for this worker"), "{said}");
    let said = refused("192.0.2.1:9465");
    assert!(said.contains("\nthis machine has no such address; "), "{said}");
    for wrong in ["", "9465", "localhost:9465", "127.0.0.1", "http://127.0.0.1:9465/", "unix:"] {
        assert!(wrong.parse::<Place>().is_err(), "{wrong}");
    }
    let open_to_others = |place: &str| place.parse::<Place>().unwrap().is_open_to_others();
    assert_eq!(
        ["127.0.0.1:1", "[::1]:1", "unix:/x", "0.0.0.0:1", "[::]:1", "192.0.2.1:1"].map(open_to_others),
        [false, false, false, true, true, true]
    );
}
