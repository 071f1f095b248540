//! Who calls, from what the connection knows.

use tonic::transport::server::TcpConnectInfo;
use tonic::{Extensions, Request};

use crate::rpc::status::Failure;
use crate::service::Caller;

/// The caller of this request. A peer on the loopback interface is `local`; nobody else is known yet, and `serve` does
/// not listen elsewhere.
pub(super) fn authenticate<T>(request: &Request<T>) -> Result<Caller, Failure> {
    if is_loopback(request.extensions()) { Ok(Caller::local()) } else { Err(Failure::CallerUnauthenticated) }
}

fn is_loopback(extensions: &Extensions) -> bool {
    let peer = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}
