//! HTML: values in it, and text from it.

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
    html2text::config::plain()
        .no_table_borders()
        .allow_width_overflow()
        .string_from_read(html.as_bytes(), TEXT_WIDTH)
        .map(|text| {
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            lines.join("\n").trim_matches('\n').to_owned() + "\n"
        })
        .map_err(|error| TemplateProblem::Html(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_well_as_text() {
        let html = "<html><head><style>p{}</style></head><body><h1>Hello</h1><p>See <a href=\"https://one.example/\">this</a>.</p>\
                    <table><tr><th>Day</th><td>Monday &amp; Tuesday</td></tr></table></body></html>";
        let text = to_text(html).unwrap();
        assert!(text.contains("Hello") && text.contains("https://one.example/") && text.contains("Monday & Tuesday"), "{text}");
        assert!(!text.contains("p{}"), "{text}");
    }
}
