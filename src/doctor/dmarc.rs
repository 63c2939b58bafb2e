//! DMARC: what receivers are to do with mail that only claims to be from a domain, and which signatures count (RFC 9989).

use super::{
    Cause, Check, Verdict,
    names::{Names, Nothing},
    tags::Tags,
};
use crate::{campaign::Dkim, diagnostic::quoted};

/// A domain's parents are asked, the nearest first, up to so many questions (RFC 9989 §4.10).
const MOST_STEPS: usize = 8;

/// So many addresses for reports are looked at.
const MOST_REPORTS: usize = 2;

/// Whether a domain has to be the same, or of the same organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alignment {
    Strict,
    Relaxed,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    p: String,
    /// For domains below
    sp: Option<String>,
    adkim: Alignment,
    /// The addresses for reports
    rua: Vec<String>,
    is_test: bool,
    /// `psd=y` or `psd=n`
    psd: Option<char>,
    /// Tags that there are no more
    old: Vec<&'static str>,
}

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Nothing,
    /// Texts that are none, of which this is one
    Other(String),
    Several(usize),
    Wrong(String),
    One(Policy),
}

impl At {
    fn policy(&self) -> Option<&Policy> {
        match self {
            Self::One(policy) => Some(policy),
            _ => None,
        }
    }
}

impl Policy {
    fn parse(record: &str) -> Result<Self, String> {
        let tags = Tags::parse(record)?;
        let action = |name: &str| match tags.get(name).map(str::to_ascii_lowercase) {
            Some(action) if matches!(action.as_str(), "none" | "quarantine" | "reject") => Ok(Some(action)),
            Some(other) => Err(format!("{name} is none, quarantine or reject, and not {}", quoted(&other))),
            None => Ok(None),
        };
        let aligned = |name: &str| match tags.get(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("r") => Ok(Alignment::Relaxed),
            Some("s") => Ok(Alignment::Strict),
            Some(other) => Err(format!("{name} is r or s, and not {}", quoted(other))),
        };
        aligned("aspf")?;
        let rua = tags.get("rua").unwrap_or_default().split(',').map(str::trim).filter(|uri| !uri.is_empty());
        let rua = rua.map(|uri| uri.split('!').next().unwrap_or(uri).to_owned()).collect::<Vec<_>>();
        if let Some(wrong) = rua.iter().find(|uri| !uri.to_ascii_lowercase().starts_with("mailto:")) {
            return Err(format!("rua wants mailto: in front of the address, and has {}", quoted(wrong)));
        }
        Ok(Self {
            p: action("p")?.ok_or("it says no policy (p=)")?,
            sp: action("sp")?,
            adkim: aligned("adkim")?,
            rua,
            is_test: tags.get("t") == Some("y"),
            psd: tags.get("psd").and_then(|psd| psd.chars().next()).map(|psd| psd.to_ascii_lowercase()),
            old: ["pct", "rf", "ri"].into_iter().filter(|tag| tags.get(tag).is_some()).collect(),
        })
    }
}

/// Whether a text is meant as such a record: its first tag says so.
fn is_record(text: &str) -> bool {
    let first = text.split(';').next().and_then(|tag| tag.split_once('='));
    first.is_some_and(|(name, value)| name.trim() == "v" && value.trim() == "DMARC1")
}

async fn at(names: &Names, domain: &str) -> Result<At, String> {
    let texts = Nothing::or_none(names.texts(&format!("_dmarc.{domain}")).await)?;
    let (mut records, mut others): (Vec<_>, Vec<_>) = texts.into_iter().partition(|text| is_record(text));
    Ok(match (records.len(), records.pop()) {
        (1, Some(only)) => Policy::parse(&only).map_or_else(At::Wrong, At::One),
        (0, _) => others.pop().map_or(At::Nothing, At::Other),
        (count, _) => At::Several(count),
    })
}

/// What stands at a domain and at its parents, the nearest first.
async fn walk(names: &Names, domain: &str) -> Result<Vec<(String, At)>, String> {
    let mut found = vec![(domain.to_owned(), at(names, domain).await?)];
    let labels: Vec<&str> = domain.split('.').collect();
    // Of a long name, the first label and then all but the last seven are left out.
    let start = if labels.len() > MOST_STEPS { labels.len() - (MOST_STEPS - 1) } else { 1 };
    for from in start..labels.len() {
        if found.last().and_then(|(_, at)| at.policy()?.psd).is_some_and(|psd| matches!(psd, 'y' | 'n')) {
            break;
        }
        let parent = labels[from..].join(".");
        let at = at(names, &parent).await?;
        found.push((parent, at));
    }
    Ok(found)
}

