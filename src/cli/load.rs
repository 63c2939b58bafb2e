//! What `check`, `preview` and `send` have in common: which campaign, and reading and making all of it.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::Timestamp;

use super::{
    Exit, Failure, Screen, expect, follow,
    list::ListArgs,
    record::{RecordArgs, failed},
    when,
};
pub(super) use crate::schedule::quoted;
use crate::{
    address::Address,
    campaign::{CAMPAIGN_FILE, Campaign, GuardOptions, ListOptions, ListSource, OpaqueAttachments, Overrides, Size},
    diagnostic::{Diagnostics, visible},
    guard::Guard,
    message::{Composer, Digest},
    outbox::{Overview, Prepared, Store, StoreError, Thawed},
    recipients::{ListFile, Recipient, RecipientList, Rows, Selection},
    secret,
    template::{Occurrence, Template},
};

/// Shorter lists are done before a bar is seen.
const BAR_FROM: usize = 5000;

/// Which campaign.
#[derive(Debug, Args)]
pub(super) struct CampaignArgs {
    /// A directory with a campaign.toml, or a template; or the id of a campaign that was prepared
    campaign: PathBuf,
    /// The recipient list (CSV, XLSX, XLS, ODS; - is standard input; outbox:ID?state=sent), where CAMPAIGN is a template
    list: Option<PathBuf>,
    /// The template, in place of the campaign's
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// The recipient list, in place of the campaign's
    #[arg(long, value_name = "FILE")]
    recipients: Option<PathBuf>,
    /// The most that a message may have, for example 25MB [default: 20MB]
    #[arg(long, value_name = "SIZE")]
    max_message_size: Option<Size>,
    /// An identifying value that more people have tells nobody [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    common: Option<u16>,
    /// What is done about an attachment that cannot be looked into: warn, refuse [default: warn]
    #[arg(long, value_name = "WHAT")]
    opaque_attachments: Option<OpaqueAttachments>,
    #[command(flatten)]
    list_args: ListArgs,
    #[command(flatten)]
    pub(super) record: RecordArgs,
}

