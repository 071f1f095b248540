//! What a valid token must say besides: scope, how well the subject authenticated, and how long ago. It owns the
//! comparison; the claims are in the request already.

use crate::refusal::Body;
use crate::verifier::Clock;
use crate::{Claims, Refusal};
use http::{Request, Response};
use http_body_util::Either;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// What the claims of a request must say. A layer for routes behind one of the [`Verifier`](crate::Verifier)'s; a request
/// without claims is refused, so behind an [optional](crate::Verifier::optional) one even an empty guard asks for a token.
#[derive(Clone)]
pub struct Guard {
    scope: Vec<String>,
    acr: Vec<String>,
    max_age: Option<u64>,
    clock: Clock,
}

/// A service with a [`Guard`] in front.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl Guard {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { scope: Vec::new(), acr: Vec::new(), max_age: None, clock }
    }

    /// Needs this scope; said several times, all of them. Else 403 `insufficient_scope` (RFC 6750, section 3.1).
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope.push(scope.into());
        self
    }

    /// Needs an authentication of this context class; said several times, one of them. Else 401
    /// `insufficient_user_authentication` (RFC 9470, section 3).
    #[must_use]
    pub fn acr(mut self, acr: impl Into<String>) -> Self {
        self.acr.push(acr.into());
        self
    }

    /// Needs an authentication at most this long ago, in whole seconds. Else as for [`acr`](Self::acr).
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age.as_secs()), ..self }
    }

    /// Compares.
    ///
    /// # Errors
    /// [`Refusal::InsufficientScope`] first, which no sign-in would mend, then [`Refusal::InsufficientAuthentication`].
    pub fn check(&self, claims: &Claims) -> Result<(), Refusal> {
        let held = |scope: &String| claims.scope.iter().flat_map(|held| held.split(' ')).any(|held| held == scope);
        if !self.scope.iter().all(held) {
            return Err(Refusal::InsufficientScope { scope: self.scope.join(" ") });
        }
        let classed = self.acr.is_empty() || claims.acr.as_ref().is_some_and(|acr| self.acr.contains(acr));
        if classed && self.max_age.is_none_or(|max_age| self.is_fresh(claims, max_age)) {
            return Ok(());
        }
        Err(Refusal::InsufficientAuthentication { acr_values: self.acr.join(" "), max_age: self.max_age })
    }

    /// An authentication ahead of our clock is one of just now.
    fn is_fresh(&self, claims: &Claims, max_age: u64) -> bool {
        let age = claims.auth_time.map(|time| (self.clock)().saturating_sub(time));
        age.is_some_and(|age| u64::try_from(age).unwrap_or(0) <= max_age)
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

impl<S, Q, B> Service<Request<Q>> for Guarded<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let claims = request.extensions().get::<Claims>().ok_or(Refusal::Missing);
        if let Err(refusal) = claims.and_then(|claims| self.guard.check(claims)) {
            let answer = refusal.answer(request.headers());
            return Box::pin(async { Ok(answer) });
        }
        let response = self.inner.call(request);
        Box::pin(async { Ok(response.await?.map(Either::Right)) })
    }
}

/// A single gRPC service can have a guard of its own.
impl<S: tonic::server::NamedService> tonic::server::NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut guard = f.debug_struct("Guard");
        guard
            .field("scope", &self.scope)
            .field("acr", &self.acr)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
