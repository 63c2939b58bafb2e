//! Whether a message is for one person, told from its bytes as a server gets them.

use mail_parser::{Address as Parsed, Message, MessageParser};
use memchr::memmem;

use crate::message::Envelope;

/// Headers that a message of ours may have, whatever the template says.
const USUAL: [&str; 10] = [
    "from",
    "to",
    "subject",
    "message-id",
    "mime-version",
    "content-type",
    "date",
    "reply-to",
    "content-transfer-encoding",
    "dkim-signature",
];

/// Checks the header section: none stands there twice, every one besides the usual is one that is `meant`, and the only
/// address in `To` is the recipient of the envelope, as the only one in `From` is its sender. Else says what is wrong;
/// that is a fault in the program or in the machine, not in a row.
pub fn check_structure(envelope: &Envelope, bytes: &[u8], meant: impl Fn(&str) -> bool) -> Result<(), &'static str> {
    let headers = check_headers(bytes, meant)?;
    match MessageParser::default().parse_headers(headers) {
        Some(parsed) => check_people(envelope, &parsed),
        None => Err("its headers cannot be parsed"),
    }
}

/// The same where the message is parsed already.
pub(super) fn check(
    envelope: &Envelope,
    bytes: &[u8],
    parsed: &Message<'_>,
    meant: impl Fn(&str) -> bool,
) -> Result<(), &'static str> {
    check_headers(bytes, meant)?;
    check_people(envelope, parsed)
}

/// Checks that each header stands there once and is meant to; gives the header section.
fn check_headers(bytes: &[u8], meant: impl Fn(&str) -> bool) -> Result<&[u8], &'static str> {
    let mut seen: Vec<&str> = Vec::with_capacity(16);
    let mut rest = bytes;
    loop {
        let Some(end) = memmem::find(rest, b"\r\n") else {
            return Err("its headers do not end");
        };
        let (line, behind) = (&rest[..end], &rest[end + 2..]);
        rest = behind;
        if line.is_empty() {
            break;
        }
        if line.contains(&b'\r') || line.contains(&b'\n') {
            return Err("a line break stands within a header");
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let Ok(name) = std::str::from_utf8(name) else { return Err("the name of a header is not one") };
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match () {
            () if is("cc") => return Err("it has a Cc"),
            () if is("bcc") => return Err("it has a Bcc"),
            () if name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("resent-")) => {
                return Err("it has a Resent header");
            }
            () if !USUAL.iter().any(|usual| is(usual)) && !meant(&name.to_ascii_lowercase()) => {
                return Err("it has a header that nobody asked for");
            }
            () if seen.iter().any(|seen| is(seen)) => {
                return Err(if is("to") { "it does not have exactly one To" } else { "a header stands there twice" });
            }
            () => {}
        }
        seen.push(name);
    }
    if !seen.iter().any(|name| name.eq_ignore_ascii_case("to")) {
        return Err("it does not have exactly one To");
    }
    Ok(&bytes[..bytes.len() - rest.len()])
}

fn check_people(envelope: &Envelope, parsed: &Message<'_>) -> Result<(), &'static str> {
    if !is_only(parsed.to(), envelope.to().as_str()) {
        return Err("its To is not just the recipient of the envelope");
    }
    if !is_only(parsed.from(), envelope.from().as_str()) {
        return Err("its From is not just the sender of the envelope");
    }
    Ok(())
}

fn is_only(header: Option<&Parsed<'_>>, address: &str) -> bool {
    match header {
        Some(Parsed::List(list)) if list.len() == 1 => {
            list[0].address.as_deref().is_some_and(|only| only.eq_ignore_ascii_case(address))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "From: U <u@police.example>\r\nTo: \"Ada, \"\r\n <ada@one.example>\r\nSubject: x\r\n\
        Message-ID: <1@police.example>\r\nX-Case: 7\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nCc: bo@two.example\r\n";

    fn check(message: &str) -> Result<(), &'static str> {
        let envelope = Envelope::new("u@police.example".parse().unwrap(), "ada@one.example".parse().unwrap());
        check_structure(&envelope, message.as_bytes(), |name| name == "x-case")
    }

    #[test]
    fn a_message_is_for_one_and_has_no_other_headers() {
        assert_eq!(check(RIGHT), Ok(()));
        assert_eq!(check(&format!("Date: x\r\nDKIM-Signature: x\r\n{RIGHT}")), Ok(()));
        for (from, to, why) in [
            ("X-Case: 7", "Cc: bo@two.example", "it has a Cc"),
            ("X-Case: 7", "bcc: bo@two.example", "it has a Bcc"),
            ("X-Case: 7", "Resent-To: bo@two.example", "it has a Resent header"),
            ("X-Case: 7", "X-Case: 7\r\nX-Other: 8", "it has a header that nobody asked for"),
            ("X-Case: 7", "X-Case: 7\r\nx-case: 8", "a header stands there twice"),
            ("X-Case: 7", "X-Case: 7\nX-Other: 8", "a line break stands within a header"),
            ("X-Case: 7", "a line", "it has a header that nobody asked for"),
            ("X-Case: 7", "To: bo@two.example", "it does not have exactly one To"),
            (" <ada@one.example>", " <bo@two.example>", "its To is not just the recipient of the envelope"),
            (
                " <ada@one.example>",
                " <ada@one.example>, bo@two.example",
                "its To is not just the recipient of the envelope",
            ),
            (
                " <ada@one.example>",
                " <ada@one.example>,\r\n\tbo@two.example",
                "its To is not just the recipient of the envelope",
            ),
            ("u@police.example>", "v@police.example>", "its From is not just the sender of the envelope"),
            ("\r\n\r\n", "\r\n", "it has a Cc"),
        ] {
            assert_eq!(check(&RIGHT.replacen(from, to, 1)), Err(why), "{to}");
        }
        assert_eq!(check("From: u@police.example"), Err("its headers do not end"));
    }
}
