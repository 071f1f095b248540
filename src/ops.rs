//! The operator's listener: whether the process lives, whether it can serve, and its figures. Never beyond what an
//! operator may see; no token comes near it.

use std::error::Error;
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
use crate::service::{self, Service};

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

async fn ready(State(ops): State<Ops>) -> (StatusCode, String) {
    match readiness(&ops.served).await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(unready) => {
            unready.tell();
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", unready.why))
        }
    }
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

/// Why calls should go elsewhere.
pub struct Unready {
    why: &'static str,
    /// For the log.
    cause: Option<String>,
}

impl Unready {
    fn because(why: &'static str, cause: Option<&dyn Error>) -> Self {
        let with_source = |error: &dyn Error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self { why, cause: cause.map(with_source) }
    }

    pub fn tell(&self) {
        tracing::warn!(cause = self.cause.as_deref(), "not ready: {}", self.why);
    }
}

/// Ready is who can rotate and sign. An edge alone is ready
/// once it has the issuer's keys: that the service is away later would take away every edge at once, and help nobody.
pub async fn readiness(served: &Served) -> Result<(), Unready> {
    let service = match served {
        Served::Service(service) => service,
        Served::Edge(edge) if edge.is_ready() => return Ok(()),
        Served::Edge(_) => return Err(Unready::because("the token service has not answered yet", None)),
    };
    if let Err(error) = service.can_serve() {
        // A key is not the database's business.
        let clock = matches!(error, service::Error::StoreUnavailable(_));
        let why =
            if clock { "the clock and the database's are too far apart" } else { "the signing key cannot be opened" };
        return Err(Unready::because(why, Some(&error)));
    }
    match tokio::time::timeout(PATIENCE, service.store.check_writable()).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Unready::because("the database is read-only", None)),
        Ok(Err(error)) => Err(Unready::because("the database does not take writes", Some(&error))),
        Err(_) => Err(Unready::because("the database does not answer", None)),
    }
}
