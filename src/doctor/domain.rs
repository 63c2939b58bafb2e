//! The sender's domain: whether it takes mail, and what it says in the DNS about mail from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Cause, Check, Checkup, dkim, dmarc,
    names::{Names, Nothing},
    spf::{self, MOST_LOOKUPS, MOST_VOIDS, No, Says},
};
use crate::{address::Address, campaign::Dkim, diagnostic::quoted, message::Signer};

/// Who sends, and how.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'s> {
    /// The address in From, which is MAIL FROM, too.
    pub from: &'s Address,
    /// How the account signs.
    pub dkim: Option<&'s Dkim>,
    /// Its key, where it can be read.
    pub signer: Option<&'s Signer>,
    /// The account's server, as it is called.
    pub host: Option<&'s str>,
    /// Its addresses.
    pub servers: &'s [IpAddr],
}

/// Addresses that no mail can come from: in networks that are shared by all (RFC 6598), kept for later (RFC 1112 §4), or for what is thrown
/// away (RFC 6666). A record that lets them send names far too much.
const NOBODYS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 64, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1)),
];

/// How to see what receivers make of it.
const SEE: &str = "send yourself one with apiece send … --test, and look for spf=pass in its Authentication-Results";

/// All checks of a domain, with what they are about.
const CHECKS: [(&str, &str); 6] = [
    ("mx", "MX"),
    ("spf", "SPF"),
    ("spf-server", "SPF and the server"),
    ("dkim", "DKIM"),
    ("dmarc", "DMARC"),
    ("alignment", "alignment"),
];

/// Says why a domain is not looked at.
pub fn skip_domain(checkup: &mut Checkup<'_>, since: &str) {
    skip(checkup, 0, since);
}

/// Skips all checks but so many.
fn skip(checkup: &mut Checkup<'_>, done: usize, since: &str) {
    for (id, what) in CHECKS.into_iter().skip(done) {
        checkup.add(Check::skipped(id, what, since));
    }
}

/// Looks at the domain of the address in From.
pub async fn look_at_domain(checkup: &mut Checkup<'_>, names: &Names, sender: Sender<'_>) {
    let domain = sender.from.domain().to_ascii_lowercase();
    match mail(names, &domain).await {
        Ok(check) => checkup.add(check),
        Err((check, since)) => {
            checkup.add(check);
            return skip(checkup, 1, since);
        }
    }
    let [record, server] = spf(names, &domain, &sender).await;
    checkup.add(record);
    checkup.add(server);
    let unfit = sender.signer.and_then(|signer| signer.check_sender(sender.from).err());
    let dkim = if unfit.is_none() { sender.dkim } else { None };
    checkup.add(match &unfit {
        None => dkim::check(names, sender.dkim, sender.signer).await,
        Some(why) => {
            let help = crate::diagnostic::Complaint::help(why);
            Check::failure("dkim", "DKIM", Cause::Data, why.to_string()).perhaps(help)
        }
    });
    let [policy, alignment] = dmarc::check(names, &domain, dkim).await;
    checkup.add(policy);
    checkup.add(if unfit.is_none() {
        alignment
    } else {
        Check::skipped("alignment", "alignment", "the account signs for another domain")
    });
}

/// Whether answers and bounces find somebody; with an error nothing else can be known either.
async fn mail(names: &Names, domain: &str) -> Result<Check, (Check, &'static str)> {
    let (id, what) = ("mx", format!("MX of {domain}"));
    let nobody = |finding: &str| {
        Check::failure(id, what.clone(), Cause::Configuration, finding)
            .to_do("send from a domain that takes mail: receivers refuse senders whom nobody can answer")
    };
    let silent = |why: &str| (unanswered(id, &what, why), "the DNS does not answer about the domain");
    match names.exchangers(domain).await {
        Ok(all) if all.iter().any(|name| name == ".") => {
            Ok(Check::warning(id, what, "it takes no mail (its MX is .), so that answers and bounces get lost")
                .to_do("send from a domain that takes mail: some receivers refuse those that do not"))
        }
        Ok(all) => Ok(Check::ok(id, what, format!("it takes mail, at {}", listed(&all)))),
        Err(Nothing::NoName) => Err((nobody("there is no such domain"), "there is no such domain")),
        Err(Nothing::NoRecord) => match names.addresses(domain).await {
            Ok(_) => Ok(Check::ok(id, what, "it has no MX, and an address at which it can take mail")),
            Err(Nothing::Unanswered(why)) => Err(silent(&why)),
            Err(_) => Ok(nobody("it has neither MX nor address, so that answers and bounces get lost")),
        },
        Err(Nothing::Unanswered(why)) => Err(silent(&why)),
    }
}

