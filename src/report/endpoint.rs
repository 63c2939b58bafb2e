//! A worker's numbers and its health over HTTP: `GET /metrics`, `/healthz`, `/readyz`.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    task::JoinSet,
    time::timeout,
};

use super::{Board, prometheus::MEDIA_TYPE};
use crate::{
    diagnostic::{Bare, Complaint, quoted, visible},
    visitors::{self, Entrance},
};

/// So long may those who are there when it stops take for their answer.
const GRACE: Duration = Duration::from_secs(1);

/// So long whoever asks waits for a worker's answer, and so many octets of it are read.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const MOST_ANSWER: u64 = 4096;

/// How a socket of the file system is written.
const SOCKET: &str = "unix:";

/// Where it listens.
///
/// ```
/// use apiece::report::Place;
/// assert!("127.0.0.1:9465".parse::<Place>().is_ok());
/// assert!("localhost".parse::<Place>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system, which its owner alone may use.
    Socket(PathBuf),
}

impl Place {
    /// Whether other machines may reach it.
    #[must_use]
    pub fn is_open_to_others(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }

    /// Asks the worker that listens there whether it can send; for a container's health check, where there is no other program
    /// that could ask. Gives what it says.
    pub async fn ask(&self) -> Result<String, String> {
        let asked = async {
            match self {
                Self::Tcp(address) => ask(TcpStream::connect(address).await?).await,
                #[cfg(unix)]
                Self::Socket(path) => ask(tokio::net::UnixStream::connect(path).await?).await,
                #[cfg(not(unix))]
                Self::Socket(_) => Err(io::ErrorKind::Unsupported.into()),
            }
        };
        let answer = timeout(ANSWERS_WITHIN, asked).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let answer = answer.map_err(|why| format!("there is no answer from {self}: {why}"))?;
        let said = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim_end());
        if answer.starts_with("HTTP/1.1 200 ") { Ok(visible(said)) } else { Err(visible(said)) }
    }
}

/// Asks `/readyz` there; gives head and body of the answer.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(MOST_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(SOCKET) {
            Some("") => Err("the path of the socket is missing behind unix:".into()),
            Some(_) if cfg!(not(unix)) => Err("there are no sockets of the file system here".into()),
            Some(path) => Ok(Self::Socket(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                let text = quoted(text);
                format!("{text} is no address with a port: write 127.0.0.1:9465, [::1]:9465 or unix:/run/apiece/metrics.sock")
            }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "{SOCKET}{}", visible(&path.display().to_string())),
        }
    }
}

/// Why nobody can ask.
#[derive(Debug, Error)]
#[error("the metrics cannot be offered at {place}: {why}")]
pub struct EndpointError {
    place: Place,
    why: io::Error,
}

