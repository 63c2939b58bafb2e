//! `apiece approve` and `apiece reject`: somebody looks at a campaign, and says yes or no.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;

use super::{
    Exit, Failure, Screen,
    approval::{facts, rules_of, standing, unlock, unread},
    confirm::Confirmed,
    load::{Loaded, bar, quoted},
    record::{RecordArgs, failed, who},
};
use crate::{
    approval::{Agent, Decision, Invalid, Key, Preparer, Rule, Said, Subject, Word, judge, read_signature},
    diagnostic::{counted, visible},
    outbox::{Deed, Entry, Overview, Store, StoreError},
    recipients::Selection,
    secret,
};

/// Arguments of `apiece approve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Makes and inspects every message again, shows what the campaign is, asks for the number of its
recipients, and signs a statement with your SSH key. Look at the messages first: apiece preview ID.
Who prepared a campaign cannot approve it.

Examples:
  apiece approve 3f9a12bc --key ~/.ssh/id_ed25519
  apiece approve 3f9a12bc                          # with a key of your ssh-agent that is allowed
  apiece approve 3f9a12bc --statement ok.txt       # writes what is to be signed, for a key elsewhere:
  ssh-keygen -Y sign -n apiece -f id_ecdsa_sk ok.txt
  apiece approve 3f9a12bc --signature ok.txt.sig   # takes the signature")]
pub(super) struct Approve {
    /// The campaign, as `apiece status` names it
    id: String,
    /// Your private key; or a .pub file, and the ssh-agent has the private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Write the statement into this file, to be signed with ssh-keygen; with --signature, where it is
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    statement: Option<PathBuf>,
    /// Take this signature of a statement, FILE.sig, made by ssh-keygen -Y sign -n apiece FILE
    #[arg(long, value_name = "FILE.sig", conflicts_with = "key")]
    signature: Option<PathBuf>,
    /// Sign without asking, if this is the number of recipients
    #[arg(long, value_name = "N", conflicts_with_all = ["statement", "signature"])]
    confirm: Option<usize>,
    #[command(flatten)]
    record: RecordArgs,
}

/// A campaign that somebody is about to say something of.
pub(super) struct Looked {
    store: Store,
    pub(super) campaign: Overview,
    pub(super) subject: Subject,
    rules: Vec<Rule>,
    entries: Vec<Entry>,
}

impl Looked {
    pub(super) fn at(record: &RecordArgs, id: &str) -> Result<(Self, Loaded), Failure> {
        let (store, campaign) = record.find(id)?;
        let loaded = Loaded::thawed(&store, &campaign)?;
        let Some(frozen) = &loaded.frozen else { return Err(failed(StoreError::NoSnapshot(campaign.id))) };
        let account = record.config.account_of(&campaign, &loaded.campaign);
        let rules = rules_of(&campaign, frozen.approval(), account.as_ref())?;
        let subject = Subject::of(&campaign).ok_or_else(|| failed(StoreError::NoSnapshot(campaign.id.clone())))?;
        let entries = store.entries(&campaign.id).map_err(failed)?;
        Ok((Self { store, campaign, subject, rules, entries }, loaded))
    }

    /// The names of whoever has a key, if a signature with it would count; or the first reason why not.
    fn names(&self, key: &Key) -> Result<Vec<String>, Invalid> {
        let now = Timestamp::now();
        self.check(key.public(), now, now)
    }

    fn check(&self, key: &ssh_key::public::KeyData, signed: Timestamp, now: Timestamp) -> Result<Vec<String>, Invalid> {
        let (_, verdicts) = judge(&self.rules, &Preparer::of(&self.entries), key, signed, now);
        let (mut names, mut why, mut counts) = (Vec::new(), None, false);
        for verdict in verdicts {
            match verdict {
                Ok(allowed) => {
                    counts = true;
                    names.extend(allowed.names);
                }
                Err(refused) => why = why.or(Some(refused)),
            }
        }
        names.sort();
        names.dedup();
        if counts { Ok(names) } else { Err(why.unwrap_or(Invalid::UnknownKey)) }
    }

    /// The key that is named, or the one of the agent's that counts.
    fn key(&self, named: Option<&Path>) -> Result<Key, Failure> {
        if let Some(path) = named {
            return Key::read(path).map_err(unread);
        }
        let keys = Agent::connect().and_then(|mut agent| agent.keys()).map_err(unread)?;
        let all: Vec<Key> = keys.into_iter().map(Key::of_agent).collect();
        let (count, mut why) = (all.len(), None);
        let mut good = Vec::new();
        for key in all {
            match self.names(&key) {
                Ok(_) => good.push(key),
                Err(refused) => why = Some((key.fingerprint(), refused)),
            }
        }
        let help = Some("name the one that you mean: --key FILE, its .pub file is enough");
        match (good.len(), good.pop()) {
            (1, Some(key)) => Ok(key),
            (0, _) => {
                let why = why.map(|(key, why)| format!(", for example {key}: {why}")).unwrap_or_default();
                let message =
                    format!("none of the {} that the ssh-agent has may approve this{why}", counted(count, "key"));
                Err(Failure::because(Exit::Refused, "approval.key", message, None))
            }
            (many, _) => {
                let message = format!("the ssh-agent has {many} keys that may approve this");
                Err(Failure::because(Exit::Usage, "approval.key", message, help))
            }
        }
    }