fn unanswered(id: &'static str, what: &str, why: &str) -> Check {
    Check::warning(id, what, format!("it could not be looked up: {why}"))
        .to_do("look at the DNS; --resolver ADDRESS asks another server")
}

/// The first three.
fn listed(all: &[String]) -> String {
    let shown: Vec<&str> = all.iter().take(3).map(String::as_str).collect();
    let more = if all.len() > shown.len() { format!(" and {} more", all.len() - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

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

async fn spf(names: &Names, domain: &str, sender: &Sender<'_>) -> [Check; 2] {
    let (id, what) = ("spf", format!("SPF of {domain}"));
    let (record, asks) = suggestion(sender.host);
    let server = |since: &str| Check::skipped("spf-server", "SPF and the server", since);
    let wrong = |finding: String| Check::failure(id, what.clone(), Cause::Configuration, finding);
    let found = match spf::find(names, domain).await {
        Ok(found) => found,
        Err(No::Record) => {
            let check = Check::warning(id, what, "there is no record, so that no server is known to send for it")
                .publish(domain, &record)
                .perhaps(asks);
            return [check, server("there is no SPF record")];
        }
        Err(No::Single(count)) => {
            let check =
                wrong(format!("there are {count} records, and receivers take that for a mistake and heed none"))
                    .to_do(format!("make one of them: {domain}. TXT \"v=spf1 … ~all\" with the terms of all"));
            return [check, server("there is no single SPF record")];
        }
        Err(No::Answer(why)) => return [unanswered(id, &what, &why), server("the SPF record is not known")],
    };
    let mut problems = found.wrong.clone();
    let mut help = Vec::new();
    if found.lookups > MOST_LOOKUPS {
        problems.push(format!("it leads to {} look-ups, and receivers stop at {MOST_LOOKUPS}", found.lookups));
        help.push("take out what is no longer used, or write ip4: and ip6: in place of include:, a and mx");
    }
    if found.voids > MOST_VOIDS {
        problems.push(format!("{} of its look-ups find nothing, and receivers stop at {MOST_VOIDS}", found.voids));
        help.push("take out the names that are not there any more");
    }
    if found.end() == Some(Says::Pass) {
        problems.push("it ends in +all, so that anybody in the world may send as this domain".into());
        help.push("end it in ~all or -all");
    }
    if found.end() != Some(Says::Pass) && NOBODYS.iter().any(|address| found.about(*address) == Some(Says::Pass)) {
        problems.push("it lets addresses send that nobody can have, and so perhaps the whole world".into());
        help.push("name the networks of your own servers alone");
    }
    let seen = quoted_record(&found.text);
    if !problems.is_empty() {
        let check = wrong(format!("{}; it is {seen}", problems.join("; ")));
        let check = if help.is_empty() { check.to_do(format!("mend it: {domain}. TXT")) } else { check };
        let is_known = if found.wrong.is_empty() { "it must be mended first" } else { "the SPF record is wrong" };
        return [help.into_iter().fold(check, Check::to_do), server(is_known)];
    }
    let lookups = format!("{} of {MOST_LOOKUPS} look-ups", found.lookups);
    let check = match found.end() {
        Some(Says::Fail | Says::SoftFail) => Check::ok(id, what, format!("{seen}, {lookups}")),
        _ => Check::warning(id, what, format!("it says nothing about everybody else; it is {seen}, {lookups}"))
            .to_do(format!("end it in ~all or -all: {domain}. TXT")),
    };
    [check, covers(&found, sender)]
}

/// Whole, as long as it can be shown at all.
fn quoted_record(text: &str) -> String {
    if text.len() <= 255 { format!("\"{text}\"") } else { quoted(text) }
}

/// A hint alone: from which address mail leaves, only the provider knows.
fn covers(found: &spf::Found, sender: &Sender<'_>) -> Check {
    let (id, what) = ("spf-server", "SPF and the server");
    let host = sender.host.unwrap_or("the server");
    if sender.servers.is_empty() {
        return Check::skipped(id, what, "the server's addresses are not known");
    }
    let about: Vec<_> = sender.servers.iter().map(|server| (server, found.about(*server))).collect();
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
