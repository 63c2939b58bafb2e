//! What is asked of an issuer, and what comes of it.

use std::{
    borrow::Cow,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, DeviceAuthorizationUrl, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, ErrorResponseType, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, RevocationUrl, Scope, StandardDeviceAuthorizationResponse,
    StandardErrorResponse, StandardRevocableToken, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicTokenResponse, BasicTokenType},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use super::{
    LoginError, Loopback, Token,
    error::said_of,
    https::{Https, HttpsError},
    issuer::Endpoints,
    loopback::{Answer, Expected},
};
use crate::{
    campaign::{Account, Login, OAuth},
    diagnostic::visible,
    secret::{Kind, SecretError, Unsaid},
};

/// The longest pause between two questions whether somebody has logged in, where the issuer does not answer.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// So long somebody may take to log in, whatever the issuer says.
pub(super) const TIME_TO_LOG_IN: Duration = Duration::from_secs(15 * 60);

/// The program as an issuer knows it, for one account.
#[derive(Clone)]
pub struct Client(Arc<Known>);

struct Known {
    https: Https,
    oauth: OAuth,
    username: String,
    endpoints: OnceCell<Endpoints>,
    secret: OnceCell<Option<SecretString>>,
    /// What the issuer was told, and told, that nobody is to see.
    unsaid: Mutex<Unsaid>,
}

/// Its shape in the library: where it can be asked for tokens is known, the rest perhaps.
type Protocol = BasicClient<EndpointMaybeSet, EndpointMaybeSet, EndpointNotSet, EndpointMaybeSet, EndpointSet>;

/// What a person is to type where (RFC 8628).
pub struct DeviceCode {
    /// The page
    pub page: String,
    /// The page, with the code filled in, where there is one
    pub whole_page: Option<String>,
    /// The code
    pub code: String,
    details: StandardDeviceAuthorizationResponse,
}

/// A question that a browser takes to the issuer.
pub struct Question {
    /// The page to open
    pub page: String,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
}

impl Client {
    /// For an account with these settings.
    #[must_use]
    pub fn new(account: &Account, login: &Login, oauth: &OAuth) -> Self {
        let (https, username) = (Https::new(account, oauth), login.username.clone());
        let (endpoints, secret, unsaid) = (OnceCell::new(), OnceCell::new(), Mutex::default());
        Self(Arc::new(Known { https, oauth: oauth.clone(), username, endpoints, secret, unsaid }))
    }

    /// Whether a token was got by this client.
    #[must_use]
    pub fn is_of(&self, token: &Token) -> bool {
        token.is_for(&self.0.oauth)
    }

    /// Whether it can be asked with a code that is typed on any device.
    pub async fn offers_codes(&self) -> Result<bool, LoginError> {
        Ok(self.endpoints().await?.device.is_some())
    }

    /// Asks for a code that a person types on any device; then [`wait`](Self::wait).
    pub async fn ask_for_code(&self) -> Result<DeviceCode, LoginError> {
        let protocol = self.protocol().await?;
        let not_offered = |_| self.wrong("it offers no login with a code (device authorization)");
        let request = protocol.exchange_device_code().map_err(not_offered)?.add_scopes(self.scopes());
        let https = self.https();
        let details: StandardDeviceAuthorizationResponse =
            request.request_async(&https).await.map_err(|why| self.refused(why))?;
        self.hide(details.device_code().secret());
        let whole_page = details.verification_uri_complete().map(|page| page.secret().clone());
        let page = details.verification_uri().to_string();
        let seen = [Some(page.as_str()), whole_page.as_deref(), Some(details.user_code().secret().as_str())];
        if seen.into_iter().flatten().any(|seen| self.unsaid().is_repeated_in(seen)) {
            return Err(self.wrong("what it wants to be shown holds a secret"));
        }
        // A person is going to type a password there.
        if [Some(&page), whole_page.as_ref()].into_iter().flatten().any(|page| !page.starts_with("https://")) {
            return Err(self.wrong("the page for the code is no https page"));
        }
        let whole_page = whole_page.map(|page| visible(&page));
        Ok(DeviceCode { page: visible(&page), whole_page, code: visible(details.user_code().secret()), details })
    }

