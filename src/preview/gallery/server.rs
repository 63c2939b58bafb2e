//! Sockets: a loopback address alone.

use std::{convert::Infallible, io, net::Ipv4Addr, sync::Arc, thread};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{JoinSet, spawn_blocking},
};

use super::{
    Gallery,
    door::{Door, Entry},
    pages::Answer,
    route::{Route, Trail},
};
use crate::{
    diagnostic::{Bare, Complaint},
    visitors::{self, Visitor},
};

/// So many connections at once that have shown the token or the cookie; a browser opens six.
const MOST_GUESTS: usize = 32;

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
        let ask = move |request, visitor: Arc<Visitor>| {
            let shared = Arc::clone(&shared);
            async move { response(answer(request, &visitor, shared).await) }
        };
        visitors::receive(&listener, &mut JoinSet::new(), ask).await
    }
}

struct Shared {
    gallery: Arc<Gallery>,
    door: Door,
    /// So many messages are made at once.
    makers: Semaphore,
    guests: Arc<Semaphore>,
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
