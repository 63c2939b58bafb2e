use super::*;
use crate::campaign::ListOptions;

const PEOPLE: [(&str, &str); 8] = [
    ("Ada Lovelace", "ada.lovelace"),
    ("Björn Müller", "bjoern.mueller"),
    ("Cem Kaya", "ckaya"),
    ("Dee Díaz", "diaz1970"),
    ("Eve O'Neil", "oneil.eve"),
    ("Fay Wu", "fay.wu"),
    ("Gil Ng", "ng"),
    ("Hal Ober", "halober"),
];

/// What is said about a list of names and addresses.
fn said(people: impl IntoIterator<Item = (String, String)>) -> String {
    let mut text = "Name,E-Mail\n".to_owned();
    for (name, local) in people {
        let _ = writeln!(text, "{name},{local}@x{}.example", text.len());
    }
    match RecipientList::parse("p.csv", &text, &ListOptions::default()) {
        Ok(list) => list.remarks().to_string(),
        Err(why) => why.to_string(),
    }
}

fn shifted(by: usize, from: usize, people: &[(&str, &str)]) -> Vec<(String, String)> {
    let local = |nth: usize| people[if nth >= from { (nth + by) % people.len() } else { nth }].1;
    people.iter().enumerate().map(|(nth, (name, _))| ((*name).to_owned(), local(nth).to_owned())).collect()
}

#[test]
fn a_list_in_order_is_left_alone() {
    assert_eq!(said(shifted(0, 0, &PEOPLE)), "");
}

#[test]
fn a_column_that_moved_up_or_down_is_seen() {
    let up = said(shifted(1, 0, &PEOPLE));
    assert!(up.contains("p.csv, row 2, column \"E-Mail\": from this row on the addresses look like those of the people in the row below:"), "{up}");
    assert!(up.contains("  2  Ada Lovelace  bjoern.mueller@x12.example  Björn Müller (row 3)\n"), "{up}");
    assert!(up.contains("say --rows-are-right"), "{up}");
    let down = said(shifted(PEOPLE.len() - 1, 0, &PEOPLE));
    assert!(
        down.contains(
            "row 3, column \"E-Mail\": from this row on the addresses look like those of the people in the row above:"
        ),
        "{down}"
    );
    let late = said(shifted(1, 4, &PEOPLE));
    assert!(late.contains("row 6, column"), "{late}");
}

#[test]
fn a_column_that_moved_further_or_alone_or_in_families_is_seen() {
    let two = said(shifted(2, 0, &PEOPLE));
    assert!(two.contains("from this row on the addresses look like those of the people 2 rows below:"), "{two}");
    // Families, sorted: only the initial tells.
    let families: Vec<(String, String)> = ["Adler", "Bauer", "Cole", "Dunn", "Ernst", "Frey"]
        .iter()
        .flat_map(|family| {
            ["Anna", "Max"].map(|first| (format!("{first} {family}"), format!("{}.{family}", &first[..1])))
        })
        .collect();
    assert_eq!(said(families.clone()), "");
    let moved = families
        .iter()
        .enumerate()
        .map(|(nth, (name, _))| (name.clone(), families[(nth + 1) % families.len()].1.to_lowercase()));
    let moved = said(moved);
    assert!(
        moved.contains("from this row on the addresses look like those of the people in the row below:"),
        "{moved}"
    );
    // So far that only the names tell.
    let far = said(shifted(
        5,
        0,
        &[
            ("Ada Berg", "ada.berg"),
            ("Bo Cole", "bo.cole"),
            ("Cem Dunn", "cem.dunn"),
            ("Dee East", "dee.east"),
            ("Eve Frey", "eve.frey"),
            ("Finn Gray", "finn.gray"),
            ("Gus Hill", "gus.hill"),
            ("Hal Ives", "hal.ives"),
            ("Ida Jong", "ida.jong"),
            ("Jon Kay", "jon.kay"),
            ("Kim Lee", "kim.lee"),
            ("Leo Mann", "leo.mann"),
        ],
    ));
    assert!(far.contains("from this row on the addresses look like those of the people in other rows:"), "{far}");
    // Only first names moved, and of them addresses show the initials.
    let mut text = "First,Last,E-Mail\n".to_owned();
    let people = [
        ("Ada", "Smith"),
        ("Boris", "Jones"),
        ("Clara", "Weber"),
        ("David", "Koch"),
        ("Emma", "Brown"),
        ("Frank", "Taylor"),
    ];
    for (nth, (first, last)) in people.iter().enumerate() {
        let _ = writeln!(text, "{},{last},{}{last}@one.example", people[(nth + 1) % people.len()].0, &first[..1]);
    }
    let wrong = RecipientList::parse("p.csv", &text, &ListOptions::default()).unwrap_err().to_string();
    assert!(wrong.contains("look like those of the people in the row above:"), "{wrong}");
    // First names that moved, last names that did not, under headings that say nothing.
    let mut text = "A,B,E-Mail\n".to_owned();
    let people = [
        ("Ada", "Berg"),
        ("Bo", "Cole"),
        ("Cem", "Dunn"),
        ("Dee", "East"),
        ("Eve", "Frey"),
        ("Finn", "Gray"),
        ("Gus", "Hill"),
    ];
    for (nth, (first, last)) in people.iter().enumerate() {
        let _ = writeln!(text, "{},{last},{first}.{last}@one.example", people[(nth + 1) % people.len()].0);
    }
    let wrong = RecipientList::parse("p.csv", &text, &ListOptions::default()).unwrap_err().to_string();
    assert!(wrong.contains("look like those of the people in the row above:"), "{wrong}");
}

