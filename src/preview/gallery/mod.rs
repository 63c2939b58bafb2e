//! The gallery: a campaign's messages as pages for a browser on this machine.
//!
//! The way of a request: `server` (sockets and their limits) → `door` (who may come in) → `route` (what is asked for) →
//! `search`, `ways`, `shown` (what is answered: a message is made when somebody looks at it) → `pages` (as HTML). A message's
//! own HTML goes through `frame`. `file` makes one page of a few messages, to be handed round.

mod door;
mod file;
mod frame;
mod note;
mod pages;
mod route;
mod search;
mod server;
mod shown;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, OnceLock, PoisonError},
};

use indicatif::HumanCount;
use jiff::ZonedDateTime;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use self::frame::html as html_of;
pub use self::{
    file::FileError,
    server::{Server, ServerError},
};
use self::{
    note::Note,
    pages::{Answer, Pages},
    route::{Route, Trail, View},
    search::Search,
    shown::About,
};
use crate::{
    diagnostic::{Diagnostic, Place, counted, visible},
    guard::Guard,
    message::Composer,
    preview::ways::{Way, Ways, in_words},
    recipients::{Recipient, RecipientList, Selection},
};

/// So many messages stand on a page of the list.
const ON_A_PAGE: usize = 50;

/// A message of more octets is not looked through for a line of the list, since fifty of them would take too long; it is when
/// somebody looks at it.
const MOST_SEARCHED_IN_LIST: usize = 1_000_000;

/// So many combinations of branches are listed.
const MOST_WAYS: usize = 200;

/// What is told of a campaign in every page.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// What it is called.
    pub name: String,
    /// Its id, if it was prepared.
    pub id: Option<String>,
    /// Over all that was prepared.
    pub digest: Option<String>,
}

/// A campaign to be looked at.
#[derive(Debug)]
pub struct Gallery {
    facts: Facts,
    composer: Composer,
    guard: Guard,
    /// What was noticed about rows
    remarks: HashMap<u64, Vec<Note>>,
    /// What was noticed about the campaign as a whole
    general: Vec<Note>,
    /// Found out when somebody wants to know.
    ways: OnceLock<Ways>,
    /// The rows whose messages somebody looked at.
    seen: Mutex<HashSet<u64>>,
    pages: Pages,
}

impl Gallery {
    /// For a campaign whose list and template could be read.
    #[must_use]
    pub fn new(facts: Facts, composer: Composer, guard: Guard) -> Self {
        let mut remarks: HashMap<u64, Vec<Note>> = HashMap::new();
        let mut general = Vec::new();
        let problems = composer.template().check(composer.list()).err().unwrap_or_default();
        let mut add = |diagnostic: &Diagnostic| match diagnostic.place() {
            Place::Row { row, .. } => remarks.entry(*row).or_default().push(diagnostic.into()),
            _ => general.push(diagnostic.into()),
        };
        composer.list().remarks().iter().for_each(&mut add);
        problems.iter().for_each(&mut add);
        let facts = Facts { name: visible(&facts.name), ..facts };
        Self {
            facts,
            composer,
            guard,
            remarks,
            general,
            ways: OnceLock::new(),
            seen: Mutex::default(),
            pages: Pages::new(),
        }
    }

