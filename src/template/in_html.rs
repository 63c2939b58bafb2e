//! Veiled values in HTML that an author wrote, each put in as fits where it stands.
//!
//! In text a value is escaped, and a line break in it is one. In an attribute in quotation marks it is escaped; where
//! the attribute is a link, a value at its beginning must be a harmless address, and one further on is a component of
//! it. In a script, a style, a tag's name or an attribute without quotation marks no value can stand.

use std::ops::Range;

use memchr::memchr;

use super::{
    TemplateProblem,
    elements::{RAW, closes, resolved},
    html::escape,
    tags,
    veil::{Stretch, VEILED, has_values, stretches, unveil, unveil_with, veil},
    with_lf,
};

/// Attributes whose value is an address (of those that HTML has, and mail programs look at).
const LINKS: [&str; 9] = ["href", "src", "action", "formaction", "background", "cite", "poster", "data", "xlink:href"];

/// Puts values into HTML that comes in pieces; what is open at the end of one goes on in the next.
#[derive(Debug, Default)]
pub(super) struct InHtml {
    state: State,
    /// The name of the element whose tag or raw text is being read, in lower case.
    element: String,
    /// The name of the attribute being read, in lower case.
    attribute: String,
    /// Whether that is all of its name
    named: bool,
    /// Its value, as far as it was read.
    value: String,
    /// Whether there is a value from the list in it.
    has_value: bool,
    /// Whether it only matters where values stand, and not what is in them
    probing: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind `<` and before the end of the name
    Name,
    /// In a tag, between attributes or in the name of one
    Tag,
    /// Behind `=`
    BeforeValue,
    Quoted(char),
    Bare,
    /// `<!--` … `-->`
    Comment,
    /// `<!` … `>`
    Declaration,
    /// The text of a script, a style or a title
    Raw,
}

/// The first place in a template of HTML in which no value can stand, and what is wrong there; all branches of its
/// blocks are read one after the other.
pub(super) fn check(template: &str) -> Option<(Range<usize>, TemplateProblem)> {
    let mut html = InHtml { probing: true, ..InHtml::default() };
    let mut read = 0;
    for (place, is_value) in tags::places(template) {
        html.put(template.get(read..place.start)?).ok()?;
        if template[place.clone()].starts_with("{{{") && html.state != State::Text {
            return Some((place, TemplateProblem::RawPlace));
        }
        if is_value && let Err(problem) = html.put(&veil("https://one.example/")) {
            return Some((place, problem));
        }
        read = place.end;
    }
    None
}

impl InHtml {
    /// The piece with its values put in.
    pub(super) fn put(&mut self, html: &str) -> Result<String, TemplateProblem> {
        if self.state == State::Text && !html.contains('<') && !has_values(html) {
            return Ok(html.to_owned());
        }
        let mut out = String::with_capacity(html.len());
        for stretch in stretches(html) {
            match stretch {
                Stretch::Author(author) => self.author(author, &mut out)?,
                Stretch::Value(value) => self.value(&value, &mut out)?,
                Stretch::Raw(html) if self.state == State::Text => out.push_str(&html),
                Stretch::Raw(_) => return Err(TemplateProblem::RawPlace),
            }
        }
        Ok(out)
    }

