//! What every kind of database must do for the store, in one suite.

use std::sync::Arc;

use super::*;
use crate::{
    campaign::ListOptions,
    guard::Guard,
    message::Composer,
    outbox::{Attempt, Prepared},
    recipients::RecipientList,
    template::{Format, Template},
};

pub(super) const WHO: &str = "ada (uid 1000)";

/// The messages to so many people, each with their name and some words.
pub(super) fn composer(names: &[&str], words: &str) -> Composer {
    let people = names.iter().map(|name| format!("{name},{name}@one.example\n"));
    let text = format!("name,email\n{}", people.collect::<String>());
    let list = RecipientList::parse("p.csv", &text, &ListOptions::default()).unwrap();
    let source = format!("+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{{{name}}}},\n{words}\n");
    let template = Template::compile("t.txt.hbs", &source, Format::Text, list.columns()).unwrap();
    Composer::new(template.into(), list.into())
}

/// Keeps a campaign, as `send` does.
pub(super) fn freeze(store: &mut Store, composer: &Composer, again: bool) -> Result<Kept, StoreError> {
    let all = Selection::All(composer.list().len());
    let guard = Guard::new(Arc::clone(composer.list()), &[]);
    let prepare = |composer: &Composer| Prepared::make(composer, &guard, all.clone(), &|_| {}).unwrap();
    let mut prepared = prepare(composer);
    let content = prepared.content().unwrap();
    let edition = store.edition(&content, composer, again, Over::Refused)?;
    let composer = &composer.clone().with_edition(edition);
    let settings = "template = \"t.txt.hbs\"\nrecipients = \"p.csv\"\n";
    let prepared = &mut prepare(composer);
    let snapshot = Snapshot {
        name: "c",
        is_named: false,
        home: None,
        settings,
        signers: None,
        is_bound: false,
        composer,
        prepared,
        content,
        edition,
        selected: &all,
        again,
        who: WHO,
        further: &serde_json::Value::Null,
    };
    store.freeze(snapshot, Timestamp::now(), &|_| {})
}

pub(super) fn take(store: &mut Store, id: &str) -> Result<(Campaign, Messages), StoreError> {
    let overview = store.campaign(id).unwrap();
    store.take(&overview, Timestamp::now())
}

pub(super) fn begins() -> Attempt {
    let (message_id, server) = ("<1@x.example>".into(), "[::1]:465".into());
    Attempt::Begins { message_id, server, tls: Some("TLSv1.3"), slot: None, at: Timestamp::now() }
}

pub(super) fn ends(outcome: Outcome) -> Attempt {
    let code = Some((250, Some("2.0.0".to_owned())));
    Attempt::Ends { outcome, code, said: "250 2.0.0 ok".into(), at: Timestamp::now(), put_off: None }
}

pub(super) fn write(journal: &Journal, position: usize, attempt: Attempt) -> Result<(), StoreError> {
    journal.write(position, attempt).blocking_recv().unwrap()
}

/// Takes a trigger away, each database in its way.
const FREE_RECIPIENTS: &str = "DROP TRIGGER recipient_stays ON recipient";
const FREE_MESSAGES: &str = "DROP TRIGGER message_stays_what_it_is ON message";
const FREE_LOG: &str = "DROP TRIGGER log_is_not_changed ON log";

/// Where a record is for a test.
pub(super) struct Place {
    pub(super) location: Location,
    _directory: Option<tempfile::TempDir>,
}

