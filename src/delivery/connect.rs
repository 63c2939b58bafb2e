//! From an account to a connection that is ready for mail: TCP, TLS, login.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use lettre::transport::smtp::{client::AsyncSmtpConnection, extension::ClientId};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Reply, StopReason,
    stream::{Duplex, Greeting, MOST_REPLY_BYTES, Record, Wire, end_of_reply, not_understood},
};
use crate::campaign::{Account, Mechanism, Tls};

/// How long each step may take (RFC 5321 §4.5.3.2), unless the account says less.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    most: Option<Duration>,
}

impl Deadlines {
    fn at_most(self, seconds: u64) -> Duration {
        let usual = Duration::from_secs(seconds);
        self.most.map_or(usual, |most| most.min(usual))
    }
    fn connect(self) -> Duration {
        self.at_most(30)
    }
    fn tls(self) -> Duration {
        self.at_most(60)
    }
    fn greeting(self) -> Duration {
        self.at_most(300)
    }
    /// MAIL, RCPT, RSET, EHLO, AUTH
    pub(super) fn command(self) -> Duration {
        self.at_most(300)
    }
    pub(super) fn data(self) -> Duration {
        self.at_most(120)
    }
    /// From the first byte of the body to the answer to the final dot
    pub(super) fn body(self) -> Duration {
        self.at_most(600)
    }
    pub(super) fn quit(self) -> Duration {
        self.at_most(5)
    }
}

/// Opens connections for one account.
pub(super) struct Connector {
    account: Account,
    secret: Option<SecretString>,
    tls: Option<TlsConnector>,
}

/// A connection that is ready for mail.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    pub(super) record: Record,
    pub(super) deadlines: Deadlines,
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<&'static str>,
    pub(super) login: Option<Mechanism>,
    /// Whether the server takes addresses and headers in UTF-8 (RFC 6531).
    pub(super) smtputf8: bool,
    /// Whether it wants to know how large a message is, and the most octets of one that it takes (RFC 1870).
    pub(super) size: Option<u64>,
    /// How many were begun.
    pub(super) transactions: usize,
}

/// What a step of a dialogue ended with.
pub(super) enum Answer {
    /// 2xx or 3xx
    Yes(Reply),
    /// 4xx or 5xx
    No(Reply),
    /// No answer, or none that can be understood; the connection is of no use any more.
    Lost(String),
}

impl Connector {
    /// Checks what can be checked without a network.
    pub(super) fn new(account: &Account, secret: Option<SecretString>) -> Result<Self, StopReason> {
        let tls = match account.tls {
            Tls::None => None,
            Tls::Implicit | Tls::StartTls => Some(TlsConnector::from(Arc::new(tls_config(account)?))),
        };
        Ok(Self { account: account.clone(), secret, tls })
    }

    pub(super) fn server_name(&self) -> String {
        format!("{}:{}", self.account.host, self.account.port)
    }

    fn unreachable(&self, why: impl std::fmt::Display) -> StopReason {
        StopReason::Unreachable { server: self.server_name(), why: why.to_string() }
    }

