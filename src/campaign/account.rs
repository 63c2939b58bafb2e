//! The user's accounts: how to reach a submission server, with its limits.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    campaign::{
        ApprovalOptions, Dkim, DomainLimit, Login, Preset, Proxy, Rate, approval, dkim, domains,
        keys::{At, Keys},
        login,
        record::{self, RecordOptions},
    },
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, Source},
};

/// How to reach one SMTP submission server, with its limits. Holds no secret, only where to read it.
#[derive(Debug, Clone)]
pub struct Account {
    /// What the user calls it.
    pub name: String,
    /// Host name, or a loopback address.
    pub host: String,
    /// 465 with implicit TLS and 587 with STARTTLS unless said otherwise.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// PEM file with the certification authorities to trust in place of the platform's.
    pub ca_file: Option<PathBuf>,
    /// Who this machine is to the server, by a certificate.
    pub client: Option<ClientIdentity>,
    /// The way to it, if it is not the straight one.
    pub proxy: Option<Proxy>,
    /// The address of this machine from which it is called.
    pub source: Option<IpAddr>,
    /// Who logs in, and where the secret is; nobody at a loopback relay, or with a certificate.
    pub login: Option<Login>,
    /// Every one of these is kept.
    pub rates: Vec<Rate>,
    /// What may go to the recipients of some domains.
    pub domains: Vec<DomainLimit>,
    /// At most so many at once.
    pub connections: NonZeroUsize,
    /// So many messages go over one connection at most; then another one is opened.
    pub messages_per_connection: Option<NonZeroUsize>,
    /// Whether several commands are sent at once to a server that offers it (RFC 2920).
    pub pipelining: bool,
    /// So many messages are on the way over a connection at once, where the server offers CHUNKING (RFC 3030); as many are in doubt
    /// when it is lost.
    pub window: NonZeroUsize,
    /// No network step may take longer; each has a limit of its own besides (RFC 5321 §4.5.3.2).
    pub timeout: Option<Duration>,
    /// How messages are signed, if they are.
    pub dkim: Option<Dkim>,
    /// Who must have approved what goes through it.
    pub approval: Option<ApprovalOptions>,
}

/// A certificate of one's own, and its key (RFC 8446 §4.4.2).
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// PEM file with the certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file with the key; readable by its owner only.
    pub key: PathBuf,
}

/// How a connection is encrypted. Certificates are always verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first byte (RFC 8314 §3.3).
    Implicit,
    /// STARTTLS (RFC 3207), required.
    StartTls,
    /// In clear; to a loopback address only, and without a password.
    None,
}

impl std::str::FromStr for Tls {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "implicit" => Ok(Self::Implicit),
            "starttls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            _ => Err("this is \"implicit\" or \"starttls\" (or \"none\" for a relay on a loopback address)"),
        }
    }
}

/// What the user's config file says.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    file: PathBuf,
    accounts: Vec<Account>,
    record: RecordOptions,
}

/// Why an account cannot be used.
#[derive(Debug)]
enum NoAccount {
    NoneConfigured(PathBuf),
    Unknown {
        name: String,
        nearest: Option<String>,
        known: Vec<String>,
    },
    /// And the command that takes the name as its argument, if it is one of those.
    NotNamed(Vec<String>, Option<&'static str>),
}

impl std::fmt::Display for NoAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoneConfigured(path) => write!(f, "no account is configured in {}", path.display()),
            Self::Unknown { name, .. } => write!(f, "there is no account \"{name}\""),
            Self::NotNamed(known, _) => {
                write!(f, "several accounts are configured ({}) and none is named", known.join(", "))
            }
        }
    }
}

