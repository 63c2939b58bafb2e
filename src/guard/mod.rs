//! Looks for what is somebody else's in a finished message.
//!
//! It knows the message only as a mail program does: by parsing the final bytes with another library than the
//! one that built them. It looks at the structure (one recipient, no Cc, no Bcc) and at every header, every text, HTML
//! both as it is shown and as it is written, and into every attachment, for any address of the list and any value of its
//! identifying columns that is not the recipient's own.
//!
//! The way through: `search` (the parts of a message) → `html`, `contents` and `files` (the texts in them) → `known`
//! (whose what is in a text) → `address` and `identifying` (how it may be written).

mod address;
mod coded;
mod contents;
mod files;
mod finding;
mod html;
mod identifying;
mod known;
mod search;
mod structure;

use std::sync::Arc;

use mail_parser::MessageParser;

use self::{files::Files, identifying::Identifying, known::Known, search::Search};
pub use self::{
    finding::{Fault, Finding, Leak},
    structure::check_structure,
};
pub(crate) use self::{identifying::Own, known::untagged};
use crate::{
    address::Address,
    campaign::{GuardOptions, OpaqueAttachments},
    message::{Envelope, Message},
    recipients::RecipientList,
};

/// Everyone's addresses and what else tells who somebody is, for looking one up in a time that does not grow with the
/// list.
#[derive(Debug)]
pub struct Guard {
    known: Known,
    files: Files,
    parser: MessageParser,
    /// The names of the template's own headers
    headers: Option<Vec<String>>,
    refuses_opaque: bool,
}

impl Guard {
    /// Knows everyone on the list; `allow` may stand in anybody's message, such as the author's address.
    #[must_use]
    pub fn new(list: Arc<RecipientList>, allow: &[Address]) -> Self {
        Self {
            known: Known::new(list, allow),
            files: Files::default(),
            parser: search::parser(),
            headers: None,
            refuses_opaque: false,
        }
    }

    /// The same that knows the values of the list's identifying columns, too: names, telephone numbers, references. One
    /// that more than `common` people have tells nobody, and the `allowed` may stand in anybody's message.
    #[must_use]
    pub fn with_identifying(mut self, common: u16, allowed: &[String]) -> Self {
        let columns: Vec<usize> = self.known.list.columns().identifying().collect();
        self.known.identifying =
            (!columns.is_empty()).then(|| Identifying::new(&self.known.list, &columns, common, allowed));
        self
    }

