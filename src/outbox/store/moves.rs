//! An outbox that is moved: all of it goes, nothing stays that could be sent, and at no moment can it be sent from both.

use crate::outbox::Attempt;
use std::collections::BTreeMap;

use super::{
    both::{Place, WHO, begins, composer, ends, for_every_database, freeze, take, write},
    copy::TABLES,
    seal::{Arrival, arrival},
    *,
};

for_every_database![
    all_of_it_goes_and_comes_back_the_same,
    nothing_is_changed_any_more_where_it_was,
    it_is_refused_where_it_could_do_harm,
    what_was_broken_off_goes_on_or_is_taken_back,
];

/// Tables that are made anew where they are needed, or are about one place.
const NOT_COPIED: &[&str] =
    &["state", "transition", "moved", "run", "version", "worker", "place", "sharer", "queue", "batch"];

/// One of each kind.
fn each_kind() -> Vec<Place> {
    vec![
        Place::file(),
        #[cfg(feature = "postgres")]
        Place::server(),
    ]
}

/// All rows of all tables, as the database itself names these and their columns.
fn everything(store: &Store) -> BTreeMap<String, Vec<String>> {
    let (tables, columns) = match store.location {
        Location::File(_) => (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            "SELECT name FROM pragma_table_info(?) ORDER BY name",
        ),
        #[cfg(feature = "postgres")]
        Location::Server(_) => (
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'apiece' AND table_type = 'BASE TABLE'",
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_schema = 'apiece' AND CAST(table_name AS TEXT) = ?
             ORDER BY CAST(column_name AS TEXT) COLLATE \"C\"",
        ),
    };
    let texts = |sql: &str, values: &[crate::outbox::database::Value<'_>]| -> Vec<String> {
        store.database.all(sql, values, |row| row.get(0)).unwrap()
    };
    let mut all = BTreeMap::new();
    for table in texts(tables, &[]).into_iter().filter(|table| !NOT_COPIED.contains(&table.as_str())) {
        let mut columns = texts(columns, values![table]);
        // Whoever took a slot has none any more.
        columns.retain(|column| (table.as_str(), column.as_str()) != ("slot", "holder"));
        let mut copied: Vec<&str> =
            TABLES.iter().filter(|one| one.name == table).flat_map(copy::Table::columns).collect();
        copied.sort_unstable();
        assert_eq!(copied, columns, "{table}");
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        let row = |row: &crate::outbox::database::Row<'_>| {
            (0..columns.len()).map(|nth| Ok(format!("{:?}", row.cell(nth)?))).collect::<Done<Vec<_>>>()
        };
        let mut rows: Vec<String> =
            store.database.all(&sql, &[], row).unwrap().into_iter().map(|row| row.join(" ")).collect();
        rows.sort();
        assert!(!rows.is_empty(), "{table}");
        all.insert(table, rows);
    }
    assert_eq!(all.len(), TABLES.len());
    all
}

