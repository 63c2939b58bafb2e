//! Whoever connects to a server of ours: so many, so long, so large, and none of them takes memory or holds up anybody.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    select,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

/// So many connections at once of whoever is no guest. When one more comes, the oldest goes: anybody can connect, and nobody is to
/// keep out the one who is to come, who asks as soon as it is connected.
const MOST_STRANGERS: usize = 128;

/// So long everybody may take to ask, however many come.
const STRANGER_STAYS: Duration = Duration::from_millis(50);

/// So long may a stranger take, from connecting to having read the one answer that it gets.
const STRANGER_LASTS: Duration = Duration::from_secs(5);

/// So long may a guest's connection last, with all that is asked and answered; a browser opens another one.
const GUEST_LASTS: Duration = Duration::from_secs(300);

/// So long may the head of a request take, or the next request let wait.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// Octets of the head of a request.
const MOST_HEAD: usize = 16 * 1024;

/// Header fields of a request.
const MOST_HEADERS: usize = 64;

/// So long nobody is let in when the system has no room for another connection.
const OUT_OF_BREATH: Duration = Duration::from_millis(100);

/// Where they come in.
pub(crate) trait Entrance {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    async fn next(&self) -> io::Result<Self::Stream>;
}

impl Entrance for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

#[cfg(unix)]
impl Entrance for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        Ok(self.accept().await?.0)
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    /// A guest has shown that it may come, and has one of the places that there are for guests.
    guest: OnceLock<OwnedSemaphorePermit>,
}

impl Visitor {
    fn is_guest(&self) -> bool {
        self.guest.get().is_some()
    }

    /// Makes it a guest, if there is a place.
    pub(crate) fn let_in(&self, guests: &Arc<Semaphore>) {
        if !self.is_guest()
            && let Ok(place) = Arc::clone(guests).try_acquire_owned()
        {
            let _ = self.guest.set(place);
        }
    }
}

/// A connection that has shown nothing yet.
struct Stranger {
    since: Instant,
    task: AbortHandle,
    visitor: Arc<Visitor>,
}

impl Stranger {
    /// Ends it, unless it was let in meanwhile.
    fn leave(self) {
        if !self.visitor.is_guest() {
            self.task.abort();
        }
    }
}

/// Answers whoever comes, each in a task of `connections`, until it is dropped.
pub(crate) async fn receive<F>(
    entrance: &impl Entrance,
    connections: &mut JoinSet<()>,
    answer: impl Fn(Request<Incoming>, Arc<Visitor>) -> F + Clone + Send + Sync + 'static,
) -> Infallible
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let mut strangers: VecDeque<Stranger> = VecDeque::new();
    loop {
        let Ok(stream) = entrance.next().await else {
            strangers.pop_front().into_iter().for_each(Stranger::leave);
            sleep(OUT_OF_BREATH).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        strangers.retain(|stranger| !stranger.task.is_finished() && !stranger.visitor.is_guest());
        if strangers.len() >= MOST_STRANGERS
            && let Some(oldest) = strangers.pop_front()
        {
            sleep_until(oldest.since + STRANGER_STAYS).await;
            oldest.leave();
        }
        let visitor = Arc::new(Visitor::default());
        let task = connections.spawn(serve(stream, Arc::clone(&visitor), answer.clone()));
        strangers.push_back(Stranger { since: Instant::now(), task, visitor });
    }
}

/// Answers one connection to its end.
async fn serve<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    visitor: Arc<Visitor>,
    answer: impl Fn(Request<Incoming>, Arc<Visitor>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(|request| {
        let (visitor, answer) = (Arc::clone(&visitor), answer(request, Arc::clone(&visitor)));
        async move {
            let mut response = answer.await;
            if !visitor.is_guest() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let too_long = async {
        sleep(STRANGER_LASTS).await;
        if visitor.is_guest() {
            sleep(GUEST_LASTS).await;
        }
    };
    // Who breaks off or speaks no HTTP is told what hyper tells them.
    select! {
        _ = connection => {}
        () = too_long => {}
    }
}
