//! What can be said of a campaign with which something went wrong, in the order in which the UK's regulator, the Information
//! Commissioner's Office, asks for it; and what only a person can say.

use std::io;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Evidence, Form, Unwritten, Wanted,
    clock::{Clock, hours},
    document::{Document, Facts, Section, Table},
    entries, html, in_words, json, sections, text,
};
use crate::{
    diagnostic::counted,
    outbox::{Entry, Outcome, Overview, Reach, Store, StoreError},
};

/// The words of the log for the report of an incident, and for the decision that it is not reported.
const REPORTED: &str = "reported";
const NOT_REPORTED: &str = "not-reported";

/// So many entries of the log are told.
const MOST_TOLD: usize = 100;

/// What people did that is told of an incident.
const TOLD: [&str; 14] = [
    "prepared",
    "imported",
    "exported",
    "previewed",
    "approved",
    "rejected",
    "confirmed",
    "started",
    "stopped",
    "resolved",
    "retried",
    "cancelled",
    "purged",
    NOT_REPORTED,
];

/// An incident with a campaign.
#[derive(Debug)]
pub struct Incident {
    /// What the record says of the campaign.
    pub evidence: Evidence,
    /// When somebody became aware of it.
    pub discovered: Option<Timestamp>,
    /// How many people have the message, and on whose word.
    pub reach: Reach,
    /// The campaigns that were sent to those whom this one reached.
    pub followers: Vec<Overview>,
}

impl Incident {
    /// Looks up what followed.
    pub fn gather(store: &Store, evidence: Evidence, discovered: Option<Timestamp>) -> Result<Self, StoreError> {
        let followers = store.followed_by(&evidence.campaign)?;
        // Who said it once need not say it again.
        let earlier =
            evidence.entries.iter().rev().filter(|entry| matches!(entry.what.as_str(), REPORTED | NOT_REPORTED));
        let mut said = earlier.filter_map(|entry| entry.details["discovered"].as_str()?.parse().ok());
        let discovered = discovered.or_else(|| said.next());
        let reach = store.reach(&evidence.campaign)?;
        Ok(Self { evidence, discovered, reach, followers })
    }

    /// The reports about it that were made before.
    fn previous(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.evidence.did(REPORTED).filter(|entry| entry.details["incident"] == Value::Bool(true))
    }

    /// The other times of discovery that were written down, the last entry that has each.
    fn said_before(&self) -> Vec<(Timestamp, &Entry)> {
        let mut said: Vec<(Timestamp, &Entry)> = Vec::new();
        for entry in self.evidence.entries.iter().filter(|entry| matches!(entry.what.as_str(), REPORTED | NOT_REPORTED))
        {
            let time = entry.details["discovered"].as_str().and_then(|time| time.parse().ok());
            if let Some(time) = time.filter(|time| Some(*time) != self.discovered) {
                said.retain(|(known, _)| *known != time);
                said.push((time, entry));
            }
        }
        said
    }

    /// Whether one was made before.
    #[must_use]
    pub fn is_follow_up(&self) -> bool {
        self.previous().next().is_some()
    }

    fn left(&self) -> usize {
        [Outcome::Queued, Outcome::Deferred].iter().map(|outcome| self.evidence.campaign.counts.of(*outcome)).sum()
    }

    /// By when it is to be reported, and how long that is from when the report is made.
    fn deadline(&self) -> Option<(Timestamp, SignedDuration)> {
        Some(self.evidence.clock.deadline(self.discovered?))
    }

    /// Writes it as text, HTML or JSON.
    pub fn write(&self, store: &Store, wanted: Wanted, out: &mut dyn io::Write) -> Result<(), Unwritten> {
        match wanted.form {
            Form::Html => html::write(&self.document(), &self.evidence, store, wanted, out),
            Form::Json => {
                writeln!(out, "{}", self.json())?;
                out.flush()?;
                Ok(())
            }
            Form::Text | Form::Csv => text::write(&self.document(), &self.evidence, store, wanted, out),
        }
    }

