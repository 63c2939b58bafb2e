//! What a request asks for, read from its path and its query.

use std::borrow::Cow;

use form_urlencoded::Serializer;

/// A search of more characters is cut.
const MOST_SEARCHED: usize = 200;

/// What can be asked for. People are named by their rows, as the spreadsheet numbers them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The messages, page by page.
    List,
    /// One message of each combination of branches.
    Ways,
    /// A message.
    Message(u64),
    /// Its HTML alone, for the frame in which it is shown.
    Frame(u64),
    /// One of its files, from 0.
    File(u64, usize),
    /// All of it, as a file for a mail program.
    Eml(u64),
}

impl Route {
    /// The path behind the one that all pages have.
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        Some(match parts.as_slice() {
            [""] => Self::List,
            ["ways"] => Self::Ways,
            ["message", row] => Self::Message(number(row)?),
            ["message", row, "frame"] => Self::Frame(number(row)?),
            ["message", row, "file", nth] => Self::File(number(row)?, number(nth)?.try_into().ok()?),
            ["message", row, "message.eml"] => Self::Eml(number(row)?),
            _ => return None,
        })
    }
}

/// A number as a link writes it.
fn number(digits: &str) -> Option<u64> {
    let is_plain = (1..=10).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

/// What of a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Html,
    Text,
    Headers,
    Source,
    Files,
}

impl View {
    pub(super) const ALL: [Self; 5] = [Self::Html, Self::Text, Self::Headers, Self::Source, Self::Files];

    /// As a query names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Text => "text",
            Self::Headers => "headers",
            Self::Source => "source",
            Self::Files => "attachments",
        }
    }

    /// As people read it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Html => "HTML",
            Self::Text => "Text",
            Self::Headers => "Headers",
            Self::Source => "Source",
            Self::Files => "Attachments",
        }
    }
}

/// What is kept from page to page: which messages are gone through, and how they are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// What is searched for.
    pub(super) search: String,
    /// Only messages of this combination of branches, from 0.
    pub(super) way: Option<usize>,
    /// The page of the list, from 1.
    pub(super) page: Option<usize>,
    /// What of a message is shown; the HTML, if there is one, unless said.
    pub(super) view: Option<View>,
    /// As wide as a phone.
    pub(super) is_phone: bool,
    /// As somebody sees it who likes dark pages.
    pub(super) is_dark: bool,
}

impl Trail {
    /// Reads a query; what it cannot mean is left out.
    pub(super) fn of(query: &str) -> Self {
        let mut trail = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value: Cow<'_, str> = value;
            match name.as_ref() {
                "q" => trail.search = value.trim().chars().take(MOST_SEARCHED).collect(),
                "way" => trail.way = number(&value).and_then(|way| usize::try_from(way).ok()),
                "page" => trail.page = number(&value).and_then(|page| usize::try_from(page).ok()),
                "view" => trail.view = View::ALL.into_iter().find(|view| view.name() == value),
                "width" => trail.is_phone = value == "phone",
                "scheme" => trail.is_dark = value == "dark",
                _ => {}
            }
        }
        trail
    }

    /// A link with it, as it stands in a page.
    pub(super) fn link(&self, path: &str) -> String {
        let mut query = Serializer::new(String::new());
        let mut pair = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        };
        pair("q", (!self.search.is_empty()).then(|| self.search.clone()));
        pair("way", self.way.map(|way| way.to_string()));
        pair("page", self.page.filter(|page| *page > 1).map(|page| page.to_string()));
        pair("view", self.view.map(|view| view.name().to_owned()));
        pair("width", self.is_phone.then(|| "phone".to_owned()));
        pair("scheme", self.is_dark.then(|| "dark".to_owned()));
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_what_is_there_and_nowhere_else() {
        assert_eq!(Route::of(""), Some(Route::List));
        assert_eq!(Route::of("message/12"), Some(Route::Message(12)));
        assert_eq!(Route::of("message/12/file/0"), Some(Route::File(12, 0)));
        for path in [
            "/",
            "message",
            "message/",
            "message/12/",
            "message/+1",
            "message/-1",
            "message/1e3",
            "message/..",
            "..",
            "../",
            "message/../../etc/passwd",
            "message/%2e%2e",
            "message/12/file/../0",
            "message/12/file/0x1",
            "message/99999999999999999999",
            "message/12/file/message.eml",
            "Ways",
            "ways/",
            "message\\12",
            "message/١",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_kept_comes_back_from_a_link() {
        let trail = Trail {
            search: "Zoë & \"<b>".into(),
            way: Some(3),
            page: Some(7),
            view: Some(View::Headers),
            is_phone: true,
            is_dark: true,
        };
        let link = trail.link("message/2");
        assert_eq!(Trail::of(link.strip_prefix("message/2?").unwrap()), trail);
        assert_eq!(Trail::default().link("x"), "x");
        assert_eq!(
            Trail::of("q=%ff&page=-1&view=x&width=1&scheme&way=1e9&&="),
            Trail { search: "\u{fffd}".into(), ..Trail::default() }
        );
        assert_eq!(Trail::of(&format!("q={}", "ä".repeat(9000))).search.chars().count(), MOST_SEARCHED);
    }
}
