//! Whose certificates are trusted: the platform's authorities, or those of a file, and nobody else.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

/// Why nobody can be trusted.
#[derive(Debug, Clone, Error)]
#[error("{why}")]
pub(crate) struct Distrust {
    pub(crate) why: String,
    pub(crate) help: Option<&'static str>,
}

/// What verifies a server's certificate: for its name, by the authorities of a file or of this machine.
pub(crate) fn verifier(ca_file: Option<&Path>) -> Result<Arc<dyn ServerCertVerifier>, Distrust> {
    let provider = Arc::new(ring::default_provider());
    let Some(file) = ca_file else {
        let verifier = Verifier::new(provider).map_err(|error| Distrust {
            why: format!("the certificates of this machine cannot be read: {error}"),
            help: Some("install the package ca-certificates"),
        })?;
        return Ok(Arc::new(verifier));
    };
    let unreadable =
        |error: String| Distrust { why: format!("the ca_file {} cannot be used: {error}", file.display()), help: None };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("there is no certificate in it".into()));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(verifier.map_err(|error| unreadable(error.to_string()))?)
}

/// TLS 1.2 or newer, verified, without a certificate of one's own.
#[cfg(feature = "postgres")]
pub(crate) fn config(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, Distrust> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Distrust { why: error.to_string(), help: None })?;
    // Its name is only that of rustls: what verifies here is the verifier above.
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier(ca_file)?).with_no_client_auth())
}
