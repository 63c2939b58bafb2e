//! `apiece export-approval` and `apiece import-approval`: a campaign goes to somebody who looks at it on another machine, and
//! what they say comes back.

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use ssh_key::PublicKey;

use super::{
    Exit, Failure, Screen,
    approval::{unlock, unread},
    approve::Looked,
    load::Loaded,
    record::{RecordArgs, failed, who},
};
use crate::{
    approval::{self, ApprovalError, Exchanged, Key, Word, read_public},
    diagnostic::{counted, visible},
    outbox::{Deed, Overview, Store},
    secret,
};

/// So many people can open a bundle.
const MOST_RECIPIENTS: usize = 100;

/// Arguments of `apiece export-approval`.
#[derive(Debug, Args)]
#[command(after_help = "\
Of a campaign that was prepared here, it writes all of it into a file that only those can open for whose
SSH keys (ssh-ed25519 or ssh-rsa) it is. Of one that came in such a file, it writes what was signed here.

Examples:
  apiece export-approval 3f9a12bc --to ada.pub -o 3f9a12bc.bundle     # to Ada, who looks at it
  apiece export-approval 3f9a12bc -o 3f9a12bc.approval                # from Ada, who approved it")]
pub(super) struct ExportApproval {
    /// The campaign, as `apiece status` names it
    id: String,
    /// Whom it is for: an SSH public key, or a file of them; may be given several times
    #[arg(long, value_name = "KEY_OR_FILE")]
    to: Vec<String>,
    /// The file to write; none is overwritten
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    record: RecordArgs,
}

/// Arguments of `apiece import-approval`.
#[derive(Debug, Args)]
#[command(after_help = "\
What a bundle holds can be looked at, approved and rejected, and is never sent from here; purge removes it.
What was signed elsewhere is verified, and counts here as if it had been said here.

Examples:
  apiece import-approval 3f9a12bc.bundle --key ~/.ssh/id_ed25519
  apiece import-approval 3f9a12bc.approval")]
pub(super) struct ImportApproval {
    /// What somebody exported
    file: PathBuf,
    /// Your private key, which opens a bundle
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgs,
}

impl ExportApproval {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let (store, campaign) = self.record.find(&self.id)?;
        if campaign.origin.is_some() {
            return self.export_words(&store, &campaign, screen);
        }
        if self.to.is_empty() {
            let help = "say whose: --to THEIR_KEY.pub";
            let message = "a campaign goes to another machine for some people's keys only";
            return Err(Failure::because(Exit::Usage, "approval.to", message, Some(help)));
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for to in &self.to {
            match PublicKey::from_openssh(to.trim()) {
                Ok(key) => keys.push(key),
                Err(_) => keys.extend(read_public(to.as_ref()).map_err(unread)?),
            }
        }
        if keys.len() > MOST_RECIPIENTS {
            let message = format!("a bundle is for {MOST_RECIPIENTS} keys at most");
            return Err(Failure::because(Exit::Usage, "approval.to", message, None));
        }
        let recipients = keys.iter().map(approval::recipient).collect::<Result<Vec<_>, _>>().map_err(unread)?;
        // What goes out is what was prepared.
        drop(Loaded::thawed(&store, &campaign)?);
        let file = secret::create_file(&self.output)
            .map_err(|why| Failure::unwritten("approval.write", &self.output, &why))?;
        if let Err(why) = approval::export(&store, &campaign, &machine(), &recipients, file) {
            let _ = std::fs::remove_file(&self.output);
            return Err(failed(why));
        }
        let to: Vec<String> = keys.iter().map(|key| key.fingerprint(ssh_key::HashAlg::Sha256).to_string()).collect();
        let details = json!({ "digest": campaign.digest.map(|digest| digest.to_string()), "to": to });
        let deed = Deed { who: &who(), what: "exported", details: &details };
        store.log(&campaign.id, deed, Timestamp::now()).map_err(failed)?;
        screen.print(&format!(
            "campaign {} is in {}, for {}; there: apiece import-approval FILE --key THEIR_PRIVATE_KEY\n",
            campaign.id,
            visible(&self.output.display().to_string()),
            counted(to.len(), "key")
        ));
        Ok(Exit::Ok)
    }

