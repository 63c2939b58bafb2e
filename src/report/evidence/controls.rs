//! What was in place before the first message left, as a report says it.

use super::{Evidence, document::Table};
use crate::{
    diagnostic::counted,
    outbox::{Entry, Matter},
};

/// What a control was, where nobody knows any more.
const UNKNOWN: &str = "not known any more";

impl Evidence {
    pub(super) fn controls(&self) -> Table {
        let matter = self.matter.as_ref();
        let mut rows = Vec::new();
        let mut control = |name: &str, lines: Vec<String>| {
            for (nth, line) in lines.into_iter().enumerate() {
                rows.push(vec![if nth == 0 { name.to_owned() } else { String::new() }, line]);
            }
        };
        let line = |text: &str| vec![text.to_owned()];
        control("One recipient each", line("always: an envelope has one recipient, and there is no Cc or Bcc"));
        control(
            "Others' addresses",
            line("each finished message was searched for every other recipient's address before the first one left"),
        );
        let identifying = |matter: &Matter| match matter.identifying.as_slice() {
            [] => "no column was named to be searched for as well".to_owned(),
            columns => {
                format!("searched for as well: {} (not what over {} people have)", columns.join(", "), matter.common)
            }
        };
        control("Others' data", vec![matter.map_or(UNKNOWN.into(), identifying)]);
        let allowed = |matter: &Matter| match matter.allowed {
            0 => "nothing was excepted from the search".to_owned(),
            count => format!("{} excepted from the search", counted(count, "value")),
        };
        control("Exceptions", vec![matter.map_or(UNKNOWN.into(), allowed)]);
        let opaque = |matter: &Matter| match matter.opaque_refused {
            _ if matter.files.is_empty() => "there were none",
            true => "searched; one that could not be looked into was refused",
            false => "searched; one that could not be looked into was named in a warning",
        };
        control("Attachments", line(matter.map_or(UNKNOWN, opaque)));
        control("Frozen", line("sent from the record, each message compared with its digest right before it left"));
        control(
            "Looked at",
            self.said("previewed", "the log does not say that anybody looked at messages", Self::previewed),
        );
        control("Approval", self.approvals());
        control("Confirmed", self.said("confirmed", "nobody confirmed it: it was not sent", Self::confirmed));
        control("Pace", vec![self.pace()]);
        let clear: usize = self.totals.tls.iter().filter(|(tls, _)| tls.is_none()).map(|(_, count)| count).sum();
        let tls = match clear {
            _ if self.totals.transactions == 0 => "there was no transaction".to_owned(),
            0 => "every transaction, with a certificate that was verified".to_owned(),
            count => format!("none in {}, to a relay on the same machine", counted(count, "transaction")),
        };
        control("TLS", vec![tls]);
        Table { head: vec!["Control", "Setting, or what the record says"], rows, has_sum: false }
    }

    /// What the log says of a kind of entry, the last ten of them.
    fn said(&self, what: &'static str, none: &str, say: impl Fn(&Self, &Entry) -> String) -> Vec<String> {
        let all: Vec<&Entry> = self.did(what).collect();
        let shown = all.iter().skip(all.len().saturating_sub(10));
        let lines: Vec<String> = shown.map(|entry| say(self, entry)).collect();
        if lines.is_empty() { vec![none.to_owned()] } else { lines }
    }

    fn previewed(&self, entry: &Entry) -> String {
        let count = entry.details["messages"].as_u64().map_or(String::new(), |count| format!("{count} messages "));
        let how = entry.details["how"].as_str().unwrap_or("in some way");
        format!("{count}({how}) by {}, {}", entry.who, self.clock.say(entry.at))
    }

    fn confirmed(&self, entry: &Entry) -> String {
        let how = entry.details["how"].as_str().unwrap_or("in some way");
        let number = entry.details["number"].as_u64().map_or("a number".into(), |number| number.to_string());
        format!("{number} recipients, {how}, by {}, {}{}", entry.who, self.clock.say(entry.at), self.of(entry))
    }

    /// Whether an entry is about the campaign as it is.
    fn of(&self, entry: &Entry) -> &'static str {
        let digest = self.campaign.digest.map(|digest| digest.to_string());
        match entry.details["digest"].as_str() {
            Some(other) if digest.as_deref() != Some(other) => ", FOR ANOTHER DIGEST",
            _ => "",
        }
    }

    fn approvals(&self) -> Vec<String> {
        let rule = match self.matter.as_ref().map(|matter| matter.approvals) {
            None => format!("whether the campaign asked for it is {UNKNOWN}"),
            Some(None) => "the campaign did not ask for it".to_owned(),
            Some(Some(count)) => format!("the campaign asked for {count}"),
        };
        let line = |entry: &Entry| {
            let text = |key: &str| entry.details[key].as_str();
            let by = text("principal").unwrap_or(&entry.who);
            let key = text("key").map_or(String::new(), |key| format!(" with key {key}"));
            let reason = text("reason").map_or(String::new(), |reason| format!(": {reason}"));
            format!("{} by {by}{key}, {}{}{reason}", entry.what, self.clock.say(entry.at), self.of(entry))
        };
        let decided = self.entries.iter().filter(|entry| matches!(entry.what.as_str(), "approved" | "rejected"));
        std::iter::once(rule).chain(decided.map(line)).collect()
    }

    fn pace(&self) -> String {
        let rates = self.did("started").next_back().and_then(|entry| entry.details["rates"].as_array());
        let rates: Vec<&str> = rates.into_iter().flatten().filter_map(|rate| rate.as_str()).collect();
        if rates.is_empty() { "no rate was set".into() } else { format!("never more than {}", rates.join(", ")) }
    }
}
