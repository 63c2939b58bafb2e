//! A template: front matter and Handlebars, checked against a list's columns before anything is rendered.
//!
//! A value is escaped for where it stands and is never a template itself. In Markdown this is done by *veiling*:
//! values travel through the Markdown parser as characters that mean nothing to it, and are put in afterwards,
//! when it is known what each stands in.

mod body;
mod branches;
mod directory;
mod elements;
mod files;
mod front_matter;
mod front_problem;
mod helpers;
mod html;
mod in_html;
mod language;
mod layout;
mod lint;
mod look;
mod markdown;
mod occurrence;
mod partials;
mod problem;
mod raw;
mod resources;
mod styles;
mod tags;
mod text;
mod veil;
mod whitespace;
mod words;

use std::{path::Path, sync::Arc};

use handlebars::{Context, Handlebars};
use serde_json::{Map, Value};

pub use self::branches::{Answers, Branch};
pub use self::directory::Frozen;
pub use self::files::AttachedFile;
pub use self::occurrence::Occurrence;
pub(crate) use self::text::wrapped;
use self::{
    body::{Body, Checked},
    directory::Directory,
    front_matter::{FrontMatter, Registries},
    front_problem::FrontProblem,
    language::{DEFAULT_LANGUAGE, Language},
    look::Look,
    partials::Partials,
};
pub(crate) use self::{
    directory::Found,
    files::{FileProblem, names_in},
    in_html::percent_encoded,
    problem::TemplateProblem,
};
use crate::{
    address::{Address, composed},
    campaign::ColumnType,
    diagnostic::{Diagnostic, Diagnostics, Place, Source},
    recipients::{Columns, PersonRow, ROWS, Recipient, RecipientList, is_zero, yes_or_no},
};

/// A template larger than this is refused.
pub const MOST_BYTES: u64 = 1 << 20;

/// What the body of a template is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.txt.hbs`: plain text, sent as it is.
    Text,
    /// `.md.hbs`: CommonMark with tables, sent as HTML and text.
    Markdown,
    /// `.html.hbs`: HTML, sent with a text part made from it.
    Html,
}

impl Format {
    /// By the ending of a file's name.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let stem = name.strip_suffix(".hbs").unwrap_or(&name);
        match stem.rsplit_once('.')?.1 {
            "txt" | "text" => Some(Self::Text),
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }
}

/// A compiled template: every placeholder in it has a column.
#[derive(Debug)]
pub struct Template {
    directory: Directory,
    branches: Vec<Branch>,
    format: Format,
    front: FrontMatter,
    /// The tag of the language that it names.
    language: Option<String>,
    body: Body,
    /// In place of a text part made from the body.
    text: Option<Body>,
    /// Escapes nothing; what comes out is checked by where it goes.
    headers: Handlebars<'static>,
    /// Veils values, for addresses and paths.
    places: Handlebars<'static>,
    uses: lint::Uses,
    /// What it looks like as HTML.
    look: Look,
}

/// A mailbox of RFC 5322 §3.4: an address, and a name to show.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The name to show.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

/// What a template says to one person. Values are final; nothing in it is escaped for the wire yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rendered {
    /// The author.
    pub from: Mailbox,
    /// Where answers go, if not to the author.
    pub reply_to: Option<Mailbox>,
    /// The name to show for the recipient.
    pub to_name: Option<String>,
    /// One line.
    pub subject: String,
    /// Further headers, each value one line.
    pub headers: Vec<(String, String)>,
    /// The body as plain text; lines end with LF.
    pub text: String,
    /// The body as an HTML document.
    pub html: Option<String>,
    /// Attachments, and the pictures that the HTML shows.
    pub files: Vec<AttachedFile>,
}

impl Template {
    /// Reads and compiles a file.
    pub fn read(path: &Path, columns: &Columns) -> Result<Self, Diagnostics> {
        let ending = || Diagnostic::error(Place::File(path.into()), &TemplateProblem::Ending);
        let format = Format::of(path).ok_or_else(ending)?;
        let directory = Directory::At(path.parent().unwrap_or(Path::new("")).to_owned());
        Self::compile_with(&Found::OnDisk(path.to_owned()).source()?, format, columns, directory)
    }

    /// Compiles a file as it was when a campaign was prepared.
    pub fn frozen(path: &str, files: Arc<dyn Frozen>, columns: &Columns) -> Result<Self, Diagnostics> {
        let place = || Place::File(Path::new(path).into());
        let format = Format::of(Path::new(path));
        let format = format.ok_or_else(|| Diagnostic::error(place(), &TemplateProblem::Ending))?;
        let directory = Directory::Frozen(files);
        let file = files::find(&directory, path).map_err(|problem| Diagnostic::error(place(), &problem))?;
        Self::compile_with(&file.source()?, format, columns, directory)
    }

