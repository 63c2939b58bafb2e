//! What differs between the messages of two people.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use indicatif::DecimalBytes;
use mail_parser::{Message as Parsed, MessageParser, MimeHeaders};
use sha2::{Digest as _, Sha256};
use similar::{ChangeTag, InlineChangeOptions, TextDiff};

use super::{as_received, gallery::html_of};
use crate::{
    diagnostic::visible,
    message::{Digest, Message},
};

/// What is compared for longer is compared less well.
const PATIENCE: Duration = Duration::from_secs(2);

/// Two messages in one, as their recipients see them: what both have, then lines of the first behind a minus and of the second
/// behind a plus sign, with the words that differ in colours, or in `[- -]` and `{+ +}` where there are none. Below stands what
/// differs where it is not seen in the text: the lines of the HTML, and attachments.
#[must_use]
pub fn compare(one: &Message, other: &Message, in_colours: bool) -> String {
    let mut shown = differences(&as_received(one), &as_received(other), true, in_colours);
    let parse = |message: &Message| MessageParser::default().parse(message.bytes()).map(Parsed::into_owned);
    if let (Some(one), Some(other)) = (parse(one), parse(other)) {
        let html = |message: &Parsed<'_>| visible(&html_of(message).unwrap_or_default().replace("\r\n", "\n"));
        let lines = differences(&html(&one), &html(&other), false, in_colours);
        if !lines.is_empty() {
            let _ = write!(shown, "\n── the lines of the HTML that differ ──\n{lines}");
        }
        let files = files(&one, &other);
        if !files.is_empty() {
            let _ = write!(shown, "\n── attachments of the same name that differ ──\n{files}");
        }
    }
    shown
}

/// The lines of two texts: all of them, or only those that differ.
fn differences(one: &str, other: &str, all: bool, in_colours: bool) -> String {
    let difference = TextDiff::configure().timeout(PATIENCE).diff_lines(one, other);
    // Two messages are made of one template: however much of a line differs, its words are worth a look.
    let words = *InlineChangeOptions::default().min_ratio(0.0);
    let mut shown = String::new();
    let changes = difference.ops().iter();
    for change in changes.flat_map(|change| difference.iter_inline_changes_with_options(change, words)) {
        let (sign, [start, end], [line, line_end]) = match (change.tag(), in_colours) {
            (ChangeTag::Equal, _) if !all => continue,
            (ChangeTag::Equal, _) => (' ', [""; 2], [""; 2]),
            (ChangeTag::Delete, false) => ('-', ["[-", "-]"], [""; 2]),
            (ChangeTag::Insert, false) => ('+', ["{+", "+}"], [""; 2]),
            (ChangeTag::Delete, true) => ('-', ["\x1b[7m", "\x1b[27m"], ["\x1b[31m", "\x1b[0m"]),
            (ChangeTag::Insert, true) => ('+', ["\x1b[7m", "\x1b[27m"], ["\x1b[32m", "\x1b[0m"]),
        };
        let _ = write!(shown, "{line}{sign} ");
        for (differs, words) in runs(change.iter_strings_lossy()) {
            let _ = if differs { write!(shown, "{start}{words}{end}") } else { write!(shown, "{words}") };
        }
        let _ = writeln!(shown, "{line_end}");
    }
    shown
}

/// The attachments and pictures that are called the same in both, and are not the same.
fn files(one: &Parsed<'_>, other: &Parsed<'_>) -> String {
    let name = |part: &mail_parser::MessagePart<'_>| part.attachment_name().map(visible).unwrap_or_default();
    let mut others: Vec<_> = other.attachments().collect();
    let mut shown = String::new();
    for part in one.attachments() {
        let Some(same) = others.iter().position(|other| name(other) == name(part)) else { continue };
        let (one, other) = (part.contents(), others.remove(same).contents());
        if one != other {
            let _ = writeln!(shown, "{}", name(part));
            for (sign, bytes) in [('-', one), ('+', other)] {
                let size = DecimalBytes(bytes.len() as u64);
                let _ =
                    writeln!(shown, "{sign} {size}, SHA-256 {}", Digest::from(<[u8; 32]>::from(Sha256::digest(bytes))));
            }
        }
    }
    shown
}

/// The words of a line, those side by side in one that differ or do not; a space between two that differ differs, too.
fn runs<'c>(words: impl Iterator<Item = (bool, Cow<'c, str>)>) -> Vec<(bool, String)> {
    let mut runs: Vec<(bool, String)> = Vec::new();
    for (differs, word) in words {
        let word = word.trim_end_matches('\n');
        if differs
            && let [.., (true, _), (false, between)] = runs.as_slice()
            && between.trim().is_empty()
        {
            let between = runs.pop().map(|(_, between)| between).unwrap_or_default();
            runs.last_mut().into_iter().for_each(|(_, run)| run.push_str(&between));
        }
        match runs.last_mut() {
            Some((same, run)) if *same == differs => run.push_str(word),
            _ if word.is_empty() => {}
            _ => runs.push((differs, word.to_owned())),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        campaign::ListOptions,
        message::Composer,
        recipients::RecipientList,
        template::{Format, Template},
    };

    #[test]
    fn what_differs_is_marked_and_the_rest_is_said_once() {
        let list = RecipientList::parse(
            "p.csv",
            "email,name\nada@one.example,Ada King\nbo@two.example,Bo Li\n",
            &ListOptions::default(),
        );
        let list = list.unwrap();
        let source =
            "+++\nfrom = \"u@police.example\"\nsubject = \"News\"\n+++\nDear {{name}} of ours,\n\nall is well.\n";
        let template = Template::compile("t.txt.hbs", source, Format::Text, list.columns()).unwrap();
        let composer = Composer::new(template.into(), list.into());
        let (one, other) = (composer.compose(0).unwrap(), composer.compose(1).unwrap());
        let shown = compare(&one, &other, false);
        assert!(
            shown.contains("- Dear [-Ada King-] of ours,\n+ Dear {+Bo Li+} of ours,\n  \n  all is well.\n"),
            "{shown}"
        );
        assert_eq!(shown.matches("Subject:").count(), 1, "{shown}");
        assert!(compare(&one, &other, true).contains("\x1b[31m- Dear \x1b[7mAda King\x1b[27m of ours,\x1b[0m\n"));
        let same = compare(&one, &one, false);
        assert!(same.lines().all(|line| line.starts_with("  ")), "{same}");
    }
}
