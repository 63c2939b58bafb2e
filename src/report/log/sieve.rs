//! The one place that every record of the log goes through.
//!
//! What passes is known beforehand: fields of the table `FIELDS`, each with values of its kind. Numbers and words of the program's
//! own say nothing about anybody. A text from outside (what the system or the TLS library said) is cut where a server's own words
//! begin, since a server repeats what it likes, and loses whatever could be an address, a password or a code for either.

use std::fmt;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

use crate::{diagnostic::visible, secret::Unsaid};

/// What stands for what does not pass.
const REMOVED: &str = "[removed]";

/// What stands for a server's words.
const CUT: &str = "[…]";

/// Longer texts are cut.
const MOST_TEXT: usize = 500;

/// Longer words are none of ours.
const MOST_WORD: usize = 100;

/// So many letters of base64 and more can be something.
const SHORTEST_CODE: usize = 8;

/// So many with capitals and digits among them are a token, whatever they mean.
const SHORTEST_TOKEN: usize = 16;

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// One of the program's own: a name, a code, a version, an address of the network.
    Word,
    /// What the operator calls a campaign or an account.
    Name,
    /// A text from outside.
    Text,
}

/// The fields that a record may have.
const FIELDS: [(&str, Kind); 35] = [
    ("event", Kind::Word),
    ("account", Kind::Name),
    ("auth", Kind::Word),
    ("cancelled", Kind::Number),
    ("code", Kind::Word),
    ("connection", Kind::Number),
    ("connections", Kind::Number),
    ("deferred", Kind::Number),
    ("done", Kind::Number),
    ("enhanced", Kind::Word),
    ("exit", Kind::Number),
    ("failed", Kind::Number),
    ("how", Kind::Word),
    ("id", Kind::Word),
    ("in_doubt", Kind::Number),
    ("messages", Kind::Number),
    ("name", Kind::Name),
    ("outcome", Kind::Word),
    ("peer", Kind::Word),
    ("per_minute", Kind::Number),
    ("queued", Kind::Number),
    ("rates", Kind::Word),
    ("reply_code", Kind::Number),
    ("row", Kind::Number),
    ("seconds", Kind::Number),
    ("seconds_left", Kind::Number),
    ("sending", Kind::Number),
    ("sent", Kind::Number),
    ("step", Kind::Word),
    ("stopped", Kind::Word),
    ("suppressed", Kind::Number),
    ("tls", Kind::Word),
    ("until", Kind::Text),
    ("version", Kind::Word),
    ("why", Kind::Text),
];

/// A record as it may be written.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) level: Level,
    pub(super) event: String,
    pub(super) campaign: Option<String>,
    /// The others, in the order in which they were said
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// Lets pass what may be written.
#[derive(Debug, Default)]
pub(in crate::report) struct Sieve {
    unsaid: Unsaid,
}

impl Sieve {
    /// A text with this in it does not pass.
    pub(super) fn hide(&mut self, secret: &SecretString) {
        self.unsaid.add(secret.expose_secret());
    }

    /// What may be written of a record.
    pub(super) fn sift(&self, event: &Event<'_>) -> Record {
        let mut passed = Passed {
            sieve: self,
            record: Record {
                level: *event.metadata().level(),
                event: String::new(),
                campaign: None,
                fields: Vec::new(),
            },
        };
        event.record(&mut passed);
        passed.record
    }

    /// A name that the operator chose, whole and in one line, unless it holds an address or a secret: names that differ must not
    /// become the same.
    pub(in crate::report) fn name(&self, name: &str) -> String {
        if holds_address(name) || self.unsaid.is_repeated_in(name) {
            return REMOVED.to_owned();
        }
        visible(name).replace('\n', "<U+000A>").replace('\t', "<U+0009>")
    }

