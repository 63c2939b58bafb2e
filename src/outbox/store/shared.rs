//! Workers that share a database: what one has is nobody else's, and is not its own any more once nobody heard of it for too long.

use super::{
    both::{Place, WHO, begins, composer, ends, freeze, write},
    *,
};

/// A campaign that is handed over to workers.
fn handed_over(store: &mut Store, names: &[&str]) -> Overview {
    let id = freeze(store, &composer(names, "hello"), false).unwrap().id;
    let overview = store.campaign(&id).unwrap();
    hand_over(store, &overview);
    overview
}

fn hand_over(store: &Store, campaign: &Overview) {
    let deed = Deed { who: WHO, what: "handed over", details: &serde_json::Value::Null };
    store.hand_over(campaign, "work", deed, Timestamp::now()).unwrap();
}

fn state(store: &Store, position: i64) -> String {
    store.database.one("SELECT state FROM message WHERE position = ?", values![position], |row| row.get(0)).unwrap()
}

fn is_lost<T: std::fmt::Debug>(done: &Result<T, StoreError>) {
    assert!(matches!(done, Err(StoreError::Lost(_))), "{done:?}");
}

#[test]
fn whoever_is_not_heard_of_any_more_writes_nothing_over_what_the_next_one_has() {
    let place = Place::server();
    let mut store = place.open();
    let campaign = handed_over(&mut store, &["ada", "bob"]);
    let start = || Worker::start(&store, &["work".to_owned()], Timestamp::now()).unwrap();
    let take = |worker: &Worker| store.take_batches(worker, &campaign, "work", 9);
    let journal =
        |worker: &Worker| Journal::start(place.open(), worker.campaign(&campaign), Some("work".into())).unwrap();
    let (first, second) = (start(), start());
    assert_eq!(take(&first).unwrap()[0].messages.len(), 2);
    assert!(take(&second).unwrap().is_empty(), "it is the first one's");
    let of_first = journal(&first);
    write(&of_first, 0, begins()).unwrap();
    let began: i64 = store.database.one("SELECT began FROM attempt", &[], |row| row.get(0)).unwrap();

    // Its time is up; nobody has noticed yet.
    let up = "UPDATE worker SET until = clock_timestamp() - interval '1 second' WHERE token = ?";
    assert_eq!(store.database.run(up, values![first.token()]).unwrap(), 1);
    is_lost(&write(&of_first, 1, begins()));
    is_lost(&write(&of_first, 0, ends(Outcome::Sent)));
    is_lost(&take(&first));
    assert_eq!((state(&store, 0), state(&store, 1)), ("sending".into(), "queued".into()));

    // Somebody has, and a person wants the one that was under way to be sent again.
    store.end_worker(first.token()).unwrap();
    assert_eq!((state(&store, 0), state(&store, 1)), ("in_doubt".into(), "queued".into()));
    is_lost(&write(&of_first, 0, ends(Outcome::Sent)));
    let again = (&[Outcome::InDoubt][..], Outcome::Queued);
    let rows = store.decide(&campaign, again, None, (WHO, "resolved"), |_| serde_json::Value::Null).unwrap();
    assert_eq!(rows.len(), 1);
    hand_over(&store, &campaign);
    assert_eq!(take(&second).unwrap()[0].messages.len(), 2);
    let of_second = journal(&second);
    write(&of_second, 0, begins()).unwrap();
    for attempt in [begins(), ends(Outcome::Sent), ends(Outcome::Queued)] {
        is_lost(&write(&of_first, 0, attempt));
    }
    is_lost(&write(&of_first, 1, begins()));
    // Nor does it count what it says later of what it began.
    let late = Reported {
        campaign: campaign.number,
        position: 0,
        began,
        outcome: "sent".into(),
        code: Some(250),
        enhanced: None,
        said: "250 ok".into(),
        ended: began + 1,
        put_off: None,
    };
    assert_eq!(store.settle_reported(&[late]).unwrap(), [false]);
    assert_eq!((state(&store, 0), state(&store, 1)), ("sending".into(), "queued".into()));
    write(&of_second, 0, ends(Outcome::Failed)).unwrap();
    assert_eq!(state(&store, 0), "failed");
}

#[test]
fn all_that_want_connections_have_equally_many_and_nobody_waits_unseen() {
    let place = Place::server();
    let mut store = place.open();
    let campaign = handed_over(&mut store, &["ada", "bob"]);
    let start = || Worker::start(&store, &["work".to_owned()], Timestamp::now()).unwrap();
    let (first, second, third) = (start(), start(), start());
    let places = |worker: &Worker, most: usize| worker.campaign(&campaign).places("work", most).unwrap().unwrap();
    let looked = |places: &Places| (places.share().unwrap(), places.is_short());
    // Who is only there has no part in it.
    let of_first = places(&first, 5);
    assert_eq!(looked(&of_first), (5, false));
    let mut open: Vec<OpenPlace> = std::iter::from_fn(|| of_first.take().unwrap()).collect();
    assert_eq!(open.len(), 5);
    // One that wants some is seen to have none.
    let of_second = places(&second, 5);
    assert!(of_second.take().unwrap().is_none());
    assert_eq!(looked(&of_first), (3, true));
    open.truncate(3);
    let further: Vec<OpenPlace> = std::iter::from_fn(|| of_second.take().unwrap()).collect();
    assert_eq!((further.len(), looked(&of_first), looked(&of_second)), (2, (3, false), (3, false)));
    // There may be fewer than those who want one.
    assert_eq!(looked(&places(&third, 2)), (1, false));
    assert_eq!(looked(&of_first), (2, true));
    // What somebody wanted a while ago is over.
    store
        .database
        .run("UPDATE sharer SET at = at - interval '4 seconds' WHERE holder <> ?", values![first.token()])
        .unwrap();
    assert_eq!(looked(&of_first), (5, false));
}
