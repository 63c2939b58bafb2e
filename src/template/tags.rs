//! The tags of a template as handlebars.js finds them in its text (its `handlebars.l`), before the Rust crate sees
//! them: the two differ about backslashes, comments and spaces. Found too: what is never closed, and what is nested so
//! deeply that a recursive parser would overflow the stack.

use std::ops::Range;

use super::TemplateProblem;

/// Blocks, with their `else` chains, may be nested so deeply.
const MOST_DEPTH: usize = 64;

/// Brackets in a tag may be nested so deeply.
const MOST_BRACKETS: usize = 16;

/// Where something is wrong, and what.
pub(super) type Wrong = (Range<usize>, TemplateProblem);

/// A stretch of a template.
#[derive(Debug)]
pub(super) enum Part {
    /// Text, without the backslashes that escape tags.
    Text(Range<usize>),
    Tag(Tag),
}

/// A tag.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    /// From its first brace to behind its last.
    pub(super) place: Range<usize>,
    /// What is between the braces, without tildes and the sign or word that makes its kind.
    pub(super) inner: Range<usize>,
    pub(super) tildes: Tildes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Comment,
    /// `{{name}}` or `{{helper …}}`
    Value,
    /// `{{{name}}}` or `{{&name}}`
    Raw,
    /// `{{> name}}`
    Partial,
    /// `{{#if …}}`
    Open,
    /// `{{else}}` or `{{^}}`
    Else,
    /// `{{else if …}}`
    ElseBlock,
    /// `{{/if}}`
    Close,
}

/// On which sides of a tag white space is taken away.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tildes {
    pub(super) before: bool,
    pub(super) after: bool,
}

/// All stretches of a text, in order.
pub(super) fn read(text: &str) -> Result<Vec<Part>, Wrong> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find("{{") {
        let at = from + found;
        let before = &text[from..at];
        let escape = before.ends_with('\\');
        push(&mut parts, from..at - usize::from(escape));
        // Of two backslashes, the first takes the second's meaning away.
        if escape && !before.ends_with("\\\\") {
            from = escaped_until(text, at);
            push(&mut parts, at..from);
        } else {
            let tag = tag_at(text, at)?;
            from = tag.place.end;
            parts.push(Part::Tag(tag));
        }
    }
    push(&mut parts, from..text.len());
    Ok(parts)
}

fn push(parts: &mut Vec<Part>, text: Range<usize>) {
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}

/// Where the text ends that an escaped tag begins: before the next tag, or the backslashes before that.
fn escaped_until(text: &str, at: usize) -> usize {
    let least = at + 2;
    let Some(found) = text[least..].find("{{") else { return text.len() };
    let backslashes = text[least..least + found].bytes().rev().take(2).take_while(|byte| *byte == b'\\').count();
    least + found - backslashes
}