    fn author(&mut self, text: &str, out: &mut String) -> Result<(), TemplateProblem> {
        let mut rest = text;
        loop {
            let same = self.unchanged(rest);
            match self.state {
                State::Quoted(_) => self.value.push_str(same),
                State::Name => push_lower(&mut self.element, same),
                State::Tag if !same.is_empty() => {
                    // `href = "…"` is one attribute, `hidden title="…"` are two.
                    if std::mem::take(&mut self.named) {
                        self.attribute.clear();
                    }
                    push_lower(&mut self.attribute, same);
                }
                _ => {}
            }
            if !matches!(self.state, State::Quoted(_)) {
                out.push_str(same);
            }
            rest = &rest[same.len()..];
            let Some(c) = rest.chars().next() else { return Ok(()) };
            if let State::Quoted(_) = self.state {
                if std::mem::take(&mut self.has_value) {
                    out.push_str(&self.finished(&self.value)?);
                } else {
                    out.push_str(&self.value);
                }
                self.value.clear();
                self.state = State::Tag;
                self.attribute.clear();
            } else {
                self.step(c, rest, out);
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }

    /// The beginning of a text behind which the state may be another; most of what an author writes changes nothing.
    fn unchanged<'t>(&self, text: &'t str) -> &'t str {
        // Characters that only make a name longer.
        let in_name = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'>' | b'/' | b'=');
        let end = match self.state {
            State::Text | State::Raw => memchr(b'<', text.as_bytes()),
            State::Comment | State::Declaration => memchr(b'>', text.as_bytes()),
            State::Quoted('\'') => memchr(b'\'', text.as_bytes()),
            State::Quoted(_) => memchr(b'"', text.as_bytes()),
            State::Name | State::Tag => text.bytes().position(|byte| !in_name(&byte)),
            State::BeforeValue | State::Bare => Some(0),
        };
        &text[..end.unwrap_or(text.len())]
    }

    /// The state behind a character of the author's that is in no quoted value.
    fn step(&mut self, c: char, rest: &str, out: &str) {
        self.state = match (self.state, c) {
            // What is behind a condition of Outlook's, `<!--[if mso]>`, is HTML for it.
            (State::Text, '<') if rest.starts_with("<!--") && !rest.starts_with("<!--[if") => State::Comment,
            (State::Text, '<') if rest.starts_with("<!") || rest.starts_with("<?") => State::Declaration,
            (State::Text, '<')
                if rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || VEILED.contains(&c))
                    || rest == "<" =>
            {
                self.element.clear();
                State::Name
            }
            (State::Name | State::Tag | State::Bare | State::BeforeValue, '>') => {
                if RAW.contains(&self.element.as_str()) { State::Raw } else { State::Text }
            }
            (State::Name, c) if c.is_whitespace() => {
                self.named = true;
                State::Tag
            }
            (State::Name, c) => {
                self.element.extend(c.to_lowercase());
                State::Name
            }
            (State::Tag, '=') => {
                self.named = true;
                State::BeforeValue
            }
            (State::Tag, c) => {
                // `href = "…"` is one attribute, `hidden title="…"` are two.
                if c.is_whitespace() || c == '/' {
                    self.named = true;
                } else {
                    if std::mem::take(&mut self.named) {
                        self.attribute.clear();
                    }
                    self.attribute.extend(c.to_lowercase());
                }
                State::Tag
            }
            (State::BeforeValue, quote @ ('"' | '\'')) => State::Quoted(quote),
            (State::BeforeValue, c) if c.is_whitespace() => State::BeforeValue,
            (State::BeforeValue, _) => State::Bare,
            (State::Bare, c) if c.is_whitespace() => {
                self.attribute.clear();
                State::Tag
            }
            (State::Comment, '>') if out.ends_with("--") => State::Text,
            (State::Declaration, '>') => State::Text,
            (State::Raw, '<') if closes(rest, &self.element) => {
                self.element.clear();
                State::Name
            }
            (state, _) => state,
        };
    }

    /// A whole attribute value; in one that is a link the values are still veiled.
    fn finished(&self, value: &str) -> Result<String, TemplateProblem> {
        if self.probing {
            Ok(String::new())
        } else if LINKS.contains(&self.attribute.as_str()) {
            link(value, escape)
        } else if self.attribute == "style" {
            if let Some(odd) = stretches(value).find_map(Stretch::odd_in_style) {
                return Err(TemplateProblem::Style(odd));
            }
            Ok(unveil(value).into_owned())
        } else {
            Ok(unveil_with(value, escape).into_owned())
        }
    }

    fn value(&mut self, value: &str, out: &mut String) -> Result<(), TemplateProblem> {
        let refuse = |place: &'static str| Err(TemplateProblem::ValueInHtml(place));
        match self.state {
            State::Text if value.contains(['\n', '\r']) => {
                out.push_str(&with_lf(escape(value)).replace('\n', "<br>\n"));
            }
            State::Text | State::Comment => out.push_str(&escape(value)),
            State::Raw if matches!(self.element.as_str(), "title" | "textarea") => out.push_str(&escape(value)),
            State::Raw => return refuse("a script or a style sheet"),
            State::Quoted(_) if self.attribute.starts_with("on") => return refuse("a script"),
            State::Quoted(_) => {
                self.value.push_str(&veil(value));
                self.has_value = true;
            }
            State::BeforeValue | State::Bare => return refuse("an attribute without quotation marks"),
            State::Name | State::Tag | State::Declaration => return refuse("the name of a tag or an attribute"),
        }
        Ok(())
    }
}

