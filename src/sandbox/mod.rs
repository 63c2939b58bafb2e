//! An SMTP server that keeps what it is sent and delivers nothing, and the proof made from what it kept.
//!
//! It has TLS with a certificate made for the occasion and AUTH with a password made for the occasion, listens on
//! a loopback address only, and so lets a campaign be sent through the same engine as a real one.

mod capture;
mod proof;
mod session;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use secrecy::{SecretString, zeroize::Zeroizing};
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use self::capture::Capture;
pub use self::proof::Proof;
use crate::{
    campaign::{Account, Login, LoginSecret, Mechanism, Tls},
    secret::{self, SecretSource},
};

/// Who logs in at a sandbox.
const USER: &str = "sandbox";

/// Why there is no sandbox.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum SandboxError {
    #[error("a sandbox listens on a loopback address only, and {0} is none")]
    NotLoopback(SocketAddr),
    #[error("the sandbox cannot listen: {0}")]
    Listen(io::Error),
    #[error("the sandbox cannot write to {path}: {why}")]
    Directory { path: PathBuf, why: io::Error },
    #[error("the sandbox has no certificate: {0}")]
    Certificate(String),
}

/// A running server; it ends when dropped, and what it kept stays.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    directory: PathBuf,
    password: SecretString,
    server: JoinHandle<()>,
}

impl Sandbox {
    /// Starts on a free port of 127.0.0.1 and keeps what it is sent in a new directory below `base`.
    pub async fn start(base: &Path) -> Result<Self, SandboxError> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), base).await
    }

    /// The same on an address, which must be a loopback address.
    pub async fn listen(address: SocketAddr, base: &Path) -> Result<Self, SandboxError> {
        if !address.ip().is_loopback() {
            return Err(SandboxError::NotLoopback(address));
        }
        let unwritable = |why| SandboxError::Directory { path: base.into(), why };
        secret::create_directory(base).map_err(unwritable)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("apiece-sandbox-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let directory = builder.tempdir_in(base).map_err(unwritable)?.keep();
        let listener = TcpListener::bind(address).await.map_err(SandboxError::Listen)?;
        let address = listener.local_addr().map_err(SandboxError::Listen)?;
        let (config, authority) = certificate(address).map_err(SandboxError::Certificate)?;
        std::fs::write(directory.join(AUTHORITY_FILE), authority).map_err(unwritable)?;
        let password = password().map_err(|error| SandboxError::Certificate(error.to_string()))?;

        let shared = Arc::new(session::Shared {
            capture: Capture::new(directory.clone()),
            user: USER.into(),
            password: password.clone(),
        });
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = tokio::spawn(async move {
            // A connection that cannot be accepted now is tried again; nothing else is to be done here.
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::spawn(session::serve(stream, acceptor.clone(), Arc::clone(&shared)));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(Self { address, directory, password, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it keeps what it is sent: for each message an `.eml` file and its envelope beside it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How to reach it.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            name: "sandbox".into(),
            host: self.address.ip().to_string(),
            port: self.address.port(),
            tls: Tls::Implicit,
            ca_file: Some(self.directory.join(AUTHORITY_FILE)),
            client: None,
            proxy: None,
            source: None,
            login: Some(Login {
                username: USER.into(),
                secret: LoginSecret::Password(SecretSource::Ask),
                mechanism: Some(Mechanism::Plain),
            }),
            domains: Vec::new(),
            rates: Vec::new(),
            connections: NonZeroUsize::MIN.saturating_add(3),
            messages_per_connection: None,
            window: NonZeroUsize::MIN,
            pipelining: true,
            timeout: None,
            dkim: None,
            approval: None,
        }
    }

    /// Its password.
    #[must_use]
    pub fn secret(&self) -> SecretString {
        self.password.clone()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The certification authority of a sandbox, beside what it kept.
const AUTHORITY_FILE: &str = "ca.pem";

fn password() -> Result<SecretString, getrandom::Error> {
    let mut random = Zeroizing::new([0; 24]);
    getrandom::fill(&mut *random)?;
    Ok(BASE64_STANDARD.encode(*random).into())
}

/// A certificate for the address, and the authority that signed it, as PEM.
fn certificate(address: SocketAddr) -> Result<(ServerConfig, String), String> {
    let text = |error: rcgen::Error| error.to_string();
    let mut authority = CertificateParams::new(Vec::new()).map_err(text)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().map_err(text)?;
    let authority_pem = authority.self_signed(&authority_key).map_err(text)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().map_err(text)?;
    let names = vec![address.ip().to_string(), "localhost".into()];
    let certificate = CertificateParams::new(names).map_err(text)?.signed_by(&key, &issuer).map_err(text)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(|error| error.to_string())?;
    Ok((config, authority_pem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_listens_on_loopback_only() {
        let base = tempfile::tempdir().unwrap();
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let refused = Sandbox::listen(address.parse().unwrap(), base.path()).await;
            assert!(matches!(refused, Err(SandboxError::NotLoopback(_))), "{address}");
        }
        let sandbox = Sandbox::start(base.path()).await.unwrap();
        assert!(sandbox.address().ip().is_loopback());
        assert!(sandbox.directory().starts_with(base.path()));
    }
}
