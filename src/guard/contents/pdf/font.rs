//! What a font says of its codes: which characters they are, and how wide (ISO 32000-1 §9.6, §9.7).

use std::collections::HashMap;

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, SHIFT_JIS, UTF_8, UTF_16BE};

use super::{
    super::{Opaque, Walk},
    File,
    cmap::CMap,
    encoding::{Base, glyph},
    object::{Dict, Lexer, Object, says},
};

/// A glyph as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glyph {
    /// `None` where the font does not say.
    pub(super) text: Option<String>,
    /// In parts of the font's size
    pub(super) width: f64,
    /// Whether space between words is added after it (§9.3.3).
    pub(super) space: bool,
}

pub(super) struct Font {
    codes: Codes,
    widths: HashMap<u32, f64>,
    otherwise: f64,
}

enum Codes {
    /// One byte each
    Simple(Vec<Option<String>>),
    /// As a table says
    Table(Box<Table>),
    /// A text in this encoding
    Text(&'static Encoding),
}

/// From codes to characters, and from codes to glyphs where the font has a table for that.
struct Table {
    unicode: CMap,
    encoding: Option<CMap>,
}

impl Font {
    pub(super) fn read(walk: &mut Walk<'_>, file: &File<'_>, dict: &Dict) -> Result<Self, Opaque> {
        let unicode = match file.get(dict, "ToUnicode") {
            Some(stream) => file.decode(walk, stream)?.map(|source| CMap::read(&source)),
            None => None,
        };
        if says(dict, "Subtype", "Type0") {
            return Self::composite(walk, file, dict, unicode);
        }
        let descriptor = file.get(dict, "FontDescriptor").and_then(Object::dict);
        let mut codes = match file.get(dict, "Encoding") {
            Some(Object::Name(name)) => plain(Base::named(name).unwrap_or(Base::Standard)),
            Some(Object::Dict(encoding)) => {
                let base = file.get(encoding, "BaseEncoding").and_then(Object::name).and_then(Base::named);
                let mut codes = match base {
                    Some(base) => plain(base),
                    None => own(walk, file, dict, descriptor)?,
                };
                if let Some(differences) = file.get(encoding, "Differences").and_then(Object::array) {
                    differ(&mut codes, differences.iter().map(|item| file.resolve(item)));
                }
                codes
            }
            _ => own(walk, file, dict, descriptor)?,
        };
        if let Some(unicode) = unicode {
            for (code, text) in (0_u32..).zip(&mut codes) {
                if let Some(said) = unicode.text(code) {
                    *text = Some(said);
                }
            }
        }
        // §9.6.5: the glyphs of a Type 3 font have a size of their own.
        let scale = match file.get(dict, "FontMatrix").and_then(Object::array) {
            Some([scale, ..]) if says(dict, "Subtype", "Type3") => scale.number().unwrap_or(0.001).abs(),
            _ => 0.001,
        };
        let mut widths = HashMap::new();
        let first = file.get(dict, "FirstChar").and_then(Object::whole).and_then(|first| u32::try_from(first).ok());
        let listed = file.get(dict, "Widths").and_then(Object::array).unwrap_or_default();
        for (code, width) in (first.unwrap_or(0)..).zip(listed.iter().take(256)) {
            widths.insert(code, file.resolve(width).number().unwrap_or(0.0) * scale);
        }
        let name = file.get(dict, "BaseFont").and_then(Object::name).unwrap_or_default();
        if listed.is_empty() {
            for (code, text) in (0..).zip(&codes) {
                widths.insert(code, usual_width(name, text.as_deref().unwrap_or("n")));
            }
        }
        let missing = descriptor.and_then(|dict| file.get(dict, "MissingWidth")).and_then(Object::number);
        Ok(Self { codes: Codes::Simple(codes), widths, otherwise: missing.map_or(0.5, |width| width / 1000.0) })
    }

    fn composite(walk: &mut Walk<'_>, file: &File<'_>, dict: &Dict, unicode: Option<CMap>) -> Result<Self, Opaque> {
        let encoding = file.get(dict, "Encoding");
        let named = encoding.and_then(Object::name).and_then(text_encoding);
        let codes = match (named, unicode) {
            (Some(encoding), _) => Codes::Text(encoding),
            (None, unicode) => {
                let table = match encoding {
                    Some(stream @ Object::Stream(..)) => file.decode(walk, stream)?.map(|source| CMap::read(&source)),
                    _ => None,
                };
                Codes::Table(Box::new(Table { unicode: unicode.unwrap_or_default(), encoding: table }))
            }
        };
        let descendants = file.get(dict, "DescendantFonts").and_then(Object::array).unwrap_or_default();
        let descendant = descendants.first().and_then(|font| file.resolve(font).dict());
        let (mut widths, mut otherwise) = (HashMap::new(), 1.0);
        if let Some(descendant) = descendant {
            otherwise = file.get(descendant, "DW").and_then(Object::number).map_or(1.0, |width| width / 1000.0);
            let listed = file.get(descendant, "W").and_then(Object::array).unwrap_or_default();
            composite_widths(file, listed, &mut widths);
        }
        Ok(Self { codes, widths, otherwise })
    }

