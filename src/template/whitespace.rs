//! The text between the tags, as handlebars.js leaves it.
//!
//! A tag that stands alone on its line takes the line with it, and a tilde takes all white space. The Rust crate does
//! this otherwise in many places, so it never sees the text: it compiles the tags, and the text is put between them
//! afterwards. What handlebars.js does is in its `whitespace-control.js` (4.7); the functions here have its names and
//! its order, so that they can be compared.

use std::{iter::Peekable, slice};

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, Renderable,
    template::{HelperTemplate, Parameter, Template as Compiled, TemplateElement, TemplateMapping},
};

use super::{
    TemplateProblem,
    raw::RAW_HTML,
    tags::{Kind, Part, Tag, Tildes, Wrong},
};

/// The name of the block that a partial on a line of its own becomes; no tag can hold it, for its space.
pub(super) const INDENTED: &str = "indented partial";

/// Compiles a text whose parts are known.
pub(super) fn compile(text: &str, parts: &[Part]) -> Result<Compiled, Wrong> {
    let compiled = Compiled::compile(&tags_only(text, parts)).map_err(|error| {
        let (line, column) = error.pos().unwrap_or((1, 1));
        let at = super::lint::Lines::of(text).offset(text, line, column);
        let reason = error.reason().to_string();
        let why = reason.strip_prefix("invalid handlebars syntax: ").unwrap_or(&reason).replace('\n', " ");
        (at..at + 1, TemplateProblem::Syntax(why))
    })?;
    let mut parts = parts.iter().peekable();
    let mut nodes = program(text, &mut parts)?;
    if let Some(Part::Tag(tag)) = parts.next() {
        return Err(unlike(tag));
    }
    control(&mut nodes, Level::Root);
    let weaver = Weaver::new(text)?;
    weaver.weave(nodes, compiled)
}

/// The tags where they stand, and all else made into a character that means nothing, but for line ends.
fn tags_only(text: &str, parts: &[Part]) -> String {
    let mut only = String::with_capacity(text.len());
    let mut from = 0;
    let blank = |c| if c == '\n' { c } else { 'x' };
    for part in parts {
        if let Part::Tag(tag) = part
            && tag.kind != Kind::Comment
        {
            only.extend(text[from..tag.place.start].chars().map(blank));
            only.push_str(&text[tag.place.clone()]);
            from = tag.place.end;
        }
    }
    only.extend(text[from..].chars().map(blank));
    only
}

/// The two readings of a tag do not agree, which nothing that is known leads to.
fn unlike(tag: &Tag) -> Wrong {
    let why = "Handlebars' own reading of this tag is another one";
    (tag.place.clone(), TemplateProblem::unlike(why, "write it in a simpler way"))
}

/// A node of the tree in which white space is taken away.
enum Node<'t> {
    Text(Text<'t>),
    /// A comment, value or partial; what stands before a partial on its line goes before each of its own.
    Tag(&'t Tag, Option<&'t str>),
    Block(Box<Block<'t>>),
}

struct Text<'t> {
    original: &'t str,
    value: &'t str,
    left_stripped: bool,
    right_stripped: bool,
}

/// Which white space is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spaces {
    /// By a tilde
    All,
    /// By a tag that stands alone on its line
    OfLine,
}

/// Where a program stands: at the ends of the whole there is as good as a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Block,
}

impl<'t> Node<'t> {
    fn text(&mut self) -> Option<&mut Text<'t>> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Block<'t> {
    tag: &'t Tag,
    open: Tildes,
    inverse_strip: Tildes,
    close: Tildes,
    program: Vec<Node<'t>>,
    inverse: Option<Vec<Node<'t>>>,
    /// Whether the inverse is another block in the same tag, as in `{{else if …}}`.
    chained: bool,
}

type Parts<'t> = Peekable<slice::Iter<'t, Part>>;

/// The nodes up to the `else` or the end of the block in which they are.
fn program<'t>(text: &'t str, parts: &mut Parts<'t>) -> Result<Vec<Node<'t>>, Wrong> {
    let mut nodes = Vec::new();
    while let Some(part) = parts.peek() {
        match part {
            Part::Text(stretch) => {
                let original = &text[stretch.clone()];
                nodes.push(Node::Text(Text { original, value: original, left_stripped: false, right_stripped: false }));
                parts.next();
            }
            Part::Tag(tag) => match tag.kind {
                Kind::Else | Kind::ElseBlock | Kind::Close => break,
                Kind::Open => {
                    parts.next();
                    nodes.push(Node::Block(Box::new(block(text, tag, parts)?)));
                }
                Kind::Comment | Kind::Value | Kind::Raw | Kind::Partial => {
                    parts.next();
                    nodes.push(Node::Tag(tag, None));
                }
            },
        }
    }
    Ok(nodes)
}

/// What follows the tag that opens a block.
fn block<'t>(text: &'t str, tag: &'t Tag, parts: &mut Parts<'t>) -> Result<Block<'t>, Wrong> {
    let (mut block, close) = up_to_close(text, tag, parts)?;
    let Some(close) = close else { return Err(unlike(tag)) };
    block.close = close.tildes;
    // Of a chain, only the first block knows how the whole is closed; handlebars.js gives the others their own tildes.
    if let Some(first) = block.chain() {
        first.close = close.tildes;
    }
    Ok(block)
}

