//! Bytes become text. Nothing is guessed: what is not UTF-8 (or UTF-16 with a byte order mark) has to be named, and the
//! error shows a cell as it would read in the encoding that is likely.

use std::{borrow::Cow, sync::Arc};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{ListProblem, delimited, read::Rows};
use crate::{
    campaign::ListOptions,
    diagnostic::{Diagnostic, Diagnostics, Place, quoted},
};

/// The text of a list without its byte order mark.
///
/// What cannot be read is an error; the text then ends with the last line before it, so that the rest is looked at in the
/// same go.
pub(super) fn decode<'b>(name: &Arc<str>, bytes: &'b [u8], options: &ListOptions) -> Result<Decoded<'b>, Diagnostics> {
    let marked = Encoding::for_bom(bytes);
    let (bytes, mark) = marked.map_or((bytes, None), |(encoding, length)| (&bytes[length..], Some(encoding)));
    let encoding = mark.or(options.encoding).unwrap_or(UTF_8);
    if mark.is_none() && options.encoding.is_none() && likely_utf16(bytes).is_some() {
        return Err(not_utf8(name, bytes, 0, options).into());
    }
    // By accident no text of single bytes is UTF-8 with more than ASCII in it.
    if mark.is_none()
        && encoding.is_single_byte()
        && !bytes.is_ascii()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Err(is_utf8(name, text, encoding, options).into());
    }
    if encoding == UTF_8 {
        return match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Decoded { text: text.into(), marked: mark.is_some(), wrong: None }),
            Err(error) => {
                let wrong = Some(not_utf8(name, bytes, error.valid_up_to(), options));
                let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or("");
                Ok(Decoded { text: whole_lines(valid).into(), marked: mark.is_some(), wrong })
            }
        };
    }
    let (text, wrong) = encoding.decode_without_bom_handling(bytes);
    if !wrong {
        return Ok(Decoded { text, marked: mark.is_some(), wrong: None });
    }
    let at = text.find(char::REPLACEMENT_CHARACTER).unwrap_or(0);
    let (row, sample) = cell_at(&text, at, options);
    let place = Place::Row { list: Arc::clone(name), row, column: None };
    let sure = encoding == UTF_16LE || encoding == UTF_16BE;
    let problem = ListProblem::NotEncoded { sample, encoding: encoding.name(), sure };
    let wrong = Some(Diagnostic::error(place, &problem));
    Ok(Decoded { text: whole_lines(&text[..at]).to_owned().into(), marked: mark.is_some(), wrong })
}

/// The text without its last line, which is not all there.
fn whole_lines(text: &str) -> &str {
    &text[..text.rfind(['\n', '\r']).map_or(0, |end| end + 1)]
}

/// A text, and whether a byte order mark said what it is.
pub(super) struct Decoded<'b> {
    pub(super) text: Cow<'b, str>,
    pub(super) marked: bool,
    /// Why there is no more of it.
    pub(super) wrong: Option<Diagnostic>,
}

/// The complaint about the first cell whose bytes are not UTF-8.
fn not_utf8(name: &Arc<str>, bytes: &[u8], valid_up_to: usize, options: &ListOptions) -> Diagnostic {
    let likely = likely_utf16(bytes).unwrap_or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        let likely = detector.guess(None, Utf8Detection::Deny);
        // Of two that read the same the usual one.
        let reads = |encoding: &'static Encoding| encoding.decode_without_bom_handling(bytes).0;
        if likely.is_single_byte() && reads(likely) == reads(WINDOWS_1252) { WINDOWS_1252 } else { likely }
    });
    let (text, _) = likely.decode_without_bom_handling(bytes);
    let (before, _) = likely.decode_without_bom_handling(&bytes[..valid_up_to]);
    let (row, sample) = cell_at(&text, before.len(), options);
    let place = Place::Row { list: Arc::clone(name), row, column: None };
    Diagnostic::error(place, &ListProblem::NotUtf8 { sample, likely: likely.name() })
}

/// The complaint about text that is said to be something else than the UTF-8 that it is.
fn is_utf8(name: &Arc<str>, text: &str, named: &'static Encoding, options: &ListOptions) -> Diagnostic {
    let (row, sample) = cell_at(text, text.find(|c: char| !c.is_ascii()).unwrap_or(0), options);
    let misread = named.decode_without_bom_handling(sample.as_bytes()).0.into_owned();
    let place = Place::Row { list: Arc::clone(name), row, column: None };
    Diagnostic::error(place, &ListProblem::IsUtf8 { named: named.name(), sample, misread })
}

