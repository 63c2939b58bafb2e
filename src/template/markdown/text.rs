//! The text part of a Markdown message.

use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

use crate::template::html::{bare, to_text};

/// Writes events as plain text: lines as the author broke them, links as `text <target>`.
pub(super) fn write(events: &[Event<'_>]) -> String {
    let mut writer = Writer::default();
    for event in events {
        writer.event(event);
    }
    writer.end_line();
    let mut text = writer.text.trim_matches('\n').to_owned();
    text.push('\n');
    text
}

#[derive(Default)]
struct Writer {
    text: String,
    /// The line being written.
    line: String,
    /// What stands before every line: quotation marks and indentation.
    prefix: Vec<String>,
    /// A blank line is due before the next block.
    gap: bool,
    /// The number of the next item of each list being written; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The mark of the item that has just begun, for its first line.
    mark: Option<String>,
    /// Targets of the links being written, with the length of the line where each began.
    links: Vec<(String, usize)>,
    table: Option<Vec<Vec<String>>>,
    code: bool,
    /// The HTML block being read.
    html: String,
}

impl Writer {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(end) => self.end(*end),
            Event::Text(text) if self.code => {
                for line in text.split_inclusive('\n') {
                    self.line.push_str(line.trim_end_matches('\n'));
                    if line.ends_with('\n') {
                        self.end_line();
                    }
                }
            }
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.line.push_str(text);
            }
            Event::InlineHtml(tag) => self.inline(tag),
            Event::SoftBreak | Event::HardBreak => self.break_line(),
            Event::Rule => {
                self.block();
                self.line.push_str("----");
                self.end_block();
            }
            Event::Html(html) => self.html.push_str(html),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::Heading { .. } => self.block(),
            Tag::CodeBlock(_) => {
                self.block();
                self.prefix.push("    ".into());
                self.code = true;
            }
            Tag::BlockQuote(_) => {
                self.block();
                self.prefix.push("> ".into());
            }
            Tag::List(first) => {
                self.end_line();
                if self.lists.is_empty() {
                    self.block();
                }
                self.lists.push(*first);
            }
            Tag::Item => {
                self.end_line();
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "- ".into(),
                };
                self.open_gap();
                self.prefix.push(" ".repeat(mark.len()));
                self.mark = Some(mark);
            }
            Tag::Link { dest_url, .. } => self.links.push((dest_url.to_string(), self.line.len())),
            Tag::Table(_) => {
                self.block();
                self.table = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(rows) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, end: TagEnd) {
        match end {
            TagEnd::Paragraph => self.end_block(),
            TagEnd::Heading(level) => {
                let width = self.line.chars().count();
                let underline = match level {
                    HeadingLevel::H1 => "=",
                    HeadingLevel::H2 => "-",
                    _ => "",
                };
                self.end_line();
                if width > 0 && !underline.is_empty() {
                    self.line.push_str(&underline.repeat(width));
                }
                self.end_block();
            }
            TagEnd::CodeBlock => {
                self.code = false;
                self.end_line();
                self.prefix.pop();
                self.gap = true;
            }
            TagEnd::BlockQuote(_) => {
                self.end_line();
                self.prefix.pop();
                self.gap = true;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.gap = self.lists.is_empty();
            }
            TagEnd::Item => {
                // An empty item still shows its mark.
                if self.mark.is_some() {
                    self.flush();
                }
                self.end_line();
                self.prefix.pop();
            }
            TagEnd::Link => self.end_link(),
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.line);
                if let Some(row) = self.table.as_mut().and_then(|rows| rows.last_mut()) {
                    row.push(cell.trim().to_owned());
                }
            }
            TagEnd::Table => self.write_table(),
            TagEnd::HtmlBlock => self.write_html(),
            _ => {}
        }
    }

    /// Says where a link went, unless its text did.
    fn end_link(&mut self) {
        if let Some((target, from)) = self.links.pop() {
            let plain = bare(&target);
            if self.line.get(from..).unwrap_or("") != plain {
                self.line.push_str(&format!(" <{plain}>"));
            }
        }
    }

    /// A tag in the middle of text: line breaks and links mean something without HTML, too.
    fn inline(&mut self, tag: &str) {
        let lower = tag.to_ascii_lowercase();
        if lower.starts_with("<br") {
            self.break_line();
        } else if lower.starts_with("</a") {
            self.end_link();
        } else if lower.starts_with("<a ")
            && let Some(at) = lower.find("href=\"")
        {
            let target = tag[at + 6..].split('"').next().unwrap_or("").replace("&amp;", "&");
            self.links.push((target, self.line.len()));
        }
    }

    fn write_html(&mut self) {
        let html = std::mem::take(&mut self.html);
        let text = to_text(&html).unwrap_or_default();
        if text.trim().is_empty() {
            return;
        }
        self.block();
        for line in text.trim_matches('\n').lines() {
            self.line.push_str(line);
            self.flush();
        }
        self.gap = true;
    }

    fn write_table(&mut self) {
        let rows = self.table.take().unwrap_or_default();
        let width = |cell: &String| cell.chars().count();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> =
            (0..columns).map(|nth| rows.iter().filter_map(|row| row.get(nth)).map(width).max().unwrap_or(0)).collect();
        for (nth, row) in rows.iter().enumerate() {
            for (cell, full) in row.iter().zip(&widths) {
                self.line.push_str(cell);
                self.line.push_str(&" ".repeat(full - width(cell) + 2));
            }
            self.end_line();
            if nth == 0 {
                let rule: Vec<String> = widths.iter().map(|full| "-".repeat(*full)).collect();
                self.line = rule.join("  ");
                self.end_line();
            }
        }
        self.gap = true;
    }

    /// Within a table a cell is one line.
    fn break_line(&mut self) {
        if self.table.is_some() {
            self.line.push(' ');
        } else {
            self.flush();
        }
    }

    fn block(&mut self) {
        self.end_line();
        if self.mark.is_none() {
            self.open_gap();
        }
    }

    fn open_gap(&mut self) {
        if std::mem::take(&mut self.gap) && !self.text.is_empty() {
            let prefix = self.prefix.concat();
            self.text.push_str(prefix.trim_end());
            self.text.push('\n');
        }
    }

    fn end_block(&mut self) {
        self.end_line();
        self.gap = true;
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.flush();
        }
    }

    /// Writes the line, even if nothing is on it.
    fn flush(&mut self) {
        let mut line = self.prefix.concat();
        if let Some(mark) = self.mark.take() {
            line.truncate(line.len() - mark.len());
            line.push_str(&mark);
        }
        line.push_str(&self.line);
        self.line.clear();
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Options, Parser};

    fn text(markdown: &str) -> String {
        super::write(&Parser::new_ext(markdown, Options::ENABLE_TABLES).collect::<Vec<_>>())
    }

    #[test]
    fn a_letter_reads_as_it_was_written() {
        assert_eq!(
            text(
                "Dear *Ada*,\n\nfirst line\nsecond line\n\n# Head\n\n- one\n- two\n  more\n\n1. a\n2. b\n\n> quoted\n> text\n\nBye  \nBo\n"
            ),
            "Dear Ada,\n\nfirst line\nsecond line\n\nHead\n====\n\n- one\n- two\n  more\n\n1. a\n2. b\n\n> quoted\n> text\n\nBye\nBo\n"
        );
    }

    #[test]
    fn links_show_where_they_go() {
        assert_eq!(
            text("See [the page](https://one.example/) or <https://two.example/> or <a@one.example>."),
            "See the page <https://one.example/> or https://two.example/ or a@one.example.\n"
        );
    }

    #[test]
    fn html_in_markdown_is_not_lost() {
        assert_eq!(text("<div style=\"color: red\">\nOn <b>Monday</b>.\n</div>\n\nBye\n"), "On Monday.\n\nBye\n");
        assert_eq!(
            text("<p>One</p>\nTwo\n\nThree <a href=\"https://one.example/\">x</a><br>y\n"),
            "One\n\nTwo\n\nThree x <https://one.example/>\ny\n"
        );
        assert_eq!(text("a\n\n<!-- nothing -->\n\nb\n"), "a\n\nb\n");
    }

    #[test]
    fn tables_are_aligned() {
        assert_eq!(text("| Day | Time |\n|---|---|\n| Monday | 9 |\n"), "Day     Time\n------  ----\nMonday  9\n");
    }

    #[test]
    fn nested_lists_loose_lists_and_code() {
        assert_eq!(text("- a\n  - b\n    - c\n- d\n"), "- a\n  - b\n    - c\n- d\n");
        assert_eq!(text("- a\n\n- b\n\n  b2\n"), "- a\n\n- b\n\n  b2\n");
        assert_eq!(text("x\n\n    code\n     more\n\ny\n"), "x\n\n    code\n     more\n\ny\n");
        assert_eq!(text("-\n- b\n"), "-\n- b\n");
    }
}
