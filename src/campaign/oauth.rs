//! Where an account's OAuth 2.0 tokens come from, and where they are kept.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use oauth2::url::Url;

use crate::{
    campaign::{
        Preset,
        account::resolve,
        keys::{At, Keys},
        login::{read_places, the_only},
    },
    secret::{Kind, SecretSource},
};

/// Asked for where nobody says what is.
const USUAL_SCOPES: [&str; 2] = ["openid", "offline_access"];

/// How an account gets its tokens. Holds no secret, only where to read it.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// Who gives them.
    pub issuer: Issuer,
    /// What the issuer calls the program, as it was registered there.
    pub client_id: String,
    /// What the program shows to the issuer, where that wants something.
    pub client_secret: Option<SecretSource>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// PEM file with the certification authorities to trust for the issuer in place of the platform's.
    pub ca_file: Option<PathBuf>,
    /// Where the tokens are kept.
    pub tokens: TokenPlace,
}

/// Who gives tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuer {
    /// Microsoft 365
    Microsoft {
        /// Whose users these are: a domain, an id, or `organizations`.
        tenant: String,
    },
    /// Google
    Google,
    /// Somebody whose endpoints are looked up at this URL.
    Other(String),
}

/// Where tokens are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenPlace {
    /// The platform's keyring
    #[default]
    Keyring,
    /// A file in the state directory that its owner alone can read
    File,
}

impl Issuer {
    /// What is asked for.
    fn scopes(&self) -> Vec<String> {
        let scopes: &[&str] = match self {
            Self::Microsoft { .. } => &["https://outlook.office.com/SMTP.Send", "offline_access"],
            Self::Google => &["https://mail.google.com/"],
            Self::Other(_) => &USUAL_SCOPES,
        };
        scopes.iter().map(ToString::to_string).collect()
    }

    /// What it is known as: what it calls itself, where it does.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Microsoft { tenant } => format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            Self::Google => "https://accounts.google.com".into(),
            Self::Other(url) => url.clone(),
        }
    }
}

impl FromStr for TokenPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "keyring" => Ok(Self::Keyring),
            "file" => Ok(Self::File),
            _ => Err("this is \"keyring\", or \"file\" where there is none"),
        }
    }
}

/// The table `oauth` of an account, if all of it is right.
pub(super) fn read(account: &mut Keys<'_>, preset: Option<Preset>, base: &Path) -> Option<OAuth> {
    let mut keys = account.table("oauth")?;
    let issuer = read_issuer(&mut keys, preset);
    let client_id = read_client_id(&mut keys);
    let client_secret = read_client_secret(&mut keys, base);
    let scopes = keys.strings("scopes");
    let ca_file = keys.string("ca_file").map(|path| resolve(base, &path.value));
    let tokens = keys.parsed::<TokenPlace>("tokens").map(|place| place.value).unwrap_or_default();
    let scopes = scopes.map(|scopes| read_scopes(&mut keys, scopes));
    account.adopt(keys.finish());
    let issuer = issuer?;
    let scopes = scopes.unwrap_or_else(|| issuer.scopes());
    Some(OAuth { scopes, issuer, client_id: client_id?, client_secret, ca_file, tokens })
}

fn read_issuer(keys: &mut Keys<'_>, account: Option<Preset>) -> Option<Issuer> {
    let preset = keys.string("preset");
    let tenant = keys.string("tenant");
    let issuer = keys.string("issuer");
    if let (Some(preset), Some(_)) = (&preset, &issuer) {
        let help = "keep one of them".to_owned();
        keys.complain(preset.span.clone(), "preset", "issuer says already who gives the tokens", Some(help));
        return None;
    }
    // The account's own preset says who it is, too.
    let known = match (&preset, &issuer, account.map(|preset| preset.name)) {
        (Some(At { value, .. }), ..) => Some(value.as_str()),
        (None, None, Some("microsoft365")) => Some("microsoft365"),
        (None, None, Some("gmail" | "google-workspace")) => Some("google"),
        _ => None,
    };
    if let Some(tenant) = tenant.as_ref().filter(|_| known != Some("microsoft365")) {
        keys.complain(tenant.span.clone(), "tenant", "this belongs to preset = \"microsoft365\"", None);
    }
    match (known, issuer) {
        (Some("microsoft365"), _) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
            let wrong = tenant.as_ref().filter(|tenant| tenant.value.is_empty() || !tenant.value.chars().all(fits));
            if let Some(wrong) = wrong {
                let help = "write your domain, or the \"Directory (tenant) ID\" that Entra shows";
                keys.complain(wrong.span.clone(), "tenant", "this is not a tenant", Some(help.into()));
            }
            Some(Issuer::Microsoft { tenant: tenant.map_or_else(|| "organizations".into(), |tenant| tenant.value) })
        }
        (Some("google"), _) => Some(Issuer::Google),
        (Some(_), _) => {
            if let Some(preset) = preset {
                let why = "there are \"microsoft365\" and \"google\"; for others there is issuer = \"https://…\"";
                keys.complain(preset.span, "preset", why, None);
            }
            None
        }
        (None, Some(issuer)) => read_url(keys, issuer),
        (None, None) => {
            keys.missing("issuer");
            None
        }
    }
}

/// `OpenID` Connect Discovery §3: a URL with the scheme https, and without query and fragment.
fn read_url(keys: &mut Keys<'_>, At { value, span }: At<String>) -> Option<Issuer> {
    let is_whole = |url: &Url| {
        url.scheme() == "https"
            && url.host_str().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    if Url::parse(&value).is_ok_and(|url| is_whole(&url)) {
        return Some(Issuer::Other(value));
    }
    let why = "this is a URL such as \"https://login.example.org\", with https and without ? and #";
    keys.complain(span, "issuer", why, None);
    None
}

fn read_client_id(keys: &mut Keys<'_>) -> Option<String> {
    if keys.span_of("client_id").is_none() {
        keys.missing("client_id");
    }
    let At { value, span } = keys.string("client_id")?;
    if value.is_empty() || value.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let help = "it is the one that the provider shows where apiece is registered";
        keys.complain(span, "client_id", "this is empty or has spaces", Some(help.into()));
        return None;
    }
    Some(value)
}

fn read_client_secret(keys: &mut Keys<'_>, base: &Path) -> Option<SecretSource> {
    the_only(read_places(keys, Kind::ClientSecret, base), Kind::ClientSecret, keys).flatten()
}

fn read_scopes(keys: &mut Keys<'_>, scopes: At<Vec<At<String>>>) -> Vec<String> {
    // RFC 6749 §3.3
    let fits = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    for At { value, span } in &scopes.value {
        if value.is_empty() || !value.chars().all(fits) {
            keys.complain(span.clone(), "scopes", "this is not a scope: write each as a string of its own", None);
        }
    }
    scopes.value.into_iter().map(|scope| scope.value).collect()
}
