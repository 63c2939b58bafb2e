//! Which server, which database on it, and who asks.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::{Session, is_password_missing, said};
use crate::{
    diagnostic::{Bare, Complaint, visible},
    outbox::database::{Done, Fault, Location, StoreError},
    trust,
};

/// So long it is tried to connect.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection over which nothing comes is asked for a sign of life after so long.
const IDLE: Duration = Duration::from_secs(10);

/// A connection on which what was sent is not even received is given up after so long.
const UNHEARD: Duration = Duration::from_secs(30);

/// A database on a server, and how to get there.
#[derive(Clone)]
pub struct Server(Arc<Way>);

/// How to get there.
#[derive(Clone)]
struct Way {
    config: Config,
    ca_file: Option<PathBuf>,
    /// Whether somebody said that there is to be no TLS
    is_plain: bool,
    password: Option<SecretString>,
}

/// What a server says to whoever comes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knocked {
    /// Come in.
    LetIn,
    /// It wants a password, and there is none.
    WantsPassword,
    /// It does not believe who that is; in its own words.
    Refused(String),
    /// Nothing, or nothing about who comes; why.
    NotReached(String),
}

/// Why a text does not say which server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// It is not understood.
    #[error("the outbox's address cannot be understood: {0}")]
    Unknown(String),
    /// There is a password in it.
    #[error("there is a password in the outbox's address, where others can read it")]
    Password,
    /// It does not say which database.
    #[error("the outbox's address does not say which {0}")]
    Missing(&'static str),
    /// What goes over the network would not be encrypted, or nobody would know to whom it goes.
    #[error("sslmode={0} would not verify who gets the record; TLS is always verified")]
    Unverified(String),
}

impl Complaint for ServerError {
    fn code(&self) -> &'static str {
        "outbox.address"
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(_) | Self::Missing(_) => {
                "write it as postgres://USER@HOST/DATABASE, or postgres://USER@/DATABASE?host=/run/postgresql".into()
            }
            Self::Password => {
                "leave it out, and say in [outbox] of the config file where it is: password_file, password_command, \
                 password_env, credential or keyring = true"
                    .into()
            }
            Self::Unverified(_) => {
                "leave sslmode out; name the certificate authority with sslrootcert=FILE if it is your own; sslmode=disable is \
                 for this machine's own addresses"
                    .into()
            }
        })
    }
}

