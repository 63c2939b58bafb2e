//! A throw-away CA and the server's certificate.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{ServerConfig, crypto};

/// A new CA, its certificate written to a file.
pub(super) fn authority(name: &str, file: &Path) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key for the CA");
    let ca = CertifiedIssuer::self_signed(params, key).expect("the CA's certificate");
    std::fs::write(file, ca.pem()).expect("room for the CA's certificate");
    ca
}

pub(super) fn server_config(ca: &CertifiedIssuer<'static, KeyPair>, names: Vec<String>) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(names).expect("names fit for a certificate");
    params.distinguished_name.push(DnType::CommonName, "Scripted test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().expect("a key for the server");
    let certificate = params.signed_by(&key, ca).expect("the server's certificate");
    let config = ServerConfig::builder_with_provider(crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.into())
        .expect("a certificate that goes with its key");
    Arc::new(config)
}
