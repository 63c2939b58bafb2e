//! A throw-away CA and the server's certificate.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto, server::WebPkiClientVerifier};

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

/// A certificate for a client and its key, in two files beside the CA's, the key readable by its owner alone.
pub(super) fn client(ca: &CertifiedIssuer<'static, KeyPair>, directory: &Path) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Scripted test client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().expect("a key for the client");
    let certificate = params.signed_by(&key, ca).expect("the client's certificate");
    std::fs::write(directory.join("client.pem"), certificate.pem()).expect("room for it");
    let file = directory.join("client-key.pem");
    std::fs::write(&file, key.serialize_pem()).expect("room for it");
    #[cfg(unix)]
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
}

/// `wants_client`: whoever has no certificate of the CA is not let in.
pub(super) fn server_config(
    ca: &CertifiedIssuer<'static, KeyPair>,
    names: Vec<String>,
    wants_client: bool,
) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(names).expect("names fit for a certificate");
    params.distinguished_name.push(DnType::CommonName, "Scripted test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().expect("a key for the server");
    let certificate = params.signed_by(&key, ca).expect("the server's certificate");
    let config = ServerConfig::builder_with_provider(crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("protocol versions");
    let config = if wants_client {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).expect("the CA's certificate");
        let provider = crypto::ring::default_provider().into();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
        config.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        config.with_no_client_auth()
    };
    let config =
        config.with_single_cert(vec![certificate.into()], key.into()).expect("a certificate that goes with its key");
    Arc::new(config)
}