impl Complaint for NoAccount {
    fn code(&self) -> &'static str {
        "account.none"
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoneConfigured(path) => format!(
                "write one there, for example:\n\n[account.work]\nhost = \"smtp.example.org\"\nusername = \"case.team@example.org\"\n\
                 password_command = \"pass show mail/case-team\"\n\n  or try the campaign with --sandbox, which needs none ({} does not have to exist then)",
                path.display()
            ),
            Self::Unknown { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::Unknown { known, .. } => format!("the accounts are {}", known.join(", ")),
            Self::NotNamed(_, Some(command)) => format!("say which: {command} NAME"),
            Self::NotNamed(_, None) => {
                "say which with --account NAME, or with account = \"NAME\" in campaign.toml".into()
            }
        })
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl Accounts {
    /// Reads the config file; one that does not exist has no accounts, unless the user named it.
    pub fn read(file: &Path, named: Named) -> Result<Self, Diagnostics> {
        if named == Named::ByDefault && !file.exists() {
            return Ok(Self { file: file.into(), ..Self::default() });
        }
        let text = super::read_text(file, super::MOST_SETTINGS_BYTES)?;
        Self::parse(file, &text)
    }

    /// The same from text; `file` is where it is from.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        let source = Source::secret(file.display().to_string(), text);
        let mut keys = Keys::parse(&source, source.text(), 0)?;
        let base = file.parent().unwrap_or(Path::new(""));
        let mut accounts = Vec::new();
        if let Some(mut named) = keys.table("account") {
            for (name, account) in named.named_tables() {
                let (account, problems) = read_account(name.value, account, base);
                named.adopt(problems);
                accounts.extend(account);
            }
            keys.adopt(named.finish());
        }
        let mut record = RecordOptions::default();
        if let Some(outbox) = keys.table("outbox") {
            let (read, problems) = record::read(outbox, base);
            keys.adopt(problems);
            record = read;
        }
        keys.finish().sorted().checked(Some(Self { file: file.into(), accounts, record }))
    }

    /// Where the record is, as far as it is said there.
    #[must_use]
    pub fn record(&self) -> &RecordOptions {
        &self.record
    }

    /// The account of that name; without a name the only one there is.
    pub fn choose(&self, name: Option<&str>) -> Result<&Account, Diagnostics> {
        self.find(name, None)
    }

    /// The same for a command that takes the name as its argument.
    pub fn choose_for(&self, command: &'static str, name: Option<&str>) -> Result<&Account, Diagnostics> {
        self.find(name, Some(command))
    }

    fn find(&self, name: Option<&str>, command: Option<&'static str>) -> Result<&Account, Diagnostics> {
        let known: Vec<String> = self.accounts.iter().map(|account| account.name.clone()).collect();
        let problem = match (name, self.accounts.as_slice()) {
            (_, []) => NoAccount::NoneConfigured(self.file.clone()),
            (None, [only]) => return Ok(only),
            (None, _) => NoAccount::NotNamed(known, command),
            (Some(name), all) => match all.iter().find(|account| account.name == name) {
                Some(account) => return Ok(account),
                None => NoAccount::Unknown {
                    name: name.into(),
                    nearest: crate::diagnostic::nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
                    known,
                },
            },
        };
        Err(Diagnostic::error(Place::Nowhere, &problem).into())
    }
}

/// Whether the user said where the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// By a flag or the environment.
    ByUser,
    /// It is the usual place.
    ByDefault,
}

fn read_account(name: String, mut keys: Keys<'_>, base: &Path) -> (Option<Account>, Diagnostics) {
    let preset_span = keys.span_of("preset");
    let preset = keys.parsed::<Preset>("preset").map(|preset| preset.value);
    let known_host = preset.and_then(|preset| preset.host).zip(preset_span);
    let host_missing = keys.span_of("host").is_none();
    let host = keys.string("host").or(known_host.map(|(host, span)| At { value: host.to_owned(), span }));
    let port = keys.integer("port", 1, 65535).map(|port| u16::try_from(port.value).unwrap_or(0));
    let tls = keys.parsed::<Tls>("tls");
    let ca_file = keys.string("ca_file").map(|path| resolve(base, &path.value));
    let client = read_client(&mut keys, base);
    let proxy = keys.parsed::<Proxy>("proxy");
    let source = keys.parsed::<IpAddr>("source").map(|source| source.value);
    let mut rates = read_rates(&mut keys);
    if let Some(preset) = preset.filter(|_| rates.is_empty()) {
        rates = preset.rates.iter().filter_map(|rate| rate.parse().ok()).collect();
    }
    let connections = keys.integer("connections", 1, 1000).map(|number| number.value as usize);
    let connections = connections.or(preset.map(|preset| preset.connections)).unwrap_or(1);
    let most = keys.integer("messages_per_connection", 1, 1_000_000);
    let most = most.map(|number| number.value as usize).or(preset.and_then(|preset| preset.messages_per_connection));
    let messages_per_connection = most.and_then(NonZeroUsize::new);
    let pipelining = keys.boolean("pipelining").is_none_or(|pipelining| pipelining.value);
    let window = keys.integer("window", 1, 100).and_then(|number| NonZeroUsize::new(number.value as usize));
    let timeout = read_timeout(&mut keys);
    let domains = domains::read(&mut keys);
    let written = login::Written::take(&mut keys, preset, base);
    let dkim = dkim::read(&mut keys, base);
    let approval = approval::read(&mut keys, base);

    let usual = match (port, preset) {
        (None, Some(preset)) => preset.tls,
        (Some(25 | 587), _) => Tls::StartTls,
        _ => Tls::Implicit,
    };
    let tls_mode = tls.as_ref().map_or(usual, |tls| tls.value);
    let Some(host) = host else {
        if host_missing {
            keys.missing("host");
        }
        return (None, keys.finish());
    };
    if host.value.is_empty() || host.value.chars().any(|c| c.is_control() || c.is_whitespace() || c == '/' || c == '@')
    {
        keys.complain(host.span.clone(), "host", "this is not a host name", None);
    }
    if let Some(proxy) = proxy.as_ref().filter(|_| tls_mode == Tls::None) {
        keys.complain(proxy.span.clone(), "proxy", "mail does not go through a proxy without TLS", None);
    }
    if let Some(tls) = tls.filter(|tls| tls.value == Tls::None) {
        if !is_loopback_name(&host.value) {
            let help =
                "use \"implicit\" or \"starttls\"; \"none\" is for a relay on this machine (host = \"127.0.0.1\")";
            keys.complain(tls.span.clone(), "tls", "mail does not leave this machine without TLS", Some(help.into()));
        }
        if written.has_any() {
            keys.complain(
                tls.span,
                "tls",
                "a password is not sent without TLS",
                Some("take username and password out, or use TLS".into()),
            );
        }
    }
    let needs_login = tls_mode != Tls::None && client.is_none();
    let login = written.login(&mut keys, (&name, &host.value), needs_login);
    let port = port.unwrap_or(match tls_mode {
        Tls::Implicit => 465,
        Tls::StartTls => 587,
        Tls::None => 25,
    });
    let account = Account {
        name,
        host: host.value,
        port,
        tls: tls_mode,
        ca_file,
        client,
        proxy: proxy.map(|proxy| proxy.value),
        source,
        login,
        rates,
        domains,
        connections: NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN),
        messages_per_connection,
        pipelining,
        window: window.unwrap_or(NonZeroUsize::MIN),
        timeout,
        dkim,
        approval,
    };
    (Some(account), keys.finish())
}

