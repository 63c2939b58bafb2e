//! One connection, from greeting to end.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};

use super::{Act, Delivery, Line, Moment, Shared, Stage, Tls, sasl};

/// How much of a body is read before [`Stage::Body`] is reached.
const BODY_STAGE: usize = 1024;
/// Where a flood ends, should the client swallow all of it.
const FLOOD: usize = 64 << 20;

trait Wire: Read + Write + Send {
    /// Says goodbye, where the protocol has a word for it.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire for TcpStream {}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn close(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

struct Transaction {
    message: usize,
    mail_from: String,
    rcpt_to: Vec<String>,
    at_mail: Instant,
}

pub(super) struct Session {
    shared: Arc<Shared>,
    connection: usize,
    /// The TCP connection, for all but conversation.
    socket: TcpStream,
    wire: BufReader<Box<dyn Wire>>,
    /// The version of TLS, once there is any.
    tls: Option<String>,
    /// Whether the connection still counts as open.
    counted: bool,
    /// Whether the greeting was a refusal.
    rejected: bool,
    greeted: bool,
    user: Option<String>,
    transaction: Option<Transaction>,
    /// The delivery that the next bytes sent will answer.
    unanswered: Option<usize>,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, connection: usize, socket: TcpStream) -> Self {
        Self {
            shared,
            connection,
            wire: BufReader::new(Box::new(socket.try_clone().expect("another handle"))),
            socket,
            tls: None,
            counted: true,
            rejected: false,
            greeted: false,
            user: None,
            transaction: None,
            unanswered: None,
        }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        if self.shared.setup.tls == Tls::Implicit {
            self.handshake()?;
        }
        let answer = self.perform(Stage::Connect, "", "220 localhost ESMTP scripted\r\n")?;
        self.rejected = !matches!(answer, b'2' | b'3');
        loop {
            let line = self.line()?;
            self.command(&line)?;
        }
    }