    /// Waits until the person has typed it.
    pub async fn wait(&self, code: &DeviceCode) -> Result<Token, LoginError> {
        let protocol = self.protocol().await?;
        let asked = protocol.exchange_device_access_token(&code.details).set_max_backoff_interval(LONGEST_PAUSE);
        let https = self.https();
        // Whatever the issuer says, it is not asked all the time.
        let pause = |time: Duration| tokio::time::sleep(time.max(SHORTEST_PAUSE));
        let told = asked.request_async(&https, pause, Some(TIME_TO_LOG_IN)).await;
        self.token(&told.map_err(|why| self.refused(why))?, None)
    }

    /// A page to be opened in a browser on this machine, whose answer goes to `loopback`; then [`hear`](Self::hear).
    pub async fn ask_in_browser(&self, loopback: &Loopback) -> Result<Question, LoginError> {
        let (protocol, endpoints) = (self.protocol().await?, self.endpoints().await?);
        let redirect = loopback.url(endpoints.loopback);
        let redirect = RedirectUrl::new(redirect).map_err(|_| self.wrong("there is no way back from it"))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let asked = protocol.authorize_url(CsrfToken::new_random);
        let mut asked = asked
            .map_err(|_| self.wrong("it offers no login in a browser"))?
            .set_redirect_uri(Cow::Borrowed(&redirect))
            .add_scopes(self.scopes())
            .set_pkce_challenge(challenge)
            .add_extra_param("login_hint", &self.0.username);
        for (name, value) in endpoints.further {
            asked = asked.add_extra_param(*name, *value);
        }
        let (page, state) = asked.url();
        self.hide(state.secret());
        self.hide(verifier.secret());
        Ok(Question { page: page.to_string(), state, verifier, redirect })
    }

