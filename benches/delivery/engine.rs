//! The engine alone, through an account without TLS to a server on this machine; and the campaign that benchmarks send.

#![allow(dead_code, reason = "not every benchmark does all of this")]

use std::{
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use apiece::{
    campaign::{Accounts, ListOptions, Retry},
    delivery::{self, Job, Stop},
    guard::Guard,
    message::Composer,
    outbox::{Location, Outbox, Prepared, Snapshot, Store},
    recipients::{RecipientList, Selection},
    template::Template,
};
use jiff::{Timestamp, ZonedDateTime};
use tokio::{runtime::Runtime, sync::mpsc};

use super::people;

/// Writes a campaign of messages of 5 KB, HTML and text, to so many people.
pub(crate) fn write_campaign(directory: &Path, count: usize) {
    std::fs::write(directory.join("update.html.hbs"), include_str!("../messages/update.html.hbs")).unwrap();
    std::fs::write(directory.join("update.txt.hbs"), include_str!("../messages/update.txt.hbs")).unwrap();
    let mut list = BufWriter::new(std::fs::File::create(directory.join("people.csv")).unwrap());
    for nth in 0..count {
        let one = people::csv(&[people::person(nth)]);
        let line = if nth == 0 { one.as_str() } else { one.split_once('\n').unwrap().1 };
        list.write_all(line.as_bytes()).unwrap();
    }
    list.flush().unwrap();
}

/// Reads it.
pub(crate) fn composer(directory: &Path) -> Composer {
    let list = RecipientList::read(&directory.join("people.csv"), &ListOptions::default()).unwrap();
    let template = Template::read(&directory.join("update.html.hbs"), list.columns()).unwrap();
    Composer::new(template.into(), list.into())
}

/// Makes and inspects all messages.
pub(crate) fn prepare(composer: &Composer) -> Prepared {
    let guard = Guard::new(Arc::clone(composer.list()), &[]);
    Prepared::make(composer, &guard, Selection::All(composer.list().len()), &|_| {}).unwrap()
}

/// Keeps the messages in a record; gives that and the id of the campaign.
pub(crate) fn freeze(composer: &Composer, mut prepared: Prepared, location: &Location) -> (Store, String) {
    let mut store = Store::open(location).unwrap();
    let content = prepared.content().unwrap();
    let selected = &Selection::All(composer.list().len());
    let settings = "template = \"update.html.hbs\"\nrecipients = \"people.csv\"\n";
    let (prepared, edition, who) = (&mut prepared, 1, "bench");
    let snapshot = Snapshot {
        name: "bench",
        is_named: false,
        home: None,
        settings,
        signers: None,
        is_bound: false,
        composer,
        prepared,
        content,
        edition,
        selected,
        again: false,
        who,
        further: &serde_json::Value::Null,
    };
    let kept = store.freeze(snapshot, Timestamp::now(), &|_| {}).unwrap();
    (store, kept.id)
}

/// Sends what is in an outbox over so many connections; how long that takes.
pub(crate) fn send(
    runtime: &Runtime,
    composer: &Composer,
    outbox: Arc<Outbox>,
    port: u16,
    connections: usize,
) -> Duration {
    let account = format!(
        "[account.plain]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nconnections = {connections}\ntimeout = \"60s\"\n"
    );
    let accounts = Accounts::parse(Path::new("config.toml"), &account).unwrap();
    let job = Job {
        account: accounts.choose(None).unwrap().clone(),
        secret: None,
        rates: Vec::new(),
        spread: false,
        connections,
        first: None,
        composer: composer.clone(),
        signer: None,
        outbox,
        retry: Retry::default(),
        waits: true,
        shared: delivery::Shared::default(),
        clock: ZonedDateTime::now,
        schedule: None,
    };
    let start = Instant::now();
    runtime.block_on(async {
        let (sender, mut events) = mpsc::channel(1024);
        let run = tokio::spawn(delivery::run(job, sender, Stop::default()));
        while events.recv().await.is_some() {}
        run.await.unwrap();
    });
    start.elapsed()
}
