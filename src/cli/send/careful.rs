//! A careful start: somebody's message to oneself, and the first few before the others.

use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal, Write as _},
    sync::Arc,
};

use tokio::sync::oneshot;

use super::{Ready, Recheck, Send, log::Seen};
use crate::{
    address::Address,
    approval::Cleared,
    campaign::Account,
    cli::{
        Exit, Failure, Screen,
        account::{self, check_senders, read_signer},
        approval::clear,
        confirm::{Question, Warnings, confirm, forget_typed, server},
        load::Loaded,
        record::failed,
    },
    delivery::{Finished, First, Shared},
    diagnostic::visible,
    guard::untagged,
    outbox::{Aside, Outbox, Outcome, Store},
    recipients::{Recipient, Selection},
};

/// So many of the first messages are shown one by one.
const MOST_SHOWN: usize = 20;

/// Whether somebody can be asked.
pub(super) fn check_terminal() -> Result<(), Failure> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return Ok(());
    }
    let help = "without a terminal, --rows sends to some rows, and the same command without it to the others";
    let message = "--first asks before the others get theirs, and there is no terminal; nothing was sent";
    Err(Failure::because(Exit::Refused, "send.first", message, Some(help)))
}

impl Send {
    /// Sends the message that one person would get to somebody else. It is none of the campaign's, and no record knows of it.
    pub(super) fn send_test(
        &self,
        loaded: Loaded,
        tester: &Address,
        seen: Seen,
        screen: Screen,
    ) -> Result<Exit, Failure> {
        if let Some(origin) = &loaded.origin {
            // It is not this machine's to send, not even to somebody who is to look at it.
            origin.check_own().map_err(failed)?;
        }
        let index = match self.row {
            None => 0,
            Some(row) => loaded.list().index_of_row(row).ok_or_else(|| loaded.nobody(&format!("in row {row}")))?,
        };
        let row = loaded.list().get(index).map_or(0, Recipient::row);
        let key = tester.key();
        let is_testers = |other: &Recipient<'_>| untagged(&other.address().key()) == untagged(&key);
        if let Some(other) = loaded.list().iter().find(|other| other.index() != index && is_testers(other)) {
            let other = other.row();
            let message = format!("--test names the address of row {other}, who must not get row {row}'s message");
            let help = Some("send the test to yourself; nothing was sent");
            return Err(Failure::because(Exit::Usage, "send.test", message, help));
        }
        if loaded.origin.is_none() {
            let prepared = loaded.prepare(Selection::Some(vec![index]), screen)?;
            screen.remark(&prepared.remarks().clone().briefly());
        }
        let account = account::choose(self.config(), loaded.campaign.account.as_deref())?;
        if loaded.list().get(index).is_some_and(|own| is_testers(&own)) {
            self.check_own_test(&loaded, &account, row)?;
        }
        let signer = account.dkim.as_ref().map(read_signer).transpose()?;
        let Loaded { mut campaign, composer, allowed, .. } = loaded;
        let composer = composer.for_test(tester.clone());
        if let Some(signer) = &signer {
            check_senders(signer, &composer, &[index])?;
        }
        let message = composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))?;
        let question = Question {
            campaign: format!("{}: a test, the message of row {row} to {tester} instead", campaign.name),
            id: None,
            digest: None,
            messages: vec![message.clone()],
            count: 1,
            all: 1,
            server: server(&account),
            approved: Vec::new(),
            signed: signer.as_ref().map(ToString::to_string),
            warnings: Warnings::new(),
            rates: Vec::new(),
            limits: Vec::new(),
            hours: None,
        };
        confirm(&question, self.confirm, screen)?;
        // Nobody waits for it.
        (campaign.hold, campaign.spread) = (None, None);
        let outcomes = vec![Outcome::Queued];
        let only = Selection::Some(vec![index]);
        let outbox = Outbox::new(only, vec![message.digest()], outcomes, message.bytes().len(), None);
        let outbox = Arc::new(outbox);
        let (shared, digest, warnings) = (Shared::default(), None, Warnings::new());
        // No recipient gets it.
        let (id, cleared) = (String::new(), Cleared::for_nobody());
        let recheck: Recheck = Arc::new(|| Ok(Cleared::for_nobody()));
        let _counted = self.aside(&account)?;
        let ready = Ready { campaign, composer, allowed, outbox, id, digest, warnings, cleared, recheck, shared };
        self.run_engine(ready, Some(account), signer, None, seen, screen).map(|(exit, _)| exit)
    }

    /// Has a message that is none of the campaign's count for the limits of its account, where anything does. What is written down of
    /// it is that it was.
    pub(super) fn aside(&self, account: &Account) -> Result<Option<Aside>, Failure> {
        let place = self.campaign.record.location()?;
        if account.rates.is_empty() && !place.may_be_there() {
            return Ok(None);
        }
        Store::open(place).and_then(|store| store.aside(&account.name)).map(Some).map_err(failed)
    }

    /// One who is on the list may get their own message as a test only if nobody else has to approve it first.
    fn check_own_test(&self, loaded: &Loaded, account: &Account, row: u64) -> Result<(), Failure> {
        let may_be_sent = match (&loaded.origin, &loaded.frozen) {
            (Some(origin), Some(frozen)) => {
                let store = self.campaign.record.open()?;
                clear(&store, &origin.id, frozen, &frozen.settings, Some(account)).is_ok()
            }
            _ => !self.by.witness(loaded, Some(account))?.is_bound,
        };
        if may_be_sent {
            return Ok(());
        }
        let message =
            format!("--test names the address of row {row}, and nothing may be sent to the list before it is approved");
        let help = Some("send the test to somebody who is not on the list; nothing was sent");
        Err(Failure::because(Exit::Refused, "send.test", message, help))
    }

    /// What the engine is told of the first messages, and what asks about the others.
    /// What was approved may have been rejected while somebody looks at what came.
    pub(super) fn first(
        &self,
        left: usize,
        recheck: Recheck,
        screen: Screen,
    ) -> Option<(First, impl FnOnce(Vec<Finished>) + use<>)> {
        let count = self.first? as usize;
        let (word, go_on) = oneshot::channel();
        let ask = move |first: Vec<Finished>| {
            let text = question(&first, left);
            // Ctrl-C is heard meanwhile.
            tokio::task::spawn_blocking(move || {
                forget_typed();
                let _ = io::stderr().write_all(text.as_bytes());
                let mut typed = String::new();
                let read = io::stdin().lock().read_line(&mut typed);
                let is_yes = read.is_ok() && typed.trim().eq_ignore_ascii_case("yes");
                let may_go_on = is_yes && recheck().map_err(|failure| screen.complain(&failure.why)).is_ok();
                let _ = word.send(may_go_on);
            });
        };
        Some((First { count, go_on }, ask))
    }
}

/// What the server said of the first messages, and whether the others may go.
fn question(first: &[Finished], left: usize) -> String {
    let mut text = format!("\nThe first {} are done:\n", first.len());
    for finished in first.iter().take(MOST_SHOWN) {
        let said = finished.reply.as_ref().map(ToString::to_string).or_else(|| finished.why.clone());
        let (row, to, outcome) = (finished.row, &finished.to, finished.outcome);
        let _ = writeln!(text, "  row {row}, {to}: {outcome}: {}", visible(&said.unwrap_or_default()));
    }
    if first.len() > MOST_SHOWN {
        let _ = writeln!(text, "  and {} more", first.len() - MOST_SHOWN);
    }
    let others = left.saturating_sub(first.len());
    let _ = write!(text, "Look at what came. Type yes to send the other {others}: ");
    text
}
