//! Markdown's events as HTML, each element with the style that the layout has for it.

use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, LinkType, Tag, TagEnd};
use pulldown_cmark_escape::{escape_href, escape_html, escape_html_body_text};

use super::styled::{Element, Styles, Within};

/// Writes a body. Without styles it is what pulldown-cmark itself would write.
pub(super) fn write(events: &[Event<'_>], styles: &Styles) -> String {
    let mut writer = Writer {
        html: String::with_capacity(1024),
        styles,
        within: vec![Within::Page],
        alignments: Vec::new(),
        cell: 0,
        lists: Vec::new(),
        alternative: 0,
        image_title: Vec::new(),
    };
    for event in events {
        writer.event(event);
    }
    writer.html
}

struct Writer<'s> {
    html: String,
    styles: &'s Styles,
    /// What this is in, the innermost last
    within: Vec<Within>,
    alignments: Vec<Alignment>,
    /// The number of the cell in its row
    cell: usize,
    /// Whether each list that is open is numbered
    lists: Vec<bool>,
    /// How many images this is in, whose text is an attribute
    alternative: usize,
    image_title: Vec<String>,
}

impl Writer<'_> {
    fn event(&mut self, event: &Event<'_>) {
        if self.alternative > 0 {
            self.alternative_text(event);
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(*tag),
            Event::Text(text) => self.text(text),
            Event::Code(code) => {
                self.open("code", Element::Code, "");
                self.text(code);
                self.html.push_str("</code>");
            }
            Event::Html(html) | Event::InlineHtml(html) => self.html.push_str(html),
            Event::SoftBreak => self.html.push('\n'),
            Event::HardBreak => self.html.push_str("<br />\n"),
            Event::Rule => {
                self.line();
                self.html.push_str("<hr");
                self.style(Element::Rule);
                self.html.push_str(" />\n");
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph => self.block("p", Element::Paragraph, ""),
            Tag::Heading { level, .. } => {
                self.block(&level.to_string(), Element::Heading(*level), "");
                self.within.push(Within::Heading);
            }
            Tag::BlockQuote(_) => {
                self.block("blockquote", Element::Quote, "\n");
                self.within.push(Within::Quote);
            }
            Tag::CodeBlock(kind) => {
                self.block("pre", Element::Block, "");
                self.within.push(Within::Block);
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split(' ').next().unwrap_or(""),
                    CodeBlockKind::Indented => "",
                };
                self.html.push_str("<code");
                if !language.is_empty() {
                    self.html.push_str(" class=\"language-");
                    self.attribute(language);
                    self.html.push('"');
                }
                self.style(Element::Code);
                self.html.push('>');
            }
            Tag::List(first) => {
                self.line();
                let (name, element) =
                    if first.is_some() { ("ol", Element::Numbered) } else { ("ul", Element::Bulleted) };
                self.html.push_str(&format!("<{name}"));
                if let Some(first) = first.filter(|first| *first != 1) {
                    self.html.push_str(&format!(" start=\"{first}\""));
                }
                self.style(element);
                self.html.push_str(">\n");
                self.lists.push(first.is_some());
            }
            Tag::Item => {
                let is_numbered = self.lists.last() == Some(&true);
                let element = if is_numbered { Element::NumberedItem } else { Element::BulletedItem };
                self.block("li", element, "");
                self.within.push(Within::Item);
            }
            Tag::Table(alignments) => {
                self.alignments.clone_from(alignments);
                self.open("table", Element::Table, "");
            }
            Tag::TableHead => {
                self.open("thead", Element::Head, "");
                self.open("tr", Element::HeadRow, "");
                self.within.push(Within::HeadCell);
                self.cell = 0;
            }
            Tag::TableRow => {
                self.open("tr", Element::Row, "");
                self.within.push(Within::Cell);
                self.cell = 0;
            }
            Tag::TableCell => self.table_cell(),
            Tag::Emphasis => self.open("em", Element::Emphasis, ""),
            Tag::Strong => self.open("strong", Element::Strong, ""),
            Tag::Link { link_type, dest_url, title, .. } => {
                self.html.push_str("<a href=\"");
                if *link_type == LinkType::Email {
                    self.html.push_str("mailto:");
                }
                self.address(dest_url);
                self.title(title);
                self.html.push('"');
                self.style(Element::Link);
                self.html.push('>');
            }
            Tag::Image { dest_url, title, .. } => {
                self.html.push_str("<img src=\"");
                self.address(dest_url);
                self.html.push_str("\" alt=\"");
                self.alternative = 1;
                self.image_title.push(title.to_string());
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.html.push_str("</p>\n"),
            TagEnd::Heading(level) => self.close(&format!("</{level}>\n")),
            TagEnd::BlockQuote(_) => self.close("</blockquote>\n"),
            TagEnd::CodeBlock => self.close("</code></pre>\n"),
            TagEnd::List(numbered) => {
                self.lists.pop();
                self.html.push_str(if numbered { "</ol>\n" } else { "</ul>\n" });
            }
            TagEnd::Item => self.close("</li>\n"),
            TagEnd::Table => self.html.push_str("</tbody></table>\n"),
            TagEnd::TableHead => {
                self.close("</tr></thead>");
                self.open("tbody", Element::Rows, "\n");
            }
            TagEnd::TableRow => self.close("</tr>\n"),
            TagEnd::TableCell => {
                self.html.push_str(if self.here() == Within::HeadCell { "</th>" } else { "</td>" });
                self.cell += 1;
            }
            TagEnd::Emphasis => self.html.push_str("</em>"),
            TagEnd::Strong => self.html.push_str("</strong>"),
            TagEnd::Link => self.html.push_str("</a>"),
            _ => {}
        }
    }

    fn table_cell(&mut self) {
        let (name, element) =
            if self.here() == Within::HeadCell { ("th", Element::HeadCell) } else { ("td", Element::Cell) };
        let alignment = match self.alignments.get(self.cell) {
            Some(Alignment::Left) => "text-align: left",
            Some(Alignment::Center) => "text-align: center",
            Some(Alignment::Right) => "text-align: right",
            _ => "",
        };
        let style = self.styles.get(self.here(), element);
        let between = if style.is_empty() || alignment.is_empty() { "" } else { "; " };
        self.html.push_str(&format!("<{name}"));
        if !style.is_empty() || !alignment.is_empty() {
            self.html.push_str(&format!(" style=\"{style}{between}{alignment}\""));
        }
        self.html.push('>');
    }

    /// The text of an image: what is emphasized or linked in it is only text.
    fn alternative_text(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(tag) => {
                if matches!(tag, Tag::Image { .. }) {
                    self.alternative += 1;
                }
            }
            Event::End(TagEnd::Image) => {
                self.alternative -= 1;
                if self.alternative == 0 {
                    let title = self.image_title.pop().unwrap_or_default();
                    self.title(&title);
                    self.html.push('"');
                    self.style(Element::Image);
                    self.html.push_str(" />");
                }
            }
            Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) => self.attribute(text),
            Event::SoftBreak | Event::HardBreak | Event::Rule => self.html.push(' '),
            _ => {}
        }
    }

    fn here(&self) -> Within {
        self.within.last().copied().unwrap_or(Within::Page)
    }

    /// Begins an element that begins a line.
    fn block(&mut self, name: &str, element: Element, behind: &str) {
        self.line();
        self.open(name, element, behind);
    }

    fn open(&mut self, name: &str, element: Element, behind: &str) {
        self.html.push('<');
        self.html.push_str(name);
        self.style(element);
        self.html.push('>');
        self.html.push_str(behind);
    }

    fn style(&mut self, element: Element) {
        let style = self.styles.get(self.here(), element);
        if !style.is_empty() {
            self.html.push_str(" style=\"");
            self.html.push_str(style);
            self.html.push('"');
        }
    }

    /// Ends an element that other elements are in.
    fn close(&mut self, tags: &str) {
        self.within.pop();
        self.html.push_str(tags);
    }

    fn line(&mut self) {
        if !self.html.is_empty() && !self.html.ends_with('\n') {
            self.html.push('\n');
        }
    }

    fn title(&mut self, title: &str) {
        if !title.is_empty() {
            self.html.push_str("\" title=\"");
            self.attribute(title);
        }
    }

    // Writing to a String cannot fail.

    fn text(&mut self, text: &CowStr<'_>) {
        let _ = escape_html_body_text(&mut self.html, text);
    }

    fn attribute(&mut self, text: &str) {
        let _ = escape_html(&mut self.html, text);
    }

    fn address(&mut self, address: &str) {
        let _ = escape_href(&mut self.html, address);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Options, Parser, html::push_html};

    use super::*;

    fn ours(markdown: &str) -> String {
        write(&Parser::new_ext(markdown, Options::ENABLE_TABLES).collect::<Vec<_>>(), &Styles::default())
    }

    fn theirs(markdown: &str) -> String {
        let mut html = String::new();
        push_html(&mut html, Parser::new_ext(markdown, Options::ENABLE_TABLES));
        html
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{1,4}",
            prop::sample::select(vec![
                " ",
                "\n",
                "\n\n",
                "- ",
                "1. ",
                "7) ",
                "> ",
                "# ",
                "### ",
                "```\n",
                "``` rust x\n",
                "    ",
                "`",
                "**",
                "*",
                "_",
                "[",
                "](/a?b=\"&c)",
                "](<x> 't\"<')",
                "![",
                "<a@b.example>",
                "<https://one.example/>",
                "\n---\n",
                "  \n",
                "\\",
                "&amp;",
                "<b>",
                "<div>\n",
                "| a | b |\n|:-|-:|\n| c | d |\n",
                "|x|\n|:-:|\n",
                "<",
                ">",
                "\"",
                "'",
                "\n===\n",
                "<!-- x -->",
            ])
            .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn without_styles_it_is_what_pulldown_cmark_writes(pieces in prop::collection::vec(piece(), 1..40)) {
            let markdown = pieces.concat();
            prop_assert_eq!(ours(&markdown), theirs(&markdown), "{}", markdown);
        }
    }
}
