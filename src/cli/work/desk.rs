//! One account of a worker: which campaign is next, and what is done when its server does not want any.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::{Stay, serve::Kept};
use crate::{
    campaign::Account,
    cli::{Exit, Failure, record::who},
    delivery::StopReason,
    message::Signer,
    outbox::{Overview, Store, StoreError, Waiting},
    report::{self, log},
    secret::Secrets,
};

/// So often it is looked whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a server that cannot be reached, or wants nothing, is left alone: at first, and at most.
const LEFT_ALONE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// So many campaigns are kept in memory, so that they need not be read for each turn.
const MOST_KEPT: usize = 3;

/// An account.
pub(super) struct Desk {
    pub(super) account: Account,
    pub(super) secret: Option<Arc<dyn Secrets>>,
    pub(super) signer: Option<Arc<Signer>>,
    /// So many connections at most
    pub(super) connections: usize,
    is_idle: AtomicBool,
    /// Why nothing can be sent through it until a person does something
    given_up: OnceLock<(Exit, String)>,
    /// What was read of campaigns, the one that was used last at the end.
    kept: Mutex<Vec<Kept>>,
}

/// What a turn with a campaign came to.
pub(super) enum Sent {
    /// Some of it, or all.
    Some,
    /// Nothing may be begun before.
    NotBefore(Timestamp),
    /// The server does not want any, or cannot be reached.
    NotNow,
    /// The stay is over.
    Over,
}

impl Desk {
    pub(super) fn new(
        account: Account,
        secret: Option<Arc<dyn Secrets>>,
        signer: Option<Signer>,
        connections: usize,
    ) -> Self {
        Self {
            account,
            secret,
            signer: signer.map(Arc::new),
            connections,
            is_idle: AtomicBool::new(false),
            given_up: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// Whether nothing is left to send through it.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle.load(Ordering::SeqCst) || self.is_given_up()
    }

    /// Whether something is left that workers are to send through it.
    pub(super) fn has_work(&self, store: &Store) -> Result<bool, StoreError> {
        store.has_work(&self.account.name)
    }

    /// Whether nothing can be sent through it until a person does something.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.get().is_some()
    }

    /// The same as what ends the program.
    pub(super) fn given_up(&self) -> Option<Failure> {
        let (exit, why) = self.given_up.get()?;
        let help = "put that right, then start the worker again: apiece doctor looks at all of it";
        Some(Failure::because(*exit, "work.account", format!("account {}: {why}", self.account.name), Some(help)))
    }

    /// Lets what it logs in with be kept.
    pub(super) fn settle(&self, runtime: &Runtime) {
        if let Some(secret) = &self.secret {
            runtime.block_on(secret.settled());
        }
    }

