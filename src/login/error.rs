//! Why there are no tokens.

use std::fmt::Display;

use oauth2::{ErrorResponseType, RequestTokenError, StandardErrorResponse};
use thiserror::Error;

use super::https::HttpsError;
use crate::{
    diagnostic::{Bare, Complaint, quoted, visible},
    secret::{NoSecret, SecretError, Unsaid, keyring::login_command},
};

/// So much of what an issuer says is shown.
const MOST_WORDS: usize = 300;

/// Why there are no tokens. Never holds any part of one. What is quoted stands at the end, since the log cuts it off with what follows.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum LoginError {
    #[error("nobody has logged in with the account {} yet", quoted(.0))]
    NotLoggedIn(String),
    #[error("the tokens are for another issuer or client than the account has now, {}", quoted(.0))]
    ForSomethingElse(String),
    #[error("the tokens are no longer good: {why} (account {})", quoted(.account))]
    NotRenewed { account: String, why: String },
    #[error("{issuer} refuses: {why}")]
    Refused { issuer: String, why: String },
    #[error("the login was not allowed: {0}")]
    Denied(String),
    #[error("nobody logged in in time")]
    Late,
    #[error("{issuer} cannot be asked now: {why}")]
    Unreachable { issuer: String, why: String },
    #[error("the way to {issuer} is not safe: {why}")]
    Insecure { issuer: String, why: String, help: Option<String> },
    #[error("{issuer} says something that cannot be right: {why}")]
    Wrong { issuer: String, why: String },
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("the tokens cannot be kept in {place}: {why}")]
    NotKept { place: String, why: String },
    #[error("another apiece has been renewing the tokens for a minute, those of the account {}", quoted(.0))]
    Busy(String),
    #[error("the browser's answer cannot be waited for on this machine: {0}")]
    NoListener(std::io::Error),
}

impl LoginError {
    /// Whether it can be otherwise in a minute.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy(_))
    }

    /// From what happened with a request. Nothing of these secrets is repeated.
    pub(super) fn of<T: ErrorResponseType + Display + 'static>(
        why: RequestTokenError<HttpsError, StandardErrorResponse<T>>,
        issuer: &str,
        unsaid: &Unsaid,
    ) -> Self {
        let issuer = issuer.to_owned();
        match why {
            RequestTokenError::Request(why) => Self::of_https(why, issuer),
            RequestTokenError::ServerResponse(said) => {
                let code = serde_json::to_value(said.error()).ok();
                let code = code.as_ref().and_then(|code| code.as_str()).unwrap_or("unknown").to_owned();
                let words = said_of(&code, said.error_description().map(String::as_str), unsaid);
                match code.as_str() {
                    "access_denied" | "authorization_declined" => Self::Denied(words),
                    "expired_token" | "code_expired" => Self::Late,
                    "temporarily_unavailable" | "server_error" => Self::Unreachable { issuer, why: words },
                    _ => Self::Refused { issuer, why: words },
                }
            }
            RequestTokenError::Parse(..) => Self::Wrong { issuer, why: "its answer is not understood".into() },
            RequestTokenError::Other(why) => Self::Wrong { issuer, why: shown(&why, unsaid) },
        }
    }

    pub(super) fn of_https(why: HttpsError, issuer: String) -> Self {
        match why {
            HttpsError::Unreachable(why) => Self::Unreachable { issuer, why },
            HttpsError::Insecure { why, help } => Self::Insecure { issuer, why, help },
            HttpsError::Wrong(why) => Self::Wrong { issuer, why },
        }
    }

    /// For somebody who wanted to renew the tokens of an account.
    pub(super) fn of_renewal(self, account: &str) -> Self {
        match self {
            Self::Refused { why, .. } | Self::Denied(why) => Self::NotRenewed { account: account.into(), why },
            Self::Late => Self::NotRenewed { account: account.into(), why: "they have expired".into() },
            other => other,
        }
    }
}

/// What an issuer says of an error, with nothing of these secrets.
pub(super) fn said_of(code: &str, words: Option<&str>, unsaid: &Unsaid) -> String {
    match words {
        Some(words) => format!("{} ({})", shown(words, unsaid), shown(code, unsaid)),
        None => shown(code, unsaid),
    }
}

/// What somebody says, on one line, and not all of it if it is long.
fn shown(words: &str, unsaid: &Unsaid) -> String {
    let words: String = unsaid.shown(words).split_whitespace().collect::<Vec<_>>().join(" ");
    visible(&words.chars().take(MOST_WORDS).collect::<String>())
}

impl Complaint for LoginError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotLoggedIn(_) | Self::ForSomethingElse(_) | Self::NotRenewed { .. } => "login.none",
            Self::Refused { .. } | Self::Denied(_) | Self::Late => "login.refused",
            Self::Unreachable { .. } => "login.unreachable",
            Self::Insecure { .. } | Self::Wrong { .. } => "login.unsafe",
            Self::Secret(why) => why.code(),
            Self::NotKept { .. } | Self::Busy(_) => "login.store",
            Self::NoListener(_) => "login.listener",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NotLoggedIn(account) | Self::ForSomethingElse(account) | Self::NotRenewed { account, .. } => {
                Some(format!("log in: {}", login_command(account)))
            }
            Self::Refused { .. } => Some(
                "look at client_id, tenant, scopes and client_secret_… in the account's oauth; docs/login.md".into(),
            ),
            Self::Denied(_) | Self::Late => Some("run the same command again".into()),
            Self::Unreachable { .. } | Self::Busy(_) => Some("try again later".into()),
            Self::Insecure { help, .. } => help.clone(),
            Self::Wrong { .. } => Some("look at issuer in the account's oauth".into()),
            Self::Secret(why) => why.help(),
            Self::NotKept { .. } => {
                Some("make room for it, or keep them elsewhere (tokens in the account's oauth)".into())
            }
            Self::NoListener(_) => Some("use --device, if the issuer offers that".into()),
        }
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl From<LoginError> for NoSecret {
    fn from(why: LoginError) -> Self {
        Self { help: why.help(), code: why.code(), is_passing: why.is_passing(), why: why.to_string() }
    }
}
