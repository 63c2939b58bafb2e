//! Which characters codes and glyphs' names stand for (ISO 32000-1 Annex D, Adobe Glyph List for New Fonts).

use encoding_rs::{MACINTOSH, WINDOWS_1252};
use icu_normalizer::ComposingNormalizerBorrowed;

/// The encodings that a font can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Standard,
    WinAnsi,
    MacRoman,
}

impl Base {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "StandardEncoding" => Self::Standard,
            "WinAnsiEncoding" => Self::WinAnsi,
            "MacRomanEncoding" => Self::MacRoman,
            _ => return None,
        })
    }

    pub(super) fn character(self, code: u8) -> Option<char> {
        let decoded = |encoding: &'static encoding_rs::Encoding| {
            encoding.decode_without_bom_handling(&[code]).0.chars().next().filter(|c| !c.is_control())
        };
        match self {
            Self::WinAnsi => decoded(WINDOWS_1252),
            Self::MacRoman => decoded(MACINTOSH),
            Self::Standard => standard(code),
        }
    }
}

fn standard(code: u8) -> Option<char> {
    Some(match code {
        0x27 => '’',
        0x60 => '‘',
        b' '..=b'~' | 0xa1..=0xa3 | 0xa5 | 0xa7 | 0xab | 0xb6 | 0xbb | 0xbf => char::from(code),
        0xa4 => '⁄',
        0xa6 => 'ƒ',
        0xa8 => '¤',
        0xa9 => '\'',
        0xaa => '“',
        0xac => '‹',
        0xad => '›',
        0xae => 'ﬁ',
        0xaf => 'ﬂ',
        0xb1 => '–',
        0xb2 => '†',
        0xb3 => '‡',
        0xb4 => '·',
        0xb7 => '•',
        0xb8 => '‚',
        0xb9 => '„',
        0xba => '”',
        0xbc => '…',
        0xbd => '‰',
        0xc1 => '`',
        0xc2 => '´',
        0xc3 => 'ˆ',
        0xc4 => '˜',
        0xc5 => '¯',
        0xc6 => '˘',
        0xc7 => '˙',
        0xc8 => '¨',
        0xca => '˚',
        0xcb => '¸',
        0xcd => '˝',
        0xce => '˛',
        0xcf => 'ˇ',
        0xd0 => '—',
        0xe1 => 'Æ',
        0xe3 => 'ª',
        0xe8 => 'Ł',
        0xe9 => 'Ø',
        0xea => 'Œ',
        0xeb => 'º',
        0xf1 => 'æ',
        0xf5 => 'ı',
        0xf8 => 'ł',
        0xf9 => 'ø',
        0xfa => 'œ',
        0xfb => 'ß',
        _ => return None,
    })
}

/// What strings are in that are no text of a page.
pub(super) fn pdf_doc(code: u8) -> char {
    const FROM_80: &str = "•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž\u{fffd}€";
    match code {
        0x80..=0xa0 => FROM_80.chars().nth(usize::from(code - 0x80)).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(code),
    }
}

/// Names of glyphs that are not their letters, the characters in the same order.
const NAMES: &str = "space exclam quotedbl numbersign dollar percent ampersand quotesingle parenleft parenright asterisk plus \
    comma hyphen period slash zero one two three four five six seven eight nine colon semicolon less equal greater question at \
    bracketleft backslash bracketright asciicircum underscore grave braceleft bar braceright asciitilde nbspace nonbreakingspace \
    exclamdown cent sterling currency yen brokenbar section dieresis copyright ordfeminine guillemotleft logicalnot sfthyphen \
    softhyphen registered macron degree plusminus twosuperior threesuperior acute mu paragraph periodcentered middot cedilla \
    onesuperior ordmasculine guillemotright onequarter onehalf threequarters questiondown AE ae Eth eth Oslash oslash Thorn thorn \
    germandbls multiply divide OE oe Lslash lslash Dcroat dcroat Hbar hbar dotlessi kgreenlandic Eng eng Tbar tbar Germandbls \
    florin quoteleft quoteright quotesinglbase quotedblleft quotedblright quotedblbase guilsinglleft guilsinglright dagger daggerdbl \
    bullet ellipsis endash emdash perthousand trademark Euro minus fraction circumflex tilde breve dotaccent ring ogonek \
    hungarumlaut caron fi fl ff ffi ffl longs figuredash Schwa schwa \
    Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho Sigma Tau Upsilon Phi Chi Psi Omega \
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mugreek nu xi omicron pi rho sigma1 sigma tau upsilon phi \
    chi psi omega";

