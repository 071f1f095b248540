//! The HTTP edge: cookies in, gRPC out. It turns what browsers send into calls of the token service and of the user's
//! credential verifier, keeps the refresh token where no script can read it, and decides nothing about a token but whether
//! it verifies. It knows the contract in `pb` and no room behind it.
//!
//! The map, as a request meets it: `server` and `connection` (HTTP and its limits), `frame` (headers around every
//! answer, CORS), `gate` with `csrf` and `origin` (who may change something), then a file a group of routes: `login`
//! with `verifier` and `attempts`, `session` with `cookie`, `sessions`, `check` with `bearer`, `discovery` with `keys`.
//! `exchange` turns the cookie into a token for `gateway` and `envoy`, where gateways ask. `issuer` is the gRPC client,
//! `problem` every refusal.

pub mod attempts;
mod bearer;
mod check;
mod connection;
pub mod cookie;
pub mod csrf;
mod discovery;
mod envoy;
mod exchange;
mod frame;
mod gate;
pub mod gateway;
mod identity;
pub mod issuer;
mod json;
mod keys;
mod login;
pub mod network;
pub mod origin;
pub mod problem;
mod server;
mod session;
mod sessions;
mod times;
mod verifier;
mod visitor;
mod wanted;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use symbolon_verifier::{Cache, Revocations, WhenStale};

use crate::clock::Clock;
use crate::edge::attempts::Attempts;
use crate::edge::cookie::Shape;
use crate::edge::exchange::Exchange;
use crate::edge::issuer::Issuer;
use crate::edge::keys::Published;
use crate::edge::network::Cidr;
use crate::edge::origin::Origins;
use crate::edge::problem::{Code, Problem};
use crate::edge::verifier::Verifier;
use crate::entropy::Entropy;
use crate::verified::Verified;

pub use issuer::Channel;
pub use server::{Limits, serve};
pub use verifier::Verifier as CredentialVerifier;

/// What the edge is told.
pub struct Config {
    /// What browsers call it, and who may call it.
    pub origins: Origins,
    pub cookie: Shape,
    /// Where the routes begin: `/auth`, or `/` for none before them.
    pub base_path: String,
    /// Whether browsers are told to use nothing but https.
    pub hsts: bool,
    pub trusted_proxies: Vec<Cidr>,
    /// What a sign-in asks the service for.
    pub client_id: String,
    pub audience: Vec<String>,
    pub scope: Vec<String>,
    /// What becomes of tokens while the service says nothing of revocations.
    pub when_stale: WhenStale,
    /// Whether pages never see a token (RFC 10017: a full BFF).
    pub hides_tokens: bool,
    /// Where a gateway sends page loads of those who are signed out.
    pub login_url: Option<String>,
}

/// The edge.
pub struct Edge {
    origins: Origins,
    cookie: Shape,
    base_path: String,
    hsts: bool,
    trusted_proxies: Vec<Cidr>,
    client_id: String,
    audience: Vec<String>,
    scope: Vec<String>,
    hides_tokens: bool,
    login_url: Option<String>,
    exchange: Exchange,
    verified: Verified,
    issuer: Issuer,
    verifier: Option<Verifier>,
    keys: Cache<Published>,
    revocations: Revocations,
    by_account: Attempts,
    by_network: Attempts,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Edge {
    /// An edge of this token service. Without a verifier nobody signs in here, and a backend sets the cookie itself.
    #[must_use]
    pub fn new(
        config: Config,
        issuer: Issuer,
        verifier: Option<Verifier>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            origins: config.origins,
            cookie: config.cookie,
            base_path: config.base_path,
            hsts: config.hsts,
            trusted_proxies: config.trusted_proxies,
            client_id: config.client_id,
            audience: config.audience,
            scope: config.scope,
            hides_tokens: config.hides_tokens,
            login_url: config.login_url,
            exchange: Exchange::default(),
            verified: Verified::default(),
            revocations: issuer.revocations(config.when_stale),
            issuer,
            verifier,
            keys: Cache::new(keys::REST),
            by_account: Attempts::new(attempts::ACCOUNT),
            by_network: Attempts::new(attempts::NETWORK),
            clock,
            entropy,
        }
    }

    /// Follows the issuer's keys and revocations, for ever: nothing verifies before this has run for a moment.
    pub async fn follow_issuer(&self) {
        let now = || self.clock.now().seconds();
        let compromised = async {
            let mut named = self.revocations.keys_named();
            while named.changed().await.is_ok() {
                self.keys.outdate();
                self.exchange.clear();
            }
        };
        tokio::join!(
            self.keys.follow(|| keys::published(&self.issuer)),
            self.revocations.follow("edge", now, bearer::EXP_LEEWAY),
            compromised,
        );
    }

    /// Whether it can serve. That the service goes away later does not change it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.keys.current().is_some()
    }

    /// Waits until it can.
    pub async fn ready(&self) {
        self.keys.first().await;
    }

    #[must_use]
    pub fn hsts(&self) -> bool {
        self.hsts
    }

    /// The cookie's name, for whoever prints an example.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        self.cookie.name()
    }
}

/// The routes.
pub fn routes(edge: Arc<Edge>) -> Router {
    let at = |path: &str| format!("{}{path}", edge.base_path.trim_end_matches('/'));
    let changing = Router::new()
        .route(&at("/login"), post(login::login))
        .route(&at("/refresh"), post(session::refresh))
        .route(&at("/logout"), post(session::logout))
        .route(&at("/logout-all"), post(sessions::logout_all))
        .route(&at("/sessions/{id}"), delete(sessions::end))
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(Arc::clone(&edge), gate::gate));
    let auth = changing
        .route(&at("/sessions"), get(sessions::list))
        .route(&at("/check"), get(check::check))
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(Arc::clone(&edge), frame::cors));
    Router::new()
        .merge(auth)
        .merge(discovery::routes())
        .method_not_allowed_fallback(wrong_method)
        .fallback(async || Problem::from(Code::NotFound))
        .layer(map_response(own_words))
        .layer(from_fn_with_state(Arc::clone(&edge), frame::frame))
        .with_state(edge)
}

async fn wrong_method() -> Problem {
    Code::MethodNotAllowed.into()
}

/// What axum refuses before a route is asked, a path that is no UTF-8, is nothing we have.
async fn own_words(response: Response) -> Response {
    let plain = response
        .headers()
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if response.status().is_client_error() && plain { Problem::from(Code::NotFound).into_response() } else { response }
}
