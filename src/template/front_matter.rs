//! The TOML between two lines of `+++`: everything of a message that is not its body.

use std::{ops::Range, sync::Arc};

use handlebars::{Context, Handlebars, template::TemplateElement};

use super::{
    AttachedFile, Format, Mailbox, TemplateProblem,
    directory::Directory,
    files::{self, FileTemplate},
    front_problem::FrontProblem,
    in_html::link,
    language::Language,
    lint,
    resources::Permitted,
};
use crate::{
    address::Address,
    campaign::keys::{At, Entry, Keys},
    diagnostic::{Complaint, Diagnostic, Diagnostics, Place, Source},
    recipients::Columns,
};

/// Where the parts of a template's text are.
pub(super) struct Parts {
    front: Range<usize>,
    /// Where the body begins.
    pub(super) body: usize,
}

/// Finds the parts of a template's text.
pub(super) fn split(source: &Arc<Source>) -> Result<Parts, Diagnostics> {
    let text = source.text();
    let complain = |span, problem| Err(Diagnostic::error(Place::Text(Arc::clone(source), span), &problem).into());
    let mut at = 0;
    let mut front = None;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "+++" {
            match front {
                None => front = Some(at + line.len()),
                Some(start) => return Ok(Parts { front: start..at, body: at + line.len() }),
            }
        } else if front.is_none() {
            return complain(at..at + line.trim_end().len(), TemplateProblem::NoFrontMatter);
        }
        at += line.len();
    }
    match front {
        None => complain(0..0, TemplateProblem::NoFrontMatter),
        Some(_) => complain(0..3, TemplateProblem::FrontMatterOpen),
    }
}

/// The compiled front matter. Its values are compiled into a registry under the names that stand here.
#[derive(Debug)]
pub(super) struct FrontMatter {
    from: MailboxTemplate,
    reply_to: Option<MailboxTemplate>,
    to: bool,
    headers: Vec<(String, String)>,
    /// Attachments, and then what the HTML shows.
    pub(super) files: Vec<FileTemplate>,
    /// What each piece of HTML may be called that the message brings along (`cid:`), with its place.
    pub(super) inline: Vec<At<String>>,
    /// The compiled addresses of `unsubscribe`.
    unsubscribe: Vec<String>,
    auto_submitted: bool,
    /// The file of the text part, as it is named.
    pub(super) text_template: Option<At<String>>,
    /// The columns that hold HTML.
    pub(super) raw: Vec<String>,
    /// In which dates and numbers are written.
    pub(super) language: Option<Language>,
    /// What stands around the body, as it is named.
    pub(super) layout: Option<At<String>>,
    pub(super) permitted: Permitted,
}

#[derive(Debug)]
struct MailboxTemplate {
    key: &'static str,
    has_name: bool,
    /// The name, where it has no placeholder.
    fixed_name: Option<String>,
    /// The address, where it has no placeholder.
    fixed: Option<Address>,
}

/// The front matter for one person.
pub(super) struct RenderedFront {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
    pub(super) to_name: Option<String>,
    pub(super) subject: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) files: Vec<AttachedFile>,
}

/// What the front matter is compiled into.
pub(super) struct Registries<'r> {
    /// Escapes nothing; what comes out is checked by where it goes.
    pub(super) headers: &'r mut Handlebars<'static>,
    /// Veils values, for addresses and paths, in which a value is a part.
    pub(super) places: &'r mut Handlebars<'static>,
}

const ONE_RECIPIENT: &str = "a message has exactly one recipient, who comes from the list";
const OURS: &str = "it is set by apiece itself";

/// Headers that carry recipients or structure, or that have a key of their own, and why they are refused.
fn refused(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "to" | "cc" | "bcc" | "apparently-to" | "x-to" | "x-cc" | "x-bcc" | "envelope-to" | "delivered-to"
        | "x-delivered-to" | "x-forwarded-to" | "x-apparently-to" | "errors-to" | "x-original-to" | "x-envelope-to"
        | "x-receiver" | "x-rcpt-to" => Some(ONE_RECIPIENT),
        "from" | "subject" | "reply-to" => Some("it has a key of its own in the front matter"),
        "sender"
        | "date"
        | "message-id"
        | "mime-version"
        | "return-path"
        | "received"
        | "dkim-signature"
        | "domainkey-signature"
        | "authentication-results" => Some(OURS),
        _ if name.starts_with("resent-") => Some(ONE_RECIPIENT),
        _ if name.starts_with("content-") || name.starts_with("arc-") => Some(OURS),
        _ => None,
    }
}