    /// Whether what somebody said counts; gives their names. Anybody may say no; whose key it is is written down if that is known.
    pub(super) fn check_entry(&self, decision: &Decision) -> Result<Vec<String>, Failure> {
        let now = Timestamp::now();
        let said = decision.said.at;
        let names = decision.check_time(now).and_then(|()| self.check(&decision.key, said, now));
        let names = if decision.said.word == Word::Approved { names } else { Ok(names.unwrap_or_default()) };
        let (_, standing) = standing(&self.store, &self.campaign, &self.rules)?;
        let rejected = standing.rejected.filter(|(at, _)| said.as_second() < at.as_second());
        let names = rejected.map_or(names, |(at, _)| Err(Invalid::Rejected(at)));
        let names = names.map_err(|why| refused(&self.campaign.id, &decision.fingerprint(), &why))?;
        if self.entries.iter().any(|entry| entry.details["signature"] == decision.signature.as_str()) {
            let message = format!("campaign {} has that signature already", self.campaign.id);
            return Err(Failure::because(Exit::Usage, "approval.again", message, None));
        }
        Ok(names)
    }

    /// Writes down what was said, if it counts.
    pub(super) fn enter(&mut self, decision: &Decision) -> Result<Vec<String>, Failure> {
        let now = Timestamp::now();
        let names = self.check_entry(decision)?;
        let details = decision.details(&self.subject, &names);
        let deed = Deed { who: &who(), what: decision.what(), details: &details };
        self.store.log(&self.campaign.id, deed, now).map_err(failed)?;
        Ok(names)
    }

    /// What is so now.
    pub(super) fn say(&self, screen: Screen) -> Result<(), Failure> {
        let (_, standing) = standing(&self.store, &self.campaign, &self.rules)?;
        let mut text = String::new();
        for (name, fact) in facts(&standing) {
            let _ = writeln!(text, "{name:<12}{fact}");
        }
        let id = &self.campaign.id;
        let next = match (&self.campaign.origin, standing.missing()) {
            (Some(_), _) => format!("Send back what you said: apiece export-approval {id} -o {id}.approval"),
            (None, 0) if standing.rejected.is_none() => format!("Send it with: apiece send {id}"),
            _ => String::new(),
        };
        screen.print(&format!("{text}{next}{}", if next.is_empty() { "" } else { "\n" }));
        Ok(())
    }
}

/// That somebody's word does not count.
fn refused(id: &str, key: &str, why: &Invalid) -> Failure {
    let message = format!("campaign {id} cannot be approved with the key {key}: {why}");
    Failure::because(Exit::Refused, "approval.refused", message, None)
}

impl Approve {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (mut looked, loaded) = Looked::at(&self.record, &self.id)?;
        if let Some(signature) = &self.signature {
            let (statement, signature) = read_signature(signature, self.statement.as_deref()).map_err(unread)?;
            let said = looked.subject.read(&statement).map_err(unread)?;
            let decision = Decision::new(&looked.subject, &statement, &signature).map_err(|why| {
                let message = format!("the signature is refused: {why}");
                Failure::because(Exit::Refused, "approval.refused", message, None)
            })?;
            if said.word != Word::Approved {
                let message = "the statement says that the campaign must not be sent";
                return Err(Failure::because(Exit::Refused, "approval.refused", message, None));
            }
            looked.enter(&decision)?;
            looked.say(screen)?;
            return Ok(Exit::Ok);
        }
        let shown = show(&looked, &loaded, screen)?;
        let said = Said::now(Word::Approved, Timestamp::now());
        if let Some(file) = &self.statement {
            screen.note(&shown);
            return write_statement(&looked, &said, file, screen);
        }
        let mut key = looked.key(self.key.as_deref())?;
        // Nobody types a number, or a passphrase, for what is refused.
        looked.names(&key).map_err(|why| refused(&looked.campaign.id, &key.fingerprint(), &why))?;
        let (code, nothing) = ("approval.not-confirmed", "nothing was signed");
        let signing = Confirmed { code, verb: "approve", nothing, help: None };
        let question = || format!("{shown}Key         {}\n\n", key.fingerprint());
        signing.ask(loaded.list().len(), self.confirm, question, screen)?;
        unlock(&mut key)?;
        let said = Said::now(said.word, Timestamp::now());
        let statement = looked.subject.statement(&said);
        let signature = key.sign(&statement).map_err(unread)?;
        let decision = Decision::new(&looked.subject, &statement, &signature);
        let decision = decision.map_err(|why| refused(&looked.campaign.id, &key.fingerprint(), &why))?;
        looked.enter(&decision)?;
        looked.say(screen)?;
        Ok(Exit::Ok)
    }
}

