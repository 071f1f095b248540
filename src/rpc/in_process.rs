//! The service for callers in this process: the same methods behind the same gate, without a connection.

use std::convert::Infallible;
use std::sync::Arc;

use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service as TowerService, ServiceExt};

use crate::pb::auth::auth_service_server::AuthServiceServer;
use crate::rpc::auth::Auth;
use crate::rpc::caller::InProcess;
use crate::rpc::gate::Gate;
use crate::rpc::methods::Methods;
use crate::service::Service;

/// In the extensions of what `RefreshTokens` answers in this process: the name of the rule's verdict, for whoever shows it.
/// The contract does not say it.
#[derive(Clone, Copy, Debug)]
pub struct Judged(pub &'static str);

/// `AuthService` as the declared caller of this name calls it from this process, to be given to a generated client.
pub fn in_process(
    service: Arc<Service>,
    caller: &'static str,
    methods: Methods,
) -> impl TowerService<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync
{
    let gate = Gate::new(Arc::clone(&service), methods);
    gate.layer(AuthServiceServer::new(Auth(service))).map_request(move |mut request: Request<Body>| {
        request.extensions_mut().insert(InProcess(caller));
        request
    })
}
