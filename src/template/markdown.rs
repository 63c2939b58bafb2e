//! CommonMark with tables becomes HTML and a text that reads well.

mod html;
mod styled;
mod text;

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};

pub(super) use self::styled::{Sample, Styles};
use super::{
    TemplateProblem,
    in_html::{InHtml, link},
    resources::{self, Permitted},
    tags,
    veil::{Stretch, stretches, unveil},
    with_lf,
};

/// The text part and the HTML of a Markdown body with veiled values.
pub(super) fn render(
    markdown: &str,
    styles: &Styles,
    permitted: &Permitted,
) -> Result<(String, String), TemplateProblem> {
    let mut events = Vec::new();
    let mut paragraph = 0;
    let mut block = InHtml::default();
    let mut whole = String::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Paragraph) => paragraph = events.len(),
            // A paragraph of nothing but empty values is none.
            Event::End(TagEnd::Paragraph) if events[paragraph..].iter().skip(1).all(is_nothing) => {
                events.truncate(paragraph);
                continue;
            }
            // A block of HTML comes line by line.
            Event::Html(lines) => {
                let lines = block.put(&lines)?;
                whole.push_str(&lines);
                events.push(Event::Html(lines.into()));
                continue;
            }
            Event::End(TagEnd::HtmlBlock) => {
                block = InHtml::default();
                loads(&std::mem::take(&mut whole), permitted)?;
            }
            _ => {}
        }
        let before = events.len();
        unveiled(event, &mut events)?;
        for event in &events[before..] {
            match event {
                Event::InlineHtml(tag) => loads(tag, permitted)?,
                Event::Start(Tag::Image { dest_url, .. }) => {
                    resources::address_of(dest_url, permitted).map_or(Ok(()), Err)?;
                }
                _ => {}
            }
        }
    }
    Ok((text::write(&events), html::write(&events, styles)))
}

fn loads(html: &str, permitted: &Permitted) -> Result<(), TemplateProblem> {
    resources::check(html, permitted).into_iter().next().map_or(Ok(()), |(_, problem)| Err(problem))
}

/// Whether there is HTML in a template, which is not written with styles.
pub(super) fn has_html(template: &str) -> bool {
    Parser::new_ext(&tags::covered(template, 'x'), Options::ENABLE_TABLES)
        .any(|event| matches!(event, Event::Html(_) | Event::InlineHtml(_)))
}

/// What is wrong with what a template loads, each with its place; all branches of its blocks are read one after the
/// other.
pub(super) fn check(template: &str, permitted: &Permitted) -> Vec<(Range<usize>, TemplateProblem)> {
    // Letters in place of tags: spaces could make code of what is behind them.
    let covered = tags::covered(template, 'x');
    let mut wrong = Vec::new();
    for (event, place) in Parser::new_ext(&covered, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => {
                wrong.extend(resources::address_of(&dest_url, permitted).map(|problem| (place, problem)));
            }
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                let found = resources::check(&covered[place.clone()], permitted).into_iter();
                wrong.extend(
                    found.map(|(within, problem)| (place.start + within.start..place.start + within.end, problem)),
                );
            }
            _ => {}
        }
    }
    wrong
}

fn is_nothing(event: &Event<'_>) -> bool {
    match event {
        Event::Text(text) => text.trim().is_empty(),
        Event::SoftBreak => true,
        _ => false,
    }
}

/// The event with its values put in, each as fits where it stands.
fn unveiled<'m>(event: Event<'m>, events: &mut Vec<Event<'m>>) -> Result<(), TemplateProblem> {
    let plain = |text: CowStr<'m>| CowStr::from(unveil(&text).into_owned());
    events.push(match event {
        Event::Text(text) => {
            push_text(&text, events);
            return Ok(());
        }
        Event::Code(code) => Event::Code(with_lf(unveil(&code).into_owned()).replace('\n', " ").into()),
        Event::InlineHtml(tag) => Event::InlineHtml(InHtml::default().put(&tag)?.into()),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => Event::Start(Tag::Link {
            link_type,
            dest_url: link(&dest_url, str::to_owned)?.into(),
            title: plain(title),
            id,
        }),
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => Event::Start(Tag::Image {
            link_type,
            dest_url: link(&dest_url, str::to_owned)?.into(),
            title: plain(title),
            id,
        }),
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(plain(info))))
        }
        other => other,
    });
    Ok(())
}