    /// What was read of a campaign, if it is still there.
    pub(super) fn find(&self, campaign: &Overview) -> Option<Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = kept.iter().position(|kept| kept.is_of(campaign))?;
        Some(kept.remove(place))
    }

    /// Keeps it for the next turn.
    pub(super) fn keep(&self, one: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.push(one);
        if kept.len() > MOST_KEPT {
            kept.remove(0);
        }
    }

    /// Sends what waits for this account, one campaign after the other, until the stay is over.
    pub(super) fn work(&self, stay: &Stay<'_>) {
        let place = &stay.office.place;
        let Some(store) = stay.ask(Store::open(place)) else { return };
        let mut alone = LEFT_ALONE.0;
        // When campaigns may go on that may not now.
        let mut later: HashMap<String, Timestamp> = HashMap::new();
        let mut last: Option<String> = None;
        while !stay.is_over() && !self.is_given_up() {
            let Some(mut waiting) = stay.ask(store.waiting(std::slice::from_ref(&self.account.name))) else { return };
            let now = Timestamp::now();
            later.retain(|_, until| *until > now);
            waiting.retain(|one| !later.contains_key(&one.id));
            let Some(next) = after(&waiting, last.as_deref()) else {
                if self.look_idle(stay, &store).is_none() {
                    return;
                }
                stay.rest(LOOK_EVERY);
                continue;
            };
            self.is_idle.store(false, Ordering::SeqCst);
            let began = Instant::now();
            last = Some(next.id.clone());
            match self.serve(stay, &store, next, &later) {
                Sent::Some => alone = LEFT_ALONE.0,
                Sent::NotBefore(until) => {
                    later.insert(next.id.clone(), until);
                }
                Sent::NotNow => {
                    stay.rest(alone);
                    alone = (alone * 2).min(LEFT_ALONE.1);
                }
                Sent::Over => return,
            }
            // Others have it all, or it could not be taken: that is not asked again and again.
            if began.elapsed() < LOOK_EVERY {
                stay.rest(Duration::from_millis(50));
            }
        }
    }

    fn look_idle(&self, stay: &Stay<'_>, store: &Store) -> Option<()> {
        if stay.office.until_done {
            let has_work = stay.ask(self.has_work(store))?;
            self.is_idle.store(!has_work, Ordering::SeqCst);
        }
        Some(())
    }

    /// What is done once a run has ended, by why it did.
    pub(super) fn after(&self, stay: &Stay<'_>, store: &Store, campaign: &Overview, why: Option<&StopReason>) -> Sent {
        let give_up = |exit: Exit, why: &StopReason| {
            let _ = self.given_up.set((exit, report::in_a_line(why)));
            log::account_given_up(&self.account.name, why.name());
            Sent::NotNow
        };
        match why {
            None | Some(StopReason::LetGo | StopReason::Outside { .. } | StopReason::NotGoneOn) => Sent::Some,
            Some(StopReason::Interrupted(_)) => Sent::Over,
            Some(StopReason::NoRecord { why }) => {
                let place = stay.office.place.clone();
                let is_lost = stay.worker.is_lost();
                let why = if is_lost { StoreError::Lost(place) } else { StoreError::Unreached(place, why.clone()) };
                let _ = stay.over.set(why);
                Sent::Over
            }
            Some(StopReason::Unreachable { .. } | StopReason::Unavailable(_) | StopReason::LoginUnavailable(_)) => {
                Sent::NotNow
            }
            Some(StopReason::NoSecret(none)) if none.is_passing => Sent::NotNow,
            Some(why @ (StopReason::LoginRefused(_) | StopReason::NoSecret(_))) => give_up(Exit::Refused, why),
            Some(why @ StopReason::NoLogin(_)) => give_up(Exit::Configuration, why),
            Some(why @ StopReason::Insecure { .. }) => give_up(Exit::Protocol, why),
            // It is the campaign's fault, or somebody must look at it.
            Some(
                why @ (StopReason::SenderRefused { .. }
                | StopReason::SameReply { .. }
                | StopReason::Changed { .. }
                | StopReason::TooLarge { .. }
                | StopReason::Unsound { .. }
                | StopReason::NotSigned { .. }
                | StopReason::TooLate { .. }
                | StopReason::NoLongerAllowed { .. }),
            ) => halt(stay, store, campaign, &report::in_a_line(why)),
        }
    }
}

/// No worker goes on with a campaign until somebody hands it over again.
pub(super) fn halt(stay: &Stay<'_>, store: &Store, campaign: &Overview, why: &str) -> Sent {
    log::campaign_halted(&campaign.id, why);
    match stay.ask(store.halt(campaign, &who(), why, Timestamp::now())) {
        Some(()) => Sent::Some,
        None => Sent::Over,
    }
}

/// The campaign behind the one that was last, in their order, so that each has its turn.
fn after<'w>(waiting: &'w [Waiting], last: Option<&str>) -> Option<&'w Waiting> {
    let place = waiting.iter().position(|one| Some(one.id.as_str()) == last);
    place.and_then(|place| waiting.get(place + 1)).or(waiting.first())
}
