//! Who logs in to a server, with what, and how.

use std::{path::Path, time::Duration};

use crate::{
    campaign::{
        OAuth, Preset,
        account::resolve,
        keys::{At, Keys},
        oauth,
    },
    secret::{Kind, SecretSource, keyring},
};

/// A token that a program prints is good for so long if nobody says otherwise.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user name, often an address.
    pub username: String,
    /// With what.
    pub secret: LoginSecret,
    /// Chosen from what the server offers if left out.
    pub mechanism: Option<Mechanism>,
}

/// What somebody logs in with. Holds no secret, only where it is.
#[derive(Debug, Clone)]
pub enum LoginSecret {
    /// A password; or a token, where `auth` says so.
    Password(SecretSource),
    /// A token that another program prints: it is run again for a new connection where the last one was printed longer ago.
    TokenCommand {
        /// The program and its arguments; no shell.
        command: Vec<String>,
        /// How long a token is taken for good.
        fresh: Duration,
    },
    /// Tokens that apiece gets, keeps and renews.
    OAuth(Box<OAuth>),
}

impl LoginSecret {
    /// What kind of place it is in, as the key is called.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Password(source) => source.kind(),
            Self::TokenCommand { .. } => "token_command",
            Self::OAuth(_) => "oauth",
        }
    }

    /// Whether a person is asked for it.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        matches!(self, Self::Password(SecretSource::Ask))
    }
}

impl Login {
    /// The ways to log in that fit, the best one first.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        match (self.mechanism, &self.secret) {
            (Some(mechanism), _) => vec![mechanism],
            (None, LoginSecret::Password(_)) => Mechanism::ALL.to_vec(),
            // What is good for a token is not good for a password, and the other way round.
            (None, LoginSecret::TokenCommand { .. } | LoginSecret::OAuth(_)) => Mechanism::FOR_TOKENS.to_vec(),
        }
    }
}

/// SASL mechanisms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616
    Plain,
    /// The older one that some servers still ask for.
    Login,
    /// The secret is an OAuth 2.0 access token, in the way of Google and Microsoft.
    XOAuth2,
    /// The same by the standard (RFC 7628).
    OAuthBearer,
    /// The password is not sent, and the server shows that it knows it (RFC 5802, RFC 7677).
    ScramSha256,
}

impl Mechanism {
    /// All of them: those that a password is for, the strongest first, and then those for a token, since a server that takes
    /// nothing else is not given a password.
    pub const ALL: [Self; 5] = [Self::ScramSha256, Self::Plain, Self::Login, Self::OAuthBearer, Self::XOAuth2];

    /// Those for a token.
    pub const FOR_TOKENS: [Self; 2] = [Self::OAuthBearer, Self::XOAuth2];
}

impl std::str::FromStr for Mechanism {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "plain" => Ok(Self::Plain),
            "login" => Ok(Self::Login),
            "xoauth2" => Ok(Self::XOAuth2),
            "oauthbearer" => Ok(Self::OAuthBearer),
            "scram-sha-256" => Ok(Self::ScramSha256),
            _ => Err("this is \"plain\", \"login\", \"scram-sha-256\", \"xoauth2\" or \"oauthbearer\""),
        }
    }
}

impl std::fmt::Display for Mechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::ScramSha256 => "SCRAM-SHA-256",
        })
    }
}

/// The keys about the login, as they stand in an account.
pub(super) struct Written {
    username: Option<At<String>>,
    secret: Option<Secret>,
    mechanism: Option<At<Mechanism>>,
}

/// A place for a secret.
enum Secret {
    At(SecretSource),
    /// It is found by the user and the server, which are not known yet.
    Keyring,
    Command(Vec<String>),
    OAuth(Box<OAuth>),
    /// It is not understood, which was said.
    Wrong,
}

impl Written {
    /// Takes them.
    pub(super) fn take(keys: &mut Keys<'_>, preset: Option<Preset>, base: &Path) -> Self {
        let username = keys.string("username");
        let mechanism = keys.parsed::<Mechanism>("auth");
        let mut found: Vec<(Secret, std::ops::Range<usize>)> = Vec::new();
        for (place, span) in read_places(keys, Kind::Password, base) {
            found.push((place.map_or(Secret::Wrong, Secret::At), span));
        }
        if let Some(answer) = keys.boolean("keyring").filter(|answer| answer.value) {
            found.push((Secret::Keyring, answer.span));
        }
        if let Some((command, span)) = read_command(keys, "token_command") {
            found.push((command.map_or(Secret::Wrong, Secret::Command), span));
        }
        let span = keys.span_of("oauth");
        if let (oauth, Some(span)) = (oauth::read(keys, preset, base), span) {
            found.push((oauth.map_or(Secret::Wrong, |oauth| Secret::OAuth(Box::new(oauth))), span));
        }
        Self { username, secret: the_only(found, Kind::Password, keys), mechanism }
    }

    /// Whether there are a user or a secret.
    pub(super) fn has_any(&self) -> bool {
        self.username.is_some() || self.secret.is_some()
    }

