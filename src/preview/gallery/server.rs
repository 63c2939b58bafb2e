//! Sockets: a loopback address alone, and limits for whoever connects.

use std::{convert::Infallible, io, net::Ipv4Addr, sync::Arc, thread, time::Duration};

use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use super::{
    Gallery,
    door::{Door, Entry},
    pages::Answer,
    route::{Route, Trail},
};
use crate::diagnostic::Complaint;

/// So many connections at once; a browser opens six.
const MOST_CONNECTIONS: usize = 32;

/// So long may the head of a request take, or the next request let wait.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// So long may a connection last; a browser opens another one.
const LASTS: Duration = Duration::from_secs(300);

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
        let shared = Arc::new(Shared { gallery, door, makers: Semaphore::new(makers) });
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= MOST_CONNECTIONS {
                connections.join_next().await;
            }
            match listener.accept().await {
                Ok((stream, _)) => drop(connections.spawn(timeout(LASTS, serve(stream, Arc::clone(&shared))))),
                Err(_) => sleep(OUT_OF_BREATH).await,
            }
        }
    }
}

struct Shared {
    gallery: Arc<Gallery>,
    door: Door,
    /// So many messages are made at once.
    makers: Semaphore,
}

/// Answers one connection to its end.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(response(answer(request, shared).await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // Who breaks off or speaks no HTTP is told what hyper tells them.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Answer {
    let (parts, _) = request.into_parts();
    match shared.door.ask(&parts) {
        Entry::Refused(why) => shared.gallery.pages.refused(why),
        Entry::New => Answer::welcome(shared.door.place(), shared.door.set_cookie()),
        Entry::Inside(path) => {
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
