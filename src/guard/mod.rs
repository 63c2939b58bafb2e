//! Looks for other people's addresses in a finished message.
//!
//! It knows the message only as a mail program does: by parsing the final bytes with another library than the
//! one that built them. It looks at the structure (one recipient, no Cc, no Bcc) and at every header and every
//! text, HTML both as it stands and with its entities resolved, for any address of the list that is not the
//! recipient's own.

mod address;
mod contents;
mod finding;
mod identifying;
mod search;
mod structure;

use std::{
    collections::VecDeque,
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError},
};

use hashbrown::DefaultHashBuilder;
use mail_parser::MessageParser;

pub use self::{
    finding::{Finding, Leak},
    structure::check_structure,
};
use self::{identifying::Identifying, search::Search};
use crate::{
    address::Address,
    message::{Envelope, Message},
    recipients::RecipientList,
};

/// Everyone's addresses and what else tells who somebody is, for looking one up in a time that does not grow with the
/// list.
#[derive(Debug)]
pub struct Guard {
    list: Arc<RecipientList>,
    allowed: Vec<String>,
    identifying: Option<Identifying>,
    /// The names of the template's own headers
    headers: Option<Vec<String>>,
    /// The texts of the files that were looked into last, which most often go to everybody
    files: Mutex<VecDeque<(u64, Texts)>>,
    hasher: DefaultHashBuilder,
}

/// What is in a file, each text with its place.
type Texts = Arc<Vec<(String, String)>>;

/// The texts of so many files are kept, where those of one are not longer than this together.
const KEPT: (usize, usize) = (8, 4 << 20);

impl Guard {
    /// Knows everyone on the list; `allow` may stand in anybody's message, such as the author's address.
    #[must_use]
    pub fn new(list: Arc<RecipientList>, allow: &[Address]) -> Self {
        Self {
            list,
            allowed: allow.iter().map(Address::key).collect(),
            identifying: None,
            headers: None,
            files: Mutex::default(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The same that knows the values of the list's identifying columns, too: names, telephone numbers, references. One
    /// that more than `common` people have tells nobody, and the `allowed` may stand in anybody's message.
    #[must_use]
    pub fn with_identifying(self, common: u16, allowed: &[String]) -> Self {
        let columns: Vec<usize> = self.list.columns().identifying().collect();
        let identifying = (!columns.is_empty()).then(|| Identifying::new(&self.list, &columns, common, allowed));
        Self { identifying, ..self }
    }

    /// The same that expects the template's own headers.
    #[must_use]
    pub fn with_headers<'h>(self, names: impl Iterator<Item = &'h str>) -> Self {
        Self { headers: Some(names.map(str::to_ascii_lowercase).collect()), ..self }
    }

    /// The texts in a file, whatever kind of file it is.
    fn looked_into(&self, name: &str, bytes: &[u8]) -> Texts {
        let hash = self.hasher.hash_one((name, bytes));
        let files = || self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, texts)) = files().iter().find(|(known, _)| *known == hash) {
            return Arc::clone(texts);
        }
        let mut texts = Vec::new();
        // What cannot be looked into is searched as far as it can be.
        let _ = contents::texts(name, bytes, &mut |place, text| texts.push((place.to_owned(), text.to_owned())));
        let texts = Arc::new(texts);
        if texts.iter().map(|(_, text)| text.len()).sum::<usize>() <= KEPT.1 {
            let mut files = files();
            files.truncate(KEPT.0 - 1);
            files.push_front((hash, Arc::clone(&texts)));
        }
        texts
    }

    /// Everything in a message that must not be there.
    #[must_use]
    pub fn inspect(&self, message: &Message) -> Vec<Finding> {
        self.inspect_bytes(message.envelope(), message.bytes())
    }

    /// The same for bytes from elsewhere.
    #[must_use]
    pub fn inspect_bytes(&self, envelope: &Envelope, bytes: &[u8]) -> Vec<Finding> {
        let Some(parsed) = MessageParser::default().parse(bytes) else { return vec![Finding::Unreadable] };
        let own = |name: &str| self.headers.as_ref().is_none_or(|headers| headers.iter().any(|header| header == name));
        let structure = check_structure(envelope, bytes, own).err().map(Finding::Structure);
        let mut findings: Vec<Finding> = structure.into_iter().collect();
        Search::new(self, envelope.to(), &mut findings).message(&parsed, bytes);
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