impl Server {
    /// Reads `postgres://USER@HOST:PORT/DATABASE?sslrootcert=FILE`, as PostgreSQL's own programs do
    /// (<https://www.postgresql.org/docs/current/libpq-connect.html>), without a password.
    pub fn parse(text: &str) -> Result<Self, ServerError> {
        let (address, options) = text.split_once('?').unwrap_or((text, ""));
        let authority = address.split_once("://").map_or(address, |(_, authority)| authority);
        let who = authority.split('/').next().and_then(|host| host.rsplit_once('@')).map_or("", |(who, _)| who);
        let mut kept = Vec::new();
        let (mut ca_file, mut is_plain) = (None, false);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, _) = option.split_once('=').unwrap_or((option, ""));
            let value = form_urlencoded::parse(option.as_bytes())
                .next()
                .map_or_else(String::new, |(_, value)| value.into_owned());
            match (key, value.as_str()) {
                ("password", _) => return Err(ServerError::Password),
                ("sslmode", "require" | "verify-full") => {}
                ("sslmode", "disable") => is_plain = true,
                ("sslmode", other) => return Err(ServerError::Unverified(visible(other))),
                ("sslrootcert", file) => ca_file = Some(PathBuf::from(file)),
                _ => kept.push(option),
            }
        }
        if who.contains(':') {
            return Err(ServerError::Password);
        }
        let address = if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) };
        let parsed = address.parse::<Config>();
        let mut config = parsed.map_err(|why| {
            // Its words may hold what was written.
            let cause = std::error::Error::source(&why).map_or_else(|| why.to_string(), ToString::to_string);
            ServerError::Unknown(visible(&cause))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(ServerError::Missing("host"));
        }
        if config.get_user().is_none() {
            return Err(ServerError::Missing("user"));
        }
        if config.get_dbname().is_none() {
            return Err(ServerError::Missing("database"));
        }
        if config.get_application_name().is_none() {
            config.application_name("apiece");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        config.keepalives(true).keepalives_idle(IDLE).tcp_user_timeout(UNHEARD);
        // One that only follows another takes nothing down.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let server = Self(Arc::new(Way { config, ca_file, is_plain, password: None }));
        if is_plain && !server.is_here() {
            return Err(ServerError::Unverified("disable".into()));
        }
        Ok(server)
    }

    /// With a password.
    #[must_use]
    pub fn with_password(self, password: Option<SecretString>) -> Self {
        Self(Arc::new(Way { password, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// With the certificates that are trusted, unless the address names others.
    #[must_use]
    pub fn with_ca_file(self, file: Option<&Path>) -> Self {
        let way = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Way { ca_file: way.ca_file.or_else(|| file.map(Path::to_owned)), ..way }))
    }

    /// Who asks.
    #[must_use]
    pub fn user(&self) -> &str {
        self.0.config.get_user().unwrap_or_default()
    }

    /// Where it is: each host with its port, or a socket's directory.
    #[must_use]
    pub fn hosts(&self) -> String {
        let hosts = self.0.config.get_hosts().iter().enumerate();
        let hosts = hosts.map(|(nth, host)| {
            let ports = self.0.config.get_ports();
            let port = ports.get(nth).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        hosts.collect::<Vec<_>>().join(",")
    }

    /// Comes to its door, and goes again.
    #[must_use]
    pub fn knock(&self) -> Knocked {
        match Session::connect(self) {
            Ok(_) => Knocked::LetIn,
            Err(Fault::Postgres(why)) if is_password_missing(&why) => Knocked::WantsPassword,
            // Class 28: who it is, is not believed.
            Err(Fault::Postgres(why)) if why.code().is_some_and(|code| code.code().starts_with("28")) => {
                Knocked::Refused(said(&why))
            }
            Err(why) => Knocked::NotReached(StoreError::of(&Location::Server(self.clone()), &why).to_string()),
        }
    }

    /// Whether it is on this machine, so that nobody can listen on the way.
    fn is_here(&self) -> bool {
        let is_here = |host: &Host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        let addresses = self.0.config.get_hostaddrs();
        if addresses.is_empty() {
            self.0.config.get_hosts().iter().all(is_here)
        } else {
            addresses.iter().all(IpAddr::is_loopback)
        }
    }

    /// Whether it is reached through files alone.
    fn is_a_socket(&self) -> bool {
        #[cfg(unix)]
        let is_file = |host: &Host| matches!(host, Host::Unix(_));
        #[cfg(not(unix))]
        let is_file = |_: &Host| false;
        self.0.config.get_hostaddrs().is_empty() && self.0.config.get_hosts().iter().all(is_file)
    }

    /// How to connect.
    pub(super) fn config(&self) -> Config {
        let mut config = self.0.config.clone();
        if let Some(password) = &self.0.password {
            config.password(password.expose_secret());
        }
        config.ssl_mode(if self.has_tls() { SslMode::Require } else { SslMode::Disable });
        config
    }

    fn has_tls(&self) -> bool {
        !self.0.is_plain && !self.is_a_socket()
    }

    /// TLS, unless nobody can listen on the way.
    pub(super) fn tls(&self) -> Done<Option<ClientConfig>> {
        if !self.has_tls() {
            return Ok(None);
        }
        let trusted = trust::config(self.0.ca_file.as_deref());
        trusted.map(Some).map_err(|why| Fault::Unreached(why.to_string()))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, database) = (self.user(), self.0.config.get_dbname().unwrap_or_default());
        // As it could be said again.
        #[cfg(unix)]
        if let [Host::Unix(path)] = self.0.config.get_hosts() {
            let port = self.0.config.get_ports().first().map(|port| format!("&port={port}")).unwrap_or_default();
            return write!(f, "postgres://{user}@/{database}?host={}{port}", path.display());
        }
        write!(f, "postgres://{user}@{}/{database}", self.hosts())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.0.config == other.0.config && self.0.ca_file == other.0.ca_file && self.0.is_plain == other.0.is_plain
    }
}

impl Eq for Server {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_who_asks_which_database_and_no_password() {
        let shown = |text: &str| Server::parse(text).map(|server| server.to_string());
        assert_eq!(
            shown("postgres://apiece@db.clinic.example/mail").as_deref(),
            Ok("postgres://apiece@db.clinic.example:5432/mail")
        );
        assert_eq!(
            shown("postgresql://a@db.example:5433/mail?sslrootcert=/etc/ca.pem&connect_timeout=3").as_deref(),
            Ok("postgres://a@db.example:5433/mail")
        );
        let socket = Server::parse("postgres://a@/mail?host=/run/postgresql").unwrap();
        assert!(!socket.has_tls(), "{socket}");
        assert_eq!(socket.to_string(), "postgres://a@/mail?host=/run/postgresql");
        assert!(Server::parse("postgres://a@127.0.0.1/mail").unwrap().has_tls());
        assert!(!Server::parse("postgres://a@127.0.0.1/mail?sslmode=disable").unwrap().has_tls());
        for (text, expected) in [
            ("postgres://a:geheim@db.example/mail", ServerError::Password),
            ("postgres://a@db.example/mail?password=geheim", ServerError::Password),
            ("postgres://a@db.example/mail?sslmode=disable", ServerError::Unverified("disable".into())),
            ("postgres://a@db.example/mail?sslmode=prefer", ServerError::Unverified("prefer".into())),
            ("postgres://a@127.0.0.1,db.example/mail?sslmode=disable", ServerError::Unverified("disable".into())),
            ("postgres://db.example/mail", ServerError::Missing("user")),
            ("postgres://a@db.example", ServerError::Missing("database")),
            ("postgres://a@/mail", ServerError::Missing("host")),
        ] {
            let refused = Server::parse(text).unwrap_err();
            assert_eq!(refused, expected, "{text}");
            assert!(!format!("{refused} {refused:?} {:?}", refused.help()).contains("geheim"));
        }
        assert!(matches!(Server::parse("postgres://a@db.example/mail?what=1"), Err(ServerError::Unknown(_))));
    }
}
