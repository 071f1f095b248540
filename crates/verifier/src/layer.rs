//! The verifier in front of a service, over HTTP or gRPC alike: a tower layer that puts [`Claims`](crate::Claims) into the
//! request's extensions, or answers for the service. It owns how a token is found in a request.

use crate::refusal::Body;
use crate::{Claims, Guard, Refusal, Rejection, Verifier, bearer, metrics};
use http::{HeaderMap, Request, Response, header};
use http_body_util::Either;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a [`Verifier`] in front of a service.
#[derive(Clone, Debug)]
pub struct VerifierLayer {
    verifier: Verifier,
    required: bool,
}

/// A service with a [`Verifier`] in front.
#[derive(Clone, Debug)]
pub struct Verified<S> {
    inner: S,
    layer: VerifierLayer,
}

impl Verifier {
    /// A layer that lets nobody pass without a valid token.
    #[must_use]
    pub fn required(&self) -> VerifierLayer {
        VerifierLayer { verifier: self.clone(), required: true }
    }

    /// A layer for routes that are public: who brings no token passes without claims. A token that is brought must be valid
    /// even here.
    #[must_use]
    pub fn optional(&self) -> VerifierLayer {
        VerifierLayer { verifier: self.clone(), required: false }
    }

    /// Begins a guard: what a valid token must say besides, for some routes or all.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard::new(self.clock())
    }

    /// What the token in `Authorization` says: exactly one header, of the scheme `Bearer` (RFC 6750, section 2.1).
    ///
    /// # Errors
    /// [`Refusal::Missing`] if there is none or it is of another scheme, else as [`verify`](Self::verify).
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Claims, Refusal> {
        match token(headers) {
            Ok(token) => self.verify(token).await,
            Err(refusal) => {
                metrics::verified(refusal.label());
                Err(refusal)
            }
        }
    }
}

fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Refusal::Missing),
        (Some(value), None) => bearer(value.as_bytes()).ok_or(Refusal::Missing),
        // Which one a service behind us would read, nobody knows.
        (Some(_), Some(_)) => Err(Rejection::Structure.into()),
    }
}

impl<S> Layer<S> for VerifierLayer {
    type Service = Verified<S>;

    fn layer(&self, inner: S) -> Verified<S> {
        Verified { inner, layer: self.clone() }
    }
}

impl<S, Q, B> Service<Request<Q>> for Verified<S>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    Q: Send + 'static,
{
    type Response = Response<Body<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        // The one that was polled is the one that is ready.
        let unpolled = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unpolled);
        let VerifierLayer { verifier, required } = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match verifier.authenticate(&parts.headers).await {
                Ok(claims) => {
                    parts.extensions.insert(claims);
                }
                Err(Refusal::Missing) if !required => {}
                Err(refusal) => return Ok(refusal.answer(&parts.headers)),
            }
            let response = inner.call(Request::from_parts(parts, body)).await?;
            Ok(response.map(Either::Right))
        })
    }
}

/// A single gRPC service can have a verifier of its own.
impl<S: tonic::server::NamedService> tonic::server::NamedService for Verified<S> {
    const NAME: &'static str = S::NAME;
}

#[cfg(test)]
pub(crate) mod tests;
