//! `apiece man`

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory};
use clap_mangen::{
    Man as Page,
    roff::{Roff, roman},
};

use super::{Cli, Exit, Failure, Screen};
use crate::diagnostic::visible;

/// Arguments of `apiece man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apiece man send | man -l -
  apiece man --to ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The command whose page is printed, such as send or outbox-copy [default: of the whole program]
    command: Option<String>,
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    to: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let mut program = Cli::command();
        program.build();
        if let Some(directory) = &self.to {
            let count = write_all(&program, directory)?;
            screen.print(&format!("{count} pages written to {}\n", visible(&directory.display().to_string())));
            return Ok(Exit::Ok);
        }
        let page = match &self.command {
            None => page(&program),
            Some(name) => match all_of(&program).iter().find(|command| is_page_of(command, name)) {
                Some(command) => page(command),
                None => {
                    let message = format!("there is no command \"{}\"", visible(name));
                    return Err(Failure::because(Exit::Usage, "man.unknown", message, Some("apiece --help")));
                }
            },
        };
        let page = page.map_err(|why| Failure::because(Exit::Io, "man.page", why.to_string(), None))?;
        Screen::print_always(&String::from_utf8_lossy(&page));
        Ok(Exit::Ok)
    }
}

/// Whether a page is that of a command, whose words stand behind each other or are joined as in the page's name.
fn is_page_of(page: &Command, command: &str) -> bool {
    page.get_name().strip_prefix("apiece-") == Some(&command.replace(' ', "-"))
}

/// The commands that a person is told of.
fn shown(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// Those of a command, and theirs, each with the name of its page.
fn all_of(command: &Command) -> Vec<Command> {
    let before = command.get_bin_name().unwrap_or("apiece");
    let mut all = Vec::new();
    for own in shown(command) {
        let words = format!("{before} {}", own.get_name());
        let own = own.clone().name(words.replace(' ', "-")).bin_name(words).version(env!("CARGO_PKG_VERSION"));
        let theirs = all_of(&own);
        all.push(own);
        all.extend(theirs);
    }
    all
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let mut shown = command.clone();
    if shown.find_subcommand("help").is_some() {
        // It has no page.
        shown = shown.mut_subcommand("help", |help| help.hide(true));
    }
    let page = Page::new(shown).manual("apiece");
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    section("SYNOPSIS", usage.trim_start_matches("Usage: ")).to_writer(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut out)?;
    }
    if !notes.is_empty() {
        section("NOTES AND EXAMPLES", &notes).to_writer(&mut out)?;
    }
    Ok(out)
}

/// Lines as they are.
fn section(heading: &str, lines: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]).control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

fn write_all(program: &Command, directory: &Path) -> Result<usize, Failure> {
    let unwritten = |path: &Path| {
        let path = path.to_owned();
        move |why: io::Error| Failure::unwritten("man.write", &path, &why)
    };
    fs::create_dir_all(directory).map_err(unwritten(directory))?;
    let pages = std::iter::once(program.clone()).chain(all_of(program));
    let mut count = 0;
    for command in pages {
        let path = directory.join(format!("{}.1", command.get_name()));
        let page = page(&command).map_err(unwritten(&path))?;
        fs::File::create(&path).and_then(|mut file| file.write_all(&page)).map_err(unwritten(&path))?;
        count += 1;
    }
    Ok(count)
}
