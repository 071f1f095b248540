//! TLS in front of the edge of `symbolon dev --https`, with a certificate that is thrown away: so that the cookie has the
//! name and the attributes it has in earnest. It passes bytes on and knows nothing of HTTP.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertifiedKey, PublicKeyData, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest, Sha256};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Failure;

/// A certificate for this machine's names for itself, made now and kept nowhere.
pub(super) struct ThrowAway {
    acceptor: TlsAcceptor,
    /// SHA-256 of its public key in base64: what a browser is told to believe (RFC 7469 section 2.4).
    pub(super) pin: String,
}

/// How long a browser may take to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

impl ThrowAway {
    pub(super) fn make() -> Result<Self, Failure> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
        let pin = STANDARD.encode(Sha256::digest(signing_key.subject_public_key_info()));
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), pin })
    }

    /// Takes the place of `listeners`: whatever comes there reaches the listener that is answered, without its TLS. It
    /// ends with the process.
    pub(super) async fn before(self, listeners: Vec<TcpListener>) -> Result<TcpListener, Failure> {
        let edge = TcpListener::bind("127.0.0.1:0").await?;
        let address = edge.local_addr()?;
        for listener in listeners {
            let acceptor = self.acceptor.clone();
            tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => drop(tokio::spawn(pass_on(acceptor.clone(), stream, address))),
                        Err(error) => {
                            tracing::warn!(%error, "a connection could not be accepted");
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            });
        }
        Ok(edge)
    }
}

/// One connection; who breaks it off is no news.
async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, edge: std::net::SocketAddr) {
    let shaken = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await;
    if let (Ok(Ok(mut browser)), Ok(mut edge)) = (shaken, TcpStream::connect(edge).await) {
        let _ = copy_bidirectional(&mut browser, &mut edge).await;
    }
}
