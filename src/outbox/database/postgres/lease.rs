//! One run at a time for a campaign, on whichever machine, and workers that know of each other: whoever has something says again and
//! again that it is still there.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{Server, Session};
use crate::{
    message::Digest,
    outbox::database::{
        Done, Fault, Location, StoreError, random,
        value::{Value, values},
    },
};

/// It is tried so often before somebody is said to have it, with pauses.
const PATIENCE: u32 = 5;

/// A pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// So often it says that it is there.
const BEAT: Duration = Duration::from_secs(4);

/// Workers let a campaign go within so long, or they are stalled, and nobody hears of them any more by then.
const LET_GO: Duration = Duration::from_secs(45);

/// What somebody has.
#[derive(Debug, Clone)]
enum What {
    /// A campaign, by its id.
    Run(String),
    /// A place among the workers.
    Worker,
}

impl What {
    /// What stands for it among the locks of a database.
    fn key(&self, token: &[u8; 16]) -> i64 {
        match self {
            Self::Run(campaign) => key(b"apiece run", campaign.as_bytes()),
            Self::Worker => key(b"apiece worker", token),
        }
    }
}

/// That nobody else has something, as long as its holder is heard of.
#[derive(Debug)]
pub(in crate::outbox) struct Lease {
    what: What,
    token: [u8; 16],
    is_lost: Arc<AtomicBool>,
    end: Arc<(Mutex<bool>, Condvar)>,
    beating: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes a campaign, or says who has it.
    pub(in crate::outbox) fn take(server: &Server, campaign: &str, now: Timestamp) -> Result<Self, StoreError> {
        let failed = |why: Fault| StoreError::of(&Location::Server(server.clone()), &why);
        let session = Session::connect(server).map_err(failed)?;
        let token: [u8; 16] = random().map_err(failed)?;
        let (what, about) = (What::Run(campaign.to_owned()), about(now));
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
        let since = Instant::now();
        while let Some(holder) = working(&session, campaign).map_err(failed)? {
            if since.elapsed() > LET_GO {
                let _ = session.run(FORGET_RUN, values![campaign, token]);
                return Err(StoreError::Running { id: campaign.to_owned(), holder });
            }
            std::thread::sleep(PAUSE * 5);
            Fence { what: what.clone(), token }.renew(&session).map_err(failed)?;
        }
        Self::beating(session, server, what, token)
    }

    /// Becomes one of the workers.
    pub(in crate::outbox) fn work(server: &Server, accounts: &[String], now: Timestamp) -> Result<Self, StoreError> {
        let failed = |why: Fault| StoreError::of(&Location::Server(server.clone()), &why);
        let session = Session::connect(server).map_err(failed)?;
        let token: [u8; 16] = random().map_err(failed)?;
        locks(&session, What::Worker.key(&token)).map_err(failed)?;
        let sql = "INSERT INTO worker (token, holder, accounts, until) VALUES (?, ?, string_to_array(?, chr(10)), heard_until())";
        session.run(sql, values![token, about(now), accounts.join("\n")]).map_err(failed)?;
        Self::beating(session, server, What::Worker, token)
    }

    fn beating(session: Session, server: &Server, what: What, token: [u8; 16]) -> Result<Self, StoreError> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let mut lease =
            Self { what: what.clone(), token, is_lost: Arc::clone(&is_lost), end: Arc::default(), beating: None };
        let (of, end) = (server.clone(), Arc::clone(&lease.end));
        let beating = std::thread::Builder::new().name("lease".into()).spawn(move || {
            beat(session, &of, &Fence { what, token }, &is_lost, &end);
        });
        let failed =
            |why: std::io::Error| StoreError::of(&Location::Server(server.clone()), &Fault::Unreached(why.to_string()));
        lease.beating = Some(beating.map_err(failed)?);
        Ok(lease)
    }

    /// What must still be so whenever something is written.
    pub(in crate::outbox) fn fence(&self) -> Fence {
        Fence { what: self.what.clone(), token: self.token }
    }

    /// Whether it is known to be over: nobody heard of its holder for too long.
    pub(in crate::outbox) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }
}

