//! Ctrl-C and SIGTERM: the first asks a run to stop, the second leaves at once.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Exit, Screen};
use crate::delivery::{Signal, Stop, StopReason};

/// Ctrl-C and, where there is one, SIGTERM.
pub(super) struct Signals {
    #[cfg(unix)]
    streams: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
    /// The terminal is closed; who started this with `nohup` does not want to know.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = if is_hangup_ignored() { None } else { signal(SignalKind::hangup()).ok() };
        Self { streams: signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok()), hangup }
    }

    pub(super) async fn next(&mut self) -> Signal {
        let Some((interrupt, terminate)) = &mut self.streams else { return std::future::pending().await };
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
            _ = hung_up => Signal::Terminate,
        }
    }
}

/// Whether SIGHUP was ignored when this program was started, where that can be known.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> Self {
        Self {}
    }

    pub(super) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Waits for signals as long as the program runs. When `over`, the run has ended and there is nothing to finish.
/// `last_words` is what is known at the moment, for somebody who leaves at once.
pub(super) async fn listen(stop: Stop, over: Arc<AtomicBool>, last_words: impl Fn(Signal) -> String, screen: Screen) {
    let mut signals = Signals::new();
    let first = signals.next().await;
    if !over.load(Ordering::SeqCst) {
        stop.request(StopReason::Interrupted(first));
        screen.note("\nfinishing what is under way; once more leaves at once\n");
        let second = signals.next().await;
        if !over.load(Ordering::SeqCst) {
            let _ = writeln!(io::stderr(), "\nleft at once: what was under way is in doubt\n");
            Screen::print_always(&last_words(second));
        }
        leave(second);
    }
    leave(first);
}

/// Ends the program.
pub(super) fn leave(signal: Signal) -> ! {
    std::process::exit(exit_of(signal).code().into())
}

/// What a run ends with that a signal ended.
pub(super) fn exit_of(signal: Signal) -> Exit {
    if signal == Signal::Interrupt { Exit::Interrupted } else { Exit::Terminated }
}
