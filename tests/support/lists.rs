//! Lists as files, and what the program says about them.

use super::{Home, Run};
use crate::at_a_terminal::Terminal;

pub(crate) const FRONT: &str = "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n";

/// A home with a list and a template that shows {{name}}, and whatever `body` says.
pub(crate) fn home(list: impl AsRef<[u8]>, body: &str) -> Home {
    let home = Home::new();
    home.write("p.csv", list);
    home.write("t.txt.hbs", format!("{FRONT}Dear {{{{name}}}},\n{body}"));
    home
}

pub(crate) fn check(home: &Home, more: &[&str]) -> Run {
    home.run(&[&["check", "t.txt.hbs", "p.csv"], more].concat())
}

/// The list is refused with these words, and by `send` at a terminal, too.
#[track_caller]
pub(crate) fn refused(list: impl AsRef<[u8]>, more: &[&str], said: &str) -> Home {
    let home = home(list, "");
    let run = check(&home, more).ended(65);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", said));
    let send = [&["send", "t.txt.hbs", "p.csv", "--sandbox", "--confirm", "2", "--color", "never"], more].concat();
    assert_eq!(Terminal::all(&home, &send, 65), said);
    home
}

/// The list is taken, with these words about it on standard error.
#[track_caller]
pub(crate) fn taken(list: impl AsRef<[u8]>, more: &[&str], said: &str) -> Home {
    let home = home(list, "");
    assert_eq!(check(&home, more).ended(0).stderr, said);
    home
}

/// What the people in a list are called.
pub(crate) fn names(home: &Home, more: &[&str]) -> Vec<String> {
    let shown = home.run(&[&["preview", "t.txt.hbs", "p.csv"], more].concat()).ended(0).stdout;
    shown.lines().filter_map(|line| Some(line.strip_prefix("Dear ")?.trim_end_matches(',').to_owned())).collect()
}
