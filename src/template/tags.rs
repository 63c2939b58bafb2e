//! The tags of a template as they stand in its text, before Handlebars sees them: what is never closed, and what is
//! nested so deeply that its recursive parser would overflow the stack.

use std::ops::Range;

use super::TemplateProblem;

/// Blocks, with their `else` chains, may be nested so deeply.
const MOST_DEPTH: usize = 64;

/// Brackets in a tag may be nested so deeply.
const MOST_BRACKETS: usize = 16;

/// A tag: where it begins, and what is between its braces.
struct Tag<'t> {
    at: usize,
    inner: &'t str,
    closed: bool,
    /// Behind its braces.
    after: usize,
}

impl Tag<'_> {
    fn end(&self) -> usize {
        self.at + 2
    }

    /// Whether a value takes its place.
    fn is_value(&self) -> bool {
        !self.inner.starts_with(['#', '^', '/', '>']) && self.inner != "else" && !self.chains()
    }

    fn opens(&self) -> bool {
        self.inner.len() > 1 && self.inner.starts_with(['#', '^'])
    }

    fn closes(&self) -> bool {
        self.inner.starts_with('/')
    }

    /// `else if …`, in which a block follows in the same tag
    fn chains(&self) -> bool {
        self.inner
            .strip_prefix("else")
            .is_some_and(|rest| rest.starts_with(char::is_whitespace) && !rest.trim().is_empty())
    }

    /// The word behind `#`.
    fn name(&self) -> &str {
        let inner = self.inner.trim_start_matches(['#', '^', '/', '*', '>']).trim_start();
        inner.split(|c: char| c.is_whitespace() || c == '}').next().unwrap_or("")
    }
}

/// All tags, comments and escaped ones left out.
fn tags(text: &str) -> impl Iterator<Item = Tag<'_>> {
    with_comments(text).filter(|tag| !tag.inner.starts_with('!'))
}

/// All tags, escaped ones left out.
fn with_comments(text: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let at = rest + text[rest..].find("{{")?;
            // One backslash takes the tag's meaning away; of two, the first takes the second's.
            let escaped = text[..at].ends_with('\\') && !text[..at].ends_with("\\\\");
            let behind = &text[at + 2..];
            let comment = behind.trim_start_matches('~').starts_with("!--");
            let ends: &[&str] = if comment { &["--}}", "--~}}"] } else { &["}}"] };
            let length = ends.iter().filter_map(|end| Some(behind.find(end)? + end.len() - 2)).min();
            rest = at + 2 + length.map_or(behind.len(), |length| length + 2);
            let inner =
                behind[..length.unwrap_or(behind.len())].trim_start_matches(['{', '~']).trim_end_matches('~').trim();
            if !escaped {
                let after = rest + text[rest..].len() - text[rest..].trim_start_matches('}').len();
                return Some(Tag { at, inner, closed: length.is_some(), after });
            }
        }
    })
}

/// Where the tags are, and whether a value takes the place of each.
pub(super) fn places(text: &str) -> impl Iterator<Item = (Range<usize>, bool)> {
    tags(text).map(|tag| (tag.at..tag.after, tag.is_value()))
}

/// The text with every tag and comment covered by a character of one byte, so that all else stands where it stood.
pub(super) fn covered(text: &str, cover: char) -> String {
    let mut covered = String::with_capacity(text.len());
    let mut read = 0;
    for tag in with_comments(text) {
        covered.push_str(&text[read..tag.at]);
        covered.extend(text[tag.at..tag.after].bytes().map(|byte| if byte == b'\n' { '\n' } else { cover }));
        read = tag.after;
    }
    covered + &text[read..]
}

/// Where partials are put in, and their names.
pub(super) fn partials(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    tags(text).filter(|tag| tag.inner.starts_with('>')).map(|tag| {
        let name = tag.inner[1..].trim_start();
        (tag.at..tag.after, name.split(|c: char| c.is_whitespace() || c == '}').next().unwrap_or(""))
    })
}

