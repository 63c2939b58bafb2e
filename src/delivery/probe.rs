//! One connection that sends nothing, and tells what was seen on the way: for somebody who wants to know what a run would meet.

use std::{net::SocketAddr, time::Duration};

use rustls::{CertificateError, pki_types::CertificateDer};
use secrecy::SecretString;

use super::{
    Reply, StopReason,
    connect::{Answer, Connector, Deadlines, Way},
    dial,
    login::login,
    offer::{Extension, Offer},
    tls,
};
use crate::{
    address::Address,
    campaign::{Account, Mechanism, Tls},
};

/// More keywords than these a server does not mean.
const MOST_KEYWORDS: usize = 64;

/// What is asked once a connection is there.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Whether mail is taken from this address, and for it.
    pub from: Address,
    /// Octets of the largest message, where that is known.
    pub size: Option<u64>,
}

/// What a server offers.
#[derive(Debug, Clone)]
pub struct Hello {
    /// The answer to EHLO.
    pub reply: Reply,
    /// Its keywords in capital letters, each with what stands behind it.
    pub keywords: Vec<(String, String)>,
    /// The most octets of a message, if it says so (RFC 1870).
    pub size: Option<u64>,
    /// The ways to log in.
    pub mechanisms: Vec<String>,
}

impl Hello {
    fn of(reply: Reply) -> Self {
        let line = |line: &str| {
            let (word, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            (word.to_ascii_uppercase(), rest.trim().to_owned())
        };
        let keywords = reply.lines().skip(1).take(MOST_KEYWORDS).map(line).collect();
        let Offer { size, mechanisms, .. } = Offer::of(&reply);
        Self { reply, keywords, size, mechanisms }
    }

    /// Whether a keyword is there.
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|(word, _)| word == keyword)
    }

    /// A limit that it announces (RFC 9422), such as `MAILMAX`.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<u64> {
        let limits = self.keywords.iter().filter(|(word, _)| word == "LIMITS");
        let mut limits = limits.flat_map(|(_, rest)| rest.split(' ')).filter_map(|limit| limit.split_once('='));
        limits.find(|(known, _)| known.eq_ignore_ascii_case(name))?.1.parse().ok()
    }
}

/// How a login went.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The account needs none.
    NotNeeded,
    /// There is no password to log in with.
    NotTried,
    /// Somebody is logged in.
    Done(Mechanism),
    /// Nobody is.
    Failed(StopReason),
}

/// What was said to a command.
#[derive(Debug, Clone)]
pub enum Asked {
    /// It would be taken.
    Yes(Reply),
    /// It would not.
    No(Reply),
    /// There is no answer.
    Lost(String),
}

impl From<Answer> for Asked {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes(reply) if reply.code() < 300 => Self::Yes(reply),
            Answer::Yes(reply) | Answer::No(reply) => Self::No(reply),
            Answer::Lost(_, why) => Self::Lost(why),
        }
    }
}

/// What was seen on the way to a server; nothing was sent.
#[derive(Debug)]
pub struct Probe {
    /// TCP was there after so long.
    pub reached: Option<(SocketAddr, Duration)>,
    /// The version of TLS and its ciphers.
    pub encrypted: Option<(&'static str, String)>,
    /// The certificates that the server showed, its own first, trusted or not.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whether the first of them is for the account's host.
    pub is_for_host: bool,
    /// Why they are not trusted.
    pub distrusted: Option<CertificateError>,
    /// What the server said first.
    pub greeting: Option<Reply>,
    /// What it offered before STARTTLS.
    pub in_clear: Option<Hello>,
    /// It agreed to STARTTLS, and put nothing behind that.
    pub is_agreed: bool,
    /// What it offers under TLS, or to a relay.
    pub hello: Option<Hello>,
    /// The way to log in that is used, or why there is none.
    pub mechanism: Option<Result<Mechanism, String>>,
    /// Why there is no connection that is ready for a login.
    pub stopped: Option<StopReason>,
    /// Whether somebody could log in.
    pub entry: Entry,
    /// Whether mail is taken from the address; why it could not be asked.
    pub sender: Option<Result<Asked, String>>,
    /// Whether mail is taken for the same address.
    pub recipient: Option<Asked>,
    /// What could be done at most.
    pub limits: Limits,
}

/// What the server can do with what is wanted of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Whether several commands can be sent at once.
    pub pipelining: bool,
    /// Whether several messages can be on the way.
    pub chunking: bool,
}