/// What a process says about itself.
fn about(now: Timestamp) -> String {
    format!(
        "process {}{} since {}",
        std::process::id(),
        machine().map(|name| format!(" on {name}")).unwrap_or_default(),
        now.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}

/// What stands for something among the locks of a database.
fn key(kind: &[u8], of: &[u8]) -> i64 {
    let mut hash = Digest::builder();
    hash.add_part(kind);
    hash.add_part(of);
    hash.finish().first_octets().cast_signed()
}

/// Whether a lock of the session's own is had, which the database takes back with the session: whoever had it before is gone.
fn locks(session: &Session, key: i64) -> Done<bool> {
    let rows = session.rows("SELECT pg_try_advisory_lock(?)", values![key])?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Takes it, if it is free: nobody has it, or who had it was not heard of for too long.
fn try_to_take(session: &Session, campaign: &str, token: [u8; 16], about: &str) -> Done<bool> {
    let key = key(b"apiece run", campaign.as_bytes());
    let is_free = if locks(session, key)? {
        // Whoever had it before is gone, with its connections.
        session
            .run("DELETE FROM place WHERE holder = (SELECT token FROM run WHERE campaign = ?)", values![campaign])?;
        ""
    } else {
        "WHERE run.until < clock_timestamp()"
    };
    let sql = format!(
        "INSERT INTO run (campaign, token, holder, until) VALUES (?, ?, ?, heard_until())
         ON CONFLICT (campaign) DO UPDATE SET token = excluded.token, holder = excluded.holder, until = excluded.until {is_free}"
    );
    Ok(session.run(&sql, values![campaign, token, about])? == 1)
}

/// A worker that has a part of a campaign still. Once somebody has the campaign none takes another.
fn working(session: &Session, campaign: &str) -> Done<Option<String>> {
    end_lost_workers(session)?;
    let sql = "SELECT number FROM campaign JOIN queue ON queue.campaign = number WHERE id = ?";
    let rows = session.rows(sql, values![campaign])?;
    let Some(number) = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose()? else { return Ok(None) };
    // Whoever is taking a part at this moment is waited for.
    session.rows(
        "SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('apiece queue', ?))) AS locked",
        values![number],
    )?;
    let sql =
        "SELECT coalesce((SELECT worker.holder FROM worker WHERE token = batch.holder), 'a worker that has ended')
         FROM batch WHERE campaign = ? AND batch.holder IS NOT NULL LIMIT 1";
    Ok(session.rows(sql, values![number])?.first().map(|row| row.try_get(0)).transpose()?)
}

/// Ends the workers that are not heard of any more. Where the database itself was away, all are given the time to
/// come back.
pub(in crate::outbox) fn end_lost_workers(session: &Session) -> Done<()> {
    let sql = "SELECT token, until < clock_timestamp() FROM worker
         WHERE until < clock_timestamp() + interval '20 seconds'
             AND pg_postmaster_start_time() < clock_timestamp() - interval '30 seconds'";
    for row in session.rows(sql, &[])? {
        let (token, is_over): (Vec<u8>, bool) = (row.try_get(0)?, row.try_get(1)?);
        // Whose session is gone is gone itself, with its connections.
        let key = key(b"apiece worker", &token);
        let is_gone = locks(session, key)?;
        if is_gone || is_over {
            session.rows("SELECT end_worker(?, ?)", values![token, is_gone])?;
        }
        if is_gone {
            session.rows("SELECT pg_advisory_unlock(?)", values![key])?;
        }
    }
    // Whatever became of a worker, what it had is somebody's to take.
    session.run(
        "UPDATE batch SET holder = NULL, due = 0
         WHERE holder IS NOT NULL AND NOT EXISTS (SELECT 1 FROM worker WHERE token = batch.holder)",
        &[],
    )?;
    Ok(())
}

/// What must still be so whenever something is written.
#[derive(Debug, Clone)]
pub(in crate::outbox) struct Fence {
    what: What,
    token: [u8; 16],
}

const FORGET_RUN: &str = "DELETE FROM run WHERE campaign = ? AND token = ?";

impl Fence {
    /// What holds it until the transaction ends, or fails if it is no longer so.
    pub(super) const SQL: &str = "hold(?, ?)";

    pub(super) fn values(&self) -> [Value<'_>; 2] {
        let campaign = match &self.what {
            What::Run(campaign) => Value::Text(campaign),
            What::Worker => Value::Null,
        };
        [campaign, Value::Octets(&self.token)]
    }

    /// Says that its holder is there; an error if it is no longer so.
    fn renew(&self, session: &Session) -> Done<()> {
        session.rows("SELECT hold(?, ?)", &self.values()).map(drop)
    }

    /// What it is known by.
    pub(in crate::outbox) fn token(&self) -> &[u8; 16] {
        &self.token
    }
}

/// Says that somebody is there until that ends, or until another has what it had.
fn beat(session: Session, server: &Server, fence: &Fence, is_lost: &AtomicBool, end: &(Mutex<bool>, Condvar)) {
    let (mut session, mut has_lock) = (Some(session), true);
    loop {
        let is_over = end.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = end.1.wait_timeout_while(is_over, BEAT, |is_over| !*is_over);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 {
            break;
        }
        // A database that was away for a while may be there again.
        let key = fence.what.key(&fence.token);
        let connected = session.take().map_or_else(
            || {
                has_lock = false;
                Session::connect(server)
            },
            Ok,
        );
        if let Ok(connected) = connected {
            // The session before may have it for a while.
            has_lock = has_lock || locks(&connected, key).unwrap_or(false);
            match fence.renew(&connected) {
                Err(Fault::Lost) => return is_lost.store(true, Ordering::SeqCst),
                Ok(()) => session = Some(connected),
                Err(_) => {}
            }
        }
    }
    // Where the database is away the lock is gone with the session.
    if let Some(session) = session {
        let _ = match &fence.what {
            What::Run(campaign) => session.run(FORGET_RUN, values![campaign, fence.token]).and_then(|_| {
                // Its connections are closed by now.
                session.run("DELETE FROM place WHERE holder = ?", values![fence.token])?;
                session
                    .run("UPDATE slot SET over = now_ms() WHERE holder = ? AND over IS NULL", values![fence.token])
                    .map(drop)
            }),
            What::Worker => session.rows("SELECT end_worker(?, true)", values![fence.token]).map(drop),
        };
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

/// Who has a campaign, or to whom it is handed over, if somebody has.
pub(in crate::outbox) fn holder(session: &Session, campaign: &str) -> Done<Option<String>> {
    if let Some(busy) = busy(session, campaign)? {
        return Ok(Some(busy));
    }
    let sql = "SELECT 'workers of account ' || account || ', to whom it is handed over'
         FROM queue JOIN campaign ON number = queue.campaign WHERE id = ? AND halted IS NULL
             AND EXISTS (SELECT 1 FROM batch WHERE batch.campaign = number AND (due IS NOT NULL OR holder IS NOT NULL))";
    Ok(session.rows(sql, values![campaign])?.first().map(|row| row.try_get(0)).transpose()?)
}

/// Who is sending a campaign, if somebody is.
pub(in crate::outbox) fn busy(session: &Session, campaign: &str) -> Done<Option<String>> {
    let sql = "SELECT holder FROM run WHERE campaign = ? AND until > clock_timestamp()";
    let rows = session.rows(sql, values![campaign])?;
    if let Some(holder) = rows.first().map(|row| row.try_get(0)).transpose()? {
        // Whose session is gone is gone, too, or will find out.
        let sql = "SELECT CASE WHEN pg_try_advisory_lock_shared(?1) THEN pg_advisory_unlock_shared(?1) ELSE false END";
        let rows = session.rows(sql, values![key(b"apiece run", campaign.as_bytes())])?;
        if !rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false) {
            return Ok(holder);
        }
    }
    let sql =
        "SELECT worker.holder FROM worker JOIN batch ON batch.holder = token JOIN campaign ON number = batch.campaign
         WHERE id = ? AND until > clock_timestamp() LIMIT 1";
    Ok(session.rows(sql, values![campaign])?.first().map(|row| row.try_get(0)).transpose()?)
}

/// What this machine calls itself.
fn machine() -> Option<String> {
    #[cfg(unix)]
    return Some(rustix::system::uname().nodename().to_string_lossy().into_owned()).filter(|name| !name.is_empty());
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").ok();
}
