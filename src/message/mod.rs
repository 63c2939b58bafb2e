//! Template + recipient become one [`Message`] in one [`Envelope`].
//!
//! The bytes are the same each time: Message-ID and MIME boundaries come from the campaign and the recipient.
//! Only `Date` is not among them, nor a signature: these are added when the message is sent ([`Message::dated`],
//! [`Message::signed`]).

mod attachments;
mod bytes;
mod digest;
mod dkim;
mod encoded;
mod headers;

use std::{fmt, hash::BuildHasher, path::Path, sync::Arc};

use hashbrown::DefaultHashBuilder;
use jiff::ZonedDateTime;
use lettre::message::{
    MultiPart, MultiPartKind, SinglePart,
    header::{self, Headers},
};
use sha2::{Digest as _, Sha256};

pub(crate) use self::digest::DigestBuilder;
pub use self::{
    digest::Digest,
    dkim::{DkimError, PublicKey, Signer},
};
use crate::{
    address::Address,
    campaign::Size,
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics},
    message::{attachments::Files, bytes::Header},
    recipients::{Recipient, RecipientList},
    template::{AttachedFile, FileProblem, Mailbox, Occurrence, Rendered, Template},
};

/// Who a message is from and whom it goes to: one sender and one recipient, never a list (RFC 5321 §2.3.1).
///
/// ```
/// use apiece::message::Envelope;
/// let from = "updates@police.example".parse()?;
/// let to = "ada@one.example".parse()?;
/// let envelope = Envelope::new(from, to);
/// assert_eq!(envelope.to().as_str(), "ada@one.example");
/// # Ok::<(), apiece::address::AddressError>(())
/// ```
///
/// An envelope for two people cannot be built:
///
/// ```compile_fail
/// use apiece::{address::Address, message::Envelope};
/// let from: Address = "updates@police.example".parse().unwrap();
/// let both: Vec<Address> = vec!["ada@one.example".parse().unwrap(), "bo@two.example".parse().unwrap()];
/// Envelope::new(from, both);
/// ```
///
/// nor can one be made into one:
///
/// ```compile_fail
/// use apiece::{address::Address, message::Envelope};
/// let mut envelope = Envelope::new("updates@police.example".parse().unwrap(), "ada@one.example".parse().unwrap());
/// envelope.to = "bo@two.example".parse().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    from: Address,
    to: Address,
}

impl Envelope {
    /// From one, to one.
    #[must_use]
    pub fn new(from: Address, to: Address) -> Self {
        Self { from, to }
    }

    /// The reverse-path: who is told if it cannot be delivered.
    #[must_use]
    pub fn from(&self) -> &Address {
        &self.from
    }

    /// The one forward-path.
    #[must_use]
    pub fn to(&self) -> &Address {
        &self.to
    }

    /// Whether one of the two can go only through a server with SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        self.from.needs_smtputf8() || self.to.needs_smtputf8()
    }
}

/// The finished message to one recipient. Made by a [`Composer`], and by nothing else.
#[derive(Debug, Clone)]
pub struct Message {
    row: u64,
    envelope: Envelope,
    message_id: String,
    subject: String,
    bytes: Vec<u8>,
    personal: Vec<PersonalFile>,
    content: u64,
    unsubscribe: Option<u64>,
}

/// A file that goes to one person and must not go to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalFile {
    /// From the template's directory on.
    pub path: String,
    /// SHA-256 of its content.
    pub digest: [u8; 32],
    /// Of a picture that is shown in the HTML
    pub content_id: Option<String>,
}

impl Message {
    /// The row of the list that it is for.
    #[must_use]
    pub fn row(&self) -> u64 {
        self.row
    }

    /// Its one sender and one recipient.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// With its angle brackets; the same each time the message is made.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// As text.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Header section and body, without `Date`: CRLF line ends, lines of at most 998 octets, 7-bit. Only addresses
    /// that need SMTPUTF8 stand in the header section in UTF-8 (RFC 6532).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The files in it that nobody else must get.
    #[must_use]
    pub fn personal_files(&self) -> &[PersonalFile] {
        &self.personal
    }