impl FrontMatter {
    pub(super) fn compile(
        source: &Arc<Source>,
        parts: &Parts,
        registries: Registries<'_>,
        directory: &Directory,
        checking: lint::Checking<'_>,
    ) -> Option<Self> {
        let lint::Checking { format, columns, uses, problems, .. } = checking;
        let mut keys = match Keys::parse(source, &source.text()[parts.front.clone()], parts.front.start) {
            Ok(keys) => keys,
            Err(wrong) => {
                problems.extend(wrong);
                return None;
            }
        };
        let mut compiler = Compiler { source, registries, columns, uses, problems };
        let mut wanted = |key: &'static str| {
            let missing = keys.span_of(key).is_none();
            let value = keys.string(key);
            if missing {
                keys.missing(key);
            }
            value
        };
        let from = wanted("from").map(|value| compiler.mailbox("from", &value));
        let subject = wanted("subject").map(|value| compiler.value("subject", &value));
        let reply_to = keys.string("reply_to").map(|value| compiler.mailbox("reply_to", &value));
        let to = keys.string("to");
        if let Some(to) = &to {
            if to.value.contains(['<', '>', '@']) {
                compiler.complain(to.span.clone(), &FrontProblem::ToHasAddress);
            }
            compiler.value("to", to);
        }
        let language = keys.string("language").and_then(|tag| {
            let language = Language::new(&tag.value);
            if language.is_none() {
                compiler.complain(tag.span, &FrontProblem::Language(tag.value));
            }
            language
        });
        let layout = keys.string("layout");
        let text_template = keys.string("text_template");
        if let Some(named) = &text_template
            && format == Format::Text
        {
            compiler.complain(named.span.clone(), &FrontProblem::TextForText);
        }
        let mut all_files = Vec::new();
        for (nth, entry) in keys.entries("attachments", &["file"]).into_iter().enumerate() {
            all_files.extend(compiler.attachment(format!("attachment.{nth}"), entry, directory));
        }
        let mut inline = Vec::new();
        if let Some(mut table) = keys.table("inline") {
            for (name, entry) in table.named_entries(&["file"]) {
                all_files.extend(compiler.picture(&name, entry, format, directory));
                inline.push(name);
            }
            keys.adopt(table.finish());
        }
        let remote = keys.boolean("allow_remote").is_some_and(|answer| answer.value);
        let permitted = Permitted { remote, pictures: inline.iter().map(|name| name.value.clone()).collect() };
        let mut unsubscribe = Vec::new();
        for (nth, address) in keys.strings("unsubscribe").map(|all| all.value).unwrap_or_default().iter().enumerate() {
            unsubscribe.extend(compiler.unsubscribe(nth, address));
        }
        let raw = compiler.raw_html(keys.strings("raw_html").map(|all| all.value).unwrap_or_default(), format);
        let auto_submitted = keys.boolean("auto_submitted").is_some_and(|answer| answer.value);
        let mut headers: Vec<(String, String)> = Vec::new();
        if let Some(mut table) = keys.table("headers") {
            for (name, value) in table.named_strings() {
                let by_key = match name.value.to_ascii_lowercase().as_str() {
                    "list-unsubscribe" | "list-unsubscribe-post" => !unsubscribe.is_empty(),
                    "auto-submitted" | "x-auto-response-suppress" => auto_submitted,
                    _ => false,
                };
                if by_key {
                    compiler.complain(name.span, &TemplateProblem::HeaderTwice(name.value));
                } else {
                    headers.extend(compiler.header(&headers, name, &value));
                }
            }
            keys.adopt(table.finish());
        }
        problems.extend(keys.finish());
        subject?;
        Some(Self {
            from: from?,
            reply_to,
            to: to.is_some(),
            headers,
            files: all_files,
            inline,
            unsubscribe,
            auto_submitted,
            text_template,
            raw,
            language,
            layout,
            permitted,
        })
    }

    /// Complains about pictures that none of the texts shows.
    pub(super) fn check_pictures<'t>(
        &self,
        source: &Arc<Source>,
        texts: impl Iterator<Item = &'t str>,
        problems: &mut Diagnostics,
    ) {
        let texts: Vec<&str> = texts.collect();
        for At { value: name, span } in &self.inline {
            if !texts.iter().any(|text| files::shows(text, name) || text.contains("cid:{{")) {
                let place = Place::Text(Arc::clone(source), span.clone());
                problems.push(Diagnostic::error(place, &FrontProblem::PictureUnused(name.clone())));
            }
        }
    }

    pub(super) fn fixed_addresses(&self) -> Vec<Address> {
        [Some(&self.from), self.reply_to.as_ref()].into_iter().flatten().filter_map(|one| one.fixed.clone()).collect()
    }

    pub(super) fn fixed_names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.from), self.reply_to.as_ref()].into_iter().flatten().filter_map(|one| one.fixed_name.as_deref())
    }

    /// The address that replies go to, where it is no placeholder.
    pub(super) fn fixed_reply_to(&self) -> Option<&Address> {
        self.reply_to.as_ref().and_then(|reply_to| reply_to.fixed.as_ref())
    }

    pub(super) fn header_names(&self) -> impl Iterator<Item = &str> {
        let suppress = ["Auto-Submitted", "X-Auto-Response-Suppress"];
        let unsubscribe = ["List-Unsubscribe", "List-Unsubscribe-Post"];
        let by_key = |set: bool, names: [&'static str; 2]| names.into_iter().filter(move |_| set);
        let own = self.headers.iter().map(|(name, _)| name.as_str());
        own.chain(by_key(self.auto_submitted, suppress)).chain(by_key(!self.unsubscribe.is_empty(), unsubscribe))
    }

    pub(super) fn fixed_sender(&self) -> Option<&Address> {
        self.from.fixed.as_ref()
    }

    pub(super) fn render(
        &self,
        registry: &Handlebars<'static>,
        places: &Handlebars<'static>,
        context: &Context,
    ) -> Result<RenderedFront, TemplateProblem> {
        let line = |template: &str, key: &str| line(registry, template, key, context);
        let mailbox = |of: &MailboxTemplate| {
            let name = if of.has_name { Some(line(&format!("{}.name", of.key), of.key)?) } else { None };
            let address = match &of.fixed {
                Some(address) => address.clone(),
                None => line(&format!("{}.address", of.key), of.key)?
                    .parse()
                    .map_err(|error| TemplateProblem::AuthorAddress { key: of.key, error })?,
            };
            Ok::<_, TemplateProblem>(Mailbox { name: name.filter(|name| !name.is_empty()), address })
        };
        let subject = line("subject", "subject")?;
        if subject.is_empty() {
            return Err(TemplateProblem::EmptyHeader("subject"));
        }
        let to_name = if self.to { Some(line("to", "to")?) } else { None };
        let headers = self.headers.iter().map(|(name, template)| Ok((name.clone(), line(template, name)?)));
        let mut headers = headers.collect::<Result<Vec<_>, TemplateProblem>>()?;
        self.further_headers(places, context, &mut headers)?;
        let files = self.files.iter().filter_map(|file| file.render(places, registry, context).transpose());
        Ok(RenderedFront {
            from: mailbox(&self.from)?,
            reply_to: self.reply_to.as_ref().map(mailbox).transpose()?,
            to_name: to_name.filter(|name| !name.is_empty()),
            subject,
            headers,
            files: files.collect::<Result<_, TemplateProblem>>()?,
        })
    }

    /// The headers that have keys of their own.
    fn further_headers(
        &self,
        places: &Handlebars<'static>,
        context: &Context,
        headers: &mut Vec<(String, String)>,
    ) -> Result<(), TemplateProblem> {
        if self.auto_submitted {
            // RFC 3834 §5; and what Exchange understands, which still says when something cannot be delivered.
            headers.push(("Auto-Submitted".into(), "auto-generated".into()));
            headers.push(("X-Auto-Response-Suppress".into(), "OOF, AutoReply".into()));
        }
        let mut addresses = Vec::new();
        for template in &self.unsubscribe {
            let address = link(&line(places, template, "unsubscribe", context)?, str::to_owned)?;
            if !is_unsubscribe(&address) {
                return Err(FrontProblem::Unsubscribe(address).into());
            }
            addresses.push(address);
        }
        if !addresses.is_empty() {
            let listed: Vec<String> = addresses.iter().map(|address| format!("<{address}>")).collect();
            headers.push(("List-Unsubscribe".into(), listed.join(", ")));
            if addresses.iter().any(|address| address.starts_with("https:")) {
                // RFC 8058 §3.1
                headers.push(("List-Unsubscribe-Post".into(), "List-Unsubscribe=One-Click".into()));
            }
        }
        Ok(())
    }
}

