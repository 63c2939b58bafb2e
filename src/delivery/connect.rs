//! From an account to a connection that is ready for mail: TCP, TLS, login.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use lettre::transport::smtp::{client::AsyncSmtpConnection, extension::ClientId};
use rustls::pki_types::{CertificateDer, ServerName};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Reply, StopReason,
    dial::dial,
    login,
    offer::{Extension, Offer},
    outcome::Happening,
    stream::{Duplex, Greeting, MOST_REPLY_BYTES, Record, Wire, end_of_reply, not_understood},
    tls::{self, Presented},
};
use crate::{
    campaign::{Account, Login, Mechanism, Tls},
    outbox::OpenPlace,
    secret::{Given, NoSecret, Secrets, Unsaid},
};

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
    pub(super) fn of(account: &Account) -> Self {
        Self { most: account.timeout }
    }
    pub(super) fn connect(self) -> Duration {
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
    secret: Option<Arc<dyn Secrets>>,
    tls: Option<TlsConnector>,
    /// What the server showed last, trusted or not
    presented: Presented,
    /// What the server was told over one connection it may repeat over another.
    unsaid: Mutex<Unsaid>,
    habits: Arc<Habits>,
}

/// How far the way to a server was gone, and what was seen on it.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// TCP is there, after so long.
    pub(super) reached: Option<(SocketAddr, Duration)>,
    /// What the server said first.
    pub(super) greeting: Option<Reply>,
    /// Its answer to EHLO before STARTTLS.
    pub(super) in_clear: Option<Reply>,
    /// The server agreed to STARTTLS, and put nothing behind that.
    pub(super) is_agreed: bool,
    /// TLS is there: its version and the ciphers.
    pub(super) encrypted: Option<(&'static str, String)>,
    /// What is wrong with the certificate.
    pub(super) distrusted: Option<rustls::CertificateError>,
    /// Its answer to EHLO, under TLS where there is any.
    pub(super) hello: Option<Reply>,
}

/// What a server was found to do, whatever it offers.
#[derive(Debug, Default)]
struct Habits {
    /// It cannot take several commands at once.
    is_stepwise: AtomicBool,
    /// It takes no envelope before it has answered to the content in front of it, or closes the connection behind a message.
    takes_each_by_itself: AtomicBool,
    /// It does not know BDAT.
    takes_no_chunks: AtomicBool,
}

/// A connection that is ready for mail.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    pub(super) record: Record,
    pub(super) deadlines: Deadlines,
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<&'static str>,
    pub(super) login: Option<Mechanism>,
    /// When what was logged in with is no longer good.
    until: Option<Timestamp>,
    pub(super) offer: Offer,
    /// How many were begun.
    pub(super) transactions: usize,
    /// Whether the server has a sender of which there will be no message.
    pub(super) is_open: bool,
    /// Several servers can be behind one name, so this is found out over each connection.
    pub(super) ahead: Ahead,
    /// Whether it is of no use any more.
    pub(super) is_lost: bool,
    /// Whether what was answered before it was lost can still be read.
    pub(super) is_half_closed: bool,
    habits: Arc<Habits>,
    /// The right to be open, where others share the account
    pub(super) place: Option<OpenPlace>,
}

/// Whether a server takes an envelope before it has answered to the content in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    Unknown,
    /// Just MAIL went ahead, to find that out.
    Tried,
    Taken,
    /// And it knows BDAT.
    Chunks,
}

/// What a step of a dialogue ended with.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// 2xx or 3xx
    Yes(Reply),
    /// 4xx or 5xx
    No(Reply),
    /// No answer, or none that can be understood; the connection is of no use any more.
    Lost(Happening, String),
}

impl Connector {
    /// Checks what can be checked without a network.
    pub(super) fn new(account: &Account, secret: Option<Arc<dyn Secrets>>) -> Result<Self, StopReason> {
        let presented = Presented::default();
        let tls = match account.tls {
            Tls::None => None,
            Tls::Implicit | Tls::StartTls => Some(TlsConnector::from(Arc::new(tls::config(account, &presented)?))),
        };
        let habits = Habits { is_stepwise: AtomicBool::new(!account.pipelining), ..Habits::default() };
        let unsaid = Mutex::default();
        Ok(Self { account: account.clone(), secret, tls, presented, unsaid, habits: Arc::new(habits) })
    }

