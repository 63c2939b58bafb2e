//! `apiece completions`

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};
use clap_complete_nushell::Nushell;

use super::{Cli, Exit, Failure, Screen};

/// Shells that can complete what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Nushell,
}

/// Arguments of `apiece completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints a script; where it belongs depends on the shell. A package of your system brings these scripts.

  apiece completions bash > ~/.local/share/bash-completion/completions/apiece
  apiece completions zsh  > ~/.zfunc/_apiece                 # with fpath+=~/.zfunc before compinit
  apiece completions fish > ~/.config/fish/completions/apiece.fish
  apiece completions powershell >> $PROFILE
  apiece completions nushell > ~/.config/nushell/autoload/apiece.nu")]
pub(super) struct Completions {
    /// The shell
    shell: Name,
}

impl Completions {
    #[allow(clippy::unnecessary_wraps, reason = "as all commands")]
    pub(super) fn run(self, _: Screen) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        let command = &mut Cli::command();
        match self.shell {
            Name::Bash => generate(Shell::Bash, command, "apiece", &mut script),
            Name::Zsh => generate(Shell::Zsh, command, "apiece", &mut script),
            Name::Fish => generate(Shell::Fish, command, "apiece", &mut script),
            Name::PowerShell => generate(Shell::PowerShell, command, "apiece", &mut script),
            Name::Nushell => generate(Nushell, command, "apiece", &mut script),
        }
        Screen::print_always(&String::from_utf8_lossy(&script));
        Ok(Exit::Ok)
    }
}
