//! A server that takes everything, keeps nothing, and answers as late as if it were far away.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;

pub(crate) struct Sink {
    /// In clear.
    pub(crate) port: u16,
    /// TLS from the first byte.
    pub(crate) tls_port: u16,
    pub(crate) ca_file: PathBuf,
    taken: Arc<AtomicUsize>,
}

impl Sink {
    /// Runs in threads of its own until the program ends.
    pub(crate) fn start(delay: Duration, directory: &Path) -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let (ports, found) = std::sync::mpsc::channel();
        let (config, certificate) = tls();
        let served = Arc::clone(&taken);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let plain = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                let tls = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                ports.send([&plain, &tls].map(|listener| listener.local_addr().unwrap().port())).unwrap();
                let acceptor = TlsAcceptor::from(Arc::new(config));
                loop {
                    tokio::select! {
                        Ok((stream, _)) = plain.accept() => {
                            stream.set_nodelay(true).unwrap();
                            tokio::spawn(serve(stream, delay, Arc::clone(&served)));
                        }
                        Ok((stream, _)) = tls.accept() => {
                            stream.set_nodelay(true).unwrap();
                            let (acceptor, served) = (acceptor.clone(), Arc::clone(&served));
                            tokio::spawn(async move {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    serve(stream, delay, served).await;
                                }
                            });
                        }
                    }
                }
            });
        });
        let [port, tls_port] = found.recv().unwrap();
        let ca_file = directory.join(format!("ca-{port}.pem"));
        std::fs::write(&ca_file, certificate).unwrap();
        Self { port, tls_port, ca_file, taken }
    }

    /// How many messages it took so far.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

fn tls() -> (ServerConfig, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (config, certificate.pem())
}

/// What is read is answered `delay` later, however much has been read meanwhile.
async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S, delay: Duration, taken: Arc<AtomicUsize>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (sender, mut answers) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, answer)) = answers.recv().await {
            if !delay.is_zero() {
                tokio::time::sleep_until(due).await;
            }
            if writer.write_all(&answer).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
    });
    let _ = sender.send((Instant::now(), b"220 sink ESMTP\r\n".to_vec()));
    let (mut inbox, mut is_content) = (Vec::new(), false);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = reader.read(&mut buffer).await else { return };
        inbox.extend_from_slice(&buffer[..length]);
        let (mut answer, mut start) = (Vec::new(), 0);
        loop {
            let rest = &inbox[start..];
            if is_content {
                let end = if rest.starts_with(b".\r\n") { Some(0) } else { find(rest, b"\r\n.\r\n").map(|at| at + 2) };
                let Some(end) = end else {
                    start += rest.len().saturating_sub(4);
                    break;
                };
                start += end + 3;
                is_content = false;
                taken.fetch_add(1, Ordering::SeqCst);
                answer.extend_from_slice(b"250 2.0.0 Ok\r\n");
                continue;
            }
            let Some(end) = find(rest, b"\r\n") else { break };
            let verb = rest.get(..4).map(<[u8]>::to_ascii_uppercase);
            let reply: &[u8] = match verb.as_deref() {
                Some(b"EHLO") => {
                    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES\r\n"
                }
                Some(b"AUTH") => b"235 2.7.0 Ok\r\n",
                Some(b"DATA") => {
                    is_content = true;
                    b"354 go on\r\n"
                }
                Some(b"QUIT") => b"221 2.0.0 Bye\r\n",
                _ => b"250 2.0.0 Ok\r\n",
            };
            answer.extend_from_slice(reply);
            start += end + 2;
        }
        inbox.drain(..start);
        if !answer.is_empty() {
            let _ = sender.send((Instant::now() + delay, answer));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}
