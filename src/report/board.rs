//! What a worker counts as it goes: for a monitor, for whoever restarts it, for systemd.
//!
//! Counts, times, names of accounts and fixed words. There is no way to put a recipient, a campaign, a host or a password on it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    metrics::{STARTED, seconds},
    prometheus::{Kind, Page, Sample, float, label},
};
use crate::{campaign::Rate, outbox::Outcome};

/// A worker that has not gone round its loop for so long does not work: as long as a lease lasts, after which others have taken what it
/// held.
const BEAT_WITHIN: Duration = Duration::from_secs(30);

/// Up to how many milliseconds a transaction took. A server may take minutes for its last answer.
const STEPS: [u64; 15] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000];

/// What becomes of a message that a worker took, and what that is called there.
const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Sent, "sent"),
    (Outcome::Deferred, "deferred"),
    (Outcome::Failed, "failed"),
    (Outcome::InDoubt, "in_doubt"),
    (Outcome::Queued, "requeued"),
];

/// What a worker counts. Everybody may write on it, at any time; it holds up nobody.
///
/// ```
/// use apiece::{outbox::Outcome, report::Board};
/// let board = Board::new(&["work".to_owned()]);
/// board.outcome("work", Outcome::Sent);
/// assert!(board.text().contains("apiece_outcomes_total{account=\"work\",outcome=\"sent\"} 1\n"));
/// ```
#[derive(Debug)]
pub struct Board {
    accounts: Vec<Account>,
    began: Timestamp,
    start: Instant,
    /// Milliseconds from the start to when the loop last went round
    beat: AtomicU64,
    lease_losses: AtomicU64,
    held: AtomicU64,
    reaches_database: AtomicBool,
    has_lease: AtomicBool,
    is_stopping: AtomicBool,
}

#[derive(Debug)]
struct Account {
    name: String,
    /// Its name, as a label's value
    label: String,
    outcomes: [AtomicU64; OUTCOMES.len()],
    transactions: Histogram,
    state: Mutex<State>,
}

/// How it stands with an account; nothing is said of what is not known yet.
#[derive(Debug, Default)]
struct State {
    /// Messages that are queued, and those that are due
    waiting: Option<(u64, u64)>,
    /// Connections that are open, and how many may be
    connections: Option<(u64, u64)>,
    /// How many of a rate's window are used
    windows: Vec<(Rate, u64)>,
}

impl Board {
    /// That of a worker for these accounts, which begins now. It reaches no database and holds no lease yet.
    #[must_use]
    pub fn new(accounts: &[String]) -> Arc<Self> {
        let mut known: Vec<Account> = Vec::new();
        for name in accounts {
            if known.iter().any(|account| account.name == *name) {
                continue;
            }
            // Two names that cannot be shown must not become one.
            let mut label = label(name);
            while known.iter().any(|account| account.label == label) {
                label.push('_');
            }
            known.push(Account::new(name.clone(), label));
        }
        Arc::new(Self {
            accounts: known,
            began: Timestamp::now(),
            start: Instant::now(),
            beat: AtomicU64::new(0),
            lease_losses: AtomicU64::new(0),
            held: AtomicU64::new(0),
            reaches_database: AtomicBool::new(false),
            has_lease: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
        })
    }

    fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// What became of a message: sent, deferred, failed, in doubt, or queued again. Nothing else is counted.
    pub fn outcome(&self, account: &str, outcome: Outcome) {
        let place = OUTCOMES.iter().position(|(counted, _)| *counted == outcome);
        if let (Some(account), Some(place)) = (self.account(account), place) {
            account.outcomes[place].fetch_add(1, Relaxed);
        }
    }

    /// How long a transaction took, from its begin to the last answer.
    pub fn transaction(&self, account: &str, time: Duration) {
        if let Some(account) = self.account(account) {
            account.transactions.add(time);
        }
    }

    /// How many messages of an account are queued, put off ones included, and how many of them are due.
    pub fn waiting(&self, account: &str, queued: u64, due: u64) {
        if let Some(account) = self.account(account) {
            account.state().waiting = Some((queued, due));
        }
    }

