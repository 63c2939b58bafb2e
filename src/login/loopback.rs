//! Where a browser on this machine brings the issuer's answer: a port on a loopback address, for this one answer (RFC 8252 §7.3).

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

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
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::LoginError;

/// Octets of a request.
const MOST_BYTES: usize = 16 * 1024;

/// So long a connection may take, from its beginning to having read the one answer that it gets.
const TIME: Duration = Duration::from_secs(5);

/// So many at once. When one more comes, the oldest goes: anybody on this machine can connect, and nobody is to keep out the browser,
/// which asks as soon as it is connected.
const MOST_CONNECTIONS: usize = 64;

/// So long everybody may take to ask, however many come.
const STAYS: Duration = Duration::from_millis(50);

/// So long nobody is let in when the system has no room for another connection.
const OUT_OF_BREATH: Duration = Duration::from_millis(100);

/// So long the page may take to the browser.
const TIME_FOR_PAGE: Duration = Duration::from_secs(1);

/// Waits for one answer.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// What an answer must have to be the one that is waited for.
#[derive(Clone)]
pub(super) struct Expected {
    /// The name and port that the browser was sent back to: another name that leads here is somebody's trick (DNS rebinding).
    pub(super) host: String,
    /// What belongs to the question.
    pub(super) state: SecretString,
    /// What the issuer calls itself, if it is known.
    pub(super) issuer: Option<String>,
    /// Whether each of its answers says who it is from (RFC 9207).
    pub(super) says_iss: bool,
}

/// What a browser brought.
pub(super) enum Answer {
    /// What tokens are given for.
    Code(SecretString),
    /// Why there is none: the error's code, and perhaps words.
    Denied(String, Option<String>),
    /// It is from another issuer than the one that was asked.
    Foreign,
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

    /// The name and port in that.
    pub(super) fn host(&self, host: &str) -> String {
        format!("{}:{}", host.trim_start_matches("http://"), self.port)
    }

    /// Waits for the answer to a question. Whatever else comes, is told that it is nothing.
    pub(super) async fn hear(self, expected: &Expected) -> Option<Answer> {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        let answer = tokio::select! {
            answer = receiver.recv() => answer,
            never = self.listen(&mut connections, expected, &sender) => match never {},
        };
        // The page is on its way to the browser yet; who else is there is not waited for.
        let _ =
            timeout(TIME_FOR_PAGE, async { while !matches!(connections.join_next().await, None | Some(Ok(true))) {} })
                .await;
        answer
    }

    async fn listen(
        &self,
        connections: &mut JoinSet<bool>,
        expected: &Expected,
        sender: &mpsc::Sender<Answer>,
    ) -> Infallible {
        let mut all: VecDeque<(Instant, AbortHandle)> = VecDeque::new();
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                all.pop_front().into_iter().for_each(|(_, oldest)| oldest.abort());
                sleep(OUT_OF_BREATH).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            all.retain(|(_, task)| !task.is_finished());
            if all.len() >= MOST_CONNECTIONS
                && let Some((since, oldest)) = all.pop_front()
            {
                sleep_until(since + STAYS).await;
                oldest.abort();
            }
            all.push_back((Instant::now(), connections.spawn(serve(stream, expected.clone(), sender.clone()))));
        }
    }
}

