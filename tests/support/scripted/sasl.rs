//! The server's side of AUTH.

/// `{"status":"401","schemes":"bearer"}`, which XOAUTH2 sends before it refuses.
const XOAUTH2_ERROR: &str = "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIn0=\r\n";

/// The ordinary answer to an exchange as far as it went.
pub(super) fn judge(secret: Option<&(String, String)>, mechanism: &str, responses: &[String]) -> &'static str {
    let right = |user: &str, password: &str| secret.is_some_and(|(u, p)| u == user && p == password);
    let granted = match (mechanism.to_ascii_uppercase().as_str(), responses) {
        ("LOGIN", []) => return "334 VXNlcm5hbWU6\r\n",
        ("LOGIN", [_]) => return "334 UGFzc3dvcmQ6\r\n",
        (_, []) => return "334 \r\n",
        ("LOGIN", [user, password]) => right(user, password),
        ("PLAIN", [one]) => match one.split('\0').collect::<Vec<_>>()[..] {
            [identity, user, password] => (identity.is_empty() || identity == user) && right(user, password),
            _ => false,
        },
        ("XOAUTH2", [one]) => {
            let parts = one.strip_prefix("user=").and_then(|rest| rest.strip_suffix("\x01\x01"));
            match parts.and_then(|rest| rest.split_once("\x01auth=Bearer ")) {
                Some((user, token)) if right(user, token) => true,
                _ => return XOAUTH2_ERROR,
            }
        }
        _ => false,
    };
    if granted { "235 2.7.0 Authentication successful\r\n" } else { "535 5.7.8 Error: authentication failed\r\n" }
}

/// Padded base64; `=` stands for an empty response.
pub(super) fn decode(text: &str) -> Option<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if text == "=" {
        return Some(String::new());
    }
    let bare = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0, 0);
    for symbol in bare.bytes() {
        let value = ALPHABET.iter().position(|&known| known == symbol)?;
        (bits, held) = ((bits << 6 | value) & 0xFFFF, held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    String::from_utf8(bytes).ok().filter(|_| text.len().is_multiple_of(4))
}
