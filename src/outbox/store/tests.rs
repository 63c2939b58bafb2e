use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, params};

use super::*;
use crate::{
    campaign::ListOptions,
    guard::Guard,
    message::Composer,
    outbox::{
        Prepared,
        database::{APPLICATION_ID, MIGRATIONS},
    },
    recipients::RecipientList,
    template::{Format, Template},
};

const WHO: &str = "ada (uid 1000)";

/// The messages to so many people, each with their name and some words.
fn composer(names: &[&str], words: &str) -> Composer {
    let people = names.iter().map(|name| format!("{name},{name}@one.example\n"));
    let text = format!("name,email\n{}", people.collect::<String>());
    let list = RecipientList::parse("p.csv", &text, &ListOptions::default()).unwrap();
    let source = format!("+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\nDear {{{{name}}}},\n{words}\n");
    let template = Template::compile("t.txt.hbs", &source, Format::Text, list.columns()).unwrap();
    Composer::new(template.into(), list.into())
}

/// Keeps a campaign, as `send` does.
fn freeze(store: &mut Store, composer: &Composer, again: bool) -> Result<Kept, StoreError> {
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

fn take(store: &mut Store, id: &str) -> Result<(Campaign, Messages), StoreError> {
    let overview = store.campaign(id).unwrap();
    store.take(&overview, Timestamp::now())
}

fn begins() -> Attempt {
    let (message_id, server) = ("<1@x.example>".into(), "[::1]:465".into());
    Attempt::Begins { message_id, server, tls: Some("TLSv1.3"), slot: None, at: Timestamp::now() }
}

fn ends(outcome: Outcome) -> Attempt {
    let code = Some((250, Some("2.0.0".to_owned())));
    Attempt::Ends { outcome, code, said: "250 2.0.0 ok".into(), at: Timestamp::now(), put_off: None }
}

fn write(journal: &Journal, position: usize, attempt: Attempt) -> Result<(), StoreError> {
    journal.write(position, attempt).blocking_recv().unwrap()
}

#[test]
fn what_was_written_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/outbox.sqlite");
    let composer = composer(&["ada", "bo", "cy", "di"], "hello");
    let mut store = Store::open(&path).unwrap();
    let kept = freeze(&mut store, &composer, false).unwrap();
    let (campaign, messages) = take(&mut store, &kept.id).unwrap();
    assert_eq!(messages.outcomes, [Outcome::Queued; 4]);
    let id = kept.id.clone();
    // One run at a time.
    let running = take(&mut Store::open(&path).unwrap(), &id).unwrap_err();
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
    let (outcome, said) = (Outcome::Deferred, "450 4.2.0 later".to_owned());
    let attempt = Attempt::Ends { outcome, code, said, at: Timestamp::now(), put_off: Some(put_off) };
    write(&journal, 2, attempt).unwrap();
    write(&journal, 3, begins()).unwrap();
    // What cannot follow is not written, whoever asks for it.
    for (position, attempt) in [(0, begins()), (1, ends(Outcome::Sent)), (9, begins())] {
        assert!(write(&journal, position, attempt).is_err());
    }
    drop(journal);
    let mut store = Store::open(&path).unwrap();
    let again = freeze(&mut store, &composer, false).unwrap();
    assert_eq!((again.id, again.digest, again.is_old), (id.clone(), kept.digest, true));
    let (_campaign, messages) = take(&mut store, &id).unwrap();
    assert_eq!(messages.outcomes, [Outcome::Sent, Outcome::Failed, Outcome::Deferred, Outcome::InDoubt]);
    assert_eq!(messages.put_off.into_iter().collect::<Vec<_>>(), [(2, put_off)], "it waits until it is due");
    let tried: Vec<(i64, String, Option<i64>)> = store
        .sqlite()
        .prepare("SELECT position, outcome, code FROM attempt ORDER BY number")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
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

#[test]
fn what_cannot_be_written_down_of_one_is_no_fault_of_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.sqlite");
    let mut store = Store::open(&path).unwrap();
    let id = freeze(&mut store, &composer(&["ada", "bo", "cy"], "hello"), false).unwrap().id;
    let (campaign, _) = take(&mut store, &id).unwrap();
    let blocker = Store::open(&path).unwrap();
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    for position in [0, 1] {
        write(&journal, position, begins()).unwrap();
    }
    // All of it waits for another program's write, and becomes one commit.
    blocker.sqlite().execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = [
        journal.write(0, begins()),
        journal.write(0, ends(Outcome::Sent)),
        journal.write(9, begins()),
        journal.write(1, ends(Outcome::Queued)),
        // Its beginning was never written down.
        journal.write(2, ends(Outcome::Queued)),
    ];
    std::thread::sleep(Duration::from_millis(50));
    blocker.sqlite().execute_batch("COMMIT").unwrap();
    let written = waiting.map(|written| written.blocking_recv().unwrap().is_ok());
    assert_eq!(written, [false, true, false, true, true]);
    drop(journal);
    let (_campaign, messages) = take(&mut Store::open(&path).unwrap(), &id).unwrap();
    assert_eq!(messages.outcomes, [Outcome::Sent, Outcome::Queued, Outcome::Queued]);
}