    /// A hash of what it says, whomever it is for; the same for two messages only if they say the same.
    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// A hash of what it says and to whom, whoever else is on the list; always the same, unlike the digest, which is another
    /// one for another list.
    pub(crate) fn says(&self) -> u64 {
        let mut hash = Digest::builder();
        hash.add(&self.content.to_be_bytes());
        hash.add(self.envelope.to.key().as_bytes());
        hash.finish().first_octets()
    }

    /// A hash of where its recipient can unsubscribe with one click (RFC 8058).
    pub(crate) fn unsubscribe(&self) -> Option<u64> {
        self.unsubscribe
    }

    /// The first half of what stands in front of the @ in its Message-ID.
    pub(crate) fn id(&self) -> u64 {
        let digits = self.message_id.get(1..17).unwrap_or_default();
        u64::from_str_radix(digits, 16).unwrap_or_default()
    }

    /// The whole message with its `Date` (RFC 5322 §3.6.1).
    #[must_use]
    pub fn dated(&self, now: &ZonedDateTime) -> Vec<u8> {
        // Fails for years beyond 9999 only.
        let date = jiff::fmt::rfc2822::to_string(now).unwrap_or_default();
        let mut bytes = Vec::with_capacity(self.bytes.len() + 48);
        bytes.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    /// The same with a signature over all of it in front (RFC 6376).
    pub fn signed(&self, now: &ZonedDateTime, signer: &Signer) -> Result<Vec<u8>, DkimError> {
        signer.check_sender(self.envelope.from())?;
        let dated = self.dated(now);
        let mut bytes = signer.sign(&dated, now.timestamp())?.into_bytes();
        bytes.extend(dated);
        Ok(bytes)
    }

    /// Over [`Message::bytes`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        <[u8; 32]>::from(Sha256::digest(&self.bytes)).into()
    }
}

/// A message may have so many octets if nobody says otherwise; several large providers take no more.
pub const MOST_MESSAGE_BYTES: u64 = 20_000_000;

/// Makes the messages of a campaign, each for one recipient.
#[derive(Debug, Clone)]
pub struct Composer {
    template: Arc<Template>,
    list: Arc<RecipientList>,
    /// Of template and list
    source: [u8; 32],
    /// The same for the first edition, and another one for each further
    seed: [u8; 32],
    files: Arc<Files>,
    most_bytes: u64,
    hasher: DefaultHashBuilder,
    /// Who gets everything in place of the recipients
    tester: Option<Address>,
    /// What each message is of, where the campaign recurs
    occurrence: Option<Arc<Occurrence>>,
}

impl Composer {
    /// For a template and the list against which it was compiled.
    #[must_use]
    pub fn new(template: Arc<Template>, list: Arc<RecipientList>) -> Self {
        let mut hash = Digest::builder();
        let mut part = |part: &str| hash.add_part(part.as_bytes());
        part("apiece campaign 1");
        template.sources().for_each(|(_, text)| part(text));
        list.columns().names().for_each(&mut part);
        (0..list.columns().len()).for_each(|column| part(&list.columns().kind(column).to_string()));
        for row in list.iter().flat_map(Recipient::rows) {
            row.fields().for_each(&mut part);
        }
        let seed = hash.finish().octets();
        Self {
            template,
            list,
            source: seed,
            seed,
            files: Arc::default(),
            most_bytes: MOST_MESSAGE_BYTES,
            hasher: DefaultHashBuilder::default(),
            tester: None,
            occurrence: None,
        }
    }

    /// The same for a campaign that recurs: each message is of an occurrence, and another one each time, by its Message-ID.
    #[must_use]
    pub fn with_occurrence(self, occurrence: Option<Occurrence>) -> Self {
        Self { occurrence: occurrence.map(Arc::new), ..self }
    }

    /// What the message to the person at `index` is of, where the campaign recurs.
    pub(crate) fn occurrence(&self, index: usize) -> Option<String> {
        self.occurrence.as_ref()?.of(self.list.get(index)?).ok()
    }

    /// Whether the campaign recurs.
    #[must_use]
    pub fn recurs(&self) -> bool {
        self.occurrence.is_some()
    }

