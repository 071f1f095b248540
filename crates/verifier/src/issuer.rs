//! An issuer as a verifier is told of it: its name, where its keys come from, and whether its revocations are followed.

use crate::grpc::{Channel, channel};
use crate::revocations::STALE_AFTER;
use crate::{COOL_DOWN, KeySet, WhenStale};
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{Service, StdError};

/// Whose tokens are believed. A string is an issuer too: one whose keys are at its well-known URL.
pub struct Issuer {
    pub(crate) name: String,
    pub(crate) keys: Option<Keys>,
    pub(crate) cool_down: Duration,
    pub(crate) channels: Vec<Channel>,
    pub(crate) caller_secret: Option<String>,
    pub(crate) when_stale: Option<WhenStale>,
    pub(crate) stale_after: Duration,
}

/// Where keys come from. Without any: the endpoints, or the well-known URL if there are none.
pub(crate) enum Keys {
    Fixed(Vec<u8>),
    #[cfg(feature = "https")]
    Url(String),
    Fetched(Box<Fetch>),
}

pub(crate) type Fetch = dyn Fn() -> Fetching + Send + Sync;
type Fetching = Pin<Box<dyn Future<Output = Result<(KeySet, Duration), StdError>> + Send>>;

impl Issuer {
    /// The issuer that calls itself `name`: the `iss` of its tokens, byte for byte.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            keys: None,
            cool_down: COOL_DOWN,
            channels: Vec::new(),
            caller_secret: None,
            when_stale: None,
            stale_after: STALE_AFTER,
        }
    }

    /// Believes the keys of this JWK Set and no others, for ever: for tests, and where an operator hands them out.
    #[must_use]
    pub fn keys(self, jwk_set: impl Into<Vec<u8>>) -> Self {
        Self { keys: Some(Keys::Fixed(jwk_set.into())), ..self }
    }

    /// Fetches the keys from here instead of `/.well-known/jwks.json` below the issuer: an `https` URL, or `http` to this
    /// machine. Redirects are not followed.
    #[cfg(feature = "https")]
    #[must_use]
    pub fn jwks_url(self, url: impl Into<String>) -> Self {
        Self { keys: Some(Keys::Url(url.into())), ..self }
    }

    /// Fetches the keys in a way of your own: through a proxy, say. Answers them and how long they may be kept.
    #[must_use]
    pub fn fetched_by<F>(self, fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(KeySet, Duration), StdError>> + Send + 'static,
    {
        Self { keys: Some(Keys::Fetched(Box::new(move || Box::pin(fetch())))), ..self }
    }

    /// Two fetches lie at least this far apart, however many tokens name keys that are unknown. Unset: 30 s.
    #[must_use]
    pub fn cool_down(self, cool_down: Duration) -> Self {
        Self { cool_down, ..self }
    }

    /// Asks Symbolon over this connection, a `tonic::transport::Channel` or any other gRPC service. May be said several
    /// times, once a replica: keys come from the first that answers, revocations from all of them together.
    #[must_use]
    pub fn endpoint<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<StdError>,
        S::Future: Send + 'static,
    {
        self.channels.push(channel(service));
        self
    }

    /// The secret by which Symbolon knows this service, as its callers file declares it. Unset: the connection says who it
    /// is, by its certificate.
    #[must_use]
    pub fn caller_secret(self, secret: impl Into<String>) -> Self {
        Self { caller_secret: Some(secret.into()), ..self }
    }

    /// Follows the feed of revocations at every endpoint, and does this with tokens while it is stale. The caller needs the
    /// permission `watch`. Unset: tokens live until their `exp`.
    #[must_use]
    pub fn revocations(self, when_stale: WhenStale) -> Self {
        Self { when_stale: Some(when_stale), ..self }
    }

    /// The feed is stale when no endpoint has been heard of for this long; heartbeats come every 15 s at the latest.
    /// Unset: 60 s.
    #[must_use]
    pub fn stale_after(self, stale_after: Duration) -> Self {
        Self { stale_after, ..self }
    }
}

impl From<&str> for Issuer {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Issuer {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("name", &self.name).finish_non_exhaustive()
    }
}