fn tag_at(text: &str, at: usize) -> Result<Tag, Wrong> {
    let braces = at..at + 2;
    if text[at..].starts_with("{{{{") {
        return Err((at..at + 4, TemplateProblem::RawBlock));
    }
    let before = text[braces.end..].starts_with('~');
    let start = braces.end + usize::from(before);
    let behind = &text[start..];
    let trimmed = behind.trim_start();
    let word = start + behind.len() - trimmed.len();
    let open = || (braces.clone(), TemplateProblem::TagOpen);

    if behind.starts_with('!') {
        let ends: &[&str] = if behind.starts_with("!--") { &["--}}", "--~}}"] } else { &["}}"] };
        let end = ends.iter().filter_map(|end| Some(behind[1..].find(end)? + end.len())).min().ok_or_else(open)?;
        let end = start + 1 + end;
        let tildes = Tildes { before, after: text[..end].ends_with("~}}") };
        return Ok(Tag { kind: Kind::Comment, place: at..end, inner: start..start, tildes });
    }
    if let Some(sign) = trimmed.chars().next().filter(|c| "#/>^!&*{~".contains(*c))
        && (word > start || sign == '~')
    {
        let why = format!("there is no {sign} behind a space or a tilde");
        let instead = if sign == '~' { "write {{~ at the beginning" } else { "write it right behind {{ or {{~" };
        return Err((word..word + 1, TemplateProblem::unlike(why, instead)));
    }
    let else_word = trimmed.strip_prefix("else").filter(|rest| !rest.starts_with(is_word));
    for rest in else_word.into_iter().chain(trimmed.strip_prefix('^')) {
        let close = rest.trim_start();
        let after = close.starts_with('~');
        if close[usize::from(after)..].starts_with("}}") {
            let inner = text.len() - rest.len();
            let end = text.len() - close.len() + usize::from(after) + 2;
            let tildes = Tildes { before, after };
            return Ok(Tag { kind: Kind::Else, place: at..end, inner: inner..inner, tildes });
        }
    }
    let (kind, inner) = match trimmed.chars().next() {
        _ if else_word.is_some() => (Kind::ElseBlock, word + "else".len()),
        Some('^') => {
            let instead = "write {{#unless …}}…{{/unless}}, or {{else if …}} within a block";
            return Err((braces, TemplateProblem::unlike("{{^…}} with a name is not available", instead)));
        }
        Some('#') => (Kind::Open, word + 1),
        Some('/') => (Kind::Close, word + 1),
        Some('>') => (Kind::Partial, word + 1),
        Some('{' | '&') => (Kind::Raw, word + 1),
        Some('*') => return Err((braces, TemplateProblem::Partial)),
        _ => (Kind::Value, word),
    };
    if kind == Kind::Open && text[inner..].trim_start().starts_with(['>', '*']) {
        return Err((braces, TemplateProblem::Partial));
    }
    let three = trimmed.starts_with('{');
    let (end, place_end, after) = closed_at(text, inner, three).ok_or_else(open)?;
    if !three && !after && text[place_end..].starts_with('}') {
        let why = "a tag that begins with two braces ends with three";
        let instead = format!("write {}{{{{!}}}}}} if a brace follows", &text[at..place_end]);
        return Err((place_end..place_end + 1, TemplateProblem::unlike(why, instead)));
    }
    Ok(Tag { kind, place: at..place_end, inner: inner..end, tildes: Tildes { before, after } })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where what is in a tag ends, where the tag itself does, and whether with a tilde; nowhere if it is never closed.
fn closed_at(text: &str, inner: usize, three: bool) -> Option<(usize, usize, bool)> {
    let mut at = inner;
    loop {
        let rest = &text[at..];
        let c = rest.chars().next()?;
        at += match c {
            '"' | '\'' => quoted_length(rest, c)?,
            '[' => rest.find(']')? + 1,
            '{' if rest.starts_with("{{") => return None,
            '}' if three && rest.starts_with("}}}") => return Some((at, at + 3, false)),
            '}' if three && rest.starts_with("}~}}") => return Some((at, at + 4, true)),
            '}' if rest.starts_with("}}") => return Some((at, at + 2, false)),
            '~' if rest.starts_with("~}}") => return Some((at, at + 3, true)),
            c => c.len_utf8(),
        };
    }
}

/// The length of a text in quotation marks, with them.
pub(super) fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let end = c == quote && !escaped;
        escaped = c == '\\';
        end.then_some(at + 1)
    })
}

/// Where the tags are, and whether a value takes the place of each; none in a text that cannot be read.
pub(super) fn places(text: &str) -> impl Iterator<Item = (Range<usize>, bool)> {
    read(text).unwrap_or_default().into_iter().filter_map(|part| match part {
        Part::Tag(tag) => Some((tag.place, matches!(tag.kind, Kind::Value | Kind::Raw))),
        Part::Text(_) => None,
    })
}

/// The text with every tag and comment covered by a character of one byte, so that all else stands where it stood.
pub(super) fn covered(text: &str, cover: char) -> String {
    let mut covered = String::with_capacity(text.len());
    let mut read = 0;
    for (place, _) in places(text) {
        covered.push_str(&text[read..place.start]);
        covered.extend(text[place.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { cover }));
        read = place.end;
    }
    covered + &text[read..]
}

