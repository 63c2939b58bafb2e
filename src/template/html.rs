//! HTML: values in it, and text from it.

use html2text::render::{TaggedLine, TextDecorator};

use super::TemplateProblem;

/// Lines of the text part are wrapped at this column.
const TEXT_WIDTH: usize = 78;

/// A value for HTML text and for attribute values, quoted or not.
pub(super) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() + 8);
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

/// The text part of an HTML document.
pub(super) fn to_text(html: &str) -> Result<String, TemplateProblem> {
    html2text::config::with_decorator(Plain::default())
        .no_table_borders()
        .allow_width_overflow()
        .string_from_read(html.as_bytes(), TEXT_WIDTH)
        .map(|text| {
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            lines.join("\n").trim_matches('\n').to_owned() + "\n"
        })
        .map_err(|error| TemplateProblem::Html(error.to_string()))
}

/// Text without marks for bold and the like; links as `text <target>`, as in the text part of Markdown.
#[derive(Default)]
struct Plain {
    link: Option<String>,
}

fn unmarked() -> (String, ()) {
    (String::new(), ())
}

impl TextDecorator for Plain {
    type Annotation = ();

    fn decorate_link_start(&mut self, url: &str) -> (String, ()) {
        // The address of a mailto link nearly always is its text, too.
        self.link = Some(url).filter(|url| !url.starts_with("mailto:") && !url.starts_with('#')).map(str::to_owned);
        unmarked()
    }
    fn decorate_link_end(&mut self) -> String {
        self.link.take().map_or(String::new(), |url| format!(" <{url}>"))
    }
    fn decorate_em_start(&self) -> (String, ()) {
        unmarked()
    }
    fn decorate_em_end(&self) -> String {
        String::new()
    }
    fn decorate_strong_start(&self) -> (String, ()) {
        unmarked()
    }
    fn decorate_strong_end(&self) -> String {
        String::new()
    }
    fn decorate_strikeout_start(&self) -> (String, ()) {
        unmarked()
    }
    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }
    fn decorate_code_start(&self) -> (String, ()) {
        unmarked()
    }
    fn decorate_code_end(&self) -> String {
        String::new()
    }
    fn decorate_preformat_first(&self) {}
    fn decorate_preformat_cont(&self) {}
    fn decorate_image(&mut self, _source: &str, title: &str) -> (String, ()) {
        (title.to_owned(), ())
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
        Self::default()
    }
    fn decorate_superscript_start(&self) -> (String, ()) {
        unmarked()
    }
    fn decorate_superscript_end(&self) -> String {
        String::new()
    }
    fn finalise(&mut self, _urls: Vec<String>) -> Vec<TaggedLine<()>> {
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
}
