//! Lines that are not too long, broken at spaces only.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

/// Where a line may be broken. A no-break space is none, and neither is anything within a word, so that an address
/// stays one; scripts without spaces are left long, and shown in the reader's width.
pub(super) const SPACES: [char; 2] = [' ', '\t'];

/// The text in lines of at most `most` columns, or of a single word that is wider. The spaces at which it is broken
/// are left out, and nothing else.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<&str> {
    if text.len() <= most && text.is_ascii() {
        return vec![text];
    }
    let mut lines = Vec::new();
    // The line's beginning, what of it is there, and its width; where its last word begins, and the one before ends
    let (mut start, mut end, mut width) = (0, 0, 0);
    let (mut last, mut before) = (0, 0);
    for word in words(text) {
        let more = text[end..word.end].width();
        if end > start && width + more > most {
            let (line_end, next) = match word_before(text, start, last, before, word.clone(), most) {
                Some(next) => (before, next),
                None => (end, word.start),
            };
            lines.push(&text[start..line_end]);
            (start, width) = (next, text[next..word.end].width());
        } else {
            width += more;
        }
        (before, last, end) = (end, word.start, word.end);
    }
    lines.push(&text[start..]);
    lines
}

/// Where the line's last word begins, if it should go down together with `word`, since that would be taken for
/// something else at the beginning of a line: a quotation, a signature, or the beginning of a message in a mailbox
/// file (`From `).
fn word_before(text: &str, start: usize, last: usize, before: usize, word: Range<usize>, most: usize) -> Option<usize> {
    let is_misread = |word: &str| word.starts_with('>') || word == "--" || word == "From";
    let goes_down = is_misread(&text[word.clone()])
        && before > start
        && text[last..word.end].width() <= most
        && text[last..].split(SPACES).next().is_some_and(|last| !is_misread(last));
    goes_down.then_some(last)
}

fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(|c| !SPACES.contains(&c))?;
        at = text[start..].find(SPACES).map_or(text.len(), |length| start + length);
        Some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_alone() {
        for (text, lines) in [
            ("", &[""][..]),
            ("one two", &["one two"]),
            ("one two three", &["one two", "three"]),
            ("one two  three ", &["one two", "three "]),
            ("  one  twos three", &["  one", "twos three"]),
            ("one  two three", &["one  two", "three"]),
            ("12345678901234567890 x", &["12345678901234567890", "x"]),
            ("a https://one.example/?a-b c", &["a", "https://one.example/?a-b", "c"]),
            ("a <https://one.example/a>. b", &["a", "<https://one.example/a>.", "b"]),
            ("to ada-lovelace@one.example", &["to", "ada-lovelace@one.example"]),
            ("10\u{a0}000\u{a0}£ are due", &["10\u{a0}000\u{a0}£", "are due"]),
            ("日本語 日本語", &["日本語", "日本語"]),
            ("日本語日本語日本語 x", &["日本語日本語日本語", "x"]),
            ("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301} abcd", &["e\u{301}e\u{301}e\u{301}e\u{301}e\u{301} abcd"]),
            ("nine-1234 > five", &["nine-1234", "> five"]),
            ("a bc defg > one", &["a bc", "defg > one"]),
            ("one two6 -- five", &["one", "two6 --", "five"]),
            ("this is From me", &["this", "is From me"]),
            ("> > > > > > > > >", &["> > > > >", "> > > >"]),
        ] {
            assert_eq!(wrapped(text, 10), lines, "{text}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z]{1,12}",
            any::<char>().prop_map(String::from),
            prop::sample::select(vec![
                " ",
                " ",
                " ",
                "  ",
                "\t",
                "\u{a0}",
                ">",
                "--",
                "From",
                "日本語",
                "😀",
                "\u{200b}",
                "e\u{301}",
                "\u{202e}",
                "https://one.example/a-b?c=d",
                "<a@b.example>",
            ])
            .prop_map(str::to_owned),
        ];
        let spaced = prop::collection::vec((piece, any::<bool>()), 0..60);
        spaced.prop_map(|pieces| {
            pieces.iter().map(|(piece, alone)| piece.clone() + if *alone { " " } else { "" }).collect()
        })
    }

    proptest! {
        #[test]
        fn words_stay_whole_and_lines_are_short(text in text(), most in prop_oneof![0..20usize, Just(78)]) {
            let lines = wrapped(&text, most);
            let of_lines: Vec<&str> = lines.iter().flat_map(|line| line.split(SPACES)).filter(|word| !word.is_empty()).collect();
            let of_text: Vec<&str> = text.split(SPACES).filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(of_lines, of_text);
            for line in lines {
                let line = line.trim_end_matches(SPACES);
                let one_word = !line.trim_start_matches(SPACES).contains(SPACES);
                prop_assert!(line.width() <= most || one_word, "{:?} of {:?}", line, text);
            }
        }
    }
}
