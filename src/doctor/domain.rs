//! The sender's domain: whether it takes mail, and what it says in the DNS about mail from it.

use std::net::IpAddr;

use super::{
    Cause, Check, Checkup, dkim, dmarc,
    names::{Names, Nothing},
    spf,
};
use crate::{address::Address, campaign::Dkim, message::Signer};

/// So many servers of a domain are looked at.
const MOST_EXCHANGERS: usize = 5;

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

/// Looks at the domain of the address in From: at all of it at once, so that one question without an answer holds up no other.
pub async fn look_at_domain(checkup: &mut Checkup<'_>, names: &Names, sender: Sender<'_>) {
    let domain = sender.from.domain().to_ascii_lowercase();
    let unfit = sender.signer.and_then(|signer| signer.check_sender(sender.from).err());
    let signs = if unfit.is_none() { sender.dkim } else { None };
    let key = async {
        match &unfit {
            None => dkim::check(names, sender.dkim, sender.signer).await,
            Some(why) => {
                let help = crate::diagnostic::Complaint::help(why);
                Check::failure("dkim", "DKIM", Cause::Data, why.to_string()).perhaps(help)
            }
        }
    };
    let (mail, [record, server], key, [policy, alignment]) = tokio::join!(
        mail(names, &domain),
        spf::check(names, &domain, &sender),
        key,
        dmarc::check(names, &domain, signs)
    );
    match mail {
        Ok(check) => checkup.add(check),
        Err(check) => {
            checkup.add(check);
            return skip(checkup, 1, "there is no such domain");
        }
    }
    for check in [record, server, key, policy] {
        checkup.add(check);
    }
    checkup.add(if unfit.is_none() {
        alignment
    } else {
        Check::skipped("alignment", "alignment", "the account signs for another domain")
    });
}

/// Whether answers and bounces find somebody; with an error there is no such domain.
async fn mail(names: &Names, domain: &str) -> Result<Check, Check> {
    let (id, what) = ("mx", format!("MX of {domain}"));
    let nobody = |finding: &str| {
        Check::failure(id, what.clone(), Cause::Configuration, finding)
            .to_do("send from a domain that takes mail: receivers refuse senders whom nobody can answer")
    };
    Ok(match names.exchangers(domain).await {
        Ok(all) if all.iter().any(|name| name == ".") => {
            Check::warning(id, what, "it takes no mail (its MX is .), so that answers and bounces get lost")
                .to_do("send from a domain that takes mail: some receivers refuse those that do not")
        }
        Ok(all) => {
            let mut wrong = Vec::new();
            for name in all.iter().take(MOST_EXCHANGERS) {
                match unfit(names, domain, name).await {
                    Ok(found) => wrong.extend(found),
                    // What is asked next is not answered either, and each question takes its time.
                    Err(_) => break,
                }
            }
            if wrong.is_empty() {
                return Ok(Check::ok(id, what, format!("it takes mail, at {}", listed(&all))));
            }
            let (finding, help): (Vec<String>, Vec<String>) = wrong.into_iter().unzip();
            let check = Check::warning(id, what, format!("answers and bounces may get lost: {}", finding.join("; ")));
            help.into_iter().fold(check, Check::to_do)
        }
        Err(Nothing::NoName) => return Err(nobody("there is no such domain")),
        Err(Nothing::NoRecord) => match names.addresses(domain).await {
            Ok(_) => Check::ok(id, what, "it has no MX, and an address at which it can take mail"),
            Err(Nothing::Unanswered(why)) => unanswered(id, &what, &why),
            Err(_) => nobody("it has neither MX nor address, so that answers and bounces get lost"),
        },
        Err(Nothing::Unanswered(why)) => unanswered(id, &what, &why),
    })
}

/// Why a server of an MX can take no mail from everywhere, and what to publish in its place (RFC 5321 §5.1, RFC 2181 §10.3).
async fn unfit(names: &Names, domain: &str, server: &str) -> Result<Option<(String, String)>, Nothing> {
    let publish = |name: &str| format!("publish: {domain}. MX 10 {name}.");
    let own =
        format!("publish the name of the server that takes the domain's mail, such as {domain}. MX 10 mail.{domain}.");
    let name = server.to_ascii_lowercase();
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        let help = format!("{} and mail.{domain}. {kind} {address}", publish(&format!("mail.{domain}")));
        return Ok(Some((format!("its MX names the address {address}, and has to name a host"), help)));
    }
    if name == "localhost" || name.ends_with(".localhost") || name.starts_with("localhost.") {
        return Ok(Some((format!("its MX {server} is the very machine that looks it up"), own)));
    }
    match names.alias(server).await {
        Ok(target) => {
            let finding = format!("its MX {server} is an alias (CNAME) of {target}, which no MX may name");
            return Ok(Some((finding, publish(&target))));
        }
        Err(Nothing::Unanswered(why)) => return Err(Nothing::Unanswered(why)),
        Err(_) => {}
    }
    Ok(match names.addresses(server).await {
        Ok(all) if all.iter().all(IpAddr::is_loopback) => {
            Some((format!("its MX {server} has an address that only it can reach itself ({})", all[0]), own))
        }
        Err(Nothing::NoName | Nothing::NoRecord) => {
            let help = format!("publish an address of {server}, or take that MX out");
            Some((format!("its MX {server} has no address"), help))
        }
        Err(why) => return Err(why),
        Ok(_) => None,
    })
}

/// That nobody knows.
pub(super) fn unanswered(id: &'static str, what: &str, why: &str) -> Check {
    Check::warning(id, what, format!("it could not be looked up: {why}"))
        .to_do("look at the DNS; --resolver ADDRESS asks another server")
}

/// The first three.
pub(super) fn listed(all: &[String]) -> String {
    let shown: Vec<&str> = all.iter().take(3).map(String::as_str).collect();
    let more = if all.len() > shown.len() { format!(" and {} more", all.len() - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