    /// A text from outside in one line, without what could be somebody's.
    pub(in crate::report) fn text(&self, text: &str) -> String {
        if self.unsaid.is_repeated_in(text) {
            // A gap in a sentence that everybody knows would tell what was in it.
            return REMOVED.to_owned();
        }
        let mut passed: Vec<String> = Vec::new();
        let mut length = 0;
        let mut words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            length += word.chars().count() + 1;
            if length > MOST_TEXT {
                passed.push(CUT.to_owned());
                break;
            }
            // In quotation marks, or behind a reply's code, is what a server said.
            if let Some(quotation) = word.find(['"', '“', '„', '«']) {
                let before = &word[..quotation];
                passed.push(format!("{}{CUT}", if is_somebodys(before) { REMOVED } else { before }));
                break;
            }
            if let Some(reply) = reply_code(word) {
                passed.extend(reply.get(..3).map(str::to_owned));
                let enhanced = reply.get(4..).filter(|rest| !rest.is_empty()).or_else(|| words.next());
                passed.extend(enhanced.filter(|word| is_enhanced(word)).map(str::to_owned));
                passed.push(CUT.to_owned());
                break;
            }
            passed.push(if is_somebodys(word) { REMOVED.to_owned() } else { visible(word) });
        }
        passed.join(" ")
    }

    /// A word of the program's own, or nothing of it.
    pub(super) fn word(word: &str) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._:-/,[]<>()".contains(c);
        if word.len() <= MOST_WORD && word.chars().all(fits) { word.to_owned() } else { REMOVED.to_owned() }
    }
}

/// Collects what passes.
struct Passed<'s> {
    sieve: &'s Sieve,
    record: Record,
}

impl Passed<'_> {
    fn pass(&mut self, field: &Field, value: impl FnOnce(&Sieve, Kind) -> Option<Value>) {
        let known = FIELDS.iter().find(|(name, _)| *name == field.name());
        let Some((name, value)) = known.and_then(|(name, kind)| Some((*name, value(self.sieve, *kind)?))) else {
            return;
        };
        match value {
            Value::String(event) if name == "event" => self.record.event = event,
            value => self.record.fields.push((name, value)),
        }
    }

    fn pass_number(&mut self, field: &Field, number: impl Into<Value>) {
        self.pass(field, |_, kind| (kind == Kind::Number).then(|| number.into()));
    }
}

impl Visit for Passed<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.pass_number(field, (value * 1000.0).round() / 1000.0);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.pass_number(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.pass_number(field, value);
    }
    fn record_bool(&mut self, _: &Field, _: bool) {}
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pass(field, |sieve, kind| match kind {
            Kind::Number => None,
            Kind::Word => Some(Sieve::word(value).into()),
            Kind::Name => Some(sieve.name(value).into()),
            Kind::Text => Some(sieve.text(value).into()),
        });
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// The code that a reply begins with (RFC 5321 §4.2), and what stands at it, if a word is one.
fn reply_code(word: &str) -> Option<&str> {
    let word = word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let (code, rest) = word.split_at_checked(3)?;
    let is_code = code.starts_with(['2', '3', '4', '5']) && code.bytes().all(|byte| byte.is_ascii_digit());
    (is_code && (rest.is_empty() || rest.starts_with('-'))).then_some(word)
}

/// Whether a word is an enhanced code (RFC 3463).
fn is_enhanced(word: &str) -> bool {
    let numbers = word.split('.').map(|number| (1..=3).contains(&number.len()) && number.parse::<u16>().is_ok());
    word.starts_with(['2', '4', '5']) && word.split('.').count() == 3 && numbers.into_iter().all(|is| is)
}

/// Whether a word could be an address, however it is written, or a code for one, or a token.
fn is_somebodys(word: &str) -> bool {
    holds_address(word) || is_escaped(word) || has_code(word)
}

/// Whether a text has an at sign in it, however it is written.
pub(in crate::report) fn holds_address(text: &str) -> bool {
    let at_signs = [
        "@", "＠", "﹫", "&#64", "&#x40", "&commat", "\\u0040", "\\x40", "\\100", "(at)", "[at]", "=40", "%40", "+aea",
    ];
    let lower = text.to_lowercase();
    at_signs.iter().any(|sign| lower.contains(sign))
}

