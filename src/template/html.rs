//! HTML: values in it, and text from it.

use std::cell::RefCell;

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind::{Rawtext, Rcdata, ScriptData},
    },
};

use super::text::{Wide, Writer};

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
pub(super) fn to_text(html: &str) -> String {
    let mut writer = Writer::default();
    write(&mut writer, html);
    writer.finish()
}

/// Writes HTML as text, behind what was written already.
pub(super) fn write(writer: &mut Writer, html: &str) {
    let before = writer.written();
    read(writer, html, Part::Blocks);
    if writer.written() > before {
        writer.end_block();
    }
}

/// Writes what a tag in the middle of text means: line breaks, links and pictures.
pub(super) fn write_inline(writer: &mut Writer, tag: &str) {
    read(writer, tag, Part::Tag);
}

fn read(writer: &mut Writer, html: &str, part: Part) {
    let reader = Reader { writer: std::mem::take(writer), part, ..Reader::default() };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(reader)), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let mut reader = tokenizer.sink.0.into_inner();
    reader.end_from(0);
    *writer = reader.writer;
}

struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => reader.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                reader.start(&tag);
                match &*tag.name {
                    "script" => return TokenSinkResult::RawData(ScriptData),
                    "title" | "textarea" => return TokenSinkResult::RawData(Rcdata),
                    "style" | "xmp" | "iframe" | "noembed" | "noframes" => return TokenSinkResult::RawData(Rawtext),
                    _ => {}
                }
            }
            Token::TagToken(tag) => reader.end(&tag.name),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// Elements whose text is not for reading.
const UNSEEN: [&str; 6] = ["script", "style", "title", "iframe", "noembed", "noframes"];

/// Reads tags and text one after the other. It needs no tree: what an author forgot to close is closed by what comes
/// next, as HTML has it.
#[derive(Default)]
struct Reader {
    writer: Writer,
    part: Part,
    /// The elements that mean something in text, the innermost last
    open: Vec<Open>,
    /// White space was read that nothing was written for
    space: bool,
    /// In an element of [`UNSEEN`]
    is_unseen: bool,
    /// At the beginning of a `<pre>`, where a line break does not count
    is_at_code: bool,
}

/// What is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Blocks,
    /// One in the middle of text
    Tag,
}

struct Open {
    name: String,
    element: Element,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    /// With a blank line before and behind it
    Paragraph,
    /// On lines of its own
    Block,
    Quote,
    List,
    Item,
    /// A `<dd>`
    Definition,
    Code,
    Link,
    Table,
    Caption,
    /// Whether its cells are headings, if it has any
    Row(Option<bool>),
    Cell,
}

impl Element {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dl" | "figure" => Self::Paragraph,
            "address" | "article" | "aside" | "body" | "center" | "details" | "dir" | "div" | "dt" | "fieldset"
            | "figcaption" | "footer" | "form" | "header" | "hgroup" | "html" | "legend" | "main" | "nav"
            | "option" | "search" | "section" | "summary" => Self::Block,
            "blockquote" => Self::Quote,
            "ul" | "ol" | "menu" => Self::List,
            "li" => Self::Item,
            "dd" => Self::Definition,
            "pre" | "listing" | "xmp" | "textarea" => Self::Code,
            "a" => Self::Link,
            "table" => Self::Table,
            "caption" => Self::Caption,
            "tr" => Self::Row(None),
            "td" | "th" => Self::Cell,
            _ => return None,
        })
    }
}

