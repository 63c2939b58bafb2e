//! One message for each way that the branches of a template can go.

use std::collections::HashMap;

use super::compose;
use crate::{
    cli::{Exit, Failure, load::Loaded, pager::Pages},
    diagnostic::{counted, visible},
    preview,
    template::Answers,
};

/// So many combinations of branches are shown.
const SHOWN: usize = 50;

/// Shows the first message of each combination of branches that the list takes; gives how many.
pub(super) fn show(loaded: &Loaded, pages: &mut Pages) -> Result<usize, Failure> {
    let (list, template) = (loaded.list(), loaded.composer.template());
    let mut ways: Vec<(Answers, usize, usize)> = Vec::new();
    let mut places: HashMap<Answers, usize> = HashMap::new();
    for recipient in list.iter() {
        let answers = template.answers(recipient).map_err(|why| Failure::new(Exit::Data, why))?;
        let place = *places.entry(answers.clone()).or_insert(ways.len());
        match ways.get_mut(place) {
            Some((_, count, _)) => *count += 1,
            None => ways.push((answers, 1, recipient.index())),
        }
    }
    let mut shown = 0;
    for (answers, count, first) in ways.iter().take(SHOWN) {
        shown += 1;
        let (way, people) = (counted(ways.len(), "way"), counted(list.len(), "recipient"));
        let mut text = format!("══ {shown} of {way}: {count} of {people} ══\n");
        for (branch, answer) in template.branches().iter().zip(answers) {
            if let Some(answer) = answer {
                text.push_str(&format!("{branch}: {}\n", if *answer { "shown" } else { "not shown" }));
            }
        }
        let message = compose(loaded, *first)?;
        if !pages.print(&format!("{}\n{}\n", visible(&text), preview::as_received(&message))) {
            return Ok(shown);
        }
    }
    if ways.len() > SHOWN {
        pages.print(&format!("{SHOWN} of {} ways; --row N shows the message of anybody\n", ways.len()));
    }
    Ok(shown)
}
