//! An SMTP server that misbehaves to order.
//!
//! Left alone it is a correct little ESMTP server that records all it is told. A script of [`Act`]s makes it do
//! at any [`Stage`] what a real server can't be made to: fall silent, hang up, answer nonsense, speak out of turn.
//!
//! ```ignore
//! let server = Scripted::builder()
//!     .tls(Tls::StartTls)
//!     .auth("ann", "secret")
//!     .once(Stage::Dot, Act::Drop)
//!     .on_when(|moment| match moment.stage {
//!         Stage::Rcpt if moment.line.contains("<bob@") => Act::reply("550 5.1.1 No such user\r\n"),
//!         _ => Act::Ok,
//!     })
//!     .start();
//! send_to(server.port(), server.ca_file());
//! assert_eq!(server.accepted().len(), server.deliveries().len() - 1);
//! ```

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use session::Session;

mod certificates;
mod sasl;
mod session;

/// What the server does at a stage in place of the ordinary answer.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The ordinary answer; from a rule: no opinion, ask the next one.
    Ok,
    /// These bytes, and the session goes on as if they were the answer: 2xx and 3xx accept, all else refuses; only
    /// 3xx opens a body. No bytes at all are a refusal that nobody hears.
    Reply(Vec<u8>),
    /// Closes the connection without a word (and without TLS's).
    Drop,
    /// As `Drop`, but by TCP reset.
    Reset,
    /// These bytes, then end of stream. What the client still sends is read, lest a reset overtake the bytes.
    ReplyThenDrop(Vec<u8>),
    /// Never answers. Input is read and thrown away until the client hangs up, but at [`Stage::Body`] nothing more
    /// is read, until the server stops: a big enough body (10 MB) then blocks the client's writes.
    Stall,
    /// Waits, then gives the ordinary answer.
    Delay(Duration),
    /// The ordinary answer, a byte at a time with a pause after each.
    Trickle(Duration),
    /// The ordinary answer and, in the same write, these bytes that nobody asked for.
    Extra(Vec<u8>),
    /// A line that never ends; closes after 64 MB.
    Flood,
    /// A reply with ever more continuation lines; closes after 64 MB.
    FloodLines,
}

impl Act {
    /// [`Act::Reply`] with these bytes; line ends are up to the caller.
    pub(crate) fn reply(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Reply(bytes.into())
    }

    /// [`Act::ReplyThenDrop`] with these bytes.
    pub(crate) fn reply_then_drop(bytes: impl Into<Vec<u8>>) -> Self {
        Self::ReplyThenDrop(bytes.into())
    }

    /// [`Act::Extra`] with these bytes.
    pub(crate) fn extra(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Extra(bytes.into())
    }
}

/// A point at which the server would answer. Commands refused as out of order, malformed or unknown reach none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The greeting is due.
    Connect,
    /// EHLO or HELO in clear.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// The handshake is due; there is no ordinary answer, bytes are sent in clear, in front of it.
    TlsHandshake,
    /// EHLO or HELO under TLS.
    EhloTls,
    /// AUTH with a mechanism on offer.
    Auth,
    /// Each line the client sends after a 334.
    AuthResponse,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// The first KB of a body (or all of a shorter one) was read; no ordinary answer, so bytes are out of turn.
    Body,
    /// The final dot was read, or all of what BDAT announced.
    Dot,
    /// RSET.
    Rset,
    /// QUIT; the connection ends whatever the answer.
    Quit,
    /// NOOP.
    Noop,
}

impl Stage {
    /// Every stage, in the order of a session.
    pub(crate) const ALL: [Self; 15] = [
        Self::Connect,
        Self::Ehlo,
        Self::StartTls,
        Self::TlsHandshake,
        Self::EhloTls,
        Self::Auth,
        Self::AuthResponse,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Body,
        Self::Dot,
        Self::Rset,
        Self::Quit,
        Self::Noop,
    ];
}

/// What a rule decides by.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    /// The stage reached.
    pub(crate) stage: Stage,
    /// Which connection, from 0 in order of accept.
    pub(crate) connection: usize,
    /// Which message, from 0 in order of MAIL over the whole server; none outside a transaction.
    pub(crate) message: Option<usize>,
    /// The line just received, without its line end; empty where no line led here.
    pub(crate) line: &'a str,
    /// The recipients accepted so far.
    pub(crate) rcpt_to: &'a [String],
}