    /// How many transactions count in the window of one of an account's rates now, those of all workers.
    pub fn window(&self, account: &str, rate: &Rate, used: u64) {
        let Some(account) = self.account(account) else { return };
        let windows = &mut account.state().windows;
        match windows.iter_mut().find(|(known, _)| known == rate) {
            Some((_, known)) => *known = used,
            None => windows.push((*rate, used)),
        }
    }

    /// How many connections this worker has to an account's server, and how many it may have.
    pub fn connections(&self, account: &str, open: u64, most: u64) {
        if let Some(account) = self.account(account) {
            account.state().connections = Some((open, most));
        }
    }

    /// The worker has its lease, or has it again.
    pub fn lease_held(&self) {
        self.has_lease.store(true, Relaxed);
    }

    /// A lease ran out, and somebody else may have what was held by it.
    pub fn lease_lost(&self) {
        self.lease_losses.fetch_add(1, Relaxed);
        self.has_lease.store(false, Relaxed);
    }

    /// How many outcomes are in the worker's own file, since the database did not take them yet.
    pub fn held(&self, outcomes: u64) {
        self.held.store(outcomes, Relaxed);
    }

    /// Whether the database answers.
    pub fn database(&self, reached: bool) {
        self.reaches_database.store(reached, Relaxed);
    }

    /// The worker's loop went round: to be said each few seconds, also while it waits, is stopped, or the database is away.
    pub fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.fetch_max(now, Relaxed);
    }

    /// The worker finishes what is on the wire, and takes nothing new.
    pub fn stopping(&self) {
        self.is_stopping.store(true, Relaxed);
    }

    fn since_beat(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.beat.load(Relaxed)))
    }

    /// Whether the worker works; if not, why. One that does not is to be started anew. That the database is away is no reason for it.
    pub fn alive(&self) -> Result<(), String> {
        let still = self.since_beat();
        if still <= BEAT_WITHIN {
            return Ok(());
        }
        Err(format!("the worker's loop stands still since {} seconds", still.as_secs()))
    }

    /// Whether it can send; if not, why.
    pub fn ready(&self) -> Result<(), String> {
        self.alive()?;
        if self.is_stopping.load(Relaxed) {
            return Err("the worker is being stopped".into());
        }
        if !self.reaches_database.load(Relaxed) {
            return Err("the database is not reached".into());
        }
        if !self.has_lease.load(Relaxed) {
            return Err("the worker holds no lease".into());
        }
        Ok(())
    }

    /// How it stands, in a line of fixed words and numbers.
    #[must_use]
    pub fn line(&self) -> String {
        let counts = OUTCOMES.iter().enumerate().map(|(place, (_, word))| {
            let count: u64 = self.accounts.iter().map(|account| account.outcomes[place].load(Relaxed)).sum();
            format!("{count} {}", word.replace('_', " "))
        });
        let counts = counts.collect::<Vec<_>>().join(", ");
        let held = match self.held.load(Relaxed) {
            0 => String::new(),
            held => format!("; {held} outcomes to be written down"),
        };
        let how = self.ready().err().unwrap_or_else(|| "working".into());
        format!("{how}: {counts}{held}")
    }

    /// All of it in the Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut page = Page::default();
        self.put_counts(&mut page);
        self.put_states(&mut page);
        self.put_worker(&mut page);
        page.into_text()
    }

    fn put_counts(&self, page: &mut Page) {
        let outcomes = self.accounts.iter().flat_map(|account| {
            OUTCOMES.iter().zip(&account.outcomes).map(|((_, word), count)| {
                Sample::of_count(account.labels(&format!(",outcome=\"{word}\"")), count.load(Relaxed))
            })
        });
        page.family("apiece_outcomes_total", Kind::Counter, "What became of messages that this worker took.", outcomes);
        page.family(
            "apiece_transaction_duration_seconds",
            Kind::Histogram,
            "How long transactions took, from their begin to the last answer.",
            self.accounts.iter().flat_map(|account| account.transactions.samples(account)),
        );
    }

    fn put_states(&self, page: &mut Page) {
        let mut gauge = |name: &str, help: &str, of: fn(&State) -> Option<u64>| {
            let samples = self.accounts.iter().filter_map(|account| {
                let value = of(&account.state())?;
                Some(Sample::of_count(account.labels(""), value))
            });
            page.family(name, Kind::Gauge, help, samples);
        };
        gauge(
            "apiece_messages_waiting",
            "Messages of the account that are still to be sent, by any worker.",
            |state| state.waiting.map(|(queued, _)| queued),
        );
        gauge("apiece_messages_due", "Those of them that could be sent now.", |state| {
            state.waiting.map(|(_, due)| due)
        });
        gauge("apiece_connections_open", "Connections of this worker to the account's server.", |state| {
            state.connections.map(|(open, _)| open)
        });
        gauge("apiece_connections_limit", "How many of them this worker may have.", |state| {
            state.connections.map(|(_, most)| most)
        });
        let mut windows = |name: &str, help: &str, of: fn(&Rate, u64) -> u64| {
            let samples = self.accounts.iter().flat_map(|account| {
                let of = |(rate, used): &(Rate, u64)| {
                    Sample::of_count(account.labels(&format!(",rate=\"{rate}\"")), of(rate, *used))
                };
                account.state().windows.iter().map(of).collect::<Vec<_>>()
            });
            page.family(name, Kind::Gauge, help, samples);
        };
        windows("apiece_window_used", "Transactions of all workers that count in the rate's window now.", |_, used| {
            used
        });
        windows("apiece_window_limit", "How many of them the rate allows.", |rate, _| rate.count().get().into());
    }

    fn put_worker(&self, page: &mut Page) {
        page.family(
            "apiece_lease_losses_total",
            Kind::Counter,
            "Leases of this worker that ran out.",
            [Sample::of_count("", self.lease_losses.load(Relaxed))],
        );
        let mut gauge = |name: &str, help: &str, labels: &str, value: f64| {
            page.family(name, Kind::Gauge, help, [Sample::new(labels, value)]);
        };
        gauge(
            "apiece_lease_held",
            "Whether this worker holds its lease.",
            "",
            f64::from(u8::from(self.has_lease.load(Relaxed))),
        );
        gauge(
            "apiece_outcomes_held",
            "Outcomes that wait in this worker's file until the database takes them.",
            "",
            float(self.held.load(Relaxed)),
        );
        gauge(
            "apiece_database_reached",
            "Whether the database answers.",
            "",
            f64::from(u8::from(self.reaches_database.load(Relaxed))),
        );
        gauge(
            "apiece_beat_age_seconds",
            "Since when the worker's loop stands still.",
            "",
            self.since_beat().as_secs_f64(),
        );
        gauge(STARTED, "When the run began.", "", seconds(self.began));
        let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        gauge("apiece_build_info", "Which program this is.", version, 1.0);
    }
}

