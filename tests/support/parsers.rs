//! Messages as two parsers read them that share no code, neither with each other nor with the program: mail-parser,
//! and Python's `email` with its default policy. Both readings have one shape, so that they can be compared.

use std::process::{Command, Stdio};

use mail_parser::{Address, HeaderValue, MessageParser, MimeHeaders, PartType};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const PYTHON: &str = "/usr/bin/python3";

const READ: &str = r#"
import email, email.policy, email.utils, hashlib, json, sys
directory, count = sys.argv[1], int(sys.argv[2])
def defects(where, of):
    return [f"{where}: {defect!r}" for defect in of]
for number in range(count):
    with open(f"{directory}/{number}.eml", "rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    read = {"names": [name.lower() for name in message.keys()], "texts": {}, "addresses": {}, "parts": []}
    wrong = []
    for name, value in message.items():
        wrong += defects(name, value.defects)
        name = name.lower()
        if hasattr(value, "addresses"):
            read["addresses"][name] = [[one.display_name, one.addr_spec] for one in value.addresses]
        elif name == "date":
            read["texts"][name] = str(int(value.datetime.timestamp()))
        elif name not in ("content-type", "content-transfer-encoding", "mime-version", "dkim-signature"):
            read["texts"][name] = str(value).strip("<>") if name == "message-id" else str(value)
    for part in message.walk():
        wrong += defects(part.get_content_type(), part.defects)
        for name, value in part.items():
            wrong += defects(name, value.defects)
        if part.is_multipart():
            read["parts"].append({"type": part.get_content_type()})
            continue
        is_text = part.get_content_maintype() == "text"
        content = part.get_content()
        read["parts"].append({
            "type": part.get_content_type(),
            "charset": (part.get_content_charset() or "").lower() or None,
            "disposition": part.get_content_disposition(),
            "file": part.get_filename(),
            "id": (part["content-id"] or "").strip("<>") or None,
            "content": content.replace("\r\n", "\n") if is_text else hashlib.sha256(content).hexdigest(),
        })
    read["defects"] = wrong
    print(json.dumps(read))
"#;

/// Each message as Python reads it. None where it is not installed.
pub(crate) fn python(messages: &[Vec<u8>]) -> Option<Vec<Value>> {
    if !Command::new(PYTHON).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        super::skip("python3 is not installed");
        return None;
    }
    let directory = tempfile::tempdir().expect("a directory");
    for (number, message) in messages.iter().enumerate() {
        std::fs::write(directory.path().join(format!("{number}.eml")), message).expect("written");
    }
    let mut python = Command::new(PYTHON);
    python.args(["-c", READ]).arg(directory.path()).arg(messages.len().to_string());
    let output = python.output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout);
    let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(read.len(), messages.len());
    Some(read)
}

/// A message as mail-parser reads it, which knows no defects.
pub(crate) fn mail_parser(message: &[u8]) -> Value {
    // By default it decodes only the headers that it knows.
    let parser = MessageParser::new().with_mime_headers().with_date_headers().with_address_headers();
    let parsed = parser.with_message_ids().default_header_text().parse(message).expect("a message");
    let names: Vec<String> = parsed.headers().iter().map(|header| header.name().to_lowercase()).collect();
    let (mut texts, mut addresses) = (Map::new(), Map::new());
    for (name, header) in names.iter().zip(parsed.headers()) {
        let text = match header.value() {
            HeaderValue::Address(Address::List(list)) => {
                let list = list.iter().map(|one| json!([one.name.as_deref().unwrap_or(""), one.address]));
                addresses.insert(name.clone(), list.collect());
                continue;
            }
            HeaderValue::DateTime(date) => date.to_timestamp().to_string(),
            HeaderValue::Text(text) => text.to_string(),
            _ => continue,
        };
        if !["content-transfer-encoding", "mime-version", "dkim-signature"].contains(&name.as_str()) {
            texts.insert(name.clone(), text.into());
        }
    }
    let parts = parsed.parts.iter().map(|part| {
        // RFC 2045 §5.2
        let kind = part.content_type().map_or("text/plain".into(), |kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_lowercase()
        });
        let charset = part.content_type().and_then(|kind| kind.attribute("charset")).map(str::to_lowercase);
        let content = match &part.body {
            PartType::Text(text) | PartType::Html(text) => text.replace("\r\n", "\n"),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
            }
            _ => return json!({ "type": kind }),
        };
        json!({
            "type": kind,
            "charset": charset,
            "disposition": part.content_disposition().map(|disposition| disposition.ctype().to_lowercase()),
            "file": part.attachment_name(),
            "id": part.content_id(),
            "content": content,
        })
    });
    json!({
        "names": names,
        "texts": texts,
        "addresses": addresses,
        "parts": parts.collect::<Vec<_>>(),
        "defects": [],
    })
}

/// Each message as both read it; they agree, and find nothing wrong. None where Python is not installed.
pub(crate) fn both(messages: &[Vec<u8>]) -> Option<Vec<Value>> {
    let python = python(messages)?;
    let read = messages.iter().zip(python).map(|(message, mut python)| {
        let other = mail_parser(message);
        forgive_spaces(&mut python["addresses"], &other["addresses"]);
        forgive_encoded_names(&mut python["defects"]);
        for key in ["defects", "names", "addresses", "texts", "parts"] {
            assert_eq!(python[key], other[key], "Python and mail-parser\n{}", String::from_utf8_lossy(message));
        }
        other
    });
    Some(read.collect())
}

/// The name of a file in `Content-Type` is in an encoded word for Outlook's sake, which RFC 2047 §5 does not provide for.
fn forgive_encoded_names(defects: &mut Value) {
    let known = [
        "Content-Type: InvalidHeaderDefect('encoded word inside quoted string')",
        "Content-Type: InvalidHeaderDefect('missing trailing whitespace after encoded-word')",
    ];
    if let Some(defects) = defects.as_array_mut() {
        defects.retain(|defect| !known.iter().any(|known| defect == known));
    }
}

/// Python up to 3.14 shows the white space between two encoded words of a name, which RFC 2047 §6.2 says to ignore:
/// its `get_phrase` (`Lib/email/_header_value_parser.py`) lacks what `get_unstructured` has (`EWWhiteSpaceTerminal`).
/// See github.com/python/cpython/issues/128110, and pull request 130749, which mends it. A name that differs in nothing
/// but such spaces, one at most for each 20 characters, becomes the other's.
fn forgive_spaces(python: &mut Value, other: &Value) {
    let Some(python) = python.as_object_mut() else { return };
    for (name, list) in python {
        for (nth, one) in list.as_array_mut().into_iter().flatten().enumerate() {
            let (Some(shown), Some(right)) = (one[0].as_str(), other[name][nth][0].as_str()) else { continue };
            let without = |text: &str| text.replace(' ', "");
            let more = shown.len().saturating_sub(right.len());
            if without(shown) == without(right) && more <= right.len() / 20 {
                one[0] = right.into();
            }
        }
    }
}