    /// Writes what was signed here.
    fn export_words(&self, store: &Store, campaign: &Overview, screen: Screen) -> Result<Exit, Failure> {
        if !self.to.is_empty() {
            let message = format!("campaign {} is another machine's, and goes nowhere else from here", campaign.id);
            let help = Some("without --to, what was signed here is written");
            return Err(Failure::because(Exit::Refused, "outbox.elsewhere", message, help));
        }
        let subject = approval::Subject::of(campaign);
        let entries = store.entries(&campaign.id).map_err(failed)?;
        let exchanged = subject.map(|subject| Exchanged::of(&subject, &entries));
        let Some(exchanged) = exchanged.filter(|exchanged| !exchanged.statements.is_empty()) else {
            let message = format!("nothing was signed here about campaign {}", campaign.id);
            let help = format!(
                "apiece approve {id} --key FILE, or apiece reject {id} --reason TEXT --key FILE",
                id = campaign.id
            );
            return Err(Failure::because(Exit::Usage, "approval.none", message, Some(&help)));
        };
        let file = secret::create_file(&self.output);
        let written = file.and_then(|mut file| file.write_all(exchanged.text().as_bytes()));
        written.map_err(|why| Failure::unwritten("approval.write", &self.output, &why))?;
        screen.print(&format!(
            "{} about campaign {} in {}; there: apiece import-approval FILE\n",
            counted(exchanged.statements.len(), "signed statement"),
            campaign.id,
            visible(&self.output.display().to_string())
        ));
        Ok(Exit::Ok)
    }
}

impl ImportApproval {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        if !approval::is_bundle(&self.file).map_err(unread)? {
            return self.import_words(screen);
        }
        let Some(key) = &self.key else {
            let message = "a bundle is opened with your private key";
            let help = Some("say where it is, for example --key ~/.ssh/id_ed25519");
            return Err(Failure::because(Exit::Usage, "approval.key", message, help));
        };
        let mut key = Key::read(key).map_err(unread)?;
        unlock(&mut key)?;
        let mut store = self.record.open()?;
        let campaign = approval::import(&mut store, &self.file, &key, &who(), Timestamp::now()).map_err(unread)?;
        let campaign = campaign.map_err(failed)?;
        screen.print(&format!(
            "Campaign    {id}, {name}\nPrepared on {origin}\nRecipients  {count}\n\n\
             Look at it: apiece preview {id}\nThen: apiece approve {id} --key FILE, or apiece reject {id} --reason TEXT --key FILE\n\
             When it is over, remove people's data from here: apiece purge {id} --confirm {count}\n",
            id = campaign.id,
            name = visible(&campaign.name),
            origin = visible(campaign.origin.as_deref().unwrap_or_default()),
            count = campaign.counts.total(),
        ));
        Ok(Exit::Ok)
    }

    /// Takes over what was signed elsewhere: all of it, or nothing.
    fn import_words(&self, screen: Screen) -> Result<Exit, Failure> {
        let exchanged = Exchanged::read(&self.file).map_err(unread)?;
        let (mut looked, _) = Looked::at(&self.record, &exchanged.campaign)?;
        if exchanged.digest != looked.subject.digest.to_string() {
            return Err(unread(ApprovalError::OtherStatement(looked.campaign.id.clone())));
        }
        let decisions = exchanged.decisions(&looked.subject).map_err(|why| {
            let message = format!("what is in {} is refused: {why}", visible(&self.file.display().to_string()));
            Failure::because(Exit::Refused, "approval.refused", message, None)
        })?;
        for decision in &decisions {
            looked.check_entry(decision)?;
        }
        for decision in &decisions {
            let names = looked.enter(decision)?;
            let whose = if names.is_empty() { decision.fingerprint() } else { visible(&names.join(",")) };
            let what = if decision.said.word == Word::Approved { "approved" } else { "rejected" };
            screen.print(&format!("campaign {}: {what} by {whose}\n", looked.campaign.id));
        }
        looked.say(screen)?;
        Ok(Exit::Ok)
    }
}

/// What this machine is called.
fn machine() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    if name.is_empty() { "another machine".to_owned() } else { name }
}
