//! A message's HTML as a document of its own, for a frame in which nothing runs and into which nothing is loaded.
//!
//! Nearly all that the HTML holds is kept as it is; that it can do nothing is the browser's work, told by [`POLICY`] and by a
//! frame with an empty `sandbox`. What these two leave open is closed here: browsers connect to where a `<link>` wants them to
//! be quick, and to where a link leads as soon as it is pressed, and a link could lead the frame to another page. So nothing
//! with an `href` leads anywhere.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use mail_parser::{Message as Parsed, MimeHeaders, PartType};

/// No script, nothing from anywhere, pictures from the message alone; nothing can be sent, and only this program's pages
/// show it.
pub(super) const POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
                                 form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// The same in a file, where it stands in the document itself: there it cannot say who shows it.
const POLICY_WITHIN: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";

/// Links open in a window that the sandbox does not let them open.
const BASE: &str = "<base target=\"_blank\">";

/// Media types that browsers show as pictures, and in which no script runs.
const PICTURES: [&str; 6] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"];

/// The HTML of a message, if it has some.
pub(in crate::preview) fn html<'m>(parsed: &'m Parsed<'_>) -> Option<&'m str> {
    parsed.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.as_ref()),
        _ => None,
    })
}

/// The document that is served to the frame.
pub(super) fn document(html: &str, parsed: &Parsed<'_>) -> String {
    begun_with(BASE, &harmless(html, parsed))
}

/// The document that is put into a frame of a file.
pub(super) fn document_in_file(html: &str, parsed: &Parsed<'_>) -> String {
    let begin = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY_WITHIN}\">{BASE}");
    begun_with(&begin, &harmless(html, parsed))
}

fn harmless(html: &str, parsed: &Parsed<'_>) -> String {
    nowhere(&with_pictures(html, parsed)).0.into_owned()
}

/// Where the links of some HTML lead, each once.
pub(super) fn links(html: &str) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for link in nowhere(html).1 {
        let link = link.trim().replace("&amp;", "&");
        if link.contains(':') && !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

/// With each `href` leading nowhere, and what stood in them. It is looked for as a word, not as a part of a tag: what a browser
/// takes for a tag is not always what another program does.
fn nowhere(html: &str) -> (Cow<'_, str>, Vec<&str>) {
    let (mut changed, mut values) = (String::new(), Vec::new());
    let mut rest = html;
    while let Some(at) = found(rest, b"href") {
        let (before, behind) = rest.split_at(at + 4);
        let is_attribute =
            before[..at].ends_with(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '/' | ':'));
        changed.push_str(before);
        rest = behind;
        let Some(value) = behind.trim_ascii_start().strip_prefix('=').map(str::trim_ascii_start) else { continue };
        if !is_attribute {
            continue;
        }
        let (value, quote) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => (&value[1..], quote),
            _ => (value, ' '),
        };
        let ends = |c: char| if quote == ' ' { c.is_ascii_whitespace() || c == '>' } else { c == quote };
        let (value, behind) = value.split_at(value.find(ends).unwrap_or(value.len()));
        changed.push_str(if quote == '\'' { "='#" } else { "=\"#" });
        // One without quotation marks gets some.
        changed.push_str(if quote == ' ' { "\"" } else { "" });
        values.push(value);
        rest = behind;
    }
    if changed.is_empty() { (html.into(), values) } else { ((changed + rest).into(), values) }
}

/// With something in front of everything else in its head: behind the `<!DOCTYPE>`, without which a browser would show it
/// otherwise.
fn begun_with(begin: &str, html: &str) -> String {
    let mut rest = html;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let Some(comment) = rest.strip_prefix("<!--") else { break };
        let Some(end) = comment.find("-->") else { break };
        rest = &comment[end + 3..];
    }
    let is_declared = rest.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"));
    if is_declared && let Some(end) = rest.find('>') {
        rest = &rest[end + 1..];
    }
    let (before, behind) = html.split_at(html.len() - rest.len());
    [before, begin, behind].concat()
}

/// With the pictures that the message brings along in the places that name them (`cid:`, RFC 2392).
fn with_pictures<'h>(html: &'h str, parsed: &Parsed<'_>) -> Cow<'h, str> {
    let mut changed = String::new();
    let mut rest = html;
    while let Some(at) = found(rest, b"cid:") {
        let (before, behind) = rest.split_at(at);
        let name = &behind[4..];
        let end = name.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>')).unwrap_or(name.len());
        // A sentence about it is left alone.
        let is_address = before.ends_with(['"', '\'', '(', '=']);
        changed.push_str(before);
        match picture(&name[..end], parsed).filter(|_| is_address) {
            Some(picture) => changed.push_str(&picture),
            None => changed.push_str(&behind[..4 + end]),
        }
        rest = &name[end..];
    }
    if changed.is_empty() { html.into() } else { (changed + rest).into() }
}

