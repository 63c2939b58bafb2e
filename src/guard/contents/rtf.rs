//! Rich Text Format 1.9.1: the text between the control words.

use encoding_rs::{Encoding, WINDOWS_1252};

use super::{Opaque, Walk};

/// Gives out the text, with everything that is hidden or stands in fields, and what is embedded.
pub(super) fn read(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<(), Opaque> {
    let mut reading = Reading { bytes, at: 0, groups: Vec::new(), group: Group::default(), text: Text::default() };
    reading.whole();
    let Text { out, embedded, .. } = reading.text;
    walk.say("", &out);
    for object in embedded {
        walk.charge(object.len())?;
        super::strings::say(walk, &object);
    }
    Ok(())
}

/// What holds until the end of a group.
#[derive(Clone, Copy)]
struct Group {
    /// So many characters stand for a `\u` where it is not understood.
    instead: usize,
    hex: Hex,
}

impl Default for Group {
    fn default() -> Self {
        Self { instead: 1, hex: Hex::None }
    }
}

/// Whether the text of a group is bytes in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hex {
    None,
    Picture,
    Object,
}

struct Reading<'b> {
    bytes: &'b [u8],
    at: usize,
    groups: Vec<Group>,
    group: Group,
    text: Text,
}

struct Text {
    out: String,
    /// Bytes whose characters are not known before the next ones.
    pending: Vec<u8>,
    page: &'static Encoding,
    /// Half of a character beyond the basic plane.
    half: Option<u16>,
    digits: Vec<u8>,
    embedded: Vec<Vec<u8>>,
}

impl Default for Text {
    fn default() -> Self {
        let (out, pending, digits, embedded) = Default::default();
        Self { out, pending, page: WINDOWS_1252, half: None, digits, embedded }
    }
}

impl Text {
    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.out.push_str(&self.page.decode_without_bom_handling(&self.pending).0);
            self.pending.clear();
        }
    }

    fn push(&mut self, c: char) {
        self.flush();
        self.out.push(c);
    }

    fn unit(&mut self, unit: u16) {
        match (self.half.take(), char::decode_utf16([unit]).next()) {
            (_, Some(Ok(c))) => self.push(c),
            (Some(first), _) => {
                if let Some(Ok(c)) = char::decode_utf16([first, unit]).next() {
                    self.push(c);
                }
            }
            (None, _) => self.half = Some(unit),
        }
    }

    fn end_object(&mut self) {
        let digits: Vec<u8> = self.digits.drain(..).filter_map(hex_digit).collect();
        self.embedded.push(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect());
    }
}

impl Reading<'_> {
    fn whole(&mut self) {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'{' => self.groups.push(self.group),
                b'}' => {
                    if self.group.hex == Hex::Object && !self.text.digits.is_empty() {
                        self.text.end_object();
                    }
                    self.group = self.groups.pop().unwrap_or_default();
                }
                b'\\' => self.control(),
                b'\r' | b'\n' => {}
                _ => self.character(byte),
            }
        }
        self.text.flush();
    }

    fn character(&mut self, byte: u8) {
        match self.group.hex {
            Hex::None => self.text.pending.push(byte),
            Hex::Object => self.text.digits.push(byte),
            Hex::Picture => {}
        }
    }

    fn control(&mut self) {
        let rest = &self.bytes[self.at..];
        let letters = rest.iter().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count();
        if letters == 0 {
            self.symbol();
            return;
        }
        let word = &rest[..letters];
        let minus = usize::from(rest.get(letters) == Some(&b'-'));
        let digits = rest[letters + minus..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let number = &rest[letters..letters + minus + digits];
        let number: Option<i64> = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        self.at += letters + if digits > 0 { minus + digits } else { 0 };
        if self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        match word {
            b"u" => {
                // Above 32767 it is written as a negative number.
                if let Some(unit) = number.and_then(|number| u16::try_from(number & 0xffff).ok()) {
                    self.text.unit(unit);
                }
                self.skip_instead();
            }
            b"uc" => self.group.instead = number.and_then(|count| usize::try_from(count).ok()).unwrap_or(1).min(16),
            b"ansicpg" => {
                let label = format!("windows-{}", number.unwrap_or(1252));
                self.text.page = Encoding::for_label(label.as_bytes()).unwrap_or(WINDOWS_1252);
            }
            b"mac" => self.text.page = encoding_rs::MACINTOSH,
            b"bin" => {
                let length = number.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                let end = self.at.saturating_add(length).min(self.bytes.len());
                self.text.embedded.push(self.bytes[self.at..end].to_vec());
                self.at = end;
            }
            b"pict" => self.group.hex = Hex::Picture,
            b"objdata" => self.group.hex = Hex::Object,
            b"tab" | b"emspace" | b"enspace" | b"qmspace" => self.text.push(' '),
            b"par" | b"line" | b"cell" | b"row" | b"sect" | b"page" | b"column" | b"nestcell" | b"nestrow"
            // Another thing than the text around them.
            | b"field" | b"fldinst" | b"fldrslt" | b"footnote" | b"annotation" | b"atnid" | b"atnauthor" | b"header"
            | b"footer" | b"headerf" | b"footerf" | b"headerl" | b"footerl" | b"headerr" | b"footerr" | b"title"
            | b"author" | b"subject" | b"operator" | b"keywords" | b"doccomm" | b"company" | b"manager"
            | b"hlinkbase" | b"info" | b"shptxt" | b"bkmkstart" | b"bkmkend" | b"pard" | b"sn" | b"sv" => {
                self.text.push('\n');
            }
            b"emdash" | b"endash" => self.text.push('–'),
            b"lquote" | b"rquote" => self.text.push('\''),
            b"ldblquote" | b"rdblquote" => self.text.push('"'),
            b"bullet" => self.text.push('•'),
            _ => {}
        }
    }

    fn symbol(&mut self) {
        let Some(symbol) = self.bytes.get(self.at).copied() else { return };
        self.at += 1;
        match symbol {
            b'\'' => {
                if let Some(byte) = self.byte() {
                    self.text.pending.push(byte);
                }
            }
            b'\\' | b'{' | b'}' => self.character(symbol),
            b'~' => self.text.push(' '),
            b'_' => self.text.push('-'),
            b'\r' | b'\n' => self.text.push('\n'),
            // An optional hyphen, a destination, or nothing known
            _ => {}
        }
    }

    /// The two digits of `\'xx`.
    fn byte(&mut self) -> Option<u8> {
        let (high, low) = (*self.bytes.get(self.at)?, *self.bytes.get(self.at + 1)?);
        let byte = hex_digit(high)? << 4 | hex_digit(low)?;
        self.at += 2;
        Some(byte)
    }

    /// Skips what stands there for readers that do not know `\u`.
    fn skip_instead(&mut self) {
        for _ in 0..self.group.instead {
            match self.bytes.get(self.at..) {
                Some([b'\\', b'\'', _, _, ..]) => self.at += 4,
                Some([b'\\' | b'{' | b'}', ..] | []) | None => return,
                Some(_) => self.at += 1,
            }
        }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
