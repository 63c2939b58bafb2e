//! Who may come in: only the browser that opened the link which the program printed.
//!
//! The link holds a token that works once; it is exchanged for a cookie that works as long as the program runs. Cookies of
//! one address are sent to all its ports, so this one belongs to a path that nobody else's server has.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::{
    HeaderMap, Method,
    header::{COOKIE, HOST, HeaderName, ORIGIN},
    http::request::Parts,
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Octets of randomness in a token and in a cookie.
const OCTETS: usize = 32;

/// Octets of randomness in the path of all pages, which is no secret.
const PLACE_OCTETS: usize = 12;

/// The name of the cookie.
const NAME: &str = "apiece";

/// Says which site a request comes from (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request asks of the door.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It comes from the browser that opened the link; and the path behind the one that all pages have.
    Inside(String),
    /// It is the first one with the token.
    New,
    /// Not let in.
    Refused(Refusal),
}

/// Why a request is not let in. None says anything about the campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Neither GET nor HEAD.
    Method,
    /// For another host, or from a page of somebody else.
    Foreign,
    /// With the token, which was used before.
    Used,
    /// Without anything that opens the door.
    Closed,
}

/// The door of one run.
#[derive(Debug)]
pub(super) struct Door {
    host: String,
    place: String,
    token: SecretString,
    cookie: SecretString,
    used: AtomicBool,
}

impl Door {
    /// A new one for a port, with new secrets.
    pub(super) fn new(port: u16) -> Result<Self, getrandom::Error> {
        Ok(Self {
            host: format!("127.0.0.1:{port}"),
            place: random::<PLACE_OCTETS>()?,
            token: random::<OCTETS>()?.into(),
            cookie: random::<OCTETS>()?.into(),
            used: AtomicBool::new(false),
        })
    }

    /// The link that opens it, once.
    pub(super) fn link(&self) -> String {
        format!("http://{}/open/{}", self.host, self.token.expose_secret())
    }

    /// The path below which all pages are, with `/` at both ends.
    pub(super) fn place(&self) -> String {
        format!("/{}/", self.place)
    }

    /// The header that gives a browser its key: it is sent to these pages only, never because of somebody else's page, and no
    /// script can read it.
    pub(super) fn set_cookie(&self) -> String {
        let (cookie, place) = (self.cookie.expose_secret(), self.place());
        format!("{NAME}={cookie}; Path={place}; HttpOnly; SameSite=Strict")
    }

    /// Looks at a request.
    pub(super) fn ask(&self, request: &Parts) -> Entry {
        if ![Method::GET, Method::HEAD].contains(&request.method) {
            return Entry::Refused(Refusal::Method);
        }
        if !self.is_ours(request) {
            return Entry::Refused(Refusal::Foreign);
        }
        let path = request.uri.path();
        if let Some(token) = path.strip_prefix("/open/") {
            let is_right = same(token, &self.token);
            return if !is_right || request.method != Method::GET {
                Entry::Refused(Refusal::Closed)
            } else if self.used.swap(true, Ordering::SeqCst) {
                Entry::Refused(Refusal::Used)
            } else {
                Entry::New
            };
        }
        match path.strip_prefix(self.place().as_str()) {
            Some(path) if self.has_key(&request.headers) => Entry::Inside(path.to_owned()),
            _ => Entry::Refused(Refusal::Closed),
        }
    }

    /// Whether it is for this host by its only name (a foreign name that leads here is somebody's trick: DNS rebinding), and
    /// whether no page of another origin has a hand in it.
    fn is_ours(&self, request: &Parts) -> bool {
        let only = |name: HeaderName| {
            let mut values = request.headers.get_all(name).iter();
            (values.next(), values.next().is_some())
        };
        let (host, more) = only(HOST);
        let is_here = request.uri.authority().is_none() && !more && host.is_some_and(|host| *host == *self.host);
        let site = match only(FETCH_SITE) {
            (None, _) => true,
            (Some(site), more) => !more && (site == "same-origin" || site == "none"),
        };
        let origin = match only(ORIGIN) {
            (None, _) => true,
            (Some(origin), more) => !more && *origin == *format!("http://{}", self.host),
        };
        is_here && site && origin
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == NAME && same(value, &self.cookie))
    }
}

/// Compares in a time that tells nothing.
fn same(given: &str, secret: &SecretString) -> bool {
    given.as_bytes().ct_eq(secret.expose_secret().as_bytes()).into()
}

