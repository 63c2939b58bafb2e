//! Whether a log of the run is written, and where.

use std::{io, io::IsTerminal, path::PathBuf};

use clap::{Args, ValueEnum};
use tracing::Level;

use crate::{
    cli::{Exit, Failure, Format, Screen},
    diagnostic::visible,
    report::log::{self, Lines, Output, is_under_journald},
};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// A line for each record, for people
    Human,
    /// A JSON object for each record
    Json,
    /// Records of systemd's journal, with fields
    Journald,
    /// None
    Off,
}

/// What is written at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    /// What stopped the run
    Error,
    /// And each message that was not sent, and trouble with connections
    Warn,
    /// And start, connections, pauses, progress, end
    Info,
    /// And each message by its row
    Debug,
    /// And each step
    Trace,
}

/// What log is written.
#[derive(Debug, Args)]
pub(in crate::cli) struct LogArgs {
    /// How the log is written [default: lines where there is no terminal, records under systemd's journal]
    #[arg(long, value_name = "FORMAT", env = "APIECE_LOG", hide_env_values = true)]
    log: Option<LogFormat>,
    /// How much is logged [default: info]
    #[arg(long, value_name = "LEVEL", env = "APIECE_LOG_LEVEL", hide_env_values = true)]
    log_level: Option<LogLevel>,
    /// Add the log to this file, and not to standard error
    #[arg(long, value_name = "FILE", env = "APIECE_LOG_FILE", hide_env_values = true)]
    log_file: Option<PathBuf>,
}

/// Whether the log is seen where the run is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Seen {
    Here,
    Elsewhere,
}

/// What is begun: a rehearsal has somebody who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    Real,
    Rehearsal,
    /// It has no other way to say what it does
    Worker,
}

impl LogArgs {
    /// Starts the log, if one is wanted.
    pub(in crate::cli) fn start(&self, format: Format, kind: Kind, screen: Screen) -> Result<Seen, Failure> {
        let level = match self.log_level {
            Some(LogLevel::Error) => Level::ERROR,
            Some(LogLevel::Warn) => Level::WARN,
            None if screen.quiet => Level::WARN,
            Some(LogLevel::Info) | None => Level::INFO,
            Some(LogLevel::Debug) => Level::DEBUG,
            Some(LogLevel::Trace) => Level::TRACE,
        };
        let how = self.log.unwrap_or_else(|| self.usual(format, kind));
        let lines = match how {
            LogFormat::Off => return Ok(Seen::Elsewhere),
            LogFormat::Journald if self.log_file.is_some() => {
                let message = "--log journald writes to the journal, and --log-file into a file";
                return Err(Failure::because(Exit::Usage, "log.two", message, Some("leave one of them out")));
            }
            LogFormat::Journald => match Output::journal() {
                Ok(journal) => {
                    log::start(level, journal);
                    return Ok(Seen::Elsewhere);
                }
                // What is written there is in the journal all the same.
                Err(_) if self.log.is_none() => Lines::Human,
                Err(why) => {
                    let message = format!("the journal of this machine takes no records: {why}");
                    let help = Some("--log human writes lines");
                    return Err(Failure::because(Exit::CannotCreate, "log.no-journal", message, help));
                }
            },
            LogFormat::Human => Lines::Human,
            LogFormat::Json => Lines::Json,
        };
        let Some(path) = &self.log_file else {
            log::start(level, Output::Screen(lines));
            return Ok(Seen::Here);
        };
        let file = Output::file(path, lines).map_err(|why| {
            let message = format!("the log {} cannot be written: {why}", visible(&path.display().to_string()));
            Failure::because(Exit::CannotCreate, "log.file", message, None)
        })?;
        log::start(level, file);
        Ok(Seen::Elsewhere)
    }

    /// How it is written if nobody says so. At a terminal there is progress, and JSON has all events.
    fn usual(&self, format: Format, kind: Kind) -> LogFormat {
        let at_terminal = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        match format {
            _ if self.log_file.is_some() => LogFormat::Human,
            _ if kind == Kind::Rehearsal => LogFormat::Off,
            _ if is_under_journald() => LogFormat::Journald,
            Format::Text if !at_terminal || kind == Kind::Worker => LogFormat::Human,
            Format::Text | Format::Json => LogFormat::Off,
        }
    }
}
