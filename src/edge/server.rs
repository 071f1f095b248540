//! The HTTP/1.1 server and its limits: explicit ones, since `axum::serve` has none.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::{StreamExt, stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tower::Service;

use crate::edge::connection::{Connection, Refusals};
use crate::edge::visitor::Peer;

/// What one server takes at the most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one request's head.
    pub head: usize,
    /// Headers of one request.
    pub headers: usize,
    /// Connections at a time, idle ones too; one more waits until another ends.
    pub connections: usize,
    /// How long the first head of a connection may take.
    pub greeting: Duration,
    /// How long a connection may be idle, and how long a later head may take.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 16 * 1024,
            headers: 100,
            connections: 16 * 1024,
            greeting: Duration::from_secs(5),
            idle: Duration::from_secs(75),
        }
    }
}

/// Serves until `shutdown`, then lets the requests under way finish.
pub async fn serve(
    listeners: Vec<TcpListener>,
    routes: Router,
    limits: Limits,
    hsts: bool,
    shutdown: impl Future<Output = ()>,
) {
    let mut incoming = stream::select_all(listeners.into_iter().map(TcpListenerStream::new));
    let places = Arc::new(Semaphore::new(limits.connections));
    let refusals = Arc::new(Refusals::new(hsts));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            let accepted = incoming.next().await?;
            Some(accepted.and_then(|stream| Ok((stream.peer_addr()?, nodelay(stream)?, place))))
        };
        tokio::select! {
            () = &mut shutdown => break,
            accepted = accept => match accepted {
                Some(Ok((peer, stream, place))) => {
                    let connection = Connection::new(stream, limits.greeting, Arc::clone(&refusals));
                    connections.spawn(converse(connection, peer, routes.clone(), limits, stopped.clone(), place));
                }
                // Out of file descriptors, or the peer was gone.
                Some(Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                None => break,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(incoming);
    let _ = stop.send(true);
    while connections.join_next().await.is_some() {}
}

fn nodelay(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true).map(|()| stream)
}

/// Serves one connection to its end.
async fn converse(
    connection: Connection,
    peer: SocketAddr,
    routes: Router,
    limits: Limits,
    stopped: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let greeted = connection.greeted();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        greeted.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(Peer(peer.ip()));
        let mut routes = routes.clone();
        async move { Ok::<_, Infallible>(routes.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_header_size(limits.head)
        .max_headers(limits.headers)
        // Room for a head and a body.
        .max_buf_size(limits.head * 2)
        // The answers are small: one write each.
        .writev(false);
    let mut serving = pin!(http.serve_connection(TokioIo::new(connection), service));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = told(stopped) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // A peer that left, was silent or talked nonsense: nobody's fault here.
        tracing::debug!(%error, "a connection ended");
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    // An error means that the server is gone: that is an end, too.
    let _ = stopped.wait_for(|stop| *stop).await;
}
