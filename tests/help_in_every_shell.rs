//! Completions that their shells can read, and manual pages that `man` shows without complaint.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::support::{Home, skip};

/// The names of the commands, as `apiece --help` shows them.
fn commands(home: &Home) -> Vec<String> {
    let names = commands_in(&home.run(&["--help"]).ended(0).stdout);
    assert!(!names.is_empty());
    names
}

/// The names of the commands that a help lists, if it lists any.
pub(crate) fn commands_in(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).and_then(|list| list.split("\n\n").next()).unwrap_or_default();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn a_shell_completes_commands_and_flags() {
    let home = Home::new();
    let names = commands(&home);
    assert!(names.len() > 15, "{names:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "nushell"] {
        let script = home.run(&["completions", shell]).ended(0).stdout;
        for name in names.iter().map(String::as_str).chain(["sandbox", "on-calendar"]) {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    let script = home.run(&["completions", "bash"]).ended(0).stdout;
    home.write("apiece.bash", &script);
    let typed = "source ./apiece.bash; COMP_WORDS=(apiece se); COMP_CWORD=1; COMP_LINE='apiece se'; _apiece apiece se apiece; \
                 echo ${COMPREPLY[@]}; COMP_WORDS=(apiece send --sandb); COMP_CWORD=2; _apiece apiece --sandb send; echo ${COMPREPLY[@]}";
    let output = Command::new("bash").args(["-euc", typed]).current_dir(home.path()).output().unwrap();
    let completed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(completed, "send\n--sandbox --sandbox-dir\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_command_has_a_page_that_man_shows() {
    let home = Home::new();
    home.run(&["man", "--to", "man"]).ended(0);
    for name in commands(&home) {
        let page = home.path().join(format!("man/apiece-{name}.1"));
        assert_eq!(fs::read_to_string(&page).unwrap(), home.run(&["man", &name]).ended(0).stdout);
    }
    assert!(home.run(&["man", "outbox copy"]).ended(0).stdout.contains("\\-\\-undo"));
    home.run(&["man", "nothing"]).ended(64);
    if Command::new("groff").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("groff is missing");
    }
    for page in fs::read_dir(home.path().join("man")).unwrap() {
        let page = page.unwrap().path();
        // None refers to one that is not there.
        let text = fs::read_to_string(&page).unwrap().replace("\\-", "-");
        for (end, _) in text.match_indices("(1)") {
            let name = text[..end].rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap();
            assert!(home.path().join(format!("man/{name}.1")).exists(), "{}: {name}", page.display());
        }
        let output = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-b"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
    }
    let shown = Command::new("groff")
        .args(["-man", "-Tascii", "-P-cbou"])
        .arg(home.path().join("man/apiece-send.1"))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("apiece send [OPTIONS] <CAMPAIGN> [LIST]"), "{shown}");
    assert!(shown.contains("  apiece send samples/investigation-update --sandbox --confirm 12\n"), "{shown}");
}
