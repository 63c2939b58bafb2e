//! The report as a document.

use super::{
    Evidence, MOST_LISTED, Wanted,
    clock::Clock,
    document::{Document, Facts, Section, Table},
    entries, in_words,
};
use crate::{
    diagnostic::counted,
    outbox::{Check, Entry, Matter, Names, Outcome},
};

/// So many entries of the log are listed at the beginning, and so many at the end, if there are more.
const MOST_ENTRIES: usize = 100;

impl Evidence {
    pub(super) fn document(&self, wanted: Wanted) -> Document {
        Document {
            title: format!("Report on campaign {}", self.campaign.id),
            subtitle: self.subtitle(),
            foot: format!("Campaign {}, reported {}", self.campaign.id, Clock::utc(self.clock.now)),
            alarms: self.alarms(),
            sections: vec![
                self.in_short(),
                self.what(),
                self.how_many(),
                self.log(),
                Section::new("Controls that were on").table(self.controls()),
                self.one_each(),
                self.record(),
                self.messages(wanted),
            ],
        }
    }

    pub(super) fn subtitle(&self) -> String {
        let (name, time) = (&self.campaign.name, self.clock.say(self.clock.now));
        format!("\"{name}\". Made {time} by {}, with apiece {}.", self.by, env!("CARGO_PKG_VERSION"))
    }

    /// What is wrong with the record.
    pub(super) fn alarms(&self) -> Vec<String> {
        let problems = self.problems();
        let first = "The record does not hold: what follows cannot be relied on.".to_owned();
        if problems.is_empty() { problems } else { std::iter::once(first).chain(problems).collect() }
    }