    /// Who logs in at the server of an account.
    pub(super) fn login(self, keys: &mut Keys<'_>, (account, server): (&str, &str), is_needed: bool) -> Option<Login> {
        let Self { username, secret, mechanism } = self;
        let fresh = read_fresh(keys, secret.as_ref());
        let Some(username) = username else {
            if is_needed || secret.is_some() {
                keys.missing("username");
            } else if let Some(mechanism) = mechanism {
                keys.complain(mechanism.span, "auth", "nobody logs in without TLS", None);
            }
            return None;
        };
        if username.value.chars().any(char::is_control) || username.value.is_empty() {
            keys.complain(username.span, "username", "this is empty or has control characters", None);
        }
        let is_token = matches!(secret, Some(Secret::Command(_) | Secret::OAuth(_)));
        if let Some(mechanism) = mechanism.as_ref().filter(|_| is_token)
            && !Mechanism::FOR_TOKENS.contains(&mechanism.value)
        {
            let help = "leave it out, and what the server offers is used";
            keys.complain(mechanism.span.clone(), "auth", "this is for a password, not for a token", Some(help.into()));
        }
        let secret = match secret {
            Some(Secret::At(place)) => LoginSecret::Password(place),
            Some(Secret::Keyring) => LoginSecret::Password(SecretSource::Keyring(keyring::Item {
                what: keyring::What::Password,
                username: username.value.clone(),
                server: server.to_owned(),
                account: account.to_owned(),
            })),
            Some(Secret::Command(command)) => LoginSecret::TokenCommand { command, fresh },
            Some(Secret::OAuth(oauth)) => LoginSecret::OAuth(oauth),
            Some(Secret::Wrong) | None => LoginSecret::Password(SecretSource::Ask),
        };
        Some(Login { username: username.value, secret, mechanism: mechanism.map(|mechanism| mechanism.value) })
    }
}

/// The place of a secret, of which there may be one.
pub(super) fn the_only<T>(found: Vec<(T, std::ops::Range<usize>)>, kind: Kind, keys: &mut Keys<'_>) -> Option<T> {
    let (key, why) = match kind {
        Kind::Password => ("password_…", "there are two places for one password"),
        Kind::ClientSecret => ("client_secret_…", "there are two places for one secret"),
    };
    for (_, span) in found.iter().skip(1) {
        keys.complain(span.clone(), key, why, Some("keep one of them".into()));
    }
    found.into_iter().next().map(|(place, _)| place)
}

/// How long a token that a program prints is taken for good.
fn read_fresh(keys: &mut Keys<'_>, secret: Option<&Secret>) -> Duration {
    let Some(At { value, span }) = keys.string("token_lifetime") else { return FRESH };
    if !matches!(secret, Some(Secret::Command(_) | Secret::Wrong)) {
        keys.complain(span.clone(), "token_lifetime", "this belongs to token_command, which is not there", None);
    }
    let duration = value.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    match duration.filter(|duration| (Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(duration)) {
        Some(duration) => duration,
        None => {
            let why = "a time such as \"5min\" or \"50min\" is wanted, at most a day";
            keys.complain(span, "token_lifetime", why, None);
            FRESH
        }
    }
}

/// What is set of the four keys that say where a secret is; none in place of what is not understood.
pub(super) fn read_places(
    keys: &mut Keys<'_>,
    kind: Kind,
    base: &Path,
) -> Vec<(Option<SecretSource>, std::ops::Range<usize>)> {
    let [command_key, file_key, env_key, credential_key] = kind.keys();
    let mut found = Vec::new();
    if let Some((command, span)) = read_command(keys, command_key) {
        found.push((command.map(SecretSource::Command), span));
    }
    if let Some(path) = keys.string(file_key) {
        found.push((Some(SecretSource::File(resolve(base, &path.value))), path.span));
    }
    if let Some(name) = keys.string(env_key) {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.value.is_empty()
            || !name.value.chars().all(valid)
            || name.value.starts_with(|c: char| c.is_ascii_digit())
        {
            let what = if kind == Kind::Password { "password" } else { "secret" };
            let help = format!("write the {what} into that variable, not here");
            keys.complain(name.span.clone(), env_key, "this is the name of an environment variable", Some(help));
        }
        found.push((Some(SecretSource::Env(name.value)), name.span));
    }
    if let Some(name) = keys.string(credential_key) {
        if name.value.is_empty() || name.value.contains(['/', '\0']) || name.value.starts_with('.') {
            keys.complain(name.span.clone(), credential_key, "this is the name of a credential, not a path", None);
        }
        found.push((Some(SecretSource::Credential(name.value)), name.span));
    }
    found
}

/// A program and its arguments, as one line or as an array.
fn read_command(keys: &mut Keys<'_>, key: &'static str) -> Option<(Option<Vec<String>>, std::ops::Range<usize>)> {
    let as_list = keys.is_array(key);
    let command = keys.strings(key)?;
    let words = if as_list {
        Some(command.value.iter().map(|word| word.value.clone()).collect())
    } else {
        command.value.first().and_then(|line| shlex::split(&line.value))
    };
    let words: Option<Vec<String>> = words.filter(|words: &Vec<String>| !words.is_empty());
    if words.is_none() {
        keys.complain(command.span.clone(), key, "this is empty, or a quotation mark is not closed", None);
    }
    Some((words, command.span))
}
