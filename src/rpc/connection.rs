//! Accepting connections: from several listeners, no more than a limit at a time, none that says nothing, and never
//! giving up because one could not be accepted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// One accepted connection. Its place is free again when it is dropped.
pub(super) struct Connection {
    stream: TcpStream,
    greeting: Option<Greeting>,
    _place: OwnedSemaphorePermit,
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
/// HTTP/2 within `greeting`.
pub(super) fn accept(
    listeners: Vec<TcpListener>,
    most: usize,
    greeting: Duration,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(most));
    stream::select_all(listeners.into_iter().map(TcpListenerStream::new)).filter_map(move |accepted| {
        let places = Arc::clone(&places);
        async move {
            match accepted.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => {
                    let place = places.acquire_owned().await.ok()?;
                    let deadline = Box::pin(tokio::time::sleep(greeting));
                    let greeting = Some(Greeting { bytes_missing: PREFACE, deadline });
                    Some(Ok(Connection { stream, greeting, _place: place }))
                }
                // Out of file descriptors, or the peer was gone: tonic would end the whole server.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    None
                }
            }
        }
    })
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
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
