//! What `check`, `preview` and `send` have in common: which campaign, and reading and making all of it.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{Exit, Failure, Screen, list::ListArgs};
use crate::{
    address::Address,
    campaign::{CAMPAIGN_FILE, Campaign, GuardOptions, ListOptions, OpaqueAttachments, Overrides, Size},
    diagnostic::{Diagnostics, visible},
    guard::Guard,
    message::{Composer, MOST_MESSAGE_BYTES},
    outbox::Outbox,
    recipients::{ListFile, Recipient, RecipientList},
    report::Rows,
    secret,
    template::Template,
};

/// Shorter lists are done before a bar is seen.
const BAR_FROM: usize = 5000;

/// Which campaign.
#[derive(Debug, Args)]
pub(super) struct CampaignArgs {
    /// A directory with a campaign.toml, or a template
    campaign: PathBuf,
    /// The recipient list (CSV, XLSX, XLS, ODS; - is standard input), where CAMPAIGN is a template
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
}

impl CampaignArgs {
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

    /// Reads everything; says everything that is wrong.
    pub(super) fn load(&self, further: impl FnOnce(&mut Overrides)) -> Result<Loaded, Failure> {
        let mut overrides = self.overrides();
        further(&mut overrides);
        let data = |why| Failure::new(Exit::Data, why);
        let campaign = Campaign::load(&self.campaign, self.list.as_deref(), overrides).map_err(data)?;
        let mut rejected = Rejected { to: self.list_args.rejected.clone(), file: None };
        rejected.check()?;
        let file = ListFile::read(&campaign.recipients, &campaign.list).map_err(data)?;
        let (list, findings) = RecipientList::examined(&file, &campaign.list);
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
        let refuse = |mut why: Diagnostics, more: Diagnostics, list: Option<&RecipientList>| {
            why.extend(more);
            let why = why.sorted().without_consequences();
            let written = rejected.write(&file, &campaign.list, &why, list);
            Err(data(why).saying(written))
        };
        let (list, template) = match (list, template) {
            (list, Err(more)) => return refuse(findings, more, list.as_ref()),
            (None, Ok(_)) => return refuse(findings, Diagnostics::default(), None),
            (Some(list), Ok(template)) => (list, template),
        };
        let wrong = findings.has_errors();
        let list = if wrong { list } else { list.with_remarks(findings.clone()) };
        let allowed = [campaign.guard.allow.clone(), template.fixed_addresses()].concat();
        let most_bytes = campaign.max_message_size.map_or(MOST_MESSAGE_BYTES, Size::bytes);
        let composer = Composer::new(Arc::new(template), Arc::new(list)).with_limit(most_bytes).without_files(&[
            campaign.recipients.as_path(),
            campaign.template.as_path(),
            self.campaign.join(CAMPAIGN_FILE).as_path(),
        ]);
        let own = composer.template().fixed_names().map(str::to_owned);
        let allowed_values: Vec<String> = campaign.guard.allowed_values.iter().cloned().chain(own).collect();
        let guard = Guard::new(Arc::clone(composer.list()), &allowed)
            .with_headers(composer.template().header_names())
            .with_identifying(campaign.guard.common(), &allowed_values)
            .with_opaque(campaign.guard.opaque.unwrap_or_default());
        if wrong {
            // Nothing is sent, but what else is wrong is said.
            let all = (0..composer.list().len()).collect();
            let more = Outbox::prepare(&composer, &guard, all, &|_| {}).err().unwrap_or_default();
            return refuse(findings, more, Some(composer.list()));
        }
        // Only who wants bad rows written needs the file again.
        rejected.file = rejected.to.is_some().then_some(file);
        Ok(Loaded { campaign, composer, allowed, guard, rejected })
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

/// An argument as a shell reads it.
pub(super) fn quoted(argument: &str) -> String {
    shlex::try_quote(argument).map_or_else(|_| argument.to_owned(), std::borrow::Cow::into_owned)
}

/// A campaign that has been read.
pub(super) struct Loaded {
    pub(super) campaign: Campaign,
    pub(super) composer: Composer,
    /// Addresses that may stand in anybody's message.
    pub(super) allowed: Vec<Address>,
    guard: Guard,
    rejected: Rejected,
}

impl Loaded {
    pub(super) fn list(&self) -> &Arc<RecipientList> {
        self.composer.list()
    }

    /// Says what was noticed about the list.
    pub(super) fn say_remarks(&self, screen: Screen) {
        screen.remark(self.list().remarks());
    }

    /// The people in some rows, or all.
    pub(super) fn select(&self, rows: Option<&Rows>) -> Result<Vec<usize>, Failure> {
        let list = self.list();
        let Some(rows) = rows else { return Ok((0..list.len()).collect()) };
        for range in rows.ranges() {
            if let Some(missing) =
                [*range.start(), *range.end()].into_iter().find(|row| list.index_of_row(*row).is_none())
            {
                let message = format!("there is nobody in row {missing} of {}", list.name());
                return Err(Failure::because(Exit::Usage, "rows.nobody", message, None));
            }
        }
        let meant = |recipient: &Recipient<'_>| recipient.rows().any(|row| rows.contains(row.number()));
        Ok(list.iter().filter(meant).map(Recipient::index).collect())
    }

    /// Makes and inspects the messages of the people at `indices`.
    pub(super) fn prepare(&self, indices: Vec<usize>, screen: Screen) -> Result<Outbox, Failure> {
        let visible = indices.len() >= BAR_FROM && !screen.quiet && io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(indices.len() as u64), target).with_message("prepared");
        let outbox = Outbox::prepare(&self.composer, &self.guard, indices, &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        outbox.map_err(|why| {
            let write = |file| self.rejected.write(file, &self.campaign.list, &why, Some(self.list()));
            let written = self.rejected.file.as_ref().map(write);
            Failure::new(Exit::Data, why).saying(written.unwrap_or_default())
        })
    }
}
