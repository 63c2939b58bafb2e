//! Requests to those who give tokens: HTTPS alone, with limits, and no redirect is followed.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use oauth2::{
    HttpRequest, HttpResponse,
    http::{HeaderValue, StatusCode, Uri, header},
    url::Url,
};
use thiserror::Error;

use crate::{
    campaign::{Account, OAuth, Tls},
    delivery::{self, StopReason},
};

/// So long a request may take, with its answer.
const TIME: Duration = Duration::from_secs(30);

/// Octets of an answer.
const MOST_BYTES: usize = 256 * 1024;

/// Octets of an answer's header.
const MOST_HEADER: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum HttpsError {
    /// It may be there later.
    #[error("{0}")]
    Unreachable(String),
    /// TLS cannot be had, or not safely.
    #[error("{why}")]
    Insecure { why: String, help: Option<String> },
    /// It is nothing that can be gone on with.
    #[error("{0}")]
    Wrong(String),
}

/// The way to an issuer: that of the account to its server, through its proxy if it has one.
#[derive(Debug, Clone)]
pub(super) struct Https {
    way: Account,
}

impl Https {
    pub(super) fn new(account: &Account, oauth: &OAuth) -> Self {
        let way = Account { tls: Tls::Implicit, ca_file: oauth.ca_file.clone(), client: None, ..account.clone() };
        Self { way }
    }

    /// Gets a page; none where there is no such page.
    pub(super) async fn get(&self, url: &Url) -> Result<Option<Vec<u8>>, HttpsError> {
        let mut request = HttpRequest::new(Vec::new());
        *request.uri_mut() = url.as_str().parse().map_err(|_| HttpsError::Wrong("its URL is none".into()))?;
        let answer = self.send(request).await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.into_body())),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(HttpsError::Wrong(format!("it answers {status}"))),
        }
    }

    /// Sends a request; gives the whole answer.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpsError> {
        let late = |_| HttpsError::Unreachable(format!("no answer after {} s", TIME.as_secs()));
        tokio::time::timeout(TIME, self.exchange(request)).await.map_err(late)?
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpsError> {
        let (mut parts, body) = request.into_parts();
        let wrong = || HttpsError::Wrong("one of its URLs is no https URL".into());
        let host = parts.uri.host().filter(|_| parts.uri.scheme_str() == Some("https")).ok_or_else(wrong)?.to_owned();
        let port = parts.uri.port_u16().unwrap_or(443);
        let authority = parts.uri.authority().ok_or_else(wrong)?.as_str();
        let named = HeaderValue::from_str(authority).map_err(|_| wrong())?;
        parts.headers.insert(header::HOST, named);
        parts.headers.insert(header::USER_AGENT, HeaderValue::from_static("apiece"));
        parts.headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse::<Uri>().map_err(|_| wrong())?;

        let stream = delivery::secure(&Account { host, port, ..self.way.clone() }).await.map_err(no_way)?;
        let lost = |why: hyper::Error| HttpsError::Unreachable(format!("the connection was lost ({why})"));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MOST_HEADER);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let connection = tokio::spawn(connection);
        let request = hyper::Request::from_parts(parts, Full::new(Bytes::from(body)));
        let answer = sender.send_request(request).await.map_err(lost)?;
        let (parts, body) = answer.into_parts();
        if parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(HttpsError::Unreachable(format!("it answers {}", parts.status)));
        }
        if parts.status.is_redirection() {
            let why = format!("it sends apiece elsewhere ({}), where apiece does not go", parts.status);
            return Err(HttpsError::Wrong(why));
        }
        let broken = |_| HttpsError::Wrong(format!("its answer breaks off, or has more than {MOST_BYTES} octets"));
        let body = Limited::new(body, MOST_BYTES).collect().await.map_err(broken)?.to_bytes();
        connection.abort();
        Ok(HttpResponse::from_parts(parts, body.to_vec()))
    }
}

fn no_way(why: StopReason) -> HttpsError {
    match why {
        StopReason::Unreachable { why, .. } => HttpsError::Unreachable(why),
        StopReason::Insecure { why, help } => HttpsError::Insecure { why, help },
        why => HttpsError::Unreachable(why.to_string()),
    }
}
