//! The styles that a layout has for what Markdown becomes.
//!
//! The body differs for everybody, and css-inline takes longer for a message than all else together. So it is asked
//! once for a sample with every element in everything that it can be in, and each body is written with the answers.

use std::collections::BTreeMap;

use pulldown_cmark::HeadingLevel;

use crate::template::styles::{Insertions, Piece};

/// An element that Markdown can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    Paragraph,
    Heading(HeadingLevel),
    Bulleted,
    Numbered,
    BulletedItem,
    NumberedItem,
    Quote,
    Block,
    Table,
    Head,
    HeadRow,
    HeadCell,
    Rows,
    Row,
    Cell,
    Rule,
    Link,
    Emphasis,
    Strong,
    Code,
    Image,
}

/// What an element is in, the innermost that matters for how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Within {
    Page,
    Item,
    Quote,
    Heading,
    HeadCell,
    Cell,
    Block,
}

/// The elements that can be in the page, in an item and in a quotation; `·` is where the style goes.
const BLOCKS: [(Element, &str); 19] = [
    (Element::Paragraph, "<p·></p>"),
    (Element::Heading(HeadingLevel::H1), "<h1·></h1>"),
    (Element::Heading(HeadingLevel::H2), "<h2·></h2>"),
    (Element::Heading(HeadingLevel::H3), "<h3·></h3>"),
    (Element::Heading(HeadingLevel::H4), "<h4·></h4>"),
    (Element::Heading(HeadingLevel::H5), "<h5·></h5>"),
    (Element::Heading(HeadingLevel::H6), "<h6·></h6>"),
    (Element::Bulleted, "<ul·></ul>"),
    (Element::Numbered, "<ol·></ol>"),
    (Element::BulletedItem, "<ul><li·></li></ul>"),
    (Element::NumberedItem, "<ol><li·></li></ol>"),
    (Element::Quote, "<blockquote·></blockquote>"),
    (Element::Block, "<pre·></pre>"),
    (Element::Table, "<table·></table>"),
    (Element::Head, "<table><thead·></thead></table>"),
    (Element::HeadRow, "<table><thead><tr·></tr></thead></table>"),
    (Element::Rows, "<table><tbody·></tbody></table>"),
    (Element::Row, "<table><tbody><tr·></tr></tbody></table>"),
    (Element::Rule, "<hr·>"),
];

/// The elements that can be in text.
const INLINE: [(Element, &str); 5] = [
    (Element::Link, "<a·></a>"),
    (Element::Emphasis, "<em·></em>"),
    (Element::Strong, "<strong·></strong>"),
    (Element::Code, "<code·></code>"),
    (Element::Image, "<img·>"),
];

