//! What it costs to look through messages of 4 KiB, HTML and text, for what is somebody else's.
//!
//! `cargo bench --bench guard` does this with messages to a list of 1,000 people, in one process and on one core, some of
//! each way in turn, many times:
//!
//! * made: the message is rendered, built and hashed, with a text template of its own, as cheaply as apiece makes one;
//! * least: mail-parser parses the message, and what is around each @ is looked up in a hash set;
//! * guard: [`Guard::inspect`], which parses it, too;
//! * three columns: the same that knows the values of three identifying columns.
//!
//! It prints the medians and their ratios to the first. Then the guard goes through the same number of messages to 1,000
//! and to 1,000,000 people in turn, and what the larger list and the guard keep in memory is counted. `PEOPLE=100000` makes
//! that shorter.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

mod memory;
#[path = "messages/people.rs"]
mod people;

use std::{collections::HashSet, fmt::Write, path::Path, process::Command, sync::Arc};

use apiece::{
    campaign::ListOptions,
    guard::Guard,
    message::{Composer, Message},
    recipients::RecipientList,
    template::Template,
};
use mail_parser::{MessageParser, PartType};
use people::{csv, in_turn, people, person};

const COLUMNS: [&str; 3] = ["Name", "Case ref", "Link"];

/// So many messages of a list are looked through.
const MESSAGES: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, way, length] = arguments.as_slice()
        && way == "memory"
    {
        return count_memory(length.parse().unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    let template = directory.path().join("update.html.hbs");
    std::fs::write(&template, include_str!("messages/update.html.hbs")).unwrap();
    std::fs::write(directory.path().join("update.txt.hbs"), include_str!("messages/update.txt.hbs")).unwrap();

    let few = Campaign::new(&template, MESSAGES);
    let addresses: HashSet<String> = few.composer.list().iter().map(|one| one.address().key()).collect();
    let made = |index| {
        let message = few.composer.compose(index).unwrap();
        usize::from(message.digest() == message.digest())
    };
    let ways: [(&str, &dyn Fn(usize) -> usize); 4] = [
        ("made", &made),
        ("least", &|index| least(&few.messages[index], &addresses)),
        ("guard", &|index| inspect(&few.guard, &few.messages[index])),
        ("three columns", &|index| inspect(&few.with_columns, &few.messages[index])),
    ];
    let times = in_turn(&ways.map(|(_, way)| way), MESSAGES);
    let size = few.messages.iter().map(|message| message.bytes().len()).sum::<usize>() / MESSAGES;
    println!("messages of {size} bytes     a message   / made");
    for ((name, _), time) in ways.iter().zip(&times) {
        println!("{name:20}  {time:>11.1} µs  {:>7.2}", time / times[0]);
    }

    let length = std::env::var("PEOPLE").ok().and_then(|people| people.parse().ok()).unwrap_or(1_000_000_usize);
    let many = Campaign::new(&template, length);
    let ways: [(&str, &dyn Fn(usize) -> usize); 4] = [
        ("guard", &|index| inspect(&few.guard, &few.messages[index])),
        ("guard", &|index| inspect(&many.guard, &many.messages[index])),
        ("three columns", &|index| inspect(&few.with_columns, &few.messages[index])),
        ("three columns", &|index| inspect(&many.with_columns, &many.messages[index])),
    ];
    let times = in_turn(&ways.map(|(_, way)| way), MESSAGES);
    println!("\na message of a list of      {MESSAGES:>9}    {length:>9}    ratio");
    for (way, time) in ways.chunks(2).zip(times.chunks(2)) {
        println!("{:24}  {:>8.1} µs  {:>8.1} µs  {:>7.2}", way[0].0, time[0], time[1], time[1] / time[0]);
    }

    // In a process of its own, where no memory is free that was used before.
    let memory = Command::new(std::env::current_exe().unwrap()).args(["memory", &length.to_string()]).output().unwrap();
    print!("\n{}", String::from_utf8(memory.stdout).unwrap());
}

/// Counts what is kept for a list of addresses alone.
fn count_memory(length: usize) {
    let mut addresses = String::with_capacity(length * 40);
    addresses.push_str("email\n");
    for nth in 0..length {
        writeln!(addresses, "{}", person(nth).address).unwrap();
    }
    let before = memory::kib("VmRSS");
    let list = Arc::new(RecipientList::parse("people.csv", &addresses, &ListOptions::default()).unwrap());
    let listed = memory::kib("VmRSS");
    let guard = Guard::new(Arc::clone(&list), &[]);
    let each = |bytes: u64| f64::from(u32::try_from(bytes).unwrap()) / f64::from(u32::try_from(length).unwrap());
    println!(
        "kept for each of {length} addresses: {:.1} bytes for the list with its index and the address, {:.1} of which \
         are the address; {:.1} bytes more for the guard",
        each(1024 * listed.saturating_sub(before)),
        each(addresses.len() as u64) - 1.0,
        each(1024 * memory::kib("VmRSS").saturating_sub(listed)),
    );
    drop(guard);
}

/// A list, and what is sent to some people on it.
struct Campaign {
    composer: Composer,
    guard: Guard,
    with_columns: Guard,
    /// To people far apart, as the next one is already in the processor's cache.
    messages: Vec<Message>,
}

impl Campaign {
    fn new(template: &Path, length: usize) -> Self {
        let options = ListOptions { identifying: COLUMNS.map(str::to_owned).to_vec(), ..ListOptions::default() };
        let list = RecipientList::parse("people.csv", &csv(&people(length)), &options).unwrap();
        let template = Template::read(template, list.columns()).unwrap();
        let composer = Composer::new(Arc::new(template), Arc::new(list));
        let guard = || Guard::new(Arc::clone(composer.list()), &composer.template().fixed_addresses());
        let (guard, with_columns) = (guard(), guard().with_identifying(3, &[]));
        let step = length / MESSAGES;
        let messages = (0..MESSAGES).map(|nth| composer.compose(nth * step).unwrap()).collect();
        Self { composer, guard, with_columns, messages }
    }
}

fn inspect(guard: &Guard, message: &Message) -> usize {
    assert_eq!(guard.inspect(message), []);
    message.bytes().len()
}

/// The least that anybody would do.
fn least(message: &Message, addresses: &HashSet<String>) -> usize {
    let own = message.envelope().to().key();
    let parsed = MessageParser::default().parse(message.bytes()).unwrap();
    let mut others = 0;
    for part in &parsed.parts {
        if let PartType::Text(text) | PartType::Html(text) = &part.body {
            let ends = |c: char| !c.is_ascii_alphanumeric() && !"@.-_+".contains(c);
            let words = text.split(ends).filter(|word| word.contains('@'));
            others += words.map(str::to_lowercase).filter(|word| *word != own && addresses.contains(word)).count();
        }
    }
    assert_eq!(others, 0);
    parsed.parts.len()
}
