//! `apiece status`

use std::{fmt::Write as _, time::Duration};

use clap::Args;
use jiff::Timestamp;

use super::{
    Exit, Failure, Screen,
    approval::{self, ConfigArgs},
    record::{RecordArgs, failed},
};
use crate::{
    campaign::{Phase, Rate},
    diagnostic::{Diagnostic, Place, visible},
    outbox::{Entry, Outcome, Overview, Store, Tried, day},
    report::{in_words, spoken},
};

/// So many messages are told one by one for each outcome.
const MOST_SHOWN: usize = 50;

/// So many entries of the log are shown, the last ones.
const MOST_ENTRIES: usize = 20;

/// How fast a run is, is measured over so long.
const MEASURED: Duration = Duration::from_mins(10);

/// Arguments of `apiece status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apiece status                # all campaigns, the newest first
  apiece status 3f9a12bc       # one, with who did not get it and what the server said")]
pub(super) struct Status {
    /// The campaign; its first letters are enough, four at least
    id: Option<String>,
    #[command(flatten)]
    record: RecordArgs,
}

impl Status {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let Some(id) = &self.id else {
            let store = self.record.open()?;
            say_if_moved(&store, screen);
            let all = store.campaigns().map_err(failed)?;
            if all.is_empty() {
                screen.print("there are no campaigns yet\n");
            }
            screen.print(&all.iter().map(line).collect::<String>());
            return Ok(Exit::Ok);
        };
        let (store, campaign) = self.record.find(id)?;
        say_if_moved(&store, screen);
        let mut text = line(&campaign) + &facts(&store, &campaign, &self.record.config)?;
        for outcome in [Outcome::Failed, Outcome::Deferred, Outcome::InDoubt, Outcome::Sending] {
            details(&store, &campaign, outcome, &mut text)?;
        }
        screen.print(&text);
        Ok(Exit::Ok)
    }
}

/// What is here is not what is sent, if all of it was moved.
fn say_if_moved(store: &Store, screen: Screen) {
    if let Some(why) = store.moved_away() {
        screen.remark(&Diagnostic::warning(Place::Nowhere, &why).into());
    }
}

fn line(campaign: &Overview) -> String {
    let counts = Outcome::ALL.into_iter().filter(|outcome| campaign.counts.of(*outcome) > 0);
    let counts: Vec<String> = counts.map(|outcome| format!("{} {outcome}", campaign.counts.of(outcome))).collect();
    format!("{}  {}  {}  {}\n", campaign.id, day(campaign.prepared), visible(&campaign.name), counts.join(", "))
}

/// What is known of one campaign as a whole.
fn facts(store: &Store, campaign: &Overview, config: &ConfigArgs) -> Result<String, Failure> {
    let mut text = String::from("\n");
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<12}{value}");
    };
    if let Some(digest) = campaign.digest {
        fact("Digest", digest.to_string());
    }
    match store.occurrences(campaign).map_err(failed)? {
        (0, _) => {}
        (_, Some(occurrence)) => fact("Occurrence", visible(&occurrence)),
        (count, None) => fact("Occurrence", format!("{count} different ones")),
    }
    if let Some(origin) = &campaign.origin {
        fact("Prepared on", format!("{}; it is here only to be looked at", visible(origin)));
    }
    let entries = store.entries(&campaign.id).map_err(failed)?;
    let mut name = "";
    for (heading, said) in approvals(store, campaign, config) {
        fact(if heading == name { "" } else { heading }, said);
        name = heading;
    }
    let left = campaign.counts.of(Outcome::Queued) + campaign.counts.of(Outcome::Deferred);
    let running = store.running(campaign);
    if let Some(holder) = &running {
        fact("Running", holder.clone());
    }
    if left > 0 {
        // What is here only to be looked at is due nowhere.
        let is_own = campaign.origin.is_none();
        let said = if is_own { to_go(store, campaign, &entries, left, running.is_some())? } else { left.to_string() };
        fact("Left", said);
    }
    #[cfg(feature = "postgres")]
    if let Some(Some(why)) = store.handed_over(campaign).map_err(failed)? {
        fact(
            "Halted",
            format!(
                "no worker goes on with it: {}; hand it over again: apiece send {} --queue",
                visible(&why),
                campaign.id
            ),
        );
    }
    if let Some(purged) = campaign.purged {
        fact("Purged", day(purged));
    }
    // A campaign that was taken up again each minute has many.
    let skipped = entries.len().saturating_sub(MOST_ENTRIES);
    if skipped > 0 {
        fact("Log", format!("… {skipped} earlier entries"));
    }
    for (nth, entry) in entries.iter().skip(skipped).enumerate() {
        let name = if nth == 0 && skipped == 0 { "Log" } else { "" };
        let details = visible(&in_words(&entry.details));
        fact(name, format!("{}  {} by {}  {details}", day(entry.at), entry.what, visible(&entry.who)));
    }
    Ok(text)
}