    /// From now on this secret is left out of what the server says.
    pub(super) fn hide(&self, secret: &SecretString) {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner).add(secret.expose_secret());
    }

    fn unsaid(&self) -> Unsaid {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The certificates that the server showed last, its own first, whether or not they were trusted.
    pub(super) fn presented(&self) -> Vec<CertificateDer<'static>> {
        self.presented.chain()
    }

    pub(super) fn server_name(&self) -> String {
        format!("{}:{}", self.account.host, self.account.port)
    }

    fn unreachable(&self, why: impl std::fmt::Display) -> StopReason {
        StopReason::Unreachable { server: self.server_name(), why: why.to_string() }
    }

    /// A connection that is ready for mail, or why there is none.
    pub(super) async fn connect(&self) -> Result<Connection, StopReason> {
        let (Some(login), Some(secrets)) = (&self.account.login, &self.secret) else {
            return self.approach(&mut Way::default()).await;
        };
        // Before the server waits for it: getting a token may take its time.
        let given = secrets.give(None).await.map_err(StopReason::NoSecret)?;
        let Some(given) = given else { return Err(StopReason::NoLogin("there is no password".into())) };
        let (connection, reply) = match self.log_in(login, &given).await? {
            (connection, None) => return Ok(connection),
            (connection, Some(reply)) => (connection, reply),
        };
        connection.quit().await;
        // It may have expired before its time. One better one, and not a loop: the account could be locked.
        match secrets.give(Some(&given.secret)).await.map_err(StopReason::NoSecret)? {
            None => Err(StopReason::LoginRefused(reply)),
            Some(better) => match self.log_in(login, &better).await? {
                (connection, None) => Ok(connection),
                (_, Some(reply)) => Err(StopReason::NoSecret(NoSecret {
                    why: format!("the server refused the login with a new token, too: {reply}"),
                    code: "login.refused",
                    help: Some(
                        "a token must be for the mailbox in username and for sending over SMTP, which the provider may have to \
                         allow first; docs/login.md says how"
                            .into(),
                    ),
                    is_passing: false,
                })),
            },
        }
    }

    /// A connection with somebody logged in, or the server's refusal of that.
    async fn log_in(&self, login: &Login, given: &Given) -> Result<(Connection, Option<Reply>), StopReason> {
        self.hide(&given.secret);
        let mut connection = self.approach(&mut Way::default()).await?;
        connection.until = given.until;
        match login::login(&mut connection, login, &given.secret, &self.server_name()).await {
            Ok(()) => Ok((connection, None)),
            Err(StopReason::LoginRefused(reply)) => Ok((connection, Some(reply))),
            Err(why) => Err(why),
        }
    }

    /// A connection over which nobody has logged in yet, or why there is none; what is seen on the way is noted.
    pub(super) async fn approach(&self, way: &mut Way) -> Result<Connection, StopReason> {
        let deadlines = self.deadlines();
        let start = Instant::now();
        let mut tcp = dial(&self.account, deadlines.connect()).await.map_err(|why| self.unreachable(why))?;
        let peer = tcp.peer_addr().map_err(|error| self.unreachable(error))?;
        way.reached = Some((peer, start.elapsed()));
        let mut greeting = Greeting::Expected;
        if self.account.tls == Tls::StartTls {
            self.starttls(&mut tcp, deadlines, way).await?;
            greeting = Greeting::Done;
        }
        let (stream, tls): (Box<dyn Duplex>, _) = match &self.tls {
            Some(connector) => {
                let stream = self.handshake(connector, tcp, deadlines, way).await?;
                let session = stream.get_ref().1;
                let version = tls::short(session.protocol_version().and_then(|version| version.as_str()));
                way.encrypted = Some((version, tls::ciphers(session.negotiated_cipher_suite())));
                (Box::new(stream), Some(version))
            }
            None => (Box::new(tcp), None),
        };
        let (wire, record) = Wire::new(stream, peer, greeting, self.unsaid());
        // An address literal: the name of a caseworker's machine is nobody's business.
        let client = ClientId::default();
        let hello = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &client);
        let hello = within(deadlines.greeting(), hello).await;
        way.greeting = way.greeting.take().or(record.greeting());
        let smtp = match hello {
            Ok(Ok(smtp)) => smtp,
            Ok(Err(error)) => {
                let refusal = record.refusal().map(StopReason::Unavailable);
                return Err(refusal.unwrap_or_else(|| self.unreachable(innermost(&error))));
            }
            Err(late) => return Err(self.unreachable(format!("no greeting after {late}"))),
        };
        way.hello = record.reply();
        let offer = record.heard().as_ref().map(Offer::of).unwrap_or_default();
        let habits = Arc::clone(&self.habits);
        Ok(Connection {
            smtp,
            record,
            deadlines,
            peer,
            tls,
            login: None,
            until: None,
            offer,
            transactions: 0,
            is_open: false,
            ahead: Ahead::Unknown,
            is_lost: false,
            is_half_closed: false,
            habits,
            place: None,
        })
    }

    pub(super) fn deadlines(&self) -> Deadlines {
        Deadlines::of(&self.account)
    }

    /// The dialogue in clear up to the handshake (RFC 3207). lettre's own takes what an attacker put behind the
    /// 220 for replies under TLS.
    async fn starttls(&self, tcp: &mut TcpStream, deadlines: Deadlines, way: &mut Way) -> Result<(), StopReason> {
        let unsaid = self.unsaid();
        let mut clear = Clear { tcp, buffer: Vec::new(), connector: self };
        let greeting = clear.reply(deadlines.greeting()).await?.without(&unsaid);
        way.greeting = Some(greeting.clone());
        if greeting.code() >= 400 {
            return Err(StopReason::Unavailable(greeting));
        }
        if greeting.code() != 220 {
            return Err(self.unreachable(format!("its greeting is not understood: {greeting}")));
        }
        let ehlo = clear.command(&format!("EHLO {}\r\n", ClientId::default()), deadlines.command()).await?;
        let shown = ehlo.without(&unsaid);
        way.in_clear = Some(shown.clone());
        if ehlo.code() >= 400 {
            return Err(StopReason::Unavailable(shown));
        }
        if ehlo.code() != 250 || !Offer::of(&ehlo).has(Extension::StartTls) {
            return Err(StopReason::Insecure {
                why: "the server offers no STARTTLS".into(),
                help: Some("use tls = \"implicit\" (port 465) if it has that; mail is not sent in clear".into()),
            });
        }
        let answer = clear.command("STARTTLS\r\n", deadlines.command()).await?.without(&unsaid);
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
        way.is_agreed = true;
        Ok(())
    }

    async fn handshake(
        &self,
        connector: &TlsConnector,
        tcp: TcpStream,
        deadlines: Deadlines,
        way: &mut Way,
    ) -> Result<TlsStream<TcpStream>, StopReason> {
        let host = self.account.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| self.unreachable(error))?;
        match within(deadlines.tls(), connector.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                way.distrusted = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(rustls::Error::InvalidCertificate(why)) => Some(why.clone()),
                    _ => None,
                };
                Err(self.handshake_problem(&error))
            }
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
}

