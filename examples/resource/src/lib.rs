//! A service that verifies access tokens by itself, to copy from: some routes for everybody, some for whoever is signed
//! in, some for those who may do more or have signed in a moment ago, and the same over gRPC. It owns which route needs
//! what; what makes a token valid is the verifier's business.

mod http;
mod orders;
pub mod pb;

use std::error::Error;
use std::future::IntoFuture;

use symbolon_verifier::Verifier;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::orders::Orders;
use crate::pb::orders_service_server::OrdersServiceServer;

/// Serves until one of the two listeners fails.
pub async fn serve(
    verifier: Verifier,
    grpc: TcpListener,
    http: TcpListener,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    // One layer in front of everything: a method that is added later is not forgotten.
    let grpc = Server::builder()
        .layer(verifier.required())
        .add_service(OrdersServiceServer::new(Orders))
        .serve_with_incoming(TcpListenerStream::new(grpc));
    let http = axum::serve(http, http::routes(&verifier));
    tokio::select! {
        ended = grpc => ended?,
        ended = http.into_future() => ended?,
    }
    Ok(())
}
