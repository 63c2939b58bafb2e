//! A way round: `socks5://127.0.0.1:1080`.

use std::{fmt, str::FromStr};

/// A proxy between this machine and the server. It sees TLS, and nothing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub scheme: Scheme,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 1928
    Socks5,
    /// CONNECT (RFC 9110 §9.3.6)
    Http,
}

impl FromStr for Proxy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "this is written like \"socks5://127.0.0.1:1080\" or \"http://proxy.example:3128\"; without a password";
        let (scheme, place) = text.split_once("://").ok_or(wrong)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" => Scheme::Socks5,
            "http" => Scheme::Http,
            _ => return Err(wrong),
        };
        let (host, port) = place.trim_end_matches('/').rsplit_once(':').ok_or(wrong)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(wrong)?;
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '/' || c == '@';
        let is_bare = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || host.chars().any(is_odd) || is_bare {
            return Err(wrong);
        }
        Ok(Self { scheme, host: host.to_owned(), port })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.scheme == Scheme::Socks5 { "socks5" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_written_alike() {
        for text in ["socks5://127.0.0.1:1080", "http://proxy.example:3128", "socks5://[::1]:1080"] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "127.0.0.1:1080",
            "ftp://x:1",
            "socks5://x",
            "socks5://x:0",
            "http://u:p@x:1",
            "http://::1:3",
            "http://:3",
        ] {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }
}
