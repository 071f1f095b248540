//! Running what was built: the listeners are bound already, and everything ends together, within a time.

use std::convert::identity;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Failure;
use super::declared::Followed;
use super::listen::is_reached;
use super::listeners::Listeners;
use super::supervisor::Supervisor;
use crate::config::{self, EDGE, Loaded};
use crate::edge::issuer::{Issuer, channel};
use crate::edge::{self, Channel, Edge, gateway};
use crate::ops::{self, Served};
use crate::rpc::methods::Methods;
use crate::rpc::{self, Limits};
use crate::service::Service;
use crate::telemetry::{self, Telemetry};

/// A service that is being served.
pub struct Running {
    served: Served,
    /// What the methods of a service need.
    methods: Option<Methods>,
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
            methods: methods.clone(),
            listeners: listeners.grpc,
            tls: listeners.tls.as_ref().map(|tls| Arc::clone(&tls.current)),
            limits: Limits::default().with_drawn_age(drawn),
            reflection,
        };
        let end = stopping(stopped.clone());
        tasks.spawn(async move { rpc::serve(server, end).await.map_err(Failure::from) });
        for listener in listeners.ops {
            let (watched, metrics, end) =
                (Served::Service(Arc::clone(&service)), metrics.clone(), stopping(stopped.clone()));
            tasks.spawn(async move { ops::serve(listener, watched, metrics, end).await.map_err(Failure::from) });
        }
        if let Some(tls) = listeners.tls {
            tasks.spawn(tls.follow(stopping(stopped.clone())));
        }
        tasks.spawn(followed.follow(Arc::clone(&service), stopping(stopped.clone())));
        let (following, end) = (Arc::clone(&service), stopping(stopped.clone()));
        tasks.spawn(async move {
            tokio::select! {
                restored = following.follow() => Err(restored.into()),
                () = end => Ok(()),
            }
        });
        let (sweeper, end) = (Arc::clone(&service), stopping(stopped));
        tasks.spawn(async move {
            let mut end = pin!(end);
            while tokio::time::timeout(SWEEP_EVERY, &mut end).await.is_err() {
                tokio::select! {
                    // What is left is swept the next time.
                    _ = tokio::time::timeout(SWEEP_EVERY, sweeper.sweep()) => {}
                    () = &mut end => break,
                }
            }
            Ok(())
        });
        Ok(Self { served: Served::Service(service), methods: Some(methods), tasks, stop })
    }

    /// Begins to serve an edge without a service.
    #[must_use]
    pub(super) fn start_alone(edge: Arc<Edge>, listeners: Listeners, metrics: &PrometheusHandle) -> Self {
        let (stop, stopped) = watch::channel(false);
        let served = Served::Edge(Arc::clone(&edge));
        let mut running = Self { served, methods: None, tasks: JoinSet::new(), stop };
        for listener in listeners.ops {
            let (served, metrics) = (running.served.clone(), metrics.clone());
            let end = stopping(stopped.clone());
            running.tasks.spawn(async move { ops::serve(listener, served, metrics, end).await.map_err(Failure::from) });
        }
        running.serve_gateway(Arc::clone(&edge), listeners.gateway);
        running.serve_edge(edge, listeners.edge, identity);
        running
    }

    /// The service in this process, as its edge calls it; none if there is only an edge.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        match (&self.served, &self.methods) {
            (Served::Service(service), Some(methods)) => {
                Some(channel(rpc::in_process(Arc::clone(service), EDGE, methods.clone())))
            }
            (Served::Service(_) | Served::Edge(_), _) => None,
        }
    }

    /// The same as the token service of an edge.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        Issuer::new(self.channel().into_iter().collect(), None)
    }

    /// Begins to serve an edge too, its routes as `around` has them.
    pub fn serve_edge(&mut self, edge: Arc<Edge>, listeners: Vec<TcpListener>, around: impl FnOnce(Router) -> Router) {
        let (end, following_ends) = (stopping(self.stop.subscribe()), stopping(self.stop.subscribe()));
        let followed = Arc::clone(&edge);
        self.tasks.spawn(async move {
            tokio::select! {
                () = followed.follow_issuer() => {}
                () = following_ends => {}
            }
            Ok(())
        });
        let hsts = edge.hsts();
        let routes = around(edge::routes(edge));
        self.tasks.spawn(async move {
            edge::serve(listeners, routes, edge::Limits::default(), hsts, end).await;
            Ok(())
        });
    }

    /// Begins to serve gateways.
    pub fn serve_gateway(&mut self, edge: Arc<Edge>, listeners: Vec<TcpListener>) {
        if !listeners.is_empty() {
            let end = stopping(self.stop.subscribe());
            self.tasks.spawn(async move { gateway::serve(edge, listeners, end).await.map_err(Failure::from) });
        }
    }

    /// Serves until the process is told to stop, or a server fails.
    pub async fn until_told(mut self) -> Result<(), Failure> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let supervisor = Supervisor::of_this_process();
        if let Some(supervisor) = supervisor.clone() {
            let (served, end) = (self.served.clone(), stopping(self.stop.subscribe()));
            self.tasks.spawn(async move {
                tokio::select! {
                    () = supervisor.watch(served) => {}
                    () = end => {}
                }
                Ok(())
            });
        }
        let failed = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            ended = self.tasks.join_next() => Some(ended),
        };
        tracing::info!("stopping");
        if let Some(supervisor) = supervisor {
            supervisor.tell("STOPPING=1");
        }
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
        if let Served::Service(service) = self.served {
            match Arc::try_unwrap(service) {
                Ok(service) => service.close().await,
                Err(_) => tracing::debug!("the service is still in use"),
            }
        }
    }
}

async fn stopping(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone: that is an end, too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// What is told and counted, for as long as the process runs.
pub(super) struct Telling {
    pub(super) metrics: PrometheusHandle,
    _telemetry: Telemetry,
}

/// Starts telemetry and reports what is probably not meant.
pub(super) fn start_telemetry(loaded: &Loaded) -> Result<Telling, Failure> {
    let metrics = telemetry::start_metrics()?;
    let telemetry = start_telling(&loaded.config.told)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // Without it, samples would be kept until somebody asks for the figures.
        let mut interval = tokio::time::interval(Duration::from_secs(5));
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Telling { metrics, _telemetry: telemetry })
}

/// Starts the log, the audit events and the traces.
pub(super) fn start_telling(told: &config::Told) -> Result<Telemetry, Failure> {
    let config::Told { log, log_as_json, audit_file, traces } = told;
    let traces = traces.as_ref().map(|it| telemetry::Traces { endpoint: it.endpoint.clone(), one_in: it.one_in.get() });
    let audit = telemetry::Target::of(audit_file);
    Ok(telemetry::start(telemetry::Config { filter: log.clone(), log_as_json: *log_as_json, audit, traces })?)
}
