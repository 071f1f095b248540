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

use crate::edge::Edge;
use crate::process;
use crate::service::Service;

/// How long the database may take to show that it takes writes.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the process serves, and is asked about.
#[derive(Clone)]
pub enum Served {
    Service(Arc<Service>),
    /// The edge alone.
    Edge(Arc<Edge>),
}

#[derive(Clone)]
struct Ops {
    served: Served,
    metrics: PrometheusHandle,
}

/// Serves `/livez`, `/readyz` and `/metrics` until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(Ops { served, metrics });
    axum::serve(listener, routes).with_graceful_shutdown(shutdown).await
}

async fn ready(State(ops): State<Ops>) -> (StatusCode, &'static str) {
    readiness(&ops.served).await
}

/// The figures; those that nothing changes step by step are looked at now.
async fn figures(State(ops): State<Ops>) -> String {
    process::measure();
    metrics::gauge!("symbolon_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    match &ops.served {
        Served::Service(service) => service.measure(),
        Served::Edge(edge) => metrics::gauge!("symbolon_ready").set(u8::from(edge.is_ready())),
    }
    ops.metrics.render()
}

/// Ready is who can rotate and sign. An edge alone is ready
/// once it has the issuer's keys: that the service is away later would take away every edge at once, and help nobody.
pub async fn readiness(served: &Served) -> (StatusCode, &'static str) {
    let service = match served {
        Served::Service(service) => service,
        Served::Edge(edge) if edge.is_ready() => return (StatusCode::OK, "ready\n"),
        Served::Edge(_) => return (StatusCode::SERVICE_UNAVAILABLE, "the token service has not answered yet\n"),
    };
    if let Err(error) = service.can_sign() {
        tracing::warn!(%error, "not ready");
        return (StatusCode::SERVICE_UNAVAILABLE, "the signing key cannot be opened\n");
    }
    if let Err(error) = service.skew.check() {
        tracing::warn!(%error, cause = std::error::Error::source(&error), "not ready");
        return (StatusCode::SERVICE_UNAVAILABLE, "the clock and the database's are too far apart\n");
    }
    match tokio::time::timeout(PATIENCE, service.store.check_writable()).await {
        Ok(Ok(true)) => (StatusCode::OK, "ready\n"),
        Ok(Ok(false)) => (StatusCode::SERVICE_UNAVAILABLE, "the database is read-only\n"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not take writes\n")
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}
