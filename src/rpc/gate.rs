//! What stands before every method: nobody reaches one without being known and permitted, and before anything of the
//! request is read. What a caller may ask a method for is decided behind it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service as TowerService};
use tracing::{Instrument, Span};

use crate::rpc::caller::authenticate;
use crate::rpc::methods::{Method, Methods, Needs};
use crate::rpc::observed::{self, Observed};
use crate::rpc::status::Failure;
use crate::service::{Caller, Service};

/// A call that was let in, in the request's extensions.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub method: &'static str,
    pub caller: Arc<Caller>,
}

/// Stands before all services of a server.
#[derive(Clone)]
pub struct Gate {
    service: Arc<Service>,
    methods: Methods,
}

/// A service with a [`Gate`] before it.
#[derive(Clone)]
pub struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl Gate {
    #[must_use]
    pub fn new(service: Arc<Service>, methods: Methods) -> Self {
        Self { service, methods }
    }

    /// Who may go on; `None` where nobody needs to be known.
    ///
    /// # Errors
    /// What is answered instead.
    pub fn admit(&self, request: &Request<Body>) -> Result<Option<Admitted>, Status> {
        self.admit_to(self.methods.at(request.uri().path()), request)
    }

    fn admit_to(&self, method: Option<Method>, request: &Request<Body>) -> Result<Option<Admitted>, Status> {
        let Some(Method { name: method, needs, .. }) = method else {
            return Err(Status::unimplemented(""));
        };
        if needs == Needs::Nothing {
            return Ok(None);
        }
        let caller = authenticate(&self.service.callers.load(), request.headers(), request.extensions())
            .ok_or_else(|| refuse(method, Failure::CallerUnauthenticated))?;
        if let Needs::Permission(permission) = needs {
            self.service.permit(&caller, method, permission).map_err(|error| refuse(method, error.into()))?;
        }
        Ok(Some(Admitted { method, caller }))
    }
}

fn refuse(method: &'static str, failure: Failure) -> Status {
    count(method, failure.row().name());
    failure.into()
}

/// Counts how a call of a method ended.
pub(super) fn count(method: &'static str, reason: &'static str) {
    metrics::counter!("symbolon_calls_total", "method" => method, "reason" => reason).increment(1);
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

impl<S> TowerService<Request<Body>> for Gated<S>
where
    S: TowerService<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = self.gate.methods.at(request.uri().path());
        let mut observed = Observed::begin(method.map_or(observed::OTHER, |method| method.full));
        let answer = match self.gate.admit_to(method, &request) {
            Ok(admitted) => {
                let mut span = Span::none();
                if let Some(admitted) = admitted {
                    span = observed.follow(request.headers());
                    request.extensions_mut().insert(admitted);
                }
                Ok(self.inner.call(request).instrument(span))
            }
            Err(status) => Err(status.into_http()),
        };
        Box::pin(async move {
            let response = match answer {
                Ok(answer) => answer.await?,
                Err(refusal) => refusal,
            };
            observed.answered(response.headers());
            Ok(response)
        })
    }
}
