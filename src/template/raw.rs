//! HTML in cells, for columns that `raw_html` names: each cell must be whole, so that it hides or breaks nothing of what
//! stands around it.

use handlebars::{Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext};

use super::veil::veil_raw;

/// The name of the helper that `{{{column}}}` becomes; no tag can hold it, for its space.
pub(super) const RAW_HTML: &str = "raw html";

/// Elements that a cell may hold, with an end tag.
const ELEMENTS: [&str; 44] = [
    "a",
    "abbr",
    "b",
    "big",
    "blockquote",
    "caption",
    "center",
    "cite",
    "code",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "i",
    "ins",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "u",
    "ul",
];

/// Elements that have no end tag.
const VOID: [&str; 5] = ["br", "col", "hr", "img", "wbr"];

/// What is wrong with the HTML of a cell.
pub(super) fn wrong(html: &str) -> Option<String> {
    let mut open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let is_end = rest.starts_with('/');
        let inner = rest.strip_prefix('/').unwrap_or(rest);
        let letters = inner.chars().take_while(char::is_ascii_alphanumeric).count();
        let name = inner[..letters].to_ascii_lowercase();
        if rest.starts_with(['!', '?']) || (is_end && name.is_empty()) {
            return Some("it holds a comment or a declaration".into());
        }
        if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let Some(end) = tag_end(inner) else { return Some(format!("the tag <{name} does not end")) };
        rest = &inner[end..];
        if VOID.contains(&name.as_str()) {
            continue;
        }
        if !ELEMENTS.contains(&name.as_str()) || !inner[letters..].starts_with(|c: char| c.is_whitespace() || c == '>')
        {
            return Some(format!(
                "<{}> cannot stand in a cell",
                inner[..end - 1].split_whitespace().next().unwrap_or("")
            ));
        }
        if !is_end {
            open.push(name);
        } else if open.last() == Some(&name) {
            open.pop();
        } else {
            return Some(format!("</{name}> closes what is not open"));
        }
    }
    open.pop().map(|name| format!("<{name}> is not closed"))
}

/// Behind the `>` of a tag, which may stand in quotation marks before that.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '<' => return None,
            None if c == '>' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Writes a value as it is, veiled, so that it is known where it stands.
pub(super) struct RawHtml;

impl HelperDef for RawHtml {
    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = call.param(0).and_then(|value| value.value().as_str()).unwrap_or("");
        out.write(&veil_raw(value))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_whole() {
        for fine in [
            "",
            "plain < text & more",
            "<b>x</b>",
            "<p title=\"a > b\">x<br></p>",
            "<TABLE><tr><td>1</td></tr></table>",
        ] {
            assert_eq!(wrong(fine), None, "{fine}");
        }
        for (html, why) in [
            ("<b>", "<b> is not closed"),
            ("</div>", "</div> closes what is not open"),
            ("<b><i>x</b></i>", "</b> closes what is not open"),
            ("<p title=\"x", "the tag <p does not end"),
            ("<p", "the tag <p does not end"),
            ("<p <b>x</b>", "the tag <p does not end"),
            ("<!-- x -->", "it holds a comment or a declaration"),
            ("</", "it holds a comment or a declaration"),
            ("<textarea></textarea>", "<textarea> cannot stand in a cell"),
            ("<body>", "<body> cannot stand in a cell"),
            ("<p/x>", "<p/x> cannot stand in a cell"),
        ] {
            assert_eq!(wrong(html).as_deref(), Some(why), "{html}");
        }
    }
}
