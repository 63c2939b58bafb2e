//! Tables from codes to characters or to glyphs (ISO 32000-1 §9.7.5, §9.10.3).

use std::collections::HashMap;

use super::object::{Lexer, Object};

/// More entries are not read.
const MOST_ENTRIES: usize = 200_000;

/// So many objects a table may be made of.
const MOST_OBJECTS: usize = 2_000_000;

/// A table as a stream in the file.
#[derive(Debug, Default)]
pub(super) struct CMap {
    characters: HashMap<u32, String>,
    /// First and last code, and the characters of the first one
    ranges: Vec<(u32, u32, Vec<u16>)>,
    /// First and last code, and the first glyph
    glyphs: Vec<(u32, u32, u32)>,
    /// How long codes are that begin with a byte in a range
    lengths: Vec<(u8, u8, usize)>,
}

impl CMap {
    pub(super) fn read(source: &[u8]) -> Self {
        let mut map = Self::default();
        let mut lexer = Lexer::new(source, 0, MOST_OBJECTS);
        // The objects since the last word
        let mut held: Vec<Object> = Vec::new();
        while let Some(object) = lexer.next() {
            let Object::Word(word) = object else {
                if held.len() < MOST_ENTRIES {
                    held.push(object);
                }
                continue;
            };
            match word.as_str() {
                "endbfchar" => {
                    for pair in held.chunks_exact(2) {
                        map.character(code(&pair[0]), &pair[1]);
                    }
                }
                "endbfrange" => {
                    for triple in held.chunks_exact(3) {
                        map.range(code(&triple[0]), code(&triple[1]), &triple[2]);
                    }
                }
                "endcidchar" => {
                    for pair in held.chunks_exact(2) {
                        map.glyph(code(&pair[0]), code(&pair[0]), &pair[1]);
                    }
                }
                "endcidrange" => {
                    for triple in held.chunks_exact(3) {
                        map.glyph(code(&triple[0]), code(&triple[1]), &triple[2]);
                    }
                }
                "endcodespacerange" => {
                    for pair in held.chunks_exact(2) {
                        if let (Object::String(low), Object::String(high)) = (&pair[0], &pair[1])
                            && let (Some(first), Some(last)) = (low.first(), high.first())
                            && low.len() <= 4
                            && map.lengths.len() < 100
                        {
                            map.lengths.push((*first, *last, low.len()));
                        }
                    }
                }
                _ => {}
            }
            held.clear();
        }
        map.ranges.sort_by_key(|range| range.0);
        map.glyphs.sort_unstable();
        map
    }

    fn is_full(&self) -> bool {
        self.characters.len() + self.ranges.len() + self.glyphs.len() >= MOST_ENTRIES
    }

    fn character(&mut self, code: Option<u32>, to: &Object) {
        if let (Some(code), Object::String(to), false) = (code, to, self.is_full()) {
            self.characters.insert(code, String::from_utf16_lossy(&units(to)));
        }
    }

    fn range(&mut self, low: Option<u32>, high: Option<u32>, to: &Object) {
        let (Some(low), Some(high)) = (low, high) else { return };
        match to {
            Object::String(first) if !self.is_full() => self.ranges.push((low, high, units(first))),
            Object::Array(items) => {
                for (code, item) in (low..=high).zip(items) {
                    self.character(Some(code), item);
                }
            }
            _ => {}
        }
    }

    fn glyph(&mut self, low: Option<u32>, high: Option<u32>, to: &Object) {
        let first = to.whole().and_then(|first| u32::try_from(first).ok());
        if let (Some(low), Some(high), Some(first), false) = (low, high, first, self.is_full()) {
            self.glyphs.push((low, high, first));
        }
    }

    /// The characters of a code.
    pub(super) fn text(&self, code: u32) -> Option<String> {
        let known = self.characters.get(&code).cloned().or_else(|| {
            let nth = self.ranges.partition_point(|range| range.0 <= code).checked_sub(1)?;
            let (low, high, first) = &self.ranges[nth];
            let mut units = first.clone();
            let last = units.last_mut()?;
            *last = last.wrapping_add(u16::try_from(code - low).ok()?);
            (code <= *high).then(|| String::from_utf16_lossy(&units))
        })?;
        // Some programs map what they do not know to nothing, or to a character that is none.
        Some(known).filter(|text| !text.is_empty() && !text.contains(['\0', char::REPLACEMENT_CHARACTER]))
    }

    /// The glyph of a code, by which its width is known.
    pub(super) fn number(&self, code: u32) -> Option<u32> {
        let nth = self.glyphs.partition_point(|range| range.0 <= code).checked_sub(1)?;
        let (low, high, first) = self.glyphs[nth];
        (code <= high).then(|| first.saturating_add(code - low))
    }

    /// How many bytes the code has that begins with this one.
    pub(super) fn length(&self, byte: u8) -> Option<usize> {
        self.lengths.iter().find(|(low, high, _)| (*low..=*high).contains(&byte)).map(|(.., length)| (*length).max(1))
    }
}

fn code(object: &Object) -> Option<u32> {
    let Object::String(bytes) = object else { return None };
    (bytes.len() <= 4).then(|| bytes.iter().fold(0, |code, byte| code << 8 | u32::from(*byte)))
}

/// UTF-16, big-endian; a single byte is taken for a character too.
fn units(bytes: &[u8]) -> Vec<u16> {
    let bytes = &bytes[..bytes.len().min(200)];
    match bytes {
        [byte] => vec![u16::from(*byte)],
        _ => bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read() {
        let map = CMap::read(
            b"1 begincodespacerange <00> <7f> <8000> <ffff> endcodespacerange 2 beginbfchar <01> <0041> <0002> <00660069> \
              endbfchar 2 beginbfrange <10> <12> <0061> <20> <21> [<0040> <D83DDE00>] endbfrange 1 begincidrange \
              <0100> <01ff> 7 endcidrange",
        );
        let texts: Vec<_> = [1, 2, 0x10, 0x12, 0x13, 0x20, 0x21].iter().map(|code| map.text(*code)).collect();
        let wanted = [Some("A"), Some("fi"), Some("a"), Some("c"), None, Some("@"), Some("😀")];
        assert_eq!(texts, wanted.map(|text| text.map(String::from)));
        assert_eq!((map.number(0x102), map.number(0x200)), (Some(9), None));
        assert_eq!((map.length(1), map.length(0x90)), (Some(1), Some(2)));
        CMap::read(b"1 beginbfrange <00000000> <ffffffff> <0000> endbfrange");
    }
}