    /// Waits for the browser, and gets the tokens.
    pub async fn hear(&self, question: Question, loopback: Loopback) -> Result<Token, LoginError> {
        let (protocol, endpoints) = (self.protocol().await?, self.endpoints().await?);
        let expected = Expected {
            host: loopback.host(endpoints.loopback),
            state: SecretString::from(question.state.secret().as_str()),
            issuer: endpoints.issuer.clone(),
            says_iss: endpoints.says_iss,
        };
        let heard = tokio::time::timeout(TIME_TO_LOG_IN, loopback.hear(&expected)).await;
        let code = match heard.ok().flatten().ok_or(LoginError::Late)? {
            Answer::Code(code) => code,
            Answer::Denied(error, words) => {
                return Err(LoginError::Denied(said_of(&error, words.as_deref(), &self.unsaid())));
            }
            Answer::Foreign => return Err(self.wrong("the browser's answer is from another issuer")),
        };
        self.hide(code.expose_secret());
        let exchange = protocol.exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()));
        let exchange = exchange.set_pkce_verifier(question.verifier).set_redirect_uri(Cow::Owned(question.redirect));
        let https = self.https();
        let told = exchange.request_async(&https).await;
        self.token(&told.map_err(|why| self.refused(why))?, None)
    }

    /// Gets a new token for an old one.
    pub(super) async fn renew(&self, old: &Token) -> Result<Token, LoginError> {
        let refused = |why: &str| LoginError::Refused { issuer: self.issuer(), why: why.into() };
        let refresh = old.refresh.as_ref().ok_or_else(|| refused("there is nothing to renew them with"))?;
        let protocol = self.protocol().await?;
        self.hide(old.access.expose_secret());
        self.hide(refresh.expose_secret());
        let token = RefreshToken::new(refresh.expose_secret().to_owned());
        let https = self.https();
        let told = protocol.exchange_refresh_token(&token).request_async(&https).await;
        self.token(&told.map_err(|why| self.refused(why))?, Some(old))
    }

    /// Tells the issuer that a token is not to be taken any more (RFC 7009). Whether it can be told.
    pub async fn revoke(&self, token: &Token) -> Result<bool, LoginError> {
        if self.endpoints().await?.revocation.is_none() {
            return Ok(false);
        }
        let protocol = self.protocol().await?;
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        // With it go the tokens that it has made.
        let revoked = match &token.refresh {
            Some(refresh) => StandardRevocableToken::RefreshToken(RefreshToken::new(text(refresh))),
            None => StandardRevocableToken::AccessToken(oauth2::AccessToken::new(text(&token.access))),
        };
        let https = self.https();
        let request = protocol.revoke_token(revoked).map_err(|_| self.wrong("its URL for that is no https URL"))?;
        for secret in [Some(&token.access), token.refresh.as_ref()].into_iter().flatten() {
            self.hide(secret.expose_secret());
        }
        request.request_async(&https).await.map_err(|why| self.refused(why))?;
        Ok(true)
    }

    fn token(&self, told: &BasicTokenResponse, old: Option<&Token>) -> Result<Token, LoginError> {
        if !matches!(told.token_type(), BasicTokenType::Bearer) {
            return Err(self.wrong("its token is no bearer token"));
        }
        let access = told.access_token().secret();
        self.hide(access);
        // It is sent as it is (RFC 6750 §2.1).
        if access.is_empty() || !access.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(self.wrong("its token has characters that no token has"));
        }
        let refresh = told.refresh_token().map(|refresh| SecretString::from(refresh.secret().as_str()));
        let scopes = match (told.scopes(), old) {
            (Some(scopes), _) => scopes.iter().map(|scope| scope.to_string()).collect(),
            (None, Some(old)) => old.scopes.clone(),
            // RFC 6749 §5.1: it is what was asked for.
            (None, None) => self.0.oauth.scopes.clone(),
        };
        let now = Timestamp::now();
        Ok(Token {
            access: SecretString::from(access.as_str()),
            refresh: refresh.or_else(|| old.and_then(|old| old.refresh.clone())),
            obtained: now,
            expires: Token::expiry(now, told.expires_in()),
            scopes,
            issuer: self.issuer(),
            client_id: self.0.oauth.client_id.clone(),
        })
    }

    /// What the issuer is called.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.0.oauth.issuer.name()
    }

    fn wrong(&self, why: &str) -> LoginError {
        LoginError::Wrong { issuer: self.issuer(), why: why.into() }
    }

    /// What the issuer says to a request, without the secrets that it was told.
    fn refused<T: ErrorResponseType + Display + 'static>(
        &self,
        why: RequestTokenError<HttpsError, StandardErrorResponse<T>>,
    ) -> LoginError {
        LoginError::of(why, &self.issuer(), &self.unsaid())
    }

    /// From now on this is left out of what the issuer says.
    fn hide(&self, secret: &str) {
        self.0.unsaid.lock().unwrap_or_else(PoisonError::into_inner).add(secret);
    }

    fn unsaid(&self) -> Unsaid {
        self.0.unsaid.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn scopes(&self) -> Vec<Scope> {
        self.0.oauth.scopes.iter().cloned().map(Scope::new).collect()
    }

    fn https(&self) -> impl Fn(HttpRequest) -> HttpsFuture + use<> {
        let known = Arc::clone(&self.0);
        move |request| {
            let known = Arc::clone(&known);
            Box::pin(async move { known.https.send(request).await })
        }
    }

    async fn endpoints(&self) -> Result<&Endpoints, LoginError> {
        self.0.endpoints.get_or_try_init(|| Endpoints::of(&self.0.oauth.issuer, &self.0.https)).await
    }

    async fn secret(&self) -> Result<Option<&SecretString>, LoginError> {
        let read = async || -> Result<Option<SecretString>, LoginError> {
            let Some(source) = self.0.oauth.client_secret.clone() else { return Ok(None) };
            let read = tokio::task::spawn_blocking(move || source.read(Kind::ClientSecret, "")).await;
            Ok(Some(read.unwrap_or(Err(SecretError::NoTerminal))?))
        };
        let secret = self.0.secret.get_or_try_init(read).await?.as_ref();
        if let Some(secret) = secret {
            self.hide(secret.expose_secret());
        }
        Ok(secret)
    }

    async fn protocol(&self) -> Result<Protocol, LoginError> {
        let (endpoints, secret) = (self.endpoints().await?.clone(), self.secret().await?);
        let mut client = BasicClient::new(ClientId::new(self.0.oauth.client_id.clone())).set_auth_type(endpoints.auth);
        if let Some(secret) = secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        Ok(client
            .set_auth_uri_option(endpoints.authorization.map(AuthUrl::from_url))
            .set_device_authorization_url_option(endpoints.device.map(DeviceAuthorizationUrl::from_url))
            .set_revocation_url_option(endpoints.revocation.map(RevocationUrl::from_url))
            .set_token_uri(TokenUrl::from_url(endpoints.token)))
    }
}

/// An answer that is on its way.
type HttpsFuture = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, HttpsError>> + Send>>;
