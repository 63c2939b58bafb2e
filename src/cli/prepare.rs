//! `apiece prepare`: a campaign is frozen into the record.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{
    Exit, Failure, Format, Screen,
    approval::{ByArgs, Witness},
    confirm::Warnings,
    expect::{self, ExpectArgs},
    load::{CampaignArgs, Loaded, bar},
    record::{failed, who},
    when::WhenArgs,
};
use crate::{
    campaign::Unchanged,
    diagnostic::{Severity, counted, visible},
    outbox::{Kept, Over, Prepared, Snapshot, Store, StoreError},
    recipients::Selection,
    report,
};

/// Arguments of `apiece prepare`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads, makes and inspects every message, and keeps all that they are made of in the outbox: settings,
template, attachments and recipients. What is sent later is that, whatever becomes of the files.

Examples:
  apiece prepare update
  apiece send 3f9a12bc --account work     # sends just what was prepared")]
pub(super) struct Prepare {
    /// Prepare once more what everybody got already
    #[arg(long)]
    again: bool,
    /// text, or a JSON object
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    when: WhenArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    campaign: CampaignArgs,
}

impl Prepare {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let when = self.when.options()?;
        let loaded = self.campaign.load(|overrides| {
            overrides.when = when;
            overrides.expect = self.expect.options();
        });
        let mut loaded = loaded.map_err(|why| self.expect.unless_counted(why))?;
        if let Some(origin) = &loaded.origin {
            let message = format!("campaign {} is prepared already", origin.id);
            let help = format!("send it: apiece send {}", origin.id);
            return Err(Failure::because(Exit::Usage, "campaign.prepared", message, Some(&help)));
        }
        loaded.say_remarks(screen);
        let all = Selection::All(loaded.list().len());
        self.expect.check_count(&loaded.campaign.expect, all.len())?;
        let prepared = loaded.prepare(all.clone(), screen)?;
        screen.remark(&prepared.remarks().clone().briefly());
        let (count, largest) = (prepared.len(), prepared.largest());
        let mut store = self.campaign.record.open()?;
        let account = self.campaign.record.config.account(&loaded.campaign);
        let witness = self.by.witness(&loaded, account.as_ref())?;
        self.expect.note_move(&loaded, &mut store)?;
        let kept = freeze(&mut loaded, prepared, &all, self.again, &witness, &mut store, screen)?;
        let name = &loaded.campaign.name;
        match self.format {
            Format::Json => report::put_prepared(&kept, name, count, largest),
            Format::Text => screen.print(&format!(
                "Campaign    {id}, {name}\nDigest      {digest}\nMessages    {messages}, the largest {size}{found}\n\n\
                 {approve}Send it with: apiece send {id}\n",
                approve = if witness.is_bound { approve_first(&kept.id) } else { String::new() },
                id = kept.id,
                name = visible(name),
                digest = kept.digest,
                messages = count,
                size = counted(largest, "octet"),
                found = if kept.is_old { "\nIt was prepared before, and nothing has changed." } else { "" },
            )),
        }
        Ok(Exit::Ok)
    }
}

/// What is worth a look, and how often.
pub(super) fn warnings(loaded: &Loaded, prepared: &Prepared) -> Warnings {
    let mut warnings = Warnings::new();
    let remarks = loaded.list().remarks().iter().chain(prepared.remarks().iter());
    for remark in remarks.filter(|remark| remark.severity() == Severity::Warning) {
        *warnings.entry(remark.code().to_owned()).or_default() += 1;
    }
    warnings
}

/// What comes before sending, where somebody else must look at it.
fn approve_first(id: &str) -> String {
    format!("Somebody else has to look at it and sign: apiece approve {id} --key ~/.ssh/id_ed25519\n")
}

/// Writes a campaign down, or finds it again. Nobody `selected` may have got exactly the same before, unless it is to be sent
/// `again`.
pub(super) fn freeze(
    loaded: &mut Loaded,
    mut prepared: Prepared,
    selected: &Selection,
    again: bool,
    witness: &Witness,
    store: &mut Store,
    screen: Screen,
) -> Result<Kept, Failure> {
    let unread = |why: std::io::Error| Failure::because(Exit::Io, "prepare.no-room", why.to_string(), None);
    let content = prepared.content().map_err(unread)?;
    let is_job = loaded.composer.recurs() || loaded.campaign.expect.if_unchanged == Some(Unchanged::Finish);
    let over = if is_job { Over::Found } else { Over::Refused };
    let mut edition = match &loaded.origin {
        Some(origin) => origin.edition,
        None => {
            expect::check_list(loaded, &content, store)?;
            store.edition(&content, &loaded.composer, again, over).map_err(failed)?
        }
    };
    let settings = loaded.campaign.to_toml();
    let mut further = witness.preparer.details();
    let warnings = warnings(loaded, &prepared);
    if !warnings.is_empty() {
        further["warnings"] = json!(warnings);
    }
    loop {
        if edition > 1 && loaded.origin.is_none() {
            loaded.composer = loaded.composer.clone().with_edition(edition);
            prepared = loaded.prepare(Selection::All(loaded.list().len()), screen)?;
        }
        let snapshot = Snapshot {
            name: &loaded.campaign.name,
            is_named: loaded.campaign.is_named,
            home: loaded.home.as_deref(),
            settings: &settings,
            signers: witness.signers.as_deref(),
            is_bound: witness.is_bound,
            composer: &loaded.composer,
            prepared: &mut prepared,
            content,
            edition,
            selected,
            again,
            who: &who(),
            further: &further,
        };
        let bar = bar(snapshot.prepared.len(), "kept", screen);
        let kept = store.freeze(snapshot, Timestamp::now(), &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        match kept {
            Err(StoreError::Already { .. }) if again && edition == 1 => {
                edition = store.next_edition(&loaded.composer).map_err(failed)?;
            }
            kept => {
                let kept = kept.map_err(failed)?;
                // Of a job that is over, people's data may be gone.
                if kept.is_old && over == Over::Found && store.campaign(&kept.id).map_err(failed)?.purged.is_some() {
                    return Err(Failure::nothing(&format!("campaign {} is over", kept.id)));
                }
                return Ok(kept);
            }
        }
    }
}