/// UTF-16 without a byte order mark: mostly ASCII, with a NUL in every second place.
fn likely_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(400) / 2 * 2];
    let nuls = |first: usize| start.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    match start.len() {
        length if length < 4 => None,
        length if odd > length / 4 && even == 0 => Some(UTF_16LE),
        length if even > length / 4 && odd == 0 => Some(UTF_16BE),
        _ => None,
    }
}

/// The row, and the first odd cell in it, around a byte of a text.
fn cell_at(text: &str, at: usize, options: &ListOptions) -> (u64, String) {
    let mut rows = delimited::rows(text, options);
    let at = at.saturating_sub(rows.skipped(text));
    while let Some(row) = rows.next() {
        if rows.end() > at {
            // Of a cell with several lines the one that matters.
            let mut lines = rows.cells().flat_map(str::lines);
            let odd = lines.find(|line| !line.is_ascii());
            return (row, quoted(odd.or(rows.cells().next()).unwrap_or("")));
        }
    }
    (1, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], encoding: Option<&str>) -> Result<String, String> {
        let encoding = encoding.map(|label| Encoding::for_label(label.as_bytes()).unwrap());
        let options = ListOptions { encoding, ..ListOptions::default() };
        let decoded = decode(&"p.csv".into(), bytes, &options).map_err(|why| why.to_string())?;
        if let Some(wrong) = decoded.wrong {
            return Err(Diagnostics::from(wrong).to_string());
        }
        assert_eq!(decoded.marked, Encoding::for_bom(bytes).is_some());
        Ok(decoded.text.into_owned())
    }

    #[test]
    fn byte_order_marks_say_what_a_text_is() {
        let utf16 = |unit: fn(u16) -> [u8; 2]| "\u{feff}name,é\r\n".encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        assert_eq!(read(&utf16(u16::to_le_bytes), None).as_deref(), Ok("name,é\r\n"));
        assert_eq!(read(&utf16(u16::to_be_bytes), None).as_deref(), Ok("name,é\r\n"));
        assert_eq!(read(b"\xef\xbb\xbfname", None).as_deref(), Ok("name"));
    }

    #[test]
    fn what_is_not_utf_8_is_shown_as_it_would_read_and_has_to_be_named() {
        let bytes = b"Name;E-Mail\r\n\"A\r\nb\";a@one.example\r\nM\xfcller;b@one.example\r\nGro\xdf;c@one.example\r\n";
        assert_eq!(
            read(bytes, None),
            Err("error: p.csv, row 3: this is not UTF-8 text; as windows-1252 it would be \"Müller\"\n  \
                 help: if that reads right, say --encoding windows-1252 (or encoding = \"windows-1252\" under [recipients_options] in campaign.toml); \
                 or save the list as \"CSV UTF-8\" in the spreadsheet program\n".into())
        );
        assert!(read(bytes, Some("windows-1252")).unwrap().contains("\nMüller;"));
        assert!(read(bytes, Some("latin1")).unwrap().contains("\nGroß;"));
        let utf16: Vec<u8> = "Name;E-Mail\nAda;a@one.example\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let said = read(&utf16, None).unwrap_err();
        assert!(said.starts_with("error: p.csv, row 1: this is not UTF-8 text; as UTF-16LE it would be \"Name\"\n  help: if that reads right, say --encoding UTF-16LE"), "{said}");
        assert_eq!(read(&utf16, Some("utf-16le")).as_deref(), Ok("Name;E-Mail\nAda;a@one.example\n"));
        assert_eq!(
            read("Name;E-Mail\nJürgen Groß;a@one.example\n".as_bytes(), Some("windows-1252")).unwrap_err(),
            "error: p.csv, row 2: this is UTF-8 text with \"Jürgen Groß\", which as windows-1252 would be \"JÃ¼rgen GroÃŸ\"\n  \
             help: leave --encoding (or encoding = …) out\n"
        );
        let wrong = read(b"a,\x81\xff\n", Some("shift_jis")).unwrap_err();
        assert!(wrong.contains("row 1: this is not Shift_JIS text"), "{wrong}");
    }
}
