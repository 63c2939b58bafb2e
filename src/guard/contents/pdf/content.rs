//! The instructions that draw a page (ISO 32000-1 §8, §9.4), followed as far as they place text.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::{
    super::{Opaque, Walk, strings},
    File,
    font::Font,
    object::{Dict, Lexer, Object, says},
    pen::{Pen, Point},
};

/// Forms in one another.
const DEEPEST: usize = 12;

/// Saved states in one another.
const MOST_SAVED: usize = 500;

/// Operands of one operator; more are forgotten.
const MOST_OPERANDS: usize = 64;

/// What one of them, an array, may be made of.
const MOST_ITEMS: usize = 100_000;

/// Curves on a page without text that may be letters, drawn as shapes.
pub(super) const MOST_CURVES: usize = 100;

/// Follows instructions, one page after the other.
pub(super) struct Drawing<'f> {
    file: &'f File<'f>,
    /// By the place of the font's dictionary in memory
    fonts: HashMap<usize, Rc<Font>>,
    /// Forms that were drawn: each has the same text every time.
    drawn: HashSet<usize>,
    /// Forms that showed text, pictures, or curves.
    showing: HashMap<usize, (bool, bool, usize)>,
    pub(super) page: Page,
}

/// What was seen on a page.
#[derive(Default)]
pub(super) struct Page {
    pub(super) pen: Pen,
    /// Whether there is text on it, or in a form on it that was read already.
    pub(super) has_text: bool,
    pub(super) has_picture: bool,
    pub(super) curves: usize,
    /// Text that stands for what is drawn (§14.9)
    pub(super) instead: String,
}

