//! What a person or a program is told: progress while a run goes on, and afterwards what became of everybody.
//!
//! Everything here listens to [`Event`]s and looks into the outbox; nothing here has a say in what is sent.

mod board;
mod endpoint;
pub mod evidence;
mod json;
pub mod log;
mod metrics;
mod output;
mod own;
mod progress;
mod prometheus;
mod summary;
mod supervisor;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use self::progress::Progress;
pub use self::{
    board::Board,
    endpoint::{Endpoint, EndpointError, Place},
    evidence::in_words,
    metrics::{Metrics, check as check_metrics},
    output::{output_was_lost, print},
    progress::{Style, spoken},
    summary::{Reader, Summary},
    supervisor::Supervisor,
};
use crate::{
    campaign::Rate,
    delivery::{Event, Finished},
    diagnostic::Diagnostics,
    outbox::{Kept, Outbox, Outcome},
    recipients::RecipientList,
};

/// So many events at most are told at once.
const MOST_NEWS: usize = 256;

/// So many messages that were not sent are kept with all details.
pub(crate) const MOST_DETAILS: usize = 1000;

/// What is known when a run is over.
#[derive(Debug, Default)]
pub struct Heard {
    /// Messages that were not sent, with what happened; the first thousand.
    pub not_sent: Vec<Finished>,
    /// Over which TLS versions the connections ran.
    pub tls: Vec<&'static str>,
    /// Whether a connection had no TLS.
    pub in_clear: bool,
    /// How long it took.
    pub time: Duration,
    /// How often it waited until something might be begun.
    pub pauses: usize,
}

/// Writes a campaign that was prepared as a JSON object.
pub fn put_prepared(kept: &Kept, name: &str, messages: usize, largest: usize) {
    json::put(&json::prepared(kept, name, messages, largest));
}

/// Writes a campaign that was handed over to the workers of an account as a JSON object.
pub fn put_handed_over(id: &str, account: &str, messages: usize) {
    json::put(&serde_json::json!({ "event": "handed_over", "campaign": id, "account": account, "messages": messages }));
}

/// Writes the JSON object of a dry run.
pub fn put_dry_run(messages: usize) {
    json::put(&serde_json::json!({ "event": "dry_run", "messages": messages }));
}

/// Writes a JSON object for each finding about a list or a template.
pub fn put_findings(findings: &Diagnostics) {
    findings.iter().for_each(|finding| json::put(&json::finding(finding)));
}

/// Writes the last JSON object of a check: how many findings there were and, where all is well, how many recipients
/// and columns, and which columns the template does not use.
pub fn put_checked(findings: &Diagnostics, well: Option<(usize, usize, Vec<&str>)>) {
    json::put(&json::checked(findings, well));
}

/// Listens until the run is over: shows progress at the given rates, writes the log and `metrics`. `ask` is called once the first
/// messages are done, if the run waits then.
pub async fn listen(
    mut events: mpsc::Receiver<Event>,
    (outbox, list): (&Outbox, &RecipientList),
    rates: Vec<Rate>,
    style: Style,
    mut metrics: Option<&mut Metrics>,
    mut ask: Option<impl FnOnce(Vec<Finished>)>,
) -> Heard {
    let start = Instant::now();
    let mut heard = Heard::default();
    let mut put_off = HashMap::new();
    let mut first = Vec::new();
    let mut progress = Progress::new(outbox.len(), rates, style);
    let mut news = Vec::new();
    loop {
        tokio::select! {
            count = events.recv_many(&mut news, MOST_NEWS) => if count == 0 { break },
            () = progress.due() => progress.log(),
            () = due(metrics.as_deref()) => if let Some(metrics) = &mut metrics { metrics.show(outbox) },
        }
        for event in news.drain(..) {
            progress.show(&event, list);
            log::tell(&event);
            if let Some(metrics) = &mut metrics {
                metrics.hear(&event);
            }
            if let Event::Finished(finished) | Event::PutOff { finished, .. } = &event
                && ask.is_some()
            {
                first.push(finished.clone());
            }
            match event {
                Event::FirstDone => {
                    if let Some(ask) = ask.take() {
                        ask(std::mem::take(&mut first));
                    }
                }
                // It may still be sent.
                Event::PutOff { finished, .. } if put_off.len() < MOST_DETAILS => {
                    put_off.insert(finished.row, finished);
                }
                Event::Finished(finished) => {
                    put_off.remove(&finished.row);
                    if finished.outcome != Outcome::Sent && heard.not_sent.len() < MOST_DETAILS {
                        heard.not_sent.push(finished);
                    }
                }
                Event::Paused { .. } => heard.pauses += 1,
                Event::Connected { tls: Some(version), .. } if !heard.tls.contains(&version) => heard.tls.push(version),
                Event::Connected { tls: None, .. } => heard.in_clear = true,
                _ => {}
            }
        }
        progress.flush();
    }
    progress.end();
    heard.not_sent.extend(put_off.into_values());
    heard.not_sent.sort_by_key(|finished| finished.row);
    heard.time = start.elapsed();
    heard
}

/// Listens until a turn of a worker is over: writes the log, and counts on the board.
pub async fn listen_for_worker(mut events: mpsc::Receiver<Event>, account: String, board: std::sync::Arc<Board>) {
    while let Some(event) = events.recv().await {
        log::tell(&event);
        if let Event::Finished(finished) | Event::PutOff { finished, .. } = &event {
            board.outcome(&account, finished.outcome);
            board.transaction(&account, finished.took);
        }
    }
}

/// Why a run ended, in words that say nothing about anybody.
#[must_use]
pub fn in_a_line(reason: &crate::delivery::StopReason) -> String {
    json::reason_text(reason)
}

/// When the metrics are to be written again, if they are.
async fn due(metrics: Option<&Metrics>) {
    match metrics {
        Some(metrics) => metrics.due().await,
        None => std::future::pending().await,
    }
}