    /// A connection that is ready for mail, or why there is none.
    pub(super) async fn connect(&self) -> Result<Connection, StopReason> {
        let deadlines = Deadlines { most: self.account.timeout };
        let mut tcp = self.tcp(deadlines).await?;
        let peer = tcp.peer_addr().map_err(|error| self.unreachable(error))?;
        let mut greeting = Greeting::Expected;
        if self.account.tls == Tls::StartTls {
            self.starttls(&mut tcp, deadlines).await?;
            greeting = Greeting::Done;
        }
        let (stream, tls): (Box<dyn Duplex>, _) = match &self.tls {
            Some(connector) => {
                let stream = self.handshake(connector, tcp, deadlines).await?;
                let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
                (Box::new(stream), Some(short(version.unwrap_or("TLS"))))
            }
            None => (Box::new(tcp), None),
        };
        let (wire, record) = Wire::new(stream, peer, greeting);
        // An address literal: the name of a caseworker's machine is nobody's business.
        let client = ClientId::default();
        let hello = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &client);
        let smtp = match within(deadlines.greeting(), hello).await {
            Ok(Ok(smtp)) => smtp,
            Ok(Err(error)) => {
                let refusal = record.refusal().map(StopReason::Unavailable);
                return Err(refusal.unwrap_or_else(|| self.unreachable(innermost(&error))));
            }
            Err(late) => return Err(self.unreachable(format!("no greeting after {late}"))),
        };
        let ehlo = record.reply();
        let offered = Offer::of(ehlo.as_ref());
        let smtputf8 = ehlo.as_ref().is_some_and(|ehlo| offers(ehlo, "SMTPUTF8") && offers(ehlo, "8BITMIME"));
        let size = ehlo.as_ref().and_then(size_of);
        let mut connection =
            Connection { smtp, record, deadlines, peer, tls, login: None, smtputf8, size, transactions: 0 };
        self.login(&mut connection, &offered).await?;
        Ok(connection)
    }

    async fn tcp(&self, deadlines: Deadlines) -> Result<TcpStream, StopReason> {
        let host = self.account.host.trim_matches(['[', ']']);
        let look_up = tokio::net::lookup_host((host, self.account.port));
        let found: Vec<SocketAddr> = match within(deadlines.connect(), look_up).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => return Err(self.unreachable(format!("the name cannot be resolved ({error})"))),
            Err(late) => return Err(self.unreachable(format!("the name is not resolved after {late}"))),
        };
        let mut why = "the name has no address".to_owned();
        for address in found {
            if self.account.tls == Tls::None && !address.ip().is_loopback() {
                why = format!("tls = \"none\" is for loopback addresses alone, and this is {}", address.ip());
                continue;
            }
            match within(deadlines.connect(), TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Otherwise each command waits for the acknowledgement of the one before, up to 44 ms.
                    stream.set_nodelay(true).map_err(|error| self.unreachable(error))?;
                    return Ok(stream);
                }
                Ok(Err(error)) => why = format!("{error} ({address})"),
                Err(late) => why = format!("no answer from {address} after {late}"),
            }
        }
        Err(self.unreachable(why))
    }

    /// The dialogue in clear up to the handshake (RFC 3207). lettre's own takes what an attacker put behind the
    /// 220 for replies under TLS.
    async fn starttls(&self, tcp: &mut TcpStream, deadlines: Deadlines) -> Result<(), StopReason> {
        let mut clear = Clear { tcp, buffer: Vec::new(), connector: self };
        let greeting = clear.reply(deadlines.greeting()).await?;
        if greeting.code() >= 400 {
            return Err(StopReason::Unavailable(greeting));
        }
        if greeting.code() != 220 {
            return Err(self.unreachable(format!("its greeting is not understood: {greeting}")));
        }
        let ehlo = clear.command(&format!("EHLO {}\r\n", ClientId::default()), deadlines.command()).await?;
        if ehlo.code() >= 400 {
            return Err(StopReason::Unavailable(ehlo));
        }
        if ehlo.code() != 250 || !offers(&ehlo, "STARTTLS") {
            return Err(StopReason::Insecure {
                why: "the server offers no STARTTLS".into(),
                help: Some("use tls = \"implicit\" (port 465) if it has that; mail is not sent in clear".into()),
            });
        }
        let answer = clear.command("STARTTLS\r\n", deadlines.command()).await?;
        if answer.is_closing() {
            return Err(StopReason::Unavailable(answer));
        }
        if answer.code() != 220 {
            return Err(StopReason::Insecure { why: format!("the server refused STARTTLS: {answer}"), help: None });
        }
        if !clear.buffer.is_empty() {
            return Err(StopReason::Insecure {
                why: "something was put behind the server's answer to STARTTLS before the handshake".into(),
                help: Some(
                    "somebody on the way may be tampering with the connection; do not send from this network".into(),
                ),
            });
        }
        Ok(())
    }

    async fn handshake(
        &self,
        connector: &TlsConnector,
        tcp: TcpStream,
        deadlines: Deadlines,
    ) -> Result<TlsStream<TcpStream>, StopReason> {
        let host = self.account.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| self.unreachable(error))?;
        match within(deadlines.tls(), connector.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.handshake_problem(&error)),
            Err(late) => Err(self.unreachable(format!("the TLS handshake is not done after {late}"))),
        }
    }

    /// What TLS itself finds wrong is a matter of safety; that the line was cut is not.
    fn handshake_problem(&self, error: &std::io::Error) -> StopReason {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => StopReason::Insecure {
                why: format!("the certificate of {} is not trusted ({why})", self.account.host),
                help: Some(
                    "if it is a server of your own, name its certification authority with ca_file; else somebody may \
                     be in between, and nothing must be sent. There is no switch to go on without."
                        .into(),
                ),
            },
            Some(rustls::Error::InvalidMessage(_)) => StopReason::Insecure {
                why: "the server does not speak TLS here".into(),
                help: Some("use tls = \"starttls\" for port 587, tls = \"implicit\" for port 465".into()),
            },
            Some(error) => StopReason::Insecure { why: format!("the TLS handshake failed ({error})"), help: None },
            None => self.unreachable(format!("the connection was lost in the TLS handshake ({error})")),
        }
    }

    async fn login(&self, connection: &mut Connection, offered: &Offer) -> Result<(), StopReason> {
        let (Some(login), Some(secret)) = (&self.account.login, &self.secret) else { return Ok(()) };
        if connection.tls.is_none() {
            return Err(StopReason::NoLogin("a password is not sent without TLS".into()));
        }
        let mechanism = offered.choose(login.mechanism).map_err(StopReason::NoLogin)?;
        let user = &login.username;
        let secret = secret.expose_secret();
        let encoded = |text: String| Zeroizing::new(BASE64_STANDARD.encode(Zeroizing::new(text)));
        let steps = match mechanism {
            Mechanism::Plain => vec![line("AUTH PLAIN ", &encoded(format!("\0{user}\0{secret}")))],
            Mechanism::Login => {
                vec![line("AUTH LOGIN", ""), line("", &encoded(user.clone())), line("", &encoded(secret.to_owned()))]
            }
            Mechanism::XOAuth2 => {
                let token = encoded(format!("user={user}\x01auth=Bearer {secret}\x01\x01"));
                // Where the token is refused, the reason comes as a challenge, and an empty answer ends it.
                vec![line("AUTH XOAUTH2 ", &token), line("", "")]
            }
        };
        for step in steps {
            match connection.command(step.as_str(), connection.deadlines.command()).await {
                Answer::Yes(reply) if reply.code() == 235 => {
                    connection.login = Some(mechanism);
                    return Ok(());
                }
                Answer::Yes(reply) if reply.code() == 334 => {}
                Answer::Yes(reply) => return Err(StopReason::LoginRefused(reply)),
                Answer::No(reply) if reply.is_permanent() => return Err(StopReason::LoginRefused(reply)),
                Answer::No(reply) => return Err(StopReason::LoginUnavailable(reply)),
                Answer::Lost(why) => return Err(self.unreachable(format!("it was lost during the login ({why})"))),
            }
        }
        Err(StopReason::NoLogin(format!("the server asks on after {mechanism} has said all it has to say")))
    }
}

