//! What others share of the limits of a domain: a database gives the right to begin each message, and a place for each connection
//! that it goes over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::{sync::watch, task::AbortHandle, time::Instant};

use super::{
    crew::ask_for_place,
    pace::{MOST_AGE, Pace, Slot},
};
use crate::{
    campaign::Rate,
    outbox::{Ledger, News, OpenPlace, Places, Work},
};

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
    /// Those that seats have, and at most one for the seat that comes next
    places: Vec<OpenPlace>,
    /// So many seats have messages for the domain
    seats: usize,
    /// Asks for a slot.
    asking_slot: Option<AbortHandle>,
    /// There is none before, as far as is known.
    until: Option<Instant>,
    /// Asks for a place.
    asking_place: Option<AbortHandle>,
    /// Why there is nothing to be had any more.
    why: Option<String>,
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
        let left = had.until.map(|until| until.saturating_duration_since(Instant::now()));
        left.map_or(Work::Unknown, |left| Work::At(Timestamp::now() + left))
    }

    /// The same, and the right to send it, if it can go.
    pub(super) fn take(self: &Arc<Self>, is_further: bool) -> Option<Option<Slot>> {
        let mut had = self.had();
        if !self.is_ready(&mut had, is_further) {
            return None;
        }
        had.seats += usize::from(is_further);
        Some(had.slot.take())
    }

    /// Whether everything is there; otherwise it is asked for.
    fn is_ready(self: &Arc<Self>, had: &mut Had, is_further: bool) -> bool {
        if let Some(old) = had.slot.take_if(|slot| !slot.is_good()) {
            old.unused();
        }
        if let Some(pace) = self.pace.as_ref().filter(|_| had.slot.is_none()) {
            had.slot = pace.granted_before();
        }
        let lacks_place = is_further && self.places.is_some() && had.places.len() <= had.seats;
        let lacks_slot = self.pace.is_some() && had.slot.is_none();
        if lacks_place && had.asking_place.is_none() && had.why.is_none() {
            had.asking_place = Some(tokio::spawn(Arc::clone(self).ask_place()).abort_handle());
        }
        if lacks_slot && had.asking_slot.is_none() && had.why.is_none() {
            had.asking_slot = Some(tokio::spawn(Arc::clone(self).ask_slot()).abort_handle());
        }
        !lacks_place && !lacks_slot
    }

    async fn ask_place(self: Arc<Self>) {
        let Some(places) = &self.places else { return };
        let place = ask_for_place(places).await;
        {
            let mut had = self.had();
            had.asking_place = None;
            match place {
                Ok(place) => had.places.push(place),
                Err(why) => had.why = Some(why),
            }
        }
        self.was_had().await;
    }

    async fn ask_slot(self: Arc<Self>) {
        let Some(pace) = &self.pace else { return };
        let slot = pace.slot(|time| self.had().until = Some(Instant::now() + time)).await;
        {
            let mut had = self.had();
            (had.asking_slot, had.until) = (None, None);
            match slot.map(|slot| had.slot.replace(slot)) {
                Ok(before) => before.into_iter().for_each(Slot::unused),
                Err(why) => had.why = Some(why),
            }
        }
        self.was_had().await;
    }

    /// Tells so; what nobody takes goes back. The run may have ended by then.
    async fn was_had(self: Arc<Self>) {
        self.changed.send_replace(());
        let common = Arc::downgrade(&self);
        drop(self);
        tokio::time::sleep(MOST_AGE).await;
        if let Some(common) = common.upgrade() {
            common.give_back();
        }
    }

    fn give_back(&self) {
        let mut had = self.had();
        if let Some(old) = had.slot.take_if(|slot| !slot.is_good()) {
            old.unused();
        }
        if had.slot.is_none() {
            let seats = had.seats;
            had.places.truncate(seats);
        }
        drop(had);
        self.tidy();
    }

    /// A message is over, or was never begun; `is_last` if it was the last one of its seat, and `is_waiting` where others wait.
    pub(super) fn is_over(&self, is_last: bool, is_waiting: bool) {
        let mut had = self.had();
        had.seats -= usize::from(is_last);
        let most = had.seats + usize::from(is_waiting);
        had.places.truncate(most);
        drop(had);
        self.tidy();
    }

    fn tidy(&self) {
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
        for asking in [had.asking_slot.take(), had.asking_place.take()].into_iter().flatten() {
            asking.abort();
        }
        if let Some(slot) = had.slot.take() {
            slot.unused();
        }
    }
}
