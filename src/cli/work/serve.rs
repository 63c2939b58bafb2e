//! One turn with a campaign: batches of it are taken while others are sent, and given back as they are done.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{Timestamp, ZonedDateTime};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    Stay,
    desk::{Desk, Sent, halt},
};
use crate::{
    campaign::{Phase, Rate},
    cli::{
        Exit, Failure,
        account::check_senders,
        approval::clear,
        confirm::server,
        load::Frozen,
        record::{failed, who},
        send::schedule,
        when::in_a_line,
    },
    delivery::{self, Job, Shared, Stop, StopReason},
    message::Composer,
    outbox::{Campaign, Deed, Journal, Outbox, Outcome, Overview, Places, Store, StoreError, Waiting},
    report::{self, log},
};

/// So many events wait to be heard before the engine waits for whoever hears them.
const EVENTS: usize = 1024;

/// A campaign has so long, where others wait, and much longer than it takes to read it.
const TURN: Duration = Duration::from_secs(30);

/// So often it is looked whether somebody wants the campaign.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// So long a campaign is left alone that this machine cannot send now.
const PATIENCE: Duration = Duration::from_secs(60);

/// So long a connection that another waits for is left to them.
const LEAVE_TO_OTHERS: Duration = Duration::from_secs(2);

/// So many messages are in a batch.
const BATCH: usize = 100;

/// So many batches are taken at once, at most.
const MOST_AHEAD: usize = 20;

/// What is taken at once is to last so long, at least and at most: whoever takes much more has it for itself once others have nothing left.
const LASTS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(400));

/// What was read of a campaign.
pub(super) struct Kept {
    id: String,
    frozen: Arc<Frozen>,
    composer: Composer,
    /// How long it took to read it
    time: Duration,
}

impl Kept {
    pub(super) fn is_of(&self, campaign: &Overview) -> bool {
        self.id == campaign.id && campaign.digest == Some(self.frozen.digest)
    }
}

/// Why there is no turn.
enum Not {
    /// The database says so, or does not answer.
    Asked(StoreError),
    /// The same, and what was taken cannot be given back: the stay is over, and others get it then.
    GivenBack(StoreError),
    /// The campaign cannot be sent.
    May(Failure),
}

impl From<Failure> for Not {
    fn from(why: Failure) -> Self {
        Self::May(why)
    }
}

impl Desk {
    /// Sends some of a campaign.
    pub(super) fn serve(
        &self,
        stay: &Stay<'_>,
        store: &Store,
        waiting: &Waiting,
        later: &HashMap<String, Timestamp>,
    ) -> Sent {
        let Some(campaign) = stay.ask(store.campaign(&waiting.id)) else { return Sent::Over };
        match self.read(store, &campaign) {
            Ok(kept) => {
                let sent = self.turn(stay, store, &campaign, &kept, later);
                self.keep(kept);
                match sent {
                    Ok(sent) => sent,
                    // Others write a lot at the moment.
                    Err(Not::Asked(StoreError::Busy(_))) => Sent::NotBefore(Timestamp::now() + PATIENCE),
                    Err(Not::Asked(why) | Not::GivenBack(why)) => {
                        stay.ask(Err::<(), _>(why));
                        Sent::Over
                    }
                    Err(Not::May(failure)) => cannot(stay, store, &campaign, &failure),
                }
            }
            Err(failure) => cannot(stay, store, &campaign, &failure),
        }
    }

    fn read(&self, store: &Store, campaign: &Overview) -> Result<Kept, Failure> {
        if let Some(kept) = self.find(campaign) {
            return Ok(kept);
        }
        let start = Instant::now();
        let (frozen, composer) = Frozen::thaw(store, campaign)?;
        if let Some(signer) = &self.signer {
            check_senders(signer, &composer, &(0..composer.list().len()).collect::<Vec<_>>())?;
        }
        Ok(Kept { id: campaign.id.clone(), frozen: Arc::new(frozen), composer, time: start.elapsed() })
    }

