//! One JSON object for each event, on standard output. `docs/formats.md` describes them.
//!
//! Such output often ends up in logs, so addresses in it are shortened; the row tells whose they are.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    log::without_codes,
    own::{own, without},
};
use crate::{
    delivery::{Event, Finished, Reply, StopReason},
    diagnostic::{Diagnostic, Diagnostics, Place, Severity},
    outbox::{Counts, Kept, Outcome},
    recipients::{RecipientList, Rows},
    sandbox::Proof,
};

/// The line of an event.
pub(super) fn line(event: &Event, list: &RecipientList) -> String {
    let object = match event {
        Event::Finished(finished) => return Message::of("finished", finished, None, list).line(),
        Event::PutOff { finished, time } => {
            return Message::of("put_off", finished, Some(time.as_secs_f64()), list).line();
        }
        Event::Connected { connection, peer, tls, login } => json!({
            "event": "connected",
            "connection": connection,
            "peer": peer.to_string(),
            "tls": tls,
            "auth": login.map(|mechanism| mechanism.to_string()),
        }),
        Event::ConnectionLost { connection, why } => {
            json!({ "event": "connection_lost", "connection": connection, "why": without_codes(&without_addresses(why)) })
        }
        Event::Waiting { connection, time } => {
            json!({ "event": "waiting", "connection": connection, "seconds": time.as_secs_f64() })
        }
        Event::SlowedDown { time, connections, reply } => json!({
            "event": "slowed_down",
            "seconds": time.as_secs_f64(),
            "connections": connections,
            "reply": without_codes(&without_addresses(reply.text())),
        }),
        Event::Paused { until, .. } => json!({ "event": "paused", "until": until.to_string() }),
        Event::Resumed => json!({ "event": "resumed" }),
        Event::FirstDone => json!({ "event": "first_done" }),
        Event::Stopping(reason) => json!({ "event": "stopping", "why": reason_text(reason) }),
    };
    format!("{object}\n")
}

/// What is said of a message; there are many of these.
#[derive(Serialize)]
struct Message<'f> {
    code: Option<u16>,
    connection: usize,
    event: &'static str,
    message_id: &'f str,
    outcome: &'static str,
    reply: Option<String>,
    row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    to: String,
    why: Option<String>,
}

impl<'f> Message<'f> {
    fn of(event: &'static str, finished: &'f Finished, seconds: Option<f64>, list: &RecipientList) -> Self {
        let own = own(finished, list);
        let fit = |text: &str| without(text, &own);
        Self {
            code: finished.reply.as_ref().map(Reply::code),
            connection: finished.connection,
            event,
            message_id: &finished.message_id,
            outcome: key(finished.outcome),
            reply: finished.reply.as_ref().map(|reply| fit(reply.text())),
            row: finished.row,
            seconds,
            to: finished.to.shortened(),
            why: finished.why.as_deref().map(fit),
        }
    }

    fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

pub(super) fn put(object: &Value) {
    super::print(&format!("{object}\n"));
}

pub(super) fn prepared(kept: &Kept, name: &str, messages: usize, largest: usize) -> Value {
    json!({
        "event": "prepared",
        "campaign": kept.id,
        "name": name,
        "digest": kept.digest.to_string(),
        "messages": messages,
        "largest": largest,
        "before": kept.is_old,
    })
}

/// Something about a list or a template.
pub(super) fn finding(finding: &Diagnostic) -> Value {
    let mut object = json!({
        "event": "finding",
        "severity": finding.severity().as_str(),
        "code": finding.code(),
        "message": finding.brief(),
        "help": finding.help(),
    });
    match finding.place() {
        Place::Nowhere => {}
        Place::File(path) => object["file"] = json!(path.display().to_string()),
        Place::Text(source, span) => {
            let (line, character) = source.position(span.start);
            object["file"] = json!(source.name());
            object["line"] = json!(line);
            object["character"] = json!(character);
        }
        Place::Row { list, row, column } => {
            object["file"] = json!(&**list);
            object["row"] = json!(row);
            object["column"] = json!(column.as_deref());
        }
    }
    object
}

/// The last object of a check.
pub(super) fn checked(findings: &Diagnostics, well: Option<(usize, usize, Vec<&str>)>) -> Value {
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity() == severity).count();
    let mut object = json!({
        "event": "checked",
        "well": well.is_some(),
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
    });
    if let Some((recipients, columns, unused)) = well {
        object["recipients"] = json!(recipients);
        object["columns"] = json!(columns);
        object["unused_columns"] = json!(unused);
    }
    object
}