impl Place {
    /// In a file.
    pub(super) fn file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { location: directory.path().join("state/outbox.sqlite").into(), _directory: Some(directory) }
    }

    /// In a database of the tests' own server.
    #[cfg(feature = "postgres")]
    pub(super) fn server() -> Self {
        let address = cluster::Cluster::shared().database();
        let location = Location::Server(crate::outbox::Server::parse(&address).unwrap());
        assert_eq!(Store::migrate(&location).unwrap(), (0, 1));
        assert_eq!(Store::migrate(&location).unwrap(), (1, 1));
        Self { location, _directory: None }
    }

    /// Another of the same kind.
    pub(super) fn another(&self) -> Self {
        match self.location {
            Location::File(_) => Self::file(),
            #[cfg(feature = "postgres")]
            Location::Server(_) => Self::server(),
        }
    }

    pub(super) fn open(&self) -> Store {
        Store::open(&self.location).unwrap()
    }

    /// Carries out a statement of this database's own.
    fn say(&self, store: &Store, sql: &str) {
        // SQLite does not say of which table a trigger is.
        let is_file = matches!(self.location, Location::File(_)) && sql.starts_with("DROP TRIGGER");
        let sql = sql.split_once(" ON ").filter(|_| is_file).map_or(sql, |(own, _)| own);
        store.database.run(sql, &[]).unwrap();
    }

    /// All that is in it: the bytes of a file and of those beside it, or what a server gives out.
    fn contents(&self) -> Contents {
        Contents(match &self.location {
            Location::File(path) => ["", "-wal", "-shm"]
                .iter()
                .flat_map(|ending| std::fs::read(format!("{}{ending}", path.display())).unwrap_or_default())
                .collect(),
            #[cfg(feature = "postgres")]
            Location::Server(_) => cluster::Cluster::shared().dump(&self.location.to_string()).into_bytes(),
        })
    }
}

/// What a record holds at some moment.
struct Contents(Vec<u8>);

impl Contents {
    /// Whether something stands anywhere in it, as it is or, as a dump has octets, in hexadecimal digits.
    fn holds(&self, needle: &str) -> bool {
        let digit = |four: u8| char::from_digit(four.into(), 16).unwrap();
        let octets: String = needle.bytes().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect();
        [needle, &octets].iter().any(|text| self.0.windows(text.len()).any(|part| part == text.as_bytes()))
    }
}

#[cfg(feature = "postgres")]
#[allow(dead_code, unreachable_pub, reason = "other tests use the rest of it")]
#[path = "../../../tests/support/postgres.rs"]
mod cluster;

macro_rules! for_every_database {
    ($($name:ident),* $(,)?) => {
        mod in_a_file {
            $(
                #[test]
                fn $name() {
                    super::$name(&super::Place::file());
                }
            )*
        }

        #[cfg(feature = "postgres")]
        mod in_postgresql {
            $(
                #[test]
                fn $name() {
                    super::$name(&super::Place::server());
                }
            )*
        }
    };
}
pub(super) use for_every_database;

for_every_database![
    what_cannot_be_written_down_of_one_is_no_fault_of_the_others,
    what_was_written_is_there_again,
    the_same_content_is_sent_again_only_if_somebody_says_so,
    who_got_exactly_this_does_not_get_it_from_another_list,
    what_was_kept_makes_the_same_messages_and_every_change_is_found,
    what_happens_to_one_message_is_written_down_in_its_order,
    the_database_itself_refuses_what_is_not_in_the_table,
    a_message_becomes_what_may_follow_and_nothing_else,
    what_is_carried_here_is_taken_in_only_if_it_could_be_from_this_program,
    nothing_about_anybody_is_left_after_a_purge,
];

/// Sends to everybody of a campaign.
fn send_all(place: &Place, id: &str) {
    let mut store = place.open();
    let (campaign, messages) = take(&mut store, id).unwrap();
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    for position in 0..messages.outcomes.len() {
        write(&journal, position, begins()).unwrap();
        write(&journal, position, ends(Outcome::Sent)).unwrap();
    }
}

