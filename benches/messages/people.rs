//! Made-up people, and the way in which benchmarks take turns.

#![allow(dead_code, reason = "not every benchmark takes turns")]

use std::{fmt::Write, hint::black_box, time::Instant};

use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Person {
    #[serde(skip)]
    pub(crate) address: lettre::Address,
    pub(crate) name: String,
    pub(crate) case_ref: String,
    pub(crate) date: String,
    pub(crate) link: String,
    pub(crate) court: String,
    pub(crate) officer: String,
}

/// Made-up people.
pub(crate) fn people(length: usize) -> Vec<Person> {
    (0..length).map(person).collect()
}

/// One of them.
pub(crate) fn person(nth: usize) -> Person {
    let first =
        ["Ada", "Björn", "Chiara", "Dmitri", "Élodie", "Femi", "Grace", "Hans", "Imani", "Jürgen", "Kofi", "Layla"];
    let last =
        ["Abbott", "Brandt", "Castillo", "Dubois", "O'Brien", "Fischer", "Greenwood", "Haddad", "Ivanova", "Jensen"];
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    let (first, last) = (first[nth % first.len()], last[nth / 7 % last.len()]);
    let address = format!("{}.{}{nth}@mail{}.example", plain(first), plain(last), nth % 97);
    Person {
        address: address.parse().unwrap(),
        name: format!("{first} {last}"),
        case_ref: format!("OE-{nth:08}"),
        date: format!("{} November 2026", nth % 30 + 1),
        link: format!("https://cases.police.example/page?case=OE-{nth:08}&key={:016x}", nth * 0x9e37_79b9_7f4a),
        court: if nth.is_multiple_of(3) { format!("Court {} in Example Street", nth % 12 + 1) } else { String::new() },
        officer: format!("DC {} {}", nth % 40 + 100, ["Marsh", "Okafor", "Pemberton", "Quinn"][nth % 4]),
    }
}

/// A list of them.
pub(crate) fn csv(people: &[Person]) -> String {
    let mut csv = String::from("Name,E-Mail,Case ref,Date,Link,Court,Officer\n");
    for person in people {
        let Person { address, name, case_ref, date, link, court, officer } = person;
        writeln!(csv, "{name},{address},{case_ref},{date},{link},{court},{officer}").unwrap();
    }
    csv
}

const TURNS: usize = 101;

/// So many messages are made in a turn.
const SOME: u32 = 100;

/// The median of what each way takes for one message, in µs.
pub(crate) fn in_turn<const WAYS: usize>(ways: &[&dyn Fn(usize) -> usize; WAYS], length: usize) -> [f64; WAYS] {
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
