//! The account's server, as a run would meet it: the way there, TLS, the login, and whether it takes mail from the sender.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use jiff::Timestamp;
use secrecy::SecretString;

use super::{Cause, Check, Checkup, certificate, offered, shown};
use crate::{
    campaign::{Account, Tls},
    delivery::{Asked, Entry, Probe, Reply, Trial, addresses, knock, probe},
    diagnostic::counted,
};

/// A clock that differs from the server's by more seconds than these is worth a word.
const APART: i64 = 300;

/// What is to be tried.
pub struct Rehearsed<'r> {
    /// Where.
    pub account: &'r Account,
    /// Its password or token.
    pub secret: Option<SecretString>,
    /// From whom mail is to be taken.
    pub trial: Option<Trial>,
    /// What time it is.
    pub now: Timestamp,
}

/// All checks of a server, with what they are about.
const CHECKS: [(&str, &str); 16] = [
    ("host", "DNS of the server"),
    ("connect-ipv4", "IPv4"),
    ("connect-ipv6", "IPv6"),
    ("connect", "connection"),
    ("tls", "TLS"),
    ("certificate", "certificate"),
    ("greeting", "greeting"),
    ("server-clock", "the server's clock"),
    ("ehlo", "EHLO"),
    ("starttls", "STARTTLS"),
    ("auth", "AUTH"),
    ("login", "login"),
    ("features", "features"),
    ("limits", "limits"),
    ("sender", "sender"),
    ("recipient", "mail to the sender"),
];

/// Says why a server is not looked at.
pub fn skip_server(checkup: &mut Checkup<'_>, since: &str) {
    skip(checkup, "host", since);
}

/// Skips a check and all that come after it.
fn skip(checkup: &mut Checkup<'_>, from: &str, since: &str) {
    for (id, what) in CHECKS.into_iter().skip_while(|(id, _)| *id != from) {
        checkup.add(Check::skipped(id, what, since));
    }
}

/// A step on the way to a connection that is ready for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    Tls,
    Certificate,
    Greeting,
    Hello,
    StartTls,
}

impl Step {
    /// The one that did not succeed, if one did not.
    fn failed(probe: &Probe, tls: Tls) -> Option<Self> {
        probe.stopped.as_ref()?;
        let is = |reply: Option<&Reply>, code| reply.is_some_and(|reply| reply.code() == code);
        let is_greeted = is(probe.greeting.as_ref(), 220);
        let handshake = if probe.distrusted.is_some() { Self::Certificate } else { Self::Tls };
        Some(match tls {
            _ if probe.reached.is_none() => Self::Connect,
            Tls::StartTls if !is_greeted => Self::Greeting,
            Tls::StartTls if !is(probe.in_clear.as_ref().map(|hello| &hello.reply), 250) => Self::Hello,
            Tls::StartTls if !probe.is_agreed => Self::StartTls,
            Tls::Implicit | Tls::StartTls if probe.encrypted.is_none() => handshake,
            _ if !is_greeted => Self::Greeting,
            _ => Self::Hello,
        })
    }

    /// Why what comes after it is not looked at.
    fn since(self) -> &'static str {
        match self {
            Self::Connect => "there is no connection",
            Self::Tls => "there is no TLS",
            Self::Certificate => "the certificate is refused",
            Self::Greeting => "the server does not greet",
            Self::Hello => "the server does not answer to EHLO as it should",
            Self::StartTls => "there is no STARTTLS",
        }
    }
}

/// Looks at the server; gives its addresses. Nothing is sent.
pub async fn look_at_server(checkup: &mut Checkup<'_>, wanted: Rehearsed<'_>) -> Vec<IpAddr> {
    let Rehearsed { account, secret, trial, now } = wanted;
    let found = resolve(checkup, account).await;
    if found.is_empty() {
        skip(checkup, "connect-ipv4", "the server has no address");
        return Vec::new();
    }
    let is_there = reach(checkup, account, &found).await;
    let found: Vec<IpAddr> = found.into_iter().map(|address| address.ip()).collect();
    let servers = if account.proxy.is_some() { Vec::new() } else { found };
    if !is_there {
        skip(checkup, "connect", "none of its addresses answers");
        return servers;
    }
    let probe = probe(account, secret, trial.as_ref()).await;
    let seen = Seen { account, probe: &probe, failed: Step::failed(&probe, account.tls), now };
    for check in [
        seen.connect(),
        seen.tls(),
        seen.certificate(),
        seen.greeting(),
        seen.clock(),
        seen.ehlo(),
        seen.starttls(),
        seen.auth(),
        seen.login(),
    ] {
        checkup.add(check);
    }
    match &probe.hello {
        Some(hello) if probe.stopped.is_none() => {
            checkup.add(offered::features(hello));
            checkup.add(offered::limits(hello, account, trial.as_ref().and_then(|trial| trial.size)));
        }
        _ => {
            let since = seen.since();
            checkup.add(Check::skipped("features", "features", since));
            checkup.add(Check::skipped("limits", "limits", since));
        }
    }
    checkup.add(seen.sender(trial.as_ref()));
    checkup.add(seen.recipient(trial.as_ref()));
    servers
}

