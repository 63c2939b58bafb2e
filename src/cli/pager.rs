//! What is longer than the screen is shown page by page.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

use super::Screen;

/// What shows pages if nobody says what else does. It ends by itself where all fits on the screen.
const USUAL: &str = "less";

/// Where a long result goes: through a pager at a terminal, else to standard output.
pub(super) struct Pages {
    pager: Option<Pager>,
}

/// The program that shows pages, and what it reads as long as it does.
struct Pager {
    child: Child,
    input: Option<ChildStdin>,
    /// Ctrl-C is the pager's as long as this is there.
    #[cfg(unix)]
    _interrupt: Option<(tokio::runtime::Runtime, tokio::signal::unix::Signal)>,
}

impl Pages {
    /// A pager, if there is a terminal and somebody wants one.
    pub(super) fn new(wanted: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let at_terminal = io::stdout().is_terminal() && io::stdin().is_terminal() && !dumb;
        let pager = if wanted && at_terminal { start() } else { None };
        let pager = pager.map(|mut child| Pager {
            input: child.stdin.take(),
            child,
            #[cfg(unix)]
            _interrupt: leave_interrupts_to_the_pager(),
        });
        Self { pager }
    }

    /// Shows some more; whether anybody still looks.
    pub(super) fn print(&mut self, text: &str) -> bool {
        match &mut self.pager {
            None => {
                Screen::print_always(text);
                true
            }
            Some(Pager { input, .. }) => {
                let is_read = input.as_mut().is_some_and(|input| input.write_all(text.as_bytes()).is_ok());
                if !is_read {
                    *input = None;
                }
                is_read
            }
        }
    }

    /// That is all: waits until somebody has read it.
    pub(super) fn finish(self) {
        if let Some(mut pager) = self.pager {
            drop(pager.input.take());
            let _ = pager.child.wait();
        }
    }
}

/// Starts the pager that the environment names, or the usual one. No shell reads what is in the variable.
fn start() -> Option<Child> {
    let named = ["APIECE_PAGER", "PAGER"].into_iter().find_map(std::env::var_os);
    let words = match named.as_ref().map(|named| named.to_str().and_then(shlex::split)) {
        None => vec![USUAL.to_owned()],
        // Words that cannot be told apart, or none: no pager is wanted.
        Some(words) => words.unwrap_or_default(),
    };
    let (program, arguments) = words.split_first()?;
    if program == "cat" {
        return None;
    }
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    let or = |name: &str, usual: &str| std::env::var_os(name).unwrap_or_else(|| OsString::from(usual));
    // It ends where all fits, shows colours, and leaves the screen as it is. It keeps no history of what was searched for, and
    // neither writes files nor starts programs.
    command.env("LESS", or("LESS", "FRX")).env("LESSHISTFILE", "-").env("LESSSECURE", "1");
    // What this program prints is UTF-8, whatever the locale says.
    command.env("LESSCHARSET", or("LESSCHARSET", "utf-8"));
    command.spawn().ok()
}

/// Whoever presses Ctrl-C means the pager, which would be left with the terminal if this program ended before it.
#[cfg(unix)]
fn leave_interrupts_to_the_pager() -> Option<(tokio::runtime::Runtime, tokio::signal::unix::Signal)> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok()?;
    let interrupt = runtime.block_on(async { signal(SignalKind::interrupt()) }).ok()?;
    Some((runtime, interrupt))
}