/// The domain that stands for the organisation (RFC 9989 §4.10.2).
fn organisation(domain: &str, found: &[(String, At)]) -> String {
    let with = |psd: char| {
        found.iter().enumerate().find(|(_, (_, at))| at.policy().is_some_and(|policy| policy.psd == Some(psd)))
    };
    if let Some((_, (own, _))) = with('n') {
        return own.clone();
    }
    if let Some((nth, (suffix, _))) = with('y')
        && nth > 0
    {
        let below = domain.strip_suffix(suffix.as_str()).unwrap_or_default().trim_end_matches('.');
        let label = below.rsplit('.').next().unwrap_or_default();
        return format!("{label}.{suffix}");
    }
    let last = found.iter().rev().find(|(_, at)| at.policy().is_some());
    last.map_or_else(|| domain.to_owned(), |(own, _)| own.clone())
}

/// The policy for a domain, and whether a signature counts for it.
pub(super) async fn check(names: &Names, domain: &str, dkim: Option<&Dkim>) -> [Check; 2] {
    let what = "DMARC";
    let align = "alignment";
    let found = match walk(names, domain).await {
        Ok(found) => found,
        Err(why) => {
            let check =
                Check::warning("dmarc", what, format!("it could not be looked up: {why}")).to_do("look at the DNS");
            return [check, Check::skipped("alignment", align, "the DMARC record is not known")];
        }
    };
    let own = &found[0].1;
    let suggestion = format!("v=DMARC1; p=none; rua=mailto:postmaster@{domain}");
    let name = format!("_dmarc.{domain}");
    let wrong = |why: String| Check::failure("dmarc", what, Cause::Configuration, why).publish(&name, &suggestion);
    let missing = |why: String| {
        Check::warning("dmarc", what, why)
            .publish(&name, &suggestion)
            .to_do("read the reports for some weeks before p=quarantine or p=reject")
    };
    let organisation = organisation(domain, &found);
    let above = found.iter().skip(1).find(|(name, at)| *name == organisation && at.policy().is_some());
    let (policy, at_name) = match (own, above) {
        (At::One(policy), _) => (policy, domain),
        (At::Several(count), _) => {
            let check = wrong(format!("there are {count} records at {name}, and receivers heed none of them"));
            return [check, alignment(names, domain, dkim, &organisation, Alignment::Relaxed).await];
        }
        (At::Wrong(why), _) => {
            let check = wrong(format!("the record at {name} is wrong: {why}"));
            return [check, alignment(names, domain, dkim, &organisation, Alignment::Relaxed).await];
        }
        (_, Some((name, At::One(policy)))) => (policy, name.as_str()),
        (At::Other(text), _) => {
            let check = wrong(format!("what stands at {name} is no DMARC record: {}", quoted(text)));
            return [check, alignment(names, domain, dkim, &organisation, Alignment::Relaxed).await];
        }
        (At::Nothing, _) => {
            let check =
                missing(format!("there is no record for {domain}, so that anybody can write as from there unnoticed"));
            return [check, alignment(names, domain, dkim, &organisation, Alignment::Relaxed).await];
        }
    };
    let mut check = well(policy, at_name, domain);
    for why in strangers(names, at_name, &policy.rua).await {
        check.verdict = Verdict::Warning;
        check = check.to_do(why);
    }
    [check, alignment(names, domain, dkim, &organisation, policy.adkim).await]
}

/// A policy that is one.
fn well(policy: &Policy, at: &str, domain: &str) -> Check {
    let action = policy.sp.as_ref().filter(|_| at != domain).unwrap_or(&policy.p);
    let place = if at == domain { String::new() } else { format!(", from the record of {at}") };
    let test = if policy.is_test { ", as a test (t=y)" } else { "" };
    let reports = match policy.rua.as_slice() {
        [] => "no reports".into(),
        all => format!("reports to {}", all.join(", ")),
    };
    let mut check = Check::ok("dmarc", "DMARC", format!("p={action}{test}, {reports}{place}"));
    if action == "none" && !policy.rua.is_empty() {
        check.verdict = Verdict::Note;
        let tag = if action == &policy.p { "p" } else { "sp" };
        check = check.to_do(format!(
            "receivers deliver what only claims to be from {domain}: once the reports show your own mail passing, {tag}=quarantine"
        ));
    }
    if policy.rua.is_empty() {
        check.verdict = Verdict::Note;
        check = check
            .to_do(format!("add rua=mailto:postmaster@{at}: without reports nobody learns who writes as from there"));
    }
    if !policy.old.is_empty() {
        check.verdict = Verdict::Note;
        check = check.to_do(format!("take {} out: newer receivers do not know it", policy.old.join(", ")));
    }
    check
}