async fn resolve(checkup: &mut Checkup<'_>, account: &Account) -> Vec<SocketAddr> {
    let what = match &account.proxy {
        Some(proxy) => format!("DNS of the proxy {}", proxy.host),
        None => format!("DNS of {}", account.host),
    };
    let start = Instant::now();
    let found = addresses(account).await;
    let time = start.elapsed().as_millis();
    let failure = |why: &str| {
        Check::failure("host", what.clone(), Cause::Unavailable, why)
            .to_do("look at host in the account, and whether this machine is online")
    };
    match found {
        Err(why) => {
            checkup.add(failure(&why));
            Vec::new()
        }
        Ok(found) if found.is_empty() => {
            checkup.add(failure("no address that the account can use"));
            found
        }
        Ok(found) => {
            let shown: Vec<String> = found.iter().take(6).map(|address| address.ip().to_string()).collect();
            let more = if found.len() > shown.len() { " and more" } else { "" };
            checkup.add(Check::ok("host", what, format!("{}{more}, in {time} ms", shown.join(", "))));
            found
        }
    }
}

/// Tries the first address of each kind; whether one answers.
async fn reach(checkup: &mut Checkup<'_>, account: &Account, found: &[SocketAddr]) -> bool {
    let first = |is_v4: bool| found.iter().find(|address| address.is_ipv4() == is_v4).copied();
    let knock = async |address: Option<SocketAddr>| match address {
        Some(address) => Some((address, knock(account, address).await)),
        None => None,
    };
    let (v4, v6) = tokio::join!(knock(first(true)), knock(first(false)));
    let is_there = [&v4, &v6].into_iter().flatten().any(|(_, answer)| answer.is_ok());
    for (id, what, tried) in [("connect-ipv4", "IPv4", v4), ("connect-ipv6", "IPv6", v6)] {
        checkup.add(match tried {
            None => Check::skipped(id, what, "there is no such address"),
            Some((address, Ok(time))) => Check::ok(id, what, format!("{address} answers, in {} ms", time.as_millis())),
            Some((address, Err(why))) if is_there => {
                Check::warning(id, what, format!("{address} does not answer: {why}"))
                    .to_do("the other kind is used, and this one costs time; set source in the account to an address of the other kind, or mend the network")
            }
            Some((address, Err(why))) => {
                Check::failure(id, what, Cause::Unavailable, format!("{address} does not answer: {why}"))
                    .to_do("look at host and port, at the firewall, and whether this machine is online")
            }
        });
    }
    is_there
}

/// What was seen on the way.
struct Seen<'s> {
    account: &'s Account,
    probe: &'s Probe,
    failed: Option<Step>,
    now: Timestamp,
}

