//! A message as its recipient sees it, as text.

use std::fmt::Write as _;

use indicatif::DecimalBytes;
use mail_parser::{HeaderForm, HeaderValue, Message as Parsed, MessageParser, MimeHeaders};

use super::gallery::html_of;
use crate::{diagnostic::visible, message::Message};

/// Headers that say how a message is packed, which nobody wants to read.
const PACKING: [&str; 4] = ["mime-version", "content-type", "content-transfer-encoding", "message-id"];

/// The message as its recipient sees it: who, what, and the text part; that there is HTML is said. Made by parsing the finished
/// bytes, not from what went into them.
#[must_use]
pub fn as_received(message: &Message) -> String {
    let mut shown = format!("── row {} ── to {} alone ──\n", message.row(), message.envelope().to());
    let Some(parsed) = MessageParser::default().parse(message.bytes()) else {
        shown.push_str("(the message cannot be parsed)\n");
        return shown;
    };
    for header in parsed.headers() {
        if PACKING.contains(&header.name().to_ascii_lowercase().as_str()) {
            continue;
        }
        let value = decoded(&parsed, header.name(), &header.value);
        let _ = writeln!(shown, "{:<9} {}", format!("{}:", header.name()), visible(&value));
    }
    for attachment in parsed.attachments() {
        let name = attachment.attachment_name().unwrap_or("(without a name)");
        let size = DecimalBytes(attachment.len() as u64);
        let _ = writeln!(shown, "Attached: {} ({size})", visible(name));
    }
    if let Some(html) = html_of(&parsed) {
        let _ =
            writeln!(shown, "HTML:     {}; below is the text, --gallery shows both", DecimalBytes(html.len() as u64));
    }
    let text = parsed.body_text(0).unwrap_or_default();
    let _ = writeln!(shown, "\n{}", visible(text.replace("\r\n", "\n").trim_end()));
    shown
}

pub(super) fn decoded(parsed: &Parsed<'_>, name: &str, value: &HeaderValue<'_>) -> String {
    match value {
        HeaderValue::Address(addresses) => {
            let shown = addresses.iter().map(|one| match (&one.name, &one.address) {
                (Some(name), Some(address)) => format!("{name} <{address}>"),
                (None, Some(address)) => address.to_string(),
                (name, None) => name.as_deref().unwrap_or("").to_owned(),
            });
            shown.collect::<Vec<_>>().join(", ")
        }
        HeaderValue::Text(text) => text.to_string(),
        _ => match parsed.header_as(name, HeaderForm::Text).first() {
            Some(HeaderValue::Text(text)) => text.to_string(),
            _ => String::new(),
        },
    }
}
