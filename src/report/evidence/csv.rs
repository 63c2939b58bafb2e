//! A line for each message.

use std::io;

use super::{Evidence, Unwritten, Wanted};
use crate::{
    diagnostic::visible,
    outbox::{Names, Store},
};

pub(super) fn write(
    evidence: &Evidence,
    store: &Store,
    wanted: Wanted,
    out: &mut dyn io::Write,
) -> Result<(), Unwritten> {
    let mut writer = ::csv::Writer::from_writer(out);
    let is_named = wanted.names == Names::Shown;
    let mut head = vec![
        "row",
        "person",
        "state",
        "time",
        "server",
        "tls",
        "code",
        "enhanced",
        "reply",
        "message_id",
        "transactions",
    ];
    head.extend(is_named.then_some("address"));
    let mut written = writer.write_record(head);
    store.trace(&evidence.campaign, wanted.names, |traced| {
        let last = traced.transactions.last();
        let text = |text: Option<&str>| text.map_or_else(String::new, harmless);
        let time = last.and_then(|last| last.ended.or(last.began));
        let rows: Vec<String> = traced.rows.iter().map(ToString::to_string).collect();
        let mut line = vec![
            rows.join(" "),
            traced.pseudonym.to_string(),
            traced.outcome.name().to_owned(),
            time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default(),
            text(last.map(|last| last.server.as_str())),
            text(last.and_then(|last| last.tls.as_deref())),
            last.and_then(|last| last.code).map_or_else(String::new, |code| code.to_string()),
            text(last.and_then(|last| last.enhanced.as_deref())),
            text(last.map(|last| last.said.as_str())),
            text(last.map(|last| last.message_id.as_str())),
            traced.transactions.len().to_string(),
        ];
        line.extend(is_named.then(|| text(traced.address.as_deref())));
        written = writer.write_record(line);
        written.is_ok()
    })?;
    written.map_err(io::Error::from)?;
    writer.flush()?;
    Ok(())
}

/// A cell that no spreadsheet takes for a formula: what a server says is nobody's to run.
pub(crate) fn harmless(cell: &str) -> String {
    let cell = visible(cell);
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}
