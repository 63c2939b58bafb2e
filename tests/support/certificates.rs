//! Throw-away authorities, and the certificates of servers on this machine that they vouch for, as PEM.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate and its key.
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("apiece test authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        // With one name for both the server's certificate would pass for self-signed.
        authority.distinguished_name.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::self_signed(authority, key).expect("certificate"))
    }

    /// The authority's own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A new one for `localhost` and `127.0.0.1`.
    pub(crate) fn vouch(&self) -> Certificate {
        let server = server(&["localhost", "127.0.0.1"]);
        let key = KeyPair::generate().expect("key");
        let certificate = server.signed_by(&key, &self.0).expect("certificate").pem();
        Certificate { certificate, key: key.serialize_pem() }
    }

    /// One for other names, that begins and ends so many days from now, at midnight.
    pub(crate) fn vouch_for(&self, names: &[&str], days: (i64, i64)) -> Certificate {
        let mut server = server(names);
        let in_days = |days: i64| {
            let day = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days))
                .to_zoned_datetime(jiff::tz::TimeZone::UTC);
            let [month, day_of_month] = [day.month(), day.day()].map(|number| u8::try_from(number).expect("a date"));
            rcgen::date_time_ymd(i32::from(day.year()), month, day_of_month)
        };
        (server.not_before, server.not_after) = (in_days(days.0), in_days(days.1));
        let key = KeyPair::generate().expect("key");
        let certificate = server.signed_by(&key, &self.0).expect("certificate").pem();
        Certificate { certificate, key: key.serialize_pem() }
    }
}

/// A certificate for `localhost` for which nobody else vouches.
pub(crate) fn self_signed() -> Certificate {
    let key = KeyPair::generate().expect("key");
    let certificate = server(&["localhost"]).self_signed(&key).expect("certificate").pem();
    Certificate { certificate, key: key.serialize_pem() }
}

fn server(names: &[&str]) -> CertificateParams {
    let mut server = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names");
    server.distinguished_name.push(DnType::CommonName, names[0]);
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server
}
