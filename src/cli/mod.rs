//! The commands: one file for each, with its arguments, the calls it makes and what it prints.

mod account;
mod approval;
mod approve;
mod check;
mod completions;
mod confirm;
mod doctor;
mod evidence;
mod exchange;
mod expect;
mod export;
mod follow;
mod init;
mod list;
mod load;
mod login;
mod man;
mod outbox;
mod pager;
mod prepare;
mod preview;
mod purge;
mod record;
mod resolve;
mod schedule;
mod send;
mod signals;
mod status;
mod verify;
mod when;
#[cfg(feature = "postgres")]
mod work;

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::{
    diagnostic::{Bare, Colour, Complaint, Diagnostic, Diagnostics, Place, visible},
    report,
};

/// Mails everyone on a list separately, so that nobody on it can learn who else is.
#[derive(Debug, Parser)]
#[command(name = "apiece", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  apiece init update                      make a campaign to start from
  apiece check update                     everything that can be known before sending
  apiece preview update --row 2           the message to the person in row 2
  apiece preview update --gallery         all messages, in your browser
  apiece send update --sandbox            rehearse against a server inside the program
  apiece send update --account work       send it

A campaign is a directory with a campaign.toml, or a template followed by a list:
  apiece send update.md.hbs people.csv --account work";

#[derive(Debug, Args)]
struct Global {
    /// Colours in what is printed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColourChoice,
    /// Print only what went wrong
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColourChoice {
    Auto,
    Always,
    Never,
}

/// What results are printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a campaign that works, to start from
    Init(init::Init),
    /// Look for everything that can be known to be wrong before sending
    Check(check::Check),
    /// Show messages as their recipients will see them
    Preview(preview::Preview),
    /// Send a campaign, each person a message of their own
    Send(Box<send::Send>),
    /// Keep a campaign as it is, to be sent later
    Prepare(prepare::Prepare),
    /// Say that a campaign may be sent, signed with your SSH key
    Approve(approve::Approve),
    /// Say that a campaign must not be sent, and why
    Reject(approve::Reject),
    /// Write a campaign for somebody who looks at it elsewhere, or what was signed about one
    ExportApproval(exchange::ExportApproval),
    /// Take in a campaign to look at, or what was signed about one
    ImportApproval(exchange::ImportApproval),
    /// Show what became of the campaigns, or of one
    Status(status::Status),
    /// Say whether people got a message of which only the server knows
    Resolve(resolve::Resolve),
    /// Send again to those whom the server refused
    Retry(resolve::Retry),
    /// Take back what is not sent yet
    Cancel(resolve::Cancel),
    /// Write what became of each message as CSV
    Export(export::Export),
    /// Report what can be shown about a campaign, or about an incident with it
    Report(evidence::Report),
    /// Compare a campaign with what was prepared, and check the log
    Verify(verify::Verify),
    /// Look at account, server and DNS, and say what would stop a run; sends nothing
    Doctor(Box<doctor::Doctor>),
    /// Log in with an account once: keep its password in the keyring, or get tokens for it
    Login(login::Login),
    /// Forget what an account logs in with
    Logout(login::Logout),
    /// Remove the data of a campaign's people, and keep what proves what was done
    Purge(purge::Purge),
    /// Look after the outbox itself
    Outbox(outbox::OutboxArgs),
    /// Send what is handed over to workers, together with others on any machine, until told to stop
    #[cfg(feature = "postgres")]
    Work(work::Work),
    /// Have a campaign sent at a time, or again and again, by systemd, cron, launchd or Windows
    Schedule(schedule::Schedule),
    /// Print what makes a shell complete commands
    Completions(completions::Completions),
    /// Print the manual page of a command, or write all of them
    Man(man::Man),
}

/// How the program ended, as in sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Ok,
    /// Some failed or are in doubt
    SomeNotSent,
    /// Who was looked for is not there
    NotFound,
    Usage,
    /// The list or the template is wrong
    Data,
    Unavailable,
    Software,
    CannotCreate,
    /// What was to be printed could not be
    Io,
    /// Run again later
    TryAgain,
    /// The server does not keep to its protocol, or not safely
    Protocol,
    /// Not confirmed, or not allowed
    Refused,
    Configuration,
    Interrupted,
    Terminated,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::SomeNotSent | Self::NotFound => 1,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::TryAgain => 75,
            Self::Protocol => 76,
            Self::Refused => 77,
            Self::Configuration => 78,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// Why a command ended without doing what it was asked for.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    why: Diagnostics,
    /// What was done about it.
    said: String,
}

impl Failure {
    /// With sentences as they may stand in a log.
    fn briefly(self) -> Self {
        Self { why: self.why.briefly(), ..self }
    }

    /// Without a word, if that is wanted and nothing is wrong but that it is not the time: a job that is started each minute would
    /// say so each minute.
    fn hushed(self, quiet: bool) -> Self {
        let is_time = |finding: &Diagnostic| matches!(finding.code(), "outbox.running" | "outbox.busy" | "send.closed");
        let why = if quiet && self.why.iter().all(is_time) { Diagnostics::default() } else { self.why };
        Self { why, ..self }
    }

    fn new(exit: Exit, why: impl Into<Diagnostics>) -> Self {
        Self { exit, why: why.into(), said: String::new() }
    }

    /// That there is nothing to do, which is well; and why.
    fn nothing(why: &str) -> Self {
        Self { exit: Exit::Ok, why: Diagnostics::default(), said: format!("nothing to do: {why}\n") }
    }

    /// Shows it.
    fn say(&self, screen: Screen) {
        screen.complain(&self.why);
        screen.note(&self.said);
    }

    /// With words about what was done.
    fn saying(self, said: String) -> Self {
        Self { said, ..self }
    }

