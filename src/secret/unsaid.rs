//! What nobody is shown, though the other side may say it back: a server or an issuer repeats what it was told, as it was or altered.

use std::{borrow::Cow, fmt};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use secrecy::zeroize::Zeroizing;

/// What stands in place of words that repeat a secret in another form: what is left of them would tell what was taken out.
pub(crate) const NOT_SHOWN: &str = "(its words are not shown: they repeat a password, a token or a code)";

/// A shorter secret, or form of one, is in too many words.
const SHORTEST: usize = 4;

/// In so many ways a text is read.
const READINGS: usize = 3;

/// So many are known at most; of tokens that are renewed the latest.
const MOST: usize = 32;

/// Passwords, tokens and codes that no text may repeat.
#[derive(Clone, Default)]
pub(crate) struct Unsaid(Vec<Secret>);

/// One of them, with its forms.
#[derive(Clone)]
struct Secret {
    plain: Zeroizing<String>,
    /// What is looked for in each of a text's readings
    forms: [Vec<Zeroizing<String>>; READINGS],
}

impl Secret {
    fn new(plain: &str) -> Self {
        let octets = plain.as_bytes();
        let [dense, signless, letters] = readings(plain);
        let mut letters =
            vec![letters, hexadecimal(octets), Zeroizing::new(octets.iter().map(u8::to_string).collect())];
        letters.extend((0..3).map(|before| core(octets, before)));
        let forms = [vec![dense], vec![signless], letters].map(|mut forms| {
            forms.retain(|form| form.len() >= SHORTEST);
            let backwards: Vec<_> = forms.iter().map(|form| reversed(form)).collect();
            forms.extend(backwards);
            forms
        });
        Self { plain: Zeroizing::new(plain.to_owned()), forms }
    }

    /// Whether a text has it in another form.
    fn is_in(&self, text: &[Zeroizing<String>; READINGS]) -> bool {
        self.forms.iter().zip(text).any(|(forms, text)| forms.iter().any(|form| text.contains(form.as_str())))
    }
}

/// Shows none of them.
impl fmt::Debug for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsaid").field(&self.0.len()).finish()
    }
}

impl Unsaid {
    /// One more. Those of less than four letters hide nothing.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST || self.0.iter().any(|known| *known.plain == secret) {
            return;
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Secret::new(secret));
    }

    /// Whether a text repeats one of them: as it is, in capital or small letters, backwards, broken by spaces, signs or line ends, as
    /// numbers, percent-encoded, or in base64 with whatever stands before it.
    pub(crate) fn is_repeated_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.plain.as_str())) || self.is_altered_in(text)
    }

    /// What may be shown of a text: where a secret stands in it as it is, all but that; nothing where it stands there altered.
    pub(crate) fn left_of<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        let left = self.0.iter().fold(Cow::Borrowed(text), |text, secret| {
            if text.contains(secret.plain.as_str()) { text.replace(secret.plain.as_str(), "…").into() } else { text }
        });
        if self.is_altered_in(&left) { None } else { Some(left) }
    }

    /// The same, with a word for nothing.
    pub(crate) fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.left_of(text).unwrap_or(NOT_SHOWN.into())
    }

    fn is_altered_in(&self, text: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let has = |text: &str| {
            let text = readings(text);
            self.0.iter().any(|secret| secret.is_in(&text))
        };
        let words = without_codes(text);
        [Some(text), words.as_deref()]
            .into_iter()
            .flatten()
            .any(|text| has(text) || unescaped(text).is_some_and(|text| has(&text)))
    }
}

/// A text in small letters: without spaces; with letters and digits alone; and with those in ASCII alone, since others come back in
/// whichever encoding.
fn readings(text: &str) -> [Zeroizing<String>; READINGS] {
    let small = || text.chars().flat_map(char::to_lowercase);
    [
        Zeroizing::new(small().filter(|c| !c.is_whitespace()).collect()),
        Zeroizing::new(small().filter(|c| c.is_alphanumeric()).collect()),
        Zeroizing::new(small().filter(char::is_ascii_alphanumeric).collect()),
    ]
}

fn hexadecimal(octets: &[u8]) -> Zeroizing<String> {
    let digit = |four: u8| char::from_digit(four.into(), 16).unwrap_or_default();
    Zeroizing::new(octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect())
}

fn reversed(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.chars().rev().collect())
}

