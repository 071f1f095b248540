//! The gRPC server and its limits: explicit ones, since tonic's defaults are none.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::transport;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::server::HealthReporter;
use tonic_reflection::server as reflection;

use crate::pb;
use crate::pb::auth::auth_service_server::{self, AuthServiceServer};
use crate::pb::auth::key_service_server::{self, KeyServiceServer};
use crate::rpc::auth::Auth;
use crate::rpc::connection;
use crate::rpc::direct::Direct;
use crate::rpc::gate::Gate;
use crate::rpc::keys::Keys;
use crate::rpc::methods::Methods;
use crate::service::Service;
use crate::tls::Current;

/// What one server takes at the most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one message.
    pub message: usize,
    /// Bytes of one request's headers.
    pub header_list: u32,
    /// Calls at a time on one connection.
    pub streams: u32,
    /// Connections at a time.
    pub connections: usize,
    /// How long a new connection may take to begin with HTTP/2, the handshake of TLS included.
    pub greeting: Duration,
    /// After this a connection is asked to leave, so that new replicas get their share.
    pub connection_age: Duration,
    /// How long a silent peer is believed to be there.
    pub keepalive_interval: Duration,
    /// How long it may take to say so when it is asked.
    pub keepalive_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 64 * 1024,
            header_list: 16 * 1024,
            streams: 128,
            connections: 4096,
            greeting: Duration::from_secs(5),
            connection_age: Duration::from_secs(30 * 60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// A connection's age drawn within ± 10 %, so that replicas started together do not send everybody away together.
    #[must_use]
    pub fn with_drawn_age(self, drawn: u8) -> Self {
        let percent = 90 + u32::from(drawn) * 20 / 255;
        Self { connection_age: self.connection_age * percent / 100, ..self }
    }
}

/// What is served, and how.
pub struct Server {
    pub service: Arc<Service>,
    pub methods: Methods,
    pub listeners: Vec<TcpListener>,
    /// `None`: in plaintext.
    pub tls: Option<Current>,
    pub limits: Limits,
    /// Whether the server describes itself.
    pub reflection: bool,
}

/// Serves until `shutdown`, then lets the calls under way finish.
///
/// # Errors
/// If the server cannot run at all; a failing connection is not an error.
pub async fn serve(server: Server, shutdown: impl Future<Output = ()>) -> Result<(), transport::Error> {
    let Server { service, methods, listeners, tls, limits, reflection } = server;
    let followed = Arc::clone(&service);
    let gate = Gate::new(Arc::clone(&service), methods);
    let auth = AuthServiceServer::new(Auth(Arc::clone(&service))).max_decoding_message_size(limits.message);
    let keys = KeyServiceServer::new(Keys(service)).max_decoding_message_size(limits.message);
    let (health_reporter, health) = tonic_health::server::health_reporter();
    tell(&health_reporter, true).await;

    let mut builder = transport::Server::builder()
        .http2_max_header_list_size(limits.header_list)
        .max_concurrent_streams(limits.streams)
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout))
        .max_connection_age(limits.connection_age)
        .layer(gate)
        .layer(Direct(auth));
    let mut routes = builder.add_service(keys).add_service(health);
    if reflection {
        routes = routes.add_service(describe().build_v1().expect(DESCRIBED));
        routes = routes.add_service(describe().build_v1alpha().expect(DESCRIBED));
    }
    let leave = follow(followed, shutdown, health_reporter);
    let connections = connection::accept(listeners, tls, limits.connections, limits.greeting);
    routes.serve_with_incoming_shutdown(connections, leave).await
}

const DESCRIBED: &str = "cannot fail: the descriptors were built with this program";

/// The descriptors of everything a reader of this API meets, so that grpcurl shows reasons as text.
fn describe() -> reflection::Builder<'static> {
    reflection::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // The contract also has a service that is others' to serve.
        .with_service_name(auth_service_server::SERVICE_NAME)
        .with_service_name(key_service_server::SERVICE_NAME)
        .with_service_name(health_server::SERVICE_NAME)
}

/// How often the database is asked whether it takes writes.
const PULSE: Duration = Duration::from_secs(2);

/// Has health checks follow the database, and tells them and the watchers that the end has come before the listeners close.
async fn follow(service: Arc<Service>, shutdown: impl Future<Output = ()>, mut health: HealthReporter) {
    let mut shutdown = pin!(shutdown);
    while tokio::time::timeout(PULSE, &mut shutdown).await.is_err() {
        let writable = tokio::time::timeout(PULSE, service.store.check_writable()).await;
        tell(&health, matches!(writable, Ok(Ok(true))) && service.can_serve().is_ok()).await;
    }
    service.feed.close();
    tell(&health, false).await;
    // Ends the streams of those who watch the health, once they have been told: they would not leave by themselves.
    for name in CHECKED {
        health.clear_service_status(name).await;
    }
}

/// What health checks may ask for: the whole server, and each service.
const CHECKED: [&str; 3] = ["", AuthServiceServer::<Auth>::NAME, KeyServiceServer::<Keys>::NAME];

async fn tell(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    metrics::gauge!("symbolon_ready").set(u8::from(serving));
    for name in CHECKED {
        health.set_service_status(name, status).await;
    }
}