/// Sends to everybody of a campaign.
fn send_all(path: &Path, id: &str) {
    let mut store = Store::open(path).unwrap();
    let (campaign, messages) = take(&mut store, id).unwrap();
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    for position in 0..messages.outcomes.len() {
        write(&journal, position, begins()).unwrap();
        write(&journal, position, ends(Outcome::Sent)).unwrap();
    }
}

#[test]
fn the_same_content_is_sent_again_only_if_somebody_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.sqlite");
    let composer = composer(&["ada"], "hello");
    let mut store = Store::open(&path).unwrap();
    let id = freeze(&mut store, &composer, false).unwrap().id;
    send_all(&path, &id);
    let done = freeze(&mut store, &composer, false).unwrap_err().to_string();
    assert!(done.contains(&id) && done.contains("1 of 1 recipient got it"), "{done}");
    let second = freeze(&mut store, &composer, true).unwrap();
    assert_eq!(second.id, format!("{id}-2"));
    for again in [true, false] {
        assert_eq!(freeze(&mut store, &composer, again).unwrap().id, second.id, "it is begun");
    }
    send_all(&path, &second.id);
    assert_eq!(freeze(&mut store, &composer, true).unwrap().id, format!("{id}-3"));
}

#[test]
fn who_got_exactly_this_does_not_get_it_from_another_list() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.sqlite");
    let mut store = Store::open(&path).unwrap();
    let id = freeze(&mut store, &composer(&["ada", "bo"], "hello"), false).unwrap().id;
    send_all(&path, &id);
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

#[test]
fn what_was_kept_makes_the_same_messages_and_every_change_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.sqlite");
    let composer = composer(&["ada", "bo", "cy"], "hello");
    let mut store = Store::open(&path).unwrap();
    let kept = freeze(&mut store, &composer, false).unwrap();
    let overview = store.campaign(&kept.id).unwrap();
    let thawed = store.thaw(&overview).unwrap();
    for index in 0..3 {
        assert_eq!(thawed.composer.compose(index).unwrap().bytes(), composer.compose(index).unwrap().bytes());
    }
    let verdict = store.verify(&overview, &|_| {}).unwrap();
    assert!(verdict.holds() && verdict.messages == 3 && verdict.digest == kept.digest, "{verdict:?}");
    assert_eq!(store.verify_log().unwrap().entries, 1);
    let copy = |name: &str| directory.path().join(name);
    for (nth, sql) in [
        "UPDATE campaign SET settings = settings || ' '",
        "DROP TRIGGER recipient_stays; UPDATE recipient SET fields = replace(fields, 'bo', 'b0')",
        "DROP TRIGGER recipient_stays; UPDATE recipient SET address = 'x@one.example' WHERE position = 1",
        "DROP TRIGGER message_stays_what_it_is; UPDATE message SET digest = zeroblob(32) WHERE position = 2",
        "UPDATE content SET bytes = CAST(replace(CAST(bytes AS TEXT), 'hello', 'hullo') AS BLOB)",
    ]
    .into_iter()
    .enumerate()
    {
        let other = copy(&format!("{nth}.sqlite"));
        store.sqlite().execute("VACUUM INTO ?", params![other.to_str().unwrap()]).unwrap();
        let other = Store::open(&other).unwrap();
        other.sqlite().execute_batch(sql).unwrap();
        let found = other.verify(&overview, &|_| {});
        assert!(found.is_err() || found.is_ok_and(|verdict| !verdict.holds()), "{sql}");
        assert_eq!(other.verify_files(&overview).unwrap().is_empty(), nth != 4, "{sql}");
    }
    for what in ["prepared", "started"] {
        store.log(&kept.id, Deed { who: WHO, what, details: &serde_json::Value::Null }, Timestamp::now()).unwrap();
    }
    assert_eq!(store.verify_log().unwrap().entries, 3);
    for (nth, sql) in
        ["UPDATE log SET who = 'bo' WHERE number = 2", "DELETE FROM log WHERE number = 2"].into_iter().enumerate()
    {
        let refused = store.sqlite().execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("only added to"), "{refused}");
        let other = copy(&format!("log{nth}.sqlite"));
        store.sqlite().execute("VACUUM INTO ?", params![other.to_str().unwrap()]).unwrap();
        let other = Store::open(&other).unwrap();
        other.sqlite().execute_batch("DROP TRIGGER log_is_not_changed; DROP TRIGGER log_is_not_cut").unwrap();
        other.sqlite().execute(sql, []).unwrap();
        assert!(matches!(other.verify_log(), Err(StoreError::LogBroken(2))), "{sql}");
    }
}

