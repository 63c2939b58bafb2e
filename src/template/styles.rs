//! The rules of style sheets, written into the elements that they are for, since many mail programs read nothing else.
//!
//! This is done once, before any value is known: css-inline says what applies to each start tag of the text in which
//! all branches of all blocks follow each other, and that is put in there. The text is not parsed and written anew, so
//! that an author's HTML stays as it was written, conditional comments and all. What style sheets are still needed for,
//! such as dark mode and narrow screens, stays in them.

use std::{borrow::Cow, collections::BTreeMap};

use css_inline::CSSInliner;

use super::{
    TemplateProblem,
    elements::{StartTag, resolved, start_tags},
    tags,
};

/// One of the texts that a document is put together from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    Layout,
    Body,
    Partial(String),
    /// Elements that a body of Markdown can become
    Sample,
}

/// What is put in at which places of the pieces.
pub(super) type Insertions = BTreeMap<(Piece, usize), String>;

/// A document put together from its pieces.
#[derive(Debug, Default)]
pub(super) struct Document {
    written: String,
    /// The same without Handlebars' tags, byte for byte in the same places
    covered: String,
    /// Where in it a stretch of a piece begins, and where in the piece
    stretches: Vec<(usize, Piece, usize)>,
}

/// The mark by which an element is found again.
const MARK: &str = "data-apiece";

/// Elements of which nothing can be seen.
const UNSEEN: [&str; 8] = ["html", "head", "meta", "title", "style", "link", "base", "script"];

impl Document {
    /// Goes on with a stretch of a piece.
    pub(super) fn push(&mut self, piece: Piece, start: usize, text: &str) {
        self.stretches.push((self.written.len(), piece, start));
        self.written.push_str(text);
        self.covered.push_str(&tags::covered(text, ' '));
    }

    /// Goes on with a template, its partials in their places.
    pub(super) fn push_template<'t>(
        &mut self,
        piece: &Piece,
        text: &'t str,
        partial: &impl Fn(&str) -> Option<&'t str>,
    ) {
        let mut read = 0;
        for (place, name) in tags::partials(text) {
            self.push(piece.clone(), read, &text[read..place.start]);
            if let Some(inner) = partial(name) {
                self.push_template(&Piece::Partial(name.to_owned()), inner, partial);
            }
            read = place.end;
        }
        self.push(piece.clone(), read, &text[read..]);
    }

    /// What has to be put in so that each element has the styles that the style sheets give it.
    pub(super) fn insertions(&self) -> Result<Insertions, TemplateProblem> {
        let tags: Vec<StartTag> = start_tags(&self.covered).collect();
        let is_used = |tag: &StartTag| is_written_in(tag, &self.written);
        if !tags.iter().any(is_used) {
            return Ok(Insertions::new());
        }
        let mut marked = String::with_capacity(self.covered.len() * 2);
        let mut read = 0;
        for (nth, tag) in tags.iter().enumerate() {
            marked.push_str(&self.covered[read..tag.head.end]);
            read = tag.head.end;
            if tag.name == "style" && !is_used(tag) {
                marked.push_str(" data-css-inline=\"ignore\"");
            } else if !UNSEEN.contains(&&*tag.name) {
                marked.push_str(&format!(" {MARK}=\"{nth}\""));
            }
            // What the element says itself goes behind what is found for it.
            if let Some(own) = tag.attribute("style") {
                marked.push_str(&self.covered[read..own.at]);
                marked.push_str("-tyle");
                read = own.at + "style".len();
            }
        }
        marked.push_str(&self.covered[read..]);
        let inliner = CSSInliner::options().load_remote_stylesheets(false).build();
        let result = inliner.inline(&marked).map_err(|error| TemplateProblem::Css(error.to_string()))?;
        let mut insertions = Insertions::new();
        for found in start_tags(&result) {
            let (Some(mark), Some(style)) = (found.attribute(MARK), found.attribute("style")) else { continue };
            let Some(tag) = result[mark.value.clone()].parse::<usize>().ok().and_then(|nth| tags.get(nth)) else {
                continue;
            };
            let style = resolved(&result[style.value.clone()]);
            let style =
                style.trim_end_matches([' ', ';']).replace('&', "&amp;").replace('"', "&quot;").replace('\n', " ");
            let (at, text) = match tag.attribute("style") {
                None => (tag.head.end, format!(" style=\"{style}\"")),
                // An attribute without quotation marks keeps what it has.
                Some(own) if own.quote == ' ' => continue,
                Some(own) => (own.value.start, format!("{}; ", style.replace('\'', "&#39;"))),
            };
            let nth = self.stretches.partition_point(|(start, ..)| *start <= at).saturating_sub(1);
            if let Some((start, piece, offset)) = self.stretches.get(nth) {
                insertions.entry((piece.clone(), at - start + offset)).or_insert(text);
            }
        }
        Ok(insertions)
    }
}

