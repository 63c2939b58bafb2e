//! The objects of a PDF and how they are written (ISO 32000-1 §7.2, §7.3).

use std::{collections::BTreeMap, ops::Range};

/// Arrays and dictionaries in one another.
const DEEPEST: usize = 50;

/// What a file, or a page's instructions, are made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Null,
    Number(f64),
    Name(String),
    String(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    /// The number of another object.
    Reference(u32),
    /// Where its bytes lie in the file, as they are packed.
    Stream(Dict, Range<usize>),
    /// Any other word: an operator, `true`, `obj`
    Word(String),
}

/// An object takes half the room that it would take with a `HashMap`.
pub(super) type Dict = BTreeMap<String, Object>;

impl Object {
    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// As a whole number that is not negative.
    pub(super) fn whole(&self) -> Option<usize> {
        let number = self.number()?;
        if (0.0..=4e9).contains(&number) { format!("{number:.0}").parse().ok() } else { None }
    }

    pub(super) fn name(&self) -> Option<&str> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    pub(super) fn array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// A dictionary, or that of a stream.
    pub(super) fn dict(&self) -> Option<&Dict> {
        if let Self::Dict(dict) | Self::Stream(dict, _) = self { Some(dict) } else { None }
    }
}

/// Whether a dictionary has a name under a key.
pub(super) fn says(dict: &Dict, key: &str, name: &str) -> bool {
    dict.get(key).and_then(Object::name) == Some(name)
}

/// Reads objects from bytes, one after the other.
pub(super) struct Lexer<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
    /// So many objects may still be made: each takes many times the room that its bytes do.
    pub(super) left: usize,
}

impl<'b> Lexer<'b> {
    pub(super) fn new(bytes: &'b [u8], at: usize, left: usize) -> Self {
        Self { bytes, at, left }
    }

    /// The next object, `None` at the end or where none can be read.
    pub(super) fn next(&mut self) -> Option<Object> {
        self.object(DEEPEST)
    }

    /// The next object of a file, where `1 0 R` is a reference. In a page's instructions there are none.
    pub(super) fn next_with_references(&mut self) -> Option<Object> {
        let first = self.next()?;
        Some(self.reference(first))
    }

