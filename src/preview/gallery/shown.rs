//! One message, as it stands in a page.

use mail_parser::{Message as Parsed, MessageParser, MimeHeaders};
use serde::Serialize;

use super::{frame, note::Note};
use crate::{
    diagnostic::{counted, visible},
    guard::Guard,
    message::{Composer, Message},
    outbox::inspect,
    preview::{terminal::decoded, ways::in_words},
    recipients::Recipient,
};

/// So many octets of a text are shown in a page; a browser is slow with more.
const MOST_TEXT: usize = 1 << 18;

/// What a page says of a message besides the message itself.
#[derive(Debug, Serialize)]
pub(super) struct About {
    pub(super) row: u64,
    /// Its rows, where they are several
    rows: Vec<u64>,
    pub(super) to: String,
    /// Nothing of the following is there where the message cannot be made.
    pub(super) is_made: bool,
    from: String,
    reply_to: Option<String>,
    pub(super) subject: String,
    size: String,
    pub(super) files: Vec<File>,
    /// What was noticed about the row and found in the message
    pub(super) notes: Vec<Note>,
    branches: Vec<Answer>,
    fields: Vec<Fields>,
}

/// A file that comes with a message.
#[derive(Debug, Serialize)]
pub(super) struct File {
    /// From 0
    pub(super) nth: usize,
    pub(super) name: String,
    kind: String,
    size: String,
    /// Shown in the HTML
    is_inline: bool,
}

/// A question of the template, and its answer.
#[derive(Debug, Serialize)]
struct Answer {
    question: String,
    is_shown: bool,
}

/// The cells of one row.
#[derive(Debug, Serialize)]
struct Fields {
    row: u64,
    cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
struct Cell {
    heading: String,
    value: String,
}

/// A text that may be too long for a page.
#[derive(Debug, Serialize)]
pub(super) struct Shortened {
    text: String,
    is_cut: bool,
}

/// A header as people read it.
#[derive(Debug, Serialize)]
pub(super) struct Header {
    name: String,
    value: String,
}

/// Makes a message, and looks through it if it has no more than `most` octets; what is wrong with it is among the notes,
/// `remarks` in front. Also says whether it was looked through.
pub(super) fn make(
    composer: &Composer,
    guard: &Guard,
    person: Recipient<'_>,
    remarks: &[Note],
    most: Option<usize>,
) -> (Option<Message>, Vec<Note>, bool) {
    let mut notes = remarks.to_vec();
    let message = match composer.compose(person.index()) {
        Ok(message) => message,
        Err(why) => {
            notes.extend(why.iter().map(Note::from));
            return (None, notes, true);
        }
    };
    let is_searched = most.is_none_or(|most| message.bytes().len() <= most);
    if is_searched {
        let found = inspect(guard, &message).into_iter();
        notes.extend(found.map(|(severity, finding)| Note::new(severity, &finding)));
    }
    (Some(message), notes, is_searched)
}

/// The message as other programs read it.
pub(super) fn parse(message: &Message) -> Option<Parsed<'_>> {
    MessageParser::default().parse(message.bytes())
}

impl About {
    pub(super) fn of(composer: &Composer, person: Recipient<'_>, message: Option<&Message>, notes: Vec<Note>) -> Self {
        let rows: Vec<_> = person.rows().collect();
        let template = composer.template();
        let answers = template.answers(person).map(|answers| in_words(template, &answers)).unwrap_or_default();
        let columns = person.columns();
        let fields = rows.iter().map(|row| Fields {
            row: row.number(),
            cells: (0..columns.len())
                .map(|nth| Cell { heading: visible(columns.heading(nth)), value: visible(row.field(nth)) })
                .collect(),
        });
        let parsed = message.and_then(parse);
        let header = |name: &str| {
            let parsed = parsed.as_ref()?;
            let header = parsed.headers().iter().find(|header| header.name().eq_ignore_ascii_case(name))?;
            Some(visible(&decoded(parsed, header.name(), &header.value)))
        };
        Self {
            row: person.row(),
            rows: if rows.len() > 1 { rows.iter().map(|row| row.number()).collect() } else { Vec::new() },
            to: visible(person.address().as_str()),
            is_made: message.is_some(),
            from: header("From").unwrap_or_default(),
            reply_to: header("Reply-To"),
            subject: message.map_or_else(|| "This message cannot be made".into(), |message| visible(message.subject())),
            size: size(message.map_or(0, |message| message.bytes().len())),
            files: parsed.as_ref().map(files).unwrap_or_default(),
            notes,
            branches: answers.into_iter().map(|(question, is_shown)| Answer { question, is_shown }).collect(),
            fields: fields.collect(),
        }
    }
}

/// The files of a message.
fn files(parsed: &Parsed<'_>) -> Vec<File> {
    let file = |(nth, part): (usize, &mail_parser::MessagePart<'_>)| {
        let kind = part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        });
        let is_inline =
            part.content_id().is_some() && part.content_disposition().is_some_and(mail_parser::ContentType::is_inline);
        File {
            nth,
            name: visible(part.attachment_name().unwrap_or("(without a name)")),
            kind: visible(&kind.unwrap_or_default()),
            size: size(part.contents().len()),
            is_inline,
        }
    };
    parsed.attachments().enumerate().map(file).collect()
}

/// All headers, decoded.
pub(super) fn headers(parsed: &Parsed<'_>) -> Vec<Header> {
    let shown = |header: &mail_parser::Header<'_>| Header {
        name: visible(header.name()),
        value: visible(&decoded(parsed, header.name(), &header.value)),
    };
    parsed.headers().iter().map(shown).collect()
}

/// The text part.
pub(super) fn text(parsed: &Parsed<'_>) -> Shortened {
    shortened(&parsed.body_text(0).unwrap_or_default())
}

/// The message as it travels.
pub(super) fn source(message: &Message) -> Shortened {
    let bytes = message.bytes();
    let start = &bytes[..bytes.len().min(MOST_TEXT + 4)];
    shortened(&String::from_utf8_lossy(start))
}

fn shortened(text: &str) -> Shortened {
    let start = &text[..text.floor_char_boundary(MOST_TEXT)];
    Shortened { text: visible(&start.replace("\r\n", "\n")), is_cut: start.len() < text.len() }
}

/// Octets for people.
fn size(octets: usize) -> String {
    let tenths = |unit: usize| {
        let tenths = (octets * 10 + unit / 2) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match octets {
        0..1000 => counted(octets, "byte"),
        1000..1_000_000 => format!("{} KB", tenths(1000)),
        _ => format!("{} MB", tenths(1_000_000)),
    }
}

/// Whether there is HTML in a message.
pub(super) fn has_html(parsed: &Parsed<'_>) -> bool {
    frame::html(parsed).is_some()
}
