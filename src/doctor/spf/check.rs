//! What receivers make of a domain's SPF record, and what to publish where that is not good.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Found, MOST_LOOKUPS, MOST_VOIDS, No, Says, find, mend};
use crate::{
    diagnostic::quoted,
    doctor::{
        Cause, Check,
        domain::{Sender, listed, unanswered},
        names::Names,
    },
};

const ID: &str = "spf";

/// Addresses that no mail can come from: in networks that are shared by all (RFC 6598), kept for later (RFC 1112 §4), or for what is thrown
/// away (RFC 6666). A record that lets them send names far too much.
const NOBODYS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 64, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1)),
];

/// How to see what receivers make of it.
const SEE: &str = "send yourself one with apiece send … --test, and look for spf=pass in its Authentication-Results";

/// A record that lets the account's server send, as far as its name tells.
fn suggestion(host: Option<&str>) -> (String, Option<&'static str>) {
    let host = host.unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    // As the providers say themselves: support.google.com/a/answer/10684623, learn.microsoft.com/defender-office-365 (2026).
    if host.ends_with("office365.com") || host.ends_with(".outlook.com") {
        return ("v=spf1 include:spf.protection.outlook.com ~all".into(), None);
    }
    if host.ends_with(".gmail.com") || host.ends_with(".google.com") {
        return ("v=spf1 include:_spf.google.com ~all".into(), None);
    }
    let asks =
        "your provider says what stands for its servers; a:… is right where mail leaves from that machine itself";
    if host.parse::<IpAddr>().is_err() && host.contains('.') {
        return (format!("v=spf1 a:{host} ~all"), Some(asks));
    }
    ("v=spf1 mx ~all".into(), Some(asks))
}

/// The record, and whether it covers the account's server.
pub(in crate::doctor) async fn check(names: &Names, domain: &str, sender: &Sender<'_>) -> [Check; 2] {
    let what = format!("SPF of {domain}");
    let server = |since: &str| Check::skipped("spf-server", "SPF and the server", since);
    let found = match find(names, domain).await {
        Ok(found) => found,
        Err(No::Record) => {
            let (record, asks) = suggestion(sender.host);
            let check = Check::warning(ID, what, "there is no record, so that no server is known to send for it")
                .publish(domain, &record)
                .perhaps(asks);
            return [check, server("there is no SPF record")];
        }
        Err(No::Single(all)) => {
            let finding =
                format!("there are {} records, and receivers take that for a mistake and heed none", all.len());
            let check = Check::failure(ID, what, Cause::Configuration, finding)
                .to_do(format!("make one of them: {domain}. TXT \"{}\"", mend::merged(&all)));
            return [check, server("there is no single SPF record")];
        }
        Err(No::Answer(why)) => return [unanswered(ID, &what, &why), server("the SPF record is not known")],
    };
    if let Some(check) = faults(&what, domain, &found, sender.host) {
        let is_known = if found.wrong.is_empty() { "it must be mended first" } else { "the SPF record is wrong" };
        return [check, server(is_known)];
    }
    if !found.unanswered.is_empty() {
        let check =
            unanswered(ID, &what, &format!("it is {}, and {}", shown(&found.text), found.unanswered.join("; ")));
        return [check, covers(&found, sender)];
    }
    [remarks(what, domain, &found), covers(&found, sender)]
}