/// A record with messages in all states in which they can be while nobody sends; gives the ids of its campaigns.
fn furnish(place: &Place) -> Vec<String> {
    let names = ["ada", "bo", "cy", "di", "ed", "flo", "gus", "hal", "ida"];
    let mut store = place.open();
    let ids: Vec<String> =
        [(&names[..], "hello", false), (&names[..3], "private words", false), (&names[..2], "next ☃", false)]
            .map(|(names, words, again)| freeze(&mut store, &composer(names, words), again).unwrap().id)
            .into();
    let (campaign, _) = take(&mut store, &ids[0]).unwrap();
    let journal = Journal::start(place.open(), campaign, Some("work".into())).unwrap();
    for (position, outcome) in [(0, Outcome::Sent), (1, Outcome::Sent), (2, Outcome::Failed), (4, Outcome::Sent)] {
        write(&journal, position, begins()).unwrap();
        write(&journal, position, ends(outcome)).unwrap();
    }
    let [since, due] = [1_700_000_000_001, 4_000_000_060_000].map(|at| Timestamp::from_millisecond(at).unwrap());
    let (outcome, code, said) = (Outcome::Deferred, Some((450, None)), "450 \u{1}\t later\r\n450 ☃ \"'".to_owned());
    let put_off = Some(PutOff { tries: 3, since, due });
    write(&journal, 3, begins()).unwrap();
    write(&journal, 3, Attempt::Ends { outcome, code, said, at: Timestamp::now(), put_off }).unwrap();
    // One whose run ended in the middle, and one of whom nothing was known by then.
    write(&journal, 5, begins()).unwrap();
    drop(journal);
    drop(take(&mut store, &ids[0]).unwrap());
    let one = |row: u64| Some(format!("{row}").parse().unwrap());
    let first = store.campaign(&ids[0]).unwrap();
    let taken_back = (&[Outcome::Queued][..], Outcome::Cancelled);
    let nothing = |_: &[u64]| serde_json::Value::Null;
    store.decide(&first, taken_back, one(8).as_ref(), (WHO, "cancelled"), nothing).unwrap();
    let sql = "UPDATE message SET state = 'suppressed' WHERE campaign = ? AND position = 7";
    assert_eq!(store.database.run(sql, values![first.number]).unwrap(), 1);
    // One that is purged, one that is only here to be looked at, and one that is approved and prepared once more.
    let second = store.campaign(&ids[1]).unwrap();
    store.decide(&second, taken_back, None, (WHO, "cancelled"), nothing).unwrap();
    store.purge(&store.campaign(&ids[1]).unwrap(), WHO, Timestamp::now()).unwrap();
    let details = serde_json::json!({ "signature": "☃ -----BEGIN\n\u{0}" });
    store.log(&ids[2], Deed { who: WHO, what: "approved", details: &details }, Timestamp::now()).unwrap();
    let foreign = freeze(&mut store, &composer(&["jo"], "for others"), false).unwrap().id;
    let foreign = store.campaign(&foreign).unwrap();
    let sql = "UPDATE campaign SET origin = 'élsewhere', home = '/h/o' WHERE number = ?";
    store.database.run(sql, values![foreign.number]).unwrap();
    let sql = "UPDATE message SET occurrence = '2026-11', once = ?, says = ? WHERE campaign = ?";
    store.database.run(sql, values![[7_u8; 16], i64::MIN, foreign.number]).unwrap();
    let bytes: Vec<u8> = (0..70_000_u32).map(|nth| nth.to_le_bytes()[0]).collect();
    let change = store.database.change().unwrap();
    freeze::insert_file(&change, foreign.number, "a/ü.pdf", &[9; 32], &bytes).unwrap();
    change.commit().unwrap();
    let sql = "INSERT INTO slot (number, account, campaign, taken, over) VALUES (?, 'work', ?, ?, ?)";
    for (number, over) in [(40_i64, Some(1_700_000_000_002_i64)), (41, None)] {
        store.database.run(sql, values![number, first.number, 1_700_000_000_001_i64, over]).unwrap();
    }
    store.database.run("UPDATE attempt SET slot = 77 WHERE position = 0", &[]).unwrap();
    ids
}

