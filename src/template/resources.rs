//! What a message may load when it is looked at. A picture that comes from somewhere else tells its owner who opened
//! the message, when, and from where; so nothing comes from elsewhere unless the template permits it.

use std::ops::Range;

use super::{
    TemplateProblem,
    elements::{StartTag, resolved, start_tags},
    front_problem::FrontProblem,
};
use crate::fault;

/// What a message may load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Permitted {
    /// Pictures, fonts and style sheets from elsewhere (`allow_remote`).
    pub(super) remote: bool,
    /// The pictures that it brings along (`inline`), as `cid:` names them.
    pub(super) pictures: Vec<String>,
}

/// Elements that mail programs drop, because they could do something.
fn is_dropped(element: &str) -> bool {
    matches!(
        element,
        "script"
            | "iframe"
            | "frame"
            | "frameset"
            | "object"
            | "embed"
            | "applet"
            | "form"
            | "portal"
            | "input"
            | "button"
            | "set"
            | "animate"
    )
}

/// Attributes that name something to load, in whatever element they stand.
fn loads_always(attribute: &str) -> bool {
    matches!(
        attribute,
        "src" | "srcset" | "imagesrcset" | "background" | "poster" | "lowsrc" | "dynsrc" | "data" | "ping" | "manifest"
    )
}

/// Elements whose link is not followed but loaded.
fn loads_its_link(element: &str) -> bool {
    matches!(element, "link" | "base" | "image" | "feimage" | "use" | "v:image")
}

/// What is wrong with what a piece of HTML loads or does, each with its place.
pub(super) fn check(html: &str, permitted: &Permitted) -> Vec<(Range<usize>, TemplateProblem)> {
    let mut wrong = Vec::new();
    if fault::is_blind() {
        return wrong;
    }
    for tag in start_tags(html) {
        check_tag(html, &tag, permitted, &mut wrong);
        // In an <svg>, what stands in a <style> or a <title> is no raw text but elements.
        if let Some(raw) = tag.raw {
            let within = check(&html[raw.clone()], permitted).into_iter();
            wrong.extend(within.map(|(at, problem)| (at.start + raw.start..at.end + raw.start, problem)));
        }
    }
    wrong
}

fn check_tag(html: &str, tag: &StartTag<'_>, permitted: &Permitted, wrong: &mut Vec<(Range<usize>, TemplateProblem)>) {
    let name = &*tag.name;
    if is_dropped(name) {
        wrong.push((tag.head.clone(), TemplateProblem::Dropped(format!("<{name}>"))));
        return;
    }
    let refreshes = |value: Range<usize>| resolved(&html[value]).trim().eq_ignore_ascii_case("refresh");
    if name == "meta" && tag.attribute("http-equiv").is_some_and(|kind| refreshes(kind.value.clone())) {
        wrong.push((tag.head.clone(), TemplateProblem::Dropped("<meta http-equiv=\"refresh\">".into())));
    }
    for attribute in &tag.attributes {
        let value = resolved(&html[attribute.value.clone()]);
        let attribute_name = &*attribute.name;
        let place = attribute.at..attribute.value.end;
        let loads =
            loads_always(attribute_name) || matches!(attribute_name, "href" | "xlink:href") && loads_its_link(name);
        let found = if attribute_name.starts_with("on") {
            Some(TemplateProblem::Dropped(format!("the script in {attribute_name}")))
        } else if loads && attribute_name.ends_with("srcset") {
            candidates(&value).find_map(|address| address_of(address, permitted))
        } else if loads {
            address_of(&value, permitted)
        } else if attribute_name == "style" {
            of_css(&value, permitted)
        } else if matches!(attribute_name, "href" | "xlink:href" | "action" | "formaction") {
            match scheme(&cleaned(&value)).as_deref() {
                Some("javascript" | "vbscript") => Some(TemplateProblem::Dropped("a link that is a script".into())),
                // Something on the reader's own machine, or a document in itself
                Some("data" | "file" | "blob" | "filesystem") if attribute_name.ends_with("href") => {
                    Some(TemplateProblem::Link(value.into_owned()))
                }
                _ => of_value(&value, permitted),
            }
        } else {
            of_value(&value, permitted)
        };
        wrong.extend(found.map(|problem| (place, problem)));
    }
    if name == "style"
        && let Some(raw) = &tag.raw
        && let Some(problem) = of_css(&html[raw.clone()], permitted)
    {
        let line =
            |address: &str| html[raw.clone()].find(address).map(|at| raw.start + at..raw.start + at + address.len());
        let place = match &problem {
            TemplateProblem::Remote(address) => line(address),
            _ => None,
        };
        wrong.push((place.unwrap_or(tag.head.clone()), problem));
    }
}