/// What makes receivers refuse it, or let everybody send.
fn faults(what: &str, domain: &str, found: &Found, host: Option<&str>) -> Option<Check> {
    let mut problems: Vec<String> = found.wrong.iter().map(|wrong| wrong.why.clone()).collect();
    let mut help = Vec::new();
    let publish = |record: &str| format!("{domain}. TXT \"{record}\"");
    if !problems.is_empty() {
        problems.extend(found.unanswered.iter().cloned());
        let words: Vec<&str> = found.wrong.iter().filter_map(|wrong| wrong.word.as_deref()).collect();
        help.push(match words.as_slice() {
            [] => format!("write it anew: {}", publish(&suggestion(host).0)),
            words => {
                let mut named: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                named.dedup();
                let record = mend::mended(&found.text, words);
                let them = if named.len() == 1 { "it" } else { "them" };
                format!("put {} right, or take {them} out: {}", named.join(" and "), publish(&record))
            }
        });
    }
    if found.lookups > MOST_LOOKUPS {
        problems.push(format!("it leads to {} look-ups, and receivers stop at {MOST_LOOKUPS}", found.lookups));
        help.push("take out what is no longer used, or write ip4: and ip6: in place of include:, a and mx".into());
    }
    if found.voids.len() > MOST_VOIDS {
        problems
            .push(format!("{} of its look-ups find nothing, and receivers stop at {MOST_VOIDS}", found.voids.len()));
        help.push(format!("take out the names that are not there any more: {}", found.voids.join(", ")));
    }
    if found.tree.end() == Some(Says::Pass) {
        problems.push("it ends in +all, so that anybody in the world may send as this domain".into());
        let own = mend::closed(&found.text, &[]);
        let leads: Vec<&str> = super::words(&found.text).filter(|word| mend::redirect_of(word).is_some()).collect();
        help.push(match leads.as_slice() {
            // What it leads to lets everybody send.
            [_, ..] if mend::ends_open(&found.text) => {
                let record = mend::closed(&found.text, &leads);
                format!("end it in ~all or -all, with your own servers in front: {}", publish(&record))
            }
            _ if mend::names_somebody(&own) => format!("end it in ~all or -all: {}", publish(&own)),
            _ => format!("end it in ~all or -all, with your own servers in front: {}", publish(&suggestion(host).0)),
        });
    }
    let is_pass = |address: &IpAddr| found.tree.about(*address) == Some(Says::Pass);
    if found.tree.end() != Some(Says::Pass) && NOBODYS.iter().any(is_pass) {
        problems.push("it lets addresses send that nobody can have, and so perhaps the whole world".into());
        help.push("name the networks of your own servers alone".into());
    }
    if problems.is_empty() {
        return None;
    }
    let finding = format!("{}; it is {}", problems.join("; "), shown(&found.text));
    Some(help.into_iter().fold(Check::failure(ID, what, Cause::Configuration, finding), Check::to_do))
}

/// What can be better in a record that receivers heed.
fn remarks(what: String, domain: &str, found: &Found) -> Check {
    let mut remarks = Vec::new();
    let mut help = Vec::new();
    let seen = shown(&found.text);
    let is_open = !matches!(found.tree.end(), Some(Says::Fail | Says::SoftFail));
    if is_open {
        remarks.push("it says nothing about everybody else".into());
        help.push(format!("end it in ~all or -all: {domain}. TXT \"{}\"", mend::closed(&found.text, &[])));
    }
    if let Some((at, word)) = found.ptr.first() {
        // RFC 7208 §5.5
        let place = if at == domain { String::new() } else { format!(" (in the record of {at})") };
        remarks.push(format!(
            "it uses ptr{place}, which the standard advises against: it is slow, and some receivers pass over it"
        ));
        let record = mend::mended(&found.text, &[word]);
        help.push(format!(
            "name the servers in place of {} by ip4:, ip6:, a: or mx: {domain}. TXT \"{record}\"",
            quoted(word)
        ));
    }
    let behind = mend::behind(&found.text);
    if !behind.is_empty() {
        remarks.push(format!("what stands behind its end counts for nothing: {}", quoted(&behind.join(" "))));
        let record = mend::mended(&found.text, &[]);
        help.push(format!("take it out, or have it in front: {domain}. TXT \"{record}\""));
    }
    let lookups = format!("{} of {MOST_LOOKUPS} look-ups", found.lookups);
    if remarks.is_empty() {
        return Check::ok(ID, what, format!("{seen}, {lookups}"));
    }
    let check = Check::warning(ID, what, format!("{}; it is {seen}, {lookups}", remarks.join("; ")));
    let check = help.into_iter().fold(check, Check::to_do);
    if is_open { check } else { check.counts() }
}

/// Whole, as long as it can be shown at all.
fn shown(text: &str) -> String {
    if text.len() <= 255 { format!("\"{text}\"") } else { quoted(text) }
}

/// A hint alone: from which address mail leaves, only the provider knows.
fn covers(found: &Found, sender: &Sender<'_>) -> Check {
    let (id, what) = ("spf-server", "SPF and the server");
    let host = sender.host.unwrap_or("the server");
    if sender.servers.is_empty() {
        return Check::skipped(id, what, "the server's addresses are not known");
    }
    let about: Vec<_> = sender.servers.iter().map(|server| (server, found.tree.about(*server))).collect();
    let only = "only the provider knows from which addresses mail leaves";
    if about.iter().all(|(_, says)| *says == Some(Says::Pass)) {
        return Check::ok(id, what, format!("the addresses of {host} may send for the domain; {only}"));
    }
    if about.iter().any(|(_, says)| says.is_none()) {
        let check = Check::note(id, what, format!("whether it names {host} cannot be told from here; {only}"));
        return check.to_do(SEE);
    }
    let not: Vec<String> =
        about.iter().filter(|(_, says)| *says != Some(Says::Pass)).map(|(server, _)| server.to_string()).collect();
    Check::note(id, what, format!("{} of {host} is not in the record; {only}", listed(&not))).to_do(SEE)
}