    /// The same that expects the template's own headers.
    #[must_use]
    pub fn with_headers<'h>(self, names: impl Iterator<Item = &'h str>) -> Self {
        Self { headers: Some(names.map(str::to_ascii_lowercase).collect()), ..self }
    }

    /// The same that lets no attachment pass that it cannot look into.
    #[must_use]
    pub fn with_opaque(self, opaque: OpaqueAttachments) -> Self {
        Self { refuses_opaque: opaque == OpaqueAttachments::Refuse, ..self }
    }

    /// A value that more people have tells nobody.
    pub(crate) fn common(&self) -> usize {
        self.known.identifying.as_ref().map_or(usize::from(GuardOptions::default().common()), Identifying::common)
    }

    /// Whether an attachment that cannot be looked into is a fault.
    #[must_use]
    pub fn refuses_opaque(&self) -> bool {
        self.refuses_opaque
    }

    /// Everything in a message that must not be there, and every file in it that cannot be looked into.
    #[must_use]
    pub fn inspect(&self, message: &Message) -> Vec<Finding> {
        self.inspect_bytes(message.envelope(), message.bytes())
    }

    /// The same for bytes from elsewhere.
    #[must_use]
    pub fn inspect_bytes(&self, envelope: &Envelope, bytes: &[u8]) -> Vec<Finding> {
        let finding = |fault| Finding { to: envelope.to().clone(), fault };
        let Some(parsed) = self.parser.parse_headers(bytes) else { return vec![finding(Fault::Unreadable)] };
        let own = |name: &str| self.headers.as_ref().is_none_or(|headers| headers.iter().any(|header| header == name));
        let structure = structure::check(envelope, bytes, &parsed, own).err();
        let mut findings: Vec<Finding> = structure.map(|what| finding(Fault::Structure(what))).into_iter().collect();
        findings.extend(Search::new(self, envelope.to()).through(&parsed, bytes));
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ListOptions;

    fn found(headers: &str, body: &str) -> Vec<String> {
        let list = "email\nada@one.example\nBo.B@two.example\nann@bücher.example\n";
        let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
        let allow = ["help@police.example".parse().unwrap(), "updates@police.example".parse().unwrap()];
        let guard = Guard::new(list.into(), &allow);
        let envelope = Envelope::new("updates@police.example".parse().unwrap(), "ada@one.example".parse().unwrap());
        let message = format!("From: updates@police.example\r\nTo: Ada <ada@one.example>\r\n{headers}\r\n{body}\r\n");
        guard.inspect_bytes(&envelope, message.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn another_recipients_address_is_found_however_it_is_written() {
        let text = "Content-Type: text/plain; charset=utf-8\r\n";
        let html = "Content-Type: text/html; charset=utf-8\r\n";
        for (headers, body) in [
            (text, "see bo.b@two.example"),
            (text, "see <BO.B@TWO.EXAMPLE>, or"),
            (text, "'bo.b@two.example'"),
            (text, "to=bo.b@two.example."),
            (text, "ann@xn--bcher-kva.example"),
            (text, "Ann@Bücher.example"),
            (text, "ask bo.b@two.example.Thanks"),
            (text, "_bo.b@two.example_ or -bo.b@two.example-Ada"),
            (text, "邮箱bo.b@two.example です, é bo.b@two.exampleです"),
            (text, "https://x.example/?e=bo.b%40two.example&x"),
            (text, "bo.b@two\u{200b}.exam\u{ad}ple"),
            (text, "bo.b＠two．example"),
            (html, "<p>bo.b@two&shy;.exam&zwnj;ple</p>"),
            ("List-Unsubscribe: <https://x.example/u?e=bo.b%40two.example>\r\n", "x"),
            (html, "<p>bo.b&#64;two.example</p>"),
            (html, "<p>bo&#x2e;b&commat;two&period;example</p>"),
            (html, "<!-- bo.b@two.example -->"),
            (html, "<a href=\"mailto:bo.b%40two.example\">x</a>"),
            (html, "<p>bo.b<b>@</b>two.example</p>"),
            ("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n", "c2VlIGJvLmJAdHdvLmV4YW1wbGUK"),
            (
                "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n",
                "see bo.b=40two.exam=\r\nple",
            ),
            ("Subject: for bo.b@two.example\r\n", "x"),
            ("Subject: =?utf-8?q?bo.b=40two.example?=\r\n", "x"),
            ("Reply-To: Bo <bo.b@two.example>\r\n", "x"),
            ("X-For: bo.b@two.example\r\n", "x"),
            ("Sender: bo.b@two.example\r\n", "BO.B@TWO.EXAMPLE.Thanks"),
        ] {
            let found = found(headers, body);
            assert!(found.iter().any(|finding| finding.contains("the address of row")), "{headers}{body}: {found:?}");
        }
    }

    #[test]
    fn what_only_looks_like_it_passes() {
        for body in [
            "Dear ada@one.example, ADA@ONE.EXAMPLE",
            "write to updates@police.example or help@police.example",
            "mybo.b@two.example and bo.b@two.example.org and bo.b@sub.two.example",
            "bo.b at two.example @ bo.b@ @two.example",
            "o'bo.b@two.example, jo.bo.b@two.example, x+bo.b@two.example, bo.b@two.example-shop.example",
        ] {
            assert_eq!(found("", body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn an_address_that_ends_like_another_is_its_own() {
        let list = "email\njohn.smith@one.example\nsmith@one.example\no'ann@one.example\nann@one.example\n";
        let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
        let list = Arc::new(list);
        let guard = Guard::new(Arc::clone(&list), &[]);
        for recipient in list.iter() {
            let to = recipient.address();
            let envelope = Envelope::new("updates@police.example".parse().unwrap(), to.clone());
            let message = format!("From: updates@police.example\r\nTo: {to}\r\n\r\nTo '{to}' at <{to}>\r\n");
            assert_eq!(guard.inspect_bytes(&envelope, message.as_bytes()), [], "{to}");
        }
    }

    #[test]
    fn a_message_is_for_one() {
        assert!(found("Cc: help@police.example\r\n", "x")[0].contains("it has a Cc"));
        assert!(found("Bcc: help@police.example\r\n", "x")[0].contains("it has a Bcc"));
        assert!(found("Resent-To: help@police.example\r\n", "x")[0].contains("Resent"));
        assert!(found("To: help@police.example\r\n", "x")[0].contains("exactly one To"));
    }
}