#[test]
fn the_database_itself_refuses_what_is_not_in_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("outbox.sqlite")).unwrap();
    freeze(&mut store, &composer(&["ada"], "hello"), false).unwrap();
    for (sql, why) in [
        ("UPDATE message SET state = 'sent'", "a message cannot become that"),
        ("UPDATE message SET state = 'in_doubt'", "a message cannot become that"),
        ("UPDATE message SET position = 9", "a message stays what it is"),
        ("UPDATE message SET digest = x'00'", "a message stays what it is"),
        ("UPDATE recipient SET address = 'bo@one.example'", "a recipient stays"),
        (
            "INSERT INTO message (campaign, position, digest, state) VALUES (1, 7, x'00', 'sent')",
            "a message begins queued",
        ),
        ("INSERT INTO message (campaign, position, digest) VALUES (7, 7, x'00')", "FOREIGN KEY"),
    ] {
        let refused = store.sqlite().execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains(why), "{sql}: {refused}");
    }
    for (before, after) in Outcome::ALL.into_iter().flat_map(|one| Outcome::ALL.map(|other| (one, other))) {
        let sql = "SELECT count(*) FROM transition WHERE before = ? AND after = ?";
        let known: i64 = store.sqlite().query_row(sql, [before.name(), after.name()], |row| row.get(0)).unwrap();
        assert_eq!(known == 1, before.may_become(after), "{before} {after}");
    }
}

#[test]
fn an_outbox_of_version_1_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.sqlite");
    let composer = composer(&["ada"], "hello");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(MIGRATIONS[0]).unwrap();
    for state in ["queued", "sending", "sent", "deferred", "failed", "in_doubt"] {
        old.execute("INSERT INTO state VALUES (?)", [state]).unwrap();
    }
    let campaign = "INSERT INTO campaign VALUES (1, 'cafe0001', zeroblob(32), 1, ?, 'c', 0, 1)";
    old.execute(campaign, params![composer.source()]).unwrap();
    old.execute_batch(
        "INSERT INTO message VALUES (1, 0, 2, 'ada@one.example', zeroblob(32), 'queued');
         INSERT INTO transition VALUES ('queued', 'sending'), ('sending', 'sent');
         UPDATE message SET state = 'sending'; UPDATE message SET state = 'sent';
         INSERT INTO attempt (campaign, position, message_id, began, ended, outcome) VALUES (1, 0, '<1@x.example>', 1, 2, 'sent')",
    )
    .unwrap();
    old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let mut store = Store::open(&path).unwrap();
    let overview = store.campaign("cafe").unwrap();
    let tried = store.tried(&overview, Outcome::Sent, 9).unwrap();
    assert_eq!((tried[0].row, tried[0].address.as_str()), (2, "ada@one.example"));
    assert!(matches!(store.thaw(&overview), Err(StoreError::NoSnapshot(_))));
    // What went out then does not go out again.
    assert!(matches!(freeze(&mut store, &composer, false), Err(StoreError::Changed { sent: 1, .. })));
    // And it is like one that is made today.
    let schema = |store: &Store| {
        let mut query = store.sqlite().prepare("SELECT sql FROM sqlite_master ORDER BY name").unwrap();
        let all = query.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        all.collect::<rusqlite::Result<Vec<_>>>().unwrap()
    };
    assert_eq!(schema(&store), schema(&Store::open(&directory.path().join("new.sqlite")).unwrap()));
    assert_eq!(store.sqlite().query_row("SELECT count(*) FROM state", [], |row| row.get::<_, i64>(0)).unwrap(), 8);
}