    fn json(&self) -> Value {
        let mut object = json::head(&self.evidence, "incident");
        let reach = &self.reach;
        let reported = |entry: &Entry| json!({ "at": entry.at.to_string(), "sha256": entry.details["sha256"] });
        let follower = |one: &Overview| {
            let sent = one.counts.of(Outcome::Sent);
            json!({ "id": one.id, "prepared": one.prepared.to_string(), "recipients": one.counts.total(), "sent": sent })
        };
        let questions = self
            .document()
            .sections
            .into_iter()
            .map(|section| json!({ "part": section.heading, "questions": section.questions() }));
        object["incident"] = json!({
            "follow_up": self.is_follow_up(),
            "previous": self.previous().map(reported).collect::<Vec<_>>(),
            "discovered": self.discovered.map(|time| time.to_string()),
            "discovered_otherwise": self
                .said_before()
                .iter()
                .map(|(time, entry)| json!({ "at": entry.at.to_string(), "discovered": time.to_string() }))
                .collect::<Vec<_>>(),
            "deadline": self.deadline().map(|(end, _)| end.to_string()),
            "minutes_left": self.deadline().map(|(_, left)| left.as_mins()),
            "people_at_least": reach.least(),
            "people_at_most": reach.most(),
            "people": {
                "taken_over": reach.taken_over,
                "said_sent": reach.said_sent,
                "in_doubt": reach.open,
                "said_not_sent": reach.denied,
                "refused": reach.refused,
                "not_taken_over": reach.put_off,
                "not_tried": reach.untried,
            },
            "still_to_be_sent": self.left(),
            "followed_by": self.followers.iter().map(follower).collect::<Vec<_>>(),
            "for_a_person": questions.filter(|part| part["questions"] != json!([])).collect::<Vec<_>>(),
        });
        object
    }

    fn document(&self) -> Document {
        let evidence = &self.evidence;
        let parts = [
            self.about(),
            self.what_happened(),
            self.when(),
            self.data(),
            self.how_many(),
            Section::new("Whose data it is")
                .facts(Facts::default().with(
                    "Whose data",
                    evidence.matter.as_ref().and_then(|matter| matter.people.clone()).unwrap_or_else(unknown),
                ))
                .asked(
                    "What kinds of people they are, and whether children or others who need protection are among them.",
                ),
            Section::new("Consequences")
                .text("The record says nothing about this.")
                .asked("What may follow for the people concerned, how likely it is, and how bad."),
            Section::new("Measures that were in place before")
                .table(evidence.controls())
                .asked("Rules, instructions and other measures of the organisation."),
            self.staff(),
            self.containment(),
            self.told(),
            Section::new("Others who were told")
                .text("The record says nothing about this.")
                .asked("Whether the police, other regulators, insurers or others were told, and when."),
            self.decision(),
        ];
        let numbered = parts.into_iter().enumerate().map(|(nth, section)| {
            let heading = format!("{}. {}", nth + 1, section.heading);
            Section { heading, ..section }
        });
        Document {
            title: format!("Incident with campaign {}", evidence.campaign.id),
            subtitle: evidence.subtitle(),
            foot: format!(
                "Incident with campaign {}, reported {}",
                evidence.campaign.id,
                Clock::utc(evidence.clock.now)
            ),
            alarms: evidence.alarms(),
            sections: numbered.collect(),
        }
    }

    fn about(&self) -> Section {
        let clock = &self.evidence.clock;
        let previous: Vec<String> = self
            .previous()
            .map(|entry| {
                let hash = entry.details["sha256"].as_str().unwrap_or("unknown");
                format!("{} by {}, SHA-256 {hash}", clock.say(entry.at), entry.who)
            })
            .collect();
        let kind = match previous.len() {
            0 => "the first about this campaign".to_owned(),
            count => format!("a follow-up to {}", counted(count, "earlier one")),
        };
        let last = self.evidence.chain.as_ref().ok().map(|chain| chain.last.to_string());
        Section::new("This report")
            .text(
                "It says what the record of apiece shows, in the order in which the Information Commissioner's Office asks. It \
                 names none of the people concerned, is no legal advice, and does not judge whether this is to be reported.",
            )
            .facts(
                Facts::default()
                    .with("Report", kind)
                    .with_lines("Earlier ones", previous)
                    .with_some("Last hash", last),
            )
            .text(clock.note())
            .asked("Whether this is the first report to the regulator or follows one up, and the regulator's reference.")
            .asked("Which organisation reports, and who can be asked: name, role, telephone, address.")
    }