/// Whether a part of a word could be base64 of a text, or a token.
fn has_code(word: &str) -> bool {
    word.split(['.', ',', ';', ':', '(', ')', '<', '>', '\'', '"']).any(is_code)
}

/// Lines without what could be a code for an address or a password.
pub(in crate::report) fn without_codes(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        left.push_str(if is_escaped(word) || has_code(word) { REMOVED } else { word });
        left.push_str(&piece[word.len()..]);
    }
    left
}

/// Whether something in a word is written as a number: `=40`, `%40`, an encoded word (RFC 2047), UTF-7's at sign.
fn is_escaped(word: &str) -> bool {
    let bytes = word.as_bytes();
    let is_number = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    word.contains("=?")
        || word.contains("+AEA")
        || (0..bytes.len()).any(|at| matches!(bytes[at], b'=' | b'%') && is_number(at))
}

/// Whether letters could be base64 of a text, or a token.
fn is_code(part: &str) -> bool {
    let core = part.trim_end_matches('=');
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    if core.len() < SHORTEST_CODE || !core.chars().all(is_letter) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| core.as_bytes().iter().any(is);
    let is_mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let says = |alphabet| {
        let decoded = coder(alphabet).decode(core).unwrap_or_default();
        !decoded.is_empty() && decoded.iter().all(|byte| matches!(byte, 0 | b'\t' | b'\r' | b'\n' | b' '..=b'~'))
    };
    core.len() >= SHORTEST_TOKEN && is_mixed || says(&STANDARD) || says(&URL_SAFE)
}