/// What is the same in each base64 code of octets that have so many others before them, whatever these are.
fn core(octets: &[u8], before: usize) -> Zeroizing<String> {
    let all = Zeroizing::new([&[0; 2][..before], octets].concat());
    let code = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*all));
    let [_, _, letters] = readings(code.get((before * 8).div_ceil(6)..all.len() * 8 / 6).unwrap_or_default());
    letters
}

/// A reply's lines without their codes (RFC 5321 §4.2, RFC 2034 §4), which could stand in the midst of a secret; none where there are
/// no lines with codes.
fn without_codes(text: &str) -> Option<String> {
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
    let words = |line: &'_ str| -> Option<String> {
        let (_, rest) = line.split_once([' ', '-']).filter(|(code, _)| code.len() == 3 && is_number(code))?;
        let (enhanced, words) = rest.split_once(' ').unwrap_or((rest, ""));
        let is_enhanced = enhanced.split('.').count() == 3 && enhanced.split('.').all(is_number);
        Some(if is_enhanced { words } else { rest }.to_owned())
    };
    text.lines()
        .any(|line| words(line).is_some())
        .then(|| text.lines().map(|line| words(line).unwrap_or_else(|| line.to_owned())).collect::<Vec<_>>().join("\n"))
}

/// With what is percent-encoded (or quoted-printable) decoded, and without HTML's entities and the signs that announce a number; none
/// where there is no such thing.
fn unescaped(text: &str) -> Option<String> {
    if !text.contains(['%', '=', '&', '\\']) && !text.contains("0x") && !text.contains("0X") {
        return None;
    }
    let octets = text.as_bytes();
    let digit = |at: usize| octets.get(at).and_then(|octet| char::from(*octet).to_digit(16));
    let (mut read, mut at) = (Vec::with_capacity(octets.len()), 0);
    while let Some(octet) = octets.get(at) {
        at += match (octet, octets.get(at + 1)) {
            (b'%' | b'=', _) if let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) => {
                read.push(u8::try_from(high * 16 + low).unwrap_or_default());
                3
            }
            (b'\\' | b'0', Some(b'x' | b'X')) => 2,
            (b'&', _) if let Some(length) = entity(&octets[at..]) => {
                // Of a number the digits stay: many together are a code.
                read.extend(
                    octets[at..at + length]
                        .iter()
                        .filter(|_| octets[at + 1] == b'#')
                        .filter(|octet| !matches!(octet, b'x' | b'X')),
                );
                length
            }
            _ => {
                read.push(*octet);
                1
            }
        };
    }
    Some(String::from_utf8_lossy(&read).into_owned())
}

