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
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        // With one name for both the server's certificate would pass for self-signed.
        authority.distinguished_name.push(DnType::CommonName, "apiece test authority");
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
        let mut server = CertificateParams::new(["localhost".into(), "127.0.0.1".into()]).expect("names");
        server.distinguished_name.push(DnType::CommonName, "localhost");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("key");
        let certificate = server.signed_by(&key, &self.0).expect("certificate").pem();
        Certificate { certificate, key: key.serialize_pem() }
    }
}
