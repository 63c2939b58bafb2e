//! Settings as a `campaign.toml` says them.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

use super::{Campaign, Delimiter, DomainLimit, Duplicates, Expect, Hidden, Holidays, ListSource, Recurring};
use crate::address::Address;

/// A heading, and what may stand under it.
type Section<'s> = (&'s str, &'s [(&'s str, Option<String>)]);

impl Campaign {
    /// The keys that another campaign's settings say otherwise. Through which account a campaign goes that names none is said when
    /// it is sent.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let account = self.account.clone().or(other.account.clone());
        // Of which day it is, its messages say; and what was expected of its list changes nothing about them.
        let undated = |one: &Self| one.recurring.clone().map(|recurring| Recurring { date: None, ..recurring });
        let expect = Expect::default();
        let own = Self { account, recurring: undated(self), expect, ..self.clone() }.to_toml();
        let other = Self { recurring: undated(other), expect, ..other.clone() }.to_toml();
        let own: Vec<&str> = own.lines().collect();
        let other: Vec<&str> = other.lines().collect();
        let only = |all: &[&str], but: &[&str]| -> Vec<String> {
            let lines = all.iter().filter(|line| !but.contains(line));
            lines.map(|line| line.split(" = ").next().unwrap_or(line).to_owned()).collect()
        };
        let mut keys = [only(&own, &other), only(&other, &own)].concat();
        keys.sort();
        keys.dedup();
        if keys.is_empty() && own != other {
            keys.push("order".to_owned());
        }
        keys
    }

    /// The text of a `campaign.toml` from which the same campaign can be read again, if template and list lie beside it.
    /// How a list's columns are typed, and what is too much, is not in it: both are said of the list itself.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let name = |path: &Path| quoted(&path.file_name().unwrap_or_default().to_string_lossy());
        let recipients = match &self.recipients {
            ListSource::File(file) => name(file),
            ListSource::Outbox(from) => quoted(&from.to_string()),
        };
        let (list, guard) = (&self.list, &self.guard);
        let allowed = guard.allow.iter().map(Address::as_str).chain(guard.allowed_values.iter().map(String::as_str));
        let hidden = |hidden| quoted(if hidden == Hidden::Use { "use" } else { "skip" });
        let duplicates = |what| quoted(if what == Duplicates::First { "first" } else { "refuse" });
        let delimiter = |delimiter: Delimiter| quoted(&char::from(delimiter.byte()).to_string());
        let texts = |all: &[String]| strings(all.iter().map(String::as_str));
        let (recurring, send) = (self.recurring.as_ref(), self.send_keys());
        let sections: [Section<'_>; 5] = [
            (
                "",
                &[
                    ("template", Some(name(&self.template))),
                    ("recipients", Some(recipients)),
                    ("account", self.account.as_deref().map(quoted)),
                    ("sensitivity", self.sensitivity.as_deref().map(quoted)),
                    ("people", self.people.as_deref().map(quoted)),
                    ("recurring", recurring.map(|_| "true".to_owned())),
                    ("occurrence", recurring.map(|recurring| quoted(&recurring.occurrence))),
                    ("occurrence_date", recurring.and_then(|recurring| Some(quoted(&recurring.date?.to_string())))),
                ],
            ),
            (
                "[recipients_options]\n",
                &[
                    ("address", list.address.as_deref().map(quoted)),
                    ("encoding", list.encoding.map(|encoding| quoted(encoding.name()))),
                    ("delimiter", list.delimiter.map(delimiter)),
                    ("sheet", list.sheet.as_deref().map(quoted)),
                    ("hidden", list.hidden.map(hidden)),
                    ("optional", texts(&list.optional)),
                    ("duplicates", list.duplicates.map(duplicates)),
                    ("group_by", list.group_by.as_deref().map(quoted)),
                ],
            ),
            (
                "[guard]\n",
                &[
                    ("identifying", texts(&list.identifying)),
                    ("allow", strings(allowed)),
                    ("common", guard.common.map(|number| number.to_string())),
                    ("opaque_attachments", guard.opaque.map(|what| quoted(&what.to_string()))),
                ],
            ),
            ("[send]\n", &send),
            (
                "[notify]\n",
                &[
                    ("email", self.notify.email.as_ref().map(|email| quoted(email.as_str()))),
                    ("on", self.notify.on.map(|on| quoted(&on.to_string()))),
                ],
            ),
        ];
        let mut text = String::new();
        for (heading, keys) in sections {
            let said: Vec<_> = keys.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))).collect();
            if !said.is_empty() {
                text.push_str(heading);
            }
            for (key, value) in said {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        if let Some(approval) = &self.approval {
            // The signers are kept beside it; whose keys were revoked is read where they are, when it is needed.
            let revoked = approval.revoked_keys.as_deref();
            let revoked = revoked.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
            let _ = writeln!(text, "[approval]\nrequired = {}", approval.required);
            let _ = writeln!(text, "allowed_signers = {}", name(&approval.allowed_signers));
            if let Some(expires) = approval.expires {
                let _ = writeln!(text, "approval_expires = {}", quoted(&expires.to_string()));
            }
            if let Some(revoked) = revoked {
                let _ = writeln!(text, "revoked_keys = {}", quoted(&revoked.to_string_lossy()));
            }
        }
        for DomainLimit { domain, rates, connections } in &self.domains {
            let _ = writeln!(text, "[domains.{}]", quoted(domain));
            let rates: Vec<String> = rates.iter().map(ToString::to_string).collect();
            if let Some(rates) = texts(&rates) {
                let _ = writeln!(text, "rate = {rates}");
            }
            if let Some(connections) = connections {
                let _ = writeln!(text, "connections = {connections}");
            }
        }
        text
    }
    /// The keys of `[send]`.
    fn send_keys(&self) -> Vec<(&'static str, Option<String>)> {
        let text = |value: &dyn fmt::Display| quoted(&value.to_string());
        let texts = |all: Vec<String>| strings(all.iter().map(String::as_str));
        let (when, expect, retry) = (&self.when, &self.expect, &self.retry);
        vec![
            ("rate", texts(self.rates.iter().map(ToString::to_string).collect())),
            ("connections", self.connections.map(|number| number.to_string())),
            ("retry_after", retry.retry_after.map(|time| text(&time))),
            ("tries", retry.tries.map(|number| number.to_string())),
            ("give_up_after", retry.give_up_after.map(|time| text(&time))),
            ("pause_after", retry.pause_after.map(|number| number.to_string())),
            ("spread", self.spread.map(|spread| spread.to_string())),
            ("hold", self.hold.map(|time| text(&time))),
            ("not_before", when.not_before.as_ref().map(|at| text(at))),
            ("not_after", when.not_after.as_ref().map(|at| text(at))),
            ("window", texts(when.windows.iter().map(ToString::to_string).collect())),
            ("holidays", texts(when.holidays.iter().flat_map(Holidays::lines).collect())),
            ("max_recipients", expect.max_recipients.map(|most| most.to_string())),
            ("max_change", expect.max_change.map(|most| text(&most))),
            ("if_unchanged", expect.if_unchanged.map(|what| text(&what))),
            ("if_empty", expect.if_empty.map(|what| text(&what))),
            ("max_message_size", self.max_message_size.map(|size| text(&size))),
        ]
    }
}

