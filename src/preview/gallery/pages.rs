//! The pages as HTML, and what a browser may do with each answer.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use handlebars::Handlebars;
use hyper::{
    StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
        REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_DNS_PREFETCH_CONTROL, X_FRAME_OPTIONS,
    },
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Facts, door::Refusal, frame};
use crate::template::percent_encoded;

const STYLE: &str = include_str!("../../../templates/gallery/gallery.css");
const SCRIPT: &str = include_str!("../../../templates/gallery/gallery.js");

/// Each page by its name. What stands in a page is escaped, but for style and script, which are ours.
const TEMPLATES: [(&str, &str); 9] = [
    ("page", include_str!("../../../templates/gallery/page.html")),
    ("list", include_str!("../../../templates/gallery/list.html")),
    ("message", include_str!("../../../templates/gallery/message.html")),
    ("links", include_str!("../../../templates/gallery/links.html")),
    ("notes", include_str!("../../../templates/gallery/notes.html")),
    ("ways", include_str!("../../../templates/gallery/ways.html")),
    ("missing", include_str!("../../../templates/gallery/missing.html")),
    ("refused", include_str!("../../../templates/gallery/refused.html")),
    ("file", include_str!("../../../templates/gallery/file.html")),
];

/// What a browser is to do with every answer: keep nothing, tell nobody, guess nothing, show it to no other page.
const ALWAYS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_DNS_PREFETCH_CONTROL, "off"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Of a file: if a browser should show it all the same, nothing in it does anything.
const POLICY_OF_FILES: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// What is sent back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn new(status: StatusCode, kind: &str, policy: &str, body: Vec<u8>) -> Self {
        let mut headers: Vec<_> = ALWAYS.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        headers.push((CONTENT_TYPE, kind.to_owned()));
        headers.push((CONTENT_SECURITY_POLICY, policy.to_owned()));
        Self { status, headers, body }
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A message's HTML.
    pub(super) fn frame(html: String) -> Self {
        Self::new(StatusCode::OK, "text/html; charset=utf-8", frame::POLICY, html.into_bytes())
            .with(X_FRAME_OPTIONS, "SAMEORIGIN")
    }

    /// Something to be kept as a file, and not shown.
    pub(super) fn download(name: &str, bytes: Vec<u8>) -> Self {
        let how = format!("attachment; filename*=UTF-8''{}", percent_encoded(name));
        Self::new(StatusCode::OK, "application/octet-stream", POLICY_OF_FILES, bytes)
            .with(CONTENT_DISPOSITION, how)
            .with(X_FRAME_OPTIONS, "DENY")
    }

    /// On to another page, with the key.
    pub(super) fn welcome(place: String, cookie: String) -> Self {
        Self::new(StatusCode::SEE_OTHER, "text/plain", POLICY_OF_FILES, Vec::new())
            .with(LOCATION, place)
            .with(SET_COOKIE, cookie)
    }
}

/// Makes pages.
pub(super) struct Pages {
    templates: Handlebars<'static>,
    policy: String,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}

impl Pages {
    pub(super) fn new() -> Self {
        let mut templates = Handlebars::new();
        templates.set_strict_mode(true);
        for (name, text) in TEMPLATES {
            // They are ours; what could be wrong with one is seen by the tests.
            let _ = templates.register_template_string(name, text);
        }
        // Our own style and script and no other, told by what they are.
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; frame-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        Self { templates, policy }
    }

    /// A page for somebody who may come in.
    pub(super) fn show(&self, page: &str, facts: &Facts, title: &str, place: &str, body: &Value) -> Answer {
        self.page(StatusCode::OK, page, title, Some((facts, place)), body)
    }

    /// For a path that leads nowhere.
    pub(super) fn missing(&self, facts: &Facts, place: &str) -> Answer {
        let body = json!({ "all": place });
        self.page(StatusCode::NOT_FOUND, "missing", "Not here", Some((facts, place)), &body)
    }

    /// For somebody who may not come in. It says nothing about the campaign.
    pub(super) fn refused(&self, why: Refusal) -> Answer {
        let status = match why {
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Foreign | Refusal::Used | Refusal::Closed => StatusCode::FORBIDDEN,
        };
        let body = json!({ "is_used": why == Refusal::Used });
        self.page(status, "refused", "Not open", None, &body)
    }

    fn page(&self, status: StatusCode, page: &str, title: &str, facts: Option<(&Facts, &str)>, body: &Value) -> Answer {
        let context = json!({
            "title": title,
            "facts": facts.map(|(facts, _)| facts),
            "home": facts.map(|(_, place)| place),
            "style": STYLE,
            "script": SCRIPT,
            "body": body,
        });
        match self.templates.render(page, &context) {
            Ok(html) => Answer::new(status, "text/html; charset=utf-8", &self.policy, html.into_bytes()),
            Err(_) => Answer::fault(),
        }
        .with(X_FRAME_OPTIONS, "DENY")
    }

    /// A file of some messages, which needs nothing else.
    pub(super) fn file(&self, body: &Value) -> Option<String> {
        self.templates.render("file", &json!({ "style": STYLE, "body": body })).ok()
    }
}

impl Answer {
    /// Something is wrong with the program.
    pub(super) fn fault() -> Self {
        let body = b"This page could not be made: a fault in apiece.\n".to_vec();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", POLICY_OF_FILES, body)
    }
}

/// As a policy names a style or a script (CSP 3 §2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}
