//! What others share of the limits of a domain: a database gives a place for each connection that messages go over, and the right to
//! begin each message.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, task::AbortHandle, time::Instant};

use super::{
    crew::ask_for_place,
    pace::{MOST_AGE, Pace, Slot, asked},
};
use crate::{
    campaign::Rate,
    outbox::{Ledger, News, OpenPlace, Places, Work},
};

/// So often it is looked how many connections are one's own, and what goes back.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What nobody used for so long goes back.
const MOST_IDLE: Duration = Duration::from_secs(2);

/// So long a run has connections that others wait for.
const TURN: Duration = Duration::from_secs(30);

/// So long it leaves them to the others then, who look for one each half second.
const LEAVE_TO_OTHERS: Duration = Duration::from_secs(2);

/// The right to send a message, with a slot where there are rates.
pub(super) struct Right(pub(super) Option<Slot>);

/// What a run has of them.
pub(super) struct Common {
    pace: Option<Arc<Pace>>,
    places: Option<Arc<Places>>,
    had: Mutex<Had>,
    /// Is told when something was had.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Had {
    /// The right to begin, for the message that comes next
    slot: Option<Slot>,
    /// Asks for one
    asking_slot: Option<AbortHandle>,
    /// There is none before, as far as is known.
    until: Option<Instant>,
    /// Those that seats have, and at most one for the seat that comes next
    places: Vec<OpenPlace>,
    /// Asks for one
    asking_place: Option<AbortHandle>,
    /// So many seats have messages for the domain
    seats: usize,
    /// So many are one's own when all that want some have equally many
    share: Option<usize>,
    /// Since when there are any, without a pause
    since: Option<Instant>,
    /// Others wait for places: no message is begun until all are given back, and none is asked for before.
    is_leaving: bool,
    leaves: Option<Instant>,
    /// Whether somebody looks after all of this
    is_kept: bool,
    /// When something was asked for or used last
    used: Option<Instant>,
    /// Why there is nothing to be had any more
    why: Option<String>,
}

impl Had {
    /// Gives up the places that no seat has, but for one where messages wait and nobody else does.
    fn give_up(&mut self, is_waiting: bool) {
        let spare = is_waiting && !self.is_leaving && self.seats < self.share.unwrap_or(usize::MAX);
        let most = self.seats + usize::from(spare);
        self.places.truncate(most);
        if self.places.is_empty() {
            if std::mem::take(&mut self.is_leaving) {
                self.leaves = Some(Instant::now() + LEAVE_TO_OTHERS);
                self.asking_place.take().iter().for_each(AbortHandle::abort);
            }
            (self.since, self.share) = (None, None);
        }
    }
}

impl Common {
    /// None where nobody shares them.
    pub(super) fn new(
        rates: &[Rate],
        spread: bool,
        slots: Option<Ledger>,
        places: Option<Arc<Places>>,
        changed: watch::Sender<()>,
    ) -> Option<Arc<Self>> {
        let pace = slots.map(|slots| Pace::new(rates, spread, Some((slots, News::default()))));
        (pace.is_some() || places.is_some()).then(|| Arc::new(Self { pace, places, had: Mutex::default(), changed }))
    }

    fn had(&self) -> MutexGuard<'_, Had> {
        self.had.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message can go over the connection of a seat, which is a further one or has messages for the domain already. What that
    /// takes is asked for.
    pub(super) fn work(self: &Arc<Self>, is_further: bool) -> Work {
        let mut had = self.had();
        if self.is_ready(&mut had, is_further) {
            return Work::Now;
        }
        let left = had.until.or(had.leaves).map(|until| until.saturating_duration_since(Instant::now()));
        // What is being asked at this moment is told.
        let left = left.filter(|left| !left.is_zero());
        left.map_or(Work::Unknown, |left| Work::At(Timestamp::now() + left))
    }

    /// The same, and the right to send it, if it can go.
    pub(super) fn take(self: &Arc<Self>, is_further: bool) -> Option<Right> {
        let mut had = self.had();
        if !self.is_ready(&mut had, is_further) {
            return None;
        }
        had.seats += usize::from(is_further);
        Some(Right(had.slot.take()))
    }

    /// Whether a slot is asked for, and there may be one at once.
    pub(super) fn is_about_to(self: &Arc<Self>, is_further: bool) -> bool {
        let mut had = self.had();
        !self.is_ready(&mut had, is_further) && had.asking_slot.is_some() && had.until.is_none()
    }