/// A part of the message as an address that holds it.
fn picture(id: &str, parsed: &Parsed<'_>) -> Option<String> {
    let part =
        parsed.parts.iter().find(|part| part.content_id().is_some_and(|own| own.trim_matches(['<', '>']) == id))?;
    let kind = part.content_type()?;
    let kind = format!("{}/{}", kind.ctype(), kind.subtype()?).to_ascii_lowercase();
    PICTURES.contains(&kind.as_str()).then(|| format!("data:{kind};base64,{}", STANDARD.encode(part.contents())))
}

/// Where something stands in a text, in any case.
fn found(text: &str, what: &[u8]) -> Option<usize> {
    let mut starts = memchr::memchr2_iter(what[0], what[0].to_ascii_uppercase(), text.as_bytes());
    starts.find(|at| text.as_bytes()[*at..].get(..what.len()).is_some_and(|part| part.eq_ignore_ascii_case(what)))
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    #[test]
    fn what_is_added_does_not_change_how_the_rest_is_read() {
        for (html, wanted) in [
            ("<p>x", "#<p>x"),
            ("<!DOCTYPE html>\n<p>", "<!DOCTYPE html>#\n<p>"),
            (
                "\u{feff} <!-- a > --> <!doctype HTML PUBLIC \"x\">x",
                "\u{feff} <!-- a > --> <!doctype HTML PUBLIC \"x\">#x",
            ),
            ("<!-- never ends", "#<!-- never ends"),
            ("<!doctype", "#<!doctype"),
            ("é", "#é"),
            ("", "#"),
        ] {
            assert_eq!(begun_with("#", html), wanted);
        }
    }

    #[test]
    fn links_lead_nowhere_and_are_told() {
        for (html, wanted) in [
            ("<a href=\"https://x.example/?a=1&amp;b\">x</a>", "<a href=\"#\">x</a>"),
            ("<a HREF = 'https://x.example/?a=1&amp;b' id=y>", "<a HREF='#' id=y>"),
            ("<a\nhref=https://x.example/?a=1&amp;b id=y>", "<a\nhref=\"#\" id=y>"),
            ("<a href=https://x.example/?a=1&amp;b>x", "<a href=\"#\">x"),
            ("<a id=\"x\"href=\"https://x.example/?a=1&amp;b", "<a id=\"x\"href=\"#"),
            ("<image xlink:href='https://x.example/?a=1&amp;b'/>", "<image xlink:href='#'/>"),
        ] {
            assert_eq!(nowhere(html).0, wanted);
            assert_eq!(links(html), ["https://x.example/?a=1&b"], "{html}");
        }
        for html in ["href", "a href", "see href and data-href=\"x\"", "<a href", "thref=x"] {
            assert_eq!((nowhere(html).0.as_ref(), links(html).len()), (html, 0));
        }
        assert_eq!(
            links("<a href=#a><a href='mailto:a@b.example'><a href='mailto:a@b.example'>"),
            ["mailto:a@b.example"]
        );
    }

    #[test]
    fn pictures_of_the_message_stand_in_it() {
        let mail = "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nx\r\n\
                    --b\r\nContent-Type: image/png\r\nContent-ID: <logo.png>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n\
                    --b\r\nContent-Type: image/svg+xml\r\nContent-ID: <a.svg>\r\n\r\n<svg/>\r\n--b--\r\n";
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        let data = "data:image/png;base64,iVBORw==";
        for (html, wanted) in [
            ("<img src=\"cid:logo.png\">", format!("<img src=\"{data}\">")),
            ("<td background='CID:logo.png'>", format!("<td background='{data}'>")),
            ("<p style=\"background: url(cid:logo.png)\">", format!("<p style=\"background: url({data})\">")),
            ("<img src=cid:logo.png alt>", format!("<img src={data} alt>")),
            ("write cid:logo.png", "write cid:logo.png".into()),
            ("<img src=\"cid:logo.pn\"><img src='cid:a.svg'>", "<img src=\"cid:logo.pn\"><img src='cid:a.svg'>".into()),
        ] {
            assert_eq!(with_pictures(html, &parsed), wanted);
        }
    }
}
