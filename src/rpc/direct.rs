//! The way to `AuthService`, past the router that leads to everything else: the gate has looked the path up already, and the
//! router would box and copy what it passes on (docs/performance.md has what that costs a refresh).

use std::convert::Infallible;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::pb::auth::auth_service_server::AuthServiceServer;
use crate::rpc::auth::Auth;

/// Puts [`AuthService`](AuthServiceServer) in front of others.
#[derive(Clone)]
pub(super) struct Direct(pub(super) AuthServiceServer<Auth>);

/// It, and the others.
#[derive(Clone)]
pub(super) struct Directed<S> {
    auth: AuthServiceServer<Auth>,
    others: S,
}

impl<S> Layer<S> for Direct {
    type Service = Directed<S>;

    fn layer(&self, others: S) -> Directed<S> {
        Directed { auth: self.0.clone(), others }
    }
}

impl<S> Service<Request<Body>> for Directed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Our own is always ready.
        self.others.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_of(AuthServiceServer::<Auth>::NAME, request.uri().path()) {
            self.auth.call(request)
        } else {
            Box::pin(self.others.call(request))
        }
    }
}

/// Whether a path, `/package.Service/Method`, is of this service.
fn is_of(service: &str, path: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(service));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_the_service_it_names_whole() {
        let service = "symbolon.auth.v1.AuthService";
        assert!(is_of(service, "/symbolon.auth.v1.AuthService/RefreshTokens"));
        for other in [
            "/symbolon.auth.v1.KeyService/RotateSigningKey",
            "/symbolon.auth.v1.AuthServices/RefreshTokens",
            "/symbolon.auth.v1.AuthService",
            "symbolon.auth.v1.AuthService/RefreshTokens",
            "//symbolon.auth.v1.AuthService/RefreshTokens",
            "/",
            "",
        ] {
            assert!(!is_of(service, other), "{other}");
        }
    }
}