/// The stretch of a piece that begins at `start`, with what is put in there.
pub(super) fn put_in<'t>(insertions: &Insertions, piece: &Piece, start: usize, text: &'t str) -> Cow<'t, str> {
    let mut out = String::new();
    let mut read = 0;
    for ((_, at), insertion) in insertions.range((piece.clone(), start)..(piece.clone(), start + text.len())) {
        out.push_str(&text[read..at - start]);
        out.push_str(insertion);
        read = at - start;
    }
    if read == 0 && out.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(out + &text[read..]) }
}

/// Whether the rules of a style sheet are written into elements: one for all media, and without Handlebars.
fn is_written_in(tag: &StartTag, html: &str) -> bool {
    let raw = tag.raw.as_ref().filter(|_| tag.name == "style");
    tag.attribute("media").is_none() && raw.is_some_and(|raw| !html[raw.clone()].contains("{{"))
}

/// HTML whose style sheets have only those rules left that could not be written into elements: `@media` and the like,
/// and those with `:hover` and the like. The others are most of what a short message would weigh.
pub(super) fn thinned(html: &str) -> String {
    let mut thinned = String::with_capacity(html.len());
    let mut read = 0;
    for tag in start_tags(html).filter(|tag| is_written_in(tag, html)) {
        let Some(raw) = tag.raw else { continue };
        thinned.push_str(&html[read..raw.start]);
        for rule in rules(&html[raw.clone()]) {
            let selector = rule.split('{').next().unwrap_or("");
            if rule.starts_with('@') || selector.contains(':') {
                thinned.push('\n');
                thinned.push_str(rule);
            }
        }
        thinned.push('\n');
        read = raw.end;
    }
    thinned + &html[read..]
}

/// The rules of a style sheet, those in `@media` as one. Comments between them are left out.
fn rules(css: &str) -> Vec<&str> {
    let mut rules = Vec::new();
    let (mut start, mut depth, mut quote, mut at) = (0, 0_usize, None, 0);
    while let Some(c) = css[at..].chars().next() {
        let mut next = at + c.len_utf8();
        match (quote, c) {
            (_, '\\') => next += css[next..].chars().next().map_or(0, char::len_utf8),
            (Some(open), c) => quote = (c != open).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '/') if css[at..].starts_with("/*") => {
                next = css[at + 2..].find("*/").map_or(css.len(), |length| at + length + 4);
                // Before a rule it is no part of it.
                if css[start..at].trim().is_empty() {
                    start = next;
                }
            }
            (None, '{') => depth += 1,
            (None, '}' | ';') => {
                depth = depth.saturating_sub(usize::from(c == '}'));
                if depth == 0 {
                    rules.push(css[start..next].trim());
                    start = next;
                }
            }
            _ => {}
        }
        at = next;
    }
    rules.push(css[start..].trim());
    rules
}

