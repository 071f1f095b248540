//! Where an issuer's keys come from, and how long an answer is good. It owns the sources; the cache decides when to ask.

use crate::grpc::{Endpoints, pb};
use crate::issuer::Fetch;
use crate::verifier::Clock;
use crate::{Cache, Jwk, KeySet, StartError, metrics};
use std::sync::Arc;
use std::time::Duration;
use tonic::codegen::StdError;

/// How long a set may be kept that does not say: as long as Symbolon's own.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(300);

pub(crate) enum Source {
    Fetched(Box<Fetch>),
    Endpoints(Arc<Endpoints>),
    #[cfg(feature = "https")]
    Url(Box<crate::https::Url>),
}

impl Source {
    #[cfg(feature = "https")]
    pub(crate) fn at(url: String) -> Result<Self, StartError> {
        crate::https::Url::new(url).map(|url| Self::Url(Box::new(url)))
    }

    #[cfg(feature = "https")]
    pub(crate) fn well_known(issuer: &str) -> Result<Self, StartError> {
        Self::at(format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/')))
    }

    #[cfg(not(feature = "https"))]
    pub(crate) fn well_known(issuer: &str) -> Result<Self, StartError> {
        Err(StartError::NoKeys { issuer: issuer.to_owned() })
    }

    async fn fetch(&self, issuer: &str) -> Result<(KeySet, Duration), StdError> {
        match self {
            Self::Fetched(fetch) => fetch().await,
            Self::Endpoints(endpoints) => read(endpoints.jwks().await?, issuer),
            #[cfg(feature = "https")]
            Self::Url(url) => url.fetch().await,
        }
    }
}

/// Keeps `cache` fresh, for ever.
pub(crate) async fn follow(cache: Arc<Cache<KeySet>>, source: Source, issuer: String, clock: Clock) {
    let fetch = || async {
        let fetched = source.fetch(&issuer).await.inspect_err(|error| {
            tracing::warn!(%issuer, %error, "the issuer's keys could not be fetched");
        });
        metrics::fetched(&issuer, fetched.is_ok().then(|| clock()));
        fetched.ok()
    };
    cache.follow(fetch).await;
}

/// What Symbolon answers. Keys of another issuer are a connection to the wrong place.
fn read(answer: pb::GetJwksResponse, issuer: &str) -> Result<(KeySet, Duration), StdError> {
    if answer.issuer != issuer {
        return Err(format!("the endpoint is of another issuer, {:?}", answer.issuer).into());
    }
    let max_age = answer.max_age.and_then(|age| Duration::try_from(age).ok()).unwrap_or(MAX_AGE);
    let jwk = |key: pb::Jwk| Jwk {
        kty: key.kty,
        crv: Some(key.crv),
        x: Some(key.x),
        kid: Some(key.kid),
        alg: Some(key.alg),
        r#use: Some(key.r#use),
    };
    Ok((KeySet::new(&answer.keys.into_iter().map(jwk).collect::<Vec<_>>())?, max_age))
}