    /// SHA-256 over the headings and rows of the list.
    pub(crate) fn people(&self) -> Digest {
        let mut hash = Digest::builder();
        hash.add(&(self.list.columns().len() as u64).to_be_bytes());
        self.list.columns().names().for_each(|name| hash.add_part(name.as_bytes()));
        for row in self.list.iter().flat_map(Recipient::rows) {
            row.fields().for_each(|field| hash.add_part(field.as_bytes()));
        }
        hash.finish()
    }

    /// SHA-256 over template and list, from which the messages are made.
    #[must_use]
    pub fn source(&self) -> [u8; 32] {
        self.source
    }

    /// The content of a file that goes with messages.
    pub(crate) fn file(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        let wrong = |why: Diagnostics| FileProblem::unreadable(path, &why);
        self.template.find_file(path)?.read(self.most_bytes).map_err(wrong)
    }

    /// The paths of the files that go to the person at `index` and to nobody else.
    pub(crate) fn personal_paths(&self, index: usize) -> impl Iterator<Item = String> {
        self.personal(index).map(|file| file.path)
    }

    fn personal(&self, index: usize) -> impl Iterator<Item = AttachedFile> + use<> {
        let files = self.list.get(index).and_then(|recipient| self.template.files_of(recipient).ok());
        files.into_iter().flatten().filter(|file| file.personal)
    }

    /// The same for content that is sent once more: each message is another one, by its Message-ID.
    #[must_use]
    pub fn with_edition(self, edition: u32) -> Self {
        let seed = match edition {
            1 => self.source,
            _ => Sha256::new().chain_update(self.source).chain_update(edition.to_be_bytes()).finalize().into(),
        };
        Self { seed, ..self }
    }

    /// The same for somebody who wants to see what a recipient will get: each message goes to `tester` and to nobody else, says so
    /// in its subject, and has a Message-ID of its own, so that no program takes it for one that was there before.
    #[must_use]
    pub fn for_test(self, tester: Address) -> Self {
        let now = jiff::Timestamp::now().as_nanosecond();
        let seed = Sha256::new().chain_update(self.seed).chain_update("test").chain_update(now.to_be_bytes());
        Self { seed: seed.finalize().into(), tester: Some(tester), ..self }
    }

    /// The same with a limit for the size of a message, or the usual one.
    #[must_use]
    pub fn with_limit(self, most: Option<Size>) -> Self {
        Self { most_bytes: most.map_or(MOST_MESSAGE_BYTES, Size::bytes), ..self }
    }

    /// The same that never sends some files: the list, the template, the settings.
    #[must_use]
    pub fn without_files(self, paths: &[&Path]) -> Self {
        Self { files: Arc::new(Files::without(paths)), ..self }
    }

    /// The files that went into messages without being somebody's own, with the SHA-256 of each.
    pub(crate) fn shared_files(&self) -> Vec<(String, [u8; 32])> {
        self.files.shared()
    }

    /// The personal files of the person at `index`, as far as they can be read.
    pub(crate) fn personal_files(&self, index: usize) -> Vec<PersonalFile> {
        let read = |file: AttachedFile| {
            let packed = self.files.get(&self.template, &file, self.most_bytes).ok()?;
            Some(PersonalFile { path: file.path, digest: packed.digest, content_id: file.content_id })
        };
        self.personal(index).filter_map(read).collect()
    }

    /// The template that they are made from.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The list that the messages are for.
    #[must_use]
    pub fn list(&self) -> &Arc<RecipientList> {
        &self.list
    }

    /// The message to the person at `index` of the list; the list must have that many.
    pub fn compose(&self, index: usize) -> Result<Message, Diagnostics> {
        let Some(recipient) = self.list.get(index) else { return Err(Diagnostics::default()) };
        let mut rendered = self.template.render(recipient)?;
        if self.tester.is_some() {
            rendered.to_name = None;
            rendered.subject.insert_str(0, &format!("[test, row {}] ", recipient.row()));
        }
        let packed = self.pack(&rendered.files);
        let packed = packed.map_err(|problem| Diagnostic::error(recipient.place(), &problem))?;
        let occurrence = self.occurrence.as_ref().map(|occurrence| occurrence.of(recipient)).transpose()?;
        let token = |of: &str, to: &Address| self.token((of, occurrence.as_deref()), to);
        self.build(recipient, rendered, packed, &token)
            .map_err(|problem| Diagnostic::error(recipient.place(), &problem).into())
    }