fn line(command: &str, argument: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{command}{argument}\r\n"))
}

impl Connection {
    /// One command, and its answer.
    pub(super) async fn command(&mut self, command: impl std::fmt::Display, deadline: Duration) -> Answer {
        match within(deadline, self.smtp.command(command)).await {
            Ok(result) => match (self.record.reply(), result) {
                (Some(reply), _) if reply.code() >= 400 => Answer::No(reply),
                (Some(reply), _) => Answer::Yes(reply),
                (None, Err(error)) => Answer::Lost(innermost(&error)),
                (None, Ok(_)) => Answer::Lost("the server's reply is not understood".into()),
            },
            Err(late) => Answer::Lost(format!("no answer after {late}")),
        }
    }

    /// Says goodbye and does not wait long.
    pub(super) async fn quit(mut self) {
        let _ = within(self.deadlines.quit(), self.smtp.quit()).await;
    }
}

/// The sentence at the bottom of an error's causes.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Whether a keyword stands in an answer to EHLO (RFC 5321 §4.1.1.1).
fn offers(ehlo: &Reply, keyword: &str) -> bool {
    ehlo.lines().any(|line| line.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(keyword)))
}

/// The most octets of a message that a server takes, if it says so (RFC 1870 §4); 0 says that there is no limit.
fn size_of(ehlo: &Reply) -> Option<u64> {
    let words = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let size =
        ehlo.lines().map(words).find(|words| words.first().is_some_and(|word| word.eq_ignore_ascii_case("SIZE")))?;
    let most: u64 = size.get(1).map_or(Some(0), |number| number.parse().ok())?;
    Some(if most == 0 { u64::MAX } else { most })
}

/// What a server's EHLO offers for logging in.
struct Offer(Vec<String>);

impl Offer {
    fn of(ehlo: Option<&Reply>) -> Self {
        let mut mechanisms = Vec::new();
        for words in ehlo.into_iter().flat_map(Reply::lines) {
            let words = words.to_ascii_uppercase();
            let mut words = words.split([' ', '=']);
            if words.next() == Some("AUTH") {
                mechanisms.extend(words.map(str::to_owned));
            }
        }
        Self(mechanisms)
    }

