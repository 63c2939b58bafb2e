//! A report for programs; `docs/formats.md` describes it.

use std::io;

use serde_json::{Map, Value, json};

use super::{Evidence, Unwritten, Wanted};
use crate::outbox::{Entry, Names, Outcome, Store, Traced, Transaction};

/// Of which kind and version the object is.
const VERSION: u32 = 1;

/// Writes all of it, the messages last and one by one.
pub(super) fn write(
    evidence: &Evidence,
    store: &Store,
    wanted: Wanted,
    out: &mut dyn io::Write,
) -> Result<(), Unwritten> {
    let head = head(evidence, "evidence").to_string();
    let head = head.strip_suffix('}').unwrap_or(&head);
    write!(out, "{head},\"messages\":[")?;
    let mut before = "\n";
    let mut written = Ok(());
    store.trace(&evidence.campaign, wanted.names, |traced| {
        written = write!(out, "{before}{}", message(&traced, wanted.names));
        before = ",\n";
        written.is_ok()
    })?;
    written?;
    out.write_all(b"\n]}\n")?;
    out.flush()?;
    Ok(())
}

/// Everything but the messages.
pub(super) fn head(evidence: &Evidence, kind: &str) -> Value {
    let campaign = &evidence.campaign;
    let problems = evidence.problems();
    let chain = evidence.chain.as_ref().ok();
    let checks = evidence
        .checks
        .iter()
        .map(|check| json!({ "claim": check.claim, "against": check.against, "unknown": check.unknown }));
    json!({
        "report": {
            "kind": kind,
            "version": VERSION,
            "made": evidence.clock.now.to_string(),
            "time_zone": evidence.clock.zone_name(),
            "by": evidence.by,
            "apiece": env!("CARGO_PKG_VERSION"),
        },
        "campaign": {
            "id": campaign.id,
            "name": campaign.name,
            "prepared": campaign.prepared.to_string(),
            "apiece": campaign.made_by,
            "digest": campaign.digest.map(|digest| digest.to_string()),
            "content": campaign.content.to_string(),
            "edition": campaign.edition,
            "origin": campaign.origin,
            "purged": campaign.purged.map(|time| time.to_string()),
            "running": evidence.running,
        },
        "record": {
            "holds": problems.is_empty(),
            "problems": problems,
            "log_entries": chain.map(|chain| chain.entries),
            "last_hash": chain.map(|chain| chain.last.to_string()),
            "checks": checks.collect::<Vec<_>>(),
            "made_again": evidence.remade.as_ref().map(|remade| remade.messages),
            "came_out_otherwise": evidence.remade.as_ref().map(|remade| remade.changed_count),
        },
        "about": evidence.matter,
        "recipients": counts(evidence),
        "transactions": transactions(evidence),
        "log": evidence.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn counts(evidence: &Evidence) -> Value {
    let counts = &evidence.campaign.counts;
    let mut object = json!({ "list_rows": evidence.totals.rows, "recipients": counts.total() });
    for outcome in Outcome::ALL {
        object[outcome.name()] = counts.of(outcome).into();
    }
    object
}

fn transactions(evidence: &Evidence) -> Value {
    let totals = &evidence.totals;
    let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
    let servers: Map<String, Value> =
        totals.servers.iter().map(|(server, count)| (server.clone(), (*count).into())).collect();
    let tls = totals.tls.iter().map(|(tls, count)| (tls.clone().unwrap_or_else(|| "none".into()), (*count).into()));
    json!({
        "count": totals.transactions,
        "messages": totals.tried,
        "messages_tried_again": totals.tried_again,
        "began": time(totals.span.map(|span| span.0)),
        "over": time(totals.span.map(|span| span.1)),
        "first_sent": time(totals.sent.map(|sent| sent.0)),
        "last_sent": time(totals.sent.map(|sent| sent.1)),
        "found_sent": totals.found_sent,
        "servers": servers,
        "tls": tls.collect::<Map<String, Value>>(),
    })
}

fn entry(entry: &Entry) -> Value {
    json!({
        "number": entry.number,
        "at": entry.at.to_string(),
        "who": entry.who,
        "what": entry.what,
        "details": entry.details,
    })
}

pub(super) fn message(traced: &Traced, names: Names) -> Value {
    let mut object = json!({
        "rows": traced.rows,
        "person": traced.pseudonym.to_string(),
        "outcome": traced.outcome.name(),
        "transactions": traced.transactions.iter().map(transaction).collect::<Vec<_>>(),
    });
    if names == Names::Shown {
        object["address"] = traced.address.clone().into();
    }
    object
}

fn transaction(tried: &Transaction) -> Value {
    json!({
        "message_id": tried.message_id,
        "began": tried.began.map(|time| time.to_string()),
        "ended": tried.ended.map(|time| time.to_string()),
        "server": tried.server,
        "tls": tried.tls,
        "outcome": tried.outcome.name(),
        "code": tried.code,
        "enhanced": tried.enhanced,
        "reply": tried.said,
    })
}