fn all_of_it_goes_and_comes_back_the_same(place: &Place) {
    for other in each_kind() {
        let (place, back) = (place.another(), place.another());
        let ids = furnish(&place);
        let source = place.open();
        let before = everything(&source);
        let states = &before["message"];
        for state in ["sent", "failed", "deferred", "in_doubt", "queued", "cancelled", "suppressed"] {
            assert!(states.iter().any(|row| row.contains(&format!("Text(\"{state}\")"))), "{state}");
        }
        let copied = Store::copy(&place.location, &other.location, WHO, Timestamp::now()).unwrap();
        assert_eq!(copied, Copied { campaigns: 4, messages: 15 });
        let there = other.open();
        for (table, rows) in everything(&there) {
            assert_eq!(rows, before[&table], "{table}");
        }
        assert_eq!(everything(&source), before);
        assert_eq!(there.verify_log().unwrap(), source.verify_log().unwrap());
        for campaign in there.campaigns().unwrap() {
            let verdict =
                |store: &Store| format!("{:?}", store.verify(&store.campaign(&campaign.id).unwrap(), &|_| {}));
            assert_eq!(verdict(&there), verdict(&source));
            let is_whole = there.verify(&campaign, &|_| {}).is_ok_and(|verdict| verdict.holds());
            // There is nothing left of what is purged, and a file was put beside what is from elsewhere.
            assert_eq!(is_whole, [&ids[0], &ids[2]].contains(&&campaign.id), "{}", verdict(&there));
        }
        Store::copy(&other.location, &back.location, WHO, Timestamp::now()).unwrap();
        let mut last = back.open();
        assert_eq!(everything(&last), before);
        // Where it came from first it does not come back to.
        let refused = Store::copy(&back.location, &place.location, WHO, Timestamp::now()).unwrap_err();
        assert!(matches!(refused, StoreError::NotEmpty(_)), "{refused:?}");
        // It goes on there, with numbers of its own.
        let sql = "INSERT INTO slot (account, campaign, taken) VALUES ('work', 1, 1) RETURNING number";
        let slot: i64 = last.database.one(sql, &[], |row| row.get(0)).unwrap();
        assert!(slot > 77, "{slot}");
        last.database.run("DELETE FROM slot WHERE number = ?", values![slot]).unwrap();
        let (campaign, messages) = take(&mut last, &ids[0]).unwrap();
        assert_eq!((messages.outcomes[8], messages.put_off[&3].tries), (Outcome::Queued, 3));
        let journal = Journal::start(back.open(), campaign, Some("work".into())).unwrap();
        write(&journal, 8, begins()).unwrap();
        write(&journal, 8, ends(Outcome::Sent)).unwrap();
        assert!(write(&journal, 0, begins()).is_err(), "who has it does not get it again");
        assert!(freeze(&mut last, &composer(&["kim"], "hello"), false).is_ok());
    }
}

fn nothing_is_changed_any_more_where_it_was(place: &Place) {
    let ids = furnish(place);
    let other = Place::file();
    Store::copy(&place.location, &other.location, WHO, Timestamp::now()).unwrap();
    let (mut store, now) = (place.open(), Timestamp::now());
    let [first, purged] = [0, 1].map(|nth: usize| store.campaign(&ids[nth]).unwrap());
    let before = everything(&store);
    let deed = Deed { who: WHO, what: "x", details: &serde_json::Value::Null };
    let taken_back = (&[Outcome::Queued][..], Outcome::Cancelled);
    let refused = [
        ("take", store.take(&first, now).map(drop)),
        ("freeze", freeze(&mut store, &composer(&["new"], "hello"), false).map(drop)),
        ("decide", store.decide(&first, taken_back, None, (WHO, "x"), |_| serde_json::Value::Null).map(drop)),
        ("log", store.log(&ids[0], deed, now)),
        ("purge", store.purge(&first, WHO, now).map(drop)),
        ("moved", store.moved("c", "/x", WHO, now)),
        ("aside", place.open().aside("work").map(drop)),
    ];
    for (what, refused) in refused {
        match (what, refused.unwrap_err()) {
            // There is something else against it.
            ("purge", StoreError::Unfinished(_)) => {}
            (_, StoreError::Sealed { to, is_over: true, .. }) => assert_eq!(to, other.location.to_string()),
            (_, why) => panic!("{what}: {why:?}"),
        }
    }
    // The database itself refuses it to whoever does not ask.
    for sql in [
        "INSERT INTO attempt (campaign, position, message_id, began, outcome) VALUES (1, 8, 'x', 1, 'sending')",
        "UPDATE campaign SET name = 'x'",
        "INSERT INTO slot (account, campaign, taken) VALUES ('work', 1, 1)",
        "INSERT INTO log VALUES (99, 1, 'x', 'x', 'x', '{}', (SELECT content FROM campaign LIMIT 1))",
        "INSERT INTO campaign SELECT * FROM campaign",
    ] {
        let why = StoreError::of(&place.location, &store.database.run(sql, &[]).unwrap_err());
        let is_sealed = matches!(&why, StoreError::Sealed { is_over: true, .. });
        assert!(is_sealed || why.to_string().contains("moved into another outbox"), "{sql}: {why:?}");
    }
    // It can be looked at.
    assert!(store.verify(&first, &|_| {}).unwrap().holds());
    assert_eq!(store.verify_log().unwrap(), other.open().verify_log().unwrap());
    assert_eq!(purged.counts, other.open().campaign(&ids[1]).unwrap().counts);
    let mut people = 0;
    store
        .trace(&first, Names::Hidden, |_| {
            people += 1;
            true
        })
        .unwrap();
    assert_eq!(people, 9);
    assert_eq!(everything(&store), before);
}