    /// Whether everything is there; otherwise it is asked for: a place first, so that nobody has a slot that waits for one.
    fn is_ready(self: &Arc<Self>, had: &mut Had, is_further: bool) -> bool {
        let now = Instant::now();
        if let Some(old) = had.slot.take_if(|slot| !slot.is_good()) {
            old.unused();
        }
        had.leaves = had.leaves.filter(|until| *until > now);
        let share = had.share.unwrap_or(usize::MAX);
        if had.is_leaving || had.leaves.is_some() || had.seats + usize::from(is_further) > share || had.why.is_some() {
            return false;
        }
        // While there is no slot, there is no use in a place.
        let is_soon = had.until.is_none_or(|until| until < now + MOST_AGE);
        if is_soon {
            had.used = Some(now);
        }
        self.be_kept(had);
        if is_further && self.places.is_some() && had.places.len() <= had.seats {
            if is_soon && had.asking_place.is_none() {
                had.asking_place = Some(tokio::spawn(Arc::clone(self).ask_place()).abort_handle());
            }
            return false;
        }
        let Some(pace) = &self.pace else { return true };
        if had.slot.is_none() {
            had.slot = pace.granted_before();
        }
        if had.slot.is_none() && had.asking_slot.is_none() {
            had.asking_slot = Some(tokio::spawn(Arc::clone(self).ask_slot()).abort_handle());
        }
        had.slot.is_some()
    }

    /// Somebody looks after what is had and asked for.
    fn be_kept(self: &Arc<Self>, had: &mut Had) {
        if !std::mem::replace(&mut had.is_kept, true) {
            tokio::spawn(Self::keep(Arc::downgrade(self)));
        }
    }

    async fn ask_place(self: Arc<Self>) {
        let Some(places) = &self.places else { return };
        let place = ask_for_place(places).await;
        let mut had = self.had();
        had.asking_place = None;
        match place {
            Ok(place) => {
                had.places.push(place);
                had.since = had.since.or_else(|| Some(Instant::now()));
                self.be_kept(&mut had);
            }
            Err(why) => had.why = Some(why),
        }
        drop(had);
        self.changed.send_replace(());
    }

    async fn ask_slot(self: Arc<Self>) {
        let Some(pace) = &self.pace else { return };
        let later = |time| {
            self.had().until = Some(Instant::now() + time);
            self.changed.send_replace(());
        };
        let slot = pace.slot(later).await;
        let mut had = self.had();
        (had.asking_slot, had.until) = (None, None);
        match slot.map(|slot| had.slot.replace(slot)) {
            Ok(before) => before.into_iter().for_each(Slot::unused),
            Err(why) => had.why = Some(why),
        }
        drop(had);
        self.changed.send_replace(());
    }

    /// Gives back what nobody uses, and looks how many places are one's own and whether somebody waits for them, as long as there are
    /// any.
    async fn keep(common: Weak<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(common) = common.upgrade() else { return };
            let since = common.had().since;
            let looked = match (&common.places, since) {
                (Some(places), Some(since)) => {
                    let asking = Arc::clone(places);
                    // A database that does not answer changes nothing.
                    let looked = asked(move || Ok((asking.share()?, asking.is_short()))).await.ok();
                    looked.map(|(share, is_short)| (share, is_short && since.elapsed() > TURN))
                }
                _ => None,
            };
            let mut had = common.had();
            let before = had.share;
            if let Some((share, is_leaving)) = looked.filter(|_| had.since.is_some()) {
                had.share = Some(share);
                had.is_leaving |= is_leaving;
            }
            let is_used = had.used.is_some_and(|used| used.elapsed() < MOST_IDLE);
            had.give_up(is_used);
            if !is_used {
                had.asking_place.take().iter().for_each(AbortHandle::abort);
                had.slot.take().into_iter().for_each(Slot::unused);
                if let Some(pace) = &common.pace {
                    pace.rests();
                }
                if had.since.is_none() && had.asking_slot.is_none() {
                    had.is_kept = false;
                    return;
                }
            }
            let has_changed = before != had.share;
            drop(had);
            if has_changed {
                common.changed.send_replace(());
            }
        }
    }

    /// A message is over, or was never begun; `is_last` if it was the last one of its seat, and `is_waiting` where others wait.
    pub(super) fn is_over(&self, is_last: bool, is_waiting: bool) {
        let mut had = self.had();
        had.used = Some(Instant::now());
        had.seats -= usize::from(is_last);
        had.give_up(is_waiting);
        drop(had);
        if let Some(pace) = &self.pace {
            pace.tidy();
        }
    }

    /// Why nothing can be had any more, if so.
    pub(super) fn why(&self) -> Option<String> {
        self.had().why.clone()
    }

    /// The run is over.
    pub(super) fn end(&self) {
        let mut had = self.had();
        let asking = [had.asking_slot.take(), had.asking_place.take()];
        asking.iter().flatten().for_each(AbortHandle::abort);
        had.slot.take().into_iter().for_each(Slot::unused);
    }
}
