//! One message for each way that the branches of a template can go.

use super::compose;
use crate::{
    cli::{Failure, load::Loaded, pager::Pages},
    diagnostic::{counted, visible},
    preview::{self, Ways},
};

/// So many combinations of branches are shown.
const SHOWN: usize = 50;

/// Shows the first message of each combination of branches that the list takes; gives how many.
pub(super) fn show(loaded: &Loaded, pages: &mut Pages) -> Result<usize, Failure> {
    let (list, template) = (loaded.list(), loaded.composer.template());
    let ways = Ways::of(template, list);
    let mut shown = 0;
    for way in ways.all().iter().take(SHOWN) {
        shown += 1;
        let (all, people) = (counted(ways.all().len(), "way"), counted(list.len(), "recipient"));
        let mut text = format!("══ {shown} of {all}: {} of {people} ══\n", way.count);
        for (branch, is_shown) in way.in_words(template) {
            text.push_str(&format!("{branch}: {}\n", if is_shown { "shown" } else { "not shown" }));
        }
        let message = compose(loaded, way.first)?;
        if !pages.print(&format!("{}\n{}\n", visible(&text), preview::as_received(&message))) {
            return Ok(shown);
        }
    }
    if ways.all().len() > SHOWN {
        pages.print(&format!("{SHOWN} of {} ways; --row N shows the message of anybody\n", ways.all().len()));
    }
    Ok(shown)
}
