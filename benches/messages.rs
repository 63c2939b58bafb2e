//! Making a message of 4 KiB, HTML and text, beside plain handlebars and lettre's builder.
//!
//! `cargo bench --bench messages` makes the messages to a list of 1,000 people in these ways, in one process and on one
//! core, a few messages of each way in turn, many times:
//!
//! * peer: the handlebars crate renders an HTML and a text template, lettre's builder puts them together; no check;
//! * own text: [`Composer::compose`] and the digest, from the same two templates;
//! * auto text: the same, where the text part is made from the HTML;
//! * markdown: the same words in Markdown, in the layout that it has by itself.
//!
//! "Its templates" is the part of a way that renders. It prints how large a message is, the medians of the time a
//! message takes, and their ratios to the peer. Then it does the second way for lists of 1,000, 10,000 and 100,000 people
//! in turn, to show that a message does not cost more on a longer list. What the guard costs is in `guard.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

#[path = "messages/people.rs"]
mod people;

use std::{hint::black_box, path::Path, sync::Arc};

use apiece::{campaign::ListOptions, message::Composer, recipients::RecipientList, template::Template};
use handlebars::Handlebars;
use lettre::message::{Mailbox, MultiPart};
use people::{Person, csv, in_turn, people};

const HTML: &str = include_str!("messages/update.html.hbs");
const TEXT: &str = include_str!("messages/update.txt.hbs");
const MARKDOWN: &str = include_str!("messages/update.md.hbs");

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let without_text = HTML.lines().filter(|line| !line.starts_with("text_template")).collect::<Vec<_>>().join("\n");
    std::fs::write(directory.join("update.txt.hbs"), TEXT).unwrap();
    std::fs::write(directory.join("own.html.hbs"), HTML).unwrap();
    std::fs::write(directory.join("auto.html.hbs"), without_text).unwrap();
    std::fs::write(directory.join("update.md.hbs"), MARKDOWN).unwrap();

    let people = people(1000);
    let list = list(&people);
    let peer = Peer::new();
    let own = composer(&directory.join("own.html.hbs"), &list);
    let auto = composer(&directory.join("auto.html.hbs"), &list);
    let markdown = composer(&directory.join("update.md.hbs"), &list);
    let compose = |composer: &Composer, index| {
        let message = composer.compose(index).unwrap();
        black_box(message.digest());
        message.bytes().len()
    };
    let sizes = |(text, html): (String, String)| text.len() + html.len();
    let ways: [(&str, &dyn Fn(usize) -> usize); 6] = [
        ("peer", &|index| peer.message(&people[index]).len()),
        ("  its templates", &|index| sizes(peer.render(&people[index]))),
        ("own text", &|index| compose(&own, index)),
        ("  its templates", &|index| {
            let rendered = own.template().render(list.get(index).unwrap()).unwrap();
            sizes((rendered.text, rendered.html.unwrap()))
        }),
        ("auto text", &|index| compose(&auto, index)),
        ("markdown", &|index| compose(&markdown, index)),
    ];
    let times = in_turn(&ways.map(|(_, way)| way), list.len());
    println!("{:16}  {:>7}  {:>9}  {:>7}", "", "size", "a message", "/ peer");
    for ((name, way), time) in ways.iter().zip(&times) {
        let size = (0..list.len()).map(way).sum::<usize>() / list.len();
        println!("{name:16}  {size:>5} B  {time:>6.1} µs  {:>7.2}", time / times[0]);
    }

    println!();
    let lists = [1_000, 10_000, 100_000]
        .map(|length| composer(&directory.join("own.html.hbs"), &crate::list(&crate::people(length))));
    let ways = lists.each_ref().map(|composer| {
        // Far apart, as the next one is already in the processor's cache.
        move |nth: usize| compose(composer, nth * 7919 % composer.list().len())
    });
    let times = in_turn(&ways.each_ref().map(|way| way as &dyn Fn(usize) -> usize), 100_000);
    for (composer, time) in lists.iter().zip(&times) {
        println!("{:>7} people: own text {time:>5.1} µs a message", composer.list().len());
    }
}

/// What anybody would write.
struct Peer {
    templates: Handlebars<'static>,
    from: Mailbox,
    reply_to: Mailbox,
}

impl Peer {
    fn new() -> Self {
        let mut templates = Handlebars::new();
        templates.register_template_string("html", HTML.splitn(3, "+++\n").last().unwrap()).unwrap();
        templates.register_template_string("text", TEXT).unwrap();
        Self {
            templates,
            from: "Operation Example <updates@police.example>".parse().unwrap(),
            reply_to: "Casework <casework@police.example>".parse().unwrap(),
        }
    }

    fn render(&self, person: &Person) -> (String, String) {
        (self.templates.render("text", person).unwrap(), self.templates.render("html", person).unwrap())
    }

    fn message(&self, person: &Person) -> Vec<u8> {
        let (text, html) = self.render(person);
        lettre::Message::builder()
            .from(self.from.clone())
            .reply_to(self.reply_to.clone())
            .to(Mailbox::new(Some(person.name.clone()), person.address.clone()))
            .subject(format!("An update on your case {}", person.case_ref))
            .multipart(MultiPart::alternative_plain_html(text, html))
            .unwrap()
            .formatted()
    }
}

fn composer(template: &Path, list: &Arc<RecipientList>) -> Composer {
    Composer::new(Template::read(template, list.columns()).unwrap().into(), Arc::clone(list))
}

fn list(people: &[Person]) -> Arc<RecipientList> {
    RecipientList::parse("people.csv", &csv(people), &ListOptions::default()).unwrap().into()
}
