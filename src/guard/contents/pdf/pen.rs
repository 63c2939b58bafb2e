//! Glyphs become text: where the next one is decides whether a word or a line ended before it.

/// Parts of the font's size that make a gap between words. The narrowest spaces of set text are about 0.2 wide, and
/// letters are moved by about 0.1 at most.
const WORD_GAP: f64 = 0.15;

/// Parts of it by which a glyph may stand higher or lower in the same word.
const SHIFT: f64 = 0.15;

/// Parts of it that make another line.
const LINE: f64 = 0.5;

/// Glyphs in a row that the font does not say: an address is no shorter than `a@b.cd`.
const UNKNOWN_IN_A_ROW: usize = 5;

/// A place or a direction on the page.
pub(super) type Point = (f64, f64);

#[derive(Default)]
pub(super) struct Pen {
    pub(super) text: String,
    /// Whether so many glyphs in a row had no letters that an address could be among them.
    pub(super) is_unreadable: bool,
    last: Option<Last>,
    unknown: usize,
}

/// Where the last glyph ended.
struct Last {
    end: Point,
    /// Along the line, one long
    along: Point,
    size: f64,
}

impl Pen {
    /// Writes a glyph that goes from one point to another; `size` is how large a letter is.
    pub(super) fn write(&mut self, text: Option<&str>, from: Point, to: Point, size: f64) {
        if let Some(last) = &self.last {
            let (dx, dy) = (from.0 - last.end.0, from.1 - last.end.1);
            let along = (dx * last.along.0 + dy * last.along.1) / last.size;
            let across = (dy * last.along.0 - dx * last.along.1).abs() / last.size;
            match () {
                // Another line, or text that is written over itself
                () if across > LINE || along < -LINE => self.line(),
                () if across > SHIFT || along > WORD_GAP => self.space(),
                () => {}
            }
        }
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let along = if length > 0.0 { ((to.0 - from.0) / length, (to.1 - from.1) / length) } else { (1.0, 0.0) };
        let usable = size > 0.0 && [along.0, along.1, to.0, to.1, size].iter().all(|number| number.is_finite());
        self.last = usable.then_some(Last { end: to, along, size });
        match text {
            Some(text) => {
                self.unknown = 0;
                self.plain(text);
            }
            None => {
                self.unknown += 1;
                self.is_unreadable |= self.unknown >= UNKNOWN_IN_A_ROW;
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// Ligatures are written as their letters.
    fn plain(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                'ﬀ' => self.text.push_str("ff"),
                'ﬁ' => self.text.push_str("fi"),
                'ﬂ' => self.text.push_str("fl"),
                'ﬃ' => self.text.push_str("ffi"),
                'ﬄ' => self.text.push_str("ffl"),
                'ﬅ' | 'ﬆ' => self.text.push_str("st"),
                '\u{a0}' => self.text.push(' '),
                c => self.text.push(c),
            }
        }
    }

    fn space(&mut self) {
        if !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    pub(super) fn line(&mut self) {
        self.last = None;
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }
}