fn push_lower(name: &mut String, text: &str) {
    let start = name.len();
    name.push_str(text);
    name[start..].make_ascii_lowercase();
}

/// What stands behind a beginning of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    Text,
    /// The value of an attribute that is a link
    Link,
    Elsewhere,
}

/// What can stand behind a beginning of a document that has no values.
pub(super) fn behind(beginning: &str) -> Behind {
    let mut html = InHtml::default();
    match (html.put(beginning), html.state) {
        (Ok(_), State::Text) => Behind::Text,
        (Ok(_), State::Quoted(_)) if LINKS.contains(&html.attribute.as_str()) => Behind::Link,
        _ => Behind::Elsewhere,
    }
}

/// Where a link goes, with its values put in. A value at its beginning may be a whole address of a harmless kind, made
/// fit for where the link is written by `escape`; further on it is a component of one, whatever is in it
/// (RFC 3986 §2.4).
pub(super) fn link(veiled: &str, escape: fn(&str) -> String) -> Result<String, TemplateProblem> {
    let mut target = String::with_capacity(veiled.len());
    for stretch in stretches(veiled) {
        match stretch {
            Stretch::Author(author) => target.push_str(author),
            Stretch::Raw(_) => return Err(TemplateProblem::RawPlace),
            // White space in front means nothing to a browser.
            Stretch::Value(value) if resolved(&target).trim().is_empty() => {
                target.clear();
                let value = value.trim();
                if !is_harmless(value) {
                    return Err(TemplateProblem::Link(value.to_owned()));
                }
                target.push_str(&escape(value));
            }
            Stretch::Value(value) => target.push_str(&percent_encoded(&value)),
        }
    }
    Ok(target)
}