/// Answers one request; whether it was the answer.
async fn serve(stream: TcpStream, expected: Expected, sender: mpsc::Sender<Answer>) -> bool {
    let is_answer = AtomicBool::new(false);
    let service = service_fn(|request| {
        let answer = read(&request, &expected);
        let page = page(&request, answer.as_ref());
        if let Some(answer) = answer {
            is_answer.store(true, Ordering::Relaxed);
            let _ = sender.try_send(answer);
        }
        async { Ok::<_, Infallible>(page) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MOST_BYTES).half_close(true);
    let _ = timeout(TIME, http.serve_connection(TokioIo::new(stream), service)).await;
    is_answer.into_inner()
}

/// The answer in a request, if it is one to this question.
fn read<B>(request: &Request<B>, expected: &Expected) -> Option<Answer> {
    if request.method() != Method::GET || request.uri().path() != "/" || !is_for(request, &expected.host) {
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
    let is_ours: bool = given?.as_bytes().ct_eq(expected.state.expose_secret().as_bytes()).into();
    if !is_ours {
        return None;
    }
    let answer = match (code.filter(|code| !code.is_empty()), error) {
        (_, Some(error)) => Answer::Denied(error, words),
        (Some(code), None) => Answer::Code(SecretString::from(code)),
        (None, None) => return None,
    };
    // RFC 9207 §2.4: it must come from who was asked.
    let is_theirs = match (&expected.issuer, iss) {
        (Some(issuer), Some(said)) => *issuer == said,
        (Some(_), None) => !expected.says_iss,
        (None, _) => true,
    };
    Some(if is_theirs { answer } else { Answer::Foreign })
}

/// Whether a request is for this host, under this name alone.
fn is_for<B>(request: &Request<B>, host: &str) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    let (first, more) = (named.next(), named.next());
    request.uri().authority().is_none() && more.is_none() && first.is_some_and(|name| *name == *host)
}

/// What the browser shows.
fn page(request: &Request<Incoming>, answer: Option<&Answer>) -> Response<Full<Bytes>> {
    let (status, words) = match answer {
        Some(Answer::Code(_)) => {
            (StatusCode::OK, "apiece has the answer. You can close this page and look at the terminal.")
        }
        Some(Answer::Denied(..)) => {
            (StatusCode::OK, "The login was not allowed. You can close this page and look at the terminal.")
        }
        Some(Answer::Foreign) => {
            let words =
                "This answer is not from the issuer that was asked, and apiece does not take it. Look at the terminal.";
            (StatusCode::BAD_REQUEST, words)
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        task::JoinHandle,
    };

    use super::*;

    const ISSUER: &str = "https://login.example";

    /// One that waits for an answer, and its port.
    async fn waiting(says_iss: bool) -> (u16, JoinHandle<Option<Answer>>) {
        let loopback = Loopback::open().await.unwrap();
        let (port, host) = (loopback.port, loopback.host("http://127.0.0.1"));
        let expected = Expected { host, state: "s".into(), issuer: Some(ISSUER.into()), says_iss };
        (port, tokio::spawn(async move { loopback.hear(&expected).await }))
    }

    /// What a browser gets.
    async fn ask(port: u16, target: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(8), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    #[tokio::test]
    async fn it_answers_to_its_own_name_alone() {
        let (port, heard) = waiting(true).await;
        let target = format!("/?state=s&code=c&iss={ISSUER}");
        for wrong in [
            String::new(),
            "Host: evil.example\r\n".into(),
            "Host: 127.0.0.1\r\n".into(),
            format!("Host: evil.example:{port}\r\n"),
            format!("Host: localhost:{port}\r\n"),
            format!("Host: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n"),
        ] {
            let answer = ask(port, &target, &wrong).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{wrong}: {answer}");
        }
        let own = format!("Host: 127.0.0.1:{port}\r\n");
        let answer = ask(port, &format!("http://evil.example{target}"), &own).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let answer = ask(port, &target, &own).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("apiece has the answer."), "{answer}");
        assert!(matches!(heard.await.unwrap(), Some(Answer::Code(code)) if code.expose_secret() == "c"));
    }

    #[tokio::test]
    async fn it_says_that_it_has_the_answer_when_it_knows_whose_it_is() {
        for (says_iss, iss, is_taken) in [
            (true, "&iss=https://login.example", true),
            (true, "&iss=https://evil.example", false),
            (true, "", false),
            (false, "&iss=https://evil.example", false),
            (false, "", true),
        ] {
            let (port, heard) = waiting(says_iss).await;
            let answer = ask(port, &format!("/?state=s&code=c{iss}"), &format!("Host: 127.0.0.1:{port}\r\n")).await;
            assert_eq!(answer.contains("apiece has the answer."), is_taken, "{iss}: {answer}");
            let heard = heard.await.unwrap();
            assert_eq!(matches!(heard, Some(Answer::Code(_))), is_taken);
            assert_eq!(matches!(heard, Some(Answer::Foreign)), !is_taken);
        }
    }

    #[tokio::test]
    async fn strangers_keep_nobody_out() {
        let (port, heard) = waiting(true).await;
        let mut strangers = Vec::new();
        for nth in 0..300 {
            let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            if nth % 2 == 0 {
                stranger.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
            }
            strangers.push(stranger);
        }
        let start = Instant::now();
        let target = format!("/?state=s&code=c&iss={ISSUER}");
        let answer = ask(port, &target, &format!("Host: 127.0.0.1:{port}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(matches!(heard.await.unwrap(), Some(Answer::Code(_))));
        // None of them is waited for, to its end or at all.
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}
