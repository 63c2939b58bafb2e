//! `apiece preview`

mod gallery;

use std::{collections::HashMap, path::PathBuf};

use clap::Args;
use jiff::ZonedDateTime;

use self::gallery::GalleryArgs;
use super::{
    Exit, Failure, Screen,
    load::{CampaignArgs, Loaded},
};
use crate::{
    address::Address,
    diagnostic::{counted, visible},
    preview,
    recipients::Selection,
    secret,
    template::Answers,
};

/// So many combinations of branches are shown.
const SHOWN_WAYS: usize = 50;

/// So many messages are shown if nobody says which.
const SHOWN: usize = 3;

/// Arguments of `apiece preview`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --row or --to, the first three messages are shown, or all are written with --eml.

Examples:
  apiece preview samples/notice
  apiece preview samples/notice --row 3
  apiece preview samples/appointments --branches   # one for each way that {{#if}} and {{#unless}} can go
  apiece preview samples/notice --to renate@xn--mller-kva.example
  apiece preview samples/notice --eml out     # files for a mail program
  apiece preview samples/appointments --gallery    # pages for your browser")]
pub(super) struct Preview {
    /// The message to the person in this row (the headings are row 1)
    #[arg(long, value_name = "N", conflicts_with = "to")]
    row: Option<u64>,
    /// The message to this person
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// One message for each combination of branches that the list really takes, with how many people take it
    #[arg(long, conflicts_with_all = ["row", "to", "eml", "gallery", "gallery_file"])]
    branches: bool,
    /// Write .eml files into this directory instead of showing messages
    #[arg(long, value_name = "DIR", conflicts_with_all = ["gallery", "gallery_file"])]
    eml: Option<PathBuf>,
    #[command(flatten)]
    gallery: GalleryArgs,
    #[command(flatten)]
    campaign: CampaignArgs,
}

impl Preview {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let loaded = self.campaign.load(|_| {})?;
        loaded.say_remarks(screen);
        if self.branches {
            return Self::each_branch(&loaded, screen);
        }
        let list = loaded.list();
        let one = |index: Option<usize>, who: String| {
            index.map(|index| Selection::Some(vec![index])).ok_or_else(|| loaded.nobody(&who))
        };
        let indices = if let Some(row) = self.row {
            one(list.index_of_row(row), format!("in row {row}"))?
        } else if let Some(to) = &self.to {
            one(list.find(to.as_str()), format!("with the address {to}"))?
        } else if self.gallery.is_wanted() {
            return self.gallery.run(loaded, None, &self.campaign.record, screen);
        } else if self.eml.is_some() {
            Selection::All(list.len())
        } else {
            Selection::Some((0..list.len().min(SHOWN)).collect())
        };
        if self.gallery.is_wanted() {
            return self.gallery.run(loaded, Some(&indices), &self.campaign.record, screen);
        }
        let count = indices.len();
        screen.remark(loaded.prepare(indices.clone(), screen)?.remarks());
        let cannot_write = |path: &std::path::Path, why: std::io::Error| {
            let message = format!("{} cannot be written: {why}", path.display());
            Failure::because(Exit::CannotCreate, "preview.write", message, Some("choose an empty directory"))
        };
        if let Some(directory) = &self.eml {
            secret::create_directory(directory).map_err(|why| cannot_write(directory, why))?;
        }
        for index in indices.iter() {
            let message = loaded.composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))?;
            match &self.eml {
                Some(directory) => {
                    preview::write_eml(directory, &message, &ZonedDateTime::now())
                        .map_err(|why| cannot_write(&directory.join(format!("row-{:06}.eml", message.row())), why))?;
                }
                None => Screen::print_always(&format!("{}\n", preview::as_received(&message))),
            }
        }
        match &self.eml {
            Some(directory) => {
                screen.print(&format!("{count} messages written to {}\n", visible(&directory.display().to_string())));
            }
            None if count < list.len() && self.row.is_none() && self.to.is_none() => {
                screen.note(&format!("{count} of {} messages; --row N or --to ADDRESS shows another\n", list.len()));
            }
            None => {}
        }
        Ok(Exit::Ok)
    }

    /// Shows the first message of each combination of branches.
    fn each_branch(loaded: &Loaded, screen: Screen) -> Result<Exit, Failure> {
        let (list, template) = (loaded.list(), loaded.composer.template());
        let data = |why| Failure::new(Exit::Data, why);
        screen.remark(loaded.prepare(Selection::All(list.len()), screen)?.remarks());
        let mut ways: Vec<(Answers, usize, usize)> = Vec::new();
        let mut places: HashMap<Answers, usize> = HashMap::new();
        for recipient in list.iter() {
            let answers = template.answers(recipient).map_err(data)?;
            let place = *places.entry(answers.clone()).or_insert(ways.len());
            match ways.get_mut(place) {
                Some((_, count, _)) => *count += 1,
                None => ways.push((answers, 1, recipient.index())),
            }
        }
        for (nth, (answers, count, first)) in ways.iter().take(SHOWN_WAYS).enumerate() {
            let mut text = format!(
                "══ {} of {}: {} of {} ══\n",
                nth + 1,
                counted(ways.len(), "way"),
                count,
                counted(list.len(), "recipient")
            );
            for (branch, answer) in template.branches().iter().zip(answers) {
                if let Some(answer) = answer {
                    text.push_str(&format!("{branch}: {}\n", if *answer { "shown" } else { "not shown" }));
                }
            }
            let message = loaded.composer.compose(*first).map_err(data)?;
            Screen::print_always(&format!("{}\n{}\n", visible(&text), preview::as_received(&message)));
        }
        if ways.len() > SHOWN_WAYS {
            screen.note(&format!("{SHOWN_WAYS} of {} ways; --row N shows the message of anybody\n", ways.len()));
        }
        Ok(Exit::Ok)
    }
}
