//! A backend that signs users in by itself, here with a form, and has Symbolon issue the session, to copy from. The page
//! then goes on with the edge on the same host. It owns who the users are; it sees a refresh token once and keeps it
//! nowhere.
//!
//! `sign_in` is the route, `users` who they are, `symbolon` the gRPC calls, `cookie` the contract with the edge, `page` the
//! form.

mod cookie;
mod page;
mod pb;
mod sign_in;
mod symbolon;
mod users;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use url::Url;

use crate::cookie::RefreshCookie;
use crate::symbolon::Symbolon;
use crate::users::Users;

/// How the backend is set up.
pub struct Settings {
    /// gRPC of Symbolon; https elsewhere than on this machine: the caller's secret must not cross a network in plaintext.
    pub symbolon_url: String,
    /// The secret of this caller, who needs the permissions `issue` and `revoke`.
    pub caller_token: Option<String>,
    /// The client the session is for, which is the edge's.
    pub client_id: String,
    /// What browsers call the edge: the same host as this backend's, which on a machine of one's own has two ports.
    pub edge_url: Url,
    /// What browsers call this backend.
    pub public_url: Url,
}

struct Backend {
    users: Users,
    symbolon: Symbolon,
    cookie: RefreshCookie,
    edge_url: Url,
    public_url: Url,
}

/// Serves until the listener fails.
pub async fn serve(settings: Settings, listener: TcpListener) -> Result<(), Box<dyn Error + Send + Sync>> {
    let backend = Arc::new(Backend {
        users: Users::demo()?,
        symbolon: Symbolon::new(&settings)?,
        cookie: RefreshCookie::of(&settings.edge_url),
        edge_url: settings.edge_url,
        public_url: settings.public_url,
    });
    let form = page::page(&backend.edge_url, "Sign in as carol/carol.");
    let routes = Router::new()
        .route("/", get(async move || form))
        .route("/sign-in", post(sign_in::sign_in))
        .layer(DefaultBodyLimit::max(8 * 1024))
        .with_state(backend);
    axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
