//! How fast, and how patiently.

use clap::Args;

use crate::campaign::{Rate, Retry, Time};

/// How fast.
#[derive(Debug, Args)]
pub(super) struct PaceArgs {
    /// Never more than so many in any window, for example 30/min; may be given several times
    #[arg(long, value_name = "RATE", value_delimiter = ',')]
    pub(super) rate: Vec<Rate>,
    /// Send evenly over the time that the rates give, not as soon as they permit
    #[arg(long)]
    pub(super) spread: bool,
    /// Wait so long before the first message leaves; Ctrl-C meanwhile, and none does
    #[arg(long, value_name = "TIME")]
    pub(super) hold: Option<Time>,
    /// At most so many connections at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) connections: Option<u16>,
}

/// What is done about messages that the server puts off.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// Try a message that the server puts off again after so long, and after twice as long each time [default: 1min]
    #[arg(long, value_name = "TIME")]
    pub(super) retry_after: Option<Time>,
    /// Try a message so often at most [default: 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) tries: Option<u32>,
    /// Try a message so long at most [default: 1d]
    #[arg(long, value_name = "TIME")]
    pub(super) give_up_after: Option<Time>,
    /// Stop when the server refuses so many messages in a row in the same words [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pause_after: Option<u32>,
    /// Do not wait for what the server puts off, for a pause that it wants, nor for a window: the rest is left for a later run, with
    /// exit code 75
    #[arg(long)]
    pub(super) no_wait: bool,
}

impl RetryArgs {
    pub(super) fn retry(&self) -> Retry {
        let Self { retry_after, tries, give_up_after, pause_after, no_wait: _ } = *self;
        Retry { retry_after, tries, give_up_after, pause_after }
    }
}
