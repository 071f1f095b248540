//! Accepting connections: from several listeners, no more than a limit at a time, none that says nothing, and never
//! giving up because one could not be accepted. TLS, where there is any, begins and ends here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::Connected;

use crate::rpc::gathered::Gathered;
use crate::rpc::handshake;
use crate::rpc::peer::Peer;
use crate::tls::Current;

/// One accepted connection. Its place is free again when it is dropped.
pub(super) struct Connection {
    stream: Gathered<Either<TcpStream, Box<TlsStream<TcpStream>>>>,
    peer: Peer,
    greeting: Option<Greeting>,
    _place: OwnedSemaphorePermit,
}

/// Somebody who has a place and has not said anything yet.
struct Arrival {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    place: OwnedSemaphorePermit,
}

/// What a peer has yet to say, and by when. Until then the server above waits without an end: neither keepalive nor age
/// begins before HTTP/2 does.
struct Greeting {
    bytes_missing: usize,
    deadline: Pin<Box<Sleep>>,
}

/// The bytes a client of HTTP/2 begins with: `PRI * HTTP/2.0` and so on.
const PREFACE: usize = 24;

/// The connections of all listeners, at most `most` at a time: one more waits until another ends. Each has to begin with
/// HTTP/2 within `greeting`, the handshake of TLS included.
pub(super) fn accept(
    listeners: Vec<TcpListener>,
    tls: Option<Current>,
    most: usize,
    greeting: Duration,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(most));
    let arrivals = stream::select_all(listeners.into_iter().map(TcpListenerStream::new)).filter_map(move |accepted| {
        let places = Arc::clone(&places);
        async move {
            match accepted.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => {
                    let place = places.acquire_owned().await.ok()?;
                    let deadline = Box::pin(tokio::time::sleep(greeting));
                    Some(Arrival { stream, deadline, place })
                }
                // Out of file descriptors, or the peer was gone: tonic would end the whole server.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    None
                }
            }
        }
    });
    // Whoever is slow to begin is waited for beside all others.
    let begun = arrivals.map(move |arrival| begin(arrival, tls.as_ref().map(|tls| tls.load_full())));
    begun.buffer_unordered(most).filter_map(async |connection| connection.map(Ok))
}

async fn begin(arrival: Arrival, tls: Option<Arc<ServerConfig>>) -> Option<Connection> {
    match tls {
        None => Some(arrival.in_plaintext()),
        // A task of its own: a handshake is work, and the listeners have one task only.
        Some(config) => AbortOnDropHandle::new(tokio::spawn(arrival.in_tls(config))).await.ok()?,
    }
}

impl Arrival {
    fn in_plaintext(self) -> Connection {
        let peer = Peer::new(self.stream.peer_addr().ok(), None);
        Connection::new(Either::Left(self.stream), peer, self.deadline, self.place)
    }

    /// `None` if the handshake fails.
    async fn in_tls(self, config: Arc<ServerConfig>) -> Option<Connection> {
        let Self { stream, mut deadline, place } = self;
        let address = stream.peer_addr().ok();
        let shaken = tokio::select! {
            shaken = TlsAcceptor::from(config).accept(stream) => shaken,
            () = &mut deadline => Err(io::ErrorKind::TimedOut.into()),
        };
        match shaken {
            Ok(stream) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let peer = Peer::new(address, certificates.and_then(<[_]>::first));
                Some(Connection::new(Either::Right(Box::new(stream)), peer, deadline, place))
            }
            Err(error) => {
                handshake::failed(&error, address);
                None
            }
        }
    }
}

impl Connection {
    fn new(
        stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
        peer: Peer,
        deadline: Pin<Box<Sleep>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let stream = Gathered::new(stream);
        Self { stream, peer, greeting: Some(Greeting { bytes_missing: PREFACE, deadline }), _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(greeting) = &mut self.greeting else { return read };
        greeting.bytes_missing = greeting.bytes_missing.saturating_sub(buffer.filled().len() - before);
        if greeting.bytes_missing == 0 {
            self.greeting = None;
        } else if read.is_pending() && greeting.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