impl CampaignArgs {
    /// A campaign as its settings say.
    pub(super) fn plain(campaign: PathBuf, list: Option<PathBuf>, record: RecordArgs) -> Self {
        Self {
            campaign,
            list,
            template: None,
            recipients: None,
            max_message_size: None,
            common: None,
            opaque_attachments: None,
            list_args: ListArgs::default(),
            record,
        }
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            template: self.template.clone(),
            recipients: self.recipients.clone(),
            list: self.list_args.options(),
            guard: GuardOptions { common: self.common, opaque: self.opaque_attachments, ..GuardOptions::default() },
            max_message_size: self.max_message_size,
            ..Overrides::default()
        }
    }

    /// The same arguments again, for a command that a person can type.
    pub(super) fn typed(&self) -> String {
        let mut words = vec![self.campaign.clone()];
        words.extend(self.list.clone());
        let mut typed: Vec<String> = words.iter().map(|path| quoted(&path.display().to_string())).collect();
        let mut flag = |name: &str, value: Option<String>| {
            typed.extend(value.map(|value| format!("--{name} {}", quoted(&value))));
        };
        flag("template", self.template.as_ref().map(|path| path.display().to_string()));
        flag("recipients", self.recipients.as_ref().map(|path| path.display().to_string()));
        flag("common", self.common.map(|number| number.to_string()));
        flag("opaque-attachments", self.opaque_attachments.map(|what| what.to_string()));
        flag("max-message-size", self.max_message_size.map(|size| size.to_string()));
        typed.extend(self.list_args.typed());
        typed.join(" ")
    }

    /// Whether the list is standard input.
    pub(super) fn reads_input(&self) -> bool {
        [&self.list, &self.recipients].into_iter().flatten().any(|path| path.as_os_str() == "-")
    }

    /// What could be the id of a campaign of the record.
    fn id(&self) -> Option<&str> {
        let id = self.campaign.to_str().filter(|_| self.list.is_none())?;
        let (digits, edition) = id.split_once('-').unwrap_or((id, "2"));
        let is_id = (4..=64).contains(&digits.len())
            && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            && edition.parse::<u32>().is_ok();
        is_id.then_some(id)
    }

    /// A campaign as it was prepared; only how it is sent can still be said.
    fn thaw(&self, id: &str, overrides: Overrides) -> Result<Loaded, Failure> {
        if self.template.is_some()
            || self.recipients.is_some()
            || self.max_message_size.is_some()
            || self.common.is_some()
            || self.opaque_attachments.is_some()
            || !self.list_args.typed().is_empty()
        {
            let message = format!("campaign {id} is prepared: neither its template nor its list can be changed");
            let help = Some("prepare it anew from its template and list");
            return Err(Failure::because(Exit::Usage, "campaign.prepared", message, help));
        }
        let (store, overview) = self.record.find(id)?;
        let mut loaded = Loaded::thawed(&store, &overview)?;
        let settings = &mut loaded.campaign;
        settings.account = overrides.account.or(settings.account.take());
        settings.connections = overrides.connections.or(settings.connections);
        settings.retry = overrides.retry.or(settings.retry);
        settings.spread = overrides.spread.or(settings.spread);
        settings.hold = overrides.hold.or(settings.hold);
        settings.expect = overrides.expect.or(settings.expect);
        settings.when = when::merged(overrides.when, settings.when.clone())?;
        if !overrides.rates.is_empty() {
            settings.rates = overrides.rates;
        }
        Ok(loaded)
    }

    /// What the campaign is called, whether it can be read or not.
    pub(super) fn name(&self) -> String {
        if self.campaign.exists()
            && let Ok(campaign) = Campaign::load(&self.campaign, self.list.as_deref(), self.overrides())
        {
            return campaign.name;
        }
        let absolute = std::path::absolute(&self.campaign).unwrap_or_else(|_| self.campaign.clone());
        let name = absolute.file_name().unwrap_or_default().to_string_lossy();
        let name = if self.campaign.is_dir() { Some(&*name) } else { name.split('.').find(|part| !part.is_empty()) };
        name.unwrap_or("campaign").to_owned()
    }

    /// The file of its settings, or else its template, whatever ways lead there.
    fn home(&self) -> String {
        let file = if self.campaign.is_dir() { self.campaign.join(CAMPAIGN_FILE) } else { self.campaign.clone() };
        let absolute = std::fs::canonicalize(&file).or_else(|_| std::path::absolute(&file));
        absolute.unwrap_or(file).to_string_lossy().into_owned()
    }

    /// Its settings alone, if these can be read.
    pub(super) fn settings(&self) -> Option<Campaign> {
        match self.id() {
            Some(id) if !self.campaign.exists() => {
                let (store, overview) = self.record.find(id).ok()?;
                Some(store.settings(&overview).ok()?.0)
            }
            _ => Campaign::load(&self.campaign, self.list.as_deref(), self.overrides()).ok(),
        }
    }

    /// Reads everything; says everything that is wrong.
    pub(super) fn load(&self, further: impl FnOnce(&mut Overrides)) -> Result<Loaded, Failure> {
        let mut overrides = self.overrides();
        further(&mut overrides);
        match self.id() {
            Some(id) if !self.campaign.exists() => return self.thaw(id, overrides),
            Some(id) if self.record.knows(id) => {
                let message = format!("{id} is a campaign that was prepared, and also a file or directory here");
                let help = format!("write ./{id} for the one here; for the other one, go to another directory");
                return Err(Failure::because(Exit::Usage, "campaign.ambiguous", message, Some(&help)));
            }
            _ => {}
        }
        let data = |why| Failure::new(Exit::Data, why);
        let at = overrides.at.take();
        let mut campaign = Campaign::load(&self.campaign, self.list.as_deref(), overrides).map_err(data)?;
        if let Some(recurring) = &mut campaign.recurring {
            let now = Timestamp::now();
            let hours = when::hours(&campaign.when, at.as_ref(), now)?;
            recurring.date.get_or_insert_with(|| hours.day(now));
        }
        let rejected = Rejected { to: self.list_args.rejected.clone(), file: None };
        rejected.check()?;
        let (file, remarks) = match &campaign.recipients {
            ListSource::File(path) => (ListFile::read(path, &campaign.list).map_err(data)?, Diagnostics::default()),
            ListSource::Outbox(from) => {
                let read = follow::read(&from.clone(), &self.record, &mut campaign);
                read.or_else(|failure| expect::if_empty(campaign.expect, &failure.why).and(Err(failure)))?
            }
        };
        let (list, mut findings) = RecipientList::examined(&file, &campaign.list);
        findings.extend(remarks);
        // A file with nothing in it at all is no list.
        if file.headings(&campaign.list).is_some() {
            expect::if_empty(campaign.expect, &findings)?;
        }
        // What is wrong with the template is said in the same go, if the headings can be told.
        let template = match &list {
            Some(list) => Template::read(&campaign.template, list.columns()),
            None => match file.headings(&campaign.list) {
                Some(columns) => Template::read(&campaign.template, &columns),
                None => {
                    return Err(data(findings.clone()).saying(rejected.write(&file, &campaign.list, &findings, None)));
                }
            },
        };
        let occurrence = match (&campaign.recurring, list.as_ref()) {
            (Some(recurring), Some(list)) => Some(Occurrence::compile(recurring, list.columns()).map_err(data)?),
            _ => None,
        };
        let (list, template) = match (list, template) {
            (list, Err(more)) => return Err(rejected.refuse(&file, &campaign.list, findings, more, list.as_ref())),
            (None, Ok(_)) => {
                let nothing = Diagnostics::default();
                return Err(rejected.refuse(&file, &campaign.list, findings, nothing, None));
            }
            (Some(list), Ok(template)) => (list, template),
        };
        let wrong = findings.has_errors();
        let list = if wrong { list } else { list.with_remarks(findings.clone()) };
        let most = campaign.max_message_size;
        let composer = Composer::new(Arc::new(template), Arc::new(list))
            .with_limit(most)
            .with_occurrence(occurrence)
            .without_files(&[
                campaign.recipients.file().unwrap_or(Path::new("")),
                campaign.template.as_path(),
                self.campaign.join(CAMPAIGN_FILE).as_path(),
            ]);
        let mut loaded = Loaded::of(campaign, composer, rejected);
        if wrong {
            // Nothing is sent, but what else is wrong is said.
            let all = Selection::All(loaded.list().len());
            let more = Prepared::make(&loaded.composer, &loaded.guard, all, &|_| {}).err().unwrap_or_default();
            let Loaded { campaign, composer, rejected, .. } = &loaded;
            return Err(rejected.refuse(&file, &campaign.list, findings, more, Some(composer.list())));
        }
        loaded.home = Some(self.home());
        // Only who wants bad rows written needs the file again.
        loaded.rejected.file = loaded.rejected.to.is_some().then_some(file);
        Ok(loaded)
    }
}

