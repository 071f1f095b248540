//! A JWK Set at a URL: one GET, without redirects, over a TLS that trusts what this machine trusts.

use crate::jwks::MAX_AGE;
use crate::{KeySet, MAX_JWKS_BYTES, StartError};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use tonic::codegen::StdError;

pub(crate) struct Url {
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Url {
    pub(crate) fn new(url: String) -> Result<Self, StartError> {
        let uri = url.parse().ok().filter(is_safe).ok_or(StartError::Url { url })?;
        // The provider is named: which one a process has installed, if any, is not ours to rely on.
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(StartError::Roots)?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self { uri, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    pub(crate) async fn fetch(&self) -> Result<(KeySet, Duration), StdError> {
        let request = Request::get(&self.uri).header(header::ACCEPT, "application/jwk-set+json, application/json");
        let response = self.client.request(request.body(Empty::new())?).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}", response.status()).into());
        }
        let max_age = max_age(response.headers());
        let body = Limited::new(response.into_body(), MAX_JWKS_BYTES).collect().await?.to_bytes();
        Ok((KeySet::from_json(&body)?, max_age))
    }
}

/// Whoever is on the way to another machine could answer with keys of their own, unless TLS says who answers.
fn is_safe(uri: &Uri) -> bool {
    match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => {
            let host = uri.host().unwrap_or_default();
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    }
}

/// How long the answer may be kept (RFC 9111, section 5.2.2.1). What says that it may not be kept is kept for the
/// cool-down.
fn max_age(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives =
        values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    let seconds = |directive: String| match directive.strip_prefix("max-age=") {
        Some(seconds) => seconds.trim_matches('"').parse().ok(),
        None => matches!(directive.as_str(), "no-store" | "no-cache").then_some(0),
    };
    directives.find_map(seconds).map_or(MAX_AGE, Duration::from_secs)
}

#[cfg(test)]
mod tests;
