//! The service for callers in this process: the same gRPC methods, without a connection.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt;

use crate::pb::auth::auth_service_server::AuthServiceServer;
use crate::rpc::auth::Auth;
use crate::service::Service;

/// `AuthService` as the edge of this process calls it, to be given to a generated client.
pub fn in_process(
    service: Arc<Service>,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync
{
    AuthServiceServer::new(Auth(service)).map_request(identified)
}

/// Says who calls.
fn identified(mut request: Request<Body>) -> Request<Body> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    request.extensions_mut().insert(TcpConnectInfo { local_addr: Some(here), remote_addr: Some(here) });
    request
}