fn what_was_written_is_there_again(place: &Place) {
    let composer = composer(&["ada", "bo", "cy", "di"], "hello");
    let mut store = place.open();
    let kept = freeze(&mut store, &composer, false).unwrap();
    let (campaign, messages) = take(&mut store, &kept.id).unwrap();
    assert_eq!(messages.outcomes, [Outcome::Queued; 4]);
    let id = kept.id.clone();
    // One run at a time.
    let running = take(&mut place.open(), &id).unwrap_err();
    assert!(running.to_string().starts_with(&format!("campaign {id} is being sent already: process ")), "{running}");
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    for (position, outcome) in [(0, Outcome::Sent), (1, Outcome::Failed)] {
        write(&journal, position, begins()).unwrap();
        write(&journal, position, ends(outcome)).unwrap();
    }
    let [since, due] = [1_700_000_000_000, 1_700_000_060_000].map(|at| Timestamp::from_millisecond(at).unwrap());
    let put_off = PutOff { tries: 2, since, due };
    write(&journal, 2, begins()).unwrap();
    let code = Some((450, Some("4.2.0".to_owned())));
    // A server may say anything.
    let (outcome, said) = (Outcome::Deferred, "450 4.2.0 later \0 ☃".to_owned());
    let attempt = Attempt::Ends { outcome, code, said, at: Timestamp::now(), put_off: Some(put_off) };
    write(&journal, 2, attempt).unwrap();
    write(&journal, 3, begins()).unwrap();
    // What cannot follow is not written, whoever asks for it.
    for (position, attempt) in [(0, begins()), (1, ends(Outcome::Sent)), (9, begins())] {
        assert!(write(&journal, position, attempt).is_err());
    }
    drop(journal);
    let mut store = place.open();
    let again = freeze(&mut store, &composer, false).unwrap();
    assert_eq!((again.id, again.digest, again.is_old), (id.clone(), kept.digest, true));
    let (_campaign, messages) = take(&mut store, &id).unwrap();
    assert_eq!(messages.outcomes, [Outcome::Sent, Outcome::Failed, Outcome::Deferred, Outcome::InDoubt]);
    assert_eq!(messages.put_off.into_iter().collect::<Vec<_>>(), [(2, put_off)], "it waits until it is due");
    let sql = "SELECT position, outcome, code FROM attempt ORDER BY number";
    let tried: Vec<(i64, String, Option<i64>)> =
        store.database.all(sql, &[], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let said = |outcome: &str| outcome.to_owned();
    assert_eq!(
        tried,
        [
            (0, said("sent"), Some(250)),
            (1, said("failed"), Some(250)),
            (2, said("deferred"), Some(450)),
            (3, said("in_doubt"), None)
        ]
    );
}

fn the_same_content_is_sent_again_only_if_somebody_says_so(place: &Place) {
    let composer = composer(&["ada"], "hello");
    let mut store = place.open();
    let id = freeze(&mut store, &composer, false).unwrap().id;
    send_all(place, &id);
    let done = freeze(&mut store, &composer, false).unwrap_err().to_string();
    assert!(done.contains(&id) && done.contains("1 of 1 recipient got it"), "{done}");
    let second = freeze(&mut store, &composer, true).unwrap();
    assert_eq!(second.id, format!("{id}-2"));
    for again in [true, false] {
        assert_eq!(freeze(&mut store, &composer, again).unwrap().id, second.id, "it is begun");
    }
    send_all(place, &second.id);
    assert_eq!(freeze(&mut store, &composer, true).unwrap().id, format!("{id}-3"));
}

fn who_got_exactly_this_does_not_get_it_from_another_list(place: &Place) {
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&["ada", "bo"], "hello"), false).unwrap().id;
    send_all(place, &id);
    let longer = composer(&["cy", "ada", "bo", "di"], "hello");
    let StoreError::Already { id: before, count: 2, of: 4, rest, .. } = freeze(&mut store, &longer, false).unwrap_err()
    else {
        panic!("they got it")
    };
    assert_eq!((before, rest.to_string()), (id, "2,5".to_owned()));
    assert_eq!(store.campaigns().unwrap().len(), 1, "nothing is left of it");
    // Another text is another message, and so is the same if somebody wants it.
    assert!(freeze(&mut store, &composer(&["ada", "bo"], "hello again"), false).is_ok());
    assert!(freeze(&mut store, &longer, true).unwrap().id.ends_with("-2"));
}