    /// The glyphs of a string.
    pub(super) fn show(&self, string: &[u8], each: &mut dyn FnMut(Glyph)) {
        match &self.codes {
            Codes::Simple(codes) => {
                for byte in string {
                    let text = codes[usize::from(*byte)].clone();
                    each(Glyph { text, width: self.width(u32::from(*byte)), space: *byte == b' ' });
                }
            }
            Codes::Table(table) => {
                let Table { unicode, encoding } = &**table;
                let mut rest = string;
                while let Some(first) = rest.first() {
                    let said = match encoding {
                        Some(encoding) => encoding.length(*first).or_else(|| unicode.length(*first)),
                        None => None,
                    };
                    let (code, after) = rest.split_at(said.unwrap_or(2).min(rest.len()));
                    let number = code.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
                    let glyph = encoding.as_ref().and_then(|encoding| encoding.number(number)).unwrap_or(number);
                    let space = code == [b' '];
                    each(Glyph { text: unicode.text(number), width: self.width(glyph), space });
                    rest = after;
                }
            }
            Codes::Text(encoding) => {
                for c in encoding.decode_without_bom_handling(string).0.chars() {
                    let width = if c.is_ascii() { self.otherwise / 2.0 } else { self.otherwise };
                    each(Glyph { text: Some(c.into()), width, space: false });
                }
            }
        }
    }

    fn width(&self, code: u32) -> f64 {
        self.widths.get(&code).copied().unwrap_or(self.otherwise)
    }
}

fn plain(base: Base) -> Vec<Option<String>> {
    (0..=255).map(|code| base.character(code).map(String::from)).collect()
}

/// The encoding that is in the font itself.
fn own(
    walk: &mut Walk<'_>,
    file: &File<'_>,
    dict: &Dict,
    descriptor: Option<&Dict>,
) -> Result<Vec<Option<String>>, Opaque> {
    let name = file.get(dict, "BaseFont").and_then(Object::name).unwrap_or_default();
    if matches!(name, "Symbol" | "ZapfDingbats") {
        // No address is written in them, and signs must not hide one.
        return Ok(vec![Some("·".into()); 256]);
    }
    let mut codes = plain(Base::Standard);
    if says(dict, "Subtype", "TrueType") {
        codes = plain(Base::WinAnsi);
    }
    let Some(program) = descriptor.and_then(|dict| file.get(dict, "FontFile")) else { return Ok(codes) };
    let Some(program) = file.decode(walk, program)? else { return Ok(codes) };
    // Adobe Type 1 Font Format §2.2: `dup 64 /at put`, in front of what is encrypted
    let end = program.windows(5).position(|window| window == b"eexec").unwrap_or(program.len());
    let mut lexer = Lexer::new(&program[..end], 0, 100_000);
    let mut last: [Object; 2] = [Object::Null, Object::Null];
    let mut found = false;
    while let Some(object) = lexer.next() {
        if let (Object::Word(word), [Object::Number(_), Object::Name(name)]) = (&object, &last)
            && word == "put"
            && let Some(code) = last[0].whole().filter(|code| *code < 256)
        {
            if !found {
                codes = vec![None; 256];
                found = true;
            }
            codes[code] = glyph(name);
        }
        last.rotate_left(1);
        last[1] = object;
    }
    Ok(codes)
}

fn differ<'o>(codes: &mut [Option<String>], differences: impl Iterator<Item = &'o Object>) {
    let mut code = 0;
    for item in differences {
        match item {
            Object::Name(name) => {
                if let Some(text) = codes.get_mut(code) {
                    *text = glyph(name);
                }
                code += 1;
            }
            item => code = item.whole().unwrap_or(code),
        }
    }
}

/// §9.7.4.3: `1 [500 600] 10 20 500`
fn composite_widths(file: &File<'_>, listed: &[Object], widths: &mut HashMap<u32, f64>) {
    const MOST: usize = 100_000;
    let number = |object: &Object| file.resolve(object).whole().and_then(|number| u32::try_from(number).ok());
    let mut rest = listed;
    let mut made = 0;
    while let [first, second, after @ ..] = rest {
        let Some(low) = number(first) else { return };
        rest = after;
        if let Object::Array(each) = file.resolve(second) {
            made += each.len();
            for (code, width) in (low..).zip(each) {
                widths.insert(code, file.resolve(width).number().unwrap_or(0.0) / 1000.0);
            }
        } else if let ([width, after @ ..], Some(high)) = (after, number(second)) {
            let width = file.resolve(width).number().unwrap_or(0.0) / 1000.0;
            for code in (low..=high).take(65_536) {
                made += 1;
                widths.insert(code, width);
            }
            rest = after;
        }
        if made > MOST {
            return;
        }
    }
}

/// The encodings among the names of tables that every reader knows (§9.7.5.2).
fn text_encoding(name: &str) -> Option<&'static Encoding> {
    let has = |part: &str| name.contains(part);
    Some(match () {
        () if has("UCS2") || has("UTF16") => UTF_16BE,
        () if has("UTF8") => UTF_8,
        () if has("RKSJ") => SHIFT_JIS,
        () if has("GBK") || has("GB-EUC") || has("GBpc") || has("GBT") => GB18030,
        () if has("B5") || has("HKscs") || has("HKdla") => BIG5,
        () if has("KSC") => EUC_KR,
        () if matches!(name, "EUC-H" | "EUC-V") => EUC_JP,
        () => return None,
    })
}

/// Of Helvetica, from the space to the tilde
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// Of Times
const TIMES: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500, 500, 500, 500,
    500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722, 722, 333, 389, 722, 611, 889,
    722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500,
    444, 333, 500, 500, 278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480,
    200, 480, 541,
];

/// The width of a character in a font that does not say it: one of the standard fonts, or one like it (§9.6.2.2).
fn usual_width(font: &str, text: &str) -> f64 {
    let widths = match font {
        name if name.contains("Courier") => return 0.6,
        name if name.contains("Times") => &TIMES,
        _ => &HELVETICA,
    };
    let first = text.chars().next().and_then(|c| u8::try_from(c).ok()).and_then(|byte| byte.checked_sub(b' '));
    first.and_then(|nth| widths.get(usize::from(nth))).map_or(0.55, |width| f64::from(*width) / 1000.0)
}
