use super::*;

#[tokio::test(start_paused = true)]
async fn what_other_programs_do_counts() {
    let pace = Pace::new(&rates(&["3/min"]), false, None);
    let over = |ages: &[u64]| ages.iter().map(|age| Duration::from_secs(*age)).collect();
    pace.learn(&News { over: over(&[90, 50, 20]), ..News::default() });
    let start = Instant::now();
    drop(pace.slot(|_| {}).await);
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(pace.slot(|_| {}).await);
    assert_eq!(start.elapsed().as_secs(), 10);
    // One more is under way elsewhere: it counts until a minute after it is over.
    pace.learn(&News { opened: 1, ..News::default() });
    let learned = Arc::clone(&pace);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(35)).await;
        learned.learn(&News { closed: 1, over: over(&[5]), ..News::default() });
    });
    drop(pace.slot(|_| {}).await);
    assert_eq!(start.elapsed().as_secs(), 60);
    drop(pace.slot(|_| {}).await);
    assert_eq!(start.elapsed().as_secs(), 70);
    drop(pace.slot(|_| {}).await);
    assert_eq!(start.elapsed().as_secs(), 100);
}

fn rates(texts: &[&str]) -> Vec<Rate> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn no_window_ever_holds_more_however_slow_the_answers() {
    let pace = Pace::new(&rates(&["3/s", "5/min"]), false, None);
    let (sender, mut begun) = tokio::sync::mpsc::unbounded_channel();
    for worker in 0..4_u64 {
        let (pace, sender) = (Arc::clone(&pace), sender.clone());
        tokio::spawn(async move {
            for turn in 0..5_u64 {
                let slot = pace.slot(|_| {}).await.unwrap();
                sender.send(Instant::now()).unwrap();
                tokio::time::sleep(Duration::from_millis(worker * 130 + turn * 70)).await;
                drop(slot);
            }
        });
    }
    drop(sender);
    let mut times = Vec::new();
    while let Some(time) = begun.recv().await {
        times.push(time);
    }
    assert_eq!(times.len(), 20);
    for (length, most) in [(Duration::from_secs(1), 3), (Duration::from_secs(60), 5)] {
        for (nth, first) in times.iter().enumerate() {
            let within = times[nth..].iter().filter(|time| time.duration_since(*first) < length).count();
            assert!(within <= most, "{within} within {length:?}");
        }
    }
    // and no slower than it must be: 20 at 5 a minute take three more windows
    assert!(times[19] - times[0] < Duration::from_secs(3 * 62), "{:?}", times[19] - times[0]);
}

#[tokio::test(start_paused = true)]
async fn an_unused_slot_does_not_count() {
    let pace = Pace::new(&rates(&["1/hour"]), false, None);
    let start = Instant::now();
    pace.slot(|_| {}).await.unwrap().unused();
    drop(pace.slot(|_| {}).await);
    assert_eq!(start.elapsed(), Duration::ZERO);
    let mut told = Duration::ZERO;
    drop(pace.slot(|wait| told = wait).await);
    assert!(start.elapsed() >= Duration::from_secs(3600) && told >= Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn spread_evenly_there_is_the_same_time_between_any_two() {
    let pace = Pace::new(&rates(&["30/min", "7200/hour"]), true, None);
    let start = Instant::now();
    let mut begun = Vec::new();
    for _ in 0..5 {
        drop(pace.slot(|_| {}).await);
        begun.push(start.elapsed().as_secs());
    }
    assert_eq!(begun, [0, 2, 4, 6, 8]);
}

#[tokio::test]
async fn without_rates_nothing_waits() {
    let pace = Pace::new(&[], false, None);
    for _ in 0..1000 {
        drop(pace.slot(|_| unreachable!()).await);
    }
}