/// Where bad rows are written, if somebody wants that.
#[derive(Debug)]
struct Rejected {
    to: Option<PathBuf>,
    file: Option<ListFile>,
}

impl Rejected {
    /// Nothing is overwritten: the file could be the list.
    fn check(&self) -> Result<(), Failure> {
        match &self.to {
            Some(to) if to.exists() => {
                let message = format!("{} is there already, and is not overwritten", to.display());
                Err(Failure::because(Exit::CannotCreate, "rejected.exists", message, Some("choose another name")))
            }
            _ => Ok(()),
        }
    }

    /// That a list is refused for what was found, with what else is wrong; bad rows are written.
    fn refuse(
        &self,
        file: &ListFile,
        options: &ListOptions,
        mut why: Diagnostics,
        more: Diagnostics,
        list: Option<&RecipientList>,
    ) -> Failure {
        why.extend(more);
        let why = why.sorted().without_consequences();
        let written = self.write(file, options, &why, list);
        Failure::new(Exit::Data, why).saying(written)
    }

    /// Writes the bad rows; gives what is to be said about it.
    fn write(&self, file: &ListFile, options: &ListOptions, why: &Diagnostics, list: Option<&RecipientList>) -> String {
        let Some(to) = &self.to else { return String::new() };
        let shown = visible(&to.display().to_string());
        let mut rows = Vec::new();
        let written = file.write_rejected(options, why, list, &mut rows).and_then(|count| {
            if count > 0 {
                secret::create_file(to)?.write_all(&rows)?;
            }
            Ok(count)
        });
        match written {
            Ok(0) => format!("{shown} was not written: it is no single row that is wrong\n"),
            Ok(1) => format!("1 bad row written to {shown}\n"),
            Ok(count) => format!("{count} bad rows written to {shown}\n"),
            Err(why) => format!("{shown} cannot be written: {why}\n"),
        }
    }
}

/// What a campaign of the record was found to be, besides what makes its messages.
pub(super) struct Frozen {
    /// Over all of it
    pub(super) digest: Digest,
    pub(super) settings: Campaign,
    pub(super) signers: Option<Vec<u8>>,
    /// Over the digests of its messages
    pub(super) messages: Digest,
}

impl Frozen {
    /// Its settings, and who may approve it.
    pub(super) fn approval(&self) -> (&Campaign, Option<&[u8]>) {
        (&self.settings, self.signers.as_deref())
    }

