//! Making a message of 4 KiB, HTML and text, beside plain handlebars and lettre's builder.
//!
//! `cargo bench --bench messages` makes the messages to a list of 1,000 people in these ways, in one process and on one
//! core, a few messages of each way in turn, many times:
//!
//! * peer: the handlebars crate renders an HTML and a text template, lettre's builder puts them together; no check;
//! * own text: [`Composer::compose`] and the digest, from the same two templates;
//! * auto text: the same, where the text part is made from the HTML;
//! * markdown: the same words in Markdown, in the layout that it has by itself;
//! * guard: what looks through the messages of the second way for other people's addresses.
//!
//! "Its templates" is the part of a way that renders. It prints how large a message is, the medians of the time a message takes, and their ratios to the peer. Then it
//! does the second way and the guard for lists of 1,000, 10,000 and 100,000 people in turn, to show that a message does
//! not cost more on a longer list.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

use std::{fmt::Write, hint::black_box, path::Path, sync::Arc, time::Instant};

use apiece::{
    campaign::ListOptions,
    guard::Guard,
    message::{Composer, Message},
    recipients::RecipientList,
    template::Template,
};
use handlebars::Handlebars;
use lettre::message::{Mailbox, MultiPart};
use serde::Serialize;

const HTML: &str = include_str!("messages/update.html.hbs");
const TEXT: &str = include_str!("messages/update.txt.hbs");
const MARKDOWN: &str = include_str!("messages/update.md.hbs");

const TURNS: usize = 101;

/// So many messages are made in a turn.
const SOME: u32 = 100;

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
    let guard = guard(&own);
    let messages: Vec<Message> = (0..list.len()).map(|index| own.compose(index).unwrap()).collect();
    let compose = |composer: &Composer, index| {
        let message = composer.compose(index).unwrap();
        black_box(message.digest());
        message.bytes().len()
    };
    let sizes = |(text, html): (String, String)| text.len() + html.len();
    let inspect = |index: usize| {
        assert_eq!(guard.inspect(&messages[index]), []);
        messages[index].bytes().len()
    };
    let ways: [(&str, &dyn Fn(usize) -> usize); 7] = [
        ("peer", &|index| peer.message(&people[index]).len()),
        ("  its templates", &|index| sizes(peer.render(&people[index]))),
        ("own text", &|index| compose(&own, index)),
        ("  its templates", &|index| {
            let rendered = own.template().render(list.get(index).unwrap()).unwrap();
            sizes((rendered.text, rendered.html.unwrap()))
        }),
        ("auto text", &|index| compose(&auto, index)),
        ("markdown", &|index| compose(&markdown, index)),
        ("guard", &inspect),
    ];
    let times = in_turn(&ways.map(|(_, way)| way), list.len());
    println!("{:16}  {:>7}  {:>9}  {:>7}", "", "size", "a message", "/ peer");
    for ((name, way), time) in ways.iter().zip(&times) {
        let size = (0..list.len()).map(way).sum::<usize>() / list.len();
        println!("{name:16}  {size:>5} B  {time:>6.1} µs  {:>7.2}", time / times[0]);
    }

    println!();
    let lists = [1_000, 10_000, 100_000].map(|length| list_of(length, &directory.join("own.html.hbs")));
    let both = lists.each_ref().map(|(composer, guard)| {
        let length = composer.list().len();
        move |nth: usize| {
            // Far apart, as the next one is already in the processor's cache.
            let message = composer.compose(nth * 7919 % length).unwrap();
            assert_eq!(guard.inspect(&message), []);
            usize::from(black_box(message.digest()) == black_box(message.digest()))
        }
    });
    let times = in_turn(&both.each_ref().map(|way| way as &dyn Fn(usize) -> usize), 100_000);
    for ((composer, _), time) in lists.iter().zip(&times) {
        println!("{:>7} people: own text and guard {time:>5.1} µs a message", composer.list().len());
    }
}

/// The median of what each way takes for one message, in µs.
fn in_turn<const WAYS: usize>(ways: &[&dyn Fn(usize) -> usize; WAYS], length: usize) -> [f64; WAYS] {
    let mut times = [const { Vec::new() }; WAYS];
    for turn in 0..TURNS {
        for (way, times) in ways.iter().zip(&mut times) {
            let start = Instant::now();
            for nth in 0..SOME as usize {
                black_box(way(black_box((turn * SOME as usize + nth) % length)));
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(SOME));
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[TURNS / 2]
    })
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

fn guard(composer: &Composer) -> Guard {
    Guard::new(Arc::clone(composer.list()), &composer.template().fixed_addresses())
}

fn list_of(length: usize, template: &Path) -> (Composer, Guard) {
    let composer = composer(template, &list(&people(length)));
    let guard = guard(&composer);
    (composer, guard)
}

#[derive(Serialize)]
struct Person {
    #[serde(skip)]
    address: lettre::Address,
    name: String,
    case_ref: String,
    date: String,
    link: String,
    court: String,
    officer: String,
}

/// Made-up people.
fn people(length: usize) -> Vec<Person> {
    let first =
        ["Ada", "Björn", "Chiara", "Dmitri", "Élodie", "Femi", "Grace", "Hans", "Imani", "Jürgen", "Kofi", "Layla"];
    let last =
        ["Abbott", "Brandt", "Castillo", "Dubois", "O'Brien", "Fischer", "Greenwood", "Haddad", "Ivanova", "Jensen"];
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    let person = |nth: usize| {
        let (first, last) = (first[nth % first.len()], last[nth / 7 % last.len()]);
        let address = format!("{}.{}{nth}@mail{}.example", plain(first), plain(last), nth % 97);
        Person {
            address: address.parse().unwrap(),
            name: format!("{first} {last}"),
            case_ref: format!("OE-{nth:08}"),
            date: format!("{} November 2026", nth % 30 + 1),
            link: format!("https://cases.police.example/page?case=OE-{nth:08}&key={:016x}", nth * 0x9e37_79b9_7f4a),
            court: if nth.is_multiple_of(3) {
                format!("Court {} in Example Street", nth % 12 + 1)
            } else {
                String::new()
            },
            officer: format!("DC {} {}", nth % 40 + 100, ["Marsh", "Okafor", "Pemberton", "Quinn"][nth % 4]),
        }
    };
    (0..length).map(person).collect()
}

fn list(people: &[Person]) -> Arc<RecipientList> {
    let mut csv = String::from("Name,E-Mail,Case ref,Date,Link,Court,Officer\n");
    for person in people {
        let Person { address, name, case_ref, date, link, court, officer } = person;
        writeln!(csv, "{name},{address},{case_ref},{date},{link},{court},{officer}").unwrap();
    }
    RecipientList::parse("people.csv", &csv, &ListOptions::default()).unwrap().into()
}