impl Connection {
    /// Whether what was logged in with has expired, and a new connection is better.
    pub(super) fn has_expired(&self) -> bool {
        self.until.is_some_and(|until| until <= Timestamp::now())
    }

    /// Whether several commands can be written at once.
    pub(super) fn pipelines(&self) -> bool {
        self.offer.has(Extension::Pipelining) && !self.habits.is_stepwise.load(Ordering::Relaxed)
    }

    /// Whether the envelope of the next message can go with the content of this one.
    pub(super) fn goes_ahead(&self) -> bool {
        self.pipelines() && !self.habits.takes_each_by_itself.load(Ordering::Relaxed)
    }

    /// Whether that was seen to work. Dovecot's submission service (2.3) breaks off where it gets more than MAIL.
    pub(super) fn is_known_to_go_ahead(&self) -> bool {
        matches!(self.ahead, Ahead::Taken | Ahead::Chunks) && self.goes_ahead()
    }

    /// From now on no connection of the run does that.
    pub(super) fn no_longer_goes_ahead(&self) {
        self.habits.takes_each_by_itself.store(true, Ordering::Relaxed);
    }

    /// Whether the server is to be trusted with BDAT.
    pub(super) fn may_take_chunks(&self) -> bool {
        self.offer.has(Extension::Chunking)
            && self.is_known_to_go_ahead()
            && !self.habits.takes_no_chunks.load(Ordering::Relaxed)
    }

