//! Tokens for delivery: one for each connection, renewed before it expires.

use std::{pin::Pin, sync::Arc};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::{Client, LoginError, Store, Token};
use crate::secret::{Given, Giving, NoSecret, Secrets};

/// The tokens of an account, kept in one place by all programs that use them.
pub struct Tokens(Arc<Known>);

struct Known {
    client: Client,
    store: Store,
    /// What is known here; whoever has it renews it.
    token: Mutex<Token>,
}

impl Tokens {
    /// Those that were got before, if they fit.
    pub fn open(client: Client, store: Store) -> Result<Self, LoginError> {
        let known = read(&client, &store)?;
        if !known.is_fresh(Timestamp::now()) && known.refresh.is_none() {
            let (account, why) =
                (store.account().to_owned(), "they have expired, and there is nothing to renew them with");
            return Err(LoginError::NotRenewed { account, why: why.into() });
        }
        Ok(Self(Arc::new(Known { client, store, token: Mutex::new(known) })))
    }
}

impl Known {
    /// One that is good, and not the one that was refused.
    async fn fresh(&self, refused: Option<&SecretString>) -> Result<Token, LoginError> {
        let mut known = self.token.lock().await;
        let is_good = |token: &Token| {
            let is_other = refused.is_none_or(|refused| refused.expose_secret() != token.access.expose_secret());
            is_other && token.is_fresh(Timestamp::now())
        };
        if is_good(&known) {
            return Ok(known.clone());
        }
        // A refresh token can be good for one time only: no two programs use the same.
        let _lock = self.store.lock().await?;
        let stored = {
            let (client, store) = (self.client.clone(), self.store.clone());
            blocking(move || read(&client, &store)).await?
        };
        if is_good(&stored) {
            *known = stored;
            return Ok(known.clone());
        }
        let renewed = self.client.renew(&stored).await.map_err(|why| why.of_renewal(self.store.account()))?;
        // Kept before it is used: what it replaces is of no use any more.
        let (store, kept) = (self.store.clone(), renewed.clone());
        blocking(move || store.write(&kept)).await?;
        *known = renewed;
        Ok(known.clone())
    }
}

impl Secrets for Tokens {
    fn give<'s>(&'s self, refused: Option<&'s SecretString>) -> Giving<'s> {
        // In a task of its own: it comes to its end even if nobody wants the token any more.
        let (known, refused) = (Arc::clone(&self.0), refused.cloned());
        Box::pin(async move {
            let fault = |_| NoSecret::fault();
            let token = tokio::spawn(async move { known.fresh(refused.as_ref()).await }).await.map_err(fault)??;
            Ok(Some(Given { secret: token.access, until: token.expires }))
        })
    }

    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async { drop(self.0.token.lock().await) })
    }
}

fn read(client: &Client, store: &Store) -> Result<Token, LoginError> {
    let token = store.read()?;
    if client.is_of(&token) { Ok(token) } else { Err(LoginError::ForSomethingElse(store.account().to_owned())) }
}

/// A keyring may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoginError> + Send + 'static,
) -> Result<T, LoginError> {
    let failed = |_| LoginError::NotKept { place: "their place".into(), why: "a fault in apiece".into() };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}
