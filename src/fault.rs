//! Places at which the program can be made to die, as if the power had gone: tests show that nothing is lost or sent twice
//! wherever that happens. And one check that can be made to see nothing: tests show what holds behind it. Released programs have
//! none of this.

/// Ends the program without a warning where `APIECE_FAULT` names this place: `name`, or `name:3` for the third time that it
/// comes here.
#[cfg(all(debug_assertions, unix))]
pub(crate) fn point(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    };

    static FAULT: LazyLock<Option<(String, usize)>> = LazyLock::new(|| {
        let fault = std::env::var("APIECE_FAULT").ok()?;
        let (name, time) = fault.split_once(':').unwrap_or((&fault, "1"));
        Some((name.to_owned(), time.parse().ok()?))
    });
    static TIMES: AtomicUsize = AtomicUsize::new(0);

    if let Some((fault, time)) = &*FAULT
        && fault == name
        && TIMES.fetch_add(1, Ordering::SeqCst) + 1 == *time
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Whether `APIECE_FAULT` says that templates' HTML is not looked through for what loads or runs something.
#[cfg(all(debug_assertions, unix))]
pub(crate) fn is_blind() -> bool {
    std::env::var_os("APIECE_FAULT").is_some_and(|fault| fault == "blind")
}

/// It never is.
#[cfg(not(all(debug_assertions, unix)))]
pub(crate) fn is_blind() -> bool {
    false
}

/// Nothing.
#[cfg(not(all(debug_assertions, unix)))]
pub(crate) fn point(_: &str) {}