    /// From now on no connection of the run does that.
    pub(super) fn no_longer_takes_chunks(&self) {
        self.habits.takes_no_chunks.store(true, Ordering::Relaxed);
    }

    /// From now on no connection of the run does that.
    pub(super) fn no_longer_pipelines(&self) {
        self.habits.is_stepwise.store(true, Ordering::Relaxed);
    }

    /// One command, and its answer.
    pub(super) async fn say(&mut self, command: &str) -> Answer {
        self.ask(command, 1, self.deadlines.command()).await
    }

    /// Some commands in one write, and the answer to the first.
    pub(super) async fn ask(&mut self, commands: &str, replies: usize, deadline: Duration) -> Answer {
        self.record.expect(replies);
        let said = within(deadline, self.smtp.command(commands)).await;
        self.answer(said.map(Result::err))
    }

    /// Some more commands in one write, before all are answered, and the next answer.
    pub(super) async fn ask_further(&mut self, commands: &str, replies: usize, deadline: Duration) -> Answer {
        self.record.forget();
        self.record.expect_further(replies);
        let said = within(deadline, self.smtp.command(commands)).await;
        let answer = self.answer(said.map(Result::err));
        if !matches!(answer, Answer::Lost(Happening::Closed, _)) {
            return answer;
        }
        // Nothing more can be written; what was answered before can still be read.
        match self.hear(deadline).await {
            Answer::Lost(..) => answer,
            heard => {
                self.is_half_closed = true;
                heard
            }
        }
    }

    /// The answer to the next of several commands.
    pub(super) async fn hear(&mut self, deadline: Duration) -> Answer {
        self.record.forget();
        let heard = within(deadline, self.smtp.read_response()).await;
        self.answer(heard.map(Result::err))
    }

    fn answer(&mut self, said: Result<Option<lettre::transport::smtp::Error>, String>) -> Answer {
        let answer = match said {
            Ok(error) => match (self.record.reply(), error) {
                (Some(reply), _) if reply.code() >= 400 => Answer::No(reply),
                (Some(reply), _) => Answer::Yes(reply),
                (None, Some(error)) => {
                    let (happening, why) = what_happened(&error);
                    Answer::Lost(happening, why)
                }
                (None, None) => Answer::Lost(Happening::Garbage, "the server's reply is not understood".into()),
            },
            Err(late) => Answer::Lost(Happening::Late, format!("no answer after {late}")),
        };
        self.is_lost |= matches!(answer, Answer::Lost(..));
        answer
    }

    /// Says goodbye and does not wait long.
    pub(super) async fn quit(mut self) {
        let _ = within(self.deadlines.quit(), self.smtp.quit()).await;
    }
}

/// Whether the connection was closed or something odd was said, and the sentence for it.
fn what_happened(error: &lettre::transport::smtp::Error) -> (Happening, String) {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let is_odd = cause.downcast_ref::<std::io::Error>().is_none_or(|why| why.kind() == std::io::ErrorKind::Other);
    (if is_odd { Happening::Garbage } else { Happening::Closed }, cause.to_string())
}

/// The sentence at the bottom of an error's causes.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
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
                    return Reply::parse(&reply).ok_or_else(|| not_understood(&reply, &self.connector.unsaid()));
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

/// Connects, logs in and says goodbye; gives how, if it went well.
pub async fn try_login(account: &Account, secrets: Arc<dyn Secrets>) -> Result<Option<Mechanism>, StopReason> {
    let connection = Connector::new(account, Some(secrets))?.connect().await?;
    let mechanism = connection.login;
    connection.quit().await;
    Ok(mechanism)
}

/// A TLS connection for something else than mail, on an account's way, with its deadlines and its trust.
pub(crate) async fn secure(account: &Account) -> Result<TlsStream<TcpStream>, StopReason> {
    let connector = Connector::new(account, None)?;
    let deadlines = connector.deadlines();
    let tcp = dial(account, deadlines.connect()).await.map_err(|why| connector.unreachable(why))?;
    let tls = connector.tls.as_ref().ok_or_else(|| connector.unreachable("it is to be had without TLS alone"))?;
    connector.handshake(tls, tcp, deadlines, &mut Way::default()).await
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
