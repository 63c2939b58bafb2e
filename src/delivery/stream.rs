//! The stream under lettre's connection.
//!
//! It reads a whole reply, keeps it word for word, and hands lettre nothing but its code: what is odd about a reply
//! (other letters than UTF-8's, a code alone, a thousand lines) is settled here. It notices what the server says
//! unasked, knows how much of a command has been handed to the network, and puts a limit on what is read.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Reply;
use crate::secret::{NOT_SHOWN, Unsaid};

/// A reply longer than this is none.
pub(super) const MOST_REPLY_BYTES: usize = 32 * 1024;

/// What a connection runs over: TCP, or TLS over it.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// What is known of the exchange under way. Shared, since lettre keeps the stream to itself.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<Exchange>>);

#[derive(Default)]
struct Exchange {
    greeting: Option<Reply>,
    reply: Option<Reply>,
    /// The same word for word, for what is to be understood of it; nobody is shown this.
    heard: Option<Reply>,
    /// The last 4xx or 5xx, whatever was said since.
    refusal: Option<Reply>,
    /// How many bytes of the commands were handed to the network.
    written: usize,
    /// How many more replies than the next one are to come.
    further: usize,
    /// Between the last whole reply and the next command.
    idle: bool,
    /// What must not be repeated, whoever repeats it.
    unsaid: Unsaid,
}

impl Record {
    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is written next is so many commands, each of which is answered (RFC 2920).
    pub(super) fn expect(&self, replies: usize) {
        self.exchange().further = replies.saturating_sub(1);
    }

    /// The same before all that were written before are answered.
    pub(super) fn expect_further(&self, replies: usize) {
        self.exchange().further += replies;
    }

    /// From now on a secret is left out of what the server says: it may repeat what it was told.
    pub(super) fn hide(&self, secret: &str) {
        self.exchange().unsaid.add(secret);
    }

    /// What may be shown of a text.
    pub(super) fn shown(&self, text: &str) -> String {
        self.exchange().unsaid.shown(text).into_owned()
    }

    /// What was said last, word for word: to be understood, and not to be shown.
    pub(super) fn heard(&self) -> Option<Reply> {
        self.exchange().heard.clone()
    }

    /// What was said first, if it was not before TLS.
    pub(super) fn greeting(&self) -> Option<Reply> {
        self.exchange().greeting.clone()
    }

    /// What was said last since the last commands were written, if anything was.
    pub(super) fn reply(&self) -> Option<Reply> {
        self.exchange().reply.clone()
    }

    /// Something further is listened for.
    pub(super) fn forget(&self) {
        let mut exchange = self.exchange();
        exchange.reply = None;
        exchange.heard = None;
    }

    /// The last 4xx or 5xx, whatever was said since.
    pub(super) fn refusal(&self) -> Option<Reply> {
        self.exchange().refusal.clone()
    }

    /// How many bytes of the last commands were handed to the network, at most.
    pub(super) fn written(&self) -> usize {
        self.exchange().written
    }
}

/// The stream that lettre gets.
pub(super) struct Wire {
    inner: Box<dyn Duplex>,
    peer: SocketAddr,
    record: Record,
    /// Read from the network and not part of a whole reply yet.
    inbox: Vec<u8>,
    /// For lettre to read.
    outbox: Vec<u8>,
    greeted: bool,
}

/// Whether the server's greeting is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    Expected,
    /// It came before TLS; lettre wants one all the same.
    Done,
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the server closed the connection")
}

impl Wire {
    /// The server may have been told the secrets over another connection.
    pub(super) fn new(inner: Box<dyn Duplex>, peer: SocketAddr, greeting: Greeting, unsaid: Unsaid) -> (Self, Record) {
        let record = Record::default();
        record.exchange().unsaid = unsaid;
        let mut wire =
            Self { inner, peer, record: record.clone(), inbox: Vec::new(), outbox: Vec::new(), greeted: false };
        if greeting == Greeting::Done {
            wire.greeted = true;
            wire.outbox.extend_from_slice(b"220 \r\n");
            record.exchange().idle = true;
        }
        (wire, record)
    }