    fn turn(
        &self,
        stay: &Stay<'_>,
        store: &Store,
        campaign: &Overview,
        kept: &Kept,
        later: &HashMap<String, Timestamp>,
    ) -> Result<Sent, Not> {
        let settings = &kept.frozen.settings;
        let hours = settings.when.hours();
        if let Phase::Closed(opens) = hours.at(Timestamp::now()) {
            return Ok(Sent::NotBefore(opens.min(Timestamp::now() + Duration::from_secs(60))));
        }
        clear(store, &campaign.id, &kept.frozen, settings, Some(&self.account))?;
        let own = stay.worker.campaign(campaign);
        let most = settings.connections.unwrap_or(usize::MAX).min(self.account.connections.get());
        let places = own.places(&self.account.name, self.account.connections.get(), settings.connections);
        let places = places.map_err(Not::Asked)?;
        // Without a connection there is no use in having messages.
        if let Some(places) = &places
            && places.take().map_err(Not::Asked)?.is_none()
        {
            return Ok(Sent::NotBefore(Timestamp::now() + Duration::from_secs(1)));
        }
        let first = store.take_batches(stay.worker, campaign, &self.account.name, 1).map_err(Not::Asked)?;
        if first.is_empty() {
            return Ok(Sent::Some);
        }
        let rates: Vec<Rate> = self.account.rates.iter().chain(&settings.rates).copied().collect();
        let begun = self.begin(stay, store, campaign, &rates).and_then(|outbox| {
            let job = self.job(&own, kept, &outbox, (&rates, most, places.clone()))?;
            Ok((outbox, job))
        });
        let (outbox, job) = match begun {
            Ok(begun) => begun,
            Err(why) => {
                let firsts: Vec<i64> = first.iter().map(|portion| portion.first).collect();
                store.give_batches_back(stay.worker, campaign, &firsts).map_err(Not::GivenBack)?;
                return Err(why);
            }
        };
        for portion in &first {
            outbox.feed(portion);
        }
        let place = stay.office.place.clone();
        let (id, frozen, account) = (campaign.id.clone(), Arc::clone(&kept.frozen), self.account.clone());
        let recheck: crate::cli::send::Recheck = Arc::new(move || {
            clear(&Store::open(&place).map_err(failed)?, &id, &frozen, &frozen.settings, Some(&account))
        });
        let job = Job { schedule: Some(schedule(hours, recheck)), ..job };
        drop(own);
        let long = (kept.time * 20).max(TURN);
        let (places, stop) = (places.as_deref(), Stop::default());
        let turn = Turn { stay, store, campaign, outbox: &outbox, places, stop, long, later };
        let left = [Outcome::Queued, Outcome::Deferred].iter().map(|outcome| campaign.counts.of(*outcome)).sum();
        log::turn_begins(&campaign.id, &self.account.name, left, &rates);
        let start = Instant::now();
        let reason = turn.run(job, self);
        log::turn_ends(&campaign.id, &self.account.name, outbox.counts(), start.elapsed());
        if !matches!(reason, Some(StopReason::NoRecord { .. })) {
            store.give_batches_back(stay.worker, campaign, &outbox.take_rest()).map_err(Not::GivenBack)?;
            if outbox.portions() > 0 {
                return Err(Not::GivenBack(StoreError::Lost(stay.office.place.clone())));
            }
        }
        drop(outbox);
        let sent = self.after(stay, store, campaign, reason.as_ref());
        if matches!(sent, Sent::Some) {
            store.note_end(campaign, &who(), Timestamp::now()).map_err(Not::Asked)?;
        }
        if matches!(reason, Some(StopReason::LetGo)) && places.is_some_and(Places::is_short) {
            // Whoever has no connection looks for one each second.
            stay.rest(LEAVE_TO_OTHERS);
        }
        Ok(sent)
    }

    /// Writes down that it is begun, and makes what batches come into.
    fn begin(&self, stay: &Stay<'_>, store: &Store, campaign: &Overview, rates: &[Rate]) -> Result<Arc<Outbox>, Not> {
        let rates: Vec<String> = rates.iter().map(ToString::to_string).collect();
        let details = json!({ "server": server(&self.account), "rates": rates, "how": "by workers" });
        let deed = Deed { who: &who(), what: "started", details: &details };
        store.note_start(campaign, deed, Timestamp::now()).map_err(Not::Asked)?;
        let journal = Store::open(&stay.office.place).map_err(Not::Asked)?;
        let reports = Some(Arc::clone(&stay.office.reports));
        let own = stay.worker.campaign(campaign);
        let journal = Journal::start_with(journal, own, Some(self.account.name.clone()), reports);
        let journal = journal.map_err(|why| Failure::because(Exit::Software, "send.journal", why.to_string(), None))?;
        Ok(Arc::new(Outbox::of_worker(campaign.largest, journal)))
    }

    fn job(
        &self,
        own: &Campaign,
        kept: &Kept,
        outbox: &Arc<Outbox>,
        (rates, most, places): (&[Rate], usize, Option<Arc<Places>>),
    ) -> Result<Job, Not> {
        let settings = &kept.frozen.settings;
        let name = &self.account.name;
        let longest = rates.iter().map(|rate| rate.window()).max();
        let ledger = longest.map(|longest| own.ledger(name, longest)).transpose().map_err(Not::Asked)?;
        let domains = own.domains(name, &self.account.domains, &settings.domains).map_err(Not::Asked)?;
        Ok(Job {
            account: self.account.clone(),
            secret: self.secret.clone(),
            rates: settings.rates.clone(),
            spread: settings.spread.unwrap_or(false),
            connections: self.connections.min(most),
            first: None,
            composer: kept.composer.clone(),
            signer: self.signer.clone(),
            outbox: Arc::clone(outbox),
            retry: settings.retry,
            waits: true,
            shared: Shared { ledger, domains, places },
            clock: ZonedDateTime::now,
            schedule: None,
        })
    }
}