    /// Reads a campaign of the record; what is not what was prepared is an error.
    pub(super) fn thaw(store: &Store, campaign: &Overview) -> Result<(Self, Composer), Failure> {
        let Thawed { settings, composer, signers, messages } = store.thaw(campaign).map_err(failed)?;
        let none = || failed(StoreError::NoSnapshot(campaign.id.clone()));
        let digest = campaign.digest.ok_or_else(none)?;
        Ok((Self { digest, settings, signers, messages }, composer))
    }
}

/// A campaign that has been read.
pub(super) struct Loaded {
    pub(super) campaign: Campaign,
    pub(super) composer: Composer,
    /// Addresses that may stand in anybody's message.
    pub(super) allowed: Vec<Address>,
    /// Where it is in the record, if it was read from there
    pub(super) origin: Option<Overview>,
    /// What it was when it was prepared, if it was read from the record
    pub(super) frozen: Option<Frozen>,
    /// The file of its settings, or else its template, if it was not
    pub(super) home: Option<String>,
    pub(super) guard: Guard,
    rejected: Rejected,
}

impl Loaded {
    fn of(campaign: Campaign, composer: Composer, rejected: Rejected) -> Self {
        let template = composer.template();
        let allowed = [campaign.guard.allow.clone(), template.fixed_addresses()].concat();
        let own = template.fixed_names().map(str::to_owned);
        let allowed_values: Vec<String> = campaign.guard.allowed_values.iter().cloned().chain(own).collect();
        let guard = Guard::new(Arc::clone(composer.list()), &allowed)
            .with_headers(template.header_names())
            .with_identifying(campaign.guard.common(), &allowed_values)
            .with_opaque(campaign.guard.opaque.unwrap_or_default());
        Self { campaign, composer, allowed, origin: None, frozen: None, home: None, guard, rejected }
    }

    /// A campaign of the record, as it was prepared.
    pub(super) fn thawed(store: &Store, campaign: &Overview) -> Result<Self, Failure> {
        let (frozen, composer) = Frozen::thaw(store, campaign)?;
        let loaded = Self::of(frozen.settings.clone(), composer, Rejected { to: None, file: None });
        Ok(Self { origin: Some(campaign.clone()), frozen: Some(frozen), ..loaded })
    }

    pub(super) fn list(&self) -> &Arc<RecipientList> {
        self.composer.list()
    }

    /// Looks at the list of what was prepared as it was looked at then, for somebody who looks at it now.
    pub(super) fn look_again(&self) {
        if self.origin.is_some() {
            self.list().look_again();
        }
    }

    /// Says what was noticed about the list.
    pub(super) fn say_remarks(&self, screen: Screen) {
        screen.remark(self.list().remarks());
    }

    /// That somebody was named who is not on the list.
    pub(super) fn nobody(&self, who: &str) -> Failure {
        let message = format!("there is nobody {who} in {}", self.list().name());
        Failure::because(Exit::Usage, "rows.nobody", message, None)
    }

    /// The people in some rows, or all.
    pub(super) fn select(&self, rows: Option<&Rows>) -> Result<Selection, Failure> {
        let list = self.list();
        let Some(rows) = rows else { return Ok(Selection::All(list.len())) };
        for range in rows.ranges() {
            if let Some(missing) =
                [*range.start(), *range.end()].into_iter().find(|row| list.index_of_row(*row).is_none())
            {
                return Err(self.nobody(&format!("in row {missing}")));
            }
        }
        let meant = |recipient: &Recipient<'_>| recipient.rows().any(|row| rows.contains(row.number()));
        Ok(Selection::Some(list.iter().filter(meant).map(Recipient::index).collect()))
    }

    /// Makes and inspects the messages of some people.
    pub(super) fn prepare(&self, who: Selection, screen: Screen) -> Result<Prepared, Failure> {
        let bar = bar(who.len(), "prepared", screen);
        let prepared = Prepared::make(&self.composer, &self.guard, who, &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        prepared.map_err(|why| {
            let write = |file| self.rejected.write(file, &self.campaign.list, &why, Some(self.list()));
            let written = self.rejected.file.as_ref().map(write);
            Failure::new(Exit::Data, why).saying(written.unwrap_or_default())
        })
    }
}

/// Shows how many of so many messages something is done with, where that takes a while and somebody looks.
pub(super) fn bar(count: usize, done: &'static str, screen: Screen) -> ProgressBar {
    let visible = count >= BAR_FROM && !screen.quiet && io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    ProgressBar::with_draw_target(Some(count as u64), target).with_message(done)
}