    /// A file that is to be new cannot be written.
    fn unwritten(code: &'static str, path: &Path, why: &io::Error) -> Self {
        let shown = visible(&path.display().to_string());
        let (message, help) = match why.kind() {
            io::ErrorKind::AlreadyExists => {
                (format!("{shown} is there already, and is not overwritten"), Some("choose another name"))
            }
            _ => (format!("{shown} cannot be written: {why}"), None),
        };
        Self::because(Exit::CannotCreate, code, message, help)
    }

    /// One complaint that points nowhere in a file.
    fn because(exit: Exit, code: &'static str, message: impl Into<String>, help: Option<&str>) -> Self {
        let said = Said { code, message: message.into(), help: help.map(str::to_owned) };
        Self::new(exit, Diagnostic::error(Place::Nowhere, &said))
    }
}

/// A complaint of a command.
struct Said {
    code: &'static str,
    message: String,
    help: Option<String>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Complaint for Said {
    fn code(&self) -> &'static str {
        self.code
    }
    fn help(&self) -> Option<String> {
        self.help.clone()
    }
    /// What is said by a command itself counts people, and names none.
    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

/// Where a command prints: results on standard output, everything else on standard error. Whoever reads them may
/// go away; that is no reason to break off.
#[derive(Debug, Clone, Copy)]
struct Screen {
    errors: Colour,
    /// Whether results are in colours
    results: bool,
    quiet: bool,
    complaints: Complaints,
}

/// How complaints are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Complaints {
    /// As they are: somebody looks, or calls a command that is there to show what stands in a list.
    Whole,
    /// With nothing of what stands in a list: standard error ends up in cron's mail or in the journal.
    Bare,
}

/// Whether something was left out of complaints that is still to be said.
static LEFT_OUT: AtomicBool = AtomicBool::new(false);

impl Screen {
    fn new(global: &Global, command: &Command) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let in_colours = |is_terminal: bool| match global.color {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto if set("NO_COLOR") => false,
            ColourChoice::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            ColourChoice::Auto => is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        };
        let errors = if in_colours(io::stderr().is_terminal()) { Colour::Ansi } else { Colour::Never };
        let shows = matches!(command, Command::Check(_) | Command::Preview(_));
        let complaints = if shows || io::stderr().is_terminal() { Complaints::Whole } else { Complaints::Bare };
        Self { errors, results: in_colours(io::stdout().is_terminal()), quiet: global.quiet, complaints }
    }

    /// A result.
    fn print(self, text: &str) {
        if !self.quiet {
            Self::print_always(text);
        }
    }

    /// A result that is not left out when quiet is wanted.
    fn print_always(text: &str) {
        report::print(text);
    }

    /// Something said on the way.
    fn note(self, text: &str) {
        if !self.quiet {
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }

    /// Says what is worth a look.
    fn remark(self, remarks: &Diagnostics) {
        if !self.quiet {
            self.complain(remarks);
        }
    }

    /// Says that something beside the matter went wrong.
    fn warn(words: &str) {
        let _ = writeln!(io::stderr(), "warning: {}", visible(words));
    }

    fn complain(self, diagnostics: &Diagnostics) {
        let rendered = match self.complaints {
            Complaints::Whole => diagnostics.render(self.errors),
            Complaints::Bare => {
                let (bare, left_out) = diagnostics.clone().barely();
                LEFT_OUT.fetch_or(left_out, Ordering::SeqCst);
                bare.render(self.errors)
            }
        };
        let _ = io::stderr().write_all(rendered.as_bytes());
    }

    /// Behind complaints out of which something was left: where it is said. Once.
    fn say_where_to_look() {
        if LEFT_OUT.swap(false, Ordering::SeqCst) {
            let _ = writeln!(io::stderr(), "run `apiece check CAMPAIGN` at a terminal to see what stands there");
        }
    }
}

/// Runs the command that the arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // clap's own is 2.
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { 0 });
        }
    };
    let screen = Screen::new(&cli.global, &cli.command);
    let result = match cli.command {
        Command::Init(init) => init.run(screen),
        Command::Check(check) => check.run(screen),
        Command::Preview(preview) => preview.run(screen),
        Command::Send(send) => Ok(send.run(screen)),
        Command::Prepare(prepare) => prepare.run(screen),
        Command::Approve(approve) => approve.run(screen),
        Command::Reject(reject) => reject.run(screen),
        Command::ExportApproval(export) => export.run(screen),
        Command::ImportApproval(import) => import.run(screen),
        Command::Status(status) => status.run(screen),
        Command::Resolve(resolve) => resolve.run(screen),
        Command::Retry(retry) => retry.run(screen),
        Command::Cancel(cancel) => cancel.run(screen),
        Command::Export(export) => export.run(screen),
        Command::Report(report) => report.run(screen),
        Command::Verify(verify) => verify.run(screen),
        Command::Doctor(doctor) => doctor.run(screen),
        Command::Login(login) => login.run(screen),
        Command::Logout(logout) => logout.run(screen),
        Command::Purge(purge) => purge.run(screen),
        Command::Outbox(outbox) => outbox.run(screen),
        #[cfg(feature = "postgres")]
        Command::Work(work) => work.run(screen),
        Command::Schedule(schedule) => schedule.run(screen),
        Command::Completions(completions) => completions.run(screen),
        Command::Man(man) => man.run(screen),
    };
    let exit = result.unwrap_or_else(|failure| {
        failure.say(screen);
        failure.exit
    });
    Screen::say_where_to_look();
    let exit = if exit == Exit::Ok && report::output_was_lost() { Exit::Io } else { exit };
    ExitCode::from(exit.code())
}