/// A campaign cannot be sent: by its own fault, unless the database did not answer.
fn cannot(stay: &Stay<'_>, store: &Store, campaign: &Overview, failure: &Failure) -> Sent {
    if matches!(failure.exit, Exit::TryAgain | Exit::Io | Exit::CannotCreate) {
        let _ = stay.over.set(StoreError::Unreached(stay.office.place.clone(), in_a_line(failure)));
        return Sent::Over;
    }
    // It may be this machine's own fault, and others can.
    if matches!(failure.exit, Exit::Configuration | Exit::Software) {
        log::campaign_halted(&campaign.id, &in_a_line(failure));
        return Sent::NotBefore(Timestamp::now() + PATIENCE);
    }
    halt(stay, store, campaign, &in_a_line(failure))
}

/// A turn that goes on.
struct Turn<'t> {
    stay: &'t Stay<'t>,
    store: &'t Store,
    campaign: &'t Overview,
    outbox: &'t Arc<Outbox>,
    places: Option<&'t Places>,
    stop: Stop,
    /// How long it is, where others wait
    long: Duration,
    /// Those that wait for something else.
    later: &'t HashMap<String, Timestamp>,
}

impl Turn<'_> {
    /// Sends until nothing is left, somebody else is to have the campaign, or something ends it; gives what that was.
    fn run(&self, job: Job, desk: &Desk) -> Option<StopReason> {
        let office = self.stay.office;
        let (sender, receiver) = mpsc::channel(EVENTS);
        let board = Arc::clone(&office.board);
        let listener = office.runtime.spawn(report::listen_for_worker(receiver, desk.account.name.clone(), board));
        let engine = office.runtime.spawn(delivery::run(job, sender, self.stop.clone()));
        let began = Instant::now();
        let (mut looked, mut ahead) = (Instant::now(), Ahead { batches: 1, taken: Instant::now(), dry: None });
        while !engine.is_finished() {
            if let Some(reason) = office.stop.reason() {
                self.stop.request(reason);
            }
            if let Some(why) = self.stay.over.get() {
                self.stop.request(StopReason::NoRecord { why: why.to_string() });
            }
            if self.stop.reason().is_some() {
                // Nobody else may do so any more, and a server may take minutes for its last answer.
                office.board.beat();
            } else {
                let is_time = looked.elapsed() >= LOOK_EVERY;
                let turned = (|| {
                    if is_time {
                        looked = Instant::now();
                        self.look(began.elapsed() > self.long, desk)?;
                    }
                    self.feed(desk, &mut ahead)
                })();
                self.stay.ask(turned);
            }
            std::thread::sleep(Duration::from_millis(if self.outbox.waiting() < BATCH { 2 } else { 10 }));
        }
        let ended = office.runtime.block_on(async { (engine.await, listener.await) });
        if let Err(error) = ended.0
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
        self.stop.reason()
    }

    /// Whether somebody wants to have the campaign, or others wait for their turn, or for a connection.
    fn look(&self, is_long: bool, desk: &Desk) -> Result<(), StoreError> {
        let accounts = std::slice::from_ref(&desk.account.name);
        let is_others = is_long
            && self
                .store
                .waiting(accounts)?
                .iter()
                .any(|one| one.id != self.campaign.id && !self.later.contains_key(&one.id));
        let is_short = is_long && self.places.is_some_and(Places::is_short);
        if is_others || is_short || self.store.is_wanted(self.campaign, &desk.account.name)? {
            self.stop.request(StopReason::LetGo);
        }
        Ok(())
    }

    /// Takes further batches where few messages are left, and gives back those that are done.
    fn feed(&self, desk: &Desk, ahead: &mut Ahead) -> Result<(), StoreError> {
        let done = self.outbox.take_done();
        self.store.give_batches_back(self.stay.worker, self.campaign, &done)?;
        let waiting = self.outbox.waiting();
        // What waits for a domain is here as well.
        if waiting * 4 >= ahead.batches * BATCH || self.outbox.portions() > MOST_AHEAD * 2 {
            return Ok(());
        }
        // There were none a moment ago: once nothing is left that is asked again, and the run ends.
        if waiting > 0 && ahead.dry.is_some_and(|dry| dry.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        let portions = self.store.take_batches(self.stay.worker, self.campaign, &desk.account.name, ahead.batches)?;
        if portions.is_empty() {
            ahead.dry = Some(Instant::now());
            if self.outbox.waiting() == 0 {
                self.outbox.end_feed();
            }
            return Ok(());
        }
        ahead.were_taken();
        for portion in &portions {
            self.outbox.feed(portion);
        }
        Ok(())
    }
}

/// How much is taken at once, by how long it lasted.
struct Ahead {
    batches: usize,
    /// When some were taken
    taken: Instant,
    /// When there were none to take
    dry: Option<Instant>,
}

impl Ahead {
    /// Some were taken now, because those before are about to run out.
    fn were_taken(&mut self) {
        let lasted = self.taken.elapsed();
        if lasted < LASTS.0 {
            self.batches = (self.batches * 2).min(MOST_AHEAD);
        } else if lasted > LASTS.1 {
            self.batches = (self.batches / 2).max(1);
        }
        (self.taken, self.dry) = (Instant::now(), None);
    }
}