/// Addresses for reports at other domains, which must have agreed (RFC 9990 §4).
async fn strangers(names: &Names, domain: &str, rua: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for uri in rua.iter().take(MOST_REPORTS) {
        let host = uri.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        let is_near = host == domain || host.ends_with(&format!(".{domain}")) || domain.ends_with(&format!(".{host}"));
        if is_near || !host.contains('.') {
            continue;
        }
        let name = format!("{domain}._report._dmarc.{host}");
        if let Ok(texts) = Nothing::or_none(names.texts(&name).await)
            && !texts.iter().any(|text| is_record(text))
        {
            wrong.push(format!(
                "{host} has not agreed to get reports about {domain}; it has to publish: {name}. TXT \"v=DMARC1\""
            ));
        }
    }
    wrong
}

/// Whether what passes SPF or DKIM counts for the address in From (RFC 9989 §4.4).
async fn alignment(names: &Names, from: &str, dkim: Option<&Dkim>, organisation: &str, wanted: Alignment) -> Check {
    let (id, what) = ("alignment", "alignment");
    let spf = "MAIL FROM is the address in From, so that SPF counts where the server leaves it as it is";
    let Some(dkim) = dkim else {
        return Check::ok(
            id,
            what,
            format!("{spf}; of the server's own signature, d= must be {from} or of the same organisation"),
        );
    };
    let domain = dkim.domain.as_str();
    let counts = match wanted {
        _ if domain == from => true,
        Alignment::Strict => false,
        Alignment::Relaxed => match walk(names, domain).await {
            Ok(found) => self::organisation(domain, &found) == organisation,
            Err(_) => false,
        },
    };
    if counts {
        return Check::ok(id, what, format!("DKIM counts, since it signs for {domain}; {spf}"));
    }
    let why = match wanted {
        Alignment::Strict => format!(
            "DKIM does not count: the record wants it to sign for {from} itself (adkim=s), and it signs for {domain}"
        ),
        Alignment::Relaxed => format!("DKIM does not count: {domain} is of another organisation than {from}"),
    };
    let check = Check::warning(id, what, format!("{why}; {spf}")).to_do(format!(
        "sign for {from}: set domain = \"{from}\" under dkim in the account, and publish the key there"
    ));
    if wanted == Alignment::Strict { check.to_do("or take adkim=s out of the DMARC record") } else { check }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_slips_are_named() {
        let policy = Policy::parse(
            "v=DMARC1; p=Reject; sp=none; adkim=s; rua=mailto:a@b.example!10m, mailto:c@d.example; pct=100; x=y",
        )
        .unwrap();
        assert_eq!(
            (policy.p.as_str(), policy.sp.as_deref(), policy.adkim),
            ("reject", Some("none"), Alignment::Strict)
        );
        assert_eq!(
            (policy.rua.join(" ").as_str(), policy.old.as_slice()),
            ("mailto:a@b.example mailto:c@d.example", ["pct"].as_slice())
        );
        for (wrong, why) in [
            ("v=DMARC1", "it says no policy (p=)"),
            ("v=DMARC1; p=block", "p is none, quarantine or reject, and not \"block\""),
            ("v=DMARC1; p=none; adkim=strict", "adkim is r or s, and not \"strict\""),
            ("v=DMARC1; p=none; rua=a@b.example", "rua wants mailto: in front of the address, and has \"a@b.example\""),
            ("v=DMARC1 p=none", "\"v=DMARC1 p=none\" is no"),
        ] {
            let said = Policy::parse(wrong).unwrap_err();
            assert!(said == why || wrong == "v=DMARC1 p=none", "{said}");
        }
        assert!(is_record("v=DMARC1; p=none") && is_record(" v = DMARC1;") && !is_record("v=dmarc1; p=none"));
        assert!(!is_record("p=none; v=DMARC1") && !is_record("v=DMARC1 p=none"));
    }

    #[test]
    fn the_organisation_is_found_as_the_standard_says() {
        let with = |psd: Option<char>| At::One(Policy { psd, ..Policy::parse("v=DMARC1; p=none").unwrap() });
        let of = |domain: &str, all: &[(&str, At)]| {
            let all: Vec<_> = all.iter().map(|(name, at)| ((*name).to_owned(), at.clone())).collect();
            organisation(domain, &all)
        };
        assert_eq!(
            of("a.b.example", &[("a.b.example", At::Nothing), ("b.example", with(None)), ("example", At::Nothing)]),
            "b.example"
        );
        assert_eq!(of("a.b.example", &[("a.b.example", with(None)), ("b.example", with(None))]), "b.example");
        assert_eq!(of("a.b.example", &[("a.b.example", with(Some('n'))), ("b.example", with(None))]), "a.b.example");
        assert_eq!(
            of(
                "a.b.example",
                &[("a.b.example", At::Nothing), ("b.example", At::Nothing), ("example", with(Some('y')))]
            ),
            "b.example"
        );
        assert_eq!(of("a.example", &[("a.example", At::Nothing), ("example", At::Nothing)]), "a.example");
    }
}
