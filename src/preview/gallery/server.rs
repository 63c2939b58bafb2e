//! Sockets: a loopback address alone, and limits for whoever connects.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::Ipv4Addr,
    sync::{Arc, OnceLock},
    thread,
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
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Gallery,
    door::{Door, Entry},
    pages::Answer,
    route::{Route, Trail},
};
use crate::diagnostic::{Bare, Complaint};

/// So many connections at once of whoever has shown neither the token nor the cookie. When one more comes, the oldest goes:
/// anybody on this machine can connect, and nobody is to keep out the browser with the link, which asks as soon as it is
/// connected.
const MOST_STRANGERS: usize = 128;

/// So long everybody may take to ask, however many come.
const STRANGER_STAYS: Duration = Duration::from_millis(50);

/// So long may a stranger take, from connecting to having read the one answer that it gets.
const STRANGER_LASTS: Duration = Duration::from_secs(5);

/// So many connections at once that have shown one; a browser opens six.
const MOST_GUESTS: usize = 32;

/// So long may these last, with all that is asked and answered; a browser opens another one.
const GUEST_LASTS: Duration = Duration::from_secs(300);

/// So long may the head of a request take, or the next request let wait.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// Octets of the head of a request.
const MOST_HEAD: usize = 16 * 1024;

/// Header fields of a request.
const MOST_HEADERS: usize = 64;

/// So long nobody is let in when the system has no room for another connection.
const OUT_OF_BREATH: Duration = Duration::from_millis(100);

/// Why there is no server.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum ServerError {
    #[error("the gallery cannot listen on port {port} of this machine: {why}")]
    Port { port: u16, why: io::Error },
    #[error("the gallery cannot listen on this machine: {0}")]
    Listen(io::Error),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Complaint for ServerError {
    fn code(&self) -> &'static str {
        "gallery.server"
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Port { .. } => Some("name another port, or none: --port is for a link that must not change".into()),
            Self::Listen(_) | Self::Random(_) => None,
        }
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

/// A gallery's server, which other machines cannot reach.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    door: Door,
}

impl Server {
    /// Listens on a loopback address, on a port that is named or on any.
    pub async fn open(port: Option<u16>) -> Result<Self, ServerError> {
        let wrong = |why| match port {
            Some(port) => ServerError::Port { port, why },
            None => ServerError::Listen(why),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await.map_err(wrong)?;
        let port = listener.local_addr().map_err(wrong)?.port();
        Ok(Self { listener, door: Door::new(port).map_err(ServerError::Random)? })
    }

    /// The link that opens the gallery in the first browser that follows it, and in no other.
    #[must_use]
    pub fn link(&self) -> String {
        self.door.link()
    }

    /// Answers until it is dropped, with all its connections.
    pub async fn run(self, gallery: Arc<Gallery>) -> Infallible {
        let Self { listener, door } = self;
        let makers = thread::available_parallelism().map_or(1, usize::from);
        let (makers, guests) = (Semaphore::new(makers), Arc::new(Semaphore::new(MOST_GUESTS)));
        let shared = Arc::new(Shared { gallery, door, makers, guests });
        let mut connections = JoinSet::new();
        let mut strangers: VecDeque<Stranger> = VecDeque::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
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
            let task = connections.spawn(serve(stream, Arc::clone(&visitor), Arc::clone(&shared)));
            strangers.push_back(Stranger { since: Instant::now(), task, visitor });
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

struct Shared {
    gallery: Arc<Gallery>,
    door: Door,
    /// So many messages are made at once.
    makers: Semaphore,
    guests: Arc<Semaphore>,
}

/// Who is at the other end of a connection.
#[derive(Debug, Default)]
struct Visitor {
    /// A guest has the token or the cookie, and one of the places that there are for guests.
    guest: OnceLock<OwnedSemaphorePermit>,
}

impl Visitor {
    fn is_guest(&self) -> bool {
        self.guest.get().is_some()
    }

    /// Makes it a guest, if there is a place.
    fn let_in(&self, guests: &Arc<Semaphore>) {
        if !self.is_guest()
            && let Ok(place) = Arc::clone(guests).try_acquire_owned()
        {
            let _ = self.guest.set(place);
        }
    }
}

/// Answers one connection to its end.
async fn serve(stream: TcpStream, visitor: Arc<Visitor>, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let (visitor, shared) = (Arc::clone(&visitor), Arc::clone(&shared));
        async move {
            let mut response = response(answer(request, &visitor, shared).await);
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

async fn answer(request: Request<Incoming>, visitor: &Visitor, shared: Arc<Shared>) -> Answer {
    let (parts, _) = request.into_parts();
    match shared.door.ask(&parts) {
        Entry::Refused(why) => shared.gallery.pages.refused(why),
        Entry::New => {
            visitor.let_in(&shared.guests);
            Answer::welcome(shared.door.place(), shared.door.set_cookie())
        }
        Entry::Inside(path) => {
            visitor.let_in(&shared.guests);
            let trail = Trail::of(parts.uri.query().unwrap_or_default());
            let Ok(_maker) = shared.makers.acquire().await else { return Answer::fault() };
            let shared = Arc::clone(&shared);
            let made =
                spawn_blocking(move || shared.gallery.answer(Route::of(&path).as_ref(), &trail, &shared.door.place()))
                    .await;
            made.unwrap_or_else(|_| Answer::fault())
        }
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(answer.body.into())).unwrap_or_default()
}
