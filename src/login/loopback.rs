//! Where a browser on this machine brings the issuer's answer: a port on a loopback address, for this one answer (RFC 8252 §7.3).

use std::{convert::Infallible, net::Ipv4Addr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use oauth2::http::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};

use super::LoginError;

/// Octets of a request.
const MOST_BYTES: usize = 16 * 1024;

/// So long a browser may take to say what it wants.
const TIME: Duration = Duration::from_secs(10);

/// So many may be about to say it.
const MOST_CONNECTIONS: u16 = 16;

/// Waits for one answer.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// What a browser brought.
pub(super) struct Answer {
    /// Who says that it is from them (RFC 9207).
    pub(super) iss: Option<String>,
    /// The code, or why there is none.
    pub(super) code: Result<SecretString, String>,
}

impl Loopback {
    /// On any free port, and on no other machine's side.
    pub async fn open() -> Result<Self, LoginError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(LoginError::NoListener)?;
        let port = listener.local_addr().map_err(LoginError::NoListener)?.port();
        Ok(Self { listener, port })
    }

    /// What the browser is sent back to, with this host.
    pub(super) fn url(&self, host: &str) -> String {
        // Entra compares with what is registered, where there is no path.
        let path = if host.ends_with("localhost") { "" } else { "/" };
        format!("{host}:{}{path}", self.port)
    }

    /// Waits for the answer to the question with this state. Whatever else comes, is told that it is nothing.
    pub(super) async fn hear(self, state: &SecretString) -> Answer {
        let (sender, mut receiver) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS.into()));
        let accept = async {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { continue };
                let Ok((stream, _)) = self.listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (sender, state) = (sender.clone(), state.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let answer = read(&request, &state);
                        let (sender, page) = (sender.clone(), page(&request, answer.as_ref()));
                        async move {
                            if let Some(answer) = answer {
                                let _ = sender.try_send(answer);
                            }
                            Ok::<_, Infallible>(page)
                        }
                    });
                    let mut http = http1::Builder::new();
                    http.keep_alive(false).max_buf_size(MOST_BYTES).half_close(true);
                    let _ = tokio::time::timeout(TIME, http.serve_connection(TokioIo::new(stream), service)).await;
                    drop(place);
                });
            }
        };
        let answer = tokio::select! {
            answer = receiver.recv() => answer,
            never = accept => never,
        };
        // The page is on its way to the browser yet.
        let _ = tokio::time::timeout(Duration::from_secs(1), places.acquire_many(MOST_CONNECTIONS.into())).await;
        answer.unwrap_or(Answer { iss: None, code: Err("there was no answer".into()) })
    }
}

/// The answer in a request, if it is one to this question.
fn read(request: &Request<Incoming>, state: &SecretString) -> Option<Answer> {
    if request.method() != Method::GET || request.uri().path() != "/" {
        return None;
    }
    let (mut given, mut iss, mut code, mut error, mut words) = (None, None, None, None, None);
    for (name, value) in form_urlencoded::parse(request.uri().query()?.as_bytes()) {
        let place = match &*name {
            "state" => &mut given,
            "iss" => &mut iss,
            "code" => &mut code,
            "error" => &mut error,
            "error_description" => &mut words,
            _ => continue,
        };
        // RFC 6749 §3.1: nothing is there twice.
        if place.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    let is_ours: bool = given?.as_bytes().ct_eq(state.expose_secret().as_bytes()).into();
    let code = match (code.filter(|code| !code.is_empty()), error) {
        _ if !is_ours => return None,
        (_, Some(error)) => {
            let words = words.map_or_else(|| error.clone(), |words| format!("{words} ({error})"));
            Err(super::error::without(&words, &[state]))
        }
        (Some(code), None) => Ok(SecretString::from(code)),
        (None, None) => return None,
    };
    Some(Answer { iss, code })
}

/// What the browser shows.
fn page(request: &Request<Incoming>, answer: Option<&Answer>) -> Response<Full<Bytes>> {
    let (status, words) = match answer.map(|answer| &answer.code) {
        Some(Ok(_)) => (StatusCode::OK, "apiece has the answer. You can close this page and look at the terminal."),
        Some(Err(_)) => {
            (StatusCode::OK, "The login was not allowed. You can close this page and look at the terminal.")
        }
        None if request.uri().path() == "/" => {
            (StatusCode::BAD_REQUEST, "This is not the answer that apiece waits for.")
        }
        None => (StatusCode::NOT_FOUND, "There is nothing here."),
    };
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>apiece</title><p>{words}</p>\n");
    let mut response = Response::new(Full::new(Bytes::from(page)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}