/// What is known of its approvals. What cannot be worked out is said in a line: the rest of the status is wanted all the more.
fn approvals(store: &Store, campaign: &Overview, config: &ConfigArgs) -> Vec<(&'static str, String)> {
    let entries = store.entries(&campaign.id).unwrap_or_default();
    let is_said = entries.iter().any(|entry| matches!(entry.what.as_str(), "approved" | "rejected"));
    if campaign.digest.is_none() || campaign.purged.is_some() && !is_said {
        return Vec::new();
    }
    let all = || {
        let rules = if campaign.purged.is_some() {
            Vec::new()
        } else {
            let (settings, signers) = store.settings(campaign).map_err(failed)?;
            let account = config.account_of(campaign, &settings);
            approval::rules_of(campaign, (&settings, signers.as_deref()), account.as_ref())?
        };
        let (_, standing) = approval::standing(store, campaign, &rules)?;
        Ok::<_, Failure>(approval::facts(&standing))
    };
    all().unwrap_or_else(|failure| {
        let why: Vec<&str> = failure.why.iter().map(Diagnostic::message).collect();
        vec![("Approval", format!("cannot be worked out: {}", visible(&why.join("; "))))]
    })
}

/// How many messages are left, how long they take, and when the next one is due.
fn to_go(
    store: &Store,
    campaign: &Overview,
    entries: &[Entry],
    left: usize,
    is_running: bool,
) -> Result<String, Failure> {
    let started = entries.iter().rfind(|entry| entry.what == "started");
    let rates = started.and_then(|entry| entry.details.get("rates")?.as_array().cloned()).unwrap_or_default();
    let rates: Vec<Rate> = rates.iter().filter_map(|rate| rate.as_str()?.parse().ok()).collect();
    let longest = rates.iter().map(|rate| rate.window()).max().unwrap_or_default();
    let recent = store.recent(campaign, longest.max(MEASURED), Timestamp::now()).map_err(failed)?;
    let mut text = left.to_string();
    let least = Rate::least_time(left, &rates);
    let own: Vec<Duration> = recent.iter().filter(|(age, own)| *own && *age < MEASURED).map(|(age, _)| *age).collect();
    let measured = own.last().filter(|_| is_running && own.len() > 1).map(|oldest| {
        let each = *oldest / u32::try_from(own.len()).unwrap_or(u32::MAX);
        each * u32::try_from(left).unwrap_or(u32::MAX)
    });
    match measured {
        Some(time) => text += &format!(", about {} at the present pace", spoken(time.max(least))),
        None if !least.is_zero() => text += &format!(", at least {}", spoken(least)),
        None => {}
    }
    let due = rates.iter().filter_map(|rate| {
        let (age, _) = recent.get(rate.count().get() as usize - 1)?;
        rate.window().checked_sub(*age)
    });
    match due.max() {
        Some(wait) => text += &format!("; the next is due in {}", spoken(wait)),
        None => text += "; the next is due now",
    }
    if let Ok((settings, _)) = store.settings(campaign) {
        let hours = settings.when.hours();
        match hours.at(Timestamp::now()) {
            Phase::Open(_) => {}
            Phase::Closed(opens) => text += &format!("; nothing is begun before {}", hours.spoken(opens)),
            Phase::Over => text += "; it is too late: nothing of it is begun any more",
        }
    }
    if !is_running {
        text += &format!(": apiece send {}", campaign.id);
    }
    Ok(text)
}

/// What to look a message up by.
pub(super) fn traces(tried: &Tried) -> Option<String> {
    let began = tried.began?.strftime("%Y-%m-%d %H:%M:%S UTC");
    Some(format!("{}, to {} at {began}", tried.message_id, tried.server))
}

fn details(store: &Store, campaign: &Overview, outcome: Outcome, text: &mut String) -> Result<(), Failure> {
    let count = campaign.counts.of(outcome);
    for tried in store.tried(campaign, outcome, MOST_SHOWN).map_err(failed)? {
        let _ = writeln!(text, "\nrow {}, {}: {outcome}", tried.row, tried.address);
        for line in tried.said.lines() {
            let _ = writeln!(text, "  {}", visible(line));
        }
        if let Some(traces) = traces(&tried) {
            let _ = writeln!(text, "  {traces}");
        }
    }
    if count > MOST_SHOWN {
        let _ = writeln!(text, "\n… and {} more {outcome}", count - MOST_SHOWN);
    }
    if outcome == Outcome::InDoubt && count > 0 && campaign.purged.is_none() {
        let _ = writeln!(
            text,
            "\nAsk the server's administrator for these, or look into the Sent folder. Then:\n  \
             apiece resolve {id} --row N --sent\n  apiece resolve {id} --row N --send-again",
            id = campaign.id
        );
    }
    Ok(())
}