fn what_was_kept_makes_the_same_messages_and_every_change_is_found(place: &Place) {
    let composer = composer(&["ada", "bo", "cy"], "hello");
    let mut store = place.open();
    let kept = freeze(&mut store, &composer, false).unwrap();
    let overview = store.campaign(&kept.id).unwrap();
    let thawed = store.thaw(&overview).unwrap();
    for index in 0..3 {
        assert_eq!(thawed.composer.compose(index).unwrap().bytes(), composer.compose(index).unwrap().bytes());
    }
    let verdict = store.verify(&overview, &|_| {}).unwrap();
    assert!(verdict.holds() && verdict.messages == 3 && verdict.digest == kept.digest, "{verdict:?}");
    assert_eq!(store.verify_log().unwrap().entries, 1);
    // What is done to it is taken back each time.
    for (nth, statements) in [
        &["UPDATE campaign SET settings = settings || ' '"][..],
        &[FREE_RECIPIENTS, "UPDATE recipient SET fields = replace(fields, 'bo', 'b0')"],
        &[FREE_RECIPIENTS, "UPDATE recipient SET address = 'x@one.example' WHERE position = 1"],
        &[FREE_MESSAGES, "UPDATE message SET digest = (SELECT content FROM campaign) WHERE position = 2"],
        &["UPDATE content SET bytes = (SELECT source FROM campaign)"],
    ]
    .into_iter()
    .enumerate()
    {
        let change = store.database.change().unwrap();
        for sql in statements {
            place.say(&store, sql);
        }
        // Messages are made of files that are read through another connection, which does not see this one yet.
        if nth != 4 {
            let found = store.verify(&overview, &|_| {});
            assert!(found.is_err() || found.is_ok_and(|verdict| !verdict.holds()), "{statements:?}");
        }
        assert_eq!(store.verify_files(&overview).unwrap().is_empty(), nth != 4, "{statements:?}");
        drop(change);
        assert!(store.verify(&overview, &|_| {}).unwrap().holds());
    }
    for what in ["prepared", "started"] {
        store.log(&kept.id, Deed { who: WHO, what, details: &serde_json::Value::Null }, Timestamp::now()).unwrap();
    }
    assert_eq!(store.verify_log().unwrap().entries, 3);
    for sql in ["UPDATE log SET who = 'bo' WHERE number = 2", "DELETE FROM log WHERE number = 2"] {
        let refused = store.database.run(sql, &[]).unwrap_err().to_string();
        assert!(refused.contains("only added to"), "{refused}");
        let change = store.database.change().unwrap();
        place.say(&store, FREE_LOG);
        if matches!(place.location, Location::File(_)) {
            place.say(&store, "DROP TRIGGER log_is_not_cut");
        }
        place.say(&store, sql);
        assert!(matches!(store.verify_log(), Err(StoreError::LogBroken(2))), "{sql}");
        drop(change);
    }
}

fn the_database_itself_refuses_what_is_not_in_the_table(place: &Place) {
    let mut store = place.open();
    freeze(&mut store, &composer(&["ada"], "hello"), false).unwrap();
    for (sql, why) in [
        ("UPDATE message SET state = 'sent'", "a message cannot become that"),
        ("UPDATE message SET state = 'in_doubt'", "a message cannot become that"),
        ("UPDATE message SET position = 9", "a message stays what it is"),
        ("UPDATE message SET digest = (SELECT source FROM campaign)", "a message stays what it is"),
        ("UPDATE recipient SET address = 'bo@one.example'", "a recipient stays"),
        (
            "INSERT INTO message (campaign, position, digest, state) SELECT number, 7, source, 'sent' FROM campaign",
            "a message begins queued",
        ),
        ("INSERT INTO message (campaign, position, digest) SELECT 7, 7, source FROM campaign", "foreign key"),
    ] {
        let refused = store.database.run(sql, &[]).unwrap_err().to_string();
        assert!(refused.to_lowercase().contains(why), "{sql}: {refused}");
    }
    for (before, after) in Outcome::ALL.into_iter().flat_map(|one| Outcome::ALL.map(|other| (one, other))) {
        let sql = "SELECT count(*) FROM transition WHERE before = ? AND after = ?";
        let known: i64 = store.database.one(sql, values![before.name(), after.name()], |row| row.get(0)).unwrap();
        assert_eq!(known == 1, before.may_become(after), "{before} {after}");
    }
}