/// The addresses of a `srcset`: each is the first word between commas. A comma within one makes two, the first of
/// which says all the same where it leads.
fn candidates(srcset: &str) -> impl Iterator<Item = &str> {
    srcset.split(',').filter_map(|candidate| candidate.split_whitespace().next())
}

/// An address as a browser reads it: white space around and line ends within mean nothing, and `\` is `/`.
fn cleaned(address: &str) -> String {
    let address: String = address.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    address.trim_matches(|c: char| c.is_whitespace() || c.is_control()).replace('\\', "/")
}

/// The scheme of an address, in lower case.
fn scheme(address: &str) -> Option<String> {
    let (scheme, _) = address.split_once(':')?;
    // RFC 3986 §3.1
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    is_one.then(|| scheme.to_ascii_lowercase())
}

/// What is wrong with a style in an attribute of any name, such as `fill` in SVG.
fn of_value(value: &str, permitted: &Permitted) -> Option<TemplateProblem> {
    // Hardly any value has a bracket.
    (value.contains('(') && value.to_ascii_lowercase().contains("url(")).then(|| of_css(value, permitted))?
}

/// What is wrong with loading from an address.
pub(super) fn address_of(address: &str, permitted: &Permitted) -> Option<TemplateProblem> {
    let cleaned = cleaned(address);
    let scheme = scheme(&cleaned);
    match scheme.as_deref() {
        // A part of the message itself (RFC 2392)
        Some("cid") => {
            let name = cleaned.split_once(':').map_or("", |(_, name)| name);
            let is_there = permitted.pictures.iter().any(|picture| picture == name);
            let missing =
                || FrontProblem::NoPicture { name: name.to_owned(), known: permitted.pictures.clone() }.into();
            (!is_there).then(missing)
        }
        Some("data") => Some(TemplateProblem::DataAddress),
        Some("javascript" | "vbscript") => Some(TemplateProblem::Dropped("a script".into())),
        None if !cleaned.starts_with("//") => None,
        None | Some("http" | "https") if permitted.remote => None,
        None | Some("http" | "https" | "ftp") => Some(TemplateProblem::Remote(address.trim().to_owned())),
        // `file:` on another machine, too, which would be told the name of who reads the message.
        Some(_) => Some(TemplateProblem::OddAddress(address.trim().to_owned())),
    }
}

/// What is wrong with the first thing that a style sheet or a style loads and may not.
fn of_css(css: &str, permitted: &Permitted) -> Option<TemplateProblem> {
    if is_plain(css) {
        return None;
    }
    let css = without_comments_and_escapes(css);
    let lower = css.to_ascii_lowercase();
    let after = |word: &'static str| lower.match_indices(word).map(move |(at, _)| at + word.len());
    for at in after("url(").chain(after("src(")) {
        let argument = css[at..].split(')').next().unwrap_or("");
        if let Some(problem) = address_of(argument.trim().trim_matches(['"', '\'']), permitted) {
            return Some(problem);
        }
    }
    // What stands in quotation marks behind `@import` or in `image-set(…)` is an address, too.
    let imports = after("@import").map(|at| (at, ';'));
    let sets = after("image-set(").map(|at| (at, ';'));
    for (at, end) in imports.chain(sets) {
        let stretch = css[at..].split([end, '}']).next().unwrap_or("");
        for quoted in stretch.split(['"', '\'']).skip(1).step_by(2) {
            if let Some(problem) = address_of(quoted, permitted) {
                return Some(problem);
            }
        }
    }
    if lower.contains("expression(") || lower.contains("-moz-binding") || lower.contains("behavior:") {
        return Some(TemplateProblem::Dropped("a script in a style".into()));
    }
    None
}