/// Makes all messages again, and says what the campaign is.
fn show(looked: &Looked, loaded: &Loaded, screen: Screen) -> Result<String, Failure> {
    let (list, campaign) = (loaded.list(), &looked.campaign);
    let prepared = loaded.prepare(Selection::All(list.len()), screen)?;
    let bar = bar(campaign.counts.total(), "made again", screen);
    let verdict = looked.store.verify(campaign, &|done| bar.set_position(done as u64));
    bar.finish_and_clear();
    if !verdict.map_err(failed)?.holds() {
        let why = "its messages do not come out as they were prepared".to_owned();
        return Err(failed(StoreError::Unsound { id: campaign.id.clone(), why }));
    }
    loaded.look_again();
    loaded.say_remarks(screen);
    screen.remark(prepared.remarks());
    let compose = |index| loaded.composer.compose(index).map_err(|why| Failure::new(Exit::Data, why));
    let first = compose(0)?;
    let end = compose(list.len().saturating_sub(1))?;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12}{}", visible(value).replace('\n', " "));
    };
    line("Campaign", &format!("{}, {}", campaign.id, campaign.name));
    if let Some(origin) = &campaign.origin {
        line("Prepared on", origin);
    }
    line("Subject", first.subject());
    line("From", &first.envelope().from().to_string());
    for (name, value) in [("Sensitivity", &loaded.campaign.sensitivity), ("People", &loaded.campaign.people)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    let ends =
        format!("from row {} {} to row {} {}", first.row(), first.envelope().to(), end.row(), end.envelope().to());
    line("Recipients", &format!("{}, each a message of their own, {ends}", list.len()));
    line("Digest", &looked.subject.digest.to_string());
    Ok(text)
}

/// Writes what is to be signed.
fn write_statement(looked: &Looked, said: &Said, file: &Path, screen: Screen) -> Result<Exit, Failure> {
    let text = looked.subject.statement(said);
    let written = secret::create_file(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|why| Failure::unwritten("approval.write", file, &why))?;
    screen.print(&format!(
        "{text}\nSign it with: ssh-keygen -Y sign -n apiece -f YOUR_KEY {}\nThen: apiece approve {} --signature {}\n",
        quoted(&file.display().to_string()),
        looked.campaign.id,
        quoted(&format!("{}.sig", file.display()))
    ));
    Ok(Exit::Ok)
}

/// Arguments of `apiece reject`.
#[derive(Debug, Args)]
#[command(after_help = "\
What was approved is so no longer, and nothing is sent of the campaign until somebody approves it
afterwards, or it is prepared anew.

Examples:
  apiece reject 3f9a12bc --reason \"row 7 is not one of the victims\"
  apiece reject 3f9a12bc --reason \"wrong leaflet\" --key ~/.ssh/id_ed25519   # signed, to be sent back")]
pub(super) struct Reject {
    /// The campaign, as `apiece status` names it
    id: String,
    /// Why, in a sentence; nothing about a person on the list
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Sign it with this key, as for approve
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgs,
}

impl Reject {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let word = Word::rejected(&self.reason).map_err(unread)?;
        let Word::Rejected(reason) = &word else { return Ok(Exit::Software) };
        let Some(path) = &self.key else {
            let (store, campaign) = self.record.find(&self.id)?;
            let digest = campaign.digest.map(|digest| digest.to_string());
            let details = serde_json::json!({ "digest": digest, "reason": reason });
            let deed = Deed { who: &who(), what: "rejected", details: &details };
            store.log(&campaign.id, deed, Timestamp::now()).map_err(failed)?;
            screen.print(&format!("campaign {} is rejected: {reason}\n", campaign.id));
            if campaign.origin.is_some() {
                screen.note("That is known here alone. To send it back, it must be signed: --key FILE\n");
            }
            return Ok(Exit::Ok);
        };
        let (mut looked, _) = Looked::at(&self.record, &self.id)?;
        let mut key = Key::read(path).map_err(unread)?;
        unlock(&mut key)?;
        let said = Said::now(word.clone(), Timestamp::now());
        let statement = looked.subject.statement(&said);
        let signature = key.sign(&statement).map_err(unread)?;
        let decision = Decision::new(&looked.subject, &statement, &signature);
        let decision = decision.map_err(|why| refused(&looked.campaign.id, &key.fingerprint(), &why))?;
        looked.enter(&decision)?;
        screen.print(&format!("campaign {} is rejected: {reason}\n", looked.campaign.id));
        looked.say(screen)?;
        Ok(Exit::Ok)
    }
}
