//! What became of everybody, in words.

use std::{fmt::Write as _, io::Write as _, path::Path};

use serde_json::Value;

use super::{
    Heard, json,
    log::without_codes,
    own::{own, without},
    progress::spoken,
};
use crate::{
    address::Address,
    delivery::{Finished, StopReason},
    diagnostic::{counted, visible},
    outbox::{Counts, Outbox, Outcome, without_addresses},
    recipients::{Recipient, RecipientList, Rows},
    sandbox::Proof,
};

/// Messages that were not sent are told one by one up to this many.
const MOST_SHOWN: usize = 50;

/// Rows are named on the line if they can be said in so many ranges; else they are written to a file.
const MOST_RANGES: usize = 40;

/// Who reads what became of everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Somebody at a terminal.
    Person,
    /// A file or a mailbox: nobody is named but by their row.
    Log,
}

/// A run that is over.
pub struct Summary<'r> {
    /// What became of each message.
    pub outbox: &'r Outbox,
    /// Whose they are.
    pub list: &'r RecipientList,
    /// What was heard meanwhile.
    pub heard: &'r Heard,
    /// Why it ended early, if it did.
    pub stopped: Option<StopReason>,
    /// What to type to go on with some rows, up to `--rows `.
    pub command: String,
    /// Who got a message in place of its recipient, if this was a test.
    pub tester: Option<Address>,
    /// Who reads it.
    pub reader: Reader,
}

impl Summary<'_> {
    /// How many messages have which outcome.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.outbox.counts()
    }

    /// Writes it as the last JSON object.
    pub fn put_json(&self) {
        let rows = |outcome| self.rows(self.outbox.with(&[outcome]));
        let time = (self.heard.time.as_secs_f64(), self.heard.pauses);
        json::put(&json::summary(&self.counts(), rows, self.stopped.as_ref(), time));
    }

    /// The same in few words, for the log: nothing about anybody.
    #[must_use]
    pub fn details(&self) -> Value {
        let counts = self.counts().known().into_iter();
        let why = self.stopped.as_ref().map(|reason| ("why".to_owned(), Value::from(json::reason_text(reason))));
        let pauses = Some(self.heard.pauses).filter(|pauses| *pauses > 0);
        let pauses = pauses.map(|pauses| ("pauses".to_owned(), Value::from(pauses)));
        Value::Object(counts.chain(why).chain(pauses).collect())
    }

    /// Writes what a sandbox was really sent as a JSON object.
    pub fn put_proof(proof: &Proof, directory: &Path) {
        json::put(&json::proof(proof, directory));
    }

    /// As text for a person.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(tester) = &self.tester {
            return self.text_of_test(tester);
        }
        let counts = self.counts();
        let (sent, total) = (counts.of(Outcome::Sent), counts.total());
        let mut text = String::new();
        let _ = writeln!(text, "{sent} of {total} messages sent in {}.", spoken(self.heard.time));
        if self.heard.pauses > 0 {
            let times = counted(self.heard.pauses, "time");
            let _ = writeln!(text, "It waited {times} until it might be sent, and sent nothing meanwhile.");
        }
        if self.heard.in_clear {
            text.push_str("The connection to the relay on this machine had no TLS.\n");
        }
        if sent < total {
            for outcome in [
                Outcome::Failed,
                Outcome::Deferred,
                Outcome::InDoubt,
                Outcome::Sending,
                Outcome::Queued,
                Outcome::Suppressed,
                Outcome::Cancelled,
            ] {
                if counts.of(outcome) > 0 {
                    let _ = writeln!(text, "  {:<12}{}", name(outcome), counts.of(outcome));
                }
            }
        }
        if let Some(reason) = self.stopped.as_ref().filter(|_| !counts.all_sent()) {
            let _ = writeln!(text, "\nThe run ended early: {}", visible(&self.why(reason)));
            if let Some(help) = reason.help() {
                let _ = writeln!(text, "  to do: {help}");
            }
        }
        for finished in self.heard.not_sent.iter().take(MOST_SHOWN) {
            text.push_str(&detail(&self.fit(finished)));
        }
        let untold = [Outcome::Failed, Outcome::Deferred, Outcome::InDoubt].map(|outcome| counts.of(outcome));
        let untold = untold.iter().sum::<usize>().saturating_sub(MOST_SHOWN);
        if untold > 0 {
            let _ = writeln!(text, "\n… and {untold} more");
        }
        self.in_doubt(&mut text);
        self.rest(&mut text);
        text
    }

    /// What became of a test to oneself, of which there is nothing to look up and nothing to go on with.
    fn text_of_test(&self, tester: &Address) -> String {
        let counts = self.counts();
        if counts.all_sent() {
            return format!("The test to {tester} was sent. Nothing was written down of it.\n");
        }
        let doubtful = counts.of(Outcome::InDoubt) + counts.of(Outcome::Sending) > 0;
        let what = if doubtful { "may have been sent, or not" } else { "was not sent" };
        let mut text = format!("The test to {tester} {what}.\n");
        let said =
            self.heard.not_sent.iter().filter_map(|finished| {
                finished.reply.as_ref().map(ToString::to_string).or_else(|| finished.why.clone())
            });
        for said in said.chain(self.stopped.as_ref().map(ToString::to_string)) {
            let _ = writeln!(text, "  {}", visible(&said));
        }
        if let Some(help) = self.stopped.as_ref().and_then(StopReason::help) {
            let _ = writeln!(text, "  to do: {help}");
        }
        text
    }

    /// What is told of a message: to a log nothing that is its recipient's own.
    fn fit(&self, finished: &Finished) -> Told {
        let (to, outcome, message_id) = (finished.to.to_string(), finished.outcome, finished.message_id.clone());
        let said = finished.reply.as_ref().map(|reply| reply.text().to_owned());
        let told = Told { row: finished.row, to, outcome, message_id, said, why: finished.why.clone() };
        if self.reader == Reader::Person {
            return told;
        }
        let own = own(finished, self.list);
        let fit = |text: Option<String>| text.map(|text| without(&text, &own));
        Told { to: finished.to.shortened(), said: fit(told.said), why: fit(told.why), ..told }
    }

    /// Why it ended early: to a log without what is somebody's to whom nothing was sent. The sender is no recipient.
    fn why(&self, reason: &StopReason) -> String {
        let text = reason.to_string();
        if self.reader == Reader::Person {
            return text;
        }
        let sender = match reason {
            StopReason::SenderRefused { from, .. } => from.to_string(),
            _ => String::new(),
        };
        let (ours, rest) = text.split_at(text.find(&sender).map_or(0, |at| at + sender.len()));
        let all = self.heard.not_sent.iter().map(|finished| own(finished, self.list));
        ours.to_owned() + &all.fold(without_codes(&without_addresses(rest)), |text, own| without(&text, &own))
    }

    /// Who may or may not have got it, in full: they are the ones that need a person.
    fn in_doubt(&self, text: &mut String) {
        let in_doubt = self.outbox.with(&[Outcome::InDoubt, Outcome::Sending]);
        if !in_doubt.is_empty() {
            let _ = writeln!(text, "\nIn doubt: rows {}. They are not sent again on their own.", self.rows(in_doubt));
        }
    }

    /// How to go on with those who certainly got nothing and may still get it.
    fn rest(&self, text: &mut String) {
        let rest = self.outbox.with(&[Outcome::Queued, Outcome::Deferred]);
        if rest.is_empty() {
            return;
        }
        let count = rest.len();
        let rows = self.rows(rest);
        let mut named = rows.to_string();
        if rows.ranges().len() > MOST_RANGES
            && let Ok(file) = written_down(&rows)
        {
            named = format!("@{file}");
        }
        let _ = writeln!(text, "\n{count} may still get theirs. Later, and without changing the list:");
        let _ = writeln!(text, "  {}--rows {named} --confirm {count}", self.command);
    }

    fn rows(&self, indices: Vec<usize>) -> Rows {
        Rows::of(indices.into_iter().filter_map(|index| self.list.get(index)).map(Recipient::row))
    }
}