#[test]
fn families_couples_and_nicknames_are_no_moved_column() {
    let couples = [
        ("Ann Berg", "bob.berg"),
        ("Bob Berg", "bob.berg2"),
        ("Cem Cole", "dee.cole"),
        ("Dee Cole", "dee.cole2"),
        ("Eve East", "fred.east"),
        ("Fred East", "fred.east2"),
        ("Gil Goss", "hal.goss"),
        ("Hal Goss", "hal.goss2"),
    ];
    assert_eq!(said(shifted(0, 0, &couples)), "");
    let partners = [
        ("Elizabeth Moore", "richard.moore0"),
        ("Richard Moore", "rm84"),
        ("Patricia Moore", "isla.moore2"),
        ("Isla Moore", "im55"),
        ("Robert King", "amelia.king4"),
        ("Amelia King", "ak53"),
        ("James King", "joseph.king6"),
        ("Joseph King", "jk48"),
    ];
    assert_eq!(said(shifted(0, 0, &partners)), "");
    let nicknames = [
        ("Ann Berg", "sunshine"),
        ("Bob Cole", "tiger77"),
        ("Cem Kaya", "info"),
        ("Dee Diaz", "office"),
        ("Eve East", "mail"),
        ("Fay Finn", "kaya-fan"),
    ];
    assert_eq!(said(shifted(0, 0, &nicknames)), "");
}

#[test]
fn a_single_row_with_another_persons_address_is_worth_a_look() {
    let mut people = shifted(0, 0, &PEOPLE);
    people[6].1 = "lovelace_ada".into();
    assert_eq!(
        said(people),
        "warning: p.csv, row 8, column \"E-Mail\": \"lovelace_ada@x212.example\" looks like the address of \"Ada Lovelace\" in row 2\n  \
         help: look at both rows\n"
    );
}

#[test]
fn long_lists_are_not_refused_by_accident() {
    // Addresses that have nothing to do with names, but hold the names of neighbours now and then.
    let first = [
        "ann", "bob", "cem", "dee", "eve", "fay", "gil", "hal", "ida", "jon", "kay", "leo", "mia", "ned", "ola", "pia",
    ];
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let people: Vec<(String, String)> =
        (0..20_000).map(|nth| (first[next(16)].to_owned(), format!("{}{nth}", first[next(16)]))).collect();
    assert_eq!(said(people), "");
}
