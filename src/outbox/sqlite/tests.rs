use super::*;

fn digests(count: u8) -> Vec<Digest> {
    (0..count).map(|nth| Digest::of_all([Digest::of_all([].iter()); 1].repeat(usize::from(nth) + 1).iter())).collect()
}

fn begin(store: &mut Store, digests: &[Digest], edition: u32) -> Result<Campaign, StoreError> {
    let content = Digest::of_all(digests.iter());
    let messages = digests.iter().zip(0_u64..).map(|(digest, nth)| (nth + 2, format!("p{nth}@one.example"), digest));
    let made = Made { content: &content, edition, source: &[7; 32], name: "c" };
    store.begin(&made, messages.collect::<Vec<_>>().into_iter(), Timestamp::now())
}

fn begins() -> Attempt {
    let (message_id, server) = ("<1@x.example>".into(), "[::1]:465".into());
    Attempt::Begins { message_id, server, tls: Some("TLSv1.3"), at: Timestamp::now() }
}

fn ends(outcome: Outcome) -> Attempt {
    let code = Some((250, Some("2.0.0".to_owned())));
    Attempt::Ends { outcome, code, said: "250 2.0.0 ok".into(), at: Timestamp::now() }
}

fn write(journal: &Journal, position: usize, attempt: Attempt) -> Result<(), StoreError> {
    journal.write(position, attempt).blocking_recv().unwrap()
}

#[test]
fn what_was_written_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/outbox.sqlite");
    let digests = digests(4);
    let content = Digest::of_all(digests.iter());
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.edition(&content, &[7; 32], false).unwrap(), 1);
    let campaign = begin(&mut store, &digests, 1).unwrap();
    assert_eq!((campaign.outcomes.as_slice(), campaign.is_old), ([Outcome::Queued; 4].as_slice(), false));
    let id = campaign.id.clone();
    // One run at a time.
    let running = begin(&mut Store::open(&path).unwrap(), &digests, 1).unwrap_err();
    assert!(running.to_string().starts_with(&format!("campaign {id} is being sent already: process ")), "{running}");
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    for (position, outcome) in [(0, Outcome::Sent), (1, Outcome::Failed), (2, Outcome::Deferred)] {
        write(&journal, position, begins()).unwrap();
        write(&journal, position, ends(outcome)).unwrap();
    }
    write(&journal, 3, begins()).unwrap();
    // What cannot follow is not written, whoever asks for it.
    for (position, attempt) in [(0, begins()), (1, ends(Outcome::Sent)), (9, begins())] {
        assert!(write(&journal, position, attempt).is_err());
    }
    drop(journal);
    let mut store = Store::open(&path).unwrap();
    let again = begin(&mut store, &digests, 1).unwrap();
    assert_eq!(again.outcomes, [Outcome::Sent, Outcome::Failed, Outcome::Queued, Outcome::InDoubt]);
    assert_eq!((again.id, again.found_sending, again.is_old), (id, 1, true));
    let tried: Vec<(i64, String, Option<i64>)> = store
        .connection
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
            (2, said("deferred"), Some(250)),
            (3, said("in_doubt"), None)
        ]
    );
}

#[test]
fn the_same_content_is_sent_again_only_if_somebody_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.sqlite");
    let digests = digests(1);
    let content = Digest::of_all(digests.iter());
    let mut store = Store::open(&path).unwrap();
    let campaign = begin(&mut store, &digests, 1).unwrap();
    let id = campaign.id.clone();
    let journal = Journal::start(store, campaign, Some("work".into())).unwrap();
    write(&journal, 0, begins()).unwrap();
    write(&journal, 0, ends(Outcome::Sent)).unwrap();
    drop(journal);
    let mut store = Store::open(&path).unwrap();
    let done = store.edition(&content, &[7; 32], false).unwrap_err().to_string();
    assert!(done.contains(&id) && done.contains("1 of 1 recipient got it"), "{done}");
    assert_eq!(store.edition(&content, &[7; 32], true).unwrap(), 2);
    let now = Timestamp::now();
    let recent = |account: &str, seconds| store.recent(account, Duration::from_secs(seconds), now).unwrap().len();
    assert_eq!((recent("work", 60), recent("home", 60), recent("work", 0)), (1, 0, 0));
    let second = begin(&mut store, &digests, 2).unwrap();
    assert_eq!((second.id, second.outcomes), (format!("{id}-2"), vec![Outcome::Queued]));
    assert_eq!(store.edition(&content, &[7; 32], true).unwrap(), 2, "it is begun");
}

#[test]
fn the_database_itself_refuses_what_is_not_in_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("outbox.sqlite")).unwrap();
    drop(begin(&mut store, &digests(1), 1).unwrap());
    for (sql, why) in [
        ("UPDATE message SET state = 'sent'", "a message cannot become that"),
        ("UPDATE message SET state = 'in_doubt'", "a message cannot become that"),
        ("UPDATE message SET row = 9", "a message stays what it is"),
        ("UPDATE message SET digest = x'00'", "a message stays what it is"),
        ("INSERT INTO message VALUES (1, 7, 7, 'a@b.example', x'00', 'sent')", "a message begins queued"),
        ("INSERT INTO message VALUES (7, 7, 7, 'a@b.example', x'00', 'queued')", "FOREIGN KEY"),
    ] {
        let refused = store.connection.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains(why), "{sql}: {refused}");
    }
    for (before, after) in Outcome::ALL.into_iter().flat_map(|one| Outcome::ALL.map(|other| (one, other))) {
        let sql = "SELECT count(*) FROM transition WHERE before = ? AND after = ?";
        let known: i64 = store.connection.query_row(sql, [before.name(), after.name()], |row| row.get(0)).unwrap();
        assert_eq!(known == 1, before.may_become(after), "{before} {after}");
    }
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
    Store::open(&newer).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(refused(&newer), StoreError::Newer(_, 99)));
    let damaged = file("damaged.sqlite");
    let store = Store::open(&damaged).unwrap();
    store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(store);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[100..4096].fill(0xff);
    std::fs::write(&damaged, &bytes).unwrap();
    assert!(matches!(refused(&damaged), StoreError::Corrupt(_)), "{:?}", refused(&damaged));
    assert!(matches!(refused(directory.path()), StoreError::Unopened(..)));
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/outbox.sqlite");
    let mut store = Store::open(&path).unwrap();
    let campaign = begin(&mut store, &digests(1), 1).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files: Vec<PathBuf> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}: itself, its -wal and -shm, and the lock");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    drop(campaign);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
}