    /// Reads what there is. Ready with 0 at the end.
    fn fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; 4096];
        let mut buffer = ReadBuf::new(&mut space);
        match ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer)) {
            Ok(()) => {}
            // rustls's way of saying that the server did not say goodbye
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
            Err(error) => return Poll::Ready(Err(error)),
        }
        self.inbox.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads on until there is a whole reply, and writes it down.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Reply>> {
        let end = loop {
            if let Some(end) = end_of_reply(&self.inbox) {
                break end;
            }
            if self.inbox.len() > MOST_REPLY_BYTES {
                return Poll::Ready(Err(io::Error::other("the server's reply is endless")));
            }
            if ready!(self.fill(context))? == 0 {
                return Poll::Ready(Err(closed()));
            }
        };
        let bytes: Vec<u8> = self.inbox.drain(..end).collect();
        let reply = Reply::parse(&bytes).filter(|reply| self.greeted || reply.code() == 220 || reply.code() >= 400);
        let mut exchange = self.record.exchange();
        let Some(heard) = reply else {
            return Poll::Ready(Err(io::Error::other(not_understood(&bytes, &exchange.unsaid))));
        };
        let reply = heard.without(&exchange.unsaid);
        exchange.heard = Some(heard);
        let is_greeting = !std::mem::replace(&mut self.greeted, true);
        if is_greeting {
            exchange.greeting = Some(reply.clone());
        }
        if reply.code() >= 400 {
            exchange.refusal = Some(reply.clone());
        }
        exchange.reply = Some(reply.clone());
        exchange.idle = exchange.further == 0;
        exchange.further = exchange.further.saturating_sub(1);
        Poll::Ready(Ok(reply))
    }

    /// A command may begin only when the server has nothing left to say: a reply that nobody asked for would be
    /// taken for the answer to what comes next.
    fn begin(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let said = if self.inbox.is_empty() { self.fill(context) } else { Poll::Ready(Ok(self.inbox.len())) };
        let mut exchange = self.record.exchange();
        exchange.reply = None;
        exchange.heard = None;
        exchange.written = 0;
        exchange.idle = false;
        match said {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(0)) => Err(closed()),
            Poll::Ready(Ok(_)) => {
                let words = quoted(&self.inbox, &exchange.unsaid);
                Err(io::Error::other(format!("the server said, unasked: {words}")))
            }
        }
    }
}

/// What is said of bytes that are no reply.
pub(super) fn not_understood(bytes: &[u8], unsaid: &Unsaid) -> String {
    format!("the server's reply is not understood: {}", quoted(bytes, unsaid))
}

/// What may be shown of bytes.
fn quoted(bytes: &[u8], unsaid: &Unsaid) -> String {
    let words = String::from_utf8_lossy(bytes);
    unsaid.left_of(words.trim_end()).map_or_else(|| NOT_SHOWN.into(), |words| crate::diagnostic::quoted(&words))
}

/// Where the first whole reply ends: behind the first line whose code is not followed by a hyphen.
pub(super) fn end_of_reply(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    while let Some(length) = bytes[start..].iter().position(|byte| *byte == b'\n') {
        let end = start + length + 1;
        if bytes[start..end].get(3) != Some(&b'-') {
            return Some(end);
        }
        start = end;
    }
    None
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.outbox.is_empty() {
            let reply = ready!(self.receive(context))?;
            // lettre wants a space behind the code, and a word in the answer to EHLO.
            self.outbox = format!("{} -\r\n", reply.code()).into_bytes();
        }
        let length = self.outbox.len().min(buffer.remaining());
        buffer.put_slice(&self.outbox[..length]);
        self.outbox.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.record.exchange().idle {
            self.begin(context)?;
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        self.record.exchange().written += written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Shows nothing of what went over it.
impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_at_its_last_line() {
        assert_eq!(end_of_reply(b"250-a\r\n250 b\r\n250 c\r\n"), Some(14));
        assert_eq!(end_of_reply(b"250-a\r\n250 b"), None);
        assert_eq!(end_of_reply(b"x\n"), Some(2));
    }

    #[test]
    fn what_is_no_reply_is_not_taken_for_one() {
        let text = |bytes: &[u8]| Reply::parse(bytes).map(|reply| reply.text().to_owned());
        assert_eq!(text(b"250\r\n").as_deref(), Some("250"));
        assert_eq!(text(b"250-\r\n250 b \r\n").as_deref(), Some("250-\n250 b "));
        assert_eq!(text(b"250-a\n250 b\n").as_deref(), Some("250-a\n250 b"));
        for wrong in [
            &b"25\r\n"[..],
            b"\r\n",
            b"250x\r\n",
            b"250-a\r\n251 b\r\n",
            b"199 a\r\n",
            b"600 a\r\n",
            b"+50 a\r\n",
            b"250-a\r\n",
            b"no idea\r\n",
        ] {
            assert_eq!(text(wrong), None, "{wrong:?}");
        }
    }
}
