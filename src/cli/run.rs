//! Running what was built: the listeners are bound already, and everything ends together, within a time.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Failure;
use super::declared::Followed;
use super::listen::{Reach, is_reached, listen, port};
use super::tls::ServedTls;
use crate::config::{Config, Loaded, Source};
use crate::rpc::methods::Methods;
use crate::rpc::{self, Limits};
use crate::service::Service;
use crate::{ops, telemetry};

/// Where the process is reached.
pub struct Listeners {
    pub grpc: Vec<TcpListener>,
    pub ops: Vec<TcpListener>,
    /// Of gRPC.
    pub tls: Option<ServedTls>,
}

impl Listeners {
    /// Binds what the configuration asks for, gRPC within its reach.
    pub async fn bind(config: &Config, grpc: Reach) -> Result<Self, Failure> {
        Ok(Self {
            grpc: listen(&config.grpc.listen, "SYMBOLON_GRPC_LISTEN", grpc).await?,
            ops: listen(&config.ops.listen, "SYMBOLON_OPS_LISTEN", Reach::Anywhere).await?,
            tls: config.grpc.tls.as_ref().map(ServedTls::read).transpose()?,
        })
    }

    pub fn grpc_port(&self) -> io::Result<u16> {
        port(&self.grpc)
    }

    pub fn ops_port(&self) -> io::Result<u16> {
        port(&self.ops)
    }
}

/// A service that is being served.
pub struct Running {
    service: Arc<Service>,
    tasks: JoinSet<Result<(), Failure>>,
    stop: watch::Sender<bool>,
}

/// How often the database is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long calls under way may take to finish once the end has been told: hyper can wait for ever for a client that
/// neither speaks nor leaves.
const DRAIN: Duration = Duration::from_secs(10);

impl Running {
    /// Begins to serve.
    pub fn start(
        service: Service,
        listeners: Listeners,
        metrics: &PrometheusHandle,
        followed: Followed,
        reflection: Option<bool>,
    ) -> Result<Self, Failure> {
        let methods = Methods::of_the_contract()?;
        // A description of the API is for whoever develops with it.
        let reflection = reflection.unwrap_or_else(|| !is_reached(&listeners.grpc));
        let service = Arc::new(service);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let [drawn] = service.entropy.bytes();
        let server = rpc::Server {
            service: Arc::clone(&service),
            methods,
            listeners: listeners.grpc,
            tls: listeners.tls.as_ref().map(|tls| Arc::clone(&tls.current)),
            limits: Limits::default().with_drawn_age(drawn),
            reflection,
        };
        let end = told(stopped.clone());
        tasks.spawn(async move { rpc::serve(server, end).await.map_err(Failure::from) });
        for listener in listeners.ops {
            let (service, metrics, end) = (Arc::clone(&service), metrics.clone(), told(stopped.clone()));
            tasks.spawn(async move { ops::serve(listener, service, metrics, end).await.map_err(Failure::from) });
        }
        if let Some(tls) = listeners.tls {
            tasks.spawn(tls.follow(told(stopped.clone())));
        }
        tasks.spawn(followed.follow(Arc::clone(&service), told(stopped.clone())));
        let (sweeper, end) = (Arc::clone(&service), told(stopped));
        tasks.spawn(async move {
            let mut end = pin!(end);
            while tokio::time::timeout(SWEEP_EVERY, &mut end).await.is_err() {
                sweeper.sweep().await;
            }
            Ok(())
        });
        Ok(Self { service, tasks, stop })
    }

    /// Serves until the process is told to stop, or a server fails.
    pub async fn until_told(mut self) -> Result<(), Failure> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let failed = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            ended = self.tasks.join_next() => Some(ended),
        };
        tracing::info!("stopping");
        self.stop().await;
        match failed {
            Some(Some(Ok(Err(failure)))) => Err(failure),
            Some(_) => Err("a server ended by itself".into()),
            None => Ok(()),
        }
    }

    /// Lets the calls under way finish, and closes the database.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some clients did not leave within {DRAIN:?}");
            self.tasks.shutdown().await;
        }
        match Arc::try_unwrap(self.service) {
            Ok(service) => service.close().await,
            Err(_) => tracing::debug!("the service is still in use"),
        }
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone: that is an end, too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Settings that are read and checked, and that no part of this version acts on yet.
const NOT_YET: [&str; 3] = ["edge.", "gateway.", "keys."];

/// Starts telemetry and reports what is probably not meant.
pub(super) fn start_telemetry(loaded: &Loaded) -> Result<PrometheusHandle, Failure> {
    telemetry::start_logging(&loaded.config.log).map_err(|error| format!("SYMBOLON_LOG: {error}"))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for setting in loaded.printed.iter().filter(|setting| setting.source != Source::Default) {
        if NOT_YET.iter().any(|name| setting.path.starts_with(name)) {
            tracing::warn!("{} is set, and this version does not act on it yet", setting.path);
        }
    }
    let metrics = telemetry::start_metrics()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // Without it, samples would be kept until somebody asks for the figures.
        let mut interval = tokio::time::interval(Duration::from_secs(5));
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(metrics)
}
