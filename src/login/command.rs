//! Tokens that another program gets.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::{
    diagnostic::Complaint,
    secret::{Given, Giving, NoSecret, SecretError, Secrets, run},
};

/// How the config file calls it.
const KEY: &str = "token_command";

/// A program that prints a token, run again when the last one is old, or refused.
pub struct TokenCommand {
    command: Vec<String>,
    fresh: Duration,
    last: Mutex<Option<(SecretString, Instant)>>,
}

impl TokenCommand {
    /// A program, and how long what it prints is taken for good.
    #[must_use]
    pub fn new(command: Vec<String>, fresh: Duration) -> Self {
        Self { command, fresh, last: Mutex::default() }
    }
}

/// Perhaps the program reaches nobody at the moment: it does not say.
#[allow(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
fn failed(why: SecretError) -> NoSecret {
    let is_passing = matches!(why, SecretError::CommandFailed { .. } | SecretError::CommandLate { .. });
    NoSecret { why: why.to_string(), code: why.code(), help: why.help(), is_passing }
}

impl Secrets for TokenCommand {
    fn give<'s>(&'s self, refused: Option<&'s SecretString>) -> Giving<'s> {
        Box::pin(async move {
            let mut last = self.last.lock().await;
            if let Some((token, printed)) = &*last
                && printed.elapsed() < self.fresh
                && refused.is_none_or(|refused| refused.expose_secret() != token.expose_secret())
            {
                return Ok(Some(Given { secret: token.clone(), until: None }));
            }
            let command = self.command.clone();
            let ran = tokio::task::spawn_blocking(move || run(&command, KEY)).await;
            let fault = |_| NoSecret::fault();
            let token = ran.map_err(fault)?.map_err(failed)?;
            *last = Some((token.clone(), Instant::now()));
            // It knows no better one.
            if refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret()) {
                return Ok(None);
            }
            Ok(Some(Given { secret: token, until: None }))
        })
    }
}
