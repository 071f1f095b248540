//! A backend whose users sign in at Symbolon's edge, to copy from. It owns who the users are and whether they prove it;
//! it knows no token and never asks for one: `POST /register` makes a user, and that is all it makes.
//!
//! `users` is the table, `password` argon2, `guesses` who has been wrong too often, `verifier` the gRPC method that the
//! edge calls, `register` the HTTP route.

mod guesses;
mod password;
mod pb;
mod register;
mod users;
mod verifier;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::guesses::Guesses;
use crate::pb::credential_verifier_service_server::CredentialVerifierServiceServer;
use crate::verifier::Verifier;

pub use users::Users;

/// How the backend is set up.
pub struct Settings {
    /// What the edge has to bring as a bearer token. Without one, everybody who reaches the port may ask.
    pub token: Option<String>,
    /// How long nobody signs in under a name after too many wrong guesses.
    pub locked_for: Duration,
}

/// Serves until one of the two listeners fails.
pub async fn serve(
    users: Users,
    settings: Settings,
    grpc: TcpListener,
    http: TcpListener,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let users = Arc::new(users);
    let verifier = Verifier::new(Arc::clone(&users), Guesses::new(settings.locked_for), settings.token).await?;
    let grpc = Server::builder()
        .add_service(CredentialVerifierServiceServer::new(verifier))
        .serve_with_incoming(TcpListenerStream::new(grpc));
    let http = axum::serve(http, register::routes(users));
    tokio::select! {
        ended = grpc => ended?,
        ended = http.into_future() => ended?,
    }
    Ok(())
}
