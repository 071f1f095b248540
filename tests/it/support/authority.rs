use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

/// A certificate authority of a test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate of an authority's, and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self(CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// For `localhost` and both its addresses.
    pub(crate) fn server(&self) -> Issued {
        self.issue(&server())
    }

    /// The same, signed by an authority between; both are in the chain.
    pub(crate) fn server_by_another(&self) -> Issued {
        let between = CertifiedIssuer::signed_by(authority("between"), KeyPair::generate().unwrap(), &self.0).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = server().signed_by(&key, &between).unwrap();
        Issued { chain: certificate.pem() + &between.pem(), key: key.serialize_pem() }
    }

    /// The server's, over since a day that is long gone.
    pub(crate) fn expired_server(&self) -> Issued {
        self.issue(&expired(server()))
    }

    pub(crate) fn future_server(&self) -> Issued {
        let mut params = server();
        params.not_before = date_time_ymd(4000, 1, 1);
        self.issue(&params)
    }

    /// A caller's, with these names: a URI has a colon.
    pub(crate) fn client(&self, names: &[&str]) -> Issued {
        self.issue(&client(names))
    }

    pub(crate) fn expired_client(&self, names: &[&str]) -> Issued {
        self.issue(&expired(client(names)))
    }

    fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        Issued { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    /// What a client believes that believes this authority.
    pub(crate) fn believed(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.pem()))
    }

    /// A channel to `address` that believes this authority.
    pub(crate) async fn channel(
        &self,
        address: &str,
        identity: Option<&Issued>,
    ) -> Result<Channel, tonic::transport::Error> {
        let config = match identity {
            Some(issued) => self.believed().identity(Identity::from_pem(&issued.chain, &issued.key)),
            None => self.believed(),
        };
        Channel::from_shared(format!("https://{address}")).unwrap().tls_config(config)?.connect().await
    }

    /// A handshake with `address`, offering h2 and these versions.
    pub(crate) async fn shake(
        &self,
        address: &str,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&Issued>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity {
            Some(issued) => builder.with_client_auth_cert(issued.certificates(), issued.private_key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

impl Issued {
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect()
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// Writes `NAME.pem` and `NAME.key`, which only its owner can read.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> [PathBuf; 2] {
        let [chain, key] = ["pem", "key"].map(|kind| dir.join(format!("{name}.{kind}")));
        std::fs::write(&chain, &self.chain).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        [chain, key]
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn server() -> CertificateParams {
    let mut params = CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(str::to_owned)).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn client(names: &[&str]) -> CertificateParams {
    let mut params = named("caller");
    let name = |name: &&str| {
        if name.contains(':') {
            SanType::URI((*name).try_into().unwrap())
        } else {
            SanType::DnsName((*name).try_into().unwrap())
        }
    };
    params.subject_alt_names = names.iter().map(name).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}