fn it_is_refused_where_it_could_do_harm(place: &Place) {
    let (now, other) = (Timestamp::now(), Place::file());
    let copy = |to: &Place| Store::copy(&place.location, &to.location, WHO, now);
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&["ada", "bo"], "hello"), false).unwrap().id;
    let (campaign, _) = take(&mut store, &id).unwrap();
    // A run has it.
    let journal = Journal::start(place.open(), campaign, None).unwrap();
    assert!(matches!(copy(&other), Err(StoreError::Running { .. })));
    write(&journal, 0, begins()).unwrap();
    drop(journal);
    // Its run ended in the middle of a message.
    assert!(matches!(copy(&other), Err(StoreError::Sending(sending)) if sending == id));
    assert!(!other.location.may_be_there(), "nothing is made for what is refused");
    drop(take(&mut store, &id).unwrap());
    assert!(matches!(copy(place), Err(StoreError::NotEmpty(_))), "into itself");
    let mut full = place.another();
    freeze(&mut full.open(), &composer(&["cy"], "hello"), false).unwrap();
    assert!(matches!(copy(&full), Err(StoreError::NotEmpty(_))));
    full = Place::file();
    let none = Store::copy(&full.location, &other.location, WHO, now);
    assert!(matches!(none, Err(StoreError::Missing(_))) && !full.location.may_be_there());
    // What PostgreSQL cannot hold
    #[cfg(feature = "postgres")]
    if place.location.is_file() {
        let server = Place::server();
        store.database.run("UPDATE attempt SET said = 'a' || char(0) || 'b'", &[]).unwrap();
        store.database.run("UPDATE campaign SET home = '/h' || char(0)", &[]).unwrap();
        let refused = copy(&server).unwrap_err();
        assert!(
            matches!(&refused, StoreError::NoText(what) if what.contains("table campaign, number 1")),
            "{refused:?}"
        );
        store.database.run("UPDATE campaign SET home = NULL", &[]).unwrap();
        // Replies have what they would have had there.
        copy(&server).unwrap();
        let sql = "SELECT said FROM attempt";
        assert_eq!(server.open().database.one(sql, &[], |row| row.get::<String>(0)).unwrap(), "a\u{fffd}b");
        return;
    }
    // Until now it is as it was.
    assert!(store.moved_away().is_none());
    store.log(&id, Deed { who: WHO, what: "x", details: &serde_json::Value::Null }, now).unwrap();
}