/// Text with its values; a line break in a value is one in the message.
fn push_text(text: &str, events: &mut Vec<Event<'_>>) {
    for stretch in stretches(text) {
        match stretch {
            Stretch::Author(author) => events.push(Event::Text(author.to_owned().into())),
            Stretch::Raw(html) => events.push(Event::InlineHtml(html.into())),
            Stretch::Value(value) => {
                for (nth, line) in with_lf(value).trim_end_matches('\n').split('\n').enumerate() {
                    if nth > 0 {
                        events.push(Event::HardBreak);
                    }
                    events.push(Event::Text(line.to_owned().into()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::veil::veil;

    fn body(markdown: &str) -> (String, String) {
        let (text, html) = render(markdown, &Styles::default(), &Permitted::default()).unwrap();
        (text, html.trim().to_owned())
    }

    #[test]
    fn a_value_shows_as_typed_wherever_it_stands() {
        let nasty = "*Bob* [x](http://evil.example) <b>&amp;</b> # `c`";
        let v = veil(nasty);
        let shown = "*Bob* [x](http://evil.example) &lt;b&gt;&amp;amp;&lt;/b&gt; # `c`";
        let (text, html) = body(&format!("Dear **{v}**,\n\n# {v}\n\n- {v}\n\n`{v}`\n\n| a |\n|---|\n| {v} |\n"));
        assert_eq!(text.matches(nasty).count(), 5, "{text}");
        assert_eq!(html.matches(shown).count(), 5, "{html}");
        assert!(!html.contains("<b>") && !html.contains("evil.example\""), "{html}");
        let (_, html) = body(&format!("<div title=\"{v}\">{v}</div>\n"));
        assert!(!html.contains("<b>"), "{html}");
    }

    #[test]
    fn a_value_at_the_beginning_of_a_line_opens_nothing() {
        for value in
            ["# x", "> x", "- x", "1. x", "    x", "```", "---", "===", "| a |", "[a]: b", "<script>", "\n\n# y"]
        {
            let (_, html) = body(&format!("{}\n", veil(value)));
            assert!(
                html.starts_with("<p>") && html.ends_with("</p>") && html.matches("<p>").count() == 1,
                "{value:?}: {html}"
            );
        }
    }

    #[test]
    fn an_empty_value_leaves_nothing_behind() {
        let empty = veil("");
        let (text, html) = body(&format!("a\n\n{empty}\n{empty}\n\nb **{empty}** c\n"));
        assert_eq!((text.as_str(), html.as_str()), ("a\n\nb  c\n", "<p>a</p>\n<p>b <strong></strong> c</p>"));
    }

    #[test]
    fn a_line_break_in_a_value_is_a_line_break() {
        let (text, html) = body(&format!("To:\n\n{}\n", veil("1 High St\r\nTown\n")));
        assert_eq!(html, "<p>To:</p>\n<p>1 High St<br />\nTown</p>");
        assert_eq!(text, "To:\n\n1 High St\nTown\n");
    }

    #[test]
    fn links_made_of_values_go_somewhere_harmless() {
        let (text, html) = body(&format!("[case](https://one.example/{}?q=1)", veil("a/../b?x=\"1\"&ü")));
        assert!(html.contains("href=\"https://one.example/a%2F..%2Fb%3Fx%3D%221%22%26%C3%BC?q=1\""), "{html}");
        assert!(text.contains("case <https://one.example/a%2F"), "{text}");
        assert!(
            body(&format!("[go]({})", veil("https://one.example/?a=b&c")))
                .1
                .contains("href=\"https://one.example/?a=b&amp;c\"")
        );
        for evil in [
            "javascript:alert(1)",
            " JavaScript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "//one.example",
            "java\nscript:x",
        ] {
            assert!(
                render(&format!("[go]({})", veil(evil)), &Styles::default(), &Permitted::default()).is_err(),
                "{evil}"
            );
        }
    }

    #[test]
    fn pictures_from_elsewhere_are_found_in_the_template_and_in_the_message() {
        for markdown in [
            "a ![x](https://one.example/a.png) b",
            "![x][y]\n\n[y]: //one.example/a.png",
            "<div>\n<img alt=''\n src='https://one.example/'>\n</div>",
            "a <img src=\"https://one.example/\"> b",
            "- > a <img src=\"https://one.example/\">",
        ] {
            assert!(render(markdown, &Styles::default(), &Permitted::default()).is_err(), "{markdown}");
            assert!(
                render(markdown, &Styles::default(), &Permitted { remote: true, ..Permitted::default() }).is_ok(),
                "{markdown}"
            );
            let found = check(markdown, &Permitted::default());
            assert!(found.len() == 1 && markdown[found[0].0.clone()].contains(['!', '/']), "{markdown}: {found:?}");
            assert!(check(markdown, &Permitted { remote: true, ..Permitted::default() }).is_empty(), "{markdown}");
        }
        assert!(!check("{{#if a}}\n    ![x](https://one.example/{{b}})\n{{/if}}", &Permitted::default()).is_empty());
        let by_value = format!("![x]({})", veil("https://one.example/a.png"));
        assert!(render(&by_value, &Styles::default(), &Permitted::default()).is_err());
        let fine = "![x](a.png) [y](https://one.example/) `<img src=\"https://one.example/\">` <https://one.example/>";
        assert!(
            check(fine, &Permitted::default()).is_empty()
                && render(fine, &Styles::default(), &Permitted::default()).is_ok()
        );
        assert!(!check("<script>x</script>", &Permitted { remote: true, ..Permitted::default() }).is_empty());
    }
}