/// Where partials are put in, and their names.
pub(super) fn partials(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    read(text).unwrap_or_default().into_iter().filter_map(move |part| match part {
        Part::Tag(tag) if tag.kind == Kind::Partial => Some((tag.place, text[tag.inner].trim())),
        _ => None,
    })
}

/// Whether every block is closed and nothing is nested too deeply; else where, and what is wrong.
pub(super) fn check_nesting(text: &str, parts: &[Part]) -> Result<(), Wrong> {
    let mut open: Vec<(&Tag, usize)> = Vec::new();
    let mut depth = 0;
    for part in parts {
        let Part::Tag(tag) = part else { continue };
        let span = tag.place.start..tag.place.start + 2;
        if deepest(&text[tag.inner.clone()]) > MOST_BRACKETS {
            return Err((span, TemplateProblem::TooDeep));
        }
        match tag.kind {
            Kind::Close => depth -= open.pop().map_or(0, |(_, levels)| levels),
            Kind::Open => {
                depth += 1;
                open.push((tag, 1));
            }
            Kind::ElseBlock => {
                if let Some((_, levels)) = open.last_mut() {
                    depth += 1;
                    *levels += 1;
                }
            }
            _ => {}
        }
        if depth > MOST_DEPTH {
            return Err((span, TemplateProblem::TooDeep));
        }
    }
    match open.pop() {
        Some((tag, _)) => {
            let inner = &text[tag.inner.clone()];
            let name = inner.split_whitespace().next().unwrap_or("").to_owned();
            Err((tag.place.start..tag.inner.start + inner.trim_end().len(), TemplateProblem::BlockOpen(name)))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Option<(Range<usize>, String)> {
        let checked = read(text).and_then(|parts| check_nesting(text, &parts));
        checked.err().map(|(span, problem)| (span, problem.to_string()))
    }

    #[test]
    fn what_is_never_closed_is_found_where_it_opens() {
        assert_eq!(wrong("a {{#if x}}b"), Some((2..9, "{{#if}} is opened here and never closed".into())));
        for open in ["a {{name\nb {{c}}", "a {{name", "a {{x \"}}", "a {{!-- }}", "a {{! b", "a {{x [}}"] {
            assert_eq!(wrong(open), Some((2..4, "a tag is opened here and never closed".into())), "{open}");
        }
        for fine in [
            "{{#if x}}{{else if y}}{{else}}{{/if}}",
            "{{! {{#if}} }}",
            "{{!-- }} {{#if x}} --}}",
            "{{!--}}",
            "\\{{#if x}}",
            "{{~#if x~}}{{~/if~}}",
            "{{default x \"}}\"}}",
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
        let text = "ä {{a}} <b> {{! <i> ü\n}}{{!-- }} --}} \\{{c}} {{#if d}}x{{/if}}{{&e}}";
        let covered = covered(text, ' ');
        assert_eq!((covered.len(), covered.find("<b>")), (text.len(), text.find("<b>")));
        assert_eq!(covered.split_whitespace().collect::<Vec<_>>(), ["ä", "<b>", "\\{{c}}", "x"]);
        let names: Vec<_> = partials("{{> a}} {{~>b/c ~}} {{! > d}}{{x}}").map(|(_, name)| name).collect();
        assert_eq!(names, ["a", "b/c"]);
    }

    #[test]
    fn one_backslash_makes_text_of_a_tag() {
        let texts = |text: &str| -> Vec<String> {
            let part = |part| match part {
                Part::Text(stretch) => text[stretch].to_owned(),
                Part::Tag(tag) => format!("<{}>", &text[tag.inner]),
            };
            read(text).unwrap().into_iter().map(part).collect()
        };
        assert_eq!(texts("a\\{{b}}c{{d}}"), ["a", "{{b}}c", "<d>"]);
        assert_eq!(texts("a\\\\{{b}}"), ["a\\", "<b>"]);
        assert_eq!(texts("a\\\\\\{{b}}"), ["a\\\\", "<b>"]);
        assert_eq!(texts("\\{{b}}\\{{c}}\\\\{{d}}"), ["{{b}}", "{{c}}", "\\", "<d>"]);
    }
}
