//! Where an issuer is asked for what: known, or looked up (`OpenID` Connect Discovery, RFC 8414).

use oauth2::{AuthType, url::Url};
use serde::Deserialize;

use super::{
    LoginError,
    https::{Https, HttpsError},
};
use crate::campaign::Issuer;

/// What an issuer says about itself.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    /// What it calls itself, where its answers are to say so.
    pub(super) issuer: Option<String>,
    /// Whether each answer says so (RFC 9207).
    pub(super) says_iss: bool,
    pub(super) authorization: Option<Url>,
    pub(super) token: Url,
    pub(super) device: Option<Url>,
    pub(super) revocation: Option<Url>,
    /// How a client shows its secret.
    pub(super) auth: AuthType,
    /// What the browser is sent back to; the port is added.
    pub(super) loopback: &'static str,
    /// What it wants to be asked with besides, in the browser.
    pub(super) further: &'static [(&'static str, &'static str)],
}

/// What is looked up; the rest of it does not matter here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Endpoints {
    /// Those of an issuer.
    pub(super) async fn of(issuer: &Issuer, https: &Https) -> Result<Self, LoginError> {
        match issuer {
            Issuer::Microsoft { tenant } => Self::microsoft(tenant).ok_or_else(|| wrong(issuer, "its tenant is none")),
            Issuer::Google => Self::google().ok_or_else(|| wrong(issuer, "it is not known")),
            Issuer::Other(url) => Self::look_up(url, https).await,
        }
    }

    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>; it takes any port with `localhost` alone.
    fn microsoft(tenant: &str) -> Option<Self> {
        let url = |end: &str| Url::parse(&format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{end}")).ok();
        Some(Self {
            // It says whose user it was in place of the tenant that was asked.
            issuer: None,
            says_iss: false,
            authorization: Some(url("authorize")?),
            token: url("token")?,
            device: Some(url("devicecode")?),
            revocation: None,
            auth: AuthType::RequestBody,
            loopback: "http://localhost",
            further: &[],
        })
    }

    /// <https://developers.google.com/identity/protocols/oauth2/native-app>; its device flow gives no tokens for mail.
    fn google() -> Option<Self> {
        Some(Self {
            issuer: Some("https://accounts.google.com".into()),
            says_iss: false,
            authorization: Some(Url::parse("https://accounts.google.com/o/oauth2/v2/auth").ok()?),
            token: Url::parse("https://oauth2.googleapis.com/token").ok()?,
            device: None,
            revocation: Some(Url::parse("https://oauth2.googleapis.com/revoke").ok()?),
            auth: AuthType::RequestBody,
            loopback: "http://127.0.0.1",
            // Without these there is a refresh token at the first login only.
            further: &[("access_type", "offline"), ("prompt", "consent")],
        })
    }

    async fn look_up(issuer: &str, https: &Https) -> Result<Self, LoginError> {
        let failed = |why| LoginError::of_https(why, issuer.to_owned());
        for place in places(issuer).ok_or_else(|| wrong_said(issuer, "its URL is none"))? {
            let Some(page) = https.get(&place).await.map_err(failed)? else { continue };
            return Self::read(issuer, &page).map_err(failed);
        }
        Err(wrong_said(issuer, "it has no page at /.well-known/openid-configuration about itself"))
    }

    fn read(issuer: &str, page: &[u8]) -> Result<Self, HttpsError> {
        let wrong = |why: &str| HttpsError::Wrong(why.into());
        let found: Metadata =
            serde_json::from_slice(page).map_err(|_| wrong("the page about itself is not understood"))?;
        // Somebody else's page would lead to somebody else's endpoints (RFC 8414 §3.3).
        if found.issuer != issuer {
            return Err(wrong("the page about itself is about another issuer"));
        }
        let url = |text: String| match Url::parse(&text) {
            Ok(url) if url.scheme() == "https" && url.host_str().is_some() => Ok(url),
            _ => Err(wrong("one of its URLs is no https URL")),
        };
        let methods = &found.token_endpoint_auth_methods_supported;
        let has = |name: &str| methods.iter().any(|method| method == name);
        let auth = if has("client_secret_post") && !has("client_secret_basic") {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        Ok(Self {
            issuer: Some(found.issuer),
            says_iss: found.authorization_response_iss_parameter_supported,
            authorization: found.authorization_endpoint.map(url).transpose()?,
            token: url(found.token_endpoint)?,
            device: found.device_authorization_endpoint.map(url).transpose()?,
            revocation: found.revocation_endpoint.map(url).transpose()?,
            auth,
            loopback: "http://127.0.0.1",
            // OpenID Connect Core §11: offline_access is given where consent is asked for
            further: &[("prompt", "consent")],
        })
    }
}

fn wrong(issuer: &Issuer, why: &str) -> LoginError {
    wrong_said(&issuer.name(), why)
}

fn wrong_said(issuer: &str, why: &str) -> LoginError {
    LoginError::Wrong { issuer: issuer.to_owned(), why: why.to_owned() }
}

/// Where an issuer's page about itself can be: behind its path (`OpenID` Connect Discovery §4), or before it (RFC 8414 §3).
fn places(issuer: &str) -> Option<[Url; 2]> {
    let url = Url::parse(issuer).ok()?;
    let path = url.path().trim_end_matches('/').to_owned();
    let (mut openid, mut oauth) = (url.clone(), url);
    openid.set_path(&format!("{path}/.well-known/openid-configuration"));
    oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    Some([openid, oauth])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_an_issuer_has_two_places() {
        let at = |issuer| places(issuer).unwrap().map(|url| url.to_string());
        assert_eq!(
            at("https://login.example/realms/a/"),
            [
                "https://login.example/realms/a/.well-known/openid-configuration",
                "https://login.example/.well-known/oauth-authorization-server/realms/a"
            ]
        );
        assert_eq!(at("https://login.example")[0], "https://login.example/.well-known/openid-configuration");
    }

    #[test]
    fn what_an_issuer_says_about_itself_is_checked() {
        let issuer = "https://login.example";
        let page = |more: &str| {
            let page = format!("{{\"issuer\":\"{issuer}\",\"token_endpoint\":\"https://t.example/t\"{more}}}");
            Endpoints::read(issuer, page.as_bytes())
        };
        let found = page("").unwrap();
        assert!(found.device.is_none() && !found.says_iss && matches!(found.auth, AuthType::BasicAuth));
        assert!(page(",\"device_authorization_endpoint\":\"http://login.example/d\"").is_err());
        assert!(page(",\"revocation_endpoint\":\"x\"").is_err());
        assert!(Endpoints::read("https://login.example/", b"{}").is_err());
        assert!(
            Endpoints::read(
                "https://other.example",
                b"{\"issuer\":\"https://login.example\",\"token_endpoint\":\"https://t.example/t\"}"
            )
            .is_err()
        );
        let post = page(",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"]").unwrap();
        assert!(matches!(post.auth, AuthType::RequestBody));
    }

    #[test]
    fn what_is_known_by_heart_is_right() {
        assert!(Endpoints::google().unwrap().device.is_none());
        let microsoft = Endpoints::microsoft("police.example").unwrap();
        assert_eq!(microsoft.token.as_str(), "https://login.microsoftonline.com/police.example/oauth2/v2.0/token");
    }
}