impl Seen<'_> {
    /// Why what comes later is not looked at.
    fn since(&self) -> &'static str {
        self.failed.map_or("the server said nothing about it", Step::since)
    }

    /// The check of the step that did not succeed.
    fn refusal(&self, id: &'static str, what: &str) -> Check {
        match &self.probe.stopped {
            Some(reason) => Check::failure(id, what, Cause::of(reason), reason.to_string()).perhaps(reason.help()),
            None => Check::skipped(id, what, self.since()),
        }
    }

    fn connect(&self) -> Check {
        let (id, what) = ("connect", "connection");
        match &self.probe.reached {
            Some((peer, time)) => {
                let way = self
                    .account
                    .proxy
                    .as_ref()
                    .map_or(String::new(), |proxy| format!(" through the proxy {}:{}", proxy.host, proxy.port));
                Check::ok(id, what, format!("there is one to {peer}{way}, after {} ms", time.as_millis()))
            }
            None => self.refusal(id, what),
        }
    }

    fn tls(&self) -> Check {
        let (id, what) = ("tls", "TLS");
        match (&self.probe.encrypted, self.failed) {
            (Some((version, ciphers)), _) => Check::ok(id, what, format!("{version} with {ciphers}")),
            (None, _) if self.account.tls == Tls::None => {
                Check::skipped(id, what, "tls = \"none\": a relay on this machine, to which mail goes in clear")
            }
            (None, Some(Step::Tls)) => self.refusal(id, what),
            (None, _) => Check::skipped(id, what, self.since()),
        }
    }

    fn certificate(&self) -> Check {
        if self.probe.chain.is_empty() {
            let since = if self.account.tls == Tls::None { "there is no TLS" } else { self.since() };
            return Check::skipped("certificate", "certificate", since);
        }
        certificate::check(self.probe, &self.account.host, self.now)
    }

    fn greeting(&self) -> Check {
        let (id, what) = ("greeting", "greeting");
        match (&self.probe.greeting, self.failed) {
            (_, Some(Step::Greeting)) => self.refusal(id, what),
            (Some(reply), _) => Check::ok(id, what, reply.to_string()),
            (None, _) => Check::skipped(id, what, self.since()),
        }
    }

    /// Some servers say what time it is.
    fn clock(&self) -> Check {
        let (id, what) = ("server-clock", "the server's clock");
        let Some(greeting) = &self.probe.greeting else { return Check::skipped(id, what, self.since()) };
        let Some(theirs) = time_in(greeting.text()) else {
            return Check::skipped(id, what, "the greeting does not say what time it is there");
        };
        let apart = theirs.duration_since(self.now).as_secs().abs();
        let seconds = usize::try_from(apart).unwrap_or(usize::MAX);
        let finding = format!("it and this machine's are {} apart", counted(seconds, "second"));
        if apart <= APART {
            return Check::ok(id, what, finding);
        }
        Check::warning(id, what, finding)
            .to_do("find out which of the two is wrong; set this one with timedatectl set-ntp true")
    }

    fn ehlo(&self) -> Check {
        let (id, what) = ("ehlo", "EHLO");
        let hello = self.probe.hello.as_ref().or(self.probe.in_clear.as_ref());
        match (hello, self.failed) {
            (_, Some(Step::Hello)) => self.refusal(id, what),
            (Some(hello), _) => {
                let name = hello.reply.lines().next().unwrap_or_default();
                let count = counted(hello.keywords.len(), "keyword");
                Check::ok(id, what, format!("it calls itself {}, with {count}", shown(name.trim())))
            }
            (None, _) => Check::skipped(id, what, self.since()),
        }
    }

    fn starttls(&self) -> Check {
        let (id, what) = ("starttls", "STARTTLS");
        match (self.account.tls, self.failed) {
            (Tls::Implicit, _) => Check::skipped(id, what, "tls = \"implicit\": TLS begins with the first octet"),
            (Tls::None, _) => Check::skipped(id, what, "tls = \"none\": a relay on this machine"),
            (Tls::StartTls, _) if self.probe.is_agreed => Check::ok(id, what, "it is offered, and begun"),
            (Tls::StartTls, Some(Step::StartTls)) => self.refusal(id, what),
            (Tls::StartTls, _) => Check::skipped(id, what, self.since()),
        }
    }

    fn auth(&self) -> Check {
        let (id, what) = ("auth", "AUTH");
        let offered = self.probe.hello.as_ref().map(|hello| hello.mechanisms.join(", ")).unwrap_or_default();
        match &self.probe.mechanism {
            Some(Ok(mechanism)) => Check::ok(id, what, format!("it offers {}; {mechanism} is used", shown(&offered))),
            Some(Err(why)) => {
                Check::failure(id, what, Cause::Configuration, why).to_do("look at auth and tls of the account")
            }
            None if self.probe.stopped.is_none() => Check::skipped(id, what, "the account has no username"),
            None => Check::skipped(id, what, self.since()),
        }
    }

    fn login(&self) -> Check {
        let (id, what) = ("login", "login");
        match &self.probe.entry {
            Entry::Done(mechanism) => {
                let name = self.account.login.as_ref().map_or("", |login| login.username.as_str());
                Check::ok(id, what, format!("{name} is let in, with {mechanism}"))
            }
            Entry::Failed(_) if matches!(self.probe.mechanism, Some(Err(_))) => {
                Check::skipped(id, what, "there is no way to log in")
            }
            Entry::Failed(reason) => {
                Check::failure(id, what, Cause::of(reason), reason.to_string()).perhaps(reason.help())
            }
            Entry::NotNeeded => Check::skipped(id, what, "the account has no username"),
            Entry::NotTried if self.probe.stopped.is_none() => Check::skipped(id, what, "there is no password to try"),
            Entry::NotTried => Check::skipped(id, what, self.since()),
        }
    }

    /// Why the server was not asked about a sender.
    fn not_asked(&self, trial: Option<&Trial>) -> &'static str {
        match (&self.probe.entry, trial) {
            _ if self.probe.stopped.is_some() => self.since(),
            (Entry::Failed(_) | Entry::NotTried, _) => "nobody is logged in",
            (_, None) => "no sender is known: name one with --from ADDRESS, or a campaign",
            _ => "the connection was lost",
        }
    }

    fn sender(&self, trial: Option<&Trial>) -> Check {
        let (id, what) = ("sender", "sender");
        let help = "the address in From must be one that this account may send as";
        match (&self.probe.sender, trial) {
            (Some(Ok(Asked::Yes(_))), Some(trial)) => {
                Check::ok(id, what, format!("the server would take mail from {}; nothing was sent", trial.from))
            }
            (Some(Ok(Asked::No(reply))), Some(trial)) => {
                let finding = format!("the server takes no mail from {}: {reply}", trial.from);
                Check::failure(id, what, refusal_of(reply), finding).to_do(help)
            }
            (Some(Ok(Asked::Lost(why))), _) => {
                Check::failure(id, what, Cause::Unavailable, format!("no answer to MAIL FROM: {why}"))
            }
            (Some(Err(why)), _) => Check::failure(id, what, Cause::Refused, why).to_do("send from an address in ASCII"),
            _ => Check::skipped(id, what, self.not_asked(trial)),
        }
    }

    fn recipient(&self, trial: Option<&Trial>) -> Check {
        let (id, what) = ("recipient", "mail to the sender");
        match (&self.probe.recipient, trial) {
            (Some(Asked::Yes(_)), Some(trial)) => Check::ok(
                id,
                what,
                format!("the server would take mail to {}; taken back with RSET, nothing was sent", trial.from),
            ),
            (Some(Asked::No(reply)), Some(trial)) => {
                let finding = format!("the server takes no mail to {}: {reply}", trial.from);
                // Of the address alone (RFC 3463 §3.2), or without a word about what it is.
                let of_address = reply.enhanced().is_none_or(|code| code.split('.').nth(1) == Some("1"));
                match (reply.is_permanent(), of_address) {
                    (false, _) => Check::warning(id, what, finding).to_do("look again later: it may just be busy"),
                    (true, true) => Check::warning(id, what, finding)
                        .to_do("answers and bounces would find nobody; send from an address that somebody reads"),
                    (true, false) => Check::failure(id, what, Cause::Refused, finding)
                        .to_do("the server would probably not take mail to others either; ask whoever runs it"),
                }
            }
            (Some(Asked::Lost(why)), _) => {
                Check::failure(id, what, Cause::Unavailable, format!("no answer to RCPT TO: {why}"))
            }
            _ if self.probe.sender.is_some() => Check::skipped(id, what, "the sender is not taken"),
            _ => Check::skipped(id, what, self.not_asked(trial)),
        }
    }
}