/// A component of a web address (RFC 3986 §2.1).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn is_harmless(address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let known = scheme.is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https" | "mailto" | "tel"));
    known && !address.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(html: &str, value: &str) -> Result<String, String> {
        InHtml::default().put(&html.replace('·', &veil(value))).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_value_is_escaped_for_where_it_stands() {
        let nasty = "<b>\"x\"' &\ny";
        let text = "&lt;b&gt;&quot;x&quot;&#39; &amp;<br>\ny";
        let attribute = "&lt;b&gt;&quot;x&quot;&#39; &amp;\ny";
        assert_eq!(put("<p>·</p>", nasty), Ok(format!("<p>{text}</p>")));
        assert_eq!(put("<p class=a title=\"·\">·", nasty), Ok(format!("<p class=a title=\"{attribute}\">{text}")));
        assert_eq!(
            put("<img alt='·'>a < · <!-- · --> ·", nasty),
            Ok(format!("<img alt='{attribute}'>a < {text} <!-- {attribute} --> {text}"))
        );
        assert_eq!(put("<title>·</title>·", nasty), Ok(format!("<title>{attribute}</title>{text}")));
        assert_eq!(put("<script>a<b</script><p>·</p>", "x"), Ok("<script>a<b</script><p>x</p>".into()));
        assert_eq!(put("<!DOCTYPE html><br/>·", "x"), Ok("<!DOCTYPE html><br/>x".into()));
    }

    #[test]
    fn links_go_somewhere_harmless() {
        assert_eq!(
            put("<a href=\"·\">", "https://one.example/?a=b&c"),
            Ok("<a href=\"https://one.example/?a&#61;b&amp;c\">".into())
        );
        assert_eq!(
            put("<a HREF='https://one.example/·?a=1&amp;b=·'>", "x/\"&ü"),
            Ok("<a HREF='https://one.example/x%2F%22%26%C3%BC?a=1&amp;b=x%2F%22%26%C3%BC'>".into())
        );
        for evil in ["javascript:alert(1)", " JAVAscript:x", "data:text/html,x", "//one.example", "java\nscript:x", ""]
        {
            assert!(put("<a href=\"·\">", evil).unwrap_err().contains("a link would go to"), "{evil}");
        }
        assert!(put("<a title=\"·\">", "javascript:x").is_ok());
    }

    #[test]
    fn where_no_value_can_stand() {
        for html in [
            "<script>·",
            "<style>p{}·</style>",
            "<p onclick=\"·\">",
            "<p title=·>",
            "<p title=a·>",
            "<p ·>",
            "<· x>",
            "</·>",
            "<p a·=\"x\">",
        ] {
            assert!(put(html, "x").unwrap_err().contains("cannot stand in"), "{html}");
        }
    }

    #[test]
    fn a_style_takes_nothing_but_a_colour_or_a_length() {
        for fine in ["40%", "#1a2b3c", "red", "1.5em solid", "-2px"] {
            assert_eq!(put("<p style=\"width: ·\">", fine), Ok(format!("<p style=\"width: {fine}\">")));
        }
        for evil in ["red; background: url(x)", "u\\rl", "expression(x)", "a/*", "\"", "&quot;", "!important"] {
            assert!(put("<p style=\"width: ·\">", evil).unwrap_err().contains("a style would hold"), "{evil}");
        }
        assert!(check("<p style=\"width: {{a}}\"><a href=\"{{b}}\">{{c}}</a></p>").is_none());
    }

    #[test]
    fn raw_html_stands_in_text_alone() {
        let raw = |html: &str| InHtml::default().put(&html.replace('·', &super::super::veil::veil_raw("<b>&amp;</b>")));
        assert!(check("<p>{{{a}}}</p>").is_none());
        assert_eq!(check("<p title=\"{{{a}}}\">").unwrap().0, 10..17);
        assert_eq!(raw("<p>·</p>").map_err(|_| ()), Ok("<p><b>&amp;</b></p>".into()));
        for html in ["<p title=\"·\">", "<!-- · -->", "<title>·</title>", "<p ·>", "<a href=\"·\">"] {
            assert!(raw(html).is_err(), "{html}");
        }
    }

    #[test]
    fn white_space_around_the_equals_sign_changes_nothing() {
        for html in [
            "<a href = \"·\">",
            "<a href\n=\"·\">",
            "<a title href=\n'·'>",
            "<a href=\" ·\">",
            "<a href='&Tab;·'>",
            "<p hidden><a href=\"·\">",
            "<br/><a href=\"·\">",
        ] {
            assert!(put(html, "javascript:x").unwrap_err().contains("a link would go to"), "{html}");
            assert!(put(html, "https://one.example/").is_ok(), "{html}");
        }
        assert_eq!(
            put("<a href = \"https://one.example/?q=·\">", "a&b"),
            Ok("<a href = \"https://one.example/?q=a%26b\">".into())
        );
        assert!(put("<p style = \"color: ·\">", "red;x:y").is_err());
        assert!(put("<p onclick = \"·\">", "x").is_err());
        assert!(put("<p href class=\"·\">", "javascript:x").is_ok());
    }

    #[test]
    fn such_a_place_is_found_in_the_template() {
        assert!(check("<p title=\"{{a}}\">{{#if b}}{{c}}{{else}}<a href=\"{{d}}\">x</a>{{/if}}</p>").is_none());
        let template = "<p>{{a}}</p>{{! x }}{{#if b}}<p title={{c}}>{{/if}}";
        let (place, problem) = check(template).unwrap();
        assert_eq!(
            (&template[place], problem.to_string().as_str()),
            ("{{c}}", "a value from the list cannot stand in an attribute without quotation marks")
        );
    }

    #[test]
    fn html_in_pieces_is_read_as_one() {
        let mut pieces = InHtml::default();
        assert_eq!(pieces.put("<a href=\"").map_err(|_| ()), Ok("<a href=\"".into()));
        assert!(pieces.put(&format!("{}\">", veil("javascript:x"))).is_err());
    }
}
