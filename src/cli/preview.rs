//! `apiece preview`

mod gallery;
mod ways;

use std::path::PathBuf;

use clap::Args;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::json;

use self::gallery::GalleryArgs;
use super::{
    Exit, Failure, Screen,
    load::{CampaignArgs, Loaded, bar},
    pager::Pages,
    record::{failed, who},
};
use crate::{
    address::Address,
    diagnostic::{Diagnostic, Place, visible},
    message::Message,
    outbox::Deed,
    preview::{self, Files, FilesError},
    recipients::{Rows, Selection},
};

/// So many messages are shown if nobody says which.
const SHOWN: usize = 3;

/// Arguments of `apiece preview`.
#[derive(Debug, Args)]
#[command(after_help = "\
If nobody says which, the first three messages are shown, and all are written to files.

Examples:
  apiece preview samples/notice
  apiece preview samples/notice --row 3
  apiece preview samples/notice --to renate@xn--mller-kva.example
  apiece preview samples/notice --sample 2         # at random
  apiece preview samples/notice --compare 2,3      # what differs between two people's
  apiece preview samples/appointments --branches   # one for each way that {{#if}} and {{#unless}} can go
  apiece preview samples/notice --eml out          # files for a mail program
  apiece preview samples/notice --mbox out.mbox
  apiece preview samples/appointments --gallery    # pages for your browser")]
pub(super) struct Preview {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    files: FilesArgs,
    #[command(flatten)]
    gallery: GalleryArgs,
    /// Do not show it page by page
    #[arg(long)]
    no_pager: bool,
    #[command(flatten)]
    campaign: CampaignArgs,
}

/// Whose messages.
#[derive(Debug, Args)]
struct Which {
    /// The messages to the people in these rows, for example 2-5,9 (the headings are row 1)
    #[arg(long, value_name = "ROWS", group = "which")]
    row: Option<Rows>,
    /// The message to this person
    #[arg(long, value_name = "ADDRESS", group = "which")]
    to: Option<Address>,
    /// The messages to so many people, taken at random
    #[arg(long, value_name = "N", group = "which", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: Option<u32>,
    /// The same number takes the same sample again
    #[arg(long, value_name = "SEED", requires = "sample")]
    seed: Option<u64>,
    /// One message for each combination of branches that the list really takes, with how many people take it
    #[arg(long, group = "which", conflicts_with = "files")]
    branches: bool,
    /// What differs between the messages to the people in two rows, for example 2,5
    #[arg(long, value_name = "ROW,ROW", group = "which", conflicts_with = "files", value_parser = two_rows)]
    compare: Option<(u64, u64)>,
}

/// Where to, if not to the screen.
#[derive(Debug, Args)]
#[group(id = "files", multiple = false)]
struct FilesArgs {
    /// Write .eml files into this directory instead of showing messages
    #[arg(long, value_name = "DIR")]
    eml: Option<PathBuf>,
    /// Write the messages into this Maildir
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Write the messages into a new file of this name, one after the other (mboxrd)
    #[arg(long, value_name = "FILE")]
    mbox: Option<PathBuf>,
}

impl FilesArgs {
    fn open(&self) -> Result<Option<Files>, FilesError> {
        match (&self.eml, &self.maildir, &self.mbox) {
            (Some(directory), ..) => Files::eml(directory).map(Some),
            (_, Some(directory), _) => Files::maildir(directory).map(Some),
            (.., Some(file)) => Files::mbox(file).map(Some),
            (None, None, None) => Ok(None),
        }
    }
}

