//! A document as one HTML file that loads nothing, and prints on A4 with numbered pages.

use std::io;

use pulldown_cmark_escape::{FmtWriter, escape_html};

use super::{
    Evidence, Unwritten, Wanted,
    clock::Clock,
    document::{Block, Document, Table},
};
use crate::{
    diagnostic::visible,
    outbox::{Store, Traced},
    recipients::Rows,
};

const STYLE: &str = include_str!("../../../templates/report.css");

/// The columns of the messages.
const HEAD: [&str; 6] = ["Row", "Person", "Outcome", "Begun (UTC)", "Server", "What it said, and Message-ID"];

/// A table with no more rows is short.
const SHORT: usize = 8;

/// Text with nothing in it that HTML, a terminal or a reader's eye would take for something else.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = escape_html(FmtWriter(&mut safe), &visible(text));
    safe
}

pub(super) fn write(
    document: &Document,
    evidence: &Evidence,
    store: &Store,
    wanted: Wanted,
    out: &mut dyn io::Write,
) -> Result<(), Unwritten> {
    let (title, foot) = (escaped(&document.title), escaped(&document.foot));
    // An id has letters, digits and hyphens alone, and a time no quotation mark either.
    let in_style: String = document.foot.chars().filter(|c| c.is_ascii_alphanumeric() || " ,:-".contains(*c)).collect();
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<style>\n{STYLE}\
         @page {{ size: A4; margin: 18mm 17mm 20mm; @bottom-left {{ content: \"{in_style}\"; font: 8pt sans-serif; color: #5a6675; }} \
         @bottom-right {{ content: counter(page) \" / \" counter(pages); font: 8pt sans-serif; color: #5a6675; }} }}\n\
         </style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p>{}</p>\n</header>\n<main>\n",
        escaped(&document.subtitle)
    )?;
    if !document.alarms.is_empty() {
        let alarms =
            document.alarms.iter().map(|alarm| format!("<p>{}</p>\n", escaped(alarm))).collect::<Vec<_>>().concat();
        write!(out, "<div class=\"alarm\" role=\"alert\">\n{alarms}</div>\n")?;
    }
    for (nth, section) in document.sections.iter().enumerate() {
        write!(out, "<section aria-labelledby=\"s{nth}\">\n<h2 id=\"s{nth}\">{}</h2>\n", escaped(&section.heading))?;
        for block in &section.blocks {
            match block {
                Block::Text(text) => writeln!(out, "<p>{}</p>", escaped(text))?,
                Block::Facts(all) => facts(out, all)?,
                Block::Table(of) => table(out, of)?,
                Block::Asked(question) => {
                    writeln!(out, "<div class=\"asked\"><b>To be answered by a person</b>{}</div>", escaped(question))?;
                }
                Block::Messages => {
                    begin_messages(out)?;
                    evidence.listed(store, wanted, |traced| message(out, traced))?;
                    out.write_all(b"</tbody>\n</table>\n</div>\n")?;
                }
            }
        }
        out.write_all(b"</section>\n")?;
    }
    write!(out, "</main>\n<footer>{foot}, with apiece {}.</footer>\n</body>\n</html>\n", env!("CARGO_PKG_VERSION"))?;
    out.flush()?;
    Ok(())
}

fn facts(out: &mut dyn io::Write, facts: &[(&str, Vec<String>)]) -> io::Result<()> {
    out.write_all(b"<dl>\n")?;
    for (name, lines) in facts {
        let lines = lines.iter().map(|line| format!("<span>{}</span>", escaped(line))).collect::<Vec<_>>().concat();
        writeln!(out, "<dt>{}</dt><dd>{lines}</dd>", escaped(name))?;
    }
    out.write_all(b"</dl>\n")
}

fn table(out: &mut dyn io::Write, table: &Table) -> io::Result<()> {
    let head =
        table.head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escaped(cell))).collect::<Vec<_>>().concat();
    // It is not broken over two pages.
    let class = if table.rows.len() <= SHORT { " class=\"short\"" } else { "" };
    write!(out, "<div class=\"wide\">\n<table{class}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n")?;
    for (nth, row) in table.rows.iter().enumerate() {
        let is_sum = table.has_sum && nth + 1 == table.rows.len();
        // What goes on in the next row has no line below it.
        let goes_on = table.rows.get(nth + 1).is_some_and(|next| next.first().is_some_and(String::is_empty));
        let class = if goes_on { " class=\"more\"" } else { "" };
        let cells = row.iter().map(|cell| format!("<td{class}>{}</td>", escaped(cell))).collect::<Vec<_>>().concat();
        writeln!(out, "<tr{}>{cells}</tr>", if is_sum { " class=\"sum\"" } else { "" })?;
    }
    out.write_all(b"</tbody>\n</table>\n</div>\n")
}

fn begin_messages(out: &mut dyn io::Write) -> io::Result<()> {
    let head =
        HEAD.iter().enumerate().map(|(nth, name)| format!("<th scope=\"col\" class=\"c{}\">{name}</th>", nth + 1));
    write!(
        out,
        "<div class=\"wide\">\n<table class=\"messages\">\n<thead><tr>{}</tr></thead>\n<tbody>\n",
        head.collect::<String>()
    )
}

/// A row for each transaction, or one if there was none.
fn message(out: &mut dyn io::Write, traced: &Traced) -> io::Result<()> {
    let rows = Rows::of(traced.rows.iter().copied());
    let address = traced.address.as_ref().map_or(String::new(), |address| format!("<br>{}", escaped(address)));
    let outcome = traced.outcome;
    let who = format!("<td>{rows}</td><td><span class=\"name\">{}</span>{address}</td>", traced.pseudonym);
    if traced.transactions.is_empty() {
        return writeln!(out, "<tr>{who}<td>{outcome}</td><td></td><td></td><td></td></tr>");
    }
    for (nth, tried) in traced.transactions.iter().enumerate() {
        let who = if nth == 0 { &who } else { "<td></td><td></td>" };
        let class = if nth + 1 < traced.transactions.len() { " class=\"more\"" } else { "" };
        // What a person decided follows from no transaction.
        let decided =
            if class.is_empty() && tried.outcome != outcome { format!("; now {outcome}") } else { String::new() };
        let who = who.replace("<td>", &format!("<td{class}>"));
        writeln!(
            out,
            "<tr>{who}<td{class}>{}{decided}</td><td{class}>{}</td><td{class}>{}<br>{}</td><td{class}>\
             <span class=\"reply\">{}</span> <span class=\"id\">{}</span></td></tr>",
            tried.outcome,
            tried.began.map_or_else(String::new, |time| Clock::utc(time).replace(" UTC", "")),
            escaped(&tried.server),
            escaped(tried.tls.as_deref().unwrap_or("no TLS")),
            escaped(&tried.said),
            escaped(&tried.message_id),
        )?;
    }
    Ok(())
}