#[test]
fn nothing_about_anybody_is_left_after_a_purge() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.sqlite");
    let names: Vec<String> = (0..500).map(|nth| format!("person{nth}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut store = Store::open(&path).unwrap();
    let id = freeze(&mut store, &composer(&names, "private words"), false).unwrap().id;
    let overview = store.campaign(&id).unwrap();
    assert!(matches!(store.purge(&overview, WHO, Timestamp::now()), Err(StoreError::Unfinished(_))));
    let (campaign, _) = take(&mut store, &id).unwrap();
    let journal = Journal::start(Store::open(&path).unwrap(), campaign, None).unwrap();
    for (position, name) in names.iter().enumerate() {
        write(&journal, position, begins()).unwrap();
        let said = format!("550 5.1.1 <{name}@one.example> ({name}) is unknown");
        let code = Some((550, Some("5.1.1".into())));
        let attempt = Attempt::Ends { outcome: Outcome::Failed, code, said, at: Timestamp::now(), put_off: None };
        write(&journal, position, attempt).unwrap();
    }
    drop(journal);
    let bytes = |ending: &str| std::fs::read(format!("{}{ending}", path.display())).unwrap_or_default();
    let found = |needle: &str| {
        ["", "-wal", "-shm"].iter().any(|ending| bytes(ending).windows(needle.len()).any(|w| w == needle.as_bytes()))
    };
    assert!(found("person7@") && found("private words") && found("person42"));
    let overview = store.campaign(&id).unwrap();
    let known = store.find(&overview, &"person3@one.example".parse().unwrap()).unwrap().unwrap();
    let matter = store.matter(&overview).unwrap();
    assert_eq!(matter.as_ref().map(|matter| matter.columns.clone()), Some(vec!["name".to_owned()]));
    let purged = store.purge(&overview, WHO, Timestamp::now()).unwrap();
    assert_eq!((purged.recipients, purged.files), (500, 1));
    for name in names.iter().copied().chain(["@one.example", "private words", "Dear"]) {
        assert!(!found(name), "{name}");
    }
    // What stays can be looked at, and a person can still be asked for.
    let after = store.campaign(&id).unwrap();
    assert_eq!((after.counts, after.digest), (overview.counts, overview.digest));
    let tried = store.tried(&after, Outcome::Failed, 1).unwrap();
    assert_eq!(tried[0].said, "550 5.1.1 <[removed]> ([removed]) is unknown");
    let (key, person): (Vec<u8>, Vec<u8>) = store
        .sqlite()
        .query_row("SELECT pseudonyms, person FROM campaign, recipient WHERE position = 3", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
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

#[test]
fn what_is_no_outbox_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let refused = |path: &Path| Store::open(path).unwrap_err();
    std::fs::write(file("a.txt"), "email\nada@one.example\n".repeat(100)).unwrap();
    assert!(matches!(refused(&file("a.txt")), StoreError::Foreign(_)));
    assert_eq!(std::fs::read_to_string(file("a.txt")).unwrap(), "email\nada@one.example\n".repeat(100));
    Connection::open(file("other.sqlite")).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    let before = std::fs::read(file("other.sqlite")).unwrap();
    assert!(matches!(refused(&file("other.sqlite")), StoreError::Foreign(_)));
    assert_eq!(std::fs::read(file("other.sqlite")).unwrap(), before);
    let newer = file("newer.sqlite");
    Store::open(&newer).unwrap().sqlite().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(refused(&newer), StoreError::Newer(_, 99)));
    let damaged = file("damaged.sqlite");
    let store = Store::open(&damaged).unwrap();
    store.sqlite().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(store);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[100..4096].fill(0xff);
    std::fs::write(&damaged, &bytes).unwrap();
    assert!(matches!(refused(&damaged), StoreError::Corrupt(_)), "{:?}", refused(&damaged));
    assert!(matches!(refused(directory.path()), StoreError::Foreign(_)));
    #[cfg(unix)]
    assert!(matches!(refused(Path::new("/dev/null")), StoreError::Foreign(_)));
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/outbox.sqlite");
    let mut store = Store::open(&path).unwrap();
    let id = freeze(&mut store, &composer(&["ada"], "hello"), false).unwrap().id;
    let campaign = take(&mut store, &id).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files: Vec<PathBuf> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}: itself, its -wal and -shm, and the lock");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    drop(campaign);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
}

#[test]
fn what_is_carried_here_is_taken_in_only_if_it_could_be_from_this_program() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("own.sqlite")).unwrap();
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
    let mut other = Store::open(&directory.path().join("other.sqlite")).unwrap();
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
    let content: [u8; 32] = store.sqlite().query_row("SELECT content FROM campaign", [], |row| row.get(0)).unwrap();
    let nothing = freeze::digest_of(&luggage.settings, &luggage.list, &content, 1).finish().to_string();
    let why = bring(&Luggage { digest: nothing, ..luggage.clone() }, &[]).unwrap_err().to_string();
    assert!(why.contains("it is for nobody"), "{why}");
    assert_eq!(bring(&luggage, &all).unwrap().name, "c");
}