fn up_to_close<'t>(text: &'t str, tag: &'t Tag, parts: &mut Parts<'t>) -> Result<(Block<'t>, Option<&'t Tag>), Wrong> {
    let mut block = Block {
        tag,
        open: tag.tildes,
        inverse_strip: Tildes::default(),
        close: Tildes::default(),
        program: program(text, parts)?,
        inverse: None,
        chained: false,
    };
    let close = match parts.next() {
        Some(Part::Tag(next)) if next.kind == Kind::Else => {
            block.inverse_strip = next.tildes;
            block.inverse = Some(program(text, parts)?);
            parts.next()
        }
        Some(Part::Tag(next)) if next.kind == Kind::ElseBlock => {
            let (mut chained, close) = up_to_close(text, next, parts)?;
            if let Some(second) = chained.chain() {
                second.close = second.open;
            }
            block.inverse_strip = next.tildes;
            block.inverse = Some(vec![Node::Block(Box::new(chained))]);
            block.chained = true;
            return Ok((block, close));
        }
        next => next,
    };
    Ok(match close {
        Some(Part::Tag(close)) if close.kind == Kind::Close => (block, Some(close)),
        _ => (block, None),
    })
}

impl<'t> Block<'t> {
    /// The block that `{{else if …}}` begins.
    fn chain(&mut self) -> Option<&mut Block<'t>> {
        match self.inverse.as_mut()?.first_mut()? {
            Node::Block(block) if self.chained => Some(block),
            _ => None,
        }
    }

    /// What is done first where this is false.
    fn first_inverse(&mut self) -> Option<&mut Vec<Node<'t>>> {
        if self.chained { self.chain().map(|block| &mut block.program) } else { self.inverse.as_mut() }
    }
}

/// What a node says about the white space around it.
#[derive(Default)]
struct Strip {
    tildes: Tildes,
    open_standalone: bool,
    close_standalone: bool,
    inline_standalone: bool,
}

