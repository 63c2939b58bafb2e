//! HTML as it is shown, and all that is in it and is not.

use std::sync::LazyLock;

use memchr::{
    memchr, memchr3,
    memmem::{self, Finder},
};

use super::coded::resolved;

static TWO_SPACES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"  "));

/// What is in HTML, its character references resolved.
#[derive(Debug, Default)]
pub(super) struct Html {
    /// As a reader sees it: without tags, and with a line end where another block begins.
    pub(super) shown: String,
    /// Tags, comments, style sheets and the like, a line each; and words that stand against a tag, as it may be meant as
    /// their end: `ann@one.example<b>Dear</b>`.
    pub(super) hidden: String,
    /// How it looks: style sheets, styles, classes, sizes, colours and fonts. No values are looked for in it, as there are
    /// people who are called like a font; and tags as they are, if an address could be in them.
    pub(super) looks: String,
    /// Where in `shown` the last piece of text begins.
    last: usize,
    values: bool,
}

/// Reads HTML of any kind. Everything that is in it is given out, but for tags without anything in which an address could
/// be, and, where no `values` are looked for, without the values of their attributes.
pub(super) fn read(source: &str, values: bool) -> Html {
    let mut html = Html { values, ..Html::default() };
    html.shown.reserve(source.len());
    html.hidden.reserve(source.len());
    html.read(source, false);
    html
}

impl Html {
    fn read(&mut self, source: &str, in_comment: bool) {
        let mut rest = source;
        // Whether a text stands against the one before it, with tags at most between them.
        let mut against = false;
        let mut unshown: Option<&str> = None;
        loop {
            let (text, tag) = rest.split_at(memchr(b'<', rest.as_bytes()).unwrap_or(rest.len()));
            if unshown.is_some_and(|name| name.eq_ignore_ascii_case("style")) {
                self.looks.push_str(text);
            } else if unshown.is_some() {
                self.hide(text);
            } else if !text.is_empty() {
                self.show(text, against);
                against = true;
            }
            let Some(inside) = tag.strip_prefix('<') else { return };
            if let Some(comment) = inside.strip_prefix("!--") {
                let end = memmem::find(comment.as_bytes(), b"-->");
                self.comment(&comment[..end.unwrap_or(comment.len())], in_comment);
                rest = end.map_or("", |end| &comment[end + 3..]);
                continue;
            }
            let name = inside.strip_prefix('/').unwrap_or(inside);
            if !name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '!' | '?')) {
                self.show("<", against);
                rest = inside;
                continue;
            }
            let end = memchr(b'>', inside.as_bytes());
            self.tag(&inside[..end.unwrap_or(inside.len())]);
            rest = end.map_or("", |end| &inside[end + 1..]);
            let name = &name[..name.bytes().take_while(u8::is_ascii_alphanumeric).count()];
            let closes = inside.starts_with('/');
            // A style sheet ends with its own tag only.
            if unshown.is_none_or(|open| closes && open.eq_ignore_ascii_case(name)) {
                unshown = (!closes && is_unshown(name)).then_some(name);
                if !is_inline(name) {
                    against = false;
                    self.shown.push('\n');
                }
            }
        }
    }

    /// Adds text, with runs of white space as single spaces.
    fn show(&mut self, text: &str, against: bool) {
        let text = resolved(text);
        let is_space = |c: char| c.is_ascii_whitespace();
        if against && !text.starts_with(is_space) && !self.shown.ends_with([' ', '\n']) {
            let before = self.shown[self.last..].rsplit([' ', '\n']).next().unwrap_or_default();
            let behind = text.split(is_space).next().unwrap_or_default();
            for word in [before, behind] {
                self.hidden.push_str(word);
                self.hidden.push('\n');
            }
        }
        self.last = self.shown.len();
        if text.starts_with(is_space) && !self.shown.ends_with([' ', '\n']) {
            self.shown.push(' ');
        }
        let text_bytes = text.as_bytes();
        if memchr3(b'\n', b'\r', b'\t', text_bytes).is_none() && TWO_SPACES.find(text_bytes).is_none() {
            let text = text.strip_prefix(' ').unwrap_or(&text);
            self.shown.push_str(text);
            return;
        }
        for word in text.split_ascii_whitespace() {
            self.shown.push_str(word);
            self.shown.push(' ');
        }
        if !text.ends_with(is_space) {
            self.shown.pop();
        }
    }

    /// Keeps a tag, without what only says how something looks.
    fn tag(&mut self, tag: &str) {
        if memchr3(b'@', b'%', b'&', tag.as_bytes()).is_some() || !tag.is_ascii() {
            self.looks.push_str(&resolved(tag));
            self.looks.push('\n');
        }
        if !self.values {
            return;
        }
        let mut rest = tag;
        while let Some(at) = memchr(b'=', rest.as_bytes()) {
            let before = rest[..at].trim_end();
            let apart = |c: char| c.is_ascii_whitespace() || c == '/';
            let (words, name) = before.split_at(before.rfind(apart).map_or(0, |end| end + 1));
            self.words(words);
            let value = rest[at + 1..].trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let length = match quote {
                Some(quote) => value[1..].find(quote).map_or(value.len(), |length| length + 2),
                None => value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len()),
            };
            if !is_looks(name) {
                self.hide(&value[..length]);
            }
            rest = &value[length..];
        }
        self.words(rest);
    }

    /// Keeps what stands in a tag and is no value, where it could be a name: `<Ann Berg>`, `<x@one.example Ann Berg b=1>`.
    fn words(&mut self, words: &str) {
        if words.trim_ascii().contains(|c: char| c.is_ascii_whitespace()) {
            self.hide(words);
        }
    }

    fn hide(&mut self, text: &str) {
        if !text.trim_ascii().is_empty() {
            self.hidden.push_str(&resolved(text));
            self.hidden.push('\n');
        }
    }

    /// Some mail programs show what is in a comment of Microsoft's (`<!--[if mso]>`).
    fn comment(&mut self, comment: &str, in_comment: bool) {
        self.hide(comment);
        if !in_comment && comment.contains('<') {
            let mut inner = Self { values: self.values, ..Self::default() };
            inner.read(comment, true);
            self.hidden.push_str(&inner.shown);
            self.hidden.push('\n');
        }
    }
}

