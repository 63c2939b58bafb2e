//! What `check`, `preview` and `send` have in common: which campaign, and reading and making all of it.

use std::{io::IsTerminal, path::PathBuf, sync::Arc};

use clap::Args;
use encoding_rs::Encoding;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{Exit, Failure, Screen};
use crate::{
    address::Address,
    campaign::{Campaign, Delimiter, Duplicates, ListOptions, Overrides, encoding},
    guard::Guard,
    message::Composer,
    outbox::Outbox,
    recipients::{Recipient, RecipientList},
    report::Rows,
    template::Template,
};

/// Shorter lists are done before a bar is seen.
const BAR_FROM: usize = 5000;

/// Which campaign.
#[derive(Debug, Args)]
pub(super) struct CampaignArgs {
    /// A directory with a campaign.toml, or a template
    campaign: PathBuf,
    /// The recipient list (CSV), where CAMPAIGN is a template
    list: Option<PathBuf>,
    /// The template, in place of the campaign's
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// The recipient list, in place of the campaign's
    #[arg(long, value_name = "FILE")]
    recipients: Option<PathBuf>,
    /// The heading of the column with the addresses
    #[arg(long, value_name = "HEADING")]
    address: Option<String>,
    /// What the list's text is encoded in, for example windows-1252 [default: UTF-8, or UTF-16 with a byte order mark]
    #[arg(long, value_name = "LABEL", value_parser = encoding)]
    encoding: Option<&'static Encoding>,
    /// What stands between the list's cells: , ; tab or | [default: found from the file]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,
    /// A column whose cells may be empty although the template shows them; may be given several times
    #[arg(long, value_name = "HEADING")]
    optional: Vec<String>,
    /// An address that stands in several rows: refuse the list, or take the first row [default: refuse]
    #[arg(long, value_name = "WHAT")]
    duplicates: Option<Duplicates>,
}

impl CampaignArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            template: self.template.clone(),
            recipients: self.recipients.clone(),
            list: ListOptions {
                address: self.address.clone(),
                encoding: self.encoding,
                delimiter: self.delimiter,
                optional: self.optional.clone(),
                duplicates: self.duplicates,
            },
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
        flag("address", self.address.clone());
        flag("encoding", self.encoding.map(|encoding| encoding.name().to_owned()));
        flag("duplicates", self.duplicates.filter(|what| *what == Duplicates::First).map(|_| "first".into()));
        for heading in &self.optional {
            flag("optional", Some(heading.clone()));
        }
        flag("delimiter", self.delimiter.map(|delimiter| char::from(delimiter.byte()).to_string()));
        typed.join(" ")
    }

    /// Reads everything; says everything that is wrong.
    pub(super) fn load(&self, screen: Screen, further: impl FnOnce(&mut Overrides)) -> Result<Loaded, Failure> {
        let mut overrides = self.overrides();
        further(&mut overrides);
        let campaign = Campaign::load(&self.campaign, self.list.as_deref(), overrides)
            .map_err(|why| Failure::new(Exit::Data, why))?;
        let data = |why| Failure::new(Exit::Data, why);
        let list = RecipientList::read(&campaign.recipients, &campaign.list).map_err(|mut why| {
            // The template's mistakes are said in the same go, if the headings can be told.
            let columns = RecipientList::headings(&campaign.recipients, &campaign.list);
            let template = columns.map(|columns| Template::read(&campaign.template, &columns));
            if let Some(Err(more)) = template {
                why.extend(more);
            }
            data(why)
        })?;
        let template = Template::read(&campaign.template, list.columns()).map_err(data)?;
        if !screen.quiet {
            screen.complain(list.warnings());
        }
        let allowed = [campaign.allow.clone(), template.fixed_addresses()].concat();
        let composer = Composer::new(Arc::new(template), Arc::new(list));
        let guard = Guard::new(composer.list(), &allowed);
        Ok(Loaded { campaign, composer, allowed, guard })
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
}

impl Loaded {
    pub(super) fn list(&self) -> &RecipientList {
        self.composer.list()
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
        Ok(list.iter().filter(|recipient| rows.contains(recipient.row())).map(Recipient::index).collect())
    }

    /// Makes and inspects the messages of the people at `indices`.
    pub(super) fn prepare(&self, indices: Vec<usize>, screen: Screen) -> Result<Outbox, Failure> {
        let visible = indices.len() >= BAR_FROM && !screen.quiet && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(indices.len() as u64), target).with_message("prepared");
        let outbox = Outbox::prepare(&self.composer, &self.guard, indices, &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        outbox.map_err(|why| Failure::new(Exit::Data, why))
    }
}