impl Preview {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let loaded = self.campaign.load(|_| {})?;
        loaded.look_again();
        loaded.say_remarks(screen);
        if self.gallery.is_wanted() {
            let named = !self.which.is_any();
            let selected = named.then(|| self.which.selected(&loaded, true, screen)).transpose()?;
            return self.gallery.run(loaded, selected.as_ref(), &self.campaign.record, screen);
        }
        let files = self.files.open().map_err(not_written)?;
        let selected = self.which.selected(&loaded, files.is_some(), screen)?;
        screen.remark(loaded.prepare(selected.clone(), screen)?.remarks());
        let (shown, how) = match files {
            Some(files) => (write(&loaded, &selected, files, screen)?, "files"),
            None => (self.show(&loaded, &selected, screen)?, "terminal"),
        };
        self.note(&loaded, shown, how)?;
        Ok(Exit::Ok)
    }

    /// Shows messages; gives how many.
    fn show(&self, loaded: &Loaded, selected: &Selection, screen: Screen) -> Result<usize, Failure> {
        let mut pages = Pages::new(!self.no_pager);
        let shown = if self.which.branches {
            ways::show(loaded, &mut pages)
        } else if self.which.compare.is_some() {
            let messages: Result<Vec<Message>, Failure> = selected.iter().map(|index| compose(loaded, index)).collect();
            let messages = messages?;
            pages.print(&preview::compare(&messages[0], &messages[1], screen.results));
            Ok(messages.len())
        } else {
            let mut shown = 0;
            for index in selected.iter() {
                shown += 1;
                if !pages.print(&format!("{}\n", preview::as_received(&compose(loaded, index)?))) {
                    break;
                }
            }
            Ok(shown)
        };
        pages.finish();
        if self.which.is_any() && selected.len() < loaded.list().len() {
            let all = loaded.list().len();
            screen.note(&format!("{} of {all} messages; --row N or --to ADDRESS shows another\n", selected.len()));
        }
        shown
    }

    /// Writes down that somebody looked at what was prepared.
    fn note(&self, loaded: &Loaded, messages: usize, how: &str) -> Result<(), Failure> {
        let Some(origin) = &loaded.origin else { return Ok(()) };
        let details = json!({ "how": how, "messages": messages });
        let deed = Deed { who: &who(), what: "previewed", details: &details };
        self.campaign.record.open()?.log(&origin.id, deed, Timestamp::now()).map_err(failed)
    }
}

impl Which {
    /// Whether nobody said whose.
    fn is_any(&self) -> bool {
        let Self { row, to, sample, seed: _, branches, compare } = self;
        row.is_none() && to.is_none() && sample.is_none() && !branches && compare.is_none()
    }

    /// The people whose messages are looked at; all, or the first few, if nobody says whose.
    fn selected(&self, loaded: &Loaded, all: bool, screen: Screen) -> Result<Selection, Failure> {
        let list = loaded.list();
        let one = |index: Option<usize>, who: String| index.ok_or_else(|| loaded.nobody(&who));
        if let Some((first, second)) = self.compare {
            let in_row = |row| one(list.index_of_row(row), format!("in row {row}"));
            return Ok(Selection::Some(vec![in_row(first)?, in_row(second)?]));
        }
        if let Some(to) = &self.to {
            return Ok(Selection::Some(vec![one(list.find(to.as_str()), format!("with the address {to}"))?]));
        }
        if let Some(count) = self.sample {
            let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
            if self.seed.is_none() {
                screen.note(&format!("--sample {count} --seed {seed} takes the same people again\n"));
            }
            let mut indices = fastrand::Rng::with_seed(seed).choose_multiple(0..list.len(), count as usize);
            indices.sort_unstable();
            return Ok(Selection::Some(indices));
        }
        if all || !self.is_any() {
            loaded.select(self.row.as_ref())
        } else {
            Ok(Selection::Some((0..list.len().min(SHOWN)).collect()))
        }
    }
}

/// Two different rows.
fn two_rows(text: &str) -> Result<(u64, u64), String> {
    let rows =
        text.split_once(',').and_then(|(one, other)| Some((one.trim().parse().ok()?, other.trim().parse().ok()?)));
    rows.filter(|(one, other)| one != other).ok_or_else(|| "two different rows are wanted, for example 2,5".into())
}

fn compose(loaded: &Loaded, index: usize) -> Result<Message, Failure> {
    loaded.composer.compose(index).map_err(|why| Failure::new(Exit::Data, why))
}

#[allow(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
fn not_written(why: FilesError) -> Failure {
    Failure::new(Exit::CannotCreate, Diagnostic::error(Place::Nowhere, &why))
}

/// Writes messages to files; gives how many.
fn write(loaded: &Loaded, selected: &Selection, mut files: Files, screen: Screen) -> Result<usize, Failure> {
    let now = ZonedDateTime::now();
    let path = visible(&files.path().display().to_string());
    let bar = bar(selected.len(), "written", screen);
    for index in selected.iter() {
        files.write(&compose(loaded, index)?, &now).map_err(not_written)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    files.finish().map_err(not_written)?;
    screen.print(&format!("{} messages written to {path}\n", selected.len()));
    Ok(selected.len())
}