fn what_was_broken_off_goes_on_or_is_taken_back(place: &Place) {
    let now = Timestamp::now();
    furnish(place);
    let store = place.open();
    for other in each_kind() {
        let before = everything(&store);
        let to = other.open().location().to_string();
        let undo = || Store::undo_copy(&place.location, &other.location, now);
        assert!(matches!(undo(), Err(StoreError::NotMoving(_))));
        // It was broken off before anything was written.
        let token = store.seal(&to, WHO, now).unwrap();
        let refused = store.log("x", Deed { who: WHO, what: "x", details: &serde_json::Value::Null }, now);
        assert!(matches!(refused, Err(StoreError::Sealed { is_over: false, .. })), "{refused:?}");
        // It goes nowhere else.
        let elsewhere = Store::copy(&place.location, &Place::file().location, WHO, now);
        assert!(matches!(elsewhere, Err(StoreError::Sealed { is_over: false, .. })), "{elsewhere:?}");
        undo().unwrap();
        // Whoever was still about to write it there cannot.
        let late = other.open().take_in(&store, &token, WHO, now);
        assert!(late.is_err() && other.open().campaigns().unwrap().is_empty());
        store.log("x", Deed { who: WHO, what: "x", details: &serde_json::Value::Null }, now).unwrap();
        let log = everything(&store)["log"].len();
        assert_eq!(log, before["log"].len() + 1);
        // Taking it back was broken off, too.
        let token = store.seal(&to, WHO, now).unwrap();
        let sql = "INSERT INTO moved (token, way, place, who, at) VALUES (?, 'refused', '', '', 0)";
        other.open().database.run(sql, values![token]).unwrap();
        Store::copy(&place.location, &other.location, WHO, now).unwrap();
        let moved = everything(&store);
        assert_eq!(everything(&other.open()), moved);
        // Nobody wrote down any more that it had arrived.
        store.about_seal("UPDATE moved SET over = NULL WHERE way = 'to'", &[]).unwrap();
        let refused = undo().unwrap_err();
        assert!(matches!(refused, StoreError::Sealed { is_over: true, .. }), "{refused:?}");
        store.about_seal("UPDATE moved SET over = NULL WHERE way = 'to'", &[]).unwrap();
        // It may even be elsewhere by then.
        let third = place.another();
        Store::copy(&other.location, &third.location, WHO, now).unwrap();
        Store::copy(&place.location, &other.location, WHO, now).unwrap();
        assert!(matches!(store.moved_away(), Some(StoreError::Sealed { is_over: true, .. })));
        assert_eq!(everything(&third.open()), moved);
        let sql = "SELECT token FROM moved WHERE way = 'to'";
        let token: [u8; 16] = store.database.one(sql, &[], |row| row.get(0)).unwrap();
        assert_eq!(arrival(&other.open().database, &token).unwrap(), Arrival::Here);
        // For the next one
        store.about_seal("DELETE FROM moved", &[]).unwrap();
        if let Location::File(path) = &other.location {
            let token = store.seal(&to, WHO, now).unwrap();
            std::fs::rename(path, path.with_extension("elsewhere")).unwrap();
            let gone = Store::copy(&place.location, &other.location, WHO, now);
            assert!(matches!(gone, Err(StoreError::Sealed { is_over: false, .. })), "{gone:?}");
            assert!(undo().is_err() && !other.location.may_be_there());
            store.about_seal("DELETE FROM moved WHERE token = ?", values![token]).unwrap();
        }
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_run_that_was_not_heard_of_for_too_long_begins_nothing_once_all_is_moved() {
    let place = Place::server();
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&["ada"], "hello"), false).unwrap().id;
    let (campaign, _) = take(&mut store, &id).unwrap();
    let journal = Journal::start(place.open(), campaign, None).unwrap();
    store.database.run("UPDATE run SET until = clock_timestamp() - interval '1 second'", &[]).unwrap();
    let other = Place::file();
    Store::copy(&place.location, &other.location, WHO, Timestamp::now()).unwrap();
    let late = write(&journal, 0, begins());
    assert!(matches!(late, Err(StoreError::Lost(_) | StoreError::Sealed { .. })), "{late:?}");
    assert_eq!(take(&mut other.open(), &id).unwrap().1.outcomes, [Outcome::Queued]);
}