    fn what_happened(&self) -> Section {
        let evidence = &self.evidence;
        let campaign = &evidence.campaign;
        let facts = Facts::default()
            .with("Campaign", format!("{}, \"{}\"", campaign.id, campaign.name))
            .with_some("From", evidence.matter.as_ref().and_then(|matter| matter.from.clone()))
            .with_some("Digest", campaign.digest.map(|digest| digest.to_string()));
        let told = evidence.entries.iter().filter(|entry| TOLD.contains(&entry.what.as_str()));
        let all: Vec<&Entry> = told.collect();
        let skipped = all.len().saturating_sub(MOST_TOLD);
        let line = |entry: &&Entry| {
            vec![evidence.clock.say(entry.at), entry.what.clone(), entry.who.clone(), in_words(&entry.details)]
        };
        // How it came about is at the beginning.
        let rows = all.iter().take(MOST_TOLD).map(line).collect();
        let table = Table { head: vec!["When", "What", "Who", "Details"], rows, has_sum: false };
        let mut section = Section::new("What happened").facts(facts).table(table);
        if skipped > 0 {
            section = section.text(format!(
                "{} more: apiece report {} --format json has all.",
                entries(skipped),
                campaign.id
            ));
        }
        section.asked("What went wrong, and how it came about.")
    }

    fn when(&self) -> Section {
        let Evidence { clock, totals, running, .. } = &self.evidence;
        let mut facts = Facts::default()
            .with("Began", totals.span.map_or("nothing was begun".into(), |(first, _)| clock.say(first)))
            .with_some("Stopped", totals.span.filter(|_| running.is_none()).map(|(_, last)| self.ended(last)))
            .with_some("Stopped", running.as_ref().map(|holder| format!("NOT YET: it is being sent by {holder}")))
            .with_some("First sent", totals.sent.map(|(first, _)| clock.say(first)))
            .with_some("Last sent", totals.sent.map(|(_, last)| clock.say(last)));
        let before = |(time, entry): (Timestamp, &Entry)| {
            let (end, _) = clock.deadline(time);
            format!(
                "ANOTHER TIME, {}: {}, {} by {}; its 72 hours end {}",
                clock.say(time),
                entry.what,
                clock.say(entry.at),
                entry.who,
                clock.say(end)
            )
        };
        match (self.discovered, self.deadline()) {
            (Some(discovered), Some((end, left))) => {
                let left = match hours(left) {
                    late if left.is_negative() => format!("LATE: they have been over for {late}"),
                    left => format!("{left} are left"),
                };
                facts = facts
                    .with("Discovered", clock.say(discovered))
                    .with_lines("Said before", self.said_before().into_iter().map(before).collect())
                    .with("72 hours end", clock.say(end))
                    .with("At this time", left);
            }
            _ => facts = facts.with("Discovered", "not said: --discovered TIME gives the end of the 72 hours"),
        }
        let section = Section::new("When")
            .facts(facts)
            .text("The 72 hours begin when somebody became aware of it, and go on over nights, weekends and holidays.")
            .asked("When and how it was discovered, and by whom.");
        match self.deadline() {
            Some((_, left)) if left.is_negative() => section.asked("Why it is reported later than after 72 hours."),
            _ => section,
        }
    }

    /// When the last run ended. One that was killed could not say so.
    fn ended(&self, last: Timestamp) -> String {
        let last = self.evidence.clock.say(last);
        let runs = self.evidence.entries.iter().rev();
        let end = runs.map(|entry| entry.what.as_str()).find(|what| matches!(*what, "started" | "stopped"));
        match end {
            Some("stopped") => last,
            _ => format!("not known: the log has no end of this run; the last that is known is of {last}"),
        }
    }

    fn data(&self) -> Section {
        Section::new("Categories of personal data")
            .facts(sections::data_facts(Facts::default(), self.evidence.matter.as_ref()))
            .text("Columns are those of the list that the message shows or depends on, by their headings. Each recipient's address \
                   is in the recipient's own message besides.")
            .asked(
                "Which categories of data these are: basic details, contact, financial, location, health or another special \
                 category, criminal offences.",
            )
    }

