//! TLS as every connection has it: version, verification, and what the server showed.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedCipherSuite,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use super::StopReason;
use crate::{
    campaign::{Account, ClientIdentity},
    secret::read_owner_only,
    trust::{self, Distrust},
};

/// A chain of more certificates than these is not kept.
const MOST_CERTIFICATES: usize = 10;

/// The certificates that a server showed last: they are known although a handshake was broken off because of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Presented(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl Presented {
    /// The server's own first.
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Decides nothing: notes what is shown, and says what the real verifier says.
#[derive(Debug)]
struct Noting {
    verifier: Arc<dyn ServerCertVerifier>,
    presented: Presented,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates).take(MOST_CERTIFICATES);
        let chain = all.map(|certificate| certificate.clone().into_owned()).collect();
        *self.presented.0.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[rustls::DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}

fn problem(why: String, help: Option<&str>) -> StopReason {
    StopReason::Insecure { why, help: help.map(str::to_owned) }
}

/// TLS 1.2 or newer, verified against the platform's roots or the account's own.
pub(super) fn config(account: &Account, presented: &Presented) -> Result<ClientConfig, StopReason> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| problem(error.to_string(), None))?;
    let noting = Noting { verifier: verifier(account)?, presented: presented.clone() };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(noting));
    let Some(ClientIdentity { certificate, key }) = &account.client else { return Ok(builder.with_no_client_auth()) };
    let unusable =
        |why: String| problem(format!("the client_cert {} cannot be used: {why}", certificate.display()), None);
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|why| unusable(why.to_string()))?;
    let secret = read_owner_only(key, "client_key", "key file").map_err(|why| unusable(why.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&secret).map_err(|_| unusable("its client_key holds no key".into()))?;
    builder.with_client_auth_cert(chain, key).map_err(|why| unusable(why.to_string()))
}

fn verifier(account: &Account) -> Result<Arc<dyn ServerCertVerifier>, StopReason> {
    trust::verifier(account.ca_file.as_deref()).map_err(|Distrust { why, help }| problem(why, help))
}

/// Whether a certificate is for a name, whoever vouches for it.
pub(super) fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(parsed) = rustls::server::ParsedCertificate::try_from(certificate) else { return false };
    let Ok(name) = ServerName::try_from(host.trim_matches(['[', ']'])) else { return false };
    !matches!(
        rustls::client::verify_server_name(&parsed, &name),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ))
    )
}

/// `TLSv1.3`
pub(super) fn short(version: Option<&str>) -> &'static str {
    match version {
        Some("TLSv1_2") => "TLSv1.2",
        Some("TLSv1_3") => "TLSv1.3",
        _ => "TLS",
    }
}

/// `TLS13_AES_256_GCM_SHA384`
pub(super) fn ciphers(suite: Option<SupportedCipherSuite>) -> String {
    suite.and_then(|suite| suite.suite().as_str().map(str::to_owned)).unwrap_or_else(|| "unknown ciphers".into())
}