    fn in_short(&self) -> Section {
        let counts = &self.campaign.counts;
        let of = |outcome| counts.of(outcome);
        let sent = format!("{} of {}", of(Outcome::Sent), counted(counts.total(), "recipient"));
        let others = Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Sent && of(*outcome) > 0);
        let others: Vec<String> = others.map(|outcome| format!("{} {outcome}", of(outcome))).collect();
        let holds = match self.problems().len() {
            0 => "holds: nothing in it contradicts itself, and the log is unbroken".to_owned(),
            _ => "DOES NOT HOLD, see above".to_owned(),
        };
        let apart = if self.checks.iter().all(|check| check.against == 0) {
            "each transaction was for one recipient alone"
        } else {
            "THE RECORD SPEAKS AGAINST IT, see below"
        };
        let facts = Facts::default()
            .with("Sent to", sent)
            .with_some("Others", (!others.is_empty()).then(|| others.join(", ")))
            .with_some("When", self.clock.span(self.totals.sent))
            .with_some("Being sent", self.running.clone())
            .with("Each apart", apart)
            .with("The record", holds);
        Section::new("In short").facts(facts).text(self.clock.note())
    }

    fn what(&self) -> Section {
        let campaign = &self.campaign;
        let edition = (campaign.edition > 1).then(|| format!("{}: the same was prepared before", campaign.edition));
        let matter = self.matter.as_ref();
        let purged = campaign.purged.map(|time| format!("people's data was removed {}", self.clock.say(time)));
        let mut facts = Facts::default()
            .with("Name", campaign.name.clone())
            .with_some("From", matter.and_then(|matter| matter.from.clone()))
            .with("Prepared", self.clock.say(campaign.prepared))
            .with_some("By apiece", campaign.made_by.clone())
            .with_some("Digest", campaign.digest.map(|digest| digest.to_string()))
            .with("Content", campaign.content.to_string())
            .with_some("Edition", edition)
            .with_some("From machine", campaign.origin.clone())
            .with_some("Purged", purged);
        facts = data_facts(facts, matter);
        let text = "The digest is SHA-256 over all that was kept of the campaign: settings, list, template, attachments and \
                    messages. The content is SHA-256 over the digests of its messages.";
        Section::new("What was sent").facts(facts).text(text)
    }

    fn how_many(&self) -> Section {
        let totals = &self.totals;
        let mut facts = Facts::default()
            .with("Transactions", format!("{} for {}", totals.transactions, counted(totals.tried, "message")))
            .with("Tried again", counted(totals.tried_again, "message"))
            .with_some("Begun, over", self.clock.span(totals.span))
            .with_some("Taken over", self.clock.span(totals.sent));
        if totals.found_sent > 0 {
            let count = totals.found_sent;
            facts = facts.with("Found sent", format!("{count}, where a person looked up that the server has them"));
        }
        let servers = totals.servers.iter().map(|(server, count)| format!("{server}: {count}"));
        let tls = totals.tls.iter().map(|(tls, count)| {
            format!("{}: {count}", tls.as_deref().unwrap_or("none, to a relay on the same machine"))
        });
        let facts = facts.with_lines("Servers", servers.collect()).with_lines("TLS", tls.collect());
        Section::new("How many").table(self.counts()).text(self.rows_in_words()).facts(facts)
    }

    /// What became of how many.
    pub(super) fn counts(&self) -> Table {
        let counts = &self.campaign.counts;
        let row = |outcome: Outcome| {
            vec![outcome.word().to_owned(), counts.of(outcome).to_string(), meaning(outcome).to_owned()]
        };
        let known = Outcome::ALL.into_iter().filter(|outcome| *outcome == Outcome::Sent || counts.of(*outcome) > 0);
        let mut rows: Vec<Vec<String>> = known.map(row).collect();
        rows.push(vec!["recipients".into(), counts.total().to_string(), "a message for each".into()]);
        Table { head: vec!["Outcome", "Messages", "Means"], rows, has_sum: true }
    }

    /// How the recipients add up to the rows of the list.
    fn rows_in_words(&self) -> String {
        let people = self.campaign.counts.total();
        let Some(rows) = self.totals.rows else {
            return "How many rows the list had was not written down when it was prepared.".into();
        };
        let more = rows.saturating_sub(people);
        let why = match &self.matter {
            _ if more == 0 => "one for each recipient",
            Some(matter) if matter.grouped => "which are further rows of the same people, in the same messages",
            _ => "which were left out, since their addresses stand in earlier ones",
        };
        match more {
            0 => format!("The list had {}, {why}.", counted(rows, "row")),
            _ => format!("The list had {}: {people} recipients and {more} more, {why}.", counted(rows, "row")),
        }
    }

    fn log(&self) -> Section {
        let section = Section::new("Who did what");
        let skipped = self.entries.len().saturating_sub(2 * MOST_ENTRIES);
        let line = |entry: &Entry| {
            vec![self.clock.say(entry.at), entry.what.clone(), entry.who.clone(), in_words(&entry.details)]
        };
        let entries = self.entries.iter();
        let shown = entries.clone().take(MOST_ENTRIES).chain(entries.skip(MOST_ENTRIES + skipped));
        let table =
            Table { head: vec!["When", "What", "Who", "Details"], rows: shown.map(line).collect(), has_sum: false };
        let section = section.table(table);
        if skipped == 0 {
            return section;
        }
        section.text(format!(
            "{skipped} entries between the first {MOST_ENTRIES} and the last are left out here; JSON has all."
        ))
    }

    fn one_each(&self) -> Section {
        let line = |check: &Check| {
            let (found, doubt) = match (check.against, check.unknown) {
                (0, 0) => ("yes".to_owned(), String::new()),
                (0, unknown) => ("not known".to_owned(), in_doubt(unknown)),
                (count, _) => (format!("NO: not so {}", counted(count, "time")), String::new()),
            };
            vec![found, format!("{}{doubt}", check.claim)]
        };
        let rows = self.checks.iter().map(line).collect();
        Section::new("One recipient in each transaction")
            .text(
                "apiece holds an envelope of one sender and one recipient, and says RCPT once in a transaction; there is no way \
                 to name another, and no Cc or Bcc. A transaction is written down, for its one message, before the server can \
                 have the end of it. Of the record this is true:",
            )
            .table(Table { head: vec!["Holds", "In the record"], rows, has_sum: false })
            .text(
                "This is what was written down on the machine that sent. That the server was told nothing else, its own log \
                 shows: look transactions up there by their Message-ID, or by the name under which the server says in its reply \
                 that it queued them. Each must have one recipient.",
            )
    }

    fn record(&self) -> Section {
        let log = match &self.chain {
            Ok(chain) => format!("{} in order, each hashed with the one before", entries(chain.entries)),
            Err(why) => why.clone(),
        };
        let last = self.chain.as_ref().ok().map(|chain| chain.last.to_string());
        let fits = match self.contradictions.as_slice() {
            [] => vec!["states, transactions, log and campaign do not contradict each other".to_owned()],
            found => found.to_vec(),
        };
        let remade = match &self.remade {
            Some(verdict) if verdict.holds() => {
                format!("{} made again from what is kept: each comes out as prepared", verdict.messages)
            }
            Some(verdict) => format!("{} of {} come out otherwise", verdict.changed_count, verdict.messages),
            None if self.campaign.purged.is_some() => "cannot be made again: people's data was removed".into(),
            None => "not made again for this report; apiece verify does it, and so does --verify".into(),
        };
        let facts = Facts::default()
            .with("Log", log)
            .with_some("Last hash", last)
            .with_lines("Agreement", fits)
            .with("Messages", remade);
        Section::new("The record").facts(facts).text(
            "Whoever can write to the file of the record can write a whole new one. Who noted the last hash elsewhere, or has an \
             earlier report with it, can tell that nothing before it was changed.",
        )
    }

    fn messages(&self, wanted: Wanted) -> Section {
        let mut text = String::from(match wanted.names {
            Names::Hidden => {
                "People have pseudonyms, made with a key that is in the record: the same in each report about this campaign. \
                 apiece report ID --find ADDRESS tells whether somebody is among them. Addresses and people's own data are \
                 taken out of what servers said. "
            }
            Names::Shown => "This report names people: keep it where the list is kept. ",
        });
        text += &if self.lists_all(wanted) {
            format!("All are listed: {}.", counted(self.campaign.counts.total(), "message"))
        } else {
            format!(
                "Of {} those are listed that were not simply sent at the first try, {MOST_LISTED} at most; --messages lists all, \
                 and so do JSON and CSV.",
                counted(self.campaign.counts.total(), "message")
            )
        };
        Section::new("The messages").text(text).messages()
    }
}

