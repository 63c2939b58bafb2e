//! What servers that are started by a test need: a port, patience, an end.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A port that nobody listens on, and that no other server of this process gets. Below 32768: those above are given to
/// outgoing connections, and one of them could have it by the time of a restart.
pub(crate) fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT
        .get_or_init(|| AtomicU16::new(u16::try_from(getrandom::u32().expect("randomness") >> 16).expect("16 bits")));
    loop {
        let port = 20_000 + next.fetch_add(1, Ordering::Relaxed) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// All files below a directory, at any depth; none if it is missing.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Asks until the answer is yes (true) or the time is over (false).
pub(crate) fn patiently(time: Duration, mut question: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if question() {
            return true;
        }
        if start.elapsed() > time {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn ended(process: &mut Child) -> bool {
    process.try_wait().is_ok_and(|status| status.is_some())
}

/// Kills a process with all its children; false if one is still there 10 s later. They hold the ports until they are gone.
pub(crate) fn end_group(leader: &mut Child) -> bool {
    let group = leader.id();
    let _ = leader.kill();
    // The shell's own `kill`, since std kills one process only and /bin/kill is not installed everywhere.
    let _ = Command::new("sh").args(["-c", &format!("kill -s KILL -- -{group}")]).stderr(Stdio::null()).status();
    patiently(Duration::from_secs(10), || ended(leader) && !group_runs(group))
}

/// Whether a process of the group runs; a dead one that nobody has waited for does not.
fn group_runs(group: u32) -> bool {
    let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
    // `123 (name) S parent group …`, proc(5)
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(stat).any(|stat| {
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        fields.next() != Some("Z") && fields.nth(1) == Some(&group.to_string())
    })
}