/// Row numbers in a file of their own, for more of them than a line can hold; gives its path.
fn written_down(rows: &Rows) -> std::io::Result<String> {
    let mut file = tempfile::Builder::new().prefix("apiece-rows-").suffix(".txt").tempfile()?;
    writeln!(file, "{rows}")?;
    let (_, path) = file.keep().map_err(|error| error.error)?;
    Ok(path.display().to_string())
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Queued => "not begun",
        Outcome::Sending => "under way",
        other => other.word(),
    }
}

/// What is told of a message that was not sent.
struct Told {
    row: u64,
    to: String,
    outcome: Outcome,
    message_id: String,
    said: Option<String>,
    why: Option<String>,
}

fn detail(told: &Told) -> String {
    let mut text = format!("\nrow {}, {}: {}\n", told.row, told.to, told.outcome);
    for line in told.said.iter().flat_map(|said| said.lines()) {
        let _ = writeln!(text, "  server: {}", visible(line));
    }
    if let Some(why) = &told.why {
        let _ = writeln!(text, "  what happened: {}", visible(why));
    }
    let advice = match told.outcome {
        Outcome::Failed => "ask the person whether the address is right; the server will say the same again".into(),
        Outcome::Deferred => "send it again later".into(),
        Outcome::InDoubt => format!(
            "ask the server's administrator for {}, or look into the Sent folder, before sending it again",
            told.message_id
        ),
        Outcome::Queued | Outcome::Sending | Outcome::Sent | Outcome::Suppressed | Outcome::Cancelled => return text,
    };
    let _ = writeln!(text, "  to do: {advice}");
    text
}
