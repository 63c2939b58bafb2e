//! The stream under lettre's connection.
//!
//! It hands lettre one reply at a time and keeps it word for word; it notices what the server says unasked,
//! knows how much of a command has been handed to the network, and puts a limit on what is read.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A reply longer than this is none.
pub(super) const MOST_REPLY_BYTES: usize = 32 * 1024;

/// What a connection runs over: TCP, or TLS over it.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// What is known of the exchange under way. Shared, since lettre keeps the stream to itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Arc<Mutex<Exchange>>);

#[derive(Debug, Default)]
struct Exchange {
    /// The reply, as far as it has come.
    reply: Vec<u8>,
    /// How many bytes of the command were handed to the network.
    written: usize,
    /// Between a whole reply and the next command.
    idle: bool,
}

impl Record {
    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last reply, or what came of it.
    pub(super) fn reply(&self) -> Vec<u8> {
        self.exchange().reply.clone()
    }

    /// How many bytes of the last command were handed to the network, at most.
    pub(super) fn written(&self) -> usize {
        self.exchange().written
    }
}

/// The stream that lettre gets.
pub(super) struct Wire {
    inner: Box<dyn Duplex>,
    peer: SocketAddr,
    record: Record,
    /// Read from the network and not handed to lettre yet.
    inbox: Vec<u8>,
}

impl Wire {
    /// `greeting` is what lettre is to take for the server's, where the server's own has been read already.
    pub(super) fn new(inner: Box<dyn Duplex>, peer: SocketAddr, greeting: Option<&[u8]>) -> (Self, Record) {
        let record = Record::default();
        (Self { inner, peer, record: record.clone(), inbox: greeting.unwrap_or_default().to_vec() }, record)
    }

    /// Reads what there is. Ready with 0 at the end.
    fn fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; 4096];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer))?;
        self.inbox.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// A command may begin only when the server has nothing left to say: a reply that nobody asked for would be
    /// taken for the answer to what comes next.
    fn begin(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let said = if self.inbox.is_empty() { self.fill(context) } else { Poll::Ready(Ok(self.inbox.len())) };
        let mut exchange = self.record.exchange();
        exchange.reply.clear();
        exchange.written = 0;
        exchange.idle = false;
        match said {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(0)) => {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, "the server closed the connection"))
            }
            Poll::Ready(Ok(_)) => {
                exchange.reply.extend_from_slice(&self.inbox[..self.inbox.len().min(MOST_REPLY_BYTES)]);
                let words = String::from_utf8_lossy(&exchange.reply).trim_end().to_owned();
                Err(io::Error::other(format!("the server said, unasked: {}", crate::diagnostic::quoted(&words))))
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.inbox.is_empty() && ready!(self.fill(context))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let line = self.inbox.iter().position(|byte| *byte == b'\n').map_or(self.inbox.len(), |at| at + 1);
        let length = line.min(buffer.remaining());
        let taken: Vec<u8> = self.inbox.drain(..length).collect();
        let mut exchange = self.record.exchange();
        exchange.reply.extend_from_slice(&taken);
        if exchange.reply.len() > MOST_REPLY_BYTES {
            return Poll::Ready(Err(io::Error::other("the server's reply is endless")));
        }
        if taken.ends_with(b"\n") {
            let before = &exchange.reply[..exchange.reply.len() - 1];
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            exchange.idle = exchange.reply.get(start + 3) != Some(&b'-');
        }
        // lettre takes a reply that is not UTF-8 for a broken connection, and it may have been a 250.
        let ascii: Vec<u8> = taken.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect();
        buffer.put_slice(&ascii);
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
