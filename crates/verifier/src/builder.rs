//! A verifier before it starts: what it is told, what of it cannot work, and the tasks it begins.

use crate::grpc::{Endpoint, Endpoints};
use crate::issuer::{Issuer, Keys};
use crate::jwks::{self, Source};
use crate::revocations::Revocations;
use crate::verifier::{Clock, Inner, Trusted};
use crate::{Cache, KeySet, KeySetError, Verifier};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::AbortHandle;
use tonic::metadata::AsciiMetadataValue;

/// By how many seconds the clocks of issuer and service may differ.
const LEEWAY: i64 = 30;

/// How long a start waits for the issuers.
const PATIENCE: Duration = Duration::from_secs(10);

/// A verifier that has not started.
#[must_use = "it verifies nothing before it is started"]
pub struct Builder {
    issuers: Vec<Issuer>,
    audiences: Vec<String>,
    exp_leeway: i64,
    iat_leeway: i64,
    clock: Clock,
}

/// What a verifier was told cannot work.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An issuer or audience is empty.
    #[error("an issuer or audience is empty")]
    Unnamed,
    /// The JWK Set that was handed in is not one.
    #[error("the keys of {issuer}")]
    Keys {
        /// Whose.
        issuer: String,
        /// Why not.
        source: KeySetError,
    },
    /// There is nowhere to fetch keys from: no endpoint, and without the feature `https` no URL.
    #[error("{issuer} has neither keys nor an endpoint, and the feature https is off")]
    NoKeys {
        /// Whose.
        issuer: String,
    },
    /// The URL is not `https`, nor `http` to this machine.
    #[error("keys come from an https URL, or from this machine: {url}")]
    Url {
        /// The URL.
        url: String,
    },
    /// This machine's certificate authorities cannot be read.
    #[error("the certificate authorities of this machine")]
    Roots(#[source] std::io::Error),
    /// A secret that cannot stand in a header.
    #[error("the caller's secret for {issuer} cannot stand in a header")]
    CallerSecret {
        /// For whom.
        issuer: String,
    },
    /// Revocations are to be followed, and there is no endpoint.
    #[error("there is no endpoint that tells of the revocations of {issuer}")]
    NoEndpoint {
        /// Whose.
        issuer: String,
    },
}

impl Builder {
    pub(crate) fn new(issuer: Issuer, audience: String) -> Self {
        Self {
            issuers: vec![issuer],
            audiences: vec![audience],
            exp_leeway: LEEWAY,
            iat_leeway: LEEWAY,
            clock: Arc::new(system_clock),
        }
    }

    /// Believes this issuer too: while one is replaced by another. Each is believed by its own keys only.
    pub fn or_issuer(mut self, issuer: impl Into<Issuer>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// This service is known by this name too.
    pub fn or_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// For so many seconds after its `exp` a token still passes. Unset: 30.
    pub fn exp_leeway(self, seconds: u32) -> Self {
        Self { exp_leeway: seconds.into(), ..self }
    }

    /// By so many seconds the issuer's clock may be ahead. Unset: 30.
    pub fn iat_leeway(self, seconds: u32) -> Self {
        Self { iat_leeway: seconds.into(), ..self }
    }

    /// Another clock than the machine's, in seconds since 1970: for tests.
    pub fn clock(self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Starts it on the running tokio runtime, and waits at most ten seconds for keys and revocations. An issuer that is
    /// away is no error: until it answers, its tokens are [undecided](crate::Refusal::Undecided), or revocations stale.
    ///
    /// # Errors
    /// What cannot work however long one waits.
    pub async fn start(self) -> Result<Verifier, StartError> {
        let verifier = self.build()?;
        if tokio::time::timeout(PATIENCE, verifier.ready()).await.is_err() {
            tracing::warn!(?verifier, "the verifier starts without having heard of every issuer");
        }
        Ok(verifier)
    }

    pub(crate) fn build(self) -> Result<Verifier, StartError> {
        if self.audiences.iter().chain(self.issuers.iter().map(|issuer| &issuer.name)).any(String::is_empty) {
            return Err(StartError::Unnamed);
        }
        let mut tasks = Tasks::default();
        let trusted = self.issuers.into_iter();
        let trusted: Result<_, _> =
            trusted.map(|issuer| trust(issuer, &self.clock, self.exp_leeway, &mut tasks)).collect();
        Ok(Verifier::of(Inner {
            trusted: trusted?,
            audiences: self.audiences,
            exp_leeway: self.exp_leeway,
            iat_leeway: self.iat_leeway,
            clock: self.clock,
            tasks,
        }))
    }
}

/// What runs in the background, until this is dropped.
#[derive(Default)]
pub(crate) struct Tasks(Vec<AbortHandle>);

impl Tasks {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.push(tokio::spawn(task).abort_handle());
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

fn trust(issuer: Issuer, clock: &Clock, exp_leeway: i64, tasks: &mut Tasks) -> Result<Trusted, StartError> {
    let Issuer { name, keys, cool_down, channels, caller_secret, when_stale, stale_after } = issuer;
    let credential = caller_secret.map(|secret| credential(&secret)).transpose();
    let credential = credential.map_err(|()| StartError::CallerSecret { issuer: name.clone() })?;
    let endpoint = |channel| Endpoint::new(channel, credential.clone());
    let endpoints = Arc::new(Endpoints::new(channels.into_iter().map(endpoint).collect()));

    let revocations = match when_stale {
        None => None,
        Some(_) if endpoints.all.is_empty() => return Err(StartError::NoEndpoint { issuer: name }),
        Some(when_stale) => Some(Arc::new(Revocations::new(stale_after, when_stale, Arc::clone(&endpoints)))),
    };
    let keys = match source(keys, &endpoints, &name)? {
        Found::Already(set) => Arc::new(Cache::holding(set)),
        Found::At(source) => {
            let cache = Arc::new(Cache::new(cool_down));
            tasks.spawn(jwks::follow(Arc::clone(&cache), source, name.clone(), Arc::clone(clock)));
            cache
        }
    };
    if let Some(revocations) = &revocations {
        let (issuer, revocations, clock) = (name.clone(), Arc::clone(revocations), Arc::clone(clock));
        tasks.spawn(async move { revocations.follow(&issuer, || clock(), exp_leeway).await });
    }
    Ok(Trusted { issuer: name, keys, revocations })
}

enum Found {
    Already(KeySet),
    At(Source),
}

fn source(keys: Option<Keys>, endpoints: &Arc<Endpoints>, issuer: &str) -> Result<Found, StartError> {
    Ok(match keys {
        Some(Keys::Fixed(json)) => {
            let set = KeySet::from_json(&json);
            Found::Already(set.map_err(|source| StartError::Keys { issuer: issuer.to_owned(), source })?)
        }
        Some(Keys::Fetched(fetch)) => Found::At(Source::Fetched(fetch)),
        #[cfg(feature = "https")]
        Some(Keys::Url(url)) => Found::At(Source::at(url)?),
        None if !endpoints.all.is_empty() => Found::At(Source::Endpoints(Arc::clone(endpoints))),
        None => Found::At(Source::well_known(issuer)?),
    })
}

fn credential(secret: &str) -> Result<AsciiMetadataValue, ()> {
    let mut value = AsciiMetadataValue::try_from(format!("Bearer {secret}")).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(value)
}

#[expect(clippy::disallowed_methods, reason = "the crate's one clock")]
pub(crate) fn system_clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