/// When the server speaks TLS.
#[allow(clippy::enum_variant_names, reason = "STARTTLS has no other name")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Never.
    None,
    /// After STARTTLS.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// A command line as received, or an answer to a 334. Bodies are left out.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The connection it came on.
    pub(crate) connection: usize,
    /// When it was read.
    pub(crate) at: Instant,
    /// Whether it came under TLS.
    pub(crate) tls: bool,
    /// The line without its CRLF.
    pub(crate) text: String,
}

/// A message whose final dot was read, acknowledged or not.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The connection it came on.
    pub(crate) connection: usize,
    /// Its number, as in [`Moment::message`].
    pub(crate) message: usize,
    /// The envelope's sender, without brackets.
    pub(crate) mail_from: String,
    /// The recipients that were accepted.
    pub(crate) rcpt_to: Vec<String>,
    /// The message, dots unstuffed.
    pub(crate) data: Vec<u8>,
    /// The bytes on the wire, final dot and all.
    pub(crate) raw: Vec<u8>,
    /// When MAIL was read.
    pub(crate) at_mail: Instant,
    /// When the final dot was read.
    pub(crate) at_dot: Instant,
    /// The answer to the final dot, noted just before it is sent.
    pub(crate) answered: Option<String>,
    /// The version of TLS it came under.
    pub(crate) tls: Option<String>,
    /// Who had authenticated.
    pub(crate) user: Option<String>,
}

impl Delivery {
    fn is_accepted(&self) -> bool {
        self.answered.as_ref().is_some_and(|answer| answer.starts_with('2'))
    }
}

