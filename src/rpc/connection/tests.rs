use std::path::Path;

use futures_util::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::*;
use crate::time::Timestamp;
use crate::tls::{Files, Oldest, read};

const NOW: i64 = 1_780_315_200;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate and its key, in PEM.
fn issue(authority: &Authority, names: Vec<SanType>) -> (String, String) {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, authority).expect("a certificate").pem(), key.serialize_pem())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("a name"))
}

/// A server's TLS that asks for certificates of this authority.
fn current(dir: &Path, authority: &Authority) -> Current {
    use std::os::unix::fs::PermissionsExt;
    let [certificate, key, ca] = ["cert", "key", "ca"].map(|name| dir.join(name));
    let (chain, secret) = issue(authority, vec![dns("localhost")]);
    for (path, content) in [(&certificate, chain), (&key, secret), (&ca, authority.pem())] {
        std::fs::write(path, content).expect("written");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("its owner's only");
    }
    let files = Files { certificate, key, client_ca: Some(ca), oldest: Oldest::Tls13 };
    Arc::new(read(&files, Timestamp::from_seconds(NOW)).expect("good files").config.into())
}

fn client(authority: &Authority, shown: Option<(String, String)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("an anchor");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    let config = match shown {
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(|it| it.expect("a certificate"));
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain.collect(), key).expect("a pair")
        }
        None => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_connection_knows_the_names_of_its_verified_certificate() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ours, foreign) = (authority(), authority());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let tls = Some(current(dir.path(), &ours));
    let mut accepted = Box::pin(accept(vec![listener], tls, 16, Duration::from_secs(5)));
    let names = vec![
        dns("Backend.Example"),
        uri("spiffe://example.org/Backend"),
        SanType::Rfc822Name("mallory@example.org".try_into().expect("a name")),
        SanType::IpAddress([10, 0, 0, 1].into()),
    ];
    let cases = [
        (Some(issue(&ours, names.clone())), ["spiffe://example.org/Backend", "backend.example"].as_slice()),
        (Some(issue(&ours, Vec::new())), &[]),
        (None, &[]),
    ];
    for (shown, expected) in cases {
        // Refused, and therefore never seen below.
        let stream = TcpStream::connect(address).await.expect("connected");
        let name = || ServerName::try_from("localhost").expect("a name");
        let refused = client(&ours, Some(issue(&foreign, names.clone())));
        let refused = tokio::spawn(async move { refused.connect(name(), stream).await });
        let stream = TcpStream::connect(address).await.expect("connected");
        let own_address = stream.local_addr().expect("an address");
        let connector = client(&ours, shown);
        let connected = tokio::spawn(async move { connector.connect(name(), stream).await });
        let connection = accepted.next().await.expect("a connection").expect("no error");
        let peer = connection.connect_info();
        assert_eq!(
            (peer.address, &*peer.names),
            (Some(own_address), expected.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>().as_slice())
        );
        connected.await.expect("no panic").expect("a handshake");
        drop(refused);
    }
}