    /// How many different messages somebody looked at.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn looked_at(&self, person: Recipient<'_>) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(person.row());
    }

    fn list(&self) -> &RecipientList {
        self.composer.list()
    }

    fn ways(&self) -> &Ways {
        self.ways.get_or_init(|| Ways::of(self.composer.template(), self.list()))
    }

    fn has_branches(&self) -> bool {
        !self.composer.template().branches().is_empty()
    }

    /// What was noticed about the rows of a person.
    fn remarks(&self, person: Recipient<'_>) -> Vec<Note> {
        person.rows().filter_map(|row| self.remarks.get(&row.number())).flatten().cloned().collect()
    }

    /// Answers one request of somebody who may come in. `place` is the path below which all pages are.
    fn answer(&self, route: Option<&Route>, trail: &Trail, place: &str) -> Answer {
        let person = |row: u64| self.list().index_of_row(row).and_then(|index| self.list().get(index));
        let answer = match route {
            Some(Route::List) => Some(self.show_list(trail, place)),
            Some(Route::Ways) => Some(self.show_ways(place)),
            Some(Route::Message(row)) => person(*row).map(|person| self.show_message(person, trail, place)),
            Some(Route::Frame(row)) => person(*row).and_then(|person| self.frame(person)),
            Some(Route::File(row, nth)) => person(*row).and_then(|person| self.file(person, *nth)),
            Some(Route::Eml(row)) => person(*row).and_then(|person| self.eml(person)),
            None => None,
        };
        answer.unwrap_or_else(|| self.pages.missing(&self.facts, place))
    }

    /// The messages that a trail goes through.
    fn found(&self, trail: &Trail) -> Selection {
        match (trail.search.as_str(), trail.way) {
            ("", None) => Selection::All(self.list().len()),
            ("", Some(way)) => Selection::Some(self.ways().people(way).collect()),
            (typed, way) => {
                let mut found = Search::new(typed).through(self.list());
                if let Some(way) = way {
                    found.retain(|person| self.ways().takes(*person, way));
                }
                Selection::Some(found)
            }
        }
    }

    fn show_list(&self, trail: &Trail, place: &str) -> Answer {
        let found = self.found(trail);
        let pages = found.len().div_ceil(ON_A_PAGE).max(1);
        let page = trail.page.unwrap_or(1).clamp(1, pages);
        let start = (page - 1) * ON_A_PAGE;
        let end = (start + ON_A_PAGE).min(found.len());
        let here = Trail { page: Some(page), ..trail.clone() };
        let rows = (start..end).filter_map(|nth| self.list().get(found.at(nth)));
        let rows: Vec<Value> = rows.map(|person| self.row(person, &here, place)).collect();
        let to_page = |page: usize| Trail { page: Some(page), ..trail.clone() }.link(place);
        let way = trail.way.and_then(|way| Some((way, self.ways().all().get(way)?)));
        let body = json!({
            "search": trail.search,
            "is_narrowed": !trail.search.is_empty() || trail.way.is_some(),
            "way": way.map(|(nth, way)| json!({ "number": nth + 1, "answers": self.answers(way), "nth": nth })),
            "all": Trail { search: String::new(), way: None, page: None, ..trail.clone() }.link(place),
            "ways": self.has_branches().then(|| format!("{place}ways")),
            "template": self.template_name(),
            "list": visible(self.list().name()),
            "people": people(self.list().len()),
            "found": grouped(found.len()),
            "first": grouped(start + 1),
            "last": grouped(end),
            "page": grouped(page),
            "pages": grouped(pages),
            "has_pages": pages > 1,
            "previous": (page > 1).then(|| to_page(page - 1)),
            "next": (page < pages).then(|| to_page(page + 1)),
            "start": (page > 2).then(|| to_page(1)),
            "end": (page + 1 < pages).then(|| to_page(pages)),
            "has_branches": self.has_branches(),
            "notes": self.general,
            "rows": rows,
        });
        self.pages.show("list", &self.facts, "Messages", place, &body)
    }

    /// A row of the list.
    fn row(&self, person: Recipient<'_>, trail: &Trail, place: &str) -> Value {
        let remarks = self.remarks(person);
        let (message, notes, is_searched) =
            shown::make(&self.composer, &self.guard, person, &remarks, Some(MOST_SEARCHED_IN_LIST));
        let template = self.composer.template();
        let answers = template.answers(person).map(|answers| in_words(template, &answers));
        let noticed = note::counted(&notes);
        json!({
            "row": person.row(),
            "to": visible(person.address().as_str()),
            "link": trail.link(&format!("{place}message/{}", person.row())),
            "subject": message.as_ref().map(|message| visible(message.subject())),
            "branches": answers.map(|answers| in_short(&answers)).unwrap_or_default(),
            "is_searched": is_searched,
            "noticed": noticed.as_ref().map(|(words, _)| words),
            "worst": noticed.map(|(_, worst)| worst),
        })
    }

    fn template_name(&self) -> String {
        let name = self.composer.template().sources().next().map(|(path, _)| visible(path));
        name.unwrap_or_default()
    }

    /// The answers of a combination, in words.
    fn answers(&self, way: &Way) -> Vec<Value> {
        let answer = |(question, is_shown): (String, bool)| json!({ "question": question, "is_shown": is_shown });
        way.in_words(self.composer.template()).into_iter().map(answer).collect()
    }

    fn show_ways(&self, place: &str) -> Answer {
        let ways = self.ways().all();
        let list = self.list();
        let shown: Vec<Value> = ways
            .iter()
            .enumerate()
            .take(MOST_WAYS)
            .filter_map(|(nth, way)| {
                let first = list.get(way.first)?;
                let trail = Trail { way: Some(nth), ..Trail::default() };
                Some(json!({
                    "number": nth + 1,
                    "people": people(way.count),
                    "answers": self.answers(way),
                    "link": trail.link(place),
                    "row": first.row(),
                    "first": trail.link(&format!("{place}message/{}", first.row())),
                }))
            })
            .collect();
        let body = json!({
            "ways": shown,
            "count": counted(ways.len(), "way"),
            "more": (ways.len() > MOST_WAYS).then(|| grouped(ways.len() - MOST_WAYS)),
            "people": people(list.len()),
            "all": place,
        });
        self.pages.show("ways", &self.facts, "Branches", place, &body)
    }

    fn show_message(&self, person: Recipient<'_>, trail: &Trail, place: &str) -> Answer {
        self.looked_at(person);
        let (message, notes, _) = shown::make(&self.composer, &self.guard, person, &self.remarks(person), None);
        let about = About::of(&self.composer, person, message.as_ref(), notes);
        let parsed = message.as_ref().and_then(shown::parse);
        let has_html = parsed.as_ref().is_some_and(shown::has_html);
        let view = match trail.view {
            None | Some(View::Html) if has_html => View::Html,
            None | Some(View::Html) => View::Text,
            Some(view) => view,
        };
        let html = parsed.as_ref().filter(|_| view == View::Html).and_then(frame::html);
        let here = format!("{place}message/{}", about.row);
        let tabs = View::ALL.into_iter().filter(|tab| *tab != View::Html || has_html).map(|tab| {
            let count = (tab == View::Files && !about.files.is_empty()).then_some(about.files.len());
            json!({
                "word": tab.word(),
                "count": count,
                "link": Trail { view: Some(tab), ..trail.clone() }.link(&here),
                "is_here": tab == view,
            })
        });
        let found = self.found(trail);
        let position = match &found {
            Selection::All(_) => Some(person.index()),
            Selection::Some(people) => people.iter().position(|index| *index == person.index()),
        };
        let beside = |nth: Option<usize>| {
            let index = nth.filter(|nth| *nth < found.len()).map(|nth| found.at(nth))?;
            Some(trail.link(&format!("{place}message/{}", self.list().get(index)?.row())))
        };
        let page = position.map(|position| position / ON_A_PAGE + 1);
        let looks = |is_phone: bool, is_dark: bool| Trail { is_phone, is_dark, ..trail.clone() }.link(&here);
        let body = json!({
            "tabs": tabs.collect::<Vec<_>>(),
            "previous": beside(position.and_then(|position| position.checked_sub(1))),
            "next": beside(position.map(|position| position + 1)),
            "position": position.map(|position| grouped(position + 1)),
            "found": grouped(found.len()),
            "is_narrowed": !trail.search.is_empty() || trail.way.is_some(),
            "list": Trail { page, view: None, ..trail.clone() }.link(place),
            "here": here,
            "is_phone": trail.is_phone,
            "is_dark": trail.is_dark,
            "phone": looks(true, trail.is_dark),
            "desktop": looks(false, trail.is_dark),
            "light": looks(trail.is_phone, false),
            "dark": looks(trail.is_phone, true),
            "html": html.map(|_| format!("{here}/frame")),
            "links": html.map(links_of),
            "text": parsed.as_ref().filter(|_| view == View::Text).map(shown::text),
            "headers": parsed.as_ref().filter(|_| view == View::Headers).map(shown::headers),
            "source": message.as_ref().filter(|_| view == View::Source).map(shown::source),
            "is_files": view == View::Files && about.is_made,
            "is_alone": about.is_made && self.facts.id.is_none(),
            "about": about,
        });
        let title = format!("Row {}", person.row());
        self.pages.show("message", &self.facts, &title, place, &body)
    }

    fn frame(&self, person: Recipient<'_>) -> Option<Answer> {
        let message = self.composer.compose(person.index()).ok()?;
        let parsed = shown::parse(&message)?;
        let document = frame::document(frame::html(&parsed)?, &parsed);
        self.looked_at(person);
        Some(Answer::frame(document))
    }

    fn file(&self, person: Recipient<'_>, nth: usize) -> Option<Answer> {
        let message = self.composer.compose(person.index()).ok()?;
        let parsed = shown::parse(&message)?;
        let part = parsed.attachments().nth(nth)?;
        let name = mail_parser::MimeHeaders::attachment_name(part).unwrap_or("attachment");
        Some(Answer::download(name, part.contents().to_vec()))
    }

    fn eml(&self, person: Recipient<'_>) -> Option<Answer> {
        let message = self.composer.compose(person.index()).ok()?;
        self.looked_at(person);
        let name = format!("row-{:06}.eml", message.row());
        Some(Answer::download(&name, message.dated(&ZonedDateTime::now())))
    }
}

/// Where the links in some HTML lead.
fn links_of(html: &str) -> Value {
    let links: Vec<String> = frame::links(html).iter().map(|link| visible(link)).collect();
    json!({ "count": counted(links.len(), "link"), "all": links })
}

/// The answers to a template's questions in a table's cell.
fn in_short(answers: &[(String, bool)]) -> String {
    const MOST: usize = 3;
    let word = |(question, is_shown): &(String, bool)| {
        let question = question.split("}}").next().unwrap_or_default().trim_start_matches("{{#");
        format!("{question}: {}", if *is_shown { "shown" } else { "not shown" })
    };
    let mut words: Vec<String> = answers.iter().take(MOST).map(word).collect();
    if answers.len() > MOST {
        words.push(format!("and {} more", answers.len() - MOST));
    }
    words.join("; ")
}

/// How many people, in words.
fn people(number: usize) -> String {
    if number == 1 { "1 person".into() } else { format!("{} people", grouped(number)) }
}

/// `100000` as `100,000`
fn grouped(number: usize) -> String {
    HumanCount(number as u64).to_string()
}
