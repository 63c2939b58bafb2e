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
    /// The command whose page is printed [default: of the whole program]
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
            Some(name) => match shown(&program).find(|command| command.get_name() == name) {
                Some(command) => page(&named(command)),
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

/// The commands that a person is told of.
fn shown(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// A command with the name of its page.
fn named(command: &Command) -> Command {
    let name = format!("apiece-{}", command.get_name());
    let usage = format!("apiece {}", command.get_name());
    command.clone().name(name).bin_name(usage).version(env!("CARGO_PKG_VERSION"))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let page = Page::new(command.clone()).manual("apiece");
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
    let pages = std::iter::once(program.clone()).chain(shown(program).map(named));
    let mut count = 0;
    for command in pages {
        let path = directory.join(format!("{}.1", command.get_name()));
        let page = page(&command).map_err(unwritten(&path))?;
        fs::File::create(&path).and_then(|mut file| file.write_all(&page)).map_err(unwritten(&path))?;
        count += 1;
    }
    Ok(count)
}
