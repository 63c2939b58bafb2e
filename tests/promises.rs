//! The promises, each in a file of its own, kept by the program as a person runs it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test says what went wrong by panicking"
)]

mod support;

mod what_a_server_may_do;