/// How long the entity is that octets begin with, if they do.
fn entity(octets: &[u8]) -> Option<usize> {
    let end = octets.iter().take(12).position(|octet| *octet == b';')?;
    let is_name = octets[1..end].iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'#');
    (end > 1 && is_name).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    const PASSWORD: &str = "Zw%hunter2-Ünsafe&7<x";

    fn unsaid(secrets: &[&str]) -> Unsaid {
        let mut unsaid = Unsaid::default();
        for secret in secrets {
            unsaid.add(secret);
        }
        unsaid
    }

    /// Texts that have it in another form than its own.
    fn altered(secret: &str) -> Vec<String> {
        let octets = secret.as_bytes();
        let each = |form: fn(&u8) -> String, between: &str| octets.iter().map(form).collect::<Vec<_>>().join(between);
        let apart = |between: &str| secret.chars().map(String::from).collect::<Vec<_>>().join(between);
        let half = secret.floor_char_boundary(secret.len() / 2);
        let (front, back) = secret.split_at(half);
        let html = secret.replace('&', "&amp;").replace('<', "&lt;");
        let mut all = vec![
            secret.to_uppercase(),
            secret.to_lowercase(),
            secret.chars().rev().collect(),
            secret.to_uppercase().chars().rev().collect(),
            each(|octet| format!("{octet:02x}"), ""),
            each(|octet| format!("{octet:02X}"), ":"),
            each(|octet| format!("0x{octet:02x}"), ", "),
            each(|octet| format!("\\x{octet:02x}"), ""),
            each(|octet| format!("%{octet:02X}"), ""),
            each(|octet| format!("={octet:02X}"), ""),
            each(|octet| format!("&#{octet};"), ""),
            each(|octet| format!("&#x{octet:x};"), ""),
            each(u8::to_string, " "),
            secret
                .bytes()
                .map(
                    |octet| {
                        if octet % 2 == 0 || octet > 126 { format!("%{octet:02x}") } else { char::from(octet).into() }
                    },
                )
                .collect(),
            form_urlencoded::byte_serialize(octets).collect(),
            secret.bytes().map(char::from).collect(),
            html,
            apart(" "),
            apart("\r\n"),
            apart("-"),
            format!("{front}\r\n535-5.7.8 {back}"),
            format!("{front}\n535 {back}"),
        ];
        for before in ["", "x", "\0u@police.example\0", "ab", "abc"] {
            for after in ["", "y", "yz"] {
                let whole = format!("{before}{secret}{after}");
                let code = BASE64_STANDARD.encode(&whole);
                all.extend([BASE64_URL_SAFE_NO_PAD.encode(&whole), code.chars().rev().collect(), code.to_lowercase()]);
                all.extend([
                    code.split_at(code.len() / 2).0.to_owned() + "\r\n" + code.split_at(code.len() / 2).1,
                    code,
                ]);
            }
        }
        // What has no letters is the same in capitals.
        all.retain(|form| !form.contains(secret));
        all
    }

    #[test]
    fn a_text_with_a_secret_in_another_form_is_not_shown_at_all() {
        for secret in [PASSWORD, "correct horse battery", "1234", "ya29.a0-AbC_dEf/xyz~+Q", "пароль-секрет", "§$§$!!%"]
        {
            let unsaid = unsaid(&["another one", secret]);
            for form in altered(secret) {
                // Of signs alone, or of other letters in the wrong encoding, too little is left.
                let is_lost = form.chars().eq(secret.bytes().map(char::from)) || form.contains("-$-");
                let [_, _, letters] = readings(secret);
                if letters.len() < SHORTEST && is_lost {
                    continue;
                }
                for text in [form.clone(), format!("535 5.7.8 no: {form} it is"), format!("535-x\n535 <{form}>.")] {
                    assert_eq!(unsaid.shown(&text), NOT_SHOWN, "{secret}: {text}");
                    assert!(unsaid.is_repeated_in(&text));
                }
            }
        }
    }

    #[test]
    fn as_it_is_it_is_taken_out_and_the_rest_stays() {
        let unsaid = unsaid(&[PASSWORD, "token"]);
        assert_eq!(unsaid.shown(&format!("535 not {PASSWORD}, nor token")), "535 not …, nor …");
        assert_eq!(unsaid.shown(&format!("535 {PASSWORD} {}", PASSWORD.to_uppercase())), NOT_SHOWN);
        assert!(unsaid.is_repeated_in("a token"));
    }

    #[test]
    fn what_a_server_says_otherwise_is_shown_and_a_short_secret_hides_nothing() {
        let words = [
            "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
            "250 2.0.0 Ok: queued as 4cX7hV0zZkz9sQ",
            "451-4.7.1 Try again later\n451 4.7.1 greylisted for 300 seconds, see https://mx.example/?id=a%40b&c=d",
            "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Trace ID: 0a1b2c3d (invalid_grant)",
        ];
        let unsaid = unsaid(&[
            "",
            "e",
            "535",
            "5.7",
            "abc",
            PASSWORD,
            "correct horse battery staple",
            "q9!x",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
        ]);
        for said in words {
            assert_eq!(unsaid.shown(said), said);
            assert!(!unsaid.is_repeated_in(said));
        }
        assert_eq!(unsaid.0.len(), 4);
        assert!(!format!("{unsaid:?}").contains("hunter2"));
    }

    #[test]
    fn of_many_the_latest_are_known() {
        let mut unsaid = Unsaid::default();
        (0..100).for_each(|nth| unsaid.add(&format!("secret-{nth:03}")));
        assert_eq!(unsaid.0.len(), MOST);
        assert!(unsaid.is_repeated_in("secret-099") && !unsaid.is_repeated_in("secret-000"));
    }

    #[test]
    fn odd_texts_are_read_to_their_end() {
        let unsaid = unsaid(&[PASSWORD]);
        for text in
            ["%", "%4", "=é", "&", "&;", "&#;", "&é;", "\\", "0x", "\\x", "5", "535", "535-", "53é", "é\u{301}%zz&#x"]
        {
            assert_eq!(unsaid.shown(text), text);
        }
    }
}