    /// The files of one message as parts of it.
    fn pack(&self, files: &[AttachedFile]) -> Result<Parts, FileProblem> {
        let mut parts = Parts::default();
        let mut names = Vec::new();
        for file in files {
            let packed = self.files.get(&self.template, file, self.most_bytes)?;
            let shown = if file.content_id.is_some() { &mut parts.pictures } else { &mut parts.attachments };
            let name = attachments::shown_name(file)?;
            if file.content_id.is_none() && names.contains(&name) {
                return Err(FileProblem::Same(name));
            }
            shown.push(packed.part(file, &name));
            parts.digests.push(packed.digest);
            names.push(name);
            if file.personal {
                parts.personal.push(PersonalFile {
                    path: file.path.clone(),
                    digest: packed.digest,
                    content_id: file.content_id.clone(),
                });
            }
        }
        Ok(parts)
    }

    fn build(
        &self,
        recipient: Recipient<'_>,
        rendered: Rendered,
        mut parts: Parts,
        token: &dyn Fn(&str, &Address) -> String,
    ) -> Result<Message, MessageProblem> {
        let to = self.tester.clone().unwrap_or_else(|| recipient.address());
        let content = content(&rendered, &parts);
        let header = |name: &str| rendered.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        let by_click = header("List-Unsubscribe-Post").and(header("List-Unsubscribe"));
        let unsubscribe = by_click.map(|(_, address)| self.hasher.hash_one(address));
        let message_id = format!("<{}@{}>", token("message-id", &to), rendered.from.address.domain());
        let to_mailbox = Mailbox { name: rendered.to_name, address: to.clone() };

        let mut headers = Headers::new();
        headers.insert_raw(headers::mailbox("From", &rendered.from)?);
        if let Some(reply_to) = &rendered.reply_to {
            headers.insert_raw(headers::mailbox("Reply-To", reply_to)?);
        }
        headers.insert_raw(headers::mailbox("To", &to_mailbox)?);
        headers.insert_raw(headers::text("Subject", &rendered.subject)?);
        headers.set(header::MessageId::from(message_id.clone()));
        for (name, value) in &rendered.headers {
            headers.insert_raw(headers::text(name, value)?);
        }
        headers.set(header::MIME_VERSION_1_0);

        let mut bytes = headers.to_string().into_bytes();
        let text = SinglePart::plain(encoded::body(&rendered.text));
        let html = rendered.html.map(|html| SinglePart::html(encoded::body(&html)));
        let boundary = |of: &str| format!("=_{}", token(of, &to));
        let personal = std::mem::take(&mut parts.personal);
        bytes.extend(parts.around(text, html, boundary));
        if !bytes.ends_with(b"\r\n") {
            bytes.extend_from_slice(b"\r\n");
        }
        let reply_to = rendered.reply_to.as_ref();
        let utf8 = to.needs_smtputf8()
            || rendered.from.address.needs_smtputf8()
            || reply_to.is_some_and(|reply_to| reply_to.address.needs_smtputf8());
        bytes::check(&bytes, if utf8 { Header::Utf8 } else { Header::Ascii })?;
        if bytes.len() as u64 > self.most_bytes {
            return Err(MessageProblem::TooLarge { size: bytes.len() as u64, most: self.most_bytes });
        }
        let envelope = Envelope::new(rendered.from.address, to);
        let (row, subject) = (recipient.row(), rendered.subject);
        Ok(Message { row, envelope, message_id, subject, bytes, personal, content, unsubscribe })
    }

    /// 32 hexadecimal digits that are the same each time for a campaign, a recipient and an occurrence. They cannot be guessed
    /// from an address, since the whole list went into the seed.
    fn token(&self, (of, occurrence): (&str, Option<&str>), to: &Address) -> String {
        let mut hash = Sha256::new().chain_update(self.seed).chain_update(of).chain_update(to.key());
        if let Some(occurrence) = occurrence {
            // No address has a line end.
            hash = hash.chain_update("\n").chain_update(occurrence);
        }
        let hash = hash.finalize();
        let digits = hash.iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }
}

