//! The command-line program: parses, calls one command, turns its result into an exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    apiece::cli::main()
}