/// What elements can be in, the tags around them, and the elements.
type InAll = (Within, &'static str, &'static [(Element, &'static str)], &'static str);

/// Everything that an element can be in, and which elements.
const SAMPLES: [InAll; 10] = [
    (Within::Page, "", &BLOCKS, ""),
    (Within::Page, "<p>", &INLINE, "</p>"),
    (Within::Item, "<ul><li>", &BLOCKS, "</li></ul>"),
    (Within::Item, "<ul><li>", &INLINE, "</li></ul>"),
    (Within::Quote, "<blockquote>", &BLOCKS, "</blockquote>"),
    (Within::Quote, "<blockquote><p>", &INLINE, "</p></blockquote>"),
    (Within::Heading, "<h2>", &INLINE, "</h2>"),
    (Within::HeadCell, "<table><thead><tr><th>", &INLINE, "</th></tr></thead></table>"),
    (Within::Cell, "<table><tbody><tr><td>", &INLINE, "</td></tr></tbody></table>"),
    (Within::Block, "<pre>", &[(Element::Code, "<code·></code>")], "</pre>"),
];

/// The cells, which are in themselves.
const CELLS: [(Within, Element, &str); 2] = [
    (Within::HeadCell, Element::HeadCell, "<table><thead><tr><th·></th></tr></thead></table>"),
    (Within::Cell, Element::Cell, "<table><tbody><tr><td·></td></tr></tbody></table>"),
];

/// A body with every element in everything, and where the style of each goes.
pub(in crate::template) struct Sample {
    pub(in crate::template) html: String,
    places: Vec<(Within, Element, usize)>,
}

impl Sample {
    pub(in crate::template) fn new() -> Self {
        let mut sample = Self { html: String::new(), places: Vec::new() };
        for (within, before, elements, behind) in SAMPLES {
            sample.html.push_str(before);
            for (element, html) in elements {
                sample.push(within, *element, html);
            }
            sample.html.push_str(behind);
        }
        for (within, element, html) in CELLS {
            sample.push(within, element, html);
        }
        sample
    }

    fn push(&mut self, within: Within, element: Element, html: &str) {
        let (before, behind) = html.split_once('·').unwrap_or((html, ""));
        // What stands between them keeps rules for neighbours from being taken for rules for all.
        self.html.push_str("<span></span>");
        self.html.push_str(before);
        self.places.push((within, element, self.html.len()));
        self.html.push_str(behind);
        self.html.push_str("<span></span>");
    }

    /// The styles that were found for it.
    pub(in crate::template) fn styles(self, insertions: &Insertions) -> Styles {
        let style = |(within, element, at): (Within, Element, usize)| {
            let attribute = insertions.get(&(Piece::Sample, at))?;
            let style = attribute.trim().strip_prefix("style=\"")?.strip_suffix('"')?;
            Some(((within, element), style.to_owned()))
        };
        Styles(self.places.into_iter().filter_map(style).collect())
    }
}

/// The style of each element, escaped for an attribute.
#[derive(Debug, Default)]
pub(in crate::template) struct Styles(BTreeMap<(Within, Element), String>);

impl Styles {
    pub(super) fn get(&self, within: Within, element: Element) -> &str {
        self.0.get(&(within, element)).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::styles::Document;

    fn styles(css: &str) -> Styles {
        let sample = Sample::new();
        let mut document = Document::default();
        document.push(Piece::Layout, 0, &format!("<style>{css}</style><div class=\"text\">"));
        document.push(Piece::Sample, 0, &sample.html);
        document.push(Piece::Layout, 0, "</div>");
        sample.styles(&document.insertions().unwrap())
    }

    #[test]
    fn each_element_is_found_in_what_it_is_in() {
        let all = styles("* { margin: 0 }");
        let places: usize = SAMPLES.iter().map(|(_, _, elements, _)| elements.len()).sum::<usize>() + CELLS.len();
        assert_eq!((all.0.len(), all.0.values().all(|style| style == "margin: 0")), (places, true));
        let some = styles(".text > p { a: b } li p { c: d } pre code { e: f } .text th a { g: h } h1, h2 em { i: j }");
        for (within, element, style) in [
            (Within::Page, Element::Paragraph, "a: b"),
            (Within::Item, Element::Paragraph, "c: d"),
            (Within::Quote, Element::Paragraph, ""),
            (Within::Block, Element::Code, "e: f"),
            (Within::Page, Element::Code, ""),
            (Within::HeadCell, Element::Link, "g: h"),
            (Within::Cell, Element::Link, ""),
            (Within::Quote, Element::Heading(HeadingLevel::H1), "i: j"),
            (Within::Heading, Element::Emphasis, "i: j"),
        ] {
            assert_eq!(some.get(within, element), style, "{within:?} {element:?}");
        }
    }

    #[test]
    fn rules_for_neighbours_are_not_taken_for_rules_for_all() {
        let some = styles("p:first-child, p:last-child, h1 + h2, p ~ ul { a: b }");
        assert_eq!(some.get(Within::Page, Element::Paragraph), "");
        assert_eq!(some.get(Within::Page, Element::Heading(HeadingLevel::H2)), "");
    }
}
