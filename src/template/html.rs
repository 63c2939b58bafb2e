//! HTML: values in it, and text from it.

use html2text::render::{TaggedLine, TextDecorator};

use super::TemplateProblem;

/// Lines of the text part are wrapped at this column.
const TEXT_WIDTH: usize = 78;

/// A value for HTML text and for attribute values, quoted or not.
pub(super) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() + 8);
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ') {
        escaped.push_str(value);
        return escaped;
    }
    for c in value.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '`' => escaped.push_str("&#96;"),
            '=' => escaped.push_str("&#61;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The text part of an HTML document: links as `text <target>`, as in the text part of Markdown.
pub(super) fn to_text(html: &str) -> Result<String, TemplateProblem> {
    let lines = html2text::config::with_decorator(Plain)
        .no_table_borders()
        .allow_width_overflow()
        .unicode_strikeout(false)
        .lines_from_read(html.as_bytes(), TEXT_WIDTH)
        .map_err(|error| TemplateProblem::Html(error.to_string()))?;
    let mut text = String::new();
    let mut link: Option<OpenLink> = None;
    for line in lines {
        for piece in line.tagged_strings() {
            let target = piece.tag.iter().rev().find_map(|link| link.0.clone());
            if target.as_ref() != link.as_ref().map(|link| &link.target) {
                link.take().inspect(|link| link.close(&mut text));
                link = target.map(|target| OpenLink { target, shown: String::new(), start: text.len() });
            }
            if let Some(link) = &mut link {
                link.shown.push_str(&piece.s);
            }
            text.push_str(&piece.s);
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    link.inspect(|link| link.close(&mut text));
    Ok(text.trim_matches('\n').to_owned() + "\n")
}

/// A link's target as people write it: an address without its scheme.
pub(super) fn bare(target: &str) -> &str {
    target.strip_prefix("mailto:").or(target.strip_prefix("tel:")).unwrap_or(target)
}

/// A link whose text is being written.
struct OpenLink {
    target: String,
    shown: String,
    /// Where its text begins.
    start: usize,
}

impl OpenLink {
    /// Says where it goes, unless its text says so already; that is put together again if it was wrapped.
    fn close(&self, text: &mut String) {
        let target = bare(&self.target);
        let end = text.trim_end().len();
        if self.shown.trim() == target {
            text.replace_range(self.start.min(end)..end, target);
        } else if !target.starts_with('#') {
            text.insert_str(end, &format!(" <{target}>"));
        }
    }
}

/// The target of the link that a stretch of text belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Link(Option<String>);

/// Text without marks for bold and the like.
struct Plain;

fn unmarked() -> (String, Link) {
    (String::new(), Link(None))
}

impl TextDecorator for Plain {
    type Annotation = Link;

    fn decorate_link_start(&mut self, url: &str) -> (String, Link) {
        (String::new(), Link(Some(url.to_owned())))
    }
    fn decorate_link_end(&mut self) -> String {
        String::new()
    }
    fn decorate_em_start(&self) -> (String, Link) {
        unmarked()
    }
    fn decorate_em_end(&self) -> String {
        String::new()
    }
    fn decorate_strong_start(&self) -> (String, Link) {
        unmarked()
    }
    fn decorate_strong_end(&self) -> String {
        String::new()
    }
    fn decorate_strikeout_start(&self) -> (String, Link) {
        unmarked()
    }
    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }
    fn decorate_code_start(&self) -> (String, Link) {
        unmarked()
    }
    fn decorate_code_end(&self) -> String {
        String::new()
    }
    fn decorate_preformat_first(&self) -> Link {
        Link(None)
    }
    fn decorate_preformat_cont(&self) -> Link {
        Link(None)
    }
    fn decorate_image(&mut self, _source: &str, title: &str) -> (String, Link) {
        (title.to_owned(), Link(None))
    }
    fn header_prefix(&self, _level: usize) -> String {
        String::new()
    }
    fn quote_prefix(&self) -> String {
        "> ".into()
    }
    fn unordered_item_prefix(&self) -> String {
        "- ".into()
    }
    fn ordered_item_prefix(&self, number: i64) -> String {
        format!("{number}. ")
    }
    fn make_subblock_decorator(&self) -> Self {
        Self
    }
    fn decorate_superscript_start(&self) -> (String, Link) {
        unmarked()
    }
    fn decorate_superscript_end(&self) -> String {
        String::new()
    }
    fn finalise(&mut self, _urls: Vec<String>) -> Vec<TaggedLine<Link>> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_well_as_text() {
        let html = "<html><head><style>p{}</style></head><body><h1>Hello</h1><p>See <a href=\"https://one.example/\">this</a>.</p>\
                    <table><tr><th>Day</th><td>Monday &amp; Tuesday</td></tr></table></body></html>";
        let text = to_text(html).unwrap();
        assert_eq!(text, "Hello\n\nSee this <https://one.example/>.\n\nDay Monday & Tuesday\n");
    }

    #[test]
    fn links_stay_whole_and_are_said_once() {
        let long = format!("https://one.example/{}", "x".repeat(100));
        for (html, text) in [
            (format!("<a href=\"{long}\">go</a>"), format!("go <{long}>\n")),
            (format!("<a href=\"{long}\">{long}</a>."), format!("{long}.\n")),
            ("<a href=\"mailto:a@b.example\">a@b.example</a>".into(), "a@b.example\n".into()),
            ("<a href=\"mailto:a@b.example\">write</a> now".into(), "write <a@b.example> now\n".into()),
            ("<del>old</del> <b>new</b>".into(), "old new\n".into()),
        ] {
            assert_eq!(to_text(&html).unwrap(), text);
        }
    }
}