/// The last object of a run.
/// `rows` names the rows of an outcome.
pub(super) fn summary(
    counts: &Counts,
    rows: impl Fn(Outcome) -> Rows,
    stopped: Option<&StopReason>,
    (seconds, pauses): (f64, usize),
) -> Value {
    let mut object = json!({
        "event": "summary",
        "messages": counts.total(),
        "stopped": stopped.map(reason_text),
        "seconds": seconds,
        "pauses": pauses,
        "rows": {},
    });
    for outcome in Outcome::ALL {
        object[key(outcome)] = counts.of(outcome).into();
        if outcome != Outcome::Sent && counts.of(outcome) > 0 {
            object["rows"][key(outcome)] = rows(outcome).to_string().into();
        }
    }
    object
}

/// What a sandbox was really sent; after the summary.
pub(super) fn proof(proof: &Proof, directory: &Path) -> Value {
    json!({
        "event": "proof",
        "directory": directory.display().to_string(),
        "messages": proof.messages,
        "envelopes": proof.envelopes,
        "recipients": proof.recipients.keys().collect::<Vec<_>>(),
        "reached_once": proof.reached_once,
        "tls": proof.tls.keys().collect::<Vec<_>>(),
        "authenticated": proof.authenticated,
        "leaking": proof.leaking,
        "strangers": proof.strangers,
    })
}

pub(super) fn reason_text(reason: &StopReason) -> String {
    without_codes(&without_addresses(&reason.to_string()))
}

/// The text with everything before an @ shortened to its first letter.
fn without_addresses(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let is_local = |c: char| c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
        let start = rest[..at].char_indices().rev().take_while(|(_, c)| is_local(*c)).last().map_or(at, |(nth, _)| nth);
        short.push_str(&rest[..start]);
        short.extend(rest[start..at].chars().next());
        short.push_str(if start < at { "…@" } else { "@" });
        rest = &rest[at + 1..];
    }
    short + rest
}

fn key(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::InDoubt => "in_doubt",
        other => other.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_full_address_stands_in_what_a_log_may_keep() {
        let rows = ["a", "b", "c", "d", "e"].map(|local| format!("{local}@x.example,P\n")).concat();
        let text = format!("email,name\n{rows}Bo.B@two.example,Bolette\n");
        let list = RecipientList::parse("p.csv", &text, &crate::campaign::ListOptions::default()).unwrap();
        let event = Event::Finished(Finished {
            connection: 0,
            row: 7,
            to: "Bo.B@two.example".parse().unwrap(),
            message_id: "<x@police.example>".into(),
            outcome: Outcome::Failed,
            reply: Reply::parse(b"550-5.1.1 <bo.b@TWO.example>: ?\r\n550 no bo.b@two.example here, Bolette\r\n"),
            why: None,
            took: std::time::Duration::ZERO,
        });
        assert_eq!(without_addresses("421 <ann.b@one.example>: x@y, @ z"), "421 <a…@one.example>: x…@y, @ z");
        assert_eq!(
            line(&event, &list).trim_end(),
            r#"{"code":550,"connection":0,"event":"finished","message_id":"<x@police.example>","outcome":"failed","reply":"550-5.1.1 <[removed]>: ?\n550 no [removed] here, [removed]","row":7,"to":"B…@two.example","why":null}"#
        );
    }
}