/// A hash of what a message says.
fn content(rendered: &Rendered, parts: &Parts) -> u64 {
    let mut hash = Digest::builder();
    let mut part = |part: &str| hash.add_part(part.as_bytes());
    part(&rendered.subject);
    part(&rendered.text);
    part(rendered.html.as_deref().unwrap_or_default());
    for mailbox in std::iter::once(&rendered.from).chain(&rendered.reply_to) {
        part(mailbox.address.as_str());
        part(mailbox.name.as_deref().unwrap_or_default());
    }
    part(rendered.to_name.as_deref().unwrap_or_default());
    for (name, value) in &rendered.headers {
        part(name);
        part(value);
    }
    for file in &rendered.files {
        part(&file.path);
        part(file.name.as_deref().unwrap_or_default());
    }
    parts.digests.iter().for_each(|digest| hash.add(digest));
    hash.finish().first_octets()
}

/// What goes with the text of a message.
#[derive(Default)]
struct Parts {
    /// What the HTML shows
    pictures: Vec<SinglePart>,
    attachments: Vec<SinglePart>,
    personal: Vec<PersonalFile>,
    /// Of all of them
    digests: Vec<[u8; 32]>,
}

impl Parts {
    /// The body of a message, with the headers that say what it is made of.
    fn around(self, text: SinglePart, html: Option<SinglePart>, boundary: impl Fn(&str) -> String) -> Vec<u8> {
        let multipart = |kind, of| MultiPart::builder().kind(kind).boundary(boundary(of));
        // Either both kinds of text, or the one.
        let content = match html {
            None => Err(text),
            Some(html) if self.pictures.is_empty() => {
                Ok(multipart(MultiPartKind::Alternative, "boundary").singlepart(text).singlepart(html))
            }
            Some(html) => {
                let related = multipart(MultiPartKind::Related, "related").singlepart(html);
                let related = self.pictures.into_iter().fold(related, MultiPart::singlepart);
                Ok(multipart(MultiPartKind::Alternative, "boundary").singlepart(text).multipart(related))
            }
        };
        match (content, self.attachments.is_empty()) {
            (Ok(alternative), true) => alternative.formatted(),
            (Err(text), true) => {
                let mut part = text.formatted();
                // lettre ends a part with a line end of its own, even behind one.
                if part.ends_with(b"\r\n\r\n") {
                    part.truncate(part.len() - 2);
                }
                part
            }
            (content, false) => {
                let mixed = multipart(MultiPartKind::Mixed, "mixed");
                let mixed = match content {
                    Ok(alternative) => mixed.multipart(alternative),
                    Err(text) => mixed.singlepart(text),
                };
                self.attachments.into_iter().fold(mixed, MultiPart::singlepart).formatted()
            }
        }
    }
}

/// What can be wrong with the bytes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MessageProblem {
    Header,
    Address,
    EightBit,
    LineEnd,
    LongLine(String),
    TooLarge { size: u64, most: u64 },
}

impl fmt::Display for MessageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("a header's name is not one"),
            Self::Address => f.write_str("an address cannot stand in a header"),
            Self::EightBit => f.write_str("the finished message is not 7-bit clean"),
            Self::LineEnd => f.write_str("the finished message has a bare carriage return or line feed"),
            Self::LongLine(start) => {
                write!(f, "a line of the finished message is longer than 998 octets and cannot be folded: {start}…")
            }
            Self::TooLarge { size, most } => {
                write!(f, "the finished message has {size} bytes, and {most} are permitted")
            }
        }
    }
}

impl Complaint for MessageProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Header => "message.header",
            Self::Address => "message.address",
            Self::EightBit => "message.eight-bit",
            Self::LineEnd => "message.line-end",
            Self::LongLine(_) => "message.long-line",
            Self::TooLarge { .. } => "message.too-large",
        }
    }

    fn bare(&self) -> Bare {
        match self {
            Self::LongLine(_) => {
                let message = "a line of the finished message is longer than 998 octets and cannot be folded";
                Bare::said(message, self.help())
            }
            Self::Header | Self::Address | Self::EightBit | Self::LineEnd | Self::TooLarge { .. } => Bare::Whole,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::LongLine(_) => Some("shorten the value, or put spaces into it".into()),
            Self::TooLarge { .. } => Some(
                "attach less, or permit more with --max-message-size (max_message_size under [send] in campaign.toml)"
                    .into(),
            ),
            _ => None,
        }
    }
}