fn a_message_becomes_what_may_follow_and_nothing_else(place: &Place) {
    let pairs: Vec<_> = Outcome::ALL.into_iter().flat_map(|one| Outcome::ALL.map(|other| (one, other))).collect();
    let names: Vec<_> = (0..pairs.len()).map(|nth| format!("a{nth}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut store = place.open();
    freeze(&mut store, &composer(&names, "hello"), false).unwrap();
    let sql = "UPDATE message SET state = ? WHERE position = ?";
    let becomes =
        |outcome: Outcome, nth: usize| store.database.run(sql, values![outcome.name(), i64::try_from(nth).unwrap()]);
    for (nth, (before, after)) in pairs.into_iter().enumerate() {
        let is_near = Outcome::Queued.may_become(before);
        let way = [(!is_near).then_some(Outcome::Sending), Some(before)];
        for step in way.into_iter().flatten().filter(|_| before != Outcome::Queued) {
            assert_eq!(becomes(step, nth).unwrap(), 1, "{before}: {step}");
        }
        assert_eq!(becomes(after, nth).is_ok(), before.may_become(after), "{before} {after}");
    }
    // What was tried has an outcome, too.
    let sql = "INSERT INTO attempt (campaign, position, message_id, began, outcome) SELECT number, 0, 'x', 0, ? FROM campaign";
    for outcome in Outcome::ALL {
        store.database.run(sql, values![outcome.name()]).unwrap();
    }
    assert!(store.database.run(sql, values!["lost"]).is_err());
}

fn what_happens_to_one_message_is_written_down_in_its_order(place: &Place) {
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&["ada", "bo"], "hello"), false).unwrap().id;
    let (campaign, _) = take(&mut store, &id).unwrap();
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    let all = [begins(), ends(Outcome::Queued), begins(), ends(Outcome::Sent)];
    let waiting = all.map(|attempt| [0, 1].map(|position| journal.write(position, attempt.clone())));
    let written = waiting.map(|both| both.map(|written| written.blocking_recv().unwrap().is_ok()));
    assert_eq!(written, [[true; 2]; 4]);
    drop(journal);
    let store = place.open();
    let sql = "SELECT position, outcome FROM attempt ORDER BY position, number";
    let tried: Vec<(i64, String)> = store.database.all(sql, &[], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let tried: Vec<_> = tried.iter().map(|(position, outcome)| (*position, outcome.as_str())).collect();
    assert_eq!(tried, [(0, "queued"), (0, "sent"), (1, "queued"), (1, "sent")]);
}

fn what_is_carried_here_is_taken_in_only_if_it_could_be_from_this_program(place: &Place) {
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&["ada", "bo"], "hello"), false).unwrap().id;
    let (mut luggage, mut all) = (None, Vec::new());
    let start = |one: &Luggage| {
        luggage = Some(one.clone());
        Ok(())
    };
    let take = |one: &Carried| {
        all.push(one.clone());
        Ok(())
    };
    store.carry(&store.campaign(&id).unwrap(), "elsewhere", start, take).unwrap();
    let luggage = luggage.unwrap();
    let mut other = place.another().open();
    let mut bring = |luggage: &Luggage, all: &[Carried]| {
        let mut all = all.iter().cloned();
        other.bring(luggage, || Ok(all.next()), WHO, Timestamp::now())
    };
    let forged = "c\nffffffff  2026-01-01 00:00:00 UTC  another  9 sent".to_owned();
    for odd in [
        Luggage { name: forged.clone(), ..luggage.clone() },
        Luggage { origin: forged.clone(), ..luggage.clone() },
        Luggage { made_by: forged, ..luggage.clone() },
    ] {
        let why = bring(&odd, &all).unwrap_err().to_string();
        assert!(why.contains("is no line of text"), "{why}");
    }
    // Somebody else's row beside their own cells.
    let mut moved = all.clone();
    let Some(Carried::Person { row, .. }) = moved.first_mut() else { panic!("{moved:?}") };
    *row += 7;
    let why = bring(&luggage, &moved).unwrap_err().to_string();
    assert!(why.contains("in another row"), "{why}");
    let content: [u8; 32] = store.database.one("SELECT content FROM campaign", &[], |row| row.get(0)).unwrap();
    let nothing = freeze::digest_of(&luggage.settings, &luggage.list, &content, 1).finish().to_string();
    let why = bring(&Luggage { digest: nothing, ..luggage.clone() }, &[]).unwrap_err().to_string();
    assert!(why.contains("it is for nobody"), "{why}");
    assert_eq!(bring(&luggage, &all).unwrap().name, "c");
}