type Rule = Box<dyn Fn(&Moment<'_>) -> Act + Send + Sync>;

/// Prepares a [`Scripted`] server: by default no TLS, no AUTH, and nothing out of the ordinary.
pub(crate) struct Builder {
    tls: Tls,
    names: Vec<String>,
    wants_client: bool,
    secret: Option<(String, String)>,
    offer: Option<String>,
    offer_in_clear: String,
    extensions: Vec<String>,
    rules: Vec<Rule>,
}

impl Builder {
    /// Whether and how TLS is spoken.
    pub(crate) fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// The host names and addresses on the certificate, in place of `localhost` and `127.0.0.1`.
    pub(crate) fn certificate_for(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(ToString::to_string).collect();
        self
    }

    /// Lets nobody in who has no certificate of its CA; one is in `client.pem` and `client-key.pem` beside the CA's.
    pub(crate) fn wants_client_certificate(mut self) -> Self {
        self.wants_client = true;
        self
    }

    /// Demands AUTH before MAIL. For XOAUTH2 the password is the token.
    pub(crate) fn auth(mut self, user: &str, password: &str) -> Self {
        self.secret = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// The mechanisms on offer under TLS, `PLAIN LOGIN` unless told; the server knows XOAUTH2, too.
    pub(crate) fn auth_offer(mut self, mechanisms: &str) -> Self {
        self.offer = Some(mechanisms.to_owned());
        self
    }

    /// The mechanisms on offer in clear, none unless told.
    pub(crate) fn auth_offer_before_tls(mut self, mechanisms: &str) -> Self {
        mechanisms.clone_into(&mut self.offer_in_clear);
        self
    }

    /// The lines in EHLO's answer besides STARTTLS and AUTH, in place of a usual set. None of them is enforced.
    pub(crate) fn extensions(mut self, lines: &[&str]) -> Self {
        self.extensions = lines.iter().map(ToString::to_string).collect();
        self
    }

    /// Acts like this whenever the stage is reached.
    pub(crate) fn on(self, stage: Stage, act: Act) -> Self {
        self.on_when(move |moment| if moment.stage == stage { act.clone() } else { Act::Ok })
    }

    /// Acts like this when the stage is reached for the first time on any connection.
    pub(crate) fn once(self, stage: Stage, act: Act) -> Self {
        let used = AtomicBool::new(false);
        self.on_when(
            move |moment| {
                if moment.stage == stage && !used.swap(true, Ordering::Relaxed) { act.clone() } else { Act::Ok }
            },
        )
    }

    /// Asks this rule at every stage. Rules are asked in the order given, until one says other than [`Act::Ok`].
    pub(crate) fn on_when(mut self, rule: impl Fn(&Moment<'_>) -> Act + Send + Sync + 'static) -> Self {
        self.rules.push(Box::new(rule));
        self
    }

    /// Starts to listen on a free port of 127.0.0.1.
    pub(crate) fn start(self) -> Scripted {
        let certificates = tempfile::tempdir().expect("a directory for the certificates");
        let (ca_file, other_ca_file) = (certificates.path().join("ca.pem"), certificates.path().join("other-ca.pem"));
        let ca = certificates::authority("Throw-away test CA", &ca_file);
        certificates::authority("Another throw-away test CA", &other_ca_file);
        if self.wants_client {
            certificates::client(&ca, certificates.path());
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("the listener's address").port();
        let shared = Arc::new(Shared {
            tls_config: certificates::server_config(&ca, self.names.clone(), self.wants_client),
            setup: self,
            stopping: AtomicBool::new(false),
            state: Mutex::default(),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Scripted { port, ca_file, other_ca_file, _certificates: certificates, shared, acceptor: Some(acceptor).into() }
    }
}

/// A running server. Dropping it stops it.
pub(crate) struct Scripted {
    port: u16,
    ca_file: PathBuf,
    other_ca_file: PathBuf,
    _certificates: tempfile::TempDir,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl Scripted {
    /// A server to be configured.
    pub(crate) fn builder() -> Builder {
        let usual = ["PIPELINING", "SIZE 52428800", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"];
        Builder {
            tls: Tls::None,
            names: vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()],
            wants_client: false,
            secret: None,
            offer: None,
            offer_in_clear: String::new(),
            extensions: usual.map(str::to_owned).into(),
            rules: Vec::new(),
        }
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The PEM file of the CA that signed the server's certificate.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The PEM file of a CA that didn't.
    pub(crate) fn other_ca_file(&self) -> &Path {
        &self.other_ca_file
    }

    /// Every message whose final dot was read, in that order.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.clone()
    }

    /// Those of the [`deliveries`](Self::deliveries) that were acknowledged with 2xx.
    pub(crate) fn accepted(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.iter().filter(|delivery| delivery.is_accepted()).cloned().collect()
    }

    /// How many those are.
    pub(crate) fn sent(&self) -> usize {
        self.shared.state().deliveries.iter().filter(|delivery| delivery.is_accepted()).count()
    }

    /// Every line received so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.shared.state().lines.clone()
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// The most connections that were open at once. One is over at QUIT, when the server drops it, or when the
    /// server notices that the client did.
    pub(crate) fn max_parallel(&self) -> usize {
        self.shared.state().max_parallel
    }

    /// Waits until this holds of the server; whether it did within the limit.
    pub(crate) fn wait_until(&self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + limit;
        while !holds(self) {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Closes the port and all connections and waits for the threads. The records remain.
    pub(crate) fn stop(&self) {
        let acceptor = self.acceptor.lock().expect("nobody panicked while stopping").take();
        let Some(acceptor) = acceptor else { return };
        self.shared.stopping.store(true, Ordering::Relaxed);
        // Wakes the acceptor, which looks at the flag first.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let mut whole = woken.is_ok() && acceptor.join().is_ok();
        for socket in self.shared.state().sockets.values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let threads = std::mem::take(&mut self.shared.state().threads);
        for thread in threads {
            whole &= thread.join().is_ok();
        }
        assert!(whole || thread::panicking(), "a thread of the scripted server panicked");
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Shared {
    setup: Builder,
    tls_config: Arc<ServerConfig>,
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: usize,
    open: usize,
    max_parallel: usize,
    messages: usize,
    lines: Vec<Line>,
    deliveries: Vec<Delivery>,
    /// A second handle on each live connection, by which to cut it off.
    sockets: HashMap<usize, TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with the state in hand")
    }

    fn next_message(&self) -> usize {
        let mut state = self.state();
        state.messages += 1;
        state.messages - 1
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let socket = socket.expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        let mut state = shared.state();
        let connection = state.connections;
        state.connections += 1;
        state.open += 1;
        state.max_parallel = state.max_parallel.max(state.open);
        state.sockets.insert(connection, socket.try_clone().expect("a second handle"));
        let session = Session::new(Arc::clone(shared), connection, socket);
        // An error only says that the connection is over.
        state.threads.push(thread::spawn(move || drop(session.run())));
    }
}