/// A basic string of TOML, which is one of JSON but for one character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A list of strings, if there are any.
fn strings<'s>(all: impl Iterator<Item = &'s str>) -> Option<String> {
    let all: Vec<String> = all.map(quoted).collect();
    (!all.is_empty()).then(|| format!("[{}]", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::campaign::Overrides;

    #[test]
    fn a_label_is_a_few_words() {
        let read = |label: &str| {
            let text = format!("template = \"a.md.hbs\"\nrecipients = \"p.csv\"\nsensitivity = {label}\n");
            Campaign::parse(Path::new("c/campaign.toml"), &text, Overrides::default()).map(|one| one.sensitivity)
        };
        assert_eq!(read("\" special category \"").unwrap().as_deref(), Some("special category"));
        let long = format!("\"{}\"", "x".repeat(101));
        for label in ["\"\"", "\" \"", "\"a\\nb\"", &long, "3"] {
            let why = read(label).unwrap_err().to_string();
            assert!(why.contains("c/campaign.toml:3:15"), "{why}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = "template = \"a \\\"b\\\".md.hbs\"\nrecipients = \"p.csv\"\naccount = \"w\"\nsensitivity = \"special category\"\n\
                   people = \"victims\"\nrecurring = true\noccurrence = \"{{date}}\"\noccurrence_date = \"2026-11-27\"\n[recipients_options]\n\
                   address = \"E-Mail\"\nencoding = \"windows-1252\"\ndelimiter = \";\"\nsheet = \"S\"\nhidden = \"skip\"\n\
                   optional = [\"a\", \"b\"]\nduplicates = \"first\"\n[guard]\nidentifying = [\"c\"]\n\
                   allow = [\"h@x.example\", \"x\\ny\"]\ncommon = 5\nopaque_attachments = \"refuse\"\n[send]\n\
                   rate = [\"30/min\", \"2000/day\"]\nconnections = 2\nretry_after = \"5min\"\n\
                   tries = 9\ngive_up_after = \"2d\"\npause_after = 7\nspread = true\nhold = \"30s\"\n\
                   not_before = \"2026-12-01T09:00:00+00:00[Europe/London]\"\nnot_after = \"2026-12-24T12:00:00+01:00[+01:00]\"\n\
                   window = [\"Mon-Fri 09:00-17:00 Europe/London\", \"Sat 22:00-06:00 Europe/London\"]\n\
                   holidays = [\"2026-12-25 Christmas \\\"Day\\\"\", \"2027-01-01\"]\n\
                   max_recipients = 500\nmax_change = \"20%\"\nif_unchanged = \"finish\"\nif_empty = \"refuse\"\nmax_message_size = \"5MB\"\n\
                   [notify]\nemail = \"ops@x.example\"\non = \"trouble\"\n\
                   [approval]\nrequired = 2\nallowed_signers = \"signers\"\napproval_expires = \"2d\"\nrevoked_keys = \"/etc/revoked\"\n\
                   [domains.\"gmail.com\"]\nrate = [\"20/min\"]\nconnections = 2\n[domains.\"web.example\"]\nrate = [\"1/s\", \"9/min\"]\n";
        let followed = "template = \"a.md.hbs\"\nrecipients = \"outbox:3f9a?state=sent,in_doubt\"\n";
        for text in [all, "template = \"a.md.hbs\"\nrecipients = \"p.csv\"\n", followed] {
            let read = |text: &str| Campaign::parse(Path::new("c/campaign.toml"), text, Overrides::default()).unwrap();
            let campaign = read(text);
            assert_eq!(campaign.to_toml(), text);
            assert_eq!(format!("{:?}", read(&campaign.to_toml())), format!("{campaign:?}"));
        }
    }
}
