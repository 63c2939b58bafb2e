//! What the bytes of every message must be, whatever went into them.

use memchr::{memchr, memchr2};

use super::MessageProblem;

/// RFC 5322 §2.1.1: a line has at most 998 octets without its CRLF.
const MOST_LINE: usize = 998;

/// What a header section is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// 7-bit
    Ascii,
    /// With addresses in UTF-8 (RFC 6532)
    Utf8,
}

/// Checks that the bytes are 7-bit (but for such a header section) without NUL, that every line ends with CRLF and no CR or LF stands elsewhere
/// (some servers take a bare one for a line end, which lets a body begin a new message: "SMTP smuggling"), and
/// that no line is too long.
pub(super) fn check(bytes: &[u8], header: Header) -> Result<(), MessageProblem> {
    let body = match header {
        Header::Ascii => 0,
        Header::Utf8 => bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0),
    };
    if !bytes[body..].is_ascii() || memchr(0, bytes).is_some() {
        return Err(MessageProblem::EightBit);
    }
    let mut rest = bytes.strip_suffix(b"\r\n").ok_or(MessageProblem::LineEnd)?;
    loop {
        let end = memchr2(b'\r', b'\n', rest);
        if end.unwrap_or(rest.len()) > MOST_LINE {
            return Err(MessageProblem::LongLine(String::from_utf8_lossy(&rest[..40]).into_owned()));
        }
        let Some(end) = end else { return Ok(()) };
        rest = rest[end..].strip_prefix(b"\r\n").ok_or(MessageProblem::LineEnd)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_travels_is_7_bit_with_crlf_and_short_lines() {
        let check = |bytes: &[u8]| check(bytes, Header::Ascii);
        let long = |length: usize| format!("a: b\r\n\r\n{}\r\n", "x".repeat(length));
        assert_eq!(check(long(998).as_bytes()), Ok(()));
        assert!(matches!(check(long(999).as_bytes()), Err(MessageProblem::LongLine(_))));
        assert_eq!(check("a: ü\r\n".as_bytes()), Err(MessageProblem::EightBit));
        assert_eq!(check(b"a: \0\r\n"), Err(MessageProblem::EightBit));
        for bad in [&b"a\r\n.\nb\r\n"[..], b"a\r.\r\n", b"a\n", b"a", b"a\r\r\n", b"\n\r\n"] {
            assert_eq!(check(bad), Err(MessageProblem::LineEnd), "{bad:?}");
        }
        let utf8 = |text: &str| super::check(text.as_bytes(), Header::Utf8);
        assert_eq!(utf8("To: <ü@one.example>\r\n\r\nx\r\n"), Ok(()));
        assert_eq!(utf8("To: <ü@one.example>\r\n\r\nü\r\n"), Err(MessageProblem::EightBit));
    }
}
