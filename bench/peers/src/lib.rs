//! What the two peers in Rust have in common: the contract, the tokens, the tables, and how they start and end.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub mod store;
pub mod textbook;
pub mod tokens;

/// `symbolon.auth.v1`.
pub mod pb {
    #![expect(clippy::pedantic, clippy::allow_attributes, reason = "generated")]
    tonic::include_proto!("symbolon.auth.v1");
}

pub type Failed = Box<dyn Error + Send + Sync>;

/// How long an access token lives, and a session that nobody refreshes; in seconds.
pub const ACCESS_TOKEN_TTL: i64 = 900;
pub const SESSION_TTL: i64 = 30 * 24 * 3600;

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a peer has no clock to be turned by tests")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("cannot fail: it is after 1970");
    since.as_secs().try_into().expect("cannot fail: they fit for billions of years")
}

/// A pool that never pings before a statement. `POOL` says how many connections; all of them are there from the start.
#[must_use]
pub fn postgres_pool() -> PgPoolOptions {
    let connections = env::var("POOL").ok().and_then(|text| text.parse().ok()).unwrap_or(16);
    PgPoolOptions::new().max_connections(connections).min_connections(connections).test_before_acquire(false)
}

/// Listens at `PORT` of this machine, or at any free one.
pub async fn listen() -> Result<TcpListener, Failed> {
    let port = env::var("PORT").map_or(Ok(0), |text| text.parse())?;
    Ok(TcpListener::bind(("127.0.0.1", port)).await?)
}

/// Says that it is ready, serves, and ends at once on SIGTERM.
pub async fn until_terminated<E: Into<Failed>>(
    address: std::net::SocketAddr,
    serve: impl Future<Output = Result<(), E>>,
) -> Result<(), Failed> {
    let mut terminated = signal(SignalKind::terminate())?;
    writeln!(stdout(), "listening on {address}")?;
    tokio::select! {
        served = serve => served.map_err(Into::into),
        _ = terminated.recv() => Ok(()),
    }
}
