//! Tokens, and what they are for.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use serde::{Deserialize, Serialize};

use crate::campaign::OAuth;

/// A token is renewed so long before it expires: it has to be taken by the server yet.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// A number that is larger is none: a hundred days.
const LONGEST: Duration = Duration::from_secs(100 * 24 * 3600);

/// An access token with what renews it.
#[derive(Debug, Clone)]
pub struct Token {
    /// What a server takes.
    pub access: SecretString,
    /// What renews it, if that can be done without a person.
    pub refresh: Option<SecretString>,
    /// When it was got.
    pub obtained: Timestamp,
    /// When it expires, if that was said.
    pub expires: Option<Timestamp>,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// Who gave it.
    pub issuer: String,
    /// To which program.
    pub client_id: String,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    issuer: String,
    client_id: String,
    scopes: Vec<String>,
    obtained: String,
    expires: Option<String>,
    access_token: String,
    refresh_token: Option<String>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

impl Token {
    /// When it expires, if it is good for so long from now on.
    pub(super) fn expiry(now: Timestamp, good_for: Option<Duration>) -> Option<Timestamp> {
        let good_for = good_for?.min(LONGEST);
        now.checked_add(SignedDuration::try_from(good_for).ok()?).ok()
    }

    /// Whether a server can be expected to take it.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        if self.access.expose_secret().is_empty() {
            return false;
        }
        let Some(expires) = self.expires else { return true };
        // One that is good for a minute is not renewed all the time.
        let ahead = AHEAD.min(expires.duration_since(self.obtained) / 4);
        now < expires.checked_sub(ahead).unwrap_or(expires)
    }

    /// Whether it was got for these settings.
    #[must_use]
    pub fn is_for(&self, oauth: &OAuth) -> bool {
        self.issuer == oauth.issuer.name() && self.client_id == oauth.client_id
    }

    /// As text.
    pub(super) fn to_json(&self) -> SecretString {
        let kept = Kept {
            version: 1,
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            scopes: self.scopes.clone(),
            obtained: self.obtained.to_string(),
            expires: self.expires.map(|expires| expires.to_string()),
            access_token: self.access.expose_secret().to_owned(),
            refresh_token: self.refresh.as_ref().map(|refresh| refresh.expose_secret().to_owned()),
        };
        // Nothing in it can fail to be written.
        SecretString::from(serde_json::to_string(&kept).unwrap_or_default())
    }

    /// The same without the access token, for a place that is small: it is got anew when it is needed.
    pub(super) fn without_access(&self) -> Self {
        Self { access: SecretString::default(), ..self.clone() }
    }

    /// From the text; none where that is no such thing.
    pub(super) fn from_json(text: &SecretString) -> Option<Self> {
        let kept: Kept = serde_json::from_str(text.expose_secret()).ok().filter(|kept: &Kept| kept.version == 1)?;
        let secret = |text: &String| SecretString::from(text.as_str());
        Some(Self {
            access: secret(&kept.access_token),
            refresh: kept.refresh_token.as_ref().map(secret),
            obtained: kept.obtained.parse().ok()?,
            expires: kept.expires.as_ref().map(|expires| expires.parse()).transpose().ok()?,
            scopes: kept.scopes.clone(),
            issuer: kept.issuer.clone(),
            client_id: kept.client_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(good_for: Option<u64>) -> Token {
        let obtained = Timestamp::from_second(1_000_000).unwrap();
        Token {
            access: "a.b-c".into(),
            refresh: Some("r".into()),
            obtained,
            expires: Token::expiry(obtained, good_for.map(Duration::from_secs)),
            scopes: vec!["mail".into()],
            issuer: "https://login.example".into(),
            client_id: "id".into(),
        }
    }

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let is_fresh = |good_for, after| {
            let token = token(good_for);
            token.is_fresh(token.obtained + SignedDuration::from_secs(after))
        };
        assert!(is_fresh(Some(3600), 3539) && !is_fresh(Some(3600), 3540));
        assert!(is_fresh(Some(40), 29) && !is_fresh(Some(40), 30));
        assert!(!is_fresh(Some(0), 0));
        assert!(is_fresh(None, 1_000_000));
        assert!(!is_fresh(Some(u64::MAX), 1 << 30));
        assert!(!token(None).without_access().is_fresh(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn it_comes_back_as_it_was_kept_and_shows_nothing() {
        let token = token(Some(3600));
        let back = Token::from_json(&token.to_json()).unwrap();
        assert_eq!(back.to_json().expose_secret(), token.to_json().expose_secret());
        assert_eq!(back.refresh.unwrap().expose_secret(), "r");
        assert!(!format!("{token:?}").contains("a.b-c"));
        for wrong in ["", "{}", "[]", &token.to_json().expose_secret().replace("\"version\":1", "\"version\":2")] {
            assert!(Token::from_json(&SecretString::from(wrong)).is_none(), "{wrong}");
        }
    }
}
