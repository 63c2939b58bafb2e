//! What a server's answer to EHLO offers (RFC 5321 §4.1.1.1).

use super::Reply;
use crate::campaign::Mechanism;

/// Something that a server can do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// Content that is not ASCII (RFC 6152).
    EightBitMime,
    /// Addresses and headers in UTF-8 (RFC 6531).
    SmtpUtf8,
    /// Several commands at once (RFC 2920).
    Pipelining,
    /// Content whose length is said before (RFC 3030).
    Chunking,
    /// TLS (RFC 3207).
    StartTls,
}

/// What a connection can be used for.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// The most octets of a message (RFC 1870 §4), if it wants to know how large each is.
    pub(super) size: Option<u64>,
    extensions: Vec<Extension>,
    pub(super) mechanisms: Vec<String>,
}

impl Offer {
    pub(super) fn of(ehlo: &Reply) -> Self {
        let mut offer = Self::default();
        // The first line is the server's name.
        for line in ehlo.lines().skip(1) {
            let line = line.to_ascii_uppercase();
            // Some old servers write `AUTH=LOGIN`.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("SMTPUTF8") => offer.extensions.push(Extension::SmtpUtf8),
                Some("8BITMIME") => offer.extensions.push(Extension::EightBitMime),
                Some("CHUNKING") => offer.extensions.push(Extension::Chunking),
                Some("PIPELINING") => offer.extensions.push(Extension::Pipelining),
                Some("STARTTLS") => offer.extensions.push(Extension::StartTls),
                // 0, or nothing, says that there is no limit.
                Some("SIZE") => offer.size = size(words.next()),
                Some("AUTH") => offer.mechanisms.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        offer
    }

    pub(super) fn has(&self, extension: Extension) -> bool {
        // 8BITMIME belongs to SMTPUTF8.
        let is_whole = extension != Extension::SmtpUtf8 || self.extensions.contains(&Extension::EightBitMime);
        is_whole && self.extensions.contains(&extension)
    }

    /// The first of these ways to log in that it knows. Why not, if there is none.
    pub(super) fn choose(&self, usable: &[Mechanism]) -> Result<Mechanism, String> {
        let names: Vec<String> = usable.iter().map(ToString::to_string).collect();
        let is_offered = |mechanism: &&Mechanism| self.mechanisms.contains(&mechanism.to_string());
        usable.iter().find(is_offered).copied().ok_or_else(|| {
            if self.mechanisms.is_empty() {
                "the server offers no AUTH under TLS".into()
            } else {
                format!("the server offers {}, and {} is wanted", self.mechanisms.join(", "), names.join(" or "))
            }
        })
    }
}

fn size(number: Option<&str>) -> Option<u64> {
    let most: u64 = number.map_or(Some(0), |number| number.parse().ok())?;
    Some(if most == 0 { u64::MAX } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(ehlo: &str) -> Offer {
        Offer::of(&Reply::parse(ehlo.as_bytes()).unwrap())
    }

    #[test]
    fn what_a_server_offers_is_read_however_it_is_written() {
        let offered = offer("250-mail.example\r\n250-auth LOGIN xoauth2\r\n250-AUTH=LOGIN\r\n250 SIZE\r\n");
        assert_eq!(offered.choose(&Mechanism::ALL), Ok(Mechanism::Login));
        assert_eq!(offered.choose(&Mechanism::FOR_TOKENS), Ok(Mechanism::XOAuth2));
        assert_eq!(
            offered.choose(&[Mechanism::Plain]),
            Err("the server offers LOGIN, XOAUTH2, LOGIN, and PLAIN is wanted".into())
        );
        assert_eq!(
            offer("250 mail.example\r\n").choose(&Mechanism::ALL),
            Err("the server offers no AUTH under TLS".into())
        );
        assert_eq!((offered.size, offered.extensions.len()), (Some(u64::MAX), 0));
        let offered = offer(
            "250-SIZE.example 5\r\n250-Size 1000\r\n250-pipelining\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n",
        );
        assert_eq!(offered.size, Some(1000));
        assert!(offered.has(Extension::Pipelining) && offered.has(Extension::Chunking));
        let has_utf8 = |offer: &Offer| offer.has(Extension::SmtpUtf8);
        assert!(has_utf8(&offered) && !has_utf8(&offer("250-x\r\n250 SMTPUTF8\r\n")));
        assert_eq!(offer("250-PIPELINING\r\n250 SIZE many\r\n").size, None);
        assert!(!offer("250 PIPELINING\r\n").has(Extension::Pipelining), "that is a server's name");
    }

    #[test]
    fn the_strongest_way_to_log_in_is_used() {
        let chosen = |offered: &str| offer(&format!("250-x\r\n250 AUTH {offered}\r\n")).choose(&Mechanism::ALL);
        assert_eq!(chosen("LOGIN PLAIN SCRAM-SHA-256 XOAUTH2"), Ok(Mechanism::ScramSha256));
        assert_eq!(chosen("LOGIN PLAIN SCRAM-SHA-1"), Ok(Mechanism::Plain));
        assert_eq!(chosen("XOAUTH2 OAUTHBEARER"), Ok(Mechanism::OAuthBearer));
        assert_eq!(chosen("XOAUTH2 PLAIN"), Ok(Mechanism::Plain));
    }
}