/// The keys `client_cert` and `client_key`, which belong together.
fn read_client(keys: &mut Keys<'_>, base: &Path) -> Option<ClientIdentity> {
    let certificate = keys.string("client_cert");
    let key = keys.string("client_key");
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let key = dkim::read_key_file(keys, "client_key", &key, base)?;
            Some(ClientIdentity { certificate: resolve(base, &certificate.value), key })
        }
        (Some(_), None) => {
            keys.missing("client_key");
            None
        }
        (None, Some(_)) => {
            keys.missing("client_cert");
            None
        }
        (None, None) => None,
    }
}

/// The key `rate`: a string or an array of strings.
pub(super) fn read_rates(keys: &mut Keys<'_>) -> Vec<Rate> {
    let mut rates = Vec::new();
    for At { value, span } in keys.strings("rate").map(|rates| rates.value).unwrap_or_default() {
        match value.parse() {
            Ok(rate) => rates.push(rate),
            Err(why) => keys.complain(span, "rate", super::RateError::to_string(&why), None),
        }
    }
    rates
}

fn read_timeout(keys: &mut Keys<'_>) -> Option<Duration> {
    let At { value, span } = keys.string("timeout")?;
    let duration = value.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    match duration {
        Some(duration) if (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&duration) => {
            Some(duration)
        }
        _ => {
            keys.complain(span, "timeout", "a time such as \"30s\" or \"5min\" is wanted, at most an hour", None);
            None
        }
    }
}

/// A path in the config file: `~/` is the home directory, and what is relative is relative to the file.
pub(super) fn resolve(base: &Path, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), etcetera::home_dir()) {
        (Some(rest), Ok(home)) => home.join(rest),
        _ => base.join(path),
    }
}

/// Whether a host name can only mean this machine. What it resolves to is checked again when connecting.
fn is_loopback_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> Account {
        let text = format!("[account.a]\nusername = \"u\"\n{text}\n");
        Accounts::parse(Path::new("config.toml"), &text).unwrap().choose(None).unwrap().clone()
    }

    #[test]
    fn a_preset_says_what_is_not_said_and_no_more() {
        let office = account("preset = \"microsoft365\"");
        assert_eq!((office.host.as_str(), office.port, office.tls), ("smtp.office365.com", 587, Tls::StartTls));
        assert_eq!(office.rates.iter().map(ToString::to_string).collect::<Vec<_>>(), ["30/min", "10000/day"]);
        assert_eq!(office.connections.get(), 3);
        let own =
            account("preset = \"microsoft365\"\nhost = \"x.example\"\nport = 465\nrate = \"1/s\"\nconnections = 2");
        assert_eq!((own.host.as_str(), own.port, own.tls, own.connections.get()), ("x.example", 465, Tls::Implicit, 2));
        assert_eq!(own.rates.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1/s"]);
        assert_eq!(account("preset = \"sendgrid\"").messages_per_connection.map(NonZeroUsize::get), Some(5000));
        let amazon = "[account.a]\nusername = \"u\"\npreset = \"amazon-ses\"\n";
        assert!(Accounts::parse(Path::new("c"), amazon).is_err(), "its host is that of a region");
    }
}