    fn how_many(&self) -> Section {
        let reach = &self.reach;
        let some = |count: usize, what: &str| (count > 0).then(|| format!("{}: {what}", people(count)));
        let facts = Facts::default()
            .with("At least", format!("{}: the server said that it took the message over", people(reach.least())))
            .with_some(
                "Said to have",
                some(reach.said_sent, "the answer was lost, and a person looked up that the server has it"),
            )
            .with_some("In doubt", some(reach.open, "there is no answer, and only the server knows"))
            .with_some(
                "Said not to",
                some(
                    reach.denied,
                    "the answer was lost, and a person said that the server does not have it; only the server knows",
                ),
            )
            .with("At most", format!("{}: all of these together", people(reach.most())))
            .with("Refused", format!("{}: the server does not take it", people(reach.refused)))
            .with_some("Not taken", some(reach.put_off, "it was tried, and the server did not take it over"))
            .with("Not tried", format!("{}: nothing was begun", people(reach.untried)));
        Section::new("How many people")
            .facts(facts)
            .table(self.evidence.counts())
            .text("These are the people whose message went out, if every message is concerned. Each message went to one recipient.")
            .asked("Whether messages held data of others than their recipients, and of how many.")
    }

    fn staff(&self) -> Section {
        let mut people: Vec<(&str, Vec<&str>)> = Vec::new();
        for entry in &self.evidence.entries {
            let who = entry.details["principal"].as_str().unwrap_or(&entry.who);
            match people.iter_mut().find(|(known, _)| *known == who) {
                Some((_, did)) if did.contains(&entry.what.as_str()) => {}
                Some((_, did)) => did.push(&entry.what),
                None => people.push((who, vec![&entry.what])),
            }
        }
        let rows = people.into_iter().map(|(who, did)| vec![who.to_owned(), did.join(", ")]).collect();
        Section::new("Staff")
            .table(Table { head: vec!["Who", "Did"], rows, has_sum: false })
            .asked("Whether those involved had training in data protection in the last two years.")
    }

    fn containment(&self) -> Section {
        let (campaign, clock) = (&self.evidence.campaign, &self.evidence.clock);
        let left = match self.left() {
            0 => "nothing is left to be sent".to_owned(),
            left => format!(
                "{} STILL TO BE SENT; to take them back: apiece cancel {}",
                counted(left, "message"),
                campaign.id
            ),
        };
        let doubt = campaign.counts.of(Outcome::InDoubt) + campaign.counts.of(Outcome::Sending);
        let doubt = (doubt > 0).then(|| {
            format!(
                "{} of which only the server knows; to look them up: apiece status {}",
                counted(doubt, "message"),
                campaign.id
            )
        });
        let done = self.evidence.entries.iter().filter(|entry| matches!(entry.what.as_str(), "stopped" | "cancelled"));
        let done: Vec<String> = done
            .rev()
            .take(10)
            .map(|entry| {
                format!("{} {} by {}: {}", entry.what, clock.say(entry.at), entry.who, in_words(&entry.details))
            })
            .collect();
        let facts = Facts::default().with("Left", left).with_some("In doubt", doubt).with_lines("Done", done);
        Section::new("Containment")
            .facts(facts)
            .asked("What else was done to limit it: recipients asked to delete, links closed.")
    }

    fn told(&self) -> Section {
        let clock = &self.evidence.clock;
        let rows = self.followers.iter().map(|one| {
            let sent = format!("{} of {}", one.counts.of(Outcome::Sent), one.counts.total());
            vec![one.id.clone(), one.name.clone(), clock.say(one.prepared), sent]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        let section = Section::new("Telling the people concerned");
        let section = if rows.is_empty() {
            section.text("In the record no campaign was made from what became of this one.")
        } else {
            let head = vec!["Campaign", "Name", "Prepared", "Sent"];
            section.table(Table { head, rows, has_sum: false })
        };
        section.asked("Whether the people were told, when, how and what.")
    }

    fn decision(&self) -> Section {
        let clock = &self.evidence.clock;
        let line = |entry: &Entry| {
            let reason = entry.details["reason"].as_str().unwrap_or_default();
            format!("not reported, {} by {}: {reason}", clock.say(entry.at), entry.who)
        };
        let decisions: Vec<String> = self.evidence.did(NOT_REPORTED).map(line).collect();
        let section = Section::new("Decision");
        if decisions.is_empty() {
            return section
                .text(
                    "The log has no decision that this is not reported. --not-reported --reason \"…\" writes one down.",
                )
                .asked("Whether this is reported, to whom, and why.");
        }
        section.facts(Facts::default().with_lines("In the log", decisions))
    }
}

fn people(count: usize) -> String {
    if count == 1 { "1 person".into() } else { format!("{count} people") }
}

fn unknown() -> String {
    "the campaign does not say, or it is not known any more".into()
}
