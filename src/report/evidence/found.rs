//! Whether somebody was among a campaign's recipients.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Evidence, json::message};
use crate::{
    diagnostic::visible,
    outbox::{Names, Traced},
    recipients::Rows,
};

/// The answer for a person. The address that was asked about is not repeated.
#[must_use]
pub fn found_text(evidence: &Evidence, found: Option<&Traced>) -> String {
    let (campaign, clock) = (&evidence.campaign, &evidence.clock);
    let alarms: Vec<String> = evidence.alarms().iter().map(|alarm| format!("!! {}\n", visible(alarm))).collect();
    let alarms = alarms.concat();
    let head = format!(
        "{alarms}Campaign {}, \"{}\", prepared {}: ",
        campaign.id,
        visible(&campaign.name),
        clock.say(campaign.prepared)
    );
    let Some(traced) = found else { return head + "this address was not among its recipients.\n" };
    let mut text = head + "this address was among its recipients.\n\n";
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12}{}", visible(value).replace('\n', "\n            "));
    };
    fact("Person", &traced.pseudonym.to_string());
    fact("Row", &Rows::of(traced.rows.iter().copied()).to_string());
    fact("Outcome", traced.outcome.word());
    for tried in &traced.transactions {
        let tls = tried.tls.as_deref().unwrap_or("no TLS");
        fact("Transaction", &tried.began.map_or_else(String::new, |time| clock.say(time)));
        fact("", &format!("to {}, {tls}: {}", tried.server, tried.outcome));
        fact("", &tried.said);
        fact("", &tried.message_id);
    }
    text
}

/// The same for a program.
#[must_use]
pub fn found_json(evidence: &Evidence, found: Option<&Traced>) -> Value {
    let problems = evidence.problems();
    json!({
        "campaign": evidence.campaign.id,
        "record": { "holds": problems.is_empty(), "problems": problems },
        "found": found.is_some(),
        "message": found.map(|traced| message(traced, Names::Hidden)),
    })
}
