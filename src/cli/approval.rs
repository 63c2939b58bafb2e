//! What `prepare`, `send`, `approve`, `reject` and `status` have in common: which rules apply to a campaign, and whether it may
//! be sent.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;

use super::{
    Exit, Failure, account,
    load::{Frozen, Loaded},
    record::failed,
};
use crate::{
    approval::{ApprovalError, Cleared, Key, Policy, Preparer, Revoked, Rule, Standing, Subject, read_signers},
    campaign::{Account, Campaign},
    diagnostic::{Diagnostic, Place, visible},
    outbox::{Overview, Store, StoreError, day},
    secret::SecretSource,
};

/// Where a rule is from that a campaign brings itself.
const OWN: &str = "the campaign's own settings";

/// Names a further policy.
const POLICY: &str = "APIECE_POLICY";

/// The user's config file, in which accounts may ask for approvals.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigArgs {
    /// Your config file
    #[arg(long, value_name = "FILE", env = "APIECE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file, if one is named.
    pub(super) fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The account that a campaign would be sent through, if that can be told.
    pub(super) fn account(&self, campaign: &Campaign) -> Option<Account> {
        account::choose(self.config.as_deref(), campaign.account.as_deref()).ok()
    }

    /// The same of a campaign of the record; one of another machine is not sent from here.
    pub(super) fn account_of(&self, campaign: &Overview, settings: &Campaign) -> Option<Account> {
        if campaign.origin.is_none() { self.account(settings) } else { None }
    }
}

/// Who prepares.
#[derive(Debug, Args)]
pub(super) struct ByArgs {
    /// Who prepares it, as the files of those who may approve call you [default: known by your SSH keys]
    #[arg(long, value_name = "NAME", env = "APIECE_BY", hide_env_values = true)]
    by: Option<String>,
}

/// What is to be known when a campaign is prepared.
pub(super) struct Witness {
    /// Whether somebody must approve it
    pub(super) is_bound: bool,
    pub(super) signers: Option<Vec<u8>>,
    pub(super) preparer: Preparer,
}

impl ByArgs {
    /// Looks who prepares a campaign that would go through an account, and which rules apply to it.
    pub(super) fn witness(&self, loaded: &Loaded, account: Option<&Account>) -> Result<Witness, Failure> {
        let by = self.by.as_deref().map(str::trim).filter(|by| !by.is_empty());
        let campaign = &loaded.campaign;
        let signers = signers(loaded)?;
        let rules = rules((campaign, signers.as_deref()), Whose::Own, loaded.list().len(), account)?;
        let preparer = Preparer::now(by);
        let is_bound = !rules.is_empty();
        if is_bound && !preparer.is_known() {
            let message = "somebody else must approve this, and who prepares it cannot be told; nothing was kept";
            let help = "say --by NAME (or APIECE_BY), as the file of those who may approve would call you; or have an SSH key in ~/.ssh";
            return Err(Failure::because(Exit::Refused, "approval.preparer", message, Some(help)));
        }
        Ok(Witness { is_bound, signers, preparer })
    }

    /// The same for what goes to no recipient.
    pub(super) fn for_nobody(loaded: &Loaded) -> Result<Witness, Failure> {
        let signers = signers(loaded)?;
        Ok(Witness { is_bound: false, signers, preparer: Preparer::default() })
    }
}

/// The file of those who may approve a campaign, if it names one.
fn signers(loaded: &Loaded) -> Result<Option<Vec<u8>>, Failure> {
    match (&loaded.frozen, &loaded.campaign.approval) {
        (Some(frozen), _) => Ok(frozen.signers.clone()),
        (None, Some(approval)) => read_signers(&approval.allowed_signers).map(Some).map_err(unread),
        (None, None) => Ok(None),
    }
}

/// Whether the files that a campaign names for being approved can be read.
pub(super) fn check_files(campaign: &Campaign) -> Result<(), Failure> {
    let rule = campaign.approval.as_ref().map(|approval| Rule::read(OWN, approval));
    rule.transpose().map(|_| ()).map_err(unread)
}

/// On which machine a campaign was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    /// Its paths mean nothing here, and may be meant ill.
    Others,
}

impl Whose {
    pub(super) fn of(campaign: &Overview) -> Self {
        if campaign.origin.is_some() { Self::Others } else { Self::Own }
    }
}

/// All rules that apply to a campaign of so many recipients, each with its files as they are now, but for the signers of its own, which
/// were kept with it.
fn rules(
    (campaign, signers): (&Campaign, Option<&[u8]>),
    whose: Whose,
    recipients: usize,
    account: Option<&Account>,
) -> Result<Vec<Rule>, Failure> {
    let further = std::env::var_os(POLICY).filter(|path| !path.is_empty()).map(PathBuf::from);
    let policy = Policy::read(further.as_deref()).map_err(|why| Failure::new(Exit::Configuration, why))?;
    policy
        .check_label(campaign)
        .map_err(|why| Failure::new(Exit::Refused, Diagnostic::error(Place::Nowhere, &*why)))?;
    let mut rules = policy.rules(campaign, recipients, account).map_err(unread)?;
    if let Some((account, approval)) = account.and_then(|account| Some((account, account.approval.as_ref()?))) {
        let name = format!("account {}", visible(&account.name));
        rules.push(Rule::read(&name, approval).map_err(unread)?);
    }
    if let Some((approval, signers)) = campaign.approval.as_ref().zip(signers) {
        let file = approval.revoked_keys.as_deref().filter(|_| whose == Whose::Own);
        let revoked = file.map(Revoked::read).transpose().map_err(unread)?.unwrap_or_default();
        rules.push(Rule::kept(OWN, approval, signers, revoked).map_err(unread)?);
    }
    Ok(rules)
}

