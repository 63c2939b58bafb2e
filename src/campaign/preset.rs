//! What is known of large providers: where their submission servers are, and what they allow. `docs/formats.md` has the sources.

use std::str::FromStr;

use super::Tls;

/// A provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// As the config file calls it.
    pub name: &'static str,
    /// Unless it depends on the account.
    pub host: Option<&'static str>,
    /// How the connection is encrypted; the usual port belongs to it.
    pub tls: Tls,
    /// What it allows, as rates are written.
    pub rates: &'static [&'static str],
    /// At most so many at once.
    pub connections: usize,
    /// So many messages go over one connection at most.
    pub messages_per_connection: Option<usize>,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self {
            rates: &["30/min", "10000/day"],
            connections: 3,
            ..Self::at("microsoft365", Some("smtp.office365.com"), Tls::StartTls)
        },
        Self { rates: &["500/day"], ..Self::at("gmail", Some("smtp.gmail.com"), Tls::Implicit) },
        Self { rates: &["2000/day"], ..Self::at("google-workspace", Some("smtp.gmail.com"), Tls::Implicit) },
        // The numbers of an account that is still in Amazon's sandbox; its host is that of its region.
        Self { rates: &["1/s", "200/day"], ..Self::at("amazon-ses", None, Tls::Implicit) },
        Self { connections: 4, ..Self::at("postmark", Some("smtp.postmarkapp.com"), Tls::StartTls) },
        Self { connections: 4, ..Self::at("mailgun", Some("smtp.mailgun.org"), Tls::Implicit) },
        Self {
            connections: 8,
            messages_per_connection: Some(5000),
            ..Self::at("sendgrid", Some("smtp.sendgrid.net"), Tls::Implicit)
        },
        Self::at("fastmail", Some("smtp.fastmail.com"), Tls::Implicit),
    ];

    const fn at(name: &'static str, host: Option<&'static str>, tls: Tls) -> Self {
        Self { name, host, tls, rates: &[], connections: 1, messages_per_connection: None }
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|preset| preset.name == text).ok_or_else(|| {
            let names = Self::ALL.map(|preset| format!("\"{}\"", preset.name));
            format!("no such provider is known; there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Rate;

    #[test]
    fn each_is_found_by_its_name_and_has_rates_that_are_some() {
        for preset in Preset::ALL {
            assert_eq!(preset.name.parse(), Ok(preset));
            assert!(preset.rates.iter().all(|rate| rate.parse::<Rate>().is_ok()) && preset.connections > 0);
        }
        assert!("hotmail".parse::<Preset>().unwrap_err().contains("\"microsoft365\""));
    }
}