impl Reader {
    fn text(&mut self, text: &str) {
        if self.is_unseen {
            return;
        }
        if self.is_in(Element::Code) {
            let text = if self.is_at_code { text.strip_prefix('\n').unwrap_or(text) } else { text };
            self.is_at_code = false;
            self.writer.push_code(text);
            return;
        }
        let is_space = |c: char| c.is_ascii_whitespace();
        // Text that is in a table and in no cell of it belongs elsewhere.
        if self.writer.is_in_table() && !self.is_in(Element::Cell) {
            if text.chars().all(is_space) {
                return;
            }
            self.writer.take_apart();
        }
        for (nth, word) in text.split(is_space).enumerate() {
            self.space |= nth > 0;
            // A paragraph of nothing but no-break spaces is there for its height.
            if word.is_empty() || !self.writer.is_within_line() && word.chars().all(|c| c == '\u{a0}') {
                continue;
            }
            if !self.writer.is_within_line() {
                self.writer.block();
            } else if self.space {
                self.writer.push(" ");
            }
            self.space = false;
            self.writer.push(word);
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        self.is_unseen |= UNSEEN.contains(&name);
        let attribute = |name: &str| tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
        match name {
            "br" => return self.hard_break(),
            "hr" if self.part == Part::Blocks => {
                self.break_table();
                self.begin(Element::Paragraph);
                return self.writer.rule();
            }
            "img" => return attribute("alt").map_or((), |alt| self.text(&alt.value)),
            _ => {}
        }
        let Some(element) = Element::of(name) else { return };
        if self.part == Part::Tag && element != Element::Link {
            return;
        }
        self.close_before(name, element);
        match element {
            Element::Link => {
                let Some(target) = attribute("href") else { return };
                if self.space && self.writer.is_within_line() {
                    self.writer.push(" ");
                    self.space = false;
                }
                self.writer.link(&target.value);
                // Its end comes in another part.
                if self.part == Part::Tag {
                    return;
                }
            }
            Element::Paragraph | Element::Block => self.begin(element),
            Element::Quote => {
                self.break_table();
                self.begin(element);
                self.writer.indent("> ");
            }
            Element::List => {
                self.break_table();
                let is_nested = self.open.iter().any(|open| open.element == Element::List);
                self.begin(if is_nested { Element::Block } else { Element::Paragraph });
                let start = attribute("start").and_then(|start| start.value.trim().parse().ok());
                self.writer.list((name == "ol").then(|| start.unwrap_or(1)));
            }
            Element::Item => {
                self.break_table();
                self.begin(Element::Block);
                self.writer.item();
            }
            Element::Definition => {
                self.break_table();
                self.begin(Element::Block);
                self.writer.indent("  ");
            }
            Element::Code => {
                self.break_table();
                self.begin(element);
                self.writer.code();
                self.is_at_code = true;
            }
            Element::Table => {
                self.break_table();
                self.begin(element);
                self.writer.begin_table(Wide::TakenApart);
            }
            Element::Caption => {
                self.break_table();
                self.begin(element);
            }
            Element::Row(_) => {
                if !self.writer.is_in_table() && self.writer.is_within_line() {
                    self.writer.end_block();
                }
                self.writer.row();
            }
            Element::Cell => {
                if !self.writer.is_in_table() {
                    self.writer.end_line();
                }
                if let Some(Open { element: Element::Row(headings), .. }) = self.open.last_mut() {
                    *headings = Some(headings.unwrap_or(true) && name == "th");
                }
                self.space = false;
            }
        }
        self.open.push(Open { name: name.to_owned(), element });
    }

    /// Ends the elements that cannot be around another one.
    fn close_before(&mut self, name: &str, element: Element) {
        match element {
            Element::Link => self.end(name),
            Element::Item => self.end_within("li", Element::List),
            Element::Definition => self.end_within_list_of_definitions(),
            Element::Block if name == "dt" => self.end_within_list_of_definitions(),
            Element::Row(_) => self.end_down_to(Element::Table),
            Element::Cell => {
                let is_in_row = self.innermost(|of| matches!(of, Element::Row(_) | Element::Table));
                if let Some(at) = is_in_row {
                    self.end_from(at + 1);
                }
            }
            _ => {
                if self.open.last().is_some_and(|open| open.name == "p") {
                    self.end("p");
                }
            }
        }
    }

    fn end_within_list_of_definitions(&mut self) {
        let is_open = |open: &Open| matches!(open.name.as_str(), "dt" | "dd");
        let around = |open: &Open| open.name == "dl" || open.element == Element::Cell;
        let from = self.open.iter().rposition(around).map_or(0, |at| at + 1);
        if let Some(at) = self.open[from..].iter().position(is_open) {
            self.end_from(from + at);
        }
    }

    fn end_within(&mut self, name: &str, around: Element) {
        let from = self.innermost(|of| of == around || of == Element::Cell).map_or(0, |at| at + 1);
        if let Some(at) = self.open[from..].iter().position(|open| open.name == name) {
            self.end_from(from + at);
        }
    }

    fn end_down_to(&mut self, around: Element) {
        if let Some(at) = self.innermost(|of| of == around) {
            self.end_from(at + 1);
        }
    }

    fn end(&mut self, name: &str) {
        if UNSEEN.contains(&name) {
            self.is_unseen = false;
            return;
        }
        if name == "br" {
            return self.hard_break();
        }
        // A link can end while what was begun in it goes on.
        if name == "a" {
            self.writer.end_link();
            if let Some(at) = self.innermost(|of| of == Element::Link) {
                self.open.remove(at);
            }
            return;
        }
        let found = self.open.iter().rposition(|open| open.name == name);
        let boundary = self.innermost(|of| match name {
            "table" => false,
            "td" | "th" | "tr" => of == Element::Table,
            _ => of == Element::Cell,
        });
        if let Some(at) = found.filter(|at| boundary.is_none_or(|boundary| boundary < *at)) {
            self.end_from(at);
        }
    }

    /// Ends the elements from there on, the innermost first.
    fn end_from(&mut self, at: usize) {
        while self.open.len() > at
            && let Some(Open { element, .. }) = self.open.pop()
        {
            match element {
                Element::Link => self.writer.end_link(),
                Element::Paragraph | Element::Block if self.writer.is_in_table() => self.space = true,
                Element::Paragraph => self.writer.end_block(),
                Element::Block => self.writer.end_line(),
                Element::Quote => {
                    self.writer.unindent();
                    self.writer.end_block();
                }
                Element::List => self.writer.end_list(),
                Element::Item => self.writer.end_item(),
                Element::Definition => self.writer.unindent(),
                Element::Code => {
                    self.writer.end_code();
                    self.writer.end_block();
                }
                Element::Table => self.writer.end_table(),
                // It is above the table: what was begun was none yet.
                Element::Caption => {
                    self.writer.end_line();
                    if self.innermost(|of| of == Element::Table).is_some() {
                        self.writer.begin_table(Wide::TakenApart);
                    }
                }
                Element::Row(headings) => {
                    if headings == Some(true) {
                        self.writer.end_heading_row();
                    }
                    if !self.writer.is_in_table() {
                        self.writer.end_block();
                    }
                }
                Element::Cell => {
                    self.writer.end_cell();
                    self.space = false;
                }
            }
        }
    }

    fn innermost(&self, is: impl Fn(Element) -> bool) -> Option<usize> {
        self.open.iter().rposition(|open| is(open.element))
    }

    /// Whether that is open, in the same table.
    fn is_in(&self, element: Element) -> bool {
        let table = self.innermost(|of| of == Element::Table).unwrap_or(0);
        self.open[table.min(self.open.len())..].iter().any(|open| open.element == element)
    }

    /// Begins a block. The first one in a cell begins where the cell does.
    fn begin(&mut self, element: Element) {
        self.space = false;
        if self.writer.is_in_table() && !self.writer.is_within_line() {
            return;
        }
        self.break_table();
        match element {
            Element::Block => self.writer.end_line(),
            Element::Paragraph => self.writer.begin(),
            _ => {
                self.writer.begin();
                self.writer.block();
            }
        }
    }

    /// What is in the table is more than a line.
    fn break_table(&mut self) {
        self.writer.take_apart();
    }

    fn hard_break(&mut self) {
        if self.part == Part::Blocks {
            self.break_table();
        }
        self.space = false;
        if !self.writer.is_between_blocks() {
            self.writer.hard_break();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_reads_well_as_text() {
        let html = "<html><head><style>p{}</style></head><body><h1>Hello</h1><p>See <a href=\"https://one.example/\">this</a>.</p>\
                    <table><tr><th>Day</th><td>Monday &amp; Tuesday</td></tr></table></body></html>";
        let text = to_text(html);
        assert_eq!(text, "Hello\n\nSee this <https://one.example/>.\n\nDay  Monday & Tuesday\n");
    }

    #[test]
    fn links_stay_whole_and_are_said_once() {
        let long = format!("https://one.example/{}", "x".repeat(100));
        for (html, text) in [
            (format!("<a href=\"{long}\">go</a>"), format!("go\n<{long}>\n")),
            (format!("<a href=\"{long}\">{long}</a>."), format!("{long}.\n")),
            ("<a href=\"mailto:a@b.example\">a@b.example</a>".into(), "a@b.example\n".into()),
            ("<a href=\"mailto:a@b.example\">write</a> now".into(), "write <a@b.example> now\n".into()),
            ("<del>old</del> <b>new</b>".into(), "old new\n".into()),
        ] {
            assert_eq!(to_text(&html), text);
        }
    }

    #[test]
    fn each_element_reads_as_it_should() {
        for (html, text) in [
            ("a <br>b<br/><br>c</br>d", "a\nb\n\nc\nd"),
            ("<p>one\n\n  two&nbsp;three<p>four", "one two\u{a0}three\n\nfour"),
            ("<p>one</p>two<div>three</div>four", "one\n\ntwo\nthree\nfour"),
            ("<div>a</div><div>b<p>c</p></div>d", "a\nb\n\nc\n\nd"),
            ("<p>a</p><p>&nbsp;</p><p> </p><p>b</p>", "a\n\nb"),
            ("a<hr>b", "a\n\n----\n\nb"),
            ("<ul><li>a<li>b<ol start=3><li>c<li>d</ol></ul>e", "- a\n- b\n  3. c\n  4. d\n\ne"),
            ("<ul><li><p>a</p><p>b</p></li><li><p>c</p></li></ul>", "- a\n\n  b\n\n- c"),
            ("a<blockquote><p>b<p>c<blockquote>d</blockquote></blockquote>e", "a\n\n> b\n>\n> c\n>\n> > d\n\ne"),
            ("<dl><dt>a<dd>b<dt>c<dd>d<p>e</p></dl>f", "a\n  b\nc\n  d\n\n  e\n\nf"),
            ("a<pre>\nb  c\n  d </pre>e", "a\n\nb  c\n  d \n\ne"),
            ("a<script>b<p></script><style>c</style><title>d</title>e<!-- f -->", "ae"),
            ("<!--[if mso]><p>a</p><![endif]--><![if !mso]>b<![endif]>", "b"),
            ("a <img src=\"cid:x\" alt=\"b  c\"> d <img src=\"cid:y\">", "a b c d"),
            ("<a href=\"https://one.example/\"><img alt=\"\"></a>", "<https://one.example/>"),
            ("<a href=\"#x\">a</a> <a name=y>b</a>", "a b"),
            ("<a href=\"https://one.example/a b\"> go </a>now", "go <https://one.example/a%20b> now"),
            ("<a href=\"https://one.example/\">a <p>b</a> c", "a\n\nb <https://one.example/> c"),
            ("<a href=\"mailto:a@b.example?subject=x\">a</a>", "a <mailto:a@b.example?subject=x>"),
            (
                "<a href=\"tel:+441\">+441</a> <a href=\"mailto:a@b.example\">mailto:a@b.example</a>",
                "+441 mailto:a@b.example",
            ),
            ("a &lt;b&gt; &amp; &#x1F600;\u{200b}c", "a <b> & \u{1f600}\u{200b}c"),
            ("</td></p></li></ul></x>a", "a"),
            ("-- <br>Ada", "-- \nAda"),
        ] {
            assert_eq!(to_text(html), format!("{text}\n"), "{html}");
        }
    }

    #[test]
    fn tables_of_lines_are_aligned_and_others_taken_apart() {
        let wide = "word ".repeat(12).trim_end().to_owned();
        for (html, text) in [
            (
                "<table><thead><tr><th>Day<th>Time</thead><tr><td>Monday<td>9</table>x".to_owned(),
                "Day     Time\n------  ----\nMonday  9\n\nx".to_owned(),
            ),
            ("<table> <tr> <td><p>a</p></td> <td></td> <td> b </td></tr></table>".into(), "a  b".into()),
            ("a<table><tr><td>b</td></tr><tr><td>c</td></tr></table>d".into(), "a\n\nb\n\nc\n\nd".into()),
            ("<table><tr><td>a</td><td>b<br>c</td></tr></table>d".into(), "a\n\nb\nc\n\nd".into()),
            ("<table><tr><td><p>a</p><p>b</p><ul><li>c</ul></td></tr></table>".into(), "a\n\nb\n\n- c".into()),
            ("<table><tr><td>a<table><tr><td>b<td>c</table>d</td></tr></table>e".into(), "a\n\nb  c\n\nd\n\ne".into()),
            (format!("<table><tr><td>{wide}</td><td>{wide}</td></tr></table>"), format!("{wide}\n{wide}")),
            ("<table>a<tr><td>b<td>c</table>".into(), "a\n\nb\nc".into()),
            ("<table><caption>a</caption><tr><td>b<td>c</table>d".into(), "a\nb  c\n\nd".into()),
            ("<td>a</td><td>b</td>".into(), "a\nb".into()),
        ] {
            assert_eq!(to_text(&html), format!("{text}\n"), "{html}");
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        let tag = "</?(p|div|br|hr|a|a href=\"https://one[.]example/x\"|table|tr|td|th|ul|ol|li|dl|dt|dd|blockquote|pre|h1|b|img alt=\"y\"|caption)>";
        prop_oneof![
            "[a-z]{1,30}",
            Just(" ".to_owned()),
            Just("\n".to_owned()),
            Just("&nbsp;".to_owned()),
            Just("日本".to_owned()),
            proptest::string::string_regex(tag).unwrap(),
        ]
    }

    proptest! {
        #[test]
        fn no_word_is_lost_whatever_the_elements(pieces in prop::collection::vec(piece(), 0..60)) {
            let html = pieces.concat();
            let text = to_text(&html);
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
            let shown = pieces.iter().map(|piece| match piece.as_str() {
                "<img alt=\"y\">" => "y",
                "&nbsp;" => "",
                tag if tag.starts_with('<') => "",
                word => word,
            });
            let written = text.replace("<https://one.example/x>", "");
            prop_assert_eq!(letters(&written), shown.map(letters).collect::<String>(), "{}", html);
        }
    }
}