/// What personal data was in the messages, as far as it is known.
pub(super) fn data_facts(facts: Facts, matter: Option<&Matter>) -> Facts {
    let Some(matter) = matter else {
        return facts.with("Data", "what was in the messages is not known any more");
    };
    let label = |label: &Option<String>| label.clone().unwrap_or_else(|| "the campaign does not say".into());
    let mut columns = matter.columns.join(", ");
    if columns.is_empty() {
        columns = "none: the message says the same to everybody".into();
    }
    let files = matter.files.iter().map(|file| {
        let to = if file.personal { "each to one person" } else { "to everybody" };
        format!("{} ({}; {}{to})", file.path, file.media_type, if file.shown { "shown in the message; " } else { "" })
    });
    let files: Vec<String> = files.collect();
    facts
        .with("Kind of data", label(&matter.sensitivity))
        .with("Whose data", label(&matter.people))
        .with_some("Occurrence", matter.occurrence.clone())
        .with("Columns", columns)
        .with_some("Not used", (matter.unused_columns > 0).then(|| counted(matter.unused_columns, "other column")))
        .with_lines("Attachments", if files.is_empty() { vec!["none".into()] } else { files })
}

/// Of how many messages nobody knows whether the server has them twice.
fn in_doubt(unknown: usize) -> String {
    match unknown {
        1 => ": not known for 1 message, which was in doubt and was sent again on somebody's word".into(),
        _ => format!(": not known for {unknown} messages, which were in doubt and were sent again on somebody's word"),
    }
}

/// What an outcome says about whether the message is with its recipient's server.
pub(super) fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Queued => "waiting to be sent",
        Outcome::Sending => "being sent, or a run ended while it was: the server may have it",
        Outcome::Sent => "the server took it over, or a person looked up that it did",
        Outcome::Deferred => "not sent: the server did not take it over, and it is tried again",
        Outcome::Failed => "not sent: the server does not take it",
        Outcome::InDoubt => "the connection ended before the answer: the server may have it",
        Outcome::Suppressed => "not sent: the person must not be written to",
        Outcome::Cancelled => "not to be sent any more: somebody took it back",
    }
}
