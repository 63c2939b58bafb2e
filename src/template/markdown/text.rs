//! The text part of a Markdown message.

use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

use crate::template::{
    html,
    text::{Wide, Writer},
};

/// Writes events as plain text: lines as the author broke them where they are not too long, links as `text <target>`.
pub(super) fn write(events: &[Event<'_>]) -> String {
    let mut writer = MarkdownWriter::default();
    for event in events {
        writer.event(event);
    }
    writer.text.finish()
}

#[derive(Default)]
struct MarkdownWriter {
    text: Writer,
    is_in_code: bool,
    /// The HTML block being read.
    html: String,
}

impl MarkdownWriter {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(end) => self.end(*end),
            Event::Text(text) if self.is_in_code => self.text.push_code(text),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.text.push(text);
            }
            // Line breaks and links mean something without HTML, too.
            Event::InlineHtml(tag) => html::write_inline(&mut self.text, tag),
            Event::SoftBreak => self.text.soft_break(),
            Event::HardBreak => self.text.hard_break(),
            Event::Rule => self.text.rule(),
            Event::Html(html) => self.html.push_str(html),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::Heading { .. } => self.text.block(),
            Tag::CodeBlock(_) => {
                self.text.block();
                self.text.indent("    ");
                self.text.code();
                self.is_in_code = true;
            }
            Tag::BlockQuote(_) => {
                self.text.block();
                self.text.indent("> ");
            }
            Tag::List(first) => self.text.list(*first),
            Tag::Item => self.text.item(),
            Tag::Link { dest_url, .. } => self.text.link(dest_url),
            Tag::Table(_) => self.text.begin_table(Wide::Kept),
            Tag::TableHead | Tag::TableRow => self.text.row(),
            _ => {}
        }
    }

    fn end(&mut self, end: TagEnd) {
        match end {
            TagEnd::Paragraph => self.text.end_block(),
            TagEnd::Heading(level) => self.text.end_heading(match level {
                HeadingLevel::H1 => "=",
                HeadingLevel::H2 => "-",
                _ => "",
            }),
            TagEnd::CodeBlock => {
                self.is_in_code = false;
                self.text.end_code();
                self.text.unindent();
                self.text.end_block();
            }
            TagEnd::BlockQuote(_) => {
                self.text.unindent();
                self.text.end_block();
            }
            TagEnd::List(_) => self.text.end_list(),
            TagEnd::Item => self.text.end_item(),
            TagEnd::Link => self.text.end_link(),
            TagEnd::TableHead => self.text.end_heading_row(),
            TagEnd::TableCell => self.text.end_cell(),
            TagEnd::Table => self.text.end_table(),
            TagEnd::HtmlBlock => html::write(&mut self.text, &std::mem::take(&mut self.html)),
            _ => {}
        }
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

    /// Short words up to so many columns.
    fn words(columns: usize) -> String {
        let words = "word ".repeat(columns / 5);
        format!("{words}{}", "x".repeat(columns - words.len()))
    }

    #[test]
    fn lines_that_are_too_long_flow_on() {
        let (full, more) = (words(78), words(76));
        for (markdown, written) in [
            (format!("{full}\nnext\n"), format!("{full}\nnext\n")),
            (format!("{full} more\nnext\nlast\n"), format!("{full}\nmore next\nlast\n")),
            (format!("{full} more\\\nnext\n"), format!("{full}\nmore\nnext\n")),
            (format!("- {more} more\n  next\n- b\n"), format!("- {more}\n  more next\n- b\n")),
            (format!("10. {more} more\n"), format!("10. {}\n    {} more\n", &more[..74], &more[75..])),
            (format!("> {more} more\n"), format!("> {more}\n> more\n")),
            (format!("> - {more}\n"), format!("> - {}\n>   {}\n", &more[..74], &more[75..])),
            (format!("# {full} more\n"), format!("{full}\nmore\n{}\n", "=".repeat(78))),
            (format!("    {full} more\n"), format!("    {full} more\n")),
            (format!("| {full} | b |\n|---|---|\n"), format!("{full}  b\n{}  -\n", "-".repeat(78))),
            (format!("<div>\n{full} more\n</div>\n\nb\n"), format!("{full}\nmore\n\nb\n")),
            (format!("[{full}](https://one.example/)\n"), format!("{full}\n<https://one.example/>\n")),
        ] {
            assert_eq!(text(&markdown), written, "{markdown}");
        }
    }

    #[test]
    fn a_signature_is_one() {
        assert_eq!(text("Bye\n\n-- \nAda\n"), "Bye\n\n-- \nAda\n");
    }
}
