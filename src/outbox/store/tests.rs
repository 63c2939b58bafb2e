//! What is so of a file of SQLite's.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{
    both::{composer, freeze, take},
    *,
};
use crate::outbox::database::{APPLICATION_ID, MIGRATIONS};

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
    assert_eq!(schema(&store), schema(&Store::open(directory.path().join("new.sqlite")).unwrap()));
    assert_eq!(store.sqlite().query_row("SELECT count(*) FROM state", [], |row| row.get::<_, i64>(0)).unwrap(), 8);
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