    /// Compiles a text, which has no files; `name` stands in complaints.
    pub fn compile(name: &str, text: &str, format: Format, columns: &Columns) -> Result<Self, Diagnostics> {
        Self::compile_with(&source_of(name, text), format, columns, Directory::Nowhere)
    }

    fn compile_with(
        source: &Arc<Source>,
        format: Format,
        columns: &Columns,
        directory: Directory,
    ) -> Result<Self, Diagnostics> {
        lint::check_characters(source, format)?;
        let parts = front_matter::split(source)?;

        let mut problems = Diagnostics::default();
        let (mut headers, mut places) = (registry(handlebars::no_escape, columns), registry(veil::veil, columns));
        let mut uses = lint::Uses::default();
        let mut front = {
            let (uses, problems) = (&mut uses, &mut problems);
            let checking = lint::Checking { format, columns, uses, raw: &[], partials: None, problems };
            let registries = Registries { headers: &mut headers, places: &mut places };
            FrontMatter::compile(source, &parts, registries, &directory, checking)
        };
        let raw = front.as_ref().map(|front| front.raw.clone()).unwrap_or_default();
        let partials = Partials::within(&directory, format);
        let checked = Checked { columns, uses: &mut uses, raw: &raw, problems: &mut problems };
        let mut body = Body::compile(source, parts.body, format, partials, checked);
        if format == Format::Html
            && let Some((place, problem)) = in_html::check(&source.text()[parts.body..])
        {
            let place = Place::Text(Arc::clone(source), parts.body + place.start..parts.body + place.end);
            problems.push(Diagnostic::error(place, &problem));
        }
        let mut text = None;
        let mut look = Look::default();
        if let Some(front) = &mut front {
            if let Some(named) = front.text_template.take().filter(|_| format != Format::Text) {
                let checked = Checked { columns, uses: &mut uses, raw: &[], problems: &mut problems };
                match Body::read_text_part(&named, source, &directory, checked) {
                    Ok(body) => text = Some(body),
                    Err(wrong) => problems.extend(wrong),
                }
            }
            look::check(&body, format, &front.permitted, &mut problems);
            match layout::find(front.layout.as_ref(), source, format, &directory, &front.permitted) {
                Ok(layout) => {
                    let layout_text = layout.as_ref().map(|layout| layout.text().to_owned());
                    let texts = body.sources().map(|source| source.text()).chain(layout_text.as_deref());
                    front.check_pictures(source, texts, &mut problems);
                    // Styles are looked for in what is right otherwise.
                    if !problems.has_errors() {
                        look = Look::compile(layout, format, &mut body)?;
                    }
                }
                Err(wrong) => problems.extend(wrong),
            }
        }
        // What is no answer to yes or no is complained of when the list is read.
        let must_be_filled = |column: &usize| !columns.is_optional(*column);
        uses.required.retain(must_be_filled);
        uses.required_in_rows.retain(must_be_filled);
        let template = front.and_then(|mut front| {
            let named = front.language.take();
            let tag = named.as_ref().map(Language::tag);
            let language = named.or_else(|| Language::new(DEFAULT_LANGUAGE))?;
            let knowledge = Arc::new(helpers::Knowledge { language, columns: columns.clone() });
            for registry in [&mut headers, &mut places] {
                helpers::register(registry, &knowledge);
            }
            for body in std::iter::once(&mut body).chain(&mut text) {
                body.know(&knowledge);
            }
            let branches = std::mem::take(&mut uses.questions).compile(&mut headers);
            Some(Self { directory, branches, format, front, language: tag, body, text, headers, places, uses, look })
        });
        problems.sorted().checked(template)
    }

    /// What the body is written in.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The addresses of author and for answers that the template names itself, not by a placeholder: everybody may
    /// see them.
    #[must_use]
    pub fn fixed_addresses(&self) -> Vec<Address> {
        self.front.fixed_addresses()
    }

    /// The names of sender and of whom replies go to, where they hold no placeholder: everybody may see them.
    pub fn fixed_names(&self) -> impl Iterator<Item = &str> {
        self.front.fixed_names()
    }

    /// The address that replies go to, where it is no placeholder.
    #[must_use]
    pub fn fixed_reply_to(&self) -> Option<&Address> {
        self.front.fixed_reply_to()
    }

    /// The address that all messages are from, where it is no placeholder.
    #[must_use]
    pub fn fixed_sender(&self) -> Option<&Address> {
        self.front.fixed_sender()
    }