    fn choose(&self, wanted: Option<Mechanism>) -> Result<Mechanism, String> {
        let usable = match wanted {
            Some(wanted) => vec![wanted],
            None => vec![Mechanism::Plain, Mechanism::Login, Mechanism::XOAuth2],
        };
        let names: Vec<String> = usable.iter().map(ToString::to_string).collect();
        usable.into_iter().find(|mechanism| self.0.contains(&mechanism.to_string())).ok_or_else(|| {
            if self.0.is_empty() {
                "the server offers no AUTH under TLS".into()
            } else {
                format!("the server offers {}, and {} is wanted", self.0.join(", "), names.join(" or "))
            }
        })
    }
}

/// The dialogue before TLS.
struct Clear<'c> {
    tcp: &'c mut TcpStream,
    buffer: Vec<u8>,
    connector: &'c Connector,
}

impl Clear<'_> {
    async fn command(&mut self, command: &str, deadline: Duration) -> Result<Reply, StopReason> {
        let written = within(deadline, self.tcp.write_all(command.as_bytes())).await;
        match written {
            Ok(Ok(())) => self.reply(deadline).await,
            Ok(Err(error)) => Err(self.connector.unreachable(error)),
            Err(late) => Err(self.connector.unreachable(format!("nothing can be written for {late}"))),
        }
    }

    /// Reads one whole reply; what comes behind it stays in the buffer.
    async fn reply(&mut self, deadline: Duration) -> Result<Reply, StopReason> {
        let read = async {
            loop {
                if let Some(end) = end_of_reply(&self.buffer) {
                    let reply: Vec<u8> = self.buffer.drain(..end).collect();
                    return Reply::parse(&reply).ok_or_else(|| not_understood(&reply));
                }
                if self.buffer.len() > MOST_REPLY_BYTES {
                    return Err("the server's reply is endless".to_owned());
                }
                match self.tcp.read_buf(&mut self.buffer).await {
                    Ok(0) => return Err("the server closed the connection".into()),
                    Ok(_) => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
        };
        match within(deadline, read).await {
            Ok(result) => result.map_err(|why| self.connector.unreachable(why)),
            Err(late) => Err(self.connector.unreachable(format!("no answer after {late}"))),
        }
    }
}

/// What is wrong with an account that can be known without a network: its certification authorities.
pub fn check_account(account: &Account) -> Result<(), StopReason> {
    Connector::new(account, None).map(drop)
}

/// TLS 1.2 or newer, verified against the platform's roots or the account's own.
fn tls_config(account: &Account) -> Result<ClientConfig, StopReason> {
    let problem = |why: String, help: Option<&str>| StopReason::Insecure { why, help: help.map(str::to_owned) };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| problem(error.to_string(), None))?;
    let Some(file) = &account.ca_file else {
        return Ok(builder
            .with_platform_verifier()
            .map_err(|error| {
                problem(
                    format!("the certificates of this machine cannot be read: {error}"),
                    Some("install the package ca-certificates"),
                )
            })?
            .with_no_client_auth());
    };
    let unreadable = |error: String| problem(format!("the ca_file {} cannot be used: {error}", file.display()), None);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("there is no certificate in it".into()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn short(version: &str) -> &'static str {
    match version {
        "TLSv1_2" => "TLSv1.2",
        "TLSv1_3" => "TLSv1.3",
        _ => "TLS",
    }
}

/// The result, or how long was waited in vain.
pub(super) async fn within<F: Future>(deadline: Duration, future: F) -> Result<F::Output, String> {
    tokio::time::timeout(deadline, future).await.map_err(|_| {
        if deadline.subsec_millis() == 0 {
            format!("{} s", deadline.as_secs())
        } else {
            format!("{} ms", deadline.as_millis())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_offers_is_read_however_it_is_written() {
        let offer = Offer::of(
            Reply::parse(b"250-mail.example\r\n250-auth LOGIN xoauth2\r\n250-AUTH=LOGIN\r\n250 SIZE\r\n").as_ref(),
        );
        assert_eq!(offer.choose(None), Ok(Mechanism::Login));
        assert_eq!(offer.choose(Some(Mechanism::XOAuth2)), Ok(Mechanism::XOAuth2));
        assert_eq!(
            offer.choose(Some(Mechanism::Plain)),
            Err("the server offers LOGIN, XOAUTH2, LOGIN, and PLAIN is wanted".into())
        );
        assert_eq!(
            Offer::of(Reply::parse(b"250 mail.example\r\n").as_ref()).choose(None),
            Err("the server offers no AUTH under TLS".into())
        );
    }
}
