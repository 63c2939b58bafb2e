//! What a certificate says: whose it is, who vouches for it, and for how long. Whether it is to be trusted is said by TLS alone.

use jiff::{SignedDuration, Timestamp};
use rustls::{CertificateError, pki_types::CertificateDer};
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

use super::{Cause, Check, shown};
use crate::{delivery::Probe, diagnostic::counted, outbox::day};

/// A certificate that ends in less time than this is to be renewed.
const SOON: i64 = 14;

/// So many names of a certificate are shown.
const SHOWN_NAMES: usize = 5;

/// What one says.
struct Said {
    subject: String,
    names: Vec<String>,
    issuer: String,
    is_self_signed: bool,
    from: Timestamp,
    until: Timestamp,
}

impl Said {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = Certificate::from_der(certificate).ok()?.tbs_certificate;
        let time = |time: x509_cert::time::Time| {
            Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok()
        };
        let names = match parsed.get::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0.iter().filter_map(alternative).collect(),
            _ => Vec::new(),
        };
        Some(Self {
            subject: called(&parsed.subject),
            names,
            issuer: called(&parsed.issuer),
            is_self_signed: parsed.subject == parsed.issuer,
            from: time(parsed.validity.not_before)?,
            until: time(parsed.validity.not_after)?,
        })
    }

    fn names(&self) -> String {
        let mut names: Vec<String> = self.names.iter().take(SHOWN_NAMES).cloned().collect();
        if self.names.len() > SHOWN_NAMES {
            names.push(format!("and {} more", self.names.len() - SHOWN_NAMES));
        }
        if names.is_empty() { "no name at all".into() } else { shown(&names.join(", ")) }
    }
}

fn alternative(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(octets) => match octets.as_bytes() {
            bytes @ [_, _, _, _] => Some(std::net::Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
            bytes => Some(std::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        },
        _ => None,
    }
}

/// Such as `CN=R11,O=Let's Encrypt,C=US`.
fn called(name: &Name) -> String {
    let name = name.to_string();
    if name.is_empty() { "nobody".into() } else { name }
}

/// The certificates that a server showed.
pub(super) fn check(probe: &Probe, host: &str, now: Timestamp) -> Check {
    let (id, what) = ("certificate", "certificate");
    let Some(own) = probe.chain.first() else {
        return Check::skipped(id, what, "the server showed none");
    };
    let Some(said) = Said::of(own) else {
        return Check::failure(id, what, Cause::Insecure, "it cannot be read")
            .to_do("whoever runs the server has to put another one there");
    };
    let day_of = |time| day(time).split(' ').next().unwrap_or_default().to_owned();
    let facts = format!("for {}, issued by {}, valid until {}", said.names(), said.issuer, day_of(said.until));
    if probe.encrypted.is_some() {
        let left = days(said.until.duration_since(now));
        let chain = counted(probe.chain.len(), "certificate");
        let finding = format!("trusted; {facts} ({} left), {chain} shown", counted(left, "day"));
        return if left < usize::try_from(SOON).unwrap_or_default() {
            Check::warning(id, what, finding)
                .to_do("whoever runs the server has to renew it before then; afterwards nothing is sent")
        } else {
            Check::ok(id, what, finding)
        };
    }
    let mut wrong = Vec::new();
    let mut help = Vec::new();
    if now > said.until {
        wrong.push(format!("it expired {} ago", counted(days(now.duration_since(said.until)), "day")));
        help.push("whoever runs the server has to renew it; look at this machine's clock, too".to_owned());
    }
    if now < said.from {
        wrong.push(format!("it is not valid before {}", day(said.from)));
        help.push("look at this machine's clock".to_owned());
    }
    if !probe.is_for_host {
        wrong.push(format!("it is not for {host}"));
        help.push(match said.names.iter().find(|name| !name.contains('*')) {
            Some(name) => format!("if that is the same server, write host = \"{}\"; else look at host", shown(name)),
            None => "look at host".into(),
        });
    }
    wrong.extend(unknown(probe.distrusted.as_ref(), &said, &mut help));
    if wrong.is_empty() {
        wrong.extend(probe.distrusted.as_ref().map(|why| format!("TLS does not take it ({why})")));
    }
    if wrong.is_empty() {
        // It was trusted, and something else went wrong.
        return Check::note(id, what, format!("shown, and not refused: {facts}"));
    }
    help.push("nothing is sent over such a connection, and there is no switch to go on without".to_owned());
    let finding = format!("refused: {}; the one shown is {}, {facts}", wrong.join(", and "), said.subject);
    help.iter().fold(Check::failure(id, what, Cause::Insecure, finding), Check::to_do)
}

/// That nobody whom this machine trusts vouches for it.
fn unknown(why: Option<&CertificateError>, said: &Said, help: &mut Vec<String>) -> Option<String> {
    let wrong = match why? {
        CertificateError::UnknownIssuer | CertificateError::Other(_) if said.is_self_signed => {
            "it is self-signed, so that nobody else vouches for it"
        }
        CertificateError::UnknownIssuer => "nobody whom this machine trusts has issued it",
        CertificateError::BadSignature => "the authority that it names is trusted and has not signed it",
        _ => return None,
    };
    help.push(
        "if it is a server of your own, name its certification authority with ca_file; else somebody may be in between"
            .to_owned(),
    );
    Some(wrong.to_owned())
}

/// Whole days.
fn days(time: SignedDuration) -> usize {
    usize::try_from(time.as_secs() / 86_400).unwrap_or_default()
}
