//! `apiece check`

use clap::Args;

use super::{
    Exit, Failure, Format, Screen,
    approval::check_files,
    load::{CampaignArgs, Loaded},
};
use crate::{
    diagnostic::{Diagnostics, Severity, counted, nearest, quoted},
    recipients::Columns,
    report,
};

/// Arguments of `apiece check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the list and the template, makes every message and searches each for other people's
addresses. Opens no socket. Exits with 0 only if all is well.

Examples:
  apiece check samples/notice
  apiece check update.md.hbs people.xlsx
  apiece check update.md.hbs people.csv --rejected bad.csv   # bad rows into a file, to be mended
  export-list | apiece check update.md.hbs -                 # a list from another program")]
pub(super) struct Check {
    /// text, or a JSON object for each finding
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    campaign: CampaignArgs,
}

/// So many columns that the template does not use are named.
const SHOWN_COLUMNS: usize = 20;

/// What `check` found out about a campaign with nothing wrong.
struct Checked {
    loaded: Loaded,
    recipients: usize,
    /// What was noticed about the list, and about the messages together
    remarks: Diagnostics,
}

impl Check {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let checked = self.check(screen);
        match self.format {
            Format::Text => {
                screen.print(&checked?.text());
                Ok(Exit::Ok)
            }
            Format::Json => Ok(match checked {
                Ok(checked) => {
                    let list = checked.loaded.list();
                    report::put_findings(&checked.remarks);
                    let unused: Vec<&str> =
                        checked.unused().into_iter().map(|column| list.columns().heading(column)).collect();
                    report::put_checked(&checked.remarks, Some((checked.recipients, list.columns().len(), unused)));
                    Exit::Ok
                }
                Err(failure) => {
                    report::put_findings(&failure.why);
                    report::put_checked(&failure.why, None);
                    screen.note(&failure.said);
                    failure.exit
                }
            }),
        }
    }

    fn check(&self, screen: Screen) -> Result<Checked, Failure> {
        let loaded = self.campaign.load(|_| {})?;
        loaded.look_again();
        if loaded.frozen.is_none() {
            check_files(&loaded.campaign)?;
        }
        if self.format == Format::Text {
            loaded.say_remarks(screen);
        }
        match loaded.prepare(loaded.select(None)?, screen) {
            Ok(prepared) => {
                if self.format == Format::Text {
                    screen.remark(prepared.remarks());
                }
                let mut remarks = loaded.list().remarks().clone();
                remarks.extend(prepared.remarks().clone());
                Ok(Checked { loaded, recipients: prepared.len(), remarks })
            }
            Err(failure) if self.format == Format::Json => {
                let mut all = loaded.list().remarks().clone();
                all.extend(failure.why);
                Err(Failure { why: all, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Checked {
    fn columns(&self) -> &Columns {
        self.loaded.list().columns()
    }

    /// The columns that the template does not use.
    fn unused(&self) -> Vec<usize> {
        let (address, template) = (self.loaded.list().address_column(), self.loaded.composer.template());
        (0..self.columns().len()).filter(|column| *column != address && !template.uses(*column)).collect()
    }

    fn text(&self) -> String {
        let columns = self.columns();
        let unused = self.unused();
        let template = self.loaded.composer.template();
        let used = || (0..columns.len()).filter(|column| template.uses(*column)).map(|column| columns.name(column));
        // "Street 2" is no slip in "Street".
        let without_digits = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_').to_owned();
        let slip = |name: &str| {
            nearest(name, used()).filter(|meant| name.len() > 3 && without_digits(name) != without_digits(meant))
        };
        let mut said: Vec<String> = unused
            .iter()
            .take(SHOWN_COLUMNS)
            .map(|column| match slip(columns.name(*column)) {
                Some(meant) => format!("{} (is it meant to be {{{{{meant}}}}}?)", quoted(columns.heading(*column))),
                None => quoted(columns.heading(*column)),
            })
            .collect();
        if unused.len() > SHOWN_COLUMNS {
            said.push(format!("and {} more", unused.len() - SHOWN_COLUMNS));
        }
        let mut text = String::new();
        if !said.is_empty() {
            text = format!("the template does not use {}\n", said.join(", "));
        }
        let recipients = counted(self.recipients, "recipient");
        let warned = self.remarks.iter().any(|remark| remark.severity() == Severity::Warning);
        let well = if warned { "nothing wrong; look at the warnings above" } else { "all well" };
        text + &format!("{recipients}, {}, {well}\n", counted(columns.len(), "column"))
    }
}