fn nothing_about_anybody_is_left_after_a_purge(place: &Place) {
    let names: Vec<String> = (0..500).map(|nth| format!("person{nth}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&names, "private words"), false).unwrap().id;
    let overview = store.campaign(&id).unwrap();
    assert!(matches!(store.purge(&overview, WHO, Timestamp::now()), Err(StoreError::Unfinished(_))));
    let (campaign, _) = take(&mut store, &id).unwrap();
    let journal = Journal::start(place.open(), campaign, None).unwrap();
    for (position, name) in names.iter().enumerate() {
        write(&journal, position, begins()).unwrap();
        let said = format!("550 5.1.1 <{name}@one.example> ({name}) is unknown");
        let code = Some((550, Some("5.1.1".into())));
        let attempt = Attempt::Ends { outcome: Outcome::Failed, code, said, at: Timestamp::now(), put_off: None };
        write(&journal, position, attempt).unwrap();
    }
    drop(journal);
    let contents = place.contents();
    assert!(["person7@", "private words", "person42"].iter().all(|needle| contents.holds(needle)));
    let overview = store.campaign(&id).unwrap();
    let known = store.find(&overview, &"person3@one.example".parse().unwrap()).unwrap().unwrap();
    let matter = store.matter(&overview).unwrap();
    assert_eq!(matter.as_ref().map(|matter| matter.columns.clone()), Some(vec!["name".to_owned()]));
    let purged = store.purge(&overview, WHO, Timestamp::now()).unwrap();
    assert_eq!((purged.recipients, purged.files), (500, 1));
    let contents = place.contents();
    for name in names.iter().copied().chain(["@one.example", "private words", "Dear"]) {
        assert!(!contents.holds(name), "{name}");
    }
    // What stays can be looked at, and a person can still be asked for.
    let after = store.campaign(&id).unwrap();
    assert_eq!((after.counts, after.digest), (overview.counts, overview.digest));
    let tried = store.tried(&after, Outcome::Failed, 1).unwrap();
    assert_eq!(tried[0].said, "550 5.1.1 <[removed]> ([removed]) is unknown");
    let sql = "SELECT pseudonyms, person FROM campaign, recipient WHERE position = 3";
    let (key, person): (Vec<u8>, Vec<u8>) = store.database.one(sql, &[], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let hash = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key), b"person3@one.example");
    assert_eq!(hash.as_ref(), person);
    let found = store.find(&after, &"PERSON3@one.example".parse().unwrap()).unwrap().unwrap();
    assert_eq!((found.pseudonym, found.rows), (known.pseudonym, vec![5]));
    assert_eq!(store.matter(&after).unwrap(), matter);
    assert_eq!(store.verify_log().unwrap().entries, 2);
    assert!(matches!(store.thaw(&after), Err(StoreError::Purged(_))));
    let queued = (&[Outcome::Failed][..], Outcome::Queued);
    let retried = store.decide(&after, queued, None, (WHO, "retried"), |_| serde_json::Value::Null);
    assert!(matches!(retried, Err(StoreError::Purged(_))));
}

fn what_cannot_be_written_down_of_one_is_no_fault_of_the_others(place: &Place) {
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&["ada", "bo", "cy"], "hello"), false).unwrap().id;
    let (campaign, _) = take(&mut store, &id).unwrap();
    let blocker = place.open();
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    for position in [0, 1] {
        write(&journal, position, begins()).unwrap();
    }
    // All of it waits for another program's write, and becomes one commit.
    let blocking = blocker.database.change().unwrap();
    let waiting = [
        journal.write(0, begins()),
        journal.write(0, ends(Outcome::Sent)),
        journal.write(9, begins()),
        journal.write(1, ends(Outcome::Queued)),
        // Its beginning was never written down.
        journal.write(2, ends(Outcome::Queued)),
    ];
    std::thread::sleep(Duration::from_millis(50));
    blocking.commit().unwrap();
    let written = waiting.map(|written| written.blocking_recv().unwrap().is_ok());
    assert_eq!(written, [false, true, false, true, true]);
    drop(journal);
    let (_campaign, messages) = take(&mut place.open(), &id).unwrap();
    assert_eq!(messages.outcomes, [Outcome::Sent, Outcome::Queued, Outcome::Queued]);
}