    fn reference(&mut self, first: Object) -> Object {
        let Some(number) = first.whole().and_then(|number| u32::try_from(number).ok()) else { return first };
        let mut ahead = Lexer::new(self.bytes, self.at, 2);
        ahead.skip_white();
        let digit = ahead.peek().is_some_and(|byte| byte.is_ascii_digit());
        if digit && ahead.next().is_some_and(|object| object.whole().is_some()) {
            ahead.skip_white();
            let after = ahead.bytes.get(ahead.at + 1).copied();
            if ahead.peek() == Some(b'R') && after.is_none_or(|byte| is_white(byte) || is_delimiter(byte)) {
                self.at = ahead.at + 1;
                return Object::Reference(number);
            }
        }
        first
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Goes past white space and comments.
    pub(super) fn skip_white(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| !matches!(byte, b'\r' | b'\n')) {
                    self.at += 1;
                }
            } else if is_white(byte) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Object> {
        self.left = self.left.checked_sub(1)?;
        self.skip_white();
        let start = self.at;
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'/' => Object::Name(self.name()),
            b'(' => Object::String(self.string()),
            b'<' if self.peek() == Some(b'<') => {
                self.at += 1;
                Object::Dict(self.dict(depth.checked_sub(1)?)?)
            }
            b'<' => Object::String(self.hex()),
            b'[' => Object::Array(self.array(depth.checked_sub(1)?)?),
            b']' | b'{' | b'}' | b')' => Object::Word(char::from(byte).to_string()),
            b'>' => {
                if self.peek() == Some(b'>') {
                    self.at += 1;
                }
                Object::Word(">>".into())
            }
            _ => {
                while self.peek().is_some_and(|byte| !is_white(byte) && !is_delimiter(byte)) {
                    self.at += 1;
                }
                let word = &self.bytes[start..self.at];
                if byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.') {
                    number(word)
                } else if word == b"null" {
                    Object::Null
                } else {
                    Object::Word(String::from_utf8_lossy(&word[..word.len().min(100)]).into_owned())
                }
            }
        })
    }

    fn name(&mut self) -> String {
        let mut name = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !is_white(*byte) && !is_delimiter(*byte)) {
            self.at += 1;
            let pair =
                self.bytes.get(self.at..self.at + 2).and_then(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
            match pair {
                Some(decoded) if byte == b'#' => {
                    name.push(decoded);
                    self.at += 2;
                }
                _ => name.push(byte),
            }
        }
        String::from_utf8_lossy(&name).into_owned()
    }

    /// §7.3.4.2
    fn string(&mut self) -> Vec<u8> {
        let (mut string, mut depth) = (Vec::new(), 1_usize);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    if let Some(byte) = self.escape() {
                        string.push(byte);
                    }
                    continue;
                }
                _ => {}
            }
            string.push(byte);
        }
        string
    }

    fn escape(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'0'..=b'7' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(next @ b'0'..=b'7') = self.peek() else { break };
                    value = value * 8 + u32::from(next - b'0');
                    self.at += 1;
                }
                u8::try_from(value & 0xff).unwrap_or_default()
            }
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
                return None;
            }
            b'\n' => return None,
            byte => byte,
        })
    }

    fn hex(&mut self) -> Vec<u8> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
        self.at = (self.at + end + 1).min(self.bytes.len());
        unhex(&rest[..end])
    }

    fn array(&mut self, depth: usize) -> Option<Vec<Object>> {
        let mut items = Vec::new();
        loop {
            match self.object(depth)? {
                Object::Word(word) if word == "]" => return Some(items),
                // Somebody forgot to close it.
                Object::Word(word) if matches!(word.as_str(), ">>" | "endobj" | "obj" | "stream") => {
                    return Some(items);
                }
                item => {
                    let item = self.reference(item);
                    items.push(item);
                }
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Option<Dict> {
        let mut dict = Dict::new();
        loop {
            match self.object(depth)? {
                Object::Name(key) => {
                    let before = self.at;
                    match self.object(depth)? {
                        Object::Word(word) if word == ">>" => return Some(dict),
                        Object::Word(word) if matches!(word.as_str(), "endobj" | "stream") => {
                            self.at = before;
                            return Some(dict);
                        }
                        value => {
                            let value = self.reference(value);
                            dict.insert(key, value);
                        }
                    }
                }
                Object::Word(word) if word == ">>" => return Some(dict),
                Object::Word(word) if matches!(word.as_str(), "endobj" | "stream") => {
                    self.at -= word.len();
                    return Some(dict);
                }
                _ => {}
            }
        }
    }
}

fn number(word: &[u8]) -> Object {
    let text = String::from_utf8_lossy(&word[..word.len().min(50)]);
    let parsed = text.parse().ok().or_else(|| {
        // `--5`, `5-3` and the like, which others read up to where it makes sense
        let text = text.trim_start_matches('-');
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text[..end].parse().ok()
    });
    Object::Number(parsed.filter(|number: &f64| number.is_finite()).unwrap_or(0.0))
}

pub(super) fn unhex(digits: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = digits.iter().copied().filter_map(digit).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

pub(super) fn is_white(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

/// A string for people (§7.9.2.2): UTF-16, UTF-8 or `PDFDocEncoding`.
pub(super) fn text(string: &[u8]) -> String {
    if let Some((encoding, length)) = encoding_rs::Encoding::for_bom(string) {
        return encoding.decode_without_bom_handling(&string[length..]).0.into_owned();
    }
    // Some programs write UTF-8 without saying so, and by accident nothing else looks like it.
    if let Ok(text) = std::str::from_utf8(string) {
        return text.to_owned();
    }
    string.iter().map(|byte| super::encoding::pdf_doc(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Option<Object> {
        Lexer::new(source.as_bytes(), 0, 1000).next_with_references()
    }

    #[test]
    fn objects_are_read_as_they_are_written() {
        let string = |text: &str| Some(Object::String(text.into()));
        assert_eq!(read("(a\\(b(c)\\)\\101\\\n\\12)"), string("a(b(c))A\n"));
        assert_eq!(read("<61 62 6>"), string("ab`"));
        assert_eq!(read("% x\n/A#20b"), Some(Object::Name("A b".into())));
        assert_eq!(read("12 0 R"), Some(Object::Reference(12)));
        assert_eq!(read("12 0 Rx"), Some(Object::Number(12.0)));
        assert_eq!(read("-.5"), Some(Object::Number(-0.5)));
        let Some(Object::Dict(dict)) = read("<</A[1 2 0 R(x)]/B<</C/D>>/E null>>") else { panic!() };
        let items = [Object::Number(1.0), Object::Reference(2), Object::String(b"x".into())];
        assert_eq!(dict["A"].array(), Some(&items[..]));
        assert_eq!(dict["B"].dict().unwrap()["C"].name(), Some("D"));
        assert_eq!(read(&"[".repeat(100_000)), None);
        assert_eq!(read("(x"), string("x"));
    }

    #[test]
    fn strings_for_people_are_decoded() {
        assert_eq!(text(b"\xfe\xff\0a\0@"), "a@");
        assert_eq!(text(b"\xef\xbb\xbfa@"), "a@");
        assert_eq!(text(b"J\xf6rg \x80"), "Jörg •");
    }
}