fn random<const N: usize>() -> Result<String, getrandom::Error> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets)?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const HOST_OK: (&str, &str) = ("host", "127.0.0.1:4711");

    fn cookie(door: &Door) -> String {
        door.set_cookie().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn the_token_opens_once_and_the_cookie_as_long_as_the_door_is_there() {
        let door = Door::new(4711).unwrap();
        let path = door.link().strip_prefix("http://127.0.0.1:4711").unwrap().to_owned();
        let closed = Entry::Refused(Refusal::Closed);
        for (method, path) in [("GET", "/open/"), ("GET", "/open/AAAA"), ("HEAD", &path), ("GET", &path[..30])] {
            assert_eq!(door.ask(&request(method, path, &[HOST_OK])), closed, "{method} {path}");
        }
        assert_eq!(door.ask(&request("GET", &path, &[HOST_OK])), Entry::New);
        assert_eq!(door.ask(&request("GET", &path, &[HOST_OK])), Entry::Refused(Refusal::Used));
        let list = door.place();
        for _ in 0..3 {
            let cookies = format!("a=b; {}; c", cookie(&door));
            let entry =
                door.ask(&request("GET", &format!("{list}message/2?view=text"), &[HOST_OK, ("cookie", &cookies)]));
            assert_eq!(entry, Entry::Inside("message/2".into()));
        }
    }

    #[test]
    fn nothing_is_there_for_who_has_no_cookie() {
        let (door, other) = (Door::new(4711).unwrap(), Door::new(4711).unwrap());
        let token = door.link().rsplit('/').next().unwrap().to_owned();
        let cookies =
            ["", "apiece=", &cookie(&other), "apiece", &format!("apiece={token}"), &format!("x{}", cookie(&door))];
        for cookie in cookies {
            let entry = door.ask(&request("GET", &door.place(), &[HOST_OK, ("cookie", cookie)]));
            assert_eq!(entry, Entry::Refused(Refusal::Closed), "{cookie}");
        }
        for path in ["/", "/favicon.ico", "/../", "/open", &other.place(), door.place().trim_end_matches('/')] {
            let entry = door.ask(&request("GET", path, &[HOST_OK, ("cookie", &cookie(&door))]));
            assert_eq!(entry, Entry::Refused(Refusal::Closed), "{path}");
        }
    }

    #[test]
    fn only_its_own_pages_may_ask_under_its_own_name() {
        let door = Door::new(4711).unwrap();
        let key = cookie(&door);
        let ask = |method, headers: &[(&str, &str)]| {
            door.ask(&request(method, &door.place(), &[headers, &[("cookie", &key)]].concat()))
        };
        let inside = || Entry::Inside(String::new());
        let foreign = || Entry::Refused(Refusal::Foreign);
        assert_eq!(ask("GET", &[HOST_OK]), inside());
        assert_eq!(ask("HEAD", &[HOST_OK]), inside());
        for method in ["POST", "PUT", "OPTIONS", "CONNECT", "TRACE", "DELETE"] {
            assert_eq!(ask(method, &[HOST_OK]), Entry::Refused(Refusal::Method));
        }
        for host in ["localhost:4711", "127.0.0.1", "127.0.0.1:4712", "rebound.example:4711", "127.0.0.1:4711.", ""] {
            assert_eq!(ask("GET", &[("host", host)]), foreign(), "{host}");
        }
        assert_eq!(ask("GET", &[]), foreign());
        assert_eq!(ask("GET", &[HOST_OK, HOST_OK]), foreign());
        let whole = request("GET", &format!("http://127.0.0.1:4711{}", door.place()), &[HOST_OK, ("cookie", &key)]);
        assert_eq!(door.ask(&whole), foreign());
        for site in ["cross-site", "same-site", "", "None"] {
            assert_eq!(ask("GET", &[HOST_OK, ("sec-fetch-site", site)]), foreign(), "{site}");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(ask("GET", &[HOST_OK, ("sec-fetch-site", site)]), inside(), "{site}");
        }
        for origin in ["null", "http://127.0.0.1:80", "https://127.0.0.1:4711", "http://evil.example"] {
            assert_eq!(ask("GET", &[HOST_OK, ("origin", origin)]), foreign(), "{origin}");
        }
        assert_eq!(ask("GET", &[HOST_OK, ("origin", "http://127.0.0.1:4711")]), inside());
    }

    #[test]
    fn a_door_shows_no_secret() {
        let door = Door::new(4711).unwrap();
        let shown = format!("{door:?}");
        for secret in [&door.token, &door.cookie] {
            assert!(secret.expose_secret().len() >= 43 && !shown.contains(secret.expose_secret()));
        }
    }
}