/// Base64 with padding or without.
fn coder(alphabet: &base64::alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE};

    use super::{
        super::{Lines, Log, Output},
        *,
    };

    fn text(said: &str) -> String {
        Sieve::default().text(said)
    }

    #[test]
    fn no_spelling_of_an_address_passes() {
        let address = "ada.lovelace@one.example";
        for spelling in [
            "ada.lovelace@one.example",
            "ADA.Lovelace@ONE.example",
            "<ada.lovelace@one.example>:",
            "mailto:ada.lovelace@one.example,",
            "\"ada lovelace\"@one.example",
            "\"ada\\@lovelace\"@one.example",
            "jörg.lovelace@bücher.example",
            "lovelace@xn--bcher-kva.example",
            "lovelace+tag@one.example",
            "one.example!lovelace@relay.example",
            "lovelace%one.example@relay.example",
            "lovelace=40one.example",
            "lovelace%40one.example",
            "srs0=x=y=one.example=lovelace@relay.example",
            "lovelace&#64;one.example",
            "lovelace&#x40;one.example",
            "lovelace＠one.example",
            "lovelace(at)one.example",
            "=?utf-8?q?lovelace?=",
            "=?UTF-8?B?bG92ZWxhY2U=?=",
            "lovelace+AEA-one.example",
            "a…@lovelace.example",
            &BASE64_STANDARD.encode(address),
            &BASE64_STANDARD_NO_PAD.encode("lovelace@one.example"),
            &BASE64_URL_SAFE.encode("lovelace@one.example"),
            &format!("(user={})", BASE64_STANDARD.encode("\0lovelace\0secret")),
        ] {
            let said = text(&format!("no mailbox {spelling} here"));
            let lower = said.to_lowercase();
            for part in ["lovelace", "@", "＠", "bg92zwxh", "wrhlmx", "one.example"] {
                assert!(!lower.contains(part), "{spelling}: {said}");
            }
            assert!(said.starts_with("no mailbox "), "{said}");
        }
    }

    #[test]
    fn a_servers_own_words_do_not_pass_and_its_codes_do() {
        for (said, passed) in [
            ("the server answered DATA with 250 2.0.0 Ada Lovelace", "the server answered DATA with 250 2.0.0 […]"),
            ("the last one because: 421-4.7.0 Ada\n421 4.7.0 Bo", "the last one because: 421 4.7.0 […]"),
            ("refused STARTTLS: 454 Ada Lovelace", "refused STARTTLS: 454 […]"),
            ("the server said, unasked: \"Ada Lovelace\"", "the server said, unasked: […]"),
            ("(554 Ada)", "554 […]"),
        ] {
            let got = text(said);
            assert_eq!(got, passed);
        }
    }

    #[test]
    fn what_happened_can_still_be_read() {
        for said in [
            "there is no connection to smtp.one.example:465: Connection refused (os error 111)",
            "the certificate of smtp.one.example is not trusted (invalid peer certificate: UnknownIssuer)",
            "the TLS handshake failed (peer is incompatible: no ciphersuites in common)",
            "the server did not answer within 5 min",
            "/var/lib/apiece/outbox.sqlite cannot be written: No space left on device (os error 28)",
            "the login needs SCRAM-SHA-256, which smtp-submission-relay.one.example does not offer",
        ] {
            assert_eq!(text(said), said);
        }
    }

    #[test]
    fn one_record_is_one_line_and_moves_no_cursor() {
        let said =
            text("a\r\n2026-01-01T00:00:00Z error end exit=0\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}b\u{2028}c\0d %s {0}");
        assert!(!said.contains(|c: char| c.is_control() || "\u{202e}\u{2028}".contains(c)), "{said:?}");
        let long = text(&"words ".repeat(10_000));
        assert!(long.ends_with(CUT) && long.len() < MOST_TEXT + 20);
    }

    #[test]
    fn a_text_with_a_password_does_not_pass_in_any_code() {
        let mut sieve = Sieve::default();
        for password in ["hunter2-Ünsafe", "two words \"quoted\"", "refused"] {
            sieve.hide(&SecretString::from(password));
            for before in ["", "x", "\0case.team\0", "ab"] {
                let code = BASE64_STANDARD.encode(format!("{before}{password} more"));
                assert_eq!(sieve.text(&format!("login {code}")), "[removed]", "{password}: {code}");
            }
            assert_eq!(sieve.text(&format!("login {password} no")), "[removed]");
        }
        assert_eq!(format!("{sieve:?}").matches("hunter2").count(), 0);
        assert_eq!(sieve.text("the server hung up"), "the server hung up");
    }

    #[test]
    fn only_known_fields_pass_each_with_its_kind() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let output = Output::File(Lines::Human, file.reopen().unwrap());
        let log = Log { shared: Arc::default(), most: Level::TRACE, output };
        tracing::subscriber::with_default(log, || {
            tracing::warn!(
                event = "finished",
                row = 7,
                subject = "For Ada",
                to = "ada@one.example",
                outcome = "Ada Lovelace",
                peer = "127.0.0.1:465",
                exit = "Ada",
                why = "ada@one.example\nis gone",
                "Dear Ada"
            );
        });
        let written = std::fs::read_to_string(file).unwrap();
        let (_, written) = written.split_once(' ').unwrap();
        let wanted = "warn  finished row=7 outcome=[removed] peer=127.0.0.1:465 why=\"[removed] is gone\"\n";
        assert_eq!(written, wanted);
    }

    #[test]
    fn a_name_passes_whole_unless_it_holds_an_address() {
        let name = |name: &str| Sieve::default().name(name);
        for said in [
            "500 club",
            "550",
            "20261126",
            "update-2026-11-26T09",
            "b3JkZXJzMTIzNDU2Nzg5",
            "say \"hello\"",
            "50%ab =20",
        ] {
            assert_eq!(name(said), said);
        }
        for address in ["ada@one.example", "to ada(at)one.example", "ada=40one.example", "ada＠one.example", "a+AEA-b"]
        {
            assert_eq!(name(address), REMOVED, "{address}");
        }
        assert_eq!(name("a\nb\u{202e}"), "a<U+000A>b<U+202E>");
        let mut sieve = Sieve::default();
        sieve.hide(&SecretString::from("hunter2"));
        assert_eq!(sieve.name("about hunter2"), REMOVED);
    }
}
