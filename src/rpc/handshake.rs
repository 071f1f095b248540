//! Why a TLS handshake failed, in few words. It is the peer's affair: a figure and a line for whoever looks for it, never
//! an error of the server.

use std::io;
use std::net::SocketAddr;

use rustls::{CertificateError, Error};

/// Counts and tells a failed handshake.
pub(super) fn failed(error: &io::Error, peer: Option<SocketAddr>) {
    let reason = reason(error);
    metrics::counter!("symbolon_tls_handshakes_failed_total", "reason" => reason).increment(1);
    tracing::debug!(reason, %error, ?peer, "a TLS handshake failed");
}

fn reason(error: &io::Error) -> &'static str {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match (tls, error.kind()) {
        (Some(error), _) => refusal(error),
        (None, io::ErrorKind::TimedOut) => "too_slow",
        // It left, or what it sent was no TLS and it was left.
        (None, _) => "gone",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rustls has more reasons than anybody counts, and may learn others")]
fn refusal(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "certificate_expired"
        }
        Error::InvalidCertificate(_) => "certificate_refused",
        Error::NoApplicationProtocol => "no_h2",
        Error::PeerIncompatible(_) => "version_or_cipher",
        Error::InvalidMessage(_) => "no_tls",
        // Its words for not liking ours.
        Error::AlertReceived(_) => "refused_by_peer",
        _ => "misbehaved",
    }
}