fn control(body: &mut [Node<'_>], level: Level) {
    for at in 0..body.len() {
        let strip = match &mut body[at] {
            Node::Text(_) => continue,
            Node::Tag(tag, _) => Strip {
                tildes: tag.tildes,
                inline_standalone: matches!(tag.kind, Kind::Comment | Kind::Partial),
                ..Strip::default()
            },
            Node::Block(block) => control_block(block),
        };
        let before = is_prev_whitespace(body, at, level);
        let after = is_next_whitespace(body, at + 1, level);
        if strip.tildes.after {
            omit_right(body.get_mut(at + 1), Spaces::All);
        }
        if strip.tildes.before {
            omit_left(body[..at].last_mut(), Spaces::All);
        }
        if strip.inline_standalone && before && after {
            omit_right(body.get_mut(at + 1), Spaces::OfLine);
            if omit_left(body[..at].last_mut(), Spaces::OfLine)
                && let [.., Node::Text(text), Node::Tag(_, indent)] = &mut body[..=at]
            {
                *indent = Some(&text.original[text.original.trim_end_matches([' ', '\t']).len()..]);
            }
        }
        if strip.open_standalone && before {
            if let Node::Block(block) = &mut body[at] {
                omit_right(block.program.first_mut(), Spaces::OfLine);
            }
            omit_left(body[..at].last_mut(), Spaces::OfLine);
        }
        if strip.close_standalone && after {
            omit_right(body.get_mut(at + 1), Spaces::OfLine);
            if let Node::Block(block) = &mut body[at] {
                let last = block.inverse.as_mut().unwrap_or(&mut block.program);
                omit_left(last.last_mut(), Spaces::OfLine);
            }
        }
    }
}

fn control_block(block: &mut Block<'_>) -> Strip {
    control(&mut block.program, Level::Block);
    if let Some(inverse) = &mut block.inverse {
        control(inverse, Level::Block);
    }
    let (open, inverse_strip, close) = (block.open, block.inverse_strip, block.close);
    let last = block.program.len();
    let program_ends = is_prev_whitespace(&block.program, last, Level::Block);
    let first_inverse = block.first_inverse();
    let (inverse_begins, inverse_ends) = match &first_inverse {
        Some(inverse) => {
            (is_next_whitespace(inverse, 0, Level::Block), is_prev_whitespace(inverse, inverse.len(), Level::Block))
        }
        None => (false, program_ends),
    };
    let strip = Strip {
        tildes: Tildes { before: open.before, after: close.after },
        open_standalone: is_next_whitespace(&block.program, 0, Level::Block),
        close_standalone: inverse_ends,
        inline_standalone: false,
    };
    if open.after {
        omit_right(block.program.first_mut(), Spaces::All);
    }
    if block.inverse.is_none() {
        if close.before {
            omit_left(block.program.last_mut(), Spaces::All);
        }
        return strip;
    }
    if inverse_strip.before {
        omit_left(block.program.last_mut(), Spaces::All);
    }
    if let Some(inverse) = block.first_inverse() {
        if inverse_strip.after {
            omit_right(inverse.first_mut(), Spaces::All);
        }
        if close.before {
            omit_left(inverse.last_mut(), Spaces::All);
        }
        if program_ends && inverse_begins {
            omit_right(inverse.first_mut(), Spaces::OfLine);
        }
    }
    if program_ends && inverse_begins {
        omit_left(block.program.last_mut(), Spaces::OfLine);
    }
    strip
}

/// What JavaScript takes for white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() && c != '\u{85}' || c == '\u{feff}'
}

