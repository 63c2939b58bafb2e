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
    let places = |worker: &Worker, most: usize| worker.campaign(&campaign).places("work", most, None).unwrap().unwrap();
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

#[test]
fn whoever_comes_back_closes_what_may_be_somebody_elses() {
    let place = Place::server();
    let mut store = place.open();
    let id = freeze(&mut store, &composer(&["ada"], "hello"), false).unwrap().id;
    let overview = store.campaign(&id).unwrap();
    let (run, _) = store.take(&overview, Timestamp::now()).unwrap();
    let other = place.open();
    let campaign = handed_over(&mut place.open(), &["bob"]);
    let worker = Worker::start(&other, &["work".to_owned()], Timestamp::now()).unwrap();
    let of_run = run.places("work", 1, None).unwrap().unwrap();
    let of_worker = worker.campaign(&campaign).places("work", 1, None).unwrap().unwrap();
    let open = of_run.take().unwrap().unwrap();
    assert!(of_worker.take().unwrap().is_none());
    // Nobody hears of it for too long, and somebody else has the only one there is.
    other.database.run("UPDATE run SET until = clock_timestamp() - interval '1 second'", &[]).unwrap();
    let taken = of_worker.take().unwrap().unwrap();
    other.database.run("UPDATE place SET lost = lost - interval '6 minutes' WHERE lost IS NOT NULL", &[]).unwrap();
    // It comes back.
    assert!(of_run.take().unwrap().is_none());
    assert_eq!(of_run.share().unwrap(), 0);
    drop(open);
    assert_eq!(of_run.share().unwrap(), 1);
    assert!(of_run.take().unwrap().is_none(), "the other one has it");
    drop(taken);
    of_worker.share().unwrap();
    assert!(of_run.take().unwrap().is_some());
}

#[test]
fn a_campaign_may_have_fewer_than_its_account() {
    let place = Place::server();
    let mut store = place.open();
    let campaign = handed_over(&mut store, &["ada"]);
    let start = || Worker::start(&store, &["work".to_owned()], Timestamp::now()).unwrap();
    let (first, second) = (start(), start());
    let places = |worker: &Worker, own| worker.campaign(&campaign).places("work", 5, own).unwrap().unwrap();
    let (all, few) = (places(&first, None), places(&second, Some(2)));
    let open: Vec<OpenPlace> = (0..3).map(|_| all.take().unwrap().unwrap()).collect();
    let own: Vec<OpenPlace> = std::iter::from_fn(|| few.take().unwrap()).collect();
    assert_eq!((open.len(), own.len(), few.share().unwrap()), (3, 2, 2));
    assert!(all.take().unwrap().is_none(), "the account has five");
    drop(own);
    few.share().unwrap();
    assert!(all.take().unwrap().is_some());
}

#[test]
fn what_was_begun_to_a_domain_is_over_at_once_for_the_others() {
    let place = Place::server();
    let mut store = place.open();
    let campaign = handed_over(&mut store, &["ada"]);
    let worker = Worker::start(&store, &["work".to_owned()], Timestamp::now()).unwrap();
    let rates = vec!["5/hour".parse().unwrap()];
    let limit = DomainLimit { domain: "slow.example".into(), rates, connections: None };
    let limited = worker.campaign(&campaign).domains("work", &[limit], &[]).unwrap().pop().unwrap();
    let Some(Ledger::Granted(grants)) = limited.slots else { panic!("others share it") };
    let slot = || match grants.ask(&[(5, Duration::from_secs(3600))]).unwrap() {
        Given::Slot(slot) => slot,
        Given::Later(_) => panic!("there are five"),
    };
    let of = |sql: &str| store.database.one::<i64>(sql, &[], |row| row.get(0)).unwrap();
    let (open, over) =
        ("SELECT count(*) FROM slot WHERE over IS NULL", "SELECT count(*) FROM slot WHERE over IS NOT NULL");
    let (begun, unused, later) = (slot(), slot(), slot());
    assert_eq!((of(open), of(over)), (3, 0));
    grants.is_over(begun);
    grants.put_back(unused);
    grants.tidy();
    assert_eq!((of(open), of(over)), (1, 1));
    // An account's own windows know nothing of it.
    assert_eq!(store.window_use("work", Duration::from_secs(3600)).unwrap(), 0);
    grants.is_over(later);
    drop(grants);
    assert_eq!((of(open), of(over)), (0, 2));
}