fn refusal_of(reply: &Reply) -> Cause {
    if reply.is_permanent() { Cause::Refused } else { Cause::TryAgain }
}

/// The time in a greeting, as Exim and Sendmail put it there (RFC 5322 §3.3).
fn time_in(greeting: &str) -> Option<Timestamp> {
    let words: Vec<&str> = greeting.split([' ', '\n']).collect();
    let days = ["Mon,", "Tue,", "Wed,", "Thu,", "Fri,", "Sat,", "Sun,"];
    let start = words.iter().position(|word| days.contains(word))?;
    let date = words.get(start..start + 6)?.join(" ");
    Some(jiff::fmt::rfc2822::parse(&date).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_greetings_say_what_time_it_is() {
        let time = |greeting: &str| time_in(greeting).map(|time| time.to_string());
        let said = Some("2026-11-26T07:34:34Z".to_owned());
        assert_eq!(time("220 x ESMTP Exim 4.96 Thu, 26 Nov 2026 07:34:34 +0000"), said);
        assert_eq!(time("220 x ESMTP Sendmail 8.17/8.17; Thu, 26 Nov 2026 08:34:34 +0100 (CET)"), said);
        assert_eq!(time("220 x ESMTP Postfix"), None);
        assert_eq!(time("220 x Thu, 99 Nov 2026 07:34:34 +0000"), None);
        assert_eq!(time("220 x Thu, 26"), None);
    }
}
