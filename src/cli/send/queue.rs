//! `apiece send --queue`: everything up to the confirmation, and then workers send it.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{Ready, Send};
use crate::{
    campaign::{Campaign, NotifyOptions},
    cli::{
        Exit, Failure, Format, Screen,
        confirm::Question,
        record::{failed, who},
    },
    outbox::{Deed, Location, Store},
    report,
};

/// Who sends it.
#[derive(Debug, Args)]
pub(super) struct QueueArgs {
    /// Confirm it, and leave it to the workers of the account to send (apiece work); the outbox must be in PostgreSQL
    #[arg(long, conflicts_with_all = [
        "dry_run", "sandbox", "test", "first", "rows", "at", "hold", "no_wait", "metrics", "notify_command", "notify_email",
    ])]
    pub(super) queue: bool,
}

/// Workers send it with the settings that it was prepared with, and with no others.
pub(super) fn check_for_workers(prepared: &Campaign, settings: &Campaign) -> Result<(), Failure> {
    // Which account it goes through is written down with it.
    let own = Campaign { account: prepared.account.clone(), ..settings.clone() };
    let ignored = [("hold", own.hold.is_some()), ("notify", own.notify != NotifyOptions::default())];
    if let Some((name, _)) = ignored.iter().find(|(_, is_set)| *is_set) {
        let message = format!("`{name}` is set, and workers do not know of it; nothing was handed over");
        let help = Some("leave it out; or send it without --queue");
        return Err(Failure::because(Exit::Refused, "send.queue", message, help));
    }
    let other = prepared.differences(&own);
    if other.is_empty() {
        return Ok(());
    }
    let message = format!(
        "workers send a campaign with the settings that it was prepared with, and these are others: {}; nothing was handed over",
        other.join(", ")
    );
    let help =
        Some("leave them out; or put them into its campaign.toml and prepare it anew; or send it without --queue");
    Err(Failure::because(Exit::Refused, "send.queue", message, help))
}

impl Send {
    /// Hands a campaign that was confirmed over to the workers of an account.
    pub(super) fn hand_over(
        &self,
        place: &Location,
        ready: Ready,
        (account, question): (&str, &Question),
        screen: Screen,
    ) -> Result<Exit, Failure> {
        let id = ready.id.clone();
        // Nobody else may have it from here on.
        drop(ready);
        let store = Store::open(place).map_err(failed)?;
        let overview = store.campaign(&id).map_err(failed)?;
        let details = json!({ "account": account, "left": question.count, "how": "it was confirmed" });
        let deed = Deed { who: &who(), what: "handed over", details: &details };
        store.hand_over(&overview, account, deed, Timestamp::now()).map_err(failed)?;
        match self.format {
            Format::Json => report::put_handed_over(&id, account, question.count),
            Format::Text => screen.print(&format!(
                "Campaign {id} is handed over: {} wait for a worker of account {account}.\nA worker is started with: apiece work \
                 --account {account}\nWhat became of it: apiece status {id}; to take back what is not sent: apiece cancel {id}\n",
                crate::diagnostic::counted(question.count, "message"),
            )),
        }
        Ok(Exit::Ok)
    }
}
