//! Who is at the other end of a connection, read once when it begins: an address, and the names in a certificate that
//! was verified. It does not know whom a name belongs to.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The other end of a connection. Every request carries it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `None` if the socket did not say.
    pub address: Option<SocketAddr>,
    /// The URI and DNS names (in lower case) of its verified certificate; none without one.
    pub names: Arc<[String]>,
}

impl Peer {
    /// A peer, and the certificate it has shown and was believed.
    pub(super) fn new(address: Option<SocketAddr>, verified: Option<&CertificateDer<'_>>) -> Self {
        Self { address, names: verified.map(names).unwrap_or_default() }
    }

    /// Whether it is on this machine, in every spelling of the address.
    pub(super) fn is_local(&self) -> bool {
        self.address.is_some_and(|address| address.ip().to_canonical().is_loopback())
    }
}

fn names(certificate: &CertificateDer<'_>) -> Arc<[String]> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Arc::default() };
    // What has no scheme is no URI, and must not pass for the name of a host.
    let uris = certificate.valid_uri_names().filter(|name| name.contains(':')).map(str::to_owned);
    uris.chain(certificate.valid_dns_names().map(str::to_ascii_lowercase)).collect()
}