/// Whether an address can stand in `List-Unsubscribe` (RFC 2369 §3.2, RFC 8058 §3.1).
fn is_unsubscribe(address: &str) -> bool {
    let fits =
        (9..=900).contains(&address.len()) && address.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
    fits && (address.starts_with("https://") || address.starts_with("mailto:"))
}

/// Renders a value that becomes one line of a header.
pub(super) fn line(
    registry: &Handlebars<'static>,
    template: &str,
    key: &str,
    context: &Context,
) -> Result<String, TemplateProblem> {
    let value = match registry.get_template(template).map(|compiled| compiled.elements.as_slice()) {
        // Without a placeholder it is the same for everybody.
        Some([TemplateElement::RawString(text)]) => text.clone(),
        _ => registry.render_with_context(template, context).map_err(|error| TemplateProblem::Render {
            place: format!("\"{key}\""),
            why: error.reason().to_string(),
        })?,
    };
    match value.chars().find(|c| c.is_control()) {
        Some(character) => Err(TemplateProblem::HeaderLine { key: key.to_owned(), character }),
        None => Ok(value.trim().to_owned()),
    }
}

/// What the author of a template wrote in it, without its tags.
fn literal(template: &str) -> String {
    let mut parts = template.split("{{");
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |text, part| text + part.split_once("}}").map_or("", |(_, behind)| behind))
}

