//! The operator's listener: whether the process lives, whether it can serve, and its figures. Never beyond what an
//! operator may see; no token comes near it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::service::Service;

/// How long the database may take to show that it takes writes.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Ops {
    service: Arc<Service>,
    metrics: PrometheusHandle,
}

/// Serves `/livez`, `/readyz` and `/metrics` until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(|State(ops): State<Ops>| async move { ops.metrics.render() }))
        .with_state(Ops { service, metrics });
    axum::serve(listener, routes).with_graceful_shutdown(shutdown).await
}

/// Ready is who can rotate: the keys were opened at start, so the database is what is left to ask.
async fn ready(State(ops): State<Ops>) -> (StatusCode, &'static str) {
    match tokio::time::timeout(PATIENCE, ops.service.store.check_writable()).await {
        Ok(Ok(true)) => (StatusCode::OK, "ready\n"),
        Ok(Ok(false)) => (StatusCode::SERVICE_UNAVAILABLE, "the database is read-only\n"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not take writes\n")
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}
