//! Channels to the gRPC servers the edge calls: several addresses, TLS, and a bearer token.

use std::path::Path;
use std::time::Duration;

use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::Failure;
use super::listen::names_this_machine;
use crate::config::Upstream;
use crate::edge::Channel;
use crate::edge::issuer::channel;

/// How long an address may take to be reached before the next one is tried.
const CONNECT: Duration = Duration::from_secs(1);

/// How often a silent connection is asked whether it is there, and how long it may take to say so: one that went dead
/// without a word must not hold up a sign-in for minutes.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// A channel to each address. They connect when they are first needed, so that neither side has to start first.
/// `setting` is what the addresses are called.
pub(super) fn channels(upstream: &Upstream, setting: &str) -> Result<Vec<Channel>, Failure> {
    upstream.urls.iter().map(|url| Ok(channel(endpoint(upstream, url, setting)?.connect_lazy()))).collect()
}

/// The bearer token, as it is sent.
pub(super) fn token(upstream: &Upstream, setting: &str) -> Result<Option<AsciiMetadataValue>, Failure> {
    let Some(token) = &upstream.token else { return Ok(None) };
    let mut value = AsciiMetadataValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| format!("{setting} cannot be sent: it holds characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn endpoint(upstream: &Upstream, url: &str, setting: &str) -> Result<Endpoint, Failure> {
    let unusable = |cause: &dyn std::fmt::Display| format!("{setting}: {url} cannot be used: {cause}");
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| unusable(&error))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if endpoint.uri().scheme_str() == Some("https") {
        let tls = tls(upstream)?;
        return Ok(endpoint.tls_config(tls).map_err(|error| unusable(&error))?);
    }
    let host = endpoint.uri().host().unwrap_or_default();
    if names_this_machine(host) {
        Ok(endpoint)
    } else {
        let secrets = "passwords and tokens would be readable on the way";
        Err(format!("{setting} is {url}: by http it has to be on this machine, since {secrets}; use https").into())
    }
}

fn tls(upstream: &Upstream) -> Result<ClientTlsConfig, Failure> {
    let tls = match &upstream.ca_file {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(match (&upstream.cert_file, &upstream.key_file) {
        (Some(cert), Some(key)) => tls.identity(Identity::from_pem(read(cert)?, read(key)?)),
        (Some(_) | None, None) | (None, Some(_)) => tls,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}