struct Compiler<'a> {
    source: &'a Arc<Source>,
    registries: Registries<'a>,
    columns: &'a Columns,
    uses: &'a mut lint::Uses,
    problems: &'a mut Diagnostics,
}

impl Compiler<'_> {
    fn complain(&mut self, span: Range<usize>, complaint: &impl Complaint) {
        self.problems.push(Diagnostic::error(Place::Text(Arc::clone(self.source), span), complaint));
    }

    fn value(&mut self, name: &str, value: &At<String>) {
        let piece = lint::Piece::of_value(self.source, &value.value, value.span.clone());
        // Headers are text, whatever the body is.
        let checking = lint::Checking {
            format: Format::Text,
            columns: self.columns,
            uses: self.uses,
            raw: &[],
            partials: None,
            problems: self.problems,
        };
        lint::compile(self.registries.headers, name, &piece, checking);
    }

    /// An address or a path, whose values are parts of it.
    fn place(&mut self, name: &str, piece: &lint::Piece<'_>, format: Format) {
        let checking = lint::Checking {
            format,
            columns: self.columns,
            uses: self.uses,
            raw: &[],
            partials: None,
            problems: self.problems,
        };
        lint::compile(self.registries.places, name, piece, checking);
    }

    /// A file, or a table with `file`, `name` and `shared`.
    fn attachment(&mut self, template: String, entry: Entry<'_>, directory: &Directory) -> Option<FileTemplate> {
        let (path, name, shared) = match entry {
            Entry::Text(path) => (path, None, false),
            Entry::Table(mut keys) => {
                let path = keys.string("file");
                let name = keys.string("name");
                let shared = keys.boolean("shared").is_some_and(|answer| answer.value);
                self.problems.extend(keys.finish());
                (path?, name, shared)
            }
        };
        let piece = lint::Piece::of_value(self.source, &path.value, path.span.clone());
        self.place(&template, &piece, Format::Text);
        let differs = path.value.contains("{{");
        // What needs no value is looked for at once.
        if !differs && let Err(problem) = files::find(directory, path.value.trim()) {
            self.complain(path.span.clone(), &problem);
        }
        let name = name.map(|name| {
            let template = format!("{template}.name");
            self.value(&template, &name);
            template
        });
        let written = path.value.trim().to_owned();
        Some(FileTemplate { path: template, name, content_id: None, personal: differs && !shared, written })
    }

    /// A picture that the HTML shows.
    fn picture(
        &mut self,
        name: &At<String>,
        entry: Entry<'_>,
        format: Format,
        directory: &Directory,
    ) -> Option<FileTemplate> {
        if format == Format::Text {
            self.complain(name.span.clone(), &FrontProblem::PictureInText);
            return None;
        }
        if !files::is_content_id(&name.value) {
            self.complain(name.span.clone(), &FrontProblem::ContentId(name.value.clone()));
            return None;
        }
        let file = self.attachment(format!("inline.{}", name.value), entry, directory)?;
        Some(FileTemplate { content_id: Some(name.value.clone()), ..file })
    }

    /// The columns that `{{{…}}}` may show.
    fn raw_html(&mut self, named: Vec<At<String>>, format: Format) -> Vec<String> {
        for At { value: name, span } in &named {
            if format == Format::Text {
                self.complain(span.clone(), &FrontProblem::RawInText);
            } else if !self.columns.names().any(|column| column == name) {
                let problem = lint::no_column(name, name, self.columns);
                self.complain(span.clone(), &problem);
            }
        }
        named.into_iter().map(|name| name.value).collect()
    }

    fn unsubscribe(&mut self, nth: usize, address: &At<String>) -> Option<String> {
        let template = format!("unsubscribe.{nth}");
        // As in a link of HTML, values are encoded by themselves.
        let piece = lint::Piece::of_value(self.source, &address.value, address.span.clone());
        self.place(&template, &piece, Format::Html);
        let text = address.value.trim();
        let differs = text.contains("{{");
        if text.starts_with("https:") && !differs {
            self.complain(address.span.clone(), &FrontProblem::UnsubscribeAll);
            return None;
        }
        if !text.starts_with("{{") && !is_unsubscribe(&literal(text)) {
            self.complain(address.span.clone(), &FrontProblem::Unsubscribe(text.to_owned()));
            return None;
        }
        Some(template)
    }

    /// `Name <address>` or `address`; which part is which is decided here, before any value is known.
    fn mailbox(&mut self, key: &'static str, value: &At<String>) -> MailboxTemplate {
        let text = value.value.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (Some(name.trim().trim_matches('"').trim()), address.trim()),
            None => (None, text),
        };
        if name.is_some_and(|name| literal(name).contains(['<', '>', '@'])) {
            self.complain(value.span.clone(), &FrontProblem::TwoAuthors(key));
        }
        if !address.contains("{{")
            && let Err(error) = address.parse::<Address>()
        {
            self.complain(value.span.clone(), &TemplateProblem::AuthorAddress { key, error });
        }
        let mut part = |of: &str, text: &str| {
            self.value(&format!("{key}.{of}"), &At { value: text.to_owned(), span: value.span.clone() });
        };
        if let Some(name) = name {
            part("name", name);
        }
        part("address", address);
        // Braces may stand before an @, too.
        let fixed = address.parse().ok().filter(|_| !address.contains("{{"));
        let fixed_name = name.filter(|name| !name.contains("{{")).map(str::to_owned);
        MailboxTemplate { key, has_name: name.is_some(), fixed_name, fixed }
    }

    fn header(
        &mut self,
        before: &[(String, String)],
        name: At<String>,
        value: &At<String>,
    ) -> Option<(String, String)> {
        let At { value: name, span } = name;
        // RFC 5322 §2.2: printable ASCII except the colon. lettre takes no name over 76 characters.
        let valid = (1..=76).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let problem = if !valid {
            TemplateProblem::HeaderName(name)
        } else if let Some(why) = refused(&name) {
            TemplateProblem::HeaderRefused { name, why }
        } else if before.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            TemplateProblem::HeaderTwice(name)
        } else {
            let template = format!("header.{name}");
            self.value(&template, value);
            return Some((name, template));
        };
        self.complain(span, &problem);
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        campaign::ListOptions,
        recipients::RecipientList,
        template::{Format, Template},
    };

    #[test]
    fn an_address_with_a_placeholder_is_another_for_each_person() {
        let list = RecipientList::parse("p.csv", "email,unit\na@one.example,north\n", &ListOptions::default()).unwrap();
        // Braces may stand before an @ (RFC 5322 §3.2.3).
        let source = "+++\nfrom = \"{{unit}}@police.example\"\nsubject = \"x\"\n+++\nHello\n";
        let template = Template::compile("t", source, Format::Text, list.columns()).unwrap();
        assert_eq!((template.fixed_sender(), template.fixed_addresses()), (None, Vec::new()));
        let rendered = template.render(list.get(0).unwrap()).unwrap();
        assert_eq!(rendered.from.address.as_str(), "north@police.example");
    }
}