/// Whether only white space stands before a place on its line.
fn is_prev_whitespace(body: &[Node<'_>], at: usize, level: Level) -> bool {
    match &body[..at] {
        [] => level == Level::Root,
        [before @ .., Node::Text(text)] => {
            let rest = text.original.trim_end_matches(is_space);
            text.original[rest.len()..].contains('\n') || level == Level::Root && before.is_empty() && rest.is_empty()
        }
        _ => false,
    }
}

/// Whether only white space stands behind a place on its line.
fn is_next_whitespace(body: &[Node<'_>], from: usize, level: Level) -> bool {
    match &body[from..] {
        [] => level == Level::Root,
        [Node::Text(text), behind @ ..] => {
            let rest = text.original.trim_start_matches(is_space);
            let spaces = &text.original[..text.original.len() - rest.len()];
            spaces.contains('\n') || level == Level::Root && behind.is_empty() && rest.is_empty()
        }
        _ => false,
    }
}

fn omit_right(node: Option<&mut Node<'_>>, spaces: Spaces) {
    let Some(text) = node.and_then(Node::text) else { return };
    if spaces == Spaces::OfLine && text.right_stripped {
        return;
    }
    let before = text.value.len();
    text.value = match spaces {
        Spaces::All => text.value.trim_start_matches(is_space),
        Spaces::OfLine => {
            let rest = text.value.trim_start_matches([' ', '\t']);
            rest.strip_prefix("\r\n").or(rest.strip_prefix('\n')).or(rest.strip_prefix('\r')).unwrap_or(rest)
        }
    };
    text.right_stripped = text.value.len() != before;
}

fn omit_left(node: Option<&mut Node<'_>>, spaces: Spaces) -> bool {
    let Some(text) = node.and_then(Node::text) else { return false };
    if spaces == Spaces::OfLine && text.left_stripped {
        return false;
    }
    let before = text.value.len();
    text.value = match spaces {
        Spaces::All => text.value.trim_end_matches(is_space),
        Spaces::OfLine => text.value.trim_end_matches([' ', '\t']),
    };
    text.left_stripped = text.value.len() != before;
    text.left_stripped
}

/// Puts text between what the crate compiled.
struct Weaver<'t> {
    text: &'t str,
    /// The place that was reached last: byte, line and column.
    reached: (usize, usize, usize),
    /// Neither can be made but by compiling.
    mapping: TemplateMapping,
    indented: Box<HelperTemplate>,
}

impl<'t> Weaver<'t> {
    fn new(text: &'t str) -> Result<Self, Wrong> {
        let frame = Compiled::compile("{{#if \"\"}}{{/if}}").ok();
        let parts = frame.and_then(|mut frame| Some((frame.mapping.pop()?, frame.elements.pop()?)));
        let Some((mapping, TemplateElement::HelperBlock(mut indented))) = parts else {
            return Err((0..0, TemplateProblem::Syntax("no block can be made".into())));
        };
        indented.name = Parameter::Name(INDENTED.to_owned());
        Ok(Self { text, reached: (0, 1, 1), mapping, indented })
    }

    fn weave(mut self, nodes: Vec<Node<'_>>, compiled: Compiled) -> Result<Compiled, Wrong> {
        self.program(nodes, compiled).map_err(|tag| tag.map_or((0..0, TemplateProblem::TagOpen), unlike))
    }

    fn program<'n>(&mut self, nodes: Vec<Node<'n>>, compiled: Compiled) -> Result<Compiled, Option<&'n Tag>> {
        let mut woven = Compiled::new();
        woven.name = compiled.name;
        let is_text = |element: &TemplateElement| matches!(element, TemplateElement::RawString(_));
        let mut elements = compiled.elements.into_iter().filter(|element| !is_text(element));
        let mut last = None;
        for node in nodes {
            let element = match node {
                Node::Text(text) if text.value.is_empty() => continue,
                Node::Text(text) => TemplateElement::RawString(text.value.to_owned()),
                Node::Tag(tag, _) if tag.kind == Kind::Comment => continue,
                Node::Tag(tag, indent) => {
                    last = Some(tag);
                    let element = elements.next().ok_or(last)?;
                    self.reach(tag.place.start);
                    match (&element, tag.kind) {
                        (TemplateElement::Expression(_), Kind::Value) => element,
                        (TemplateElement::HtmlExpression(raw), Kind::Raw) => self.raw(raw).unwrap_or(element),
                        (TemplateElement::PartialExpression(_), Kind::Partial) => match indent {
                            Some(indent) => self.indented(element, indent),
                            None => element,
                        },
                        _ => return Err(last),
                    }
                }
                Node::Block(block) => {
                    last = Some(block.tag);
                    let Some(TemplateElement::HelperBlock(mut compiled)) = elements.next() else { return Err(last) };
                    self.reach(block.tag.place.start);
                    let mapping = self.mapping.clone();
                    compiled.template =
                        Some(self.program(block.program, compiled.template.take().unwrap_or_default())?);
                    compiled.inverse = match (block.inverse, compiled.inverse.take()) {
                        (Some(nodes), Some(inverse)) => Some(self.program(nodes, inverse)?),
                        (Some(nodes), None) if nodes.is_empty() => None,
                        (None, None) => None,
                        _ => return Err(last),
                    };
                    woven.elements.push(TemplateElement::HelperBlock(compiled));
                    woven.mapping.push(mapping);
                    continue;
                }
            };
            woven.elements.push(element);
            woven.mapping.push(self.mapping.clone());
        }
        match elements.next() {
            None => Ok(woven),
            Some(_) => Err(last),
        }
    }

    /// Goes on to the line and column of a tag.
    fn reach(&mut self, at: usize) {
        let (from, mut line, mut column) = self.reached;
        for c in self.text[from..at].chars() {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        self.reached = (at, line, column);
        (self.mapping.0, self.mapping.1) = (line, column);
    }

    /// `{{{column}}}` as a call of a helper, which knows what it puts in.
    fn raw(&self, raw: &HelperTemplate) -> Option<TemplateElement> {
        let mut call = self.indented.clone();
        call.name = Parameter::Name(RAW_HTML.to_owned());
        call.params = vec![raw.name.clone()];
        call.block = false;
        (raw.params.is_empty() && raw.hash.is_empty()).then_some(TemplateElement::Expression(call))
    }

    fn indented(&self, partial: TemplateElement, indent: &str) -> TemplateElement {
        let mut inner = Compiled::new();
        inner.elements.push(partial);
        inner.mapping.push(self.mapping.clone());
        let mut block = self.indented.clone();
        block.params = vec![Parameter::Literal(indent.into())];
        block.template = Some(inner);
        TemplateElement::HelperBlock(block)
    }
}

/// Puts a text before each line of what is in it.
pub(super) struct Indented;

impl HelperDef for Indented {
    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rendering: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let Some(partial) = call.template() else { return Ok(()) };
        let indent = call.param(0).and_then(|indent| indent.value().as_str()).unwrap_or("");
        for line in partial.renders(registry, context, rendering)?.split_inclusive('\n') {
            out.write(indent)?;
            out.write(line)?;
        }
        Ok(())
    }
}
