//! "Relaxed" canonicalisation: the form of header fields and body over which a signature is made, so that mail
//! servers may fold a line and change white space (RFC 6376 §3.4.2, §3.4.4).

/// A header field in relaxed form, without a line end. `field` is all of it, from its name to its last line.
pub(super) fn header(field: &[u8]) -> Vec<u8> {
    let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
    let (name, value) = field.split_at(colon);
    let mut canonical: Vec<u8> = name.trim_ascii_end().to_ascii_lowercase();
    canonical.push(b':');
    let start = canonical.len();
    let mut space = false;
    for byte in value.iter().skip(1) {
        match byte {
            b'\r' | b'\n' => {}
            b' ' | b'\t' => space = true,
            _ => {
                if space && canonical.len() > start {
                    canonical.push(b' ');
                }
                space = false;
                canonical.push(*byte);
            }
        }
    }
    canonical
}

/// A body in relaxed form. One without any line that says something is empty.
pub(super) fn body(body: &[u8]) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(body.len() + 2);
    let mut empty_lines = 0;
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = canonical.len();
        let mut space = false;
        for byte in line {
            if matches!(byte, b' ' | b'\t') {
                space = true;
                continue;
            }
            if canonical.len() == start {
                (0..empty_lines).for_each(|_| canonical.extend_from_slice(b"\r\n"));
                empty_lines = 0;
            }
            if space {
                canonical.push(b' ');
                space = false;
            }
            canonical.push(*byte);
        }
        if canonical.len() == start {
            empty_lines += 1;
        } else {
            canonical.extend_from_slice(b"\r\n");
        }
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_example_of_rfc_6376_section_3_4_5() {
        assert_eq!(text(header(b"A: X\r\n")), "a:X");
        assert_eq!(text(header(b"B : Y\t\r\n\tZ  \r\n")), "b:Y Z");
        assert_eq!(text(body(b" C \r\nD \t E\r\n\r\n\r\n")), " C\r\nD E\r\n");
    }

    #[test]
    fn header_fields() {
        for (field, canonical) in [
            ("Subject:\r\n", "subject:"),
            ("Subject: \r\n \t \r\n", "subject:"),
            ("SUBJECT:x:y\r\n", "subject:x:y"),
            ("Subject: \t a \t b\r\n\t\r\n c\t\r\n", "subject:a b c"),
            ("To: <jörg@list.example>\r\n", "to:<jörg@list.example>"),
            ("X", "x:"),
        ] {
            assert_eq!(text(header(field.as_bytes())), canonical, "{field:?}");
        }
    }

    #[test]
    fn bodies() {
        for (given, canonical) in [
            ("", ""),
            ("\r\n", ""),
            ("\r\n\r\n \t\r\n", ""),
            ("a", "a\r\n"),
            ("a\r\n", "a\r\n"),
            ("a\r\n \t \r\n\r\n", "a\r\n"),
            ("\r\n \r\na\r\n\r\n\tb \r\n", "\r\n\r\na\r\n\r\n b\r\n"),
            ("a \t b \t\r\n", "a b\r\n"),
            ("ü\t\u{a0} \r\n", "ü \u{a0}\r\n"),
        ] {
            assert_eq!(text(body(given.as_bytes())), canonical, "{given:?}");
        }
    }
}