/// The rules that apply to a campaign of the record.
pub(super) fn rules_of(
    campaign: &Overview,
    settings: (&Campaign, Option<&[u8]>),
    account: Option<&Account>,
) -> Result<Vec<Rule>, Failure> {
    rules(settings, Whose::of(campaign), campaign.counts.total(), account)
}

/// What a campaign's approvals are worth now.
pub(super) fn standing(store: &Store, campaign: &Overview, rules: &[Rule]) -> Result<(Subject, Standing), Failure> {
    let subject = Subject::of(campaign).ok_or_else(|| failed(StoreError::NoSnapshot(campaign.id.clone())))?;
    let entries = store.entries(&campaign.id).map_err(failed)?;
    let standing = Standing::weigh(&subject, rules, &entries, Timestamp::now());
    Ok((subject, standing))
}

/// The one place on the way to sending at which it shows whether a campaign may be sent: `settings` are those that it would be
/// sent with, and `frozen` is what was read of it and found to be what was prepared.
pub(super) fn clear(
    store: &Store,
    id: &str,
    frozen: &Frozen,
    settings: &Campaign,
    account: Option<&Account>,
) -> Result<Cleared, Failure> {
    let campaign = store.campaign(id).map_err(failed)?;
    store.verify_log().map_err(failed)?;
    // What is approved is a digest: it must be that of what is about to be sent.
    if campaign.digest != Some(frozen.digest) {
        let why = "it changed meanwhile".to_owned();
        return Err(failed(StoreError::Unsound { id: campaign.id, why }));
    }
    let rules = rules_of(&campaign, frozen.approval(), account)?;
    let other = frozen.settings.differences(settings);
    if !rules.is_empty() && !other.is_empty() {
        let message = format!(
            "campaign {id} must be sent with the settings that are approved, and these are others: {}; nothing was sent",
            other.join(", ")
        );
        let help = format!("send it as it was prepared: apiece send {id}");
        return Err(Failure::because(Exit::Refused, "approval.settings", message, Some(&help)));
    }
    let (subject, standing) = standing(store, &campaign, &rules)?;
    standing.clear(&subject).map_err(|missing| {
        let message = format!("{missing}; nothing was sent");
        let help = format!(
            "somebody else looks at it and signs: apiece approve {id} --key ~/.ssh/id_ed25519; on another machine: apiece \
             export-approval {id} --to THEIR_KEY.pub -o {id}.bundle; then: apiece send {id}"
        );
        Failure::because(Exit::Refused, "approval.missing", message, Some(&help))
    })
}

/// What `status` says of approvals.
pub(super) fn facts(standing: &Standing) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    for rule in &standing.rules {
        facts.push(("Approval", rule.to_string()));
    }
    for weighed in &standing.approvals {
        let mut said = format!("{}  {}: ", day(weighed.at), weighed.whose());
        let until = weighed.verdicts.iter().filter_map(|verdict| Some(verdict.as_ref().ok()?.until)).max();
        match until {
            Some(until) if until == Timestamp::MAX => said.push_str("counts"),
            Some(until) => {
                let _ = write!(said, "counts until {}", day(until));
            }
            None => {
                let why = weighed.verdicts.iter().find_map(|verdict| verdict.as_ref().err());
                let _ = write!(said, "does not count: {}", why.map(ToString::to_string).unwrap_or_default());
            }
        }
        facts.push(("Approved", said));
    }
    if let Some((at, reason)) = &standing.rejected {
        facts.push(("Rejected", format!("{}  {reason}", day(*at))));
    }
    facts
}

/// Asks for the passphrase of a private key that has one.
pub(super) fn unlock(key: &mut Key) -> Result<(), Failure> {
    let Some(file) = key.locked() else { return Ok(()) };
    let shown = visible(&file.display().to_string());
    if !io::stdin().is_terminal() {
        return Err(unread(ApprovalError::NoTerminal(shown)));
    }
    let passphrase = account::read_password(SecretSource::Ask, format!("Passphrase of {shown}: "))?;
    key.unlock(&passphrase).map_err(unread)
}

/// That files of those who may approve, or keys, cannot be used.
#[allow(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
pub(super) fn unread(why: ApprovalError) -> Failure {
    let exit = match &why {
        ApprovalError::OtherStatement(_)
        | ApprovalError::NotForKey(_)
        | ApprovalError::NoTerminal(_)
        | ApprovalError::Locked(_)
        | ApprovalError::Secret(_)
        | ApprovalError::Passphrase(_) => Exit::Refused,
        ApprovalError::NoStatement
        | ApprovalError::NoSignature(_)
        | ApprovalError::NotOpened(_)
        | ApprovalError::NoBundle => Exit::Data,
        ApprovalError::Reason(_) | ApprovalError::ReasonNames => Exit::Usage,
        _ => Exit::Configuration,
    };
    Failure::new(exit, Diagnostic::error(Place::Nowhere, &why))
}