/// Whether there is nothing in a style by which it could load or do something: most have only names and values.
fn is_plain(css: &str) -> bool {
    let starts = |at: usize, word: &str| {
        css.as_bytes()[at..].get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    css.bytes().enumerate().all(|(at, byte)| match byte {
        b'(' | b'@' | b'/' | b'\\' => false,
        b'b' | b'B' => !starts(at, "behavior:"),
        b'-' => !starts(at, "-moz-binding"),
        _ => true,
    })
}

/// Style sheets can spell `url` as `\75 rl` (CSS Syntax 3 §4.3.7).
fn without_comments_and_escapes(css: &str) -> String {
    let mut plain = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(at) = rest.find(['/', '\\']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
        } else if let Some(escape) = rest.strip_prefix('\\') {
            let digits = escape.chars().take(6).take_while(char::is_ascii_hexdigit).count();
            match u32::from_str_radix(&escape[..digits], 16).ok().and_then(char::from_u32) {
                Some(character) => {
                    plain.push(character);
                    rest = &escape[digits..];
                    rest = rest.strip_prefix(char::is_whitespace).unwrap_or(rest);
                }
                None => rest = escape,
            }
        } else {
            plain.push('/');
            rest = &rest[1..];
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(html: &str, remote: bool) -> Vec<String> {
        let permitted = Permitted { remote, pictures: vec!["logo".into(), "a".into()] };
        check(html, &permitted).into_iter().map(|(place, why)| format!("{}: {why}", &html[place])).collect()
    }

    #[test]
    fn what_would_be_loaded_from_elsewhere_is_named() {
        for html in [
            "<img src=\"https://one.example/a.png\">",
            "<img src=https://one.example/a.png alt=x>",
            "<img src='//one.example/a.png'>",
            "<img src=\"\\\\one.example\\a.png\">",
            "<img src=\" HTTP:one.example\">",
            "<img src=\"ht\ntps://one.example/\">",
            "<img src=\"&#104;ttps&colon;//one.example/\">",
            "<img src=\"ftp://one.example/\">",
            "<img alt='' srcset=\"cid:a 1x, https://one.example/b.png 2x\">",
            "<td background=\"http://one.example/\">",
            "<video poster=\"http://one.example/\">",
            "<audio src=\"http://one.example/\"></audio>",
            "<video><source src=\"http://one.example/\"></video>",
            "<link rel=stylesheet href=\"http://one.example/\">",
            "<base href=\"http://one.example/\">",
            "<a href=\"https://fine.example\" ping=\"https://one.example/\">",
            "<svg><image xlink:href=\"https://one.example/\"/></svg>",
            "<p style=\"background: url(https://one.example/a.png)\">",
            "<p style=\"background: url(&quot;https://one.example/a.png&quot;)\">",
            "<p style=\"background: u\\72l('//one.example/a.png')\">",
            "<style>@import 'https://one.example/a.css';</style>",
            "<style>@im/**/port url( \"https://one.example/a.css\" );</style>",
            "<style>@font-face { src: url(https://one.example/a.woff2) }</style>",
            "<style>p { background: image-set(\"https://one.example/a.png\" 1x) }</style>",
            "<!--[if mso]><v:fill src=\"https://one.example/a.png\"/><![endif]-->",
        ] {
            let refused = said(html, false);
            assert!(refused.len() == 1 && refused[0].contains("from elsewhere"), "{html}: {refused:?}");
            if !html.contains("ftp:") {
                assert_eq!(said(html, true), [""; 0], "{html}");
            }
        }
    }

    #[test]
    fn what_mail_programs_drop_is_refused_always() {
        for html in [
            "<script>x</script>",
            "<SCRIPT src=\"https://one.example/\"></SCRIPT>",
            "<iframe src=\"https://one.example/\">",
            "<object data=\"https://one.example/\">",
            "<embed src=\"https://one.example/\">",
            "<form action=\"https://one.example/\">",
            "<p onClick=\"x()\">",
            "<svg/onload=x()>",
            "<svg><style><img alt='' onerror=x()></style></svg>",
            "<svg><title><iframe></title></svg>",
            "<!-- x --!><img alt='' onerror=x()> -->",
            "<a href=\" java\nscript:x()\">",
            "<img src=\"javascript:x()\">",
            "<meta http-equiv=\"Refresh\" content=\"0; url=https://one.example/\">",
            "<p style=\"width: expression(x())\">",
        ] {
            for remote in [false, true] {
                let refused = said(html, remote);
                assert!(refused.len() == 1 && refused[0].contains("mail programs drop "), "{html}: {refused:?}");
            }
        }
        assert!(said("<img src=\"data:image/png;base64,AA\">", true)[0].contains("data:"));
        assert!(said("<img src=\"file://one.example/a.png\">", true)[0].contains("file://one.example/a.png"));
    }

    #[test]
    fn what_loads_nothing_is_fine() {
        for html in [
            "<a href=\"https://one.example/\" title=\"src=https://one.example/\">https://one.example/</a>",
            "<img src=\"cid:logo\" alt=\"https://one.example/\">",
            "<img src=\"logo.png\">",
            "<!-- <img src=\"https://one.example/\"> -->",
            "<p style=\"color: red; background: url(cid:a)\" class=\"on\">",
            "<html xmlns=\"http://www.w3.org/1999/xhtml\" xmlns:v=\"urn:schemas-microsoft-com:vml\">",
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1.dtd\">",
            "<blockquote cite=\"https://one.example/\">",
            "<style>/* https://one.example/ */ p { color: red }</style>",
            "<style><!-- p > a { color: red } --></style><title>1 < 2, <b></title>",
        ] {
            assert_eq!(said(html, false), [""; 0], "{html}");
        }
    }

    #[test]
    fn the_place_is_the_attribute() {
        assert_eq!(
            said("<p><img alt=\"\" src=\"https://one.example/\">", false),
            ["src=\"https://one.example/: the message would load https://one.example/ from elsewhere"]
        );
    }
}