impl Account {
    fn new(name: String, label: String) -> Self {
        let (outcomes, transactions, state) = Default::default();
        Self { name, label, outcomes, transactions, state }
    }

    fn labels(&self, more: &str) -> String {
        format!("account=\"{}\"{more}", self.label)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many transactions took how long.
#[derive(Debug, Default)]
struct Histogram {
    /// Up to each step, and beyond the last
    steps: [AtomicU64; STEPS.len()],
    beyond: AtomicU64,
    microseconds: AtomicU64,
}

impl Histogram {
    fn add(&self, time: Duration) {
        let place = STEPS.partition_point(|step| Duration::from_millis(*step) < time);
        self.steps.get(place).unwrap_or(&self.beyond).fetch_add(1, Relaxed);
        self.microseconds.fetch_add(u64::try_from(time.as_micros()).unwrap_or_default(), Relaxed);
    }

    fn samples(&self, account: &Account) -> Vec<Sample> {
        let mut count = 0;
        let steps = STEPS.map(|step| float(step) / 1000.0).map(|step| step.to_string());
        let steps = steps.into_iter().chain(["+Inf".to_owned()]).zip(self.steps.iter().chain([&self.beyond]));
        let mut samples: Vec<Sample> = steps
            .map(|(step, more)| {
                count += more.load(Relaxed);
                Sample::of_part("_bucket", account.labels(&format!(",le=\"{step}\"")), float(count))
            })
            .collect();
        let sum = float(self.microseconds.load(Relaxed)) / 1e6;
        samples.push(Sample::of_part("_sum", account.labels(""), sum));
        samples.push(Sample::of_part("_count", account.labels(""), float(count)));
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(names: &[&str]) -> Arc<Board> {
        Board::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_counted_is_shown() {
        let board = accounts(&["work", "home"]);
        for outcome in Outcome::ALL {
            board.outcome("work", outcome);
        }
        board.outcome("nobody's", Outcome::Sent);
        for time in [5, 6, 300_000, 300_001] {
            board.transaction("work", Duration::from_millis(time));
        }
        board.waiting("home", 7, 3);
        board.connections("home", 1, 2);
        for used in [3, 4] {
            board.window("home", &"30/min".parse().unwrap(), used);
        }
        board.held(5);
        board.lease_lost();
        let text = board.text();
        let has = |line: &str| assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        for (_, word) in OUTCOMES {
            has(&format!("apiece_outcomes_total{{account=\"work\",outcome=\"{word}\"}} 1"));
            has(&format!("apiece_outcomes_total{{account=\"home\",outcome=\"{word}\"}} 0"));
        }
        for (step, count) in [("0.005", 1), ("0.01", 2), ("120", 2), ("300", 3), ("+Inf", 4)] {
            let labels = format!("{{account=\"work\",le=\"{step}\"}}");
            has(&format!("apiece_transaction_duration_seconds_bucket{labels} {count}"));
        }
        has("apiece_transaction_duration_seconds_sum{account=\"work\"} 600.012");
        has("apiece_messages_waiting{account=\"home\"} 7");
        has("apiece_messages_due{account=\"home\"} 3");
        has("apiece_connections_open{account=\"home\"} 1");
        has("apiece_connections_limit{account=\"home\"} 2");
        has("apiece_window_used{account=\"home\",rate=\"30/min\"} 4");
        has("apiece_window_limit{account=\"home\",rate=\"30/min\"} 30");
        has("apiece_outcomes_held 5");
        has("apiece_lease_losses_total 1");
        assert!(!text.contains("messages_waiting{account=\"work\"") && !text.contains("nobody's"), "{text}");
        assert_eq!(
            board.line(),
            "the database is not reached: 1 sent, 1 deferred, 1 failed, 1 in doubt, 1 requeued; 5 outcomes to be written down"
        );
    }

    #[test]
    fn no_address_gets_into_it_and_no_name_breaks_it() {
        let board = accounts(&["ada@one.example", "bo@two.example", "a\"b\\c\nd", "work", "work"]);
        for name in ["ada@one.example", "bo@two.example"] {
            board.outcome(name, Outcome::Sent);
        }
        let text = board.text();
        assert!(!text.contains('@') && !text.contains(".example"), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("outcome=\"sent\"")).collect();
        let counts: Vec<_> = lines.iter().map(|line| line.chars().last().unwrap()).collect();
        assert_eq!(counts, ['1', '1', '0', '0'], "{text}");
        assert!(lines[2].contains("account=\"a\\\"b\\\\c<U+000A>d\""), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_alive_as_long_as_it_beats_and_ready_if_it_can_send() {
        let board = accounts(&["work"]);
        let ready = |why: &str| assert_eq!(board.ready().err().unwrap_or_default(), why);
        ready("the database is not reached");
        board.database(true);
        ready("the worker holds no lease");
        board.lease_held();
        ready("");
        board.lease_lost();
        ready("the worker holds no lease");
        board.lease_held();
        tokio::time::advance(BEAT_WITHIN).await;
        ready("");
        tokio::time::advance(Duration::from_secs(1)).await;
        let still = "the worker's loop stands still since 31 seconds";
        ready(still);
        assert_eq!(board.alive().unwrap_err(), still);
        assert!(board.text().contains("apiece_beat_age_seconds 31\n"));
        board.beat();
        board.database(false);
        assert!(board.alive().is_ok());
        ready("the database is not reached");
        board.database(true);
        board.stopping();
        assert!(board.alive().is_ok());
        ready("the worker is being stopped");
    }
}