/// Where a column of a line was before something was put in; both count from 1.
pub(super) fn column_before(insertions: &Insertions, piece: &Piece, text: &str, line: usize, column: usize) -> usize {
    let start = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    let end = start + text[start..].find('\n').unwrap_or(text.len() - start);
    let mut put_in = 0;
    for ((_, at), insertion) in insertions.range((piece.clone(), start)..(piece.clone(), end)) {
        let characters = text[start..*at].chars().count();
        if characters + put_in >= column {
            break;
        }
        put_in += insertion.chars().count();
    }
    column.saturating_sub(put_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlined(template: &str) -> String {
        let mut document = Document::default();
        document.push_template(&Piece::Body, template, &|_| Some("<p>partial</p>"));
        let insertions = document.insertions().unwrap();
        put_in(&insertions, &Piece::Body, 0, template).into_owned()
    }

    const P: &str = "<style>p { color: red; font-family: \"A B\" }</style>";

    #[test]
    fn rules_go_into_the_tags_and_nothing_else_changes() {
        for (written, becomes) in [
            ("<p>x", "<p style=\"color: red;font-family: 'A B'\">x"),
            ("<P class=a >{{name}}</P>", "<P style=\"color: red;font-family: 'A B'\" class=a >{{name}}</P>"),
            ("<p style='margin: 0'>", "<p style='color: red;font-family: &#39;A B&#39;; margin: 0'>"),
            ("<p style=margin:0>", "<p style=margin:0>"),
            (
                "<p {{#if a}}class=\"b\"{{/if}}>{{#if a}}<br><p>{{/if}}",
                "<p style=\"color: red;font-family: 'A B'\" {{#if a}}class=\"b\"{{/if}}>{{#if a}}<br><p style=\"color: red;font-family: 'A B'\">{{/if}}",
            ),
            (
                "<!--[if mso]><b><![endif]--><!-- <p> --><p/>",
                "<!--[if mso]><b><![endif]--><!-- <p> --><p style=\"color: red;font-family: 'A B'\"/>",
            ),
            (
                "<table>{{#each rows}}<tr><td>{{a}}</td></tr>{{/each}}</table>",
                "<table>{{#each rows}}<tr><td>{{a}}</td></tr>{{/each}}</table>",
            ),
        ] {
            assert_eq!(inlined(&format!("{P}{written}")), format!("{P}{becomes}"));
        }
    }

    #[test]
    fn rules_weigh_as_in_a_browser() {
        let rules =
            "<style>p { color: red } .a { color: blue } #b p { margin: 0 } @media print { p { color: black } }</style>";
        assert_eq!(
            inlined(&format!("{rules}<div id=b><p class=\"a {{{{x}}}}\"></div>")),
            format!("{rules}<div id=b><p style=\"color: blue;margin: 0\" class=\"a {{{{x}}}}\"></div>")
        );
        let by_value = "<style>p { color: {{x}} }</style><p>";
        assert_eq!(inlined(by_value), by_value);
    }

    #[test]
    fn only_rules_that_are_still_needed_stay() {
        let css = "/* } */ p { color: red } a:hover { color: red } p::before { content: \"}:\" }\n@media print { p { a: b } }@import 'x;y';b{}/*";
        assert_eq!(
            thinned(&["<i><style>", css, "</style><style media=print>p { color: red }</style>"].concat()),
            "<i><style>\na:hover { color: red }\np::before { content: \"}:\" }\n@media print { p { a: b } }\n@import 'x;y';\n</style>\
             <style media=print>p { color: red }</style>"
        );
        for odd in ["", "{", "}", "}}", "p{", "\"", "'\\", "/*", "/* ü", "\\"] {
            thinned(&["<style>", odd, "</style>"].concat());
        }
        let printed = "<style media=\"print\">p { color: red }</style><p>";
        assert_eq!(inlined(printed), printed);
    }

    #[test]
    fn a_partial_has_its_own_places() {
        let mut document = Document::default();
        document.push_template(&Piece::Body, "<style>p{color:red}</style>{{> a}}<p>{{> a}}", &|_| {
            Some("ab <p>partial</p>")
        });
        let insertions = document.insertions().unwrap();
        let partial = Piece::Partial("a".into());
        assert_eq!(put_in(&insertions, &partial, 0, "ab <p>partial</p>"), "ab <p style=\"color: red\">partial</p>");
        assert_eq!(insertions.len(), 2);
    }

    #[test]
    fn columns_are_those_of_the_file() {
        let text = "<style>p{color:red}</style>\nä <p>{{x}} <p>{{y}}\n";
        let mut document = Document::default();
        document.push(Piece::Body, 0, text);
        let insertions = document.insertions().unwrap();
        let put = put_in(&insertions, &Piece::Body, 0, text);
        for tag in ["<p", "{{x", "{{y"] {
            let column = |text: &str| {
                let line = text.lines().nth(1).unwrap();
                line[..line.find(tag).unwrap()].chars().count() + 1
            };
            assert_eq!(column_before(&insertions, &Piece::Body, text, 2, column(&put)), column(text), "{tag}");
        }
    }
}
