//! One run at a time for a campaign, on whichever machine: whoever has it says again and again that it is still there.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use jiff::Timestamp;

use super::{Server, Session};
use crate::{
    message::Digest,
    outbox::database::{
        Done, Fault, Location, StoreError, random,
        value::{AsValue, Value, values},
    },
};

/// It is tried so often before somebody is said to have it, with pauses.
const PATIENCE: u32 = 5;

/// A pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// So often it says that it is there.
const BEAT: Duration = Duration::from_secs(8);

/// That nobody else sends a campaign, as long as its holder is heard of.
#[derive(Debug)]
pub(in crate::outbox) struct Lease {
    campaign: String,
    token: [u8; 16],
    end: Arc<(Mutex<bool>, Condvar)>,
    beating: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes it, or says who has it.
    pub(in crate::outbox) fn take(server: &Server, campaign: &str, now: Timestamp) -> Result<Self, StoreError> {
        let failed = |why: Fault| StoreError::of(&Location::Server(server.clone()), &why);
        let session = Session::connect(server).map_err(failed)?;
        let token: [u8; 16] = random().map_err(failed)?;
        let about = format!(
            "process {}{} since {}",
            std::process::id(),
            machine().map(|name| format!(" on {name}")).unwrap_or_default(),
            now.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        let mut patience = PATIENCE;
        while !try_to_take(&session, campaign, token, &about).map_err(failed)? {
            let holder = holder(&session, campaign).map_err(failed)?;
            match (holder, patience) {
                (Some(holder), 0) => return Err(StoreError::Running { id: campaign.to_owned(), holder }),
                // Somebody may only be looking whether it is taken.
                _ => {
                    patience = patience.saturating_sub(1);
                    std::thread::sleep(PAUSE);
                }
            }
        }
        let mut lease = Self { campaign: campaign.to_owned(), token, end: Arc::default(), beating: None };
        let (server, campaign, end) = (server.clone(), campaign.to_owned(), Arc::clone(&lease.end));
        let beating = std::thread::Builder::new().name("lease".into()).spawn(move || {
            beat(session, &server, &campaign, token, &end);
        });
        lease.beating = Some(beating.map_err(|why| failed(Fault::Unreached(why.to_string())))?);
        Ok(lease)
    }

    /// That nobody else has the campaign.
    pub(in crate::outbox) fn fence(&self) -> Fence {
        Fence { campaign: self.campaign.clone(), token: self.token }
    }
}

/// What stands for a campaign among the locks of a database.
fn key(campaign: &str) -> i64 {
    let mut hash = Digest::builder();
    hash.add_part(b"apiece run");
    hash.add_part(campaign.as_bytes());
    hash.finish().first_octets().cast_signed()
}

/// Whether a lock of the session's own is had, which the database takes back with the session: whoever had it before is gone.
fn locks(session: &Session, campaign: &str) -> Done<bool> {
    let rows = session.rows("SELECT pg_try_advisory_lock(?)", values![key(campaign)])?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Takes it, if it is free: nobody has it, or who had it was not heard of for too long.
fn try_to_take(session: &Session, campaign: &str, token: [u8; 16], about: &str) -> Done<bool> {
    let is_free = if locks(session, campaign)? { "" } else { "WHERE run.until < clock_timestamp()" };
    let sql = format!(
        "INSERT INTO run (campaign, token, holder, until) VALUES (?, ?, ?, heard_until())
         ON CONFLICT (campaign) DO UPDATE SET token = excluded.token, holder = excluded.holder, until = excluded.until {is_free}"
    );
    Ok(session.run(&sql, values![campaign, token, about])? == 1)
}

/// What must still be so whenever something is written about a campaign.
#[derive(Debug, Clone)]
pub(in crate::outbox) struct Fence {
    campaign: String,
    token: [u8; 16],
}

impl Fence {
    /// What holds it until the transaction ends, or fails if it is no longer so.
    pub(super) const SQL: &str = "hold(?, ?)";

    pub(super) fn values(&self) -> [Value<'_>; 2] {
        [self.campaign.as_value(), self.token.as_value()]
    }
}

/// Says that a run is there until it ends, or until another has the campaign.
fn beat(session: Session, server: &Server, campaign: &str, token: [u8; 16], end: &(Mutex<bool>, Condvar)) {
    let mut session = Some(session);
    loop {
        let is_over = end.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = end.1.wait_timeout_while(is_over, BEAT, |is_over| !*is_over);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 {
            break;
        }
        // A database that was away for a while may be there again.
        let connected = session.take().map_or_else(
            || Session::connect(server).and_then(|session| locks(&session, campaign).map(|_| session)),
            Ok,
        );
        if let Ok(connected) = connected {
            match connected.run("SELECT hold(?, ?)", values![campaign, token]) {
                Err(Fault::Lost) => return,
                Ok(_) => session = Some(connected),
                Err(_) => {}
            }
        }
    }
    // Where the database is away the lock is gone with the session.
    if let Some(session) = session {
        let _ = session.run("DELETE FROM run WHERE campaign = ? AND token = ?", values![campaign, token]);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.end.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.1.notify_all();
        if let Some(beating) = self.beating.take() {
            let _ = beating.join();
        }
    }
}

/// Who has a campaign, if somebody has.
pub(in crate::outbox) fn holder(session: &Session, campaign: &str) -> Done<Option<String>> {
    let sql = "SELECT holder FROM run WHERE campaign = ? AND until > clock_timestamp()";
    let rows = session.rows(sql, values![campaign])?;
    let Some(holder) = rows.first().map(|row| row.try_get(0)).transpose()? else { return Ok(None) };
    // Whose session is gone is gone, too, or will find out.
    let sql = "SELECT CASE WHEN pg_try_advisory_lock_shared(?1) THEN pg_advisory_unlock_shared(?1) ELSE false END";
    let rows = session.rows(sql, values![key(campaign)])?;
    let is_gone = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
    Ok(if is_gone { None } else { holder })
}

/// What this machine calls itself.
fn machine() -> Option<String> {
    #[cfg(unix)]
    return Some(rustix::system::uname().nodename().to_string_lossy().into_owned()).filter(|name| !name.is_empty());
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").ok();
}
