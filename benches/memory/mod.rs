//! How much memory this process has, for benchmarks.

/// What the system says of it, in KiB: `VmHWM` is the most that it ever had in use, `VmRSS` what it has now; 0 where the
/// system does not say.
#[allow(dead_code, reason = "not every benchmark looks at itself")]
pub(crate) fn kib(what: &str) -> u64 {
    kib_of("self", what)
}

/// The same of a process.
pub(crate) fn kib_of(process: &str, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