/// Whether an element stands within a line or a word. Others end what is before them.
fn is_inline(name: &str) -> bool {
    let mut lower = [0; 8];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    matches!(
        &*lower,
        b"a" | b"abbr"
            | b"acronym"
            | b"b"
            | b"bdi"
            | b"bdo"
            | b"big"
            | b"cite"
            | b"code"
            | b"data"
            | b"del"
            | b"dfn"
            | b"em"
            | b"font"
            | b"i"
            | b"ins"
            | b"kbd"
            | b"label"
            | b"mark"
            | b"nobr"
            | b"q"
            | b"s"
            | b"samp"
            | b"small"
            | b"span"
            | b"strike"
            | b"strong"
            | b"sub"
            | b"sup"
            | b"time"
            | b"tt"
            | b"u"
            | b"var"
            | b"wbr"
    )
}

/// Whether an attribute only says how something looks.
fn is_looks(name: &str) -> bool {
    const LOOKS: &[&str] = &[
        "style",
        "class",
        "width",
        "height",
        "color",
        "bgcolor",
        "face",
        "size",
        "align",
        "valign",
        "border",
        "cellpadding",
        "cellspacing",
        "role",
        "lang",
        "type",
        "rel",
        "charset",
        "http-equiv",
        "colspan",
        "rowspan",
    ];
    LOOKS.iter().any(|known| name.eq_ignore_ascii_case(known)) || name.starts_with("xmlns")
}

/// Whether an element's text is not shown as such.
fn is_unshown(name: &str) -> bool {
    ["style", "script", "title", "template"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> String {
        read(html, true).shown.trim().to_owned()
    }

    #[test]
    fn what_is_shown_is_joined_where_a_reader_sees_no_gap() {
        for (html, seen) in [
            ("bo<b>@</b>two.example", "bo@two.example"),
            ("bo<!-- x -->@two<wbr>.example", "bo@two.example"),
            ("Bo\r\n   <b> Caine</b>,", "Bo Caine,"),
            ("<td>Bo</td><td>Caine</td>", "Bo\n\nCaine"),
            ("a<br>b<P>c</P>d", "a\nb\nc\nd"),
            ("a < b &amp; c <3 &lt;x&gt;", "a < b & c <3 <x>"),
            ("<style>p { a: b }</style>x<title>y</title>z", "x\n\nz"),
            ("<style>x</b></style>y", "y"),
            ("a <", "a <"),
            ("x<b", "x"),
        ] {
            let seen: Vec<&str> = seen.split_inclusive('\n').collect();
            assert_eq!(shown(html), seen.concat(), "{html}");
        }
    }

    #[test]
    fn what_is_not_shown_is_there() {
        let html = "<a href='mailto:x%40y' title=\"a&#64;b\">one@x<i>Two</i></a><!-- three --><style>four</style>\
            <!--[if mso]><p>fi<b>ve</b></p><![endif]--><!-- six";
        let Html { hidden, looks, .. } = read(html, true);
        assert!(looks.starts_with("a href='mailto:x%40y' title=\"a@b\"\n") && looks.contains("four"), "{looks}");
        for line in ["'mailto:x%40y'", "\"a@b\"", "one@x", "Two", " three ", "five", " six"] {
            assert!(hidden.lines().any(|known| known == line), "{line}: {hidden}");
        }
    }

    #[test]
    fn a_name_within_a_tag_is_there() {
        for html in [
            "<Bo Caine>",
            "<a href=\"?a=<b><ada@one.example Bo Caine &amp;b=1\">y</a>",
            "<a b=1 Bo Caine>",
            "<a Bo Caine c='d'>",
        ] {
            assert!(read(html, true).hidden.contains("Bo Caine"), "{html}");
        }
    }

    #[test]
    fn it_takes_no_longer_than_it_is_long() {
        for piece in ["a<b>", "<!--", "<!<!----", "<", "&", "a<b>a</b>", "<style><", "&#64"] {
            let html = piece.repeat(1_000_000 / piece.len());
            let read = read(&html, true);
            assert!(read.shown.len() + read.hidden.len() < 4_000_000, "{piece}");
        }
    }
}