const CHARACTERS: &str = " !\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~\u{a0}\u{a0}\
    ¡¢£¤¥¦§¨©ª«¬\u{ad}\u{ad}®¯°±²³´µ¶··¸¹º»¼½¾¿ÆæÐðØøÞþß×÷ŒœŁłĐđĦħıĸŊŋŦŧẞ\
    ƒ‘’‚“”„‹›†‡•…–—‰™€−⁄ˆ˜˘˙˚˛˝ˇﬁﬂﬀﬃﬄſ‒Əə\
    ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρςστυφχψω";

/// Accents at the ends of names, and the characters that are combined with the letter before them.
const ACCENTS: &[(&str, char)] = &[
    ("grave", '\u{300}'),
    ("acute", '\u{301}'),
    ("tonos", '\u{301}'),
    ("circumflex", '\u{302}'),
    ("tilde", '\u{303}'),
    ("macron", '\u{304}'),
    ("breve", '\u{306}'),
    ("dotaccent", '\u{307}'),
    ("dot", '\u{307}'),
    ("dieresis", '\u{308}'),
    ("ring", '\u{30a}'),
    ("hungarumlaut", '\u{30b}'),
    ("caron", '\u{30c}'),
    ("commaaccent", '\u{327}'),
    ("cedilla", '\u{327}'),
    ("ogonek", '\u{328}'),
];

/// The characters of a glyph: `a`, `at`, `eacute`, `f_i`, `a.sc`, `uni0040`, `u1F600`, `afii10065`.
pub(super) fn glyph(name: &str) -> Option<String> {
    let name = name.split('.').next().filter(|name| !name.is_empty() && name.len() < 100)?;
    if name.contains('_') {
        return name.split('_').map(glyph).collect();
    }
    if let Some(at) = NAMES.split_whitespace().position(|known| known == name) {
        return CHARACTERS.chars().nth(at).map(String::from);
    }
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    if let Some(digits) = name.strip_prefix("uni").filter(|digits| digits.len() % 4 == 0 && digits.is_ascii()) {
        let units: Option<Vec<char>> =
            digits.as_bytes().chunks(4).map(|chunk| hex(std::str::from_utf8(chunk).ok()?)).collect();
        if let Some(units) = units.filter(|units| !units.is_empty()) {
            return Some(units.into_iter().collect());
        }
    }
    if let Some(c) = name.strip_prefix('u').filter(|digits| (4..=6).contains(&digits.len())).and_then(hex) {
        return Some(c.into());
    }
    if name.chars().count() == 1 {
        return Some(name.to_owned());
    }
    if let Some(number) = name.strip_prefix("afii").and_then(|number| number.parse::<u32>().ok()) {
        return cyrillic(number).map(String::from);
    }
    // `Alphatonos`, `eacute`
    ACCENTS.iter().find_map(|(accent, combining)| {
        let letter = glyph(name.strip_suffix(accent)?).filter(|letter| letter.chars().count() == 1)?.chars().next()?;
        let pair: String = [letter, *combining].iter().collect();
        Some(ComposingNormalizerBorrowed::new_nfc().normalize(&pair).into_owned())
    })
}

/// `afii10017` is А; Ё stands among the others in both rows.
fn cyrillic(number: u32) -> Option<char> {
    let code = match number {
        10023 => 0x401,
        10071 => 0x451,
        10017..=10022 => 0x410 + number - 10017,
        10024..=10049 => 0x416 + number - 10024,
        10065..=10070 => 0x430 + number - 10065,
        10072..=10097 => 0x436 + number - 10072,
        _ => return None,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_are_known_by_their_names() {
        assert_eq!(NAMES.split_whitespace().count(), CHARACTERS.chars().count());
        for (name, characters) in [
            ("a", "a"),
            ("at", "@"),
            ("period", "."),
            ("eacute", "é"),
            ("scedilla", "ş"),
            ("lslash", "ł"),
            ("nacute", "ń"),
            ("Alphatonos", "Ά"),
            ("omega", "ω"),
            ("afii10065", "а"),
            ("afii10071", "ё"),
            ("afii10097", "я"),
            ("f_i", "fi"),
            ("one.oldstyle", "1"),
            ("uni00400041", "@A"),
            ("u0040", "@"),
        ] {
            assert_eq!(glyph(name).as_deref(), Some(characters), "{name}");
        }
        for name in ["", ".notdef", "g12", "cid34", "summation", "uniXXXX"] {
            assert_eq!(glyph(name), None, "{name}");
        }
        assert_eq!(Base::WinAnsi.character(0x80), Some('€'));
        assert_eq!(Base::MacRoman.character(0x8e), Some('é'));
        assert_eq!(Base::Standard.character(0x27), Some('’'));
    }
}
