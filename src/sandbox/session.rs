//! One SMTP session of a sandbox (RFC 5321): TLS first, AUTH before mail, everything accepted and kept.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::capture::{Capture, CapturedEnvelope};

/// RFC 5321 §4.5.3.1.4 wants 512; AUTH may need more (RFC 4954 §4).
const MOST_LINE: u64 = 16 * 1024;

/// The size that EHLO announces (RFC 1870).
const MOST_MESSAGE: usize = 64 << 20;

/// Nobody is waited for longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What all sessions share.
pub(super) struct Shared {
    pub(super) capture: Capture,
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// Serves one client until it leaves.
pub(super) async fn serve(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    // A client that breaks off is its own affair; what was kept until then is kept.
    if let Ok(stream) = acceptor.accept(stream).await {
        let tls = match stream.get_ref().1.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "unknown",
        };
        let mut session =
            Session { stream: BufStream::new(stream), shared, tls, user: None, from: None, to: Vec::new() };
        let _ = session.run().await;
    }
}

struct Session {
    stream: BufStream<TlsStream<TcpStream>>,
    shared: Arc<Shared>,
    tls: &'static str,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    async fn run(&mut self) -> io::Result<()> {
        self.say("220 sandbox.apiece.example ESMTP keeps what it is sent").await?;
        while let Some(line) = self.line().await? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let size = format!("250 SIZE {MOST_MESSAGE}");
                    self.say(&format!(
                        "250-sandbox.apiece.example\r\n250-AUTH PLAIN LOGIN\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n{size}"
                    ))
                    .await?;
                }
                "HELO" => self.say("250 sandbox.apiece.example").await?,
                "AUTH" => self.auth(argument).await?,
                "NOOP" => self.say("250 2.0.0 OK").await?,
                "RSET" => {
                    self.reset();
                    self.say("250 2.0.0 OK").await?;
                }
                "QUIT" => {
                    self.say("221 2.0.0 Bye").await?;
                    return Ok(());
                }
                "MAIL" | "RCPT" | "DATA" if self.user.is_none() => {
                    self.say("530 5.7.0 Authentication required").await?;
                }
                "MAIL" => self.mail(argument).await?,
                "RCPT" => self.rcpt(argument).await?,
                "DATA" => self.data().await?,
                _ => self.say("500 5.5.1 What is that?").await?,
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn mail(&mut self, argument: &str) -> io::Result<()> {
        match path(argument, "FROM:") {
            Some(_) if self.from.is_some() => self.say("503 5.5.1 One MAIL at a time").await,
            Some(from) => {
                self.from = Some(from);
                self.say("250 2.1.0 OK").await
            }
            None => self.say("501 5.5.4 MAIL FROM:<address>").await,
        }
    }

    /// More than one is taken: what a client really sends is what the proof is about.
    async fn rcpt(&mut self, argument: &str) -> io::Result<()> {
        match path(argument, "TO:") {
            _ if self.from.is_none() => self.say("503 5.5.1 MAIL first").await,
            Some(to) => {
                self.to.push(to);
                self.say("250 2.1.5 OK").await
            }
            None => self.say("501 5.5.4 RCPT TO:<address>").await,
        }
    }

    async fn data(&mut self) -> io::Result<()> {
        let (Some(from), false) = (self.from.clone(), self.to.is_empty()) else {
            return self.say("503 5.5.1 RCPT first").await;
        };
        self.say("354 End with a dot").await?;
        let Some(message) = read_message(&mut self.stream).await? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let envelope = CapturedEnvelope {
            mail_from: from,
            rcpt_to: std::mem::take(&mut self.to),
            tls: Some(self.tls.into()),
            authenticated_as: self.user.clone(),
        };
        self.reset();
        match self.shared.capture.write(&envelope, &message) {
            Ok(number) => self.say(&format!("250 2.0.0 OK, kept as {number:07}")).await,
            Err(error) => self.say(&format!("452 4.3.1 It cannot be kept: {error}")).await,
        }
    }

    async fn auth(&mut self, argument: &str) -> io::Result<()> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let known = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let response = if initial.is_empty() { self.ask("").await? } else { decoded(initial) };
                let parts: Vec<&str> = response.split('\0').collect();
                parts.len() == 3 && parts[1] == self.shared.user && parts[2] == self.shared.password.expose_secret()
            }
            "LOGIN" => {
                let user = self.ask("Username:").await?;
                let password = self.ask("Password:").await?;
                user == self.shared.user && password == self.shared.password.expose_secret()
            }
            _ => return self.say("504 5.5.4 PLAIN or LOGIN").await,
        };
        if known {
            self.user = Some(self.shared.user.clone());
            self.say("235 2.7.0 Welcome").await
        } else {
            self.say("535 5.7.8 Wrong name or password").await
        }
    }

    async fn ask(&mut self, challenge: &str) -> io::Result<String> {
        self.say(&format!("334 {}", BASE64_STANDARD.encode(challenge))).await?;
        Ok(decoded(&self.line().await?.unwrap_or_default()))
    }

    async fn say(&mut self, words: &str) -> io::Result<()> {
        self.stream.write_all(format!("{words}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let line = read_line(&mut self.stream).await?;
        Ok(line.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}

fn decoded(base64: &str) -> String {
    String::from_utf8_lossy(&BASE64_STANDARD.decode(base64).unwrap_or_default()).into_owned()
}

/// The address in `FROM:<address> PARAMETERS`.
fn path(argument: &str, word: &str) -> Option<String> {
    let rest =
        argument.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word)).map(|_| &argument[word.len()..])?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

/// A line with its end, or `None` where there is no other.
async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    tokio::time::timeout(PATIENCE, stream.take(MOST_LINE).read_until(b'\n', &mut line)).await??;
    match line.last() {
        Some(b'\n') => Ok(Some(line)),
        None => Ok(None),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The lines up to the one with the dot alone, dot-stuffing undone. A bare LF ends no line.
async fn read_message(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let mut line_begins = true;
    loop {
        let Some(line) = read_line(stream).await? else { return Ok(None) };
        if line_begins && line == b".\r\n" {
            return Ok(Some(message));
        }
        let stuffed = line_begins && line[0] == b'.';
        message.extend_from_slice(&line[usize::from(stuffed)..]);
        line_begins = line.ends_with(b"\r\n");
        if message.len() > MOST_MESSAGE {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
