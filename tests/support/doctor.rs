//! What `doctor` prints, piece by piece.

use super::{Home, Run};

/// What changes from run to run, by what it is.
pub(crate) fn steady(home: &Home, text: &str) -> String {
    let text = text.replace(&home.path().display().to_string(), "~");
    let lines = text.lines().map(|line| {
        if line.starts_with("ok       clock: ") {
            return "ok       clock: …".to_owned();
        }
        let words: Vec<&str> = line.split(' ').collect();
        let word = |nth: usize| {
            let word = words[nth];
            let unit =
                words.get(nth + 1).is_some_and(|next| ["ms", "MiB", "day"].iter().any(|unit| next.starts_with(unit)));
            let digits = word.trim_start_matches('(');
            if unit && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
                return word.replace(digits, "N");
            }
            let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            match shape.as_str() {
                "0000-00-00" => "DAY".to_owned(),
                _ => match word.split_once("127.0.0.1:") {
                    Some((before, port)) if port.starts_with(|c: char| c.is_ascii_digit()) => {
                        format!("{before}127.0.0.1:PORT{}", port.trim_start_matches(|c: char| c.is_ascii_digit()))
                    }
                    _ => word.to_owned(),
                },
            }
        };
        (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
    });
    lines.map(|line| line + "\n").collect()
}

/// The line about something, with what to do.
#[track_caller]
pub(crate) fn about(run: &Run, what: &str) -> String {
    let is_it = |line: &&str| {
        line.get(9..)
            .is_some_and(|line| line.starts_with(&format!("{what}: ")) || line.starts_with(&format!("{what} ")))
    };
    let mut lines = run.stdout.lines().skip_while(|line| line.starts_with(' ') || !is_it(line));
    let first = lines.next().unwrap_or_else(|| panic!("{what} in\n{}{}", run.stdout, run.stderr)).to_owned();
    lines.take_while(|line| line.starts_with(' ')).fold(first, |all, line| all + "\n" + line)
}

pub(crate) fn skipped(what: &str, since: &str) -> String {
    format!("skipped  {what}: {since}")
}