    /// The names of the headers that a message has besides the usual ones.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.front.header_names()
    }

    /// The columns that every message shows as they are.
    pub(crate) fn plainly_shown(&self) -> impl Iterator<Item = usize> {
        self.uses.plain.iter().copied()
    }

    /// Whether it uses a column, if only to ask about it.
    #[must_use]
    pub fn uses(&self, column: usize) -> bool {
        self.uses.any.contains(&column)
    }

    /// The texts that it was compiled from: its own, and those of its partials and of its layout. The path of each begins
    /// in the template's directory.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        let bodies = std::iter::once(&self.body).chain(&self.text).flat_map(Body::sources);
        bodies.chain(self.look.layout_file()).map(|source| (self.directory.path_of(source), source.text()))
    }

    /// The files that go with the message to one person.
    pub(crate) fn files_of(&self, recipient: Recipient<'_>) -> Result<Vec<AttachedFile>, TemplateProblem> {
        let context = self.context(recipient);
        Ok(self.front.render(&self.headers, &self.places, &context)?.files)
    }

    /// The files that go with messages, as the author named them: the path, perhaps with placeholders; whether each goes to one
    /// person only; and whether the HTML shows it.
    pub(crate) fn named_files(&self) -> impl Iterator<Item = (&str, bool, bool)> {
        self.front.files.iter().map(|file| (file.written.as_str(), file.personal, file.content_id.is_some()))
    }

    /// Whether it sends files that must not go to two people.
    pub(crate) fn has_personal_files(&self) -> bool {
        self.front.files.iter().any(|file| file.personal)
    }

    /// The file that a path from the front matter means.
    pub(crate) fn find_file(&self, path: &str) -> Result<Found, FileProblem> {
        files::find(&self.directory, path)
    }

    /// The directory in which its files are.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.on_disk()
    }

    /// What is wrong with a whole list for this template: a column that is asked `{{#if consent}}` and says "no"
    /// somewhere, which is true like any text, must have a type.
    pub fn check(&self, list: &RecipientList) -> Result<(), Diagnostics> {
        let columns = list.columns();
        let mut problems = Diagnostics::default();
        for (column, asks) in &self.uses.truth {
            let rows = || list.iter().flat_map(Recipient::rows);
            let number = *columns.kind(*column) == ColumnType::Number;
            let found = if number {
                rows().find(|row| is_zero(row.field(*column)))
            } else if columns.is_typed(*column) {
                None
            } else {
                let says = |row: &PersonRow<'_>| yes_or_no(row.field(*column)).is_some();
                // A letter or a 1 says so only where nothing else is said; a 0 always would be taken for true.
                let plainly = |row: &PersonRow<'_>| row.field(*column).len() > 1 || row.field(*column) == "0";
                let nothing_else = || rows().all(|row| row.field(*column).is_empty() || says(&row));
                rows().find(|row| says(row) && plainly(row)).or_else(|| rows().find(says).filter(|_| nothing_else()))
            };
            let Some(row) = found else { continue };
            let problem = TemplateProblem::UntypedYesNo {
                asks,
                name: columns.name(*column).to_owned(),
                heading: columns.heading(*column).to_owned(),
                cell: row.field(*column).to_owned(),
                number,
            };
            problems.push(Diagnostic::error(row.place_in(*column), &problem));
        }
        problems.checked(Some(()))
    }

    /// The message to one person, or what is wrong with it.
    pub fn render(&self, recipient: Recipient<'_>) -> Result<Rendered, Diagnostics> {
        self.check_cells(recipient)?;
        self.render_inner(recipient).map_err(|problem| {
            let place = recipient.place();
            Diagnostic::error(place, &problem).into()
        })
    }

    /// Whether the cells that the message shows are filled in, and those that it shows once are the same in all rows.
    fn check_cells(&self, recipient: Recipient<'_>) -> Result<(), Diagnostics> {
        let mut problems = Diagnostics::default();
        let columns = recipient.columns();
        let name = |column: usize| columns.name(column).to_owned();
        for (nth, row) in recipient.rows().enumerate() {
            let of_person = self.uses.required.iter().filter(|_| nth == 0);
            for column in of_person.chain(&self.uses.required_in_rows) {
                if row.field(*column).is_empty() {
                    let problem = TemplateProblem::EmptyCell(name(*column));
                    problems.push(Diagnostic::error(row.place_in(*column), &problem));
                }
            }
        }
        for (column, row) in self.uses.raw.iter().flat_map(|column| recipient.rows().map(move |row| (column, row))) {
            if let Some(why) = raw::wrong(row.field(*column)) {
                let problem = TemplateProblem::RawCell { name: name(*column), why };
                problems.push(Diagnostic::error(row.place_in(*column), &problem));
            }
        }
        for column in &self.uses.of_person {
            let first = recipient.field(*column);
            let differs = |row: &PersonRow<'_>| match columns.kind(*column) {
                ColumnType::YesNo => yes_or_no(row.field(*column)) != yes_or_no(first),
                _ => row.field(*column) != first,
            };
            if let Some(other) = recipient.rows().find(differs) {
                let problem = TemplateProblem::Disagree {
                    name: name(*column),
                    first: (recipient.row(), first.to_owned()),
                    other: (other.number(), other.field(*column).to_owned()),
                };
                for row in recipient.rows().take(1).chain([other]) {
                    problems.push(Diagnostic::error(row.place_in(*column), &problem));
                }
            }
        }
        problems.checked(Some(()))
    }

    /// A person's fields as Handlebars sees them, as far as the template uses them.
    fn context(&self, recipient: Recipient<'_>) -> Context {
        let columns = recipient.columns();
        let fields = |row: PersonRow<'_>| -> Map<String, Value> {
            let used = self.uses.any.iter().copied();
            used.map(|column| (columns.name(column).to_owned(), value(row.field(column), columns.kind(column))))
                .collect()
        };
        let mut rows = recipient.rows().map(fields).collect::<Vec<_>>();
        let mut all = if columns.is_grouped() { rows.first().cloned() } else { rows.pop() }.unwrap_or_default();
        if columns.is_grouped() {
            all.insert(ROWS.to_owned(), rows.into());
        }
        Context::from(Value::Object(all))
    }

    /// The questions on which a message depends, in their order.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// The answers to [`Template::branches`] for one person.
    pub fn answers(&self, recipient: Recipient<'_>) -> Result<Answers, Diagnostics> {
        branches::answers(&self.branches, &self.headers, &self.context(recipient))
            .map_err(|problem| Diagnostic::error(recipient.place(), &problem).into())
    }

    fn render_inner(&self, recipient: Recipient<'_>) -> Result<Rendered, TemplateProblem> {
        let context = self.context(recipient);
        let front = self.front.render(&self.headers, &self.places, &context)?;
        let body = self.body.render(&context, Some(&self.look))?;
        let (text, html) = match self.format {
            Format::Text => (body, None),
            Format::Markdown => {
                let (text, html) = markdown::render(&body, self.look.styles(), &self.front.permitted)?;
                (text, Some(html))
            }
            Format::Html => {
                let html = in_html::InHtml::default().put(&body)?;
                // A value can be the address of a picture.
                if let Some((_, problem)) = resources::check(&html, &self.front.permitted).into_iter().next() {
                    return Err(problem);
                }
                let text = if self.text.is_some() { String::new() } else { html::to_text(&html) };
                (text, Some(html))
            }
        };
        let (mut text, html) = self.look.around(text, html, &front.subject, self.language.as_deref());
        if let Some(own) = &self.text {
            text = own.render(&context, None)?;
        }
        let text = with_lf(text);
        if text.trim().is_empty() {
            return Err(TemplateProblem::EmptyBody);
        }
        let html = html.map(with_lf);
        let mut files = front.files;
        let shown = |name: &str| html.as_ref().is_some_and(|html| files::shows(html, name));
        files.retain(|file| file.content_id.as_deref().is_none_or(shown));
        let comes = |name: &String| files.iter().any(|file| file.content_id.as_ref() == Some(name));
        let pictures = &self.front.permitted.pictures;
        if let Some(missing) = pictures.iter().find(|name| shown(name.as_str()) && !comes(name)) {
            let known = pictures.iter().filter(|name| comes(name)).cloned().collect();
            return Err(FrontProblem::NoPicture { name: missing.clone(), known }.into());
        }
        Ok(Rendered {
            from: front.from,
            reply_to: front.reply_to,
            to_name: front.to_name,
            subject: front.subject,
            headers: front.headers,
            text,
            html,
            files,
        })
    }
}

/// A template, partial, layout or text part; `name` stands in complaints.
fn source_of(name: &str, text: &str) -> Arc<Source> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    // Names are compared with headings, which are composed, too.
    Source::new(name, composed(&text).into_owned())
}

/// The text with LF for every kind of line end.
fn with_lf(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

/// A cell as Handlebars sees it.
fn value(cell: &str, kind: &ColumnType) -> Value {
    match kind {
        ColumnType::YesNo => Value::Bool(yes_or_no(cell).unwrap_or(false)),
        _ => Value::String(cell.to_owned()),
    }
}

fn registry(escape: fn(&str) -> String, columns: &Columns) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(escape);
    lint::forget_helpers(&mut registry, columns);
    registry.register_helper(whitespace::INDENTED, Box::new(whitespace::Indented));
    registry.register_helper(raw::RAW_HTML, Box::new(raw::RawHtml));
    registry
}
