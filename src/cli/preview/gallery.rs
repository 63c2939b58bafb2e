//! `apiece preview --gallery` and `--gallery-file`

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::json;

use crate::{
    cli::{
        Exit, Failure, Screen,
        load::Loaded,
        record::{RecordArgs, failed, who},
        signals::Signals,
    },
    delivery::Signal,
    diagnostic::{Diagnostic, Place, counted, visible},
    outbox::Deed,
    preview::gallery::{Facts, Gallery, Server},
    recipients::Selection,
};

/// So long a page may still be made after the end.
const LEFT_ALONE: Duration = Duration::from_millis(200);

/// Messages as pages.
#[derive(Debug, Args)]
pub(super) struct GalleryArgs {
    /// Show all messages as pages in your browser, on this machine alone, until Ctrl-C
    #[arg(long, conflicts_with_all = ["which", "files"])]
    gallery: bool,
    /// The port of the gallery's pages, for a link that does not change but for its token [default: any]
    #[arg(long, value_name = "N", requires = "gallery", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Write some messages into one page, to be handed round; without --row or --to one for each way that {{#if}} and
    /// {{#unless}} can go, the first and the last few, 20 at most
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gallery", "files", "branches", "compare"])]
    gallery_file: Option<PathBuf>,
}

impl GalleryArgs {
    /// Whether pages are wanted at all.
    pub(super) fn is_wanted(&self) -> bool {
        self.gallery || self.gallery_file.is_some()
    }

    /// Shows a campaign, or writes some of its messages, or a sample of them, into a file.
    pub(super) fn run(
        &self,
        loaded: Loaded,
        selected: Option<&Selection>,
        record: &RecordArgs,
        screen: Screen,
    ) -> Result<Exit, Failure> {
        let origin = loaded.origin.as_ref().map(|origin| origin.id.clone());
        let facts = Facts {
            name: loaded.campaign.name.clone(),
            id: origin.clone(),
            digest: loaded.origin.as_ref().and_then(|origin| origin.digest).map(|digest| digest.to_string()),
        };
        let gallery = Gallery::new(facts, loaded.composer, loaded.guard);
        let (exit, how, messages) = match &self.gallery_file {
            Some(file) => {
                let shown = visible(&file.display().to_string());
                let count = gallery.write(selected, file, &ZonedDateTime::now()).map_err(|why| {
                    Failure::new(Exit::CannotCreate, Diagnostic::error(Place::File(file.clone()), &why))
                })?;
                screen.print(&format!("{} written to {shown}, which holds people's data\n", counted(count, "message")));
                (Exit::Ok, "files", count)
            }
            None => {
                let gallery = Arc::new(gallery);
                let exit = serve(&gallery, self.port, screen)?;
                (exit, "gallery", gallery.seen())
            }
        };
        if let Some(id) = origin {
            let details = json!({ "how": how, "messages": messages });
            let deed = Deed { who: &who(), what: "previewed", details: &details };
            record.open()?.log(&id, deed, Timestamp::now()).map_err(failed)?;
        }
        Ok(exit)
    }
}

/// Shows it until a signal comes.
fn serve(gallery: &Arc<Gallery>, port: Option<u16>, screen: Screen) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failure::because(Exit::Software, "gallery.runtime", why.to_string(), None))?;
    let signal = runtime.block_on(async {
        let server = Server::open(port).await;
        let server = server.map_err(|why| Failure::new(Exit::Unavailable, Diagnostic::error(Place::Nowhere, &why)))?;
        let mut signals = Signals::new();
        Screen::print_always(&format!("{}\n", server.link()));
        screen.note(
            "Open this link in a browser on this machine. It works once: whoever follows it first sees everybody's \
             messages.\nCtrl-C closes the gallery.\n",
        );
        tokio::select! {
            signal = signals.next() => Ok(signal),
            never = server.run(Arc::clone(gallery)) => match never {},
        }
    });
    runtime.shutdown_timeout(LEFT_ALONE);
    // Ctrl-C is how it is meant to end.
    Ok(if signal? == Signal::Interrupt { Exit::Ok } else { Exit::Terminated })
}