/// A transformation (§8.3.3): a, b, c, d, e, f.
type Matrix = [f64; 6];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// First `a`, then `b`.
fn product(a: &Matrix, b: &Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

fn apply(matrix: &Matrix, (x, y): Point) -> Point {
    (x * matrix[0] + y * matrix[2] + matrix[4], x * matrix[1] + y * matrix[3] + matrix[5])
}

#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    between_letters: f64,
    between_words: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

impl State {
    fn new(matrix: Matrix) -> Self {
        let (size, leading, rise) = (1.0, 0.0, 0.0);
        Self { matrix, font: None, size, between_letters: 0.0, between_words: 0.0, stretch: 1.0, leading, rise }
    }
}

impl<'f> Drawing<'f> {
    pub(super) fn new(file: &'f File<'f>) -> Self {
        let (fonts, drawn, showing) = (HashMap::new(), HashSet::new(), HashMap::new());
        Self { file, fonts, drawn, showing, page: Page::default() }
    }

    /// Follows instructions with the fonts and forms that are given.
    pub(super) fn follow(
        &mut self,
        walk: &mut Walk<'_>,
        source: &[u8],
        resources: Option<&'f Dict>,
    ) -> Result<(), Opaque> {
        self.content(walk, source, resources, State::new(IDENTITY), 0)
    }

    /// Draws a form by itself, unless it was drawn before.
    pub(super) fn form(&mut self, walk: &mut Walk<'_>, form: &'f Object) -> Result<(), Opaque> {
        self.draw_form(walk, form, None, &State::new(IDENTITY), 0)
    }

    fn content(
        &mut self,
        walk: &mut Walk<'_>,
        source: &[u8],
        resources: Option<&'f Dict>,
        state: State,
        depth: usize,
    ) -> Result<(), Opaque> {
        let mut text = Text { matrix: IDENTITY, line: IDENTITY };
        let mut state = state;
        let mut saved: Vec<State> = Vec::new();
        let mut operands: Vec<Object> = Vec::new();
        let mut lexer = Lexer::new(source, 0, 0);
        while lexer.at < source.len() {
            lexer.left = MOST_ITEMS;
            let Some(object) = lexer.next() else { continue };
            let Object::Word(operator) = object else {
                if operands.len() < MOST_OPERANDS {
                    operands.push(object);
                }
                continue;
            };
            let number = |nth: usize| operands.get(nth).and_then(Object::number).unwrap_or(0.0);
            match operator.as_str() {
                "q" if saved.len() < MOST_SAVED => saved.push(state.clone()),
                "Q" => {
                    if let Some(before) = saved.pop() {
                        state = before;
                    }
                }
                "cm" => state.matrix = product(&six(&operands), &state.matrix),
                "BT" => text = Text { matrix: IDENTITY, line: IDENTITY },
                "Tc" => state.between_letters = number(0),
                "Tw" => state.between_words = number(0),
                "Tz" => state.stretch = number(0) / 100.0,
                "TL" => state.leading = number(0),
                "Ts" => state.rise = number(0),
                "Tf" => {
                    state.font = match operands.first().and_then(Object::name) {
                        Some(name) => self.font(walk, resources, name)?,
                        None => None,
                    };
                    state.size = number(1);
                }
                "gs" => {
                    if let Some(set) = operands.first().and_then(Object::name)
                        && let Some(set) = self.resource(resources, "ExtGState", set).and_then(Object::dict)
                        && let Some([font, size]) = self.file.get(set, "Font").and_then(Object::array)
                    {
                        state.font = self.font_at(walk, self.file.resolve(font))?;
                        state.size = size.number().unwrap_or(1.0);
                    }
                }
                "Td" => text.go(number(0), number(1)),
                "TD" => {
                    state.leading = -number(1);
                    text.go(number(0), number(1));
                }
                "Tm" => text = Text { matrix: six(&operands), line: six(&operands) },
                "T*" => text.go(0.0, -state.leading),
                "Tj" => self.show_all(&state, &mut text, &operands),
                "'" => {
                    text.go(0.0, -state.leading);
                    self.show_all(&state, &mut text, &operands);
                }
                "\"" => {
                    (state.between_words, state.between_letters) = (number(0), number(1));
                    text.go(0.0, -state.leading);
                    self.show_all(&state, &mut text, &operands);
                }
                "TJ" => {
                    for item in operands.first().and_then(Object::array).unwrap_or_default() {
                        match item {
                            Object::String(string) => self.show(&state, &mut text, string),
                            item => {
                                let back = item.number().unwrap_or(0.0) / 1000.0 * state.size * state.stretch;
                                text.advance(-back);
                            }
                        }
                    }
                }
                "Do" => {
                    if let Some(name) = operands.first().and_then(Object::name)
                        && let Some(object) = self.resource(resources, "XObject", name)
                    {
                        self.draw_form(walk, object, resources, &state, depth)?;
                    }
                }
                "c" | "v" | "y" => self.page.curves += 1,
                "BDC" | "DP" => self.stand_in(resources, operands.get(1)),
                "BI" => {
                    self.page.has_picture = true;
                    skip_inline_picture(&mut lexer);
                }
                _ => {}
            }
            operands.clear();
        }
        Ok(())
    }

    fn resource(&self, resources: Option<&'f Dict>, kind: &str, name: &str) -> Option<&'f Object> {
        self.file.get(self.file.get(resources?, kind)?.dict()?, name)
    }

    fn font(
        &mut self,
        walk: &mut Walk<'_>,
        resources: Option<&'f Dict>,
        name: &str,
    ) -> Result<Option<Rc<Font>>, Opaque> {
        match self.resource(resources, "Font", name) {
            Some(object) => self.font_at(walk, object),
            None => Ok(None),
        }
    }

    fn font_at(&mut self, walk: &mut Walk<'_>, object: &'f Object) -> Result<Option<Rc<Font>>, Opaque> {
        let Object::Dict(dict) = object else { return Ok(None) };
        let place = std::ptr::from_ref(object).addr();
        if let Some(font) = self.fonts.get(&place) {
            return Ok(Some(Rc::clone(font)));
        }
        let font = Rc::new(Font::read(walk, self.file, dict)?);
        self.fonts.insert(place, Rc::clone(&font));
        Ok(Some(font))
    }

    fn draw_form(
        &mut self,
        walk: &mut Walk<'_>,
        object: &'f Object,
        outer: Option<&'f Dict>,
        state: &State,
        depth: usize,
    ) -> Result<(), Opaque> {
        let Object::Stream(dict, _) = object else { return Ok(()) };
        if says(dict, "Subtype", "Image") {
            self.page.has_picture = true;
            return Ok(());
        }
        let place = std::ptr::from_ref(object).addr();
        if !self.drawn.insert(place) || depth >= DEEPEST {
            let (text, picture, curves) = self.showing.get(&place).copied().unwrap_or_default();
            self.page.has_text |= text;
            self.page.has_picture |= picture;
            self.page.curves = self.page.curves.saturating_add(curves);
            return Ok(());
        }
        let Some(source) = self.file.decode(walk, object)? else { return Ok(()) };
        let before = (self.page.pen.text.len(), self.page.has_picture, self.page.curves);
        let matrix = match self.file.get(dict, "Matrix").and_then(Object::array) {
            Some(numbers) if numbers.len() == 6 => six(numbers),
            _ => IDENTITY,
        };
        let matrix = product(&matrix, &state.matrix);
        let own = self.file.get(dict, "Resources").and_then(Object::dict);
        self.content(walk, &source, own.or(outer), State { matrix, ..state.clone() }, depth + 1)?;
        let text = self.page.pen.text.len() > before.0;
        let picture = self.page.has_picture && !before.1;
        self.showing.insert(place, (text, picture, self.page.curves - before.2));
        Ok(())
    }

    /// Whether a form was drawn by now, or instructions were followed.
    pub(super) fn has_drawn(&self, object: &Object) -> bool {
        self.drawn.contains(&std::ptr::from_ref(object).addr())
    }

    /// Remembers that these are a page's instructions.
    pub(super) fn is_drawn(&mut self, object: &Object) {
        self.drawn.insert(std::ptr::from_ref(object).addr());
    }

    fn show_all(&mut self, state: &State, text: &mut Text, operands: &[Object]) {
        if let Some(Object::String(string)) = operands.last() {
            self.show(state, text, string);
        }
    }

    fn show(&mut self, state: &State, text: &mut Text, string: &[u8]) {
        let Some(font) = &state.font else {
            // A page that cannot be drawn, but what it says may be plain.
            self.page.pen.line();
            self.page.pen.text.push_str(&strings::narrow(string));
            return;
        };
        let font = Rc::clone(font);
        font.show(string, &mut |glyph| {
            let whole = product(&text.matrix, &state.matrix);
            let from = apply(&whole, (0.0, state.rise));
            let mut width = glyph.width * state.size + state.between_letters;
            if glyph.space {
                width += state.between_words;
            }
            let width = width * state.stretch;
            let to = apply(&whole, (width, state.rise));
            let up = apply(&whole, (0.0, state.rise + state.size));
            let height = (up.0 - from.0).hypot(up.1 - from.1);
            self.page.has_text |= glyph.text.as_deref().is_none_or(|text| !text.trim().is_empty());
            self.page.pen.write(glyph.text.as_deref(), from, to, height);
            text.advance(width);
        });
    }

    /// The text of a marked part of the page that is said beside it.
    fn stand_in(&mut self, resources: Option<&'f Dict>, properties: Option<&Object>) {
        let dict = match properties {
            Some(Object::Dict(dict)) => Some(dict),
            Some(Object::Name(name)) => self.resource(resources, "Properties", name).and_then(Object::dict),
            _ => None,
        };
        for key in ["ActualText", "Alt", "E"] {
            if let Some(Object::String(string)) = dict.and_then(|dict| dict.get(key)) {
                self.page.instead.push_str(&super::object::text(string));
                self.page.instead.push('\n');
            }
        }
    }
}

/// Where text goes on, and where its line began (§9.4.1).
struct Text {
    matrix: Matrix,
    line: Matrix,
}

impl Text {
    fn go(&mut self, x: f64, y: f64) {
        self.line = product(&[1.0, 0.0, 0.0, 1.0, x, y], &self.line);
        self.matrix = self.line;
    }

    fn advance(&mut self, x: f64) {
        (self.matrix[4], self.matrix[5]) = apply(&self.matrix, (x, 0.0));
    }
}

fn six(numbers: &[Object]) -> Matrix {
    let mut matrix = IDENTITY;
    for (to, number) in matrix.iter_mut().zip(numbers) {
        *to = number.number().unwrap_or(0.0);
    }
    matrix
}

/// §8.9.7: from `BI` to an `EI` between white space.
fn skip_inline_picture(lexer: &mut Lexer<'_>) {
    let white = |byte: Option<&u8>| byte.is_none_or(|byte| super::object::is_white(*byte));
    let rest = &lexer.bytes[lexer.at..];
    let data = rest.windows(2).position(|window| window == b"ID").unwrap_or(0);
    let end = rest[data..].windows(2).enumerate().position(|(at, window)| {
        let at = data + at;
        window == b"EI" && at > 0 && white(rest.get(at - 1)) && white(rest.get(at + 2))
    });
    lexer.at = end.map_or(lexer.bytes.len(), |end| lexer.at + data + end + 2);
}