    fn command(&mut self, line: &str) -> io::Result<()> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let starttls = self.shared.setup.tls == Tls::StartTls && self.tls.is_none();
        match verb.to_ascii_uppercase().as_str() {
            "QUIT" => {
                self.count_out();
                self.perform(Stage::Quit, line, "221 2.0.0 Bye\r\n")?;
                self.wire.get_mut().close()?;
                Err(over())
            }
            _ if self.rejected => self.say("503 5.5.1 Error: no service here\r\n"),
            hello @ ("EHLO" | "HELO") => {
                let ordinary = if hello == "EHLO" { self.capabilities(starttls) } else { "250 localhost\r\n".into() };
                let stage = if self.tls.is_some() { Stage::EhloTls } else { Stage::Ehlo };
                if matches!(self.perform(stage, line, &ordinary)?, b'2' | b'3') {
                    self.greeted = true;
                    self.transaction = None;
                }
                Ok(())
            }
            "NOOP" => self.perform(Stage::Noop, line, "250 2.0.0 Ok\r\n").map(drop),
            "RSET" => {
                if self.perform(Stage::Rset, line, "250 2.0.0 Ok\r\n")? == b'2' {
                    self.transaction = None;
                }
                Ok(())
            }
            "STARTTLS" if starttls && self.greeted => {
                if matches!(self.perform(Stage::StartTls, line, "220 2.0.0 Ready to start TLS\r\n")?, b'2' | b'3') {
                    self.handshake()?;
                }
                Ok(())
            }
            "STARTTLS" if !starttls => self.say("502 5.5.1 Error: STARTTLS is not on offer\r\n"),
            "AUTH" if self.greeted && self.user.is_none() && self.transaction.is_none() => self.auth(line, rest),
            "MAIL" if self.greeted && self.transaction.is_none() => self.mail(line, rest),
            "RCPT" if self.transaction.is_some() => self.rcpt(line, rest),
            "DATA" if self.transaction.is_some() => self.data(line),
            "BDAT" => self.bdat(line, rest),
            "STARTTLS" | "AUTH" | "MAIL" | "RCPT" | "DATA" => self.say("503 5.5.1 Error: not in this order\r\n"),
            _ => self.say("500 5.5.2 Error: command not recognized\r\n"),
        }
    }

    fn capabilities(&self, starttls: bool) -> String {
        let starttls = starttls.then(|| "STARTTLS".to_owned());
        let auth = Some(self.offer()).filter(|offer| !offer.is_empty()).map(|offer| format!("AUTH {offer}"));
        let mut lines = vec!["localhost".to_owned()];
        lines.extend(self.shared.setup.extensions.iter().cloned().chain(starttls).chain(auth));
        let last = lines.pop().expect("the host's name at least");
        lines.iter().map(|line| format!("250-{line}\r\n")).collect::<String>() + &format!("250 {last}\r\n")
    }

    /// The mechanisms on offer on this connection as it is now.
    fn offer(&self) -> &str {
        let setup = &self.shared.setup;
        match (&setup.offer, &setup.secret) {
            _ if self.tls.is_none() => &setup.offer_in_clear,
            (Some(offer), _) => offer,
            (None, Some(_)) => "PLAIN LOGIN",
            (None, None) => "",
        }
    }

    fn auth(&mut self, line: &str, rest: &str) -> io::Result<()> {
        let (mechanism, initial) = rest.split_once(' ').map_or((rest, None), |(name, more)| (name, Some(more)));
        if !self.offer().split_whitespace().any(|offered| offered.eq_ignore_ascii_case(mechanism)) {
            return self.say("504 5.5.4 Error: mechanism is not on offer here\r\n");
        }
        let mut responses = Vec::new();
        let (mut stage, mut line, mut response) = (Stage::Auth, line.to_owned(), initial.map(str::to_owned));
        loop {
            let decoded = response.as_deref().map(sasl::decode);
            let malformed = decoded == Some(None);
            responses.extend(decoded.flatten());
            let ordinary = if malformed {
                "501 5.5.2 Error: cancelled, or not base64\r\n"
            } else {
                sasl::judge(self.shared.setup.secret.as_ref(), mechanism, &responses)
            };
            match self.perform(stage, &line, ordinary)? {
                b'3' => line = self.line()?,
                answer => {
                    let user = || self.shared.setup.secret.clone().unwrap_or_default().0;
                    self.user = (answer == b'2').then(user);
                    return Ok(());
                }
            }
            (stage, response) = (Stage::AuthResponse, Some(line.clone()));
        }
    }

    fn mail(&mut self, line: &str, rest: &str) -> io::Result<()> {
        if self.shared.setup.secret.is_some() && self.user.is_none() {
            return self.say("530 5.7.0 Error: authentication required\r\n");
        }
        let Some(sender) = path(rest, "FROM:") else {
            return self.say("501 5.1.7 Error: syntax is MAIL FROM:<address>\r\n");
        };
        let message = self.shared.next_message();
        let (mail_from, rcpt_to, at_mail) = (sender.to_owned(), Vec::new(), Instant::now());
        self.transaction = Some(Transaction { message, mail_from, rcpt_to, at_mail });
        if !matches!(self.perform(Stage::Mail, line, "250 2.1.0 Ok\r\n")?, b'2' | b'3') {
            self.transaction = None;
        }
        Ok(())
    }

    fn rcpt(&mut self, line: &str, rest: &str) -> io::Result<()> {
        let Some(recipient) = path(rest, "TO:").filter(|address| !address.is_empty()) else {
            return self.say("501 5.1.3 Error: syntax is RCPT TO:<address>\r\n");
        };
        if matches!(self.perform(Stage::Rcpt, line, "250 2.1.5 Ok\r\n")?, b'2' | b'3') {
            self.transaction.as_mut().expect("checked").rcpt_to.push(recipient.to_owned());
        }
        Ok(())
    }

    fn data(&mut self, line: &str) -> io::Result<()> {
        if self.transaction.as_ref().expect("checked").rcpt_to.is_empty() {
            return self.say("554 5.5.1 Error: no valid recipients\r\n");
        }
        if self.perform(Stage::Data, line, "354 End data with <CR><LF>.<CR><LF>\r\n")? != b'3' {
            return Ok(());
        }
        let (data, raw) = self.body()?;
        self.received(data, raw, ".")
    }

    /// RFC 3030 §2: the content is read in any case. Only a whole message in one piece is taken.
    fn bdat(&mut self, line: &str, rest: &str) -> io::Result<()> {
        let Ok(size) = rest.strip_suffix(" LAST").unwrap_or(rest).parse() else {
            return self.say("501 5.5.4 Error: syntax is BDAT octets LAST\r\n");
        };
        let mut data = vec![0; size];
        self.wire.read_exact(&mut data)?;
        match &self.transaction {
            None => self.say("503 5.5.1 Error: not in this order\r\n"),
            Some(transaction) if transaction.rcpt_to.is_empty() => self.say("554 5.5.1 Error: no valid recipients\r\n"),
            Some(_) => {
                self.perform(Stage::Body, "", "")?;
                self.received(data.clone(), data, line)
            }
        }
    }

    fn received(&mut self, data: Vec<u8>, raw: Vec<u8>, line: &str) -> io::Result<()> {
        let transaction = self.transaction.as_ref().expect("checked");
        let delivery = Delivery {
            connection: self.connection,
            message: transaction.message,
            mail_from: transaction.mail_from.clone(),
            rcpt_to: transaction.rcpt_to.clone(),
            data,
            raw,
            at_mail: transaction.at_mail,
            at_dot: Instant::now(),
            answered: None,
            tls: self.tls.clone(),
            user: self.user.clone(),
        };
        let ordinary = format!("250 2.0.0 Ok: queued as {}\r\n", transaction.message);
        let mut state = self.shared.state();
        self.unanswered = Some(state.deliveries.len());
        state.deliveries.push(delivery);
        drop(state);
        self.perform(Stage::Dot, line, &ordinary)?;
        (self.unanswered, self.transaction) = (None, None);
        Ok(())
    }

    /// Reads up to the dot between two CRLFs; a bare LF or CR ends nothing.
    fn body(&mut self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let (mut data, mut raw) = (Vec::new(), Vec::new());
        let (mut after_crlf, mut staged) = (true, false);
        loop {
            let start = raw.len();
            self.wire.read_until(b'\n', &mut raw)?;
            let line = &raw[start..];
            let (crlf, dot) = (line.ends_with(b"\r\n"), after_crlf && line == b".\r\n");
            if !line.ends_with(b"\n") {
                return Err(over());
            } else if !dot {
                data.extend_from_slice(line.strip_prefix(b".").filter(|_| after_crlf).unwrap_or(line));
            }
            if !staged && (dot || raw.len() >= BODY_STAGE) {
                staged = true;
                self.perform(Stage::Body, "", "")?;
            }
            if dot {
                return Ok((data, raw));
            }
            after_crlf = crlf;
        }
    }

    fn handshake(&mut self) -> io::Result<()> {
        self.perform(Stage::TlsHandshake, "", "")?;
        let mut server = ServerConnection::new(Arc::clone(&self.shared.tls_config)).expect("a usable TLS set-up");
        while server.is_handshaking() {
            server.complete_io(&mut self.socket)?;
        }
        self.tls = server.protocol_version().map(|version| format!("{version:?}"));
        // What a client sent in clear behind STARTTLS goes with the old buffer.
        self.wire = BufReader::new(Box::new(StreamOwned::new(server, self.socket.try_clone()?)));
        (self.greeted, self.user, self.transaction) = (false, None, None);
        Ok(())
    }

    /// Does what the script says; the first byte of the answer, 0 if there was none.
    fn perform(&mut self, stage: Stage, line: &str, ordinary: &str) -> io::Result<u8> {
        let class = ordinary.bytes().next().unwrap_or(0);
        match self.decide(stage, line) {
            Act::Ok => self.say(ordinary)?,
            Act::Reply(bytes) => {
                self.say(&bytes)?;
                return Ok(bytes.first().copied().unwrap_or(0));
            }
            Act::Extra(bytes) => self.say([ordinary.as_bytes(), &bytes].concat())?,
            Act::Delay(duration) => {
                self.sleep(duration)?;
                self.say(ordinary)?;
            }
            Act::Trickle(pause) => {
                self.note_answer(ordinary.as_bytes());
                for byte in ordinary.bytes() {
                    self.say([byte])?;
                    self.sleep(pause)?;
                }
            }
            Act::Drop => return Err(over()),
            Act::Reset => {
                // The only way to it without `unsafe` or another dependency.
                tokio::net::TcpSocket::from_std_stream(self.socket.try_clone()?).set_zero_linger()?;
                return Err(over());
            }
            Act::ReplyThenDrop(bytes) => {
                self.say(bytes)?;
                self.count_out();
                self.socket.shutdown(Shutdown::Write)?;
                self.socket.set_read_timeout(Some(Duration::from_secs(1)))?;
                return self.discard_input();
            }
            Act::Stall if stage == Stage::Body => self.sleep(Duration::from_secs(3600))?,
            Act::Stall => return self.discard_input(),
            Act::Flood => return self.flood("x"),
            Act::FloodLines => return self.flood(&format!("{}-more\r\n", ordinary.get(..3).unwrap_or("250"))),
        }
        Ok(class)
    }

    fn decide(&self, stage: Stage, line: &str) -> Act {
        let transaction = self.transaction.as_ref();
        let moment = Moment {
            stage,
            connection: self.connection,
            message: transaction.map(|transaction| transaction.message),
            line,
            rcpt_to: transaction.map_or(&[], |transaction| &transaction.rcpt_to),
        };
        let mut acts = self.shared.setup.rules.iter().map(|rule| rule(&moment));
        acts.find(|act| !matches!(act, Act::Ok)).unwrap_or(Act::Ok)
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.note_answer(bytes.as_ref());
        self.wire.get_mut().write_all(bytes.as_ref())?;
        self.wire.get_mut().flush()
    }

    fn note_answer(&mut self, bytes: &[u8]) {
        if let Some(index) = self.unanswered.take() {
            self.shared.state().deliveries[index].answered = Some(String::from_utf8_lossy(bytes).into_owned());
        }
    }

    fn flood(&mut self, unit: &str) -> io::Result<u8> {
        let chunk = unit.repeat(65536 / unit.len());
        for _ in 0..FLOOD / chunk.len() {
            self.wire.get_mut().write_all(chunk.as_bytes())?;
        }
        Err(over())
    }

    /// Reads until the client hangs up.
    fn discard_input(&mut self) -> io::Result<u8> {
        let mut buffer = [0; 4096];
        while self.socket.read(&mut buffer)? > 0 {}
        Err(over())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.wire.read_until(b'\n', &mut bytes)?;
        let Some(text) = bytes.strip_suffix(b"\r\n") else {
            if bytes.ends_with(b"\n") {
                self.say("521 5.5.2 Error: bare <LF> received\r\n")?;
            }
            return Err(over());
        };
        let text = String::from_utf8_lossy(text).into_owned();
        let (connection, tls) = (self.connection, self.tls.is_some());
        let line = Line { connection, at: Instant::now(), tls, text: text.clone() };
        self.shared.state().lines.push(line);
        Ok(text)
    }

    /// Sleeps, unless and until the server stops.
    fn sleep(&self, duration: Duration) -> io::Result<()> {
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.shared.stopping.load(Ordering::Relaxed) {
                return Err(over());
            } else if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(20)));
        }
    }

    /// Counts the connection as over, once.
    fn count_out(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.shared.state().open -= 1;
        }
    }
}

impl Drop for Session {
    /// Lets go of the second handle, too, so that the first one's end closes the connection.
    fn drop(&mut self) {
        self.count_out();
        self.shared.state().sockets.remove(&self.connection);
    }
}

/// Ends a session.
fn over() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// The address in `FROM:<address> PARAMETERS`.
fn path<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let (start, rest) = argument.split_at_checked(keyword.len())?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.rsplit_once('>')?;
    start.eq_ignore_ascii_case(keyword).then_some(address)
}