/// Goes the way that a run goes, logs in where there is a password, asks what the trial says, and says goodbye. The server is never
/// sent anything over a connection that is not as the account wants it.
pub async fn probe(account: &Account, secret: Option<SecretString>, trial: Option<&Trial>) -> Probe {
    let mut way = Way::default();
    let connector = match Connector::new(account, None) {
        Ok(connector) => connector,
        Err(reason) => return Probe::of(way, Vec::new(), account, Some(reason)),
    };
    if let Some(secret) = &secret {
        connector.hide(secret);
    }
    let connection = connector.approach(&mut way).await;
    let chain = connector.presented();
    let mut connection = match connection {
        Ok(connection) => connection,
        Err(reason) => return Probe::of(way, chain, account, Some(reason)),
    };
    let mut probe = Probe::of(way, chain, account, None);
    probe.limits = Limits { pipelining: connection.pipelines(), chunking: connection.offer.has(Extension::Chunking) };
    if let Some(wanted) = &account.login {
        let mechanism = connection.offer.choose(&wanted.mechanisms());
        probe.mechanism = Some(mechanism.map_err(|why| connection.record.shown(&why)));
        probe.entry = match secret {
            None => Entry::NotTried,
            Some(secret) => match login(&mut connection, wanted, &secret, &connector.server_name()).await {
                Ok(()) => connection.login.map_or(Entry::NotTried, Entry::Done),
                Err(reason) => Entry::Failed(reason),
            },
        };
    }
    if let Some(trial) = trial.filter(|_| matches!(probe.entry, Entry::NotNeeded | Entry::Done(_))) {
        match connection.rehearse(&trial.from, trial.size).await {
            Ok((mail, rcpt)) => {
                probe.sender = Some(Ok(mail.into()));
                probe.recipient = rcpt.map(Asked::from);
            }
            Err(why) => probe.sender = Some(Err(why)),
        }
    }
    if !connection.is_lost {
        connection.quit().await;
    }
    probe
}

impl Probe {
    fn of(way: Way, chain: Vec<CertificateDer<'static>>, account: &Account, stopped: Option<StopReason>) -> Self {
        Self {
            reached: way.reached,
            encrypted: way.encrypted,
            is_for_host: chain.first().is_some_and(|own| tls::is_for(own, &account.host)),
            chain,
            distrusted: way.distrusted,
            greeting: way.greeting,
            in_clear: way.in_clear.map(Hello::of),
            is_agreed: way.is_agreed,
            hello: way.hello.map(Hello::of),
            mechanism: None,
            stopped,
            entry: if account.login.is_some() { Entry::NotTried } else { Entry::NotNeeded },
            sender: None,
            recipient: None,
            limits: Limits::default(),
        }
    }
}

/// The addresses that would be called: the server's, or its proxy's. Why there are none is in the error.
pub async fn addresses(account: &Account) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = match &account.proxy {
        Some(proxy) => (&proxy.host, proxy.port),
        None => (&account.host, account.port),
    };
    let mut found = dial::find(host, port, Deadlines::of(account).connect()).await?;
    let of_account = |address: &SocketAddr| account.source.is_none_or(|source| source.is_ipv4() == address.is_ipv4());
    found.retain(|address| account.tls != Tls::None || address.ip().is_loopback());
    found.retain(of_account);
    Ok(found)
}

/// How long one address takes to answer. The connection is closed at once.
pub async fn knock(account: &Account, address: SocketAddr) -> Result<Duration, String> {
    dial::knock(address, account.source, Deadlines::of(account).connect()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_announces_is_read() {
        let reply = b"250-mail.example hi\r\n250-limits MAILMAX=5 RCPTMAX=100\r\n250-AUTH=LOGIN\r\n250-Size 1000\r\n250 DSN\r\n";
        let hello = Hello::of(Reply::parse(reply).unwrap());
        assert_eq!((hello.limit("MAILMAX"), hello.limit("RCPTMAX")), (Some(5), Some(100)));
        assert_eq!((hello.limit("RCPTDOMAINMAX"), hello.size), (None, Some(1000)));
        assert!(hello.has("DSN") && hello.has("AUTH") && !hello.has("MAIL.EXAMPLE"));
        assert_eq!(hello.mechanisms, ["LOGIN"]);
    }
}