impl Complaint for EndpointError {
    fn code(&self) -> &'static str {
        "metrics.listen"
    }

    fn help(&self) -> Option<String> {
        let help = match (self.why.kind(), &self.place) {
            (io::ErrorKind::AddrInUse, _) => "somebody listens there: name another place for this worker",
            (io::ErrorKind::AddrNotAvailable, _) => {
                "this machine has no such address; 127.0.0.1 is for itself alone, [::] for all that reach it"
            }
            (io::ErrorKind::PermissionDenied, Place::Tcp(_)) => "ports below 1024 are the system's: name a higher one",
            (io::ErrorKind::NotFound, Place::Socket(_)) => {
                "make its directory first, for this user alone (RuntimeDirectory= in a unit)"
            }
            (_, Place::Socket(_)) => "name a file that is not there yet, in a directory of this user's",
            _ => return None,
        };
        Some(help.into())
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

/// A server that tells how a worker stands.
#[derive(Debug)]
pub struct Endpoint {
    door: Door,
    place: Place,
}

#[derive(Debug)]
enum Door {
    Tcp(TcpListener),
    #[cfg(unix)]
    Socket(tokio::net::UnixListener, socket::Name),
}

impl Endpoint {
    /// Listens.
    pub async fn open(place: &Place) -> Result<Self, EndpointError> {
        Self::listen(place).await.map_err(|why| EndpointError { place: place.clone(), why })
    }

    async fn listen(place: &Place) -> io::Result<Self> {
        let (door, place) = match place {
            Place::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                (Door::Tcp(listener), Place::Tcp(address))
            }
            #[cfg(unix)]
            Place::Socket(path) => {
                let (listener, name) = socket::listen(path).await?;
                (Door::Socket(listener, name), place.clone())
            }
            #[cfg(not(unix))]
            Place::Socket(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self { door, place })
    }

    /// Where it listens, with the port that it got where 0 was asked for.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Answers until `stop` is over; who is being answered then gets a second.
    pub async fn run(self, board: Arc<Board>, stop: impl Future<Output = ()>) {
        match self.door {
            Door::Tcp(listener) => serve(listener, board, stop).await,
            #[cfg(unix)]
            Door::Socket(listener, name) => {
                serve(listener, board, async {
                    stop.await;
                    // Before the listener goes: whoever comes next finds no dead socket.
                    drop(name);
                })
                .await;
            }
        }
    }
}

async fn serve(entrance: impl Entrance, board: Arc<Board>, stop: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let answer = move |request: Request<Incoming>, _| {
        let response = answer(request.method(), request.uri().path(), &board);
        async move { response }
    };
    select! {
        never = visitors::receive(&entrance, &mut connections, answer) => match never {},
        () = stop => {}
    }
    drop(entrance);
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

fn answer(method: &Method, path: &str, board: &Board) -> Response<Full<Bytes>> {
    let is_asked = [Method::GET, Method::HEAD].contains(method);
    let plain = "text/plain; charset=utf-8";
    let (status, media_type, text) = match path {
        "/metrics" | "/healthz" | "/readyz" if !is_asked => {
            (StatusCode::METHOD_NOT_ALLOWED, plain, "only GET and HEAD are known here\n".into())
        }
        "/metrics" => (StatusCode::OK, MEDIA_TYPE, board.text()),
        "/healthz" | "/readyz" => {
            let health = if path == "/healthz" { board.alive() } else { board.ready() };
            match health {
                Ok(()) => (StatusCode::OK, plain, "ok\n".into()),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, plain, format!("{why}\n")),
            }
        }
        _ => (StatusCode::NOT_FOUND, plain, "there are /metrics, /healthz and /readyz\n".into()),
    };
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// A socket in the file system.
#[cfg(unix)]
mod socket {
    use std::{
        fs, io,
        os::unix::fs::{FileTypeExt, PermissionsExt},
        path::{Path, PathBuf},
    };

    use tokio::{
        net::{UnixListener, UnixSocket, UnixStream},
        time::timeout,
    };

    /// So many may wait to be let in.
    const MOST_WAITING: u32 = 128;

    /// Its name, which goes with it.
    #[derive(Debug)]
    pub(super) struct Name(PathBuf);

    impl Drop for Name {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    /// Listens there. A socket that nobody listens at any more is replaced, and nothing else.
    pub(super) async fn listen(path: &Path) -> io::Result<(UnixListener, Name)> {
        match path.symlink_metadata() {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(why),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::other("what is there is no socket, and is not replaced"));
            }
            Ok(_) => match timeout(super::GRACE, UnixStream::connect(path)).await {
                Ok(Err(why)) if why.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                _ => return Err(io::ErrorKind::AddrInUse.into()),
            },
        }
        let socket = UnixSocket::new_stream()?;
        // The file gets the mode that the socket has (unix(7)), so that it is at no time open to others; elsewhere than on Linux it
        // must be changed afterwards.
        let _ = rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        socket.bind(path)?;
        let name = Name(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok((socket.listen(MOST_WAITING)?, name))
    }
}