/// Whether every tag and block is closed and none is nested too deeply; else where, and what is wrong.
pub(super) fn check(text: &str) -> Result<(), (Range<usize>, TemplateProblem)> {
    let mut open: Vec<(Tag<'_>, usize)> = Vec::new();
    let mut depth = 0;
    for tag in tags(text) {
        let span = tag.at..tag.end();
        if !tag.closed || tag.inner.contains("{{") {
            return Err((span, TemplateProblem::TagOpen));
        }
        if deepest(tag.inner) > MOST_BRACKETS {
            return Err((span, TemplateProblem::TooDeep));
        }
        if tag.closes() {
            depth -= open.pop().map_or(0, |(_, levels)| levels);
        } else if tag.opens() {
            depth += 1;
            open.push((tag, 1));
        } else if tag.chains()
            && let Some((_, levels)) = open.last_mut()
        {
            depth += 1;
            *levels += 1;
        }
        if depth > MOST_DEPTH {
            return Err((span, TemplateProblem::TooDeep));
        }
    }
    match open.pop() {
        Some((tag, _)) => Err((tag.at..tag.end() + tag.inner.len(), TemplateProblem::BlockOpen(tag.name().to_owned()))),
        None => Ok(()),
    }
}

fn deepest(tag: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in tag.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Where the first `else` with a block in it follows the tag at `start`, at the same depth.
pub(super) fn chained(text: &str, start: usize) -> usize {
    let mut depth = 0;
    for tag in tags(&text[start..]).skip(1) {
        if tag.chains() && depth == 0 {
            return start + tag.at;
        }
        if tag.opens() {
            depth += 1;
        } else if tag.closes() {
            if depth == 0 {
                break;
            }
            depth -= 1;
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Option<(Range<usize>, String)> {
        check(text).err().map(|(span, problem)| (span, problem.to_string()))
    }

    #[test]
    fn what_is_never_closed_is_found_where_it_opens() {
        assert_eq!(wrong("a {{#if x}}b"), Some((2..9, "{{#if}} is opened here and never closed".into())));
        assert_eq!(wrong("a {{name\nb {{c}}"), Some((2..4, "a tag is opened here and never closed".into())));
        assert_eq!(wrong("a {{name"), Some((2..4, "a tag is opened here and never closed".into())));
        for fine in [
            "{{#if x}}{{else if y}}{{else}}{{/if}}",
            "{{! {{#if}} }}",
            "{{!-- }} {{#if x}} --}}",
            "\\{{#if x}}",
            "{{~#if x~}}{{~/if~}}",
            "",
        ] {
            assert_eq!(wrong(fine), None, "{fine}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(wrong(&("{{#if x}}".repeat(65) + &"{{/if}}".repeat(65))).unwrap().1.contains("too deeply"));
        assert_eq!(wrong(&"{{#if x}}{{/if}}".repeat(1000)), None);
        assert!(
            wrong(&("{{#if x}}".to_owned() + &"{{else\tif x}}".repeat(65) + "{{/if}}"))
                .unwrap()
                .1
                .contains("too deeply")
        );
        assert!(wrong(&("{{a ".to_owned() + &"(".repeat(17) + "}}")).unwrap().1.contains("too deeply"));
    }

    #[test]
    fn tags_are_covered_and_all_else_stays_where_it_is() {
        let text = "ä {{a}} <b> {{! <i> ü\n}}{{!-- }} --}} \\{{c}} {{#if d}}x{{/if}}{{{e}}}";
        let covered = covered(text, ' ');
        assert_eq!((covered.len(), covered.find("<b>")), (text.len(), text.find("<b>")));
        assert_eq!(covered.split_whitespace().collect::<Vec<_>>(), ["ä", "<b>", "\\{{c}}", "x"]);
        let names: Vec<_> = partials("{{> a}} {{~>b/c ~}} {{! > d}}{{x}}").map(|(_, name)| name).collect();
        assert_eq!(names, ["a", "b/c"]);
    }

    #[test]
    fn a_chained_block_is_found() {
        let text = "{{#if a}}{{#if b}}{{else if c}}{{/if}}{{else if d}}{{/if}}";
        assert_eq!(&text[chained(text, 0)..][..13], "{{else if d}}");
        assert_eq!(&text[chained(text, 9)..][..13], "{{else if c}}");
    }
}
